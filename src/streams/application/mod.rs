//! Bytes of a connection in order to what they say: TLS, HTTP, DNS, told by content.
//!
//! In: [`Chunk`]s, in sequence order for each side, and gaps. Out: [`super::Application`]; for DNS over UDP
//! [`super::DnsExchange`]s. Principal types: [`Conversation`], one for each connection, and [`DnsPairing`]. Never: sees a
//! sequence number.
//!
//! Each side has a route: while its first bytes are undecided they are kept (at most 24), then they and all that follows
//! go to the parser of their protocol. Parsers are incremental, so that what they find does not depend on how bytes
//! were cut into chunks, and keep no more than a bounded part of a message that is not whole yet: 64 KiB of a head of
//! HTTP/1 or a header block of HTTP/2, 128 KiB of a handshake message of TLS, 4 KiB of a DNS message over TCP.

#![deny(clippy::indexing_slicing)]

mod certificate;
mod detect;
mod dns;
mod exchanges;
mod glance;
mod http1;
mod http2;
mod peer_exchange;
mod proxy_protocol;
mod reader;
#[cfg(test)]
mod tests;
mod tls;

pub use dns::{DnsCounts, DnsPairing, MAX_PENDING_DNS};
pub use glance::{Glance, is_dns_port};
pub use tls::names::{alert_name, cipher_suite_name, version_name};

use self::detect::{Kind, PREFIX_BYTES};
use self::dns::DnsOverTcp;
use self::exchanges::Exchanges;
use self::http1::{Http1, Next};
use self::http2::Http2;
use self::peer_exchange::PeerExchange;
use self::proxy_protocol::{ProxyHeader, Step};
use self::tls::Tls;
use super::CapturePoint;
use super::receiver::Setting;
use super::record::{Application, BURST_SILENCE_NS, Burst, MAX_BURSTS, Protocol, Side};
use crate::decode::packet::{Endpoint, FrameRef};
use crate::units::Timestamp;

/// Bytes that one side sent, next in order.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'b> {
    /// Who sent them.
    pub side: Side,
    /// The bytes; never empty.
    pub bytes: &'b [u8],
    /// When the packet that completed them was captured.
    pub time: Option<Timestamp>,
    /// That packet.
    pub at: FrameRef,
}

impl Chunk<'_> {
    fn moment(&self) -> Moment {
        (self.time, self.at)
    }
}

/// When, and where in the capture.
type Moment = (Option<Timestamp>, FrameRef);

/// Nanoseconds from `start` to `end`, where both are known; 0 where the end is earlier, as in captures whose clock went
/// back.
fn elapsed_ns(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<u64> {
    let (start, end) = (start?, end?);
    Some(u64::try_from(end.0.saturating_sub(start.0)).unwrap_or(0))
}

/// Bytes of a side in which a protocol is looked for that its beginning does not show.
const MAX_LOOKED: usize = 64 << 10;

/// What one TCP connection carries. Made with its first byte of payload.
#[derive(Debug)]
pub struct Conversation {
    ends: Ends,
    talk: Talk,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    point: CapturePoint,
    client: Endpoint,
    server: Endpoint,
}

impl Conversation {
    /// Of a connection on which nothing has been sent yet.
    pub fn new(setting: impl Into<Setting>, client: Endpoint, server: Endpoint) -> Self {
        let setting = setting.into();
        Self {
            ends: Ends {
                point: setting.point,
                client,
                server,
            },
            talk: Talk {
                passages: setting.passages,
                ..Talk::default()
            },
        }
    }

    /// The next bytes of a side, in order; chunks may have any size.
    pub fn chunk(&mut self, chunk: &Chunk<'_>) {
        let talk = &mut self.talk;
        let idle_ns = talk.last.and_then(|(last, _)| elapsed_ns(last, chunk.time));
        talk.note_burst(chunk);
        talk.deliver(*chunk, idle_ns, &self.ends);
        talk.last = Some(chunk.moment());
    }

    /// `bytes` of a side, next in order, are missing for good.
    pub fn gap(&mut self, side: Side, bytes: u64) {
        if bytes > 0 {
            self.talk.gap(side, bytes);
        }
    }

    /// A side closed: FIN, or RST where `reset`. Nothing of it follows.
    pub fn closed(&mut self, side: Side, reset: bool, time: Option<Timestamp>, at: FrameRef) {
        self.talk.closed(side, reset, (time, at));
    }

    /// False once nothing more can be learned from bytes of either side: what they carry is not known.
    pub fn wants_bytes(&self) -> bool {
        let routes = &self.talk.routes;
        routes.iter().any(|route| !matches!(route, Route::Ignored))
    }

    /// What was learned.
    pub fn finish(self) -> Application {
        self.talk.finish()
    }
}

/// Where bytes of a side go.
#[derive(Debug)]
enum Route {
    /// What came so far may begin several protocols.
    Undecided(Option<Box<Prefix>>),
    Proxy(Box<ProxyHeader>),
    Peer(PeerExchange),
    /// So many bytes say nothing; what follows is told anew.
    Skip(u8),
    Tls,
    Http1,
    Http2,
    Dns,
    /// None of them so far; so many bytes were looked at.
    Unknown(usize),
    /// Nothing is to be learned.
    Ignored,
}

impl Default for Route {
    fn default() -> Self {
        Self::Undecided(None)
    }
}

/// First bytes that came in several chunks.
#[derive(Debug, Default)]
struct Prefix {
    bytes: Vec<u8>,
    /// How many came with each chunk, and the silence before it.
    parts: Vec<(usize, Moment, Option<u64>)>,
}

/// HTTP of any version.
#[derive(Debug)]
struct Http {
    exchanges: Exchanges,
    one: Http1,
    two: Option<Box<Http2>>,
}

/// A connection with payload.
#[derive(Debug, Default)]
struct Talk {
    /// Keep when requests and bursts passed.
    passages: bool,
    routes: [Route; 2],
    first_bytes: [Protocol; 2],
    first: [Option<Moment>; 2],
    /// Something was told from the midst of a side.
    late: bool,
    /// What the connection was before it became a tunnel or changed by Upgrade.
    outer: Option<Protocol>,
    proxy_protocol: Option<(Endpoint, Endpoint)>,
    /// The last bytes of either side.
    last: Option<Moment>,
    tls: Option<Box<Tls>>,
    http: Option<Box<Http>>,
    dns: Option<Box<DnsOverTcp>>,
    bursts: Vec<Burst>,
}

impl Talk {
    /// Notes who sends when, unless exchanges tell it better. Before the bytes are read: what they tell about the protocol may
    /// depend on how they were cut.
    fn note_burst(&mut self, chunk: &Chunk<'_>) {
        let http = |route: &Route| matches!(route, Route::Http1 | Route::Http2);
        if !self.passages || self.routes.iter().all(http) {
            return;
        }
        let Some(now_ns) = chunk.time.map(|time| time.0) else {
            return;
        };
        if let Some(last) = self.bursts.last_mut()
            && last.side == chunk.side
            && now_ns.saturating_sub(last.end_ns) < BURST_SILENCE_NS
        {
            last.end_ns = now_ns.max(last.end_ns);
        } else if self.bursts.len() < MAX_BURSTS {
            self.bursts.push(Burst {
                side: chunk.side,
                begin_ns: now_ns,
                end_ns: now_ns,
                at: chunk.at,
            });
        }
    }

    /// Gives `chunk` to where its side's bytes go, which may change within it.
    fn deliver(&mut self, chunk: Chunk<'_>, idle_ns: Option<u64>, ends: &Ends) {
        let mut chunk = chunk;
        let mut idle_ns = idle_ns;
        while !chunk.bytes.is_empty() {
            let taken = self.step(&chunk, idle_ns, ends);
            if taken > 0 {
                idle_ns = Some(0);
            }
            chunk.bytes = chunk.bytes.get(taken..).unwrap_or_default();
        }
    }

    /// How many bytes were taken; with none the route has changed.
    fn step(&mut self, chunk: &Chunk<'_>, idle_ns: Option<u64>, ends: &Ends) -> usize {
        let side = chunk.side;
        let route = of_side(&mut self.routes, side);
        match route {
            Route::Tls => self.tls.get_or_insert_default().bytes(chunk),
            Route::Http1 => return self.http1(chunk, idle_ns),
            Route::Http2 => {
                let http = http_of(&mut self.http, self.passages);
                http.two
                    .get_or_insert_default()
                    .bytes(chunk, idle_ns, &mut http.exchanges);
            }
            Route::Dns => self
                .dns
                .get_or_insert_with(|| Box::new(DnsOverTcp::new(ends.point, ends.client, ends.server)))
                .bytes(chunk),
            Route::Undecided(prefix) => {
                let prefix = prefix.take();
                return self.undecided(prefix, chunk, idle_ns, ends);
            }
            Route::Unknown(looked) => {
                if let Some(kind) = detect::detect_late(chunk.bytes, side) {
                    self.decide(side, kind, chunk.moment(), true);
                    return 0;
                }
                *looked += chunk.bytes.len();
                if *looked > MAX_LOOKED {
                    *route = Route::Ignored;
                }
            }
            Route::Proxy(header) => match header.bytes(chunk.bytes) {
                Step::More => {}
                Step::End(taken, named) => {
                    self.proxy_protocol = self.proxy_protocol.or(named);
                    *route = Route::default();
                    return taken;
                }
                Step::Broken => self.decide(side, Kind::Unknown, chunk.moment(), false),
            },
            Route::Peer(state) => {
                if let Some(taken) = state.bytes(chunk.bytes) {
                    *route = Route::default();
                    return taken;
                }
            }
            Route::Skip(bytes) => {
                let taken = usize::from(*bytes).min(chunk.bytes.len());
                *bytes -= u8::try_from(taken).unwrap_or(*bytes);
                if *bytes == 0 {
                    *route = Route::default();
                }
                return taken;
            }
            Route::Ignored => {}
        }
        chunk.bytes.len()
    }

    /// Tells the protocol, or keeps the bytes until it can be told.
    fn undecided(
        &mut self,
        prefix: Option<Box<Prefix>>,
        chunk: &Chunk<'_>,
        idle_ns: Option<u64>,
        ends: &Ends,
    ) -> usize {
        let side = chunk.side;
        let dns_port = [ends.client.port, ends.server.port]
            .into_iter()
            .any(dns::is_dns_port);
        let Some(mut prefix) = prefix else {
            if let Some(kind) = detect::detect(chunk.bytes, side, dns_port) {
                self.decide(side, kind, chunk.moment(), false);
                return 0;
            }
            let mut prefix = Box::<Prefix>::default();
            prefix.push(chunk.bytes, chunk.moment(), idle_ns);
            *of_side(&mut self.routes, side) = Route::Undecided(Some(prefix));
            return chunk.bytes.len();
        };
        let taken = chunk
            .bytes
            .len()
            .min(PREFIX_BYTES.saturating_sub(prefix.bytes.len()));
        let part = chunk.bytes.get(..taken).unwrap_or_default();
        prefix.push(part, chunk.moment(), idle_ns);
        let Some(kind) =
            detect::detect(&prefix.bytes, side, dns_port).or((taken == 0).then_some(Kind::Unknown))
        else {
            *of_side(&mut self.routes, side) = Route::Undecided(Some(prefix));
            return taken;
        };
        let first = prefix
            .parts
            .first()
            .map_or(chunk.moment(), |(_, moment, _)| *moment);
        self.decide(side, kind, first, false);
        let mut rest = prefix.bytes.as_slice();
        for (bytes, (time, at), idle_ns) in prefix.parts {
            let (part, after) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
            rest = after;
            let chunk = Chunk {
                side,
                bytes: part,
                time,
                at,
            };
            self.deliver(chunk, idle_ns, ends);
        }
        taken
    }

    /// Bytes of a side from here on are `kind`; `late` if its beginning did not show it.
    fn decide(&mut self, side: Side, kind: Kind, moment: Moment, late: bool) {
        let (protocol, route) = match kind {
            Kind::Tls => (Protocol::Tls, Route::Tls),
            Kind::Http1 => (Protocol::Http1, Route::Http1),
            Kind::Http2 => (Protocol::Http2, Route::Http2),
            Kind::Dns => (Protocol::Dns, Route::Dns),
            Kind::ProxyProtocol => (Protocol::None, Route::Proxy(Box::default())),
            Kind::PeerExchange => (Protocol::PeerExchange, Route::Peer(PeerExchange::default())),
            Kind::TlsRequest(bytes) => (Protocol::Unknown, Route::Skip(bytes)),
            Kind::Unknown => (Protocol::Unknown, Route::Unknown(0)),
        };
        *of_side(&mut self.routes, side) = route;
        let first = of_side(&mut self.first_bytes, side);
        if *first == Protocol::None && protocol != Protocol::None {
            *first = protocol;
            *of_side(&mut self.first, side) = Some(moment);
        }
        if !late {
            return;
        }
        self.late = true;
        match kind {
            Kind::Tls => self.tls.get_or_insert_default().late(side),
            Kind::Http1 => http_of(&mut self.http, self.passages).one.late(side),
            Kind::Http2 => http_of(&mut self.http, self.passages)
                .two
                .get_or_insert_default()
                .late(side),
            _ => {}
        }
    }

    fn http1(&mut self, chunk: &Chunk<'_>, idle_ns: Option<u64>) -> usize {
        let http = http_of(&mut self.http, self.passages);
        let Some((taken, next)) = http.one.bytes(chunk, idle_ns, &mut http.exchanges) else {
            return chunk.bytes.len();
        };
        match next {
            Next::Tunnel => {
                self.outer = Some(Protocol::Http1);
                self.routes = Default::default();
            }
            Next::Opaque => {
                self.outer = Some(Protocol::Http1);
                self.routes = [Route::Ignored, Route::Ignored];
            }
            Next::Http2 => {
                self.routes = [Route::Http2, Route::Http2];
                if let Some(request) = http.one.upgraded() {
                    http.two.get_or_insert_default().upgraded(request);
                }
            }
        }
        taken
    }

    fn gap(&mut self, side: Side, bytes: u64) {
        let route = of_side(&mut self.routes, side);
        let Some(last) = self.last else {
            *route = Route::Unknown(0);
            self.late = true;
            return;
        };
        match route {
            Route::Tls => self.tls.get_or_insert_default().gap(side, bytes, last),
            Route::Http1 => {
                let http = http_of(&mut self.http, self.passages);
                http.one.gap(side, bytes, last, &mut http.exchanges);
            }
            Route::Http2 => {
                let http = http_of(&mut self.http, self.passages);
                http.two
                    .get_or_insert_default()
                    .gap(side, bytes, last, &mut http.exchanges);
            }
            Route::Dns => {
                if let Some(dns) = &mut self.dns {
                    dns.gap(side, bytes);
                }
            }
            Route::Undecided(_) | Route::Proxy(_) | Route::Peer(_) | Route::Skip(_) => {
                *route = Route::Unknown(0);
                self.late = true;
            }
            Route::Unknown(_) | Route::Ignored => {}
        }
    }

    fn closed(&mut self, side: Side, reset: bool, moment: Moment) {
        if let Some(tls) = &mut self.tls {
            tls.closed(side);
        }
        if let Some(http) = &mut self.http {
            http.one.closed(side, reset, moment, &mut http.exchanges);
        }
    }

    fn finish(mut self) -> Application {
        for (first, route) in self.first_bytes.iter_mut().zip(&self.routes) {
            if *first == Protocol::None && !matches!(route, Route::Undecided(None)) {
                *first = Protocol::Unknown;
            }
        }
        self.plaintext_to_tls();
        let mut application = Application {
            protocol: self.protocol(),
            first_bytes: self.first_bytes,
            proxy_protocol: self.proxy_protocol,
            tls: self.tls.map(|tls| Box::new(tls.finish())),
            bursts: self.bursts,
            ..Application::default()
        };
        if let Some(http) = self.http {
            let Http {
                mut exchanges,
                one,
                two,
            } = *http;
            one.finish(&mut exchanges);
            if let Some(two) = two {
                two.finish(&mut exchanges);
            }
            let finished = exchanges.finish();
            application.http = Some(finished.facts);
            application.exchanges = finished.kept;
            application.exchanges.shrink_to_fit();
            application.response_times = finished.times;
            application.response_times.shrink_to_fit();
            application.timed = finished.timed;
            application.left_out = finished.left_out;
        }
        if let Some(dns) = self.dns {
            let (exchanges, left_out) = dns.finish();
            application.dns = exchanges;
            application.left_out += left_out;
        }
        application
    }

    /// One side began with TLS, the other with something else.
    fn plaintext_to_tls(&mut self) {
        let plain = match self.first_bytes {
            [Protocol::Tls, Protocol::None] | [Protocol::None, Protocol::Tls] => return,
            [Protocol::Tls, server] if server != Protocol::Tls => Side::Server,
            [client, Protocol::Tls] if client != Protocol::Tls => Side::Client,
            _ => return,
        };
        if let (Some(tls), Some(moment), false) = (&mut self.tls, *of_side(&mut self.first, plain), self.late)
        {
            tls.met_plaintext(plain, moment);
        }
    }

    /// What the connection carries: what it began as where it became a tunnel, else what the client sends, else the
    /// server.
    fn protocol(&self) -> Protocol {
        let known = self.routes.iter().find_map(|route| match route {
            Route::Tls => Some(Protocol::Tls),
            Route::Http1 => Some(Protocol::Http1),
            Route::Http2 => Some(Protocol::Http2),
            Route::Dns => Some(Protocol::Dns),
            _ => None,
        });
        let first = || {
            self.first_bytes
                .iter()
                .copied()
                .find(|first| *first != Protocol::None)
        };
        self.outer.or(known).or_else(first).unwrap_or_default()
    }
}

impl Prefix {
    fn push(&mut self, bytes: &[u8], moment: Moment, idle_ns: Option<u64>) {
        self.bytes.extend_from_slice(bytes);
        self.parts.push((bytes.len(), moment, idle_ns));
    }
}

fn http_of(http: &mut Option<Box<Http>>, passages: bool) -> &mut Http {
    http.get_or_insert_with(|| {
        Box::new(Http {
            exchanges: Exchanges::new(passages),
            one: Http1::default(),
            two: None,
        })
    })
}

fn of_side<Of>(sides: &mut [Of; 2], side: Side) -> &mut Of {
    let [client, server] = sides;
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}
