//! F-RTO: whether a timeout was needed, found out by sending something new after it (RFC 5682 §3, the variant with SACK).

use super::seq::SeqNum;

/// New segments that are sent to find out (RFC 5682 §3.1, step 2b).
const NEW_SEGMENTS: u32 = 2;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// No timeout is being looked into.
    Off,
    /// Step 2: waits for an acknowledgement that advances SND.UNA.
    First,
    /// Step 3: new segments may be sent or were, and the next acknowledgement decides.
    Second {
        /// How many may still be sent.
        remaining: u32,
    },
}

/// What an acknowledgement delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// SEG.ACK.
    pub(super) seg_ack: SeqNum,
    /// Whether it advances SND.UNA.
    pub(super) advances: bool,
    /// Whether a segment arrived that was sent before the timeout and not again.
    pub(super) original: bool,
    /// Whether a segment arrived that was sent after the timeout for the first time.
    pub(super) new: bool,
    /// Whether there is something new to send, within the window.
    pub(super) can_send_new: bool,
}

/// The verdict on a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None yet, or the timeout was needed.
    Open,
    /// What was believed lost has arrived as it was sent first: the timeout was spurious.
    Spurious,
}

/// The algorithm's state.
#[derive(Debug)]
pub(super) struct Frto {
    /// How far it has come.
    step: Step,
    /// RecoveryPoint: SND.NXT at the timeout.
    recover: SeqNum,
}

impl Frto {
    /// No timeout yet.
    pub(super) fn new() -> Self {
        Self { step: Step::Off, recover: SeqNum::default() }
    }

    /// Step 1: the retransmission timer expired, and nothing was being recovered.
    pub(super) const fn timed_out(&mut self, snd_nxt: SeqNum) {
        *self = Self { step: Step::First, recover: snd_nxt };
    }

    /// Something else happens; the timeout stands.
    pub(super) const fn stop(&mut self) {
        self.step = Step::Off;
    }

    /// Whether a timeout is being looked into.
    pub(super) const fn is_on(&self) -> bool {
        !matches!(self.step, Step::Off)
    }

    /// Whether what was lost has to wait, as new segments go first or the next acknowledgement will decide.
    pub(super) const fn holds_back(&self) -> bool {
        matches!(self.step, Step::Second { .. })
    }

    /// How many new segments may go now, if that is limited.
    pub(super) const fn new_segments(&self) -> Option<u32> {
        match self.step {
            Step::Off | Step::First => None,
            Step::Second { remaining } => Some(remaining),
        }
    }

    /// A new segment is sent.
    pub(super) const fn sent_new(&mut self) {
        if let Step::Second { remaining } = &mut self.step {
            *remaining = remaining.saturating_sub(1);
        }
    }

    /// Whether a segment that ends there was sent before the timeout.
    pub(super) const fn was_before(&self, end: SeqNum) -> bool {
        end.is_at_or_before(self.recover)
    }

    /// Steps 2 and 3.
    pub(super) fn acknowledged(&mut self, delivery: &Delivery) -> Verdict {
        match self.step {
            Step::Off => {}
            // (2a): everything is acknowledged, which says nothing; (2b) without something new to send, neither.
            Step::First if delivery.advances => {
                let goes_on = delivery.seg_ack.is_before(self.recover) && delivery.can_send_new;
                self.step = if goes_on { Step::Second { remaining: NEW_SEGMENTS } } else { Step::Off };
            }
            // Duplicate ACKs are waited out.
            Step::First => {}
            // (3b).
            Step::Second { .. } if delivery.original && !delivery.new => {
                self.step = Step::Off;
                return Verdict::Spurious;
            }
            // (3a).
            Step::Second { .. } => self.step = Step::Off,
        }
        Verdict::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOVER: SeqNum = SeqNum::new(5);
    const NEXT: Delivery =
        Delivery { seg_ack: SeqNum::new(u32::MAX), advances: true, original: false, new: false, can_send_new: true };

    fn timed_out() -> Frto {
        let mut frto = Frto::new();
        frto.timed_out(RECOVER);
        frto
    }

    #[test]
    fn original_that_arrives_after_new_segments_proves_the_timeout_spurious() {
        let mut frto = timed_out();
        assert_eq!(frto.acknowledged(&Delivery { advances: false, original: true, ..NEXT }), Verdict::Open);
        assert!(!frto.holds_back());
        assert_eq!(frto.acknowledged(&NEXT), Verdict::Open);
        assert_eq!((frto.holds_back(), frto.new_segments()), (true, Some(2)));
        frto.sent_new();
        frto.sent_new();
        assert_eq!(frto.new_segments(), Some(0));
        assert_eq!(frto.acknowledged(&Delivery { original: true, ..NEXT }), Verdict::Spurious);
        assert!(!frto.holds_back());
    }

    #[test]
    fn anything_else_leaves_the_timeout_as_it_is() {
        for second in [
            Delivery { new: true, ..NEXT },
            Delivery { new: true, original: true, ..NEXT },
            Delivery { advances: false, ..NEXT },
            NEXT,
        ] {
            let mut frto = timed_out();
            assert_eq!(frto.acknowledged(&NEXT), Verdict::Open);
            assert_eq!(frto.acknowledged(&second), Verdict::Open);
            assert!(!frto.holds_back());
            assert_eq!(frto.acknowledged(&Delivery { original: true, ..NEXT }), Verdict::Open, "decided");
        }
    }

    #[test]
    fn nothing_is_tried_when_all_is_acknowledged_or_nothing_new_can_be_sent() {
        for first in [Delivery { seg_ack: RECOVER, ..NEXT }, Delivery { can_send_new: false, ..NEXT }] {
            let mut frto = timed_out();
            assert_eq!(frto.acknowledged(&first), Verdict::Open);
            assert!(!frto.holds_back());
        }
    }
}
