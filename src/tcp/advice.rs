//! What the user is told besides the stream: urgent data (RFC 9293 §3.8.5) and errors that end nothing (§3.9.1.8, MUST-47).
//!
//! Of each kind at most one piece of advice waits, the latest, so that neither peer nor network can make us store or say more
//! than the user asks for.

use core::fmt;

use super::icmp::IcmpKind;
use super::tcb::Tcb;
use super::{Open, Tcp};

/// Whether the user wants to hear of errors (RFC 9293 §3.9.1.8, SHLD-20); of urgent data it hears anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ErrorReports {
    /// It does.
    #[default]
    On,
    /// It does not.
    Off,
}

/// What the user has to know now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Urgent data was announced where none was pending, or its end has moved on (RFC 9293 §3.8.5, MUST-32).
    Urgent {
        /// Octets from the next one that the user will receive to the last urgent one, whether they are here or not (MUST-33).
        octets: u32,
    },
    /// What was sent is not acknowledged: R1 is reached, and R2 is ahead (RFC 9293 §3.8.3, SHLD-9).
    Undelivered {
        /// How often it was sent again.
        retransmissions: u32,
    },
    /// An ICMP error about what was sent (RFC 9293 §3.9.2.2, SHLD-25); the connection goes on.
    Network(IcmpKind),
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Urgent { octets } => write!(f, "{octets} octets up to the end of urgent data"),
            Self::Undelivered { retransmissions } => {
                write!(f, "not acknowledged after {retransmissions} retransmissions")
            }
            Self::Network(kind) => write!(f, "{kind}"),
        }
    }
}

impl Tcb {
    /// Remembers an ICMP error for the user.
    pub(super) fn note_soft_error(&mut self, kind: IcmpKind) {
        if self.config.error_reports == ErrorReports::On {
            self.soft_error = Some(kind);
        }
    }

    /// What the user has to be told first.
    pub(super) fn advice(&self) -> Option<Advice> {
        if let Some(octets) = self.rcv.urgent_to_tell() {
            return Some(Advice::Urgent { octets });
        }
        if self.config.error_reports == ErrorReports::Off {
            return None;
        }
        let undelivered = self.snd.patience().to_tell();
        undelivered
            .map(|retransmissions| Advice::Undelivered { retransmissions })
            .or_else(|| self.soft_error.map(Advice::Network))
    }

    /// The user is told.
    pub(super) fn advised(&mut self, advice: Advice) {
        match advice {
            Advice::Urgent { .. } => self.rcv.urgent_told(),
            Advice::Undelivered { .. } => self.snd.undelivered_told(),
            Advice::Network(_) => self.soft_error = None,
        }
    }
}

impl<S: Open> Tcp<S> {
    /// What the user has to be told, if there is something.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        self.tcb.advice()
    }

    /// The user is told.
    pub fn advised(&mut self, advice: Advice) {
        self.tcb.advised(advice);
    }

    /// Octets of urgent data that the user has still to receive, as far as is known (RFC 9293 §3.8.5, MUST-33).
    #[must_use]
    pub fn urgent_octets(&self) -> u32 {
        self.tcb.rcv.urgent_octets()
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::Control;
    use super::super::solo::{ISS, alone, at, due, established, from_peer, take};
    use super::super::{Config, Due, IcmpError, Poll, Setting};
    use super::*;

    const SOFT: [IcmpKind; 5] = [
        IcmpKind::Unreachable(0),
        IcmpKind::Unreachable(1),
        IcmpKind::Unreachable(5),
        IcmpKind::TimeExceeded,
        IcmpKind::ParameterProblem,
    ];

    fn error(kind: IcmpKind) -> IcmpError {
        IcmpError { kind, seq: ISS + 1, packet_bytes: 44 }
    }

    #[test]
    fn must_56_and_shld_25_a_soft_error_is_told_once_and_aborts_nothing() {
        for kind in SOFT {
            let mut tcp = established(Config::default());
            tcp.send(b"text", at(0));
            assert_eq!(due(&mut tcp, at(0)).len(), 1);
            tcp.notified(&error(kind), at(0));
            assert_eq!(tcp.advice(), Some(Advice::Network(kind)));
            tcp.advised(Advice::Network(kind));
            assert_eq!(tcp.advice(), None);
            assert_ne!(tcp.poll(at(0)), Poll::Now(Due::GiveUp));
            take(&mut tcp, from_peer(Control::ACK, 0, 4, b""), at(0));
        }
    }

    #[test]
    fn shld_9_the_user_is_told_at_r1_and_before_r2() {
        let mut tcp = established(Config::default());
        tcp.send(b"text", at(0));
        // Sent at 0, and again after 1, 3 and 7 seconds.
        assert_eq!(alone(&mut tcp, at(0), at(6)).len(), 3);
        assert_eq!(tcp.advice(), None);
        assert_eq!(alone(&mut tcp, at(6), at(7)).len(), 1);
        let advice = Advice::Undelivered { retransmissions: 3 };
        assert_eq!(tcp.advice(), Some(advice));
        tcp.advised(advice);
        alone(&mut tcp, at(7), at(200));
        assert_eq!(tcp.advice(), None);
    }

    #[test]
    fn shld_20_who_does_not_want_to_hear_of_errors_is_told_of_urgent_data_only() {
        let mut tcp = established(Config::default());
        tcp.set(Setting::ErrorReports(ErrorReports::Off), at(0));
        tcp.send(b"text", at(0));
        alone(&mut tcp, at(0), at(100));
        tcp.notified(&error(IcmpKind::TimeExceeded), at(100));
        assert_eq!(tcp.advice(), None);
        take(&mut tcp, super::super::Segment { up: 1, ..from_peer(Control::ACK | Control::URG, 0, 0, b"!") }, at(100));
        assert_eq!(tcp.advice(), Some(Advice::Urgent { octets: 1 }));
    }

    #[test]
    fn of_many_errors_the_latest_waits() {
        let mut tcp = established(Config::default());
        tcp.send(b"text", at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        for kind in SOFT {
            tcp.notified(&error(kind), at(0));
        }
        tcp.advised(Advice::Network(SOFT[4]));
        assert_eq!(tcp.advice(), None);
    }
}
