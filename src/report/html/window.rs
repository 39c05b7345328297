//! What a page holds beside its figures so that its script can sum them over the window that a reader chooses: numbers
//! by column of the time line's drawing.
//!
//! A list of columns, blanks between them: `COLUMN:FIRST.VALUE,VALUE,...`. The column is left out where it follows the one
//! before, `FIRST.` (the values before that one are none) where it is 0.

use super::Context;
use super::element::{Element, el};
use super::timeline::Scale;
use crate::report::model::{HistogramBucket, SpentMoment, WindowMoment};
use crate::units::Timestamp;
use std::fmt::Write as _;

/// Doublings of a duration that a page tells apart; longer ones are counted with the last.
const DOUBLINGS: usize = 32;

/// The columns of a page in which a window can be chosen.
pub(super) struct Windows<'r> {
    scale: Scale,
    context: &'r Context<'r>,
}

/// What belongs to a bucket of time.
pub(super) trait Dated {
    /// Start of the bucket in seconds since the epoch.
    fn start_s(&self) -> i64;
}

impl Dated for WindowMoment {
    fn start_s(&self) -> i64 {
        self.start_s
    }
}

impl Dated for SpentMoment {
    fn start_s(&self) -> i64 {
        self.start_s
    }
}

impl<'r> Windows<'r> {
    /// None where nothing was read that has times.
    pub(super) fn of(context: &'r Context<'r>) -> Option<Self> {
        let scale = Scale::of(&context.report.timeline)?;
        Some(Self { scale, context })
    }

    /// The moments of a destination as one side saw it.
    pub(super) fn destination(&self, name: &str, reporter: &str) -> &'r [WindowMoment] {
        let rows = &self.context.report.requests.by_destination;
        let at = rows
            .iter()
            .position(|row| row.name == name && row.reporter == reporter);
        let lists = &self.context.report.over_time.by_destination;
        at.and_then(|at| lists.get(at)).map_or(&[], Vec::as_slice)
    }

    /// The moments of an edge of the topology, by its place in the list.
    pub(super) fn edge(&self, at: usize) -> &'r [WindowMoment] {
        let lists = &self.context.report.over_time.edges;
        lists.get(at).map_or(&[], Vec::as_slice)
    }

    /// The sums of a destination's parts of the time, by its place in the list.
    pub(super) fn spent(&self, at: usize) -> &'r [SpentMoment] {
        let lists = &self.context.report.over_time.spent;
        lists.get(at).map_or(&[], Vec::as_slice)
    }

    /// What `values` adds for each moment, by column.
    pub(super) fn numbers<M: Dated>(&self, moments: &[M], values: impl Fn(&M, &mut Vec<u64>)) -> String {
        let mut text = String::new();
        let mut next = 0;
        let mut of_moment = Vec::new();
        let columns =
            moments.chunk_by(|a, b| self.scale.column(a.start_s()) == self.scale.column(b.start_s()));
        for moments in columns {
            let Some(column) = moments
                .first()
                .and_then(|moment| self.scale.column(moment.start_s()))
            else {
                continue;
            };
            let mut sums: Vec<u64> = Vec::new();
            for moment in moments {
                of_moment.clear();
                values(moment, &mut of_moment);
                sums.resize(sums.len().max(of_moment.len()), 0);
                for (sum, value) in sums.iter_mut().zip(&of_moment) {
                    *sum = sum.saturating_add(*value);
                }
            }
            let Some(last) = sums.iter().rposition(|sum| *sum > 0) else {
                continue;
            };
            let first = sums.iter().position(|sum| *sum > 0).unwrap_or(0);
            if !text.is_empty() {
                text.push(' ');
            }
            // Writing to a String cannot fail.
            if column != next {
                let _ = write!(text, "{column}:");
            }
            if first > 0 {
                let _ = write!(text, "{first}.");
            }
            for (number, sum) in sums.get(first..=last).unwrap_or_default().iter().enumerate() {
                let comma = if number > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{sum}");
            }
            next = column + 1;
        }
        text
    }

    /// Requests by doubling of their duration, by column.
    pub(super) fn spread(
        &self,
        moments: &[WindowMoment],
        of: impl Fn(&WindowMoment) -> &[HistogramBucket],
    ) -> String {
        self.numbers(moments, |moment, values| {
            for bucket in of(moment) {
                let at = doubling(bucket.le);
                values.resize(values.len().max(at + 1), 0);
                if let Some(value) = values.get_mut(at) {
                    *value = value.saturating_add(bucket.count);
                }
            }
        })
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.scale.count
    }

    /// When a column begins.
    pub(super) fn time(&self, column: usize) -> Timestamp {
        self.scale.time(column)
    }

    /// The column of a moment.
    pub(super) fn column(&self, moment: &WindowMoment) -> Option<usize> {
        self.scale.column(moment.start_s)
    }
}

/// The number of a bound of a histogram: 0, 1, 2, 4, 8 ms and so on.
pub(super) fn doubling(le: f64) -> usize {
    let bounds = std::iter::successors(Some(1.0), |bound| Some(bound * 2.0));
    match le {
        le if le <= 0.0 => 0,
        le => bounds.take(DOUBLINGS).take_while(|bound| *bound < le).count() + 1,
    }
    .min(DOUBLINGS)
}

/// Says, once a window is chosen, that what follows keeps to the whole time.
pub(super) fn whole_time(what: &str) -> Element {
    el("p")
        .class("note whole-time")
        .attr("hidden", "")
        .text(format!("{what} of the whole time, not of the chosen window."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_numbered() {
        let bounds = [0.0, 1.0, 2.0, 4.0, 8.0, 1024.0, 1e300, f64::INFINITY];
        assert_eq!(bounds.map(doubling), [0, 1, 2, 3, 4, 11, DOUBLINGS, DOUBLINGS]);
    }
}
