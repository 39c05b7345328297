//! IPv4 (RFC 791), IPv6 (RFC 8200) with its extension headers, and their fragments.

use super::Layers;
use super::fragments::{Added, DatagramKey, Piece};
use super::span::Span;
use crate::decode::packet::{Address, Endpoint, Packet, Transport};
use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};

const MORE_FRAGMENTS: u16 = 0x2000;

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

impl Layers {
    #[inline]
    pub(super) fn ipv4(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some(head) = span.bytes.first_chunk::<20>() else {
            return self.cut();
        };
        let header_bytes = usize::from(head[0] & 0x0f) << 2;
        let total_bytes = u16::from_be_bytes([head[2], head[3]]);
        if head[0] >> 4 != 4 || header_bytes < 20 {
            return self.malformed();
        }
        let protocol = head[9];
        packet.source = endpoint(Address::v4([head[12], head[13], head[14], head[15]]));
        packet.destination = endpoint(Address::v4([head[16], head[17], head[18], head[19]]));
        packet.ttl = head[8];
        packet.ip_identification = u16::from_be_bytes([head[4], head[5]]);
        packet.transport = Transport::Other(protocol);
        if usize::from(total_bytes) < header_bytes && total_bytes != 0 {
            return self.malformed();
        }
        // 0 is what segmentation offload leaves where the packet is longer than the field can say.
        let whole = match total_bytes {
            0 => span,
            total => span.limit(u32::from(total)),
        };
        let body = whole.skip(header_bytes);
        let fragment = u16::from_be_bytes([head[6], head[7]]);
        if fragment & (MORE_FRAGMENTS | 0x1fff) != 0 {
            self.summary.fragments.ipv4 = self.summary.fragments.ipv4.saturating_add(1);
            let piece = Piece {
                protocol,
                offset_bytes: u32::from(fragment & 0x1fff) << 3,
                more: fragment & MORE_FRAGMENTS != 0,
            };
            let identification = u32::from(packet.ip_identification);
            return self.fragment(identification, protocol, piece, body, packet, headers);
        }
        self.protocol(protocol, body, packet, headers);
    }

    #[inline]
    pub(super) fn ipv6(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some((head, body)) = span.split::<40>() else {
            return self.cut();
        };
        if head[0] >> 4 != 6 {
            return self.malformed();
        }
        let (Some(source), Some(destination)) = (head[8..24].first_chunk(), head[24..40].first_chunk())
        else {
            return;
        };
        packet.source = endpoint(Address(*source));
        packet.destination = endpoint(Address(*destination));
        packet.ttl = head[7];
        packet.ip_identification = 0;
        packet.transport = Transport::Other(head[6]);
        // 0 is a jumbogram (RFC 2675), or segmentation offload of more than the field can say.
        let body = match u16::from_be_bytes([head[4], head[5]]) {
            0 => body,
            length => body.limit(u32::from(length)),
        };
        self.protocol(head[6], body, packet, headers);
    }

    #[inline]
    pub(super) fn protocol(&mut self, protocol: u8, span: Span<'_>, packet: &mut Packet, headers: u8) {
        match protocol {
            TCP => self.tcp(span, packet),
            UDP => self.udp(span, packet, headers),
            _ => self.other_protocol(protocol, span, packet, headers),
        }
    }

    fn other_protocol(&mut self, protocol: u8, span: Span<'_>, packet: &mut Packet, headers: u8) {
        packet.transport = Transport::Other(protocol);
        packet.payload = span.range();
        packet.payload_wire_bytes = span.wire_bytes();
        let Some(headers) = self.spend(headers) else {
            return;
        };
        match protocol {
            ICMP => self.icmp(false, span, packet),
            ICMPV6 => self.icmp(true, span, packet),
            4 | 41 => self.ip_in_ip(protocol, span, packet, headers),
            47 => self.gre(span, packet, headers),
            // Hop-by-hop, routing, destination, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => match Ipv6RawExtHeaderSlice::from_slice(span.bytes) {
                Ok(head) => self.protocol(
                    head.next_header().0,
                    span.skip(head.slice().len()),
                    packet,
                    headers,
                ),
                Err(_) => self.cut(),
            },
            // Authentication, RFC 4302.
            51 => match IpAuthHeaderSlice::from_slice(span.bytes) {
                Ok(head) => self.protocol(
                    head.next_header().0,
                    span.skip(head.slice().len()),
                    packet,
                    headers,
                ),
                Err(_) => self.cut(),
            },
            44 => self.ipv6_fragment(span, packet, headers),
            _ => {}
        }
    }

    fn ipv6_fragment(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Ok(head) = Ipv6FragmentHeaderSlice::from_slice(span.bytes) else {
            return self.cut();
        };
        let body = span.skip(head.slice().len());
        self.summary.fragments.ipv6 = self.summary.fragments.ipv6.saturating_add(1);
        let piece = Piece {
            protocol: head.next_header().0,
            offset_bytes: u32::from(head.fragment_offset().byte_offset()),
            more: head.more_fragments(),
        };
        // A whole datagram with a fragment header, RFC 6946.
        if piece.offset_bytes == 0 && !piece.more {
            return self.protocol(piece.protocol, body, packet, headers);
        }
        self.fragment(head.identification(), 44, piece, body, packet, headers);
    }

    #[cold]
    fn fragment(
        &mut self,
        identification: u32,
        protocol: u8,
        piece: Piece,
        body: Span<'_>,
        packet: &mut Packet,
        headers: u8,
    ) {
        packet.transport = Transport::Fragment;
        packet.payload = body.range();
        packet.payload_wire_bytes = body.wire_bytes();
        let key = DatagramKey {
            source: packet.source.address,
            destination: packet.destination.address,
            identification,
            protocol,
            interface: packet.interface,
        };
        let added = if body.missing == 0 {
            self.fragments
                .add(key, piece, body.bytes, packet.time, &mut self.summary.fragments)
        } else {
            Added::LeftOut
        };
        match added {
            Added::Waiting => {}
            Added::LeftOut => {
                let left_out = &mut self.summary.fragments.left_out;
                *left_out = left_out.saturating_add(1);
                // The first one has the header of the transport, which is better than nothing.
                if piece.offset_bytes == 0 {
                    self.protocol(piece.protocol, body, packet, headers);
                }
            }
            Added::Whole { protocol, bytes } => {
                let reassembled = &mut self.summary.fragments.reassembled;
                *reassembled = reassembled.saturating_add(1);
                let start = self.block_bytes.saturating_add(self.reassembled.len());
                self.reassembled.extend_from_slice(&bytes);
                let span = Span {
                    bytes: &bytes,
                    start: u32::try_from(start).unwrap_or(u32::MAX),
                    missing: 0,
                };
                if let Some(headers) = self.spend(headers) {
                    self.protocol(protocol, span, packet, headers);
                }
            }
        }
    }
}

fn endpoint(address: Address) -> Endpoint {
    Endpoint { address, port: 0 }
}
