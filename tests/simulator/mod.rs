//! A network in virtual time: what the goodput benchmark, the long paths and the attacks on the machine share.
//! Nothing here waits or opens anything.
#![allow(dead_code, reason = "every user of this module is a crate of its own and uses a part of it")]
#![expect(clippy::panic, reason = "a helper that cannot go on fails its test")]
#![allow(unreachable_pub, reason = "`pub` here means: for the tests; no crate is reached from outside")]

pub mod flows;
pub mod lane;
pub mod meeting;
pub mod script;
pub mod stack;
