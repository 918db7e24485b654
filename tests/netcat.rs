//! The five cases of §4.1 of the dissertation once more, typed into the real netcat.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod common;

use common::capture::Capture;
use common::client::{PATIENCE, assert_same};
use common::namespace::run;
use common::random::{Random, reversed};
use common::segment::FIN;
use common::states::against_the_server;
use common::{PORT, SERVER};
use std::io::{Read, Write, stderr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// A running `nc`, killed when dropped.
struct Netcat {
    child: Child,
}

impl Netcat {
    fn start(options: &[&str]) -> Self {
        let child = Command::new("nc")
            .args(options)
            .args([SERVER.to_string(), PORT.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    fn type_in(&mut self, text: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(text).unwrap();
    }

    fn see(&mut self, expected: &[u8]) {
        let mut shown = vec![0; expected.len()];
        let stdout = self.child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut shown).unwrap();
        assert_same(&shown, expected);
    }

    fn end_of_input(&mut self) {
        drop(self.child.stdin.take());
    }

    fn interrupt(&self) {
        run("kill", &["-INT", &self.child.id().to_string()]);
    }

    /// Waits until it ends, and gives what it showed since.
    fn wait(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_end(&mut rest).unwrap();
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "nc does not end");
            thread::yield_now();
        }
        rest
    }
}

impl Drop for Netcat {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Whether `nc` is OpenBSD's; says so where it is not, as the test is then left out.
fn netcat_is_here() -> bool {
    let help = Command::new("nc").arg("-h").output();
    let here = help.is_ok_and(|help| {
        let said = [help.stdout, help.stderr].concat();
        String::from_utf8_lossy(&said).contains("OpenBSD")
    });
    if !here {
        // Not `eprintln!`: what a passing test prints so is not shown.
        let note = b"note: netcat-openbsd is not installed, a test is left out\n";
        stderr().write_all(note).unwrap();
    }
    here
}

#[test]
fn the_five_cases_with_netcat() {
    if !netcat_is_here() {
        return;
    }
    against_the_server(|_| {
        let capture = Capture::start();

        // Establishing a connection, exchanging data, and closing it by an empty line.
        let mut netcat = Netcat::start(&[]);
        netcat.type_in(b"hello\n");
        netcat.see(b"olleh\n");
        netcat.type_in(b"netcat\n");
        netcat.see(b"tacten\n");
        netcat.type_in(b"\n");
        // It waits for its keyboard, too, so the server's FIN is alone on the wire.
        capture.wait_for("the server's FIN", |s| s.has(FIN) && *s.source.ip() == SERVER);
        netcat.end_of_input();
        assert_eq!(netcat.wait(), b"");

        // The client closes, by ^C.
        let mut netcat = Netcat::start(&[]);
        netcat.type_in(b"hello\n");
        netcat.see(b"olleh\n");
        netcat.interrupt();
        assert_eq!(netcat.wait(), b"");

        // An empty line followed at once by the end of the input.
        let mut netcat = Netcat::start(&[]);
        netcat.type_in(b"\n");
        netcat.end_of_input();
        assert_eq!(netcat.wait(), b"");

        capture.assert_all_closed_without_rst();
    });
}

#[test]
fn a_file_through_netcat_comes_back_as_from_rev() {
    if !netcat_is_here() {
        return;
    }
    against_the_server(|_| {
        let text = Random::new(5).lines(5_000_000, 200);
        let capture = Capture::start();
        let mut netcat = Netcat::start(&["-N"]);
        let mut stdin = netcat.child.stdin.take().unwrap();
        let answer = thread::scope(|scope| {
            let text = &text;
            scope.spawn(move || stdin.write_all(text).unwrap());
            netcat.wait()
        });
        assert_same(&answer, &reversed(&text));
        capture.assert_no_rst();
    });
}
