//! A connection's life told by octets: what the coverage-guided fuzzer varies. Any octets are a script.

use super::meeting::{At, Meeting};
use super::stack::{CLIENT, SERVER};
use session_tcp::tcp::sack::Block;
use session_tcp::tcp::segment::{Control, Segment, Timestamp};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, Nagle, Timestamps};
use smoltcp::time::Duration;

/// The rest of a script; past its end there are zeros.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// A number close to this one, on either side.
    fn near(&mut self, number: u32) -> u32 {
        number.wrapping_add(u32::from(self.word())).wrapping_sub(1 << 15)
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }
}

/// Plays a script: it may do what it likes to the connection, but nothing panics and no buffer outgrows its limit.
pub fn play(script: &[u8]) {
    let mut script = Script(script);
    let mut config = Config::default();
    if script.octet().is_multiple_of(2) {
        (config.rcv_buff_bytes, config.snd_buff_bytes, config.nagle) = (3000, 3000, Nagle::Off);
        (config.rcv_buff_max_bytes, config.snd_buff_max_bytes) = (3000, 3000);
    }
    if script.octet().is_multiple_of(2) {
        config.timestamps = Timestamps::Off;
    }
    let state = At::ALL[usize::from(script.octet()) % At::ALL.len()];
    let mut meeting = Meeting::at(state, &config);
    while !script.0.is_empty() {
        act(&mut script, &mut meeting);
        meeting.server.work(meeting.now);
        if let Some(status) = meeting.server.try_status() {
            assert!(status.snd_buffered_bytes <= config.snd_buff_max_bytes, "{status:?}");
            // Room for roundings of the window comes on top.
            assert!(status.rcv_buffered_bytes <= 2 * config.rcv_buff_max_bytes, "{status:?}");
        }
        if meeting.server.sent.len() > 1000 {
            meeting.server.take_sent();
        }
    }
}

/// One thing happens.
fn act(script: &mut Script<'_>, meeting: &mut Meeting) {
    match script.octet() % 8 {
        0 => {
            let length = usize::from(script.octet()).max(20);
            let octets = script.octets(length);
            if let Some(segment) = parsed(octets) {
                meeting.server.arrive(segment, meeting.now);
            }
        }
        1 | 2 => {
            let segment = near_segment(script, meeting);
            meeting.server.arrive(segment, meeting.now);
        }
        3 => meeting.now += Duration::from_millis(u64::from(script.word())),
        4 => {
            let text = vec![b'x'; usize::from(script.word())];
            meeting.server.send(&text, meeting.buff_bytes, meeting.now);
        }
        5 => {
            meeting.server.receive(usize::from(script.word()));
        }
        6 => meeting.server.close(meeting.now),
        _ => meeting.exchange(),
    }
}

/// The octets as a segment of the client's, its checksum made right.
fn parsed(mut octets: Vec<u8>) -> Option<Segment> {
    let (from, to) = (*CLIENT.ip(), *SERVER.ip());
    let mut packet = smoltcp::wire::TcpPacket::new_unchecked(&mut octets[..]);
    packet.set_src_port(CLIENT.port());
    packet.set_dst_port(SERVER.port());
    packet.fill_checksum(&from.into(), &to.into());
    Segment::parse(&octets, from, to).ok()
}

/// A segment with numbers near those that are due.
fn near_segment(script: &mut Script<'_>, meeting: &Meeting) -> Segment {
    let last = meeting.server.sent.iter().rev().find_map(|segment| segment.options.timestamp);
    let (rcv_nxt, snd_nxt) = match meeting.server.try_status() {
        Some(status) => (status.rcv_nxt.value(), status.snd_nxt.value()),
        None => (0, 0),
    };
    let control = Control::from_bits(script.octet());
    let mut segment = meeting.forged(control, script.near(rcv_nxt), script.near(snd_nxt));
    segment.wnd = script.word();
    segment.up = u16::from(script.octet());
    segment.payload = vec![b'y'; usize::from(script.word() % 2000)];
    let choice = script.octet();
    for _ in 0..choice % 5 {
        let (left, right) = (script.near(snd_nxt), script.near(snd_nxt));
        segment.options.sack.push(Block { left: SeqNum::new(left), right: SeqNum::new(right) });
    }
    if choice >= 128 {
        // The clocks of both ends begin at any number; the last one heard is the best guess.
        let (tsval, tsecr) = (script.near(last.map_or(0, |t| t.tsecr)), script.near(last.map_or(0, |t| t.tsval)));
        segment.options.timestamp = Some(Timestamp { tsval, tsecr });
    }
    segment
}
