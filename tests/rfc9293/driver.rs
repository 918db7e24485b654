//! A connection in whichever state it is in, driven by hand: segments arrive, time passes, the user calls.
//!
//! The driver does what the role's program does (`src/system.rs`) and nothing else: it takes what has arrived, then what is due.
//! Every segment goes through octets in both directions, and what holds of all segments that we send is checked on each. A test that
//! fails shows the whole conversation.

use core::mem;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use session_tcp::tcp::segment::{Control, Options, Segment, Timestamp};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Advice, Answer, Carriage, CloseWait, Closing, ClosingDue, ClosingVerdict, Config, Due, Established,
    EstablishedVerdict, FinWait1, FinWait1Verdict, FinWait2, FinWait2Due, FinWait2Verdict, IcmpError, IcmpKind,
    LastAck, LocalAddr, Open, Origin, Poll, Reaction, Setting, Status, SynReceived, SynReceivedDue, SynReceivedVerdict,
    SynSent, SynSentDue, SynSentVerdict, Tcp, TcpClosed, TcpListen, TimeWait, TimeWaitDue,
};
use smoltcp::time::{Duration, Instant};

pub(super) const SYN: Control = Control::SYN;
pub(super) const ACK: Control = Control::ACK;
pub(super) const FIN: Control = Control::FIN;
pub(super) const RST: Control = Control::RST;
pub(super) const PSH: Control = Control::PSH;
pub(super) const URG: Control = Control::URG;

/// Our socket.
pub(super) const US: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
/// The peer's.
pub(super) const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 77), 40_000);

/// Beyond every window in these tests, on either side of it.
pub(super) const FAR: u32 = 1 << 29;

/// The window that the peer announces unless a test says otherwise.
pub(super) const PEER_WND: u16 = 20_000;

/// More than that at one instant is a machine that never rests.
const MAX_WORK: usize = 10_000;

/// Initial sequence numbers, ours and the peer's: in the middle, and with the wrap in the handshake, behind it and in the text.
const BASES: [(u32, u32); 5] =
    [(1000, 70_000), (u32::MAX, u32::MAX), (u32::MAX - 1, 0), (0, u32::MAX - 1), (u32::MAX - 7, u32::MAX - 7)];

/// A state of RFC 9293 §3.3.2; SYN-RECEIVED is two (MUST-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Listen,
    SynSent,
    /// SYN-RECEIVED, from LISTEN.
    SynReceived,
    /// SYN-RECEIVED, from SYN-SENT.
    SynCrossed,
    Established,
    CloseWait,
    FinWait1,
    FinWait2,
    Closing,
    LastAck,
    TimeWait,
}

impl State {
    /// Those in which RFC 9293 §3.10.7.4 checks sequence numbers.
    pub(super) const NUMBERED: [Self; 9] = [
        Self::SynReceived,
        Self::SynCrossed,
        Self::Established,
        Self::CloseWait,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];
    /// Those after the handshake.
    pub(super) const SYNCHRONIZED: [Self; 7] = [
        Self::Established,
        Self::CloseWait,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];
    /// Those in which the ACK field means what it means in ESTABLISHED.
    pub(super) const TRANSFERRING: [Self; 6] =
        [Self::Established, Self::CloseWait, Self::FinWait1, Self::FinWait2, Self::Closing, Self::LastAck];
}

/// What the user has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The connection is ESTABLISHED.
    Connected,
    /// Our FIN was acknowledged.
    Closed,
    /// "Connection refused": by a RST, before it was ESTABLISHED.
    Refused,
    /// "Connection reset".
    Reset,
    /// "Connection aborted due to user timeout".
    TimedOut,
    /// "Connection reset", since text of the peer is lost.
    DataLost,
}

/// A machine in one of its states.
#[derive(Debug)]
enum Machine {
    Closed,
    Listen(TcpListen),
    SynSent(Tcp<SynSent>),
    SynReceived(Tcp<SynReceived>),
    Established(Tcp<Established>),
    CloseWait(Tcp<CloseWait>),
    FinWait1(Tcp<FinWait1>),
    FinWait2(Tcp<FinWait2>),
    Closing(Tcp<Closing>),
    LastAck(Tcp<LastAck>),
    TimeWait(Tcp<TimeWait>),
}

/// Makes a segment out of another, a change at a time.
pub(super) trait Craft: Sized {
    /// With this SEG.SEQ.
    fn at(self, seq: SeqNum) -> Segment;
    /// With this SEG.ACK.
    fn acking(self, ack: SeqNum) -> Segment;
    /// With this text.
    fn text(self, text: &[u8]) -> Segment;
    /// With this SEG.WND.
    fn window(self, wnd: u16) -> Segment;
    /// With these control bits besides.
    fn and(self, control: Control) -> Segment;
    /// With this MSS option.
    fn mss(self, mss: u16) -> Segment;
    /// With URG and this SEG.UP.
    fn urgent(self, up: u16) -> Segment;
    /// With this window scale option.
    fn window_scale(self, shift: u8) -> Segment;
}

impl Craft for Segment {
    fn at(self, seq: SeqNum) -> Segment {
        Segment { seq, ..self }
    }

    fn acking(self, ack: SeqNum) -> Segment {
        Segment { ack, control: self.control | ACK, ..self }
    }

    fn text(self, text: &[u8]) -> Segment {
        Segment { payload: text.to_vec(), ..self }
    }

    fn window(self, wnd: u16) -> Segment {
        Segment { wnd, ..self }
    }

    fn and(self, control: Control) -> Segment {
        Segment { control: self.control | control, ..self }
    }

    fn mss(self, mss: u16) -> Segment {
        Segment { options: Options { mss: Some(mss), ..self.options }, ..self }
    }

    fn urgent(self, up: u16) -> Segment {
        Segment { up, ..self.and(URG) }
    }

    fn window_scale(self, shift: u8) -> Segment {
        Segment { options: Options { window_scale: Some(shift), ..self.options }, ..self }
    }
}

/// The connection, its clock, and what came of it all.
pub(super) struct Driver {
    machine: Machine,
    config: Config,
    now: Instant,
    iss: SeqNum,
    irs: SeqNum,
    sent: Vec<Segment>,
    told: Vec<Told>,
    /// Right edge of the window as we last announced it, as far as no window scaling is used.
    right: Option<SeqNum>,
    scaled: bool,
    /// TSval of the peer's segments, if they have any, and the last of ours.
    stamps: Option<(u32, u32)>,
    transcript: Vec<String>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- iss={} irs={}, the conversation:\n{}", self.iss, self.irs, self.transcript.join("\n"));
        }
    }
}

/// Runs a test in each of these states, over and over with other sequence numbers.
pub(super) fn in_states(states: &[State], check: impl Fn(State, &mut Driver)) {
    for &state in states {
        for (iss, irs) in BASES {
            let mut tcp = Driver::numbered(Config::default(), SeqNum::new(iss), SeqNum::new(irs));
            tcp.bring_to(state);
            check(state, &mut tcp);
        }
    }
}

/// The same in one state.
pub(super) fn in_state(state: State, check: impl Fn(&mut Driver)) {
    in_states(&[state], |_, tcp| check(tcp));
}

/// The same in one state, with these parameters.
pub(super) fn configured(config: &Config, state: State, check: impl Fn(&mut Driver)) {
    for (iss, irs) in BASES {
        let mut tcp = Driver::numbered(config.clone(), SeqNum::new(iss), SeqNum::new(irs));
        tcp.bring_to(state);
        check(&mut tcp);
    }
}

// What the test does.

impl Driver {
    /// A connection that is CLOSED.
    pub(super) fn new(config: Config) -> Self {
        Self::numbered(config, SeqNum::new(1000), SeqNum::new(70_000))
    }

    /// The same with these initial sequence numbers, ours and the peer's.
    pub(super) fn numbered(config: Config, iss: SeqNum, irs: SeqNum) -> Self {
        Self {
            machine: Machine::Closed,
            config,
            now: Instant::from_secs(1000),
            iss,
            irs,
            sent: Vec::new(),
            told: Vec::new(),
            right: None,
            scaled: false,
            stamps: None,
            transcript: Vec::new(),
        }
    }

    /// Brings a CLOSED connection to a state, the way that leads there.
    pub(super) fn bring_to(&mut self, state: State) {
        self.bring_to_with(state, self.syn().mss(1460));
    }

    /// The same with this SYN of the peer's.
    pub(super) fn bring_to_with(&mut self, state: State, syn: Segment) {
        match state {
            State::Closed => {}
            State::Listen => self.listen(),
            State::SynSent => self.connect(),
            State::SynReceived => {
                self.listen();
                self.arrives(syn);
            }
            State::SynCrossed => {
                self.connect();
                self.arrives(syn);
            }
            State::Established | State::CloseWait | State::FinWait1 => {
                self.listen();
                self.arrives(syn);
                self.arrives(self.in_order(ACK));
            }
            State::FinWait2 | State::Closing => {
                self.bring_to_with(State::FinWait1, syn);
            }
            State::LastAck => self.bring_to_with(State::CloseWait, syn),
            State::TimeWait => self.bring_to_with(State::FinWait2, syn),
        }
        match state {
            State::CloseWait | State::TimeWait => _ = self.arrives(self.in_order(FIN | ACK)),
            State::FinWait1 | State::LastAck => self.close(),
            State::FinWait2 => _ = self.arrives(self.in_order(ACK)),
            // The FIN that crosses ours does not acknowledge it.
            State::Closing => _ = self.arrives(self.neutral(FIN | ACK)),
            State::Closed | State::Listen | State::SynSent | State::SynReceived => {}
            State::SynCrossed | State::Established => {}
        }
        assert_eq!(self.state(), state, "the way to {state:?} leads there");
        self.forget();
    }

    /// Forgets what was sent and told so far.
    pub(super) fn forget(&mut self) {
        self.sent.clear();
        self.told.clear();
    }

    /// A segment arrives; returns what is sent because of it, at once.
    pub(super) fn arrives(&mut self, segment: Segment) -> Vec<Segment> {
        self.arrive_together([segment])
    }

    /// Segments arrive that wait in a queue together.
    pub(super) fn arrive_together(&mut self, segments: impl IntoIterator<Item = Segment>) -> Vec<Segment> {
        self.sent.clear();
        for segment in segments {
            self.arrive_as(&segment.emit(*PEER.ip(), *US.ip()));
        }
        self.work();
        mem::take(&mut self.sent)
    }

    /// Octets arrive that may be a segment; returns what is sent because of them, at once.
    pub(super) fn octets_arrive(&mut self, octets: &[u8]) -> Vec<Segment> {
        self.sent.clear();
        self.arrive_as(octets);
        self.work();
        mem::take(&mut self.sent)
    }

    /// Time passes; returns what is sent meanwhile.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<Segment> {
        let end = self.now + span;
        self.work();
        while let Some(at) = self.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            self.work();
        }
        self.now = end;
        mem::take(&mut self.sent)
    }

    /// Waits for the next segment that we send; returns when it came and what it is.
    pub(super) fn next_segment(&mut self, patience: Duration) -> Option<(Duration, Segment)> {
        let (start, end) = (self.now, self.now + patience);
        self.work();
        while self.sent.is_empty() {
            let at = self.next_deadline().filter(|at| *at <= end)?;
            self.now = at;
            self.work();
        }
        Some((self.now - start, self.sent.remove(0)))
    }

    /// Passive OPEN.
    pub(super) fn listen(&mut self) {
        let local = LocalAddr { addr: *US.ip(), port: US.port() };
        self.machine = Machine::Listen(TcpClosed::new(self.config.clone()).open(local));
    }

    /// Active OPEN.
    pub(super) fn connect(&mut self) {
        let (tcp, syn) = TcpClosed::new(self.config.clone()).connect(US, PEER, self.iss, self.now);
        self.send_segment(syn.into());
        self.machine = Machine::SynSent(tcp);
        self.work();
    }

    /// SEND; returns what is sent at once.
    pub(super) fn send(&mut self, text: &[u8]) -> Vec<Segment> {
        self.transcript.push(format!("{} user: SEND {} octets", self.now, text.len()));
        let now = self.now;
        match &mut self.machine {
            Machine::Established(tcp) => tcp.send(text, now),
            Machine::CloseWait(tcp) => tcp.send(text, now),
            other => panic!("nobody can SEND in {other:?}"),
        }
        self.work();
        mem::take(&mut self.sent)
    }

    /// SEND with the URGENT flag; returns what is sent at once.
    pub(super) fn send_urgent(&mut self, text: &[u8]) -> Vec<Segment> {
        self.transcript.push(format!("{} user: SEND {} octets, urgent", self.now, text.len()));
        match &mut self.machine {
            Machine::Established(tcp) => tcp.send_urgent(text, self.now),
            Machine::CloseWait(tcp) => tcp.send_urgent(text, self.now),
            other => panic!("nobody can SEND in {other:?}"),
        }
        self.work();
        mem::take(&mut self.sent)
    }

    /// The user sets something for its connection.
    pub(super) fn set(&mut self, setting: Setting) {
        match &mut self.machine {
            Machine::Established(tcp) => tcp.set(setting, self.now),
            Machine::CloseWait(tcp) => tcp.set(setting, self.now),
            other => panic!("nobody can set {setting:?} in {other:?}"),
        }
        self.work();
    }

    /// What the user is advised of, and by that knows.
    pub(super) fn advice(&mut self) -> Option<Advice> {
        let advice = match &self.machine {
            Machine::SynSent(tcp) => match tcp.poll_advice(self.now) {
                Poll::Now(advice) => Some(advice),
                Poll::At(_) | Poll::Never => None,
            },
            Machine::Established(tcp) => tcp.advice(),
            Machine::CloseWait(tcp) => tcp.advice(),
            other => panic!("nobody hears advice in {other:?}"),
        };
        match (&mut self.machine, advice) {
            (Machine::SynSent(tcp), Some(advice)) => tcp.advised(advice, self.now),
            (Machine::Established(tcp), Some(advice)) => tcp.advised(advice),
            (Machine::CloseWait(tcp), Some(advice)) => tcp.advised(advice),
            _ => {}
        }
        advice
    }

    /// Octets of urgent data that the user has still to receive.
    pub(super) fn urgent_octets(&self) -> u32 {
        match &self.machine {
            Machine::Established(tcp) => tcp.urgent_octets(),
            Machine::CloseWait(tcp) => tcp.urgent_octets(),
            other => panic!("nobody receives in {other:?}"),
        }
    }

    /// An ICMP error arrives that quotes a segment of ours with this number; returns what is sent because of it.
    pub(super) fn icmp(&mut self, kind: IcmpKind, seq: SeqNum) -> Vec<Segment> {
        self.transcript.push(format!("{} ICMP: {kind} for {seq}", self.now));
        self.sent.clear();
        let (now, error) = (self.now, IcmpError { kind, seq, packet_bytes: 1500 });
        match &mut self.machine {
            Machine::Closed | Machine::Listen(_) => {}
            // A hard one ends a connection that is being opened (RFC 5927 §5.2), as the program has it.
            Machine::SynSent(tcp) if error.hard().is_ok() && tcp.concerns(&error) => {
                self.told.push(Told::Refused);
                self.machine = Machine::Closed;
            }
            Machine::SynReceived(tcp) if error.hard().is_ok() && tcp.concerns(&error) => self.listen(),
            Machine::SynSent(tcp) => tcp.notified(&error, now),
            Machine::SynReceived(tcp) => tcp.notified(&error, now),
            Machine::Established(tcp) => tcp.notified(&error, now),
            Machine::CloseWait(tcp) => tcp.notified(&error, now),
            Machine::FinWait1(tcp) => tcp.notified(&error, now),
            Machine::FinWait2(tcp) => tcp.notified(&error, now),
            Machine::Closing(tcp) => tcp.notified(&error, now),
            Machine::LastAck(tcp) => tcp.notified(&error, now),
            Machine::TimeWait(tcp) => tcp.notified(&error, now),
        }
        self.work();
        mem::take(&mut self.sent)
    }

    /// RECEIVE: all that is there.
    pub(super) fn receive(&mut self) -> Vec<u8> {
        self.receive_some(usize::MAX)
    }

    /// RECEIVE: at most so many octets.
    pub(super) fn receive_some(&mut self, max: usize) -> Vec<u8> {
        let text = match &mut self.machine {
            Machine::Established(tcp) => received(tcp, max),
            Machine::CloseWait(tcp) => received(tcp, max),
            other => panic!("nobody can RECEIVE in {other:?}"),
        };
        self.work();
        text
    }

    /// CLOSE.
    pub(super) fn close(&mut self) {
        self.close_without_looking();
        self.work();
    }

    /// CLOSE, before anybody has looked what is due.
    pub(super) fn close_without_looking(&mut self) {
        self.transcript.push(format!("{} user: CLOSE", self.now));
        self.machine = match mem::replace(&mut self.machine, Machine::Closed) {
            Machine::Established(tcp) => Machine::FinWait1(tcp.close(self.now)),
            Machine::CloseWait(tcp) => Machine::LastAck(tcp.close(self.now)),
            other => panic!("nobody can CLOSE in {other:?}"),
        };
    }

    /// ABORT; returns the RST.
    pub(super) fn abort(&mut self) -> Segment {
        self.transcript.push(format!("{} user: ABORT", self.now));
        let rst = match mem::replace(&mut self.machine, Machine::Closed) {
            Machine::SynReceived(tcp) => tcp.abort(),
            Machine::Established(tcp) => tcp.abort(),
            Machine::CloseWait(tcp) => tcp.abort(),
            Machine::FinWait1(tcp) => tcp.abort(),
            Machine::FinWait2(tcp) => tcp.abort(),
            other => panic!("ABORT sends no RST in {other:?}"),
        };
        rst.into()
    }
}

/// What RECEIVE gets.
fn received<S: Open>(tcp: &mut Tcp<S>, max: usize) -> Vec<u8> {
    let len = tcp.readable().min(max);
    let text = tcp.deliver(max);
    assert_eq!(text.len(), len, "RECEIVE gets what it was said to get");
    text
}

// Segments of the peer's.

impl Driver {
    /// The peer's SYN.
    pub(super) fn syn(&self) -> Segment {
        self.blank(SYN).at(self.irs)
    }

    /// <SEQ=RCV.NXT><ACK=SND.UNA>: it acknowledges nothing new.
    pub(super) fn neutral(&self, control: Control) -> Segment {
        let segment = self.blank(control).at(self.rcv_nxt());
        if control.ack() { segment.acking(self.snd_una()) } else { segment }
    }

    /// <SEQ=RCV.NXT><ACK=SND.NXT>: it acknowledges all that we sent.
    pub(super) fn in_order(&self, control: Control) -> Segment {
        let segment = self.neutral(control);
        if control.ack() { segment.acking(self.snd_nxt()) } else { segment }
    }

    /// <SEQ=RCV.NXT><ACK=SND.UNA><CTL=ACK> with this text.
    pub(super) fn data(&self, text: &[u8]) -> Segment {
        self.neutral(ACK).text(text)
    }

    /// The FIN that has arrived, once more.
    pub(super) fn fin_again(&self) -> Segment {
        let seq = self.rcv_nxt() - 1;
        self.neutral(FIN | ACK).at(seq)
    }

    /// From now on the peer's segments carry timestamps, with this TSval (RFC 7323 §3).
    pub(super) fn stamp(&mut self, tsval: u32) {
        let (_, tsecr) = self.stamps.unwrap_or_default();
        self.stamps = Some((tsval, tsecr));
    }

    fn blank(&self, control: Control) -> Segment {
        let timestamp = self.stamps.map(|(tsval, tsecr)| Timestamp { tsval, tsecr });
        let options = Options { timestamp, ..Options::default() };
        Segment { src_port: PEER.port(), dst_port: US.port(), control, wnd: PEER_WND, options, ..Segment::default() }
    }
}

// What the test sees.

impl Driver {
    /// The state.
    pub(super) fn state(&self) -> State {
        match &self.machine {
            Machine::Closed => State::Closed,
            Machine::Listen(_) => State::Listen,
            Machine::SynSent(_) => State::SynSent,
            Machine::SynReceived(tcp) if tcp.origin() == Origin::Passive => State::SynReceived,
            Machine::SynReceived(_) => State::SynCrossed,
            Machine::Established(_) => State::Established,
            Machine::CloseWait(_) => State::CloseWait,
            Machine::FinWait1(_) => State::FinWait1,
            Machine::FinWait2(_) => State::FinWait2,
            Machine::Closing(_) => State::Closing,
            Machine::LastAck(_) => State::LastAck,
            Machine::TimeWait(_) => State::TimeWait,
        }
    }

    /// STATUS, where there is a control block.
    pub(super) fn status(&self) -> Option<Status> {
        Some(match &self.machine {
            Machine::Closed | Machine::Listen(_) => return None,
            Machine::SynSent(tcp) => tcp.status(),
            Machine::SynReceived(tcp) => tcp.status(),
            Machine::Established(tcp) => tcp.status(),
            Machine::CloseWait(tcp) => tcp.status(),
            Machine::FinWait1(tcp) => tcp.status(),
            Machine::FinWait2(tcp) => tcp.status(),
            Machine::Closing(tcp) => tcp.status(),
            Machine::LastAck(tcp) => tcp.status(),
            Machine::TimeWait(tcp) => tcp.status(),
        })
    }

    /// ISS.
    pub(super) fn iss(&self) -> SeqNum {
        self.iss
    }

    /// IRS.
    pub(super) fn irs(&self) -> SeqNum {
        self.irs
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// SND.UNA; ISS without a connection.
    pub(super) fn snd_una(&self) -> SeqNum {
        self.status().map_or(self.iss, |status| status.snd_una)
    }

    /// SND.NXT; ISS without a connection.
    pub(super) fn snd_nxt(&self) -> SeqNum {
        self.status().map_or(self.iss, |status| status.snd_nxt)
    }

    /// RCV.NXT; IRS as long as the peer's SYN has not come.
    pub(super) fn rcv_nxt(&self) -> SeqNum {
        match self.state() {
            State::Closed | State::Listen | State::SynSent => self.irs,
            _ => self.status().map_or(self.irs, |status| status.rcv_nxt),
        }
    }

    /// RCV.WND, as announced.
    pub(super) fn rcv_wnd(&self) -> u32 {
        self.status().map_or(0, |status| status.rcv_wnd)
    }

    /// What the user was told since this was asked last.
    pub(super) fn told(&mut self) -> Vec<Told> {
        mem::take(&mut self.told)
    }
}

// What the test asserts of one segment.

impl Driver {
    /// The segment changes nothing, and nothing is sent.
    #[track_caller]
    pub(super) fn drops(&mut self, segment: Segment) {
        let before = (self.state(), self.status());
        let answers = self.arrives(segment);
        assert_eq!(answers, [], "it is dropped in silence");
        assert_eq!((self.state(), self.status()), before, "it changes nothing");
        assert_eq!(self.told(), []);
    }

    /// The segment changes nothing, and is answered with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>.
    #[track_caller]
    pub(super) fn acknowledges(&mut self, segment: Segment) {
        let before = (self.state(), self.snd_una(), self.snd_nxt(), self.rcv_nxt());
        let answers = self.arrives(segment);
        self.is_bare_ack(answers.first());
        assert_eq!((self.state(), self.snd_una(), self.snd_nxt(), self.rcv_nxt()), before, "it changes nothing");
        // What was not acknowledged may be sent again behind it.
        let una = self.snd_una();
        let again = |segment: &Segment| segment.seq == una && segment.seg_len() > 0;
        assert!(answers.iter().skip(1).all(again), "nothing else is sent: {answers:?}");
        assert_eq!(self.told(), []);
        // No test wants the throttle of RFC 5961 §7 but its own.
        self.now += Duration::from_millis(500);
    }

    /// The segment changes nothing, and is answered with <SEQ=SEG.ACK><CTL=RST>.
    #[track_caller]
    pub(super) fn refuses(&mut self, segment: Segment) {
        let before = (self.state(), self.status());
        let ack = segment.ack;
        let answers = self.arrives(segment);
        let [rst] = &answers[..] else { panic!("one RST is sent: {answers:?}") };
        assert_eq!((rst.control, rst.seq), (RST, ack), "<SEQ=SEG.ACK><CTL=RST>");
        assert_eq!((self.state(), self.status()), before, "it changes nothing");
        assert_eq!(self.told(), []);
    }

    /// The segment leads to this state, and the user is told this, nothing being sent.
    #[track_caller]
    pub(super) fn ends(&mut self, segment: Segment, state: State, told: &[Told]) {
        let answers = self.arrives(segment);
        assert_eq!(answers, [], "nothing is sent");
        assert_eq!((self.state(), &self.told()[..]), (state, told));
    }

    /// The segment is <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>.
    #[track_caller]
    pub(super) fn is_bare_ack(&self, segment: Option<&Segment>) {
        let ack = segment.expect("an ACK is sent");
        assert_eq!((ack.control, ack.seq, ack.ack), (ACK, self.snd_nxt(), self.rcv_nxt()));
        assert!(ack.payload.is_empty(), "{ack}");
    }
}

// What the role's program does.

/// Lets the machine judge, and does what every state does with what is not acceptable.
macro_rules! judged {
    ($self:ident, $tcp:ident, $reaction:expr, $same:path, $reset:expr, $verdict:pat => $acceptable:expr) => {
        match $reaction {
            Reaction::Acceptable($verdict) => $acceptable,
            Reaction::NotAcceptable(_, Answer::Nothing) => $same($tcp),
            Reaction::NotAcceptable(segment, Answer::Ack) => {
                let ack = $tcp.challenge(&segment, $self.now);
                $self.send_segment(ack.into());
                $same($tcp)
            }
            Reaction::NotAcceptable(segment, Answer::Rst) => {
                // As `refuse` of the handshake's states.
                $self.refuse(&segment);
                $same($tcp)
            }
            Reaction::Reset(_) => {
                $self.told.extend($reset);
                Machine::Closed
            }
        }
    };
}

impl Driver {
    /// Octets arrive.
    fn arrive_as(&mut self, octets: &[u8]) {
        match Segment::parse(octets, *PEER.ip(), *US.ip()) {
            Ok(segment) => {
                self.transcript.push(format!("{} peer: {segment} {:?}", self.now, segment.options));
                self.judge(segment);
            }
            Err(error) => self.transcript.push(format!("{} peer: no segment, {error}", self.now)),
        }
    }

    /// A segment arrives.
    fn judge(&mut self, segment: Segment) {
        self.machine = match mem::replace(&mut self.machine, Machine::Closed) {
            Machine::Closed => {
                if let Some(answer) = TcpClosed::answer(&segment) {
                    self.send_segment(answer);
                }
                Machine::Closed
            }
            Machine::Listen(tcp) => self.listen_judge(tcp, segment),
            Machine::SynSent(tcp) => self.syn_sent_judge(tcp, segment),
            Machine::SynReceived(tcp) => self.syn_received_judge(tcp, segment),
            Machine::Established(tcp) => self.established_judge(tcp, segment),
            Machine::CloseWait(mut tcp) => {
                judged!(self, tcp, tcp.judge(segment, self.now), Machine::CloseWait, [Told::Reset], segment => {
                    tcp.accept(segment, self.now);
                    Machine::CloseWait(tcp)
                })
            }
            Machine::FinWait1(tcp) => self.fin_wait_1_judge(tcp, segment),
            Machine::FinWait2(tcp) => self.fin_wait_2_judge(tcp, segment),
            Machine::Closing(mut tcp) => {
                judged!(self, tcp, tcp.judge(segment, self.now), Machine::Closing, [Told::Reset], verdict => match verdict {
                    ClosingVerdict::Acceptable(segment) => {
                        tcp.accept(segment, self.now);
                        Machine::Closing(tcp)
                    }
                    ClosingVerdict::AcksFin(segment) => {
                        self.told.push(Told::Closed);
                        Machine::TimeWait(tcp.time_wait(segment, self.now))
                    }
                })
            }
            Machine::LastAck(mut tcp) => {
                judged!(self, tcp, tcp.judge(segment, self.now), Machine::LastAck, [Told::Reset], verdict => match verdict {
                    ClosingVerdict::Acceptable(segment) => {
                        tcp.accept(segment, self.now);
                        Machine::LastAck(tcp)
                    }
                    ClosingVerdict::AcksFin(segment) => {
                        self.told.push(Told::Closed);
                        _ = tcp.closed(segment);
                        Machine::Closed
                    }
                })
            }
            Machine::TimeWait(mut tcp) => {
                judged!(self, tcp, tcp.judge(segment, self.now), Machine::TimeWait, None::<Told>, reopens => {
                    // The SYN goes to whoever listens.
                    let segment = Segment::from(reopens);
                    self.listen();
                    self.judge(segment);
                    return;
                })
            }
        };
    }

    fn listen_judge(&mut self, tcp: TcpListen, segment: Segment) -> Machine {
        match tcp.judge(segment) {
            Reaction::Acceptable(syn) => {
                self.irs = syn.segment().seq;
                self.scaled = syn.segment().options.window_scale.is_some();
                self.right = None;
                let (tcp, syn_ack) = tcp.recv_syn(PEER, syn, self.iss, self.now);
                self.send_segment(syn_ack.into());
                return Machine::SynReceived(tcp);
            }
            Reaction::NotAcceptable(segment, Answer::Rst) => {
                let rst = tcp.refuse(&segment);
                self.send_segment(rst.into());
            }
            Reaction::NotAcceptable(_, Answer::Nothing) => {}
            Reaction::NotAcceptable(_, Answer::Ack) => panic!("LISTEN has nothing to acknowledge"),
        }
        Machine::Listen(tcp)
    }

    fn syn_sent_judge(&mut self, mut tcp: Tcp<SynSent>, segment: Segment) -> Machine {
        judged!(self, tcp, tcp.judge(segment, self.now), Machine::SynSent, [Told::Refused], verdict => {
            self.right = None;
            match verdict {
                SynSentVerdict::Answered(segment) => {
                    self.scaled = segment.segment().options.window_scale.is_some();
                    self.told.push(Told::Connected);
                    Machine::Established(tcp.established(segment, self.now))
                }
                SynSentVerdict::Crossed(segment) => {
                    self.scaled = segment.segment().options.window_scale.is_some();
                    let (tcp, syn_ack) = tcp.syn_received(segment, self.now);
                    self.send_segment(syn_ack.into());
                    Machine::SynReceived(tcp)
                }
            }
        })
    }

    fn syn_received_judge(&mut self, mut tcp: Tcp<SynReceived>, segment: Segment) -> Machine {
        let reaction = tcp.judge(segment, self.now);
        if let (Reaction::Reset(_), Origin::Passive) = (&reaction, tcp.origin()) {
            return Machine::Listen(tcp.listen());
        }
        judged!(self, tcp, reaction, Machine::SynReceived, [Told::Refused], verdict => match verdict {
            SynReceivedVerdict::Acked(segment) => {
                self.told.push(Told::Connected);
                Machine::Established(tcp.established(segment, self.now))
            }
            SynReceivedVerdict::Finished(segment) => {
                self.told.push(Told::Connected);
                Machine::CloseWait(tcp.close_wait(segment, self.now))
            }
            SynReceivedVerdict::Restart(_) => Machine::Listen(tcp.listen()),
        })
    }

    fn established_judge(&mut self, mut tcp: Tcp<Established>, segment: Segment) -> Machine {
        judged!(self, tcp, tcp.judge(segment, self.now), Machine::Established, [Told::Reset], verdict => match verdict {
            EstablishedVerdict::Acceptable(segment) => {
                tcp.accept(segment, self.now);
                Machine::Established(tcp)
            }
            EstablishedVerdict::Finishes(segment) => Machine::CloseWait(tcp.finish(segment, self.now)),
        })
    }

    fn fin_wait_1_judge(&mut self, mut tcp: Tcp<FinWait1>, segment: Segment) -> Machine {
        judged!(self, tcp, tcp.judge(segment, self.now), Machine::FinWait1, [Told::Reset], verdict => match verdict {
            FinWait1Verdict::Acceptable(segment) => {
                tcp.accept(segment, self.now);
                Machine::FinWait1(tcp)
            }
            FinWait1Verdict::AcksFin(segment) => {
                self.told.push(Told::Closed);
                Machine::FinWait2(tcp.fin_wait_2(segment, self.now))
            }
            FinWait1Verdict::Finishes(segment) => Machine::Closing(tcp.closing(segment, self.now)),
            FinWait1Verdict::AcksFinAndFinishes(segment) => {
                self.told.push(Told::Closed);
                Machine::TimeWait(tcp.time_wait(segment, self.now))
            }
            FinWait1Verdict::AfterClose(_) => self.data_lost(tcp.abort().into()),
        })
    }

    fn fin_wait_2_judge(&mut self, mut tcp: Tcp<FinWait2>, segment: Segment) -> Machine {
        judged!(self, tcp, tcp.judge(segment, self.now), Machine::FinWait2, [Told::Reset], verdict => match verdict {
            FinWait2Verdict::Acceptable(segment) => {
                tcp.accept(segment, self.now);
                Machine::FinWait2(tcp)
            }
            FinWait2Verdict::Finishes(segment) => Machine::TimeWait(tcp.time_wait(segment, self.now)),
            FinWait2Verdict::AfterClose(_) => self.data_lost(tcp.abort().into()),
        })
    }

    /// RFC 9293 §3.6.1, SHLD-3.
    fn data_lost(&mut self, rst: Segment) -> Machine {
        self.send_segment(rst);
        self.told.push(Told::DataLost);
        Machine::Closed
    }

    /// The RST for an acknowledgement of nothing that we sent.
    fn refuse(&mut self, segment: &Segment) {
        let local = LocalAddr { addr: *US.ip(), port: US.port() };
        let rst = TcpClosed::default().open(local).refuse(segment);
        self.send_segment(rst.into());
    }

    /// Does all that is due now.
    fn work(&mut self) {
        for _ in 0..MAX_WORK {
            let machine = mem::replace(&mut self.machine, Machine::Closed);
            let Poll::Now(step) = poll(&machine, self.now) else {
                self.machine = machine;
                return;
            };
            self.machine = self.step(machine, step);
        }
        panic!("the machine never rests");
    }

    /// Does one thing that is due.
    fn step(&mut self, mut machine: Machine, step: Step) -> Machine {
        match step {
            Step::Segment | Step::Fin => {
                let segment = transmitted(&mut machine, step, self.now);
                self.send_segment(segment);
                machine
            }
            Step::GiveUp => {
                if let Machine::SynReceived(tcp) = machine {
                    return Machine::Listen(tcp.listen());
                }
                self.told.push(Told::TimedOut);
                Machine::Closed
            }
            Step::DataLost => match machine {
                Machine::FinWait1(tcp) => self.data_lost(tcp.abort().into()),
                Machine::Closing(tcp) => self.data_lost(tcp.abort().into()),
                Machine::LastAck(tcp) => self.data_lost(tcp.abort().into()),
                other => panic!("no data can be lost in {other:?}"),
            },
            Step::Expired => Machine::Closed,
        }
    }

    /// When the next thing will be due.
    fn next_deadline(&self) -> Option<Instant> {
        match poll(&self.machine, self.now) {
            Poll::Now(step) => panic!("{step:?} is still due"),
            Poll::At(at) => {
                assert!(at > self.now, "what is due at {at} is due now, at {}", self.now);
                Some(at)
            }
            Poll::Never => None,
        }
    }

    /// We send a segment; what holds of all of them does.
    fn send_segment(&mut self, segment: Segment) {
        self.transcript.push(format!("{}  we:  {segment} {:?}", self.now, segment.options));
        let octets = segment.emit(*US.ip(), *PEER.ip());
        let on_the_wire = Segment { carriage: Carriage::default(), ..segment.clone() };
        assert_eq!(Segment::parse(&octets, *US.ip(), *PEER.ip()), Ok(on_the_wire), "it survives the wire");
        assert_eq!((segment.src_port, segment.dst_port), (US.port(), PEER.port()));
        let control = segment.control;
        if let (Some((_, ours)), Some(stamp)) = (&mut self.stamps, segment.options.timestamp) {
            *ours = stamp.tsval;
        }
        assert!(segment.options.mss.is_none() || control.syn(), "MUST-65: an MSS option without SYN");
        if control.ack() && !control.rst() && !self.scaled {
            let right = segment.ack + u32::from(segment.wnd);
            let before = *self.right.get_or_insert(right);
            assert!(right.is_at_or_after(before), "SHLD-14: the right edge moved left, from {before} to {right}");
            self.right = Some(right);
        }
        self.sent.push(segment);
    }
}

/// What is due, in any state.
#[derive(Clone, Copy, Debug)]
enum Step {
    Segment,
    Fin,
    GiveUp,
    DataLost,
    Expired,
}

/// What is due now, or when something will be.
fn poll(machine: &Machine, now: Instant) -> Poll<Step> {
    match machine {
        Machine::Closed | Machine::Listen(_) => Poll::Never,
        Machine::SynSent(tcp) => as_step(tcp.poll(now), |due| match due {
            SynSentDue::Retransmit => Step::Segment,
            SynSentDue::GiveUp => Step::GiveUp,
        }),
        Machine::SynReceived(tcp) => as_step(tcp.poll(now), |due| match due {
            SynReceivedDue::Retransmit => Step::Segment,
            SynReceivedDue::GiveUp => Step::GiveUp,
        }),
        Machine::Established(tcp) => as_step(tcp.poll(now), of_open),
        Machine::CloseWait(tcp) => as_step(tcp.poll(now), of_open),
        Machine::FinWait1(tcp) => as_step(tcp.poll(now), of_closing),
        Machine::FinWait2(tcp) => as_step(tcp.poll(now), |due| match due {
            FinWait2Due::Segment => Step::Segment,
            FinWait2Due::Expired => Step::Expired,
        }),
        Machine::Closing(tcp) => as_step(tcp.poll(now), of_closing),
        Machine::LastAck(tcp) => as_step(tcp.poll(now), of_closing),
        Machine::TimeWait(tcp) => as_step(tcp.poll(now), |due| match due {
            TimeWaitDue::Segment => Step::Segment,
            TimeWaitDue::Expired => Step::Expired,
        }),
    }
}

fn as_step<D>(poll: Poll<D>, step: impl FnOnce(D) -> Step) -> Poll<Step> {
    match poll {
        Poll::Now(due) => Poll::Now(step(due)),
        Poll::At(at) => Poll::At(at),
        Poll::Never => Poll::Never,
    }
}

fn of_open(due: Due) -> Step {
    match due {
        Due::Segment => Step::Segment,
        Due::GiveUp => Step::GiveUp,
    }
}

fn of_closing(due: ClosingDue) -> Step {
    match due {
        ClosingDue::Segment => Step::Segment,
        ClosingDue::Fin => Step::Fin,
        ClosingDue::GiveUp => Step::GiveUp,
        ClosingDue::DataLost => Step::DataLost,
    }
}

/// The segment that is due.
fn transmitted(machine: &mut Machine, step: Step, now: Instant) -> Segment {
    match (machine, step) {
        (Machine::FinWait1(tcp), Step::Fin) => tcp.transmit_fin(now).into(),
        (Machine::Closing(tcp), Step::Fin) => tcp.transmit_fin(now).into(),
        (Machine::LastAck(tcp), Step::Fin) => tcp.transmit_fin(now).into(),
        (Machine::SynSent(tcp), _) => tcp.retransmit(now).into(),
        (Machine::SynReceived(tcp), _) => tcp.retransmit(now).into(),
        (Machine::Established(tcp), _) => tcp.transmit(now).into(),
        (Machine::CloseWait(tcp), _) => tcp.transmit(now).into(),
        (Machine::FinWait1(tcp), _) => tcp.transmit(now).into(),
        (Machine::FinWait2(tcp), _) => tcp.transmit(now).into(),
        (Machine::Closing(tcp), _) => tcp.transmit(now).into(),
        (Machine::LastAck(tcp), _) => tcp.transmit(now).into(),
        (Machine::TimeWait(tcp), _) => tcp.transmit(now).into(),
        (machine @ (Machine::Closed | Machine::Listen(_)), _) => panic!("nothing is due in {machine:?}"),
    }
}
