//! What a diagnosis says, before it is put into the report's words.

use crate::decode::packet::FrameRef;
use crate::diagnose::answer::{EvidenceKind, Fix, Missing, Role, Severity, State, Unit};
use crate::units::{Place, Timestamp};

/// A piece of evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Its kind.
    pub kind: EvidenceKind,
    /// What it says.
    pub text: String,
    /// How many records say it.
    pub count: u64,
    /// 0..1.
    pub strength: f64,
    /// Where, first places first.
    pub places: Vec<Place>,
    /// Where in captures, first frames first.
    pub frames: Vec<FrameRef>,
}

/// A look-alike that was ruled out.
#[derive(Clone, Debug)]
pub struct RuledOut {
    /// Its id.
    pub cause: String,
    /// Why.
    pub because: String,
}

/// Whom a finding concerns.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Calling workload.
    pub source: Option<String>,
    /// Called service, `*` for many.
    pub destination: Option<String>,
    /// Envoy cluster.
    pub cluster: Option<String>,
    /// Pods that were called.
    pub pods: Vec<String>,
}

/// Something that changed shortly before a finding began: a remark, no proof.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What sort of change.
    pub kind: String,
    /// What it says.
    pub text: String,
    /// Where, if a line tells it.
    pub places: Vec<Place>,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Stable id: cause and scope.
    pub id: String,
    /// Cause.
    pub cause: String,
    /// One line.
    pub title: String,
    /// What happened.
    pub summary: String,
    /// How bad.
    pub severity: Severity,
    /// 0..1.
    pub confidence: f64,
    /// Cause or consequence.
    pub role: Role,
    /// Id of the finding from which it follows.
    pub consequence_of: Option<String>,
    /// The documented step that would show it, from 1.
    pub step: u8,
    /// Whom it concerns.
    pub scope: Scope,
    /// When it began.
    pub onset: Option<Timestamp>,
    /// First affected record.
    pub start: Option<Timestamp>,
    /// Last affected record, or the end of the data.
    pub end: Option<Timestamp>,
    /// Requests in scope and window.
    pub requests: u64,
    /// What these are, where not requests.
    pub unit: Unit,
    /// Of these, failed or denied.
    pub failed: u64,
    /// Added latency, where that is the fault.
    pub added_latency_ms: Option<f64>,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
    /// What was ruled out.
    pub ruled_out: Vec<RuledOut>,
    /// What changed shortly before it began.
    pub changed_before: Vec<Change>,
    /// What would overturn it.
    pub would_overturn: Option<Missing>,
    /// Commands that check.
    pub checks: Vec<String>,
    /// Fixes.
    pub fixes: Vec<Fix>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Wireshark display filter.
    pub wireshark: Option<String>,
    /// Where it is documented.
    pub documented_in: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// State.
    pub state: State,
    /// One sentence.
    pub headline: String,
    /// Ranked findings.
    pub findings: Vec<Finding>,
    /// What would have settled more.
    pub missing: Vec<Missing>,
    /// What happened, in order of time.
    pub events: Vec<Happening>,
    /// Events that are not told: too many of their kind.
    pub events_left_out: u64,
}

/// Something that a line or an event of Kubernetes tells of.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// push, restart, rotation, configuration, scale, control-plane, error or other.
    pub kind: String,
    /// What.
    pub text: String,
    /// Where it is told, as far as the place is kept.
    pub place: Option<Place>,
}
