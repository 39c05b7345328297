//! Saved output of commands to [`Fact`]s, and whose log a file is: told by its first lines, never by its name.
//!
//! In: the head of a text ([`recognise`]), then its lines ([`Text::fact`]). Out: typed facts, each of one line. Never: sums,
//! judges, keeps anything from line to line but what the header says of the columns.
//!
//! Sources: istio/istio `istioctl/pkg/writer` (proxy-status, proxy-config), `pkg/config/analysis/msg` (analyze);
//! envoyproxy/envoy `source/server/admin/clusters_handler.cc`; kubernetes/kubernetes `pkg/printers/internalversion`.

mod figures;
mod lines;
mod subject;
mod ztunnel;

pub use figures::{Figure, of_metric, quantity, whole};
pub use subject::subject;
pub use ztunnel::{Connection, connection};

use super::document::{Form, Spot, Statement, is_aligned, is_probe, is_sockets, table as rows};
use super::log::{begins_array_of_entries, without_wrappers};
use crate::units::Timestamp;
use lines::{analyze_line, cells, certs_line, clusters_line, column, without_colours};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKind {
    /// Lines of a proxy's container, or of an application: whatever is none of the others.
    Log,
    /// Log of istiod.
    IstiodLog,
    /// Log of ztunnel.
    ZtunnelLog,
    /// Log of istio-cni.
    CniLog,
    /// `istioctl proxy-status`.
    ProxyStatus,
    /// `istioctl analyze`.
    Analyze,
    /// Envoy's `/clusters`.
    EnvoyClusters,
    /// `istioctl proxy-config endpoint`.
    Endpoints,
    /// `istioctl proxy-config secret`, `istioctl ztunnel-config certificates`.
    Secrets,
    /// Envoy's `/certs`.
    Certs,
    /// `kubectl get pods`.
    Pods,
    /// `kubectl get events`.
    Events,
    /// Envoy's or a control plane's statistics, settings of a kernel.
    Stats,
    /// `istioctl proxy-config log`, Envoy's `/logging`.
    Loggers,
    /// Envoy's `/memory`.
    Memory,
    /// `kubectl top pods`.
    Top,
    /// `istioctl authn tls-check`, of Istio before 1.6.
    TlsCheck,
    /// `kubectl describe pod`.
    Describe,
    /// An answer of Prometheus to a query of a range or an instant.
    Series,
    /// Counts of descriptors and connections: `lsof`, `/proc/PID/fd`, `ss`.
    Sockets,
    /// What was tried by hand: `curl -v`, `nslookup`, `dig`, `openssl s_client`, `iptables`.
    Probe,
    /// Envoy's `/config_dump`.
    ConfigDump,
    /// Objects of Kubernetes or Istio, and other configuration, as JSON or YAML.
    Objects,
    /// Other output that is recognised and says nothing here: manifests, other tables.
    Other,
}

impl TextKind {
    /// The kind of input in reports.
    pub fn input_kind(self) -> Option<&'static str> {
        match self {
            Self::Log => None,
            Self::IstiodLog => Some("istiod-log"),
            Self::ZtunnelLog => Some("ztunnel-log"),
            Self::CniLog => Some("cni-log"),
            Self::Stats | Self::Memory | Self::Series | Self::Sockets => Some("stats"),
            Self::ConfigDump => Some("config-dump"),
            Self::ProxyStatus
            | Self::Analyze
            | Self::EnvoyClusters
            | Self::Endpoints
            | Self::Secrets
            | Self::Certs
            | Self::Pods
            | Self::Events
            | Self::Top
            | Self::TlsCheck
            | Self::Describe
            | Self::Probe
            | Self::Loggers
            | Self::Objects
            | Self::Other => Some("command-output"),
        }
    }

    /// True if its lines are a log's.
    pub fn is_log(self) -> bool {
        matches!(
            self,
            Self::Log | Self::IstiodLog | Self::ZtunnelLog | Self::CniLog
        )
    }
}

/// A recognised text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is.
    pub kind: TextKind,
    /// How it is written, where it is a document that is read as a whole and not line by line.
    pub form: Option<Form>,
    /// Names of the columns of a table, as its header has them.
    columns: Vec<Vec<u8>>,
}

/// Whether a proxy has what the control plane sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sync {
    /// It acknowledged all that it was sent.
    Synced,
    /// A push was not acknowledged.
    Stale,
    /// It refused a push, or never acknowledged one.
    Refused,
    /// The table says nothing about it (Istio 1.27 and later).
    Untold,
}

/// State of a host in a cluster of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostState {
    /// Chosen for requests.
    Healthy,
    /// Put out by outlier detection.
    Ejected,
    /// Unhealthy for another reason.
    Unhealthy,
}

/// What one line of saved output says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A proxy and the control plane.
    Proxy {
        /// `pod.namespace`.
        name: String,
        /// The worst of its types.
        sync: Sync,
    },
    /// A message of `istioctl analyze`.
    Message {
        /// `IST0101`.
        code: String,
        /// `VirtualService default/ratings`, empty if it has no origin.
        subject: String,
        /// Error or Warning; an Info is none.
        severe: bool,
    },
    /// A cluster is configured.
    Cluster {
        /// Its name.
        cluster: String,
    },
    /// A host of a cluster.
    Host {
        /// The cluster's name.
        cluster: String,
        /// Its state.
        state: HostState,
    },
    /// A certificate that a proxy holds.
    Certificate {
        /// `default`, `ROOTCA`, a serial number.
        name: String,
        /// When it ends.
        not_after: Timestamp,
        /// False if it was not valid when the command ran.
        valid: bool,
    },
    /// A pod.
    Pod {
        /// Its name.
        name: String,
        /// What is wrong with it: `CrashLoopBackOff`, `1/2 ready`, `5 restarts`; empty if nothing.
        trouble: String,
    },
    /// A figure.
    Figure {
        /// Pod, `pod/container`, or empty for whom the page is of.
        subject: String,
        /// What is measured.
        figure: Figure,
        /// The figure.
        value: u64,
    },
    /// The waypoint of a service, as ztunnel knows it.
    Waypoint {
        /// The service.
        service: String,
        /// Its waypoint, empty for none.
        waypoint: String,
    },
    /// Whether ztunnel takes traffic for a pod.
    Tunnel {
        /// The pod.
        pod: String,
        /// True if by HBONE, false if it goes there as plain TCP.
        hbone: bool,
    },
    /// The level of a logger of a proxy.
    Logger {
        /// The logger.
        name: String,
        /// `warning`.
        level: String,
    },
    /// What a proxy says of itself (Envoy's `/server_info`).
    Server {
        /// `LIVE`, `PRE_INITIALIZING`, `INITIALIZING`, `DRAINING`.
        state: String,
        /// Since its start.
        uptime_s: u64,
    },
    /// Requests that a metric of Istio counts.
    Requests(RequestsFact),
    /// Durations that a histogram of Istio holds.
    Durations(DurationsFact),
    /// A container that ended.
    Terminated {
        /// Its pod.
        pod: String,
        /// Its name.
        container: String,
        /// `OOMKilled`, `Error`, `Completed`.
        reason: String,
        /// When it ended.
        at: Option<Timestamp>,
    },
    /// What a pod or a host takes, by `istioctl x describe` and `istioctl authn tls-check`.
    Mtls {
        /// Pod, or `host:port`.
        subject: String,
        /// What it takes.
        mode: Mtls,
    },
    /// How a figure of a pod went.
    Series(SeriesFact),
    /// Something that was tried by hand.
    Probe {
        /// Host that was asked, empty if the output does not say.
        host: String,
        /// How it went.
        probed: Probed,
    },
    /// A warning event.
    Event {
        /// `pod/ratings-v1-...`.
        object: String,
        /// `BackOff`.
        reason: String,
    },
    /// An event whose time is told.
    Happened {
        /// `pod/ratings-v1-...`.
        object: String,
        /// `ScalingReplicaSet`.
        reason: String,
        /// When it was last seen.
        at: Timestamp,
        /// True if it is a warning.
        warning: bool,
    },
}

/// Mutual TLS as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mtls {
    /// Nothing else is taken.
    Strict,
    /// Plaintext is taken too.
    Permissive,
    /// It is off.
    Disabled,
    /// The two sides do not agree.
    Conflict,
}

impl Mtls {
    /// Its name.
    pub fn says(self) -> &'static str {
        match self {
            Self::Strict => "takes mutual TLS alone (STRICT)",
            Self::Permissive => "takes plaintext too (PERMISSIVE)",
            Self::Disabled => "has mutual TLS switched off (DISABLE)",
            Self::Conflict => "is called in another way than it takes (CONFLICT)",
        }
    }
}

/// How something went that was tried by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probed {
    /// The connection was refused.
    Refused,
    /// It was rejected on the way.
    Rejected,
    /// There was no answer.
    TimedOut,
    /// The connection was broken off.
    Reset,
    /// The name is not known.
    Unresolved,
    /// The name could not be looked up.
    LookupFailed,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate's issuer is not trusted.
    CertificateUntrusted,
    /// TLS failed for another reason.
    TlsFailed,
    /// The redirect to the proxy is there.
    Redirected,
    /// Rules of a pod without the redirect to the proxy.
    NotRedirected,
}

impl Probed {
    /// What it says, after "a probe that was saved".
    pub fn says(self) -> &'static str {
        match self {
            Self::Refused => "was refused",
            Self::Rejected => "was rejected on the way",
            Self::TimedOut => "got no answer",
            Self::Reset => "was broken off",
            Self::Unresolved => "found that the name is not known",
            Self::LookupFailed => "could not look the name up",
            Self::CertificateExpired => "found an expired certificate",
            Self::CertificateUntrusted => "found a certificate whose issuer is not trusted",
            Self::TlsFailed => "failed in TLS",
            Self::Redirected => "found the redirect to the proxy",
            Self::NotRedirected => "found no redirect to the proxy",
        }
    }
}

/// How a figure of a pod went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesFact {
    /// The pod.
    pub subject: String,
    /// What is measured.
    pub figure: Figure,
    /// Its mean over the first quarter of the samples; of a counter by how much it grew in it.
    pub early: u64,
    /// The same of the last quarter.
    pub late: u64,
    /// Samples.
    pub samples: u64,
    /// Samples that are below the one before.
    pub falling: u64,
    /// From the first to the last.
    pub span_s: u64,
    /// Time of the first.
    pub start: Timestamp,
}

/// Requests of one kind, by `istio_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestsFact {
    /// Host of the service that was called.
    pub destination: String,
    /// `source`, `destination`.
    pub reporter: String,
    /// Status.
    pub code: String,
    /// Response flags, `-` for none.
    pub flags: String,
    /// How many: of an instant since the proxies started, of a range those within it.
    pub count: u64,
}

/// Durations of requests to one service, by `istio_request_duration_milliseconds`. Percentiles are upper bounds of its buckets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationsFact {
    /// Host of the service that was called.
    pub destination: String,
    /// `source`, `destination`.
    pub reporter: String,
    /// Requests.
    pub count: u64,
    /// Half took at most so long; `None` if longer than all bounds.
    pub p50_ms: Option<u64>,
    /// 99 of 100 took at most so long.
    pub p99_ms: Option<u64>,
}

/// Lines of the head that are looked at.
const HEAD_LINES: usize = 60;

/// What a text is that begins with `head`.
pub fn recognise(head: &[u8]) -> Text {
    if begins_with_row(head) {
        return Text::log();
    }
    let lines = || {
        head.split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .filter(|line| !line.is_empty())
            .take(HEAD_LINES)
    };
    if is_aligned(head) {
        return Text {
            kind: TextKind::Objects,
            form: Some(Form::Aligned),
            columns: Vec::new(),
        };
    }
    let header = lines().take(4).find_map(|line| Some((table(line)?, line)));
    if let Some((kind, line)) = header {
        return Text {
            kind,
            form: None,
            columns: cells(line).into_iter().map(<[u8]>::to_vec).collect(),
        };
    }
    let all = || lines().map(trimmed);
    let first = all().next().unwrap_or_default();
    if is_probe(head) {
        return Text {
            kind: TextKind::Probe,
            form: Some(Form::Probe),
            columns: Vec::new(),
        };
    }
    if is_sockets(head) {
        return Text {
            kind: TextKind::Sockets,
            form: Some(Form::Sockets),
            columns: Vec::new(),
        };
    }
    let document = document(head);
    let kind = if let Some((kind, _)) = document {
        kind
    } else if is_described(head) {
        return Text {
            kind: TextKind::Describe,
            form: Some(Form::Describe),
            columns: Vec::new(),
        };
    } else if all().take(3).any(|line| line == b"active loggers:") {
        TextKind::Loggers
    } else if first.starts_with(b"net.netfilter.nf_conntrack") {
        TextKind::Stats
    } else if all().any(|line| analyze_line(line).is_some()) || all().any(is_clean_analysis) {
        TextKind::Analyze
    } else if first.starts_with(b"CLI version: ") || first.starts_with(b"--- Istiod ") {
        TextKind::Other
    } else if all().take(8).filter(|line| clusters_line(line).is_some()).count() >= 2 {
        TextKind::EnvoyClusters
    } else if all()
        .take(8)
        .filter(|line| is_stat(line) || figures::stat_line(line).is_some())
        .count()
        >= 2
    {
        TextKind::Stats
    } else {
        voice(&without_wrappers(head, HEAD_LINES))
    };
    Text {
        kind,
        form: document.and_then(|(_, form)| form),
        columns: Vec::new(),
    }
}

/// True if the first line is a row of an access log by its looks (`[2026-11-02T03:12:44.120Z] "GET ...`): what most inputs are,
/// and nothing else is.
fn begins_with_row(head: &[u8]) -> bool {
    let line = head.trim_ascii_start();
    let time = line.strip_prefix(b"[").and_then(|rest| rest.split_at_checked(11));
    let Some((date, rest)) = time else { return false };
    let is_date = date.iter().zip(b"0000-00-00T").all(|(byte, like)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == like,
    });
    let rest = rest.get(..rest.len().min(24)).unwrap_or_default();
    is_date && memchr::memmem::find(rest, b"] \"").is_some()
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// `kubectl describe pod`: its first two fields, and those of a pod; or what istioctl says of one.
fn is_described(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let begins = |line: Option<&[u8]>, field: &[u8]| line.is_some_and(|line| line.starts_with(field));
    let holds = |text: &[u8]| memchr::memmem::find(head, text).is_some();
    // `istioctl x describe pod`.
    let by_istioctl = begins(lines.clone().next(), b"Pod: ") && holds(b"\n   Pod ");
    by_istioctl
        || begins(lines.next(), b"Name:  ")
            && begins(lines.next(), b"Namespace:  ")
            && holds(b"\nContainers:")
}

fn is_clean_analysis(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"No validation issues found when analyzing").is_some()
}

/// What only objects of Envoy's configuration have, as istioctl prints lists of them.
const OF_ENVOY: &[&str] = &[
    "virtualHosts",
    "filterChains",
    "connectTimeout",
    "hostStatuses",
    "edsClusterConfig",
];

/// A document, and how it is written if it is read as a whole.
fn document(head: &[u8]) -> Option<(TextKind, Option<Form>)> {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .filter(|line| !line.is_empty());
    let begins = lines.clone().find(|line| !line.starts_with(b"#"))?;
    match begins.trim_ascii_start().first()? {
        b'{' | b'[' => {
            let first = lines.next()?;
            if is_series(head) {
                return Some((TextKind::Series, Some(Form::Prometheus)));
            }
            // An object a line is a log.
            let is_log =
                first.starts_with(b"{\"") && lines.clone().next().is_some_and(|next| next.starts_with(b"{"));
            let second = lines.next().map(<[u8]>::trim_ascii_start).unwrap_or_default();
            // A log may begin with a cut line, be it of a brace only.
            let over_lines = match first.trim_ascii() {
                b"{" => second.starts_with(b"\""),
                b"[" => matches!(second, b"{" | b"{}" | b"{}," | b"]"),
                _ => false,
            };
            (!is_log).then(|| json_document(over_lines, head))?
        }
        _ => {
            let mut own = lines.filter(|line| !line.starts_with(b"#") && *line != b"---");
            let first = own.next()?;
            let begins = ["apiVersion:", "kind:", "items:", "metadata:"];
            let is_object = begins.iter().any(|begin| first.starts_with(begin.as_bytes()))
                && memchr::memmem::find(head, b"apiVersion:").is_some();
            let mut of_envoy = || {
                first.starts_with(b"- ")
                    && own.next().is_some_and(|next| next.starts_with(b"  "))
                    && OF_ENVOY
                        .iter()
                        .any(|member| memchr::memmem::find(head, member.as_bytes()).is_some())
            };
            (is_object || of_envoy()).then_some((TextKind::Objects, Some(Form::Yaml)))
        }
    }
}

/// An answer of Prometheus to a query of a range or an instant: the members with which it begins, with or without blanks between them.
fn is_series(head: &[u8]) -> bool {
    let begin: Vec<u8> = head
        .iter()
        .take(200)
        .filter(|byte| !byte.is_ascii_whitespace())
        .copied()
        .collect();
    let of = |kind: &[u8]| {
        begin
            .strip_prefix(b"{\"status\":\"success\",\"data\":{\"resultType\":\"")
            .is_some_and(|rest| rest.starts_with(kind))
    };
    of(b"matrix\"") || of(b"vector\"")
}

/// A document that begins with a brace: over several lines, which no log is, or with names that no log has.
fn json_document(over_lines: bool, head: &[u8]) -> Option<(TextKind, Option<Form>)> {
    let holds = |key: &[u8]| memchr::memmem::find(head, key).is_some();
    let names = |key: &str| holds(format!("\"{key}\":").as_bytes());
    if names("allocated") && names("heap_size") && over_lines {
        Some((TextKind::Memory, None))
    } else if names("configs") && holds(b"ConfigDump") {
        Some((TextKind::ConfigDump, Some(Form::Json)))
    } else if names("certificates") && (names("ca_cert") || names("cert_chain")) {
        Some((TextKind::Certs, None))
    } else if names("code") && holds(b"\"IST0") {
        Some((TextKind::Analyze, Some(Form::Json)))
    } else if over_lines
        || (names("apiVersion") && (names("metadata") || names("items")))
        || OF_ENVOY.iter().any(|member| names(member))
        || names("cluster_statuses")
        || begins_array_of_entries(head)
    {
        Some((TextKind::Objects, Some(Form::Json)))
    } else {
        None
    }
}

/// `# TYPE envoy_x counter`, `cluster.x.y: 5`.
fn is_stat(line: &[u8]) -> bool {
    if line.starts_with(b"# TYPE ") || line.starts_with(b"# HELP ") {
        return true;
    }
    let Some(colon) = memchr::memmem::rfind(line, b": ") else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    let dotted = memchr::memchr(b'.', name).is_some() && memchr::memchr(b' ', name).is_none();
    let value = value.get(2..).unwrap_or_default();
    dotted && !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// The kind of table that a header begins.
fn table(line: &[u8]) -> Option<TextKind> {
    let columns = cells(line);
    let has = |name: &str| columns.contains(&name.as_bytes());
    let upper = line.iter().any(u8::is_ascii_uppercase) && !line.iter().any(u8::is_ascii_lowercase);
    // `CPU(cores)` and `MEMORY(bytes)` are the only names of columns with small letters.
    let top = has("CPU(cores)") && has("MEMORY(bytes)");
    if columns.len() < 2 || !(upper || top) {
        return None;
    }
    let kind = match columns.as_slice() {
        _ if rows::is_table(has) => TextKind::Objects,
        _ if has("NAME") && has("VERSION") && (has("CDS") || has("SUBSCRIBED TYPES")) => {
            TextKind::ProxyStatus
        }
        _ if has("ENDPOINT") && has("STATUS") && has("CLUSTER") => TextKind::Endpoints,
        _ if has("NOT AFTER") && has("VALID CERT") => TextKind::Secrets,
        _ if has("HOST:PORT") && has("STATUS") && has("SERVER") => TextKind::TlsCheck,
        // Nodes have shares as well, and are no pods.
        _ if top && !has("CPU%") && !has("CPU(%)") => TextKind::Top,
        _ if top => TextKind::Other,
        _ if has("READY") && has("STATUS") && has("RESTARTS") => TextKind::Pods,
        _ if has("REASON") && has("OBJECT") && has("TYPE") => TextKind::Events,
        _ if has("SERVICE FQDN") || has("DOMAINS") || has("ADDRESSES") || has("AGE") || has("ENDPOINTS") => {
            TextKind::Other
        }
        _ => return None,
    };
    Some(kind)
}

/// Scopes of log lines that only istiod has (istio/istio `pilot/pkg`, `security/pkg`).
const ISTIOD: &[&str] = &[
    "ads",
    "delta",
    "serverca",
    "rootcertrotator",
    "pkica",
    "validationServer",
    "validationController",
    "webhooks",
    "model",
    "secretcontroller",
    "ingress status",
    "krt",
    "controllers",
    "grpcgen",
    "pkira",
    "leader election",
];

/// Scopes that only ztunnel has (istio/ztunnel `src`), whole or before `::`.
const ZTUNNEL: &[&str] = &[
    "access",
    "inpod",
    "proxy",
    "state",
    "proxyfactory",
    "xds",
    "identity",
    "readiness",
];

/// Scopes that only istio-cni has (istio/istio `cni/pkg`).
const CNI: &[&str] = &[
    "cni-agent",
    "cni-plugin",
    "cni",
    "ambient",
    "repair",
    "install",
    "iptables",
];

/// Whose log it is, by the scopes of its first lines.
fn voice(head: &[u8]) -> TextKind {
    let (mut istiod, mut ztunnel, mut cni, mut proxy) = (0_usize, 0_usize, 0_usize, 0_usize);
    for line in head.split(|byte| *byte == b'\n').take(HEAD_LINES) {
        if line.starts_with(b"[") {
            proxy = proxy.saturating_add(1);
        }
        // The init container that tries the redirect out before a pod starts (tools/istio-iptables/pkg/validation).
        if memchr::memmem::find(line, b"\tStarting iptables validation").is_some() {
            cni = cni.saturating_add(1);
        }
        let Some(scope) = lines::scope(line) else { continue };
        let first = scope.split(|byte| *byte == b':').next().unwrap_or(scope);
        let is = |names: &[&str], scope: &[u8]| names.iter().any(|name| name.as_bytes() == scope);
        if scope.starts_with(b"envoy") || scope == b"xdsproxy" {
            proxy = proxy.saturating_add(1);
        } else if is(ISTIOD, scope) {
            istiod = istiod.saturating_add(1);
        } else if is(ZTUNNEL, first) {
            ztunnel = ztunnel.saturating_add(1);
        } else if is(CNI, scope) {
            cni = cni.saturating_add(1);
        }
    }
    let most = [
        (istiod, TextKind::IstiodLog),
        (ztunnel, TextKind::ZtunnelLog),
        (cni, TextKind::CniLog),
    ]
    .into_iter()
    .max_by_key(|(count, _)| *count);
    match most {
        // A proxy's container has lines of scopes that istiod has too.
        Some((count, kind)) if count > proxy => kind,
        _ => TextKind::Log,
    }
}

impl Text {
    /// A log of which nothing else is known.
    pub fn log() -> Self {
        Self {
            kind: TextKind::Log,
            form: None,
            columns: Vec::new(),
        }
    }

    /// What a line says, if it says anything.
    pub fn fact(&self, line: &[u8]) -> Option<Fact> {
        let line = without_colours(line.trim_ascii());
        let line = line.as_ref();
        match self.kind {
            TextKind::Analyze => analyze_line(line),
            TextKind::EnvoyClusters => clusters_line(line),
            TextKind::Certs => certs_line(line),
            TextKind::Stats => figures::stat_line(line),
            TextKind::Memory => figures::memory_line(line),
            TextKind::Loggers => lines::logger_line(line),
            TextKind::ProxyStatus
            | TextKind::Endpoints
            | TextKind::Secrets
            | TextKind::Pods
            | TextKind::Top
            | TextKind::TlsCheck
            | TextKind::Events => self.row(line),
            _ => None,
        }
    }

    /// What a row of a table of configuration or objects says, that stands at `at`.
    pub fn statement(&self, line: &[u8], at: Spot) -> Option<Statement> {
        if self.kind != TextKind::Objects || self.columns.is_empty() {
            return None;
        }
        let line = without_colours(line.trim_ascii());
        if table(&line).is_some() {
            return None;
        }
        rows::row(&self.columns, &cells(&line), at)
    }

    fn row(&self, line: &[u8]) -> Option<Fact> {
        let found = cells(line);
        if found.len() < 2 || table(line).is_some() {
            return None;
        }
        let cell = |name: &str| column(&self.columns, &found, name);
        match self.kind {
            TextKind::ProxyStatus => lines::proxy_row(&self.columns, &found),
            TextKind::Endpoints => lines::endpoint_row(cell),
            TextKind::Secrets => lines::secret_row(cell),
            TextKind::Pods => lines::pod_row(cell),
            TextKind::Events => lines::event_row(cell),
            TextKind::Top => figures::top_row(cell),
            TextKind::TlsCheck => lines::tls_check_row(cell),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
