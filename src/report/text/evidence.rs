//! What speaks for the finding that leads, and what was ruled out; what was examined where there is no cause.

use super::lead;
use super::page::{Page, Role};
use super::place::places;
use super::wrap::width_of;
use crate::report::model::{Evidence, EvidenceKind, Finding, Report, State};

/// Where evidence text starts.
const COLUMN: usize = 10;

/// Evidence for the finding that leads.
pub(super) fn evidence(report: &Report, page: &mut Page) {
    let said = |finding: &&Finding| !finding.summary.is_empty() || !finding.evidence.is_empty();
    let Some(finding) = lead(report).filter(said) else {
        return;
    };
    page.heading("EVIDENCE", "");
    if finding.summary != report.verdict.headline {
        page.wrapped(2, Role::Plain, &finding.summary);
    }
    for piece in &finding.evidence {
        one(report, piece, page);
    }
}

/// A piece of evidence and its places.
fn one(report: &Report, piece: &Evidence, page: &mut Page) {
    page.labelled((Role::Faint, label(piece.kind)), COLUMN, Role::Plain, &piece.text);
    cited(report, piece, COLUMN, page);
}

/// The places of a piece of evidence, from `column` on.
pub(super) fn cited(report: &Report, piece: &Evidence, column: usize, page: &mut Page) {
    let room = page.width().saturating_sub(column);
    for line in places(page, &report.inputs, &piece.refs, piece.count, room) {
        let line = page.line().pad_to(column).plain(&line);
        page.put(line);
    }
}

fn label(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Log => "log",
        EvidenceKind::Packet => "packet",
        EvidenceKind::Statistic => "figure",
        EvidenceKind::Join => "join",
        EvidenceKind::Absence => "absent",
        EvidenceKind::Config => "config",
    }
}

/// Look-alikes of the first finding and why they fell.
pub(super) fn ruled_out(report: &Report, page: &mut Page) {
    let Some(finding) = lead(report).filter(|finding| !finding.ruled_out.is_empty()) else {
        return;
    };
    page.heading("NOT THE CAUSE", "");
    let widest = finding
        .ruled_out
        .iter()
        .map(|out| width_of(&page.shown(&out.cause)))
        .max()
        .unwrap_or(0);
    let column = (widest + 4).min(page.width() * 2 / 5);
    for out in &finding.ruled_out {
        page.labelled((Role::Plain, &out.cause), column, Role::Plain, &out.because);
    }
}

/// The steps that were taken, where they led to no cause.
pub(super) fn examined(report: &Report, page: &mut Page) {
    if report.steps.is_empty() || report.verdict.state == State::CauseFound {
        return;
    }
    page.heading("EXAMINED", "");
    for step in &report.steps {
        let (role, mark) = match step.evidence.as_str() {
            "clean" => (Role::Good, "clean"),
            "found" => (Role::Warning, "found"),
            _ => (Role::Faint, "no data"),
        };
        let by_packets = step.step == "Sidecar logs" && step.evidence == "clean" && report.requests.rows == 0;
        let text = if by_packets {
            format!(
                "{}: none was read, connections in captures stand for them",
                step.step
            )
        } else {
            step.step.clone()
        };
        page.labelled((role, mark), COLUMN, Role::Plain, &text);
        for looked in &step.looked_at {
            let role = if looked.found { Role::Warning } else { Role::Faint };
            page.wrapped(COLUMN + 2, role, &looked.says);
        }
    }
}
