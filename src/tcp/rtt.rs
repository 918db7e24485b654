//! The retransmission timeout (RFC 6298).

use smoltcp::time::{Duration, Instant};

use super::config::Config;
use super::seq::SeqNum;
use super::timers::elapsed;

/// G: how finely the clock is looked at; a thread is not woken more exactly.
const GRANULARITY: Duration = Duration::from_millis(1);

/// The RTO to begin data transmission with when the SYN timed out (RFC 6298 §5.7).
const RTO_AFTER_SYN_TIMEOUT: Duration = Duration::from_secs(3);

/// Doubling more often than this would pass any upper limit.
const MAX_BACKOFF: u32 = 16;

/// What was learnt of the round trip.
#[derive(Clone, Copy, Debug)]
struct Smoothed {
    /// SRTT.
    srtt: Duration,
    /// RTTVAR.
    rttvar: Duration,
}

/// A segment whose acknowledgement will be a measurement.
#[derive(Clone, Copy, Debug)]
struct Timed {
    /// The sequence number after it.
    end: SeqNum,
    /// When it was sent.
    at: Instant,
}

/// Estimates the RTO, one segment a round trip being timed.
#[derive(Debug)]
pub(super) struct Rtt {
    /// `None` before the first measurement.
    smoothed: Option<Smoothed>,
    /// The segment being timed.
    timed: Option<Timed>,
    /// When `sample` last took a measurement.
    sampled_at: Option<Instant>,
    /// When something was last sent again.
    resent_at: Option<Instant>,
    /// RTO before backing off.
    base: Duration,
    /// How often it is to be doubled.
    backoff: u32,
    /// Lower limit of the RTO.
    min_rto: Duration,
    /// Upper limit of the RTO.
    max_rto: Duration,
}

impl Rtt {
    /// Knows nothing of the path yet.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            smoothed: None,
            timed: None,
            sampled_at: None,
            resent_at: None,
            base: config.initial_rto,
            backoff: 0,
            min_rto: config.min_rto,
            max_rto: config.max_rto,
        }
    }

    /// SRTT, or the first RTO before a round trip was measured.
    pub(super) fn srtt(&self) -> Duration {
        self.smoothed.map_or(self.base, |smoothed| smoothed.srtt)
    }

    /// RTO, backed off and limited.
    pub(super) fn rto(&self) -> Duration {
        let factor = 1_u64 << self.backoff.min(MAX_BACKOFF);
        let micros = self.base.total_micros().saturating_mul(factor);
        Duration::from_micros(micros).min(self.max_rto)
    }

    /// Twice `interval`, limited as the RTO is: for zero-window probes (RFC 9293 §3.8.6.1, SHLD-30).
    pub(super) fn doubled(&self, interval: Duration) -> Duration {
        Duration::from_micros(interval.total_micros().saturating_mul(2)).min(self.max_rto)
    }

    /// Times the segment that ends at `end`, sent now for the first time, unless another one is being timed.
    pub(super) fn time(&mut self, end: SeqNum, now: Instant) {
        self.timed.get_or_insert(Timed { end, at: now });
    }

    /// A segment that was sent once, then, has just arrived: that is a measurement, if none was taken since (RFC 6298 §3: one a
    /// round trip).
    pub(super) fn sample(&mut self, sent_at: Instant, now: Instant) {
        if self.sampled_at.is_none_or(|sampled_at| sampled_at <= sent_at) {
            self.sampled_at = Some(now);
            self.measure(elapsed(now, sent_at));
        }
    }

    /// Whether the RTO is more than the measurements make it.
    pub(super) const fn is_backed_off(&self) -> bool {
        self.backoff > 0
    }

    /// SRTT, once a round trip was measured.
    pub(super) fn measured_srtt(&self) -> Option<Duration> {
        self.smoothed.map(|smoothed| smoothed.srtt)
    }

    /// Something is sent again. RFC 6298 §3 (Karn, MUST-18): what is retransmitted is no measurement.
    pub(super) fn sent_again(&mut self, now: Instant) {
        self.timed = None;
        self.resent_at = Some(now);
    }

    /// Takes the acknowledgement of everything before `seg_ack` for a measurement, if it covers the segment being timed.
    pub(super) fn acknowledged(&mut self, seg_ack: SeqNum, now: Instant) {
        if let Some(timed) = self.timed.take_if(|timed| timed.end.is_at_or_before(seg_ack)) {
            self.measure(elapsed(now, timed.at));
        }
    }

    /// RTTM (RFC 7323 §4.1): takes the age of the timestamp echoed by an acknowledgement of new text for a measurement, one of
    /// `samples` in a round trip.
    ///
    /// Timing segments is finer than the timestamp clock's millisecond, so that is preferred, as in Linux. The echo serves when Karn's
    /// rule left nothing to be timed and RTO backed off: it tells a retransmission from what was retransmitted. What was sent before
    /// the last retransmission is no measurement, though: its ACK may have been lost, and this one be the answer to the retransmission.
    pub(super) fn echoed(&mut self, r: Duration, samples: u32, now: Instant) {
        let is_wanted = self.timed.is_none() && (self.is_backed_off() || self.smoothed.is_none());
        let is_recent = self.resent_at.is_none_or(|at| r <= elapsed(now, at) + GRANULARITY);
        if is_wanted && is_recent {
            self.measure_one_of(r, samples);
        }
    }

    /// RFC 6298 §2.2 and §2.3: the measurement R.
    fn measure(&mut self, r: Duration) {
        self.measure_one_of(r, 1);
    }

    /// RFC 7323 appendix G: alpha and beta divided by the number of measurements expected in a round trip.
    fn measure_one_of(&mut self, r: Duration, samples: u32) {
        let r_micros = r.total_micros();
        let (srtt, rttvar) = match self.smoothed {
            None => (r_micros, r_micros / 2),
            Some(Smoothed { srtt, rttvar }) => {
                let (srtt, rttvar) = (srtt.total_micros(), rttvar.total_micros());
                // Alpha is 1/8, beta 1/4.
                let (alpha, beta) = (8 * u64::from(samples.max(1)), 4 * u64::from(samples.max(1)));
                let rttvar = ((beta - 1).saturating_mul(rttvar).saturating_add(srtt.abs_diff(r_micros))) / beta;
                ((alpha - 1).saturating_mul(srtt).saturating_add(r_micros) / alpha, rttvar)
            }
        };
        self.smoothed = Some(Smoothed { srtt: Duration::from_micros(srtt), rttvar: Duration::from_micros(rttvar) });
        let rto = Duration::from_micros(srtt.saturating_add(GRANULARITY.total_micros().max(rttvar.saturating_mul(4))));
        self.base = rto.clamp(self.min_rto, self.max_rto.max(self.min_rto));
        self.backoff = 0;
    }

    /// RFC 6298 §5.5: the timer expired.
    pub(super) fn back_off(&mut self, now: Instant) {
        self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
        self.sent_again(now);
    }

    /// RFC 6298 §5.7: the handshake is complete, but its SYN had timed out.
    pub(super) fn restart_after_syn_timeout(&mut self) {
        self.base = self.base.max(RTO_AFTER_SYN_TIMEOUT).min(self.max_rto);
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtt() -> Rtt {
        Rtt::new(&Config { min_rto: Duration::from_millis(1), ..Config::default() })
    }

    /// Measures one round trip of so many milliseconds.
    fn measured(rtt: &mut Rtt, millis: u64) {
        let sent = Instant::from_secs(10);
        rtt.time(SeqNum::new(5), sent);
        rtt.acknowledged(SeqNum::new(5), sent + Duration::from_millis(millis));
    }

    #[test]
    fn rto_starts_at_one_second() {
        assert_eq!(rtt().rto(), Duration::from_secs(1));
    }

    #[test]
    fn first_measurement_makes_rto_three_times_the_round_trip() {
        let mut rtt = rtt();
        measured(&mut rtt, 100);
        assert_eq!(rtt.rto(), Duration::from_millis(100 + 4 * 50));
    }

    #[test]
    fn later_measurements_are_smoothed() {
        let mut rtt = rtt();
        measured(&mut rtt, 100);
        measured(&mut rtt, 200);
        // RTTVAR = 3/4 * 50 + 1/4 * 100 = 62.5; SRTT = 7/8 * 100 + 1/8 * 200 = 112.5.
        assert_eq!(rtt.rto(), Duration::from_micros(112_500 + 4 * 62_500));
    }

    #[test]
    fn echoed_timestamps_are_damped_by_their_number() {
        let mut rtt = rtt();
        measured(&mut rtt, 100);
        rtt.echoed(Duration::from_millis(200), 10, Instant::from_secs(11));
        assert_eq!(rtt.rto(), Duration::from_millis(300), "not wanted");
        rtt.back_off(Instant::from_secs(10));
        rtt.echoed(Duration::from_millis(200), 10, Instant::from_secs(11));
        // RTTVAR = 39/40 * 50 + 1/40 * 100 = 51.25; SRTT = 79/80 * 100 + 1/80 * 200 = 101.25.
        assert_eq!(rtt.rto(), Duration::from_micros(101_250 + 4 * 51_250));
    }

    #[test]
    fn echoed_timestamps_end_the_backing_off_that_karn_would_keep() {
        let mut rtt = rtt();
        rtt.time(SeqNum::new(5), Instant::from_secs(1));
        rtt.back_off(Instant::from_secs(2));
        let now = Instant::from_secs(2) + Duration::from_millis(100);
        rtt.acknowledged(SeqNum::new(5), now);
        assert_eq!(rtt.rto(), Duration::from_secs(2));
        // Of what was sent before the retransmission, by more than the clock's millisecond: it may have arrived long ago.
        rtt.echoed(Duration::from_millis(102), 1, now);
        assert_eq!(rtt.rto(), Duration::from_secs(2));
        rtt.echoed(Duration::from_millis(100), 1, now);
        assert_eq!(rtt.rto(), Duration::from_millis(300));
    }

    #[test]
    fn segment_being_timed_is_preferred_to_the_echo() {
        let mut rtt = rtt();
        rtt.time(SeqNum::new(5), Instant::from_secs(1));
        rtt.echoed(Duration::from_millis(100), 1, Instant::from_secs(2));
        assert_eq!(rtt.rto(), Duration::from_secs(1));
    }

    #[test]
    fn rto_is_at_least_a_second_by_default() {
        let mut rtt = Rtt::new(&Config::default());
        measured(&mut rtt, 1);
        assert_eq!(rtt.rto(), Duration::from_secs(1));
    }

    #[test]
    fn backing_off_doubles_up_to_the_limit_and_a_measurement_ends_it() {
        let mut rtt = Rtt::new(&Config::default());
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            rtt.back_off(Instant::from_secs(1));
            assert_eq!(rtt.rto(), Duration::from_secs(seconds));
        }
        for _ in 0..100 {
            rtt.back_off(Instant::from_secs(1));
        }
        assert_eq!(rtt.rto(), Duration::from_secs(60));
        measured(&mut rtt, 10);
        assert_eq!(rtt.rto(), Duration::from_secs(1));
    }

    #[test]
    fn retransmitted_segment_is_not_measured() {
        let mut rtt = rtt();
        rtt.time(SeqNum::new(5), Instant::from_secs(1));
        rtt.back_off(Instant::from_secs(1));
        rtt.acknowledged(SeqNum::new(5), Instant::from_secs(2));
        assert_eq!(rtt.rto(), Duration::from_secs(2));
    }

    #[test]
    fn acknowledgement_just_below_the_timed_segment_is_no_measurement() {
        let mut rtt = rtt();
        let end = SeqNum::new(0);
        rtt.time(end, Instant::from_secs(1));
        rtt.acknowledged(end - 1, Instant::from_secs(2));
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.acknowledged(end, Instant::from_secs(3));
        assert_eq!(rtt.rto(), Duration::from_secs(6));
    }

    #[test]
    fn rto_is_three_seconds_after_a_lost_syn() {
        let mut rtt = rtt();
        rtt.back_off(Instant::from_secs(1));
        rtt.restart_after_syn_timeout();
        assert_eq!(rtt.rto(), Duration::from_secs(3));
    }
}
