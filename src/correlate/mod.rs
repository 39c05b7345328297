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
use crate::aggregate::series::Series;
use crate::aggregate::totals::{Group, HopKey, HopMoment};
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
    /// Calling workload, or its address where nothing names it.
    pub source: String,
    /// Called service, `host:port`.
    pub destination: String,
    /// True if the rows count as requests.
    pub counted: bool,
    /// The rows.
    pub series: &'t Series<HopMoment>,
}

impl Hop<'_> {
    /// The rows that completed in the seconds `from..=to`; where the buckets of its series are wider than a
    /// second, those of all buckets that reach into it.
    pub fn between(&self, from: i64, to: i64) -> HopMoment {
        let mut sum = HopMoment::default();
        for moment in self.series.reaching_into(from, to) {
            sum.merge(*moment);
        }
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
        hops::settle(&mut calls, &mut hops);
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
    Hop {
        reporter: key.reporter,
        source: names.source_name(&key.source),
        destination: names.service(&key.destination).to_owned(),
        counted: false,
        series,
    }
}

fn call<'t>(key: &'t GroupKey, group: &'t Group, names: &Names) -> Call<'t> {
    let destination_pod = match key.reporter {
        Reporter::Destination => Some(key.proxy.clone()),
        Reporter::Source => names.pod_at(&key.host).map(str::to_owned),
    };
    Call {
        key,
        group,
        destination: names.service(&key.destination).to_owned(),
        source: names.caller(key),
        destination_pod,
        counted: false,
        denied_by_called: false,
    }
}
