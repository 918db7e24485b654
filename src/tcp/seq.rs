//! Sequence numbers: 32 bits that wrap around (RFC 9293 §3.4).

use core::fmt;
use core::ops::{Add, Sub};

/// A sequence number; it has no order, since 2³² numbers on a circle have none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNum(u32);

impl SeqNum {
    /// The sequence number with this value.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number as it stands in a header.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// How far this number lies past `earlier`, modulo 2³².
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether this number lies before `other`: `self < other` in the RFC's notation.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() < 0
    }

    /// Whether this number lies after `other`: `self > other` in the RFC's notation.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// `self =< other` in the RFC's notation.
    #[must_use]
    pub const fn is_at_or_before(self, other: Self) -> bool {
        !other.is_before(self)
    }

    /// `self >= other` in the RFC's notation.
    #[must_use]
    pub const fn is_at_or_after(self, other: Self) -> bool {
        !self.is_before(other)
    }

    /// Whether an acknowledgement with this number covers something new: `SND.UNA < SEG.ACK =< SND.NXT`.
    #[must_use]
    pub const fn is_new_ack(self, snd_una: Self, snd_nxt: Self) -> bool {
        snd_una.is_before(self) && self.is_at_or_before(snd_nxt)
    }

    /// Whether this number is one of the `wnd` numbers from `left` on: `left =< self < left+wnd`.
    #[must_use]
    pub const fn is_in_window(self, left: Self, wnd: u32) -> bool {
        self.distance_from(left) < wnd
    }

    /// The later of two numbers.
    #[must_use]
    pub const fn later_of(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of two numbers.
    #[must_use]
    pub const fn earlier_of(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bases on both sides of the wrap and of the middle.
    const BASES: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];

    #[test]
    fn order_is_that_of_the_circle_at_every_base() {
        for base in BASES {
            let (a, b) = (SeqNum::new(base), SeqNum::new(base) + 1);
            assert!(a.is_before(b) && !b.is_before(a) && !a.is_before(a));
            assert!(b.is_after(a) && !a.is_after(b) && !a.is_after(a));
            assert!(a.is_at_or_before(b) && a.is_at_or_before(a) && !b.is_at_or_before(a));
            assert!(b.is_at_or_after(a) && a.is_at_or_after(a) && !a.is_at_or_after(b));
            assert_eq!((a.later_of(b), a.earlier_of(b)), (b, a));
            assert_eq!((b.later_of(a), b.earlier_of(a)), (b, a));
        }
    }

    #[test]
    fn new_ack_is_open_below_and_closed_above() {
        for base in BASES {
            let snd_una = SeqNum::new(base);
            let snd_nxt = snd_una + 10;
            assert!(!(snd_una - 1).is_new_ack(snd_una, snd_nxt));
            assert!(!snd_una.is_new_ack(snd_una, snd_nxt));
            assert!((snd_una + 1).is_new_ack(snd_una, snd_nxt));
            assert!(snd_nxt.is_new_ack(snd_una, snd_nxt));
            assert!(!(snd_nxt + 1).is_new_ack(snd_una, snd_nxt));
        }
    }

    #[test]
    fn window_is_closed_below_and_open_above() {
        for base in BASES {
            let left = SeqNum::new(base);
            assert!(!(left - 1).is_in_window(left, 5));
            assert!(left.is_in_window(left, 5));
            assert!((left + 4).is_in_window(left, 5));
            assert!(!(left + 5).is_in_window(left, 5));
            assert!(!left.is_in_window(left, 0));
        }
    }

    #[test]
    fn addition_and_subtraction_wrap() {
        assert_eq!(SeqNum::new(u32::MAX) + 2, SeqNum::new(1));
        assert_eq!(SeqNum::new(1) - 2, SeqNum::new(u32::MAX));
        assert_eq!(SeqNum::new(1).distance_from(SeqNum::new(u32::MAX)), 2);
    }
}
