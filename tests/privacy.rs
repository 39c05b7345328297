//! What must not leave with a report: credentials and what people typed.

use crate::running::{Scratch, case_input, postmesh};
use std::ffi::OsStr;

const VALUE: &str = "S3cr3tV4lue";

/// A recorded incident in whose lines are secrets: in the paths of all requests, in component lines, in the log of an
/// application, in lines that nobody understands.
fn leaking() -> Scratch {
    let scratch = Scratch::new();
    for name in ["productpage-v1", "ratings-v1"] {
        let name = format!("{name}.istio-proxy.log");
        let log = std::fs::read_to_string(case_input("refused-app-port-mismatch").join(&name)).unwrap();
        let log = log.replace(" HTTP/", &format!("?user=9&token={VALUE} HTTP/"));
        assert!(log.contains(VALUE));
        let more = format!(
            "2026-11-22T16:00:00.000000Z\terror\tenvoy http external/x.cc:1\t'authorization', 'Bearer {VALUE}{VALUE}'\tthread=15\n\
             2026-11-22T16:00:00.000000Z\terror\tcitadelclient\tfailed to sign CSR: create certificate: password={VALUE}\n\
             no line of anybody api_key={VALUE}\n"
        );
        scratch.write(&format!("in/{name}"), log + &more);
    }
    scratch.write(
        "in/app.log",
        format!(
            "2026-11-22T16:00:00Z ERROR login failed: connection refused redis://app:{VALUE}@cache:6379\n"
        )
        .repeat(9),
    );
    scratch
}

fn output(words: &[&str], paths: &[&OsStr]) -> String {
    let run = postmesh(words, paths);
    assert_ne!(run.status, 2, "{words:?}: {}", run.stderr);
    String::from_utf8(run.stdout).unwrap() + &run.stderr
}

#[test]
fn no_command_shows_a_secret_unless_it_is_asked_to() {
    let scratch = leaking();
    let folder = scratch.path().join("in");
    let at = [folder.as_os_str()];
    let page = scratch.path().join("page.html");
    let request = {
        let log = std::fs::read_to_string(folder.join("productpage-v1.istio-proxy.log")).unwrap();
        let row = log.lines().find(|line| line.starts_with('[')).unwrap().to_owned();
        row.split('"').nth(9).unwrap().to_owned()
    };
    let runs: Vec<Vec<&str>> = vec![
        vec!["analyze"],
        vec!["analyze", "--format", "json"],
        vec!["analyze", "--format", "markdown"],
        vec!["analyze", "--format", "html"],
        vec!["analyze", "--output", page.to_str().unwrap()],
        vec!["inspect"],
        vec!["inspect", "--format", "json"],
        vec![
            "show",
            "--ref",
            "productpage-v1.istio-proxy.log:9",
            "--context",
            "900",
            "--full",
        ],
        vec!["show", "--format", "json", "--ref", "app.log:2"],
        vec!["trace", "--request", &request],
        vec!["trace", "--format", "json", "--request", &request],
        vec!["export", "--table", "requests"],
        vec!["export", "--table", "signatures", "--format", "csv"],
        vec!["batch", "--format", "json"],
    ];
    let mut shown = 0;
    for words in &runs {
        assert!(!output(words, &at).contains(VALUE), "{words:?}");
        let open = output(&[words.as_slice(), &["--show-secrets"]].concat(), &at);
        shown += usize::from(open.contains(VALUE));
    }
    assert!(shown >= 5, "only {shown} commands would have shown one");
    let written = std::fs::read_to_string(page).unwrap();
    assert!(
        written.contains(VALUE),
        "the last page was written with --show-secrets"
    );
    let text = output(&["analyze"], &at);
    assert!(text.contains("--show-secrets"), "it says that values are masked");
}

#[test]
fn a_verdict_does_not_depend_on_what_is_masked() {
    let scratch = leaking();
    let at = [scratch.path().join("in").into_os_string()];
    let verdict = |words: &[&str]| {
        let run = postmesh(words, &at);
        run.report().pointer("/verdict").unwrap().clone()
    };
    let plain = ["analyze", "--format", "json"];
    assert_eq!(
        verdict(&plain),
        verdict(&[&plain[..], &["--show-secrets"]].concat())
    );
}
