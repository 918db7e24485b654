//! Send Keep-alive Packets (RFC 9293 §3.8.4).

use session_tcp::tcp::{Config, KeepAlive, Setting};
use smoltcp::time::Duration;

use super::driver::{ACK, Craft, Driver, State, Told, configured, in_state, in_states};

const MINUTE: Duration = Duration::from_secs(60);
/// Idle time that no keep-alive would outlast.
const A_MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A connection that is kept alive every ten minutes.
fn kept_alive(check: impl Fn(State, &mut Driver)) {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        tcp.set(Setting::KeepAlive(KeepAlive::Every(MINUTE * 10)));
        check(state, tcp);
    });
}

#[test]
fn must_24_keep_alives_are_switched_by_the_user() {
    kept_alive(|_, tcp| {
        let (after, _) = tcp.next_segment(A_MONTH).expect("a probe");
        assert_eq!(after, MINUTE * 10);
        tcp.arrives(tcp.neutral(ACK));
        tcp.set(Setting::KeepAlive(KeepAlive::Off));
        assert_eq!(tcp.wait(A_MONTH), []);
    });
}

#[test]
fn must_25_keep_alives_are_off_by_default() {
    assert_eq!(Config::default().keep_alive, KeepAlive::Off);
    in_states(&[State::Established, State::CloseWait], |_, tcp| assert_eq!(tcp.wait(A_MONTH), []));
}

#[test]
fn must_26_none_is_sent_while_something_arrives_or_is_outstanding() {
    kept_alive(|_, tcp| {
        for _ in 0..10 {
            assert_eq!(tcp.wait(MINUTE * 9), []);
            tcp.arrives(tcp.neutral(ACK));
        }
        assert_eq!(tcp.wait(MINUTE * 10).len(), 1);
        tcp.arrives(tcp.neutral(ACK));
        // Retransmissions find out as well.
        tcp.send(b"text");
        let sent = tcp.wait(A_MONTH);
        assert!(sent.iter().all(|s| s.payload == b"text"), "{sent:?}");
    });
}

#[test]
fn must_27_the_interval_is_set() {
    for minutes in [1, 7, 600] {
        let config = Config { keep_alive: KeepAlive::Every(MINUTE * minutes), ..Config::default() };
        configured(&config, State::Established, |tcp| {
            let (after, _) = tcp.next_segment(A_MONTH).expect("a probe");
            assert_eq!(after, MINUTE * minutes);
        });
    }
}

#[test]
fn must_28_the_interval_is_two_hours_by_default() {
    in_state(State::Established, |tcp| {
        tcp.set(Setting::KeepAlive(KeepAlive::ON));
        let (after, _) = tcp.next_segment(A_MONTH).expect("a probe");
        assert_eq!(after, MINUTE * 120);
    });
}

#[test]
fn must_29_one_unanswered_probe_is_no_death() {
    kept_alive(|state, tcp| {
        let mut probes = 0;
        while tcp.next_segment(A_MONTH).is_some() {
            probes += 1;
            assert_eq!(tcp.state(), state);
        }
        assert_eq!(probes, 9);
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
    // An answer to any of them, and all is well.
    kept_alive(|state, tcp| {
        for probe in 1..100 {
            tcp.next_segment(A_MONTH).expect("a probe");
            if probe % 9 == 0 {
                tcp.arrives(tcp.neutral(ACK));
            }
        }
        assert_eq!(tcp.state(), state);
    });
}

#[test]
fn shld_12_a_probe_is_the_octet_before_the_next_without_text() {
    kept_alive(|_, tcp| {
        let (_, probe) = tcp.next_segment(A_MONTH).expect("a probe");
        assert_eq!((probe.control, probe.seq, probe.ack), (ACK, tcp.snd_nxt() - 1, tcp.rcv_nxt()));
        assert_eq!(probe.payload, b"");
    });
}

#[test]
fn may_5_an_idle_connection_is_kept_alive_and_one_of_the_peers_is_answered() {
    kept_alive(|state, tcp| {
        for _ in 0..10 {
            let (after, _) = tcp.next_segment(A_MONTH).expect("a probe");
            assert_eq!(after, MINUTE * 10);
            tcp.arrives(tcp.neutral(ACK));
        }
        assert_eq!(tcp.state(), state);
        // With and without an octet of garbage.
        tcp.acknowledges(tcp.neutral(ACK).at(tcp.rcv_nxt() - 1));
        tcp.acknowledges(tcp.neutral(ACK).at(tcp.rcv_nxt() - 1).text(b"?"));
    });
}
