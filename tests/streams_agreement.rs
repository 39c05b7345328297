//! Connections of captures that others made, with what tshark says of them: exact facts agree, counts that both only
//! estimate agree for nearly every connection.
//!
//! They are no part of this repository: `POSTMESH_SHARED` names the folder that has `captures/` with its `oracle/`, and
//! `POSTMESH_ORACLES` further pairs of folders, `CAPTURES=ORACLE`, parted by colons. Without them there is nothing to
//! compare, and the test says so. `docs/packets.md` explains what differs.

use postmesh::decode::packet::{Endpoint, PacketBlock, Transport};
use postmesh::input::{Source, discover};
use postmesh::pipeline::capture_reader::CaptureReader;
use postmesh::streams::application::{Conversation, DnsCounts, DnsPairing};
use postmesh::streams::{
    CapturePoint, DnsExchange, SHARDS, Shard, SideFacts, StreamLimits, StreamRecord, StreamSink, shard_of,
};
use postmesh::units::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Records(Vec<StreamRecord>);

impl StreamSink for Records {
    fn stream(&mut self, record: StreamRecord) {
        self.0.push(record);
    }

    fn dns(&mut self, _: DnsExchange) {}
}

fn source(path: &Path) -> Source {
    discover(&[path.to_owned()]).sources.remove(0)
}

/// Connections in order of their first packet.
fn read(path: &Path) -> Vec<StreamRecord> {
    read_with_dns(path).0
}

/// Connections in order of their first packet, and what was counted of DNS over UDP.
pub(crate) fn read_with_dns(path: &Path) -> (Vec<StreamRecord>, DnsCounts) {
    let point = CapturePoint(0);
    let mut shards: Vec<Shard<Conversation>> = (0..SHARDS)
        .map(|_| Shard::new(point, &StreamLimits::default()))
        .collect();
    let mut records = Records::default();
    let mut dns = DnsPairing::new(point);
    let mut reader = CaptureReader::open(&source(path), 256 << 10).unwrap();
    let mut block = PacketBlock::default();
    while let Some(read) = reader.next_block(block) {
        for packet in &read.packets {
            let payload = packet.payload.of(&read.data);
            shards[shard_of(point, &packet.flow())].packet(packet, payload, &mut records);
            if matches!(packet.transport, Transport::Udp) {
                dns.udp(packet, payload, drop);
            }
        }
        block = read;
    }
    for shard in shards {
        let _ = shard.finish(&mut records);
    }
    records.0.sort_by_key(|record| record.first);
    (records.0, dns.counts().clone())
}

pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files(&entry, found);
        } else {
            found.push(entry);
        }
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    let (seconds, nanos) = value.as_str()?.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let nanos: i64 = nanos.parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(Timestamp)
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A counter of a side.
type Counter = fn(&SideFacts) -> u64;

#[derive(Default)]
pub(crate) struct Agreement {
    facts: BTreeMap<String, (u64, Vec<String>)>,
}

impl Agreement {
    pub(crate) fn check<T: PartialEq + Debug>(&mut self, fact: &str, place: &str, ours: &T, theirs: &T) {
        let (agree, differ) = self.facts.entry(fact.to_owned()).or_default();
        if ours == theirs {
            *agree += 1;
        } else {
            differ.push(format!("{place}: {ours:?}, oracle {theirs:?}"));
        }
    }

    /// Writes how often each fact agrees, and what differs.
    /// Shows how far each fact agrees, and holds it to the least that is promised. Captures with times out of range and
    /// link types without connections are among them.
    pub(crate) fn hold(&self) {
        self.show();
        for (fact, (agree, differ)) in &self.facts {
            #[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
            let share = 100.0 * *agree as f64 / (*agree + differ.len() as u64) as f64;
            let least = if fact.starts_with("exact") { 98.5 } else { 95.0 };
            assert!(
                share >= least || fact.starts_with("where any"),
                "{fact}: {share:.2} %"
            );
        }
    }

    pub(crate) fn show(&self) {
        for (fact, (agree, differ)) in &self.facts {
            #[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
            let share = 100.0 * *agree as f64 / (*agree + differ.len() as u64) as f64;
            eprintln!("{fact}: {agree} agree, {} differ, {share:.2} %", differ.len());
            for line in differ.iter().take(12) {
                eprintln!("    {line}");
            }
        }
    }
}

/// Oracle files give IPv6 addresses in brackets, as endpoints are shown.
fn shown(endpoint: Endpoint) -> String {
    endpoint.to_string()
}

fn compare(agreement: &mut Agreement, capture: &str, records: &[StreamRecord], oracle: &Value) {
    let streams = oracle["tcp"]["streams"].as_array().map_or(&[][..], Vec::as_slice);
    let mut by_first: BTreeMap<u64, Vec<&StreamRecord>> = BTreeMap::new();
    for record in records {
        by_first.entry(record.first.frame).or_default().push(record);
    }
    agreement.check(
        "exact: number of streams",
        capture,
        &records.len(),
        &streams.len(),
    );
    for stream in streams {
        let frame = number(&stream["first_frame"]);
        let place = format!("{capture} stream {} frame {frame}", number(&stream["stream"]));
        let record = by_first.get(&frame).and_then(|records| records.first());
        agreement.check(
            "exact: begins with the same packet",
            &place,
            &record.is_some(),
            &true,
        );
        if let Some(record) = record {
            compare_stream(agreement, &place, record, stream);
        }
    }
}

fn compare_stream(agreement: &mut Agreement, place: &str, record: &StreamRecord, stream: &Value) {
    let a = stream["a"].as_str().unwrap_or_default();
    let b = stream["b"].as_str().unwrap_or_default();
    let (client, server) = (shown(record.client), shown(record.server));
    let a_is_client = client == a;
    let ends = if a_is_client { (a, b) } else { (b, a) };
    agreement.check(
        "exact: endpoints",
        place,
        &(client.as_str(), server.as_str()),
        &ends,
    );
    if let Some(initiator) = stream["initiator"].as_str() {
        let ours = if a_is_client { "a" } else { "b" };
        agreement.check(
            "exact: initiator",
            place,
            &(record.roles_seen, ours),
            &(true, initiator),
        );
    } else {
        agreement.check("exact: initiator", place, &record.roles_seen, &false);
    }
    let sides = if a_is_client { ["ab", "ba"] } else { ["ba", "ab"] };
    let names: [(&str, Counter); 9] = [
        ("packets", |side| side.packets),
        ("payload_bytes", |side| side.payload_bytes),
        ("syn", |side| side.syn),
        ("syn_ack", |side| side.syn_ack),
        ("fin", |side| side.fin),
        ("rst", |side| side.rst),
        ("rst_ack", |side| side.rst_ack),
        ("zero_window_packets", |side| side.zero_window_packets),
        ("data_packets", |side| side.data_packets),
    ];
    for (name, get) in names {
        for (facts, side) in record.sides.iter().zip(sides) {
            let theirs = number(&stream["dir"][side][name]);
            agreement.check(
                &format!("exact: {name}"),
                &format!("{place} {side}"),
                &get(facts),
                &theirs,
            );
        }
    }
    let frame_bytes = record.sides.iter().map(|side| side.frame_bytes).sum::<u64>();
    agreement.check(
        "exact: frame bytes",
        place,
        &frame_bytes,
        &number(&stream["frame_bytes"]),
    );
    times(agreement, place, record, stream);
    heuristics(agreement, place, record, stream);
}

fn times(agreement: &mut Agreement, place: &str, record: &StreamRecord, stream: &Value) {
    let first = |name: &str| stream[name].as_array().and_then(|all| all.first()).and_then(time);
    if let Some(theirs) = time(&stream["first_time"]) {
        agreement.check("exact: first time", place, &record.start, &Some(theirs));
    }
    if let Some(theirs) = time(&stream["last_time"]) {
        agreement.check("exact: last time", place, &record.end, &Some(theirs));
    }
    let ours = |mark: Option<(Timestamp, _)>| {
        mark.map(|(time, _): (Timestamp, postmesh::decode::packet::FrameRef)| time)
    };
    agreement.check("exact: first SYN", place, &ours(record.syn), &first("syn_times"));
    agreement.check(
        "exact: first SYN-ACK",
        place,
        &ours(record.syn_ack),
        &first("syn_ack_times"),
    );
    let handshake_ack = time(&stream["handshake_ack_time"]);
    agreement.check(
        "exact: ACK of the handshake",
        place,
        &ours(record.handshake_ack),
        &handshake_ack,
    );
    if stream["initial_rtt_firm"] == true {
        let theirs = time(&stream["initial_rtt"]).and_then(|rtt| u64::try_from(rtt.0).ok());
        agreement.check(
            "exact: initial round trip",
            place,
            &record.handshake_rtt_ns,
            &theirs,
        );
    }
}

fn heuristics(agreement: &mut Agreement, place: &str, record: &StreamRecord, stream: &Value) {
    let analysis = &stream["analysis"];
    let theirs = |names: &[&str]| names.iter().map(|name| number(&analysis[*name])).sum::<u64>();
    let ours = |get: Counter| record.sides.iter().map(get).sum::<u64>();
    let facts: [(&str, u64, u64); 13] = [
        (
            "sent again or out of order",
            ours(|s| {
                s.retransmissions + s.fast_retransmissions + s.spurious_retransmissions + s.out_of_order
            }),
            // tshark gives fast and spurious ones the general sign as well.
            theirs(&["retransmission", "out_of_order"]),
        ),
        (
            "retransmission of any kind",
            ours(|s| s.retransmissions + s.fast_retransmissions + s.spurious_retransmissions),
            theirs(&["retransmission"]),
        ),
        (
            "fast retransmission",
            ours(|s| s.fast_retransmissions),
            theirs(&["fast_retransmission"]),
        ),
        (
            "spurious retransmission",
            ours(|s| s.spurious_retransmissions),
            theirs(&["spurious_retransmission"]),
        ),
        (
            "out of order",
            ours(|s| s.out_of_order),
            theirs(&["out_of_order"]),
        ),
        (
            "duplicate ACK",
            ours(|s| s.duplicate_acks),
            theirs(&["duplicate_ack"]),
        ),
        (
            "lost segment",
            ours(|s| s.lost_segments),
            theirs(&["lost_segment"]),
        ),
        (
            "acknowledged, not seen",
            ours(|s| s.acked_unseen),
            theirs(&["ack_lost_segment"]),
        ),
        ("keep-alive", ours(|s| s.keep_alives), theirs(&["keep_alive"])),
        (
            "zero window probe",
            ours(|s| s.zero_window_probes),
            theirs(&["zero_window_probe"]),
        ),
        ("window full", ours(|s| s.window_full), theirs(&["window_full"])),
        (
            "window update",
            ours(|s| s.window_updates),
            theirs(&["window_update"]),
        ),
        (
            "ports used again",
            u64::from(record.reused_ports),
            theirs(&["reused_ports"]).min(1),
        ),
    ];
    for (name, mine, other) in facts {
        agreement.check(&format!("heuristic: {name}"), place, &mine, &other);
        if mine != 0 || other != 0 {
            agreement.check(&format!("where any, heuristic: {name}"), place, &mine, &other);
        }
    }
}

/// Pairs of captures and oracle files.
pub(crate) fn folders() -> Vec<(PathBuf, PathBuf)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where captures lie is for who runs the tests to say"
    )]
    let (shared, further) = (
        std::env::var_os("POSTMESH_SHARED"),
        std::env::var("POSTMESH_ORACLES"),
    );
    let mut pairs = Vec::new();
    if let Some(shared) = shared {
        let captures = PathBuf::from(shared).join("captures");
        pairs.push((captures.clone(), captures.join("oracle")));
    }
    for pair in further.unwrap_or_default().split(':') {
        if let Some((captures, oracle)) = pair.split_once('=') {
            pairs.push((captures.into(), oracle.into()));
        }
    }
    pairs
}

#[test]
fn connections_agree_with_the_oracle() {
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
            let records = read(&captures.join(name));
            if value["damage"]["kind"] == "none" {
                count += 1;
                compare(&mut agreement, name, &records, &value);
            }
        }
        assert!(count > 0, "no oracle files below {}", oracle.display());
        eprintln!("{}: {count} captures", captures.display());
        agreement.hold();
    }
}
