//! Connection Failures (RFC 9293 §3.8.3).

use session_tcp::tcp::Config;
use smoltcp::time::Duration;

use super::driver::{State, Told, configured, in_state};

#[test]
fn must_20_at_r2_the_connection_is_closed() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        let (mut sent, mut last) = (0, Duration::ZERO);
        while let Some((after, _)) = tcp.next_segment(Duration::from_secs(1000)) {
            (sent, last) = (sent + 1, last + after);
        }
        assert!(sent >= 5 && last < Config::default().user_timeout, "{sent} retransmissions until {last}");
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
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
    assert!(Config::default().user_timeout >= Duration::from_secs(100));
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(100));
        assert_eq!(tcp.state(), State::Established);
    });
    // It is what the parameter says.
    let config = Config { user_timeout: Duration::from_secs(7), ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.send(b"text");
        tcp.wait(Duration::from_secs(7));
        assert_eq!(tcp.state(), State::Closed);
    });
}
