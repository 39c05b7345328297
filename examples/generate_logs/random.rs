//! A small generator of numbers with a fixed seed. Integers only: floating point would let the bytes of a log
//! depend on the machine's mathematical library.

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `bound` - 1; 0 if `bound` is 0. The bias of the remainder is below 1 in 2^40 for all uses here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// An index into something of length `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// True once in `every` times on average.
    pub(crate) fn one_in(&mut self, every: u64) -> bool {
        self.below(every) == 0
    }

    /// Log-normal in good approximation: `median` times two to the power of a normal number whose standard
    /// deviation is about `sigma_256th` / 256.
    ///
    /// The normal number is the sum of eight uniform bytes (mean 1020, standard deviation 209); between powers of
    /// two the exponential is taken as linear (Mitchell), which is at most 6 % off.
    pub(crate) fn log_normal(&mut self, median: u64, sigma_256th: u64) -> u64 {
        let sum: u64 = self.next().to_le_bytes().iter().copied().map(u64::from).sum();
        let scaled = |distance: u64| distance * sigma_256th / 209;
        let power = |exponent: u64| (256 + exponent % 256) << (exponent / 256).min(24);
        if sum >= 1020 {
            median.saturating_mul(power(scaled(sum - 1020))) / 256
        } else {
            median.saturating_mul(256) / power(scaled(1020 - sum))
        }
    }
}
