//! What was read, what was not, and every bound that was reached.

use super::clock::Clock;
use super::failed::tally;
use super::next::list_missing;
use super::number::{bytes, counted, group, per_cent, share, span};
use super::packets;
use super::page::{Page, Role};
use super::place::{name_of, place};
use super::table::{Cell, Column, Set, Table};
use super::verdict::read;
use super::wrap::cut_end;
use crate::report::model::{AccessLogFormat, Counts, Input, InputProblem, Limit, Report, Run};

/// Inputs with something to say that are listed; the rest is counted.
const LISTED: usize = 20;
/// Problems and samples listed of one input.
const PROBLEMS: usize = 3;
/// Where lists start.
const COLUMN: usize = 4;

/// The last section: inputs, limits, and the run.
pub(super) fn inputs(report: &Report, page: &mut Page) {
    page.heading("INPUTS", &summary(&report.inputs));
    formats(&report.inputs, page);
    for format in report.access_log_formats.iter().take(FORMATS) {
        let text = format_text(&report.inputs, format);
        page.labelled((Role::Plain, "custom"), 11, Role::Plain, &text);
    }
    listed(&report.inputs, page);
    limits(&report.limits, page);
    if report.privacy.secrets_masked > 0 {
        page.blank();
        page.wrapped(0, Role::Faint, &masked_text(report.privacy.secrets_masked));
    }
    if report.privacy.pseudonyms {
        page.blank();
        page.wrapped(0, Role::Faint, PSEUDONYMS_TEXT);
    }
    if let Some(run) = &report.run {
        page.blank();
        page.wrapped(0, Role::Faint, &run_text(run));
    }
}

/// Formats of the mesh's own that are shown.
pub(in crate::report) const FORMATS: usize = 4;
/// Columns of each.
const FORMAT_COLUMNS: usize = 240;

/// What format the mesh's own is, and who says so.
pub(in crate::report) fn format_text(inputs: &[Input], format: &AccessLogFormat) -> String {
    let words: Vec<&str> = format.format.split_whitespace().collect();
    let said_by = match format.refs.first() {
        Some(first) => format!("as {} says", place(inputs, first)),
        None => "as typed".to_owned(),
    };
    format!("{said_by}: {}", cut_end(&words.join(" "), FORMAT_COLUMNS, "…"))
}

/// That names are not real ones.
pub(in crate::report) const PSEUDONYMS_TEXT: &str =
    "Names and addresses are pseudonyms, made with a key that their user has.";

/// That values are not shown, and how to see them.
pub(in crate::report) fn masked_text(count: u64) -> String {
    format!(
        "{} shown as [secret]; --show-secrets shows them as they are",
        counted(count, "value")
    )
}

fn summary(inputs: &[Input]) -> String {
    let count = |test: fn(&Input) -> bool| inputs.iter().filter(|input| test(input)).count();
    let unopened = count(|input| !input.opened);
    let damaged = count(|input| input.opened && !input.problems.is_empty());
    let mut parts = vec![format!("{} read whole", inputs.len() - unopened - damaged)];
    if damaged > 0 {
        parts.push(format!("{damaged} in part"));
    }
    if unopened > 0 {
        parts.push(format!("{unopened} not opened"));
    }
    parts.join(", ")
}

/// Inputs by layout or kind, and records by kind; the most frequent first.
fn formats(inputs: &[Input], page: &mut Page) {
    let mut formats = Counts::new();
    let mut kinds = Counts::new();
    for input in inputs.iter().filter(|input| input.opened) {
        *formats
            .entry(input.format.as_ref().unwrap_or(&input.kind).clone())
            .or_default() += 1;
        for (kind, count) in &input.records_by_kind {
            let sum = kinds.entry(kind.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    tally("formats", &formats, 11, page);
    tally("records", &kinds, 11, page);
    let assumed = inputs
        .iter()
        .filter(|input| input.opened && input.time.source == "assumed")
        .count();
    if assumed > 0 {
        let text = format!("{assumed} state no time zone: {} assumed", zone(inputs));
        page.labelled((Role::Plain, "times"), 11, Role::Plain, &text);
    }
}

fn zone(inputs: &[Input]) -> &str {
    inputs
        .iter()
        .find(|input| input.time.source == "assumed")
        .map_or("UTC", |input| &input.time.zone)
}

/// Inputs that were not read whole or hold lines that were not understood.
fn listed(inputs: &[Input], page: &mut Page) {
    let odd: Vec<_> = inputs
        .iter()
        .filter(|i| !i.problems.is_empty() || i.rejected > 0 || !i.opened)
        .collect();
    for input in odd.iter().take(LISTED) {
        one(input, page);
    }
    if odd.len() > LISTED {
        let more = odd.len() - LISTED;
        page.wrapped(
            2,
            Role::Faint,
            &format!("… {more} more with problems or rejected lines"),
        );
    }
}

fn one(input: &Input, page: &mut Page) {
    let mut line = page.line().pad_to(2).plain(&name_of(input));
    if !input.opened {
        line = line.push(Role::Critical, "  not opened");
    }
    page.put(line);
    for problem in input.problems.iter().take(PROBLEMS) {
        page.wrapped(COLUMN, Role::Warning, &problem_text(problem));
    }
    if input.problems.len() > PROBLEMS {
        page.wrapped(
            COLUMN,
            Role::Faint,
            &format!("… {} more problems", input.problems.len() - PROBLEMS),
        );
    }
    if input.rejected > 0 {
        rejected(input, page);
    }
}

fn rejected(input: &Input, page: &mut Page) {
    let all = input.records.saturating_add(input.rejected);
    let count = counted(input.rejected, "line");
    let text = format!(
        "{count} not understood ({} of what it holds)",
        share(input.rejected, all)
    );
    page.wrapped(COLUMN, Role::Plain, &text);
    for sample in input.rejected_samples.iter().take(PROBLEMS) {
        let text = format!("line {}: {}: {}", group(sample.line), sample.why, sample.text);
        let room = page.width().saturating_sub(COLUMN);
        let text = cut_end(&page.shown(&text), room, page.ellipsis());
        let line = page.line().pad_to(COLUMN).push(Role::Faint, &text);
        page.put(line);
    }
}

/// Where and what.
fn problem_text(problem: &InputProblem) -> String {
    let at = match (problem.line, problem.frame) {
        (Some(line), _) => format!("line {}, ", group(line)),
        (None, Some(frame)) => format!("frame {}, ", group(frame)),
        (None, None) => String::new(),
    };
    format!("{at}byte {}: {}", group(problem.offset_bytes), problem.what)
}

fn limits(limits: &[Limit], page: &mut Page) {
    for limit in limits {
        let text = format!(
            "{}: {} kept, {} left out; {}",
            limit.table,
            group(limit.kept),
            group(limit.left_out),
            limit.what
        );
        page.labelled((Role::Warning, "limit"), 9, Role::Plain, &text);
    }
}

fn run_text(run: &Run) -> String {
    let memory = match run.peak_memory_bytes {
        0 => String::new(),
        peak => format!(", {} memory", bytes(peak)),
    };
    let (elapsed, rate) = (span(run.elapsed_ms), bytes(run.bytes_per_s));
    format!("{elapsed}, {rate}/s, {}{memory}", counted(run.threads, "thread"))
}

/// The table of `postmesh inspect`.
pub(super) fn inspect(report: &Report, page: &mut Page) {
    let (inputs, missing, window) = (&report.inputs, &report.missing, &report.window);
    let clock = Clock::new(window);
    let line = page.line().plain(&read(inputs));
    page.put(line);
    if let (Some(start), Some(end)) = (window.start, window.end) {
        page.wrapped(0, Role::Plain, &clock.window(start, end));
    }
    page.blank();
    let mut table = Table::new(vec![
        Column::new("input", Set::Flexible(32)),
        Column::dropped("kind", Set::Left, 3),
        Column::new("format", Set::Left),
        Column::dropped("sure", Set::Right, 5),
        Column::dropped("pod", Set::Flexible(24), 4),
        Column::dropped("first", Set::Left, 6),
        Column::dropped("last", Set::Left, 6),
        Column::new("records", Set::Right),
        Column::new("rejected", Set::Right),
        Column::dropped("size", Set::Right, 2),
        Column::dropped("packed", Set::Left, 7),
        Column::dropped("wrapped", Set::Left, 7),
    ]);
    for input in inputs {
        table.row(row(input, clock));
    }
    table.put(page);
    packets::inspect(report, page);
    for input in inputs
        .iter()
        .filter(|i| !i.problems.is_empty() || i.rejected > 0 || !i.opened)
        .take(LISTED)
    {
        page.blank();
        one(input, page);
    }
    list_missing(&missing.iter().collect::<Vec<_>>(), page);
}

fn row(input: &Input, clock: Clock) -> Vec<Cell> {
    let time = |t| Option::map_or(t, String::new(), |t| clock.time(t));
    let sure = input.format_confidence.map(per_cent);
    let rejected = if input.rejected > 0 {
        Role::Warning
    } else {
        Role::Plain
    };
    vec![
        Cell::plain(name_of(input)),
        Cell::plain(&input.kind),
        Cell::plain(input.format.as_ref().unwrap_or(&input.kind)),
        Cell::plain(sure.unwrap_or_default()),
        Cell::plain(pod(input)),
        Cell::plain(time(input.start)),
        Cell::plain(time(input.end)),
        Cell::plain(group(input.records)),
        Cell(rejected, group(input.rejected)),
        Cell::plain(bytes(input.bytes)),
        Cell::plain(if input.compression == "none" {
            ""
        } else {
            &input.compression
        }),
        Cell::plain(input.wrapper.join("+")),
    ]
}

fn pod(input: &Input) -> String {
    match (&input.namespace, &input.pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        (None, Some(pod)) => pod.clone(),
        (Some(namespace), None) => format!("{namespace}/–"),
        (None, None) => String::new(),
    }
}
