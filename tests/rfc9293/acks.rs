//! Generating ACKs (RFC 9293 §3.8.6.2.2, §3.8.6.3, §3.10.7.4).

use session_tcp::tcp::Config;
use smoltcp::time::Duration;

use super::driver::{Craft, State, configured, in_state};

const MSS: usize = 1460;
/// Text of a maximum-sized segment.
const FULL: &[u8] = &[b'x'; MSS];

#[test]
fn must_39_the_window_opens_by_a_segment_or_half_the_buffer_or_not_at_all() {
    for (buffer, worthwhile) in [(10_000, MSS), (1000, 500)] {
        let config = Config { rcv_buff_bytes: buffer, ..Config::default() };
        configured(&config, State::Established, |tcp| {
            for part in vec![b'x'; buffer].chunks(MSS) {
                tcp.arrives(tcp.data(part));
            }
            tcp.wait(Duration::from_secs(1));
            assert_eq!(tcp.rcv_wnd(), 0);
            assert_eq!(tcp.receive_some(worthwhile - 1).len(), worthwhile - 1);
            assert_eq!(tcp.wait(Duration::from_secs(10)), [], "not worthwhile yet");
            // Nor does an answer to a probe say so.
            assert_eq!(tcp.arrives(tcp.data(b"p"))[0].wnd, 0);
            tcp.receive_some(1);
            let sent = tcp.wait(Duration::ZERO);
            assert_eq!(sent.iter().map(|s| usize::from(s.wnd)).collect::<Vec<_>>(), [worthwhile]);
        });
    }
}

#[test]
fn must_40_an_ack_is_delayed_by_less_than_half_a_second() {
    in_state(State::Established, |tcp| {
        for text in [&b"a"[..], FULL] {
            assert_eq!(tcp.arrives(tcp.data(text)), []);
            let (after, ack) = tcp.next_segment(Duration::from_secs(10)).expect("an ACK");
            assert!(after < Duration::from_millis(500), "{after}");
            tcp.is_bare_ack(Some(&ack));
        }
    });
}

#[test]
fn must_58_one_ack_answers_all_that_has_arrived() {
    in_state(State::Established, |tcp| {
        let start = tcp.rcv_nxt();
        let segments: Vec<_> = (0..10).map(|n| tcp.data(FULL).at(start + 1460 * n)).collect();
        let answers = tcp.arrive_together(segments);
        assert_eq!(answers.len(), 1, "{answers:?}");
        tcp.is_bare_ack(answers.first());
        assert_eq!(answers[0].ack, start + 14_600);
    });
    // On text of our own it costs nothing.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"text"));
        assert_eq!(tcp.send(b"answer")[0].ack, tcp.rcv_nxt());
        assert!(tcp.wait(Duration::from_millis(500)).is_empty(), "no further ACK");
    });
}

#[test]
fn must_59_what_waits_in_the_queue_is_processed_before_an_ack_is_sent() {
    in_state(State::Established, |tcp| {
        // Were they answered one by one, the first would cause a duplicate ACK.
        let (first, second) = (tcp.data(b"ab"), tcp.data(b"cd").at(tcp.rcv_nxt() + 2));
        let answers = tcp.arrive_together([second, first]);
        assert_eq!((answers.len(), answers[0].ack), (1, tcp.irs() + 5));
    });
}

#[test]
fn shld_18_an_ack_waits_for_company() {
    in_state(State::Established, |tcp| {
        assert_eq!(tcp.arrives(tcp.data(b"text")), []);
        assert_eq!(tcp.wait(Duration::from_millis(39)), []);
        assert_eq!(tcp.wait(Duration::from_millis(1)).len(), 1);
    });
}

#[test]
fn shld_19_every_second_full_segment_is_acknowledged_at_once() {
    in_state(State::Established, |tcp| {
        for _ in 0..5 {
            assert_eq!(tcp.arrives(tcp.data(FULL)), []);
            let answers = tcp.arrives(tcp.data(FULL));
            assert_eq!(answers.len(), 1);
            tcp.is_bare_ack(answers.first());
        }
    });
}

#[test]
fn shld_31_text_out_of_order_is_held() {
    in_state(State::Established, |tcp| {
        let start = tcp.rcv_nxt();
        let mut late = Vec::new();
        for n in 0..20 {
            let segment = tcp.data(&[b'a' + u8::try_from(n).unwrap(); 100]).at(start + 100 * n);
            if n % 3 == 0 { late.push(segment) } else { _ = tcp.arrives(segment) }
        }
        assert_eq!(tcp.rcv_nxt(), start);
        tcp.arrive_together(late);
        let text: Vec<u8> = (0..20_u8).flat_map(|n| [b'a' + n; 100]).collect();
        assert_eq!((tcp.receive(), tcp.rcv_nxt()), (text, start + 2000));
    });
}

#[test]
fn may_13_text_out_of_order_is_acknowledged_at_once() {
    in_state(State::Established, |tcp| {
        for n in 1..5 {
            let segment = tcp.data(b"x").at(tcp.rcv_nxt() + 2 * n);
            tcp.acknowledges(segment);
        }
        // And what fills a gap, too (RFC 5681 §4.2).
        let answers = tcp.arrives(tcp.data(b"ab"));
        assert_eq!(answers.len(), 1);
        tcp.is_bare_ack(answers.first());
    });
}
