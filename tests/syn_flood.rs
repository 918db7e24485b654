//! A flood of SYNs from made-up addresses: those who are connected go on, others connect meanwhile, and memory stays bounded.

mod common;

use common::PORT;
use common::capture::Capture;
use common::client::{Client, PATIENCE, assert_serves};
use common::packets::Packets;
use common::peer::{MSS_1460, Peer};
use common::random::Random;
use common::segment::{ACK, RST, SYN, Segment};
use common::server::Server;
use common::states::against_the_server;
use core::net::{Ipv4Addr, SocketAddrV4};
use session_tcp::smol_lower::MAX_HALF_OPEN;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// SYNs in the flood.
const SYNS: usize = 100_000;
/// SYNs between two looks whether the server keeps up; the device's queue holds 500, and true clients want a part of it.
const BATCH: usize = 200;
/// Between two of them, so that the flood is not over before anybody has met it.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the server may take for a batch.
const KEEP_UP: Duration = Duration::from_secs(20);
/// How long a new client may take to connect, exchange a line and close during the flood: it may lose a SYN or two.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// What the flood may cost: this much for each half-open place, two threads and a machine, and as much again for the heap's liking.
const GROWTH_LIMIT_BYTES: usize = MAX_HALF_OPEN * 64 * 1024;

/// A SYN from an address that nobody has.
fn made_up_syn(random: &mut Random) -> Segment {
    let [a, b, c, _] = random.u32().to_be_bytes();
    let address = Ipv4Addr::new(10, a, b, c.clamp(1, 254));
    let mut syn = Segment::new(0, SYN).seq(random.u32()).options(&MSS_1460);
    syn.source = SocketAddrV4::new(address, random.u16().max(1));
    syn
}

/// Sends the whole flood.
fn flood(seed: u64, syns: usize, pause: Duration) {
    let mut random = Random::new(seed);
    let mut packets = Packets::on_the_device();
    for sent in 1..=syns {
        packets.send(&made_up_syn(&mut random).packet());
        if sent % BATCH == 0 {
            assert!(packets.ping(b"keep up", KEEP_UP), "the server does not answer any more");
            thread::sleep(pause);
        }
    }
}

/// Sends as many SYNs as take all the half-open places.
fn fill_half_open_places() {
    flood(1, MAX_HALF_OPEN + BATCH, Duration::ZERO);
}

#[test]
fn a_flood_of_a_hundred_thousand_syns_keeps_nobody_out() {
    against_the_server(|server: &Server| {
        let mut old = Client::connect();
        old.exchange(b"before\n");
        let before = server.resident_bytes();
        let (over, exchanged, served) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let slowest = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    old.exchange(b"they are at the gates\n");
                    exchanged.fetch_add(1, Ordering::Relaxed);
                }
            });
            let newcomers = scope.spawn(|| {
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    assert_serves();
                    slowest = slowest.max(start.elapsed());
                    served.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(10));
                }
                slowest
            });
            let start = Instant::now();
            flood(2, SYNS, PAUSE);
            eprintln!("{SYNS} SYNs in {:.1} s", start.elapsed().as_secs_f64());
            over.store(true, Ordering::Relaxed);
            newcomers.join().unwrap()
        });
        let growth = server.resident_bytes().saturating_sub(before);
        let (exchanged, served) = (exchanged.into_inner(), served.into_inner());
        eprintln!("{exchanged} exchanges, {served} newcomers, the slowest {slowest:?}, {} KiB more", growth / 1024);
        assert!(exchanged > 100 && served > 20, "{exchanged} exchanges, {served} newcomers");
        assert!(slowest < SERVED_WITHIN, "a newcomer took {slowest:?}");
        assert!(growth < GROWTH_LIMIT_BYTES, "{growth} octets more than before");
    });
}

#[test]
fn a_connection_begun_by_a_cookie_works_to_its_end() {
    against_the_server(|_| {
        fill_half_open_places();
        let mut peer = Peer::new();
        let syn_ack = peer.open();
        assert_eq!(syn_ack.options, MSS_1460, "a cookie agrees on nothing more with who has no timestamps");
        peer.send(peer.acknowledgement());
        peer.exchange(b"by a cookie\n");
        peer.close();
        // Text may come before the ACK, or instead of it.
        let mut peer = Peer::new();
        peer.open();
        peer.exchange(b"without an ACK before it\n");
        peer.close();
    });
}

#[test]
fn linux_has_all_its_options_with_a_cookie() {
    against_the_server(|server| {
        let end = Instant::now() + PATIENCE;
        // On a busy machine the places may be free again before the client comes.
        loop {
            fill_half_open_places();
            let capture = Capture::start();
            let text = Random::new(3).lines(1_000_000, 100);
            let answer = Client::connect().send_all_and_receive_all(&text);
            common::client::assert_same(&answer, &common::random::reversed(&text));
            let segments = capture.stop();
            let is_syn_ack =
                |segment: &&Segment| segment.flags & (SYN | ACK) == SYN | ACK && segment.option(8).is_some();
            let syn_ack = segments.iter().find(is_syn_ack).unwrap();
            assert!(syn_ack.option(3).is_some() && syn_ack.option(4).is_some(), "{syn_ack}");
            // A cookie's connection was never half open.
            let opened = format!(":{}: LISTEN -> ESTABLISHED", syn_ack.destination.port());
            if server.log().iter().any(|line| line.contains(&opened)) {
                return;
            }
            assert!(Instant::now() < end, "there was always a place");
        }
    });
}

#[test]
fn forged_cookies_begin_nothing() {
    against_the_server(|_| {
        // Before any was given, and after.
        for flooded in [false, true] {
            if flooded {
                fill_half_open_places();
            }
            let mut peer = Peer::new();
            let syn_ack = flooded.then(|| peer.open());
            let right = syn_ack.map_or(1, |syn_ack| syn_ack.seq.wrapping_add(1));
            let mut random = Random::new(4);
            for _ in 0..200 {
                let ack = if random.per_mille(500) {
                    random.u32()
                } else {
                    right.wrapping_add(0x10_0000 + random.u32() % 256)
                };
                peer.send(peer.segment(ACK).ack(ack));
                peer.expect_rst_for(ack);
            }
            // Another's cookie.
            let mut other = Peer::new();
            other.snd_nxt = peer.snd_nxt;
            other.send(other.segment(ACK).ack(right));
            other.expect_rst_for(right);
        }
    });
}

#[test]
fn a_replayed_cookie_does_not_disturb_the_connection_it_began() {
    against_the_server(|_| {
        fill_half_open_places();
        let mut peer = Peer::new();
        peer.open();
        let first = peer.acknowledgement();
        peer.send(first.clone());
        peer.exchange(b"one\n");
        for _ in 0..20 {
            peer.send(first.clone());
        }
        peer.exchange(b"two\n");
        peer.close();
    });
}

#[test]
fn a_flood_that_is_taken_back_leaves_nothing_behind() {
    against_the_server(|server| {
        fill_half_open_places();
        let mut random = Random::new(1);
        let mut packets = Packets::on_the_device();
        for sent in 1..=MAX_HALF_OPEN + BATCH {
            let syn = made_up_syn(&mut random);
            let rst = Segment { flags: RST, options: Vec::new(), seq: syn.seq.wrapping_add(1), ..syn };
            packets.send(&rst.packet());
            if sent % BATCH == 0 {
                assert!(packets.ping(b"keep up", KEEP_UP), "the server does not answer any more");
            }
        }
        // The sessions are given back, and with them the full handshake: a SYN,ACK with window scaling.
        let end = Instant::now() + PATIENCE;
        loop {
            let mut peer = Peer::new();
            let syn = peer.syn().options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
            let syn_ack = peer.open_with(syn);
            peer.send(peer.rst());
            if syn_ack.option(3).is_some() {
                break;
            }
            assert!(Instant::now() < end, "still only cookies");
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!server.log().iter().any(|line| line.contains("ERROR")), "port {PORT}");
    });
}
