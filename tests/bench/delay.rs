//! A long path in user space, since the kernel's `netem` may be missing: a relay that holds each packet for a while.
//!
//! ```text
//! kernel socket ── tun-near ── [ two threads, a queue each way ] ── tun-far ── kernel forwards ── tun-st or veth ── server
//! 198.51.100.65    TUN device                                       192.0.2.77
//! ```
//!
//! As `tests/common/link.rs`, with nothing but the delay, and made to lose nothing: a packet socket's buffer, which cannot be enlarged
//! from here, would overflow at a few thousand packets in a burst, so that the far side is a device too.

use crate::common::link::rewrite;
use crate::common::namespace::{run, set_sysctl};
use crate::common::packets::{await_readable, receive, transmit};
use crate::common::{PEER, PORT};
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::phy::{Medium, TunTapInterface};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The client's device.
const NEAR: &str = "tun-near";
/// The device towards the server.
const FAR: &str = "tun-far";
/// The client's address, and that under which it finds the server.
const CLIENT: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(198, 51, 100, 65), Ipv4Addr::new(198, 51, 100, 66));
/// How exact the delay is.
const TICK: Duration = Duration::from_millis(1);
/// Packets that a device may hold: as many as the path, so that what is lost is lost by the ends.
pub(crate) const DEVICE_QUEUE: &str = "20000";
/// Packets taken from a device before what is due is looked at.
const BATCH: usize = 64;
/// Packets under way in one direction: 32 MiB in full segments.
const QUEUE: usize = 24_000;

/// The running relay.
pub(crate) struct LongPath {
    lanes: [Arc<Lane>; 2],
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// One direction.
struct Lane {
    delay: Duration,
    under_way: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    lost: AtomicU64,
}

impl LongPath {
    /// Where clients connect to.
    pub(crate) const SERVER: SocketAddrV4 = SocketAddrV4::new(CLIENT.1, PORT);

    /// Makes the devices and starts the relay; the server's device has to be there already.
    pub(crate) fn start(one_way: Duration, server: Ipv4Addr) -> Self {
        for device in [NEAR, FAR] {
            run("ip", &["tuntap", "add", "dev", device, "mode", "tun"]);
            run("ip", &["link", "set", "dev", device, "txqueuelen", DEVICE_QUEUE, "up"]);
        }
        run("ip", &["address", "add", &format!("{}/30", CLIENT.0), "dev", NEAR]);
        run("ip", &["route", "add", &format!("{PEER}/32"), "dev", FAR]);
        set_sysctl("net.ipv4.ip_forward", "1");
        let lane = || Arc::new(Lane { delay: one_way, under_way: Mutex::default(), lost: AtomicU64::new(0) });
        let (there, back) = (lane(), lane());
        let (ready, when_ready) = sync_channel(2);
        let stop = Arc::new(AtomicBool::new(false));
        let near = Side { device: NEAR, from: CLIENT, becomes: (PEER, server), own: &there, other: &back };
        let far = Side { device: FAR, from: (server, PEER), becomes: (CLIENT.1, CLIENT.0), own: &back, other: &there };
        let threads = [near, far].map(|side| side.run(&stop, &ready)).into();
        for _ in 0..2 {
            when_ready.recv().unwrap();
        }
        Self { lanes: [there, back], stop, threads }
    }

    /// Packets for which the relay had no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.lost.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for LongPath {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            assert!(thread.join().is_ok() || thread::panicking(), "the relay failed");
        }
        for device in [NEAR, FAR] {
            run("ip", &["link", "delete", "dev", device]);
        }
    }
}

/// What the thread of one device does: what arrives gets other addresses and goes into its own lane, what is due in the other lane goes
/// out.
struct Side<'a> {
    device: &'static str,
    from: (Ipv4Addr, Ipv4Addr),
    becomes: (Ipv4Addr, Ipv4Addr),
    own: &'a Arc<Lane>,
    other: &'a Arc<Lane>,
}

impl Side<'_> {
    fn run(self, stop: &Arc<AtomicBool>, ready: &SyncSender<()>) -> JoinHandle<()> {
        let Side { device, from, becomes, .. } = self;
        let (own, other, stop, ready) = (Arc::clone(self.own), Arc::clone(self.other), Arc::clone(stop), ready.clone());
        thread::spawn(move || {
            let mut device = TunTapInterface::new(device, Medium::Ip).unwrap();
            ready.send(()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                await_readable(&device, TICK);
                let arrived = core::iter::from_fn(|| receive(&mut device)).take(BATCH);
                arrived.filter_map(|packet| renamed(packet, from, becomes)).for_each(|packet| own.enter(packet));
                while let Some(packet) = other.due() {
                    transmit(&mut device, &packet);
                }
            }
        })
    }
}

/// The packet with other addresses; none if it is between others.
fn renamed(mut packet: Vec<u8>, from: (Ipv4Addr, Ipv4Addr), becomes: (Ipv4Addr, Ipv4Addr)) -> Option<Vec<u8>> {
    rewrite(&mut packet, from, becomes).then_some(packet)
}

impl Lane {
    /// Puts a packet under way.
    fn enter(&self, packet: Vec<u8>) {
        let mut under_way = self.under_way.lock().unwrap();
        if under_way.len() >= QUEUE {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        under_way.push_back((Instant::now() + self.delay, packet));
    }

    /// The next packet whose time has come.
    fn due(&self) -> Option<Vec<u8>> {
        let mut under_way = self.under_way.lock().unwrap();
        let is_due = under_way.front().is_some_and(|(at, _)| *at <= Instant::now());
        is_due.then(|| under_way.pop_front()).flatten().map(|(_, packet)| packet)
    }
}
