//! Bounds that clusters have, hosts that they may put out, clusters that nobody needs, and configuration that was refused.

use super::{EXACT, NAMED, Saved, Says, since};
use crate::correlate::names::proxy_name;
use crate::decode::document::facts::{Bounds, Spec};
use crate::diagnose::finding::Finding;
use crate::diagnose::measure::some;
use std::collections::{BTreeMap, BTreeSet};

/// Clusters of a proxy from which it is told when most of them are not used. A guess: a small mesh has fewer.
const MANY_CLUSTERS: usize = 100;

/// One in so many is used where it is told.
const FEW_USED: usize = 4;

/// The bounds of the called cluster.
pub(super) fn overflow(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    for at in saved.objects("DestinationRule") {
        if let Spec::DestinationRule {
            host,
            bounds,
            bounds_line,
            ..
        } = &at.object.spec
            && saved.called.is(host, &at.key.namespace)
            && let Some(set) = described(bounds)
        {
            says.look_at(at.key);
            says.holds(
                format!("{} allows {set}", at.title()),
                EXACT,
                [at.line(*bounds_line)],
            );
        }
    }
    let clusters = saved.clusters(finding);
    let mut bounded = clusters
        .iter()
        .filter_map(|at| Some((at, described(at.cluster.bounds.as_ref()?)?)));
    if let Some((at, set)) = bounded.next() {
        let text = format!(
            "the circuit breaker of {} in {}{} allows {set}",
            at.cluster.name,
            proxy_name(&at.key.proxy),
            since(at.cluster.updated)
        );
        says.holds(text, EXACT, [*at.place]);
    } else if let Some(at) = clusters.iter().find(|at| at.cluster.bounds.is_some()) {
        let text = format!(
            "{} has no bound for {}",
            proxy_name(&at.key.proxy),
            at.cluster.name
        );
        says.against(&text, [*at.place]);
    }
}

fn described(bounds: &Bounds) -> Option<String> {
    let parts: Vec<String> = [
        (bounds.connections, "connections"),
        (bounds.pending, "waiting requests"),
        (bounds.requests, "requests at a time"),
        (bounds.retries, "retries at a time"),
    ]
    .into_iter()
    .filter_map(|(bound, what)| Some(format!("{} {what}", bound?)))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether hosts of the cluster can be put out at all.
pub(super) fn ejection(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    for at in saved.objects("DestinationRule") {
        if let Spec::DestinationRule {
            host, ejects: true, ..
        } = &at.object.spec
            && saved.called.is(host, &at.key.namespace)
        {
            says.look_at(at.key);
            let text = format!("{} has hosts put out for errors (outlierDetection)", at.title());
            says.holds(text, EXACT, [*at.place]);
        }
    }
    let clusters = saved.clusters(finding);
    if let Some(at) = clusters.iter().find(|at| at.cluster.ejects == Some(true)) {
        let text = format!(
            "{} puts hosts of {} out for errors (outlier_detection)",
            proxy_name(&at.key.proxy),
            at.cluster.name
        );
        says.holds(text, EXACT, [*at.place]);
    } else if let Some(at) = clusters.iter().find(|at| at.cluster.ejects == Some(false)) {
        let text = format!(
            "{} puts no hosts of {} out (no outlier_detection)",
            proxy_name(&at.key.proxy),
            at.cluster.name
        );
        says.against(&text, [*at.place]);
    }
}

/// Proxies that are told of far more services than they call.
pub(super) fn unused(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    if saved.configuration.clusters.is_truncated() {
        return;
    }
    let mut known: BTreeMap<&str, (BTreeSet<&str>, crate::units::Place)> = BTreeMap::new();
    for (key, kept) in saved.configuration.clusters.iter() {
        if let (Some((place, _)), true) = (kept.0.first_key_value(), key.name.starts_with("outbound|")) {
            let entry = known.entry(&key.proxy).or_insert((BTreeSet::new(), *place));
            entry.0.insert(&key.name);
        }
    }
    let mut worst: Option<(usize, usize, &str, crate::units::Place)> = None;
    for (proxy, (clusters, place)) in known {
        let name = proxy_name(proxy);
        let used: BTreeSet<&str> = saved
            .facts
            .incident
            .calls
            .iter()
            .filter(|call| call.is_source() && call.source == name)
            .map(|call| call.key.cluster.as_str())
            .filter(|cluster| clusters.contains(cluster))
            .collect();
        let concerns = finding.scope.source.as_deref() == Some(name)
            || finding.scope.pods.iter().any(|pod| proxy_name(pod) == name)
            || finding.scope.destination.as_deref() == Some("istiod");
        let is_waste =
            clusters.len() >= MANY_CLUSTERS && used.len() * FEW_USED <= clusters.len() && !used.is_empty();
        if concerns && is_waste && worst.is_none_or(|(most, ..)| clusters.len() > most) {
            worst = Some((clusters.len(), used.len(), name, place));
        }
    }
    if let Some((clusters, used, name, place)) = worst {
        let text = format!(
            "{name} is told of {clusters} clusters, and its rows used {used} of them: a Sidecar resource can leave the rest out"
        );
        says.holds(text, 0.5, [place]);
    }
}

/// What proxies say that they refused.
pub(super) fn rejected(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let all = saved.configuration.rejected.iter();
    let concerned = |proxy: &str| {
        let mesh = finding.scope.destination.as_deref() == Some("istiod");
        mesh || finding
            .scope
            .pods
            .iter()
            .any(|pod| proxy_name(pod) == proxy_name(proxy))
            || finding.scope.source.as_deref() == Some(proxy_name(proxy))
    };
    let found: Vec<_> = all
        .filter(|(key, _)| concerned(&key.proxy))
        .filter_map(|(key, kept)| Some((key, kept.0.first_key_value()?)))
        .collect();
    let Some((key, (_, first))) = found.first() else {
        return;
    };
    let names: Vec<&str> = found
        .iter()
        .map(|(_, (_, rejected))| rejected.name.as_str())
        .collect();
    let text = format!(
        "the saved configuration of {} has what it refused: {}: {}",
        proxy_name(&key.proxy),
        some(&names, NAMED),
        first.details.chars().take(120).collect::<String>()
    );
    says.holds(text, 0.95, found.iter().map(|(_, (place, _))| **place));
}
