//! Linux's own TCP as the server: the same reversal of lines on a kernel socket, at the other end of a veth pair.

use crate::address;
use crate::common::PORT;
use crate::common::namespace::{run, set_sysctl};
use crate::delay::DEVICE_QUEUE;
use crate::lines::Lines;
use core::net::SocketAddrV4;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the server's process the number of its network.
const NETWORK: &str = "SESSION_TCP_BENCH_NETWORK";
/// Octets read at once: as many as our own user gets with one RECEIVE.
const PIECE: usize = 64 * 1024;
/// Our host in a network, and the server's.
const NEAR: u8 = 1;
/// The same.
const FAR: u8 = 2;
/// What the server's process says when it listens.
const LISTENING: &str = "listening";
/// How long the device may take to appear.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What crosses the veth pair at once.
#[derive(Clone, Copy)]
pub(crate) enum Packets {
    /// One segment, as over our device.
    OfOneSegment,
    /// Up to 64 KiB: a pair has no wire, so nobody ever cuts them.
    OfManySegments,
}

/// A server in a network namespace beside ours.
pub(crate) struct Beside {
    process: Child,
    network: u8,
}

impl Beside {
    /// Starts it in the network of this number.
    pub(crate) fn start(network: u8, packets: Packets) -> Self {
        let mut process = Command::new("unshare")
            .args(["--net", "--"])
            .arg(env::current_exe().unwrap())
            .env(crate::TASK, "linux")
            .env(NETWORK, network.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let near = near_end(network);
        // `unshare` becomes the server without another process: its namespace is there once the server says so.
        assert_eq!(said.next().as_deref(), Some("ready"), "the server's process did not start");
        let pid = process.id().to_string();
        run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far_end(network), "netns", &pid]);
        configure(&near, network, NEAR, packets);
        assert_eq!(said.next().as_deref(), Some(LISTENING), "the server does not listen");
        Self { process, network }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(address(self.network, FAR), PORT)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// The server's process: takes one connection after the other.
pub(crate) fn serve() {
    for (name, value) in crate::SETTINGS {
        set_sysctl(name, value);
    }
    println!("ready");
    let network: u8 = env::var(NETWORK).unwrap().parse().unwrap();
    let far = far_end(network);
    let end = Instant::now() + START_LIMIT;
    while !fs::read_to_string("/proc/net/dev").unwrap().contains(&far) {
        assert!(Instant::now() < end, "the device does not appear");
        thread::sleep(Duration::from_millis(10));
    }
    let packets = if network == 1 { Packets::OfOneSegment } else { Packets::OfManySegments };
    configure(&far, network, FAR, packets);
    let listener = TcpListener::bind(SocketAddrV4::new(address(network, FAR), PORT)).unwrap();
    println!("{LISTENING}");
    for stream in listener.incoming() {
        echo(stream.unwrap());
    }
}

/// Reverses lines until the client closes.
fn echo(mut stream: TcpStream) {
    let (mut lines, mut buffer) = (Lines::default(), vec![0; PIECE]);
    stream.set_nodelay(true).unwrap();
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            stream.write_all(&lines.finish()).unwrap();
            return;
        }
        let (answer, _) = lines.push(&buffer[..read]);
        stream.write_all(&answer).unwrap();
    }
}

/// Our end of the pair.
fn near_end(network: u8) -> String {
    format!("bench-near{network}")
}

/// The server's end.
fn far_end(network: u8) -> String {
    format!("bench-far{network}")
}

/// Gives one end its address.
fn configure(device: &str, network: u8, host: u8, packets: Packets) {
    if let Packets::OfOneSegment = packets {
        run("ip", &["link", "set", "dev", device, "gso_max_segs", "1"]);
    }
    run("ip", &["address", "add", &format!("{}/28", address(network, host)), "dev", device]);
    run("ip", &["link", "set", "dev", device, "txqueuelen", DEVICE_QUEUE, "up"]);
    if host == FAR {
        run("ip", &["route", "add", "default", "via", &address(network, NEAR).to_string()]);
    }
}
