//! SYN cookies (Bernstein and Schenk, 1996; RFC 4987 §3.6): a SYN is answered, and nothing is remembered of it.
//!
//! The ISS of the SYN,ACK says all that has to be known when its acknowledgement comes: that we sent it to these sockets and this IRS not
//! long ago, and the peer's MSS, rounded down. As Linux makes it, every octet of it looks random:
//!
//! ```text
//! cookie = F(sockets) + IRS + slot * 2^24 + (F(sockets, slot, agreed) + index of the MSS) mod 2^24
//! ```
//!
//! A peer with timestamps brings back our TSval as well, and in its lowest bits what else was agreed: the two window scales, SACK and
//! ECN. They are part of what is hashed, so that nobody can change them.
//!
//! What that costs the connections that begin so: without timestamps there is no window scaling (hence at most 65,535 octets a round
//! trip), nor any other option of the SYN; text that came with the SYN comes again; a lost SYN,ACK is repeated only when the SYN is; and
//! if the ACK is lost and the text after it arrives out of order, the connection is refused. So cookies are for the time when there is
//! no room for anything better. Whoever has seen a cookie's ACK can send it once more for two minutes, and begin another connection with
//! it when the first is over; it costs no more than one that he opens himself.
//!
//! Deviation: the ISS of such a connection does not follow the clock of RFC 9293 §3.4.1 (MUST-8): it has to say all that. A peer without
//! timestamps notices that no option but MSS is agreed on, one with them that the first TSval may be a second old.

use core::net::SocketAddrV4;

use smoltcp::time::Instant;

use super::config::{DEFAULT_SND_MSS, Sack};
use super::isn::{low_half, siphash_2_4};
use super::segment::{Control, Options, Segment, Timestamp};
use super::seq::SeqNum;
use crate::smol_channel::Syn;

/// Seconds of a slot; as in Linux a little over a minute.
const SLOT_SECS: i64 = 64;

/// So many slots after its own a cookie is good: it lives for one to two minutes, longer than a SYN,ACK is on its way.
const LIFE_SLOTS: u32 = 1;

/// The MSS that a cookie can tell, in ascending order: usual ones, one for networks that are not, and the least that we honour.
const MSS_TABLE: [u16; 8] = [48, 256, 536, 1024, 1220, 1400, 1440, 1460];

/// Where the slot begins.
const SLOT_SHIFT: u32 = 24;

/// What is left of it for the hash.
const HASH_MASK: u32 = (1 << SLOT_SHIFT) - 1;

/// How long cookies are taken after the last one was given: past that, an ACK out of nowhere is refused unread.
pub(crate) const LIFE_SECS: u64 = 2 * 64;

/// The lowest bits of TSval, which say what was agreed. A cookie's TSval is by up to 1.023 s older than its SYN,ACK.
const AGREED_BITS: u32 = 10;

/// Stands for "no window scaling" where a shift count is told, which is 14 at most (RFC 7323 §2.3).
const NO_SCALING: u32 = 0xf;

/// The secret key of the cookies, to be drawn at random when the program starts.
#[derive(Clone, Copy)]
pub(crate) struct CookieSecret(pub(crate) [u8; 16]);

impl core::fmt::Debug for CookieSecret {
    /// Says nothing, so that no log can tell it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// What a handshake agreed on besides the MSS; only a peer with timestamps can bring it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The shift counts of the peer and of ours, if windows are scaled.
    pub(super) shifts: Option<(u8, u8)>,
    /// Selective acknowledgements.
    pub(super) sack: Sack,
    /// The bits by which the SYN asked for congestion notification, if that was agreed on (RFC 3168 §6.1.1).
    pub(super) ecn: Control,
}

impl Agreed {
    /// It in [`AGREED_BITS`] bits.
    fn bits(self) -> u32 {
        let (snd, rcv) = self.shifts.map_or((NO_SCALING, NO_SCALING), |(snd, rcv)| (snd.into(), rcv.into()));
        let sack = u32::from(self.sack == Sack::On);
        let ecn = u32::from(self.ecn.ece());
        snd | rcv << 4 | sack << 8 | ecn << 9
    }

    /// What these bits say.
    fn of(bits: u32) -> Self {
        let [low, high, ..] = bits.to_le_bytes();
        let (snd, rcv) = (low & 0xf, low >> 4);
        let shifts = (u32::from(snd) != NO_SCALING).then_some((snd, rcv));
        let sack = if high & 1 == 1 { Sack::On } else { Sack::Off };
        let ecn = if high & 2 == 2 { Control::ECE | Control::CWR } else { Control::NONE };
        Self { shifts, sack, ecn }
    }

    /// The TSval that tells it: the latest that the clock has shown up to now.
    pub(super) fn tsval(self, now: u32) -> u32 {
        let mask = (1 << AGREED_BITS) - 1;
        let told = now & !mask | self.bits();
        // RFC 7323 §5.4: no later TSval may be less.
        let is_ahead = self.bits() > now & mask;
        if is_ahead { told.wrapping_sub(1 << AGREED_BITS) } else { told }
    }

    /// What a TSecr brings back, if it is that of a cookie.
    fn echoed(stamp: Timestamp) -> Self {
        Self::of(stamp.tsecr & ((1 << AGREED_BITS) - 1))
    }
}

/// What a valid cookie says; only `CookieSecret::read` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Our ISS: the cookie itself.
    iss: SeqNum,
    /// IRS.
    irs: SeqNum,
    /// The MSS that the peer named, rounded down.
    mss: u16,
    /// What else was agreed.
    agreed: Option<Agreed>,
}

impl Cookie {
    /// Our ISS.
    pub(super) const fn iss(self) -> SeqNum {
        self.iss
    }

    /// The shift count that our SYN,ACK named.
    pub(super) fn rcv_shift(self) -> Option<u8> {
        self.agreed?.shifts.map(|(_, rcv)| rcv)
    }

    /// The SYN, as far as it is known.
    pub(super) fn syn(self, ack: &Segment) -> Syn {
        let options = Options { mss: Some(self.mss), ..Options::default() };
        let mut syn =
            Segment { src_port: ack.src_port, dst_port: ack.dst_port, seq: self.irs, options, ..Segment::default() };
        syn.wnd = ack.wnd;
        if let Some(Agreed { shifts, sack, ecn }) = self.agreed {
            syn.options.timestamp = ack.options.timestamp;
            syn.options.window_scale = shifts.map(|(snd, _)| snd);
            syn.options.sack_permitted = sack == Sack::On;
            syn.control = ecn;
        }
        Syn::mark(syn)
    }
}

/// What the layer below says of a segment for a listener: whether it has a place for the connection.
#[derive(Clone, Copy, Debug)]
pub enum Admission {
    /// Nothing out of the ordinary: if it is a SYN, it has.
    Ordinary,
    /// It has none. A SYN is to be answered with a cookie and forgotten.
    Crowded(Baker),
    /// The segment acknowledges a cookie of ours, and its connection has a place now.
    Returns(Cookie),
}

/// Bakes the cookies of a slot.
#[derive(Clone, Copy, Debug)]
pub struct Baker {
    secret: CookieSecret,
    slot: u32,
}

impl Baker {
    /// The ISS for the answer to this SYN, with which this was agreed.
    pub(crate) fn bake(
        self,
        local: SocketAddrV4,
        remote: SocketAddrV4,
        syn: &Segment,
        agreed: Option<Agreed>,
    ) -> SeqNum {
        let named = u32::from(syn.options.mss.unwrap_or(0));
        let mss = if named == 0 { DEFAULT_SND_MSS } else { named };
        let smaller = MSS_TABLE.iter().rposition(|&known| u32::from(known) <= mss);
        let index = u32::try_from(smaller.unwrap_or(0)).unwrap_or(0);
        let Self { secret, slot } = self;
        let low = secret.hash(local, remote, slot, agreed).wrapping_add(index) & HASH_MASK;
        SeqNum::new((slot << SLOT_SHIFT).wrapping_add(low)) + secret.offset(local, remote, syn.seq)
    }
}

impl CookieSecret {
    /// Who bakes now.
    #[must_use]
    pub(crate) fn baker(&self, now: Instant) -> Baker {
        Baker { secret: *self, slot: slot(now) }
    }

    /// What the segment's acknowledgement says, if it is that of a cookie of ours: a segment out of nowhere has a chance of 2⁻²⁸.
    #[must_use]
    pub(crate) fn read(
        &self,
        local: SocketAddrV4,
        remote: SocketAddrV4,
        ack: &Segment,
        now: Instant,
    ) -> Option<Cookie> {
        let control = ack.control;
        if !control.ack() || control.syn() || control.rst() {
            return None;
        }
        let (iss, irs) = (ack.ack - 1, ack.seq - 1);
        let told = (iss - self.offset(local, remote, irs)).value();
        // Only the lowest octet of the slot is in it.
        let age = slot(now).wrapping_sub(told >> SLOT_SHIFT) & 0xff;
        if age > LIFE_SLOTS {
            return None;
        }
        let baked = slot(now).wrapping_sub(age);
        // RFC 7323 §3.2: who agreed on timestamps has them in every segment, and nobody else has.
        let agreed = ack.options.timestamp.map(Agreed::echoed);
        let index = told.wrapping_sub(self.hash(local, remote, baked, agreed)) & HASH_MASK;
        let &mss = MSS_TABLE.get(usize::try_from(index).ok()?)?;
        Some(Cookie { iss, irs, mss, agreed })
    }

    /// F(sockets) + IRS.
    fn offset(&self, local: SocketAddrV4, remote: SocketAddrV4, irs: SeqNum) -> u32 {
        // No slot has this number, whatever is agreed.
        low_half(self.siphash(local, remote, u64::MAX)).wrapping_add(irs.value())
    }

    /// F(sockets, slot, agreed).
    fn hash(&self, local: SocketAddrV4, remote: SocketAddrV4, slot: u32, agreed: Option<Agreed>) -> u32 {
        let agreed = agreed.map_or(0, |agreed| agreed.bits() + 1);
        low_half(self.siphash(local, remote, u64::from(agreed) << 32 | u64::from(slot)))
    }

    /// The keyed hash of the pair of sockets and one more number.
    fn siphash(&self, local: SocketAddrV4, remote: SocketAddrV4, number: u64) -> u64 {
        let sockets = |socket: SocketAddrV4| u64::from(socket.ip().to_bits()) << 16 | u64::from(socket.port());
        // The last block of SipHash holds the length in its highest octet: three whole blocks, and nothing left.
        siphash_2_4(self.0, &[sockets(local), sockets(remote), number, 24 << 56])
    }
}

/// The slot that it is.
fn slot(now: Instant) -> u32 {
    low_half(now.secs().div_euclid(SLOT_SECS).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    const SECRET: CookieSecret = CookieSecret([7; 16]);
    const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 555);
    const REMOTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 40000);
    const IRS: SeqNum = SeqNum::new(u32::MAX);

    fn syn(mss: Option<u16>) -> Segment {
        let mut syn = Segment { seq: IRS, control: Control::SYN, ..Segment::default() };
        syn.options.mss = mss;
        syn
    }

    fn ack(iss: SeqNum) -> Segment {
        Segment { seq: IRS + 1, ack: iss + 1, control: Control::ACK, ..Segment::default() }
    }

    fn bake(now: Instant) -> SeqNum {
        SECRET.baker(now).bake(LOCAL, REMOTE, &syn(Some(1460)), None)
    }

    #[test]
    fn cookie_tells_the_mss_rounded_down() {
        let now = Instant::from_secs(1000);
        for (named, told) in
            [(None, 536), (Some(0), 536), (Some(1), 48), (Some(255), 48), (Some(1399), 1220), (Some(9000), 1460)]
        {
            let iss = SECRET.baker(now).bake(LOCAL, REMOTE, &syn(named), None);
            let cookie = SECRET.read(LOCAL, REMOTE, &ack(iss), now).unwrap();
            assert_eq!((cookie.mss, cookie.iss, cookie.irs), (told, iss, IRS));
        }
    }

    #[test]
    fn cookie_lives_for_one_slot_more_than_its_own() {
        // At the wrap of the slot's octet, too.
        for base in [0, 64 * 255, 64 * 256] {
            let iss = bake(Instant::from_secs(base));
            let at = |secs: i64| SECRET.read(LOCAL, REMOTE, &ack(iss), Instant::from_secs(base + secs)).is_some();
            assert!(at(0) && at(63) && at(64) && at(127));
            assert!(!at(128) && !at(-1) && !at(64 * 100));
        }
    }

    #[test]
    fn forged_cookies_are_not_read() {
        let now = Instant::from_secs(1000);
        let iss = bake(now);
        assert!(SECRET.read(LOCAL, REMOTE, &ack(iss), now).is_some());
        // The neighbours differ in the MSS; one further, there is none.
        assert!(SECRET.read(LOCAL, REMOTE, &ack(iss + 1), now).is_none());
        assert!(SECRET.read(LOCAL, REMOTE, &ack(iss - 8), now).is_none());
        let guessed = (0..1_000_000_u32).filter(|guess| {
            let guess = SeqNum::new(guess.wrapping_mul(0x9e37_79b9));
            SECRET.read(LOCAL, REMOTE, &ack(guess), now).is_some()
        });
        assert!(guessed.count() <= 1, "2^-28 each");
    }

    #[test]
    fn every_part_of_the_connection_and_the_secret_matter() {
        let now = Instant::from_secs(1000);
        let iss = bake(now);
        for remote in ["192.0.2.1:40001", "192.0.2.3:40000"] {
            assert!(SECRET.read(LOCAL, remote.parse().unwrap(), &ack(iss), now).is_none());
        }
        let other_port = SocketAddrV4::new(*LOCAL.ip(), 556);
        assert!(SECRET.read(other_port, REMOTE, &ack(iss), now).is_none());
        assert!(CookieSecret([8; 16]).read(LOCAL, REMOTE, &ack(iss), now).is_none());
        let another_irs = Segment { seq: IRS + 100, ..ack(iss) };
        assert!(SECRET.read(LOCAL, REMOTE, &another_irs, now).is_none());
    }

    #[test]
    fn only_an_ack_returns_a_cookie() {
        let now = Instant::from_secs(1000);
        for control in [Control::NONE, Control::SYN | Control::ACK, Control::RST | Control::ACK] {
            assert!(SECRET.read(LOCAL, REMOTE, &Segment { control, ..ack(bake(now)) }, now).is_none());
        }
    }

    /// All that can be agreed.
    fn agreements() -> impl Iterator<Item = Agreed> {
        let shifts = (0..15).map(|snd| Some((snd, 14 - snd))).chain([None]);
        shifts.flat_map(|shifts| {
            let asked = Control::ECE | Control::CWR;
            [(Sack::Off, Control::NONE), (Sack::On, Control::NONE), (Sack::Off, asked), (Sack::On, asked)]
                .map(|(sack, ecn)| Agreed { shifts, sack, ecn })
        })
    }

    /// The ACK of a cookie with this TSecr.
    fn echoing(iss: SeqNum, tsecr: u32) -> Segment {
        let options = Options { timestamp: Some(Timestamp { tsval: 5, tsecr }), ..Options::default() };
        Segment { options, ..ack(iss) }
    }

    #[test]
    fn what_was_agreed_comes_back_with_the_timestamp() {
        let now = Instant::from_secs(1000);
        for agreed in agreements() {
            let iss = SECRET.baker(now).bake(LOCAL, REMOTE, &syn(Some(1400)), Some(agreed));
            for clock in [0, 1, 1023, 1024, u32::MAX] {
                let tsval = agreed.tsval(clock);
                assert!(clock.wrapping_sub(tsval) < 1024, "{tsval} at {clock}");
                let cookie = SECRET.read(LOCAL, REMOTE, &echoing(iss, tsval), now).unwrap();
                assert_eq!((cookie.mss, cookie.agreed), (1400, Some(agreed)));
                let syn = Segment::from(cookie.syn(&echoing(iss, tsval)));
                assert_eq!(syn.options.window_scale, agreed.shifts.map(|(snd, _)| snd));
                assert_eq!(syn.options.sack_permitted, agreed.sack == Sack::On);
                assert_eq!(syn.control, Control::SYN | agreed.ecn);
                assert_eq!(syn.options.timestamp.unwrap().tsval, 5);
            }
        }
    }

    #[test]
    fn nobody_can_change_what_was_agreed() {
        let now = Instant::from_secs(1000);
        let agreed = Agreed { shifts: Some((7, 9)), sack: Sack::On, ecn: Control::NONE };
        let iss = SECRET.baker(now).bake(LOCAL, REMOTE, &syn(Some(1460)), Some(agreed));
        assert!(SECRET.read(LOCAL, REMOTE, &ack(iss), now).is_none(), "without a timestamp");
        let others = (0..1024).filter(|&bits| bits != agreed.bits());
        let read = others.filter(|&bits| SECRET.read(LOCAL, REMOTE, &echoing(iss, bits), now).is_some());
        assert_eq!(read.count(), 0);
        // Nor add it to a cookie that was given without.
        let plain = bake(now);
        assert!((0..1024).all(|bits| SECRET.read(LOCAL, REMOTE, &echoing(plain, bits), now).is_none()));
    }
}
