//! The congestion controls of Linux, and explicit congestion notification (RFC 3168).

use super::exchange::{SERVER_SOCKET, captured, exchange, exchange_over, from_client, from_server, handshake, set_tcp};
use crate::common::capture::Capture;
use crate::common::client::{Client, assert_same};
use crate::common::link::{Impairments, Link};
use crate::common::random::{Random, reversed};
use crate::common::segment::{CWR, ECE, Segment, TCP, parse_ipv4};
use crate::common::socket::connect_with_congestion_control;
use crate::common::states::against_the_server;
use crate::common::{PEER, SERVER};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// The ECN field of an IPv4 header, in its second octet (RFC 3168 §5).
const ECN_FIELD: u8 = 3;
const ECT_0: u8 = 2;

/// The ECN fields of the packets with text that the server sent to somebody for the first time: what is sent again has none (RFC 3168
/// §6.1.5), as happens on a busy machine.
fn fields_from_server(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut seen = HashSet::new();
    let mut is_new_text = |packet: &&Vec<u8>| {
        parse_ipv4(packet).is_some_and(|(source, _, protocol, _)| source == SERVER && protocol == TCP)
            && Segment::parse(packet).is_some_and(|segment| !segment.payload.is_empty() && seen.insert(segment.seq))
    };
    packets.iter().filter(|packet| is_new_text(packet)).map(|packet| packet[1] & ECN_FIELD).collect()
}

#[test]
fn ecn_is_agreed_on_when_linux_asks_for_it_and_not_else() {
    against_the_server(|_| {
        for (setting, field) in [("0", 0), ("1", ECT_0), ("2", 0)] {
            set_tcp(&[("ecn", setting)]);
            let capture = Capture::start();
            exchange(&[], 300_000);
            let fields = fields_from_server(&capture.packets());
            let segments = capture.stop();
            let (syn, syn_ack) = handshake(&segments);
            let asks = field == ECT_0;
            assert_eq!((syn.has(ECE | CWR), syn_ack.has(ECE), syn_ack.has(CWR)), (asks, asks, false), "{setting}");
            assert!(!fields.is_empty() && fields.iter().all(|found| *found == field), "tcp_ecn={setting}: {fields:?}");
        }
    });
}

#[test]
fn marks_are_echoed_and_answered_by_both_ends() {
    against_the_server(|_| {
        set_tcp(&[("ecn", "1"), ("no_metrics_save", "1")]);
        let link = Link::start(Impairments { seed: 11, marked: 20, ..Impairments::NONE });
        let capture = Capture::start();
        let text = Random::new(11).lines(2_000_000, 100);
        assert_same(&Client::connect_to(Link::SERVER).send_all_and_receive_all(&text), &reversed(&text));
        let segments = capture.stop();
        assert!(link.counts().marked.load(Ordering::Relaxed) > 10);
        let ours = |flag| from_server(&segments).skip(1).filter(|segment| segment.has(flag)).count();
        let its = |flag| from_client(&segments).skip(1).filter(|segment| segment.has(flag)).count();
        // What the link marked of its text we echo, and it slows down; and the other way round. The SYN has both bits, too.
        for (what, found) in
            [("our ECE", ours(ECE)), ("its CWR", its(CWR)), ("its ECE", its(ECE)), ("our CWR", ours(CWR))]
        {
            assert!(found > 0, "no {what}");
        }
        // Nothing was lost, so nothing came twice.
        let mut sent: Vec<u32> = from_server(&segments)
            .filter(|s| !s.payload.is_empty() && *s.destination.ip() == PEER)
            .map(|s| s.seq)
            .collect();
        let all = sent.len();
        sent.sort_unstable();
        sent.dedup();
        assert!(all - sent.len() <= all / 100, "{} of {all} were sent again", all - sent.len());
    });
}

#[test]
fn every_congestion_control_of_linux_is_served() {
    against_the_server(|_| {
        let served = ["reno", "cubic", "bbr", "dctcp"].into_iter().filter(|name| {
            let client = connect_with_congestion_control(SERVER_SOCKET, name);
            client.map(|client| exchange_over(client, 2_000_000)).is_some()
        });
        // Every kernel has reno.
        assert!(served.count() > 0);
    });
}

#[test]
fn what_linux_does_after_idle_time_and_when_it_probes_its_path_makes_no_difference() {
    against_the_server(|_| {
        for setting in [("slow_start_after_idle", "0"), ("mtu_probing", "1"), ("mtu_probing", "2")] {
            set_tcp(&[setting]);
            let segments = captured(&[], 2_000_000);
            assert!(from_client(&segments).all(|segment| segment.payload.len() <= 1460));
        }
    });
}
