//! Connections by the hash of their client's end, and what each capture point can show.

use crate::aggregate::Totals;
use crate::aggregate::captures::{FollowedConnection, FollowedConnections};
use crate::aggregate::followed::endpoint_hash;
use crate::correlate::Names;
use crate::decode::packet::Address;
use crate::streams::CapturePoint;
use std::collections::BTreeMap;

/// Where Istio's proxies take redirected connections of applications and of other pods
/// (`istio.io` ops/deployment/application-requirements).
const LISTENERS: [u16; 2] = [15_001, 15_006];

/// What a capture point can show, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    /// The pod in which it was taken.
    pub pod: Option<String>,
    /// It shows traffic within a pod: an application and its proxy.
    pub inside: bool,
    /// It shows traffic between pods.
    pub between: bool,
    /// First and last packet of a connection.
    pub span_ns: Option<(i64, i64)>,
}

/// Finds connections.
pub(super) struct Index<'t> {
    by_client: BTreeMap<u64, Vec<usize>>,
    by_server: BTreeMap<u64, Vec<usize>>,
    hashes: Vec<(u64, u64)>,
    /// See [`super::Joined::halves`].
    pub halves: Vec<Option<usize>>,
    pub points: BTreeMap<CapturePoint, Point>,
    followed: &'t FollowedConnections,
    names: &'t Names,
}

impl<'t> Index<'t> {
    pub(super) fn of(connections: &[&FollowedConnection], totals: &'t Totals, names: &'t Names) -> Self {
        let mut index = Self {
            by_client: BTreeMap::new(),
            by_server: BTreeMap::new(),
            hashes: Vec::with_capacity(connections.len()),
            halves: vec![None; connections.len()],
            points: BTreeMap::new(),
            followed: &totals.captures.followed,
            names,
        };
        for (number, connection) in connections.iter().enumerate() {
            let hashes = (endpoint_hash(connection.client), endpoint_hash(connection.server));
            index.hashes.push(hashes);
            index.by_client.entry(hashes.0).or_default().push(number);
            index.by_server.entry(hashes.1).or_default().push(number);
        }
        index.find_halves(connections);
        for (number, connection) in connections.iter().enumerate() {
            let inside = is_inside(connection) || index.halves.get(number).is_some_and(Option::is_some);
            index.note_point(connection, inside, totals);
        }
        index.name_points(connections, names);
        index
    }

    fn note_point(&mut self, connection: &FollowedConnection, inside: bool, totals: &Totals) {
        let point = self.points.entry(connection.point).or_default();
        if point.pod.is_none() {
            point.pod = totals.captures.pods.get(&connection.point).cloned();
        }
        if inside {
            point.inside = true;
        } else {
            point.between = true;
        }
        if let Some((start, end)) = super::span_ns(connection) {
            let (from, to) = point.span_ns.get_or_insert((start, end));
            *from = start.min(*from);
            *to = end.max(*to);
        }
    }

    /// The pod of a point whose path does not say it: the one pod that has a part in all of its connections.
    fn name_points(&mut self, connections: &[&FollowedConnection], names: &Names) {
        let mut parts: BTreeMap<CapturePoint, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
        for connection in connections {
            if self
                .points
                .get(&connection.point)
                .is_some_and(|point| point.pod.is_some())
            {
                continue;
            }
            let (all, pods) = parts.entry(connection.point).or_default();
            *all += 1;
            let ends = [connection.client.address, connection.server.address];
            let mut of = ends.map(|address| names.pod_of(address));
            if of[0] == of[1] {
                of[1] = None;
            }
            for pod in of.into_iter().flatten() {
                *pods.entry(pod).or_default() += 1;
            }
        }
        for (point, (all, pods)) in parts {
            let mut own = pods.iter().filter(|(_, count)| **count * 10 >= all * 9);
            if let (Some((pod, _)), None) = (own.next(), own.next())
                && let Some(point) = self.points.get_mut(&point)
            {
                point.pod = Some((*pod).to_owned());
            }
        }
    }

    /// Directions that are records of their own: same point, same client, same initial sequence numbers.
    fn find_halves(&mut self, connections: &[&FollowedConnection]) {
        for list in self.by_client.values() {
            for (place, &one) in list.iter().enumerate() {
                for &other in list.get(place + 1..).unwrap_or_default().iter().take(MAX_HALVES) {
                    let (Some(a), Some(b)) = (connections.get(one), connections.get(other)) else {
                        continue;
                    };
                    let (Some(half_a), Some(half_b)) = (self.halves.get(one), self.halves.get(other)) else {
                        continue;
                    };
                    if half_a.is_none() && half_b.is_none() && are_halves(a, b) {
                        if let Some(half) = self.halves.get_mut(one) {
                            *half = Some(other);
                        }
                        if let Some(half) = self.halves.get_mut(other) {
                            *half = Some(one);
                        }
                    }
                }
            }
        }
    }

    /// True if this is the hash of the connection's server's end.
    pub(super) fn is_server(&self, number: usize, server: u64) -> bool {
        self.hashes.get(number).is_some_and(|(_, of)| *of == server)
    }

    /// The pod at an address, if a log of it was read.
    pub(super) fn pod_at(&self, address: Address) -> Option<&str> {
        self.names.pod_of(address)
    }

    /// Connections between these two ends, in order of first packet.
    pub(super) fn between(&self, client: u64, server: u64) -> impl Iterator<Item = usize> {
        self.of_client(client)
            .filter(move |number| self.is_server(*number, server))
    }

    /// Connections of this client's end.
    pub(super) fn of_client(&self, client: u64) -> impl Iterator<Item = usize> {
        self.by_client.get(&client).into_iter().flatten().copied()
    }

    /// Connections to this server's end.
    pub(super) fn of_server(&self, server: u64) -> impl Iterator<Item = usize> {
        self.by_server.get(&server).into_iter().flatten().copied()
    }

    /// True if any connection of this client's end would have been kept.
    pub(super) fn keeps(&self, client: u64) -> bool {
        self.followed.keeps_all_of(client)
    }
}

/// Further connections of one client's end among which the other half of one is looked for: ports are used again.
const MAX_HALVES: usize = 16;

fn are_halves(a: &FollowedConnection, b: &FollowedConnection) -> bool {
    let agree = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
    let [a_client, a_server] = a.initial_sequence;
    let [b_client, b_server] = b.initial_sequence;
    let known = (a_client.is_some() && a_client == b_client) || (a_server.is_some() && a_server == b_server);
    a.point == b.point
        && a.one_sided
        && b.one_sided
        && a.server != b.server
        && known
        && agree(a_client, b_client)
        && agree(a_server, b_server)
}

/// True for connections within a pod: an end on loopback, or a listener that only redirection reaches.
pub(super) fn is_inside(connection: &FollowedConnection) -> bool {
    connection.client.address.is_loopback()
        || connection.server.address.is_loopback()
        || is_listener(connection)
        || connection.one_sided && connection.client.address == connection.server.address
}

/// True for connections to a listener to which others were redirected.
pub(super) fn is_listener(connection: &FollowedConnection) -> bool {
    LISTENERS.contains(&connection.server.port)
}
