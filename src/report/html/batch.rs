//! Many incidents as one page: a line each, and which causes came when.

use super::element::{Element, el};
use super::table::{Set, Table, scrolling};
use super::{START, foot, head, tool};
use crate::report::batch::{Batch, Incident};
use crate::report::model::{Severity, State};
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Causes drawn over time.
const CAUSES: usize = 20;

/// Incidents listed.
const LINES: usize = 2000;

/// Width of the picture, and of the names in it.
const WIDTH: f64 = 900.0;
const NAMES: f64 = 230.0;
const ROW: f64 = 22.0;

/// The incidents as a page.
pub fn render(batch: &Batch) -> String {
    let title = format!("postmesh: {} incidents", batch.incidents.len());
    let main = el("main")
        .attr("id", "main")
        .child(el("h1").text(summary(batch)))
        .child(over_time(batch))
        .child(el("h2").text("Incidents"))
        .child(lines(batch));
    let tools = el("div")
        .attr("id", "tools")
        .attr("hidden", "")
        .child(tool("theme", "Light or dark"));
    let body = el("body")
        .child(
            el("a")
                .class("skip")
                .attr("href", "#main")
                .text("To the incidents"),
        )
        .child(
            el("header")
                .child(el("p").class("about").text(&title))
                .child(tools),
        )
        .child(main)
        .child(foot("A line is the first finding of its incident."))
        .child(el("script").source(super::SCRIPT));
    let html = el("html").attr("lang", "en").child(head(&title)).child(body);
    format!("{START}\n{}\n", html.finish())
}

fn summary(batch: &Batch) -> String {
    let with = |test: fn(&Incident) -> bool| batch.incidents.iter().filter(|incident| test(incident)).count();
    let mut parts = vec![format!(
        "{} with a cause",
        with(|incident| incident.state == Some(State::CauseFound))
    )];
    for (count, what) in [
        (
            with(|incident| incident.state == Some(State::SymptomsOnly)),
            "with symptoms only",
        ),
        (with(|incident| incident.state == Some(State::Healthy)), "healthy"),
        (
            with(|incident| incident.state == Some(State::NotEnough)),
            "with too little to judge",
        ),
        (with(|incident| incident.error.is_some()), "not readable"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{} incidents: {}", batch.incidents.len(), parts.join(", "))
}

fn lines(batch: &Batch) -> Element {
    let mut table = Table::new(
        "Incidents",
        [
            ("incident", Set::Left),
            ("verdict", Set::Left),
            ("cause", Set::Left),
            ("scope", Set::Left),
            ("since (UTC)", Set::Left),
            ("impact", Set::Left),
        ],
    );
    for incident in batch.incidents.iter().take(LINES) {
        let name = match &incident.page {
            Some(page) => el("a").attr("href", page).text(&incident.name),
            None => el("").text(&incident.name),
        };
        let cause = incident.cause.as_ref().or(incident.error.as_ref());
        let text = |text: &str| el("").text(text);
        table.row_of(
            [
                name,
                mark(incident),
                text(cause.unwrap_or(&incident.headline)),
                text(&incident.scope.replace(".svc.cluster.local", "")),
                text(&incident.since_text),
                text(&incident.impact),
            ],
            None,
        );
    }
    let shown = table.len();
    el("")
        .child(table.finish())
        .child(super::rest(shown, batch.incidents.len()))
}

fn mark(incident: &Incident) -> Element {
    let (class, text) = match (incident.state, incident.severity) {
        (None, _) => ("warning", "not readable"),
        (Some(State::CauseFound), Some(Severity::Warning)) => ("warning", "warning"),
        (Some(State::CauseFound), Some(Severity::Info)) => ("info", "remark"),
        (Some(State::CauseFound), _) => ("critical", "critical"),
        (Some(State::Healthy), _) => ("healthy", "healthy"),
        (Some(State::SymptomsOnly), _) => ("warning", "symptoms"),
        (Some(State::NotEnough), _) => ("info", "not enough"),
    };
    el("span")
        .class(class)
        .child(el("span").class("badge").text(text))
}

/// Causes below each other, the most frequent first; a mark where an incident began.
fn over_time(batch: &Batch) -> Element {
    let mut causes: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for incident in &batch.incidents {
        if let (Some(cause), Some(since)) = (&incident.cause, incident.since) {
            causes.entry(cause).or_default().push(since);
        }
    }
    let mut causes: Vec<(&str, Vec<Timestamp>)> = causes.into_iter().collect();
    causes.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    causes.truncate(CAUSES);
    let all = || causes.iter().flat_map(|(_, times)| times);
    let (Some(first), Some(last)) = (all().min().copied(), all().max().copied()) else {
        return el("");
    };
    let span_ms = last.millis_since(first);
    let x = |at: Timestamp| {
        let share = if span_ms > 0 {
            ratio(at.millis_since(first), span_ms)
        } else {
            0.5
        };
        NAMES + 20.0 + share * (WIDTH - NAMES - 40.0)
    };
    let mut svg = el("svg")
        .class("chart")
        .attr("viewBox", format!("0 0 {WIDTH} {}", height(causes.len())))
        .attr("role", "img")
        .attr("aria-label", "When incidents began, by cause");
    let mut top = 0.0;
    for (cause, times) in &causes {
        let middle = top + ROW / 2.0;
        svg = svg
            .child(el("line").class("grid").at([
                ("x1", NAMES),
                ("x2", WIDTH),
                ("y1", middle),
                ("y2", middle),
            ]))
            .child(
                el("text")
                    .at([("x", NAMES - 10.0), ("y", middle + 4.0)])
                    .text(format!("{cause}  {}", times.len())),
            );
        for time in times {
            svg = svg.child(
                el("circle")
                    .class("bad")
                    .at([("cx", x(*time)), ("cy", middle), ("r", 5.0)])
                    .child(el("title").text(format!("{cause}, {time}"))),
            );
        }
        top += ROW;
    }
    let day = |time: Timestamp| time.to_string().get(..16).unwrap_or_default().replace('T', " ");
    svg = svg.child(
        el("text")
            .class("scale start")
            .at([("x", NAMES), ("y", top + 16.0)])
            .text(day(first)),
    );
    if span_ms > 0 {
        svg = svg.child(
            el("text")
                .class("scale")
                .at([("x", WIDTH), ("y", top + 16.0)])
                .text(day(last)),
        );
    }
    el("")
        .child(el("h2").text("Causes over time"))
        .child(scrolling("Causes over time", svg))
}

#[expect(clippy::cast_precision_loss, reason = "a picture is some hundred pixels wide")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "there are few causes")]
fn height(rows: usize) -> f64 {
    rows as f64 * ROW + 24.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn a_line_each_whatever_it_holds() {
        let mut batch = Batch::default();
        batch.add(Incident::of("monday".to_owned(), &fixtures::refused()));
        batch.add(Incident {
            page: Some("pages/tuesday.html".to_owned()),
            ..Incident::of("tuesday".to_owned(), &fixtures::healthy())
        });
        batch.add(Incident::broken("gone".to_owned(), "no such folder".to_owned()));
        let page = render(&batch);
        assert!(page.starts_with(START));
        assert!(page.contains("3 incidents: 1 with a cause, 1 healthy, 1 not readable"));
        for part in [
            "monday",
            "href=\"pages/tuesday.html\"",
            "no such folder",
            "<circle",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn hostile_names_stay_text() {
        let strings: Vec<String> = serde_json::from_str(include_str!("../../../tests/hostile.json")).unwrap();
        for text in strings {
            let mut batch = Batch::default();
            batch.add(Incident::of(text.clone(), &fixtures::with_text_everywhere(&text)));
            batch.add(Incident::broken(text.clone(), text.clone()));
            let page = render(&batch);
            assert_eq!(page.matches("<script").count(), 1, "{text:?}");
            assert!(!page.contains("onerror=") || !page.contains("<img"), "{text:?}");
            assert!(
                !page
                    .lines()
                    .any(|line| line.chars().any(crate::report::escape::acts))
            );
        }
    }
}
