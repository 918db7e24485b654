//! Urgent data both ways: for Linux the last octet is out of the stream, for RFC 9293 §3.8.5 all of it is in its place.

use super::exchange::{SERVER_SOCKET, from_client, from_server};
use crate::common::capture::Capture;
use crate::common::client::{Client, PATIENCE, assert_same};
use crate::common::namespace::in_namespace;
use crate::common::random::reversed;
use crate::common::segment::URG;
use crate::common::server::make_device;
use crate::common::socket::{SocketOption, connect_with, receive_urgent, send_urgent};
use crate::common::states::against_the_server;
use crate::common::{PORT, SERVER};
use core::net::SocketAddrV4;
use session_tcp::calls::{Close, Data, Open, Urgent};
use session_tcp::cb::{self, CbChannel};
use session_tcp::smol_channel::NetChannel;
use session_tcp::smol_lower::{LowerConfig, SmolLower};
use session_tcp::st::{End, Participant, SessionError};
use session_tcp::system::{State, System, Watch};
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::{Config, LocalAddr};
use session_tcp::undirected::{Clock, Io};
use session_tcp::{RoleServerSystem, RoleServerUser, UserClosingEvent, UserOpen, UserUnopened};
use smoltcp::time::Duration;
use std::thread;
use std::time::Instant;

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
        let answer = thread::scope(|scope| {
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
        assert_same(&answer, &reversed(&expected));
    });
}

/// TIME-WAIT, so that the next connection need not wait for a minute.
const SHORT: Duration = Duration::from_millis(100);

/// Watches nothing.
struct Nobody;

impl Watch for Nobody {
    fn changed(&mut self, _: Option<SocketAddrV4>, _: State, _: State) {}
}

/// A user that sends text with urgent octets in it, and closes.
fn urgent_user(mut system: CbChannel<RoleServerUser, RoleServerSystem>) -> Result<End, SessionError> {
    let data = |octets: &[u8]| Data::new(octets.to_vec()).unwrap();
    let open = Open(LocalAddr { addr: SERVER, port: PORT });
    let st = system.select(RoleServerUser::start(), UserUnopened::Open(open))?;
    let (_, st) = system.offer_one(st)?;
    let (_, st) = system.offer_one(st)?;
    let st = system.select(st, UserOpen::Send(data(b"before")))?;
    let st = system.select(st, UserOpen::Urgent(Urgent(data(b"urgent!"))))?;
    let st = system.select(st, UserOpen::Send(data(b"after")))?;
    let mut st = system.select(st, UserOpen::Close(Close(())))?;
    loop {
        st = match system.offer(st)? {
            UserClosingEvent::Data(_, st) | UserClosingEvent::Advice(_, st) | UserClosingEvent::PeerClosed(_, st) => st,
            UserClosingEvent::Closed(_, st) => return Ok(st.end()),
            UserClosingEvent::Reset(reset, _) => panic!("{reset:?}"),
        };
    }
}

/// Serves one connection after another with that user, in this process.
fn against_an_urgent_user(connections: usize, conversation: impl FnOnce()) {
    make_device();
    let lower = SmolLower::open(&LowerConfig::default()).unwrap();
    let backlog = lower.listen(PORT).unwrap();
    let clock = Clock::start();
    thread::scope(|threads| {
        let ip_thread = threads.spawn(|| lower.run());
        let serving = threads.spawn(|| {
            for _ in 0..connections {
                let (user_end, system_end) = cb::pair::<RoleServerUser, RoleServerSystem>();
                let io = Io::new(NetChannel::new(lower.clone(), backlog.clone()), system_end, clock);
                let config = Config { two_msl: SHORT, ..Config::default() };
                let system = System::new(io, config, IsnSecret([1; 16]), Nobody);
                thread::scope(|roles| {
                    roles.spawn(|| system.run(RoleServerSystem::start()).unwrap());
                    let End { .. } = urgent_user(user_end).unwrap();
                });
            }
        });
        conversation();
        serving.join().unwrap();
        lower.stop();
        ip_thread.join().unwrap().unwrap();
    });
}

#[test]
fn linux_takes_the_last_urgent_octet_of_ours_out_of_the_stream_unless_told_not_to() {
    in_namespace(|| {
        against_an_urgent_user(2, || {
            let capture = Capture::start();
            let mut client = connect_with(SERVER_SOCKET, &[]);
            let end = Instant::now() + PATIENCE;
            let urgent = loop {
                if let Some(octet) = receive_urgent(&client.stream) {
                    break octet;
                }
                assert!(Instant::now() < end, "no urgent octet came");
                thread::yield_now();
            };
            assert_eq!(urgent, b'!');
            client.finish();
            assert_eq!(client.receive_to_end(), b"beforeurgentafter");
            let mut client = connect_with(SERVER_SOCKET, &[SocketOption::urgent_in_line()]);
            client.finish();
            assert_eq!(client.receive_to_end(), b"beforeurgent!after");
            assert!(from_server(&capture.stop()).any(|segment| segment.has(URG)));
        });
    });
}
