//! Loss recovery with a peer that acknowledges selectively: RACK-TLP finds the losses (RFC 8985), what is sent for each
//! acknowledgement follows RFC 6675 §5 and RFC 9937, and Eifel (RFC 3522) and F-RTO (RFC 5682) find out what was spurious.

use smoltcp::time::{Duration, Instant};

use super::config::Pacing;
use super::congestion::{Congestion, Timeouts};
use super::ecn::Marked;
use super::eifel::Eifel;
use super::frto::{Delivery, Frto, Verdict};
use super::pacing::Release;
use super::prr::{Prr, Safe};
use super::rack::{Judgement, Rack, Recovering};
use super::rtt::Rtt;
use super::sack::{Block, Blocks};
use super::scoreboard::{Belief, Losses, Record, Scoreboard, Sending};
use super::seq::SeqNum;
use super::timers::{earlier, elapsed};
use super::tlp::{self, Content, Heard, Outcome, TailProbe};

/// What is being recovered, until `recover` is acknowledged: RecoveryPoint (RFC 6675 §2), SND.NXT when it began.
#[derive(Debug)]
enum Phase {
    /// Nothing.
    Open,
    /// Fast recovery.
    Fast {
        /// RecoveryPoint.
        recover: SeqNum,
        /// When it began.
        since: Instant,
        /// How much is sent.
        prr: Prr,
    },
    /// What was outstanding at a timeout, or when a closed window opened.
    Again {
        /// RecoveryPoint.
        recover: SeqNum,
    },
}

/// What is waited for besides the retransmission timer (RFC 8985 §8: only one of them at a time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Early {
    /// Nothing.
    Off,
    /// The reordering timer (RFC 8985 §6.2, step 5).
    Reordering(Instant),
    /// The probe timeout (RFC 8985 §7.2).
    Probe(Instant),
}

/// What is due before the retransmission timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// These octets count as lost by now, and perhaps more behind them.
    Lost(Block),
    /// A tail loss probe: something new, or else these octets.
    Probe(Block),
}

/// Why the timers are set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Something new was sent, or SND.UNA advanced.
    Progress,
    /// Anything else.
    Other,
}

/// What arrived, as far as recovery looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// SEG.ACK, from SND.UNA to SND.NXT.
    pub(super) seg_ack: SeqNum,
    /// Its SACK blocks.
    pub(super) blocks: &'a Blocks,
    /// SND.UNA before it.
    pub(super) snd_una: SeqNum,
    /// SND.NXT.
    pub(super) snd_nxt: SeqNum,
    /// SMSS.
    pub(super) smss: u32,
    /// Whether there is something new to send, within the peer's window.
    pub(super) can_send_new: bool,
    /// The age of the timestamp that it echoes.
    pub(super) echo_age: Option<Duration>,
    /// Whether it echoes a mark.
    pub(super) marked: Marked,
    /// Whether new segments are spread over the round trip.
    pub(super) pacing: Pacing,
    /// When it arrived.
    pub(super) now: Instant,
}

/// What an arrival delivered.
#[derive(Debug, Default)]
struct Delivered {
    /// Octets.
    octets: u32,
    /// When the oldest segment was sent, of those that were sent once.
    oldest: Option<Instant>,
    /// The same of the newest.
    newest: Option<Instant>,
    /// Whether one of them was sent before the last timeout.
    original: bool,
    /// Whether one of them was sent after it.
    new: bool,
}

impl Delivered {
    /// Counts a segment.
    fn count(&mut self, record: &Record, frto: &Frto) {
        self.octets += record.len();
        let was_before = frto.was_before(record.block.right);
        self.new |= !was_before;
        if record.sending == Sending::First {
            self.oldest = earlier(self.oldest, Some(record.sent_at));
            self.newest = self.newest.max(Some(record.sent_at));
            self.original |= was_before;
        }
    }
}

/// The state of loss recovery.
#[derive(Debug)]
pub(super) struct Selective {
    /// What is outstanding.
    board: Scoreboard,
    /// What it means.
    rack: Rack,
    /// Tail loss probes.
    probe: TailProbe,
    /// Whether the last timeout was spurious.
    frto: Frto,
    /// The congestion window before the recovery, as long as it may turn out to be spurious.
    before: Option<Eifel>,
    /// What is being recovered.
    phase: Phase,
    /// What is waited for.
    early: Early,
}

impl Selective {
    /// Nothing sent yet.
    pub(super) fn new() -> Self {
        Self {
            board: Scoreboard::default(),
            rack: Rack::new(),
            probe: TailProbe::default(),
            frto: Frto::new(),
            before: None,
            phase: Phase::Open,
            early: Early::Off,
        }
    }

    // What to send.

    /// What is due because a timer other than that of retransmission expired.
    pub(super) fn expired(&self, srtt: Duration, now: Instant) -> Option<Expired> {
        match self.early {
            Early::Reordering(at) if at <= now => {
                let reo_wnd = self.reo_wnd(srtt);
                let is_lost = |record: &&Record| match self.rack.judge(record, reo_wnd) {
                    Judgement::LostAt(at) => at <= now,
                    Judgement::Unknown => false,
                };
                self.board.outstanding().find(is_lost).map(|record| Expired::Lost(record.block))
            }
            // RFC 8985 §7.3: the segment with the highest number.
            Early::Probe(at) if at <= now => self.board.records().next_back().map(|last| Expired::Probe(last.block)),
            Early::Off | Early::Reordering(_) | Early::Probe(_) => None,
        }
    }

    /// When that will be.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.early {
            Early::Off => None,
            Early::Reordering(at) | Early::Probe(at) => Some(at),
        }
    }

    /// What is to be sent again, if the congestion window lets it go (RFC 6675 §5, step C).
    pub(super) fn again(&self, cwnd: u32) -> Option<Block> {
        if self.frto.holds_back() || self.usable(cwnd) == 0 {
            return None;
        }
        self.board.first_lost()
    }

    /// How much may be sent of what is new.
    pub(super) fn usable_for_new(&self, cwnd: u32, smss: u32) -> u32 {
        if self.frto.holds_back() {
            return if self.frto.new_segments() == Some(0) { 0 } else { smss };
        }
        // RFC 6675 §4, NextSeg: (1) goes before (2).
        if self.board.has_lost() {
            return 0;
        }
        match self.phase {
            // A whole segment or none: Nagle's algorithm would hold back a part.
            Phase::Fast { .. } if self.usable(cwnd) > 0 => self.usable(cwnd).max(smss),
            Phase::Open | Phase::Fast { .. } | Phase::Again { .. } => self.usable(cwnd),
        }
    }

    /// How much may be sent.
    fn usable(&self, cwnd: u32) -> u32 {
        match &self.phase {
            Phase::Open | Phase::Again { .. } => cwnd.saturating_sub(self.board.pipe()),
            Phase::Fast { prr, .. } => prr.budget(),
        }
    }

    /// Whether nothing is being recovered.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    // What sending changes.

    /// Something new was sent, up to SND.NXT.
    pub(super) fn sent(&mut self, block: Block, now: Instant) {
        if block.is_empty() {
            return;
        }
        self.board.sent(block, now);
        self.frto.sent_new();
        if let Phase::Fast { prr, .. } = &mut self.phase {
            prr.sent(block.right.distance_from(block.left));
        }
    }

    /// These octets were sent again.
    pub(super) fn sent_again(&mut self, block: Block, now: Instant) {
        self.board.sent_again(block, now);
        if let Phase::Fast { prr, .. } = &mut self.phase {
            prr.sent(block.right.distance_from(block.left));
        }
    }

    /// A tail loss probe was sent, `content` being up to SND.NXT.
    pub(super) const fn probed(&mut self, snd_nxt: SeqNum, content: Content) {
        self.probe.sent(snd_nxt, content);
        self.early = Early::Off;
    }

    /// The reordering timer expired: what is lost is marked, before the first of it is sent.
    pub(super) fn reordering_expired(
        &mut self,
        congestion: &mut Congestion,
        srtt: Duration,
        (snd_nxt, smss): (SeqNum, u32),
        now: Instant,
    ) {
        if self.detect(congestion, srtt, snd_nxt, 0, now) == Found::Loss
            && let Phase::Fast { prr, .. } = &mut self.phase
        {
            prr.acknowledged(0, self.board.pipe(), congestion.ssthresh(), smss, Safe::No);
        }
        if let Phase::Fast { prr, .. } = &mut self.phase {
            prr.force(smss);
        }
    }

    /// The retransmission timer expired (RFC 6298 §5.4, RFC 6675 §5.1, RFC 8985 §6.3).
    pub(super) fn timed_out(
        &mut self,
        congestion: &mut Congestion,
        srtt: Duration,
        snd_nxt: SeqNum,
        timeouts: Timeouts,
        now: Instant,
    ) {
        let first = self.board.extent().map(|all| all.left);
        match self.phase {
            // RFC 5682 §3.1, step 1: only if nothing was being recovered.
            Phase::Open => {
                self.before = first.map(|first| Eifel::new(first, congestion.clone(), now));
                self.frto.timed_out(snd_nxt);
            }
            Phase::Fast { .. } | Phase::Again { .. } => {
                self.before = None;
                self.frto.stop();
            }
        }
        congestion.timed_out(self.flight().min(congestion.cwnd()), timeouts);
        let reo_wnd = self.reo_wnd(srtt);
        self.board.forget_sacked();
        let rack = &self.rack;
        self.board
            .mark_lost(|record| Some(record.block.left) == first || rack.is_lost_after_timeout(record, reo_wnd, now));
        self.phase = Phase::Again { recover: snd_nxt };
        self.probe.forget();
        self.early = Early::Off;
    }

    /// All that is outstanding counts as lost, and that is no congestion: a closed window has opened, or the path carries smaller
    /// segments only.
    pub(super) fn start_again(&mut self, snd_nxt: SeqNum) {
        self.board.mark_lost(|_| true);
        self.before = None;
        self.frto.stop();
        self.probe.forget();
        self.phase = Phase::Again { recover: snd_nxt };
    }

    // What arrives.

    /// An acknowledgement, which may be a repeated one.
    pub(super) fn acknowledged(&mut self, arrival: &Arrival<'_>, congestion: &mut Congestion, rtt: &mut Rtt) {
        let Arrival { seg_ack, blocks, snd_una, snd_nxt, smss, now, .. } = *arrival;
        let flight = self.flight();
        let duplicate = blocks.duplicate(seg_ack);
        let delivered = self.take(arrival);
        if let Some(oldest) = delivered.oldest {
            rtt.sample(oldest, now);
        }
        if let Some(newest) = delivered.newest {
            congestion.measured(elapsed(now, newest), seg_ack, snd_nxt);
        }
        self.rack.advanced(seg_ack);
        if duplicate.is_some() {
            self.rack.duplicated(snd_nxt);
        }
        let heard = Heard { seg_ack, is_repeated: seg_ack == snd_una, blocks, duplicate };
        if self.probe.acknowledged(&heard) == Outcome::Repaired && self.is_open() {
            // RFC 8985 §7.4.1: as if fast recovery had repaired it.
            congestion.enter_recovery(flight.min(congestion.cwnd()));
            congestion.deflate();
        }
        self.look_back(arrival, &delivered, congestion);
        let release = Release::of(arrival.pacing, rtt.measured_srtt());
        let ended = self.leave(seg_ack, congestion, release);
        let found = self.detect(congestion, rtt.srtt(), snd_nxt, delivered.octets, now);
        let acked = seg_ack.distance_from(snd_una);
        match &mut self.phase {
            Phase::Fast { prr, .. } => {
                let safe = if acked > 0 && found == Found::Nothing { Safe::Yes } else { Safe::No };
                prr.acknowledged(delivered.octets, self.board.pipe(), congestion.ssthresh(), smss, safe);
            }
            Phase::Open | Phase::Again { .. } if acked > 0 && ended != Ended::Fast && arrival.marked == Marked::No => {
                congestion.acknowledged(acked, flight, now, rtt.srtt(), release);
            }
            Phase::Open | Phase::Again { .. } => {}
        }
    }

    /// Takes note of what an acknowledgement delivered (RFC 6675 §5, Update).
    fn take(&mut self, arrival: &Arrival<'_>) -> Delivered {
        let Self { board, rack, frto, .. } = self;
        let mut delivered = Delivered::default();
        let mut count = |record: &Record, echo_age| {
            rack.delivered(record, echo_age, arrival.now);
            delivered.count(record, frto);
        };
        board.acknowledge(arrival.seg_ack, |record| count(record, arrival.echo_age));
        board.update(arrival.blocks, |record| count(record, None));
        delivered
    }

    /// Eifel and F-RTO: takes recovery back if it was spurious (RFC 3522 §3.2, RFC 5682 §3.1).
    fn look_back(&mut self, arrival: &Arrival<'_>, delivered: &Delivered, congestion: &mut Congestion) {
        let verdict = self.frto.acknowledged(&Delivery {
            seg_ack: arrival.seg_ack,
            advances: arrival.seg_ack != arrival.snd_una,
            original: delivered.original,
            new: delivered.new,
            can_send_new: arrival.can_send_new,
        });
        let Some(before) = self.before.take() else { return };
        let is_covered = before.is_covered(arrival.seg_ack);
        if verdict == Verdict::Spurious || (is_covered && before.is_spurious(arrival.echo_age, arrival.now)) {
            if matches!(self.phase, Phase::Fast { .. }) {
                self.rack.overtaken();
            }
            self.board.find_lost_again();
            *congestion = before.into_congestion(self.board.pipe(), delivered.octets, arrival.smss);
            self.frto.stop();
            self.phase = Phase::Open;
        } else if !is_covered || self.frto.is_on() {
            self.before = Some(before);
        }
    }

    /// Whether what is being recovered has all been acknowledged; recovery is over then.
    fn leave(&mut self, seg_ack: SeqNum, congestion: &mut Congestion, release: Release) -> Ended {
        let ended = match self.phase {
            Phase::Fast { recover, .. } if seg_ack.is_at_or_after(recover) => {
                congestion.leave_recovery(self.board.pipe(), release);
                Ended::Fast
            }
            Phase::Again { recover } if seg_ack.is_at_or_after(recover) => {
                self.frto.stop();
                Ended::Again
            }
            Phase::Open | Phase::Fast { .. } | Phase::Again { .. } => return Ended::Nothing,
        };
        self.before = None;
        self.phase = Phase::Open;
        self.rack.recovered();
        ended
    }

    /// RACK_detect_loss (RFC 8985 §6.2, step 5), and the beginning of fast recovery if it finds one; the acknowledgement at hand, if
    /// there is one, has `delivered` so many octets.
    fn detect(
        &mut self,
        congestion: &mut Congestion,
        srtt: Duration,
        snd_nxt: SeqNum,
        delivered: u32,
        now: Instant,
    ) -> Found {
        if matches!(self.early, Early::Reordering(_)) {
            self.early = Early::Off;
        }
        let Some(newest) = self.rack.newest_sent_at() else { return Found::Nothing };
        if self.board.is_all_later(newest) {
            return Found::Nothing;
        }
        let reo_wnd = self.reo_wnd(srtt);
        let rack = &self.rack;
        let Losses { marked: lost, latest } = self.board.detect(newest, |record| match rack.judge(record, reo_wnd) {
            Judgement::LostAt(at) if at <= now => Belief::Lost,
            Judgement::LostAt(at) => Belief::LostAt(at),
            Judgement::Unknown => Belief::Unknown,
        });
        if let Some(latest) = latest {
            self.early = Early::Reordering(latest);
        }
        if lost.is_empty() {
            return Found::Nothing;
        }
        let is_new = match self.phase {
            Phase::Open => true,
            // RFC 5681 §4.3: the loss of a retransmission is a second sign of congestion.
            Phase::Fast { since, .. } => {
                lost.iter().any(|record| record.sending == Sending::Again && record.sent_at >= since)
            }
            Phase::Again { .. } => false,
        };
        if is_new {
            // What was found lost twice was lost.
            self.before = match self.phase {
                Phase::Open => self.board.first_lost().map(|lost| Eifel::new(lost.left, congestion.clone(), now)),
                Phase::Fast { .. } | Phase::Again { .. } => None,
            };
            // RFC 6675 §5, steps 1 and 2.
            congestion.enter_recovery(self.flight().min(congestion.cwnd()));
            congestion.deflate();
            let prr = Prr::new(self.flight(), self.board.sacked(), delivered);
            self.phase = Phase::Fast { recover: snd_nxt, since: now, prr };
            self.probe.forget();
        }
        Found::Loss
    }

    /// RACK.reo_wnd.
    fn reo_wnd(&self, srtt: Duration) -> Duration {
        let recovering = if self.is_open() { Recovering::No } else { Recovering::Yes };
        self.rack.reo_wnd(recovering, self.board.sacked_segments(), srtt)
    }

    // The timers.

    /// Sets the probe timeout if nothing else is waited for; the retransmission timer expires at `rto_at`.
    pub(super) fn rearm(&mut self, rto_at: Option<Instant>, srtt: Option<Duration>, cause: Cause, now: Instant) {
        let Some(rto_at) = rto_at else {
            // Nothing is outstanding, or the peer's window is closed.
            self.early = Early::Off;
            return;
        };
        // RFC 8985 §7.2: not in recovery, not with anything reported.
        let may_probe = self.is_open() && self.board.sacked_segments() == 0 && self.probe.is_free();
        self.early = match (self.early, cause) {
            (Early::Reordering(at), _) => Early::Reordering(at),
            (Early::Off | Early::Probe(_), _) if !may_probe => Early::Off,
            (Early::Probe(at), Cause::Other) => Early::Probe(at.min(rto_at)),
            (Early::Off, Cause::Other) => Early::Off,
            (Early::Off | Early::Probe(_), Cause::Progress) => {
                let is_single = self.board.records().nth(1).is_none();
                let flight = if is_single { tlp::Flight::Single } else { tlp::Flight::Several };
                Early::Probe(tlp::probe_at(now, tlp::pto(srtt, flight), rto_at))
            }
        };
    }

    /// SND.NXT - SND.UNA.
    fn flight(&self) -> u32 {
        self.board.extent().map_or(0, |all| all.right.distance_from(all.left))
    }

    /// Whether it holds what is outstanding, and nothing else.
    pub(super) fn is_in_step(&self, snd_una: SeqNum, snd_nxt: SeqNum) -> bool {
        self.board.extent().map_or(snd_una == snd_nxt, |all| all.left == snd_una && all.right == snd_nxt)
    }
}

/// Whether RACK found a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It did not.
    Nothing,
    /// It did.
    Loss,
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Nothing.
    Nothing,
    /// Fast recovery.
    Fast,
    /// Recovery from a timeout.
    Again,
}

#[cfg(test)]
mod tests {
    use super::super::config::{Config, CongestionControl};
    use super::super::congestion::Handshake;
    use super::*;

    const BASE: SeqNum = SeqNum::new(u32::MAX - 4000);
    const MSS: u32 = 1000;
    const RTT: u64 = 100;

    /// What recovery has to do with, and the segments that it let go, by their numbers.
    struct Bench {
        selective: Selective,
        congestion: Congestion,
        rtt: Rtt,
        snd_una: u32,
        snd_nxt: u32,
        /// Segments that the user has given us.
        given: u32,
        now: Instant,
        rto_at: Instant,
    }

    fn seq(n: u32) -> SeqNum {
        BASE + n * MSS
    }

    fn block(from: u32, to: u32) -> Block {
        Block { left: seq(from), right: seq(to) }
    }

    /// One that has sent `outstanding` segments and has more to send; the first one was acknowledged after 100 ms.
    fn bench(outstanding: u32) -> Bench {
        let now = Instant::from_secs(1000);
        let congestion = Congestion::new(CongestionControl::NewReno, MSS, Handshake::AtOnce);
        let rtt = Rtt::new(&Config::default());
        let (selective, rto_at) = (Selective::new(), now + Duration::from_secs(1));
        let given = outstanding + 1;
        let mut bench = Bench { selective, congestion, rtt, snd_una: 0, snd_nxt: 0, given, now, rto_at };
        while bench.snd_nxt < given {
            bench.send_new();
        }
        bench.pass(RTT);
        bench.deliver(1, &[]);
        bench
    }

    impl Bench {
        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }

        fn rearm(&mut self, cause: Cause) {
            self.selective.rearm(Some(self.rto_at), self.rtt.measured_srtt(), cause, self.now);
        }

        fn send_new(&mut self) {
            self.selective.sent(block(self.snd_nxt, self.snd_nxt + 1), self.now);
            self.snd_nxt += 1;
            self.rearm(Cause::Progress);
        }

        /// All that may be sent now: new segments, and the ones sent again.
        fn flush(&mut self) -> Vec<u32> {
            let mut sent = Vec::new();
            loop {
                let (cwnd, n) = (self.congestion.cwnd(), self.snd_nxt);
                if let Some(lost) = self.selective.again(cwnd) {
                    let n = lost.left.distance_from(BASE) / MSS;
                    self.selective.sent_again(block(n, n + 1), self.now);
                    sent.push(n);
                } else if n < self.given && self.selective.usable_for_new(cwnd, MSS) >= MSS {
                    self.send_new();
                    sent.push(n);
                } else {
                    return sent;
                }
                assert!(sent.len() < 100, "{sent:?}");
            }
        }

        /// An acknowledgement of everything before the `n`th segment arrives, with an echo of this age.
        fn deliver_aged(&mut self, n: u32, blocks: &[Block], age: Option<u64>) -> Vec<u32> {
            let blocks = blocks.iter().copied().collect();
            let arrival = Arrival {
                seg_ack: seq(n),
                blocks: &blocks,
                snd_una: seq(self.snd_una),
                snd_nxt: seq(self.snd_nxt),
                smss: MSS,
                can_send_new: self.snd_nxt < self.given,
                echo_age: age.map(Duration::from_millis),
                marked: Marked::No,
                pacing: Pacing::On,
                now: self.now,
            };
            self.selective.acknowledged(&arrival, &mut self.congestion, &mut self.rtt);
            let cause = if n == self.snd_una { Cause::Other } else { Cause::Progress };
            self.snd_una = n;
            self.rto_at = self.now + Duration::from_secs(1);
            self.rearm(cause);
            assert!(self.selective.is_in_step(seq(self.snd_una), seq(self.snd_nxt)));
            self.flush()
        }

        fn deliver(&mut self, n: u32, blocks: &[Block]) -> Vec<u32> {
            self.deliver_aged(n, blocks, None)
        }

        /// The clock goes on to the next timer of RACK-TLP; what expires then.
        fn expire(&mut self) -> (u64, Expired) {
            let at = self.selective.deadline().expect("something is waited for");
            let waited = (at - self.now).total_millis();
            self.now = at;
            (waited, self.selective.expired(self.rtt.srtt(), self.now).expect("it makes something due"))
        }

        /// The reordering timer expires.
        fn reordering_expires(&mut self) -> Vec<u32> {
            let after = (seq(self.snd_nxt), MSS);
            self.selective.reordering_expired(&mut self.congestion, self.rtt.srtt(), after, self.now);
            self.flush()
        }

        fn times_out(&mut self) -> Vec<u32> {
            let (snd_nxt, first) = (seq(self.snd_nxt), self.snd_una);
            let srtt = self.rtt.srtt();
            self.selective.timed_out(&mut self.congestion, srtt, snd_nxt, Timeouts::First, self.now);
            self.selective.sent_again(block(first, first + 1), self.now);
            self.flush()
        }
    }

    #[test]
    fn three_reports_are_a_loss_and_the_window_shrinks_without_a_burst() {
        let mut bench = bench(10);
        bench.given = 1000;
        assert_eq!(
            bench.deliver(1, &[block(2, 3)]),
            [11, 12],
            "pipe falls (RFC 6675), and slow start had room for one more"
        );
        assert_eq!(bench.deliver(1, &[block(2, 4)]), [13]);
        let before = bench.congestion.cwnd();
        assert_eq!(bench.deliver(1, &[block(2, 5)]), [1], "fast retransmit");
        assert_eq!(bench.congestion.ssthresh(), before / 2);
        let sent: Vec<usize> = (6..12).map(|n| bench.deliver(1, &[block(2, n)]).len()).collect();
        assert!(sent.iter().all(|segments| *segments <= 1), "{sent:?}");
        assert!((2..=4).contains(&sent.iter().sum::<usize>()), "about one for two: {sent:?}");
        bench.pass(RTT);
        bench.deliver(14, &[]);
        assert!(bench.selective.is_open());
        assert!(bench.congestion.cwnd() <= before / 2);
    }

    #[test]
    fn one_report_waits_a_quarter_of_a_round_trip() {
        let mut bench = bench(4);
        assert_eq!(bench.deliver(1, &[block(2, 3)]), []);
        assert_eq!(bench.expire(), (RTT / 4, Expired::Lost(block(1, 2))));
        assert_eq!(bench.reordering_expires(), [1]);
        assert!(!bench.selective.is_open());
    }

    #[test]
    fn what_comes_late_but_not_too_late_is_no_loss() {
        let mut bench = bench(4);
        bench.deliver(1, &[block(2, 3)]);
        let cwnd = bench.congestion.cwnd();
        bench.pass(RTT / 4 - 1);
        assert_eq!(bench.deliver(3, &[]), []);
        assert!(bench.selective.is_open() && bench.congestion.cwnd() >= cwnd);
        let (_, expired) = bench.expire();
        assert_eq!(expired, Expired::Probe(block(4, 5)), "no reordering timer is left");
    }

    #[test]
    fn retransmission_that_is_lost_is_found_out_and_counts_twice() {
        let mut bench = bench(10);
        bench.given = 1000;
        bench.deliver(1, &[block(2, 11)]);
        let halved = bench.congestion.ssthresh();
        bench.pass(1);
        let new = bench.snd_nxt;
        bench.deliver(1, &[block(2, 11)]);
        bench.send_new();
        bench.pass(RTT);
        assert_eq!(bench.deliver(1, &[block(2, 11), block(new, new + 1)]).first(), Some(&1), "sent once more");
        assert!(bench.congestion.ssthresh() < halved, "RFC 5681 §4.3");
    }

    #[test]
    fn retransmission_that_arrives_tells_of_a_tail_that_was_lost_with_it() {
        // 1 and 6 to 10 are lost, and there is nothing new to bring reports of the tail.
        let mut bench = bench(10);
        assert_eq!(bench.deliver(1, &[block(2, 6)]).first(), Some(&1));
        bench.pass(RTT);
        // What was sent before the retransmission that has arrived was lost, though no report is left.
        let again = bench.deliver(6, &[]);
        assert_eq!(again.first(), Some(&6), "RFC 8985 §6.2, step 5");
    }

    #[test]
    fn silence_brings_a_probe_of_the_last_segment_and_its_repair_counts() {
        let mut bench = bench(3);
        assert_eq!(bench.expire(), (2 * RTT, Expired::Probe(block(3, 4))));
        bench.selective.sent_again(block(3, 4), bench.now);
        bench.selective.probed(seq(4), Content::Last);
        bench.rearm(Cause::Other);
        assert_eq!(bench.selective.deadline(), None, "one probe only");
        bench.pass(RTT);
        let cwnd = bench.congestion.cwnd();
        bench.deliver(4, &[]);
        assert!(bench.congestion.cwnd() >= cwnd, "it may have been the original");
        bench.given = 5;
        bench.flush();
        bench.pass(RTT);
        bench.deliver(5, &[]);
        assert!(bench.congestion.cwnd() < cwnd, "but it was the probe");
    }

    #[test]
    fn probe_reveals_the_losses_before_it() {
        let mut bench = bench(4);
        let (_, expired) = bench.expire();
        assert_eq!(expired, Expired::Probe(block(4, 5)));
        bench.selective.sent_again(block(4, 5), bench.now);
        bench.selective.probed(seq(5), Content::Last);
        bench.pass(RTT);
        assert_eq!(bench.deliver(1, &[block(4, 5)]).first(), Some(&1));
        assert!(!bench.selective.is_open());
    }

    #[test]
    fn timeout_forgets_reports_and_sends_again_what_the_peer_dropped() {
        let mut bench = bench(5);
        bench.given = bench.snd_nxt;
        bench.deliver(1, &[block(2, 4)]);
        bench.pass(1000);
        assert_eq!(bench.times_out(), [], "the front alone, whatever was reported");
        assert_eq!(bench.congestion.cwnd(), MSS);
        bench.pass(RTT);
        // The peer has reneged: what it had reported is not there.
        assert_eq!(bench.deliver(2, &[]), [2, 3]);
        assert_eq!(bench.deliver(4, &[]), [4, 5]);
        bench.deliver(6, &[]);
        assert!(bench.selective.is_open());
    }

    #[test]
    fn reports_that_a_timeout_forgot_are_no_news_when_they_are_acknowledged() {
        let mut bench = bench(8);
        // One and its retransmission are lost, all others are reported.
        bench.deliver(1, &[block(2, 9)]);
        bench.pass(1000);
        bench.times_out();
        bench.pass(RTT);
        let srtt = bench.rtt.srtt();
        bench.deliver(9, &[]);
        assert!(bench.selective.is_open());
        assert_eq!(bench.rtt.srtt(), srtt, "they arrived long ago");
        // Nothing was overtaken (RFC 8985 §6.2, step 3): three reports still say that one was lost.
        bench.given = 20;
        bench.flush();
        (0..3).for_each(|_| bench.send_new());
        bench.pass(RTT);
        assert_eq!(bench.deliver(9, &[block(10, 13)]).first(), Some(&9));
    }

    #[test]
    fn timeout_that_new_segments_show_to_be_spurious_is_taken_back() {
        let mut bench = bench(8);
        bench.given = 1000;
        let cwnd = bench.congestion.cwnd();
        bench.pass(900);
        assert_eq!(bench.times_out(), []);
        bench.pass(10);
        assert_eq!(bench.deliver(2, &[]), [9, 10], "new ones instead of what seems lost");
        assert_eq!(bench.congestion.cwnd(), 2 * MSS);
        bench.deliver(3, &[]);
        assert!(bench.selective.is_open());
        assert!(bench.congestion.ssthresh() >= cwnd, "slow start leads back to the old window");
        assert!(!bench.selective.board.has_lost());
    }

    #[test]
    fn timeout_that_was_needed_goes_on_in_slow_start() {
        let mut bench = bench(8);
        bench.given = 1000;
        bench.pass(900);
        bench.times_out();
        bench.pass(RTT);
        assert_eq!(bench.deliver(2, &[]), [9, 10]);
        bench.pass(RTT);
        assert_eq!(bench.deliver(2, &[block(9, 10)]).first(), Some(&2), "the first hole");
        assert!(bench.congestion.cwnd() <= 3 * MSS);
    }

    #[test]
    fn old_echo_takes_a_fast_retransmit_back() {
        let mut bench = bench(10);
        let cwnd = bench.congestion.cwnd();
        bench.deliver(1, &[block(2, 6)]);
        assert!(bench.congestion.cwnd() < cwnd);
        bench.pass(20);
        bench.deliver_aged(6, &[], Some(120));
        assert!(bench.selective.is_open());
        assert!(bench.congestion.ssthresh() >= cwnd);
    }

    #[test]
    fn young_echo_leaves_it() {
        let mut bench = bench(10);
        bench.deliver(1, &[block(2, 6)]);
        bench.pass(100);
        bench.deliver_aged(6, &[], Some(100));
        assert!(!bench.selective.is_open());
    }

    #[test]
    fn recovery_that_was_spurious_makes_it_wait_for_what_is_overtaken() {
        for (age, is_spurious) in [(120, true), (100, false)] {
            let mut bench = bench(20);
            bench.deliver(1, &[block(2, 6)]);
            bench.pass(100);
            bench.deliver_aged(6, &[], Some(age));
            bench.pass(100);
            let next = bench.snd_nxt;
            bench.deliver_aged(next, &[], None);
            (0..4).for_each(|_| bench.send_new());
            bench.pass(RTT);
            // Three segments are reported, and one is not.
            assert_eq!(bench.deliver(next, &[block(next + 1, next + 4)]).contains(&next), !is_spurious, "{age}");
        }
    }

    #[test]
    fn nothing_that_a_peer_reports_upsets_it() {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..200 {
            let mut bench = bench(20);
            bench.given = 1000;
            for _ in 0..100 {
                bench.pass(u64::from(random(60)));
                let edge = |n: u32| BASE + n;
                let blocks: Vec<Block> =
                    (0..random(5)).map(|_| Block { left: edge(random(60_000)), right: edge(random(60_000)) }).collect();
                let n = bench.snd_una + random(3).min(bench.snd_nxt - bench.snd_una);
                bench.deliver(n, &blocks);
                if random(10) == 0 && bench.snd_una < bench.snd_nxt {
                    bench.times_out();
                }
                if bench.selective.deadline().is_some_and(|at| at <= bench.now) {
                    bench.reordering_expires();
                }
                assert!(bench.congestion.cwnd() >= MSS);
            }
        }
    }
}
