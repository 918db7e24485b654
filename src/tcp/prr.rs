//! Proportional rate reduction: how much is sent for each acknowledgement while a loss is recovered (RFC 6937, RFC 9937).

/// What is known of an acknowledgement during recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Safe {
    /// It says that more was lost, or does not advance SND.UNA.
    No,
    /// RFC 9937 §6.2 (SafeACK): it advances SND.UNA, and nothing more was lost.
    Yes,
}

/// The variables of one recovery, in octets.
#[derive(Debug)]
pub(super) struct Prr {
    /// prr_delivered: has reached the peer during this recovery.
    delivered: u32,
    /// prr_out: was sent during this recovery.
    out: u32,
    /// RecoverFS: FlightSize when it began, without what was reported before.
    recover_fs: u32,
    /// What is left of sndcnt.
    budget: u32,
}

impl Prr {
    /// A recovery begins with `flight` outstanding, `sacked` of which is reported; `delivered` is what the acknowledgement at hand has
    /// told, cumulatively or selectively.
    ///
    /// RFC 9937 §6.1: what was reported before it will not be delivered in this recovery.
    pub(super) const fn new(flight: u32, sacked: u32, delivered: u32) -> Self {
        let recover_fs = flight.saturating_sub(sacked).saturating_add(delivered);
        Self { delivered: 0, out: 0, recover_fs, budget: 0 }
    }

    /// An acknowledgement came: `delivered` octets are newly acknowledged, cumulatively or selectively, and `pipe` remain.
    pub(super) fn acknowledged(&mut self, delivered: u32, pipe: u32, ssthresh: u32, smss: u32, safe: Safe) {
        self.delivered = self.delivered.saturating_add(delivered);
        self.budget = if pipe > ssthresh {
            // Proportional: CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out.
            let share = (u64::from(self.delivered) * u64::from(ssthresh)).div_ceil(u64::from(self.recover_fs.max(1)));
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(self.out)
        } else {
            // Slow start, or conservation of packets while more gets lost.
            let limit = self.delivered.saturating_sub(self.out).max(delivered);
            let limit = match safe {
                Safe::Yes => limit.saturating_add(smss),
                Safe::No => limit,
            };
            limit.min(ssthresh - pipe)
        };
        if self.out == 0 {
            self.force(smss);
        }
    }

    /// RFC 9937 §6.2: a fast retransmit goes out in any case.
    pub(super) fn force(&mut self, smss: u32) {
        self.budget = self.budget.max(smss);
    }

    /// So much may be sent: a whole segment as long as it is anything, for what is too much now is too little later.
    pub(super) const fn budget(&self) -> u32 {
        self.budget
    }

    /// So much is sent.
    pub(super) const fn sent(&mut self, octets: u32) {
        self.out = self.out.saturating_add(octets);
        self.budget = self.budget.saturating_sub(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends whole segments as the budget allows; returns how many.
    fn send(prr: &mut Prr) -> u32 {
        let mut segments = 0;
        while prr.budget() > 0 {
            prr.sent(1000);
            segments += 1;
        }
        segments
    }

    #[test]
    fn one_loss_of_twenty_halves_the_flight_evenly() {
        let mut prr = Prr::new(20_000, 0, 0);
        let (mut pipe, mut sent) = (19_000, Vec::new());
        for _ in 0..19 {
            pipe -= 1000;
            prr.acknowledged(1000, pipe, 10_000, 1000, Safe::No);
            let segments = send(&mut prr);
            pipe += 1000 * segments;
            sent.push(segments);
        }
        assert!(sent.iter().all(|segments| *segments <= 1), "no burst: {sent:?}");
        assert!((9500..=10_500).contains(&pipe), "{pipe}");
    }

    #[test]
    fn what_was_reported_before_the_recovery_is_no_part_of_the_flight() {
        // 6000 are reported, 1000 of them now: 15,000 are left to be delivered, and 10,500 of them to be replaced.
        let mut prr = Prr::new(20_000, 6000, 1000);
        prr.acknowledged(1000, 13_000, 10_500, 1000, Safe::No);
        assert_eq!(send(&mut prr), 1);
        prr.acknowledged(1000, 13_000, 10_500, 1000, Safe::No);
        assert_eq!(prr.budget(), 400);
    }

    #[test]
    fn first_segment_goes_out_in_any_case() {
        let mut prr = Prr::new(20_000, 0, 0);
        prr.acknowledged(0, 19_000, 10_000, 1000, Safe::No);
        assert_eq!(send(&mut prr), 1);
        prr.acknowledged(0, 19_000, 10_000, 1000, Safe::No);
        assert_eq!(send(&mut prr), 0);
    }

    #[test]
    fn after_heavy_losses_packets_are_conserved_or_slow_start_fills_up_to_ssthresh() {
        let mut prr = Prr::new(20_000, 0, 0);
        prr.acknowledged(1000, 2000, 10_000, 1000, Safe::No);
        assert_eq!(send(&mut prr), 1);
        prr.acknowledged(1000, 2000, 10_000, 1000, Safe::No);
        assert_eq!(send(&mut prr), 1);
        prr.acknowledged(1000, 2000, 10_000, 1000, Safe::Yes);
        assert_eq!(send(&mut prr), 2);
        prr.acknowledged(1000, 9500, 10_000, 1000, Safe::Yes);
        assert_eq!(send(&mut prr), 1, "no further than ssthresh");
        prr.acknowledged(1000, 10_000, 10_000, 1000, Safe::Yes);
        assert_eq!(send(&mut prr), 0);
    }
}
