//! Hand-made segments, §4.2 of the dissertation: wrong sequence numbers, wrong acknowledgement numbers, spurious retransmissions and
//! overlaps, in every state of RFC 9293. After each test the process lives and serves the next connection.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod common;

use common::peer::{ANSWER_LIMIT, Peer, SILENCE};
use common::segment::{ACK, FIN, PSH, RST, SYN, Segment, URG};
use common::states::{State, against_the_server, in_state, in_states};
use std::time::{Duration, Instant};

/// Bytes beyond every window that is announced without window scaling.
const FAR: u32 = 1 << 20;

/// States in which the server has a FIN outstanding or behind it, and ours was not sent.
const WAITING_FOR_OUR_FIN: [State; 2] = [State::FinWait1, State::FinWait2];

/// States in which our FIN has come.
const PAST_OUR_FIN: [State; 4] = [State::CloseWait, State::LastAck, State::Closing, State::TimeWait];

/// States in which RFC 9293 §3.10.7.4 handles the ACK field as in ESTABLISHED.
const ACK_AS_IN_ESTABLISHED: [State; 5] =
    [State::Established, State::CloseWait, State::FinWait1, State::FinWait2, State::Closing];

// CLOSED and LISTEN: RFC 9293 §3.10.7.1 and §3.10.7.2.

mod closed {
    use super::*;

    /// A segment to a port where nobody listens.
    fn to_nobody(peer: &Peer, flags: u8) -> Segment {
        let mut segment = peer.segment(flags).seq(1000);
        segment.destination.set_port(556);
        segment
    }

    #[test]
    fn a_syn_is_refused_with_a_rst_that_acknowledges_it() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.send(to_nobody(&peer, SYN));
            let rst = peer.expect("RST", |s| s.has(RST));
            assert_eq!((rst.flags, rst.seq, rst.ack), (RST | ACK, 0, 1001));
        });
    }

    #[test]
    fn the_rst_acknowledges_text_too() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.send(to_nobody(&peer, SYN | FIN).text(b"text"));
            let rst = peer.expect("RST", |s| s.has(RST));
            assert_eq!((rst.flags, rst.seq, rst.ack), (RST | ACK, 0, 1006));
        });
    }

    #[test]
    fn an_ack_is_answered_with_a_rst_at_its_number() {
        against_the_server(|_| {
            for flags in [ACK, SYN | ACK, FIN | ACK] {
                let mut peer = Peer::new();
                peer.send(to_nobody(&peer, flags).ack(77));
                peer.expect_rst_for(77);
            }
        });
    }

    #[test]
    fn a_rst_is_not_answered() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.send(to_nobody(&peer, RST));
            peer.send(to_nobody(&peer, RST | ACK).ack(77));
            peer.send(to_nobody(&peer, RST | SYN));
            peer.expect_no_answer();
        });
    }
}

mod listen {
    use super::*;

    #[test]
    fn an_ack_is_answered_with_a_rst_at_its_number() {
        against_the_server(|_| {
            for flags in [ACK, SYN | ACK, FIN | ACK, ACK | PSH] {
                let mut peer = Peer::new();
                peer.send(peer.segment(flags).ack(77));
                peer.expect_rst_for(77);
            }
        });
    }

    #[test]
    fn a_rst_is_ignored() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            for flags in [RST, RST | ACK, RST | SYN, RST | SYN | ACK] {
                peer.send(peer.segment(flags).ack(77));
            }
            peer.expect_no_answer();
        });
    }

    #[test]
    fn neither_syn_nor_ack_nor_rst_is_dropped() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            for flags in [0, FIN, PSH, URG, FIN | PSH | URG] {
                peer.send(peer.segment(flags).text(b"text"));
            }
            peer.expect_no_answer();
        });
    }

    #[test]
    fn the_syn_ack_carries_an_mss_of_the_device_and_no_option_we_did_not_offer() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            let syn_ack = peer.open();
            assert_eq!(syn_ack.option(2), Some(&[0x05, 0xb4][..]), "{syn_ack}");
            // Window scaling, SACK permitted, timestamps: only if the SYN had them (RFC 7323 §2.2, §3.2, RFC 2018 §2).
            for kind in [3, 4, 8] {
                assert_eq!(syn_ack.option(kind), None, "{syn_ack}");
            }
        });
    }

    #[test]
    fn a_syn_with_a_wrong_checksum_is_dropped() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.send(peer.syn().corrupted());
            peer.expect_no_answer_at_all();
        });
    }

    #[test]
    fn a_syn_from_or_to_a_broadcast_or_multicast_address_is_dropped() {
        // RFC 9293 §3.9.2.3, MUST-57 and MUST-63.
        against_the_server(|_| {
            let mut peer = Peer::new();
            for destination in ["192.0.2.255", "255.255.255.255", "224.0.0.1"] {
                let mut syn = peer.syn();
                syn.destination.set_ip(destination.parse().unwrap());
                peer.send(syn);
            }
            peer.expect_no_answer_at_all();
            for source in ["192.0.2.255", "255.255.255.255", "224.0.0.1", "0.0.0.0"] {
                let mut syn = peer.syn();
                syn.source.set_ip(source.parse().unwrap());
                peer.send(syn);
                let answered = peer.comes_for(source.parse().unwrap(), SILENCE);
                assert_eq!(answered, None, "a SYN from {source} was answered");
            }
        });
    }

    #[test]
    fn a_syn_with_a_fin_does_no_harm() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.send(peer.syn().flags(SYN | FIN));
            _ = peer.next(SILENCE);
        });
    }

    #[test]
    fn two_connections_have_different_initial_sequence_numbers() {
        against_the_server(|_| {
            let first = Peer::new().open();
            let second = Peer::new().open();
            assert_ne!(first.seq, second.seq);
        });
    }

    #[test]
    fn text_on_the_syn_is_not_lost() {
        // RFC 9293 §3.10.7.2: queued until ESTABLISHED; a server that does not acknowledge it is sent it again.
        against_the_server(|_| {
            let mut peer = Peer::new();
            let text = b"early\n";
            peer.send(peer.syn().text(text));
            let syn_ack = peer.expect("SYN,ACK", |s| s.has(SYN | ACK));
            let accepted = syn_ack.ack.wrapping_sub(peer.iss.wrapping_add(1));
            assert!(accepted <= 6, "{syn_ack}");
            peer.snd_nxt = peer.iss.wrapping_add(1);
            peer.rcv_nxt = syn_ack.seq.wrapping_add(1);
            peer.send_data(text);
            assert_eq!(peer.read(6), b"ylrae\n");
            peer.close();
        });
    }
}

// SYN-RECEIVED.

mod syn_received {
    use super::*;

    #[test]
    fn a_repeated_syn_is_answered_and_the_handshake_goes_on() {
        in_state(State::SynReceived, |peer| {
            let (seq, ack) = (peer.rcv_nxt.wrapping_sub(1), peer.snd_nxt);
            peer.send(peer.syn());
            // Either the ACK of RFC 9293 §3.10.7.4 or the SYN,ACK once more, as Linux does.
            peer.expect("answer to the repeated SYN", |s| {
                s.ack == ack && (s.flags == ACK || (s.flags == SYN | ACK && s.seq == seq))
            });
            peer.finish_from(State::SynReceived);
        });
    }

    #[test]
    fn a_repeated_syn_with_text_does_not_end_the_handshake() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            let syn = peer.syn().text(b"early\n");
            peer.send(syn.clone());
            let syn_ack = peer.expect("SYN,ACK", |s| s.has(SYN | ACK));
            peer.snd_nxt = peer.iss.wrapping_add(1);
            peer.rcv_nxt = syn_ack.seq.wrapping_add(1);
            peer.send(syn);
            peer.send_data(b"early\n");
            assert_eq!(peer.read(6), b"ylrae\n");
            peer.close();
        });
    }

    #[test]
    fn the_syn_ack_is_repeated_until_it_is_acknowledged() {
        in_state(State::SynReceived, |peer| {
            let seq = peer.rcv_nxt.wrapping_sub(1);
            let again = peer.expect("second SYN,ACK", |s| s.has(SYN | ACK));
            assert_eq!((again.seq, again.ack), (seq, peer.snd_nxt));
            peer.finish_from(State::SynReceived);
        });
    }

    #[test]
    fn a_wrong_acknowledgement_is_answered_with_a_rst_and_the_right_one_still_counts() {
        in_state(State::SynReceived, |peer| {
            for wrong in [
                peer.rcv_nxt.wrapping_sub(1),
                peer.rcv_nxt.wrapping_add(1),
                peer.rcv_nxt.wrapping_add(FAR),
                peer.rcv_nxt.wrapping_sub(FAR),
            ] {
                peer.send(peer.acknowledgement().ack(wrong));
                peer.expect_rst_for(wrong);
            }
            peer.finish_from(State::SynReceived);
        });
    }

    #[test]
    fn a_syn_in_the_window_returns_the_connection_to_listen() {
        // RFC 9293 §3.10.7.4, fourth step, for a passive OPEN.
        in_state(State::SynReceived, |peer| {
            peer.send(peer.segment(SYN).seq(peer.snd_nxt.wrapping_add(10)));
            peer.assert_gone();
        });
    }

    #[test]
    fn text_with_the_last_ack_of_the_handshake_is_taken() {
        in_state(State::SynReceived, |peer| {
            peer.exchange(b"no time to lose\n");
            peer.close();
        });
    }

    #[test]
    fn a_fin_with_the_last_ack_of_the_handshake_is_taken() {
        in_state(State::SynReceived, |peer| peer.close());
    }

    #[test]
    fn text_and_fin_with_the_last_ack_of_the_handshake_are_taken() {
        in_state(State::SynReceived, |peer| {
            peer.send(peer.data(b"all at once\n").flags(ACK | PSH | FIN));
            peer.advance(13);
            assert_eq!(peer.read_to_fin(), b"ecno ta lla\n");
            peer.expect_acknowledged();
            peer.acknowledge_fin();
            peer.assert_gone();
        });
    }

    #[test]
    fn text_that_overtakes_the_last_ack_of_the_handshake_is_not_lost() {
        in_state(State::SynReceived, |peer| {
            let text = b"second, first\n";
            peer.send(peer.data(&text[8..]).seq(peer.snd_nxt.wrapping_add(8)));
            peer.send_data(&text[..8]);
            peer.advance(6);
            assert_eq!(peer.read(14), b"tsrif ,dnoces\n");
            peer.expect_acknowledged();
            peer.close();
        });
    }
}

// What holds in every state: RFC 9293 §3.10.7.4, steps one to five, and RFC 5961.

mod every_state {
    use super::*;

    #[test]
    fn text_before_the_window_is_answered_with_an_ack() {
        in_states(&State::ALL, |state, peer| {
            let seq = peer.snd_nxt.wrapping_sub(5);
            peer.send(peer.data(b"old\n").seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn text_beyond_the_window_is_answered_with_an_ack() {
        in_states(&State::ALL, |state, peer| {
            let seq = peer.snd_nxt.wrapping_add(FAR);
            peer.send(peer.data(b"far\n").seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn text_just_beyond_the_window_is_answered_with_an_ack() {
        in_states(&[State::SynReceived, State::Established], |state, peer| {
            let seq = peer.snd_nxt.wrapping_add(u32::from(peer.snd_wnd));
            peer.send(peer.data(b"x").seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_ack_without_text_outside_the_window_is_answered_with_an_ack() {
        in_states(&State::ALL, |state, peer| {
            let seq = peer.snd_nxt.wrapping_sub(1);
            peer.send(peer.acknowledgement().seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
            let mut peer = Peer::in_state(state);
            let seq = peer.snd_nxt.wrapping_add(FAR);
            peer.send(peer.acknowledgement().seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_segment_without_ack_is_dropped() {
        in_states(&State::ALL, |state, peer| {
            for flags in [0, PSH, URG, FIN, FIN | PSH] {
                peer.send(peer.segment(flags).text(b"no ack\n"));
            }
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_segment_with_a_wrong_checksum_is_dropped() {
        in_states(&State::ALL, |state, peer| {
            peer.send(peer.data(b"corrupted\n").corrupted());
            peer.send(peer.segment(FIN | ACK).corrupted());
            peer.send(peer.rst().corrupted());
            peer.send(peer.syn().corrupted());
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_segment_with_an_impossible_data_offset_is_dropped() {
        in_states(&State::ALL, |state, peer| {
            for words in [0, 1, 4, 15] {
                let mut segment = peer.data(b"impossible\n");
                segment.data_offset = Some(words);
                peer.send(segment);
            }
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_illegal_option_length_does_no_harm() {
        // RFC 9293 §3.1, MUST-7: survived; whether the connection is reset is left to us.
        in_states(&State::ALL, |_, peer| {
            for options in [[254, 0, 0, 0], [254, 1, 0, 0], [254, 40, 0, 0], [1, 1, 1, 254], [2, 3, 5, 0]] {
                peer.send(peer.acknowledgement().options(&options));
            }
            peer.drain();
        });
    }

    #[test]
    fn unknown_options_are_skipped() {
        // RFC 9293 §3.1, MUST-5 and MUST-6; MUST-64: off the word boundary.
        in_states(&State::ALL, |state, peer| {
            let options = [1, 254, 5, 1, 2, 3, 253, 2, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0];
            peer.send(peer.acknowledgement().options(&options));
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_rst_with_the_expected_number_ends_the_connection() {
        in_states(&State::ALL, |_, peer| {
            peer.send(peer.rst());
            peer.assert_gone();
        });
    }

    #[test]
    fn a_rst_with_text_ends_the_connection_too() {
        // RFC 9293 §3.5.3, SHLD-2.
        in_states(&State::ALL, |_, peer| {
            peer.send(peer.rst().text(b"why"));
            peer.assert_gone();
        });
    }

    #[test]
    fn a_rst_elsewhere_in_the_window_is_challenged() {
        // RFC 5961 §3.2.
        in_states(&State::ALL, |state, peer| {
            let seq = peer.snd_nxt.wrapping_add(1);
            peer.send(peer.rst().seq(seq));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_rst_at_the_last_number_of_the_window_is_challenged() {
        in_states(&[State::SynReceived, State::Established], |state, peer| {
            let seq = peer.snd_nxt.wrapping_add(u32::from(peer.snd_wnd));
            peer.send(peer.rst().seq(seq.wrapping_sub(1)));
            peer.expect_challenge();
            peer.send(peer.rst().seq(seq));
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_rst_outside_the_window_is_dropped() {
        in_states(&State::ALL, |state, peer| {
            for distance in [1_u32.wrapping_neg(), FAR, FAR.wrapping_neg()] {
                let seq = peer.snd_nxt.wrapping_add(distance);
                peer.send(peer.rst().seq(seq));
                peer.send(peer.segment(RST | ACK).seq(seq));
            }
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn challenges_are_throttled() {
        // RFC 5961 §7: more of them for a connection would make us an amplifier.
        in_state(State::Established, |peer| {
            for _ in 0..200 {
                peer.send(peer.rst().seq(peer.snd_nxt.wrapping_add(1)));
            }
            let mut challenges = 0;
            while peer.next(SILENCE).is_some() {
                challenges += 1;
            }
            assert!((1..=20).contains(&challenges), "{challenges} challenges");
            peer.finish_from(State::Established);
        });
    }
}

mod every_synchronized_state {
    use super::*;

    /// TIME-WAIT takes a SYN otherwise, if its number is new.
    const BUT_TIME_WAIT: [State; 6] =
        [State::Established, State::CloseWait, State::LastAck, State::FinWait1, State::FinWait2, State::Closing];

    #[test]
    fn a_syn_in_the_window_is_challenged() {
        // RFC 5961 §4.2.
        in_states(&BUT_TIME_WAIT, |state, peer| {
            peer.send(peer.segment(SYN));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_syn_outside_the_window_is_challenged() {
        in_states(&BUT_TIME_WAIT, |state, peer| {
            peer.send(peer.segment(SYN).seq(peer.snd_nxt.wrapping_add(FAR)));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn the_syn_of_the_handshake_once_more_is_challenged() {
        in_states(&State::SYNCHRONIZED, |state, peer| {
            peer.send(peer.syn());
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_syn_ack_is_challenged() {
        in_states(&State::SYNCHRONIZED, |state, peer| {
            peer.send(peer.segment(SYN | ACK).seq(peer.iss));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_answered_with_an_ack() {
        in_states(&ACK_AS_IN_ESTABLISHED, |state, peer| {
            let ack = peer.server_snd_nxt().wrapping_add(FAR);
            peer.send(peer.acknowledgement().ack(ack));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_acknowledgement_one_too_high_is_answered_with_an_ack() {
        let states = [State::Established, State::FinWait1, State::FinWait2, State::Closing];
        in_states(&states, |state, peer| {
            let ack = peer.server_snd_nxt().wrapping_add(1);
            peer.send(peer.acknowledgement().ack(ack));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn no_wrong_acknowledgement_moves_the_state_on() {
        in_states(&State::SYNCHRONIZED, |state, peer| {
            for distance in [1, FAR, FAR.wrapping_neg(), 1 << 31] {
                let ack = peer.server_snd_nxt().wrapping_add(distance);
                peer.send(peer.acknowledgement().ack(ack));
            }
            _ = peer.next(SILENCE);
            peer.drain();
            peer.finish_from(state);
        });
    }

    #[test]
    fn text_with_a_wrong_acknowledgement_is_not_taken() {
        // RFC 5961 §5.2; the text with the right acknowledgement is taken afterwards.
        for_wrong_acknowledgements(|peer, ack| {
            peer.send(peer.data(b"bad text\n").ack(ack));
            peer.expect_challenge();
            peer.exchange(b"good text\n");
        });
    }

    #[test]
    fn a_fin_with_a_wrong_acknowledgement_is_not_taken() {
        for_wrong_acknowledgements(|peer, ack| {
            peer.send(peer.segment(FIN | ACK).ack(ack));
            peer.expect_challenge();
            peer.exchange(b"still open\n");
        });
    }

    fn for_wrong_acknowledgements<F: Fn(&mut Peer, u32) + Sync>(check: F) {
        common::namespace::enter(common::namespace::test_of::<F>(), || {
            let _server = common::server::Server::start();
            for distance in [1, FAR, FAR.wrapping_neg()] {
                let mut peer = Peer::established();
                let ack = peer.rcv_nxt.wrapping_add(distance);
                check(&mut peer, ack);
                peer.close();
            }
        });
    }
}

// ESTABLISHED.

mod established {
    use super::*;

    #[test]
    fn text_comes_back_across_the_wrap_of_the_sequence_numbers() {
        in_state(State::Established, |peer| {
            for _ in 0..20 {
                peer.exchange(b"wrap\n");
            }
            peer.close();
        });
    }

    #[test]
    fn a_spurious_retransmission_is_acknowledged_and_not_delivered_twice() {
        in_state(State::Established, |peer| {
            let old = peer.data(b"once\n");
            peer.exchange(b"once\n");
            peer.send(old);
            peer.expect_challenge();
            peer.exchange(b"twice\n");
            peer.close();
        });
    }

    #[test]
    fn text_that_overlaps_what_came_is_trimmed_at_its_front() {
        in_state(State::Established, |peer| {
            let text = b"overlap at the front\n";
            peer.send(peer.data(&text[..10]));
            peer.send(peer.data(&text[5..]).seq(peer.snd_nxt.wrapping_add(5)));
            peer.advance(text.len());
            assert_eq!(peer.read(text.len()), b"tnorf eht ta palrevo\n");
            peer.close();
        });
    }

    #[test]
    fn text_in_the_wrong_order_is_put_in_order() {
        in_state(State::Established, |peer| {
            let text = b"abcdefghijklmnopqrstuvwxyz\n";
            for (from, to) in [(20, 27), (10, 15), (5, 12), (13, 22), (0, 5)] {
                let offset = u32::try_from(from).unwrap();
                let seq = peer.snd_nxt.wrapping_add(offset);
                peer.send(peer.data(&text[from..to]).seq(seq));
            }
            peer.advance(text.len());
            assert_eq!(peer.read(text.len()), b"zyxwvutsrqponmlkjihgfedcba\n");
            peer.close();
        });
    }

    #[test]
    fn a_segment_that_covers_several_held_ones_is_taken_once() {
        in_state(State::Established, |peer| {
            let text = b"abcdefghijklmnopqrstuvwxyz\n";
            for (from, to) in [(2, 4), (6, 8), (10, 12), (0, 27)] {
                let offset = u32::try_from(from).unwrap();
                let seq = peer.snd_nxt.wrapping_add(offset);
                peer.send(peer.data(&text[from..to]).seq(seq));
            }
            peer.advance(text.len());
            assert_eq!(peer.read(text.len()), b"zyxwvutsrqponmlkjihgfedcba\n");
            peer.close();
        });
    }

    #[test]
    fn a_gap_is_answered_with_a_duplicate_acknowledgement_at_once() {
        in_state(State::Established, |peer| {
            let text = b"gap\n";
            peer.send(peer.data(&text[2..]).seq(peer.snd_nxt.wrapping_add(2)));
            peer.expect_challenge();
            peer.exchange(b"gap\n");
            peer.close();
        });
    }

    #[test]
    fn text_beyond_the_right_edge_is_cut_off() {
        in_state(State::Established, |peer| {
            let edge = peer.snd_nxt.wrapping_add(u32::from(peer.snd_wnd));
            // Half in, half out of the window, and out of order: none of it may be acknowledged, all of it may come again.
            let seq = edge.wrapping_sub(50);
            peer.send(peer.data(&[b'x'; 100]).seq(seq));
            peer.expect_challenge();
            peer.exchange(b"in order\n");
            peer.close();
        });
    }

    #[test]
    fn a_fin_out_of_order_waits_for_the_text_before_it() {
        in_state(State::Established, |peer| {
            let text = b"before the end\n";
            let fin_seq = peer.snd_nxt.wrapping_add(15);
            peer.send(peer.segment(FIN | ACK).seq(fin_seq));
            peer.expect_challenge();
            peer.send_data(text);
            // A server that did not keep the FIN is sent it again.
            assert_eq!(peer.read(text.len()), b"dne eht erofeb\n");
            peer.close();
        });
    }

    #[test]
    fn text_after_a_fin_is_not_delivered() {
        in_state(State::Established, |peer| {
            let text = b"the end\n";
            let beyond = peer.snd_nxt.wrapping_add(9);
            peer.send(peer.data(b"after\n").seq(beyond));
            peer.send(peer.data(text).flags(FIN | ACK | PSH));
            peer.advance(9);
            assert_eq!(peer.read_to_fin(), b"dne eht\n");
            peer.expect_acknowledged();
            peer.acknowledge_fin();
            peer.assert_gone();
        });
    }

    #[test]
    fn a_fin_with_text_is_taken() {
        in_state(State::Established, |peer| {
            peer.send(peer.data(b"the last line").flags(FIN | ACK | PSH));
            peer.advance(14);
            assert_eq!(peer.read_to_fin(), b"enil tsal eht");
            peer.expect_acknowledged();
            peer.acknowledge_fin();
            peer.assert_gone();
        });
    }

    #[test]
    fn text_is_acknowledged_within_half_a_second() {
        // RFC 9293 §3.8.6.3, MUST-40. No newline: there is no answer that the acknowledgement could ride on.
        in_state(State::Established, |peer| {
            peer.send_data(b"no newline");
            let ack = peer.snd_nxt;
            let half_a_second = Duration::from_millis(500);
            let found = peer.find(half_a_second, |s| s.ack == ack);
            assert!(found.is_some(), "no acknowledgement within 0.5 s");
            peer.send_data(b"\n");
            assert_eq!(peer.read(11), b"enilwen on\n");
            peer.close();
        });
    }

    #[test]
    fn every_second_full_segment_is_acknowledged_at_once() {
        // RFC 9293 §3.8.6.3, SHLD-19.
        in_state(State::Established, |peer| {
            peer.exchange(b"warm\n");
            let mut at_once = 0;
            for _ in 0..10 {
                peer.send_data(&[b'x'; 2 * 1460]);
                let (ack, sent) = (peer.snd_nxt, Instant::now());
                peer.expect("acknowledgement", |s| s.ack == ack);
                at_once += usize::from(sent.elapsed() < Duration::from_millis(25));
            }
            // A delayed one takes longer each time; a busy machine takes longer now and then.
            assert!(at_once >= 5, "only {at_once} of 10 came at once");
            peer.send_data(b"\n");
            assert_eq!(peer.read(29_201).len(), 29_201);
            peer.close();
        });
    }

    #[test]
    fn unacknowledged_text_is_sent_again_and_less_often_each_time() {
        in_state(State::Established, |peer| {
            peer.send_data(b"again\n");
            let first = peer.expect("text", |s| !s.payload.is_empty());
            let mut times = vec![Instant::now()];
            for _ in 0..2 {
                let again = peer.expect("retransmission", |s| !s.payload.is_empty());
                assert_eq!((again.seq, &again.payload), (first.seq, &first.payload));
                times.push(Instant::now());
            }
            // RFC 6298 §5.5: backed off to the double.
            assert!(times[2] - times[1] > (times[1] - times[0]).mul_f64(1.5));
            peer.rcv_nxt = peer.rcv_nxt.wrapping_add(6);
            peer.send(peer.acknowledgement());
            peer.close();
        });
    }

    #[test]
    fn three_duplicate_acknowledgements_bring_the_lost_segment_at_once() {
        // RFC 5681 §3.2, long before the retransmission timeout.
        in_state(State::Established, |peer| {
            let text: Vec<u8> = [&[b'x'; 1459][..], b"\n"].concat();
            let lost = peer.rcv_nxt;
            for _ in 0..6 {
                peer.send_data(&text);
            }
            let fin_of_flight = lost.wrapping_add(4 * 1460);
            peer.expect("the fourth segment", |s| s.seq.wrapping_add(s.len()) == fin_of_flight && s.len() > 0);
            for _ in 0..3 {
                peer.send(peer.acknowledgement());
            }
            let soon = Duration::from_millis(150);
            let again = peer.find(soon, |s| s.seq == lost && s.len() > 0);
            if again.is_none() {
                peer.fail("no fast retransmission");
            }
            // All of it comes in the end.
            peer.drain();
            peer.send(peer.acknowledgement());
            let mut text = Vec::new();
            while text.len() < 6 * 1460 {
                let segment = peer.expect("text", |s| !s.payload.is_empty());
                text.extend(peer.new_text(&segment));
                peer.send(peer.acknowledgement());
            }
            peer.close();
        });
    }

    #[test]
    fn no_segment_is_longer_than_the_mss_of_our_syn() {
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.set_largest_text(100);
            peer.open_with(peer.syn().options(&[2, 4, 0, 100]));
            peer.send_data(&[&[b'x'; 999][..], b"\n"].concat());
            assert_eq!(peer.read(1000).len(), 1000);
            peer.close();
        });
    }

    #[test]
    fn without_an_mss_no_segment_is_longer_than_536_bytes() {
        // RFC 9293 §3.7.1, MUST-15.
        against_the_server(|_| {
            let mut peer = Peer::new();
            peer.set_largest_text(536);
            peer.open_with(peer.syn().options(&[]));
            peer.send_data(&[&[b'x'; 1399][..], b"\n"].concat());
            assert_eq!(peer.read(1400).len(), 1400);
            peer.close();
        });
    }

    #[test]
    fn a_tiny_mss_does_no_harm() {
        against_the_server(|_| {
            for mss in [0, 1] {
                let mut peer = Peer::new();
                peer.open_with(peer.syn().options(&[2, 4, 0, mss]));
                peer.exchange(b"tiny\n");
                peer.close();
            }
        });
    }

    #[test]
    fn urgent_data_is_delivered_in_line() {
        // RFC 9293 §3.8.5, MUST-31: of any length, here beyond the segment, too.
        in_state(State::Established, |peer| {
            for urgent in [0, 1, 5, u16::MAX] {
                let mut segment = peer.data(b"urgent\n").flags(ACK | PSH | URG);
                segment.urgent = urgent;
                peer.send(segment);
                peer.advance(7);
                assert_eq!(peer.read(7), b"tnegru\n");
            }
            peer.close();
        });
    }

    #[test]
    fn every_mix_of_the_other_control_bits_is_taken() {
        in_state(State::Established, |peer| {
            for other in [0x40, 0x80, 0xc0, URG | 0xc0] {
                peer.send(peer.data(b"ecn\n").flags(ACK | other));
                peer.advance(4);
                assert_eq!(peer.read(4), b"nce\n");
            }
            peer.close();
        });
    }

    #[test]
    fn a_segment_in_two_fragments_is_put_together() {
        in_state(State::Established, |peer| {
            let packet = peer.data(b"in two fragments of one packet\n").packet();
            for fragment in fragments(&packet, 24) {
                peer.send_packet(&fragment);
            }
            peer.advance(31);
            assert_eq!(peer.read(31), b"tekcap eno fo stnemgarf owt ni\n");
            peer.close();
        });
    }

    /// The packet in two fragments, the first with this many bytes of payload, a multiple of eight.
    fn fragments(packet: &[u8], first: usize) -> [Vec<u8>; 2] {
        let header = common::segment::HEADER;
        let mut head = packet[..header + first].to_vec();
        let mut tail = [&packet[..header], &packet[header + first..]].concat();
        let offset = u16::try_from(first / 8).unwrap();
        for (fragment, field) in [(&mut head, 0x2000), (&mut tail, offset)] {
            let length = u16::try_from(fragment.len()).unwrap();
            fragment[2..4].copy_from_slice(&length.to_be_bytes());
            fragment[4..6].copy_from_slice(&[0x77, 0x77]);
            fragment[6..8].copy_from_slice(&field.to_be_bytes());
            common::segment::fill_ipv4_checksum(fragment);
        }
        [head, tail]
    }
}

// Windows, in ESTABLISHED: RFC 9293 §3.8.6.

mod windows {
    use super::*;

    #[test]
    fn a_small_window_is_never_overrun() {
        in_state(State::Established, |peer| {
            peer.rcv_wnd = 10;
            peer.exchange(b"narrow\n");
            peer.send_data(&[&[b'x'; 99][..], b"\n"].concat());
            let mut text = Vec::new();
            while text.len() < 100 {
                let segment = peer.expect("text", |s| !s.payload.is_empty());
                let end = segment.seq.wrapping_add(segment.len());
                assert!(end.wrapping_sub(peer.rcv_nxt) <= 10, "{segment}");
                text.extend(peer.new_text(&segment));
                peer.send(peer.acknowledgement());
            }
            peer.rcv_wnd = u16::MAX;
            peer.send(peer.acknowledgement());
            peer.close();
        });
    }

    #[test]
    fn a_closed_window_is_probed_and_an_opened_one_is_used() {
        // MUST-36, SHLD-29 and SHLD-30.
        in_state(State::Established, |peer| {
            peer.exchange(b"open\n");
            peer.rcv_wnd = 0;
            peer.send(peer.acknowledgement());
            peer.send_data(b"probe\n");
            for _ in 0..2 {
                let old = peer.rcv_nxt.wrapping_sub(1);
                let probe = peer.expect("probe", |s| !s.payload.is_empty() || s.seq == old);
                assert!(probe.payload.len() <= 1, "{probe}");
                peer.send(peer.acknowledgement());
            }
            peer.rcv_wnd = u16::MAX;
            peer.send(peer.acknowledgement());
            assert_eq!(peer.read(6), b"eborp\n");
            peer.close();
        });
    }

    #[test]
    fn a_window_taken_back_is_survived() {
        // MUST-34: the right edge moves left, over text that is under way.
        in_state(State::Established, |peer| {
            peer.send_data(&[&[b'x'; 2999][..], b"\n"].concat());
            peer.expect("text", |s| !s.payload.is_empty());
            peer.rcv_wnd = 5;
            peer.send(peer.acknowledgement());
            _ = peer.next(SILENCE);
            peer.rcv_wnd = u16::MAX;
            peer.send(peer.acknowledgement());
            peer.drain();
            let mut length = 0;
            while length < 3000 {
                let segment = peer.expect("text", |s| !s.payload.is_empty());
                length += peer.new_text(&segment).len();
                peer.send(peer.acknowledgement());
            }
            peer.close();
        });
    }

    #[test]
    fn an_older_segment_does_not_take_the_window_back() {
        // RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2.
        in_state(State::Established, |peer| {
            let old = peer.acknowledgement().window(0);
            peer.exchange(b"newer\n");
            peer.send(old);
            peer.drain();
            peer.exchange(b"window still open\n");
            peer.close();
        });
    }

    #[test]
    fn a_server_with_a_closed_window_still_takes_acknowledgements() {
        in_state(State::Established, |peer| {
            peer.fill();
            let line = [&[b'x'; 1459][..], b"\n"].concat();
            // To the very end of the window.
            while peer.snd_wnd >= 2 * 1460 {
                peer.send_data(&line);
                peer.send_data(&line);
                peer.expect_acknowledged();
            }
            let rest = vec![b'x'; usize::from(peer.snd_wnd)];
            for part in rest.chunks(1460) {
                peer.send_data(part);
            }
            peer.expect_acknowledged();
            peer.rcv_wnd = u16::MAX;
            peer.send(peer.acknowledgement());
            let text = peer.expect("text", |s| s.payload.len() > 1);
            peer.new_text(&text);
        });
    }

    #[test]
    fn a_server_with_a_closed_window_still_obeys_a_rst() {
        // RFC 9293 §3.4, MUST-66.
        in_state(State::Established, |peer| {
            peer.fill();
            peer.send(peer.rst());
            peer.assert_gone();
        });
    }

    #[test]
    fn text_held_up_by_a_closed_window_comes_before_the_fin() {
        in_state(State::CloseWait, |peer| {
            peer.rcv_wnd = u16::MAX;
            peer.send(peer.acknowledgement());
            let text = peer.read_to_fin();
            assert_eq!(text.len() % 1460, 0);
            assert!(text.chunks(1460).all(|line| line.ends_with(b"x\n")));
            peer.acknowledge_fin();
            peer.assert_gone();
        });
    }
}

// The closing states.

mod closing_states {
    use super::*;

    #[test]
    fn our_fin_once_more_is_acknowledged_once_more() {
        in_states(&PAST_OUR_FIN, |state, peer| {
            peer.send(peer.our_fin_again());
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn text_after_our_fin_is_ignored() {
        // RFC 9293 §3.10.7.4, seventh step: "this should not occur".
        in_states(&PAST_OUR_FIN, |state, peer| {
            peer.send(peer.data(b"after the end\n"));
            while let Some(answer) = peer.next(SILENCE) {
                assert_eq!(answer.ack, peer.snd_nxt, "the text was taken: {answer}");
                assert!(!answer.has(RST), "{answer}");
            }
            peer.finish_from(state);
        });
    }

    #[test]
    fn the_last_text_once_more_is_acknowledged_once_more() {
        in_states(&PAST_OUR_FIN, |state, peer| {
            let seq = peer.snd_nxt.wrapping_sub(2);
            peer.send(peer.segment(ACK | FIN | PSH).seq(seq).text(b"\n"));
            peer.expect_challenge();
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_unacknowledged_fin_is_sent_again() {
        let states = [State::LastAck, State::FinWait1, State::Closing];
        in_states(&states, |state, peer| {
            let fin = peer.server_fin;
            let again = peer.expect("second FIN", |s| s.has(FIN));
            assert_eq!(Some(again.seq), fin);
            peer.finish_from(state);
        });
    }

    #[test]
    fn an_acknowledgement_short_of_the_fin_moves_nothing() {
        let states = [State::LastAck, State::FinWait1, State::Closing];
        in_states(&states, |state, peer| {
            peer.send(peer.acknowledgement());
            peer.expect_no_answer();
            peer.expect("second FIN", |s| s.has(FIN));
            peer.finish_from(state);
        });
    }

    #[test]
    fn a_fin_that_acknowledges_the_servers_fin_ends_in_time_wait() {
        in_state(State::FinWait1, |peer| {
            peer.rcv_nxt = peer.rcv_nxt.wrapping_add(1);
            peer.send_fin();
            peer.expect_acknowledged();
            peer.finish_from(State::TimeWait);
        });
    }

    #[test]
    fn a_repeated_acknowledgement_of_the_fin_changes_nothing() {
        in_states(&[State::FinWait2, State::TimeWait], |state, peer| {
            for _ in 0..5 {
                peer.send(peer.acknowledgement());
            }
            peer.expect_no_answer();
            peer.finish_from(state);
        });
    }

    #[test]
    fn text_after_the_servers_close_is_answered_with_a_rst() {
        // RFC 9293 §3.6.1, SHLD-3: nobody is there to read it.
        in_states(&WAITING_FOR_OUR_FIN, |state, peer| {
            if state == State::FinWait1 {
                peer.rcv_nxt = peer.rcv_nxt.wrapping_add(1);
            }
            peer.send(peer.data(b"too late\n"));
            peer.expect("RST", |s| s.has(RST));
            peer.assert_gone();
        });
    }

    #[test]
    fn a_fin_beyond_text_that_nobody_will_read_is_not_acknowledged() {
        // Kept for later and answered with an ACK, or, as the text before it will be lost, with a RST (SHLD-3).
        in_states(&WAITING_FOR_OUR_FIN, |_, peer| {
            let seq = peer.snd_nxt.wrapping_add(4);
            peer.send(peer.segment(FIN | ACK).seq(seq));
            let answer = peer.expect("answer", |s| !s.has(FIN));
            assert!(answer.has(RST) || answer.ack == peer.snd_nxt, "{answer}");
        });
    }

    #[test]
    fn both_close_at_once() {
        in_state(State::Closing, |peer| peer.finish_from(State::Closing));
    }

    #[test]
    fn a_new_syn_reopens_a_connection_in_time_wait() {
        // RFC 9293 §3.6.1, MAY-2.
        in_state(State::TimeWait, |peer| {
            let new = peer.snd_nxt.wrapping_add(FAR);
            peer.reborn(new);
            peer.open();
            peer.send(peer.acknowledgement());
            peer.exchange(b"born again\n");
            peer.close();
        });
    }

    #[test]
    fn an_old_syn_does_not_reopen_a_connection_in_time_wait() {
        in_state(State::TimeWait, |peer| {
            peer.send(peer.segment(SYN).seq(peer.snd_nxt.wrapping_sub(100)));
            peer.expect_challenge();
            peer.finish_from(State::TimeWait);
        });
    }

    #[test]
    fn after_the_last_ack_the_address_pair_is_free_at_once() {
        in_state(State::LastAck, |peer| {
            peer.finish_from(State::LastAck);
            peer.reborn(peer.iss.wrapping_add(FAR));
            peer.open();
            peer.send(peer.acknowledgement());
            peer.exchange(b"once more\n");
            peer.close();
        });
    }

    #[test]
    fn an_empty_line_with_more_behind_it_is_answered_with_a_rst_and_no_harm() {
        // RFC 2525 §2.17, SHLD-3: the application closed with text unread.
        in_state(State::Established, |peer| {
            peer.send_data(b"read\n\nunread\n");
            let end = Instant::now() + ANSWER_LIMIT;
            let mut closed = false;
            while !closed && Instant::now() < end {
                closed = peer.next(SILENCE).is_some_and(|s| s.has(RST) || s.has(FIN));
            }
            assert!(closed, "neither FIN nor RST came");
        });
    }
}
