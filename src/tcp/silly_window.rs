//! When a small segment is worth sending: silly window avoidance by the sender (RFC 9293 §3.8.6.2.1, MUST-38) and the Nagle algorithm
//! (§3.7.4, SHLD-7).
//!
//! What is held back with nothing outstanding goes after the override timeout at the latest, which is a state of the send timer.

use super::config::Nagle;

/// What stays queued behind a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// More text, which the window does not let go.
    Text,
    /// Nothing at present.
    Nothing,
    /// Nothing ever: it has our FIN.
    TheEnd,
}

/// A segment that the windows would let go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposal {
    /// Its text.
    pub(super) text_len: u32,
    /// The text of a full one: Eff.snd.MSS.
    pub(super) full_len: u32,
    /// What stays behind it.
    pub(super) behind: Behind,
    /// Whether the Nagle algorithm has a say: not while everything sent is acknowledged.
    pub(super) nagle: Nagle,
    /// Max(SND.WND).
    pub(super) max_snd_wnd: u32,
}

impl Proposal {
    /// Whether it is sent now.
    pub(super) const fn is_worth_sending(&self) -> bool {
        // (1) a maximum-sized segment.
        if self.text_len >= self.full_len {
            return true;
        }
        let nagle_agrees = matches!(self.nagle, Nagle::Off);
        match self.behind {
            // Nothing can follow a FIN, so there is nothing to wait for.
            Behind::TheEnd => true,
            // (2) all that is queued, if the Nagle algorithm agrees.
            Behind::Nothing => nagle_agrees,
            // (3) half of the largest window ever seen, Fs = 1/2, if it agrees as well.
            Behind::Text => nagle_agrees && self.text_len >= self.max_snd_wnd / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u32 = 1000;

    fn goes(text_len: u32, behind: Behind, nagle: Nagle) -> bool {
        Proposal { text_len, full_len: FULL, behind, nagle, max_snd_wnd: 600 }.is_worth_sending()
    }

    #[test]
    fn full_segments_and_the_last_one_go_at_once() {
        for nagle in [Nagle::On, Nagle::Off] {
            for behind in [Behind::Text, Behind::Nothing, Behind::TheEnd] {
                assert!(goes(FULL, behind, nagle));
                assert_eq!(goes(0, behind, nagle), behind == Behind::TheEnd || goes(1, behind, nagle));
            }
        }
    }

    #[test]
    fn shld_7_what_the_nagle_algorithm_holds_back_is_short_of_full() {
        for behind in [Behind::Text, Behind::Nothing] {
            assert!(!goes(FULL - 1, behind, Nagle::On));
            assert!(goes(FULL - 1, behind, Nagle::Off));
        }
    }

    #[test]
    fn must_38_half_of_the_largest_window_is_enough_and_less_is_silly() {
        assert!(goes(300, Behind::Text, Nagle::Off));
        assert!(!goes(299, Behind::Text, Nagle::Off));
        assert!(goes(1, Behind::Nothing, Nagle::Off));
    }
}
