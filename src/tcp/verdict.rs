//! Verdicts: what an arriving segment is, decided once (RFC 9293 §3.10.7.4, first to fifth; RFC 5961).

use smoltcp::time::Instant;

use super::receive::Trim;
use super::segment::Segment;
use super::tcb::Tcb;
use super::window::Fit;

/// The outcome of an arriving segment.
#[derive(Debug)]
#[must_use]
pub enum Reaction<A, R = Resets> {
    /// It means something in this state: the proof of what it is goes to the method named for it.
    Acceptable(A),
    /// It changes nothing; an answer may be owed.
    NotAcceptable(Segment, Answer),
    /// It resets the connection.
    Reset(R),
}

/// The answer owed for a segment that is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An ACK: `challenge` makes it.
    Ack,
    /// A RST: `refuse` makes it.
    Rst,
    /// None.
    Nothing,
}

/// A segment that passed all checks, cut to the window.
#[derive(Debug)]
pub(super) struct Judged {
    /// What is left of it.
    pub(super) segment: Segment,
    /// Whether that is all of it.
    pub(super) trim: Trim,
}

/// Defines proofs: each can only be made by a `judge`, and is the argument of the transition it proves the event of.
macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use]
        pub struct $name(pub(super) Judged);

        impl $name {
            /// The segment, as far as it lies in the window.
            #[must_use]
            pub const fn segment(&self) -> &Segment {
                &self.0.segment
            }
        }
    )*};
}

proofs! {
    /// In the window and with an acceptable acknowledgement; it changes no state.
    Acceptable;
    /// It acknowledges our SYN.
    AcksSyn;
    /// It acknowledges our SYN, and the peer's stream is complete up to and with its FIN.
    AcksSynAndFinishes;
    /// After it the peer's stream is complete up to and with its FIN.
    Finishes;
    /// It acknowledges our FIN.
    AcksFin;
    /// It acknowledges our FIN, and after it the peer's stream is complete up to and with its FIN.
    AcksFinAndFinishes;
    /// It brings text that nobody is going to read: the user has closed (RFC 9293 §3.6.1, SHLD-3).
    AfterClose;
    /// A SYN in the window of SYN-RECEIVED after a passive OPEN (RFC 9293 §3.10.7.4, fourth).
    Restarts;
    /// A SYN that may open a new connection out of TIME-WAIT (RFC 9293 §3.6.1, MAY-2).
    Reopens;
    /// The peer's SYN, and it acknowledges ours.
    AnswersSyn;
    /// The peer's SYN, which crossed ours (RFC 9293 §3.5, MUST-10).
    CrossesSyn;
    /// A RST that has to be obeyed (RFC 5961 §3).
    Resets;
}

impl From<Reopens> for Segment {
    fn from(reopens: Reopens) -> Self {
        reopens.0.segment
    }
}

impl Judged {
    /// A segment that is not cut.
    pub(super) const fn whole(segment: Segment) -> Self {
        Self { segment, trim: Trim::Whole }
    }
}

/// Why a segment did not pass the checks.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not acceptable.
    NotAcceptable(Segment, Answer),
    /// It resets the connection.
    Reset(Resets),
}

impl<A> From<Refusal> for Reaction<A> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAcceptable(segment, answer) => Self::NotAcceptable(segment, answer),
            Refusal::Reset(resets) => Self::Reset(resets),
        }
    }
}

impl Tcb {
    /// The checks that every state from SYN-RECEIVED on makes first: sequence number and RST (RFC 9293 §3.10.7.4).
    ///
    /// # Errors
    ///
    /// The segment did not pass.
    pub(super) fn check_sequence_and_rst(&self, segment: Segment, now: Instant) -> Result<Segment, Refusal> {
        let fit = self.rcv.fit(&segment);
        if segment.control.rst() {
            return Err(self.judge_rst(segment, fit, now));
        }
        match fit {
            Fit::Inside | Fit::AtZeroWindow => Ok(segment),
            // First: an acknowledgment should be sent in reply.
            Fit::Outside => Err(self.owes_ack(segment, now)),
        }
    }

    /// RFC 9293 §3.10.7.4, second, and RFC 5961 §3.2.
    fn judge_rst(&self, segment: Segment, fit: Fit, now: Instant) -> Refusal {
        let rcv_nxt = self.rcv.rcv_nxt();
        if segment.seq == rcv_nxt && fit != Fit::Outside {
            // 2) exactly RCV.NXT. The RST may carry text (RFC 9293 §3.5.3, SHLD-2).
            Refusal::Reset(Resets(Judged::whole(segment)))
        } else if segment.seq.is_in_window(rcv_nxt, self.rcv.rcv_wnd()) {
            // 3) elsewhere in the window: a challenge ACK.
            self.owes_ack(segment, now)
        } else {
            // 1) outside of the window: silence.
            Refusal::NotAcceptable(segment, Answer::Nothing)
        }
    }

    /// The checks of the synchronized states: the above, SYN and ACK.
    ///
    /// # Errors
    ///
    /// The segment did not pass.
    pub(super) fn check(&self, segment: Segment, now: Instant) -> Result<Segment, Refusal> {
        let segment = self.check_sequence_and_rst(segment, now)?;
        // Here goes PAWS (RFC 7323 §5), before the sequence number.
        if segment.control.syn() {
            // Fourth, and RFC 5961 §4.2: a challenge ACK, irrespective of the sequence number.
            return Err(self.owes_ack(segment, now));
        }
        if !segment.control.ack() {
            // Fifth: if the ACK bit is off, drop the segment.
            return Err(Refusal::NotAcceptable(segment, Answer::Nothing));
        }
        if !self.snd.is_ack_acceptable(segment.ack) {
            // RFC 5961 §5.2 (MAY-12), which covers SEG.ACK > SND.NXT.
            return Err(self.owes_ack(segment, now));
        }
        Ok(segment)
    }

    /// Cuts a segment that passed to the window.
    pub(super) fn trimmed(&self, mut segment: Segment) -> Judged {
        let trim = self.rcv.trim(&mut segment);
        Judged { segment, trim }
    }

    /// An ACK is owed for the segment, unless too many were already sent.
    pub(super) fn owes_ack(&self, segment: Segment, now: Instant) -> Refusal {
        let answer = if !is_throttled(&segment) || self.throttle.allows(now) { Answer::Ack } else { Answer::Nothing };
        Refusal::NotAcceptable(segment, answer)
    }

    /// The ACK owed for the segment is sent.
    pub(super) fn count_challenge(&mut self, segment: &Segment, now: Instant) {
        if is_throttled(segment) {
            self.throttle.count(now);
        }
    }
}

/// Whether the ACK for such a segment counts: one with text or FIN is retransmitted until it is acknowledged, and two ends that
/// answer each other's ACKs send none, so that the answer can neither be withheld nor start a storm.
fn is_throttled(segment: &Segment) -> bool {
    segment.control.syn() || segment.control.rst() || segment.seg_len() == 0
}
