//! FIN-WAIT-1 and FIN-WAIT-2, in which the user has closed and the peer has not (RFC 9293 §3.10.7.4).

use smoltcp::time::Instant;

use super::closing::{Closing, ClosingDue, SendsFin, Unread};
use super::established::Transfers;
use super::segment::Segment;
use super::tcb::Work;
use super::time_wait::TimeWait;
use super::verdict::{Acceptable, AcksFin, AcksFinAndFinishes, AfterClose, Finishes, Judged, Reaction};
use super::{Poll, State, Tcp, sealed};

/// FIN-WAIT-1: our FIN is to be sent, or was sent and not acknowledged.
#[derive(Debug)]
pub struct FinWait1 {
    /// Whether CLOSE came with received text unread.
    unread: Unread,
}

impl FinWait1 {
    /// The user has closed.
    pub(super) const fn new(unread: Unread) -> Self {
        Self { unread }
    }
}

impl State for FinWait1 {
    const NAME: &'static str = "FIN-WAIT-1";
}

impl sealed::Hooks for FinWait1 {}

impl Transfers for FinWait1 {}

impl SendsFin for FinWait1 {}

/// FIN-WAIT-2: our FIN was acknowledged.
#[derive(Debug)]
pub struct FinWait2 {
    /// How long the peer's FIN is waited for.
    expires_at: Instant,
}

impl State for FinWait2 {
    const NAME: &'static str = "FIN-WAIT-2";
}

impl sealed::Hooks for FinWait2 {}

impl Transfers for FinWait2 {}

/// What a segment can be in FIN-WAIT-1.
#[derive(Debug)]
#[must_use]
pub enum FinWait1Verdict {
    /// It changes no state.
    Acceptable(Acceptable),
    /// It acknowledges our FIN.
    AcksFin(AcksFin),
    /// It completes the peer's stream.
    Finishes(Finishes),
    /// It does both.
    AcksFinAndFinishes(AcksFinAndFinishes),
    /// It brings text, which nobody will read.
    AfterClose(AfterClose),
}

/// What a segment can be in FIN-WAIT-2.
#[derive(Debug)]
#[must_use]
pub enum FinWait2Verdict {
    /// It changes no state.
    Acceptable(Acceptable),
    /// It completes the peer's stream.
    Finishes(Finishes),
    /// It brings text, which nobody will read.
    AfterClose(AfterClose),
}

/// What is due in FIN-WAIT-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinWait2Due {
    /// An ACK.
    Segment,
    /// The peer's FIN did not come in time.
    Expired,
}

impl Tcp<FinWait1> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<ClosingDue> {
        self.tcb.poll_closing(self.state.unread, now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<FinWait1Verdict> {
        let segment = match self.tcb.check(segment, now) {
            Ok(segment) => segment,
            Err(refusal) => return refusal.into(),
        };
        if self.tcb.rcv.brings_text(&segment) {
            // RFC 9293 §3.6.1 (SHLD-3).
            return Reaction::Acceptable(FinWait1Verdict::AfterClose(AfterClose(Judged::whole(segment))));
        }
        let judged = self.tcb.trimmed(segment);
        let acks_fin = self.tcb.snd.acknowledges_fin(judged.segment.ack);
        let finishes = self.tcb.rcv.would_finish(&judged.segment);
        Reaction::Acceptable(match (acks_fin, finishes) {
            (false, false) => FinWait1Verdict::Acceptable(Acceptable(judged)),
            (true, false) => FinWait1Verdict::AcksFin(AcksFin(judged)),
            (false, true) => FinWait1Verdict::Finishes(Finishes(judged)),
            (true, true) => FinWait1Verdict::AcksFinAndFinishes(AcksFinAndFinishes(judged)),
        })
    }

    /// To FIN-WAIT-2 (RFC 9293 §3.10.7.4, fifth).
    pub fn fin_wait_2(mut self, AcksFin(judged): AcksFin, now: Instant) -> Tcp<FinWait2> {
        self.tcb.absorb(judged, now);
        let expires_at = now + self.tcb.config.fin_wait_2_limit;
        self.into_state(FinWait2 { expires_at })
    }

    /// To CLOSING (RFC 9293 §3.10.7.4, eighth): simultaneous close.
    pub fn closing(mut self, Finishes(judged): Finishes, now: Instant) -> Tcp<Closing> {
        self.tcb.absorb(judged, now);
        self.into_state(Closing::new())
    }

    /// To TIME-WAIT (RFC 9293 §3.10.7.4, eighth).
    pub fn time_wait(mut self, AcksFinAndFinishes(judged): AcksFinAndFinishes, now: Instant) -> Tcp<TimeWait> {
        self.tcb.absorb(judged, now);
        self.wait_2msl(now)
    }
}

impl Tcp<FinWait2> {
    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<FinWait2Verdict> {
        let segment = match self.tcb.check(segment, now) {
            Ok(segment) => segment,
            Err(refusal) => return refusal.into(),
        };
        if self.tcb.rcv.brings_text(&segment) {
            // RFC 9293 §3.6.1 (SHLD-3).
            return Reaction::Acceptable(FinWait2Verdict::AfterClose(AfterClose(Judged::whole(segment))));
        }
        let judged = self.tcb.trimmed(segment);
        Reaction::Acceptable(if self.tcb.rcv.would_finish(&judged.segment) {
            FinWait2Verdict::Finishes(Finishes(judged))
        } else {
            FinWait2Verdict::Acceptable(Acceptable(judged))
        })
    }

    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<FinWait2Due> {
        if self.state.expires_at <= now {
            return Poll::Now(FinWait2Due::Expired);
        }
        // All that we sent is acknowledged, so there is nothing to send but ACKs.
        self.tcb
            .poll(now)
            .map(|work| match work {
                Work::Segment | Work::Fin | Work::GiveUp => FinWait2Due::Segment,
            })
            .at_the_latest(self.state.expires_at)
    }

    /// To TIME-WAIT (RFC 9293 §3.10.7.4, eighth).
    pub fn time_wait(mut self, Finishes(judged): Finishes, now: Instant) -> Tcp<TimeWait> {
        self.tcb.absorb(judged, now);
        self.wait_2msl(now)
    }
}
