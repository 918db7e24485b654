//! SYN-RECEIVED (RFC 9293 §3.10.7.4).

use smoltcp::time::Instant;

use super::established::{CloseWait, Established};
use super::listen::TcpListen;
use super::segment::{Control, Options, Segment};
use super::tcb::{HandshakeWork, Tcb, refusal_of};
use super::verdict::{AcksSyn, AcksSynAndFinishes, Answer, Judged, Reaction, Refusal, Restarts};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::{Rst, SynAck};

/// Where a connection in SYN-RECEIVED came from (RFC 9293 §3.5, MUST-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From LISTEN.
    Passive,
    /// From SYN-SENT.
    Active,
}

/// Whether the peer seems not to have got our SYN,ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// No sign of it.
    No,
    /// It sent its SYN again.
    Yes,
}

/// SYN-RECEIVED: our SYN,ACK was sent.
#[derive(Debug)]
pub struct SynReceived {
    /// Where it came from.
    origin: Origin,
    /// The options of our SYN,ACK.
    options: Options,
    /// Whether the SYN,ACK is due without the timer.
    missed: Missed,
}

impl SynReceived {
    /// A SYN,ACK with these options is about to be sent.
    pub(super) const fn new(origin: Origin, options: Options) -> Self {
        Self { origin, options, missed: Missed::No }
    }
}

impl State for SynReceived {
    const NAME: &'static str = "SYN-RECEIVED";
}

impl sealed::Hooks for SynReceived {
    /// RFC 9293 §3.10.7.4, first, wants an ACK for the peer's SYN when it comes again, but SYN-SENT drops that ACK; so the SYN,ACK
    /// follows it, without waiting for the timer.
    fn challenged(&mut self, tcb: &Tcb, segment: &Segment, _now: Instant) {
        let control = segment.control;
        if control.syn() && !control.ack() && !control.rst() && segment.seq == tcb.rcv.irs() {
            self.missed = Missed::Yes;
        }
    }
}

/// What a segment can be in SYN-RECEIVED.
#[derive(Debug)]
#[must_use]
pub enum SynReceivedVerdict {
    /// It acknowledges our SYN.
    Acked(AcksSyn),
    /// It also completes the peer's stream.
    Finished(AcksSynAndFinishes),
    /// A SYN in the window, after a passive OPEN: back to LISTEN.
    Restart(Restarts),
}

/// What is due in SYN-RECEIVED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynReceivedDue {
    /// Our SYN,ACK again.
    Retransmit,
    /// The peer has not answered for too long (RFC 9293 §3.8.3, MUST-23).
    GiveUp,
}

impl Tcp<SynReceived> {
    /// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.
    pub(super) fn syn_ack(&mut self, now: Instant) -> SynAck {
        let (ack, wnd) = self.tcb.rcv.acknowledge_syn();
        let options = Options { timestamp: self.tcb.stamps.for_ack(ack, now), ..self.state.options.clone() };
        let control = Control::SYN | Control::ACK | self.tcb.ecn.of_syn_ack();
        SynAck::mark(Segment { seq: self.tcb.snd.iss(), ack, control, wnd, options, ..self.tcb.blank() })
    }

    /// Where it came from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.state.origin
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<SynReceivedVerdict> {
        match self.check(segment, now) {
            Ok(verdict) => Reaction::Acceptable(verdict),
            Err(refusal) => refusal.into(),
        }
    }

    /// The checks of SYN-RECEIVED, in the order of RFC 9293 §3.10.7.4.
    fn check(&self, segment: Segment, now: Instant) -> Result<SynReceivedVerdict, Refusal> {
        let segment = self.tcb.check_sequence_and_rst(self.uncrossed(segment), now)?;
        let segment = self.without_old_syn(segment);
        if segment.control.syn() {
            // Fourth: passive, return to LISTEN; else as in the synchronized states.
            return match self.state.origin {
                Origin::Passive => Ok(SynReceivedVerdict::Restart(Restarts(Judged::whole(segment)))),
                Origin::Active => Err(self.tcb.owes_ack(segment, now)),
            };
        }
        if !segment.control.ack() {
            return Err(Refusal::NotAcceptable(segment, Answer::Nothing));
        }
        if !self.tcb.snd.is_new_ack(segment.ack) {
            // Fifth: the acknowledgment is not acceptable: form a reset segment.
            return Err(Refusal::NotAcceptable(segment, Answer::Rst));
        }
        let judged = self.tcb.trimmed(segment);
        Ok(if self.tcb.rcv.would_finish(&judged.segment) {
            SynReceivedVerdict::Finished(AcksSynAndFinishes(judged))
        } else {
            SynReceivedVerdict::Acked(AcksSyn(judged))
        })
    }

    /// The SYN,ACK of a peer that opened at the same time, cut to its ACK; every other segment as it is.
    ///
    /// Table 6 has no room for it, since it begins before RCV.NXT, but figure 8 lets it establish the connection (RFC 9293 §3.5).
    fn uncrossed(&self, segment: Segment) -> Segment {
        let control = segment.control;
        let is_syn_ack = control.syn() && control.ack() && !control.rst() && segment.seq == self.tcb.rcv.irs();
        if self.state.origin == Origin::Passive || !is_syn_ack || !self.tcb.snd.is_new_ack(segment.ack) {
            return segment;
        }
        self.without_syn(segment)
    }

    /// A segment whose SYN lies before the window, but not all of its text, without that SYN (RFC 9293 §3.10.7.4: portions that lie
    /// outside of the window are trimmed, SYN and FIN included); after an active OPEN any SYN is challenged (RFC 5961 §4.2).
    fn without_old_syn(&self, segment: Segment) -> Segment {
        let is_old = segment.control.syn() && segment.seq.is_before(self.tcb.rcv.rcv_nxt());
        match self.state.origin {
            Origin::Passive if is_old => self.without_syn(segment),
            Origin::Passive | Origin::Active => segment,
        }
    }

    /// The segment without its SYN.
    fn without_syn(&self, segment: Segment) -> Segment {
        // RFC 7323 §2.2: its window is not scaled, that of an ACK is. Deviation: so the window of the SYN,ACK in a simultaneous open
        // (RFC 9293 §3.5, figure 8) is taken rounded down to what an ACK could announce. A peer notices nothing: its next ACK tells it.
        let wnd = self.tcb.snd.scaled_down(segment.wnd);
        Segment { seq: segment.text_seq(), control: segment.control.without(Control::SYN), wnd, ..segment }
    }

    /// The RST for an acknowledgement that is not acceptable (RFC 9293 §3.10.7.4, fifth).
    pub fn refuse(&self, segment: &Segment) -> Rst {
        let options = Options { timestamp: self.tcb.stamps.for_rst(), ..Options::default() };
        Rst::mark(Segment { options, ..refusal_of(segment).into() })
    }

    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<SynReceivedDue> {
        match (self.tcb.poll_handshake(now), self.state.missed) {
            (Poll::Now(HandshakeWork::GiveUp), Missed::Yes | Missed::No) => Poll::Now(SynReceivedDue::GiveUp),
            (_, Missed::Yes) => Poll::Now(SynReceivedDue::Retransmit),
            (poll, Missed::No) => poll.map(|_| SynReceivedDue::Retransmit),
        }
    }

    /// Our SYN,ACK again.
    pub fn retransmit(&mut self, now: Instant) -> SynAck {
        self.state.missed = Missed::No;
        self.tcb.snd.syn_sent_again(now);
        self.syn_ack(now)
    }

    /// To ESTABLISHED (RFC 9293 §3.10.7.4, fifth).
    pub fn established(mut self, AcksSyn(judged): AcksSyn, now: Instant) -> Tcp<Established> {
        self.synchronize(judged, now);
        self.into_state(Established::new())
    }

    /// To CLOSE-WAIT (RFC 9293 §3.10.7.4, fifth and eighth).
    pub fn close_wait(mut self, AcksSynAndFinishes(judged): AcksSynAndFinishes, now: Instant) -> Tcp<CloseWait> {
        self.synchronize(judged, now);
        self.into_state(CloseWait::new())
    }

    /// Our SYN is acknowledged: takes the window, what came with the SYN, and what comes with this segment.
    fn synchronize(&mut self, Judged { segment, trim, seg_seq }: Judged, now: Instant) {
        self.tcb.take_stamp(&segment, seg_seq, now);
        self.tcb.snd.establish(&segment, now);
        self.tcb.rcv.release_early_text();
        self.tcb.take_urgent(&segment, seg_seq);
        self.tcb.take_text(segment, trim, now);
    }

    /// Back to LISTEN (RFC 9293 §3.10.7.4, second and fourth), for a connection that came from there.
    #[must_use]
    pub fn listen(self) -> TcpListen {
        TcpListen::again(self.tcb.local, self.tcb.config)
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::segment::Timestamp;
    use super::super::testing::{BASES, ENDS, Ends, Judge, Kind, NOW, REMOTE, WND, segment, text};
    use super::super::{Config, Due, Status};
    use super::*;
    use crate::smol_channel::Syn;

    fn established(tcp: Tcp<SynReceived>, segment: Segment) -> Tcp<Established> {
        let Reaction::Acceptable(SynReceivedVerdict::Acked(proof)) = tcp.judge(segment, NOW) else {
            panic!("it acknowledges our SYN");
        };
        tcp.established(proof, NOW)
    }

    #[test]
    fn sequence_numbers_are_checked_first() {
        for ends in BASES {
            let tcp = ends.syn_received(Config::default());
            let Status { rcv_nxt, rcv_wnd, snd_nxt, .. } = tcp.status();
            assert_eq!((rcv_nxt, rcv_wnd), (ends.irs + 1, WND));
            assert_eq!(tcp.kind(segment(rcv_nxt - 1, snd_nxt, Control::ACK)), Kind::Ack);
            assert_eq!(tcp.kind(segment(rcv_nxt + (rcv_wnd - 1), snd_nxt, Control::ACK)), Kind::Acceptable);
            assert_eq!(tcp.kind(segment(rcv_nxt + rcv_wnd, snd_nxt, Control::ACK)), Kind::Ack);
        }
    }

    #[test]
    fn rst_is_obeyed_at_rcv_nxt_only() {
        for ends in BASES {
            let tcp = ends.syn_received(Config::default());
            let rst = |seq| tcp.kind(segment(seq, ends.iss, Control::RST));
            assert_eq!(rst(ends.irs), Kind::Silence);
            assert_eq!(rst(ends.irs + 1), Kind::Reset);
            assert_eq!(rst(ends.irs + 2), Kind::Ack);
            assert_eq!(rst(ends.irs + WND), Kind::Ack);
            assert_eq!(rst(ends.irs + 1 + WND), Kind::Silence);
        }
    }

    #[test]
    fn syn_in_the_window_leads_back_to_listen() {
        let tcp = ENDS.syn_received(Config::default());
        let syn = segment(ENDS.irs + 1, ENDS.iss, Control::SYN);
        assert!(matches!(tcp.judge(syn, NOW), Reaction::Acceptable(SynReceivedVerdict::Restart(_))));
        assert_eq!(tcp.origin(), Origin::Passive);
        assert_eq!(tcp.listen().to_string(), "LISTEN");
    }

    #[test]
    fn the_same_syn_again_is_answered_with_an_ack_and_then_the_syn_ack() {
        let mut tcp = ENDS.syn_received(Config::default());
        let Reaction::NotAcceptable(syn, Answer::Ack) = tcp.judge(ENDS.syn().into(), NOW) else {
            panic!("an ACK is owed");
        };
        let ack = Segment::from(tcp.challenge(&syn, NOW));
        assert_eq!((ack.seq, ack.ack, ack.control), (ENDS.iss + 1, ENDS.irs + 1, Control::ACK));
        assert_eq!(tcp.poll(NOW), Poll::Now(SynReceivedDue::Retransmit));
        assert_eq!(tcp.retransmit(NOW).segment().seq, ENDS.iss);
        assert_eq!(tcp.poll(NOW), Poll::At(NOW + Duration::from_secs(1)));
    }

    #[test]
    fn segment_without_ack_is_dropped() {
        let tcp = ENDS.syn_received(Config::default());
        assert_eq!(tcp.kind(segment(ENDS.irs + 1, ENDS.iss + 1, Control::NONE)), Kind::Silence);
        assert_eq!(tcp.kind(segment(ENDS.irs + 1, ENDS.iss + 1, Control::FIN)), Kind::Silence);
    }

    #[test]
    fn bad_acknowledgement_is_refused_with_its_own_number() {
        for ends in BASES {
            let tcp = ends.syn_received(Config::default());
            for (ack, expected) in [(0, Kind::Rst), (1, Kind::Acceptable), (2, Kind::Rst), (0x8000_0000, Kind::Rst)] {
                let segment = segment(ends.irs + 1, ends.iss + ack, Control::ACK);
                assert_eq!(tcp.kind(segment.clone()), expected, "{ack}");
                let rst = Segment::from(tcp.refuse(&segment));
                assert_eq!((rst.seq, rst.control), (ends.iss + ack, Control::RST));
            }
        }
    }

    #[test]
    fn refusal_has_timestamps_where_both_syns_had_them() {
        for stamp in [None, Some(Timestamp { tsval: 7, tsecr: 0 })] {
            let options = Options { timestamp: stamp, ..Options::default() };
            let syn = Syn::try_from(Segment { options, ..ENDS.syn().into() }).unwrap();
            let (tcp, _syn_ack) = Ends::listen(Config::default()).recv_syn(REMOTE, syn, ENDS.iss, NOW);
            let rst = Segment::from(tcp.refuse(&segment(ENDS.irs + 1, ENDS.iss, Control::ACK)));
            assert_eq!(rst.options.timestamp.is_some(), stamp.is_some());
        }
    }

    #[test]
    fn text_with_the_handshake_ack_is_taken() {
        let mut tcp = established(ENDS.syn_received(Config::default()), text(ENDS.irs + 1, ENDS.iss + 1, b"hello"));
        assert_eq!(tcp.deliver(100), b"hello");
        assert_eq!(tcp.status().rcv_nxt, ENDS.irs + 6);
    }

    #[test]
    fn text_after_a_lost_handshake_ack_is_held() {
        let mut tcp = established(ENDS.syn_received(Config::default()), text(ENDS.irs + 3, ENDS.iss + 1, b"llo"));
        assert_eq!(tcp.readable(), 0);
        tcp.arrives(text(ENDS.irs + 1, ENDS.iss + 1, b"he"), NOW);
        assert_eq!(tcp.deliver(100), b"hello");
    }

    /// A connection whose SYN came with text.
    fn with_early_text(ends: Ends, payload: &[u8]) -> Tcp<SynReceived> {
        let syn = Segment { payload: payload.to_vec(), ..ends.syn().into() };
        let (tcp, syn_ack) =
            Ends::listen(Config::default()).recv_syn(REMOTE, Syn::try_from(syn).unwrap(), ends.iss, NOW);
        assert_eq!(syn_ack.segment().ack, ends.irs + 1);
        tcp
    }

    #[test]
    fn text_in_the_syn_is_delivered_after_the_handshake() {
        for ends in BASES {
            // The peer counts its text as sent, or sends it again.
            for (seq, payload) in
                [(6, &b""[..]), (1, b""), (1, b"hello"), (1, b"hel"), (6, b" world"), (4, b"lo world")]
            {
                let tcp = with_early_text(ends, b"hello");
                let mut tcp = established(tcp, text(ends.irs + seq, ends.iss + 1, payload));
                let all = if payload.ends_with(b"world") { &b"hello world"[..] } else { b"hello" };
                assert_eq!(tcp.deliver(100), all, "{seq} {payload:?}");
                assert_eq!(tcp.poll(NOW), Poll::Now(Due::Segment));
                assert_eq!(tcp.transmit(NOW).segment().ack, ends.irs + 1 + u32::try_from(all.len()).unwrap());
            }
        }
    }

    #[test]
    fn fin_with_the_handshake_ack_leads_to_close_wait() {
        for ends in BASES {
            for (tcp, fin) in [
                (ends.syn_received(Config::default()), Segment { payload: b"hello".to_vec(), ..ends.fin() }),
                (with_early_text(ends, b"hello"), Segment { seq: ends.irs + 6, ..ends.fin() }),
            ] {
                let Reaction::Acceptable(SynReceivedVerdict::Finished(proof)) = tcp.judge(fin, NOW) else {
                    panic!("it completes the peer's stream");
                };
                let mut tcp = tcp.close_wait(proof, NOW);
                assert_eq!(tcp.deliver(100), b"hello");
                assert!(tcp.drained());
                assert_eq!(tcp.transmit(NOW).segment().ack, ends.irs + 7);
            }
        }
    }

    #[test]
    fn must_22_syn_ack_is_sent_again_with_backoff_until_syn_r2() {
        let mut tcp = ENDS.syn_received(Config::default());
        let (mut now, mut times) = (NOW, Vec::new());
        loop {
            match tcp.poll(now) {
                Poll::Now(SynReceivedDue::Retransmit) => {
                    let again = Segment::from(tcp.retransmit(now));
                    assert_eq!((again.seq, again.ack, again.options.mss), (ENDS.iss, ENDS.irs + 1, Some(1460)));
                    times.push((now - NOW).secs());
                }
                Poll::Now(SynReceivedDue::GiveUp) => break,
                Poll::At(at) => now = at,
                Poll::Never => panic!("the SYN,ACK is outstanding"),
            }
        }
        assert_eq!((times, now - NOW), (vec![1, 3, 7, 15, 31, 63, 123], Duration::from_secs(180)));
    }

    #[test]
    fn lost_syn_ack_costs_the_initial_window_and_leaves_an_rto_of_three_seconds() {
        let mut tcp = ENDS.syn_received(Config::default());
        let _again = tcp.retransmit(NOW + Duration::from_secs(1));
        let status = established(tcp, ENDS.ack()).status();
        assert_eq!((status.cwnd, status.rto), (1460, Duration::from_secs(3)));
    }
}
