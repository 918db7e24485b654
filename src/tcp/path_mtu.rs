//! Path MTU discovery: segments as large as the path carries whole (RFC 1191, RFC 9293 §3.7.2, RFC 5927 §7).
//!
//! Packets carry DF until a path turns out to need them cut; a router that would have to cut one says so instead, and is believed as far as
//! RFC 5927 §7.2 allows: about a packet that is in flight, a smaller MTU than that packet's length; and below what the path is known to
//! carry only after the segment has timed out as well. What happens where no router says anything is in `black_hole`.

use smoltcp::time::{Duration, Instant};

use super::black_hole::{Fall, PathProbe, Search};
use super::carriage::Fragmentation;
use super::config::FIXED_HEADERS_BYTES;
use super::icmp::IcmpError;
use super::sack::Block;
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timers::elapsed;

/// The smallest path MTU that is believed, as in Linux (`min_pmtu`).
///
/// Deviation: RFC 1191 §3 allows down to 68 octets, of which a forger would leave us 28 for text. Where less than this is claimed,
/// packets of this size go without DF, so that a path that truly needs it smaller cuts them. A peer could notice fragments.
pub(super) const MIN_PATH_MTU: u16 = 552;

/// A lower MTU is forgotten after this time, in case the path has become better (RFC 1191 §6.3).
const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);

/// What to try when a router does not tell its MTU: the largest below the packet's length (RFC 1191 §7.1, table 7-1).
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

/// The smallest text for which a segment is made, whatever the options take.
const MIN_TEXT_BYTES: u32 = 48;

/// A path MTU below that of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lower {
    /// Eff.snd.MSS that fits it, options subtracted.
    mss: u32,
    /// Whether packets of that size may have to be cut.
    fragmentation: Fragmentation,
    /// When it was learnt.
    since: Instant,
}

/// What is known of the path, in octets of text, and thereby independent of what options take.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// Eff.snd.MSS without options, and no path to be thought of: what the peer and our device take.
    named_mss: u32,
    /// Eff.snd.MSS with options, before any path MTU was learnt.
    full_mss: Option<u32>,
    /// What has been learnt.
    lower: Option<Lower>,
    /// What is believed only when the segment with this number times out (RFC 5927 §7.2).
    pending: Option<(SeqNum, Lower)>,
    /// A segment larger than all that were acknowledged: where it ends, and its octets of text.
    largest_sent: Option<(SeqNum, u32)>,
    /// The octets of text that a segment is known to have brought to the peer.
    largest_acked: u32,
    /// After a fall into a black hole: what is searched for.
    search: Option<Search>,
}

impl PathMtu {
    /// Nothing is known, for a peer that takes segments of `named_mss`.
    pub(super) const fn new(named_mss: u32) -> Self {
        Self {
            named_mss,
            full_mss: None,
            lower: None,
            pending: None,
            largest_sent: None,
            largest_acked: 0,
            search: None,
        }
    }

    /// Whether packets may be cut on the way.
    pub(super) fn fragmentation(&self) -> Fragmentation {
        self.lower.map_or(Fragmentation::Forbidden, |lower| lower.fragmentation)
    }

    /// A segment that ends at `end` was sent for the first time.
    fn sent(&mut self, end: SeqNum, text_len: u32) {
        let known = self.largest_sent.map_or(self.largest_acked, |(_, largest)| largest);
        if text_len > known {
            self.largest_sent = Some((end, text_len));
        }
    }

    /// Something was sent again, perhaps cut otherwise: what is acknowledged now says nothing of sizes.
    fn sent_again(&mut self) {
        self.largest_sent = None;
    }

    /// The peer has everything before `snd_una`.
    fn acknowledged(&mut self, snd_una: SeqNum) {
        if let Some((_, text_len)) = self.largest_sent.take_if(|(end, _)| end.is_at_or_before(snd_una)) {
            self.largest_acked = self.largest_acked.max(text_len);
        }
        // RFC 5927 §7.2: progress disproves the claim.
        self.pending.take_if(|(seq, _)| seq.is_before(snd_una));
    }

    /// The MSS for a path that is said not to carry a packet of `packet_bytes`, when it makes a difference to `mss`.
    fn believe(&mut self, next_hop_mtu: u16, packet_bytes: u16, mss: u32, now: Instant) -> Option<Lower> {
        let claimed = match next_hop_mtu {
            0 => PLATEAUS.into_iter().find(|plateau| *plateau < packet_bytes)?,
            mtu => mtu,
        };
        // RFC 5927 §7.2: what it claims not to have forwarded is larger than what it forwards.
        if claimed >= packet_bytes {
            return None;
        }
        let fragmentation = if claimed < MIN_PATH_MTU { Fragmentation::Allowed } else { Fragmentation::Forbidden };
        let fitting = self.fitting(claimed.max(MIN_PATH_MTU), mss);
        let changes = fitting < mss || fragmentation != self.fragmentation();
        changes.then_some(Lower { mss: fitting.min(mss), fragmentation, since: now })
    }

    /// The text that fits a packet of `mtu`, options subtracted, `mss` being Eff.snd.MSS.
    pub(super) fn fitting(&mut self, mtu: u16, mss: u32) -> u32 {
        let options = self.named_mss.saturating_sub(*self.full_mss.get_or_insert(mss));
        let headers = u32::try_from(FIXED_HEADERS_BYTES).unwrap_or(u32::MAX).saturating_add(options);
        u32::from(mtu).saturating_sub(headers).max(MIN_TEXT_BYTES)
    }

    /// The full MSS again, after a while; where no error would say that it is too much, it is only searched for.
    fn forget(&mut self, now: Instant) -> Option<u32> {
        let mut old = self.lower.take_if(|lower| elapsed(now, lower.since) >= FORGET_AFTER)?;
        self.pending = None;
        self.largest_acked = 0;
        if self.search.is_some() {
            old.since = now;
            self.lower = Some(old);
            self.search = self.full_mss.map(|full| Search::new(old.mss, full, now));
            return None;
        }
        self.full_mss
    }

    // Black holes.

    /// The path seems not to carry segments of `mss`: Eff.snd.MSS from now on, for packets of `mtu`.
    pub(super) fn fall(&mut self, fall: Fall, mtu: u16, mss: u32, now: Instant) -> u32 {
        let low = self.fitting(mtu, mss).min(mss);
        let high = self.search.map_or(mss, |search| search.high());
        let fragmentation = match fall {
            Fall::Base => self.fragmentation(),
            Fall::Cut => Fragmentation::Allowed,
        };
        self.lower = Some(Lower { mss: low, fragmentation, since: now });
        self.search = Some(Search::new(low, high, now));
        self.pending = None;
        self.sent_again();
        self.largest_acked = self.largest_acked.min(low);
        low
    }

    /// Whether a segment with so much text has got through since the path is what it is.
    pub(super) const fn has_carried(&self, text_len: u32) -> bool {
        text_len <= self.largest_acked
    }

    /// The probe that is to be sent now.
    pub(super) fn probe_due(&self, now: Instant) -> Option<PathProbe> {
        self.search.and_then(|search| search.due(now))
    }

    /// Everything before `snd_una` was acknowledged: Eff.snd.MSS from now on, if a probe was among it.
    pub(super) fn probed(&mut self, snd_una: SeqNum, now: Instant) -> Option<u32> {
        let mss = self.search.as_mut()?.acknowledged(snd_una, now)?;
        self.largest_acked = self.largest_acked.max(mss);
        if self.full_mss == Some(mss) {
            (self.lower, self.search) = (None, None);
        } else {
            self.lower = Some(Lower { mss, fragmentation: Fragmentation::Forbidden, since: now });
        }
        Some(mss)
    }
}

impl Tcb {
    /// A router did not forward a packet of ours that is in flight (RFC 1191 §3).
    pub(super) fn path_mtu_reported(&mut self, error: &IcmpError, next_hop_mtu: u16, now: Instant) {
        let Some(lower) = self.path_mtu.believe(next_hop_mtu, error.packet_bytes, self.snd.mss(), now) else {
            return;
        };
        if lower.mss < self.path_mtu.largest_acked {
            self.path_mtu.pending = Some((error.seq, lower));
        } else {
            self.lower_mss(lower, now);
        }
    }

    /// Takes a path MTU on that was not believed at first, now that the oldest segment outstanding is about to time out.
    pub(super) fn believe_pending_path_mtu(&mut self, now: Instant) {
        if self.snd.is_timed_out(now)
            && let Some((_, lower)) = self.path_mtu.pending.take()
        {
            self.lower_mss(lower, now);
        }
    }

    /// What is outstanding is sent again, in smaller segments (RFC 1191 §6.5).
    fn lower_mss(&mut self, lower: Lower, now: Instant) {
        self.path_mtu.lower = Some(lower);
        self.path_mtu.pending = None;
        self.path_mtu.search = None;
        self.path_mtu.sent_again();
        self.path_mtu.largest_acked = self.path_mtu.largest_acked.min(lower.mss);
        self.snd.set_mss(lower.mss);
        self.snd.probe_path(None);
        self.snd.send_all_again(now);
    }

    /// A segment is being sent, its text beginning at `seq`; whether it may be cut on the way.
    pub(super) fn note_size(&mut self, seq: SeqNum, text_len: u32, now: Instant) -> Fragmentation {
        let block = Block { left: seq, right: seq + text_len };
        if seq != self.snd.snd_nxt() {
            self.path_mtu.sent_again();
            if let Some(search) = &mut self.path_mtu.search {
                search.sent_again(block, now);
            }
        } else if let Some(size) = self.snd.probes_path_with(text_len)
            && let Some(search) = &mut self.path_mtu.search
        {
            // A probe that is cut would tell nothing.
            search.sent(block, size);
            self.snd.probe_path(None);
            return Fragmentation::Forbidden;
        } else {
            self.path_mtu.sent(seq + text_len, text_len);
        }
        self.path_mtu.fragmentation()
    }

    /// An acknowledgement was taken.
    pub(super) fn note_acknowledged(&mut self, now: Instant) {
        self.path_mtu.acknowledged(self.snd.snd_una());
        self.search_path(now);
        if let Some(mss) = self.path_mtu.forget(now) {
            self.snd.set_mss(mss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::icmp::IcmpKind;
    use super::super::segment::Control;
    use super::super::solo::{ISS, at, due, established, from_peer, take};
    use super::super::{Config, Established, Segment, Tcp};
    use super::*;

    /// A connection with so many octets to send, and the first of what it sent.
    fn sending(octets: usize) -> (Tcp<Established>, Vec<Segment>) {
        let mut tcp = established(Config::default());
        tcp.send(&vec![7; octets], at(0));
        let sent = due(&mut tcp, at(0));
        (tcp, sent)
    }

    fn too_big(next_hop_mtu: u16) -> IcmpError {
        IcmpError { kind: IcmpKind::TooBig { next_hop_mtu }, seq: ISS + 1, packet_bytes: 1500 }
    }

    fn lengths(segments: &[Segment]) -> Vec<usize> {
        segments.iter().map(|segment| segment.payload.len()).collect()
    }

    #[test]
    fn what_is_in_flight_is_sent_again_in_smaller_segments_in_slow_start_without_congestion() {
        let (mut tcp, sent) = sending(2920);
        assert_eq!(lengths(&sent), [1460, 1460]);
        let ssthresh = tcp.status().ssthresh;
        tcp.notified(&too_big(1000), at(0));
        let again = due(&mut tcp, at(0));
        assert_eq!(lengths(&again), [960], "RFC 1191 §6.5: one until it is acknowledged");
        assert_eq!(again[0].seq, ISS + 1);
        take(&mut tcp, from_peer(Control::ACK, 0, 960, b""), at(0));
        assert_eq!(lengths(&due(&mut tcp, at(0))), [960, 960]);
        take(&mut tcp, from_peer(Control::ACK, 0, 2880, b""), at(0));
        assert_eq!(lengths(&due(&mut tcp, at(0))), [40]);
        take(&mut tcp, from_peer(Control::ACK, 0, 2920, b""), at(0));
        assert_eq!(tcp.status().ssthresh, ssthresh);
        tcp.send(&[7; 960], at(1));
        assert_eq!(lengths(&due(&mut tcp, at(1))), [960]);
    }

    #[test]
    fn a_claim_that_contradicts_itself_or_changes_nothing_is_ignored() {
        for (mtu, packet_bytes) in [(1500, 1500), (1501, 1500), (1000, 1000), (1000, 999)] {
            let (mut tcp, _) = sending(2920);
            tcp.notified(&IcmpError { packet_bytes, ..too_big(mtu) }, at(1));
            assert_eq!((tcp.status().mss, due(&mut tcp, at(0)).len()), (1460, 0), "{mtu} {packet_bytes}");
        }
        let (mut tcp, _) = sending(2920);
        tcp.notified(&IcmpError { packet_bytes: 1001, ..too_big(1000) }, at(0));
        assert_eq!(tcp.status().mss, 960);
    }

    #[test]
    fn what_is_not_in_flight_says_nothing() {
        let (mut tcp, _) = sending(2920);
        for seq in [ISS, ISS + 2921] {
            tcp.notified(&IcmpError { seq, ..too_big(1000) }, at(0));
        }
        assert_eq!(tcp.status().mss, 1460);
    }

    #[test]
    fn no_path_mtu_below_the_floor_is_believed_but_packets_may_be_cut_then() {
        let (mut tcp, _) = sending(1460);
        tcp.notified(&too_big(552), at(0));
        assert_eq!(due(&mut tcp, at(0))[0].carriage.fragmentation, Fragmentation::Forbidden);
        for mtu in [551, 68, 1] {
            let (mut tcp, _) = sending(1460);
            tcp.notified(&too_big(mtu), at(0));
            assert_eq!(tcp.status().mss, 512);
            assert_eq!(due(&mut tcp, at(0))[0].carriage.fragmentation, Fragmentation::Allowed);
        }
    }

    #[test]
    fn a_router_that_tells_no_mtu_gets_the_next_plateau() {
        let (mut tcp, _) = sending(1460);
        tcp.notified(&too_big(0), at(0));
        assert_eq!(tcp.status().mss, 1492 - 40);
        tcp.notified(&IcmpError { packet_bytes: 1492, ..too_big(0) }, at(0));
        assert_eq!(tcp.status().mss, 1006 - 40);
        tcp.notified(&IcmpError { packet_bytes: 68, ..too_big(0) }, at(0));
        assert_eq!(tcp.status().mss, 1006 - 40);
    }

    #[test]
    fn what_the_path_has_carried_already_is_believed_after_a_timeout_only() {
        let (mut tcp, _) = sending(1460);
        take(&mut tcp, from_peer(Control::ACK, 0, 1460, b""), at(0));
        tcp.send(&[7; 1460], at(1));
        assert_eq!(due(&mut tcp, at(1)).len(), 1);
        let claim = IcmpError { seq: ISS + 1461, ..too_big(1000) };
        tcp.notified(&claim, at(1));
        assert_eq!((tcp.status().mss, due(&mut tcp, at(1)).len()), (1460, 0));
        assert_eq!(lengths(&due(&mut tcp, at(2))), [960]);
    }

    #[test]
    fn progress_disproves_a_claim_that_was_not_believed() {
        let (mut tcp, _) = sending(1460);
        take(&mut tcp, from_peer(Control::ACK, 0, 1460, b""), at(0));
        tcp.send(&[7; 1460], at(1));
        assert_eq!(due(&mut tcp, at(1)).len(), 1);
        tcp.notified(&IcmpError { seq: ISS + 1461, ..too_big(1000) }, at(1));
        take(&mut tcp, from_peer(Control::ACK, 0, 2920, b""), at(1));
        tcp.send(&[7; 1460], at(2));
        assert_eq!(due(&mut tcp, at(2)).len(), 1);
        assert_eq!(lengths(&due(&mut tcp, at(5))), [1460]);
    }

    #[test]
    fn ten_minutes_later_the_full_size_is_tried_again() {
        let (mut tcp, _) = sending(1460);
        tcp.notified(&too_big(1000), at(0));
        let _again = due(&mut tcp, at(0));
        take(&mut tcp, from_peer(Control::ACK, 0, 1460, b""), at(599));
        assert_eq!(tcp.status().mss, 960);
        take(&mut tcp, from_peer(Control::ACK, 0, 1460, b""), at(600));
        assert_eq!(tcp.status().mss, 1460);
    }
}
