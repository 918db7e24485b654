//! SYN cookies (Bernstein and Schenk, 1996; RFC 4987 §3.6): a SYN is answered, and nothing is remembered of it.
//!
//! The ISS of the SYN,ACK says all that has to be known when its acknowledgement comes: that we sent it to these sockets and this IRS not
//! long ago, and the peer's MSS, rounded down. As Linux makes it, every octet of it looks random:
//!
//! ```text
//! cookie = F(sockets) + IRS + slot * 2^24 + (F(sockets, slot) + index of the MSS) mod 2^24
//! ```
//!
//! What that costs the connections that begin so: no window scaling (hence at most 65,535 octets a round trip), nor any other option of
//! the SYN; text that came with the SYN comes again; a lost SYN,ACK is repeated only when the SYN is; and if the ACK is lost and the
//! text after it arrives out of order, the connection is refused. So cookies are for the time when there is no room for anything better.
//! Whoever has seen a cookie's ACK can send it once more for two minutes, and begin another connection with it when the first is over;
//! it costs no more than one that he opens himself.
//!
//! Deviation: the ISS of such a connection does not follow the clock of RFC 9293 §3.4.1 (MUST-8). A peer could notice nothing but that.

use core::net::SocketAddrV4;

use smoltcp::time::Instant;

use super::config::DEFAULT_SND_MSS;
use super::isn::{low_half, siphash_2_4};
use super::segment::Segment;
use super::seq::SeqNum;
use crate::smol_channel::Syn;

/// Seconds of a slot; as in Linux a little over a minute.
const SLOT_SECS: i64 = 64;

/// So many slots after its own a cookie is good: it lives for one to two minutes, longer than a SYN,ACK is on its way.
const LIFE_SLOTS: u32 = 1;

/// The MSS that a cookie can tell, in ascending order: usual ones, and two for networks that are not.
const MSS_TABLE: [u16; 8] = [64, 256, 536, 1024, 1220, 1400, 1440, 1460];

/// Where the slot begins.
const SLOT_SHIFT: u32 = 24;

/// What is left of it for the hash.
const HASH_MASK: u32 = (1 << SLOT_SHIFT) - 1;

/// How long cookies are taken after the last one was given: past that, an ACK out of nowhere is refused unread.
pub const LIFE_SECS: u64 = 2 * 64;

/// The secret key of the cookies, to be drawn at random when the program starts.
#[derive(Clone)]
pub struct CookieSecret(pub [u8; 16]);

impl core::fmt::Debug for CookieSecret {
    /// Says nothing, so that no log can tell it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// What a valid cookie says; only [`CookieSecret::read`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Our ISS: the cookie itself.
    iss: SeqNum,
    /// IRS.
    irs: SeqNum,
    /// The MSS that the peer named, rounded down.
    mss: u16,
}

impl Cookie {
    /// Our ISS.
    pub(super) const fn iss(self) -> SeqNum {
        self.iss
    }

    /// The SYN, as far as it is known.
    pub(super) fn syn(self, ack: &Segment) -> Syn {
        let mut syn = Segment { src_port: ack.src_port, dst_port: ack.dst_port, seq: self.irs, ..Segment::default() };
        syn.wnd = ack.wnd;
        syn.options.mss = Some(self.mss);
        Syn::mark(syn)
    }
}

/// What the layer below says of a segment for a listener: whether it has a place for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing out of the ordinary: if it is a SYN, it has.
    Ordinary,
    /// It has none. A SYN is to be answered with this ISS and forgotten.
    Crowded(SeqNum),
    /// The segment acknowledges a cookie of ours, and its connection has a place now.
    Returns(Cookie),
}

impl CookieSecret {
    /// The ISS for the answer to this SYN.
    #[must_use]
    pub fn bake(&self, local: SocketAddrV4, remote: SocketAddrV4, syn: &Segment, now: Instant) -> SeqNum {
        let named = u32::from(syn.options.mss.unwrap_or(0));
        let mss = if named == 0 { DEFAULT_SND_MSS } else { named };
        let smaller = MSS_TABLE.iter().rposition(|&known| u32::from(known) <= mss);
        let index = u32::try_from(smaller.unwrap_or(0)).unwrap_or(0);
        let slot = slot(now);
        let low = self.hash(local, remote, slot).wrapping_add(index) & HASH_MASK;
        SeqNum::new((slot << SLOT_SHIFT).wrapping_add(low)) + self.offset(local, remote, syn.seq)
    }

    /// What the segment's acknowledgement says, if it is that of a cookie of ours: a segment out of nowhere has a chance of 2⁻²⁸.
    #[must_use]
    pub fn read(&self, local: SocketAddrV4, remote: SocketAddrV4, ack: &Segment, now: Instant) -> Option<Cookie> {
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
        let index = told.wrapping_sub(self.hash(local, remote, baked)) & HASH_MASK;
        let &mss = MSS_TABLE.get(usize::try_from(index).ok()?)?;
        Some(Cookie { iss, irs, mss })
    }

    /// F(sockets) + IRS.
    fn offset(&self, local: SocketAddrV4, remote: SocketAddrV4, irs: SeqNum) -> u32 {
        // No slot has this number: they have 32 bits.
        low_half(self.siphash(local, remote, u64::MAX)).wrapping_add(irs.value())
    }

    /// F(sockets, slot).
    fn hash(&self, local: SocketAddrV4, remote: SocketAddrV4, slot: u32) -> u32 {
        low_half(self.siphash(local, remote, u64::from(slot)))
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
    use crate::tcp::segment::Control;

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
        SECRET.bake(LOCAL, REMOTE, &syn(Some(1460)), now)
    }

    #[test]
    fn cookie_tells_the_mss_rounded_down() {
        let now = Instant::from_secs(1000);
        for (named, told) in [(None, 536), (Some(0), 536), (Some(1), 64), (Some(1399), 1220), (Some(9000), 1460)] {
            let iss = SECRET.bake(LOCAL, REMOTE, &syn(named), now);
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
}
