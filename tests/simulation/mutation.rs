//! Segments that nobody would send, in every state: nothing panics, the invariants hold, memory stays bounded.
//!
//! One seed again: `SEED=123 cargo test --test simulation -- --exact mutation::replay_mutations --nocapture`;
//! more segments: `SEGMENTS=100000000`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::tcp::sack::{Block, Blocks};
use session_tcp::tcp::segment::{Control, Options, Timestamp};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, Segment, Status};
use smoltcp::time::{Duration, Instant};

use crate::machine::{Machine, Sent};
use crate::random::Random;
use crate::variable;

const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);

/// Segments of a plain `cargo test`.
const DEFAULT_SEGMENTS: u64 = 1_000_000;

/// Segments that one machine meets.
const SEGMENTS_A_MACHINE: u64 = 500;

/// A machine that is bombarded, and what it last said of itself.
struct Target {
    machine: Option<Machine>,
    now: Instant,
    random: Random,
    config: Config,
    met: BTreeMap<&'static str, u64>,
}

impl Target {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = Config { rcv_buff_bytes: *random.pick(&[1, 1000, 65_535, 65_536, 262_144]), ..Config::default() };
        let now = Instant::from_micros(0);
        let iss = SeqNum::new(*random.pick(&[0, 1, u32::MAX, u32::MAX - 100, 0x8000_0000]));
        let machine = if random.per_mille(300) {
            Machine::connect(LOCAL, REMOTE, config.clone(), iss, now).0
        } else {
            Machine::listen(LOCAL, config.clone())
        };
        Self { machine: Some(machine), now, random, config, met: BTreeMap::new() }
    }

    /// Does something with the machine.
    fn with(&mut self, f: impl FnOnce(Machine, &mut Sent) -> Machine) {
        let mut sent = Sent::new();
        let machine = self.machine.take().expect("there is a machine between the steps");
        let machine = f(machine, &mut sent);
        self.machine = Some(machine);
        // One arrival is answered with one segment at most: no amplification.
        assert!(sent.len() <= 1, "{sent:?}");
        self.check();
    }

    fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("there is a machine between the steps")
    }

    fn check(&mut self) {
        let Some(status) = self.machine().status() else { return };
        *self.met.entry(status.state).or_default() += 1;
        assert!(status.snd_una.is_at_or_before(status.snd_nxt), "{status:?}");
        assert!(status.rcv_buffered_bytes <= self.config.rcv_buff_bytes + 4096 * 16, "{status:?}");
        assert!(status.cwnd > 0 && status.cwnd <= 1 << 30, "{status:?}");
    }

    /// A sequence number near one that matters.
    fn near(&mut self, numbers: &[SeqNum]) -> SeqNum {
        let number = *self.random.pick(numbers);
        let off = *self.random.pick(&[0, 0, 0, 0, 1, 1, 2, 100, 1460, 65_535, 0x4000_0000]);
        let off = u32::try_from(self.random.between(off / 2, off)).unwrap_or(0);
        if self.random.per_mille(500) { number + off } else { number - off }
    }

    /// A segment that could be from the peer, more or less.
    fn segment(&mut self) -> Segment {
        let status = self.machine().status();
        let zero = SeqNum::new(0);
        let (seqs, acks) = match &status {
            Some(Status { snd_una, snd_nxt, rcv_nxt, rcv_wnd, .. }) => {
                ([*rcv_nxt, *rcv_nxt, *rcv_nxt + *rcv_wnd], [*snd_nxt, *snd_nxt, *snd_una])
            }
            None => ([zero; 3], [zero; 3]),
        };
        let usual = *self.random.pick(&[
            Control::ACK,
            Control::ACK,
            Control::ACK | Control::PSH,
            Control::ACK | Control::FIN,
            Control::SYN,
            Control::SYN | Control::ACK,
            Control::RST,
            Control::NONE,
        ]);
        let control =
            if self.random.per_mille(100) { Control::from_bits(self.random.next().to_le_bytes()[0]) } else { usual };
        let handshake = matches!(self.machine(), Machine::Listen(_) | Machine::SynSent(_));
        let control = if handshake && self.random.per_mille(500) { Control::SYN } else { control };
        let len = *self.random.pick(&[0, 0, 0, 1, 10, 536, 1460, 5000]);
        Segment {
            src_port: REMOTE.port(),
            dst_port: LOCAL.port(),
            seq: self.near(&seqs),
            ack: self.near(&acks),
            control,
            wnd: *self.random.pick(&[0, 1, 100, 1000, 65_535, 65_535]),
            up: self.random.next().to_le_bytes()[0].into(),
            options: Options {
                mss: self.random.per_mille(300).then(|| *self.random.pick(&[0, 1, 536, 1460, u16::MAX])),
                window_scale: self.random.per_mille(300).then(|| *self.random.pick(&[0, 7, 14, 15, 255])),
                timestamp: self.timestamp(control),
                sack_permitted: self.random.per_mille(500),
                sack: self.blocks(&acks),
            },
            payload: vec![7; self.random.size(0, len)],
            ..Segment::default()
        }
    }

    /// Timestamps, mostly the same and some older or around the wrap; sometimes none, a SYN often none.
    fn timestamp(&mut self, control: Control) -> Option<Timestamp> {
        let mut value = || match self.random.between(0, 19) {
            0 => *self.random.pick(&[0_u32, 1 << 31, u32::MAX]),
            1 => 9000 - u32::from(self.random.next().to_le_bytes()[0]),
            _ => 9000,
        };
        let timestamp = Timestamp { tsval: value(), tsecr: value() };
        self.random.per_mille(if control.syn() { 150 } else { 950 }).then_some(timestamp)
    }

    /// SACK blocks of every kind: true ones, old ones, early ones, turned round.
    fn blocks(&mut self, near: &[SeqNum]) -> Blocks {
        let count = if self.random.per_mille(500) { self.random.size(1, 4) } else { 0 };
        (0..count)
            .map(|_| {
                let left = self.near(near);
                let right = if self.random.per_mille(800) {
                    left + *self.random.pick(&[1, 536, 1460, 50_000])
                } else {
                    self.near(near)
                };
                Block { left, right }
            })
            .collect()
    }

    /// A segment arrives, through the wire's format; sometimes its octets are changed first, behind the checksum's back.
    fn bombard(&mut self) {
        let segment = self.segment();
        let mut bytes = segment.emit(*REMOTE.ip(), *LOCAL.ip());
        if self.random.per_mille(200) {
            for _ in 0..self.random.size(1, 4) {
                let at = self.random.size(0, bytes.len() - 1);
                bytes[at] = self.random.next().to_le_bytes()[0];
            }
            mend_checksum(&mut bytes);
        }
        let Ok(segment) = Segment::parse(&bytes, *REMOTE.ip(), *LOCAL.ip()) else { return };
        let (iss, now) = (SeqNum::new(9), self.now);
        self.with(|machine, sent| machine.arrive(REMOTE, segment, iss, now, sent));
    }

    /// The user or the clock does something.
    fn live(&mut self) {
        let now = self.now;
        match self.random.between(0, 99) {
            0..40 => self.with(|machine, sent| machine.work(now, sent)),
            40..55 => self.now += Duration::from_micros(self.random.between(0, 2_000_000)),
            55..70 if self.machine().can_send() => {
                let text = vec![1; self.random.size(1, 5000)];
                self.with(|mut machine, _| {
                    machine.send(&text, now);
                    machine
                });
            }
            70..90 => {
                let most = self.random.size(0, 5000);
                self.with(|mut machine, _| {
                    let expected = machine.readable().min(most);
                    assert_eq!(machine.deliver(most).len(), expected);
                    machine
                });
            }
            90 => self.with(|machine, _| machine.close(now)),
            _ => {}
        }
    }
}

/// Sets the checksum right again, whatever the octets are.
fn mend_checksum(bytes: &mut [u8]) {
    let mut pseudo_header = [0; 12];
    pseudo_header[..4].copy_from_slice(&REMOTE.ip().octets());
    pseudo_header[4..8].copy_from_slice(&LOCAL.ip().octets());
    pseudo_header[9] = 6;
    pseudo_header[10..].copy_from_slice(&u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
    bytes[16..18].copy_from_slice(&[0, 0]);
    let mut sum = 0_u32;
    for pair in pseudo_header.chunks(2).chain(bytes.chunks(2)) {
        sum += (u32::from(pair[0]) << 8) + u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let sum = !u16::try_from(sum).unwrap_or(0);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
}

/// Bombards one machine; returns how often it was seen in which state.
fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut target = Target::new(seed);
    for _ in 0..SEGMENTS_A_MACHINE {
        if target.machine().end().is_some() {
            let again = Target::new(target.random.next());
            target = Target { met: target.met, ..again };
        }
        target.bombard();
        target.live();
    }
    target.met
}

#[test]
fn replay_mutations() {
    if let Some(seed) = variable("SEED") {
        eprintln!("{:?}", run(seed));
    }
}

#[test]
fn no_segment_makes_any_state_panic() {
    let segments = variable("SEGMENTS").unwrap_or(DEFAULT_SEGMENTS);
    let mut met = BTreeMap::new();
    for seed in 0..segments.div_ceil(SEGMENTS_A_MACHINE) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        let Ok(seen) = outcome else {
            panic!("SEED={seed} cargo test --test simulation -- --exact mutation::replay_mutations --nocapture");
        };
        for (state, count) in seen {
            *met.entry(state).or_insert(0) += count;
        }
    }
    eprintln!("{segments} segments; {met:?}");
    assert_eq!(met.len(), 9, "every state was met: {met:?}");
    assert!(met.values().all(|count| *count > segments / 5000), "every state was met often: {met:?}");
}
