//! Whether the two sides of a hop mean the same kind of connection.

use super::{At, EXACT, LIKELY, ROOT_NAMESPACE, Saved, Says};
use crate::aggregate::address::workload;
use crate::correlate::names::proxy_name;
use crate::decode::document::Spot;
use crate::decode::document::facts::{Spec, Tls};
use crate::diagnose::finding::Finding;
use crate::units::Place;

/// The called side asks for TLS and the caller comes without.
pub(super) fn plaintext(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    if let Some((mode, title, place)) = asked_for(saved, finding) {
        if mode == "STRICT" {
            says.holds(format!("{title} asks for mutual TLS (STRICT)"), EXACT, [place]);
        } else {
            says.against(
                &format!("{title} takes connections without TLS too ({mode})"),
                [place],
            );
        }
    }
    taken(saved, finding, says);
    callers(saved, finding, Tls::Plain, says);
    look_at(saved, finding, says);
}

/// The caller comes with TLS and the called side knows none.
pub(super) fn tls(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    callers(saved, finding, Tls::IstioMutual, says);
    if let Some((mode, title, place)) = asked_for(saved, finding)
        && mode == "DISABLE"
    {
        says.holds(format!("{title} takes no TLS (DISABLE)"), EXACT, [place]);
    }
    for at in saved.pods() {
        if let Spec::Pod { containers, .. } = &at.object.spec
            && !containers.is_empty()
            && !containers.iter().any(|container| container.name == "istio-proxy")
        {
            let text = format!("{} has no istio-proxy, which would take the TLS off", at.title());
            return says.holds(text, EXACT, [*at.place]);
        }
    }
    look_at(saved, finding, says);
}

/// The mode that holds for the called pods, the narrowest policy first: mode, object, line.
fn asked_for(saved: &Saved<'_>, finding: &Finding) -> Option<(String, String, Place)> {
    let labels = saved.labels(finding);
    let mut best: Option<(u8, At<'_>, &str, Spot)> = None;
    for at in saved.objects("PeerAuthentication") {
        let Spec::PeerAuthentication {
            selector,
            mode,
            mode_line,
            ports,
        } = &at.object.spec
        else {
            continue;
        };
        let own = saved.called.namespace.as_deref() == Some(at.key.namespace.as_str());
        // Outside the root namespace and the pods' own, a policy is for others.
        if !saved.is_for_called(&at.key.namespace, selector, labels)
            || (!own && (at.key.namespace != ROOT_NAMESPACE || !selector.is_empty()))
        {
            continue;
        }
        let of_port = target_port(saved).and_then(|port| ports.get(&port));
        let mode = of_port.unwrap_or(mode);
        let narrow = match (selector.is_empty(), own) {
            (false, _) => 2,
            (true, true) => 1,
            (true, false) => 0,
        };
        let is_set = !mode.is_empty() && mode != "UNSET";
        if is_set && best.as_ref().is_none_or(|(known, ..)| narrow > *known) {
            best = Some((narrow, at, mode, *mode_line));
        }
    }
    best.map(|(_, at, mode, line)| (mode.to_owned(), at.title(), at.line(line)))
}

/// The port of the pods behind the called port, where it is a number.
fn target_port(saved: &Saved<'_>) -> Option<u64> {
    match &saved.service()?.object.spec {
        Spec::Service { ports, .. } => {
            let port = ports.iter().find(|port| Some(port.port) == saved.called.port)?;
            port.target.parse().ok().or(saved.called.port)
        }
        _ => None,
    }
}

/// What the listener of the called pods takes.
fn taken(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    for (key, kept) in saved.configuration.inbound.iter() {
        let is_called = finding
            .scope
            .pods
            .iter()
            .any(|pod| *pod == key.proxy || proxy_name(&key.proxy) == workload(pod));
        let Some((place, inbound)) = kept.0.first_key_value().filter(|_| is_called) else {
            continue;
        };
        let port = target_port(saved).or(saved.called.port).unwrap_or(0);
        let Some((tls, plain)) = inbound.ports.get(&port).or_else(|| inbound.ports.get(&0)) else {
            continue;
        };
        if *tls && !*plain {
            let text = format!(
                "the listener of {} takes TLS only at port {port}",
                proxy_name(&key.proxy)
            );
            says.holds(text, EXACT, [*place]);
        } else if *plain {
            let text = format!(
                "the listener of {} takes connections without TLS at port {port}",
                proxy_name(&key.proxy)
            );
            says.against(&text, [*place]);
        }
        return;
    }
}

/// How callers are told to connect: rules for the host, and the cluster in the caller's proxy.
fn callers(saved: &Saved<'_>, finding: &Finding, wanted: Tls, says: &mut Says) {
    let is_wanted = |tls: Tls| match wanted {
        Tls::Plain => tls == Tls::Plain,
        _ => matches!(tls, Tls::IstioMutual | Tls::Other),
    };
    let described = |tls: Tls| match tls {
        Tls::Plain => "without TLS",
        Tls::Auto => "with mutual TLS to hosts that take it",
        Tls::IstioMutual => "with Istio's mutual TLS",
        Tls::Other => "with TLS of its own",
    };
    for at in saved.objects("DestinationRule") {
        if let Spec::DestinationRule {
            host,
            tls: Some(tls),
            tls_line,
            ..
        } = &at.object.spec
            && saved.called.is(host, &at.key.namespace)
        {
            says.look_at(at.key);
            let text = format!("{} has callers connect {}", at.title(), described(*tls));
            if is_wanted(*tls) {
                says.holds(text, EXACT, [at.line(*tls_line)]);
            } else {
                says.against(&text, [at.line(*tls_line)]);
            }
        }
    }
    let clusters = saved.clusters(finding);
    let mut so = clusters
        .iter()
        .filter_map(|at| Some((at, at.cluster.tls.filter(|tls| is_wanted(*tls))?)));
    if let Some((at, tls)) = so.next() {
        let text = format!(
            "the cluster {} of {} connects {}",
            at.cluster.name,
            proxy_name(&at.key.proxy),
            described(tls)
        );
        says.holds(text, LIKELY, [*at.place]);
    }
}

fn look_at(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let labels = saved.labels(finding);
    for at in saved.objects("PeerAuthentication") {
        if let Spec::PeerAuthentication { selector, .. } = &at.object.spec
            && saved.is_for_called(&at.key.namespace, selector, labels)
        {
            says.look_at(at.key);
        }
    }
}
