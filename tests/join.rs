//! The join: every row that can have its connection has the right one, also where the clocks of pods differ.

use crate::running::{Scratch, analyze, case_input, list, number, text};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

const CASE: &str = "slow-upstream-app-joined";

/// The content of a file of a case, decompressed.
fn content(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// What an access-log row of the text format says, told by splitting it at blanks outside of quotes.
#[derive(Debug)]
struct Row {
    inbound: bool,
    upstream_host: String,
    upstream_local: String,
    downstream_local: String,
    downstream_remote: String,
    request_id: String,
}

fn row_of(line: &str) -> Option<Row> {
    let log: Value = serde_json::from_str(line).ok()?;
    let line = text(&log, "/log").trim_end();
    if !line.starts_with('[') {
        return None;
    }
    let mut fields = Vec::new();
    let (mut field, mut quoted) = (String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    fields.push(field);
    // From the end: route name, server name, remote, local, upstream local, cluster, upstream host, authority, request id.
    let from_end = |place: usize| fields[fields.len() - place].clone();
    Some(Row {
        inbound: from_end(6).starts_with("inbound"),
        upstream_host: from_end(7),
        upstream_local: from_end(5),
        downstream_local: from_end(4),
        downstream_remote: from_end(3),
        request_id: from_end(9),
    })
}

fn line_of(input: &Path, number: u64) -> String {
    let bytes = content(input);
    let text = String::from_utf8(bytes).unwrap();
    let line = text.lines().nth(usize::try_from(number).unwrap() - 1);
    line.unwrap().to_owned()
}

#[test]
fn every_row_with_a_captured_connection_is_joined_and_paired() {
    let report = analyze(&[case_input(CASE)]).report();
    let correlation = report.pointer("/correlation").unwrap();
    // All 346 rows of ratings, and those of productpage that called it.
    assert_eq!(number(correlation, "/joined_requests"), 692);
    assert_eq!(number(correlation, "/joinable_requests"), 692);
    assert_eq!(
        number(correlation, "/unjoined_because/no-capture-there"),
        1498 - 692
    );
    assert_eq!(
        number(correlation, "/told_by/request-id"),
        346,
        "on lo the id is visible"
    );
    assert_eq!(correlation.pointer("/truncated"), Some(&Value::Bool(false)));

    // An independent count of pairs: rows of productpage whose id, and both ends of whose connection, stand in a row of ratings.
    let rows = |file: &str| -> Vec<Row> {
        let bytes = content(&case_input(CASE).join(file));
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .filter_map(row_of)
            .collect()
    };
    let called: BTreeMap<(String, String, String), u64> = rows("ratings-v1.istio-proxy.log.gz")
        .into_iter()
        .fold(BTreeMap::new(), |mut called, row| {
            let key = (row.request_id, row.downstream_remote, row.downstream_local);
            *called.entry(key).or_default() += 1;
            called
        });
    let callers = rows("productpage-v1.istio-proxy.log.gz");
    let paired = callers
        .iter()
        .filter(|row| {
            let key = (
                row.request_id.clone(),
                row.upstream_local.clone(),
                row.upstream_host.clone(),
            );
            called.contains_key(&key)
        })
        .count();
    assert_eq!(paired, 346);
    assert_eq!(number(correlation, "/paired_proxies/joined"), 346);
    assert_eq!(number(correlation, "/paired_proxies/of"), 346);
}

#[test]
fn examples_name_a_row_and_the_connection_whose_ends_stand_in_it() {
    let report = analyze(&[case_input(CASE)]).report();
    let examples = list(&report, "/correlation/examples");
    assert!(examples.len() >= 4);
    for example in examples {
        let input = number(example, "/request/input");
        let file = text(&report, &format!("/inputs/{input}/path")).to_owned();
        let line = line_of(&case_input(CASE).join(&file), number(example, "/request/line"));
        let row = row_of(&line).unwrap_or_else(|| panic!("no row: {line}"));
        let stream = (text(example, "/stream/client"), text(example, "/stream/server"));
        let upstream = (row.upstream_local.as_str(), row.upstream_host.as_str());
        let downstream = (row.downstream_remote.as_str(), row.downstream_local.as_str());
        assert!(
            stream == upstream || stream == downstream,
            "{stream:?} is not of {row:?}"
        );
        let spent: f64 = [
            "connect",
            "tls",
            "request_sent",
            "waiting",
            "response_received",
            "retries",
            "proxy",
        ]
        .into_iter()
        .filter_map(|part| example.pointer(&format!("/time_spent_ms/{part}"))?.as_f64())
        .sum();
        let told: f64 = text(example, "/story")
            .split_once(" after ")
            .and_then(|(_, rest)| rest.split_once(" ms"))
            .unwrap()
            .0
            .parse()
            .unwrap();
        assert!(
            (spent - told).abs() <= 3.0,
            "{spent} ms are not {told} ms: {example}"
        );
        assert!(!row.inbound || text(example, "/told_by") == "request-id");
    }
}

#[test]
fn the_time_of_slow_requests_was_spent_in_the_application() {
    let report = analyze(&[case_input(CASE)]).report();
    let ratings = list(&report, "/correlation/by_destination")
        .iter()
        .find(|destination| text(destination, "/name").starts_with("ratings."))
        .unwrap();
    let part = |part: &str, figure: &str| {
        let pointer = format!("/time_spent_ms/{part}/{figure}");
        ratings.pointer(&pointer).and_then(Value::as_f64).unwrap()
    };
    assert_eq!(number(ratings, "/from/packets-at-the-other-end"), 346);
    assert!(part("application", "p99") > 1000.0);
    assert!(part("network", "p99") < 50.0);
    assert!(part("proxy", "p99") < 50.0);
    // The finding cites a row and a packet of one request.
    let evidence = list(&report, "/findings/0/evidence");
    let joined = evidence.iter().find(|evidence| {
        text(evidence, "/kind") == "join" && text(evidence, "/text").contains("in the called application")
    });
    let refs = list(joined.unwrap(), "/refs");
    assert!(refs.iter().any(|reference| reference["line"].is_u64()));
    assert!(refs.iter().any(|reference| reference["frame"].is_u64()));
}

/// Shifts each time like `2026-11-22T16:52:21.526Z` in a log by 800 ms, without a change of its digits' number.
fn shifted_log(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    let mut rest = log;
    while let Some(at) = rest.find("2026-11-22T") {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let end = tail.find('Z').unwrap();
        let time = tail.get(..end).unwrap();
        match time.get(11..).map(shifted_time) {
            Some(Some(shifted)) => {
                out.push_str("2026-11-22T");
                out.push_str(&shifted);
            }
            _ => out.push_str(time),
        }
        rest = tail.get(end..).unwrap();
    }
    out.push_str(rest);
    out
}

/// `hh:mm:ss.fraction` plus 800 ms.
fn shifted_time(time: &str) -> Option<String> {
    let (clock, fraction) = time.split_once('.')?;
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next()??);
    let digits = fraction.len();
    let ns: u64 = format!("{fraction:0<9}").parse().ok()?;
    let total = ((h * 60 + m) * 60 + s) * 1_000_000_000 + ns + 800_000_000;
    let (s, ns) = (total / 1_000_000_000, format!("{:09}", total % 1_000_000_000));
    Some(format!(
        "{:02}:{:02}:{:02}.{}",
        s / 3600,
        s / 60 % 60,
        s % 60,
        ns.get(..digits)?
    ))
}

/// A little-endian pcap in microseconds with every packet 800 ms later.
fn shifted_pcap(mut pcap: Vec<u8>) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(&pcap, 0), 0xa1b2_c3d4);
    let mut at = 24;
    while at + 16 <= pcap.len() {
        let us = u64::from(word(&pcap, at)) * 1_000_000 + u64::from(word(&pcap, at + 4)) + 800_000;
        let length = word(&pcap, at + 8) as usize;
        pcap[at..at + 4].copy_from_slice(&u32::try_from(us / 1_000_000).unwrap().to_le_bytes());
        pcap[at + 4..at + 8].copy_from_slice(&u32::try_from(us % 1_000_000).unwrap().to_le_bytes());
        at += 16 + length;
    }
    pcap
}

#[test]
fn a_pods_clock_that_is_ahead_is_measured_and_hides_nothing() {
    let scratch = Scratch::new();
    let input = case_input(CASE);
    let productpage = "productpage-v1.istio-proxy.log";
    scratch.write(productpage, content(&input.join(format!("{productpage}.gz"))));
    let ratings = content(&input.join("ratings-v1.istio-proxy.log.gz"));
    let ratings = shifted_log(std::str::from_utf8(&ratings).unwrap());
    assert!(ratings.contains("2026-11-22T16:52"));
    scratch.write("ratings-v1.istio-proxy.log", ratings);
    let eth0 = shifted_pcap(content(&input.join("ratings-v1.eth0.pcap.gz")));
    scratch.write("ratings-v1.eth0.pcap", eth0);
    let report = analyze(&[scratch.path()]).report();
    let offset = list(&report, "/correlation/clock")
        .iter()
        .find(|offset| {
            let path = |end: &str| {
                let input = number(offset, end);
                text(&report, &format!("/inputs/{input}/path")).to_owned()
            };
            path("/input_a") == productpage && path("/input_b") == "ratings-v1.istio-proxy.log"
        })
        .unwrap();
    let figure = |name: &str| offset[name].as_f64().unwrap();
    assert!((figure("offset_us") - 800_000.0).abs() <= 2000.0, "{offset}");
    assert!(figure("spread_us") <= 3000.0);
    assert!(number(offset, "/anchors") > 300);
    assert_eq!(number(&report, "/correlation/paired_proxies/joined"), 346);
    // Both proxies' rows are joined to the capture, by its tuples.
    assert_eq!(number(&report, "/correlation/joined_requests"), 692);
    assert_eq!(text(&report, "/verdict/cause"), "slow-upstream-app");
    // Printed times are those of the inputs: the slowest row of productpage has the time that stands in its log.
    assert!(text(&report, "/window/start").starts_with("2026-11-22T16:52"));
}
