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

/// Each setting and what it takes; an error says so.
const TAKES: [(&str, &str); 10] = [
    ("nagle", "on or off"),
    ("user-timeout", "1 to 4294967295 seconds, or never"),
    ("keep-alive", "off, on, or 1 to 4294967295 seconds"),
    ("ttl", "a number from 1 to 255"),
    ("dscp", "a number from 0 to 63"),
    ("error-reports", "on or off"),
    ("congestion", "cubic or newreno"),
    ("sack", "on or off"),
    ("timestamps", "on or off"),
    ("ecn", "accept, request or off"),
];

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
        let known = TAKES.into_iter().find(|(known, _)| *known == name);
        match (taken, known) {
            (Some(()), _) => Ok(()),
            (None, Some((name, takes))) => Err(CliError::Setting { text, name, takes }),
            (None, None) => Err(CliError::NoSuchSetting(text)),
        }
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

    fn complaint(text: &str) -> String {
        Settings::default().take(text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn a_value_that_a_setting_does_not_take_is_answered_by_those_it_takes() {
        for (text, takes) in [
            ("nagle", "nagle takes on or off"),
            ("nagle=", "nagle takes on or off"),
            ("nagle=maybe", "nagle takes on or off"),
            ("user-timeout=0", "user-timeout takes 1 to 4294967295 seconds, or never"),
            ("user-timeout=-1", "user-timeout takes 1 to 4294967295 seconds"),
            ("user-timeout=4294967296", "user-timeout takes 1 to 4294967295 seconds"),
            ("keep-alive=0", "keep-alive takes off, on, or 1 to 4294967295 seconds"),
            ("ttl=0", "ttl takes a number from 1 to 255"),
            ("ttl=256", "ttl takes a number"),
            ("dscp=64", "dscp takes a number from 0 to 63"),
            ("dscp=x", "dscp takes a number"),
            ("error-reports=1", "error-reports takes on or off"),
            ("congestion=bbr", "congestion takes cubic or newreno"),
            ("ecn=on", "ecn takes accept, request or off"),
            ("sack", "sack takes on or off"),
            ("timestamps=ON", "timestamps takes on or off"),
        ] {
            let error = complaint(text);
            assert!(error.starts_with(&format!("--set {text:?}: {takes}")), "{error}");
        }
    }

    #[test]
    fn a_name_that_no_setting_has_is_called_unknown() {
        for text in ["", "=", "=on", "mss=5", "Nagle=on", " nagle=on", "foo"] {
            let error = complaint(text);
            assert!(error.starts_with(&format!("--set {text:?}: there is no setting of that name")), "{error}");
        }
    }

    #[test]
    fn the_usage_names_every_setting_and_its_default() {
        let default = Config::default();
        assert_eq!(default.user_timeout, UserTimeout::After(Duration::from_secs(300)));
        assert_eq!((default.nagle, default.keep_alive), (Nagle::On, KeepAlive::Off));
        for (name, _) in TAKES {
            assert!(USAGE.contains(&format!("{name}=")), "{name}");
        }
    }
}
