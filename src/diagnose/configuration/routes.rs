//! Routes: which one a request nearly fitted, which lead nowhere, and how long they wait.

use super::{At, EXACT, LIKELY, NAMED, Saved, Says, cluster_host, is_caller, since, spot_of};
use crate::aggregate::configuration::ProxyKey;
use crate::correlate::names::proxy_name;
use crate::decode::document::facts::{
    Condition, PathForm, PathMatch, Route, Server, Spec, Target, VirtualHost,
};
use crate::diagnose::finding::Finding;
use crate::diagnose::measure::some;
use crate::diagnose::suspects::median_ms;
use crate::units::Place;
use std::collections::BTreeSet;

/// Part of a timeout within which durations must lie to be its doing: timers and the way to the caller take time too.
const TIMEOUT_SLACK_PERCENT: u64 = 10;

/// How near a route came to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    /// It fits, as far as the path is known.
    Fits,
    /// It would fit in other letter case.
    Case,
    /// It would fit but for a slash at the end.
    Slash,
    /// The path fits, and other conditions may not.
    Others,
    /// It may fit: a regular expression, or a path that goes on.
    Perhaps,
    /// It does not fit, and so many bytes are the same.
    Apart(std::cmp::Reverse<usize>),
}

/// How near a condition comes to paths that begin with `template`, of whose end nothing is known.
fn near(condition: &Condition, template: &str) -> Near {
    let Some(wanted) = &condition.path else {
        return if condition.others.is_empty() {
            Near::Fits
        } else {
            Near::Others
        };
    };
    let found = near_path(wanted, template);
    if found == Near::Fits && !condition.others.is_empty() {
        Near::Others
    } else {
        found
    }
}

fn near_path(wanted: &PathMatch, template: &str) -> Near {
    if wanted.form == PathForm::Regex {
        return Near::Perhaps;
    }
    let path = if template.is_empty() { "/" } else { template };
    let folded = (wanted.path.to_ascii_lowercase(), path.to_ascii_lowercase());
    let plain = (wanted.path.clone(), path.to_owned());
    let (wanted_path, path) = if wanted.ignores_case {
        folded.clone()
    } else {
        plain
    };
    if fits(wanted.form, &wanted_path, &path) {
        return Near::Fits;
    }
    if may_fit(wanted.form, &wanted_path, &path) {
        return Near::Perhaps;
    }
    if fits(wanted.form, &folded.0, &folded.1) || may_fit(wanted.form, &folded.0, &folded.1) {
        return Near::Case;
    }
    if wanted_path.trim_end_matches('/') == path.trim_end_matches('/') {
        return Near::Slash;
    }
    let same = wanted_path
        .bytes()
        .zip(path.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    Near::Apart(std::cmp::Reverse(same))
}

fn fits(form: PathForm, wanted: &str, path: &str) -> bool {
    match form {
        PathForm::Prefix => path.starts_with(wanted),
        PathForm::Segments => path
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathForm::Exact | PathForm::Regex => path == wanted,
    }
}

/// True if a path that begins with `path` and goes on with a segment may fit.
fn may_fit(form: PathForm, wanted: &str, path: &str) -> bool {
    let longer = wanted
        .strip_prefix(path.trim_end_matches('/'))
        .is_some_and(|rest| rest.len() > 1 || (rest == "/" && form == PathForm::Prefix));
    form == PathForm::Regex || longer
}

/// Paths without a route that callers of the service asked for: authority and beginning of the path.
fn unrouted_paths<'t>(saved: &Saved<'t>, finding: &Finding) -> BTreeSet<(&'t str, &'t str)> {
    saved
        .asked_for(finding)
        .flat_map(|(key, spellings)| {
            let unrouted = spellings
                .0
                .iter()
                .filter(|(_, seen)| seen.unrouted && !seen.routed);
            unrouted.map(|(path, _)| (key.authority.as_str(), path.as_str()))
        })
        .collect()
}

/// A set of routes that belong together, and the lines to cite of it.
struct Tried<'t> {
    title: String,
    place: &'t Place,
    routes: &'t [Route],
    cut: bool,
    /// What tells routes to make no difference of letter case.
    ignore: &'static str,
}

/// Rows without a route: against the saved virtual hosts of the caller's proxy and the saved `VirtualService`s.
pub(super) fn unrouted(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let paths = unrouted_paths(saved, finding);
    let hosts = virtual_hosts(saved, finding);
    let mut tried: Vec<Tried<'_>> = hosts
        .iter()
        .map(|(key, place, host)| Tried {
            title: format!(
                "the virtual host {} of {}{}",
                host.name,
                proxy_name(&key.proxy),
                since(host.updated)
            ),
            place,
            routes: &host.routes,
            cut: host.cut,
            ignore: "case_sensitive",
        })
        .collect();
    for at in virtual_services(saved) {
        if let Spec::VirtualService { routes, .. } = &at.object.spec {
            says.look_at(at.key);
            tried.push(Tried {
                title: at.title(),
                place: at.place,
                routes,
                cut: false,
                ignore: "ignoreUriCase",
            });
        }
    }
    let mut told = 0;
    for tried in &tried {
        if told < NAMED && !paths.is_empty() {
            compare(tried, &paths, says);
            told += 1;
        }
    }
    if hosts.is_empty() {
        no_virtual_host(saved, finding, &paths, says);
    }
    at_gateways(saved, says);
}

/// The name by which a `VirtualService` says that it is for the sidecars of the mesh.
const MESH: &str = "mesh";

/// Gateways through which the called host is reached: those that its rules name, and what they take.
fn at_gateways(saved: &Saved<'_>, says: &mut Says) {
    if !saved.has_all("Gateway") {
        return;
    }
    let rules = virtual_services(saved);
    for at in &rules {
        for text in unbound(saved, at) {
            says.look_at(at.key);
            says.holds(text, LIKELY, [*at.place]);
        }
    }
    // Hosts of the mesh itself need no gateway.
    let host = saved.called.host.as_str();
    if !rules.is_empty() || !host.contains('.') || host.ends_with(".svc.cluster.local") {
        return;
    }
    let mut servers = saved.objects("Gateway").flat_map(|at| match &at.object.spec {
        Spec::Gateway { servers, .. } => servers.iter().map(|server| (at, server)).collect(),
        _ => Vec::new(),
    });
    let first = servers.next();
    let takes = |server: &Server| server.hosts.iter().any(|taken| takes_host(taken, host));
    if let Some((at, server)) = first.filter(|(_, server)| !takes(server))
        && !servers.any(|(_, server)| takes(server))
    {
        says.look_at(at.key);
        let text = format!(
            "no server of the saved Gateways takes {host}: {} is for {}",
            at.title(),
            some(&server.hosts, NAMED)
        );
        says.holds(text, LIKELY, [at.line(server.line)]);
    }
}

/// What keeps a `VirtualService` from the gateways that it names: these are not there, or take none of its hosts.
fn unbound(saved: &Saved<'_>, at: &At<'_>) -> Vec<String> {
    let Spec::VirtualService { hosts, gateways, .. } = &at.object.spec else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for gateway in gateways.iter().filter(|gateway| *gateway != MESH).take(NAMED) {
        let (namespace, name) = gateway
            .split_once('/')
            .unwrap_or((at.key.namespace.as_str(), gateway));
        let bound = saved
            .objects("Gateway")
            .find(|known| known.key.name == name && known.key.namespace == namespace);
        let Some(bound) = bound else {
            // One of which only a table was saved has a name and no servers, and is found all the same.
            found.push(format!(
                "{} is for the gateway {gateway}, and no saved Gateway has this name",
                at.title()
            ));
            continue;
        };
        if let Spec::Gateway { servers, .. } = &bound.object.spec {
            let taken = servers.iter().flat_map(|server| &server.hosts);
            let any = taken
                .clone()
                .any(|taken| hosts.iter().any(|host| overlap(taken, host)));
            if !any {
                let taken: Vec<&String> = taken.collect();
                found.push(format!(
                    "{} is for {}, and its gateway {} takes only {}",
                    at.title(),
                    some(hosts, NAMED),
                    bound.title(),
                    some(&taken, NAMED)
                ));
            }
        }
    }
    found
}

/// The host in `shop/*.example.com`.
fn without_namespace(taken: &str) -> &str {
    taken.split_once('/').map_or(taken, |(_, host)| host)
}

/// True if a server's host (`*`, `*.example.com`, `a.example.com`) takes this one.
fn takes_host(taken: &str, host: &str) -> bool {
    match without_namespace(taken).strip_prefix('*') {
        Some(ending) => host.ends_with(&ending.to_ascii_lowercase()),
        None => without_namespace(taken).eq_ignore_ascii_case(host),
    }
}

/// True if there is a host that both take.
fn overlap(taken: &str, host: &str) -> bool {
    takes_host(taken, &host.to_ascii_lowercase())
        || takes_host(host, &without_namespace(taken).to_ascii_lowercase())
}

fn compare(tried: &Tried<'_>, paths: &BTreeSet<(&str, &str)>, says: &mut Says) {
    let mut best: Option<(Near, &str, &Condition)> = None;
    let mut catch_all = None;
    for route in tried.routes {
        if route.conditions.is_empty() {
            catch_all.get_or_insert(route);
        }
        for condition in &route.conditions {
            for (_, path) in paths {
                let found = (near(condition, path), *path, condition);
                if best.as_ref().is_none_or(|best| found.0 < best.0) {
                    best = Some(found);
                }
            }
        }
    }
    let Tried {
        title,
        place,
        cut,
        ignore,
        ..
    } = tried;
    if let Some(route) = catch_all {
        let text = format!("{title} has a route without conditions, which takes every path");
        return says.against(&text, [spot_of(place, route.line)]);
    }
    let Some((best, _, condition)) = best else {
        return;
    };
    let alike: BTreeSet<&str> = paths
        .iter()
        .map(|(_, path)| *path)
        .filter(|path| near(condition, path) == best)
        .collect();
    let path = some(&alike.into_iter().collect::<Vec<_>>(), NAMED);
    let form = condition.path.as_ref().map_or(String::new(), described);
    let at = [spot_of(place, condition.line)];
    match best {
        Near::Fits => says.against(&format!("{title} has a route for {form}, which takes {path}"), at),
        Near::Case => says.holds(
            format!(
                "{title} routes {form} and is not told to ignore letter case ({ignore}): what was asked for is {path}"
            ),
            EXACT,
            at,
        ),
        Near::Slash => says.holds(
            format!("{title} routes {form}, and what was asked for is {path}: they differ in the slash at the end"),
            EXACT,
            at,
        ),
        Near::Others => says.holds(
            format!(
                "{title} routes {} only if more fits ({}): requests without it find no route there",
                if form.is_empty() {
                    "any path".to_owned()
                } else {
                    form
                },
                some(&condition.others, NAMED)
            ),
            LIKELY,
            at,
        ),
        Near::Perhaps => says.holds(
            format!("{title} comes nearest with {form}, which {path} need not fit (it is not tried here)"),
            0.4,
            at,
        ),
        Near::Apart(_) if *cut => {}
        Near::Apart(_) => says.holds(
            format!("no route of {title} takes {path}; the nearest is for {form}"),
            EXACT,
            at,
        ),
    }
}

fn described(path: &PathMatch) -> String {
    let form = match path.form {
        PathForm::Prefix => "the prefix",
        PathForm::Segments => "the path and what is below",
        PathForm::Exact => "exactly",
        PathForm::Regex => "the expression",
    };
    format!("{form} {}", path.path)
}

/// Virtual hosts that take the called host: of the caller's proxy, where its routes were saved, and else of any.
fn virtual_hosts<'t>(
    saved: &Saved<'t>,
    finding: &Finding,
) -> Vec<(&'t ProxyKey, &'t Place, &'t VirtualHost)> {
    let called = &saved.called;
    let takes = |host: &VirtualHost| {
        let of_port = host
            .table
            .parse::<u64>()
            .ok()
            .is_none_or(|table| Some(table) == called.port);
        of_port
            && host.domains.iter().any(|domain| {
                let name = strip_port(domain);
                name != "*" && (called.is(name, called.namespace.as_deref().unwrap_or_default()))
            })
    };
    let all: Vec<_> = saved
        .configuration
        .virtual_hosts
        .iter()
        .flat_map(|(key, kept)| kept.0.iter().map(move |(place, host)| (key, place, host)))
        .filter(|(_, _, host)| takes(host))
        .collect();
    let of_caller: Vec<_> = all
        .iter()
        .filter(|(key, ..)| is_caller(finding, &key.proxy))
        .copied()
        .collect();
    if of_caller.is_empty() { all } else { of_caller }
}

fn strip_port(domain: &str) -> &str {
    match domain.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => domain,
    }
}

/// `VirtualService`s for the called host.
fn virtual_services<'t>(saved: &Saved<'t>) -> Vec<At<'t>> {
    saved
        .objects("VirtualService")
        .filter(|at| match &at.object.spec {
            Spec::VirtualService { hosts, .. } => hosts
                .iter()
                .any(|host| host != "*" && saved.called.is(host, &at.key.namespace)),
            _ => false,
        })
        .collect()
}

/// The caller's routes for the port were saved, and none is for the host.
fn no_virtual_host(saved: &Saved<'_>, finding: &Finding, paths: &BTreeSet<(&str, &str)>, says: &mut Says) {
    let hosts = &saved.configuration.virtual_hosts;
    if saved.called.host.is_empty() {
        return;
    }
    let own: Vec<(&ProxyKey, &Place, &VirtualHost)> = hosts
        .iter()
        .filter(|(key, _)| is_caller(finding, &key.proxy) && saved.configuration.is_whole(&key.proxy, hosts))
        .filter_map(|(key, kept)| {
            let (place, host) = kept.0.first_key_value()?;
            Some((key, place, host))
        })
        .collect();
    let table = saved.called.port.map(|port| port.to_string());
    let of_port: Vec<_> = own
        .iter()
        .filter(|(.., host)| Some(&host.table) == table.as_ref())
        .collect();
    let (Some((key, place, _)), Some(table)) = (of_port.first(), table) else {
        return;
    };
    let asked = paths
        .iter()
        .next()
        .map_or(saved.called.host.as_str(), |(authority, _)| authority);
    let elsewhere = own.iter().find(|(.., host)| {
        host.domains
            .iter()
            .any(|domain| strip_port(domain).eq_ignore_ascii_case(strip_port(asked)))
    });
    let text = match elsewhere {
        Some((.., host)) => format!(
            "{} has {asked} in its routes for port {} only, not for port {table}",
            proxy_name(&key.proxy),
            host.table
        ),
        None => format!(
            "none of the {} virtual hosts that {} has for port {table} is for {asked}",
            of_port.len(),
            proxy_name(&key.proxy)
        ),
    };
    says.holds(text, EXACT, [elsewhere.map_or(**place, |(_, place, _)| **place)]);
}

/// Clusters that routes name and the proxy has not; subsets that no rule defines; services that the proxy is not told of.
pub(super) fn unknown(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    missing_subsets(saved, says);
    missing_clusters(saved, finding, says);
    let clusters = saved.clusters(finding);
    if clusters.is_empty() {
        not_told(saved, finding, says);
    } else if finding
        .scope
        .cluster
        .as_deref()
        .is_none_or(|cluster| cluster_host(cluster).is_none())
    {
        let at = clusters.first().map(|at| *at.place);
        let known: BTreeSet<&str> = clusters.iter().map(|at| proxy_name(&at.key.proxy)).collect();
        let known: Vec<&str> = known.into_iter().collect();
        let text = format!("{} has a cluster for {}", some(&known, NAMED), saved.called.host);
        says.against(&text, at);
    }
}

fn missing_clusters(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let clusters = &saved.configuration.clusters;
    for (key, place, host) in virtual_hosts(saved, finding) {
        if !saved.configuration.is_whole(&key.proxy, clusters) {
            continue;
        }
        for target in host.routes.iter().flat_map(|route| &route.targets) {
            let cluster = ProxyKey {
                proxy: key.proxy.clone(),
                name: target.host.clone(),
            };
            if !target.host.is_empty() && clusters.get(&cluster).is_none() {
                let text = format!(
                    "{} routes {} to {}, and has no such cluster",
                    proxy_name(&key.proxy),
                    host.name,
                    target.host
                );
                return says.holds(text, 0.95, [spot_of(place, target.line)]);
            }
        }
    }
}

fn missing_subsets(saved: &Saved<'_>, says: &mut Says) {
    for at in virtual_services(saved) {
        for nowhere in nowhere(saved, &at) {
            says.look_at(at.key);
            if let Some(rule) = nowhere.rule {
                says.look_at(rule.key);
            }
            // A rule for the host that lacks the subset says more than rules that were not saved.
            let strength = if nowhere.rule.is_some() { EXACT } else { LIKELY };
            says.holds(nowhere.text, strength, nowhere.places);
        }
    }
}

/// A target that leads nowhere, as far as everything was saved.
pub(super) struct Nowhere<'t> {
    pub(super) text: String,
    pub(super) host: String,
    pub(super) port: Option<u64>,
    pub(super) rule: Option<At<'t>>,
    pub(super) places: Vec<Place>,
}

/// Targets of a `VirtualService` whose service or subset is not there.
pub(super) fn nowhere<'t>(saved: &Saved<'t>, at: &At<'t>) -> Vec<Nowhere<'t>> {
    let Spec::VirtualService { routes, streams, .. } = &at.object.spec else {
        return Vec::new();
    };
    let mut found: Vec<Nowhere<'t>> = Vec::new();
    for target in routes.iter().flat_map(|route| &route.targets).chain(streams) {
        let (lacks, rule) = match (no_service(saved, at, target), undefined(saved, at, target)) {
            (Some(text), _) => (text, None),
            (None, Some(undefined)) => undefined,
            (None, None) => continue,
        };
        let to = match &target.subset {
            Some(subset) => format!("the subset {subset} of {}", target.host),
            None => target.host.clone(),
        };
        let text = format!("{} sends to {to}, and {lacks}", at.title());
        if found.len() < NAMED && found.iter().all(|known| known.text != text) {
            found.push(Nowhere {
                text,
                host: full_host(&target.host, at),
                port: target.port,
                rule,
                places: [at.line(target.line)]
                    .into_iter()
                    .chain(rule.map(|rule| *rule.place))
                    .collect(),
            });
        }
    }
    found
}

/// Services of the target's namespace were saved, and it is not among them.
fn no_service(saved: &Saved<'_>, at: &At<'_>, target: &Target) -> Option<String> {
    let host = full_host(&target.host, at);
    let mut labels = host.split('.');
    let (name, namespace, svc) = (labels.next()?, labels.next()?, labels.next()?);
    if svc != "svc" || name == "*" || !saved.has_all("Service") {
        return None;
    }
    let mut services = saved
        .objects("Service")
        .filter(|service| service.key.namespace == namespace)
        .peekable();
    services.peek()?;
    let in_entry = saved
        .objects("ServiceEntry")
        .any(|entry| match &entry.object.spec {
            Spec::ServiceEntry { hosts, .. } => hosts.iter().any(|known| full_host(known, &entry) == host),
            _ => false,
        });
    (!in_entry && services.all(|service| service.key.name != name))
        .then(|| "no saved Service or ServiceEntry has this name".to_owned())
}

/// Rules were saved, and none defines the target's subset.
fn undefined<'t>(saved: &Saved<'t>, at: &At<'_>, target: &Target) -> Option<(String, Option<At<'t>>)> {
    let subset = target.subset.as_ref()?;
    if !saved.has_all("DestinationRule") {
        return None;
    }
    let host = full_host(&target.host, at);
    let mut of_host = None;
    for rule in saved.objects("DestinationRule") {
        if let Spec::DestinationRule {
            host: known, subsets, ..
        } = &rule.object.spec
            && full_host(known, &rule) == host
        {
            if subsets.iter().any(|known| known.name == *subset) {
                return None;
            }
            of_host.get_or_insert(rule);
        }
    }
    let lacks = match of_host {
        Some(rule) => format!("{} defines none of this name", rule.title()),
        None => "no saved DestinationRule is for this host".to_owned(),
    };
    Some((lacks, of_host))
}

/// The whole name of a host as an object writes it: short names are of its namespace.
fn full_host(host: &str, at: &At<'_>) -> String {
    if host.contains('.') || host == "*" {
        host.to_ascii_lowercase()
    } else {
        format!(
            "{}.{}.svc.cluster.local",
            host.to_ascii_lowercase(),
            at.key.namespace
        )
    }
}

/// Not one cluster of the caller is for the host, and perhaps a `Sidecar` is why.
fn not_told(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let clusters = &saved.configuration.clusters;
    let mut own = clusters
        .iter()
        .filter(|(key, _)| {
            is_caller(finding, &key.proxy) && saved.configuration.is_whole(&key.proxy, clusters)
        })
        .peekable();
    let first = own
        .peek()
        .and_then(|(key, kept)| Some((*key, *kept.0.first_key_value()?.0)));
    let count = own.count();
    if let Some((key, place)) = first.filter(|_| !saved.called.host.is_empty()) {
        let text = format!(
            "none of the {count} saved clusters of {} is for {}",
            proxy_name(&key.proxy),
            saved.called.host
        );
        says.holds(text, EXACT, [place]);
    }
    for at in saved.objects("Sidecar") {
        let Spec::Sidecar { hosts, .. } = &at.object.spec else {
            continue;
        };
        let told = |host: &String| {
            let (namespace, name) = host.split_once('/').unwrap_or(("*", host));
            let own = saved.called.namespace.as_deref();
            (namespace == "*"
                || Some(namespace) == own
                || (namespace == "." && Some(at.key.namespace.as_str()) == own))
                && (name == "*" || saved.called.is(name, own.unwrap_or_default()))
        };
        if !hosts.is_empty() && !hosts.iter().any(told) {
            says.look_at(at.key);
            let text = format!("{} tells its proxies of {} only", at.title(), some(hosts, NAMED));
            return says.holds(text, LIKELY, [*at.place]);
        }
    }
}

/// Timeouts of the routes to the service, beside what the rows show.
pub(super) fn timeouts(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let destination = finding.scope.destination.as_deref().unwrap_or_default();
    let timed_out = saved
        .facts
        .calls_to(destination)
        .filter(|call| call.is_source() && call.key.has_flag("UT"));
    let shown = timed_out
        .max_by_key(|call| call.count())
        .map(|call| median_ms(call.group));
    let mut tell = |title: String, route: &Route, place: &Place| {
        let Some(timeout_ms) = route.timeout_ms else {
            return;
        };
        let at = [spot_of(place, route.line)];
        match (timeout_ms, shown) {
            (0, Some(_)) => says.against(&format!("{title} has no timeout"), at),
            (_, Some(shown)) if is_near(shown, timeout_ms) => {
                let text =
                    format!("{title} gives up after {timeout_ms} ms, and rows with UT took {shown} ms");
                says.holds(text, EXACT, at);
            }
            // Retries may each have a share of it.
            (1.., Some(shown)) if shown < timeout_ms => {
                says.holds(format!("{title} gives up after {timeout_ms} ms"), 0.4, at);
            }
            (1.., Some(shown)) => {
                let text =
                    format!("{title} gives up after {timeout_ms} ms, and rows with UT took {shown} ms");
                says.against(&text, at);
            }
            _ => {}
        }
    };
    let mut looked_at = Vec::new();
    for at in virtual_services(saved) {
        if let Spec::VirtualService { routes, .. } = &at.object.spec {
            for route in routes.iter().take(NAMED) {
                tell(at.title(), route, at.place);
            }
            looked_at.push(at.key);
        }
    }
    for (key, place, host) in virtual_hosts(saved, finding).into_iter().take(NAMED) {
        for route in host.routes.iter().take(NAMED) {
            let title = format!("the route of {} to {}", proxy_name(&key.proxy), host.name);
            tell(title, route, place);
        }
    }
    for key in looked_at {
        says.look_at(key);
    }
}

fn is_near(shown_ms: u64, timeout_ms: u64) -> bool {
    timeout_ms > 0 && shown_ms.abs_diff(timeout_ms) <= (timeout_ms * TIMEOUT_SLACK_PERCENT / 100).max(20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PathForm::{Exact, Prefix, Regex, Segments};

    #[test]
    fn which_hosts_a_gateway_takes() {
        let cases = [
            ("*", "shop.example.com", true),
            ("*.example.com", "shop.example.com", true),
            ("shop/*.example.com", "shop.example.com", true),
            ("./Shop.example.com", "shop.example.com", true),
            ("*.example.com", "example.com", false),
            ("shop.example.com", "cart.example.com", false),
        ];
        for (taken, host, expected) in cases {
            assert_eq!(takes_host(taken, host), expected, "{taken} {host}");
        }
        assert!(overlap("shop.example.com", "*.example.com"));
        assert!(!overlap("shop.example.org", "*.example.com"));
    }

    #[test]
    fn how_near_a_route_comes() {
        let condition = |form, path: &str, ignores_case, others: &[&str]| Condition {
            path: Some(PathMatch {
                form,
                path: path.to_owned(),
                ignores_case,
            }),
            others: others.iter().map(|other| (*other).to_owned()).collect(),
            ..Condition::default()
        };
        let cases = [
            (condition(Prefix, "/ratings", false, &[]), "/ratings", Near::Fits),
            (
                condition(Prefix, "/ratings", false, &[]),
                "/ratings/x",
                Near::Fits,
            ),
            (condition(Prefix, "/ratings/", false, &[]), "/Ratings", Near::Case),
            (
                condition(Prefix, "/ratings/", false, &[]),
                "/ratings",
                Near::Perhaps,
            ),
            (condition(Prefix, "/ratings", true, &[]), "/Ratings", Near::Fits),
            (condition(Exact, "/ratings/", false, &[]), "/ratings", Near::Slash),
            (
                condition(Exact, "/ratings/all", false, &[]),
                "/ratings",
                Near::Perhaps,
            ),
            (
                condition(Segments, "/rat", false, &[]),
                "/ratings",
                Near::Apart(std::cmp::Reverse(4)),
            ),
            (
                condition(Prefix, "/ratings", false, &["header x"]),
                "/ratings",
                Near::Others,
            ),
            (condition(Regex, "/r.*", false, &[]), "/ratings", Near::Perhaps),
            (condition(Prefix, "/", false, &[]), "", Near::Fits),
        ];
        for (condition, path, expected) in cases {
            assert_eq!(near(&condition, path), expected, "{condition:?} {path}");
        }
    }
}
