//! Clock arithmetic, and the one timer of the sending side.

use smoltcp::time::{Duration, Instant};

/// The time since `since`, none if that is still to come.
pub(super) fn elapsed(now: Instant, since: Instant) -> Duration {
    if now <= since { Duration::from_micros(0) } else { now - since }
}

/// The earlier of two deadlines.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (deadline, None) | (None, deadline) => deadline,
    }
}

/// What the sending side waits for besides the peer: never more than one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendTimer {
    /// Nothing to wait for.
    Off,
    /// The retransmission timer (RFC 6298 §5).
    Retransmission(Instant),
    /// The peer's window is zero: the next probe (RFC 9293 §3.8.6.1).
    Persist {
        /// When it is sent.
        at: Instant,
        /// How long we waited for it, doubled for the next one.
        interval: Duration,
    },
    /// Silly window avoidance holds text back with nothing outstanding: the override (RFC 9293 §3.8.6.2.1).
    Override(Instant),
    // Keep-alives, pacing and RACK-TLP have times of their own.
}

impl SendTimer {
    /// When it expires.
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Off => None,
            Self::Retransmission(at) | Self::Persist { at, .. } | Self::Override(at) => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_is_never_negative() {
        let (one, two) = (Instant::from_secs(1), Instant::from_secs(2));
        assert_eq!(elapsed(two, one), Duration::from_secs(1));
        assert_eq!(elapsed(one, two), Duration::from_secs(0));
    }

    #[test]
    fn earlier_takes_whatever_deadline_there_is() {
        let (one, two) = (Instant::from_secs(1), Instant::from_secs(2));
        assert_eq!(earlier(Some(one), Some(two)), Some(one));
        assert_eq!(earlier(Some(two), None), Some(two));
        assert_eq!(earlier(None, Some(two)), Some(two));
        assert_eq!(earlier(None, None), None);
    }
}
