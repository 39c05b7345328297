//! What is said of small incidents, made of a few rows each: every measure once where it holds and once where it
//! does not, and noise that must be called healthy.
//!
//! In each incident `productpage-v1` calls `ratings` (pod `ratings-v1`), from 2026-11-02T03:00:00Z on.

use crate::rows::Call;
use crate::running::Scratch;
use postmesh::report::model::{Finding, Role, Severity, State};
use postmesh::{Options, Report};
use std::fmt::Write as _;
use std::ops::Range;

/// The logs of the two proxies.
#[derive(Clone, Debug, Default)]
struct Logs {
    caller: String,
    called: String,
}

impl Logs {
    /// Good calls in these seconds, one every 100 ms, written by both proxies.
    fn good(self, seconds: Range<u64>) -> Self {
        self.both(every(100, seconds, &Call::default()))
    }

    fn both(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        for call in calls {
            call.write(&mut self.caller);
            call.write_called(&mut self.called);
        }
        self
    }

    fn at_caller(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        calls.into_iter().for_each(|call| call.write(&mut self.caller));
        self
    }

    fn at_called(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        calls
            .into_iter()
            .for_each(|call| call.write_called(&mut self.called));
        self
    }

    /// A call that fails inside the called pod: its proxy writes `fault`, the caller's a status from upstream.
    fn inside_called(self, faults: impl IntoIterator<Item = Call>) -> Self {
        faults.into_iter().fold(self, |logs, fault| {
            let seen = Call {
                at_ms: fault.at_ms,
                code: fault.code,
                ..Call::default()
            };
            logs.at_caller([seen]).at_called([fault])
        })
    }

    fn caller_says(mut self, second: u64, message: &str) -> Self {
        component_line(&mut self.caller, second, message);
        self
    }

    fn called_says(mut self, second: u64, message: &str) -> Self {
        component_line(&mut self.called, second, message);
        self
    }

    fn report(&self) -> Report {
        let scratch = Scratch::new();
        for (pod, log) in [("productpage-v1", &self.caller), ("ratings-v1", &self.called)] {
            if !log.is_empty() {
                scratch.write(&format!("{pod}.istio-proxy.log"), log);
            }
        }
        let paths = vec![scratch.path().to_owned()];
        let options = Options {
            paths,
            ..Options::default()
        };
        postmesh::analyze(&options).unwrap()
    }
}

fn component_line(log: &mut String, second: u64, message: &str) {
    let (minute, second) = (second / 60, second % 60);
    writeln!(
        log,
        "2026-11-02T03:{minute:02}:{second:02}.000000Z\twarning\tenvoy config source/common/file.cc:189\t{message}\tthread=21"
    )
    .unwrap();
}

/// `call` once every so many milliseconds in these seconds.
fn every(step_ms: usize, seconds: Range<u64>, call: &Call) -> Vec<Call> {
    let times = (seconds.start * 1000..seconds.end * 1000).step_by(step_ms);
    times
        .map(|at_ms| Call {
            at_ms,
            ..call.clone()
        })
        .collect()
}

const STREAM_CLOSED: &str = "StreamAggregatedResources gRPC config stream to xds-grpc closed: 13, \
                             upstream_reset_after_response_started{connection_termination}";
const STREAM_UNREACHABLE: &str = "StreamAggregatedResources gRPC config stream to xds-grpc closed: 14, \
                                  upstream_reset_before_response_started{remote_connection_failure}";
const CONFIG_UPDATE: &str =
    "cds: added/updated 12 cluster(s) (skipped 3 unmodified cluster(s)); removed 0 cluster(s)";
const CANNOT_BIND: &str = "gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: \
                           Error adding/updating listener(s) virtualInbound: cannot bind '0.0.0.0:15006': \
                           Address already in use";

/// An answer of the application.
fn answer(code: u16) -> Call {
    Call {
        code,
        ..Call::default()
    }
}

fn slow(ms: u64) -> Call {
    Call {
        duration_ms: ms,
        upstream_ms: ms,
        ..Call::default()
    }
}

/// A status that the writing proxy made without an upstream connection.
fn local(code: u16, flags: &'static str, details: &'static str) -> Call {
    Call {
        code,
        flags,
        details,
        connection: None,
        ..Call::default()
    }
}

fn refused() -> Call {
    Call {
        reason: "delayed_connect_error:_Connection_refused",
        ..local(
            503,
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        )
    }
}

fn unanswered() -> Call {
    Call {
        duration_ms: 1200,
        ..local(
            503,
            "URX,UF",
            "upstream_reset_before_response_started{connection_timeout}",
        )
    }
}

fn no_host() -> Call {
    Call {
        host: "-",
        ..local(503, "UH", "no_healthy_upstream")
    }
}

fn no_route(path: &str) -> Call {
    Call {
        path: path.to_owned(),
        host: "-",
        ..local(404, "NR", "route_not_found")
    }
}

fn plaintext_answer() -> Call {
    Call {
        reason: "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end",
        ..local(
            503,
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure}",
        )
    }
}

fn expired(host: &'static str) -> Call {
    Call {
        host,
        reason: "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:\
                 _X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end",
        ..local(
            503,
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure}",
        )
    }
}

fn reset(connection: u16) -> Call {
    Call {
        code: 503,
        flags: "UC",
        details: "upstream_reset_before_response_started{connection_termination}",
        connection: Some(connection),
        ..Call::default()
    }
}

fn caller_left(duration_ms: u64) -> Call {
    Call {
        code: 0,
        flags: "DC",
        details: "downstream_remote_disconnect",
        duration_ms,
        ..Call::default()
    }
}

/// Causes that are accused, by rank.
fn accused(report: &Report) -> Vec<&str> {
    causes(report, |f| f.severity != Severity::Info)
}

/// Causes that stand as remarks, by rank.
fn remarked(report: &Report) -> Vec<&str> {
    causes(report, |f| f.severity == Severity::Info)
}

/// Why the first finding is not `cause`.
fn ruled_out<'r>(report: &'r Report, cause: &str) -> Option<&'r str> {
    let ruled_out = report.findings[0].ruled_out.iter();
    let mut reasons = ruled_out.filter(|out| out.cause == cause);
    reasons.next().map(|out| out.because.as_str())
}

fn causes(report: &Report, keep: impl Fn(&Finding) -> bool) -> Vec<&str> {
    let kept = report.findings.iter().filter(|f| keep(f));
    kept.map(|f| f.cause.as_str()).collect()
}

/// Seconds and milliseconds from the start, as `12.300`.
fn clock(time: Option<postmesh::units::Timestamp>) -> String {
    let text = time.unwrap().to_string();
    text.get(17..23).unwrap_or_default().to_owned()
}

#[test]
fn noise_is_called_healthy() {
    let calm = || Logs::default().good(0..60);
    let cases: [(&str, Logs); 12] = [
        ("nothing but good calls", calm()),
        (
            "a burst of the application's own 500s",
            calm().both(every(50, 20..24, &answer(500))),
        ),
        (
            "the application's own 503s for a minute",
            calm().both(every(200, 0..60, &answer(503))),
        ),
        ("404s", calm().both(every(150, 0..60, &answer(404)))),
        (
            "403s that came from upstream, the called log unread",
            Logs::default()
                .at_caller(every(100, 0..60, &Call::default()))
                .at_caller(every(500, 0..60, &answer(403))),
        ),
        (
            "429s that the application made",
            calm().both(every(500, 0..60, &answer(429))),
        ),
        (
            "a few resets",
            calm().inside_called(every(14_000, 2..56, &reset(40_001))),
        ),
        (
            "probes",
            calm().at_called(every(
                2000,
                0..60,
                &Call {
                    path: "/healthz".to_owned(),
                    ..Call::default()
                },
            )),
        ),
        (
            "callers that have always gone away now and then",
            calm().at_caller((0..30).map(|i| Call {
                at_ms: i * 2000,
                ..caller_left(40 + i * 37 % 400)
            })),
        ),
        (
            "one slow second",
            Logs::default()
                .good(0..30)
                .both(every(50, 30..31, &slow(700)))
                .good(31..60),
        ),
        (
            "the half-hourly reconnect to the control plane",
            calm().caller_says(20, STREAM_CLOSED),
        ),
        (
            "a control plane that was away for a moment",
            calm().caller_says(20, STREAM_UNREACHABLE),
        ),
    ];
    for (name, logs) in cases {
        let report = logs.report();
        assert_eq!(accused(&report), [""; 0], "{name}");
        assert_eq!(
            report.verdict.state,
            State::Healthy,
            "{name}: {:?}",
            report.findings
        );
        assert!(report.verdict.healthy, "{name}");
    }
}

#[test]
fn a_host_is_ejected_after_a_burst_of_errors_and_not_because_of_background_errors() {
    let then_no_host = |logs: Logs| logs.at_caller(every(100, 40..50, &no_host())).good(50..60);
    let burst = then_no_host(Logs::default().good(0..40).both(every(100, 37..40, &answer(503))));
    assert_eq!(accused(&burst.report()), ["outlier-ejection"]);
    let background = then_no_host(Logs::default().good(0..40).both(every(500, 0..40, &answer(503))));
    assert_eq!(accused(&background.report()), ["no-endpoints"]);
    let nothing_before = Logs::default().at_caller(every(100, 0..30, &no_host()));
    assert_eq!(accused(&nothing_before.report()), ["no-endpoints"]);
}

/// An answer that came from the called pod, with a body of this length.
fn answer_as_long_as(code: u16, body: &str) -> Call {
    Call {
        bytes_sent: body.len() as u64,
        ..answer(code)
    }
}

#[test]
fn the_length_of_a_body_tells_what_the_called_proxy_did_where_its_log_was_not_read() {
    let at_caller = |call: Call| {
        let good = every(100, 0..60, &Call::default());
        Logs::default()
            .at_caller(good)
            .at_caller(every(200, 20..40, &call))
    };
    let connect_error =
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    for (code, body, cause) in [
        (403, "RBAC: access denied", "rbac-denied"),
        (429, "local_rate_limited", "local-rate-limit"),
        (503, connect_error, "upstream-connection-refused"),
    ] {
        let logs = at_caller(answer_as_long_as(code, body));
        let report = logs.report();
        assert_eq!(accused(&report), [cause], "{body}");
        assert!(
            report.findings[0].confidence < 0.8,
            "{body}: no more than a length"
        );
        // The called proxy's log says that the application answered.
        let read = logs.at_called(every(200, 20..40, &answer_as_long_as(code, body)));
        assert_eq!(accused(&read.report()), [""; 0], "{body}, the called log read");
    }
    let own = at_caller(answer_as_long_as(403, "an application's own words"));
    assert_eq!(accused(&own.report()), [""; 0]);
}

#[test]
fn errors_that_began_where_the_called_log_was_not_read_are_symptoms() {
    let good = || Logs::default().at_caller(every(100, 0..60, &Call::default()));
    let began = good().at_caller(every(100, 20..40, &answer(500))).report();
    assert_eq!(
        (began.verdict.state, accused(&began)),
        (State::SymptomsOnly, vec![])
    );
    let always = good().at_caller(every(1000, 0..60, &answer(500))).report();
    assert_eq!(always.verdict.state, State::Healthy);
}

#[test]
fn grpc_refusals_in_http_200_are_denials() {
    for (flags, details, cause) in [
        ("-", "rbac_access_denied_matched_policy[none]", "rbac-denied"),
        ("RL", "local_rate_limited", "local-rate-limit"),
    ] {
        let logs = Logs::default().good(0..60);
        let logs = logs.at_called(every(100, 20..30, &local(200, flags, details)));
        assert_eq!(accused(&logs.report()), [cause], "{details}");
    }
}

#[test]
fn a_pod_whose_proxy_runs_does_not_refuse_connections() {
    let refused = || every(100, 20..30, &refused());
    let unread = Logs::default()
        .at_caller(every(100, 0..20, &Call::default()))
        .at_caller(refused());
    let unread = unread.report();
    assert_eq!(
        (accused(&unread), remarked(&unread)),
        (vec![], vec!["upstream-connection-refused"]),
        "a rule that rejects with a reset looks the same from the caller"
    );
    let silent = Logs::default().good(0..20).at_caller(refused()).report();
    assert_eq!(
        (accused(&silent), remarked(&silent)),
        (vec![], vec!["upstream-connection-refused"]),
        "whether its proxy ran is not known"
    );
    let alive = silent_but(Logs::default().good(0..20).at_caller(refused()));
    assert_eq!(accused(&alive.report()), ["network-policy-reject"]);
}

/// Other callers reach the called pod all the time.
fn silent_but(logs: Logs) -> Logs {
    logs.at_called(every(500, 0..60, &Call::default()))
}

#[test]
fn what_is_over_at_once_is_a_remark() {
    let blip = every(50, 20..21, &refused()).into_iter().take(9);
    let logs = Logs::default().good(0..60).at_called(blip);
    let report = logs.report();
    assert_eq!(
        (accused(&report), remarked(&report)),
        (vec![], vec!["upstream-connection-refused"])
    );
    let longer = Logs::default()
        .good(0..60)
        .at_called(every(500, 20..26, &refused()));
    assert_eq!(accused(&longer.report()), ["upstream-connection-refused"]);
}

#[test]
fn an_answer_that_is_broken_off_is_no_other_protocol() {
    let broken = |details| Call {
        code: 200,
        flags: "UPE",
        details,
        ..Call::default()
    };
    for (details, cause) in [
        (
            "upstream_reset_after_response_started{protocol_error}",
            "upstream-reset",
        ),
        (
            "upstream_reset_before_response_started{protocol_error}",
            "upstream-protocol-error",
        ),
    ] {
        let logs = Logs::default().good(0..60);
        let logs = logs.at_called(every(100, 20..30, &broken(details)));
        assert_eq!(accused(&logs.report()), [cause], "{details}");
    }
}

#[test]
fn the_called_side_alone_does_not_tell_who_gave_up() {
    let gone = Call {
        flags: "DR",
        details: "http2.remote_reset",
        ..caller_left(400)
    };
    let logs = || Logs::default().at_called(every(100, 0..60, &Call::default()));
    let report = logs().at_called(every(200, 20..40, &gone)).report();
    assert_eq!(
        (report.verdict.state, accused(&report), remarked(&report)),
        (State::SymptomsOnly, vec![], vec!["client-disconnect"])
    );
}

#[test]
fn resets_after_idle_time_are_the_keep_alive_race() {
    // A good call, two idle seconds, a reset, on a connection each.
    let race = |logs: Logs, idle_ms: u64| {
        (0..25).fold(logs, |logs, i| {
            let connection = 40_000 + u16::try_from(i).unwrap();
            let first = Call {
                at_ms: 1000 + i * 2000,
                connection: Some(connection),
                ..Call::default()
            };
            let second = Call {
                at_ms: first.at_ms + idle_ms,
                ..reset(connection)
            };
            logs.both([first]).inside_called([second])
        })
    };
    let idle = race(Logs::default().good(0..60), 2000).report();
    assert_eq!(accused(&idle), ["keepalive-race"]);
    assert_eq!(
        ruled_out(&idle, "upstream-reset"),
        Some(
            "25 rows have 503 UC upstream_reset_before_response_started{connection_termination}, but keepalive-race explains them all (1300 rows to ratings.default.svc.cluster.local:9080 read)"
        ),
        "rows that would show a look-alike are not said to be absent"
    );
    let busy = race(Logs::default().good(0..60), 10).report();
    assert_eq!(accused(&busy), ["upstream-reset"]);
    assert_eq!(
        idle.findings[0].impact.failed, 25,
        "the caller's rows of the same requests count, once"
    );
}

#[test]
fn a_path_in_other_letter_case_is_no_path_that_lost_its_route() {
    let lost = Logs::default()
        .good(0..30)
        .at_caller(every(200, 30..60, &no_route("/ratings/1")));
    assert_eq!(accused(&lost.report()), ["route-not-found"]);
    assert_eq!(
        ruled_out(&lost.report(), "route-case-mismatch"),
        Some(
            "no path without a route is routed in other letter case (750 rows to ratings.default.svc.cluster.local:9080 read)"
        )
    );
    let other_case = Logs::default()
        .good(0..60)
        .at_caller(every(200, 30..60, &no_route("/Ratings/1")));
    assert_eq!(accused(&other_case.report()), ["route-case-mismatch"]);
}

#[test]
fn certificates_that_end_one_after_the_other_are_one_fault() {
    let expiry = |second_from: u64| {
        Logs::default()
            .good(0..20)
            .at_caller(every(100, 20..60, &expired("10.244.1.41:9080")))
            .at_caller(every(100, second_from..60, &expired("10.244.1.42:9080")))
            .report()
    };
    assert_eq!(accused(&expiry(35)), ["gradual-cert-expiry"]);
    assert_eq!(
        accused(&expiry(20)),
        ["cert-expired"],
        "one expiry, seen at two hosts"
    );
}

#[test]
fn callers_that_begin_to_leave_at_one_age_are_a_change() {
    let changed = Logs::default()
        .good(0..60)
        .at_caller(every(400, 40..60, &caller_left(80)))
        .report();
    assert_eq!(accused(&changed), ["client-disconnect"]);
    assert_eq!(changed.requests.canceled, 50);
    assert_eq!(changed.requests.failed, 0, "a cancel is no failure");
    let scattered = Logs::default()
        .good(0..60)
        .at_caller((0..50).map(|i| Call {
            at_ms: 40_000 + i * 400,
            ..caller_left(20 + i * 97 % 900)
        }))
        .report();
    assert_eq!(accused(&scattered), [""; 0], "no common age");
}

#[test]
fn rows_after_a_bind_failure_follow_from_it() {
    let report = Logs::default()
        .good(0..20)
        .called_says(20, CANNOT_BIND)
        .at_caller(every(100, 21..40, &plaintext_answer()))
        .report();
    assert_eq!(accused(&report), ["listener-bind-failure"]);
    let follows = &report.findings[1];
    assert_eq!(follows.cause, "mtls-tls-to-plaintext");
    assert_eq!(
        (follows.role, follows.severity),
        (Role::Consequence, Severity::Info)
    );
    assert_eq!(follows.consequence_of.as_ref(), Some(&report.findings[0].id));
    let before = Logs::default()
        .at_caller(every(100, 0..19, &plaintext_answer()))
        .good(20..40)
        .called_says(30, CANNOT_BIND)
        .report();
    assert!(
        accused(&before).contains(&"mtls-tls-to-plaintext"),
        "rows before the line do not follow from it: {:?}",
        accused(&before)
    );
}

#[test]
fn a_lost_control_plane_is_accused_only_for_what_came_of_it() {
    let gone = Logs::default()
        .good(0..20)
        .caller_says(15, STREAM_CLOSED)
        .at_caller(every(300, 30..60, &unanswered()));
    let report = gone.report();
    assert_eq!(accused(&report), ["control-plane-unreachable"]);
    assert_eq!(remarked(&report), ["upstream-connect-timeout"]);

    let line_alone = Logs::default()
        .good(0..60)
        .caller_says(15, STREAM_CLOSED)
        .report();
    assert_eq!(accused(&line_alone), [""; 0]);
    assert_eq!(remarked(&line_alone), ["control-plane-unreachable"]);

    let pushed = gone.caller_says(25, CONFIG_UPDATE).report();
    assert_eq!(
        accused(&pushed),
        ["upstream-connect-timeout"],
        "configuration came after: the proxy was not out of touch"
    );
}

#[test]
fn where_the_time_went_needs_the_called_proxys_rows() {
    // A pause after the slow calls, so that no second holds both kinds.
    let around = || Logs::default().good(0..30).good(41..60);
    let application = around().both(every(200, 30..40, &slow(900))).report();
    assert_eq!(accused(&application), ["slow-upstream-app"]);
    assert_eq!(application.findings[0].impact.added_latency_ms, Some(895.0));

    let way = around()
        .at_caller(every(200, 30..40, &slow(900)))
        .at_called(every(200, 30..40, &Call::default()))
        .report();
    assert_eq!(accused(&way), [""; 0]);
    assert_eq!(remarked(&way), ["packet-loss"]);

    let caller_alone = Logs {
        called: String::new(),
        ..around().at_caller(every(200, 30..40, &slow(900)))
    };
    let unknown = caller_alone.report();
    assert_eq!(accused(&unknown), [""; 0]);
    assert_eq!(remarked(&unknown), ["slow-upstream-app"]);
    assert_eq!(unknown.verdict.state, State::SymptomsOnly);
}

#[test]
fn what_the_other_side_saw_is_the_same_fault() {
    let report = Logs::default()
        .good(0..20)
        .inside_called(every(200, 20..40, &refused()))
        .report();
    assert_eq!(accused(&report), ["upstream-connection-refused"]);
    assert_eq!(
        report.findings.len(),
        1,
        "the caller's 503s are no second finding"
    );
    assert_eq!(report.findings[0].impact.failed, 100, "each request once");
    assert_eq!(report.requests.total, 300);
    assert_eq!(report.requests.failed, 100);
}

#[test]
fn the_applications_own_errors_are_not_counted_to_a_fault() {
    let report = Logs::default()
        .good(0..60)
        .both(every(1000, 0..60, &answer(500)))
        .inside_called(every(200, 20..40, &refused()))
        .report();
    assert_eq!(accused(&report), ["upstream-connection-refused"]);
    assert_eq!(
        report.findings[0].impact.failed, 100,
        "the 60 answers with 500 are not of it"
    );
    assert_eq!(report.requests.failed, 160);
}

#[test]
fn a_window_ends_with_the_last_failure_only_if_calls_succeeded_after() {
    let ended = Logs::default()
        .good(0..20)
        .at_caller(every(100, 20..40, &refused()))
        .good(40..50)
        .report();
    let window = &ended.findings[0].window;
    assert_eq!(
        (clock(window.start), clock(window.end)),
        ("20.000".to_owned(), "39.900".to_owned())
    );
    assert_eq!(clock(ended.findings[0].onset), "20.000");

    let never = Logs::default()
        .good(0..20)
        .at_caller(every(100, 20..40, &refused()))
        .at_caller(every(
            100,
            40..50,
            &Call {
                service: "details".to_owned(),
                ..Call::default()
            },
        ))
        .report();
    assert_eq!(
        never.findings[0].window.end, never.window.end,
        "without a later success it lasts to the end of the data"
    );
}

#[test]
fn a_sporadic_fault_is_widened_by_the_mean_gap_between_failures() {
    let report = Logs::default()
        .good(0..59)
        .at_caller(every(1000, 20..41, &refused()))
        .report();
    let window = &report.findings[0].window;
    // 21 failures, one a second.
    assert_eq!(
        (clock(window.start), clock(window.end)),
        ("19.000".to_owned(), "41.000".to_owned())
    );
}

#[test]
fn under_twenty_failures_there_is_no_onset() {
    let failures = |count| {
        let report = Logs::default()
            .good(0..59)
            .at_caller(every(1000, 20..20 + count, &refused()))
            .report();
        assert_eq!(report.findings[0].impact.failed, count);
        report.findings[0].onset
    };
    assert_eq!(failures(19), None);
    assert_eq!(clock(failures(20)), "20.000");
}

#[test]
fn denials_of_the_called_proxy_are_no_failures() {
    let report = Logs::default()
        .good(0..30)
        .inside_called(every(
            500,
            10..30,
            &local(403, "-", "rbac_access_denied_matched_policy[none]"),
        ))
        .report();
    assert_eq!(accused(&report), ["rbac-denied"]);
    assert_eq!((report.requests.denied, report.requests.failed), (40, 0));
    let over_time: u64 = report.timeline.buckets.iter().map(|bucket| bucket.denied).sum();
    assert_eq!(over_time, 40);
}

#[test]
fn findings_of_names_that_look_alike_have_ids_of_their_own() {
    let refused = |service: &str, host: &'static str| {
        let call = Call {
            service: service.to_owned(),
            host,
            code: 503,
            flags: "UF",
            details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            connection: None,
            ..Call::default()
        };
        every(500, 20..40, &call)
    };
    let report = Logs::default()
        .good(0..40)
        .at_caller(refused("pay-eu", "10.244.3.1:9080"))
        .at_caller(refused("pay.eu", "10.244.3.2:9080"))
        .report();
    let ids: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.id.as_str())
        .collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert!(ids.len() >= 2, "{ids:?}");
    assert_eq!(once.len(), ids.len(), "{ids:?}");
}

/// A service that was not called before has no share of failures that could have changed.
#[test]
fn a_change_has_a_before() {
    let refused = Call::unsent(503, "UH", "no_healthy_upstream");
    let from_the_start = Logs::default().at_caller(every(100, 0..20, &refused));
    let report = from_the_start.report();
    assert!(!report.findings.is_empty());
    assert!(report.timeline.change_points.is_empty());
    let after_good = Logs::default()
        .good(0..20)
        .at_caller(every(100, 20..40, &refused));
    let report = after_good.report();
    let change = report.timeline.change_points.first().unwrap();
    assert!(
        change.before.abs() < f64::EPSILON && change.after > 0.99,
        "{change:?}"
    );
}

/// Rows of connections that a registry blocks have no cluster, authority or server name: the local address alone tells them apart.
#[test]
fn connections_to_several_blocked_addresses_stand_apart() {
    let blocked = ["203.0.113.1:443", "203.0.113.2:5432", "203.0.113.3:6379"];
    let mut logs = Logs::default();
    for second in 0..30 {
        for (number, address) in (1..).zip(blocked) {
            let client = 40_000 + second * 10 + number;
            let _ = writeln!(
                logs.caller,
                "[2026-11-02T03:00:{second:02}.{number}00Z] \"- - -\" 0 UH - - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" \
                 BlackHoleCluster - {address} 10.244.1.11:{client} - -"
            );
        }
    }
    let report = logs.report();
    let found: Vec<(&str, Option<&str>, u64)> = report
        .findings
        .iter()
        .map(|f| (f.cause.as_str(), f.scope.destination.as_deref(), f.impact.failed))
        .collect();
    let expected = blocked.map(|address| ("unknown-service", Some(address), 30));
    assert_eq!(found, expected);
}

/// In an archive of many pods there are more groups of good rows, and more hops, than are kept: the few rows that failed are not
/// crowded out, and are counted against all requests to their destination at the time.
#[test]
fn failures_are_found_among_any_number_of_good_proxies() {
    let refused = Call {
        reason: "delayed_connect_error:_111",
        connection: None,
        details: "upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111}",
        ..Call::unsent(503, "UF", "-")
    };
    let refused = Call {
        host: "10.244.1.41:9080",
        ..refused
    };
    let mut logs = Logs::default().at_caller(every(100, 0..30, &Call::default()));
    for pod in 0..50_000 {
        let good = Call {
            at_ms: pod,
            service: format!("shop-{}", pod % 40),
            ..Call::default()
        };
        let _ = write!(logs.caller, "[pod/crowd-{pod}/istio-proxy] {}", good.row());
    }
    let logs = logs.at_caller(every(1000, 30..60, &refused));
    let report = logs.report();
    let first = &report.findings[0];
    assert_eq!(
        first.scope.destination.as_deref(),
        Some("ratings.default.svc.cluster.local:9080"),
        "{first:?}"
    );
    assert_eq!(
        (first.impact.failed, first.impact.requests),
        (30, 30),
        "none was good meanwhile: {first:?}"
    );
    assert_ne!(report.verdict.state, State::Healthy);
    let table = |name: &str| report.limits.iter().find(|limit| limit.table == name);
    assert!(table("row groups").is_some_and(|limit| limit.left_out > 10_000));
    assert!(table("row groups that failed").is_none());
    assert!(table("hops").is_some_and(|limit| limit.left_out > 10_000));
    let buckets = report.timeline.buckets.iter();
    assert_eq!(buckets.map(|bucket| bucket.requests).sum::<u64>(), 50_330);
}

/// Rows that failed are of more kinds than are kept: what a finding counts is not all, and it says so.
#[test]
fn findings_say_where_rows_that_failed_were_left_out() {
    let mut logs = Logs::default();
    for pod in 0..16_000 {
        let refused = Call {
            at_ms: pod * 3,
            reason: "delayed_connect_error:_111",
            connection: None,
            details: "upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111}",
            host: "10.244.1.41:9080",
            ..Call::unsent(503, "UF", "-")
        };
        let _ = write!(logs.caller, "[pod/crowd-{pod}/istio-proxy] {}", refused.row());
    }
    let report = logs.report();
    let first = &report.findings[0];
    let limit = report
        .limits
        .iter()
        .find(|limit| limit.table == "row groups that failed");
    let left_out = limit.unwrap().left_out;
    assert!(left_out > 3_000 && first.impact.failed == 16_000 - left_out);
    let told = format!("there may be more: {left_out} rows that failed");
    assert!(
        first.next.notes.iter().any(|note| note.starts_with(&told)),
        "{:?}",
        first.next.notes
    );
}
