//! Many incidents beside each other: a line each, and which causes come back.

use super::model::{Report, SCHEMA, Severity, State};
use super::text::clock::Clock;
use super::text::verdict::{impact, totals, whom};
use crate::units::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The value of [`Batch::schema`].
pub const BATCH_SCHEMA: &str = "postmesh.batch/1";

/// Several incidents, in the order in which they were given.
#[derive(Clone, Debug, Serialize)]
pub struct Batch {
    /// Always [`BATCH_SCHEMA`].
    pub schema: &'static str,
    /// The document of which each line is a part.
    pub of: &'static str,
    /// A line each.
    pub incidents: Vec<Incident>,
    /// Causes that lead incidents, with how many.
    pub causes: BTreeMap<String, u64>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            schema: BATCH_SCHEMA,
            of: SCHEMA,
            incidents: Vec::new(),
            causes: BTreeMap::new(),
        }
    }
}

/// One incident.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Incident {
    /// Folder or file, as given.
    pub name: String,
    /// State of the verdict; null where it could not be read.
    pub state: Option<State>,
    /// Severity of the finding that leads.
    pub severity: Option<Severity>,
    /// The verdict.
    pub headline: String,
    /// Cause, or what is suspected.
    pub cause: Option<String>,
    /// Whom it concerns.
    pub scope: String,
    /// When it began: the onset, or the first record that shows it.
    pub since: Option<Timestamp>,
    /// The same as people read it.
    #[serde(skip)]
    pub since_text: String,
    /// How much.
    pub impact: String,
    /// Findings that are more than a remark.
    pub findings: u64,
    /// Why it could not be read.
    pub error: Option<String>,
    /// Its report as a page, named from where the index lies.
    pub page: Option<String>,
}

impl Incident {
    /// Of a report.
    pub fn of(name: String, report: &Report) -> Self {
        let lead = match report.verdict.state {
            State::CauseFound | State::SymptomsOnly => report.findings.first(),
            State::Healthy | State::NotEnough => None,
        };
        let findings = report
            .findings
            .iter()
            .filter(|finding| finding.severity != Severity::Info)
            .count();
        let since = lead.and_then(|finding| finding.onset.or(finding.window.start));
        let clock = Clock::new(&super::model::Window::default());
        Self {
            name,
            state: Some(report.verdict.state),
            severity: lead.map(|finding| finding.severity),
            headline: report.verdict.headline.clone(),
            cause: lead.map(|finding| finding.cause.clone()),
            scope: lead.map(|finding| whom(&finding.scope)).unwrap_or_default(),
            since,
            since_text: since.map(|since| clock.time(since)).unwrap_or_default(),
            impact: lead.map_or_else(
                || totals(report),
                |finding| impact(&finding.impact, &report.requests),
            ),
            findings: u64::try_from(findings).unwrap_or(u64::MAX),
            error: None,
            page: None,
        }
    }

    /// Of what could not be read.
    pub fn broken(name: String, why: String) -> Self {
        Self {
            name,
            error: Some(why),
            ..Self::default()
        }
    }
}

impl Batch {
    /// One more.
    pub fn add(&mut self, incident: Incident) {
        if let Some(cause) = &incident.cause {
            *self.causes.entry(cause.clone()).or_default() += 1;
        }
        self.incidents.push(incident);
    }
}
