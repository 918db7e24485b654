//! Timestamps as a peer sees them: what the machine answers to segments made by hand (RFC 7323, RFC 6191).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

use core::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::smol_channel::{Ack, Syn, SynAck};
use session_tcp::tcp::segment::{Control, Options, Segment, Timestamp};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Answer, CloseWait, Config, Due, Established, EstablishedVerdict, FinWait1Verdict, FinWait2Verdict, LocalAddr, Poll,
    Reaction, SynReceivedVerdict, SynSentVerdict, Tcp, TcpClosed, TimeWait, Timestamps,
};
use smoltcp::time::{Duration, Instant};

const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 555;
const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40000);
const ISS: SeqNum = SeqNum::new(u32::MAX);
const IRS: SeqNum = SeqNum::new(u32::MAX - 1);
/// The peer's TSval in its SYN, about to wrap.
const TSVAL: u32 = u32::MAX;
const START: Instant = Instant::from_micros_const(1_000_000_000);

fn at(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

/// A segment of the peer's with these timestamps, in order after its SYN.
fn segment(control: Control, seq: u32, tsval: Option<u32>, text: &[u8]) -> Segment {
    let timestamp = tsval.map(|tsval| Timestamp { tsval, tsecr: 0 });
    Segment {
        src_port: REMOTE.port(),
        dst_port: PORT,
        seq: IRS + seq,
        ack: ISS + 1,
        control,
        wnd: 60_000,
        options: Options { timestamp, ..Options::default() },
        payload: text.to_vec(),
        ..Segment::default()
    }
}

/// The machine's SYN,ACK for a SYN with an MSS of 1000 and this TSval, and the machine established after it.
fn opened(config: Config, tsval: Option<u32>) -> (Segment, Tcp<Established>) {
    let mut syn = segment(Control::SYN, 0, tsval, b"");
    syn.options.mss = Some(1000);
    syn.ack = SeqNum::new(0);
    let listen = TcpClosed::new(config).open(LocalAddr { addr: US, port: PORT });
    let (tcp, syn_ack) = listen.recv_syn(REMOTE, Syn::try_from(syn).unwrap(), ISS, START);
    let verdict = tcp.judge(segment(Control::ACK, 1, tsval, b""), at(0));
    let Reaction::Acceptable(SynReceivedVerdict::Acked(acked)) = verdict else {
        panic!("{verdict:?}");
    };
    (syn_ack.into(), tcp.established(acked, at(0)))
}

fn established() -> Tcp<Established> {
    opened(Config::default(), Some(TSVAL)).1
}

fn stamp(segment: &Segment) -> Timestamp {
    segment.options.timestamp.unwrap()
}

/// Takes a segment that must be acceptable.
fn take(tcp: &mut Tcp<Established>, segment: Segment, now: Instant) {
    match tcp.judge(segment, now) {
        Reaction::Acceptable(EstablishedVerdict::Acceptable(acceptable)) => tcp.accept(acceptable, now),
        other => panic!("{other:?}"),
    }
}

/// What is owed for a segment that must not be acceptable.
fn refused(tcp: &Tcp<Established>, segment: Segment, now: Instant) -> Answer {
    match tcp.judge(segment, now) {
        Reaction::NotAcceptable(_, answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn syn_ack_answers_the_option_with_the_option_only() {
    let (syn_ack, mut tcp) = opened(Config::default(), Some(TSVAL));
    assert_eq!(stamp(&syn_ack).tsecr, TSVAL);
    assert_eq!(stamp(tcp.transmit(at(0)).segment()).tsecr, TSVAL);
    for (config, tsval) in
        [(Config::default(), None), (Config { timestamps: Timestamps::Off, ..Config::default() }, Some(TSVAL))]
    {
        let (syn_ack, mut tcp) = opened(config, tsval);
        assert_eq!(syn_ack.options.timestamp, None);
        assert_eq!(tcp.transmit(at(0)).segment().options.timestamp, None);
    }
}

#[test]
fn every_segment_has_the_clock_in_it_a_tick_a_millisecond() {
    let mut tcp = established();
    let first = stamp(tcp.transmit(at(0)).segment()).tsval;
    let later = stamp(tcp.transmit(at(250)).segment()).tsval;
    assert_eq!(later.wrapping_sub(first), 250);
    let rst: Segment = tcp.abort().into();
    assert_eq!(stamp(&rst), Timestamp { tsval: later, tsecr: 0 });
}

#[test]
fn must_16_text_leaves_room_for_the_option() {
    let (_, mut tcp) = opened(Config::default(), Some(TSVAL));
    tcp.send(&[b'x'; 3000], at(0));
    assert_eq!(tcp.transmit(at(0)).segment().payload.len(), 988);
    assert_eq!(tcp.status().mss, 988);
    let (_, mut tcp) = opened(Config::default(), None);
    tcp.send(&[b'x'; 3000], at(0));
    assert_eq!(tcp.transmit(at(0)).segment().payload.len(), 1000);
}

#[test]
fn retransmission_has_a_new_tsval() {
    let mut tcp = established();
    tcp.send(b"text", at(0));
    let first = tcp.transmit(at(0));
    let Poll::At(due) = tcp.poll(at(0)) else { panic!() };
    assert_eq!(tcp.poll(due), Poll::Now(Due::Segment));
    let again = tcp.transmit(due);
    assert_eq!(again.segment().seq, first.segment().seq);
    assert!(stamp(again.segment()).tsval != stamp(first.segment()).tsval);
}

#[test]
fn segment_without_the_agreed_option_is_silently_dropped() {
    let tcp = established();
    assert_eq!(refused(&tcp, segment(Control::ACK, 1, None, b"text"), at(5)), Answer::Nothing);
    assert_eq!(refused(&tcp, segment(Control::ACK | Control::FIN, 1, None, b""), at(5)), Answer::Nothing);
    assert_eq!(refused(&tcp, segment(Control::SYN, 1, None, b""), at(5)), Answer::Ack);
}

#[test]
fn old_duplicate_gets_an_ack_and_does_not_get_in() {
    let mut tcp = established();
    // TSval has wrapped.
    take(&mut tcp, segment(Control::ACK, 1, Some(5), b"text"), at(6));
    let old = segment(Control::ACK, 5, Some(4), b"old!");
    assert_eq!(refused(&tcp, old.clone(), at(7)), Answer::Ack);
    assert_eq!(stamp(tcp.challenge(&old, at(7)).segment()).tsecr, 5);
    take(&mut tcp, segment(Control::ACK, 5, Some(5), b"new!"), at(8));
    assert_eq!(tcp.deliver(100), b"textnew!");
}

#[test]
fn reset_needs_no_timestamps_and_may_have_old_ones() {
    for tsval in [None, Some(TSVAL - 1), Some(1 << 31)] {
        let tcp = established();
        assert!(matches!(tcp.judge(segment(Control::RST, 1, tsval, b""), at(5)), Reaction::Reset(_)));
    }
}

#[test]
fn earliest_of_the_segments_that_an_ack_covers_is_echoed() {
    let mut tcp = established();
    take(&mut tcp, segment(Control::ACK, 1, Some(10), b"one"), at(10));
    take(&mut tcp, segment(Control::ACK, 4, Some(20), b"two"), at(20));
    assert_eq!(stamp(tcp.transmit(at(20)).segment()).tsecr, 10);
    take(&mut tcp, segment(Control::ACK, 7, Some(30), b"three"), at(30));
    assert_eq!(stamp(tcp.transmit(at(30)).segment()).tsecr, 30);
    // A gap: what lies behind it is not echoed, what fills it is.
    take(&mut tcp, segment(Control::ACK, 15, Some(40), b"gap"), at(40));
    assert_eq!(stamp(tcp.transmit(at(40)).segment()).tsecr, 30);
    take(&mut tcp, segment(Control::ACK, 12, Some(50), b"fil"), at(50));
    assert_eq!(stamp(tcp.transmit(at(50)).segment()).tsecr, 50);
}

#[test]
fn text_that_overlaps_what_is_there_counts_from_where_it_began() {
    let mut tcp = established();
    take(&mut tcp, segment(Control::ACK, 1, Some(10), b"one"), at(10));
    // Last.ACK.sent is still before "one".
    take(&mut tcp, segment(Control::ACK, 1, Some(20), b"onetwo"), at(20));
    assert_eq!(stamp(tcp.transmit(at(20)).segment()).tsecr, 20);
}

#[test]
fn text_that_comes_again_is_echoed_by_its_own_timestamp() {
    let mut tcp = established();
    take(&mut tcp, segment(Control::ACK, 1, Some(10), b"text"), at(10));
    assert_eq!(stamp(tcp.transmit(at(10)).segment()).tsecr, 10);
    let again = segment(Control::ACK, 1, Some(1000), b"text");
    assert_eq!(refused(&tcp, again.clone(), at(1000)), Answer::Ack);
    assert_eq!(stamp(tcp.challenge(&again, at(1000)).segment()).tsecr, 1000);
    // But not what only somebody who guesses would send: too old, not yet there, or with an acknowledgement of nothing.
    let buff = u32::try_from(Config::default().rcv_buff_bytes).unwrap();
    let guess = |seq: u32| segment(Control::ACK, seq, Some(5000), b"text");
    for guess in [
        guess(4_u32.wrapping_sub(buff)),
        guess(5 + buff),
        guess(1 << 31),
        Segment { ack: ISS + 2, ..guess(1) },
        segment(Control::SYN, 1, Some(5000), b"tex"),
        segment(Control::ACK, 1, Some(5000), b""),
    ] {
        assert_eq!(stamp(tcp.challenge(&guess, at(1000)).segment()).tsecr, 1000, "{guess:?}");
    }
    assert_eq!(stamp(tcp.challenge(&guess(5_u32.wrapping_sub(buff)), at(1000)).segment()).tsecr, 5000, "the twin");
}

#[test]
fn echo_of_a_retransmission_ends_the_backing_off() {
    let mut tcp = established();
    tcp.send(b"text", at(0));
    let first: Segment = tcp.transmit(at(0)).into();
    let again: Segment = tcp.transmit(at(1500)).into();
    assert_eq!(tcp.status().rto, Duration::from_secs(2));
    let mut ack = segment(Control::ACK, 1, Some(TSVAL), b"");
    ack.ack = first.end();
    ack.options.timestamp = Some(Timestamp { tsval: TSVAL, tsecr: stamp(&again).tsval });
    take(&mut tcp, ack, at(1600));
    assert_eq!(tcp.status().rto, Duration::from_secs(1));
}

#[test]
fn echo_of_what_was_never_sent_is_no_measurement() {
    let mut tcp = established();
    tcp.send(b"text", at(0));
    let first: Segment = tcp.transmit(at(0)).into();
    let again: Segment = tcp.transmit(at(1500)).into();
    for tsecr in [stamp(&again).tsval.wrapping_add(101), stamp(&first).tsval.wrapping_sub(1), 0] {
        let mut ack = segment(Control::ACK, 1, Some(TSVAL), b"");
        ack.ack = first.end();
        ack.options.timestamp = Some(Timestamp { tsval: TSVAL, tsecr });
        let mut tcp = established();
        tcp.send(b"text", at(0));
        let _ = (tcp.transmit(at(0)), tcp.transmit(at(1500)));
        take(&mut tcp, ack, at(1600));
        assert_eq!(tcp.status().rto, Duration::from_secs(2));
    }
}

/// Both machines of an active and a passive OPEN, with these configurations.
fn pair(active: Config, passive: Config) -> (Tcp<Established>, Tcp<Established>) {
    let server = SocketAddrV4::new(US, PORT);
    let (client, syn) = TcpClosed::new(active).connect(REMOTE, server, IRS, START);
    let listen = TcpClosed::new(passive).open(LocalAddr { addr: US, port: PORT });
    let (server, syn_ack): (_, SynAck) = listen.recv_syn(REMOTE, syn, ISS, at(50));
    let verdict = client.judge(syn_ack.into(), at(100));
    let Reaction::Acceptable(SynSentVerdict::Answered(answered)) = verdict else {
        panic!("{verdict:?}");
    };
    let mut client = client.established(answered, at(100));
    let ack: Ack = client.transmit(at(100));
    let verdict = server.judge(ack.into(), at(150));
    let Reaction::Acceptable(SynReceivedVerdict::Acked(acked)) = verdict else {
        panic!("{verdict:?}");
    };
    (client, server.established(acked, at(150)))
}

#[test]
fn two_machines_agree_if_both_are_willing() {
    let off = Config { timestamps: Timestamps::Off, ..Config::default() };
    for (active, passive, bytes) in
        [(Config::default(), Config::default(), 12), (off.clone(), Config::default(), 0), (Config::default(), off, 0)]
    {
        let (client, server) = pair(active, passive);
        assert_eq!((client.status().mss, server.status().mss), (1460 - bytes, 1460 - bytes));
    }
}

/// A machine that closed first and has the peer's FIN, with TSval `TSVAL + 10` in it.
fn time_wait(config: Config, tsval: Option<u32>) -> Tcp<TimeWait> {
    let (_, tcp) = opened(config, tsval);
    let mut tcp = tcp.close(at(0));
    let fin = tcp.transmit_fin(at(0));
    let tsval = tsval.map(|tsval| tsval.wrapping_add(10));
    let ack = Segment { ack: fin.segment().end(), ..segment(Control::ACK, 1, tsval, b"") };
    let verdict = tcp.judge(ack.clone(), at(10));
    let Reaction::Acceptable(FinWait1Verdict::AcksFin(acks_fin)) = verdict else {
        panic!("{verdict:?}");
    };
    let tcp = tcp.fin_wait_2(acks_fin, at(10));
    let verdict = tcp.judge(Segment { control: Control::ACK | Control::FIN, ..ack }, at(10));
    let Reaction::Acceptable(FinWait2Verdict::Finishes(finishes)) = verdict else {
        panic!("{verdict:?}");
    };
    tcp.time_wait(finishes, at(10))
}

/// Whether a SYN with this sequence number past IRS and this TSval opens a new connection.
fn reopens(tcp: &Tcp<TimeWait>, seq: u32, tsval: Option<u32>) -> bool {
    match tcp.judge(segment(Control::SYN, seq, tsval, b""), at(20)) {
        Reaction::Acceptable(_) => true,
        Reaction::NotAcceptable(_, Answer::Ack) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn shld_4_time_wait_ends_for_a_syn_with_a_later_tsval() {
    let tcp = time_wait(Config::default(), Some(TSVAL));
    let last = TSVAL.wrapping_add(10);
    // IRS + 2 is RCV.NXT: the SYN, then the FIN.
    for (seq, tsval, wanted) in [
        (2, last.wrapping_add(1), true),
        (0, last.wrapping_add(1), true),
        (2, last, false),
        (3, last, true),
        (3, last.wrapping_sub(1), false),
    ] {
        assert_eq!(reopens(&tcp, seq, Some(tsval)), wanted, "{seq} {tsval}");
    }
    assert!(!reopens(&tcp, 2, None));
    assert!(reopens(&tcp, 3, None));
}

#[test]
fn may_2_time_wait_ends_by_the_sequence_number_without_timestamps() {
    let tcp = time_wait(Config::default(), None);
    assert!(!reopens(&tcp, 2, None));
    assert!(reopens(&tcp, 3, None));
    assert!(reopens(&tcp, 0, Some(1)), "RFC 6191 §2: only the new connection would have timestamps");
    let unwilling = time_wait(Config { timestamps: Timestamps::Off, ..Config::default() }, Some(TSVAL));
    assert!(!reopens(&unwilling, 2, Some(1)));
}

#[test]
fn paws_guards_the_states_after_close_too() {
    let (_, tcp) = opened(Config::default(), Some(TSVAL));
    let tcp = tcp.close(at(0));
    let old = segment(Control::ACK | Control::FIN, 1, Some(TSVAL - 1), b"");
    assert!(matches!(tcp.judge(old, at(5)), Reaction::NotAcceptable(_, Answer::Ack)));
    let (_, tcp) = opened(Config::default(), Some(TSVAL));
    let fin = segment(Control::ACK | Control::FIN, 1, Some(TSVAL), b"");
    let Reaction::Acceptable(EstablishedVerdict::Finishes(finishes)) = tcp.judge(fin, at(5)) else { panic!() };
    let tcp: Tcp<CloseWait> = tcp.finish(finishes, at(5));
    let missing = segment(Control::ACK, 2, None, b"");
    assert!(matches!(tcp.judge(missing, at(6)), Reaction::NotAcceptable(_, Answer::Nothing)));
}
