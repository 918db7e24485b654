//! The limit of ACKs that the peer, or someone in its name, can make us send (RFC 5961 §7, RFC 9293 §3.10.7.4).

use smoltcp::time::{Duration, Instant};

use super::timers::elapsed;

/// How many such ACKs a connection sends within `INTERVAL`: the example of RFC 5961 §7.
///
/// Deviation: RFC 9293 §3.10.7.4 has every segment that is not acceptable answered. Challenge ACKs, and answers to segments without text,
/// have this limit, so that nobody can make us send without end. A peer notices that the eleventh gets no answer.
const LIMIT: u32 = 10;

/// The interval of RFC 5961 §7.
const INTERVAL: Duration = Duration::from_secs(5);

/// Counts the challenge ACKs of one connection; a counter for all of them would be a side channel (CVE-2016-5696).
#[derive(Debug)]
pub(super) struct Throttle {
    /// When the interval began.
    since: Instant,
    /// ACKs sent in it.
    sent: u32,
}

impl Throttle {
    /// Nothing sent yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, sent: 0 }
    }

    /// Whether one more may be sent.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.sent < LIMIT || elapsed(now, self.since) >= INTERVAL
    }

    /// One is sent.
    pub(super) fn count(&mut self, now: Instant) {
        if elapsed(now, self.since) >= INTERVAL {
            *self = Self::new(now);
        }
        self.sent = self.sent.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_allowed_in_five_seconds_and_then_ten_more() {
        let start = Instant::from_secs(100);
        let mut throttle = Throttle::new(start);
        for interval in 0..3 {
            let now = start + INTERVAL * interval;
            for _ in 0..10 {
                assert!(throttle.allows(now));
                throttle.count(now);
            }
            assert!(!throttle.allows(now));
            assert!(!throttle.allows(now + (INTERVAL - Duration::from_micros(1))));
        }
    }
}
