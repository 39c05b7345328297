//! Hosts of the called service: whether there are any, at which port they listen, how their name is resolved, and what else runs beside.

use super::{At, EXACT, LIKELY, NAMED, Saved, Says, selects, written};
use crate::aggregate::address::{ClusterName, workload};
use crate::aggregate::outputs::Topic;
use crate::decode::document::facts::{Container, Spec};
use crate::decode::output::HostState;
use crate::diagnose::finding::Finding;
use crate::diagnose::measure::some;
use crate::units::Place;
use std::collections::{BTreeMap, BTreeSet};

/// No host to send to: what service, endpoints, workloads and subsets say.
pub(super) fn none(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    no_pods(saved, says);
    scaled_to_zero(saved, says);
    endpoints(saved, says);
    subset(saved, finding, says);
    healthy_hosts(saved, finding, says);
}

/// The labels of the service fit no saved pod.
fn no_pods(saved: &Saved<'_>, says: &mut Says) {
    let (Some(service), Some(selector)) = (saved.service(), saved.selector()) else {
        return;
    };
    let beside = saved.beside("Pod").count();
    if beside > 0 && saved.has_all("Pod") && saved.pods().is_empty() {
        says.look_at(service.key);
        let text = format!(
            "{} looks for pods with {}, and none of the {beside} saved pods of its namespace has these labels",
            service.title(),
            written(selector)
        );
        says.holds(text, LIKELY, [*service.place]);
    }
}

/// Workloads whose pods the service finds, and that are to have none.
fn scaled_to_zero(saved: &Saved<'_>, says: &mut Says) {
    let selector = saved.selector();
    let name = &saved.called.name;
    let of_called = |at: &At<'_>, labels: &BTreeMap<String, String>| match selector {
        Some(selector) if !labels.is_empty() => selects(selector, labels),
        // Without the service, or the labels, the custom of naming workloads after it.
        _ => at
            .key
            .name
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("-v")),
    };
    let mut stopped = Vec::new();
    for kind in ["Deployment", "StatefulSet"] {
        for at in saved.beside(kind) {
            if let Spec::Workload {
                replicas: Some(0),
                pod_labels,
                replicas_line,
                ..
            } = &at.object.spec
                && of_called(&at, pod_labels)
            {
                says.look_at(at.key);
                stopped.push((at.title(), at.line(*replicas_line)));
            }
        }
    }
    if !stopped.is_empty() {
        let titles: Vec<&String> = stopped.iter().map(|(title, _)| title).collect();
        let text = format!("0 replicas are asked for by {}", some(&titles, NAMED));
        let strength = if selector.is_some() { 0.95 } else { LIKELY };
        says.holds(text, strength, stopped.iter().map(|(_, place)| *place));
    }
}

/// Addresses that the cluster lists for the service.
fn endpoints(saved: &Saved<'_>, says: &mut Says) {
    let (mut ready_sum, mut unready_sum, mut places) = (0, 0, Vec::new());
    for kind in ["Endpoints", "EndpointSlice"] {
        for at in saved.beside(kind) {
            if let Spec::Endpoints {
                service,
                ready,
                unready,
            } = &at.object.spec
                && *service == saved.called.name
            {
                ready_sum += ready;
                unready_sum += unready;
                places.push(*at.place);
            }
        }
    }
    if places.is_empty() {
        return;
    }
    let name = &saved.called.name;
    if ready_sum > 0 {
        says.against(&format!("{ready_sum} addresses of {name} are ready"), places);
    } else {
        let unready = if unready_sum > 0 {
            format!(", and {unready_sum} that are not")
        } else {
            String::new()
        };
        let text = format!("the saved endpoints of {name} have no address that is ready{unready}");
        says.holds(text, EXACT, places);
    }
}

/// The subset of the called cluster: not defined, or its labels fit no pod of the service.
fn subset(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let cluster = finding.scope.cluster.as_deref().and_then(ClusterName::parse);
    let Some(wanted) = cluster
        .map(|cluster| cluster.subset)
        .filter(|subset| !subset.is_empty())
    else {
        return;
    };
    for at in saved.objects("DestinationRule") {
        let Spec::DestinationRule { host, subsets, .. } = &at.object.spec else {
            continue;
        };
        let Some(subset) = subsets
            .iter()
            .find(|subset| subset.name == wanted && saved.called.is(host, &at.key.namespace))
        else {
            continue;
        };
        let pods = saved.pods();
        let fitting = pods
            .iter()
            .filter(|pod| selects(&subset.labels, &pod.object.labels))
            .count();
        if fitting == 0 && !pods.is_empty() && saved.has_all("Pod") {
            says.look_at(at.key);
            let text = format!(
                "{} means pods with {} by the subset {wanted}, and none of the {} saved pods of {} has these labels",
                at.title(),
                written(&subset.labels),
                pods.len(),
                saved.called.name
            );
            says.holds(text, LIKELY, [at.line(subset.line)]);
        }
    }
}

/// A proxy has healthy hosts of the cluster.
fn healthy_hosts(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let Some(cluster) = finding.scope.cluster.as_deref() else {
        return;
    };
    let healthy = saved
        .facts
        .incident
        .totals
        .outputs
        .iter()
        .find(|(key, _)| key.subject == cluster && key.topic == Topic::Host(HostState::Healthy));
    if let Some((_, sum)) = healthy {
        let text = format!("{} healthy hosts of {cluster} are listed", sum.count);
        says.against(&text, sum.places.keys().copied());
    }
}

/// Which port the service sends to, and which ports its pods declare.
pub(super) fn ports(saved: &Saved<'_>, says: &mut Says) {
    let Some(service) = saved.service() else { return };
    let Spec::Service { ports, .. } = &service.object.spec else {
        return;
    };
    let pods = saved.pods();
    for port in ports
        .iter()
        .filter(|port| saved.called.port.is_none_or(|called| called == port.port))
    {
        let target = if port.target.is_empty() {
            port.port.to_string()
        } else {
            port.target.clone()
        };
        let declared = |container: &Container| {
            container
                .ports
                .iter()
                .any(|(name, number)| *name == target || number.to_string() == target)
        };
        let mut others: BTreeSet<u64> = BTreeSet::new();
        let mut places: Vec<Place> = vec![service.line(port.line)];
        let mut found = false;
        for pod in &pods {
            let Spec::Pod { containers, .. } = &pod.object.spec else {
                continue;
            };
            found |= containers.iter().any(declared);
            for container in containers.iter().filter(|container| !is_proxy(&container.name)) {
                others.extend(container.ports.values());
                if !container.ports.is_empty() {
                    places.push(pod.line(container.line));
                }
            }
        }
        if found || others.is_empty() {
            continue;
        }
        says.look_at(service.key);
        let named = target.bytes().any(|byte| !byte.is_ascii_digit());
        let others: Vec<String> = others.iter().map(u64::to_string).collect();
        let text = format!(
            "{} sends port {} to {target}, and its saved pods declare {} only{}",
            service.title(),
            port.port,
            some(&others, NAMED),
            // A declaration is for people, but for names.
            if named { ", none of this name" } else { "" }
        );
        says.holds(text, if named { EXACT } else { LIKELY }, places);
    }
}

fn is_proxy(container: &str) -> bool {
    matches!(
        container,
        "istio-proxy" | "linkerd-proxy" | "consul-dataplane" | "consul-connect-envoy-sidecar"
    )
}

/// How the name of an external host is resolved.
pub(super) fn resolution(saved: &Saved<'_>, says: &mut Says) {
    for at in saved.objects("ServiceEntry") {
        let Spec::ServiceEntry {
            hosts,
            resolution,
            endpoints,
        } = &at.object.spec
        else {
            continue;
        };
        if !hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(&saved.called.host))
        {
            continue;
        }
        says.look_at(at.key);
        if resolution.starts_with("DNS") {
            let from = if *endpoints > 0 {
                format!(", through {endpoints} names of its own")
            } else {
                String::new()
            };
            let text = format!(
                "{} has the addresses of {} resolved by {resolution}{from}",
                at.title(),
                saved.called.host
            );
            says.holds(text, EXACT, [*at.place]);
        } else {
            let text = format!(
                "{} has no name resolved for {} (resolution {resolution})",
                at.title(),
                saved.called.host
            );
            says.against(&text, [*at.place]);
        }
    }
}

/// Pods with the proxies of two meshes.
pub(super) fn two_proxies(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    for at in saved.objects("Pod") {
        let Spec::Pod { containers, .. } = &at.object.spec else {
            continue;
        };
        let proxies: Vec<&Container> = containers
            .iter()
            .filter(|container| is_proxy(&container.name))
            .collect();
        let is_named = finding
            .scope
            .pods
            .iter()
            .any(|pod| *pod == at.key.name || pod == workload(&at.key.name));
        if proxies.len() > 1 && (is_named || finding.scope.pods.is_empty()) {
            let names: Vec<&str> = proxies.iter().map(|proxy| proxy.name.as_str()).collect();
            let text = format!(
                "{} has {} containers of proxies: {}",
                at.title(),
                names.len(),
                some(&names, NAMED)
            );
            return says.holds(text, EXACT, [*at.place]);
        }
    }
}
