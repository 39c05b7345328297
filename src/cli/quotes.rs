//! The texts of what a report cites, read again from its inputs, for renderers that open citations in place.

use crate::Report;
use crate::follow::cited::Cited;
use crate::follow::reference::{Place, Reference};
use crate::follow::show::{self, Shown};
use crate::input;
use crate::report::model::{Quote, Ref};
use crate::report::text::frame_line;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Places that are read again; the first ones cited.
const MAX_PLACES: usize = 4000;

/// Characters of one text.
const MAX_TEXT_CHARS: usize = 4000;

/// What `report`, made from `paths`, cites. Pipes are not read again: they are empty by now.
pub(super) fn of(report: &Report, paths: &[PathBuf]) -> Vec<Quote> {
    let again: Vec<PathBuf> = paths
        .iter()
        .filter(|path| std::fs::metadata(path).is_ok_and(|data| data.is_file() || data.is_dir()))
        .cloned()
        .collect();
    if again.len() != paths.len() {
        // Numbers of inputs would differ.
        return Vec::new();
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for input in &report.inputs {
        *names.entry(&input.path).or_default() += 1;
    }
    let mut wanted: BTreeSet<Reference> = BTreeSet::new();
    for place in cited(report) {
        if wanted.len() >= MAX_PLACES {
            break;
        }
        let at = place.line.map(Place::Line).or(place.frame.map(Place::Frame));
        let input = report.inputs.iter().find(|input| input.id == place.input);
        // Of inputs with one name nobody could say which is meant.
        let input = input.filter(|input| names.get(input.path.as_str()) == Some(&1));
        if let (Some(place), Some(input)) = (at, input) {
            wanted.insert(Reference {
                input: input.path.clone(),
                place,
            });
        }
    }
    let wanted: Vec<Cited> = wanted.into_iter().map(Cited::from).collect();
    let sources = input::discover(&again).sources;
    texts(show::show(&sources, &wanted, 0))
}

/// Places in the order in which a reader wants them.
fn cited(report: &Report) -> impl Iterator<Item = Ref> {
    let findings = report.findings.iter().flat_map(|finding| {
        let evidence = finding.evidence.iter().flat_map(|piece| &piece.refs);
        evidence.chain(finding.changed_before.iter().flat_map(|change| &change.refs))
    });
    let captures = &report.captures;
    let packets = captures.troubles.iter().flat_map(|trouble| &trouble.refs);
    let alerts = captures.tls.alerts.iter().flat_map(|alert| &alert.refs);
    let events = report
        .timeline
        .events
        .iter()
        .filter_map(|event| event.place.as_ref());
    let rows = report.correlation.examples.iter().map(|example| &example.request);
    let slowest = report.slowest.iter().map(|slow| &slow.place);
    let streams = report.correlation.examples.iter().map(|example| Ref {
        input: example.stream.input,
        line: None,
        frame: Some(example.stream.first_frame),
        offset_bytes: None,
    });
    findings
        .chain(packets)
        .chain(alerts)
        .chain(events)
        .chain(rows)
        .chain(slowest)
        .copied()
        .chain(streams)
}

fn texts(shown: Shown) -> Vec<Quote> {
    let mut quotes = Vec::new();
    for excerpt in shown.excerpts {
        let input = excerpt.input;
        quotes.extend(excerpt.lines.into_iter().map(|shown| Quote {
            input,
            line: Some(shown.line),
            frame: None,
            text: cut(shown.text),
        }));
        let between = match (&excerpt.client, &excerpt.server) {
            (Some(client), Some(server)) => format!("{client} → {server}  "),
            _ => String::new(),
        };
        quotes.extend(excerpt.frames.into_iter().map(|shown| Quote {
            input,
            line: None,
            frame: Some(shown.frame.frame),
            text: cut(format!("{between}{}", frame_line(&shown.frame))),
        }));
    }
    quotes
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
