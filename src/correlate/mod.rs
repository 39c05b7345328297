//! Merged totals to one picture of the incident: who is who, which rows are of one hop, which connection carried a row,
//! where lines are.
//!
//! In: [`Totals`]. Out: [`Incident`]. Never: judges.

pub mod connections;
pub mod hops;
pub mod join;
pub mod lines;
pub mod names;

use crate::aggregate::class::{GroupKey, Reporter};
use crate::aggregate::flags::Outcome;
use crate::aggregate::hops::{HopKey, HopMoment};
use crate::aggregate::series::Series;
use crate::aggregate::totals::Group;
use crate::aggregate::{Merge, Totals};
use crate::units::Timestamp;
pub use connections::{Connections, Server};
pub use join::{Joined, JoinedRow};
pub use lines::LineNumbers;
pub use names::Names;

/// A group of rows with its names settled.
#[derive(Clone, Debug)]
pub struct Call<'t> {
    /// What the rows have in common.
    pub key: &'t GroupKey,
    /// Their sums.
    pub group: &'t Group,
    /// Called service, `host:port`.
    pub destination: String,
    /// Calling workload, or its address where nothing names it.
    pub source: String,
    /// Pod that was called, where a log of it was read.
    pub destination_pod: Option<String>,
    /// True if the rows count as requests: HTTP, and of the reporter that stands for their hop.
    pub counted: bool,
    /// True if the called proxy made the status: its refusal comes `via_upstream` to the caller's proxy.
    pub denied_by_called: bool,
}

impl Call<'_> {
    /// Rows.
    pub fn count(&self) -> u64 {
        self.group.count
    }

    /// How the rows ended, as they tell by themselves.
    pub fn outcome(&self) -> Outcome {
        self.key.outcome
    }

    /// How the rows ended, with what the called proxy's rows tell.
    pub fn result(&self) -> Outcome {
        if self.denied_by_called {
            Outcome::Denied
        } else {
            self.outcome()
        }
    }

    /// True on rows of the caller's proxy.
    pub fn is_source(&self) -> bool {
        self.key.reporter == Reporter::Source
    }
}

/// Rows of one caller to one called service over time, as one reporter counts them.
#[derive(Clone, Debug)]
pub struct Hop<'t> {
    /// Who reports.
    pub reporter: Reporter,
    /// Calling workload, or its address where nothing names it; empty for all callers beyond the limit of hops.
    pub source: String,
    /// Called service, `host:port`.
    pub destination: String,
    /// True if the rows count as requests.
    pub counted: bool,
    /// The rows.
    pub series: &'t Series<HopMoment>,
    /// Sums of all that comes before every place that is a multiple of [`SUMMED_BUCKETS`].
    sums: Vec<HopSum>,
}

/// Buckets of a series that are summed beforehand.
const SUMMED_BUCKETS: usize = 16;

/// Rows of a hop that completed in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopSum {
    /// Requests.
    pub requests: u64,
    /// Failed ones.
    pub failed: u64,
    /// Good ones.
    pub good: u64,
    /// Sum of the durations of good ones.
    pub good_duration_sum_ms: u64,
}

impl HopSum {
    fn count(&mut self, moment: &HopMoment) {
        self.merge(Self {
            requests: moment.requests,
            failed: moment.failed,
            good: moment.good.count,
            good_duration_sum_ms: moment.good.duration_sum_ms,
        });
    }

    fn without(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            good: self.good.saturating_sub(earlier.good),
            good_duration_sum_ms: self
                .good_duration_sum_ms
                .saturating_sub(earlier.good_duration_sum_ms),
        }
    }
}

impl Merge for HopSum {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.good += other.good;
        self.good_duration_sum_ms = self
            .good_duration_sum_ms
            .saturating_add(other.good_duration_sum_ms);
    }
}

impl<'t> Hop<'t> {
    fn new(reporter: Reporter, source: String, destination: String, series: &'t Series<HopMoment>) -> Self {
        let mut sums = Vec::with_capacity(series.len() / SUMMED_BUCKETS + 1);
        let mut sum = HopSum::default();
        for (place, moment) in series.held_at(0..series.len()).enumerate() {
            if place.is_multiple_of(SUMMED_BUCKETS) {
                sums.push(sum);
            }
            sum.count(moment);
        }
        if series.len().is_multiple_of(SUMMED_BUCKETS) {
            sums.push(sum);
        }
        Self {
            reporter,
            source,
            destination,
            counted: false,
            series,
            sums,
        }
    }

    /// The rows that completed in the seconds `from..=to`; where the buckets of its series are wider than a
    /// second, those of all buckets that reach into it.
    pub fn between(&self, from: i64, to: i64) -> HopSum {
        let places = self.series.places_reaching_into(from, to);
        self.before(places.end).without(self.before(places.start))
    }

    /// The rows of all buckets before this place.
    fn before(&self, place: usize) -> HopSum {
        let summed = place / SUMMED_BUCKETS;
        let mut sum = self.sums.get(summed).copied().unwrap_or_default();
        let rest = self.series.held_at(summed * SUMMED_BUCKETS..place);
        rest.for_each(|moment| sum.count(moment));
        sum
    }
}

/// The whole incident, names settled.
#[derive(Debug)]
pub struct Incident<'t> {
    /// The sums.
    pub totals: &'t Totals,
    /// Groups of connections in a fixed order.
    pub connections: Vec<Connections<'t>>,
    /// Servers of captures in a fixed order.
    pub servers: Vec<Server<'t>>,
    /// Groups in a fixed order.
    pub calls: Vec<Call<'t>>,
    /// Hops in a fixed order.
    pub hops: Vec<Hop<'t>>,
    /// Names.
    pub names: Names,
    /// Line numbers.
    pub lines: LineNumbers,
    /// Rows with their connections.
    pub joined: Joined<'t>,
    /// First record time.
    pub start: Option<Timestamp>,
    /// Last record time.
    pub end: Option<Timestamp>,
}

impl<'t> Incident<'t> {
    /// Settles the names of `totals`.
    pub fn of(totals: &'t Totals) -> Self {
        let names = Names::of(totals);
        let mut calls: Vec<Call<'t>> = totals
            .groups
            .iter()
            .map(|(key, group)| call(key, group, &names))
            .collect();
        let mut hops: Vec<Hop<'t>> = totals
            .hops
            .iter()
            .map(|(key, series)| hop(key, series, &names))
            .collect();
        hops::settle(&mut calls, &mut hops, totals.hops.is_truncated());
        let records = totals.inputs.values();
        let start = records
            .clone()
            .filter_map(|i| i.first)
            .chain(totals.captures.first)
            .min();
        let end = records.filter_map(|i| i.last).chain(totals.captures.last).max();
        Self {
            joined: Joined::of(totals, &calls, &names),
            totals,
            connections: connections::of(&totals.captures, &calls, &names),
            servers: connections::servers(&totals.captures, &calls, &names),
            calls,
            hops,
            names,
            lines: LineNumbers::of(totals),
            start,
            end,
        }
    }
}

fn hop<'t>(key: &HopKey, series: &'t Series<HopMoment>, names: &Names) -> Hop<'t> {
    let (source, destination) = (names.source_name(&key.source), names.service(&key.destination));
    Hop::new(key.reporter, source, destination.to_owned(), series)
}

fn call<'t>(key: &'t GroupKey, group: &'t Group, names: &Names) -> Call<'t> {
    let destination_pod = match key.reporter {
        Reporter::Destination => Some(key.proxy().to_owned()),
        Reporter::Source => names.pod_at(&key.host).map(str::to_owned),
    };
    Call {
        key,
        group,
        destination: names.called(key).to_owned(),
        source: names.caller(key),
        destination_pod,
        counted: false,
        denied_by_called: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::cells::Moment;
    use proptest::prelude::*;

    proptest! {
        /// Rows fall on more seconds than a series has buckets in some of the cases, so that these are wider.
        #[test]
        fn a_hop_sums_what_lies_between(
            rows in prop::collection::vec((0_i64..900, any::<bool>(), 0_u64..50), 0..700),
            from in -10_i64..910,
            length in -5_i64..300,
        ) {
            let mut series = Series::<HopMoment>::default();
            for (second, good, ms) in &rows {
                let mut moment = HopMoment { requests: 1, failed: u64::from(!good), ..HopMoment::default() };
                if *good {
                    moment.good = Moment { count: 1, duration_sum_ms: *ms, ..Moment::default() };
                }
                series.add(*second, moment);
            }
            let to = from + length;
            let hop = Hop::new(Reporter::Source, String::new(), String::new(), &series);
            let width_s = series.width_s();
            let mut expected = HopSum::default();
            for (second, good, ms) in &rows {
                let start = second.div_euclid(width_s) * width_s;
                if start <= to && start + width_s > from {
                    expected.requests += 1;
                    expected.failed += u64::from(!good);
                    expected.good += u64::from(*good);
                    expected.good_duration_sum_ms += if *good { *ms } else { 0 };
                }
            }
            prop_assert_eq!(hop.between(from, to), expected);
            prop_assert_eq!(hop.between(i64::MIN, i64::MAX).requests, rows.len() as u64);
        }
    }
}
