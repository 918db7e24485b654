//! The options of TCP that Linux offers or leaves out.

use super::exchange::{WINDOW_SCALE, captured, exchange, exchange_over, from_client, from_server, handshake, set_tcp};
use crate::common::capture::Capture;
use crate::common::segment::{SYN, Segment, u16_at};
use crate::common::socket::{SocketOption, connect_with};
use crate::common::states::against_the_server;

/// The kind of the MSS option (RFC 9293 §3.2).
const MSS: u8 = 2;
/// The kind of the SACK-permitted option (RFC 2018 §2).
const SACK_PERMITTED: u8 = 4;
/// The kind of the timestamps option (RFC 7323 §3.2).
const TIMESTAMPS: u8 = 8;
/// The kind of the cookie option of TCP Fast Open (RFC 7413 §4.1.1), which the server does not know.
const FAST_OPEN: u8 = 34;

/// Octets of an exchange.
const SOME: usize = 300_000;

/// Asserts that exactly these options are in use.
fn assert_uses(segments: &[Segment], kinds: &[u8]) {
    let (syn, syn_ack) = handshake(segments);
    for kind in [WINDOW_SCALE, SACK_PERMITTED, TIMESTAMPS] {
        let expected = kinds.contains(&kind);
        assert_eq!((syn.option(kind).is_some(), syn_ack.option(kind).is_some()), (expected, expected), "option {kind}");
    }
    let stamped = segments.iter().filter(|segment| segment.option(TIMESTAMPS).is_some()).count();
    assert_eq!(stamped, if kinds.contains(&TIMESTAMPS) { segments.len() } else { 0 });
}

#[test]
fn an_option_that_linux_leaves_out_is_not_used() {
    against_the_server(|_| {
        let all = [("window_scaling", WINDOW_SCALE), ("sack", SACK_PERMITTED), ("timestamps", TIMESTAMPS)];
        assert_uses(&captured(&[], SOME), &all.map(|(_, kind)| kind));
        for (off, without) in all {
            set_tcp(&[(off, "0")]);
            let others: Vec<u8> = all.iter().map(|(_, kind)| *kind).filter(|kind| *kind != without).collect();
            assert_uses(&captured(&[], SOME), &others);
            set_tcp(&[(off, "1")]);
        }
        set_tcp(&all.map(|(name, _)| (name, "0")));
        assert_uses(&captured(&[], SOME), &[]);
    });
}

#[test]
fn timestamps_without_an_offset_and_no_duplicate_sack_make_no_difference() {
    against_the_server(|_| {
        set_tcp(&[("timestamps", "2"), ("dsack", "0")]);
        assert_uses(&captured(&[], SOME), &[WINDOW_SCALE, SACK_PERMITTED, TIMESTAMPS]);
    });
}

#[test]
fn tiny_segments_are_kept_to() {
    against_the_server(|_| {
        for named in [88, 89, 216, 536, 1000] {
            let segments = captured(&[SocketOption::largest_segment(named)], 60_000);
            let (syn, _) = handshake(&segments);
            let mss = usize::from(u16_at(syn.option(MSS).unwrap(), 0));
            assert!(mss <= usize::try_from(named).unwrap());
            // RFC 9293 §3.7.1, MUST-16: the options take their room from the text.
            let largest = from_server(&segments).map(|s| s.payload.len() + s.options.len()).max();
            assert_eq!(largest, Some(mss), "named {named}");
        }
    });
}

#[test]
fn a_syn_may_carry_text() {
    against_the_server(|_| {
        // 1: as a client; 4: text even without a cookie.
        set_tcp(&[("fastopen", "5")]);
        let capture = Capture::start();
        for _ in 0..3 {
            let mut client = connect_with(super::exchange::SERVER_SOCKET, &[SocketOption::fast_open()]);
            client.exchange(b"carried by a SYN\n");
        }
        let segments = capture.stop();
        let carried = from_client(&segments).filter(|s| s.has(SYN) && !s.payload.is_empty()).count();
        assert_eq!(carried, 3);
    });
}

#[test]
fn a_syn_may_ask_for_a_cookie_that_is_not_known_here() {
    against_the_server(|_| {
        set_tcp(&[("fastopen", "1")]);
        let capture = Capture::start();
        exchange_over(connect_with(super::exchange::SERVER_SOCKET, &[SocketOption::fast_open()]), SOME);
        let segments = capture.stop();
        let (syn, syn_ack) = handshake(&segments);
        assert!(syn.option(FAST_OPEN).is_some() && syn_ack.option(FAST_OPEN).is_none());
    });
}

#[test]
fn nagle_and_cork_and_slow_acks_lose_nothing() {
    against_the_server(|_| {
        exchange(&[], SOME);
        exchange(&[SocketOption::cork()], SOME);
        exchange(&[SocketOption::slow_acks()], SOME);
    });
}
