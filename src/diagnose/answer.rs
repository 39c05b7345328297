//! The words in which an answer is given: what state, how severe, what kind of evidence, what to do. The report
//! shows them as they are.

use schemars::JsonSchema;
use serde::Serialize;

/// Something that was not there and would have helped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why it matters.
    pub why_it_matters: String,
    /// How to get it.
    pub command: String,
}

/// What can be said in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Enough was read and nothing is wrong with the mesh.
    Healthy,
    /// A root cause was found.
    CauseFound,
    /// Failures were seen whose cause these inputs cannot settle.
    SymptomsOnly,
    /// Too little was read to say.
    NotEnough,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Users are hit hard.
    Critical,
    /// Something is wrong.
    Warning,
    /// A remark.
    Info,
}

/// Whether a finding is a cause or follows from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A cause.
    Cause,
    /// A consequence of another finding.
    Consequence,
}

/// Kind of a piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Log lines.
    Log,
    /// Packets.
    Packet,
    /// A figure.
    Statistic,
    /// Rows joined to rows or packets.
    Join,
    /// Something that is not there although the source was recording.
    Absence,
    /// Configuration.
    Config,
}

/// A fix.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fix {
    /// What it does.
    pub text: String,
    /// Command.
    pub command: Option<String>,
    /// Manifest.
    pub yaml: Option<String>,
    /// safe, disruptive, security or data-loss.
    pub risk: String,
    /// Releases of Istio for which it holds.
    pub valid_for: ValidFor,
}

/// A range of releases.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ValidFor {
    /// First.
    pub from: Option<String>,
    /// Last.
    pub to: Option<String>,
}

/// What the figures of a finding count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests, as access logs have them.
    #[default]
    Requests,
    /// TCP connections: rows of them, or those in captures.
    Connections,
    /// Packets with data; failed are those that were sent again.
    Packets,
    /// Packets that announced a window of 0.
    ZeroWindows,
    /// Questions of DNS.
    DnsQuestions,
}
