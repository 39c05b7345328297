//! Lines that stand in two logs of one container are counted once: rotation while files were copied, and logs that were saved twice.

use crate::rows::good_calls;
use crate::running::{Scratch, analyze, case_input, list, number, postmesh, text};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{Read as _, Write as _};

const CASE: &str = "refused-app-port-mismatch";

/// The logs of the case, with their names.
fn logs() -> Vec<(String, Vec<u8>)> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(case_input(CASE)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut data = std::fs::read(&path).unwrap();
        if let Some(name) = name.strip_suffix(".gz") {
            let packed = std::mem::take(&mut data);
            MultiGzDecoder::new(packed.as_slice())
                .read_to_end(&mut data)
                .unwrap();
            logs.push((name.to_owned(), data));
        } else if name.contains(".log") {
            logs.push((name, data));
        }
    }
    assert_eq!(logs.len(), 5);
    logs
}

fn lines(data: &[u8]) -> Vec<&[u8]> {
    data.split_inclusive(|byte| *byte == b'\n').collect()
}

fn packed(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// What is counted, and what is found with how many requests.
fn figures(report: &Value) -> Vec<Value> {
    let mut figures = vec![report["requests"].clone(), report["verdict"]["headline"].clone()];
    figures.extend(list(report, "/findings").iter().map(|finding| {
        serde_json::json!([
            finding["cause"],
            finding["impact"],
            finding["window"],
            finding["confidence"]
        ])
    }));
    figures
}

fn repeated(report: &Value) -> Vec<(String, String)> {
    let problems = list(report, "/inputs").iter().flat_map(|input| {
        let path = text(input, "/path").to_owned();
        list(input, "/problems")
            .iter()
            .map(move |problem| (path.clone(), text(problem, "/what").to_owned()))
    });
    problems.collect()
}

fn whole() -> Value {
    let scratch = Scratch::new();
    for (name, data) in logs() {
        scratch.write(&name, data);
    }
    let report = scratch.report();
    assert_eq!(repeated(&report), []);
    report
}

#[test]
fn rotated_logs_that_overlap() {
    let scratch = Scratch::new();
    for (name, data) in logs() {
        let lines = lines(&data);
        let (third, rest) = (lines.len() / 3, lines.len() * 2 / 3);
        scratch.write(&format!("{name}.1"), lines[..rest].concat());
        scratch.write(&name, lines[third..].concat());
    }
    let report = scratch.report();
    assert_eq!(figures(&report), figures(&whole()));
    let said = repeated(&report);
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said.iter().all(|(path, what)| !path.ends_with('1')
        && what.contains(&format!("stand in {path}.1 too: they are counted once"))));
    let of = |threads: &str| {
        let words = [
            "analyze",
            "--format",
            "json",
            "--no-run-info",
            "--threads",
            threads,
        ];
        postmesh(&words, &[scratch.path()]).stdout
    };
    let one = of("1");
    assert_eq!(serde_json::from_slice::<Value>(&one).unwrap(), report);
    assert!([of("2"), of("7")].iter().all(|bytes| *bytes == one));
}

#[test]
fn logs_that_were_saved_twice() {
    let scratch = Scratch::new();
    for (name, data) in logs() {
        let lines = lines(&data);
        // An earlier copy, a later one that is packed, and what was cut out of the middle.
        scratch.write(&format!("first/{name}"), lines[..lines.len() / 2].concat());
        scratch.write(&format!("then/{name}.gz"), packed(&data));
        let middle = lines[lines.len() / 4..lines.len() * 3 / 4].concat();
        scratch.write(&format!("middle/{name}"), &middle[..middle.len() - 20]);
    }
    let report = scratch.report();
    assert_eq!(figures(&report), figures(&whole()));
    assert_eq!(repeated(&report).len(), 10, "{:?}", repeated(&report));
    let left_out: u64 = list(&report, "/inputs")
        .iter()
        .map(|input| number(input, "/skipped"))
        .sum();
    let all: usize = logs().iter().map(|(_, data)| lines(data).len()).sum();
    assert!(left_out >= all as u64 - 20, "{left_out} of {all}");
}

#[test]
fn citations_stand_where_their_lines_are() {
    let scratch = Scratch::new();
    for (name, data) in logs() {
        let lines = lines(&data);
        scratch.write(&format!("{name}.1"), lines[..lines.len() / 2].concat());
        scratch.write(&name, lines[lines.len() / 4..].concat());
    }
    let report = scratch.report();
    let inputs = list(&report, "/inputs");
    let mut checked = 0;
    for evidence in list(&report, "/findings/0/evidence") {
        for place in list(evidence, "/refs") {
            let input = inputs.iter().find(|input| input["id"] == place["input"]).unwrap();
            let data = std::fs::read(scratch.path().join(text(input, "/path"))).unwrap();
            let line = usize::try_from(number(place, "/line")).unwrap();
            let row = String::from_utf8_lossy(lines(&data)[line - 1]).into_owned();
            assert!(row.contains("2026-11-22T16:44"), "{row}");
            let offset = usize::try_from(number(place, "/offset_bytes")).unwrap();
            assert!(data[offset..].starts_with(lines(&data)[line - 1]));
            checked += 1;
        }
    }
    assert!(checked >= 5, "{checked}");
}

#[test]
fn logs_that_only_begin_alike_are_counted_whole() {
    let scratch = Scratch::new();
    let calls = good_calls(0, 100);
    let first = calls.lines().next().unwrap();
    scratch.write(
        "a/web-0.istio-proxy.log",
        format!("{calls}{}", good_calls(100, 50)),
    );
    scratch.write(
        "b/web-0.istio-proxy.log",
        format!("{first}\n{}", good_calls(200, 50)),
    );
    // Paths that name no pod: the same log under two names is one, two logs with the same rows in another order are two.
    scratch.write("one.txt", good_calls(300, 50));
    scratch.write("other.txt", good_calls(300, 50));
    scratch.write("third.txt", good_calls(310, 40) + &good_calls(300, 10));
    let report = scratch.report();
    let said = repeated(&report);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, "other.txt");
    let access: u64 = list(&report, "/inputs")
        .iter()
        .map(|input| number(input, "/records"))
        .sum();
    assert_eq!(access, 150 + 51 + 50 + 50);
}

#[test]
fn a_selection_counts_as_without_the_copy() {
    let scratch = Scratch::new();
    let once = Scratch::new();
    for (name, data) in logs() {
        scratch.write(&format!("again/{name}"), &data);
        scratch.write(&name, &data);
        once.write(&name, &data);
    }
    let of = |scratch: &Scratch| {
        let words = [
            "analyze",
            "--format",
            "json",
            "--no-run-info",
            "--since",
            "16:44:40",
        ];
        postmesh(&words, &[scratch.path()]).report()
    };
    assert_eq!(figures(&of(&scratch)), figures(&of(&once)));
    assert_ne!(figures(&of(&once)), figures(&analyze(&[once.path()]).report()));
}

#[test]
fn a_trace_draws_each_row_once() {
    let (scratch, once) = (Scratch::new(), Scratch::new());
    for (name, data) in logs() {
        let lines = lines(&data);
        scratch.write(&format!("{name}.1"), lines[..lines.len() * 2 / 3].concat());
        scratch.write(&name, lines[lines.len() / 3..].concat());
        once.write(&name, &data);
    }
    let (_, caller) = logs()
        .into_iter()
        .find(|(name, _)| name.starts_with("productpage"))
        .unwrap();
    let caller = String::from_utf8(caller).unwrap();
    let rows: Vec<&str> = caller.lines().filter(|line| line.starts_with('[')).collect();
    // A row of the middle, which both parts have.
    let id = rows[rows.len() / 2]
        .split('"')
        .find(|part| part.len() == 36 && part.matches('-').count() == 4);
    let of = |scratch: &Scratch| {
        let words = ["trace", "--format", "json", "--request", id.unwrap()];
        let report = postmesh(&words, &[scratch.path()]).report();
        let events = list(&report, "/events").iter();
        events
            .map(|event| {
                serde_json::json!([
                    event["time"],
                    event["kind"],
                    event["from"],
                    event["to"],
                    event["text"]
                ])
            })
            .collect::<Vec<Value>>()
    };
    assert!(of(&once).len() >= 4);
    assert_eq!(of(&scratch), of(&once));
}

#[test]
fn a_capture_that_was_copied() {
    let once = case_input("packet-loss");
    let capture = std::fs::read_dir(&once)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains("pcap"))
        .unwrap();
    let scratch = Scratch::new();
    for entry in std::fs::read_dir(&once).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        scratch.write(name, std::fs::read(&path).unwrap());
    }
    scratch.write("z/a.pcap.gz", std::fs::read(&capture).unwrap());
    let [report, whole] = [scratch.report(), analyze(&[once]).report()];
    assert!(
        report["captures"] == whole["captures"],
        "the same packets and connections"
    );
    assert_eq!(figures(&report), figures(&whole));
    let name = capture.file_name().unwrap().to_str().unwrap();
    let told = (
        "z/a.pcap.gz".to_owned(),
        format!("all of it stands in {name} too: it is counted once, as that one's"),
    );
    assert_eq!(repeated(&report), [told]);
}
