//! CUBIC: how the window grows in congestion avoidance, and by how much a loss shrinks it (RFC 9438).
//!
//! The RFC counts segments and seconds; here windows are octets, times are microseconds, and cubes are taken in 128 bits. So a run can
//! be repeated to the octet on every machine, and no rounding has to be argued about: each quotient is rounded down, and the growth of
//! the window keeps its remainder.

use smoltcp::time::{Duration, Instant};

use super::timers::elapsed;

/// beta_cubic = 0.7 (RFC 9438 §4.6), as a quotient.
const BETA: (u64, u64) = (7, 10);
/// (1 + beta_cubic) / 2 (RFC 9438 §4.7).
const FAST_CONVERGENCE: (u64, u64) = (17, 20);
/// alpha_cubic = 3 * (1 - beta_cubic) / (1 + beta_cubic) (RFC 9438 §4.3).
const ALPHA: (u64, u64) = (9, 17);
/// C = 0.4 segments per cubic second (RFC 9438 §5.1).
const C: (i128, i128) = (2, 5);
/// Cubic microseconds in a cubic second.
const CUBIC_SECOND: i128 = 1_000_000_000_000_000_000;
/// A stage that lasted longer (19 hours) has reached any window; the cubes of longer times would not fit.
const LONGEST_MICROS: i128 = 1 << 36;
/// No window is larger.
const LARGEST: u64 = 1 << 31;

/// What an acknowledgement in congestion avoidance brings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// CWND.
    pub(super) cwnd: u32,
    /// Octets acknowledged.
    pub(super) acked: u32,
    /// SMSS.
    pub(super) smss: u32,
    /// When.
    pub(super) now: Instant,
    /// RTT (RFC 9438 §4.1.2), smoothed.
    pub(super) rtt: Duration,
}

/// A quotient that is added up: whole octets, and what is left of one.
#[derive(Clone, Copy, Debug, Default)]
struct Remainder(u64);

impl Remainder {
    /// The whole octets of `dividend / divisor` and of what was left before.
    fn divide(&mut self, dividend: u64, divisor: u64) -> u64 {
        let divisor = divisor.max(1);
        // Should the divisor have become smaller since, less than an octet is still less than an octet.
        let dividend = dividend.saturating_add(self.0.min(divisor - 1));
        self.0 = dividend % divisor;
        dividend / divisor
    }
}

/// The current congestion avoidance stage.
#[derive(Clone, Debug)]
struct Stage {
    /// t: how long the window has been in use since the stage began. Time in which the user had too little to send does not count
    /// (RFC 9438 §4.2, §5.8).
    t: Duration,
    /// Up to when that is counted.
    counted_to: Instant,
    /// K, in microseconds.
    k_micros: u64,
    /// W_est, the window that Reno would have.
    w_est: u64,
    /// What is left of an octet of W_est.
    w_est_rest: Remainder,
    /// What is left of an octet of CWND.
    cwnd_rest: Remainder,
}

/// The state of CUBIC between two reductions of the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Cubic {
    /// W_max; none while the next stage is to begin at its plateau.
    w_max: Option<u32>,
    /// cwnd_prior.
    cwnd_prior: u32,
    /// Nothing in slow start and in recovery.
    stage: Option<Stage>,
}

impl Cubic {
    /// RFC 9438 §4.6 and §4.7: a loss, or a mark; returns what SSTHRESH comes from, `flight` being outstanding.
    pub(super) fn reduce(&mut self, cwnd: u32, flight: u32) -> u32 {
        let w_max = match self.w_max {
            // Fast convergence: leave room to a flow that is new.
            Some(w_max) if cwnd < w_max => part(cwnd, FAST_CONVERGENCE),
            Some(_) | None => cwnd,
        };
        self.w_max = Some(w_max);
        self.cwnd_prior = cwnd;
        self.stage = None;
        part(flight, BETA)
    }

    /// RFC 9438 §4.8: a timeout; K is 0 in the stage that follows, and W_max is the window that it begins with.
    pub(super) fn time_out(&mut self, cwnd: u32, flight: u32) -> u32 {
        self.w_max = None;
        self.cwnd_prior = cwnd;
        self.stage = None;
        part(flight, BETA)
    }

    /// What passed up to now does not count: the window was not in use (RFC 9438 §4.2, §5.8).
    pub(super) fn skip_to(&mut self, now: Instant) {
        if let Some(stage) = &mut self.stage {
            stage.counted_to = now;
        }
    }

    /// CWND after an acknowledgement in congestion avoidance (RFC 9438 §4.2 to §4.5).
    pub(super) fn grow(&mut self, growth: Growth) -> u32 {
        let Growth { cwnd, acked, smss, now, rtt } = growth;
        if self.stage.is_none() {
            // RFC 9438 §4.8, §4.10: without a reduction the plateau is where the stage begins; it never lies below.
            self.w_max = self.w_max.max(Some(cwnd));
        }
        let w_max = self.w_max.unwrap_or(cwnd);
        let stage = self.stage.get_or_insert_with(|| Stage::begin(w_max, cwnd, smss, now));
        stage.t += elapsed(now, stage.counted_to);
        stage.counted_to = now;
        stage.grow_w_est(growth, self.cwnd_prior);
        let cwnd = u64::from(cwnd);
        let grown = if stage.w_cubic(stage.t, w_max, smss) < stage.w_est {
            // RFC 9438 §4.3: the Reno-friendly region.
            stage.w_est.max(cwnd)
        } else {
            // RFC 9438 §4.2: target lies between cwnd and 1.5 * cwnd. §4.4 and §4.5: the concave and the convex region.
            let target = stage.w_cubic(stage.t + rtt, w_max, smss).clamp(cwnd, cwnd + cwnd / 2);
            cwnd + stage.cwnd_rest.divide((target - cwnd).saturating_mul(u64::from(acked)), cwnd)
        };
        u32::try_from(grown).unwrap_or(u32::MAX)
    }
}

impl Stage {
    /// A stage that begins with this window.
    fn begin(w_max: u32, cwnd: u32, smss: u32, now: Instant) -> Self {
        Self {
            t: Duration::from_micros(0),
            counted_to: now,
            k_micros: k_micros(w_max.saturating_sub(cwnd), smss),
            w_est: u64::from(cwnd),
            w_est_rest: Remainder::default(),
            cwnd_rest: Remainder::default(),
        }
    }

    /// W_cubic(t) = C * (t - K)^3 + W_max (RFC 9438 §4.2, figure 1).
    fn w_cubic(&self, t: Duration, w_max: u32, smss: u32) -> u64 {
        let from_k = i128::from(t.total_micros()) - i128::from(self.k_micros);
        let from_k = from_k.clamp(-LONGEST_MICROS, LONGEST_MICROS);
        let cube = from_k * from_k * from_k;
        let w_cubic = i128::from(w_max) + cube.saturating_mul(C.0 * i128::from(smss)) / (C.1 * CUBIC_SECOND);
        u64::try_from(w_cubic.max(0)).unwrap_or(LARGEST).min(LARGEST)
    }

    /// W_est = W_est + alpha_cubic * segments_acked / cwnd (RFC 9438 §4.3, figure 4).
    fn grow_w_est(&mut self, Growth { cwnd, acked, smss, .. }: Growth, cwnd_prior: u32) {
        // Once W_est has reached cwnd_prior, alpha_cubic is 1, as Reno's.
        let alpha = if self.w_est < u64::from(cwnd_prior) { ALPHA } else { (1, 1) };
        let dividend = alpha.0.saturating_mul(u64::from(acked)).saturating_mul(u64::from(smss));
        let gain = self.w_est_rest.divide(dividend, alpha.1 * u64::from(cwnd));
        self.w_est = self.w_est.saturating_add(gain).min(LARGEST);
    }
}

/// K = cbrt((W_max - cwnd_epoch) / C) (RFC 9438 §4.2, figure 2), for a difference in octets.
fn k_micros(octets: u32, smss: u32) -> u64 {
    let (numerator, denominator) = (C.1 * CUBIC_SECOND * i128::from(octets), C.0 * i128::from(smss.max(1)));
    cube_root((numerator / denominator).unsigned_abs())
}

/// The largest number whose cube is not larger, below 2⁴².
fn cube_root(cube: u128) -> u64 {
    let mut root = 0_u128;
    for bit in (0..42).rev() {
        let more = root | 1 << bit;
        if more * more * more <= cube {
            root = more;
        }
    }
    u64::try_from(root).unwrap_or(u64::MAX)
}

/// A part of a window.
fn part(octets: u32, (numerator, denominator): (u64, u64)) -> u32 {
    u32::try_from(u64::from(octets) * numerator / denominator).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros_const(1_000_000);
    const NO_TIME: Duration = Duration::from_micros(0);

    fn growth(cwnd: u32, acked: u32, millis: u64) -> Growth {
        let now = START + Duration::from_millis(millis);
        Growth { cwnd, acked, smss: 1000, now, rtt: Duration::from_millis(100) }
    }

    /// CUBIC in a stage that began with 70 segments after a loss at 100.
    fn staged() -> (Cubic, Stage) {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.reduce(100_000, 100_000), 70_000);
        assert_eq!(cubic.grow(growth(70_000, 0, 0)), 70_000);
        let stage = cubic.stage.clone().unwrap();
        (cubic, stage)
    }

    #[test]
    fn cube_roots_are_rounded_down() {
        for (cube, root) in [(0, 0), (1, 1), (7, 1), (8, 2), (26, 2), (27, 3), (75_000_000_000_000_000_000, 4_217_163)]
        {
            assert_eq!(cube_root(cube), root, "{cube}");
        }
        for root in [1, 2, 1000, 4_217_163, (1 << 42) - 1] {
            let cube = u128::from(root) * u128::from(root) * u128::from(root);
            assert_eq!(cube_root(cube), root);
            assert_eq!(cube_root(cube - 1), root - 1);
        }
        assert_eq!(cube_root(u128::MAX), (1 << 42) - 1);
    }

    #[test]
    fn k_is_that_of_the_formula() {
        // (100 - 70) / 0.4 = 75; its cube root is 4.217163 seconds.
        let (_, stage) = staged();
        assert_eq!(stage.k_micros, 4_217_163);
        assert_eq!(k_micros(0, 1000), 0);
        // One segment: 2.5; 1.357208 seconds.
        assert_eq!(k_micros(1460, 1460), 1_357_208);
        // The largest windows there are, in the smallest segments.
        assert_eq!(k_micros(1 << 30, 1), 1_389_781_819);
    }

    #[test]
    fn w_cubic_goes_through_the_points_of_the_formula() {
        let (_, stage) = staged();
        let at = |millis| stage.w_cubic(Duration::from_millis(millis), 100_000, 1000);
        // 100 - 0.4 * 75, but for rounding K down.
        assert_eq!(at(0), 70_001);
        // 100 - 0.4 * 2.217163^3 = 95.6403.
        assert_eq!(at(2000), 95_641);
        assert_eq!(at(4217), 100_000);
        // 100 + 0.4 * 5.782837^3 = 177.3543.
        assert_eq!(at(10_000), 177_354);
        assert_eq!(stage.w_cubic(Duration::MAX, 100_000, 1000), LARGEST);
        assert_eq!(stage.w_cubic(NO_TIME, 0, 1000), 0);
    }

    #[test]
    fn concave_growth_goes_for_where_w_cubic_is_a_round_trip_later() {
        let (mut cubic, stage) = staged();
        // After 1 s, W_cubic(1.1) = 100 - 0.4 * 3.117163^3 = 87.884; W_est does not matter.
        let target = stage.w_cubic(Duration::from_millis(1100), 100_000, 1000);
        assert_eq!(target, 87_885);
        // A whole window acknowledged takes it there; a tenth of it a tenth of the way.
        assert_eq!(cubic.clone().grow(growth(80_000, 80_000, 1000)), 87_885);
        assert_eq!(cubic.grow(growth(80_000, 8000, 1000)), 80_788);
        // What is left of an octet counts the next time: 0.5 of one.
        assert_eq!(cubic.stage.unwrap().cwnd_rest.0, 40_000);
    }

    #[test]
    fn window_grows_by_half_a_round_trip_at_most_and_never_shrinks() {
        let (mut cubic, _) = staged();
        assert_eq!(cubic.clone().grow(growth(70_000, 70_000, 100_000)), 105_000);
        // W_cubic is 87.9, W_est 70.
        assert_eq!(cubic.grow(growth(99_000, 1000, 1000)), 99_000);
    }

    #[test]
    fn small_windows_grow_as_renos_would() {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.reduce(10_000, 10_000), 7000);
        // K = cbrt(3 / 0.4) = 1.957 s. A round trip of a millisecond: W_cubic(1 ms) = 7.004, W_est = 7 + 9/17.
        assert_eq!(cubic.grow(growth(7000, 0, 0)), 7000);
        assert_eq!(cubic.grow(Growth { rtt: Duration::from_millis(1), ..growth(7000, 7000, 1) }), 7529);
        assert_eq!(cubic.grow(Growth { rtt: Duration::from_millis(1), ..growth(7529, 7529, 2) }), 8058);
    }

    #[test]
    fn alpha_is_one_once_w_est_has_reached_cwnd_prior() {
        let mut stage = Stage::begin(10_000, 9999, 1000, START);
        stage.grow_w_est(growth(9999, 9999, 0), 10_000);
        // 9/17 of a segment.
        assert_eq!(stage.w_est, 9999 + 529);
        stage.grow_w_est(growth(9999, 9999, 0), 10_000);
        assert_eq!(stage.w_est, 9999 + 529 + 1000);
    }

    #[test]
    fn fast_convergence_gives_room_if_the_last_plateau_was_not_reached() {
        let mut cubic = Cubic::default();
        cubic.reduce(100_000, 100_000);
        assert_eq!(cubic.w_max, Some(100_000));
        cubic.reduce(100_000, 100_000);
        assert_eq!(cubic.w_max, Some(100_000));
        cubic.reduce(99_999, 50_000);
        // 99_999 * (1 + 0.7) / 2.
        assert_eq!(cubic.w_max, Some(84_999));
        assert_eq!(cubic.cwnd_prior, 99_999);
        cubic.reduce(85_000, 1000);
        assert_eq!(cubic.w_max, Some(85_000));
    }

    #[test]
    fn reduction_is_by_what_was_in_use() {
        assert_eq!(Cubic::default().reduce(100_000, 20_001), 14_000);
        assert_eq!(Cubic::default().time_out(100_000, 20_001), 14_000);
    }

    #[test]
    fn after_a_timeout_the_plateau_is_where_the_stage_begins() {
        let (mut cubic, _) = staged();
        cubic.time_out(90_000, 90_000);
        assert_eq!(cubic.grow(growth(63_000, 0, 5000)), 63_000);
        assert_eq!((cubic.w_max, cubic.stage.unwrap().k_micros), (Some(63_000), 0));
    }

    #[test]
    fn stage_that_begins_past_the_plateau_has_its_own() {
        let mut cubic = Cubic::default();
        cubic.reduce(50_000, 50_000);
        cubic.grow(growth(60_000, 0, 0));
        assert_eq!((cubic.w_max, cubic.stage.unwrap().k_micros), (Some(60_000), 0));
    }

    #[test]
    fn time_in_which_the_window_was_not_used_does_not_count() {
        let (mut cubic, _) = staged();
        cubic.skip_to(START + Duration::from_secs(1000));
        cubic.grow(growth(70_000, 0, 1_001_000));
        assert_eq!(cubic.stage.unwrap().t, Duration::from_secs(1));
    }

    #[test]
    fn nothing_overflows() {
        let mut cubic = Cubic::default();
        for (cwnd, acked, smss) in [(1, u32::MAX, u32::MAX), (u32::MAX, u32::MAX, 1), (1 << 30, 1, 65_535), (0, 0, 0)] {
            cubic.reduce(u32::MAX, u32::MAX);
            for micros in [0, 1, u64::from(u32::MAX), 1 << 61] {
                let now = START + Duration::from_micros(micros);
                cubic.grow(Growth { cwnd, acked, smss, now, rtt: Duration::from_micros(1 << 60) });
            }
        }
    }
}
