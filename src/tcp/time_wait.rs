//! TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4).

use smoltcp::time::Instant;

use super::segment::{Control, Segment};
use super::tcb::Tcb;
use super::timers::earlier;
use super::verdict::{Answer, Judged, Reaction, Reopens};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::Ack;

/// TIME-WAIT: the peer may not have got our last ACK, and old duplicates may still be on their way.
#[derive(Debug)]
pub struct TimeWait {
    /// When 2MSL are over.
    expires_at: Instant,
}

impl State for TimeWait {
    const NAME: &'static str = "TIME-WAIT";
}

impl sealed::Hooks for TimeWait {
    /// RFC 9293 §3.10.7.4, eighth: the peer's FIN again restarts the 2 MSL time-wait timeout.
    fn challenged(&mut self, tcb: &Tcb, segment: &Segment, now: Instant) {
        if segment.control.fin() && segment.end() == tcb.rcv.rcv_nxt() {
            self.expires_at = now + tcb.config.two_msl;
        }
    }
}

/// What is due in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWaitDue {
    /// The ACK of the FIN that led here.
    Segment,
    /// 2MSL are over: to CLOSED.
    Expired,
}

impl<S: State> Tcp<S> {
    /// To TIME-WAIT: the timer starts, the others are off, and nobody needs the buffers.
    pub(super) fn wait_2msl(mut self, now: Instant) -> Tcp<TimeWait> {
        self.tcb.rcv.release();
        let expires_at = now + self.tcb.config.two_msl;
        self.into_state(TimeWait { expires_at })
    }
}

impl Tcp<TimeWait> {
    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<Reopens> {
        // RFC 9293 §3.6.1 (MAY-2): a SYN past all that the peer has sent. Here goes the finer test by timestamps (RFC 6191).
        let kind = segment.control.without(Control::PSH | Control::URG | Control::ECE | Control::CWR);
        if kind == Control::SYN && segment.seq.is_after(self.tcb.rcv.rcv_nxt()) {
            return Reaction::Acceptable(Reopens(Judged::whole(segment)));
        }
        match self.tcb.check(segment, now) {
            // The only thing that can arrive is the peer's FIN, which is old by now: what is new means nothing.
            Ok(segment) => Reaction::NotAcceptable(segment, Answer::Nothing),
            Err(refusal) => refusal.into(),
        }
    }

    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<TimeWaitDue> {
        if self.tcb.rcv.ack_is_due(now) {
            return Poll::Now(TimeWaitDue::Segment);
        }
        if self.state.expires_at <= now {
            return Poll::Now(TimeWaitDue::Expired);
        }
        earlier(Some(self.state.expires_at), self.tcb.rcv.ack_deadline()).map_or(Poll::Never, Poll::At)
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>.
    pub fn transmit(&mut self, _now: Instant) -> Ack {
        self.tcb.ack()
    }
}
