//! Totals, names and findings to the report document.

mod figures;
mod findings;
mod inputs;
mod requests;
mod timeline;

use super::model::{
    Captures, CatalogInfo, Correlation, Limit, Missing, Report, SCHEMA, Tool, Verdict, Window,
};
use crate::catalog::Catalog;
use crate::correlate::Incident;
use crate::diagnose::Diagnosis;
use crate::input::{Compression, ReadSummary, Source, SourceKind, Unreadable};
use crate::report::model::State;

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
    /// True if the selection left it out whole.
    pub left_out: bool,
}

impl InputRead {
    /// A source that could not be opened.
    pub fn failed(why: String) -> Self {
        Self {
            kind: None,
            compression: None,
            summary: None,
            failure: Some(why),
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
    } = assembly;
    let inputs = inputs::inputs(incident, sources, unreadable, reads);
    let mut missing = diagnosis.missing.clone();
    missing.extend(inputs::unread_kinds(reads));
    missing.sort();
    missing.dedup();
    let findings = findings::findings(incident, &diagnosis.findings);
    let window = Window {
        start: incident.start,
        end: incident.end,
    };
    let (requests, latency) = (requests::requests(incident), figures::latency(incident));
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
        inputs,
        missing,
        verdict: Verdict {
            state: diagnosis.state,
            healthy: diagnosis.state == State::Healthy,
            headline: diagnosis.headline.clone(),
            cause: findings.first().map(|f| f.cause.clone()),
        },
        steps: findings::steps(incident, &diagnosis.findings),
        slowest: requests::slowest(incident),
        signatures: findings::signatures(incident, catalog),
        timeline: timeline::timeline(incident, catalog, &diagnosis.findings),
        captures: Captures::default(),
        correlation: Correlation::default(),
        topology: requests::topology(incident),
        limits: limits(incident),
        requests,
        latency,
        findings,
    }
}

fn limits(incident: &Incident<'_>) -> Vec<Limit> {
    let totals = incident.totals;
    let mut list = Vec::new();
    let mut add = |truncated: bool, table: &str, limit: usize, kept: usize, left_out: u64, what: &str| {
        if truncated {
            let (limit, kept) = (limit as u64, kept as u64);
            list.push(Limit {
                table: table.to_owned(),
                limit,
                kept,
                left_out,
                what: what.to_owned(),
            });
        }
    };
    let groups = &totals.groups;
    let lumped = groups.lumped().map(|(_, g)| g.count).sum();
    add(
        groups.is_truncated(),
        "row groups",
        groups.limit(),
        groups.len(),
        lumped,
        "rows; counted in totals, not by name",
    );
    for (dimension, table) in &totals.figures {
        let left = table.lumped().map(|(_, f)| f.requests()).sum();
        let name = format!("{dimension:?}").to_lowercase();
        add(
            table.is_truncated(),
            &name,
            table.limit(),
            table.len(),
            left,
            "rows; counted under the name other",
        );
    }
    for (name, table) in [
        ("details", &totals.by_detail),
        ("codes", &totals.by_code),
        ("flags", &totals.by_flag),
        ("protocols", &totals.by_protocol),
    ] {
        let left = table.lumped().map(|(_, c)| *c).sum();
        add(
            table.is_truncated(),
            name,
            table.limit(),
            table.len(),
            left,
            "rows; counted under the name other",
        );
    }
    let left = totals.hits.lumped().map(|(_, h)| h.count).sum();
    add(
        totals.hits.is_truncated(),
        "signature hits by proxy",
        totals.hits.limit(),
        totals.hits.len(),
        left,
        "hits; counted without their proxy",
    );
    let paths = totals.paths.table();
    add(
        paths.is_truncated(),
        "paths",
        paths.limit(),
        paths.len(),
        0,
        "paths beyond the limit; a sample by hash is kept",
    );
    let attempts = &totals.attempts;
    let kept = attempts.sorted().len();
    add(
        attempts.is_truncated(),
        "requests followed by id",
        attempts.limit(),
        kept,
        attempts.seen() - kept as u64,
        "rows; a sample of request ids by hash is kept",
    );
    let connections = &totals.connections;
    let kept = connections.sorted().len();
    add(
        connections.is_truncated(),
        "rows followed by connection",
        connections.limit(),
        kept,
        connections.seen() - kept as u64,
        "rows; a sample of connections by hash is kept",
    );
    list.sort();
    list
}

/// What would have been read by a later version.
fn not_read(what: &str, why: &str, command: &str) -> Missing {
    Missing {
        what: what.to_owned(),
        why_it_matters: why.to_owned(),
        command: command.to_owned(),
    }
}
