//! Single requests and connections behind what was found, followed through the inputs for renderers that draw them.

use super::args::LayoutArgs;
use crate::Report;
use crate::follow::clocks;
use crate::follow::reference::{Place, Reference};
use crate::follow::trace::{Target, Trace, trace};
use crate::input::{self, Source};
use crate::report::json;
use crate::report::model::{EvidenceKind, Finding, Ladder, Ref};
use std::path::PathBuf;

/// Findings of which a request is followed.
const FINDINGS: usize = 3;

/// Places of one finding that are tried.
const TRIES: usize = 3;

/// Bytes of inputs, decompressed, that are read again for all of them: each trace reads logs twice and captures once.
const BYTES_MAX: u64 = 512 << 20;

/// Requests of the first findings, and the slowest one. None where inputs cannot be read again, or are so large that this would take
/// longer than the report itself.
pub(super) fn of(report: &Report, paths: &[PathBuf], typed: &LayoutArgs) -> Vec<Ladder> {
    let is_kept = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|data| data.is_file() || data.is_dir());
    let bytes: u64 = report.inputs.iter().map(|input| input.bytes).sum();
    let mut affordable = BYTES_MAX
        .checked_div(bytes.saturating_mul(2).max(1))
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0);
    if !paths.iter().all(is_kept) || affordable == 0 {
        return Vec::new();
    }
    let sources = input::discover(paths).sources;
    let layouts = &typed.or_of_mesh(&sources);
    let mut saved = Vec::new();
    let offsets = json::render(report, &mut saved)
        .ok()
        .and_then(|()| clocks::of_report(saved.as_slice(), &sources).ok())
        .unwrap_or_default();
    let mut follow = |places: &[Ref]| -> Option<Trace> {
        let mut best: Option<Trace> = None;
        for place in places.iter().take(TRIES) {
            if affordable == 0 {
                break;
            }
            affordable -= 1;
            let found = reference(&sources, place)
                .and_then(|target| trace(&sources, &Target::Reference(target), &offsets, layouts).ok())
                .filter(|found| !found.events.is_empty());
            // Where both sides or packets of it are known, it says more.
            if let Some(found) = found
                && best.as_ref().is_none_or(|best| told(&found) > told(best))
            {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|best| told(best) == (true, true)) {
                break;
            }
        }
        best
    };
    let mut ladders: Vec<Ladder> = Vec::new();
    for finding in report.findings.iter().take(FINDINGS) {
        ladders.extend(follow(&cited(finding)).map(|trace| Ladder {
            finding: Some(finding.rank),
            of: "One of these".to_owned(),
            trace,
        }));
    }
    if let Some(slowest) = report.slowest.first() {
        let known = |trace: &Trace| {
            ladders
                .iter()
                .any(|ladder| trace.request_id.is_some() && ladder.trace.request_id == trace.request_id)
        };
        let slowest = follow(&[slowest.place]).filter(|trace| !known(trace));
        ladders.extend(slowest.map(|trace| Ladder {
            finding: None,
            of: "The slowest request".to_owned(),
            trace,
        }));
    }
    ladders
}

/// Whether rows of more than one proxy, and packets, are in a trace.
fn told(trace: &Trace) -> (bool, bool) {
    let proxies = trace
        .participants
        .iter()
        .filter(|party| party.kind == "proxy")
        .count();
    let packets = trace.events.iter().any(|event| event.frame.is_some());
    (packets, proxies > 1)
}

/// Places of a finding that may name a request or a connection: a few of each kind of evidence.
fn cited(finding: &Finding) -> Vec<Ref> {
    let of = |kind: EvidenceKind| {
        let pieces = finding.evidence.iter().filter(move |piece| piece.kind == kind);
        pieces.filter_map(|piece| piece.refs.first().copied()).take(1)
    };
    of(EvidenceKind::Log)
        .chain(of(EvidenceKind::Packet))
        .chain(of(EvidenceKind::Join))
        .collect()
}

fn reference(sources: &[Source], place: &Ref) -> Option<Reference> {
    let source = sources.iter().find(|source| source.id == place.input)?;
    Some(Reference {
        input: source.display_path.clone(),
        place: place.line.map(Place::Line).or(place.frame.map(Place::Frame))?,
    })
}
