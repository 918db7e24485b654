//! Keep-alives: whether the peer of an idle connection is still there (RFC 9293 §3.8.4).

use smoltcp::time::{Duration, Instant};

use super::Poll;
use super::timers::elapsed;

/// Between a probe that is not answered and the next one, as in Linux and the BSDs (`tcp_keepalive_intvl`), or the interval
/// of the keep-alives if that is shorter.
const RETRY_INTERVAL: Duration = Duration::from_secs(75);

/// So many probes in a row go unanswered before the connection is dead, as in Linux (`tcp_keepalive_probes`): one must not
/// be enough (RFC 9293 §3.8.4, MUST-29).
const MAX_PROBES: u32 = 9;

/// The least interval, so that a user cannot make us send without end.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Whether keep-alives are sent (RFC 9293 §3.8.4, MUST-24): not by default (MUST-25).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeepAlive {
    /// They are not.
    #[default]
    Off,
    /// After this time without a segment from the peer, at least a second (MUST-27).
    Every(Duration),
}

impl KeepAlive {
    /// On, at the interval that is the least by default (RFC 9293 §3.8.4, MUST-28): two hours.
    pub const ON: Self = Self::Every(Duration::from_secs(2 * 60 * 60));
}

/// What is to be done about a silent peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alarm {
    /// A probe: <SEQ=SND.NXT-1><ACK=RCV.NXT><CTL=ACK>, without text (SHLD-12).
    Probe,
    /// None of the probes was answered: the connection is dead.
    Dead,
}

/// Listens for the peer.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// Whether it does.
    setting: KeepAlive,
    /// When an acceptable segment last arrived, or the last probe was sent.
    since: Instant,
    /// Probes sent after that segment.
    probes: u32,
}

impl Heartbeat {
    /// Begins to listen.
    pub(super) const fn new(setting: KeepAlive, now: Instant) -> Self {
        Self { setting, since: now, probes: 0 }
    }

    /// The user switches them on or off, or changes the interval; silence so far counts.
    pub(super) fn set(&mut self, setting: KeepAlive) {
        self.setting = setting;
        if setting == KeepAlive::Off {
            self.probes = 0;
        }
    }

    /// An acceptable segment has arrived (MUST-26).
    pub(super) const fn heard(&mut self, now: Instant) {
        self.since = now;
        self.probes = 0;
    }

    /// What is due, nothing being outstanding (MUST-26: else the retransmissions find out).
    pub(super) fn poll(&self, now: Instant) -> Poll<Alarm> {
        let KeepAlive::Every(interval) = self.setting else {
            return Poll::Never;
        };
        let interval = interval.max(MIN_INTERVAL);
        let patience = if self.probes == 0 { interval } else { interval.min(RETRY_INTERVAL) };
        if elapsed(now, self.since) >= patience {
            return Poll::Now(if self.probes < MAX_PROBES { Alarm::Probe } else { Alarm::Dead });
        }
        let at = i64::try_from(patience.total_micros()).ok().and_then(|it| self.since.total_micros().checked_add(it));
        at.map_or(Poll::Never, |at| Poll::At(Instant::from_micros(at)))
    }

    /// A probe is sent.
    pub(super) fn probed(&mut self, now: Instant) {
        self.since = now;
        self.probes = self.probes.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::solo::{alone, at, due, established, from_peer, take};
    use super::super::{Config, Due, Established, Reaction, Tcp, segment::Control};
    use super::*;

    const START: Instant = Instant::from_micros_const(9_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn must_25_they_are_off_by_default() {
        let heartbeat = Heartbeat::new(KeepAlive::default(), START);
        assert_eq!(heartbeat.poll(START + Duration::from_secs(1 << 40)), Poll::Never);
    }

    #[test]
    fn must_28_the_interval_is_two_hours_unless_set() {
        let heartbeat = Heartbeat::new(KeepAlive::ON, START);
        let at = START + Duration::from_secs(7200);
        assert_eq!(heartbeat.poll(at - Duration::from_micros(1)), Poll::At(at));
        assert_eq!(heartbeat.poll(at), Poll::Now(Alarm::Probe));
    }

    #[test]
    fn must_29_only_the_ninth_unanswered_probe_means_death() {
        let mut heartbeat = Heartbeat::new(KeepAlive::Every(MINUTE * 10), START);
        let mut now = START + MINUTE * 10;
        for _ in 0..9 {
            assert_eq!(heartbeat.poll(now), Poll::Now(Alarm::Probe));
            heartbeat.probed(now);
            assert_eq!(heartbeat.poll(now), Poll::At(now + RETRY_INTERVAL));
            now += RETRY_INTERVAL;
        }
        assert_eq!(heartbeat.poll(now), Poll::Now(Alarm::Dead));
        heartbeat.heard(now);
        assert_eq!(heartbeat.poll(now), Poll::At(now + MINUTE * 10));
    }

    #[test]
    fn must_24_and_27_they_are_switched_and_set_at_any_time() {
        let mut heartbeat = Heartbeat::new(KeepAlive::Off, START);
        heartbeat.set(KeepAlive::Every(MINUTE));
        assert_eq!(heartbeat.poll(START), Poll::At(START + MINUTE));
        heartbeat.probed(START + MINUTE);
        heartbeat.set(KeepAlive::Off);
        assert_eq!(heartbeat.poll(START + MINUTE * 9), Poll::Never);
        heartbeat.set(KeepAlive::Every(Duration::from_micros(0)));
        assert_eq!(heartbeat.poll(START + MINUTE), Poll::At(START + MINUTE + MIN_INTERVAL));
        heartbeat.set(KeepAlive::Every(Duration::MAX));
        assert_eq!(heartbeat.poll(START + MINUTE * 9), Poll::Never);
    }

    fn kept_alive(interval: Duration) -> Tcp<Established> {
        established(Config { keep_alive: KeepAlive::Every(interval), ..Config::default() })
    }

    #[test]
    fn shld_12_a_probe_is_an_old_octet_without_text() {
        let mut tcp = kept_alive(MINUTE);
        assert!(due(&mut tcp, at(59)).is_empty());
        let probes = due(&mut tcp, at(60));
        assert_eq!(probes.len(), 1);
        assert_eq!((probes[0].seq, probes[0].ack), (tcp.status().snd_nxt - 1, tcp.status().rcv_nxt));
        assert_eq!((probes[0].control, probes[0].payload.len()), (Control::ACK, 0));
    }

    #[test]
    fn an_answer_keeps_the_connection_and_silence_ends_it() {
        let mut tcp = kept_alive(MINUTE * 60);
        for hour in 1..=3 {
            assert_eq!(due(&mut tcp, at(hour * 3600)).len(), 1);
            take(&mut tcp, from_peer(Control::ACK, 0, 0, b""), at(hour * 3600));
        }
        let probes = alone(&mut tcp, at(3 * 3600), at(9 * 3600));
        assert_eq!(probes.len(), 9);
        let last = probes.last().unwrap().0;
        assert_eq!(last, at(4 * 3600 + 8 * 75));
        assert_eq!(tcp.poll(last + RETRY_INTERVAL), Poll::Now(Due::GiveUp));
    }

    #[test]
    fn must_26_none_is_sent_while_something_is_outstanding_or_arrives() {
        let mut tcp = kept_alive(MINUTE);
        tcp.send(b"text", at(0));
        let sent = alone(&mut tcp, at(0), at(200));
        assert!(sent.iter().all(|(_, segment)| segment.payload == b"text"), "{sent:?}");
        take(&mut tcp, from_peer(Control::ACK, 0, 4, b""), at(200));
        assert_eq!(due(&mut tcp, at(259)), []);
        take(&mut tcp, from_peer(Control::ACK, 0, 4, b""), at(259));
        assert_eq!(due(&mut tcp, at(318)), []);
        assert_eq!(due(&mut tcp, at(319)).len(), 1);
    }

    #[test]
    fn a_segment_that_is_not_acceptable_shows_no_life() {
        let mut tcp = kept_alive(MINUTE);
        let old = from_peer(Control::ACK, u32::MAX - 9, 0, b"");
        assert!(matches!(tcp.judge(old.clone(), at(59)), Reaction::NotAcceptable(..)));
        let _ack = tcp.challenge(&old, at(59));
        assert_eq!(due(&mut tcp, at(60)).len(), 1);
    }
}
