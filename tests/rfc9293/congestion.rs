//! Alternative Congestion Control (RFC 9293 §3.8.2).

use session_tcp::tcp::{Config, CongestionControl};
use smoltcp::time::Duration;

use super::driver::{ACK, Driver, State, configured};

/// SSTHRESH after the loss of what was outstanding, as a share of that in percent.
fn share_left(tcp: &mut Driver) -> u32 {
    tcp.send(&[b'x'; 10 * 1460]);
    tcp.arrives(tcp.neutral(ACK));
    let flight = tcp.snd_nxt().distance_from(tcp.snd_una());
    tcp.next_segment(Duration::from_secs(60)).expect("a retransmission");
    tcp.status().unwrap().ssthresh * 100 / flight
}

#[test]
fn may_18_cubic_is_the_default_and_reno_a_choice() {
    assert_eq!(Config::default().congestion, CongestionControl::Cubic);
    for (congestion, share) in [(CongestionControl::Cubic, 70), (CongestionControl::NewReno, 50)] {
        let config = Config { congestion, ..Config::default() };
        configured(&config, State::Established, |tcp| assert_eq!(share_left(tcp), share));
    }
}
