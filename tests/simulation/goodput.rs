//! How much a bulk transfer moves over a path that loses segments, in virtual time.
//!
//! The whole table, beside smoltcp's socket: `cargo bench --bench goodput`.

use std::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::tcp::Config;
use session_tcp::tcp::seq::SeqNum;
use smoltcp::time::{Duration, Instant};

use crate::link::{Faults, Link};
use crate::machine::{Machine, Sent};
use crate::random::Random;

const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);
const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);

/// Half of a round trip of 100 ms.
const DELAY_MICROS: u64 = 50_000;

/// What the user of the sending end hands over at once.
const PIECE: [u8; 8192] = [0x5a; 8192];

/// A path and who uses it.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// Of both ends.
    pub(crate) config: Config,
    /// Of a thousand segments, in each direction.
    pub(crate) loss: u64,
    /// Of a thousand segments, in each direction: so many come late.
    pub(crate) reordering: u64,
    pub(crate) seconds: u64,
}

impl Path {
    fn new(buff_bytes: usize, loss: u64) -> Self {
        let config = Config {
            rcv_buff_bytes: buff_bytes,
            rcv_buff_max_bytes: buff_bytes,
            snd_buff_bytes: buff_bytes,
            snd_buff_max_bytes: buff_bytes,
            ..Config::default()
        };
        Self { config, loss, reordering: 0, seconds: 120 }
    }

    /// Octets a second that arrive.
    fn goodput(&self, seed: u64) -> usize {
        let mut random = Random::new(seed);
        let faults = Faults {
            loss: self.loss,
            repetition: 0,
            reordering: self.reordering,
            corruption: 0,
            shrinking: 0,
            delay_micros: DELAY_MICROS,
            jitter_micros: 0,
            bottleneck: None,
            dead_from: None,
        };
        let now = Instant::from_micros(0);
        let (first, syn) = Machine::connect(A, B, self.config.clone(), SeqNum::new(1000), now);
        let mut run = Run {
            machines: [Some(first), Some(Machine::listen(B, self.config.clone()))],
            links: [
                Link::new(A, B, faults.clone(), Random::new(random.next())),
                Link::new(B, A, faults, Random::new(random.next())),
            ],
            now,
            received: 0,
        };
        run.links[0].send(syn.into(), now);
        let end = now + Duration::from_secs(self.seconds);
        while run.now < end {
            run.step();
        }
        run.received / usize::try_from(self.seconds).unwrap_or(1)
    }

    /// The same over many seeds.
    fn mean_goodput(&self, seeds: u64) -> usize {
        (1..=seeds).map(|seed| self.goodput(seed)).sum::<usize>() / usize::try_from(seeds).unwrap_or(1)
    }
}

/// A transfer from the first machine to the second.
struct Run {
    machines: [Option<Machine>; 2],
    links: [Link; 2],
    now: Instant,
    received: usize,
}

impl Run {
    /// All that is due now; then the clock goes on.
    fn step(&mut self) {
        let mut next: Option<Instant> = None;
        for index in [0, 1] {
            let (remote, iss) = ([B, A][index], SeqNum::new(500_000));
            let mut machine = self.machines[index].take().expect("there is a machine between the steps");
            while let Some(arrival) = self.links[1 - index].receive(self.now) {
                let segment = arrival.expect("nothing is corrupted");
                let mut sent = Sent::new();
                machine = machine.arrive(remote, segment, iss, self.now, &mut sent);
                // Both users are quick.
                self.received += machine.deliver(usize::MAX).len();
                self.send(index, sent);
            }
            while index == 0 && machine.can_send() {
                machine.send(&PIECE, self.now);
            }
            while machine.deadline(self.now).is_some_and(|at| at <= self.now) {
                let mut sent = Sent::new();
                machine = machine.work(self.now, &mut sent);
                self.send(index, sent);
            }
            next = next.into_iter().chain(machine.deadline(self.now)).min();
            self.machines[index] = Some(machine);
        }
        let arrivals = self.links.iter().filter_map(Link::next_arrival);
        self.now = next.into_iter().chain(arrivals).min().expect("a bulk transfer always waits for something");
    }

    fn send(&mut self, index: usize, sent: Sent) {
        for segment in sent {
            self.links[index].send(segment, self.now);
        }
    }
}

#[test]
fn losses_cost_less_than_half_of_what_they_cost_smoltcp() {
    // Octets a second of smoltcp on this path, with a buffer of 32 KiB.
    for (loss, smoltcp) in [(10, 60_000), (20, 31_000), (50, 13_000), (100, 4_800)] {
        let goodput = Path::new(32 * 1024, loss).mean_goodput(3);
        assert!(goodput >= 2 * smoltcp, "{goodput} octets/s at {loss} per mille lost");
    }
}

#[test]
fn late_segments_are_not_taken_for_lost_ones() {
    let on_time = Path::new(32 * 1024, 0).goodput(1);
    let late = Path { reordering: 20, ..Path::new(32 * 1024, 0) }.goodput(1);
    assert!(late * 2 > on_time, "{late} octets/s instead of {on_time}");
}
