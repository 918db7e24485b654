//! Urgent Data (RFC 9293 §3.8.5).

use session_tcp::ReceivingEvent;
use session_tcp::UserOpen;
use session_tcp::calls::Data;
use session_tcp::calls::{Receive, Urgent};
use session_tcp::tcp::segment::Control;
use session_tcp::tcp::{Advice, Config};
use smoltcp::time::Duration;

use super::driver::{ACK, Craft, Driver, State, URG, configured, in_state, in_states};
use super::layers::connected;

/// States in which urgent data is not heard of any more.
const DEAF: [State; 5] = [State::FinWait1, State::FinWait2, State::Closing, State::LastAck, State::TimeWait];

/// What the user is told: so many octets up to the end of urgent data.
fn urgent(octets: u32) -> Option<Advice> {
    Some(Advice::Urgent { octets })
}

#[test]
fn must_30_urgent_data_goes_both_ways() {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        let sent = tcp.send_urgent(b"urgent");
        assert_eq!((sent[0].control.urg(), &sent[0].payload[..]), (true, &b"urgent"[..]));
        if state == State::Established {
            tcp.arrives(tcp.data(b"urgent").urgent(6));
            assert_eq!((tcp.advice(), tcp.receive()), (urgent(6), b"urgent".to_vec()));
        }
    });
    // As the user of the program sees it.
    let (mut peer, mut user, st) = connected(Config::default());
    let st = user.select(st, UserOpen::Urgent(Urgent(Data::new(b"now".to_vec()).unwrap()))).unwrap();
    let segment = peer.wire.next();
    assert_eq!((segment.control.contains(URG), segment.up), (true, 3));
    peer.ack = peer.ack.clone().acking(segment.end());
    let text = peer.ack.clone().text(b"yes").urgent(3);
    peer.wire.send(&text);
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Advice(advice, st) = user.offer(st).unwrap() else { panic!("advice") };
    assert_eq!(advice, Advice::Urgent { octets: 3 });
    let st = user.select(st, UserOpen::Receive(Receive(()))).unwrap();
    let ReceivingEvent::Data(data, _) = user.offer(st).unwrap() else { panic!("data") };
    assert_eq!((data.octets(), data.urgent_octets()), (&b"yes"[..], 0));
}

#[test]
fn must_31_urgent_data_may_be_of_any_length() {
    // Longer than the pointer reaches: each segment says as much as it can.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(u16::MAX));
        let length: u32 = 100_000;
        let end = tcp.snd_nxt() + length;
        let mut sent = tcp.send_urgent(&[b'x'; 100_000]);
        while tcp.snd_una() != end {
            sent.extend(tcp.arrives(tcp.in_order(ACK).window(u16::MAX)));
        }
        for segment in sent.iter().filter(|s| !s.payload.is_empty()) {
            let left = end.distance_from(segment.seq);
            assert_eq!((segment.control.urg(), u32::from(segment.up)), (true, left.min(65_535)));
        }
    });
    // And of the peer's: nothing is lost, nothing is cut.
    in_state(State::Established, |tcp| {
        for _ in 0..50 {
            tcp.arrives(tcp.data(&[b'x'; 1460]).urgent(u16::MAX));
            assert_eq!(tcp.receive().len(), 1460);
        }
        assert_eq!(tcp.urgent_octets(), 65_535 - 1460);
    });
    // Of a single octet, too.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"!").urgent(1));
        assert_eq!(tcp.advice(), urgent(1));
    });
}

#[test]
fn must_32_the_user_is_told_when_urgent_data_begins_or_its_end_moves_on() {
    in_state(State::Established, |tcp| {
        assert_eq!(tcp.advice(), None);
        tcp.arrives(tcp.neutral(ACK).urgent(5));
        assert_eq!(tcp.advice(), urgent(5));
        // The same end again says nothing new, nor does an earlier one.
        tcp.arrives(tcp.neutral(ACK).urgent(5));
        tcp.arrives(tcp.neutral(ACK).urgent(4));
        assert_eq!(tcp.advice(), None);
        tcp.arrives(tcp.neutral(ACK).urgent(6));
        assert_eq!(tcp.advice(), urgent(6));
        // Once it was received, none is pending.
        tcp.arrives(tcp.data(b"urgent"));
        assert_eq!(tcp.receive(), b"urgent");
        tcp.arrives(tcp.neutral(ACK).urgent(1));
        assert_eq!(tcp.advice(), urgent(1));
    });
    // Of a pointer that points behind itself, or comes without its bit, nobody is told.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).urgent(0));
        let mut without = tcp.neutral(ACK).urgent(5);
        without.control = ACK;
        tcp.arrives(without);
        assert_eq!(tcp.advice(), None);
    });
    // Nor of one in a segment that is not acceptable.
    in_state(State::Established, |tcp| {
        tcp.acknowledges(tcp.neutral(ACK).at(tcp.rcv_nxt() - 1).urgent(5));
        tcp.acknowledges(tcp.neutral(ACK).acking(tcp.snd_nxt() + 1).urgent(5));
        assert_eq!(tcp.advice(), None);
    });
}

#[test]
fn must_32_the_user_is_told_of_urgent_data_that_came_with_the_syn() {
    // RFC 9293 §3.10.7.2, third, and §3.10.7.3, fourth: other controls are processed once the SYN is.
    let with_syn = |state, control| {
        in_state(state, |tcp| {
            let (seq, crossed) = (tcp.irs(), tcp.syn().text(b"abc").urgent(4));
            tcp.arrives(if control == ACK { crossed.acking(tcp.iss() + 1) } else { crossed });
            tcp.arrives(tcp.in_order(ACK).at(seq + 1).text(b"abc"));
            assert_eq!((tcp.advice(), tcp.receive()), (urgent(3), b"abc".to_vec()));
        });
    };
    with_syn(State::Listen, Control::NONE);
    with_syn(State::SynSent, Control::NONE);
    with_syn(State::SynSent, ACK);
}

#[test]
fn must_33_the_user_learns_how_much_urgent_data_is_left() {
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"urgent, calm").urgent(6));
        for (octets, left) in [(0, 6), (1, 5), (4, 1), (1, 0), (6, 0)] {
            tcp.receive_some(octets);
            assert_eq!(tcp.urgent_octets(), left);
        }
    });
}

#[test]
fn must_62_the_pointer_is_that_of_the_octet_behind_the_urgent_data() {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        let sent = tcp.send_urgent(b"urgent");
        assert_eq!(sent[0].seq + u32::from(sent[0].up), sent[0].end());
        // It stays there when what follows is calm, also when it is sent again.
        tcp.arrives(tcp.in_order(ACK));
        let calm = tcp.send(b"calm");
        assert_eq!((calm[0].control.urg(), calm[0].up), (false, 0));
    });
    in_state(State::Established, |tcp| {
        let end = tcp.send_urgent(b"urgent")[0].end();
        tcp.send(b"calm");
        let (_, again) = tcp.next_segment(Duration::from_secs(2)).unwrap();
        assert_eq!((again.control.urg(), again.seq + u32::from(again.up)), (true, end));
    });
    // As a receiver: up to it, and not with it.
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.data(b"urgent, calm").urgent(6));
        assert_eq!(tcp.urgent_octets(), 6);
    });
}

#[test]
fn must_66_urg_is_processed_at_a_zero_window() {
    let config = Config { rcv_buff_bytes: 4, ..Config::default() };
    configured(&config, State::Established, |tcp: &mut Driver| {
        tcp.arrives(tcp.data(b"full"));
        tcp.wait(Duration::from_secs(1));
        assert_eq!(tcp.rcv_wnd(), 0);
        tcp.arrives(tcp.neutral(ACK).urgent(10));
        assert_eq!(tcp.advice(), urgent(14));
        tcp.arrives(tcp.data(b"p").urgent(11));
        assert_eq!(tcp.advice(), urgent(15));
    });
}

#[test]
fn later_states_urg_is_ignored() {
    // RFC 9293 §3.10.7.4, sixth: in FIN-WAIT-1 and FIN-WAIT-2 nobody is there to be told, either (MAY-1).
    in_states(&DEAF, |_, tcp| tcp.drops(tcp.neutral(ACK).urgent(5)));
    in_state(State::CloseWait, |tcp| {
        tcp.drops(tcp.neutral(ACK).urgent(5));
        assert_eq!(tcp.advice(), None);
    });
}
