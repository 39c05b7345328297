//! The documented steps: what was looked at for each, in the reference's order of logs (control plane, sidecar, application),
//! what it shows, and what is missing.

use super::requests::reference;
use crate::aggregate::inputs::InputStats;
use crate::aggregate::outputs::{FactKey, FactSum, Topic};
use crate::aggregate::signatures::{HitKey, Hits};
use crate::catalog::{Catalog, SignatureSource};
use crate::correlate::Incident;
use crate::decode::log::Level;
use crate::decode::output::{Figure, HostState, Sync, TextKind};
use crate::diagnose;
use crate::diagnose::answer::{Role, Severity};
use crate::diagnose::measure::{counted, some};
use crate::report::model::{LookedAt, Missing, Step};
use crate::units::Place;
use std::collections::{BTreeMap, BTreeSet};

/// The five steps of the Istio Production Debugging reference, in its order, with what is needed to take them.
const STEPS: [(&str, &str, &str, &str); 5] = [
    (
        "Control plane health",
        "saved output of istioctl proxy-status and of the pods of istio-system",
        "proxies that are not in step with the control plane keep old configuration",
        "istioctl proxy-status > proxy-status.txt; kubectl get pods -n istio-system > istio-system.txt",
    ),
    (
        "Configuration",
        "saved output of istioctl analyze",
        "broken references and conflicting routes show there by their codes",
        "istioctl analyze -A > analyze.txt",
    ),
    (
        "Traffic path",
        "access logs of the calling proxies",
        "flags and details of their rows tell where a request stopped",
        "kubectl logs <pod> -c istio-proxy > <pod>.istio-proxy.log",
    ),
    (
        "Sidecar logs",
        "logs of the istio-proxy containers",
        "flags, details and component lines stand there",
        "kubectl logs <pod> -c istio-proxy > <pod>.istio-proxy.log",
    ),
    (
        "Certificates",
        "dates of the certificates that the proxies hold",
        "expiry shows in them before it shows in traffic",
        "istioctl proxy-config secret <pod> -o json > <pod>.secrets.json",
    ),
];

/// Lines of an istiod that crashed.
const CRASHES: &[&str] = &["id-oom", "id-panic"];

/// Places cited of what was looked at.
const REFS: usize = 3;

/// Names told one by one.
const NAMED: usize = 3;

/// The steps with what was found at each.
pub(super) fn steps(incident: &Incident<'_>, catalog: &Catalog, findings: &[diagnose::Finding]) -> Vec<Step> {
    let looked = Looking { incident, catalog };
    STEPS
        .iter()
        .zip(1u8..)
        .map(|((step, what, why, command), number)| {
            let of_step = || findings.iter().filter(|f| f.step == number);
            let seen = looked.at(number);
            let examined = seen.iter().any(|seen| seen.settles);
            // A remark is no evidence.
            let accused = of_step().any(|f| f.severity != Severity::Info || f.role == Role::Consequence);
            let evidence = if accused || seen.iter().any(|seen| seen.told.found) {
                "found"
            } else if examined {
                "clean"
            } else {
                "none"
            };
            let missing = Missing {
                what: (*what).to_owned(),
                why_it_matters: (*why).to_owned(),
                command: (*command).to_owned(),
            };
            Step {
                step: (*step).to_owned(),
                evidence: evidence.to_owned(),
                findings: of_step().map(|f| f.id.clone()).collect(),
                missing: if examined { Vec::new() } else { vec![missing] },
                looked_at: seen.into_iter().map(|seen| seen.told).collect(),
            }
        })
        .collect()
}

/// Something that was looked at.
struct Seen {
    told: LookedAt,
    /// True if finding nothing there means that nothing is wrong.
    settles: bool,
}

struct Looking<'a> {
    incident: &'a Incident<'a>,
    catalog: &'a Catalog,
}

type Fact<'a> = (&'a FactKey, &'a FactSum);

impl<'a> Looking<'a> {
    fn at(&self, step: u8) -> Vec<Seen> {
        let seen = match step {
            1 => vec![
                self.proxies(),
                self.pods(),
                self.istiod(),
                self.control_plane_figures(),
                self.streams(),
            ],
            2 => vec![self.analysis(), self.refused_configuration()],
            3 => vec![self.routes(), self.hosts(), self.metrics(), self.captures()],
            4 => vec![
                self.sidecars(),
                self.servers(),
                self.loggers(),
                self.captures(),
                self.applications(),
            ],
            _ => vec![self.certificates(), self.captured_certificates(), self.renewals()],
        };
        seen.into_iter().flatten().collect()
    }

    fn seen(
        &self,
        of: &str,
        says: String,
        found: bool,
        settles: bool,
        places: impl Iterator<Item = Place>,
    ) -> Seen {
        let places: BTreeSet<Place> = places.collect();
        Seen {
            told: LookedAt {
                of: of.to_owned(),
                says,
                found,
                refs: places
                    .into_iter()
                    .take(REFS)
                    .map(|place| reference(self.incident, place))
                    .collect(),
            },
            settles,
        }
    }

    fn facts(&self, test: impl Fn(&Topic) -> bool + 'a) -> Vec<Fact<'a>> {
        let outputs = self.incident.totals.outputs.iter();
        outputs.filter(|(key, _)| test(&key.topic)).collect()
    }

    fn hits(&self, ids: &'static [&'static str]) -> impl Iterator<Item = &'a Hits> {
        let hits = self.incident.totals.hits.iter();
        let catalog = self.catalog;
        hits.filter(move |(key, _)| {
            let signature = catalog.signatures.get(usize::from(key.signature));
            signature.is_some_and(|signature| ids.contains(&signature.id.as_str()))
        })
        .map(|(_, hits)| hits)
    }

    fn count(&self, ids: &'static [&'static str]) -> u64 {
        self.hits(ids).map(|hits| hits.count).sum()
    }

    fn lines_of(&self, kind: TextKind) -> Option<u64> {
        let inputs = self.incident.totals.inputs.values();
        let counts: Vec<u64> = inputs
            .filter_map(|stats| stats.others.get(&kind).copied())
            .collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }

    fn proxies(&self) -> Option<Seen> {
        let all = self.facts(|topic| matches!(topic, Topic::Proxy(_)));
        if all.is_empty() {
            return None;
        }
        let untold = all
            .iter()
            .filter(|(key, _)| key.topic == Topic::Proxy(Sync::Untold))
            .count();
        let behind: Vec<&Fact<'_>> = all
            .iter()
            .filter(|(key, _)| matches!(key.topic, Topic::Proxy(Sync::Stale | Sync::Refused)))
            .collect();
        let says = if untold == all.len() {
            // The table of Istio 1.27 and later says who is connected and not whether it is in step.
            format!(
                "istioctl proxy-status lists {} proxies and not whether they are in step (-v 1 does)",
                all.len()
            )
        } else if behind.is_empty() {
            format!("istioctl proxy-status: all {} proxies are in step", all.len())
        } else {
            format!(
                "istioctl proxy-status: {} of {} proxies are not in step: {}",
                behind.len(),
                all.len(),
                named(behind.iter().map(|(key, _)| key.subject.as_str()))
            )
        };
        let cited = if behind.is_empty() {
            all.iter().collect()
        } else {
            behind.clone()
        };
        let places = cited.into_iter().flat_map(|(_, sum)| sum.places.keys().copied());
        Some(self.seen(
            "control plane",
            says,
            !behind.is_empty(),
            untold < all.len(),
            places,
        ))
    }

    /// Pods of the mesh itself: istiod, ztunnel, the CNI agent.
    fn pods(&self) -> Option<Seen> {
        let of_mesh = |key: &FactKey| {
            ["istiod-", "ztunnel-", "istio-cni-"]
                .iter()
                .any(|name| key.subject.starts_with(name))
        };
        let mut all = self.facts(|topic| matches!(topic, Topic::Pod(_)));
        all.retain(|(key, _)| of_mesh(key));
        if all.is_empty() {
            return None;
        }
        let troubled: Vec<String> = all
            .iter()
            .filter_map(|(key, _)| match &key.topic {
                Topic::Pod(trouble) if !trouble.is_empty() => Some(format!("{} ({trouble})", key.subject)),
                _ => None,
            })
            .collect();
        let says = if troubled.is_empty() {
            format!(
                "kubectl get pods: {} pods of the mesh run as they should",
                all.len()
            )
        } else {
            format!(
                "kubectl get pods: {} of {} pods of the mesh do not run as they should: {}",
                troubled.len(),
                all.len(),
                named(troubled.iter().map(String::as_str))
            )
        };
        let places = all.iter().flat_map(|(_, sum)| sum.places.keys().copied());
        Some(self.seen("control plane", says, !troubled.is_empty(), false, places))
    }

    fn istiod(&self) -> Option<Seen> {
        let lines = self.lines_of(TextKind::IstiodLog)?;
        let (pushes, crashes) = (self.count(&["id-push"]), self.count(CRASHES));
        let (busy, starts) = (
            self.count(&[
                "id-client-busy",
                "id-rate-limit",
                "id-send-failure",
                "id-write-timeout",
            ]),
            self.count(&["id-started"]),
        );
        let mut parts = vec![format!(
            "istiod's log: {}, {}",
            counted(lines, "line"),
            counted(pushes, "push")
        )];
        for (count, what) in [
            (starts, "lines of a start"),
            (crashes, "of a crash"),
            (busy, "of pushes that were late or held back"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let places = self.hits(CRASHES).flat_map(|hits| hits.examples.keys().copied());
        Some(self.seen("control plane", parts.join(", "), crashes > 0, true, places))
    }

    /// What istiod uses and knows, as saved statistics and `kubectl top` have it.
    fn control_plane_figures(&self) -> Option<Seen> {
        // A page of statistics that names services or proxies is istiod's own, whatever the file is called.
        let of_istiod: BTreeSet<&str> = self
            .facts(|topic| matches!(topic, Topic::Figure(Figure::Services | Figure::Proxies, _)))
            .into_iter()
            .map(|(key, _)| key.subject.as_str())
            .collect();
        let is_own = |subject: &str| {
            of_istiod.contains(subject) || subject.starts_with("istiod-") || subject == "istiod"
        };
        let mut most: BTreeMap<Figure, (u64, &FactSum)> = BTreeMap::new();
        for (key, sum) in self.facts(|topic| matches!(topic, Topic::Figure(..))) {
            let Topic::Figure(figure, value) = key.topic else {
                continue;
            };
            if is_own(&key.subject) && most.get(&figure).is_none_or(|(known, _)| value > *known) {
                most.insert(figure, (value, sum));
            }
        }
        let parts: Vec<String> = most
            .iter()
            .filter_map(|(figure, (value, _))| match figure {
                Figure::MemoryBytes => Some(format!("{} MiB in use", value >> 20)),
                Figure::MemoryLimitBytes => Some(format!("{} MiB at most", value >> 20)),
                Figure::Services => Some(counted(*value, "service")),
                Figure::Proxies => Some(format!("{} connected", counted(*value, "proxy"))),
                _ => None,
            })
            .collect();
        (!parts.is_empty()).then(|| {
            let says = format!("figures of istiod: {}", parts.join(", "));
            let places = most.values().flat_map(|(_, sum)| sum.places.keys().copied());
            self.seen("control plane", says, false, false, places)
        })
    }

    /// Requests that Istio's metrics count, as saved from Prometheus.
    fn metrics(&self) -> Option<Seen> {
        let all = self.facts(|topic| matches!(topic, Topic::Requests(_)));
        let mut kinds: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        let mut services = BTreeSet::new();
        for (key, _) in &all {
            if let Topic::Requests(requests) = &key.topic {
                services.insert(requests.destination.as_str());
                let kind = (
                    requests.destination.as_str(),
                    requests.code.as_str(),
                    requests.flags.as_str(),
                );
                let most = kinds.entry(kind).or_default();
                *most = requests.count.max(*most);
            }
        }
        (!all.is_empty()).then(|| {
            let failed: u64 = kinds
                .iter()
                .filter(|((_, code, _), _)| code.starts_with('5') || *code == "0")
                .map(|(_, count)| *count)
                .sum();
            let says = format!(
                "metrics saved from Prometheus: {} to {}, {failed} with a status from 500 on or none",
                counted(kinds.values().sum(), "request"),
                counted(services.len() as u64, "service"),
            );
            let places = all.iter().flat_map(|(_, sum)| sum.places.keys().copied());
            self.seen("metrics", says, false, false, places)
        })
    }

    /// What proxies were told to log: what is missing from a log may not have been written.
    fn loggers(&self) -> Option<Seen> {
        let all = self.facts(|topic| matches!(topic, Topic::Logger(_)));
        let mut by_level: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, _) in &all {
            if let Topic::Logger(level) = &key.topic {
                by_level.entry(level).or_default().push(&key.subject);
            }
        }
        let parts: Vec<String> = by_level
            .into_iter()
            .map(|(level, names)| {
                if names.len() > NAMED {
                    format!("{} at {level}", names.len())
                } else {
                    format!("{} at {level}", named(names.into_iter()))
                }
            })
            .collect();
        (!parts.is_empty()).then(|| {
            let says = format!("proxy-config log: loggers {}", parts.join(", "));
            let places = all.iter().flat_map(|(_, sum)| sum.places.keys().copied());
            self.seen("sidecar", says, false, false, places)
        })
    }

    /// What proxies say of themselves: Envoy's `/server_info`.
    fn servers(&self) -> Option<Seen> {
        let all = self.facts(|topic| matches!(topic, Topic::Server(..)));
        let others: Vec<String> = all
            .iter()
            .filter_map(|(key, _)| match &key.topic {
                Topic::Server(state, _) if state != "LIVE" => Some(format!("{} {state}", key.subject)),
                _ => None,
            })
            .collect();
        let youngest = all
            .iter()
            .filter_map(|(key, _)| match key.topic {
                Topic::Server(_, uptime_s) => Some(uptime_s),
                _ => None,
            })
            .min()?;
        let states = if others.is_empty() {
            format!("{} LIVE", counted(all.len() as u64, "proxy"))
        } else {
            format!(
                "{} of {} not LIVE: {}",
                others.len(),
                all.len(),
                named(others.iter().map(String::as_str))
            )
        };
        let says = format!("server_info: {states}; the last start was {youngest} s before it was saved");
        let places = all.iter().flat_map(|(_, sum)| sum.places.keys().copied());
        Some(self.seen("sidecar", says, !others.is_empty(), false, places))
    }

    /// What proxies say of their streams to istiod.
    fn streams(&self) -> Option<Seen> {
        const CLOSED: &[&str] = &[
            "ev-unable-stream",
            "ev-xds-closed",
            "ev-xds-closed-14",
            "ev-xds-closed-since",
            "zt-xds",
            "zt-xds2",
        ];
        let closed = self.count(CLOSED);
        let back = self.count(&["pa-connected"]);
        (closed > 0).then(|| {
            let says = format!("proxies' logs: {closed} lines of streams to istiod that were closed, {back} of connections made");
            let places = self.hits(CLOSED).flat_map(|hits| hits.examples.keys().copied());
            self.seen("sidecar", says, false, false, places)
        })
    }

    fn analysis(&self) -> Option<Seen> {
        self.lines_of(TextKind::Analyze)?;
        let severe = self.facts(|topic| matches!(topic, Topic::Message(_, true)));
        let codes: BTreeSet<&str> = severe
            .iter()
            .filter_map(|(key, _)| match &key.topic {
                Topic::Message(code, _) => Some(code.as_str()),
                _ => None,
            })
            .collect();
        let count: u64 = severe.iter().map(|(_, sum)| sum.count).sum();
        let says = if severe.is_empty() {
            "istioctl analyze: nothing from Warning on".to_owned()
        } else {
            format!(
                "istioctl analyze: {} from Warning on: {}",
                counted(count, "message"),
                named(codes.iter().copied())
            )
        };
        let places = severe.iter().flat_map(|(_, sum)| sum.places.keys().copied());
        Some(self.seen("control plane", says, !severe.is_empty(), true, places))
    }

    fn refused_configuration(&self) -> Option<Seen> {
        const REFUSED: &[&str] = &[
            "ev-config-rejected",
            "ev-delta-rejected",
            "ev-lds-rejected",
            "id-ack-error",
            "id-config-invalid",
            "pa-config-rejected",
        ];
        let count = self.count(REFUSED);
        let istiod = self.lines_of(TextKind::IstiodLog).is_some();
        (count > 0 || istiod).then(|| {
            let says = format!("logs: {count} lines of configuration that was refused or is not valid");
            let places = self.hits(REFUSED).flat_map(|hits| hits.examples.keys().copied());
            self.seen("control plane", says, count > 0, false, places)
        })
    }

    fn flagged(&self, flags: &[&str]) -> Vec<String> {
        let by_flag = self.incident.totals.by_flag.iter();
        by_flag
            .filter(|(flag, _)| flags.contains(&flag.as_str()))
            .map(|(flag, count)| format!("{count} with {flag}"))
            .collect()
    }

    fn routes(&self) -> Option<Seen> {
        let rows = self.incident.totals.rows;
        (rows > 0).then(|| {
            let without = self.flagged(&["NC", "NR", "UH"]);
            let says = if without.is_empty() {
                format!("{rows} rows: each found a route, a cluster and a host")
            } else {
                format!(
                    "{rows} rows: {} (no route NR, no cluster NC, no host UH)",
                    without.join(", ")
                )
            };
            self.seen("sidecar", says, false, true, std::iter::empty())
        })
    }

    fn hosts(&self) -> Option<Seen> {
        let hosts = self.facts(|topic| matches!(topic, Topic::Host(_)));
        (!hosts.is_empty()).then(|| {
            let count = |state: HostState| -> u64 {
                let of_state = hosts.iter().filter(|(key, _)| key.topic == Topic::Host(state));
                of_state.map(|(_, sum)| sum.count).sum()
            };
            let says = format!(
                "saved endpoints: {} hosts healthy, {} ejected, {} otherwise out of use",
                count(HostState::Healthy),
                count(HostState::Ejected),
                count(HostState::Unhealthy)
            );
            let bad = hosts
                .iter()
                .filter(|(key, _)| key.topic != Topic::Host(HostState::Healthy));
            let places = bad.flat_map(|(_, sum)| sum.places.keys().copied());
            self.seen("sidecar", says, false, false, places)
        })
    }

    fn captures(&self) -> Option<Seen> {
        let connections = self.incident.totals.captures.tcp.connections;
        (connections > 0).then(|| {
            let says = format!("captures: {connections} TCP connections");
            self.seen("network", says, false, true, std::iter::empty())
        })
    }

    fn sidecars(&self) -> Option<Seen> {
        let rows = self.incident.totals.rows;
        let levels = |from: Level| -> u64 {
            let inputs = self.incident.totals.inputs.values();
            inputs
                .flat_map(|stats| stats.levels.iter().skip(from as usize))
                .sum()
        };
        (rows > 0).then(|| {
            let by_flag = self.incident.totals.by_flag.iter();
            let flagged: u64 = by_flag.map(|(_, count)| *count).sum();
            let says = format!(
                "logs of proxies: {rows} rows, {flagged} flags on them; {} component lines from warning on",
                levels(Level::Warning)
            );
            self.seen("sidecar", says, false, true, std::iter::empty())
        })
    }

    fn applications(&self) -> Option<Seen> {
        let inputs = self.incident.totals.inputs.values();
        let logs: Vec<_> = inputs
            .map(InputStats::application)
            .filter(|lines| lines.lines > 0)
            .collect();
        (!logs.is_empty()).then(|| {
            let errors: u64 = logs.iter().map(|lines| lines.errors).sum();
            let lines: u64 = logs.iter().map(|lines| lines.lines).sum();
            let says = format!(
                "logs of applications: {errors} error lines of {lines}, in {} files",
                logs.len()
            );
            let places = logs.iter().flat_map(|lines| lines.samples.keys().copied());
            self.seen("application", says, false, false, places)
        })
    }

    fn certificates(&self) -> Option<Seen> {
        let all = self.facts(|topic| matches!(topic, Topic::Certificate(_)));
        if all.is_empty() {
            return None;
        }
        let is_over = |(key, sum): &&Fact<'_>| {
            let over = sum.time.zip(self.incident.end);
            key.topic == Topic::Certificate(false) || over.is_some_and(|(not_after, end)| not_after < end)
        };
        let over: Vec<&Fact<'_>> = all.iter().filter(is_over).collect();
        let first = all.iter().filter_map(|(_, sum)| sum.time).min();
        let ends = first.map_or(String::new(), |first| format!(", the first ends at {first}"));
        let says = format!(
            "saved certificates: {} of {} not valid{ends}",
            over.iter().map(|(_, sum)| sum.count).sum::<u64>(),
            all.iter().map(|(_, sum)| sum.count).sum::<u64>()
        );
        let places = over.iter().flat_map(|(_, sum)| sum.places.keys().copied());
        Some(self.seen("sidecar", says, !over.is_empty(), true, places))
    }

    fn captured_certificates(&self) -> Option<Seen> {
        let count = self.incident.totals.captures.tls.certificates.iter().count();
        (count > 0).then(|| {
            let says = format!("captures: {count} certificates in clear");
            self.seen("network", says, false, true, std::iter::empty())
        })
    }

    /// Lines about renewals. They say what went wrong and not that nothing did.
    fn renewals(&self) -> Option<Seen> {
        let failed = |hit: &(&HitKey, &Hits)| {
            let signature = self.catalog.signatures.get(usize::from(hit.0.signature));
            signature.is_some_and(|signature| {
                signature.cause.as_deref() == Some("cert-rotation-failure")
                    && signature.source != SignatureSource::AccessLog
            })
        };
        let failures: Vec<_> = self.incident.totals.hits.iter().filter(failed).collect();
        let count: u64 = failures.iter().map(|(_, hits)| hits.count).sum();
        let made = self.count(&["pa-cert-new"]);
        (count + made > 0).then(|| {
            let says = format!("logs: {made} certificates made, {count} lines of requests that failed");
            let places = failures
                .iter()
                .flat_map(|(_, hits)| hits.examples.keys().copied());
            self.seen("sidecar", says, false, false, places)
        })
    }
}

/// The first of some names, and how many more there are.
fn named<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    some(&names, NAMED)
}
