//! Random segments against the running program: it may drop, answer and reset as it likes, but it lives and serves.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod common;

use common::packets::Packets;
use common::peer::Peer;
use common::random::Random;
use common::segment::{ACK, Checksum, FIN, PSH, RST, SYN, Segment};
use common::states::{State, against_the_server};
use common::{PEER, SERVER};
use std::time::Duration;

/// Segments sent in each test.
const SEGMENTS: usize = 200_000;
/// Segments between two looks whether the server keeps up; the device's queue holds 500.
const BATCH: usize = 200;
/// Ports that the segments come from: few, so that they meet one another's connections.
const PORTS: u64 = 64;
/// How long the server may take for a batch.
const KEEP_UP: Duration = Duration::from_secs(20);

/// A segment with every field random, and every field but the numbers likely to pass.
fn random_segment(random: &mut Random) -> Segment {
    let port = 50_000 + u16::try_from(random.below(PORTS)).unwrap();
    let flags = match random.below(8) {
        0 | 1 => SYN,
        2 | 3 => ACK,
        4 => FIN | ACK,
        5 => RST,
        _ => random.u8(),
    };
    let mut segment = Segment::new(port, flags).seq(number(random)).ack(number(random)).window(random.u16());
    segment.urgent = random.u16();
    if random.per_mille(200) {
        let words = random.index(11);
        segment.options = random.bytes(words * 4);
    }
    if random.per_mille(500) {
        let length = random.index(60);
        segment.payload = random.bytes(length);
    }
    if random.per_mille(20) {
        segment.checksum = Checksum::Wrong;
    }
    if random.per_mille(20) {
        segment.data_offset = Some(random.u8() & 0xf);
    }
    segment
}

/// A number near one of the interesting ones, or any.
fn number(random: &mut Random) -> u32 {
    let near = match random.below(4) {
        0 => 0,
        1 => 1 << 31,
        2 => 65_535,
        _ => return random.u32(),
    };
    (near + u32::try_from(random.below(8)).unwrap()).wrapping_sub(4)
}

/// Waits until the server has read everything so far.
fn keep_up(packets: &mut Packets) {
    assert!(packets.ping(b"keep up", KEEP_UP), "the server does not answer any more");
}

#[test]
fn two_hundred_thousand_random_segments_do_no_harm() {
    against_the_server(|_| {
        let mut random = Random::new(9);
        let mut packets = Packets::on_the_device();
        for sent in 1..=SEGMENTS {
            packets.send(&random_segment(&mut random).packet());
            if sent % BATCH == 0 {
                keep_up(&mut packets);
            }
        }
    });
}

#[test]
fn two_hundred_thousand_segments_close_to_right_do_no_harm() {
    // Connections in every state, and segments that differ a little from what is due.
    against_the_server(|_| {
        let mut random = Random::new(10);
        let mut packets = Packets::on_the_device();
        let mut peer = Peer::new();
        let mut sent = 0;
        while sent < SEGMENTS {
            for state in State::ALL {
                peer = peer.followed_by_another();
                peer.bring_to(state);
                for _ in 0..BATCH {
                    packets.send(&nearly_right(&peer, &mut random).packet());
                }
                sent += BATCH;
                keep_up(&mut packets);
                // Whatever became of it: a RST at every number it may expect ends it.
                for ahead in 0..4 {
                    let rst = peer.rst().seq(peer.snd_nxt.wrapping_add(ahead));
                    packets.send(&rst.packet());
                }
            }
        }
    });
}

/// A segment in order but for one or two things.
fn nearly_right(peer: &Peer, random: &mut Random) -> Segment {
    let mut segment = peer.acknowledgement();
    let nudge = |random: &mut Random| match random.below(6) {
        0 => random.u32(),
        1 => 65_535_u32.wrapping_add(u32::from(random.u8() % 8)),
        _ => u32::from(random.u8() % 8).wrapping_sub(4),
    };
    if random.per_mille(500) {
        segment.seq = segment.seq.wrapping_add(nudge(random));
    }
    if random.per_mille(500) {
        segment.ack = segment.ack.wrapping_add(nudge(random));
    }
    if random.per_mille(500) {
        let length = random.index(40);
        segment.payload = random.lines(length, 20);
    }
    segment.flags = match random.below(12) {
        0..=5 => ACK | PSH,
        6 | 7 => ACK | FIN,
        8 => ACK | SYN,
        9 => RST,
        10 => SYN,
        _ => random.u8(),
    };
    if random.per_mille(200) {
        segment.window = random.u16() % 3;
    }
    segment
}

/// A connection that has not answered for so long has nothing left to answer.
const CATCH_UP: Duration = Duration::from_millis(300);
/// Segments that meet each state in the test below; together with all its other states it stays a matter of seconds.
const SEGMENTS_OFF: usize = 20_000;
/// No window of the server's is larger to a peer without window scaling, so what lies past it is off.
const BEYOND_ANY_WINDOW: u32 = 65_536;
/// Nor is a segment that ends before RCV.NXT on; ours are shorter than this.
const LONGEST: u32 = 100;

#[test]
fn segments_off_the_sequence_space_leave_the_connection_as_it_was() {
    against_the_server(|_| {
        let mut random = Random::new(12);
        let mut packets = Packets::on_the_device();
        for state in State::ALL {
            let mut peer = Peer::in_state(state);
            for sent in 1..=SEGMENTS_OFF {
                let mut segment = random_segment(&mut random);
                segment.source = peer.acknowledgement().source;
                let room = u64::from(u32::MAX - BEYOND_ANY_WINDOW - LONGEST);
                let ahead = u32::try_from(random.below(room)).unwrap();
                segment.seq = peer.snd_nxt.wrapping_add(BEYOND_ANY_WINDOW).wrapping_add(ahead);
                if state == State::TimeWait && segment.has(SYN) {
                    // A SYN past RCV.NXT may reopen it (RFC 9293 MAY-2).
                    segment.flags = ACK;
                }
                packets.send(&segment.packet());
                if sent % BATCH == 0 {
                    keep_up(&mut packets);
                }
            }
            // The connection's thread may lag behind the one that answers pings; what does not fit its queue would be lost.
            while peer.next(CATCH_UP).is_some() {}
            peer.finish_from(state);
        }
    });
}

#[test]
fn random_packets_do_no_harm() {
    // Not even TCP: random bytes behind an IPv4 header, and random bytes all over.
    against_the_server(|_| {
        let mut random = Random::new(11);
        let mut packets = Packets::on_the_device();
        for sent in 1..=SEGMENTS / 10 {
            let length = random.index(200);
            let bytes = random.bytes(length);
            let protocol = match random.below(3) {
                0 => 6,
                1 => 1,
                _ => random.u8(),
            };
            let mut packet = common::segment::ipv4(PEER, SERVER, protocol, &bytes);
            if random.per_mille(300) {
                let at = 1 + random.index(packet.len() - 1);
                packet[at] = random.u8();
                if random.per_mille(500) {
                    common::segment::fill_ipv4_checksum(&mut packet);
                }
            }
            packets.send(&packet);
            if sent % BATCH == 0 {
                keep_up(&mut packets);
            }
        }
    });
}
