//! HyStart++: slow start ends before it loses anything, when round trips become longer (RFC 9406).

use smoltcp::time::Duration;

use super::seq::SeqNum;

/// MIN_RTT_THRESH (RFC 9406 §4.3).
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// MAX_RTT_THRESH.
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// MIN_RTT_DIVISOR.
const MIN_RTT_DIVISOR: u32 = 8;
/// N_RTT_SAMPLE.
const N_RTT_SAMPLE: u32 = 8;
/// CSS_GROWTH_DIVISOR.
pub(super) const CSS_GROWTH_DIVISOR: u32 = 4;
/// CSS_ROUNDS.
const CSS_ROUNDS: u32 = 5;

/// Where slow start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The window doubles.
    Standard,
    /// Conservative slow start: it grows a quarter as fast, while it shows whether the queue has really begun to fill.
    Conservative {
        /// cssBaselineMinRtt.
        baseline: Duration,
        /// Rounds left before slow start is over.
        rounds: u32,
    },
}

/// What the window is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Go on.
    Continue,
    /// Slow start is over: SSTHRESH <- CWND.
    Stop,
}

/// The first slow start of a connection; later ones have an SSTHRESH to go by (RFC 9406 §4.2).
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    /// windowEnd: when this is acknowledged, the round is over.
    window_end: Option<SeqNum>,
    /// lastRoundMinRTT.
    last_round: Option<Duration>,
    /// currentRoundMinRTT.
    this_round: Option<Duration>,
    /// rttSampleCount.
    samples: u32,
    /// Slow start or CSS.
    phase: Phase,
}

impl HyStart {
    /// Nothing measured.
    pub(super) const fn new() -> Self {
        Self { window_end: None, last_round: None, this_round: None, samples: 0, phase: Phase::Standard }
    }

    /// By what the growth of the window is to be divided.
    pub(super) const fn divisor(&self) -> u32 {
        match self.phase {
            Phase::Standard => 1,
            Phase::Conservative { .. } => CSS_GROWTH_DIVISOR,
        }
    }

    /// An acknowledgement up to `seg_ack` in slow start, which measured this round trip (RFC 9406 §4.2).
    pub(super) fn measured(&mut self, rtt: Duration, seg_ack: SeqNum, snd_nxt: SeqNum) -> Course {
        let window_end = *self.window_end.get_or_insert(snd_nxt);
        self.this_round = Some(self.this_round.map_or(rtt, |least| least.min(rtt)));
        self.samples = self.samples.saturating_add(1);
        self.look();
        if seg_ack.is_before(window_end) {
            return Course::Continue;
        }
        self.window_end = Some(snd_nxt);
        self.last_round = self.this_round.take();
        self.samples = 0;
        match &mut self.phase {
            Phase::Standard => Course::Continue,
            Phase::Conservative { rounds, .. } => {
                *rounds = rounds.saturating_sub(1);
                if *rounds == 0 { Course::Stop } else { Course::Continue }
            }
        }
    }

    /// Changes between slow start and CSS.
    fn look(&mut self) {
        let (Some(this_round), true) = (self.this_round, self.samples >= N_RTT_SAMPLE) else {
            return;
        };
        match (self.phase, self.last_round) {
            (Phase::Standard, Some(last_round)) => {
                let threshold = (last_round / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if this_round >= last_round + threshold {
                    self.phase = Phase::Conservative { baseline: this_round, rounds: CSS_ROUNDS };
                }
            }
            // It was no queue.
            (Phase::Conservative { baseline, .. }, _) if this_round < baseline => self.phase = Phase::Standard,
            (Phase::Standard, None) | (Phase::Conservative { .. }, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SeqNum = SeqNum::new(u32::MAX - 3000);

    /// Rounds of 1000 octets, of so many acknowledgements each.
    struct Rounds {
        hystart: HyStart,
        seg_ack: SeqNum,
    }

    impl Rounds {
        fn new() -> Self {
            Self { hystart: HyStart::new(), seg_ack: START }
        }

        /// A round with these many measurements of so many milliseconds; the last of them ends it.
        fn round(&mut self, samples: u32, millis: u64) -> Course {
            let end = self.seg_ack + 1000;
            let mut advice = Course::Continue;
            for sample in 1..=samples {
                let seg_ack = if sample == samples { end } else { self.seg_ack + sample };
                let snd_nxt = if sample == samples { end + 1000 } else { end };
                advice = self.hystart.measured(Duration::from_millis(millis), seg_ack, snd_nxt);
            }
            self.seg_ack = end;
            advice
        }
    }

    #[test]
    fn round_trips_that_stay_let_the_window_double_for_ever() {
        let mut rounds = Rounds::new();
        for _ in 0..100 {
            assert_eq!(rounds.round(8, 100), Course::Continue);
            assert_eq!(rounds.hystart.divisor(), 1);
        }
    }

    #[test]
    fn an_eighth_longer_is_a_queue_and_a_little_less_is_none() {
        // 100 / 8 = 12.5.
        for (millis, divisor) in [(112, 1), (113, CSS_GROWTH_DIVISOR)] {
            let mut rounds = Rounds::new();
            rounds.round(8, 100);
            rounds.round(8, millis);
            assert_eq!(rounds.hystart.divisor(), divisor, "{millis}");
        }
        // At least 4 ms, at most 16 ms.
        for (first, millis, divisor) in [(8, 11, 1), (8, 12, 4), (400, 415, 1), (400, 416, 4)] {
            let mut rounds = Rounds::new();
            rounds.round(8, first);
            rounds.round(8, millis);
            assert_eq!(rounds.hystart.divisor(), divisor, "{first} {millis}");
        }
    }

    #[test]
    fn seven_measurements_are_not_enough() {
        let mut rounds = Rounds::new();
        rounds.round(8, 100);
        rounds.round(7, 200);
        assert_eq!(rounds.hystart.divisor(), 1);
        rounds.round(8, 400);
        assert_eq!(rounds.hystart.divisor(), CSS_GROWTH_DIVISOR);
    }

    #[test]
    fn one_short_round_trip_in_a_round_is_enough_to_go_on() {
        let mut rounds = Rounds::new();
        rounds.round(8, 100);
        rounds.hystart.measured(Duration::from_millis(100), rounds.seg_ack, rounds.seg_ack + 1000);
        rounds.round(8, 200);
        assert_eq!(rounds.hystart.divisor(), 1);
    }

    #[test]
    fn slow_start_is_over_after_five_conservative_rounds() {
        let mut rounds = Rounds::new();
        rounds.round(8, 100);
        // The round in which it begins is the first of them.
        for _ in 0..4 {
            assert_eq!(rounds.round(8, 150), Course::Continue);
            assert_eq!(rounds.hystart.divisor(), CSS_GROWTH_DIVISOR);
        }
        assert_eq!(rounds.round(8, 150), Course::Stop);
    }

    #[test]
    fn slow_start_goes_on_if_round_trips_shorten_again() {
        let mut rounds = Rounds::new();
        rounds.round(8, 100);
        rounds.round(8, 150);
        rounds.round(8, 149);
        assert_eq!(rounds.hystart.divisor(), 1);
    }
}
