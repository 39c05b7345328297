//! What was read, input by input.

use super::requests::reference;
use super::{InputRead, captures, not_read};
use crate::aggregate::inputs::InputStats;
use crate::correlate::Incident;
use crate::decode::log::{AccessFormat, Layouts, Reject};
use crate::decode::output::TextKind;
use crate::decode::packet::CaptureSummary;
use crate::input::{Compression, Source, SourceKind, Unreadable};
use crate::report::model::{
    AccessLogFormat, Application, Counts, Example, Input, InputProblem, Missing, RejectedSample, TimeQuality,
};
use crate::units::InputId;

/// The layouts of the mesh's own, with where its configuration among the inputs gives them.
pub(super) fn formats(incident: &Incident<'_>, layouts: &Layouts) -> Vec<AccessLogFormat> {
    let given = &incident.totals.configuration.access_log_formats;
    let refs = |format: &str| {
        let same = given
            .iter()
            .filter(|(given, _)| given.trim_end() == format.trim_end());
        let places = same.flat_map(|(_, kept)| kept.0.keys());
        places.map(|place| reference(incident, *place)).collect()
    };
    let formats = layouts.formats().map(|format| AccessLogFormat {
        format: format.to_owned(),
        refs: refs(format),
    });
    formats.collect()
}

/// All inputs in their order, then the paths that could not be read at all.
pub(super) fn inputs(
    incident: &Incident<'_>,
    sources: &[Source],
    unreadable: &[Unreadable],
    reads: &[InputRead],
) -> Vec<Input> {
    let default = InputStats::default();
    let mut list: Vec<Input> = sources
        .iter()
        .zip(reads)
        .map(|(source, read)| {
            let stats = incident.totals.inputs.get(&source.id).unwrap_or(&default);
            input(incident, source, read, stats)
        })
        .collect();
    for path in unreadable {
        let id = InputId(u32::try_from(list.len()).unwrap_or(u32::MAX));
        list.push(unopened(id, &path.display_path, &path.what));
    }
    list
}

fn unopened(id: InputId, path: &str, what: &str) -> Input {
    Input {
        id,
        path: path.to_owned(),
        member: None,
        kind: "unknown".to_owned(),
        records_by_kind: Counts::new(),
        format: None,
        format_confidence: None,
        wrapper: Vec::new(),
        compression: "none".to_owned(),
        pod: None,
        namespace: None,
        container: None,
        node: None,
        role: None,
        bytes: 0,
        records: 0,
        rejected: 0,
        skipped: 0,
        start: None,
        end: None,
        time: time_quality(&InputStats::default()),
        opened: false,
        problems: vec![InputProblem {
            offset_bytes: 0,
            line: None,
            frame: None,
            what: what.to_owned(),
        }],
        rejected_samples: Vec::new(),
        application: None,
    }
}

fn input(incident: &Incident<'_>, source: &Source, read: &InputRead, stats: &InputStats) -> Input {
    let place = source
        .member
        .as_ref()
        .map(|member| (member.archive.as_str(), member.path.as_str()));
    let (archive, member) = place.unzip();
    if let Some(what) = &read.failure {
        return Input {
            member: member.map(str::to_owned),
            ..unopened(source.id, archive.unwrap_or(&source.display_path), what)
        };
    }
    let capture = read.capture.as_ref().map(|capture| &capture.summary);
    let counts = records_by_kind(stats, capture);
    let (format, format_confidence) = match capture {
        Some(summary) => (captures::input::format(summary), None),
        None => format(stats),
    };
    let only_pod = || {
        stats
            .pods
            .keys()
            .next()
            .filter(|_| stats.pods.len() == 1)
            .cloned()
    };
    Input {
        id: source.id,
        path: archive.unwrap_or(&source.display_path).to_owned(),
        member: member.map(str::to_owned),
        kind: kind(read, &counts, stats),
        records: counts.values().sum(),
        records_by_kind: counts,
        format,
        format_confidence,
        wrapper: wrapper(stats),
        compression: compression(read).to_owned(),
        pod: source.identity.pod.clone().or_else(only_pod),
        namespace: source.identity.namespace.clone(),
        container: source.identity.container.clone(),
        node: source.identity.node.clone(),
        role: role(incident, source, stats).map(str::to_owned),
        bytes: read.summary.as_ref().map_or(0, |s| s.bytes),
        rejected: stats.rejected(),
        skipped: stats.skipped,
        start: capture.and_then(|summary| summary.earliest).or(stats.first),
        end: capture.and_then(|summary| summary.latest).or(stats.last),
        time: capture.map_or_else(|| time_quality(stats), captures::input::time_quality),
        opened: true,
        problems: problems(read, stats),
        rejected_samples: samples(incident, stats),
        application: application(incident, source.id, stats),
    }
}

/// What wrote an input: by its lines, else by the clusters of its rows (istio/istio `pilot/pkg/model`, `inbound-vip` is a waypoint's),
/// else by the name that installations give the pod.
fn role(incident: &Incident<'_>, source: &Source, stats: &InputStats) -> Option<&'static str> {
    for (kind, role) in [
        (TextKind::IstiodLog, "istiod"),
        (TextKind::ZtunnelLog, "ztunnel"),
        (TextKind::CniLog, "cni"),
    ] {
        if stats.others.contains_key(&kind) {
            return Some(role);
        }
    }
    if !stats.applications.is_empty() {
        return Some("application");
    }
    if stats.access() + stats.envoy + stats.agent == 0 {
        return None;
    }
    let pod = source.identity.pod.as_deref();
    let workload = pod.map(crate::aggregate::address::workload).unwrap_or_default();
    let of_waypoint = |call: &&crate::correlate::Call<'_>| {
        Some(call.key.proxy()) == pod && call.key.cluster.starts_with("inbound-vip|")
    };
    if workload.contains("waypoint") || incident.calls.iter().any(|call| of_waypoint(&call)) {
        Some("waypoint")
    } else if workload.contains("gateway") {
        Some("gateway")
    } else {
        pod.map(|_| "sidecar")
    }
}

fn application(incident: &Incident<'_>, input: InputId, stats: &InputStats) -> Option<Application> {
    let lines = stats.application();
    (lines.lines > 0).then(|| Application {
        lines: lines.lines,
        errors: lines.errors,
        first: lines.first,
        last: lines.last,
        examples: lines
            .samples
            .iter()
            .map(|(place, text)| Example {
                input,
                line: incident.lines.line(*place),
                text: text.clone(),
            })
            .collect(),
    })
}

fn records_by_kind(stats: &InputStats, capture: Option<&CaptureSummary>) -> Counts {
    [
        ("capture", capture.map_or(0, |summary| summary.packets)),
        ("access-log", stats.access()),
        ("envoy-log", stats.envoy),
        ("agent-log", stats.agent),
        ("app-log", stats.application().lines),
    ]
    .into_iter()
    .chain(
        stats
            .others
            .iter()
            .filter_map(|(kind, count)| Some((kind.input_kind()?, *count))),
    )
    .filter(|(_, count)| *count > 0)
    .fold(Counts::new(), |mut counts, (kind, count)| {
        *counts.entry(kind.to_owned()).or_default() += count;
        counts
    })
}

fn kind(read: &InputRead, counts: &Counts, stats: &InputStats) -> String {
    match read.kind {
        Some(SourceKind::Capture) => return "capture".to_owned(),
        Some(SourceKind::Archive(_)) => return "archive".to_owned(),
        _ => {}
    }
    // Its connections are rows of a log that is a ztunnel's all the same.
    if stats.others.contains_key(&TextKind::ZtunnelLog) {
        return "ztunnel-log".to_owned();
    }
    let largest = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    // What says nothing may be recognised all the same.
    let recognised = stats.others.keys().find_map(|kind| kind.input_kind());
    let kind = largest.map_or(recognised.unwrap_or("unknown"), |(kind, _)| kind.as_str());
    // The contract knows one kind for the component lines of a proxy's container.
    if kind == "agent-log" { "envoy-log" } else { kind }.to_owned()
}

/// The layout of most access rows, and the share of all rows (understood or not) that it read.
fn format(stats: &InputStats) -> (Option<String>, Option<f64>) {
    let best = AccessFormat::ALL
        .into_iter()
        .map(|format| (format, stats.formats.get(format.index()).copied().unwrap_or(0)))
        .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
    let rejected = |reject: Reject| stats.rejects.get(reject as usize).copied().unwrap_or(0);
    let broken = rejected(Reject::AccessShape)
        + rejected(Reject::Json)
        + rejected(Reject::Date)
        + rejected(Reject::Number);
    match best.filter(|(_, count)| *count > 0) {
        Some((format, count)) => {
            let share = crate::diagnose::resets::ratio(count, stats.access() + broken);
            (
                Some(format.name().to_owned()),
                Some((share * 10_000.0).round() / 10_000.0),
            )
        }
        None => (None, None),
    }
}

fn wrapper(stats: &InputStats) -> Vec<String> {
    let wrapped: u64 = stats.wrappers.values().sum();
    let lines: u64 = stats.blocks.values().map(|b| u64::from(b.lines)).sum();
    let most = stats
        .wrappers
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    most.filter(|_| wrapped * 2 > lines)
        .map(|(set, _)| set.iter().map(|w| w.name().to_owned()).collect())
        .unwrap_or_default()
}

fn compression(read: &InputRead) -> &'static str {
    match read.compression {
        Some(Compression::Gzip) => "gzip",
        Some(Compression::Zstd) => "zstd",
        Some(Compression::None) | None => "none",
    }
}

fn time_quality(stats: &InputStats) -> TimeQuality {
    let mut last = None;
    let mut sorted = true;
    for block in stats.blocks.values() {
        sorted &= block.sorted && (last.is_none() || block.first.is_none() || block.first >= last);
        last = block.last.or(last);
    }
    TimeQuality {
        zone: "UTC".to_owned(),
        source: "stated".to_owned(),
        // START_TIME of access rows has milliseconds; component lines have microseconds.
        resolution_us: if stats.access() > 0 { 1000 } else { 1 },
        order: if sorted { "sorted" } else { "mixed" }.to_owned(),
    }
}

fn problems(read: &InputRead, stats: &InputStats) -> Vec<InputProblem> {
    let mut list: Vec<InputProblem> = read
        .summary
        .iter()
        .flat_map(|summary| &summary.problems)
        .map(|p| InputProblem {
            offset_bytes: p.offset_bytes,
            line: p.line,
            frame: None,
            what: p.what.clone(),
        })
        .collect();
    list.extend(
        read.capture
            .iter()
            .flat_map(|capture| captures::input::problems(&capture.summary)),
    );
    list.extend(stats.damage.iter().map(|(place, what)| InputProblem {
        offset_bytes: place.offset_bytes,
        line: Some(u64::from(place.line_in_block) + 1),
        frame: None,
        what: format!("{what}: what stands before is used"),
    }));
    if stats.undated > 0 {
        let what = format!(
            "{} access rows have no usable start time; they are counted, but in no time line",
            stats.undated
        );
        list.push(InputProblem {
            offset_bytes: 0,
            line: None,
            frame: None,
            what,
        });
    }
    list
}

fn samples(incident: &Incident<'_>, stats: &InputStats) -> Vec<RejectedSample> {
    let sample = |(place, (reject, text)): (&crate::units::Place, &(Reject, String))| RejectedSample {
        line: incident.lines.line(*place),
        why: reject.text().to_owned(),
        text: text.clone(),
    };
    stats.samples.iter().map(sample).collect()
}

/// Kinds of files that were there but are not read yet.
pub(super) fn unread_kinds(sources: &[Source], reads: &[InputRead]) -> Vec<Missing> {
    let any = |test: fn(&SourceKind) -> bool| {
        sources
            .iter()
            .zip(reads)
            .filter(|(source, read)| read.capture.is_none() && source.listing.is_none())
            .filter_map(|(_, read)| read.kind.as_ref())
            .any(test)
    };
    let mut list = Vec::new();
    if any(|k| *k == SourceKind::Capture) {
        list.push(not_read(
            "what the packet captures hold",
            "captures are recognised but not read by this version; packets settle who closed, refused or lost a connection",
            "tshark -r <capture> -q -z conv,tcp -z expert",
        ));
    }
    if any(|k| matches!(k, SourceKind::Archive(_))) {
        list.push(not_read(
            "what the archives hold",
            "an archive can be read from a file, not from a pipe",
            "tar -xf <archive> -C <folder>, then postmesh <folder>",
        ));
    }
    list
}
