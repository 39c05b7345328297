//! What a row is about, worked out once for all rows alike: who reports, who called whom by which cluster
//! and route, and how it ended. What rows say by themselves ([`RowShape`]) is told apart from who wrote them: the proxies of
//! a mesh say much the same.

use super::address::{self, ClusterName};
use super::bounded::Key;
use super::flags::{self, Outcome, OutcomeFacts};
use super::{stable_hash, stable_hash_joined, stable_hash_with, text};
use crate::catalog::FlagTable;
use crate::decode::log::{AccessFormat, AccessRow, Row};
use crate::matcher::SignatureIndex;
use std::ops::Deref;
use std::sync::Arc;

/// Which proxy of a hop wrote a row, as in Istio's metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reporter {
    /// The caller's proxy (outbound rows).
    Source,
    /// The called proxy (inbound rows).
    Destination,
}

impl Reporter {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Source, Self::Destination];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Bodies that Envoy writes when it answers in the upstream's stead (its filters `router`, `rbac`,
/// `local_ratelimit`, `jwt_authn`). A caller's proxy that gets such an answer from the called proxy takes it for the application's
/// (`via_upstream`, no flag); its length is what tells.
pub const PROXY_BODIES: [&str; 16] = [
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
    "upstream connect error or disconnect/reset before headers. reset reason: local connection failure",
    "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
    "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
    "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "upstream connect error or disconnect/reset before headers. reset reason: connection failure, transport failure reason: delayed connect error: 111",
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: 111",
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
    "upstream connect error or disconnect/reset before headers. reset reason: remote reset",
    "upstream connect error or disconnect/reset before headers. reset reason: local reset",
    "no healthy upstream",
    TIMEOUT_BODY,
    "RBAC: access denied",
    "local_rate_limited",
    "Jwt is expired",
];

/// The body of an answer that Envoy made since the upstream gave none in time.
const TIMEOUT_BODY: &str = "upstream request timeout";

/// The length of the body of an error that came from the upstream (see [`crate::decode::log::ClassBytes::error_body`]), where it is that of a body
/// of [`PROXY_BODIES`]; else 0. Few lengths, so that an application's own bodies make no classes of their own.
#[inline]
pub fn proxy_body(error_body: Option<u64>) -> u16 {
    error_body.map_or(0, known_body)
}

#[cold]
fn known_body(bytes: u64) -> u16 {
    match u16::try_from(bytes) {
        Ok(length) if PROXY_BODIES.iter().any(|body| body.len() == usize::from(length)) => length,
        _ => 0,
    }
}

/// What rows of one group say, whoever wrote them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupTraits {
    /// Caller's or called proxy.
    pub reporter: Reporter,
    /// Ip of the caller on rows of the called proxy, else empty.
    pub peer: String,
    /// Called service as `host:port`, as far as the row tells (see [`RowShape::aliases`]).
    pub destination: String,
    /// Envoy cluster, empty if none.
    pub cluster: String,
    /// Upstream host `ip:port`, empty if none.
    pub host: String,
    /// Route name, empty if none.
    pub route: String,
    /// Status code.
    pub code: u16,
    /// Length of the body, where the upstream answered an error as long as one that Envoy writes itself ([`proxy_body`]),
    /// else 0.
    pub proxy_body: u16,
    /// Flags, sorted, joined by commas.
    pub flags: String,
    /// Response code details, empty if none.
    pub details: String,
    /// Connection termination details, empty if none.
    pub termination: String,
    /// Upstream transport failure reason, empty if none.
    pub failure_reason: String,
    /// True on rows of TCP connections.
    pub tcp: bool,
    /// True where an upstream connection was made: `UPSTREAM_LOCAL_ADDRESS` is set, or in layouts without it an answer came or the
    /// connection broke.
    pub connected: bool,
    /// True where the caller named a server by TLS (`REQUESTED_SERVER_NAME` is set).
    pub tls: bool,
    /// How it ended.
    pub outcome: Outcome,
}

impl GroupTraits {
    /// The flags one by one.
    pub fn flag_tokens(&self) -> impl Iterator<Item = &str> {
        self.flags.split(',').filter(|f| !f.is_empty())
    }

    /// True if the row has this flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        // Most rows have no flag or one.
        self.flags == flag || (self.flags.len() > flag.len() && self.flag_tokens().any(|f| f == flag))
    }

    /// True if the upstream gave the status. Layouts without `RESPONSE_CODE_DETAILS` (Istio before 1.9, and many of users' own) do not
    /// say so: there it is a status without a flag on a connection that was made, for Envoy flags what it answers in the upstream's
    /// stead, all but URX. Its own time-out may stand on such a row without a flag where the layout has no flags either: the body tells.
    pub fn is_answered(&self) -> bool {
        if !self.details.is_empty() {
            return self.details == "via_upstream";
        }
        let own_timeout = self.code == 504 && usize::from(self.proxy_body) == TIMEOUT_BODY.len();
        !self.tcp
            && self.connected
            && self.code != 0
            && matches!(self.flags.as_str(), "" | "URX")
            && !own_timeout
    }

    /// True if the row says nothing of why it ended so, but by its flags.
    pub fn is_untold(&self) -> bool {
        self.details.is_empty() && self.failure_reason.is_empty() && self.termination.is_empty()
    }

    /// What [`GroupKey::new`] needs to hash these and a proxy's name.
    pub fn hashes(&self) -> TraitHashes {
        let texts = [
            &self.peer,
            &self.destination,
            &self.cluster,
            &self.host,
            &self.route,
            &self.flags,
            &self.details,
            &self.termination,
            &self.failure_reason,
        ];
        let numbers = u64::from(self.proxy_body) << 24
            | u64::from(self.code) << 8
            | u64::from(self.tls) << 5
            | u64::from(self.tcp) << 4
            | u64::from(self.connected) << 3
            | (self.outcome as u64) << 1
            | self.reporter as u64;
        TraitHashes {
            numbers,
            texts: texts.map(|text| stable_hash(text.as_bytes())),
        }
    }
}

/// Hashes of the texts of [`GroupTraits`], and their numbers: the same traits are seen at many proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraitHashes {
    numbers: u64,
    texts: [u64; 9],
}

/// What rows of one group have in common. Its [`GroupTraits`] are at hand as if they were its own fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// Hash of all the rest. It is compared first: the texts of two keys are mostly the same up to one of the last.
    pub hash: u64,
    /// Which proxy wrote the row: its pod, or `input:<path>` where the pod is not known.
    pub(super) proxy: Arc<str>,
    /// What the rows say.
    pub traits: Arc<GroupTraits>,
}

impl Deref for GroupKey {
    type Target = GroupTraits;

    fn deref(&self) -> &GroupTraits {
        &self.traits
    }
}

impl Key for GroupKey {
    type Lump = (Reporter, bool, Outcome);

    fn key_hash(&self) -> u64 {
        self.hash
    }

    fn lump(&self) -> Self::Lump {
        (self.reporter, self.tcp, self.outcome)
    }
}

impl GroupKey {
    /// The key of rows that `proxy` wrote; `hashes` are those of `traits`.
    pub fn new(proxy: Arc<str>, traits: Arc<GroupTraits>, hashes: &TraitHashes) -> Self {
        let first = stable_hash_with(hashes.numbers, proxy.as_bytes());
        let hash = hashes
            .texts
            .iter()
            .fold(first, |hash, text| stable_hash_joined(hash, *text));
        Self { hash, proxy, traits }
    }

    /// True if the rows did not go well, or a flag says that something was the matter.
    pub fn is_remarkable(&self) -> bool {
        self.outcome != Outcome::Ok || !self.flags.is_empty()
    }

    /// Which proxy wrote the row: its pod, or `input:<path>` where the pod is not known.
    pub fn proxy(&self) -> &str {
        &self.proxy
    }
}

/// All that is derived from the first row of a class, whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowShape {
    /// What its group shares.
    pub traits: Arc<GroupTraits>,
    /// Their hashes.
    pub hashes: TraitHashes,
    /// Protocol, empty on TCP rows.
    pub protocol: String,
    /// Flags one by one.
    pub flags: Vec<String>,
    /// Short and virtual names of the destination, where the row tells it and them.
    pub aliases: Vec<String>,
    /// See [`RowShape::own_namespace`].
    own_namespace: Option<Arc<str>>,
    /// True where the connection to the upstream was never made: the failure belongs to the row's start.
    pub connect_failure: bool,
    /// Signatures that hit each row.
    pub hits: Vec<SignatureIndex>,
}

impl RowShape {
    /// Works out what a row says that `hits` hit.
    pub fn of(row: &AccessRow<'_>, table: &FlagTable, hits: Vec<SignatureIndex>) -> Self {
        let cluster = row.cluster.map(text).unwrap_or_default();
        let details = row.details.map(text).unwrap_or_default();
        let termination = row.termination.map(text).unwrap_or_default();
        let flags = flags::tokens(row.flags, table);
        let tcp = row.protocol.is_none() && row.method.is_none();
        let without_chain = details == "filter_chain_not_found"
            || (tcp && details.is_empty() && flags.iter().any(|flag| flag == "NR"));
        let reporter = reporter(row, &cluster, &details, without_chain);
        let proxy_body = proxy_body(row.class_bytes().error_body);
        let facts = OutcomeFacts {
            code: row.code,
            flags: &flags,
            details: &details,
            termination: &termination,
            own_body: row.upstream_host.is_none() && proxy_body > 0,
            grpc_status: row.grpc_status,
            tcp,
            ztunnel: row.format == AccessFormat::Ztunnel,
        };
        let outcome = flags::outcome(facts, table);
        let destination = destination(row, &cluster, reporter);
        let peer = match reporter {
            Reporter::Source => None,
            Reporter::Destination => row.downstream_remote.and_then(address::ip).map(text),
        };
        let connected = has_connection(row) || flags.iter().any(|flag| BROKEN.contains(&flag.as_str()));
        let traits = GroupTraits {
            reporter,
            peer: peer.unwrap_or_default(),
            cluster,
            host: row.upstream_host.map(text).unwrap_or_default(),
            route: row.route.map(text).unwrap_or_default(),
            code: row.code,
            proxy_body,
            flags: flags.join(","),
            details,
            termination,
            failure_reason: row.failure_reason.map(text).unwrap_or_default(),
            tcp,
            connected,
            tls: row.sni.is_some(),
            outcome,
            destination,
        };
        let aliases = aliases(row, &traits);
        Self {
            protocol: row.protocol.map(text).unwrap_or_default(),
            own_namespace: own_namespace(&traits, &aliases).map(Arc::from),
            aliases,
            connect_failure: !connected && flags.iter().any(|f| f == "UF"),
            flags,
            hits,
            hashes: traits.hashes(),
            traits: Arc::new(traits),
        }
    }

    /// The group of such rows that `proxy` wrote.
    pub fn group(&self, proxy: Arc<str>) -> GroupKey {
        GroupKey::new(proxy, Arc::clone(&self.traits), &self.hashes)
    }

    /// True if nothing is remarkable about the rows: not how they ended, nor what they say.
    pub fn is_plain(&self) -> bool {
        let traits = &self.traits;
        traits.outcome == Outcome::Ok && traits.code < 400 && self.flags.is_empty() && self.hits.is_empty()
    }

    /// The namespace of the caller, where it left it to DNS: a name without dots is of a service in the pod's own namespace, which
    /// comes first in its search list (Kubernetes, "DNS for Services and Pods").
    pub fn own_namespace(&self) -> Option<&Arc<str>> {
        self.own_namespace.as_ref()
    }
}

/// Flags of connections that were there before they broke: `UpstreamConnectionTermination`, `UpstreamRemoteReset` and
/// `UpstreamProtocolError` (Envoy, `stream_info.h`).
const BROKEN: [&str; 3] = ["UC", "UR", "UPE"];

/// True if the row names its upstream connection, or tells of an answer that came on one.
#[inline]
pub fn has_connection(row: &impl Row) -> bool {
    row.upstream_local().is_some() || row.upstream_ms().is_some()
}

fn own_namespace<'t>(traits: &'t GroupTraits, aliases: &[String]) -> Option<&'t str> {
    if traits.reporter != Reporter::Source {
        return None;
    }
    let short = aliases.iter().find(|alias| !alias.contains('.'))?;
    let host = address::port(short).and_then(|port| short.strip_suffix(port)?.strip_suffix(':'));
    let is_its_name = host.unwrap_or(short) == address::short_service(&traits.destination);
    address::service_namespace(&traits.destination).filter(|_| is_its_name)
}

fn reporter(row: &AccessRow<'_>, cluster: &str, details: &str, without_chain: bool) -> Reporter {
    if cluster.starts_with("inbound") || cluster.starts_with("InboundPassthrough") {
        return Reporter::Destination;
    }
    if !cluster.is_empty() {
        return Reporter::Source;
    }
    // No cluster: refused before routing. Only the called side sees Istio's own SNI, lacks a filter chain for
    // what the caller sent, or finds the caller's bytes to be no HTTP.
    let istio_sni = row.sni.is_some_and(|sni| sni.starts_with(b"outbound_."));
    if istio_sni || without_chain || details.starts_with("http1.codec_error") {
        Reporter::Destination
    } else {
        Reporter::Source
    }
}

/// `host:port` of the called service, from the best field that the row has.
fn destination(row: &AccessRow<'_>, cluster: &str, reporter: Reporter) -> String {
    let parsed = ClusterName::parse(cluster);
    if let Some(name) = parsed
        && !name.host.is_empty()
    {
        return format!("{}:{}", name.host, name.port);
    }
    let sni = row.sni.map(text).unwrap_or_default();
    if let Some((host, port)) = address::sni_service(&sni) {
        return format!("{host}:{port}");
    }
    let local = row.downstream_local.map(text).unwrap_or_default();
    let port = parsed.map(|name| name.port).or_else(|| address::port(&local));
    if let Some(authority) = row.authority.filter(|a| !a.is_empty()).map(text) {
        return with_port(authority, port);
    }
    if !sni.is_empty() {
        return with_port(sni, port);
    }
    match (reporter, row.upstream_host) {
        (Reporter::Source, Some(host)) => text(host),
        _ => local,
    }
}

fn with_port(host: String, port: Option<&str>) -> String {
    match (address::port(&host), port) {
        (None, Some(port)) => format!("{host}:{port}"),
        _ => host,
    }
}

/// The address of the pod that wrote a row, where the row tells it.
pub fn own_ip<'row>(row: &AccessRow<'row>, reporter: Reporter) -> Option<&'row [u8]> {
    // A waypoint takes what was sent to the address of a service.
    let waypoint = row
        .cluster
        .is_some_and(|cluster| cluster.starts_with(b"inbound-vip|"));
    let address = match reporter {
        Reporter::Source => row.upstream_local?,
        Reporter::Destination if waypoint => return None,
        // Its application is in the same pod (the host of older versions is 127.0.0.1).
        Reporter::Destination => row.downstream_local.or(row.upstream_host)?,
    };
    address::ip(address).filter(|ip| !ip.is_empty() && !address::is_loopback(ip))
}

/// Other names under which the destination appears on rows that lack its cluster or server name: the authority,
/// the virtual address, the address of the pod.
fn aliases(row: &AccessRow<'_>, traits: &GroupTraits) -> Vec<String> {
    let full = ClusterName::parse(&traits.cluster).is_some_and(|c| !c.host.is_empty())
        || row.sni.is_some_and(|sni| sni.starts_with(b"outbound_."));
    if !full {
        return Vec::new();
    }
    let local = row.downstream_local.map(text);
    let port = local.as_deref().and_then(address::port);
    let authority = row
        .authority
        .filter(|a| !a.is_empty())
        .map(|a| with_port(text(a), port));
    let host = row.upstream_host.map(text);
    let names = [authority, local, host].into_iter().flatten();
    names.filter(|name| *name != traits.destination).collect()
}
