//! RFC 5961 Support (RFC 9293 §3.10.7.4).

use smoltcp::time::Duration;

use super::driver::{ACK, Craft, FIN, PEER_WND, RST, SYN, State, in_state, in_states};

#[test]
fn may_12_an_ack_too_old_to_be_the_peers_is_answered_with_an_ack() {
    in_states(&State::TRANSFERRING, |_, tcp| {
        let lowest = tcp.snd_una() - u32::from(PEER_WND);
        for control in [ACK, FIN | ACK] {
            tcp.acknowledges(tcp.neutral(control).acking(lowest - 1));
            tcp.acknowledges(tcp.neutral(control).acking(lowest - 1).text(b"injected"));
        }
    });
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"text").acking(tcp.snd_una() - u32::from(PEER_WND)));
        assert_eq!(tcp.receive(), b"text");
    });
    // MAX.SND.WND is the largest window the peer ever had, and forgets nothing.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(50_000));
        tcp.arrives(tcp.neutral(ACK).window(10));
        tcp.arrives(tcp.data(b"text").acking(tcp.snd_una() - 50_000));
        assert_eq!(tcp.receive(), b"text");
        tcp.acknowledges(tcp.neutral(ACK).acking(tcp.snd_una() - 50_001));
    });
}

#[test]
fn challenge_acks_are_throttled_for_each_connection() {
    in_states(&State::SYNCHRONIZED, |_, tcp| {
        for challenge in [RST, SYN] {
            tcp.wait(Duration::from_secs(5));
            let segment = match challenge {
                RST => tcp.neutral(RST).at(tcp.rcv_nxt() + 1),
                _ => tcp.neutral(SYN).at(tcp.rcv_nxt() - 1),
            };
            let answers: usize = (0..100).map(|_| tcp.arrives(segment.clone()).len()).sum();
            assert_eq!(answers, 10, "RFC 5961 §7: so many in five seconds");
        }
    });
}
