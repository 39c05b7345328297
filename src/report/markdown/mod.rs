//! The report as Markdown, for a ticket or a post-mortem: verdict, findings with citations, figures, what to do.
//!
//! Every text goes through `escape`, so that nothing of a log becomes a heading, a link, an image, HTML or the mention
//! of somebody.

mod escape;
#[cfg(test)]
mod tests;

use super::html::words::{kind, releases, severity, side, size};
use super::model::{Evidence, Finding, Input, Missing, Ref, Report, State};
use super::text::clock::Clock;
use super::text::inputs::{FORMATS, PSEUDONYMS_TEXT, format_text, masked_text};
use super::text::number::{decimal, group, share, short};
use super::text::place;
use super::text::verdict::{impact, only, totals, when, whom};
use escape::{cell, code, code_cell, fenced, prose};
use std::fmt::Write as _;

/// How every report starts.
pub const START: &str = "# postmesh: ";

/// Findings told.
const FINDINGS: usize = 12;
/// Citations of each piece of evidence.
const PLACES: usize = 6;
/// Raw lines of each piece of evidence.
const QUOTED: usize = 2;
/// Characters of a raw line.
const QUOTED_CHARS: usize = 600;
/// Rows of tables.
const ROWS: usize = 20;

/// The report as Markdown, as GitHub, GitLab and Jira's importers read it.
pub fn render(report: &Report) -> String {
    let mut page = Page {
        report,
        clock: Clock::new(&report.window),
        text: String::new(),
    };
    page.verdict();
    page.findings();
    page.steps();
    page.failed();
    page.slow();
    page.missing();
    page.inputs();
    page.text
}

struct Page<'r> {
    report: &'r Report,
    clock: Clock,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, text: &str) {
        let marks = "#".repeat(level);
        self.line(format!("\n{marks} {text}\n"));
    }

    fn verdict(&mut self) {
        let report = self.report;
        self.line(format!("{START}{}\n", prose(&report.verdict.headline)));
        let mut about = vec![format!("{} {}", report.tool.name, report.tool.version)];
        about.extend(size(report));
        if let (Some(start), Some(end)) = (report.window.start, report.window.end) {
            about.push(self.clock.window(start, end));
        }
        about.extend(only(report));
        self.line(format!("{}\n", prose(&about.join(", "))));
        let lead = match report.verdict.state {
            State::CauseFound | State::SymptomsOnly => report.findings.first(),
            State::Healthy | State::NotEnough => None,
        };
        let Some(finding) = lead else {
            self.line(prose(&totals(report)));
            return;
        };
        let label = if report.verdict.state == State::CauseFound {
            "cause"
        } else {
            "suspected"
        };
        for (name, value) in [
            ("severity", severity(finding.severity).to_owned()),
            ("who", whom(&finding.scope)),
            ("when", when(report, finding, self.clock)),
            ("impact", impact(&finding.impact, &report.requests)),
            ("confidence", decimal(finding.confidence, 2)),
        ] {
            if !value.is_empty() {
                self.line(format!("- **{name}**: {}", prose(&value)));
            }
        }
        self.line(format!("- **{label}**: {}", code(&finding.cause)));
    }

    fn findings(&mut self) {
        let findings = &self.report.findings;
        for finding in findings.iter().take(FINDINGS) {
            self.finding(finding);
        }
        self.more(findings.len(), FINDINGS, "findings");
    }

    /// Says what is left out of a list.
    fn more(&mut self, all: usize, shown: usize, what: &str) {
        if let Some(left @ 1..) = all.checked_sub(shown) {
            self.line(format!(
                "\n{left} more {what} are left out here; the report as JSON has them."
            ));
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let title = format!(
            "Finding {}: {} ({})",
            finding.rank,
            prose(&finding.title),
            severity(finding.severity)
        );
        self.heading(2, &title);
        let facts = [
            whom(&finding.scope),
            when(self.report, finding, self.clock),
            impact(&finding.impact, &self.report.requests),
        ];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        self.line(format!(
            "{}; confidence {}, cause {}\n",
            prose(&facts.join("; ")),
            decimal(finding.confidence, 2),
            code(&finding.cause)
        ));
        let of = finding.consequence_of.as_ref();
        if let Some(cause) = of.and_then(|id| self.report.findings.iter().find(|other| other.id == *id)) {
            self.line(format!("It follows from finding {}.\n", cause.rank));
        }
        self.line(prose(&finding.summary));
        if !finding.evidence.is_empty() {
            self.heading(3, "Evidence");
        }
        for piece in &finding.evidence {
            self.evidence(piece);
        }
        if !finding.ruled_out.is_empty() {
            self.heading(3, "Not the cause");
        }
        for out in &finding.ruled_out {
            self.line(format!("- {}: {}", code(&out.cause), prose(&out.because)));
        }
        if !finding.changed_before.is_empty() {
            self.heading(3, "What changed just before (remarks, no proof)");
        }
        for change in &finding.changed_before {
            let at = self.clock.time(change.at);
            self.line(format!("- {at} {}: {}", prose(&change.kind), prose(&change.text)));
            self.places(&change.refs, 0);
        }
        self.next(finding);
        if let Some(missing) = &finding.would_overturn {
            self.heading(3, "What would settle or overturn it");
            self.one_missing(missing);
        }
    }

    fn evidence(&mut self, piece: &Evidence) {
        self.line(format!("- *{}*: {}", kind(piece.kind), prose(&piece.text)));
        self.places(&piece.refs, piece.count);
        let report = self.report;
        let quoted = piece
            .refs
            .iter()
            .filter_map(|reference| quote(report, reference))
            .take(QUOTED);
        let mut lines = String::new();
        for text in quoted {
            let cut: String = text.chars().take(QUOTED_CHARS).collect();
            lines.push_str(&super::escape::escape(&cut, super::escape::Charset::Unicode));
            if cut.len() < text.len() {
                lines.push('…');
            }
            lines.push('\n');
        }
        if !lines.is_empty() {
            self.line(fenced(&lines, "  "));
        }
    }

    fn places(&mut self, refs: &[Ref], count: u64) {
        let shown: Vec<String> = refs
            .iter()
            .take(PLACES)
            .map(|reference| code(&place::place(&self.report.inputs, reference)))
            .collect();
        if shown.is_empty() {
            return;
        }
        let more = u64::try_from(shown.len())
            .ok()
            .and_then(|shown| count.checked_sub(shown))
            .filter(|more| *more > 0)
            .map_or(String::new(), |more| format!(" … {} more", group(more)));
        self.line(format!("  {}{more}", shown.join(", ")));
    }

    fn next(&mut self, finding: &Finding) {
        let next = &finding.next;
        if !next.check.is_empty() {
            self.heading(3, "Check");
            let commands: Vec<&str> = next.check.iter().map(String::as_str).collect();
            self.block(&commands.join("\n"));
        }
        if !next.fix.is_empty() {
            self.heading(3, "Fix");
        }
        for fix in &next.fix {
            let releases = releases(fix).map_or(String::new(), |text| format!(" ({text})"));
            self.line(format!(
                "- **{}**: {}{}",
                prose(&fix.risk),
                prose(&fix.text),
                prose(&releases)
            ));
            for text in [&fix.command, &fix.yaml].into_iter().flatten() {
                let shown = escaped_lines(text);
                self.line(fenced(&shown, "  "));
            }
        }
        if let Some(filter) = &next.filters.wireshark {
            self.line(format!("\nWireshark: {}", code(filter)));
        }
        if !next.notes.is_empty() {
            self.line("");
        }
        for note in &next.notes {
            self.line(format!("- {}", prose(note)));
        }
        if !next.documented_in.is_empty() {
            let places: Vec<String> = next.documented_in.iter().map(|place| prose(place)).collect();
            self.line(format!("\nDocumented in: {}", places.join("; ")));
        }
    }

    fn block(&mut self, text: &str) {
        let shown = escaped_lines(text);
        self.line(fenced(&shown, ""));
    }

    fn steps(&mut self) {
        if self.report.steps.is_empty() {
            return;
        }
        self.heading(2, "The five steps");
        for step in &self.report.steps {
            let mark = match step.evidence.as_str() {
                "none" => "no data",
                other => other,
            };
            let mut line = format!("1. {}: **{}**", prose(&step.step), prose(mark));
            for what in &step.missing {
                // Writing to a String cannot fail.
                let _ = write!(line, "; missing: {}", prose(&what.what));
            }
            self.line(line);
            for looked in &step.looked_at {
                self.line(format!("   - {}: {}", prose(&looked.of), prose(&looked.says)));
            }
        }
    }

    fn failed(&mut self) {
        let rows = &self.report.requests.by_destination;
        if rows.is_empty() {
            return;
        }
        self.heading(2, "What failed");
        self.line("| destination | seen by | requests | failed | share | flags |");
        self.line("|---|---|--:|--:|--:|---|");
        for row in rows.iter().take(ROWS) {
            let mut flags: Vec<(&String, &u64)> = row.flags.iter().collect();
            flags.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let flags: Vec<String> = flags
                .iter()
                .take(6)
                .map(|(flag, count)| format!("{flag} {}", group(**count)))
                .collect();
            self.line(format!(
                "| {} | {} | {} | {} | {} | {} |",
                code_cell(&row.name),
                cell(side(&row.reporter)),
                group(row.requests),
                group(row.failed),
                share(row.failed, row.requests),
                cell(&flags.join(", "))
            ));
        }
        self.more(rows.len(), ROWS, "destinations");
    }

    fn slow(&mut self) {
        let rows: Vec<_> = self
            .report
            .latency
            .iter()
            .filter(|latency| {
                latency.scope.kind == "destination"
                    && latency.metric == "duration"
                    && latency.outcome != "all"
                    && latency.count > 0
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        self.heading(2, "How slow, ms");
        self.line("| destination | seen by | outcome | count | p50 | p90 | p99 | max |");
        self.line("|---|---|---|--:|--:|--:|--:|--:|");
        for latency in rows.iter().take(ROWS) {
            let outcome = if latency.outcome == "ok" {
                "good"
            } else {
                &latency.outcome
            };
            self.line(format!(
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                code_cell(&latency.scope.name),
                cell(side(&latency.reporter)),
                cell(outcome),
                group(latency.count),
                short(latency.p50),
                short(latency.p90),
                short(latency.p99),
                short(latency.max)
            ));
        }
        self.more(rows.len(), ROWS, "rows");
    }

    fn missing(&mut self) {
        if self.report.missing.is_empty() {
            return;
        }
        self.heading(2, "What would have helped");
        for missing in &self.report.missing {
            self.one_missing(missing);
        }
    }

    fn one_missing(&mut self, missing: &Missing) {
        self.line(format!(
            "- {}: {}",
            prose(&missing.what),
            prose(&missing.why_it_matters)
        ));
        if !missing.command.is_empty() {
            let shown = escaped_lines(&missing.command);
            self.line(fenced(&shown, "  "));
        }
    }

    fn inputs(&mut self) {
        let inputs = &self.report.inputs;
        self.heading(2, "Inputs");
        self.line("| input | kind | records | not understood | state |");
        self.line("|---|---|--:|--:|---|");
        for input in inputs.iter().take(ROWS) {
            self.line(format!(
                "| {} | {} | {} | {} | {} |",
                code_cell(&place::name_of(input)),
                cell(&input.kind),
                group(input.records),
                group(input.rejected),
                cell(&state(input))
            ));
        }
        self.more(inputs.len(), ROWS, "inputs");
        for format in self.report.access_log_formats.iter().take(FORMATS) {
            self.line(prose(&format!("custom, {}", format_text(inputs, format))));
        }
        let masked = self.report.privacy.secrets_masked;
        if masked > 0 {
            self.line(prose(&masked_text(masked)));
        }
        if self.report.privacy.pseudonyms {
            self.line(prose(PSEUDONYMS_TEXT));
        }
        let limits = &self.report.limits;
        if !limits.is_empty() {
            self.heading(2, "Limits that were reached");
        }
        for limit in limits.iter().take(ROWS) {
            self.line(format!(
                "- {}: {} left out; {}",
                prose(&limit.table),
                group(limit.left_out),
                prose(&limit.what)
            ));
        }
    }
}

fn state(input: &Input) -> String {
    match input.problems.first() {
        Some(problem) if input.opened => format!("in part: {}", problem.what),
        Some(problem) => problem.what.clone(),
        None if input.opened => "whole".to_owned(),
        None => "not opened".to_owned(),
    }
}

/// Lines, each of them escaped.
fn escaped_lines(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        shown.push_str(&super::escape::escape(line, super::escape::Charset::Unicode));
        shown.push('\n');
    }
    shown
}

/// The text of a cited place, as far as the report holds it.
fn quote<'r>(report: &'r Report, place: &Ref) -> Option<&'r str> {
    report
        .quotes
        .iter()
        .find(|quote| {
            quote.input == place.input
                && quote.line == place.line
                && (place.line.is_some() || quote.frame == place.frame)
        })
        .map(|quote| quote.text.as_str())
}
