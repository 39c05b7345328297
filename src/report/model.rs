//! The report document, version `postmesh.report/1`: the names that other programs read.
//!
//! Fields may be added, none renamed or removed; what has nothing to say is present and empty. Times are
//! RFC 3339 UTC, durations end in their unit, shares are 0..1, maps are sorted by key.

pub use crate::diagnose::answer::{EvidenceKind, Fix, Missing, Role, Severity, State, Unit, ValidFor};
use crate::follow::trace::Trace;
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
    /// Formats of the mesh's own by which access rows were read, beside those that are known.
    pub access_log_formats: Vec<AccessLogFormat>,
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
    /// Packet captures; empty where none was read.
    pub captures: Captures,
    /// TCP connections in order of their first packet; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<Stream>>,
    /// Log rows joined to connections.
    pub correlation: Correlation,
    /// Who called whom.
    pub topology: Topology,
    /// Every bound that was reached.
    pub limits: Vec<Limit>,
    /// What was changed in texts before they were written.
    pub privacy: Privacy,
    /// Which rows were looked at.
    pub selection: Selection,
    /// Rows by fields that were asked for; only what `postmesh top` writes has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Top>,
    /// Texts of places that are cited. Not part of the document, which holds places alone: filled for renderers that open
    /// what is cited.
    #[serde(skip)]
    pub quotes: Vec<Quote>,
    /// Single requests and connections, step by step. Not part of the document: filled for renderers that draw them.
    #[serde(skip)]
    pub ladders: Vec<Ladder>,
    /// Requests over time. Not part of the document: filled for renderers in which a window is chosen.
    #[serde(skip)]
    pub over_time: OverTime,
}

/// Requests over time, to be summed over any window.
#[derive(Clone, Debug, Default)]
pub struct OverTime {
    /// Of each entry of `requests.by_destination`, in its order; empty where nobody asked.
    pub by_destination: Vec<Vec<WindowMoment>>,
    /// Of each entry of `topology.edges`, in its order: requests and failures alone.
    pub edges: Vec<Vec<WindowMoment>>,
    /// Of each entry of `correlation.by_destination`, in its order.
    pub spent: Vec<Vec<SpentMoment>>,
}

/// Where the time of requests went that ended in one bucket of the time line.
#[derive(Clone, Debug, Default)]
pub struct SpentMoment {
    /// Start of the bucket in seconds since the epoch.
    pub start_s: i64,
    /// By part, as in [`DestinationSpent::time_spent_ms`]: requests of which it is known, and the sum of their times in
    /// microseconds.
    pub parts: BTreeMap<&'static str, (u64, u64)>,
}

/// Requests in one bucket of the time line.
#[derive(Clone, Debug, Default)]
pub struct WindowMoment {
    /// Start of the bucket in seconds since the epoch.
    pub start_s: i64,
    /// Requests.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, denied.
    pub denied: u64,
    /// Of these, canceled.
    pub canceled: u64,
    /// Rows by flag.
    pub flags: Counts,
    /// Good requests by doubling of their duration, as in [`Latency::histogram`].
    pub ok: Vec<HistogramBucket>,
    /// Failed ones, likewise.
    pub failed_durations: Vec<HistogramBucket>,
}

/// A request or a connection behind a finding, followed through the inputs.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Rank of the finding; none for what belongs to none.
    pub finding: Option<u64>,
    /// What it is of: `One of these`, `The slowest request`.
    pub of: String,
    /// Its steps.
    pub trace: Trace,
}

/// What was changed in texts before they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Privacy {
    /// Values masked as `[secret]`, in the texts of this report.
    pub secrets_masked: u64,
    /// True where names and addresses are pseudonyms.
    pub pseudonyms: bool,
}

/// Which access rows were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Selection {
    /// What rows had to meet, as it was typed; null for all.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// Access rows that did not.
    pub rows_left_out: u64,
    /// True if the run was interrupted, and the report is of what had been read by then.
    pub interrupted: bool,
}

/// Rows grouped by fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Top {
    /// The fields.
    pub fields: Vec<String>,
    /// All rows.
    pub rows: u64,
    /// The groups, the largest first.
    pub groups: Vec<TopGroup>,
    /// Rows whose groups were too many to keep.
    pub rows_in_no_group: u64,
}

/// Rows with the same values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct TopGroup {
    /// The values, in the order of the fields; `-` where rows have none.
    pub values: Vec<String>,
    /// Whose rows: source or destination.
    pub reporter: String,
    /// Rows.
    pub rows: u64,
    /// Their share of all rows of this reporter.
    pub share: f64,
    /// Rows that failed.
    pub failed: u64,
    /// Their share of the group.
    pub failed_share: f64,
    /// Rows denied by a proxy.
    pub denied: u64,
    /// Rows canceled by the caller.
    pub canceled: u64,
    /// Durations of all of them, failed ones too.
    pub duration_ms: Spread,
}

/// How durations spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spread {
    /// Samples.
    pub count: u64,
    /// Least.
    pub min: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Greatest.
    pub max: u64,
}

/// A cited line or frame as it stands in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Input.
    pub input: InputId,
    /// Line, from 1.
    pub line: Option<u64>,
    /// Frame, from 1.
    pub frame: Option<u64>,
    /// The line, or what the frame says. As it stands: to be escaped.
    pub text: String,
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
    /// What wrote it: istiod, ztunnel, cni, waypoint, gateway, sidecar or application; null where that is not known.
    pub role: Option<String>,
    /// Bytes read, after decompression.
    pub bytes: u64,
    /// Records understood (component messages count once).
    pub records: u64,
    /// Lines not understood.
    pub rejected: u64,
    /// Lines left out by the selection or since they stand in another input too, blank lines, and further lines of messages.
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
    /// What an application wrote, where this is the log of one; else null.
    pub application: Option<Application>,
}

/// Lines of an application's own log. They support what is found, and accuse nobody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Application {
    /// Lines, further lines of messages left out.
    pub lines: u64,
    /// Lines that speak of an error.
    pub errors: u64,
    /// Time of the first of these, where lines are dated.
    pub first: Option<Timestamp>,
    /// Time of the last of these.
    pub last: Option<Timestamp>,
    /// The first of these.
    pub examples: Vec<Example>,
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
    /// Resolution of the records' times; 0 where it is below a microsecond.
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
    /// What was looked at, in the reference's order of logs: control plane, sidecar, application.
    pub looked_at: Vec<LookedAt>,
}

/// Something that was looked at for a step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LookedAt {
    /// control plane, sidecar, network or application.
    pub of: String,
    /// What was read, and what it says.
    pub says: String,
    /// True if it shows by itself that something is wrong.
    pub found: bool,
    /// Places.
    pub refs: Vec<Ref>,
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
    /// What changed in the inputs shortly before it began, in order of time: remarks, no proof.
    pub changed_before: Vec<Change>,
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
    /// What was counted: without rows, connections or packets stand for requests.
    pub unit: Unit,
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

/// A format string by which access rows were read, those of the format `custom`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccessLogFormat {
    /// As it was typed or configured.
    pub format: String,
    /// Where a configuration among the inputs gives it; empty if only who ran postmesh did.
    pub refs: Vec<Ref>,
}

/// Something that changed shortly before a finding began.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What sort: `configuration`, `started`, `new-host`, ...
    pub kind: String,
    /// What changed.
    pub text: String,
    /// Where.
    pub refs: Vec<Ref>,
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
    /// Of these, given up by the caller.
    pub canceled: u64,
    /// TCP connections that ended in it, a row of each reporter each.
    pub tcp_connections: u64,
    /// Of these, failed.
    pub failed_tcp_connections: u64,
    /// Median duration of the good ones.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the good ones.
    pub p99_ms: Option<f64>,
    /// Good requests by duration: those up to `le` milliseconds and above the bound before it, which doubles.
    pub latency: Vec<HistogramBucket>,
    /// By flag.
    pub flags: Counts,
    /// By signature.
    pub signatures: Counts,
    /// TCP connections that began in it (captures).
    pub connections: u64,
    /// TCP connections that showed in it that they went wrong (captures).
    pub failed_connections: u64,
    /// Packets with RST (captures).
    pub resets: u64,
    /// Segments sent again, of any sort (captures).
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
    /// push, restart, rotation, configuration, scale, control-plane, error or other.
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

/// Packet captures; empty where none was read. Sums are over all captures: a connection that was captured at both
/// its ends is two of them.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Captures {
    /// Packets.
    pub packets: u64,
    /// Bytes of the packets on the wire.
    pub bytes: u64,
    /// Packets cut by the snaplen.
    pub truncated_packets: u64,
    /// Packets that the captures say they dropped.
    pub dropped_reported: u64,
    /// Packets of TCP connections seen before on another interface, left out of the analysis of loss.
    pub duplicates: u64,
    /// Packets by link type.
    pub link_types: Counts,
    /// Connections and flows by transport.
    pub streams: CaptureStreams,
    /// TCP.
    pub tcp: CaptureTcp,
    /// TLS, as far as it is in clear.
    pub tls: CaptureTls,
    /// HTTP in clear.
    pub http: CaptureHttp,
    /// DNS.
    pub dns: CaptureDns,
    /// ICMP messages by type and code.
    pub icmp: Counts,
    /// TCP connections by hop: app-to-proxy, proxy-to-app, proxy-to-proxy, control-plane, hbone, probe, other.
    pub hops: Counts,
    /// Where packets were captured.
    pub points: Vec<CapturePoint>,
    /// By server and capture point: the most connections first, at most 256.
    pub servers: Vec<CaptureServer>,
    /// What went wrong, by kind, server and capture point: the most telling first, at most 200.
    pub troubles: Vec<CaptureTrouble>,
    /// What the captures do not show.
    pub honesty: CaptureHonesty,
}

/// A place where packets were captured: the files of a rotated set are of one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CapturePoint {
    /// Its number.
    pub point: u64,
    /// Inputs of it, in their order.
    pub inputs: Vec<InputId>,
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Earliest packet.
    pub start: Option<Timestamp>,
    /// Latest packet.
    pub end: Option<Timestamp>,
}

/// Streams by transport.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureStreams {
    /// TCP connections.
    pub tcp: u64,
    /// UDP flows.
    pub udp: u64,
    /// Flows of other protocols over IP.
    pub other: u64,
    /// True if UDP or other flows are estimated.
    pub truncated: bool,
}

/// Times; all zero without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Times {
    /// Samples.
    pub count: u64,
    /// Least.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest.
    pub max: f64,
}

/// TCP of all captures.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureTcp {
    /// Connections with SYN, SYN-ACK and what completed the handshake.
    pub handshakes: u64,
    /// Connections that went wrong: not opened, reset or closed with something under way, or at odds over TLS.
    pub failed: u64,
    /// Connections whose SYN was answered by RST.
    pub refused: u64,
    /// Connections whose SYN was answered by an ICMP error.
    pub rejected: u64,
    /// Connections whose SYNs had no answer.
    pub unanswered_syn: u64,
    /// Packets with RST.
    pub resets: u64,
    /// Connections reset after the handshake and before any payload.
    pub resets_before_data: u64,
    /// Segments sent again, without the two sorts below.
    pub retransmissions: u64,
    /// Segments sent again after duplicate acknowledgments.
    pub fast_retransmissions: u64,
    /// Segments sent again although acknowledged before.
    pub spurious_retransmissions: u64,
    /// Segments out of order.
    pub out_of_order: u64,
    /// Acknowledgments that only repeat the last one.
    pub duplicate_acks: u64,
    /// Packets that offer a window of 0 (without SYN, FIN and RST).
    pub zero_windows: u64,
    /// Time in which a window was 0, in all connections together.
    pub zero_window_ms: f64,
    /// Gaps before a segment.
    pub lost_segments: u64,
    /// Connections with SYN and SYN-ACK and nothing further from the client.
    pub half_open: u64,
    /// Connections that began before the capture.
    pub midstream: u64,
    /// Keep-alive probes.
    pub keep_alives: u64,
    /// Connections on ports that an earlier one had.
    pub reused_ports: u64,
    /// Connections by how they began: established, refused, rejected, unanswered, half-open, midstream.
    pub openings: Counts,
    /// Connections by how they ended: open, fin, fin-then-reset, reset-before-data, reset-mid-exchange, reset-idle,
    /// not-opened.
    pub closes: Counts,
    /// From the last SYN to the ACK that completed the handshake, as seen where it was captured.
    pub handshake_rtt_us: Times,
}

/// TLS of all captures, as far as it is in clear.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureTls {
    /// Connections with TLS.
    pub connections: u64,
    /// Of these, with data in both directions.
    pub established: u64,
    /// Sessions that were resumed, as far as can be seen.
    pub resumed: u64,
    /// Client hellos.
    pub client_hellos: u64,
    /// Server hellos.
    pub server_hellos: u64,
    /// Alerts in clear.
    pub alerts: Vec<CaptureAlert>,
    /// Records that are surely encrypted alerts (TLS 1.2).
    pub encrypted_alerts: u64,
    /// Connections by version chosen.
    pub versions: Counts,
    /// Connections by server name asked for.
    pub sni: Counts,
    /// Connections by protocol chosen, where it is visible (TLS 1.2).
    pub alpn: Counts,
    /// Connections by protocol offered.
    pub alpn_offered: Counts,
    /// Certificates in clear (TLS 1.2), each once.
    pub certificates: Vec<CaptureCertificate>,
    /// Times of handshakes.
    pub handshake_ms: Times,
    /// True if a bound left some names, alerts or certificates out.
    pub truncated: bool,
}

/// TLS alerts of one sort, in clear.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureAlert {
    /// warning, fatal, or its number.
    pub level: String,
    /// Number of the description.
    pub code: u64,
    /// Name of the description, RFC 8446 section 6.
    pub description: String,
    /// client or server: who sent it.
    pub by: String,
    /// Alerts.
    pub count: u64,
    /// First places.
    pub refs: Vec<Ref>,
}

/// A certificate in clear.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureCertificate {
    /// Subject, RFC 4514.
    pub subject: String,
    /// Subject alternative names.
    pub san: Vec<String>,
    /// Not valid before: RFC 3339, null for a date that has no such form.
    pub not_before: Option<String>,
    /// Not valid after.
    pub not_after: Option<String>,
    /// Issuer.
    pub issuer: String,
    /// True if it was its sender's own, false for those that vouch for it.
    pub leaf: bool,
    /// client or server: who sent it.
    pub by: String,
    /// Times it was sent.
    pub count: u64,
    /// First places.
    pub refs: Vec<Ref>,
}

/// HTTP in clear of all captures.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureHttp {
    /// Connections with HTTP.
    pub connections: u64,
    /// Requests.
    pub requests: u64,
    /// Requests without an answer when their connection ended.
    pub unanswered: u64,
    /// Answers by status.
    pub responses_by_code: Counts,
    /// Answers by gRPC status.
    pub grpc_by_status: Counts,
    /// Requests by method.
    pub methods: Counts,
    /// `RST_STREAM` by error code.
    pub rst_stream: Counts,
    /// GOAWAY by error code.
    pub goaway: Counts,
    /// From the request to the first byte of its answer.
    pub response_time_ms: Times,
}

/// DNS of all captures.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureDns {
    /// Questions; one that is sent again counts again.
    pub queries: u64,
    /// Questions sent again before an answer.
    pub retries: u64,
    /// Questions without an answer in the captures.
    pub unanswered: u64,
    /// Answers by response code: NOERROR, NXDOMAIN, SERVFAIL, ...
    pub responses_by_rcode: Counts,
    /// Answers that were cut.
    pub truncated_answers: u64,
    /// Names asked for in vain, the most frequent first.
    pub failed_names: Vec<CaptureFailedName>,
    /// From the question to its answer.
    pub response_time_ms: Times,
    /// True if a bound left some failed names out.
    pub truncated: bool,
}

/// A name that was asked for in vain.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureFailedName {
    /// The name.
    pub name: String,
    /// Response code, null without an answer.
    pub rcode: Option<String>,
    /// Questions.
    pub count: u64,
    /// Times they were sent again.
    pub retries: u64,
    /// Who asked, at most 8.
    pub clients: Vec<String>,
    /// Who was asked, at most 8.
    pub servers: Vec<String>,
    /// First.
    pub first: Option<Timestamp>,
    /// Last.
    pub last: Option<Timestamp>,
    /// First places.
    pub refs: Vec<Ref>,
}

/// Connections to one server, as one capture point sees them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureServer {
    /// Capture point.
    pub point: u64,
    /// Address and port.
    pub server: String,
    /// What it is called, or null.
    pub name: Option<String>,
    /// Hop of most connections to it.
    pub hop: String,
    /// Connections.
    pub connections: u64,
    /// Connections that went wrong.
    pub failed: u64,
    /// Segments sent again in either direction, of any sort.
    pub retransmissions: u64,
    /// From the last SYN to the ACK that completed the handshake.
    pub handshake_rtt_us: Times,
    /// Times of TLS handshakes.
    pub tls_handshake_ms: Times,
    /// From the request to the first byte of its answer.
    pub response_time_ms: Times,
}

/// Connections that went wrong in one way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureTrouble {
    /// refused, rejected, unanswered, half-open, plaintext-to-tls, tls-to-plaintext, tls-alert,
    /// encrypted-alert-then-close, keepalive-race, reset-mid-exchange, reset-before-data, closed-without-answer,
    /// zero-window, loss or server-errors.
    pub kind: String,
    /// In words, with who did it.
    pub text: String,
    /// client or server: whose packets show it, where it is one of them.
    pub by: Option<String>,
    /// Who spoke what, where it may explain the trouble; empty where connections differ.
    pub spoken: String,
    /// Capture point.
    pub point: u64,
    /// Address and port of the server.
    pub server: String,
    /// What it is called, or null.
    pub name: Option<String>,
    /// Hop of most connections to it.
    pub hop: String,
    /// Addresses of clients, with what they are called; at most 8.
    pub clients: Vec<CaptureClient>,
    /// Clients, the ones that are not listed among them.
    pub client_count: u64,
    /// Connections.
    pub connections: u64,
    /// Connections to that server.
    pub of: u64,
    /// First time.
    pub first: Option<Timestamp>,
    /// Last time.
    pub last: Option<Timestamp>,
    /// Segments with payload that the side sent again, in kind loss.
    pub retransmissions: u64,
    /// Segments with payload of that side.
    pub segments: u64,
    /// Time in which windows of that side were 0, in all connections together, in kind zero-window.
    pub zero_window_ms: f64,
    /// The longest of one connection.
    pub longest_zero_window_ms: f64,
    /// Answers with status 500 or more, in kind server-errors.
    pub server_errors: u64,
    /// First places.
    pub refs: Vec<Ref>,
}

/// A client of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct CaptureClient {
    /// Address.
    pub address: String,
    /// What it is called, or null.
    pub name: Option<String>,
}

/// What the captures do not show; figures that depend on it are to be read with care.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CaptureHonesty {
    /// Connections of which one side's packets are missing.
    pub one_sided_streams: u64,
    /// Packets cut by the snaplen.
    pub cut_packets: u64,
    /// Packets that the captures say they dropped; null where none says anything.
    pub reported_drops: Option<u64>,
    /// Acknowledgments of data that is not in the capture: lost by the capture, not by the network.
    pub acked_unseen: u64,
    /// Bytes of connections that are missing for good.
    pub missing_bytes: u64,
    /// Connections that a limit cut short.
    pub truncated_streams: u64,
    /// Connections with TLS 1.3, which hides certificates and, after the hellos, alerts.
    pub tls_1_3_streams: u64,
}

/// One TCP connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a capture, each named"
)]
pub struct Stream {
    /// Input of its first packet.
    pub input: InputId,
    /// Capture point.
    pub point: u64,
    /// Address and port of the client.
    pub client: String,
    /// Address and port of the server.
    pub server: String,
    /// What the client is called, or null.
    pub client_name: Option<String>,
    /// What the server is called, or null.
    pub server_name: Option<String>,
    /// True if a SYN or SYN-ACK tells who is who.
    pub roles_seen: bool,
    /// First packet.
    pub first_frame: u64,
    /// Last packet.
    pub last_frame: u64,
    /// Time of the first packet.
    pub start: Option<Timestamp>,
    /// Time of the last packet.
    pub end: Option<Timestamp>,
    /// Packets.
    pub packets: u64,
    /// Bytes of their frames on the wire.
    pub bytes: u64,
    /// Packets with SYN and without ACK.
    pub syn: u64,
    /// Packets with SYN and ACK.
    pub syn_ack: u64,
    /// Packets with RST.
    pub rst: u64,
    /// Packets with FIN.
    pub fin: u64,
    /// From the last SYN to the ACK that completed the handshake.
    pub handshake_rtt_us: Option<f64>,
    /// Segments sent again, without the two sorts below.
    pub retransmissions: u64,
    /// Sent again after duplicate acknowledgments.
    pub fast_retransmissions: u64,
    /// Sent again although acknowledged before.
    pub spurious_retransmissions: u64,
    /// Segments out of order.
    pub out_of_order: u64,
    /// Acknowledgments that only repeat the last one.
    pub duplicate_acks: u64,
    /// Packets that offer a window of 0.
    pub zero_windows: u64,
    /// Hop.
    pub hop: String,
    /// How it went, as in `captures.troubles[].kind`; good or midstream where nothing went wrong.
    pub outcome: String,
    /// How it began: established, refused, rejected, unanswered, half-open, midstream.
    pub opening: String,
    /// How it ended.
    pub close: StreamClose,
    /// TLS, or null.
    pub tls: Option<StreamTls>,
    /// HTTP in clear, or null.
    pub http: Option<StreamHttp>,
    /// What the client sent.
    pub client_sent: StreamSide,
    /// What the server sent.
    pub server_sent: StreamSide,
    /// ICMP error that quotes it, or null.
    pub icmp_error: Option<String>,
    /// Longest silence.
    pub longest_idle_ms: f64,
    /// Packets seen before on another interface.
    pub duplicates: u64,
    /// Packets cut by the snaplen.
    pub cut_packets: u64,
    /// True if one side's packets are missing.
    pub one_sided: bool,
    /// True if an earlier connection had its ports.
    pub reused_ports: bool,
    /// True if a limit cut it short.
    pub truncated: bool,
}

/// How a connection ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamClose {
    /// open, fin, fin-then-reset, reset-before-data, reset-mid-exchange, reset-idle or not-opened.
    pub kind: String,
    /// client or server: whose FIN or RST came first.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// Where.
    pub frame: Option<u64>,
    /// Silence before it.
    pub idle_before_ms: Option<f64>,
}

/// TLS of one connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamTls {
    /// Version chosen, else null.
    pub version: Option<String>,
    /// Server name asked for.
    pub sni: Option<String>,
    /// Protocol chosen, where it is visible (TLS 1.2).
    pub alpn: Option<String>,
    /// Protocols offered.
    pub alpn_offered: Vec<String>,
    /// The most telling alert in clear, or null.
    pub alert: Option<StreamAlert>,
    /// Cipher suite by its IANA name, or as four hexadecimal digits.
    pub cipher_suite: Option<String>,
    /// True if the session was resumed, as far as can be seen.
    pub resumed: bool,
    /// True if data went both ways.
    pub established: bool,
    /// Time of the handshake.
    pub handshake_ms: Option<f64>,
}

/// A TLS alert of one connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamAlert {
    /// warning, fatal, or its number.
    pub level: String,
    /// Number of the description.
    pub code: u64,
    /// Its name.
    pub description: String,
    /// client or server.
    pub by: String,
    /// Where.
    pub frame: u64,
}

/// HTTP in clear of one connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamHttp {
    /// Requests.
    pub requests: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Answers by status.
    pub responses_by_code: Counts,
    /// Answers by gRPC status.
    pub grpc_by_status: Counts,
    /// Host of the first request.
    pub host: Option<String>,
    /// User agent of the first request.
    pub user_agent: Option<String>,
}

/// What one side of a connection sent.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct StreamSide {
    /// Packets.
    pub packets: u64,
    /// Bytes of their frames on the wire.
    pub frame_bytes: u64,
    /// Payload bytes on the wire, as sent.
    pub payload_bytes: u64,
    /// Packets with payload.
    pub data_packets: u64,
    /// Packets with SYN and without ACK.
    pub syn: u64,
    /// Packets with SYN and ACK.
    pub syn_ack: u64,
    /// Packets with FIN.
    pub fin: u64,
    /// Packets with RST and without ACK.
    pub rst: u64,
    /// Packets with RST and ACK.
    pub rst_ack: u64,
    /// Packets that offer a window of 0.
    pub zero_window_packets: u64,
    /// Time in which it offered a window of 0.
    pub zero_window_ms: f64,
    /// Segments sent again, without the two sorts below.
    pub retransmissions: u64,
    /// Sent again after duplicate acknowledgments.
    pub fast_retransmissions: u64,
    /// Sent again although acknowledged before.
    pub spurious_retransmissions: u64,
    /// Segments with payload sent again, of the first two sorts.
    pub data_sent_again: u64,
    /// Segments that the other side says it got twice (D-SACK).
    pub got_twice: u64,
    /// Segments out of order.
    pub out_of_order: u64,
    /// Acknowledgments that only repeat the last one.
    pub duplicate_acks: u64,
    /// Gaps before a segment of this side.
    pub lost_segments: u64,
    /// Acknowledgments by this side of data that is not in the capture.
    pub acked_unseen: u64,
    /// Keep-alive probes.
    pub keep_alives: u64,
    /// Answers to keep-alive probes.
    pub keep_alive_acks: u64,
    /// Probes of a zero window.
    pub zero_window_probes: u64,
    /// Segments that filled the other side's window.
    pub window_full: u64,
    /// Acknowledgments that only open the window.
    pub window_updates: u64,
    /// Bytes missing from the capture for good.
    pub missing_bytes: u64,
}

/// Log rows joined to connections, and to each other.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Correlation {
    /// HTTP rows of which a connection was found.
    pub joined_requests: u64,
    /// HTTP rows whose connection a capture could have shown: taken there, at that time.
    pub joinable_requests: u64,
    /// Reasons for what did not join; those of rows that could not be joined are among them.
    pub unjoined_because: Counts,
    /// Rows of TCP connections of which a connection was found.
    pub joined_connections: u64,
    /// How exactly the requests of joined rows are known on their connections: `request-id`, `order`, `multiplexed`,
    /// `unseen`; `set` where the row does not name the local port and the attempts of that time are known.
    pub told_by: Counts,
    /// Rows of both sides of one request.
    pub paired_proxies: PairedProxies,
    /// How the clocks of proxies and captures differ.
    pub clock: Vec<ClockOffset>,
    /// Where the time of requests went, by part: `connect`, `tls`, `request_sent`, `waiting`, `response_received`,
    /// `retries`, `proxy`; of `waiting` also `network` and `application` where both sides are known.
    pub time_spent_ms: BTreeMap<String, Quantiles>,
    /// Requests by what tells where their time went: `packets`, `packets-at-the-other-end`, `rows`.
    pub time_spent_from: Counts,
    /// The same by destination, most time first.
    pub by_destination: Vec<DestinationSpent>,
    /// Examples.
    pub examples: Vec<JoinExample>,
    /// True where rows or connections were left out: the counts are of a sample.
    pub truncated: bool,
}

/// How one clock differs from another.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClockOffset {
    /// An input with times of the one.
    pub input_a: InputId,
    /// An input with times of the other.
    pub input_b: InputId,
    /// What the other shows more, in microseconds: the middle of the bounds.
    pub offset_us: f64,
    /// Half the distance of the bounds.
    pub spread_us: f64,
    /// Lower bound.
    pub low_us: f64,
    /// Upper bound.
    pub high_us: f64,
    /// Records that bound it.
    pub anchors: u64,
}

/// Where the time of requests to one destination went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DestinationSpent {
    /// Destination.
    pub name: String,
    /// Whose rows these are: `source` or `destination`.
    pub reporter: String,
    /// Requests.
    pub requests: u64,
    /// By what tells it.
    pub from: Counts,
    /// By part.
    pub time_spent_ms: BTreeMap<String, Quantiles>,
}

/// Rows of both sides of one request.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct PairedProxies {
    /// Callers' rows whose called proxy's row was found.
    pub joined: u64,
    /// Callers' rows whose called proxy wrote a log at that time.
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
    /// The stream: its first frame stands in `first_frame` as well.
    pub stream: StreamRef,
    /// How exactly the request is known on it, as in `told_by`.
    pub told_by: String,
    /// Where its time went, by part.
    pub time_spent_ms: BTreeMap<String, f64>,
    /// What happened.
    pub story: String,
}

/// A connection in a capture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StreamRef {
    /// Input id.
    pub input: InputId,
    /// Its first frame.
    pub first_frame: u64,
    /// The client.
    pub client: String,
    /// The server.
    pub server: String,
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
