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
pub struct Closing {
    /// Whether CLOSE came with received text unread.
    unread: Unread,
}

impl Closing {
    /// The peer's FIN has arrived before the acknowledgement of ours; what CLOSE lost before is still lost.
    pub(super) const fn new(unread: Unread) -> Self {
        Self { unread }
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
        self.tcb.poll_closing(self.state.unread, now)
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

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::segment::Control;
    use super::super::testing::{BASES, ENDS, NOW, segment, text};
    use super::super::{Answer, Config, TimeWaitDue};
    use super::*;

    #[test]
    fn only_an_acknowledgement_of_the_fin_leaves_closing_and_last_ack() {
        for ends in BASES {
            let (closing, last_ack) = (ends.closing(Config::default()), ends.last_ack(Config::default()));
            let ack = |number| segment(ends.irs + 2, ends.iss + number, Control::ACK);
            for judge in [&|it| closing.judge(it, NOW), &|it| last_ack.judge(it, NOW)]
                as [&dyn Fn(Segment) -> Reaction<ClosingVerdict>; 2]
            {
                assert!(matches!(judge(ack(1)), Reaction::Acceptable(ClosingVerdict::Acceptable(_))));
                assert!(matches!(judge(ack(2)), Reaction::Acceptable(ClosingVerdict::AcksFin(_))));
                assert!(matches!(judge(ack(3)), Reaction::NotAcceptable(_, Answer::Ack)));
                // The peer's FIN again is old by now, whatever it acknowledges.
                let fin = Segment {
                    control: Control::ACK | Control::FIN,
                    ..segment(ends.irs + 1, ends.iss + 2, Control::NONE)
                };
                assert!(matches!(judge(fin), Reaction::NotAcceptable(_, Answer::Ack)));
            }
        }
    }

    #[test]
    fn closing_leads_to_time_wait_and_last_ack_to_closed() {
        let acks_fin = || segment(ENDS.irs + 2, ENDS.iss + 2, Control::ACK);
        let closing = ENDS.closing(Config::default());
        let Reaction::Acceptable(ClosingVerdict::AcksFin(proof)) = closing.judge(acks_fin(), NOW) else {
            panic!("our FIN is acknowledged");
        };
        let tcp = closing.time_wait(proof, NOW);
        assert_eq!(tcp.poll(NOW + Duration::from_secs(60)), Poll::Now(TimeWaitDue::Expired));

        let last_ack = ENDS.last_ack(Config::default());
        let Reaction::Acceptable(ClosingVerdict::AcksFin(proof)) = last_ack.judge(acks_fin(), NOW) else {
            panic!("our FIN is acknowledged");
        };
        assert_eq!(last_ack.closed(proof).to_string(), "CLOSED");
    }

    #[test]
    fn fin_is_retransmitted_in_both_states() {
        let at = NOW + Duration::from_secs(1);
        let (mut closing, mut last_ack) = (ENDS.closing(Config::default()), ENDS.last_ack(Config::default()));
        assert_eq!((closing.poll(at), last_ack.poll(at)), (Poll::Now(ClosingDue::Fin), Poll::Now(ClosingDue::Fin)));
        for fin in [closing.transmit_fin(at), last_ack.transmit_fin(at)] {
            assert_eq!((fin.segment().seq, fin.segment().ack), (ENDS.iss + 1, ENDS.irs + 2));
        }
    }

    #[test]
    fn text_that_was_queued_before_close_is_retransmitted_with_the_fin() {
        let mut tcp = ENDS.close_wait(Config::default());
        tcp.send(b"last words", NOW);
        let mut tcp = tcp.close(NOW);
        assert_eq!(tcp.transmit_fin(NOW).segment().payload, b"last words");
        assert_eq!(tcp.poll(NOW + Duration::from_secs(1)), Poll::Now(ClosingDue::Fin));
        assert_eq!(tcp.transmit_fin(NOW + Duration::from_secs(1)).segment().payload, b"last words");
    }

    #[test]
    fn fin_without_being_due_is_the_fin_again() {
        let mut tcp = ENDS.last_ack(Config::default());
        for _ in 0..3 {
            assert_eq!(tcp.transmit_fin(NOW).segment().seq, ENDS.iss + 1);
        }
        assert_eq!(tcp.transmit(NOW).segment().seq, ENDS.iss + 2);
    }

    #[test]
    fn peer_that_vanishes_is_given_up() {
        let tcp = ENDS.last_ack(Config::default());
        assert_eq!(tcp.poll(NOW + Duration::from_secs(300)), Poll::Now(ClosingDue::GiveUp));
    }

    #[test]
    fn text_after_the_fin_is_ignored() {
        let mut tcp = ENDS.closing(Config::default());
        let Reaction::Acceptable(ClosingVerdict::Acceptable(proof)) =
            tcp.judge(text(ENDS.irs + 2, ENDS.iss + 1, b"more"), NOW)
        else {
            panic!("it changes no state");
        };
        tcp.accept(proof, NOW);
        assert_eq!(tcp.status().rcv_nxt, ENDS.irs + 2);
    }
}
