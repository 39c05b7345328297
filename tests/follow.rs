//! `show` and `trace` on recorded incidents, through the whole tool.

use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn case(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(name)
        .join("input");
    path.to_str().unwrap().to_owned()
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ran {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_postmesh"))
        .args(args)
        .output()
        .unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(args: &[&str]) -> Value {
    let ran = run(&[args, &["--format", "json"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// The lines of a log of a case, by themselves.
fn lines(case: &str, name: &str) -> Vec<String> {
    let bytes = std::fs::read(PathBuf::from(case).join(name)).unwrap();
    let mut text = String::new();
    if Path::new(name).extension().is_some_and(|end| end == "gz") {
        use std::io::Read as _;
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_place_that_a_report_cites_is_shown_as_it_stands() {
    for name in [
        "refused-app-port-mismatch",
        "zero-window-stalled-receiver",
        "keepalive-race-captured",
        "cert-expired-tls13",
    ] {
        let case = case(name);
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.json");
        let report = report.to_str().unwrap();
        let analyzed = run(&["-q", "--exit-zero", "-o", report, &case]);
        assert_eq!(analyzed.status, 0, "{}", analyzed.err);
        let told: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        let shown = json(&["show", &case, "--report", report, "-C", "0", "--show-secrets"]);
        assert_eq!(shown["schema"], "postmesh.show/1");
        assert_eq!(shown["unresolved"].as_array().unwrap().len(), 0, "{name}");
        let mut found: Vec<(u64, u64)> = Vec::new();
        for excerpt in shown["excerpts"].as_array().unwrap() {
            let input = excerpt["input"].as_u64().unwrap();
            let path = excerpt["path"].as_str().unwrap();
            let of_input = |input: &Value| input["id"] == excerpt["input"];
            let named = told["inputs"]
                .as_array()
                .unwrap()
                .iter()
                .find(|i| of_input(i))
                .unwrap();
            assert_eq!(named["path"], path);
            let cited: Vec<&Value> = excerpt["lines"].as_array().unwrap().iter().collect();
            if !cited.is_empty() {
                let real = lines(&case, path);
                for line in cited {
                    let number = line["line"].as_u64().unwrap();
                    assert_eq!(
                        line["text"],
                        real[usize::try_from(number).unwrap() - 1],
                        "{path}:{number}"
                    );
                    found.push((input, number));
                }
            }
            for frame in excerpt["frames"].as_array().unwrap() {
                assert_eq!(frame["cited"], true, "no context was asked for");
                found.push((input, frame["frame"].as_u64().unwrap()));
            }
        }
        let mut asked: Vec<(u64, u64)> = Vec::new();
        for finding in told["findings"].as_array().unwrap() {
            for evidence in finding["evidence"].as_array().unwrap() {
                for place in evidence["refs"].as_array().unwrap() {
                    let number = place["line"].as_u64().or(place["frame"].as_u64()).unwrap();
                    asked.push((place["input"].as_u64().unwrap(), number));
                }
            }
        }
        for list in [&mut asked, &mut found] {
            list.sort_unstable();
            list.dedup();
        }
        assert!(!asked.is_empty(), "{name} cites something");
        assert_eq!(asked, found, "{name}");
    }
}

#[test]
fn frames_are_shown_as_tshark_numbers_them() {
    // tshark -r ratings-v1.eth0.pcap.gz -Y 'frame.number in {1212 1235 1237 1284}': Seq, Ack, Win, Len.
    let case = case("zero-window-stalled-receiver");
    let shown = json(&["show", &case, "--ref", "ratings-v1.eth0.pcap.gz frame 1237"]);
    let excerpt = &shown["excerpts"][0];
    assert_eq!(excerpt["client"], "10.244.1.11:34114");
    let rows: Vec<_> = excerpt["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            let n = |name: &str| f[name].as_u64().unwrap();
            (
                n("frame"),
                n("sequence"),
                n("acknowledgment"),
                n("window_bytes"),
                n("payload_bytes"),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (1212, 5_176_275, 29_600, 69_632, 2_896),
            (1235, 5_177_723, 29_600, 69_632, 1_448),
            (1237, 29_600, 5_179_171, 0, 0),
            (1284, 5_179_170, 29_600, 69_632, 0),
            (1285, 29_600, 5_179_171, 0, 0),
        ]
    );
}

#[test]
fn citations_are_taken_as_the_report_prints_them() {
    let case = case("refused-app-port-mismatch");
    let printed = "ratings-v1.istio-proxy.log:110  111  112  113  114  … 442 more";
    let ran = run(&["show", &case, "--ref", printed, "-C", "1", "--width", "70"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let marked = ran.out.lines().filter(|line| line.starts_with("> ")).count();
    assert_eq!(marked, 5, "{}", ran.out);
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("  ")).count(), 2);
    assert!(
        ran.out.lines().all(|line| line.chars().count() <= 70),
        "{}",
        ran.out
    );
    let full = run(&[
        "show",
        &case,
        "--ref",
        "ratings-v1.istio-proxy.log:110",
        "-C",
        "0",
        "--full",
    ]);
    let real = &lines(&case, "ratings-v1.istio-proxy.log")[109];
    assert!(full.out.contains(real.as_str()), "{}", full.out);
}

#[test]
fn places_that_are_not_there() {
    let case = case("zero-window-stalled-receiver");
    let one = run(&["show", &case, "--ref", "nope.log:3"]);
    assert_eq!((one.status, one.out.as_str()), (2, ""));
    assert_eq!(one.err, "postmesh: nope.log:3: no input is called nope.log\n");
    let log = "productpage-v1.istio-proxy.log.gz";
    let some = run(&[
        "show",
        &case,
        "--ref",
        "productpage-v1.istio-proxy.log.gz:5",
        "--ref",
        "ratings-v1.eth0.pcap.gz:9",
        "--ref",
        &format!("{log} frame 9"),
        "--ref",
        &format!("{log}:99999"),
        "--ref",
        "ratings-v1.eth0.pcap.gz frame 99999",
    ]);
    assert_eq!(some.status, 0, "one was found");
    assert_eq!(some.err.lines().count(), 4, "{}", some.err);
    for hint in [
        "is a capture: write",
        "is a log: it has lines",
        "lines",
        "6154 frames",
    ] {
        assert!(some.err.contains(hint), "{hint}: {}", some.err);
    }
    for wrong in [
        &["show", &case][..],
        &["show", &case, "--ref", "17"],
        &["show", &case, "--ref", "a:1", "--finding", "1"],
    ] {
        assert_eq!(run(wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn hostile_lines_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    let row = b"[2026-11-02T03:12:44.120Z] \"GET /\x1b[2J\xff\xe2\x80\xae HTTP/1.1\" 200 - via_upstream - \"-\" 0 1 1 1 \"-\" \"\x1b]0;t\x07\" \"id-\x1b[31m\" \"a\" \"10.0.0.1:1\" outbound|1||a 10.0.0.2:2 10.0.0.1:1 10.0.0.2:3 - default\n";
    std::fs::write(&log, row).unwrap();
    let path = log.to_str().unwrap();
    for args in [
        &["show", path, "--ref", "x.log:1"][..],
        &["show", path, "--ref", "x.log:1", "--full"],
        &["show", path, "--ref", "x.log:1", "--format", "json"],
        &["trace", path, "--ref", "x.log:1"],
        &["trace", path, "--ref", "x.log:1", "--ascii"],
        &["trace", path, "--ref", "x.log:1", "--format", "json"],
    ] {
        let ran = run(args);
        assert_eq!(ran.status, 0, "{args:?} {}", ran.err);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.out.chars().any(acts), "{args:?} {}", ran.out);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let case = case("zero-window-stalled-receiver");
    let program = env!("CARGO_BIN_EXE_postmesh");
    for words in [
        "show CASE --ref productpage-v1.istio-proxy.log.gz:400 -C 1000 --full",
        "trace CASE --connection 10.244.1.11:34114-10.244.2.31:9080",
    ] {
        let command = format!(
            "'{program}' {} | head -n 2; echo ${{PIPESTATUS[0]}}",
            words.replace("CASE", &case)
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &command])
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(out.lines().last(), Some("0"), "{out}");
    }
}

/// kind, place and participants of each event.
fn events(trace: &Value) -> Vec<(String, u64, u64)> {
    trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["kind"].as_str().unwrap().to_owned(),
                e["from"].as_u64().unwrap(),
                e["to"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_request_that_only_a_capture_names_is_found_by_its_head() {
    let case = case("keepalive-race-captured");
    let place = "ratings-v1.lo.pcap.gz frame 4";
    let shown = json(&["show", &case, "--ref", place, "-C", "0"]);
    let id = shown["excerpts"][0]["frames"][0]["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let trace = json(&["trace", &case, "--ref", place]);
    assert_eq!(trace["request_id"], id.as_str());
    let frames: Vec<u64> = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["frame"].as_u64())
        .collect();
    // Handshake, request, answer, and how the connection ended; 5 is a bare acknowledgment.
    assert_eq!(frames.get(..5), Some(&[1, 2, 3, 4, 41][..]), "{frames:?}");
    assert_eq!(events(&trace)[4], ("packet".to_owned(), 1, 0));
}

#[test]
fn rows_of_all_attempts_stand_in_order() {
    let case = case("refused-app-port-mismatch");
    let trace = json(&["trace", &case, "--ref", "ratings-v1.istio-proxy.log:110"]);
    let names: Vec<&str> = trace["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "app of productpage-v1",
            "productpage-v1",
            "ratings-v1",
            "app of ratings-v1"
        ]
    );
    let id = trace["request_id"].as_str().unwrap();
    let named: usize = ["productpage-v1.istio-proxy.log", "ratings-v1.istio-proxy.log"]
        .iter()
        .map(|name| lines(&case, name).iter().filter(|line| line.contains(id)).count())
        .sum();
    assert_eq!(trace["rows"].as_array().unwrap().len(), named);
    let events = events(&trace);
    assert_eq!(events.len(), 2 * named, "each row begins and ends");
    assert_eq!(events.first().unwrap(), &("request".to_owned(), 0, 1));
    let last = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|e| e["from"] == 1 && e["to"] == 0)
        .unwrap();
    assert!(last["text"].as_str().unwrap().contains("URX"), "{last}");
    let attempts = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["text"].as_str().unwrap().contains("attempt 2 of"));
    assert_eq!(attempts.count(), 2);
}

#[test]
fn a_connection_shows_its_packets_and_the_rows_that_used_it() {
    let case = case("zero-window-stalled-receiver");
    let tuple = "10.244.1.11:34114 → 10.244.2.31:9080";
    let trace = json(&["trace", &case, "--connection", tuple]);
    let log = "productpage-v1.istio-proxy.log.gz";
    let used = lines(&case, log)
        .iter()
        .filter(|line| line.contains(" 10.244.1.11:34114 ") && line.contains("\"10.244.2.31:9080\""))
        .count();
    assert!(used > 0);
    let rows = trace["rows"].as_array().unwrap();
    assert_eq!(
        rows.iter()
            .filter(|row| row["upstream_local"] == "10.244.1.11:34114")
            .count(),
        used
    );
    let connection = &trace["connections"][0];
    assert_eq!(connection["client"], "10.244.1.11:34114");
    assert!(connection["captured"][0]["packets"].as_u64().unwrap() > 100);
    // The other way round names the same connection.
    let turned = json(&[
        "trace",
        &case,
        "--connection",
        "10.244.2.31:9080-10.244.1.11:34114",
    ]);
    assert_eq!(turned["connections"], trace["connections"]);
    assert_eq!(turned["events"], trace["events"]);
}

#[test]
fn a_ladder_keeps_to_the_width_and_to_ascii() {
    let case = case("zero-window-stalled-receiver");
    for width in ["40", "80", "160"] {
        let ran = run(&[
            "trace",
            &case,
            "--ref",
            "productpage-v1.istio-proxy.log.gz:615",
            "--width",
            width,
        ]);
        assert_eq!(ran.status, 0, "{}", ran.err);
        let width: usize = width.parse().unwrap();
        assert!(
            ran.out.lines().all(|line| line.chars().count() <= width),
            "{}",
            ran.out
        );
    }
    let ascii = run(&[
        "trace",
        &case,
        "--ref",
        "productpage-v1.istio-proxy.log.gz:615",
        "--ascii",
    ]);
    assert!(ascii.out.is_ascii(), "{}", ascii.out);
}

#[test]
fn what_cannot_be_followed_is_said_in_one_line() {
    let case = case("refused-app-port-mismatch");
    for (args, hint) in [
        (
            &["trace", &case, "--request", "no-such-id"][..],
            "names request no-such-id",
        ),
        (&["trace", &case, "--request", ""], "names no request"),
        (
            &["trace", &case, "--connection", "1.2.3.4:5-6.7.8.9:10"],
            "no packet of 0 captures",
        ),
        (
            &["trace", &case, "--ref", "ratings-v1.istio-proxy.log:1"],
            "component line",
        ),
        (
            &["trace", &case, "--ref", "ratings-v1.istio-proxy.log:999999"],
            "lines",
        ),
        (
            &["trace", &case, "--ref", "ratings-v1.istio-proxy.log frame 1"],
            "no frame",
        ),
        (
            &["trace", &case, "--ref", "ratings-v1.istio-proxy.log:1  2"],
            "one place",
        ),
        (&["trace", &case], "required"),
        (&["trace", "-", "--request", "x"], "only once"),
    ] {
        let ran = run(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains(hint), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_pipe_is_shown_from() {
    let mut child = postmesh_child(&["show", "-", "--ref", "-:2", "-C", "0"]);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"one\ntwo\nthree\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("> 2  two"), "{out}");
}

fn postmesh_child(args: &[&str]) -> std::process::Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_postmesh"))
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// A log with one request, and lines of Envoy beside it.
fn with_component_lines() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let row = "[2026-11-02T03:12:44.120Z] \"GET /ratings/1?token=x HTTP/1.1\" 503 UF upstream_reset - \"-\" 0 91 20 - \"-\" \"curl\" \"5f3c-77\" \"ratings:9080\" \"10.0.0.9:9080\" outbound|9080||ratings.default.svc.cluster.local 10.0.0.2:40000 10.96.0.9:9080 10.0.0.2:50000 - default\n";
    let line = |time: &str, text: &str| {
        format!("{time}\twarning\tenvoy pool external/envoy/pool.cc:1\t{text}\tthread=7\n")
    };
    let text = [
        row.to_owned(),
        line(
            "2026-11-02T03:12:44.130000Z",
            "[C7] connect to 10.0.0.9:9080 failed",
        ),
        line(
            "2026-11-02T03:12:44.131000Z",
            "[C7] connect to 10.0.0.9:90801 failed",
        ),
        line("2026-11-02T03:12:44.132000Z", "x-request-id 5f3c-77 gave up"),
        line("2026-11-02T03:12:44.133000Z", "[C8] nothing of ours"),
        line(
            "2026-11-02T03:20:00.000000Z",
            "[C9] connect to 10.0.0.9:9080 failed",
        ),
    ]
    .concat();
    std::fs::write(folder.path().join("productpage-v1.istio-proxy.log"), text).unwrap();
    folder
}

#[test]
fn component_lines_that_name_the_request_or_its_connections_at_that_time() {
    let folder = with_component_lines();
    let path = folder.path().to_str().unwrap();
    let trace = json(&["trace", path, "--request", "5f3c-77"]);
    let lines: Vec<u64> = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "line")
        .map(|event| event["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [2, 4]);
    let ran = run(&["trace", path, "--request", "5f3c-77"]);
    assert!(
        !ran.out.contains("token"),
        "queries may hold secrets: {}",
        ran.out
    );
}

#[test]
fn attempts_without_a_logged_port_are_found_by_address_and_time() {
    let case = case("cert-expired-tls13");
    let log = "productpage-v1.istio-proxy.log.gz";
    let rows = lines(&case, log);
    let at = rows
        .iter()
        .position(|row| row.contains(" UF,URX ") || row.contains(" URX,UF "))
        .unwrap();
    assert!(
        rows[at].contains("ratings.default.svc.cluster.local - "),
        "no upstream port: {}",
        rows[at]
    );
    let trace = json(&["trace", &case, "--ref", &format!("{log}:{}", at + 1)]);
    let guessed: Vec<&Value> = trace["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|connection| connection["exact"] == false)
        .collect();
    assert!(!guessed.is_empty());
    let row = &trace["rows"][0];
    for connection in guessed {
        assert_eq!(connection["server"], row["upstream_host"]);
        assert!(connection["client"].as_str().unwrap().starts_with("10.244.1.11:"));
    }
    let hellos = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["text"].as_str().unwrap().contains("client hello"));
    assert!(hellos.count() >= 2, "the first attempt and its retries");
}

#[test]
fn packets_of_a_request_are_those_near_it() {
    let case = case("zero-window-stalled-receiver");
    let trace = json(&["trace", &case, "--ref", "productpage-v1.istio-proxy.log.gz:615"]);
    let row = &trace["rows"][0];
    assert_eq!(
        (&row["start"], &row["duration_ms"]),
        (&"2026-11-22T16:53:34.477000Z".into(), &2514.into())
    );
    for event in trace["events"].as_array().unwrap() {
        let (time, text) = (event["time"].as_str().unwrap(), event["text"].as_str().unwrap());
        let near = ("2026-11-22T16:53:34.471".."2026-11-22T16:53:36.997").contains(&time);
        let control = ["SYN", "FIN", "RST", "ACK"]
            .iter()
            .any(|word| text.starts_with(word));
        assert!(near || control, "{event}");
    }
    let texts: Vec<&str> = trace["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["text"].as_str().unwrap())
        .collect();
    for text in ["POST /ratings/upload", "ACK window 0", "HTTP/1.1 200 OK"] {
        assert!(texts.contains(&text), "{text} in {texts:?}");
    }
}
