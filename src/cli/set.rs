//! `--set NAME=VALUE`: what the user sets for its connections, through its channel, and what our machines offer to peers.

use core::num::NonZeroU8;
use core::str::FromStr;

use session_tcp::tcp::{
    Config, CongestionControl, DiffServ, EcnUse, ErrorReports, KeepAlive, Nagle, Sack, Setting, Timestamps, Ttl,
    UserTimeout,
};
use smoltcp::time::Duration;

use super::CliError;

/// What `--help` says of them.
pub(crate) const USAGE: &str = "\
Settings, each with its default first:
  nagle=on|off                        Nagle's algorithm
  user-timeout=300|SECONDS|never      how long unacknowledged data may stay so
  keep-alive=off|on|SECONDS           whether an idle peer is asked if it is there, and after how long (on: 7200)
  ttl=64|HOPS                         time to live of our packets, 1 to 255
  dscp=0|CODEPOINT                    their DiffServ codepoint, 0 to 63
  error-reports=on|off                whether the user hears of ICMP errors and of what is not acknowledged
  congestion=cubic|newreno            congestion control
  sack=on|off, timestamps=on|off      TCP options that we offer and accept
  ecn=accept|request|off              explicit congestion notification
";

/// What was set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// What the user sets before its OPEN.
    pub(crate) by_user: Vec<Setting>,
    congestion: CongestionControl,
    sack: Sack,
    timestamps: Timestamps,
    ecn: EcnUse,
}

impl Settings {
    /// Takes one more.
    ///
    /// # Errors
    /// There is no such setting, or it has no such value.
    pub(crate) fn take(&mut self, text: String) -> Result<(), CliError> {
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        let taken = match name {
            "congestion" => congestion(value).map(|congestion| self.congestion = congestion),
            "sack" => switch(value, Sack::On, Sack::Off).map(|sack| self.sack = sack),
            "timestamps" => {
                switch(value, Timestamps::On, Timestamps::Off).map(|timestamps| self.timestamps = timestamps)
            }
            "ecn" => ecn(value).map(|ecn| self.ecn = ecn),
            _ => by_user(name, value).map(|setting| self.by_user.push(setting)),
        };
        taken.ok_or(CliError::Value { of: "--set", value: text, wanted: "a setting and its value" })
    }

    /// The parameters of our machines.
    pub(crate) fn config(&self) -> Config {
        let Self { congestion, sack, timestamps, ecn, .. } = *self;
        Config { congestion, sack, timestamps, ecn, ..Config::default() }
    }
}

/// What the user sets by this name.
fn by_user(name: &str, value: &str) -> Option<Setting> {
    match name {
        "nagle" => switch(value, Nagle::On, Nagle::Off).map(Setting::Nagle),
        "error-reports" => switch(value, ErrorReports::On, ErrorReports::Off).map(Setting::ErrorReports),
        "user-timeout" => match value {
            "never" => Some(Setting::UserTimeout(UserTimeout::Never)),
            _ => seconds(value).map(|limit| Setting::UserTimeout(UserTimeout::After(limit))),
        },
        "keep-alive" => match value {
            "off" => Some(Setting::KeepAlive(KeepAlive::Off)),
            "on" => Some(Setting::KeepAlive(KeepAlive::ON)),
            _ => seconds(value).map(|interval| Setting::KeepAlive(KeepAlive::Every(interval))),
        },
        "ttl" => number::<NonZeroU8>(value).map(|hops| Setting::Ttl(Ttl::Hops(hops))),
        "dscp" => number(value).and_then(DiffServ::new).map(Setting::DiffServ),
        _ => None,
    }
}

fn congestion(value: &str) -> Option<CongestionControl> {
    match value {
        "cubic" => Some(CongestionControl::Cubic),
        "newreno" => Some(CongestionControl::NewReno),
        _ => None,
    }
}

fn ecn(value: &str) -> Option<EcnUse> {
    match value {
        "accept" => Some(EcnUse::Accept),
        "request" => Some(EcnUse::Request),
        "off" => Some(EcnUse::Off),
        _ => None,
    }
}

fn switch<T>(value: &str, on: T, off: T) -> Option<T> {
    match value {
        "on" => Some(on),
        "off" => Some(off),
        _ => None,
    }
}

/// Whole seconds from 1 on.
fn seconds(value: &str) -> Option<Duration> {
    number::<u32>(value).filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()))
}

fn number<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(texts: &[&str]) -> Settings {
        let mut settings = Settings::default();
        for text in texts {
            settings.take((*text).to_owned()).unwrap();
        }
        settings
    }

    #[test]
    fn the_user_sets_what_is_the_users() {
        let set = |text: &str| taken(&[text]).by_user[0];
        let timeout = |secs| UserTimeout::After(Duration::from_secs(secs));
        assert_eq!(set("nagle=off"), Setting::Nagle(Nagle::Off));
        assert_eq!(set("user-timeout=1"), Setting::UserTimeout(timeout(1)));
        assert_eq!(set("user-timeout=never"), Setting::UserTimeout(UserTimeout::Never));
        assert_eq!(set("keep-alive=on"), Setting::KeepAlive(KeepAlive::ON));
        assert_eq!(set("keep-alive=7"), Setting::KeepAlive(KeepAlive::Every(Duration::from_secs(7))));
        assert_eq!(set("keep-alive=off"), Setting::KeepAlive(KeepAlive::Off));
        assert_eq!(set("ttl=255"), Setting::Ttl(Ttl::Hops(NonZeroU8::MAX)));
        assert_eq!(set("dscp=63"), Setting::DiffServ(DiffServ::new(63).unwrap()));
        assert_eq!(set("error-reports=off"), Setting::ErrorReports(ErrorReports::Off));
    }

    #[test]
    fn the_machines_have_the_rest() {
        assert_eq!(taken(&[]).config(), Config::default());
        let config = taken(&["congestion=newreno", "sack=off", "timestamps=off", "ecn=request"]).config();
        assert_eq!((config.congestion, config.sack), (CongestionControl::NewReno, Sack::Off));
        assert_eq!((config.timestamps, config.ecn), (Timestamps::Off, EcnUse::Request));
        let back = taken(&["sack=off", "sack=on", "ecn=off", "ecn=accept", "congestion=cubic", "timestamps=on"]);
        assert_eq!(back.config(), Config::default());
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for text in [
            "",
            "=",
            "nagle",
            "nagle=",
            "nagle=yes",
            "user-timeout=0",
            "user-timeout=-1",
            "user-timeout=4294967296",
            "keep-alive=0",
            "ttl=0",
            "ttl=256",
            "dscp=64",
            "dscp=x",
            "congestion=bbr",
            "ecn=on",
            "sack",
            "mss=5",
        ] {
            let error = Settings::default().take(text.to_owned()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--set {text:?} is not a setting")), "{error}");
        }
    }

    #[test]
    fn the_usage_names_every_setting_and_its_default() {
        let default = Config::default();
        assert_eq!(default.user_timeout, UserTimeout::After(Duration::from_secs(300)));
        assert_eq!((default.nagle, default.keep_alive), (Nagle::On, KeepAlive::Off));
        for name in ["nagle", "user-timeout", "keep-alive", "ttl", "dscp", "error-reports", "congestion", "sack", "ecn"]
        {
            assert!(USAGE.contains(&format!("{name}=")), "{name}");
        }
    }
}
