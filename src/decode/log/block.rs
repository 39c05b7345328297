//! The driver: a block to lines, lines to records, and what a line means after the one before it.

use super::access_json::KeyOrder;
use super::scan::{Blanks, Scanner};
use super::start::{Start, start_of};
use super::time::MinuteCache;
use super::wrapper::{Peeled, Unwrapped, after_timestamp, peel, plain_cri};
use super::{
    AccessFormat, AccessRow, ComponentLine, Content, Line, MAX_RECORD_BYTES, Reject, Wrapper, WrapperSet,
    Wrapping, access_exact, access_json, access_text, component,
};
use memchr::memchr;

/// Where a line stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAt<'block> {
    /// Bytes from the start of the block.
    pub offset: usize,
    /// Number of the line in the block, from 0.
    pub line: u32,
    /// The physical line, without its line end (`\n` or `\r\n`).
    pub text: &'block [u8],
}

/// Reads blocks of a log. It keeps buffers from block to block and nothing that changes a result: make one
/// for each worker.
#[derive(Debug, Default)]
pub struct LogDecoder {
    tools: Tools,
    unescaped: Vec<u8>,
    unwrapped: Unwrapped,
    ahead: Unwrapped,
    joined: Joined,
}

/// What reading a line needs beside the line.
#[derive(Debug, Default)]
struct Tools {
    minutes: MinuteCache,
    /// For the times of wrappers, which may be of another zone.
    written: MinuteCache,
    scanner: Scanner,
    blanks: Blanks,
    order: KeyOrder,
}

/// The pieces of one partial line.
#[derive(Debug, Default)]
struct Joined {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Joined {
    fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }

    fn push(&mut self, piece: &[u8]) {
        self.too_long |= self.bytes.len().saturating_add(piece.len()) > MAX_RECORD_BYTES;
        if !self.too_long {
            self.bytes.extend_from_slice(piece);
        }
    }
}

/// What a line may depend on: the lines of the block before it.
#[derive(Clone, Copy, Debug, Default)]
struct Before<'block> {
    /// Wrappers of the component message that is going on.
    message: Option<WrapperSet>,
    /// Where the first piece of a partial line stands.
    first_piece: Option<LineAt<'block>>,
}

impl LogDecoder {
    /// Calls `sink` once for each line of `data`, in order.
    ///
    /// A line that a container runtime cut in pieces is given at its last piece, with the place of its first
    /// one; the pieces before are given as empty continuations. Pieces that make more than 1 MiB together are
    /// given as [`Content::Unknown`].
    pub fn decode_block(&mut self, data: &[u8], sink: &mut impl FnMut(&LineAt<'_>, &Line<'_>)) {
        let mut before = Before::default();
        let mut lines = Lines {
            data,
            offset: 0,
            line: 0,
        };
        // Overwritten by each plain row: rows are large, and most lines are such.
        let empty = AccessRow::empty(AccessFormat::IstioText);
        let mut plain = Line {
            wrapping: Wrapping::default(),
            content: Content::Access(empty),
        };
        self.joined.clear();
        loop {
            if before.first_piece.is_none()
                && let Some(at) = self.tools.plain_row(&mut lines, &mut plain)
            {
                before.message = None;
                sink(&at, &plain);
            } else if before.first_piece.is_none()
                && let Some((at, component)) = self.tools.plain_component(&mut lines)
            {
                before.message = Some(WrapperSet::default());
                sink(
                    &at,
                    &Line {
                        wrapping: Wrapping::default(),
                        content: Content::Component(component),
                    },
                );
            } else if let Some(at) = lines.next() {
                self.line(at, lines, &mut before, sink);
            } else {
                break;
            }
        }
    }

    fn line<'block>(
        &mut self,
        at: LineAt<'block>,
        mut following: Lines<'block>,
        before: &mut Before<'block>,
        sink: &mut impl FnMut(&LineAt<'_>, &Line<'_>),
    ) {
        let mut peeled = peel(at.text, &mut self.unwrapped, &mut self.tools.written);
        let in_pieces = peeled.partial || before.first_piece.is_some();
        if in_pieces {
            self.joined.push(peeled.text);
            let next = following
                .next()
                .map(|next| peel(next.text, &mut self.ahead, &mut self.tools.written));
            if next.is_some_and(|next| peeled.is_continued_by(&next)) {
                before.first_piece.get_or_insert(at);
                return sink(
                    &at,
                    &Line {
                        wrapping: peeled.wrapping,
                        content: Content::Continuation(b""),
                    },
                );
            }
            peeled.text = &self.joined.bytes;
        }
        let content = if self.joined.too_long {
            Content::Unknown(Reject::Form)
        } else {
            self.tools.content(&peeled, before.message, &mut self.unescaped)
        };
        let line = Line {
            wrapping: peeled.wrapping,
            content,
        };
        before.message = message_after(&line, before.message);
        sink(&before.first_piece.take().unwrap_or(at), &line);
        if in_pieces {
            self.joined.clear();
        }
    }
}

impl Tools {
    /// Takes the next line if it is a row that needs no second thought; the row stands in `line`.
    #[inline]
    fn plain_row<'block>(
        &mut self,
        lines: &mut Lines<'block>,
        line: &mut Line<'block>,
    ) -> Option<LineAt<'block>> {
        let Content::Access(row) = &mut line.content else {
            return None;
        };
        let text = lines.rest();
        let (head_len, wrapping) = match text {
            [b'[' | b'{', ..] => (0, Wrapping::default()),
            [b'0'..=b'9', ..] if !component::is_plain(text) => plain_cri(text, &mut self.written)?,
            _ => return None,
        };
        let inner = text.get(head_len..)?;
        let len = match inner {
            [b'[', ..] => access_text::decode(inner, &mut self.minutes, self.scanner, &mut self.blanks, row)?,
            _ => {
                let len = memchr(b'\n', inner).unwrap_or(inner.len());
                let text = without_carriage_return(inner.get(..len)?);
                access_json::decode_in_order(text, &mut self.minutes, self.scanner, &mut self.order, row)?;
                len
            }
        };
        (line.wrapping.kinds, line.wrapping.written) = (wrapping.kinds, wrapping.written);
        lines.take(head_len.saturating_add(len))
    }

    /// Takes the next line if it is a component line as it was written, which at debug level are many.
    #[inline]
    fn plain_component<'block>(
        &mut self,
        lines: &mut Lines<'block>,
    ) -> Option<(LineAt<'block>, ComponentLine<'block>)> {
        if !component::is_plain(lines.rest()) {
            return None;
        }
        let mut after = *lines;
        let at = after.next()?;
        let component = component::timed(at.text, &mut self.minutes).ok()?;
        *lines = after;
        Some((at, component))
    }

    fn content<'block>(
        &mut self,
        peeled: &Peeled<'block>,
        message: Option<WrapperSet>,
        unescaped: &'block mut Vec<u8>,
    ) -> Content<'block> {
        let text = peeled.text;
        let read = match start_of(text) {
            Some(Start::Access) => self.access_text(text).map(Content::Access),
            Some(Start::CroppedAccess) => Err(Reject::AccessShape),
            Some(Start::Bracket) => component::bracket(text, &mut self.minutes).map(Content::Component),
            Some(Start::Timed) => component::timed(text, &mut self.minutes).map(Content::Component),
            Some(Start::Json) => Ok(self.json(text, unescaped)),
            None => Ok(no_start(text, message, &mut self.written)),
        };
        read.unwrap_or_else(Content::Unknown)
    }

    fn access_text<'block>(&mut self, text: &'block [u8]) -> Result<AccessRow<'block>, Reject> {
        let mut row = AccessRow::empty(AccessFormat::IstioText);
        match access_text::decode(text, &mut self.minutes, self.scanner, &mut self.blanks, &mut row) {
            Some(len) if len == text.len() => Ok(row),
            _ => access_exact::decode(text, &mut self.minutes),
        }
    }

    fn json<'block>(&mut self, text: &'block [u8], unescaped: &'block mut Vec<u8>) -> Content<'block> {
        let mut row = AccessRow::empty(AccessFormat::IstioJson);
        match access_json::decode_in_order(text, &mut self.minutes, self.scanner, &mut self.order, &mut row) {
            Some(()) => Content::Access(row),
            None => access_json::decode(text, &mut self.minutes, &mut self.order, unescaped),
        }
    }
}

/// The lines of a block.
#[derive(Clone, Copy, Debug)]
struct Lines<'block> {
    data: &'block [u8],
    offset: usize,
    line: u32,
}

impl<'block> Lines<'block> {
    #[inline]
    fn rest(&self) -> &'block [u8] {
        self.data.get(self.offset..).unwrap_or_default()
    }

    #[inline]
    fn next(&mut self) -> Option<LineAt<'block>> {
        let rest = self.rest();
        if rest.is_empty() {
            None
        } else {
            self.take(memchr(b'\n', rest).unwrap_or(rest.len()))
        }
    }

    /// The next line, whose length without its newline is known.
    #[inline]
    fn take(&mut self, len: usize) -> Option<LineAt<'block>> {
        let text = self.rest().get(..len)?;
        let at = LineAt {
            offset: self.offset,
            line: self.line,
            text: without_carriage_return(text),
        };
        self.offset = self.offset.saturating_add(len).saturating_add(1);
        self.line = self.line.saturating_add(1);
        Some(at)
    }
}

#[inline]
fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line that begins no record: its meaning depends on what stands before it.
fn no_start<'block>(
    text: &'block [u8],
    message: Option<WrapperSet>,
    minutes: &mut MinuteCache,
) -> Content<'block> {
    let text = match message {
        Some(kinds) if kinds.iter().any(|kind| kind == Wrapper::KubectlTimestamps) => {
            after_timestamp(text, minutes).unwrap_or(text)
        }
        _ => text,
    };
    if text.trim_ascii().is_empty() {
        Content::Blank
    } else if is_binary(text) {
        Content::Unknown(Reject::Binary)
    } else if message.is_some() || component::is_thread_mark(text) {
        Content::Continuation(text)
    } else {
        Content::Unknown(Reject::Form)
    }
}

/// The wrappers of the component message that goes on after `line`.
fn message_after(line: &Line<'_>, before: Option<WrapperSet>) -> Option<WrapperSet> {
    match line.content {
        Content::Component(_) => Some(line.wrapping.kinds),
        Content::Continuation(_) | Content::Blank | Content::Unknown(Reject::Binary) => before,
        Content::Access(_) | Content::Unknown(_) => None,
    }
}

/// Holds NUL, or its first bytes are mostly control characters or no UTF-8.
fn is_binary(text: &[u8]) -> bool {
    let head = text.get(..256).unwrap_or(text);
    let is_text = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    let odd = |byte: &&u8| match **byte {
        b'\t' | 0x1b => false,
        byte => byte.is_ascii_control() || !is_text && !byte.is_ascii(),
    };
    head.iter().filter(odd).count() > head.len() / 2 || memchr(0, text).is_some()
}

/// Whether a block may be cut between two lines (without their line ends): `next` begins a record, and
/// `previous` is not a piece of a partial line.
pub fn may_cut(previous: &[u8], next: &[u8]) -> bool {
    let mut minutes = MinuteCache::default();
    let mut unwrapped = Unwrapped::default();
    start_of(peel(next, &mut unwrapped, &mut minutes).text).is_some()
        && !peel(previous, &mut unwrapped, &mut minutes).partial
}
