//! The damage found in one input, kept within a bound however much of it there is.

use crate::error::Problem;
use crate::units::InputId;

/// How many problems of one sort are listed one by one; the rest are counted. A guess at what a person reads.
const LISTED_MAX: u64 = 8;

/// Collects the problems of one input.
#[derive(Debug)]
pub(super) struct Problems {
    input: InputId,
    found: Vec<Problem>,
    pub(super) long_lines: u64,
    pub(super) dropped_bytes: u64,
    pub(super) forced_cuts: u64,
}

impl Problems {
    pub(super) fn new(input: InputId) -> Self {
        Self {
            input,
            found: Vec::new(),
            long_lines: 0,
            dropped_bytes: 0,
            forced_cuts: 0,
        }
    }

    pub(super) fn add(&mut self, offset_bytes: u64, what: String) {
        self.found.push(Problem {
            input: self.input,
            offset_bytes,
            line: None,
            what,
        });
    }

    /// A line of `line_bytes` was cut to `kept_bytes`.
    pub(super) fn add_long_line(&mut self, offset_bytes: u64, line_bytes: u64, kept_bytes: usize) {
        self.long_lines += 1;
        self.dropped_bytes += line_bytes.saturating_sub(kept_bytes as u64);
        if self.long_lines <= LISTED_MAX {
            self.add(
                offset_bytes,
                format!(
                    "a line of {line_bytes} bytes: only its first {kept_bytes} are used; \
                     look at it with `tail -c +{} FILE | head -c {line_bytes}`",
                    offset_bytes.saturating_add(1)
                ),
            );
        }
    }

    /// Lines that belong together were parted because there was no end of them in sight.
    pub(super) fn add_forced_cut(&mut self, offset_bytes: u64, bound_bytes: usize) {
        self.forced_cuts += 1;
        if self.forced_cuts <= LISTED_MAX {
            self.add(
                offset_bytes,
                format!(
                    "lines that belong together go on for more than {bound_bytes} bytes: they are read in parts \
                     from here"
                ),
            );
        }
    }

    /// All of them by offset, with a remark at the end where some are only counted.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        let end = self
            .found
            .iter()
            .map(|problem| problem.offset_bytes)
            .max()
            .unwrap_or(0);
        if let Some(more) = self.long_lines.checked_sub(LISTED_MAX).filter(|&more| more > 0) {
            self.add(end, format!("{more} more lines that are too long, not listed"));
        }
        if let Some(more) = self.forced_cuts.checked_sub(LISTED_MAX).filter(|&more| more > 0) {
            self.add(
                end,
                format!("{more} more places where lines that belong together were parted, not listed"),
            );
        }
        self.found.sort_by_key(|problem| problem.offset_bytes);
        self.found
    }
}
