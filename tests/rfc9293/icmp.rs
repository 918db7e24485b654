//! Receiving ICMP Messages from IP (RFC 9293 §3.9.2.2, with what RFC 5927 asks for).

use session_tcp::calls::{Data, Receive};
use session_tcp::tcp::{Advice, Config, IcmpKind};
use session_tcp::{ReceivingEvent, UserOpen};

use super::driver::{Craft, FAR, State, Told, in_state, in_states};
use super::layers::{connected, icmp_about};

const SOFT: [IcmpKind; 5] = [
    IcmpKind::Unreachable(0),
    IcmpKind::Unreachable(1),
    IcmpKind::Unreachable(5),
    IcmpKind::TimeExceeded,
    IcmpKind::ParameterProblem,
];
const HARD: [IcmpKind; 2] = [IcmpKind::Unreachable(2), IcmpKind::Unreachable(3)];

/// Type and code of Source Quench, and of two soft errors.
const SOURCE_QUENCH: (u8, u8) = (4, 0);
const HOST_UNREACHABLE: (u8, u8) = (3, 1);
const TIME_EXCEEDED: (u8, u8) = (11, 0);

/// Lets ICMP messages about a segment of the program's arrive; returns what the user is advised of first.
fn advised_of(messages: &[(u8, u8)]) -> Advice {
    let (peer, mut user, st) = connected(Config::default());
    let st = user.select(st, UserOpen::Send(Data::new(b"text".to_vec()).unwrap())).unwrap();
    let (packet, _) = peer.wire.next_packet();
    for (kind, code) in messages {
        peer.wire.send_packet(icmp_about(&packet, *kind, *code));
    }
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Advice(advice, _) = user.offer(st).unwrap() else { panic!("advice") };
    advice
}

#[test]
fn must_54_an_error_goes_to_the_connection_whose_segment_it_quotes() {
    assert_eq!(advised_of(&[HOST_UNREACHABLE]), Advice::Network(IcmpKind::Unreachable(1)));
    // To that one only, and only while the segment is in flight.
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        tcp.icmp(IcmpKind::TimeExceeded, tcp.snd_una());
        assert_eq!(tcp.advice(), None, "nothing is in flight");
        tcp.send(&[b'x'; 100]);
        for seq in [tcp.snd_una() - 1, tcp.snd_nxt(), tcp.snd_una() + FAR, tcp.snd_una() - FAR] {
            tcp.icmp(IcmpKind::TimeExceeded, seq);
            assert_eq!(tcp.advice(), None);
        }
        for seq in [tcp.snd_una(), tcp.snd_nxt() - 1] {
            tcp.icmp(IcmpKind::TimeExceeded, seq);
            assert_eq!(tcp.advice(), Some(Advice::Network(IcmpKind::TimeExceeded)));
        }
    });
}

#[test]
fn must_55_source_quench_is_discarded_in_silence() {
    // It comes first, and what the user hears of is the other.
    assert_eq!(advised_of(&[SOURCE_QUENCH, TIME_EXCEEDED]), Advice::Network(IcmpKind::TimeExceeded));
}

#[test]
fn must_56_soft_errors_abort_nothing() {
    in_states(&State::NUMBERED, |state, tcp| {
        for kind in SOFT {
            assert_eq!(tcp.icmp(kind, tcp.snd_una()), []);
        }
        assert_eq!((tcp.state(), tcp.told()), (state, vec![]));
    });
    in_state(State::SynSent, |tcp| {
        for kind in SOFT {
            tcp.icmp(kind, tcp.iss());
        }
        assert_eq!(tcp.state(), State::SynSent);
    });
}

#[test]
fn shld_25_soft_errors_are_made_available_to_the_user() {
    for kind in SOFT {
        in_states(&[State::Established, State::CloseWait], |_, tcp| {
            tcp.send(b"text");
            tcp.icmp(kind, tcp.snd_una());
            assert_eq!(tcp.advice(), Some(Advice::Network(kind)));
            assert_eq!(tcp.advice(), None, "once");
        });
    }
}

#[test]
fn shld_26_hard_errors_abort_a_connection_that_is_being_opened() {
    for kind in HARD {
        in_state(State::SynSent, |tcp| {
            // Only if it quotes our SYN.
            for seq in [tcp.iss() - 1, tcp.iss() + 1] {
                tcp.icmp(kind, seq);
                assert_eq!(tcp.state(), State::SynSent);
            }
            tcp.icmp(kind, tcp.iss());
            assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::Refused]));
        });
        in_state(State::SynReceived, |tcp| {
            tcp.icmp(kind, tcp.iss());
            assert_eq!(tcp.state(), State::Listen);
        });
        // Later they are soft (RFC 5927 §5.2).
        in_state(State::Established, |tcp| {
            tcp.send(b"text");
            tcp.icmp(kind, tcp.snd_una());
            assert_eq!((tcp.state(), tcp.advice()), (State::Established, Some(Advice::Network(kind))));
        });
    }
}

#[test]
fn fragmentation_needed_makes_the_segments_smaller() {
    // RFC 9293 §3.7.2, RFC 1191.
    in_state(State::Established, |tcp| {
        let sent = tcp.send(&[b'x'; 5 * 1460]);
        let again = tcp.icmp(IcmpKind::TooBig { next_hop_mtu: 1000 }, sent[0].seq);
        assert!(again.iter().all(|s| s.payload.len() <= 960), "{again:?}");
        assert_eq!(tcp.status().unwrap().mss, 960);
        tcp.arrives(tcp.neutral(super::driver::ACK).acking(sent[0].end()));
        assert!(tcp.send(&[b'x'; 5000]).iter().all(|s| s.payload.len() <= 960));
    });
}
