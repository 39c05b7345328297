//! `diff` on recorded incidents, through the whole tool.

use serde_json::Value;
use std::path::Path;

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

fn json(args: &[&str]) -> (i32, Value) {
    let ran = run(&[args, &["--format", "json", "-q"]].concat());
    (
        ran.status,
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err)),
    )
}

/// The changes with these members.
fn with<'d>(diff: &'d Value, members: &[(&str, &str)]) -> Vec<&'d Value> {
    let fits = |change: &&Value| members.iter().all(|(name, value)| change[*name] == *value);
    diff["changes"].as_array().unwrap().iter().filter(fits).collect()
}

const RATINGS: &str = "ratings.default.svc.cluster.local:9080";

#[test]
fn an_incident_against_a_healthy_run() {
    let (healthy, refused) = (case("healthy-bookinfo"), case("refused-app-port-mismatch"));
    let (status, diff) = json(&["diff", &healthy, &refused]);
    assert_eq!((status, &diff["outcome"]), (1, &"worse".into()));
    assert_eq!(diff["schema"], "postmesh.diff/1");
    let first = &diff["changes"][0];
    assert_eq!(
        (&first["kind"], &first["status"], &first["severity"]),
        (&"finding".into(), &"new".into(), &"critical".into())
    );
    // The counts are those of the rows: see the case's expect.toml and README.md.
    let failed = with(
        &diff,
        &[
            ("kind", "destination"),
            ("name", RATINGS),
            ("reporter", "destination"),
        ],
    );
    let [failed] = failed[..] else {
        panic!("{failed:?}")
    };
    assert_eq!(
        (&failed["after"]["count"], &failed["after"]["of"]),
        (&447.into(), &704.into())
    );
    let bounds = &failed["difference"];
    let share = 447.0 / 704.0;
    assert!(bounds["low"].as_f64().unwrap() < share && share < bounds["high"].as_f64().unwrap());
    assert!(bounds["low"].as_f64().unwrap() > 0.5);
    assert_eq!(
        with(&diff, &[("kind", "flag"), ("name", "UF"), ("status", "new")]).len(),
        1
    );
    // Requests to other destinations did not change.
    let others = diff["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["kind"] == "destination" && c["name"] != RATINGS && c["metric"] != "presence");
    assert_eq!(others.count(), 0);
    let (status, back) = json(&["diff", &refused, &healthy]);
    assert_eq!((status, &back["outcome"]), (0, &"better".into()));
    assert_eq!(
        back["changes"].as_array().unwrap().len(),
        diff["changes"].as_array().unwrap().len()
    );
}

#[test]
fn saved_reports_compare_as_their_inputs_do() {
    let folder = tempfile::tempdir().unwrap();
    let saved = |name: &str| {
        let path = folder.path().join(format!("{name}.json"));
        let path = path.to_str().unwrap().to_owned();
        assert_eq!(run(&["-q", "--exit-zero", "-o", &path, &case(name)]).status, 0);
        path
    };
    let names = ["healthy-bookinfo", "refused-app-port-mismatch"];
    let (_, of_inputs) = json(&["diff", &case(names[0]), &case(names[1])]);
    let (_, of_reports) = json(&["diff", &saved(names[0]), &saved(names[1])]);
    let (_, mixed) = json(&["diff", &case(names[0]), &saved(names[1])]);
    for other in [&of_reports, &mixed] {
        assert_eq!(of_inputs["changes"], other["changes"]);
        assert_eq!(of_inputs["comparisons"], other["comparisons"]);
        assert_eq!(of_inputs["after"]["start"], other["after"]["start"]);
    }
}

#[test]
fn two_spans_of_one_incident() {
    let case = case("zero-window-stalled-receiver");
    let (status, diff) = json(&[
        "diff",
        &case,
        "--baseline",
        "..16:53:24",
        "--against",
        "16:53:25..16:53:40",
    ]);
    assert_eq!((status, &diff["outcome"]), (1, &"worse".into()));
    let slower = with(
        &diff,
        &[
            ("metric", "latency"),
            ("kind", "destination"),
            ("name", RATINGS),
            ("reporter", "source"),
        ],
    );
    let [slower] = slower[..] else {
        panic!("{slower:?}")
    };
    assert_eq!(slower["status"], "slower");
    let p99 = &slower["quantiles"][2];
    assert_eq!(p99["quantile"], 0.99);
    assert!(
        p99["before_ms"]["value"].as_f64().unwrap() < 100.0
            && p99["after_ms"]["value"].as_f64().unwrap() > 2000.0
    );
    assert!(slower["share_over"]["difference"]["low"].as_f64().unwrap() > 0.0);
    // Both spans are as asked for.
    assert!(diff["before"]["end"].as_str().unwrap() < "2026-11-22T16:53:24.1");
    assert!(diff["after"]["start"].as_str().unwrap() >= "2026-11-22T16:53:25");
}

#[test]
fn halves_of_a_healthy_run_do_not_differ() {
    for (name, split) in [
        ("healthy-bookinfo", "16:44:33"),
        ("healthy-noisy-app", "17:27:45"),
    ] {
        let case = case(name);
        let (before, after) = (format!("..{split}"), format!("{split}.."));
        let (status, diff) = json(&["diff", &case, "--baseline", &before, "--against", &after]);
        assert_eq!(status, 0, "{name}: {:#}", diff["changes"]);
        assert!(
            diff["before"]["rows"].as_u64().unwrap() > 20 && diff["after"]["rows"].as_u64().unwrap() > 20
        );
        assert!(diff["comparisons"].as_u64().unwrap() > 20);
    }
}

#[test]
fn connections_of_captures() {
    let (healthy, expired) = (case("healthy-bookinfo-captured"), case("cert-expired-captured"));
    let (status, diff) = json(&["diff", &healthy, &expired]);
    assert_eq!(status, 1, "{diff:#}");
    assert_eq!(
        with(
            &diff,
            &[("kind", "finding"), ("status", "new"), ("direction", "worse")]
        )
        .len(),
        1
    );
    // The same captures are no change.
    let (status, same) = json(&["diff", &expired, &expired]);
    assert_eq!((status, same["changes"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn too_little_is_no_all_clear() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    let row = "[2026-11-02T03:12:44.120Z] \"GET / HTTP/1.1\" 200 - via_upstream - \"-\" 0 1 1 1 \"-\" \"-\" \"-\" \"a\" \"10.0.0.1:1\" outbound|1||a 10.0.0.2:2 10.0.0.1:1 10.0.0.2:3 - default\n";
    std::fs::write(&log, row.repeat(5)).unwrap();
    let path = log.to_str().unwrap();
    let (status, diff) = json(&["diff", path, path]);
    assert_eq!((status, &diff["outcome"]), (3, &"too-little".into()));
    assert_eq!(json(&["diff", "--exit-zero", path, path]).0, 0);
}

#[test]
fn text_keeps_to_the_width_and_says_the_worst_first() {
    let (healthy, refused) = (case("healthy-bookinfo"), case("refused-app-port-mismatch"));
    for width in ["40", "80", "160"] {
        let ran = run(&["diff", &healthy, &refused, "--width", width]);
        assert_eq!(ran.status, 1, "{}", ran.err);
        let columns: usize = width.parse().unwrap();
        assert!(
            ran.out.lines().all(|line| line.chars().count() <= columns),
            "{}",
            ran.out
        );
        let at = |text: &str| {
            ran.out
                .find(text)
                .unwrap_or_else(|| panic!("{text}: {}", ran.out))
        };
        assert!(at(" WORSE ") < at("FINDINGS") && at("FINDINGS") < at("DIFFERENT"));
        assert!(!ran.out.chars().any(|c| c.is_control() && c != '\n'));
    }
    let ascii = run(&["diff", &healthy, &refused, "--ascii"]);
    assert!(ascii.out.is_ascii(), "{}", ascii.out);
}

#[test]
fn what_is_typed_wrongly() {
    let healthy = case("healthy-bookinfo");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("diff.json");
    std::fs::write(&other, "{\n  \"schema\": \"postmesh.inspect/1\"}").unwrap();
    for (args, hint) in [
        (&["diff", &healthy][..], "give two"),
        (&["diff", &healthy, &healthy, &healthy], "give two"),
        (&["diff", &healthy, "--baseline", "..16:44:33"], "--against"),
        (
            &["diff", &healthy, "--baseline", "x", "--against", "..16:44:33"],
            "expected START..END",
        ),
        (
            &[
                "diff",
                &healthy,
                "--baseline",
                "16:45..16:44",
                "--against",
                "..16:44:33",
            ],
            "is before",
        ),
        (
            &["diff", &healthy, other.to_str().unwrap()],
            "is no report of postmesh but postmesh.inspect/1",
        ),
        (&["diff", &healthy, "/nowhere"], "nothing could be read"),
    ] {
        let ran = run(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains(hint), "{args:?}: {}", ran.err);
    }
}
