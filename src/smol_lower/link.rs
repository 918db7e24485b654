//! A link inside the process: IP packets between two ends, through a hook that may lose, delay, repeat or change them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use smoltcp::time::Duration;

use super::error::DeviceError;

/// Packets under way in one direction; what comes on top is lost. The kernel's own queue for a TUN device holds 500.
const LINK_PACKETS: usize = 1_000;

/// What becomes of one packet: the packets that arrive in its stead, each after its delay. None of them is a loss, two a repetition.
pub type Impairment = Box<dyn FnMut(Vec<u8>) -> Vec<(Duration, Vec<u8>)> + Send>;

/// The impairment that does nothing.
#[must_use]
pub fn perfect() -> Impairment {
    Box::new(|packet| vec![(Duration::ZERO, packet)])
}

/// An impairment by the dice; the same seed throws the same dice.
#[derive(Debug, Clone, Copy, Default)]
pub struct BadLink {
    /// Start of the dice.
    pub seed: u64,
    /// Of 100 packets, so many are lost.
    pub loss_percent: u8,
    /// Of 100 packets, so many arrive twice.
    pub repeat_percent: u8,
    /// Of 100 packets, so many have one bit flipped.
    pub corrupt_percent: u8,
    /// Every packet travels at least so long.
    pub delay: Duration,
    /// And by chance up to so much longer, which also reorders.
    pub jitter: Duration,
}

impl BadLink {
    /// The hook that does so.
    #[must_use]
    pub fn impairment(self) -> Impairment {
        let mut dice = StdRng::seed_from_u64(self.seed);
        Box::new(move |packet| self.treat(&mut dice, packet))
    }

    /// What becomes of one packet.
    fn treat(self, dice: &mut StdRng, mut packet: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        if hits(dice, self.loss_percent) {
            return Vec::new();
        }
        if hits(dice, self.corrupt_percent) && !packet.is_empty() {
            let bit = dice.random_range(0..packet.len() * 8);
            if let Some(byte) = packet.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        let mut arrivals = Vec::with_capacity(2);
        if hits(dice, self.repeat_percent) {
            arrivals.push((self.travel_time(dice), packet.clone()));
        }
        arrivals.push((self.travel_time(dice), packet));
        arrivals
    }

    /// The delay and a part of the jitter.
    fn travel_time(self, dice: &mut StdRng) -> Duration {
        let extra = dice.random_range(0..=self.jitter.total_micros());
        self.delay + Duration::from_micros(extra)
    }
}

/// True `percent` times of a hundred.
fn hits(dice: &mut StdRng, percent: u8) -> bool {
    dice.random_range(0..100) < percent
}

/// One end of an in-process link.
///
/// Given to [`SmolLower::over_link`](super::SmolLower::over_link) it takes the place of a TUN device; a test may also keep it and
/// speak IP by hand. At most 1,000 packets are under way in each direction.
#[derive(Debug)]
pub struct LinkEnd {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    mtu_bytes: usize,
}

impl LinkEnd {
    /// Makes a link and returns its two ends; `there` treats what the first sends, `back` what the second sends.
    #[must_use]
    pub fn pair(mtu_bytes: usize, there: Impairment, back: Impairment) -> (Self, Self) {
        let there = Arc::new(Pipe::new(there));
        let back = Arc::new(Pipe::new(back));
        let first = Self { incoming: Arc::clone(&back), outgoing: Arc::clone(&there), mtu_bytes };
        let second = Self { incoming: there, outgoing: back, mtu_bytes };
        (first, second)
    }

    /// Sends one IP packet.
    ///
    /// # Errors
    /// [`DeviceError::PeerGone`].
    pub fn transmit(&self, packet: Vec<u8>) -> Result<(), DeviceError> {
        self.outgoing.put(packet)
    }

    /// Waits for the next IP packet, at most for `patience`; `None` if none came.
    ///
    /// # Errors
    /// [`DeviceError::PeerGone`], once everything that the other end sent has arrived.
    pub fn receive(&self, patience: Duration) -> Result<Option<Vec<u8>>, DeviceError> {
        self.incoming.wait(patience);
        self.incoming.take()
    }

    /// Takes the next IP packet if there is one.
    pub(super) fn take(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.incoming.take()
    }

    /// Waits until a packet can be taken.
    pub(super) fn wait(&self, patience: Duration) {
        self.incoming.wait(patience);
    }

    /// The longest packet that is meant to pass.
    pub(super) fn mtu_bytes(&self) -> usize {
        self.mtu_bytes
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        self.incoming.close();
        self.outgoing.close();
    }
}

/// One direction.
struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

/// What is under way in one direction.
struct PipeState {
    /// By the time of arrival, and among equals in the order of sending.
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
    impairment: Impairment,
    end: End,
}

/// Whether both ends of a direction are still there.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Both,
    Gone,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("under_way", &self.lock().under_way.len()).finish_non_exhaustive()
    }
}

impl Pipe {
    fn new(impairment: Impairment) -> Self {
        Self {
            state: Mutex::new(PipeState { under_way: BTreeMap::new(), sent: 0, impairment, end: End::Both }),
            changed: Condvar::new(),
        }
    }

    /// Puts a packet on its way.
    fn put(&self, packet: Vec<u8>) -> Result<(), DeviceError> {
        let now = Instant::now();
        let mut state = self.lock();
        if state.end == End::Gone {
            return Err(DeviceError::PeerGone);
        }
        for (delay, packet) in (state.impairment)(packet) {
            if state.under_way.len() >= LINK_PACKETS {
                break;
            }
            state.sent += 1;
            let due = (now + delay.into(), state.sent);
            state.under_way.insert(due, packet);
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the first packet that has arrived.
    fn take(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        let mut state = self.lock();
        let Some(first) = state.under_way.first_entry() else {
            return match state.end {
                End::Both => Ok(None),
                End::Gone => Err(DeviceError::PeerGone),
            };
        };
        let (due, _) = *first.key();
        Ok((due <= Instant::now()).then(|| first.remove()))
    }

    /// Waits until a packet has arrived or nobody is left to send one, at most for `patience`.
    fn wait(&self, patience: Duration) {
        let deadline = Instant::now() + patience.into();
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let first = state.under_way.first_key_value();
            let until = first.map_or(deadline, |((due, _), _)| deadline.min(*due));
            if until <= now || (first.is_none() && state.end == End::Gone) {
                return;
            }
            let waited = self.changed.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells the other side that this one is gone.
    fn close(&self) {
        self.lock().end = End::Gone;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[test]
    fn packets_arrive_in_order_on_a_perfect_link() {
        let (left, right) = LinkEnd::pair(1500, perfect(), perfect());
        for number in 0..100 {
            left.transmit(vec![number]).unwrap();
        }
        for number in 0..100 {
            assert_eq!(right.receive(PATIENCE).unwrap(), Some(vec![number]));
        }
        assert_eq!(right.receive(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_delayed_packet_is_overtaken() {
        let slow_zero: Impairment = Box::new(|packet| {
            let delay = if packet == [0] { 30 } else { 0 };
            vec![(Duration::from_millis(delay), packet)]
        });
        let (left, right) = LinkEnd::pair(1500, slow_zero, perfect());
        left.transmit(vec![0]).unwrap();
        left.transmit(vec![1]).unwrap();
        assert_eq!(right.receive(PATIENCE).unwrap(), Some(vec![1]));
        assert_eq!(right.receive(PATIENCE).unwrap(), Some(vec![0]));
    }

    #[test]
    fn what_was_sent_arrives_before_the_end_is_noticed() {
        let (left, right) = LinkEnd::pair(1500, perfect(), perfect());
        left.transmit(vec![1]).unwrap();
        drop(left);
        assert_eq!(right.receive(PATIENCE).unwrap(), Some(vec![1]));
        assert!(matches!(right.receive(PATIENCE), Err(DeviceError::PeerGone)));
        assert!(matches!(right.transmit(vec![2]), Err(DeviceError::PeerGone)));
    }

    #[test]
    fn a_full_link_loses() {
        let (left, right) = LinkEnd::pair(1500, perfect(), perfect());
        for _ in 0..LINK_PACKETS + 1 {
            left.transmit(vec![7]).unwrap();
        }
        let mut arrived = 0;
        while right.receive(Duration::ZERO).unwrap().is_some() {
            arrived += 1;
        }
        assert_eq!(arrived, LINK_PACKETS);
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let link = BadLink {
            seed: 7,
            loss_percent: 20,
            repeat_percent: 20,
            corrupt_percent: 20,
            delay: Duration::from_millis(1),
            jitter: Duration::from_millis(1),
        };
        let run = |mut hook: Impairment| (0..200).flat_map(|n| hook(vec![n; 20])).collect::<Vec<_>>();
        let fates = run(link.impairment());
        assert_eq!(fates, run(link.impairment()));
        assert_ne!(fates, run(BadLink { seed: 8, ..link }.impairment()));
        assert!(fates.len() > 150 && fates.len() < 250, "{}", fates.len());
    }
}
