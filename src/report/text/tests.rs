//! Every fixture at several widths: snapshots of the look, and the promises that hold for any text.

use super::page::WHOLE_COLUMNS;
use super::wrap::shell_words;
use super::{TextStyle, render, render_inputs};
use crate::report::escape::{Charset, acts, escape};
use crate::report::fixtures;
use crate::report::model::Report;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

const WIDTHS: [usize; 5] = [40, 60, 80, 100, 160];

fn fixtures() -> Vec<(&'static str, Report)> {
    vec![
        ("refused", fixtures::refused()),
        ("healthy", fixtures::healthy()),
        ("symptoms-only", fixtures::symptoms_only()),
        ("not-enough", fixtures::not_enough()),
        ("empty", fixtures::empty()),
        ("hostile", fixtures::with_text(fixtures::HOSTILE)),
        ("captured", fixtures::captured()),
        ("captured-healthy", fixtures::captured_healthy()),
        (
            "captured-hostile",
            fixtures::captured_with_text(fixtures::HOSTILE),
        ),
    ]
}

fn styles() -> impl Iterator<Item = TextStyle> {
    WIDTHS.into_iter().flat_map(|width| {
        [(true, true), (true, false), (false, true), (false, false)]
            .into_iter()
            .map(move |(unicode, terminal)| TextStyle {
                width,
                color: false,
                unicode,
                terminal,
            })
    })
}

/// Takes out the SGR sequences that colours are made of, and nothing else.
fn without_color(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let (codes, after) = after.split_once('m').unwrap();
        assert!(codes.bytes().all(|b| b.is_ascii_digit() || b == b';'), "{codes}");
        rest = after;
    }
    plain + rest
}

fn both(report: &Report, style: &TextStyle) -> [String; 2] {
    [render(report, style), render_inputs(report, style)]
}

/// Every command of a report and every line of a manifest, as it is shown.
fn commands(report: &Report, style: &TextStyle) -> Vec<String> {
    let mut list: Vec<&String> = Vec::new();
    for finding in &report.findings {
        list.extend(&finding.next.check);
        list.extend(finding.next.fix.iter().filter_map(|fix| fix.command.as_ref()));
        list.extend(finding.would_overturn.iter().map(|missing| &missing.command));
    }
    let of_steps = report.steps.iter().flat_map(|step| &step.missing);
    list.extend(
        report
            .missing
            .iter()
            .chain(of_steps)
            .map(|missing| &missing.command),
    );
    let charset = if style.unicode {
        Charset::Unicode
    } else {
        Charset::Ascii
    };
    let manifests = report.findings.iter().flat_map(|finding| &finding.next.fix);
    let manifests = manifests
        .filter_map(|fix| fix.yaml.as_deref())
        .flat_map(str::lines);
    list.into_iter()
        .map(String::as_str)
        .chain(manifests)
        .map(|command| escape(command, charset).into_owned())
        .collect()
}

/// A line that is wider than the page, because a word of a command is, or a line of a manifest.
fn is_word_of(commands: &[String], line: &str) -> bool {
    [4, 13].into_iter().any(|column| {
        let word = line.get(column..).unwrap_or_default().trim_end_matches(" \\");
        let word = word.trim_end_matches('…').trim_end_matches("...");
        let is_word = shell_words(word).len() == 1;
        commands
            .iter()
            .any(|command| command == word || (is_word && command.contains(word)))
    })
}

#[track_caller]
fn keeps_its_promises(report: &Report, style: &TextStyle) {
    let commands = commands(report, style);
    for text in both(report, style) {
        for line in text.lines() {
            assert!(
                line.width() <= style.width || (line.width() <= WHOLE_COLUMNS && is_word_of(&commands, line)),
                "{} columns of {}: {line}",
                line.width(),
                style.width
            );
            assert!(!line.chars().any(acts), "{line:?}");
            assert!(!line.ends_with(' '), "{line:?}");
            assert!(style.unicode || line.is_ascii(), "{line:?}");
            assert!(style.terminal || !line.contains(&"█".repeat(41)), "{line:?}");
        }
        let painted = both(
            report,
            &TextStyle {
                color: true,
                ..*style
            },
        );
        assert!(
            painted.map(|painted| without_color(&painted)).contains(&text),
            "colour changed the text"
        );
    }
}

#[test]
fn hostile_strings_stay_text() {
    let strings: Vec<String> = serde_json::from_str(include_str!("../../../tests/hostile.json")).unwrap();
    for text in strings {
        for report in [
            fixtures::with_text_everywhere(&text),
            fixtures::captured_with_text(&text),
        ] {
            keeps_its_promises(&report, &TextStyle::default());
        }
    }
}

#[test]
fn the_look() {
    for (name, report) in fixtures() {
        for width in [80, 160] {
            let style = TextStyle {
                width,
                terminal: true,
                ..TextStyle::default()
            };
            insta::assert_snapshot!(format!("{name}-{width}"), render(&report, &style));
        }
        let style = TextStyle {
            color: true,
            terminal: true,
            ..TextStyle::default()
        };
        let painted = render(&report, &style).replace('\u{1b}', "␛");
        insta::assert_snapshot!(format!("{name}-80-color"), painted);
    }
}

#[test]
fn the_look_of_inspect_and_of_ascii() {
    let report = fixtures::refused();
    for width in [80, 160] {
        let style = TextStyle {
            width,
            ..TextStyle::default()
        };
        let text = render_inputs(&report, &style);
        insta::assert_snapshot!(format!("inspect-{width}"), text);
    }
    let ascii = TextStyle {
        unicode: false,
        ..TextStyle::default()
    };
    insta::assert_snapshot!("refused-80-ascii", render(&report, &ascii));
    insta::assert_snapshot!("captured-80-ascii", render(&fixtures::captured(), &ascii));
}

#[test]
fn no_line_is_wider_than_the_page_and_none_acts() {
    for (_, report) in fixtures() {
        for style in styles() {
            keeps_its_promises(&report, &style);
        }
    }
}

#[test]
fn the_verdict_fits_in_the_first_lines() {
    for (name, report) in fixtures() {
        let text = render(&report, &TextStyle::default());
        let first: String = text.lines().take(3).collect();
        let start: String = report.verdict.headline.chars().take(20).collect();
        assert!(
            name.ends_with("hostile") || text.lines().take(9).any(|line| line.contains(&start)),
            "{first}"
        );
        let verdict: Vec<_> = text.split("\n\n").nth(1).unwrap().lines().collect();
        assert!(verdict.len() <= 6, "{verdict:?}");
    }
}

#[test]
fn every_piece_of_evidence_that_has_places_shows_one() {
    let report = fixtures::refused();
    let text = render(
        &report,
        &TextStyle {
            width: 160,
            ..TextStyle::default()
        },
    );
    for place in [
        "ratings-v1-6484c4d9bb/istio-proxy.log:20411  20497  21002",
        "istio-proxy.log.1.gz:88123",
    ] {
        assert!(text.contains(place), "{place}");
    }
    assert!(text.contains("… 18,200 more"), "the places left out are counted");
}

#[test]
fn figures_that_mean_little_are_marked() {
    let text = render(&fixtures::refused(), &TextStyle::default());
    let row = text
        .lines()
        .find(|line| line.contains("reviews:9080") && line.contains("~31"))
        .unwrap();
    assert!(row.contains("~8"), "{row}");
    assert!(text.contains("~ too few requests to be sure") && text.contains("resolution 1 ms"));
}

#[test]
fn a_stray_date_does_not_squeeze_the_time_line() {
    let mut report = fixtures::refused();
    let clean = render(&report, &TextStyle::default());
    let mut stray = report.timeline.buckets[0].clone();
    stray.start = crate::units::Timestamp::from_secs(0);
    stray.requests = 3;
    stray.failed = 0;
    report.timeline.buckets.insert(0, stray);
    let text = render(&report, &TextStyle::default());
    assert!(text.contains("3 far from all others in time not drawn"), "{text}");
    let failed = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("  failed "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(failed(&text), failed(&clean));
}

#[test]
fn denials_have_a_line_of_their_own() {
    let mut report = fixtures::refused();
    for bucket in &mut report.timeline.buckets {
        bucket.denied = std::mem::take(&mut bucket.failed);
    }
    let text = render(&report, &TextStyle::default());
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(!line("  failed ").contains('█') && line("  denied ").contains('█'));
}

#[test]
fn numbers_at_their_limits_keep_the_promises() {
    let mut report = fixtures::refused();
    report.requests.total = u64::MAX;
    report.requests.rows = u64::MAX;
    report.requests.by_destination[0].failed = u64::MAX;
    report.requests.by_destination[0].denied = u64::MAX;
    report.findings[0].impact.requests = u64::MAX;
    report.findings[0].impact.added_latency_ms = Some(f64::INFINITY);
    report.findings[0].evidence[0].count = u64::MAX;
    report.findings[0].confidence = f64::NAN;
    report.timeline.bucket_s = 0;
    report.timeline.buckets[0].start = crate::units::Timestamp(i64::MIN);
    report.timeline.buckets[1].requests = u64::MAX;
    report.timeline.buckets[2].requests = u64::MAX;
    report.timeline.buckets[47].start = crate::units::Timestamp(i64::MAX);
    report.latency[0].max = f64::MAX;
    report.latency[0].p50 = f64::NAN;
    for bucket in &mut report.latency[1].histogram {
        bucket.count = u64::MAX;
        bucket.le = f64::NAN;
    }
    for input in &mut report.inputs {
        input.bytes = u64::MAX;
        input.records = u64::MAX;
        input.rejected = u64::MAX;
        input.records_by_kind.insert("access-log".into(), u64::MAX);
    }
    for style in styles() {
        keeps_its_promises(&report, &style);
    }
}

#[test]
fn captures_at_their_limits_keep_the_promises() {
    let mut report = fixtures::captured();
    let captures = &mut report.captures;
    captures.packets = u64::MAX;
    captures.bytes = u64::MAX;
    captures.streams.tcp = u64::MAX;
    captures.streams.udp = u64::MAX;
    captures.streams.truncated = true;
    captures.tcp.handshakes = u64::MAX;
    captures.tcp.refused = u64::MAX / 8;
    captures.dns.queries = u64::MAX;
    for trouble in &mut captures.troubles {
        trouble.connections = u64::MAX;
        trouble.of = u64::MAX;
        trouble.client_count = u64::MAX;
        trouble.zero_window_ms = f64::MAX;
        trouble.longest_zero_window_ms = f64::NAN;
        trouble.first = Some(crate::units::Timestamp(i64::MIN));
    }
    for server in &mut captures.servers {
        server.connections = u64::MAX;
        server.handshake_rtt_us.p50 = f64::NAN;
        server.response_time_ms.count = u64::MAX;
        server.response_time_ms.p99 = f64::MAX;
    }
    captures.honesty.acked_unseen = u64::MAX;
    for style in styles() {
        keeps_its_promises(&report, &style);
    }
}

#[test]
fn frames_are_cited_by_file_and_number() {
    let style = TextStyle {
        width: 160,
        ..TextStyle::default()
    };
    let text = render(&fixtures::captured(), &style);
    for place in [
        "prod_productpage-v1-675fc69cf.eth0.pcap.gz frame 88123  88201  \
         prod_ratings-v1-6484c4d9bb.eth0.pcap0 frame 1204  … 208 more",
        "frame 211,005, byte 33,760,640: cut short inside a packet",
    ] {
        assert!(text.contains(place), "{place}: {text}");
    }
}

#[test]
fn a_damaged_capture_is_not_called_whole() {
    let mut report = fixtures::captured();
    report.captures.honesty = crate::report::model::CaptureHonesty::default();
    let of = |report: &Report| render(report, &TextStyle::default());
    assert!(of(&report).contains("1 file with parts that could not be read"));
    assert!(!of(&report).contains("captures are"));
    report.inputs.iter_mut().for_each(|input| input.problems.clear());
    assert!(of(&report).contains("captures are  whole"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_anywhere_keeps_the_promises(
        text in prop_oneof![any::<String>(), "[ -~]{0,200}", "\\PC{0,100}", "[a-z]{150}", "[東京\u{301}\u{200d}😀🏽🇩🇪]{0,60}"],
        width in prop_oneof![Just(40_usize), Just(60), Just(80), Just(160)],
        unicode in any::<bool>(),
        terminal in any::<bool>(),
    ) {
        let style = TextStyle { width, color: false, unicode, terminal };
        keeps_its_promises(&fixtures::with_text(&text), &style);
        keeps_its_promises(&fixtures::captured_with_text(&text), &style);
    }
}

#[test]
fn commands_and_manifests_are_whole_on_a_narrow_page() {
    let report = fixtures::refused();
    let style = TextStyle {
        width: 40,
        ..TextStyle::default()
    };
    let text = render(&report, &style);
    let next = &report.findings[0].next;
    let fixes = || next.fix.iter();
    let commands = next
        .check
        .iter()
        .chain(fixes().filter_map(|fix| fix.command.as_ref()));
    let words: Vec<&str> = commands.flat_map(|command| shell_words(command)).collect();
    let manifests: Vec<&str> = fixes()
        .filter_map(|fix| fix.yaml.as_deref())
        .flat_map(str::lines)
        .collect();
    assert!(
        words.len() > 10 && !manifests.is_empty(),
        "{words:?} {manifests:?}"
    );
    for part in words.into_iter().chain(manifests) {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
