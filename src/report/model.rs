//! The report document, version `postmesh.report/1`: the names that other programs read.
//!
//! Fields may be added, none renamed or removed; what has nothing to say is present and empty. Times are
//! RFC 3339 UTC, durations end in their unit, shares are 0..1, maps are sorted by key.

pub use crate::diagnose::answer::{EvidenceKind, Fix, Missing, Role, Severity, State, ValidFor};
use crate::units::{InputId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "postmesh.report/1";

/// Counts by name, sorted by name.
pub type Counts = BTreeMap<String, u64>;

/// The whole report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What made the report.
    pub tool: Tool,
    /// Which catalogue was in force.
    pub catalog: CatalogInfo,
    /// Facts of this run alone; left out by `--no-run-info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Span of all timed records.
    pub window: Window,
    /// What was read.
    pub inputs: Vec<Input>,
    /// What would have settled more.
    pub missing: Vec<Missing>,
    /// The answer.
    pub verdict: Verdict,
    /// The five steps of the documented workflow.
    pub steps: Vec<Step>,
    /// Ranked findings.
    pub findings: Vec<Finding>,
    /// Request counts.
    pub requests: Requests,
    /// Latency figures.
    pub latency: Vec<Latency>,
    /// Slowest requests.
    pub slowest: Vec<SlowRequest>,
    /// Signature hits.
    pub signatures: Vec<SignatureHits>,
    /// Counts over time.
    pub timeline: Timeline,
    /// Packet captures; empty until captures are read.
    pub captures: Captures,
    /// Log rows joined to connections.
    pub correlation: Correlation,
    /// Who called whom.
    pub topology: Topology,
    /// Every bound that was reached.
    pub limits: Vec<Limit>,
}

/// Name and version of the program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tool {
    /// `postmesh`.
    pub name: String,
    /// Cargo package version.
    pub version: String,
}

/// The catalogue in force.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CatalogInfo {
    /// Version of the built-in catalogue.
    pub version: String,
    /// Files added by the user, as named.
    pub user_files: Vec<String>,
}

/// Facts of one run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Run {
    /// Worker threads.
    pub threads: u64,
    /// Wall time.
    pub elapsed_ms: u64,
    /// Decompressed bytes by wall time.
    pub bytes_per_s: u64,
    /// Peak resident memory, 0 where the system does not tell.
    pub peak_memory_bytes: u64,
}

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Window {
    /// First.
    pub start: Option<Timestamp>,
    /// Last.
    pub end: Option<Timestamp>,
}

/// One input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Input {
    /// Its number.
    pub id: InputId,
    /// Relative to the argument under which it was found.
    pub path: String,
    /// Path inside an archive.
    pub member: Option<String>,
    /// The kind of the larger part of its records: access-log, envoy-log, ... or unknown.
    pub kind: String,
    /// Records by kind.
    pub records_by_kind: Counts,
    /// Access-log layout of the larger part, or null.
    pub format: Option<String>,
    /// Share of the access rows which that layout read, 0..1; null without access rows.
    pub format_confidence: Option<f64>,
    /// Wrappers peeled, outermost first, of the larger part.
    pub wrapper: Vec<String>,
    /// none, gzip or zstd.
    pub compression: String,
    /// Pod name.
    pub pod: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Container.
    pub container: Option<String>,
    /// Node.
    pub node: Option<String>,
    /// Bytes read, after decompression.
    pub bytes: u64,
    /// Records understood (component messages count once).
    pub records: u64,
    /// Lines not understood.
    pub rejected: u64,
    /// Lines left out by the selection, blank lines, and further lines of messages.
    pub skipped: u64,
    /// First record time.
    pub start: Option<Timestamp>,
    /// Last record time.
    pub end: Option<Timestamp>,
    /// Quality of its times.
    pub time: TimeQuality,
    /// False when nothing of it could be opened (no permission, gone); damage inside it leaves this true.
    pub opened: bool,
    /// Damage.
    pub problems: Vec<InputProblem>,
    /// A few lines that were not understood, escaped as they stand.
    pub rejected_samples: Vec<RejectedSample>,
}

/// A line that was not understood.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RejectedSample {
    /// Line, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
    /// The start of its text.
    pub text: String,
}

/// Quality of the times of an input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimeQuality {
    /// Time zone, `UTC`.
    pub zone: String,
    /// stated, assumed or forced.
    pub source: String,
    /// Resolution of the records' times.
    pub resolution_us: u64,
    /// sorted or mixed.
    pub order: String,
}

/// Damage in an input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InputProblem {
    /// Where, in bytes of the decompressed input.
    pub offset_bytes: u64,
    /// Line, from 1.
    pub line: Option<u64>,
    /// Frame, from 1, in captures.
    pub frame: Option<u64>,
    /// What is wrong and what to do.
    pub what: String,
}

/// The answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// State.
    pub state: State,
    /// True when `state` is healthy.
    pub healthy: bool,
    /// One sentence.
    pub headline: String,
    /// The cause of the first finding, if it is one.
    pub cause: Option<String>,
}

/// One of the five documented steps.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Its name.
    pub step: String,
    /// found, clean or none (nothing was there to examine).
    pub evidence: String,
    /// Ids of findings.
    pub findings: Vec<String>,
    /// What would let the step be taken.
    pub missing: Vec<Missing>,
}

/// One finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// From 1.
    pub rank: u64,
    /// Stable: cause and scope.
    pub id: String,
    /// Cause id.
    pub cause: String,
    /// One line, with the real names.
    pub title: String,
    /// A sentence or two on what happened, with the real names and numbers.
    pub summary: String,
    /// Severity.
    pub severity: Severity,
    /// 0..1.
    pub confidence: f64,
    /// Cause or consequence.
    pub role: Role,
    /// The finding from which it follows.
    pub consequence_of: Option<String>,
    /// Whom it concerns.
    pub scope: Scope,
    /// When it began; null under 20 failures.
    pub onset: Option<Timestamp>,
    /// From the first to the last affected record.
    pub window: Window,
    /// How much.
    pub impact: Impact,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
    /// Look-alikes and why they fell.
    pub ruled_out: Vec<RuledOut>,
    /// The one missing input that would overturn or settle it.
    pub would_overturn: Option<Missing>,
    /// What to do.
    pub next: Next,
}

/// Whom a finding concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Scope {
    /// Calling workload.
    pub source: Option<String>,
    /// Called service; `*` for the whole mesh.
    pub destination: Option<String>,
    /// Envoy cluster.
    pub cluster: Option<String>,
    /// Pods.
    pub pods: Vec<String>,
    /// Nodes.
    pub nodes: Vec<String>,
}

/// How much a finding hurt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Impact {
    /// Requests in scope and window.
    pub requests: u64,
    /// Of these, failed (or denied).
    pub failed: u64,
    /// failed / requests.
    pub share: f64,
    /// Added latency of the good ones, null when not measured.
    pub added_latency_ms: Option<f64>,
}

/// A piece of evidence.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Evidence {
    /// Kind.
    pub kind: EvidenceKind,
    /// What it says.
    pub text: String,
    /// How many records say it.
    pub count: u64,
    /// 0..1.
    pub strength: f64,
    /// Places, first ones first.
    pub refs: Vec<Ref>,
}

/// A place in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Ref {
    /// Input id.
    pub input: InputId,
    /// Line, from 1.
    pub line: Option<u64>,
    /// Frame, from 1.
    pub frame: Option<u64>,
    /// Bytes from the start of the decompressed input.
    pub offset_bytes: Option<u64>,
}

/// A look-alike that was ruled out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RuledOut {
    /// Cause id.
    pub cause: String,
    /// Why.
    pub because: String,
}

/// What to do.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Next {
    /// Commands that check.
    pub check: Vec<String>,
    /// Fixes.
    pub fix: Vec<Fix>,
    /// Ready filters for other tools.
    pub filters: Filters,
    /// Remarks, warnings about documented fixes among them.
    pub notes: Vec<String>,
    /// Where it is documented.
    pub documented_in: Vec<String>,
}

/// Ready filters for other tools.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Filters {
    /// Wireshark display filter.
    pub wireshark: Option<String>,
}

/// Request counts. `total`, `failed`, `denied`, `canceled` count the HTTP rows of one reporter per hop;
/// `by_code`, `by_flag`, `by_detail` count all rows as they stand in the files.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Requests {
    /// Requests.
    pub total: u64,
    /// Failed ones.
    pub failed: u64,
    /// Denied by a proxy (401, 403, 429).
    pub denied: u64,
    /// Canceled by the caller.
    pub canceled: u64,
    /// By reporter.
    pub by_reporter: BTreeMap<String, ReporterCounts>,
    /// By status code, all rows.
    pub by_code: Counts,
    /// By class (2xx, ...), all rows.
    pub by_class: Counts,
    /// By response flag, all rows; every flag of a row counts.
    pub by_flag: Counts,
    /// By response code details, all rows.
    pub by_detail: Counts,
    /// By protocol, all rows.
    pub by_protocol: Counts,
    /// Rows of TCP connections.
    pub tcp_connections: u64,
    /// All access-log rows read.
    pub rows: u64,
    /// Attempts per request.
    pub retries: Retries,
    /// By destination.
    pub by_destination: Vec<Breakdown>,
    /// By route.
    pub by_route: Vec<Breakdown>,
    /// By source.
    pub by_source: Vec<Breakdown>,
}

/// Counts of one reporter.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReporterCounts {
    /// Requests.
    pub total: u64,
    /// Failed ones.
    pub failed: u64,
    /// Denied ones.
    pub denied: u64,
    /// Canceled ones.
    pub canceled: u64,
    /// Rows of TCP connections.
    pub tcp_connections: u64,
}

/// Attempts per request: rows per (request id, proxy, cluster).
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Retries {
    /// Requests with more than one attempt.
    pub requests_with_retry: u64,
    /// Attempts of the requests that were followed.
    pub attempts: u64,
    /// attempts / requests followed, 1 without retries, 0 when none was followed.
    pub amplification: f64,
    /// Requests that were followed by their id.
    pub requests_followed: u64,
    /// True when only a sample by hash could be followed.
    pub truncated: bool,
}

/// Figures of one destination, route or source.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Breakdown {
    /// Name.
    pub name: String,
    /// source or destination.
    pub reporter: String,
    /// Requests.
    pub requests: u64,
    /// Failed ones.
    pub failed: u64,
    /// Denied ones.
    pub denied: u64,
    /// Canceled ones.
    pub canceled: u64,
    /// By response flag.
    pub flags: Counts,
    /// Duration of the good ones, or null without any.
    pub latency: Option<Latency>,
}

/// Whom a latency figure is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct LatencyScope {
    /// all, destination, route, source, flag or code.
    pub kind: String,
    /// Name in that kind; empty for all.
    pub name: String,
}

/// A latency figure.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Latency {
    /// Whom it is about.
    pub scope: LatencyScope,
    /// source or destination.
    pub reporter: String,
    /// duration, upstream or overhead.
    pub metric: String,
    /// all, ok or failed.
    pub outcome: String,
    /// Always `ms`; the members below are in it.
    pub unit: String,
    /// Samples.
    pub count: u64,
    /// Least.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Greatest.
    pub max: f64,
    /// Resolution of the source.
    pub resolution_ms: f64,
    /// Cumulative-free buckets: samples at most `le` and above the bucket before.
    pub histogram: Vec<HistogramBucket>,
}

/// A bucket of a histogram.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct HistogramBucket {
    /// Upper bound, inclusive, in the parent's unit.
    pub le: f64,
    /// Samples in it.
    pub count: u64,
}

/// A slow request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SlowRequest {
    /// Duration.
    pub duration_ms: u64,
    /// Upstream service time.
    pub upstream_ms: Option<u64>,
    /// When it began.
    pub start: Option<Timestamp>,
    /// Destination.
    pub destination: String,
    /// source or destination.
    pub reporter: String,
    /// Method and path without query, escaped and cut.
    pub request: String,
    /// Status code.
    pub code: u16,
    /// Flags.
    pub flags: String,
    /// Place.
    #[serde(rename = "ref")]
    pub place: Ref,
}

/// Hits of one signature.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SignatureHits {
    /// Signature id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Cause to which it points.
    pub cause: Option<String>,
    /// Where it stands: access-log, envoy, pilot-agent, ...
    pub source: String,
    /// critical, warning or info.
    pub severity: String,
    /// Lines.
    pub count: u64,
    /// First.
    pub first: Option<Timestamp>,
    /// Last.
    pub last: Option<Timestamp>,
    /// Lines by input.
    pub inputs: Counts,
    /// First places with their text.
    pub examples: Vec<Example>,
}

/// A line with its text.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Example {
    /// Input.
    pub input: InputId,
    /// Line, from 1.
    pub line: u64,
    /// Its text, cut.
    pub text: String,
}

/// Counts over time.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Timeline {
    /// Width of a bucket.
    pub bucket_s: u64,
    /// Buckets that hold anything, in order.
    pub buckets: Vec<TimeBucket>,
    /// Change points.
    pub change_points: Vec<ChangePoint>,
    /// Events.
    pub events: Vec<Event>,
    /// Silent spans.
    pub gaps: Vec<Gap>,
}

/// One bucket of time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimeBucket {
    /// Its start.
    pub start: Timestamp,
    /// Requests that completed in it.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, denied by a proxy.
    pub denied: u64,
    /// Median duration of the good ones.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the good ones.
    pub p99_ms: Option<f64>,
    /// By flag.
    pub flags: Counts,
    /// By signature.
    pub signatures: Counts,
    /// Resets (captures).
    pub resets: u64,
    /// Retransmissions (captures).
    pub retransmissions: u64,
}

/// A change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChangePoint {
    /// When.
    pub at: Timestamp,
    /// Of what.
    pub metric: String,
    /// For whom.
    pub scope: String,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Kind.
    pub kind: String,
    /// Text.
    pub text: String,
    /// Place.
    #[serde(rename = "ref")]
    pub place: Option<Ref>,
}

/// A silent span.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gap {
    /// Input.
    pub input: InputId,
    /// From.
    pub start: Timestamp,
    /// To.
    pub end: Timestamp,
}

/// Packet captures. Present and empty until captures are read.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Captures {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Cut by snaplen.
    pub truncated_packets: u64,
    /// Drops that the capture reports.
    pub dropped_reported: u64,
    /// Seen twice.
    pub duplicates: u64,
    /// By link type.
    pub link_types: Counts,
    /// Streams by transport.
    pub streams: CaptureStreams,
    /// TCP figures.
    pub tcp: Counts,
    /// TLS figures.
    pub tls: Counts,
    /// HTTP figures.
    pub http: Counts,
    /// DNS figures.
    pub dns: Counts,
    /// ICMP figures.
    pub icmp: Counts,
    /// Streams by hop.
    pub hops: Counts,
}

/// Streams by transport.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureStreams {
    /// TCP.
    pub tcp: u64,
    /// UDP.
    pub udp: u64,
    /// Other.
    pub other: u64,
}

/// Log rows joined to connections. Present and empty until captures are read.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Correlation {
    /// Joined.
    pub joined_requests: u64,
    /// That could have been.
    pub joinable_requests: u64,
    /// Reasons for what did not join.
    pub unjoined_because: Counts,
    /// Rows of both sides of one request.
    pub paired_proxies: PairedProxies,
    /// Where the time went.
    pub time_spent_ms: BTreeMap<String, Quantiles>,
    /// Examples.
    pub examples: Vec<JoinExample>,
}

/// Rows of both sides of one request.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct PairedProxies {
    /// Joined.
    pub joined: u64,
    /// Of.
    pub of: u64,
}

/// Quantiles.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest.
    pub max: f64,
}

/// A row with its stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct JoinExample {
    /// The row.
    pub request: Ref,
    /// The stream.
    pub stream: Ref,
    /// What happened.
    pub story: String,
}

/// Who called whom.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Topology {
    /// Workloads and services.
    pub nodes: Vec<TopologyNode>,
    /// Calls.
    pub edges: Vec<TopologyEdge>,
}

/// A workload or service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TopologyNode {
    /// Name.
    pub name: String,
    /// workload, service, external or address.
    pub kind: String,
}

/// Calls from one to another.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TopologyEdge {
    /// Caller.
    pub source: String,
    /// Called.
    pub destination: String,
    /// Requests.
    pub requests: u64,
    /// Failed.
    pub failed: u64,
    /// 99th percentile of the duration of the good ones, or null.
    pub p99_ms: Option<f64>,
}

/// A bound that was reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Limit {
    /// Which table.
    pub table: String,
    /// Its bound.
    pub limit: u64,
    /// Keys kept.
    pub kept: u64,
    /// Keys, rows or hits left out, as `what` says.
    pub left_out: u64,
    /// What was left out and where it is counted instead.
    pub what: String,
}
