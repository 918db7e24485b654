//! TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4).

use smoltcp::time::Instant;

use super::segment::{Control, Segment};
use super::tcb::Tcb;
use super::timers::earlier;
use super::timestamps::Reopening;
use super::verdict::{Answer, Judged, Reaction, Reopens};
use super::window::Fit;
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
    /// RFC 9293 §3.10.7.4, fifth and eighth: the peer's FIN again restarts the 2 MSL time-wait timeout, unless an earlier check ends
    /// with it: it has a RST, no acceptable ACK or an old timestamp.
    fn challenged(&mut self, tcb: &Tcb, segment: &Segment, now: Instant) {
        let is_again = segment.end() == tcb.rcv.rcv_nxt() || tcb.rcv.fit(segment) == Fit::Inside;
        if segment.control.fin() && is_again && tcb.may_be_the_peers(segment, now) {
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
        if self.reopens(&segment) {
            return Reaction::Acceptable(Reopens(Judged::whole(segment)));
        }
        match self.tcb.check(segment, now) {
            // Fifth: the only thing that can arrive is a retransmission of the peer's FIN; acknowledge it.
            Ok(segment) if segment.control.fin() => Reaction::NotAcceptable(segment, Answer::Ack),
            Ok(segment) => Reaction::NotAcceptable(segment, Answer::Nothing),
            Err(refusal) => refusal.into(),
        }
    }

    /// Whether a segment opens a new connection between the same sockets (RFC 9293 §3.6.1, MAY-2 and SHLD-4; RFC 6191 §2).
    ///
    /// Deviation: RFC 9293 §3.6.1 (MAY-2) leads back here if the SYN was an old duplicate after all. We forget this connection for it, and
    /// the peer's RST leads to LISTEN. A peer could notice that the pair of sockets is free earlier.
    fn reopens(&self, segment: &Segment) -> bool {
        let kind = segment.control.without(Control::PSH | Control::URG | Control::ECE | Control::CWR);
        if kind != Control::SYN {
            return false;
        }
        match self.tcb.stamps.reopening(segment) {
            Reopening::Allowed => true,
            // A SYN past all that the peer has sent.
            Reopening::BySequence => segment.seq.is_after(self.tcb.rcv.rcv_nxt()),
            Reopening::Denied => false,
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
    pub fn transmit(&mut self, now: Instant) -> Ack {
        self.tcb.ack(now)
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::Config;
    use super::super::testing::{BASES, ENDS, Judge, Kind, NOW, segment, text};
    use super::*;

    const FIN: Control = Control::ACK.with(Control::FIN);
    const TWO_MSL: Duration = Duration::from_secs(60);

    #[test]
    fn must_13_it_lasts_2_msl() {
        let tcp = ENDS.time_wait(Config::default());
        assert_eq!(tcp.poll(NOW), Poll::At(NOW + TWO_MSL));
        assert_eq!(tcp.poll(NOW + TWO_MSL), Poll::Now(TimeWaitDue::Expired));
    }

    #[test]
    fn fin_that_led_here_is_acknowledged_at_once() {
        let tcp = ENDS.fin_wait_2(Config::default());
        let fin = segment(ENDS.irs + 1, ENDS.iss + 2, FIN);
        let Reaction::Acceptable(super::super::FinWait2Verdict::Finishes(proof)) = tcp.judge(fin, NOW) else {
            panic!("the FIN is in order");
        };
        let mut tcp = tcp.time_wait(proof, NOW);
        assert_eq!(tcp.poll(NOW), Poll::Now(TimeWaitDue::Segment));
        let ack = Segment::from(tcp.transmit(NOW));
        assert_eq!((ack.seq, ack.ack), (ENDS.iss + 2, ENDS.irs + 2));
    }

    #[test]
    fn fin_again_is_acknowledged_and_restarts_2_msl() {
        for ends in BASES {
            let mut tcp = ends.time_wait(Config::default());
            let later = NOW + Duration::from_secs(10);
            let fin = segment(ends.irs + 1, ends.iss + 2, FIN);
            assert_eq!(tcp.kind(fin.clone()), Kind::Ack);
            assert_eq!(tcp.challenge(&fin, later).segment().ack, ends.irs + 2);
            assert_eq!(tcp.poll(later), Poll::At(later + TWO_MSL));
            // With its text it is the same FIN; before it and past the window there is none that we know.
            let with_text = Segment { control: FIN, ..text(ends.irs - 1, ends.iss + 2, b"ab") };
            let _ack = tcp.challenge(&with_text, later + TWO_MSL / 2);
            assert_eq!(tcp.poll(later), Poll::At(later + TWO_MSL / 2 + TWO_MSL));
            for seq in [ends.irs, ends.irs + 2 + tcp.status().rcv_wnd] {
                let _ack = tcp.challenge(&segment(seq, ends.iss + 2, FIN), later + TWO_MSL);
                assert_eq!(tcp.poll(later), Poll::At(later + TWO_MSL / 2 + TWO_MSL));
            }
        }
    }

    #[test]
    fn old_text_is_acknowledged_without_a_restart() {
        let mut tcp = ENDS.time_wait(Config::default());
        let old = text(ENDS.irs - 9, ENDS.iss + 2, b"old");
        assert_eq!(tcp.kind(old.clone()), Kind::Ack);
        let _ack = tcp.challenge(&old, NOW + Duration::from_secs(10));
        assert_eq!(tcp.poll(NOW), Poll::At(NOW + TWO_MSL));
    }

    #[test]
    fn may_2_syn_reopens_only_past_all_that_was_received() {
        for ends in BASES {
            let tcp = ends.time_wait(Config::default());
            let rcv_nxt = ends.irs + 2;
            let syn = |seq, control| tcp.kind(segment(seq, ends.iss + 2, control));
            assert_eq!(syn(rcv_nxt - 1, Control::SYN), Kind::Ack);
            assert_eq!(syn(rcv_nxt, Control::SYN), Kind::Ack);
            assert_eq!(syn(rcv_nxt + 1, Control::SYN), Kind::Acceptable);
            assert_eq!(syn(rcv_nxt + 1, Control::SYN | Control::ECE | Control::CWR), Kind::Acceptable);
            assert_eq!(syn(rcv_nxt + 0x7fff_ffff, Control::SYN), Kind::Acceptable);
            assert_eq!(syn(rcv_nxt - 0x7fff_ffff, Control::SYN), Kind::Ack);
            assert_eq!(syn(rcv_nxt + 1, Control::SYN | Control::FIN), Kind::Ack);
            assert_eq!(syn(rcv_nxt + 1, Control::SYN | Control::ACK), Kind::Ack);
        }
    }
}
