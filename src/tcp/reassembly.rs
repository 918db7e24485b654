//! Reassembly: which text is there behind a gap (RFC 9293 §3.10.7.4, SHLD-31), and which of it comes next.
//!
//! A queue that was full once leaves a hundred gaps on a long fast path, so that smoltcp's `Assembler`, which keeps 32 ranges apart, would
//! drop what had arrived behind the 32nd. Here they are bounded by the size of the buffer: they may take a 128th of it.

use std::collections::VecDeque;

use super::sack::Block;
use super::seq::SeqNum;

/// Octets of the buffer for each range that is kept apart; two full segments, and a gap of one, are more.
const RANGE_BYTES: usize = 1024;
/// Ranges that the smallest buffer has room for.
const FEWEST_RANGES: usize = 32;

/// Text would lie in one range more than is kept apart: it has to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyRanges;

/// What is there from RCV.NXT on.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    /// The ranges in their order, none of them empty, with a gap before each that does not begin at RCV.NXT.
    ranges: VecDeque<Block>,
}

impl Reassembly {
    /// Whether nothing is there.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges in their order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Block> {
        self.ranges.iter().copied()
    }

    /// The number after the last octet that is there.
    pub(super) fn end(&self) -> Option<SeqNum> {
        self.ranges.back().map(|last| last.right)
    }

    /// The range that this octet lies in.
    pub(super) fn around(&self, seq: SeqNum) -> Option<Block> {
        let index = self.ranges.partition_point(|range| range.right.is_at_or_before(seq));
        self.ranges.get(index).copied().filter(|range| range.contains(seq))
    }

    /// The first part of `block` that is there already.
    pub(super) fn first_part_of(&self, block: Block) -> Option<Block> {
        let index = self.ranges.partition_point(|range| range.right.is_at_or_before(block.left));
        let range = self.ranges.get(index)?;
        let part = Block { left: range.left.later_of(block.left), right: range.right.earlier_of(block.right) };
        (!part.is_empty()).then_some(part)
    }

    /// Text that is not empty arrives, at or past RCV.NXT, in a buffer of so many octets; returns RCV.NXT after it.
    ///
    /// # Errors
    ///
    /// If it would be a range too many; nothing changes then. What begins at RCV.NXT never is.
    pub(super) fn take(&mut self, text: Block, rcv_nxt: SeqNum, buff_bytes: usize) -> Result<SeqNum, TooManyRanges> {
        if text.left == rcv_nxt {
            return Ok(self.advance(text.right));
        }
        self.keep(text, buff_bytes)?;
        Ok(rcv_nxt)
    }

    /// Keeps text until it is asked for, even if it begins at RCV.NXT.
    ///
    /// # Errors
    ///
    /// If it would be a range too many; nothing changes then.
    pub(super) fn keep(&mut self, text: Block, buff_bytes: usize) -> Result<(), TooManyRanges> {
        // Those that it touches become one with it.
        let from = self.ranges.partition_point(|range| range.right.is_before(text.left));
        let to = self.ranges.partition_point(|range| range.left.is_at_or_before(text.right));
        let (first, last) = (self.ranges.get(from), to.checked_sub(1).and_then(|last| self.ranges.get(last)));
        match (first.copied(), last.copied()) {
            (Some(first), Some(last)) if from < to => {
                self.ranges.drain(from + 1..to);
                let whole = Block { left: first.left.earlier_of(text.left), right: last.right.later_of(text.right) };
                if let Some(range) = self.ranges.get_mut(from) {
                    *range = whole;
                }
            }
            _ if self.ranges.len() >= most_ranges(buff_bytes) => return Err(TooManyRanges),
            _ => self.ranges.insert(from, text),
        }
        Ok(())
    }

    /// Everything before `rcv_nxt` is there: returns how far the text goes on without a gap, and forgets it.
    pub(super) fn advance(&mut self, rcv_nxt: SeqNum) -> SeqNum {
        let mut end = rcv_nxt;
        while let Some(first) = self.ranges.front().filter(|first| first.left.is_at_or_before(end)) {
            end = end.later_of(first.right);
            self.ranges.pop_front();
        }
        end
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }
}

/// How many ranges a buffer of this size has room for.
fn most_ranges(buff_bytes: usize) -> usize {
    (buff_bytes / RANGE_BYTES).max(FEWEST_RANGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RCV.NXT: far from the wrap and before it.
    const BASES: [SeqNum; 2] = [SeqNum::new(5000), SeqNum::new(u32::MAX - 40)];

    fn block(base: SeqNum, left: u32, right: u32) -> Block {
        Block { left: base + left, right: base + right }
    }

    /// What is there after these have arrived.
    fn reassembly(base: SeqNum, texts: &[(u32, u32)]) -> Reassembly {
        let mut reassembly = Reassembly::default();
        for (left, right) in texts {
            assert_eq!(reassembly.take(block(base, *left, *right), base, 0), Ok(base));
        }
        reassembly
    }

    fn ranges(reassembly: &Reassembly, base: SeqNum) -> Vec<(u32, u32)> {
        let of = |range: Block| (range.left.distance_from(base), range.right.distance_from(base));
        reassembly.ranges().map(of).collect()
    }

    #[test]
    fn ranges_stay_apart_by_one_octet_and_grow_together_when_they_touch() {
        for base in BASES {
            for (text, expected) in [
                ((31, 39), vec![(20, 30), (31, 39), (40, 50), (60, 70)]),
                ((30, 39), vec![(20, 39), (40, 50), (60, 70)]),
                ((31, 40), vec![(20, 30), (31, 50), (60, 70)]),
                ((30, 40), vec![(20, 50), (60, 70)]),
                ((25, 45), vec![(20, 50), (60, 70)]),
                ((1, 90), vec![(1, 90)]),
                ((20, 30), vec![(20, 30), (40, 50), (60, 70)]),
                ((71, 72), vec![(20, 30), (40, 50), (60, 70), (71, 72)]),
                ((1, 19), vec![(1, 19), (20, 30), (40, 50), (60, 70)]),
            ] {
                let reassembly = reassembly(base, &[(60, 70), (20, 30), (40, 50), text]);
                assert_eq!(ranges(&reassembly, base), expected, "{text:?}");
                assert_eq!(reassembly.end(), Some(base + expected.last().unwrap().1));
            }
        }
    }

    #[test]
    fn text_in_order_goes_on_over_what_it_reaches() {
        for base in BASES {
            for (right, end, rest) in [
                (19, 19, vec![(20, 30), (40, 50)]),
                (20, 30, vec![(40, 50)]),
                (25, 30, vec![(40, 50)]),
                (39, 39, vec![(40, 50)]),
                (40, 50, vec![]),
                (90, 90, vec![]),
            ] {
                let mut reassembly = reassembly(base, &[(20, 30), (40, 50)]);
                assert_eq!(reassembly.take(block(base, 0, right), base, 0), Ok(base + end), "{right}");
                assert_eq!(ranges(&reassembly, base), rest);
            }
        }
    }

    #[test]
    fn what_is_there_is_found_by_its_octets() {
        for base in BASES {
            let reassembly = reassembly(base, &[(20, 30), (40, 50)]);
            for (seq, range) in
                [(19, None), (20, Some((20, 30))), (29, Some((20, 30))), (30, None), (49, Some((40, 50)))]
            {
                let range = range.map(|(left, right)| block(base, left, right));
                assert_eq!(reassembly.around(base + seq), range, "{seq}");
            }
            for (text, part) in [
                ((1, 20), None),
                ((1, 21), Some((20, 21))),
                ((29, 60), Some((29, 30))),
                ((30, 40), None),
                ((30, 60), Some((40, 50))),
                ((50, 60), None),
            ] {
                let part = part.map(|(left, right)| block(base, left, right));
                assert_eq!(reassembly.first_part_of(block(base, text.0, text.1)), part, "{text:?}");
            }
        }
    }

    #[test]
    fn ranges_are_bounded_by_the_buffer_and_text_in_order_always_has_room() {
        for (buff_bytes, most) in [(0, 32), (32 * 1024 + 1023, 32), (33 * 1024, 33), (16 << 20, 16_384)] {
            for base in BASES {
                let mut reassembly = Reassembly::default();
                for n in 1..=most {
                    assert_eq!(reassembly.take(block(base, 10 * n, 10 * n + 5), base, buff_bytes), Ok(base));
                }
                let further = block(base, 10 * most + 6, 10 * most + 7);
                assert_eq!(reassembly.take(further, base, buff_bytes), Err(TooManyRanges));
                assert_eq!(ranges(&reassembly, base).len(), usize::try_from(most).unwrap());
                // What touches one of them is no further one, and what is next needs no room.
                assert_eq!(reassembly.take(block(base, 15, 16), base, buff_bytes), Ok(base));
                assert_eq!(reassembly.take(block(base, 0, 1), base, buff_bytes), Ok(base + 1));
                assert_eq!(reassembly.take(block(base, 1, 10), base + 1, buff_bytes), Ok(base + 16));
            }
        }
    }

    #[test]
    fn text_that_is_kept_for_later_is_there_when_it_is_asked_for() {
        for base in BASES {
            let mut reassembly = Reassembly::default();
            assert_eq!(reassembly.keep(block(base, 0, 5), 0), Ok(()));
            assert_eq!(reassembly.advance(base), base + 5);
            assert!(reassembly.is_empty());
            assert_eq!(reassembly.advance(base + 5), base + 5);
        }
    }

    #[test]
    fn any_order_leaves_what_a_set_of_octets_would() {
        let mut random = 7_u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        for round in 0..2000 {
            let base = BASES[round % 2];
            let (mut reassembly, mut rcv_nxt, mut octets) = (Reassembly::default(), 0, [false; 120]);
            for _ in 0..20 {
                let left = rcv_nxt + next(100 - rcv_nxt.min(99));
                let right = left + 1 + next(12);
                let end = reassembly.take(block(base, left, right), base + rcv_nxt, 0).unwrap();
                (left..right).for_each(|octet| octets[octet as usize] = true);
                while octets[rcv_nxt as usize] {
                    rcv_nxt += 1;
                }
                assert_eq!(end, base + rcv_nxt);
                let kept: Vec<u32> = ranges(&reassembly, base).iter().flat_map(|(left, right)| *left..*right).collect();
                let expected: Vec<u32> = (rcv_nxt..120).filter(|octet| octets[*octet as usize]).collect();
                assert_eq!(kept, expected, "{reassembly:?}");
                if rcv_nxt >= 100 {
                    break;
                }
            }
        }
    }
}
