//! A bad link in user space, between the kernel's TCP and the server, since the kernel's `netem` may be missing.
//!
//! ```text
//! kernel socket ── tun-link ── [ two threads: delay, lose, repeat, reorder, corrupt ] ── packet socket ── tun-st ── server
//! 198.51.100.1    a TUN device                                                          192.0.2.77              192.0.2.2
//! ```
//!
//! The client connects to 198.51.100.2. The emulator reads its packets from the client's TUN device, gives them the addresses
//! 192.0.2.77 and 192.0.2.2, as a NAT would, and hands them to the server's device; the other way round likewise. The
//! checksums are adjusted (RFC 1624), not computed anew, so that a wrong one stays wrong. This is the two-device emulator of one
//! namespace instead of two: the kernel cannot short-cut it, as it owns neither 192.0.2.77 nor 198.51.100.2.

use super::namespace::{is_root, run};
use super::packets::{BUFFER_BYTES, await_readable, receive, transmit};
use super::random::Random;
use super::segment::{HEADER, fill_ipv4_checksum, parse_ipv4, u16_at};
use super::socket::widen;
use super::{DEVICE, PEER, PORT, SERVER};
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::phy::{Device, Medium, RawSocket, TunTapInterface};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The client's device.
const LINK_DEVICE: &str = "tun-link";
/// The client's address.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The address under which the client finds the server.
const FAR_END: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// How exact the delays are.
const TICK: Duration = Duration::from_millis(1);
/// The ECN field of an IPv4 header, in its second octet, when it says that there is congestion (RFC 3168 §5).
const CONGESTION_EXPERIENCED: u8 = 3;
/// Packets under way in one direction; more are lost, as in a router's queue.
const QUEUE: usize = 2000;

/// What the link does to packets, the same in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Impairments {
    /// All random choices come from this.
    pub seed: u64,
    /// Every packet takes this long at least.
    pub delay: Duration,
    /// And up to this much more, at random: a spread wider than the gap between packets reorders them.
    pub jitter: Duration,
    /// Of a thousand packets, this many are lost: one of each group, at a random place in it.
    ///
    /// Were each packet lost by itself, every fifth on the average, a segment would at times be lost seven times in a row; as the RTO
    /// doubles, that takes two minutes, and no deadline of a test would be one. `tests/simulation` has such losses, in virtual time.
    pub lost: u64,
    /// This many come twice.
    pub repeated: u64,
    /// This many have one byte changed.
    pub corrupted: u64,
    /// Of those that are ECN-capable, this many are marked: congestion experienced.
    pub marked: u64,
}

impl Impairments {
    /// A link that does nothing.
    pub const NONE: Self =
        Self { seed: 0, delay: Duration::ZERO, jitter: Duration::ZERO, lost: 0, repeated: 0, corrupted: 0, marked: 0 };
}

/// How often what happened, both directions together.
#[derive(Debug, Default)]
pub struct Counts {
    /// Packets that entered the link.
    pub packets: AtomicU64,
    /// Packets that were lost.
    pub lost: AtomicU64,
    /// Packets that came twice.
    pub repeated: AtomicU64,
    /// Packets that were overtaken.
    pub reordered: AtomicU64,
    /// Packets that had a byte changed.
    pub corrupted: AtomicU64,
    /// Packets that were marked.
    pub marked: AtomicU64,
}

/// The running link.
pub struct Link {
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Link {
    /// Where clients connect to.
    pub const SERVER: SocketAddrV4 = SocketAddrV4::new(FAR_END, PORT);

    /// Makes the client's device and starts the link; the server's device has to be there already.
    pub fn start(impairments: Impairments) -> Self {
        assert!(is_root(), "inside a namespace everybody is root");
        run("ip", &["tuntap", "add", "dev", LINK_DEVICE, "mode", "tun"]);
        let client = format!("{CLIENT}/24");
        run("ip", &["address", "add", &client, "dev", LINK_DEVICE]);
        run("ip", &["link", "set", "dev", LINK_DEVICE, "up"]);
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let to_server = Arc::new(Lane::new(impairments, 0, &counts));
        let to_client = Arc::new(Lane::new(impairments, 1, &counts));
        let (ready, when_ready) = sync_channel(2);
        let client_side = Side {
            own: Arc::clone(&to_server),
            other: Arc::clone(&to_client),
            from: (CLIENT, FAR_END),
            becomes: (PEER, SERVER),
            stop: Arc::clone(&stop),
            ready,
        };
        let server_side = Side {
            own: to_client,
            other: to_server,
            from: (SERVER, PEER),
            becomes: (FAR_END, CLIENT),
            stop: Arc::clone(&stop),
            ready: client_side.ready.clone(),
        };
        let threads = vec![
            thread::spawn(move || {
                client_side.run(TunTapInterface::new(LINK_DEVICE, Medium::Ip).unwrap());
            }),
            thread::spawn(move || {
                let socket = RawSocket::new(DEVICE, Medium::Ip).unwrap();
                widen(&socket, BUFFER_BYTES);
                server_side.run(socket);
            }),
        ];
        for _ in &threads {
            when_ready.recv().unwrap();
        }
        Self { counts, stop, threads }
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Asserts that all that can go wrong on this link did, so that a test that passes has met it.
    pub fn assert_all_met(&self) {
        let Counts { lost, repeated, reordered, corrupted, .. } = &*self.counts;
        let met = [lost, repeated, reordered, corrupted].iter().all(|count| count.load(Ordering::Relaxed) > 0);
        assert!(met, "the link was too kind: {:?}", self.counts);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the emulated link failed");
        }
    }
}

/// One thread: what arrives at its device goes into its own lane, what is due in the other lane goes out at its device.
struct Side {
    own: Arc<Lane>,
    other: Arc<Lane>,
    from: (Ipv4Addr, Ipv4Addr),
    becomes: (Ipv4Addr, Ipv4Addr),
    stop: Arc<AtomicBool>,
    ready: SyncSender<()>,
}

impl Side {
    fn run(self, mut device: impl Device + AsRawFd) {
        self.ready.send(()).unwrap();
        while !self.stop.load(Ordering::SeqCst) {
            await_readable(&device, TICK);
            while let Some(mut packet) = receive(&mut device) {
                if rewrite(&mut packet, self.from, self.becomes) {
                    self.own.enter(packet);
                }
            }
            for packet in self.other.due() {
                transmit(&mut device, &packet);
            }
        }
    }
}

/// One direction of the link.
struct Lane {
    impairments: Impairments,
    counts: Arc<Counts>,
    state: Mutex<LaneState>,
}

struct LaneState {
    random: Random,
    /// Packets left of the group of which one is lost, and how many of them come before that one.
    group: Option<(u64, u64)>,
    entered: u64,
    latest: Instant,
    under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
}

impl Lane {
    fn new(impairments: Impairments, direction: u64, counts: &Arc<Counts>) -> Self {
        let state = LaneState {
            random: Random::new(impairments.seed * 2 + direction),
            group: None,
            entered: 0,
            latest: Instant::now(),
            under_way: BinaryHeap::new(),
        };
        Self { impairments, counts: Arc::clone(counts), state: Mutex::new(state) }
    }

    /// Decides what becomes of a packet.
    fn enter(&self, mut packet: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        let bad = self.impairments;
        let count = |counter: &AtomicU64| _ = counter.fetch_add(1, Ordering::Relaxed);
        count(&self.counts.packets);
        if state.loses(bad.lost) || state.under_way.len() >= QUEUE {
            count(&self.counts.lost);
            return;
        }
        if is_ecn_capable(&packet) && state.random.per_mille(bad.marked) {
            count(&self.counts.marked);
            packet[1] |= CONGESTION_EXPERIENCED;
            fill_ipv4_checksum(&mut packet);
        }
        if state.random.per_mille(bad.corrupted) {
            count(&self.counts.corrupted);
            // One byte: the Internet checksum always notices that. Not the first: a TUN device takes nothing but IP version 4 and 6.
            let at = 1 + state.random.index(packet.len() - 1);
            packet[at] ^= 1 << state.random.below(8);
        }
        if state.random.per_mille(bad.repeated) {
            count(&self.counts.repeated);
            state.schedule(packet.clone(), bad);
        }
        if state.schedule(packet, bad) {
            count(&self.counts.reordered);
        }
    }

    /// The packets whose time has come.
    fn due(&self) -> Vec<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(Reverse((at, _, _))) = state.under_way.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((_, _, packet))) = state.under_way.pop() {
                due.push(packet);
            }
        }
        due
    }
}

/// Whether routers may mark this packet (RFC 3168 §5): its ECN field is ECT(0) or ECT(1).
fn is_ecn_capable(packet: &[u8]) -> bool {
    matches!(packet[1] & CONGESTION_EXPERIENCED, 1 | 2)
}

impl LaneState {
    /// Whether the next packet is lost, of which so many in a thousand are.
    fn loses(&mut self, per_mille: u64) -> bool {
        if per_mille == 0 {
            return false;
        }
        let size = 1000 / per_mille;
        let (left, before) = self.group.unwrap_or_else(|| (size, self.random.below(size)));
        self.group = (left > 1).then(|| (left - 1, before.wrapping_sub(1)));
        before == 0
    }

    /// Puts a packet under way and says whether it will overtake an earlier one.
    fn schedule(&mut self, packet: Vec<u8>, bad: Impairments) -> bool {
        let jitter = bad.jitter.mul_f64(self.random.below(1000) as f64 / 1000.0);
        let at = Instant::now() + bad.delay + jitter;
        self.entered += 1;
        self.under_way.push(Reverse((at, self.entered, packet)));
        let overtakes = at < self.latest;
        self.latest = self.latest.max(at);
        overtakes
    }
}

/// Gives a packet between these two addresses those other two; false for a packet between others.
pub fn rewrite(packet: &mut [u8], from: (Ipv4Addr, Ipv4Addr), becomes: (Ipv4Addr, Ipv4Addr)) -> bool {
    let Some((source, destination, protocol, payload)) = parse_ipv4(packet) else {
        return false;
    };
    if (source, destination) != from || protocol != 6 || payload.len() < HEADER {
        return false;
    }
    let old = packet[12..HEADER].to_vec();
    packet[12..16].copy_from_slice(&becomes.0.octets());
    packet[16..20].copy_from_slice(&becomes.1.octets());
    let new = packet[12..HEADER].to_vec();
    for at in [10, HEADER + 16] {
        let sum = adjusted(u16_at(packet, at), &old, &new);
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    true
}

/// The checksum after `old` became `new` (RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m')).
fn adjusted(sum: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut total = u32::from(!sum);
    for at in (0..old.len()).step_by(2) {
        total += u32::from(!u16_at(old, at)) + u32::from(u16_at(new, at));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap()
}
