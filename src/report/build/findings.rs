//! Findings and signature hits in the report's words.

use super::requests::{frame_reference, reference};
use crate::aggregate::Merge;
use crate::aggregate::signatures::Hits;
use crate::catalog::Catalog;
use crate::correlate::Incident;
use crate::diagnose;
use crate::report::model::{
    Change, Evidence, Example, Filters, Finding, Impact, Next, RuledOut, Scope, SignatureHits, Window,
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
