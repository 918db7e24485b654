//! The congestion window: slow start, congestion avoidance and its use in recovery (RFC 5681, RFC 6582, RFC 6928).

// Here goes the choice of an algorithm, once CUBIC (RFC 9438) stands beside this one; ECN (RFC 3168) calls `enter_recovery`.

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

/// CWND and what it depends on, all in octets.
#[derive(Debug)]
pub(super) struct Congestion {
    /// SMSS.
    smss: u32,
    /// IW, and RW after idle time.
    initial: u32,
    /// CWND.
    cwnd: u32,
    /// SSTHRESH.
    ssthresh: u32,
    /// Octets acknowledged since CWND last grew in congestion avoidance (RFC 5681 §3.1).
    acked: u32,
}

impl Congestion {
    /// The window to begin with.
    pub(super) fn new(smss: u32, handshake: Handshake) -> Self {
        let initial = match handshake {
            // RFC 6928 §2.
            Handshake::AtOnce => (10 * smss).min(14_600.max(2 * smss)),
            // RFC 5681 §3.1: one segment after a lost SYN.
            Handshake::Retransmitted => smss,
        };
        Self { smss, initial, cwnd: initial, ssthresh: MAX_CWND, acked: 0 }
    }

    /// CWND.
    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// SSTHRESH.
    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// RFC 5681 §4.1: CWND when nothing was sent for longer than RTO.
    pub(super) fn cwnd_after_idle(&self) -> u32 {
        self.cwnd.min(self.initial)
    }

    /// Takes on `cwnd_after_idle`.
    pub(super) fn restart_after_idle(&mut self) {
        self.cwnd = self.cwnd_after_idle();
    }

    /// New text was acknowledged outside of fast recovery; `flight` was outstanding before.
    pub(super) fn acknowledged(&mut self, acked: u32, flight: u32) {
        if self.cwnd < self.ssthresh {
            // A window that was not used has not been probed: it does not grow (RFC 7661 §1).
            if self.cwnd < flight.saturating_mul(2) {
                // RFC 5681 §3.1 (2): min(N, SMSS). Here goes appropriate byte counting (RFC 3465).
                self.grow(acked.min(self.smss));
            }
            return;
        }
        // RFC 5681 §3.1: about one SMSS a round trip, counted in octets.
        self.acked = self.acked.saturating_add(acked);
        if self.acked >= self.cwnd {
            self.acked -= self.cwnd;
            if self.cwnd < flight.saturating_mul(2) {
                self.grow(self.smss);
            }
        }
    }

    /// RFC 5681 §3.2 (2) and (3): fast retransmit; three segments have left the network.
    pub(super) fn enter_recovery(&mut self, flight: u32) {
        self.ssthresh = self.half_of(flight);
        self.cwnd = self.ssthresh + 3 * self.smss;
        self.acked = 0;
    }

    /// RFC 5681 §3.2 (4): a further segment has left the network.
    pub(super) fn duplicate(&mut self) {
        self.grow(self.smss);
    }

    /// RFC 6582 §3.2 (3): a partial acknowledgement deflates the window by what it covers.
    pub(super) fn partially_acknowledged(&mut self, acked: u32) {
        self.cwnd = self.cwnd.saturating_sub(acked);
        if acked >= self.smss {
            self.grow(self.smss);
        }
        self.cwnd = self.cwnd.max(self.smss);
    }

    /// RFC 6582 §3.2 (3), option 1: a full acknowledgement ends recovery, without a burst.
    pub(super) fn leave_recovery(&mut self, flight: u32) {
        self.cwnd = self.ssthresh.min(flight.max(self.smss) + self.smss);
    }

    /// RFC 5681 §3.1 (4): the retransmission timer expired.
    pub(super) fn timed_out(&mut self, flight: u32, timeouts: Timeouts) {
        if timeouts == Timeouts::First {
            self.ssthresh = self.half_of(flight);
        }
        self.cwnd = self.smss;
        self.acked = 0;
    }

    /// RFC 5681 §3.1 (4): max(FlightSize / 2, 2 * SMSS).
    fn half_of(&self, flight: u32) -> u32 {
        (flight / 2).max(2 * self.smss).min(MAX_CWND)
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
        Congestion::new(1000, Handshake::AtOnce)
    }

    #[test]
    fn initial_window_is_that_of_rfc_6928() {
        assert_eq!(Congestion::new(1460, Handshake::AtOnce).cwnd(), 14_600);
        assert_eq!(Congestion::new(536, Handshake::AtOnce).cwnd(), 5_360);
        assert_eq!(Congestion::new(9000, Handshake::AtOnce).cwnd(), 18_000);
        assert_eq!(Congestion::new(1460, Handshake::Retransmitted).cwnd(), 1460);
    }

    #[test]
    fn slow_start_grows_by_what_is_acknowledged_but_at_most_a_segment() {
        let mut cong = fresh();
        cong.acknowledged(400, 10_000);
        assert_eq!(cong.cwnd(), 10_400);
        cong.acknowledged(5000, 10_000);
        assert_eq!(cong.cwnd(), 11_400);
    }

    #[test]
    fn unused_window_does_not_grow() {
        let mut cong = fresh();
        cong.acknowledged(1000, 5000);
        assert_eq!(cong.cwnd(), 10_000);
        cong.acknowledged(1000, 5001);
        assert_eq!(cong.cwnd(), 11_000);
    }

    #[test]
    fn congestion_avoidance_grows_by_a_segment_a_window() {
        let mut cong = fresh();
        cong.timed_out(20_000, Timeouts::First);
        for _ in 0..9 {
            cong.acknowledged(1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 10_000);
        for _ in 0..9 {
            cong.acknowledged(1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 10_000);
        cong.acknowledged(1000, 20_000);
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
        cong.leave_recovery(2000);
        assert_eq!(cong.cwnd(), 3000);
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
    fn idle_time_brings_back_the_initial_window() {
        let mut cong = fresh();
        for _ in 0..5 {
            cong.acknowledged(1000, 20_000);
        }
        assert_eq!(cong.cwnd(), 15_000);
        cong.restart_after_idle();
        assert_eq!(cong.cwnd(), 10_000);
    }

    #[test]
    fn window_is_bounded() {
        let mut cong = fresh();
        cong.cwnd = MAX_CWND - 1;
        cong.duplicate();
        assert_eq!(cong.cwnd(), MAX_CWND);
    }
}
