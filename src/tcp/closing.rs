//! CLOSING and LAST-ACK, in which both ends have closed and our FIN is not acknowledged (RFC 9293 §3.10.7.4).

use smoltcp::time::Instant;

use super::established::Transfers;
use super::listen::TcpClosed;
use super::segment::Segment;
use super::tcb::{Tcb, Work};
use super::time_wait::TimeWait;
use super::verdict::{Acceptable, AcksFin, Reaction};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::FinAck;

/// Whether CLOSE came with received text that the user had not asked for (RFC 9293 §3.6.1, SHLD-3; RFC 2525 §2.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It did not.
    Nothing,
    /// It did: that text is lost, and the peer has to know.
    Text,
}

/// CLOSING: both ends have closed at once.
#[derive(Debug)]
pub struct Closing(());

impl Closing {
    /// The peer's FIN has arrived before the acknowledgement of ours.
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl State for Closing {
    const NAME: &'static str = "CLOSING";
}

impl sealed::Hooks for Closing {}

impl Transfers for Closing {}

impl SendsFin for Closing {}

/// LAST-ACK: the peer has closed first, and then the user.
#[derive(Debug)]
pub struct LastAck {
    /// Whether CLOSE came with received text unread.
    unread: Unread,
}

impl LastAck {
    /// The user has closed.
    pub(super) const fn new(unread: Unread) -> Self {
        Self { unread }
    }
}

impl State for LastAck {
    const NAME: &'static str = "LAST-ACK";
}

impl sealed::Hooks for LastAck {}

impl Transfers for LastAck {}

impl SendsFin for LastAck {}

/// A state in which our FIN is to be sent, or not acknowledged: FIN-WAIT-1, CLOSING and LAST-ACK.
pub trait SendsFin: Transfers {}

/// What a segment can be in CLOSING and LAST-ACK.
#[derive(Debug)]
#[must_use]
pub enum ClosingVerdict {
    /// It changes no state.
    Acceptable(Acceptable),
    /// It acknowledges our FIN.
    AcksFin(AcksFin),
}

/// What is due while our FIN is to be sent or not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingDue {
    /// A segment without our FIN: text, an ACK, a retransmission or a probe.
    Segment,
    /// A segment with our FIN.
    Fin,
    /// The peer has not answered for too long.
    GiveUp,
    /// CLOSE came with received text unread: the connection is to be aborted (RFC 9293 §3.6.1, SHLD-3).
    DataLost,
}

impl<S: SendsFin> Tcp<S> {
    /// The next segment with our FIN, with or without text before it; the FIN again if none is due.
    pub fn transmit_fin(&mut self, now: Instant) -> FinAck {
        self.tcb.transmit_fin(now)
    }
}

impl Tcb {
    /// What is due while our FIN is to be sent or not acknowledged.
    pub(super) fn poll_closing(&self, unread: Unread, now: Instant) -> Poll<ClosingDue> {
        match unread {
            Unread::Text => Poll::Now(ClosingDue::DataLost),
            Unread::Nothing => self.poll(now).map(|work| match work {
                Work::Segment => ClosingDue::Segment,
                Work::Fin => ClosingDue::Fin,
                Work::GiveUp => ClosingDue::GiveUp,
            }),
        }
    }

    /// The verdict of CLOSING and LAST-ACK (RFC 9293 §3.10.7.4).
    fn judge_closing(&self, segment: Segment, now: Instant) -> Reaction<ClosingVerdict> {
        let judged = match self.check(segment, now) {
            Ok(segment) => self.trimmed(segment),
            Err(refusal) => return refusal.into(),
        };
        Reaction::Acceptable(if self.snd.acknowledges_fin(judged.segment.ack) {
            ClosingVerdict::AcksFin(AcksFin(judged))
        } else {
            ClosingVerdict::Acceptable(Acceptable(judged))
        })
    }
}

impl Tcp<Closing> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<ClosingDue> {
        self.tcb.poll_closing(Unread::Nothing, now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<ClosingVerdict> {
        self.tcb.judge_closing(segment, now)
    }

    /// To TIME-WAIT (RFC 9293 §3.10.7.4, fifth).
    pub fn time_wait(mut self, AcksFin(judged): AcksFin, now: Instant) -> Tcp<TimeWait> {
        self.tcb.absorb(judged, now);
        self.wait_2msl(now)
    }
}

impl Tcp<LastAck> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<ClosingDue> {
        self.tcb.poll_closing(self.state.unread, now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<ClosingVerdict> {
        self.tcb.judge_closing(segment, now)
    }

    /// To CLOSED (RFC 9293 §3.10.7.4, fifth).
    #[must_use]
    pub fn closed(self, AcksFin(_): AcksFin) -> TcpClosed {
        TcpClosed::new(self.tcb.config)
    }
}
