//! Which part of the mesh a connection is: told by ports, loopback addresses, what TLS asks for and who says hello.
//!
//! Ports and names are Istio's (`istio.io` ops/deployment/application-requirements, `pilot/pkg/networking`).

use crate::aggregate::address::sni_service;
use crate::decode::packet::Address;
use crate::streams::StreamRecord;

/// A part of the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamHop {
    /// An application to its own proxy (port 15001 on loopback).
    AppToProxy,
    /// A proxy to the application beside it (from 127.0.0.6).
    ProxyToApp,
    /// A proxy to another one: mesh TLS, an east-west gateway.
    ProxyToProxy,
    /// A proxy to istiod, or the API server to its webhooks.
    ControlPlane,
    /// The tunnel of the ambient mesh (port 15008).
    Hbone,
    /// Health checks and scrapes.
    Probe,
    /// None of these, or nothing tells.
    Other,
}

impl StreamHop {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::AppToProxy,
        Self::ProxyToApp,
        Self::ProxyToProxy,
        Self::ControlPlane,
        Self::Hbone,
        Self::Probe,
        Self::Other,
    ];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::AppToProxy => "app-to-proxy",
            Self::ProxyToApp => "proxy-to-app",
            Self::ProxyToProxy => "proxy-to-proxy",
            Self::ControlPlane => "control-plane",
            Self::Hbone => "hbone",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }

    /// The hop of a connection, from what it shows itself.
    pub fn of(record: &StreamRecord) -> Self {
        by_port(record.server.port)
            .or_else(|| is_probe(record).then_some(Self::Probe))
            .or_else(|| is_passthrough_source(record.client.address).then_some(Self::ProxyToApp))
            .or_else(|| by_tls(record))
            .unwrap_or(Self::Other)
    }
}

fn by_port(port: u16) -> Option<StreamHop> {
    match port {
        15_001 | 15_053 => Some(StreamHop::AppToProxy),
        15_006 | 15_443 => Some(StreamHop::ProxyToProxy),
        15_008 => Some(StreamHop::Hbone),
        15_010 | 15_012 | 15_017 => Some(StreamHop::ControlPlane),
        15_014 | 15_020 | 15_021 | 15_090 => Some(StreamHop::Probe),
        _ => None,
    }
}

/// Source address of kubelet probes in the ambient mesh.
const AMBIENT_PROBE_SOURCE: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, 7, 127]);

fn is_probe(record: &StreamRecord) -> bool {
    let agent = record
        .application
        .http
        .as_ref()
        .and_then(|h| h.user_agent.as_deref());
    record.client.address == AMBIENT_PROBE_SOURCE
        || agent.is_some_and(|agent| agent.starts_with("kube-probe/") || agent.starts_with("Prometheus/"))
}

/// The source address of a proxy that calls the application beside it: 127.0.0.6 or `::6`.
fn is_passthrough_source(address: Address) -> bool {
    const V6: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6]);
    address == Address::v4([127, 0, 0, 6]) || address == V6
}

fn by_tls(record: &StreamRecord) -> Option<StreamHop> {
    let tls = record.application.tls.as_ref()?;
    let sni = tls.sni.as_deref().unwrap_or_default();
    let mesh_protocol = |name: &str| name == "istio" || name.starts_with("istio-");
    let mesh = tls.alpn_offered.iter().any(|name| mesh_protocol(name))
        || tls.alpn.as_deref().is_some_and(mesh_protocol)
        || sni_service(sni).is_some();
    if mesh {
        return Some(StreamHop::ProxyToProxy);
    }
    // istiod's service, also with a revision: istiod.istio-system.svc, istiod-1-24.istio-system.svc.
    let istiod = sni.starts_with("istiod.") || sni.starts_with("istiod-");
    (istiod && sni.contains(".svc")).then_some(StreamHop::ControlPlane)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{endpoint, record};
    use super::*;
    use crate::streams::{HttpFacts, TlsFacts};

    #[test]
    fn ports_addresses_and_hellos() {
        let tls = |sni: Option<&str>, alpn: &[&str]| {
            Some(Box::new(TlsFacts {
                sni: sni.map(str::to_owned),
                alpn_offered: alpn.iter().map(|&a| a.to_owned()).collect(),
                ..TlsFacts::default()
            }))
        };
        let cases = [
            ("10.0.0.1", "127.0.0.1", 15_001, None, StreamHop::AppToProxy),
            ("127.0.0.6", "10.0.0.1", 9080, None, StreamHop::ProxyToApp),
            ("::6", "2001:db8::1", 9080, None, StreamHop::ProxyToApp),
            ("10.0.0.1", "10.0.0.2", 15_008, None, StreamHop::Hbone),
            ("10.0.0.1", "10.0.0.2", 15_012, None, StreamHop::ControlPlane),
            ("10.0.0.1", "10.0.0.2", 15_090, None, StreamHop::Probe),
            ("169.254.7.127", "10.0.0.2", 8080, None, StreamHop::Probe),
            ("127.0.0.6", "10.0.0.2", 15_020, None, StreamHop::Probe),
            ("10.0.0.1", "10.0.0.2", 9080, None, StreamHop::Other),
            (
                "10.0.0.1",
                "10.0.0.2",
                9080,
                tls(None, &["istio-peer-exchange", "istio"]),
                StreamHop::ProxyToProxy,
            ),
            (
                "10.0.0.1",
                "10.0.0.2",
                9080,
                tls(
                    Some("outbound_.9080_._.ratings.default.svc.cluster.local"),
                    &["h2"],
                ),
                StreamHop::ProxyToProxy,
            ),
            (
                "10.0.0.1",
                "10.0.0.2",
                443,
                tls(Some("istiod.istio-system.svc"), &["h2"]),
                StreamHop::ControlPlane,
            ),
            (
                "10.0.0.1",
                "10.0.0.2",
                443,
                tls(Some("api.example"), &["h2"]),
                StreamHop::Other,
            ),
        ];
        for (client, server, port, tls, hop) in cases {
            let mut record = record(1);
            record.client = endpoint(client, 40_000);
            record.server = endpoint(server, port);
            record.application.tls = tls;
            assert_eq!(StreamHop::of(&record), hop, "{client} {server}:{port}");
        }
    }

    #[test]
    fn a_kubelet_says_who_it_is() {
        for (agent, hop) in [
            ("kube-probe/1.31", StreamHop::Probe),
            ("Prometheus/2.53", StreamHop::Probe),
            ("curl/8", StreamHop::Other),
        ] {
            let mut record = record(1);
            record.application.http = Some(Box::new(HttpFacts {
                user_agent: Some(agent.to_owned()),
                ..HttpFacts::default()
            }));
            assert_eq!(StreamHop::of(&record), hop, "{agent}");
        }
    }
}
