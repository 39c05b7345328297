//! What one segment or datagram shows by itself, for a reader who looks at single packets.
//!
//! Nothing is remembered from packet to packet: a segment that begins in the midst of a record or of a body shows
//! nothing. Figures never come from here; those are of [`super::Conversation`], which sees the bytes in order.

use super::detect::{http1_start_line, http2_frame, request_line, tls_record};
use super::dns::message::Message;
use super::reader::Reader;
use super::tls::hello::{ClientHello, ServerHello};
use super::{alert_name, cipher_suite_name, version_name};
use crate::streams::record::Side;

/// What a payload shows at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Protocol of the payload: `TLS`, `HTTP/1`, `HTTP/2`, `DNS`.
    pub protocol: &'static str,
    /// What it says, at most [`Glance::MAX_CHARS`] characters; as sent, to be escaped where it is shown.
    pub text: String,
    /// Value of the header `x-request-id` of a head of HTTP/1, at most [`Glance::MAX_ID_BYTES`] bytes of it.
    pub request_id: Option<String>,
}

impl Glance {
    /// Longest [`Self::text`].
    pub const MAX_CHARS: usize = 300;
    /// Longest [`Self::request_id`].
    pub const MAX_ID_BYTES: usize = 128;
    /// Records or frames of one payload that are named.
    const MAX_PARTS: usize = 8;

    /// Looks at a segment of TCP that begins with `payload`.
    pub fn at_segment(payload: &[u8], dns_port: bool) -> Option<Self> {
        tls(payload)
            .or_else(|| http1(payload))
            .or_else(|| http2(payload))
            .or_else(|| dns_over_tcp(payload, dns_port))
    }

    /// Looks at a datagram of UDP.
    pub fn at_datagram(payload: &[u8], dns_port: bool) -> Option<Self> {
        dns(payload, dns_port)
    }

    fn new(protocol: &'static str, text: &str) -> Self {
        Self {
            protocol,
            text: text.chars().take(Self::MAX_CHARS).collect(),
            request_id: None,
        }
    }
}

fn tls(payload: &[u8]) -> Option<Glance> {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = payload;
    // After a change of cipher what is called handshake is encrypted (TLS 1.2); its first byte is not a type.
    let mut encrypted = false;
    while let Some((header, body)) = rest.split_first_chunk::<5>() {
        let Some((kind, length)) = tls_record(*header) else {
            break;
        };
        let there = body.get(..usize::from(length)).unwrap_or(body);
        let part = match kind {
            20 => {
                encrypted = true;
                "change cipher spec".to_owned()
            }
            21 => alert(there, length),
            22 => handshake(there, encrypted),
            23 => format!("application data, {length} bytes"),
            _ => "heartbeat".to_owned(),
        };
        parts.push(part);
        rest = body.get(usize::from(length)..).unwrap_or_default();
        if parts.len() == Glance::MAX_PARTS {
            break;
        }
    }
    (!parts.is_empty()).then(|| Glance::new("TLS", &parts.join("; ")))
}

fn alert(body: &[u8], length: u16) -> String {
    match (body, length) {
        ([level @ (1 | 2), description], 2) => {
            let level = if *level == 2 { "fatal" } else { "warning" };
            format!("alert {level} {} ({description})", alert_name(*description))
        }
        _ => "encrypted alert".to_owned(),
    }
}

fn handshake(body: &[u8], encrypted: bool) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut reader = Reader(body);
    while names.len() < Glance::MAX_PARTS && !reader.is_empty() {
        let Some((kind, length)) = reader.u8().zip(reader.u24()) else {
            break;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let name = handshake_name(kind).filter(|_| !encrypted && length <= MAX_HANDSHAKE);
        let Some(name) = name else { break };
        let whole = reader.take(length);
        let message = whole.unwrap_or(reader.0);
        names.push(match kind {
            1 => client_hello(message),
            2 => server_hello(message),
            _ => name.to_owned(),
        });
        if whole.is_none() {
            break;
        }
    }
    if names.is_empty() {
        "encrypted handshake".to_owned()
    } else {
        names.join(", ")
    }
}

/// Longest handshake message that is believed.
const MAX_HANDSHAKE: usize = 128 << 10;

/// Types of handshake messages that pass in clear (RFC 5246 section 7.4, RFC 8446 section 4).
fn handshake_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "hello request",
        1 => "client hello",
        2 => "server hello",
        4 => "new session ticket",
        11 => "certificate",
        12 => "server key exchange",
        13 => "certificate request",
        14 => "server hello done",
        15 => "certificate verify",
        16 => "client key exchange",
        20 => "finished",
        22 => "certificate status",
        _ => return None,
    })
}

fn client_hello(body: &[u8]) -> String {
    let hello = ClientHello::read(body);
    let mut text = "client hello".to_owned();
    if let Some(name) = hello.server_name {
        text.push_str(" SNI ");
        text.push_str(&String::from_utf8_lossy(name));
    }
    let protocols: Vec<_> = hello
        .protocols
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    if !protocols.is_empty() {
        text.push_str(" ALPN ");
        text.push_str(&protocols.join(","));
    }
    text
}

fn server_hello(body: &[u8]) -> String {
    let hello = ServerHello::read(body);
    let mut text = if hello.retry {
        "hello retry request".to_owned()
    } else {
        "server hello".to_owned()
    };
    let version = hello.version.and_then(version_name);
    let suite = hello.cipher_suite.and_then(cipher_suite_name);
    for word in [version, suite].into_iter().flatten() {
        text.push(' ');
        text.push_str(word);
    }
    text
}

/// Bytes of a head in which the request id is looked for.
const MAX_HEAD: usize = 8192;

fn http1(payload: &[u8]) -> Option<Glance> {
    let text = if http1_start_line(payload, Side::Client) {
        let (method, target) = request_line(payload)?;
        format!(
            "{} {}",
            String::from_utf8_lossy(method),
            String::from_utf8_lossy(target)
        )
    } else if http1_start_line(payload, Side::Server) {
        let line = payload.get(..memchr::memchr(b'\n', payload)?)?;
        String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
    } else {
        return None;
    };
    let mut glance = Glance::new("HTTP/1", &text);
    glance.request_id = request_id(payload);
    Some(glance)
}

fn request_id(payload: &[u8]) -> Option<String> {
    let head = payload.get(..MAX_HEAD.min(payload.len()))?;
    let value = head
        .split(|byte| *byte == b'\n')
        .skip(1)
        .take_while(|line| !line.trim_ascii().is_empty())
        .find_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            name.eq_ignore_ascii_case(b"x-request-id").then_some(value)
        })?;
    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
    let value = value.get(..Glance::MAX_ID_BYTES.min(value.len()))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn http2(payload: &[u8]) -> Option<Glance> {
    let (mut parts, mut rest) = match payload.strip_prefix(HTTP2_PREFACE) {
        Some(rest) => (vec!["preface".to_owned()], rest),
        None if super::detect::frames_fit(payload) => (Vec::new(), payload),
        None => return None,
    };
    while let Some((header, body)) = rest.split_first_chunk::<9>() {
        let Some((length, kind, _, stream)) = http2_frame(*header) else {
            break;
        };
        let name = frame_name(kind);
        parts.push(if stream == 0 {
            name.to_owned()
        } else {
            format!("{name} stream {stream}")
        });
        rest = body
            .get(usize::try_from(length).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        if parts.len() == Glance::MAX_PARTS {
            break;
        }
    }
    Some(Glance::new("HTTP/2", &parts.join(", ")))
}

/// Frame types, RFC 9113 section 6.
fn frame_name(kind: u8) -> &'static str {
    match kind {
        0 => "DATA",
        1 => "HEADERS",
        2 => "PRIORITY",
        3 => "RST_STREAM",
        4 => "SETTINGS",
        5 => "PUSH_PROMISE",
        6 => "PING",
        7 => "GOAWAY",
        8 => "WINDOW_UPDATE",
        9 => "CONTINUATION",
        _ => "unknown frame",
    }
}

fn dns_over_tcp(payload: &[u8], dns_port: bool) -> Option<Glance> {
    let (length, message) = payload.split_first_chunk::<2>()?;
    let exact = usize::from(u16::from_be_bytes(*length)) == message.len();
    if exact || dns_port {
        dns(message, dns_port)
    } else {
        None
    }
}

fn dns(payload: &[u8], dns_port: bool) -> Option<Glance> {
    let message = if dns_port {
        Message::read(payload)
    } else {
        Message::read_unhinted(payload)
    }?;
    let kind = match message.record_type {
        1 => "A".to_owned(),
        5 => "CNAME".to_owned(),
        12 => "PTR".to_owned(),
        28 => "AAAA".to_owned(),
        33 => "SRV".to_owned(),
        65 => "HTTPS".to_owned(),
        other => format!("type {other}"),
    };
    let text = if message.answer {
        let outcome = match message.response_code {
            0 => "NOERROR".to_owned(),
            1 => "FORMERR".to_owned(),
            2 => "SERVFAIL".to_owned(),
            3 => "NXDOMAIN".to_owned(),
            5 => "REFUSED".to_owned(),
            other => format!("rcode {other}"),
        };
        let mut text = format!("answer {kind} {} {outcome}", message.name);
        for address in &message.addresses {
            text.push(' ');
            text.push_str(&address.to_string());
        }
        text
    } else {
        format!("question {kind} {}", message.name)
    };
    Some(Glance::new("DNS", &text))
}

/// True for ports on which DNS is spoken.
pub fn is_dns_port(port: u16) -> bool {
    super::dns::is_dns_port(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(payload: &[u8]) -> Option<(&'static str, String)> {
        Glance::at_segment(payload, false).map(|glance| (glance.protocol, glance.text))
    }

    #[test]
    fn what_segments_show() {
        assert_eq!(
            text(b"\x15\x03\x03\x00\x02\x02\x2d"),
            Some(("TLS", "alert fatal certificate_expired (45)".to_owned()))
        );
        assert_eq!(
            text(b"\x17\x03\x03\x00\x05abcde\x15\x03\x03\x00\x1azzzz"),
            Some(("TLS", "application data, 5 bytes; encrypted alert".to_owned()))
        );
        assert_eq!(
            text(b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\n\r\n"),
            Some(("HTTP/1", "HTTP/1.1 503 Service Unavailable".to_owned()))
        );
        assert_eq!(
            text(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            Some(("HTTP/2", "preface, SETTINGS".to_owned()))
        );
        assert_eq!(text(b"midst of a body"), None);
        assert_eq!(text(b""), None);
    }

    #[test]
    fn a_request_tells_its_id() {
        let head = b"GET /ratings/1 HTTP/1.1\r\nhost: ratings:9080\r\nX-Request-Id:  d64c4d97 \r\n\r\nx-request-id: no";
        let glance = Glance::at_segment(head, false).unwrap();
        assert_eq!(glance.text, "GET /ratings/1");
        assert_eq!(glance.request_id.as_deref(), Some("d64c4d97"));
        let body = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nx-request-id: no";
        assert_eq!(Glance::at_segment(body, false).unwrap().request_id, None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(payload in proptest::collection::vec(any::<u8>(), 0..600), dns_port in any::<bool>()) {
            for glance in [Glance::at_segment(&payload, dns_port), Glance::at_datagram(&payload, dns_port)].into_iter().flatten() {
                prop_assert!(glance.text.chars().count() <= Glance::MAX_CHARS);
            }
        }

        #[test]
        fn records_that_lie_end_the_look(kind in 20_u8..25, length in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut payload = vec![kind, 3, 3];
            payload.extend(length.to_be_bytes());
            payload.extend(body);
            let _ = Glance::at_segment(&payload, false);
        }
    }
}
