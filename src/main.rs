//! Command line and wiring.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, thread};

use cli::{Command, Lifetime, Options};
use session_tcp::server::Server;
use session_tcp::smol_lower::SmolLower;
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::{Config, LocalAddr};
use session_tcp::undirected::Clock;
use smoltcp::time::Duration;

fn main() -> ExitCode {
    let arguments = env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let done = match cli::parse(arguments, variable) {
        Ok(Command::Help) => print(cli::USAGE),
        Ok(Command::Version) => print(concat!("session-tcp ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Serve(options)) => serve(&options),
        Err(error) => return complain(&error, ExitCode::from(2)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(error.as_ref(), ExitCode::FAILURE),
    }
}

/// TIME-WAIT of the only connection: the process is about to end, so it stays only as long as a lost last ACK needs to be
/// asked for once more on a link like the TUN device.
const ONCE_TWO_MSL: Duration = Duration::from_secs(1);

/// Opens the device, starts the IP thread and serves until the device fails or, with `--once`, the first connection has ended.
fn serve(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let lower = SmolLower::open(&options.lower)?;
    let backlog = lower.listen(options.port)?;
    let ip_thread = thread::Builder::new().name("ip".to_owned()).spawn({
        let lower = lower.clone();
        move || lower.run()
    })?;
    let (address, port, device) = (lower.address(), options.port, &options.lower.device);
    print(&format!("session-tcp: serving {address} port {port} on {device}; type: nc {address} {port}\n"))?;
    let isn = IsnSecret(rand::random());
    let mut config = Config { mtu_bytes: lower.mtu_bytes(), ..Config::default() };
    if options.lifetime == Lifetime::Once {
        config.two_msl = ONCE_TWO_MSL;
    }
    let local = LocalAddr { addr: address, port };
    let server = Server { lower: lower.clone(), backlog, local, config, isn, clock: Clock::start() };
    match options.lifetime {
        Lifetime::Once => server.run_once()?,
        Lifetime::Endless => server.run(),
    }
    lower.stop();
    match ip_thread.join() {
        Ok(ended) => Ok(ended?),
        Err(_) => Err("the IP thread panicked".into()),
    }
}

/// Prints at once; nobody reading is no reason to panic.
fn print(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One line on stderr and the exit code; if stderr is closed there is nobody to tell.
fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "session-tcp: {error}");
    code
}
