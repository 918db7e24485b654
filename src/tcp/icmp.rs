//! What ICMP errors mean to a connection (RFC 9293 §3.9.2.2, RFC 1122 §4.2.3.9, RFC 5927).
//!
//! Anyone can send them, so an error counts only if the octets of ours that it quotes lie in flight (RFC 5927 §4.1), and none
//! ends a connection whose handshake is complete (RFC 5927 §5.2).

use core::fmt;

use super::seq::SeqNum;
use super::tcb::Tcb;
use super::{State, Tcp};

/// An ICMP error about a segment of ours, parsed; Source Quench is none (RFC 9293 §3.9.2.2, MUST-55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What is said to have happened.
    pub kind: IcmpKind,
    /// SEG.SEQ of the segment quoted.
    pub seq: SeqNum,
    /// Total Length of the packet quoted, in octets.
    pub packet_bytes: u16,
}

/// The kinds of ICMP errors (RFC 792).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// Destination Unreachable with this code, other than 4.
    Unreachable(u8),
    /// Destination Unreachable, code 4: fragmentation needed and DF set.
    TooBig {
        /// MTU of the next hop; 0 from a router that does not tell (RFC 1191 §4).
        next_hop_mtu: u16,
    },
    /// Time Exceeded.
    TimeExceeded,
    /// Parameter Problem.
    ParameterProblem,
}

impl fmt::Display for IcmpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(code) => write!(f, "destination unreachable ({code})"),
            Self::TooBig { next_hop_mtu } => write!(f, "packet too big (mtu {next_hop_mtu})"),
            Self::TimeExceeded => f.write_str("time exceeded"),
            Self::ParameterProblem => f.write_str("parameter problem"),
        }
    }
}

/// An error that aborts a connection being opened (RFC 9293 §3.9.2.2, SHLD-26): protocol or port unreachable.
///
/// Deviation: RFC 9293 §3.9.2.2 (SHLD-26) has a hard error abort any connection. One whose handshake is complete goes on, and its user is
/// told as of a soft one (RFC 5927 §5.2): else anybody could end connections. The third hard error, "fragmentation needed", only lowers
/// the path MTU (RFC 1191). A peer notices that the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardError(IcmpError);

impl HardError {
    /// The error.
    #[must_use]
    pub const fn error(&self) -> &IcmpError {
        &self.0
    }
}

impl IcmpError {
    /// The error as a hard one.
    ///
    /// # Errors
    ///
    /// Gives it back when it is a soft one: all others, those included that RFC 9293 does not list (MUST-56).
    pub const fn hard(self) -> Result<HardError, Self> {
        match self.kind {
            IcmpKind::Unreachable(2 | 3) => Ok(HardError(self)),
            IcmpKind::Unreachable(_)
            | IcmpKind::TooBig { .. }
            | IcmpKind::TimeExceeded
            | IcmpKind::ParameterProblem => Err(self),
        }
    }
}

impl Tcb {
    /// RFC 5927 §4.1: SND.UNA =< quoted SEG.SEQ < SND.NXT.
    fn is_in_flight(&self, error: &IcmpError) -> bool {
        self.snd.snd_una().is_at_or_before(error.seq) && error.seq.is_before(self.snd.snd_nxt())
    }
}

impl<S: State> Tcp<S> {
    /// Whether the error is about something that the peer has not acknowledged yet (RFC 9293 §3.9.2.2, MUST-54).
    #[must_use]
    pub fn concerns(&self, error: &IcmpError) -> bool {
        self.tcb.is_in_flight(error)
    }

    /// Takes an error that does not end the connection (RFC 9293 §3.9.2.2, MUST-56); one that does not concern it is ignored.
    pub fn notified(&mut self, error: &IcmpError, now: smoltcp::time::Instant) {
        if !self.concerns(error) {
            return;
        }
        match error.kind {
            IcmpKind::TooBig { next_hop_mtu } => self.tcb.path_mtu_reported(error, next_hop_mtu, now),
            IcmpKind::Unreachable(_) | IcmpKind::TimeExceeded | IcmpKind::ParameterProblem => {
                self.tcb.note_soft_error(error.kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::solo::{ISS, at, due, established};
    use super::*;

    fn error(kind: IcmpKind, seq: SeqNum) -> IcmpError {
        IcmpError { kind, seq, packet_bytes: 1500 }
    }

    #[test]
    fn shld_26_only_protocol_and_port_unreachable_are_hard() {
        for code in 0..=u8::MAX {
            let is_hard = error(IcmpKind::Unreachable(code), ISS).hard().is_ok();
            assert_eq!(is_hard, code == 2 || code == 3, "code {code}");
        }
        for kind in [IcmpKind::TooBig { next_hop_mtu: 576 }, IcmpKind::TimeExceeded, IcmpKind::ParameterProblem] {
            assert!(error(kind, ISS).hard().is_err());
        }
    }

    #[test]
    fn must_54_an_error_counts_if_it_quotes_what_is_in_flight() {
        let mut tcp = established(Config::default());
        let first = ISS + 1;
        assert!(!tcp.concerns(&error(IcmpKind::TimeExceeded, first)));
        tcp.send(&[1; 700], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        for (seq, concerns) in [(first - 1, false), (first, true), (first + 699, true), (first + 700, false)] {
            assert_eq!(tcp.concerns(&error(IcmpKind::TimeExceeded, seq)), concerns, "{seq}");
        }
    }
}
