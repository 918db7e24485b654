//! Eifel: whether what was sent again was needed, found out by the timestamp that its acknowledgement echoes (RFC 3522), and what
//! follows if it was not (RFC 4015).

use smoltcp::time::{Duration, Instant};

use super::congestion::Congestion;
use super::seq::SeqNum;
use super::timers::elapsed;
use super::timestamps::is_echo_older;

/// What was there before a recovery.
#[derive(Debug)]
pub(super) struct Eifel {
    /// RetransmitTS: when the first retransmission was sent (RFC 3522 §3.2, step 2).
    since: Instant,
    /// The first number of that retransmission.
    first: SeqNum,
    /// The congestion window.
    before: Congestion,
}

impl Eifel {
    /// Something is about to be sent again, from `first` on.
    pub(super) const fn new(first: SeqNum, before: Congestion, now: Instant) -> Self {
        Self { since: now, first, before }
    }

    /// RFC 3522 §3.2, step 4: whether SEG.ACK is the first that covers the retransmission.
    pub(super) const fn is_covered(&self, seg_ack: SeqNum) -> bool {
        seg_ack.is_after(self.first)
    }

    /// RFC 3522 §3.2, step 5: whether that acknowledgement is for what was sent before, as it echoes a timestamp of this age.
    pub(super) fn is_spurious(&self, age: Option<Duration>, now: Instant) -> bool {
        is_echo_older(age, elapsed(now, self.since))
    }

    /// RFC 4015 §3.2: the congestion window as it was, without a burst.
    pub(super) fn into_congestion(self, pipe: u32, acked: u32, smss: u32) -> Congestion {
        let mut congestion = self.before;
        congestion.set_smss(smss);
        congestion.resume_with(pipe, acked);
        congestion
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::CongestionControl;
    use super::super::congestion::Handshake;
    use super::*;

    const FIRST: SeqNum = SeqNum::new(u32::MAX);

    fn eifel() -> Eifel {
        let congestion = Congestion::new(CongestionControl::NewReno, 1000, Handshake::AtOnce);
        Eifel::new(FIRST, congestion, Instant::from_millis(5000))
    }

    #[test]
    fn echo_of_something_older_than_the_retransmission_shows_that_it_was_spurious() {
        let now = Instant::from_millis(5100);
        assert!(eifel().is_spurious(Some(Duration::from_millis(101)), now));
        assert!(!eifel().is_spurious(Some(Duration::from_millis(100)), now));
        assert!(!eifel().is_spurious(None, now));
        assert!(eifel().is_covered(FIRST + 1));
        assert!(!eifel().is_covered(FIRST));
    }

    #[test]
    fn window_comes_back_without_a_burst() {
        let congestion = eifel().into_congestion(3000, 2000, 1000);
        assert_eq!(congestion.cwnd(), 5000);
        assert!(congestion.ssthresh() >= 10_000);
        assert_eq!(eifel().into_congestion(9000, 2000, 1000).cwnd(), 10_000, "no more than it was");
    }
}
