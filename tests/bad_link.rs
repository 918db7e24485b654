//! Linux TCP over a bad link, §4.3 of the dissertation: whatever the link does, the stream comes back equal.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod common;

use common::client::{Client, assert_same};
use common::link::{Impairments, Link};
use common::namespace::set_sysctl;
use common::random::{Random, reversed};
use common::states::against_the_server;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

/// The link of issue 3: 5 % loss, 20 ms delay, reordering, repetition and corruption.
const BAD: Impairments = Impairments {
    seed: 0,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(5),
    lost: 50,
    repeated: 30,
    corrupted: 20,
    marked: 0,
};
/// Small messages in a loop.
const MESSAGES: usize = 400;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a bulk transfer through the bad link.
const BULK: usize = 400_000;

/// The options of Linux that are switched for a bulk transfer.
const OPTIONS: [&str; 3] = ["net.ipv4.tcp_window_scaling", "net.ipv4.tcp_sack", "net.ipv4.tcp_timestamps"];

/// Connects through the link: the handshake meets it, too.
fn connect_through(_: &Link) -> Client {
    let client = Client::connect_to(Link::SERVER);
    let patience = Some(Duration::from_secs(120));
    client.stream.set_read_timeout(patience).unwrap();
    client.stream.set_write_timeout(patience).unwrap();
    client
}

/// Sends small messages in a loop and asserts that all come back, in order.
fn small_messages(bad: Impairments) {
    let link = Link::start(bad);
    let client = connect_through(&link);
    let mut random = Random::new(bad.seed);
    let messages: Vec<Vec<u8>> = (0..MESSAGES).map(|_| random.line(40)).collect();
    let mut writer = client.stream.try_clone().unwrap();
    let mut reader = client.stream;
    let answer = thread::scope(|scope| {
        let messages = &messages;
        scope.spawn(move || {
            for message in messages {
                writer.write_all(message).unwrap();
                thread::sleep(PAUSE);
            }
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).unwrap();
        answer
    });
    assert_same(&answer, &reversed(&messages.concat()));
    link.assert_all_met();
}

/// Sends much at once, with these options of Linux on, and asserts that it comes back equal.
fn bulk(bad: Impairments, options: &[&str]) {
    set_sysctl("net.ipv4.tcp_no_metrics_save", "1");
    for option in OPTIONS {
        let value = if options.contains(&option) { "1" } else { "0" };
        set_sysctl(option, value);
    }
    let link = Link::start(bad);
    let client = connect_through(&link);
    let text = Random::new(bad.seed).lines(BULK, 100);
    let answer = client.send_all_and_receive_all(&text);
    assert_same(&answer, &reversed(&text));
    link.assert_all_met();
}

#[test]
fn a_link_that_does_nothing_changes_nothing() {
    against_the_server(|_| {
        let link = Link::start(Impairments::NONE);
        let client = connect_through(&link);
        let text = Random::new(12).lines(2_000_000, 100);
        let answer = client.send_all_and_receive_all(&text);
        assert_same(&answer, &reversed(&text));
    });
}

#[test]
fn small_messages_come_back_through_a_bad_link() {
    against_the_server(|_| small_messages(Impairments { seed: 1, ..BAD }));
}

#[test]
fn small_messages_come_back_through_a_link_that_reorders_wildly() {
    against_the_server(|_| {
        small_messages(Impairments { seed: 2, jitter: Duration::from_millis(60), ..BAD });
    });
}

#[test]
fn small_messages_come_back_through_a_link_that_loses_every_fifth_packet() {
    against_the_server(|_| {
        small_messages(Impairments { seed: 3, lost: 200, ..BAD });
    });
}

#[test]
fn bulk_comes_back_through_a_bad_link_with_no_option() {
    against_the_server(|_| bulk(Impairments { seed: 4, ..BAD }, &[]));
}

#[test]
fn bulk_comes_back_through_a_bad_link_with_window_scaling() {
    against_the_server(|_| bulk(Impairments { seed: 5, ..BAD }, &OPTIONS[..1]));
}

#[test]
fn bulk_comes_back_through_a_bad_link_with_sack() {
    against_the_server(|_| bulk(Impairments { seed: 6, ..BAD }, &OPTIONS[1..2]));
}

#[test]
fn bulk_comes_back_through_a_bad_link_with_timestamps() {
    against_the_server(|_| bulk(Impairments { seed: 7, ..BAD }, &OPTIONS[2..]));
}

#[test]
fn bulk_comes_back_through_a_bad_link_with_all_options() {
    against_the_server(|_| bulk(Impairments { seed: 8, ..BAD }, &OPTIONS));
}

#[test]
fn many_connections_live_and_end_on_a_bad_link() {
    against_the_server(|_| {
        let link = Link::start(Impairments { seed: 9, ..BAD });
        thread::scope(|scope| {
            for number in 0..20_u64 {
                let link = &link;
                scope.spawn(move || {
                    let text = Random::new(number).lines(3000, 60);
                    let answer = connect_through(link).send_all_and_receive_all(&text);
                    assert_same(&answer, &reversed(&text));
                });
            }
        });
    });
}
