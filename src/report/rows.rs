//! Tables of a report as rows, for other programs: NDJSON (a row as the document has it) and CSV (RFC 4180).
//!
//! A spreadsheet runs what begins like a formula. In CSV, texts that do are led by an apostrophe, which spreadsheets take as
//! "this is text"; numbers are written as they are.

use super::escape::{Charset, escape};
use super::model::{Report, Selection, Tool, Top, Window};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};

/// A table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Counts and percentiles by destination, route and source.
    Requests,
    /// TCP connections of captures.
    Streams,
    /// Hits of signatures.
    Signatures,
}

/// Columns of CSV: paths into the rows of NDJSON.
const REQUESTS: [&str; 20] = [
    "by",
    "name",
    "reporter",
    "requests",
    "failed",
    "denied",
    "canceled",
    "flags",
    "latency.unit",
    "latency.count",
    "latency.min",
    "latency.mean",
    "latency.p50",
    "latency.p75",
    "latency.p90",
    "latency.p95",
    "latency.p99",
    "latency.p999",
    "latency.max",
    "latency.resolution_ms",
];

const SIGNATURES: [&str; 11] = [
    "id",
    "title",
    "cause",
    "source",
    "severity",
    "count",
    "first",
    "last",
    "inputs",
    "examples.0.line",
    "examples.0.text",
];

const STREAMS: [&str; 45] = [
    "path",
    "input",
    "point",
    "client",
    "server",
    "client_name",
    "server_name",
    "roles_seen",
    "first_frame",
    "last_frame",
    "start",
    "end",
    "hop",
    "outcome",
    "opening",
    "close.kind",
    "close.by",
    "close.at",
    "close.frame",
    "close.idle_before_ms",
    "packets",
    "bytes",
    "syn",
    "syn_ack",
    "rst",
    "fin",
    "handshake_rtt_us",
    "retransmissions",
    "fast_retransmissions",
    "spurious_retransmissions",
    "out_of_order",
    "duplicate_acks",
    "zero_windows",
    "longest_idle_ms",
    "one_sided",
    "truncated",
    "icmp_error",
    "tls.version",
    "tls.sni",
    "tls.alpn",
    "tls.alert.description",
    "tls.handshake_ms",
    "http.requests",
    "http.unanswered",
    "http.host",
];

impl Table {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Requests => &REQUESTS,
            Self::Streams => &STREAMS,
            Self::Signatures => &SIGNATURES,
        }
    }

    /// Gives `to` each row of the report's table, in the report's order.
    fn each(self, report: &Report, mut to: impl FnMut(Value) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Requests => {
                let requests = &report.requests;
                for (by, rows) in [
                    ("destination", &requests.by_destination),
                    ("route", &requests.by_route),
                    ("source", &requests.by_source),
                ] {
                    for row in rows {
                        to(with(
                            serde_json::to_value(row).map_err(io::Error::other)?,
                            "by",
                            json!(by),
                        ))?;
                    }
                }
            }
            Self::Streams => {
                for row in report.streams.iter().flatten() {
                    let input = super::text::place::input_of(&report.inputs, row.input);
                    let path = input.map(super::text::place::name_of);
                    let row = serde_json::to_value(row).map_err(io::Error::other)?;
                    to(with(row, "path", json!(path)))?;
                }
            }
            Self::Signatures => {
                for row in &report.signatures {
                    to(serde_json::to_value(row).map_err(io::Error::other)?)?;
                }
            }
        }
        Ok(())
    }
}

/// A row with one more member.
fn with(mut row: Value, name: &str, value: Value) -> Value {
    if let Some(members) = row.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    row
}

/// A row a line, as JSON.
///
/// # Errors
/// What `writer` reports.
pub fn ndjson(report: &Report, table: Table, writer: &mut dyn Write) -> io::Result<()> {
    table.each(report, |row| {
        writeln!(writer, "{}", acting_escaped(&row.to_string()))
    })
}

/// JSON whose texts cannot act on a terminal: such characters stand only in texts, where `\u` may stand for any.
fn acting_escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if super::escape::acts(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// A line of names, then a row a line.
///
/// # Errors
/// What `writer` reports.
pub fn csv(report: &Report, table: Table, writer: &mut dyn Write) -> io::Result<()> {
    let columns = table.columns();
    write!(writer, "{}\r\n", columns.join(","))?;
    table.each(report, |row| {
        let cells: Vec<String> = columns.iter().map(|column| cell(at(&row, column))).collect();
        write!(writer, "{}\r\n", cells.join(","))
    })
}

/// What `postmesh top` writes as data.
#[derive(Debug, Serialize)]
pub struct TopDocument<'r> {
    /// Always `postmesh.top/1`.
    pub schema: &'static str,
    /// What made it.
    pub tool: &'r Tool,
    /// Span of all timed records.
    pub window: &'r Window,
    /// Which rows were looked at.
    pub selection: &'r Selection,
    /// The table.
    pub top: &'r Option<Top>,
}

impl<'r> TopDocument<'r> {
    /// That of a report.
    pub fn of(report: &'r Report) -> Self {
        Self {
            schema: "postmesh.top/1",
            tool: &report.tool,
            window: &report.window,
            selection: &report.selection,
            top: &report.top,
        }
    }
}

/// The table of `postmesh top`: a line of names, then a group a line.
///
/// # Errors
/// What `writer` reports.
pub fn top_csv(report: &Report, writer: &mut dyn Write) -> io::Result<()> {
    let Some(top) = &report.top else {
        return Ok(());
    };
    let figures = "reporter,rows,share,failed,failed_share,denied,canceled,p50_ms,p90_ms,p99_ms,max_ms";
    write!(writer, "{},{figures}\r\n", top.fields.join(","))?;
    for group in &top.groups {
        let values: Vec<String> = group.values.iter().map(|value| quoted(value)).collect();
        let spread = group.duration_ms;
        write!(
            writer,
            "{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            values.join(","),
            group.reporter,
            group.rows,
            group.share,
            group.failed,
            group.failed_share,
            group.denied,
            group.canceled,
            spread.p50,
            spread.p90,
            spread.p99,
            spread.max
        )?;
    }
    Ok(())
}

/// The value at a path, where there is one.
fn at<'v>(row: &'v Value, path: &str) -> &'v Value {
    path.split('.')
        .fold(row, |value, name| match name.parse::<usize>() {
            Ok(number) => value.get(number).unwrap_or(&Value::Null),
            Err(_) => value.get(name).unwrap_or(&Value::Null),
        })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Object(members) => {
            let pairs: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            quoted(&pairs.join(" "))
        }
        Value::Array(_) => quoted(&value.to_string()),
    }
}

/// A text as a cell: no formula, no control character, in quotes where it must.
fn quoted(text: &str) -> String {
    // What a spreadsheet takes off the front is looked past.
    let formula = text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    let led = text.starts_with(['\t', '\r', '\n']);
    let shown = escape(text, Charset::Unicode);
    let guard = if formula && text != "-" || led { "'" } else { "" };
    if shown.contains(['"', ',', ';']) || shown.starts_with(' ') || shown.ends_with(' ') {
        format!("\"{guard}{}\"", shown.replace('"', "\"\""))
    } else {
        format!("{guard}{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn written(
        write: fn(&Report, Table, &mut dyn Write) -> io::Result<()>,
        report: &Report,
        table: Table,
    ) -> String {
        let mut out = Vec::new();
        write(report, table, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Cells of one line of CSV.
    fn cells(line: &str) -> Vec<String> {
        let (mut cells, mut cell, mut inside) = (Vec::new(), String::new(), false);
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if inside && chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => inside = !inside,
                ',' if !inside => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        assert!(!inside, "a quote that never ends: {line}");
        cells.push(cell);
        cells
    }

    #[test]
    fn rows_are_those_of_the_report() {
        let mut report = fixtures::refused();
        report.requests.by_destination[0].latency = Some(report.latency[0].clone());
        let rows = written(ndjson, &report, Table::Signatures);
        assert_eq!(rows.lines().count(), report.signatures.len());
        let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        assert_eq!(first["id"], report.signatures[0].id.as_str());
        assert_eq!(first["count"], report.signatures[0].count);
        let table = written(csv, &report, Table::Requests);
        let line = cells(table.lines().nth(1).unwrap());
        let destination = &report.requests.by_destination[0];
        assert_eq!(line[..2], ["destination", destination.name.as_str()]);
        assert_eq!(line[3], destination.requests.to_string());
        assert_eq!(
            line[12],
            destination.latency.as_ref().unwrap().p50.to_string() + ".0"
        );
    }

    #[test]
    fn formulas_are_text() {
        for (text, shown) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\t=1"),
            (" =1", "\"' =1\""),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
            ("-", "-"),
            ("a=1", "a=1"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "two\\nlines"),
        ] {
            assert_eq!(quoted(text), shown, "{text:?}");
        }
        assert_eq!(cell(&json!(-1.5)), "-1.5");
    }

    #[test]
    fn hostile_strings_stay_in_their_cells() {
        let strings: Vec<String> = serde_json::from_str(include_str!("../../tests/hostile.json")).unwrap();
        for text in strings {
            let report = fixtures::with_text_everywhere(&text);
            for table in [Table::Requests, Table::Signatures] {
                let shown = written(csv, &report, table);
                for line in shown.split_terminator("\r\n") {
                    assert!(!line.chars().any(super::super::escape::acts), "{line:?}");
                    let cells = cells(line);
                    assert_eq!(cells.len(), table.columns().len(), "{line}");
                    let formula = |cell: &String| {
                        cell.parse::<f64>().is_err()
                            && cell != "-"
                            && cell.trim_start().starts_with(['=', '+', '-', '@'])
                    };
                    assert!(!cells.iter().any(formula), "{line}");
                }
                for line in written(ndjson, &report, table).lines() {
                    assert!(!line.chars().any(super::super::escape::acts), "{line:?}");
                    assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
                }
            }
        }
    }
}
