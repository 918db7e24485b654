//! Closing Connections (RFC 9293 §3.5.3, §3.6).

use session_tcp::calls::{Close, Closed, Receive, Reset, ResetCause};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, UserTimeout};
use session_tcp::{ReceivingEvent, UserClosingEvent, UserOpen, UserPeerClosed};
use smoltcp::time::Duration;

use super::driver::{ACK, Craft, Driver, FAR, FIN, RST, SYN, State, Told, configured, in_state, in_states};
use super::layers::{Peer, connected, served};

#[test]
fn must_12_the_user_can_tell_a_close_from_a_reset() {
    // The peer finishes: the user hears of a close, then of its own.
    let (mut peer, mut user, st) = connected(Config::default());
    peer.finish();
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Close(Close(()), st) = user.offer(st).unwrap() else { panic!("a close") };
    let fin_ack = peer.wire.next();
    assert_eq!((fin_ack.control, fin_ack.ack), (ACK, peer.ack.seq));
    let st = user.select(st, UserPeerClosed::Close(Close(()))).unwrap();
    let fin = peer.wire.next();
    peer.wire.send(&peer.ack.clone().acking(fin.end()));
    assert!(matches!(user.offer(st).unwrap(), UserClosingEvent::Closed(Closed(()), _)));

    // The peer resets: the user hears of that, and why.
    let (peer, mut user, st) = connected(Config::default());
    let rst = super::layers::from_peer(RST).at(peer.ack.seq);
    peer.wire.send(&rst);
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Reset(Reset(cause), _) = user.offer(st).unwrap() else { panic!("a reset") };
    assert_eq!(cause, ResetCause::Peer);

    // The peer falls silent: that too is another thing than a close.
    let impatient = Config { user_timeout: UserTimeout::After(Duration::from_millis(50)), ..Config::default() };
    let (_peer, mut user, st) = connected(impatient);
    let text = session_tcp::calls::Data::new(b"text".to_vec()).unwrap();
    let st = user.select(st, UserOpen::Send(text)).unwrap();
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Reset(Reset(cause), _) = user.offer(st).unwrap() else { panic!("a reset") };
    assert_eq!(cause, ResetCause::UserTimeout);
}

#[test]
fn must_13_the_active_closer_lingers_in_time_wait() {
    in_states(&[State::FinWait1, State::FinWait2, State::Closing], |state, tcp| {
        let segment = if state == State::Closing { tcp.in_order(ACK) } else { tcp.in_order(FIN | ACK) };
        tcp.arrives(segment);
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Config::default().two_msl - Duration::from_micros(1));
        assert_eq!(tcp.state(), State::TimeWait);
        tcp.wait(Duration::from_micros(1));
        assert_eq!(tcp.state(), State::Closed);
    });
    // The passive closer does not.
    in_state(State::LastAck, |tcp| tcp.ends(tcp.in_order(ACK), State::Closed, &[Told::Closed]));
}

#[test]
fn shld_2_a_rst_with_text_is_obeyed() {
    in_states(&State::SYNCHRONIZED, |_, tcp| {
        tcp.arrives(tcp.neutral(RST).text(b"why"));
        assert_eq!(tcp.state(), State::Closed);
    });
    in_state(State::SynReceived, |tcp| tcp.ends(tcp.neutral(RST).text(b"why"), State::Listen, &[]));
    in_state(State::SynSent, |tcp| tcp.ends(tcp.in_order(RST | ACK).text(b"why"), State::Closed, &[Told::Refused]));
    // Text does not make one valid.
    in_state(State::Established, |tcp| tcp.drops(tcp.neutral(RST).at(tcp.rcv_nxt() - 1).text(b"why")));
}

/// CLOSE in this state with four octets unread, before anybody has looked what is due.
fn closed_with_text_unread(state: State, check: impl Fn(&mut Driver)) {
    in_state(state, |tcp| {
        tcp.arrives(tcp.data(b"unread"));
        assert_eq!(tcp.receive_some(2), b"un");
        tcp.forget();
        tcp.close_without_looking();
        check(tcp);
    });
}

/// The RST that shows it has been sent, and the user knows.
#[track_caller]
fn data_is_lost(tcp: &mut Driver, sent: &[session_tcp::tcp::Segment]) {
    let last = sent.last().expect("a RST is sent");
    assert!(last.control.rst(), "{last}");
    assert_eq!((tcp.state(), tcp.told()), (State::Closed, vec![Told::DataLost]));
}

#[test]
fn shld_3_close_with_text_unread_resets() {
    closed_with_text_unread(State::Established, |tcp| {
        let sent = tcp.wait(Duration::ZERO);
        data_is_lost(tcp, &sent);
    });
    // In CLOSE-WAIT it is the same loss.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"unread").and(FIN));
        assert_eq!(tcp.state(), State::CloseWait);
        tcp.close_without_looking();
        let sent = tcp.wait(Duration::ZERO);
        data_is_lost(tcp, &sent);
    });
    // With everything read it is a FIN.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"read"));
        tcp.receive();
        tcp.close();
        assert_eq!(tcp.state(), State::FinWait1);
    });
}

#[test]
fn shld_3_the_loss_is_not_forgotten_when_the_fin_of_the_peer_comes_first() {
    closed_with_text_unread(State::Established, |tcp| {
        let sent = tcp.arrives(tcp.neutral(FIN | ACK));
        data_is_lost(tcp, &sent);
    });
}

#[test]
fn shld_3_the_loss_is_not_forgotten_when_an_ack_comes_first() {
    closed_with_text_unread(State::Established, |tcp| {
        let sent = tcp.arrives(tcp.in_order(ACK));
        data_is_lost(tcp, &sent);
    });
}

#[test]
fn shld_3_text_after_close_resets() {
    for fin in [ACK, FIN | ACK] {
        in_states(&[State::FinWait1, State::FinWait2], |_, tcp| {
            let nxt = tcp.snd_nxt();
            let sent = tcp.arrives(tcp.in_order(fin).text(b"late"));
            assert_eq!((sent.last().unwrap().control, sent.last().unwrap().seq), (RST, nxt));
            data_is_lost(tcp, &sent);
        });
    }
    // Text that had come before is no loss.
    in_state(State::Established, |tcp| {
        let text = tcp.data(b"text");
        tcp.arrives(text.clone());
        tcp.receive();
        tcp.close();
        tcp.acknowledges(text);
        assert_eq!(tcp.state(), State::FinWait1);
    });
}

#[test]
fn may_1_after_close_nobody_reads() {
    // The types have it so: no method of FIN-WAIT-1 or FIN-WAIT-2 receives, and text that comes is lost (SHLD-3).
    in_state(State::FinWait2, |tcp| {
        let sent = tcp.arrives(tcp.data(b"text"));
        data_is_lost(tcp, &sent);
    });
    // What may still come is the peer's FIN.
    in_state(State::FinWait2, |tcp| {
        tcp.arrives(tcp.in_order(FIN | ACK));
        assert_eq!(tcp.state(), State::TimeWait);
    });
}

#[test]
fn may_2_a_new_syn_in_time_wait_reopens_and_an_old_one_does_not() {
    in_state(State::TimeWait, |tcp| {
        for old in [1, 2, FAR] {
            tcp.acknowledges(tcp.neutral(SYN).at(tcp.rcv_nxt() - old));
        }
        let nxt = tcp.rcv_nxt();
        let answers = tcp.arrives(tcp.neutral(SYN).at(nxt + 1));
        assert_eq!(tcp.state(), State::SynReceived);
        assert_eq!((answers[0].control, answers[0].ack), (SYN | ACK, nxt + 2));
    });
    in_state(State::TimeWait, |tcp| {
        tcp.arrives(tcp.neutral(SYN).at(tcp.rcv_nxt() + FAR));
        assert_eq!(tcp.state(), State::SynReceived);
    });
    // Only a SYN, and nothing that contradicts one.
    in_state(State::TimeWait, |tcp| {
        for control in [SYN | ACK, SYN | FIN] {
            tcp.acknowledges(tcp.neutral(control).at(tcp.rcv_nxt() + 1));
        }
        tcp.drops(tcp.neutral(SYN | RST).at(tcp.rcv_nxt() + FAR));
    });
}

#[test]
fn may_2_our_number_is_past_all_that_the_old_connection_used() {
    // It sends more in its few milliseconds than the clock of the numbers counts in them.
    let mut peer = Peer::open(served(), SeqNum::new(5));
    for _ in 0..60 {
        peer.send(&[&[b'x'; 999][..], b"\n"].concat());
    }
    peer.send(b"\n");
    assert_eq!(peer.read_to_fin().len(), 60_000);
    peer.finish();
    assert_eq!(peer.wire.next().ack, peer.ack.seq, "TIME-WAIT");
    let (used, nxt) = (peer.ack.ack, peer.ack.seq);
    let reopened = Peer::open(peer.wire, nxt + 1);
    let iss = reopened.ack.ack - 1;
    assert!(iss.is_at_or_after(used), "{iss} after {used}");
}

#[test]
fn shld_4_a_later_timestamp_reopens_out_of_time_wait() {
    // RFC 6191: the timestamp of the SYN decides, not its number.
    for (tsval, reopens) in [(1001, true), (1000 + (1 << 30), true), (999, false)] {
        for seq in [FAR, 1, 1_u32.wrapping_neg(), FAR.wrapping_neg()] {
            in_state(State::Closed, |closed| {
                let mut tcp = Driver::numbered(Config::default(), closed.iss(), closed.irs());
                tcp.stamp(1000);
                tcp.bring_to(State::TimeWait);
                tcp.stamp(tsval);
                let syn = tcp.neutral(SYN).at(tcp.rcv_nxt() + seq);
                if reopens {
                    tcp.arrives(syn);
                    assert_eq!(tcp.state(), State::SynReceived);
                } else {
                    tcp.acknowledges(syn);
                }
            });
        }
    }
}

#[test]
fn simultaneous_close_ends_in_time_wait_on_this_side_too() {
    // RFC 9293 §3.6, figure 13.
    in_state(State::FinWait1, |tcp| {
        let ack = tcp.arrives(tcp.neutral(FIN | ACK));
        tcp.is_bare_ack(ack.first());
        assert_eq!(tcp.state(), State::Closing);
        tcp.ends(tcp.in_order(ACK), State::TimeWait, &[Told::Closed]);
    });
}

#[test]
fn half_closed_by_the_peer_the_user_still_sends() {
    // RFC 9293 §3.6, case 2.
    configured(&Config::default(), State::CloseWait, |tcp| {
        let sent = tcp.send(b"still here");
        assert_eq!(sent[0].payload, b"still here");
        tcp.ends(tcp.in_order(ACK), State::CloseWait, &[]);
        tcp.close();
        tcp.forget();
        tcp.ends(tcp.in_order(ACK), State::Closed, &[Told::Closed]);
    });
}

#[test]
fn the_fin_comes_after_text_that_a_closed_window_holds_up() {
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(0));
        tcp.send(b"text");
        tcp.close();
        let (_, probe) = tcp.next_segment(Duration::from_secs(60)).unwrap();
        assert_eq!((&probe.payload[..], probe.control.fin()), (&b"t"[..], false));
        let sent = tcp.arrives(tcp.in_order(ACK).window(100));
        assert_eq!((&sent[0].payload[..], sent[0].control.fin()), (&b"ext"[..], true));
    });
}
