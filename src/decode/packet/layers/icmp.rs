//! ICMP (RFC 792), ICMPv6 (RFC 4443), and the packets that their errors quote.

use super::Layers;
use super::ip::{ICMPV6, TCP, UDP};
use super::span::Span;
use crate::decode::packet::{Address, Endpoint, IcmpMessage, Packet, Quoted, Transport};

/// Bytes before the quoted packet, and before the data of an echo.
const HEADER_BYTES: usize = 8;

impl Layers {
    pub(super) fn icmp(&mut self, v6: bool, span: Span<'_>, packet: &mut Packet) {
        let Some(&[message_type, code]) = span.bytes.first_chunk() else {
            return self.cut();
        };
        let count = self.summary.icmp.entry((v6, message_type, code)).or_insert(0);
        *count = count.saturating_add(1);
        let body = span.skip(HEADER_BYTES);
        let quotes = if v6 {
            matches!(message_type, 1..=4)
        } else {
            matches!(message_type, 3 | 4 | 5 | 11 | 12)
        };
        packet.transport = Transport::Icmp(IcmpMessage {
            v6,
            message_type,
            code,
            quoted: quotes.then(|| quoted(body.bytes)).flatten(),
        });
        packet.payload = body.range();
        packet.payload_wire_bytes = body.wire_bytes();
    }
}

/// What a quoted packet says of its connection. Read by hand: quotes are cut as a rule, and `etherparse` 0.21 walks the
/// extension headers of a packet that is cut beyond its end (without a check: found by fuzzing).
/// Sequence number and ports need the first eight bytes of the
/// transport, which is all that must be quoted.
fn quoted(bytes: &[u8]) -> Option<Quoted> {
    let (protocol, source, destination, transport) = match bytes.first()? >> 4 {
        4 => quoted_ipv4(bytes)?,
        6 => quoted_ipv6(bytes)?,
        _ => return None,
    };
    let mut quoted = Quoted {
        protocol,
        source: Endpoint {
            address: source,
            port: 0,
        },
        destination: Endpoint {
            address: destination,
            port: 0,
        },
        sequence: None,
    };
    if let (TCP | UDP | 132, Some(&[s0, s1, d0, d1])) = (protocol, transport.first_chunk()) {
        quoted.source.port = u16::from_be_bytes([s0, s1]);
        quoted.destination.port = u16::from_be_bytes([d0, d1]);
    }
    if let (TCP, Some(&[_, _, _, _, q0, q1, q2, q3])) = (protocol, transport.first_chunk()) {
        quoted.sequence = Some(u32::from_be_bytes([q0, q1, q2, q3]));
    }
    Some(quoted)
}

fn quoted_ipv4(bytes: &[u8]) -> Option<(u8, Address, Address, &[u8])> {
    let head = bytes.first_chunk::<20>()?;
    let header_bytes = usize::from(head[0] & 0x0f) << 2;
    let first = matches!([head[6] & 0x1f, head[7]], [0, 0]);
    let transport = bytes
        .get(header_bytes.max(20)..)
        .filter(|_| first)
        .unwrap_or_default();
    Some((
        head[9],
        Address::v4([head[12], head[13], head[14], head[15]]),
        Address::v4([head[16], head[17], head[18], head[19]]),
        transport,
    ))
}

/// Extension headers that are looked behind.
const QUOTED_EXTENSIONS_MAX: usize = 8;

fn quoted_ipv6(bytes: &[u8]) -> Option<(u8, Address, Address, &[u8])> {
    let (head, mut rest) = bytes.split_first_chunk::<40>()?;
    let source = Address(*head[8..24].first_chunk()?);
    let destination = Address(*head[24..40].first_chunk()?);
    let mut protocol = head[6];
    for _ in 0..QUOTED_EXTENSIONS_MAX {
        let header_bytes = match (protocol, rest) {
            (TCP | UDP | ICMPV6, _) => break,
            (0 | 43 | 60, [_, length, ..]) => usize::from(*length).saturating_add(1) << 3,
            (44, [_, _, offset, low, ..]) if *offset == 0 && *low < 8 => 8,
            _ => break,
        };
        protocol = rest.first().copied().unwrap_or(protocol);
        rest = rest.get(header_bytes..).unwrap_or_default();
    }
    Some((protocol, source, destination, rest))
}
