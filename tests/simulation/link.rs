//! A link that loses, repeats, reorders, delays and corrupts, all by its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddrV4;

use session_tcp::tcp::Segment;
use smoltcp::time::{Duration, Instant};

use crate::random::Random;

/// What a link does to segments, in cases of a thousand.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) repetition: u64,
    pub(crate) reordering: u64,
    pub(crate) corruption: u64,
    /// Makes the window look smaller than it is: the peer seems to shrink it.
    pub(crate) shrinking: u64,
    pub(crate) delay_micros: u64,
    pub(crate) jitter_micros: u64,
    /// Octets a second, with a queue of so many segments; `None`: as many as you like.
    pub(crate) bottleneck: Option<(u64, usize)>,
    /// From then on nothing arrives.
    pub(crate) dead_from: Option<Instant>,
}

impl Faults {
    /// What a seed does.
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut rate = |worst: u64| if random.per_mille(400) { random.between(0, worst) } else { 0 };
        let (loss, repetition, reordering) = (rate(250), rate(150), rate(300));
        let (corruption, shrinking) = (rate(100), rate(60));
        let longest = *random.pick(&[100, 20_000, 300_000]);
        let delay_micros = random.between(0, longest);
        let jitter_micros = random.between(0, delay_micros / 4);
        let bottleneck = random.per_mille(300).then(|| (random.between(5_000, 2_000_000), random.size(2, 40)));
        Self {
            loss,
            repetition,
            reordering,
            corruption,
            shrinking,
            delay_micros,
            jitter_micros,
            bottleneck,
            dead_from: None,
        }
    }
}

/// One direction of the link.
#[derive(Debug)]
pub(crate) struct Link {
    src: SocketAddrV4,
    dst: SocketAddrV4,
    faults: Faults,
    random: Random,
    /// What is under way, by its time of arrival and then by the order of sending.
    under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    sent: u64,
    /// When the bottleneck is free again.
    free_at: Instant,
}

impl Link {
    pub(crate) fn new(src: SocketAddrV4, dst: SocketAddrV4, faults: Faults, random: Random) -> Self {
        let under_way = BinaryHeap::new();
        Self { src, dst, faults, random, under_way, sent: 0, free_at: Instant::from_micros(0) }
    }

    /// What its seed has drawn, in a line.
    pub(crate) fn plan(&self) -> String {
        format!("{:?}", self.faults)
    }

    /// Takes a segment.
    pub(crate) fn send(&mut self, mut segment: Segment, now: Instant) {
        self.sent += 1;
        if self.faults.dead_from.is_some_and(|at| at <= now) || self.random.per_mille(self.faults.loss) {
            return;
        }
        if self.random.per_mille(self.faults.shrinking) && !segment.control.syn() {
            segment.wnd = u16::try_from(self.random.between(0, u64::from(segment.wnd))).unwrap_or(0);
        }
        let copies = if self.random.per_mille(self.faults.repetition) { self.random.between(2, 3) } else { 1 };
        for _ in 0..copies {
            let mut bytes = segment.emit(*self.src.ip(), *self.dst.ip());
            if self.random.per_mille(self.faults.corruption) {
                self.corrupt(&mut bytes);
            }
            self.carry(bytes, now);
        }
    }

    /// Damages one octet, or cuts the end off: what a checksum always notices.
    fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.size(0, bytes.len() - 1);
        if self.random.per_mille(200) {
            bytes.truncate(at.min(19));
        } else {
            bytes[at] ^= 1 << self.random.between(0, 7);
        }
    }

    /// Puts octets under way.
    fn carry(&mut self, bytes: Vec<u8>, now: Instant) {
        let mut at = now;
        if let Some((rate, queue)) = self.faults.bottleneck {
            let transmission = Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate);
            let begin = self.free_at.max(now);
            let queued = (begin - now).total_micros() / transmission.total_micros().max(1);
            if queued > queue as u64 {
                return;
            }
            self.free_at = begin + transmission;
            at = self.free_at;
        }
        let mut delay = self.faults.delay_micros + self.random.between(0, self.faults.jitter_micros);
        if self.random.per_mille(self.faults.reordering) {
            delay += self.random.between(0, 4 * self.faults.delay_micros + 1000);
        }
        self.under_way.push(Reverse((at + Duration::from_micros(delay), self.sent, bytes)));
    }

    /// When the next segment arrives.
    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((at, ..))| *at)
    }

    /// A segment that has arrived; `Some(None)` for one that was corrupt.
    pub(crate) fn receive(&mut self, now: Instant) -> Option<Option<Segment>> {
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse((_, _, bytes)) = self.under_way.pop()?;
        Some(Segment::parse(&bytes, *self.src.ip(), *self.dst.ip()).ok())
    }
}
