//! HTTP/2 (RFC 9113): frames, streams, and of their headers what can be known.
//!
//! DATA is skipped by its length. Where bytes are missing, or the capture began late, frames are found again at the
//! beginning of a chunk.

mod hpack;
mod huffman;

use self::hpack::{Name, Table};
use super::exchanges::{Exchanges, count, text};
use super::{Chunk, Moment, detect};
use crate::streams::record::{Exchange, Side};
use std::collections::BTreeMap;

/// Longest header block that is read (Envoy's default limit for headers is 60 KiB, nghttp2's 64 KiB).
pub(super) const MAX_BLOCK: usize = 64 << 10;
/// Most streams that are open at once; Envoy's default limit is 1024 from release 1.37 on.
pub(super) const MAX_STREAMS: usize = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x01;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// What the first nine bytes of the preface are, and what follows them (RFC 9113 section 3.4).
const PREFACE: &[u8; 9] = b"PRI * HTT";
const PREFACE_REST: u32 = 24 - 9;

/// HTTP/2 of a connection.
#[derive(Debug, Default)]
pub(super) struct Http2 {
    client: Frames,
    server: Frames,
    /// Streams by number, without those that are over.
    streams: BTreeMap<u32, Exchange>,
    /// The highest stream of the client.
    last_stream: u32,
    /// True if answers may have been missed.
    answers_lost: bool,
}

/// The frames of one side.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; 9],
    header_bytes: u8,
    /// First byte of the present frame.
    begun: Option<Moment>,
    idle_ns: Option<u64>,
    frame: Frame,
    /// Bytes of its payload that are still to come.
    remaining: u32,
    /// The payload as far as it is kept.
    payload: Vec<u8>,
    /// The header block that frames before the present one began.
    block: Vec<u8>,
    /// Frame that the block began with.
    block_frame: Option<(Frame, Moment)>,
    table: Table,
    begun_at_all: bool,
    lost: bool,
    /// Bytes of the present payload, or of the block, are missing or beyond the limit.
    damaged: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether its payload is read, and up to which length.
    fn reads(self) -> usize {
        match self.kind {
            HEADERS | PUSH_PROMISE | CONTINUATION => MAX_BLOCK,
            RST_STREAM | GOAWAY => 8,
            _ => 0,
        }
    }

    fn carries_headers(self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION)
    }
}

/// Of the fields of a block, those that matter.
#[derive(Debug, Default)]
struct Fields {
    method: Vec<u8>,
    path: Vec<u8>,
    status: Option<u16>,
    authority: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    grpc_status: Option<u32>,
}

impl Fields {
    fn set(&mut self, name: Name, value: &[u8]) {
        match name {
            Name::Method => self.method = value.to_vec(),
            Name::Path => self.path = value.to_vec(),
            Name::Status => self.status = number(value).and_then(|status| u16::try_from(status).ok()),
            Name::Authority => self.authority = Some(text(value)),
            Name::UserAgent => self.user_agent = Some(text(value)),
            Name::RequestId => self.request_id = Some(text(value)),
            Name::GrpcStatus => self.grpc_status = number(value),
            Name::Other | Name::Unknown => {}
        }
    }
}

/// A header block that is whole.
#[derive(Debug)]
struct Block {
    /// The frame that it began with.
    frame: Frame,
    begun: Moment,
    idle_ns: Option<u64>,
    fields: Fields,
}

fn number(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl Http2 {
    /// A side is seen from the midst of what it sends, at the beginning of a frame.
    pub(super) fn late(&mut self, side: Side) {
        self.frames(side).begun_at_all = true;
        self.answers_lost |= side == Side::Server;
    }

    /// The request that HTTP/1 was left with (RFC 7540 section 3.2): the stream 1.
    pub(super) fn upgraded(&mut self, request: Exchange) {
        self.last_stream = 1;
        self.streams.insert(1, request);
    }

    /// The next bytes of a side; `idle_ns` is the silence before them.
    pub(super) fn bytes(&mut self, chunk: &Chunk<'_>, idle_ns: Option<u64>, exchanges: &mut Exchanges) {
        let mut rest = chunk.bytes;
        let mut idle_ns = idle_ns;
        let frames = self.frames(chunk.side);
        if frames.lost {
            if !detect::frames_fit(rest) {
                return;
            }
            frames.lost = false;
        }
        while !rest.is_empty() {
            let frames = self.frames(chunk.side);
            if frames.remaining > 0 {
                let most = usize::try_from(frames.remaining).unwrap_or(usize::MAX);
                let (payload, after) = rest.split_at(rest.len().min(most));
                rest = after;
                if payload.len() == most && frames.payload.is_empty() && !frames.damaged {
                    frames.remaining = 0;
                    self.frame_end(chunk.side, chunk.moment(), payload, exchanges);
                } else {
                    frames.payload(payload);
                    if frames.remaining == 0 {
                        let payload = std::mem::take(&mut frames.payload);
                        self.frame_end(chunk.side, chunk.moment(), &payload, exchanges);
                    }
                }
                continue;
            }
            let Some((header, after)) = frames.next_header(rest, chunk.moment(), idle_ns) else {
                return;
            };
            idle_ns = Some(0);
            rest = after;
            if !frames.begin(header) {
                self.lose(chunk.side);
                return;
            }
            if frames.remaining == 0 {
                self.frame_end(chunk.side, chunk.moment(), &[], exchanges);
            }
        }
    }

    /// Bytes of a side that are missing for good.
    pub(super) fn gap(&mut self, side: Side, bytes: u64, last: Moment, exchanges: &mut Exchanges) {
        let frames = self.frames(side);
        match u32::try_from(bytes) {
            Ok(bytes) if bytes <= frames.remaining => {
                frames.remaining -= bytes;
                frames.damaged = true;
                if frames.remaining == 0 {
                    let payload = std::mem::take(&mut frames.payload);
                    self.frame_end(side, last, &payload, exchanges);
                }
            }
            _ => self.lose(side),
        }
    }

    /// The connection is over.
    pub(super) fn finish(self, exchanges: &mut Exchanges) {
        for exchange in self.streams.into_values() {
            if exchange.response.is_none() && self.answers_lost {
                exchanges.left_out(1);
            } else {
                exchanges.end(exchange);
            }
        }
    }

    fn frames(&mut self, side: Side) -> &mut Frames {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn lose(&mut self, side: Side) {
        self.answers_lost |= side == Side::Server;
        let frames = self.frames(side);
        frames.lost = true;
        frames.header_bytes = 0;
        frames.remaining = 0;
        frames.damaged = false;
        frames.payload = Vec::new();
        frames.block = Vec::new();
        frames.block_frame = None;
        frames.table.forget();
    }

    /// A frame whose payload is whole, as far as it is read.
    fn frame_end(&mut self, side: Side, end: Moment, payload: &[u8], exchanges: &mut Exchanges) {
        let frames = self.frames(side);
        let frame = frames.frame;
        match frame.kind {
            HEADERS | PUSH_PROMISE | CONTINUATION => {
                if let Some(block) = frames.headers(payload, end) {
                    self.headers(side, block, end, exchanges);
                }
            }
            DATA if frame.has(END_STREAM) => self.stream_ends(side, frame.stream, end, exchanges),
            RST_STREAM => {
                if let Some(code) = code_at(payload, 0) {
                    count(errors(&mut exchanges.facts.rst_stream, side), code);
                }
                if let Some(exchange) = self.streams.remove(&frame.stream) {
                    exchanges.end(exchange);
                }
            }
            GOAWAY => {
                if let Some(code) = code_at(payload, 4) {
                    count(errors(&mut exchanges.facts.goaway, side), code);
                }
            }
            _ => {}
        }
        self.frames(side).damaged = false;
    }

    /// The fields of a stream's request, of its answer, or after its body.
    fn headers(&mut self, side: Side, block: Block, end: Moment, exchanges: &mut Exchanges) {
        let frame = block.frame;
        if frame.kind == PUSH_PROMISE {
            return;
        }
        match side {
            Side::Client => self.request(block, exchanges),
            Side::Server => self.response(&block, exchanges),
        }
        if frame.has(END_STREAM) {
            self.stream_ends(side, frame.stream, end, exchanges);
        }
    }

    fn request(&mut self, block: Block, exchanges: &mut Exchanges) {
        let Block {
            frame,
            begun,
            idle_ns,
            fields,
        } = block;
        if frame.stream <= self.last_stream {
            return;
        }
        self.last_stream = frame.stream;
        let facts = &mut exchanges.facts;
        let first = facts.requests == 0;
        facts.requests += 1;
        if first {
            facts.host = fields.authority;
            facts.user_agent = fields.user_agent;
        }
        let mut exchange = exchanges.begin(begun, idle_ns.filter(|_| !first));
        exchanges.request_line(&mut exchange, &fields.method, &fields.path);
        exchange.request_id = fields.request_id;
        if self.streams.len() < MAX_STREAMS {
            self.streams.insert(frame.stream, exchange);
        } else {
            exchanges.left_out(1);
        }
    }

    fn response(&mut self, block: &Block, exchanges: &mut Exchanges) {
        let fields = &block.fields;
        if let Some(code) = fields.status {
            exchanges.response_code(code);
        }
        if let Some(status) = fields.grpc_status {
            exchanges.grpc_status(status);
        }
        let interim = fields.status.is_some_and(|code| (100..200).contains(&code));
        if let Some(exchange) = self.streams.get_mut(&block.frame.stream)
            && !interim
        {
            exchange.response.get_or_insert(block.begun);
            exchange.code = exchange.code.or(fields.status);
            exchange.grpc_status = exchange.grpc_status.or(fields.grpc_status);
        }
    }

    /// A side has sent its last frame of a stream.
    fn stream_ends(&mut self, side: Side, stream: u32, (time, at): Moment, exchanges: &mut Exchanges) {
        let end = time.map(|time| (time, at));
        match side {
            Side::Client => {
                if let Some(exchange) = self.streams.get_mut(&stream) {
                    exchange.request_end = end;
                }
            }
            Side::Server => {
                if let Some(mut exchange) = self.streams.remove(&stream) {
                    exchange.response_end = end;
                    exchanges.end(exchange);
                }
            }
        }
    }
}

fn errors<Errors>(sides: &mut [Errors; 2], side: Side) -> &mut Errors {
    let [client, server] = sides;
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}

fn code_at(payload: &[u8], place: usize) -> Option<u32> {
    let bytes = payload.get(place..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

impl Frames {
    /// The next header and what follows it; `None` while it is not whole.
    fn next_header<'b>(
        &mut self,
        bytes: &'b [u8],
        moment: Moment,
        idle_ns: Option<u64>,
    ) -> Option<([u8; 9], &'b [u8])> {
        let have = usize::from(self.header_bytes);
        if have == 0 {
            self.begun = Some(moment);
            self.idle_ns = idle_ns;
            if let Some((header, after)) = bytes.split_first_chunk() {
                return Some((*header, after));
            }
        }
        let (more, after) = bytes.split_at(bytes.len().min(self.header.len() - have));
        for (place, byte) in self.header.iter_mut().skip(have).zip(more) {
            *place = *byte;
        }
        self.header_bytes += u8::try_from(more.len()).unwrap_or_default();
        if usize::from(self.header_bytes) < self.header.len() {
            return None;
        }
        self.header_bytes = 0;
        Some((self.header, after))
    }

    /// False if `header` begins no frame.
    fn begin(&mut self, header: [u8; 9]) -> bool {
        let first = !std::mem::replace(&mut self.begun_at_all, true);
        if first && header == *PREFACE {
            self.frame = Frame {
                kind: u8::MAX,
                ..Frame::default()
            };
            self.remaining = PREFACE_REST;
            return true;
        }
        let Some((length, kind, flags, stream)) = detect::http2_frame(header) else {
            return false;
        };
        self.frame = Frame { kind, flags, stream };
        self.remaining = length;
        true
    }

    /// A part of the payload.
    fn payload(&mut self, part: &[u8]) {
        self.remaining -= u32::try_from(part.len()).unwrap_or(self.remaining);
        let reads = self.frame.reads();
        if reads == 0 || self.damaged {
            return;
        }
        let room = reads.saturating_sub(self.payload.len());
        self.payload.extend_from_slice(part.get(..room).unwrap_or(part));
        self.damaged = self.frame.carries_headers() && part.len() > room;
    }

    /// The fields of a block that `payload` completes, with the frame it began with.
    fn headers(&mut self, payload: &[u8], now: Moment) -> Option<Block> {
        let frame = self.frame;
        let fragment = fragment(frame, payload).unwrap_or_default();
        if frame.kind != CONTINUATION {
            self.block.clear();
            self.block_frame = Some((frame, self.begun.unwrap_or(now)));
        }
        let (first, begun) = self.block_frame?;
        let damaged = self.damaged || self.block.len() + fragment.len() > MAX_BLOCK;
        let mut fields = Fields::default();
        if damaged {
            self.table.forget();
            self.block = Vec::new();
        } else if frame.has(END_HEADERS) && self.block.is_empty() {
            self.table.block(fragment, |name, value| fields.set(name, value));
        } else {
            self.block.extend_from_slice(fragment);
            if frame.has(END_HEADERS) {
                let block = std::mem::take(&mut self.block);
                self.table.block(&block, |name, value| fields.set(name, value));
            }
        }
        if !frame.has(END_HEADERS) {
            return None;
        }
        self.block_frame = None;
        Some(Block {
            frame: first,
            begun,
            idle_ns: self.idle_ns,
            fields,
        })
    }
}

/// The header block's part in a payload (RFC 9113 sections 6.2, 6.6 and 6.10).
fn fragment(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    let padding = if frame.has(PADDED) && frame.kind != CONTINUATION {
        let (padding, after) = rest.split_first()?;
        rest = after;
        usize::from(*padding)
    } else {
        0
    };
    let fixed = match frame.kind {
        HEADERS if frame.has(PRIORITY) => 5,
        PUSH_PROMISE => 4,
        _ => 0,
    };
    rest = rest.get(fixed..)?;
    rest.get(..rest.len().checked_sub(padding)?)
}
