//! 128 bits that stand for the bytes which decide a row's class.
//!
//! A worker finds the class of a row by its fingerprint alone: comparing some 250 bytes with a key that lies
//! elsewhere in memory took a seventh of all time. The price: two classes with one fingerprint would be counted as
//! one. Among the classes of a run that is as likely as a dropped bit in memory (for a million classes below
//! 10^-26), unless somebody who knows this function writes a log for it, who could as well have written any other
//! figure into that log. The functions are fixed, so that every worker and machine finds the same classes.
//!
//! Processors that have AES rounds hash by these (`AesHash`). Others have four lanes of 64×64-bit products that run beside each other; each round keeps all 128 bits of its product and what went into it, so
//! that no round forgets what came before.

use crate::decode::log::{AesHash, short_words};

/// Fractions of the square roots of primes: numbers with nothing up their sleeve.
const ROOTS: [[u64; 2]; 5] = [
    [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b],
    [0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1],
    [0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f],
    [0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179],
    [0xcbbb_9d5d_c105_9ed9, 0x629a_292a_367c_d507],
];

/// Spreads a length over all bits.
const LENGTH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A finished fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Where its slot is looked for.
    pub low: u64,
    /// The other half.
    pub high: u64,
}

/// How fingerprints are made: in one run always the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hasher {
    /// By products of 64 bits, on any processor.
    Products,
    /// By AES rounds, where this processor has them.
    Aes(AesHash),
}

impl Default for Hasher {
    fn default() -> Self {
        AesHash::new().map_or(Self::Products, Self::Aes)
    }
}

impl Hasher {
    /// The fingerprint of `seed` and four texts: other texts, or the same in another order, have another one.
    #[expect(
        clippy::inline_always,
        reason = "steps of the row loop: the parts of a key stay in registers"
    )]
    #[inline(always)]
    pub(crate) fn of_four(self, seed: u64, parts: [&[u8]; 4]) -> Fingerprint {
        let Self::Aes(aes) = self else {
            let mut lanes = Lanes::new(seed);
            lanes.add(parts);
            return lanes.finish();
        };
        let [first, second, third, fourth] = parts;
        // The second one is the longest by far; cut in three, none of its pieces is longer than what is hashed at once.
        let (begin, rest) = second.split_at(second.len().min(AesHash::PART_BYTES));
        let (middle, end) = rest.split_at(rest.len().min(AesHash::PART_BYTES));
        Fingerprint::of_halves(aes.of(seed, &[first, begin, middle, end, third, fourth]))
    }

    /// The same of twelve texts.
    #[expect(
        clippy::inline_always,
        reason = "steps of the row loop: the parts of a key stay in registers"
    )]
    #[inline(always)]
    pub(crate) fn of_twelve(self, seed: u64, parts: &[&[u8]; 12]) -> Fingerprint {
        let Self::Aes(aes) = self else {
            let mut lanes = Lanes::new(seed);
            parts.as_chunks().0.iter().for_each(|round| lanes.add(*round));
            return lanes.finish();
        };
        Fingerprint::of_halves(aes.of(seed, parts))
    }
}

impl Fingerprint {
    /// The fingerprint of the same and of what `seed` stands for.
    #[inline]
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self {
            low: self.low ^ seed,
            high: self.high,
        }
    }

    fn of_halves([low, high]: [u64; 2]) -> Self {
        Self { low, high }
    }
}

/// 64 bits that stand for `seed` and `bytes`, for tables that keep rows by their hash. A round is a product of 64 bits whose
/// halves are joined, as wyhash has it (<https://github.com/wangyi-fudan/wyhash>).
#[inline]
pub fn short_hash(seed: u64, bytes: &[u8]) -> u64 {
    let [[first, second], [third, fourth], [fifth, sixth], ..] = ROOTS;
    let join = |held: u64, [low, high]: [u64; 2]| folded(low ^ held, high ^ second);
    let mut held = seed ^ first;
    if let Some(last) = bytes.last_chunk::<16>() {
        // The last piece overlaps the one before it.
        let (chunks, rest) = bytes.as_chunks::<16>();
        for chunk in chunks {
            held = join(held, words(chunk));
        }
        if !rest.is_empty() {
            let [low, high] = words(last);
            held = folded(low ^ held, high ^ third);
        }
    } else {
        let [low, high] = short_words(bytes);
        held = folded(low ^ held, high ^ fourth);
    }
    folded(held ^ fifth, bytes.len() as u64 ^ sixth)
}

/// A hash of what `hash` stands for that another `seed` makes another one.
#[inline]
pub fn mixed(seed: u64, hash: u64) -> u64 {
    let [[first, second], [third, _], ..] = ROOTS;
    folded(folded(seed ^ first, hash ^ second), third)
}

/// Both halves of a product of 64 bits.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

/// Half-made fingerprints that later become one.
#[derive(Clone, Copy, Debug)]
struct Lanes([Lane; 4]);

#[derive(Clone, Copy, Debug)]
struct Lane([u64; 2]);

impl Lanes {
    /// Lanes that have seen nothing but `seed`.
    #[inline]
    fn new(seed: u64) -> Self {
        let [first, second, third, fourth, _] = ROOTS;
        let [low, high] = first;
        Self([Lane([low ^ seed, high]), Lane(second), Lane(third), Lane(fourth)])
    }

    /// One part for each lane: different parts, or the same in other lanes, make another fingerprint.
    #[inline]
    fn add(&mut self, parts: [&[u8]; 4]) {
        for (lane, part) in self.0.iter_mut().zip(parts) {
            *lane = lane.add(part);
        }
    }

    /// The fingerprint of all that was added.
    #[inline]
    fn finish(self) -> Fingerprint {
        let [first, second, third, fourth] = self.0;
        let [.., last] = ROOTS;
        let Lane([low, high]) = first.round(second.0).round(third.round(fourth.0).0).round(last);
        Fingerprint { low, high }
    }
}

impl Lane {
    #[inline]
    fn round(self, words: [u64; 2]) -> Self {
        let ([a, b], [first, second]) = (self.0, words);
        let (x, y) = (a ^ first, b ^ second);
        let product = u128::from(x).wrapping_mul(u128::from(y));
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let low = product as u64;
        let high = (product >> 64) as u64;
        Self([low ^ y.rotate_left(32), high ^ x])
    }

    #[inline]
    fn add(self, part: &[u8]) -> Self {
        let [a, b] = self.0;
        let mut lane = Self([a, b.wrapping_add((part.len() as u64).wrapping_mul(LENGTH_FACTOR))]);
        let Some(last) = part.last_chunk::<16>() else {
            return lane.round(short_words(part));
        };
        let (chunks, rest) = part.as_chunks::<16>();
        for chunk in chunks {
            lane = lane.round(words(chunk));
        }
        if rest.is_empty() {
            lane
        } else {
            lane.round(words(last))
        }
    }
}

#[inline]
fn words(chunk: &[u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(*chunk);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let low = number as u64;
    [low, (number >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// All that this processor can make.
    fn hashers() -> [Hasher; 3] {
        let narrow = AesHash::narrow().map_or(Hasher::Products, Hasher::Aes);
        [Hasher::Products, narrow, Hasher::default()]
    }

    fn differing_bits(a: Fingerprint, b: Fingerprint) -> [u32; 2] {
        [(a.low ^ b.low).count_ones(), (a.high ^ b.high).count_ones()]
    }

    /// Keys as alike as those of a mesh: numbered names and addresses.
    #[test]
    fn numbered_names_are_told_apart_by_any_32_bits() {
        for hasher in hashers() {
            let mut halves: [BTreeSet<u64>; 4] = Default::default();
            let count = 20_000_u32;
            for number in 0..count {
                let target = format!(
                    "\"10.244.{}.{}:8080\" outbound|8080||a-{number}.b",
                    number >> 8,
                    number & 255
                );
                let parts: [&[u8]; 4] = [
                    b"200 - via_upstream",
                    target.as_bytes(),
                    b"10.96.0.6:8080 ",
                    b"- default",
                ];
                let found = hasher.of_four(7, parts);
                let words = [found.low, found.high].map(|word| [word >> 32, word & 0xffff_ffff]);
                for (set, word) in halves.iter_mut().zip(words.as_flattened()) {
                    set.insert(*word);
                }
            }
            // Of so many random words of 32 bits, 0.05 are expected to meet another.
            for set in halves {
                assert!(set.len() + 2 >= count as usize, "{hasher:?} {}", set.len());
            }
        }
    }

    #[test]
    fn short_hashes_of_numbered_ids_spread_over_any_32_bits() {
        let mut halves: [BTreeSet<u64>; 2] = Default::default();
        let count = 20_000_u32;
        for number in 0..count {
            let id = format!(
                "{:08x}-8687-4fb2-9e70-d1019fc66081",
                number.wrapping_mul(0x0100_0193)
            );
            let seed = u64::from(number % 7);
            let hash = short_hash(
                seed,
                if number % 2 == 0 {
                    id.as_bytes()
                } else {
                    &id.as_bytes()[..13]
                },
            );
            for (set, word) in halves.iter_mut().zip([hash >> 32, hash & 0xffff_ffff]) {
                set.insert(word);
            }
        }
        for set in halves {
            assert!(set.len() + 2 >= count as usize, "{}", set.len());
            // As many in the lower half as chance has it: thresholds halve what is kept.
            let low = set.iter().filter(|word| **word < 1 << 31).count();
            assert!((9_600..=10_400).contains(&low), "{low}");
        }
    }

    #[test]
    fn lengths_and_lanes_count() {
        for hasher in hashers() {
            let (mut of_four, mut of_twelve) = (BTreeSet::new(), BTreeSet::new());
            for length in (0..80).chain([127, 128, 129, 191, 192, 193, 400]) {
                for lane in 0..4 {
                    let bytes = vec![0; length];
                    let mut parts: [&[u8]; 4] = [b""; 4];
                    parts[lane] = &bytes;
                    let found = hasher.of_four(7, parts);
                    of_four.insert((found.low, found.high));
                }
                for lane in 0..12 {
                    let bytes = vec![0; length];
                    let mut parts: [&[u8]; 12] = [b""; 12];
                    parts[lane] = &bytes;
                    let found = hasher.of_twelve(7, &parts);
                    of_twelve.insert((found.low, found.high));
                }
            }
            // Nothing in any lane is one and the same.
            assert_eq!(of_four.len(), 86 * 4 + 1, "{hasher:?}");
            assert_eq!(of_twelve.len(), 86 * 12 + 1, "{hasher:?}");
        }
    }

    #[test]
    fn seeds_count() {
        for hasher in hashers() {
            let found = (0..64).map(|bit| hasher.of_four(1 << bit, [b"one", b"two", b"three", b"four"]));
            let found: BTreeSet<_> = found.map(|found| [found.low, found.high]).collect();
            assert_eq!(found.len(), 64, "{hasher:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_bit_changes_half_of_all_bits(part in prop::collection::vec(any::<u8>(), 1..300), lane in 0_usize..4, bit in any::<prop::sample::Index>()) {
            let mut changed = part.clone();
            let bit = bit.index(part.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            let with = |part: &[u8]| {
                let mut parts: [&[u8]; 4] = [b"one", b"two", b"three", b"four and some more"];
                parts[lane] = part;
                hashers().map(|hasher| hasher.of_four(7, parts))
            };
            for (before, after) in with(&part).into_iter().zip(with(&changed)) {
                // Of 64 random bits fewer than 10 are set once in 10^8 cases.
                for bits in differing_bits(before, after) {
                    prop_assert!((10..=54).contains(&bits), "{bits}");
                }
            }
        }
    }
}
