//! Tables whose columns stand one blank apart, so that only their header tells where a cell begins: `istioctl ztunnel-config`,
//! `istioctl proxy-config listener`. Several may follow each other in one text.
//!
//! Sources: istio/istio `istioctl/pkg/writer/ztunnel/configdump/{workload,services,connections}.go`,
//! `istioctl/pkg/writer/envoy/configdump/listener.go`, which set their columns one blank apart.

use super::facts::{Inbound, LIST_MAX, Object, Spec, Spot, Statement};
use super::tree::Starts;
use super::words::name;
use super::{Said, number_of};
use crate::decode::output::Fact;
use std::collections::BTreeMap;

/// Lines of the head in which a header is looked for.
const HEAD_LINES: usize = 6;

/// The port at which Istio's sidecars take inbound traffic.
const INBOUND_PORT: u64 = 15006;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Workloads,
    Services,
    Policies,
    Connections,
    Listeners,
}

/// Headers by what only they have, and the names of their columns in the order in which they stand. A column that a header
/// lacks is left out: earlier versions have fewer.
const HEADERS: [(Kind, &[&str], &[&str]); 6] = [
    (
        Kind::Workloads,
        &["WAYPOINT", "PROTOCOL", "NODE"],
        &[
            "NAMESPACE",
            "POD NAME",
            "NETWORK",
            "ADDRESS",
            "NODE",
            "WAYPOINT",
            "PROTOCOL",
        ],
    ),
    (
        Kind::Services,
        &["SERVICE NAME", "SERVICE VIP", "WAYPOINT"],
        &[
            "NAMESPACE",
            "SERVICE NAME",
            "SERVICE VIP",
            "WAYPOINT",
            "ENDPOINTS",
        ],
    ),
    (
        Kind::Policies,
        &["POLICY NAME", "ACTION", "SCOPE"],
        &["NAMESPACE", "POLICY NAME", "ACTION", "SCOPE"],
    ),
    (
        Kind::Connections,
        &["REMOTE TARGET", "DIRECTION"],
        &[
            "WORKLOAD",
            "DIRECTION",
            "LOCAL",
            "REMOTE",
            "REMOTE TARGET",
            "PROTOCOL",
        ],
    ),
    (
        Kind::Listeners,
        &["ADDRESSES", "PORT", "MATCH", "DESTINATION"],
        &["ADDRESSES", "PORT", "MATCH", "DESTINATION"],
    ),
    (
        Kind::Listeners,
        &["ADDRESS", "PORT", "MATCH", "DESTINATION"],
        &["ADDRESS", "PORT", "MATCH", "DESTINATION"],
    ),
];

/// A header: its kind, and where its columns begin.
struct Header {
    kind: Kind,
    columns: Vec<(&'static str, usize)>,
}

impl Header {
    fn of(line: &str) -> Option<Self> {
        let is_word = |name: &str| {
            line.match_indices(name).any(|(at, _)| {
                let before = at.checked_sub(1).and_then(|at| line.as_bytes().get(at));
                let after = line.as_bytes().get(at.saturating_add(name.len()));
                before.is_none_or(|byte| *byte == b' ') && after.is_none_or(|byte| *byte == b' ')
            })
        };
        if line.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let (kind, _, names) = HEADERS
            .iter()
            .find(|(_, own, _)| own.iter().all(|name| is_word(name)))?;
        let (mut columns, mut from) = (Vec::new(), 0_usize);
        for column in *names {
            // The column of names was called NAME alone in earlier versions.
            let short = column.strip_prefix("POD ").unwrap_or(column);
            let rest = line.get(from..)?;
            let found = [*column, short].into_iter().find_map(|name| {
                let at = rest.find(name)?;
                Some((from.saturating_add(at), name.len()))
            });
            if let Some((at, length)) = found {
                columns.push((*column, at));
                from = at.saturating_add(length);
            }
        }
        Some(Self { kind: *kind, columns })
    }

    fn cell<'l>(&self, line: &'l str, column: &str) -> Option<&'l str> {
        let number = self.columns.iter().position(|(name, _)| *name == column)?;
        let (_, from) = self.columns.get(number)?;
        let to = self
            .columns
            .get(number.saturating_add(1))
            .map_or(line.len(), |(_, to)| *to);
        let cell = line.get(*from..to.min(line.len()))?.trim();
        (!cell.is_empty()).then_some(cell)
    }
}

/// True if a text begins with such a table.
pub(crate) fn is_aligned(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    text.lines()
        .take(HEAD_LINES)
        .any(|line| Header::of(line).is_some())
}

/// Adds what the rows say.
pub(super) fn read(data: &[u8], starts: &Starts, limit: usize, out: &mut Vec<Said>) {
    let text = String::from_utf8_lossy(data);
    let mut header: Option<Header> = None;
    let mut inbound: Option<(Spot, Inbound)> = None;
    for (number, line) in text.lines().enumerate() {
        if out.len() >= limit {
            break;
        }
        if let Some(found) = Header::of(line) {
            header = Some(found);
            continue;
        }
        // A table ends with an empty line.
        if line.trim().is_empty() {
            header = None;
        }
        let Some(header) = &header else { continue };
        let spot = starts.spot(number_of(number));
        let cell = |column: &str| header.cell(line, column);
        let statement = match header.kind {
            Kind::Workloads => workload(cell),
            Kind::Services => {
                if let (Some(service), Some(waypoint)) = (cell("SERVICE NAME"), cell("WAYPOINT")) {
                    out.push(Said {
                        line: spot,
                        statement: Statement::Fact(waypoint_of(service, waypoint)),
                    });
                }
                service(cell)
            }
            Kind::Listeners => {
                listener(cell, spot, &mut inbound);
                None
            }
            Kind::Policies | Kind::Connections => None,
        };
        out.extend(statement.map(|statement| Said {
            line: spot,
            statement,
        }));
    }
    out.extend(inbound.map(|(line, inbound)| Said {
        line,
        statement: Statement::Inbound(inbound),
    }));
}

/// A service and its waypoint, as tables and dumps of ztunnel have it.
pub(super) fn waypoint_of(service: &str, waypoint: &str) -> Fact {
    Fact::Waypoint {
        service: name(service),
        waypoint: name(if waypoint == "None" { "" } else { waypoint }),
    }
}

fn workload<'t>(cell: impl Fn(&str) -> Option<&'t str>) -> Option<Statement> {
    let (pod, protocol) = (cell("POD NAME")?, cell("PROTOCOL")?);
    Some(Statement::Fact(Fact::Tunnel {
        pod: name(pod),
        hbone: protocol == "HBONE",
    }))
}

/// `bookinfo  reviews  10.96.74.131  None  3/3`.
fn service<'t>(cell: impl Fn(&str) -> Option<&'t str>) -> Option<Statement> {
    let (ready, all) = cell("ENDPOINTS")?.split_once('/')?;
    let (ready, all): (u64, u64) = (ready.parse().ok()?, all.parse().ok()?);
    endpoints(cell("NAMESPACE")?, cell("SERVICE NAME")?, ready, all)
}

/// Endpoints of a service as ztunnel knows them.
pub(super) fn endpoints(namespace: &str, service: &str, ready: u64, all: u64) -> Option<Statement> {
    Some(Statement::Object(Object {
        kind: "Endpoints".to_owned(),
        namespace: name(namespace),
        name: name(service),
        labels: BTreeMap::new(),
        spec: Spec::Endpoints {
            service: name(service),
            ready,
            unready: all.checked_sub(ready)?,
        },
    }))
}

/// `0.0.0.0  15006  Trans: tls; App: istio,istio-h2; Addr: *:9080  Cluster: inbound|9080||`.
fn listener<'t>(cell: impl Fn(&str) -> Option<&'t str>, spot: Spot, inbound: &mut Option<(Spot, Inbound)>) {
    let (Some(port), Some(conditions)) = (cell("PORT"), cell("MATCH")) else {
        return;
    };
    if port.parse() != Ok(INBOUND_PORT) {
        return;
    }
    let condition = |name: &str| conditions.split("; ").find_map(|part| part.strip_prefix(name));
    let port = condition("Addr: ")
        .and_then(|address| address.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u64>().ok())
        .unwrap_or(0);
    // The chain that closes loops to the port of the listener itself.
    if port == INBOUND_PORT {
        return;
    }
    let tls = condition("Trans: ") == Some("tls");
    let (_, taken) = inbound.get_or_insert_with(|| (spot, Inbound::default()));
    if taken.ports.len() < LIST_MAX || taken.ports.contains_key(&port) {
        let taken = taken.ports.entry(port).or_default();
        taken.0 |= tls;
        taken.1 |= !tls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::document::{Form, read};

    fn said(text: &str) -> Vec<Statement> {
        let found = read(text.as_bytes(), Form::Aligned, 0);
        assert_eq!(found.damage, []);
        found.said.into_iter().map(|said| said.statement).collect()
    }

    #[test]
    fn what_ztunnel_knows() {
        let text = "\
NAMESPACE POD NAME                    ADDRESS     NODE   WAYPOINT PROTOCOL
shop      cart-waypoint-5cdd6745d5-rc 10.244.2.59 node-2 None     TCP
shop      cart-v1-698d88b-dqrbr       10.244.2.51 node-2 waypoint HBONE

NAMESPACE SERVICE NAME SERVICE VIP   WAYPOINT ENDPOINTS
shop      cart         10.96.71.36   waypoint 0/2
shop      orders       10.96.200.228 None     3/3
";
        let found = said(text);
        assert_eq!(
            found[..2],
            [
                Statement::Fact(Fact::Tunnel {
                    pod: "cart-waypoint-5cdd6745d5-rc".to_owned(),
                    hbone: false
                }),
                Statement::Fact(Fact::Tunnel {
                    pod: "cart-v1-698d88b-dqrbr".to_owned(),
                    hbone: true
                }),
            ]
        );
        assert_eq!(found[2], Statement::Fact(waypoint_of("cart", "waypoint")));
        let Statement::Object(cart) = &found[3] else {
            panic!("{:?}", found[3]);
        };
        assert_eq!(
            (cart.namespace.as_str(), &cart.spec),
            (
                "shop",
                &Spec::Endpoints {
                    service: "cart".to_owned(),
                    ready: 0,
                    unready: 2
                }
            )
        );
        assert_eq!(found[4], Statement::Fact(waypoint_of("orders", "")));
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn what_a_sidecar_takes() {
        let text = "\
ADDRESSES PORT  MATCH                                                  DESTINATION
0.0.0.0   15001 ALL                                                    PassthroughCluster
0.0.0.0   15006 Addr: *:15006                                          Non-HTTP/Non-TCP
0.0.0.0   15006 Trans: tls; App: istio,istio-h2; Addr: *:9080          Cluster: inbound|9080||
0.0.0.0   15006 Trans: raw_buffer; Addr: *:9080                        Cluster: inbound|9080||
0.0.0.0   15006 Trans: tls; Addr: *:9443                               Cluster: inbound|9443||
";
        let found = said(text);
        let [Statement::Inbound(inbound)] = found.as_slice() else {
            panic!("{found:?}");
        };
        let expected = BTreeMap::from([(9080, (true, true)), (9443, (true, false))]);
        assert_eq!(inbound.ports, expected);
    }

    #[test]
    fn what_is_no_such_table() {
        assert!(is_aligned(
            b"\n------ SERVICE INFO ------\n\nNAMESPACE SERVICE NAME SERVICE VIP WAYPOINT\n"
        ));
        for text in [
            "NAME READY STATUS RESTARTS AGE",
            "SERVICE FQDN   PORT   SUBSET   DIRECTION   TYPE   DESTINATION RULE",
            "address port match destination",
        ] {
            assert!(!is_aligned(text.as_bytes()), "{text}");
        }
    }
}
