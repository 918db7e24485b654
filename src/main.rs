//! Command line and wiring.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, thread};

use cli::{Command, Options};
use session_tcp::smol_lower::{Backlog, SmolLower};

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
    print(&format!(
        "session-tcp: serving {address} port {port} on {device}; type: nc {address} {port}\n"
    ))?;
    serve_connections(&lower, &backlog, options); // LEAD: the call of `server::serve` goes here; it returns when the backlog ends
    lower.stop();
    match ip_thread.join() {
        Ok(ended) => Ok(ended?),
        Err(_) => Err("the IP thread panicked".into()),
    }
}

/// LEAD: stands in for `server::serve`; lets every arrival go until the IP thread ends.
fn serve_connections(_lower: &SmolLower, backlog: &Backlog, _options: &Options) {
    for arrival in backlog.receiver() {
        log::debug!("{} would like to talk", arrival.remote);
    }
}

/// Prints at once; nobody reading is no reason to panic.
fn print(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One line on stderr and the exit code; if stderr is closed there is nobody to tell.
fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "session-tcp: {error}");
    code
}
