//! Which pod has which address, and what a service's other names stand for, by the majority of rows; and what the
//! addresses in captures are called, by the logs first and then by what packets tell themselves.

use super::join::MAX_ROWS_WITHOUT_CAPTURES;
use crate::aggregate::bounded::{Bounded, Key};
use crate::aggregate::class::{GroupKey, Reporter};
use crate::aggregate::totals::Votes;
use crate::aggregate::{Merge, Totals, address};
use crate::decode::packet::{Address, Endpoint};
use crate::streams::CapturePoint;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The names of an incident.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pods: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
    /// What is called at `ip:port`.
    endpoints: BTreeMap<String, String>,
    /// What is at an address whose pod's log was not read.
    hosts: BTreeMap<String, String>,
    /// SPIFFE ids of pods, by their certificates.
    identities: BTreeMap<String, String>,
    /// SPIFFE ids by service account, where only one has it: so hosts are called whose pod is not known.
    accounts: BTreeMap<String, Option<String>>,
    /// The one service that is called at a called proxy, where rows lack it that lack the address that was called.
    served: BTreeMap<String, Option<String>>,
    /// In which namespace a proxy is.
    namespaces: BTreeMap<String, String>,
    /// Namespaces of services and proxies.
    all_namespaces: BTreeSet<String>,
}

/// What a caller is called of whom nothing is known, not even its address.
pub const UNKNOWN: &str = "unknown";

/// The name of a proxy whose pod is not known starts with this; the rest is the input's path.
pub const UNNAMED: &str = "input:";

impl Names {
    /// Settles the votes of `totals`.
    pub fn of(totals: &Totals) -> Self {
        let mut names = Self {
            pods: settled(&totals.addresses),
            services: settled(&totals.aliases),
            ..Self::default()
        };
        if !totals.captures.is_empty() {
            names.name_captured(totals);
        }
        names.name_by_requests(totals);
        names.name_served(totals);
        names.place(totals);
        names
    }

    /// Names the callers of called proxies' rows by the rows on the same requests: layouts without `UPSTREAM_LOCAL_ADDRESS` do not
    /// tell the address of the pod that calls.
    fn name_by_requests(&mut self, totals: &Totals) {
        let known: BTreeSet<&str> = self.pods.values().map(String::as_str).collect();
        let groups = totals.groups.iter().map(|(key, _)| key);
        let wanted: HashMap<u64, &GroupKey> = groups
            .filter(|key| match key.reporter {
                Reporter::Source => !key.tcp && !known.contains(key.proxy()),
                Reporter::Destination => !key.peer.is_empty() && !self.pods.contains_key(&key.peer),
            })
            .map(|key| (key.key_hash(), key))
            .collect();
        let of = |reporter| wanted.values().any(|key| key.reporter == reporter);
        if !(of(Reporter::Source) && of(Reporter::Destination)) {
            return;
        }
        let followed = totals.followed.rows(MAX_ROWS_WITHOUT_CAPTURES);
        let mut rows: Vec<(u64, &GroupKey)> = followed
            .iter()
            .filter_map(|row| Some((row.request()?, *wanted.get(&row.group)?)))
            .collect();
        rows.sort_unstable();
        let mut votes: BTreeMap<String, Votes> = BTreeMap::new();
        for request in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let (callers, called): (Vec<_>, Vec<_>) = request
                .iter()
                .map(|(_, key)| *key)
                .partition(|key| key.reporter == Reporter::Source);
            for row in called {
                let service = self.service(&row.destination);
                let mut pods = callers
                    .iter()
                    .filter(|caller| self.service(&caller.destination) == service)
                    .map(|caller| caller.proxy());
                // The same request may have come to the service by way of several.
                if let Some(pod) = pods.next().filter(|pod| pods.all(|other| other == *pod)) {
                    let vote = Votes(BTreeMap::from([(pod.to_owned(), 1)]));
                    votes.entry(row.peer.clone()).or_default().merge(vote);
                }
            }
        }
        for (ip, votes) in votes {
            if let Some(pod) = votes.winner() {
                self.pods.insert(ip, pod.to_owned());
            }
        }
    }

    /// What is called at proxies that have rows of nothing: connections that were ended before they asked, in layouts without
    /// `DOWNSTREAM_LOCAL_ADDRESS`.
    fn name_served(&mut self, totals: &Totals) {
        let called = || {
            let keys = totals.groups.iter().map(|(key, _)| key);
            keys.filter(|key| key.reporter == Reporter::Destination)
        };
        let mut served: BTreeMap<String, Option<String>> = called()
            .filter(|key| key.destination.is_empty())
            .map(|key| (key.proxy().to_owned(), None))
            .collect();
        if served.is_empty() {
            return;
        }
        let mut several: BTreeSet<&str> = BTreeSet::new();
        for key in called().filter(|key| !key.destination.is_empty()) {
            let Some(service) = served.get_mut(key.proxy()) else {
                continue;
            };
            let name = self.service(&key.destination);
            match service {
                None => *service = Some(name.to_owned()),
                Some(known) if known != name => {
                    several.insert(key.proxy());
                }
                Some(_) => {}
            }
        }
        served.retain(|proxy, service| service.is_some() && !several.contains(proxy.as_str()));
        self.served = served;
    }

    /// What a group's rows call: its service by its full name, or the workload of a called proxy whose rows do not tell.
    pub fn called<'a>(&'a self, key: &'a GroupKey) -> &'a str {
        if key.destination.is_empty() && key.reporter == Reporter::Destination {
            let service = self.served.get(key.proxy()).and_then(Option::as_deref);
            return service.unwrap_or_else(|| proxy_name(key.proxy()));
        }
        self.service(&key.destination)
    }

    /// Which proxy is in which namespace: by the path of its log, by the services whose rows it has as the called
    /// side, by its certificate, by the names that it leaves to DNS, in this order.
    fn place(&mut self, totals: &Totals) {
        let mut namespaces = settled(&totals.namespaces);
        for (ip, identity) in settled(&totals.captures.names.identities) {
            if let Some(account) = service_account(&identity) {
                let known = self.accounts.entry(account.to_owned());
                let known = known.or_insert_with(|| Some(identity.clone()));
                *known = known.take().filter(|known| *known == identity);
            }
            let Some(pod) = self.pods.get(&ip) else { continue };
            if let Some(namespace) = identity_namespace(&identity) {
                namespaces.insert(pod.clone(), namespace.to_owned());
            }
            self.identities.insert(pod.clone(), identity);
        }
        let mut served: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut all: BTreeSet<String> = BTreeSet::new();
        for (key, _) in totals.groups.iter() {
            let whole = address::service_namespace(&key.destination);
            let whole = whole.or_else(|| address::service_namespace(self.service(&key.destination)));
            let Some(namespace) = whole else { continue };
            if !all.contains(namespace) {
                all.insert(namespace.to_owned());
            }
            if key.reporter == Reporter::Destination {
                served.entry(key.proxy()).or_default().insert(namespace);
            }
        }
        for (proxy, of) in served {
            // A waypoint or a ztunnel stands before pods of several namespaces.
            if let (Some(namespace), 1, true) = (of.first(), of.len(), is_beside_its_workload(proxy)) {
                namespaces.insert(proxy.to_owned(), (*namespace).to_owned());
            }
        }
        for stats in totals.inputs.values() {
            namespaces.extend(stats.namespaces.clone());
            let Some((proxy, namespace)) = &stats.placed else {
                continue;
            };
            for pod in std::iter::once(proxy).chain(stats.pods.keys()) {
                namespaces.insert(pod.clone(), namespace.clone());
            }
        }
        all.extend(namespaces.values().cloned());
        self.all_namespaces = all;
        self.namespaces = namespaces;
    }

    /// In which namespace a pod is. Where nothing tells it of a sidecar, it is that of all others, if they have one alone.
    pub fn namespace_of(&self, pod: &str) -> Option<&str> {
        let known = self.namespaces.get(pod);
        let only = || self.only_namespace().filter(|_| is_beside_its_workload(pod));
        known.map(String::as_str).or_else(only)
    }

    /// The namespace of all services and proxies that were read of, if it is one.
    pub fn only_namespace(&self) -> Option<&str> {
        let is_system = |namespace: &&String| SYSTEM_NAMESPACES.contains(&namespace.as_str());
        let mut all = self
            .all_namespaces
            .iter()
            .filter(|namespace| !is_system(namespace));
        all.next().filter(|_| all.next().is_none()).map(String::as_str)
    }

    /// True for a namespace of the services or proxies that were read of.
    pub fn is_namespace(&self, name: &str) -> bool {
        self.all_namespaces.contains(name)
    }

    /// The first pod of a workload, among those whose names are known.
    pub fn pod_of_workload(&self, workload: &str) -> Option<&str> {
        let pods = self.pods.values().chain(self.namespaces.keys());
        pods.map(String::as_str)
            .filter(|pod| proxy_name(pod) == workload)
            .min()
    }

    /// The SPIFFE id of a pod, where a capture shows its certificate.
    pub fn identity_of(&self, pod: &str) -> Option<&str> {
        self.identities.get(pod).map(String::as_str)
    }

    /// The SPIFFE id of a service account, where captures show one alone.
    pub fn identity_of_account(&self, account: &str) -> Option<&str> {
        self.accounts.get(account)?.as_deref()
    }

    /// What later sources say counts only where earlier ones say nothing: logs, mesh TLS, certificates, what
    /// clients call a server, DNS.
    fn name_captured(&mut self, totals: &Totals) {
        let packets = &totals.captures.names;
        for (ip, pod) in pods_of_captures(totals, &self.pods) {
            self.pods.entry(ip).or_insert(pod);
        }
        self.endpoints = called_in_logs(totals);
        let mut hosts: BTreeMap<String, Votes> = BTreeMap::new();
        for (endpoint, votes) in packets.mesh_services.iter() {
            let Some(service) = votes.winner() else { continue };
            let service = self.service(service).to_owned();
            if let Some(ip) = address::ip(endpoint.as_bytes()).and_then(|ip| std::str::from_utf8(ip).ok()) {
                let name = address::short_service(&service).to_owned();
                hosts
                    .entry(ip.to_owned())
                    .or_default()
                    .merge(Votes(BTreeMap::from([(name, votes.0.values().sum())])));
            }
            self.endpoints.entry(endpoint.clone()).or_insert(service);
        }
        for (endpoint, name) in settled(&packets.hosts) {
            let name = self.service(&name).to_owned();
            self.endpoints.entry(endpoint).or_insert(name);
        }
        for (ip, votes) in hosts {
            if let Some(name) = votes.winner() {
                self.hosts.insert(ip, name.to_owned());
            }
        }
        for (ip, identity) in settled(&packets.identities) {
            if let Some(account) = service_account(&identity) {
                self.hosts.entry(ip).or_insert_with(|| account.to_owned());
            }
        }
        for (ip, name) in settled(&packets.dns) {
            let name = address::short_service(&name).to_owned();
            self.hosts.entry(ip).or_insert(name);
        }
    }

    /// What an address of a capture is called: the workload of its pod where a log of it was read, else what
    /// packets tell; `None` where nothing tells.
    pub fn host(&self, address: Address) -> Option<&str> {
        if address.is_loopback() {
            return None;
        }
        let ip = address.to_string();
        let pod = self.pods.get(&ip).map(|pod| proxy_name(pod));
        pod.or_else(|| self.hosts.get(&ip).map(String::as_str))
    }

    /// What a server of a capture is called, with a port: the service that is called there, else the host.
    pub fn server(&self, server: Endpoint) -> Option<String> {
        if let Some(service) = self.endpoints.get(&server.to_string()) {
            return Some(service.clone());
        }
        self.host(server.address)
            .map(|host| format!("{host}:{}", server.port))
    }

    /// The pod at an address of a capture, if a log of it was read.
    pub fn pod_of(&self, address: Address) -> Option<&str> {
        if address.is_loopback() {
            return None;
        }
        self.pods.get(&address.to_string()).map(String::as_str)
    }

    /// The pod at `ip` or `ip:port`, if a log of it was read.
    pub fn pod_at(&self, address: &str) -> Option<&str> {
        let ip = address::ip(address.as_bytes())?;
        self.pods.get(std::str::from_utf8(ip).ok()?).map(String::as_str)
    }

    /// The full name of a service that may be given by a short name or a virtual address.
    pub fn service<'a>(&'a self, name: &'a str) -> &'a str {
        self.services.get(name).map_or(name, String::as_str)
    }

    /// The calling workload of a group.
    pub fn caller(&self, key: &GroupKey) -> String {
        match key.reporter {
            Reporter::Source => proxy_name(key.proxy()).to_owned(),
            Reporter::Destination => self.source_name(&format!("ip:{}", key.peer)),
        }
    }

    /// The workload behind a source as the totals name it: a proxy, or `ip:<address>`.
    pub fn source_name(&self, source: &str) -> String {
        match source.strip_prefix("ip:") {
            None => proxy_name(source).to_owned(),
            Some(ip) => self
                .pods
                .get(ip)
                .map_or_else(|| unnamed_address(ip), |pod| proxy_name(pod).to_owned()),
        }
    }
}

/// The addresses of pods in which captures were taken: of each capture, the one that has a part in nearly all of its
/// connections. A pod's log knows better (`known`), and several pods' traffic (a capture on a node) has no such address.
fn pods_of_captures(totals: &Totals, known: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut parts: BTreeMap<CapturePoint, (u64, BTreeMap<Address, u64>)> = BTreeMap::new();
    for (key, group) in totals
        .captures
        .groups
        .iter()
        .filter(|(key, _)| key.class.is_primary())
    {
        let (all, of) = parts.entry(key.point).or_default();
        *all += group.count;
        for address in BTreeSet::from([key.client, key.server.address]) {
            *of.entry(address).or_default() += group.count;
        }
    }
    let pods = totals.captures.pods.iter();
    pods.filter_map(|(point, pod)| {
        let (all, of) = parts.get(point)?;
        let mut own = of
            .iter()
            .filter(|(address, count)| !address.is_loopback() && **count * 10 >= all * 9)
            .filter(|(address, _)| known.get(&address.to_string()).is_none_or(|other| other == pod));
        // Two such addresses: a capture of two parties tells not which of them is the pod, unless a log names the other.
        match (own.next(), own.next()) {
            (Some((address, _)), None) => Some((address.to_string(), pod.clone())),
            _ => None,
        }
    })
    .collect()
}

fn settled(votes: &Bounded<String, Votes>) -> BTreeMap<String, String> {
    votes
        .iter()
        .filter_map(|(key, votes)| Some((key.clone(), votes.winner()?.to_owned())))
        .collect()
}

/// The services that callers' rows name for the upstream hosts that they chose.
fn called_in_logs(totals: &Totals) -> BTreeMap<String, String> {
    let services: BTreeMap<&String, &str> = totals
        .aliases
        .iter()
        .filter_map(|(alias, votes)| Some((alias, votes.winner()?)))
        .collect();
    let mut votes: BTreeMap<&str, Votes> = BTreeMap::new();
    for (key, group) in totals.groups.iter() {
        let service = services
            .get(&key.destination)
            .map_or(key.destination.as_str(), |service| *service);
        // Traffic that is passed through is named after the address itself.
        if key.reporter == Reporter::Source && address::port(&key.host).is_some() && service != key.host {
            let vote = Votes(BTreeMap::from([(service.to_owned(), group.count)]));
            votes.entry(&key.host).or_default().merge(vote);
        }
    }
    votes
        .into_iter()
        .filter_map(|(host, votes)| Some((host.to_owned(), votes.winner()?.to_owned())))
        .collect()
}

/// Namespaces of the cluster's own parts: what is called there says nothing of where applications are.
const SYSTEM_NAMESPACES: [&str; 2] = ["istio-system", "kube-system"];

/// False for parts of the mesh that serve many workloads, mostly from a namespace of their own.
pub fn is_beside_its_workload(proxy: &str) -> bool {
    let workload = proxy_name(proxy);
    !["gateway", "waypoint", "ztunnel", "istiod", "istio-cni"]
        .iter()
        .any(|shared| workload.contains(shared))
}

/// The namespace of a SPIFFE id: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`.
pub fn identity_namespace(identity: &str) -> Option<&str> {
    let (_, rest) = identity.split_once("/ns/")?;
    let (namespace, _) = rest.split_once("/sa/")?;
    Some(namespace).filter(|namespace| !namespace.is_empty())
}

/// The service account of a SPIFFE id: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`.
fn service_account(identity: &str) -> Option<&str> {
    let (_, account) = identity.split_once("/sa/")?;
    Some(account.split('/').next().unwrap_or(account)).filter(|account| !account.is_empty())
}

fn unnamed_address(ip: &str) -> String {
    if ip.is_empty() {
        UNKNOWN.to_owned()
    } else {
        ip.to_owned()
    }
}

/// The workload of a proxy: of its pod, or the path of its log where the pod is not known.
pub fn proxy_name(proxy: &str) -> &str {
    match proxy.strip_prefix(UNNAMED) {
        Some(path) => path,
        None => address::workload(proxy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::captures::samples::{endpoint, question, record};
    use crate::streams::{CertificateFacts, DnsOutcome, HttpFacts, Side, TlsFacts};

    fn names() -> Names {
        let mut totals = Totals::default();
        let votes = |list: &[(&str, u64)]| Votes(list.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect());
        totals.addresses.add(
            "10.0.0.1".to_owned(),
            votes(&[("web-5d4f8c7b6d-x2x4k", 90), ("old-5d4f8c7b6d-aaaaa", 3)]),
        );
        totals
            .addresses
            .add("10.0.0.2".to_owned(), votes(&[("b-v1", 5), ("a-v1", 5)]));
        totals.aliases.add(
            "ratings:9080".to_owned(),
            votes(&[
                ("ratings.default.svc.cluster.local:9080", 70),
                ("ratings.stage.svc.cluster.local:9080", 8),
            ]),
        );
        Names::of(&totals)
    }

    #[test]
    fn the_majority_of_rows_decides_and_a_tie_is_settled_by_name() {
        let names = names();
        assert_eq!(names.pod_at("10.0.0.1:8080"), Some("web-5d4f8c7b6d-x2x4k"));
        assert_eq!(names.pod_at("10.0.0.2"), Some("a-v1"));
        assert_eq!(names.pod_at("10.0.0.3:8080"), None);
        assert_eq!(
            names.service("ratings:9080"),
            "ratings.default.svc.cluster.local:9080"
        );
        assert_eq!(names.service("other:9080"), "other:9080");
    }

    #[test]
    fn a_source_is_its_workload_or_else_its_address() {
        let names = names();
        assert_eq!(names.source_name("ip:10.0.0.1"), "web");
        assert_eq!(names.source_name("ip:10.0.0.3"), "10.0.0.3");
        assert_eq!(names.source_name("ip:"), "unknown");
        assert_eq!(names.source_name("input:logs/a.log"), "logs/a.log");
    }

    #[test]
    fn packets_name_what_logs_do_not() {
        let mut totals = Totals::default();
        let mut asks = |server: &str, port: u16, sni: Option<&str>, host: Option<&str>| {
            let mut record = record(1);
            record.server = endpoint(server, port);
            record.application.tls = sni.map(|sni| {
                Box::new(TlsFacts {
                    sni: Some(sni.to_owned()),
                    certificates: vec![(
                        Side::Client,
                        CertificateFacts {
                            subject: String::new(),
                            issuer: String::new(),
                            san: vec!["spiffe://cluster.local/ns/prod/sa/bookinfo-web".to_owned()],
                            not_before_s: 0,
                            not_after_s: 1,
                            leaf: true,
                            at: record.first,
                        },
                    )],
                    ..TlsFacts::default()
                })
            });
            record.application.http = host.map(|host| {
                Box::new(HttpFacts {
                    host: Some(host.to_owned()),
                    ..HttpFacts::default()
                })
            });
            totals.captures.stream(record);
        };
        asks(
            "10.0.0.2",
            9080,
            Some("outbound_.9080_._.ratings.prod.svc.cluster.local"),
            None,
        );
        asks("10.0.0.3", 8080, None, Some("reviews"));
        asks("10.0.0.3", 15_001, None, Some("anything"));
        asks("127.0.0.1", 9080, None, Some("ratings"));
        totals.captures.dns(&question(
            "details.prod.svc.cluster.local",
            1,
            DnsOutcome::Answered(0),
        ));
        let vote = |name: &str| Votes(BTreeMap::from([(name.to_owned(), 1)]));
        totals
            .addresses
            .add("10.0.0.3".to_owned(), vote("reviews-v1-5d4f8c7b6d-x2x4k"));
        let names = Names::of(&totals);
        let server = |ip, port| names.server(endpoint(ip, port));
        assert_eq!(
            server("10.0.0.2", 9080).as_deref(),
            Some("ratings.prod.svc.cluster.local:9080")
        );
        assert_eq!(
            server("10.0.0.2", 9081).as_deref(),
            Some("ratings:9081"),
            "the host alone"
        );
        assert_eq!(server("10.0.0.3", 8080).as_deref(), Some("reviews:8080"));
        assert_eq!(
            server("10.0.0.3", 15_001).as_deref(),
            Some("reviews-v1:15001"),
            "what is called through a proxy does not name it"
        );
        assert_eq!(server("127.0.0.1", 9080), None, "loopback is in every pod");
        let host = |ip| names.host(endpoint(ip, 0).address);
        assert_eq!(
            host("10.0.0.1"),
            Some("bookinfo-web"),
            "the account in its certificate"
        );
        assert_eq!(host("10.0.0.3"), Some("reviews-v1"), "the log before all others");
        assert_eq!(host("10.1.2.3"), Some("details"));
        assert_eq!(host("10.9.9.9"), None);
        let identity = names.identity_of_account("bookinfo-web");
        assert_eq!(identity, Some("spiffe://cluster.local/ns/prod/sa/bookinfo-web"));
        assert_eq!(identity.and_then(identity_namespace), Some("prod"));
    }

    #[test]
    fn a_namespace_is_told_by_paths_before_names() {
        use crate::aggregate::inputs::InputStats;
        use crate::units::InputId;
        let mut totals = Totals::default();
        let vote = |name: &str| Votes(BTreeMap::from([(name.to_owned(), 1)]));
        totals.namespaces.add("web-0".to_owned(), vote("shop"));
        totals.namespaces.add("cart-0".to_owned(), vote("shop"));
        let names = Names::of(&totals);
        assert_eq!(names.namespace_of("web-0"), Some("shop"));
        assert_eq!(names.namespace_of("other-0"), Some("shop"), "there is no other");
        assert_eq!(
            names.namespace_of("istio-ingressgateway-0"),
            None,
            "it serves many"
        );
        let stats = InputStats {
            placed: Some(("web-0".to_owned(), "stage".to_owned())),
            ..InputStats::default()
        };
        totals.inputs.insert(InputId(0), stats);
        let names = Names::of(&totals);
        assert_eq!(names.namespace_of("web-0"), Some("stage"), "its path says so");
        assert_eq!(names.namespace_of("cart-0"), Some("shop"));
        assert_eq!(names.namespace_of("other-0"), None, "either of the two");
        assert!(names.is_namespace("stage") && !names.is_namespace("prod"));
    }
}
