//! Opening Connections (RFC 9293 §3.5, §3.9.1.1, §3.9.2.3).

use session_tcp::smol_lower::{ListenError, LowerConfig};
use session_tcp::tcp::Config;
use smoltcp::wire::Ipv4Packet;

use super::driver::{ACK, Craft, FAR, FIN, PEER, RST, SYN, State, Told, US, in_state, in_states};
use super::layers::{Wire, connected, from_peer};

#[test]
fn must_10_both_sides_may_open_at_once() {
    // RFC 9293 §3.5, figure 8: SYN-SENT, SYN-RECEIVED by the SYN, ESTABLISHED by the SYN,ACK.
    in_state(State::SynSent, |tcp| {
        let answers = tcp.arrives(tcp.syn().mss(1000));
        assert_eq!((answers[0].control, answers[0].seq, answers[0].ack), (SYN | ACK, tcp.iss(), tcp.irs() + 1));
        assert_eq!(tcp.state(), State::SynCrossed);
        tcp.ends(tcp.syn().and(ACK).acking(tcp.snd_nxt()).window(500), State::Established, &[Told::Connected]);
        assert_eq!((tcp.rcv_nxt(), tcp.snd_una()), (tcp.irs() + 1, tcp.iss() + 1));
        assert_eq!((tcp.status().unwrap().snd_wnd, tcp.status().unwrap().mss), (500, 1000));
        tcp.arrives(tcp.data(b"text"));
        assert_eq!(tcp.receive(), b"text");
    });
    // By an ACK as well, as the peer answers the SYN,ACK that it has no use for.
    in_state(State::SynCrossed, |tcp| tcp.ends(tcp.in_order(ACK), State::Established, &[Told::Connected]));
}

#[test]
fn must_10_a_syn_ack_that_is_not_the_crossed_one_does_not_establish() {
    in_state(State::SynCrossed, |tcp| {
        for seq in [tcp.irs() - 1, tcp.irs() + 1, tcp.irs() + FAR] {
            tcp.acknowledges(tcp.syn().and(ACK).acking(tcp.snd_nxt()).at(seq));
        }
        for ack in [tcp.iss(), tcp.snd_nxt() + 1] {
            tcp.arrives(tcp.syn().and(ACK).acking(ack));
            assert_eq!(tcp.state(), State::SynCrossed);
        }
    });
    // After a passive OPEN there is none.
    in_state(State::SynReceived, |tcp| tcp.acknowledges(tcp.syn().and(ACK).acking(tcp.snd_nxt())));
}

#[test]
fn must_10_text_in_the_crossed_syn_ack_is_taken() {
    in_state(State::SynCrossed, |tcp| {
        tcp.arrives(tcp.syn().and(ACK).acking(tcp.snd_nxt()).text(b"text"));
        assert_eq!((tcp.state(), tcp.receive()), (State::Established, b"text".to_vec()));
    });
}

#[test]
fn must_11_syn_received_remembers_where_it_came_from() {
    in_state(State::SynReceived, |tcp| tcp.ends(tcp.neutral(RST), State::Listen, &[]));
    in_state(State::SynCrossed, |tcp| tcp.ends(tcp.neutral(RST), State::Closed, &[Told::Refused]));
    in_state(State::SynReceived, |tcp| tcp.ends(tcp.neutral(SYN), State::Listen, &[]));
    in_state(State::SynCrossed, |tcp| tcp.acknowledges(tcp.neutral(SYN)));
}

#[test]
fn must_41_a_second_passive_open_fails_and_leaves_the_first_alone() {
    let wire = Wire::new(&LowerConfig::default());
    let first = wire.lower.listen(555).unwrap();
    wire.send(&from_peer(SYN));
    let arrival = first.receiver().recv().unwrap();
    assert!(matches!(wire.lower.listen(555), Err(ListenError::InUse { port: 555 })));
    // Neither the port nor the connection it has notices.
    wire.send(&from_peer(ACK));
    assert_eq!(arrival.into_inbox().unwrap().receiver().recv().unwrap().control, ACK);
    wire.send(&from_peer(SYN).at(5.into_seq()));
    assert_eq!(first.receiver().recv().unwrap().remote, PEER);
}

/// A number as a sequence number.
trait IntoSeq {
    fn into_seq(self) -> session_tcp::tcp::seq::SeqNum;
}

impl IntoSeq for u32 {
    fn into_seq(self) -> session_tcp::tcp::seq::SeqNum {
        session_tcp::tcp::seq::SeqNum::new(self)
    }
}

#[test]
fn must_42_a_port_is_listened_on_while_a_connection_of_it_is_being_opened() {
    let wire = Wire::new(&LowerConfig::default());
    let backlog = wire.lower.listen(555).unwrap();
    let mut half_open = Vec::new();
    for port in 40_000..40_005 {
        let mut syn = from_peer(SYN);
        syn.src_port = port;
        wire.send(&syn);
        let arrival = backlog.receiver().recv().unwrap();
        assert_eq!(arrival.remote.port(), port);
        half_open.push(arrival);
    }
}

#[test]
fn must_45_every_segment_comes_from_the_address_the_connection_was_opened_at() {
    let (mut peer, _user, _st) = connected(Config::default());
    peer.send(b"text");
    let (first, _) = peer.wire.next_packet();
    peer.wire.send(&peer.ack.clone().at(peer.ack.seq - 1));
    let (challenge, _) = peer.wire.next_packet();
    peer.finish();
    let (ack_of_fin, _) = peer.wire.next_packet();
    for packet in [first, challenge, ack_of_fin] {
        let ip = Ipv4Packet::new_checked(&packet[..]).unwrap();
        assert_eq!((ip.src_addr(), ip.dst_addr()), (*US.ip(), *PEER.ip()));
    }
}

#[test]
fn must_57_a_syn_for_a_broadcast_or_multicast_address_is_dropped_in_silence() {
    let wire = Wire::new(&LowerConfig::default());
    let backlog = wire.lower.listen(555).unwrap();
    for destination in ["192.0.2.255", "192.0.2.0", "255.255.255.255", "224.0.0.1", "239.255.255.255", "0.0.0.0"] {
        for control in [SYN, ACK, FIN | ACK] {
            wire.send_between(*PEER.ip(), destination.parse().unwrap(), &from_peer(control));
        }
    }
    wire.is_quiet();
    assert!(backlog.receiver().is_empty());
    // For our own it is taken.
    wire.send(&from_peer(SYN));
    assert_eq!(backlog.receiver().recv().unwrap().remote, PEER);
}

#[test]
fn a_handshake_needs_the_exact_numbers() {
    in_states(&[State::SynReceived, State::SynCrossed], |_, tcp| {
        tcp.acknowledges(tcp.in_order(ACK).at(tcp.rcv_nxt() - 1));
        tcp.refuses(tcp.in_order(ACK).acking(tcp.snd_nxt() + 1));
        tcp.refuses(tcp.in_order(ACK).acking(tcp.snd_nxt() - 1));
        tcp.ends(tcp.in_order(ACK), State::Established, &[Told::Connected]);
    });
}
