//! Durations of two sides, as far as a report keeps them: counts by doubling, and some exact quantiles.

use super::figures::Latency;
use super::model::{Bounds, Change, Direction, Measure, Metric, QuantileChange, ShareOver, Status};
use super::statistics::{Bounded, Known, Part, rank, ranks, share_difference};
use super::{Floors, Subject, as_f64};

/// The same figure on both sides.
pub(super) struct LatencyPair {
    before: Latency,
    after: Latency,
    /// Upper bounds with the counts up to them (both sides), ascending.
    bins: Vec<(f64, u64, u64)>,
}

/// The tail is what at most so many requests of a side are in; the rest is judged as a whole, by ranks.
const TAIL_SHARE_MAX: f64 = 0.1;

/// Bins of one side that are believed: a report has at most some forty.
const MAX_BINS: usize = 256;

impl LatencyPair {
    pub(super) fn new(before: &Latency, after: &Latency) -> Self {
        let mut bins: Vec<(f64, u64, u64)> = Vec::new();
        for (latency, is_after) in [(before, false), (after, true)] {
            for bucket in latency.histogram.iter().take(MAX_BINS) {
                let counts = if is_after {
                    (0, bucket.count)
                } else {
                    (bucket.count, 0)
                };
                bins.push((bucket.le, counts.0, counts.1));
            }
        }
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut merged: Vec<(f64, u64, u64)> = Vec::new();
        for (le, b, a) in bins {
            match merged.last_mut() {
                Some(last) if last.0.total_cmp(&le).is_eq() => {
                    last.1 = last.1.saturating_add(b);
                    last.2 = last.2.saturating_add(a);
                }
                _ => merged.push((le, b, a)),
            }
        }
        Self {
            before: before.clone(),
            after: after.clone(),
            bins: merged,
        }
    }

    /// One for the whole, one for each limit beyond which the share is compared.
    pub(super) fn comparisons(&self) -> u64 {
        u64::try_from(self.bins.len()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn change(&self, subject: &Subject, z: f64, floors: &Floors) -> Option<Change> {
        let counts: Vec<(u64, u64)> = self.bins.iter().map(|(_, b, a)| (*b, *a)).collect();
        let ranks = ranks(&counts, z)?;
        let over = self.share_over(z);
        let more = self.whole(ranks.probability.value, ranks.deviations, z, floors);
        let surely = |over: &ShareOver| {
            let (low, high) = (
                over.difference.low.unwrap_or(0.0),
                over.difference.high.unwrap_or(0.0),
            );
            low.max(-high)
        };
        let tail = over.filter(|over| surely(over) >= floors.latency_tail_difference_min);
        let tail_more = tail
            .and_then(|over| over.difference.value)
            .map(|difference| difference > 0.0);
        // Where the whole says nothing, the tail must have moved as a quantile, too: not only over the edge of a bin.
        let tail_more = tail_more.filter(|more| self.tail_moved(*more, floors));
        let more = more.or(tail_more)?;
        let (status, direction) = if more {
            (Status::Slower, Direction::Worse)
        } else {
            (Status::Faster, Direction::Better)
        };
        let mean = |latency: &Latency| Measure {
            value: latency.mean,
            count: latency.count,
            of: latency.count,
        };
        let moved = (ranks.probability.value - 0.5).abs() * 2.0;
        let tail_size = tail.and_then(|over| over.difference.value).unwrap_or(0.0).abs();
        let greater = if more { self.after.count } else { self.before.count };
        Some(Change {
            before: Some(mean(&self.before)),
            after: Some(mean(&self.after)),
            quantiles: self.quantiles(z),
            slower_probability: Some(Bounds::from(ranks.probability)),
            share_over: over,
            impact: moved.max(tail_size) * as_f64(greater),
            ..subject.change(Metric::Latency, status, direction)
        })
    }

    /// Whether requests as a whole became slower (true) or faster; `None` if neither.
    fn whole(&self, probability: f64, deviations: f64, z: f64, floors: &Floors) -> Option<bool> {
        let more = deviations > 0.0;
        let probable = if more { probability } else { 1.0 - probability } >= floors.latency_probability_min;
        let (before, after) = (self.before.p50, self.after.p50);
        let moved = self.moved(before, after, floors);
        (deviations.abs() > z && probable && moved && (after > before) == more).then_some(more)
    }

    /// Whether one of the upper quantiles moved that way, and far enough.
    fn tail_moved(&self, more: bool, floors: &Floors) -> bool {
        let pairs = [
            (self.before.p50, self.after.p50),
            (self.before.p90, self.after.p90),
            (self.before.p99, self.after.p99),
        ];
        pairs
            .into_iter()
            .any(|(before, after)| self.moved(before, after, floors) && (after > before) == more)
    }

    fn moved(&self, before: f64, after: f64, floors: &Floors) -> bool {
        let steps =
            self.before.resolution_ms.max(self.after.resolution_ms) * floors.latency_resolution_steps_min;
        let (less, greater) = (before.min(after), before.max(after));
        greater - less >= steps && greater >= less * floors.latency_ratio_min
    }

    /// The limit in the tail beyond which the share of requests changed most for sure: by the bound that is nearer to no
    /// change.
    fn share_over(&self, z: f64) -> Option<ShareOver> {
        let (mut before_below, mut after_below) = (0_u64, 0_u64);
        let mut most: Option<(f64, ShareOver)> = None;
        for (limit, before, after) in &self.bins {
            before_below = before_below.saturating_add(*before);
            after_below = after_below.saturating_add(*after);
            let over =
                |latency: &Latency, below: u64| Part::new(latency.count.saturating_sub(below), latency.count);
            let (b, a) = (over(&self.before, before_below), over(&self.after, after_below));
            let difference = share_difference(b, a, z);
            let surely = difference.low.max(-difference.high);
            if b.share().min(a.share()) > TAIL_SHARE_MAX {
                continue;
            }
            if most.is_none_or(|(least, _)| surely > least) {
                most = Some((
                    surely,
                    ShareOver {
                        limit_ms: *limit,
                        before: b.share(),
                        after: a.share(),
                        difference: difference.into(),
                    },
                ));
            }
        }
        most.map(|(_, over)| over)
    }

    fn quantiles(&self, z: f64) -> Vec<QuantileChange> {
        let (before, after) = (known(&self.before), known(&self.after));
        [
            (0.5, self.before.p50, self.after.p50),
            (0.9, self.before.p90, self.after.p90),
            (0.99, self.before.p99, self.after.p99),
        ]
        .into_iter()
        .map(|(quantile, b, a)| {
            let bounds = |known: &Known, value| -> Bounded { known.quantile(quantile, value, z) };
            QuantileChange {
                quantile,
                before_ms: bounds(&before, b).into(),
                after_ms: bounds(&after, a).into(),
                difference_ms: a - b,
                ratio: (b > 0.0).then(|| a / b),
            }
        })
        .collect()
    }
}

/// What a report tells of the sorted durations.
fn known(latency: &Latency) -> Known {
    let mut known = Known {
        count: latency.count,
        ..Known::default()
    };
    for (quantile, value) in [
        (0.0, latency.min),
        (0.5, latency.p50),
        (0.75, latency.p75),
        (0.9, latency.p90),
        (0.95, latency.p95),
        (0.99, latency.p99),
        (0.999, latency.p999),
        (1.0, latency.max),
    ] {
        let rank = rank(quantile, latency.count);
        known.at_least.push((rank, value));
        known.at_most.push((rank, value));
    }
    let mut below = 0_u64;
    for bucket in latency.histogram.iter().take(MAX_BINS) {
        // What is above the bucket before is above its bound.
        let lower = if bucket.le > 1.0 { bucket.le / 2.0 } else { 0.0 };
        known.at_least.push((below.saturating_add(1), lower));
        below = below.saturating_add(bucket.count);
        known.at_most.push((below, bucket.le));
    }
    known
}
