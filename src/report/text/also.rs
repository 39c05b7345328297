//! The findings after the first.

use super::evidence::cited;
use super::lead;
use super::number::decimal;
use super::page::{Page, Role};
use super::verdict::impact;
use super::wrap::wrap;
use crate::report::model::{Finding, Report, Severity};

/// Findings listed; the rest is counted.
const LISTED: usize = 12;
/// Where titles start.
const COLUMN: usize = 15;

/// What else was found, in the order of rank.
pub(super) fn also_found(report: &Report, page: &mut Page) {
    let skip = usize::from(lead(report).is_some());
    let others = report.findings.get(skip..).unwrap_or_default();
    if others.is_empty() {
        return;
    }
    page.heading(if skip == 1 { "ALSO FOUND" } else { "FOUND" }, "");
    for finding in others.iter().take(LISTED) {
        one(report, finding, page);
    }
    if others.len() > LISTED {
        let more = format!("… {} more in the JSON report", others.len() - LISTED);
        page.wrapped(2, Role::Faint, &more);
    }
}

fn one(report: &Report, finding: &Finding, page: &mut Page) {
    let (role, severity) = match finding.severity {
        Severity::Critical => (Role::Critical, "CRITICAL"),
        Severity::Warning => (Role::Warning, "WARNING"),
        Severity::Info => (Role::Plain, "info"),
    };
    let room = page.width().saturating_sub(COLUMN + 6);
    for (i, part) in wrap(&page.shown(&finding.title), room).iter().enumerate() {
        let mut line = page.line();
        if i == 0 {
            let rank = format!("{:>3} ", finding.rank);
            line = line
                .plain(&rank)
                .pad_to(5)
                .push(role, severity)
                .pad_to(COLUMN)
                .plain(part);
            page.put(line.right(Role::Faint, &decimal(finding.confidence, 2), page.width()));
        } else {
            page.put(line.pad_to(COLUMN).plain(part));
        }
    }
    let of = |id: &String| {
        report
            .findings
            .iter()
            .find(|other| &other.id == id)
            .map(|other| other.rank)
    };
    if let Some(rank) = finding.consequence_of.as_ref().and_then(of) {
        page.wrapped(COLUMN, Role::Faint, &format!("follows from finding {rank}"));
    }
    if finding.severity == Severity::Info {
        return;
    }
    if finding.impact.failed > 0 || finding.impact.added_latency_ms.is_some() {
        page.wrapped(COLUMN, Role::Plain, &impact(&finding.impact, &report.requests));
    }
    if let Some(first) = finding.evidence.first() {
        page.wrapped(COLUMN, Role::Plain, &first.text);
        cited(report, first, COLUMN, page);
    }
}
