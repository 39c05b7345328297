//! Runs the built program and reads what it printed.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// The report on standard output.
    pub(crate) fn report(&self) -> Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(report) => report,
            Err(error) => panic!(
                "no report ({error}); status {}; standard error:\n{}",
                self.status, self.stderr
            ),
        }
    }
}

/// `postmesh analyze --format json --no-run-info PATHS`, which must not panic.
pub(crate) fn analyze<P: AsRef<OsStr>>(paths: &[P]) -> Run {
    postmesh(&["analyze", "--format", "json", "--no-run-info"], paths)
}

/// `postmesh WORDS PATHS`, which must not panic.
pub(crate) fn postmesh<P: AsRef<OsStr>>(words: &[&str], paths: &[P]) -> Run {
    let output = assert_cmd::cargo::cargo_bin_cmd!("postmesh")
        .args(words)
        .args(paths)
        .output()
        .unwrap();
    let run = Run {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!run.stderr.contains("panicked at"), "panic:\n{}", run.stderr);
    assert!(
        (0..=3).contains(&run.status),
        "status {} is none of ours:\n{}",
        run.status,
        run.stderr
    );
    run
}

/// A folder that goes away with the test.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With one file.
    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let scratch = Self::new();
        scratch.write(name, content);
        scratch
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The report on the whole folder.
    pub(crate) fn report(&self) -> Value {
        analyze(&[self.path()]).report()
    }
}

/// The inputs of a recorded incident.
pub(crate) fn case_input(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(case)
        .join("input")
}

/// The number at a path of keys; a missing one is named.
pub(crate) fn number(report: &Value, pointer: &str) -> u64 {
    match report.pointer(pointer).and_then(Value::as_u64) {
        Some(number) => number,
        None => panic!("{pointer} is no count but {:?}", report.pointer(pointer)),
    }
}

/// The elements of the array at a path of keys.
pub(crate) fn list<'a>(report: &'a Value, pointer: &str) -> &'a [Value] {
    match report.pointer(pointer).and_then(Value::as_array) {
        Some(elements) => elements,
        None => panic!("{pointer} is no array but {:?}", report.pointer(pointer)),
    }
}

/// The text at a path of keys, empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
