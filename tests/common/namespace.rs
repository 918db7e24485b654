//! A network namespace for a test: the test runs its own binary again inside `unshare`, for itself only.

use std::any::type_name;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio, exit};
use std::thread;
use std::time::Duration;

/// Set to the test's name in the process that runs inside the namespace.
const GUARD: &str = "SESSION_TCP_TEST_IN_NAMESPACE";
/// No test may take longer; the slowest takes about a minute.
const TEST_LIMIT: Duration = Duration::from_secs(150);
/// Open files a test may need: a thousand connections and some more.
const OPEN_FILES: &str = "ulimit -n 4096 2>/dev/null; exec \"$0\" \"$@\"";

/// Runs `body`, a closure written in the test itself, in a network namespace of its own.
///
/// Everything the test starts lives in a process namespace too and ends with it, however it ends.
pub fn in_namespace<F: FnOnce()>(body: F) {
    enter(test_of::<F>(), body);
}

/// As [`in_namespace`], for helpers that wrap the test's closure; `test` comes from [`test_of`].
pub fn enter(test: &str, body: impl FnOnce()) {
    if env::var(GUARD).is_ok_and(|inside| inside == test) {
        prepare();
        body();
    } else {
        run_again_inside(test);
    }
}

/// The name libtest knows the test by, in which closure `F` was written.
pub fn test_of<F>() -> &'static str {
    // `echo::ping_is_answered::{{closure}}`. Were it ever spelled otherwise, no test would match, which `run_again_inside` notices.
    let path = type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_crate, rest)| rest);
    path.split_once("::{{closure}}").map_or(path, |(test, _)| test)
}

/// Whether we are root, here or in our user namespace.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|us| us.uid() == 0)
}

/// Writes one of the namespace's settings, `net.ipv4.tcp_sack` for example.
pub fn set_sysctl(name: &str, value: &str) {
    try_sysctl(name, value).unwrap_or_else(|error| panic!("sysctl {name}={value}: {error}"));
}

/// Runs a command that has to succeed and gives what it said.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; install it"));
    let said = text(&output);
    assert!(output.status.success(), "{program} {} failed: {said}", arguments.join(" "));
    said
}

fn try_sysctl(name: &str, value: &str) -> std::io::Result<()> {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value)
}

fn prepare() {
    thread::spawn(|| {
        thread::sleep(TEST_LIMIT);
        eprintln!("the test did not end within {} s", TEST_LIMIT.as_secs());
        exit(101);
    });
    run("ip", &["link", "set", "dev", "lo", "up"]);
    // Router solicitations would only be noise; where this is not allowed the helpers skip them.
    for scope in ["all", "default"] {
        _ = try_sysctl(&format!("net.ipv6.conf.{scope}.disable_ipv6"), "1");
    }
}

fn run_again_inside(test: &str) {
    let executable = env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args(["--net", "--pid", "--fork", "--kill-child", "--"])
        .args(["sh", "-c", OPEN_FILES])
        .arg(executable)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(GUARD, test)
        .stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("cannot run unshare: {error}; install util-linux"));
    let said = text(&output);
    assert!(
        said.contains("running "),
        "no network namespace for the test: {}\nrun the tests as root, or let users make namespaces: \
         sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), \
         user.max_user_namespaces and user.max_net_namespaces above 0; \
         in a container add --privileged",
        said.trim()
    );
    assert!(
        output.status.success() && said.contains("test result: ok. 1 passed"),
        "the test failed inside its namespace:\n{said}"
    );
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
