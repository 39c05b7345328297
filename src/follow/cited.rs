//! The places that a saved report cites.

use super::reference::{Place, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;

/// As much of a saved report as is needed to find its citations.
#[derive(Debug, Deserialize)]
struct Saved {
    schema: String,
    #[serde(default)]
    inputs: Vec<SavedInput>,
    #[serde(default)]
    findings: Vec<SavedFinding>,
}

#[derive(Debug, Deserialize)]
struct SavedInput {
    id: u32,
    path: String,
    #[serde(default)]
    member: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SavedFinding {
    rank: u64,
    title: String,
    #[serde(default)]
    evidence: Vec<SavedEvidence>,
}

#[derive(Debug, Deserialize)]
struct SavedEvidence {
    text: String,
    #[serde(default)]
    refs: Vec<SavedRef>,
}

#[derive(Debug, Deserialize)]
struct SavedRef {
    input: u32,
    line: Option<u64>,
    frame: Option<u64>,
}

/// A place and what the report says that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// The place.
    pub reference: Reference,
    /// The evidence that cites it; empty where nobody said.
    pub says: String,
}

impl From<Reference> for Cited {
    fn from(reference: Reference) -> Self {
        Self {
            reference,
            says: String::new(),
        }
    }
}

/// The places of all findings of a report, or of the one with this rank.
///
/// # Errors
/// One line: that it is no report, or has no such finding.
pub fn of_report(report: impl Read, finding: Option<u64>) -> Result<Vec<Cited>, String> {
    let saved: Saved =
        serde_json::from_reader(report).map_err(|error| format!("is no report of postmesh: {error}"))?;
    if saved.schema != "postmesh.report/1" {
        return Err(format!("is no report of postmesh but {}", saved.schema));
    }
    let names: BTreeMap<u32, String> = saved
        .inputs
        .into_iter()
        .map(|input| match input.member {
            Some(member) => (input.id, format!("{}!{member}", input.path)),
            None => (input.id, input.path),
        })
        .collect();
    let known = saved.findings.len();
    let chosen: Vec<SavedFinding> = saved
        .findings
        .into_iter()
        .filter(|of| finding.is_none_or(|rank| of.rank == rank))
        .collect();
    if let (Some(rank), true) = (finding, chosen.is_empty()) {
        return Err(format!("has no finding {rank}, only {known}"));
    }
    let mut cited = Vec::new();
    for of in chosen {
        for evidence in of.evidence {
            let says = format!("{}: {}", of.title, evidence.text);
            for place in evidence.refs {
                let at = place.line.map(Place::Line).or(place.frame.map(Place::Frame));
                let name = names.get(&place.input);
                let (Some(at), Some(name)) = (at, name) else {
                    continue;
                };
                cited.push(Cited {
                    reference: Reference {
                        input: name.clone(),
                        place: at,
                    },
                    says: says.clone(),
                });
            }
        }
    }
    Ok(cited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"schema": "postmesh.report/1", "other": [1],
        "inputs": [{"id": 0, "path": "a.log"}, {"id": 1, "path": "b.pcap"}],
        "findings": [
            {"rank": 1, "title": "one", "evidence": [{"text": "rows", "refs": [
                {"input": 0, "line": 7, "frame": null, "offset_bytes": 3}, {"input": 9, "line": 1, "frame": null},
                {"input": 1, "line": null, "frame": 5}, {"input": 1, "line": null, "frame": null}]}]},
            {"rank": 2, "title": "two", "evidence": [{"text": "none", "refs": []}]}]}"#;

    #[test]
    fn places_of_findings_by_the_names_of_their_inputs() {
        let texts = |finding| {
            of_report(REPORT.as_bytes(), finding)
                .map(|cited| cited.iter().map(|c| c.reference.to_string()).collect::<Vec<_>>())
        };
        let all = vec!["a.log:7".to_owned(), "b.pcap frame 5".to_owned()];
        assert_eq!(texts(None), Ok(all.clone()));
        assert_eq!(texts(Some(1)), Ok(all));
        assert_eq!(texts(Some(2)), Ok(vec![]));
        assert_eq!(texts(Some(3)), Err("has no finding 3, only 2".to_owned()));
        let cited = of_report(REPORT.as_bytes(), None).unwrap();
        assert_eq!(cited[0].says, "one: rows");
    }

    #[test]
    fn what_is_no_report() {
        for text in [
            "",
            "[]",
            "{}",
            "{\"schema\": \"other\"}",
            "{\"schema\": 1}",
            "\u{1b}[",
        ] {
            assert!(of_report(text.as_bytes(), None).is_err(), "{text}");
        }
    }
}
