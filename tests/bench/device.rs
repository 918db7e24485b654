//! `cargo bench --bench device`: how fast lines come back over the TUN device, ours beside Linux's own TCP, in one run.
//!
//! It makes a network namespace of its own. The client is Linux's TCP each time, and sends and reads as fast as it can; it and the
//! server share the machine's cores, so the figures are those of this machine and only the ratios travel.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on has no figures to give")]

#[path = "../common/mod.rs"]
mod common;
mod delay;
#[expect(dead_code, reason = "its tests, which run elsewhere")]
#[path = "../../src/user/lines.rs"]
mod lines;
mod linux;

use common::client::Client;
use common::namespace::{is_root, run, set_sysctl};
use common::random::Random;
use common::server::Server;
use common::{DEVICE, PORT, SERVER};
use core::net::{Ipv4Addr, SocketAddrV4};
use delay::{DEVICE_QUEUE, LongPath};
use linux::{Beside, Packets};
use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set to what the process is to do, where it is not the first one.
const TASK: &str = "SESSION_TCP_BENCH";
/// Runs of each candidate, one after the other in turn; the median counts.
const ROUNDS: usize = 3;
/// How long the windows have to open,
const WARM_UP: Duration = Duration::from_secs(1);
/// and how long is measured after that.
const MEASURED: Duration = Duration::from_secs(3);
/// The same where a round trip takes 100 ms.
const LONG_WARM_UP: Duration = Duration::from_secs(5);
/// The same.
const LONG_MEASURED: Duration = Duration::from_secs(10);
/// Half of that round trip.
const ONE_WAY: Duration = Duration::from_millis(50);
/// Octets that the client writes or reads at once.
const PIECE: usize = 256 * 1024;
/// Letters in a line at most.
const LONGEST_LINE: usize = 100;
/// No run may take longer, or something hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// How Linux is set, client and server alike: the congestion control that every kernel has, and buffers for a long fast path.
const SETTINGS: [(&str, &str); 6] = [
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.tcp_congestion_control", "reno"),
    ("net.ipv4.tcp_rmem", "4096 131072 33554432"),
    ("net.ipv4.tcp_wmem", "4096 131072 33554432"),
];

fn main() {
    match env::var(TASK).as_deref() {
        Ok("measure") => measure(),
        Ok("linux") => linux::serve(),
        _ => run_again_inside(),
    }
}

/// Runs this program again in a network namespace of its own; all that it starts there ends with it.
fn run_again_inside() {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--pid", "--fork", "--kill-child", "--"]).arg(env::current_exe().unwrap());
    // In our place, so that all of it ends when this process is ended.
    let error = command.args(env::args().skip(1)).env(TASK, "measure").exec();
    panic!("cannot run unshare: {error}; install util-linux");
}

/// Prints the tables.
fn measure() {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("the benchmark did not end within {} s", LIMIT.as_secs());
        exit(1);
    });
    for (name, value) in SETTINGS {
        set_sysctl(name, value);
    }
    let server = Server::start();
    run("ip", &["link", "set", "dev", DEVICE, "txqueuelen", DEVICE_QUEUE]);
    let ours = (format!("ours over {DEVICE}"), SocketAddrV4::new(SERVER, PORT));
    let single = Beside::start(1, Packets::OfOneSegment);
    let large = Beside::start(2, Packets::OfManySegments);
    let veth = |name: &str, beside: &Beside| (format!("Linux over veth, {name}"), beside.address());
    let theirs = [veth("one segment a packet", &single), veth("packets of up to 64 KiB", &large)];
    let servers = [[ours].as_slice(), &theirs].concat();

    println!("Lines reversed by an echo server, MTU 1500: bytes per second that come back, median of {ROUNDS} runs");
    print(&servers, ROUNDS, |server| rate(server, WARM_UP, MEASURED));
    println!("\nThe same over a path of {} ms there and as much back, one run", ONE_WAY.as_millis());
    print(&servers[..2], 1, |server| {
        let path = LongPath::start(ONE_WAY, *server.ip());
        let rate = rate(LongPath::SERVER, LONG_WARM_UP, LONG_MEASURED);
        thread::sleep(4 * ONE_WAY); // for the last ACK
        if path.lost() > 0 {
            eprintln!("the relay had no room for {} packets", path.lost());
        }
        rate
    });
    drop(server);
}

/// Measures each of the servers in turn, as often as there are rounds, and prints the medians, the first one beside the others.
fn print(servers: &[(String, SocketAddrV4)], rounds: usize, measure: impl Fn(SocketAddrV4) -> f64) {
    let mut rates = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        for (rates, (_, server)) in rates.iter_mut().zip(servers) {
            rates.push(measure(*server));
        }
    }
    let medians: Vec<f64> = rates.into_iter().map(median).collect();
    for ((name, _), median) in servers.iter().zip(&medians) {
        println!("{name:<45} {median:>12.0} {:>8.3}", medians[0] / median);
    }
}

/// Bytes per second that come back from this server.
fn rate(server: SocketAddrV4, warm_up: Duration, measured: Duration) -> f64 {
    let mut client = Client::connect_to(server);
    let mut writer = client.stream.try_clone().unwrap();
    let text = Random::new(1).lines(PIECE, LONGEST_LINE);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match writer.write_all(&text) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return,
                    Err(error) => panic!("the client cannot write: {error}"),
                }
            }
            writer.shutdown(Shutdown::Write).unwrap();
        });
        read_for(&mut client, warm_up);
        let start = Instant::now();
        let octets = read_for(&mut client, measured);
        let rate = octets as f64 / start.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        while client.stream.read(&mut vec![0; PIECE]).unwrap() > 0 {}
        rate
    })
}

/// Reads for so long and counts the bytes.
fn read_for(client: &mut Client, time: Duration) -> usize {
    let mut buffer = vec![0; PIECE];
    let (end, mut octets) = (Instant::now() + time, 0);
    while Instant::now() < end {
        match client.stream.read(&mut buffer).unwrap() {
            0 => panic!("the server closed"),
            read => octets += read,
        }
    }
    octets
}

/// The one in the middle.
fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A host's address in the network of this number.
fn address(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 16 * network + host)
}
