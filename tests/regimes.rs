//! Long transfers over a path that keeps changing, in virtual time: round trips that jump from milliseconds to seconds and back,
//! bursts of loss in either direction, reordering deeper than a window, gathered acknowledgements, users that pause.
//!
//! `SEEDS=10000 cargo test --release --test regimes` tries so many.

mod common;
mod simulator;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

use common::random::Random;
use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, CongestionControl, EcnUse, Pacing, Sack, Status, Timestamps, UserTimeout};
use simulator::stack::Stack;
use smoltcp::time::{Duration, Instant};

/// Octets of a transfer.
const TOTAL: usize = 2_000_000;
/// A transfer that has not ended by then never will: some regimes let nothing through for a while.
const LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// How the path is for a while.
#[derive(Clone, Copy, Debug)]
struct Regime {
    until: Instant,
    /// Half a round trip.
    delay: Duration,
    /// By how much a packet may be later than that.
    jitter: Duration,
    /// Of a thousand packets in each direction, so many are lost.
    lost: [u64; 2],
    /// Packets arrive at multiples of this time, all at once.
    gathered: Duration,
    /// What the user gives at a time, and how long it waits then; nothing if it gives all it can.
    pause: Option<(usize, Duration)>,
    /// Whether the receiving user reads.
    reads: bool,
}

impl Regime {
    fn cast(random: &mut Random, now: Instant) -> Self {
        let millis = |random: &mut Random, choices: &[u64]| Duration::from_millis(choices[random.index(choices.len())]);
        let delay = millis(random, &[1, 5, 50, 500]);
        let losses = [0, 0, 0, 10, 100, 300, 1000];
        Self {
            until: now + millis(random, &[50, 300, 2000, 10_000]),
            delay,
            jitter: millis(random, &[0, 0, 0, 1, 30, 1000]),
            lost: [losses[random.index(losses.len())], losses[random.index(losses.len())]],
            gathered: millis(random, &[0, 0, 0, 20, 200]),
            pause: random.per_mille(300).then(|| (random.index(20_000) + 1, millis(random, &[1, 100, 3000]))),
            reads: !random.per_mille(100),
        }
    }
}

/// One transfer.
struct Transfer {
    random: Random,
    regime: Regime,
    now: Instant,
    /// The sender and the receiver.
    ends: [Stack; 2],
    agenda: BinaryHeap<Reverse<(Instant, u64)>>,
    carried: BTreeMap<u64, (usize, Segment)>,
    packets: u64,
    given: usize,
    gives_at: Instant,
    received: usize,
    /// When something new was last acknowledged or the sender last sent.
    moved_at: Instant,
    seed: u64,
}

/// What the user gives: told apart by its place.
fn octet(place: usize) -> u8 {
    u8::try_from(place * 31 % 251).unwrap_or(0)
}

impl Transfer {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let now = Instant::from_secs(1);
        let config = Config {
            congestion: if random.per_mille(300) { CongestionControl::NewReno } else { CongestionControl::Cubic },
            pacing: if random.per_mille(500) { Pacing::On } else { Pacing::Off },
            sack: if random.per_mille(200) { Sack::Off } else { Sack::On },
            timestamps: if random.per_mille(400) { Timestamps::Off } else { Timestamps::On },
            ecn: EcnUse::Request,
            user_timeout: UserTimeout::After(LIMIT),
            mtu_bytes: [1500, 1500, 576, 9000][random.index(4)],
            rcv_buff_bytes: [2000, 65_536, 1 << 20][random.index(3)],
            ..Config::default()
        };
        let ends = Stack::pair(&config, now);
        let regime = Regime::cast(&mut random, now);
        Self {
            random,
            regime,
            now,
            ends: [ends.0, ends.1],
            agenda: BinaryHeap::new(),
            carried: BTreeMap::new(),
            packets: 0,
            given: 0,
            gives_at: now,
            received: 0,
            moved_at: now,
            seed,
        }
    }

    fn status(&self) -> Status {
        self.ends[0].status()
    }

    fn run(mut self) {
        let limit = self.now + LIMIT;
        while self.received < TOTAL {
            assert!(self.now < limit, "seed {}: {} octets in the end; {:?}", self.seed, self.received, self.regime);
            self.turn();
        }
    }

    /// All that happens at one instant, and then the time of the next.
    fn turn(&mut self) {
        if self.now >= self.regime.until {
            self.regime = Regime::cast(&mut self.random, self.now);
        }
        self.use_it();
        let mut alarm =
            Some(self.regime.until).into_iter().chain(Some(self.gives_at).filter(|at| *at > self.now)).min();
        for end in 0..2 {
            let before = self.ends[end].try_status();
            let at = self.ends[end].work(self.now);
            assert!(self.ends[end].ended().is_none(), "seed {}: {:?}", self.seed, self.ends[end].ended());
            alarm = alarm.into_iter().chain(at).min();
            for segment in self.ends[end].take_sent() {
                if let (0, Some(before)) = (end, &before) {
                    self.sent(&segment, before.snd_una);
                }
                self.carry(end, segment);
            }
        }
        self.watch();
        let next = self.agenda.peek().map(|Reverse((at, _))| *at).into_iter().chain(alarm).min();
        self.now = next.map_or(self.regime.until, |at| at.max(self.now));
        self.deliver();
    }

    /// What the users do.
    fn use_it(&mut self) {
        if self.regime.reads {
            for octet_read in self.ends[1].receive(usize::MAX) {
                assert_eq!(octet_read, octet(self.received), "seed {}: at {}", self.seed, self.received);
                self.received += 1;
            }
        }
        if self.now < self.gives_at {
            return;
        }
        let most = match self.regime.pause {
            Some((octets, pause)) => {
                self.gives_at = self.now + pause;
                octets
            }
            None => 100_000,
        };
        let text: Vec<u8> = (self.given..TOTAL.min(self.given + most)).map(octet).collect();
        self.given += self.ends[0].send(&text, 200_000, self.now);
    }

    /// The sender sent this, `snd_una` being acknowledged.
    fn sent(&mut self, segment: &Segment, snd_una: SeqNum) {
        self.moved_at = self.now;
        let is_text = !segment.payload.is_empty();
        assert!(
            !is_text || segment.end().is_after(snd_una),
            "seed {}: acknowledged text again: {segment:?}",
            self.seed
        );
    }

    /// Puts a segment on its way, or loses it.
    fn carry(&mut self, from: usize, segment: Segment) {
        if self.random.per_mille(self.regime.lost[from]) {
            return;
        }
        let jitter = self.random.below(self.regime.jitter.total_micros() + 1);
        let mut at = self.now + self.regime.delay + Duration::from_micros(jitter);
        let grid = i64::try_from(self.regime.gathered.total_micros()).unwrap_or(0);
        if grid > 0 {
            at = Instant::from_micros((at.total_micros() / grid + 1) * grid);
        }
        self.packets += 1;
        self.agenda.push(Reverse((at, self.packets)));
        self.carried.insert(self.packets, (1 - from, segment));
    }

    fn deliver(&mut self) {
        while let Some(Reverse((at, number))) = self.agenda.peek().copied() {
            if at > self.now {
                return;
            }
            self.agenda.pop();
            let Some((to, segment)) = self.carried.remove(&number) else { return };
            let before = self.ends[0].try_status();
            self.ends[to].arrive(segment, self.now);
            if let (0, Some(before), Some(after)) = (to, before, self.ends[0].try_status()) {
                self.grew(&before, &after);
                if before.snd_una != after.snd_una || before.snd_wnd != after.snd_wnd {
                    self.moved_at = self.now;
                }
            }
        }
    }

    /// An acknowledgement came: only a window that is in use grows.
    fn grew(&self, before: &Status, after: &Status) {
        let flight = before.snd_nxt.value().wrapping_sub(before.snd_una.value());
        let is_used = before.cwnd < flight.saturating_mul(2);
        // Duplicate ACKs inflate it (RFC 5681 §3.2); what Eifel and F-RTO take back was in use.
        let is_back = before.cwnd < before.ssthresh || before.snd_una == after.snd_una;
        assert!(after.cwnd <= before.cwnd || is_used || is_back, "seed {}: {before:?} {after:?}", self.seed);
    }

    /// What holds at every moment.
    fn watch(&self) {
        let status = self.status();
        assert!(status.cwnd >= status.mss, "seed {}: {status:?}", self.seed);
        assert!(status.ssthresh >= 2 * status.mss, "seed {}: {status:?}", self.seed);
        let is_outstanding = status.snd_una != status.snd_nxt;
        // A second of slack: what was waited for began before the timeout shrank.
        let patience = status.rto.max(Duration::from_secs(60)) + Duration::from_secs(1);
        assert!(
            !is_outstanding || self.now <= self.moved_at + patience,
            "seed {}: silent since {}: {status:?}",
            self.seed,
            self.moved_at
        );
    }
}

#[test]
fn transfers_end_whatever_the_path_becomes() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(8);
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        Transfer::new(seed).run();
    }
}
