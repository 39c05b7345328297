//! Groups of connections with their parties named, as groups of rows are in [`super::Call`].

use super::{Call, Names};
use crate::aggregate::address;
use crate::aggregate::captures::{CaptureTotals, PacketNames, StreamGroup, StreamGroupKey, StreamHop};
use crate::decode::packet::Endpoint;
use std::collections::BTreeMap;

/// Connections of one caller to one server that went the same way.
#[derive(Clone, Debug)]
pub struct Connections<'t> {
    /// What they have in common.
    pub key: &'t StreamGroupKey,
    /// Their sums.
    pub group: &'t StreamGroup,
    /// Their part of the way; of a connection that never spoke, that of the others to the same server.
    pub hop: StreamHop,
    /// Calling workload, or its address where nothing names it.
    pub source: String,
    /// Called service, `host:port`, or the server's address where nothing names it.
    pub destination: String,
    /// Pod that was called, where a log of it was read.
    pub destination_pod: Option<String>,
}

/// Names the parties of all groups.
pub(super) fn of<'t>(captures: &'t CaptureTotals, calls: &[Call<'_>], names: &Names) -> Vec<Connections<'t>> {
    let services = Services::of(calls, &captures.names);
    let groups = captures.groups.iter();
    groups
        .map(|(key, group)| Connections {
            key,
            group,
            hop: hop(captures, key),
            source: source(key, names),
            destination: services.name(key.server, names),
            destination_pod: names.pod_at(&key.server.to_string()).map(str::to_owned),
        })
        .collect()
}

/// A handshake that failed does not show what it was for; other connections to the same server do.
fn hop(captures: &CaptureTotals, key: &StreamGroupKey) -> StreamHop {
    if key.hop == StreamHop::Other {
        captures.usual_hop(key.point, key.server)
    } else {
        key.hop
    }
}

/// The caller: on the way from a proxy to the application beside it, that is the server's own pod.
fn source(key: &StreamGroupKey, names: &Names) -> String {
    let address = if key.client.is_loopback() {
        key.server.address
    } else {
        key.client
    };
    names.source_name(&format!("ip:{address}"))
}

/// Which service each upstream host belongs to, by the rows that name both.
struct Services<'c> {
    packets: &'c PacketNames,
    by_host: BTreeMap<&'c str, BTreeMap<&'c str, u64>>,
    by_pod: BTreeMap<(&'c str, &'c str), BTreeMap<&'c str, u64>>,
}

impl<'c> Services<'c> {
    fn of(calls: &'c [Call<'_>], packets: &'c PacketNames) -> Self {
        let mut by_host: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        let mut by_pod: BTreeMap<(&str, &str), BTreeMap<&str, u64>> = BTreeMap::new();
        for call in calls {
            if !call.key.host.is_empty() {
                *by_host
                    .entry(&call.key.host)
                    .or_default()
                    .entry(&call.destination)
                    .or_default() += call.count();
            }
            if let (Some(pod), Some(port)) = (&call.destination_pod, address::port(&call.destination)) {
                *by_pod
                    .entry((pod, port))
                    .or_default()
                    .entry(&call.destination)
                    .or_default() += call.count();
            }
        }
        Self {
            packets,
            by_host,
            by_pod,
        }
    }

    fn name(&self, server: Endpoint, names: &Names) -> String {
        let host = server.to_string();
        let port = server.port.to_string();
        let pod = names.pod_at(&host);
        let by_pod = pod.and_then(|pod| self.by_pod.get(&(pod, port.as_str())));
        let known = self.by_host.get(host.as_str()).or(by_pod);
        match known.and_then(most) {
            Some(name) => name.to_owned(),
            None => self.by_packets(&host).unwrap_or_else(|| match pod {
                Some(pod) => format!("{}:{port}", address::workload(pod)),
                None => host,
            }),
        }
    }
}

impl Services<'_> {
    /// The service that clients ask for there, by the server name of mesh TLS or the Host header.
    fn by_packets(&self, host: &str) -> Option<String> {
        let tables = [&self.packets.mesh_services, &self.packets.hosts];
        let winner = tables
            .iter()
            .find_map(|table| table.get(&host.to_owned())?.winner());
        winner.map(str::to_owned)
    }
}

fn most<'c>(votes: &BTreeMap<&'c str, u64>) -> Option<&'c str> {
    votes
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
        .map(|(name, _)| *name)
}
