//! Selective acknowledgement: what a SACK option says (RFC 2018 §3, RFC 2883 §4).

use core::fmt;

use super::seq::SeqNum;

/// Blocks that fit into a header without other options (RFC 2018 §3).
pub const MAX_BLOCKS: usize = 4;

/// A block of text that has arrived: from `left` up to, but not including, `right`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// Left edge: its first number.
    pub left: SeqNum,
    /// Right edge: the number after it.
    pub right: SeqNum,
}

impl Block {
    /// Whether nothing is in it, or its edges are the wrong way round.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.left.is_before(self.right)
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub const fn covers(&self, other: &Self) -> bool {
        self.left.is_at_or_before(other.left) && other.right.is_at_or_before(self.right)
    }

    /// Whether the octet with this number lies in it.
    #[must_use]
    pub const fn contains(&self, seq: SeqNum) -> bool {
        self.left.is_at_or_before(seq) && seq.is_before(self.right)
    }
}

/// The blocks of one option, in their order; never more than fit into a header.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Blocks {
    /// The blocks, empty ones behind the last.
    blocks: [Block; MAX_BLOCKS],
    /// How many there are.
    len: u8,
}

impl Blocks {
    /// Adds a block behind the others; one that has no room is left out, as RFC 2018 §4 does with the oldest.
    pub fn push(&mut self, block: Block) {
        if let Some(place) = self.blocks.get_mut(usize::from(self.len)) {
            *place = block;
            self.len += 1;
        }
    }

    /// The blocks.
    #[must_use]
    pub fn as_slice(&self) -> &[Block] {
        self.blocks.get(..usize::from(self.len)).unwrap_or(&self.blocks)
    }

    /// The first `most` blocks.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        self.as_slice().iter().take(most).copied().collect()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Self {
        let mut all = Self::default();
        for block in blocks {
            all.push(block);
        }
        all
    }
}

impl Blocks {
    /// The block that says what came twice, in an option that came with this acknowledgement (RFC 2883 §4): the first one, if it
    /// lies before the acknowledgement or within the second.
    #[must_use]
    pub fn duplicate(&self, seg_ack: SeqNum) -> Option<Block> {
        let first = self.as_slice().first().filter(|first| !first.is_empty())?;
        let is_old = first.left.is_before(seg_ack);
        let is_part = self.as_slice().get(1).is_some_and(|second| second.covers(first));
        (is_old || is_part).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: SeqNum = SeqNum::new(u32::MAX - 4);

    fn block(from: u32, to: u32) -> Block {
        Block { left: LEFT + from, right: LEFT + to }
    }

    #[test]
    fn block_knows_what_lies_in_it_across_the_wrap() {
        assert!(block(0, 10).contains(LEFT) && block(0, 10).contains(LEFT + 9));
        assert!(!block(0, 10).contains(LEFT - 1) && !block(0, 10).contains(LEFT + 10));
        assert!(block(0, 10).covers(&block(0, 10)) && block(0, 10).covers(&block(3, 7)));
        assert!(!block(1, 10).covers(&block(0, 10)) && !block(0, 9).covers(&block(0, 10)));
        assert!(block(5, 5).is_empty() && block(6, 5).is_empty() && !block(5, 6).is_empty());
    }

    #[test]
    fn fifth_block_has_no_room() {
        let blocks: Blocks = (0..6).map(|n| block(n, n + 1)).collect();
        assert_eq!(blocks.as_slice(), [block(0, 1), block(1, 2), block(2, 3), block(3, 4)]);
        assert_eq!(blocks.first(2).as_slice(), [block(0, 1), block(1, 2)]);
    }

    #[test]
    fn duplicate_is_the_first_block_before_the_acknowledgement_or_within_the_second() {
        let of = |blocks: &[Block], ack| blocks.iter().copied().collect::<Blocks>().duplicate(LEFT + ack);
        assert_eq!(of(&[block(0, 5)], 5), Some(block(0, 5)));
        assert_eq!(of(&[block(4, 9)], 5), Some(block(4, 9)));
        assert_eq!(of(&[block(5, 9)], 5), None);
        assert_eq!(of(&[block(6, 8), block(6, 9)], 5), Some(block(6, 8)));
        assert_eq!(of(&[block(6, 9), block(6, 9)], 5), Some(block(6, 9)));
        assert_eq!(of(&[block(6, 10), block(6, 9)], 5), None);
        assert_eq!(of(&[block(6, 8), block(10, 12), block(5, 9)], 5), None);
        assert_eq!(of(&[block(4, 3), block(0, 9)], 5), None);
        assert_eq!(of(&[], 5), None);
    }
}
