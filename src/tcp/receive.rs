//! The receiving side: what of a segment is taken, where it is kept, and the text for the user (RFC 9293 §3.4, §3.8.6, §3.10.7.4).

use core::fmt;

use smoltcp::storage::RingBuffer;
use smoltcp::time::{Duration, Instant};

use super::config::Sack;
use super::delayed_ack::DelayedAck;
use super::reassembly::Reassembly;
use super::report::Report;
use super::sack::{Block, Blocks};
use super::segment::{Control, Segment};
use super::seq::SeqNum;
use super::urgent::RcvUp;
use super::window::{Announced, Fit, Scale, fit};

/// More than any window (RFC 7323 §2.3).
const LARGEST_WINDOW: u32 = 1 << 30;

/// What became of the peer's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerStream {
    /// There may be more text.
    Open,
    /// A FIN with this number arrived, text before it is missing.
    EndsAt(SeqNum),
    /// Everything up to and with the FIN has arrived.
    Finished,
}

/// Whether a segment was taken as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trim {
    /// It was.
    Whole,
    /// What lay outside of the window was cut off; of that, what had arrived before.
    Cut(Option<Block>),
}

/// The receive sequence space and what has arrived in it.
pub(super) struct Receiver {
    /// IRS.
    irs: SeqNum,
    /// The first octet that the peer may send again: that of the stream, or one as far back as no window reaches. IRS would seem to
    /// lie ahead after 2 GiB.
    oldest: SeqNum,
    /// RCV.NXT.
    rcv_nxt: SeqNum,
    /// RCV.WND.
    announced: Announced,
    /// Text for the user, and behind it what came out of order; none before the first text, for a SYN should cost little.
    ring: Option<RingBuffer<'static, u8>>,
    /// Shift count, and the octets of `ring`.
    scale: Scale,
    /// Which octets from RCV.NXT on are there.
    reassembly: Reassembly,
    /// What is told of them, if the peer permits it (RFC 2018).
    report: Option<Report>,
    /// Whether and where it ends.
    stream: PeerStream,
    /// The ACK owed.
    owed: DelayedAck,
    /// RCV.UP.
    rcv_up: RcvUp,
}

/// What a receiver has to know from the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiverConfig {
    /// RCV.BUFF.
    pub(super) buff_bytes: usize,
    /// Shift count and storage for it.
    pub(super) scale: Scale,
    /// Eff.snd.MSS, for silly window avoidance.
    pub(super) mss: u32,
    /// How long an ACK may wait.
    pub(super) delayed_ack: Duration,
    /// Whether selective acknowledgements are sent.
    pub(super) sack: Sack,
}

impl fmt::Debug for Receiver {
    /// Shows the variables, and how much text there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("irs", &self.irs)
            .field("rcv_nxt", &self.rcv_nxt)
            .field("announced", &self.announced)
            .field("readable", &self.readable())
            .field("ranges", &self.reassembly.ranges().collect::<Vec<_>>())
            .field("stream", &self.stream)
            .field("owed", &self.owed)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Expects the text after a SYN with the number `irs`.
    pub(super) fn new(irs: SeqNum, config: ReceiverConfig) -> Self {
        let ReceiverConfig { buff_bytes, scale, mss, delayed_ack, sack } = config;
        let rcv_nxt = irs + 1;
        Self {
            irs,
            oldest: rcv_nxt,
            rcv_nxt,
            announced: Announced::new(rcv_nxt, buff_bytes, scale, mss),
            ring: None,
            scale,
            reassembly: Reassembly::default(),
            report: (sack == Sack::On).then(Report::default),
            stream: PeerStream::Open,
            rcv_up: RcvUp::default(),
            owed: DelayedAck::new(delayed_ack),
        }
    }

    /// IRS.
    pub(super) const fn irs(&self) -> SeqNum {
        self.irs
    }

    /// RCV.NXT.
    pub(super) const fn rcv_nxt(&self) -> SeqNum {
        self.rcv_nxt
    }

    /// RCV.WND as the peer was told, which is what table 6 goes by.
    pub(super) fn rcv_wnd(&self) -> u32 {
        self.announced.rcv_wnd(self.rcv_nxt)
    }

    /// Table 6 for this segment.
    pub(super) fn fit(&self, segment: &Segment) -> Fit {
        fit(segment.seq, segment.seg_len(), self.rcv_nxt, self.rcv_wnd())
    }

    /// Whether the peer's FIN and all before it have arrived.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.stream, PeerStream::Finished)
    }

    /// Octets that the user can have.
    pub(super) fn readable(&self) -> usize {
        self.ring.as_ref().map_or(0, RingBuffer::len)
    }

    /// Cuts off what lies outside of the window or past the peer's FIN (RFC 9293 §3.10.7.4): SYN and FIN too.
    pub(super) fn trim(&self, segment: &mut Segment) -> Trim {
        if self.is_finished() {
            // RFC 9293 §3.10.7.4: after the FIN there is neither text nor another FIN.
            segment.payload.clear();
            segment.control = segment.control.without(Control::FIN);
            return Trim::Whole;
        }
        let mut limit = self.announced.right().later_of(self.rcv_nxt);
        if let PeerStream::EndsAt(fin) = self.stream {
            limit = limit.earlier_of(fin + 1);
        }
        let before = segment.seg_len();
        let old = self.old_text(segment);
        self.cut_left(segment);
        cut_right(segment, limit);
        if let PeerStream::EndsAt(fin) = self.stream {
            // What claims to be text where the FIN is, is none.
            cut_text(segment, fin);
        }
        if segment.seg_len() == before { Trim::Whole } else { Trim::Cut(old) }
    }

    /// The text of a segment that lies before RCV.NXT, if there is any.
    fn old_text(&self, segment: &Segment) -> Option<Block> {
        let right = (segment.seq + segment.text_len()).earlier_of(self.rcv_nxt);
        let block = Block { left: segment.seq.later_of(self.oldest), right };
        (!block.is_empty() && !segment.control.syn()).then_some(block)
    }

    /// Remembers to report text that a segment which is not acceptable brought again (RFC 2883 §4).
    pub(super) fn note_old_text(&mut self, segment: &Segment) {
        let old = self.old_text(segment);
        self.note_duplicate(old);
    }

    /// Remembers to report what had arrived before.
    fn note_duplicate(&mut self, duplicate: Option<Block>) {
        if let (Some(report), Some(duplicate)) = (&mut self.report, duplicate) {
            report.repeated(duplicate);
        }
    }

    /// Cuts off what lies before RCV.NXT.
    fn cut_left(&self, segment: &mut Segment) {
        if !segment.seq.is_before(self.rcv_nxt) {
            return;
        }
        let old = self.rcv_nxt.distance_from(segment.seq);
        if old > segment.text_len() {
            segment.control = segment.control.without(Control::FIN);
        }
        let old = usize::try_from(old).unwrap_or(usize::MAX).min(segment.payload.len());
        segment.payload.drain(..old);
        segment.seq = self.rcv_nxt;
    }

    /// Whether the segment, trimmed or not, holds text that has not arrived before and belongs to the stream.
    pub(super) fn brings_text(&self, segment: &Segment) -> bool {
        let mut end = segment.seq + segment.text_len();
        if let PeerStream::EndsAt(fin) = self.stream {
            end = end.earlier_of(fin);
        }
        segment.seq.is_before(end) && end.is_after(self.rcv_nxt) && !self.is_finished()
    }

    /// Whether after this trimmed segment the peer's stream is complete up to and with its FIN.
    pub(super) fn would_finish(&self, segment: &Segment) -> bool {
        if segment.control.fin() && segment.seq == self.rcv_nxt {
            return true;
        }
        let fin = match self.stream {
            PeerStream::EndsAt(fin) => fin,
            PeerStream::Open if segment.control.fin() => segment.end() - 1,
            PeerStream::Open | PeerStream::Finished => return false,
        };
        let first = (offset(segment.seq, self.rcv_nxt), offset(segment.seq + segment.text_len(), self.rcv_nxt));
        let mut complete = 0;
        if first.0 == 0 {
            complete = first.1;
        }
        for Block { left, right } in self.reassembly.ranges() {
            let (left, right) = (offset(left, self.rcv_nxt), offset(right, self.rcv_nxt));
            // The segment may lie before this range, or close the gap after it.
            if left <= complete {
                complete = complete.max(right);
            }
            if first.0 <= complete {
                complete = complete.max(first.1);
            }
        }
        complete >= offset(fin, self.rcv_nxt)
    }

    /// Takes the text and the FIN of a trimmed segment; one that something was cut off is owed an ACK at once.
    pub(super) fn take(&mut self, mut segment: Segment, trim: Trim, now: Instant) {
        // Trimmed once more, should RCV.NXT have moved since the verdict.
        for trim in [trim, self.trim(&mut segment)] {
            if let Trim::Cut(old) = trim {
                self.owed.at_once();
                self.note_duplicate(old);
            }
        }
        if segment.payload.is_empty() && !segment.control.fin() {
            return;
        }
        let had_gaps = !self.reassembly.is_empty();
        let in_order = segment.seq == self.rcv_nxt;
        if in_order && segment.control.fin() {
            // What lay behind the FIN was none of the stream.
            self.reassembly.clear();
            self.store(segment.seq, &segment.payload);
            self.finish();
            return;
        }
        self.take_fin(&segment);
        self.store(segment.seq, &segment.payload);
        self.finish_if_complete();
        // RFC 5681 §4.2: at once if it is out of order or fills a gap.
        if had_gaps || !in_order {
            self.owed.at_once();
        } else {
            self.owed.text_in_order(now);
        }
    }

    /// Remembers a FIN before which text is missing.
    fn take_fin(&mut self, segment: &Segment) {
        let fin = segment.end() - 1;
        // A FIN before text that is already here contradicts the peer's own word; it is not believed before its turn.
        let is_behind = self.reassembly.end().is_none_or(|end| end.is_at_or_before(fin));
        if segment.control.fin() && self.stream == PeerStream::Open && is_behind {
            self.stream = PeerStream::EndsAt(fin);
        }
    }

    /// Keeps text, and advances RCV.NXT over what is complete.
    fn store(&mut self, seq: SeqNum, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let at = offset(seq, self.rcv_nxt);
        let block = Block { left: seq, right: seq + u32::try_from(text.len()).unwrap_or(0) };
        self.note_duplicate(self.reassembly.first_part_of(block));
        let storage_bytes = self.scale.storage_bytes;
        let Ok(rcv_nxt) = self.reassembly.take(block, self.rcv_nxt, storage_bytes) else {
            return;
        };
        let ring = self.ring.get_or_insert_with(|| RingBuffer::new(vec![0; storage_bytes]));
        let written = ring.write_unallocated(at, text);
        assert!(written == text.len(), "trimmed text fits: {written} of {} octets did", text.len());
        ring.enqueue_unallocated(offset(rcv_nxt, self.rcv_nxt));
        self.rcv_nxt = rcv_nxt;
        self.oldest = self.oldest.later_of(self.rcv_nxt - LARGEST_WINDOW);
        if let (Some(report), 1..) = (&mut self.report, at) {
            report.arrived(seq, &self.reassembly);
        }
    }

    /// Takes text that came with the SYN and has to wait for the handshake (RFC 9293 §3.10.7.2): RCV.NXT stays.
    pub(super) fn hold_early_text(&mut self, text: &[u8]) {
        let text = text.get(..self.scale.storage_bytes).unwrap_or(text);
        let block = Block { left: self.rcv_nxt, right: self.rcv_nxt + u32::try_from(text.len()).unwrap_or(0) };
        if text.is_empty() || self.reassembly.keep(block, self.scale.storage_bytes).is_err() {
            return;
        }
        let mut ring = RingBuffer::new(vec![0; self.scale.storage_bytes]);
        let written = ring.write_unallocated(0, text);
        assert!(written == text.len(), "early text fits: {written} of {} octets did", text.len());
        self.ring = Some(ring);
    }

    /// Hands over the text that had to wait for the handshake.
    pub(super) fn release_early_text(&mut self) {
        let rcv_nxt = self.reassembly.advance(self.rcv_nxt);
        if let (Some(ring), 1..) = (&mut self.ring, offset(rcv_nxt, self.rcv_nxt)) {
            ring.enqueue_unallocated(offset(rcv_nxt, self.rcv_nxt));
            self.rcv_nxt = rcv_nxt;
            self.owed.at_once();
        }
    }

    /// Advances RCV.NXT over a FIN remembered earlier once it has its turn.
    fn finish_if_complete(&mut self) {
        if self.stream == PeerStream::EndsAt(self.rcv_nxt) {
            self.finish();
        }
    }

    /// Advances RCV.NXT over the FIN (RFC 9293 §3.10.7.4, eighth).
    fn finish(&mut self) {
        self.rcv_nxt = self.rcv_nxt + 1;
        self.stream = PeerStream::Finished;
        self.reassembly.clear();
        self.owed.at_once();
    }

    /// Hands at most `max` octets to the user; the room may be worth an announcement (RFC 9293 §3.8.6.2.2).
    pub(super) fn deliver(&mut self, max: usize) -> Vec<u8> {
        let Some(ring) = &mut self.ring else {
            return Vec::new();
        };
        let len = max.min(ring.len());
        let mut text = Vec::with_capacity(len);
        // The text is one piece, or two around the end of the ring.
        for _ in 0..2 {
            let part = ring.get_allocated(text.len(), len - text.len());
            text.extend_from_slice(part);
        }
        ring.dequeue_allocated(len);
        if ring.is_empty() && self.reassembly.is_empty() {
            // Begin at the front again: a connection with little text touches little memory.
            ring.clear();
        }
        if !self.is_finished() && self.announced.update_is_due(self.rcv_nxt, self.unread()) {
            self.owed.at_once();
        }
        let unread = self.unread_seq();
        self.rcv_up.delivered(unread);
        text
    }

    /// A segment says that the peer's stream is urgent up to `seg_up` (RFC 9293 §3.10.7.4, sixth); after its end that means nothing.
    pub(super) fn take_urgent(&mut self, seg_up: SeqNum) {
        if !self.is_finished() {
            let unread = self.unread_seq();
            self.rcv_up.arrived(seg_up, unread);
        }
    }

    /// Octets from the first one that the user has not received to the end of the urgent data, or of the stream.
    pub(super) fn urgent_octets(&self) -> u32 {
        let octets = self.rcv_up.octets(self.unread_seq());
        if self.is_finished() { octets.min(self.unread()) } else { octets }
    }

    /// The same, if the user has to be told.
    pub(super) fn urgent_to_tell(&self) -> Option<u32> {
        Some(self.urgent_octets()).filter(|octets| self.rcv_up.is_to_tell() && *octets > 0)
    }

    /// The user was told.
    pub(super) fn urgent_told(&mut self) {
        self.rcv_up.told();
    }

    /// The first octet that the user has not received.
    pub(super) fn unread_seq(&self) -> SeqNum {
        let end = if self.is_finished() { self.rcv_nxt - 1 } else { self.rcv_nxt };
        end - self.unread()
    }

    /// RCV.BUFF.
    pub(super) fn buff_bytes(&self) -> usize {
        usize::try_from(self.announced.buff()).unwrap_or(usize::MAX)
    }

    /// RCV.BUFF is larger from now on; what is there moves to larger storage.
    pub(super) fn grow(&mut self, buff_bytes: usize) {
        let scale = self.scale.grown(buff_bytes);
        if scale.storage_bytes <= self.scale.storage_bytes {
            return;
        }
        self.scale = scale;
        self.announced.grow(buff_bytes, scale.storage_bytes);
        if let Some(old) = self.ring.take() {
            self.ring = Some(self.moved(old));
        }
    }

    /// Storage of the present size with everything from `old` in it: what the user can have, and what lies behind a gap.
    fn moved(&self, mut old: RingBuffer<'static, u8>) -> RingBuffer<'static, u8> {
        let mut ring = RingBuffer::new(vec![0; self.scale.storage_bytes]);
        while !old.is_empty() {
            let all = old.len();
            let text = old.dequeue_many(all);
            let moved = ring.enqueue_slice(text);
            assert!(moved == text.len(), "a larger ring takes the text of a smaller one: {moved} of {}", text.len());
        }
        for Block { left, right } in self.reassembly.ranges() {
            let (mut at, right) = (offset(left, self.rcv_nxt), offset(right, self.rcv_nxt));
            while at < right {
                // One piece, or two around the end of the old ring, whose front is where the text that was taken out ended.
                let text = old.get_unallocated(at, right - at);
                let moved = ring.write_unallocated(at, text);
                assert!(moved > 0 && moved == text.len(), "a larger ring takes what lies behind a gap: {moved}");
                at += moved;
            }
        }
        ring
    }

    /// Gives the storage back: nobody reads any more.
    pub(super) fn release(&mut self) {
        self.ring = None;
        self.reassembly.clear();
    }

    /// Octets that wait for the user, as the window counts them.
    fn unread(&self) -> u32 {
        u32::try_from(self.readable()).unwrap_or(u32::MAX)
    }

    /// An ACK is owed at once.
    pub(super) fn owe_ack(&mut self) {
        self.owed.at_once();
    }

    /// Whether an ACK is due.
    pub(super) fn ack_is_due(&self, now: Instant) -> bool {
        self.owed.is_due(now)
    }

    /// When an ACK becomes due.
    pub(super) const fn ack_deadline(&self) -> Option<Instant> {
        self.owed.deadline()
    }

    /// The SACK blocks of the next segment.
    pub(super) fn report(&self) -> Blocks {
        self.report.as_ref().map_or_else(Blocks::default, |report| report.blocks(&self.reassembly, self.rcv_nxt))
    }

    /// Whether one of them is text that came twice (RFC 2883 §4).
    pub(super) fn reports_duplicate(&self) -> bool {
        self.report.as_ref().is_some_and(Report::has_duplicate)
    }

    /// SEG.ACK and SEG.WND of a segment that is being sent: every ACK owed is paid by it, and what there is to report is reported.
    pub(super) fn acknowledge(&mut self) -> (SeqNum, u16) {
        self.owed.paid();
        if let Some(report) = &mut self.report {
            report.reported();
        }
        let unread = self.unread();
        (self.rcv_nxt, self.announced.announce(self.rcv_nxt, unread))
    }

    /// The same for a SYN,ACK.
    pub(super) fn acknowledge_syn(&mut self) -> (SeqNum, u16) {
        self.owed.paid();
        (self.rcv_nxt, self.announced.announce_unscaled(self.rcv_nxt))
    }
}

/// How far `seq` lies past `rcv_nxt`, as an index.
fn offset(seq: SeqNum, rcv_nxt: SeqNum) -> usize {
    usize::try_from(seq.distance_from(rcv_nxt)).unwrap_or(usize::MAX)
}

/// Cuts off what lies at or past `limit`, the FIN counted behind the text.
fn cut_right(segment: &mut Segment, limit: SeqNum) {
    if segment.end().is_at_or_before(limit) {
        return;
    }
    segment.control = segment.control.without(Control::FIN);
    cut_text(segment, limit);
}

/// Cuts off the text at or past `limit`.
fn cut_text(segment: &mut Segment, limit: SeqNum) {
    let keep = if segment.seq.is_before(limit) { offset(limit, segment.seq) } else { 0 };
    segment.payload.truncate(keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis_const(1000);
    const DELAY: Duration = Duration::from_millis(40);

    /// Numbers before which RCV.NXT begins: far from the wrap and around it.
    const BASES: [SeqNum; 3] = [SeqNum::new(5000), SeqNum::new(u32::MAX), SeqNum::new(u32::MAX - 9)];

    /// A receiver with a buffer of so many octets, announced in full.
    fn receiver(irs: SeqNum, buff_bytes: usize) -> Receiver {
        let scale = Scale { shift: 0, storage_bytes: buff_bytes };
        let mut rcv =
            Receiver::new(irs, ReceiverConfig { buff_bytes, scale, mss: 10, delayed_ack: DELAY, sack: Sack::Off });
        rcv.acknowledge_syn();
        rcv
    }

    /// A segment this far past RCV.NXT at the start.
    fn segment(irs: SeqNum, offset: u32, text: &[u8], control: Control) -> Segment {
        Segment { seq: irs + 1 + offset, payload: text.to_vec(), control, ..Segment::default() }
    }

    impl Receiver {
        fn arrives(&mut self, mut segment: Segment) {
            let trim = self.trim(&mut segment);
            self.take(segment, trim, NOW);
        }
    }

    /// What is left of a segment: offset, text and FIN.
    fn trimmed(rcv: &Receiver, mut segment: Segment) -> (u32, Vec<u8>, bool, Trim) {
        let trim = if rcv.trim(&mut segment) == Trim::Whole { Trim::Whole } else { Trim::Cut(None) };
        (segment.seq.distance_from(rcv.irs + 1), segment.payload.clone(), segment.control.fin(), trim)
    }

    #[test]
    fn both_ends_are_trimmed_to_the_window() {
        for irs in BASES {
            let mut rcv = receiver(irs, 10);
            rcv.arrives(segment(irs, 0, b"ab", Control::NONE));
            let of = |offset, text: &[u8], control| trimmed(&rcv, segment(irs, offset, text, control));
            // The window is 2 to 9.
            assert_eq!(of(0, b"abc", Control::NONE), (2, b"c".to_vec(), false, Trim::Cut(None)));
            assert_eq!(of(2, b"cdefghij", Control::NONE), (2, b"cdefghij".to_vec(), false, Trim::Whole));
            assert_eq!(of(2, b"cdefghijk", Control::NONE), (2, b"cdefghij".to_vec(), false, Trim::Cut(None)));
            assert_eq!(of(1, b"bcdefghijk", Control::NONE), (2, b"cdefghij".to_vec(), false, Trim::Cut(None)));
            assert_eq!(of(9, b"jk", Control::NONE), (9, b"j".to_vec(), false, Trim::Cut(None)));
        }
    }

    #[test]
    fn fin_is_trimmed_when_it_lies_outside() {
        for irs in BASES {
            let mut rcv = receiver(irs, 10);
            rcv.arrives(segment(irs, 0, b"ab", Control::NONE));
            let of = |offset, text: &[u8]| trimmed(&rcv, segment(irs, offset, text, Control::FIN));
            assert_eq!(of(2, b"cdefghi"), (2, b"cdefghi".to_vec(), true, Trim::Whole));
            assert_eq!(of(2, b"cdefghij"), (2, b"cdefghij".to_vec(), false, Trim::Cut(None)));
            assert_eq!(of(9, b""), (9, b"".to_vec(), true, Trim::Whole));
            assert_eq!(of(10, b""), (10, b"".to_vec(), false, Trim::Cut(None)));
            // An old FIN, and one that is just not old.
            assert_eq!(of(0, b"a"), (2, b"".to_vec(), false, Trim::Cut(None)));
            assert_eq!(of(0, b"ab"), (2, b"".to_vec(), true, Trim::Cut(None)));
        }
    }

    #[test]
    fn shld_31_text_out_of_order_is_held_and_delivered_in_order() {
        for irs in BASES {
            let mut rcv = receiver(irs, 100);
            for (offset, text) in [(6, &b"world"[..]), (2, b"llo"), (4, b"o w"), (0, b"h")] {
                rcv.arrives(segment(irs, offset, text, Control::NONE));
            }
            assert_eq!(rcv.deliver(100), b"h");
            rcv.arrives(segment(irs, 0, b"hello", Control::NONE));
            assert_eq!(rcv.deliver(4), b"ello");
            assert_eq!(rcv.deliver(100), b" world");
            assert_eq!(rcv.rcv_nxt(), irs + 12);
        }
    }

    #[test]
    fn more_ranges_than_there_is_room_for_are_dropped_and_come_again() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 1000);
        for offset in 1..100 {
            rcv.arrives(segment(irs, offset * 2, b"x", Control::NONE));
        }
        for offset in 0..100 {
            rcv.arrives(segment(irs, offset * 2, b"xy", Control::NONE));
        }
        assert_eq!(rcv.deliver(1000), b"xy".repeat(100));
    }

    #[test]
    fn hundreds_of_gaps_are_kept_apart_in_a_large_buffer() {
        for irs in BASES {
            let mut rcv = receiver(irs, 1 << 20);
            for offset in 0..1000 {
                rcv.arrives(segment(irs, offset * 2 + 1, b"y", Control::NONE));
            }
            for offset in 0..1000 {
                rcv.arrives(segment(irs, offset * 2, b"x", Control::NONE));
            }
            assert_eq!(rcv.deliver(10_000), b"xy".repeat(1000));
        }
    }

    #[test]
    fn text_goes_round_the_end_of_the_storage() {
        let irs = BASES[1];
        let mut rcv = receiver(irs, 10);
        let mut sent = 0;
        for round in 0..50_u32 {
            let text: Vec<u8> = (0..7).map(|octet| u8::try_from((sent + octet) % 251).unwrap()).collect();
            rcv.arrives(segment(irs, sent + 3, &text[3..], Control::NONE));
            rcv.arrives(segment(irs, sent, &text[..3], Control::NONE));
            assert_eq!(rcv.deliver(100), text, "round {round}");
            sent += 7;
            rcv.acknowledge();
        }
    }

    #[test]
    fn storage_that_grows_keeps_what_the_user_can_have_and_what_lies_behind_gaps() {
        for irs in BASES {
            for read in [0, 5, 7, 9] {
                let mut rcv = receiver(irs, 10);
                rcv.arrives(segment(irs, 0, b"abcdefghi", Control::NONE));
                let mut text = rcv.deliver(read);
                rcv.acknowledge();
                // Around the end of the ring, as far as it goes.
                let at = u32::try_from(read).unwrap();
                rcv.arrives(segment(irs, at + 9, b"z", Control::NONE));
                rcv.grow(100);
                assert_eq!((rcv.buff_bytes(), rcv.unread_seq()), (100, irs + 1 + at));
                rcv.acknowledge();
                assert!(rcv.rcv_wnd() >= 90, "{}", rcv.rcv_wnd());
                rcv.arrives(segment(irs, 9, &b"jklmnopqr"[..read], Control::NONE));
                rcv.arrives(segment(irs, at + 10, &[b'!'; 80], Control::NONE));
                text.extend(rcv.deliver(1000));
                let expected = [b"abcdefghi", &b"jklmnopqr"[..read], b"z", &[b'!'; 80]].concat();
                assert_eq!(text, expected, "{read}");
            }
        }
    }

    #[test]
    fn stream_finishes_when_all_before_the_fin_is_there() {
        for irs in BASES {
            let mut rcv = receiver(irs, 100);
            let fin = |offset, text: &[u8]| segment(irs, offset, text, Control::FIN);
            assert!(rcv.would_finish(&fin(0, b"")));
            assert!(rcv.would_finish(&fin(0, b"abc")));
            assert!(!rcv.would_finish(&fin(1, b"abc")));
            rcv.arrives(fin(5, b"f"));
            assert!(!rcv.is_finished());
            // What claims to lie past the FIN is none of the stream.
            assert_eq!(trimmed(&rcv, segment(irs, 5, b"fgh", Control::NONE)).1, b"f");
            let missing = |text: &[u8]| segment(irs, 0, text, Control::NONE);
            assert!(!rcv.would_finish(&missing(b"abcd")));
            assert!(rcv.would_finish(&missing(b"abcde")));
            rcv.arrives(missing(b"abcd"));
            assert!(!rcv.is_finished());
            rcv.arrives(segment(irs, 4, b"e", Control::NONE));
            assert!(rcv.is_finished());
            assert_eq!((rcv.rcv_nxt(), rcv.deliver(100)), (irs + 8, b"abcdef".to_vec()));
        }
    }

    #[test]
    fn what_would_finish_the_stream_finishes_it() {
        let irs = BASES[0];
        let mut random = 12345_u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        for _ in 0..2000 {
            let mut rcv = receiver(irs, 30);
            for _ in 0..20 {
                let control = if next(3) == 0 { Control::FIN } else { Control::NONE };
                let (offset, len) = (next(12), next(6));
                let mut segment = segment(irs, offset, &vec![7; usize::try_from(len).unwrap()], control);
                rcv.trim(&mut segment);
                let expected = rcv.would_finish(&segment);
                let before = rcv.is_finished();
                rcv.arrives(segment.clone());
                assert_eq!(rcv.is_finished(), before || expected, "{segment:?} {rcv:?}");
                rcv.deliver(3);
            }
        }
    }

    #[test]
    fn fin_before_text_that_is_here_is_believed_only_in_its_turn() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 100);
        rcv.arrives(segment(irs, 5, b"fgh", Control::NONE));
        rcv.arrives(segment(irs, 3, b"d", Control::FIN));
        rcv.arrives(segment(irs, 0, b"abcde", Control::NONE));
        assert!(!rcv.is_finished());
        rcv.arrives(segment(irs, 12, b"no", Control::NONE));
        rcv.arrives(segment(irs, 8, b"i", Control::FIN));
        assert!(rcv.is_finished());
        assert_eq!(rcv.deliver(100), b"abcdefghi");
    }

    #[test]
    fn after_the_fin_there_is_neither_text_nor_fin() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 100);
        rcv.arrives(segment(irs, 0, b"a", Control::FIN));
        rcv.acknowledge();
        rcv.arrives(segment(irs, 2, b"more", Control::FIN));
        assert_eq!((rcv.rcv_nxt(), rcv.readable()), (irs + 3, 1));
        assert!(!rcv.ack_is_due(NOW + DELAY));
    }

    #[test]
    fn ack_for_text_in_order_waits_for_the_second_segment() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 100);
        rcv.arrives(segment(irs, 0, b"a", Control::NONE));
        assert!(!rcv.ack_is_due(NOW));
        assert_eq!(rcv.ack_deadline(), Some(NOW + DELAY));
        rcv.arrives(segment(irs, 1, b"b", Control::NONE));
        assert!(rcv.ack_is_due(NOW));
        rcv.acknowledge();
        assert!(!rcv.ack_is_due(NOW + DELAY));
    }

    #[test]
    fn out_of_order_gap_filling_cut_and_last_segments_are_acknowledged_at_once() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 20);
        for (offset, text, control) in [
            (2, &b"c"[..], Control::NONE),
            (4, b"e", Control::NONE),
            (0, b"ab", Control::NONE),
            (3, b"d", Control::NONE),
            (3, b"def", Control::NONE),
            (6, &[1; 20], Control::NONE),
        ] {
            rcv.arrives(segment(irs, offset, text, control));
            assert!(rcv.ack_is_due(NOW), "{offset} {text:?}");
            rcv.acknowledge();
        }
        rcv.deliver(20);
        rcv.acknowledge();
        rcv.arrives(segment(irs, 20, b"", Control::FIN));
        assert!(rcv.ack_is_due(NOW));
    }

    #[test]
    fn segment_without_text_owes_nothing() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 20);
        rcv.arrives(segment(irs, 0, b"", Control::ACK));
        rcv.arrives(segment(irs, 5, b"", Control::ACK));
        assert!(!rcv.ack_is_due(NOW + DELAY));
    }

    #[test]
    fn reader_that_makes_room_owes_an_announcement_once_it_is_worthwhile() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 100);
        rcv.arrives(segment(irs, 0, &[1; 100], Control::NONE));
        assert_eq!(rcv.acknowledge(), (irs + 101, 0));
        rcv.deliver(9);
        assert!(!rcv.ack_is_due(NOW));
        rcv.deliver(1);
        assert!(rcv.ack_is_due(NOW));
        assert_eq!(rcv.acknowledge(), (irs + 101, 10));
    }

    #[test]
    fn a_verdict_that_is_out_of_date_does_no_harm() {
        let irs = BASES[0];
        let mut rcv = receiver(irs, 100);
        rcv.take(segment(irs, 0, b"hello", Control::NONE), Trim::Whole, NOW);
        rcv.take(segment(irs, 0, b"hello", Control::NONE), Trim::Whole, NOW);
        rcv.take(segment(irs, 3, b"lo wor", Control::NONE), Trim::Whole, NOW);
        rcv.take(segment(irs, 90, &[1; 50], Control::FIN), Trim::Whole, NOW);
        assert_eq!(rcv.deliver(100), b"hello wor");
    }

    const IRS: SeqNum = SeqNum::new(u32::MAX - 1000);

    /// A receiver that reports, or does not.
    fn reporter(sack: Sack) -> Receiver {
        Receiver { report: (sack == Sack::On).then(Report::default), ..receiver(IRS, 10_000) }
    }

    /// The block of so many octets, that many past the first octet of the stream.
    fn block(at: u32, len: u32) -> Block {
        Block { left: IRS + 1 + at, right: IRS + 1 + at + len }
    }

    /// Text arrives; returns what is reported afterwards.
    fn report_of(receiver: &mut Receiver, at: u32, len: usize) -> Vec<Block> {
        let mut segment =
            Segment { seq: IRS + 1 + at, control: Control::ACK, payload: vec![1; len], ..Segment::default() };
        if receiver.fit(&segment) == Fit::Outside {
            receiver.note_old_text(&segment);
        } else {
            let trim = receiver.trim(&mut segment);
            receiver.take(segment, trim, NOW);
        }
        let blocks = receiver.report().as_slice().to_vec();
        receiver.acknowledge();
        blocks
    }

    #[test]
    fn text_out_of_order_is_reported_the_latest_first() {
        let mut receiver = reporter(Sack::On);
        assert_eq!(report_of(&mut receiver, 0, 100), []);
        assert_eq!(report_of(&mut receiver, 200, 100), [block(200, 100)]);
        assert_eq!(report_of(&mut receiver, 400, 100), [block(400, 100), block(200, 100)]);
        assert_eq!(report_of(&mut receiver, 300, 100), [block(200, 300)]);
        assert_eq!(report_of(&mut receiver, 600, 100), [block(600, 100), block(200, 300)]);
        assert_eq!(report_of(&mut receiver, 100, 100), [block(600, 100)]);
        assert_eq!(report_of(&mut receiver, 500, 100), []);
    }

    #[test]
    fn text_that_comes_again_is_reported_once() {
        let mut receiver = reporter(Sack::On);
        report_of(&mut receiver, 0, 200);
        assert_eq!(report_of(&mut receiver, 0, 100), [block(0, 100)], "all of it acknowledged");
        assert_eq!(report_of(&mut receiver, 150, 100), [block(150, 50)], "a part acknowledged");
        assert_eq!(report_of(&mut receiver, 250, 0), []);
        report_of(&mut receiver, 400, 100);
        assert_eq!(report_of(&mut receiver, 400, 100), [block(400, 100), block(400, 100)], "all of it kept");
        assert_eq!(report_of(&mut receiver, 350, 100), [block(400, 50), block(350, 150)], "a part kept");
        assert_eq!(report_of(&mut receiver, 600, 100), [block(600, 100), block(350, 150)], "only once");
        assert_eq!(report_of(&mut receiver, 250, 150), [block(350, 50), block(600, 100)], "a gap closed");
    }

    #[test]
    fn text_that_comes_again_is_reported_after_more_than_the_sequence_space() {
        let mut receiver = reporter(Sack::On);
        // In steps that no window allows, for the sake of time.
        for _ in 0..40 {
            receiver.deliver(1000);
            receiver.rcv_nxt = receiver.rcv_nxt + (1 << 27);
            receiver.announced = Announced::new(receiver.rcv_nxt, 10_000, receiver.scale, 10);
            receiver.acknowledge();
            let at = receiver.rcv_nxt.distance_from(IRS + 1);
            assert_eq!(report_of(&mut receiver, at, 100), []);
            assert_eq!(report_of(&mut receiver, at, 100), [block(at, 100)]);
        }
    }

    #[test]
    fn nothing_is_reported_to_a_peer_that_did_not_permit_it() {
        let mut receiver = reporter(Sack::Off);
        assert_eq!(report_of(&mut receiver, 200, 100), []);
        assert_eq!(report_of(&mut receiver, 200, 100), []);
    }

    #[test]
    fn text_beyond_what_can_be_kept_apart_is_not_reported() {
        let mut receiver = reporter(Sack::On);
        for range in 0..40 {
            report_of(&mut receiver, 10 + 20 * range, 10);
        }
        let reported = report_of(&mut receiver, 10 + 20 * 31, 10);
        assert_eq!(reported.first(), Some(&block(10 + 20 * 31, 10)), "kept, so that it is a duplicate now");
        assert_eq!(report_of(&mut receiver, 10 + 20 * 39, 10).first(), Some(&block(10 + 20 * 31, 10)), "not kept");
    }
}
