//! What saved figures say: how containers ended, what proxies and control planes use, how it went over hours.
//!
//! A container that the kernel killed and a series of hours are dated and accuse by themselves. A single figure is a remark, beside
//! what the reference's models make of the size of the configuration; the models have no source, which is said.

use super::answer::EvidenceKind;
use super::finding::{Evidence, Finding};
use super::measure::{Facts, Measured};
use super::suspects::{Suspect, Suspects, serves};
use crate::aggregate::address::workload;
use crate::aggregate::outputs::{FactKey, FactSum, Topic};
use crate::correlate::names::proxy_name;
use crate::decode::output::{Figure, SeriesFact};
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1024.0 * MIB;

/// The name of the container in which Envoy runs beside an application, or for a node.
const PROXIES: [&str; 2] = ["istio-proxy", "ztunnel"];

/// The container of a control plane.
const CONTROL_PLANE: &str = "discovery";

/// What the kubelet says of a container that the kernel killed for want of memory.
const KILLED: &str = "OOMKilled";

/// How sure a dated kill is. It is a fact; what is left open is whether it did the harm.
const KILLED_CONFIDENCE: f64 = 0.9;

/// How sure a growth of hours without growth of traffic is: what the configuration did meanwhile is not in it.
const LEAK_CONFIDENCE: f64 = 0.8;

/// The same where nothing is known of the traffic.
const GROWTH_CONFIDENCE: f64 = 0.5;

/// How sure a single figure is that is beyond what the thresholds name.
const BEYOND_CONFIDENCE: f64 = 0.5;

/// A kill so long before or after what was recorded belongs to it.
const SLACK_MS: u64 = 60_000;

/// What is known of one pod.
#[derive(Debug, Default)]
struct Used<'t> {
    figures: BTreeMap<Figure, (u64, &'t FactSum)>,
}

impl Used<'_> {
    fn get(&self, figure: Figure) -> Option<u64> {
        self.figures.get(&figure).map(|(value, _)| *value)
    }

    fn places(&self, figures: &[Figure]) -> Vec<Place> {
        let found = figures.iter().filter_map(|figure| self.figures.get(figure));
        found
            .filter_map(|(_, sum)| sum.places.keys().next().copied())
            .collect()
    }
}

/// Figures by pod. Of a pod's containers only the mesh's own count; the sum over all of them says nothing of the proxy, but of istiod.
fn used<'t>(facts: impl Iterator<Item = (&'t FactKey, &'t FactSum)>) -> BTreeMap<&'t str, Used<'t>> {
    let mut pods: BTreeMap<&str, Used<'_>> = BTreeMap::new();
    for (key, sum) in facts {
        let Topic::Figure(figure, value) = key.topic else {
            continue;
        };
        let (pod, container) = match key.subject.split_once('/') {
            // The path of an input may hold slashes.
            Some((pod, container)) if !pod.starts_with("input:") => (pod, Some(container)),
            _ => (key.subject.as_str(), None),
        };
        let of_mesh = match container {
            None => true,
            Some("") => is_control_plane(pod),
            Some(container) => PROXIES.contains(&container) || container == CONTROL_PLANE,
        };
        if !of_mesh {
            continue;
        }
        let known = pods
            .entry(pod)
            .or_default()
            .figures
            .entry(figure)
            .or_insert((value, sum));
        // Of several samples the greatest.
        if value > known.0 {
            *known = (value, sum);
        }
    }
    pods
}

fn is_control_plane(pod: &str) -> bool {
    pod == "istiod" || pod.starts_with("istiod-")
}

/// Adds suspects.
pub(super) fn suspect(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let outputs = &facts.incident.totals.outputs;
    for (key, sum) in outputs.iter() {
        match &key.topic {
            Topic::Terminated(container, reason) if reason == KILLED => {
                killed(suspects, facts, &key.subject, container, sum);
            }
            Topic::Series(series) if series.figure == Figure::MemoryBytes => {
                grown(suspects, facts, series, sum);
            }
            _ => {}
        }
    }
    for (pod, used) in used(outputs.iter()) {
        beyond(suspects, facts, pod, &used);
    }
}

/// The service that a pod serves as rows have it, else its workload.
fn destination(facts: &Facts<'_>, pod: &str) -> String {
    if is_control_plane(pod) {
        return "istiod".to_owned();
    }
    serves(facts, pod).unwrap_or_else(|| workload(proxy_name(pod)).to_owned())
}

fn add<'f>(suspects: &mut Suspects<'f>, suspect: Suspect<'f>, measured: Measured) {
    let key = (suspect.cause.clone(), suspect.destination.clone());
    // What lines or rows show has their times.
    if let Some(known) = suspects
        .list
        .get_mut(&key)
        .filter(|known| !known.remark || suspect.remark)
    {
        known.measured.push(measured);
        known.pods.extend(suspect.pods);
        return;
    }
    suspects.list.insert(
        key,
        Suspect {
            measured: vec![measured],
            ..suspect
        },
    );
}

fn killed(suspects: &mut Suspects<'_>, facts: &Facts<'_>, pod: &str, container: &str, sum: &FactSum) {
    let cause = if PROXIES.contains(&container) {
        "sidecar-memory-exhaustion"
    } else if container == CONTROL_PLANE {
        "control-plane-overload"
    } else {
        return;
    };
    let (start, end) = (facts.incident.start, facts.incident.end);
    let mut suspect = Suspect::new(cause, &destination(facts, pod), KILLED_CONFIDENCE);
    suspect.pods.insert(pod.to_owned());
    let within = |at: Timestamp| {
        start.is_none_or(|start| at.plus_millis(SLACK_MS) >= start)
            && end.is_none_or(|end| at <= end.plus_millis(SLACK_MS))
    };
    suspect.remark = !sum.time.is_some_and(within);
    suspect.window = sum.time.map(|at| (at, at)).or(start.zip(end));
    let when = sum.time.map_or_else(String::new, |at| format!(" at {at}"));
    let text = format!("the container {container} of {pod} was killed for want of memory ({KILLED}){when}");
    let measured = measured("killed", text, 0.95, sum.places.keys().copied().take(3).collect());
    add(suspects, suspect, measured);
    if let Some(at) = sum.time.filter(|at| within(*at)) {
        follow(suspects, facts, cause, &destination(facts, pod), at);
    }
}

/// Rows that begin soon after a kill, to what was killed, follow from it, as the rules of lines say of the same cause.
fn follow(suspects: &mut Suspects<'_>, facts: &Facts<'_>, cause: &str, destination: &str, at: Timestamp) {
    let key = (cause.to_owned(), destination.to_owned());
    let rules = || facts.rules.line.iter().filter(|rule| rule.cause == cause);
    let explained: Vec<(String, String)> = suspects
        .list
        .iter()
        .filter(|(other, suspect)| {
            **other != key
                && other.1 == destination
                && rules().any(|rule| {
                    let latest = rule.within_s.map(|s| at.plus_millis(s.saturating_mul(1000)));
                    rule.explains.contains(&other.0)
                        && suspect.span(facts).is_some_and(|(first, _)| {
                            first.plus_millis(1000) >= at && latest.is_none_or(|latest| first <= latest)
                        })
                })
        })
        .map(|(other, _)| other.clone())
        .collect();
    for other in explained {
        super::consequences::subordinate(suspects, &other, &key);
    }
    // It lasts as long as what follows from it.
    if let Some(suspect) = suspects.list.get_mut(&key) {
        let last = suspect
            .carried_calls(facts)
            .filter_map(|call| call.group.last)
            .max();
        suspect.window = suspect
            .window
            .map(|(first, end)| (first, last.map_or(end, |last| end.max(last))));
    }
}

fn grown(suspects: &mut Suspects<'_>, facts: &Facts<'_>, series: &SeriesFact, sum: &FactSum) {
    let grew = series.late.saturating_sub(series.early);
    let limits = facts.thresholds();
    let steady = series.falling.saturating_mul(limits.leak_falling) <= series.samples;
    if series.samples < limits.leak_samples
        || series.span_s < limits.leak_s
        || grew < limits.leak_bytes
        || as_f64(series.late) < limits.leak_factor * as_f64(series.early)
        || !steady
    {
        return;
    }
    let requests = facts
        .incident
        .totals
        .outputs
        .iter()
        .find_map(|(key, _)| match &key.topic {
            Topic::Series(other) if other.figure == Figure::Requests && other.subject == series.subject => {
                Some(other)
            }
            _ => None,
        });
    let traffic_grew = requests.map(|r| as_f64(r.late) > limits.traffic_factor * as_f64(r.early).max(1.0));
    // Memory that follows the traffic is no leak.
    if traffic_grew == Some(true) {
        return;
    }
    let pod = &series.subject;
    let confidence = if traffic_grew.is_some() {
        LEAK_CONFIDENCE
    } else {
        GROWTH_CONFIDENCE
    };
    let mut suspect = Suspect::new("memory-leak", &destination(facts, pod), confidence);
    suspect.remark = traffic_grew.is_none();
    suspect.pods.insert(pod.clone());
    suspect.window = Some((
        series.start,
        series.start.plus_millis(series.span_s.saturating_mul(1000)),
    ));
    let traffic = match requests {
        Some(r) => format!(
            "while its requests went from {} to {} in a quarter of that time",
            r.early, r.late
        ),
        None => "nothing is known of its traffic".to_owned(),
    };
    let text = format!(
        "the memory of {pod} grew from {} to {} in {:.1} h ({} samples, {} of them below the one before); {traffic}",
        size(series.early),
        size(series.late),
        as_f64(series.span_s) / 3600.0,
        series.samples,
        series.falling,
    );
    let measured = measured("growth", text, 0.85, sum.places.keys().copied().take(3).collect());
    add(suspects, suspect, measured);
}

/// Single figures beyond what the thresholds name, or at their limits.
fn beyond(suspects: &mut Suspects<'_>, facts: &Facts<'_>, pod: &str, used: &Used<'_>) {
    let Some(window) = facts.incident.start.zip(facts.incident.end) else {
        return;
    };
    let mut remark = |cause: &str, destination: &str, text: String, places: Vec<Place>| {
        let mut suspect = Suspect::new(cause, destination, BEYOND_CONFIDENCE);
        suspect.remark = true;
        suspect.window = Some(window);
        suspect.pods.insert(pod.to_owned());
        add(suspects, suspect, measured("figures", text, 0.5, places));
    };
    let at_limit = |figure: Figure, limit: Figure| {
        let (value, limit) = (used.get(figure)?, used.get(limit)?);
        (limit > 0 && as_f64(value) >= facts.thresholds().at_limit_share * as_f64(limit))
            .then_some((value, limit))
    };
    if let Some(memory) = used.get(Figure::MemoryBytes) {
        let control_plane = is_control_plane(pod);
        let (cause, threshold) = if control_plane {
            ("control-plane-overload", "istiod-memory")
        } else {
            ("sidecar-memory-exhaustion", "sidecar-memory")
        };
        let most = facts
            .catalog
            .thresholds
            .get(threshold)
            .map_or(f64::MAX, |t| t.value * GIB);
        let limited = at_limit(Figure::MemoryBytes, Figure::MemoryLimitBytes);
        if as_f64(memory) > most || limited.is_some() {
            let text = sized(facts, pod, used).unwrap_or_else(|| format!("{pod} uses {}", size(memory)));
            let places = used.places(&[Figure::MemoryBytes, Figure::MemoryLimitBytes, Figure::Clusters]);
            remark(cause, &destination(facts, pod), text, places);
        }
    }
    // Each connection that is passed on has two ends, each with a descriptor.
    if let (Some(connections), Some(most), None) = (
        used.get(Figure::Connections),
        used.get(Figure::MaxFiles),
        used.get(Figure::OpenFiles),
    ) && most > 0
        && as_f64(connections) >= facts.thresholds().at_limit_share * as_f64(most)
    {
        let text = format!(
            "{pod} has {connections} connections, each with a descriptor, and may have {most} descriptors"
        );
        let places = used.places(&[Figure::Connections, Figure::MaxFiles]);
        remark("fd-exhaustion", &destination(facts, pod), text, places);
    }
    if let Some((open, most)) = at_limit(Figure::OpenFiles, Figure::MaxFiles) {
        let text =
            format!("{pod} has {open} of {most} descriptors open: two for each connection that it passes on");
        let places = used.places(&[Figure::OpenFiles, Figure::MaxFiles]);
        remark("fd-exhaustion", &destination(facts, pod), text, places);
    }
    if let Some((tracked, most)) = at_limit(Figure::Tracked, Figure::MaxTracked) {
        let text = format!("the connection table of {pod} has {tracked} of {most} entries");
        let places = used.places(&[Figure::Tracked, Figure::MaxTracked]);
        remark("conntrack-exhaustion", "*", text, places);
    }
}

/// Causes that figures of a pod bear on.
const OF_MEMORY: [&str; 3] = [
    "sidecar-memory-exhaustion",
    "memory-leak",
    "control-plane-overload",
];

/// Adds to findings about memory what the pod uses beside what its size makes.
pub(super) fn add_sizes(findings: &mut [Finding], facts: &Facts<'_>) {
    let used = used(facts.incident.totals.outputs.iter());
    for finding in findings
        .iter_mut()
        .filter(|finding| OF_MEMORY.contains(&finding.cause.as_str()))
    {
        for pod in &finding.scope.pods {
            let Some(used) = used.get(pod.as_str()) else {
                continue;
            };
            let Some(text) = sized(facts, pod, used) else {
                continue;
            };
            if finding.evidence.iter().any(|known| known.text == text) {
                continue;
            }
            let places = used.places(&[
                Figure::MemoryBytes,
                Figure::MemoryLimitBytes,
                Figure::Clusters,
                Figure::Services,
            ]);
            finding.evidence.push(Evidence {
                kind: EvidenceKind::Config,
                text,
                count: places.len() as u64,
                strength: 0.5,
                places,
                frames: Vec::new(),
            });
        }
    }
}

/// What a pod uses, its limit, its size, and what the reference's model makes of it.
fn sized(facts: &Facts<'_>, pod: &str, used: &Used<'_>) -> Option<String> {
    let limits = facts.thresholds();
    let memory = used.get(Figure::MemoryBytes)?;
    let limit = used
        .get(Figure::MemoryLimitBytes)
        .map_or_else(String::new, |limit| format!(" of {} that it may", size(limit)));
    let uses = format!("{pod} uses {}{limit}", size(memory));
    let (of, model) = if is_control_plane(pod) {
        let services = used.get(Figure::Services)?;
        (
            format!("{services} services"),
            limits.istiod_bytes + limits.istiod_bytes_per_1000_services * as_f64(services) / 1000.0,
        )
    } else {
        let (clusters, routes) = configured(facts, pod);
        let clusters = used.get(Figure::Clusters).unwrap_or(0).max(clusters);
        if clusters == 0 {
            return Some(uses);
        }
        (
            format!("{clusters} clusters and {routes} routes"),
            limits.proxy_bytes
                + limits.bytes_per_route * as_f64(routes)
                + limits.bytes_per_cluster * as_f64(clusters),
        )
    };
    let fits = if as_f64(memory) <= limits.explained_factor * model {
        "its size explains it"
    } else {
        "its size does not explain it; traffic, statistics or a leak may"
    };
    let model = whole(model);
    Some(format!(
        "{uses}; for {of} the reference's model, which has no other source, makes {}: {fits}",
        size(model)
    ))
}

/// Clusters and routes of a proxy in saved configuration.
fn configured(facts: &Facts<'_>, pod: &str) -> (u64, u64) {
    let saved = &facts.incident.totals.configuration;
    let clusters = saved
        .clusters
        .iter()
        .filter(|(key, _)| proxy_name(&key.proxy) == pod)
        .count();
    let routes = saved
        .virtual_hosts
        .iter()
        .filter(|(key, _)| proxy_name(&key.proxy) == pod)
        .filter_map(|(_, kept)| kept.0.first_key_value())
        .map(|(_, host)| host.routes.len())
        .sum::<usize>();
    (clusters as u64, routes as u64)
}

fn whole(number: f64) -> u64 {
    crate::decode::output::whole(number).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "figures of bytes are below 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

fn size(bytes: u64) -> String {
    let bytes = as_f64(bytes);
    if bytes >= GIB {
        format!("{:.1} GiB", bytes / GIB)
    } else {
        format!("{:.0} MiB", bytes / MIB)
    }
}

fn measured(name: &'static str, text: String, strength: f64, places: Vec<Place>) -> Measured {
    Measured {
        name,
        kind: EvidenceKind::Config,
        text,
        count: places.len() as u64,
        strength,
        places,
        frames: Vec::new(),
    }
}
