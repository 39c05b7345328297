//! Rows of tables of proxies' configuration and of objects, as far as they carry what documents do.
//!
//! Sources: istio/istio `istioctl/pkg/writer/envoy/configdump/{cluster,route}.go`; kubernetes/kubernetes
//! `pkg/printers/internalversion`; the columns of istio/api's definitions of its resources.

use super::facts::{
    Cluster, Condition, LIST_MAX, Object, PathForm, PathMatch, Route, Spec, Spot, Statement, VirtualHost,
};
use super::words::name;
use std::collections::BTreeMap;

/// Tables that are read, by what only their header has.
const TABLES: &[(&str, &str)] = &[
    ("SERVICE FQDN", "DIRECTION"),
    ("VHOST NAME", "DOMAINS"),
    ("CLUSTER-IP", "PORT(S)"),
    ("ENDPOINTS", "AGE"),
    ("UP-TO-DATE", "AVAILABLE"),
    ("GATEWAYS", "HOSTS"),
];

/// True if a header with these columns begins such a table.
pub(crate) fn is_table(has: impl Fn(&str) -> bool) -> bool {
    TABLES.iter().any(|(one, other)| has(one) && has(other))
}

/// What a row says that stands at `line`, under a header with these columns.
pub(crate) fn row(columns: &[Vec<u8>], cells: &[&[u8]], line: Spot) -> Option<Statement> {
    let has = |column: &str| columns.iter().any(|known| known == column.as_bytes());
    let (kind, _) = TABLES.iter().find(|(one, other)| has(one) && has(other))?;
    let texts: Vec<String> = cells
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect();
    let at = |column: &str| columns.iter().position(|known| known == column.as_bytes());
    // The last column may be empty; what stands before it is where the header says.
    let text = |column: &str| texts.get(at(column)?).map(String::as_str);
    if texts.len().saturating_add(1) < columns.len() || texts.len() > columns.len() {
        return None;
    }
    let named = |kind: &str, spec: Spec| {
        Some(Statement::Object(Object {
            kind: kind.to_owned(),
            namespace: name(text("NAMESPACE").unwrap_or_default()),
            name: name(text("NAME")?),
            labels: BTreeMap::new(),
            spec,
        }))
    };
    match *kind {
        "SERVICE FQDN" => cluster(text),
        "VHOST NAME" => virtual_host(text, line),
        "CLUSTER-IP" => named(
            "Service",
            Spec::Service {
                // To which ports of its pods it sends, the table does not tell.
                ports: Vec::new(),
                selector: selector(text("SELECTOR").unwrap_or_default()),
            },
        ),
        "ENDPOINTS" if !has("ADDRESSTYPE") => named(
            "Endpoints",
            Spec::Endpoints {
                service: name(text("NAME")?),
                ready: addresses(text("ENDPOINTS")?)?,
                unready: 0,
            },
        ),
        "UP-TO-DATE" => {
            let (ready, wanted) = text("READY")?.split_once('/')?;
            named(
                "Deployment",
                Spec::Workload {
                    replicas: Some(wanted.parse().ok()?),
                    ready: ready.parse().ok()?,
                    pod_labels: selector(text("SELECTOR").unwrap_or_default()),
                    replicas_line: line,
                },
            )
        }
        "GATEWAYS" => {
            // Without gateways that cell is blank.
            let hosts = texts.iter().rfind(|cell| cell.starts_with('['))?;
            let hosts = hosts.trim_matches(['[', ']']).split(',');
            named(
                "VirtualService",
                Spec::VirtualService {
                    hosts: hosts
                        .map(|host| name(host.trim().trim_matches('"')))
                        .take(LIST_MAX)
                        .collect(),
                    gateways: Vec::new(),
                    routes: Vec::new(),
                    streams: Vec::new(),
                },
            )
        }
        _ => None,
    }
}

/// `ratings.default.svc.cluster.local  9080  -  outbound  EDS  ratings.default`.
fn cluster<'t>(text: impl Fn(&str) -> Option<&'t str>) -> Option<Statement> {
    let (host, port, direction) = (text("SERVICE FQDN")?, text("PORT")?, text("DIRECTION")?);
    let subset = text("SUBSET").filter(|subset| *subset != "-").unwrap_or_default();
    let cluster = if port == "-" {
        host.to_owned()
    } else {
        format!("{direction}|{port}|{subset}|{host}")
    };
    let rule = text("DESTINATION RULE").and_then(|rule| {
        let (of, namespace) = rule.rsplit_once('.')?;
        Some(name(&format!("{namespace}/{of}")))
    });
    Some(Statement::Cluster(Cluster {
        name: name(&cluster),
        discovery: name(text("TYPE").unwrap_or_default()),
        tls: None,
        bounds: None,
        ejects: None,
        connect_timeout_ms: None,
        rule,
        updated: None,
    }))
}

/// One route of a virtual host; the others have rows of their own, and headers are not shown.
fn virtual_host<'t>(text: impl Fn(&str) -> Option<&'t str>, line: Spot) -> Option<Statement> {
    let domains = text("DOMAINS")?;
    let domains = domains.split_once(" + ").map_or(domains, |(first, _)| first);
    let shown = text("MATCH")?;
    let path = if let Some(expression) = shown.strip_prefix("regex ") {
        (PathForm::Regex, expression)
    } else if let Some(prefix) = shown.strip_prefix("PathPrefix:") {
        (PathForm::Segments, prefix)
    } else if let Some(prefix) = shown.strip_suffix('*') {
        (PathForm::Prefix, prefix)
    } else {
        (PathForm::Exact, shown)
    };
    let condition = Condition {
        path: Some(PathMatch {
            form: path.0,
            path: name(path.1),
            ignores_case: false,
        }),
        others: Vec::new(),
        line,
    };
    Some(Statement::VirtualHost(VirtualHost {
        table: name(text("NAME")?),
        name: name(text("VHOST NAME")?),
        domains: domains.split(", ").take(LIST_MAX).map(name).collect(),
        routes: vec![Route {
            conditions: vec![condition],
            line,
            ..Route::default()
        }],
        cut: true,
        updated: None,
    }))
}

/// `app=ratings,version=v1`, `<none>`.
fn selector(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .take(LIST_MAX)
        .filter_map(|pair| pair.split_once('='))
        .map(|(label, value)| (name(label), name(value)))
        .collect()
}

/// How many addresses `10.0.0.1:80,10.0.0.2:80 + 3 more...` has.
fn addresses(text: &str) -> Option<u64> {
    if matches!(text, "<none>" | "<unset>") {
        return Some(0);
    }
    let (shown, more) = match text.split_once(" + ") {
        Some((shown, more)) => (shown, more.split(' ').next()?.parse().ok()?),
        None => (text, 0),
    };
    (shown.split(',').count() as u64).checked_add(more)
}
