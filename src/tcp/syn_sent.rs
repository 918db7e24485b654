//! SYN-SENT (RFC 9293 §3.10.7.3).

use smoltcp::time::{Duration, Instant};

use super::advice::Advice;
use super::established::Established;
use super::segment::{Control, Options, Segment};
use super::syn_received::{Origin, SynReceived};
use super::tcb::{HandshakeWork, refusal_of};
use super::verdict::{Answer, AnswersSyn, CrossesSyn, Judged, Reaction, Resets};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::{Rst, Syn, SynAck};

/// The user has not asked for advice here, so that it is told no more often than this, however many errors the network reports.
const ADVICE_INTERVAL: Duration = Duration::from_secs(1);

/// SYN-SENT: our SYN was sent.
#[derive(Debug)]
pub struct SynSent {
    /// The options of our SYN.
    options: Options,
    /// When the user may be told something.
    advice_at: Instant,
}

impl SynSent {
    /// A SYN with these options is about to be sent.
    pub(super) const fn new(options: Options, now: Instant) -> Self {
        Self { options, advice_at: now }
    }
}

impl State for SynSent {
    const NAME: &'static str = "SYN-SENT";
}

impl sealed::Hooks for SynSent {}

/// What a segment can be in SYN-SENT.
#[derive(Debug)]
#[must_use]
pub enum SynSentVerdict {
    /// The peer's SYN,ACK.
    Answered(AnswersSyn),
    /// The peer's own SYN.
    Crossed(CrossesSyn),
}

/// What is due in SYN-SENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynSentDue {
    /// Our SYN again.
    Retransmit,
    /// The peer has not answered for too long (RFC 9293 §3.8.3, MUST-23).
    GiveUp,
}

impl Tcp<SynSent> {
    /// <SEQ=ISS><CTL=SYN>.
    pub(super) fn syn(&mut self, now: Instant) -> Syn {
        let wnd = u16::try_from(self.tcb.config.rcv_buff_bytes).unwrap_or(u16::MAX);
        let options = Options { timestamp: self.tcb.stamps.for_syn(now), ..self.state.options.clone() };
        Syn::mark(Segment {
            seq: self.tcb.snd.iss(),
            control: Control::SYN | self.tcb.ecn.of_syn(),
            wnd,
            options,
            ..self.tcb.blank()
        })
    }

    /// Decides what a segment is.
    pub fn judge(&self, segment: Segment, _now: Instant) -> Reaction<SynSentVerdict> {
        let control = segment.control;
        if control.ack() && !self.tcb.snd.is_new_ack(segment.ack) {
            // First: SEG.ACK =< ISS or SEG.ACK > SND.NXT.
            let answer = if control.rst() { Answer::Nothing } else { Answer::Rst };
            return Reaction::NotAcceptable(segment, answer);
        }
        if control.rst() {
            // Second: only with an acceptable ACK. RFC 5961 §3.2 cannot ask for RCV.NXT here, there is none.
            if control.ack() {
                return Reaction::Reset(Resets(Judged::whole(segment)));
            }
            return Reaction::NotAcceptable(segment, Answer::Nothing);
        }
        let judged = Judged::whole(segment);
        match (control.syn(), control.ack()) {
            // Fourth.
            (true, true) => Reaction::Acceptable(SynSentVerdict::Answered(AnswersSyn(judged))),
            (true, false) => Reaction::Acceptable(SynSentVerdict::Crossed(CrossesSyn(judged))),
            // Fifth: neither SYN nor RST.
            (false, true | false) => Reaction::NotAcceptable(judged.segment, Answer::Nothing),
        }
    }

    /// The RST for an acknowledgement of something that we did not send (RFC 9293 §3.10.7.3, first).
    pub fn refuse(&self, segment: &Segment) -> Rst {
        refusal_of(segment)
    }

    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<SynSentDue> {
        self.tcb.poll_handshake(now).map(|work| match work {
            HandshakeWork::Retransmit => SynSentDue::Retransmit,
            HandshakeWork::GiveUp => SynSentDue::GiveUp,
        })
    }

    /// What the user has to be told: that R1 is reached, or of an ICMP error (RFC 9293 §3.8.3, MUST-22; §3.9.2.2, SHLD-25).
    pub fn poll_advice(&self, now: Instant) -> Poll<Advice> {
        match self.tcb.advice() {
            Some(advice) if self.state.advice_at <= now => Poll::Now(advice),
            Some(_) => Poll::At(self.state.advice_at),
            None => Poll::Never,
        }
    }

    /// The user is told.
    pub fn advised(&mut self, advice: Advice, now: Instant) {
        self.tcb.advised(advice);
        self.state.advice_at = now + ADVICE_INTERVAL;
    }

    /// Our SYN again.
    pub fn retransmit(&mut self, now: Instant) -> Syn {
        self.tcb.ecn.syn_sent_again();
        self.tcb.snd.syn_sent_again(now);
        self.syn(now)
    }

    /// To ESTABLISHED (RFC 9293 §3.10.7.3, fourth); the ACK is due at once.
    pub fn established(mut self, AnswersSyn(judged): AnswersSyn, now: Instant) -> Tcp<Established> {
        let mut segment = judged.segment;
        self.tcb.take_syn(&segment, now);
        self.tcb.take_stamp(&segment, segment.seq, now);
        self.tcb.snd.establish(&segment, now);
        // What our SYN announced, now that its RCV.NXT is known.
        self.tcb.rcv.acknowledge_syn();
        self.tcb.rcv.owe_ack();
        // RFC 9293 §3.10.7.3: text is processed. Deviation: a FIN is not, since this transition leads to ESTABLISHED; no peer sends one
        // here, and it would notice that it has to send it again.
        segment.seq = segment.text_seq();
        segment.control = segment.control.without(Control::SYN | Control::FIN);
        let judged = self.tcb.trimmed(segment);
        self.tcb.take_text(judged.segment, judged.trim, now);
        self.into_state(Established::new())
    }

    /// To SYN-RECEIVED (RFC 9293 §3.10.7.3, fourth): <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.
    pub fn syn_received(mut self, CrossesSyn(judged): CrossesSyn, now: Instant) -> (Tcp<SynReceived>, SynAck) {
        let options = self.tcb.take_syn(&judged.segment, now);
        self.tcb.rcv.hold_early_text(&judged.segment.payload);
        self.tcb.snd.syn_sent_again(now);
        let mut tcp = self.into_state(SynReceived::new(Origin::Active, options));
        let syn_ack = tcp.syn_ack(now);
        (tcp, syn_ack)
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::testing::{BASES, ENDS, Ends, Judge, Kind, NOW, segment, text};
    use super::super::{Config, Due, IcmpError, IcmpKind, SynReceivedVerdict};
    use super::*;

    fn syn_ack(ends: Ends) -> Segment {
        segment(ends.irs, ends.iss + 1, Control::SYN | Control::ACK)
    }

    fn established(segment: Segment) -> Tcp<Established> {
        let tcp = ENDS.syn_sent(Config::default());
        let Reaction::Acceptable(SynSentVerdict::Answered(proof)) = tcp.judge(segment, NOW) else {
            panic!("it answers our SYN");
        };
        tcp.established(proof, NOW)
    }

    #[test]
    fn only_an_acknowledgement_of_our_syn_is_acceptable() {
        for ends in BASES {
            let tcp = ends.syn_sent(Config::default());
            for control in [Control::ACK, Control::ACK | Control::SYN, Control::ACK | Control::FIN] {
                assert_eq!(tcp.kind(segment(ends.irs, ends.iss, control)), Kind::Rst);
                assert_eq!(tcp.kind(segment(ends.irs, ends.iss + 2, control)), Kind::Rst);
            }
            assert_eq!(tcp.kind(syn_ack(ends)), Kind::Acceptable);
            assert_eq!(tcp.kind(segment(ends.irs, ends.iss + 1, Control::ACK)), Kind::Silence);
            assert_eq!(tcp.kind(segment(ends.irs, ends.iss + 1, Control::NONE)), Kind::Silence);
            assert_eq!(tcp.kind(segment(ends.irs, ends.iss + 1, Control::FIN)), Kind::Silence);
        }
    }

    #[test]
    fn rst_counts_with_an_acceptable_acknowledgement_only() {
        for ends in BASES {
            let tcp = ends.syn_sent(Config::default());
            assert_eq!(tcp.kind(segment(ends.irs, ends.iss, Control::RST)), Kind::Silence);
            for (ack, expected) in [(0, Kind::Silence), (1, Kind::Reset), (2, Kind::Silence)] {
                assert_eq!(tcp.kind(segment(ends.irs, ends.iss + ack, Control::RST | Control::ACK)), expected);
            }
        }
    }

    #[test]
    fn syn_ack_is_acknowledged_at_once() {
        let mut tcp = established(syn_ack(ENDS));
        assert_eq!(tcp.poll(NOW), Poll::Now(Due::Segment));
        let ack = Segment::from(tcp.transmit(NOW));
        assert_eq!((ack.seq, ack.ack, ack.control), (ENDS.iss + 1, ENDS.irs + 1, Control::ACK));
        assert_eq!(tcp.poll(NOW), Poll::Never);
    }

    #[test]
    fn text_in_the_syn_ack_is_taken_and_its_fin_is_not() {
        let control = Control::SYN | Control::ACK | Control::FIN;
        let mut tcp = established(Segment { control, ..text(ENDS.irs, ENDS.iss + 1, b"hello") });
        assert_eq!(tcp.deliver(100), b"hello");
        assert_eq!(tcp.transmit(NOW).segment().ack, ENDS.irs + 6);
    }

    #[test]
    fn must_10_simultaneous_open() {
        let tcp = ENDS.syn_sent(Config::default());
        let Reaction::Acceptable(SynSentVerdict::Crossed(proof)) = tcp.judge(ENDS.syn().into(), NOW) else {
            panic!("the SYNs have crossed");
        };
        let (tcp, syn_ack_of_ours) = tcp.syn_received(proof, NOW);
        let ours = Segment::from(syn_ack_of_ours);
        assert_eq!((ours.seq, ours.ack), (ENDS.iss, ENDS.irs + 1));
        assert_eq!(tcp.origin(), Origin::Active);
        // The peer's SYN,ACK begins below RCV.NXT, and yet it completes the handshake (figure 8).
        let Reaction::Acceptable(SynReceivedVerdict::Acked(proof)) = tcp.judge(syn_ack(ENDS), NOW) else {
            panic!("the handshake is complete");
        };
        assert_eq!(tcp.established(proof, NOW).status().snd_una, ENDS.iss + 1);
    }

    #[test]
    fn must_23_syn_is_sent_again_for_three_minutes() {
        let mut tcp = ENDS.syn_sent(Config::default());
        let (mut now, mut times) = (NOW, Vec::new());
        loop {
            match tcp.poll(now) {
                Poll::Now(SynSentDue::Retransmit) => {
                    assert_eq!(tcp.retransmit(now).segment().seq, ENDS.iss);
                    times.push((now - NOW).secs());
                }
                Poll::Now(SynSentDue::GiveUp) => break,
                Poll::At(at) => now = at,
                Poll::Never => panic!("the SYN is outstanding"),
            }
        }
        assert_eq!(times, [1, 3, 7, 15, 31, 63, 123]);
        assert_eq!(now - NOW, Duration::from_secs(180));
    }

    #[test]
    fn must_22_the_user_is_told_at_r1_and_of_errors_once_a_second() {
        let mut tcp = ENDS.syn_sent(Config::default());
        let (mut now, mut told) = (NOW, Vec::new());
        let end = NOW + Duration::from_secs(20);
        while now < end {
            tcp.notified(&IcmpError { kind: IcmpKind::TimeExceeded, seq: ENDS.iss, packet_bytes: 60 }, now);
            if tcp.poll(now) == Poll::Now(SynSentDue::Retransmit) {
                drop(tcp.retransmit(now));
            }
            if let Poll::Now(advice) = tcp.poll_advice(now) {
                tcp.advised(advice, now);
                assert!(!matches!(tcp.poll_advice(now), Poll::Now(_)), "not twice at once");
                told.push(((now - NOW).secs(), advice));
            }
            now += Duration::from_millis(100);
        }
        let undelivered: Vec<_> =
            told.iter().filter(|(_, advice)| *advice == Advice::Undelivered { retransmissions: 3 }).collect();
        assert_eq!(undelivered.len(), 1);
        assert!((7..9).contains(&undelivered[0].0), "{told:?}");
        assert_eq!(told.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    }
}
