//! Mutated and random segments against a live connection in each state.

use crate::common::random::Random;
use crate::simulator::meeting::{At, Meeting};
use crate::simulator::script;
use crate::simulator::stack::{CLIENT, SERVER, exchange};
use session_tcp::tcp::segment::{Control, Segment};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{Config, Timestamps};
use smoltcp::time::Duration;
use smoltcp::wire::TcpPacket;
use std::env;

/// How many segments each state gets; 1,000,000 is the promise, a smaller number keeps `cargo test` short.
const COUNT_VARIABLE: &str = "SESSION_TCP_FUZZ_SEGMENTS";
/// That smaller number.
const DEFAULT_COUNT: u64 = 20_000;
/// What the process may take besides before the test begins: all states' machines together are far below it.
const GROWTH_LIMIT_BYTES: usize = 256 << 20;

/// Every state with timestamps, which stop most of what does not carry them, and without.
fn cases() -> impl Iterator<Item = (At, Config)> {
    let both = [Timestamps::On, Timestamps::Off].map(|timestamps| Config { timestamps, ..Config::default() });
    both.into_iter().flat_map(|config| At::ALL.map(|state| (state, config.clone())))
}

fn count() -> u64 {
    env::var(COUNT_VARIABLE).map_or(DEFAULT_COUNT, |count| count.parse().unwrap())
}

/// Octets of memory that the process has.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A segment with every field random, but likely control bits.
fn any_segment(meeting: &Meeting, random: &mut Random) -> Segment {
    let control = match random.below(8) {
        0 | 1 => Control::ACK,
        2 => Control::ACK | Control::PSH,
        3 => Control::FIN | Control::ACK,
        4 => Control::SYN,
        5 => Control::RST,
        _ => Control::from_bits(random.u8()),
    };
    let mut segment = meeting.forged(control, random.u32(), random.u32());
    segment.wnd = random.u16();
    segment.up = random.u16();
    if random.per_mille(500) {
        let length = random.index(1500);
        segment.payload = random.bytes(length);
    }
    segment
}

/// The numbers of a segment brought close to what is due.
fn aim(segment: &mut Segment, meeting: &Meeting, random: &mut Random) {
    let Some(status) = meeting.server.try_status() else { return };
    let mut near = |number: SeqNum| {
        let step = match random.below(4) {
            0 => 0,
            1 => u32::from(random.u8() % 5).wrapping_sub(2),
            2 => u32::from(random.u16()),
            _ => u32::from(random.u16()).wrapping_neg(),
        };
        number + step
    };
    segment.seq = near(status.rcv_nxt);
    segment.ack = near(status.snd_nxt);
}

/// The segment as it comes out of the parser after some octets of its header were changed; the checksum is made right again.
fn mutated(segment: &Segment, random: &mut Random) -> Option<Segment> {
    let (from, to) = (*CLIENT.ip(), *SERVER.ip());
    let mut octets = segment.emit(from, to);
    // Options of any make: a longer header swallows some of the text.
    if random.per_mille(300) && octets.len() >= 40 {
        octets[12] = (5 + random.u8() % 6) << 4;
        for octet in octets.iter_mut().take(40).skip(20) {
            *octet = if random.per_mille(600) { random.u8() % 9 } else { random.u8() };
        }
    }
    for _ in 0..random.below(4) {
        let at = 4 + random.index(octets.len().min(60) - 4);
        octets[at] = random.u8();
    }
    let mut packet = TcpPacket::new_unchecked(&mut octets[..]);
    packet.set_src_port(CLIENT.port());
    packet.set_dst_port(SERVER.port());
    packet.fill_checksum(&from.into(), &to.into());
    Segment::parse(&octets, from, to).ok()
}

/// Whether the segment has nothing in the server's window, so that it should change nothing.
fn is_off(segment: &Segment, meeting: &Meeting) -> bool {
    let Some(status) = meeting.server.try_status() else {
        // LISTEN: a SYN is always on.
        return !segment.control.syn();
    };
    // A SYN past RCV.NXT reopens TIME-WAIT (RFC 9293 MAY-2).
    if status.state == "TIME-WAIT" && segment.control.syn() {
        return false;
    }
    let last = segment.seq + segment.seg_len().saturating_sub(1);
    let is_outside = |number: SeqNum| !number.is_in_window(status.rcv_nxt, status.rcv_wnd.max(1));
    is_outside(segment.seq) && is_outside(last)
}

/// A segment that is off, far from the window or just beside it.
fn segment_off(meeting: &Meeting, random: &mut Random) -> Segment {
    loop {
        let mut segment = any_segment(meeting, random);
        if random.per_mille(500) {
            aim(&mut segment, meeting, random);
        }
        let segment = mutated(&segment, random).filter(|segment| is_off(segment, meeting));
        if let Some(segment) = segment {
            return segment;
        }
    }
}

#[test]
fn segments_off_the_sequence_space_leave_the_connection_as_it_was() {
    let before = resident_bytes();
    for (state, config) in cases() {
        let mut random = Random::new(state as u64);
        let mut meeting = Meeting::at(state, &config);
        for number in 0..count() {
            let segment = segment_off(&meeting, &mut random);
            let shown = format!("{segment:?}");
            // A million of them in five seconds: no timer of a state ends it meanwhile, but those of retransmission expire.
            meeting.now += Duration::from_micros(5);
            meeting.server.arrive(segment, meeting.now);
            meeting.server.work(meeting.now);
            assert_eq!(meeting.server.state(), state.to_string(), "after segment {number}: {shown}");
            if state == At::Established {
                // The answers go to the true client, which answers them in its turn.
                exchange(&mut meeting.client, &mut meeting.server, meeting.now);
            }
            if state == At::Established && number % 1000 == 0 {
                meeting.talk(b"still there?");
            }
            meeting.server.take_sent();
        }
        meeting.finish();
    }
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_LIMIT_BYTES, "{growth} octets more than before");
}

#[test]
fn segments_close_to_right_do_no_harm() {
    let before = resident_bytes();
    for (state, config) in cases() {
        let mut random = Random::new(100 + state as u64);
        let mut meeting = Meeting::at(state, &config);
        for number in 0..count() {
            let mut segment = any_segment(&meeting, &mut random);
            aim(&mut segment, &meeting, &mut random);
            let Some(segment) = mutated(&segment, &mut random) else { continue };
            meeting.server.arrive(segment, meeting.now);
            if random.per_mille(100) {
                meeting.now += Duration::from_millis(random.below(300));
                meeting.server.send(b"some text of the server's\n", meeting.buff_bytes, meeting.now);
                meeting.server.receive(random.index(3000));
            }
            meeting.server.work(meeting.now);
            meeting.server.take_sent();
            if let Some(status) = meeting.server.try_status() {
                assert!(status.snd_buffered_bytes <= config.snd_buff_max_bytes, "segment {number}");
                assert!(status.rcv_buffered_bytes <= 2 * config.rcv_buff_max_bytes, "segment {number}");
            }
            // Whatever became of it: begin anew when it has left its state, or after a while.
            if meeting.server.state() != state.to_string() || random.per_mille(2) {
                meeting = Meeting::at(state, &config);
            }
        }
    }
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_LIMIT_BYTES, "{growth} octets more than before");
}

#[test]
fn scripts_of_random_octets_do_no_harm() {
    // What the fuzz target does, without its guidance.
    let mut random = Random::new(200);
    for _ in 0..count() / 50 {
        let length = random.index(1000);
        script::play(&random.bytes(length));
    }
}
