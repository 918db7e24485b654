//! Everything that crosses the device, read through a packet socket in a thread: a small `tcpdump`.

use super::packets::Packets;
use super::segment::{ACK, FIN, RST, SYN, Segment};
use super::{PORT, SERVER};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the thread waits before it looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(20);
/// How long a connection may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A running capture.
pub struct Capture {
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts to capture; what is sent after this call is seen.
    pub fn start() -> Self {
        let packets = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, when_ready) = sync_channel(1);
        let thread = thread::spawn({
            let (packets, stop) = (Arc::clone(&packets), Arc::clone(&stop));
            move || collect(&packets, &stop, &ready)
        });
        when_ready.recv().unwrap();
        Self { packets, stop, thread: Some(thread) }
    }

    /// The segments seen so far.
    pub fn segments(&self) -> Vec<Segment> {
        let packets = self.packets.lock().unwrap();
        packets.iter().filter_map(|p| Segment::parse(p)).collect()
    }

    /// The packets seen so far.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        self.packets.lock().unwrap().clone()
    }

    /// Waits until a segment that matches has been seen.
    pub fn wait_for(&self, what: &str, matches: impl Fn(&Segment) -> bool) {
        let end = Instant::now() + CLOSE_LIMIT;
        while !self.segments().iter().any(&matches) {
            assert!(Instant::now() < end, "{what} was not seen");
            thread::sleep(LOOK_UP);
        }
    }

    /// Waits until every connection that was opened has seen the FIN of either side and its acknowledgement.
    pub fn wait_until_all_closed(&self) {
        let end = Instant::now() + CLOSE_LIMIT;
        loop {
            let segments = self.segments();
            let open = open_connections(&segments);
            if open.is_empty() && !segments.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "still open from port {open:?}:\n{}", listing(&segments));
            thread::sleep(LOOK_UP);
        }
    }

    /// Stops and gives all segments.
    pub fn stop(mut self) -> Vec<Segment> {
        self.end();
        self.segments()
    }

    /// Waits until all connections are closed and asserts that no segment of either side carried RST.
    pub fn assert_all_closed_without_rst(self) {
        self.wait_until_all_closed();
        self.assert_no_rst();
    }

    /// Asserts that no segment of either side carried RST, for a bulk transfer: it may overflow the capture's socket, so what
    /// the kernel has counted is asked, too.
    pub fn assert_no_rst(self) {
        let segments = self.stop();
        let resets: Vec<_> = segments.iter().filter(|s| s.has(RST)).cloned().collect();
        assert!(resets.is_empty(), "{} in the capture:\n{}", listing(&resets), listing(&segments));
        for counter in ["OutRsts", "EstabResets"] {
            assert_eq!(kernel_counter(counter), 0, "{counter}");
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// The thread: reads until it is told to stop, and once more then, as packets queue in the socket at the moment they are sent.
fn collect(packets: &Mutex<Vec<Vec<u8>>>, stop: &AtomicBool, ready: &SyncSender<()>) {
    let mut socket = Packets::on_the_device();
    ready.send(()).unwrap();
    loop {
        let stopping = stop.load(Ordering::SeqCst);
        while let Some(packet) = socket.receive(Instant::now()) {
            packets.lock().unwrap().push(packet);
        }
        if stopping {
            return;
        }
        if let Some(packet) = socket.receive(Instant::now() + LOOK_UP) {
            packets.lock().unwrap().push(packet);
        }
    }
}

/// The segments, one a line.
pub fn listing(segments: &[Segment]) -> String {
    let lines: Vec<_> = segments.iter().map(Segment::to_string).collect();
    lines.join("\n")
}

/// One of the counters of this namespace's TCP in `/proc/net/snmp`, a line of names above a line of numbers.
fn kernel_counter(name: &str) -> u64 {
    let counters = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = counters.lines().filter(|line| line.starts_with("Tcp:"));
    let mut words = || lines.next().unwrap().split(' ');
    let (names, numbers) = (words(), words());
    let found = names.zip(numbers).find(|(found, _)| *found == name);
    found.unwrap().1.parse().unwrap()
}

/// The client ports from which a SYN came and whose connection is not closed on both sides.
fn open_connections(segments: &[Segment]) -> Vec<u16> {
    let opened: BTreeSet<u16> = segments
        .iter()
        .filter(|segment| segment.has(SYN) && segment.destination.port() == PORT)
        .map(|segment| segment.source.port())
        .collect();
    let is_open = |port: &u16| {
        let of_port = |s: &&Segment| s.source.port() == *port || s.destination.port() == *port;
        let own: Vec<_> = segments.iter().filter(of_port).collect();
        let (from_server, from_client): (Vec<&Segment>, Vec<&Segment>) =
            own.iter().partition(|s| *s.source.ip() == SERVER);
        !(fin_is_acknowledged(&from_client, &from_server) && fin_is_acknowledged(&from_server, &from_client))
    };
    opened.into_iter().filter(is_open).collect()
}

fn fin_is_acknowledged(sent: &[&Segment], answers: &[&Segment]) -> bool {
    sent.iter().filter(|s| s.has(FIN)).any(|fin| {
        let after = fin.seq.wrapping_add(fin.len());
        answers.iter().any(|s| s.has(ACK) && s.ack == after)
    })
}
