//! A generator whose numbers stay the same for ever, so that a seed means the same run in every release.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator with this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// The same for sizes.
    pub(crate) fn size(&mut self, low: usize, high: usize) -> usize {
        usize::try_from(self.between(low as u64, high as u64)).unwrap_or(high)
    }

    /// A size whose magnitude is even: small ones are as likely as large ones.
    pub(crate) fn magnitude(&mut self, high: usize) -> usize {
        let bits = self.between(0, u64::from(high.max(1).ilog2()));
        self.size(0, (2 << bits) - 1).min(high)
    }

    /// True in so many of a thousand cases.
    pub(crate) const fn per_mille(&mut self, cases: u64) -> bool {
        self.next() % 1000 < cases
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.size(0, from.len() - 1)]
    }
}
