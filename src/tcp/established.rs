//! ESTABLISHED and CLOSE-WAIT, in which the user sends and receives (RFC 9293 §3.10.2, §3.10.3, §3.10.4, §3.10.7.4).

use smoltcp::time::Instant;

use super::closing::{LastAck, Unread};
use super::fin_wait::FinWait1;
use super::segment::Segment;
use super::tcb::{Tcb, Work};
use super::verdict::{Acceptable, Finishes, Reaction};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::Ack;

/// ESTABLISHED: both directions are open.
#[derive(Debug)]
pub struct Established(());

impl Established {
    /// The handshake is complete.
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl State for Established {
    const NAME: &'static str = "ESTABLISHED";
}

impl sealed::Hooks for Established {}

/// CLOSE-WAIT: the peer has closed.
#[derive(Debug)]
pub struct CloseWait(());

impl CloseWait {
    /// The peer's stream is complete.
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl State for CloseWait {
    const NAME: &'static str = "CLOSE-WAIT";
}

impl sealed::Hooks for CloseWait {}

/// A state in which acceptable segments arrive and segments are sent: all from ESTABLISHED to LAST-ACK.
pub trait Transfers: State {}

impl Transfers for Established {}
impl Transfers for CloseWait {}

/// A state in which the user has not closed.
pub trait Open: Transfers {}

impl Open for Established {}
impl Open for CloseWait {}

/// What a segment can be in ESTABLISHED.
#[derive(Debug)]
#[must_use]
pub enum EstablishedVerdict {
    /// It changes no state.
    Acceptable(Acceptable),
    /// It completes the peer's stream.
    Finishes(Finishes),
}

/// What is due while the user has not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A segment: text, an ACK, a retransmission or a probe.
    Segment,
    /// The peer has not answered for too long: the user timeout (RFC 9293 §3.10.8).
    GiveUp,
}

impl<S: Transfers> Tcp<S> {
    /// Takes acknowledgement, window and text of a segment.
    pub fn accept(&mut self, Acceptable(judged): Acceptable, now: Instant) {
        self.tcb.absorb(judged, now);
    }

    /// The next segment: text, a retransmission, a probe, an ACK or a window update; an ACK if nothing is due.
    pub fn transmit(&mut self, now: Instant) -> Ack {
        self.tcb.transmit(now)
    }
}

impl<S: Open> Tcp<S> {
    /// SEND (RFC 9293 §3.10.2): takes all of `text`, however full the buffer is.
    pub fn send(&mut self, text: &[u8], now: Instant) {
        self.tcb.snd.send(text, now);
    }

    /// Whether the send buffer has room.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.tcb.snd.has_room()
    }

    /// How many octets RECEIVE would get.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.tcb.rcv.readable()
    }

    /// RECEIVE (RFC 9293 §3.10.3): at most `max` octets, none if there are none.
    pub fn deliver(&mut self, max: usize) -> Vec<u8> {
        self.tcb.rcv.deliver(max)
    }

    /// The block after CLOSE, and whether received text is lost by it.
    fn closed_by_user(&mut self, now: Instant) -> Unread {
        let unread = if self.readable() == 0 { Unread::Nothing } else { Unread::Text };
        self.tcb.snd.close(now);
        unread
    }
}

impl Tcb {
    /// What is due while the user has not closed.
    fn poll_open(&self, now: Instant) -> Poll<Due> {
        self.poll(now).map(|work| match work {
            // Without CLOSE there is no FIN.
            Work::Segment | Work::Fin => Due::Segment,
            Work::GiveUp => Due::GiveUp,
        })
    }
}

impl Tcp<Established> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<Due> {
        self.tcb.poll_open(now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<EstablishedVerdict> {
        let judged = match self.tcb.check(segment, now) {
            Ok(segment) => self.tcb.trimmed(segment),
            Err(refusal) => return refusal.into(),
        };
        Reaction::Acceptable(if self.tcb.rcv.would_finish(&judged.segment) {
            EstablishedVerdict::Finishes(Finishes(judged))
        } else {
            EstablishedVerdict::Acceptable(Acceptable(judged))
        })
    }

    /// To CLOSE-WAIT (RFC 9293 §3.10.7.4, eighth).
    pub fn finish(mut self, Finishes(judged): Finishes, now: Instant) -> Tcp<CloseWait> {
        self.tcb.absorb(judged, now);
        self.into_state(CloseWait(()))
    }

    /// CLOSE: to FIN-WAIT-1 (RFC 9293 §3.10.4).
    pub fn close(mut self, now: Instant) -> Tcp<FinWait1> {
        let unread = self.closed_by_user(now);
        self.into_state(FinWait1::new(unread))
    }
}

impl Tcp<CloseWait> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<Due> {
        self.tcb.poll_open(now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<Acceptable> {
        match self.tcb.check(segment, now) {
            Ok(segment) => Reaction::Acceptable(Acceptable(self.tcb.trimmed(segment))),
            Err(refusal) => refusal.into(),
        }
    }

    /// Whether the user has received everything that the peer ever sent.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.readable() == 0
    }

    /// CLOSE: to LAST-ACK (RFC 9293 §3.10.4).
    pub fn close(mut self, now: Instant) -> Tcp<LastAck> {
        let unread = self.closed_by_user(now);
        self.into_state(LastAck::new(unread))
    }
}
