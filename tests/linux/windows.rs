//! Small buffers and windows of Linux, closed ones, and users that do not read.

use super::exchange::{SERVER_SOCKET, assert_within_the_window, captured, from_client, from_server, set_tcp};
use crate::common::capture::Capture;
use crate::common::client::{Client, assert_same, assert_serves};
use crate::common::random::{Random, reversed};
use crate::common::segment::{ACK, Segment};
use crate::common::socket::{SocketOption, connect_with};
use crate::common::states::against_the_server;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn small_buffers_and_windows_are_kept_to() {
    against_the_server(|_| {
        for octets in [1, 2304, 4096, 8192] {
            assert_within_the_window(&captured(&[SocketOption::receive_buffer(octets)], 100_000));
            assert_within_the_window(&captured(&[SocketOption::send_buffer(octets)], 100_000));
        }
        for octets in [1, 1000, 3000, 10_000] {
            assert_within_the_window(&captured(&[SocketOption::largest_window(octets)], 50_000));
        }
        let both = [SocketOption::receive_buffer(1), SocketOption::send_buffer(1), SocketOption::largest_segment(100)];
        assert_within_the_window(&captured(&both, 50_000));
    });
}

#[test]
fn a_window_that_linux_may_shrink_is_kept_to() {
    against_the_server(|_| {
        set_tcp(&[("shrink_window", "1"), ("rmem", "4096 8192 16384")]);
        let client = Client::connect();
        let text = Random::new(3).lines(200_000, 100);
        let mut writer = client.stream.try_clone().unwrap();
        let answer = thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&text).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            // The window fills, and the buffer behind it is counted in other units than octets.
            thread::sleep(Duration::from_millis(300));
            Client { stream: client.stream.try_clone().unwrap() }.receive_to_end()
        });
        assert_same(&answer, &reversed(&text));
    });
}

#[test]
fn a_window_closed_for_seconds_is_probed_and_then_used() {
    against_the_server(|_| {
        let capture = Capture::start();
        let client = connect_with(SERVER_SOCKET, &[SocketOption::receive_buffer(4096)]);
        let text = Random::new(4).lines(100_000, 100);
        let mut writer = client.stream.try_clone().unwrap();
        let answer = thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&text).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            thread::sleep(Duration::from_millis(3500));
            Client { stream: client.stream.try_clone().unwrap() }.receive_to_end()
        });
        assert_same(&answer, &reversed(&text));
        let segments = capture.stop();
        assert_within_the_window(&segments);
        let closed = from_client(&segments).filter(|s| s.has(ACK) && s.window == 0).map(|s| s.ack).next();
        let edge = closed.unwrap();
        let is_probe = |s: &&Segment| s.payload.len() == 1 && s.seq == edge;
        // After 1 and 3 seconds.
        assert_eq!(from_server(&segments).filter(is_probe).count(), 2);
    });
}

#[test]
fn clients_that_flood_and_do_not_read_hold_up_nobody_else() {
    /// Clients that do so.
    const CLIENTS: u64 = 4;
    /// What is too much for all buffers on the way there and back.
    const TOO_MUCH: usize = 24_000_000;
    against_the_server(|_| {
        let flooded: Vec<Flood> = (0..CLIENTS).map(|seed| flood(seed, TOO_MUCH)).collect();
        assert_serves();
        for Flood { client, text, sent } in flooded {
            client.stream.set_nonblocking(false).unwrap();
            assert_same(&client.send_all_and_receive_all(&text[sent..]), &reversed(&text));
        }
    });
}

/// What a client sends, and how much of it was taken.
struct Flood {
    client: Client,
    /// Whole lines.
    text: Vec<u8>,
    sent: usize,
}

/// Sends until there is no room anywhere.
fn flood(seed: u64, too_much: usize) -> Flood {
    let mut client = Client::connect();
    client.stream.set_nonblocking(true).unwrap();
    let mut text = Random::new(seed).lines(too_much, 1000);
    let (mut sent, mut moved) = (0, Instant::now());
    while moved.elapsed() < Duration::from_millis(300) {
        assert!(sent < text.len(), "no end to what is taken");
        match client.stream.write(&text[sent..]) {
            Ok(octets) => (sent, moved) = (sent + octets, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
    let line_end = text[sent..].iter().position(|octet| *octet == b'\n').unwrap();
    text.truncate(sent + line_end + 1);
    Flood { client, text, sent }
}
