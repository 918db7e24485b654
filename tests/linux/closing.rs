//! How connections end and how they last: half-closed ones, resets, keep-alives, and a peer that is gone for a while.

use super::exchange::{SERVER_SOCKET, from_client, from_server};
use crate::common::SERVER;
use crate::common::capture::Capture;
use crate::common::client::{Client, assert_same};
use crate::common::namespace::run;
use crate::common::random::{Random, reversed};
use crate::common::router::{Errors, ROUTER_DEVICE, behind_a_router};
use crate::common::segment::{ACK, RST};
use crate::common::socket::{SocketOption, connect_with, set};
use crate::common::states::against_the_server;
use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_half_closed_client_that_reads_slowly_gets_all() {
    against_the_server(|_| {
        let capture = Capture::start();
        let mut client = connect_with(SERVER_SOCKET, &[SocketOption::receive_buffer(8192)]);
        let text = Random::new(1).lines(150_000, 100);
        client.send(&text);
        client.finish();
        let (mut answer, mut piece) = (Vec::new(), [0; 4000]);
        loop {
            match client.stream.read(&mut piece).unwrap() {
                0 => break,
                octets => answer.extend(&piece[..octets]),
            }
            thread::sleep(Duration::from_millis(10));
        }
        assert_same(&answer, &reversed(&text));
        capture.assert_all_closed_without_rst();
    });
}

#[test]
fn a_client_that_resets_ends_the_connection_whatever_is_under_way() {
    against_the_server(|server| {
        for outstanding in [b"".as_slice(), b"line\n", &[b'x'; 100_000], &Random::new(2).lines(100_000, 100)] {
            let mut client = connect_with(SERVER_SOCKET, &[SocketOption::reset_on_close()]);
            client.exchange(b"hello\n");
            client.send(outstanding);
            let port = client.stream.local_addr().unwrap().port();
            drop(client);
            server.wait_for_log(&format!(":{port}: ESTABLISHED -> CLOSED"));
        }
    });
}

#[test]
fn a_client_that_closes_without_reading_ends_the_connection() {
    against_the_server(|server| {
        let capture = Capture::start();
        let mut client = Client::connect();
        let port = client.stream.local_addr().unwrap().port();
        client.send(b"not read\n");
        // The answer is there, so that Linux resets (RFC 9293 §3.10.4 lets it, RFC 2525 §2.17).
        capture.wait_for("the answer", |s| *s.source.ip() == SERVER && !s.payload.is_empty());
        drop(client);
        server.wait_for_log(&format!(":{port}: ESTABLISHED -> CLOSED"));
    });
}

#[test]
fn text_after_our_close_is_answered_with_a_reset_that_linux_takes() {
    against_the_server(|server| {
        let capture = Capture::start();
        let mut client = Client::connect();
        client.send(b"\n");
        assert_eq!(client.receive_to_end(), b"");
        server.wait_for_log("FIN-WAIT-2");
        client.send(b"nobody reads this\n");
        capture.wait_for("a reset", |s| *s.source.ip() == SERVER && s.has(RST));
        let error = client.stream.write_all(b"and nobody can\n").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    });
}

#[test]
fn keep_alives_of_linux_are_answered() {
    against_the_server(|_| {
        let capture = Capture::start();
        let options = [SocketOption::keep_alive(), SocketOption::keep_alive_after(1)];
        let mut client = connect_with(SERVER_SOCKET, &options);
        client.exchange(b"before\n");
        thread::sleep(Duration::from_millis(2700));
        client.exchange(b"after\n");
        let segments = capture.stop();
        let after = from_server(&segments).find(|s| !s.payload.is_empty()).unwrap().ack;
        // One octet before the next (RFC 9293 §3.8.4).
        let probe = after.wrapping_sub(1);
        let probes = from_client(&segments).filter(|s| s.seq == probe && s.payload.is_empty() && s.ack != 0).count();
        let answers = from_server(&segments).filter(|s| s.has(ACK) && s.payload.is_empty() && s.ack == after).count();
        assert!(probes >= 1 && answers >= probes, "{probes} probes, {answers} answers");
    });
}

#[test]
fn a_link_that_is_down_for_seconds_delays_a_transfer_only() {
    against_the_server(|_| {
        let (begun, when_begun) = sync_channel(1);
        let outage = thread::spawn(move || {
            when_begun.recv().unwrap();
            run("ip", &["link", "set", "dev", ROUTER_DEVICE, "down"]);
            thread::sleep(Duration::from_millis(2500));
            run("ip", &["link", "set", "dev", ROUTER_DEVICE, "up"]);
        });
        behind_a_router(1500, Errors::Arrive, || {
            let mut client = Client::connect();
            let (started, mut told) = (Instant::now(), Some(begun));
            let line = Random::new(5).lines(500, 500);
            // Until well after the outage.
            while started.elapsed() < Duration::from_millis(6500) {
                client.exchange(&line);
                _ = told.take().map(|begun| begun.send(()));
                thread::sleep(Duration::from_millis(1));
            }
        });
        outage.join().unwrap();
    });
}

#[test]
fn a_client_that_gave_up_while_the_link_was_down_ends_our_connection_when_we_ask() {
    against_the_server(|server| {
        let (down, when_down) = sync_channel(0);
        let (gone, when_gone) = sync_channel(0);
        let link = thread::spawn(move || {
            when_down.recv().unwrap();
            run("ip", &["link", "set", "dev", ROUTER_DEVICE, "down"]);
            when_gone.recv().unwrap();
            run("ip", &["link", "set", "dev", ROUTER_DEVICE, "up"]);
        });
        behind_a_router(1500, Errors::Arrive, || {
            let mut client = Client::connect();
            set(&client.stream, &SocketOption::user_timeout(700));
            // Little of the answer is read, so that the server has text left that it asks for room for.
            client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            let text = Random::new(6).lines(20_000_000, 100);
            assert!(client.stream.write_all(&text).is_err(), "there is room for all of it");
            down.send(()).unwrap();
            client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let error = loop {
                match client.stream.read(&mut [0; 4000]) {
                    Ok(octets) => assert!(octets > 0, "an end instead of an error"),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => break error,
                }
            };
            assert!(error.kind() == ErrorKind::TimedOut, "{error}");
            gone.send(()).unwrap();
            // Our next probe of the window is answered with a RST.
            server.wait_for_log("ESTABLISHED -> CLOSED");
        });
        link.join().unwrap();
    });
}
