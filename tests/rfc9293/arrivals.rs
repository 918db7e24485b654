//! SEGMENT ARRIVES (RFC 9293 §3.10.7): the rows without a number, state by state, each with what just misses it.

use session_tcp::tcp::Config;
use session_tcp::tcp::segment::{Control, Segment};
use session_tcp::tcp::seq::SeqNum;
use smoltcp::time::Duration;

use super::driver::{
    ACK, Craft, Driver, FAR, FIN, PEER_WND, PSH, RST, SYN, State, Told, URG, configured, in_state, in_states,
};

/// States in which a RST, valid or not, is told to a user.
const TELLS_OF_RESET: [State; 6] =
    [State::Established, State::CloseWait, State::FinWait1, State::FinWait2, State::Closing, State::LastAck];

/// States after the peer's FIN.
const PAST_THE_FIN: [State; 4] = [State::CloseWait, State::Closing, State::LastAck, State::TimeWait];

/// Brings a connection with a receive buffer of so many octets to ESTABLISHED and fills it, so that its window is zero.
fn with_a_closed_window(check: impl Fn(&mut Driver)) {
    let config = Config { rcv_buff_bytes: 100, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        let full = tcp.data(&[b'x'; 100]);
        tcp.arrives(full);
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.rcv_wnd(), 0);
        check(tcp);
    });
}

// §3.10.7.1, CLOSED.

#[test]
fn closed_a_rst_is_dropped() {
    in_state(State::Closed, |tcp| {
        for control in [RST, RST | ACK, RST | SYN, RST | FIN, RST | SYN | ACK] {
            tcp.drops(tcp.neutral(control).text(b"text"));
        }
    });
}

#[test]
fn closed_a_segment_without_ack_is_refused_with_a_rst_that_acknowledges_it() {
    in_state(State::Closed, |tcp| {
        for (control, text, seg_len) in
            [(SYN, &b""[..], 1), (FIN, b"", 1), (SYN | FIN, b"abc", 5), (PSH | URG, b"abc", 3), (PSH, b"", 0)]
        {
            let segment = tcp.neutral(control).text(text);
            let answers = tcp.arrives(segment.clone());
            let [rst] = &answers[..] else { panic!("one RST: {answers:?}") };
            assert_eq!((rst.control, rst.seq, rst.ack), (RST | ACK, SeqNum::new(0), segment.seq + seg_len));
        }
    });
}

#[test]
fn closed_a_segment_with_ack_is_refused_with_a_rst_at_its_number() {
    in_state(State::Closed, |tcp| {
        for control in [ACK, SYN | ACK, FIN | ACK, ACK | PSH | URG] {
            tcp.refuses(tcp.neutral(control).text(b"text"));
        }
    });
}

// §3.10.7.2, LISTEN.

#[test]
fn listen_a_rst_is_ignored() {
    in_state(State::Listen, |tcp| {
        for control in [RST, RST | ACK, RST | SYN, RST | SYN | ACK] {
            tcp.drops(tcp.neutral(control));
        }
    });
}

#[test]
fn listen_an_ack_is_refused_with_a_rst_at_its_number() {
    in_state(State::Listen, |tcp| {
        for control in [ACK, SYN | ACK, FIN | ACK, ACK | PSH | URG] {
            tcp.refuses(tcp.neutral(control).text(b"text"));
        }
    });
}

#[test]
fn listen_a_syn_is_answered_with_a_syn_ack_of_it() {
    in_state(State::Listen, |tcp| {
        for extra in [SYN, PSH, URG] {
            let mut tcp = Driver::numbered(Config::default(), tcp.iss(), tcp.irs());
            tcp.listen();
            let answers = tcp.arrives(tcp.syn().and(extra));
            let [syn_ack] = &answers[..] else { panic!("one SYN,ACK: {answers:?}") };
            assert_eq!((syn_ack.control, syn_ack.seq, syn_ack.ack), (SYN | ACK, tcp.iss(), tcp.irs() + 1));
            assert_eq!(tcp.state(), State::SynReceived);
            assert_eq!((tcp.snd_una(), tcp.snd_nxt(), tcp.rcv_nxt()), (tcp.iss(), tcp.iss() + 1, tcp.irs() + 1));
        }
    });
}

#[test]
fn listen_text_in_the_syn_is_queued_until_established() {
    in_state(State::Listen, |tcp| {
        tcp.arrives(tcp.syn().text(b"early"));
        assert_eq!(tcp.rcv_nxt(), tcp.irs() + 1);
        tcp.arrives(tcp.in_order(ACK));
        assert_eq!((tcp.state(), tcp.receive()), (State::Established, b"early".to_vec()));
        assert_eq!(tcp.rcv_nxt(), tcp.irs() + 6);
    });
}

#[test]
fn listen_anything_else_is_dropped() {
    in_state(State::Listen, |tcp| {
        for control in [PSH, FIN, URG, FIN | PSH | URG] {
            tcp.drops(tcp.neutral(control).text(b"text"));
        }
    });
}

// §3.10.7.3, SYN-SENT.

#[test]
fn syn_sent_an_unacceptable_ack_is_refused() {
    in_state(State::SynSent, |tcp| {
        for ack in [tcp.iss(), tcp.iss() + 2, tcp.iss() - 1, tcp.iss() + FAR] {
            for control in [ACK, SYN | ACK, FIN | ACK] {
                tcp.refuses(tcp.neutral(control).acking(ack));
            }
            tcp.drops(tcp.neutral(RST | ACK).acking(ack));
        }
    });
}

#[test]
fn syn_sent_a_rst_that_acknowledges_the_syn_refuses_the_connection() {
    in_state(State::SynSent, |tcp| tcp.ends(tcp.in_order(RST | ACK), State::Closed, &[Told::Refused]));
}

#[test]
fn syn_sent_a_rst_without_ack_is_dropped() {
    in_state(State::SynSent, |tcp| {
        tcp.drops(tcp.neutral(RST));
        tcp.drops(tcp.neutral(RST | SYN));
    });
}

#[test]
fn syn_sent_a_syn_that_acknowledges_ours_establishes_and_is_acknowledged() {
    in_state(State::SynSent, |tcp| {
        let answers = tcp.arrives(tcp.in_order(SYN | ACK).text(b"text"));
        assert_eq!((tcp.state(), tcp.told()), (State::Established, vec![Told::Connected]));
        assert_eq!(tcp.rcv_nxt(), tcp.irs() + 5);
        tcp.is_bare_ack(answers.first());
        assert_eq!((answers.len(), tcp.receive()), (1, b"text".to_vec()));
    });
}

#[test]
fn syn_sent_a_syn_without_ack_leads_to_syn_received() {
    in_state(State::SynSent, |tcp| {
        let answers = tcp.arrives(tcp.syn().window(7));
        let [syn_ack] = &answers[..] else { panic!("one SYN,ACK: {answers:?}") };
        assert_eq!((syn_ack.control, syn_ack.seq, syn_ack.ack), (SYN | ACK, tcp.iss(), tcp.irs() + 1));
        assert_eq!((tcp.state(), tcp.told()), (State::SynCrossed, vec![]));
        assert_eq!(tcp.status().unwrap().snd_wnd, 7);
    });
}

#[test]
fn syn_sent_neither_syn_nor_rst_is_dropped() {
    in_state(State::SynSent, |tcp| {
        for control in [PSH, FIN, ACK, FIN | ACK] {
            tcp.drops(tcp.in_order(control).text(b"text"));
        }
    });
}

// §3.10.7.4, first: the sequence number.

#[test]
fn numbered_states_an_unacceptable_segment_is_acknowledged_and_dropped() {
    in_states(&State::NUMBERED, |state, tcp| {
        let nxt = tcp.rcv_nxt();
        let edge = nxt + tcp.rcv_wnd();
        for control in [ACK, FIN | ACK, SYN | ACK] {
            let len = u32::from(control.fin()) + u32::from(control.syn());
            // One of them is none: the SYN,ACK of a peer that opens at the same time (MUST-10).
            if state != State::SynCrossed || !control.syn() {
                tcp.acknowledges(tcp.in_order(control).at(nxt - 1 - len.saturating_sub(1)));
            }
            tcp.acknowledges(tcp.in_order(control).at(edge));
            tcp.acknowledges(tcp.in_order(control).at(nxt + FAR));
            tcp.acknowledges(tcp.in_order(control).at(nxt - FAR));
        }
        tcp.acknowledges(tcp.in_order(ACK).at(nxt - 4).text(b"text"));
        tcp.acknowledges(tcp.in_order(ACK).at(edge).text(b"text"));
    });
}

#[test]
fn numbered_states_an_unacceptable_rst_is_dropped_in_silence() {
    in_states(&State::NUMBERED, |_, tcp| {
        let nxt = tcp.rcv_nxt();
        for seq in [nxt - 1, nxt + tcp.rcv_wnd(), nxt + FAR, nxt - FAR] {
            tcp.drops(tcp.neutral(RST).at(seq));
            tcp.drops(tcp.in_order(RST | ACK).at(seq));
            tcp.drops(tcp.in_order(RST | SYN | FIN | ACK).at(seq));
        }
    });
}

#[test]
fn established_the_last_number_of_the_window_is_acceptable_and_the_next_is_not() {
    in_state(State::Established, |tcp| {
        let edge = tcp.rcv_nxt() + tcp.rcv_wnd();
        tcp.drops(tcp.neutral(ACK).at(edge - 1));
        tcp.acknowledges(tcp.neutral(ACK).at(edge));
        // By its first octet, its last one being beyond; then by neither.
        tcp.arrives(tcp.data(b"ab").at(edge - 1));
        tcp.acknowledges(tcp.data(b"ab").at(edge));
        // By its last octet, and by neither.
        tcp.acknowledges(tcp.data(b"ab").at(tcp.rcv_nxt() - 2));
        tcp.arrives(tcp.data(b"ab").at(tcp.rcv_nxt() - 1));
        assert_eq!(tcp.receive(), b"b");
    });
}

#[test]
fn established_a_closed_window_still_takes_ack_and_rst() {
    with_a_closed_window(|tcp| {
        tcp.send(b"text");
        // A probe: its octet is not taken, its acknowledgement is.
        let answers = tcp.arrives(tcp.in_order(ACK).text(b"p"));
        assert_eq!(tcp.snd_una(), tcp.snd_nxt());
        tcp.is_bare_ack(answers.first());
        tcp.acknowledges(tcp.neutral(ACK).at(tcp.rcv_nxt() + 1));
        tcp.acknowledges(tcp.neutral(ACK).at(tcp.rcv_nxt() - 1));
        tcp.drops(tcp.neutral(RST).at(tcp.rcv_nxt() + 1));
        tcp.drops(tcp.neutral(RST).at(tcp.rcv_nxt() - 1));
        tcp.ends(tcp.neutral(RST), State::Closed, &[Told::Reset]);
    });
}

#[test]
fn established_a_fin_at_a_closed_window_waits_until_it_opens() {
    with_a_closed_window(|tcp| {
        tcp.acknowledges(tcp.in_order(FIN | ACK));
        assert_eq!(tcp.receive().len(), 100);
        tcp.arrives(tcp.in_order(FIN | ACK));
        assert_eq!(tcp.state(), State::CloseWait);
    });
}

#[test]
fn established_what_straddles_an_edge_of_the_window_is_trimmed() {
    let config = Config { rcv_buff_bytes: 10, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.arrives(tcp.data(b"01"));
        // Wider than the window on both sides: by table 6 it is not acceptable.
        tcp.acknowledges(tcp.in_order(FIN | ACK).text(b"0123456789abc").at(tcp.rcv_nxt() - 2));
        tcp.arrives(tcp.in_order(ACK).text(b"01234").at(tcp.rcv_nxt() - 2));
        // Five octets fit; the FIN behind them is cut off too.
        tcp.arrives(tcp.in_order(FIN | ACK).text(b"56789abc"));
        assert_eq!(tcp.state(), State::Established);
        assert_eq!(tcp.receive(), b"0123456789");
    });
}

#[test]
fn established_a_fin_at_the_last_number_of_the_window_is_taken_and_one_behind_it_is_not() {
    let config = Config { rcv_buff_bytes: 10, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        tcp.arrives(tcp.data(b"0123456789").and(FIN));
        assert_eq!(tcp.state(), State::Established);
        tcp.receive();
        tcp.arrives(tcp.data(b"012345678").and(FIN));
        assert_eq!((tcp.state(), tcp.receive()), (State::CloseWait, b"012345678".to_vec()));
    });
}

// Second: RST, as RFC 5961 §3 has it.

#[test]
fn numbered_states_a_rst_elsewhere_in_the_window_is_challenged() {
    in_states(&State::NUMBERED, |_, tcp| {
        let nxt = tcp.rcv_nxt();
        for seq in [nxt + 1, nxt + tcp.rcv_wnd() - 1] {
            tcp.acknowledges(tcp.neutral(RST).at(seq));
            tcp.acknowledges(tcp.in_order(RST | ACK).at(seq));
        }
    });
}

#[test]
fn syn_received_a_valid_rst_returns_to_listen_and_nobody_is_told() {
    in_state(State::SynReceived, |tcp| {
        tcp.ends(tcp.neutral(RST), State::Listen, &[]);
        // The retransmission queue is flushed.
        assert_eq!(tcp.wait(Duration::from_secs(300)), []);
    });
}

#[test]
fn syn_received_from_syn_sent_a_valid_rst_refuses_the_connection() {
    in_state(State::SynCrossed, |tcp| tcp.ends(tcp.neutral(RST), State::Closed, &[Told::Refused]));
}

#[test]
fn later_states_a_valid_rst_resets_the_connection() {
    in_states(&TELLS_OF_RESET, |_, tcp| tcp.ends(tcp.neutral(RST), State::Closed, &[Told::Reset]));
    // Its ACK field is not looked at, and its text does no harm.
    in_states(&TELLS_OF_RESET, |_, tcp| {
        let rst = tcp.neutral(RST | ACK).acking(tcp.snd_nxt() + FAR).text(b"why");
        tcp.ends(rst, State::Closed, &[Told::Reset]);
    });
}

#[test]
fn time_wait_a_valid_rst_closes() {
    in_state(State::TimeWait, |tcp| tcp.ends(tcp.neutral(RST), State::Closed, &[]));
}

// Fourth: SYN.

#[test]
fn syn_received_a_syn_in_the_window_returns_to_listen() {
    for distance in [0, 1] {
        in_state(State::SynReceived, |tcp| {
            tcp.ends(tcp.neutral(SYN).at(tcp.rcv_nxt() + distance), State::Listen, &[]);
        });
    }
    in_state(State::SynReceived, |tcp| {
        tcp.ends(tcp.neutral(SYN).at(tcp.rcv_nxt() + tcp.rcv_wnd() - 1), State::Listen, &[]);
    });
}

#[test]
fn syn_received_the_same_syn_again_is_acknowledged_and_the_syn_ack_sent_again() {
    in_states(&[State::SynReceived, State::SynCrossed], |state, tcp| {
        let answers = tcp.arrives(tcp.syn());
        let [ack, syn_ack] = &answers[..] else { panic!("an ACK and a SYN,ACK: {answers:?}") };
        tcp.is_bare_ack(Some(ack));
        assert_eq!((syn_ack.control, syn_ack.seq, syn_ack.ack), (SYN | ACK, tcp.iss(), tcp.rcv_nxt()));
        assert_eq!(tcp.state(), state);
    });
}

#[test]
fn syn_received_a_syn_before_the_window_is_cut_off_from_text_inside_of_it() {
    // The SYN again, with text: without ACK it is dropped, and the handshake goes on.
    in_state(State::SynReceived, |tcp| {
        tcp.drops(tcp.syn().text(b"text"));
        tcp.drops(tcp.syn().at(tcp.irs() - 3).text(b"text"));
        tcp.drops(tcp.in_order(SYN | FIN).at(tcp.irs()).text(b"text"));
        tcp.refuses(tcp.in_order(SYN | ACK).at(tcp.irs()).text(b"text").acking(tcp.iss()));
        let answers = tcp.arrives(tcp.in_order(ACK).text(b"text"));
        assert_eq!((answers, tcp.state(), tcp.receive()), (vec![], State::Established, b"text".to_vec()));
    });
    in_state(State::SynReceived, |tcp| {
        tcp.arrives(tcp.in_order(SYN | ACK).at(tcp.irs()).text(b"text"));
        assert_eq!((tcp.state(), tcp.receive()), (State::Established, b"text".to_vec()));
    });
    // The twins: all of it lies before the window, or the SYN in it.
    in_state(State::SynReceived, |tcp| tcp.acknowledges(tcp.syn().at(tcp.irs() - 4).text(b"text")));
    in_state(State::SynReceived, |tcp| {
        tcp.ends(tcp.syn().at(tcp.rcv_nxt()).text(b"text"), State::Listen, &[]);
    });
}

#[test]
fn syn_received_from_syn_sent_a_syn_in_the_window_is_challenged() {
    in_state(State::SynCrossed, |tcp| tcp.acknowledges(tcp.neutral(SYN)));
}

#[test]
fn synchronized_states_a_syn_is_challenged_whatever_its_number() {
    in_states(&State::SYNCHRONIZED, |state, tcp| {
        let nxt = tcp.rcv_nxt();
        for seq in [nxt, nxt + 1, nxt + tcp.rcv_wnd(), nxt + FAR, nxt - 1, nxt - FAR] {
            // TIME-WAIT takes a new SYN (MAY-2), but no SYN,ACK.
            if state != State::TimeWait || !seq.is_after(nxt) {
                tcp.acknowledges(tcp.neutral(SYN).at(seq));
            }
            tcp.acknowledges(tcp.in_order(SYN | ACK).at(seq));
            tcp.acknowledges(tcp.in_order(SYN | FIN | ACK).at(seq).text(b"text"));
        }
    });
}

// Fifth: ACK.

#[test]
fn numbered_states_a_segment_without_ack_is_dropped() {
    in_states(&State::NUMBERED, |_, tcp| {
        for control in [PSH, FIN, URG, FIN | PSH | URG] {
            tcp.drops(tcp.neutral(control).text(b"text"));
        }
    });
}

#[test]
fn syn_received_an_acceptable_ack_establishes_and_sets_the_window() {
    in_states(&[State::SynReceived, State::SynCrossed], |_, tcp| {
        let answers = tcp.arrives(tcp.in_order(ACK).window(77));
        assert_eq!((answers, tcp.state(), tcp.told()), (vec![], State::Established, vec![Told::Connected]));
        assert_eq!(tcp.status().unwrap().snd_wnd, 77);
    });
}

#[test]
fn syn_received_any_other_ack_is_refused_with_a_rst_at_its_number() {
    in_states(&[State::SynReceived, State::SynCrossed], |_, tcp| {
        for ack in [tcp.iss(), tcp.iss() + 2, tcp.iss() - FAR, tcp.iss() + FAR] {
            tcp.refuses(tcp.neutral(ACK).acking(ack));
            tcp.refuses(tcp.neutral(FIN | ACK).acking(ack).text(b"text"));
        }
    });
}

#[test]
fn transferring_states_an_ack_of_what_was_not_sent_is_answered_with_an_ack_and_dropped() {
    in_states(&State::SYNCHRONIZED, |_, tcp| {
        for beyond in [1, 2, FAR] {
            tcp.acknowledges(tcp.neutral(ACK).acking(tcp.snd_nxt() + beyond));
            tcp.acknowledges(tcp.neutral(ACK).acking(tcp.snd_nxt() + beyond).text(b"text"));
            tcp.acknowledges(tcp.neutral(FIN | ACK).acking(tcp.snd_nxt() + beyond));
        }
    });
}

#[test]
fn transferring_states_an_old_ack_is_ignored_but_its_text_is_taken() {
    in_state(State::Established, |tcp| {
        tcp.send(&[b'x'; 1000]);
        tcp.arrives(tcp.in_order(ACK));
        let (una, wnd) = (tcp.snd_una(), tcp.status().unwrap().snd_wnd);
        tcp.arrives(tcp.data(b"text").acking(una - 500).window(1));
        assert_eq!((tcp.snd_una(), tcp.status().unwrap().snd_wnd), (una, wnd));
        assert_eq!(tcp.receive(), b"text");
    });
}

#[test]
fn established_the_window_is_taken_from_newer_segments_only() {
    in_state(State::Established, |tcp| {
        let wnd = |tcp: &Driver| tcp.status().unwrap().snd_wnd;
        let old = tcp.neutral(ACK);
        // SND.WL1 < SEG.SEQ.
        tcp.arrives(tcp.data(b"a").window(300));
        assert_eq!(wnd(tcp), 300);
        tcp.arrives(tcp.neutral(ACK).window(301));
        assert_eq!(wnd(tcp), 301);
        // SND.WL1 > SEG.SEQ, although it lies in the window by its last octet.
        tcp.arrives(tcp.data(b"a").at(old.seq).window(302));
        assert_eq!(wnd(tcp), 301);
        // SND.WL1 = SEG.SEQ, and SND.WL2 > SEG.ACK.
        let before = tcp.snd_una();
        tcp.send(b"text");
        tcp.arrives(tcp.in_order(ACK).window(303));
        tcp.arrives(tcp.neutral(ACK).acking(before).window(304));
        assert_eq!(wnd(tcp), 303);
        // SND.WL1 = SEG.SEQ, and SND.WL2 = SEG.ACK.
        tcp.arrives(tcp.neutral(ACK).window(305));
        assert_eq!(wnd(tcp), 305);
    });
}

#[test]
fn fin_wait_1_the_acknowledgement_of_our_fin_leads_to_fin_wait_2() {
    in_state(State::FinWait1, |tcp| {
        tcp.drops(tcp.neutral(ACK));
        tcp.ends(tcp.in_order(ACK), State::FinWait2, &[Told::Closed]);
    });
}

#[test]
fn closing_the_acknowledgement_of_our_fin_leads_to_time_wait() {
    in_state(State::Closing, |tcp| {
        tcp.drops(tcp.neutral(ACK));
        tcp.ends(tcp.in_order(ACK), State::TimeWait, &[Told::Closed]);
    });
}

#[test]
fn last_ack_the_acknowledgement_of_our_fin_closes() {
    in_state(State::LastAck, |tcp| {
        tcp.drops(tcp.neutral(ACK));
        tcp.ends(tcp.in_order(ACK), State::Closed, &[Told::Closed]);
    });
}

#[test]
fn closing_states_an_acknowledgement_of_text_short_of_the_fin_moves_nothing() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        tcp.close();
        assert_eq!(tcp.state(), State::FinWait1);
        tcp.drops(tcp.neutral(ACK));
        tcp.arrives(tcp.in_order(ACK).acking(tcp.snd_nxt() - 1));
        assert_eq!((tcp.state(), tcp.snd_una()), (State::FinWait1, tcp.snd_nxt() - 1));
        tcp.ends(tcp.in_order(ACK), State::FinWait2, &[Told::Closed]);
    });
}

#[test]
fn time_wait_a_retransmitted_fin_is_acknowledged_and_restarts_2msl() {
    in_state(State::TimeWait, |tcp| {
        for _ in 0..3 {
            tcp.wait(Duration::from_secs(50));
            tcp.acknowledges(tcp.fin_again());
        }
        tcp.wait(Duration::from_secs(50));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Duration::from_secs(10));
        assert_eq!(tcp.state(), State::Closed);
    });
}

#[test]
fn time_wait_what_is_no_fin_does_not_restart_2msl() {
    in_state(State::TimeWait, |tcp| {
        tcp.wait(Duration::from_secs(59));
        tcp.acknowledges(tcp.in_order(ACK).at(tcp.rcv_nxt() - 1));
        tcp.drops(tcp.in_order(ACK));
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.state(), State::Closed);
    });
}

#[test]
fn time_wait_a_fin_that_does_not_pass_the_other_checks_does_not_restart_2msl() {
    let check = |make: fn(&mut Driver) -> Segment| {
        in_state(State::Closed, |closed| {
            let mut tcp = Driver::numbered(Config::default(), closed.iss(), closed.irs());
            tcp.stamp(1000);
            tcp.bring_to(State::TimeWait);
            tcp.wait(Duration::from_secs(59));
            let segment = make(&mut tcp);
            tcp.arrives(segment);
            tcp.wait(Duration::from_secs(1));
            assert_eq!(tcp.state(), State::Closed);
        });
    };
    check(|tcp| tcp.neutral(FIN | RST).at(tcp.rcv_nxt() + 1));
    check(|tcp| tcp.in_order(FIN | ACK).acking(tcp.snd_nxt() + 1));
    check(|tcp| tcp.fin_again().acking(tcp.snd_nxt() + 1));
    check(|tcp| Segment { control: FIN, ..tcp.fin_again() });
    check(|tcp| {
        tcp.stamp(999);
        tcp.fin_again()
    });
}

// Seventh: text.

#[test]
fn established_text_is_delivered_in_order_and_acknowledged() {
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"ab"));
        let gap = tcp.data(b"ef").at(tcp.rcv_nxt() + 2);
        tcp.arrives(gap);
        assert_eq!(tcp.receive(), b"ab");
        let answers = tcp.arrives(tcp.data(b"cd"));
        tcp.is_bare_ack(answers.last());
        assert_eq!((tcp.receive(), tcp.rcv_nxt()), (b"cdef".to_vec(), tcp.irs() + 7));
    });
}

#[test]
fn established_no_repetition_or_overlap_is_delivered_twice() {
    in_state(State::Established, |tcp| {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        let start = tcp.rcv_nxt();
        let piece = |from: u8, to: u8| tcp.data(&text[usize::from(from)..usize::from(to)]).at(start + u32::from(from));
        let pieces = [(20, 24), (10, 15), (0, 1), (12, 22), (0, 3), (1, 3), (2, 11), (0, 26), (25, 26)];
        for segment in pieces.map(|(from, to)| piece(from, to)) {
            tcp.arrives(segment);
        }
        assert_eq!((tcp.receive(), tcp.rcv_nxt()), (text.to_vec(), start + 26));
    });
}

#[test]
fn established_the_right_edge_of_the_window_never_moves_left() {
    // `Driver` checks it on each segment: text is acknowledged, the user reads nothing, then all, in steps.
    let config = Config { rcv_buff_bytes: 5000, ..Config::default() };
    configured(&config, State::Established, |tcp| {
        for _ in 0..60 {
            tcp.arrives(tcp.data(&[b'x'; 100]));
            tcp.wait(Duration::from_millis(50));
        }
        assert_eq!(tcp.rcv_wnd(), 0);
        while !tcp.receive_some(77).is_empty() {
            tcp.wait(Duration::from_millis(50));
        }
        assert!(tcp.rcv_wnd() >= 1460);
        for _ in 0..4 {
            tcp.arrives(tcp.data(b"x"));
        }
        assert!(tcp.rcv_wnd() >= 4900, "{}", tcp.rcv_wnd());
    });
}

#[test]
fn later_states_text_after_the_fin_is_ignored() {
    in_states(&PAST_THE_FIN, |state, tcp| {
        let nxt = tcp.rcv_nxt();
        tcp.drops(tcp.data(b"after the end"));
        assert_eq!((tcp.state(), tcp.rcv_nxt()), (state, nxt));
        if state == State::CloseWait {
            assert_eq!(tcp.receive(), b"");
        }
    });
}

// Eighth: FIN.

#[test]
fn closed_listen_and_syn_sent_a_fin_is_not_processed() {
    in_state(State::Listen, |tcp| tcp.drops(tcp.neutral(FIN)));
    in_state(State::SynSent, |tcp| {
        tcp.drops(tcp.neutral(FIN));
        tcp.drops(tcp.in_order(FIN | ACK));
        // With the SYN,ACK its number could be known only now: it is not acknowledged, and comes again.
        let answers = tcp.arrives(tcp.in_order(SYN | FIN | ACK));
        assert_eq!(tcp.state(), State::Established);
        assert_eq!(answers.first().unwrap().ack, tcp.irs() + 1);
        tcp.arrives(tcp.neutral(FIN | ACK));
        assert_eq!(tcp.state(), State::CloseWait);
    });
    in_state(State::Closed, |tcp| {
        tcp.arrives(tcp.neutral(FIN));
        assert_eq!(tcp.state(), State::Closed);
    });
}

#[test]
fn syn_received_and_established_a_fin_leads_to_close_wait() {
    in_states(&[State::SynReceived, State::SynCrossed, State::Established], |_, tcp| {
        let answers = tcp.arrives(tcp.in_order(FIN | ACK).text(b"text"));
        assert_eq!((tcp.state(), tcp.rcv_nxt()), (State::CloseWait, tcp.irs() + 6));
        tcp.is_bare_ack(answers.first());
        assert_eq!((answers.len(), tcp.receive()), (1, b"text".to_vec()));
    });
}

#[test]
fn established_a_fin_before_its_turn_waits_for_the_text_before_it() {
    in_state(State::Established, |tcp| {
        let fin = tcp.neutral(FIN | ACK).at(tcp.rcv_nxt() + 4);
        tcp.acknowledges(fin);
        assert_eq!(tcp.state(), State::Established);
        tcp.arrives(tcp.data(b"tex"));
        assert_eq!(tcp.state(), State::Established);
        tcp.arrives(tcp.data(b"t"));
        assert_eq!((tcp.state(), tcp.receive()), (State::CloseWait, b"text".to_vec()));
    });
}

#[test]
fn fin_wait_1_a_fin_leads_to_closing_or_with_the_acknowledgement_of_ours_to_time_wait() {
    in_state(State::FinWait1, |tcp| {
        let answers = tcp.arrives(tcp.neutral(FIN | ACK));
        assert_eq!((tcp.state(), tcp.told()), (State::Closing, vec![]));
        tcp.is_bare_ack(answers.first());
    });
    in_state(State::FinWait1, |tcp| {
        let answers = tcp.arrives(tcp.in_order(FIN | ACK));
        assert_eq!((tcp.state(), tcp.told()), (State::TimeWait, vec![Told::Closed]));
        tcp.is_bare_ack(answers.first());
        tcp.wait(Duration::from_millis(59_999));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Duration::from_millis(1));
        assert_eq!(tcp.state(), State::Closed);
    });
}

#[test]
fn fin_wait_2_a_fin_leads_to_time_wait() {
    in_state(State::FinWait2, |tcp| {
        let answers = tcp.arrives(tcp.in_order(FIN | ACK));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.is_bare_ack(answers.first());
        assert_eq!(answers.len(), 1);
    });
}

#[test]
fn later_states_a_retransmitted_fin_is_acknowledged_and_the_state_stays() {
    in_states(&PAST_THE_FIN, |_, tcp| {
        tcp.acknowledges(tcp.fin_again());
        tcp.acknowledges(tcp.fin_again());
    });
}

#[test]
fn later_states_a_fin_at_a_new_number_leaves_the_state() {
    in_states(&[State::CloseWait, State::Closing, State::LastAck], |_, tcp| tcp.drops(tcp.neutral(FIN | ACK)));
}

#[test]
fn time_wait_a_fin_in_the_window_is_acknowledged_and_restarts_2msl() {
    // Fifth step: "acknowledge it, and restart the 2 MSL timeout"; eighth: "restart the 2 MSL time-wait timeout".
    in_state(State::TimeWait, |tcp| {
        tcp.wait(Duration::from_secs(59));
        tcp.acknowledges(tcp.in_order(FIN | ACK));
        tcp.wait(Duration::from_secs(59));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.state(), State::Closed);
    });
}

/// Lets a segment with these numbers arrive in this state, with and without text.
fn survives(state: State, control: Control, seq: SeqNum, ack: SeqNum) {
    for text in [&b""[..], b"12345", &[b'x'; 1460]] {
        let mut tcp = Driver::new(Config::default());
        tcp.bring_to(state);
        let segment = Segment { control, seq, ack, ..tcp.neutral(control) };
        tcp.arrives(segment.text(text).window(if control.psh() { 0 } else { PEER_WND }));
        tcp.wait(Duration::from_secs(1));
    }
}

#[test]
fn every_state_survives_every_mix_of_control_bits_at_every_edge() {
    let mut states = vec![State::Closed, State::Listen, State::SynSent];
    states.extend(State::NUMBERED);
    for state in states {
        let mut tcp = Driver::new(Config::default());
        tcp.bring_to(state);
        let (nxt, wnd, una, snd_nxt) = (tcp.rcv_nxt(), tcp.rcv_wnd(), tcp.snd_una(), tcp.snd_nxt());
        for control in (0..64).map(Control::from_bits) {
            for seq in [nxt - FAR, nxt - 5, nxt - 1, nxt, nxt + 1, nxt + wnd - 1, nxt + wnd, nxt + FAR] {
                for ack in [una - FAR, una - 1, una, snd_nxt, snd_nxt + 1, snd_nxt + FAR] {
                    survives(state, control, seq, ack);
                }
            }
        }
    }
}
