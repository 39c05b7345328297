//! Logs as collectors and stores of logs give them: one object of JSON a line, or the names of pod and container before it.

use crate::layouts::{KEYS, fields, read};
use crate::running::{Scratch, case_input, list, number, postmesh, text};
use serde_json::{Value, json};

/// A recorded incident that this repository has, with rows in Istio's text layout.
const CASE: &str = "refused-app-port-mismatch";

/// The lines of the incident, each with its pod, all pods mixed as a store of logs gives them.
fn lines() -> Vec<(String, String)> {
    let mut logs: Vec<(String, Vec<String>)> = std::fs::read_dir(case_input(CASE))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let pod = name
                .split(".istio-proxy.log")
                .next()
                .filter(|pod| *pod != name)?
                .to_owned();
            Some((pod, read(&path).lines().map(str::to_owned).collect()))
        })
        .collect();
    logs.sort();
    let longest = logs.iter().map(|(_, lines)| lines.len()).max().unwrap();
    (0..longest)
        .flat_map(|number| {
            let of_all = logs.iter();
            of_all.filter_map(move |(pod, lines)| Some((pod.clone(), lines.get(number)?.clone())))
        })
        .collect()
}

fn collected(wrap: impl Fn(&str, &str) -> String) -> Scratch {
    let all: Vec<String> = lines().iter().map(|(pod, line)| wrap(pod, line)).collect();
    Scratch::with("export.jsonl", all.join("\n") + "\n")
}

/// All that the rows say, and what was concluded; not where they stand.
fn told(report: &Value) -> [Value; 5] {
    let findings = list(report, "/findings").iter();
    let findings =
        findings.map(|finding| format!("{} {} {}", finding["cause"], finding["impact"], finding["scope"]));
    [
        report["requests"]["by_destination"].clone(),
        report["requests"]["by_code"].clone(),
        report["requests"]["by_source"].clone(),
        report["latency"].clone(),
        findings.collect::<Vec<_>>().into(),
    ]
}

fn recorded() -> Value {
    let scratch = Scratch::new();
    for (pod, _) in lines() {
        let path = scratch.path().join(format!("{pod}.istio-proxy.log"));
        if !path.exists() {
            let log: Vec<String> = lines()
                .into_iter()
                .filter(|(of, _)| *of == pod)
                .map(|(_, line)| line)
                .collect();
            std::fs::write(path, log.join("\n") + "\n").unwrap();
        }
    }
    scratch.report()
}

/// A row in Istio's JSON encoding.
fn as_json(line: &str) -> Option<Value> {
    let row = KEYS.iter().zip(fields(line)?).filter(|(_, value)| value != "-");
    Some(Value::Object(
        row.map(|(key, value)| ((*key).to_owned(), value.into()))
            .collect(),
    ))
}

/// A line of a pod, written at a time, as it is collected.
type Form = fn(&str, &str, &str) -> String;

#[test]
fn what_collectors_and_stores_write_says_the_same() {
    let recorded = recorded();
    let at = "2026-11-22T16:50:00.000Z";
    let forms: [(&str, &str, Form); 8] = [
        ("fluent bit", "json", |pod, line, _| {
            json!({"date": 1.5, "stream": "stdout", "log": format!("{line}\n"), "kubernetes": {"pod_name": pod, "namespace_name": "default",
                "container_name": "istio-proxy", "labels": {"app": "x"}}})
            .to_string()
        }),
        ("vector", "json", |pod, line, at| {
            json!({"file": "/var/log/pods/x", "kubernetes": {"pod_name": pod, "pod_namespace": "default", "container_name": "istio-proxy"},
                "message": line, "source_type": "kubernetes_logs", "stream": "stdout", "timestamp": at})
            .to_string()
        }),
        ("loki", "json", |pod, line, at| {
            json!({"labels": {"pod": pod, "namespace": "default", "container": "istio-proxy"}, "line": line, "timestamp": at}).to_string()
        }),
        ("elastic", "json", |pod, line, at| {
            json!({"_index": "i", "_source": {"@timestamp": at, "message": line, "kubernetes": {"pod": {"name": pod}, "namespace": "default",
                "container": {"name": "istio-proxy"}}}})
            .to_string()
        }),
        ("google cloud", "json", |pod, line, at| {
            let payload = match as_json(line) {
                Some(row) => ("jsonPayload", row),
                None => ("textPayload", line.into()),
            };
            json!({"insertId": "i", payload.0: payload.1, "resource": {"type": "k8s_container", "labels": {"pod_name": pod,
                "namespace_name": "default", "container_name": "istio-proxy"}}, "severity": "INFO", "timestamp": at})
            .to_string()
        }),
        ("fluent bit that merges rows", "", |pod, line, _| {
            let mut row = as_json(line).unwrap_or_else(|| json!({"log": line}));
            row["kubernetes"] =
                json!({"pod_name": pod, "namespace_name": "default", "container_name": "istio-proxy"});
            row.to_string()
        }),
        ("fluent bit with rows of JSON", "json", |pod, line, _| {
            let line = as_json(line).map_or_else(|| line.to_owned(), |row| row.to_string());
            json!({"log": line, "kubernetes": {"pod_name": pod, "namespace_name": "default", "container_name": "istio-proxy"}}).to_string()
        }),
        ("stern", "stern", |pod, line, _| {
            format!("{pod} istio-proxy {line}")
        }),
    ];
    for (name, wrapper, form) in forms {
        let scratch = collected(|pod, line| form(pod, line, at));
        let report = scratch.report();
        assert_eq!(told(&report), told(&recorded), "{name}");
        let [input] = list(&report, "/inputs") else {
            panic!("{name}")
        };
        assert_eq!(input["rejected"], 0, "{name}");
        let wrappers: Vec<&str> = input["wrapper"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(wrappers.join(","), wrapper, "{name}");
        for more in [["--block-size", "4096"], ["--threads", "3"]] {
            let words = ["analyze", "--format", "json", "--no-run-info", more[0], more[1]];
            assert_eq!(
                postmesh(&words, &[scratch.path()]).report(),
                report,
                "{name} {more:?}"
            );
        }
    }
}

/// One document of entries, as programs of stores print it: over several lines, an entry a line, in one line.
#[test]
fn documents_of_entries_say_the_same() {
    let recorded = recorded();
    let of_cloud = |(pod, line): (String, String)| {
        json!({"insertId": "i", "resource": {"labels": {"pod_name": pod, "namespace_name": "default", "container_name": "istio-proxy"}},
            "textPayload": line})
    };
    let entries: Vec<Value> = lines().into_iter().map(of_cloud).collect();
    let of_search = |(pod, line): (String, String)| json!({"_index": "i", "_source": {"message": line, "kubernetes": {"pod": {"name": pod}, "namespace": "default"}}});
    let hits: Vec<Value> = lines().into_iter().map(of_search).collect();
    let search = json!({"took": 1, "hits": {"total": {"value": 1}, "hits": hits}});
    let one_a_line: Vec<String> = entries.iter().map(Value::to_string).collect();
    for document in [
        serde_json::to_string_pretty(&entries).unwrap(),
        format!("[\n{}\n]\n", one_a_line.join(",\n")),
        serde_json::to_string_pretty(&search).unwrap(),
        search.to_string(),
    ] {
        let scratch = Scratch::with("export.json", &document);
        let report = scratch.report();
        let head = document.get(..60).unwrap();
        assert_eq!(told(&report), told(&recorded), "{head}");
        let first = &list(&report, "/findings/0/evidence/0/refs")[0];
        let cited = document
            .lines()
            .nth(usize::try_from(number(first, "/line")).unwrap() - 1)
            .unwrap();
        let at = usize::try_from(number(first, "/offset_bytes")).unwrap();
        assert!(
            cited.contains('{') && document.get(at..).unwrap().starts_with('{'),
            "{head}"
        );
        let row = document.get(at..at + 1000).unwrap();
        assert!(row.contains(" 503 "), "{row}");
        // What was cut off is told, and what stands before is used.
        let half = document.get(..document.len() / 2).unwrap();
        let report = Scratch::with("export.json", half).report();
        assert!(number(&report, "/requests/rows") > 1000, "{head}");
        let [problem] = list(&report, "/inputs/0/problems") else {
            panic!("{head}")
        };
        assert!(text(problem, "/what").contains("cut off"), "{problem}");
    }
}

/// An export of a namespace has the lines of all containers: applications accuse nobody, and istiod's are its own.
#[test]
fn other_containers_are_what_they_are() {
    let of = |pod: &str, container: &str, line: &str| {
        json!({"kubernetes": {"pod_name": pod, "namespace_name": "default", "container_name": container}, "log": line}).to_string()
    };
    let mut all: Vec<String> = lines()
        .iter()
        .map(|(pod, line)| of(pod, "istio-proxy", line))
        .collect();
    for number in 0..20 {
        all.push(of(
            "ratings-v1",
            "ratings",
            &format!("2026-11-22T16:44:40.{number:03}Z ERROR connect: Connection refused"),
        ));
        all.push(of("details-v1", "details", "started"));
        all.push(of(
            "istiod-7d",
            "discovery",
            "2026-11-22T16:44:41.000000Z\tinfo\tads\tADS: new connection for node:web-1",
        ));
    }
    let report = Scratch::with("export.jsonl", all.join("\n")).report();
    let [input] = list(&report, "/inputs") else {
        panic!("one input")
    };
    assert_eq!(number(input, "/records_by_kind/app-log"), 40);
    assert_eq!(number(input, "/records_by_kind/istiod-log"), 20);
    assert_eq!(number(input, "/application/errors"), 20);
    assert_eq!(input["rejected"], 0);
    assert_eq!(told(&report), told(&recorded()));
    let said = list(&report, "/findings/0/evidence").iter().any(|evidence| {
        text(evidence, "/text").starts_with("the application in ratings-v1 wrote 20 error lines")
    });
    assert!(said, "{:#}", report["findings"][0]["evidence"]);
}

#[test]
fn lines_are_selected_by_their_namespace_and_pod() {
    let scratch = collected(|pod, line| {
        let namespace = if pod.starts_with("ratings") {
            "shop"
        } else {
            "other"
        };
        json!({"log": line, "kubernetes": {"pod_name": pod, "namespace_name": namespace, "container_name": "istio-proxy"}}).to_string()
    });
    let recorded = recorded();
    let kept = |words: &[&str]| {
        let all = ["analyze", "--format", "json", "--no-run-info"];
        let all: Vec<&str> = all.iter().chain(words).copied().collect();
        postmesh(&all, &[scratch.path()]).report()
    };
    let of_shop = kept(&["-n", "shop"]);
    let of_ratings = kept(&["--pod", "ratings-v1"]);
    assert_eq!(of_shop["requests"], of_ratings["requests"]);
    assert_eq!(
        list(&of_shop, "/inputs/0/problems").len(),
        0,
        "the lines say their namespaces"
    );
    let rows = |report: &Value| number(report, "/requests/rows");
    assert!(rows(&of_shop) > 100 && rows(&of_shop) < rows(&recorded));
    assert_eq!(rows(&kept(&["-n", "shop", "-n", "other"])), rows(&recorded));
}

#[test]
fn a_request_is_traced_from_pod_to_pod() {
    let entry = |pod: &str, line: &str| json!({"labels": {"pod": pod, "namespace": "default"}, "line": line});
    let of_lines = collected(|pod, line| entry(pod, line).to_string());
    let entries: Vec<Value> = lines().iter().map(|(pod, line)| entry(pod, line)).collect();
    let of_document = Scratch::with("export.json", serde_json::to_string_pretty(&entries).unwrap());
    let failed = lines()
        .into_iter()
        .find(|(_, line)| line.contains(" 503 URX "))
        .unwrap()
        .1;
    let id = &fields(&failed).unwrap()[15];
    for scratch in [&of_lines, &of_document] {
        let words = ["trace", "--format", "json", "--request", id];
        let traced = postmesh(&words, &[scratch.path()]).report();
        let participants = list(&traced, "/participants").iter();
        let mut names: Vec<&str> = participants.map(|one| text(one, "/name")).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "app of productpage-v1",
                "app of ratings-v1",
                "productpage-v1",
                "ratings-v1"
            ]
        );
    }
}

#[test]
fn redacted_copies_hold_none_of_the_names() {
    let scratch = collected(|pod, line| {
        json!({"log": line, "kubernetes": {"pod_name": pod, "namespace_name": "backoffice", "container_name": "istio-proxy",
            "labels": {"app": "storefront"}, "host": "worker-eu-7"}})
        .to_string()
    });
    let copies = Scratch::new();
    let folder = copies.path().join("copies");
    let key = Scratch::with("key", "a key of more than sixteen bytes\n");
    let key = key.path().join("key").display().to_string();
    let words = [
        "redact",
        "--pseudonyms",
        &key,
        "--output",
        folder.to_str().unwrap(),
    ];
    let run = postmesh(&words, &[scratch.path()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let file = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let copy = std::fs::read_to_string(&file).unwrap();
    for name in [
        "ratings",
        "productpage",
        "reviews",
        "details",
        "backoffice",
        "storefront",
        "worker-eu",
    ] {
        assert!(!copy.contains(name), "{name}");
    }
    let report = crate::running::analyze(&[&folder]).report();
    assert_eq!(text(&report, "/findings/0/cause"), "upstream-connection-refused");
}

/// Where who collected the lines knows the namespace, commands have it, also where no name of a service says it.
#[test]
fn commands_name_the_namespace() {
    let row = |number: u32| {
        let line = format!(
            "[2026-11-22T16:44:{:02}.000Z] \"GET /x HTTP/1.1\" 404 NR route_not_found - \"-\" 0 0 0 - \"-\" \"curl\" \"id-{number}\" \"api.example.com\" \"-\" - - 10.0.0.7:80 10.0.0.9:40000 - -",
            number % 60
        );
        json!({"labels": {"pod": "web-6c9d7f-x2x4z", "namespace": "shop", "container": "istio-proxy"}, "line": line}).to_string()
    };
    let rows: Vec<String> = (0..60).map(row).collect();
    let report = Scratch::with("loki.jsonl", rows.join("\n")).report();
    let commands = list(&report, "/findings/0/next/check").iter();
    let commands: Vec<String> = commands.map(ToString::to_string).collect();
    assert!(
        commands.iter().any(|command| command.contains("-n shop")),
        "{commands:#?}"
    );
}
