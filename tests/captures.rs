//! Captures: the report depends on the packets alone, and what cannot be read of a capture is named with its place.

use crate::rows::good_calls;
use crate::running::{Run, Scratch, analyze, case_input, list, number, postmesh, text};
use assert_cmd::Command;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use postmesh::Options;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Cases of one capture, of several points, of pcapng, and of captures beside logs.
const CASES: [&str; 5] = [
    "healthy-bookinfo-captured",
    "keepalive-race-captured",
    "slow-upstream-app-captured",
    "dns-remote-cluster-captured",
    "zero-window-stalled-receiver",
];

const PCAP_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// The report as text, without what belongs to the run.
fn report(options: &Options) -> String {
    let mut report = postmesh::analyze(options).unwrap();
    report.run = None;
    serde_json::to_string_pretty(&report).unwrap()
}

fn options(paths: &[PathBuf]) -> Options {
    Options {
        paths: paths.to_vec(),
        streams: true,
        ..Options::default()
    }
}

/// Fails with the first line that differs.
fn assert_same(what: &str, one: &str, other: &str) {
    let differing = one.lines().zip(other.lines()).find(|(a, b)| a != b);
    assert!(one == other, "{what}: first difference {differing:?}");
}

/// A capture of a case, decompressed.
fn capture(case: &str, file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(std::fs::File::open(case_input(case).join(file)).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn race() -> Vec<u8> {
    capture("keepalive-race-captured", "ratings-v1.lo.pcap.gz")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Where each record of a little-endian pcap begins, and where the last one ends.
fn records(pcap: &[u8]) -> Vec<usize> {
    let mut starts = vec![PCAP_HEADER];
    let mut at = PCAP_HEADER;
    while at < pcap.len() {
        let length = u32::from_le_bytes(pcap[at + 8..at + 12].try_into().unwrap());
        at += RECORD_HEADER + usize::try_from(length).unwrap();
        starts.push(at);
    }
    assert_eq!(at, pcap.len());
    starts
}

/// The records from `from` up to `to` as a capture of their own.
fn part(pcap: &[u8], starts: &[usize], from: usize, to: usize) -> Vec<u8> {
    [&pcap[..PCAP_HEADER], &pcap[starts[from]..starts[to]]].concat()
}

/// The input whose path ends so.
fn input<'a>(report: &'a Value, path_end: &str) -> &'a Value {
    let found = list(report, "/inputs")
        .iter()
        .find(|input| text(input, "/path").ends_with(path_end));
    match found {
        Some(input) => input,
        None => panic!("no input {path_end} among {}", report["inputs"]),
    }
}

fn problems(report: &Value, path_end: &str) -> Vec<Value> {
    list(input(report, path_end), "/problems").to_vec()
}

#[test]
fn any_number_of_threads_and_any_size_of_blocks() {
    for case in CASES {
        let paths = [case_input(case)];
        let base = report(&options(&paths));
        assert!(base.contains("\"handshake_rtt_us\""), "{case}: no streams");
        // With as many points as threads each thread reads points of its own; with fewer, one reads for all.
        for (threads, block_bytes) in [
            (2, 256 << 10),
            (7, 256 << 10),
            (1, 1 << 10),
            (2, 4 << 10),
            (7, 1 << 20),
        ] {
            let run = report(&Options {
                threads,
                block_bytes,
                ..options(&paths)
            });
            assert_same(
                &format!("{case}: {threads} threads, blocks of {block_bytes}"),
                &base,
                &run,
            );
        }
    }
}

#[test]
fn several_points_and_one_at_a_time_say_the_same_of_each() {
    let folders = [
        "healthy-bookinfo-captured",
        "keepalive-race-captured",
        "slow-upstream-app-captured",
    ];
    let paths: Vec<PathBuf> = folders.map(case_input).to_vec();
    let all: Value = serde_json::from_str(&report(&Options {
        threads: 2,
        ..options(&paths)
    }))
    .unwrap();
    let mut sums = [0; 4];
    let facts = [
        "/captures/packets",
        "/captures/streams/tcp",
        "/captures/tcp/resets",
        "/captures/http/requests",
    ];
    for path in &paths {
        let one: Value = serde_json::from_str(&report(&options(std::slice::from_ref(path)))).unwrap();
        for (sum, fact) in sums.iter_mut().zip(facts) {
            *sum += number(&one, fact);
        }
    }
    assert_eq!(list(&all, "/captures/points").len(), 4);
    assert_eq!(facts.map(|fact| number(&all, fact)), sums);
}

#[test]
fn any_order_of_arguments() {
    let mut paths: Vec<PathBuf> = ["healthy-bookinfo-captured", "zero-window-stalled-receiver"]
        .iter()
        .flat_map(|case| std::fs::read_dir(case_input(case)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let sorted = report(&options(&paths));
    paths.reverse();
    assert_same("reversed", &sorted, &report(&options(&paths)));
    paths.rotate_left(2);
    assert_same("rotated", &sorted, &report(&options(&paths)));
}

/// What a capture says but for where it lies.
fn said(report: &Value) -> Value {
    let mut captures = report["captures"].clone();
    drop_places(&mut captures);
    captures["points"] = Value::Null;
    captures
}

fn drop_places(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for key in ["refs", "input", "first_frame"] {
                members.remove(key);
            }
            members.values_mut().for_each(drop_places);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_places),
        _ => {}
    }
}

/// A set as `tcpdump -C` names it is one capture: connections that go across a cut are one.
#[test]
fn a_rotated_set_is_one_capture() {
    let whole = race();
    let starts = records(&whole);
    let count = starts.len() - 1;
    let one = Scratch::with("lo.pcap", &whole).report();
    for names in [
        ["lo.pcap", "lo.pcap1", "lo.pcap2"],
        [
            "lo_00001_20261122165137.pcap",
            "lo_00002_20261122165150.pcap",
            "lo_00003_20261122165210.pcap",
        ],
    ] {
        let set = Scratch::new();
        for (i, name) in names.into_iter().enumerate() {
            set.write(name, part(&whole, &starts, i * count / 3, (i + 1) * count / 3));
        }
        let of_set = set.report();
        assert_eq!(list(&of_set, "/captures/points").len(), 1, "{names:?}");
        assert_eq!(number(&of_set, "/captures/streams/tcp"), 186, "{names:?}");
        for (key, value) in said(&one).as_object().unwrap() {
            assert_eq!(value, &said(&of_set)[key], "{names:?}: {key}");
        }
        for key in ["verdict", "window", "timeline"] {
            let (mut one, mut of_set) = (one[key].clone(), of_set[key].clone());
            drop_places(&mut one);
            drop_places(&mut of_set);
            assert_eq!(one, of_set, "{names:?}: {key}");
        }
    }
}

/// Captures with names of their own are captures of their own; but for copies, byte for byte, which `repeats` has.
#[test]
fn the_same_packets_under_two_names_are_two_points() {
    let scratch = Scratch::with("ratings.pcap", race());
    let mut other = race();
    // Another snaplen, which no packet is as long as.
    other[17] ^= 1;
    scratch.write("reviews.pcap", other);
    let report = scratch.report();
    assert_eq!(list(&report, "/captures/points").len(), 2);
    assert_eq!(number(&report, "/captures/streams/tcp"), 2 * 186);
}

#[test]
fn standard_input() {
    let file = Scratch::with("lo.pcap", race()).report();
    for (what, bytes) in [("plain", race()), ("gzip", gzip(&race()))] {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("postmesh"))
            .args(["analyze", "--format", "json", "--no-run-info", "-"])
            .write_stdin(bytes)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}");
        let piped: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said(&piped), said(&file), "{what}");
        assert_eq!(piped["verdict"]["cause"], "keepalive-race", "{what}");
    }
}

/// Whatever is cut off at the end, the packets before it count, and the place is named.
#[test]
fn a_capture_that_ends_in_mid_packet() {
    let whole = race();
    let starts = records(&whole);
    for (packets, beyond) in [(1, 1), (10, 8), (100, 15), (1000, 16), (2000, 17), (2844, 60)] {
        let scratch = Scratch::with("lo.pcap", &whole[..starts[packets] + beyond]);
        let run = analyze(&[scratch.path()]);
        let report = run.report();
        assert_eq!(number(&report, "/captures/packets"), packets as u64);
        let problems = problems(&report, "lo.pcap");
        assert_eq!(problems.len(), 1, "{packets} and {beyond} bytes: {problems:?}");
        let offset = problems[0]["offset_bytes"].as_u64().unwrap();
        assert_eq!(offset, starts[packets] as u64, "{problems:?}");
        assert!(run.stderr.contains("lo.pcap"), "{:?}", run.stderr);
        assert_status_is_of_the_verdict(&run);
    }
}

/// Damage in an input does not change the status.
fn assert_status_is_of_the_verdict(run: &Run) {
    let report = run.report();
    let expected = match text(&report, "/verdict/state") {
        "cause-found" => 1,
        "healthy" => 0,
        _ => 3,
    };
    assert_eq!(run.status, expected, "{}", report["verdict"]);
}

#[test]
fn a_gzip_of_a_capture_that_ends_early() {
    let packed = gzip(&race());
    let scratch = Scratch::with("lo.pcap.gz", &packed[..packed.len() / 2]);
    let run = analyze(&[scratch.path()]);
    let report = run.report();
    assert!((500..2845).contains(&number(&report, "/captures/packets")));
    assert!(!problems(&report, "lo.pcap.gz").is_empty());
    assert_status_is_of_the_verdict(&run);
}

#[test]
fn a_link_type_that_is_not_decoded() {
    let mut odd = race();
    odd[20..24].copy_from_slice(&105_u32.to_le_bytes());
    let scratch = Scratch::with("wlan.pcap", odd);
    scratch.write("lo.pcap", race());
    scratch.write("proxy.log", good_calls(0, 100));
    let run = analyze(&[scratch.path()]);
    let report = run.report();
    let problems = problems(&report, "wlan.pcap");
    let what = problems
        .iter()
        .map(|problem| text(problem, "/what"))
        .collect::<Vec<_>>()
        .join("; ");
    assert!(what.contains("link type") && what.contains("105"), "{what:?}");
    assert!(run.stderr.contains("wlan.pcap"), "{:?}", run.stderr);
    assert_eq!(
        number(&report, "/captures/streams/tcp"),
        186,
        "the other capture is read"
    );
    assert_eq!(number(&report, "/requests/rows"), 100, "so is the log");
    assert_eq!(
        number(input(&report, "wlan.pcap"), "/records"),
        2845,
        "its packets are counted"
    );
}

#[test]
fn a_length_that_lies() {
    let mut lying = race();
    let at = records(&lying)[500];
    lying[at + 8..at + 12].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let scratch = Scratch::with("lo.pcap", lying);
    let run = analyze(&[scratch.path()]);
    let report = run.report();
    assert_eq!(number(&report, "/captures/packets"), 500);
    let problems = problems(&report, "lo.pcap");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        problems[0]["offset_bytes"].as_u64(),
        Some(at as u64),
        "{problems:?}"
    );
    assert_status_is_of_the_verdict(&run);
}

#[test]
fn an_empty_file_and_a_header_alone() {
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("a header", race()[..PCAP_HEADER].to_vec()),
    ] {
        let scratch = Scratch::with("lo.pcap", bytes);
        let run = analyze(&[scratch.path()]);
        let report = run.report();
        assert_eq!(text(&report, "/verdict/state"), "not-enough", "{what}");
        assert_eq!(number(&report, "/captures/packets"), 0, "{what}");
        assert_eq!(run.status, 3, "{what}");
    }
    let scratch = Scratch::with("lo.pcap", &race()[..PCAP_HEADER]);
    scratch.write("proxy.log", good_calls(0, 100));
    assert_eq!(number(&scratch.report(), "/requests/rows"), 100);
}

/// Every packet cut to 96 bytes: connections, times and resets are all there, payload is counted from headers.
#[test]
fn a_snaplen_of_96() {
    let whole = race();
    let starts = records(&whole);
    let mut cut = whole[..PCAP_HEADER].to_vec();
    for bounds in starts.windows(2) {
        let record = &whole[bounds[0]..bounds[1]];
        let kept = (record.len() - RECORD_HEADER).min(96);
        cut.extend_from_slice(&record[..8]);
        cut.extend_from_slice(&u32::try_from(kept).unwrap().to_le_bytes());
        cut.extend_from_slice(&record[12..RECORD_HEADER + kept]);
    }
    let whole = Scratch::with("lo.pcap", whole).report();
    let cut = Scratch::with("lo.pcap", cut).report();
    for fact in ["packets", "bytes", "streams"] {
        assert_eq!(whole["captures"][fact], cut["captures"][fact], "{fact}");
    }
    for fact in [
        "handshakes",
        "resets",
        "retransmissions",
        "zero_windows",
        "handshake_rtt_us",
    ] {
        assert_eq!(
            whole["captures"]["tcp"][fact], cut["captures"]["tcp"][fact],
            "{fact}"
        );
    }
    assert!(number(&cut, "/captures/truncated_packets") > 1000);
    assert_eq!(
        number(&cut, "/captures/honesty/cut_packets"),
        number(&cut, "/captures/truncated_packets")
    );
    assert_eq!(cut["verdict"]["cause"], "keepalive-race");
}

fn select(words: &[&str], path: &Path) -> Value {
    let all = [&["analyze", "--format", "json", "--no-run-info"], words].concat();
    postmesh(&all, &[path]).report()
}

#[test]
fn selection_by_time() {
    let scratch = Scratch::with("lo.pcap", race());
    let packets = |words: &[&str]| {
        let report = select(words, scratch.path());
        (
            list(&report, "/captures/points")[0]["packets"].as_u64(),
            number(&report, "/captures/streams/tcp"),
            report,
        )
    };
    let (_, all, _) = packets(&[]);
    let (_, early, report) = packets(&["--until", "2026-11-22T16:52:00Z"]);
    assert!(early < all && early > 0, "{early} of {all} connections");
    assert!(
        text(&report, "/window/end") <= "2026-11-22T16:52:00.999",
        "{}",
        report["window"]
    );
    let (_, late, report) = packets(&["--since", "16:52:00"]);
    assert!(late < all && late > 0, "{late} of {all} connections");
    assert!(
        text(&report, "/window/start") >= "2026-11-22T16:52:00",
        "{}",
        report["window"]
    );
    let (_, none, report) = packets(&["--since", "2026-11-23T00:00:00Z"]);
    assert_eq!((none, text(&report, "/verdict/state")), (0, "not-enough"));
}

#[test]
fn selection_by_pod() {
    let scratch = Scratch::with("ratings-v1.lo.pcap", race());
    scratch.write("reviews-v1.lo.pcap", race());
    let report = select(&["--pod", "ratings-v1"], scratch.path());
    assert_eq!(number(&report, "/captures/streams/tcp"), 186);
    assert_eq!(list(&report, "/captures/points").len(), 1);
}

/// TLS 1.3 hides the alert: the capture alone says who ends handshakes and accuses nothing, with the log it says why.
#[test]
fn tls_1_3_alone_shows_who_rejects_and_not_why() {
    let input = case_input("cert-expired-tls13");
    let alone = analyze(&[input.join("productpage-v1.eth0.pcap.gz")]).report();
    assert_eq!(alone["verdict"]["state"], "symptoms-only");
    assert_eq!(
        (&alone["findings"][0]["cause"], &alone["findings"][0]["severity"]),
        (&Value::from("server-cert-rejected"), &Value::from("info")),
        "what is most likely is a remark"
    );
    let with_logs = analyze(&[input]).report();
    assert_eq!(with_logs["verdict"]["cause"], "cert-expired");
    let confidence = |report: &Value| report["findings"][0]["confidence"].as_f64().unwrap();
    assert!(confidence(&alone) < confidence(&with_logs));
    let of_packets = list(&with_logs, "/findings/0/evidence")
        .iter()
        .find(|piece| piece["kind"] == "packet")
        .unwrap();
    assert_eq!(of_packets["count"], 90, "packets bear out what the log says");
    assert_eq!(
        list(&with_logs, "/findings").len(),
        1,
        "and are no finding beside it"
    );
    for ruled_out in list(&with_logs, "/findings/0/ruled_out") {
        let because = text(ruled_out, "/because");
        assert!(
            !because.contains("no alert"),
            "hidden alerts rule nothing out: {because}"
        );
    }
}

/// Figures of a finding say what they count where there are no rows.
#[test]
fn impact_names_its_unit() {
    for (case, unit, failed) in [
        ("keepalive-race-captured", "connections", 18),
        ("dns-remote-cluster-captured", "dns-questions", 5),
        ("cert-expired-captured", "connections", 789),
        ("slow-upstream-app-captured", "requests", 0),
        ("packet-loss", "requests", 0),
    ] {
        let report = analyze(&[case_input(case)]).report();
        let impact = &report["findings"][0]["impact"];
        assert_eq!(
            (impact["unit"].as_str(), impact["failed"].as_u64()),
            (Some(unit), Some(failed)),
            "{case}"
        );
    }
}

/// Nothing is ruled out by rows where none was read.
#[test]
fn look_alikes_are_ruled_out_by_what_was_read() {
    for case in CASES.into_iter().filter(|case| case.ends_with("-captured")) {
        let report = analyze(&[case_input(case)]).report();
        for ruled_out in list(&report, "/findings")
            .iter()
            .flat_map(|finding| list(finding, "/ruled_out"))
        {
            assert!(
                !text(ruled_out, "/because").contains(" rows to "),
                "{case}: {ruled_out}"
            );
        }
    }
}

/// With the caller's packets alone the alert is still there; what the called side sent is not, and that is said.
#[test]
fn one_side_of_connections() {
    let whole = capture("cert-expired-captured", "ratings-v1.eth0.pcap.gz");
    let starts = records(&whole);
    let mut half = whole[..PCAP_HEADER].to_vec();
    for bounds in starts.windows(2) {
        let record = &whole[bounds[0]..bounds[1]];
        let source = RECORD_HEADER + 14 + 12;
        if record.get(source..source + 4) == Some(&[10, 244, 1, 11]) {
            half.extend_from_slice(record);
        }
    }
    let whole = Scratch::with("ratings.pcap", whole).report();
    let half = Scratch::with("ratings.pcap", half).report();
    assert_eq!(
        half["verdict"]["cause"], "cert-expired",
        "{}",
        half["captures"]["tcp"]
    );
    assert!(number(&half, "/captures/honesty/one_sided_streams") > 700);
    let said = list(&half, "/findings/0/evidence")
        .iter()
        .any(|piece| text(piece, "/text").contains("one side only"));
    assert!(said, "{}", half["findings"][0]["evidence"]);
    let confidence = |report: &Value| report["findings"][0]["confidence"].as_f64().unwrap();
    assert!(confidence(&half) < confidence(&whole));
}

#[test]
fn inspect_says_what_captures_hold() {
    let paths = ["slow-upstream-app-captured", "healthy-bookinfo-captured"].map(case_input);
    let run = postmesh(&["inspect", "--format", "json"], &paths);
    let report = run.report();
    assert_eq!(number(&report, "/captures/packets"), 2245);
    assert_eq!(list(&report, "/captures/points").len(), 3);
    assert_eq!(report["captures"]["link_types"]["Ethernet"], 2245);
    let run = postmesh(&["inspect"], &paths);
    let shown = String::from_utf8(run.stdout).unwrap();
    for wanted in [
        "pcapng (",
        "pcap (",
        "3 capture points, 2,245 packets",
        "Ethernet 2,245",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}
