//! The path to the client is narrower than the links at its ends.

use super::exchange::{SERVER_SOCKET, exchange_over, from_server};
use crate::common::capture::Capture;
use crate::common::router::{Errors, behind_a_router};
use crate::common::segment::{HEADER, Segment};
use crate::common::socket::connect_with;
use crate::common::states::against_the_server;
use std::time::{Duration, Instant};

/// The "don't fragment" flag, in the seventh octet of an IPv4 header.
const DF: u8 = 0x40;

/// Lengths of the packets with text from the server in their order, and whether they may be cut.
fn packets_from_server(capture: Capture) -> Vec<(usize, bool)> {
    let packets = capture.packets();
    let segments = capture.stop();
    assert!(from_server(&segments).count() > 10);
    let is_text = |packet: &&Vec<u8>| {
        let segment = Segment::parse(packet);
        segment.is_some_and(|s| from_server(std::slice::from_ref(&s)).count() == 1 && !s.payload.is_empty())
    };
    packets.iter().filter(is_text).map(|packet| (packet.len(), packet[6] & DF == 0)).collect()
}

/// Sends lines over a path of this MTU, and gives the packets with text from the server, and how long it took.
fn exchange_over_a_path(mtu: u16, errors: Errors, octets: usize) -> (Vec<(usize, bool)>, Duration) {
    let capture = Capture::start();
    let began = Instant::now();
    behind_a_router(mtu, errors, || {
        exchange_over(connect_with(SERVER_SOCKET, &[]), octets);
    });
    (packets_from_server(capture), began.elapsed())
}

#[test]
fn a_smaller_path_mtu_is_learnt_from_the_router() {
    against_the_server(|_| {
        let (packets, took) = exchange_over_a_path(1000, Errors::Arrive, 1_000_000);
        let too_large = packets.iter().filter(|(length, _)| *length > 1000).count();
        // What was sent before the first error came; nothing of it waits for a timeout.
        assert!((1..40).contains(&too_large), "{too_large}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(packets.iter().all(|(_, may_be_cut)| !may_be_cut));
        assert_eq!(packets.iter().map(|(length, _)| *length).filter(|length| *length <= 1000).max(), Some(1000));
    });
}

#[test]
fn a_path_mtu_too_small_to_be_believed_gets_fragments() {
    against_the_server(|_| {
        let (packets, _) = exchange_over_a_path(400, Errors::Arrive, 200_000);
        let cut = packets.iter().filter(|(length, may_be_cut)| *may_be_cut && *length == 552).count();
        assert!(cut > 300, "{cut} of {}", packets.len());
    });
}

#[test]
fn a_black_hole_costs_seconds_and_not_the_connection() {
    against_the_server(|_| {
        let (packets, took) = exchange_over_a_path(1200, Errors::Lost, 1_000_000);
        // The third retransmission is smaller (RFC 4821 §7.6.4): after 1, 3 and 7 seconds.
        assert!(took > Duration::from_secs(6) && took < Duration::from_secs(20), "{took:?}");
        let passing = packets.iter().filter(|(length, _)| *length <= 1024).count();
        assert!(passing > 400, "{passing} of {}", packets.len());
    });
}

#[test]
fn what_fits_a_narrow_path_goes_at_once() {
    against_the_server(|_| {
        let capture = Capture::start();
        let began = Instant::now();
        behind_a_router(1200, Errors::Lost, || {
            let mut client = connect_with(SERVER_SOCKET, &[]);
            for _ in 0..20 {
                client.exchange(b"a short line\n");
            }
        });
        assert!(began.elapsed() < Duration::from_secs(3));
        let packets = packets_from_server(capture);
        assert!(packets.iter().all(|(length, _)| *length < HEADER * 5));
    });
}
