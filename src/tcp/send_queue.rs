//! SND.BUFF: what the user gave and the peer has not acknowledged, and where it ends (RFC 9293 §3.10.2, §3.10.4).

use std::collections::VecDeque;

use super::config::Config;
use super::seq::SeqNum;

/// The text from the first octet that is not acknowledged, and the FIN behind it.
pub(super) struct SendQueue {
    text: VecDeque<u8>,
    /// The number of the first octet of `text`.
    first: SeqNum,
    /// The number of our FIN, once the user has closed.
    fin: Option<SeqNum>,
    /// Its size, as it is at least.
    buff_bytes: usize,
    /// Its size, as it is at most.
    buff_max_bytes: usize,
}

impl SendQueue {
    /// Nothing, behind our SYN.
    pub(super) fn new(iss: SeqNum, config: &Config) -> Self {
        let Config { snd_buff_bytes: buff_bytes, snd_buff_max_bytes: buff_max_bytes, .. } = *config;
        Self { text: VecDeque::new(), first: iss + 1, fin: None, buff_bytes, buff_max_bytes }
    }

    /// SEND (RFC 9293 §3.10.2).
    pub(super) fn push(&mut self, text: &[u8]) {
        self.text.extend(text);
    }

    /// CLOSE (RFC 9293 §3.10.4): the FIN follows what is queued.
    pub(super) fn close(&mut self) {
        let end = self.text_end();
        self.fin.get_or_insert(end);
    }

    /// Whether the user may give more, with a congestion window of so many octets.
    pub(super) fn has_room(&self, cwnd: u32) -> bool {
        // What is outstanding stays here for a round trip: there must be as much again for the next one.
        let needed = usize::try_from(cwnd).unwrap_or(usize::MAX).saturating_mul(2);
        self.text.len() < needed.min(self.buff_max_bytes).max(self.buff_bytes)
    }

    /// Octets of text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The number of our FIN, once the user has closed.
    pub(super) const fn fin(&self) -> Option<SeqNum> {
        self.fin
    }

    /// The number after the last octet of text.
    pub(super) fn text_end(&self) -> SeqNum {
        self.first + u32::try_from(self.text.len()).unwrap_or(u32::MAX >> 1)
    }

    /// The number after all that the user gave, its FIN counted.
    pub(super) fn stream_end(&self) -> SeqNum {
        self.fin.map_or_else(|| self.text_end(), |fin| fin + 1)
    }

    /// A copy of so many octets from `seq` on.
    pub(super) fn copy(&self, seq: SeqNum, len: u32) -> Vec<u8> {
        let from = usize::try_from(seq.distance_from(self.first)).unwrap_or(usize::MAX);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (front, back) = self.text.as_slices();
        let mut copy = Vec::with_capacity(len);
        if let Some(tail) = front.get(from..) {
            copy.extend_from_slice(tail.get(..len).unwrap_or(tail));
        }
        let from = from.saturating_sub(front.len());
        if let Some(rest) = back.get(from..) {
            let missing = len.saturating_sub(copy.len());
            copy.extend_from_slice(rest.get(..missing).unwrap_or(rest));
        }
        copy
    }

    /// Everything before `seg_ack` is acknowledged.
    pub(super) fn acknowledged(&mut self, seg_ack: SeqNum) {
        let octets = usize::try_from(seg_ack.distance_from(self.first)).unwrap_or(usize::MAX);
        self.text.drain(..octets.min(self.text.len()));
        self.first = seg_ack;
        if self.text.is_empty() && self.text.capacity() > self.buff_bytes.saturating_mul(2) {
            // A connection that falls idle keeps no more than it began with.
            self.text = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISS: SeqNum = SeqNum::new(u32::MAX - 3);

    fn queue() -> SendQueue {
        SendQueue::new(ISS, &Config { snd_buff_bytes: 10, snd_buff_max_bytes: 40, ..Config::default() })
    }

    #[test]
    fn text_is_copied_wherever_it_lies_in_the_storage() {
        let mut queue = queue();
        let mut first = ISS + 1;
        for round in 0..50_u8 {
            queue.push(&[round; 7]);
            queue.push(&[round, 1, 2]);
            assert_eq!(queue.copy(first, 10), [round, round, round, round, round, round, round, round, 1, 2]);
            assert_eq!(queue.copy(first + 6, 3), [round, round, 1]);
            assert_eq!((queue.copy(first + 8, 9), queue.copy(first + 10, 1)), (vec![1, 2], vec![]));
            queue.acknowledged(first + 10);
            first = first + 10;
        }
        assert_eq!(queue.text_end(), first);
    }

    #[test]
    fn the_fin_follows_what_was_queued_and_stays_there() {
        let mut queue = queue();
        queue.push(b"text");
        assert_eq!((queue.fin(), queue.stream_end()), (None, ISS + 5));
        queue.close();
        queue.close();
        assert_eq!((queue.fin(), queue.stream_end()), (Some(ISS + 5), ISS + 6));
        queue.acknowledged(ISS + 6);
        assert_eq!((queue.len(), queue.stream_end()), (0, ISS + 6));
    }

    #[test]
    fn there_is_room_for_two_congestion_windows_between_the_limits() {
        let mut queue = queue();
        for (len, cwnd, has_room) in
            [(9, 1, true), (10, 1, false), (10, 5, false), (10, 6, true), (39, 99, true), (40, 99, false)]
        {
            queue.push(&vec![0; len - queue.len()]);
            assert_eq!(queue.has_room(cwnd), has_room, "{len} octets, {cwnd}");
        }
    }

    #[test]
    fn storage_is_given_back_when_a_large_queue_has_emptied() {
        let mut queue = queue();
        queue.push(&[0; 1000]);
        queue.acknowledged(ISS + 1000);
        assert!(queue.text.capacity() >= 1000);
        queue.acknowledged(ISS + 1001);
        assert_eq!(queue.text.capacity(), 0);
    }
}
