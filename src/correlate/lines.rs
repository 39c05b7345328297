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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::inputs::BlockSummary;

    fn totals(blocks_of_inputs: &[&[(u32, u32)]]) -> Totals {
        let mut totals = Totals::default();
        for (input, blocks) in (0..).zip(blocks_of_inputs) {
            let stats = totals.inputs.entry(InputId(input)).or_default();
            for &(seq, lines) in *blocks {
                let block = BlockSummary {
                    lines,
                    first: None,
                    last: None,
                    sorted: true,
                };
                stats.blocks.insert(seq, block);
            }
        }
        totals
    }

    fn place(input: u32, block: u32, line_in_block: u32) -> Place {
        Place {
            input: InputId(input),
            offset_bytes: 0,
            block,
            line_in_block,
        }
    }

    #[test]
    fn lines_go_on_from_block_to_block_and_begin_anew_in_each_input() {
        // Blocks come in any order from several workers; one holds no line end at all.
        let numbers = LineNumbers::of(&totals(&[&[(2, 7), (0, 10), (1, 0)], &[(0, 3)]]));
        for (input, block, line_in_block, expected) in [
            (0, 0, 0, 1),
            (0, 0, 9, 10),
            (0, 2, 0, 11),
            (0, 2, 6, 17),
            (1, 0, 0, 1),
            (1, 0, 2, 3),
        ] {
            assert_eq!(
                numbers.line(place(input, block, line_in_block)),
                expected,
                "line {line_in_block} of block {block} of input {input}"
            );
        }
    }
}
