//! The hand-made peer: one connection end at 192.0.2.77, sending what it is told to and checking what every server's segment must keep.

use super::packets::Packets;
use super::random::reversed;
use super::segment::{ACK, FIN, PSH, RST, SYN, Segment};
use super::{PEER, SERVER};
use core::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer is waited for: longer than the first retransmission takes.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(4);
/// How long silence is listened to; an answer that is owed at once takes far less.
pub const SILENCE: Duration = Duration::from_millis(150);
/// The option that says that segments of 1460 bytes are welcome.
pub const MSS_1460: [u8; 4] = [2, 4, 0x05, 0xb4];
/// The longest text of a segment on a device with an MTU of 1500.
const FULL_SEGMENT: usize = 1460;
/// The kind of the maximum segment size option.
const MSS: u8 = 2;

/// Ports of the peers of one namespace.
static NEXT_PORT: AtomicU16 = AtomicU16::new(40_000);

/// One end of one connection. Nothing is sent but by a call that says so.
pub struct Peer {
    packets: Packets,
    port: u16,
    /// The initial sequence number; that of every second peer lets its connection cross the wrap after a few bytes.
    pub iss: u32,
    /// The next sequence number to send, which is the server's RCV.NXT once it has everything.
    pub snd_nxt: u32,
    /// The next sequence number to come, which is what we acknowledge.
    pub rcv_nxt: u32,
    /// The window that our segments announce.
    pub rcv_wnd: u16,
    /// The window that the server's last segment announced.
    pub snd_wnd: u16,
    /// The sequence number of the server's FIN, once it came.
    pub server_fin: Option<u32>,
    /// What the server's last segment acknowledged.
    pub acked: u32,
    right_edge: Option<u32>,
    largest_text: usize,
    started: Instant,
    transcript: Vec<String>,
}

impl Peer {
    /// A peer on a port of its own.
    pub fn new() -> Self {
        Self::on(Packets::on_the_device())
    }

    /// Another peer on another port, through the same socket: closing a packet socket takes the kernel some ten milliseconds.
    pub fn followed_by_another(self) -> Self {
        Self::on(self.packets)
    }

    fn on(packets: Packets) -> Self {
        let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let iss = if port.is_multiple_of(2) { u32::MAX - 5 } else { u32::from(port) * 1000 };
        Self {
            packets,
            port,
            iss,
            snd_nxt: iss,
            rcv_nxt: 0,
            rcv_wnd: u16::MAX,
            snd_wnd: 0,
            server_fin: None,
            acked: iss,
            right_edge: None,
            largest_text: FULL_SEGMENT,
            started: Instant::now(),
            transcript: Vec::new(),
        }
    }

    /// A peer whose connection is established.
    pub fn established() -> Self {
        let mut peer = Self::new();
        peer.open();
        peer.send(peer.acknowledgement());
        peer
    }

    /// Forgets the connection and begins another from the same port with this initial sequence number.
    pub fn reborn(&mut self, iss: u32) {
        self.iss = iss;
        self.snd_nxt = iss;
        self.server_fin = None;
        self.acked = iss;
        self.right_edge = None;
    }

    /// A segment with these control bits from our port, with the numbers that are in order now.
    pub fn segment(&self, flags: u8) -> Segment {
        let ack = if flags & ACK == 0 { 0 } else { self.rcv_nxt };
        Segment::new(self.port, flags).seq(self.snd_nxt).ack(ack).window(self.rcv_wnd)
    }

    /// The SYN that opens the connection.
    pub fn syn(&self) -> Segment {
        self.segment(SYN).seq(self.iss).options(&MSS_1460)
    }

    /// An ACK of everything so far.
    pub fn acknowledgement(&self) -> Segment {
        self.segment(ACK)
    }

    /// A RST with the server's RCV.NXT.
    pub fn rst(&self) -> Segment {
        self.segment(RST)
    }

    /// A segment with this text, in order.
    pub fn data(&self, text: &[u8]) -> Segment {
        self.segment(ACK | PSH).text(text)
    }

    /// Sends a segment as it is; our own numbers do not move.
    pub fn send(&mut self, segment: Segment) {
        self.note("sent", &segment);
        self.packets.send(&segment.packet());
    }

    /// Sends a packet as it is.
    pub fn send_packet(&mut self, packet: &[u8]) {
        self.packets.send(packet);
    }

    /// Sends a SYN, awaits the SYN,ACK and takes the server's numbers from it: the server is in SYN-RECEIVED.
    pub fn open(&mut self) -> Segment {
        self.open_with(self.syn())
    }

    /// As [`Self::open`], with this SYN.
    pub fn open_with(&mut self, syn: Segment) -> Segment {
        let snd_nxt = syn.seq.wrapping_add(syn.len());
        self.send(syn);
        let syn_ack = self.expect("SYN,ACK", |s| s.has(SYN | ACK));
        assert_eq!(syn_ack.ack, snd_nxt, "the SYN,ACK acknowledges our SYN");
        assert!(!syn_ack.has(RST) && !syn_ack.has(FIN), "{syn_ack}");
        self.snd_nxt = snd_nxt;
        self.rcv_nxt = syn_ack.seq.wrapping_add(1);
        syn_ack
    }

    /// Sends this text in order, in segments of 1460 bytes, and counts it as sent.
    pub fn send_data(&mut self, text: &[u8]) {
        for part in text.chunks(FULL_SEGMENT) {
            self.send(self.data(part));
            self.advance(part.len());
        }
    }

    /// Counts this many bytes as sent.
    pub fn advance(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap();
        self.snd_nxt = self.snd_nxt.wrapping_add(bytes);
    }

    /// Sends our FIN in order and counts it as sent.
    pub fn send_fin(&mut self) {
        self.send(self.segment(FIN | ACK));
        self.advance(1);
    }

    /// The next segment for our port, whatever it is.
    pub fn next(&mut self, within: Duration) -> Option<Segment> {
        let end = Instant::now() + within;
        while let Some(packet) = self.packets.receive(end) {
            let Some(segment) = Segment::parse(&packet) else {
                continue;
            };
            if *segment.destination.ip() == PEER && segment.destination.port() == self.port {
                self.take(&segment);
                return Some(segment);
            }
        }
        None
    }

    /// Waits for a segment that matches; others are passed over.
    pub fn expect(&mut self, what: &str, matches: impl Fn(&Segment) -> bool) -> Segment {
        self.find(ANSWER_LIMIT, matches).unwrap_or_else(|| self.fail(&format!("no {what} came")))
    }

    /// Waits until the server has acknowledged everything we count as sent.
    pub fn expect_acknowledged(&mut self) {
        let snd_nxt = self.snd_nxt;
        if self.acked != snd_nxt {
            self.expect("acknowledgement of all we sent", |s| s.has(ACK) && !s.has(RST) && s.ack == snd_nxt);
        }
    }

    /// Waits for the server's FIN, taking and acknowledging nothing.
    pub fn expect_fin(&mut self) -> Segment {
        self.expect("FIN", |s| s.has(FIN))
    }

    /// Waits for the bare ACK that is the answer to an unacceptable segment: `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    pub fn expect_challenge(&mut self) -> Segment {
        let (seq, ack) = (self.server_snd_nxt(), self.snd_nxt);
        // A server that probes a closed window may have sent one byte more.
        let seqs = [seq, seq.wrapping_add(1)];
        let probes = usize::from(self.rcv_wnd == 0);
        self.expect("ACK that answers an unacceptable segment", |s| {
            s.flags & !PSH == ACK && s.payload.is_empty() && s.ack == ack && seqs[..=probes].contains(&s.seq)
        })
    }

    /// Waits for the server's RST, which has to look as a segment of no connection is answered: `<SEQ=SEG.ACK><CTL=RST>`.
    pub fn expect_rst_for(&mut self, ack: u32) {
        let rst = self.expect("RST", |s| s.has(RST));
        if rst.flags != RST || rst.seq != ack {
            self.fail(&format!("the RST is not <SEQ={ack}><CTL=RST>: {rst}"));
        }
    }

    /// Asserts that nothing comes but retransmissions and probes of what the server has outstanding.
    pub fn expect_no_answer(&mut self) {
        let rcv_nxt = self.rcv_nxt;
        let is_outstanding = |s: &Segment| s.has(SYN) || s.has(FIN) || (!s.payload.is_empty() && s.seq == rcv_nxt);
        if let Some(answer) = self.find(SILENCE, |s| !is_outstanding(s)) {
            self.fail(&format!("this should have stayed without an answer: {answer}"));
        }
    }

    /// Asserts that nothing comes at all.
    pub fn expect_no_answer_at_all(&mut self) {
        if let Some(answer) = self.next(SILENCE) {
            self.fail(&format!("this should have stayed without an answer: {answer}"));
        }
    }

    /// The first segment that the server sends to this address, whoever it is for.
    pub fn comes_for(&mut self, address: Ipv4Addr, within: Duration) -> Option<Segment> {
        let end = Instant::now() + within;
        while let Some(packet) = self.packets.receive(end) {
            let segment =
                Segment::parse(&packet).filter(|s| *s.source.ip() == SERVER && *s.destination.ip() == address);
            if segment.is_some() {
                return segment;
            }
        }
        None
    }

    /// Reads exactly this many bytes of the server's text, in order, acknowledging each segment.
    pub fn read(&mut self, length: usize) -> Vec<u8> {
        let mut text = Vec::new();
        while text.len() < length {
            let next = self.next(ANSWER_LIMIT);
            let Some(segment) = next else {
                self.fail(&format!("only {} of {length} bytes came", text.len()));
            };
            if segment.has(RST) {
                self.fail("reset while reading");
            }
            if !segment.payload.is_empty() {
                text.extend(self.new_text(&segment));
                self.send(self.acknowledgement());
            }
        }
        if text.len() > length {
            self.fail(&format!("{} bytes came instead of {length}", text.len()));
        }
        text
    }

    /// Reads the server's text up to its FIN, acknowledging all but the FIN.
    pub fn read_to_fin(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while self.server_fin != Some(self.rcv_nxt) {
            let Some(segment) = self.next(ANSWER_LIMIT) else {
                self.fail("no FIN came");
            };
            if segment.has(RST) {
                self.fail("reset while reading");
            }
            text.extend(self.new_text(&segment));
            if !segment.payload.is_empty() {
                self.send(self.acknowledgement());
            }
        }
        text
    }

    /// Acknowledges the server's FIN.
    pub fn acknowledge_fin(&mut self) {
        assert_eq!(self.server_fin, Some(self.rcv_nxt), "the FIN came");
        self.rcv_nxt = self.rcv_nxt.wrapping_add(1);
        self.send(self.acknowledgement());
    }

    /// Sends whole lines and asserts that they come back reversed: the server is in ESTABLISHED and stays there.
    pub fn exchange(&mut self, lines: &[u8]) {
        self.send_data(lines);
        let answer = self.read(lines.len());
        if answer != reversed(lines) {
            self.fail("the answer is not what was sent, reversed");
        }
    }

    /// Closes an established connection from our side.
    pub fn close(&mut self) {
        self.send_fin();
        self.read_to_fin();
        self.acknowledge_fin();
        self.assert_gone();
    }

    /// Asserts that the server knows nothing of the connection any more: an ACK on it is answered with RST.
    pub fn assert_gone(&mut self) {
        let probe = self.acknowledgement();
        self.drain();
        // The server may be about to forget it: until then the probe is an ordinary ACK.
        for _ in 0..20 {
            self.send(probe.clone());
            if self.find(SILENCE, |s| s.has(RST)).is_some() {
                return;
            }
        }
        self.fail("the connection is still there");
    }

    /// Throws away what has come so far.
    pub fn drain(&mut self) {
        while self.next(Duration::ZERO).is_some() {}
    }

    /// The server's SND.NXT, as far as we can tell.
    pub fn server_snd_nxt(&self) -> u32 {
        match self.server_fin {
            Some(fin) => fin.wrapping_add(1),
            None => self.rcv_nxt,
        }
    }

    /// Text of a segment beyond what we have, if there is no gap before it; RCV.NXT moves past it.
    pub fn new_text(&mut self, segment: &Segment) -> Vec<u8> {
        let old = usize::try_from(self.rcv_nxt.wrapping_sub(segment.seq)).unwrap();
        let text = segment.payload.get(old..).unwrap_or_default().to_vec();
        let length = u32::try_from(text.len()).unwrap();
        self.rcv_nxt = self.rcv_nxt.wrapping_add(length);
        text
    }

    /// Ends the test and shows what was said.
    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}\n--- the conversation:\n{}", self.transcript.join("\n"));
    }

    /// Waits this long for a segment that matches.
    pub fn find(&mut self, within: Duration, matches: impl Fn(&Segment) -> bool) -> Option<Segment> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let segment = self.next(left)?;
            if matches(&segment) {
                return Some(segment);
            }
        }
    }

    /// Books a segment of the server's and checks what holds for all of them.
    fn take(&mut self, segment: &Segment) {
        self.note("came", segment);
        if *segment.source.ip() != SERVER {
            return;
        }
        if segment.payload.len() > self.largest_text {
            self.fail("a segment longer than our MSS (RFC 9293 MUST-16)");
        }
        if segment.option(MSS).is_some() && !segment.has(SYN) {
            self.fail("an MSS option without SYN (RFC 9293 MUST-65)");
        }
        if segment.has(RST) {
            return;
        }
        if segment.has(FIN) {
            let text = u32::try_from(segment.payload.len()).unwrap();
            self.server_fin = Some(segment.seq.wrapping_add(text));
        }
        if segment.has(ACK) {
            self.snd_wnd = segment.window;
            self.acked = segment.ack;
            let edge = segment.ack.wrapping_add(u32::from(segment.window));
            let before = self.right_edge.replace(edge).unwrap_or(edge);
            if edge.wrapping_sub(before) > u32::MAX / 2 {
                self.fail("the right edge of the window moved left (RFC 9293 SHLD-14)");
            }
        }
    }

    /// From now on a longer text in a segment fails the test.
    pub fn set_largest_text(&mut self, bytes: usize) {
        self.largest_text = bytes;
    }

    fn note(&mut self, how: &str, segment: &Segment) {
        let time = self.started.elapsed().as_millis();
        self.transcript.push(format!("{time:>6} ms {how} {segment}"));
    }
}

/// Runs `check` against each of these at once, a thread each, and says which ones failed.
pub fn for_each_at_once<T: Copy + Send + core::fmt::Display>(items: &[T], check: impl Fn(T) + Sync) {
    let failed: Vec<String> = thread::scope(|scope| {
        let check = &check;
        let spawn = |item: &T| {
            let item = *item;
            (item, scope.spawn(move || check(item)))
        };
        let threads: Vec<_> = items.iter().map(spawn).collect();
        let failure =
            |(item, thread): (T, thread::ScopedJoinHandle<'_, ()>)| thread.join().is_err().then(|| item.to_string());
        threads.into_iter().filter_map(failure).collect()
    });
    assert!(failed.is_empty(), "failed in {}", failed.join(", "));
}
