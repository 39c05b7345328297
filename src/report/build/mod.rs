//! Totals, names and findings to the report document.

mod bug_report;
mod captures;
mod correlation;
mod figures;
mod findings;
mod inputs;
mod over_time;
mod requests;
mod steps;
mod timeline;
mod top;

use super::model::{CatalogInfo, Limit, Missing, Report, SCHEMA, Tool, Verdict, Window};
use crate::aggregate::Merge;
use crate::aggregate::bounded::{Bounded, Key};
use crate::aggregate::hops::{Hops, MAX_HOPS};
use crate::aggregate::sampled::Sampled;
use crate::aggregate::totals::Figures;
use crate::catalog::Catalog;
use crate::correlate::Incident;
use crate::decode::log::Layouts;
use crate::decode::packet::CaptureSummary;
use crate::diagnose::Diagnosis;
use crate::error::Problem;
use crate::input::{Compression, ReadSummary, Source, SourceKind, Unreadable};
use crate::query::{Condition, Field};
use crate::report::model::{Privacy, Selection, State};
use crate::streams::CapturePoint;
use crate::units::InputId;

/// What became of one source.
#[derive(Clone, Debug)]
pub struct InputRead {
    /// What it is, if it could be opened.
    pub kind: Option<SourceKind>,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// What was read of it.
    pub summary: Option<ReadSummary>,
    /// Why it could not be opened.
    pub failure: Option<String>,
    /// What was read of it, if it is a capture.
    pub capture: Option<CaptureRead>,
    /// True if the selection left it out whole.
    pub left_out: bool,
}

/// A capture that was read.
#[derive(Clone, Debug)]
pub struct CaptureRead {
    /// Where it was captured: the files of a rotated set have one.
    pub point: CapturePoint,
    /// What it says of itself.
    pub summary: CaptureSummary,
}

impl InputRead {
    /// A source that could not be opened.
    pub fn failed(why: String) -> Self {
        Self {
            kind: None,
            compression: None,
            summary: None,
            failure: Some(why),
            capture: None,
            left_out: false,
        }
    }

    /// A capture that is the copy of another.
    pub fn copy(input: InputId, what: String) -> Self {
        Self {
            kind: Some(SourceKind::Capture),
            compression: None,
            summary: Some(ReadSummary {
                problems: vec![Problem {
                    input,
                    offset_bytes: 0,
                    line: None,
                    what,
                }],
                ..ReadSummary::default()
            }),
            failure: None,
            capture: None,
            left_out: false,
        }
    }

    /// A source that the selection leaves out.
    pub fn left_out() -> Self {
        Self {
            kind: None,
            compression: None,
            summary: None,
            failure: None,
            capture: None,
            left_out: true,
        }
    }

    /// True unless it could not be opened.
    pub fn opened(&self) -> bool {
        self.failure.is_none()
    }
}

/// Everything that a report is made from.
#[derive(Debug)]
pub struct Assembly<'a> {
    /// The incident.
    pub incident: &'a Incident<'a>,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// All sources.
    pub sources: &'a [Source],
    /// Paths that are no sources.
    pub unreadable: &'a [Unreadable],
    /// What became of each source.
    pub reads: &'a [InputRead],
    /// The findings.
    pub diagnosis: Diagnosis,
    /// What rows had to meet.
    pub condition: Option<&'a Condition>,
    /// Fields of the table that was asked for.
    pub top: &'a [Field],
    /// Layouts of the user's own.
    pub layouts: &'a Layouts,
    /// Fill what renderers need in which a window is chosen.
    pub over_time: bool,
    /// True if reading was stopped before the end.
    pub interrupted: bool,
}

/// Makes the report.
pub fn assemble(assembly: Assembly<'_>) -> Report {
    let Assembly {
        incident,
        catalog,
        sources,
        unreadable,
        reads,
        diagnosis,
        condition,
        top,
        layouts,
        over_time,
        interrupted,
    } = assembly;
    let inputs = inputs::inputs(incident, sources, unreadable, reads);
    let mut missing = diagnosis.missing.clone();
    missing.extend(inputs::unread_kinds(sources, reads));
    missing.extend(bug_report::missing(sources));
    missing.sort();
    missing.dedup();
    let findings = findings::findings(incident, &diagnosis.findings);
    let window = Window {
        start: incident.start,
        end: incident.end,
    };
    let captures = captures::captures(incident, sources, reads);
    let (requests, latency) = (requests::requests(incident), figures::latency(incident));
    let topology = requests::topology(incident);
    let timeline = timeline::timeline(incident, catalog, &diagnosis);
    let correlation = correlation::correlation(incident);
    let over_time =
        over_time.then(|| over_time::over_time(incident, &requests, &topology, &correlation, &timeline));
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "postmesh".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        catalog: CatalogInfo {
            version: catalog.version.clone(),
            user_files: catalog.user_files.clone(),
        },
        run: None,
        window,
        access_log_formats: inputs::formats(incident, layouts),
        inputs,
        missing,
        verdict: Verdict {
            state: diagnosis.state,
            healthy: diagnosis.state == State::Healthy,
            headline: diagnosis.headline.clone(),
            cause: findings.first().map(|f| f.cause.clone()),
        },
        steps: steps::steps(incident, catalog, &diagnosis.findings),
        slowest: requests::slowest(incident),
        signatures: findings::signatures(incident, catalog),
        timeline,
        captures,
        streams: captures::streams(incident),
        correlation,
        topology,
        limits: limits(incident, &diagnosis),
        privacy: Privacy::default(),
        selection: selection(incident, condition, interrupted),
        top: (!top.is_empty()).then(|| top::top(incident, top)),
        quotes: Vec::new(),
        ladders: Vec::new(),
        over_time: over_time.unwrap_or_default(),
        requests,
        latency,
        findings,
    }
}

fn selection(incident: &Incident<'_>, condition: Option<&Condition>, interrupted: bool) -> Selection {
    Selection {
        interrupted,
        condition: condition.map(|condition| condition.text().to_owned()),
        rows_left_out: incident.totals.inputs.values().map(|input| input.unmet).sum(),
    }
}

/// Every bound that was reached, in order.
fn limits(incident: &Incident<'_>, diagnosis: &Diagnosis) -> Vec<Limit> {
    let totals = incident.totals;
    let named = "rows; counted under the name other";
    let tokens = [
        ("details", &totals.by_detail),
        ("codes", &totals.by_code),
        ("flags", &totals.by_flag),
        ("protocols", &totals.by_protocol),
    ];
    let tokens = tokens
        .into_iter()
        .map(|(table, counts)| of_table(table, named, counts, |count| *count));
    let figures = totals.figures.iter().map(|(dimension, figures)| {
        let table = format!("{dimension:?}").to_lowercase();
        of_table(&table, named, figures, Figures::requests)
    });
    let groups = totals
        .groups
        .tables()
        .map(|(table, groups)| of_table(table, "rows; counted in totals, not by name", groups, |g| g.count));
    let others = [
        of_table(
            "signature hits by proxy",
            "hits; counted without their proxy",
            &totals.hits,
            |hits| hits.count,
        ),
        of_table(
            "facts of saved output",
            "lines; not counted, and nothing is concluded from what is absent",
            &totals.outputs,
            |fact| fact.count,
        ),
        of_table(
            "clusters of saved configuration",
            "clusters of proxies; nothing is concluded from what is absent",
            &totals.configuration.clusters,
            |_| 0,
        ),
        of_table(
            "virtual hosts of saved configuration",
            "virtual hosts of proxies; nothing is concluded from what is absent",
            &totals.configuration.virtual_hosts,
            |_| 0,
        ),
        of_table(
            "proxies of saved configuration",
            "proxies; nothing is concluded from what is absent",
            &totals.configuration.whole,
            |_| 0,
        ),
        of_table(
            "listeners of saved configuration",
            "proxies whose listener of inbound traffic is not looked at",
            &totals.configuration.inbound,
            |_| 0,
        ),
        of_table(
            "refusals of saved configuration",
            "proxies whose refusals are not told",
            &totals.configuration.rejected,
            |_| 0,
        ),
        of_table(
            "objects of saved configuration",
            "objects; nothing is concluded from what is absent",
            &totals.configuration.objects,
            |_| 0,
        ),
        of_table(
            "paths",
            "paths beyond the limit; a sample by hash is kept",
            totals.paths.table(),
            |_| 0,
        ),
        of_hops(&totals.hops),
        of_table(
            "called services over time",
            "rows; not in the histograms of a chosen window",
            &totals.called,
            |series| series.iter().map(|(_, spread)| spread.count()).sum(),
        ),
        of_table(
            "addresses",
            "addresses beyond the limit; they stay unnamed",
            &totals.addresses,
            |_| 0,
        ),
        of_table(
            "service names",
            "short names beyond the limit; they are not united with the full ones",
            &totals.aliases,
            |_| 0,
        ),
        of_table(
            "namespaces of callers",
            "proxies beyond the limit; commands leave their namespace to be filled in",
            &totals.namespaces,
            |_| 0,
        ),
        of_sample(
            "requests followed by id",
            "rows; a sample of request ids by hash is kept",
            &totals.attempts,
        ),
        of_sample(
            "rows followed by connection",
            "rows; a sample of connections by hash is kept",
            &totals.connections,
        ),
    ];
    let followed = &totals.followed;
    let rows = followed.is_truncated().then(|| Limit {
        table: "rows followed one by one".to_owned(),
        limit: 2 * crate::aggregate::followed::MAX_FOLLOWED as u64,
        kept: followed.kept() as u64,
        left_out: followed.seen().saturating_sub(followed.kept() as u64),
        what: "rows; a sample of request ids by hash is joined to connections and paired".to_owned(),
    });
    let connections = &totals.captures.followed;
    let kept = connections.kept() as u64;
    let connections = (connections.seen() > kept).then(|| Limit {
        table: "connections followed one by one".to_owned(),
        limit: 2 * crate::aggregate::captures::followed::MAX_FOLLOWED as u64,
        kept,
        left_out: connections.seen() - kept,
        what: "connections; a sample of clients' addresses by hash is joined to rows".to_owned(),
    });
    let told = diagnosis.events.len() as u64;
    let events = (diagnosis.events_left_out > 0).then(|| Limit {
        table: "events".to_owned(),
        limit: told,
        kept: told,
        left_out: diagnosis.events_left_out,
        what: "events; of each kind those nearest to the beginning of a finding are told".to_owned(),
    });
    let captures = captures::limits(&totals.captures)
        .into_iter()
        .chain([rows, connections, events]);
    let mut list: Vec<Limit> = tokens
        .chain(figures)
        .chain(groups)
        .chain(others)
        .chain(captures)
        .flatten()
        .collect();
    list.sort();
    list
}

fn of_table<K: Key, V: Merge>(
    table: &str,
    what: &str,
    kept: &Bounded<K, V>,
    rows: impl Fn(&V) -> u64,
) -> Option<Limit> {
    kept.is_truncated().then(|| Limit {
        table: table.to_owned(),
        limit: kept.limit() as u64,
        kept: kept.len() as u64,
        left_out: kept.lumped().map(|(_, lump)| rows(lump)).sum(),
        what: what.to_owned(),
    })
}

fn of_hops(hops: &Hops) -> Option<Limit> {
    hops.is_truncated().then(|| Limit {
        table: "hops".to_owned(),
        limit: MAX_HOPS as u64,
        kept: hops.len() as u64,
        left_out: hops.left_out(),
        what: if hops.is_incomplete() {
            "rows; not told by caller, and not in shares of a window"
        } else {
            "rows; told by called service and not by caller"
        }
        .to_owned(),
    })
}

fn of_sample<R: Copy + Ord>(table: &str, what: &str, sample: &Sampled<R>) -> Option<Limit> {
    sample.is_truncated().then(|| {
        let kept = sample.kept() as u64;
        Limit {
            table: table.to_owned(),
            limit: sample.limit() as u64,
            kept,
            left_out: sample.seen().saturating_sub(kept),
            what: what.to_owned(),
        }
    })
}

/// What would have been read by a later version.
fn not_read(what: &str, why: &str, command: &str) -> Missing {
    Missing {
        what: what.to_owned(),
        why_it_matters: why.to_owned(),
        command: command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Totals;
    use crate::aggregate::totals::MAX_TOKENS;

    fn limits_of(codes: usize) -> Vec<Limit> {
        let mut totals = Totals::default();
        for code in 0..codes {
            totals.by_detail.add(format!("detail_{code}"), 2);
        }
        let incident = Incident::of(&totals);
        let catalog = Catalog::built_in().unwrap();
        limits(
            &incident,
            &crate::diagnose::diagnose(&incident, &catalog).unwrap(),
        )
    }

    #[test]
    fn a_bound_is_told_when_it_was_reached_and_nothing_is_lost() {
        assert_eq!(limits_of(MAX_TOKENS), []);
        let limits = limits_of(MAX_TOKENS + 1);
        assert_eq!(limits.len(), 1);
        let limit = &limits[0];
        assert_eq!(
            (limit.table.as_str(), limit.limit),
            ("details", MAX_TOKENS as u64)
        );
        assert!(limit.kept <= limit.limit);
        assert_eq!(
            limit.kept * 2 + limit.left_out,
            2 * (MAX_TOKENS as u64 + 1),
            "every row is kept by name or among those left out"
        );
    }
}
