//! What `--set` sets, seen from outside.

mod common;

use common::SERVER;
use common::capture::Capture;
use common::namespace::in_namespace;
use common::peer::Peer;
use common::segment::{ACK, CWR, ECE, RST, SYN, Segment};
use common::server::Server;
use std::time::{Duration, Instant};

/// MSS, SACK, timestamps and window scaling, as Linux has them in its SYN.
const ALL_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

/// The SYN,ACK for a SYN that asks for everything.
fn answer_to_everything() -> Segment {
    let mut peer = Peer::new();
    let syn = Segment { flags: SYN | ECE | CWR, ..peer.syn().options(&ALL_OPTIONS) };
    peer.open_with(syn)
}

#[test]
fn hops_and_codepoint_are_in_each_packet_of_a_connection() {
    in_namespace(|| {
        let _server = Server::start_with(&["--set", "ttl=5", "--set=dscp=46"]);
        let capture = Capture::start();
        let mut peer = Peer::established();
        peer.exchange(b"hello\n");
        peer.close();
        // The RST by which the peer sees that the connection is gone belongs to none.
        let is_ours = |packet: &Vec<u8>| packet[12..16] == SERVER.octets() && packet[9] == 6 && packet[33] & RST == 0;
        let ours: Vec<_> = capture.packets().into_iter().filter(is_ours).collect();
        assert!(ours.len() >= 3, "SYN,ACK, answer, FIN");
        let others: Vec<_> = ours.iter().filter(|packet| packet[8] != 5 || packet[1] >> 2 != 46).collect();
        assert!(others.is_empty(), "{others:?}");
    });
}

#[test]
fn an_idle_peer_is_asked_and_its_answer_is_enough() {
    in_namespace(|| {
        let mut server = Server::start_with(&["--set", "keep-alive=1"]);
        let mut peer = Peer::established();
        for _ in 0..3 {
            let quiet_since = Instant::now();
            let rcv_nxt = peer.rcv_nxt;
            peer.expect("keep-alive", |s| s.flags == ACK && s.seq == rcv_nxt.wrapping_sub(1) && s.payload.is_empty());
            assert!(quiet_since.elapsed() > Duration::from_millis(900));
            peer.send(peer.acknowledgement());
        }
        peer.exchange(b"still here\n");
        peer.close();
        server.assert_alive();
    });
}

#[test]
fn a_peer_that_acknowledges_nothing_is_given_up_in_time() {
    in_namespace(|| {
        let server = Server::start_with(&["--set", "user-timeout=2"]);
        let mut peer = Peer::established();
        peer.send_data(b"hello\n");
        peer.expect("answer", |s| !s.payload.is_empty());
        server.wait_for_log("ESTABLISHED -> CLOSED");
        server.wait_for_log("connection timed out");
        peer.send(peer.acknowledgement());
        peer.expect_rst_for(peer.rcv_nxt);
    });
}

/// How many of two short answers come before the first is acknowledged.
fn answers_at_once(arguments: &[&str]) -> usize {
    let _server = Server::start_with(arguments);
    let mut peer = Peer::established();
    let mut answers = 0;
    for line in [b"a\n", b"b\n"] {
        peer.send_data(line);
        // Shorter than the first retransmission takes.
        let end = Instant::now() + Duration::from_millis(400);
        let (mut next, seq) = (None, peer.rcv_nxt.wrapping_add(answers * 2));
        while next.is_none() && Instant::now() < end {
            next = peer
                .next(end.saturating_duration_since(Instant::now()))
                .filter(|s| s.seq == seq && !s.payload.is_empty());
        }
        answers += u32::from(next.is_some());
    }
    usize::try_from(answers).unwrap_or_default()
}

#[test]
fn without_nagle_a_short_answer_does_not_wait_for_the_one_before() {
    in_namespace(|| assert_eq!(answers_at_once(&["--set", "nagle=off"]), 2));
}

#[test]
fn with_nagle_a_short_answer_waits_for_the_one_before() {
    in_namespace(|| assert_eq!(answers_at_once(&[]), 1));
}

#[test]
fn what_is_switched_off_is_not_agreed_on() {
    in_namespace(|| {
        let _server = Server::start_with(&[
            "--set=sack=off",
            "--set=timestamps=off",
            "--set=ecn=off",
            "--set=congestion=newreno",
        ]);
        let syn_ack = answer_to_everything();
        assert_eq!([4, 8].map(|kind| syn_ack.option(kind)), [None, None]);
        assert_eq!(syn_ack.flags, SYN | ACK);
        assert!(syn_ack.option(3).is_some());
    });
}

#[test]
fn by_default_all_that_is_asked_for_is_agreed_on() {
    in_namespace(|| {
        let _server = Server::start();
        let syn_ack = answer_to_everything();
        assert!([3, 4, 8].iter().all(|kind| syn_ack.option(*kind).is_some()), "{syn_ack}");
        assert_eq!(syn_ack.flags, SYN | ACK | ECE);
    });
}
