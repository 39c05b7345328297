//! Words for what the model has as values, for HTML and Markdown.

use crate::report::model::{EvidenceKind, Fix, Input, Report, Severity};
use crate::report::text::number::{bytes, counted};

/// The word for a severity.
pub(in crate::report) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// The word for a kind of evidence.
pub(in crate::report) fn kind(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Log => "log",
        EvidenceKind::Packet => "packet",
        EvidenceKind::Statistic => "figure",
        EvidenceKind::Join => "join",
        EvidenceKind::Absence => "absent",
        EvidenceKind::Config => "config",
    }
}

/// `1.20 to 1.24`, `from 1.20`, or nothing.
pub(in crate::report) fn releases(fix: &Fix) -> Option<String> {
    match (&fix.valid_for.from, &fix.valid_for.to) {
        (Some(from), Some(to)) => Some(format!("Istio {from} to {to}")),
        (Some(from), None) => Some(format!("Istio {from} and later")),
        (None, Some(to)) => Some(format!("Istio up to {to}")),
        (None, None) => None,
    }
}

/// `caller` or `called`: whose proxy reports.
pub(in crate::report) fn side(reporter: &str) -> &str {
    match reporter {
        "source" => "caller",
        "destination" => "called",
        other => other,
    }
}

/// How much was read, in parts of a sentence.
pub(in crate::report) fn size(report: &Report) -> Vec<String> {
    let sum = |of: fn(&Input) -> u64| report.inputs.iter().map(of).fold(0_u64, u64::saturating_add);
    let count = u64::try_from(report.inputs.len()).unwrap_or(u64::MAX);
    let mut parts = vec![
        counted(count, "input"),
        bytes(sum(|input| input.bytes)),
        counted(sum(|input| input.records), "record"),
    ];
    if report.captures.packets > 0 {
        parts.push(counted(report.captures.packets, "packet"));
    }
    parts
}
