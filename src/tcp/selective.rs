//! Loss recovery with a peer that acknowledges selectively: RACK-TLP finds the losses (RFC 8985), what is sent for each
//! acknowledgement follows RFC 6675 §5 and RFC 9937, and F-RTO looks into timeouts (RFC 5682).

use smoltcp::time::{Duration, Instant};

use super::congestion::{Congestion, Timeouts};
use super::frto::{Delivery, Frto, Verdict};
use super::prr::{Prr, Safe};
use super::rack::{Judgement, Rack, Recovering};
use super::rtt::Rtt;
use super::sack::{Block, Blocks, Record, Scoreboard, Sending};
use super::seq::SeqNum;
use super::timers::earlier;
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
    /// The congestion window before it.
    before_timeout: Option<Congestion>,
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
            before_timeout: None,
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
        if self.detect(congestion, srtt, snd_nxt, now) == Found::Loss
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
        match self.phase {
            // RFC 5682 §3.1, step 1: only if nothing was being recovered.
            Phase::Open => {
                self.before_timeout = Some(congestion.clone());
                self.frto.timed_out(snd_nxt);
            }
            Phase::Fast { .. } | Phase::Again { .. } => self.frto.stop(),
        }
        congestion.timed_out(self.flight().min(congestion.cwnd()), timeouts);
        let reo_wnd = self.reo_wnd(srtt);
        self.board.forget_sacked();
        let first = self.board.extent().map(|all| all.left);
        let rack = &self.rack;
        self.board
            .mark_lost(|record| Some(record.block.left) == first || rack.is_lost_after_timeout(record, reo_wnd, now));
        self.phase = Phase::Again { recover: snd_nxt };
        self.probe.forget();
        self.early = Early::Off;
    }

    /// A closed window has opened: what was sent into it was most likely dropped there.
    pub(super) fn start_again(&mut self, snd_nxt: SeqNum) {
        self.board.mark_lost(|_| true);
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
        let delivered = self.take(seg_ack, blocks, now);
        if let Some(oldest) = delivered.oldest {
            rtt.sample(oldest, now);
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
        self.look_into_timeout(arrival, &delivered, congestion);
        let ended = self.leave(seg_ack, congestion);
        let found = self.detect(congestion, rtt.srtt(), snd_nxt, now);
        let acked = seg_ack.distance_from(snd_una);
        match &mut self.phase {
            Phase::Fast { prr, .. } => {
                let safe = if acked > 0 && found == Found::Nothing { Safe::Yes } else { Safe::No };
                prr.acknowledged(delivered.octets, self.board.pipe(), congestion.ssthresh(), smss, safe);
            }
            Phase::Open | Phase::Again { .. } if acked > 0 && ended != Ended::Fast => {
                congestion.acknowledged(acked, flight, now, rtt.srtt());
            }
            Phase::Open | Phase::Again { .. } => {}
        }
    }

    /// Takes note of what an acknowledgement delivered (RFC 6675 §5, Update).
    fn take(&mut self, seg_ack: SeqNum, blocks: &Blocks, now: Instant) -> Delivered {
        let Self { board, rack, frto, .. } = self;
        let mut delivered = Delivered::default();
        let mut count = |record: &Record| {
            rack.delivered(record, now);
            delivered.count(record, frto);
        };
        board.acknowledge(seg_ack, &mut count);
        for block in blocks.as_slice() {
            board.select(*block, &mut count);
        }
        delivered
    }

    /// F-RTO, and what follows when the timeout was spurious (RFC 5682 §3.1, RFC 4015 §3.2).
    fn look_into_timeout(&mut self, arrival: &Arrival<'_>, delivered: &Delivered, congestion: &mut Congestion) {
        let verdict = self.frto.acknowledged(&Delivery {
            seg_ack: arrival.seg_ack,
            advances: arrival.seg_ack != arrival.snd_una,
            original: delivered.original,
            new: delivered.new,
            can_send_new: arrival.can_send_new,
        });
        if let (Verdict::Spurious, Some(before)) = (verdict, self.before_timeout.take()) {
            *congestion = before;
            congestion.set_smss(arrival.smss);
            self.board.find_lost_again();
            self.phase = Phase::Open;
        }
    }

    /// Whether what is being recovered has all been acknowledged; recovery is over then.
    fn leave(&mut self, seg_ack: SeqNum, congestion: &mut Congestion) -> Ended {
        let ended = match self.phase {
            Phase::Fast { recover, .. } if seg_ack.is_at_or_after(recover) => {
                congestion.leave_recovery(self.board.pipe());
                Ended::Fast
            }
            Phase::Again { recover } if seg_ack.is_at_or_after(recover) => {
                self.before_timeout = None;
                self.frto.stop();
                Ended::Again
            }
            Phase::Open | Phase::Fast { .. } | Phase::Again { .. } => return Ended::Nothing,
        };
        self.phase = Phase::Open;
        self.rack.recovered();
        ended
    }

    /// RACK_detect_loss (RFC 8985 §6.2, step 5), and the beginning of fast recovery if it finds one.
    fn detect(&mut self, congestion: &mut Congestion, srtt: Duration, snd_nxt: SeqNum, now: Instant) -> Found {
        if matches!(self.early, Early::Reordering(_)) {
            self.early = Early::Off;
        }
        if !self.board.is_shuffled() {
            // Everything outstanding was sent after everything that has arrived.
            return Found::Nothing;
        }
        let reo_wnd = self.reo_wnd(srtt);
        let mut latest = None;
        let rack = &self.rack;
        let lost = self.board.mark_lost(|record| match rack.judge(record, reo_wnd) {
            Judgement::LostAt(at) if at <= now => true,
            Judgement::LostAt(at) => {
                latest = latest.max(Some(at));
                false
            }
            Judgement::Unknown => false,
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
                lost.iter().any(|record| record.sending == Sending::Again && record.sent_at > since)
            }
            Phase::Again { .. } => false,
        };
        if is_new {
            // RFC 6675 §5, steps 1 and 2.
            congestion.enter_recovery(self.flight().min(congestion.cwnd()));
            congestion.deflate();
            self.phase = Phase::Fast { recover: snd_nxt, since: now, prr: Prr::new(self.flight()) };
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
                Early::Probe(tlp::probe_at(now, tlp::pto(srtt, is_single), rto_at))
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
