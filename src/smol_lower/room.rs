//! The room that segments take while they wait for their connection's thread.
//!
//! A thread that lags for a moment must not lose what its peer was told it may send: the peer would take that for congestion. So the
//! room of a connection follows the window that it announces. Every segment counts with what it occupies besides its text, so that
//! many small ones take no more memory than few large ones; what does not fit is lost as on the way.

use core::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::tcp::segment::Segment;

/// Bytes that each connection may have waiting, whatever all others do: 79 full segments at an MTU of 1500, 682 ACKs, or one
/// reassembled segment of 64 KiB and more.
pub(super) const INBOX_BYTES: usize = 128 * 1024;
const _: () = assert!(INBOX_BYTES >= 65_535 + SEGMENT_OVERHEAD_BYTES);

/// Bytes that all connections together may have waiting beyond that: windows of ten long fast paths whose threads do not run just now.
pub(super) const INBOX_POOL_BYTES: usize = 256 * 1024 * 1024;

/// What a segment occupies besides its text, rounded up: its place in the queue, and what the heap adds to the text.
pub(super) const SEGMENT_OVERHEAD_BYTES: usize = 192;
const _: () = assert!(size_of::<Waiting>() + 3 * size_of::<usize>() <= SEGMENT_OVERHEAD_BYTES);

/// Beside a window there is room for half of it: the overhead of full segments even at the default MSS of 536 octets.
const WINDOW_PART_FOR_OVERHEAD: usize = 2;

/// What all connections have waiting beyond their own.
#[derive(Debug, Default)]
pub(super) struct Pool {
    used: AtomicUsize,
}

/// The room of one connection.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that wait, up to [`INBOX_BYTES`].
    own: AtomicUsize,
    /// Bytes that wait beyond that.
    lent: AtomicUsize,
    /// What these may become.
    limit: AtomicUsize,
    pool: Arc<Pool>,
}

impl Room {
    /// The room of a connection that has announced no window yet.
    pub(super) fn new(pool: &Arc<Pool>) -> Arc<Self> {
        let none = AtomicUsize::default;
        Arc::new(Self { own: none(), lent: none(), limit: none(), pool: Arc::clone(pool) })
    }

    /// The peer is told that it may send so many octets.
    pub(super) fn expect(&self, rcv_wnd: u32) {
        let window = usize::try_from(rcv_wnd).unwrap_or(usize::MAX);
        let limit = window.saturating_add(window / WINDOW_PART_FOR_OVERHEAD);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Takes a segment in, or gives it back if there is no room. Only the IP thread does, so that nobody comes between look and leap.
    pub(super) fn admit(self: &Arc<Self>, segment: Segment) -> Result<Waiting, Segment> {
        let bytes = segment.payload.len() + SEGMENT_OVERHEAD_BYTES;
        let fits = |used: &AtomicUsize, limit: usize| used.load(Ordering::Relaxed).saturating_add(bytes) <= limit;
        let purse = if fits(&self.own, INBOX_BYTES) {
            self.own.fetch_add(bytes, Ordering::Relaxed);
            Purse::Own
        } else if fits(&self.lent, self.limit.load(Ordering::Relaxed)) && fits(&self.pool.used, INBOX_POOL_BYTES) {
            self.lent.fetch_add(bytes, Ordering::Relaxed);
            self.pool.used.fetch_add(bytes, Ordering::Relaxed);
            Purse::Lent
        } else {
            return Err(segment);
        };
        Ok(Waiting { segment, _share: Share { room: Arc::clone(self), bytes, purse } })
    }
}

/// A segment that waits for its connection's thread; its room is free again once it is taken out or dropped.
#[derive(Debug)]
pub struct Waiting {
    segment: Segment,
    _share: Share,
}

impl Waiting {
    /// Takes the segment out.
    #[must_use]
    pub fn into_segment(self) -> Segment {
        self.segment
    }
}

impl Deref for Waiting {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        &self.segment
    }
}

/// What one segment takes of its connection's room.
#[derive(Debug)]
struct Share {
    room: Arc<Room>,
    bytes: usize,
    purse: Purse,
}

/// Where that counts.
#[derive(Debug, Clone, Copy)]
enum Purse {
    Own,
    Lent,
}

impl Drop for Share {
    fn drop(&mut self) {
        match self.purse {
            Purse::Own => {
                self.room.own.fetch_sub(self.bytes, Ordering::Relaxed);
            }
            Purse::Lent => {
                self.room.lent.fetch_sub(self.bytes, Ordering::Relaxed);
                self.room.pool.used.fetch_sub(self.bytes, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smol_lower::testing::{ACK, segment};

    const WINDOW: u32 = 1 << 20;

    /// Takes in segments of this size until there is no room.
    fn fill(room: &Arc<Room>, text_bytes: usize) -> Vec<Waiting> {
        let one = segment(1, 555, ACK, &vec![7; text_bytes]);
        core::iter::from_fn(|| room.admit(one.clone()).ok()).collect()
    }

    /// How many such segments are within so many bytes.
    const fn within(bytes: usize, text_bytes: usize) -> usize {
        bytes / (text_bytes + SEGMENT_OVERHEAD_BYTES)
    }

    #[test]
    fn without_a_window_a_connection_has_its_own_room_only() {
        for text_bytes in [0, 1, 1460, 65_495] {
            let room = Room::new(&Arc::default());
            assert_eq!(fill(&room, text_bytes).len(), within(INBOX_BYTES, text_bytes), "{text_bytes}");
        }
    }

    #[test]
    fn the_whole_window_waits_in_full_segments_and_little_more() {
        let window = usize::try_from(WINDOW).unwrap();
        for text_bytes in [536, 1460, 8960] {
            let room = Room::new(&Arc::default());
            room.expect(WINDOW);
            // All of the window is lent, and the own room is left for what is sent again, and for ACKs.
            let own = within(INBOX_BYTES, text_bytes);
            let lent = fill(&room, text_bytes).len() - own;
            let more = window / text_bytes * 2;
            assert!((window / text_bytes..more).contains(&lent), "{lent} of {text_bytes}");
        }
    }

    #[test]
    fn tiny_segments_take_no_more_memory_than_full_ones() {
        let room = Room::new(&Arc::default());
        room.expect(WINDOW);
        let tiny = fill(&room, 1).len();
        let window = usize::try_from(WINDOW).unwrap();
        assert_eq!(tiny, within(INBOX_BYTES, 1) + within(window + window / WINDOW_PART_FOR_OVERHEAD, 1));
    }

    #[test]
    fn room_is_free_again_when_a_segment_is_taken_out_or_dropped() {
        let pool = Arc::<Pool>::default();
        let room = Room::new(&pool);
        room.expect(WINDOW);
        for end in [|taken: Waiting| drop(taken), |taken: Waiting| assert_eq!(taken.into_segment().payload.len(), 1460)]
        {
            let mut held = fill(&room, 1460);
            let one_more = || room.admit(segment(1, 555, ACK, &[7; 1460]));
            assert!(pool.used.load(Ordering::Relaxed) > 0 && one_more().is_err());
            end(held.pop().unwrap());
            held.push(one_more().unwrap());
            drop(held);
            let left = [&pool.used, &room.own, &room.lent].map(|used| used.load(Ordering::Relaxed));
            assert_eq!(left, [0; 3]);
        }
    }

    #[test]
    fn a_window_that_closes_again_takes_its_room_along() {
        let room = Room::new(&Arc::default());
        room.expect(WINDOW);
        drop(fill(&room, 1460));
        room.expect(0);
        assert_eq!(fill(&room, 1460).len(), within(INBOX_BYTES, 1460));
    }

    #[test]
    fn all_connections_together_have_a_bound_and_each_keeps_its_own_room() {
        let pool = Arc::default();
        let rooms: Vec<_> = (0..40).map(|_| Room::new(&pool)).collect();
        let mut held = Vec::new();
        for room in &rooms {
            room.expect(16 << 20);
            held.push(fill(room, 60_000));
        }
        let used = pool.used.load(Ordering::Relaxed);
        assert!(used <= INBOX_POOL_BYTES && used + 60_000 + SEGMENT_OVERHEAD_BYTES > INBOX_POOL_BYTES, "{used}");
        let last = rooms.last().unwrap();
        assert_eq!(held.pop().unwrap().len(), within(INBOX_BYTES, 60_000));
        // And what one gives back another may have.
        held.remove(0);
        assert!(fill(last, 60_000).len() > within(INBOX_BYTES, 60_000));
    }
}
