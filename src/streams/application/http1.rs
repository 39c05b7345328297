//! HTTP/1 (RFC 9112): heads, the length of bodies, which answer belongs to which request.
//!
//! Bodies are skipped by their length. Where bytes are missing, the next start line at the beginning of a chunk goes on.

use super::exchanges::{Exchanges, text};
use super::{Chunk, Moment, detect};
use crate::streams::record::{Exchange, Side};
use crate::units::Timestamp;
use httparse::{Header, ParserConfig, Request, Response};
use memchr::memmem::Finder;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::LazyLock;

/// Longest head that is read (Envoy's default limit is 60 KiB, at most 8 MiB where configured).
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Most header fields of a head (Envoy's default limit is 100).
const MAX_HEADERS: usize = 256;
/// Most requests that wait for an answer.
const MAX_WAITING: usize = 256;
/// Most answers that are kept for a request whose bytes are not there yet.
const MAX_EARLY: usize = 16;
/// Longest line of a chunked body.
const MAX_CHUNK_LINE: u32 = 16 << 10;

/// What the connection carries from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A tunnel (RFC 9110 section 9.3.6): what is in it is told anew.
    Tunnel,
    /// Another protocol by Upgrade, such as WebSocket.
    Opaque,
    /// HTTP/2 by Upgrade (RFC 7540 section 3.2); the request that asked is its stream 1.
    Http2,
}

/// HTTP/1 of a connection.
#[derive(Debug, Default)]
pub(super) struct Http1 {
    client: Messages,
    server: Messages,
    /// Requests without an answer, oldest first.
    waiting: VecDeque<Exchange>,
    /// The exchange whose answer is on its way.
    answering: Option<Exchange>,
    /// Answers that came before their request was seen.
    early: VecDeque<Answer>,
    /// True if answers were lost: only the last request that waits can be the one that is answered next.
    pairing_lost: bool,
    /// True while the body of the last request of `waiting` is on its way.
    sending: bool,
    /// True once a first request was seen.
    host_known: bool,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    moment: Moment,
    code: u16,
    grpc_status: Option<u32>,
}

/// The messages of one side.
#[derive(Debug, Default)]
struct Messages {
    state: State,
    head: Vec<u8>,
    /// Bytes of the present line of the head, up to 2: an empty line ends the head.
    line_bytes: u8,
    /// First byte of the message.
    begun: Option<Moment>,
    /// Silence before it.
    idle_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    /// Looking for the next start line.
    Lost,
}

/// A place in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunked {
    Size { value: u64, digits: u8 },
    Extension { value: u64, bytes: u32 },
    Data(u64),
    DataEnd,
    Trailer { line_bytes: u8, bytes: u32 },
}

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What an advance led to.
enum Step {
    /// So many bytes belong to the present state, which goes on.
    Taken(usize),
    /// So many bytes complete the head.
    HeadEnd(usize),
    /// So many bytes complete the message.
    MessageEnd(usize),
    /// The bytes are no HTTP.
    Lost,
}

impl Http1 {
    /// A side is seen from the midst of what it sends, at the beginning of a message.
    pub(super) fn late(&mut self, side: Side) {
        self.pairing_lost |= side == Side::Server;
    }

    /// The next bytes of a side; `idle_ns` is the silence before them. Where the protocol changes, how many bytes were
    /// taken, and what follows.
    pub(super) fn bytes(
        &mut self,
        chunk: &Chunk<'_>,
        idle_ns: Option<u64>,
        exchanges: &mut Exchanges,
    ) -> Option<(usize, Next)> {
        let mut rest = chunk.bytes;
        if self.messages(chunk.side).state == State::Lost && detect::http1_start_line(rest, chunk.side) {
            self.messages(chunk.side).restart();
        }
        let mut idle_ns = idle_ns;
        while !rest.is_empty() {
            let messages = self.messages(chunk.side);
            let (taken, next) = match messages.advance(rest, chunk.moment(), idle_ns) {
                Step::Taken(bytes) => (bytes, None),
                Step::HeadEnd(bytes) => (bytes, self.head_end(rest.get(..bytes)?, chunk, exchanges)),
                Step::MessageEnd(bytes) => {
                    self.message_end(chunk.side, chunk.moment(), exchanges);
                    (bytes, None)
                }
                Step::Lost => {
                    self.cut_off(chunk.side, exchanges);
                    return None;
                }
            };
            idle_ns = Some(0);
            rest = rest.get(taken..)?;
            if let Some(next) = next {
                return Some((chunk.bytes.len() - rest.len(), next));
            }
        }
        None
    }

    /// Bytes of a side that are missing for good.
    pub(super) fn gap(&mut self, side: Side, bytes: u64, last: Moment, exchanges: &mut Exchanges) {
        let messages = self.messages(side);
        match &mut messages.state {
            State::Length(missing) if *missing == bytes => self.message_end(side, last, exchanges),
            State::Chunked(chunked @ Chunked::Data(_)) if *chunked == Chunked::Data(bytes) => {
                *chunked = Chunked::DataEnd;
            }
            State::Length(missing) | State::Chunked(Chunked::Data(missing)) if *missing > bytes => {
                *missing -= bytes;
            }
            State::UntilClose | State::Lost => {}
            _ => self.cut_off(side, exchanges),
        }
    }

    /// A side closed: what goes on until the close is over, and what there is of a head is all of it.
    pub(super) fn closed(&mut self, side: Side, reset: bool, moment: Moment, exchanges: &mut Exchanges) {
        let messages = self.messages(side);
        match messages.state {
            State::UntilClose if !reset => {
                self.message_end(side, moment, exchanges);
                self.messages(side).state = State::Lost;
            }
            State::Head => {
                if let Some(begun) = messages.begun.take() {
                    let (head, idle_ns) = (std::mem::take(&mut messages.head), messages.idle_ns);
                    self.cut_head(side, &head, begun, idle_ns, exchanges);
                }
            }
            _ => {}
        }
    }

    /// The connection is over.
    pub(super) fn finish(mut self, exchanges: &mut Exchanges) {
        self.end_answer(None, exchanges);
        let unknown = self.pairing_lost;
        for exchange in self.waiting {
            if unknown {
                exchanges.left_out(1);
            } else {
                exchanges.end(exchange);
            }
        }
    }

    /// The request that asked for HTTP/2.
    pub(super) fn upgraded(&mut self) -> Option<Exchange> {
        self.waiting.pop_front()
    }

    fn messages(&mut self, side: Side) -> &mut Messages {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// What there is of the present message is all that can be read of it.
    fn cut_off(&mut self, side: Side, exchanges: &mut Exchanges) {
        let messages = self.messages(side);
        if let Some(moment) = messages.begun.take()
            && messages.state == State::Head
        {
            let (head, idle_ns) = (std::mem::take(&mut messages.head), messages.idle_ns);
            self.cut_head(side, &head, moment, idle_ns, exchanges);
        }
        self.lose(side, exchanges);
    }

    fn lose(&mut self, side: Side, exchanges: &mut Exchanges) {
        let messages = self.messages(side);
        messages.restart();
        messages.state = State::Lost;
        match side {
            Side::Client => self.sending = false,
            Side::Server => {
                self.end_answer(None, exchanges);
                self.pairing_lost = true;
            }
        }
    }

    /// `bytes` complete a head, of which a part may have been kept.
    fn head_end(&mut self, bytes: &[u8], chunk: &Chunk<'_>, exchanges: &mut Exchanges) -> Option<Next> {
        let messages = self.messages(chunk.side);
        let moment = messages.begun.unwrap_or_else(|| chunk.moment());
        let idle_ns = messages.idle_ns;
        let mut kept = std::mem::take(&mut messages.head);
        let head = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        messages.restart();
        match chunk.side {
            Side::Client => {
                self.request(head, moment, idle_ns, chunk, exchanges);
                None
            }
            Side::Server => self.response(head, moment, chunk, exchanges),
        }
    }

    fn request(
        &mut self,
        head: &[u8],
        moment: Moment,
        idle_ns: Option<u64>,
        chunk: &Chunk<'_>,
        exchanges: &mut Exchanges,
    ) {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = Request::new(&mut []);
        let parsed = lenient().parse_request_with_uninit_headers(&mut request, head, &mut headers);
        if !parsed.is_ok_and(|status| status.is_complete()) {
            self.cut_head(Side::Client, head, moment, idle_ns, exchanges);
            return self.lose(Side::Client, exchanges);
        }
        let fields = Fields::of(request.headers);
        let (method, target) = (
            request.method.unwrap_or_default(),
            request.path.unwrap_or_default(),
        );
        let mut exchange = Self::begin(method.as_bytes(), target.as_bytes(), moment, idle_ns, exchanges);
        exchange.request_id = fields.request_id.map(text);
        if !std::mem::replace(&mut self.host_known, true) {
            exchanges.facts.host = fields.host.map(text);
            exchanges.facts.user_agent = fields.user_agent.map(text);
        }
        let framing = fields.framing().unwrap_or(Framing::Length(0));
        self.client.body(framing);
        self.sending = true;
        self.wait(exchange, exchanges);
        if self.client.state == State::Head {
            self.message_end(Side::Client, chunk.moment(), exchanges);
        }
    }

    /// Counts a request.
    fn begin(
        method: &[u8],
        target: &[u8],
        moment: Moment,
        idle_ns: Option<u64>,
        exchanges: &mut Exchanges,
    ) -> Exchange {
        let first = exchanges.facts.requests == 0;
        exchanges.facts.requests += 1;
        let mut exchange = exchanges.begin(moment, idle_ns.filter(|_| !first));
        exchanges.request_line(&mut exchange, method, target);
        exchange
    }

    /// A request waits for its answer, unless that was seen before it.
    fn wait(&mut self, mut exchange: Exchange, exchanges: &mut Exchanges) {
        while let Some(answer) = self.early.pop_front() {
            if answer.moment.1 >= exchange.request.1 {
                answered(&mut exchange, &answer);
                self.sending = false;
                return exchanges.end(exchange);
            }
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
            exchanges.left_out(1);
        }
        if self.waiting.capacity() == 0 {
            // Nearly always one waits at a time.
            self.waiting.reserve_exact(1);
        }
        self.waiting.push_back(exchange);
    }

    fn response(
        &mut self,
        head: &[u8],
        moment: Moment,
        chunk: &Chunk<'_>,
        exchanges: &mut Exchanges,
    ) -> Option<Next> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = Response::new(&mut []);
        let parsed = lenient().parse_response_with_uninit_headers(&mut response, head, &mut headers);
        let code = response.code.unwrap_or(0);
        if !parsed.is_ok_and(|status| status.is_complete()) {
            if response.code.is_some() {
                self.cut_head(Side::Server, head, moment, None, exchanges);
            }
            self.lose(Side::Server, exchanges);
            return None;
        }
        let fields = Fields::of(response.headers);
        exchanges.response_code(code);
        if (100..200).contains(&code) && code != 101 {
            return None;
        }
        if code == 101
            && fields
                .upgrade
                .is_some_and(|value| value.eq_ignore_ascii_case(b"h2c"))
        {
            return Some(Next::Http2);
        }
        self.end_answer(None, exchanges);
        let grpc_status = fields.grpc_status();
        if let Some(status) = grpc_status {
            exchanges.grpc_status(status);
        }
        let method = self.pair(
            Answer {
                moment,
                code,
                grpc_status,
            },
            exchanges,
        );
        let next = match (code, method) {
            (101, _) => Some(Next::Opaque),
            (200..300, Method::Connect) => Some(Next::Tunnel),
            _ => None,
        };
        let framing = match code {
            _ if next.is_some() || method == Method::Head => Framing::Length(0),
            204 | 304 => Framing::Length(0),
            _ => fields.framing().unwrap_or(Framing::UntilClose),
        };
        self.server.body(framing);
        if self.server.state == State::Head {
            self.message_end(Side::Server, chunk.moment(), exchanges);
        }
        next
    }

    /// Finds the request of an answer, and tells its method.
    fn pair(&mut self, answer: Answer, exchanges: &mut Exchanges) -> Method {
        if std::mem::take(&mut self.pairing_lost) {
            while self.waiting.len() > 1 {
                self.waiting.pop_front();
                exchanges.left_out(1);
            }
        }
        let Some(mut exchange) = self.waiting.pop_front() else {
            if self.early.len() < MAX_EARLY {
                self.early.push_back(answer);
            }
            return Method::Other;
        };
        if self.waiting.is_empty() {
            self.sending = false;
        }
        answered(&mut exchange, &answer);
        let method = match &*exchange.method {
            "HEAD" => Method::Head,
            "CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        self.answering = Some(exchange);
        method
    }

    /// What a head says whose end is missing or that cannot be read to the end: its start line counts.
    fn cut_head(
        &mut self,
        side: Side,
        head: &[u8],
        moment: Moment,
        idle_ns: Option<u64>,
        exchanges: &mut Exchanges,
    ) {
        match side {
            Side::Client => {
                if let Some((method, target)) = detect::request_line(head) {
                    let exchange = Self::begin(method, target, moment, idle_ns, exchanges);
                    self.wait(exchange, exchanges);
                }
            }
            Side::Server => {
                let mut response = Response::new(&mut []);
                // The result is known: no room for header fields. The start line is in `response`.
                let _ = lenient().parse_response(&mut response, head);
                if let Some(code) = response.code {
                    exchanges.response_code(code);
                    if !(100..200).contains(&code) {
                        self.end_answer(None, exchanges);
                        let answer = Answer {
                            moment,
                            code,
                            grpc_status: None,
                        };
                        self.pair(answer, exchanges);
                    }
                }
            }
        }
    }

    /// The last byte of a message.
    fn message_end(&mut self, side: Side, moment: Moment, exchanges: &mut Exchanges) {
        self.messages(side).restart();
        let end = dated(moment);
        match side {
            Side::Client => {
                if std::mem::take(&mut self.sending)
                    && let Some(exchange) = self.waiting.back_mut()
                {
                    exchange.request_end = end;
                }
            }
            Side::Server => self.end_answer(end, exchanges),
        }
    }

    fn end_answer(
        &mut self,
        end: Option<(Timestamp, crate::decode::packet::FrameRef)>,
        exchanges: &mut Exchanges,
    ) {
        if let Some(mut exchange) = self.answering.take() {
            exchange.response_end = end;
            exchanges.end(exchange);
        }
    }
}

/// What an answer's length depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

fn answered(exchange: &mut Exchange, answer: &Answer) {
    exchange.response = Some(answer.moment);
    exchange.code = Some(answer.code);
    exchange.grpc_status = answer.grpc_status;
}

fn dated((time, at): Moment) -> Option<(Timestamp, crate::decode::packet::FrameRef)> {
    time.map(|time| (time, at))
}

/// Heads that a strict reader refuses still have a start line and a length.
fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

/// Header fields that matter here.
#[derive(Debug, Default)]
struct Fields<'b> {
    host: Option<&'b [u8]>,
    user_agent: Option<&'b [u8]>,
    request_id: Option<&'b [u8]>,
    upgrade: Option<&'b [u8]>,
    length: Option<u64>,
    chunked: bool,
    grpc_status: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    fn of(headers: &[Header<'b>]) -> Self {
        let mut fields = Self::default();
        for header in headers {
            fields.field(header.name, header.value);
        }
        fields
    }

    fn field(&mut self, name: &str, value: &'b [u8]) {
        let named = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if named("host") => self.host = Some(value),
            7 if named("upgrade") => self.upgrade = Some(value),
            10 if named("user-agent") => self.user_agent = Some(value),
            11 if named("grpc-status") => self.grpc_status = Some(value),
            12 if named("x-request-id") => self.request_id = Some(value),
            14 if named("content-length") => self.length = number(value).or(self.length),
            17 if named("transfer-encoding") => {
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
    }

    /// Chunked goes before a length (RFC 9112 section 6.3).
    fn framing(&self) -> Option<Framing> {
        if self.chunked {
            return Some(Framing::Chunked);
        }
        self.length.map(Framing::Length)
    }

    fn grpc_status(&self) -> Option<u32> {
        number(self.grpc_status?).and_then(|status| u32::try_from(status).ok())
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

impl Messages {
    /// The next message begins.
    fn restart(&mut self) {
        self.state = State::Head;
        self.head = Vec::new();
        self.line_bytes = 0;
        self.begun = None;
        self.idle_ns = None;
    }

    fn body(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::Length(0) => State::Head,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked(Chunked::Size { value: 0, digits: 0 }),
            Framing::UntilClose => State::UntilClose,
        };
    }

    fn advance(&mut self, bytes: &[u8], moment: Moment, idle_ns: Option<u64>) -> Step {
        match &mut self.state {
            State::Head => self.head(bytes, moment, idle_ns),
            State::Length(missing) => match usize::try_from(*missing) {
                Ok(missing) if missing <= bytes.len() => Step::MessageEnd(missing),
                _ => {
                    *missing -= bytes.len() as u64;
                    Step::Taken(bytes.len())
                }
            },
            State::Chunked(chunked) => chunked.advance(bytes),
            State::UntilClose | State::Lost => Step::Taken(bytes.len()),
        }
    }

    fn head(&mut self, bytes: &[u8], moment: Moment, idle_ns: Option<u64>) -> Step {
        if self.begun.is_none() {
            // Empty lines before a start line (RFC 9112 section 2.2).
            let blank = bytes
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if blank > 0 {
                return Step::Taken(blank);
            }
            if !bytes.first().is_some_and(u8::is_ascii_uppercase) {
                return Step::Lost;
            }
            self.begun = Some(moment);
            self.idle_ns = idle_ns;
        }
        let end = self.head_length(bytes);
        let length = end.unwrap_or(bytes.len());
        if self.head.len() + length > MAX_HEAD {
            let room = MAX_HEAD - self.head.len();
            self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            return Step::Lost;
        }
        if let Some(end) = end {
            return Step::HeadEnd(end);
        }
        self.head.extend_from_slice(bytes);
        Step::Taken(bytes.len())
    }

    /// Bytes up to the end of the empty line that ends the head.
    fn head_length(&mut self, bytes: &[u8]) -> Option<usize> {
        if let Some(end) = self.plain_head_length(bytes) {
            return Some(end);
        }
        let mut line = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            // Of a line that is longer than a carriage return, it does not matter how long.
            let length = usize::from(self.line_bytes) + (end - line);
            let blank = length == 0 || (length == 1 && self.last_byte(bytes, end) == Some(b'\r'));
            self.line_bytes = 0;
            if blank {
                return Some(end + 1);
            }
            line = end + 1;
        }
        let rest = (bytes.len() - line).min(2);
        self.line_bytes = (usize::from(self.line_bytes) + rest)
            .min(2)
            .try_into()
            .unwrap_or(2);
        None
    }

    /// The same for a head of which a line begins here, if it ends here as heads do: two searches instead of one for each
    /// line.
    fn plain_head_length(&self, bytes: &[u8]) -> Option<usize> {
        static BLANK_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));
        static BARE_BLANK_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\n"));
        if self.line_bytes > 0 || matches!(bytes.first(), None | Some(b'\r' | b'\n')) {
            return None;
        }
        let end = BLANK_LINE.find(bytes)? + 3;
        let before = bytes.get(..end - 2)?;
        BARE_BLANK_LINE.find(before).is_none().then_some(end)
    }

    /// The byte before `end`, which may have come before these bytes.
    fn last_byte(&self, bytes: &[u8], end: usize) -> Option<u8> {
        match end.checked_sub(1) {
            Some(place) => bytes.get(place).copied(),
            None => self.head.last().copied(),
        }
    }
}

impl Chunked {
    fn advance(&mut self, bytes: &[u8]) -> Step {
        let Some(first) = bytes.first() else {
            return Step::Taken(0);
        };
        match *self {
            Self::Size { value, digits } => match (char::from(*first).to_digit(16), first) {
                (Some(digit), _) if digits < 16 => {
                    *self = Self::Size {
                        value: value << 4 | u64::from(digit),
                        digits: digits + 1,
                    };
                    Step::Taken(1)
                }
                (None, b'\n' | b'\r' | b';' | b' ' | b'\t') if digits > 0 => {
                    *self = Self::Extension { value, bytes: 0 };
                    Step::Taken(0)
                }
                _ => Step::Lost,
            },
            Self::Extension { value, bytes: before } => match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    *self = match value {
                        0 => Self::Trailer {
                            line_bytes: 0,
                            bytes: 0,
                        },
                        _ => Self::Data(value),
                    };
                    Step::Taken(end + 1)
                }
                None => longer(before, bytes).map_or(Step::Lost, |bytes_now| {
                    *self = Self::Extension {
                        value,
                        bytes: bytes_now,
                    };
                    Step::Taken(bytes.len())
                }),
            },
            Self::Data(missing) => {
                let taken = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len());
                let missing = missing - taken as u64;
                *self = if missing == 0 {
                    Self::DataEnd
                } else {
                    Self::Data(missing)
                };
                Step::Taken(taken)
            }
            Self::DataEnd => match first {
                b'\r' => Step::Taken(1),
                b'\n' => {
                    *self = Self::Size { value: 0, digits: 0 };
                    Step::Taken(1)
                }
                _ => Step::Lost,
            },
            Self::Trailer {
                line_bytes,
                bytes: before,
            } => match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    let line = usize::from(line_bytes)
                        + bytes
                            .get(..end)
                            .unwrap_or_default()
                            .iter()
                            .filter(|b| **b != b'\r')
                            .count();
                    *self = Self::Trailer {
                        line_bytes: 0,
                        bytes: before.saturating_add(1),
                    };
                    if line == 0 {
                        Step::MessageEnd(end + 1)
                    } else {
                        Step::Taken(end + 1)
                    }
                }
                None => longer(before, bytes).map_or(Step::Lost, |bytes_now| {
                    let text = bytes.iter().any(|byte| *byte != b'\r');
                    *self = Self::Trailer {
                        line_bytes: u8::from(text || line_bytes > 0),
                        bytes: bytes_now,
                    };
                    Step::Taken(bytes.len())
                }),
            },
        }
    }
}

/// Bytes of a line so far; `None` beyond the limit.
fn longer(before: u32, bytes: &[u8]) -> Option<u32> {
    let now = before.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    (now <= MAX_CHUNK_LINE).then_some(now)
}
