//! What a finding tells to do: commands and manifests with the names of the incident, each in its own namespace, and none
//! that cannot apply.

use crate::rows::Call;
use crate::running::{Scratch, analyze, case_input};
use serde_json::Value;
use std::path::Path;

/// Commands and manifests of a finding, as one text each.
fn advice(finding: &Value) -> Vec<String> {
    let next = &finding["next"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let checks = next["check"].as_array().unwrap().iter().filter_map(text);
    let fixes = next["fix"].as_array().unwrap().iter();
    let fixes = fixes
        .flat_map(|fix| [text(&fix["command"]), text(&fix["yaml"])])
        .flatten();
    checks
        .chain(fixes)
        .chain(text(&finding["would_overturn"]["command"]))
        .collect()
}

/// The advice of the first finding, which must be of this cause.
fn advice_of(report: &Value, cause: &str) -> Vec<String> {
    let finding = &report["findings"][0];
    assert_eq!(finding["cause"], cause, "{}", report["verdict"]);
    advice(finding)
}

fn has(advice: &[String], part: &str) -> bool {
    advice.iter().any(|text| text.contains(part))
}

#[track_caller]
fn assert_has(advice: &[String], part: &str) {
    assert!(has(advice, part), "no {part} in\n{}", advice.join("\n"));
}

#[track_caller]
fn assert_has_not(advice: &[String], part: &str) {
    assert!(!has(advice, part), "{part} in\n{}", advice.join("\n"));
}

/// Refused calls, one every 100 ms for 20 s after 20 s of good ones.
fn refused() -> String {
    let mut log = String::new();
    for at_ms in (0..40_000).step_by(100) {
        let call = Call {
            at_ms,
            ..Call::default()
        };
        let failed = Call {
            code: 503,
            flags: "UF",
            details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            reason: "delayed_connect_error:_Connection_refused",
            connection: None,
            ..call.clone()
        };
        if at_ms < 20_000 { call } else { failed }.write(&mut log);
    }
    log
}

#[test]
fn a_caller_is_in_its_own_namespace() {
    let scratch = Scratch::new();
    let overflow = Call::unsent(503, "UO", "upstream_reset_before_response_started{overflow}");
    let mut log = String::new();
    for at_ms in (0..40_000).step_by(100) {
        let failed = at_ms > 20_000 && at_ms % 400 != 0;
        let call = if failed { overflow.clone() } else { Call::default() };
        Call { at_ms, ..call }.write(&mut log);
    }
    // A caller of another namespace writes the service's whole name.
    let log = log.replace("\"ratings:9080\"", "\"ratings.default.svc.cluster.local:9080\"");
    scratch.write(
        "var/log/pods/shop_web-7c9d8f6b54-x2kqp_0a1b2c3d-0000-4000-8000-000000000001/istio-proxy/0.log",
        log,
    );
    let advice = advice_of(&scratch.report(), "circuit-breaker-overflow");
    assert_has(
        &advice,
        "istioctl proxy-config cluster web-7c9d8f6b54-x2kqp -n shop --fqdn ratings.default.svc.cluster.local -o json",
    );
    assert_has(
        &advice,
        "kubectl exec web-7c9d8f6b54-x2kqp -n shop -c istio-proxy",
    );
    assert_has(&advice, "kubectl get destinationrules -n default -o yaml");
    assert_has(
        &advice,
        "  namespace: default\nspec:\n  host: ratings.default.svc.cluster.local\n",
    );
    assert_has_not(&advice, "x2kqp -n default");
}

#[test]
fn a_namespace_that_nothing_tells_is_left_to_the_reader() {
    let scratch = Scratch::new();
    // Two namespaces are called, both by their whole names: the caller's may be either, or a third.
    let whole = |log: &str, namespace: &str| {
        log.replace(
            "\"ratings:9080\"",
            &format!("\"ratings.{namespace}.svc.cluster.local:9080\""),
        )
        .replace(".default.svc", &format!(".{namespace}.svc"))
    };
    let good = Call {
        service: "stock".to_owned(),
        ..Call::default()
    };
    let log = whole(&refused(), "default")
        + &whole(&good.row(), "store").replace("\"stock:9080\"", "\"stock.store:9080\"");
    scratch.write("web.istio-proxy.log", &log);
    let advice = advice_of(&scratch.report(), "upstream-connection-refused");
    assert_has(&advice, "kubectl get service ratings -n default");
    // With a name without dots it is known: such a name is looked up in the caller's own namespace.
    let timeout = |log: &str| {
        log.replace("503 UF", "503 UF,URX")
            .replace("delayed_connect_error:_Connection_refused", "connection_timeout")
    };
    let told = |log: &str| {
        let scratch = Scratch::with("web.istio-proxy.log", timeout(log));
        advice_of(&scratch.report(), "upstream-connect-timeout")
    };
    assert_has(
        &told(&log),
        "istioctl proxy-config endpoints web -n <source-namespace> --cluster",
    );
    let short = refused() + &whole(&good.row(), "store").replace("\"stock:9080\"", "\"stock.store:9080\"");
    assert_has(
        &told(&short),
        "istioctl proxy-config endpoints web -n default --cluster",
    );
    // Asked as the proxy does, at the address to which it connected: others are redirected to the proxy itself.
    assert_has(
        &told(&short),
        "kubectl exec web -n default -c istio-proxy -- curl -sv -m 4 telnet://10.244.1.41:9080",
    );
}

#[test]
fn what_an_external_host_has_not_is_not_asked_for() {
    let mut log = String::new();
    for at_ms in (0..40_000).step_by(100) {
        let call = Call {
            at_ms,
            ..Call::default()
        };
        call.write(&mut log);
        let blocked = Call {
            code: 502,
            details: "direct_response",
            connection: None,
            host: "-",
            ..call
        };
        let row = blocked.row();
        let row = row.replace("\"ratings:9080\"", "\"api.partner.example:8443\"");
        log += &row
            .replace("outbound|9080||ratings.default.svc.cluster.local", "-")
            .replace(" - default\n", " - block_all\n");
    }
    let scratch = Scratch::with("productpage-v1.istio-proxy.log", log);
    let advice = advice_of(&scratch.report(), "unknown-service");
    assert_has(
        &advice,
        "istioctl proxy-config cluster productpage-v1 -n default | grep api.partner.example",
    );
    assert_has(
        &advice,
        "  namespace: default\nspec:\n  hosts: [api.partner.example]\n",
    );
    assert_has(
        &advice,
        "  - number: 8443\n    name: external\n    protocol: HTTP\n",
    );
    assert_has_not(&advice, "kubectl get service ");
    assert_has_not(&advice, "<namespace>");
    assert_has_not(&advice, "kind: DestinationRule");
}

#[test]
fn packets_have_the_port_of_the_pod() {
    // A service at port 80 whose pods listen on 9080.
    let log = refused()
        .replace("503 UF", "503 UF,URX")
        .replace("delayed_connect_error:_Connection_refused", "connection_timeout")
        .replace("outbound|9080|", "outbound|80|");
    let report = Scratch::with("web.istio-proxy.log", log).report();
    let advice = advice_of(&report, "upstream-connect-timeout");
    assert_has(&advice, "tcpdump -ni eth0 port 9080");
    let filter = report["findings"][0]["next"]["filters"]["wireshark"].as_str();
    assert!(filter.unwrap().contains("tcp.dstport == 9080"), "{filter:?}");
    assert_eq!(
        report["findings"][0]["scope"]["destination"],
        "ratings.default.svc.cluster.local:80"
    );
}

#[test]
fn what_is_missing_is_asked_for_in_words_that_a_shell_takes_for_names() {
    let of = |host: &str| {
        let log = refused().replace("ratings.default.svc.cluster.local", host);
        let report = Scratch::with("web.istio-proxy.log", log).report();
        let missing = report["missing"].as_array().unwrap().clone();
        let commands = missing.iter().filter_map(|missing| missing["command"].as_str());
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    // With a selector ten lines are the default (kubectl logs --help).
    assert_has(
        &of("ratings.default.svc.cluster.local"),
        "kubectl logs -n default -l app=ratings -c istio-proxy --tail=-1 --prefix --timestamps",
    );
    assert_has(
        &of("$(reboot).default.svc.cluster.local"),
        "kubectl logs -n default -l app='$(reboot)' -c istio-proxy",
    );
    assert_has_not(&of("api.partner.example"), "kubectl logs");
}

#[test]
fn recorded_incidents_with_logs_leave_little_to_fill_in() {
    for case in [
        "cert-expired-workload",
        "circuit-breaker-overflow",
        "control-plane-unreachable",
        "grpc-backend-refused",
        "made-control-plane-push-delay",
        "no-endpoints-scaled-to-zero",
        "packet-loss",
        "refused-app-port-mismatch",
        "route-case-mismatch",
        "slow-upstream-app-joined",
        "zero-window-stalled-receiver",
    ] {
        let report = analyze(&[&case_input(case)]).report();
        let advice = advice(&report["findings"][0]);
        assert!(!advice.is_empty(), "{case}");
        for text in advice {
            assert!(!text.contains('<') || text.contains("< $p"), "{case}: {text}");
        }
    }
}

#[test]
fn no_incident_names_what_is_no_name() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let mut looked_at = 0;
    for folder in std::fs::read_dir(corpora).unwrap() {
        let input = folder.unwrap().path().join("input");
        if !input.is_dir() {
            continue;
        }
        let report = analyze(&[&input]).report();
        for finding in report["findings"].as_array().unwrap() {
            for text in advice(finding) {
                looked_at += 1;
                let wrong = [
                    "all destinations",
                    "'*'",
                    " \\* ",
                    "input:",
                    "unknown",
                    "deployment/istiod -n <",
                ];
                let found = wrong.iter().find(|wrong| text.contains(*wrong));
                assert_eq!(found, None, "{}: {text}", input.display());
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
}
