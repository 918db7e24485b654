//! When what has arrived is acknowledged (RFC 9293 §3.8.6.3, RFC 5681 §4.2).

use smoltcp::time::{Duration, Instant};

/// Whether an ACK is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// None.
    Nothing,
    /// For one segment of text; it may wait until then.
    Later(Instant),
    /// At once.
    Now,
}

/// The ACK owed.
#[derive(Debug)]
pub(super) struct DelayedAck {
    owed: Owed,
    /// How long it may wait.
    delay: Duration,
}

impl DelayedAck {
    /// None is owed; a later one may wait for so long, less than half a second (RFC 9293 MUST-40).
    pub(super) const fn new(delay: Duration) -> Self {
        Self { owed: Owed::Nothing, delay }
    }

    /// Text has arrived in order: its ACK waits for company (SHLD-18), and there is one for every second segment (SHLD-19), of
    /// whatever size, since those of a peer may be shorter than we would make them.
    pub(super) fn text_in_order(&mut self, now: Instant) {
        self.owed = match self.owed {
            Owed::Nothing => Owed::Later(now + self.delay),
            Owed::Later(_) | Owed::Now => Owed::Now,
        };
    }

    /// Something has arrived of which the peer is to know at once: text out of order or that fills a gap (RFC 5681 §4.2), a FIN, what
    /// had to be trimmed, or room that it waits for.
    pub(super) fn at_once(&mut self) {
        self.owed = Owed::Now;
    }

    /// A segment with an ACK is being sent.
    pub(super) fn paid(&mut self) {
        self.owed = Owed::Nothing;
    }

    /// Whether it is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.owed {
            Owed::Nothing => false,
            Owed::Later(at) => at <= now,
            Owed::Now => true,
        }
    }

    /// When it becomes due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.owed {
            Owed::Later(at) => Some(at),
            Owed::Nothing | Owed::Now => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros_const(7);
    const DELAY: Duration = Duration::from_millis(40);

    #[test]
    fn shld_18_an_ack_waits_for_its_time_and_not_longer() {
        let mut ack = DelayedAck::new(DELAY);
        assert!(!ack.is_due(NOW) && ack.deadline().is_none());
        ack.text_in_order(NOW);
        assert_eq!(ack.deadline(), Some(NOW + DELAY));
        assert!(!ack.is_due(NOW + (DELAY - Duration::from_micros(1))));
        assert!(ack.is_due(NOW + DELAY));
        ack.paid();
        assert!(!ack.is_due(NOW + DELAY) && ack.deadline().is_none());
    }

    #[test]
    fn shld_19_a_second_segment_ends_the_wait() {
        let mut ack = DelayedAck::new(DELAY);
        for _ in 0..3 {
            ack.text_in_order(NOW);
            assert!(!ack.is_due(NOW));
            ack.text_in_order(NOW);
            assert!(ack.is_due(NOW));
            ack.paid();
        }
    }

    #[test]
    fn what_is_due_at_once_does_not_become_due_later() {
        let mut ack = DelayedAck::new(DELAY);
        ack.at_once();
        ack.text_in_order(NOW);
        assert!(ack.is_due(NOW) && ack.deadline().is_none());
    }
}
