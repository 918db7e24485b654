//! PUSH flag (RFC 9293 §3.9.1.2): SEND has none, so the rules for such a SEND hold.

use smoltcp::time::Duration;

use super::driver::{ACK, Craft, PSH, State, in_state};

#[test]
fn must_60_nothing_is_buffered_indefinitely() {
    in_state(State::Established, |tcp| {
        assert_eq!(tcp.send(b"a").len(), 1);
        assert_eq!(tcp.send(b"b"), []);
        // The acknowledgement lets it go; should none come, the retransmission takes it along or is followed by it.
        assert_eq!(tcp.arrives(tcp.in_order(ACK))[0].payload, b"b");
    });
    in_state(State::Established, |tcp| {
        // Into a window too small for a segment: the override timer.
        tcp.arrives(tcp.neutral(ACK).window(100));
        assert_eq!(tcp.send(&[b'x'; 5000]), []);
        assert_eq!(tcp.wait(Duration::from_secs(1))[0].payload.len(), 100);
    });
}

#[test]
fn must_61_the_last_segment_of_what_is_buffered_is_pushed() {
    in_state(State::Established, |tcp| {
        let mut sent = tcp.send(&[b'x'; 4000]);
        sent.extend(tcp.arrives(tcp.in_order(ACK)));
        let pushed: Vec<_> = sent.iter().map(|s| (s.payload.len(), s.control.psh())).collect();
        assert_eq!(pushed, [(1460, false), (1460, false), (1080, true)]);
    });
    // It is still pushed when it is sent again; an ACK without text is not.
    in_state(State::Established, |tcp| {
        assert_eq!(tcp.send(b"text")[0].control, ACK | PSH);
        let (_, again) = tcp.next_segment(Duration::from_secs(2)).unwrap();
        assert_eq!(again.control, ACK | PSH);
        tcp.arrives(tcp.in_order(ACK).text(b"text"));
        assert_eq!(tcp.wait(Duration::from_secs(1))[0].control, ACK);
    });
}

#[test]
fn shld_27_pushes_that_share_a_segment_become_one() {
    in_state(State::Established, |tcp| {
        tcp.send(b"a");
        for _ in 0..3 {
            tcp.send(&[b'x'; 700]);
        }
        let sent = tcp.arrives(tcp.in_order(ACK));
        let pushed: Vec<_> = sent.iter().map(|s| (s.payload.len(), s.control.psh())).collect();
        assert_eq!(pushed, [(640, true)]);
    });
}

#[test]
fn shld_28_a_segment_is_as_large_as_it_may_be() {
    in_state(State::Established, |tcp| {
        tcp.send(b"a");
        let mut sizes: Vec<usize> = Vec::new();
        for _ in 0..10 {
            sizes.extend(tcp.send(&[b'x'; 730]).iter().map(|s| s.payload.len()));
        }
        assert_eq!(sizes, [1460; 5]);
    });
}

#[test]
fn may_16_the_text_of_several_sends_shares_segments() {
    in_state(State::Established, |tcp| {
        tcp.send(b"a");
        for text in [&b"b"[..], b"c", b"d"] {
            assert_eq!(tcp.send(text), []);
        }
        assert_eq!(tcp.arrives(tcp.in_order(ACK))[0].payload, b"bcd");
    });
}
