//! Segments, time and user calls, as the fuzzer likes, against a connection in the state of its choice.
#![no_main]

#[path = "../simulator/meeting.rs"]
#[allow(dead_code, reason = "a part of it is for other tests")]
mod meeting;
#[path = "../simulator/script.rs"]
mod script;
#[path = "../simulator/stack.rs"]
#[allow(dead_code, reason = "a part of it is for other tests")]
mod stack;

libfuzzer_sys::fuzz_target!(|script: &[u8]| script::play(script));
