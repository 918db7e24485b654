//! Which octets are sent again, and when recovery from a loss is over, with a peer that does not acknowledge selectively (RFC 5681
//! §3.2, RFC 6582, RFC 3042).

use super::seq::SeqNum;

/// So many duplicate ACKs say that a segment was lost (RFC 5681 §3.2).
const DUPLICATE_THRESHOLD: u32 = 3;

/// Segments that limited transmit sends beyond the congestion window at most (RFC 3042 §2).
const LIMITED_TRANSMIT: u32 = 2;

/// Whether the segment at SND.UNA still has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// It has to.
    Due,
    /// It was.
    Sent,
}

/// What an acknowledgement meant for recovery, so that the congestion window can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was being recovered, or slow start after a timeout goes on.
    Normal,
    /// RFC 6582 §3.2: a partial acknowledgement, the first one or a later one.
    FirstPartial,
    /// A later one.
    LaterPartial,
    /// RFC 6582 §3.2: a full acknowledgement; fast recovery is over.
    Full,
}

/// What a duplicate ACK meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duplicate {
    /// Nothing yet.
    Counted,
    /// A segment was lost: fast retransmit.
    Lost,
    /// One more segment has left the network.
    Inflates,
}

/// The state of loss recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is missing, as far as we know; so many duplicate ACKs came in a row.
    Open {
        /// How many.
        duplicates: u32,
    },
    /// Fast recovery.
    Fast {
        /// The segment at SND.UNA.
        front: Front,
        /// Whether the next partial acknowledgement is the first.
        next_partial: Progress,
    },
    /// After a timeout, or after the window was zero: everything from `next` up to `recover` is sent again.
    Again {
        /// The next octet of it.
        next: SeqNum,
    },
}

/// Recovery of the NewReno kind.
#[derive(Debug)]
pub(super) struct Recovery {
    /// What is being done.
    phase: Phase,
    /// RFC 6582 §3.2: SND.NXT when the last loss was noticed.
    recover: SeqNum,
}

impl Recovery {
    /// Nothing lost yet.
    pub(super) const fn new(iss: SeqNum) -> Self {
        Self { phase: Phase::Open { duplicates: 0 }, recover: iss }
    }

    /// Whether nothing is being recovered.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Limited transmit (RFC 3042 §2): so many segments may be sent beyond the congestion window, one for each of the first two
    /// duplicate ACKs.
    pub(super) fn limited_transmit(&self) -> u32 {
        match self.phase {
            Phase::Open { duplicates } => duplicates.min(LIMITED_TRANSMIT),
            Phase::Fast { .. } | Phase::Again { .. } => 0,
        }
    }

    /// Where sending again goes on, and how much of that is in the network, if something has to be sent again.
    pub(super) fn again_from(&self, snd_una: SeqNum) -> Option<(SeqNum, u32)> {
        match self.phase {
            Phase::Fast { front: Front::Due, .. } => Some((snd_una, 0)),
            Phase::Again { next } if next.is_before(self.recover) => Some((next, next.distance_from(snd_una))),
            Phase::Open { .. } | Phase::Fast { .. } | Phase::Again { .. } => None,
        }
    }

    /// The octets up to `end` were sent again.
    pub(super) fn sent_again(&mut self, end: SeqNum) {
        match &mut self.phase {
            Phase::Open { .. } => {}
            Phase::Fast { front, .. } => *front = Front::Sent,
            Phase::Again { next } => *next = next.later_of(end),
        }
    }

    /// SND.UNA advanced to `seg_ack`.
    pub(super) fn acknowledged(&mut self, seg_ack: SeqNum) -> Progress {
        let full = seg_ack.is_at_or_after(self.recover);
        match &mut self.phase {
            Phase::Open { duplicates } => {
                *duplicates = 0;
                // Kept close: after 2 GiB without a loss it would seem to lie ahead.
                self.recover = self.recover.later_of(seg_ack - 1);
                Progress::Normal
            }
            Phase::Fast { front, next_partial } if !full => {
                // RFC 6582 §3.2 (3): retransmit the first unacknowledged segment.
                *front = Front::Due;
                core::mem::replace(next_partial, Progress::LaterPartial)
            }
            Phase::Fast { .. } => {
                self.phase = Phase::Open { duplicates: 0 };
                Progress::Full
            }
            Phase::Again { next } if !full => {
                *next = next.later_of(seg_ack);
                Progress::Normal
            }
            Phase::Again { .. } => {
                self.phase = Phase::Open { duplicates: 0 };
                Progress::Normal
            }
        }
    }

    /// A duplicate ACK (RFC 5681 §2) arrived.
    pub(super) fn duplicate(&mut self, snd_una: SeqNum, snd_nxt: SeqNum) -> Duplicate {
        match &mut self.phase {
            Phase::Open { duplicates } => {
                *duplicates = duplicates.saturating_add(1);
                // RFC 6582 §3.2 (2): not for losses of the flight that was already recovered.
                if *duplicates != DUPLICATE_THRESHOLD || !snd_una.is_after(self.recover) {
                    return Duplicate::Counted;
                }
                self.phase = Phase::Fast { front: Front::Due, next_partial: Progress::FirstPartial };
                self.recover = snd_nxt;
                Duplicate::Lost
            }
            Phase::Fast { .. } => Duplicate::Inflates,
            Phase::Again { .. } => Duplicate::Counted,
        }
    }

    /// Everything outstanding is to be sent again (RFC 6582 §4.1 after a timeout: `recover` is SND.NXT).
    pub(super) fn start_again(&mut self, snd_una: SeqNum, snd_nxt: SeqNum) {
        self.phase = Phase::Again { next: snd_una };
        self.recover = snd_nxt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: SeqNum = SeqNum::new(u32::MAX - 10);

    /// A recovery that has seen three duplicate ACKs with so much outstanding.
    fn fast(outstanding: u32) -> Recovery {
        let mut recovery = Recovery::new(UNA - 1);
        assert_eq!(recovery.duplicate(UNA, UNA + outstanding), Duplicate::Counted);
        assert_eq!(recovery.duplicate(UNA, UNA + outstanding), Duplicate::Counted);
        assert_eq!(recovery.duplicate(UNA, UNA + outstanding), Duplicate::Lost);
        recovery
    }

    #[test]
    fn third_duplicate_in_a_row_is_a_loss() {
        let mut recovery = Recovery::new(UNA - 1);
        recovery.duplicate(UNA, UNA + 100);
        recovery.duplicate(UNA, UNA + 100);
        assert_eq!(recovery.acknowledged(UNA + 1), Progress::Normal);
        assert_eq!(recovery.duplicate(UNA + 1, UNA + 100), Duplicate::Counted);
        assert_eq!(fast(100).again_from(UNA), Some((UNA, 0)));
    }

    #[test]
    fn first_two_duplicates_allow_a_new_segment_each() {
        let mut recovery = Recovery::new(UNA - 1);
        for allowed in 0..3 {
            assert_eq!(recovery.limited_transmit(), allowed);
            recovery.duplicate(UNA, UNA + 100);
        }
        assert_eq!(recovery.limited_transmit(), 0, "fast recovery");
    }

    #[test]
    fn front_is_sent_again_once_for_each_partial_acknowledgement() {
        let mut recovery = fast(100);
        recovery.sent_again(UNA + 10);
        assert_eq!(recovery.again_from(UNA), None);
        assert_eq!(recovery.duplicate(UNA, UNA + 100), Duplicate::Inflates);
        assert_eq!(recovery.acknowledged(UNA + 10), Progress::FirstPartial);
        assert_eq!(recovery.again_from(UNA + 10), Some((UNA + 10, 0)));
        assert_eq!(recovery.acknowledged(UNA + 99), Progress::LaterPartial);
        assert_eq!(recovery.acknowledged(UNA + 100), Progress::Full);
        assert!(recovery.is_open());
    }

    #[test]
    fn losses_of_a_recovered_flight_are_not_counted_again() {
        let mut recovery = fast(100);
        recovery.acknowledged(UNA + 100);
        for _ in 0..5 {
            assert_eq!(recovery.duplicate(UNA + 100, UNA + 200), Duplicate::Counted);
        }
        assert_eq!(recovery.acknowledged(UNA + 101), Progress::Normal);
        for _ in 0..2 {
            assert_eq!(recovery.duplicate(UNA + 101, UNA + 200), Duplicate::Counted);
        }
        assert_eq!(recovery.duplicate(UNA + 101, UNA + 200), Duplicate::Lost);
    }

    #[test]
    fn after_a_timeout_everything_outstanding_is_sent_again_in_turn() {
        let mut recovery = Recovery::new(UNA - 1);
        recovery.start_again(UNA, UNA + 30);
        recovery.sent_again(UNA + 10);
        assert_eq!(recovery.again_from(UNA), Some((UNA + 10, 10)));
        assert_eq!(recovery.duplicate(UNA, UNA + 30), Duplicate::Counted);
        assert_eq!(recovery.acknowledged(UNA + 20), Progress::Normal);
        assert_eq!(recovery.again_from(UNA + 20), Some((UNA + 20, 0)));
        recovery.sent_again(UNA + 30);
        assert_eq!(recovery.again_from(UNA + 20), None);
        assert!(!recovery.is_open());
        recovery.acknowledged(UNA + 30);
        assert!(recovery.is_open());
    }
}
