//! The congestion window: slow start, congestion avoidance and its use in recovery (RFC 5681, RFC 3465, RFC 6582, RFC 6928).
//!
//! How the window grows in congestion avoidance and how far it falls is Reno's here and CUBIC's in `cubic`; ECN (RFC 3168) calls
//! `experienced`.

use smoltcp::time::{Duration, Instant};

use super::config::CongestionControl;
use super::cubic::{Cubic, Growth};
use super::hystart::{Course, HyStart};
use super::pacing::Release;
use super::seq::SeqNum;

/// No path needs more, and sums of it cannot overflow.
const MAX_CWND: u32 = 1 << 30;

/// How the handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// Our SYN or SYN,ACK arrived as it was sent first.
    AtOnce,
    /// It had to be retransmitted.
    Retransmitted,
}

/// How often the front of the queue timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeouts {
    /// For the first time.
    First,
    /// Again.
    Repeated,
}

/// The algorithm of congestion avoidance.
#[derive(Clone, Debug)]
enum Avoidance {
    /// RFC 5681 §3.1.
    NewReno {
        /// Octets acknowledged since CWND last grew: bytes_acked (RFC 3465 §2.1).
        acked: u32,
    },
    /// RFC 9438.
    Cubic(Cubic),
}

impl Avoidance {
    /// Before anything was lost.
    fn new(control: CongestionControl) -> Self {
        match control {
            CongestionControl::NewReno => Self::NewReno { acked: 0 },
            CongestionControl::Cubic => Self::Cubic(Cubic::default()),
        }
    }
}

/// Segments that an acknowledgement may count for in the first slow start, where they are not paced: L (RFC 9406 §4.3).
const L: u32 = 8;
/// The same for later ones: L (RFC 3465 §2.3).
const LATER_L: u32 = 2;

/// IW (RFC 6928 §2).
fn initial_window(smss: u32) -> u32 {
    (10 * smss).min(14_600.max(2 * smss))
}

/// Which slow start it is, if any.
#[derive(Clone, Debug)]
enum SlowStart {
    /// The first one, with no SSTHRESH to go by: HyStart++ ends it.
    Initial(HyStart),
    /// One after a timeout: L is 1, for an acknowledgement may cover what was never retransmitted (RFC 3465 §2.3).
    AfterTimeout,
    /// Any other.
    Later,
}

/// CWND and what it depends on, all in octets.
#[derive(Clone, Debug)]
pub(super) struct Congestion {
    /// SMSS.
    smss: u32,
    /// IW, and RW after idle time.
    initial: u32,
    /// CWND.
    cwnd: u32,
    /// SSTHRESH.
    ssthresh: u32,
    /// How far duplicate ACKs may inflate CWND in fast recovery.
    inflated: u32,
    /// How often CWND was reduced.
    reductions: u32,
    /// Which slow start it is.
    slow_start: SlowStart,
    /// The algorithm.
    avoidance: Avoidance,
}

impl Congestion {
    /// The window to begin with.
    pub(super) fn new(control: CongestionControl, smss: u32, handshake: Handshake) -> Self {
        let initial = match handshake {
            Handshake::AtOnce => initial_window(smss),
            // RFC 5681 §3.1: one segment after a lost SYN.
            Handshake::Retransmitted => smss,
        };
        let avoidance = Avoidance::new(control);
        Self {
            smss,
            initial,
            cwnd: initial,
            ssthresh: MAX_CWND,
            inflated: 0,
            reductions: 0,
            slow_start: SlowStart::Initial(HyStart::new()),
            avoidance,
        }
    }

    /// CWND.
    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// SSTHRESH.
    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// The path carries other segments than we thought. CWND and SSTHRESH count octets and stay, but are one and two segments at least;
    /// IW and RW are those of the new size.
    pub(super) fn set_smss(&mut self, smss: u32) {
        // One segment stays one segment: our SYN was lost.
        self.initial = if self.initial == self.smss { smss } else { initial_window(smss) };
        self.smss = smss;
        self.cwnd = self.cwnd.max(smss);
        self.ssthresh = self.at_least_two_segments(self.ssthresh);
    }

    /// What is outstanding was dropped, being too large for the path. That is no congestion, so the window comes back as it was; but in
    /// slow start, one segment going alone until it is acknowledged (RFC 1191 §6.5), and not as a burst of smaller segments (RFC 5681
    /// §3.1).
    pub(super) fn start_slowly(&mut self) {
        self.ssthresh = if self.is_slow_start() { self.ssthresh } else { self.cwnd };
        self.cwnd = self.smss;
    }

    /// RFC 5681 §4.1: CWND when nothing was sent for longer than RTO.
    pub(super) fn cwnd_after_idle(&self) -> u32 {
        self.cwnd.min(self.initial)
    }

    /// Takes on `cwnd_after_idle`.
    pub(super) fn restart_after_idle(&mut self) {
        self.cwnd = self.cwnd_after_idle();
    }

    /// Something is sent with nothing outstanding: the window was not in use until now.
    pub(super) fn resume(&mut self, now: Instant) {
        match &mut self.avoidance {
            Avoidance::NewReno { .. } => {}
            Avoidance::Cubic(cubic) => cubic.skip_to(now),
        }
    }

    /// New text was acknowledged outside of fast recovery; `flight` was outstanding before.
    pub(super) fn acknowledged(&mut self, acked: u32, flight: u32, now: Instant, rtt: Duration, release: Release) {
        if self.is_slow_start() {
            // A window that was not used has not been probed: it does not grow (RFC 7661 §4.3).
            if self.is_used(flight) {
                self.grow_in_slow_start(acked, release);
            }
            return;
        }
        self.slow_start = SlowStart::Later;
        let is_used = self.is_used(flight);
        let (cwnd, smss) = (self.cwnd, self.smss);
        match &mut self.avoidance {
            Avoidance::NewReno { acked: bytes_acked } => {
                // RFC 3465 §2.1: one SMSS for each window that is acknowledged.
                *bytes_acked = bytes_acked.saturating_add(acked);
                if *bytes_acked >= cwnd {
                    *bytes_acked -= cwnd;
                    if is_used {
                        self.grow(smss);
                    }
                }
            }
            Avoidance::Cubic(cubic) if is_used => {
                self.cwnd = cubic.grow(Growth { cwnd, acked, smss, now, rtt }).min(MAX_CWND);
            }
            Avoidance::Cubic(cubic) => cubic.skip_to(now),
        }
    }

    /// RFC 5681 §3.1: CWND < SSTHRESH.
    const fn is_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// RFC 3465 §2.2, RFC 9406 §4.2: CWND grows by min(N, L * SMSS); L is infinity where segments are paced (RFC 9406 §4.3).
    ///
    /// One acknowledgement may then count for a whole flight, which in a later slow start must not carry CWND further past SSTHRESH
    /// than `LATER_L` does.
    fn grow_in_slow_start(&mut self, acked: u32, release: Release) {
        let octets = match (&self.slow_start, release) {
            (SlowStart::AfterTimeout, _) => acked.min(self.smss),
            (SlowStart::Initial(_), Release::Paced) => acked,
            (SlowStart::Initial(_), Release::AtOnce) => acked.min(L * self.smss),
            (SlowStart::Later, Release::Paced) => {
                acked.min((LATER_L * self.smss).max(self.ssthresh.saturating_sub(self.cwnd)))
            }
            (SlowStart::Later, Release::AtOnce) => acked.min(LATER_L * self.smss),
        };
        let divisor = match &self.slow_start {
            SlowStart::Initial(hystart) => hystart.divisor(),
            SlowStart::AfterTimeout | SlowStart::Later => 1,
        };
        self.grow(octets / divisor);
    }

    /// An acknowledgement up to `seg_ack` measured this round trip.
    pub(super) fn measured(&mut self, rtt: Duration, seg_ack: SeqNum, snd_nxt: SeqNum) {
        let is_slow_start = self.is_slow_start();
        if let SlowStart::Initial(hystart) = &mut self.slow_start
            && is_slow_start
            && hystart.measured(rtt, seg_ack, snd_nxt) == Course::Stop
        {
            self.ssthresh = self.cwnd;
        }
    }

    /// How many hundredths of CWND may go in a round trip, so that pacing is not what limits the sender.
    ///
    /// A window that doubles in each round trip, as in slow start, is sent evenly at ln 4 = 1.386 windows a round trip: it grows while it
    /// is sent. Faster (Linux takes 2) only presses the flight together and overflows the queue earlier. Else it is a fifth more than
    /// the window, as in Linux; as there, from half of SSTHRESH on, for slow start must not end above the rate that SSTHRESH stands
    /// for.
    pub(super) const fn pacing_percent(&self) -> u32 {
        if self.cwnd < self.ssthresh / 2 { 140 } else { 120 }
    }

    /// IW.
    pub(super) const fn initial(&self) -> u32 {
        self.initial
    }

    /// Whether CWND is what limits the sender, half of it having been outstanding (RFC 7661 §4.3: the validated phase).
    ///
    /// Deviation: RFC 9438 §5.8 has a window grow only if all of it is used; then pacing and delayed ACKs alone would keep it from growing.
    fn is_used(&self, flight: u32) -> bool {
        self.cwnd < flight.saturating_mul(2)
    }

    /// RFC 5681 §3.2 (2) and (3): fast retransmit; three segments have left the network.
    pub(super) fn enter_recovery(&mut self, flight: u32) {
        let reduced = self.reduce(flight);
        self.ssthresh = self.at_least_two_segments(reduced);
        self.slow_start = SlowStart::Later;
        self.cwnd = self.ssthresh + 3 * self.smss;
        self.inflated = self.ssthresh.saturating_add(flight).max(self.cwnd);
    }

    /// RFC 3168 §6.1.2, RFC 9438 §4.6: packets were marked; SSTHRESH is as after a loss, but CWND, which is not above it, may become
    /// one segment.
    pub(super) fn experienced(&mut self, flight: u32) {
        let before = self.cwnd;
        let reduced = self.reduce(flight.min(before));
        self.ssthresh = self.at_least_two_segments(reduced);
        self.slow_start = SlowStart::Later;
        self.cwnd = reduced.max(self.smss).min(before);
    }

    /// How often CWND was reduced, for whatever reason.
    pub(super) const fn reductions(&self) -> u32 {
        self.reductions
    }

    /// Whether CWND is one segment, so that it cannot shrink any further.
    pub(super) const fn is_least(&self) -> bool {
        self.cwnd <= self.smss
    }

    /// What SSTHRESH comes from after a sign of congestion with so much outstanding (RFC 5681 §3.1 (4), RFC 9438 §4.6).
    fn reduce(&mut self, flight: u32) -> u32 {
        self.reductions = self.reductions.wrapping_add(1);
        match &mut self.avoidance {
            Avoidance::NewReno { acked } => {
                *acked = 0;
                flight / 2
            }
            Avoidance::Cubic(cubic) => cubic.reduce(self.cwnd, flight),
        }
    }

    /// RFC 6675 §5 (4.2): in recovery with selective acknowledgements the window is SSTHRESH, and never inflated.
    pub(super) const fn deflate(&mut self) {
        self.cwnd = self.ssthresh;
    }

    /// RFC 4015 §3.2, steps (7) and (8), RFC 9438 §4.9: a reduction is taken back; `acked` octets were just acknowledged and `pipe`
    /// remain. What is missing to the old window comes back in slow start.
    ///
    /// Deviation: CWND comes from pipe where RFC 4015 has FlightSize, which would let as much go in a burst as is reported.
    pub(super) fn resume_with(&mut self, pipe: u32, acked: u32) {
        self.ssthresh = self.ssthresh.max(self.cwnd);
        self.cwnd = self.cwnd.min(pipe.saturating_add(acked.min(self.initial))).max(self.smss);
    }

    /// RFC 5681 §3.2 (4): a further segment has left the network; no more can than were in it, whatever a peer says by false ACKs.
    pub(super) fn duplicate(&mut self) {
        let inflated = self.cwnd.saturating_add(self.smss).min(self.inflated);
        self.cwnd = self.cwnd.max(inflated).min(MAX_CWND);
    }

    /// RFC 6582 §3.2 (3): a partial acknowledgement deflates the window by what it covers.
    pub(super) fn partially_acknowledged(&mut self, acked: u32) {
        self.cwnd = self.cwnd.saturating_sub(acked);
        if acked >= self.smss {
            self.grow(self.smss);
        }
        self.cwnd = self.cwnd.max(self.smss);
    }

    /// A full acknowledgement ends recovery (RFC 6582 §3.2 (3)): without a burst (option 1), or with CWND <- SSTHRESH (option 2) where
    /// pacing prevents the burst and slow start would make one itself, as more than IW is missing.
    ///
    /// That much is missing when the peer's window or a loss of hundreds of segments kept the path from being filled during recovery.
    ///
    /// Deviation: RFC 6675 §5 and RFC 9937 §6 end at SSTHRESH in any case; after a recovery that could not fill the path that is a burst.
    pub(super) fn leave_recovery(&mut self, flight: u32, release: Release) {
        let no_burst = self.ssthresh.min(flight.max(self.smss) + self.smss);
        self.cwnd = match release {
            Release::Paced if self.ssthresh.saturating_sub(no_burst) > self.initial => self.ssthresh,
            Release::Paced | Release::AtOnce => no_burst,
        };
    }

    /// RFC 5681 §3.1 (4): the retransmission timer expired.
    pub(super) fn timed_out(&mut self, flight: u32, timeouts: Timeouts) {
        if timeouts == Timeouts::First {
            let reduced = match &mut self.avoidance {
                Avoidance::NewReno { acked } => {
                    *acked = 0;
                    flight / 2
                }
                Avoidance::Cubic(cubic) => cubic.time_out(self.cwnd, flight),
            };
            self.ssthresh = self.at_least_two_segments(reduced);
        }
        self.reductions = self.reductions.wrapping_add(1);
        self.slow_start = SlowStart::AfterTimeout;
        self.cwnd = self.smss;
    }

    /// RFC 5681 §3.1 (4), RFC 9438 §4.6: SSTHRESH is two segments at least.
    fn at_least_two_segments(&self, octets: u32) -> u32 {
        octets.max(2 * self.smss).min(MAX_CWND)
    }

    /// Opens the window further, within its limit.
    fn grow(&mut self, octets: u32) {
        self.cwnd = self.cwnd.saturating_add(octets).min(MAX_CWND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Congestion {
        Congestion::new(CongestionControl::NewReno, 1000, Handshake::AtOnce)
    }

    /// Acknowledges so much of what was outstanding.
    fn acknowledged(cong: &mut Congestion, acked: u32, flight: u32) {
        cong.acknowledged(acked, flight, Instant::from_secs(1), Duration::from_millis(100), Release::Paced);
    }

    #[test]
    fn initial_window_is_that_of_rfc_6928() {
        let initial = |smss, handshake| Congestion::new(CongestionControl::Cubic, smss, handshake).cwnd();
        assert_eq!(initial(1460, Handshake::AtOnce), 14_600);
        assert_eq!(initial(536, Handshake::AtOnce), 5_360);
        assert_eq!(initial(9000, Handshake::AtOnce), 18_000);
        assert_eq!(initial(1460, Handshake::Retransmitted), 1460);
    }

    #[test]
    fn slow_start_grows_by_what_is_acknowledged_but_at_most_eight_segments_unless_paced() {
        let mut cong = fresh();
        let mut acknowledged = |acked, release| {
            cong.acknowledged(acked, 100_000, Instant::from_secs(1), Duration::from_millis(100), release);
            cong.cwnd()
        };
        assert_eq!(acknowledged(400, Release::AtOnce), 10_400);
        assert_eq!(acknowledged(8000, Release::AtOnce), 18_400);
        assert_eq!(acknowledged(8001, Release::AtOnce), 26_400);
        assert_eq!(acknowledged(8001, Release::Paced), 34_401);
    }

    #[test]
    fn later_slow_start_goes_to_ssthresh_in_one_step_if_paced_but_past_it_by_two_segments_at_most() {
        let after = |cwnd, acked, release| {
            let mut cong = fresh();
            cong.enter_recovery(100_000);
            cong.cwnd = cwnd;
            cong.acknowledged(acked, 100_000, Instant::from_secs(1), Duration::from_millis(100), release);
            assert_eq!(cong.ssthresh(), 50_000);
            cong.cwnd()
        };
        assert_eq!(after(20_000, 29_999, Release::Paced), 49_999);
        assert_eq!(after(20_000, 90_000, Release::Paced), 50_000);
        assert_eq!(after(48_000, 90_000, Release::Paced), 50_000);
        assert_eq!(after(48_001, 90_000, Release::Paced), 50_001);
        assert_eq!(after(49_999, 90_000, Release::Paced), 51_999);
        assert_eq!(after(49_999, 1999, Release::Paced), 51_998);
        assert_eq!(after(20_000, 2000, Release::AtOnce), 22_000);
        assert_eq!(after(20_000, 2001, Release::AtOnce), 22_000);
    }

    #[test]
    fn recovery_ends_at_ssthresh_if_paced_and_more_than_the_initial_window_is_missing() {
        let after = |flight, release| {
            let mut cong = fresh();
            cong.enter_recovery(100_000);
            cong.leave_recovery(flight, release);
            cong.cwnd()
        };
        assert_eq!(after(39_000, Release::Paced), 40_000);
        assert_eq!(after(38_999, Release::Paced), 50_000);
        assert_eq!(after(38_999, Release::AtOnce), 39_999);
        assert_eq!(after(0, Release::Paced), 50_000);
        assert_eq!(after(0, Release::AtOnce), 2000);
        assert_eq!(after(60_000, Release::Paced), 50_000);
    }

    #[test]
    fn pacing_leaves_room_for_the_growth_that_is_wanted() {
        let mut cong = fresh();
        assert_eq!(cong.pacing_percent(), 140);
        cong.ssthresh = 20_002;
        assert_eq!(cong.pacing_percent(), 140);
        cong.ssthresh = 20_001;
        assert_eq!(cong.pacing_percent(), 120);
        cong.ssthresh = 5000;
        assert_eq!(cong.pacing_percent(), 120);
    }

    #[test]
    fn slow_start_becomes_conservative_and_ends_when_round_trips_lengthen() {
        let mut cong = fresh();
        let round = |cong: &mut Congestion, number: u32, millis| {
            let end = SeqNum::new(1000 * number);
            for ack in (0..8).rev() {
                let snd_nxt = if ack == 0 { end + 1000 } else { end };
                cong.measured(Duration::from_millis(millis), end - ack, snd_nxt);
            }
        };
        round(&mut cong, 1, 100);
        round(&mut cong, 2, 150);
        acknowledged(&mut cong, 4000, 10_000);
        assert_eq!(cong.cwnd(), 11_000);
        for number in 3..=6 {
            assert_eq!(cong.ssthresh(), MAX_CWND);
            round(&mut cong, number, 150);
        }
        assert_eq!(cong.ssthresh(), 11_000);
        // Only the first slow start is ended like that.
        cong.timed_out(100_000, Timeouts::First);
        for number in 7..100 {
            round(&mut cong, number, u64::from(number) * 100);
        }
        assert_eq!(cong.ssthresh(), 50_000);
    }

    #[test]
    fn slow_start_after_a_timeout_grows_by_at_most_a_segment() {
        let mut cong = fresh();
        cong.timed_out(20_000, Timeouts::First);
        for wanted in (2000..=10_000).step_by(1000) {
            acknowledged(&mut cong, 5000, 20_000);
            assert_eq!(cong.cwnd(), wanted);
        }
        // Congestion avoidance ends that.
        acknowledged(&mut cong, 1000, 20_000);
        assert!(matches!(cong.slow_start, SlowStart::Later));
    }

    #[test]
    fn cubic_takes_three_tenths_and_grows_by_time() {
        let mut cong = Congestion::new(CongestionControl::Cubic, 1000, Handshake::AtOnce);
        cong.cwnd = 100_000;
        cong.enter_recovery(100_000);
        assert_eq!((cong.ssthresh(), cong.cwnd()), (70_000, 73_000));
        cong.leave_recovery(70_000, Release::Paced);
        assert_eq!(cong.cwnd(), 70_000);
        // K is 4.217 s: at that time the window is what it was.
        let mut millis = 0;
        while millis <= 4200 {
            let now = Instant::from_millis(millis);
            cong.acknowledged(cong.cwnd(), cong.cwnd(), now, Duration::from_millis(100), Release::Paced);
            millis += 100;
        }
        assert_eq!(cong.cwnd(), 100_000);
        cong.timed_out(100_000, Timeouts::First);
        assert_eq!((cong.ssthresh(), cong.cwnd()), (70_000, 1000));
    }

    #[test]
    fn cubic_does_not_grow_what_is_not_used() {
        let mut cong = Congestion::new(CongestionControl::Cubic, 1000, Handshake::AtOnce);
        cong.ssthresh = 10_000;
        let rtt = Duration::from_millis(100);
        for second in 0..100 {
            cong.acknowledged(5000, 5000, Instant::from_secs(second), rtt, Release::Paced);
            assert_eq!(cong.cwnd(), 10_000);
        }
        // The hundred seconds do not count: the stage begins now.
        cong.acknowledged(10_000, 10_000, Instant::from_secs(100), rtt, Release::Paced);
        assert!(cong.cwnd() <= 11_000, "{}", cong.cwnd());
    }

    #[test]
    fn unused_window_does_not_grow() {
        let mut cong = fresh();
        acknowledged(&mut cong, 1000, 5000);
        assert_eq!(cong.cwnd(), 10_000);
        acknowledged(&mut cong, 1000, 5001);
        assert_eq!(cong.cwnd(), 11_000);
    }

    #[test]
    fn congestion_avoidance_grows_by_a_segment_a_window() {
        let mut cong = fresh();
        cong.timed_out(20_000, Timeouts::First);
        for _ in 0..9 {
            acknowledged(&mut cong, 1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 10_000);
        for _ in 0..9 {
            acknowledged(&mut cong, 1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 10_000);
        acknowledged(&mut cong, 1000, 20_000);
        assert_eq!(cong.cwnd(), 11_000);
    }

    #[test]
    fn fast_recovery_halves_inflates_and_deflates() {
        let mut cong = fresh();
        cong.enter_recovery(10_000);
        assert_eq!((cong.ssthresh(), cong.cwnd()), (5000, 8000));
        cong.duplicate();
        assert_eq!(cong.cwnd(), 9000);
        cong.partially_acknowledged(2000);
        assert_eq!(cong.cwnd(), 8000);
        cong.partially_acknowledged(500);
        assert_eq!(cong.cwnd(), 7500);
        cong.leave_recovery(2000, Release::Paced);
        assert_eq!(cong.cwnd(), 3000);
    }

    #[test]
    fn flood_of_duplicates_inflates_by_no_more_than_was_outstanding() {
        let mut cong = fresh();
        cong.enter_recovery(10_000);
        (0..100_000).for_each(|_| cong.duplicate());
        assert_eq!(cong.cwnd(), 5000 + 10_000);
        cong.enter_recovery(2000);
        cong.duplicate();
        assert_eq!(cong.cwnd(), 2000 + 3000, "three had left already");
    }

    #[test]
    fn timeout_leaves_one_segment_and_only_the_first_one_sets_ssthresh() {
        let mut cong = fresh();
        cong.timed_out(10_000, Timeouts::First);
        assert_eq!((cong.ssthresh(), cong.cwnd()), (5000, 1000));
        cong.timed_out(1000, Timeouts::Repeated);
        assert_eq!((cong.ssthresh(), cong.cwnd()), (5000, 1000));
    }

    #[test]
    fn ssthresh_is_at_least_two_segments() {
        let mut cong = fresh();
        cong.timed_out(1000, Timeouts::First);
        assert_eq!(cong.ssthresh(), 2000);
    }

    #[test]
    fn segments_of_another_size_change_the_initial_window_and_fit_into_the_window() {
        let mut cong = fresh();
        cong.set_smss(512);
        assert_eq!((cong.cwnd(), cong.cwnd_after_idle()), (10_000, 5120));
        cong.timed_out(20_000, Timeouts::First);
        cong.set_smss(1000);
        assert_eq!((cong.cwnd(), cong.initial()), (1000, 10_000));
        cong.timed_out(100, Timeouts::First);
        cong.set_smss(1200);
        assert_eq!((cong.cwnd(), cong.ssthresh()), (1200, 2400));
        let mut cong = Congestion::new(CongestionControl::Cubic, 1000, Handshake::Retransmitted);
        cong.set_smss(512);
        assert_eq!(cong.initial(), 512);
    }

    #[test]
    fn slow_start_over_too_large_segments_leads_back_to_the_window_that_was() {
        let mut cong = fresh();
        cong.start_slowly();
        assert_eq!((cong.cwnd(), cong.ssthresh()), (1000, MAX_CWND));
        let mut cong = fresh();
        cong.ssthresh = 8000;
        cong.start_slowly();
        assert_eq!((cong.cwnd(), cong.ssthresh()), (1000, 10_000));
    }

    #[test]
    fn idle_time_brings_back_the_initial_window() {
        let mut cong = fresh();
        for _ in 0..5 {
            acknowledged(&mut cong, 1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 15_000);
        cong.restart_after_idle();
        assert_eq!(cong.cwnd(), 10_000);
    }

    #[test]
    fn window_is_bounded() {
        let mut cong = fresh();
        cong.cwnd = MAX_CWND - 1;
        acknowledged(&mut cong, 5000, MAX_CWND);
        assert_eq!(cong.cwnd(), MAX_CWND);
    }
}
