//! Urgent data both ways: for Linux the last octet is out of the stream, for RFC 9293 §3.8.5 all of it is in its place.

use super::exchange::{SERVER_SOCKET, from_client};
use crate::common::capture::Capture;
use crate::common::client::Client;
use crate::common::segment::URG;
use crate::common::socket::{connect_with, send_urgent};
use crate::common::states::against_the_server;

#[test]
fn urgent_octets_of_linux_stay_in_their_place() {
    against_the_server(|_| {
        let capture = Capture::start();
        let mut client = Client::connect();
        client.send(b"before");
        send_urgent(&client.stream, b"urgent!");
        client.send(b"after\n");
        assert_eq!(client.receive(19), b"retfa!tnegruerofeb\n");
        // Each supersedes the one before it.
        for digit in b"0123456789" {
            send_urgent(&client.stream, &[*digit]);
        }
        client.send(b"x\n");
        assert_eq!(client.receive(12), b"x9876543210\n");
        // The newline itself is urgent, and so is the last octet of the stream.
        client.send(b"line");
        send_urgent(&client.stream, b"\n");
        assert_eq!(client.receive(5), b"enil\n");
        send_urgent(&client.stream, b"end");
        client.finish();
        assert_eq!(client.receive_to_end(), b"dne");
        assert!(from_client(&capture.stop()).filter(|segment| segment.has(URG)).count() >= 4);
    });
}

#[test]
fn urgent_octets_amid_much_text_stay_in_their_place() {
    against_the_server(|_| {
        let mut client = connect_with(SERVER_SOCKET, &[]);
        let mut expected = Vec::new();
        let mut reader = Client { stream: client.stream.try_clone().unwrap() };
        let answer = std::thread::scope(|scope| {
            let answer = scope.spawn(move || reader.receive_to_end());
            for number in 0..500 {
                let line = format!("{number} and some text\n").repeat(20);
                client.send(line.as_bytes());
                send_urgent(&client.stream, b"urgent");
                client.send(b"\n");
                expected.extend([line.as_bytes(), b"urgent\n"].concat());
            }
            client.finish();
            answer.join().unwrap()
        });
        crate::common::client::assert_same(&answer, &crate::common::random::reversed(&expected));
    });
}
