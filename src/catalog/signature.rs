//! A signature: text that says something about the mesh, and the conditions under which it does.

use serde::Deserialize;

/// One entry of `data/signatures.toml`. A text hits when it holds one of `literals` and meets every condition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Stable name, kebab-case.
    pub id: String,
    /// What a hit means, one plain line.
    pub title: String,
    /// Which text is searched.
    pub source: SignatureSource,
    /// How bad a hit is by itself.
    pub severity: Severity,
    /// Id of the cause to which a hit points; `None` where it is only context.
    #[serde(default)]
    pub cause: Option<String>,
    /// Any of these must occur; bytes, case-sensitive, at least [`Signature::MIN_LITERAL_BYTES`] long.
    pub literals: Vec<String>,
    /// At least one of these must occur in the same text (if there are any).
    #[serde(default)]
    pub also: Vec<String>,
    /// None of these may occur in the same text.
    #[serde(default)]
    pub not: Vec<String>,
    /// The byte after the literal must not be of this class.
    #[serde(default)]
    pub next_not: Option<ByteClass>,
    /// The literal must be the whole text.
    #[serde(default)]
    pub whole: bool,
    /// The line must be of one of these levels (if there are any); text without a level does not hit then.
    #[serde(default)]
    pub levels: Vec<LogLevel>,
    /// Which field of an access-log row is searched; only for that source.
    #[serde(default)]
    pub field: AccessField,
    /// First release that writes it.
    #[serde(default)]
    pub since: Option<String>,
    /// Last release that writes it.
    #[serde(default)]
    pub until: Option<String>,
    /// Source file, issue or page.
    pub documented_in: String,
    /// Whether the literal was found in the named source or in a recorded log.
    #[serde(default)]
    pub verified: bool,
    /// What to mind when reading a hit.
    #[serde(default)]
    pub note: Option<String>,
    /// Texts that must hit: a line, or the field's value for access-log entries.
    #[serde(default)]
    pub matches: Vec<String>,
    /// Near misses that must not hit.
    #[serde(default)]
    pub rejects: Vec<String>,
}

impl Signature {
    /// Shorter literals would hit by chance and slow every search down.
    pub const MIN_LITERAL_BYTES: usize = 3;
}

/// Which text a signature is searched in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureSource {
    /// Fields of access-log rows.
    AccessLog,
    /// Component lines of Envoy.
    Envoy,
    /// Lines of pilot-agent in the same container.
    PilotAgent,
    /// Lines of istiod.
    Istiod,
    /// Lines of ztunnel.
    Ztunnel,
    /// Lines of istio-cni and its node agent.
    IstioCni,
    /// Output of `istioctl analyze`.
    IstioctlAnalyze,
    /// Saved output of `istioctl proxy-status` and the other proxy tables (endpoints, clusters, stats).
    ProxyStatus,
    /// Lines of applications, and what they print of an answer made by Envoy.
    App,
    /// Kernel messages and container states.
    Kernel,
}

impl SignatureSource {
    /// Every source, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::AccessLog,
        Self::Envoy,
        Self::PilotAgent,
        Self::Istiod,
        Self::Ztunnel,
        Self::IstioCni,
        Self::IstioctlAnalyze,
        Self::ProxyStatus,
        Self::App,
        Self::Kernel,
    ];

    /// The name in data and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessLog => "access-log",
            Self::Envoy => "envoy",
            Self::PilotAgent => "pilot-agent",
            Self::Istiod => "istiod",
            Self::Ztunnel => "ztunnel",
            Self::IstioCni => "istio-cni",
            Self::IstioctlAnalyze => "istioctl-analyze",
            Self::ProxyStatus => "proxy-status",
            Self::App => "app",
            Self::Kernel => "kernel",
        }
    }

    /// Whether its lines carry a level.
    pub fn has_levels(self) -> bool {
        matches!(
            self,
            Self::Envoy | Self::PilotAgent | Self::Istiod | Self::Ztunnel | Self::IstioCni
        )
    }
}

/// How bad something is, in the words of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Users are hit hard, or soon will be.
    Critical,
    /// Something is wrong.
    Warning,
    /// Context.
    Info,
}

impl Severity {
    /// The name in data and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A class of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ByteClass {
    /// `0` to `9`.
    Digit,
    /// ASCII letters, digits and `_`.
    Word,
}

impl ByteClass {
    /// Whether the byte is of this class.
    pub fn holds(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
        }
    }
}

/// Level of a component line, as the catalogue names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// `trace`
    Trace,
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `warn` or `warning`
    Warning,
    /// `error`
    Error,
    /// `critical` or `fatal`
    Critical,
}

impl LogLevel {
    /// The name in data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Which field of an access-log row a signature is searched in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessField {
    /// `RESPONSE_CODE_DETAILS`.
    #[default]
    Details,
    /// `CONNECTION_TERMINATION_DETAILS`.
    Termination,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`.
    FailureReason,
    /// `UPSTREAM_CLUSTER`.
    Cluster,
    /// Details, termination or failure reason (not the cluster, which others may name).
    Any,
}

impl AccessField {
    /// The name in data and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Details => "details",
            Self::Termination => "termination",
            Self::FailureReason => "failure-reason",
            Self::Cluster => "cluster",
            Self::Any => "any",
        }
    }
}
