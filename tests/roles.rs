//! The roles' threads over an in-process link: the whole program but its device, the client's two roles against the server's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "roles/client.rs"]
mod client;
#[path = "roles/lag.rs"]
mod lag;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use client::{Closes, converse};
use session_tcp::calls::ResetCause;
use session_tcp::server::Server;
use session_tcp::smol_lower::{BadLink, Impairment, LinkEnd, LowerConfig, SmolLower, perfect};
use session_tcp::system::State;
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::{Config, LocalAddr};
use session_tcp::undirected::Clock;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 555;
const MTU_BYTES: usize = 1500;

/// Two hosts with a link between them for as long as `meeting` takes.
fn with_hosts(there: Impairment, back: Impairment, meeting: impl FnOnce(&SmolLower, &SmolLower)) {
    let (ours, theirs) = LinkEnd::pair(MTU_BYTES, there, back);
    let host = |end, address| SmolLower::over_link(end, &LowerConfig { address, ..LowerConfig::default() }).unwrap();
    let (client, server) = (host(ours, CLIENT), host(theirs, SERVER));
    thread::scope(|threads| {
        let ip_threads = [&client, &server].map(|lower| threads.spawn(|| lower.run()));
        meeting(&client, &server);
        for lower in [&client, &server] {
            lower.stop();
        }
        for ip_thread in ip_threads {
            ip_thread.join().unwrap().unwrap();
        }
    });
}

/// The same with a server of lines at one of them.
fn with_server(there: Impairment, back: Impairment, meeting: impl FnOnce(&SmolLower)) {
    with_hosts(there, back, |client, lower| serving(lower, || meeting(client)));
}

/// A server of lines on this host for as long as `meeting` takes; then the host stops.
fn serving(lower: &SmolLower, meeting: impl FnOnce()) {
    let server = Server {
        lower: lower.clone(),
        backlog: lower.listen(PORT).unwrap(),
        local: LocalAddr { addr: SERVER, port: PORT },
        config: Config::default(),
        settings: Vec::new(),
        isn: IsnSecret([7; 16]),
        clock: Clock::start(),
    };
    thread::scope(|threads| {
        threads.spawn(|| server.run());
        meeting();
        lower.stop();
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
fn one_after_another(there: Impairment, back: Impairment, bytes: usize) {
    use State::{CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait};
    with_server(there, back, |lower| {
        let text = lines(bytes);
        let to_server = SocketAddrV4::new(SERVER, PORT);
        let from = |port| SocketAddrV4::new(CLIENT, port);
        let (heard, states) = converse(lower, from(40_000), to_server, &text, Closes::Client);
        assert!(heard == Ok(reversed(&text)), "the streams differ");
        assert_eq!(states[..3], [SynSent, Established, FinWait1]);
        assert_eq!(states[states.len() - 2..], [TimeWait, Closed]);
        assert!(states.contains(&FinWait2) || states.len() == 5, "{states:?}");
        let with_end = [&text[..], b"\n"].concat();
        let (heard, states) = converse(lower, from(40_001), to_server, &with_end, Closes::Server);
        assert!(heard == Ok(reversed(&text)), "the streams differ");
        assert_eq!(states, [SynSent, Established, CloseWait, LastAck, Closed]);
    });
}

fn bad(seed: u64) -> Impairment {
    let (delay, jitter) = (Duration::from_millis(2), Duration::from_millis(3));
    BadLink { seed, loss_percent: 5, repeat_percent: 5, corrupt_percent: 2, delay: delay.into(), jitter: jitter.into() }
        .impairment()
}

#[test]
fn the_roles_talk_over_a_perfect_link() {
    one_after_another(perfect(), perfect(), 1_000_000);
}

#[test]
fn the_roles_talk_over_a_link_that_loses_repeats_reorders_and_corrupts() {
    for seed in 0..2 {
        one_after_another(bad(2 * seed), bad(2 * seed + 1), 40_000);
    }
}

#[test]
fn a_port_nobody_listens_on_refuses_and_the_user_is_told() {
    with_server(perfect(), perfect(), |lower| {
        let (from, to) = (SocketAddrV4::new(CLIENT, 40_000), SocketAddrV4::new(SERVER, PORT + 1));
        let (heard, states) = converse(lower, from, to, b"hello\n", Closes::Client);
        assert_eq!(heard, Err(ResetCause::Refused));
        assert_eq!(states, [State::SynSent, State::Closed]);
    });
}

#[test]
fn two_clients_that_open_at_once_have_one_connection() {
    let late = || {
        let delay = Duration::from_millis(400).into();
        let calm = BadLink {
            seed: 0,
            loss_percent: 0,
            repeat_percent: 0,
            corrupt_percent: 0,
            delay,
            jitter: smoltcp::time::Duration::ZERO,
        };
        calm.impairment()
    };
    with_hosts(late(), late(), |one, two| {
        let (at_one, at_two) = (SocketAddrV4::new(CLIENT, 7), SocketAddrV4::new(SERVER, 7));
        thread::scope(|threads| {
            let other = threads.spawn(|| converse(two, at_two, at_one, b"from two", Closes::Server));
            let (heard, states) = converse(one, at_one, at_two, b"from one", Closes::Client);
            assert_eq!(states[..3], [State::SynSent, State::SynReceived, State::Established]);
            assert_eq!(heard.unwrap(), b"from two");
            let (heard, states) = other.join().unwrap();
            assert_eq!(states[..3], [State::SynSent, State::SynReceived, State::Established]);
            assert_eq!(heard.unwrap(), b"from one");
        });
    });
}

#[test]
fn a_thread_that_lags_loses_nothing_of_the_window_it_announced() {
    let (sent, acknowledged) = lag::burst(&[b'x'; 1000], 250);
    assert_eq!(sent, acknowledged);
}

#[test]
fn a_burst_of_tiny_segments_at_a_thread_that_lags_is_lost_in_part() {
    // As long as there is room for the window in full segments, and not for as many in tiny ones.
    let (sent, acknowledged) = lag::burst(b"x", 5000);
    assert!((600..sent).contains(&acknowledged), "{acknowledged} of {sent}");
}
