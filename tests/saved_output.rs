//! Logs of the control plane and saved output of commands beside recorded logs: they say what they can, and accuse nobody
//! by themselves of what they do not date.

use crate::running::{analyze, case_input, list, text};
use serde_json::Value;
use std::path::PathBuf;

const STATUS: &str = "NAME     CLUSTER     CDS     LDS     EDS     RDS     ECDS     ISTIOD     VERSION\n\
                      web-1.shop     Kubernetes     SYNCED     STALE     SYNCED     SYNCED     NOT SENT     istiod-1     1.24.1\n\
                      db-1.shop     Kubernetes     SYNCED     SYNCED     SYNCED     SYNCED     NOT SENT     istiod-1     1.24.1\n";

const ANALYZE: &str = "Error [IST0101] (VirtualService shop/web) Referenced host not found: \"web2\"\n";

const SECRETS: &str = "RESOURCE NAME     TYPE           STATUS     VALID CERT     SERIAL NUMBER     NOT AFTER                NOT BEFORE\n\
                       default           Cert Chain     ACTIVE     false          1f0c              2026-11-01T03:12:44Z     2026-10-31T03:10:44Z\n";

fn with(case: &str, files: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = vec![case_input(case)];
    for (name, body) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, body).unwrap();
        paths.push(path);
    }
    analyze(&paths.iter().collect::<Vec<_>>()).report()
}

fn kind(report: &Value, name: &str) -> String {
    let input = list(report, "/inputs")
        .iter()
        .find(|input| text(input, "/path").ends_with(name))
        .unwrap();
    text(input, "/kind").to_owned()
}

fn steps(report: &Value) -> Vec<&str> {
    list(report, "/steps")
        .iter()
        .map(|step| text(step, "/evidence"))
        .collect()
}

#[test]
fn output_without_a_time_shows_in_the_steps_and_accuses_nobody() {
    let files = [
        ("status.txt", STATUS),
        ("analyze.txt", ANALYZE),
        ("secrets.txt", SECRETS),
    ];
    let report = with("healthy-bookinfo", &files);
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    assert_eq!(steps(&report), ["found", "found", "clean", "clean", "found"]);
    for (name, _) in files {
        assert_eq!(kind(&report, name), "command-output");
    }
    let signature = |id: &str| {
        let hit = list(&report, "/signatures")
            .iter()
            .find(|hit| text(hit, "/id") == id);
        hit.map(|hit| (text(hit, "/source").to_owned(), hit["count"].as_u64()))
    };
    assert_eq!(signature("ps-stale"), Some(("proxy-status".to_owned(), Some(1))));
    assert_eq!(
        signature("an-ist0101"),
        Some(("istioctl-analyze".to_owned(), Some(1)))
    );
    for input in list(&report, "/inputs") {
        assert_eq!(input["rejected"], 0, "{}", text(input, "/path"));
    }
}

#[test]
fn output_about_the_called_service_bears_a_finding_out() {
    let pods = "NAME                          READY   STATUS             RESTARTS     AGE\n\
                ratings-v1-5c7d9b4f6f-k8w2t   1/2     CrashLoopBackOff   7 (2m ago)   3d\n\
                details-v1-6d8c9f7b5d-x2k4p   1/2     CrashLoopBackOff   7 (2m ago)   3d\n";
    let analyze = "Warning [IST0162] (Service default/ratings) The gateway is listening on a target port that ratings has not.\n\
                   Warning [IST0162] (Service default/details) The gateway is listening on a target port that details has not.\n\
                   Error [IST0101] (VirtualService default/ratings) Referenced host not found: \"ratings\"\n";
    let report = with(
        "refused-app-port-mismatch",
        &[("pods.txt", pods), ("analyze.txt", analyze)],
    );
    assert_eq!(text(&report, "/findings/0/cause"), "upstream-connection-refused");
    let config: Vec<&str> = list(&report, "/findings/0/evidence")
        .iter()
        .filter(|evidence| text(evidence, "/kind") == "config")
        .map(|evidence| text(evidence, "/text"))
        .collect();
    assert_eq!(
        config,
        [
            "istioctl analyze says IST0162 of Service default/ratings",
            "saved output says of the pod ratings-v1-5c7d9b4f6f-k8w2t: CrashLoopBackOff"
        ]
    );
}

#[test]
fn what_is_in_step_and_what_was_not_looked_at() {
    let in_step = STATUS.replace("STALE", "SYNCED");
    let untold = "NAME     CLUSTER     ISTIOD     VERSION     SUBSCRIBED TYPES\n\
                  web-1.shop     Kubernetes     istiod-1     1.28.0     5 (CDS,LDS,EDS,RDS,ECDS)\n";
    for (status, evidence) in [(in_step.as_str(), "clean"), (untold, "none")] {
        let report = with("healthy-bookinfo", &[("status.txt", status)]);
        assert_eq!(steps(&report), [evidence, "none", "clean", "clean", "none"]);
    }
}

#[test]
fn a_push_that_a_proxy_refused_is_found_in_the_log_of_istiod() {
    let log = "2026-11-22T16:46:00.000001Z\tinfo\tads\tXDS: Pushing Services:9 ConnectedEndpoints:5 Version:x/14\n\
               2026-11-22T16:46:01.000001Z\twarn\tdelta\tADS:LDS: ACK ERROR web-1.shop-42 Internal:Error adding/updating listener(s) \
               0.0.0.0_9080: duplicate filter chain match\n";
    let report = with("healthy-bookinfo", &[("discovery.log", log)]);
    assert_eq!(kind(&report, "discovery.log"), "istiod-log");
    let finding = list(&report, "/findings")
        .iter()
        .find(|finding| text(finding, "/cause") == "config-rejected")
        .unwrap();
    let reference = &finding["evidence"][0]["refs"][0];
    let input = list(&report, "/inputs")
        .iter()
        .find(|input| input["id"] == reference["input"])
        .unwrap();
    assert!(text(input, "/path").ends_with("discovery.log"));
    assert_eq!(reference["line"], 2);
    assert_eq!(steps(&report)[..2], ["clean", "found"]);
}

#[test]
fn a_busy_control_plane_alone_is_a_remark() {
    let log = "2026-11-22T16:46:00.000001Z\twarn\tads\tnode web-1.shop exceeded rate limit: context deadline exceeded\n";
    let report = with("healthy-bookinfo", &[("discovery.log", log)]);
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    for finding in list(&report, "/findings") {
        assert_eq!(text(finding, "/severity"), "info");
    }
}

#[test]
fn logs_of_ztunnel_and_istio_cni_are_told_by_their_lines() {
    let t = "2026-11-22T16:46:00.000001Z";
    let ztunnel = format!(
        "{t}\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5\n{t}\terror\taccess\tconnection failed\terror=\"connection \
         closed due to policy rejection\"\n"
    );
    let cni = format!("{t}\terror\tcni-agent\tUnable to send pod to ztunnel. Will retry.\tpod=x\n");
    let report = with("healthy-bookinfo", &[("a.log", &ztunnel), ("b.log", &cni)]);
    assert_eq!(
        (kind(&report, "a.log"), kind(&report, "b.log")),
        ("ztunnel-log".to_owned(), "cni-log".to_owned())
    );
    let sources: Vec<(&str, &str)> = list(&report, "/signatures")
        .iter()
        .map(|hit| (text(hit, "/id"), text(hit, "/source")))
        .collect();
    assert!(sources.contains(&("zt-policy", "ztunnel")), "{sources:?}");
    assert!(sources.contains(&("cni-retry", "istio-cni")), "{sources:?}");
}

fn t(second: u32) -> String {
    format!("2026-11-22T16:{:02}:{:02}.000001Z", 46 + second / 60, second % 60)
}

/// Causes with their severity, in order.
fn findings(report: &Value) -> Vec<(&str, &str)> {
    list(report, "/findings")
        .iter()
        .map(|finding| (text(finding, "/cause"), text(finding, "/severity")))
        .collect()
}

fn counts(report: &Value, id: &str) -> u64 {
    list(report, "/signatures")
        .iter()
        .find(|hit| text(hit, "/id") == id)
        .map_or(0, |hit| hit["count"].as_u64().unwrap())
}

#[test]
fn json_logs_of_istiod_and_ztunnel_say_the_same() {
    let istiod = format!(
        "{{\"level\":\"info\",\"time\":\"{}\",\"scope\":\"ads\",\"msg\":\"XDS: Pushing Services:9 ConnectedEndpoints:5 Version:x/14\"}}\n\
         {{\"level\":\"warn\",\"time\":\"{}\",\"scope\":\"delta\",\"msg\":\"ADS:LDS: ACK ERROR web-1.shop-42 Internal:duplicate filter chain\"}}\n",
        t(0),
        t(1)
    );
    let connection = |second: u32, error: &str| {
        format!(
            "{{\"level\":\"error\",\"time\":\"{}\",\"scope\":\"access\",\"message\":\"connection complete\",\"src.addr\":\"10.9.0.6:5{second:04}\",\
             \"src.workload\":\"shell-1\",\"dst.addr\":\"10.9.0.7:15008\",\"dst.hbone_addr\":\"10.9.0.7:80\",\
             \"dst.service\":\"echo.shop.svc.cluster.local\",\"direction\":\"outbound\",\"bytes_sent\":0,\"bytes_recv\":0,\
             \"duration\":\"3ms\",\"error\":\"{error}\"}}\n",
            t(second)
        )
    };
    let denied: String = (0..30)
        .map(|second| connection(second, "http status: 401 Unauthorized"))
        .collect();
    let report = with(
        "healthy-bookinfo",
        &[("discovery.log", &istiod), ("zt.log", &denied)],
    );
    assert_eq!(
        (kind(&report, "discovery.log"), kind(&report, "zt.log")),
        ("istiod-log".to_owned(), "ztunnel-log".to_owned())
    );
    assert_eq!(
        (counts(&report, "id-push"), counts(&report, "id-ack-error")),
        (1, 1)
    );
    assert_eq!(counts(&report, "zt-http-status"), 30);
    assert_eq!(report["requests"]["tcp_connections"], 30);
    let causes = findings(&report);
    assert!(causes.contains(&("rbac-denied", "critical")), "{causes:?}");
    assert!(causes.contains(&("config-rejected", "warning")), "{causes:?}");
    let denied = list(&report, "/findings")
        .iter()
        .find(|finding| text(finding, "/cause") == "rbac-denied")
        .unwrap();
    assert_eq!(
        text(denied, "/scope/destination"),
        "echo.shop.svc.cluster.local:80"
    );
    assert_eq!(text(denied, "/scope/source"), "shell-1");
}

#[test]
fn ztunnel_rows_show_their_causes() {
    for (error, cause) in [
        (
            "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed",
            "network-policy-reject",
        ),
        (
            "connection failed: Connection refused (os error 111)",
            "upstream-connection-refused",
        ),
        (
            "http status: 503 Service Unavailable",
            "upstream-connection-refused",
        ),
        ("http status: 502 Bad Gateway", "waypoint-misrouted"),
        ("no healthy upstream: 10.9.0.7:80", "no-endpoints"),
        ("no service for target address: 10.9.0.7:80", "unknown-service"),
        (
            "connection closed due to policy rejection: allow policies exist, but none allowed",
            "rbac-denied",
        ),
        (
            "identity error: signing gRPC error (Unauthenticated): x",
            "cert-rotation-failure",
        ),
    ] {
        let line = |second: u32, error: &str| {
            let failed = if error.is_empty() {
                String::new()
            } else {
                format!(" error=\"{error}\"")
            };
            format!(
                "{}\tinfo\taccess\tconnection complete\tsrc.addr=10.9.0.6:{} src.workload=\"shell-1\" dst.addr=10.9.0.7:15008 \
                 dst.hbone_addr=10.9.0.7:80 dst.service=\"echo.shop.svc.cluster.local\" direction=\"outbound\" bytes_sent=1 \
                 bytes_recv=2 duration=\"3ms\"{failed}\n",
                t(second),
                40000 + second
            )
        };
        let log: String = (0..60)
            .map(|second| line(second, if second < 30 { "" } else { error }))
            .collect();
        let report = with("healthy-bookinfo", &[("zt.log", &log)]);
        assert_eq!(findings(&report).first(), Some(&(cause, "critical")), "{error}");
    }
}

#[test]
fn connections_that_a_drain_ends_are_no_fault() {
    let lines: Vec<String> = (0..30)
        .map(|second| {
            format!(
                "{}\terror\taccess\tconnection complete\tsrc.addr=10.9.0.6:5 dst.addr=10.9.0.7:15008 direction=\"outbound\" \
                 bytes_sent=1 bytes_recv=2 duration=\"3ms\" error=\"connection closed due to connection drain\"\n",
                t(second)
            )
        })
        .collect();
    let log = lines.concat();
    let report = with("healthy-bookinfo", &[("zt.log", &log)]);
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    assert_eq!(findings(&report), []);
}

#[test]
fn a_control_plane_that_stays_away_is_found_and_one_that_comes_back_is_not() {
    let closed = |second: u32| {
        format!(
            "{}\twarning\tenvoy config external/envoy/x.cc:1\tStreamAggregatedResources gRPC config stream to xds-grpc closed since 40s ago: \
             14, connection error\tthread=9\n",
            t(second)
        )
    };
    let gone: String = (0..10).map(|n| closed(n * 20)).collect();
    let back = format!(
        "{gone}{}\tinfo\txdsproxy\tconnected to upstream XDS server: istiod.istio-system.svc:15012\n",
        t(190)
    );
    for (log, found) in [
        (&gone, vec![("control-plane-unreachable", "warning")]),
        (&back, vec![]),
    ] {
        let report = with("healthy-bookinfo", &[("web-1.istio-proxy.log", log)]);
        let accused: Vec<_> = findings(&report)
            .into_iter()
            .filter(|(_, severity)| *severity != "info")
            .collect();
        assert_eq!(accused, found);
    }
}

#[test]
fn certificates_that_are_refused_are_told_from_a_control_plane_that_is_not_reached() {
    let fails = |why: &str| -> String {
        let lines: Vec<String> = (0..6)
            .map(|n| {
                format!(
                    "{}\terror\tcache\tfailed to generate workload certificate: create certificate: rpc error: {why}\n",
                    t(n * 20)
                )
            })
            .collect();
        lines.concat()
    };
    let refused = fails("code = Unauthenticated desc = request authenticate failure");
    let unreached =
        fails("code = Unavailable desc = connection error: desc = \"transport: Error while dialing\"");
    let renewed = format!(
        "{refused}{}\tinfo\tcache\tgenerated new workload certificate\tttl=24h\n",
        t(130)
    );
    let accused = |log: &str| {
        let report = with("healthy-bookinfo", &[("web-1.istio-proxy.log", log)]);
        findings(&report)
            .iter()
            .any(|(cause, severity)| *cause == "cert-rotation-failure" && *severity != "info")
    };
    assert!(accused(&refused));
    assert!(!accused(&unreached));
    assert!(!accused(&renewed));
}

#[test]
fn kernel_lines_are_found_wherever_they_stand() {
    let full = "nf_conntrack: nf_conntrack: table full, dropping packet";
    let killed = "Memory cgroup out of memory: Killed process 7711 (envoy) total-vm:2212340kB";
    for before in [
        "[882733.120431] ",
        "Nov 22 16:46:00 node-1 kernel: [882733.120431] ",
        "2026-11-22T16:46:00.120431+00:00 node-1 kernel: ",
        "kern  :warn  : [Sun Nov 22 16:46:00 2026] ",
        "<4>[882733.120431] ",
    ] {
        let log = format!("{before}{full}\n{before}{killed}\n");
        let report = with("healthy-bookinfo", &[("dmesg.txt", &log)]);
        let found = (counts(&report, "k-conntrack"), counts(&report, "k-oom"));
        assert_eq!(found, (1, 1), "{before}");
    }
}

#[test]
fn an_applications_log_bears_a_finding_out_and_makes_none() {
    let log = format!(
        "{} INFO  started\n{} ERROR [main] could not bind: port 9080\njava.lang.IllegalStateException: no\n",
        "2026-11-22 16:46:00,120", "2026-11-22 16:46:01,120"
    );
    let folder = tempfile::tempdir().unwrap();
    let pod = folder.path().join("ratings-v1-5c7d9b4f6f-k8w2t");
    std::fs::create_dir(&pod).unwrap();
    std::fs::write(pod.join("ratings.log"), log).unwrap();
    let report = analyze(&[&case_input("healthy-bookinfo"), &folder.path().to_path_buf()]).report();
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    assert_eq!(findings(&report), []);
    let input = list(&report, "/inputs")
        .iter()
        .find(|input| text(input, "/path").ends_with("ratings.log"))
        .unwrap();
    assert_eq!(
        (text(input, "/kind"), &input["rejected"]),
        ("app-log", &Value::from(0))
    );
    assert_eq!(input["application"]["lines"], 3);
    assert_eq!(input["application"]["errors"], 2);
    assert_eq!(text(input, "/application/first"), "2026-11-22T16:46:01.120000Z");
    assert_eq!(input["application"]["examples"][0]["line"], 2);
}

/// What was looked at for a step, by its number from 0.
fn looked_at(report: &Value, step: usize) -> Vec<(&str, &str, bool)> {
    list(&list(report, "/steps")[step], "/looked_at")
        .iter()
        .map(|looked| {
            let found = looked["found"].as_bool().unwrap();
            (text(looked, "/of"), text(looked, "/says"), found)
        })
        .collect()
}

#[test]
fn steps_tell_what_was_looked_at_and_what_it_shows() {
    let pods = "NAME                      READY   STATUS             RESTARTS        AGE\n\
                istiod-5d8f7c9b6-7hx2v    0/1     CrashLoopBackOff   12 (2m ago)     3d\n\
                ztunnel-4kq7z             1/1     Running            0               3d\n";
    let log = format!(
        "{}\tinfo\tads\tXDS: Pushing Services:9 ConnectedEndpoints:5 Version:x/14\n",
        t(0)
    );
    let report = with(
        "healthy-bookinfo",
        &[
            ("pods.txt", pods),
            ("status.txt", STATUS),
            ("analyze.txt", ANALYZE),
            ("secrets.txt", SECRETS),
            ("discovery.log", &log),
        ],
    );
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    assert_eq!(steps(&report), ["found", "found", "clean", "clean", "found"]);
    assert_eq!(
        looked_at(&report, 0),
        [
            (
                "control plane",
                "istioctl proxy-status: 1 of 2 proxies are not in step: web-1.shop",
                true
            ),
            (
                "control plane",
                "kubectl get pods: 1 of 2 pods of the mesh do not run as they should: istiod-5d8f7c9b6-7hx2v (CrashLoopBackOff)",
                true
            ),
            ("control plane", "istiod's log: 1 line, 1 push", false),
        ]
    );
    assert_eq!(
        looked_at(&report, 1)[0],
        (
            "control plane",
            "istioctl analyze: 1 message from Warning on: IST0101",
            true
        )
    );
    assert!(
        looked_at(&report, 4)[0]
            .1
            .starts_with("saved certificates: 1 of 1 not valid")
    );
    for step in list(&report, "/steps") {
        for looked in list(step, "/looked_at") {
            for reference in list(looked, "/refs") {
                assert!(reference["line"].as_u64().unwrap() >= 1);
            }
        }
    }
    // Without any of it the step names what is missing.
    let bare = with("healthy-bookinfo", &[]);
    assert_eq!(looked_at(&bare, 0), []);
    assert_eq!(
        text(&list(&bare, "/steps")[0], "/missing/0/command")
            .split(' ')
            .next(),
        Some("istioctl")
    );
}

/// Kind and text of the events of the time line.
fn events(report: &Value) -> Vec<(&str, &str)> {
    list(report, "/timeline/events")
        .iter()
        .map(|event| (text(event, "/kind"), text(event, "/text")))
        .collect()
}

#[test]
fn events_of_the_control_plane_and_of_kubernetes_stand_on_one_line() {
    let push = |second: u32| {
        format!(
            "{}\tinfo\tads\tXDS: Pushing Services:9 ConnectedEndpoints:5 Version:x/14\n",
            t(second)
        )
    };
    let log = format!(
        "{}\tinfo\t\tstarting secure gRPC discovery service at [::]:15012\n{}{}{}",
        t(0),
        push(1),
        push(3),
        push(60)
    )
    .replace("\t\t", "\t");
    let kubernetes = "LAST SEEN              TYPE      REASON              OBJECT               MESSAGE\n\
                      2026-11-22T16:46:30Z   Normal    ScalingReplicaSet   deployment/ratings   Scaled down to 0\n\
                      2026-11-22T16:46:40Z   Warning   BackOff             pod/ratings-v1-1     Back-off restarting\n\
                      5m                     Normal    Started             pod/ratings-v1-2     Started container\n";
    let report = with(
        "healthy-bookinfo",
        &[("discovery.log", &log), ("events.txt", kubernetes)],
    );
    let told: Vec<(&str, &str)> = events(&report)
        .into_iter()
        .filter(|(kind, _)| ["push", "restart", "scale"].contains(kind))
        .filter(|(_, text)| text.contains("istiod") || text.contains('/'))
        .map(|(kind, text)| (kind, text.split_once(": ").unwrap().1))
        .collect();
    assert_eq!(
        told,
        [
            ("restart", "istiod started to serve"),
            (
                "push",
                "istiod began to push configuration to all its proxies (2 lines)"
            ),
            ("scale", "ScalingReplicaSet"),
            ("restart", "BackOff"),
            ("push", "istiod began to push configuration to all its proxies"),
        ]
    );
}

#[test]
fn too_many_events_leave_those_near_a_finding_and_a_count() {
    let log: String = (0..100)
        .map(|n| {
            format!(
                "2026-11-22T{:02}:{:02}:00.000001Z\tinfo\tads\tXDS: Pushing Services:9 ConnectedEndpoints:5 Version:x/14\n",
                10 + n / 30,
                n % 30 * 2
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let report = with("refused-app-port-mismatch", &[("discovery.log", &log)]);
    let pushes = events(&report).iter().filter(|(kind, _)| *kind == "push").count();
    assert_eq!(pushes, 12);
    let limit = list(&report, "/limits")
        .iter()
        .find(|limit| text(limit, "/table") == "events")
        .unwrap();
    assert!(limit["left_out"].as_u64().unwrap() >= 88, "{limit}");
}

#[test]
fn what_wrote_an_input_is_told() {
    let waypoint = "[2026-11-22T16:46:00.000Z] \"GET /a HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 3 2 \"-\" \"curl\" \"6f2c\" \"reviews\" \
                    \"envoy://connect_originate/10.9.0.7:9080\" inbound-vip|9080|http|reviews.shop.svc.cluster.local \
                    envoy://internal_client_address/ 10.96.0.9:9080 10.9.0.6:41000 - default\n";
    let gateway = "[2026-11-22T16:46:00.000Z] \"GET /a HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 3 2 \"-\" \"curl\" \"6f2d\" \"reviews\" \
                   \"10.9.0.7:9080\" outbound|9080||reviews.shop.svc.cluster.local 10.9.0.3:41000 10.9.0.3:8080 192.0.2.7:5000 - -\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, log) in [
        ("l7-5d8f7c9b6d-7hx2v.istio-proxy.log", waypoint),
        ("istio-ingressgateway-5d8f7c9b6d-9wtxb.istio-proxy.log", gateway),
        ("web-5d8f7c9b6d-4kq7z.istio-proxy.log", gateway),
    ] {
        std::fs::write(folder.path().join(name), log).unwrap();
    }
    let report = analyze(&[&folder.path().to_path_buf()]).report();
    let roles: Vec<&str> = list(&report, "/inputs")
        .iter()
        .map(|input| text(input, "/role"))
        .collect();
    assert_eq!(roles, ["gateway", "waypoint", "sidecar"]);
    // The service's address is not the waypoint's.
    let destination = text(&list(&report, "/requests/by_destination")[0], "/name");
    assert_eq!(destination, "reviews.shop.svc.cluster.local:9080");
}

#[test]
fn a_probe_of_the_same_host_bears_a_finding_out_and_one_of_another_does_not() {
    let curl = |host: &str| {
        format!(
            "*   Trying 10.96.14.30:9080...\n> GET / HTTP/1.1\n> Host: {host}:9080\n>\ncurl: (7) Failed to connect to {host} port 9080 after 1 ms: Connection refused\n"
        )
    };
    let evidence = |host: &str| -> Vec<String> {
        let report = with("refused-app-port-mismatch", &[("curl.txt", &curl(host))]);
        assert_eq!(kind(&report, "curl.txt"), "command-output");
        list(&report, "/findings/0/evidence")
            .iter()
            .map(|piece| text(piece, "/text").to_owned())
            .collect()
    };
    let wanted = "a probe of ratings:9080 that was saved was refused";
    assert!(
        evidence("ratings").iter().any(|text| text == wanted),
        "{:?}",
        evidence("ratings")
    );
    assert!(!evidence("details").iter().any(|text| text.contains("a probe")));
}

/// Texts of the first finding's evidence from saved output.
fn config(report: &Value) -> Vec<&str> {
    list(report, "/findings/0/evidence")
        .iter()
        .filter(|piece| text(piece, "/kind") == "config")
        .map(|piece| text(piece, "/text"))
        .collect()
}

#[test]
fn metrics_that_were_saved_stand_beside_the_rows() {
    let labels = "\"reporter\":\"source\",\"destination_service\":\"ratings.default.svc.cluster.local\"";
    let one = |code: u16, flags: &str, value: u32| {
        format!(
            "{{\"metric\":{{\"__name__\":\"istio_requests_total\",{labels},\"response_code\":\"{code}\",\"response_flags\":\"{flags}\"}},\
             \"value\":[1793588400,\"{value}\"]}}"
        )
    };
    let metrics = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{},{},{}]}}}}\n",
        one(200, "-", 900),
        one(503, "UF", 80),
        one(503, "URX", 20)
    );
    let server = "{\n \"version\": \"x\",\n \"state\": \"LIVE\",\n \"uptime_current_epoch\": \"3600s\"\n}\n";
    let report = with(
        "refused-app-port-mismatch",
        &[("requests.json", &metrics), ("server_info", server)],
    );
    assert_eq!(
        config(&report),
        [
            "Istio's metrics, as saved from Prometheus, count 1000 requests to ratings.default.svc.cluster.local: 80 with status 503 and flag UF, \
             20 with status 503 and flag URX"
        ]
    );
    let path = looked_at(&report, 2);
    let of_metrics: Vec<_> = path.iter().filter(|(of, ..)| *of == "metrics").collect();
    assert_eq!(
        of_metrics,
        [&(
            "metrics",
            "metrics saved from Prometheus: 1000 requests to 1 service, 100 with a status from 500 on or none",
            false
        )]
    );
    let logs = looked_at(&report, 3);
    assert!(
        logs.iter().any(|(_, says, _)| *says
            == "server_info: 1 proxy LIVE; the last start was 3600 s before it was saved"),
        "{logs:?}"
    );
}

#[test]
fn what_ztunnel_knows_and_what_istiod_uses_is_looked_at() {
    let services = "NAMESPACE SERVICE NAME SERVICE VIP   WAYPOINT ENDPOINTS\n\
                    shop      cart         10.96.71.36   None     0/2\n";
    let stats = "# TYPE pilot_services gauge\npilot_services 1200\npilot_xds 340\nprocess_resident_memory_bytes 5.24288e+08\n";
    let loggers = "ratings-v1.default:\nactive loggers:\n  admin: warning\n  connection: debug\n";
    let report = with(
        "healthy-bookinfo",
        &[
            ("services.txt", services),
            ("istiod-metrics.txt", stats),
            ("levels.txt", loggers),
        ],
    );
    assert_eq!(kind(&report, "levels.txt"), "command-output");
    assert!(
        looked_at(&report, 3)
            .iter()
            .any(|(_, says, _)| *says == "proxy-config log: loggers connection at debug, admin at warning")
    );
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    assert_eq!(kind(&report, "services.txt"), "command-output");
    let control_plane = looked_at(&report, 0);
    assert!(
        control_plane
            .iter()
            .any(|(_, says, _)| *says
                == "figures of istiod: 500 MiB in use, 1200 services, 340 proxies connected"),
        "{control_plane:?}"
    );
}

#[test]
fn descriptors_near_their_limit_are_a_remark() {
    let counts = "1019 /usr/local/bin/envoy -c etc/istio/proxy/envoy-rev.json\n\
                  /proc/17/limits:Max open files            1024                 1048576              files\n";
    let report = with("healthy-bookinfo", &[("ratings-v1.fds.txt", counts)]);
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    let remark = list(&report, "/findings")
        .iter()
        .find(|finding| text(finding, "/cause") == "fd-exhaustion");
    let remark = remark.unwrap_or_else(|| panic!("{}", report["findings"]));
    assert_eq!(text(remark, "/severity"), "info");
    assert!(
        text(remark, "/evidence/0/text").contains("has 1019 of 1024 descriptors open"),
        "{remark}"
    );
}
