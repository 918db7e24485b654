//! Attacks on the machine, in virtual time: blind ones by somebody who does not see the connection, and those of a bad peer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod simulator;

#[path = "attacks/flood.rs"]
mod flood;

use session_tcp::tcp::segment::{Control, Segment};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, Timestamps};
use simulator::meeting::{At, Meeting};
use simulator::stack::{Ended, Stack};
use smoltcp::time::{Duration, Instant};

/// Challenge ACKs that a connection sends in five seconds (RFC 5961 §7).
const CHALLENGES: usize = 10;

/// Without timestamps: a forger who does not know them is stopped by their absence already (RFC 7323 §3.2), and what is tested here
/// would not be met.
fn config() -> Config {
    Config { timestamps: Timestamps::Off, ..Config::default() }
}

fn established() -> Meeting {
    Meeting::at(At::Established, &config())
}

// Blind attacks (RFC 5961).

#[test]
fn a_blind_rst_resets_only_at_rcv_nxt() {
    for state in At::SYNCHRONIZED {
        let mut meeting = Meeting::at(state, &config());
        let (rcv_nxt, wnd) = (meeting.rcv_nxt(), meeting.server.status().rcv_wnd);
        let mut challenges = 0;
        for ahead in (1..wnd).step_by(997).chain([1, 2, wnd - 1]) {
            for control in [Control::RST, Control::RST | Control::ACK] {
                challenges += meeting.strike(meeting.forged(control, rcv_nxt.wrapping_add(ahead), 0)).len();
            }
        }
        assert_eq!(challenges, CHALLENGES, "{state}: throttled");
        for outside in [rcv_nxt.wrapping_sub(1), rcv_nxt.wrapping_add(wnd), rcv_nxt.wrapping_add(1 << 31)] {
            assert_eq!(meeting.strike(meeting.forged(Control::RST, outside, 0)), [], "{state}");
        }
        assert_eq!(meeting.server.state(), state.to_string());
        meeting.finish();
        // The twin: the one number that counts.
        let mut meeting = Meeting::at(state, &config());
        assert_eq!(meeting.strike(meeting.forged(Control::RST, rcv_nxt, 0)), []);
        assert_eq!(meeting.server.ended(), Some(Ended::Reset), "{state}");
    }
}

#[test]
fn a_blind_syn_resets_nothing() {
    for state in At::SYNCHRONIZED {
        let mut meeting = Meeting::at(state, &config());
        let mut answers = Vec::new();
        for step in 0..500_u32 {
            let seq = step.wrapping_mul(0x0083_1b2d);
            // TIME-WAIT may be reopened by a SYN past RCV.NXT (RFC 9293 MAY-2), which is no attack on a living connection.
            let is_newer = SeqNum::new(seq).is_at_or_after(SeqNum::new(meeting.rcv_nxt()));
            if state == At::TimeWait && is_newer {
                continue;
            }
            answers.extend(meeting.strike(meeting.forged(Control::SYN, seq, 0)));
        }
        let is_challenge = |s: &Segment| s.control == Control::ACK && s.payload.is_empty();
        assert!(answers.iter().all(is_challenge) && answers.len() <= CHALLENGES, "{state}: {answers:?}");
        meeting.finish();
    }
}

#[test]
fn blind_text_is_refused_by_its_acknowledgement() {
    // With timestamps it would not come that far (RFC 7323 §3.2).
    let config = Config { timestamps: Timestamps::Off, ..config() };
    let mut meeting = Meeting::at(At::Established, &config);
    meeting.talk(b"so that SND.UNA is past the first number");
    let (rcv_nxt, snd_nxt, wnd) = (meeting.rcv_nxt(), meeting.snd_nxt(), meeting.client.status().rcv_wnd);
    // RFC 5961 §5: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT.
    for ack in [snd_nxt.wrapping_add(1), snd_nxt.wrapping_sub(2 * wnd), snd_nxt ^ (1 << 31)] {
        let mut segment = meeting.forged(Control::ACK | Control::PSH, rcv_nxt, ack);
        segment.payload = b"evil".to_vec();
        let answers = meeting.strike(segment);
        assert!(answers.len() == 1 && answers[0].ack.value() == rcv_nxt, "{answers:?}");
        assert_eq!(meeting.server.receive(100), b"");
    }
    meeting.finish();
}

#[test]
fn text_without_ack_bit_is_never_taken() {
    for state in At::SYNCHRONIZED {
        let mut meeting = Meeting::at(state, &config());
        let mut segment = meeting.forged(Control::NONE, meeting.rcv_nxt(), 0);
        segment.payload = b"evil".to_vec();
        let rcv_nxt = meeting.rcv_nxt();
        meeting.strike(segment);
        assert_eq!(meeting.rcv_nxt(), rcv_nxt, "{state}");
        meeting.finish();
    }
}

// A bad peer's acknowledgements (Savage et al., 1999).

/// A server with so much outstanding, in slow start.
fn with_flight(octets: usize) -> Meeting {
    let mut meeting = established();
    meeting.server.send(&vec![b'x'; octets], meeting.buff_bytes, meeting.now);
    meeting.server.work(meeting.now);
    meeting.server.take_sent();
    meeting
}

#[test]
fn ack_division_opens_the_congestion_window_no_further() {
    let mut meeting = with_flight(10_000);
    let (una, cwnd) = (meeting.server.status().snd_una.value(), meeting.server.status().cwnd);
    let mut sent = 0;
    for octet in 1..=1460 {
        let ack = meeting.forged(Control::ACK, meeting.rcv_nxt(), una.wrapping_add(octet));
        sent += meeting.strike(ack).len();
    }
    // RFC 5681 §3.1, RFC 3465: by what was acknowledged, not by the number of ACKs.
    assert!(meeting.server.status().cwnd <= cwnd + 1460, "{cwnd} -> {}", meeting.server.status().cwnd);
    assert!(sent <= 2, "{sent} segments for one acknowledged");
}

#[test]
fn an_optimistic_ack_beyond_snd_nxt_acknowledges_nothing() {
    let mut meeting = with_flight(10_000);
    let before = meeting.server.status();
    for ahead in [1, 1460, 100_000, 1 << 30] {
        let ack = before.snd_nxt.value().wrapping_add(ahead);
        let answers = meeting.strike(meeting.forged(Control::ACK, meeting.rcv_nxt(), ack));
        assert!(answers.len() <= 1 && answers.iter().all(|answer| answer.payload.is_empty()), "{answers:?}");
    }
    let after = meeting.server.status();
    assert_eq!((after.snd_una, after.cwnd), (before.snd_una, before.cwnd));
}

#[test]
fn duplicate_acks_without_end_send_no_more_than_a_flight() {
    let mut meeting = with_flight(14_600);
    meeting.server.send(&vec![b'y'; 200_000], meeting.buff_bytes, meeting.now);
    meeting.server.work(meeting.now);
    let una = meeting.server.status().snd_una.value();
    meeting.server.take_sent();
    let mut octets = 0;
    for _ in 0..100_000 {
        let answers = meeting.strike(meeting.forged(Control::ACK, meeting.rcv_nxt(), una));
        octets += answers.iter().map(|answer| answer.payload.len()).sum::<usize>();
    }
    // Never more than the peer's own window allows; each duplicate may stand for one segment that left the network.
    assert!(octets <= meeting.buff_bytes, "{octets} octets for duplicates of one ACK");
}

// Memory.

#[test]
fn one_octet_segments_out_of_order_take_no_more_than_the_buffer() {
    let mut meeting = established();
    let (rcv_nxt, snd_nxt, wnd) = (meeting.rcv_nxt(), meeting.snd_nxt(), meeting.server.status().rcv_wnd);
    // Every second octet of the window, from the far end: the most ranges there can be. Then again with other content.
    for round in 0..2_u8 {
        for ahead in (1..wnd).rev().step_by(2) {
            let mut segment = meeting.forged(Control::ACK, rcv_nxt.wrapping_add(ahead), snd_nxt);
            segment.payload = vec![round];
            meeting.strike(segment);
        }
    }
    let status = meeting.server.status();
    assert_eq!((status.rcv_nxt.value(), status.rcv_buffered_bytes), (rcv_nxt, 0));
    let buffer = u32::try_from(Config::default().rcv_buff_bytes).unwrap();
    assert!(status.rcv_wnd <= buffer, "no more is promised than there is room for: {}", status.rcv_wnd);
    // The true text fills the gaps and is delivered whole, as long as it is.
    let text = vec![b'x'; 100_000];
    let mut taken = 0;
    let mut received = 0;
    while received < text.len() {
        taken += meeting.client.send(&text[taken..], meeting.buff_bytes, meeting.now);
        meeting.pass(Duration::from_millis(300));
        received += meeting.server.receive(usize::MAX).len();
        assert!(meeting.now < Instant::from_secs(600), "only {received} octets came");
    }
}

#[test]
fn a_window_that_opens_by_an_octet_gets_no_segments_of_an_octet() {
    let mut meeting = established();
    meeting.server.send(&vec![b'x'; 60_000], meeting.buff_bytes, meeting.now);
    let mut una = meeting.snd_nxt();
    let mut segments = 0;
    for _ in 0..600 {
        // The peer acknowledges whatever came and offers one octet more, ten times a second for a minute.
        let mut ack = meeting.forged(Control::ACK, meeting.rcv_nxt(), una);
        ack.wnd = 0;
        meeting.server.arrive(ack.clone(), meeting.now);
        ack.wnd = 1;
        meeting.now += Duration::from_millis(100);
        let sent = meeting.strike(ack);
        let text: u32 = sent.iter().map(Segment::text_len).sum();
        segments += sent.iter().filter(|segment| segment.text_len() > 0).count();
        una = una.wrapping_add(text);
    }
    // Silly window avoidance holds them back to the override timeout and the persist timer (RFC 9293 §3.8.6.2.1).
    assert!(segments <= 5 * 60, "{segments} tinygrams in a minute");
}

#[test]
fn a_user_that_reads_by_the_octet_announces_no_silly_windows() {
    let config = Config { rcv_buff_bytes: 10_000, ..config() };
    let mut meeting = Meeting::at(At::Established, &config);
    meeting.client.send(&vec![b'x'; 40_000], meeting.buff_bytes, meeting.now);
    meeting.exchange();
    let mut announcements = 0;
    for _ in 0..10_000 {
        assert_eq!(meeting.server.receive(1).len(), 1);
        meeting.server.work(meeting.now);
        announcements += meeting.server.sent.len();
        meeting.exchange();
    }
    assert!(announcements <= 10_000 / 1000, "{announcements} window updates for 10,000 octets read");
}

#[test]
fn options_of_a_hostile_syn_do_no_harm() {
    for (mss, shift) in [(Some(0), Some(255)), (Some(1), Some(15)), (Some(u16::MAX), Some(14)), (None, Some(200))] {
        let now = Instant::from_secs(1);
        let mut server = Stack::listen(Config::default(), 77);
        let meeting = established();
        let mut syn = meeting.forged(Control::SYN, 5, 0);
        (syn.options.mss, syn.options.window_scale) = (mss, shift);
        server.arrive(syn, now);
        server.arrive(meeting.forged(Control::ACK, 6, 78), now);
        assert_eq!(server.state(), "ESTABLISHED");
        server.send(&vec![b'x'; 100_000], 1 << 20, now);
        server.work(now);
        let texts: Vec<u32> = server.take_sent().iter().map(Segment::text_len).filter(|len| *len > 0).collect();
        assert!(!texts.is_empty() && texts.iter().all(|len| (1..=1460).contains(len)), "{mss:?}: {texts:?}");
        assert!(texts.len() <= 40, "{mss:?}: {} segments in the first flight", texts.len());
    }
}

// Storms and silence.

#[test]
fn two_stacks_that_a_forger_set_at_odds_fall_silent() {
    for state in [At::Established, At::FinWait2, At::CloseWait] {
        let mut meeting = Meeting::at(state, &config());
        // Text that the client never sent moves the server's RCV.NXT past the client's SND.NXT: each now finds the other's ACK
        // unacceptable and answers it, which is the storm of old.
        let (rcv_nxt, snd_nxt) = (meeting.rcv_nxt(), meeting.snd_nxt());
        if state == At::Established {
            let mut segment = meeting.forged(Control::ACK, rcv_nxt, snd_nxt);
            segment.payload = vec![b'!'; 100];
            meeting.server.arrive(segment, meeting.now);
        }
        let mut carried = 0;
        for interval in 0..24 {
            // Something stirs them up every five seconds for two minutes: an old segment each.
            let old = meeting.forged(Control::ACK, rcv_nxt.wrapping_sub(100), snd_nxt);
            meeting.server.arrive(old, meeting.now);
            let before = meeting.now;
            carried += simulator::stack::exchange(&mut meeting.client, &mut meeting.server, meeting.now);
            meeting.now = before + Duration::from_secs(5);
            assert!(carried <= (interval + 1) * 2 * (CHALLENGES + 2), "{state}: {carried} segments after {interval}");
        }
        meeting.exchange();
        let last = simulator::stack::exchange(&mut meeting.client, &mut meeting.server, meeting.now);
        assert_eq!(last, 0, "{state}: silence");
    }
}

#[test]
fn a_peer_that_never_reads_is_probed_ever_less_often_and_kept() {
    let config = Config { rcv_buff_bytes: 8_000, ..config() };
    let mut meeting = Meeting::at(At::Established, &config);
    let text = vec![b'x'; 100_000];
    let mut taken = meeting.server.send(&text, 20_000, meeting.now);
    meeting.exchange();
    taken += meeting.server.send(&text, 20_000, meeting.now);
    assert!(taken <= 28_000, "the send buffer is bounded");
    // What is left of the window is smaller than a segment; it is filled when the override timeout expires.
    meeting.pass(Duration::from_secs(2));
    assert_eq!(meeting.server.status().snd_wnd, 0);
    let mut probes = 0;
    let end = meeting.now + Duration::from_secs(3600);
    while meeting.now < end {
        let Some(at) = meeting.server.work(meeting.now) else { break };
        probes += meeting.server.sent.len();
        meeting.exchange();
        meeting.now = at.max(meeting.now + Duration::from_millis(1));
    }
    assert_eq!(meeting.server.state(), "ESTABLISHED", "RFC 9293 MUST-37: as long as probes are answered");
    assert!((60..100).contains(&probes), "{probes} probes in an hour");
    // It reads at last.
    let mut got = meeting.client.receive(usize::MAX).len();
    for _ in 0..1000 {
        meeting.pass(Duration::from_secs(1));
        got += meeting.client.receive(usize::MAX).len();
    }
    assert_eq!(got, taken);
}

#[test]
fn a_peer_that_vanished_is_given_up_and_costs_few_segments() {
    for state in [At::SynReceived, At::Established, At::CloseWait, At::FinWait1, At::Closing, At::LastAck] {
        let mut meeting = Meeting::at(state, &config());
        meeting.server.send(&vec![b'x'; 100_000], meeting.buff_bytes, meeting.now);
        let start = meeting.now;
        let mut sent = 0;
        while let Some(at) = meeting.server.work(meeting.now) {
            sent += meeting.server.take_sent().len();
            meeting.now = at.max(meeting.now);
            assert!(meeting.now < start + Duration::from_secs(400), "{state}: never given up");
        }
        assert_eq!(meeting.server.ended(), Some(Ended::GaveUp), "{state}");
        // Ten segments at first, then one a timeout, which doubles.
        assert!(sent <= 30, "{state}: {sent} segments to nobody");
    }
}
