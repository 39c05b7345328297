//! Captures that others made, with what tshark says of them: exact facts agree but for known reasons, and nothing panics.
//!
//! They are no part of this repository: `POSTMESH_SHARED` names the folder that has `captures/` with its `oracle/`.
//! Without it there is nothing to compare, and the test says so.

use postmesh::decode::packet::{CaptureSummary, Packet, PacketBlock, TcpFlags, Transport};
use postmesh::input::{ByteReader, Source, SourceKind, discover};
use postmesh::pipeline::capture_reader::CaptureReader;
use postmesh::units::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 256 << 10;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
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

fn source(path: &Path) -> Source {
    discover(&[path.to_owned()]).sources.remove(0)
}

/// Captures in which a fact differs for a reason.
const KNOWN: &[(&str, &str)] = &[
    (
        "tests/bug8.pcap",
        "microseconds above a million are carried, tshark shows them as they stand",
    ),
    ("timestamp_invalid_micro.pcap", "the same"),
    ("timestamp_invalid_nano.pcap", "the same"),
    (
        "file_heuristics/pcapng-example.pcapng.zst",
        "times near 2^64 us, which are out of the range of times here",
    ),
    ("free5gc.pcap", "ICMP in GTP-U, a tunnel that is not taken off"),
    (
        "pcap-invalid-version-1.pcap",
        "a version that is not read, by tshark neither",
    ),
    (
        "pcapng-invalid-vers-1.pcapng",
        "a version that is not read, by tshark neither",
    ),
];

const SEGMENT_FACTS: [&str; 9] = [
    "packets",
    "payload_bytes",
    "data_packets",
    "syn",
    "syn_ack",
    "fin",
    "rst",
    "rst_ack",
    "zero_window_packets",
];

/// Sums over the TCP segments of a capture, by the names of the oracle.
type Segments = BTreeMap<&'static str, u64>;

fn count(segments: &mut Segments, packet: &Packet) {
    let Transport::Tcp(segment) = packet.transport else {
        return;
    };
    let flags = segment.flags;
    let plain = !flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST);
    let payload_bytes = u64::from(packet.payload_wire_bytes);
    let counts = [
        1,
        payload_bytes,
        u64::from(payload_bytes > 0),
        u64::from(flags.syn() && !flags.ack()),
        u64::from(flags.syn() && flags.ack()),
        u64::from(flags.fin()),
        u64::from(flags.rst() && !flags.ack()),
        u64::from(flags.rst() && flags.ack()),
        u64::from(plain && segment.window == 0),
    ];
    for (name, count) in SEGMENT_FACTS.into_iter().zip(counts) {
        *segments.entry(name).or_default() += count;
    }
}

fn read(path: &Path, block_bytes: usize) -> (CaptureSummary, Segments, String) {
    let mut reader = CaptureReader::open(&source(path), block_bytes).unwrap();
    let mut block = PacketBlock::default();
    let mut segments = Segments::new();
    let mut packets = 0;
    let mut digest = String::new();
    while let Some(read) = reader.next_block(block) {
        for packet in &read.packets {
            packets += 1;
            count(&mut segments, packet);
            let payload = packet.payload.of(&read.data);
            assert_eq!(
                payload.len(),
                packet.payload.length as usize,
                "{}",
                path.display()
            );
            let mut placeless = *packet;
            placeless.payload.start = 0;
            if packets < 1000 {
                let _ = writeln!(digest, "{placeless:?} {payload:?}");
            }
        }
        block = read;
    }
    let summary = reader.finish().1;
    assert_eq!(packets, summary.packets, "{}", path.display());
    (summary, segments, digest)
}

/// `1515583361.543825000`; `None` where tshark's own number is out of range.
fn time(value: &Value) -> Option<Timestamp> {
    let (seconds, nanos) = value.as_str()?.split_once('.')?;
    let nanos: i64 = nanos.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(Timestamp)
}

/// Of a fact: captures in which it agrees, and the others with how it differs.
type Compared = (u64, Vec<(String, String)>);

#[derive(Default)]
struct Agreement(BTreeMap<&'static str, Compared>);

impl Agreement {
    #[expect(clippy::needless_pass_by_value, reason = "calls read better without `&`")]
    fn check<T: PartialEq + Debug>(&mut self, fact: &'static str, capture: &str, ours: T, theirs: T) {
        let (agree, differ) = self.0.entry(fact).or_default();
        if ours == theirs {
            *agree += 1;
        } else {
            differ.push((capture.to_owned(), format!("{ours:?}, oracle {theirs:?}")));
        }
    }
}

fn interfaces(summary: &CaptureSummary) -> Vec<(u64, u64, u64)> {
    summary
        .interfaces
        .iter()
        .map(|i| (i.section, u64::from(i.link_type), u64::from(i.snaplen_bytes)))
        .collect()
}

fn compare(agreement: &mut Agreement, name: &str, oracle: &Value, summary: &CaptureSummary) {
    let packets = &oracle["packets"];
    let container = &oracle["file"]["container"];
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    agreement.check("records", name, summary.packets, number(&container["records"]));
    let link_types: Vec<u64> = container["link_types"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    let mut ours: Vec<u64> = summary
        .interfaces
        .iter()
        .map(|i| u64::from(i.link_type))
        .collect();
    ours.sort_unstable();
    ours.dedup();
    agreement.check("link types", name, ours, link_types);
    if container["interfaces"].is_array() {
        let theirs = container["interfaces"].as_array().unwrap().iter().map(|i| {
            (
                number(&i["section"]),
                number(&i["link_type"]),
                number(&i["snaplen"]),
            )
        });
        agreement.check("interfaces", name, interfaces(summary), theirs.collect());
        agreement.check(
            "interface count",
            name,
            summary.interface_count,
            number(&container["interface_count"]),
        );
        agreement.check("sections", name, summary.sections, number(&container["sections"]));
    }
    if oracle["damage"]["kind"] != "none" {
        return;
    }
    agreement.check("packets", name, summary.packets, number(&packets["packets"]));
    agreement.check(
        "wire bytes",
        name,
        summary.wire_bytes,
        number(&packets["wire_bytes"]),
    );
    agreement.check(
        "captured bytes",
        name,
        summary.captured_bytes,
        number(&packets["captured_bytes"]),
    );
    agreement.check(
        "cut packets",
        name,
        summary.cut_packets,
        number(&packets["packets_shorter_than_on_the_wire"]),
    );
    agreement.check(
        "frames",
        name,
        summary.frames,
        number(&packets["packets"]) + number(&packets["counts"]["non_packet_records"]),
    );
    agreement.check(
        "backward",
        name,
        summary.backward_packets,
        number(&packets["packets_earlier_than_the_one_before"]),
    );
    for (fact, ours, theirs) in [
        ("first", summary.first, "first_packet_time"),
        ("last", summary.last, "last_packet_time"),
        ("earliest", summary.earliest, "earliest_time"),
        ("latest", summary.latest, "latest_time"),
    ] {
        agreement.check(fact, name, ours, time(&packets[theirs]));
    }
    let layers = &summary.layers;
    let fragments = (layers.fragments.ipv4, layers.fragments.ipv6);
    let theirs = (
        number(&packets["counts"]["ipv4_fragments"]),
        number(&packets["counts"]["ipv6_fragments"]),
    );
    agreement.check("fragments", name, fragments, theirs);
    let vlans: Vec<u64> = layers.vlans.iter().map(|id| u64::from(*id)).collect();
    let theirs = packets["vlan_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    agreement.check("vlans", name, vlans, theirs);
    let tunnels: Vec<String> = layers
        .tunnel_ids
        .iter()
        .map(|(tunnel, id)| format!("{}:{id}", tunnel.name().to_lowercase()))
        .collect();
    let theirs = packets["tunnel_ids"].as_array().unwrap();
    agreement.check(
        "tunnels",
        name,
        tunnels,
        theirs.iter().map(|id| id.as_str().unwrap().to_owned()).collect(),
    );
    if !decoded(summary) {
        return;
    }
    let icmp: BTreeMap<String, u64> = layers
        .icmp
        .iter()
        .map(|((v6, kind, code), count)| {
            (
                format!("icmp{} {kind}/{code}", if *v6 { "v6" } else { "" }),
                *count,
            )
        })
        .collect();
    let theirs = packets["icmp"].as_object().unwrap().iter();
    agreement.check(
        "icmp",
        name,
        icmp,
        theirs
            .map(|(kind, count)| (kind.clone(), number(count)))
            .collect(),
    );
}

/// Whether all link types of a capture are decoded; of others packets are only counted.
fn decoded(summary: &CaptureSummary) -> bool {
    summary.link_types.iter().all(|known| known.decoded)
}

fn segment_fact(fact: &'static str) -> &'static str {
    // Of all packets there is a fact of this name too.
    if fact == "packets" { "TCP packets" } else { fact }
}

#[test]
fn facts_agree_with_the_oracle() {
    // The test's own environment; the library reads none.
    #[expect(
        clippy::disallowed_methods,
        reason = "where captures lie is for who runs the tests to say"
    )]
    let Some(shared) = std::env::var_os("POSTMESH_SHARED") else {
        eprintln!("skipped: POSTMESH_SHARED names no folder with captures/");
        return;
    };
    let captures = Path::new(&shared).join("captures");
    let oracle = captures.join("oracle");
    let mut paths = Vec::new();
    files(&oracle, &mut paths);
    let mut agreement = Agreement::default();
    let mut number = 0;
    for path in paths {
        let below = path.strip_prefix(&oracle).unwrap().to_str().unwrap();
        let Some(name) = below.strip_suffix(".oracle.json") else {
            continue;
        };
        number += 1;
        let capture = captures.join(name);
        let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let kind = ByteReader::open(&source(&capture)).unwrap().kind();
        let (summary, segments, digest) = read(&capture, BLOCK_BYTES);
        if !value["file"]["container"]["link_types"].is_array() {
            assert_ne!(kind, SourceKind::Capture, "{name}");
            continue;
        }
        assert_eq!(kind, SourceKind::Capture, "{name}");
        let (_, small_segments, small_digest) = read(&capture, 1000);
        assert_eq!(segments, small_segments, "{name}");
        assert!(
            digest == small_digest,
            "{name}: the size of blocks changes the packets"
        );
        let damaged = value["damage"]["kind"] != "none";
        if damaged {
            eprintln!("{name}: {:?}", summary.problems);
        }
        compare(&mut agreement, name, &value, &summary);
        if !damaged && decoded(&summary) {
            let totals = &value["tcp"]["totals"];
            for fact in SEGMENT_FACTS {
                let ours = segments.get(fact).copied().unwrap_or(0);
                agreement.check(segment_fact(fact), name, ours, totals[fact].as_u64().unwrap_or(0));
            }
        }
    }
    eprintln!("{number} captures");
    let mut unexpected = Vec::new();
    for (fact, (agree, differ)) in &agreement.0 {
        eprintln!("{fact}: {agree} agree, {} differ", differ.len());
        for (capture, difference) in differ {
            let known = KNOWN.iter().find(|(known, _)| capture.ends_with(known));
            eprintln!(
                "    {capture}: {difference} ({})",
                known.map_or("?", |(_, reason)| *reason)
            );
            if known.is_none() {
                unexpected.push((fact, capture, difference));
            }
        }
    }
    assert!(number > 0, "no oracle files below {}", oracle.display());
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
