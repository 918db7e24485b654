//! The peer's window, and which of its segments tell it (RFC 9293 §3.4, §3.8.6, §3.10.7.4; RFC 7323 §2).

use super::segment::Segment;
use super::seq::SeqNum;
use super::window::MAX_SHIFT;

/// SND.WND, and where it comes from.
#[derive(Debug)]
pub(super) struct SendWindow {
    /// SND.WND, scaled.
    snd_wnd: u32,
    /// SND.WL1.
    snd_wl1: SeqNum,
    /// SND.WL2.
    snd_wl2: SeqNum,
    /// MAX.SND.WND (RFC 5961 §5).
    max_snd_wnd: u32,
    /// Snd.Wind.Shift.
    shift: u8,
}

impl SendWindow {
    /// Nothing was heard of the peer yet.
    pub(super) const fn new(iss: SeqNum) -> Self {
        Self { snd_wnd: 0, snd_wl1: iss, snd_wl2: iss, max_snd_wnd: 0, shift: 0 }
    }

    /// Learns from the peer's SYN.
    pub(super) fn take_syn(&mut self, syn: &Segment) {
        // RFC 7323 §2.3: a shift count above 14 is used as 14.
        self.shift = syn.options.window_scale.map_or(0, |shift| shift.min(MAX_SHIFT));
        self.take(syn);
    }

    /// SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK.
    pub(super) fn take(&mut self, segment: &Segment) {
        self.snd_wnd = self.announced(segment);
        self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
        self.snd_wl1 = segment.seq;
        self.snd_wl2 = segment.ack;
    }

    /// SEG.WND, scaled; that of a SYN or SYN,ACK never is (RFC 7323 §2.2).
    pub(super) fn announced(&self, segment: &Segment) -> u32 {
        let shift = if segment.control.syn() { 0 } else { self.shift };
        u32::from(segment.wnd) << shift
    }

    /// A window without scaling as an ACK would announce it, if less than exactly.
    pub(super) const fn scaled_down(&self, wnd: u16) -> u16 {
        wnd >> self.shift
    }

    /// SND.WND.
    pub(super) const fn snd_wnd(&self) -> u32 {
        self.snd_wnd
    }

    /// MAX.SND.WND.
    pub(super) const fn max_snd_wnd(&self) -> u32 {
        self.max_snd_wnd
    }

    /// RFC 9293 §3.10.7.4: whether the segment was sent after the one that last told the window.
    pub(super) fn is_newer(&self, segment: &Segment) -> bool {
        self.snd_wl1.is_before(segment.seq)
            || (self.snd_wl1 == segment.seq && self.snd_wl2.is_at_or_before(segment.ack))
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::{Control, Options};
    use super::*;

    /// An ACK with these numbers and this window.
    fn ack(seq: SeqNum, ack: SeqNum, wnd: u16) -> Segment {
        Segment { seq, ack, wnd, control: Control::ACK, ..Segment::default() }
    }

    #[test]
    fn newer_is_what_has_a_later_number_or_the_same_and_no_older_acknowledgement() {
        for base in [SeqNum::new(1000), SeqNum::new(u32::MAX), SeqNum::new(0x7fff_ffff)] {
            let mut window = SendWindow::new(base);
            window.take(&ack(base, base, 5));
            for (seq, seg_ack, newer) in [(1, -1, true), (0, 0, true), (0, 1, true), (0, -1, false), (-1, 1, false)] {
                let moved = |by: i64| if by < 0 { base - 1 } else { base + u32::try_from(by).unwrap() };
                assert_eq!(window.is_newer(&ack(moved(seq), moved(seg_ack), 7)), newer, "{seq} {seg_ack}");
            }
        }
    }

    #[test]
    fn windows_are_scaled_but_for_those_of_a_syn() {
        for (told, used) in [(None, 0), (Some(0), 0), (Some(14), 14), (Some(15), 14), (Some(255), 14)] {
            let mut window = SendWindow::new(SeqNum::new(0));
            let options = Options { window_scale: told, ..Options::default() };
            window.take_syn(&Segment { wnd: 9, control: Control::SYN, options, ..Segment::default() });
            assert_eq!(window.snd_wnd(), 9);
            window.take(&ack(SeqNum::new(1), SeqNum::new(1), 3));
            assert_eq!((window.snd_wnd(), window.scaled_down(u16::MAX)), (3 << used, u16::MAX >> used));
            window.take(&ack(SeqNum::new(1), SeqNum::new(1), 2));
            assert_eq!((window.snd_wnd(), window.max_snd_wnd()), (2 << used, (3 << used).max(9)));
        }
    }
}
