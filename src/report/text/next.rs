//! What to do now, and what would have settled more.

use super::lead;
use super::page::{Page, Role};
use super::wrap::wrap_command;
use crate::report::model::{Fix, Missing, Next, Report, State, ValidFor};

/// Where text starts.
const COLUMN: usize = 13;
/// Lines of a manifest that are printed.
const MANIFEST_LINES: usize = 24;
/// Missing inputs listed; the rest is counted.
const MISSING: usize = 8;

/// Checks, fixes with their risk, and remarks of the first finding.
pub(super) fn what_now(report: &Report, page: &mut Page) {
    let Some(finding) = lead(report) else { return };
    let next = &finding.next;
    if next.check.is_empty() && next.fix.is_empty() && next.notes.is_empty() {
        return;
    }
    let doubt = if report.verdict.state == State::CauseFound {
        ""
    } else {
        "check first: the cause is not proven"
    };
    page.heading("WHAT NOW", doubt);
    for check in &next.check {
        command("check", check, page);
    }
    for one in &next.fix {
        fix(one, page);
    }
    remarks(next, page);
}

fn command(label: &str, text: &str, page: &mut Page) {
    let parts = wrap_command(&page.shown(text), page.width().saturating_sub(COLUMN));
    page.labelled_lines((Role::Faint, label), COLUMN, Role::Plain, &parts);
}

fn fix(fix: &Fix, page: &mut Page) {
    let (role, risk) = match fix.risk.as_str() {
        "safe" => (Role::Good, "safe: "),
        "disruptive" => (Role::Warning, "DISRUPTIVE: "),
        "security" => (Role::Critical, "SECURITY RISK: "),
        "data-loss" => (Role::Critical, "DATA LOSS: "),
        _ => (Role::Plain, ""),
    };
    let text = format!("{risk}{}{}", fix.text, valid_for(&fix.valid_for));
    let room = page.width().saturating_sub(COLUMN);
    for (i, part) in super::wrap::wrap(&page.shown(&text), room).iter().enumerate() {
        let line = page.line();
        let mark = risk.trim_end();
        page.put(match part.strip_prefix(mark).filter(|_| i == 0) {
            Some(rest) => line
                .pad_to(2)
                .push(Role::Faint, "fix")
                .pad_to(COLUMN)
                .push(role, mark)
                .plain(rest),
            None if i == 0 => line.pad_to(2).push(Role::Faint, "fix").pad_to(COLUMN).plain(part),
            None => line.pad_to(COLUMN).plain(part),
        });
    }
    if let Some(text) = &fix.command {
        command("", text, page);
    }
    if let Some(text) = &fix.yaml {
        manifest(text, page);
    }
}

fn valid_for(releases: &ValidFor) -> String {
    match (&releases.from, &releases.to) {
        (Some(from), Some(to)) => format!(" (Istio {from} – {to})"),
        (Some(from), None) => format!(" (Istio {from} and later)"),
        (None, Some(to)) => format!(" (Istio up to {to})"),
        (None, None) => String::new(),
    }
}

/// A manifest is neither wrapped nor cut: its layout is its meaning, and it is there to be pasted.
fn manifest(yaml: &str, page: &mut Page) {
    for text in yaml.lines().take(MANIFEST_LINES) {
        let line = page.line().pad_to(COLUMN).push(Role::Faint, text);
        page.put_whole(line);
    }
    let more = yaml.lines().count().saturating_sub(MANIFEST_LINES);
    if more > 0 {
        page.wrapped(
            COLUMN,
            Role::Faint,
            &format!("… {more} more lines in the JSON report"),
        );
    }
}

fn remarks(next: &Next, page: &mut Page) {
    for note in &next.notes {
        page.labelled((Role::Warning, "careful"), COLUMN, Role::Plain, note);
    }
    if let Some(filter) = &next.filters.wireshark {
        page.labelled((Role::Faint, "wireshark"), COLUMN, Role::Plain, filter);
    }
    if !next.documented_in.is_empty() {
        page.labelled(
            (Role::Faint, "see"),
            COLUMN,
            Role::Faint,
            &next.documented_in.join("; "),
        );
    }
}

/// What was not there and would have helped, with the command that gets it.
pub(super) fn missing(report: &Report, page: &mut Page) {
    let finding = lead(report).and_then(|finding| finding.would_overturn.as_ref());
    let mut wanted: Vec<&Missing> = finding.into_iter().collect();
    let of_steps = report.steps.iter().flat_map(|step| &step.missing);
    for missing in report.missing.iter().chain(of_steps) {
        if !wanted.contains(&missing) {
            wanted.push(missing);
        }
    }
    list_missing(&wanted, page);
}

/// The list under its heading.
pub(super) fn list_missing(wanted: &[&Missing], page: &mut Page) {
    if wanted.is_empty() {
        return;
    }
    page.heading("WHAT WOULD SETTLE MORE", "");
    for missing in wanted.iter().take(MISSING) {
        let text = if missing.why_it_matters.is_empty() {
            missing.what.clone()
        } else {
            format!("{}: {}", missing.what, missing.why_it_matters)
        };
        page.labelled((Role::Plain, "-"), 4, Role::Plain, &text);
        if !missing.command.is_empty() {
            let parts = wrap_command(&page.shown(&missing.command), page.width().saturating_sub(4));
            page.labelled_lines((Role::Plain, ""), 4, Role::Strong, &parts);
        }
    }
    if wanted.len() > MISSING {
        page.wrapped(
            4,
            Role::Faint,
            &format!("… {} more in the JSON report", wanted.len() - MISSING),
        );
    }
}
