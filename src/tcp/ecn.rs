//! Explicit congestion notification: routers mark packets instead of dropping them (RFC 3168, RFC 9293 §3.8.2, SHLD-8).
//!
//! Both ends have to want it. Then new text goes as ECN-capable; what comes marked is echoed by ECE until the sender says by CWR
//! that it has slowed down, which it does once for each window of data.

use smoltcp::time::Instant;

use super::carriage::Ecn;
use super::segment::{Control, Segment};
use super::seq::SeqNum;
use super::tcb::Tcb;

/// Whether a connection uses ECN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EcnUse {
    /// If the peer asks for it, as in Linux by default.
    #[default]
    Accept,
    /// It is asked for by an active OPEN, too.
    Request,
    /// Never.
    Off,
}

/// Whether a mark has to be echoed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Echo {
    /// None came since the peer's last CWR.
    Silent,
    /// ECE goes with every ACK (RFC 3168 §6.1.3).
    Ece,
}

/// Whether the peer knows that we have slowed down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reduced {
    /// It does.
    Told,
    /// CWR goes with the next new text (RFC 3168 §6.1.2).
    Due,
}

/// Whether an acknowledgement echoes a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Marked {
    /// It does not.
    No,
    /// It does: the congestion window does not grow (RFC 3168 §6.1.2).
    Yes,
}

/// What an acknowledgement says of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Nothing new.
    Nothing,
    /// Packets of this window were marked.
    Congestion,
}

/// Both directions of a connection on which ECN was agreed.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    echo: Echo,
    reduced: Reduced,
    /// Marks of what was sent before this are answered already: once for each window of data.
    recover: Option<SeqNum>,
    /// How often the window had been reduced when CWR was last sent.
    told: u32,
}

/// The state of ECN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    wanted: EcnUse,
    /// `None` unless both ends want it.
    agreed: Option<Agreed>,
}

impl Notification {
    /// Nothing agreed yet.
    pub(super) const fn new(wanted: EcnUse) -> Self {
        Self { wanted, agreed: None }
    }

    /// The bits of an active OPEN's SYN (RFC 3168 §6.1.1).
    pub(super) fn of_syn(&self) -> Control {
        if self.wanted == EcnUse::Request { Control::ECE | Control::CWR } else { Control::NONE }
    }

    /// Our SYN is sent again: perhaps somebody on the path drops SYNs that ask for ECN (RFC 3168 §6.1.1.1).
    pub(super) fn syn_sent_again(&mut self) {
        if self.wanted == EcnUse::Request {
            self.wanted = EcnUse::Accept;
        }
    }

    /// The bits of a SYN,ACK.
    pub(super) fn of_syn_ack(&self) -> Control {
        if self.agreed.is_some() { Control::ECE } else { Control::NONE }
    }

    /// The peer's SYN, which asks for ECN by both bits, or its SYN,ACK, which agrees by ECE alone (RFC 3168 §6.1.1).
    pub(super) fn take_syn(&mut self, syn: Control) {
        let agrees = match (syn.ack(), self.wanted) {
            (_, EcnUse::Off) | (true, EcnUse::Accept) => false,
            (false, EcnUse::Accept | EcnUse::Request) => syn.ece() && syn.cwr(),
            (true, EcnUse::Request) => syn.ece() && !syn.cwr(),
        };
        let fresh = Agreed { echo: Echo::Silent, reduced: Reduced::Told, recover: None, told: 0 };
        self.agreed = agrees.then_some(fresh);
    }

    /// ECE, if the peer has to be told of a mark.
    fn of_ack(&self) -> Control {
        match self.agreed {
            Some(Agreed { echo: Echo::Ece, .. }) => Control::ECE,
            Some(_) | None => Control::NONE,
        }
    }

    /// What new text carries: ECT(0), and CWR once. No pure ACK, retransmission or window probe does (RFC 3168 §6.1.4 to §6.1.6).
    ///
    /// CWR follows a reduction of the window for any reason, a loss as well (RFC 3168 §6.1.2): there were so many `reductions`.
    fn mark_new(&mut self, segment: &mut Segment, reductions: u32) {
        let Some(agreed) = &mut self.agreed else {
            return;
        };
        segment.carriage.ecn = Ecn::Ect0;
        if agreed.reduced == Reduced::Due || agreed.told != reductions {
            agreed.reduced = Reduced::Told;
            agreed.told = reductions;
            segment.control = segment.control | Control::CWR;
        }
    }

    /// An acceptable segment arrived; whether it is marked and has to be acknowledged at once.
    fn arrived(&mut self, segment: &Segment) -> Heard {
        let Some(agreed) = &mut self.agreed else {
            return Heard::Nothing;
        };
        if segment.control.cwr() {
            agreed.echo = Echo::Silent;
        }
        if segment.carriage.ecn == Ecn::Ce && !segment.payload.is_empty() {
            agreed.echo = Echo::Ece;
            return Heard::Congestion;
        }
        Heard::Nothing
    }

    /// An acknowledgement of everything before `snd_una` arrived, with or without ECE; `snd_nxt` is where new text goes on.
    fn acknowledged(&mut self, control: Control, snd_una: SeqNum, snd_nxt: SeqNum) -> Heard {
        let Some(agreed) = &mut self.agreed else {
            return Heard::Nothing;
        };
        agreed.recover.take_if(|recover| recover.is_before(snd_una));
        if !control.ece() || agreed.recover.is_some() {
            return Heard::Nothing;
        }
        agreed.recover = Some(snd_nxt);
        agreed.reduced = Reduced::Due;
        Heard::Congestion
    }
}

impl Tcb {
    /// The bits of ECN on a segment that acknowledges.
    pub(super) fn ecn_echo(&self) -> Control {
        self.ecn.of_ack()
    }

    /// Marks a segment that brings text for the first time.
    pub(super) fn mark_new_text(&mut self, segment: &mut Segment) {
        self.ecn.mark_new(segment, self.snd.congestion().reductions());
    }

    /// Whether an acceptable segment echoes a mark, before its acknowledgement is taken.
    pub(super) fn mark_echoed(&self, segment: &Segment) -> Marked {
        if self.ecn.agreed.is_some() && segment.control.ece() { Marked::Yes } else { Marked::No }
    }

    /// Takes what an acceptable segment says of congestion, its acknowledgement having been taken; `flight` was outstanding before.
    pub(super) fn note_congestion(&mut self, segment: &Segment, flight: u32, now: Instant) {
        if self.ecn.arrived(segment) == Heard::Congestion {
            self.rcv.owe_ack();
        }
        let (snd_una, snd_nxt) = (self.snd.snd_una(), self.snd.snd_nxt());
        if self.ecn.acknowledged(segment.control, snd_una, snd_nxt) == Heard::Congestion {
            self.snd.congestion_experienced(flight, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::solo::{at, complete, due, from_peer, syn, syn_received, take};
    use super::super::{Config, Established, Tcp};
    use super::*;

    const ASKS: Control = Control::SYN.with(Control::ECE).with(Control::CWR);

    /// A connection on which ECN is agreed.
    fn agreed() -> Tcp<Established> {
        let (tcp, syn_ack) = syn_received(Config::default(), syn(ASKS));
        assert!(syn_ack.control.ece() && !syn_ack.control.cwr());
        complete(tcp, from_peer(Control::ACK, 0, 0, b""))
    }

    /// A segment of the peer that a router has marked.
    fn marked(seq: u32, text: &[u8]) -> Segment {
        let mut segment = from_peer(Control::ACK, seq, 0, text);
        segment.carriage.ecn = Ecn::Ce;
        segment
    }

    fn ece(acked: u32) -> Segment {
        from_peer(Control::ACK | Control::ECE, 0, acked, b"")
    }

    #[test]
    fn ecn_is_agreed_upon_by_both_bits_of_the_syn_only() {
        for (bits, config) in [
            (Control::SYN, EcnUse::Accept),
            (Control::SYN | Control::ECE, EcnUse::Accept),
            (Control::SYN | Control::CWR, EcnUse::Accept),
            (ASKS, EcnUse::Off),
        ] {
            let (tcp, syn_ack) = syn_received(Config { ecn: config, ..Config::default() }, syn(bits));
            assert_eq!(syn_ack.control, Control::SYN | Control::ACK, "{bits}");
            assert_eq!(syn_ack.carriage.ecn, Ecn::NotEct);
            let mut tcp = complete(tcp, from_peer(Control::ACK, 0, 0, b""));
            tcp.send(b"text", at(0));
            assert_eq!(due(&mut tcp, at(0))[0].carriage.ecn, Ecn::NotEct);
            take(&mut tcp, marked(0, b"a"), at(0));
            assert!(due(&mut tcp, at(1)).iter().all(|segment| !segment.control.ece()));
        }
    }

    #[test]
    fn an_active_open_asks_if_it_is_to_and_not_when_it_has_to_ask_again() {
        let mut ecn = Notification::new(EcnUse::Request);
        assert_eq!(ecn.of_syn(), Control::ECE | Control::CWR);
        let agrees = |ecn: &Notification, bits| {
            let mut ecn = *ecn;
            ecn.take_syn(bits);
            ecn.agreed.is_some()
        };
        let syn_ack = Control::SYN | Control::ACK;
        assert!(agrees(&ecn, syn_ack | Control::ECE));
        assert!(!agrees(&ecn, syn_ack | Control::ECE | Control::CWR));
        assert!(!agrees(&ecn, syn_ack));
        ecn.syn_sent_again();
        assert_eq!(ecn.of_syn(), Control::NONE);
        assert!(!agrees(&ecn, syn_ack | Control::ECE));
        assert_eq!(Notification::new(EcnUse::Accept).of_syn(), Control::NONE);
    }

    #[test]
    fn new_text_is_ecn_capable_and_nothing_else_is() {
        let mut tcp = agreed();
        take(&mut tcp, from_peer(Control::ACK, 0, 0, b"a"), at(0));
        assert_eq!(due(&mut tcp, at(0) + smoltcp::time::Duration::from_millis(40))[0].carriage.ecn, Ecn::NotEct);
        tcp.send(b"text", at(0));
        assert_eq!(due(&mut tcp, at(0))[0].carriage.ecn, Ecn::Ect0);
        let again = due(&mut tcp, at(2));
        assert_eq!((&again[0].payload[..], again[0].carriage.ecn), (&b"text"[..], Ecn::NotEct));
    }

    #[test]
    fn a_window_probe_is_not_ecn_capable() {
        let mut tcp = agreed();
        take(&mut tcp, Segment { wnd: 0, ..from_peer(Control::ACK, 0, 0, b"") }, at(0));
        tcp.send(b"text", at(0));
        let probe = due(&mut tcp, at(1));
        assert_eq!((probe[0].payload.len(), probe[0].carriage.ecn), (1, Ecn::NotEct));
    }

    #[test]
    fn a_mark_is_echoed_at_once_and_until_the_peer_has_slowed_down() {
        let mut tcp = agreed();
        take(&mut tcp, marked(0, b"a"), at(0));
        assert!(due(&mut tcp, at(0))[0].control.ece());
        take(&mut tcp, from_peer(Control::ACK, 1, 0, b"b"), at(0));
        tcp.send(b"text", at(0));
        assert!(due(&mut tcp, at(0))[0].control.ece());
        take(&mut tcp, from_peer(Control::ACK | Control::CWR, 2, 0, b"c"), at(1));
        tcp.send(b"more", at(1));
        take(&mut tcp, from_peer(Control::ACK, 3, 4, b"d"), at(1));
        assert!(due(&mut tcp, at(1)).iter().all(|segment| !segment.control.ece()));
        // A mark on the very segment that says CWR counts.
        let mut both = marked(4, b"e");
        both.control = both.control | Control::CWR;
        take(&mut tcp, both, at(1));
        assert!(due(&mut tcp, at(1))[0].control.ece());
    }

    #[test]
    fn a_mark_without_text_is_not_echoed() {
        let mut tcp = agreed();
        take(&mut tcp, marked(0, b""), at(0));
        let ack: Segment = tcp.transmit(at(0)).into();
        assert!(!ack.control.ece());
    }

    #[test]
    fn the_sender_slows_down_once_for_each_window_and_says_so_once() {
        let mut tcp = agreed();
        tcp.send(&[7; 14_600], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 10);
        let before = tcp.status().cwnd;
        take(&mut tcp, ece(1460), at(0));
        let after = tcp.status().cwnd;
        assert!(after < before && after == tcp.status().ssthresh, "{before} {after}");
        for acked in 2..=10 {
            take(&mut tcp, ece(1460 * acked), at(0));
        }
        assert!(tcp.status().cwnd >= after);
        tcp.send(&[7; 2920], at(0));
        let cwr: Vec<bool> = due(&mut tcp, at(0)).iter().map(|segment| segment.control.cwr()).collect();
        assert_eq!(cwr, [true, false]);
        // All of the first window is acknowledged: a further echo is about the next one.
        let before = tcp.status().cwnd;
        take(&mut tcp, ece(14_600 + 1460), at(0));
        assert!(tcp.status().cwnd < before);
    }

    #[test]
    fn the_window_shrinks_by_what_was_outstanding_before_the_acknowledgement() {
        let mut tcp = agreed();
        tcp.send(&[7; 14_600], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 10);
        take(&mut tcp, ece(14_600), at(0));
        assert_eq!((tcp.status().cwnd, tcp.status().ssthresh), (10_220, 10_220), "RFC 9438 §4.6");
    }

    #[test]
    fn the_window_does_not_grow_with_an_echo() {
        let mut tcp = agreed();
        tcp.send(&[7; 14_600], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 10);
        take(&mut tcp, ece(1460), at(0));
        let after = tcp.status().cwnd;
        for acked in 2..=10 {
            take(&mut tcp, ece(1460 * acked), at(0));
            assert_eq!(tcp.status().cwnd, after, "{acked}");
        }
    }

    #[test]
    fn with_a_window_of_one_segment_new_text_waits_for_the_retransmission_timeout() {
        let mut tcp = agreed();
        tcp.send(&[7; 1460], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        assert_eq!(due(&mut tcp, at(1)).len(), 1);
        take(&mut tcp, ece(1460), at(1));
        assert_eq!(tcp.status().cwnd, 1460, "not more than before");
        let rto = tcp.status().rto;
        tcp.send(&[7; 2920], at(1));
        let sent = super::super::solo::alone(&mut tcp, at(1), at(1) + rto);
        let first: Vec<_> = sent.iter().map(|(when, segment)| (*when, segment.payload.len())).collect();
        assert_eq!(first, [(at(1) + rto, 1460)]);
        let now = at(1) + rto;
        take(&mut tcp, ece(2920), now);
        let rto = tcp.status().rto;
        assert_eq!(super::super::solo::alone(&mut tcp, now, at(60))[0].0, now + rto, "once more");
    }

    #[test]
    fn the_peer_is_told_of_a_reduction_after_a_loss_as_well_with_the_next_new_text() {
        let mut tcp = agreed();
        tcp.send(&[7; 14_600], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 10);
        (0..3).for_each(|_| take(&mut tcp, from_peer(Control::ACK, 0, 0, b""), at(0)));
        let again = due(&mut tcp, at(0));
        assert_eq!((again.len(), again[0].control.cwr()), (1, false), "not with what is sent again");
        take(&mut tcp, from_peer(Control::ACK, 0, 14_600, b""), at(0));
        tcp.send(&[7; 2920], at(0));
        let cwr: Vec<bool> = due(&mut tcp, at(0)).iter().map(|segment| segment.control.cwr()).collect();
        assert_eq!(cwr, [true, false]);
    }

    #[test]
    fn an_echo_that_was_not_agreed_upon_means_nothing() {
        let mut tcp = super::super::solo::established(Config::default());
        tcp.send(&[7; 1460], at(0));
        assert_eq!(due(&mut tcp, at(0)).len(), 1);
        let before = tcp.status().cwnd;
        take(&mut tcp, ece(1460), at(0));
        assert!(tcp.status().cwnd >= before);
    }
}
