//! The program under test, running in the test's namespace.

use super::DEVICE;
use super::packets::Packets;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How the program says that it serves.
pub const SERVING: &str = "session-tcp: serving ";
/// How long it may take to say so, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The running program; it is killed when this is dropped, and the test fails if it had panicked.
pub struct Server {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Server {
    /// Makes the device and starts the program without arguments.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Makes the device, starts the program with these arguments and waits until it answers an echo request.
    pub fn start_with(arguments: &[&str]) -> Self {
        make_device();
        let server = Self::spawn(arguments);
        server.wait_for_stdout(SERVING);
        // The device has no carrier until the program has attached, and packets sent a little later may still be lost.
        assert!(
            Packets::on_the_device().ping(b"ready?", START_LIMIT),
            "the program says that it serves, but does not answer an echo request"
        );
        server
    }

    /// Starts the program and does not wait for anything.
    pub fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_with(arguments, &[])
    }

    /// As [`Self::spawn`], with these variables in the program's environment.
    pub fn spawn_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::collect(child.stdout.take().unwrap());
        let stderr = Lines::collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// What it wrote on stdout so far, by line.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// What it wrote on stderr so far, by line.
    pub fn log(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits until a line on stderr contains this.
    pub fn wait_for_log(&self, part: &str) {
        let found = self.stderr.wait_for(part, START_LIMIT);
        assert!(found.is_some(), "no {part:?} in the log:\n{}", self.said());
    }

    /// Waits until a line on stdout contains this.
    pub fn wait_for_stdout(&self, part: &str) {
        let found = self.stdout.wait_for(part, START_LIMIT);
        assert!(found.is_some(), "no {part:?} on stdout:\n{}", self.said());
    }

    /// All it wrote so far.
    fn said(&self) -> String {
        [self.stdout(), self.log()].concat().join("\n")
    }

    /// Octets of memory that the process has now.
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(self.proc_directory().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// Its entry in `/proc`, which may be that of the namespace outside and know it by another number.
    fn proc_directory(&self) -> PathBuf {
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        let is_it = |path: &PathBuf| {
            let is_ours = fs::read_link(path.join("ns/net")).is_ok_and(|its| its == ours);
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            let innermost = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last());
            is_ours && innermost == Some(&self.child.id().to_string())
        };
        let entries = fs::read_dir("/proc").unwrap();
        entries.map(|entry| entry.unwrap().path()).find(is_it).unwrap()
    }

    /// Whether the process goes on.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asserts that the process goes on.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the program ended with {status}:\n{}", self.log().join("\n"));
        }
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the program still runs after {} s:\n{}",
                within.as_secs(),
                self.log().join("\n")
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- the program's log, {} lines, the last:", log.len());
            let from = log.len().saturating_sub(100);
            eprintln!("{}", log[from..].join("\n"));
            return;
        }
        let panics = log.iter().any(|line| line.contains("panicked at"));
        assert!(!panics, "the program panicked:\n{}", log.join("\n"));
    }
}

/// The program with these arguments, its environment as a user's.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-tcp"));
    command.args(arguments).env_remove("RUST_LOG");
    without_overrides(&mut command);
    command
}

/// Runs the program until it ends by itself, which has to be at once.
pub fn run_program(arguments: &[&str]) -> Output {
    let mut server = Server::spawn(arguments);
    let status = server.wait(START_LIMIT);
    Output { status, stdout: server.stdout.end().into_bytes(), stderr: server.stderr.end().into_bytes() }
}

/// `up.sh` of this repository.
pub fn up_sh() -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("up.sh");
    let mut command = Command::new(script);
    // Under `sudo cargo test` the device would go to the caller, whom a user namespace may not know.
    command.env_remove("SUDO_USER");
    without_overrides(&mut command);
    command
}

/// Makes the device; the namespace may have it already.
pub fn make_device() {
    assert_tun_driver();
    let output = up_sh().stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "up.sh failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn without_overrides(command: &mut Command) {
    for name in ["DEVICE", "ADDRESS", "HOST_ADDRESS", "PREFIX", "PORT", "MTU"] {
        command.env_remove(format!("SESSION_TCP_{name}"));
    }
}

fn assert_tun_driver() {
    let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") else {
        return;
    };
    match error.kind() {
        ErrorKind::PermissionDenied => panic!(
            "this user may not open /dev/net/tun, so nobody but root can attach to {DEVICE}: \
             run the tests as root, or `sudo chmod 666 /dev/net/tun`"
        ),
        _ => panic!(
            "cannot open /dev/net/tun: {error}; load the driver with `sudo modprobe tun` (in a container: pass the device in)"
        ),
    }
}

/// The lines of a pipe, collected by a thread.
struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                writer.state.lock().unwrap().lines.push(line);
                writer.changed.notify_all();
            }
            writer.state.lock().unwrap().ended = true;
            writer.changed.notify_all();
        });
        Self { shared }
    }

    fn all(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().lines.clone()
    }

    /// Everything up to the pipe's end.
    fn end(&self) -> String {
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self.shared.changed.wait_timeout_while(state, START_LIMIT, |state| !state.ended).unwrap();
        state.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn wait_for(&self, part: &str, within: Duration) -> Option<String> {
        let found = |state: &State| state.lines.iter().find(|l| l.contains(part)).cloned();
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, within, |state| found(state).is_none() && !state.ended)
            .unwrap();
        found(&state)
    }
}
