//! How large the receive buffer has to be: as large as what the peer could send in a round trip, and no larger (dynamic right-sizing;
//! Fisk and Feng, 2001).
//!
//! A window smaller than rate times round trip limits the peer. Text that the user has received in a round trip shows how much the peer
//! could send, and that the user keeps up; only that makes the buffer grow. So an idle connection, a slow one and one on a short path
//! stay small, and a user that does not read cannot be made to hold more.

use smoltcp::time::{Duration, Instant};

use super::seq::SeqNum;
use super::timers::elapsed;

/// Where a measurement began.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// When.
    since: Instant,
    /// The number of the first octet that the user had not received by then.
    from: SeqNum,
}

/// Measures how fast the user receives.
#[derive(Debug)]
pub(super) struct Sizing {
    /// RCV.BUFF will not be larger, in octets.
    limit: usize,
    /// The current measurement.
    round: Option<Round>,
}

impl Sizing {
    /// A buffer that may grow up to this size.
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, round: None }
    }

    /// What a buffer of `buff_bytes` octets should grow to, `delivered` being the number of the first octet not yet received.
    pub(super) fn wanted(
        &mut self,
        delivered: SeqNum,
        buff_bytes: usize,
        rtt: Duration,
        now: Instant,
    ) -> Option<usize> {
        if buff_bytes >= self.limit {
            return None;
        }
        let round = self.round.get_or_insert(Round { since: now, from: delivered });
        let took = elapsed(now, round.since);
        if took < rtt || took.total_micros() == 0 {
            return None;
        }
        let octets = u128::from(delivered.distance_from(round.from));
        *round = Round { since: now, from: delivered };
        // What a round trip brings at that rate.
        let in_a_round = octets * u128::from(rtt.total_micros()) / u128::from(took.total_micros());
        let in_a_round = usize::try_from(in_a_round).unwrap_or(self.limit);
        // In slow start the next round trip brings twice as much, and the one after, which is under way before we hear of it, four
        // times.
        (in_a_round > buff_bytes / 2).then(|| in_a_round.saturating_mul(4).min(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);
    const START: SeqNum = SeqNum::new(u32::MAX - 1000);

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    /// What a buffer of 10,000 octets should grow to after so many octets in so many milliseconds.
    fn after(octets: u32, millis: i64) -> Option<usize> {
        let mut sizing = Sizing::new(1_000_000);
        assert_eq!(sizing.wanted(START, 10_000, RTT, at(0)), None);
        sizing.wanted(START + octets, 10_000, RTT, at(millis))
    }

    #[test]
    fn half_a_buffer_in_a_round_trip_is_no_reason_to_grow_and_one_octet_more_is() {
        assert_eq!(after(5000, 100), None);
        assert_eq!(after(5001, 100), Some(20_004));
    }

    #[test]
    fn nothing_is_decided_before_a_round_trip_is_over() {
        assert_eq!(after(9000, 99), None);
        assert_eq!(after(9000, 100), Some(36_000));
    }

    #[test]
    fn slow_text_is_counted_by_its_rate() {
        assert_eq!(after(50_000, 1000), None);
        assert_eq!(after(50_010, 1000), Some(20_004));
    }

    #[test]
    fn each_round_is_counted_on_its_own() {
        let mut sizing = Sizing::new(1_000_000);
        for round in 0..10 {
            let delivered = START + 4000 * round;
            assert_eq!(sizing.wanted(delivered, 10_000, RTT, at(i64::from(round) * 100)), None);
        }
    }

    #[test]
    fn limit_is_kept() {
        let mut sizing = Sizing::new(15_000);
        sizing.wanted(START, 10_000, RTT, at(0));
        assert_eq!(sizing.wanted(START + 9000, 10_000, RTT, at(100)), Some(15_000));
        assert_eq!(sizing.wanted(START + 30_000, 15_000, RTT, at(200)), None);
        let mut fixed = Sizing::new(10_000);
        fixed.wanted(START, 10_000, RTT, at(0));
        assert_eq!(fixed.wanted(START + 9000, 10_000, RTT, at(100)), None);
    }

    #[test]
    fn nothing_overflows() {
        let mut sizing = Sizing::new(usize::MAX);
        sizing.wanted(START, 1, Duration::from_micros(0), at(0));
        assert_eq!(sizing.wanted(START - 1, 1, Duration::from_micros(0), at(0)), None);
        let longest = Duration::from_micros(u64::MAX);
        assert_eq!(sizing.wanted(START - 1, 1, longest, Instant::from_micros(i64::MAX)), None);
        assert!(sizing.wanted(START - 1, 1, Duration::from_micros(1), Instant::from_micros(i64::MAX)).is_none());
    }
}
