//! Window (RFC 9293 §3.1, §3.4, §3.8.6).

use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::{Config, Setting, UserTimeout};
use smoltcp::time::Duration;

use super::driver::{ACK, Craft, Driver, RST, State, Told, configured, in_state, in_states};

/// Longer than any user timeout.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// SND.WND.
fn snd_wnd(tcp: &Driver) -> u32 {
    tcp.status().unwrap().snd_wnd
}

/// How far the peer has to take what is sent.
fn reach(sent: &[Segment], tcp: &Driver) -> u32 {
    sent.iter().map(|s| s.end().distance_from(tcp.snd_una())).max().unwrap_or(0)
}

/// Two segments are outstanding, and then the peer takes its window back to `wnd` octets.
fn with_a_shrunk_window(wnd: u16, check: impl Fn(&mut Driver)) {
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(2920));
        assert_eq!(tcp.send(&[b'x'; 5000]).len(), 2);
        assert_eq!(tcp.arrives(tcp.neutral(ACK).window(wnd)), []);
        check(tcp);
    });
}

/// The peer's window is zero and we have text.
fn with_a_zero_window(check: impl Fn(&mut Driver)) {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        tcp.arrives(tcp.neutral(ACK).window(0));
        assert_eq!(tcp.send(b"text"), []);
        check(tcp);
    });
}

#[test]
fn must_1_the_window_is_unsigned() {
    in_state(State::Established, |tcp| {
        for wnd in [1, 0x7fff, 0x8000, 0xffff] {
            tcp.arrives(tcp.neutral(ACK).window(wnd));
            assert_eq!(snd_wnd(tcp), u32::from(wnd));
        }
        assert_eq!(reach(&tcp.send(&[b'x'; 14_600]), tcp), 14_600);
    });
}

#[test]
fn must_34_a_shrinking_window_is_survived() {
    for wnd in [0, 1, 1459, 1460, 2919] {
        with_a_shrunk_window(wnd, |tcp| {
            let nxt = tcp.snd_nxt();
            for _ in 0..3 {
                tcp.wait(Duration::from_secs(10));
                tcp.arrives(tcp.neutral(ACK).window(wnd));
            }
            assert_eq!(tcp.snd_nxt(), nxt);
            // It opens again: everything arrives.
            for _ in 0..5 {
                tcp.arrives(tcp.in_order(ACK).window(20_000));
            }
            assert_eq!((tcp.status().unwrap().snd_buffered_bytes, tcp.snd_una()), (0, nxt + 2080));
        });
    }
}

#[test]
fn must_35_a_window_shrunk_to_zero_is_probed() {
    with_a_shrunk_window(0, |tcp| {
        let una = tcp.snd_una();
        let (_, probe) = tcp.next_segment(AN_HOUR).unwrap();
        assert_eq!((probe.seq, probe.payload.len()), (una, 1));
        // The answer to a probe opens it.
        let sent = tcp.arrives(tcp.neutral(ACK).window(2920));
        assert_eq!((sent[0].seq, sent[0].payload.len()), (una, 1460));
    });
}

#[test]
fn must_36_a_zero_window_is_probed() {
    with_a_zero_window(|tcp| {
        let (_, probe) = tcp.next_segment(AN_HOUR).unwrap();
        assert_eq!((&probe.payload[..], probe.seq), (&b"t"[..], tcp.snd_una()));
        // The peer may take the octet of the probe, too.
        let sent = tcp.arrives(tcp.in_order(ACK).window(100));
        assert_eq!(sent[0].payload, b"ext");
    });
    // So is a FIN's, without text before it.
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        tcp.arrives(tcp.neutral(ACK).window(0));
        tcp.close();
        let (_, probe) = tcp.next_segment(AN_HOUR).unwrap();
        assert!(probe.control.fin() && probe.payload.is_empty(), "{probe}");
    });
}

#[test]
fn must_37_the_connection_stays_open_as_long_as_probes_are_acknowledged() {
    with_a_zero_window(|tcp| {
        let start = tcp.now();
        while tcp.now() < start + AN_HOUR {
            tcp.next_segment(AN_HOUR).expect("a probe");
            tcp.arrives(tcp.neutral(ACK).window(0));
        }
        assert_eq!((tcp.status().unwrap().snd_buffered_bytes, tcp.told()), (4, vec![]));
        // The octet of the probe may come alone.
        let mut sent = tcp.arrives(tcp.neutral(ACK).window(100));
        sent.extend(tcp.arrives(tcp.in_order(ACK).window(100)));
        let text: Vec<u8> = sent.into_iter().flat_map(|s| s.payload).collect();
        assert_eq!(text, b"text");
    });
    // However impatient the user is: the probes come more rarely than its timeout.
    for seconds in [1, 5, 59, 60] {
        with_a_zero_window(|tcp| {
            tcp.set(Setting::UserTimeout(UserTimeout::After(Duration::from_secs(seconds))));
            let start = tcp.now();
            while tcp.now() < start + AN_HOUR {
                tcp.next_segment(AN_HOUR).expect("a probe");
                tcp.arrives(tcp.neutral(ACK).window(0));
            }
            assert_eq!(tcp.told(), vec![], "{seconds} s");
            let last = tcp.next_segment(AN_HOUR).expect("a probe");
            tcp.wait(Duration::from_secs(seconds) - Duration::from_micros(1));
            assert_eq!(tcp.told(), vec![], "{last:?}");
            tcp.wait(Duration::from_micros(1));
            assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
        });
    }
    // And no longer.
    with_a_zero_window(|tcp| {
        tcp.wait(AN_HOUR);
        assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::TimedOut]));
    });
}

#[test]
fn must_66_a_rst_is_obeyed_at_a_zero_window() {
    let config = Config { rcv_buff_bytes: 4, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.arrives(tcp.data(b"full"));
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.rcv_wnd(), 0);
        tcp.drops(tcp.neutral(RST).at(tcp.rcv_nxt() - 1));
        tcp.drops(tcp.neutral(RST).at(tcp.rcv_nxt() + 1));
        tcp.ends(tcp.neutral(RST), State::Closed, &[Told::Reset]);
    });
}

#[test]
fn shld_14_our_window_does_not_shrink() {
    // `Driver` asserts it of every segment without scaling; here with it, rounded as the shift has it.
    in_state(State::Listen, |listening| {
        let config = Config { rcv_buff_bytes: 200_000, ..Config::default() };
        let mut tcp = Driver::numbered(config, listening.iss(), listening.irs());
        let syn = tcp.syn().mss(1460).window_scale(7);
        tcp.bring_to_with(State::Established, syn);
        let mut right = tcp.rcv_nxt() + tcp.rcv_wnd();
        for step in 0..3000_usize {
            let text = vec![b'x'; (step * 7 % 300).min(usize::try_from(tcp.rcv_wnd()).unwrap())];
            tcp.arrives(tcp.data(&text));
            tcp.wait(Duration::from_millis(50));
            let now = tcp.rcv_nxt() + tcp.rcv_wnd();
            assert!(now.is_at_or_after(right), "step {step}: from {right} to {now}");
            right = now;
            if step % 500 == 499 {
                tcp.receive_some(step * 40);
            }
        }
    });
}

#[test]
fn shld_15_no_new_text_goes_past_a_shrunk_window() {
    for wnd in [1, 1000, 2919, 2920] {
        with_a_shrunk_window(wnd, |tcp| {
            let nxt = tcp.snd_nxt();
            tcp.send(b"more");
            tcp.wait(Duration::from_secs(100));
            assert_eq!(tcp.snd_nxt(), nxt);
        });
    }
    with_a_shrunk_window(2919, |tcp| {
        // One octet beyond what is outstanding is enough room for the front to go on.
        let sent = tcp.arrives(tcp.neutral(ACK).acking(tcp.snd_una() + 1460).window(2920));
        assert_eq!(reach(&sent, tcp), 2920);
    });
}

#[test]
fn shld_16_old_text_within_a_shrunk_window_is_sent_again() {
    with_a_shrunk_window(1000, |tcp| {
        let (_, again) = tcp.next_segment(AN_HOUR).unwrap();
        assert_eq!((again.seq, again.payload.len()), (tcp.snd_una(), 1000));
    });
}

#[test]
fn shld_17_text_past_a_shrunk_window_does_not_time_the_connection_out() {
    with_a_shrunk_window(10, |tcp| {
        let (start, una) = (tcp.now(), tcp.snd_una());
        while tcp.now() < start + AN_HOUR {
            tcp.next_segment(AN_HOUR).expect("a retransmission or a probe");
            tcp.arrives(tcp.neutral(ACK).acking(una + 10).window(0));
        }
        assert_eq!((tcp.state(), tcp.snd_una()), (State::Established, una + 10));
    });
}

#[test]
fn shld_29_the_first_probe_waits_for_one_rto() {
    with_a_zero_window(|tcp| {
        let (after, _) = tcp.next_segment(AN_HOUR).unwrap();
        assert_eq!(after, Duration::from_secs(1));
    });
}

#[test]
fn shld_30_probes_come_less_and_less_often() {
    with_a_zero_window(|tcp| {
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (after, _) = tcp.next_segment(AN_HOUR).unwrap();
            assert_eq!(after, Duration::from_secs(seconds));
            tcp.arrives(tcp.neutral(ACK).window(0));
        }
    });
}

#[test]
fn may_8_our_window_stays_closed_as_long_as_nobody_reads() {
    let config = Config { rcv_buff_bytes: 100, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.arrives(tcp.data(&[b'x'; 100]));
        for _ in 0..60 {
            tcp.wait(Duration::from_secs(60));
            // A probe of the peer's is answered each time.
            let answers = tcp.arrives(tcp.data(b"p"));
            tcp.is_bare_ack(answers.first());
            assert_eq!(answers[0].wnd, 0);
        }
        assert_eq!((tcp.state(), tcp.receive().len()), (State::Established, 100));
        // Then the peer hears of it at once, unasked.
        let (after, update) = tcp.next_segment(AN_HOUR).unwrap();
        assert_eq!((after, update.wnd), (Duration::ZERO, 100));
    });
}

#[test]
fn rec_1_windows_have_32_bits() {
    in_state(State::Listen, |listening| {
        let config = Config { rcv_buff_bytes: 1 << 29, ..Config::default() };
        let mut tcp = Driver::numbered(config, listening.iss(), listening.irs());
        let syn = tcp.syn().mss(1460).window_scale(14);
        tcp.bring_to_with(State::Established, syn);
        tcp.arrives(tcp.neutral(ACK).window(u16::MAX));
        assert_eq!(snd_wnd(&tcp), 65_535 << 14);
        // Ours, once it has opened: a segment announces it.
        tcp.arrives(tcp.data(b"ab"));
        tcp.wait(Duration::from_secs(1));
        assert!(tcp.rcv_wnd() >= (1 << 29) - (1 << 14), "{}", tcp.rcv_wnd());
    });
}
