//! How IP is to carry a segment: what of the IP header is TCP's business (RFC 9293 §3.9.1.9, §3.9.2).

use core::fmt;
use core::num::NonZeroU8;

/// The DiffServ codepoint: the upper six bits of the octet that it shares with ECN (RFC 2474 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiffServ(u8);

impl DiffServ {
    /// A codepoint of 0 to 63; `None` for more than six bits can hold.
    #[must_use]
    pub const fn new(codepoint: u8) -> Option<Self> {
        if codepoint < 1 << 6 { Some(Self(codepoint)) } else { None }
    }

    /// The codepoint, 0 to 63.
    #[must_use]
    pub const fn codepoint(self) -> u8 {
        self.0
    }
}

impl fmt::Display for DiffServ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The time to live of the packets sent, in hops (RFC 9293 §3.9.2, MUST-49).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ttl {
    /// That of the lower layer.
    #[default]
    Default,
    /// So many.
    Hops(NonZeroU8),
}

/// What TCP has found out about the path, for IP (RFC 9293 §3.8.3: "negative advice").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Path {
    /// Nothing is known against it.
    #[default]
    Good,
    /// R1 is reached: what was sent over it is not acknowledged (MUST-20).
    Doubtful,
}

/// Whether a packet may be cut on its way (RFC 1191 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragmentation {
    /// It may not: DF, for path MTU discovery.
    #[default]
    Forbidden,
    /// It may.
    Allowed,
}

/// The ECN field of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// ECN-capable, ECT(1).
    Ect1,
    /// ECN-capable, ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Ecn {
    /// The field of which the lower two bits are these.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }

    /// The two bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }
}

/// What goes with a segment to the IP layer, and comes with one from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carriage {
    /// The DiffServ codepoint, handed to IP unchanged (RFC 9293 §3.9.1.9, SHLD-22).
    pub diff_serv: DiffServ,
    /// The time to live.
    pub ttl: Ttl,
    /// The advice on the path.
    pub path: Path,
    /// Whether it may be cut.
    pub fragmentation: Fragmentation,
    /// ECN: what is sent, and what of it arrived.
    pub ecn: Ecn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecn_fields_have_two_bits() {
        for bits in 0..=u8::MAX {
            assert_eq!(Ecn::from_bits(bits).bits(), bits & 3);
        }
    }

    #[test]
    fn must_48_codepoints_have_six_bits() {
        assert_eq!(DiffServ::new(63).map(DiffServ::codepoint), Some(63));
        assert_eq!(DiffServ::new(64), None);
    }
}
