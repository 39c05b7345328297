//! Records and hits to partial results that merge.
//!
//! In: decoded lines with their place. Out: [`Partial`]s, small batches of sums that a worker hands on, and
//! [`Totals`], their merge. The laws: merging is commutative and associative, and the totals of a set of
//! lines do not depend on how the lines were split among blocks, workers or batches. So nothing here keeps
//! keys by arrival: tables with a limit keep keys by hash threshold ([`bounded`], [`sampled`]), and series
//! choose their bucket width from the set of times alone ([`series`]).
//!
//! Never: decides what a figure means for the verdict.

use std::fmt::Write as _;

pub mod address;
pub mod bounded;
pub mod called;
pub mod captures;
pub mod cells;
pub mod class;
pub mod collector;
pub mod configuration;
pub mod fingerprint;
pub mod flags;
pub mod followed;
pub mod hops;
pub mod inputs;
pub mod outputs;
pub mod paths;
pub mod record;
pub mod sampled;
pub mod samples;
pub mod series;
pub mod shapes;
pub mod signatures;
pub mod slowest;
pub mod tallies;
pub mod top;
pub mod totals;

pub use captures::CaptureTotals;
pub use collector::{Collector, CollectorOptions, Partial};
pub use totals::Totals;

/// The 64-bit hash by which limits choose the keys that they keep. It has a fixed seed, so that every
/// worker and every machine keeps the same keys.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

/// A hash and further bytes as one key.
pub fn stable_hash_with(first: u64, bytes: &[u8]) -> u64 {
    stable_hash_joined(first, stable_hash(bytes))
}

/// The same, where the [`stable_hash`] of the further bytes is known.
pub fn stable_hash_joined(first: u64, second: u64) -> u64 {
    let mixed = (second ^ first.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

/// Sums of the same thing over two sets of records become the sum over both. Must be commutative and
/// associative, with `Default` as its neutral element.
pub trait Merge: Default {
    /// Adds `other` to this.
    fn merge(&mut self, other: Self);
}

impl Merge for u64 {
    fn merge(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

/// Bytes of a log as text: as they are where they are UTF-8, `\xNN` for each byte that is not, so that
/// different bytes stay different names.
pub fn text(bytes: &[u8]) -> String {
    // Nearly all texts are ASCII, which is checked many bytes at a time.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
