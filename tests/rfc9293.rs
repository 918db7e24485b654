//! RFC 9293, requirement by requirement: the machine driven with hand-made segments in virtual time.
//!
//! The tests of a requirement are named after it (`must_13_…`) and stand in the module of its group in Appendix B; the rows of §3.10
//! that have no number stand in `arrivals`, `user_calls` and `timeouts`. `driver` is what they are written with, and `table` holds
//! the README's table to all this.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rfc9293 {
    mod driver;
    mod layers;

    mod arrivals;
    mod timeouts;
    mod user_calls;

    mod acks;
    mod addresses;
    mod checksums;
    mod closing;
    mod congestion;
    mod ecn;
    mod failures;
    mod icmp;
    mod interface;
    mod ip_options;
    mod isn;
    mod keep_alive;
    mod opening;
    mod options;
    mod push;
    mod retransmissions;
    mod rfc5961;
    mod sending;
    mod urgent;
    mod window;

    mod table;
}
