//! SYN-RECEIVED (RFC 9293 §3.10.7.4).

use smoltcp::time::Instant;

use super::established::{CloseWait, Established};
use super::listen::TcpListen;
use super::segment::{Control, Options, Segment};
use super::tcb::{HandshakeWork, Tcb, refusal_of};
use super::verdict::{AcksSyn, AcksSynAndFinishes, Answer, Judged, Reaction, Refusal, Restarts};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::{Rst, SynAck};

/// Where a connection in SYN-RECEIVED came from (RFC 9293 §3.5, MUST-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From LISTEN.
    Passive,
    /// From SYN-SENT.
    Active,
}

/// Whether the peer seems not to have got our SYN,ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// No sign of it.
    No,
    /// It sent its SYN again.
    Yes,
}

/// SYN-RECEIVED: our SYN,ACK was sent.
#[derive(Debug)]
pub struct SynReceived {
    /// Where it came from.
    origin: Origin,
    /// The options of our SYN,ACK.
    options: Options,
    /// Whether the SYN,ACK is due without the timer.
    missed: Missed,
}

impl SynReceived {
    /// A SYN,ACK with these options is about to be sent.
    pub(super) const fn new(origin: Origin, options: Options) -> Self {
        Self { origin, options, missed: Missed::No }
    }
}

impl State for SynReceived {
    const NAME: &'static str = "SYN-RECEIVED";
}

impl sealed::Hooks for SynReceived {
    /// RFC 9293 §3.10.7.4, first, wants an ACK for the peer's SYN when it comes again, but SYN-SENT drops that ACK; so the SYN,ACK
    /// follows it, without waiting for the timer.
    fn challenged(&mut self, tcb: &Tcb, segment: &Segment, _now: Instant) {
        let control = segment.control;
        if control.syn() && !control.ack() && !control.rst() && segment.seq == tcb.rcv.irs() {
            self.missed = Missed::Yes;
        }
    }
}

/// What a segment can be in SYN-RECEIVED.
#[derive(Debug)]
#[must_use]
pub enum SynReceivedVerdict {
    /// It acknowledges our SYN.
    Acked(AcksSyn),
    /// It also completes the peer's stream.
    Finished(AcksSynAndFinishes),
    /// A SYN in the window, after a passive OPEN: back to LISTEN.
    Restart(Restarts),
}

/// What is due in SYN-RECEIVED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynReceivedDue {
    /// Our SYN,ACK again.
    Retransmit,
    /// The peer has not answered for too long (RFC 9293 §3.8.3, MUST-23).
    GiveUp,
}

impl Tcp<SynReceived> {
    /// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.
    pub(super) fn syn_ack(&mut self) -> SynAck {
        let (ack, wnd) = self.tcb.rcv.acknowledge_syn();
        let options = self.state.options.clone();
        let control = Control::SYN | Control::ACK;
        SynAck::mark(Segment { seq: self.tcb.snd.iss(), ack, control, wnd, options, ..self.tcb.blank() })
    }

    /// Where it came from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.state.origin
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<SynReceivedVerdict> {
        match self.check(segment, now) {
            Ok(verdict) => Reaction::Acceptable(verdict),
            Err(refusal) => refusal.into(),
        }
    }

    /// The checks of SYN-RECEIVED, in the order of RFC 9293 §3.10.7.4.
    fn check(&self, segment: Segment, now: Instant) -> Result<SynReceivedVerdict, Refusal> {
        let segment = self.tcb.check_sequence_and_rst(segment, now)?;
        if segment.control.syn() {
            // Fourth: passive, return to LISTEN; else as in the synchronized states.
            return match self.state.origin {
                Origin::Passive => Ok(SynReceivedVerdict::Restart(Restarts(Judged::whole(segment)))),
                Origin::Active => Err(self.tcb.owes_ack(segment, now)),
            };
        }
        if !segment.control.ack() {
            return Err(Refusal::NotAcceptable(segment, Answer::Nothing));
        }
        if !self.tcb.snd.is_new_ack(segment.ack) {
            // Fifth: the acknowledgment is not acceptable: form a reset segment.
            return Err(Refusal::NotAcceptable(segment, Answer::Rst));
        }
        let judged = self.tcb.trimmed(segment);
        Ok(if self.tcb.rcv.would_finish(&judged.segment) {
            SynReceivedVerdict::Finished(AcksSynAndFinishes(judged))
        } else {
            SynReceivedVerdict::Acked(AcksSyn(judged))
        })
    }

    /// The RST for an acknowledgement that is not acceptable (RFC 9293 §3.10.7.4, fifth).
    pub fn refuse(&self, segment: &Segment) -> Rst {
        refusal_of(segment)
    }

    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<SynReceivedDue> {
        match (self.tcb.poll_handshake(now), self.state.missed) {
            (Poll::Now(HandshakeWork::GiveUp), Missed::Yes | Missed::No) => Poll::Now(SynReceivedDue::GiveUp),
            (_, Missed::Yes) => Poll::Now(SynReceivedDue::Retransmit),
            (poll, Missed::No) => poll.map(|_| SynReceivedDue::Retransmit),
        }
    }

    /// Our SYN,ACK again.
    pub fn retransmit(&mut self, now: Instant) -> SynAck {
        self.state.missed = Missed::No;
        self.tcb.snd.syn_sent_again(now);
        self.syn_ack()
    }

    /// To ESTABLISHED (RFC 9293 §3.10.7.4, fifth).
    pub fn established(mut self, AcksSyn(judged): AcksSyn, now: Instant) -> Tcp<Established> {
        self.synchronize(judged, now);
        self.into_state(Established::new())
    }

    /// To CLOSE-WAIT (RFC 9293 §3.10.7.4, fifth and eighth).
    pub fn close_wait(mut self, AcksSynAndFinishes(judged): AcksSynAndFinishes, now: Instant) -> Tcp<CloseWait> {
        self.synchronize(judged, now);
        self.into_state(CloseWait::new())
    }

    /// Our SYN is acknowledged: takes the window, what came with the SYN, and what comes with this segment.
    fn synchronize(&mut self, Judged { segment, trim }: Judged, now: Instant) {
        self.tcb.snd.establish(&segment, now);
        self.tcb.rcv.release_early_text();
        self.tcb.rcv.take(segment, trim, now);
    }

    /// Back to LISTEN (RFC 9293 §3.10.7.4, second and fourth), for a connection that came from there.
    #[must_use]
    pub fn listen(self) -> TcpListen {
        TcpListen::again(self.tcb.local, self.tcb.config)
    }
}
