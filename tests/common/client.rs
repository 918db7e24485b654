//! Clients on kernel sockets: Linux TCP is the peer.

use super::random::reversed;
use super::{PORT, SERVER};
use core::net::{SocketAddr, SocketAddrV4};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// How long a client waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A connected client.
pub struct Client {
    /// Its socket.
    pub stream: TcpStream,
}

impl Client {
    /// Connects to the server.
    pub fn connect() -> Self {
        Self::connect_to(SocketAddrV4::new(SERVER, PORT))
    }

    /// Connects to this address.
    pub fn connect_to(address: SocketAddrV4) -> Self {
        let stream = TcpStream::connect_timeout(&SocketAddr::V4(address), PATIENCE)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends these bytes.
    pub fn send(&mut self, text: &[u8]) {
        self.stream.write_all(text).unwrap();
    }

    /// The next bytes from the server, exactly as many.
    pub fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).unwrap();
        answer
    }

    /// Everything up to the server's FIN.
    pub fn receive_to_end(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Sends whole lines and asserts that they come back reversed.
    pub fn exchange(&mut self, lines: &[u8]) {
        self.send(lines);
        let answer = self.receive(lines.len());
        assert_same(&answer, &reversed(lines));
    }

    /// Sends our FIN and keeps the other direction.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends all of `text` and a FIN from one thread and gives all that comes back, read in another.
    pub fn send_all_and_receive_all(mut self, text: &[u8]) -> Vec<u8> {
        let mut writer = self.stream.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(text).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            self.receive_to_end()
        })
    }
}

/// Asserts that the server takes a connection, reverses a line and closes after us.
pub fn assert_serves() {
    let mut client = Client::connect();
    client.exchange(b"still there?\n");
    client.finish();
    assert_eq!(client.receive_to_end(), b"");
}

/// Asserts that two texts are equal; a failure names the first difference instead of printing both.
pub fn assert_same(found: &[u8], expected: &[u8]) {
    if found == expected {
        return;
    }
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
    let at = same.count();
    let near = |text: &[u8]| {
        let part = &text[at..text.len().min(at + 40)];
        String::from_utf8_lossy(part).into_owned()
    };
    panic!(
        "{} bytes came, {} were expected; they differ at {at}: {:?} instead of {:?}",
        found.len(),
        expected.len(),
        near(found),
        near(expected)
    );
}
