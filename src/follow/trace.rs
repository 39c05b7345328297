//! One request, or one connection, through every input: rows, component lines and packets on one axis of time.
//!
//! The inputs are read again, twice where they are logs (rows first, then the component lines that name what the rows
//! named) and once where they are captures. What is kept is bounded, and what is left out is counted. Times are printed
//! as they stand in each input; [`ClockOffsets`] is where known differences between clocks are given.

use super::frame::{FlowId, Frame, connection_filter};
use super::packets::{Attempt, Wanted, WantedLeg, named_in};
use super::reference::{Place, Reference, resolve};
use super::rows::{ComponentHit, Leg, LineKeeper, Row, RowKeeper, RowsWanted, pass};
use super::tuple::FourTuple;
use super::{Opened, open};
use crate::decode::log::Layouts;
use crate::decode::packet::{Address, FlowKey, PacketBlock};
use crate::input::Source;
use crate::pipeline::repeats;
use crate::units::{InputId, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The value of [`Trace::schema`].
pub const SCHEMA: &str = "postmesh.trace/1";

/// Packets this much before and after a request's row count as near it: rows tell whole milliseconds.
const SLACK_NS: i64 = 5_000_000;

/// Component lines this much before and after the request count as near it.
const LINE_SLACK_NS: i64 = 1_000_000_000;

/// What is to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A request by its `x-request-id`.
    Request(String),
    /// A connection by its ends.
    Connection(FourTuple),
    /// The request or connection of a cited row or frame.
    Reference(Reference),
}

/// How far the clock of an input is ahead of that of the first one, in nanoseconds, where that is known. Used to put
/// events in order and to find packets of a request; never changes a time that is printed.
pub type ClockOffsets = BTreeMap<InputId, i64>;

/// One request or connection through every input.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The request, where it has an id.
    pub request_id: Option<String>,
    /// The connection that was asked for.
    pub connection: Option<String>,
    /// Who took part, in the order of the calls.
    pub participants: Vec<Participant>,
    /// Connections of the request.
    pub connections: Vec<Connection>,
    /// Access-log rows, by time.
    pub rows: Vec<Row>,
    /// What happened, by time.
    pub events: Vec<Event>,
    /// Names of the inputs that events come from.
    pub inputs: BTreeMap<u32, String>,
    /// How far clocks of inputs are ahead, where known.
    pub clock_offsets_ns: BTreeMap<u32, i64>,
    /// Rows that were too many to keep.
    pub rows_left_out: u64,
    /// Component lines that were too many to keep.
    pub lines_left_out: u64,
}

/// A proxy, an application or another party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Its name, or its address where no input names it.
    pub name: String,
    /// proxy, app (beside a proxy of the same pod) or endpoint.
    pub kind: &'static str,
    /// Its address, where known.
    pub address: Option<String>,
}

/// A connection of the request.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// Who opened it.
    pub client: String,
    /// Whom it called, as rows name it.
    pub server: String,
    /// Participant at the client's end.
    pub from: usize,
    /// Participant at the server's end.
    pub to: usize,
    /// False if no row names the client's port, and it was found by address and time.
    pub exact: bool,
    /// Display filter of Wireshark.
    pub wireshark: String,
    /// Where it was captured.
    pub captured: Vec<Captured>,
}

/// A connection in one capture.
#[derive(Clone, Debug, Serialize)]
pub struct Captured {
    /// Which capture.
    pub input: InputId,
    /// All packets of the connection in it.
    pub packets: u64,
    /// Packets outside the time of the request.
    pub outside: u64,
    /// Acknowledgments without payload, which are not listed.
    pub bare_acknowledgments: u64,
    /// Packets that were too many to keep.
    pub left_out: u64,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, by the clock of its input.
    pub time: Option<Timestamp>,
    /// True where the time was computed: a row's end from its start and duration.
    pub computed: bool,
    /// Its input.
    pub input: InputId,
    /// Line of a log.
    pub line: Option<u64>,
    /// Frame of a capture.
    pub frame: Option<u64>,
    /// request, response, line or packet.
    pub kind: EventKind,
    /// Participant from whom it goes.
    pub from: usize,
    /// Participant to whom it goes; the same for what happens within one.
    pub to: usize,
    /// Connection, where it is of one.
    pub connection: Option<usize>,
    /// Of a packet that shows nothing but data: bytes of its payload.
    pub data_bytes: Option<u32>,
    /// What happened; as in the inputs: to be escaped.
    pub text: String,
}

/// What sort of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A row's request begins.
    Request,
    /// A packet.
    Packet,
    /// A component line.
    Line,
    /// A row's request is over.
    Response,
}

/// Follows `target` through `sources`.
///
/// # Errors
/// One line: an input that can be read only once, a place that names no request, or nothing found.
pub fn trace(
    sources: &[Source],
    target: &Target,
    offsets: &ClockOffsets,
    layouts: &Layouts,
) -> Result<Trace, String> {
    if let Some(once) = sources
        .iter()
        .find(|source| source.open_path == Path::new("-") || source.size_bytes.is_none())
    {
        return Err(format!(
            "{} can be read only once, and a trace reads its inputs several times: save it to a file first",
            once.display_path
        ));
    }
    let (request, connection) = match target {
        Target::Request(id) => (Some(id.clone()), None),
        Target::Connection(tuple) => (None, Some(*tuple)),
        Target::Reference(reference) => of_reference(sources, reference, layouts)?,
    };
    let wanted = match (&request, connection) {
        (Some(id), _) if id.is_empty() => return Err("an empty request id names no request".to_owned()),
        (Some(id), _) => RowsWanted::Request(id.clone()),
        (None, Some(tuple)) => RowsWanted::Connection(tuple.one, tuple.other),
        (None, None) => return Err("nothing to follow".to_owned()),
    };
    let mut keeper = RowKeeper::new(&wanted).ok_or("the request id is too long")?;
    // What stands in two logs happened once.
    let repeats = repeats::find(sources, layouts);
    let logs = || {
        let repeated = repeats
            .iter()
            .map(|repeat| repeat.map_or(0, |repeat| repeat.bytes));
        sources.iter().zip(repeated)
    };
    for (source, repeated_bytes) in logs() {
        pass(source, repeated_bytes, layouts, &mut keeper);
    }
    let mut rows = std::mem::take(&mut keeper.rows);
    let rows_left_out = keeper.left_out;
    let shifted = |input: InputId, time: Option<Timestamp>| {
        time.map(|time| Timestamp(time.0.saturating_sub(offsets.get(&input).copied().unwrap_or(0))))
    };
    rows.sort_by_key(|row| (shifted(row.input, row.start), row.inbound(), row.input, row.line));

    let mut packets = wanted_packets(&rows, request.as_deref(), connection, &shifted);
    packets.offsets = offsets.clone();
    if let (Some(id), true) = (&request, rows.is_empty()) {
        // No log names it: captures may, in the heads of requests in clear.
        packets.legs = sources.iter().flat_map(|source| named_in(source, id)).collect();
        packets.legs.sort_by_key(|wanted| wanted.leg);
        packets.legs.dedup_by_key(|wanted| wanted.leg);
    }
    let mut captures = 0_usize;
    for source in sources {
        captures += usize::from(packets.read(source));
    }
    packets.legs.retain(|leg| leg.exact || !leg.found.is_empty());
    let near = span(&rows, &shifted).map(|(since, until)| {
        (
            Timestamp(since.0.saturating_sub(LINE_SLACK_NS)),
            Timestamp(until.0.saturating_add(LINE_SLACK_NS)),
        )
    });
    let mut lines = LineKeeper::new(
        needles(&rows, request.as_deref(), connection),
        near.unzip(),
        offsets,
    )
    .ok_or("the request id is too long")?;
    for (source, repeated_bytes) in logs() {
        pass(source, repeated_bytes, layouts, &mut lines);
    }
    let seen = packets.legs.iter().any(|leg| !leg.found.is_empty());
    if rows.is_empty() && !seen && lines.lines.is_empty() {
        return Err(nothing(&wanted, sources.len(), captures));
    }
    let mut drawn = Drawing::new(sources, &rows);
    drawn.add(&rows, packets, lines.lines, connection);
    let mut events = drawn.events;
    events.sort_by_key(|event| {
        (
            shifted(event.input, event.time),
            event.kind,
            event.input,
            event.line,
            event.frame,
        )
    });
    let mut inputs = BTreeMap::new();
    for event in &events {
        if let Some(source) = sources.iter().find(|source| source.id == event.input) {
            inputs.insert(event.input.0, source.display_path.clone());
        }
    }
    Ok(Trace {
        schema: SCHEMA,
        request_id: request,
        connection: connection.map(|tuple| format!("{} → {}", tuple.one, tuple.other)),
        participants: drawn.participants,
        connections: drawn.connections,
        rows,
        events,
        inputs,
        clock_offsets_ns: offsets.iter().map(|(input, ns)| (input.0, *ns)).collect(),
        rows_left_out,
        lines_left_out: lines.left_out,
    })
}

fn nothing(wanted: &RowsWanted, inputs: usize, captures: usize) -> String {
    match wanted {
        RowsWanted::Request(id) => {
            format!("no row, line or packet in clear of {inputs} inputs names request {id}")
        }
        RowsWanted::Connection(one, other) => {
            format!(
                "no row of {inputs} inputs and no packet of {captures} captures is of a connection between {one} and {other}"
            )
        }
        RowsWanted::Line(line) => format!("line {line} names no request"),
    }
}

/// The request or connection of a row or frame.
fn of_reference(
    sources: &[Source],
    reference: &Reference,
    layouts: &Layouts,
) -> Result<(Option<String>, Option<FourTuple>), String> {
    let source = resolve(&reference.input, sources)?;
    match reference.place {
        Place::Line(line) => {
            let wanted = RowsWanted::Line(line);
            let mut keeper = RowKeeper::new(&wanted).ok_or("internal: no needles")?;
            let lines = pass(source, 0, layouts, &mut keeper)
                .ok_or_else(|| format!("{reference}: is no line of a log"))?;
            let Some(row) = keeper.rows.pop() else {
                return Err(match keeper.component {
                    Some(_) => format!(
                        "{reference}: is a component line, which names no request; give --request or --connection"
                    ),
                    None if lines < line => format!("{reference}: there are {lines} lines"),
                    None => format!("{reference}: is no access-log row"),
                });
            };
            if row.request_id.is_some() {
                return Ok((row.request_id, None));
            }
            let ends = row
                .upstream_local
                .zip(row.upstream_host)
                .or(row.downstream_remote.zip(row.downstream_local));
            let (one, other) =
                ends.ok_or_else(|| format!("{reference}: this row names no request and no connection"))?;
            Ok((None, Some(FourTuple { one, other })))
        }
        Place::Frame(number) => {
            let Ok(Opened::Capture(mut reader)) = open(source, layouts) else {
                return Err(format!("{reference}: is no frame of a capture"));
            };
            let mut block = PacketBlock::default();
            while let Some(next) = reader.next_block(std::mem::take(&mut block)) {
                if let Some(packet) = next.packets.iter().find(|packet| packet.at.frame == number) {
                    let flow = FlowId::of(packet);
                    if !flow.tcp {
                        return Err(format!("{reference}: is of no TCP connection"));
                    }
                    let payload = packet.payload.of(&next.data);
                    let frame = super::frame::Numbering::new(packet).frame(packet, payload);
                    let (one, other) = (flow.key.low, flow.key.high);
                    return Ok(match frame.request_id {
                        Some(id) => (Some(id), None),
                        None => (None, Some(FourTuple { one, other })),
                    });
                }
                if next.packets.last().is_some_and(|packet| packet.at.frame > number) {
                    break;
                }
                block = next;
            }
            Err(format!("{reference}: there is no such packet"))
        }
    }
}

type Shift<'s> = &'s dyn Fn(InputId, Option<Timestamp>) -> Option<Timestamp>;

/// From the first start to the last end.
fn span(rows: &[Row], shifted: Shift<'_>) -> Option<(Timestamp, Timestamp)> {
    let starts = rows.iter().filter_map(|row| shifted(row.input, row.start));
    let ends = rows.iter().filter_map(|row| shifted(row.input, row.end()));
    starts.min().zip(ends.max())
}

/// What the packets of a request are found by.
fn wanted_packets(
    rows: &[Row],
    request: Option<&str>,
    connection: Option<FourTuple>,
    shifted: Shift<'_>,
) -> Wanted {
    let mut wanted = Wanted::default();
    if let Some(tuple) = connection {
        // The rows say who called whom; without them both ways are looked for.
        let legs = rows
            .iter()
            .flat_map(legs_of)
            .filter(|leg| leg.carries(tuple.one, tuple.other).is_some());
        let mut legs: Vec<Leg> = legs.collect();
        legs.sort_unstable();
        legs.dedup();
        if legs.is_empty() {
            let called_first = tuple.one.port < tuple.other.port;
            let (client, server) = if called_first {
                (tuple.other, tuple.one)
            } else {
                (tuple.one, tuple.other)
            };
            legs.push(Leg { client, server });
        }
        wanted.legs.extend(legs.into_iter().map(|leg| WantedLeg {
            leg,
            since: None,
            until: None,
            exact: true,
            request_id: None,
            found: BTreeMap::new(),
        }));
        return wanted;
    }
    for row in rows {
        let (Some(start), Some(end)) = (shifted(row.input, row.start), shifted(row.input, row.end())) else {
            continue;
        };
        let since = Timestamp(start.0.saturating_sub(SLACK_NS));
        let until = Timestamp(end.0.saturating_add(SLACK_NS));
        for leg in legs_of(row) {
            // Both proxies of a hop name its connection: the wider span counts.
            if let Some(known) = wanted.legs.iter_mut().find(|known| known.leg == leg) {
                known.since = known.since.min(Some(since));
                known.until = known.until.max(Some(until));
                continue;
            }
            wanted.legs.push(WantedLeg {
                leg,
                since: Some(since),
                until: Some(until),
                exact: true,
                request_id: request.map(str::to_owned),
                found: BTreeMap::new(),
            });
        }
        if let (None, Some(server), Some(source)) = (row.upstream_local, row.upstream_host, pod_address(row))
        {
            wanted.attempts.push(Attempt {
                source,
                server,
                since,
                until,
            });
        }
    }
    wanted
}

/// The two connections of a row, as far as it names both ends.
fn legs_of(row: &Row) -> Vec<Leg> {
    let down = row.downstream_remote.zip(row.downstream_local);
    let up = row.upstream_local.zip(row.upstream_host);
    [down, up]
        .into_iter()
        .flatten()
        .map(|(client, server)| Leg { client, server })
        .collect()
}

/// Address of the pod of the proxy that wrote a row: what it was called by, or from where it calls.
fn pod_address(row: &Row) -> Option<Address> {
    if row.inbound() {
        row.downstream_local.map(|end| end.address)
    } else {
        let up = row.upstream_local.filter(|end| !end.address.is_loopback());
        up.or(row.downstream_remote).map(|end| end.address)
    }
}

/// What component lines may name: the request, the ephemeral ports, the hosts that were called.
fn needles(rows: &[Row], request: Option<&str>, connection: Option<FourTuple>) -> Vec<String> {
    let mut needles: Vec<String> = request.map(str::to_owned).into_iter().collect();
    for row in rows {
        let ends = [row.upstream_local, row.downstream_remote, row.upstream_host];
        needles.extend(ends.into_iter().flatten().map(|end| end.to_string()));
    }
    if let Some(tuple) = connection {
        needles.extend([tuple.one.to_string(), tuple.other.to_string()]);
    }
    needles.sort_unstable();
    needles.dedup();
    needles
}

/// Who took part and what happened, in the making.
struct Drawing<'s> {
    sources: &'s [Source],
    participants: Vec<Participant>,
    /// Proxy participants by input.
    proxies: BTreeMap<(InputId, Option<String>), usize>,
    /// The proxy of a pod's address.
    by_address: BTreeMap<Address, usize>,
    /// Names of pods by address.
    pods: BTreeMap<Address, String>,
    /// The participant that is called, or calls, beside a proxy or without one.
    endpoints: BTreeMap<Address, usize>,
    connections: Vec<Connection>,
    events: Vec<Event>,
}

impl<'s> Drawing<'s> {
    fn new(sources: &'s [Source], rows: &[Row]) -> Self {
        let mut drawing = Self {
            sources,
            participants: Vec::new(),
            proxies: BTreeMap::new(),
            by_address: BTreeMap::new(),
            pods: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            connections: Vec::new(),
            events: Vec::new(),
        };
        for row in rows {
            if let Some(address) = pod_address(row) {
                drawing
                    .pods
                    .entry(address)
                    .or_insert_with(|| name_of(sources, row.writer()));
            }
        }
        let mut visited = vec![false; rows.len()];
        for at in 0..rows.len() {
            let fed = |row: &Row| rows.iter().any(|caller| feeds(caller, row));
            if rows.get(at).is_some_and(|row| !fed(row)) {
                drawing.visit(rows, at, &mut visited);
            }
        }
        // Rows that only feed each other, in whatever order they stand.
        for at in 0..rows.len() {
            drawing.visit(rows, at, &mut visited);
        }
        drawing
    }

    /// The parties of a row from its client to its upstream, then those of the rows that follow from it.
    fn visit(&mut self, rows: &[Row], first: usize, visited: &mut [bool]) {
        let mut waiting = vec![first];
        while let Some(at) = waiting.pop() {
            let (Some(row), Some(seen)) = (rows.get(at), visited.get_mut(at)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            let _ = self.caller_of(rows, row);
            let _ = self.proxy(row);
            let followers: Vec<usize> = (0..rows.len())
                .filter(|next| rows.get(*next).is_some_and(|next| feeds(row, next)))
                .collect();
            if followers.is_empty() {
                let _ = self.called_by(rows, row);
            } else if row.inbound() {
                // The application of this proxy calls on.
                let _ = self.called_by(rows, row);
            }
            waiting.extend(followers.into_iter().rev());
        }
    }

    fn proxy(&mut self, row: &Row) -> usize {
        let writer = (row.input, row.pod.clone());
        if let Some(at) = self.proxies.get(&writer) {
            return *at;
        }
        let address = pod_address(row);
        let at = self.participants.len();
        self.participants.push(Participant {
            name: name_of(self.sources, row.writer()),
            kind: "proxy",
            address: address.map(|address| address.to_string()),
        });
        self.proxies.insert(writer, at);
        if let Some(address) = address {
            self.by_address.entry(address).or_insert(at);
        }
        at
    }

    /// Somebody who is no proxy that wrote a row.
    fn endpoint(&mut self, address: Address) -> usize {
        if let Some(at) = self.endpoints.get(&address) {
            return *at;
        }
        let at = self.participants.len();
        let pod = self.pods.get(&address);
        self.participants.push(Participant {
            name: pod.map_or_else(|| address.to_string(), |pod| format!("app of {pod}")),
            kind: if pod.is_some() { "app" } else { "endpoint" },
            address: Some(address.to_string()),
        });
        self.endpoints.insert(address, at);
        at
    }

    /// Who called the proxy of this row.
    fn caller_of(&mut self, rows: &[Row], row: &Row) -> Option<usize> {
        let remote = row.downstream_remote?;
        let by_tuple = rows
            .iter()
            .find(|caller| caller.writer() != row.writer() && caller.upstream_local == Some(remote));
        if let Some(caller) = by_tuple {
            return Some(self.proxy(caller));
        }
        let own = pod_address(row) == Some(remote.address);
        let beside = rows
            .iter()
            .find(|other| other.writer() != row.writer() && pod_address(other) == Some(remote.address));
        match beside {
            Some(caller) if !own => Some(self.proxy(caller)),
            _ => Some(self.endpoint(remote.address)),
        }
    }

    /// Whom the proxy of this row called.
    fn called_by(&mut self, rows: &[Row], row: &Row) -> Option<usize> {
        let host = row.upstream_host?;
        let other = rows
            .iter()
            .find(|other| other.writer() != row.writer() && pod_address(other) == Some(host.address));
        match other {
            Some(other) if !row.inbound() => Some(self.proxy(other)),
            _ => Some(self.endpoint(host.address)),
        }
    }

    fn add(
        &mut self,
        rows: &[Row],
        packets: Wanted,
        lines: Vec<ComponentHit>,
        connection: Option<FourTuple>,
    ) {
        let of_attempt = |row: &'_ Row| (row.input, row.pod.clone(), row.cluster.clone());
        let mut attempts: BTreeMap<_, usize> = BTreeMap::new();
        for row in rows {
            *attempts.entry(of_attempt(row)).or_default() += 1;
        }
        let mut nth: BTreeMap<_, usize> = BTreeMap::new();
        for row in rows {
            let key = of_attempt(row);
            let all = attempts.get(&key).copied().unwrap_or(1);
            let number = nth.entry(key).or_default();
            *number += 1;
            let attempt = (all > 1 && connection.is_none()).then(|| format!("attempt {number} of {all}: "));
            self.row(rows, row, &attempt.unwrap_or_default());
        }
        for wanted in packets.legs {
            self.leg(rows, wanted);
        }
        for line in lines {
            self.line(&line);
        }
    }

    fn row(&mut self, rows: &[Row], row: &Row, attempt: &str) {
        let proxy = self.proxy(row);
        let caller = self.caller_of(rows, row).unwrap_or(proxy);
        let request = if row.request.is_empty() {
            "connection"
        } else {
            row.request.as_str()
        };
        let event = |time, computed, kind, from, to, text| Event {
            time,
            computed,
            input: row.input,
            line: Some(row.line),
            frame: None,
            kind,
            from,
            to,
            connection: None,
            data_bytes: None,
            text,
        };
        self.events.push(event(
            row.start,
            false,
            EventKind::Request,
            caller,
            proxy,
            format!("{attempt}{request}"),
        ));
        let mut words = vec![row.code.to_string()];
        words.extend((!row.flags.is_empty()).then(|| row.flags.clone()));
        words.extend(row.duration_ms.map(|ms| format!("{ms} ms")));
        words.extend((!row.details.is_empty()).then(|| row.details.clone()));
        words.extend(row.upstream_host.map(|host| format!("upstream {host}")));
        self.events.push(event(
            row.end(),
            true,
            EventKind::Response,
            proxy,
            caller,
            format!("{attempt}{}", words.join(" ")),
        ));
    }

    fn leg(&mut self, rows: &[Row], wanted: WantedLeg) {
        let leg = wanted.leg;
        let upstream_of = rows.iter().find(|row| {
            row.upstream_local.zip(row.upstream_host) == Some((leg.client, leg.server))
                || (!wanted.exact && row.upstream_local.is_none() && row.upstream_host == Some(leg.server))
        });
        let downstream_of = rows
            .iter()
            .find(|row| row.downstream_remote.zip(row.downstream_local) == Some((leg.client, leg.server)));
        let from = match (upstream_of, downstream_of) {
            (Some(row), _) => self.proxy(row),
            (None, Some(row)) => self.caller_of(rows, row).unwrap_or_default(),
            (None, None) => self.endpoint(leg.client.address),
        };
        let to = match (downstream_of, upstream_of) {
            (Some(row), _) => self.proxy(row),
            (None, Some(row)) => self.called_by(rows, row).unwrap_or_default(),
            (None, None) => self.endpoint(leg.server.address),
        };
        let number = self.connections.len();
        let flow = FlowId {
            key: FlowKey::of(leg.client, leg.server),
            tcp: true,
        };
        let mut captured = Vec::new();
        for (input, found) in wanted.found {
            captured.push(Captured {
                input,
                packets: found.packets,
                outside: found.elsewhere,
                bare_acknowledgments: found.bare,
                left_out: found.left_out,
            });
            for frame in found.into_frames() {
                self.frame(input, leg, (from, to), number, &frame);
            }
        }
        self.connections.push(Connection {
            client: leg.client.to_string(),
            server: leg.server.to_string(),
            from,
            to,
            exact: wanted.exact,
            wireshark: connection_filter(&flow),
            captured,
        });
    }

    fn frame(&mut self, input: InputId, leg: Leg, (from, to): (usize, usize), number: usize, frame: &Frame) {
        // An ICMP error about it comes from the server's side, or from somewhere before it.
        let by_client = leg.carries(frame.source, frame.destination) == Some(true);
        let (from, to) = if by_client { (from, to) } else { (to, from) };
        let text = packet_text(frame);
        self.events.push(Event {
            time: frame.time,
            computed: false,
            input,
            line: None,
            frame: Some(frame.frame),
            kind: EventKind::Packet,
            from,
            to,
            connection: Some(number),
            data_bytes: (frame.payload_bytes > 0 && text == data_text(frame.payload_bytes))
                .then_some(frame.payload_bytes),
            text,
        });
    }

    fn line(&mut self, hit: &ComponentHit) {
        let writer = (hit.input, hit.pod.clone());
        let known = self.proxies.get(&writer).copied();
        let at = known.unwrap_or(self.participants.len());
        if known.is_none() {
            self.participants.push(Participant {
                name: name_of(self.sources, (hit.input, hit.pod.as_deref())),
                kind: "proxy",
                address: None,
            });
            self.proxies.insert(writer, at);
        }
        self.events.push(Event {
            time: hit.time,
            computed: false,
            input: hit.input,
            line: Some(hit.line),
            frame: None,
            kind: EventKind::Line,
            from: at,
            to: at,
            connection: None,
            data_bytes: None,
            text: format!("{} {} {}", hit.level, hit.scope, hit.message),
        });
    }
}

/// True if the request of `row` went on as that of `next`: over the connection that both name, or through the
/// application beside an inbound proxy.
fn feeds(row: &Row, next: &Row) -> bool {
    if row.input == next.input && row.line == next.line {
        return false;
    }
    let by_tuple = row.upstream_local.is_some()
        && row.upstream_local == next.downstream_remote
        && row.writer() != next.writer();
    let by_host = row.upstream_local.is_none()
        && !row.inbound()
        && next.inbound()
        && row.upstream_host.is_some()
        && row.upstream_host == next.downstream_local;
    let through_app = row.inbound()
        && !next.inbound()
        && row.writer() == next.writer()
        && pod_address(row).is_some()
        && next.downstream_remote.map(|end| end.address) == pod_address(row);
    by_tuple || by_host || through_app
}

fn name_of(sources: &[Source], (input, pod): (InputId, Option<&str>)) -> String {
    if let Some(pod) = pod {
        return pod.to_owned();
    }
    let source = sources.iter().find(|source| source.id == input);
    source.map_or_else(
        || format!("input {}", input.0),
        |source| {
            source
                .identity
                .pod
                .clone()
                .unwrap_or_else(|| source.display_path.clone())
        },
    )
}

fn data_text(bytes: u32) -> String {
    format!("{bytes} bytes")
}

/// Flags in words, what it says, and its length.
fn packet_text(frame: &Frame) -> String {
    let flags = match frame.flags.as_str() {
        "S" => "SYN",
        "S." => "SYN-ACK",
        flags if flags.contains('R') => "RST",
        flags if flags.contains('F') => "FIN",
        "." if frame.payload_bytes == 0 => "ACK",
        _ => "",
    };
    let mut words: Vec<String> = Vec::new();
    if !flags.is_empty() {
        words.push(flags.to_owned());
    }
    if frame.window_bytes == Some(0) && !frame.flags.contains(['R', 'S']) {
        words.push("window 0".to_owned());
    }
    if !frame.text.is_empty() {
        let protocol = frame.application.filter(|protocol| *protocol != "HTTP/1");
        words.push(protocol.map_or_else(
            || frame.text.clone(),
            |protocol| format!("{protocol} {}", frame.text),
        ));
    } else if frame.payload_bytes > 0 {
        words.push(data_text(frame.payload_bytes));
    }
    if frame.again {
        words.insert(0, "again:".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[2026-11-02T03:12:44.120Z] \"GET /a HTTP/1.1\" 200 - via_upstream - \"-\" 0 1 20 19 \"-\" \"-\" \"id-1\" \"a\" \"10.0.0.9:80\" outbound|80||a.default.svc.cluster.local 10.0.0.2:4000 10.96.0.9:80 10.0.0.2:5000 - default\n";
    const CALLED: &str = "[2026-11-02T03:12:54.125Z] \"GET /a HTTP/1.1\" 200 - via_upstream - \"-\" 0 1 9 8 \"-\" \"-\" \"id-1\" \"a\" \"10.0.0.9:80\" inbound|80|| 127.0.0.6:4001 10.0.0.9:80 10.0.0.2:4000 - default\n";

    /// Kinds and inputs of events in their order.
    fn order(trace: &Trace) -> Vec<(EventKind, u32)> {
        trace
            .events
            .iter()
            .map(|event| (event.kind, event.input.0))
            .collect()
    }

    #[test]
    fn clocks_that_differ_change_the_order_and_no_time() {
        use EventKind::{Line, Request, Response};
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.log"), ROW).unwrap();
        // Its clock is ten seconds ahead.
        let line = "2026-11-02T03:12:54.127000Z\twarning\tenvoy http x.cc:1\tid-1 is slow\tthread=1\n";
        std::fs::write(folder.path().join("b.log"), format!("{CALLED}{line}")).unwrap();
        let sources = crate::input::discover(&[folder.path().to_owned()]).sources;
        let target = Target::Request("id-1".to_owned());
        let as_is = trace(&sources, &target, &ClockOffsets::new(), &Layouts::default()).unwrap();
        assert_eq!(
            order(&as_is),
            [
                (Request, 0),
                (Response, 0),
                (Request, 1),
                (Line, 1),
                (Response, 1)
            ]
        );
        let offsets = ClockOffsets::from([(InputId(1), 10_000_000_000)]);
        let moved = trace(&sources, &target, &offsets, &Layouts::default()).unwrap();
        assert_eq!(
            order(&moved),
            [
                (Request, 0),
                (Request, 1),
                (Line, 1),
                (Response, 1),
                (Response, 0)
            ]
        );
        let called = moved.events.get(1).and_then(|event| event.time).unwrap();
        assert_eq!(
            called.to_string(),
            "2026-11-02T03:12:54.125000Z",
            "as the row has it"
        );
        let names: Vec<&str> = moved.participants.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["app of a.log", "a.log", "b.log", "app of b.log"]);
    }
}
