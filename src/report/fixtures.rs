//! Hand-made reports that the renderers are tested with: one for each state of the verdict, and a hostile one.

use crate::report::model::{
    Breakdown, CaptureAlert, CaptureCertificate, CaptureClient, CaptureDns, CaptureFailedName,
    CaptureHonesty, CaptureHttp, CapturePoint, CaptureServer, CaptureStreams, CaptureTcp, CaptureTls,
    CaptureTrouble, Captures, CatalogInfo, Change, ChangePoint, Correlation, Counts, DestinationSpent, Event,
    Evidence, EvidenceKind, Example, Filters, Finding, Fix, Gap, HistogramBucket, Impact, Input,
    InputProblem, JoinExample, Latency, LatencyScope, Limit, LookedAt, Missing, Next, OverTime, Privacy,
    Quantiles, Quote, Ref, RejectedSample, Report, ReporterCounts, Requests, Retries, Role, RuledOut, Run,
    SCHEMA, Scope, Selection, Severity, SignatureHits, SlowRequest, State, Step, StreamRef, TimeBucket,
    TimeQuality, Timeline, Times, Tool, Topology, TopologyEdge, TopologyNode, Unit, ValidFor, Verdict,
    Window,
};
use crate::units::{InputId, Timestamp};
use std::collections::BTreeMap;

fn at(hour: u32, minute: u32, second: u32) -> Timestamp {
    Timestamp::from_civil(2026, 11, 2, hour, minute, second, 0).unwrap()
}

fn counts<const N: usize>(pairs: [(&str, u64); N]) -> Counts {
    pairs
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn line(input: u32, line: u64) -> Ref {
    Ref {
        input: InputId(input),
        line: Some(line),
        frame: None,
        offset_bytes: Some(line * 300),
    }
}

fn missing(what: &str, why: &str, command: &str) -> Missing {
    Missing {
        what: what.into(),
        why_it_matters: why.into(),
        command: command.into(),
    }
}

/// A report in which nothing was read.
pub(crate) fn empty() -> Report {
    Report {
        schema: SCHEMA.into(),
        tool: Tool {
            name: "postmesh".into(),
            version: "0.1.0".into(),
        },
        catalog: CatalogInfo {
            version: "1".into(),
            user_files: vec![],
        },
        run: None,
        window: Window::default(),
        inputs: vec![],
        access_log_formats: vec![],
        missing: vec![],
        verdict: Verdict {
            state: State::NotEnough,
            healthy: false,
            headline: "Nothing that postmesh understands was read".into(),
            cause: None,
        },
        steps: vec![],
        privacy: Privacy::default(),
        selection: Selection::default(),
        top: None,
        findings: vec![],
        requests: Requests::default(),
        latency: vec![],
        slowest: vec![],
        signatures: vec![],
        timeline: Timeline::default(),
        captures: Captures::default(),
        streams: None,
        correlation: Correlation::default(),
        topology: Topology::default(),
        limits: vec![],
        quotes: vec![],
        ladders: vec![],
        over_time: OverTime::default(),
    }
}

fn input(id: u32, path: &str, pod: &str, records: u64) -> Input {
    Input {
        id: InputId(id),
        path: path.into(),
        member: None,
        kind: "access-log".into(),
        records_by_kind: counts([("access-log", records - 212), ("envoy-log", 212)]),
        format: Some("istio-text".into()),
        format_confidence: Some(1.0),
        wrapper: vec![],
        compression: "none".into(),
        pod: Some(pod.into()),
        namespace: Some("prod".into()),
        container: Some("istio-proxy".into()),
        node: None,
        bytes: records * 418,
        records,
        rejected: 0,
        skipped: 0,
        start: Some(at(2, 41, 7)),
        end: Some(at(3, 28, 55)),
        time: TimeQuality {
            zone: "UTC".into(),
            source: "stated".into(),
            resolution_us: 1000,
            order: "mixed".into(),
        },
        opened: true,
        problems: vec![],
        rejected_samples: vec![],
        application: None,
        role: None,
    }
}

fn inputs() -> Vec<Input> {
    let mut inputs = vec![
        input(
            0,
            "prod_details-v1-698d88b/istio-proxy.log",
            "details-v1-698d88b",
            598_326,
        ),
        input(
            1,
            "prod_productpage-v1-675fc69cf/istio-proxy.log",
            "productpage-v1-675fc69cf",
            1_811_902,
        ),
        input(
            2,
            "prod_ratings-v1-6484c4d9bb/istio-proxy.log",
            "ratings-v1-6484c4d9bb",
            593_910,
        ),
        input(
            3,
            "prod_reviews-v2-79857b95b/istio-proxy.log.1.gz",
            "reviews-v2-79857b95b",
            411_204,
        ),
    ];
    inputs[3].compression = "gzip".into();
    inputs[3].wrapper = strings(["cri"]);
    inputs[3].format_confidence = Some(0.998);
    inputs[3].problems = vec![InputProblem {
        offset_bytes: 91_332_608,
        line: None,
        frame: None,
        what:
            "gzip stream ends early (unexpected end of file); what came before is used. Copy the file again"
                .into(),
    }];
    inputs[3].rejected = 37;
    inputs[3].rejected_samples = vec![RejectedSample {
        line: 20_411,
        why: "starts as an access-log row but its fields do not add up".into(),
        text: "[2026-11-02T03:12:44.120Z] \"GET /ratings/7 HTTP/1.1\" 503 UF upstream_reset_before_respo"
            .into(),
    }];
    inputs
}

fn buckets(failed_from: u64) -> Vec<TimeBucket> {
    (0..48)
        .map(|minute| {
            let requests = 12_000 + (minute * 7919) % 2400;
            let failed = if minute >= failed_from {
                600 + (minute * 37) % 212
            } else {
                0
            };
            TimeBucket {
                start: Timestamp::from_secs(at(2, 41, 0).secs() + i64::try_from(minute).unwrap() * 60),
                requests: if minute == 47 { 5400 } else { requests },
                failed,
                denied: 0,
                canceled: 0,
                tcp_connections: 0,
                failed_tcp_connections: 0,
                p50_ms: Some(3.0),
                p99_ms: Some(11.0 + if minute % 9 == 0 { 3.0 } else { 0.0 }),
                latency: vec![],
                flags: Counts::new(),
                signatures: Counts::new(),
                connections: 0,
                failed_connections: 0,
                resets: 0,
                retransmissions: 0,
            }
        })
        .collect()
}

fn histogram() -> Vec<HistogramBucket> {
    [
        (1, 19_204),
        (2, 61_020),
        (4, 89_338),
        (8, 11_870),
        (16, 2_911),
        (32, 195),
        (64, 41),
        (128, 9),
        (2048, 5),
    ]
    .map(|(le, count)| HistogramBucket {
        le: f64::from(le),
        count,
    })
    .to_vec()
}

fn latency(name: &str, count: u64, figures: [f64; 5], histogram: Vec<HistogramBucket>) -> Latency {
    let [p50, p90, p99, p999, max] = figures;
    Latency {
        scope: LatencyScope {
            kind: "destination".into(),
            name: name.into(),
        },
        reporter: "source".into(),
        metric: "duration".into(),
        outcome: "ok".into(),
        unit: "ms".into(),
        count,
        min: 0.0,
        mean: p50,
        p50,
        p75: p50,
        p90,
        p95: p90,
        p99,
        p999,
        max,
        resolution_ms: 1.0,
        histogram,
    }
}

fn breakdown(name: &str, requests: u64, failed: u64, flags: Counts) -> Breakdown {
    Breakdown {
        name: name.into(),
        reporter: "source".into(),
        requests,
        failed,
        denied: 0,
        canceled: 3,
        flags,
        latency: None,
    }
}

fn requests() -> Requests {
    Requests {
        total: 611_902,
        failed: 18_204,
        denied: 0,
        canceled: 12,
        by_reporter: [(
            "source".to_owned(),
            ReporterCounts {
                total: 611_902,
                ..ReporterCounts::default()
            },
        )]
        .into(),
        by_code: counts([("200", 1_187_423), ("404", 91), ("503", 18_204)]),
        by_class: counts([("2xx", 1_187_423), ("4xx", 91), ("5xx", 18_204)]),
        by_flag: counts([("UF", 18_204), ("URX", 17_911), ("DC", 12)]),
        by_detail: counts([
            ("via_upstream", 1_187_514),
            (
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
                18_204,
            ),
            ("downstream_remote_disconnect", 12),
        ]),
        by_protocol: counts([("HTTP/1.1", 1_205_730)]),
        tcp_connections: 212,
        rows: 1_205_942,
        retries: Retries {
            requests_with_retry: 17_911,
            attempts: 647_724,
            amplification: 1.06,
            requests_followed: 611_902,
            truncated: false,
        },
        by_destination: vec![
            breakdown("details:9080", 205_114, 0, counts([("DC", 3)])),
            breakdown(
                "ratings:9080",
                202_797,
                18_204,
                counts([("UF", 18_204), ("URX", 17_911)]),
            ),
            breakdown("reviews:9080", 203_991, 0, Counts::new()),
        ],
        by_route: vec![],
        by_source: vec![],
    }
}

fn next() -> Next {
    Next {
        check: strings([
            "kubectl -n prod get endpointslices -l kubernetes.io/service-name=ratings -o custom-columns=NAME:.metadata.name,PORTS:.ports[*].port",
            "kubectl -n prod exec deploy/ratings-v1 -c istio-proxy -- ss -ltn",
        ]),
        fix: vec![
            Fix {
                text: "let targetPort of Service ratings name the port on which the application listens (9081)".into(),
                command: Some(
                    "kubectl -n prod patch svc ratings --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":9081}]'"
                        .into(),
                ),
                yaml: None,
                risk: "safe".into(),
                valid_for: ValidFor::default(),
            },
            Fix {
                text: "restart the application where it ought to listen on 9080 and does not".into(),
                command: Some("kubectl -n prod rollout restart deploy/ratings-v1".into()),
                yaml: Some("apiVersion: v1\nkind: Service\nmetadata:\n  name: ratings\n".into()),
                risk: "disruptive".into(),
                valid_for: ValidFor { from: Some("1.9".into()), to: None },
            },
        ],
        filters: Filters { wireshark: Some("tcp.flags.reset == 1 && tcp.srcport == 9080".into()) },
        notes: strings(["more retries only multiply the load on a port where nobody listens"]),
        documented_in: strings(["Envoy: response flags, UF", "Istio: traffic management problems"]),
    }
}

fn evidence(kind: EvidenceKind, text: &str, count: u64, refs: Vec<Ref>) -> Evidence {
    Evidence {
        kind,
        text: text.into(),
        count,
        strength: 0.9,
        refs,
    }
}

fn ruled_out(cause: &str, because: &str) -> RuledOut {
    RuledOut {
        cause: cause.into(),
        because: because.into(),
    }
}

fn first_finding() -> Finding {
    Finding {
        rank: 1,
        id: "upstream-connection-refused/ratings:9080".into(),
        cause: "upstream-connection-refused".into(),
        title: "ratings-v1 refuses connections on port 9080".into(),
        summary:
            "From 03:02:11 on, every connection that the sidecar of ratings-v1 opened to its own application \
                  at 127.0.0.6:9080 was refused: nothing listens there."
                .into(),
        severity: Severity::Critical,
        confidence: 0.934,
        role: Role::Cause,
        consequence_of: None,
        scope: Scope {
            source: Some("productpage-v1".into()),
            destination: Some("ratings:9080".into()),
            cluster: Some("outbound|9080||ratings.prod.svc.cluster.local".into()),
            pods: strings(["ratings-v1-6484c4d9bb"]),
            nodes: vec![],
        },
        onset: Some(at(3, 2, 11)),
        window: Window {
            start: Some(at(3, 2, 11)),
            end: Some(at(3, 28, 55)),
        },
        impact: Impact {
            unit: Unit::Requests,
            requests: 202_797,
            failed: 18_204,
            share: 18_204.0 / 202_797.0,
            added_latency_ms: None,
        },
        evidence: vec![
            evidence(
                EvidenceKind::Log,
                "the called proxy says UF, upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
                18_204,
                vec![line(2, 20_411), line(2, 20_497), line(2, 21_002), line(3, 88_123)],
            ),
            evidence(
                EvidenceKind::Statistic,
                "18,204 of 18,204 failures have an upstream address of the application itself (127.0.0.6:9080)",
                18_204,
                vec![],
            ),
            evidence(
                EvidenceKind::Absence,
                "no successful request to ratings:9080 after 03:02:11, while its proxy kept writing",
                0,
                vec![line(2, 593_910)],
            ),
        ],
        changed_before: Vec::new(),
        ruled_out: vec![
            ruled_out(
                "circuit-breaker-overflow",
                "no UO flag and no overflow detail in 4 proxies",
            ),
            ruled_out(
                "no-healthy-upstream",
                "no UH flag: an endpoint was chosen each time",
            ),
            ruled_out(
                "upstream-keepalive-race",
                "the flag is UF, not UC: connections never opened",
            ),
        ],
        would_overturn: Some(missing(
            "ratings' own log",
            "shows whether it crashed or listens elsewhere",
            "kubectl -n prod logs deploy/ratings-v1 -c ratings --since-time=2026-11-02T02:58:00Z",
        )),
        next: next(),
    }
}

fn consequence() -> Finding {
    Finding {
        rank: 2,
        id: "retries-exhausted/ratings:9080".into(),
        cause: "retries-exhausted".into(),
        title: "callers of ratings:9080 used up their retries (URX)".into(),
        severity: Severity::Info,
        confidence: 0.99,
        role: Role::Consequence,
        consequence_of: Some("upstream-connection-refused/ratings:9080".into()),
        evidence: vec![],
        ruled_out: vec![],
        would_overturn: None,
        next: Next::default(),
        ..first_finding()
    }
}

fn other() -> Finding {
    Finding {
        rank: 3,
        id: "slow-upstream/details:9080".into(),
        cause: "slow-upstream".into(),
        title: "details:9080 answers three times slower than an hour before, in its application and not on the way"
            .into(),
        severity: Severity::Warning,
        confidence: 0.61,
        role: Role::Cause,
        impact: Impact { requests: 205_114, failed: 0, share: 0.0, unit: Unit::Requests, added_latency_ms: Some(8.3) },
        evidence: vec![evidence(
            EvidenceKind::Statistic,
            "p99 4 ms before 02:58, 12 ms after; upstream time carries 97 % of it",
            205_114,
            vec![line(1, 1204)],
        )],
        ruled_out: vec![],
        would_overturn: None,
        next: Next::default(),
        ..first_finding()
    }
}

fn signature(id: &str, severity: &str, count: u64, example: (u32, u64)) -> SignatureHits {
    SignatureHits {
        id: id.into(),
        title: "a known text".into(),
        cause: Some("upstream-connection-refused".into()),
        source: "access-log".into(),
        severity: severity.into(),
        count,
        first: Some(at(3, 2, 11)),
        last: Some(at(3, 28, 55)),
        inputs: counts([("2", count)]),
        examples: vec![Example {
            input: InputId(example.0),
            line: example.1,
            text: "…".into(),
        }],
    }
}

fn steps(evidence: [&str; 5]) -> Vec<Step> {
    let names = [
        "access logs: response flags and codes",
        "proxy logs: what Envoy says of connections, certificates and configuration",
        "latency: where the time went",
        "packets: how connections began and ended",
        "control plane: configuration and pushes",
    ];
    names
        .into_iter()
        .zip(evidence)
        .map(|(step, evidence)| Step {
            step: step.into(),
            evidence: evidence.into(),
            findings: vec![],
            missing: vec![],
            looked_at: vec![],
        })
        .collect()
}

/// A port on which nobody listens: a cause, a consequence and another warning.
pub(crate) fn refused() -> Report {
    Report {
        window: Window {
            start: Some(at(2, 41, 7)),
            end: Some(at(3, 28, 55)),
        },
        run: Some(Run {
            threads: 8,
            elapsed_ms: 1_930,
            bytes_per_s: 743_000_000,
            peak_memory_bytes: 61_000_000,
        }),
        inputs: inputs(),
        verdict: Verdict {
            state: State::CauseFound,
            healthy: false,
            headline: "ratings-v1 refuses connections on port 9080".into(),
            cause: Some("upstream-connection-refused".into()),
        },
        steps: steps(["found", "found", "clean", "none", "none"]),
        findings: vec![first_finding(), consequence(), other()],
        requests: requests(),
        latency: vec![
            latency(
                "details:9080",
                205_114,
                [1.0, 2.0, 12.0, 19.0, 302.0],
                histogram(),
            ),
            latency(
                "ratings:9080",
                184_593,
                [3.0, 6.0, 11.0, 27.0, 1204.0],
                histogram(),
            ),
            latency("reviews:9080", 14, [8.0, 14.0, 31.0, 31.0, 31.0], vec![]),
        ],
        slowest: vec![SlowRequest {
            duration_ms: 1204,
            upstream_ms: Some(1203),
            start: Some(at(2, 55, 4)),
            destination: "ratings:9080".into(),
            reporter: "source".into(),
            request: "GET /ratings/7".into(),
            code: 200,
            flags: String::new(),
            place: line(1, 530_112),
        }],
        signatures: vec![
            signature("access-connection-refused", "critical", 18_204, (2, 20_411)),
            signature("envoy-upstream-reset-debug", "info", 212, (3, 1)),
        ],
        timeline: Timeline {
            bucket_s: 60,
            buckets: buckets(21),
            change_points: vec![ChangePoint {
                at: at(3, 2, 0),
                metric: "failed_share".into(),
                scope: "ratings:9080".into(),
                before: 0.0,
                after: 0.089,
            }],
            events: vec![Event {
                at: at(3, 1, 58),
                kind: "restart".into(),
                text: "ratings-v1: Envoy proxy is ready".into(),
                place: Some(line(2, 20_398)),
            }],
            gaps: vec![Gap {
                input: InputId(0),
                start: at(3, 10, 0),
                end: at(3, 12, 30),
            }],
        },
        topology: Topology {
            nodes: vec![TopologyNode {
                name: "ratings:9080".into(),
                kind: "service".into(),
            }],
            edges: vec![TopologyEdge {
                source: "productpage-v1".into(),
                destination: "ratings:9080".into(),
                requests: 202_797,
                failed: 18_204,
                p99_ms: Some(11.0),
            }],
        },
        access_log_formats: vec![],
        missing: vec![missing(
            "istiod's log",
            "would show whether endpoints or configuration changed",
            "kubectl -n istio-system logs deploy/istiod --since-time=2026-11-02T02:58:00Z > istiod.log",
        )],
        limits: vec![Limit {
            table: "request ids".into(),
            limit: 65_536,
            kept: 51_112,
            left_out: 560_790,
            what: "attempts are those of a sample by hash".into(),
        }],
        ..empty()
    }
}

/// Enough was read and nothing is wrong.
pub(crate) fn healthy() -> Report {
    let mut report = refused();
    report.verdict = Verdict {
        state: State::Healthy,
        healthy: true,
        headline: "Nothing is wrong with the mesh: 611,902 requests, none failed by a proxy".into(),
        cause: None,
    };
    report.run = None;
    report.steps = steps(["clean", "clean", "clean", "none", "none"]);
    report.findings = vec![Finding {
        rank: 1,
        severity: Severity::Info,
        title: "12 requests were given up by their callers, no more than before".into(),
        cause: "client-disconnect".into(),
        confidence: 0.4,
        evidence: vec![],
        ruled_out: vec![],
        would_overturn: None,
        next: Next::default(),
        ..first_finding()
    }];
    report.requests.failed = 0;
    report.requests.by_code.remove("503");
    report.requests.by_flag = counts([("DC", 12)]);
    report.requests.by_detail = counts([("via_upstream", 1_187_514)]);
    report.requests.by_destination[1] = breakdown("ratings:9080", 202_797, 0, Counts::new());
    report.requests.retries = Retries {
        requests_followed: 611_902,
        amplification: 1.0,
        ..Retries::default()
    };
    report.timeline.buckets = buckets(99);
    report.timeline.events.clear();
    report.timeline.change_points.clear();
    report.timeline.gaps.clear();
    report.signatures.clear();
    report.limits.clear();
    report.inputs.truncate(3);
    report.missing.clear();
    report
}

/// Failures whose cause these inputs cannot settle.
pub(crate) fn symptoms_only() -> Report {
    let mut report = refused();
    report.verdict = Verdict {
        state: State::SymptomsOnly,
        healthy: false,
        headline: "18,204 requests to ratings:9080 failed with UF, and only their callers' logs are here: \
                   whether the port was closed or the network refused cannot be told from them"
            .into(),
        cause: None,
    };
    report.steps = steps(["found", "clean", "clean", "none", "none"]);
    report.findings.truncate(1);
    report.findings[0].severity = Severity::Info;
    report.findings[0].onset = None;
    report.findings[0].ruled_out.truncate(1);
    report.inputs.remove(2);
    report.missing.push(missing(
        "the log of ratings-v1's proxy",
        "says whether the connection was refused by the application or never reached the pod",
        "kubectl -n prod logs deploy/ratings-v1 -c istio-proxy --since-time=2026-11-02T02:58:00Z > ratings-v1.log",
    ));
    report
}

/// Too little was read to say.
pub(crate) fn not_enough() -> Report {
    let mut report = empty();
    report.inputs = vec![
        input(0, "notes/README.md", "", 300),
        input(1, "core.1.gz", "", 300),
    ];
    for input in &mut report.inputs {
        input.kind = "unknown".into();
        input.format = None;
        input.format_confidence = None;
        input.pod = None;
        input.namespace = None;
        input.records = 0;
        input.bytes = 12_288;
        input.rejected = 81;
        input.start = None;
        input.end = None;
    }
    report.inputs[1].opened = false;
    report.inputs[1].bytes = 0;
    report.inputs[1].rejected = 0;
    report.inputs[1].problems = vec![InputProblem {
        offset_bytes: 0,
        line: None,
        frame: None,
        what: "cannot be opened: Permission denied; make it readable or run as its owner".into(),
    }];
    report.verdict.headline = "Too little to say: no line of any proxy in 2 inputs".into();
    report.steps = steps(["none", "none", "none", "none", "none"]);
    report.missing = vec![missing(
        "the logs of the proxies",
        "everything else is told from them",
        "for p in $(kubectl -n NAMESPACE get pods -o name); do kubectl -n NAMESPACE logs $p -c istio-proxy > ${p#pod/}.log; done",
    )];
    report
}

/// What an attacker would put wherever a log's text reaches the report.
pub(crate) const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{202e}txt.exe\u{2066}\u{200b}\u{61c} \u{9b}31m\0 ratings";

/// A report with `text` in every field that can carry text of a log, a path or a user's file.
pub(crate) fn with_text(text: &str) -> Report {
    let mut report = refused();
    put_in_inputs(&mut report, text);
    put_in_findings(&mut report, text);
    put_in_figures(&mut report, text);
    report.verdict.headline = text.into();
    report.missing = vec![missing(text, text, text)];
    report.steps[0].step = text.into();
    report.limits[0].table = text.into();
    report.limits[0].what = text.into();
    report.tool.version = text.into();
    report
}

fn put_in_inputs(report: &mut Report, text: &str) {
    for input in &mut report.inputs {
        input.path = text.into();
        input.member = Some(text.into());
        input.kind = text.into();
        input.format = Some(text.into());
        input.pod = Some(text.into());
        input.namespace = Some(text.into());
        input.compression = text.into();
        input.wrapper = vec![text.into()];
        input.time.zone = text.into();
        input.time.source = "assumed".into();
        for problem in &mut input.problems {
            problem.what = text.into();
        }
        for sample in &mut input.rejected_samples {
            sample.text = text.into();
            sample.why = text.into();
        }
    }
}

fn put_in_findings(report: &mut Report, text: &str) {
    for finding in &mut report.findings {
        finding.title = text.into();
        finding.summary = text.into();
        finding.cause = text.into();
        finding.scope.source = Some(text.into());
        finding.scope.destination = Some(text.into());
        for piece in &mut finding.evidence {
            piece.text = text.into();
        }
        for out in &mut finding.ruled_out {
            out.cause = text.into();
            out.because = text.into();
        }
        finding.would_overturn = Some(missing(text, text, text));
        finding.next.check = vec![text.into()];
        finding.next.notes = vec![text.into()];
        finding.next.documented_in = vec![text.into()];
        finding.next.filters.wireshark = Some(text.into());
        for fix in &mut finding.next.fix {
            fix.text = text.into();
            fix.command = Some(text.into());
            fix.yaml = Some(text.into());
            fix.valid_for.from = Some(text.into());
        }
    }
}

fn put_in_figures(report: &mut Report, text: &str) {
    report.requests.by_code.insert(text.into(), 7);
    report.requests.by_flag.insert(text.into(), 7);
    report.requests.by_detail.insert(text.into(), 7);
    for row in &mut report.requests.by_destination {
        row.name = text.into();
        row.reporter = text.into();
        row.flags.insert(text.into(), u64::MAX / 4);
    }
    for latency in &mut report.latency {
        latency.scope.name = text.into();
        latency.reporter = text.into();
    }
    for slow in &mut report.slowest {
        slow.request = text.into();
        slow.flags = text.into();
    }
    for hit in &mut report.signatures {
        hit.id = text.into();
    }
    for event in &mut report.timeline.events {
        event.text = text.into();
    }
    for step in &mut report.steps {
        step.looked_at = vec![LookedAt {
            of: text.into(),
            says: text.into(),
            found: true,
            refs: vec![],
        }];
    }
    for change in &mut report.timeline.change_points {
        change.metric = text.into();
        change.scope = text.into();
    }
}

/// [`with_text`] and `text` in what only pages show: quotes, examples, joins, who called whom, changes.
pub(crate) fn with_text_everywhere(text: &str) -> Report {
    let mut report = with_text(text);
    let captured = captured_with_text(text);
    report.captures = captured.captures;
    for certificate in &mut report.captures.tls.certificates {
        certificate.subject = text.into();
        certificate.issuer = text.into();
        certificate.by = text.into();
    }
    report.captures.tls.alerts = vec![CaptureAlert {
        level: text.into(),
        code: 42,
        description: text.into(),
        by: text.into(),
        count: 3,
        refs: vec![frame(0, 3)],
    }];
    let line = Ref {
        input: InputId(0),
        line: Some(3),
        frame: None,
        offset_bytes: None,
    };
    for place in [line, frame(0, 3)] {
        report.quotes.push(Quote {
            input: place.input,
            line: place.line,
            frame: place.frame,
            text: text.into(),
        });
    }
    for hits in &mut report.signatures {
        hits.title = text.into();
        hits.cause = Some(text.into());
        hits.source = text.into();
        hits.severity = text.into();
        hits.inputs.insert(text.into(), 2);
        for example in &mut hits.examples {
            example.text = text.into();
        }
    }
    let change = Change {
        at: Timestamp(1_793_588_400_000_000_000),
        kind: text.into(),
        text: text.into(),
        refs: vec![line, frame(0, 3)],
    };
    for finding in &mut report.findings {
        finding.changed_before = vec![change.clone()];
        for piece in &mut finding.evidence {
            piece.refs = vec![line, frame(0, 3)];
        }
        finding.scope.cluster = Some(text.into());
        finding.scope.pods = vec![text.into()];
    }
    report.topology.nodes = vec![TopologyNode {
        name: text.into(),
        kind: text.into(),
    }];
    report.topology.edges = vec![TopologyEdge {
        source: text.into(),
        destination: format!("{text} too"),
        requests: 9,
        failed: 3,
        p99_ms: Some(5.0),
    }];
    let requests = &mut report.requests;
    requests.by_class.insert(text.into(), 7);
    requests.by_protocol.insert(text.into(), 7);
    requests.by_route = requests.by_destination.clone();
    requests.by_source = requests.by_destination.clone();
    let spent: BTreeMap<String, Quantiles> = [text, "waiting", "network"]
        .into_iter()
        .map(|part| {
            let quantiles = Quantiles {
                count: 9,
                p50: 1.0,
                p90: 2.0,
                p99: 3.0,
                max: 4.0,
            };
            (part.to_owned(), quantiles)
        })
        .collect();
    report.correlation.joinable_requests = 9;
    report.correlation.joined_requests = 9;
    report.correlation.told_by.insert(text.into(), 9);
    report.correlation.unjoined_because.insert(text.into(), 9);
    report.correlation.by_destination = vec![DestinationSpent {
        name: text.into(),
        reporter: text.into(),
        requests: 9,
        from: counts([(text, 9)]),
        time_spent_ms: spent,
    }];
    report.correlation.examples = vec![JoinExample {
        request: line,
        stream: StreamRef {
            input: InputId(0),
            first_frame: 3,
            client: text.into(),
            server: text.into(),
        },
        told_by: text.into(),
        time_spent_ms: [(text.to_owned(), 2.0), ("waiting".to_owned(), 1.0)].into(),
        story: text.into(),
    }];
    for bucket in &mut report.timeline.buckets {
        bucket.flags.insert(text.into(), 3);
        bucket.signatures.insert(text.into(), 3);
    }
    for event in &mut report.timeline.events {
        event.kind = text.into();
    }
    report.catalog.user_files = vec![text.into()];
    report
}

fn frame(input: u32, frame: u64) -> Ref {
    Ref {
        input: InputId(input),
        line: None,
        frame: Some(frame),
        offset_bytes: None,
    }
}

fn times(count: u64, p50: f64, p99: f64) -> Times {
    Times {
        count,
        min: p50 / 2.0,
        p50,
        p90: p99 / 2.0,
        p99,
        max: p99 * 2.0,
    }
}

fn capture(id: u32, path: &str, packets: u64) -> Input {
    Input {
        kind: "capture".into(),
        records_by_kind: counts([("capture", packets)]),
        format: Some("pcap (µs, little-endian)".into()),
        format_confidence: None,
        pod: Some("productpage-v1-675fc69cf".into()),
        bytes: packets * 160,
        records: packets,
        time: TimeQuality {
            resolution_us: 1,
            order: "sorted".into(),
            ..input(0, "", "", 212).time
        },
        ..input(id, path, "", 212)
    }
}

fn trouble(kind: &str, text: &str, connections: u64, refs: Vec<Ref>) -> CaptureTrouble {
    CaptureTrouble {
        kind: kind.into(),
        text: text.into(),
        by: Some("server".into()),
        spoken: String::new(),
        point: 0,
        server: "10.244.2.31:9080".into(),
        name: Some("ratings.prod.svc.cluster.local:9080".into()),
        hop: "proxy-to-proxy".into(),
        clients: vec![
            CaptureClient {
                address: "10.244.1.11".into(),
                name: Some("productpage-v1".into()),
            },
            CaptureClient {
                address: "10.244.1.12".into(),
                name: None,
            },
        ],
        client_count: 2,
        connections,
        of: 1_204,
        first: Some(at(3, 2, 11)),
        last: Some(at(3, 28, 55)),
        retransmissions: 0,
        segments: 0,
        zero_window_ms: 0.0,
        longest_zero_window_ms: 0.0,
        server_errors: 0,
        refs,
    }
}

fn troubles() -> Vec<CaptureTrouble> {
    vec![
        trouble(
            "refused",
            "SYN answered by RST",
            211,
            vec![frame(0, 88_123), frame(0, 88_201), frame(1, 1_204)],
        ),
        CaptureTrouble {
            point: 1,
            of: 993,
            ..trouble("refused", "SYN answered by RST", 200, vec![frame(1, 1_204)])
        },
        CaptureTrouble {
            spoken: "the client spoke HTTP/1, the server nothing".into(),
            ..trouble(
                "reset-mid-exchange",
                "reset in mid-exchange by the server",
                3,
                vec![frame(0, 70_001)],
            )
        },
        CaptureTrouble {
            connections: 4,
            name: None,
            server: "[2001:db8::31]:443".into(),
            clients: vec![],
            client_count: 0,
            last: Some(at(3, 2, 11)),
            ..trouble(
                "tls-alert",
                "TLS alert certificate_expired by the server: the other's certificate is not valid at this time",
                4,
                vec![frame(0, 90_001)],
            )
        },
        CaptureTrouble {
            zero_window_ms: 31_400.0,
            longest_zero_window_ms: 2_130.5,
            ..trouble("zero-window", "zero window by the server", 17, vec![frame(1, 7)])
        },
        CaptureTrouble {
            retransmissions: 120,
            segments: 5_004,
            client_count: 9,
            ..trouble("loss", "loss of what the client sent", 63, vec![frame(1, 12)])
        },
    ]
}

fn servers() -> Vec<CaptureServer> {
    let server = |point, name: Option<&str>, connections, failed, rtt: f64| CaptureServer {
        point,
        server: "10.244.2.31:9080".into(),
        name: name.map(str::to_owned),
        hop: "proxy-to-proxy".into(),
        connections,
        failed,
        retransmissions: 123,
        handshake_rtt_us: times(connections, rtt, rtt * 7.0),
        tls_handshake_ms: times(connections, 1.9, 11.2),
        response_time_ms: times(0, 0.0, 0.0),
    };
    vec![
        server(0, Some("ratings.prod.svc.cluster.local:9080"), 1_204, 211, 351.0),
        server(1, Some("ratings.prod.svc.cluster.local:9080"), 993, 0, 42.0),
        CaptureServer {
            server: "127.0.0.1:15001".into(),
            handshake_rtt_us: times(14, 31.0, 77.0),
            tls_handshake_ms: Times::default(),
            response_time_ms: times(1_811, 3.2, 1_204.0),
            ..server(0, None, 14, 0, 31.0)
        },
    ]
}

fn captures() -> Captures {
    Captures {
        packets: 412_907,
        bytes: 66_065_120,
        truncated_packets: 12,
        dropped_reported: 31,
        duplicates: 0,
        link_types: counts([("EN10MB", 412_907)]),
        streams: CaptureStreams {
            tcp: 2_211,
            udp: 812,
            other: 0,
            truncated: false,
        },
        tcp: CaptureTcp {
            handshakes: 1_988,
            failed: 215,
            refused: 211,
            midstream: 12,
            resets: 230,
            closes: counts([
                ("fin", 1_900),
                ("not-opened", 211),
                ("open", 88),
                ("reset-idle", 12),
            ]),
            ..CaptureTcp::default()
        },
        tls: CaptureTls {
            connections: 1_900,
            versions: counts([("TLS 1.2", 31), ("TLS 1.3", 1_869)]),
            alerts: vec![CaptureAlert {
                level: "fatal".into(),
                code: 45,
                description: "certificate_expired".into(),
                by: "server".into(),
                count: 4,
                refs: vec![frame(0, 90_001)],
            }],
            certificates: vec![CaptureCertificate {
                subject: String::new(),
                san: strings(["spiffe://cluster.local/ns/prod/sa/ratings"]),
                not_before: Some("2026-11-01T00:00:00Z".into()),
                not_after: Some("2026-11-02T00:00:00Z".into()),
                issuer: "O=cluster.local".into(),
                leaf: true,
                by: "server".into(),
                count: 4,
                refs: vec![frame(0, 90_000)],
            }],
            ..CaptureTls::default()
        },
        http: CaptureHttp {
            requests: 1_811,
            responses_by_code: counts([("200", 1_600), ("503", 211)]),
            ..CaptureHttp::default()
        },
        dns: CaptureDns {
            queries: 1_012,
            retries: 7,
            unanswered: 3,
            responses_by_rcode: counts([("NOERROR", 600), ("NXDOMAIN", 409)]),
            failed_names: vec![CaptureFailedName {
                name: "payments.partner.example.prod.svc.cluster.local".into(),
                rcode: Some("NXDOMAIN".into()),
                count: 204,
                retries: 0,
                clients: strings(["productpage-v1"]),
                servers: strings(["10.96.0.10:53"]),
                first: Some(at(2, 41, 9)),
                last: Some(at(3, 28, 1)),
                refs: vec![frame(0, 14)],
            }],
            ..CaptureDns::default()
        },
        icmp: counts([("destination-unreachable/port", 3)]),
        hops: counts([("app-to-proxy", 14), ("other", 0), ("proxy-to-proxy", 2_197)]),
        points: vec![
            CapturePoint {
                point: 0,
                inputs: vec![InputId(0)],
                packets: 211_004,
                bytes: 33_000_000,
                start: Some(at(2, 41, 7)),
                end: Some(at(3, 28, 55)),
            },
            CapturePoint {
                point: 1,
                inputs: vec![InputId(1), InputId(2)],
                packets: 201_903,
                bytes: 33_065_120,
                start: Some(at(2, 41, 8)),
                end: Some(at(3, 28, 54)),
            },
        ],
        servers: servers(),
        troubles: troubles(),
        honesty: CaptureHonesty {
            one_sided_streams: 2,
            cut_packets: 12,
            reported_drops: Some(31),
            acked_unseen: 4,
            tls_1_3_streams: 1_869,
            ..CaptureHonesty::default()
        },
    }
}

/// Captures alone: a port on which nobody listens, an expired certificate, a closed window, loss.
pub(crate) fn captured() -> Report {
    let mut report = refused();
    report.inputs = vec![
        capture(0, "prod_productpage-v1-675fc69cf.eth0.pcap.gz", 211_004),
        capture(1, "prod_ratings-v1-6484c4d9bb.eth0.pcap0", 100_000),
        capture(2, "prod_ratings-v1-6484c4d9bb.eth0.pcap1", 101_903),
    ];
    report.inputs[0].problems = vec![InputProblem {
        offset_bytes: 33_760_640,
        line: None,
        frame: Some(211_005),
        what: "cut short inside a packet; what came before is used".into(),
    }];
    report.captures = captures();
    report.requests = Requests::default();
    report.latency.clear();
    report.slowest.clear();
    report.signatures.clear();
    report.limits.clear();
    report.topology = Topology::default();
    report.missing.clear();
    report.timeline.events.clear();
    report.timeline.change_points.clear();
    report.timeline.gaps.clear();
    for bucket in &mut report.timeline.buckets {
        bucket.connections = std::mem::take(&mut bucket.requests) / 250;
        bucket.failed_connections = std::mem::take(&mut bucket.failed) / 80;
        bucket.resets = bucket.failed_connections + 1;
        bucket.retransmissions = bucket.failed_connections / 3;
        (bucket.p50_ms, bucket.p99_ms) = (None, None);
    }
    report.findings.truncate(1);
    let finding = &mut report.findings[0];
    finding.impact = Impact {
        unit: Unit::Requests,
        requests: 1_204,
        failed: 211,
        share: 211.0 / 1_204.0,
        added_latency_ms: None,
    };
    finding.ruled_out.clear();
    finding.would_overturn = None;
    finding.evidence = vec![evidence(
        EvidenceKind::Packet,
        "10.244.2.31:9080 answers SYN by RST",
        211,
        vec![frame(0, 88_123), frame(0, 88_201), frame(1, 1_204)],
    )];
    report
}

/// The captures of [`captured`] when nothing went wrong and nothing is missing.
pub(crate) fn captured_healthy() -> Report {
    let mut report = healthy();
    let captured = captured();
    report.captures = captured.captures;
    report.inputs.extend(captured.inputs);
    for (id, input) in (0..).zip(&mut report.inputs) {
        input.id = InputId(id);
        input.problems.clear();
    }
    for point in &mut report.captures.points {
        for input in &mut point.inputs {
            input.0 += 3;
        }
    }
    report.captures.points.truncate(1);
    report.captures.troubles.clear();
    report.captures.dns = CaptureDns::default();
    report.captures.icmp.clear();
    report.captures.honesty = CaptureHonesty::default();
    report.captures.servers.truncate(1);
    report
}

/// [`captured`] with `text` wherever text of a capture can stand.
pub(crate) fn captured_with_text(text: &str) -> Report {
    let mut report = captured();
    put_in_inputs(&mut report, text);
    let captures = &mut report.captures;
    for counts in [
        &mut captures.hops,
        &mut captures.icmp,
        &mut captures.link_types,
        &mut captures.tcp.closes,
        &mut captures.tls.versions,
        &mut captures.tls.sni,
        &mut captures.http.responses_by_code,
        &mut captures.http.grpc_by_status,
        &mut captures.dns.responses_by_rcode,
    ] {
        counts.insert(text.into(), u64::MAX / 4);
    }
    for trouble in &mut captures.troubles {
        trouble.kind = text.into();
        trouble.text = text.into();
        trouble.spoken = text.into();
        trouble.server = text.into();
        trouble.name = Some(text.into());
        for client in &mut trouble.clients {
            client.name = Some(text.into());
        }
    }
    for server in &mut captures.servers {
        server.server = text.into();
        server.name = Some(text.into());
        server.hop = text.into();
    }
    for name in &mut captures.dns.failed_names {
        name.name = text.into();
        name.rcode = Some(text.into());
        name.clients = vec![text.into(); 3];
    }
    for certificate in &mut captures.tls.certificates {
        certificate.san = vec![text.into()];
        certificate.not_after = Some(text.into());
    }
    report
}
