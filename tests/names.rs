//! Names that are replaced, in reports and in copies of logs; every secret form in every command.

use crate::running::{Run, Scratch, case_input, postmesh};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// Values, none of which may be shown.
const SECRETS: &[&str] = &[
    "q-token-1f8a",
    "Jane%20Doe",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "dXNlcjpwYXNzd29yZA==",
    "sid-5ea51de5",
    "set-5ea51de5",
    "hunter2",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
    "k-api-77",
    "p4ss-in-url",
];

fn log() -> String {
    let mut log = String::new();
    for n in 0..60 {
        let _ = writeln!(
            log,
            "[2026-11-02T03:{n:02}:00.120Z] \"GET /ratings/1?access_token=q-token-1f8a&name=Jane%20Doe&page=2 HTTP/1.1\" 503 UF \
             upstream_reset_before_response_started{{connection_failure,delayed_connect_error:_111}} - \
             \"delayed_connect_error:_111\" 0 91 3 - \"-\" \"curl/8 Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl\" \
             \"0a1b2c3d-0000-4000-8000-0000000000{n:02}\" \"ratings:9080\" \"10.244.1.41:9080\" \
             outbound|9080||ratings.default.svc.cluster.local - 10.96.14.40:9080 10.244.1.11:48264 - default"
        );
    }
    for text in [
        "warning envoy config [source/x.cc:1] thread=1 gRPC config for type.googleapis.com/x rejected: authorization: Basic dXNlcjpwYXNzd29yZA==",
        "debug envoy http [source/x.cc:2] [C1] 'cookie', 'sid=sid-5ea51de5'",
        "error envoy lua [source/x.cc:3] script log: set-cookie: a=set-5ea51de5; Path=/",
        "error envoy lua [source/x.cc:3] script log: {\"password\":\"hunter2\",\"key\":\"AKIAIOSFODNN7EXAMPLE\"}",
    ] {
        let _ = writeln!(
            log,
            "2026-11-02T03:20:00.000000Z\t{}",
            text.replacen(' ', "\t", 2)
        );
    }
    // Lines that are not understood: a few are shown as samples.
    log += "aws_secret_access_key = wJalrXUtnFEMI\n-----BEGIN PRIVATE KEY-----\n\
            MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n\
            x-api-key: k-api-77 redis://app:p4ss-in-url@cache:6379/0\n";
    log
}

fn shown(run: &Run) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr)
}

/// Everything that each command prints and writes of `log`, by its words.
fn all_outputs(log: &Path, more: &[&str]) -> Vec<(String, String)> {
    let folder = Scratch::new();
    let saved = |name: &str| folder.path().join(name).display().to_string();
    let (html, markdown, json) = (saved("r.html"), saved("r.md"), saved("r.json"));
    let name = log.file_name().unwrap().to_str().unwrap();
    let place = format!("{name}:62");
    let mut outputs = Vec::new();
    for words in [
        vec![
            "analyze", "--width", "1000", "-o", &html, "-o", &markdown, "-o", &json,
        ],
        vec!["analyze", "-f", "json"],
        vec!["analyze", "-f", "html"],
        vec!["analyze", "-f", "markdown"],
        vec!["inspect", "-f", "json"],
        vec!["inspect"],
        vec!["show", "--ref", &place, "-C", "100", "--full"],
        vec!["show", "--ref", &place, "-C", "100", "-f", "json"],
        vec![
            "trace",
            "--request",
            "0a1b2c3d-0000-4000-8000-000000000007",
            "--width",
            "1000",
        ],
        vec![
            "trace",
            "--request",
            "0a1b2c3d-0000-4000-8000-000000000007",
            "-f",
            "json",
        ],
        vec!["export", "--table", "requests"],
        vec!["export", "--table", "signatures", "-f", "csv"],
        vec!["export", "--table", "signatures"],
        vec!["batch", "-f", "json"],
        vec!["batch", "--width", "1000"],
        vec!["diff", "--baseline", "03:00..03:10", "--against", "03:10..03:59"],
        vec![
            "diff",
            "-f",
            "json",
            "--baseline",
            "03:00..03:10",
            "--against",
            "03:10..03:59",
        ],
    ] {
        let all: Vec<&str> = words.iter().chain(more).copied().collect();
        outputs.push((all.join(" "), shown(&postmesh(&all, &[log]))));
    }
    for file in [&html, &markdown, &json] {
        outputs.push((file.clone(), std::fs::read_to_string(file).unwrap()));
    }
    outputs
}

#[test]
fn no_command_shows_a_secret() {
    let scratch = Scratch::with("web-7d9c5b8f4-x2k4p.log", log());
    let log = scratch.path().join("web-7d9c5b8f4-x2k4p.log");
    let mut marks = 0;
    for (words, output) in all_outputs(&log, &[]) {
        for secret in SECRETS {
            assert!(!output.contains(secret), "{words} shows {secret}:\n{output}");
        }
        marks += usize::from(output.contains("[secret]"));
    }
    assert!(marks > 6, "masked texts are shown at all: {marks}");
}

#[test]
fn secrets_are_shown_on_demand() {
    let scratch = Scratch::with("web-7d9c5b8f4-x2k4p.log", log());
    let log = scratch.path().join("web-7d9c5b8f4-x2k4p.log");
    let outputs = all_outputs(&log, &["--show-secrets"]);
    for secret in SECRETS {
        assert!(
            outputs.iter().any(|(_, output)| output.contains(secret)),
            "the log holds {secret}"
        );
    }
    assert!(!outputs.iter().any(|(_, output)| output.contains("[secret]")));
}

/// A file with a key.
fn key(scratch: &Scratch) -> String {
    let path = scratch.write("postmesh.key", "no key for anything but this test");
    path.display().to_string()
}

/// Whether `name` stands in `text` as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let goes_on = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    text.match_indices(name).any(|(at, _)| {
        !goes_on(at.checked_sub(1).map(|at| &bytes[at])) && !goes_on(bytes.get(at + name.len()))
    })
}

const NAMES: &[&str] = &[
    "ratings",
    "shop",
    "web",
    "web-7d9c5b8f4-x2k4p",
    "x2k4p",
    "10.244.1.41",
    "10.96.14.40",
    "10.244.1.11",
];

#[test]
fn no_command_shows_a_name_where_pseudonyms_are_asked_for() {
    let keys = Scratch::new();
    let key = key(&keys);
    let scratch = Scratch::new();
    let log = log().replace("ratings.default.svc", "ratings.shop.svc");
    let log = scratch.write("web-7d9c5b8f4-x2k4p.log", log);
    let plain = all_outputs(&log, &[]);
    for name in NAMES {
        assert!(
            plain.iter().any(|(_, output)| names(output, name)),
            "{name} is in no output"
        );
    }
    for (words, output) in all_outputs(&log, &["--pseudonyms", &key]) {
        // `batch` calls incidents as they were given.
        let output = output.replace(&scratch.path().display().to_string(), "");
        for name in NAMES {
            assert!(!names(&output, name), "{words} shows {name}:\n{output}");
        }
    }
}

/// Every text of a document, but for members that hold texts of the catalogue.
fn texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| texts(one, all)),
        Value::Object(members) => {
            for (name, member) in members {
                if name != "documented_in" && name != "role" {
                    all.push(name.clone());
                    texts(member, all);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn pseudonyms_change_names_and_nothing_else() {
    let keys = Scratch::new();
    let key = key(&keys);
    for case in [
        "refused-app-port-mismatch",
        "grpc-denied",
        "bug-report-no-endpoints",
        "cert-expired-tls13",
    ] {
        let words = ["analyze", "-f", "json", "--no-run-info", "--streams"];
        let input = case_input(case);
        let plain = postmesh(&words, &[&input]).report();
        let renamed = postmesh(&[&words[..], &["--pseudonyms", &key]].concat(), &[&input]).report();
        for member in [
            "/verdict/state",
            "/verdict/cause",
            "/requests/by_code",
            "/requests/by_flag",
            "/window",
        ] {
            assert_eq!(plain.pointer(member), renamed.pointer(member), "{case} {member}");
        }
        assert_eq!(
            plain["findings"].as_array().unwrap().len(),
            renamed["findings"].as_array().unwrap().len()
        );
        let figures = |report: &Value| {
            let rows = report["requests"]["by_destination"].as_array().unwrap();
            rows.iter().map(|row| row["requests"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(figures(&plain), figures(&renamed));
        let mut all = Vec::new();
        texts(&renamed, &mut all);
        for node in plain["topology"]["nodes"].as_array().unwrap() {
            let name = node["name"].as_str().unwrap().split(['.', ':']).next().unwrap();
            let kept = ["unknown", "default", "istiod", "istio-ingressgateway"].contains(&name)
                || name.parse::<f64>().is_ok();
            let found = all
                .iter()
                .find(|text| names(text, name) && !kept && name != "details");
            assert_eq!(found, None, "{case}: {name}");
        }
        // Ids still belong together.
        let ids: Vec<&Value> = renamed["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| &f["id"])
            .collect();
        for step in renamed["steps"].as_array().unwrap() {
            for id in step["findings"].as_array().unwrap() {
                assert!(ids.contains(&id), "{case}: {id}");
            }
        }
    }
}

#[test]
fn the_same_key_gives_the_same_pseudonyms() {
    let keys = Scratch::new();
    let first = key(&keys);
    let other = keys
        .write("other.key", "another key for the same names")
        .display()
        .to_string();
    let input = case_input("refused-app-port-mismatch");
    let report = |key: &str, threads: &str| {
        let words = [
            "analyze",
            "-f",
            "json",
            "--no-run-info",
            "-j",
            threads,
            "--pseudonyms",
            key,
        ];
        postmesh(&words, &[&input]).stdout
    };
    assert_eq!(report(&first, "1"), report(&first, "3"));
    assert_ne!(report(&first, "1"), report(&other, "1"));
}

#[test]
fn a_key_must_be_one() {
    let keys = Scratch::new();
    let short = keys.write("short.key", "0123456789abcde").display().to_string();
    let input = case_input("refused-app-port-mismatch");
    for key in [short.as_str(), "/nowhere/at/all.key"] {
        let run = postmesh(&["analyze", "--pseudonyms", key], &[&input]);
        assert_eq!((run.status, run.stdout.len()), (2, 0), "{}", run.stderr);
    }
    assert!(
        postmesh(&["analyze", "--pseudonyms", &short], &[&input])
            .stderr
            .contains("at least 16")
    );
}

#[test]
fn the_map_is_for_its_owner() {
    let keys = Scratch::new();
    let key = key(&keys);
    let map = keys.write("map.tsv", "open to all").display().to_string();
    let words = [
        "analyze",
        "-f",
        "json",
        "--pseudonyms",
        &key,
        "--pseudonym-map",
        &map,
    ];
    let report = postmesh(&words, &[case_input("refused-app-port-mismatch")]).report();
    let written = std::fs::read_to_string(&map).unwrap();
    let pairs: Vec<(&str, &str)> = written
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    let (pseudonym, _) = pairs.iter().find(|(_, name)| *name == "ratings").unwrap();
    assert!(
        report["verdict"]["headline"]
            .as_str()
            .unwrap()
            .contains(pseudonym)
    );
    assert!(pairs.iter().any(|(_, name)| *name == "10.244.2.31"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&map).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

/// Every file below a folder: its path there, and what it holds.
fn files(folder: &Path, below: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let name = below.join(entry.as_ref().unwrap().file_name());
        if entry.unwrap().file_type().unwrap().is_dir() {
            files(folder, &name, all);
        } else {
            let content = std::fs::read(folder.join(&name)).unwrap();
            all.push((name.display().to_string(), content));
        }
    }
}

/// Recorded incidents whose inputs are logs alone.
const LOGS_ALONE: &[&str] = &[
    "bug-report-no-endpoints",
    "cert-expired-workload",
    "circuit-breaker-overflow",
    "control-plane-restart",
    "control-plane-unreachable",
    "grpc-backend-refused",
    "grpc-denied",
    "healthy-bookinfo",
    "healthy-noisy-app",
    "no-endpoints-scaled-to-zero",
    "rbac-denied",
    "refused-app-port-mismatch",
    "route-case-mismatch",
    "slow-deep-chain",
    "two-faults",
];

/// Labels and addresses that the report of an incident names.
fn named(report: &Value) -> std::collections::BTreeSet<String> {
    let mut named = std::collections::BTreeSet::new();
    let mut add = |name: &str| {
        for label in name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            let version = label
                .rsplit_once('-')
                .filter(|(_, v)| v.starts_with('v') && v.len() < 4);
            named.insert(version.map_or(label, |(base, _)| base).to_owned());
        }
    };
    for node in report["topology"]["nodes"].as_array().unwrap() {
        add(node["name"].as_str().unwrap());
    }
    for input in report["inputs"].as_array().unwrap() {
        add(input["pod"].as_str().unwrap_or_default());
        add(input["namespace"].as_str().unwrap_or_default());
    }
    // What belongs to the mesh or Kubernetes, what is a word of the program, numbers, versions.
    let kept = [
        "default",
        "unknown",
        "svc",
        "cluster",
        "local",
        "istiod",
        "istio-system",
        "istio-ingressgateway",
        "kube-system",
        "kube-dns",
        "input",
        "log",
        "istio-proxy",
        "gz",
    ];
    named.retain(|name| {
        name.len() > 2
            && !kept.contains(&name.as_str())
            && !name.starts_with("istiod-")
            && !name.starts_with("istio-ingressgateway-")
            && name.bytes().any(|byte| byte.is_ascii_alphabetic())
    });
    named
}

#[test]
fn redacted_logs_give_the_same_answer_and_hold_no_name() {
    let keys = Scratch::new();
    let key = key(&keys);
    for case in LOGS_ALONE {
        let input = case_input(case);
        let folder = Scratch::new();
        let out = folder.path().join("copies").display().to_string();
        let run = postmesh(&["redact", "-o", &out, "--pseudonyms", &key], &[&input]);
        assert_eq!(run.status, 0, "{case}: {}", run.stderr);
        let plain = postmesh(&["analyze", "-f", "json", "--no-run-info"], &[&input]).report();
        let copy = postmesh(&["analyze", "-f", "json", "--no-run-info"], &[&out]).report();
        for member in [
            "/verdict/state",
            "/verdict/cause",
            "/requests/total",
            "/requests/failed",
            "/requests/denied",
            "/requests/rows",
            "/requests/by_code",
            "/requests/by_flag",
            "/requests/by_protocol",
            "/requests/retries",
            "/requests/by_reporter",
            "/window",
            "/correlation/paired_proxies",
            "/correlation/unjoined_because",
        ] {
            assert_eq!(plain.pointer(member), copy.pointer(member), "{case} {member}");
        }
        let causes = |report: &Value| -> Vec<Value> {
            let findings = report["findings"].as_array().unwrap();
            let mut causes: Vec<_> = findings
                .iter()
                .map(|f| serde_json::json!([f["cause"], f["severity"], f["impact"], f["onset"], f["role"]]))
                .collect();
            causes.sort_by_key(Value::to_string);
            causes
        };
        assert_eq!(causes(&plain), causes(&copy), "{case}");
        // The scope is the same under the pseudonyms.
        let renamed = postmesh(
            &["analyze", "-f", "json", "--no-run-info", "--pseudonyms", &key],
            &[&input],
        )
        .report();
        for member in [
            "/findings/0/scope/source",
            "/findings/0/scope/destination",
            "/findings/0/scope/cluster",
        ] {
            assert_eq!(renamed.pointer(member), copy.pointer(member), "{case} {member}");
        }
        let mut written = Vec::new();
        files(Path::new(&out), Path::new(""), &mut written);
        let named = named(&plain);
        assert!(
            *case == "bug-report-no-endpoints" || named.len() > 3,
            "{case}: {named:?}"
        );
        for (path, content) in written {
            let content = String::from_utf8_lossy(&content);
            for name in &named {
                assert!(!names(&path, name), "{case}: {path} names {name}");
                let line = content.lines().find(|line| names(line, name));
                assert_eq!(line, None, "{case}: {path} names {name}");
            }
        }
    }
}
