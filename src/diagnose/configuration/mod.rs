//! Findings held against saved configuration: what of it bears them out, what speaks against them, and what its objects are called.
//!
//! Configuration says how things were when it was saved, which may be before or after the incident, and nothing here makes a
//! finding of a fault that no traffic shows. Of what is absent something is concluded only where all of it was kept.

mod access;
mod encryption;
mod hosts;
mod limits;
mod remarks;
mod routes;

pub(super) use remarks::suspect;

use super::answer::EvidenceKind;
use super::finding::{Evidence, Finding};
use super::measure::Facts;
use super::rules::Factors;
use crate::aggregate::address::{port, service_namespace, short_service, workload};
use crate::aggregate::configuration::{Configuration, ObjectKey, ProxyKey};
use crate::aggregate::paths::{PathKey, Spellings};
use crate::catalog::{Placeholders, fill_command};
use crate::correlate::names::proxy_name;
use crate::decode::document::Spot;
use crate::decode::document::facts::{Cluster, Object, Spec};
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

/// Places that one piece of evidence cites.
const REFS: usize = 5;

/// Objects named in one piece of evidence.
const NAMED: usize = 3;

/// Istio's root namespace, whose policies are for the whole mesh, unless it was given another name.
const ROOT_NAMESPACE: &str = "istio-system";

/// How sure a piece of evidence is where the object says it of the very host, port and caller.
const EXACT: f64 = 0.9;

/// The same where something had to be guessed: the labels of a pod, the caller's proxy.
const LIKELY: f64 = 0.7;

/// What speaks against a finding.
const AGAINST: f64 = 0.1;

/// Adds to each finding what saved configuration says of it.
pub(super) fn add(findings: &mut [Finding], facts: &Facts<'_>) {
    let configuration = &facts.incident.totals.configuration;
    if configuration.is_empty() {
        return;
    }
    for finding in findings {
        let saved = Saved {
            facts,
            configuration,
            called: Called::of(finding),
        };
        let mut says = Says::default();
        match finding.cause.as_str() {
            "route-not-found" | "route-case-mismatch" => routes::unrouted(&saved, finding, &mut says),
            "unknown-service" => routes::unknown(&saved, finding, &mut says),
            "upstream-timeout" => routes::timeouts(&saved, finding, &mut says),
            "no-endpoints" => hosts::none(&saved, finding, &mut says),
            "upstream-connection-refused" => hosts::ports(&saved, &mut says),
            "dns-failure" => hosts::resolution(&saved, &mut says),
            "sidecar-injection-conflict" => hosts::two_proxies(&saved, finding, &mut says),
            "rbac-denied" => access::denied(&saved, finding, &mut says),
            "mtls-plaintext-to-strict" => encryption::plaintext(&saved, finding, &mut says),
            "mtls-tls-to-plaintext" => encryption::tls(&saved, finding, &mut says),
            "circuit-breaker-overflow" => limits::overflow(&saved, finding, &mut says),
            "outlier-ejection" => limits::ejection(&saved, finding, &mut says),
            "sidecar-memory-exhaustion"
            | "memory-leak"
            | "control-plane-overload"
            | "control-plane-push-delay" => {
                limits::unused(&saved, finding, &mut says);
            }
            "config-rejected" => limits::rejected(&saved, finding, &mut says),
            _ => {}
        }
        finding.confidence = weighed(finding.confidence, &says.evidence, &facts.rules.confidence);
        finding.evidence.append(&mut says.evidence);
        finding.notes.extend(telemetry_note(&saved, finding));
        for (number, check) in says.checks.into_iter().enumerate() {
            finding.checks.insert(number.min(finding.checks.len()), check);
        }
    }
}

/// A `Telemetry` that keeps rows out of the access log: shares and the absence of rows are of what is left.
fn telemetry_note(saved: &Saved<'_>, finding: &Finding) -> Option<String> {
    saved.objects("Telemetry").find_map(|at| {
        let Spec::Telemetry {
            selector,
            left_out: Some((expression, _)),
        } = &at.object.spec
        else {
            return None;
        };
        // Of callers' pods nothing is known here: what is for all pods counts for them too.
        let concerns = saved.is_for_called(&at.key.namespace, selector, saved.labels(finding));
        if !concerns && !selector.is_empty() {
            return None;
        }
        Some(if expression.is_empty() {
            format!(
                "{} switches the access log off: that proxies logged no rows says nothing",
                at.title()
            )
        } else {
            format!(
                "{} keeps only rows in the access log for which {expression}: shares and percentiles are of these",
                at.title()
            )
        })
    })
}

/// How sure a finding is with what was saved about it: surer where something says just the same, less sure where something
/// speaks against it and nothing for it.
fn weighed(confidence: f64, evidence: &[Evidence], factors: &Factors) -> f64 {
    let for_it = evidence.iter().any(|piece| piece.strength >= EXACT);
    let against = evidence.iter().any(|piece| piece.strength <= AGAINST);
    let some_for_it = evidence.iter().any(|piece| piece.strength > AGAINST);
    let weighed = match (for_it, against) {
        (true, false) => 1.0 - (1.0 - confidence) * factors.doubt_left_by_configuration,
        (false, true) if !some_for_it => confidence * factors.against_configuration,
        _ => confidence,
    };
    (weighed * 100.0).round() / 100.0
}

/// What is said of a finding.
#[derive(Default)]
struct Says {
    evidence: Vec<Evidence>,
    checks: Vec<String>,
}

impl Says {
    /// Something that bears the finding out.
    fn holds(&mut self, text: String, strength: f64, places: impl IntoIterator<Item = Place>) {
        let mut places: Vec<Place> = places.into_iter().collect();
        // An object may have been saved more than once.
        if let Some(known) = self.evidence.iter_mut().find(|known| known.text == text) {
            known.count += 1;
            known.places.append(&mut places);
            known.places.sort_unstable();
            known.places.dedup();
            known.places.truncate(REFS);
            return;
        }
        places.sort_unstable();
        places.dedup();
        let count = places.len() as u64;
        places.truncate(REFS);
        self.evidence.push(Evidence {
            kind: EvidenceKind::Config,
            text,
            count: count.max(1),
            strength,
            places,
            frames: Vec::new(),
        });
    }

    /// Something that speaks against it, unless things changed between the incident and the saving.
    fn against(&mut self, text: &str, places: impl IntoIterator<Item = Place>) {
        let text =
            format!("as saved, which may be before or after the incident, this speaks against it: {text}");
        self.holds(text, AGAINST, places);
    }

    /// The command that shows an object.
    fn look_at(&mut self, key: &ObjectKey) {
        let names = Placeholders {
            service: key.name.as_str().into(),
            namespace: key.namespace.as_str().into(),
            destination: key.kind.to_ascii_lowercase().as_str().into(),
            ..Placeholders::default()
        };
        let check = fill_command(
            "kubectl get {destination} {service} -n {namespace} -o yaml",
            &names,
        );
        if !self.checks.contains(&check) && self.checks.len() < NAMED {
            self.checks.push(check);
        }
    }
}

/// The called service.
#[derive(Clone, Debug, Default)]
struct Called {
    /// `ratings.default.svc.cluster.local`.
    host: String,
    /// `ratings`.
    name: String,
    /// `default`.
    namespace: Option<String>,
    /// 9080.
    port: Option<u64>,
}

impl Called {
    fn of(finding: &Finding) -> Self {
        let destination = finding.scope.destination.as_deref().unwrap_or_default();
        let number = port(destination);
        let host = number
            .and_then(|number| destination.strip_suffix(number)?.strip_suffix(':'))
            .unwrap_or(destination);
        Self {
            host: host.to_ascii_lowercase(),
            name: short_service(destination).to_owned(),
            namespace: service_namespace(destination).map(str::to_owned),
            port: number.and_then(|number| number.parse().ok()),
        }
    }

    /// True if a host that an object of `namespace` names is this one: short names are of the object's namespace.
    fn is(&self, host: &str, namespace: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if let Some(ending) = host.strip_prefix('*') {
            return self.host.ends_with(ending);
        }
        if host == self.host {
            return true;
        }
        let mut labels = host.split('.');
        let (name, of, svc) = (labels.next(), labels.next(), labels.next());
        let own = self.namespace.as_deref();
        name == Some(self.name.as_str())
            && own.is_some()
            && match (of, svc) {
                (None, _) => namespace.is_empty() || own == Some(namespace),
                (Some(_), None | Some("svc")) => own == of && labels.next().is_none(),
                _ => false,
            }
    }
}

/// What was saved, for one finding.
struct Saved<'t> {
    facts: &'t Facts<'t>,
    configuration: &'t Configuration,
    called: Called,
}

/// An object at one of its places.
#[derive(Clone, Copy)]
struct At<'t> {
    key: &'t ObjectKey,
    place: &'t Place,
    object: &'t Object,
}

impl At<'_> {
    /// A line of the object.
    fn line(&self, spot: Spot) -> Place {
        spot_of(self.place, spot)
    }

    /// `VirtualService default/ratings`.
    fn title(&self) -> String {
        let ObjectKey {
            kind,
            namespace,
            name,
        } = self.key;
        if namespace.is_empty() {
            format!("{kind} {name}")
        } else {
            format!("{kind} {namespace}/{name}")
        }
    }
}

/// Another line of the document in which `place` is.
fn spot_of(place: &Place, spot: Spot) -> Place {
    Place {
        offset_bytes: spot.offset_bytes,
        line_in_block: spot.line,
        ..*place
    }
}

/// A cluster of a proxy.
#[derive(Clone, Copy)]
struct ClusterAt<'t> {
    key: &'t ProxyKey,
    place: &'t Place,
    cluster: &'t Cluster,
}

impl<'t> Saved<'t> {
    /// Objects of a kind, in order of namespace and name.
    fn objects(&self, kind: &'t str) -> impl Iterator<Item = At<'t>> + use<'t> {
        self.configuration
            .objects
            .iter()
            .filter(move |(key, _)| key.kind == kind)
            .flat_map(|(key, kept)| {
                kept.0
                    .iter()
                    .map(move |(place, object)| At { key, place, object })
            })
    }

    /// Objects of a kind in the called service's namespace.
    fn beside(&self, kind: &'t str) -> impl Iterator<Item = At<'t>> + use<'t> {
        let namespace = self.called.namespace.clone();
        // A table of one namespace does not name it.
        self.objects(kind)
            .filter(move |at| at.key.namespace.is_empty() || Some(&at.key.namespace) == namespace.as_ref())
    }

    /// True if objects of a kind were saved, and all of these were read and kept. Whether all that there were had been
    /// saved nobody knows, so that what is not among them is only likely not to have been there.
    fn has_all(&self, kind: &'t str) -> bool {
        let inputs = &self.facts.incident.totals.inputs;
        !self.configuration.objects.is_truncated()
            && inputs.values().all(|input| input.damage.is_empty())
            && self.objects(kind).next().is_some()
    }

    /// Clusters of the called host and port; of the caller's proxy alone, where one of that was saved.
    fn clusters(&self, finding: &Finding) -> Vec<ClusterAt<'t>> {
        let exact = finding.scope.cluster.as_deref();
        let called = &self.called;
        let of_called = |name: &str| {
            exact == Some(name)
                || cluster_host(name).is_some_and(|(port, host)| {
                    host.eq_ignore_ascii_case(&called.host) && called.port.is_none_or(|called| called == port)
                })
        };
        let all: Vec<ClusterAt<'t>> = self
            .configuration
            .clusters
            .iter()
            .filter(|(key, _)| of_called(&key.name))
            .flat_map(|(key, kept)| {
                kept.0
                    .iter()
                    .map(move |(place, cluster)| ClusterAt { key, place, cluster })
            })
            .collect();
        let of_caller: Vec<ClusterAt<'t>> = all
            .iter()
            .filter(|at| is_caller(finding, &at.key.proxy))
            .copied()
            .collect();
        if of_caller.is_empty() { all } else { of_caller }
    }

    /// Authorities by which the service of the finding was asked, with the beginnings of the paths asked for.
    fn asked_for(&self, finding: &Finding) -> impl Iterator<Item = (&'t PathKey, &'t Spellings)> + use<'t> {
        let names = &self.facts.incident.names;
        let destination = finding.scope.destination.clone().unwrap_or_default();
        let port = self.called.port.unwrap_or(80);
        let table = self.facts.incident.totals.paths.table();
        table.iter().filter(move |(key, _)| {
            let with_port = format!("{}:{port}", key.authority);
            !destination.is_empty()
                && [&key.authority, &with_port]
                    .into_iter()
                    .any(|name| names.service(name) == destination)
        })
    }

    /// The `Service` that is called.
    fn service(&self) -> Option<At<'t>> {
        let name = self.called.name.clone();
        self.beside("Service").find(|at| at.key.name == name)
    }

    /// Labels of the called pods: of a saved pod, else those by which the service finds them.
    fn labels(&self, finding: &Finding) -> Option<&'t BTreeMap<String, String>> {
        let pods: Vec<At<'t>> = self.beside("Pod").collect();
        let called = pods.iter().find(|at| {
            let of = &finding.scope.pods;
            of.iter()
                .any(|pod| *pod == at.key.name || pod == workload(&at.key.name))
        });
        let selector = self.selector();
        let selected = || {
            pods.iter()
                .find(|at| selector.is_some_and(|selector| selects(selector, &at.object.labels)))
        };
        called.or_else(selected).map(|at| &at.object.labels).or(selector)
    }

    /// Labels by which the called service finds its pods.
    fn selector(&self) -> Option<&'t BTreeMap<String, String>> {
        match &self.service()?.object.spec {
            Spec::Service { selector, .. } if !selector.is_empty() => Some(selector),
            _ => None,
        }
    }

    /// Pods of the called service.
    fn pods(&self) -> Vec<At<'t>> {
        let Some(selector) = self.selector() else {
            return Vec::new();
        };
        self.beside("Pod")
            .filter(|at| selects(selector, &at.object.labels))
            .collect()
    }

    /// True if a policy with this selector, in this namespace, is for the called pods.
    fn is_for_called(
        &self,
        namespace: &str,
        selector: &BTreeMap<String, String>,
        labels: Option<&BTreeMap<String, String>>,
    ) -> bool {
        let own = self.called.namespace.as_deref() == Some(namespace);
        if !own && namespace != ROOT_NAMESPACE {
            return false;
        }
        match labels {
            Some(labels) => selects(selector, labels),
            // Without pods and service, the custom that pods are labelled by the name of their service.
            None => selector.is_empty() || (own && selector.values().any(|value| *value == self.called.name)),
        }
    }
}

/// True if pods with these labels are selected; an empty selector selects all.
fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector
        .iter()
        .all(|(label, value)| labels.get(label) == Some(value))
}

/// True if a proxy is the caller's.
fn is_caller(finding: &Finding, proxy: &str) -> bool {
    finding
        .scope
        .source
        .as_deref()
        .is_some_and(|source| proxy_name(proxy) == workload(source))
}

/// Port and host of an outbound cluster.
fn cluster_host(cluster: &str) -> Option<(u64, &str)> {
    let mut parts = cluster.splitn(4, '|');
    if parts.next() != Some("outbound") {
        return None;
    }
    let port = parts.next()?.parse().ok()?;
    let _subset = parts.next()?;
    Some((port, parts.next()?))
}

/// Since when a proxy has what is said, where its dump tells.
fn since(updated: Option<Timestamp>) -> String {
    updated.map_or_else(String::new, |updated| format!(" (since {updated})"))
}

/// Labels as kubectl writes them.
fn written(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .take(NAMED)
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests;
