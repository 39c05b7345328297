//! Objects of Kubernetes and Istio, as `kubectl get -o yaml` and `-o json` print them.
//!
//! Sources: istio/api `networking/v1`, `security/v1`; kubernetes/api `core/v1`, `discovery/v1`, `apps/v1`. Contents of a `Secret` are never kept: only
//! when its certificates end.

use super::facts::{
    Bounds, Condition, Container, LIST_MAX, Object, PathForm, PathMatch, PolicyRule, Route, Said, Server,
    ServicePort, Spec, Spot, Statement, Subset, Target, Tls, Wanted,
};
use super::tree::{Node, Value};
use super::words::{certificates, duration_ms, name, time};
use crate::decode::output::{Fact, Figure, quantity};
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// What an object says; nothing if its kind says nothing here.
pub(super) fn read(node: &Node, out: &mut Vec<Said>) {
    let (Some(kind), Some(named)) = (node.text_of("kind"), node.at(&["metadata", "name"])) else {
        return;
    };
    let spec = node.get("spec");
    let found = match kind {
        "VirtualService" => spec.map(virtual_service),
        "DestinationRule" => spec.and_then(destination_rule),
        "PeerAuthentication" => Some(peer_authentication(node, spec)),
        "AuthorizationPolicy" => Some(authorization_policy(node, spec)),
        "Sidecar" => Some(sidecar(spec)),
        "ServiceEntry" => spec.map(service_entry),
        "Service" => spec.map(service),
        "Endpoints" => Some(endpoints(node, named)),
        "EndpointSlice" => Some(endpoint_slice(node)),
        "Pod" => Some(pod(node)),
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => Some(workload(node, spec)),
        // The kind of the same name of the Kubernetes Gateway API has listeners, and no servers.
        "Gateway" if spec.is_some_and(|spec| spec.get("servers").is_some()) => spec.map(gateway),
        "Telemetry" => Some(telemetry(spec)),
        "Gateway" | "EnvoyFilter" | "WorkloadEntry" | "RequestAuthentication" => Some(Spec::Other),
        "ConfigMap" | "Secret" => {
            held_certificates(kind, node, named, out);
            if kind == "ConfigMap"
                && let Some(mesh) = node.at(&["data", "mesh"])
                && let Some(read) = mesh.text().and_then(super::inner)
            {
                out.extend(access_log_formats(&read, mesh.line));
            }
            None
        }
        "IstioOperator" => {
            let mesh = spec.and_then(|spec| spec.get("meshConfig"));
            out.extend(
                mesh.into_iter()
                    .flat_map(|mesh| access_log_formats(mesh, mesh.line)),
            );
            None
        }
        _ => None,
    };
    if let (Some(Spec::Pod { trouble, .. }), Some(text)) = (&found, named.text()) {
        let fact = Fact::Pod {
            name: name(text),
            trouble: trouble.clone(),
        };
        out.push(Said {
            line: named.line,
            statement: Statement::Fact(fact),
        });
    }
    if matches!(found, Some(Spec::Pod { .. })) {
        ended_and_limits(node, named, out);
    }
    if let (Some(spec), Some(text)) = (found, named.text()) {
        let object = Object {
            kind: name(kind),
            namespace: name(
                node.at(&["metadata", "namespace"])
                    .and_then(Node::text)
                    .unwrap_or_default(),
            ),
            name: name(text),
            labels: labels(node.at(&["metadata", "labels"])),
            spec,
        };
        out.push(Said {
            line: named.line,
            statement: Statement::Object(object),
        });
    }
}

fn labels(node: Option<&Node>) -> Labels {
    node.map_or(&[][..], Node::members)
        .iter()
        .take(LIST_MAX)
        .filter_map(|(label, value)| Some((name(label), name(value.text()?))))
        .collect()
}

fn texts(items: &[Node]) -> Vec<String> {
    items
        .iter()
        .filter_map(Node::text)
        .take(LIST_MAX)
        .map(name)
        .collect()
}

fn selector(spec: Option<&Node>) -> Labels {
    let Some(spec) = spec else { return Labels::new() };
    labels(
        spec.at(&["selector", "matchLabels"])
            .or_else(|| spec.at(&["workloadSelector", "labels"])),
    )
}

fn virtual_service(spec: &Node) -> Spec {
    let streams = ["tcp", "tls"]
        .into_iter()
        .flat_map(|kind| spec.items_of(kind))
        .flat_map(|route| route.items_of("route"))
        .filter_map(target);
    Spec::VirtualService {
        hosts: texts(spec.items_of("hosts")),
        gateways: texts(spec.items_of("gateways")),
        routes: spec.items_of("http").iter().take(LIST_MAX).map(route).collect(),
        streams: streams.take(LIST_MAX).collect(),
    }
}

fn route(node: &Node) -> Route {
    let number = |path: &[&str]| {
        node.at(path)
            .and_then(Node::text)
            .and_then(|text| text.parse().ok())
    };
    let answers = number(&["directResponse", "status"]).or_else(|| {
        node.get("redirect")
            .map(|redirect| redirect.number_of("redirectCode").unwrap_or(301))
    });
    let routes = node.items_of("route").iter().filter_map(target);
    Route {
        name: name(node.text_of("name").unwrap_or_default()),
        conditions: node
            .items_of("match")
            .iter()
            .take(LIST_MAX)
            .map(condition)
            .collect(),
        targets: routes.take(LIST_MAX).collect(),
        answers,
        timeout_ms: node.text_of("timeout").and_then(duration_ms),
        retries: number(&["retries", "attempts"]),
        fault: node.get("fault").is_some(),
        rule: None,
        line: node.line,
    }
}

fn target(node: &Node) -> Option<Target> {
    let destination = node.get("destination")?;
    let host = destination.get("host")?;
    let subset = destination.get("subset");
    Some(Target {
        host: name(host.text()?),
        subset: subset.and_then(Node::text).map(name),
        port: destination
            .at(&["port", "number"])
            .and_then(Node::text)
            .and_then(|port| port.parse().ok()),
        line: subset.unwrap_or(host).line,
    })
}

fn condition(node: &Node) -> Condition {
    let uri = node.get("uri");
    let path = uri.and_then(|uri| {
        let forms = [
            ("exact", PathForm::Exact),
            ("prefix", PathForm::Prefix),
            ("regex", PathForm::Regex),
        ];
        let (value, form) = forms
            .into_iter()
            .find_map(|(member, form)| Some((uri.get(member)?, form)))?;
        Some((
            PathMatch {
                form,
                path: name(value.text()?),
                ignores_case: node.text_of("ignoreUriCase") == Some("true"),
            },
            value.line,
        ))
    });
    let mut others = Vec::new();
    for (member, value) in node.members().iter().take(LIST_MAX) {
        match member.as_str() {
            "uri" | "ignoreUriCase" | "name" | "statPrefix" => {}
            "headers" | "queryParams" | "withoutHeaders" | "sourceLabels" => {
                let names = value.members().iter().take(LIST_MAX);
                others.extend(names.map(|(of, _)| name(&format!("{member} {of}"))));
            }
            "port" | "sourceNamespace" => {
                others.push(name(&format!("{member} {}", value.text().unwrap_or_default())));
            }
            _ => others.push(name(member)),
        }
    }
    others.truncate(LIST_MAX);
    let line = path.as_ref().map_or(node.line, |(_, line)| *line);
    Condition {
        path: path.map(|(path, _)| path),
        others,
        line,
    }
}

fn mode(policy: Option<&Node>) -> Option<(Tls, Spot)> {
    let mode = policy?.at(&["tls", "mode"])?;
    let tls = match mode.text()? {
        "DISABLE" => Tls::Plain,
        "ISTIO_MUTUAL" => Tls::IstioMutual,
        _ => Tls::Other,
    };
    Some((tls, mode.line))
}

fn destination_rule(spec: &Node) -> Option<Spec> {
    let host = name(spec.text_of("host")?);
    let policy = spec.get("trafficPolicy");
    let pool = policy.and_then(|policy| policy.get("connectionPool"));
    let number = |path: &[&str]| -> Option<u64> { pool?.at(path)?.text()?.parse().ok() };
    let (tls, tls_line) = mode(policy).unzip();
    let subsets = spec
        .items_of("subsets")
        .iter()
        .take(LIST_MAX)
        .filter_map(|subset| {
            let named = subset.get("name")?;
            Some(Subset {
                name: name(named.text()?),
                labels: labels(subset.get("labels")),
                tls: mode(subset.get("trafficPolicy")).map(|(tls, _)| tls),
                line: named.line,
            })
        });
    Some(Spec::DestinationRule {
        host,
        tls,
        tls_line: tls_line.unwrap_or_default(),
        bounds: Bounds {
            connections: number(&["tcp", "maxConnections"]),
            pending: number(&["http", "http1MaxPendingRequests"]),
            requests: number(&["http", "http2MaxRequests"]),
            retries: number(&["http", "maxRetries"]),
        },
        bounds_line: pool.map_or(Spot::default(), |pool| pool.line),
        ejects: policy.and_then(|policy| policy.get("outlierDetection")).is_some(),
        subsets: subsets.collect(),
    })
}

fn peer_authentication(node: &Node, spec: Option<&Node>) -> Spec {
    let mode = spec.and_then(|spec| spec.at(&["mtls", "mode"]));
    let ports = spec
        .and_then(|spec| spec.get("portLevelMtls"))
        .map_or(&[][..], Node::members);
    Spec::PeerAuthentication {
        selector: selector(spec),
        mode: name(mode.and_then(Node::text).unwrap_or_default()),
        mode_line: mode
            .or_else(|| node.at(&["metadata", "name"]))
            .map_or(node.line, |mode| mode.line),
        ports: ports
            .iter()
            .take(LIST_MAX)
            .filter_map(|(port, mode)| Some((port.parse().ok()?, name(mode.text_of("mode")?))))
            .collect(),
    }
}

fn authorization_policy(node: &Node, spec: Option<&Node>) -> Spec {
    let Some(spec) = spec else {
        return Spec::AuthorizationPolicy {
            selector: Labels::new(),
            targets: Vec::new(),
            action: "ALLOW".to_owned(),
            rules: Vec::new(),
        };
    };
    let single = spec.get("targetRef");
    let targets = spec
        .items_of("targetRefs")
        .iter()
        .chain(single)
        .filter_map(|target| {
            Some(name(&format!(
                "{} {}",
                target.text_of("kind")?,
                target.text_of("name")?
            )))
        });
    Spec::AuthorizationPolicy {
        selector: selector(Some(spec)),
        targets: targets.take(LIST_MAX).collect(),
        action: name(spec.text_of("action").unwrap_or("ALLOW")),
        rules: spec
            .items_of("rules")
            .iter()
            .take(LIST_MAX)
            .map(|rule| policy_rule(rule, node))
            .collect(),
    }
}

fn policy_rule(rule: &Node, object: &Node) -> PolicyRule {
    let lists = |member: &str, inner: &str| -> Vec<Vec<Wanted>> {
        let found = rule.items_of(member).iter().take(LIST_MAX);
        found
            .map(|item| wanted(item.get(inner)))
            .filter(|wanted| !wanted.is_empty())
            .collect()
    };
    let line = rule.members().first().map_or(rule.line, |(_, first)| first.line);
    PolicyRule {
        from: lists("from", "source"),
        to: lists("to", "operation"),
        when: rule
            .items_of("when")
            .iter()
            .filter_map(|when| when.text_of("key"))
            .take(LIST_MAX)
            .map(name)
            .collect(),
        line: line.max(object.line),
    }
}

fn wanted(node: Option<&Node>) -> Vec<Wanted> {
    let lists = node.map_or(&[][..], Node::members).iter().take(LIST_MAX);
    lists
        .map(|(what, values)| Wanted {
            what: name(what),
            values: texts(values.items()),
            line: values.items().first().map_or(values.line, |first| first.line),
        })
        .collect()
}

fn gateway(spec: &Node) -> Spec {
    let servers = spec.items_of("servers").iter().take(LIST_MAX);
    Spec::Gateway {
        selector: labels(spec.get("selector")),
        servers: servers
            .map(|server| Server {
                port: server
                    .at(&["port", "number"])
                    .and_then(Node::text)
                    .and_then(|port| port.parse().ok()),
                protocol: name(
                    server
                        .at(&["port", "protocol"])
                        .and_then(Node::text)
                        .unwrap_or_default(),
                ),
                hosts: texts(server.items_of("hosts")),
                tls: name(
                    server
                        .at(&["tls", "mode"])
                        .and_then(Node::text)
                        .unwrap_or_default(),
                ),
                credential: name(
                    server
                        .at(&["tls", "credentialName"])
                        .and_then(Node::text)
                        .unwrap_or_default(),
                ),
                line: server
                    .items_of("hosts")
                    .first()
                    .map_or(server.line, |host| host.line),
            })
            .collect(),
    }
}

/// Of a `Telemetry` what it leaves out of the access log.
fn telemetry(spec: Option<&Node>) -> Spec {
    let mut left_out = None;
    for logging in spec
        .map_or(&[][..], |spec| spec.items_of("accessLogging"))
        .iter()
        .take(LIST_MAX)
    {
        if let Some(node) = logging.get("disabled").filter(|node| node.text() == Some("true")) {
            left_out = Some((String::new(), node.line));
        } else if let Some(node) = logging.at(&["filter", "expression"]) {
            left_out.get_or_insert((name(node.text().unwrap_or_default()), node.line));
        }
    }
    Spec::Telemetry {
        selector: selector(spec),
        left_out,
    }
}

fn sidecar(spec: Option<&Node>) -> Spec {
    let egress = spec.map_or(&[][..], |spec| spec.items_of("egress"));
    Spec::Sidecar {
        selector: selector(spec),
        hosts: egress
            .iter()
            .flat_map(|egress| texts(egress.items_of("hosts")))
            .take(LIST_MAX)
            .collect(),
    }
}

fn service_entry(spec: &Node) -> Spec {
    Spec::ServiceEntry {
        hosts: texts(spec.items_of("hosts")),
        resolution: name(spec.text_of("resolution").unwrap_or("NONE")),
        endpoints: spec.items_of("endpoints").len() as u64,
    }
}

fn service(spec: &Node) -> Spec {
    let ports = spec.items_of("ports").iter().take(LIST_MAX).filter_map(|port| {
        let target = port.get("targetPort");
        let number = port.get("port")?;
        Some(ServicePort {
            name: name(port.text_of("name").unwrap_or_default()),
            port: number.text()?.parse().ok()?,
            target: name(target.and_then(Node::text).unwrap_or_default()),
            line: target.unwrap_or(number).line,
        })
    });
    Spec::Service {
        ports: ports.collect(),
        selector: labels(spec.get("selector")),
    }
}

fn endpoints(node: &Node, named: &Node) -> Spec {
    let count = |member: &str| -> u64 {
        let subsets = node.items_of("subsets").iter();
        subsets.map(|subset| subset.items_of(member).len() as u64).sum()
    };
    Spec::Endpoints {
        service: name(named.text().unwrap_or_default()),
        ready: count("addresses"),
        unready: count("notReadyAddresses"),
    }
}

fn endpoint_slice(node: &Node) -> Spec {
    let service = node
        .at(&["metadata", "labels"])
        .and_then(|labels| labels.text_of("kubernetes.io/service-name"));
    let (mut ready, mut unready) = (0_u64, 0_u64);
    for endpoint in node.items_of("endpoints") {
        let addresses = endpoint.items_of("addresses").len() as u64;
        // Not told means ready (kubernetes/api discovery/v1).
        let is_ready = endpoint.at(&["conditions", "ready"]).and_then(Node::text) != Some("false");
        let sum = if is_ready { &mut ready } else { &mut unready };
        *sum = sum.saturating_add(addresses);
    }
    Spec::Endpoints {
        service: name(service.unwrap_or_default()),
        ready,
        unready,
    }
}

fn pod(node: &Node) -> Spec {
    let spec = node.get("spec");
    let of = |member: &str| spec.map_or(&[][..], |spec| spec.items_of(member));
    // Native sidecars are init containers that go on.
    let sidecars = of("initContainers")
        .iter()
        .filter(|container| container.text_of("restartPolicy") == Some("Always"));
    let containers = of("containers").iter().chain(sidecars).take(LIST_MAX);
    let status = node.get("status");
    Spec::Pod {
        account: name(
            spec.and_then(|spec| spec.text_of("serviceAccountName"))
                .unwrap_or("default"),
        ),
        ip: name(
            status
                .and_then(|status| status.text_of("podIP"))
                .unwrap_or_default(),
        ),
        containers: containers.map(container).collect(),
        trouble: status.map(trouble).unwrap_or_default(),
    }
}

/// How containers of a pod ended last, and how much memory they may use: what `kubectl describe pod` prints as well.
fn ended_and_limits(node: &Node, named: &Node, out: &mut Vec<Said>) {
    let pod = name(named.text().unwrap_or_default());
    let list = |part: &str, member: &str| node.get(part).map_or(&[][..], |part| part.items_of(member));
    let statuses = list("status", "containerStatuses").iter();
    let of_init = list("status", "initContainerStatuses");
    for container in statuses.chain(of_init).take(LIST_MAX) {
        let ended = ["state", "lastState"]
            .into_iter()
            .find_map(|state| container.at(&[state, "terminated"]));
        let Some((ended, reason)) = ended.and_then(|ended| Some((ended, ended.get("reason")?))) else {
            continue;
        };
        out.push(Said {
            line: reason.line,
            statement: Statement::Fact(Fact::Terminated {
                pod: pod.clone(),
                container: name(container.text_of("name").unwrap_or_default()),
                reason: name(reason.text().unwrap_or_default()),
                at: ended.text_of("finishedAt").and_then(time),
            }),
        });
    }
    let containers = list("spec", "containers").iter();
    for container in containers.chain(list("spec", "initContainers")).take(LIST_MAX) {
        let Some(limit) = container.at(&["resources", "limits", "memory"]) else {
            continue;
        };
        let Some(value) = limit.text().and_then(|text| quantity(text.as_bytes())) else {
            continue;
        };
        let of = container.text_of("name").unwrap_or_default();
        out.push(Said {
            line: limit.line,
            statement: Statement::Fact(Fact::Figure {
                subject: name(&format!("{pod}/{of}")),
                figure: Figure::MemoryLimitBytes,
                value,
            }),
        });
    }
}

fn container(node: &Node) -> Container {
    let ports = node.items_of("ports");
    Container {
        name: name(node.text_of("name").unwrap_or_default()),
        ports: ports
            .iter()
            .take(LIST_MAX)
            .filter_map(|port| {
                let number = port.number_of("containerPort")?;
                let named = port.text_of("name").map_or_else(|| number.to_string(), name);
                Some((named, number))
            })
            .collect(),
        line: ports
            .first()
            .and_then(|port| port.get("containerPort"))
            .or_else(|| node.get("name"))
            .map_or(node.line, |found| found.line),
    }
}

/// Why a pod does not run: the reason of a container that waits or ended, or its phase.
fn trouble(status: &Node) -> String {
    let containers = ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|member| status.items_of(member));
    for container in containers {
        let waiting = container.at(&["state", "waiting", "reason"]).and_then(Node::text);
        let ended = ["state", "lastState"]
            .into_iter()
            .find_map(|state| container.at(&[state, "terminated", "reason"])?.text())
            .filter(|reason| *reason == "OOMKilled");
        if let Some(reason) = waiting.filter(|reason| *reason != "PodInitializing").or(ended) {
            return name(reason);
        }
    }
    match status.text_of("phase") {
        Some("Running" | "Succeeded") | None => String::new(),
        Some(phase) => name(phase),
    }
}

fn workload(node: &Node, spec: Option<&Node>) -> Spec {
    let replicas = spec.and_then(|spec| spec.get("replicas"));
    Spec::Workload {
        replicas: replicas
            .and_then(Node::text)
            .and_then(|replicas| replicas.parse().ok()),
        ready: node
            .get("status")
            .and_then(|status| status.number_of("readyReplicas"))
            .unwrap_or(0),
        pod_labels: labels(spec.and_then(|spec| spec.at(&["template", "metadata", "labels"]))),
        replicas_line: replicas
            .or_else(|| node.at(&["metadata", "name"]))
            .map_or(node.line, |found| found.line),
    }
}

/// Entries that hold certificates: roots that istiod hands out, and secrets of gateways and authorities.
fn held_certificates(kind: &str, node: &Node, named: &Node, out: &mut Vec<Said>) {
    let object = named.text().unwrap_or_default();
    if kind == "ConfigMap" && object != "istio-ca-root-cert" {
        return;
    }
    let namespace = node
        .at(&["metadata", "namespace"])
        .and_then(Node::text)
        .unwrap_or_default();
    let entries = node.get("data").map_or(&[][..], Node::members).iter();
    for (_, value) in entries.filter(|(entry, _)| is_certificate(entry)).take(LIST_MAX) {
        let Value::Scalar(text) = &value.value else {
            continue;
        };
        let of = name(&format!("{namespace}/{object}"));
        out.extend(certificates(text, &of).map(|fact| Said {
            line: named.line,
            statement: Statement::Fact(fact),
        }));
    }
}

/// Format strings of a mesh configuration (istio/api `mesh/v1alpha1/config.proto`): that of all proxies, and those of providers that a
/// `Telemetry` may name.
fn access_log_formats(mesh: &Node, line: Spot) -> Vec<Said> {
    let providers = mesh.items_of("extensionProviders").iter().take(LIST_MAX);
    let formats = providers.filter_map(|provider| provider.at(&["envoyFileAccessLog", "logFormat"]));
    let of_provider = formats.filter_map(|format| {
        let labels = || Some(log_labels(format.get("labels")?).to_string());
        format.text_of("text").map(str::to_owned).or_else(labels)
    });
    let of_all = mesh.text_of("accessLogFormat").map(str::to_owned);
    of_all
        .into_iter()
        .chain(of_provider)
        .filter(|format| !format.trim().is_empty())
        .map(|format| Said {
            line,
            statement: Statement::AccessLogFormat(format),
        })
        .collect()
}

/// Labels as the format string of JSON that they are: texts, and objects of such. It goes as deep as trees are held.
fn log_labels(node: &Node) -> serde_json::Value {
    if let Some(text) = node.text() {
        return text.into();
    }
    let members = node.members().iter();
    serde_json::Value::Object(
        members
            .map(|(key, value)| (key.clone(), log_labels(value)))
            .collect(),
    )
}

fn is_certificate(entry: &str) -> bool {
    ["cert.pem", ".crt", "chain.pem", "cacert", "cert"]
        .into_iter()
        .any(|ending| entry.ends_with(ending))
}
