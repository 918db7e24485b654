//! A session's thread that does not run for a while, and a peer that uses the whole window meanwhile.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use session_tcp::smol_lower::{Impairment, LinkEnd, LowerConfig, SmolLower, perfect};
use session_tcp::tcp::Segment;
use session_tcp::tcp::segment::{Control, Options};
use session_tcp::tcp::seq::SeqNum;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration as Patience;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr};

use super::{CLIENT, MTU_BYTES, PORT, SERVER, serving};

/// How long an answer is waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// As long as the server has nothing to acknowledge but what it has.
const QUIET: Duration = Duration::from_millis(300);
/// Packets that the link takes at once without loss, with room to spare.
const AT_ONCE: usize = 200;

/// Lets a segment of the server's through; one that is neither SYN,ACK nor RST holds its thread until the gate opens.
fn gate(opens: Receiver<()>) -> Impairment {
    let mut opens = Some(opens);
    Box::new(move |packet| {
        let is_ack = segment(&packet).is_some_and(|segment| segment.control == Control::ACK);
        if let (true, Some(opens)) = (is_ack, opens.as_ref()) {
            _ = opens.recv();
        }
        if is_ack {
            opens = None;
        }
        vec![(Patience::ZERO, packet)]
    })
}

fn segment(packet: &[u8]) -> Option<Segment> {
    let packet = Ipv4Packet::new_checked(packet).ok()?;
    Segment::parse(packet.payload(), packet.src_addr(), packet.dst_addr()).ok()
}

/// Sends this text so many times, a segment each, while the server's thread is held by the ACK that it is about to send; returns how
/// many octets were sent, and how many of them are acknowledged without any being sent again.
pub(crate) fn burst(text: &[u8], times: usize) -> (usize, usize) {
    let (open, opens) = channel();
    let mut found = (0, 0);
    let (end, theirs) = LinkEnd::pair(MTU_BYTES, perfect(), gate(opens));
    let lower = SmolLower::over_link(theirs, &LowerConfig { address: SERVER, ..LowerConfig::default() }).unwrap();
    let ip_thread = thread::spawn({
        let lower = lower.clone();
        move || lower.run()
    });
    serving(&lower, || {
        let (local, remote) = (SocketAddrV4::new(CLIENT, 40_000), SocketAddrV4::new(SERVER, PORT));
        let mut peer = Peer { end: &end, local, remote, seq: SeqNum::new(u32::MAX - 100), ack: SeqNum::default() };
        peer.open();
        // Two segments are acknowledged at once, and the window of that ACK is the whole one.
        let first = peer.seq;
        peer.send(Control::ACK, text);
        peer.send(Control::ACK, text);
        thread::sleep(QUIET);
        for sent in 2..times {
            peer.send(Control::ACK, text);
            if sent % AT_ONCE == 0 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        thread::sleep(QUIET);
        open.send(()).unwrap();
        let acknowledged = peer.acknowledged();
        found = (distance(peer.seq, first), distance(acknowledged, first));
    });
    ip_thread.join().unwrap().unwrap();
    found
}

fn distance(to: SeqNum, from: SeqNum) -> usize {
    usize::try_from(to.distance_from(from)).unwrap()
}

/// The IP packet of a segment.
fn packet(segment: &Segment, src_addr: Ipv4Addr, dst_addr: Ipv4Addr) -> Vec<u8> {
    let octets = segment.emit(src_addr, dst_addr);
    let payload_len = octets.len();
    let repr = Ipv4Repr { src_addr, dst_addr, next_header: IpProtocol::Tcp, payload_len, hop_limit: 64 };
    let mut packet = Ipv4Packet::new_unchecked(vec![0; repr.buffer_len() + payload_len]);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(&octets);
    packet.into_inner()
}

/// A peer by hand.
struct Peer<'a> {
    end: &'a LinkEnd,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    seq: SeqNum,
    ack: SeqNum,
}

impl Peer<'_> {
    fn open(&mut self) {
        let options = Options { mss: Some(1460), window_scale: Some(7), ..Options::default() };
        self.emit(Control::SYN, b"", options);
        let end = Instant::now() + ANSWER_LIMIT;
        while Instant::now() < end {
            if let Some(syn_ack) = self.receive(ANSWER_LIMIT)
                && syn_ack.control.syn()
            {
                (self.seq, self.ack) = (self.seq + 1, syn_ack.seq + 1);
                return self.emit(Control::ACK, b"", Options::default());
            }
        }
        panic!("no SYN,ACK came");
    }

    /// Sends text and counts it as sent.
    fn send(&mut self, control: Control, text: &[u8]) {
        self.emit(control, text, Options::default());
        self.seq = self.seq + u32::try_from(text.len()).unwrap();
    }

    fn emit(&self, control: Control, text: &[u8], options: Options) {
        let (src_port, dst_port) = (self.local.port(), self.remote.port());
        let (seq, ack, payload) = (self.seq, self.ack, text.to_vec());
        let segment =
            Segment { src_port, dst_port, seq, ack, control, wnd: 1000, options, payload, ..Segment::default() };
        self.end.transmit(packet(&segment, *self.local.ip(), *self.remote.ip())).unwrap();
    }

    fn receive(&self, patience: Duration) -> Option<Segment> {
        segment(&self.end.receive(patience.into()).unwrap()?)
    }

    /// The last acknowledgement: that of everything, or the one after which no further comes.
    fn acknowledged(&self) -> SeqNum {
        let mut last = None;
        while last != Some(self.seq) {
            let patience = if last.is_none() { ANSWER_LIMIT } else { QUIET };
            match self.receive(patience) {
                Some(segment) => last = Some(segment.ack),
                None => break,
            }
        }
        last.unwrap_or_else(|| panic!("no acknowledgement came"))
    }
}
