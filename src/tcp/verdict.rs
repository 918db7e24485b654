//! Verdicts: what an arriving segment is, decided once (RFC 9293 §3.10.7.4, first to fifth; RFC 5961).

use smoltcp::time::Instant;

use super::receive::Trim;
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timestamps::Stamp;
use super::window::Fit;

/// The outcome of an arriving segment.
#[derive(Debug)]
#[must_use]
pub enum Reaction<A, R = Resets> {
    /// It means something in this state: the proof of what it is goes to the method named for it.
    Acceptable(A),
    /// It changes nothing; an answer may be owed.
    NotAcceptable(Segment, Answer),
    /// It resets the connection.
    Reset(R),
}

/// The answer owed for a segment that is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An ACK: `challenge` makes it.
    Ack,
    /// A RST: `refuse` makes it.
    Rst,
    /// None.
    Nothing,
}

/// A segment that passed all checks, cut to the window.
#[derive(Debug)]
pub(super) struct Judged {
    /// What is left of it.
    pub(super) segment: Segment,
    /// Whether that is all of it.
    pub(super) trim: Trim,
    /// SEG.SEQ as it came.
    pub(super) seg_seq: SeqNum,
}

/// Defines proofs: each can only be made by a `judge`, and is the argument of the transition it proves the event of.
macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use]
        pub struct $name(pub(super) Judged);

        impl $name {
            /// The segment, as far as it lies in the window.
            #[must_use]
            pub const fn segment(&self) -> &Segment {
                &self.0.segment
            }
        }
    )*};
}

proofs! {
    /// In the window and with an acceptable acknowledgement; it changes no state.
    Acceptable;
    /// It acknowledges our SYN.
    AcksSyn;
    /// It acknowledges our SYN, and the peer's stream is complete up to and with its FIN.
    AcksSynAndFinishes;
    /// After it the peer's stream is complete up to and with its FIN.
    Finishes;
    /// It acknowledges our FIN.
    AcksFin;
    /// It acknowledges our FIN, and after it the peer's stream is complete up to and with its FIN.
    AcksFinAndFinishes;
    /// It brings text that nobody is going to read: the user has closed (RFC 9293 §3.6.1, SHLD-3).
    AfterClose;
    /// A SYN in the window of SYN-RECEIVED after a passive OPEN (RFC 9293 §3.10.7.4, fourth).
    Restarts;
    /// A SYN that may open a new connection out of TIME-WAIT (RFC 9293 §3.6.1, MAY-2).
    Reopens;
    /// The peer's SYN, and it acknowledges ours.
    AnswersSyn;
    /// The peer's SYN, which crossed ours (RFC 9293 §3.5, MUST-10).
    CrossesSyn;
    /// A RST that has to be obeyed (RFC 5961 §3).
    Resets;
}

impl From<Reopens> for Segment {
    fn from(reopens: Reopens) -> Self {
        reopens.0.segment
    }
}

impl Judged {
    /// A segment that is not cut.
    pub(super) const fn whole(segment: Segment) -> Self {
        let seg_seq = segment.seq;
        Self { segment, trim: Trim::Whole, seg_seq }
    }
}

/// Why a segment did not pass the checks.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not acceptable.
    NotAcceptable(Segment, Answer),
    /// It resets the connection.
    Reset(Resets),
}

impl<A> From<Refusal> for Reaction<A> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAcceptable(segment, answer) => Self::NotAcceptable(segment, answer),
            Refusal::Reset(resets) => Self::Reset(resets),
        }
    }
}

impl Tcb {
    /// The checks that every state from SYN-RECEIVED on makes first: timestamps, sequence number and RST (RFC 9293 §3.10.7.4).
    ///
    /// # Errors
    ///
    /// The segment did not pass.
    pub(super) fn check_sequence_and_rst(&self, segment: Segment, now: Instant) -> Result<Segment, Refusal> {
        match self.stamps.inspect(&segment, now) {
            Stamp::Fine => {}
            Stamp::Missing => return Err(Refusal::NotAcceptable(segment, Answer::Nothing)),
            // RFC 7323 §5.3, R1: treat the segment as not acceptable.
            Stamp::Old => return Err(self.owes_ack(segment, now)),
        }
        if segment.control.rst() {
            return Err(self.judge_rst(segment, now));
        }
        match self.rcv.fit(&segment) {
            Fit::Inside | Fit::AtZeroWindow => Ok(segment),
            // First: an acknowledgment should be sent in reply.
            Fit::Outside => Err(self.owes_ack(segment, now)),
        }
    }

    /// RFC 9293 §3.10.7.4, second, and RFC 5961 §3.2.
    fn judge_rst(&self, segment: Segment, now: Instant) -> Refusal {
        let rcv_nxt = self.rcv.rcv_nxt();
        if segment.seq == rcv_nxt {
            // 2) exactly RCV.NXT. The RST may carry text (RFC 9293 §3.5.3, SHLD-2).
            Refusal::Reset(Resets(Judged::whole(segment)))
        } else if segment.seq.is_in_window(rcv_nxt, self.rcv.rcv_wnd()) {
            // 3) elsewhere in the window: a challenge ACK.
            self.owes_ack(segment, now)
        } else {
            // 1) outside of the window: silence.
            Refusal::NotAcceptable(segment, Answer::Nothing)
        }
    }

    /// The checks of the synchronized states: the above, SYN and ACK.
    ///
    /// # Errors
    ///
    /// The segment did not pass.
    pub(super) fn check(&self, segment: Segment, now: Instant) -> Result<Segment, Refusal> {
        let segment = self.check_sequence_and_rst(segment, now)?;
        if segment.control.syn() {
            // Fourth, and RFC 5961 §4.2: a challenge ACK, irrespective of the sequence number.
            return Err(self.owes_ack(segment, now));
        }
        if !segment.control.ack() {
            // Fifth: if the ACK bit is off, drop the segment.
            return Err(Refusal::NotAcceptable(segment, Answer::Nothing));
        }
        if !self.snd.is_ack_acceptable(segment.ack) {
            // RFC 5961 §5.2 (MAY-12), which covers SEG.ACK > SND.NXT.
            return Err(self.owes_ack(segment, now));
        }
        Ok(segment)
    }

    /// Cuts a segment that passed to the window.
    pub(super) fn trimmed(&self, mut segment: Segment) -> Judged {
        let seg_seq = segment.seq;
        let trim = self.rcv.trim(&mut segment);
        Judged { segment, trim, seg_seq }
    }

    /// An ACK is owed for the segment, unless too many were already sent.
    pub(super) fn owes_ack(&self, segment: Segment, now: Instant) -> Refusal {
        let answer = if !is_throttled(&segment) || self.throttle.allows(now) { Answer::Ack } else { Answer::Nothing };
        Refusal::NotAcceptable(segment, answer)
    }

    /// The ACK owed for the segment is sent.
    pub(super) fn count_challenge(&mut self, segment: &Segment, now: Instant) {
        if is_throttled(segment) {
            self.throttle.count(now);
        }
    }
}

/// Whether the ACK for such a segment counts: one with text or FIN is retransmitted until it is acknowledged, and two ends that
/// answer each other's ACKs send none, so that the answer can neither be withheld nor start a storm.
fn is_throttled(segment: &Segment) -> bool {
    segment.control.syn() || segment.control.rst() || segment.seg_len() == 0
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::segment::Control;
    use super::super::seq::SeqNum;
    use super::super::testing::{BASES, ENDS, Judge, Kind, NOW, WND, segment, text};
    use super::*;

    /// The kind of a segment with this SEQ, SEG.LEN octets of text and otherwise nothing to object to.
    fn at(tcp: &dyn Judge, seq: SeqNum, seg_len: usize) -> Kind {
        tcp.kind(text(seq, tcp.status().snd_una, &vec![0; seg_len]))
    }

    #[test]
    fn sequence_numbers_are_checked_in_every_state_before_all_else() {
        for ends in BASES {
            for tcp in ends.synchronized() {
                let (tcp, status) = (tcp.as_ref(), tcp.status());
                let (left, right) = (status.rcv_nxt, status.rcv_nxt + status.rcv_wnd);
                // TIME-WAIT has nothing to accept; what is in its window meets silence.
                let fine = if status.state == "TIME-WAIT" { Kind::Silence } else { Kind::Acceptable };
                assert_eq!(at(tcp, left - 1, 0), Kind::Ack, "{status:?}");
                assert_eq!(at(tcp, left, 0), fine, "{status:?}");
                assert_eq!(at(tcp, right - 1, 0), fine, "{status:?}");
                assert_eq!(at(tcp, right, 0), Kind::Ack, "{status:?}");
                assert_eq!(at(tcp, left - 10, 10), Kind::Ack, "{status:?}");
                assert_eq!(at(tcp, left - 10, 11), fine, "{status:?}");
                assert_eq!(at(tcp, right - 1, 10), fine, "{status:?}");
                assert_eq!(at(tcp, right, 10), Kind::Ack, "{status:?}");
            }
        }
    }

    #[test]
    fn rst_is_obeyed_at_rcv_nxt_challenged_in_the_window_and_ignored_outside_in_every_state() {
        for ends in BASES {
            for tcp in ends.synchronized() {
                let status = tcp.status();
                let right = status.rcv_nxt + status.rcv_wnd;
                for control in [Control::RST, Control::RST | Control::ACK] {
                    let rst = |seq| tcp.kind(segment(seq, status.snd_nxt, control));
                    assert_eq!(rst(status.rcv_nxt - 1), Kind::Silence, "{status:?}");
                    assert_eq!(rst(status.rcv_nxt), Kind::Reset, "{status:?}");
                    assert_eq!(rst(status.rcv_nxt + 1), Kind::Ack, "{status:?}");
                    assert_eq!(rst(right - 1), Kind::Ack, "{status:?}");
                    assert_eq!(rst(right), Kind::Silence, "{status:?}");
                }
            }
        }
    }

    #[test]
    fn shld_2_rst_may_carry_text() {
        for tcp in ENDS.synchronized() {
            let status = tcp.status();
            let rst = |seq| Segment { control: Control::RST, ..text(seq, status.snd_nxt, b"why") };
            assert_eq!(tcp.kind(rst(status.rcv_nxt)), Kind::Reset, "{status:?}");
            // Its text reaches into the window, but what counts is where it begins.
            assert_eq!(tcp.kind(rst(status.rcv_nxt - 1)), Kind::Silence, "{status:?}");
        }
    }

    #[test]
    fn rst_with_syn_or_bad_acknowledgement_is_a_rst() {
        for tcp in ENDS.synchronized() {
            let status = tcp.status();
            let control = Control::RST | Control::SYN | Control::ACK;
            assert_eq!(tcp.kind(segment(status.rcv_nxt, status.snd_nxt + 9, control)), Kind::Reset);
        }
    }

    /// Asks what a SYN is, in and around the window of a connection.
    fn check_syn(tcp: &dyn Judge, control: Control) {
        let status = tcp.status();
        assert_eq!(tcp.kind(segment(status.rcv_nxt - 1, status.snd_nxt, control)), Kind::Ack);
        for offset in [0, 1, status.rcv_wnd - 1, status.rcv_wnd, 0x4000_0000] {
            let reopens = status.state == "TIME-WAIT" && !control.ack() && offset > 0;
            let expected = if reopens { Kind::Acceptable } else { Kind::Ack };
            let syn = segment(status.rcv_nxt + offset, status.snd_nxt, control);
            assert_eq!(tcp.kind(syn), expected, "{offset} {status:?}");
        }
    }

    #[test]
    fn syn_is_challenged_wherever_it_lies_in_every_state() {
        for ends in BASES {
            for tcp in ends.synchronized() {
                check_syn(tcp.as_ref(), Control::SYN);
                check_syn(tcp.as_ref(), Control::SYN | Control::ACK);
            }
        }
    }

    #[test]
    fn segment_without_ack_is_dropped_in_every_state() {
        for tcp in ENDS.synchronized() {
            let status = tcp.status();
            for control in [Control::NONE, Control::PSH, Control::FIN, Control::URG] {
                assert_eq!(tcp.kind(segment(status.rcv_nxt, status.snd_nxt, control)), Kind::Silence, "{status:?}");
                // First the sequence number, then the ACK bit.
                assert_eq!(tcp.kind(segment(status.rcv_nxt - 2, status.snd_nxt, control)), Kind::Ack, "{status:?}");
            }
        }
    }

    #[test]
    fn may_12_acknowledgements_from_una_less_the_largest_window_to_nxt_are_accepted() {
        for ends in BASES {
            for tcp in ends.synchronized() {
                let status = tcp.status();
                let fine = if status.state == "TIME-WAIT" { Kind::Silence } else { Kind::Acceptable };
                let ack = |number| tcp.kind(segment(status.rcv_nxt, number, Control::ACK));
                assert_eq!(ack(status.snd_una - WND - 1), Kind::Ack, "{status:?}");
                assert_eq!(ack(status.snd_una - WND), fine, "{status:?}");
                assert_eq!(ack(status.snd_una), fine, "{status:?}");
                assert_eq!(ack(status.snd_nxt), fine, "{status:?}");
                assert_eq!(ack(status.snd_nxt + 1), Kind::Ack, "{status:?}");
            }
        }
    }

    #[test]
    fn must_66_ack_and_rst_count_while_the_window_is_zero() {
        let mut tcp = ENDS.established(Config { rcv_buff_bytes: 10, ..Config::default() });
        let first = tcp.status().rcv_nxt;
        tcp.arrives(text(first, ENDS.iss + 1, &[1; 10]), NOW);
        let _ack = tcp.transmit(NOW);
        let status = tcp.status();
        assert_eq!((status.rcv_nxt, status.rcv_wnd), (first + 10, 0));
        let ack = status.snd_nxt;
        assert_eq!(tcp.kind(segment(first + 10, ack, Control::ACK)), Kind::Acceptable);
        assert_eq!(tcp.kind(segment(first + 11, ack, Control::ACK)), Kind::Ack);
        assert_eq!(tcp.kind(segment(first + 10, ack, Control::RST)), Kind::Reset);
        assert_eq!(tcp.kind(segment(first + 11, ack, Control::RST)), Kind::Silence);
        assert_eq!(tcp.kind(Segment { control: Control::RST, ..text(first + 10, ack, b"x") }), Kind::Reset);
        // A probe: its text is not taken, its acknowledgement and window are, and it is answered at once.
        tcp.send(b"hello", NOW);
        let sent = Segment::from(tcp.transmit(NOW));
        tcp.arrives(Segment { wnd: 7, ..text(first + 10, sent.end(), b"p") }, NOW);
        assert_eq!((tcp.status().rcv_nxt, tcp.status().snd_una, tcp.status().snd_wnd), (first + 10, sent.end(), 7));
        assert_eq!(tcp.poll(NOW), super::super::Poll::Now(super::super::Due::Segment));
        assert_eq!(tcp.transmit(NOW).segment().ack, first + 10);
    }

    #[test]
    fn challenge_acks_are_throttled_but_answers_to_text_are_not() {
        let mut tcp = ENDS.established(Config::default());
        let status = tcp.status();
        let rst = || segment(status.rcv_nxt + 1, status.snd_nxt, Control::RST);
        for _ in 0..10 {
            assert_eq!(tcp.kind(rst()), Kind::Ack);
            let ack = tcp.challenge(&rst(), NOW);
            assert_eq!((ack.segment().seq, ack.segment().ack), (status.snd_nxt, status.rcv_nxt));
        }
        assert_eq!(tcp.kind(rst()), Kind::Silence);
        assert_eq!(tcp.kind(segment(status.rcv_nxt, status.snd_nxt, Control::SYN)), Kind::Silence);
        assert_eq!(tcp.kind(segment(status.rcv_nxt - 1, status.snd_nxt, Control::ACK)), Kind::Silence);
        assert_eq!(tcp.kind(text(status.rcv_nxt - 3, status.snd_nxt, b"old")), Kind::Ack);
        assert_eq!(tcp.kind(segment(status.rcv_nxt, status.snd_nxt, Control::RST)), Kind::Reset);
    }
}
