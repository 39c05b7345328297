//! TLS records, and what they say in clear: hellos, certificates, alerts.
//!
//! Established TLS costs five bytes looked at per record: what a record holds is skipped by its length, and so are bytes
//! that are missing from the capture inside of it.

mod handshake;
pub(super) mod hello;
mod message;
pub(super) mod names;

use self::handshake::Handshake;
use self::message::Message;
use super::detect;
use super::{Chunk, Moment};
use crate::streams::record::{Side, TlsFacts};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// No type of a record: the rest of a client hello in the format of SSL 2.0.
const SSL2_HELLO: u8 = 0;

/// Longest record of TLS 1.3 that can be an alert: 2 bytes, the content type, a tag of 16, and a little padding.
const LONGEST_ENCRYPTED_ALERT: u16 = 24;
/// The shortest.
const SHORTEST_ENCRYPTED_ALERT: u16 = 19;

/// The TLS of a connection.
#[derive(Debug, Default)]
pub(super) struct Tls {
    sides: [Direction; 2],
    handshake: Handshake,
}

/// The records of one side.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent states, each named")]
struct Direction {
    header: [u8; 5],
    header_bytes: u8,
    /// Type of the present record.
    kind: u8,
    /// Its length.
    length: u16,
    /// Bytes of it that are still to come.
    remaining: u16,
    /// The two bytes of a clear alert.
    alert: [u8; 2],
    /// The handshake message that is not whole yet.
    message: Message,
    /// True after the first header.
    begun: bool,
    /// True after a change of cipher.
    cipher_changed: bool,
    /// Looking for the next record header: bytes are missing, or something else was sent.
    lost: bool,
    /// Bytes were missing, or the beginning was not seen, or something else was sent.
    incomplete: bool,
    /// The last record if it is whole and the last thing that was sent: type, length, end.
    last: Option<(u8, u16, Moment)>,
    closed: bool,
}

impl Tls {
    /// A side is seen from the midst of what it sends.
    pub(super) fn late(&mut self, side: Side) {
        self.direction(side).0.incomplete = true;
    }

    /// The next bytes of a side.
    pub(super) fn bytes(&mut self, chunk: &Chunk<'_>) {
        let (direction, handshake) = self.direction(chunk.side);
        direction.bytes(chunk, handshake);
    }

    /// Bytes of a side that are missing for good.
    pub(super) fn gap(&mut self, side: Side, bytes: u64, last: Moment) {
        let (direction, handshake) = self.direction(side);
        direction.gap(side, bytes, last, handshake);
    }

    /// A side closed.
    pub(super) fn closed(&mut self, side: Side) {
        let (direction, handshake) = self.direction(side);
        if std::mem::replace(&mut direction.closed, true)
            || direction.remaining > 0
            || direction.header_bytes > 0
        {
            return;
        }
        if let Some((APPLICATION_DATA, length, (_, at))) = direction.last
            && (SHORTEST_ENCRYPTED_ALERT..=LONGEST_ENCRYPTED_ALERT).contains(&length)
        {
            handshake.alert_sized_then_closed(side, at);
        }
    }

    /// The other side of a TLS handshake began with something else, which says so if this side's beginning was seen.
    pub(super) fn met_plaintext(&mut self, plain: Side, at: Moment) {
        if self.handshake.begun() {
            self.handshake.not_tls(plain, at);
        }
    }

    pub(super) fn finish(self) -> TlsFacts {
        self.handshake.finish()
    }

    fn direction(&mut self, side: Side) -> (&mut Direction, &mut Handshake) {
        let [client, server] = &mut self.sides;
        let direction = match side {
            Side::Client => client,
            Side::Server => server,
        };
        (direction, &mut self.handshake)
    }
}

impl Direction {
    fn bytes(&mut self, chunk: &Chunk<'_>, handshake: &mut Handshake) {
        let mut rest = chunk.bytes;
        while !rest.is_empty() {
            if self.remaining > 0 {
                let bytes = rest.len().min(usize::from(self.remaining));
                let (content, after) = rest.split_at(bytes);
                self.content(content, chunk, handshake);
                rest = after;
            } else if self.lost {
                let Some(found) = resynchronise(rest) else {
                    return;
                };
                self.lost = false;
                rest = found;
            } else {
                let Some((header, after)) = self.next_header(rest) else {
                    return;
                };
                rest = after;
                self.begin(header, chunk, handshake);
            }
        }
    }

    /// The next header and what follows it; `None` while it is not whole.
    fn next_header<'b>(&mut self, bytes: &'b [u8]) -> Option<([u8; 5], &'b [u8])> {
        if self.header_bytes == 0
            && let Some((header, after)) = bytes.split_first_chunk()
        {
            return Some((*header, after));
        }
        let have = usize::from(self.header_bytes);
        let taken = bytes.len().min(self.header.len() - have);
        let (more, after) = bytes.split_at(taken);
        for (place, byte) in self.header.iter_mut().skip(have).zip(more) {
            *place = *byte;
        }
        self.header_bytes += u8::try_from(taken).unwrap_or_default();
        if usize::from(self.header_bytes) < self.header.len() {
            return None;
        }
        self.header_bytes = 0;
        Some((self.header, after))
    }

    fn begin(&mut self, header: [u8; 5], chunk: &Chunk<'_>, handshake: &mut Handshake) {
        self.last = None;
        let first = !std::mem::replace(&mut self.begun, true);
        if let Some((kind, length)) = detect::tls_record(header) {
            (self.kind, self.length, self.remaining) = (kind, length, length);
            self.message.record_begins();
            if length == 0 {
                self.record_end(chunk.side, chunk.moment(), handshake);
            }
        } else if let [0x80, length, 1, major, minor] = header
            && first
        {
            let length = u16::from(length).saturating_sub(3);
            (self.kind, self.length, self.remaining) = (SSL2_HELLO, length, length);
            handshake.ssl2_client_hello(u16::from_be_bytes([major, minor]), chunk.moment());
        } else {
            if !self.incomplete {
                handshake.not_tls(chunk.side, chunk.moment());
            }
            self.lose();
        }
    }

    /// Bytes of the present record.
    fn content(&mut self, content: &[u8], chunk: &Chunk<'_>, handshake: &mut Handshake) {
        match self.kind {
            HANDSHAKE if !self.encrypted(handshake) => {
                let (side, moment) = (chunk.side, chunk.moment());
                self.message
                    .bytes(content, |kind, body| handshake.message(side, kind, body, moment));
            }
            ALERT => {
                let done = usize::from(self.length - self.remaining);
                for (place, byte) in self.alert.iter_mut().skip(done).zip(content) {
                    *place = *byte;
                }
            }
            _ => {}
        }
        self.remaining -= u16::try_from(content.len()).unwrap_or(self.remaining);
        if self.remaining == 0 {
            self.record_end(chunk.side, chunk.moment(), handshake);
        }
    }

    fn record_end(&mut self, side: Side, moment: Moment, handshake: &mut Handshake) {
        self.last = Some((self.kind, self.length, moment));
        match self.kind {
            CHANGE_CIPHER_SPEC => {
                self.cipher_changed = true;
                handshake.change_of_cipher(side);
            }
            ALERT if self.length == 2 => handshake.alert(side, self.alert, self.incomplete, moment),
            ALERT => handshake.encrypted_alert(),
            HANDSHAKE if self.encrypted(handshake) => handshake.encrypted_message(side, moment),
            APPLICATION_DATA => {
                handshake.application_data(side, self.length > LONGEST_ENCRYPTED_ALERT, moment);
            }
            _ => {}
        }
    }

    /// Whether handshake messages are encrypted. In TLS 1.3 a change of cipher says nothing, and what is encrypted comes
    /// as application data (RFC 8446 appendix D.4).
    fn encrypted(&self, handshake: &Handshake) -> bool {
        self.cipher_changed && !handshake.is_tls_1_3()
    }

    fn gap(&mut self, side: Side, bytes: u64, last: Moment, handshake: &mut Handshake) {
        self.incomplete = true;
        self.last = None;
        match u16::try_from(bytes) {
            Ok(bytes) if bytes <= self.remaining && self.remaining > 0 => {
                if self.kind == HANDSHAKE && !self.encrypted(handshake) {
                    self.message.gap(usize::from(bytes), |kind, body| {
                        handshake.message(side, kind, body, last);
                    });
                }
                self.remaining -= bytes;
                // Of an alert in clear it is not known what it said.
                if self.remaining == 0 && (self.kind != ALERT || self.length != 2) {
                    self.record_end(side, last, handshake);
                }
            }
            _ => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.incomplete = true;
        self.header_bytes = 0;
        self.remaining = 0;
        self.message.forget();
    }
}

/// From the first place on where a record seems to begin.
fn resynchronise(bytes: &[u8]) -> Option<&[u8]> {
    memchr::memchr3_iter(APPLICATION_DATA, HANDSHAKE, ALERT, bytes)
        .filter_map(|place| bytes.get(place..))
        .find(|rest| detect::late_tls(rest))
}
