//! What went wrong on connections, by kind and server: the most telling first.

use super::{ms, refs};
use crate::aggregate::captures::kept::Sort;
use crate::aggregate::captures::{CaptureTotals, ServerKey, StreamClass, StreamGroup, StreamGroupKey, words};
use crate::aggregate::signatures::earliest;
use crate::correlate::Names;
use crate::decode::packet::{Address, Endpoint, FrameRef};
use crate::report::model::{CaptureClient, CaptureTrouble, Limit};
use crate::streams::{CapturePoint, Protocol, SideFacts};
use crate::units::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of trouble with a server that are listed.
const MAX_TROUBLES: usize = 200;
/// Clients listed of each.
const MAX_CLIENTS: usize = 8;
/// Places listed of each.
const MAX_REFS: usize = 16;

/// Groups of all clients.
#[derive(Default)]
struct Trouble {
    connections: u64,
    clients: BTreeSet<Address>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    places: BTreeSet<FrameRef>,
    sent: SideFacts,
    longest_zero_window_ns: u64,
    server_errors: u64,
    speak: BTreeSet<[Protocol; 2]>,
}

impl Trouble {
    fn add(&mut self, key: &StreamGroupKey, group: &StreamGroup) {
        let class = key.class;
        self.connections += group.count;
        self.clients.insert(key.client);
        self.speak.insert(key.speak);
        self.first = earliest(self.first, group.first);
        self.last = self.last.max(group.last);
        self.places.extend(&group.places);
        if let Some(by) = class.by() {
            crate::aggregate::captures::sums::add_side(&mut self.sent, group.side(by));
        }
        self.longest_zero_window_ns = self.longest_zero_window_ns.max(group.longest_zero_window_ns);
        self.server_errors += group.server_errors;
    }
}

/// What went wrong with a server, at one capture point.
type Kind = (StreamClass, CapturePoint, Endpoint);

/// What went wrong, as far as it is listed.
pub(super) fn troubles(totals: &CaptureTotals, names: &Names) -> Vec<CaptureTrouble> {
    let mut list = ranked(totals);
    list.truncate(MAX_TROUBLES);
    list.into_iter()
        .map(|((class, point, server), trouble)| of_server(totals, names, class, (point, server), &trouble))
        .collect()
}

/// What is not listed, if there is more.
pub(super) fn limit(totals: &CaptureTotals) -> Option<Limit> {
    let list = ranked(totals);
    let rest = list.get(MAX_TROUBLES..).filter(|rest| !rest.is_empty())?;
    Some(Limit {
        table: "troubles of connections".to_owned(),
        limit: MAX_TROUBLES as u64,
        kept: MAX_TROUBLES as u64,
        left_out: rest.iter().map(|(_, trouble)| trouble.connections).sum(),
        what: "connections; counted in totals, not among what went wrong by server".to_owned(),
    })
}

/// All that went wrong.
fn ranked(totals: &CaptureTotals) -> Vec<(Kind, Trouble)> {
    let mut by_server: BTreeMap<Kind, Trouble> = BTreeMap::new();
    for (key, group) in totals.groups.iter().filter(|(key, _)| !key.class.is_good()) {
        by_server
            .entry((key.class, key.point, key.server))
            .or_default()
            .add(key, group);
    }
    // What several capture points see of one server stands together.
    let mut most: BTreeMap<(StreamClass, Endpoint), u64> = BTreeMap::new();
    for ((class, _, server), trouble) in &by_server {
        let most = most.entry((*class, *server)).or_default();
        *most = trouble.connections.max(*most);
    }
    let mut list: Vec<_> = by_server.into_iter().collect();
    list.sort_by_key(|((class, point, server), trouble)| {
        let most = Reverse(most.get(&(*class, *server)).copied().unwrap_or(0));
        let sort = Sort::of(&[*class]);
        (sort, most, *class, *server, Reverse(trouble.connections), *point)
    });
    list
}

fn of_server(
    totals: &CaptureTotals,
    names: &Names,
    class: StreamClass,
    (point, server): (CapturePoint, Endpoint),
    trouble: &Trouble,
) -> CaptureTrouble {
    let all = totals.servers.get(&ServerKey { point, server });
    let lossy = matches!(class, StreamClass::Lossy { .. });
    let zero = matches!(class, StreamClass::ZeroWindow { .. });
    let only = |is: bool, count: u64| if is { count } else { 0 };
    let sent = &trouble.sent;
    CaptureTrouble {
        kind: class.name().to_owned(),
        text: class.text(),
        by: class.by().map(|by| words::side_name(by).to_owned()),
        spoken: spoken(class, &trouble.speak),
        point: u64::from(point.0),
        server: server.to_string(),
        name: names.server(server),
        hop: totals.usual_hop(point, server).name().to_owned(),
        clients: trouble
            .clients
            .iter()
            .take(MAX_CLIENTS)
            .map(|client| CaptureClient {
                address: client.to_string(),
                name: names.host(*client).map(str::to_owned),
            })
            .collect(),
        client_count: trouble.clients.len() as u64,
        connections: trouble.connections,
        of: all.map_or(trouble.connections, |all| all.connections),
        first: trouble.first,
        last: trouble.last,
        retransmissions: only(lossy, sent.data_sent_again),
        segments: only(lossy, sent.data_packets),
        zero_window_ms: ms(only(zero, sent.zero_window_ns)),
        longest_zero_window_ms: ms(only(zero, trouble.longest_zero_window_ns)),
        server_errors: only(class == StreamClass::ServerErrors, trouble.server_errors),
        refs: refs(trouble.places.iter().take(MAX_REFS)),
    }
}

/// Who spoke what, for the classes that it may explain.
fn spoken(class: StreamClass, speak: &BTreeSet<[Protocol; 2]>) -> String {
    let explains = matches!(
        class,
        StreamClass::PlaintextToTls
            | StreamClass::TlsToPlaintext
            | StreamClass::ResetMidExchange { .. }
            | StreamClass::ClosedWithoutAnswer { .. }
    );
    match speak.first() {
        Some([client, server]) if explains && speak.len() == 1 => format!(
            "the client spoke {}, the server {}",
            words::protocol_name(*client),
            words::protocol_name(*server)
        ),
        _ => String::new(),
    }
}
