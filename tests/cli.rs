//! The command line of the program and of `up.sh`, and a device that is missing or goes away.

mod common;

use common::capture::{Capture, listing};
use common::namespace::{in_namespace, run};
use common::packets::Packets;
use common::segment::Segment;
use common::server::{SERVING, Server, make_device, run_program, up_sh};
use common::{DEVICE, PORT, SERVER};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// How long the program may take to end.
const SOON: Duration = Duration::from_secs(5);

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts this exit code and one line on stderr, which contains all of `parts`.
fn assert_one_line(output: &Output, code: i32, parts: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "not one line: {said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn help_names_every_option() {
    let output = run_program(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let said = stdout(&output);
    for option in ["--device", "--address", "--port", "--once", "--help", "--version", "tun-st", "192.0.2.2", "555"] {
        assert!(said.contains(option), "no {option} in: {said}");
    }
    assert_eq!(stderr(&output), "");
}

#[test]
fn version_is_one_line() {
    let output = run_program(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = concat!("session-tcp ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(stdout(&output), expected);
}

#[test]
fn a_wrong_argument_is_one_line_and_exit_code_2() {
    for (arguments, part) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["word"], "word"),
        (&["--port"], "--port"),
        (&["--port", "many"], "many"),
        (&["--port", "65536"], "65536"),
        (&["--port", "0"], "0"),
        (&["--address", "192.0.2"], "192.0.2"),
        (&["--address", "::1"], "::1"),
        (&["--device"], "--device"),
        (&["--device", "a-name-of-more-than-fifteen-characters"], "a-name"),
        (&["--device", ""], "device"),
    ] {
        assert_one_line(&run_program(arguments), 2, &[part]);
    }
}

#[test]
fn a_missing_device_is_one_line_that_names_it_and_up_sh() {
    in_namespace(|| {
        assert_one_line(&run_program(&[]), 1, &[DEVICE, "up.sh"]);
        let output = run_program(&["--device", "tun-other"]);
        assert_one_line(&output, 1, &["tun-other"]);
        // Nor did the program make one.
        let links = run("ip", &["-oneline", "link", "show"]);
        assert_eq!(links.lines().count(), 1, "{links}");
    });
}

#[test]
fn a_device_in_use_is_one_line() {
    in_namespace(|| {
        let mut server = Server::start();
        let variables = ["SESSION_TCP_DEVICE=", "SESSION_TCP_HOST_ADDRESS=", "SESSION_TCP_ADDRESS="];
        assert_one_line(&run_program(&[]), 1, &[&[DEVICE][..], &variables].concat());
        server.assert_alive();
    });
}

#[test]
fn up_sh_may_run_twice() {
    in_namespace(|| {
        make_device();
        let first = run("ip", &["address", "show", "dev", DEVICE]);
        make_device();
        let second = run("ip", &["address", "show", "dev", DEVICE]);
        assert_eq!(first, second);
        assert!(second.contains("192.0.2.1/24"), "{second}");
        assert!(second.contains("UP"), "{second}");
    });
}

#[test]
fn up_sh_runs_beside_the_running_program() {
    in_namespace(|| {
        let mut server = Server::start();
        make_device();
        common::client::assert_serves();
        server.assert_alive();
    });
}

#[test]
fn up_sh_down_removes_the_device_and_may_run_twice() {
    in_namespace(|| {
        make_device();
        for _ in 0..2 {
            let output = up_sh().arg("down").output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            let links = run("ip", &["-oneline", "link", "show"]);
            assert!(!links.contains(DEVICE), "{links}");
        }
    });
}

#[test]
fn name_and_address_and_mtu_can_be_overridden_for_both() {
    in_namespace(|| {
        let overrides = [
            ("SESSION_TCP_DEVICE", "tun-other"),
            ("SESSION_TCP_HOST_ADDRESS", "198.51.100.1"),
            ("SESSION_TCP_ADDRESS", "198.51.100.7"),
            ("SESSION_TCP_MTU", "1400"),
        ];
        let output = up_sh().envs(overrides).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let address = run("ip", &["address", "show", "dev", "tun-other"]);
        assert!(address.contains("mtu 1400"), "{address}");
        assert!(address.contains("198.51.100.1/24"), "{address}");
        let server = common::server::Server::spawn_with(&["--port", "7"], &overrides);
        server.wait_for_stdout("serving 198.51.100.7 port 7 on tun-other");
        let address = "198.51.100.7:7".parse().unwrap();
        let mut client = common::client::Client::connect_to(address);
        client.exchange(b"elsewhere\n");
    });
}

#[test]
fn up_sh_without_root_says_so() {
    in_namespace(|| {
        // A user namespace in which we are nobody.
        let output = Command::new("unshare").args(["--user", "--"]).arg(up_sh().get_program()).output().unwrap();
        assert_one_line(&output, 1, &["sudo ./up.sh"]);
        let links = run("ip", &["-oneline", "link", "show"]);
        assert!(!links.contains(DEVICE), "{links}");
    });
}

#[test]
fn up_sh_without_ip_says_so() {
    in_namespace(|| {
        let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-ip");
        fs::create_dir_all(&tools).unwrap();
        for tool in ["sh", "id", "cat", "tr", "grep", "sed"] {
            let found = run("sh", &["-c", &format!("command -v {tool}")]);
            // Another run may have made it.
            _ = symlink(found.trim(), tools.join(tool));
        }
        let output = up_sh().env("PATH", &tools).output().unwrap();
        assert_one_line(&output, 1, &["'ip'", "iproute2"]);
    });
}

#[test]
fn up_sh_takes_no_other_word() {
    in_namespace(|| {
        let output = up_sh().arg("sideways").output().unwrap();
        assert_one_line(&output, 2, &["sideways"]);
    });
}

#[test]
fn at_level_debug_the_log_has_one_line_for_each_segment() {
    in_namespace(|| {
        make_device();
        let server = Server::spawn_with(&[], &[("RUST_LOG", "debug")]);
        server.wait_for_stdout(SERVING);
        assert!(Packets::on_the_device().ping(b"ready?", SOON));
        let capture = Capture::start();
        assert!(TcpStream::connect((SERVER, PORT + 1)).is_err());
        common::client::assert_serves();
        server.wait_for_log("LAST-ACK -> CLOSED");
        let segments = capture.stop();
        assert!(segments.len() > 8, "{}", listing(&segments));
        let way = |segment: &Segment| if *segment.source.ip() == SERVER { ": sent <" } else { " in " };
        let text = |segment: &Segment| format!("<SEQ={}><ACK={}><CTL=", segment.seq, segment.ack);
        let log = server.log();
        for segment in &segments {
            let same = segments.iter().filter(|other| way(other) == way(segment) && text(other) == text(segment));
            let lines = log.iter().filter(|line| line.contains(way(segment)) && line.contains(&text(segment)));
            assert_eq!(lines.count(), same.count(), "{segment}\n{}\n{}", listing(&segments), log.join("\n"));
        }
        let told = log.iter().filter(|line| line.contains("<SEQ=")).count();
        assert_eq!(told, segments.len(), "{}\n{}", listing(&segments), log.join("\n"));
    });
}

/// Takes the device away from the running program, which has to end with one line and exit code 1.
fn losing_the_device_ends_the_program(command: &[&str]) {
    let mut server = Server::start();
    let said_before = server.log().len();
    run("ip", command);
    let status = server.wait(SOON);
    thread::sleep(Duration::from_millis(50));
    let log = server.log();
    let said = &log[said_before..];
    assert_eq!(status.code(), Some(1), "{said:?}");
    assert_eq!(said.len(), 1, "not one line: {said:?}");
    assert!(said[0].contains(DEVICE), "{said:?}");
}

#[test]
fn a_device_that_is_deleted_ends_the_program_with_one_line() {
    in_namespace(|| losing_the_device_ends_the_program(&["link", "delete", "dev", DEVICE]));
}

#[test]
fn a_link_that_is_set_down_while_idle_ends_the_program_with_one_line() {
    in_namespace(|| losing_the_device_ends_the_program(&["link", "set", "dev", DEVICE, "down"]));
}

#[test]
fn an_address_that_the_host_does_not_send_to_the_device_is_warned_of_in_one_line() {
    in_namespace(|| {
        make_device();
        run("ip", &["route", "add", "192.0.2.128/25", "dev", "lo"]);
        for (address, says) in [
            ("192.0.2.2", None),
            ("192.0.2.127", None),
            ("192.0.2.129", Some("to lo, not to tun-st")),
            ("198.51.100.7", Some("no route to 198.51.100.7")),
        ] {
            let server = Server::spawn(&["--address", address]);
            server.wait_for_log("CLOSED -> LISTEN");
            let log = server.log();
            let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
            assert_eq!(warnings.len(), usize::from(says.is_some()), "{address}: {log:?}");
            assert!(says.is_none_or(|says| warnings[0].contains(says)), "{address}: {log:?}");
        }
    });
}

#[test]
fn the_hosts_own_address_is_an_error_of_one_line() {
    in_namespace(|| {
        make_device();
        run("ip", &["address", "add", "198.51.100.1/24", "dev", "lo"]);
        for address in ["192.0.2.1", "198.51.100.1"] {
            let output = run_program(&["--address", address]);
            assert_one_line(&output, 1, &[&format!("{address} is the host's own address"), DEVICE]);
            assert_eq!(stdout(&output), "");
        }
    });
}

#[test]
fn a_device_that_is_down_at_the_start_ends_the_program_with_one_line() {
    in_namespace(|| {
        make_device();
        run("ip", &["link", "set", "dev", DEVICE, "down"]);
        // A route elsewhere does not hide it.
        for route in [&[][..], &["route", "add", "192.0.2.0/24", "dev", "lo"]] {
            if !route.is_empty() {
                run("ip", route);
            }
            let output = run_program(&[]);
            assert_one_line(&output, 1, &[DEVICE, "is down", "sudo ./up.sh"]);
            assert_eq!(stdout(&output), "");
        }
    });
}

#[test]
fn a_second_device_in_the_network_of_the_first_is_warned_of() {
    in_namespace(|| {
        make_device();
        let second = up_sh().env("SESSION_TCP_DEVICE", "tun7").output().unwrap();
        assert!(second.status.success(), "{}", stderr(&second));
        let way = run("ip", &["route", "get", "192.0.2.2"]);
        assert!(way.contains("dev tun-st"), "{way}");
        let server = Server::spawn(&["--device", "tun7"]);
        server.wait_for_log("packets for 192.0.2.2 to tun-st, not to tun7");
    });
}

#[test]
fn a_device_that_is_switched_off_and_on_is_served_again_or_ends_the_program() {
    in_namespace(|| {
        let mut server = Server::start();
        let said_before = server.log().len();
        run("ip", &["link", "set", "dev", DEVICE, "down"]);
        thread::sleep(Duration::from_millis(100));
        make_device();
        // The kernel tells a reader nothing of it, and a writer EIO.
        if server.is_alive() {
            assert!(Packets::on_the_device().ping(b"again", SOON));
            common::client::assert_serves();
        } else {
            assert_eq!(server.wait(SOON).code(), Some(1));
            assert_eq!(server.log().len(), said_before + 1);
        }
    });
}

#[test]
fn a_device_that_is_deleted_under_an_open_connection_ends_the_program() {
    in_namespace(|| {
        let mut server = Server::start();
        let mut client = common::client::Client::connect();
        client.exchange(b"hello\n");
        run("ip", &["link", "delete", "dev", DEVICE]);
        assert_eq!(server.wait(SOON).code(), Some(1));
    });
}
