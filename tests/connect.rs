//! The program as a client (`--connect`) over a TUN device, Linux TCP being the server.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod common;

use common::capture::Capture;
use common::client::{PATIENCE, assert_same};
use common::namespace::{in_namespace, set_sysctl};
use common::random::{Random, reversed};
use common::segment::{CWR, ECE, RST, SYN};
use common::server::{SERVING, Server, command, make_device, up_sh};
use common::{KERNEL, SERVER};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The port of the Linux server.
const PORT: u16 = 7;
/// Octets of a stream that is longer than all buffers on its way.
const LONG: usize = 32 * 1024 * 1024;

/// The program as a client; killed when dropped.
struct Program {
    child: Child,
}

impl Program {
    /// Makes the device and lets the program connect to the Linux server.
    fn connect(arguments: &[&str]) -> Self {
        make_device();
        let to_the_server = format!("{KERNEL}:{PORT}");
        Self::start(&[arguments, &["--connect", &to_the_server]].concat())
    }

    /// Starts the program with these arguments.
    fn start(arguments: &[&str]) -> Self {
        let child =
            command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child }
    }

    fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// Waits for the end; gives the exit code and the last line on stderr.
    fn end(&mut self) -> (Option<i32>, String) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the program does not end");
            thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        (status.code(), said.lines().last().unwrap_or_default().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A Linux server that does this with the one connection it gets.
fn server<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> JoinHandle<T> {
    make_device();
    let listener = TcpListener::bind((KERNEL, PORT)).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        serve(stream)
    })
}

#[test]
fn a_conversation_is_what_was_typed_and_what_the_server_says() {
    in_namespace(|| {
        let listening = server(|mut stream| {
            let from = stream.peer_addr().unwrap().to_string();
            let mut heard = [0; 6];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(b"welcome\n").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            (from, [&heard[..], &rest].concat())
        });
        let capture = Capture::start();
        let mut program = Program::connect(&["--port", "4242"]);
        let mut stdin = program.stdin();
        stdin.write_all(b"hello\n").unwrap();
        let mut printed = vec![0; 8];
        let mut stdout = program.stdout();
        stdout.read_exact(&mut printed).unwrap();
        assert_same(&printed, b"welcome\n");
        // The server has closed; what is typed still arrives.
        stdin.write_all(b"and thanks\n").unwrap();
        drop(stdin);
        let (from, heard) = listening.join().unwrap();
        assert_eq!(from, format!("{SERVER}:4242"));
        assert_same(&heard, b"hello\nand thanks\n");
        let (code, last) = program.end();
        assert_eq!(code, Some(0), "{last}");
        let segments = capture.stop();
        assert!(!segments.is_empty() && segments.iter().all(|segment| !segment.has(RST)));
    });
}

#[test]
fn long_streams_cross_each_other() {
    in_namespace(|| {
        let (there, back) = (Random::new(1).bytes(LONG), Random::new(2).bytes(LONG));
        let listening = server({
            let back = back.clone();
            move |mut stream| {
                let mut writing = stream.try_clone().unwrap();
                let writer = thread::spawn(move || {
                    writing.write_all(&back).unwrap();
                    writing.shutdown(Shutdown::Write).unwrap();
                });
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).unwrap();
                writer.join().unwrap();
                heard
            }
        });
        let mut program = Program::connect(&[]);
        let (mut stdin, mut stdout) = (program.stdin(), program.stdout());
        let typing = thread::spawn({
            let there = there.clone();
            move || stdin.write_all(&there).unwrap()
        });
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).unwrap();
        typing.join().unwrap();
        assert_same(&printed, &back);
        assert_same(&listening.join().unwrap(), &there);
        assert_eq!(program.end().0, Some(0));
    });
}

#[test]
fn a_server_that_reads_nothing_is_heard_all_the_same() {
    in_namespace(|| {
        let _listening = server(|mut stream| {
            thread::sleep(Duration::from_millis(500));
            stream.write_all(b"I read nothing\n").unwrap();
            thread::sleep(PATIENCE);
        });
        let mut program = Program::connect(&[]);
        let mut stdin = program.stdin();
        // Ends with an error when the program is killed.
        thread::spawn(move || _ = stdin.write_all(&vec![b'x'; LONG]));
        let mut printed = vec![0; 15];
        program.stdout().read_exact(&mut printed).unwrap();
        assert_same(&printed, b"I read nothing\n");
    });
}

#[test]
fn a_client_is_set_before_its_syn() {
    in_namespace(|| {
        let listening = server(|mut stream| stream.write_all(b"welcome\n").unwrap());
        let capture = Capture::start();
        let mut program = Program::connect(&["--set", "ecn=request", "--set", "ttl=7", "--set", "sack=off"]);
        drop(program.stdin());
        let mut printed = String::new();
        program.stdout().read_to_string(&mut printed).unwrap();
        listening.join().unwrap();
        assert_eq!((printed.as_str(), program.end().0), ("welcome\n", Some(0)));
        let syn = capture.segments().into_iter().find(|segment| segment.flags & SYN != 0).unwrap();
        assert_eq!((syn.flags, syn.option(4)), (SYN | ECE | CWR, None));
        let ours: Vec<_> = capture.packets().into_iter().filter(|packet| packet[12..16] == SERVER.octets()).collect();
        assert!(!ours.is_empty() && ours.iter().all(|packet| packet[8] == 7));
    });
}

/// Makes a device of this name for the network 10.`network`.0.0/24; our own address there.
fn network(device: &str, network: u8) -> String {
    let address = |host| format!("10.{network}.0.{host}");
    let made = up_sh()
        .env("SESSION_TCP_DEVICE", device)
        .env("SESSION_TCP_ADDRESS", address(2))
        .env("SESSION_TCP_HOST_ADDRESS", address(1))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    address(2)
}

#[test]
fn our_client_and_our_server_talk_with_linux_as_their_router() {
    in_namespace(|| {
        set_sysctl("net.ipv4.ip_forward", "1");
        let (here, there) = (network("tun-c", 1), network("tun-s", 2));
        let server = Server::spawn(&["--device", "tun-s", "--address", &there]);
        server.wait_for_stdout(SERVING);
        let lines = Random::new(5).lines(4_000_000, 100);
        let mut client =
            Program::start(&["--device", "tun-c", "--address", &here, "--connect", &format!("{there}:555")]);
        let (mut stdin, mut stdout) = (client.stdin(), client.stdout());
        let typing = thread::spawn({
            let lines = lines.clone();
            move || stdin.write_all(&lines).and_then(|()| stdin.write_all(b"\n")).unwrap()
        });
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).unwrap();
        typing.join().unwrap();
        assert_same(&printed, &reversed(&lines));
        assert_eq!(client.end().0, Some(0));
        server.wait_for_log("FIN-WAIT-2 -> TIME-WAIT");
    });
}

#[test]
fn a_port_that_nobody_listens_on_refuses_in_one_line() {
    in_namespace(|| {
        let mut program = Program::connect(&[]);
        assert_eq!(program.end(), (Some(1), "session-tcp: connection refused".to_owned()));
    });
}

#[test]
fn a_reset_is_told_in_one_line_after_what_came_before() {
    in_namespace(|| {
        // Linux resets when what has arrived was not read.
        let listening = server(|mut stream| {
            stream.write_all(b"last words\n").unwrap();
            stream.peek(&mut [0]).unwrap();
        });
        let mut program = Program::connect(&[]);
        let (mut stdin, mut stdout) = (program.stdin(), program.stdout());
        let mut printed = vec![0; 11];
        stdout.read_exact(&mut printed).unwrap();
        assert_same(&printed, b"last words\n");
        stdin.write_all(b"unread\n").unwrap();
        listening.join().unwrap();
        assert_eq!(program.end(), (Some(1), "session-tcp: connection reset".to_owned()));
    });
}

#[test]
fn a_peer_that_can_be_none_is_named_in_one_line() {
    in_namespace(|| {
        make_device();
        for remote in ["224.0.0.1:7", "192.0.2.255:7", "192.0.2.2:7", "127.0.0.1:7"] {
            let output = command(&["--connect", remote]).stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said, format!("session-tcp: {remote} is not the socket of another host\n"));
            assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
        }
    });
}

#[test]
fn who_does_not_want_to_hear_more_ends_the_connection() {
    in_namespace(|| {
        let listening = server(|mut stream| {
            stream.write_all(b"is anybody there?\n").unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).map_err(|error| error.kind())
        });
        let mut program = Program::connect(&[]);
        drop(program.stdout());
        let (code, last) = program.end();
        assert_eq!(code, Some(1));
        assert!(last.starts_with("session-tcp: cannot write what the peer says: "), "{last}");
        assert_eq!(listening.join().unwrap(), Err(std::io::ErrorKind::ConnectionReset));
    });
}
