use super::facts::{Condition, PathForm, Spec, Tls};
use super::*;
use crate::decode::output::HostState;
use crate::units::Timestamp;
use proptest::prelude::*;
use std::fmt::Write as _;

/// In the form of Envoy's `/config_dump?include_eds`.
const DUMP: &str = r#"{
 "configs": [
  {
   "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
   "bootstrap": {
    "node": {
     "id": "sidecar~10.244.1.11~web-7f9c4d6b8d-9zv2l.shop~shop.svc.cluster.local",
     "cluster": "web.shop"
    }
   },
   "last_updated": "2026-11-22T16:40:00.000Z"
  },
  {
   "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
   "version_info": "2026-11-22T16:45:48Z/14",
   "dynamic_active_clusters": [
    {
     "version_info": "2026-11-22T16:45:48Z/14",
     "cluster": {
      "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      "name": "outbound|80||cart.shop.svc.cluster.local",
      "type": "EDS",
      "connect_timeout": "10s",
      "circuit_breakers": {
       "thresholds": [
        {
         "max_connections": 1,
         "max_pending_requests": 4294967295,
         "max_requests": 4294967295,
         "max_retries": 4294967295
        }
       ]
      },
      "transport_socket_matches": [
       {
        "name": "tlsMode-istio"
       }
      ],
      "metadata": {
       "filter_metadata": {
        "istio": {
         "config": "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/cart-pool"
        }
       }
      }
     },
     "last_updated": "2026-11-22T16:45:48.120Z"
    },
    {
     "cluster": {
      "name": "PassthroughCluster",
      "type": "ORIGINAL_DST"
     },
     "error_state": {
      "failed_configuration": {
       "name": "outbound|80||broken.shop.svc.cluster.local"
      },
      "last_update_attempt": "2026-11-22T16:46:00Z",
      "details": "a cluster without hosts"
     }
    }
   ]
  },
  {
   "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
   "dynamic_endpoint_configs": [
    {
     "endpoint_config": {
      "cluster_name": "outbound|80||cart.shop.svc.cluster.local",
      "endpoints": [
       {
        "lb_endpoints": [
         {
          "endpoint": {
           "address": {
            "socket_address": {
             "address": "10.244.2.7",
             "port_value": 8080
            }
           }
          },
          "health_status": "UNHEALTHY"
         }
        ]
       }
      ]
     }
    }
   ]
  },
  {
   "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
   "dynamic_route_configs": [
    {
     "route_config": {
      "name": "80",
      "virtual_hosts": [
       {
        "name": "cart.shop.svc.cluster.local:80",
        "domains": [
         "cart.shop.svc.cluster.local",
         "cart"
        ],
        "routes": [
         {
          "match": {
           "path_separated_prefix": "/cart",
           "case_sensitive": true
          },
          "route": {
           "cluster": "outbound|80||cart.shop.svc.cluster.local",
           "timeout": "0.500s",
           "retry_policy": {
            "num_retries": 2
           }
          },
          "name": "cart-http"
         }
        ]
       }
      ]
     },
     "last_updated": "2026-11-22T16:45:48.130Z"
    }
   ]
  }
 ]
}
"#;

/// As `kubectl get -o yaml` prints a list.
const LIST: &str = r#"apiVersion: v1
items:
- apiVersion: networking.istio.io/v1
  kind: VirtualService
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"networking.istio.io/v1","kind":"VirtualService"}
    name: cart
    namespace: shop
  spec:
    hosts:
    - cart
    http:
    - match:
      - uri:
          prefix: /cart
        ignoreUriCase: true
      - headers:
          x-user:
            exact: tester
      route:
      - destination:
          host: cart
          subset: v2
          port:
            number: 80
        weight: 100
      timeout: 500ms
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata:
    name: cart-only
    namespace: shop
  spec:
    selector:
      matchLabels:
        app: cart
    rules:
    - from:
      - source:
          principals: ["cluster.local/ns/shop/sa/web"]
      to:
      - operation:
          methods:
          - GET
- apiVersion: v1
  kind: Service
  metadata:
    name: cart
    namespace: shop
  spec:
    ports:
    - name: http
      port: 80
      targetPort: 8080
    selector:
      app: cart
- apiVersion: v1
  kind: Secret
  metadata:
    name: token
    namespace: shop
  data:
    password: c2VjcmV0
kind: List
metadata:
  resourceVersion: ""
"#;

fn said(text: &str, form: Form) -> Vec<Said> {
    let read = read(text.as_bytes(), form, 0);
    assert_eq!(read.damage, [], "{text}");
    read.said
}

/// The line that a statement cites, by number and by offset.
fn cited(text: &str, spot: Spot) -> &str {
    let by_number = text.lines().nth(usize::try_from(spot.line).unwrap()).unwrap();
    let by_offset = text.get(usize::try_from(spot.offset_bytes).unwrap()..).unwrap();
    assert_eq!(by_offset.lines().next(), Some(by_number));
    by_number.trim()
}

#[test]
fn a_dump_is_read_object_by_object_with_the_lines_that_name_them() {
    let said = said(DUMP, Form::Json);
    let lines: Vec<&str> = said.iter().map(|said| cited(DUMP, said.line)).collect();
    assert_eq!(
        lines,
        [
            r#""id": "sidecar~10.244.1.11~web-7f9c4d6b8d-9zv2l.shop~shop.svc.cluster.local","#,
            r#""name": "outbound|80||cart.shop.svc.cluster.local","#,
            r#""details": "a cluster without hosts""#,
            r#""name": "PassthroughCluster","#,
            r#""cluster_name": "outbound|80||cart.shop.svc.cluster.local","#,
            r#""address": "10.244.2.7","#,
            r#""name": "cart.shop.svc.cluster.local:80","#,
        ]
    );
    assert_eq!(
        said[0].statement,
        Statement::Proxy("web-7f9c4d6b8d-9zv2l".to_owned())
    );
    let Statement::Cluster(cluster) = &said[1].statement else {
        panic!()
    };
    let bounds = cluster.bounds.unwrap();
    assert_eq!((bounds.connections, bounds.pending), (Some(1), None));
    assert_eq!(
        (cluster.tls, cluster.connect_timeout_ms),
        (Some(Tls::Auto), Some(10_000))
    );
    assert_eq!(cluster.rule.as_deref(), Some("shop/cart-pool"));
    assert_eq!(
        cluster.updated,
        Timestamp::from_civil(2026, 11, 22, 16, 45, 48, 120_000_000)
    );
    let Statement::Rejected(rejected) = &said[2].statement else {
        panic!()
    };
    assert_eq!(
        (rejected.name.as_str(), rejected.details.as_str()),
        ("PassthroughCluster", "a cluster without hosts")
    );
    let Statement::Fact(Fact::Host { state, .. }) = &said[5].statement else {
        panic!()
    };
    assert_eq!(*state, HostState::Unhealthy);
    let Statement::VirtualHost(host) = &said[6].statement else {
        panic!()
    };
    let route = &host.routes[0];
    assert_eq!((host.table.as_str(), route.name.as_str()), ("80", "cart-http"));
    assert_eq!((route.timeout_ms, route.retries), (Some(500), Some(2)));
    let path = route.conditions[0].path.as_ref().unwrap();
    assert_eq!(
        (path.form, path.path.as_str(), path.ignores_case),
        (PathForm::Segments, "/cart", false)
    );
    assert_eq!(
        cited(DUMP, route.conditions[0].line),
        r#""path_separated_prefix": "/cart","#
    );
}

#[test]
fn istioctl_writes_the_same_names_in_another_way() {
    let clusters = r#"[
    {
        "transportSocketMatches": [{"name": "tlsMode-istio"}],
        "name": "outbound|80||cart.shop.svc.cluster.local",
        "type": "EDS",
        "connectTimeout": "10s",
        "circuitBreakers": {"thresholds": [{"maxConnections": 7, "maxRequests": 4294967295}]}
    }
]"#;
    let found = said(clusters, Form::Json);
    let Statement::Cluster(cluster) = &found[0].statement else {
        panic!()
    };
    assert_eq!(cluster.bounds.unwrap().connections, Some(7));
    assert_eq!(cluster.tls, Some(Tls::Auto));
    let routes = "- name: \"80\"\n  virtualHosts:\n  - name: cart.shop.svc.cluster.local:80\n    domains:\n    - cart\n    routes:\n    - \
                  match:\n        prefix: /\n      route:\n        cluster: outbound|80||cart.shop.svc.cluster.local\n";
    let found = said(routes, Form::Yaml);
    let Statement::VirtualHost(host) = &found[0].statement else {
        panic!()
    };
    assert_eq!((host.table.as_str(), host.domains.len()), ("80", 1));
    assert_eq!(
        host.routes[0].targets[0].host,
        "outbound|80||cart.shop.svc.cluster.local"
    );
    let hosts = r#"[{"name": "outbound|80||cart.shop.svc.cluster.local", "addedViaApi": true, "hostStatuses": [
        {"address": {"socketAddress": {"address": "10.0.0.7", "portValue": 80}},
         "healthStatus": {"failedOutlierCheck": true, "edsHealthStatus": "HEALTHY"}}]}]"#;
    let found = said(hosts, Form::Json);
    let Statement::Fact(Fact::Host { state, .. }) = &found[1].statement else {
        panic!()
    };
    assert_eq!(*state, HostState::Ejected);
}

#[test]
fn a_list_of_kubectl_is_read_and_secrets_are_not_kept() {
    let said = said(LIST, Form::Yaml);
    let objects: Vec<(&str, &str)> = said
        .iter()
        .map(|said| {
            let Statement::Object(object) = &said.statement else {
                panic!()
            };
            (object.kind.as_str(), object.name.as_str())
        })
        .collect();
    assert_eq!(
        objects,
        [
            ("VirtualService", "cart"),
            ("AuthorizationPolicy", "cart-only"),
            ("Service", "cart")
        ]
    );
    assert_eq!(cited(LIST, said[0].line), "name: cart");
    assert!(!format!("{said:?}").contains("c2VjcmV0"));
    let Statement::Object(object) = &said[0].statement else {
        panic!()
    };
    let Spec::VirtualService { hosts, routes, .. } = &object.spec else {
        panic!()
    };
    assert_eq!(hosts, &["cart"]);
    let [first, second]: [Condition; 2] = routes[0].conditions.clone().try_into().unwrap();
    assert!(first.path.unwrap().ignores_case);
    assert_eq!(cited(LIST, first.line), "prefix: /cart");
    assert_eq!(
        (second.path, second.others),
        (None, vec!["headers x-user".to_owned()])
    );
    let target = &routes[0].targets[0];
    assert_eq!((target.subset.as_deref(), target.port), (Some("v2"), Some(80)));
    assert_eq!(cited(LIST, target.line), "subset: v2");
    assert_eq!(routes[0].timeout_ms, Some(500));
    let Statement::Object(object) = &said[1].statement else {
        panic!()
    };
    let Spec::AuthorizationPolicy { action, rules, .. } = &object.spec else {
        panic!()
    };
    assert_eq!((action.as_str(), rules.len()), ("ALLOW", 1));
    assert_eq!(rules[0].from[0][0].values, ["cluster.local/ns/shop/sa/web"]);
    assert_eq!(rules[0].to[0][0].what, "methods");
    let Statement::Object(object) = &said[2].statement else {
        panic!()
    };
    let Spec::Service { ports, .. } = &object.spec else {
        panic!()
    };
    assert_eq!((ports[0].port, ports[0].target.as_str()), (80, "8080"));
}

#[test]
fn several_documents_and_single_objects() {
    let several = "---\n# one\nkind: Service\nmetadata: {name: a, namespace: x}\nspec: {ports: [{port: 80}]}\n---\nkind: Service\n\
                   metadata:\n  name: b\nspec: {}\n";
    assert_eq!(said(several, Form::Yaml).len(), 2);
    let one = r#"{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}]}}"#;
    assert_eq!(said(&format!("{one}\n{one}"), Form::Json).len(), 2);
    let crlf = LIST.replace('\n', "\r\n");
    assert_eq!(said(&crlf, Form::Yaml).len(), 3);
}

#[test]
fn what_stands_before_the_damage_counts_and_the_damage_has_its_line() {
    let (cut, _) = DUMP.split_once("EndpointsConfigDump").unwrap();
    let found = read(cut.as_bytes(), Form::Json, 0);
    assert_eq!(found.said.len(), 4);
    assert_eq!(found.damage.len(), 1);
    assert_eq!(
        usize::try_from(found.damage[0].line.line).unwrap() + 1,
        cut.lines().count()
    );
    let broken = LIST.replace("  kind: Service", "  kind: : [");
    let found = read(broken.as_bytes(), Form::Yaml, 0);
    assert_eq!((found.said.len(), found.damage.len()), (2, 1));
    assert!(cited(&broken, found.damage[0].line).contains("kind: : ["));
}

#[test]
fn small_texts_cannot_stand_for_large_ones() {
    let mut bomb = "a: &a [x, x]\n".to_owned();
    for (from, to) in ('a'..'y').zip('b'..'z') {
        writeln!(bomb, "{to}: &{to} [*{from}, *{from}, *{from}, *{from}]").unwrap();
    }
    assert_eq!(read(bomb.as_bytes(), Form::Yaml, 0).said, []);
    let deep = "[".repeat(100_000);
    assert!(!read(deep.as_bytes(), Form::Json, 0).damage.is_empty());
    assert!(!read(deep.as_bytes(), Form::Yaml, 0).damage.is_empty());
    let deep = "- ".repeat(20_000);
    assert!(!read(deep.as_bytes(), Form::Yaml, 0).damage.is_empty());
    // What is too deep is left out, and the rest is read.
    let deep = format!(
        "kind: Service\nstatus: {}1{}\nmetadata:\n  name: a\nspec: {{}}\n",
        "[".repeat(120),
        "]".repeat(120)
    );
    let found = read(deep.as_bytes(), Form::Yaml, 0);
    assert_eq!((found.said.len(), found.damage.len()), (1, 1));
}

#[test]
fn durations() {
    let cases = [
        ("10s", Some(10_000)),
        ("0.250s", Some(250)),
        ("1h5m", Some(3_900_000)),
        ("250ms", Some(250)),
        ("0s", Some(0)),
        ("", None),
        ("s", None),
        ("5", None),
        ("1.5.5s", None),
        ("99999999999999999999s", None),
    ];
    for (text, expected) in cases {
        assert_eq!(words::duration_ms(text), expected, "{text}");
    }
}

/// Self-signed, made for this test; ends at 2026-11-27T14:30:08Z.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIBhjCCASugAwIBAgIURo3DBkzLkgigl7NHTVi598QIRkswCgYIKoZIzj0EAwIw\nGDEWMBQGA1UECgwNY2x1c3Rlci5sb2NhbDAeFw0yNjExMjYxNDMwMDhaFw0yNjEx\nMjcxNDMwMDhaMBgxFjAUBgNVBAoMDWNsdXN0ZXIubG9jYWwwWTATBgcqhkjOPQIB\nBggqhkjOPQMBBwNCAAQxrmP8i1hYW4dzR6+LMnioK7UqUs8Wy2IfOI/qlEYcmscg\n9e3O/mt3gdPHhHyqGrTCffhGaWwUaUFSRUOjeuxio1MwUTAdBgNVHQ4EFgQUeM2O\nj3snNMWKGS9OY939T9eHshgwHwYDVR0jBBgwFoAUeM2Oj3snNMWKGS9OY939T9eH\nshgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA3pS9tnm5pZWN\nw1qQKLt9Zdq66A9dT6HQjcF0vWqK2i4CIQDClpeSwUphL/affFnK/v96urRM1Ulh\nARpjOPhG1gBb7g==\n-----END CERTIFICATE-----\n";

#[test]
fn certificates_are_read_where_objects_hold_them_and_nothing_else_is() {
    let base64 = data_encoding::BASE64.encode(PEM.as_bytes());
    let secrets = format!(
        r#"{{"configs": [{{"@type": "x.SecretsConfigDump", "dynamic_active_secrets": [
          {{"name": "default", "last_updated": "2026-11-26T14:30:08Z", "secret": {{"name": "default", "tls_certificate": {{
             "certificate_chain": {{"inline_bytes": "{base64}"}}, "private_key": {{"inline_bytes": "W3JlZGFjdGVkXQ=="}}}}}}}},
          {{"name": "ROOTCA", "secret": {{"validation_context": {{"trusted_ca": {{"inline_bytes": "{base64}"}}}}}}}}
        ]}}]}}"#
    );
    let indented = PEM.replace('\n', "\n    ");
    let objects = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: istio-ca-root-cert\n  namespace: shop\ndata:\n  root-cert.pem: |\n    \
         {indented}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: gateway\n  namespace: edge\ndata:\n  tls.crt: {base64}\n  \
         tls.key: {base64}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\ndata:\n  ca.crt: |\n    {indented}\n"
    );
    let of = |text: &str, form| -> Vec<(String, Timestamp)> {
        said(text, form)
            .into_iter()
            .map(|said| match said.statement {
                Statement::Fact(Fact::Certificate { name, not_after, .. }) => (name, not_after),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let end = Timestamp::from_civil(2026, 11, 27, 14, 30, 8, 0).unwrap();
    assert_eq!(
        of(&secrets, Form::Json),
        [("default".to_owned(), end), ("ROOTCA".to_owned(), end)]
    );
    let names = [
        ("shop/istio-ca-root-cert".to_owned(), end),
        ("edge/gateway".to_owned(), end),
    ];
    assert_eq!(of(&objects, Form::Yaml), names);
    // A key is none, and neither is what is no certificate.
    let broken = objects.replace(&base64, "bm90aGluZw==").replace("MII", "mII");
    assert_eq!(of(&broken, Form::Yaml), []);
}

#[test]
fn what_the_listener_of_inbound_traffic_takes() {
    let chain = |port: u16, transport: &str, socket: &str| {
        format!(
            r#"{{"filter_chain_match": {{"destination_port": {port}, "transport_protocol": "{transport}"}}{socket}}}"#
        )
    };
    let tls = r#", "transport_socket": {"name": "envoy.transport_sockets.tls"}"#;
    let chains = [
        chain(9080, "tls", tls),
        chain(9081, "tls", tls),
        chain(9081, "raw_buffer", ""),
        chain(15006, "raw_buffer", ""),
    ];
    let text = format!(
        r#"{{"configs": [{{"@type": "x.ListenersConfigDump", "dynamic_listeners": [{{"name": "virtualInbound",
          "active_state": {{"listener": {{"name": "virtualInbound", "filter_chains": [{}]}}}}}}]}}]}}"#,
        chains.join(",")
    );
    let found = said(&text, Form::Json);
    let Statement::Inbound(inbound) = &found[0].statement else {
        panic!()
    };
    let ports: Vec<(u64, (bool, bool))> = inbound.ports.clone().into_iter().collect();
    assert_eq!(ports, [(9080, (true, false)), (9081, (true, true))]);
}

#[test]
fn what_pods_and_workloads_say() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-1\nspec:\n  serviceAccountName: front\n  initContainers:\n  - name: \
                istio-proxy\n    restartPolicy: Always\n  - name: once\n  containers:\n  - name: app\n    ports:\n    - name: http\n      \
                containerPort: 8080\nstatus:\n  phase: Running\n  podIP: 10.0.0.1\n  containerStatuses:\n  - name: app\n    state:\n      \
                waiting:\n        reason: CrashLoopBackOff\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  \
                replicas: 0\n";
    let found = said(text, Form::Yaml);
    let trouble = Fact::Pod {
        name: "web-1".to_owned(),
        trouble: "CrashLoopBackOff".to_owned(),
    };
    assert_eq!(found[0].statement, Statement::Fact(trouble));
    let Statement::Object(object) = &found[1].statement else {
        panic!()
    };
    let Spec::Pod {
        account,
        ip,
        containers,
        ..
    } = &object.spec
    else {
        panic!()
    };
    assert_eq!((account.as_str(), ip.as_str()), ("front", "10.0.0.1"));
    let names: Vec<&str> = containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    assert_eq!(names, ["app", "istio-proxy"]);
    assert_eq!(containers[0].ports.get("http"), Some(&8080));
    let Statement::Object(object) = &found[2].statement else {
        panic!()
    };
    let Spec::Workload {
        replicas,
        replicas_line,
        ..
    } = &object.spec
    else {
        panic!()
    };
    assert_eq!(*replicas, Some(0));
    assert_eq!(cited(text, *replicas_line), "replicas: 0");
}

#[test]
fn what_containers_may_use_and_how_they_ended() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-1\nspec:\n  containers:\n  - name: istio-proxy\n    resources:\n      \
                limits:\n        memory: 1Gi\nstatus:\n  containerStatuses:\n  - name: istio-proxy\n    state:\n      running: {}\n    \
                lastState:\n      terminated:\n        reason: OOMKilled\n        finishedAt: \"2026-11-24T10:02:03Z\"\n";
    let found = said(text, Form::Yaml);
    let ended = Fact::Terminated {
        pod: "web-1".to_owned(),
        container: "istio-proxy".to_owned(),
        reason: "OOMKilled".to_owned(),
        at: Some(Timestamp::from_secs(1_795_514_523)),
    };
    let limit = Fact::Figure {
        subject: "web-1/istio-proxy".to_owned(),
        figure: crate::decode::output::Figure::MemoryLimitBytes,
        value: 1 << 30,
    };
    for (fact, line) in [(ended, "reason: OOMKilled"), (limit, "memory: 1Gi")] {
        let said = found
            .iter()
            .find(|said| said.statement == Statement::Fact(fact.clone()));
        assert_eq!(
            cited(text, said.unwrap_or_else(|| panic!("{fact:?}: {found:?}")).line),
            line
        );
    }
}

#[test]
fn gateways_and_what_is_left_out_of_access_logs() {
    let text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n  name: shop\nspec:\n  servers:\n  - port:\n      number: 443\n      \
                protocol: HTTPS\n    hosts:\n    - shop/*.example.com\n    tls:\n      mode: SIMPLE\n      credentialName: shop-cert\n---\n\
                apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata:\n  name: mesh\nspec:\n  accessLogging:\n  - filter:\n      \
                expression: response.code >= 400\n";
    let found = said(text, Form::Yaml);
    let specs: Vec<&Spec> = found
        .iter()
        .map(|said| match &said.statement {
            Statement::Object(object) => &object.spec,
            other => panic!("{other:?}"),
        })
        .collect();
    let [
        Spec::Gateway { servers, .. },
        Spec::Telemetry {
            left_out: Some((expression, line)),
            ..
        },
    ] = specs[..]
    else {
        panic!("{specs:?}")
    };
    let server = &servers[0];
    assert_eq!(
        (server.port, server.protocol.as_str(), server.tls.as_str()),
        (Some(443), "HTTPS", "SIMPLE")
    );
    assert_eq!(
        (server.hosts[0].as_str(), server.credential.as_str()),
        ("shop/*.example.com", "shop-cert")
    );
    assert_eq!(expression, "response.code >= 400");
    assert_eq!(cited(text, *line), "expression: response.code >= 400");
}

#[test]
fn what_a_proxy_says_of_itself() {
    let text = "{\n \"version\": \"a1b2/1.40.0/Clean/RELEASE/BoringSSL\",\n \"state\": \"PRE_INITIALIZING\",\n \"command_line_options\": {\n  \
                \"concurrency\": 2\n },\n \"uptime_current_epoch\": \"93s\",\n \"uptime_all_epochs\": \"93s\"\n}\n";
    let found = said(text, Form::Json);
    let fact = Fact::Server {
        state: "PRE_INITIALIZING".to_owned(),
        uptime_s: 93,
    };
    assert_eq!(found[0].statement, Statement::Fact(fact));
    assert_eq!(
        crate::decode::output::recognise(text.as_bytes()).form,
        Some(Form::Json)
    );
}

#[test]
fn metrics_of_istio_count_requests_and_hold_durations() {
    let labels = "\"destination_service\": \"cart.shop.svc.cluster.local\", \"reporter\": \"source\"";
    let count = |pod: &str, code: u16, flags: &str, value: &str| {
        format!(
            "{{\"metric\": {{\"__name__\": \"istio_requests_total\", {labels}, \"pod\": \"{pod}\", \"response_code\": \"{code}\", \
             \"response_flags\": \"{flags}\"}}, \"value\": [1793588400, \"{value}\"]}}"
        )
    };
    let bucket = |bound: &str, value: &str| {
        format!(
            "{{\"metric\": {{\"__name__\": \"istio_request_duration_milliseconds_bucket\", {labels}, \"le\": \"{bound}\"}}, \
             \"value\": [1793588400, \"{value}\"]}}"
        )
    };
    let series = [
        count("web-1", 503, "UF", "7"),
        count("web-2", 503, "UF", "5"),
        count("web-1", 200, "-", "88"),
        bucket("0.5", "0"),
        bucket("25", "60"),
        bucket("5000", "98"),
        bucket("+Inf", "100"),
    ];
    let text = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[\n{}\n]}}}}",
        series.join(",\n")
    );
    assert_eq!(
        crate::decode::output::recognise(text.as_bytes()).form,
        Some(Form::Prometheus)
    );
    let found = said(&text, Form::Prometheus);
    let counts: Vec<(&str, u64)> = found
        .iter()
        .filter_map(|said| match &said.statement {
            Statement::Fact(Fact::Requests(requests)) => Some((requests.flags.as_str(), requests.count)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [("-", 88), ("UF", 12)]);
    let durations = found.iter().find_map(|said| match &said.statement {
        Statement::Fact(Fact::Durations(durations)) => Some(durations),
        _ => None,
    });
    let durations = durations.unwrap();
    assert_eq!(
        (durations.count, durations.p50_ms, durations.p99_ms),
        (100, Some(25), None)
    );
}

proptest! {
    #[test]
    fn no_bytes_break_it(data in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&data, Form::Json, 0);
        read(&data, Form::Yaml, 0);
    }

    #[test]
    fn no_damage_breaks_it(at in 0..LIST.len(), byte in any::<u8>(), cut in 0..DUMP.len()) {
        let mut list = LIST.as_bytes().to_vec();
        list[at] = byte;
        for said in read(&list, Form::Yaml, 0).said {
            let from = usize::try_from(said.line.offset_bytes).unwrap();
            prop_assert!(from == 0 || list.get(from - 1) == Some(&b'\n'));
        }
        let mut dump = DUMP.as_bytes().to_vec();
        dump[cut] = byte;
        read(&dump, Form::Json, 0);
        let whole = read(DUMP.as_bytes(), Form::Json, 0).said;
        let before = read(&DUMP.as_bytes()[..cut], Form::Json, 0).said;
        prop_assert_eq!(&whole[..before.len()], &before[..]);
    }
}

#[test]
fn tables_of_configuration_and_of_objects() {
    use crate::decode::output::recognise;
    let of = |text: &str| -> Vec<Statement> {
        let recognised = recognise(text.as_bytes());
        let lines = (0_u32..).zip(text.lines());
        lines
            .filter_map(|(line, row)| {
                let at = Spot {
                    line,
                    offset_bytes: 0,
                };
                recognised.statement(row.as_bytes(), at)
            })
            .collect()
    };
    let clusters = of(
        "SERVICE FQDN                            PORT     SUBSET     DIRECTION     TYPE             DESTINATION RULE\n\
         BlackHoleCluster                        -        -          -             STATIC           \n\
         ratings.default.svc.cluster.local       9080     v1         outbound      EDS              ratings.default\n",
    );
    let found: Vec<(&str, Option<&str>)> = clusters
        .iter()
        .map(|statement| match statement {
            Statement::Cluster(cluster) => (cluster.name.as_str(), cluster.rule.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    let ratings = (
        "outbound|9080|v1|ratings.default.svc.cluster.local",
        Some("default/ratings"),
    );
    assert_eq!(found, [("BlackHoleCluster", None), ratings]);
    let routes = of(
        "NAME     VHOST NAME                                  DOMAINS                                  MATCH          VIRTUAL SERVICE\n\
         9080     ratings.default.svc.cluster.local:9080     ratings, ratings.default + 1 more...     /ratings/*     ratings.default\n\
         9080     details.default.svc.cluster.local:9080     details, details.default + 1 more...     /*             \n",
    );
    let Statement::VirtualHost(host) = &routes[0] else {
        panic!()
    };
    assert_eq!(
        (host.table.as_str(), host.domains.len(), host.cut),
        ("9080", 2, true)
    );
    let path = host.routes[0].conditions[0].path.as_ref().unwrap();
    assert_eq!((path.form, path.path.as_str()), (PathForm::Prefix, "/ratings/"));
    assert_eq!(host.routes[0].line.line, 1);
    assert_eq!(routes.len(), 2);
    let objects = |text: &str| -> Vec<(String, String, Spec)> {
        let objects = of(text).into_iter().map(|statement| match statement {
            Statement::Object(object) => (object.namespace, object.name, object.spec),
            other => panic!("{other:?}"),
        });
        objects.collect()
    };
    let endpoints = objects(
        "NAMESPACE   NAME      ENDPOINTS                                            AGE\n\
         default     ratings   <none>                                               3d\n\
         default     web       10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 4 more...      3d\n",
    );
    let ready: Vec<(&str, u64)> = endpoints
        .iter()
        .map(|(_, name, spec)| match spec {
            Spec::Endpoints { ready, .. } => (name.as_str(), *ready),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ready, [("ratings", 0), ("web", 7)]);
    assert_eq!(endpoints[0].0, "default");
    let services = objects(
        "NAME      TYPE        CLUSTER-IP    EXTERNAL-IP   PORT(S)    AGE   SELECTOR\n\
         ratings   ClusterIP   10.96.14.30   <none>        9080/TCP   3d    app=ratings\n",
    );
    assert!(
        matches!(&services[0].2, Spec::Service { selector, ports } if selector.len() == 1 && ports.is_empty())
    );
    let deployments = objects(
        "NAME         READY   UP-TO-DATE   AVAILABLE   AGE\nratings-v1   0/0     0            0           3d\n",
    );
    assert!(matches!(
        deployments[0].2,
        Spec::Workload {
            replicas: Some(0),
            ..
        }
    ));
    let rules = objects(
        "NAME      GATEWAYS   HOSTS                   AGE\nratings              [\"ratings\",\"books\"]   3d\n",
    );
    assert!(matches!(&rules[0].2, Spec::VirtualService { hosts, .. } if hosts == &["ratings", "books"]));
    // Which of their addresses are ready, slices do not say here.
    assert_eq!(
        of("NAME   ADDRESSTYPE   PORTS   ENDPOINTS   AGE\nx-1    IPv4          80      10.0.0.1    3d\n"),
        []
    );
}

/// Two pods, as `kubectl describe pods` has them.
const DESCRIBED: &str = "Name:             web-1
Namespace:        shop
Containers:
  app:
    State:          Running
    Ready:          True
    Limits:
      memory:  2Gi
  istio-proxy:
    State:          Running
      Started:      Sun, 22 Nov 2026 09:02:39 +0000
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Started:      Sat, 21 Nov 2026 09:00:10 +0000
      Finished:     Sun, 22 Nov 2026 10:02:30 +0100
    Limits:
      cpu:     2
      memory:  1Gi
Conditions:
  Type              Status


Name:             cart-1
Namespace:        shop
Init Containers:
  istio-init:
    State:          Terminated
      Reason:       Completed
      Finished:     Sat, 21 Nov 2026 09:00:09 +0000
Containers:
  istio-proxy:
    State:          Waiting
      Reason:       CrashLoopBackOff
";

#[test]
fn descriptions_of_pods_tell_how_containers_ended() {
    let said = said(DESCRIBED, Form::Describe);
    let line = |said: &Said| said.line.line + 1;
    let ended: Vec<_> = said
        .iter()
        .filter_map(|said| match &said.statement {
            Statement::Fact(Fact::Terminated {
                pod,
                container,
                reason,
                at,
            }) => Some((
                line(said),
                pod.as_str(),
                container.as_str(),
                reason.as_str(),
                at.unwrap().to_string(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        ended,
        [
            (
                13,
                "web-1",
                "istio-proxy",
                "OOMKilled",
                "2026-11-22T09:02:30.000000Z".to_owned()
            ),
            (
                29,
                "cart-1",
                "istio-init",
                "Completed",
                "2026-11-21T09:00:09.000000Z".to_owned()
            ),
        ]
    );
    let limits: Vec<_> = said
        .iter()
        .filter_map(|said| match &said.statement {
            Statement::Fact(Fact::Figure { subject, value, .. }) => {
                Some((line(said), subject.as_str(), *value))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        limits,
        [(8, "web-1/app", 2 << 30), (19, "web-1/istio-proxy", 1 << 30)]
    );
}

#[test]
fn answers_of_prometheus_tell_how_figures_went() {
    let values = |of: &dyn Fn(u64) -> u64| -> String {
        let values: Vec<String> = (0..16)
            .map(|n| format!("[{}, \"{}\"]", 1_793_588_400 + n * 300, of(n)))
            .collect();
        values.join(", ")
    };
    let text = format!(
        "{{\"status\": \"success\", \"data\": {{\"resultType\": \"matrix\", \"result\": [\n\
         {{\"metric\": {{\"__name__\": \"envoy_server_memory_allocated\", \"pod\": \"web-1\", \"container\": \"istio-proxy\"}}, \"values\": [{}]}},\n\
         {{\"metric\": {{\"__name__\": \"container_memory_rss\", \"pod\": \"web-1\", \"container\": \"app\"}}, \"values\": [{}]}},\n\
         {{\"metric\": {{\"__name__\": \"istio_requests_total\", \"pod\": \"cart-1\"}}, \"values\": [{}]}},\n\
         {{\"metric\": {{}}, \"values\": [[1, \"NaN\"]]}}\n]}}}}",
        values(&|n| 100 + n),
        values(&|n| n),
        // Counted from nothing again in the middle.
        values(&|n| if n < 8 { n * 10 } else { (n - 8) * 20 }),
    );
    assert_eq!(
        crate::decode::output::recognise(text.as_bytes()).form,
        Some(Form::Prometheus)
    );
    let said = said(&text, Form::Prometheus);
    let series: Vec<_> = said
        .iter()
        .map(|said| match &said.statement {
            Statement::Fact(Fact::Series(series)) => (said.line.line + 1, series),
            other => panic!("{other:?}"),
        })
        .collect();
    let [(2, memory), (4, requests)] = series.as_slice() else {
        panic!("{series:?}")
    };
    assert_eq!(
        (memory.subject.as_str(), memory.early, memory.late),
        ("web-1", 101, 113)
    );
    assert_eq!((memory.samples, memory.falling, memory.span_s), (16, 0, 4500));
    assert_eq!(memory.start.to_string(), "2026-11-02T03:00:00.000000Z");
    assert_eq!((requests.early, requests.late, requests.falling), (40, 80, 1));
    assert!(
        !read(b"{\"data\": {\"result\": [", Form::Prometheus, 0)
            .damage
            .is_empty()
    );
}

proptest! {
    #[test]
    fn no_damage_breaks_descriptions(at in 0..DESCRIBED.len(), byte in any::<u8>()) {
        let mut text = DESCRIBED.as_bytes().to_vec();
        text[at] = byte;
        for said in read(&text, Form::Describe, 0).said {
            let from = usize::try_from(said.line.offset_bytes).unwrap();
            prop_assert!(from == 0 || text[from - 1] == b'\n');
        }
        for form in [Form::Prometheus, Form::Probe, Form::Aligned, Form::Sockets] {
            let _ = read(&text, form, 0);
        }
    }
}

#[test]
fn what_was_tried_by_hand_says_how_it_went() {
    use crate::decode::output::{Probed, TextKind, recognise};
    let of = |text: &str| -> Vec<(u32, String, Probed)> {
        let recognised = recognise(text.as_bytes());
        assert_eq!(recognised.kind, TextKind::Probe, "{text}");
        said(text, Form::Probe)
            .into_iter()
            .map(|said| match said.statement {
                Statement::Fact(Fact::Probe { host, probed }) => (said.line.line + 1, host, probed),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let one = |line: u32, host: &str, probed: Probed| vec![(line, host.to_owned(), probed)];
    assert_eq!(
        of(
            "* Host ratings:9080 was resolved.\n*   Trying 10.96.14.30:9080...\n* connect to 10.96.14.30 port 9080 from 10.0.0.1 port 40000 failed: Connection refused\n* Failed to connect to ratings port 9080 after 1 ms: Could not connect to server\n* closing connection #0\n"
        ),
        one(3, "10.96.14.30:9080", Probed::Refused)
    );
    assert_eq!(
        of(
            "*   Trying 10.96.14.30:9080...\n* Connected to ratings (10.96.14.30) port 9080\n> GET / HTTP/1.1\n> Host: ratings:9080\n>\n* Recv failure: Connection reset by peer\ncurl: (56) Recv failure: Connection reset by peer\n"
        ),
        one(7, "ratings:9080", Probed::Reset)
    );
    assert_eq!(
        of("curl: (60) SSL certificate problem: certificate has expired\n"),
        one(1, "", Probed::CertificateExpired)
    );
    assert_eq!(
        of(
            "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\n** server can't find nowhere.shop.svc.cluster.local: NXDOMAIN\n"
        ),
        one(4, "nowhere.shop.svc.cluster.local", Probed::Unresolved)
    );
    assert_eq!(
        of(
            "; <<>> DiG 9.18.28 <<>> +search ratings.shop\n;; global options: +cmd\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 4711\n"
        ),
        one(4, "ratings.shop", Probed::LookupFailed)
    );
    assert_eq!(
        of(
            "CONNECTED(00000003)\ndepth=0 \nverify error:num=10:certificate has expired\nnotAfter=Nov 22 09:00:00 2026 GMT\nverify return:1\n"
        ),
        one(3, "", Probed::CertificateExpired)
    );
    assert_eq!(
        of(
            "Chain PREROUTING (policy ACCEPT 9 packets, 540 bytes)\n pkts bytes target     prot opt in     out     source               destination\n   9   540 ISTIO_INBOUND  tcp  --  *      *       0.0.0.0/0            0.0.0.0/0\nChain ISTIO_IN_REDIRECT (3 references)\n"
        ),
        one(4, "", Probed::Redirected)
    );
    assert_eq!(
        of(
            "# Generated by iptables-save v1.8.9 on Sun Nov 22 09:00:00 2026\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
        ),
        one(2, "", Probed::NotRedirected)
    );
    // What an application says is no probe.
    for text in [
        "* started\nlistening\n",
        "curl is not installed\n",
        "Server: envoy\n",
        "Chain of errors\n",
    ] {
        assert_eq!(recognise(text.as_bytes()).kind, TextKind::Log, "{text}");
    }
}

#[test]
fn descriptions_by_istioctl_tell_what_a_pod_takes() {
    use crate::decode::output::{Mtls, TextKind, recognise};
    let text = "Pod: web-1.shop\n   Pod Revision: default\n   Pod Ports: 8080 (app), 15090 (istio-proxy)\n--------------------\nService: web.shop\n   Port: http 8080/HTTP targets pod port 8080\n--------------------\nEffective PeerAuthentication:\n   Workload mTLS mode: STRICT\n";
    assert_eq!(recognise(text.as_bytes()).kind, TextKind::Describe);
    let said = said(text, Form::Describe);
    assert_eq!(
        said.iter()
            .map(|said| (said.line.line + 1, &said.statement))
            .collect::<Vec<_>>(),
        [(
            9,
            &Statement::Fact(Fact::Mtls {
                subject: "web-1".to_owned(),
                mode: Mtls::Strict
            })
        )]
    );
}

#[test]
fn formats_of_access_logs() {
    let formats = |text: &str, form: Form| -> Vec<(u32, String)> {
        let formats = said(text, form)
            .into_iter()
            .filter_map(|said| match said.statement {
                Statement::AccessLogFormat(format) => Some((said.line.line, format)),
                _ => None,
            });
        formats.collect()
    };
    let mesh = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: istio\ndata:\n  mesh: |-\n    accessLogFormat: |\n      a %RESPONSE_CODE%\n    \
                extensionProviders:\n    - name: one\n      envoyFileAccessLog:\n        logFormat:\n          labels:\n            rc: '%RESPONSE_CODE%'\n    \
                - name: two\n      envoyFileAccessLog:\n        logFormat:\n          text: b %DURATION%\n";
    assert_eq!(
        formats(mesh, Form::Yaml),
        [
            (5, "a %RESPONSE_CODE%\n".to_owned()),
            (5, r#"{"rc":"%RESPONSE_CODE%"}"#.to_owned()),
            (5, "b %DURATION%".to_owned()),
        ]
    );
    let dump = r#"{"configs":[{"@type":"x","dynamic_listeners":[{"name":"a","active_state":{"listener":{"access_log":[
        {"typed_config":{"log_format":{"text_format_source":{"inline_string":"say \"%REQ(:PATH)%\" %DURATION%\n"}}}},
        {"typed_config":{"log_format":{"text_format_source":{"inline_string":"say \"%REQ(:PATH)%\" %DURATION%\n"}}}},
        {"typed_config":{"log_format":{"json_format":{"rc":"%RESPONSE_CODE%"}}}},
        {"typed_config":{"log_format":"no object"}},
        {"typed_config":{"logFormat": {"textFormatSource":{"inlineString":"c %DURATION%"}}}}]}}}]}]}"#;
    assert_eq!(
        formats(dump, Form::Json),
        [
            (1, "say \"%REQ(:PATH)%\" %DURATION%\n".to_owned()),
            (3, r#"{"rc":"%RESPONSE_CODE%"}"#.to_owned()),
            (5, "c %DURATION%".to_owned()),
        ]
    );
    let cut = read(
        b"{\"kind\":\"x\",\"log_format\": {\"text_format\":\"%DURA",
        Form::Json,
        0,
    );
    assert!(cut.said.is_empty(), "{:?}", cut.said);
}
