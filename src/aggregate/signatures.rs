//! Signature hits: counts, first and last time, inputs, examples.

use super::Merge;
use super::bounded::Key;
use super::series::Series;
use crate::units::{InputId, Place, Timestamp};
use std::collections::BTreeMap;

/// Pairs of signature and proxy kept.
pub const LIMIT: usize = 16_384;

/// Longest example text.
pub const EXAMPLE_BYTES: usize = 400;

/// A signature at a proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HitKey {
    /// Index in the catalogue.
    pub signature: u16,
    /// The proxy's name, as in groups.
    pub proxy: String,
}

impl Key for HitKey {
    type Lump = u16;

    fn key_hash(&self) -> u64 {
        super::stable_hash_with(u64::from(self.signature), self.proxy.as_bytes())
    }

    fn lump(&self) -> u16 {
        self.signature
    }
}

/// Lines that hit.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// How many.
    pub count: u64,
    /// Earliest.
    pub first: Option<Timestamp>,
    /// Latest.
    pub last: Option<Timestamp>,
    /// By input.
    pub inputs: BTreeMap<InputId, u64>,
    /// Over time.
    pub series: Series<u64>,
    /// First places with their text.
    pub examples: BTreeMap<Place, String>,
    /// How many examples to keep.
    pub keep: usize,
}

impl Hits {
    /// Keeps an example if it is among the first ones.
    pub fn keep_example(&mut self, place: Place, text: impl FnOnce() -> String) {
        let examples = &mut self.examples;
        let is_full = examples.len() >= self.keep;
        if is_full && examples.last_key_value().is_none_or(|(last, _)| place >= *last) {
            return;
        }
        examples.insert(place, text());
        while examples.len() > self.keep {
            examples.pop_last();
        }
    }
}

impl Merge for Hits {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        for (input, count) in other.inputs {
            *self.inputs.entry(input).or_default() += count;
        }
        self.series.merge(other.series);
        self.examples.extend(other.examples);
        self.keep = self.keep.max(other.keep);
        while self.examples.len() > self.keep {
            self.examples.pop_last();
        }
    }
}

/// The earlier of two times, either of which may be missing.
pub fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The start of a line, at most [`EXAMPLE_BYTES`], cut between characters.
pub fn example_text(line: &[u8]) -> String {
    let cut = line.get(..line.len().min(EXAMPLE_BYTES)).unwrap_or(line);
    let mut text = super::text(cut);
    if cut.len() < line.len() {
        text.push('…');
    }
    text
}
