//! Lines of a proxy's log to [`Line`]s: what wraps the line, and what stands inside.
//!
//! [`LogDecoder`] reads blocks, [`may_cut`] tells where one may end.

mod access_exact;
mod access_json;
mod access_text;
mod application;
mod block;
mod component;
mod entries;
mod envelope;
mod json;
mod layout;
mod number;
mod row;
#[cfg(test)]
mod samples;
mod scan;
mod start;
mod time;
mod wrapper;

pub use access_text::PlainRow;
pub use application::{ApplicationLine, application_line};
pub use block::{LineAt, LineSink, LogDecoder, may_cut, may_cut_with};
pub(in crate::decode) use entries::begins_array_of_entries;
pub use entries::holds_entries;
pub use layout::{Layout, LayoutError, Layouts};
pub use row::{ClassBytes, Row};
pub(crate) use scan::{AesHash, short_words};
pub(crate) use wrapper::without_wrappers;

use crate::units::Timestamp;

/// A record joined from pieces, or unescaped, may not be longer: 64 times what container runtimes cut at.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What a line says about itself through its wrappers (CRI, docker json-file, kubectl's options).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrapping<'block> {
    /// The wrappers peeled, outermost first.
    pub kinds: WrapperSet,
    /// Time that the outermost timing wrapper gives (the time of writing, not of the request).
    pub written: Option<Timestamp>,
    /// Pod named by `kubectl logs --prefix`, by `stern`, or by who collected the line.
    pub pod: Option<&'block [u8]>,
    /// Namespace named by who collected it.
    pub namespace: Option<&'block [u8]>,
    /// Container, as the pod.
    pub container: Option<&'block [u8]>,
}

/// The wrappers around a line, outermost first, four bits each, at most [`WrapperSet::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WrapperSet(pub u16);

/// One kind of wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wrapper {
    /// Container runtime interface log: `<RFC 3339> stdout|stderr F|P[:tags] <text>`.
    Cri = 1,
    /// docker's json-file driver: `{"log":"..\n","stream":"..","time":".."}`.
    DockerJson = 2,
    /// `kubectl logs --prefix`: `[pod/<pod>/<container>] <text>`.
    KubectlPrefix = 3,
    /// `kubectl logs --timestamps`: `<RFC 3339> <text>`.
    KubectlTimestamps = 4,
    /// An object of JSON of a collector or store of logs.
    Json = 5,
    /// `stern`: `<pod> <container> <text>`.
    Stern = 6,
}

impl Wrapper {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::DockerJson => "docker-json",
            Self::KubectlPrefix => "kubectl-prefix",
            Self::KubectlTimestamps => "kubectl-timestamps",
            Self::Json => "json",
            Self::Stern => "stern",
        }
    }
}

impl WrapperSet {
    /// How deep wrappers may be stacked.
    pub const MAX: u32 = 4;

    /// This set with `wrapper` inside it; unchanged when it is full.
    #[must_use]
    pub fn with(self, wrapper: Wrapper) -> Self {
        let depth = self.depth();
        if depth >= Self::MAX {
            self
        } else {
            Self(self.0 | (wrapper as u16).wrapping_shl(depth.wrapping_mul(4)))
        }
    }

    /// How many wrappers there are.
    pub fn depth(self) -> u32 {
        u16::BITS.wrapping_sub(self.0.leading_zeros()).div_ceil(4)
    }

    /// The wrappers, outermost first.
    pub fn iter(self) -> impl Iterator<Item = Wrapper> {
        (0..Self::MAX).filter_map(move |i| match self.0.wrapping_shr(i.wrapping_mul(4)) & 0xf {
            1 => Some(Wrapper::Cri),
            2 => Some(Wrapper::DockerJson),
            3 => Some(Wrapper::KubectlPrefix),
            4 => Some(Wrapper::KubectlTimestamps),
            5 => Some(Wrapper::Json),
            6 => Some(Wrapper::Stern),
            _ => None,
        })
    }
}

/// Which access-log layout a row was read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessFormat {
    /// Istio's default text line since 1.9 (22 tokens).
    IstioText,
    /// Istio's default text line of 1.8 (transport failure reason, no details).
    IstioText18,
    /// Istio's default text line of 1.2 to 1.7 (mixer status).
    IstioTextMixer,
    /// Istio's default text line of 1.0 and 1.1.
    IstioText10,
    /// Istio's default JSON encoding, any key order.
    IstioJson,
    /// Envoy's own default text line.
    EnvoyText,
    /// A ztunnel's line for a connection, as text or JSON.
    Ztunnel,
    /// A layout of the user's own, by its format string.
    Custom,
}

impl AccessFormat {
    /// Every layout, in the order of [`Self::index`].
    pub const ALL: [Self; 8] = [
        Self::IstioText,
        Self::IstioText18,
        Self::IstioTextMixer,
        Self::IstioText10,
        Self::IstioJson,
        Self::EnvoyText,
        Self::Ztunnel,
        Self::Custom,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::IstioText => "istio-text",
            Self::IstioText18 => "istio-text-1.8",
            Self::IstioTextMixer => "istio-text-1.2",
            Self::IstioText10 => "istio-text-1.0",
            Self::IstioJson => "istio-json",
            Self::EnvoyText => "envoy-text",
            Self::Ztunnel => "ztunnel",
            Self::Custom => "custom",
        }
    }

    /// A dense number for tables.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One row of an access log. A field is `None` where the row says `-` (quoted or not), `null`, or lacks it;
/// `Some(b"")` where it is there and empty. Bytes are as Envoy wrote them, not necessarily UTF-8.
/// Operators: Envoy docs, "Access logging", command operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRow<'block> {
    /// The layout by which it was read.
    pub format: AccessFormat,
    /// `START_TIME`: when the request (HTTP) or connection (TCP) began, not when the row was written.
    pub start: Option<Timestamp>,
    /// `REQ(:METHOD)`.
    pub method: Option<&'block [u8]>,
    /// `REQ(X-ENVOY-ORIGINAL-PATH?:PATH)`.
    pub path: Option<&'block [u8]>,
    /// `PROTOCOL`; `None` on rows of TCP connections.
    pub protocol: Option<&'block [u8]>,
    /// `RESPONSE_CODE`; 0 where no response began and on TCP rows.
    pub code: u16,
    /// `RESPONSE_FLAGS`: a comma-separated set.
    pub flags: Option<&'block [u8]>,
    /// `RESPONSE_CODE_DETAILS`.
    pub details: Option<&'block [u8]>,
    /// `CONNECTION_TERMINATION_DETAILS`.
    pub termination: Option<&'block [u8]>,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`.
    pub failure_reason: Option<&'block [u8]>,
    /// `BYTES_RECEIVED`.
    pub bytes_received: u64,
    /// `BYTES_SENT`.
    pub bytes_sent: u64,
    /// `DURATION` in milliseconds.
    pub duration_ms: Option<u64>,
    /// `RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)` in milliseconds.
    pub upstream_ms: Option<u64>,
    /// `REQ(X-REQUEST-ID)`.
    pub request_id: Option<&'block [u8]>,
    /// `REQ(:AUTHORITY)`.
    pub authority: Option<&'block [u8]>,
    /// `REQ(USER-AGENT)`.
    pub user_agent: Option<&'block [u8]>,
    /// `UPSTREAM_HOST`.
    pub upstream_host: Option<&'block [u8]>,
    /// `UPSTREAM_CLUSTER` or `UPSTREAM_CLUSTER_RAW`, without the `;` that some releases append.
    pub cluster: Option<&'block [u8]>,
    /// `UPSTREAM_LOCAL_ADDRESS`.
    pub upstream_local: Option<&'block [u8]>,
    /// `DOWNSTREAM_LOCAL_ADDRESS`.
    pub downstream_local: Option<&'block [u8]>,
    /// `DOWNSTREAM_REMOTE_ADDRESS`.
    pub downstream_remote: Option<&'block [u8]>,
    /// `REQUESTED_SERVER_NAME`.
    pub sni: Option<&'block [u8]>,
    /// `ROUTE_NAME`.
    pub route: Option<&'block [u8]>,
    /// gRPC status where the row has one (`GRPC_STATUS_NUMBER` or a JSON key of that meaning).
    pub grpc_status: Option<u8>,
    /// Runs of the line which together hold every field that decides how the row is classified: protocol to
    /// failure reason; authority to cluster; downstream local address to the remote address's ip; SNI and
    /// route. Rows with equal runs are of one class. An accelerator: `None` where fields do not lie so.
    pub class_spans: Option<[&'block [u8]; 4]>,
}

impl AccessRow<'_> {
    /// A row of which nothing is known.
    pub(crate) const fn empty(format: AccessFormat) -> Self {
        Self {
            format,
            start: None,
            method: None,
            path: None,
            protocol: None,
            code: 0,
            flags: None,
            details: None,
            termination: None,
            failure_reason: None,
            bytes_received: 0,
            bytes_sent: 0,
            duration_ms: None,
            upstream_ms: None,
            request_id: None,
            authority: None,
            user_agent: None,
            upstream_host: None,
            cluster: None,
            upstream_local: None,
            downstream_local: None,
            downstream_remote: None,
            sni: None,
            route: None,
            grpc_status: None,
            class_spans: None,
        }
    }
}

/// Severity of a component line, as printed by Envoy or Istio's Go programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
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

impl Level {
    /// Every level, least first.
    pub const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];

    /// The name in reports.
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

/// Which program wrote a component line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Envoy itself.
    Envoy,
    /// pilot-agent (or another of Istio's Go programs) in the same container.
    PilotAgent,
}

/// One component line (the first line of a message).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentLine<'block> {
    /// Who wrote it.
    pub component: Component,
    /// When.
    pub time: Option<Timestamp>,
    /// How severe.
    pub level: Level,
    /// Logger or scope (`main`, `config`, `xdsproxy`), empty if none.
    pub scope: &'block [u8],
    /// The message with what follows it on the line (but not `thread=`).
    pub message: &'block [u8],
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "records live on the stack for one line and are never stored"
)]
pub enum Content<'block> {
    /// A row of an access log.
    Access(AccessRow<'block>),
    /// The first line of a component message.
    Component(ComponentLine<'block>),
    /// A further line of the component message before it.
    Continuation(&'block [u8]),
    /// Nothing, or white space only.
    Blank,
    /// None of these.
    Unknown(Reject),
}

/// Why a line was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reject {
    /// Looks like an access row but the fields do not add up (cut off, wrapped, edited).
    AccessShape,
    /// Looks like an access row or component line with a date that does not exist.
    Date,
    /// A JSON object that is cut off or malformed.
    Json,
    /// A number beyond 64 bits.
    Number,
    /// Holds NUL or mostly unprintable bytes.
    Binary,
    /// Text of no known form.
    Form,
}

impl Reject {
    /// Every reason, in the order of `as usize`.
    pub const ALL: [Self; 6] = [
        Self::AccessShape,
        Self::Date,
        Self::Json,
        Self::Number,
        Self::Binary,
        Self::Form,
    ];

    /// What to tell the user.
    pub fn text(self) -> &'static str {
        match self {
            Self::AccessShape => "starts as an access-log row but its fields do not add up",
            Self::Date => "a date or time that does not exist",
            Self::Json => "a JSON object that is cut off or malformed",
            Self::Number => "a number beyond 64 bits",
            Self::Binary => "binary data",
            Self::Form => "text of no known log format",
        }
    }
}

/// One line, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'block> {
    /// What wrapped it.
    pub wrapping: Wrapping<'block>,
    /// What stands inside.
    pub content: Content<'block>,
}
