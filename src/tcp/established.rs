//! ESTABLISHED and CLOSE-WAIT, in which the user sends and receives (RFC 9293 §3.10.2, §3.10.3, §3.10.4, §3.10.7.4).

use smoltcp::time::Instant;

use super::closing::{LastAck, Unread};
use super::config::Setting;
use super::fin_wait::FinWait1;
use super::keep_alive::Alarm;
use super::segment::Segment;
use super::tcb::{Tcb, Work};
use super::verdict::{Acceptable, Finishes, Reaction};
use super::{Poll, State, Tcp, sealed};
use crate::smol_channel::Ack;

/// ESTABLISHED: both directions are open.
#[derive(Debug)]
pub struct Established(());

impl Established {
    /// The handshake is complete.
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl State for Established {
    const NAME: &'static str = "ESTABLISHED";
}

impl sealed::Hooks for Established {}

/// CLOSE-WAIT: the peer has closed.
#[derive(Debug)]
pub struct CloseWait(());

impl CloseWait {
    /// The peer's stream is complete.
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl State for CloseWait {
    const NAME: &'static str = "CLOSE-WAIT";
}

impl sealed::Hooks for CloseWait {}

/// A state in which acceptable segments arrive and segments are sent: all from ESTABLISHED to LAST-ACK.
pub trait Transfers: State {}

impl Transfers for Established {}
impl Transfers for CloseWait {}

/// A state in which the user has not closed.
pub trait Open: Transfers {}

impl Open for Established {}
impl Open for CloseWait {}

/// What a segment can be in ESTABLISHED.
#[derive(Debug)]
#[must_use]
pub enum EstablishedVerdict {
    /// It changes no state.
    Acceptable(Acceptable),
    /// It completes the peer's stream.
    Finishes(Finishes),
}

/// What is due while the user has not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A segment: text, an ACK, a retransmission or a probe.
    Segment,
    /// The peer has not answered for too long: the user timeout (RFC 9293 §3.10.8), or all keep-alives.
    GiveUp,
}

impl<S: Transfers> Tcp<S> {
    /// Takes acknowledgement, window and text of a segment.
    pub fn accept(&mut self, Acceptable(judged): Acceptable, now: Instant) {
        self.tcb.absorb(judged, now);
    }

    /// The next segment: text, a retransmission, a probe, an ACK or a window update; an ACK if nothing is due.
    pub fn transmit(&mut self, now: Instant) -> Ack {
        self.tcb.transmit(now)
    }
}

impl<S: Open> Tcp<S> {
    /// SEND (RFC 9293 §3.10.2): takes all of `text`, however full the buffer is.
    pub fn send(&mut self, text: &[u8], now: Instant) {
        self.tcb.snd.send(text, now);
    }

    /// SEND with the URGENT flag (RFC 9293 §3.9.1.2): `text`, and what was sent before it, is urgent.
    pub fn send_urgent(&mut self, text: &[u8], now: Instant) {
        self.tcb.snd.send_urgent(text, now);
    }

    /// Takes what the user sets for the connection.
    pub fn set(&mut self, setting: Setting, now: Instant) {
        self.tcb.set(setting, now);
    }

    /// Whether the send buffer has room.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.tcb.snd.has_room()
    }

    /// How many octets RECEIVE would get.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.tcb.rcv.readable()
    }

    /// RECEIVE (RFC 9293 §3.10.3): at most `max` octets, none if there are none.
    pub fn deliver(&mut self, max: usize) -> Vec<u8> {
        self.tcb.rcv.deliver(max)
    }

    /// The block after CLOSE, and whether received text is lost by it.
    fn closed_by_user(&mut self, now: Instant) -> Unread {
        let unread = if self.readable() == 0 { Unread::Nothing } else { Unread::Text };
        self.tcb.snd.close(now);
        unread
    }
}

impl Tcb {
    /// What is due while the user has not closed.
    fn poll_open(&self, now: Instant) -> Poll<Due> {
        let work = self.poll(now).map(|work| match work {
            // Without CLOSE there is no FIN.
            Work::Segment | Work::Fin => Due::Segment,
            Work::GiveUp => Due::GiveUp,
        });
        let alarm = self.poll_heartbeat(now).map(|alarm| match alarm {
            Alarm::Probe => Due::Segment,
            Alarm::Dead => Due::GiveUp,
        });
        work.or(alarm)
    }
}

impl Tcp<Established> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<Due> {
        self.tcb.poll_open(now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<EstablishedVerdict> {
        let judged = match self.tcb.check(segment, now) {
            Ok(segment) => self.tcb.trimmed(segment),
            Err(refusal) => return refusal.into(),
        };
        Reaction::Acceptable(if self.tcb.rcv.would_finish(&judged.segment) {
            EstablishedVerdict::Finishes(Finishes(judged))
        } else {
            EstablishedVerdict::Acceptable(Acceptable(judged))
        })
    }

    /// To CLOSE-WAIT (RFC 9293 §3.10.7.4, eighth).
    pub fn finish(mut self, Finishes(judged): Finishes, now: Instant) -> Tcp<CloseWait> {
        self.tcb.absorb(judged, now);
        self.into_state(CloseWait(()))
    }

    /// CLOSE: to FIN-WAIT-1 (RFC 9293 §3.10.4).
    pub fn close(mut self, now: Instant) -> Tcp<FinWait1> {
        let unread = self.closed_by_user(now);
        self.into_state(FinWait1::new(unread))
    }
}

impl Tcp<CloseWait> {
    /// What is due.
    pub fn poll(&self, now: Instant) -> Poll<Due> {
        self.tcb.poll_open(now)
    }

    /// Decides what a segment is (RFC 9293 §3.10.7.4).
    pub fn judge(&self, segment: Segment, now: Instant) -> Reaction<Acceptable> {
        match self.tcb.check(segment, now) {
            Ok(segment) => Reaction::Acceptable(Acceptable(self.tcb.trimmed(segment))),
            Err(refusal) => refusal.into(),
        }
    }

    /// Whether the user has received everything that the peer ever sent.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.readable() == 0
    }

    /// CLOSE: to LAST-ACK (RFC 9293 §3.10.4).
    pub fn close(mut self, now: Instant) -> Tcp<LastAck> {
        let unread = self.closed_by_user(now);
        self.into_state(LastAck::new(unread))
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::super::segment::Control;
    use super::super::testing::{BASES, ENDS, Judge, Kind, NOW, segment, text};
    use super::super::{ClosingDue, Config};
    use super::*;

    fn established() -> Tcp<Established> {
        ENDS.established(Config::default())
    }

    #[test]
    fn handshake_ack_is_not_answered() {
        assert_eq!(established().poll(NOW), Poll::Never);
    }

    #[test]
    fn ack_of_text_waits_for_company() {
        let mut tcp = established();
        tcp.arrives(text(ENDS.irs + 1, ENDS.iss + 1, b"hello"), NOW);
        assert_eq!(tcp.poll(NOW), Poll::At(NOW + Duration::from_millis(40)));
        tcp.send(b"olleh", NOW);
        assert_eq!(tcp.poll(NOW), Poll::Now(Due::Segment));
        let answer = Segment::from(tcp.transmit(NOW));
        assert_eq!((answer.seq, answer.ack), (ENDS.iss + 1, ENDS.irs + 6));
        assert_eq!((&answer.payload[..], answer.control), (&b"olleh"[..], Control::ACK | Control::PSH));
        assert_eq!(tcp.poll(NOW), Poll::At(NOW + Duration::from_secs(1)));
    }

    #[test]
    fn nothing_due_makes_an_ack() {
        let mut tcp = established();
        let ack = Segment::from(tcp.transmit(NOW));
        assert_eq!((ack.seq, ack.ack, ack.seg_len()), (ENDS.iss + 1, ENDS.irs + 1, 0));
    }

    #[test]
    fn fin_in_order_finishes_and_out_of_order_waits() {
        for ends in BASES {
            let mut tcp = ends.established(Config::default());
            let late_fin = Segment { control: Control::ACK | Control::FIN, ..text(ends.irs + 3, ends.iss + 1, b"c") };
            tcp.arrives(late_fin, NOW);
            // A duplicate ACK for what is missing.
            assert_eq!(tcp.transmit(NOW).segment().ack, ends.irs + 1);
            let Reaction::Acceptable(EstablishedVerdict::Finishes(proof)) =
                tcp.judge(text(ends.irs + 1, ends.iss + 1, b"ab"), NOW)
            else {
                panic!("the gap before the FIN is filled");
            };
            let mut tcp = tcp.finish(proof, NOW);
            assert_eq!(tcp.poll(NOW), Poll::Now(Due::Segment));
            assert_eq!(tcp.transmit(NOW).segment().ack, ends.irs + 5);
            assert!(!tcp.drained());
            assert_eq!(tcp.deliver(100), b"abc");
            assert!(tcp.drained());
        }
    }

    #[test]
    fn fin_past_the_edge_of_the_window_is_no_fin() {
        for ends in BASES {
            let config = Config { rcv_buff_bytes: 5, ..Config::default() };
            let fin = |len: usize| Segment {
                control: Control::ACK | Control::FIN,
                ..text(ends.irs + 1, ends.iss + 1, &b"hello"[..len])
            };
            let tcp = ends.established(config);
            assert!(matches!(tcp.judge(fin(4), NOW), Reaction::Acceptable(EstablishedVerdict::Finishes(_))));
            assert!(matches!(tcp.judge(fin(5), NOW), Reaction::Acceptable(EstablishedVerdict::Acceptable(_))));
        }
    }

    #[test]
    fn close_wait_still_sends_and_answers_the_fin_again() {
        for ends in BASES {
            let mut tcp = ends.close_wait(Config::default());
            assert_eq!(Judge::kind(&tcp, ends.fin()), Kind::Ack);
            assert_eq!(tcp.challenge(&ends.fin(), NOW).segment().ack, ends.irs + 2);
            tcp.send(b"still here", NOW);
            assert_eq!(tcp.transmit(NOW).segment().payload, b"still here");
            let ack = segment(ends.irs + 2, ends.iss + 11, Control::ACK);
            let Reaction::Acceptable(proof) = tcp.judge(ack, NOW) else { panic!("it acknowledges our text") };
            tcp.accept(proof, NOW);
            assert_eq!(tcp.status().snd_una, ends.iss + 11);
            assert_eq!(tcp.poll(NOW), Poll::Never);
        }
    }

    #[test]
    fn text_after_the_fin_is_ignored() {
        let mut tcp = ENDS.close_wait(Config::default());
        let Reaction::Acceptable(proof) = tcp.judge(text(ENDS.irs + 2, ENDS.iss + 1, b"more"), NOW) else {
            panic!("its acknowledgement is acceptable");
        };
        tcp.accept(proof, NOW);
        assert_eq!((tcp.readable(), tcp.status().rcv_nxt), (0, ENDS.irs + 2));
    }

    #[test]
    fn back_pressure_begins_when_the_buffer_is_full() {
        let mut tcp = ENDS.established(Config { snd_buff_bytes: 10, snd_buff_max_bytes: 10, ..Config::default() });
        tcp.send(&[0; 9], NOW);
        assert!(tcp.can_send());
        tcp.send(&[0; 100], NOW);
        assert!(!tcp.can_send());
        assert_eq!(tcp.status().snd_buffered_bytes, 109);
    }

    #[test]
    fn shld_3_close_with_unread_text_is_data_lost_in_both_states() {
        let mut tcp = established();
        tcp.arrives(text(ENDS.irs + 1, ENDS.iss + 1, b"unread"), NOW);
        let tcp = tcp.close(NOW);
        assert_eq!(tcp.poll(NOW), Poll::Now(ClosingDue::DataLost));
        let rst = Segment::from(tcp.abort());
        assert_eq!((rst.seq, rst.control), (ENDS.iss + 1, Control::RST));

        let mut tcp = established();
        tcp.arrives(text(ENDS.irs + 1, ENDS.iss + 1, b"unread"), NOW);
        let fin = segment(ENDS.irs + 7, ENDS.iss + 1, Control::ACK | Control::FIN);
        let Reaction::Acceptable(EstablishedVerdict::Finishes(proof)) = tcp.judge(fin, NOW) else {
            panic!("the FIN is in order");
        };
        let tcp = tcp.finish(proof, NOW).close(NOW);
        assert_eq!(tcp.poll(NOW), Poll::Now(ClosingDue::DataLost));
    }

    #[test]
    fn user_timeout_gives_up_and_only_without_progress() {
        let mut tcp = established();
        tcp.send(b"hello", NOW);
        let (mut now, mut sent) = (NOW, 0);
        while tcp.poll(now) != Poll::Now(Due::GiveUp) {
            match tcp.poll(now) {
                Poll::Now(_) => {
                    assert_eq!(tcp.transmit(now).segment().seq, ENDS.iss + 1);
                    sent += 1;
                }
                Poll::At(at) => now = at,
                Poll::Never => panic!("text is outstanding"),
            }
        }
        assert_eq!(now - NOW, Duration::from_secs(300));
        // At 0, 1, 3, 7, 15, 31, 63, and then once a minute.
        assert_eq!(sent, 10);
    }
}
