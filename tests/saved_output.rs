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
