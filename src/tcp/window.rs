//! The receive window: what is announced (RFC 9293 §3.8.6, RFC 7323 §2), and what lies in it (§3.4, table 6).

use super::seq::SeqNum;

/// The largest shift count (RFC 7323 §2.3).
pub(super) const MAX_SHIFT: u8 = 14;

/// How many announcements may be rounded up before the window has to open again.
///
/// With window scaling only multiples of 2^shift can be announced. Rounding down would move the right edge to the left, so we round up
/// and keep this many roundings of room beside the buffer: enough for segments of 100 octets, each acknowledged, in 256 KiB. When it
/// is used up, we round down, but go on taking what was promised (RFC 7323 §2.4).
const ROUNDINGS: usize = 4096;

/// The part of table 6 that a segment falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Acceptable.
    Inside,
    /// Not acceptable, but its control bits and acknowledgement are looked at: it begins at RCV.NXT and the window is zero.
    AtZeroWindow,
    /// Not acceptable.
    Outside,
}

/// RFC 9293 §3.4, table 6: whether a segment is acceptable.
pub(super) fn fit(seq: SeqNum, seg_len: u32, rcv_nxt: SeqNum, rcv_wnd: u32) -> Fit {
    let inside = match (seg_len, rcv_wnd) {
        (0, 0) => seq == rcv_nxt,
        (0, _) => seq.is_in_window(rcv_nxt, rcv_wnd),
        // RFC 9293 §3.10.7.4: special allowance should be made to accept valid ACKs, URGs, and RSTs.
        (_, 0) if seq == rcv_nxt => return Fit::AtZeroWindow,
        (_, 0) => false,
        (_, _) => seq.is_in_window(rcv_nxt, rcv_wnd) || (seq + (seg_len - 1)).is_in_window(rcv_nxt, rcv_wnd),
    };
    if inside { Fit::Inside } else { Fit::Outside }
}

/// The shift count of the option we send, and the octets of storage that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Rcv.Wind.Shift.
    pub(super) shift: u8,
    /// Octets to keep room for.
    pub(super) storage_bytes: usize,
}

impl Scale {
    /// The smallest scale that announces a buffer of this size.
    pub(super) fn of(buff_bytes: usize) -> Self {
        let mut scale = Self::with_shift(buff_bytes, 0);
        while scale.storage_bytes > scale.largest() && scale.shift < MAX_SHIFT {
            scale = Self::with_shift(buff_bytes, scale.shift + 1);
        }
        scale
    }

    /// The scale for a buffer of this size that may grow up to `limit_bytes`: the shift count cannot be changed after the SYN.
    ///
    /// A unit that is coarse beside the buffer could not be announced, so the limit of a tiny buffer is what sixteen units a buffer
    /// reach.
    pub(super) fn growing(buff_bytes: usize, limit_bytes: usize) -> Self {
        let mut shift = Self::of(limit_bytes.max(buff_bytes)).shift;
        let smallest = Self::of(buff_bytes).shift;
        while shift > smallest && 16 << shift > buff_bytes {
            shift -= 1;
        }
        Self::with_shift(buff_bytes, shift)
    }

    /// The scale with this shift count.
    pub(super) const fn with_shift(buff_bytes: usize, shift: u8) -> Self {
        Self { shift, storage_bytes: Self::storage_bytes(buff_bytes, shift) }
    }

    /// The octets of storage that a buffer needs.
    const fn storage_bytes(buff_bytes: usize, shift: u8) -> usize {
        if shift == 0 { buff_bytes } else { buff_bytes + (ROUNDINGS << shift) }
    }

    /// The largest window that can be announced.
    pub(super) const fn largest(self) -> usize {
        (u16::MAX as usize) << self.shift
    }

    /// The same for a buffer that has grown.
    pub(super) const fn grown(self, buff_bytes: usize) -> Self {
        Self::with_shift(buff_bytes, self.shift)
    }
}

/// The right edge of the window: what has been announced, and what is worth announcing.
#[derive(Debug)]
pub(super) struct Announced {
    /// RCV.NXT + RCV.WND: the first number that nobody was told to send. It never moves to the left (SHLD-14), and there is storage
    /// for all before it.
    right: SeqNum,
    /// Rcv.Wind.Shift.
    shift: u8,
    /// RCV.BUFF: the octets that the user's text may take.
    buff: u32,
    /// The octets that can be kept, roundings included.
    storage: u32,
    /// Eff.snd.MSS.
    mss: u32,
    /// Moving the right edge by less is not worthwhile (RFC 9293 §3.8.6.2.2, MUST-39): min(Fr * RCV.BUFF, Eff.snd.MSS), Fr = 1/2; and
    /// less than a unit cannot be told.
    threshold: u32,
}

impl Announced {
    /// Nothing announced yet.
    pub(super) fn new(rcv_nxt: SeqNum, buff_bytes: usize, scale: Scale, mss: u32) -> Self {
        let buff = in_window_units(buff_bytes);
        let storage = in_window_units(scale.storage_bytes).max(buff);
        let threshold = mss.min(buff / 2).max(1 << scale.shift);
        Self { right: rcv_nxt, shift: scale.shift, buff, storage, mss, threshold }
    }

    /// RCV.BUFF is larger from now on.
    pub(super) fn grow(&mut self, buff_bytes: usize, storage_bytes: usize) {
        self.buff = self.buff.max(in_window_units(buff_bytes));
        self.storage = self.storage.max(in_window_units(storage_bytes)).max(self.buff);
        self.threshold = self.mss.min(self.buff / 2).max(1 << self.shift);
    }

    /// RCV.BUFF.
    pub(super) const fn buff(&self) -> u32 {
        self.buff
    }

    /// The right edge.
    pub(super) const fn right(&self) -> SeqNum {
        self.right
    }

    /// RCV.WND, seen from this RCV.NXT.
    pub(super) fn rcv_wnd(&self, rcv_nxt: SeqNum) -> u32 {
        if self.right.is_before(rcv_nxt) { 0 } else { self.right.distance_from(rcv_nxt) }
    }

    /// How far the right edge could move, `unread` octets waiting for the user.
    fn gain(&self, rcv_nxt: SeqNum, unread: u32) -> u32 {
        let largest = u32::from(u16::MAX) << self.shift;
        let possible = rcv_nxt + self.buff.saturating_sub(unread).min(largest);
        if possible.is_after(self.right) { possible.distance_from(self.right) } else { 0 }
    }

    /// The window field of a SYN, which is never scaled (RFC 7323 §2.2).
    pub(super) fn announce_unscaled(&mut self, rcv_nxt: SeqNum) -> u16 {
        let field = u16::try_from(self.buff).unwrap_or(u16::MAX);
        self.right = self.right.later_of(rcv_nxt + u32::from(field));
        field
    }

    /// The window field of the next segment; what it says is a promise from then on.
    pub(super) fn announce(&mut self, rcv_nxt: SeqNum, unread: u32) -> u16 {
        let unit = 1_u32 << self.shift;
        let gain = self.gain(rcv_nxt, unread);
        let promised = self.rcv_wnd(rcv_nxt);
        let rounded_up = promised.div_ceil(unit);
        let units = if gain >= self.threshold {
            ((promised + gain) / unit).max(rounded_up)
        } else if rounded_up * unit <= self.storage.saturating_sub(unread) {
            rounded_up
        } else {
            promised / unit
        };
        let field = u16::try_from(units).unwrap_or(u16::MAX);
        self.right = self.right.later_of(rcv_nxt + (u32::from(field) << self.shift));
        field
    }

    /// Whether the peer should hear of the room at once: it is short of it, and there is enough to be worthwhile.
    pub(super) fn update_is_due(&self, rcv_nxt: SeqNum, unread: u32) -> bool {
        let short = self.threshold.max(self.buff / 8);
        self.rcv_wnd(rcv_nxt) < short && self.gain(rcv_nxt, unread) >= self.threshold
    }
}

/// A number of octets, as large as a window can be.
fn in_window_units(bytes: usize) -> u32 {
    const LARGEST: u32 = (u16::MAX as u32) << MAX_SHIFT;
    u32::try_from(bytes).unwrap_or(LARGEST).min(LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RCV.NXT in the middle, just before and just after the wrap.
    const BASES: [u32; 4] = [5000, u32::MAX - 5, u32::MAX, 0];

    #[test]
    fn table_6_with_its_near_misses_at_every_base() {
        for base in BASES {
            let nxt = SeqNum::new(base);
            // SEG.LEN = 0, RCV.WND = 0.
            assert_eq!(fit(nxt - 1, 0, nxt, 0), Fit::Outside);
            assert_eq!(fit(nxt, 0, nxt, 0), Fit::Inside);
            assert_eq!(fit(nxt + 1, 0, nxt, 0), Fit::Outside);
            // SEG.LEN = 0, RCV.WND > 0.
            assert_eq!(fit(nxt - 1, 0, nxt, 10), Fit::Outside);
            assert_eq!(fit(nxt, 0, nxt, 10), Fit::Inside);
            assert_eq!(fit(nxt + 9, 0, nxt, 10), Fit::Inside);
            assert_eq!(fit(nxt + 10, 0, nxt, 10), Fit::Outside);
            // SEG.LEN > 0, RCV.WND = 0.
            assert_eq!(fit(nxt - 1, 3, nxt, 0), Fit::Outside);
            assert_eq!(fit(nxt, 3, nxt, 0), Fit::AtZeroWindow);
            assert_eq!(fit(nxt + 1, 3, nxt, 0), Fit::Outside);
            // SEG.LEN > 0, RCV.WND > 0: by its first or by its last octet.
            assert_eq!(fit(nxt - 3, 3, nxt, 10), Fit::Outside);
            assert_eq!(fit(nxt - 2, 3, nxt, 10), Fit::Inside);
            assert_eq!(fit(nxt + 9, 3, nxt, 10), Fit::Inside);
            assert_eq!(fit(nxt + 10, 3, nxt, 10), Fit::Outside);
            // Wider than the window on both sides: neither end lies in it.
            assert_eq!(fit(nxt - 1, 12, nxt, 10), Fit::Outside);
        }
    }

    #[test]
    fn scale_is_the_smallest_that_fits() {
        assert_eq!(Scale::of(65_535).shift, 0);
        assert_eq!(Scale::of(65_536).shift, 1);
        assert_eq!(Scale::of(256 * 1024), Scale { shift: 3, storage_bytes: 256 * 1024 + 8 * 4096 });
        assert_eq!(Scale::of(usize::MAX / 2).shift, MAX_SHIFT);
    }

    #[test]
    fn scale_of_a_buffer_that_grows_is_that_of_its_limit() {
        assert_eq!(Scale::growing(256 * 1024, 16 << 20).shift, Scale::of(16 << 20).shift);
        assert_eq!(Scale::growing(256 * 1024, 256 * 1024), Scale::of(256 * 1024));
        assert_eq!(Scale::growing(256 * 1024, 1), Scale::of(256 * 1024));
        assert_eq!(Scale::growing(1, 1 << 30), Scale::of(1));
        // 16 units of 4 octets are 64, of 8 octets 128.
        assert_eq!(Scale::growing(127, 1 << 30).shift, 2);
        assert_eq!(Scale::growing(128, 1 << 30).shift, 3);
        assert_eq!(Scale::growing(1 << 30, 1 << 30), Scale::of(1 << 30));
    }

    #[test]
    fn grown_buffer_is_announced_in_full_and_the_edge_never_moves_left() {
        let scale = Scale::growing(10_000, 1 << 20);
        let mut rcv_nxt = SeqNum::new(u32::MAX - 100);
        let mut announced = Announced::new(rcv_nxt, 10_000, scale, 1000);
        announced.announce_unscaled(rcv_nxt);
        rcv_nxt = rcv_nxt + 3000;
        announced.announce(rcv_nxt, 3000);
        let before = announced.right();
        let grown = scale.grown(100_000);
        announced.grow(100_000, grown.storage_bytes);
        let field = announced.announce(rcv_nxt, 3000);
        assert!(announced.right().is_after(before));
        let wnd = u32::from(field) << scale.shift;
        assert!((97_000 - (1 << scale.shift)..=97_000).contains(&wnd), "{wnd}");
        // Smaller again is not possible.
        announced.grow(1, 1);
        assert_eq!(announced.buff(), 100_000);
    }

    /// Announces after every `step` octets that arrive and are not read; returns the furthest that the edge moved back on the wire.
    fn furthest_retraction(step: u32) -> u32 {
        let scale = Scale::of(256 * 1024);
        let mut rcv_nxt = SeqNum::new(u32::MAX - 1000);
        let mut announced = Announced::new(rcv_nxt, 256 * 1024, scale, 1460);
        announced.announce_unscaled(rcv_nxt);
        let end = rcv_nxt + u32::try_from(scale.storage_bytes).unwrap();
        let (mut unread, mut seen, mut furthest) = (0, announced.right(), 0);
        while announced.rcv_wnd(rcv_nxt) > 0 {
            let arrived = step.min(announced.rcv_wnd(rcv_nxt));
            rcv_nxt = rcv_nxt + arrived;
            unread += arrived;
            let field = announced.announce(rcv_nxt, unread);
            let on_the_wire = rcv_nxt + (u32::from(field) << scale.shift);
            assert!(announced.right().is_at_or_after(on_the_wire), "what is announced is promised");
            assert!(announced.right().is_at_or_before(end), "what is promised can be kept");
            if on_the_wire.is_before(seen) {
                furthest = furthest.max(seen.distance_from(on_the_wire));
            }
            seen = seen.later_of(on_the_wire);
        }
        furthest
    }

    #[test]
    fn right_edge_never_moves_left_through_rounding() {
        for step in [100, 536, 1459, 1460, 2920, 60_000] {
            assert_eq!(furthest_retraction(step), 0, "step {step}");
        }
    }

    #[test]
    fn floods_of_tiny_segments_cost_less_than_one_unit() {
        for step in [1, 3, 7, 8, 9, 50] {
            assert!(furthest_retraction(step) < 8, "step {step}");
        }
    }

    /// A window without scaling, for an MSS of 1000.
    fn unscaled(rcv_nxt: SeqNum, buff_bytes: usize) -> Announced {
        Announced::new(rcv_nxt, buff_bytes, Scale { shift: 0, storage_bytes: buff_bytes }, 1000)
    }

    #[test]
    fn must_39_edge_moves_by_a_segment_or_not_at_all() {
        let nxt = SeqNum::new(0);
        let mut announced = unscaled(nxt, 10_000);
        assert_eq!(announced.announce(nxt, 0), 10_000);
        let nxt = nxt + 10_000;
        assert_eq!(announced.announce(nxt, 10_000), 0);
        assert!(!announced.update_is_due(nxt, 9001));
        assert_eq!(announced.announce(nxt, 9001), 0);
        assert!(announced.update_is_due(nxt, 9000));
        assert_eq!(announced.announce(nxt, 9000), 1000);
    }

    #[test]
    fn must_39_half_of_a_small_buffer_is_enough() {
        let nxt = SeqNum::new(0);
        let mut announced = unscaled(nxt, 100);
        announced.announce(nxt, 0);
        let nxt = nxt + 100;
        assert!(!announced.update_is_due(nxt, 51));
        assert!(announced.update_is_due(nxt, 50));
    }

    #[test]
    fn peer_with_room_enough_hears_nothing() {
        let nxt = SeqNum::new(0);
        let mut announced = Announced::new(nxt, 256 * 1024, Scale::of(256 * 1024), 1460);
        announced.announce_unscaled(nxt);
        assert!(!announced.update_is_due(nxt, 0));
    }
}
