//! Many connections at once, and clients that do not behave: none of them disturbs another.

mod common;

use common::client::{Client, assert_same, assert_serves};
use common::peer::Peer;
use common::random::{Random, reversed};
use common::segment::{ACK, FIN, RST};
use common::states::{State, against_the_server, in_state};
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Connections open at once.
const MANY: usize = 1000;
/// Threads that open them.
const THREADS: usize = 8;

#[test]
fn a_thousand_connections_at_once_are_all_served() {
    against_the_server(|_| {
        let open_share = || -> Vec<Client> { (0..MANY / THREADS).map(|_| Client::connect()).collect() };
        let mut clients: Vec<Client> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open_share)).collect();
            let shares = threads.into_iter().map(|thread| thread.join().unwrap());
            shares.flatten().collect()
        });
        assert_eq!(clients.len(), MANY);
        let line = |number: usize| format!("this is connection {number}\n").into_bytes();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&line(number));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let expected = reversed(&line(number));
            assert_same(&client.receive(expected.len()), &expected);
        }
        // One more while all are open, and one more when all are closed.
        assert_serves();
        for client in &mut clients {
            client.finish();
        }
        for client in &mut clients {
            assert_eq!(client.receive_to_end(), b"");
        }
    });
}

#[test]
fn connections_come_and_go_without_end() {
    against_the_server(|_| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..250).for_each(|_| assert_serves()));
            }
        });
    });
}

#[test]
fn connections_that_the_server_closes_come_and_go_without_end() {
    // Each of them leaves TIME-WAIT behind at the server.
    against_the_server(|_| {
        for _ in 0..1500 {
            let mut client = Client::connect();
            client.send(b"\n");
            assert_eq!(client.receive_to_end(), b"");
        }
    });
}

#[test]
fn a_thousand_others_in_time_wait_do_not_cut_one_short() {
    in_state(State::TimeWait, |peer| {
        for _ in 0..1100 {
            let mut client = Client::connect();
            client.send(b"\n");
            assert_eq!(client.receive_to_end(), b"");
        }
        peer.drain();
        peer.send(peer.segment(FIN | ACK).seq(peer.snd_nxt.wrapping_sub(1)));
        peer.expect_challenge();
    });
}

#[test]
fn a_client_that_never_reads_disturbs_no_other() {
    against_the_server(|_| {
        let mut deaf = Client::connect();
        let limit = Some(Duration::from_millis(300));
        deaf.stream.set_write_timeout(limit).unwrap();
        let text = Random::new(6).lines(1 << 20, 100);
        let mut sent = 0;
        let blocked = loop {
            match deaf.stream.write(&text) {
                Ok(bytes) => sent += bytes,
                Err(error) => break error,
            }
            assert!(sent < 64 << 20, "the server takes without end");
        };
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        let before = Instant::now();
        for _ in 0..20 {
            assert_serves();
        }
        assert!(before.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_client_that_reads_at_last_gets_everything() {
    against_the_server(|_| {
        let text = Random::new(7).lines(3_000_000, 100);
        let mut slow = Client::connect();
        let mut writer = slow.stream.try_clone().unwrap();
        let answer = thread::scope(|scope| {
            let text = &text;
            scope.spawn(move || {
                writer.write_all(text).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            // Long enough for all windows to close.
            thread::sleep(Duration::from_millis(1500));
            slow.receive_to_end()
        });
        assert_same(&answer, &reversed(&text));
    });
}

#[test]
fn clients_that_vanish_disturb_no_other() {
    against_the_server(|_| {
        let mut vanished: Vec<Peer> = (0..20).map(|_| Peer::established()).collect();
        for peer in &mut vanished {
            peer.send_data(b"never acknowledged\n");
        }
        for _ in 0..20 {
            assert_serves();
        }
        let text = Random::new(8).lines(500_000, 100);
        let answer = Client::connect().send_all_and_receive_all(&text);
        assert_same(&answer, &reversed(&text));
        // And they are not forgotten too soon: the server still repeats itself.
        for peer in &mut vanished {
            peer.expect("retransmission", |s| !s.payload.is_empty());
        }
    });
}

#[test]
fn half_open_connections_without_end_leave_room_for_others() {
    against_the_server(|_| {
        let mut peer = Peer::new();
        for port in 1..=3000 {
            let mut syn = peer.syn();
            syn.source.set_port(port);
            peer.send(syn);
            if port % 100 == 0 {
                peer.drain();
                thread::sleep(Duration::from_millis(1));
            }
        }
        // A flood that is over: its sender takes back what it began.
        let mut reset = peer.segment(RST);
        reset.seq = peer.iss.wrapping_add(1);
        for port in 1..=3000 {
            reset.source.set_port(port);
            peer.send(reset.clone());
            if port % 100 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
}
