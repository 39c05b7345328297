//! The names that a finding puts into its texts, commands and manifests.

use super::finding::Scope;
use super::measure::{CASE_VARIANT, Facts};
use super::suspects::Suspect;
use crate::aggregate::address::{self, ClusterName};
use crate::catalog::{Name, Placeholders};
use crate::correlate::Names;
use crate::correlate::names::{identity_namespace, is_beside_its_workload};
use std::collections::{BTreeMap, BTreeSet};

/// Workloads that one command names; more than these are left to the reader.
const WORKLOADS: usize = 8;

/// What is called, by what its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Called<'s> {
    /// More than one service.
    Many,
    /// A service of the cluster, with its namespace where the name has it.
    Service(&'s str, Option<&'s str>),
    /// A host by its name in DNS.
    External,
    /// An address.
    Address,
}

impl<'s> Called<'s> {
    fn of(destination: &'s str, names: &Names) -> Self {
        let host = host(destination);
        if destination == "*" {
            return Self::Many;
        }
        if let Some(namespace) = address::service_namespace(destination) {
            return Self::Service(address::short_service(destination), Some(namespace));
        }
        if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            return Self::Address;
        }
        match host.split_once('.') {
            None => Self::Service(host, None),
            // `ratings.shop`, as callers of other namespaces write it.
            Some((service, namespace)) if names.is_namespace(namespace) => {
                Self::Service(service, Some(namespace))
            }
            Some(_) => Self::External,
        }
    }
}

/// Service and namespace of a destination that is a service of the cluster.
pub(super) fn service(destination: &str, names: &Names) -> Option<Placeholders> {
    match Called::of(destination, names) {
        Called::Service(service, namespace) => Some(Placeholders {
            service: service.into(),
            namespace: namespace
                .or_else(|| names.only_namespace())
                .map(str::to_owned)
                .into(),
            ..Placeholders::default()
        }),
        Called::Many | Called::External | Called::Address => None,
    }
}

/// The names of a suspect; `all` are the numbers of the calls that it explains.
pub(super) fn placeholders(
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    all: &[usize],
) -> Placeholders {
    let names = &facts.incident.names;
    let destination = &suspect.destination;
    let called = Called::of(destination, names);
    let source_pod = source_pod(suspect, facts, scope, all);
    let pods = called_pods(suspect, facts, all);
    let service = match called {
        Called::Service(service, _) => service.into(),
        Called::Many => Name::Unknown,
        Called::External | Called::Address => Name::Absent,
    };
    let (path, routed_path) = spellings(suspect, facts);
    let address = upstream(suspect, facts, all);
    // Who is known by the certificate alone is called by its service account.
    let by_account = || names.identity_of_account(scope.source.as_deref()?);
    let identity = match source_pod {
        Some(pod) => names.identity_of(pod),
        None => by_account(),
    };
    Placeholders {
        ip: address
            .as_deref()
            .map(|address| host(address).trim_matches(['[', ']']).to_owned())
            .into(),
        pod_port: address
            .as_deref()
            .and_then(address::port)
            .or_else(|| address::port(destination))
            .map(str::to_owned)
            .into(),
        address: address.into(),
        cluster: scope.cluster.clone().into(),
        destination: in_prose(address::short_service(destination)).into(),
        destination_pod: pods.first().copied().map(str::to_owned).into(),
        external_host: match called {
            Called::External => host(destination).into(),
            Called::Many => Name::Unknown,
            Called::Service(..) | Called::Address => Name::Absent,
        },
        external_address: match called {
            Called::Address if pods.is_empty() => host(destination).into(),
            Called::Many => Name::Unknown,
            _ => Name::Absent,
        },
        fqdn: match called {
            Called::Service(service, Some(namespace)) if !is_full(destination) => {
                Name::Known(format!("{service}.{namespace}.svc.cluster.local"))
            }
            Called::Service(_, None) | Called::Many => Name::Unknown,
            Called::Service(..) | Called::External => host(destination).into(),
            Called::Address => Name::Absent,
        },
        host: match called {
            Called::Many => Name::Unknown,
            _ => host(destination).into(),
        },
        namespace: namespace(called, suspect, facts, source_pod, &pods, all),
        node: Name::Unknown,
        path,
        port: address::port(destination).map(str::to_owned).into(),
        protocol: protocol(facts, all),
        routed_path,
        source: scope.source.clone().into(),
        source_namespace: source_pod
            .and_then(|pod| names.namespace_of(pod))
            .or_else(|| identity.and_then(identity_namespace))
            .map(str::to_owned)
            .into(),
        source_pod: source_pod.map(str::to_owned).into(),
        source_principal: identity
            .and_then(|identity| identity.strip_prefix("spiffe://"))
            .map(str::to_owned)
            .into(),
        source_workload: source_pod.map(workload).into(),
        subset: subset(scope),
        workload: workloads(called, &pods),
        service,
    }
}

/// A destination as sentences name it.
pub(super) fn in_prose(destination: &str) -> &str {
    if destination == "*" {
        "all destinations"
    } else {
        destination
    }
}

/// True for the whole name of a service, with the domain of its cluster.
fn is_full(destination: &str) -> bool {
    host(destination).split('.').nth(3).is_some()
}

fn host(destination: &str) -> &str {
    address::port(destination)
        .and_then(|port| destination.strip_suffix(port)?.strip_suffix(':'))
        .unwrap_or(destination)
}

/// A pod by its name: a log whose pod is not known is named by its path.
fn pod(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.contains(':'))
}

/// A pod of the caller: one whose rows show it, that wrote the lines, or of the workload that calls.
fn source_pod<'f>(
    suspect: &'f Suspect<'_>,
    facts: &'f Facts<'_>,
    scope: &Scope,
    all: &'f [usize],
) -> Option<&'f str> {
    let mut of_rows = facts.calls(all).filter(|call| call.is_source());
    let seen = of_rows.next().map(|call| call.key.proxy());
    let seen = seen.or_else(|| suspect.lines.first().map(|line| line.proxy.as_str()));
    match (seen, &scope.source) {
        (Some(proxy), _) => pod(proxy),
        (None, Some(source)) => facts.incident.names.pod_of_workload(source).and_then(pod),
        (None, None) => None,
    }
}

/// The pods that it is about, else those that were called there.
fn called_pods<'f>(suspect: &'f Suspect<'_>, facts: &'f Facts<'_>, all: &'f [usize]) -> BTreeSet<&'f str> {
    let told: BTreeSet<&str> = suspect.pods.iter().filter_map(|name| pod(name)).collect();
    // What istiod writes of a service does not make it the called one.
    if told.iter().any(|pod| is_beside_its_workload(pod)) {
        return told;
    }
    let names = &facts.incident.names;
    let of_rows: BTreeSet<&str> = facts
        .calls(all)
        .chain(facts.calls_to(&suspect.destination))
        .filter_map(|call| pod(call.destination_pod.as_deref()?))
        .collect();
    if !of_rows.is_empty() {
        return of_rows;
    }
    let servers = suspect.servers.iter();
    let of_servers: BTreeSet<&str> = servers
        .filter_map(|server| pod(names.pod_of(server.address)?))
        .collect();
    if of_servers.is_empty() { told } else { of_servers }
}

/// The host to which most of the rows went, else a server of the connections.
fn upstream(suspect: &Suspect<'_>, facts: &Facts<'_>, all: &[usize]) -> Option<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for call in facts.calls(all).filter(|call| call.is_source()) {
        if address::port(&call.key.host).is_some() {
            *counts.entry(&call.key.host).or_default() += call.count();
        }
    }
    let most = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    let server = || suspect.servers.first().map(ToString::to_string);
    most.map(|(host, _)| host.to_owned()).or_else(server)
}

fn namespace(
    called: Called<'_>,
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    source_pod: Option<&str>,
    pods: &BTreeSet<&str>,
    all: &[usize],
) -> Name {
    let names = &facts.incident.names;
    let only = |all: BTreeSet<&str>| match (all.first(), all.len()) {
        (Some(one), 1) => Name::from(*one),
        _ => Name::Unknown,
    };
    let of_pods = || only(pods.iter().filter_map(|pod| names.namespace_of(pod)).collect());
    match called {
        Called::Service(_, Some(namespace)) => namespace.into(),
        // A name without dots is of the caller's namespace.
        Called::Service(_, None) => of_pods().or_else(|| {
            let of_rows = suspect.own_calls().next().and(source_pod);
            of_rows
                .and_then(|pod| names.namespace_of(pod))
                .map(str::to_owned)
                .into()
        }),
        Called::Many => {
            let destinations = facts.calls(all).map(|call| call.destination.as_str());
            let of_rows: BTreeSet<&str> = destinations.filter_map(address::service_namespace).collect();
            if of_rows.is_empty() {
                of_pods().or_else(|| names.only_namespace().map(str::to_owned).into())
            } else {
                only(of_rows)
            }
        }
        Called::Address if pods.is_empty() => Name::Absent,
        Called::Address => of_pods(),
        Called::External => Name::Absent,
    }
}

/// What most of the rows speak, as a `ServiceEntry` names it (Istio, "Explicit protocol selection").
fn protocol(facts: &Facts<'_>, all: &[usize]) -> Name {
    let most = facts.calls(all).max_by_key(|call| call.count());
    most.map_or(Name::Unknown, |call| match (call.key.tcp, call.key.tls) {
        (false, _) => "HTTP".into(),
        (true, true) => "TLS".into(),
        (true, false) => "TCP".into(),
    })
}

/// The subset that the cluster is of. Traffic without a cluster of its own (`NC`) may be meant for any.
fn subset(scope: &Scope) -> Name {
    let Some(cluster) = &scope.cluster else {
        return Name::Unknown;
    };
    match ClusterName::parse(cluster) {
        Some(name) if !name.subset.is_empty() => name.subset.into(),
        _ => Name::Absent,
    }
}

/// `kind/name`, as `kubectl` takes it, by the form of the pod's name: an ordinal ends it in a `StatefulSet`, five characters
/// alone in a `DaemonSet`, and two hashes in a `Deployment`, which is also the usual case where it has another form.
fn workload(pod: &str) -> String {
    let name = address::workload(pod);
    let (head, last) = pod.rsplit_once('-').unwrap_or((pod, ""));
    let is_ordinal = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    match name {
        _ if name == pod && is_ordinal => format!("statefulset/{head}"),
        _ if name != pod && name == head => format!("daemonset/{name}"),
        _ => format!("deployment/{name}"),
    }
}

fn workloads(called: Called<'_>, pods: &BTreeSet<&str>) -> Name {
    let of_pods: BTreeSet<String> = pods.iter().map(|pod| workload(pod)).collect();
    match (of_pods.len(), called) {
        (1, _) => of_pods.into_iter().next().into(),
        (2..=WORKLOADS, _) => Name::Several(of_pods.into_iter().collect()),
        // The usual case, where nothing tells it.
        (0, Called::Service(service, _)) => Name::Known(format!("deployment/{service}")),
        (0, Called::External | Called::Address) => Name::Absent,
        _ => Name::Unknown,
    }
}

/// A path that has no route, and the spelling of it that has one.
fn spellings(suspect: &Suspect<'_>, facts: &Facts<'_>) -> (Name, Name) {
    if !suspect
        .measured
        .iter()
        .any(|measured| measured.name == CASE_VARIANT)
    {
        return (Name::Unknown, Name::Unknown);
    }
    match facts.case_variants(&suspect.destination).0.first() {
        Some((path, routed)) => ((*path).into(), (*routed).into()),
        None => (Name::Unknown, Name::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_workloads() {
        for (pod, expected) in [
            ("cart-6f7d9c8b5d-m8wzt", "deployment/cart"),
            ("ratings-v1", "deployment/ratings-v1"),
            ("payment-0", "statefulset/payment"),
            ("fluent-bit-x7k2p", "daemonset/fluent-bit"),
            ("web", "deployment/web"),
        ] {
            assert_eq!(workload(pod), expected);
        }
    }

    #[test]
    fn what_is_called() {
        let names = Names::default();
        let of = |destination| Called::of(destination, &names);
        assert_eq!(of("*"), Called::Many);
        assert_eq!(
            of("ratings.prod.svc.cluster.local:9080"),
            Called::Service("ratings", Some("prod"))
        );
        assert_eq!(of("ratings:9080"), Called::Service("ratings", None));
        assert_eq!(of("api.partner.example:443"), Called::External);
        assert_eq!(of("203.0.113.10:443"), Called::Address);
        assert_eq!(of("[2001:db8::1]:443"), Called::Address);
        assert_eq!(of("2001:db8::1"), Called::Address);
    }
}
