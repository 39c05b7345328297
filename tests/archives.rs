//! Archives of recorded incidents: the same answer as from the folder, however they are packed, and what is missing of
//! them named.

use crate::running::{analyze, case_input, list, postmesh, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn add(tar: &mut Vec<u8>, name: &str, body: &[u8]) {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend(header);
    tar.extend_from_slice(body);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The inputs of a case as a tar archive, in the order of their names.
fn tar_of(case: &str) -> Vec<u8> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(case_input(case))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut tar = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        add(&mut tar, name, &std::fs::read(&file).unwrap());
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Findings, requests and captures: all that does not depend on numbers and names of inputs.
fn substance(report: &Value) -> Vec<Value> {
    let mut findings = report["findings"].clone();
    for finding in findings.as_array_mut().unwrap() {
        for evidence in finding["evidence"].as_array_mut().unwrap() {
            for reference in evidence["refs"].as_array_mut().unwrap() {
                reference["input"] = Value::Null;
            }
        }
        for change in finding["changed_before"].as_array_mut().unwrap() {
            change["refs"] = Value::Null;
        }
    }
    vec![
        report["verdict"].clone(),
        findings,
        report["requests"]["total"].clone(),
        report["requests"]["by_flag"].clone(),
        report["captures"]["totals"].clone(),
    ]
}

#[test]
fn an_archive_says_what_its_folder_says() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["rbac-denied", "cert-expired-captured"] {
        let wanted = analyze(&[&case_input(case)]).report();
        let tar = tar_of(case);
        let mut nested = Vec::new();
        add(&mut nested, "inner.tar.gz", &gzip(&tar));
        nested.resize(nested.len() + 1024, 0);
        for (name, bytes) in [
            ("incident.tar", tar.clone()),
            ("incident.tgz", gzip(&tar)),
            ("without-ending", gzip(&nested)),
        ] {
            let path = written(folder.path(), name, &bytes);
            let report = analyze(&[&path]).report();
            assert_eq!(substance(&report), substance(&wanted), "{case} as {name}");
            for input in list(&report, "/inputs").iter().skip(1) {
                assert_eq!(text(input, "/path"), name);
                assert_ne!(input["member"], Value::Null);
            }
        }
    }
}

/// Bytes without order (xorshift64), the same in every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

#[test]
fn an_archive_too_large_to_be_held_is_read_in_order_by_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["control-plane-unreachable", "cert-expired-captured"] {
        let wanted = analyze(&[&case_input(case)]).report();
        let mut tar = Vec::new();
        add(&mut tar, "cores/1.core", &noise(66 << 20));
        tar.extend(tar_of(case));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&tar).unwrap();
        let path = written(folder.path(), "large.tgz", &encoder.finish().unwrap());
        let mut reports = Vec::new();
        for threads in ["1", "2", "7"] {
            let words = [
                "analyze",
                "--format",
                "json",
                "--no-run-info",
                "--threads",
                threads,
            ];
            let report = postmesh(&words, &[&path]).report();
            assert_eq!(substance(&report), substance(&wanted), "{case}");
            reports.push(report);
        }
        assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{case}");
    }
}

#[test]
fn members_keep_whose_they_are_and_are_shown_by_their_citation() {
    let folder = tempfile::tempdir().unwrap();
    let rows = std::fs::read(case_input("rbac-denied").join("details-v1.istio-proxy.log")).unwrap();
    let mut tar = Vec::new();
    let member = "bug-report/proxies/shop/productpage-v1-6d8c9f7b5d-x2k4p/istio-proxy.log";
    add(&mut tar, "bug-report/versions", b"CLI version: none\n");
    add(&mut tar, member, &rows);
    tar.resize(tar.len() + 1024, 0);
    let path = written(folder.path(), "bug-report.tar.gz", &gzip(&tar));
    let report = analyze(&[&path]).report();
    let input = list(&report, "/inputs")
        .iter()
        .find(|input| input["member"] == member)
        .unwrap();
    assert_eq!(text(input, "/pod"), "productpage-v1-6d8c9f7b5d-x2k4p");
    assert_eq!(
        (text(input, "/namespace"), text(input, "/container")),
        ("shop", "istio-proxy")
    );
    let shown = Command::new(env!("CARGO_BIN_EXE_postmesh"))
        .args(["show", path.to_str().unwrap(), "--format", "json", "--ref"])
        .arg(format!("bug-report.tar.gz!{member}:3"))
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let third = String::from_utf8(rows)
        .unwrap()
        .lines()
        .nth(2)
        .unwrap()
        .to_owned();
    let lines = list(&shown, "/excerpts/0/lines");
    assert!(
        lines
            .iter()
            .any(|line| line["cited"] == true && line["text"] == third.as_str())
    );
}

#[test]
fn a_cut_archive_is_used_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = gzip(&tar_of("rbac-denied"));
    let path = written(folder.path(), "cut.tar.gz", &whole[..whole.len() * 2 / 3]);
    let run = analyze(&[&path]);
    let report = run.report();
    let archive = &list(&report, "/inputs")[0];
    let problems: Vec<&str> = list(archive, "/problems")
        .iter()
        .map(|p| text(p, "/what"))
        .collect();
    assert!(
        problems
            .iter()
            .any(|what| what.contains("the gzip stream is cut off at byte")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|what| what.contains(": the archive ends after")),
        "{problems:?}"
    );
    assert!(report["requests"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn a_name_that_climbs_writes_nothing_and_is_shown_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let rows = std::fs::read(case_input("rbac-denied").join("details-v1.istio-proxy.log")).unwrap();
    let mut tar = Vec::new();
    add(&mut tar, "../../escaped.log", &rows);
    add(&mut tar, "/absolute.log", &rows);
    tar.resize(tar.len() + 1024, 0);
    let inner = folder.path().join("a/b");
    std::fs::create_dir_all(&inner).unwrap();
    let path = written(&inner, "x.tar", &tar);
    let report = analyze(&[&path]).report();
    let names: Vec<&str> = list(&report, "/inputs")
        .iter()
        .skip(1)
        .map(|i| text(i, "/member"))
        .collect();
    assert_eq!(names, ["../../escaped.log", "/absolute.log"]);
    assert!(!folder.path().join("escaped.log").exists());
}
