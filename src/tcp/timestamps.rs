//! Timestamps: the clock that ours count, the one that is echoed, and the protection against wrapped sequence numbers
//! (RFC 7323 §3 to §5, RFC 6191).

use core::net::SocketAddrV4;

use smoltcp::time::{Duration, Instant};

use super::config::{Config, Timestamps};
use super::cookie::Agreed;
use super::isn;
use super::segment::{Segment, Timestamp};
use super::seq::SeqNum;
use super::timers::elapsed;

/// What the option takes of each segment: ten octets, and two of padding (RFC 7323 §3.2).
const OPTION_BYTES: u32 = 12;

/// How long TS.Recent is worth anything: a clock of one tick a millisecond wraps its sign bit in 24.8 days (RFC 7323 §5.5).
const TS_RECENT_LIFETIME: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// The timestamp clock of a connection: one tick a millisecond (RFC 7323 §5.4), from an offset that nobody else knows (§7.1).
///
/// The offset depends on the pair of sockets alone, so that a later connection of the pair goes on where this one is: the peer can
/// tell old duplicates from it (RFC 6191 §2), and its PAWS (RFC 7323 §5.3) can do so across connections.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// TSval at the instant zero.
    offset: u32,
}

impl Clock {
    /// TSval.
    fn read(self, now: Instant) -> u32 {
        let [.., b4, b5, b6, b7] = now.total_millis().to_be_bytes();
        self.offset.wrapping_add(u32::from_be_bytes([b4, b5, b6, b7]))
    }
}

/// One tick of it, by which an age may be wrong.
const TICK: Duration = Duration::from_millis(1);

/// Whether an echo of this age is that of something sent before what was sent `elapsed` ago: if there is none, it does not say.
pub(super) fn is_echo_older(age: Option<Duration>, elapsed: Duration) -> bool {
    age.is_some_and(|age| age >= elapsed + TICK)
}

/// What came with the peer's timestamps.
#[derive(Clone, Copy, Debug)]
struct Echo {
    /// TS.Recent.
    ts_recent: u32,
    /// When it was taken.
    taken_at: Instant,
    /// Last.ACK.sent.
    last_ack_sent: SeqNum,
}

/// What a segment's timestamps, or their absence, say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Nothing against it.
    Fine,
    /// It should have some and has none.
    Missing,
    /// It is an old duplicate.
    Old,
}

/// What RFC 6191 §2 says of a SYN in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reopening {
    /// Its timestamps alone show that it is new.
    Allowed,
    /// Its sequence number decides.
    BySequence,
    /// Its timestamps show that it is old.
    Denied,
}

/// The timestamps of a connection.
#[derive(Debug)]
pub(super) struct Stamping {
    /// Our clock.
    clock: Clock,
    /// What it said when the connection began: no echo can be older.
    first: u32,
    /// What it said in the last segment that we sent.
    latest: u32,
    /// Whether we would use them.
    willing: Timestamps,
    /// What is echoed, if both SYNs had them: Snd.TS.OK.
    echo: Option<Echo>,
}

impl Stamping {
    /// Nothing agreed yet.
    pub(super) fn new(config: &Config, local: SocketAddrV4, remote: SocketAddrV4, now: Instant) -> Self {
        let clock = Clock { offset: isn::timestamp_offset(&config.timestamp_secret, local, remote) };
        let first = clock.read(now);
        Self { clock, first, latest: first, willing: config.timestamps, echo: None }
    }

    /// Learns from the peer's SYN.
    pub(super) fn take_syn(&mut self, syn: &Segment, now: Instant) {
        // RFC 7323 §3.2: both SYNs must have them.
        self.echo = match (self.willing, syn.options.timestamp) {
            (Timestamps::On, Some(stamp)) => {
                Some(Echo { ts_recent: stamp.tsval, taken_at: now, last_ack_sent: syn.seq + 1 })
            }
            (Timestamps::On, None) | (Timestamps::Off, _) => None,
        };
    }

    /// Octets of each segment that are not text (RFC 9293 §3.7.1, MUST-16).
    pub(super) const fn option_bytes(&self) -> u32 {
        if self.echo.is_some() { OPTION_BYTES } else { 0 }
    }

    /// The option of our SYN, which has no ACK and so nothing to echo (RFC 7323 §3.2).
    pub(super) fn for_syn(&mut self, now: Instant) -> Option<Timestamp> {
        self.latest = self.clock.read(now);
        match self.willing {
            Timestamps::On => Some(Timestamp { tsval: self.latest, tsecr: 0 }),
            Timestamps::Off => None,
        }
    }

    /// The option of a cookie's SYN,ACK, whose TSval tells what was agreed ([`super::cookie`]).
    pub(super) fn for_cookie(&self, syn: Timestamp, agreed: Agreed, now: Instant) -> Timestamp {
        Timestamp { tsval: agreed.tsval(self.clock.read(now)), tsecr: syn.tsval }
    }

    /// The option of a segment that acknowledges `rcv_nxt` (RFC 7323 §4.3 (3)): that is Last.ACK.sent from now on.
    pub(super) fn for_ack(&mut self, rcv_nxt: SeqNum, now: Instant) -> Option<Timestamp> {
        let echo = self.echo.as_mut()?;
        echo.last_ack_sent = rcv_nxt;
        self.latest = self.clock.read(now);
        Some(Timestamp { tsval: self.latest, tsecr: echo.ts_recent })
    }

    /// The option of a RST (RFC 7323 §3.2). Nobody is to believe it (§5.2), so the last TSval sent will do.
    pub(super) fn for_rst(&self) -> Option<Timestamp> {
        self.echo.map(|_| Timestamp { tsval: self.latest, tsecr: 0 })
    }

    /// Looks at the timestamps of a segment for a connection that has them.
    pub(super) fn inspect(&self, segment: &Segment, now: Instant) -> Stamp {
        let Some(echo) = self.echo else {
            // RFC 7323 §3.2: without agreement they are ignored.
            return Stamp::Fine;
        };
        match segment.options.timestamp {
            // RFC 7323 §5.2: a RST is not subject to PAWS.
            _ if segment.control.rst() => Stamp::Fine,
            // A SYN is answered with a challenge ACK whatever else is wrong with it (RFC 5961 §4.2): a peer that lost its memory
            // lost the agreement too.
            None if segment.control.syn() => Stamp::Fine,
            // RFC 7323 §3.2: silently drop the segment.
            None => Stamp::Missing,
            // RFC 7323 §5.3, R1.
            Some(stamp) if is_before(stamp.tsval, echo.ts_recent) && !echo.is_outdated(now) => Stamp::Old,
            Some(_) => Stamp::Fine,
        }
    }

    /// RFC 7323 §4.3 (2) and §5.3, R3, for an acceptable segment that began at `seq`.
    pub(super) fn take(&mut self, stamp: Option<Timestamp>, seq: SeqNum, now: Instant) {
        let (Some(echo), Some(stamp)) = (&mut self.echo, stamp) else {
            return;
        };
        let is_next = !is_before(stamp.tsval, echo.ts_recent) && seq.is_at_or_before(echo.last_ack_sent);
        // RFC 7323 §5.5: what is outdated is replaced by whatever comes.
        if is_next || echo.is_outdated(now) {
            echo.ts_recent = stamp.tsval;
            echo.taken_at = now;
        }
    }

    /// How long ago we sent what this segment echoes (RFC 7323 §4.1), unless we cannot have sent it.
    pub(super) fn round_trip(&self, segment: &Segment, now: Instant) -> Option<Duration> {
        // RFC 7323 §3.2: TSecr is only valid with ACK.
        let stamp = segment.options.timestamp.filter(|_| self.echo.is_some() && segment.control.ack())?;
        let now = self.clock.read(now);
        let ticks = now.wrapping_sub(stamp.tsecr);
        (ticks <= now.wrapping_sub(self.first)).then(|| Duration::from_millis(u64::from(ticks)))
    }

    /// RFC 6191 §2: what the timestamps of a SYN say, or their absence, when it comes in TIME-WAIT.
    pub(super) fn reopening(&self, syn: &Segment) -> Reopening {
        match (self.willing, self.echo, syn.options.timestamp) {
            (Timestamps::On, Some(echo), Some(stamp)) if is_before(echo.ts_recent, stamp.tsval) => Reopening::Allowed,
            (Timestamps::On, Some(echo), Some(stamp)) if echo.ts_recent == stamp.tsval => Reopening::BySequence,
            (Timestamps::On, Some(_), Some(_)) => Reopening::Denied,
            // Only the new connection would have timestamps.
            (Timestamps::On, None, Some(_)) => Reopening::Allowed,
            // The new connection would have none.
            (Timestamps::On, _, None) | (Timestamps::Off, _, _) => Reopening::BySequence,
        }
    }
}

impl Echo {
    /// RFC 7323 §5.5: whether the peer's clock may have come around since.
    fn is_outdated(&self, now: Instant) -> bool {
        elapsed(now, self.taken_at) > TS_RECENT_LIFETIME
    }
}

/// RFC 7323 §5.2: s < t if 0 < (t - s) < 2³¹, in unsigned 32-bit arithmetic.
const fn is_before(s: u32, t: u32) -> bool {
    let ahead = t.wrapping_sub(s);
    0 < ahead && ahead < 1 << 31
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::super::segment::{Control, Options};
    use super::*;

    const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
    const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40000);
    const START: Instant = Instant::from_micros_const(5_000_000);
    const IRS: SeqNum = SeqNum::new(u32::MAX - 10);

    fn segment(control: Control, seq: SeqNum, tsval: Option<u32>) -> Segment {
        let timestamp = tsval.map(|tsval| Timestamp { tsval, tsecr: 0 });
        Segment { seq, control, options: Options { timestamp, ..Options::default() }, ..Segment::default() }
    }

    fn fresh(timestamps: Timestamps) -> Stamping {
        Stamping::new(&Config { timestamps, ..Config::default() }, LOCAL, REMOTE, START)
    }

    /// The timestamps after a SYN with this TSval.
    fn agreed(tsval: u32) -> Stamping {
        let mut stamps = fresh(Timestamps::On);
        stamps.take_syn(&segment(Control::SYN, IRS, Some(tsval)), START);
        stamps
    }

    fn inspected(stamps: &Stamping, tsval: u32) -> Stamp {
        stamps.inspect(&segment(Control::ACK, IRS + 1, Some(tsval)), START)
    }

    fn echoed(stamps: &mut Stamping) -> u32 {
        let rcv_nxt = stamps.echo.unwrap().last_ack_sent;
        stamps.for_ack(rcv_nxt, START).unwrap().tsecr
    }

    #[test]
    fn clock_ticks_every_millisecond_and_wraps() {
        let clock = Clock { offset: u32::MAX - 5 };
        assert_eq!(clock.read(Instant::from_micros(0)), u32::MAX - 5);
        assert_eq!(clock.read(Instant::from_micros(999)), u32::MAX - 5);
        assert_eq!(clock.read(Instant::from_micros(1000)), u32::MAX - 4);
        assert_eq!(clock.read(Instant::from_millis(6)), 0);
        assert_eq!(clock.read(Instant::from_millis(1_i64 << 32)), u32::MAX - 5);
    }

    #[test]
    fn clock_of_a_pair_goes_on_where_its_last_connection_left_it() {
        let offset = |remote| Stamping::new(&Config::default(), LOCAL, remote, START).clock.offset;
        assert_eq!(offset(REMOTE), offset(REMOTE));
        assert_ne!(offset(REMOTE), offset(SocketAddrV4::new(*REMOTE.ip(), 40001)));
    }

    #[test]
    fn both_syns_have_to_carry_them() {
        let mut stamps = agreed(7);
        assert_eq!(stamps.option_bytes(), 12);
        assert_eq!(stamps.for_ack(IRS + 1, START).map(|stamp| stamp.tsecr), Some(7));
        stamps.take_syn(&segment(Control::SYN, IRS, None), START);
        assert_eq!((stamps.option_bytes(), stamps.for_ack(IRS + 1, START)), (0, None));
        let mut unwilling = fresh(Timestamps::Off);
        assert_eq!(unwilling.for_syn(START), None);
        unwilling.take_syn(&segment(Control::SYN, IRS, Some(7)), START);
        assert_eq!((unwilling.option_bytes(), unwilling.for_ack(IRS + 1, START)), (0, None));
    }

    #[test]
    fn what_was_not_agreed_is_ignored() {
        let stamps = fresh(Timestamps::Off);
        for tsval in [None, Some(0), Some(u32::MAX)] {
            assert_eq!(stamps.inspect(&segment(Control::ACK, IRS + 1, tsval), START), Stamp::Fine);
        }
    }

    #[test]
    fn without_ack_nothing_is_echoed() {
        let mut stamps = agreed(7);
        assert_eq!(stamps.for_syn(START).map(|stamp| stamp.tsecr), Some(0));
        assert_eq!(stamps.for_rst().map(|stamp| stamp.tsecr), Some(0));
    }

    #[test]
    fn paws_refuses_what_is_one_tick_older_at_every_base() {
        for recent in [0, 1, 1 << 31, (1 << 31) - 1, u32::MAX, 12345] {
            let stamps = agreed(recent);
            assert_eq!(inspected(&stamps, recent), Stamp::Fine);
            assert_eq!(inspected(&stamps, recent.wrapping_add(1)), Stamp::Fine);
            assert_eq!(inspected(&stamps, recent.wrapping_add((1 << 31) - 1)), Stamp::Fine);
            // Half around the circle: neither is before the other (RFC 7323 §5.2).
            assert_eq!(inspected(&stamps, recent.wrapping_add(1 << 31)), Stamp::Fine);
            assert_eq!(inspected(&stamps, recent.wrapping_add((1 << 31) + 1)), Stamp::Old);
            assert_eq!(inspected(&stamps, recent.wrapping_sub(1)), Stamp::Old);
        }
    }

    #[test]
    fn paws_spares_resets_and_a_missing_option_a_syn_as_well() {
        let stamps = agreed(100);
        for (control, tsval, stamp) in [
            (Control::RST, Some(99), Stamp::Fine),
            (Control::RST, None, Stamp::Fine),
            (Control::SYN, Some(99), Stamp::Old),
            (Control::SYN, None, Stamp::Fine),
            (Control::ACK, None, Stamp::Missing),
            (Control::FIN, None, Stamp::Missing),
        ] {
            assert_eq!(stamps.inspect(&segment(control, IRS + 1, tsval), START), stamp, "{control} {tsval:?}");
        }
    }

    #[test]
    fn ts_recent_is_worth_nothing_after_24_days_without_news() {
        let mut stamps = agreed(100);
        let old = segment(Control::ACK, IRS + 1, Some(99));
        let last = START + TS_RECENT_LIFETIME;
        assert_eq!(stamps.inspect(&old, last), Stamp::Old);
        let later = last + Duration::from_micros(1);
        assert_eq!(stamps.inspect(&old, later), Stamp::Fine);
        stamps.take(old.options.timestamp, old.seq, later);
        assert_eq!(echoed(&mut stamps), 99);
        // The same again is no news, but shows that the clock has not come around.
        stamps.take(old.options.timestamp, old.seq, later + TS_RECENT_LIFETIME);
        let older = segment(Control::ACK, IRS + 1, Some(98));
        assert_eq!(stamps.inspect(&older, later + TS_RECENT_LIFETIME + TS_RECENT_LIFETIME), Stamp::Old);
    }

    #[test]
    fn only_what_begins_at_or_before_the_last_ack_sent_is_echoed() {
        let mut stamps = agreed(u32::MAX);
        stamps.for_ack(IRS + 20, START);
        let stamp = |tsval| Some(Timestamp { tsval, tsecr: 0 });
        // After a gap: not yet.
        stamps.take(stamp(5), IRS + 21, START);
        assert_eq!(echoed(&mut stamps), u32::MAX);
        stamps.take(stamp(0), IRS + 20, START);
        assert_eq!(echoed(&mut stamps), 0);
        // The earlier of two segments that one ACK covers is echoed: it began at Last.ACK.sent, the later one did not.
        stamps.take(stamp(3), IRS + 30, START);
        assert_eq!(echoed(&mut stamps), 0);
        stamps.take(stamp(4), IRS + 19, START);
        assert_eq!(echoed(&mut stamps), 4);
        // An older one never.
        stamps.take(stamp(3), IRS + 19, START);
        assert_eq!(echoed(&mut stamps), 4);
    }

    #[test]
    fn round_trip_is_the_age_of_the_echo_if_we_can_have_sent_it() {
        let stamps = agreed(7);
        let mut ack = segment(Control::ACK, IRS + 1, Some(8));
        let mut aged = |tsecr: u32| {
            ack.options.timestamp = Some(Timestamp { tsval: 8, tsecr });
            stamps.round_trip(&ack, START + Duration::from_millis(30))
        };
        assert_eq!(aged(stamps.first.wrapping_add(10)), Some(Duration::from_millis(20)));
        assert_eq!(aged(stamps.first.wrapping_add(30)), Some(Duration::from_millis(0)));
        assert_eq!(aged(stamps.first.wrapping_add(31)), None);
        assert_eq!(aged(stamps.first), Some(Duration::from_millis(30)));
        assert_eq!(aged(stamps.first.wrapping_sub(1)), None);
        let without_ack = segment(Control::FIN, IRS + 1, Some(8));
        assert_eq!(stamps.round_trip(&without_ack, START), None);
    }

    #[test]
    fn rfc_6191_syn_in_time_wait() {
        let syn = |tsval| segment(Control::SYN, IRS, tsval);
        let with = agreed(u32::MAX);
        assert_eq!(with.reopening(&syn(Some(0))), Reopening::Allowed);
        assert_eq!(with.reopening(&syn(Some(u32::MAX))), Reopening::BySequence);
        assert_eq!(with.reopening(&syn(Some(u32::MAX - 1))), Reopening::Denied);
        assert_eq!(with.reopening(&syn(None)), Reopening::BySequence);
        let mut without = fresh(Timestamps::On);
        without.take_syn(&syn(None), START);
        assert_eq!(without.reopening(&syn(Some(0))), Reopening::Allowed);
        assert_eq!(without.reopening(&syn(None)), Reopening::BySequence);
        assert_eq!(fresh(Timestamps::Off).reopening(&syn(Some(0))), Reopening::BySequence);
    }
}
