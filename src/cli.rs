//! The command line: what is asked for, from arguments and environment.

mod set;

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::str::FromStr;

pub(crate) use set::Settings;

use session_tcp::smol_lower::{DeviceError, LowerConfig};

/// The port served unless another is asked for: the dissertation's.
pub(crate) const DEFAULT_PORT: u16 = 555;

/// Names the device, as in `up.sh`.
const DEVICE_VARIABLE: &str = "SESSION_TCP_DEVICE";
/// Names our own address, as in `up.sh`.
const ADDRESS_VARIABLE: &str = "SESSION_TCP_ADDRESS";
/// Names the length of the network's prefix, as in `up.sh`.
const PREFIX_VARIABLE: &str = "SESSION_TCP_PREFIX";

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: session-tcp [--device NAME] [--address ADDRESS] [--port PORT] [--set NAME=VALUE]... [--once | --connect ADDRESS:PORT]

Serves lines reversed over its own TCP: make the device with `sudo ./up.sh`, start this, then type `nc 192.0.2.2 555`.
With --connect it is a client instead: what you type goes to the peer, what the peer says is printed.

  --device NAME      TUN device to attach to (tun-st, or $SESSION_TCP_DEVICE)
  --address ADDRESS  our own IPv4 address (192.0.2.2, or $SESSION_TCP_ADDRESS; its prefix: 24, or $SESSION_TCP_PREFIX)
  --port PORT        port to listen on (555), or to connect from (any free one)
  --once             end after the first connection
  --connect ADDRESS:PORT  connect to this peer
  --set NAME=VALUE   set something for all connections; see below
  --help             print this
  --version          print the version

The log goes to stderr; RUST_LOG=debug shows each segment. Exit code 0: done, 1: the device failed, or
with --connect the connection, 2: wrong argument.

";

/// What `--help` prints after that.
pub(crate) const SETTINGS_USAGE: &str = set::USAGE;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve.
    Serve(Options),
    /// Connect to a peer.
    Connect(Call),
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// How to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where and as whom.
    pub(crate) lower: LowerConfig,
    /// The port listened on.
    pub(crate) port: u16,
    /// What is set for each connection.
    pub(crate) settings: Settings,
    /// When to end.
    pub(crate) lifetime: Lifetime,
}

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Where and as whom.
    pub(crate) lower: LowerConfig,
    /// Our port; 0 for any.
    pub(crate) local_port: u16,
    /// The peer.
    pub(crate) remote: SocketAddrV4,
    /// What is set for the connection.
    pub(crate) settings: Settings,
}

/// When the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lifetime {
    /// When it is killed or the device fails.
    #[default]
    Endless,
    /// After the first connection.
    Once,
}

/// What is wrong with an argument or a variable.
#[derive(Debug)]
pub(crate) enum CliError {
    /// We know no such argument.
    Unknown(String),
    /// An option at the end of the line that wants a value.
    NoValue(&'static str),
    /// A value for an option that takes none.
    UnwantedValue(&'static str),
    /// `--once` and `--connect`: one connection is all that a client has.
    OnceAndConnect,
    /// A value that does not say what it should.
    Value {
        /// The option or variable.
        of: &'static str,
        /// The value given.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// `--set` with a name that no setting has.
    NoSuchSetting(String),
    /// `--set` with a value that the setting does not take.
    Setting {
        /// The value of `--set`.
        text: String,
        /// The setting.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// A name no device or an address no host can have.
    Lower(DeviceError),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => write!(f, "unknown argument {argument:?}")?,
            Self::NoValue(option) => write!(f, "{option} needs a value")?,
            Self::UnwantedValue(option) => write!(f, "{option} takes no value")?,
            Self::OnceAndConnect => write!(f, "--once is for serving, it does not go with --connect")?,
            Self::Value { of, value, wanted } => write!(f, "{of} {value:?} is not {wanted}")?,
            Self::NoSuchSetting(text) => write!(f, "--set {text:?}: there is no setting of that name")?,
            Self::Setting { text, name, takes } => write!(f, "--set {text:?}: {name} takes {takes}")?,
            Self::Lower(error) => write!(f, "{error}")?,
        }
        write!(f, "; try --help")
    }
}

impl std::error::Error for CliError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lower(error) => Some(error),
            Self::Unknown(_)
            | Self::NoValue(_)
            | Self::UnwantedValue(_)
            | Self::OnceAndConnect
            | Self::Value { .. }
            | Self::NoSuchSetting(_)
            | Self::Setting { .. } => None,
        }
    }
}

/// Reads the arguments, the program's name apart, on top of what the environment says.
///
/// # Errors
/// The first thing that is wrong. `--help` and `--version` win over the environment, not over what stands before them.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command, CliError> {
    let mut given = Given::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (option, attached) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = |name| {
            let value = attached.clone().or_else(|| arguments.next());
            value.ok_or(CliError::NoValue(name))
        };
        match option {
            "--device" => given.device = Some(value("--device")?),
            "--address" => given.address = Some(address("--address", value("--address")?)?),
            "--port" => given.port = Some(port(value("--port")?)?),
            "--connect" => given.remote = Some(remote(value("--connect")?)?),
            "--set" => given.settings.take(value("--set")?)?,
            "--once" => given.lifetime = flag("--once", attached.as_ref(), Lifetime::Once)?,
            "--help" | "-h" => return flag("--help", attached.as_ref(), Command::Help),
            "--version" | "-V" => return flag("--version", attached.as_ref(), Command::Version),
            _ => return Err(CliError::Unknown(argument)),
        }
    }
    given.complete(variable)
}

/// What the arguments say.
#[derive(Default)]
struct Given {
    device: Option<String>,
    address: Option<Ipv4Addr>,
    port: Option<u16>,
    lifetime: Lifetime,
    remote: Option<SocketAddrV4>,
    settings: Settings,
}

impl Given {
    /// Fills the gaps from the environment and the defaults; as in a shell's `${NAME:-default}`, an empty variable counts as unset.
    fn complete(self, variable: impl Fn(&str) -> Option<String>) -> Result<Command, CliError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let mut lower = LowerConfig::default();
        if let Some(value) = set(DEVICE_VARIABLE) {
            lower.device = value;
        }
        if let Some(given) = self.device {
            lower.device = given;
        }
        if let Some(given) = self.address {
            lower.address = given;
        } else if let Some(value) = set(ADDRESS_VARIABLE) {
            lower.address = address(ADDRESS_VARIABLE, value)?;
        }
        if let Some(value) = set(PREFIX_VARIABLE) {
            lower.prefix_len = number(PREFIX_VARIABLE, value, "a prefix length from 0 to 32")?;
        }
        lower.check().map_err(CliError::Lower)?;
        let settings = self.settings;
        match (self.remote, self.lifetime) {
            (Some(_), Lifetime::Once) => Err(CliError::OnceAndConnect),
            (Some(remote), Lifetime::Endless) => {
                Ok(Command::Connect(Call { lower, local_port: self.port.unwrap_or(0), remote, settings }))
            }
            (None, lifetime) => {
                Ok(Command::Serve(Options { lower, port: self.port.unwrap_or(DEFAULT_PORT), lifetime, settings }))
            }
        }
    }
}

/// An option without a value.
fn flag<T>(name: &'static str, attached: Option<&String>, meaning: T) -> Result<T, CliError> {
    match attached {
        None => Ok(meaning),
        Some(_) => Err(CliError::UnwantedValue(name)),
    }
}

/// An address.
fn address(of: &'static str, value: String) -> Result<Ipv4Addr, CliError> {
    number(of, value, "an IPv4 address")
}

/// A port, of which 0 is none.
fn port(value: String) -> Result<u16, CliError> {
    let port: core::num::NonZeroU16 = number("--port", value, "a port from 1 to 65535")?;
    Ok(port.get())
}

/// The socket of a peer.
fn remote(value: String) -> Result<SocketAddrV4, CliError> {
    let wanted = "an IPv4 address and a port from 1 to 65535, as 192.0.2.1:555";
    match value.parse() {
        Ok(remote) if SocketAddrV4::port(&remote) != 0 => Ok(remote),
        Ok(_) | Err(_) => Err(CliError::Value { of: "--connect", value, wanted }),
    }
}

/// A value read by its type.
fn number<T: FromStr>(of: &'static str, value: String, wanted: &'static str) -> Result<T, CliError> {
    value.parse().map_err(|_| CliError::Value { of, value, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Command, CliError> {
        parse(arguments.iter().map(ToString::to_string), |_| None)
    }

    fn complaint(arguments: &[&str]) -> String {
        asked(arguments).unwrap_err().to_string()
    }

    fn served(command: Result<Command, CliError>) -> Options {
        match command.unwrap() {
            Command::Serve(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_argument_serves_the_defaults() {
        let options = served(asked(&[]));
        assert_eq!(options.lower, LowerConfig::default());
        assert_eq!((options.port, options.lifetime), (555, Lifetime::Endless));
    }

    #[test]
    fn options_take_their_value_apart_or_attached() {
        for line in [
            &["--device", "tun7", "--address", "10.0.0.2", "--port", "80", "--once"][..],
            &["--once", "--port=80", "--address=10.0.0.2", "--device=tun7"][..],
        ] {
            let options = served(asked(line));
            assert_eq!(options.lower.device, "tun7");
            assert_eq!(options.lower.address, Ipv4Addr::new(10, 0, 0, 2));
            assert_eq!((options.port, options.lifetime), (80, Lifetime::Once));
        }
    }

    #[test]
    fn a_client_is_told_its_peer_and_may_be_given_its_port() {
        let remote: SocketAddrV4 = "192.0.2.1:7".parse().unwrap();
        let lower = LowerConfig::default();
        for (line, local_port) in [(&["--connect", "192.0.2.1:7"][..], 0), (&["--connect=192.0.2.1:7", "--port=9"], 9)]
        {
            let call = Call { lower: lower.clone(), local_port, remote, settings: Settings::default() };
            assert_eq!(asked(line).unwrap(), Command::Connect(call));
        }
    }

    #[test]
    fn settings_add_up_apart_or_attached() {
        let options = served(asked(&["--set=sack=off", "--set", "ttl=9", "--set", "nagle=off"]));
        assert_eq!(options.settings.by_user.len(), 2);
        assert_eq!(options.settings.config().sack, session_tcp::tcp::Sack::Off);
    }

    #[test]
    fn help_and_version_are_commands() {
        assert_eq!(asked(&["--once", "--help"]).unwrap(), Command::Help);
        assert_eq!(asked(&["-h"]).unwrap(), Command::Help);
        assert_eq!(asked(&["--version"]).unwrap(), Command::Version);
        let wrong_environment = |_: &str| Some("so/wrong".to_owned());
        let help = parse(["--help".to_owned()], wrong_environment);
        assert_eq!(help.unwrap(), Command::Help);
    }

    #[test]
    fn wrong_arguments_are_named_in_one_line() {
        for (line, says) in [
            (&["--prot", "1"][..], "unknown argument \"--prot\""),
            (&["555"][..], "unknown argument \"555\""),
            (&[""][..], "unknown argument \"\""),
            (&["a\nb"][..], "unknown argument \"a\\nb\""),
            (&["--port"][..], "--port needs a value"),
            (&["--port", "0"][..], "--port \"0\" is not a port"),
            (&["--port=65536"][..], "is not a port"),
            (&["--port="][..], "is not a port"),
            (&["--address", "192.0.2"][..], "is not an IPv4 address"),
            (&["--device", "tun%d"][..], "not a device name"),
            (&["--device=1234567890123456"][..], "not a device name"),
            (&["--address=224.0.0.1"][..], "224.0.0.1/24 is not an address for a host"),
            (&["--once=yes"][..], "--once takes no value"),
            (&["--connect"][..], "--connect needs a value"),
            (&["--connect=192.0.2.1"][..], "is not an IPv4 address and a port"),
            (&["--connect=192.0.2.1:0"][..], "is not an IPv4 address and a port"),
            (&["--connect=192.0.2.1:7", "--once"][..], "--once is for serving"),
            (&["--set"][..], "--set needs a value"),
            (&["--set", "ttl=0"][..], "--set \"ttl=0\": ttl takes a number from 1 to 255"),
            (&["--set", "foo=1"][..], "--set \"foo=1\": there is no setting of that name"),
            (&["--help=me"][..], "--help takes no value"),
        ] {
            let complaint = complaint(line);
            assert!(complaint.contains(says), "{complaint}");
            assert!(!complaint.contains('\n'), "{complaint}");
        }
    }

    #[test]
    fn the_environment_fills_what_the_arguments_leave_open() {
        let environment = |name: &str| match name {
            DEVICE_VARIABLE => Some("tun8".to_owned()),
            ADDRESS_VARIABLE => Some("10.1.0.9".to_owned()),
            PREFIX_VARIABLE => Some("16".to_owned()),
            _ => None,
        };
        let options = served(parse(["--address=10.1.0.2".to_owned()], environment));
        assert_eq!(options.lower.device, "tun8");
        assert_eq!(options.lower.address, Ipv4Addr::new(10, 1, 0, 2));
        assert_eq!(options.lower.prefix_len, 16);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (wrong, value, says) in [
            (PREFIX_VARIABLE, "33", "192.0.2.2/33 is not an address for a host"),
            (PREFIX_VARIABLE, "x", PREFIX_VARIABLE),
            (ADDRESS_VARIABLE, "x", ADDRESS_VARIABLE),
            (DEVICE_VARIABLE, "a/b", "\"a/b\" is not a device name"),
        ] {
            let environment = |name: &str| (name == wrong).then(|| value.to_owned());
            let complaint = parse([], environment).unwrap_err().to_string();
            assert!(complaint.starts_with(says), "{complaint}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let options = served(parse([], |_| Some(String::new())));
        assert_eq!(options.lower, LowerConfig::default());
    }

    #[test]
    fn up_sh_has_the_same_defaults() {
        let script = include_str!("../up.sh");
        let default_of = |variable: &str| {
            let start = script.find(&format!("${{{variable}:-")).unwrap();
            let (_, rest) = script[start..].split_once(":-").unwrap();
            rest.split_once('}').unwrap().0
        };
        let lower = LowerConfig::default();
        assert_eq!(default_of(DEVICE_VARIABLE), lower.device);
        assert_eq!(default_of(ADDRESS_VARIABLE), lower.address.to_string());
        assert_eq!(default_of(PREFIX_VARIABLE), lower.prefix_len.to_string());
        assert_eq!(default_of("SESSION_TCP_MTU"), "1500");
        let address = lower.address.to_string();
        for said in [lower.device.as_str(), &address, "24", "555"] {
            assert!(USAGE.contains(said), "{said}");
        }
    }
}
