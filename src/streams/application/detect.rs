//! First bytes of a side to a protocol. Ports only hint, and only at DNS.

use super::reader::Reader;
use crate::streams::record::Side;

/// What first bytes can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tls,
    Http1,
    Http2,
    Dns,
    ProxyProtocol,
    PeerExchange,
    /// `PostgreSQL`'s request for TLS or its one-byte answer: what follows is told anew.
    TlsRequest(u8),
    Unknown,
}

/// Bytes after which each protocol is told or excluded.
pub(super) const PREFIX_BYTES: usize = 24;

/// Whether bytes begin a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    More,
}

impl Fit {
    fn from_bool(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What `bytes` (all that the side sent so far) are; `None` while more bytes are needed.
pub(super) fn detect(bytes: &[u8], side: Side, dns_port: bool) -> Option<Kind> {
    let candidates: [(Fit, Kind); 9] = [
        (tls(bytes), Kind::Tls),
        (ssl2(bytes, side), Kind::Tls),
        (prefix(bytes, b"PRI * HTTP/2.0\r\n"), Kind::Http2),
        (http1(bytes, side), Kind::Http1),
        (
            either(prefix(bytes, b"PROXY "), prefix(bytes, &PROXY_V2)),
            Kind::ProxyProtocol,
        ),
        (prefix(bytes, &PEER_EXCHANGE_MAGIC), Kind::PeerExchange),
        (tls_request(bytes), Kind::TlsRequest(8)),
        (settings(bytes, side), Kind::Http2),
        (dns(bytes, side, dns_port), Kind::Dns),
    ];
    let mut undecided = false;
    for (fit, kind) in candidates {
        match fit {
            Fit::Yes => return Some(kind),
            Fit::More => undecided = true,
            Fit::No => {}
        }
    }
    (!undecided).then_some(Kind::Unknown)
}

/// First bytes of PROXY protocol version 2 (haproxy, `proxy-protocol.txt`, section 2.2).
pub(super) const PROXY_V2: [u8; 12] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
];

/// First bytes of Istio's metadata exchange (`source/extensions/filters/network/metadata_exchange`).
pub(super) const PEER_EXCHANGE_MAGIC: [u8; 4] = [0x3d, 0x23, 0x04, 0x67];

/// Longest TLS record: 2^14 bytes and 2048 of expansion (RFC 5246 section 6.2.3).
const MAX_RECORD: u16 = 16_384 + 2_048;

fn either(one: Fit, other: Fit) -> Fit {
    match (one, other) {
        (Fit::Yes, _) | (_, Fit::Yes) => Fit::Yes,
        (Fit::More, _) | (_, Fit::More) => Fit::More,
        (Fit::No, Fit::No) => Fit::No,
    }
}

fn prefix(bytes: &[u8], start: &[u8]) -> Fit {
    if bytes.starts_with(start) {
        Fit::Yes
    } else if start.starts_with(bytes) {
        Fit::More
    } else {
        Fit::No
    }
}

/// Each test in turn on the byte at its place.
fn bytewise(bytes: &[u8], tests: &[fn(u8) -> bool]) -> Fit {
    for (place, test) in tests.iter().enumerate() {
        match bytes.get(place) {
            None => return Fit::More,
            Some(byte) if !test(*byte) => return Fit::No,
            Some(_) => {}
        }
    }
    Fit::Yes
}

/// The header of a TLS record: type, version and length (RFC 8446 section 5.1, RFC 6520 for type 24).
pub(super) fn tls_record(header: [u8; 5]) -> Option<(u8, u16)> {
    let [kind, major, minor, high, low] = header;
    let length = u16::from_be_bytes([high, low]);
    let plausible = (20..=24).contains(&kind) && major == 3 && minor <= 4 && length <= MAX_RECORD;
    let content = kind == 23 || length > 0;
    (plausible && content).then_some((kind, length))
}

fn tls(bytes: &[u8]) -> Fit {
    if let Some(header) = bytes.first_chunk() {
        return Fit::from_bool(tls_record(*header).is_some());
    }
    bytewise(
        bytes,
        &[
            |kind| (20..=24).contains(&kind),
            |major| major == 3,
            |minor| minor <= 4,
            |high| high <= 0x48,
            |_| true,
        ],
    )
}

/// A client hello of SSL 2.0 or in its format (RFC 5246 appendix E.2).
fn ssl2(bytes: &[u8], side: Side) -> Fit {
    if side == Side::Server {
        return Fit::No;
    }
    bytewise(
        bytes,
        &[
            |high| high == 0x80,
            |low| low >= 9,
            |kind| kind == 1,
            |major| major == 3 || major == 0,
            |minor| minor <= 4,
        ],
    )
}

/// Methods that are used without a path that begins with a slash, or often enough to be known.
const METHODS: [&[u8]; 12] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"M-SEARCH",
    b"REPORT",
];

/// Longest method that is taken for one.
const MAX_METHOD: usize = 16;

fn http1(bytes: &[u8], side: Side) -> Fit {
    match side {
        Side::Client => request_start(bytes),
        Side::Server => prefix(bytes, b"HTTP/1."),
    }
}

/// A method, a blank, and the beginning of what a request may ask for.
fn request_start(bytes: &[u8]) -> Fit {
    let method_byte = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-' || *byte == b'_';
    let length = bytes
        .iter()
        .take(MAX_METHOD + 1)
        .take_while(|byte| method_byte(byte))
        .count();
    let (method, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
    if length > MAX_METHOD || (length == 0 && !rest.is_empty()) {
        return Fit::No;
    }
    let known = METHODS.contains(&method);
    match rest {
        [] | [b' '] => Fit::More,
        [b' ', b'/', ..] => Fit::Yes,
        [b' ', first, ..] if method == b"CONNECT" => {
            Fit::from_bool(first.is_ascii_alphanumeric() || *first == b'[')
        }
        [b' ', b'*', ..] => Fit::from_bool(known),
        [b' ', target @ ..] if known => either(prefix(target, b"http://"), prefix(target, b"https://")),
        _ => Fit::No,
    }
}

/// Method and target of a first line that is whole, whatever stands in place of the version.
pub(super) fn request_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = head.get(..memchr::memchr(b'\n', head)?)?;
    if request_start(head) != Fit::Yes {
        return None;
    }
    let mut words = line.trim_ascii_end().splitn(3, |byte| *byte == b' ');
    Some((words.next()?, words.next()?))
}

/// SETTINGS that are no acknowledgment, as a server begins (RFC 9113 section 3.4).
fn settings(bytes: &[u8], side: Side) -> Fit {
    if side == Side::Client {
        return Fit::No;
    }
    bytewise(
        bytes,
        &[
            |byte| byte == 0,
            |byte| byte == 0,
            |length| length.is_multiple_of(6),
            |kind| kind == 4,
            |flags| flags == 0,
            |byte| byte == 0,
            |byte| byte == 0,
            |byte| byte == 0,
            |byte| byte == 0,
        ],
    )
}

/// `SSLRequest` of the database `PostgreSQL` (protocol documentation, section 55.7).
fn tls_request(bytes: &[u8]) -> Fit {
    prefix(bytes, &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
}

/// Longest DNS message over TCP that is taken for one on a port that is not that of DNS.
const MAX_UNHINTED_DNS: u16 = 4096;

/// Length, then a DNS header with one question (RFC 1035 sections 4.1.1 and 4.2.2).
fn dns(bytes: &[u8], side: Side, dns_port: bool) -> Fit {
    let shortest: u16 = if dns_port { 12 } else { 17 };
    let longest = if dns_port { u16::MAX } else { MAX_UNHINTED_DNS };
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Fit::More;
    };
    let length = u16::from_be_bytes(*length);
    if !(shortest..=longest).contains(&length) {
        return Fit::No;
    }
    let Some((header, _)) = rest.split_first_chunk::<12>() else {
        return Fit::More;
    };
    let [
        _,
        _,
        flags,
        low_flags,
        qd_high,
        qd_low,
        an_high,
        _,
        ns_high,
        _,
        ar_high,
        _,
    ] = *header;
    let opcode = flags >> 3 & 0x0f;
    if dns_port {
        return Fit::from_bool(opcode <= 6);
    }
    let answer = flags & 0x80 != 0;
    let counts = qd_high == 0 && qd_low == 1 && an_high == 0 && ns_high == 0 && ar_high == 0;
    let query = low_flags.trailing_zeros() >= 4 && flags & 0x04 == 0;
    Fit::from_bool(
        opcode == 0
            && low_flags & 0x40 == 0
            && counts
            && answer == (side == Side::Server)
            && (answer || query),
    )
}

/// What bytes in the midst of a connection are, where they show it: the capture began late, bytes are missing, or the
/// connection changed its protocol. Asks for more than [`detect`], since nothing says that a message begins here.
pub(super) fn detect_late(bytes: &[u8], side: Side) -> Option<Kind> {
    if late_tls(bytes) {
        return Some(Kind::Tls);
    }
    if bytes.starts_with(b"PRI * HTTP/2.0\r\n") || frames_fit(bytes) {
        return Some(Kind::Http2);
    }
    http1_start_line(bytes, side).then_some(Kind::Http1)
}

/// A first line of HTTP/1 that is whole.
pub(super) fn http1_start_line(bytes: &[u8], side: Side) -> bool {
    let line = memchr::memchr(b'\n', bytes.get(..8192.min(bytes.len())).unwrap_or_default())
        .and_then(|end| bytes.get(..end))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match (line, side) {
        (Some(line), Side::Client) => {
            request_start(bytes) == Fit::Yes && (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
        }
        (Some(line), Side::Server) => {
            matches!(line, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', code @ ..]
                if code.iter().take_while(|byte| byte.is_ascii_digit()).count() == 3)
        }
        (None, _) => false,
    }
}

/// A record header whose record ends with `bytes`, or is followed by another, or goes on for long.
pub(super) fn late_tls(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let Some((kind, length)) = tls_record(*header) else {
        return false;
    };
    match rest.get(usize::from(length)..) {
        Some(next) if next.len() < 5 => tls(next) != Fit::No,
        Some(next) => tls(next) == Fit::Yes,
        None => {
            header.get(2) == Some(&3) && matches!(kind, 22 | 23) || kind == 22 && rest.first() == Some(&1)
        }
    }
}

/// The header of an HTTP/2 frame: length, type, flags, stream; `None` where it cannot be one (RFC 9113 sections 4.1 and
/// 6). Types that are not known are to be ignored (section 5.5).
pub(super) fn http2_frame(header: [u8; 9]) -> Option<(u32, u8, u8, u32)> {
    let mut reader = Reader(&header);
    let (length, kind, flags) = (reader.u24()?, reader.u8()?, reader.u8()?);
    let stream = reader.u32()? & 0x7fff_ffff;
    let sound = match kind {
        0 | 1 | 9 => stream != 0,
        2 => stream != 0 && length == 5,
        3 => stream != 0 && length == 4,
        4 => stream == 0 && length.is_multiple_of(6) && length <= 6 * 64,
        5 => stream != 0 && length >= 4,
        6 => stream == 0 && length == 8,
        7 => stream == 0 && length >= 8,
        8 => length == 4,
        _ => true,
    };
    sound.then_some((length, kind, flags, stream))
}

/// Longest frame that is believed where nothing says that a frame begins; 16 KiB is the initial limit.
const MAX_LATE_FRAME: u32 = 1 << 20;

/// True if `bytes` are whole frames, or at least one of them and then the beginning of another.
pub(super) fn frames_fit(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for frames in 0..4 {
        let Some((header, body)) = rest.split_first_chunk() else {
            return frames > 1 || (rest.is_empty() && frames > 0);
        };
        let Some((length @ ..=MAX_LATE_FRAME, 0..=9, ..)) = http2_frame(*header) else {
            return false;
        };
        match body.get(length as usize..) {
            Some(next) => rest = next,
            None => return frames > 0,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Kind, PREFIX_BYTES, detect, detect_late};
    use crate::streams::record::Side;
    use Side::{Client, Server};

    #[test]
    fn first_bytes_tell_the_protocol() {
        let cases: [(&[u8], Side, bool, Option<Kind>); 31] = [
            (b"\x16\x03\x01\x02\x00\x01", Client, false, Some(Kind::Tls)),
            (b"\x16\x03\x01", Client, false, None),
            (b"\x16\x03\x01\xff\xff", Client, false, Some(Kind::Unknown)),
            (b"\x15\x03\x03\x00\x02\x02\x28", Server, false, Some(Kind::Tls)),
            (b"\x80\x2e\x01\x03\x01", Client, false, Some(Kind::Tls)),
            (b"\x80\x2e\x01\x03\x01", Server, false, Some(Kind::Unknown)),
            (b"GET / HTTP/1.1\r\n", Client, false, Some(Kind::Http1)),
            (b"GE", Client, false, None),
            (b"GET", Client, false, None),
            (b"GET ", Client, false, None),
            (b"GET http://a/ HTTP/1.1", Client, false, Some(Kind::Http1)),
            (b"GET x", Client, false, Some(Kind::Unknown)),
            (b"BREW /pot HTTP/1.1", Client, false, Some(Kind::Http1)),
            (b"EHLO mail.example.com\r\n", Client, false, Some(Kind::Unknown)),
            (b"OPTIONS sip:a@b SIP/2.0", Client, false, Some(Kind::Unknown)),
            (b"DESCRIBE rtsp://a RTSP/1.0", Client, false, Some(Kind::Unknown)),
            (b"OPTIONS * HTTP/1.1\r\n", Client, false, Some(Kind::Http1)),
            (b"CONNECT a:443 HTTP/1.1", Client, false, Some(Kind::Http1)),
            (b"AVERYLONGWORDINDEED /", Client, false, Some(Kind::Unknown)),
            (b"HTTP/1.1 200 OK", Server, false, Some(Kind::Http1)),
            (b"HTTP/", Server, false, None),
            (
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Client,
                false,
                Some(Kind::Http2),
            ),
            (b"\0\0\x12\x04\0\0\0\0\0", Server, false, Some(Kind::Http2)),
            (b"\0\0\x12\x04\0\0\0\0\0", Client, false, Some(Kind::Unknown)),
            (b"PROXY TCP4 1.2.3.4", Client, false, Some(Kind::ProxyProtocol)),
            (b"\r\n\r\n\0\r\nQUIT\n!", Client, false, Some(Kind::ProxyProtocol)),
            (
                b"\x3d\x23\x04\x67\0\0\0\x01",
                Client,
                false,
                Some(Kind::PeerExchange),
            ),
            (
                b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example",
                Client,
                false,
                Some(Kind::Dns),
            ),
            (
                b"\0\x1d\x12\x34\x01\0\0\x02\0\0\0\0\0\0\x07example",
                Client,
                true,
                Some(Kind::Dns),
            ),
            (
                b"\0\x1d\x12\x34\x01\0\0\x02\0\0\0\0\0\0\x07example",
                Client,
                false,
                Some(Kind::Unknown),
            ),
            (
                b"\0\0\0\x08\x04\xd2\x16\x2f",
                Client,
                false,
                Some(Kind::TlsRequest(8)),
            ),
        ];
        for (bytes, side, dns_port, expected) in cases {
            assert_eq!(
                detect(bytes, side, dns_port),
                expected,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_longer_beginning_never_changes_what_was_told() {
        let starts: [&[u8]; 6] = [
            b"\x16\x03\x01\x02\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"GET /index.html HTTP/1.1\r\nHost: a\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x09",
            b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01",
            b"no protocol that is known",
        ];
        for start in starts {
            for side in [Client, Server] {
                let whole = detect(start, side, false);
                assert!(whole.is_some(), "{PREFIX_BYTES} bytes suffice");
                for cut in 0..start.len() {
                    let told = detect(&start[..cut], side, false);
                    assert!(
                        told.is_none() || told == whole,
                        "{} at {cut}",
                        start.escape_ascii()
                    );
                    assert!(told.is_some() || cut < PREFIX_BYTES);
                }
            }
        }
    }

    #[test]
    fn the_midst_of_a_connection_asks_for_more() {
        assert_eq!(detect_late(b"\x17\x03\x03\0\x01x", Client), Some(Kind::Tls));
        assert_eq!(detect_late(b"\x17\x03\x03\0\x01xx", Client), None);
        assert_eq!(
            detect_late(b"\x17\x03\x03\0\x01x\x15\x03\x03\0\x02", Client),
            Some(Kind::Tls)
        );
        assert_eq!(detect_late(b"GET / HTTP/1.1\r\n", Client), Some(Kind::Http1));
        assert_eq!(detect_late(b"GET / HTTP/1.1", Client), None);
        assert_eq!(detect_late(b"HTTP/1.1 503 x\r\n", Server), Some(Kind::Http1));
        assert_eq!(detect_late(b"HTTP/1.1 503 x\r\n", Client), None);
        let ping = b"\0\0\x08\x06\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        assert_eq!(detect_late(ping, Server), Some(Kind::Http2));
        assert_eq!(detect_late(&ping[..12], Server), None);
    }
}
