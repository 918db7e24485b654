//! What a connection can be told to do otherwise, each value with its unit, range and source.

use smoltcp::time::Duration;

use super::advice::ErrorReports;
use super::carriage::{Carriage, DiffServ, Ttl};
use super::ecn::EcnUse;
use super::isn::IsnSecret;
use super::keep_alive::KeepAlive;
use super::segment::Options;
use super::user_timeout::UserTimeout;
use super::window::Scale;

/// Octets of the IPv4 and the TCP header without options: what an MTU has to hold besides text.
pub(super) const FIXED_HEADERS_BYTES: usize = 40;

/// Send MSS to be assumed when the peer names none (RFC 9293 §3.7.1, MUST-15).
pub(super) const DEFAULT_SND_MSS: u32 = 536;

/// The smallest send MSS that we honour, as Linux does.
///
/// Deviation: RFC 9293 §3.7.1 (MUST-16) knows no lower limit. A peer that names less gets segments of this size, which every host
/// can take (RFC 1122 §3.3.2: 576 octets); one octet of text a packet would let it make us work without end. One that names 0 cannot
/// mean it, and gets segments as if it had named none.
pub(super) const MIN_SND_MSS: u32 = 48;

/// A path of 1 Gbit/s and 100 ms holds 12.5 MB; a third more lets the window grow past that.
const MAX_BUFF_BYTES: usize = 16 << 20;

/// Whether small segments wait while others are outstanding (RFC 9293 §3.7.4, MUST-17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Nagle {
    /// They wait (SHLD-7).
    #[default]
    On,
    /// They are sent at once.
    Off,
}

/// Whether timestamps are used with a peer that uses them too (RFC 7323 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// They are offered and accepted.
    #[default]
    On,
    /// They are not.
    Off,
}

/// How the congestion window grows in congestion avoidance, and how far a loss shrinks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CongestionControl {
    /// CUBIC (RFC 9438): long fast paths are filled sooner.
    #[default]
    Cubic,
    /// Reno's way (RFC 5681, RFC 6582).
    NewReno,
}

/// What a user can set for its connection, before OPEN and at any time after (RFC 9293 §3.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Nagle's algorithm (§3.7.4, MUST-17).
    Nagle(Nagle),
    /// R2 of text and FIN (§3.8.3, MUST-21); that of a SYN stays, so that MUST-23 holds.
    UserTimeout(UserTimeout),
    /// Keep-alives (§3.8.4, MUST-24, MUST-27).
    KeepAlive(KeepAlive),
    /// The DiffServ codepoint (§3.9.1.9, MUST-48), which may change during the connection (SHLD-21).
    DiffServ(DiffServ),
    /// The time to live (§3.9.2, MUST-49).
    Ttl(Ttl),
    /// Whether errors that end nothing are told (§3.9.1.8, SHLD-20).
    ErrorReports(ErrorReports),
}

/// Whether selective acknowledgements are used if the peer agrees (RFC 2018).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sack {
    /// They are, and losses are recovered with them (RFC 6675, RFC 8985).
    #[default]
    On,
    /// They are not; losses are recovered as RFC 6582 says.
    Off,
}

/// Whether new segments are spread over the round trip, where that is long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pacing {
    /// They are.
    #[default]
    On,
    /// They go as fast as the windows open.
    Off,
}

/// The parameters of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Octets of received text kept for the user, 1 to 900 MiB; more than 65,535 octets need window scaling (RFC 7323 §2).
    pub rcv_buff_bytes: usize,
    /// What `rcv_buff_bytes` grows to at most, when the path and the user turn out to be faster than that allows; at most 2³⁰ − 1 MiB.
    /// No more than `rcv_buff_bytes` means that it does not grow.
    pub rcv_buff_max_bytes: usize,
    /// Octets of text taken from the user before it has to wait; what is acknowledged makes room.
    pub snd_buff_bytes: usize,
    /// What `snd_buff_bytes` grows to at most, while the congestion window is larger than half of it.
    pub snd_buff_max_bytes: usize,
    /// Nagle's algorithm (RFC 9293 §3.7.4).
    pub nagle: Nagle,
    /// The congestion control algorithm (RFC 9293 §3.8.2, MAY-18).
    pub congestion: CongestionControl,
    /// Pacing.
    pub pacing: Pacing,
    /// Timestamps, and with them PAWS (RFC 7323 §3, §5).
    pub timestamps: Timestamps,
    /// What the offsets of the timestamp clocks are hashed with (RFC 7323 §7.1); it may be the one of the ISNs. Who knows it can tell
    /// how long the program has been running.
    pub timestamp_secret: IsnSecret,
    /// Selective acknowledgement (RFC 2018).
    pub sack: Sack,
    /// Octets of the largest IPv4 packet that the device carries, 68 to 65,535 (RFC 791); the MSS option says 40 less (MUST-67).
    pub mtu_bytes: usize,
    /// How long unacknowledged text is retransmitted before the connection is given up: R2, at least 100 s (RFC 9293 §3.8.3,
    /// SHLD-11); five minutes as in §3.10.1.
    pub user_timeout: UserTimeout,
    /// Explicit congestion notification (RFC 3168).
    pub ecn: EcnUse,
    /// Whether an idle peer is asked if it is still there.
    pub keep_alive: KeepAlive,
    /// Whether the user hears of errors that end nothing.
    pub error_reports: ErrorReports,
    /// What IP is asked for.
    pub carriage: Carriage,
    /// The same as `user_timeout` for a SYN or SYN,ACK: at least three minutes (RFC 9293 §3.8.3, MUST-23).
    pub syn_timeout: Duration,
    /// Twice the maximum segment lifetime, the length of TIME-WAIT (RFC 9293 §3.6.1, MUST-13).
    ///
    /// Deviation: RFC 9293 §3.4.2 takes an MSL of two minutes; like most we take 30 s. A peer could notice that an old duplicate
    /// of more than a minute meets no TIME-WAIT any more.
    pub two_msl: Duration,
    /// How long FIN-WAIT-2 waits for the peer's FIN; the value is the one of Linux and the BSDs.
    ///
    /// Deviation: RFC 9293 §3.10.7.4 sets no limit. Nobody here reads what comes before that FIN. A peer whose FIN comes later finds the
    /// connection gone, and is answered with a RST.
    pub fin_wait_2_limit: Duration,
    /// How long an ACK waits for company: below 0.5 s (RFC 9293 §3.8.6.3, MUST-40); the value is the one of Linux.
    pub delayed_ack: Duration,
    /// The override timeout of sender's silly window avoidance: 0.1 to 1 s (RFC 9293 §3.8.6.2.1).
    pub override_timeout: Duration,
    /// The RTO before a round trip was measured (RFC 6298 §2.1).
    pub initial_rto: Duration,
    /// The smallest RTO (RFC 6298 §2.4).
    pub min_rto: Duration,
    /// The largest RTO, backed off or not: at least 60 s (RFC 6298 §2.5).
    pub max_rto: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rcv_buff_bytes: 256 * 1024,
            rcv_buff_max_bytes: MAX_BUFF_BYTES,
            snd_buff_bytes: 256 * 1024,
            snd_buff_max_bytes: MAX_BUFF_BYTES,
            nagle: Nagle::On,
            congestion: CongestionControl::Cubic,
            pacing: Pacing::On,
            timestamps: Timestamps::On,
            timestamp_secret: IsnSecret([0; 16]),
            sack: Sack::On,
            mtu_bytes: 1500,
            user_timeout: UserTimeout::After(Duration::from_secs(300)),
            ecn: EcnUse::Accept,
            keep_alive: KeepAlive::Off,
            error_reports: ErrorReports::On,
            carriage: Carriage::default(),
            syn_timeout: Duration::from_secs(180),
            two_msl: Duration::from_secs(60),
            fin_wait_2_limit: Duration::from_secs(60),
            delayed_ack: Duration::from_millis(40),
            override_timeout: Duration::from_millis(200),
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_secs(1),
            max_rto: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Takes what the user sets.
    pub fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Nagle(nagle) => self.nagle = nagle,
            Setting::UserTimeout(timeout) => self.user_timeout = timeout,
            Setting::KeepAlive(keep_alive) => self.keep_alive = keep_alive,
            Setting::DiffServ(diff_serv) => self.carriage.diff_serv = diff_serv,
            Setting::Ttl(ttl) => self.carriage.ttl = ttl,
            Setting::ErrorReports(reports) => self.error_reports = reports,
        }
    }

    /// The MSS that we can receive (RFC 9293 §3.7.1, MUST-67).
    #[must_use]
    pub(super) fn rcv_mss(&self) -> u16 {
        u16::try_from(self.mtu_bytes.saturating_sub(FIXED_HEADERS_BYTES)).unwrap_or(u16::MAX)
    }

    /// Whether selective acknowledgements are used with a peer whose SYN had these options (RFC 2018 §2).
    pub(super) const fn sack_with(&self, options: &Options) -> Sack {
        if options.sack_permitted { self.sack } else { Sack::Off }
    }

    /// The scale of our window.
    pub(super) fn rcv_scale(&self) -> Scale {
        Scale::growing(self.rcv_buff_bytes, self.rcv_buff_max_bytes)
    }

    /// Eff.snd.MSS for a peer that named `mss` (RFC 9293 §3.7.1, MUST-16), before what options take.
    pub(super) fn snd_mss(&self, mss: Option<u16>) -> u32 {
        let named = match mss {
            // RFC 9293 §3.7.1 (MUST-15).
            None | Some(0) => DEFAULT_SND_MSS,
            Some(mss) => u32::from(mss).max(MIN_SND_MSS),
        };
        named.min(u32::from(self.rcv_mss())).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::{Control, Segment};
    use super::super::solo::{at, due, established, from_peer, take};
    use super::super::{Established, Tcp};
    use super::*;

    #[test]
    fn must_15_536_is_assumed_without_an_mss_option() {
        assert_eq!(Config::default().snd_mss(None), 536);
        assert_eq!(Config::default().snd_mss(Some(0)), 536);
    }

    #[test]
    fn must_16_send_mss_is_bounded_by_peer_and_device() {
        assert_eq!(Config::default().snd_mss(Some(1000)), 1000);
        assert_eq!(Config::default().snd_mss(Some(1460)), 1460);
        assert_eq!(Config::default().snd_mss(Some(1461)), 1460);
        assert_eq!(Config::default().snd_mss(Some(1)), MIN_SND_MSS);
    }

    #[test]
    fn must_67_named_mss_leaves_room_for_both_headers() {
        assert_eq!(Config::default().rcv_mss(), 1460);
        assert_eq!(Config { mtu_bytes: 1 << 20, ..Config::default() }.rcv_mss(), u16::MAX);
    }

    #[test]
    fn must_17_the_user_turns_nagle_off_during_the_connection() {
        let mut tcp = established(Config::default());
        tcp.send(b"a", at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        tcp.send(b"b", at(0));
        assert_eq!(due(&mut tcp, at(0)), []);
        tcp.set(Setting::Nagle(Nagle::Off), at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
    }

    #[test]
    fn must_48_and_49_what_the_user_sets_goes_with_each_segment_from_the_next_one_on() {
        let mut tcp = established(Config::default());
        let carriage = |tcp: &mut Tcp<Established>| {
            tcp.send(b"a", at(0));
            due(tcp, at(0))[0].carriage
        };
        assert_eq!(carriage(&mut tcp), Carriage::default());
        let diff_serv = DiffServ::new(46).unwrap();
        let ttl = Ttl::Hops(core::num::NonZeroU8::MIN);
        tcp.set(Setting::Nagle(Nagle::Off), at(0));
        tcp.set(Setting::DiffServ(diff_serv), at(0));
        tcp.set(Setting::Ttl(ttl), at(0));
        assert_eq!(carriage(&mut tcp), Carriage { diff_serv, ttl, ..Carriage::default() });
        assert_eq!(Segment::from(tcp.abort()).carriage.diff_serv, diff_serv);
    }

    #[test]
    fn must_61_the_last_segment_that_is_queued_is_pushed_and_no_other() {
        let mut tcp = established(Config::default());
        tcp.send(&[7; 1460 * 2 + 5], at(0));
        let mut sent = due(&mut tcp, at(0));
        take(&mut tcp, from_peer(Control::ACK, 0, 2920, b""), at(0));
        sent.extend(due(&mut tcp, at(0)));
        let pushed: Vec<(usize, bool)> = sent.iter().map(|s| (s.payload.len(), s.control.psh())).collect();
        assert_eq!(pushed, [(1460, false), (1460, false), (5, true)]);
    }
}
