//! The rules of TCP as a typestate machine without sockets, threads, clock or random source.
//!
//! Every state of RFC 9293 is a type, every transition a method that consumes the old state. A segment is judged once: `judge` looks
//! at it without changing anything, and its verdict is both the branch to be taken and the argument of the method that takes it. What
//! the machine has to do by itself it says in `poll`: what is due now, or when the next thing will be.
//!
//! One mechanism a file: `send` and `receive` are the two directions, `tcb` holds them together, `verdict` has the checks in the
//! order of RFC 9293 §3.10.7.4, and the files named after states have what is particular to these.

use core::fmt;
use core::net::SocketAddrV4;

use smoltcp::time::{Duration, Instant};

mod advice;
mod black_hole;
mod carriage;
mod closing;
mod config;
mod congestion;
pub mod cookie;
mod cubic;
mod delayed_ack;
mod ecn;
mod eifel;
mod established;
mod fin_wait;
mod frto;
mod hystart;
mod icmp;
pub mod isn;
mod keep_alive;
mod listen;
mod pacing;
mod path_mtu;
mod prr;
mod rack;
mod reassembly;
mod receive;
mod recovery;
mod report;
mod rtt;
pub mod sack;
mod scoreboard;
pub mod segment;
mod selective;
mod send;
mod send_order;
mod send_queue;
mod send_window;
pub mod seq;
mod silly_window;
mod sizing;
#[cfg(test)]
mod solo;
mod syn_received;
mod syn_sent;
mod tcb;
#[cfg(test)]
mod testing;
mod throttle;
mod time_wait;
mod timers;
mod timestamps;
mod tlp;
mod urgent;
mod user_timeout;
mod verdict;
mod window;

pub use advice::{Advice, ErrorReports};
pub use carriage::{Carriage, DiffServ, Ecn, Fragmentation, Path, Ttl};
pub use closing::{Closing, ClosingDue, ClosingVerdict, LastAck, SendsFin, Unread};
pub use config::{Config, CongestionControl, Nagle, Pacing, Sack, Setting, Timestamps};
pub use ecn::EcnUse;
pub use established::{CloseWait, Due, Established, EstablishedVerdict, Open, Transfers};
pub use fin_wait::{FinWait1, FinWait1Verdict, FinWait2, FinWait2Due, FinWait2Verdict};
pub use icmp::{HardError, IcmpError, IcmpKind};
pub use keep_alive::KeepAlive;
pub use listen::{Crowded, ListenVerdict, LocalAddr, ReturnsCookie, TcpClosed, TcpListen};
pub use segment::Segment;
pub use syn_received::{Origin, SynReceived, SynReceivedDue, SynReceivedVerdict};
pub use syn_sent::{SynSent, SynSentDue, SynSentVerdict};
pub use time_wait::{TimeWait, TimeWaitDue};
pub use user_timeout::UserTimeout;
pub use verdict::{
    Acceptable, AcksFin, AcksFinAndFinishes, AcksSyn, AcksSynAndFinishes, AfterClose, Answer, AnswersSyn, CrossesSyn,
    Finishes, Reaction, Reopens, Resets, Restarts,
};

use crate::smol_channel::{Ack, Rst};
use seq::SeqNum;
use tcb::Tcb;

/// What keeps `State` to the states of this module.
mod sealed {
    use smoltcp::time::Instant;

    use super::segment::Segment;
    use super::tcb::Tcb;

    /// What a state does besides its transitions.
    pub trait Hooks {
        /// The ACK owed for a segment is being sent.
        fn challenged(&mut self, _tcb: &Tcb, _segment: &Segment, _now: Instant) {}
    }
}

/// A state of a connection with a control block.
pub trait State: sealed::Hooks + fmt::Debug + 'static {
    /// Its name in RFC 9293.
    const NAME: &'static str;
}

/// A connection in the state `S`.
#[derive(Debug)]
#[must_use]
pub struct Tcp<S> {
    /// What all states have.
    tcb: Box<Tcb>,
    /// What this one has besides.
    state: S,
}

/// What a machine wants to do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Poll<D> {
    /// This, now.
    Now(D),
    /// Something, then.
    At(Instant),
    /// Nothing, unless something arrives or the user calls.
    Never,
}

impl<D> Poll<D> {
    /// The same with what is due put another way.
    pub(crate) fn map<E>(self, f: impl FnOnce(D) -> E) -> Poll<E> {
        match self {
            Self::Now(due) => Poll::Now(f(due)),
            Self::At(at) => Poll::At(at),
            Self::Never => Poll::Never,
        }
    }

    /// Whichever of the two is first; what this one has due goes before what `other` has.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now(due), _) | (Self::At(_) | Self::Never, Self::Now(due)) => Self::Now(due),
            (Self::At(one), Self::At(two)) => Self::At(one.min(two)),
            (Self::At(at), Self::Never) | (Self::Never, Self::At(at)) => Self::At(at),
            (Self::Never, Self::Never) => Self::Never,
        }
    }

    /// The same, but with a deadline of its own.
    fn at_the_latest(self, deadline: Instant) -> Self {
        match self {
            Self::Now(due) => Self::Now(due),
            Self::At(at) => Self::At(at.min(deadline)),
            Self::Never => Self::At(deadline),
        }
    }
}

/// The variables of a connection, to be shown (RFC 9293 §3.10.6, STATUS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state's name in RFC 9293.
    pub state: &'static str,
    /// SND.UNA.
    pub snd_una: SeqNum,
    /// SND.NXT.
    pub snd_nxt: SeqNum,
    /// SND.WND, scaled.
    pub snd_wnd: u32,
    /// RCV.NXT.
    pub rcv_nxt: SeqNum,
    /// RCV.WND, as announced.
    pub rcv_wnd: u32,
    /// Eff.snd.MSS.
    pub mss: u32,
    /// CWND.
    pub cwnd: u32,
    /// SSTHRESH.
    pub ssthresh: u32,
    /// RTO.
    pub rto: Duration,
    /// Octets of the send buffer: unacknowledged or not yet sent.
    pub snd_buffered_bytes: usize,
    /// Octets of the receive buffer that the user has not received.
    pub rcv_buffered_bytes: usize,
}

impl<S: State> Tcp<S> {
    /// The state's name in RFC 9293.
    pub const NAME: &'static str = S::NAME;

    /// A connection with this block, in this state.
    fn new(tcb: Tcb, state: S) -> Self {
        Self { tcb: Box::new(tcb), state }
    }

    /// The same connection in another state.
    fn into_state<T: State>(self, state: T) -> Tcp<T> {
        Tcp { tcb: self.tcb, state }
    }

    /// Our socket.
    #[must_use]
    pub fn local(&self) -> SocketAddrV4 {
        self.tcb.local
    }

    /// The peer's socket.
    #[must_use]
    pub fn remote(&self) -> SocketAddrV4 {
        self.tcb.remote
    }

    /// RCV.WND as the peer was told.
    pub(crate) fn rcv_wnd(&self) -> u32 {
        self.tcb.rcv.rcv_wnd()
    }

    /// The ACK owed for a segment that is not acceptable (`Answer::Ack`); it counts against the throttle of RFC 5961 §7.
    pub fn challenge(&mut self, segment: &Segment, now: Instant) -> Ack {
        self.tcb.count_challenge(segment, now);
        self.tcb.take_repeated_stamp(segment, now);
        self.state.challenged(&self.tcb, segment, now);
        self.tcb.rcv.note_old_text(segment);
        self.tcb.challenge_ack(now)
    }

    /// ABORT (RFC 9293 §3.10.5): <SEQ=SND.NXT><CTL=RST>.
    pub fn abort(self) -> Rst {
        self.tcb.rst()
    }

    /// STATUS (RFC 9293 §3.10.6).
    #[must_use]
    pub fn status(&self) -> Status {
        let Tcb { snd, rcv, .. } = &*self.tcb;
        Status {
            state: S::NAME,
            snd_una: snd.snd_una(),
            snd_nxt: snd.snd_nxt(),
            snd_wnd: snd.snd_wnd(),
            rcv_nxt: rcv.rcv_nxt(),
            rcv_wnd: rcv.rcv_wnd(),
            mss: snd.mss(),
            cwnd: snd.congestion().cwnd(),
            ssthresh: snd.congestion().ssthresh(),
            rto: snd.rto(),
            snd_buffered_bytes: snd.buffered(),
            rcv_buffered_bytes: rcv.readable(),
        }
    }
}

impl<S: State> fmt::Display for Tcp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::NAME)
    }
}
