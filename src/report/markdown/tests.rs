//! The text of every fixture: the promises that hold for any text.

use super::{START, render};
use crate::report::escape::acts;
use crate::report::fixtures;
use crate::report::model::Report;
use proptest::prelude::*;

/// What is neither inside a code span nor a block, with what backslashes escape taken out.
#[track_caller]
fn outside_of_code(text: &str) -> Vec<String> {
    let mut outside = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let ticks: String = bare.chars().take_while(|c| *c == '`').collect();
        if let Some(fence) = &block {
            if bare == fence {
                block = None;
            }
            continue;
        }
        if ticks.len() >= 3 && bare.get(ticks.len()..) == Some("text") {
            block = Some(ticks);
            continue;
        }
        let mut kept = String::new();
        let mut rest = line;
        while let Some(at) = rest.find(['\\', '`']) {
            let (before, after) = rest.split_at(at);
            kept.push_str(before);
            if after.starts_with('\\') {
                let mut chars = after.chars();
                chars.next();
                chars.next();
                kept.push('·');
                rest = chars.as_str();
            } else {
                let ticks: String = after.chars().take_while(|c| *c == '`').collect();
                let inside = after.get(ticks.len()..).unwrap();
                let end = closing(inside, ticks.len()).expect("a span that ends");
                kept.push('·');
                rest = inside.get(end..).unwrap();
            }
        }
        outside.push(kept + rest);
    }
    assert!(block.is_none(), "a block that never ends");
    outside
}

/// Where a run of exactly `ticks` ticks ends.
fn closing(text: &str, ticks: usize) -> Option<usize> {
    let mut run = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c == '`' {
            run += 1;
        } else {
            if run == ticks {
                return Some(at);
            }
            run = 0;
        }
    }
    None
}

#[track_caller]
fn keeps_its_promises(report: &Report) {
    let text = render(report);
    assert!(text.starts_with(START));
    assert!(!text.chars().any(|c| acts(c) && c != '\n'), "{text:?}");
    for line in outside_of_code(&text) {
        let lower = line.to_lowercase();
        for word in ["<", "](", "![", "://", "www.", "@"] {
            assert!(!lower.contains(word), "{word} in {line}");
        }
        if line.starts_with('|') {
            let bars = line.matches('|').count();
            assert!([6, 7, 9].contains(&bars), "{bars} bars: {line}");
        }
        let heading = line.starts_with('#');
        assert!(
            !heading
                || line.starts_with("# postmesh: ")
                || line.starts_with("## ")
                || line.starts_with("### "),
            "{line}"
        );
    }
}

#[test]
fn every_fixture_and_the_look() {
    for report in [
        fixtures::healthy(),
        fixtures::symptoms_only(),
        fixtures::not_enough(),
        fixtures::empty(),
        fixtures::captured(),
    ] {
        keeps_its_promises(&report);
    }
    let report = fixtures::refused();
    keeps_its_promises(&report);
    insta::assert_snapshot!("refused", render(&report));
}

#[test]
fn hostile_strings_stay_text() {
    let strings: Vec<String> = serde_json::from_str(include_str!("../../../tests/hostile.json")).unwrap();
    for text in strings {
        keeps_its_promises(&fixtures::with_text_everywhere(&text));
        keeps_its_promises(&fixtures::captured_with_text(&text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_stays_text(text in any::<String>()) {
        keeps_its_promises(&fixtures::with_text_everywhere(&text));
    }
}
