//! Linux as the peer in all its settings: each test in a namespace of its own, with what its sysctls and socket options change.
//!
//! What a setting does to the wire is read off a capture, so that a test knows that Linux has really taken it on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

mod linux {
    mod exchange;

    mod closing;
    mod congestion;
    mod options;
    mod path;
    mod urgent;
    mod windows;
}
