//! Tail loss probes: when the acknowledgements stay out, one segment more brings them back before the timeout (RFC 8985 §7).

use smoltcp::time::{Duration, Instant};

use super::sack::{Block, Blocks};
use super::seq::SeqNum;

/// TLP.max_ack_delay (RFC 8985 §7.2): how long a peer may hold back the ACK of a single segment; the longest that is usual.
const MAX_ACK_DELAY: Duration = Duration::from_millis(200);

/// PTO before a round trip was measured (RFC 8985 §7.2).
const PTO_WITHOUT_SRTT: Duration = Duration::from_secs(1);

/// What a probe was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Something that was not sent before.
    New,
    /// The last segment again: TLP.is_retrans.
    Last,
}

/// What an acknowledgement says about a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that matters for the congestion window.
    Nothing,
    /// The probe has repaired a loss, which would else have gone unnoticed.
    Repaired,
}

/// What there is to know of an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    /// SEG.ACK.
    pub(super) seg_ack: SeqNum,
    /// Whether SND.UNA was that before.
    pub(super) is_repeated: bool,
    /// Its SACK blocks.
    pub(super) blocks: &'a Blocks,
    /// Which of them says that something came twice.
    pub(super) duplicate: Option<Block>,
}

/// The probe that is under way, never more than one.
#[derive(Debug, Default)]
pub(super) struct TailProbe {
    /// TLP.end_seq, SND.NXT when it was sent, and what it was.
    under_way: Option<(SeqNum, Content)>,
}

impl TailProbe {
    /// Whether none is under way, so that one may be sent.
    pub(super) const fn is_free(&self) -> bool {
        self.under_way.is_none()
    }

    /// A probe is sent.
    pub(super) const fn sent(&mut self, snd_nxt: SeqNum, content: Content) {
        self.under_way = Some((snd_nxt, content));
    }

    /// The retransmission timer expired, or a loss is being recovered otherwise.
    pub(super) const fn forget(&mut self) {
        self.under_way = None;
    }

    /// TLP_process_ack (RFC 8985 §7.4.2).
    pub(super) fn acknowledged(&mut self, heard: &Heard<'_>) -> Outcome {
        let Some((end, content)) = self.under_way else { return Outcome::Nothing };
        if heard.seg_ack.is_before(end) {
            return Outcome::Nothing;
        }
        // A receiver need not count the FIN in what came twice.
        let came_twice = heard.duplicate.is_some_and(|block| block.right == end || block.right + 1 == end);
        if content == Content::New || came_twice {
            self.under_way = None;
        } else if heard.seg_ack.is_after(end) {
            self.under_way = None;
            return Outcome::Repaired;
        } else if heard.is_repeated && heard.blocks.is_empty() {
            self.under_way = None;
        }
        Outcome::Nothing
    }
}

/// How many segments are outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    /// One, whose ACK may be delayed.
    Single,
    /// More.
    Several,
}

/// TLP_calc_PTO (RFC 8985 §7.2), the limit by the retransmission timer apart.
pub(super) fn pto(srtt: Option<Duration>, flight: Flight) -> Duration {
    let Some(srtt) = srtt else { return PTO_WITHOUT_SRTT };
    match flight {
        Flight::Single => srtt * 2 + MAX_ACK_DELAY,
        Flight::Several => srtt * 2,
    }
}

/// The probe's time, no later than that of the retransmission timer (RFC 8985 §7.2).
pub(super) fn probe_at(now: Instant, pto: Duration, rto_at: Instant) -> Instant {
    rto_at.min(now + pto)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: SeqNum = SeqNum::new(3);

    fn sent(content: Content) -> TailProbe {
        let mut probe = TailProbe::default();
        probe.sent(END, content);
        probe
    }

    /// An acknowledgement up to so far past the probe; of what came twice, the right edge.
    fn hear(probe: &mut TailProbe, seg_ack: SeqNum, is_repeated: bool, duplicate: Option<SeqNum>) -> Outcome {
        let duplicate = duplicate.map(|right| Block { left: right - 10, right });
        let blocks: Blocks = duplicate.into_iter().collect();
        probe.acknowledged(&Heard { seg_ack, is_repeated, blocks: &blocks, duplicate })
    }

    #[test]
    fn new_text_as_a_probe_says_nothing_of_losses() {
        let mut probe = sent(Content::New);
        assert_eq!(hear(&mut probe, END - 1, false, None), Outcome::Nothing);
        assert!(!probe.is_free());
        assert_eq!(hear(&mut probe, END + 9, false, None), Outcome::Nothing);
        assert!(probe.is_free());
    }

    #[test]
    fn original_and_probe_both_arrived() {
        for right in [END, END - 1] {
            let mut probe = sent(Content::Last);
            assert_eq!(hear(&mut probe, END, true, Some(right)), Outcome::Nothing);
            assert!(probe.is_free());
        }
        let mut probe = sent(Content::Last);
        assert_eq!(hear(&mut probe, END, true, None), Outcome::Nothing);
        assert!(probe.is_free(), "a duplicate ACK of a peer without D-SACK");
    }

    #[test]
    fn probe_repaired_a_loss() {
        let mut probe = sent(Content::Last);
        assert_eq!(hear(&mut probe, END, false, None), Outcome::Nothing);
        assert!(!probe.is_free());
        assert_eq!(hear(&mut probe, END + 1, false, Some(END - 2)), Outcome::Repaired);
        assert!(probe.is_free());
        assert_eq!(hear(&mut probe, END + 2, false, None), Outcome::Nothing, "once");
    }

    #[test]
    fn timeout_is_two_round_trips_and_more_for_a_single_segment() {
        let srtt = Duration::from_millis(100);
        assert_eq!(pto(None, Flight::Several), Duration::from_secs(1));
        assert_eq!(pto(Some(srtt), Flight::Several), Duration::from_millis(200));
        assert_eq!(pto(Some(srtt), Flight::Single), Duration::from_millis(400));
        let now = Instant::from_secs(9);
        assert_eq!(probe_at(now, srtt, now + srtt * 2), now + srtt);
        assert_eq!(probe_at(now, srtt, now + srtt / 2), now + srtt / 2);
    }
}
