//! A capture as an input: its format, its span, its damage.

use crate::decode::packet::CaptureSummary;
use crate::decode::packet::container::{ByteOrder, ContainerKind, TimeResolution};
use crate::report::model::{InputProblem, TimeQuality};
use std::collections::BTreeSet;

/// `pcap (µs, little-endian)`.
pub(in crate::report::build) fn format(summary: &CaptureSummary) -> Option<String> {
    let container = match summary.container? {
        ContainerKind::Pcap => "pcap",
        ContainerKind::PcapModified => "modified pcap",
        ContainerKind::Pcapng => "pcapng",
    };
    let mut details: Vec<String> = resolution(summary).into_iter().collect();
    match summary.byte_order {
        Some(ByteOrder::Little) => details.push("little-endian".to_owned()),
        Some(ByteOrder::Big) => details.push("big-endian".to_owned()),
        None => {}
    }
    Some(if details.is_empty() {
        container.to_owned()
    } else {
        format!("{container} ({})", details.join(", "))
    })
}

fn resolutions(summary: &CaptureSummary) -> BTreeSet<TimeResolution> {
    summary
        .interfaces
        .iter()
        .map(|interface| interface.time_resolution)
        .collect()
}

fn resolution(summary: &CaptureSummary) -> Option<String> {
    let all = resolutions(summary);
    let first = all.first()?;
    if all.len() > 1 {
        return Some("several resolutions".to_owned());
    }
    Some(match first {
        TimeResolution::Decimal(0) => "s".to_owned(),
        TimeResolution::Decimal(3) => "ms".to_owned(),
        TimeResolution::Decimal(6) => "µs".to_owned(),
        TimeResolution::Decimal(9) => "ns".to_owned(),
        TimeResolution::Decimal(digits) => format!("10^-{digits} s"),
        TimeResolution::Binary(digits) => format!("2^-{digits} s"),
    })
}

/// Of the coarsest interface.
fn resolution_us(summary: &CaptureSummary) -> u64 {
    let us = |resolution: &TimeResolution| match *resolution {
        TimeResolution::Decimal(digits) => match 6_u32.checked_sub(u32::from(digits)) {
            Some(exponent) => 10_u64.saturating_pow(exponent),
            None => 0,
        },
        TimeResolution::Binary(digits) => 1_000_000_u64.checked_shr(u32::from(digits)).unwrap_or(0),
    };
    resolutions(summary).iter().map(us).max().unwrap_or(1)
}

/// Quality of its times.
pub(in crate::report::build) fn time_quality(summary: &CaptureSummary) -> TimeQuality {
    let sorted = summary.backward_packets == 0;
    TimeQuality {
        zone: "UTC".to_owned(),
        source: "stated".to_owned(),
        resolution_us: resolution_us(summary),
        order: if sorted { "sorted" } else { "mixed" }.to_owned(),
    }
}

/// Its damage.
pub(in crate::report::build) fn problems(summary: &CaptureSummary) -> impl Iterator<Item = InputProblem> {
    summary.problems.iter().map(|problem| {
        let (frame, what) = frame_of(&problem.what);
        InputProblem {
            offset_bytes: problem.offset_bytes,
            line: problem.line,
            frame,
            what: what.to_owned(),
        }
    })
}

/// The decoder says `after frame 12: ..`: the damage is in the record that would be the next frame.
fn frame_of(what: &str) -> (Option<u64>, &str) {
    let told = what
        .strip_prefix("after frame ")
        .and_then(|rest| rest.split_once(": "));
    match told.and_then(|(frame, what)| Some((frame.parse::<u64>().ok()?, what))) {
        Some((frame, what)) => (Some(frame.saturating_add(1)), what),
        None => (None, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_captures() {
        let summary = CaptureSummary {
            container: Some(ContainerKind::Pcap),
            byte_order: Some(ByteOrder::Big),
            ..CaptureSummary::default()
        };
        assert_eq!(format(&summary).as_deref(), Some("pcap (big-endian)"));
        assert_eq!(format(&CaptureSummary::default()), None);
        assert_eq!(time_quality(&summary).order, "sorted");
    }

    #[test]
    fn damage_names_its_frame() {
        assert_eq!(frame_of("after frame 12: it ends"), (Some(13), "it ends"));
        assert_eq!(frame_of("link type 147: no"), (None, "link type 147: no"));
        assert_eq!(frame_of("after frame x: no"), (None, "after frame x: no"));
    }
}
