//! TIMEOUTS (RFC 9293 §3.10.8).

use super::driver::{ACK, Craft, FIN, SYN, State, Told, in_state, in_states};
use smoltcp::time::Duration;

#[test]
fn user_timeout_flushes_and_the_user_is_told() {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_millis(299_999));
        assert_ne!(tcp.state(), State::Closed);
        tcp.wait(Duration::from_millis(1));
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
        assert_eq!(tcp.wait(Duration::from_secs(3600)), []);
    });
    in_states(&[State::FinWait1, State::Closing, State::LastAck], |_, tcp| {
        tcp.wait(Duration::from_secs(300));
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
}

#[test]
fn user_timeout_does_not_come_while_nothing_is_outstanding() {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        assert_eq!(tcp.wait(Duration::from_secs(1_000_000)), []);
        assert_eq!(tcp.state(), state);
    });
}

#[test]
fn retransmission_timeout_sends_the_segment_at_the_front_again_and_arms_the_timer_again() {
    in_state(State::Established, |tcp| {
        let sent = tcp.send(&[b'x'; 3 * 1460]);
        for seconds in [1, 2, 4] {
            let (after, again) = tcp.next_segment(Duration::from_secs(100)).unwrap();
            assert_eq!((after, again.seq), (Duration::from_secs(seconds), sent[0].seq));
            // At R1 the segment is cut, in case it was too large for the path (RFC 4821 §7.6.4).
            let len = if seconds == 4 { 1024 - 40 } else { 1460 };
            assert_eq!(again.payload, sent[0].payload[..len]);
        }
    });
}

#[test]
fn retransmission_timeout_of_the_handshake_and_of_the_fin_sends_them_again() {
    in_states(&[State::SynSent, State::SynReceived, State::SynCrossed], |state, tcp| {
        let (after, again) = tcp.next_segment(Duration::from_secs(100)).unwrap();
        let control = if state == State::SynSent { SYN } else { SYN | ACK };
        assert_eq!((after, again.control, again.seq), (Duration::from_secs(1), control, tcp.iss()));
    });
    in_states(&[State::FinWait1, State::Closing, State::LastAck], |_, tcp| {
        let (after, again) = tcp.next_segment(Duration::from_secs(100)).unwrap();
        assert_eq!((after, again.control, again.seq), (Duration::from_secs(1), FIN | ACK, tcp.snd_nxt() - 1));
    });
}

#[test]
fn retransmission_timeout_does_not_come_once_all_is_acknowledged() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!(tcp.wait(Duration::from_secs(1000)), []);
    });
}

#[test]
fn retransmission_timeout_sends_only_what_is_not_acknowledged() {
    in_state(State::Established, |tcp| {
        let sent = tcp.send(b"text");
        tcp.arrives(tcp.neutral(ACK).acking(sent[0].seq + 3));
        let (_, again) = tcp.next_segment(Duration::from_secs(100)).unwrap();
        assert_eq!((again.seq, &again.payload[..]), (sent[0].seq + 3, &b"t"[..]));
    });
}

#[test]
fn time_wait_timeout_closes() {
    in_state(State::TimeWait, |tcp| {
        tcp.wait(Duration::from_millis(59_999));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Duration::from_millis(1));
        assert_eq!(tcp.state(), State::Closed);
    });
}
