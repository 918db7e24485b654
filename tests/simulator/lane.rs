//! One direction of a link: delay, loss and reordering from a seed, and a queue in front of a bottleneck.

use crate::common::random::Random;
use smoltcp::time::{Duration, Instant};

const MICROS_PER_SECOND: u64 = 1_000_000;

/// What happens to the packets of one flow on their way.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// How long every packet takes.
    pub delay: Duration,
    /// Of a thousand packets, this many are lost.
    pub lost: u64,
    /// Of a thousand packets, this many are late, so that others overtake them.
    pub late: u64,
    /// By how much those are late.
    pub lateness: Duration,
}

impl Path {
    /// Half a round trip, and nothing else happens.
    pub const fn perfect(delay: Duration) -> Self {
        Self { delay, lost: 0, late: 0, lateness: Duration::ZERO }
    }
}

/// The path of one flow in one direction, with the dice that decide.
#[derive(Clone, Debug)]
pub struct Lane {
    path: Path,
    random: Random,
}

impl Lane {
    /// A lane whose every choice comes from this seed: packet by packet the same for whoever sends on it.
    pub const fn new(path: Path, seed: u64) -> Self {
        Self { path, random: Random::new(seed) }
    }

    /// When a packet that leaves now arrives; never if it is lost.
    pub fn carry(&mut self, leaves: Instant) -> Option<Instant> {
        // Both dice are cast for each packet, so that one setting does not shift the other's choices.
        let (is_lost, is_late) = (self.random.per_mille(self.path.lost), self.random.per_mille(self.path.late));
        let lateness = if is_late { self.path.lateness } else { Duration::ZERO };
        (!is_lost).then(|| leaves + self.path.delay + lateness)
    }
}

/// A line of a certain rate with a queue that drops what does not fit.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// At most 2⁴³, so that the arithmetic in microseconds fits.
    octets_per_second: u64,
    queue_octets: u64,
    free_at: Instant,
    /// Octets that have passed.
    pub carried: u64,
    /// Packets that found the queue full.
    pub dropped: u64,
}

impl Bottleneck {
    /// An idle line.
    pub const fn new(octets_per_second: u64, queue_octets: u64) -> Self {
        Self { octets_per_second, queue_octets, free_at: Instant::ZERO, carried: 0, dropped: 0 }
    }

    /// When a packet that comes now has left the line; never if the queue is full.
    pub fn pass(&mut self, now: Instant, octets: usize) -> Option<Instant> {
        let begins = self.free_at.max(now);
        let waiting = (begins - now).total_micros().saturating_mul(self.octets_per_second) / MICROS_PER_SECOND;
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        if waiting + octets > self.queue_octets {
            self.dropped += 1;
            return None;
        }
        self.carried += octets;
        self.free_at = begins + Duration::from_micros(octets * MICROS_PER_SECOND / self.octets_per_second);
        Some(self.free_at)
    }
}
