//! Command line and wiring.

mod cli;

use std::io::{self, Write};
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::{env, thread};

use cli::{Call, Command, Lifetime, Options, Settings};
use session_tcp::calls::Connect;
use session_tcp::client::Client;
use session_tcp::server::Server;
use session_tcp::smol_lower::{LowerConfig, SmolLower};
use session_tcp::tcp::isn::IsnSecret;
use session_tcp::tcp::{Config, LocalAddr};
use session_tcp::undirected::Clock;
use session_tcp::user::terminal::Farewell;
use smoltcp::time::Duration;

fn main() -> ExitCode {
    let arguments = env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let done = match cli::parse(arguments, variable) {
        Ok(Command::Help) => print(&[cli::USAGE, cli::SETTINGS_USAGE].concat()),
        Ok(Command::Version) => print(concat!("session-tcp ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Serve(options)) => serve(&options),
        Ok(Command::Connect(call)) => connect(&call),
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

/// What may go wrong once the arguments are read.
type Failure = Box<dyn std::error::Error>;

/// Opens the device, starts the IP thread and serves until the device fails or, with `--once`, the first connection has ended.
fn serve(options: &Options) -> Result<(), Failure> {
    let lower = open(&options.lower)?;
    let backlog = lower.listen(options.port)?;
    with_ip_thread(&lower, || {
        let (address, port, device) = (lower.address(), options.port, &options.lower.device);
        print(&format!("session-tcp: serving {address} port {port} on {device}; type: nc {address} {port}\n"))?;
        let mut config = config(&options.settings, &lower);
        if options.lifetime == Lifetime::Once {
            config.two_msl = ONCE_TWO_MSL;
        }
        let local = LocalAddr { addr: address, port };
        let isn = IsnSecret(rand::random());
        let settings = options.settings.by_user.clone();
        let server = Server { lower: lower.clone(), backlog, local, config, settings, isn, clock: Clock::start() };
        match options.lifetime {
            Lifetime::Once => server.run_once()?,
            Lifetime::Endless => server.run(),
        }
        Ok(())
    })
}

/// Opens the device, starts the IP thread and talks to one peer.
fn connect(call: &Call) -> Result<(), Failure> {
    let lower = open(&call.lower)?;
    with_ip_thread(&lower, || {
        let config = Config { two_msl: ONCE_TWO_MSL, ..config(&call.settings, &lower) };
        let connect = Connect { local: SocketAddrV4::new(lower.address(), call.local_port), remote: call.remote };
        let isn = IsnSecret(rand::random());
        let settings = call.settings.by_user.clone();
        let client = Client { lower: lower.clone(), connect, config, settings, isn, clock: Clock::start() };
        match client.run(io::stdin(), &mut io::stdout())? {
            Farewell::Closed => Ok(()),
            early => Err(early.to_string().into()),
        }
    })
}

/// Starts the log and opens the device.
fn open(config: &LowerConfig) -> Result<SmolLower, Failure> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    Ok(SmolLower::open(config)?)
}

/// How each connection's machine is set for the device.
fn config(settings: &Settings, lower: &SmolLower) -> Config {
    Config { mtu_bytes: lower.mtu_bytes(), ..settings.config() }
}

/// Does something while the IP thread runs. When the device failed, that is the cause of whatever else did.
fn with_ip_thread(lower: &SmolLower, errand: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let ip_thread = thread::Builder::new().name("ip".to_owned()).spawn({
        let lower = lower.clone();
        move || lower.run()
    })?;
    let done = errand();
    lower.stop();
    match ip_thread.join() {
        Ok(ended) => ended?,
        Err(_) => return Err("the IP thread panicked".into()),
    }
    done
}

/// Prints at once; nobody reading is no reason to panic.
fn print(text: &str) -> Result<(), Failure> {
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
