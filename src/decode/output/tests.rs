use super::*;
use crate::decode::log::{Component, ComponentLine, Level, application_line};
use proptest::prelude::*;

fn facts(text: &str) -> (TextKind, Vec<Fact>) {
    let recognised = recognise(text.as_bytes());
    let facts = text
        .lines()
        .filter_map(|line| recognised.fact(line.as_bytes()))
        .collect();
    (recognised.kind, facts)
}

fn proxies(text: &str) -> Vec<(String, Sync)> {
    let (kind, facts) = facts(text);
    assert_eq!(kind, TextKind::ProxyStatus);
    facts
        .into_iter()
        .map(|fact| match fact {
            Fact::Proxy { name, sync } => (name, sync),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn proxy_status_of_all_releases() {
    // istio/istio istioctl/pkg/writer/pilot/testdata at 1.5, 1.13, 1.20, 1.24 and master.
    let names = |rows: &[(&str, Sync)]| -> Vec<(String, Sync)> {
        rows.iter()
            .map(|(name, sync)| ((*name).to_owned(), *sync))
            .collect()
    };
    assert_eq!(
        proxies(
            "NAME                CDS       LDS       EDS       RDS          PILOT       VERSION\n\
             web-1.default      SYNCED     SYNCED     SYNCED     NOT SENT     istio-pilot-75bdf98789     1.5.0\n\
             db-1.default      SYNCED     STALE     SYNCED     SYNCED     istio-pilot-75bdf98789     1.5.0\n"
        ),
        names(&[("web-1.default", Sync::Synced), ("db-1.default", Sync::Stale)])
    );
    assert_eq!(
        proxies(
            "NAME     CLUSTER     CDS     LDS     EDS     RDS     ECDS     ISTIOD     VERSION\n\
             a.n     Kubernetes     SYNCED (12m)     STALE (Never Acknowledged)     SYNCED     SYNCED     IGNORED     istiod-1     1.20.0\n\
             b.n     Kubernetes     ERROR     SYNCED     SYNCED     SYNCED     NOT SENT     istiod-1     1.24.0\n"
        ),
        names(&[("a.n", Sync::Refused), ("b.n", Sync::Refused)])
    );
    assert_eq!(
        proxies(
            "NAME     CLUSTER     ISTIOD     VERSION     SUBSCRIBED TYPES\n\
             a.n     Kubernetes     istiod-1     1.28.0     5 (CDS,LDS,EDS,RDS,ECDS)\n"
        ),
        names(&[("a.n", Sync::Untold)])
    );
}

#[test]
fn analyzer_messages() {
    let (kind, found) = facts(
        "\u{1b}[1;31mError\u{1b}[0m [IST0101] (VirtualService default/ratings) Referenced host not found: \"r\"\n\
         Info [IST0102] (Namespace default) The namespace is not enabled for Istio injection.\n\
         Warning [IST0103] [cluster-east] (Pod shop/web /tmp/x.yaml:3) The pod is missing the Istio proxy.\n\
         Error: Analyzers found issues when analyzing namespace: default.\n",
    );
    assert_eq!(kind, TextKind::Analyze);
    let of = |code: &str, subject: &str, severe| Fact::Message {
        code: code.to_owned(),
        subject: subject.to_owned(),
        severe,
    };
    assert_eq!(
        found,
        [
            of("IST0101", "VirtualService default/ratings", true),
            of("IST0102", "Namespace default", false),
            of("IST0103", "Pod shop/web /tmp/x.yaml:3", true),
        ]
    );
    assert_eq!(
        facts("✔ No validation issues found when analyzing namespace: default.\n"),
        (TextKind::Analyze, vec![])
    );
}

#[test]
fn clusters_and_endpoints() {
    let (kind, found) = facts(
        "outbound|9080||ratings.default.svc.cluster.local::observability_name::outbound|9080||ratings\n\
         outbound|9080||ratings.default.svc.cluster.local::10.0.0.1:9080::health_flags::/failed_outlier_check/failed_eds_health\n\
         outbound|9080||ratings.default.svc.cluster.local;::[::1]:9080::health_flags::healthy\n\
         outbound|9080||ratings.default.svc.cluster.local::10.0.0.1:9080::cx_active::3\n",
    );
    assert_eq!(kind, TextKind::EnvoyClusters);
    let cluster = "outbound|9080||ratings.default.svc.cluster.local".to_owned();
    let host = |state| Fact::Host {
        cluster: cluster.clone(),
        state,
    };
    let configured = Fact::Cluster {
        cluster: cluster.clone(),
    };
    assert_eq!(
        found,
        [
            configured.clone(),
            host(HostState::Ejected),
            host(HostState::Healthy),
            configured
        ]
    );
    let (kind, found) = facts(
        "ENDPOINT             STATUS        OUTLIER CHECK     CLUSTER\n\
         10.0.0.1:9080        HEALTHY       FAILED            outbound|9080||ratings.default.svc.cluster.local\n\
         10.0.0.2:9080        UNHEALTHY     OK                outbound|9080||ratings.default.svc.cluster.local\n",
    );
    assert_eq!(kind, TextKind::Endpoints);
    assert_eq!(found, [host(HostState::Ejected), host(HostState::Unhealthy)]);
}

#[test]
fn certificates() {
    let not_after = Timestamp::from_civil(2026, 11, 2, 3, 12, 44, 0).unwrap();
    let (kind, found) = facts(
        "RESOURCE NAME     TYPE           STATUS     VALID CERT     SERIAL NUMBER     NOT AFTER                NOT BEFORE\n\
         default           Cert Chain     ACTIVE     false          1f0c              2026-11-02T03:12:44Z     2026-11-01T03:10:44Z\n",
    );
    assert_eq!(kind, TextKind::Secrets);
    assert_eq!(
        found,
        [Fact::Certificate {
            name: "default".to_owned(),
            not_after,
            valid: false
        }]
    );
    let (kind, found) = facts(
        "{\n \"certificates\": [\n  {\n   \"ca_cert\": [\n    {\n     \"valid_from\": \"2020-01-01T00:00:00Z\",\n     \
         \"expiration_time\": \"2026-11-02T03:12:44Z\"\n    }\n   ]\n  }\n ]\n}\n",
    );
    assert_eq!(kind, TextKind::Certs);
    assert!(matches!(found.as_slice(), [Fact::Certificate { not_after: at, .. }] if *at == not_after));
}

#[test]
fn pods_and_events() {
    let (kind, found) = facts(
        "NAMESPACE   NAME          READY   STATUS             RESTARTS     AGE   IP\n\
         shop        web-1         2/2     Running            0            3d    10.0.0.1\n\
         shop        web-2         1/2     Running            0            3d    10.0.0.2\n\
         shop        web-3         0/2     CrashLoopBackOff   7 (2m ago)   3d    10.0.0.3\n\
         shop        web-4         2/2     Running            5 (1h ago)   3d    10.0.0.4\n\
         shop        job-1         0/1     Completed          0            3d    10.0.0.5\n",
    );
    assert_eq!(kind, TextKind::Pods);
    let troubles: Vec<String> = found
        .into_iter()
        .map(|fact| match fact {
            Fact::Pod { name, trouble } => format!("{name} {trouble}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        troubles,
        [
            "web-1 ",
            "web-2 1/2 ready",
            "web-3 CrashLoopBackOff",
            "web-4 5 restarts",
            "job-1 "
        ]
    );
    let (kind, found) = facts(
        "LAST SEEN   TYPE      REASON      OBJECT      MESSAGE\n\
         5m          Normal    Pulled      pod/web-1   Container image already present\n\
         5m          Warning   BackOff     pod/web-3   Back-off restarting failed container\n",
    );
    assert_eq!(kind, TextKind::Events);
    assert_eq!(
        found,
        [Fact::Event {
            object: "pod/web-3".to_owned(),
            reason: "BackOff".to_owned()
        }]
    );
}

#[test]
fn whose_log_it_is() {
    let t = "2026-11-02T03:12:44.120431Z";
    for (text, kind) in [
        (format!("{t}\tinfo\tads\tPush debounce stable[3] 1 for config x\n"), TextKind::IstiodLog),
        (format!("{{\"level\":\"info\",\"time\":\"{t}\",\"scope\":\"delta\",\"msg\":\"CDS: PUSH\"}}\n"), TextKind::IstiodLog),
        (format!("{t}\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:1\n"), TextKind::ZtunnelLog),
        (format!("{t}\twarn\tproxy::outbound\tfailed\tx=y\n"), TextKind::ZtunnelLog),
        (format!("{t}\tinfo\tcni-agent\tstarted\tx=y\n"), TextKind::CniLog),
        (format!("{t}\tinfo\txdsproxy\tconnected to upstream XDS server: istiod\tid=1\n"), TextKind::Log),
        (format!("{t}\twarning\tenvoy config\tgRPC config stream closed\tthread=1\n"), TextKind::Log),
        (format!("[{t}] \"GET / HTTP/1.1\" 200 - via_upstream\n"), TextKind::Log),
        (format!("{{\"start_time\":\"{t}\",\"upstream_host\":\"[::1]:80\",\"a\":\"::x::y\"}}\n").repeat(3), TextKind::Log),
        ("an application says: hello\n".repeat(9), TextKind::Log),
        ("NAME AND ADDRESS\n".to_owned(), TextKind::Log),
        ("apiVersion: v1\nitems:\n- kind: Pod\n".to_owned(), TextKind::Objects),
        ("NAME   CPU(cores)   MEMORY(bytes)\nweb   1m   2Mi\n".to_owned(), TextKind::Top),
        ("# TYPE pilot_xds gauge\npilot_xds 5\n# TYPE b counter\n".to_owned(), TextKind::Stats),
        ("cluster.xds-grpc.upstream_cx_total: 5\nserver.live: 1\n".to_owned(), TextKind::Stats),
        (
            "{\n \"configs\": [\n  {\n   \"@type\": \"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump\",\n".to_owned(),
            TextKind::ConfigDump,
        ),
    ] {
        assert_eq!(recognise(text.as_bytes()).kind, kind, "{text}");
        if kind.is_log() {
            for wrapped in wrapped(&text) {
                assert_eq!(recognise(wrapped.as_bytes()).kind, kind, "{wrapped}");
            }
        }
    }
}

/// Lines as container runtimes and kubectl write them.
fn wrapped(text: &str) -> [String; 5] {
    let t = "2026-11-02T03:12:44.120431000Z";
    let all = |wrap: &dyn Fn(&str) -> String| text.lines().map(wrap).collect();
    let docker = |line: &str| {
        let record = serde_json::json!({"log": format!("{line}\n"), "stream": "stdout", "time": t});
        format!("{record}\n")
    };
    [
        all(&|line| format!("{t} stdout F {line}\n")),
        all(&docker),
        all(&|line| format!("[pod/istiod-7d4f/discovery] {line}\n")),
        all(&|line| format!("{t} {line}\n")),
        all(&|line| format!("[pod/istiod-7d4f/discovery] {t} {line}\n")),
    ]
}

proptest! {
    #[test]
    fn any_bytes(head in prop::collection::vec(any::<u8>(), 0..400), lines in prop::collection::vec("\\PC{0,80}", 0..8), kind in 0..6_usize) {
        let headers = [
            "NAME  CDS  LDS  VERSION",
            "ENDPOINT  STATUS  OUTLIER CHECK  CLUSTER",
            "RESOURCE NAME  VALID CERT  NOT AFTER",
            "NAME  READY  STATUS  RESTARTS  AGE",
            "LAST SEEN  TYPE  REASON  OBJECT",
            "x::y::z\nx::y::z",
        ];
        let _ = recognise(&head);
        let text = recognise(headers[kind].as_bytes());
        prop_assert_ne!(text.kind, TextKind::Log);
        for line in lines.iter().map(String::as_bytes).chain([head.as_slice()]) {
            let _ = text.fact(line);
            for kind in [TextKind::IstiodLog, TextKind::ZtunnelLog] {
                let _ = subject(kind, line);
            }
        }
    }

    #[test]
    fn any_connection(parts in prop::collection::vec(
        prop::sample::select(vec![
            "connection complete", "\t", " ", "src.addr=", "dst.service=\"", "\"", "\\", "direction=\"inbound\"", "{\"", "\":\"",
            "\"direction\":\"outbound\"", "duration=\"", "ms", "99999999999999999999", "node:", "ACK ERROR ", "ADS: \"", "~", ".", "a-1",
        ]), 0..24)) {
        let line = parts.concat();
        let message = ComponentLine {
            component: Component::PilotAgent,
            time: None,
            level: Level::Info,
            scope: b"access",
            message: line.as_bytes(),
        };
        let whole = format!("connection complete\t{line}");
        let _ = connection(&message, line.as_bytes());
        let _ = connection(&ComponentLine { message: whole.as_bytes(), ..message }, whole.as_bytes());
        let _ = connection(&ComponentLine { message: b"connection complete", ..message }, line.as_bytes());
        for kind in [TextKind::IstiodLog, TextKind::ZtunnelLog] {
            let _ = subject(kind, line.as_bytes());
        }
        let _ = application_line(line.as_bytes());
    }

    #[test]
    fn any_cells(cells in prop::collection::vec("[A-Za-z0-9/.:|() -]{0,24}", 0..10), kind in 0..4_usize) {
        let headers = [
            "NAME  CLUSTER  CDS  LDS  EDS  RDS  ECDS  ISTIOD  VERSION",
            "ENDPOINT  STATUS  OUTLIER CHECK  CLUSTER",
            "RESOURCE NAME  TYPE  STATUS  VALID CERT  SERIAL NUMBER  NOT AFTER  NOT BEFORE",
            "NAMESPACE  NAME  READY  STATUS  RESTARTS  AGE",
        ];
        let _ = recognise(headers[kind].as_bytes()).fact(cells.join("  ").as_bytes());
    }
}

#[test]
fn documents_are_told_from_logs_that_begin_with_a_brace() {
    let documents = [
        (
            "{\n  \"configs\": [\n  {\"@type\": \"x.ClustersConfigDump\"}",
            TextKind::ConfigDump,
            Some(Form::Json),
        ),
        (
            "{\"configs\":[{\"@type\":\"x.BootstrapConfigDump\"",
            TextKind::ConfigDump,
            Some(Form::Json),
        ),
        (
            "{\n    \"apiVersion\": \"v1\",\n    \"items\": [",
            TextKind::Objects,
            Some(Form::Json),
        ),
        (
            "{\"apiVersion\":\"v1\",\"items\":[]}",
            TextKind::Objects,
            Some(Form::Json),
        ),
        (
            "[\n    {\n        \"virtualHosts\": [",
            TextKind::Objects,
            Some(Form::Json),
        ),
        (
            "[\n\t{\n\t\t\"code\": \"IST0101\",",
            TextKind::Analyze,
            Some(Form::Json),
        ),
        (
            "# saved\n---\napiVersion: v1\nkind: Pod\n",
            TextKind::Objects,
            Some(Form::Yaml),
        ),
        (
            "- circuitBreakers:\n    thresholds:\n  connectTimeout: 10s\n",
            TextKind::Objects,
            Some(Form::Yaml),
        ),
        (
            "{\n \"certificates\": [\n  {\n   \"ca_cert\": [\n",
            TextKind::Certs,
            None,
        ),
    ];
    for (head, kind, form) in documents {
        let text = recognise(head.as_bytes());
        assert_eq!((text.kind, text.form), (kind, form), "{head}");
    }
    let logs = [
        "{\"start_time\":\"2026-11-22T16:44:20.796Z\",\"metadata\":1}\n{\"start_time\":\"2026\"}\n",
        "[\n[2026-11-22T16:44:20.796Z] \"GET / HTTP/1.1\" 200 -\n",
        "{\n{\"start_time\":\"2026-11-22T16:44:20.796Z\"}\n",
        "kind: of a warning\n",
        "- a remark\n  and more: of it\n",
    ];
    for head in logs {
        let text = recognise(head.as_bytes());
        assert_eq!((text.kind, text.form), (TextKind::Log, None), "{head}");
    }
}

#[test]
fn figures_of_top_and_statistics() {
    let of = |text: &str| -> (TextKind, Vec<(String, Figure, u64)>) {
        let (kind, facts) = facts(text);
        let figures = facts.into_iter().map(|fact| match fact {
            Fact::Figure {
                subject,
                figure,
                value,
            } => (subject, figure, value),
            other => panic!("{other:?}"),
        });
        (kind, figures.collect())
    };
    let figure = |subject: &str, figure: Figure, value: u64| (subject.to_owned(), figure, value);
    // kubectl top pods --containers, with a namespace, and without containers.
    let mib = 1 << 20;
    assert_eq!(
        of(
            "POD      NAME          CPU(cores)   MEMORY(bytes)   \nweb-1    istio-proxy   8m           61Mi            \n"
        ),
        (
            TextKind::Top,
            vec![figure("web-1/istio-proxy", Figure::MemoryBytes, 61 * mib)]
        )
    );
    assert_eq!(
        of(
            "NAMESPACE      POD        NAME        CPU(cores)   MEMORY(bytes)   \nistio-system   istiod-1   discovery   912m         5Gi             \n"
        ),
        (
            TextKind::Top,
            vec![figure("istiod-1/discovery", Figure::MemoryBytes, 5120 * mib)]
        )
    );
    assert_eq!(
        of("NAME    CPU(cores)   MEMORY(bytes)   \nweb-1   20m          202Mi           \n"),
        (
            TextKind::Top,
            vec![figure("web-1/", Figure::MemoryBytes, 202 * mib)]
        )
    );
    // Nodes are no pods.
    let nodes = "NAME     CPU(cores)   CPU%   MEMORY(bytes)   MEMORY%   \nnode-1   912m         22%    9812Mi          61%       \n";
    assert_eq!(of(nodes), (TextKind::Other, vec![]));
    // Envoy's own form, Prometheus', and sysctl's.
    assert_eq!(
        of(
            "cluster.a.upstream_cx_total: 3\nserver.memory_allocated: 52428800\nserver.memory_allocated_more: 1\n"
        ),
        (TextKind::Stats, vec![figure("", Figure::MemoryBytes, 52_428_800)])
    );
    assert_eq!(
        of(
            "# TYPE pilot_services gauge\npilot_services 1460\npilot_xds{version=\"1.24.1\"} 812\nprocess_max_fds 1.048576e+06\npilot_xds_pushes{type=\"cds\"} 9\nprocess_open_fds NaN\n"
        ),
        (
            TextKind::Stats,
            vec![
                figure("", Figure::Services, 1460),
                figure("", Figure::Proxies, 812),
                figure("", Figure::MaxFiles, 1_048_576),
            ]
        )
    );
    assert_eq!(
        of("net.netfilter.nf_conntrack_count = 262100\nnet.netfilter.nf_conntrack_max = 262144\n"),
        (
            TextKind::Stats,
            vec![
                figure("", Figure::Tracked, 262_100),
                figure("", Figure::MaxTracked, 262_144),
            ]
        )
    );
    // envoyproxy/envoy api/envoy/admin/v3/memory.proto.
    assert_eq!(
        of(
            "{\n \"allocated\": \"8230144\",\n \"heap_size\": \"12582912\",\n \"pageheap_unmapped\": \"0\"\n}\n"
        ),
        (TextKind::Memory, vec![figure("", Figure::MemoryBytes, 8_230_144)])
    );
}

#[test]
fn quantities_of_memory() {
    for (text, bytes) in [
        ("128974848", Some(128_974_848)),
        ("123Mi", Some(123 << 20)),
        ("1G", Some(1_000_000_000)),
        ("2Ki", Some(2048)),
        ("Mi", None),
        ("-1Mi", None),
        ("99999999999999999999Gi", None),
        ("1.5Gi", None),
    ] {
        assert_eq!(quantity(text.as_bytes()), bytes, "{text}");
    }
}

#[test]
fn what_hosts_take_by_tls_check() {
    let (kind, facts) = facts(
        "HOST:PORT                                     STATUS       SERVER     CLIENT     AUTHN POLICY     DESTINATION RULE\n\
         ratings.default.svc.cluster.local:9080        CONFLICT     mTLS       HTTP       default/         ratings/default\n\
         reviews.default.svc.cluster.local:9080        OK           mTLS       mTLS       default/         default/istio-system\n",
    );
    assert_eq!(kind, TextKind::TlsCheck);
    let of = |subject: &str, mode| Fact::Mtls {
        subject: subject.to_owned(),
        mode,
    };
    assert_eq!(
        facts,
        [
            of("ratings.default.svc.cluster.local:9080", Mtls::Conflict),
            of("reviews.default.svc.cluster.local:9080", Mtls::Strict)
        ]
    );
}
