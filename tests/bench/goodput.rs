//! `cargo bench --bench goodput`: how fast text arrives, ours beside smoltcp's own TCP socket, over the same simulated link with the
//! same seeds.
//!
//! Everything happens in virtual time, so the figures are the same on every machine; only how long it takes to get them is not.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on has no figures to give")]

#[path = "../common/mod.rs"]
mod common;
mod ours;
#[path = "../simulator/mod.rs"]
mod simulator;
mod theirs;

use ours::Ours;
use simulator::flows::{Link, Maker, Transfers};
use simulator::lane::Path;
use smoltcp::time::{Duration, Instant};
use theirs::Theirs;

/// Half of the round trip of 100 ms.
const ONE_WAY: Duration = Duration::from_millis(50);
/// The rates of the link: so high that a flight arrives at one instant and is answered by one ACK, as in smoltcp's own simulator, and
/// 1 Gbit/s, at which packets come one after the other.
const RATES: [(u64, &str); 2] = [(1 << 43, "no limit to its rate"), (125_000_000, "1 Gbit/s")];
/// Runs of each cell, each with its own seed.
const SEEDS: u64 = 5;
/// A transfer is cut off after so much virtual time, and what came by then counts.
const LIMIT: Instant = Instant::from_millis_const(600_000);
/// Losses in a thousand packets.
const LOSSES: [u64; 5] = [0, 10, 20, 50, 100];
/// With reordering, so many packets in a thousand are late,
const LATE: u64 = 50;
/// by this much: less than a quarter of a round trip, and longer than a window of 1 MiB takes.
const LATENESS: Duration = Duration::from_millis(20);

/// The buffers of a table, and how much is sent through them.
const TABLES: [(usize, u64); 2] = [(32 * 1024, 4 << 20), (1024 * 1024, 16 << 20)];

fn main() {
    println!(
        "Goodput in bytes per second, mean of {SEEDS} seeds; theirs is smoltcp's socket with CUBIC; 100 ms round trip"
    );
    for (octets_per_second, rate) in RATES {
        for (buffer, octets) in TABLES {
            println!("\nbuffers of {} KiB, {rate}", buffer / 1024);
            println!("{:>10} {:>32} {:>32}", "", "in order", "5 % of packets 20 ms late");
            println!("{:>10}{HEADINGS}{HEADINGS}", "loss [%]");
            for lost in LOSSES {
                print!("{:>10}", lost / 10);
                for late in [0, LATE] {
                    let path = Path { delay: ONE_WAY, lost, late, lateness: LATENESS };
                    let link = Link { octets_per_second, path, ..LINK };
                    let (ours, theirs) =
                        (goodput(&Ours { buffer }, link, octets), goodput(&Theirs { buffer }, link, octets));
                    print!(" {ours:>12.0} {theirs:>12.0} {:>6.2}", ours / theirs);
                }
                println!();
            }
        }
    }
    println!("\n{FLOWS} flows over one bottleneck of 100 Mbit/s, 100 to 115 ms round trip, {} s", MEASURED.secs());
    println!("{:>10} {:>32} {:>32}", "", "Jain's index", "part of the rate used");
    println!("{:>10}{HEADINGS}{HEADINGS}", "queue [B]");
    let (ours, theirs) = (Ours { buffer: SHARED_BUFFER }, Theirs { buffer: SHARED_BUFFER });
    for queue in QUEUES {
        let (ours, theirs) = (share(&ours, queue), share(&theirs, queue));
        print!("{queue:>10}");
        for (ours, theirs) in [(ours.jain, theirs.jain), (ours.used, theirs.used)] {
            print!(" {ours:>12.3} {theirs:>12.3} {:>6.2}", ours / theirs);
        }
        println!();
    }
}

/// Three columns.
const HEADINGS: &str = "         ours       theirs  ratio";

/// Bytes per second, the mean over the seeds.
fn goodput<M: Maker>(maker: &M, link: Link, octets: u64) -> f64 {
    let one = |seed: u64| {
        let mut transfers = Transfers::new(maker, Link { seed, ..link }, 1);
        let took = transfers.run_until_received(octets, LIMIT);
        transfers.received(0) as f64 / seconds(took)
    };
    (1..=SEEDS).map(one).sum::<f64>() / SEEDS as f64
}

/// A link with nothing particular.
const LINK: Link = Link {
    octets_per_second: RATE,
    queue_octets: u64::MAX,
    path: Path::perfect(ONE_WAY),
    delay_step: Duration::ZERO,
    start_step: Duration::ZERO,
    seed: 1,
};

/// The flows that share a bottleneck.
const FLOWS: usize = 16;
/// Its rate: 100 Mbit/s.
const RATE: u64 = 12_500_000;
/// Its queue: a tenth of what is under way in a round trip, half of it, and all of it.
const QUEUES: [u64; 3] = [125_000, 625_000, 1_250_000];
/// Each flow's buffers, as in smoltcp's own measurement.
const SHARED_BUFFER: usize = 256 * 1024;
/// How long the flows have to find their shares,
const WARM_UP: Instant = Instant::from_millis_const(10_000);
/// and how long they are measured after that.
const MEASURED: Duration = Duration::from_secs(50);

/// How a bottleneck was shared.
struct Share {
    /// Jain's index: 1 when all get the same, 1/n when one gets everything.
    jain: f64,
    /// What part of the rate arrived as text.
    used: f64,
}

/// Lets the flows share the bottleneck.
fn share<M: Maker>(maker: &M, queue_octets: u64) -> Share {
    let step = Duration::from_micros(500);
    let start_step = Duration::from_millis(37);
    let link = Link { queue_octets, delay_step: step, start_step, ..LINK };
    let mut transfers = Transfers::new(maker, link, FLOWS);
    transfers.run_until(WARM_UP);
    let before: Vec<u64> = (0..FLOWS).map(|flow| transfers.received(flow)).collect();
    transfers.run_until(WARM_UP + MEASURED);
    let gains = before.iter().enumerate().map(|(flow, before)| (transfers.received(flow) - before) as f64);
    let (sum, squares) = gains.fold((0.0, 0.0), |(sum, squares), gain| (sum + gain, squares + gain * gain));
    Share { jain: sum * sum / (FLOWS as f64 * squares), used: sum / seconds(MEASURED) / RATE as f64 }
}

fn seconds(duration: Duration) -> f64 {
    duration.total_micros() as f64 / 1e6
}
