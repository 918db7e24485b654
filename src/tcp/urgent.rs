//! Urgent data: a mark in the stream, not a stream of its own (RFC 9293 §3.8.5, RFC 6093).
//!
//! The data is delivered in line, whatever is urgent in it; the user is told how far it goes. The urgent pointer is the number
//! of the octet that follows the urgent data (MUST-62).

use super::seq::SeqNum;

/// SND.UP: where the user's urgent data ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SndUp {
    /// The octet after it, until that is acknowledged.
    up: Option<SeqNum>,
}

impl SndUp {
    /// The data before `end` is urgent.
    pub(super) fn mark(&mut self, end: SeqNum) {
        self.up = Some(end);
    }

    /// Whether there is urgent data that the peer has not acknowledged.
    pub(super) const fn is_pending(&self) -> bool {
        self.up.is_some()
    }

    /// The peer has everything before `snd_una`.
    pub(super) fn acknowledged(&mut self, snd_una: SeqNum) {
        self.up.take_if(|up| up.is_at_or_before(snd_una));
    }

    /// SEG.UP of a segment that begins at `seq`, if it has to carry URG.
    ///
    /// Urgent data may be of any length (MUST-31); of an end too far ahead the segment says as much as it can, and later
    /// ones say more.
    pub(super) fn pointer(&self, seq: SeqNum) -> Option<u16> {
        let up = self.up.filter(|up| seq.is_before(*up))?;
        Some(u16::try_from(up.distance_from(seq)).unwrap_or(u16::MAX))
    }
}

/// Whether the user knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signal {
    /// It has to be told (MUST-32).
    Due,
    /// It was.
    Given,
}

/// RCV.UP: where the peer's urgent data ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RcvUp {
    /// The octet after it and whether the user knows, until it has received all before.
    up: Option<(SeqNum, Signal)>,
}

impl RcvUp {
    /// RCV.UP <- max(RCV.UP, SEG.UP), `unread` being the first octet that the user has not received (RFC 9293 §3.10.7.4, sixth).
    pub(super) fn arrived(&mut self, seg_up: SeqNum, unread: SeqNum) {
        let known = self.up.map_or(unread, |(up, _)| up);
        if seg_up.is_after(known) {
            self.up = Some((seg_up, Signal::Due));
        }
    }

    /// The user has received all before `unread`.
    pub(super) fn delivered(&mut self, unread: SeqNum) {
        self.up.take_if(|(up, _)| up.is_at_or_before(unread));
    }

    /// Octets from `unread` to the end of the urgent data.
    pub(super) fn octets(&self, unread: SeqNum) -> u32 {
        self.up.filter(|(up, _)| up.is_after(unread)).map_or(0, |(up, _)| up.distance_from(unread))
    }

    /// Whether the user has to be told.
    pub(super) fn is_to_tell(&self) -> bool {
        matches!(self.up, Some((_, Signal::Due)))
    }

    /// The user was told.
    pub(super) fn told(&mut self) {
        self.up = self.up.map(|(up, _)| (up, Signal::Given));
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::{Control, Segment};
    use super::super::solo::{at, due, established, from_peer, take};
    use super::super::{Advice, Config, Established, Nagle, Tcp};
    use super::*;

    fn fresh() -> Tcp<Established> {
        established(Config { nagle: Nagle::Off, ..Config::default() })
    }

    /// A segment of the peer with URG, `up` octets from its beginning.
    fn urgent(seq: u32, up: u16, text: &[u8]) -> Segment {
        Segment { up, ..from_peer(Control::ACK | Control::URG, seq, 0, text) }
    }

    /// What the user is told of urgent data, and by that knows.
    fn told(tcp: &mut Tcp<Established>) -> Option<u32> {
        match tcp.advice() {
            Some(advice @ Advice::Urgent { octets }) => {
                tcp.advised(advice);
                Some(octets)
            }
            other => {
                assert_eq!(other, None);
                None
            }
        }
    }

    #[test]
    fn must_62_the_pointer_sent_is_that_of_the_octet_after_the_urgent_data() {
        let mut tcp = fresh();
        tcp.send(b"calm", at(0));
        assert!(due(&mut tcp, at(0)).iter().all(|segment| !segment.control.urg() && segment.up == 0));
        tcp.send_urgent(b"urgent", at(0));
        let sent = due(&mut tcp, at(0));
        assert_eq!(sent.len(), 1);
        assert!(sent[0].control.urg());
        assert_eq!((sent[0].up, &sent[0].payload[..]), (6, &b"urgent"[..]));
        tcp.send(b"calm", at(0));
        assert!(!due(&mut tcp, at(0))[0].control.urg());
    }

    #[test]
    fn must_31_urgent_data_longer_than_the_pointer_reaches_is_announced_step_by_step() {
        let mut up = SndUp::default();
        let seq = SeqNum::new(u32::MAX - 10);
        up.mark(seq + 200_000);
        assert_eq!(up.pointer(seq), Some(u16::MAX));
        assert_eq!(up.pointer(seq + (200_000 - 65_536)), Some(u16::MAX));
        assert_eq!(up.pointer(seq + (200_000 - 65_535)), Some(65_535));
        assert_eq!(up.pointer(seq + 199_999), Some(1));
        assert_eq!(up.pointer(seq + 200_000), None);
        up.acknowledged(seq + 199_999);
        assert!(up.is_pending());
        up.acknowledged(seq + 200_000);
        assert!(!up.is_pending());
    }

    #[test]
    fn urgent_data_that_the_window_holds_back_is_announced_with_what_is_sent_before() {
        let mut tcp = fresh();
        take(&mut tcp, Segment { wnd: 4, ..from_peer(Control::ACK, 0, 0, b"") }, at(0));
        tcp.send_urgent(b"12345678", at(0));
        take(&mut tcp, from_peer(Control::ACK, 0, 0, b"x"), at(0));
        let sent = due(&mut tcp, at(0));
        assert!(sent.iter().all(|segment| segment.control.urg()), "{sent:?}");
    }

    #[test]
    fn must_32_the_user_is_told_when_the_pointer_arrives_and_when_it_advances() {
        let mut tcp = fresh();
        take(&mut tcp, urgent(0, 5, b"ab"), at(0));
        assert_eq!(told(&mut tcp), Some(5));
        assert_eq!(told(&mut tcp), None);
        // The same end again, and one before it.
        take(&mut tcp, urgent(2, 3, b"c"), at(0));
        take(&mut tcp, urgent(3, 1, b""), at(0));
        assert_eq!(told(&mut tcp), None);
        take(&mut tcp, urgent(3, 3, b""), at(0));
        assert_eq!(told(&mut tcp), Some(6));
    }

    #[test]
    fn must_33_the_user_learns_how_much_is_left_and_gets_it_in_line() {
        let mut tcp = fresh();
        take(&mut tcp, urgent(0, 5, b"abcdefg"), at(0));
        assert_eq!(tcp.deliver(2), b"ab");
        assert_eq!(tcp.urgent_octets(), 3);
        assert_eq!(tcp.deliver(3), b"cde");
        assert_eq!(tcp.urgent_octets(), 0);
        assert_eq!(tcp.deliver(9), b"fg");
        // What the user has received already is urgent no more.
        take(&mut tcp, urgent(0, 5, b"abcdefg!"), at(0));
        assert_eq!(told(&mut tcp), None);
        take(&mut tcp, urgent(8, 1, b"?"), at(0));
        assert_eq!(told(&mut tcp), Some(2));
    }

    #[test]
    fn a_pointer_of_a_segment_that_begins_in_the_past_keeps_its_place() {
        let mut tcp = fresh();
        take(&mut tcp, from_peer(Control::ACK, 0, 0, b"abc"), at(0));
        assert_eq!(tcp.deliver(9), b"abc");
        take(&mut tcp, urgent(1, 3, b"bcd"), at(0));
        assert_eq!(told(&mut tcp), Some(1));
        let mut tcp = fresh();
        take(&mut tcp, from_peer(Control::ACK, 0, 0, b"abc"), at(0));
        // It points into what has arrived already and the user has not received.
        take(&mut tcp, urgent(0, 2, b"abcd"), at(0));
        assert_eq!(told(&mut tcp), Some(2));
    }

    #[test]
    fn must_66_urg_counts_while_the_receive_window_is_zero() {
        let config = Config { rcv_buff_bytes: 4, ..Config::default() };
        let mut tcp = established(config);
        take(&mut tcp, from_peer(Control::ACK, 0, 0, b"full"), at(0));
        let _ack = due(&mut tcp, at(1));
        assert_eq!(tcp.status().rcv_wnd, 0);
        take(&mut tcp, urgent(4, 1, b"!"), at(1));
        assert_eq!(told(&mut tcp), Some(5));
        assert_eq!(tcp.readable(), 4);
    }

    #[test]
    fn a_stream_that_ends_before_the_pointer_ends_the_urgent_data_too() {
        let mut tcp = fresh();
        take(&mut tcp, urgent(0, 100, b"ab"), at(0));
        let fin = from_peer(Control::ACK | Control::FIN, 2, 0, b"c");
        let super::super::Reaction::Acceptable(super::super::EstablishedVerdict::Finishes(fin)) = tcp.judge(fin, at(0))
        else {
            panic!("it finishes the stream");
        };
        let mut tcp = tcp.finish(fin, at(0));
        assert_eq!(tcp.advice(), Some(Advice::Urgent { octets: 3 }));
        assert_eq!(tcp.deliver(9), b"abc");
        assert_eq!((tcp.urgent_octets(), tcp.advice()), (0, None));
    }
}
