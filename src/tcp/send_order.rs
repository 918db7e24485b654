//! The order in which segments were sent last, so that RACK need not look at all that is outstanding for each acknowledgement (RFC 8985
//! §6.2, step 5).

use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::sack::Block;

/// Something was sent. It says nothing any more once the segments in it have arrived, are lost or were sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When.
    pub(super) at: Instant,
    /// Its octets: those of one segment, or of several since.
    pub(super) block: Block,
}

/// Everything that is outstanding, the oldest first, and some that is not any more.
#[derive(Debug, Default)]
pub(super) struct SendOrder {
    /// In the order of time.
    all: VecDeque<Sent>,
}

impl SendOrder {
    /// Something is sent.
    pub(super) fn push(&mut self, block: Block, at: Instant) {
        self.all.push_back(Sent { at, block });
    }

    /// All of it anew.
    pub(super) fn replace(&mut self, sent: impl Iterator<Item = Sent>) {
        self.all.clear();
        self.all.extend(sent);
        self.all.make_contiguous().sort_by_key(|sent| sent.at);
    }

    /// How much there is, with what says nothing any more.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The `index`th.
    pub(super) fn get(&self, index: usize) -> Option<Sent> {
        self.all.get(index).copied()
    }

    /// How many were sent then or earlier.
    pub(super) fn until(&self, at: Instant) -> usize {
        self.all.partition_point(|sent| sent.at <= at)
    }

    /// Forgets the oldest ones, as long as they say nothing any more.
    pub(super) fn forget(&mut self, is_over: impl Fn(&Sent) -> bool) {
        while self.all.front().is_some_and(&is_over) {
            self.all.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::seq::SeqNum;
    use super::*;

    fn sent(n: u32, millis: i64) -> Sent {
        let left = SeqNum::new(u32::MAX) + 10 * n;
        Sent { at: Instant::from_millis(millis), block: Block { left, right: left + 10 } }
    }

    #[test]
    fn order_is_that_of_time_and_at_one_instant_that_of_the_numbers() {
        let mut order = SendOrder::default();
        order.replace([sent(0, 7), sent(1, 3), sent(2, 3), sent(3, 1)].into_iter());
        let all: Vec<Sent> = (0..order.len()).filter_map(|index| order.get(index)).collect();
        assert_eq!(all, [sent(3, 1), sent(1, 3), sent(2, 3), sent(0, 7)]);
        let until = |millis| order.until(Instant::from_millis(millis));
        assert_eq!([until(0), until(1), until(2), until(3), until(6), until(7)], [0, 1, 1, 3, 3, 4]);
    }

    #[test]
    fn only_the_oldest_are_forgotten() {
        let mut order = SendOrder::default();
        for n in 0..4 {
            order.push(sent(n, 0).block, Instant::ZERO);
        }
        let one = sent(1, 0);
        order.forget(|sent| *sent != one);
        assert_eq!((order.len(), order.get(0)), (3, Some(sent(1, 0))));
    }
}
