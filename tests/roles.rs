//! The roles' threads over an in-process link: the whole program but its device, against the machine of an active opener.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "roles/client.rs"]
mod client;

use std::thread;
use std::time::Duration;

use client::{Client, Closes, Outcome};
use session_tcp::server::Server;
use session_tcp::smol_lower::{BadLink, Impairment, LinkEnd, LowerConfig, SmolLower, perfect};
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::{Config, LocalAddr};
use session_tcp::undirected::Clock;

const PORT: u16 = 555;
const MTU_BYTES: usize = 1500;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server at one end of a link for as long as `conversation` takes with the other.
fn with_server(there: Impairment, back: Impairment, conversation: impl FnOnce(&LinkEnd, &LowerConfig)) {
    let (ours, theirs) = LinkEnd::pair(MTU_BYTES, there, back);
    let at = LowerConfig::default();
    let lower = SmolLower::over_link(theirs, &at).unwrap();
    let backlog = lower.listen(PORT).unwrap();
    let local = LocalAddr { addr: at.address, port: PORT };
    let server = Server {
        lower: lower.clone(),
        backlog,
        local,
        config: Config::default(),
        isn: IsnSecret([7; 16]),
        clock: Clock::start(),
    };
    thread::scope(|threads| {
        let ip_thread = threads.spawn(|| lower.run());
        let serving = threads.spawn(|| server.run());
        conversation(&ours, &at);
        lower.stop();
        ip_thread.join().unwrap().unwrap();
        serving.join().unwrap();
    });
}

/// Lines of many lengths, none of them empty.
fn lines(bytes: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..bytes).map(|at| b'a' + u8::try_from(at * at % 26).unwrap()).collect();
    let mut at = 0;
    for length in (1..200).cycle() {
        at += length + 1;
        match text.get_mut(at) {
            Some(octet) => *octet = b'\n',
            None => break,
        }
    }
    text.push(b'\n');
    text
}

fn reversed(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|&octet| octet == b'\n');
    lines.flat_map(|line| line[..line.len() - 1].iter().rev().chain(b"\n")).copied().collect()
}

/// One connection after another over the same link.
fn converse(there: Impairment, back: Impairment, bytes: usize) {
    with_server(there, back, |end, at| {
        for (port, closes) in [(40_000, Closes::Client), (40_001, Closes::Server)] {
            let text = lines(bytes);
            let said = match closes {
                Closes::Client => text.clone(),
                Closes::Server => [&text[..], b"\n"].concat(),
            };
            let local = format!("192.0.2.1:{port}").parse().unwrap();
            let remote = std::net::SocketAddrV4::new(at.address, PORT);
            let mut client = Client::new(end, local, remote, &said, closes);
            assert_eq!(client.converse(PATIENCE), Outcome::Finished, "{closes:?} closes first");
            assert!(client.received == reversed(&text), "{closes:?} closes first: the streams differ");
        }
    });
}

fn bad(seed: u64) -> Impairment {
    let (delay, jitter) = (Duration::from_millis(2), Duration::from_millis(3));
    BadLink { seed, loss_percent: 5, repeat_percent: 5, corrupt_percent: 2, delay: delay.into(), jitter: jitter.into() }
        .impairment()
}

#[test]
fn the_roles_serve_over_a_perfect_link() {
    converse(perfect(), perfect(), 1_000_000);
}

#[test]
fn the_roles_serve_over_a_link_that_loses_repeats_reorders_and_corrupts() {
    for seed in 0..2 {
        converse(bad(2 * seed), bad(2 * seed + 1), 40_000);
    }
}
