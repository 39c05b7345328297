//! What a row is about, worked out once for all rows alike: who reports, who called whom by which cluster
//! and route, and how it ended.

use super::address::{self, ClusterName};
use super::bounded::Key;
use super::flags::{self, Outcome, OutcomeFacts};
use super::text;
use crate::catalog::FlagTable;
use crate::decode::log::{AccessFormat, AccessRow, Row};

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
    "upstream request timeout",
    "RBAC: access denied",
    "local_rate_limited",
    "Jwt is expired",
];

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

/// What rows of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// Hash of all the rest ([`GroupKey::hashed`]). It is compared first: the texts of two keys are mostly the same up to
    /// one of the last.
    pub hash: u64,
    /// Which proxy wrote the row: its pod, or `input:<path>` where the pod is not known.
    pub proxy: String,
    /// Caller's or called proxy.
    pub reporter: Reporter,
    /// Ip of the caller on rows of the called proxy, else empty.
    pub peer: String,
    /// Called service as `host:port`, as far as the row tells (see [`RowClass::destination_alias`]).
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
    /// True where an upstream connection was made (`UPSTREAM_LOCAL_ADDRESS` is set).
    pub connected: bool,
    /// True where the caller named a server by TLS (`REQUESTED_SERVER_NAME` is set).
    pub tls: bool,
    /// How it ended.
    pub outcome: Outcome,
}

impl GroupKey {
    /// The flags one by one.
    pub fn flag_tokens(&self) -> impl Iterator<Item = &str> {
        self.flags.split(',').filter(|f| !f.is_empty())
    }

    /// True if the row has this flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        // Most rows have no flag or one.
        self.flags == flag || (self.flags.len() > flag.len() && self.flag_tokens().any(|f| f == flag))
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
    /// The key with the hash of its fields.
    #[must_use]
    pub fn hashed(mut self) -> Self {
        let parts = [
            &self.proxy,
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
        let seed = u64::from(self.proxy_body) << 24
            | u64::from(self.code) << 8
            | u64::from(self.tls) << 5
            | u64::from(self.tcp) << 4
            | u64::from(self.connected) << 3
            | (self.outcome as u64) << 1
            | self.reporter as u64;
        self.hash = parts
            .iter()
            .fold(seed, |hash, part| super::stable_hash_with(hash, part.as_bytes()));
        self
    }
}

/// All that is derived from the first row of a class.
#[derive(Clone, Debug)]
pub struct RowClass {
    /// Its group.
    pub key: GroupKey,
    /// Protocol, empty on TCP rows.
    pub protocol: String,
    /// Flags one by one.
    pub flags: Vec<String>,
    /// The address of the pod that wrote the row, where the row tells.
    pub own_ip: Option<String>,
    /// A short or virtual name of the destination and what it stands for, where the row tells both.
    pub destination_alias: Vec<(String, String)>,
    /// True where the connection to the upstream was never made: the failure belongs to the row's start.
    pub connect_failure: bool,
}

impl RowClass {
    /// Works out the class of a row written by `proxy`.
    pub fn of(row: &AccessRow<'_>, proxy: &str, table: &FlagTable) -> Self {
        let cluster = row.cluster.map(text).unwrap_or_default();
        let details = row.details.map(text).unwrap_or_default();
        let termination = row.termination.map(text).unwrap_or_default();
        let flags = flags::tokens(row.flags);
        let tcp = row.protocol.is_none() && row.method.is_none();
        let reporter = reporter(row, &cluster, &details);
        let facts = OutcomeFacts {
            code: row.code,
            flags: &flags,
            details: &details,
            termination: &termination,
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
        let connected = row.upstream_local.is_some();
        let key = GroupKey {
            hash: 0,
            proxy: proxy.to_owned(),
            reporter,
            peer: peer.unwrap_or_default(),
            cluster,
            host: row.upstream_host.map(text).unwrap_or_default(),
            route: row.route.map(text).unwrap_or_default(),
            code: row.code,
            proxy_body: proxy_body(row.class_bytes().error_body),
            flags: flags.join(","),
            details,
            termination,
            failure_reason: row.failure_reason.map(text).unwrap_or_default(),
            tcp,
            connected,
            tls: row.sni.is_some(),
            outcome,
            destination,
        }
        .hashed();
        Self {
            protocol: row.protocol.map(text).unwrap_or_default(),
            own_ip: own_ip(row, reporter),
            destination_alias: aliases(row, &key),
            connect_failure: !connected && flags.iter().any(|f| f == "UF"),
            flags,
            key,
        }
    }

    /// The namespace of the caller, where it left it to DNS: a name without dots is of a service in the pod's own namespace, which
    /// comes first in its search list (Kubernetes, "DNS for Services and Pods").
    pub fn own_namespace(&self) -> Option<&str> {
        if self.key.reporter != Reporter::Source {
            return None;
        }
        let mut names = self.destination_alias.iter().map(|(alias, _)| alias);
        let short = names.find(|alias| !alias.contains('.'))?;
        let host = address::port(short).and_then(|port| short.strip_suffix(port)?.strip_suffix(':'));
        let is_its_name = host.unwrap_or(short) == address::short_service(&self.key.destination);
        address::service_namespace(&self.key.destination).filter(|_| is_its_name)
    }
}

fn reporter(row: &AccessRow<'_>, cluster: &str, details: &str) -> Reporter {
    if cluster.starts_with("inbound") || cluster.starts_with("InboundPassthrough") {
        return Reporter::Destination;
    }
    if !cluster.is_empty() {
        return Reporter::Source;
    }
    // No cluster: refused before routing. Only the called side sees Istio's own SNI, lacks a filter chain for
    // what the caller sent, or finds the caller's bytes to be no HTTP.
    let istio_sni = row.sni.is_some_and(|sni| sni.starts_with(b"outbound_."));
    if istio_sni || details == "filter_chain_not_found" || details.starts_with("http1.codec_error") {
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

fn own_ip(row: &AccessRow<'_>, reporter: Reporter) -> Option<String> {
    // A waypoint takes what was sent to the address of a service.
    let waypoint = row
        .cluster
        .is_some_and(|cluster| cluster.starts_with(b"inbound-vip|"));
    let address = match reporter {
        Reporter::Source => row.upstream_local?,
        Reporter::Destination if waypoint => return None,
        Reporter::Destination => row.downstream_local?,
    };
    address::ip(address)
        .filter(|ip| !ip.is_empty() && !address::is_loopback(ip))
        .map(text)
}

/// Other names under which the destination appears on rows that lack its cluster or server name: the authority,
/// the virtual address, the address of the pod.
fn aliases(row: &AccessRow<'_>, key: &GroupKey) -> Vec<(String, String)> {
    let full = ClusterName::parse(&key.cluster).is_some_and(|c| !c.host.is_empty())
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
    names
        .filter(|name| *name != key.destination)
        .map(|name| (name, key.destination.clone()))
        .collect()
}
