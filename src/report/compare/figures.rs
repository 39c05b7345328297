//! What a comparison needs of a report, read from its document: saved ones and those of this run alike.

use crate::report::model::Report;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;

/// As much of a report as is compared. Members that an older report lacks are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Figures {
    pub(super) schema: String,
    pub(super) window: Span,
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
    pub(super) requests: Requests,
    pub(super) latency: Vec<Latency>,
    pub(super) signatures: Vec<Signature>,
    pub(super) captures: Captures,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verdict {
    pub(super) state: String,
    pub(super) headline: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) id: String,
    pub(super) cause: String,
    pub(super) title: String,
    pub(super) severity: String,
    pub(super) role: String,
    pub(super) scope: Scope,
    pub(super) impact: Impact,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    pub(super) destination: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Impact {
    pub(super) requests: u64,
    pub(super) failed: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Requests {
    pub(super) total: u64,
    pub(super) failed: u64,
    pub(super) denied: u64,
    pub(super) canceled: u64,
    pub(super) rows: u64,
    pub(super) by_code: BTreeMap<String, u64>,
    pub(super) by_flag: BTreeMap<String, u64>,
    pub(super) by_detail: BTreeMap<String, u64>,
    pub(super) by_destination: Vec<Breakdown>,
    pub(super) by_route: Vec<Breakdown>,
    pub(super) by_source: Vec<Breakdown>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Breakdown {
    pub(super) name: String,
    pub(super) reporter: String,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) denied: u64,
    pub(super) canceled: u64,
    pub(super) latency: Option<Latency>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) scope: LatencyScope,
    pub(super) reporter: String,
    pub(super) metric: String,
    pub(super) outcome: String,
    pub(super) count: u64,
    pub(super) min: f64,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p75: f64,
    pub(super) p90: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) resolution_ms: f64,
    pub(super) histogram: Vec<Bucket>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LatencyScope {
    pub(super) kind: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bucket {
    pub(super) le: f64,
    pub(super) count: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Signature {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) severity: String,
    pub(super) count: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Captures {
    pub(super) streams: Streams,
    pub(super) servers: Vec<Server>,
    pub(super) troubles: Vec<Trouble>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Streams {
    pub(super) tcp: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    #[serde(rename = "server")]
    pub(super) address: String,
    pub(super) name: Option<String>,
    pub(super) hop: String,
    pub(super) connections: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) server: String,
    pub(super) name: Option<String>,
    pub(super) hop: String,
    pub(super) connections: u64,
}

impl Figures {
    /// Of a report of this run.
    ///
    /// # Errors
    /// When the report has no JSON form, which its tests rule out.
    pub fn of(report: &Report) -> Result<Self, String> {
        serde_json::to_value(report)
            .and_then(serde_json::from_value)
            .map_err(|error| error.to_string())
    }

    /// Of a saved report.
    ///
    /// # Errors
    /// One line: that it is none.
    pub fn saved(report: impl Read) -> Result<Self, String> {
        let figures: Self =
            serde_json::from_reader(report).map_err(|error| format!("is no report of postmesh: {error}"))?;
        if figures.schema == crate::report::model::SCHEMA {
            Ok(figures)
        } else {
            Err(format!("is no report of postmesh but {}", figures.schema))
        }
    }
}
