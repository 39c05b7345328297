//! Line numbers: the lines of all blocks before, plus the line in the block.

use crate::aggregate::Totals;
use crate::units::{InputId, Place};
use std::collections::BTreeMap;

/// Numbers lines.
#[derive(Clone, Debug, Default)]
pub struct LineNumbers(BTreeMap<InputId, Vec<u64>>);

impl LineNumbers {
    /// Counts the lines of all blocks.
    pub fn of(totals: &Totals) -> Self {
        let mut inputs = BTreeMap::new();
        for (input, stats) in &totals.inputs {
            let mut before = 0;
            let starts = stats.blocks.values().map(|block| {
                let start = before;
                before += u64::from(block.lines);
                start
            });
            inputs.insert(*input, starts.collect());
        }
        Self(inputs)
    }

    /// The number of a line in its input, from 1.
    pub fn line(&self, place: Place) -> u64 {
        let starts = self.0.get(&place.input);
        let start = starts
            .and_then(|s| s.get(place.block as usize))
            .copied()
            .unwrap_or(0);
        start + u64::from(place.line_in_block) + 1
    }
}
