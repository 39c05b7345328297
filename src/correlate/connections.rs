//! Groups of connections with their parties named, as groups of rows are in [`super::Call`].

use super::{Call, Names};
use crate::aggregate::address;
use crate::aggregate::captures::{CaptureTotals, ServerTotals, StreamGroup, StreamGroupKey, StreamHop};
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

/// A server with its sums, named.
#[derive(Clone, Debug)]
pub struct Server<'t> {
    /// Its sums at one capture point.
    pub totals: &'t ServerTotals,
    /// The part of the way of most connections to it.
    pub hop: StreamHop,
    /// Called service, `host:port`, or its address where nothing names it.
    pub destination: String,
    /// Its pod, where a log of it was read.
    pub pod: Option<String>,
}

/// Names all servers.
pub(super) fn servers<'t>(captures: &'t CaptureTotals, calls: &[Call<'_>], names: &Names) -> Vec<Server<'t>> {
    let services = services(calls);
    let servers = captures.servers.iter();
    servers
        .map(|(key, totals)| Server {
            totals,
            hop: totals.usual_hop(),
            destination: destination(key.server, &services, names),
            pod: names.pod_at(&key.server.to_string()).map(str::to_owned),
        })
        .collect()
}

/// Names the parties of all groups.
pub(super) fn of<'t>(captures: &'t CaptureTotals, calls: &[Call<'_>], names: &Names) -> Vec<Connections<'t>> {
    let services = services(calls);
    let groups = captures.groups.iter();
    groups
        .map(|(key, group)| Connections {
            key,
            group,
            hop: hop(captures, key),
            source: source(key, names),
            destination: destination(key.server, &services, names),
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
    if !key.client.is_loopback() {
        let named = names.host(key.client).map(str::to_owned);
        return named.unwrap_or_else(|| key.client.to_string());
    }
    let address = key.server.address;
    names.host(address).map_or_else(
        || match names.server(key.server) {
            Some(service) => format!("the sidecar of {}", address::short_service(&service)),
            None => address.to_string(),
        },
        str::to_owned,
    )
}

/// The services that each pod is called as, by port.
type Services<'c> = BTreeMap<(&'c str, &'c str), BTreeMap<&'c str, u64>>;

fn services<'c>(calls: &'c [Call<'_>]) -> Services<'c> {
    let mut services: Services<'_> = BTreeMap::new();
    for call in calls {
        if let (Some(pod), Some(port)) = (&call.destination_pod, address::port(&call.destination)) {
            let votes = services.entry((pod, port)).or_default();
            *votes.entry(&call.destination).or_default() += call.count();
        }
    }
    services
}

/// The called service: as rows name it, else as packets do, else the server's address.
fn destination(server: Endpoint, services: &Services<'_>, names: &Names) -> String {
    let host = server.to_string();
    let port = server.port.to_string();
    let of_pod = names
        .pod_at(&host)
        .and_then(|pod| services.get(&(pod, port.as_str())));
    let in_rows = of_pod.and_then(|votes| votes.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))));
    match in_rows {
        Some((name, _)) => (*name).to_owned(),
        None => names.server(server).unwrap_or(host),
    }
}
