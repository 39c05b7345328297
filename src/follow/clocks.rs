//! How far clocks are apart, as a saved report of the same inputs measured it.

use super::trace::ClockOffsets;
use crate::input::Source;
use crate::units::InputId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;

/// As much of a saved report as is needed.
#[derive(Debug, Deserialize)]
struct Saved {
    schema: String,
    #[serde(default)]
    inputs: Vec<SavedInput>,
    #[serde(default)]
    correlation: SavedCorrelation,
}

#[derive(Debug, Deserialize)]
struct SavedInput {
    id: u32,
    path: String,
    #[serde(default)]
    pod: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct SavedCorrelation {
    #[serde(default)]
    clock: Vec<SavedOffset>,
}

#[derive(Debug, Deserialize)]
struct SavedOffset {
    input_a: u32,
    input_b: u32,
    offset_us: f64,
    low_us: f64,
    high_us: f64,
}

/// The offsets of `sources`, each from the first input whose clock can be compared with its own. Inputs of one pod have one
/// clock, and clocks whose bounds allow that they agree are taken to agree.
///
/// # Errors
/// One line: no report, or one of other inputs.
pub fn of_report(reader: impl Read, sources: &[Source]) -> Result<ClockOffsets, String> {
    let saved: Saved = serde_json::from_reader(reader).map_err(|error| format!("is no report: {error}"))?;
    if !saved.schema.starts_with("postmesh.report/") {
        return Err(format!("is no report but {}", saved.schema));
    }
    // From numbers of the report to sources, by name.
    let by_path: BTreeMap<&str, InputId> = sources
        .iter()
        .map(|source| (source.display_path.as_str(), source.id))
        .collect();
    let ids: BTreeMap<u32, InputId> = saved
        .inputs
        .iter()
        .filter_map(|input| Some((input.id, *by_path.get(input.path.as_str())?)))
        .collect();
    if ids.is_empty() {
        return Err("tells of other inputs".to_owned());
    }
    let mut groups: BTreeMap<InputId, (InputId, i64)> = ids.values().map(|id| (*id, (*id, 0))).collect();
    for offset in &saved.correlation.clock {
        let (Some(a), Some(b)) = (ids.get(&offset.input_a), ids.get(&offset.input_b)) else {
            continue;
        };
        let apart_ns = if offset.low_us <= 0.0 && offset.high_us >= 0.0 {
            0
        } else {
            nanoseconds(offset.offset_us)
        };
        unite(&mut groups, *a, *b, apart_ns);
    }
    let mut first_of_pod: BTreeMap<&str, InputId> = BTreeMap::new();
    for input in &saved.inputs {
        let (Some(pod), Some(id)) = (input.pod.as_deref(), ids.get(&input.id)) else {
            continue;
        };
        let first = *first_of_pod.entry(pod).or_insert(*id);
        unite(&mut groups, first, *id, 0);
    }
    let first_offsets: BTreeMap<InputId, i64> = groups
        .iter()
        .rev()
        .map(|(_, (group, offset_ns))| (*group, *offset_ns))
        .collect();
    Ok(groups
        .into_iter()
        .map(|(id, (group, offset_ns))| {
            let first = first_offsets.get(&group).copied().unwrap_or(0);
            (id, offset_ns.saturating_sub(first))
        })
        .filter(|(_, offset_ns)| *offset_ns != 0)
        .collect())
}

/// Puts the group of `b` to that of `a`, so that `b` is `apart_ns` ahead of `a`; nothing where they are of one group.
fn unite(groups: &mut BTreeMap<InputId, (InputId, i64)>, a: InputId, b: InputId, apart_ns: i64) {
    let (Some(&(group_a, at_a)), Some(&(group_b, at_b))) = (groups.get(&a), groups.get(&b)) else {
        return;
    };
    if group_a == group_b {
        return;
    }
    let by = at_a.saturating_add(apart_ns).saturating_sub(at_b);
    for (group, offset_ns) in groups.values_mut().filter(|(group, _)| *group == group_b) {
        *group = group_a;
        *offset_ns = offset_ns.saturating_add(by);
    }
}

/// Whole nanoseconds of a number that a file may hold at will.
fn nanoseconds(us: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and no clock is a century off"
    )]
    let ns = (us * 1000.0).round() as i64;
    ns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(names: &[&str]) -> Vec<Source> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "x\n").unwrap();
        }
        crate::input::discover(&[folder.path().to_owned()]).sources
    }

    #[test]
    fn offsets_go_from_clock_to_clock_and_through_the_inputs_of_a_pod() {
        let sources = sources(&["a.log", "b.log", "b.pcap", "c.log"]);
        let report = r#"{"schema": "postmesh.report/1",
            "inputs": [{"id": 0, "path": "a.log", "pod": "a"}, {"id": 1, "path": "b.log", "pod": "b"},
                       {"id": 2, "path": "b.pcap", "pod": "b"}, {"id": 3, "path": "c.log", "pod": null}],
            "correlation": {"clock": [
                {"input_a": 0, "input_b": 1, "offset_us": 800000.5, "low_us": 799000, "high_us": 801001},
                {"input_a": 1, "input_b": 3, "offset_us": -20, "low_us": -100, "high_us": 60}]}}"#;
        let offsets = of_report(report.as_bytes(), &sources).unwrap();
        let ahead = 800_000_500;
        assert_eq!(
            offsets,
            ClockOffsets::from([(InputId(1), ahead), (InputId(2), ahead), (InputId(3), ahead)])
        );
    }

    #[test]
    fn what_is_no_report_of_these_inputs_is_said_in_a_line() {
        let sources = sources(&["a.log"]);
        let of = |text: &str| of_report(text.as_bytes(), &sources).unwrap_err();
        assert!(of("{").starts_with("is no report"));
        assert!(of(r#"{"schema": "other/1"}"#).contains("other/1"));
        let other = r#"{"schema": "postmesh.report/1", "inputs": [{"id": 0, "path": "z.log"}]}"#;
        assert_eq!(of(other), "tells of other inputs");
    }
}
