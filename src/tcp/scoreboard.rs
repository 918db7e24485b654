//! The sender's scoreboard: what is outstanding, and what the peer's SACK blocks say of it (RFC 6675 §3).

use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::sack::{Block, Blocks};
use super::send_order::{SendOrder, Sent};
use super::seq::SeqNum;

/// Segments that are told apart. More of them only come of tiny ones; then the last ones share a record.
const MAX_RECORDS: usize = 1 << 16;

/// So many sendings are kept on top before they are tidied up, that a short flight need not do so each time.
const SENDINGS_BEFORE_TIDYING: usize = 64;

/// What is sent again is cut from so many octets at most; no segment is longer.
const LONGEST_TEXT: u32 = 65_535;

/// Whether a segment was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// It was not.
    First,
    /// It was, or a report of it was forgotten: an acknowledgement does not say which of them arrived, or when.
    Again,
}

/// What we know of a segment that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Outstanding,
    /// It was lost, and is to be sent again.
    Lost,
    /// It has arrived, says the peer; it is kept nevertheless until it is acknowledged (RFC 2018 §8).
    Sacked,
}

/// A segment that was sent and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Its octets, a FIN counted.
    pub(super) block: Block,
    /// When it was sent last.
    pub(super) sent_at: Instant,
    /// Whether that was the first time.
    pub(super) sending: Sending,
    /// What we know of it.
    pub(super) fate: Fate,
}

impl Record {
    /// Its octets.
    pub(super) const fn len(&self) -> u32 {
        self.block.right.distance_from(self.block.left)
    }
}

/// Everything from SND.UNA to SND.NXT, segment by segment.
#[derive(Debug, Default)]
pub(super) struct Scoreboard {
    /// The segments in the order of their numbers, without gaps.
    records: VecDeque<Record>,
    /// Octets of those that are `Sacked`.
    sacked: u32,
    /// Octets of those that are `Lost`.
    lost: u32,
    /// How many are `Sacked`.
    sacked_segments: u32,
    /// How many were sent again.
    sent_again: u32,
    /// When the `Outstanding` ones were sent.
    order: SendOrder,
    /// Nothing before this number is `Lost`, if anything is.
    lost_from: SeqNum,
    /// The blocks that the peer reported last: everything in them is `Sacked`.
    reported: Blocks,
}

/// What is to be believed of a segment that nothing is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is lost.
    Lost,
    /// It will be then.
    LostAt(Instant),
    /// Nothing.
    Unknown,
}

/// What was found out about losses.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Those that are lost now, as they were before.
    pub(super) marked: Vec<Record>,
    /// When the last of those will be lost that may still arrive.
    pub(super) latest: Option<Instant>,
}

impl Scoreboard {
    /// The segments.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter()
    }

    /// Those that nothing is known of.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.fate == Fate::Outstanding)
    }

    /// Where it begins and ends, if there is anything in it.
    pub(super) fn extent(&self) -> Option<Block> {
        Some(Block { left: self.records.front()?.block.left, right: self.records.back()?.block.right })
    }

    /// Pipe (RFC 6675 §4): octets that are in the network, as far as we know.
    pub(super) fn pipe(&self) -> u32 {
        self.extent().map_or(0, |all| all.right.distance_from(all.left) - self.sacked - self.lost)
    }

    /// Octets that the peer has reported.
    pub(super) const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// How many segments the peer has reported.
    pub(super) const fn sacked_segments(&self) -> u32 {
        self.sacked_segments
    }

    /// Whether something is to be sent again.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Whether everything that nothing is known of was sent after what was sent at `newest` and has arrived: so it is as long as the
    /// segments were sent in the order of their numbers, and none has overtaken another.
    ///
    /// That the oldest of them is older tells of what was sent in order but before a retransmission that has arrived since.
    pub(super) fn is_all_later(&self, newest: Instant) -> bool {
        let is_shuffled = self.sacked_segments > 0 || self.sent_again > 0;
        !is_shuffled && self.order.get(0).is_none_or(|oldest| oldest.at >= newest)
    }

    /// NextSeg, rule (1) (RFC 6675 §4): the first octets that were lost, as far as they lie in a row.
    pub(super) fn first_lost(&self) -> Option<Block> {
        if !self.has_lost() {
            return None;
        }
        let mut lost = self.records.range(self.index_of(self.lost_from)..);
        let mut block = lost.by_ref().find(|record| record.fate == Fate::Lost)?.block;
        for next in lost.take_while(|record| record.fate == Fate::Lost) {
            if block.right.distance_from(block.left) >= LONGEST_TEXT {
                break;
            }
            block.right = next.block.right;
        }
        Some(block)
    }

    /// A new segment is sent: it follows the last one.
    pub(super) fn sent(&mut self, block: Block, now: Instant) {
        let record = Record { block, sent_at: now, sending: Sending::First, fate: Fate::Outstanding };
        match self.records.pop_back() {
            Some(last) if self.records.len() + 1 >= MAX_RECORDS => {
                self.leave(&last);
                let block = Block { left: last.block.left, right: block.right };
                self.order.push(block, now);
                self.enter(Record { block, ..record });
            }
            last => {
                self.records.extend(last);
                self.order.push(block, now);
                self.enter(record);
            }
        }
    }

    /// These octets are sent again, from the beginning of a segment on.
    pub(super) fn sent_again(&mut self, block: Block, now: Instant) {
        self.split(block.right);
        if self.first_lost().is_some_and(|lost| lost.left == block.left) {
            self.lost_from = block.right;
        }
        let from = self.records.partition_point(|record| record.block.left.is_before(block.left));
        for index in from..self.records.len() {
            let Some(record) = self.records.get(index).copied() else { break };
            if !block.covers(&record.block) {
                break;
            }
            if record.fate != Fate::Sacked {
                let (sending, fate) = (Sending::Again, Fate::Outstanding);
                self.replace(index, Record { sent_at: now, sending, fate, ..record });
            }
        }
        if !block.is_empty() {
            self.order.push(block, now);
        }
        self.tidy();
    }

    /// SND.UNA <- SEG.ACK; shows `delivered` what the peer had not reported before.
    pub(super) fn acknowledge(&mut self, seg_ack: SeqNum, delivered: impl FnMut(&Record)) {
        self.remove(seg_ack, delivered);
        self.lost_from = self.lost_from.later_of(seg_ack);
        self.order.forget(|sent| sent.block.right.is_at_or_before(seg_ack));
        self.tidy();
    }

    /// Removes what lies before `seg_ack`.
    fn remove(&mut self, seg_ack: SeqNum, mut delivered: impl FnMut(&Record)) {
        while let Some(mut first) = self.records.pop_front() {
            self.leave(&first);
            if first.block.right.is_at_or_before(seg_ack) {
                if first.fate != Fate::Sacked {
                    delivered(&first);
                }
                continue;
            }
            let rest = first;
            first.block.left = first.block.left.later_of(seg_ack);
            if first.block != rest.block {
                // The rest of it may be what a block covered.
                self.reported = Blocks::default();
            }
            self.count(&first);
            self.records.push_front(first);
            if first.block != rest.block && first.fate != Fate::Sacked {
                delivered(&Record { block: Block { left: rest.block.left, right: first.block.left }, ..rest });
            }
            return;
        }
    }

    /// Update (RFC 6675 §4) with the blocks of one acknowledgement; shows `delivered` what they newly report.
    pub(super) fn update(&mut self, blocks: &Blocks, mut delivered: impl FnMut(&Record)) {
        for block in blocks.as_slice() {
            self.select(*block, &mut delivered);
        }
        let Some(all) = self.extent() else {
            self.reported = Blocks::default();
            return;
        };
        self.reported = blocks.as_slice().iter().copied().filter(|block| all.covers(block)).collect();
    }

    /// Update with one block: what lies within it has arrived.
    ///
    /// A block that reaches past SND.NXT, is empty or is turned round says nothing; of one that begins before SND.UNA the rest
    /// counts. A segment of which only a part is reported counts once the rest is.
    fn select(&mut self, block: Block, mut delivered: impl FnMut(&Record)) {
        let Some(all) = self.extent() else { return };
        if block.is_empty() || block.right.is_after(all.right) || block.right.is_at_or_before(all.left) {
            return;
        }
        let block = Block { left: block.left.later_of(all.left), right: block.right };
        let known = self.reported.as_slice().iter().find(|known| block.covers(known)).copied();
        let from = self.records.partition_point(|record| record.block.left.is_before(block.left));
        // A block grows from one acknowledgement to the next: what it covered in the last one need not be looked at.
        let (to, onwards) = known.map_or((from, from), |known| {
            (self.records.partition_point(|record| record.block.left.is_before(known.left)), self.index_of(known.right))
        });
        for index in (from..to).chain(onwards.max(from)..self.records.len()) {
            let Some(record) = self.records.get(index).copied() else { return };
            if !block.covers(&record.block) {
                return;
            }
            if record.fate != Fate::Sacked {
                delivered(&record);
                self.replace(index, Record { fate: Fate::Sacked, ..record });
            }
        }
    }

    /// Marks as lost what `belief` says so of, going through all that nothing is known of and that was sent no later than `newest`, in
    /// the order in which it was sent; what was sent later is lost later.
    pub(super) fn detect(&mut self, newest: Instant, belief: impl Fn(&Record) -> Belief) -> Losses {
        let mut losses = Losses::default();
        let until = self.order.until(newest);
        let mut index = 0;
        while index < until && losses.latest.is_none() {
            let Some(sent) = self.order.get(index) else { break };
            for (place, record) in self.still(sent).collect::<Vec<_>>() {
                match belief(&record) {
                    Belief::Lost => {
                        losses.marked.push(record);
                        self.lose(place, record);
                    }
                    Belief::LostAt(at) => losses.latest = losses.latest.max(Some(at)),
                    Belief::Unknown => {}
                }
            }
            index += 1;
        }
        // The last one is lost last.
        for index in (index..until).rev() {
            let Some(sent) = self.order.get(index) else { break };
            let beliefs = self.still(sent).map(|(_, record)| belief(&record));
            let latest =
                beliefs.filter_map(|belief| if let Belief::LostAt(at) = belief { Some(at) } else { None }).max();
            losses.latest = losses.latest.max(latest);
            if latest.is_some() {
                break;
            }
        }
        self.tidy();
        losses
    }

    /// The segments of which nothing is known since they were sent so, and their places.
    fn still(&self, sent: Sent) -> impl Iterator<Item = (usize, Record)> {
        let from = self.index_of(sent.block.left);
        let records = (from..).zip(self.records.range(from..).copied());
        let within = records.take_while(move |(_, record)| record.block.left.is_before(sent.block.right));
        within.filter(move |(_, record)| record.fate == Fate::Outstanding && record.sent_at == sent.at)
    }

    /// Whether there is none.
    fn is_over(&self, sent: &Sent) -> bool {
        self.still(*sent).next().is_none()
    }

    /// Keeps no more of what was sent than there is outstanding, or twice as much.
    fn tidy(&mut self) {
        let mut order = core::mem::take(&mut self.order);
        order.forget(|sent| self.is_over(sent));
        if order.len() > 2 * self.records.len() + SENDINGS_BEFORE_TIDYING {
            order.replace(self.sendings());
        }
        self.order = order;
    }

    /// When each segment was sent of those that nothing is known of.
    fn sendings(&self) -> impl Iterator<Item = Sent> {
        self.outstanding().map(|record| Sent { at: record.sent_at, block: record.block })
    }

    /// The first segment that ends past this number.
    fn index_of(&self, seq: SeqNum) -> usize {
        self.records.partition_point(|record| record.block.right.is_at_or_before(seq))
    }

    /// A segment is lost.
    fn lose(&mut self, index: usize, record: Record) {
        let left = record.block.left;
        self.lost_from = if self.has_lost() { self.lost_from.earlier_of(left) } else { left };
        self.replace(index, Record { fate: Fate::Lost, ..record });
    }

    /// Marks as lost what `is_lost` says of all that nothing is known of; returns what that is, if it is anything.
    pub(super) fn mark_lost(&mut self, mut is_lost: impl FnMut(&Record) -> bool) -> Vec<Record> {
        let mut marked = Vec::new();
        for index in 0..self.records.len() {
            let Some(record) = self.records.get(index).copied() else { break };
            if record.fate == Fate::Outstanding && is_lost(&record) {
                marked.push(record);
                self.lose(index, record);
            }
        }
        self.tidy();
        marked
    }

    /// Nothing is believed lost any more.
    pub(super) fn find_lost_again(&mut self) {
        self.change(|record| (record.fate == Fate::Lost).then_some(Record { fate: Fate::Outstanding, ..*record }));
        self.order_anew();
    }

    /// RFC 2018 §8: after a timeout, what the peer reported is not relied on; it may have dropped it.
    pub(super) fn forget_sacked(&mut self) {
        let (sending, fate) = (Sending::Again, Fate::Outstanding);
        self.change(|record| (record.fate == Fate::Sacked).then_some(Record { sending, fate, ..*record }));
        self.reported = Blocks::default();
        self.order_anew();
    }

    /// More is outstanding again.
    fn order_anew(&mut self) {
        let mut order = core::mem::take(&mut self.order);
        order.replace(self.sendings());
        self.order = order;
    }

    /// Makes a segment of what lies before `at` and another of the rest, if one reaches over it.
    fn split(&mut self, at: SeqNum) {
        let index = self.records.partition_point(|record| record.block.right.is_at_or_before(at));
        let Some(record) = self.records.get_mut(index).filter(|record| record.block.left.is_before(at)) else {
            return;
        };
        // One part of it may be what a block covered.
        self.reported = Blocks::default();
        let rest = Record { block: Block { left: at, ..record.block }, ..*record };
        record.block.right = at;
        self.sacked_segments += u32::from(rest.fate == Fate::Sacked);
        self.sent_again += u32::from(rest.sending == Sending::Again);
        self.records.insert(index + 1, rest);
    }

    /// Replaces those segments that `change` has something else for.
    fn change(&mut self, mut change: impl FnMut(&Record) -> Option<Record>) {
        for index in 0..self.records.len() {
            if let Some(changed) = self.records.get(index).and_then(&mut change) {
                self.replace(index, changed);
            }
        }
    }

    /// Puts a segment in the place of another.
    fn replace(&mut self, index: usize, record: Record) {
        if let Some(place) = self.records.get_mut(index) {
            let before = core::mem::replace(place, record);
            self.leave(&before);
            self.count(&record);
        }
    }

    /// Appends a segment.
    fn enter(&mut self, record: Record) {
        self.count(&record);
        self.records.push_back(record);
    }

    /// Counts a segment.
    fn count(&mut self, record: &Record) {
        match record.fate {
            Fate::Outstanding => {}
            Fate::Lost => self.lost += record.len(),
            Fate::Sacked => {
                self.sacked += record.len();
                self.sacked_segments += 1;
            }
        }
        self.sent_again += u32::from(record.sending == Sending::Again);
    }

    /// Does not count a segment any more.
    fn leave(&mut self, record: &Record) {
        match record.fate {
            Fate::Outstanding => {}
            Fate::Lost => self.lost -= record.len(),
            Fate::Sacked => {
                self.sacked -= record.len();
                self.sacked_segments -= 1;
            }
        }
        self.sent_again -= u32::from(record.sending == Sending::Again);
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::*;

    const LEFT: SeqNum = SeqNum::new(u32::MAX - 4);

    fn block(from: u32, to: u32) -> Block {
        Block { left: LEFT + from, right: LEFT + to }
    }

    const NOW: Instant = Instant::ZERO;

    /// Ten segments of ten octets each.
    fn board() -> Scoreboard {
        let mut board = Scoreboard::default();
        for n in 0..10 {
            board.sent(block(10 * n, 10 * n + 10), NOW);
        }
        board
    }

    /// What the block newly delivers: the first numbers.
    fn select(board: &mut Scoreboard, block: Block) -> Vec<u32> {
        let mut delivered = Vec::new();
        board.select(block, |record| delivered.push(record.block.left.distance_from(LEFT)));
        board.check();
        delivered
    }

    impl Scoreboard {
        /// Holds the counters against what they count.
        fn check(&self) {
            let of = |fate| self.records().filter(move |record| record.fate == fate);
            assert_eq!(self.sacked, of(Fate::Sacked).map(Record::len).sum::<u32>());
            assert_eq!(self.lost, of(Fate::Lost).map(Record::len).sum::<u32>());
            assert_eq!(self.sacked_segments as usize, of(Fate::Sacked).count());
            assert_eq!(self.sent_again as usize, self.records().filter(|r| r.sending == Sending::Again).count());
            let gap = self.records.iter().zip(self.records.iter().skip(1)).find(|(a, b)| a.block.right != b.block.left);
            assert_eq!(gap, None);
            for record in of(Fate::Outstanding) {
                let is_it = |sent: Sent| sent.at == record.sent_at && sent.block.covers(&record.block);
                // What was cut by an acknowledgement began earlier.
                assert!((0..self.order.len()).filter_map(|index| self.order.get(index)).any(is_it), "{record:?}");
            }
            assert!(self.order.len() <= 2 * self.records.len() + 65);
            if let Some(lost) = of(Fate::Lost).next() {
                assert!(self.lost_from.is_before(lost.block.right), "{lost:?}");
            }
            for record in self.records().filter(|record| record.fate != Fate::Sacked) {
                assert!(!self.reported.as_slice().iter().any(|block| block.covers(&record.block)), "{record:?}");
            }
        }
    }

    /// Numbers below a limit, the same in each run.
    struct Dice(u32);

    impl Dice {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) % limit
        }
    }

    /// A board to which things happen, millisecond by millisecond.
    struct Life {
        board: Scoreboard,
        dice: Dice,
        /// SND.NXT, past `LEFT`.
        next: u32,
        millis: u32,
        found: usize,
    }

    impl Life {
        fn now(&self) -> Instant {
            Instant::from_millis(i64::from(self.millis))
        }

        fn una(&self) -> u32 {
            self.board.extent().map_or(self.next, |all| all.left.distance_from(LEFT))
        }

        fn any_block(&mut self) -> Block {
            let una = self.una();
            let left = una + self.dice.below(self.next - una + 1);
            block(left, left + self.dice.below(40))
        }

        fn send_again(&mut self) {
            let Some(lost) = self.board.first_lost() else { return };
            let len = lost.right.distance_from(lost.left).min(1 + self.dice.below(25));
            self.board.sent_again(Block { left: lost.left, right: lost.left + len }, self.now());
        }

        /// Looks for losses, as RACK would with a newest segment that was sent some milliseconds ago.
        fn detect(&mut self) {
            let ago = Duration::from_millis(u64::from(self.dice.below(9)));
            let (now, newest) = (self.now(), self.now() - ago);
            let (end, wait) = (LEFT + self.dice.below(self.next + 1), u64::from(5 + self.dice.below(6)));
            let belief = |record: &Record| {
                let is_last = record.sent_at == newest && record.block.right.is_at_or_after(end);
                let lost_at = record.sent_at + Duration::from_millis(wait);
                match lost_at <= now {
                    _ if record.sent_at > newest || is_last => Belief::Unknown,
                    true => Belief::Lost,
                    false => Belief::LostAt(lost_at),
                }
            };
            let beliefs: Vec<(Record, Belief)> = self.board.outstanding().map(|r| (*r, belief(r))).collect();
            let mut losses = self.board.detect(newest, belief);
            losses.marked.sort_by_key(|record| record.block.left.distance_from(LEFT));
            let lost = beliefs.iter().filter(|(_, belief)| *belief == Belief::Lost).map(|(record, _)| *record);
            assert_eq!(losses.marked, lost.collect::<Vec<_>>());
            let latest = beliefs.iter().filter_map(|(_, belief)| match belief {
                Belief::LostAt(at) => Some(*at),
                Belief::Lost | Belief::Unknown => None,
            });
            assert_eq!(losses.latest, latest.max());
            self.found += losses.marked.len();
        }

        fn step(&mut self) {
            self.millis += self.dice.below(3);
            match self.dice.below(32) {
                0..=11 => {
                    self.board.sent(block(self.next, self.next + 10), self.now());
                    self.next += 10;
                }
                12..=15 => {
                    let blocks: Blocks = (0..self.dice.below(4)).map(|_| self.any_block()).collect();
                    self.board.update(&blocks, |_| {});
                }
                16..=19 => self.send_again(),
                20..=23 => {
                    let acked = self.dice.below(self.next - self.una() + 1).min(15);
                    self.board.acknowledge(LEFT + self.una() + acked, |_| {});
                }
                24 => self.board.forget_sacked(),
                25 => self.board.find_lost_again(),
                _ => self.detect(),
            }
            self.board.check();
            let lost = self.board.records().find(|record| record.fate == Fate::Lost).map(|record| record.block.left);
            assert_eq!(self.board.first_lost().map(|lost| lost.left), lost);
        }
    }

    #[test]
    fn losses_are_those_of_a_look_at_every_segment() {
        let mut found = 0;
        for seed in 0..300 {
            let (board, dice) = (Scoreboard::default(), Dice(seed));
            let mut life = Life { board, dice, next: 0, millis: 100, found: 0 };
            (0..60).for_each(|_| life.step());
            found += life.found;
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn block_that_grows_reports_what_it_did_not_cover_before() {
        let mut board = board();
        let update = |board: &mut Scoreboard, blocks: &[Block]| {
            let (blocks, mut delivered) = (blocks.iter().copied().collect(), Vec::new());
            board.update(&blocks, |record| delivered.push(record.block.left.distance_from(LEFT)));
            board.check();
            delivered
        };
        assert_eq!(update(&mut board, &[block(35, 55)]), [40]);
        assert_eq!(update(&mut board, &[block(35, 65)]), [50], "the last part is not whole");
        assert_eq!(update(&mut board, &[block(25, 70)]), [30, 60]);
        assert_eq!(update(&mut board, &[block(80, 90), block(25, 70)]), [80]);
        assert_eq!(update(&mut board, &[block(20, 90)]), [20, 70]);
        board.forget_sacked();
        assert_eq!(update(&mut board, &[block(20, 90)]), [20, 30, 40, 50, 60, 70, 80], "as nothing is relied on");
    }

    #[test]
    fn what_is_sent_again_is_bounded_by_the_longest_segment() {
        let mut board = Scoreboard::default();
        for n in 0..100 {
            board.sent(block(1000 * n, 1000 * n + 1000), NOW);
        }
        board.mark_lost(|_| true);
        assert_eq!(board.first_lost(), Some(block(0, 66_000)));
        board.sent_again(block(0, 1000), NOW);
        assert_eq!(board.first_lost(), Some(block(1000, 67_000)));
    }

    #[test]
    fn whole_segments_are_reported_once() {
        let mut board = board();
        assert_eq!(select(&mut board, block(20, 40)), [20, 30]);
        assert_eq!(select(&mut board, block(20, 50)), [40]);
        assert_eq!(select(&mut board, block(65, 85)), [70], "parts count when the rest is reported");
        assert_eq!(select(&mut board, block(60, 90)), [60, 80]);
        assert_eq!((board.pipe(), board.sacked_segments()), (40, 6));
    }

    #[test]
    fn blocks_that_make_no_sense_say_nothing() {
        let mut board = board();
        for nonsense in [block(40, 40), block(50, 40), block(20, 101), block(200, 300)] {
            assert_eq!(select(&mut board, nonsense), [], "{nonsense:?}");
        }
        let far = Block { left: LEFT - 100, right: LEFT };
        assert_eq!(select(&mut board, far), []);
        assert_eq!(select(&mut board, Block { left: LEFT - 100, right: LEFT + 20 }), [0, 10], "the rest counts");
        assert_eq!(select(&mut board, Block { left: LEFT + 50, right: LEFT - 5 }), []);
        assert_eq!(select(&mut board, block(0, 100)).len(), 8, "optimism is the peer's own loss");
        assert_eq!(select(&mut Scoreboard::default(), block(0, 100)), []);
    }

    #[test]
    fn acknowledgement_delivers_what_was_not_reported() {
        let mut board = board();
        select(&mut board, block(10, 20));
        let mut delivered = Vec::new();
        board.acknowledge(LEFT + 35, |record| delivered.push(record.block));
        board.check();
        assert_eq!(delivered, [block(0, 10), block(20, 30), block(30, 35)]);
        assert_eq!(board.extent(), Some(block(35, 100)));
        board.acknowledge(LEFT + 100, |_| {});
        board.check();
        assert_eq!((board.extent(), board.pipe()), (None, 0));
    }

    #[test]
    fn lost_segments_leave_the_pipe_until_they_are_sent_again() {
        let mut board = board();
        select(&mut board, block(30, 40));
        let marked = board.mark_lost(|record| record.block.left.is_before(LEFT + 50));
        assert_eq!(marked.len(), 4);
        assert_eq!((board.pipe(), board.first_lost()), (50, Some(block(0, 30))));
        board.sent_again(block(0, 25), NOW);
        board.check();
        assert_eq!((board.pipe(), board.first_lost()), (75, Some(block(25, 30))));
        board.sent_again(block(25, 30), NOW);
        assert_eq!(board.first_lost(), Some(block(40, 50)));
        board.find_lost_again();
        board.check();
        assert_eq!((board.pipe(), board.first_lost()), (90, None));
    }

    #[test]
    fn timeout_forgets_what_was_reported() {
        let mut board = board();
        select(&mut board, block(30, 100));
        board.forget_sacked();
        board.check();
        assert_eq!((board.pipe(), board.sacked_segments()), (100, 0));
    }

    #[test]
    fn records_are_bounded() {
        let mut board = Scoreboard::default();
        let count = u32::try_from(MAX_RECORDS).unwrap() + 100;
        for n in 0..count {
            board.sent(block(n, n + 1), NOW);
        }
        assert_eq!(board.records.len(), MAX_RECORDS);
        assert_eq!(select(&mut board, block(0, count)).len(), MAX_RECORDS);
        board.sent(block(count, count + 1), NOW);
        board.check();
        assert_eq!((board.records.len(), board.pipe()), (MAX_RECORDS, 102), "what joins is not reported any more");
    }
}
