//! What rows of one worker say, whoever wrote them. The proxies of a mesh, and the replicas of a workload above all, say much the
//! same: what a row says is worked out when the first of them says it, and what does not depend on who says it is counted once for
//! all of them.

use super::class::RowShape;
use super::fingerprint::Fingerprint;
use super::tallies::{ShapeUnits, Tallies};
use hashbrown::HashTable;
use std::sync::Arc;

/// Shapes that outlast a batch of sums; a batch adds at most as many as it has cells.
const MAX_SHAPES: usize = 4096;

/// The same where few are seen again: keeping them saves no work then, and crowds other things out of the processor's caches.
const MAX_RARE_SHAPES: usize = 256;

/// A shape.
#[derive(Debug)]
pub struct Known {
    key: Fingerprint,
    /// What the rows say.
    pub shape: Arc<RowShape>,
    /// See [`super::paths::Paths::seed`].
    pub path_seed: u64,
    /// True if it is of this batch.
    used: bool,
    /// Where they are counted in this batch.
    units: Option<ShapeUnits>,
    /// How many there are in this batch.
    rows: u64,
}

impl Known {
    /// Where such rows are counted.
    pub fn units(&mut self, tallies: &mut Tallies) -> &ShapeUnits {
        self.units.get_or_insert_with(|| tallies.shape_units(&self.shape))
    }
}

/// The shapes, each with a number.
#[derive(Debug, Default)]
pub struct Shapes {
    numbers: HashTable<usize>,
    known: Vec<Known>,
    /// Those of this batch.
    used: Vec<usize>,
    /// How often a number was asked for since the table was empty.
    asked: usize,
    /// True if few were seen again the last time that the table was full.
    rare: bool,
}

impl Shapes {
    /// The number of the shape with this fingerprint; `make` works out the shape, and its path seed, on first sight.
    pub fn number_of(&mut self, key: Fingerprint, make: impl FnOnce() -> (RowShape, u64)) -> usize {
        self.asked += 1;
        let Self { numbers, known, .. } = self;
        let is_it = |number: &usize| known.get(*number).is_some_and(|known| known.key == key);
        if let Some(number) = numbers.find(key.low, is_it).copied() {
            if let Some(known) = known.get_mut(number)
                && !std::mem::replace(&mut known.used, true)
            {
                self.used.push(number);
            }
            return number;
        }
        let (shape, path_seed) = make();
        let number = known.len();
        known.push(Known {
            key,
            shape: Arc::new(shape),
            path_seed,
            used: true,
            units: None,
            rows: 0,
        });
        let low = |number: &usize| known.get(*number).map_or(0, |known| known.key.low);
        numbers.insert_unique(key.low, number, low);
        self.used.push(number);
        number
    }

    /// The shape with a number.
    pub fn get(&self, number: usize) -> Option<&Known> {
        self.known.get(number)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Known> {
        self.known.get_mut(number)
    }

    /// Counts rows of a shape.
    pub fn count(&mut self, number: usize, rows: u64) {
        if let Some(known) = self.known.get_mut(number) {
            known.rows += rows;
        }
    }

    /// How many rows there are of each, which are counted where they belong; begins another batch.
    pub fn take(&mut self, tallies: &mut Tallies) -> Vec<(Arc<RowShape>, u64)> {
        let mut counts = Vec::with_capacity(self.used.len());
        for number in self.used.drain(..) {
            let Some(known) = self.known.get_mut(number) else {
                continue;
            };
            known.used = false;
            let rows = std::mem::take(&mut known.rows);
            if let Some(units) = known.units.take() {
                tallies.count_shape(&units, &known.shape, rows);
            }
            counts.push((Arc::clone(&known.shape), rows));
        }
        let limit = if self.rare { MAX_RARE_SHAPES } else { MAX_SHAPES };
        if self.known.len() > limit {
            self.rare = self.asked < 2 * self.known.len();
            self.asked = 0;
            self.known.clear();
            self.numbers.clear();
        }
        counts
    }
}
