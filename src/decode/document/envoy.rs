//! Objects of Envoy's configuration: from `/config_dump`, and as istioctl prints them.
//!
//! Sources: envoyproxy/envoy `api/envoy/admin/v3/config_dump*.proto`, `api/envoy/config/{cluster,route,listener,endpoint}/v3`;
//! istio/istio `pilot/pkg/networking/core` for names and what they mean.

use super::facts::{
    Bounds, Cluster, Condition, Inbound, LIST_MAX, PathForm, PathMatch, Rejected, Route, Said, Spot,
    Statement, Target, Tls, VirtualHost,
};
use super::tree::{Node, Value};
use super::words::{certificates, duration_ms, name, time};
use crate::decode::output::{Fact, HostState};

/// What Istio writes for no bound.
const NO_BOUND: u64 = u32::MAX as u64;

/// What one object of a dump says; `list` is the member that holds it, empty for a list that has no name.
pub(super) fn read(list: &str, node: &Node, out: &mut Vec<Said>) {
    let list: String = list
        .chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    if let Some(refused) = node.get("error_state") {
        out.extend(rejected(node, refused));
    }
    if list == "bootstrap" {
        out.extend(pod(node).map(|(line, pod)| say(line, Statement::Proxy(pod))));
    } else if list.ends_with("clusters") {
        let held = node.get("cluster").unwrap_or(node);
        out.extend(cluster(held, updated(node)));
    } else if list.ends_with("endpointconfigs") {
        hosts(node.get("endpoint_config").unwrap_or(node), out);
    } else if list.ends_with("routeconfigs") {
        table(node.get("route_config").unwrap_or(node), updated(node), out);
    } else if list.ends_with("listeners") {
        let state = node.get("active_state").unwrap_or(node);
        out.extend(inbound(state.get("listener").unwrap_or(state)));
    } else if list.ends_with("secrets") {
        secret(node, out);
    } else if list == "clusterstatuses" {
        statuses(node, out);
    } else if list.is_empty() {
        // istioctl prints lists without a name.
        if node.get("virtual_hosts").is_some() {
            table(node, None, out);
        } else if node.get("host_statuses").is_some() {
            statuses(node, out);
        } else if node.get("filter_chains").is_some() {
            out.extend(inbound(node));
        } else if let Some(uptime) = node.get("uptime_current_epoch") {
            out.extend(server(node, uptime));
        } else if node.get("connect_timeout").is_some() || node.get("eds_cluster_config").is_some() {
            out.extend(cluster(node, None));
        }
    }
}

/// Envoy's `/server_info` (`api/envoy/admin/v3/server_info.proto`).
fn server(node: &Node, uptime: &Node) -> Option<Said> {
    let state = node.get("state")?;
    let fact = Fact::Server {
        state: name(state.text()?),
        uptime_s: duration_ms(uptime.text()?)? / 1000,
    };
    Some(say(state.line, Statement::Fact(fact)))
}

fn say(line: Spot, statement: Statement) -> Said {
    Said { line, statement }
}

fn updated(node: &Node) -> Option<crate::units::Timestamp> {
    time(
        node.text_of("last_updated")
            .or_else(|| node.at(&["active_state", "last_updated"])?.text())?,
    )
}

/// `sidecar~10.244.1.11~productpage-v1-7f9c.default~default.svc.cluster.local`.
fn pod(bootstrap: &Node) -> Option<(Spot, String)> {
    let id = bootstrap
        .at(&["bootstrap", "node", "id"])
        .or_else(|| bootstrap.at(&["node", "id"]))?;
    let of = id.text()?.split('~').nth(2)?;
    Some((id.line, name(of.rsplit_once('.').map_or(of, |(pod, _)| pod))))
}

fn rejected(node: &Node, refused: &Node) -> Option<Said> {
    let tried = refused.get("failed_configuration");
    let named = node
        .get("name")
        .or_else(|| node.at(&["cluster", "name"]))
        .or_else(|| node.at(&["route_config", "name"]))
        .or_else(|| tried?.get("name"));
    let details = refused.get("details")?;
    let text = name(named.and_then(Node::text).unwrap_or("configuration"));
    Some(say(
        details.line,
        Statement::Rejected(Rejected {
            name: text,
            details: name(details.text()?),
            at: refused.text_of("last_update_attempt").and_then(time),
        }),
    ))
}

fn cluster(node: &Node, updated: Option<crate::units::Timestamp>) -> Option<Said> {
    let named = node.get("name")?;
    let thresholds = node.at(&["circuit_breakers", "thresholds"]).map(Node::items);
    // The first is of the default priority.
    let bounds = thresholds.and_then(<[Node]>::first).map(|threshold| {
        let bound = |member: &str| threshold.number_of(member).filter(|bound| *bound < NO_BOUND);
        Bounds {
            connections: bound("max_connections"),
            pending: bound("max_pending_requests"),
            requests: bound("max_requests"),
            retries: bound("max_retries"),
        }
    });
    let cluster = Cluster {
        name: name(named.text()?),
        discovery: name(node.text_of("type").unwrap_or_default()),
        tls: Some(tls(node)),
        bounds,
        ejects: Some(node.get("outlier_detection").is_some()),
        connect_timeout_ms: node.text_of("connect_timeout").and_then(duration_ms),
        rule: rule(node),
        updated,
    };
    Some(say(named.line, Statement::Cluster(cluster)))
}

fn tls(cluster: &Node) -> Tls {
    if !cluster.items_of("transport_socket_matches").is_empty() {
        return Tls::Auto;
    }
    let Some(socket) = cluster.get("transport_socket") else {
        return Tls::Plain;
    };
    let kind = socket.text_of("name").unwrap_or_default();
    if kind.ends_with("raw_buffer") {
        return Tls::Plain;
    }
    let context = socket.get("typed_config");
    let alpn = context
        .and_then(|context| context.at(&["common_tls_context", "alpn_protocols"]))
        .map_or(&[][..], Node::items);
    if alpn.iter().any(|protocol| protocol.text() == Some("istio")) {
        Tls::IstioMutual
    } else {
        Tls::Other
    }
}

/// The object of Istio behind it: `.../namespaces/<namespace>/<kind>/<name>`.
fn rule(node: &Node) -> Option<String> {
    let config = node
        .at(&["metadata", "filter_metadata", "istio", "config"])?
        .text()?;
    let mut parts = config.rsplit('/');
    let (of, _kind, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    Some(name(&format!("{namespace}/{of}")))
}

/// Hosts of a cluster (`ClusterLoadAssignment`).
fn hosts(node: &Node, out: &mut Vec<Said>) {
    let Some(named) = node.get("cluster_name") else {
        return;
    };
    let Some(cluster) = named.text().map(name) else {
        return;
    };
    let configured = Fact::Cluster {
        cluster: cluster.clone(),
    };
    out.push(say(named.line, Statement::Fact(configured)));
    for host in node
        .items_of("endpoints")
        .iter()
        .flat_map(|group| group.items_of("lb_endpoints"))
    {
        let state = match host.text_of("health_status") {
            None | Some("HEALTHY" | "UNKNOWN" | "DEGRADED") => HostState::Healthy,
            Some(_) => HostState::Unhealthy,
        };
        let line = address_line(host.at(&["endpoint", "address"])).unwrap_or(host.line);
        let cluster = cluster.clone();
        out.push(say(line, Statement::Fact(Fact::Host { cluster, state })));
    }
}

fn address_line(address: Option<&Node>) -> Option<Spot> {
    Some(address?.at(&["socket_address", "address"])?.line)
}

/// Hosts of a cluster as `/clusters?format=json` and `istioctl proxy-config endpoint -o json` have them.
fn statuses(node: &Node, out: &mut Vec<Said>) {
    let Some(named) = node.get("name") else { return };
    let Some(cluster) = named
        .text()
        .map(|text| name(text.strip_suffix(';').unwrap_or(text)))
    else {
        return;
    };
    let configured = Fact::Cluster {
        cluster: cluster.clone(),
    };
    out.push(say(named.line, Statement::Fact(configured)));
    for host in node.items_of("host_statuses") {
        let health = host.get("health_status");
        let is = |flag: &str| health.and_then(|health| health.text_of(flag)) == Some("true");
        let eds = health.and_then(|health| health.text_of("eds_health_status"));
        let state = if is("failed_outlier_check") {
            HostState::Ejected
        } else if is("failed_active_health_check") || !matches!(eds, None | Some("HEALTHY" | "UNKNOWN")) {
            HostState::Unhealthy
        } else {
            HostState::Healthy
        };
        let line = address_line(host.get("address")).unwrap_or(host.line);
        let cluster = cluster.clone();
        out.push(say(line, Statement::Fact(Fact::Host { cluster, state })));
    }
}

fn table(node: &Node, updated: Option<crate::units::Timestamp>, out: &mut Vec<Said>) {
    let table = name(node.text_of("name").unwrap_or_default());
    for host in node.items_of("virtual_hosts") {
        let Some(named) = host.get("name") else { continue };
        let domains = host.items_of("domains").iter().filter_map(Node::text);
        let routes = host.items_of("routes");
        let virtual_host = VirtualHost {
            table: table.clone(),
            name: name(named.text().unwrap_or_default()),
            domains: domains.take(LIST_MAX).map(name).collect(),
            routes: routes.iter().take(LIST_MAX).map(route).collect(),
            cut: routes.len() > LIST_MAX,
            updated,
        };
        out.push(say(named.line, Statement::VirtualHost(virtual_host)));
    }
}

fn route(node: &Node) -> Route {
    let action = node.get("route");
    let weighted = action
        .and_then(|action| action.at(&["weighted_clusters", "clusters"]))
        .map_or(&[][..], Node::items);
    let single = action.and_then(|action| action.get("cluster"));
    let targets = single
        .into_iter()
        .chain(weighted.iter().filter_map(|cluster| cluster.get("name")));
    let answers = node
        .at(&["direct_response", "status"])
        .and_then(Node::text)
        .and_then(|status| status.parse().ok());
    Route {
        name: name(node.text_of("name").unwrap_or_default()),
        conditions: node.get("match").map(condition).into_iter().collect(),
        targets: targets
            .take(LIST_MAX)
            .map(|cluster| Target {
                host: name(cluster.text().unwrap_or_default()),
                subset: None,
                port: None,
                line: cluster.line,
            })
            .collect(),
        answers,
        timeout_ms: action
            .and_then(|action| action.text_of("timeout"))
            .and_then(duration_ms),
        retries: action
            .and_then(|action| action.at(&["retry_policy", "num_retries"]))
            .and_then(Node::text)
            .and_then(|retries| retries.parse().ok()),
        fault: false,
        rule: rule(node),
        line: node.line,
    }
}

fn condition(node: &Node) -> Condition {
    let forms = [
        ("prefix", PathForm::Prefix),
        ("path_separated_prefix", PathForm::Segments),
        ("path", PathForm::Exact),
        ("safe_regex", PathForm::Regex),
    ];
    let ignores_case = node.text_of("case_sensitive") == Some("false");
    let found = forms
        .into_iter()
        .find_map(|(member, form)| Some((node.get(member)?, form)));
    let path = found.and_then(|(value, form)| {
        let path = match &value.value {
            Value::Map(_) => value.text_of("regex")?,
            _ => value.text()?,
        };
        Some(PathMatch {
            form,
            path: name(path),
            ignores_case,
        })
    });
    let headers = node
        .items_of("headers")
        .iter()
        .filter_map(|header| header.text_of("name"));
    let parameters = node
        .items_of("query_parameters")
        .iter()
        .filter_map(|parameter| parameter.text_of("name"));
    Condition {
        path,
        others: headers
            .map(|header| name(&format!("header {header}")))
            .chain(parameters.map(|parameter| name(&format!("query parameter {parameter}"))))
            .take(LIST_MAX)
            .collect(),
        line: found.map_or(node.line, |(value, _)| value.line),
    }
}

/// What the listener of inbound traffic takes: filter chains with `tls` and with `raw_buffer`.
fn inbound(node: &Node) -> Option<Said> {
    let named = node.get("name")?;
    if named.text()? != "virtualInbound" {
        return None;
    }
    let mut inbound = Inbound::default();
    for chain in node.items_of("filter_chains") {
        let matches = chain.get("filter_chain_match");
        let port = matches.and_then(|matches| matches.number_of("destination_port"));
        // The chain that closes loops to the port of the listener itself.
        if port == Some(15006) {
            continue;
        }
        let tls = matches.and_then(|matches| matches.text_of("transport_protocol")) == Some("tls");
        let ports = inbound.ports.len();
        match inbound.ports.entry(port.unwrap_or(0)) {
            std::collections::btree_map::Entry::Vacant(_) if ports >= LIST_MAX => {}
            entry => {
                let taken = entry.or_default();
                // TLS without Istio's protocols passes through a chain for plain bytes.
                taken.0 |= tls && chain.get("transport_socket").is_some();
                taken.1 |= !tls;
            }
        }
    }
    Some(say(named.line, Statement::Inbound(inbound)))
}

fn secret(node: &Node, out: &mut Vec<Said>) {
    let Some(secret) = node.get("secret") else { return };
    let named = name(
        node.text_of("name")
            .or_else(|| secret.text_of("name"))
            .unwrap_or("certificate"),
    );
    let chain = secret.at(&["tls_certificate", "certificate_chain", "inline_bytes"]);
    let roots = secret.at(&["validation_context", "trusted_ca", "inline_bytes"]);
    for bytes in [chain, roots].into_iter().flatten() {
        let line = node.get("name").map_or(bytes.line, |named| named.line);
        out.extend(
            certificates(bytes.text().unwrap_or_default(), &named)
                .map(|fact| say(line, Statement::Fact(fact))),
        );
    }
}
