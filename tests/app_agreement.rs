//! What connections of captures that others made say, with what tshark reads there: hellos, certificates, alerts,
//! requests and answers, DNS.
//!
//! Where captures and oracle files lie, see `streams_agreement`. Only captures count that are not damaged and on which
//! tshark's own two ways of reassembly agree.

use crate::streams_agreement::{Agreement, files, folders, number, read_with_dns};
use postmesh::streams::application::{DnsCounts, version_name};
use postmesh::streams::{Side, StreamRecord, TlsFacts};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Counts = BTreeMap<String, u64>;

fn counts(value: &Value) -> Counts {
    let object = value.as_object().into_iter().flatten();
    object.map(|(key, count)| (key.clone(), number(count))).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn add(counts: &mut Counts, key: &(impl ToString + ?Sized), count: u64) {
    if count > 0 {
        *counts.entry(key.to_string()).or_default() += count;
    }
}

/// Names that the oracle gives to handshake messages, by type.
fn message_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "hello_request",
        1 => "client_hello",
        2 => "server_hello",
        4 => "new_session_ticket",
        11 => "certificate",
        12 => "server_key_exchange",
        13 => "certificate_request",
        14 => "server_hello_done",
        15 => "certificate_verify",
        16 => "client_key_exchange",
        20 => "finished",
        22 => "certificate_status",
        _ => return None,
    })
}

fn handshake(tls: &TlsFacts) -> Counts {
    let mut messages = Counts::new();
    for (kind, count) in &tls.handshake_messages {
        let name = message_name(*kind).map_or(kind.to_string(), ToOwned::to_owned);
        add(&mut messages, &name, *count);
    }
    messages.remove("server_hello");
    add(&mut messages, "server_hello", tls.server_hellos);
    add(&mut messages, "hello_retry_request", tls.hello_retry_requests);
    messages
}

/// `TLS1.2`, as the oracle writes it.
fn version(version: u16) -> String {
    match version {
        0x0300 => "SSLv3".to_owned(),
        _ => version_name(version).map_or(format!("{version:#06x}"), |name| name.replace(' ', "")),
    }
}

/// Names of attributes may be written in either case. What stands for a subject without attributes is the next line of
/// the tool's output.
fn subject_of(subject: &str) -> String {
    if subject.starts_with("issuer=") {
        return String::new();
    }
    subject.to_lowercase()
}

fn compare_tls(agreement: &mut Agreement, capture: &str, records: &[StreamRecord], oracle: &Value) {
    let tls = &oracle["app"]["tls"];
    let first_frames: BTreeMap<u64, u64> = oracle["tcp"]["streams"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stream| (number(&stream["stream"]), number(&stream["first_frame"])))
        .collect();
    let subjects: BTreeMap<&str, &str> = tls["certificates"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|certificate| Some((certificate["sha256"].as_str()?, certificate["subject"].as_str()?)))
        .collect();
    let mut theirs: BTreeMap<u64, &Value> = BTreeMap::new();
    for stream in tls["streams"].as_array().into_iter().flatten() {
        if let Some(frame) = first_frames.get(&number(&stream["stream"])) {
            theirs.insert(*frame, stream);
        }
    }
    let alerts = |stream: &Value| -> Vec<(u64, u64)> {
        let all = tls["alerts"].as_array().into_iter().flatten();
        all.filter(|alert| alert["stream"] == stream["stream"])
            .map(|alert| (number(&alert["frame"]), number(&alert["description"])))
            .collect()
    };
    let none = TlsFacts::default();
    let mut encrypted = 0;
    for record in records {
        let ours = record.application.tls.as_deref().unwrap_or(&none);
        encrypted += ours.encrypted_alerts;
        let stream = theirs.get(&record.first.frame).copied().unwrap_or(&Value::Null);
        if record.application.tls.is_none() && stream.is_null() {
            continue;
        }
        let place = &format!("{capture} frame {}", record.first.frame);
        agreement.check(
            "TLS: handshake messages",
            place,
            &handshake(ours),
            &counts(&stream["handshake"]),
        );
        agreement.check(
            "TLS: SNI",
            place,
            &ours.sni.as_deref(),
            &texts(&stream["sni"]).first().copied(),
        );
        agreement.check(
            "TLS: ALPN offered",
            place,
            &ours.alpn_offered.iter().collect::<BTreeSet<_>>(),
            &texts(&stream["client_alpn"])
                .into_iter()
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
                .iter()
                .collect(),
        );
        agreement.check(
            "TLS: ALPN chosen",
            place,
            &ours.alpn.as_deref(),
            &texts(&stream["server_alpn"]).last().copied(),
        );
        let highest = texts(&stream["client_versions"])
            .into_iter()
            .filter(|name| *name != "GREASE")
            .max();
        agreement.check(
            "TLS: version offered",
            place,
            &ours.version_offered.map(version).as_deref(),
            &highest,
        );
        // A request to try again is no choice for the oracle.
        let chosen = ours.version.filter(|_| ours.server_hellos > 0);
        agreement.check(
            "TLS: version",
            place,
            &chosen.map(version).as_deref(),
            &stream["server_version"].as_str(),
        );
        let cipher = ours.cipher_suite.map(|suite| format!("{suite:#06x}"));
        agreement.check(
            "TLS: cipher",
            place,
            &cipher.as_deref(),
            &stream["cipher"].as_str(),
        );
        let our_alerts: Vec<(u64, u64)> = ours
            .alerts
            .iter()
            .map(|alert| (alert.at.frame, alert.description.into()))
            .collect();
        agreement.check("TLS: alerts", place, &our_alerts, &alerts(stream));
        let our_subjects: BTreeSet<String> = ours
            .certificates
            .iter()
            .map(|(_, certificate)| certificate.subject.to_lowercase())
            .collect();
        let both = ["ab", "ba"]
            .into_iter()
            .flat_map(|way| texts(&stream["certificates"][way]));
        let their_subjects: BTreeSet<String> = both
            .filter_map(|hash| subjects.get(hash).map(|subject| subject_of(subject)))
            .collect();
        agreement.check(
            "TLS: subjects of certificates",
            place,
            &our_subjects,
            &their_subjects,
        );
    }
    let theirs = number(&tls["counts"]["encrypted_alert_records"]);
    agreement.check("TLS: encrypted alert records", capture, &encrypted, &theirs);
}

fn compare_http(agreement: &mut Agreement, capture: &str, records: &[StreamRecord], oracle: &Value) {
    let (http, http2) = (&oracle["app"]["http"], &oracle["app"]["http2"]);
    let sum = |one: &Value, other: &Value| {
        let mut sum = counts(one);
        for (key, count) in counts(other) {
            *sum.entry(key).or_default() += count;
        }
        sum
    };
    let mut methods = Counts::new();
    let mut statuses = Counts::new();
    let mut grpc = Counts::new();
    let mut resets = Counts::new();
    let mut goaways = Counts::new();
    for facts in records
        .iter()
        .filter_map(|record| record.application.http.as_deref())
    {
        for (method, count) in &facts.methods {
            add(&mut methods, method, *count);
        }
        for (code, count) in &facts.responses_by_code {
            add(&mut statuses, code, *count);
        }
        for (status, count) in &facts.grpc_by_status {
            add(&mut grpc, status, *count);
        }
        for side in [Side::Client, Side::Server] {
            for (code, count) in &facts.rst_stream[side.index()] {
                add(&mut resets, code, *count);
            }
            for (code, count) in &facts.goaway[side.index()] {
                add(&mut goaways, code, *count);
            }
        }
    }
    let facts = [
        (
            "HTTP: methods",
            methods,
            sum(&http["requests"], &http2["requests"]),
        ),
        (
            "HTTP: statuses",
            statuses,
            sum(&http["responses"], &http2["status"]),
        ),
        ("HTTP/2: gRPC statuses", grpc, counts(&http2["grpc_status"])),
        ("HTTP/2: RST_STREAM", resets, counts(&http2["rst_stream_error"])),
        ("HTTP/2: GOAWAY", goaways, counts(&http2["goaway_error"])),
    ];
    for (fact, ours, theirs) in facts {
        if !ours.is_empty() || !theirs.is_empty() {
            agreement.check(fact, capture, &ours, &theirs);
        }
    }
}

fn compare_dns(
    agreement: &mut Agreement,
    capture: &str,
    records: &[StreamRecord],
    udp: &DnsCounts,
    oracle: &Value,
) {
    let dns = &oracle["app"]["dns"]["dns"];
    if dns.is_null() && udp.queries == 0 && udp.answers_by_code.is_empty() {
        return;
    }
    agreement.check(
        "DNS: queries over UDP",
        capture,
        &udp.queries,
        &number(&dns["queries"]["udp"]),
    );
    let exchanges = || records.iter().flat_map(|record| &record.application.dns);
    let mut codes: Counts = udp
        .answers_by_code
        .iter()
        .map(|(code, count)| (code.to_string(), *count))
        .collect();
    let mut over_tcp = 0;
    for exchange in exchanges() {
        match exchange.outcome {
            postmesh::streams::DnsOutcome::Answered(code) => {
                over_tcp += 1 + exchange.retries;
                add(&mut codes, &code, 1);
            }
            postmesh::streams::DnsOutcome::AnswerOnly(code) => add(&mut codes, &code, 1),
            postmesh::streams::DnsOutcome::Unanswered => over_tcp += 1 + exchange.retries,
        }
    }
    agreement.check(
        "DNS: queries over TCP",
        capture,
        &over_tcp,
        &number(&dns["queries"]["tcp"]),
    );
    agreement.check("DNS: answers by code", capture, &codes, &counts(&dns["rcode"]));
}

#[test]
fn what_connections_say_agrees_with_the_oracle() {
    let folders = folders();
    if folders.is_empty() {
        eprintln!("skipped: neither POSTMESH_SHARED nor POSTMESH_ORACLES names captures with oracle files");
        return;
    }
    for (captures, oracle) in folders {
        let mut paths = Vec::new();
        files(&oracle, &mut paths);
        let mut agreement = Agreement::default();
        let mut count = 0;
        for path in paths {
            let below = path.strip_prefix(&oracle).unwrap().to_str().unwrap();
            let Some(name) = below.strip_suffix(".oracle.json") else {
                continue;
            };
            let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if !value["file"]["container"]["link_types"].is_array() {
                continue;
            }
            let (records, dns) = read_with_dns(&captures.join(name));
            if value["damage"]["kind"] == "none" && value["app_agreement"] != "differs" {
                count += 1;
                compare_tls(&mut agreement, name, &records, &value);
                compare_http(&mut agreement, name, &records, &value);
                compare_dns(&mut agreement, name, &records, &dns, &value);
            }
        }
        assert!(count > 0, "no oracle files below {}", oracle.display());
        eprintln!("{}: {count} captures", captures.display());
        agreement.show();
    }
}
