//! What objects of a document say. Everything is bounded: names by [`NAME_BYTES_MAX`], lists by [`LIST_MAX`].

use crate::decode::output::Fact;
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Longest name that is kept: that of a DNS name.
pub const NAME_BYTES_MAX: usize = 253;

/// Items kept of one list.
pub const LIST_MAX: usize = 32;

/// A line of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Its number, from 0.
    pub line: u32,
    /// Bytes of the input before it.
    pub offset_bytes: u64,
}

/// How a proxy, or a rule, opens connections to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tls {
    /// Without TLS.
    Plain,
    /// Mutual TLS to hosts that take it, else none: what Istio does where nothing is said.
    Auto,
    /// Istio's mutual TLS.
    IstioMutual,
    /// Any other TLS.
    Other,
}

/// Bounds of connections and requests; `None` for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounds {
    /// Connections.
    pub connections: Option<u64>,
    /// Requests that wait for a connection.
    pub pending: Option<u64>,
    /// Requests at the same time.
    pub requests: Option<u64>,
    /// Retries at the same time.
    pub retries: Option<u64>,
}

/// A cluster of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// `EDS`, `STRICT_DNS`, `ORIGINAL_DST`, ...; empty if not told.
    pub discovery: String,
    /// How connections are opened; `None` if not told.
    pub tls: Option<Tls>,
    /// Its circuit breaker; `None` if not told.
    pub bounds: Option<Bounds>,
    /// Whether hosts are put out for errors; `None` if not told.
    pub ejects: Option<bool>,
    /// Connect timeout.
    pub connect_timeout_ms: Option<u64>,
    /// The `DestinationRule` behind it: `namespace/name`.
    pub rule: Option<String>,
    /// When the proxy got it.
    pub updated: Option<Timestamp>,
}

/// How paths are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathForm {
    /// The path begins with it.
    Prefix,
    /// The path begins with it, and then ends or goes on with a slash.
    Segments,
    /// The path is it.
    Exact,
    /// A regular expression, which is not tried here.
    Regex,
}

/// A path that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathMatch {
    /// How it is compared.
    pub form: PathForm,
    /// What with.
    pub path: String,
    /// Letter case makes no difference.
    pub ignores_case: bool,
}

/// A condition of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Path; `None` for any.
    pub path: Option<PathMatch>,
    /// Names of what else must fit: `header x-user`, `method`, `port`.
    pub others: Vec<String>,
    /// Its line.
    pub line: Spot,
}

/// Where a route sends requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Cluster of a proxy's route, host of a `VirtualService`'s.
    pub host: String,
    /// Subset, where it is written beside the host.
    pub subset: Option<String>,
    /// Port, where it is written beside the host.
    pub port: Option<u64>,
    /// Its line.
    pub line: Spot,
}

/// A route, of a proxy or of a `VirtualService`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Its name, empty for none.
    pub name: String,
    /// One of these must fit; none: every request does.
    pub conditions: Vec<Condition>,
    /// Where to.
    pub targets: Vec<Target>,
    /// Status that is answered instead.
    pub answers: Option<u64>,
    /// Timeout; `Some(0)` for none.
    pub timeout_ms: Option<u64>,
    /// Times that a request is sent again.
    pub retries: Option<u64>,
    /// True if a fault is injected.
    pub fault: bool,
    /// The `VirtualService` behind a proxy's route: `namespace/name`.
    pub rule: Option<String>,
    /// Its line.
    pub line: Spot,
}

/// A virtual host of a proxy's route table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualHost {
    /// Name of the table, often the port.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Hosts for which it stands.
    pub domains: Vec<String>,
    /// Its routes, in the order in which they are tried.
    pub routes: Vec<Route>,
    /// True if not all are kept.
    pub cut: bool,
    /// When the proxy got it.
    pub updated: Option<Timestamp>,
}

/// What a proxy takes at a port of its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inbound {
    /// Connections with TLS and without, by port; 0 for any other.
    pub ports: BTreeMap<u64, (bool, bool)>,
}

/// Configuration that a proxy refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejected {
    /// Cluster, listener or route table.
    pub name: String,
    /// Why.
    pub details: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// One of the objects that Kubernetes keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// `VirtualService`.
    pub kind: String,
    /// Namespace, empty if it is not told.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub spec: Spec,
}

/// Hosts of a rule by labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subset {
    /// Its name.
    pub name: String,
    /// Labels that its pods have.
    pub labels: BTreeMap<String, String>,
    /// How connections to it are opened, where that is told.
    pub tls: Option<Tls>,
    /// Its line.
    pub line: Spot,
}

/// What a list of values of a policy asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Name of the list: `principals`, `notPaths`.
    pub what: String,
    /// One of these.
    pub values: Vec<String>,
    /// Its line.
    pub line: Spot,
}

/// A rule of a policy: one of `from`, one of `to`, and all of `when`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRule {
    /// Sources; each list of one must fit.
    pub from: Vec<Vec<Wanted>>,
    /// Operations; each list of one must fit.
    pub to: Vec<Vec<Wanted>>,
    /// Further conditions by their key.
    pub when: Vec<String>,
    /// Its line.
    pub line: Spot,
}

/// A port of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// Its name, empty for none.
    pub name: String,
    /// Its number.
    pub port: u64,
    /// Number or name of the pods' port; empty if it is the same number.
    pub target: String,
    /// Line of the target.
    pub line: Spot,
}

/// A server of a `Gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its port.
    pub port: Option<u64>,
    /// `HTTP`, `HTTPS`, `TLS`.
    pub protocol: String,
    /// Hosts that it takes, with their namespace where that is written: `shop/*.example.com`.
    pub hosts: Vec<String>,
    /// `SIMPLE`, `MUTUAL`, `PASSTHROUGH`; empty for none.
    pub tls: String,
    /// Name of the secret with its certificate.
    pub credential: String,
    /// Line of its first host.
    pub line: Spot,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Ports that it declares, by name (or number).
    pub ports: BTreeMap<String, u64>,
    /// Line of the first port, or of the container.
    pub line: Spot,
}

/// What an object says by its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// `VirtualService`.
    VirtualService {
        /// Hosts.
        hosts: Vec<String>,
        /// Gateways; none: the mesh.
        gateways: Vec<String>,
        /// Routes of HTTP, in the order in which they are tried.
        routes: Vec<Route>,
        /// Targets of TCP and TLS.
        streams: Vec<Target>,
    },
    /// `DestinationRule`.
    DestinationRule {
        /// Host.
        host: String,
        /// How connections are opened, where that is told.
        tls: Option<Tls>,
        /// Line where it is told.
        tls_line: Spot,
        /// Connection pool.
        bounds: Bounds,
        /// Line of the connection pool.
        bounds_line: Spot,
        /// True if hosts are put out for errors.
        ejects: bool,
        /// Subsets.
        subsets: Vec<Subset>,
    },
    /// `PeerAuthentication`.
    PeerAuthentication {
        /// Labels of the pods for which it is; none: all.
        selector: BTreeMap<String, String>,
        /// `STRICT`, `PERMISSIVE`, `DISABLE`; empty if it is not told.
        mode: String,
        /// Line of the mode.
        mode_line: Spot,
        /// Modes by port.
        ports: BTreeMap<u64, String>,
    },
    /// `AuthorizationPolicy`.
    AuthorizationPolicy {
        /// Labels of the pods for which it is; none: all.
        selector: BTreeMap<String, String>,
        /// Services and gateways for which it is.
        targets: Vec<String>,
        /// `ALLOW`, `DENY`, `AUDIT`, `CUSTOM`.
        action: String,
        /// Rules.
        rules: Vec<PolicyRule>,
    },
    /// `Sidecar`: hosts of which its proxies are told.
    Sidecar {
        /// Labels of the pods for which it is; none: all.
        selector: BTreeMap<String, String>,
        /// Hosts.
        hosts: Vec<String>,
    },
    /// `ServiceEntry`.
    ServiceEntry {
        /// Hosts.
        hosts: Vec<String>,
        /// `DNS`, `STATIC`, `NONE`.
        resolution: String,
        /// Addresses that are written into it.
        endpoints: u64,
    },
    /// `Service`.
    Service {
        /// Ports.
        ports: Vec<ServicePort>,
        /// Labels of its pods.
        selector: BTreeMap<String, String>,
    },
    /// `Endpoints`, `EndpointSlice`.
    Endpoints {
        /// The service.
        service: String,
        /// Addresses that are ready.
        ready: u64,
        /// Addresses that are not.
        unready: u64,
    },
    /// `Pod`.
    Pod {
        /// Service account.
        account: String,
        /// Its address.
        ip: String,
        /// Containers, those of a sidecar that is an init container among them.
        containers: Vec<Container>,
        /// What is wrong with it, empty if nothing.
        trouble: String,
    },
    /// `Deployment`, `StatefulSet`, `ReplicaSet`, `DaemonSet`.
    Workload {
        /// Pods wanted.
        replicas: Option<u64>,
        /// Pods ready.
        ready: u64,
        /// Labels of its pods.
        pod_labels: BTreeMap<String, String>,
        /// Line of the number of pods wanted.
        replicas_line: Spot,
    },
    /// `Gateway` of Istio's own kind.
    Gateway {
        /// Labels of the gateway's pods.
        selector: BTreeMap<String, String>,
        /// Its servers.
        servers: Vec<Server>,
    },
    /// `Telemetry`, of which what it leaves out of the access log is read.
    Telemetry {
        /// Labels of the pods for which it is; none: all.
        selector: BTreeMap<String, String>,
        /// The expression of the rows that are kept, empty if none are; and its line.
        left_out: Option<(String, Spot)>,
    },
    /// Any other kind of Istio's: it is there.
    Other,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Pod of the proxy whose whole configuration the document is.
    Proxy(String),
    /// A cluster.
    Cluster(Cluster),
    /// A virtual host.
    VirtualHost(VirtualHost),
    /// What the proxy takes.
    Inbound(Inbound),
    /// Something refused.
    Rejected(Rejected),
    /// Something that a line of other saved output says too.
    Fact(Fact),
    /// A message of the analyzer, with the line that it prints for people.
    Message(Fact, String),
    /// An object.
    Object(Object),
    /// A format string of access logs, of the mesh configuration.
    AccessLogFormat(String),
}

/// A statement with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The line that names it.
    pub line: Spot,
    /// What is said.
    pub statement: Statement,
}
