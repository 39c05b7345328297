//! The counts of `corpora/count.py`, which shares no code with the engine, against the report's.

use postmesh::Options;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What both count in the same way: all rows, as they stand in the files.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Counts {
    rows: u64,
    tcp_connections: u64,
    by_code: BTreeMap<String, u64>,
    by_flag: BTreeMap<String, u64>,
    by_detail: BTreeMap<String, u64>,
}

impl Counts {
    fn by_python(files: &[PathBuf]) -> Self {
        let counter = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/count.py");
        let output = Command::new("python3").arg(counter).args(files).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "count.py {files:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn by_postmesh(files: &[PathBuf]) -> Self {
        let options = Options {
            paths: files.to_vec(),
            ..Options::default()
        };
        let requests = postmesh::analyze(&options).unwrap().requests;
        Self {
            rows: requests.rows,
            tcp_connections: requests.tcp_connections,
            by_code: requests.by_code,
            by_flag: requests.by_flag,
            by_detail: requests.by_detail,
        }
    }
}

/// True, with a word on standard error, if there is no Python to count with.
fn without_python() -> bool {
    let found = Command::new("python3").arg("--version").output();
    let missing = !found.is_ok_and(|output| output.status.success());
    if missing {
        eprintln!("skipped: there is no python3 to count with");
    }
    missing
}

/// The logs in a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.split('.').any(|part| part == "log")
        })
        .collect();
    logs.sort();
    logs
}

/// Compares all folders of logs below `cases`, `input` being the folder of a case's logs.
fn compare(cases: &Path, input: &str) {
    let mut compared = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let folder = entry.unwrap().path().join(input);
        if !folder.is_dir() {
            continue;
        }
        let logs = logs(&folder);
        if logs.is_empty() {
            // Captures only.
            continue;
        }
        let counted = Counts::by_python(&logs);
        assert!(counted.rows > 0, "no rows in {}", folder.display());
        assert_eq!(Counts::by_postmesh(&logs), counted, "{}", folder.display());
        compared += 1;
    }
    assert!(compared > 0, "no cases in {}", cases.display());
}

#[test]
fn an_independent_counter_agrees_on_the_corpora() {
    if !without_python() {
        compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora"), "input");
    }
}

/// More recordings than the repository holds, where `POSTMESH_SHARED` names a folder with `cases`.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that looks for further recordings; the rule is for the tool"
)]
fn an_independent_counter_agrees_on_further_recordings() {
    let Some(shared) = std::env::var_os("POSTMESH_SHARED") else {
        eprintln!("skipped: POSTMESH_SHARED is not set");
        return;
    };
    if !without_python() {
        compare(&PathBuf::from(shared).join("cases"), "");
    }
}
