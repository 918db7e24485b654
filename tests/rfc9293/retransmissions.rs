//! Retransmissions (RFC 9293 §3.8.1, §3.8.2; RFC 6298, RFC 5681).

use session_tcp::tcp::Config;
use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Packet;

use super::driver::{ACK, Craft, Driver, State, configured, in_state};
use super::layers::connected;

/// RTO.
fn rto(tcp: &Driver) -> Duration {
    tcp.status().unwrap().rto
}

/// A second of text goes out, comes back acknowledged after `round_trip`.
fn one_round_trip(tcp: &mut Driver, round_trip: Duration) {
    tcp.send(b"x");
    tcp.wait(round_trip);
    tcp.arrives(tcp.in_order(ACK));
}

#[test]
fn must_18_the_timeout_follows_the_round_trips() {
    let config = Config { min_rto: Duration::from_millis(1), ..Config::default() };
    in_state(State::Listen, |listening| {
        let mut tcp = Driver::numbered(config.clone(), listening.iss(), listening.irs());
        assert_eq!(config.initial_rto, Duration::from_secs(1));
        // R = 100 ms in the handshake: SRTT = R, RTTVAR = R / 2, RTO = SRTT + 4 * RTTVAR (RFC 6298 §2.2).
        tcp.bring_to(State::SynReceived);
        tcp.wait(Duration::from_millis(100));
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!(rto(&tcp), Duration::from_millis(300));
        // R' = 200 ms: RTTVAR = 3/4 * 50 + 1/4 * 100, SRTT = 7/8 * 100 + 1/8 * 200 (§2.3).
        one_round_trip(&mut tcp, Duration::from_millis(200));
        assert_eq!(rto(&tcp), Duration::from_micros(112_500 + 4 * 62_500));
    });
}

#[test]
fn must_18_a_segment_sent_twice_is_no_measurement() {
    // Karn's algorithm: nobody knows which of the two was acknowledged.
    let config = Config { min_rto: Duration::from_millis(1), ..Config::default() };
    configured(&config, State::Established, |tcp| {
        one_round_trip(tcp, Duration::from_millis(100));
        let before = rto(tcp);
        tcp.send(b"x");
        tcp.next_segment(Duration::from_secs(60)).expect("a retransmission");
        let backed_off = rto(tcp);
        assert_eq!(backed_off, before * 2);
        tcp.wait(Duration::from_millis(1));
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!(rto(tcp), backed_off);
        // The next one is.
        one_round_trip(tcp, Duration::from_millis(100));
        assert!(rto(tcp) < backed_off);
    });
}

#[test]
fn must_19_the_window_opens_slowly_and_closes_on_loss() {
    in_state(State::Established, |tcp| {
        let cwnd = |tcp: &Driver| tcp.status().unwrap().cwnd;
        tcp.arrives(tcp.neutral(ACK).window(u16::MAX));
        // Slow start: an initial window of ten segments (RFC 6928), one more for each that is acknowledged.
        let sent = tcp.send(&[b'x'; 100_000]);
        assert_eq!(sent.len(), 10);
        let answers = tcp.arrives(tcp.neutral(ACK).acking(sent[0].end()).window(u16::MAX));
        assert_eq!((answers.len(), cwnd(tcp)), (2, 11 * 1460));
        // Loss: one segment, and half of what was outstanding as the threshold (RFC 5681 §3.1).
        let flight = tcp.snd_nxt().distance_from(tcp.snd_una());
        let (_, again) = tcp.next_segment(Duration::from_secs(60)).unwrap();
        assert_eq!((again.seq, cwnd(tcp)), (tcp.snd_una(), 1460));
        let ssthresh = tcp.status().unwrap().ssthresh;
        assert!(ssthresh >= flight / 2 && ssthresh < flight, "{ssthresh} of {flight}");
        assert_eq!(tcp.wait(Duration::from_millis(500)), [], "no more than one segment goes");
    });
}

#[test]
fn must_19_the_timeout_backs_off_to_its_double_each_time() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (after, _) = tcp.next_segment(Duration::from_secs(100)).unwrap();
            assert_eq!(after, Duration::from_secs(seconds));
        }
    });
}

#[test]
fn must_19_a_loss_is_noticed_by_duplicate_acks_long_before_the_timeout() {
    in_state(State::Established, |tcp| {
        let sent = tcp.send(&[b'x'; 10 * 1460]);
        let una = tcp.snd_una();
        let mut again = Vec::new();
        for _ in 0..3 {
            again.extend(tcp.arrives(tcp.neutral(ACK)));
        }
        assert!(again.iter().any(|s| s.seq == una && s.payload == sent[0].payload), "{again:?}");
    });
}

#[test]
fn may_4_a_segment_sent_again_has_the_identification_it_had() {
    // Zero, since no packet of ours can be fragmented (RFC 6864 §4.1).
    let quick = Duration::from_millis(20);
    let config = Config { initial_rto: quick, min_rto: quick, ..Config::default() };
    let (peer, mut user, st) = connected(config);
    let text = session_tcp::calls::Data::new(b"text".to_vec()).unwrap();
    let _st = user.select(st, session_tcp::UserOpen::Send(text)).unwrap();
    let (packets, segments): (Vec<_>, Vec<_>) = (0..2).map(|_| peer.wire.next_packet()).unzip();
    assert_eq!(segments[0], segments[1]);
    for packet in packets {
        let ip = Ipv4Packet::new_checked(&packet[..]).unwrap();
        assert_eq!((ip.ident(), ip.dont_frag(), ip.more_frags()), (0, true, false));
    }
}
