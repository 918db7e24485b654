//! What the tests over the TUN device share: a network namespace a test, the server in it, and the peers that talk to it.
#![allow(dead_code, reason = "every file in `tests/` is a crate of its own and uses a part of this")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]
#![allow(unreachable_pub, reason = "`pub` here means: for the tests; no crate is reached from outside")]

pub mod capture;
pub mod client;
pub mod link;
pub mod namespace;
pub mod packets;
pub mod peer;
pub mod random;
pub mod router;
pub mod segment;
pub mod server;
pub mod socket;
pub mod states;

use core::net::Ipv4Addr;

/// The device that `up.sh` makes and the server attaches to.
pub const DEVICE: &str = "tun-st";
/// The kernel's own address on it.
pub const KERNEL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The server's port.
pub const PORT: u16 = 555;
/// The hand-made peer's address: nobody owns it, so the kernel leaves its connections alone.
pub const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
