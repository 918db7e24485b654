//! Sending Data (RFC 9293 §3.7.4, §3.8.6.2.1, §3.9.2).

use session_tcp::smol_lower::LowerConfig;
use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::{Config, Nagle};
use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Packet;

use super::driver::{ACK, Craft, State, configured, in_state};
use super::layers::{Wire, from_peer};

/// Octets of text in each.
fn sizes(sent: &[Segment]) -> Vec<usize> {
    sent.iter().map(|s| s.payload.len()).collect()
}

#[test]
fn must_17_nagle_can_be_turned_off() {
    let config = Config { nagle: Nagle::Off, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        for _ in 0..5 {
            assert_eq!(sizes(&tcp.send(b"a")), [1]);
        }
    });
}

#[test]
fn shld_7_a_small_segment_waits_while_another_is_outstanding() {
    in_state(State::Established, |tcp| {
        assert_eq!(sizes(&tcp.send(b"a")), [1]);
        for _ in 0..5 {
            assert_eq!(tcp.send(b"bc"), []);
        }
        // A full one does not wait, and takes with it what waited.
        assert_eq!(sizes(&tcp.send(&[b'x'; 1455])), [1460]);
        assert_eq!(sizes(&tcp.arrives(tcp.in_order(ACK))), [5]);
        // Nothing is outstanding: nothing waits.
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!(sizes(&tcp.send(b"d")), [1]);
    });
}

#[test]
fn must_38_no_silly_segments_are_sent_into_a_small_window() {
    in_state(State::Established, |tcp| {
        // Three quarters of a segment fit: less than half of the largest window there was, and not all there is.
        tcp.arrives(tcp.neutral(ACK).window(1095));
        assert_eq!(tcp.send(&[b'x'; 10_000]), []);
        // The override: between 0.1 and 1 second later it goes nevertheless.
        let (after, segment) = tcp.next_segment(Duration::from_secs(60)).unwrap();
        assert!(Duration::from_millis(100) <= after && after <= Duration::from_secs(1), "{after}");
        assert_eq!(segment.payload.len(), 1095);
        // While something is outstanding, a window of one more octet is not worth a segment.
        tcp.arrives(tcp.neutral(ACK).window(1096));
        assert_eq!(tcp.wait(Duration::from_millis(300)), []);
    });
}

#[test]
fn must_38_a_full_segment_or_half_the_largest_window_or_all_there_is_goes_at_once() {
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(1460));
        assert_eq!(sizes(&tcp.send(&[b'x'; 10_000])), [1460]);
    });
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(1095));
        assert_eq!(sizes(&tcp.send(&[b'x'; 1095])), [1095]);
    });
    // The largest window that this peer ever had is 1000 octets.
    for (wnd, sent) in [(500, vec![500]), (499, vec![])] {
        in_state(State::SynReceived, |tcp| {
            let mut small = super::driver::Driver::numbered(Config::default(), tcp.iss(), tcp.irs());
            small.listen();
            small.arrives(small.syn().mss(1460).window(1000));
            small.arrives(small.in_order(ACK).window(wnd));
            assert_eq!(sizes(&small.send(&[b'x'; 10_000])), sent);
        });
    }
}

#[test]
fn must_49_the_time_to_live_is_what_was_set() {
    for ttl in [64, 1, 255] {
        let wire = Wire::new(&LowerConfig { ttl, ..LowerConfig::default() });
        // Of the answer that a closed port gives, and of a segment of a connection.
        wire.send(&from_peer(ACK));
        let (packet, _) = wire.next_packet();
        assert_eq!(Ipv4Packet::new_checked(&packet[..]).unwrap().hop_limit(), ttl);
    }
}
