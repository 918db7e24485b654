//! How long we wait for a peer that does not acknowledge: R1 and R2 (RFC 9293 §3.8.3).

use smoltcp::time::{Duration, Instant};

/// R1: so many retransmissions of the same octets, at the current RTO each (RFC 9293 §3.8.3, SHLD-10: at least three).
const R1_RETRANSMISSIONS: u32 = 3;

/// R2: when a connection is given up (RFC 9293 §3.8.3, §3.9.1.1, MUST-21).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserTimeout {
    /// So long after the peer last acknowledged something.
    After(Duration),
    /// Never: "infinity" of RFC 9293 §3.8.3.
    Never,
}

/// Where delivery stands between the two thresholds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    /// Below R1.
    Normal,
    /// R1 was reached, and the user does not know yet.
    Doubtful,
    /// R1 was reached, and the user was told.
    Told,
}

/// Waits for acknowledgements.
#[derive(Debug)]
pub(super) struct Patience {
    /// R2.
    r2: UserTimeout,
    /// When the peer last showed that it takes what we send, or we began to send.
    since: Instant,
    /// Retransmissions since then.
    retransmissions: u32,
    /// What has to be said about that.
    delivery: Delivery,
}

impl Patience {
    /// Begins to wait.
    pub(super) const fn new(r2: UserTimeout, now: Instant) -> Self {
        Self { r2, since: now, retransmissions: 0, delivery: Delivery::Normal }
    }

    /// From now on this is R2; the waiting goes on.
    pub(super) const fn set_r2(&mut self, r2: UserTimeout) {
        self.r2 = r2;
    }

    /// The peer takes what we send, or we begin to send.
    pub(super) const fn renew(&mut self, now: Instant) {
        *self = Self::new(self.r2, now);
    }

    /// The oldest octets outstanding were sent again because a timer expired.
    pub(super) fn retransmitted(&mut self) {
        self.retransmissions = self.retransmissions.saturating_add(1);
        if self.retransmissions == R1_RETRANSMISSIONS {
            self.delivery = Delivery::Doubtful;
        }
    }

    /// Whether something was sent again, or a closed window probed, since the peer last answered.
    pub(super) const fn has_retransmitted(&self) -> bool {
        self.retransmissions > 0
    }

    /// Whether R1 is reached.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.retransmissions >= R1_RETRANSMISSIONS
    }

    /// How often the oldest octets outstanding were sent again.
    pub(super) const fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    /// The retransmissions that the user has to be told of (RFC 9293 §3.8.3, SHLD-9), once each time that R1 is reached.
    pub(super) fn to_tell(&self) -> Option<u32> {
        (self.delivery == Delivery::Doubtful).then_some(self.retransmissions)
    }

    /// The user was told.
    pub(super) fn told(&mut self) {
        if self.delivery == Delivery::Doubtful {
            self.delivery = Delivery::Told;
        }
    }

    /// When R2 is reached, if something is being waited for.
    pub(super) fn gives_up_at(&self) -> Option<Instant> {
        match self.r2 {
            // A time past the end of the clock never comes.
            UserTimeout::After(timeout) => {
                let micros = i64::try_from(timeout.total_micros()).ok()?;
                self.since.total_micros().checked_add(micros).map(Instant::from_micros)
            }
            UserTimeout::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::Control;
    use super::super::solo::{alone, at, due, established, from_peer, syn, syn_received, take};
    use super::super::{Config, Due, Path, Poll, Setting, SynReceivedDue};
    use super::*;

    const START: Instant = Instant::from_micros_const(50_000_000);

    fn patience() -> Patience {
        Patience::new(UserTimeout::After(Duration::from_secs(100)), START)
    }

    #[test]
    fn shld_10_r1_is_reached_at_the_third_retransmission_and_told_once() {
        let mut patience = patience();
        patience.retransmitted();
        patience.retransmitted();
        assert!(!patience.is_doubtful() && patience.to_tell().is_none());
        patience.retransmitted();
        assert!(patience.is_doubtful());
        assert_eq!(patience.to_tell(), Some(3));
        patience.told();
        patience.retransmitted();
        assert_eq!(patience.to_tell(), None);
        assert!(patience.is_doubtful());
    }

    #[test]
    fn an_acknowledgement_begins_anew() {
        let mut patience = patience();
        for _ in 0..3 {
            patience.retransmitted();
        }
        patience.renew(START + Duration::from_secs(7));
        assert!(!patience.is_doubtful() && patience.to_tell().is_none());
        assert_eq!(patience.gives_up_at(), Some(START + Duration::from_secs(107)));
        for _ in 0..3 {
            patience.retransmitted();
        }
        assert_eq!(patience.to_tell(), Some(3));
    }

    #[test]
    fn must_21_r2_is_settable_and_may_be_infinite() {
        let mut patience = patience();
        assert_eq!(patience.gives_up_at(), Some(START + Duration::from_secs(100)));
        patience.set_r2(UserTimeout::After(Duration::from_secs(5)));
        assert_eq!(patience.gives_up_at(), Some(START + Duration::from_secs(5)));
        patience.set_r2(UserTimeout::Never);
        assert_eq!(patience.gives_up_at(), None);
        patience.set_r2(UserTimeout::After(Duration::MAX));
        assert_eq!(patience.gives_up_at(), None);
    }

    #[test]
    fn must_20_at_r1_ip_is_advised_and_at_r2_the_connection_is_given_up() {
        let mut tcp = established(Config::default());
        tcp.send(b"text", at(0));
        let sent = alone(&mut tcp, at(0), at(299));
        let paths: Vec<Path> = sent.iter().map(|(_, segment)| segment.carriage.path).collect();
        assert_eq!(paths[..3], [Path::Good; 3]);
        assert!(paths.len() > 4 && paths[3..].iter().all(|path| *path == Path::Doubtful));
        assert_ne!(tcp.poll(at(300) - Duration::from_micros(1)), Poll::Now(Due::GiveUp));
        assert_eq!(tcp.poll(at(300)), Poll::Now(Due::GiveUp));
    }

    #[test]
    fn must_21_the_user_sets_r2_while_octets_are_outstanding() {
        let mut tcp = established(Config::default());
        tcp.send(b"text", at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        tcp.set(Setting::UserTimeout(UserTimeout::After(Duration::from_secs(10))), at(1));
        assert_eq!(tcp.poll(at(10)), Poll::Now(Due::GiveUp));
        tcp.set(Setting::UserTimeout(UserTimeout::Never), at(10));
        let sent = alone(&mut tcp, at(10), at(1_000_000));
        assert!(sent.len() > 10_000, "{} retransmissions", sent.len());
        take(&mut tcp, from_peer(Control::ACK, 0, 4, b""), at(1_000_000));
        assert_eq!(tcp.poll(at(1_000_000)), Poll::Never);
    }

    #[test]
    fn must_23_the_users_timeout_does_not_shorten_that_of_the_syn() {
        let config = Config { user_timeout: UserTimeout::After(Duration::from_secs(1)), ..Config::default() };
        let (tcp, _) = syn_received(config, syn(Control::SYN));
        assert_ne!(tcp.poll(at(179)), Poll::Now(SynReceivedDue::GiveUp));
        assert_eq!(tcp.poll(at(180)), Poll::Now(SynReceivedDue::GiveUp));
    }
}
