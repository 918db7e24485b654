//! Connection Failures (RFC 9293 §3.8.3).

use session_tcp::calls::{Data, Receive, Reset, ResetCause, Set, TcbCreated};
use session_tcp::smol_lower::LowerConfig;
use session_tcp::tcp::{Advice, Config, IcmpKind, Path, Setting, UserTimeout};
use session_tcp::{ConnectingEvent, ReceivingEvent, UserSynSentEvent};
use smoltcp::time::Duration;

use super::driver::{ACK, Craft, PEER, RST, State, Told, US, configured, in_state, in_states};
use super::layers::{Wire, connected, from_peer, icmp_about, opened};

#[test]
fn must_20_at_r2_the_connection_is_closed() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        let (mut sent, mut last) = (0, Duration::ZERO);
        while let Some((after, _)) = tcp.next_segment(Duration::from_secs(1000)) {
            (sent, last) = (sent + 1, last + after);
        }
        assert!(sent >= 5 && last < Duration::from_secs(300), "{sent} retransmissions until {last}");
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
}

#[test]
fn must_20_at_r1_ip_is_advised() {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        let mut sent = tcp.send(b"text");
        sent.extend(tcp.wait(Duration::from_secs(100)));
        let doubtful = sent.iter().position(|s| s.carriage.path == Path::Doubtful).expect("advice");
        assert!((3..6).contains(&doubtful), "after {doubtful} segments");
        assert!(sent[doubtful..].iter().all(|s| s.carriage.path == Path::Doubtful));
        // An acknowledgement puts it right.
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!(tcp.send(b"text")[0].carriage.path, Path::Good);
    });
}

#[test]
fn must_21_the_user_sets_r2() {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        tcp.set(Setting::UserTimeout(UserTimeout::After(Duration::from_secs(10))));
        tcp.send(b"text");
        tcp.wait(Duration::from_micros(9_999_999));
        assert_eq!(tcp.state(), state);
        tcp.wait(Duration::from_micros(1));
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
    in_state(State::Established, |tcp| {
        tcp.set(Setting::UserTimeout(UserTimeout::Never));
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(100_000));
        assert_eq!(tcp.state(), State::Established);
    });
    // Through its channel.
    let (_peer, mut user, st) = connected(Config::default());
    let r2 = Setting::UserTimeout(UserTimeout::After(Duration::from_millis(50)));
    let st = user.select(st, session_tcp::UserOpen::Set(Set(r2))).unwrap();
    let st = user.select(st, session_tcp::UserOpen::Send(Data::new(b"text".to_vec()).unwrap())).unwrap();
    let st = user.select(st, session_tcp::UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Reset(Reset(cause), _) = user.offer(st).unwrap() else { panic!("a reset") };
    assert_eq!(cause, ResetCause::UserTimeout);
}

#[test]
fn must_22_a_syn_has_the_same_thresholds() {
    in_states(&[State::SynSent, State::SynReceived, State::SynCrossed], |_, tcp| {
        let sent = tcp.wait(Duration::from_secs(179));
        let paths: Vec<_> = sent.iter().map(|s| s.carriage.path).collect();
        assert_eq!((paths[0], *paths.last().unwrap()), (Path::Good, Path::Doubtful));
    });
    in_state(State::SynSent, |tcp| {
        tcp.wait(Duration::from_secs(180));
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
}

#[test]
fn must_22_the_user_is_told_between_r1_and_r2_of_its_syn() {
    in_state(State::SynSent, |tcp| {
        tcp.wait(Duration::from_secs(6));
        assert_eq!(tcp.advice(), None);
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.advice(), Some(Advice::Undelivered { retransmissions: 3 }));
        tcp.wait(Duration::from_secs(150));
        assert_eq!((tcp.advice(), tcp.state()), (None, State::SynSent));
    });
}

#[test]
fn must_22_the_user_that_opens_hears_of_trouble_and_of_the_end() {
    let wire = Wire::new(&LowerConfig::default());
    let (mut user, ConnectingEvent::TcbCreated(TcbCreated(()), st)) = opened(&wire, US, PEER) else {
        panic!("an ordinary peer");
    };
    let (packet, syn) = wire.next_packet();
    wire.send_packet(icmp_about(&packet, 3, 1));
    let UserSynSentEvent::Advice(advice, st) = user.offer(st).unwrap() else { panic!("advice") };
    assert_eq!(advice, Advice::Network(IcmpKind::Unreachable(1)));
    // A RST that acknowledges something else is not the peer's.
    wire.send(&from_peer(RST | ACK).acking(syn.seq));
    wire.send(&from_peer(RST | ACK).acking(syn.end()));
    let UserSynSentEvent::Reset(Reset(cause), st) = user.offer(st).unwrap() else { panic!("a reset") };
    assert_eq!(cause, ResetCause::Refused);
    let _end = st.end();
    wire.is_quiet();
}

#[test]
fn shld_9_the_user_is_told_between_r1_and_r2() {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(6));
        assert_eq!(tcp.advice(), None);
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.advice(), Some(Advice::Undelivered { retransmissions: 3 }));
        // Once.
        tcp.wait(Duration::from_secs(250));
        assert_eq!((tcp.advice(), tcp.state()), (None, state));
    });
}

#[test]
fn shld_10_r1_is_three_retransmissions_at_the_rto_of_the_time() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        for _ in 0..2 {
            tcp.next_segment(Duration::from_secs(60)).expect("a retransmission");
            assert_eq!(tcp.advice(), None);
        }
        tcp.next_segment(Duration::from_secs(60)).expect("a retransmission");
        assert!(matches!(tcp.advice(), Some(Advice::Undelivered { .. })));
    });
    // What is acknowledged in between begins anew.
    in_state(State::Established, |tcp| {
        for _ in 0..5 {
            tcp.send(b"text");
            tcp.next_segment(Duration::from_secs(60)).expect("a retransmission");
            tcp.arrives(tcp.in_order(ACK));
        }
        assert_eq!(tcp.advice(), None);
    });
}

#[test]
fn must_23_a_syn_is_sent_again_for_three_minutes() {
    for state in [State::SynSent, State::SynReceived, State::SynCrossed] {
        in_state(state, |tcp| {
            let sent = tcp.wait(Duration::from_micros(179_999_999));
            assert_eq!(tcp.state(), state);
            // 1, 3, 7, 15, 31, 63 and 123 seconds after the first.
            assert_eq!(sent.len(), 7);
            assert!(sent.iter().all(|s| s.control.syn() && s.seq == tcp.iss()));
            tcp.wait(Duration::from_micros(1));
            match state {
                State::SynSent => assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut])),
                _ => assert_ne!(tcp.state(), state),
            }
        });
    }
}

#[test]
fn shld_11_r2_is_at_least_100_seconds() {
    let UserTimeout::After(r2) = Config::default().user_timeout else { panic!("a limit") };
    assert!(r2 >= Duration::from_secs(100));
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(100));
        assert_eq!(tcp.state(), State::Established);
    });
    // It is what the parameter says.
    let config = Config { user_timeout: UserTimeout::After(Duration::from_secs(7)), ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(7));
        assert_eq!(tcp.state(), State::Closed);
    });
}
