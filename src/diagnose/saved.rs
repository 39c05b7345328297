//! What saved output of commands says about a finding.
//!
//! Such output has no time of its own and may be from before or after the incident: it bears a finding out, and does not make one.

use super::answer::EvidenceKind;
use super::finding::{Evidence, Finding};
use super::measure::Facts;
use crate::aggregate::address::{service_namespace, short_service, workload};
use crate::aggregate::outputs::{FactKey, FactSum, Topic};
use crate::catalog::SignatureSource;
use crate::decode::output::{HostState, Mtls, Probed, RequestsFact, Sync};
use crate::units::Place;
use std::collections::BTreeMap;

/// Places that one piece of evidence cites.
const REFS: usize = 5;

/// Kinds of requests named in one piece of evidence.
const NAMED: usize = 3;

/// Adds to each finding what saved output says of the same cluster, proxy or certificate.
pub(super) fn add(findings: &mut [Finding], facts: &Facts<'_>) {
    let outputs = &facts.incident.totals.outputs;
    let whole = !outputs.is_truncated();
    let clusters = Clusters::of(outputs.iter());
    for finding in findings {
        let evidence = match finding.cause.as_str() {
            "no-endpoints" => clusters.without_healthy_hosts(finding, whole),
            "outlier-ejection" => clusters.with_ejected_hosts(finding),
            "cert-expired"
            | "gradual-cert-expiry"
            | "server-cert-rejected"
            | "client-cert-rejected"
            | "cert-rotation-failure" => expired(finding, outputs.iter()),
            "control-plane-unreachable" | "control-plane-push-delay" | "config-rejected" => {
                out_of_step(outputs.iter())
            }
            _ => None,
        };
        finding.evidence.extend(evidence);
        finding.evidence.extend(analyzed(finding, facts));
        finding.evidence.extend(probed(finding, outputs.iter()));
        finding.evidence.extend(modes(finding, outputs.iter()));
        finding.evidence.extend(pods_in_trouble(finding, outputs.iter()));
        finding.evidence.extend(ambient(finding, outputs.iter()));
        finding.evidence.extend(not_live(finding, outputs.iter()));
        finding.evidence.extend(requests_counted(finding, outputs.iter()));
        finding
            .evidence
            .extend(durations_counted(finding, outputs.iter()));
    }
}

/// The host and namespace of a finding's destination: `ratings`, `default`.
fn service(finding: &Finding) -> Option<(&str, &str)> {
    let destination = finding.scope.destination.as_deref()?;
    Some((short_service(destination), service_namespace(destination)?))
}

/// Messages of the analyzer that point to the finding's cause, about its service or a namespace that holds it.
fn analyzed(finding: &Finding, facts: &Facts<'_>) -> Option<Evidence> {
    let (name, namespace) = service(finding)?;
    let of_cause = |code: &str| {
        let literal = format!("[{code}]");
        facts.catalog.signatures.iter().any(|signature| {
            signature.source == SignatureSource::IstioctlAnalyze
                && signature.cause.as_deref() == Some(&finding.cause)
                && signature.literals.contains(&literal)
        })
    };
    let names_it = |key: &FactKey, sum: &FactSum| {
        // `VirtualService default/ratings`, or the service quoted in the text.
        key.subject.contains(&format!(" {namespace}/"))
            && sum.places.values().any(|line| {
                line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                    .any(|word| word == name)
            })
    };
    let found: Vec<(&str, &FactKey, &FactSum)> = facts
        .incident
        .totals
        .outputs
        .iter()
        .filter_map(|(key, sum)| match &key.topic {
            Topic::Message(code, _) if of_cause(code) && names_it(key, sum) => {
                Some((code.as_str(), key, sum))
            }
            _ => None,
        })
        .collect();
    let (code, key, _) = found.first()?;
    let text = format!("istioctl analyze says {code} of {}", key.subject);
    let sums: Vec<&FactSum> = found.iter().map(|(_, _, sum)| *sum).collect();
    Some(evidence(text, found.len() as u64, 0.8, &sums))
}

/// What the called pods or the called host take, where that is what the finding says.
fn modes<'t>(finding: &Finding, facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>) -> Option<Evidence> {
    let expected: &[Mtls] = match finding.cause.as_str() {
        "mtls-plaintext-to-strict" => &[Mtls::Strict, Mtls::Conflict],
        "mtls-tls-to-plaintext" => &[Mtls::Disabled, Mtls::Conflict],
        _ => return None,
    };
    let destination = finding.scope.destination.as_deref()?;
    let concerned =
        |subject: &str| subject == destination || finding.scope.pods.iter().any(|pod| pod == subject);
    let found: Vec<(&FactKey, &FactSum, Mtls)> = facts
        .filter_map(|(key, sum)| match key.topic {
            Topic::Mtls(mode) if expected.contains(&mode) && concerned(&key.subject) => {
                Some((key, sum, mode))
            }
            _ => None,
        })
        .collect();
    let (key, _, mode) = found.first()?;
    let text = format!("saved output says that {} {}", key.subject, mode.says());
    let sums: Vec<&FactSum> = found.iter().map(|(_, sum, _)| *sum).collect();
    Some(evidence(text, found.len() as u64, 0.8, &sums))
}

/// What ztunnel knows of the called service and its pods.
fn ambient<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    let name = short_service(finding.scope.destination.as_deref()?);
    let is_called = |pod: &str| finding.scope.pods.iter().any(|called| called == pod);
    let found: Vec<(&FactKey, &FactSum)> = facts
        .filter(|(key, _)| match (&key.topic, finding.cause.as_str()) {
            (Topic::Waypoint(_), "waypoint-misrouted") => key.subject == name,
            (
                Topic::Tunnel(false),
                "ztunnel-unreachable" | "mtls-tls-to-plaintext" | "mtls-plaintext-to-strict",
            ) => is_called(&key.subject),
            _ => false,
        })
        .collect();
    let (key, _) = found.first()?;
    let text = match &key.topic {
        Topic::Waypoint(waypoint) if waypoint.is_empty() => {
            format!("ztunnel has no waypoint for {}, as saved", key.subject)
        }
        Topic::Waypoint(waypoint) => format!(
            "ztunnel has {waypoint} as the waypoint of {}, as saved",
            key.subject
        ),
        _ => format!(
            "ztunnel sends to {} as plain TCP, not by HBONE, as saved: it is not in the ambient mesh",
            key.subject
        ),
    };
    let sums: Vec<&FactSum> = found.iter().map(|(_, sum)| *sum).collect();
    Some(evidence(text, found.len() as u64, 0.6, &sums))
}

/// Causes that a proxy which does not serve (yet, or any more) goes with.
const OF_PROXIES: &[&str] = &[
    "sidecar-startup-race",
    "control-plane-unreachable",
    "config-rejected",
    "listener-bind-failure",
];

/// Proxies in the scope of a finding that say of themselves that they do not serve.
fn not_live<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    if !OF_PROXIES.contains(&finding.cause.as_str()) {
        return None;
    }
    let found: Vec<(&FactKey, &FactSum, &str)> = facts
        .filter_map(|(key, sum)| match &key.topic {
            Topic::Server(state, _) if state != "LIVE" && finding.scope.pods.contains(&key.subject) => {
                Some((key, sum, state.as_str()))
            }
            _ => None,
        })
        .collect();
    let (key, _, state) = found.first()?;
    let text = format!(
        "{} said of itself, when it was saved, that it is {state}",
        key.subject
    );
    let sums: Vec<&FactSum> = found.iter().map(|(_, sum, _)| *sum).collect();
    Some(evidence(text, found.len() as u64, 0.7, &sums))
}

/// The host of a finding's destination, without its port.
fn host(finding: &Finding) -> Option<&str> {
    let destination = finding.scope.destination.as_deref()?;
    Some(destination.rsplit_once(':').map_or(destination, |(host, _)| host))
}

/// Requests to the service that ended with a flag or a status of the server's, as Istio's metrics count them. Both sides count, so that of
/// each kind the caller's count is taken where there is one.
fn requests_counted<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    let host = host(finding)?;
    let counted: Vec<(&RequestsFact, &FactSum)> = facts
        .filter_map(|(key, sum)| match &key.topic {
            Topic::Requests(requests) if requests.destination == host => Some((requests, sum)),
            _ => None,
        })
        .collect();
    let by_source = counted.iter().any(|(requests, _)| requests.reporter == "source");
    // The same may have been saved more than once: of each kind the most counts.
    let mut kinds: BTreeMap<(&str, &str), (u64, &FactSum)> = BTreeMap::new();
    for (requests, sum) in counted {
        if by_source && requests.reporter != "source" {
            continue;
        }
        let kind = kinds
            .entry((requests.flags.as_str(), requests.code.as_str()))
            .or_insert((0, sum));
        if requests.count > kind.0 {
            *kind = (requests.count, sum);
        }
    }
    let all: u64 = kinds.values().map(|(count, _)| *count).sum();
    // gRPC's failures have status 200; flags that only say how a request went upstream are no failures.
    let failed = |flags: &str, code: &str| {
        !matches!(flags, "" | "-" | "via_upstream") || code.starts_with('5') || code == "0"
    };
    let mut worst: Vec<(u64, &str, &str, &FactSum)> = kinds
        .into_iter()
        .filter(|((flags, code), _)| failed(flags, code))
        .map(|((flags, code), (count, sum))| (count, flags, code, sum))
        .collect();
    worst.sort_by_key(|(count, flags, code, _)| (std::cmp::Reverse(*count), *flags, *code));
    worst.truncate(NAMED);
    let (first, ..) = worst.first()?;
    let parts: Vec<String> = worst
        .iter()
        .map(|(count, flags, code, _)| match *flags {
            "" | "-" => format!("{count} with status {code}"),
            flags => format!("{count} with status {code} and flag {flags}"),
        })
        .collect();
    let text = format!(
        "Istio's metrics, as saved from Prometheus, count {all} requests to {host}: {}",
        parts.join(", ")
    );
    let sums: Vec<&FactSum> = worst.iter().map(|(.., sum)| *sum).collect();
    Some(evidence(text, *first, 0.5, &sums))
}

/// Causes that show in durations.
const OF_DURATIONS: &[&str] = &[
    "slow-upstream-app",
    "upstream-timeout",
    "packet-loss",
    "zero-window",
    "control-plane-push-delay",
    "circuit-breaker-overflow",
];

/// Durations of requests to the service, as Istio's metrics hold them.
fn durations_counted<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    if !OF_DURATIONS.contains(&finding.cause.as_str()) {
        return None;
    }
    let host = host(finding)?;
    let (durations, sum) = facts
        .filter_map(|(key, sum)| match &key.topic {
            Topic::Durations(durations) if durations.destination == host => Some((durations, sum)),
            _ => None,
        })
        .max_by_key(|(durations, _)| (durations.reporter == "source", durations.count))?;
    let up_to = |bound: Option<u64>| match bound {
        Some(ms) => format!("at most {ms} ms"),
        None => "longer than all bounds of the histogram".to_owned(),
    };
    let text = format!(
        "Istio's metrics, as saved from Prometheus, hold durations of {} requests to {host}: half took {}, 99 of 100 {}",
        durations.count,
        up_to(durations.p50_ms),
        up_to(durations.p99_ms)
    );
    Some(evidence(text, durations.count, 0.4, &[sum]))
}

/// What was tried by hand of the finding's host, and went as the finding says.
fn probed<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    let expected: &[Probed] = match finding.cause.as_str() {
        "upstream-connection-refused" => &[Probed::Refused],
        "network-policy-reject" => &[Probed::Refused, Probed::Rejected, Probed::TimedOut],
        "upstream-connect-timeout" => &[Probed::TimedOut],
        "upstream-reset" | "mtls-plaintext-to-strict" => &[Probed::Reset],
        "mtls-tls-to-plaintext" => &[Probed::TlsFailed],
        "dns-failure" => &[Probed::Unresolved, Probed::LookupFailed],
        "cert-expired" | "gradual-cert-expiry" | "server-cert-rejected" => &[Probed::CertificateExpired],
        "cert-unknown-ca" => &[Probed::CertificateUntrusted],
        "sidecar-injection-conflict" => &[Probed::NotRedirected],
        _ => return None,
    };
    let name = finding.scope.destination.as_deref().map(short_service)?;
    let found: Vec<(&FactKey, &FactSum, Probed)> = facts
        .filter_map(|(key, sum)| match key.topic {
            Topic::Probe(probed) if expected.contains(&probed) => Some((key, sum, probed)),
            _ => None,
        })
        // openssl and iptables do not say whom they asked.
        .filter(|(key, ..)| key.subject.is_empty() || short_service(&key.subject) == name)
        .collect();
    let (key, _, probed) = found.first()?;
    let (of, strength) = if key.subject.is_empty() {
        (String::new(), 0.4)
    } else {
        (format!(" of {}", key.subject), 0.7)
    };
    let text = format!("a probe{of} that was saved {}", probed.says());
    let sums: Vec<&FactSum> = found.iter().map(|(_, sum, _)| *sum).collect();
    Some(evidence(text, found.len() as u64, strength, &sums))
}

/// Causes that lie with the called pods, where their state says something.
const OF_PODS: &[&str] = &[
    "no-endpoints",
    "sidecar-memory-exhaustion",
    "sidecar-startup-race",
    "slow-upstream-app",
    "upstream-connect-timeout",
    "upstream-connection-refused",
    "upstream-reset",
];

/// Pods of the called service that do not run as they should, as `kubectl get pods` and `kubectl get events` have it.
fn pods_in_trouble<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    if !OF_PODS.contains(&finding.cause.as_str()) {
        return None;
    }
    let (name, _) = service(finding)?;
    let is_called = |pod: &str| {
        finding.scope.pods.iter().any(|called| called == pod)
            // `ratings-v1` is of ratings, `ratings-cache` may be of another service.
            || workload(pod).strip_prefix(name).is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix("-v")
                        .is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
            })
    };
    let found: Vec<(&str, &str, &FactSum)> = facts
        .filter_map(|(key, sum)| {
            let (pod, what) = match &key.topic {
                Topic::Pod(trouble) if !trouble.is_empty() => (key.subject.as_str(), trouble),
                Topic::Event(reason) | Topic::Happened(reason, true) => {
                    (key.subject.strip_prefix("pod/")?, reason)
                }
                _ => return None,
            };
            is_called(pod).then_some((pod, what.as_str(), sum))
        })
        .collect();
    let (pod, what, _) = found.first()?;
    let text = format!("saved output says of the pod {pod}: {what}");
    let sums: Vec<&FactSum> = found.iter().map(|(_, _, sum)| *sum).collect();
    Some(evidence(text, found.len() as u64, 0.6, &sums))
}

fn evidence(text: String, count: u64, strength: f64, sums: &[&FactSum]) -> Evidence {
    let mut places: Vec<Place> = sums.iter().flat_map(|sum| sum.places.keys()).copied().collect();
    places.sort();
    places.truncate(REFS);
    Evidence {
        kind: EvidenceKind::Config,
        text,
        count,
        strength,
        places,
        frames: Vec::new(),
    }
}

/// Hosts of each cluster by state.
#[derive(Default)]
struct Clusters<'t>(BTreeMap<&'t str, Cluster<'t>>);

#[derive(Default)]
struct Cluster<'t> {
    configured: Option<&'t FactSum>,
    healthy: Option<&'t FactSum>,
    ejected: Option<&'t FactSum>,
    unhealthy: Option<&'t FactSum>,
}

impl<'t> Clusters<'t> {
    fn of(facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>) -> Self {
        let mut clusters = Self::default();
        for (key, sum) in facts {
            if !matches!(key.topic, Topic::Cluster | Topic::Host(_)) {
                continue;
            }
            let cluster = clusters.0.entry(&key.subject).or_default();
            match key.topic {
                Topic::Host(HostState::Healthy) => cluster.healthy = Some(sum),
                Topic::Host(HostState::Ejected) => cluster.ejected = Some(sum),
                Topic::Host(HostState::Unhealthy) => cluster.unhealthy = Some(sum),
                _ => cluster.configured = Some(sum),
            }
        }
        clusters
    }

    /// Clusters of the destination of a finding.
    fn called<'s>(
        &'s self,
        finding: &'s Finding,
    ) -> impl Iterator<Item = (&'t str, &'s Cluster<'t>)> + use<'s, 't> {
        self.0
            .iter()
            .filter(|(name, _)| is_of(name, finding))
            .map(|(name, cluster)| (*name, cluster))
    }

    fn without_healthy_hosts(&self, finding: &Finding, whole: bool) -> Option<Evidence> {
        let (name, cluster) = self
            .called(finding)
            .find(|(_, cluster)| cluster.healthy.is_none())?;
        let down: Vec<&FactSum> = [cluster.ejected, cluster.unhealthy]
            .into_iter()
            .flatten()
            .collect();
        if down.is_empty() {
            // Where not all facts are kept, hosts may be among those that are not.
            let configured = cluster.configured.filter(|_| whole)?;
            let text = format!("the saved clusters of a proxy list {name} without any host");
            return Some(evidence(text, configured.count, 0.9, &[configured]));
        }
        let count = down.iter().map(|sum| sum.count).sum();
        let text = format!("saved output lists {count} hosts of {name} and none of them healthy");
        Some(evidence(text, count, 0.9, &down))
    }

    fn with_ejected_hosts(&self, finding: &Finding) -> Option<Evidence> {
        let (name, ejected) = self
            .called(finding)
            .find_map(|(name, cluster)| Some((name, cluster.ejected?)))?;
        let text = format!(
            "saved output shows {} hosts of {name} put out by outlier detection",
            ejected.count
        );
        Some(evidence(text, ejected.count, 0.9, &[ejected]))
    }
}

/// Whether a cluster (`outbound|9080|v1|ratings.default.svc.cluster.local`) is of the destination of a finding.
fn is_of(cluster: &str, finding: &Finding) -> bool {
    if finding.scope.cluster.as_deref() == Some(cluster) {
        return true;
    }
    let mut parts = cluster.split('|');
    let (Some("outbound"), Some(port), Some(_), Some(host)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let destination = finding.scope.destination.as_deref().unwrap_or_default();
    destination
        .rsplit_once(':')
        .is_some_and(|(of_host, of_port)| of_host == host && of_port == port)
}

fn expired<'t>(
    finding: &Finding,
    facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>,
) -> Option<Evidence> {
    let end = finding.end.or(finding.start)?;
    let over: Vec<&FactSum> = facts
        .filter(|(key, _)| matches!(key.topic, Topic::Certificate(_)))
        .map(|(_, sum)| sum)
        .filter(|sum| sum.time.is_some_and(|not_after| not_after < end))
        .collect();
    let first = over.iter().filter_map(|sum| sum.time).min()?;
    let count = over.iter().map(|sum| sum.count).sum();
    let text =
        format!("saved output lists {count} certificates that had ended by then, the first at {first}");
    Some(evidence(text, count, 0.9, &over))
}

fn out_of_step<'t>(facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>) -> Option<Evidence> {
    let behind: Vec<(&str, &FactSum)> = facts
        .filter(|(key, _)| matches!(key.topic, Topic::Proxy(Sync::Stale | Sync::Refused)))
        .map(|(key, sum)| (key.subject.as_str(), sum))
        .collect();
    let (name, _) = behind.first()?;
    let count = behind.len() as u64;
    let others = if count > 1 {
        format!(" and {} others", count - 1)
    } else {
        String::new()
    };
    let sums: Vec<&FactSum> = behind.iter().map(|(_, sum)| *sum).collect();
    let text = format!("istioctl proxy-status shows {name}{others} out of step with the control plane");
    Some(evidence(text, count, 0.7, &sums))
}
