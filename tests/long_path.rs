//! Long fast paths in virtual time: with what a connection is given by default, a path is filled, shared and left as it should be.
//!
//! The figures, for one flow at 1 Gbit/s: `FIGURES=1 cargo test --release --test long_path -- figures --nocapture`.

#![expect(clippy::expect_used, reason = "the hosts of a test fail it by panicking")]

mod common;
mod simulator;

use std::net::Ipv4Addr;

use session_tcp::tcp::segment::Segment;
use session_tcp::tcp::{Config, CongestionControl};
use simulator::flows::{Host, Link, Maker, Transfers};
use simulator::lane::Path;
use simulator::stack::{CLIENT, SERVER, Stack};
use smoltcp::time::{Duration, Instant};

/// The octets of the IPv4 header in front of each segment, kept empty: nobody reads them here.
const IP_HEADER: usize = 20;
/// What the sending user gives in one call.
const CHUNK: [u8; 16_384] = [b'x'; 16_384];
/// 100 Mbit/s, and what it carries in a round trip of 100 ms.
const RATE: u64 = 12_500_000;
const BDP: u64 = RATE / 10;
/// Half of that round trip.
const ONE_WAY: Duration = Duration::from_millis(50);

/// Ends with this configuration.
struct Ends(Config);

/// One of them, and a user that sends or receives all it can.
struct End {
    stack: Stack,
    sends: bool,
    addresses: [Ipv4Addr; 2],
    received: u64,
    wakes_at: Option<Instant>,
}

impl Maker for Ends {
    type Host = End;

    fn sender(&self, flow: u16, now: Instant) -> End {
        let stack = Stack::connect(self.0.clone(), u32::from(flow) * 1000, now);
        End { stack, sends: true, addresses: [*CLIENT.ip(), *SERVER.ip()], received: 0, wakes_at: None }
    }

    fn receiver(&self, flow: u16, _now: Instant) -> End {
        let stack = Stack::listen(self.0.clone(), u32::from(flow) * 1001);
        End { stack, sends: false, addresses: [*SERVER.ip(), *CLIENT.ip()], received: 0, wakes_at: None }
    }
}

impl Host for End {
    fn arrive(&mut self, packet: Vec<u8>, now: Instant) {
        let segment = Segment::parse(&packet[IP_HEADER..], self.addresses[1], self.addresses[0]);
        self.stack.arrive(segment.expect("this link damages nothing"), now);
    }

    fn work(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        self.received += self.stack.receive(usize::MAX).len() as u64;
        while self.sends && self.stack.has_room() {
            self.stack.send(&CHUNK, usize::MAX, now);
        }
        self.wakes_at = self.stack.work(now);
        for segment in self.stack.take_sent() {
            let mut packet = vec![0; IP_HEADER];
            packet.extend(segment.emit(self.addresses[0], self.addresses[1]));
            out.push(packet);
        }
        assert!(self.stack.ended().is_none(), "the connection ended: {:?}", self.stack.ended());
    }

    fn wakes_at(&mut self, _now: Instant) -> Option<Instant> {
        self.wakes_at
    }

    fn received(&self) -> u64 {
        self.received
    }
}

fn link(octets_per_second: u64, queue_octets: u64) -> Link {
    Link {
        octets_per_second,
        queue_octets,
        path: Path::perfect(ONE_WAY),
        delay_step: Duration::ZERO,
        start_step: Duration::ZERO,
        seed: 1,
    }
}

/// What part of the rate arrives between these seconds, and how many packets found the queue full.
fn part_used(config: Config, link: Link, from: i64, to: i64) -> (f64, u64) {
    let ends = Ends(config);
    let mut transfers = Transfers::new(&ends, link, 1);
    transfers.run_until(Instant::from_secs(from));
    let before = transfers.received(0);
    transfers.run_until(Instant::from_secs(to));
    let octets = transfers.received(0) - before;
    (octets as f64 / ((to - from) as f64 * link.octets_per_second as f64), transfers.line().dropped)
}

#[test]
fn path_that_needs_more_than_the_first_buffers_is_filled_by_default() {
    // Text is 1448 of 1500 octets.
    let (used, dropped) = part_used(Config::default(), link(RATE, 2 * BDP), 5, 15);
    assert!(used > 0.9, "{used:.3} of 0.965, {dropped} dropped");
    // The twin: without growth the window is 256 KiB a round trip, a fifth.
    let fixed = Config { rcv_buff_max_bytes: 0, ..Config::default() };
    let (used, _) = part_used(fixed, link(RATE, 2 * BDP), 5, 15);
    assert!(used < 0.25, "{used:.3}");
    let fixed = Config { snd_buff_max_bytes: 0, ..Config::default() };
    let (used, _) = part_used(fixed, link(RATE, 2 * BDP), 5, 15);
    assert!(used < 0.25, "{used:.3}");
}

#[test]
fn cubic_fills_a_long_path_with_a_short_queue_better_than_new_reno() {
    let of = |congestion| part_used(Config { congestion, ..Config::default() }, link(RATE, BDP / 4), 10, 40);
    let ((cubic, _), (reno, _)) = (of(CongestionControl::Cubic), of(CongestionControl::NewReno));
    assert!(cubic > 0.85 && cubic > reno, "CUBIC {cubic:.3}, NewReno {reno:.3}");
}

#[test]
fn full_queue_costs_a_flow_at_a_gigabit_no_more_than_one_reduction() {
    // Thousands of segments are lost at the end of slow start, and a hundred three seconds later.
    let rate = 10 * RATE;
    let (used, dropped) = part_used(Config::default(), link(rate, rate / 40), 2, 8);
    assert!(used > 0.88 && dropped > 1000, "{used:.3} of 0.965, {dropped} dropped");
}

#[test]
fn figures() {
    if std::env::var_os("FIGURES").is_none() {
        return;
    }
    println!("part of 1 Gbit/s used by one flow with default buffers, 100 ms, by the queue in parts of the BDP");
    let rate = 125_000_000;
    for (name, congestion) in [("CUBIC", CongestionControl::Cubic), ("NewReno", CongestionControl::NewReno)] {
        for parts in [10, 4, 2, 1] {
            let config = Config { congestion, ..Config::default() };
            let link = link(rate, rate / 10 / parts);
            let mut line = format!("{name:>8} BDP/{parts:<3}");
            for (from, to) in [(0, 2), (2, 5), (5, 10), (10, 20), (20, 40)] {
                let (used, dropped) = part_used(config.clone(), link, from, to);
                line += &format!("  {from:>2}-{to:<2} s {used:.3} ({dropped})");
            }
            println!("{line}");
        }
    }
}
