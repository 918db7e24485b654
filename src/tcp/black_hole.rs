//! Black holes: a path that loses packets too large for it, while the ICMP errors that would say so are lost too (RFC 2923 §2.1).
//!
//! When a large segment was sent in vain again and again, that is taken for the reason (RFC 4821 §7.6.4): smaller ones are sent. Once they get
//! through, the largest that the path carries is searched for: now and then one segment of new text is larger than the others, and
//! what becomes of it tells (RFC 4821 §3). If all it was is an outage, the first of these probes brings the old size back.

use smoltcp::time::{Duration, Instant};

use super::path_mtu::MIN_PATH_MTU;
use super::sack::Block;
use super::seq::SeqNum;
use super::tcb::Tcb;

/// The path MTU that is fallen back to first (RFC 4821 §7.2, and `tcp_base_mss` of Linux).
const BASE_MTU: u16 = 1024;

/// The pause after a probe that was lost: its loss looks like congestion, and is answered like one. No RFC names a value, this is ours.
const PAUSE: Duration = Duration::from_secs(10);

/// The search ends when the size is known this exactly, in octets: a hundredth of a full segment is not worth another loss. No RFC names
/// a value; Linux stops at 8 (`tcp_probe_threshold`).
const EXACT_ENOUGH: u32 = 16;

/// How many segments have to follow a probe, so that its loss is noticed without a timeout (RFC 4821 §7.4): DupThresh (RFC 6675 §2), and
/// one for the good measure of a short last one.
const SEGMENTS_BEHIND: u32 = 4;

/// The retransmission that is smaller, R1 (RFC 9293 §3.8.3), on a path that has carried nothing as large yet.
const RETRANSMISSIONS: u32 = 3;

/// The same on a path that has: it has changed, or, more likely, losses are many.
const RETRANSMISSIONS_WHERE_IT_WORKED: u32 = 5;

/// A probe that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathProbe {
    /// The Eff.snd.MSS that it tries.
    pub(super) mss: u32,
    /// How many segments have to follow it.
    pub(super) segments_behind: u32,
}

/// Where a fall leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fall {
    /// To the MTU that almost every path has.
    Base,
    /// To packets that may be cut on the way, as they do not get there whole.
    Cut,
}

/// Which size is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    /// The largest: perhaps it was no black hole.
    Largest,
    /// The middle of what is left.
    Middle,
}

/// Where the search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The next probe goes at this time or later.
    From(Instant, Guess),
    /// One of this size is under way.
    UnderWay(Block, u32),
    /// It is over.
    Found,
}

/// The search for the largest segment that the path carries; sizes are Eff.snd.MSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// The largest size that gets through: search_low.
    low: u32,
    /// The largest size that may get through: search_high.
    high: u32,
    /// Where it stands.
    step: Step,
}

impl Search {
    /// From `low` up to `high`.
    pub(super) const fn new(low: u32, high: u32, now: Instant) -> Self {
        Self { low, high, step: Step::From(now, Guess::Largest) }
    }

    /// The largest size that may get through.
    pub(super) const fn high(&self) -> u32 {
        self.high
    }

    /// The probe to be sent now.
    pub(super) fn due(&self, now: Instant) -> Option<PathProbe> {
        match self.step {
            // Where losses are many, windows are small and a fall is most likely none: the first probe waits for no window.
            Step::From(at, Guess::Largest) if at <= now => Some(PathProbe { mss: self.high, segments_behind: 0 }),
            Step::From(at, Guess::Middle) if at <= now => {
                let mss = self.low + (self.high - self.low).div_ceil(2);
                Some(PathProbe { mss, segments_behind: SEGMENTS_BEHIND })
            }
            Step::From(..) | Step::UnderWay(..) | Step::Found => None,
        }
    }

    /// A probe of this size was sent.
    pub(super) const fn sent(&mut self, block: Block, size: u32) {
        self.step = Step::UnderWay(block, size);
    }

    /// These octets are sent again: if they are of the probe, it was lost.
    pub(super) fn sent_again(&mut self, block: Block, now: Instant) {
        if let Step::UnderWay(probe, size) = self.step
            && block.left.is_before(probe.right)
            && probe.left.is_before(block.right)
        {
            self.high = size - 1;
            self.proceed(now + PAUSE);
        }
    }

    /// Everything before `snd_una` was acknowledged; the size that is thereby known to get through.
    pub(super) fn acknowledged(&mut self, snd_una: SeqNum, now: Instant) -> Option<u32> {
        match self.step {
            Step::UnderWay(probe, size) if probe.right.is_at_or_before(snd_una) => {
                self.low = size;
                self.proceed(now);
                Some(size)
            }
            Step::UnderWay(..) | Step::From(..) | Step::Found => None,
        }
    }

    /// On to the next size, if it makes a difference.
    fn proceed(&mut self, at: Instant) {
        let is_exact = self.high < self.low + EXACT_ENOUGH;
        self.step = if is_exact { Step::Found } else { Step::From(at, Guess::Middle) };
    }
}

impl Tcb {
    /// When a segment that the path may not carry was sent in vain too often, it goes in smaller ones (RFC 4821 §7.6.4).
    ///
    /// What else a timeout means, it means here too.
    pub(super) fn fall_into_no_black_hole(&mut self, now: Instant) {
        if !self.snd.is_timed_out(now) {
            return;
        }
        let text_len = self.snd.due(now).map_or(0, |outgoing| outgoing.text_len);
        let has_worked = self.path_mtu.has_carried(text_len);
        let enough = if has_worked { RETRANSMISSIONS_WHERE_IT_WORKED } else { RETRANSMISSIONS };
        if self.snd.patience().retransmissions() + 1 < enough {
            return;
        }
        let mss = self.snd.mss();
        let fall = if text_len > self.path_mtu.fitting(BASE_MTU, mss) {
            Fall::Base
        } else if text_len > self.path_mtu.fitting(MIN_PATH_MTU, mss) {
            Fall::Cut
        } else {
            return;
        };
        let mtu = match fall {
            Fall::Base => BASE_MTU,
            Fall::Cut => MIN_PATH_MTU,
        };
        let fallen = self.path_mtu.fall(fall, mtu, mss, now);
        self.snd.set_mss(fallen);
        self.snd.probe_path(None);
    }

    /// An acknowledgement was taken: lets the search for the largest segment proceed.
    pub(super) fn search_path(&mut self, now: Instant) {
        if let Some(mss) = self.path_mtu.probed(self.snd.snd_una(), now) {
            self.snd.set_mss(mss);
        }
        self.snd.probe_path(self.path_mtu.probe_due(now));
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::Control;
    use super::super::solo::{ISS, at, established, from_peer, take};
    use super::super::{Config, Due, Established, Fragmentation, IcmpError, IcmpKind, Poll, Segment, Tcp};
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// A path to a peer that acknowledges every segment, and a user that sends without end.
    struct Road {
        tcp: Tcp<Established>,
        /// Octets of the largest packet that gets through whole.
        mtu: usize,
        now: Instant,
        /// What the peer has, in octets from the first.
        received: Vec<(u32, u32)>,
        acks: std::collections::VecDeque<(Instant, u32)>,
        sent: Vec<(Instant, Segment)>,
    }

    fn road(mtu: usize) -> Road {
        let tcp = established(Config::default());
        Road { tcp, mtu, now: at(0), received: Vec::new(), acks: [].into(), sent: Vec::new() }
    }

    impl Road {
        fn run_until(&mut self, end: Instant) {
            loop {
                while self.tcp.can_send() {
                    self.tcp.send(&[7; 10_000], self.now);
                }
                while let Poll::Now(due) = self.tcp.poll(self.now) {
                    assert_eq!(due, Due::Segment, "given up");
                    let segment = self.tcp.transmit(self.now).into();
                    self.arrive(segment);
                }
                let timer = match self.tcp.poll(self.now) {
                    Poll::At(at) => at,
                    Poll::Now(_) | Poll::Never => end,
                };
                let ack = self.acks.front().copied();
                self.now = ack.map_or(timer, |(at, _)| at.min(timer));
                if self.now >= end {
                    self.now = end;
                    return;
                }
                while let Some((_, acked)) = self.acks.front().copied().filter(|(at, _)| *at <= self.now) {
                    self.acks.pop_front();
                    take(&mut self.tcp, from_peer(Control::ACK, 0, acked, b""), self.now);
                }
            }
        }

        fn arrive(&mut self, segment: Segment) {
            let may_be_cut = segment.carriage.fragmentation == Fragmentation::Allowed && self.mtu >= 68;
            if may_be_cut || packet_bytes(&segment) <= self.mtu {
                self.received.push((segment.seq.distance_from(ISS + 1), segment.end().distance_from(ISS + 1)));
                let acked = self.rcv_nxt();
                self.acks.push_back((self.now + ROUND_TRIP, acked));
            }
            self.sent.push((self.now, segment));
        }

        /// How far the stream has come without a gap.
        fn rcv_nxt(&mut self) -> u32 {
            self.received.sort_unstable();
            let joined =
                self.received.iter().fold(0, |end, &(left, right)| if left <= end { end.max(right) } else { end });
            self.received.retain(|&(_, right)| right > joined);
            self.received.insert(0, (0, joined));
            joined
        }

        /// The times at which a segment larger than the path carries was sent.
        fn lost(&self) -> Vec<Instant> {
            let is_lost = |s: &&(Instant, Segment)| packet_bytes(&s.1) > self.mtu;
            self.sent.iter().filter(is_lost).map(|(at, _)| *at).collect()
        }
    }

    fn packet_bytes(segment: &Segment) -> usize {
        40 + segment.payload.len()
    }

    #[test]
    fn the_retransmission_with_which_r1_is_reached_is_smaller() {
        let mut road = road(1200);
        road.run_until(at(8));
        let firsts: Vec<(Instant, usize)> =
            road.sent.iter().filter(|(_, s)| s.seq == ISS + 1).map(|(at, s)| (*at, s.payload.len())).collect();
        // Sent at 0, and again after 1, 3 and 7 seconds.
        assert_eq!(firsts, [(at(0), 1460), (at(1), 1460), (at(3), 1460), (at(7), 984)]);
        assert!(road.rcv_nxt() > 10_000, "{}", road.rcv_nxt());
    }

    #[test]
    fn the_largest_size_that_gets_through_is_found_by_few_probes() {
        for mtu in [1024, 1025, 1100, 1280, 1400, 1499] {
            let mut road = road(mtu);
            road.run_until(at(90));
            let mss = road.tcp.status().mss as usize;
            let exactly = mtu - 40;
            assert!(mss <= exactly && exactly < mss + EXACT_ENOUGH as usize, "{mss} for {mtu}");
            let probes = road.lost().into_iter().filter(|sent| *sent > at(8)).count();
            assert!(probes <= 6, "{probes} for {mtu}");
            let from = road.rcv_nxt();
            road.run_until(at(100));
            assert!(road.rcv_nxt() - from > 2_000_000, "{}", road.rcv_nxt() - from);
        }
    }

    #[test]
    fn no_probe_follows_a_lost_one_at_once() {
        let mut road = road(1100);
        road.run_until(at(90));
        let late: Vec<Instant> = road.lost().into_iter().filter(|sent| *sent > at(8)).collect();
        assert!(late.len() >= 2 && late.windows(2).all(|pair| pair[1] >= pair[0] + PAUSE), "{late:?}");
    }

    #[test]
    fn ten_minutes_later_it_is_searched_for_again_and_not_fallen_into() {
        let mut road = road(1100);
        road.run_until(at(580));
        let mss = road.tcp.status().mss;
        let known = road.lost().len();
        road.run_until(at(700));
        assert!(road.lost().len() > known);
        let resent = road.sent.iter().filter(|(sent, _)| *sent > at(580)).filter(|(_, s)| packet_bytes(s) > 1100);
        assert!(resent.clone().count() < 8, "{}", resent.count());
        assert!(road.tcp.status().mss.abs_diff(mss) < EXACT_ENOUGH);
        // Twin: by then the path has become better.
        road.mtu = 1500;
        road.run_until(at(1500));
        assert_eq!(road.tcp.status().mss, 1460);
    }

    #[test]
    fn after_an_outage_the_old_size_is_back_with_the_first_probe() {
        let mut road = road(1500);
        road.run_until(at(1));
        road.mtu = 0;
        // What has got through before is given up later.
        road.run_until(at(25));
        assert_eq!(road.tcp.status().mss, 1460);
        road.run_until(at(40));
        assert!(road.tcp.status().mss < 1460);
        road.mtu = 1500;
        road.run_until(at(90));
        assert_eq!(road.tcp.status().mss, 1460);
        assert!(road.sent.last().unwrap().1.carriage.fragmentation == Fragmentation::Forbidden);
    }

    #[test]
    fn a_path_that_carries_even_less_gets_packets_that_may_be_cut_and_probes_that_may_not() {
        let mut road = road(500);
        road.run_until(at(100));
        assert_eq!(road.tcp.status().mss, 512);
        let is_whole = |s: &&(Instant, Segment)| s.1.carriage.fragmentation == Fragmentation::Forbidden;
        // Sent again whole at 7 s, cut at 15 s.
        let cut: Vec<&(Instant, Segment)> = road.sent.iter().filter(|(sent, _)| *sent >= at(15)).collect();
        assert!(cut.iter().copied().filter(is_whole).all(|(_, s)| s.payload.len() > 512));
        assert!(cut.iter().copied().filter(is_whole).count() > 1);
        assert!(cut.iter().copied().all(|s| is_whole(&s) || s.1.payload.len() <= 512));
        assert!(road.rcv_nxt() > 1_000_000);
    }

    #[test]
    fn what_would_be_small_anyway_is_no_sign_of_a_black_hole() {
        let mut tcp = established(Config::default());
        tcp.send(&[7; 512], at(0));
        super::super::solo::alone(&mut tcp, at(0), at(200));
        assert_eq!(tcp.status().mss, 1460);
        let mut twin = established(Config::default());
        twin.send(&[7; 513], at(0));
        super::super::solo::alone(&mut twin, at(0), at(200));
        assert_eq!(twin.status().mss, 512);
    }

    #[test]
    fn an_error_that_does_arrive_ends_the_search() {
        let mut road = road(1100);
        road.run_until(at(12));
        road.mtu = 800;
        road.run_until(at(12) + ROUND_TRIP * 3);
        let seq = road.sent.last().unwrap().1.seq;
        let error = IcmpError { kind: IcmpKind::TooBig { next_hop_mtu: 800 }, seq, packet_bytes: 1024 };
        road.tcp.notified(&error, road.now);
        road.run_until(at(30));
        assert_eq!(road.tcp.status().mss, 760);
        let before = road.lost().len();
        road.run_until(at(500));
        assert_eq!(road.lost().len(), before);
    }
}
