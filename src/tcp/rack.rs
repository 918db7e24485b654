//! Recent acknowledgement: what was sent before something that has arrived, and long enough ago, was lost (RFC 8985 §6).

use smoltcp::time::{Duration, Instant};

use super::scoreboard::{Record, Sending};
use super::seq::SeqNum;
use super::timers::elapsed;
use super::timestamps::is_echo_older;

/// RACK.reo_wnd_persist: so many recoveries without a duplicate make the reordering window small again (RFC 8985 §6.2, step 4).
const PERSISTENCE: u32 = 16;

/// RACK.reo_wnd_mult needs no more: with it a window of so many quarters of min_RTT is above any SRTT that is worth the wait.
const MAX_MULTIPLIER: u32 = 64;

/// DupThresh (RFC 8985 §6.2, step 4): so many reported segments say enough.
const DUPLICATE_THRESHOLD: u32 = 3;

/// RACK.min_RTT is the least of one or two such spans (RFC 8985 §6.2, step 1: a windowed minimum); Linux looks back five minutes.
const MIN_RTT_SPAN: Duration = Duration::from_secs(150);

/// Whether a loss is being recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovering {
    /// None is.
    No,
    /// One is, after a fast retransmit or a timeout.
    Yes,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing sent after it has arrived.
    Unknown,
    /// It will be lost then, if it does not arrive before.
    LostAt(Instant),
}

/// The least round trip of late.
#[derive(Debug)]
struct MinRtt {
    /// When the present span began.
    since: Option<Instant>,
    /// The least of the span before.
    before: Option<Duration>,
    /// The least of the present span.
    least: Option<Duration>,
}

impl MinRtt {
    /// The least round trip, if any was measured.
    fn get(&self) -> Option<Duration> {
        self.before.into_iter().chain(self.least).min()
    }

    /// Takes a measurement.
    fn measure(&mut self, rtt: Duration, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if elapsed(now, since) >= MIN_RTT_SPAN {
            self.since = Some(now);
            self.before = self.least.take();
        }
        self.least = self.least.into_iter().chain([rtt]).min();
    }
}

/// The segment sent last of those that have arrived.
#[derive(Clone, Copy, Debug)]
struct Newest {
    /// RACK.xmit_ts.
    sent_at: Instant,
    /// RACK.end_seq.
    end: SeqNum,
}

/// The variables of RFC 8985 §5.2 and §5.3.
#[derive(Debug)]
pub(super) struct Rack {
    /// RACK.segment.
    newest: Option<Newest>,
    /// RACK.rtt.
    rtt: Duration,
    /// RACK.min_RTT.
    min_rtt: MinRtt,
    /// RACK.fack: the end of the highest segment that has arrived.
    fack: Option<SeqNum>,
    /// RACK.reordering_seen.
    reordering_seen: bool,
    /// RACK.reo_wnd_mult.
    multiplier: u32,
    /// RACK.reo_wnd_persist.
    persistence: u32,
    /// RACK.dsack_round.
    duplicate_round: Option<SeqNum>,
}

impl Rack {
    /// Nothing has arrived yet.
    pub(super) const fn new() -> Self {
        Self {
            newest: None,
            rtt: Duration::ZERO,
            min_rtt: MinRtt { since: None, before: None, least: None },
            fack: None,
            reordering_seen: false,
            multiplier: 1,
            persistence: PERSISTENCE,
            duplicate_round: None,
        }
    }

    /// RFC 8985 §6.2, steps 1 to 3: this segment is newly acknowledged, cumulatively, by an ACK that echoes a timestamp of this age, or
    /// selectively.
    ///
    /// Deviation: the algorithm of step 2 holds every ACK's echo against the retransmission. The echo with a report says nothing of what
    /// is reported, as it is that of the last segment in order (RFC 7323 §4.3), so that a lost retransmission would stay unnoticed
    /// where others are reported; it is held against what is acknowledged cumulatively.
    pub(super) fn delivered(&mut self, record: &Record, echo_age: Option<Duration>, now: Instant) {
        let rtt = elapsed(now, record.sent_at);
        // Step 1.
        if record.sending == Sending::First {
            self.min_rtt.measure(rtt, now);
        }
        let end = record.block.right;
        // Step 2.
        if self.is_answer(record, rtt, echo_age)
            && self.newest.is_none_or(|newest| is_sent_after((record.sent_at, end), (newest.sent_at, newest.end)))
        {
            self.newest = Some(Newest { sent_at: record.sent_at, end });
            self.rtt = rtt;
        }
        // Step 3.
        match self.fack {
            Some(fack) if end.is_before(fack) => {
                if record.sending == Sending::First {
                    self.reordering_seen = true;
                }
            }
            Some(_) | None => self.fack = Some(end),
        }
    }

    /// RFC 8985 §6.2, step 2: whether it is the last sending of a segment that has arrived, and not an earlier one.
    fn is_answer(&self, record: &Record, rtt: Duration, echo_age: Option<Duration>) -> bool {
        match record.sending {
            Sending::First => true,
            // (1) the echo is of an earlier one; (2) it is too soon.
            Sending::Again => !is_echo_older(echo_age, rtt) && self.min_rtt.get().is_none_or(|min_rtt| rtt >= min_rtt),
        }
    }

    /// What was sent again in fast recovery had not been lost but overtaken: step 3, where the original is no longer told apart.
    ///
    /// Deviation: RFC 8985 §6.2, step 3 learns of reordering only from segments that were never sent again, and so never of one that
    /// overtakes by more than the reordering window; Eifel and F-RTO tell of it all the same. A peer sees fewer duplicates.
    pub(super) const fn overtaken(&mut self) {
        self.reordering_seen = true;
    }

    /// RFC 8985 §6.2, step 4: an acknowledgement says that something arrived twice, so that we have not waited long enough.
    pub(super) fn duplicated(&mut self, snd_nxt: SeqNum) {
        if self.duplicate_round.is_none() {
            self.duplicate_round = Some(snd_nxt);
            self.multiplier = (self.multiplier + 1).min(MAX_MULTIPLIER);
            self.persistence = PERSISTENCE;
        }
    }

    /// RFC 8985 §6.2, step 4: a round trip is over when what was sent at its beginning is acknowledged.
    pub(super) fn advanced(&mut self, snd_una: SeqNum) {
        self.duplicate_round = self.duplicate_round.filter(|round| snd_una.is_before(*round));
    }

    /// RFC 8985 §6.2, step 4: a recovery is over.
    pub(super) const fn recovered(&mut self) {
        self.persistence = self.persistence.saturating_sub(1);
        if self.persistence == 0 {
            self.multiplier = 1;
        }
    }

    /// RACK_update_reo_wnd (RFC 8985 §6.2, step 4).
    pub(super) fn reo_wnd(&self, recovering: Recovering, sacked_segments: u32, srtt: Duration) -> Duration {
        if !self.reordering_seen && (recovering == Recovering::Yes || sacked_segments >= DUPLICATE_THRESHOLD) {
            return Duration::ZERO;
        }
        let min_rtt = self.min_rtt.get().unwrap_or(Duration::ZERO);
        let window = min_rtt * self.multiplier / 4;
        window.min(srtt)
    }

    /// RACK.xmit_ts, once something has arrived: nothing that was sent later can be judged.
    pub(super) fn newest_sent_at(&self) -> Option<Instant> {
        self.newest.map(|newest| newest.sent_at)
    }

    /// RACK_detect_loss (RFC 8985 §6.2, step 5) for one segment that is not acknowledged.
    pub(super) fn judge(&self, record: &Record, reo_wnd: Duration) -> Judgement {
        let before = |newest: Newest| is_sent_after((newest.sent_at, newest.end), (record.sent_at, record.block.right));
        if self.newest.is_some_and(before) {
            Judgement::LostAt(record.sent_at + self.rtt + reo_wnd)
        } else {
            Judgement::Unknown
        }
    }

    /// RACK_mark_losses_on_RTO (RFC 8985 §6.3) for one segment that is not the first one.
    pub(super) fn is_lost_after_timeout(&self, record: &Record, reo_wnd: Duration, now: Instant) -> bool {
        record.sent_at + self.rtt + reo_wnd <= now
    }
}

/// RACK_sent_after (RFC 8985 §6.2, step 2): of two segments sent at the same time the one with the higher numbers is the later.
fn is_sent_after(one: (Instant, SeqNum), other: (Instant, SeqNum)) -> bool {
    one.0 > other.0 || (one.0 == other.0 && one.1.is_after(other.1))
}

#[cfg(test)]
mod tests {
    use super::super::sack::Block;
    use super::super::scoreboard::Fate;
    use super::*;

    const BASE: SeqNum = SeqNum::new(u32::MAX - 20);
    const RTT: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Instant {
        Instant::from_secs(1000) + Duration::from_millis(millis)
    }

    /// The `n`th segment of ten octets, sent at this time.
    fn record(n: u32, millis: u64, sending: Sending) -> Record {
        let left = BASE + 10 * n;
        Record { block: Block { left, right: left + 10 }, sent_at: at(millis), sending, fate: Fate::Outstanding }
    }

    /// One that has seen a segment that was sent at 10 ms arrive after 100 ms.
    fn rack() -> Rack {
        let mut rack = Rack::new();
        rack.delivered(&record(5, 10, Sending::First), None, at(110));
        rack
    }

    #[test]
    fn what_was_sent_before_something_that_arrived_is_lost_a_round_trip_later() {
        let rack = rack();
        for (n, millis) in [(0, 0), (9, 9), (4, 10)] {
            let record = record(n, millis, Sending::First);
            assert_eq!(rack.judge(&record, RTT), Judgement::LostAt(record.sent_at + RTT + RTT));
        }
        for (n, millis) in [(0, 11), (6, 10), (5, 10)] {
            assert_eq!(rack.judge(&record(n, millis, Sending::First), RTT), Judgement::Unknown);
        }
        assert_eq!(Rack::new().judge(&record(0, 0, Sending::First), RTT), Judgement::Unknown);
    }

    #[test]
    fn retransmission_counts_once_its_acknowledgement_cannot_be_that_of_the_original() {
        let mut rack = rack();
        rack.delivered(&record(6, 50, Sending::Again), None, at(149));
        assert_eq!(rack.judge(&record(0, 20, Sending::First), RTT), Judgement::Unknown);
        rack.delivered(&record(6, 50, Sending::Again), None, at(150));
        assert_eq!(rack.judge(&record(0, 20, Sending::First), RTT), Judgement::LostAt(at(220)));
    }

    #[test]
    fn retransmission_does_not_count_if_the_echo_is_that_of_the_original() {
        for (age, is_answer) in [(Some(301), false), (Some(300), true), (None, true)] {
            let mut rack = rack();
            rack.delivered(&record(6, 50, Sending::Again), age.map(Duration::from_millis), at(350));
            let expected = if is_answer { Judgement::LostAt(at(20 + 300)) } else { Judgement::Unknown };
            assert_eq!(rack.judge(&record(0, 20, Sending::First), Duration::ZERO), expected, "{age:?}");
        }
    }

    #[test]
    fn retransmission_that_does_not_count_can_have_overtaken_all_the_same() {
        let mut rack = rack();
        rack.delivered(&record(9, 50, Sending::Again), None, at(60));
        rack.delivered(&record(8, 40, Sending::First), None, at(140));
        assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), RTT / 4);
    }

    #[test]
    fn window_is_a_quarter_of_the_round_trip_unless_reports_say_enough() {
        let rack = rack();
        let srtt = Duration::from_secs(1);
        assert_eq!(rack.reo_wnd(Recovering::No, 2, srtt), RTT / 4);
        assert_eq!(rack.reo_wnd(Recovering::No, 3, srtt), Duration::ZERO);
        assert_eq!(rack.reo_wnd(Recovering::Yes, 0, srtt), Duration::ZERO);
    }

    #[test]
    fn reordering_makes_it_wait_even_in_recovery() {
        let mut rack = rack();
        rack.delivered(&record(4, 0, Sending::Again), None, at(115));
        assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), Duration::ZERO, "a retransmission is no reordering");
        rack.delivered(&record(3, 0, Sending::First), None, at(115));
        assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), RTT / 4);
    }

    #[test]
    fn duplicates_widen_the_window_once_a_round_trip_up_to_srtt() {
        let mut rack = rack();
        rack.delivered(&record(3, 0, Sending::First), None, at(115));
        for round in 1..10_u32 {
            rack.duplicated(BASE + 100 * round);
            rack.duplicated(BASE + 100 * round);
            rack.advanced(BASE + 100 * round - 1);
            rack.duplicated(BASE + 100 * round);
            rack.advanced(BASE + 100 * round);
            let expected = (RTT * (round + 1) / 4).min(RTT);
            assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), expected);
        }
        for _ in 0..PERSISTENCE - 1 {
            rack.recovered();
        }
        assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), RTT);
        rack.recovered();
        assert_eq!(rack.reo_wnd(Recovering::Yes, 9, RTT), RTT / 4);
    }

    #[test]
    fn least_round_trip_is_forgotten_when_the_path_has_become_longer() {
        let mut rack = rack();
        let later = at(0) + MIN_RTT_SPAN * 3;
        rack.delivered(&Record { sent_at: later, ..record(6, 0, Sending::First) }, None, later + RTT * 4);
        assert_eq!(rack.min_rtt.get(), Some(RTT));
        let later = later + MIN_RTT_SPAN;
        rack.delivered(&Record { sent_at: later, ..record(6, 0, Sending::First) }, None, later + RTT * 4);
        assert_eq!(rack.min_rtt.get(), Some(RTT * 4));
    }

    #[test]
    fn after_a_timeout_what_is_older_than_a_round_trip_is_lost() {
        let rack = rack();
        assert!(rack.is_lost_after_timeout(&record(6, 20, Sending::First), RTT, at(220)));
        assert!(!rack.is_lost_after_timeout(&record(6, 21, Sending::First), RTT, at(220)));
    }
}
