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

/// A shape.
#[derive(Debug)]
pub struct Known {
    key: Fingerprint,
    /// What the rows say.
    pub shape: Arc<RowShape>,
    /// See [`super::paths::Paths::seed`].
    pub path_seed: u64,
    /// Where they are counted in this batch.
    units: Option<ShapeUnits>,
    /// How many there are in this batch.
    rows: u64,
}

impl Known {
    /// Counts rows.
    pub fn count(&mut self, rows: u64) {
        self.rows += rows;
    }

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
}

impl Shapes {
    /// The number of the shape with this fingerprint; `make` works out the shape, and its path seed, on first sight.
    pub fn number_of(&mut self, key: Fingerprint, make: impl FnOnce() -> (RowShape, u64)) -> usize {
        let Self { numbers, known } = self;
        let is_it = |number: &usize| known.get(*number).is_some_and(|known| known.key == key);
        if let Some(number) = numbers.find(key.low, is_it) {
            return *number;
        }
        let (shape, path_seed) = make();
        let number = known.len();
        known.push(Known {
            key,
            shape: Arc::new(shape),
            path_seed,
            units: None,
            rows: 0,
        });
        let low = |number: &usize| known.get(*number).map_or(0, |known| known.key.low);
        numbers.insert_unique(key.low, number, low);
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

    /// How many rows there are of each, which are counted where they belong; begins another batch.
    pub fn take(&mut self, tallies: &mut Tallies) -> Vec<(Arc<RowShape>, u64)> {
        let mut counts = Vec::new();
        for known in &mut self.known {
            let units = known.units.take();
            let rows = std::mem::take(&mut known.rows);
            if rows > 0 {
                if let Some(units) = units {
                    tallies.count_shape(&units, &known.shape, rows);
                }
                counts.push((Arc::clone(&known.shape), rows));
            }
        }
        if self.known.len() > MAX_SHAPES {
            self.known.clear();
            self.numbers.clear();
        }
        counts
    }
}
