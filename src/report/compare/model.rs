//! The document of a comparison, version `postmesh.diff/1`: the names that other programs read.
//!
//! As in the report: fields may be added, none renamed or removed, and what has nothing to say is present and empty.

use crate::report::model::Tool;
use schemars::JsonSchema;
use serde::Serialize;

/// The value of [`Diff::schema`].
pub const SCHEMA: &str = "postmesh.diff/1";

/// What is new, gone, more, less, slower or faster between two reports.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Diff {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What made the comparison.
    pub tool: Tool,
    /// The baseline.
    pub before: Side,
    /// What is compared with it.
    pub after: Side,
    /// In one word.
    pub outcome: Outcome,
    /// Comparisons that were made: all bounds hold together with `confidence`.
    pub comparisons: u64,
    /// 0..1.
    pub confidence: f64,
    /// Below so many requests, rows or connections on a side nothing is called a change.
    pub requests_min: u64,
    /// What changed: findings first, then by direction, then by impact.
    pub changes: Vec<Change>,
    /// Names that have too few on a side to be compared; at most 100 are listed.
    pub too_few: Vec<TooFew>,
    /// How many there are of them in all.
    pub too_few_count: u64,
}

/// One of the two.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Side {
    /// How it was named: a path, a file, a span.
    pub label: String,
    /// First record, RFC 3339 in UTC.
    pub start: Option<String>,
    /// Last record.
    pub end: Option<String>,
    /// Access-log rows.
    pub rows: u64,
    /// Requests, of one reporter for each hop.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// TCP connections in captures.
    pub connections: u64,
    /// healthy, cause-found, symptoms-only or not-enough.
    pub state: String,
    /// Its verdict.
    pub headline: String,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something became worse, whatever else became better.
    Worse,
    /// Something became better and nothing worse.
    Better,
    /// Something changed, and nothing tells whether for better or worse.
    Different,
    /// Nothing changed beyond chance and floors.
    NoChange,
    /// There is too little on a side to compare.
    TooLittle,
}

/// For better or worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More failures, slower, a new finding.
    Worse,
    /// The opposite.
    Better,
    /// Neither.
    Neutral,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Only after.
    New,
    /// Only before.
    Gone,
    /// On both sides, and more.
    More,
    /// On both sides, and less.
    Less,
    /// Latency that grew.
    Slower,
    /// Latency that fell.
    Faster,
}

/// What sort of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A finding.
    Finding,
    /// All requests.
    All,
    /// A called service.
    Destination,
    /// A route.
    Route,
    /// A caller.
    Source,
    /// A response flag.
    Flag,
    /// Response code details.
    Detail,
    /// A status code.
    Code,
    /// An error text of the catalogue.
    Signature,
    /// How connections of captures went.
    Connections,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Being there: findings, and names of which a side has none.
    Presence,
    /// Failed requests of all.
    FailedShare,
    /// Requests denied by a proxy, of all.
    DeniedShare,
    /// Requests canceled by the caller, of all.
    CanceledShare,
    /// Durations of good requests.
    Latency,
    /// Rows with it, of all rows.
    RowShare,
    /// Hits by 1,000 rows, or by second where a side has no rows.
    Rate,
    /// Connections that went so, of all to that server.
    ConnectionShare,
}

/// A value between its bounds; a bound that is not known, or infinite, is null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bounds {
    /// The estimate; null where it is infinite.
    pub value: Option<f64>,
    /// Least.
    pub low: Option<f64>,
    /// Greatest.
    pub high: Option<f64>,
}

/// One side of a change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Measure {
    /// Share (0..1) or rate; of latency the mean in ms.
    pub value: f64,
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

/// A quantile of a latency on both sides, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QuantileChange {
    /// 0.5, 0.9, 0.99.
    pub quantile: f64,
    /// Before.
    pub before_ms: Bounds,
    /// After.
    pub after_ms: Bounds,
    /// After less before.
    pub difference_ms: f64,
    /// After by before; null where that was 0.
    pub ratio: Option<f64>,
}

/// The share of requests that took longer than a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ShareOver {
    /// The limit.
    pub limit_ms: f64,
    /// Before, 0..1.
    pub before: f64,
    /// After, 0..1.
    pub after: f64,
    /// After less before.
    pub difference: Bounds,
}

/// A change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// From 1.
    pub rank: u64,
    /// What sort of thing.
    pub kind: Kind,
    /// Its name; of a finding its title.
    pub name: String,
    /// Id of a finding or signature, else empty.
    pub id: String,
    /// source or destination where it is counted by reporter.
    pub reporter: Option<String>,
    /// What was measured.
    pub metric: Metric,
    /// What happened.
    pub status: Status,
    /// For better or worse.
    pub direction: Direction,
    /// critical, warning or info, of findings and signatures.
    pub severity: Option<String>,
    /// Before; null where it was not there.
    pub before: Option<Measure>,
    /// After.
    pub after: Option<Measure>,
    /// After less before: of shares 0..1.
    pub difference: Option<Bounds>,
    /// After by before.
    pub ratio: Option<Bounds>,
    /// Of latency: the quantiles.
    pub quantiles: Vec<QuantileChange>,
    /// Of latency: probability that a request of after took longer than one of before, ties by half.
    pub slower_probability: Option<Bounds>,
    /// Of latency: the limit beyond which the share of requests changed most for sure.
    pub share_over: Option<ShareOver>,
    /// About how many requests, rows or connections it concerns; decides the order.
    pub impact: f64,
}

/// Something with too few on a side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct TooFew {
    /// What sort of thing.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// source or destination.
    pub reporter: Option<String>,
    /// Requests, rows or connections before.
    pub before: u64,
    /// And after.
    pub after: u64,
}
