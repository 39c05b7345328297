//! Findings, the documented steps and signature hits in the report's words.

use super::requests::{frame_reference, reference};
use crate::aggregate::Merge;
use crate::aggregate::outputs::Topic;
use crate::aggregate::signatures::Hits;
use crate::catalog::Catalog;
use crate::correlate::Incident;
use crate::decode::output::{Sync, TextKind};
use crate::diagnose;
use crate::report::model::{
    Change, Evidence, Example, Filters, Finding, Impact, Missing, Next, RuledOut, Scope, SignatureHits, Step,
    Window,
};
use std::collections::BTreeMap;

/// Findings in their rank.
pub(super) fn findings(incident: &Incident<'_>, findings: &[diagnose::Finding]) -> Vec<Finding> {
    findings
        .iter()
        .zip(1..)
        .map(|(finding, rank)| convert(incident, finding, rank))
        .collect()
}

fn convert(incident: &Incident<'_>, finding: &diagnose::Finding, rank: u64) -> Finding {
    let evidence = finding.evidence.iter().map(|e| Evidence {
        kind: e.kind,
        text: e.text.clone(),
        count: e.count,
        strength: e.strength,
        refs: e
            .places
            .iter()
            .map(|place| reference(incident, *place))
            .chain(e.frames.iter().copied().map(frame_reference))
            .collect(),
    });
    let ruled_out = finding.ruled_out.iter().map(|r| RuledOut {
        cause: r.cause.clone(),
        because: r.because.clone(),
    });
    Finding {
        rank,
        id: finding.id.clone(),
        cause: finding.cause.clone(),
        title: finding.title.clone(),
        summary: finding.summary.clone(),
        severity: finding.severity,
        confidence: finding.confidence,
        role: finding.role,
        consequence_of: finding.consequence_of.clone(),
        scope: Scope {
            source: finding.scope.source.clone(),
            destination: finding.scope.destination.clone(),
            cluster: finding.scope.cluster.clone(),
            pods: finding.scope.pods.clone(),
            nodes: Vec::new(),
        },
        onset: finding.onset,
        window: Window {
            start: finding.start,
            end: finding.end,
        },
        impact: Impact {
            requests: finding.requests,
            failed: finding.failed,
            unit: finding.unit,
            share: rounded(diagnose::resets::ratio(finding.failed, finding.requests)),
            added_latency_ms: finding.added_latency_ms.map(f64::round),
        },
        evidence: evidence.collect(),
        ruled_out: ruled_out.collect(),
        changed_before: finding
            .changed_before
            .iter()
            .map(|change| Change {
                at: change.at,
                kind: change.kind.clone(),
                text: change.text.clone(),
                refs: change
                    .places
                    .iter()
                    .map(|place| reference(incident, *place))
                    .collect(),
            })
            .collect(),
        would_overturn: finding.would_overturn.clone(),
        next: Next {
            check: finding.checks.clone(),
            fix: finding.fixes.clone(),
            filters: Filters {
                wireshark: finding.wireshark.clone(),
            },
            notes: finding.notes.clone(),
            documented_in: finding.documented_in.clone(),
        },
    }
}

fn rounded(share: f64) -> f64 {
    (share * 1_000_000.0).round() / 1_000_000.0
}

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

/// The steps with what was found at each.
pub(super) fn steps(incident: &Incident<'_>, findings: &[diagnose::Finding]) -> Vec<Step> {
    let logs = incident.totals.rows > 0;
    let packets = incident.totals.captures.tcp.connections > 0;
    let certificates = incident.totals.captures.tls.certificates.iter().next().is_some();
    let saved = Saved::of(incident);
    STEPS
        .iter()
        .zip(1u8..)
        .map(|((step, what, why, command), number)| {
            let ids: Vec<String> = findings
                .iter()
                .filter(|f| f.step == number)
                .map(|f| f.id.clone())
                .collect();
            let examined = match number {
                1 => saved.control_plane,
                2 => saved.analyzed,
                3 | 4 => logs || packets,
                _ => certificates || saved.certificates,
            };
            let evidence = if ids.is_empty() && !saved.shows(number) {
                if examined { "clean" } else { "none" }
            } else {
                "found"
            };
            let missing = Missing {
                what: (*what).to_owned(),
                why_it_matters: (*why).to_owned(),
                command: (*command).to_owned(),
            };
            Step {
                step: (*step).to_owned(),
                evidence: evidence.to_owned(),
                findings: ids,
                missing: if examined { Vec::new() } else { vec![missing] },
            }
        })
        .collect()
}

/// What saved output and logs of the control plane tell of the steps.
#[derive(Default)]
struct Saved {
    /// The state of proxies, or what istiod wrote.
    control_plane: bool,
    analyzed: bool,
    certificates: bool,
    /// Steps at which something is wrong.
    wrong: [bool; 5],
}

impl Saved {
    fn of(incident: &Incident<'_>) -> Self {
        let kinds = || {
            incident
                .totals
                .inputs
                .values()
                .flat_map(|stats| stats.others.keys())
        };
        let mut saved = Self {
            control_plane: kinds().any(|kind| *kind == TextKind::IstiodLog),
            analyzed: kinds().any(|kind| *kind == TextKind::Analyze),
            ..Self::default()
        };
        for (key, sum) in incident.totals.outputs.iter() {
            match &key.topic {
                // The table of Istio 1.27 and later says who is connected and not whether it is in step.
                Topic::Proxy(Sync::Untold) => {}
                Topic::Proxy(sync) => {
                    saved.control_plane = true;
                    saved.mark(1, *sync != Sync::Synced);
                }
                Topic::Message(_, severe) => saved.mark(2, *severe),
                Topic::Certificate(valid) => {
                    saved.certificates = true;
                    let over = sum
                        .time
                        .zip(incident.end)
                        .is_some_and(|(not_after, end)| not_after < end);
                    saved.mark(5, !valid || over);
                }
                _ => {}
            }
        }
        saved
    }

    fn mark(&mut self, step: usize, wrong: bool) {
        if let Some(slot) = self.wrong.get_mut(step.saturating_sub(1)) {
            *slot |= wrong;
        }
    }

    fn shows(&self, step: u8) -> bool {
        self.wrong
            .get(usize::from(step).saturating_sub(1))
            .is_some_and(|wrong| *wrong)
    }
}

/// Hits by signature, most severe first, then most frequent.
pub(super) fn signatures(incident: &Incident<'_>, catalog: &Catalog) -> Vec<SignatureHits> {
    let mut by_signature: BTreeMap<u16, Hits> = BTreeMap::new();
    for (key, hits) in incident.totals.hits.iter() {
        by_signature.entry(key.signature).or_default().merge(hits.clone());
    }
    for (signature, hits) in incident.totals.hits.lumped() {
        by_signature.entry(*signature).or_default().merge(hits.clone());
    }
    let mut list: Vec<(crate::catalog::Severity, SignatureHits)> = by_signature
        .into_iter()
        .filter_map(|(index, hits)| {
            let signature = catalog.signatures.get(usize::from(index))?;
            let examples = hits.examples.iter().map(|(place, text)| Example {
                input: place.input,
                line: incident.lines.line(*place),
                text: text.clone(),
            });
            let row = SignatureHits {
                id: signature.id.clone(),
                title: signature.title.clone(),
                cause: signature.cause.clone(),
                source: signature.source.name().to_owned(),
                severity: signature.severity.name().to_owned(),
                count: hits.count,
                first: hits.first,
                last: hits.last,
                inputs: hits
                    .inputs
                    .iter()
                    .map(|(input, count)| (input.0.to_string(), *count))
                    .collect(),
                examples: examples.collect(),
            };
            Some((signature.severity, row))
        })
        .collect();
    list.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then(b.1.count.cmp(&a.1.count))
            .then_with(|| a.1.id.cmp(&b.1.id))
    });
    list.into_iter().map(|(_, row)| row).collect()
}
