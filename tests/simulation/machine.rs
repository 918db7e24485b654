//! A machine in whatever state it is, driven as the roles' programs drive it.

use std::net::SocketAddrV4;

use session_tcp::smol_channel::{Rst, Syn};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Answer, CloseWait, Closing, ClosingDue, ClosingVerdict, Config, Due, Established, EstablishedVerdict, FinWait1,
    FinWait1Verdict, FinWait2, FinWait2Due, FinWait2Verdict, LastAck, LocalAddr, Origin, Poll, Reaction, Segment,
    Status, SynReceived, SynReceivedDue, SynReceivedVerdict, SynSent, SynSentDue, SynSentVerdict, Tcp, TcpClosed,
    TcpListen, TimeWait, TimeWaitDue,
};
use smoltcp::time::Instant;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both streams are complete and acknowledged.
    Normal,
    /// The peer reset it, or refused it.
    Reset,
    /// The peer reset it when both had closed: what it had acknowledged by then cannot be known.
    ResetAfterBothClosed,
    /// The peer did not answer any more.
    GaveUp,
    /// Text was lost because the user had closed.
    DataLost,
    /// FIN-WAIT-2 lasted too long.
    Expired,
    /// The user aborted it.
    Aborted,
}

/// A connection in any state.
#[derive(Debug)]
pub(crate) enum Machine {
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
    Ended(End),
}

/// The segments that something made a machine send.
pub(crate) type Sent = Vec<Segment>;

/// What a segment that changes nothing is answered with: `challenge` and `refuse` of the machine at hand.
macro_rules! answer {
    ($tcp:ident, $segment:ident, $answer:ident, $now:ident, $sent:ident) => {
        match $answer {
            Answer::Ack => $sent.push($tcp.challenge(&$segment, $now).into()),
            Answer::Rst => unreachable!("a synchronized state refuses nothing"),
            Answer::Nothing => {}
        }
    };
}

/// The state after `judge` in states whose acceptable segments are proofs `$proof`.
macro_rules! arrive {
    ($tcp:ident, $state:ident, $segment:ident, $now:ident, $sent:ident, { $($arms:tt)* }) => {{
        let mut $tcp = $tcp;
        match $tcp.judge($segment, $now) {
            Reaction::Acceptable(verdict) => match verdict { $($arms)* },
            Reaction::NotAcceptable(segment, answer) => {
                answer!($tcp, segment, answer, $now, $sent);
                Machine::$state($tcp)
            }
            Reaction::Reset(_) => Machine::Ended(End::Reset),
        }
    }};
}

/// The state after doing what is due in it, if anything is.
macro_rules! work {
    ($tcp:ident, $state:ident, $now:ident, { $($arms:tt)* }) => {{
        let mut $tcp = $tcp;
        match $tcp.poll($now) {
            Poll::Now(due) => match due { $($arms)* },
            Poll::At(_) | Poll::Never => {}
        }
        Machine::$state($tcp)
    }};
}

/// The same for the states in which our FIN is sent.
macro_rules! work_closing {
    ($tcp:ident, $state:ident, $now:ident, $sent:ident) => {
        work!($tcp, $state, $now, {
            ClosingDue::Segment => $sent.push($tcp.transmit($now).into()),
            ClosingDue::Fin => $sent.push($tcp.transmit_fin($now).into()),
            ClosingDue::GiveUp => return gave_up($tcp.abort(), $sent),
            ClosingDue::DataLost => return data_lost($tcp.abort(), $sent),
        })
    };
}

/// The same where both ends have closed.
fn reset_after_both_closed(machine: Machine) -> Machine {
    match machine {
        Machine::Ended(End::Reset) => Machine::Ended(End::ResetAfterBothClosed),
        other => other,
    }
}

/// The user had closed when text came: the connection is aborted.
fn data_lost(rst: Rst, sent: &mut Sent) -> Machine {
    sent.push(rst.into());
    Machine::Ended(End::DataLost)
}

impl Machine {
    /// One that listens.
    pub(crate) fn listen(local: SocketAddrV4, config: Config) -> Self {
        let local = LocalAddr { addr: *local.ip(), port: local.port() };
        Self::Listen(TcpClosed::new(config).open(local))
    }

    /// One that connects, and its SYN.
    pub(crate) fn connect(
        local: SocketAddrV4,
        remote: SocketAddrV4,
        config: Config,
        iss: SeqNum,
        now: Instant,
    ) -> (Self, Syn) {
        let (tcp, syn) = TcpClosed::new(config).connect(local, remote, iss, now);
        (Self::SynSent(tcp), syn)
    }

    /// A segment arrives.
    pub(crate) fn arrive(
        self,
        remote: SocketAddrV4,
        segment: Segment,
        iss: SeqNum,
        now: Instant,
        sent: &mut Sent,
    ) -> Self {
        match self {
            Self::Listen(tcp) => listen(tcp, remote, segment, iss, now, sent),
            Self::SynSent(tcp) => syn_sent(tcp, segment, now, sent),
            Self::SynReceived(tcp) => syn_received(tcp, segment, now, sent),
            Self::Established(tcp) => arrive!(tcp, Established, segment, now, sent, {
                EstablishedVerdict::Acceptable(proof) => { tcp.accept(proof, now); Self::Established(tcp) }
                EstablishedVerdict::Finishes(proof) => Self::CloseWait(tcp.finish(proof, now)),
            }),
            Self::CloseWait(tcp) => arrive!(tcp, CloseWait, segment, now, sent, {
                proof => { tcp.accept(proof, now); Self::CloseWait(tcp) }
            }),
            Self::FinWait1(tcp) => arrive!(tcp, FinWait1, segment, now, sent, {
                FinWait1Verdict::Acceptable(proof) => { tcp.accept(proof, now); Self::FinWait1(tcp) }
                FinWait1Verdict::AcksFin(proof) => Self::FinWait2(tcp.fin_wait_2(proof, now)),
                FinWait1Verdict::Finishes(proof) => Self::Closing(tcp.closing(proof, now)),
                FinWait1Verdict::AcksFinAndFinishes(proof) => Self::TimeWait(tcp.time_wait(proof, now)),
                FinWait1Verdict::AfterClose(_) => data_lost(tcp.abort(), sent),
            }),
            Self::FinWait2(tcp) => arrive!(tcp, FinWait2, segment, now, sent, {
                FinWait2Verdict::Acceptable(proof) => { tcp.accept(proof, now); Self::FinWait2(tcp) }
                FinWait2Verdict::Finishes(proof) => Self::TimeWait(tcp.time_wait(proof, now)),
                FinWait2Verdict::AfterClose(_) => data_lost(tcp.abort(), sent),
            }),
            Self::Closing(tcp) => reset_after_both_closed(arrive!(tcp, Closing, segment, now, sent, {
                ClosingVerdict::Acceptable(proof) => { tcp.accept(proof, now); Self::Closing(tcp) }
                ClosingVerdict::AcksFin(proof) => Self::TimeWait(tcp.time_wait(proof, now)),
            })),
            Self::LastAck(tcp) => reset_after_both_closed(arrive!(tcp, LastAck, segment, now, sent, {
                ClosingVerdict::Acceptable(proof) => { tcp.accept(proof, now); Self::LastAck(tcp) }
                ClosingVerdict::AcksFin(proof) => { let _closed = tcp.closed(proof); Self::Ended(End::Normal) }
            })),
            Self::TimeWait(tcp) => match arrive!(tcp, TimeWait, segment, now, sent, {
                _reopens => Self::Ended(End::Normal),
            }) {
                // Both streams are complete: a RST by the peer, which has forgotten the connection, takes nothing away.
                Self::Ended(_) => Self::Ended(End::Normal),
                other => other,
            },
            Self::Ended(end) => {
                sent.extend(TcpClosed::answer(&segment));
                Self::Ended(end)
            }
        }
    }

    /// When something is due, if ever.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        fn at<D>(poll: Poll<D>, now: Instant) -> Option<Instant> {
            match poll {
                Poll::Now(_) => Some(now),
                Poll::At(at) => Some(at),
                Poll::Never => None,
            }
        }
        match self {
            Self::Listen(_) | Self::Ended(_) => None,
            Self::SynSent(tcp) => at(tcp.poll(now), now),
            Self::SynReceived(tcp) => at(tcp.poll(now), now),
            Self::Established(tcp) => at(tcp.poll(now), now),
            Self::CloseWait(tcp) => at(tcp.poll(now), now),
            Self::FinWait1(tcp) => at(tcp.poll(now), now),
            Self::FinWait2(tcp) => at(tcp.poll(now), now),
            Self::Closing(tcp) => at(tcp.poll(now), now),
            Self::LastAck(tcp) => at(tcp.poll(now), now),
            Self::TimeWait(tcp) => at(tcp.poll(now), now),
        }
    }

    /// Does what is due now: one thing.
    pub(crate) fn work(self, now: Instant, sent: &mut Sent) -> Self {
        match self {
            Self::Listen(_) | Self::Ended(_) => self,
            Self::SynSent(tcp) => work!(tcp, SynSent, now, {
                SynSentDue::Retransmit => sent.push(tcp.retransmit(now).into()),
                SynSentDue::GiveUp => return Self::Ended(End::GaveUp),
            }),
            Self::SynReceived(tcp) => work!(tcp, SynReceived, now, {
                SynReceivedDue::Retransmit => sent.push(tcp.retransmit(now).into()),
                SynReceivedDue::GiveUp => return Self::Ended(End::GaveUp),
            }),
            Self::Established(tcp) => work!(tcp, Established, now, {
                Due::Segment => sent.push(tcp.transmit(now).into()),
                Due::GiveUp => return gave_up(tcp.abort(), sent),
            }),
            Self::CloseWait(tcp) => work!(tcp, CloseWait, now, {
                Due::Segment => sent.push(tcp.transmit(now).into()),
                Due::GiveUp => return gave_up(tcp.abort(), sent),
            }),
            Self::FinWait1(tcp) => work_closing!(tcp, FinWait1, now, sent),
            Self::Closing(tcp) => work_closing!(tcp, Closing, now, sent),
            Self::LastAck(tcp) => work_closing!(tcp, LastAck, now, sent),
            Self::FinWait2(tcp) => work!(tcp, FinWait2, now, {
                FinWait2Due::Segment => sent.push(tcp.transmit(now).into()),
                FinWait2Due::Expired => return Self::Ended(End::Expired),
            }),
            Self::TimeWait(tcp) => work!(tcp, TimeWait, now, {
                TimeWaitDue::Segment => sent.push(tcp.transmit(now).into()),
                TimeWaitDue::Expired => return Self::Ended(End::Normal),
            }),
        }
    }

    /// How much the user could receive.
    pub(crate) fn readable(&self) -> usize {
        match self {
            Self::Established(tcp) => tcp.readable(),
            Self::CloseWait(tcp) => tcp.readable(),
            _ => 0,
        }
    }

    /// RECEIVE.
    pub(crate) fn deliver(&mut self, max: usize) -> Vec<u8> {
        match self {
            Self::Established(tcp) => tcp.deliver(max),
            Self::CloseWait(tcp) => tcp.deliver(max),
            _ => Vec::new(),
        }
    }

    /// Whether the user may send.
    pub(crate) fn can_send(&self) -> bool {
        match self {
            Self::Established(tcp) => tcp.can_send(),
            Self::CloseWait(tcp) => tcp.can_send(),
            _ => false,
        }
    }

    /// SEND.
    pub(crate) fn send(&mut self, text: &[u8], now: Instant) {
        match self {
            Self::Established(tcp) => tcp.send(text, now),
            Self::CloseWait(tcp) => tcp.send(text, now),
            _ => panic!("nothing can be sent in {self:?}"),
        }
    }

    /// CLOSE, where it can be called.
    pub(crate) fn close(self, now: Instant) -> Self {
        match self {
            Self::Established(tcp) => Self::FinWait1(tcp.close(now)),
            Self::CloseWait(tcp) => Self::LastAck(tcp.close(now)),
            other => other,
        }
    }

    /// ABORT.
    pub(crate) fn abort(self, sent: &mut Sent) -> Self {
        let rst = match self {
            Self::Listen(_) | Self::SynSent(_) => return Self::Ended(End::Aborted),
            Self::Ended(end) => return Self::Ended(end),
            Self::SynReceived(tcp) => tcp.abort(),
            Self::Established(tcp) => tcp.abort(),
            Self::CloseWait(tcp) => tcp.abort(),
            Self::FinWait1(tcp) => tcp.abort(),
            Self::FinWait2(tcp) => tcp.abort(),
            Self::Closing(tcp) => tcp.abort(),
            Self::LastAck(tcp) => tcp.abort(),
            Self::TimeWait(tcp) => tcp.abort(),
        };
        sent.push(rst.into());
        Self::Ended(End::Aborted)
    }

    /// STATUS.
    pub(crate) fn status(&self) -> Option<Status> {
        Some(match self {
            Self::Listen(_) | Self::Ended(_) => return None,
            Self::SynSent(tcp) => tcp.status(),
            Self::SynReceived(tcp) => tcp.status(),
            Self::Established(tcp) => tcp.status(),
            Self::CloseWait(tcp) => tcp.status(),
            Self::FinWait1(tcp) => tcp.status(),
            Self::FinWait2(tcp) => tcp.status(),
            Self::Closing(tcp) => tcp.status(),
            Self::LastAck(tcp) => tcp.status(),
            Self::TimeWait(tcp) => tcp.status(),
        })
    }

    /// How it ended, if it has.
    pub(crate) const fn end(&self) -> Option<End> {
        match self {
            Self::Ended(end) => Some(*end),
            _ => None,
        }
    }
}

fn gave_up(rst: Rst, sent: &mut Sent) -> Machine {
    sent.push(rst.into());
    Machine::Ended(End::GaveUp)
}

fn listen(
    tcp: TcpListen,
    remote: SocketAddrV4,
    segment: Segment,
    iss: SeqNum,
    now: Instant,
    sent: &mut Sent,
) -> Machine {
    match tcp.judge(segment) {
        Reaction::Acceptable(syn) => {
            let (tcp, syn_ack) = tcp.recv_syn(remote, syn, iss, now);
            sent.push(syn_ack.into());
            Machine::SynReceived(tcp)
        }
        Reaction::NotAcceptable(segment, Answer::Rst) => {
            sent.push(tcp.refuse(&segment).into());
            Machine::Listen(tcp)
        }
        Reaction::NotAcceptable(_, Answer::Ack | Answer::Nothing) => Machine::Listen(tcp),
    }
}

fn syn_sent(tcp: Tcp<SynSent>, segment: Segment, now: Instant, sent: &mut Sent) -> Machine {
    match tcp.judge(segment, now) {
        Reaction::Acceptable(SynSentVerdict::Answered(proof)) => Machine::Established(tcp.established(proof, now)),
        Reaction::Acceptable(SynSentVerdict::Crossed(proof)) => {
            let (tcp, syn_ack) = tcp.syn_received(proof, now);
            sent.push(syn_ack.into());
            Machine::SynReceived(tcp)
        }
        Reaction::NotAcceptable(segment, Answer::Rst) => {
            sent.push(tcp.refuse(&segment).into());
            Machine::SynSent(tcp)
        }
        Reaction::NotAcceptable(_, Answer::Ack | Answer::Nothing) => Machine::SynSent(tcp),
        Reaction::Reset(_) => Machine::Ended(End::Reset),
    }
}

fn syn_received(mut tcp: Tcp<SynReceived>, segment: Segment, now: Instant, sent: &mut Sent) -> Machine {
    match tcp.judge(segment, now) {
        Reaction::Acceptable(SynReceivedVerdict::Acked(proof)) => Machine::Established(tcp.established(proof, now)),
        Reaction::Acceptable(SynReceivedVerdict::Finished(proof)) => Machine::CloseWait(tcp.close_wait(proof, now)),
        Reaction::Acceptable(SynReceivedVerdict::Restart(_)) => Machine::Listen(tcp.listen()),
        Reaction::NotAcceptable(segment, Answer::Ack) => {
            sent.push(tcp.challenge(&segment, now).into());
            Machine::SynReceived(tcp)
        }
        Reaction::NotAcceptable(segment, Answer::Rst) => {
            sent.push(tcp.refuse(&segment).into());
            Machine::SynReceived(tcp)
        }
        Reaction::NotAcceptable(_, Answer::Nothing) => Machine::SynReceived(tcp),
        Reaction::Reset(_) => match tcp.origin() {
            Origin::Passive => Machine::Listen(tcp.listen()),
            Origin::Active => Machine::Ended(End::Reset),
        },
    }
}
