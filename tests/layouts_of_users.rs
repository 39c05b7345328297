//! Access logs in a format of the user's own (`accessLogFormat`): read by its format string, which is typed, or found among the inputs.

use crate::archives::{add, gzip};
use crate::layouts::{fields, read};
use crate::running::{Scratch, case_input, list, postmesh, text};
use serde_json::Value;

/// A recorded incident that this repository has, with rows in Istio's text layout.
const CASE: &str = "refused-app-port-mismatch";

const TEXT: &str = "%START_TIME(%Y/%m/%d %H:%M:%S.%3f)% | %REQ(:AUTHORITY)% %REQ(:METHOD)% \"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%\" %PROTOCOL% | \
    rc=%RESPONSE_CODE% flags=%RESPONSE_FLAGS% details=%RESPONSE_CODE_DETAILS% end=%CONNECTION_TERMINATION_DETAILS% \
    why=\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" | in=%BYTES_RECEIVED% out=%BYTES_SENT% ms=%DURATION% \
    up=%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% | %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% | %DOWNSTREAM_LOCAL_ADDRESS% \
    %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% route:%ROUTE_NAME% id:%REQ(X-REQUEST-ID)% ua:\"%REQ(USER-AGENT)%\"";

/// A row as [`TEXT`] prints it.
fn as_text(line: &str) -> Option<String> {
    let fields = fields(line)?;
    let [
        start,
        method,
        path,
        protocol,
        code,
        flags,
        details,
        end,
        why,
        received,
        sent,
        duration,
        upstream,
        _,
        agent,
        id,
        authority,
        host,
        cluster,
        upstream_local,
        local,
        remote,
        sni,
        route,
    ] = fields.as_slice()
    else {
        return None;
    };
    let start = start.replace('-', "/").replace('T', " ").replace('Z', "");
    Some(format!(
        "{start} | {authority} {method} \"{path}\" {protocol} | rc={code} flags={flags} details={details} end={end} why=\"{why}\" | \
         in={received} out={sent} ms={duration} up={upstream} | {host} {cluster} {upstream_local} | {local} {remote} {sni} route:{route} \
         id:{id} ua:\"{agent}\""
    ))
}

const JSON: &str = r#"{"at":"%START_TIME%","req":"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%","rc":"%RESPONSE_CODE%","fl":"%RESPONSE_FLAGS%",
    "det":"%RESPONSE_CODE_DETAILS%","why":"%UPSTREAM_TRANSPORT_FAILURE_REASON%","in":"%BYTES_RECEIVED%","out":"%BYTES_SENT%",
    "ms":"%DURATION%","up":"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%","id":"%REQ(X-REQUEST-ID)%","host":"%REQ(:AUTHORITY)%",
    "to":"%UPSTREAM_HOST%","cl":"%UPSTREAM_CLUSTER%","ul":"%UPSTREAM_LOCAL_ADDRESS%","dl":"%DOWNSTREAM_LOCAL_ADDRESS%",
    "dr":"%DOWNSTREAM_REMOTE_ADDRESS%","sni":"%REQUESTED_SERVER_NAME%","rt":"%ROUTE_NAME%","cluster":"eu-1"}"#;

/// A row as [`JSON`] prints it.
fn as_json(line: &str) -> Option<String> {
    let fields = fields(line)?;
    let keys = [
        ("at", 0),
        ("rc", 4),
        ("fl", 5),
        ("det", 6),
        ("why", 8),
        ("in", 9),
        ("out", 10),
        ("ms", 11),
        ("up", 12),
        ("id", 15),
        ("host", 16),
        ("to", 17),
        ("cl", 18),
        ("ul", 19),
        ("dl", 20),
        ("dr", 21),
        ("sni", 22),
        ("rt", 23),
    ];
    let mut row: serde_json::Map<String, Value> = keys
        .iter()
        .filter_map(|(key, place)| Some(((*key).to_owned(), fields.get(*place)?.clone().into())))
        .collect();
    row.insert(
        "req".to_owned(),
        format!("{} {} {}", fields[1], fields[2], fields[3]).into(),
    );
    row.insert("cluster".to_owned(), "eu-1".into());
    Some(Value::Object(row).to_string())
}

/// Objects in objects, as collectors of logs want them; flags by their long names.
const NESTED: &str = r#"{"time":"%START_TIME%","httpRequest":{"requestMethod":"%REQ(:METHOD)%","requestUrl":"%REQ(:AUTHORITY)%%REQ(:PATH)%",
    "path":"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%","host":"%REQ(:AUTHORITY)%","protocol":"%PROTOCOL%","status":"%RESPONSE_CODE%",
    "size":{"in":"%BYTES_RECEIVED%","out":"%BYTES_SENT%"},"latency":"%DURATION%ms","upstream":"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"},
    "envoy":{"flags":"%RESPONSE_FLAGS_LONG%","details":"%RESPONSE_CODE_DETAILS%","failure":"%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "cluster":"%UPSTREAM_CLUSTER%","route":"%ROUTE_NAME%","sni":"%REQUESTED_SERVER_NAME%","addresses":{"host":"%UPSTREAM_HOST%",
    "from":"%UPSTREAM_LOCAL_ADDRESS%","local":"%DOWNSTREAM_LOCAL_ADDRESS%","remote":"%DOWNSTREAM_REMOTE_ADDRESS%"}},
    "trace":"%REQ(X-REQUEST-ID)%"}"#;

/// A row as [`NESTED`] prints it.
fn as_nested(line: &str) -> Option<String> {
    let fields = fields(line)?;
    let of = |place: usize| fields.get(place).cloned().unwrap_or_default();
    let flags = match of(5).as_str() {
        "UF" => "UpstreamConnectionFailure".to_owned(),
        "URX" => "UpstreamRetryLimitExceeded".to_owned(),
        other => other.to_owned(),
    };
    let row = serde_json::json!({"time": of(0), "trace": of(15),
        "httpRequest": {"requestMethod": of(1), "requestUrl": of(16) + &of(2), "path": of(2), "host": of(16), "protocol": of(3), "status": of(4),
            "size": {"in": of(9), "out": of(10)}, "latency": of(11) + "ms", "upstream": of(12)},
        "envoy": {"flags": flags, "details": of(6), "failure": of(8), "cluster": of(18), "route": of(23), "sni": of(22),
            "addresses": {"host": of(17), "from": of(19), "local": of(20), "remote": of(21)}}});
    Some(row.to_string())
}

/// The logs of the incident with each row written otherwise, and how many rows these are.
fn written(row: impl Fn(&str) -> Option<String>) -> (Scratch, usize) {
    let scratch = Scratch::new();
    let mut rows = 0;
    for entry in std::fs::read_dir(case_input(CASE)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.contains(".log") {
            continue;
        }
        let mut log = String::new();
        for line in read(&path).lines() {
            let other = row(line);
            rows += usize::from(other.is_some());
            log += other.as_deref().unwrap_or(line);
            log.push('\n');
        }
        scratch.write(name.trim_end_matches(".gz"), log);
    }
    assert!(rows > 1000, "{rows}");
    (scratch, rows)
}

/// All that rows say, without where they stand.
fn told(report: &Value) -> [Value; 4] {
    [
        report["requests"]["by_destination"].clone(),
        report["requests"]["by_code"].clone(),
        report["requests"]["by_flag"].clone(),
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| format!("{} {} {}", finding["cause"], finding["impact"], finding["scope"]))
            .collect::<Vec<_>>()
            .into(),
    ]
}

fn analyze(scratch: &Scratch, words: &[&str]) -> Value {
    let all: Vec<&str> = ["analyze", "--format", "json", "--no-run-info"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    postmesh(&all, &[scratch.path()]).report()
}

fn recorded() -> Value {
    let (scratch, _) = written(|line| fields(line).map(|_| line.to_owned()));
    scratch.report()
}

/// A mesh configuration as `kubectl get configmap istio -o yaml` prints it.
fn mesh(format: &str) -> String {
    let lines: Vec<String> = format.lines().map(|line| format!("      {line}")).collect();
    let indented = lines.join("\n");
    format!(
        "apiVersion: v1\ndata:\n  mesh: |-\n    accessLogFile: /dev/stdout\n    accessLogFormat: |\n{indented}\n    rootNamespace: istio-system\n\
         \x20 meshNetworks: 'networks: {{}}'\nkind: ConfigMap\nmetadata:\n  name: istio\n  namespace: istio-system\n"
    )
}

#[test]
fn a_format_that_is_typed() {
    let recorded = recorded();
    for (format, row) in [
        (TEXT, as_text as fn(&str) -> Option<String>),
        (JSON, as_json as fn(&str) -> Option<String>),
        (NESTED, as_nested as fn(&str) -> Option<String>),
    ] {
        let (scratch, rows) = written(row);
        let report = analyze(&scratch, &["--access-log-format", format]);
        assert_eq!(told(&report), told(&recorded), "{format}");
        assert_eq!(
            list(&report, "/access_log_formats")[0]["refs"],
            serde_json::json!([])
        );
        let custom = list(&report, "/inputs").iter().map(|input| {
            assert_eq!(text(input, "/format"), "custom");
            input["records"].as_u64().unwrap_or_default()
        });
        assert!(custom.sum::<u64>() >= rows as u64);
        // From a file; in small blocks; by several workers.
        let file = Scratch::with("format.txt", format!("{format}\n"));
        let typed = format!("@{}", file.path().join("format.txt").display());
        for more in [["--block-size", "4096"], ["--threads", "3"]] {
            let words = ["--access-log-format", &typed, more[0], more[1]];
            assert_eq!(analyze(&scratch, &words), report, "{more:?}");
        }
    }
}

#[test]
fn a_format_that_the_mesh_configuration_among_the_inputs_gives() {
    let recorded = recorded();
    for (format, row) in [
        (TEXT, as_text as fn(&str) -> Option<String>),
        (JSON, as_json as fn(&str) -> Option<String>),
        (NESTED, as_nested as fn(&str) -> Option<String>),
    ] {
        let (scratch, _) = written(row);
        let before = scratch.report();
        assert_eq!(text(&before, "/verdict/state"), "not-enough");
        let hint = list(&before, "/missing")
            .iter()
            .any(|missing| text(missing, "/why_it_matters").contains("--access-log-format"));
        assert!(hint, "{:#}", before["missing"]);
        scratch.write("mesh.yaml", mesh(format));
        let report = scratch.report();
        assert_eq!(told(&report), told(&recorded), "{format}");
        let [said] = list(&report, "/access_log_formats") else {
            panic!("{format}")
        };
        let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(spaces(text(said, "/format")), spaces(format));
        let input = usize::try_from(said["refs"][0]["input"].as_u64().unwrap()).unwrap();
        assert!(text(&list(&report, "/inputs")[input], "/path").ends_with("mesh.yaml"));
        let page = postmesh(&["analyze", "--width", "100", "--exit-zero"], &[scratch.path()]);
        let page = String::from_utf8(page.stdout).unwrap();
        assert!(page.contains("custom   as mesh.yaml:"), "{page}");
    }
}

#[test]
fn a_format_of_a_provider_of_logs_in_a_list_of_objects() {
    let mut plain: serde_json::Map<String, Value> = serde_json::from_str(JSON).unwrap();
    plain.retain(|_, value| value.as_str().is_some_and(|text| text.contains('%')));
    let nested: serde_json::Map<String, Value> = serde_json::from_str(NESTED).unwrap();
    for (labels, row) in [
        (plain, as_json as fn(&str) -> Option<String>),
        (nested, as_nested),
    ] {
        let (scratch, _) = written(row);
        let mesh = serde_json::json!({"extensionProviders": [{"name": "ours", "envoyFileAccessLog": {"logFormat": {"labels": labels}}}]});
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "shop"}, "data": {"mesh": "none: ["}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": mesh.to_string()}},
        ]});
        scratch.write("configmaps.json", serde_json::to_string_pretty(&list).unwrap());
        assert_eq!(told(&scratch.report()), told(&recorded()));
    }
}

#[test]
fn a_format_in_the_configuration_of_a_proxy() {
    for (format, member, row) in [
        (
            Value::from(TEXT),
            "text_format_source",
            as_text as fn(&str) -> Option<String>,
        ),
        (serde_json::from_str(JSON).unwrap(), "json_format", as_json),
        (serde_json::from_str(NESTED).unwrap(), "json_format", as_nested),
    ] {
        let (scratch, _) = written(row);
        let format = match member {
            "json_format" => format,
            _ => serde_json::json!({"inline_string": format}),
        };
        let listener = serde_json::json!({"name": "virtualOutbound", "access_log": [
            {"name": "envoy.access_loggers.file", "typed_config": {"path": "/dev/stdout", "log_format": {member: format}}}]});
        let dump = serde_json::json!({"configs": [
            {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": [
                {"name": "virtualOutbound", "active_state": {"listener": listener}}]}]});
        scratch.write("config_dump.json", serde_json::to_string_pretty(&dump).unwrap());
        assert_eq!(told(&scratch.report()), told(&recorded()), "{member}");
    }
}

#[test]
fn the_format_is_found_in_an_archive_that_is_read_in_order() {
    let (scratch, _) = written(as_text);
    scratch.write("mesh.yaml", mesh(TEXT));
    let mut names: Vec<_> = std::fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // Logs stand before and after the configuration.
    names.sort();
    let mut tar = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        add(&mut tar, name, &std::fs::read(&path).unwrap());
    }
    tar.resize(tar.len() + 1024, 0);
    let archive = Scratch::with("bundle.tar.gz", gzip(&tar));
    assert_eq!(told(&archive.report()), told(&recorded()));
}

#[test]
fn a_known_format_in_the_mesh_configuration_changes_nothing() {
    let (scratch, _) = written(|line| fields(line).map(|_| line.to_owned()));
    let before = scratch.report();
    scratch.write(
        "mesh.yaml",
        mesh("[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
              %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% \
              %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
              \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
              %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"),
    );
    let after = scratch.report();
    assert_eq!(told(&after), told(&before));
    let formats: Vec<&str> = list(&after, "/inputs")
        .iter()
        .map(|input| text(input, "/format"))
        .collect();
    assert!(
        formats.contains(&"istio-text") && !formats.contains(&"custom"),
        "{formats:?}"
    );
}

#[test]
fn a_second_look_reads_the_same_rows() {
    let (scratch, _) = written(as_text);
    scratch.write("mesh.yaml", mesh(TEXT));
    let log = std::fs::read_to_string(scratch.path().join("productpage-v1.istio-proxy.log")).unwrap();
    let failed = log.lines().find(|line| line.contains("rc=503")).unwrap();
    let id = failed.split("id:").nth(1).unwrap().split(' ').next().unwrap();
    let traced = postmesh(&["trace", "--request", id], &[scratch.path()]);
    assert_eq!(traced.status, 0, "{}", traced.stderr);
    let ladder = String::from_utf8(traced.stdout).unwrap();
    assert!(ladder.contains("503"), "{ladder}");
    let slice = Scratch::new();
    let small = slice.path().join("small");
    let out = ["slice", "--output", small.to_str().unwrap()];
    let sliced = postmesh(&out, &[scratch.path()]);
    assert_eq!(sliced.status, 0, "{}", sliced.stderr);
    let report = crate::running::analyze(&[&small]).report();
    assert_eq!(text(&report, "/findings/0/cause"), "upstream-connection-refused");
}

#[test]
fn what_is_no_format_is_said_with_its_place() {
    let log = Scratch::with("web.log", "x\n");
    for (format, what) in [
        ("%RESPONSE_CODE", "at byte 0: an operator without its closing %"),
        ("code %RESPONSE_CODE%%DURATION%", "nothing between them"),
        ("code", "no operator that says anything of a request"),
        ("@/nowhere/format", "/nowhere/format"),
    ] {
        let run = postmesh(&["analyze", "--access-log-format", format], &[log.path()]);
        assert_eq!(run.status, 2, "{format}");
        assert!(run.stderr.contains(what), "{format}: {}", run.stderr);
    }
}

#[test]
fn a_format_that_cannot_be_used_is_told_with_its_place() {
    let (scratch, _) = written(as_text);
    scratch.write("mesh.yaml", mesh("%START_TIME%%RESPONSE_CODE%"));
    let report = scratch.report();
    let inputs = list(&report, "/inputs").iter();
    let problems: Vec<&Value> = inputs.flat_map(|input| list(input, "/problems")).collect();
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(problem["line"], 3, "{problem}");
    assert!(
        text(problem, "/what").contains("nothing between them"),
        "{problem}"
    );
}
