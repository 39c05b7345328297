//! Saved configuration beside small incidents: what bears a finding out is said with the line that says it, what speaks
//! against it too, and what no traffic shows accuses nobody.
//!
//! In each incident `productpage-v1` calls `ratings` (pod `ratings-v1`): good calls for 20 s, then 10 s of the fault.

use crate::rows::Call;
use crate::running::{Scratch, analyze, case_input, list, postmesh, text};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// An object as kubectl prints it alone.
fn object(api: &str, kind: &str, name: &str, rest: &str) -> String {
    format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: default\n{rest}")
}

fn documents(objects: &[String]) -> String {
    objects.join("---\n")
}

fn rule(rest: &str) -> String {
    object("networking.istio.io/v1", "DestinationRule", "ratings-rule", rest)
}

fn virtual_service(rest: &str) -> String {
    object("networking.istio.io/v1", "VirtualService", "ratings-paths", rest)
}

fn policy(rest: &str) -> String {
    object(
        "security.istio.io/v1",
        "AuthorizationPolicy",
        "ratings-only",
        rest,
    )
}

fn peers(mode: &str) -> String {
    object(
        "security.istio.io/v1",
        "PeerAuthentication",
        "strict-or-not",
        &format!("spec:\n  mtls:\n    mode: {mode}\n"),
    )
}

fn service(target: &str) -> String {
    object(
        "v1",
        "Service",
        "ratings",
        &format!(
            "spec:\n  ports:\n  - name: http\n    port: 9080\n    targetPort: {target}\n  selector:\n    app: ratings\n"
        ),
    )
}

fn pod(rest: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    app: ratings\n  name: ratings-v1-5c7d9b4f6f-k8w2t\n  namespace: \
         default\n{rest}"
    )
}

/// Rows of the caller's proxy that fail so.
fn failing(fault: &Call) -> Incident {
    let mut incident = Incident::good();
    for at_ms in (20_000..30_000).step_by(100) {
        let call = Call {
            at_ms,
            ..fault.clone()
        };
        call.write(&mut incident.caller);
    }
    incident
}

#[derive(Clone, Default)]
struct Incident {
    caller: String,
    called: String,
}

impl Incident {
    fn good() -> Self {
        let mut incident = Self::default();
        for at_ms in (0..20_000).step_by(100) {
            let call = Call {
                at_ms,
                ..Call::default()
            };
            call.write(&mut incident.caller);
            call.write_called(&mut incident.called);
        }
        incident
    }

    fn with_saved(&self, saved: &[(&str, &str)]) -> Scratch {
        let scratch = Scratch::with("productpage-v1.istio-proxy.log", &self.caller);
        scratch.write("ratings-v1.istio-proxy.log", &self.called);
        for (name, body) in saved {
            scratch.write(name, body);
        }
        scratch
    }
}

fn overflow() -> Incident {
    failing(&Call::unsent(
        503,
        "UO",
        "upstream_reset_before_response_started{overflow}",
    ))
}

fn no_host() -> Incident {
    failing(&Call::unsent(503, "UH", "no_healthy_upstream"))
}

fn no_route(path: &str) -> Incident {
    failing(&Call {
        code: 404,
        flags: "NR",
        details: "route_not_found",
        path: path.to_owned(),
        connection: None,
        host: "-",
        ..Call::default()
    })
}

fn timeout() -> Incident {
    failing(&Call {
        code: 504,
        flags: "UT",
        details: "response_timeout",
        duration_ms: 502,
        ..Call::default()
    })
}

fn denied(details: &'static str) -> Incident {
    let mut incident = Incident::good();
    for at_ms in (20_000..30_000).step_by(100) {
        let call = Call {
            at_ms,
            code: 403,
            details,
            connection: None,
            ..Call::default()
        };
        call.write_called(&mut incident.called);
        let seen = Call {
            at_ms,
            code: 403,
            ..Call::default()
        };
        seen.write(&mut incident.caller);
    }
    incident
}

fn refused() -> Incident {
    let mut incident = Incident::good();
    for at_ms in (20_000..30_000).step_by(100) {
        let call = Call {
            at_ms,
            code: 503,
            flags: "UF",
            details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            connection: None,
            ..Call::default()
        };
        call.write_called(&mut incident.called);
    }
    incident
}

fn no_cluster() -> Incident {
    let mut incident = Incident::good();
    for ms in 0..100 {
        writeln!(
            incident.caller,
            "[2026-11-02T03:00:{}.{:03}Z] \"GET /ratings/1 HTTP/1.1\" 503 NC cluster_not_found - \"-\" 0 0 0 - \"-\" \"curl/8\" \
             \"2c2ee358-a7ad-484b-84c8-{ms:012}\" \"ratings:9080\" \"-\" - - 10.96.14.40:9080 10.244.1.11:44152 - canary",
            20 + ms / 10,
            ms % 10 * 100,
        )
        .unwrap();
    }
    incident
}

fn plaintext() -> Incident {
    let mut incident = Incident::good();
    for ms in 0..100 {
        writeln!(
            incident.called,
            "[2026-11-02T03:00:{}.{:03}Z] \"- - -\" 0 NR filter_chain_not_found - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - \
             10.244.1.41:9080 10.244.1.11:{} - -",
            20 + ms / 10,
            ms % 10 * 100,
            46_000 + ms,
        )
        .unwrap();
    }
    incident
}

fn tls_to_plaintext() -> Incident {
    let reason = "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end";
    failing(&Call {
        code: 503,
        flags: "UF",
        details: "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}",
        reason,
        connection: None,
        ..Call::default()
    })
}

/// The texts of the first finding that come from configuration, each with the lines that it cites.
fn said(scratch: &Scratch, cause: &str) -> Vec<(String, Vec<String>)> {
    let report = scratch.report();
    assert_eq!(
        text(&report, "/findings/0/cause"),
        cause,
        "{}",
        report["findings"]
    );
    let evidence = list(&report, "/findings/0/evidence").iter();
    evidence
        .filter(|piece| text(piece, "/kind") == "config")
        .map(|piece| {
            let refs = list(piece, "/refs").iter();
            let lines = refs.map(|reference| cited(scratch, &report, reference));
            (text(piece, "/text").to_owned(), lines.collect())
        })
        .collect()
}

/// The line to which a reference points, by number and by offset.
fn cited(scratch: &Scratch, report: &Value, reference: &Value) -> String {
    let input = list(report, "/inputs")
        .iter()
        .find(|input| input["id"] == reference["input"])
        .unwrap();
    let bytes = std::fs::read(scratch.path().join(text(input, "/path"))).unwrap();
    let number = usize::try_from(reference["line"].as_u64().unwrap()).unwrap();
    let offset = usize::try_from(reference["offset_bytes"].as_u64().unwrap()).unwrap();
    let line = bytes.split(|byte| *byte == b'\n').nth(number - 1).unwrap();
    assert!(
        bytes[offset..].starts_with(line),
        "number and offset differ: {reference}"
    );
    String::from_utf8_lossy(line).trim().to_owned()
}

const AGAINST: &str = "as saved, which may be before or after the incident, this speaks against it: ";

#[test]
fn what_bears_a_finding_out_and_what_speaks_against_it() {
    let pool = "spec:\n  host: ratings\n  trafficPolicy:\n    connectionPool:\n      tcp:\n        maxConnections: 1\n";
    let slices = |addresses: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  labels:\n    kubernetes.io/service-name: ratings\n  \
             name: ratings-x7\n  namespace: default\nendpoints: {addresses}\n"
        )
    };
    let paths = |match_: &str, more: &str| {
        virtual_service(&format!(
            "spec:\n  hosts:\n  - ratings\n  http:\n  - match:\n    - uri:\n        {match_}\n{more}    route:\n    - destination:\n        \
             host: ratings\n"
        ))
    };
    let from = |list: &str| {
        policy(&format!(
            "spec:\n  action: ALLOW\n  rules:\n  - from:\n    - source:\n        {list}\n"
        ))
    };
    let none = "rbac_access_denied_matched_policy[none]";
    let canary = virtual_service(
        "spec:\n  hosts:\n  - ratings\n  http:\n  - route:\n    - destination:\n        host: ratings\n        subset: canary\n",
    );
    let caller = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: productpage-v1-7f9c4d6b8d-9zv2l\n  namespace: default\nspec:\n  \
                  containers: []\n  serviceAccountName: front\n";
    let container = |port: u16| {
        pod(&format!(
            "spec:\n  containers:\n  - name: app\n    ports:\n    - containerPort: {port}\n"
        ))
    };
    // Rows, saved objects, cause; what is said, and the line cited.
    let cases: Vec<(Incident, Vec<String>, &str, String, &str)> = vec![
        (
            overflow(),
            vec![rule(pool)],
            "circuit-breaker-overflow",
            "DestinationRule default/ratings-rule allows 1 connections".to_owned(),
            "connectionPool:",
        ),
        (
            no_host(),
            vec![slices("[]")],
            "no-endpoints",
            "the saved endpoints of ratings have no address that is ready".to_owned(),
            "name: ratings-x7",
        ),
        (
            no_host(),
            vec![slices("[{addresses: [10.0.0.1]}]")],
            "no-endpoints",
            format!("{AGAINST}1 addresses of ratings are ready"),
            "name: ratings-x7",
        ),
        (
            no_host(),
            vec![service("9080"), pod("spec:\n  containers: []\n").replace("app: ratings", "app: rating")],
            "no-endpoints",
            "Service default/ratings looks for pods with app=ratings, and none of the 1 saved pods of its namespace has these labels"
                .to_owned(),
            "name: ratings",
        ),
        (
            no_route("/books/1"),
            vec![paths("prefix: /ratings", "")],
            "route-not-found",
            "no route of VirtualService default/ratings-paths takes /books; the nearest is for the prefix /ratings".to_owned(),
            "prefix: /ratings",
        ),
        (
            no_route("/Ratings/1"),
            vec![paths("prefix: /ratings", "")],
            "route-case-mismatch",
            "VirtualService default/ratings-paths routes the prefix /ratings and is not told to ignore letter case (ignoreUriCase): \
             what was asked for is /Ratings"
                .to_owned(),
            "prefix: /ratings",
        ),
        (
            no_route("/Ratings/1"),
            vec![paths("prefix: /ratings", "      ignoreUriCase: true\n")],
            "route-case-mismatch",
            format!(
                "{AGAINST}VirtualService default/ratings-paths has a route for the prefix /ratings, which takes /Ratings"
            ),
            "prefix: /ratings",
        ),
        (
            timeout(),
            vec![paths("prefix: /", "    timeout: 500ms\n")],
            "upstream-timeout",
            "VirtualService default/ratings-paths gives up after 500 ms, and rows with UT took 502 ms".to_owned(),
            "- match:",
        ),
        (
            timeout(),
            vec![paths("prefix: /", "    timeout: 0.1s\n")],
            "upstream-timeout",
            format!("{AGAINST}VirtualService default/ratings-paths gives up after 100 ms, and rows with UT took 502 ms"),
            "- match:",
        ),
        (
            denied("rbac_access_denied_matched_policy[ns[default]-policy[ratings-only]-rule[0]]"),
            vec![from("principals: [\"*\"]").replace("ALLOW", "DENY")],
            "rbac-denied",
            "AuthorizationPolicy default/ratings-only is the policy that the rows name, and denies: principals *".to_owned(),
            "- from:",
        ),
        (
            denied(none),
            vec![from("principals: [cluster.local/ns/default/sa/back]"), caller.to_owned()],
            "rbac-denied",
            "AuthorizationPolicy default/ratings-only lets in only principals cluster.local/ns/default/sa/back: productpage-v1 calls \
             as cluster.local/ns/default/sa/front, which fits none"
                .to_owned(),
            "principals: [cluster.local/ns/default/sa/back]",
        ),
        (
            denied(none),
            vec![policy("spec: {}\n")],
            "rbac-denied",
            "AuthorizationPolicy default/ratings-only allows and has no rule: it lets nobody in".to_owned(),
            "name: ratings-only",
        ),
        (
            denied(none),
            vec![from("namespaces: [other]").replace("spec:\n", "spec:\n  selector: {matchLabels: {app: web}}\n"), service("9080")],
            "rbac-denied",
            format!("{AGAINST}none of the saved policies selects the pods of ratings"),
            "name: ratings-only",
        ),
        (
            refused(),
            vec![service("9080"), container(9081)],
            "upstream-connection-refused",
            "Service default/ratings sends port 9080 to 9080, and its saved pods declare 9081 only".to_owned(),
            "targetPort: 9080",
        ),
        (
            refused(),
            vec![service("web"), container(9080)],
            "upstream-connection-refused",
            "Service default/ratings sends port 9080 to web, and its saved pods declare 9080 only, none of this name".to_owned(),
            "targetPort: web",
        ),
        (
            no_cluster(),
            vec![canary, rule("spec:\n  host: ratings\n  subsets:\n  - name: v1\n    labels: {version: v1}\n")],
            "unknown-service",
            "VirtualService default/ratings-paths sends to the subset canary of ratings, and DestinationRule default/ratings-rule \
             defines none of this name"
                .to_owned(),
            "subset: canary",
        ),
        (
            plaintext(),
            vec![peers("STRICT")],
            "mtls-plaintext-to-strict",
            "PeerAuthentication default/strict-or-not asks for mutual TLS (STRICT)".to_owned(),
            "mode: STRICT",
        ),
        (
            plaintext(),
            vec![peers("PERMISSIVE")],
            "mtls-plaintext-to-strict",
            format!(
                "{AGAINST}PeerAuthentication default/strict-or-not takes connections without TLS too (PERMISSIVE)"
            ),
            "mode: PERMISSIVE",
        ),
        (
            tls_to_plaintext(),
            vec![rule("spec:\n  host: ratings.default.svc.cluster.local\n  trafficPolicy:\n    tls:\n      mode: ISTIO_MUTUAL\n")],
            "mtls-tls-to-plaintext",
            "DestinationRule default/ratings-rule has callers connect with Istio's mutual TLS".to_owned(),
            "mode: ISTIO_MUTUAL",
        ),
        (
            tls_to_plaintext(),
            vec![service("9080"), pod("spec:\n  containers:\n  - name: app\n")],
            "mtls-tls-to-plaintext",
            "Pod default/ratings-v1-5c7d9b4f6f-k8w2t has no istio-proxy, which would take the TLS off".to_owned(),
            "name: ratings-v1-5c7d9b4f6f-k8w2t",
        ),
    ];
    for (incident, objects, cause, expected, line) in cases {
        let yaml = documents(&objects);
        let found = said(&incident.with_saved(&[("objects.yaml", &yaml)]), cause);
        let hit = found
            .iter()
            .find(|(text, lines)| *text == expected && lines.iter().any(|cited| cited.contains(line)));
        assert!(
            hit.is_some(),
            "{expected}\ncited {line}\nfound {found:#?}\n{yaml}"
        );
        // The same for another service says nothing.
        let other = yaml
            .replace("ratings", "reviews")
            .replace("namespace: default", "namespace: elsewhere");
        let found = said(&incident.with_saved(&[("objects.yaml", &other)]), cause);
        assert!(
            found.iter().all(|(text, _)| !text.contains("reviews")),
            "{found:#?}\n{other}"
        );
    }
}

/// A dump of the caller's proxy with one cluster for ratings.
fn dump(cluster: &Value, more: &Value) -> String {
    let node = json!({"id": "sidecar~10.244.1.11~productpage-v1-7f9c4d6b8d-9zv2l.default~default.svc.cluster.local"});
    let mut entry = json!({"cluster": cluster});
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    let configs = json!({"configs": [
        {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": node}},
        {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "dynamic_active_clusters": [entry]},
    ]});
    format!("{configs:#}\n")
}

const RATINGS: &str = "outbound|9080||ratings.default.svc.cluster.local";

#[test]
fn the_configuration_of_a_proxy_is_told_of_its_own_rows() {
    let bounded = json!({"name": RATINGS, "circuit_breakers": {"thresholds": [{"max_connections": 1, "max_requests": 4_294_967_295_u64}]}});
    let found = said(
        &overflow().with_saved(&[("dump.json", &dump(&bounded, &json!({})))]),
        "circuit-breaker-overflow",
    );
    assert_eq!(
        found[0].0,
        format!("the circuit breaker of {RATINGS} in productpage-v1 allows 1 connections")
    );
    assert!(found[0].1[0].contains(RATINGS), "{found:?}");
    let open = json!({"name": RATINGS, "circuit_breakers": {"thresholds": [{"max_connections": 4_294_967_295_u64}]}});
    let found = said(
        &overflow().with_saved(&[("dump.json", &dump(&open, &json!({})))]),
        "circuit-breaker-overflow",
    );
    assert_eq!(
        found[0].0,
        format!("{AGAINST}productpage-v1 has no bound for {RATINGS}")
    );
    let known = said(
        &no_cluster().with_saved(&[(
            "dump.json",
            &dump(
                &json!({"name": "outbound|80||web.default.svc.cluster.local"}),
                &json!({}),
            ),
        )]),
        "unknown-service",
    );
    assert_eq!(
        known[0].0,
        "none of the 1 saved clusters of productpage-v1 is for ratings.default.svc.cluster.local"
    );
}

#[test]
fn policies_are_held_against_what_was_asked_for() {
    let none = "rbac_access_denied_matched_policy[none]";
    let to = |operation: &str| {
        policy(&format!(
            "spec:\n  selector:\n    matchLabels:\n      app: ratings\n  action: ALLOW\n  rules:\n  - to:\n    - operation:\n        {operation}\n"
        ))
    };
    let cases = [
        (
            "methods: [\"POST\"]",
            "AuthorizationPolicy default/ratings-only lets in only methods POST: what was refused is GET /ratings, which fits none",
        ),
        (
            "paths: [\"/health*\"]",
            "AuthorizationPolicy default/ratings-only lets in only paths /health*: what was refused is GET /ratings, which fits none",
        ),
    ];
    for (operation, expected) in cases {
        let found = said(
            &denied(none).with_saved(&[("policies.yaml", &to(operation))]),
            "rbac-denied",
        );
        assert!(found.iter().any(|(text, _)| text == expected), "{found:?}");
    }
    // What a rule permits is not what was refused for its operation.
    let found = said(
        &denied(none).with_saved(&[("policies.yaml", &to("methods: [\"GET\"]"))]),
        "rbac-denied",
    );
    assert!(
        found.iter().all(|(text, _)| !text.contains("what was refused")),
        "{found:?}"
    );
}

#[test]
fn rules_are_held_against_the_gateways_that_they_name() {
    let rule = virtual_service(
        "spec:\n  hosts:\n  - ratings\n  gateways:\n  - shop\n  - mesh\n  http:\n  - match:\n    - uri:\n        prefix: /other\n    route:\n    - \
         destination:\n        host: ratings\n",
    );
    let gateway = |name: &str, host: &str| {
        object(
            "networking.istio.io/v1",
            "Gateway",
            name,
            &format!(
                "spec:\n  servers:\n  - port:\n      number: 80\n      protocol: HTTP\n    hosts:\n    - \"{host}\"\n"
            ),
        )
    };
    let texts = |gateway: String| -> Vec<String> {
        let saved = documents(&[rule.clone(), gateway]);
        let found = said(
            &no_route("/ratings/1").with_saved(&[("saved.yaml", &saved)]),
            "route-not-found",
        );
        found.into_iter().map(|(text, _)| text).collect()
    };
    let absent = texts(gateway("bank", "*"));
    assert!(
        absent.contains(
            &"VirtualService default/ratings-paths is for the gateway shop, and no saved Gateway has this name".to_owned()
        ),
        "{absent:?}"
    );
    let other = texts(gateway("shop", "*.example.com"));
    assert!(
        other.contains(
            &"VirtualService default/ratings-paths is for ratings, and its gateway Gateway default/shop takes only *.example.com"
                .to_owned()
        ),
        "{other:?}"
    );
    let fits = texts(gateway("shop", "*"));
    assert!(fits.iter().all(|text| !text.contains("gateway")), "{fits:?}");
}

#[test]
fn a_telemetry_that_keeps_rows_back_is_told() {
    let saved = object(
        "telemetry.istio.io/v1",
        "Telemetry",
        "errors-only",
        "spec:\n  accessLogging:\n  - filter:\n      expression: response.code >= 400\n",
    );
    let report = no_route("/ratings/1")
        .with_saved(&[("saved.yaml", &saved)])
        .report();
    let notes = list(&report, "/findings/0/next/notes");
    assert!(
        notes.iter().any(|note| note
            == "Telemetry default/errors-only keeps only rows in the access log for which response.code >= 400: shares and percentiles are of \
                these"),
        "{notes:?}"
    );
}

#[test]
fn a_finding_is_surer_where_configuration_says_the_same() {
    let confidence = |saved: &[(&str, &str)]| {
        let report = no_host().with_saved(saved).report();
        report["findings"][0]["confidence"].as_f64().unwrap()
    };
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  labels: {kubernetes.io/service-name: ratings}\n  \
                 name: r\n  namespace: default\nendpoints: []\n";
    let ready = slice.replace("[]", "[{addresses: [10.0.0.1]}]");
    let (alone, borne_out, against) = (
        confidence(&[]),
        confidence(&[("slice.yaml", slice)]),
        confidence(&[("slice.yaml", &ready)]),
    );
    assert!(
        against < alone && alone < borne_out,
        "{against} {alone} {borne_out}"
    );
}

#[test]
fn what_no_traffic_shows_is_a_remark() {
    let refused = json!({"error_state": {"details": "duplicate filter chain match", "last_update_attempt": "2026-11-22T16:46:00Z"}});
    let nowhere = documents(&[
        virtual_service(
            "spec:\n  hosts:\n  - ratings\n  http:\n  - route:\n    - destination:\n        host: rating\n        port: {number: 9080}\n",
        ),
        service("9080"),
    ]);
    let scratch = Scratch::with("dump.json", dump(&json!({"name": RATINGS}), &refused));
    scratch.write("objects.yaml", nowhere);
    let report = analyze(&[case_input("healthy-bookinfo"), scratch.path().to_owned()]).report();
    assert_eq!(text(&report, "/verdict/state"), "healthy");
    let remarks: Vec<(&str, &str, &str)> = list(&report, "/findings")
        .iter()
        .map(|finding| {
            let evidence = &finding["evidence"][0];
            (
                text(finding, "/cause"),
                text(finding, "/severity"),
                text(evidence, "/text"),
            )
        })
        .collect();
    let refused = format!("productpage-v1 has refused {RATINGS}: duplicate filter chain match");
    assert!(
        remarks.contains(&("config-rejected", "info", &refused)),
        "{remarks:?}"
    );
    let nowhere = "VirtualService default/ratings-paths sends to rating, and no saved Service or ServiceEntry has this name";
    assert!(
        remarks.contains(&("config-invalid", "info", nowhere)),
        "{remarks:?}"
    );
}

#[test]
fn a_document_that_is_cut_off_is_used_up_to_there_and_the_line_is_told() {
    let whole = documents(&[peers("STRICT"), service("9080")]);
    let cut = format!("{whole}  more: [\n");
    let scratch = plaintext().with_saved(&[("objects.yaml", &cut)]);
    let found = said(&scratch, "mtls-plaintext-to-strict");
    assert!(
        found.iter().any(|(text, _)| text.contains("(STRICT)")),
        "{found:?}"
    );
    let report = scratch.report();
    let input = list(&report, "/inputs")
        .iter()
        .find(|input| text(input, "/path") == "objects.yaml")
        .unwrap();
    let problem = &list(input, "/problems")[0];
    assert!(
        text(problem, "/what").starts_with("this is no YAML: "),
        "{problem}"
    );
    let last = u64::try_from(cut.lines().count()).unwrap();
    assert!(problem["line"].as_u64().unwrap() >= last - 1, "{problem}");
}

#[test]
fn messages_of_the_analyzer_are_the_same_in_json() {
    let rows = refused();
    let plain = "Warning [IST0162] (Service default/ratings) The gateway is listening on a target port that ratings has not.\n";
    let json = "[\n\t{\n\t\t\"code\": \"IST0162\",\n\t\t\"level\": \"Warning\",\n\t\t\"message\": \"The gateway is listening on a target port \
                that ratings has not.\",\n\t\t\"origin\": \"Service default/ratings\"\n\t}\n]\n";
    let of = |body: &str| {
        let scratch = rows.with_saved(&[("analyze.out", body)]);
        let report = scratch.report();
        let hits: Vec<(String, Value)> = list(&report, "/signatures")
            .iter()
            .map(|hit| (text(hit, "/id").to_owned(), hit["count"].clone()))
            .collect();
        let texts: Vec<String> = said(&scratch, "upstream-connection-refused")
            .into_iter()
            .map(|(text, _)| text)
            .collect();
        (hits, texts)
    };
    let (hits, texts) = of(json);
    assert_eq!((&hits, &texts), (&of(plain).0, &of(plain).1));
    assert_eq!(
        texts,
        ["istioctl analyze says IST0162 of Service default/ratings"]
    );
}

#[test]
fn order_and_threads_change_nothing_and_cited_lines_are_shown() {
    let files = [
        ("a.yaml", documents(&[peers("STRICT"), service("9080")])),
        ("b.yaml", documents(&[peers("PERMISSIVE")])),
        ("c.json", dump(&json!({"name": RATINGS}), &json!({}))),
    ];
    let saved: Vec<(&str, &str)> = files.iter().map(|(name, body)| (*name, body.as_str())).collect();
    let scratch = plaintext().with_saved(&saved);
    let run = |words: &[&str]| {
        let words = [&["analyze", "--format", "json", "--no-run-info"], words].concat();
        postmesh(&words, &[scratch.path()]).stdout
    };
    let one = run(&["--threads", "1"]);
    assert!(!one.is_empty());
    for threads in ["2", "5"] {
        assert_eq!(run(&["--threads", threads]), one);
    }
    let line = files[0]
        .1
        .lines()
        .position(|line| line.contains("STRICT"))
        .unwrap()
        + 1;
    let reference = format!("a.yaml:{line}");
    let shown = postmesh(&["show", "--ref", &reference], &[scratch.path()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("mode: STRICT"), "{shown}");
}

#[test]
fn tables_say_what_they_carry() {
    let endpoints = "NAME      ENDPOINTS   AGE\nratings   <none>      3d\ndetails   10.0.0.1:9080   3d\n";
    let deployments = "NAMESPACE   NAME         READY   UP-TO-DATE   AVAILABLE   AGE\n\
                       default     ratings-v1   0/0     0            0           3d\n\
                       shop        ratings-v1   0/0     0            0           3d\n";
    let scratch = no_host().with_saved(&[("endpoints.txt", endpoints), ("deployments.txt", deployments)]);
    let found = said(&scratch, "no-endpoints");
    let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "0 replicas are asked for by Deployment default/ratings-v1",
            "the saved endpoints of ratings have no address that is ready"
        ]
    );
    assert_eq!(found[1].1, ["ratings   <none>      3d"]);
    let routes = "NAME     VHOST NAME                                 DOMAINS              MATCH         VIRTUAL SERVICE\n\
                  9080     ratings.default.svc.cluster.local:9080     ratings, 10.0.0.1     /ratings*     ratings.default\n";
    let scratch = no_route("/Ratings/1").with_saved(&[("routes.txt", routes)]);
    let found = said(&scratch, "route-case-mismatch");
    assert!(
        found[0]
            .0
            .contains("routes the prefix /ratings and is not told to ignore letter case"),
        "{found:?}"
    );
    // Of a host with routes on other lines, nothing is said of what has none.
    let scratch = no_route("/books/1").with_saved(&[("routes.txt", routes)]);
    assert_eq!(said(&scratch, "route-not-found"), []);
}

#[test]
fn what_is_absent_says_nothing_where_not_all_was_saved() {
    let clusters = "SERVICE FQDN                        PORT     SUBSET     DIRECTION     TYPE     DESTINATION RULE\n\
                    web.default.svc.cluster.local     80     -     outbound     EDS     \n";
    let scratch = no_cluster().with_saved(&[("productpage-v1.clusters.txt", clusters)]);
    assert_eq!(said(&scratch, "unknown-service"), []);
    let whole = dump(
        &json!({"name": "outbound|80||web.default.svc.cluster.local"}),
        &json!({}),
    );
    let cut = whole.trim_end().trim_end_matches('}');
    let scratch = no_cluster().with_saved(&[("dump.json", cut)]);
    assert_eq!(said(&scratch, "unknown-service"), []);
}
