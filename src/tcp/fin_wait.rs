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
        let unread = self.state.unread;
        self.into_state(Closing::new(unread))
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

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::segment::Control;
    use super::super::testing::{BASES, ENDS, NOW, segment, text};
    use super::super::{Config, Reaction};
    use super::*;

    const FIN: Control = Control::ACK.with(Control::FIN);

    #[test]
    fn only_an_acknowledgement_of_the_fin_leaves_fin_wait_1() {
        for ends in BASES {
            let tcp = ends.fin_wait_1(Config::default());
            let judge = |ack, control| tcp.judge(segment(ends.irs + 1, ends.iss + ack, control), NOW);
            assert!(matches!(judge(1, Control::ACK), Reaction::Acceptable(FinWait1Verdict::Acceptable(_))));
            assert!(matches!(judge(2, Control::ACK), Reaction::Acceptable(FinWait1Verdict::AcksFin(_))));
            assert!(matches!(judge(3, Control::ACK), Reaction::NotAcceptable(_, super::super::Answer::Ack)));
            assert!(matches!(judge(1, FIN), Reaction::Acceptable(FinWait1Verdict::Finishes(_))));
            assert!(matches!(judge(2, FIN), Reaction::Acceptable(FinWait1Verdict::AcksFinAndFinishes(_))));
        }
    }

    #[test]
    fn fin_waits_for_the_text_before_it_and_travels_with_the_last_of_it() {
        let mut tcp = ENDS.established(Config::default());
        tcp.send(&[7; 2000], NOW);
        let mut tcp = tcp.close(NOW);
        assert_eq!(tcp.poll(NOW), Poll::Now(ClosingDue::Segment));
        assert_eq!(tcp.transmit(NOW).segment().payload.len(), 1460);
        assert_eq!(tcp.poll(NOW), Poll::Now(ClosingDue::Fin));
        let fin = Segment::from(tcp.transmit_fin(NOW));
        assert_eq!((fin.seq, fin.payload.len(), fin.control), (ENDS.iss + 1461, 540, FIN | Control::PSH));
        // The text and the FIN are acknowledged apart.
        let ack = |number| segment(ENDS.irs + 1, ENDS.iss + number, Control::ACK);
        let Reaction::Acceptable(FinWait1Verdict::Acceptable(proof)) = tcp.judge(ack(2001), NOW) else {
            panic!("the FIN is not acknowledged yet");
        };
        tcp.accept(proof, NOW);
        assert!(matches!(tcp.judge(ack(2002), NOW), Reaction::Acceptable(FinWait1Verdict::AcksFin(_))));
    }

    #[test]
    fn fin_that_was_not_sent_is_not_acknowledged() {
        let tcp = ENDS.established(Config::default()).close(NOW);
        let ack = segment(ENDS.irs + 1, ENDS.iss + 2, Control::ACK);
        assert!(matches!(tcp.judge(ack, NOW), Reaction::NotAcceptable(_, super::super::Answer::Ack)));
    }

    #[test]
    fn fin_is_retransmitted_with_backoff() {
        let mut tcp = ENDS.fin_wait_1(Config::default());
        let mut now = NOW;
        for seconds in [1, 2, 4, 8] {
            now += Duration::from_secs(seconds);
            assert_eq!(tcp.poll(now - Duration::from_micros(1)), Poll::At(now));
            assert_eq!(tcp.poll(now), Poll::Now(ClosingDue::Fin));
            let fin = Segment::from(tcp.transmit_fin(now));
            assert_eq!((fin.seq, fin.control, fin.seg_len()), (ENDS.iss + 1, FIN, 1));
        }
    }

    #[test]
    fn shld_3_text_after_close_is_told_apart_in_both_states() {
        for ends in BASES {
            let (one, two) = (ends.fin_wait_1(Config::default()), ends.fin_wait_2(Config::default()));
            // In order, with a FIN, out of order, and partly old.
            for (offset, control) in [(1, Control::ACK), (1, FIN), (9, Control::ACK), (0, Control::ACK)] {
                let segment = Segment { control, ..text(ends.irs + offset, ends.iss + 2, b"late") };
                let verdict = one.judge(segment.clone(), NOW);
                assert!(matches!(verdict, Reaction::Acceptable(FinWait1Verdict::AfterClose(_))));
                let verdict = two.judge(segment, NOW);
                assert!(matches!(verdict, Reaction::Acceptable(FinWait2Verdict::AfterClose(_))));
            }
            // All of it old, or without a valid acknowledgement.
            let old = text(ends.irs - 3, ends.iss + 2, b"late");
            assert!(matches!(two.judge(old, NOW), Reaction::NotAcceptable(_, super::super::Answer::Ack)));
            let wrong = text(ends.irs + 1, ends.iss + 3, b"late");
            assert!(matches!(two.judge(wrong, NOW), Reaction::NotAcceptable(_, super::super::Answer::Ack)));
        }
    }

    #[test]
    fn fin_after_missing_text_does_not_finish() {
        let tcp = ENDS.fin_wait_2(Config::default());
        let fin = segment(ENDS.irs + 9, ENDS.iss + 2, FIN);
        assert!(matches!(tcp.judge(fin, NOW), Reaction::Acceptable(FinWait2Verdict::Acceptable(_))));
    }

    #[test]
    fn fin_wait_2_has_a_limit() {
        let tcp = ENDS.fin_wait_2(Config::default());
        let end = NOW + Duration::from_secs(60);
        assert_eq!(tcp.poll(NOW), Poll::At(end));
        assert_eq!(tcp.poll(end), Poll::Now(FinWait2Due::Expired));
    }
}
