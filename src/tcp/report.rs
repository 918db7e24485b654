//! Which SACK blocks the receiving side reports, and in what order (RFC 2018 §4, RFC 2883 §4).

use super::reassembly::Reassembly;
use super::sack::{Block, Blocks, MAX_BLOCKS};
use super::seq::SeqNum;

/// Arrivals remembered by their order: more than an option has blocks, as some of them become part of others.
const MAX_RECENT: usize = 8;

/// What arrived lately, for the next reports.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// One number out of each block that something arrived for, the latest first.
    recent: Vec<SeqNum>,
    /// What arrived although it was there already, and was not reported yet.
    duplicate: Option<Block>,
}

impl Report {
    /// Text with this first number was kept, and is out of order; `held` is what is there now.
    pub(super) fn arrived(&mut self, seq: SeqNum, held: &Reassembly) {
        self.recent.retain(|point| held.around(*point).is_some_and(|block| !block.contains(seq)));
        self.recent.truncate(MAX_RECENT - 1);
        self.recent.insert(0, seq);
    }

    /// This arrived and was there already; of several the first is reported, as RFC 2883 §4 has it for one segment.
    pub(super) fn repeated(&mut self, block: Block) {
        if !block.is_empty() {
            self.duplicate.get_or_insert(block);
        }
    }

    /// Whether the next segment reports something that was there already.
    pub(super) const fn has_duplicate(&self) -> bool {
        self.duplicate.is_some()
    }

    /// The blocks of the next segment, which acknowledges everything before `rcv_nxt`.
    pub(super) fn blocks(&self, held: &Reassembly, rcv_nxt: SeqNum) -> Blocks {
        let mut blocks = Blocks::default();
        // RFC 2883 §4: (1) the duplicate goes first, and (5) the block that it is a part of follows: that one is the latest.
        if let Some(duplicate) = self.duplicate {
            blocks.push(duplicate);
        }
        let fixed = blocks.len();
        // RFC 2018 §4: the block of the latest segment, and then those reported most recently.
        let latest = self.recent.iter().filter_map(|point| held.around(*point));
        // Text right at RCV.NXT is in order and only waits for the handshake.
        for block in latest.chain(held.ranges().filter(|block| block.left != rcv_nxt)) {
            if blocks.len() == MAX_BLOCKS {
                break;
            }
            let reported = blocks.as_slice().get(fixed..).unwrap_or_default();
            if !reported.contains(&block) {
                blocks.push(block);
            }
        }
        blocks
    }

    /// The blocks are being sent; RFC 2883 §4: a duplicate is reported only once.
    pub(super) const fn reported(&mut self) {
        self.duplicate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: SeqNum = SeqNum::new(u32::MAX - 250);

    fn block(from: u32, to: u32) -> Block {
        Block { left: BASE + from, right: BASE + to }
    }

    /// What is kept, RCV.NXT being `BASE`.
    fn held(blocks: &[Block]) -> Reassembly {
        let mut held = Reassembly::default();
        for block in blocks {
            held.take(*block, BASE, 0).unwrap();
        }
        held
    }

    /// A report that has seen these arrive in turn, each of them keeping `held` afterwards.
    fn report(arrivals: &[u32], held: &Reassembly) -> Report {
        let mut report = Report::default();
        for arrival in arrivals {
            report.arrived(BASE + *arrival, held);
        }
        report
    }

    #[test]
    fn block_of_the_latest_segment_is_first() {
        let held = held(&[block(100, 200), block(300, 400), block(500, 600)]);
        let report = report(&[100, 500, 300], &held);
        assert_eq!(
            report.blocks(&held, BASE).as_slice(),
            [block(300, 400), block(500, 600), block(100, 200)],
            "RFC 2018 §4"
        );
    }

    #[test]
    fn blocks_that_grew_together_are_reported_once() {
        let mut report = report(&[100, 300], &held(&[block(100, 200), block(300, 400)]));
        let held = held(&[block(100, 400), block(500, 600)]);
        report.arrived(BASE + 200, &held);
        assert_eq!(report.blocks(&held, BASE).as_slice(), [block(100, 400), block(500, 600)]);
    }

    #[test]
    fn what_was_acknowledged_is_not_reported_any_more() {
        let report = report(&[100, 300], &held(&[block(100, 200), block(300, 400)]));
        assert_eq!(report.blocks(&held(&[block(300, 400)]), BASE).as_slice(), [block(300, 400)]);
        assert!(report.blocks(&held(&[]), BASE).is_empty());
    }

    #[test]
    fn duplicate_goes_first_and_only_once() {
        let held = held(&[block(100, 200), block(300, 400)]);
        let mut report = report(&[100, 300], &held);
        report.repeated(block(320, 340));
        report.repeated(block(120, 140));
        let blocks = report.blocks(&held, BASE);
        assert_eq!(blocks.as_slice(), [block(320, 340), block(300, 400), block(100, 200)]);
        report.reported();
        assert_eq!(report.blocks(&held, BASE).as_slice(), [block(300, 400), block(100, 200)]);
    }

    #[test]
    fn duplicate_of_a_whole_block_is_followed_by_that_block() {
        let held = held(&[block(100, 200)]);
        let mut report = report(&[100, 100], &held);
        report.repeated(block(100, 200));
        assert_eq!(report.blocks(&held, BASE).as_slice(), [block(100, 200), block(100, 200)]);
    }

    #[test]
    fn no_more_than_fits_is_remembered_or_reported() {
        let blocks: Vec<Block> = (0..32).map(|n| block(10 * n + 5, 10 * n + 10)).collect();
        let held = held(&blocks);
        let mut report = Report::default();
        for block in &blocks {
            report.arrived(block.left, &held);
        }
        assert_eq!(report.recent.len(), MAX_RECENT);
        assert_eq!(report.blocks(&held, BASE).len(), 4);
    }
}
