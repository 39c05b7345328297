//! The page of every fixture: the promises that hold for any text.

use super::{MAX_BYTES, POLICY, SCRIPT, START, STYLE, render};
use crate::follow::trace::{Event, EventKind, Participant, SCHEMA, Trace};
use crate::report::escape::acts;
use crate::report::fixtures;
use crate::report::model::{Ladder, Quote, Report, TimeBucket, TopologyEdge, TopologyNode};
use crate::units::{InputId, Timestamp};
use proptest::prelude::*;

/// Elements that pages are made of. None of them loads anything.
const ELEMENTS: [&str; 49] = [
    "a",
    "article",
    "body",
    "button",
    "circle",
    "code",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "g",
    "h1",
    "h2",
    "h3",
    "h4",
    "head",
    "header",
    "html",
    "li",
    "line",
    "main",
    "meta",
    "nav",
    "ol",
    "p",
    "path",
    "pre",
    "rect",
    "script",
    "section",
    "span",
    "strong",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
];

/// Attributes that pages use. None of them acts, and none but `href` names a place.
const ATTRIBUTES: [&str; 59] = [
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "cx",
    "cy",
    "d",
    "data-at",
    "data-bad",
    "data-bottom",
    "data-calls",
    "data-classes",
    "data-canceled",
    "data-column",
    "data-counts",
    "data-denied",
    "data-doubling",
    "data-end",
    "data-failed",
    "data-first",
    "data-flags",
    "data-good",
    "data-last",
    "data-left",
    "data-ok",
    "data-packets",
    "data-requests",
    "data-right",
    "data-row",
    "data-spent",
    "data-spread",
    "data-start",
    "data-titles",
    "data-top",
    "datetime",
    "height",
    "hidden",
    "href",
    "http-equiv",
    "id",
    "lang",
    "name",
    "open",
    "r",
    "role",
    "rx",
    "scope",
    "tabindex",
    "type",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
];

/// Reads a page as strictly as it is written, and says what stands outside of elements, style and script apart.
#[track_caller]
fn read(html: &str) -> String {
    let mut rest = html.strip_prefix(START).unwrap();
    let mut open: Vec<&str> = Vec::new();
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        assert!(!before.contains('>'), "{before}");
        text.push_str(before);
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "an end that nothing began");
            continue;
        }
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(ELEMENTS.contains(&name), "{tag}");
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").unwrap();
            let (value, further) = value.split_once('"').unwrap();
            assert!(ATTRIBUTES.contains(&key), "{key} in {tag}");
            assert!(key != "href" || value.starts_with('#'), "{tag}");
            assert!(!value.contains(['\'', '>']), "{tag}");
            attributes = further.trim_start();
        }
        if name == "style" || name == "script" {
            let source = if name == "style" { STYLE } else { SCRIPT };
            rest = rest.strip_prefix(source).unwrap();
        }
        if name != "meta" {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never ended: {open:?}");
    text + rest
}

#[track_caller]
fn keeps_its_promises(report: &Report) -> String {
    let html = render(report);
    let text = read(&html);
    assert!(!text.chars().any(|c| acts(c) && c != '\n'), "{text:?}");
    assert!(!text.contains(['"', '\'']), "not escaped");
    assert!(html.len() <= MAX_BYTES, "{} bytes", html.len());
    html
}

fn fixtures() -> Vec<(&'static str, Report)> {
    vec![
        ("refused", fixtures::refused()),
        ("healthy", fixtures::healthy()),
        ("symptoms-only", fixtures::symptoms_only()),
        ("not-enough", fixtures::not_enough()),
        ("empty", fixtures::empty()),
        ("captured", fixtures::captured()),
        ("captured-healthy", fixtures::captured_healthy()),
    ]
}

#[test]
fn every_fixture_is_a_page() {
    for (name, report) in fixtures() {
        let html = keeps_its_promises(&report);
        assert!(html.contains("<h1>"), "{name}");
    }
}

#[test]
fn the_verdict_and_its_evidence_are_there() {
    let report = fixtures::refused();
    let text = read(&render(&report));
    let finding = &report.findings[0];
    for part in [
        &finding.cause,
        &finding.evidence[0].text,
        &finding.ruled_out[0].because,
    ] {
        let part: String = part.split(['<', '>', '&', '\'', '"']).next().unwrap().into();
        assert!(text.contains(&part), "{part}");
    }
}

#[test]
fn a_citation_opens_what_was_quoted() {
    let mut report = fixtures::refused();
    let place = report.findings[0].evidence[0].refs[0];
    report.quotes = vec![Quote {
        input: place.input,
        line: place.line,
        frame: place.frame,
        text: "the <raw> row".into(),
    }];
    assert!(render(&report).contains("</code></summary><pre>the &lt;raw&gt; row</pre></details>"));
}

/// A ladder of a request, `packets` packets with data and the answer, with `text` wherever text can be.
fn ladder(text: &str, packets: usize) -> Ladder {
    let party = |kind| Participant {
        name: text.to_owned(),
        kind,
        address: Some(text.to_owned()),
    };
    let event = |kind, from: usize, second: i64| Event {
        time: Some(Timestamp::from_secs(1_793_588_400 + second)),
        computed: false,
        input: InputId(0),
        line: (kind != EventKind::Packet).then_some(3),
        frame: (kind == EventKind::Packet).then_some(7),
        kind,
        from,
        to: 1 - from,
        connection: None,
        data_bytes: (kind == EventKind::Packet).then_some(100),
        text: text.to_owned(),
    };
    let mut events = vec![event(EventKind::Request, 0, 0)];
    // To and fro, so that they are not one step.
    events.extend((0..packets).map(|n| event(EventKind::Packet, n % 2, 1)));
    events.push(event(EventKind::Response, 1, 2));
    events.extend((0..packets).map(|n| event(EventKind::Packet, n % 2, 3)));
    Ladder {
        finding: Some(1),
        of: "One of these".to_owned(),
        trace: Trace {
            schema: SCHEMA,
            request_id: Some(text.to_owned()),
            connection: None,
            participants: vec![party("app"), party("proxy")],
            connections: Vec::new(),
            rows: Vec::new(),
            events,
            inputs: std::collections::BTreeMap::new(),
            clock_offsets_ns: std::collections::BTreeMap::new(),
            rows_left_out: 2,
            lines_left_out: 0,
        },
    }
}

#[test]
fn a_request_is_drawn_step_by_step() {
    let mut report = fixtures::refused();
    report.ladders = vec![ladder("GET /cart", 1)];
    let html = keeps_its_promises(&report);
    let rows = |html: &str| html.matches("<svg class=\"lanes\"").count() - 1;
    assert_eq!(rows(&html), 4);
    assert!(html.contains("aria-label=\"from 1 to 2\"") && html.contains("aria-label=\"from 2 to 1\""));
    assert!(html.contains("not listed: 2 rows beyond what is kept"));
    // Where there is not room for all, what logs say is kept.
    report.ladders = vec![ladder("GET /cart", 100)];
    let html = keeps_its_promises(&report);
    assert_eq!(rows(&html), 48);
    assert!(html.contains(">request</span>") && html.contains(">response</span>"));
    assert!(html.contains("154 more are left out here"), "{}", read(&html));
}

#[test]
fn nothing_but_its_own_style_and_script_is_allowed() {
    assert!(POLICY.starts_with("default-src 'none'; script-src 'sha256-"));
    assert!(!POLICY.contains("unsafe"));
    let html = render(&fixtures::empty());
    assert!(html.contains(&POLICY.replace('\'', "&#39;")));
    // Nothing in them ends them or asks for anything.
    for source in [STYLE, SCRIPT] {
        for word in [
            "</",
            "@import",
            "url(",
            "fetch",
            "XMLHttp",
            "eval",
            "innerHTML",
            "document.write",
            "import(",
        ] {
            assert!(!source.contains(word), "{word}");
        }
    }
}

#[test]
fn hostile_strings_stay_text() {
    let strings: Vec<String> = serde_json::from_str(include_str!("../../../tests/hostile.json")).unwrap();
    assert!(strings.len() > 50);
    for text in strings {
        let mut everywhere = fixtures::with_text_everywhere(&text);
        everywhere.ladders = vec![ladder(&text, 1)];
        keeps_its_promises(&everywhere);
        keeps_its_promises(&fixtures::captured_with_text(&text));
    }
}

#[test]
fn a_report_of_any_size_fits() {
    let mut report = fixtures::refused();
    let long = "<&".repeat(2000);
    let mut finding = report.findings[0].clone();
    finding.evidence = vec![finding.evidence[0].clone(); 100];
    for piece in &mut finding.evidence {
        piece.text = long.clone();
    }
    report.findings = vec![finding; 50];
    report.slowest = vec![report.slowest[0].clone(); 1000];
    for slow in &mut report.slowest {
        slow.request = long.clone();
    }
    let html = keeps_its_promises(&report);
    assert!(html.contains("more are left out here"), "a cut is told");
}

#[test]
fn many_nodes_are_a_table() {
    let mut report = fixtures::refused();
    report.topology.nodes = (0..51)
        .map(|n| TopologyNode {
            name: format!("n{n}"),
            kind: "workload".into(),
        })
        .collect();
    // In a circle, too: nothing may go on for ever.
    report.topology.edges = (0..51)
        .map(|n| TopologyEdge {
            source: format!("n{n}"),
            destination: format!("n{}", (n + 1) % 51),
            requests: 5,
            failed: 1,
            p99_ms: None,
        })
        .collect();
    assert!(!keeps_its_promises(&report).contains("chart graph"));
    report.topology.nodes.pop();
    report.topology.edges.truncate(49);
    assert!(keeps_its_promises(&report).contains("chart graph"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_text_stays_text(text in any::<String>()) {
        keeps_its_promises(&fixtures::with_text_everywhere(&text));
        keeps_its_promises(&fixtures::captured_with_text(&text));
    }
}

#[test]
fn long_time_lines_are_drawn_whole() {
    let mut report = fixtures::refused();
    let first = report.timeline.buckets[0].clone();
    report.timeline.buckets = (0..256)
        .map(|n| TimeBucket {
            start: first.start.plus_millis(n * 60_000),
            p50_ms: Some(f64::from(u32::try_from(n).unwrap() % 7)),
            p99_ms: Some(f64::from(u32::try_from(n).unwrap() % 70)),
            ..first.clone()
        })
        .collect();
    let html = keeps_its_promises(&report);
    let curves: Vec<&str> = html
        .split("class=\"line p")
        .skip(1)
        .map(|rest| rest.split("</path>").next().unwrap())
        .collect();
    assert_eq!(curves.len(), 2);
    assert!(
        curves
            .iter()
            .all(|curve| curve.matches('H').count() == 256 && !curve.contains('…'))
    );
}

#[test]
fn times_far_apart_are_drawn_in_bounds() {
    let mut report = fixtures::refused();
    let first = report.timeline.buckets[0].clone();
    let bucket = |start| TimeBucket {
        start,
        ..first.clone()
    };
    report.timeline.buckets = vec![
        bucket(Timestamp(i64::MIN)),
        first.clone(),
        bucket(Timestamp(i64::MAX)),
    ];
    report.timeline.bucket_s = 1;
    assert!(keeps_its_promises(&report).matches("class=\"good\"").count() < 1000);
}
