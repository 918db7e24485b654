//! The main job with Linux TCP as the client: the five cases of §4.1 of the dissertation, and the line-reversing echo over a real stream.

mod common;

use common::capture::{Capture, listing};
use common::client::{Client, PATIENCE, assert_same, assert_serves};
use common::namespace::in_namespace;
use common::packets::Packets;
use common::random::{Random, reversed};
use common::segment::{ACK, RST};
use common::server::Server;
use common::states::against_the_server;
use common::{DEVICE, KERNEL, PORT, SERVER};
use core::net::SocketAddrV4;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The piece in which a line that does not end is reversed.
const LONGEST_LINE: usize = 1 << 20;

/// Runs a conversation that both sides close, and asserts that the capture shows no RST.
fn without_rst(conversation: impl FnOnce()) {
    let capture = Capture::start();
    conversation();
    capture.assert_all_closed_without_rst();
}

#[test]
fn a_connection_is_established() {
    against_the_server(|_| {
        without_rst(|| {
            let client = Client::connect();
            assert_eq!(client.stream.peer_addr().unwrap().port(), PORT);
        });
    });
}

#[test]
fn lines_come_back_reversed() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.exchange(b"hello\n");
            client.exchange(b"one\ntwo\nthree\n");
        });
    });
}

#[test]
fn an_empty_line_makes_the_server_close() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.exchange(b"hello\n");
            client.send(b"\n");
            assert_eq!(client.receive_to_end(), b"");
        });
    });
}

#[test]
fn the_client_closes_first() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.exchange(b"hello\n");
        });
    });
}

#[test]
fn an_empty_line_followed_at_once_by_the_end() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.send(b"\n");
            client.finish();
            assert_eq!(client.receive_to_end(), b"");
        });
    });
}

#[test]
fn text_before_an_empty_line_is_answered_before_the_close() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.send(b"one\ntwo\n\n");
            assert_eq!(client.receive_to_end(), b"eno\nowt\n");
        });
    });
}

#[test]
fn a_half_closed_client_gets_all_that_is_left() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.send(b"one\ntwo\n");
            client.finish();
            assert_eq!(client.receive_to_end(), b"eno\nowt\n");
        });
    });
}

#[test]
fn an_unterminated_last_line_is_answered_at_the_end() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.exchange(b"whole\n");
            client.send(b"not whole");
            client.finish();
            assert_eq!(client.receive_to_end(), b"elohw ton");
        });
    });
}

#[test]
fn a_client_that_ends_without_a_word_is_answered_with_the_end() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            client.finish();
            assert_eq!(client.receive_to_end(), b"");
        });
    });
}

#[test]
fn a_line_in_many_segments_is_reversed_as_one() {
    against_the_server(|_| {
        without_rst(|| {
            let mut client = Client::connect();
            for byte in b"backward" {
                client.send(&[*byte]);
                // So that each byte is a segment of its own.
                thread::sleep(Duration::from_millis(2));
            }
            client.send(b"\n");
            assert_eq!(client.receive(9), b"drawkcab\n");
        });
    });
}

#[test]
fn a_line_longer_than_a_mebibyte_is_reversed_in_pieces_of_that_size() {
    against_the_server(|_| {
        let line: Vec<u8> = Random::new(1).bytes(2 * LONGEST_LINE + 1000);
        let line: Vec<u8> = line.iter().map(|byte| b'a' + byte % 26).collect();
        let mut expected = Vec::new();
        for piece in line.chunks(LONGEST_LINE) {
            expected.extend(piece.iter().rev());
        }
        expected.push(b'\n');
        let text = [line.as_slice(), b"\n"].concat();
        let answer = Client::connect().send_all_and_receive_all(&text);
        assert_same(&answer, &expected);
    });
}

#[test]
fn five_megabytes_come_back_as_rev_would_give_them() {
    against_the_server(|_| {
        let text = Random::new(2).lines(5_000_000, 120);
        let capture = Capture::start();
        let answer = Client::connect().send_all_and_receive_all(&text);
        assert_same(&answer, &reversed(&text));
        capture.assert_no_rst();
    });
}

#[test]
fn every_segment_carries_timestamps_and_ours_echo_those_of_linux() {
    /// The kind of the timestamps option (RFC 7323 §3.2).
    const TIMESTAMPS: u8 = 8;
    against_the_server(|_| {
        let capture = Capture::start();
        let text = Random::new(4).lines(300_000, 120);
        assert_same(&Client::connect().send_all_and_receive_all(&text), &reversed(&text));
        let segments = capture.stop();
        let mut sent: Vec<&[u8]> = vec![&[0; 4]];
        for segment in &segments {
            let Some(stamps) = segment.option(TIMESTAMPS) else {
                panic!("without timestamps: {segment}");
            };
            if *segment.source.ip() == KERNEL {
                sent.push(&stamps[..4]);
            } else {
                assert!(sent.contains(&&stamps[4..]), "echoes what was never sent: {segment}");
                assert!(segment.payload.len() <= 1448, "no room left for the option: {segment}");
            }
        }
    });
}

#[test]
fn every_byte_value_passes() {
    against_the_server(|_| {
        let mut text = Random::new(3).bytes(300_000);
        text.insert(0, b'.');
        for at in 1..text.len() {
            // An empty line would close.
            if text[at] == b'\n' && text[at - 1] == b'\n' {
                text[at] = b'.';
            }
        }
        let answer = Client::connect().send_all_and_receive_all(&text);
        assert_same(&answer, &reversed(&text));
    });
}

#[test]
fn each_connection_is_followed_by_the_next() {
    against_the_server(|_| {
        without_rst(|| {
            for _ in 0..20 {
                let mut client = Client::connect();
                client.exchange(b"next\n");
                client.send(b"\n");
                assert_eq!(client.receive_to_end(), b"");
                assert_serves();
            }
        });
    });
}

#[test]
fn two_clients_are_served_at_once() {
    against_the_server(|_| {
        let mut first = Client::connect();
        let mut second = Client::connect();
        second.exchange(b"second\n");
        first.exchange(b"first\n");
        second.exchange(b"second again\n");
    });
}

#[test]
fn a_client_that_resets_is_forgotten() {
    against_the_server(|_| {
        let mut client = Client::connect();
        // Unread bytes at close make Linux send RST (RFC 2525 §2.17).
        client.send(b"never read\n");
        thread::sleep(Duration::from_millis(50));
        drop(client);
    });
}

#[test]
fn once_ends_the_process_after_one_connection() {
    in_namespace(|| {
        let mut server = Server::start_with(&["--once"]);
        let mut client = Client::connect();
        client.exchange(b"once\n");
        client.finish();
        assert_eq!(client.receive_to_end(), b"");
        assert!(server.wait(PATIENCE).success());
    });
}

#[test]
fn once_ends_the_process_when_the_server_closed() {
    in_namespace(|| {
        let mut server = Server::start_with(&["--once"]);
        let mut client = Client::connect();
        client.send(b"\n");
        assert_eq!(client.receive_to_end(), b"");
        drop(client);
        // TIME-WAIT lasts two minutes (RFC 9293 §3.6.1), but the process owes it no longer than it lives.
        assert!(server.wait(PATIENCE).success());
    });
}

#[test]
fn every_state_is_logged_by_its_name_in_the_rfc() {
    against_the_server(|server| {
        let mut client = Client::connect();
        client.exchange(b"hello\n");
        client.finish();
        assert_eq!(client.receive_to_end(), b"");
        for state in ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"] {
            server.wait_for_log(state);
        }
        let mut client = Client::connect();
        client.send(b"\n");
        assert_eq!(client.receive_to_end(), b"");
        // The kernel acknowledges our FIN by itself only while the client does not close as well.
        server.wait_for_log("FIN-WAIT-1");
        server.wait_for_log("FIN-WAIT-2");
        drop(client);
        server.wait_for_log("TIME-WAIT");
    });
}

#[test]
fn ping_is_answered() {
    against_the_server(|_| {
        let mut packets = Packets::on_the_device();
        assert!(packets.ping(b"an echo request", PATIENCE));
        let large = Random::new(4).bytes(1400);
        assert!(packets.ping(&large, PATIENCE));
    });
}

#[test]
fn a_port_where_nobody_listens_refuses_at_once() {
    against_the_server(|_| {
        let before = Instant::now();
        let capture = Capture::start();
        let error = TcpStream::connect((SERVER, PORT + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(before.elapsed() < Duration::from_millis(500));
        let segments = capture.stop();
        let refused = segments.iter().any(|s| s.flags == RST | ACK);
        assert!(refused, "{}", listing(&segments));
    });
}

#[test]
fn other_ports_and_addresses_can_be_served() {
    in_namespace(|| {
        let _server = Server::start_with(&["--port", "7"]);
        let mut client = Client::connect_to(SocketAddrV4::new(SERVER, 7));
        client.exchange(b"on another port\n");
        let error = TcpStream::connect((SERVER, PORT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_program_says_what_it_serves_and_what_to_type() {
    against_the_server(|server| {
        let expected = format!("session-tcp: serving {SERVER} port {PORT} on {DEVICE}; type: nc {SERVER} {PORT}");
        assert_eq!(server.stdout(), [expected]);
        assert_ne!(KERNEL, SERVER);
    });
}
