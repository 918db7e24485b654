//! The user's calls (RFC 9293 §3.10.1 to §3.10.6) at the machine; which call is legal in which state the session types say.

use super::driver::{ACK, Craft, Driver, FIN, RST, SYN, State, in_state, in_states};
use session_tcp::tcp::Config;
use smoltcp::time::Duration;

#[test]
fn open_passive_listens_and_sends_nothing() {
    let mut tcp = Driver::new(Config::default());
    tcp.listen();
    assert_eq!(tcp.wait(Duration::from_secs(3600)), []);
    assert_eq!(tcp.state(), State::Listen);
}

#[test]
fn open_active_sends_a_syn_and_enters_syn_sent() {
    let mut tcp = Driver::new(Config::default());
    tcp.connect();
    let (_, syn) = tcp.next_segment(Duration::ZERO).unwrap();
    assert_eq!((syn.control, syn.seq, tcp.state()), (SYN, tcp.iss(), State::SynSent));
    assert_eq!((tcp.snd_una(), tcp.snd_nxt()), (tcp.iss(), tcp.iss() + 1));
}

#[test]
fn send_is_segmented_and_carries_the_acknowledgement() {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        let nxt = tcp.snd_nxt();
        let sent = tcp.send(&[b'x'; 2 * 1460 + 10]);
        let seqs: Vec<_> = sent.iter().map(|s| (s.seq, s.payload.len(), s.ack == tcp.rcv_nxt())).collect();
        // The rest waits for the acknowledgement (SHLD-7).
        assert_eq!(seqs, [(nxt, 1460, true), (nxt + 1460, 1460, true)]);
        assert!(sent.iter().all(|s| s.control.contains(ACK)));
    });
}

#[test]
fn receive_gets_what_has_arrived_in_order_and_in_close_wait_what_is_left() {
    in_state(State::Established, |tcp| {
        assert_eq!(tcp.receive(), b"");
        tcp.arrives(tcp.data(b"text"));
        assert_eq!(tcp.receive_some(3), b"tex");
        tcp.arrives(tcp.data(b"!").and(FIN));
        assert_eq!((tcp.state(), tcp.receive()), (State::CloseWait, b"t!".to_vec()));
    });
}

#[test]
fn close_in_established_sends_the_fin_behind_the_text_and_enters_fin_wait_1() {
    in_state(State::Established, |tcp| {
        let nxt = tcp.snd_nxt();
        tcp.send(&[b'x'; 1470]);
        tcp.close();
        assert_eq!(tcp.state(), State::FinWait1);
        let (_, rest) = tcp.next_segment(Duration::ZERO).unwrap();
        assert_eq!((rest.seq, rest.payload.len(), rest.control.fin()), (nxt + 1460, 10, true));
        assert_eq!(tcp.snd_nxt(), nxt + 1471);
    });
}

#[test]
fn close_in_close_wait_sends_the_fin_and_enters_last_ack() {
    in_state(State::CloseWait, |tcp| {
        let nxt = tcp.snd_nxt();
        tcp.close();
        let (_, fin) = tcp.next_segment(Duration::ZERO).unwrap();
        assert_eq!((fin.control, fin.seq, tcp.state()), (FIN | ACK, nxt, State::LastAck));
    });
}

#[test]
fn abort_sends_a_rst_with_snd_nxt() {
    let states = [State::SynReceived, State::Established, State::CloseWait, State::FinWait1, State::FinWait2];
    in_states(&states, |_, tcp| {
        let nxt = tcp.snd_nxt();
        let rst = tcp.abort();
        assert_eq!((rst.control, rst.seq, tcp.state()), (RST, nxt, State::Closed));
    });
    // Text that is queued or outstanding is flushed.
    in_state(State::Established, |tcp| {
        let sent = tcp.send(&[b'x'; 30_000]);
        let end = sent.last().unwrap().end();
        assert_eq!(tcp.abort().seq, end);
    });
}

#[test]
fn abort_with_a_probe_beyond_the_closed_window_outstanding_still_reaches_the_peer() {
    // RFC 9293 §3.10.5 has SND.NXT; but it lies past the peer's window, and a RST there is dropped (RFC 5961 §3.2).
    in_state(State::Established, |tcp| {
        tcp.arrives(tcp.neutral(ACK).window(0));
        tcp.send(b"text");
        let (_, probe) = tcp.next_segment(Duration::from_secs(60)).unwrap();
        assert_eq!(probe.payload, b"t");
        tcp.arrives(tcp.neutral(ACK).window(0));
        let una = tcp.snd_una();
        assert_eq!(tcp.abort().seq, una);
    });
}

#[test]
fn status_tells_the_variables_of_the_block() {
    in_state(State::Established, |tcp| {
        tcp.send(b"text");
        tcp.arrives(tcp.data(b"ab"));
        let status = tcp.status().unwrap();
        assert_eq!((status.state, status.snd_buffered_bytes, status.rcv_buffered_bytes), ("ESTABLISHED", 4, 2));
        assert_eq!(status.snd_nxt, status.snd_una + 4);
    });
}
