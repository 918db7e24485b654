//! Pacing: on a long path new segments are spread over the round trip instead of going out as fast as acknowledgements come.
//!
//! It helps where a window is large beside the queues on the path: slow start doubles the window in bursts at twice the rate of the
//! bottleneck, and one acknowledgement of much, after a gap was filled or from a peer that gathers segments, releases as much at once.
//! Unpaced, that overflows a short queue long before the path is full. It does not help on a short path, where a thread cannot be woken
//! as finely as a window would have to be divided, nor with a few segments, which would only come later. So nothing is paced below
//! `SHORTEST_PATH`, nor the first `initial window` of a flight, nor what is sent again.
//!
//! Nobody sleeps for it: what may not go yet is not due, and `poll` says when it will be.

use smoltcp::time::{Duration, Instant};

use super::config::Pacing;

/// How much is sent in a row, as time: a thread is not woken more finely.
const QUANTUM: Duration = Duration::from_millis(1);

/// Round trips below ten quanta are not divided.
const SHORTEST_PATH: Duration = Duration::from_millis(10);

/// How what the windows let go leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Spread over the round trip.
    Paced,
    /// At once.
    AtOnce,
}

impl Release {
    /// How it does on a path of this round trip; of one that was never measured there is nothing to divide.
    pub(super) fn of(pacing: Pacing, srtt: Option<Duration>) -> Self {
        match (pacing, srtt) {
            (Pacing::On, Some(srtt)) if srtt >= SHORTEST_PATH => Self::Paced,
            (Pacing::On | Pacing::Off, _) => Self::AtOnce,
        }
    }
}

/// How fast segments may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// CWND.
    pub(super) cwnd: u32,
    /// SRTT.
    pub(super) srtt: Duration,
    /// How many hundredths of a window go in a round trip.
    pub(super) percent: u32,
}

/// When the next segment may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    /// When the next segment would go if each went at its own time.
    next_at: Option<Instant>,
    /// Until then nothing goes, a quantum having been sent ahead of its time.
    closed_until: Option<Instant>,
}

impl Pacer {
    /// Nothing sent.
    pub(super) const fn new() -> Self {
        Self { next_at: None, closed_until: None }
    }

    /// Until when nothing may go.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|at| *at > now)
    }

    /// Something is sent that is not spread, and neither is what follows.
    pub(super) const fn sent_at_once(&mut self) {
        *self = Self::new();
    }

    /// So many octets are sent.
    pub(super) fn sent(&mut self, octets: u32, rate: Rate, now: Instant) {
        let interval = rate.time_for(octets);
        // Time that passed unused is made up for, but no more than a quantum of it.
        let next_at = self.next_at.map_or(now, |at| at.max(now - QUANTUM)) + interval;
        self.next_at = Some(next_at);
        self.closed_until = Some(next_at).filter(|at| *at > now + QUANTUM);
    }
}

impl Rate {
    /// How long so many octets take.
    fn time_for(self, octets: u32) -> Duration {
        let micros = u128::from(octets) * u128::from(self.srtt.total_micros()) * 100;
        let micros = micros / (u128::from(self.cwnd.max(1)) * u128::from(self.percent.max(1)));
        // Never longer than a round trip, however small the window.
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(self.srtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 100 segments in 100 ms, twice as fast: a segment in half a millisecond.
    const RATE: Rate = Rate { cwnd: 100_000, srtt: Duration::from_millis(100), percent: 200 };

    fn at(micros: i64) -> Instant {
        Instant::from_micros(1_000_000 + micros)
    }

    #[test]
    fn segments_go_a_quantum_ahead_of_their_time_and_then_wait_for_it() {
        let mut pacer = Pacer::new();
        for _ in 0..2 {
            pacer.sent(1000, RATE, at(0));
            assert_eq!(pacer.closed_until(at(0)), None);
        }
        pacer.sent(1000, RATE, at(0));
        assert_eq!(pacer.closed_until(at(0)), Some(at(1500)));
        assert_eq!(pacer.closed_until(at(1499)), Some(at(1500)));
        assert_eq!(pacer.closed_until(at(1500)), None);
        pacer.sent(1000, RATE, at(1500));
        pacer.sent(1000, RATE, at(1500));
        assert_eq!(pacer.closed_until(at(1500)), None);
        pacer.sent(1000, RATE, at(1500));
        assert_eq!(pacer.closed_until(at(1500)), Some(at(3000)));
    }

    #[test]
    fn a_window_takes_the_part_of_a_round_trip_that_it_should() {
        let (mut pacer, mut now) = (Pacer::new(), at(0));
        for _ in 0..1000 {
            now = pacer.closed_until(now).unwrap_or(now);
            pacer.sent(1000, RATE, now);
        }
        // Ten windows: five round trips, but for the last quantum.
        let took = (now - at(0)).total_millis();
        assert!((498..=500).contains(&took), "{took}");
    }

    #[test]
    fn a_thread_that_wakes_late_makes_up_for_a_quantum_only() {
        let mut pacer = Pacer::new();
        pacer.sent(1000, RATE, at(0));
        // Long after its time: two segments for the quantum that passed, then those of the next.
        let mut sent = 0;
        while pacer.closed_until(at(50_000)).is_none() {
            pacer.sent(1000, RATE, at(50_000));
            sent += 1;
        }
        assert_eq!(sent, 5);
    }

    #[test]
    fn only_long_paths_are_paced_and_only_once_they_are_known() {
        let of = |pacing, micros| Release::of(pacing, Some(Duration::from_micros(micros)));
        assert_eq!(of(Pacing::On, 9999), Release::AtOnce);
        assert_eq!(of(Pacing::On, 10_000), Release::Paced);
        assert_eq!(of(Pacing::Off, 10_000), Release::AtOnce);
        assert_eq!(Release::of(Pacing::On, None), Release::AtOnce);
    }

    #[test]
    fn what_is_sent_at_once_ends_the_wait() {
        let mut pacer = Pacer::new();
        for _ in 0..3 {
            pacer.sent(1000, RATE, at(0));
        }
        assert!(pacer.closed_until(at(0)).is_some());
        pacer.sent_at_once();
        assert_eq!(pacer.closed_until(at(0)), None);
    }

    #[test]
    fn nothing_overflows_and_no_wait_is_longer_than_a_round_trip() {
        let longest = Rate { cwnd: 0, srtt: Duration::from_secs(60), percent: 0 };
        let mut pacer = Pacer::new();
        pacer.sent(u32::MAX, longest, at(0));
        assert_eq!(pacer.closed_until(at(0)), Some(at(60_000_000)));
        assert_eq!(Rate { srtt: Duration::MAX, ..longest }.time_for(u32::MAX), Duration::MAX);
    }
}
