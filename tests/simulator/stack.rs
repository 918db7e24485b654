//! Our machine in whatever state it is, driven as the server system drives it: arrivals first, then what is due.

use core::net::{Ipv4Addr, SocketAddrV4};
use session_tcp::smol_channel::Rst;
use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Answer, CloseWait, Closing, ClosingDue, ClosingVerdict, Config, Due, Established, EstablishedVerdict, FinWait1,
    FinWait1Verdict, FinWait2, FinWait2Due, FinWait2Verdict, LastAck, LocalAddr, Poll, Reaction, State, Status,
    SynReceived, SynReceivedDue, SynReceivedVerdict, SynSent, SynSentDue, SynSentVerdict, Tcp, TcpClosed, TcpListen,
    TimeWait, TimeWaitDue,
};
use smoltcp::time::Instant;

/// Segments that one instant may make due; more would be a machine that spins.
const SPIN_LIMIT: usize = 100_000;

/// Why there is no connection any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Closed on both sides, or TIME-WAIT or FIN-WAIT-2 ran out.
    Closed,
    /// The peer sent a RST that counts.
    Reset,
    /// The peer did not answer for too long.
    GaveUp,
    /// We sent a RST, as text came that nobody reads or our own would be lost.
    Aborted,
}

/// The machine.
#[derive(Debug)]
pub enum Machine {
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
    Closed(Ended),
}

/// A connection's end, with what it has sent and nobody has fetched yet.
#[derive(Debug)]
pub struct Stack {
    machine: Machine,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    /// The ISS of the next passive opening.
    iss: SeqNum,
    /// What it sent, oldest first.
    pub sent: Vec<Segment>,
}

/// Applies an expression to the machine in every state that has a control block.
macro_rules! with_block {
    ($machine:expr, $tcp:ident => $then:expr, $else:expr) => {
        match $machine {
            Machine::SynSent($tcp) => $then,
            Machine::SynReceived($tcp) => $then,
            Machine::Established($tcp) => $then,
            Machine::CloseWait($tcp) => $then,
            Machine::FinWait1($tcp) => $then,
            Machine::FinWait2($tcp) => $then,
            Machine::Closing($tcp) => $then,
            Machine::LastAck($tcp) => $then,
            Machine::TimeWait($tcp) => $then,
            Machine::Listen(_) | Machine::Closed(_) => $else,
        }
    };
}

/// Where the two ends are unless a test says otherwise.
pub const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
/// The end that opens.
pub const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 77), 40_000);

impl Stack {
    /// Listens at [`SERVER`] for [`CLIENT`].
    pub fn listen(config: Config, iss: u32) -> Self {
        let local = LocalAddr { addr: *SERVER.ip(), port: SERVER.port() };
        let machine = Machine::Listen(TcpClosed::new(config).open(local));
        Self { machine, local: SERVER, remote: CLIENT, iss: SeqNum::new(iss), sent: Vec::new() }
    }

    /// Opens from [`CLIENT`] to [`SERVER`].
    pub fn connect(config: Config, iss: u32, now: Instant) -> Self {
        let iss = SeqNum::new(iss);
        let (tcp, syn) = TcpClosed::new(config).connect(CLIENT, SERVER, iss, now);
        Self { machine: Machine::SynSent(tcp), local: CLIENT, remote: SERVER, iss, sent: vec![syn.into()] }
    }

    /// Two ends, connected, with nothing under way.
    pub fn pair(config: &Config, now: Instant) -> (Self, Self) {
        let mut server = Self::listen(config.clone(), 0xffff_fff0);
        let mut client = Self::connect(config.clone(), 7000, now);
        exchange(&mut client, &mut server, now);
        (client, server)
    }

    /// The machine, to look at.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The state's name in RFC 9293.
    pub fn state(&self) -> &'static str {
        match &self.machine {
            Machine::Listen(_) => "LISTEN",
            Machine::Closed(_) => "CLOSED",
            block => with_block!(block, tcp => name(tcp), "CLOSED"),
        }
    }

    /// Why the connection is over, if it is.
    pub const fn ended(&self) -> Option<Ended> {
        match self.machine {
            Machine::Closed(ended) => Some(ended),
            _ => None,
        }
    }

    /// The variables of the connection.
    pub fn status(&self) -> Status {
        with_block!(&self.machine, tcp => tcp.status(), panic!("{} has no variables", self.state()))
    }

    /// The variables of the connection, if there is one.
    pub fn try_status(&self) -> Option<Status> {
        with_block!(&self.machine, tcp => Some(tcp.status()), None)
    }

    /// What was sent since the last call.
    pub fn take_sent(&mut self) -> Vec<Segment> {
        core::mem::take(&mut self.sent)
    }

    // The user.

    /// SEND: as much of `text` as there is room for; says how much that was.
    pub fn send(&mut self, text: &[u8], buff_bytes: usize, now: Instant) -> usize {
        let room = |buffered: usize| buff_bytes.saturating_sub(buffered).min(text.len());
        match &mut self.machine {
            Machine::Established(tcp) => {
                let taken = room(tcp.status().snd_buffered_bytes);
                tcp.send(&text[..taken], now);
                taken
            }
            Machine::CloseWait(tcp) => {
                let taken = room(tcp.status().snd_buffered_bytes);
                tcp.send(&text[..taken], now);
                taken
            }
            _ => 0,
        }
    }

    /// Whether the send buffer, as large as it has grown, has room.
    pub fn has_room(&self) -> bool {
        match &self.machine {
            Machine::Established(tcp) => tcp.can_send(),
            Machine::CloseWait(tcp) => tcp.can_send(),
            _ => false,
        }
    }

    /// RECEIVE: at most `max` octets.
    pub fn receive(&mut self, max: usize) -> Vec<u8> {
        match &mut self.machine {
            Machine::Established(tcp) => tcp.deliver(max),
            Machine::CloseWait(tcp) => tcp.deliver(max),
            _ => Vec::new(),
        }
    }

    /// CLOSE.
    pub fn close(&mut self, now: Instant) {
        self.machine = match self.take_machine() {
            Machine::Established(tcp) => Machine::FinWait1(tcp.close(now)),
            Machine::CloseWait(tcp) => Machine::LastAck(tcp.close(now)),
            machine => machine,
        };
    }

    // The network.

    /// A segment arrives.
    pub fn arrive(&mut self, segment: Segment, now: Instant) {
        self.machine = match self.take_machine() {
            Machine::Listen(tcp) => self.listening(tcp, segment, now),
            Machine::SynSent(tcp) => self.syn_sent(tcp, segment, now),
            Machine::SynReceived(tcp) => self.syn_received(tcp, segment, now),
            Machine::Established(tcp) => self.established(tcp, segment, now),
            Machine::CloseWait(tcp) => self.close_wait(tcp, segment, now),
            Machine::FinWait1(tcp) => self.fin_wait_1(tcp, segment, now),
            Machine::FinWait2(tcp) => self.fin_wait_2(tcp, segment, now),
            Machine::Closing(tcp) => self.closing(tcp, segment, now),
            Machine::LastAck(tcp) => self.last_ack(tcp, segment, now),
            Machine::TimeWait(tcp) => self.time_wait(tcp, segment, now),
            Machine::Closed(ended) => {
                self.sent.extend(TcpClosed::answer(&segment));
                Machine::Closed(ended)
            }
        };
    }

    /// Sends all that is due now; says when something will be.
    pub fn work(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..SPIN_LIMIT {
            match self.poll(now) {
                Poll::Now(what) => self.serve(what, now),
                Poll::At(at) => return Some(at),
                Poll::Never => return None,
            }
        }
        panic!("{} wants to send without end", self.state());
    }

    fn take_machine(&mut self) -> Machine {
        core::mem::replace(&mut self.machine, Machine::Closed(Ended::Closed))
    }

    fn refuse<S: State>(&mut self, tcp: &mut Tcp<S>, segment: &Segment, answer: Answer, now: Instant) {
        match answer {
            Answer::Ack => self.sent.push(tcp.challenge(segment, now).into()),
            Answer::Rst => self.sent.extend(TcpClosed::answer(segment)),
            Answer::Nothing => {}
        }
    }

    fn abort(&mut self, rst: Rst) -> Machine {
        self.sent.push(rst.into());
        Machine::Closed(Ended::Aborted)
    }

    fn listening(&mut self, tcp: TcpListen, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment) {
            Reaction::Acceptable(syn) => {
                let (tcp, syn_ack) = tcp.recv_syn(self.remote, syn, self.iss, now);
                self.sent.push(syn_ack.into());
                Machine::SynReceived(tcp)
            }
            Reaction::NotAcceptable(segment, answer) => {
                if answer == Answer::Rst {
                    self.sent.push(tcp.refuse(&segment).into());
                }
                Machine::Listen(tcp)
            }
        }
    }

    fn syn_sent(&mut self, mut tcp: Tcp<SynSent>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(SynSentVerdict::Answered(syn)) => Machine::Established(tcp.established(syn, now)),
            Reaction::Acceptable(SynSentVerdict::Crossed(syn)) => {
                let (tcp, syn_ack) = tcp.syn_received(syn, now);
                self.sent.push(syn_ack.into());
                Machine::SynReceived(tcp)
            }
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::SynSent(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn syn_received(&mut self, mut tcp: Tcp<SynReceived>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(SynReceivedVerdict::Acked(ack)) => Machine::Established(tcp.established(ack, now)),
            Reaction::Acceptable(SynReceivedVerdict::Finished(fin)) => Machine::CloseWait(tcp.close_wait(fin, now)),
            Reaction::Acceptable(SynReceivedVerdict::Restart(_)) | Reaction::Reset(_) => Machine::Listen(tcp.listen()),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::SynReceived(tcp)
            }
        }
    }

    fn established(&mut self, mut tcp: Tcp<Established>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(EstablishedVerdict::Acceptable(segment)) => {
                tcp.accept(segment, now);
                Machine::Established(tcp)
            }
            Reaction::Acceptable(EstablishedVerdict::Finishes(fin)) => Machine::CloseWait(tcp.finish(fin, now)),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::Established(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn close_wait(&mut self, mut tcp: Tcp<CloseWait>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(segment) => {
                tcp.accept(segment, now);
                Machine::CloseWait(tcp)
            }
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::CloseWait(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn fin_wait_1(&mut self, mut tcp: Tcp<FinWait1>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(FinWait1Verdict::Acceptable(segment)) => {
                tcp.accept(segment, now);
                Machine::FinWait1(tcp)
            }
            Reaction::Acceptable(FinWait1Verdict::AcksFin(ack)) => Machine::FinWait2(tcp.fin_wait_2(ack, now)),
            Reaction::Acceptable(FinWait1Verdict::Finishes(fin)) => Machine::Closing(tcp.closing(fin, now)),
            Reaction::Acceptable(FinWait1Verdict::AcksFinAndFinishes(fin)) => {
                Machine::TimeWait(tcp.time_wait(fin, now))
            }
            Reaction::Acceptable(FinWait1Verdict::AfterClose(_)) => self.abort(tcp.abort()),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::FinWait1(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn fin_wait_2(&mut self, mut tcp: Tcp<FinWait2>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(FinWait2Verdict::Acceptable(segment)) => {
                tcp.accept(segment, now);
                Machine::FinWait2(tcp)
            }
            Reaction::Acceptable(FinWait2Verdict::Finishes(fin)) => Machine::TimeWait(tcp.time_wait(fin, now)),
            Reaction::Acceptable(FinWait2Verdict::AfterClose(_)) => self.abort(tcp.abort()),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::FinWait2(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn closing(&mut self, mut tcp: Tcp<Closing>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(ClosingVerdict::Acceptable(segment)) => {
                tcp.accept(segment, now);
                Machine::Closing(tcp)
            }
            Reaction::Acceptable(ClosingVerdict::AcksFin(ack)) => Machine::TimeWait(tcp.time_wait(ack, now)),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::Closing(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn last_ack(&mut self, mut tcp: Tcp<LastAck>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            Reaction::Acceptable(ClosingVerdict::Acceptable(segment)) => {
                tcp.accept(segment, now);
                Machine::LastAck(tcp)
            }
            Reaction::Acceptable(ClosingVerdict::AcksFin(ack)) => {
                let _: TcpClosed = tcp.closed(ack);
                Machine::Closed(Ended::Closed)
            }
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::LastAck(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    fn time_wait(&mut self, mut tcp: Tcp<TimeWait>, segment: Segment, now: Instant) -> Machine {
        match tcp.judge(segment, now) {
            // The listener would take the SYN; this end has none.
            Reaction::Acceptable(_) => Machine::Closed(Ended::Closed),
            Reaction::NotAcceptable(segment, answer) => {
                self.refuse(&mut tcp, &segment, answer, now);
                Machine::TimeWait(tcp)
            }
            Reaction::Reset(_) => Machine::Closed(Ended::Reset),
        }
    }

    // What is due.

    fn poll(&self, now: Instant) -> Poll<Chore> {
        match &self.machine {
            Machine::Listen(_) | Machine::Closed(_) => Poll::Never,
            Machine::SynSent(tcp) => chore(tcp.poll(now), |due| match due {
                SynSentDue::Retransmit => Chore::Segment,
                SynSentDue::GiveUp => Chore::GiveUp,
            }),
            Machine::SynReceived(tcp) => chore(tcp.poll(now), |due| match due {
                SynReceivedDue::Retransmit => Chore::Segment,
                SynReceivedDue::GiveUp => Chore::GiveUp,
            }),
            Machine::Established(tcp) => chore(tcp.poll(now), open_chore),
            Machine::CloseWait(tcp) => chore(tcp.poll(now), open_chore),
            Machine::FinWait1(tcp) => chore(tcp.poll(now), closing_chore),
            Machine::Closing(tcp) => chore(tcp.poll(now), closing_chore),
            Machine::LastAck(tcp) => chore(tcp.poll(now), closing_chore),
            Machine::FinWait2(tcp) => chore(tcp.poll(now), |due| match due {
                FinWait2Due::Segment => Chore::Segment,
                FinWait2Due::Expired => Chore::Expired,
            }),
            Machine::TimeWait(tcp) => chore(tcp.poll(now), |due| match due {
                TimeWaitDue::Segment => Chore::Segment,
                TimeWaitDue::Expired => Chore::Expired,
            }),
        }
    }

    fn serve(&mut self, chore: Chore, now: Instant) {
        match chore {
            Chore::Segment => {
                let segment = self.transmit(now);
                self.sent.extend(segment);
            }
            Chore::Fin => {
                let fin = match &mut self.machine {
                    Machine::FinWait1(tcp) => tcp.transmit_fin(now),
                    Machine::Closing(tcp) => tcp.transmit_fin(now),
                    Machine::LastAck(tcp) => tcp.transmit_fin(now),
                    _ => return,
                };
                self.sent.push(fin.into());
            }
            Chore::GiveUp => self.machine = Machine::Closed(Ended::GaveUp),
            Chore::Expired => self.machine = Machine::Closed(Ended::Closed),
            Chore::DataLost => {
                let machine = self.take_machine();
                let rst = with_block!(machine, tcp => Some(tcp.abort()), None);
                self.sent.extend(rst.map(Segment::from));
                self.machine = Machine::Closed(Ended::Aborted);
            }
        }
    }

    fn transmit(&mut self, now: Instant) -> Option<Segment> {
        Some(match &mut self.machine {
            Machine::SynSent(tcp) => tcp.retransmit(now).into(),
            Machine::SynReceived(tcp) => tcp.retransmit(now).into(),
            Machine::Established(tcp) => tcp.transmit(now).into(),
            Machine::CloseWait(tcp) => tcp.transmit(now).into(),
            Machine::FinWait1(tcp) => tcp.transmit(now).into(),
            Machine::FinWait2(tcp) => tcp.transmit(now).into(),
            Machine::Closing(tcp) => tcp.transmit(now).into(),
            Machine::LastAck(tcp) => tcp.transmit(now).into(),
            Machine::TimeWait(tcp) => tcp.transmit(now).into(),
            Machine::Listen(_) | Machine::Closed(_) => return None,
        })
    }
}

/// What is due, whatever the state.
#[derive(Clone, Copy, Debug)]
enum Chore {
    Segment,
    Fin,
    GiveUp,
    Expired,
    DataLost,
}

fn open_chore(due: Due) -> Chore {
    match due {
        Due::Segment => Chore::Segment,
        Due::GiveUp => Chore::GiveUp,
    }
}

fn closing_chore(due: ClosingDue) -> Chore {
    match due {
        ClosingDue::Segment => Chore::Segment,
        ClosingDue::Fin => Chore::Fin,
        ClosingDue::GiveUp => Chore::GiveUp,
        ClosingDue::DataLost => Chore::DataLost,
    }
}

fn chore<D>(poll: Poll<D>, what: impl FnOnce(D) -> Chore) -> Poll<Chore> {
    match poll {
        Poll::Now(due) => Poll::Now(what(due)),
        Poll::At(at) => Poll::At(at),
        Poll::Never => Poll::Never,
    }
}

fn name<S: State>(_: &Tcp<S>) -> &'static str {
    S::NAME
}

/// Carries segments between two ends at once and without loss, until neither has anything to say now; says how many went.
pub fn exchange(one: &mut Stack, other: &mut Stack, now: Instant) -> usize {
    let mut carried = 0;
    loop {
        one.work(now);
        other.work(now);
        let (from_one, from_other) = (one.take_sent(), other.take_sent());
        if from_one.is_empty() && from_other.is_empty() {
            return carried;
        }
        carried += from_one.len() + from_other.len();
        assert!(carried < SPIN_LIMIT, "two ends talk without end");
        from_one.into_iter().for_each(|segment| other.arrive(segment, now));
        from_other.into_iter().for_each(|segment| one.arrive(segment, now));
    }
}
