//! Each folder of `corpora/` states in `expect.toml` what must be said of its inputs; `corpora/README.md` explains
//! the keys. Everything that is wrong with a case is listed at once.

use crate::running::{Run, analyze, case_input, list, text};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use toml::Table;

macro_rules! cases {
    ($($test:ident: $folder:literal,)*) => {
        $(#[test] fn $test() { check($folder); })*

        const FOLDERS: &[&str] = &[$($folder),*];
    };
}

cases! {
    bug_report_no_endpoints: "bug-report-no-endpoints",
    cert_expired_captured: "cert-expired-captured",
    cert_expired_tls13: "cert-expired-tls13",
    cert_expired_workload: "cert-expired-workload",
    circuit_breaker_overflow: "circuit-breaker-overflow",
    control_plane_restart: "control-plane-restart",
    control_plane_unreachable: "control-plane-unreachable",
    dns_remote_cluster_captured: "dns-remote-cluster-captured",
    grpc_backend_refused: "grpc-backend-refused",
    grpc_denied: "grpc-denied",
    healthy_bookinfo: "healthy-bookinfo",
    healthy_bookinfo_captured: "healthy-bookinfo-captured",
    healthy_noisy_app: "healthy-noisy-app",
    keepalive_race_captured: "keepalive-race-captured",
    made_cert_rotation_failure: "made-cert-rotation-failure",
    made_config_invalid: "made-config-invalid",
    made_config_rejected: "made-config-rejected",
    made_conntrack_full: "made-conntrack-full",
    made_control_plane_overload: "made-control-plane-overload",
    made_control_plane_push_delay: "made-control-plane-push-delay",
    made_healthy_control_plane: "made-healthy-control-plane",
    made_large_control_plane: "made-large-control-plane",
    made_memory_leak: "made-memory-leak",
    made_redirect_missing: "made-redirect-missing",
    made_sidecar_killed_described: "made-sidecar-killed-described",
    made_sidecar_memory_exhaustion: "made-sidecar-memory-exhaustion",
    made_sidecar_startup_race: "made-sidecar-startup-race",
    made_waypoint_misrouted: "made-waypoint-misrouted",
    made_ztunnel_unreachable: "made-ztunnel-unreachable",
    no_endpoints_saved: "no-endpoints-saved",
    no_endpoints_scaled_to_zero: "no-endpoints-scaled-to-zero",
    packet_loss: "packet-loss",
    rbac_denied: "rbac-denied",
    rbac_denied_saved: "rbac-denied-saved",
    refused_app_port_mismatch: "refused-app-port-mismatch",
    refused_port_saved: "refused-port-saved",
    reject_network_policy_icmp_captured: "reject-network-policy-icmp-captured",
    rejected_icmp_port: "rejected-icmp-port",
    rejected_tcp_reset: "rejected-tcp-reset",
    route_case_mismatch: "route-case-mismatch",
    route_case_saved: "route-case-saved",
    slow_deep_chain: "slow-deep-chain",
    slow_upstream_app_captured: "slow-upstream-app-captured",
    slow_upstream_app_joined: "slow-upstream-app-joined",
    two_faults: "two-faults",
    zero_window_stalled_receiver: "zero-window-stalled-receiver",
}

#[test]
fn every_folder_is_tested() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let mut folders: Vec<String> = std::fs::read_dir(corpora)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().join("expect.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, FOLDERS);
}

fn check(folder: &str) {
    let input = case_input(folder);
    let expected: Table = std::fs::read_to_string(input.with_file_name("expect.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let run = analyze(&[&input]);
    let mut case = Case {
        report: run.report(),
        wrong: Vec::new(),
        input: &input,
    };
    case.check_verdict(expected["verdict"].as_table().unwrap(), &run);
    case.check_counts(expected["counts"].as_table().unwrap());
    if let Some(packets) = expected.get("packets") {
        case.check_packets(packets.as_table().unwrap());
    }
    case.check_references();
    case.check_reasons();
    case.check_time_line();
    if let Some(cited) = expected.get("cited") {
        case.check_cited(cited.as_array().unwrap());
    }
    if let Some(config) = expected.get("config") {
        case.check_config(config.as_array().unwrap());
    }
    assert!(
        case.wrong.is_empty(),
        "{folder}:\n  {}\n",
        case.wrong.join("\n  ")
    );
}

/// The flags of "no UC or UR flag".
fn denied_flags(because: &str) -> impl Iterator<Item = &str> {
    let parts = because.split("no ").skip(1);
    parts
        .filter_map(|part| part.split_once(" flag"))
        .flat_map(|(flags, _)| flags.split(" or "))
}

#[test]
fn flags_are_found_in_reasons() {
    let because = "no handshake failed; no UC or UR flag (12 rows to a read); no UO flag and no overflow";
    assert_eq!(denied_flags(because).collect::<Vec<_>>(), ["UC", "UR", "UO"]);
}

/// A report with what is wrong in it.
struct Case<'a> {
    report: Value,
    wrong: Vec<String>,
    input: &'a Path,
}

impl Case<'_> {
    fn expect_eq<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.wrong
                .push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn check_verdict(&mut self, expected: &Table, run: &Run) {
        let report = self.report.clone();
        let status = expected["exit_status"].as_integer().unwrap();
        self.expect_eq("exit status", &i64::from(run.status), &status);
        self.expect_eq(
            "state",
            &text(&report, "/verdict/state"),
            &expected["state"].as_str().unwrap(),
        );
        let Some(cause) = expected.get("cause").and_then(toml::Value::as_str) else {
            return self.check_calm(&report);
        };
        self.expect_eq("cause of the verdict", &text(&report, "/verdict/cause"), &cause);
        self.expect_eq(
            "cause of the first finding",
            &text(&report, "/findings/0/cause"),
            &cause,
        );
        self.expect_eq(
            "role of the first finding",
            &text(&report, "/findings/0/role"),
            &"cause",
        );
        self.expect(!text(&report, "/verdict/headline").is_empty(), || {
            "no headline".to_owned()
        });
        let scope = ["destination", "cluster"]
            .map(|key| text(&report, &format!("/findings/0/scope/{key}")).to_owned());
        let names = strings(&expected["scope"]);
        self.expect(
            names
                .iter()
                .any(|name| scope.iter().any(|part| part.contains(name))),
            || format!("scope {scope:?} names none of {names:?}"),
        );
        let ruled_out: Vec<&str> = match report.pointer("/findings/0") {
            Some(first) => list(first, "/ruled_out")
                .iter()
                .map(|entry| text(entry, "/cause"))
                .collect(),
            None => Vec::new(),
        };
        for look_alike in expected.get("ruled_out").map(strings).unwrap_or_default() {
            self.expect(ruled_out.contains(&look_alike), || {
                format!("{look_alike} is not ruled out: {ruled_out:?}")
            });
        }
    }

    /// A healthy mesh is called healthy, and nobody is accused.
    fn check_calm(&mut self, report: &Value) {
        self.expect(
            report.pointer("/verdict/healthy") == Some(&Value::Bool(true)),
            || "not healthy".to_owned(),
        );
        for finding in list(report, "/findings") {
            let (severity, title) = (text(finding, "/severity"), text(finding, "/title"));
            self.expect(severity == "info", || {
                format!("accusation in a healthy mesh: {severity}: {title}")
            });
        }
    }

    /// The buckets of the time line hold together what is counted over the whole time.
    fn check_time_line(&mut self) {
        let requests = self.report["requests"].clone();
        let buckets = list(&self.report, "/timeline/buckets").to_vec();
        for (of_buckets, of_all) in [
            ("requests", "total"),
            ("failed", "failed"),
            ("denied", "denied"),
            ("canceled", "canceled"),
            ("tcp_connections", "tcp_connections"),
        ] {
            let sum: u64 = buckets
                .iter()
                .filter_map(|bucket| bucket[of_buckets].as_u64())
                .sum();
            self.expect_eq(of_buckets, &sum, &requests[of_all].as_u64().unwrap_or(u64::MAX));
        }
        for change in list(&self.report, "/timeline/change_points").to_vec() {
            self.expect(change["before"] != change["after"], || {
                format!("{change} is no change")
            });
        }
    }

    /// Nothing is ruled out for want of a flag that rows of the destination have, or by rows that were not read.
    fn check_reasons(&mut self) {
        let report = self.report.clone();
        for finding in list(&report, "/findings") {
            let destination = text(finding, "/scope/destination");
            let figures = list(&report, "/requests/by_destination").iter();
            let flags: BTreeSet<&str> = figures
                .filter(|figures| text(figures, "/name") == destination)
                .flat_map(|figures| figures["flags"].as_object().unwrap().keys())
                .map(String::as_str)
                .collect();
            for ruled_out in list(finding, "/ruled_out") {
                let because = text(ruled_out, "/because");
                let is_false = denied_flags(because).any(|flag| flags.contains(flag));
                self.expect(!is_false && !because.contains("(0 "), || {
                    format!("{ruled_out} at {destination}, whose rows have {flags:?}")
                });
            }
        }
    }

    fn check_counts(&mut self, expected: &Table) {
        let requests = self.report["requests"].clone();
        for (name, value) in expected {
            if let Some(count) = value.as_integer() {
                let found = requests[name.as_str()].as_i64().unwrap_or(-1);
                self.expect_eq(name, &found, &count);
                continue;
            }
            let expected: BTreeMap<String, i64> = value.clone().try_into().unwrap();
            let found = match name.as_str() {
                "by_reporter" => totals_by_reporter(&requests),
                "by_destination" => totals_by_destination(&requests),
                _ => serde_json::from_value(requests[name.as_str()].clone()).unwrap_or_default(),
            };
            self.expect_eq(name, &found, &expected);
        }
    }

    /// What was captured, in the words of tshark.
    fn check_packets(&mut self, expected: &Table) {
        let captures = self.report["captures"].clone();
        for (name, value) in expected {
            if let Some(count) = value.as_integer() {
                let found: Option<i64> = packet_count(name)
                    .iter()
                    .map(|pointer| captures.pointer(pointer)?.as_i64())
                    .sum();
                self.expect_eq(&format!("packets.{name}"), &found, &Some(count));
                continue;
            }
            let expected: BTreeMap<String, i64> = value.clone().try_into().unwrap();
            let found: BTreeMap<String, i64> = match name.as_str() {
                "dns_by_rcode" => {
                    serde_json::from_value(captures["dns"]["responses_by_rcode"].clone()).unwrap()
                }
                // Only ICMP that the case is about: hosts announce and ask on their own.
                "icmp" => expected
                    .keys()
                    .filter_map(|kind| Some((kind.clone(), captures["icmp"].get(kind)?.as_i64()?)))
                    .collect(),
                "alerts" => list(&captures, "/tls/alerts")
                    .iter()
                    .map(|alert| (text(alert, "/description").to_owned(), alert["count"].as_i64()))
                    .map(|(name, count)| (name, count.unwrap_or(-1)))
                    .collect(),
                _ => BTreeMap::new(),
            };
            self.expect_eq(&format!("packets.{name}"), &found, &expected);
        }
    }

    /// Every reference of every finding points at the start of a line, or at a packet, that is there.
    fn check_references(&mut self) {
        let report = self.report.clone();
        for (finding, reference) in references(&report) {
            let there = self.line_at(reference).is_some() || frame_exists(&report, reference);
            self.expect(there, || {
                format!("{}: no line or packet at {reference}", text(finding, "/id"))
            });
        }
        let frames = list(&report, "/captures/troubles")
            .iter()
            .flat_map(|trouble| list(trouble, "/refs"));
        for reference in frames {
            self.expect(frame_exists(&report, reference), || {
                format!("no packet at {reference}")
            });
        }
    }

    /// The first finding cites one of the expected lines, which holds what was expected, and one of the expected
    /// packets.
    fn check_cited(&mut self, expected: &[toml::Value]) {
        let report = self.report.clone();
        let mut lines = BTreeMap::new();
        let mut frames = Vec::new();
        for (_, reference) in references(&report).filter(|(finding, _)| finding["rank"] == 1) {
            let Some(path) = input_path(&report, reference) else {
                continue;
            };
            if let Some(frame) = reference["frame"].as_i64() {
                frames.push((path, frame));
            } else if let (Some(number), Some(line)) = (reference["line"].as_i64(), self.line_at(reference)) {
                lines.insert((path, number), line);
            }
        }
        let cites_line = |wanted: &toml::Value| {
            let holds = wanted["holds"].as_str().unwrap();
            let path = wanted["file"].as_str().unwrap();
            numbers(&wanted["lines"]).any(|number| {
                lines
                    .get(&(path.to_owned(), number))
                    .is_some_and(|line| line.contains(holds))
            })
        };
        let cites_frame = |wanted: &toml::Value| {
            let path = wanted["file"].as_str().unwrap();
            numbers(&wanted["frames"]).any(|frame| frames.contains(&(path.to_owned(), frame)))
        };
        let (of_captures, of_logs): (Vec<_>, Vec<_>) =
            expected.iter().partition(|wanted| wanted.get("frames").is_some());
        self.expect(of_logs.is_empty() || of_logs.into_iter().any(cites_line), || {
            let places: Vec<_> = lines.keys().collect();
            format!("none of the first failing rows is cited by the first finding, but {places:?}")
        });
        self.expect(
            of_captures.is_empty() || of_captures.into_iter().any(cites_frame),
            || format!("none of the first packets is cited by the first finding, but {frames:?}"),
        );
    }

    /// The first finding holds what saved configuration says, and cites the line that says it.
    fn check_config(&mut self, expected: &[toml::Value]) {
        let report = self.report.clone();
        let evidence: Vec<&Value> = match report.pointer("/findings/0") {
            Some(first) => list(first, "/evidence")
                .iter()
                .filter(|piece| text(piece, "/kind") == "config")
                .collect(),
            None => Vec::new(),
        };
        for wanted in expected {
            let (says, file, holds) = (&wanted["says"], &wanted["file"], &wanted["holds"]);
            let [says, file, holds] = [says, file, holds].map(|value| value.as_str().unwrap());
            let found = evidence
                .iter()
                .filter(|piece| text(piece, "/text").contains(says))
                .flat_map(|piece| list(piece, "/refs"))
                .any(|reference| {
                    input_path(&report, reference).as_deref() == Some(file)
                        && self.line_at(reference).is_some_and(|line| line.contains(holds))
                });
            self.expect(found, || {
                let texts: Vec<&str> = evidence.iter().map(|piece| text(piece, "/text")).collect();
                format!("nothing says {says:?} and cites {holds:?} in {file}, but {texts:?}")
            });
        }
    }

    /// The line to which a reference points, if number and offset agree on it.
    fn line_at(&self, reference: &Value) -> Option<String> {
        let path = input_path(&self.report, reference)?;
        let bytes = match path.split_once('!') {
            Some((archive, member)) => read_member(&self.input.join(archive), member),
            None => read(&self.input.join(path)),
        };
        let number = usize::try_from(reference["line"].as_u64()?).ok()?;
        let mut offset_bytes = 0;
        for (i, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if i + 1 == number {
                let stated = reference["offset_bytes"].as_u64().unwrap_or(offset_bytes);
                return (stated == offset_bytes).then(|| String::from_utf8_lossy(line).into_owned());
            }
            offset_bytes += u64::try_from(line.len()).unwrap();
        }
        None
    }
}

/// Where the report has a count of packets; several are summed.
fn packet_count(name: &str) -> &'static [&'static str] {
    match name {
        "packets" => &["/packets"],
        "tcp_streams" => &["/streams/tcp"],
        "refused" => &["/tcp/refused"],
        "rejected" => &["/tcp/rejected"],
        "unanswered" => &["/tcp/unanswered_syn"],
        "resets" => &["/tcp/resets"],
        "zero_windows" => &["/tcp/zero_windows"],
        // tshark marks fast and spurious retransmissions as retransmissions too.
        "retransmissions" => &[
            "/tcp/retransmissions",
            "/tcp/fast_retransmissions",
            "/tcp/spurious_retransmissions",
        ],
        "out_of_order" => &["/tcp/out_of_order"],
        "duplicate_acks" => &["/tcp/duplicate_acks"],
        "lost_segments" => &["/tcp/lost_segments"],
        "dns_queries" => &["/dns/queries"],
        _ => panic!("expect.toml has an unknown key: packets.{name}"),
    }
}

/// A reference to a capture's packet, by a number that the capture has.
fn frame_exists(report: &Value, reference: &Value) -> bool {
    let input = list(report, "/inputs")
        .iter()
        .find(|input| input["id"] == reference["input"]);
    input.is_some_and(|input| {
        let frames = 1..=input["records"].as_u64().unwrap_or(0);
        input["kind"] == "capture"
            && reference["frame"]
                .as_u64()
                .is_some_and(|frame| frames.contains(&frame))
    })
}

fn numbers(value: &toml::Value) -> impl Iterator<Item = i64> + '_ {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_integer().unwrap())
}

fn strings(value: &toml::Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry.as_str().unwrap())
        .collect()
}

/// Each finding with each reference of its evidence.
fn references(report: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    list(report, "/findings").iter().flat_map(|finding| {
        let evidence = list(finding, "/evidence").iter();
        evidence
            .flat_map(|piece| list(piece, "/refs"))
            .map(move |reference| (finding, reference))
    })
}

fn input_path(report: &Value, reference: &Value) -> Option<String> {
    let input = list(report, "/inputs")
        .iter()
        .find(|input| input["id"] == reference["input"])?;
    let path = input["path"].as_str()?;
    Some(match input["member"].as_str() {
        Some(member) => format!("{path}!{member}"),
        None => path.to_owned(),
    })
}

/// A member of an archive, as `tar` gives it.
fn read_member(archive: &Path, member: &str) -> Vec<u8> {
    let output = std::process::Command::new("tar")
        .arg("-xzOf")
        .args([archive.as_os_str(), member.as_ref()])
        .output()
        .unwrap();
    assert!(output.status.success(), "tar has no {member}");
    output.stdout
}

fn read(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap();
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return raw;
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(raw.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    text
}

fn totals_by_reporter(requests: &Value) -> BTreeMap<String, i64> {
    let reporters = requests["by_reporter"].as_object().unwrap().iter();
    reporters
        .map(|(name, counts)| (name.clone(), counts["total"].as_i64().unwrap_or(-1)))
        .collect()
}

/// What the callers' proxies say of each service, by the first label of its name.
fn totals_by_destination(requests: &Value) -> BTreeMap<String, i64> {
    let mut totals = BTreeMap::new();
    for destination in list(requests, "/by_destination") {
        if destination["reporter"] == "source" {
            let name = text(destination, "/name")
                .split(['.', ':'])
                .next()
                .unwrap_or_default()
                .to_owned();
            *totals.entry(name).or_default() += destination["requests"].as_i64().unwrap_or(0);
        }
    }
    totals
}
