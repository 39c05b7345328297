//! What the records of both sides say together.

use super::hello::{ClientHello, ServerHello};
use crate::decode::packet::FrameRef;
use crate::streams::application::certificate;
use crate::streams::application::reader::Reader;
use crate::streams::application::{Moment, elapsed_ns};
use crate::streams::record::{Side, TlsAlert, TlsFacts};

/// Certificates that are kept of a connection.
const MAX_CERTIFICATES: usize = 8;
/// Certificates of one message that are looked at.
const MAX_CERTIFICATES_OF_CHAIN: usize = 16;
/// Clear alerts that are kept of a connection.
const MAX_ALERTS: usize = 8;
/// Kinds of handshake messages that are told apart; RFC 8446 and what it builds on have fewer.
const MAX_MESSAGE_KINDS: usize = 32;

const TLS_1_3: u16 = 0x0304;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const SERVER_HELLO_DONE: u8 = 14;

/// The handshake of a connection, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    facts: TlsFacts,
    /// Session that the client offered to resume (TLS 1.2); at most 32 bytes.
    session: Vec<u8>,
    /// True once the server sent what a resumed handshake has no room for.
    full: bool,
    /// Whose Finished was seen, encrypted (TLS 1.2).
    finished: [bool; 2],
    /// Who sent application data beyond the size of an alert; the client's counts after the server hello only.
    data: [bool; 2],
}

impl Handshake {
    pub(super) fn is_tls_1_3(&self) -> bool {
        self.facts.version == Some(TLS_1_3)
    }

    /// True if a hello was seen, or an alert in its place.
    pub(super) fn begun(&self) -> bool {
        self.facts.client_hellos > 0 || self.facts.server_hellos > 0 || !self.facts.alerts.is_empty()
    }

    pub(super) fn not_tls(&mut self, side: Side, (_, at): Moment) {
        self.facts.not_tls.get_or_insert((side, at));
    }

    pub(super) fn alert_sized_then_closed(&mut self, side: Side, at: FrameRef) {
        if self.facts.version.is_none_or(|version| version == TLS_1_3) {
            self.facts.encrypted_alert_then_close.get_or_insert((side, at));
        }
    }

    pub(super) fn ssl2_client_hello(&mut self, version: u16, moment: Moment) {
        self.facts.client_hellos += 1;
        self.facts.client_hello.get_or_insert(moment);
        self.facts.version_offered = self.facts.version_offered.or(Some(version));
    }

    /// A handshake message in clear, or what there is of one.
    pub(super) fn message(&mut self, side: Side, kind: u8, body: &[u8], moment: Moment) {
        let kinds = &mut self.facts.handshake_messages;
        if kinds.len() < MAX_MESSAGE_KINDS || kinds.contains_key(&kind) {
            *kinds.entry(kind).or_default() += 1;
        }
        match (kind, side) {
            (CLIENT_HELLO, _) => self.client_hello(&ClientHello::read(body), moment),
            (SERVER_HELLO, _) => self.server_hello(&ServerHello::read(body), moment),
            (CERTIFICATE, _) => {
                self.full |= side == Side::Server;
                self.certificates(side, Reader(body), moment);
            }
            (SERVER_KEY_EXCHANGE | SERVER_HELLO_DONE, _) => self.full = true,
            _ => {}
        }
    }

    fn client_hello(&mut self, hello: &ClientHello<'_>, moment: Moment) {
        let facts = &mut self.facts;
        facts.client_hellos += 1;
        facts.client_hello.get_or_insert(moment);
        facts.version_offered = facts.version_offered.or(hello.version);
        if facts.sni.is_none() {
            facts.sni = hello.server_name.map(text);
        }
        if facts.alpn_offered.is_empty() {
            facts.alpn_offered = hello.protocols.iter().map(|name| text(name)).collect();
        }
        self.session = hello.session.get(..32).unwrap_or(hello.session).to_vec();
        self.full = false;
    }

    fn server_hello(&mut self, hello: &ServerHello<'_>, moment: Moment) {
        let facts = &mut self.facts;
        facts.version = hello.version.or(facts.version);
        if hello.retry {
            facts.hello_retry_requests += 1;
            return;
        }
        facts.server_hellos += 1;
        facts.server_hello.get_or_insert(moment);
        facts.cipher_suite = hello.cipher_suite.or(facts.cipher_suite);
        facts.alpn = hello.protocol.map(text).or_else(|| facts.alpn.take());
        let echoed = !hello.session.is_empty() && hello.session == self.session;
        facts.resumed = hello.pre_shared_key || (echoed && hello.version != Some(TLS_1_3));
        self.full = false;
    }

    /// The list of certificates of TLS 1.2 (RFC 5246 section 7.4.2).
    fn certificates(&mut self, side: Side, mut body: Reader<'_>, (_, at): Moment) {
        let Some(length) = body.u24() else {
            return;
        };
        let mut list = Reader(body.0.get(..length as usize).unwrap_or(body.0));
        for number in 0..MAX_CERTIFICATES_OF_CHAIN {
            let Some(der) = list.vector24() else {
                return;
            };
            if self.facts.certificates.len() < MAX_CERTIFICATES
                && let Some(facts) = certificate::read(der.0, number == 0, at)
            {
                self.facts.certificates.push((side, facts));
            }
        }
    }

    pub(super) fn change_of_cipher(&mut self, side: Side) {
        let hello = self.facts.server_hellos > 0 && !self.is_tls_1_3();
        if side == Side::Server && hello {
            // Straight from the hello to the change of cipher: only a session or a ticket allows it (RFC 5077).
            self.facts.resumed = !self.full;
        }
    }

    /// A handshake record after the change of cipher: the first one is Finished (TLS 1.2).
    pub(super) fn encrypted_message(&mut self, side: Side, moment: Moment) {
        if let Some(finished) = self.finished.get_mut(side.index()) {
            *finished = true;
        }
        if side == Side::Server {
            self.measure(moment);
        }
        self.facts.established |= self.finished == [true; 2];
    }

    /// A record of application data, which in TLS 1.3 may be a handshake message.
    pub(super) fn application_data(&mut self, side: Side, beyond_alert: bool, moment: Moment) {
        if side == Side::Server {
            self.measure(moment);
        }
        if !beyond_alert {
            return;
        }
        let facts = &self.facts;
        let hello_seen = facts.client_hellos > 0;
        let counts = match side {
            Side::Client => !hello_seen || facts.server_hellos > 0,
            // What the server encrypts before the client's Finished is its part of the handshake.
            Side::Server => !hello_seen || !self.is_tls_1_3() || self.data == [true, false],
        };
        if let Some(data) = self.data.get_mut(side.index()) {
            *data |= counts;
        }
        self.facts.established |= self.data == [true; 2];
    }

    /// The server has done its part.
    fn measure(&mut self, (time, _): Moment) {
        if let Some((start, _)) = self.facts.client_hello
            && self.facts.handshake_ns.is_none()
            && self.facts.server_hellos > 0
        {
            self.facts.handshake_ns = elapsed_ns(start, time);
        }
    }

    /// An alert in clear. After missing bytes only what makes sense is believed.
    pub(super) fn alert(
        &mut self,
        side: Side,
        [level, description]: [u8; 2],
        incomplete: bool,
        (time, at): Moment,
    ) {
        let sound = matches!(level, 1 | 2);
        if (sound || !incomplete) && self.facts.alerts.len() < MAX_ALERTS {
            self.facts.alerts.push(TlsAlert {
                side,
                level,
                description,
                time,
                at,
            });
        }
    }

    pub(super) fn encrypted_alert(&mut self) {
        self.facts.encrypted_alerts += 1;
    }

    pub(super) fn finish(self) -> TlsFacts {
        self.facts
    }
}

/// Lossily as UTF-8: names are at most 255 bytes here, or 64 KiB where somebody wants to hurt.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..255).unwrap_or(bytes)).into_owned()
}
