//! ICMP (RFC 792), ICMPv6 (RFC 4443), and the packets that their errors quote.

use super::Layers;
use super::ip::{TCP, UDP};
use super::span::Span;
use crate::decode::packet::{Address, Endpoint, IcmpMessage, Packet, Quoted, Transport};
use etherparse::{Ipv6ExtensionSlice, LaxIpSlice};

const SCTP: u8 = 132;

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

/// What a quoted packet says of its connection. Sequence number and ports need the first eight bytes of the
/// transport, which is all that must be quoted: the rest of what its lengths promise is missing as a rule.
fn quoted(bytes: &[u8]) -> Option<Quoted> {
    let (packet, _) = LaxIpSlice::from_slice(bytes).ok()?;
    let (source, destination, first) = match &packet {
        LaxIpSlice::Ipv4(packet) => {
            let header = packet.header();
            let first = header.fragments_offset().value() == 0;
            (
                Address::v4(header.source()),
                Address::v4(header.destination()),
                first,
            )
        }
        LaxIpSlice::Ipv6(packet) => {
            let header = packet.header();
            let mut extensions = packet.extensions().clone().into_iter();
            let later = extensions.any(|extension| {
                matches!(extension, Ipv6ExtensionSlice::Fragment(head) if head.fragment_offset().value() != 0)
            });
            (Address(header.source()), Address(header.destination()), !later)
        }
    };
    let payload = packet.payload();
    let protocol = payload.ip_number.0;
    let transport = if first { payload.payload } else { &[] };
    let endpoint = |address, port| Endpoint { address, port };
    let (source_port, destination_port) = match (protocol, transport.first_chunk()) {
        (TCP | UDP | SCTP, Some(&[s0, s1, d0, d1])) => {
            (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
        }
        _ => (0, 0),
    };
    let sequence = match (protocol, transport.first_chunk()) {
        (TCP, Some(&[_, _, _, _, q0, q1, q2, q3])) => Some(u32::from_be_bytes([q0, q1, q2, q3])),
        _ => None,
    };
    Some(Quoted {
        protocol,
        source: endpoint(source, source_port),
        destination: endpoint(destination, destination_port),
        sequence,
    })
}
