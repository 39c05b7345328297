//! TCP (RFC 9293) and UDP (RFC 768).

use super::Layers;
use super::ip::{TCP, UDP};
use super::span::Span;
use crate::decode::packet::{Packet, TcpFlags, TcpOptions, TcpSegment, Transport};

impl Layers {
    #[inline]
    pub(super) fn tcp(&mut self, span: Span<'_>, packet: &mut Packet) {
        let Some(head) = span.bytes.first_chunk::<20>() else {
            return self.cut_transport(TCP, span, packet);
        };
        packet.source.port = u16::from_be_bytes([head[0], head[1]]);
        packet.destination.port = u16::from_be_bytes([head[2], head[3]]);
        let header_bytes = usize::from(head[12] >> 4) << 2;
        if header_bytes < 20 {
            packet.transport = Transport::Other(TCP);
            return self.malformed();
        }
        let flags = TcpFlags(head[13]);
        let options = span
            .bytes
            .get(20..header_bytes.min(span.bytes.len()))
            .unwrap_or_default();
        packet.transport = Transport::Tcp(TcpSegment {
            sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            acknowledgment: if flags.ack() {
                u32::from_be_bytes([head[8], head[9], head[10], head[11]])
            } else {
                0
            },
            flags,
            window: u16::from_be_bytes([head[14], head[15]]),
            checksum: u16::from_be_bytes([head[16], head[17]]),
            options: tcp_options(options, flags.syn()),
        });
        let payload = span.skip(header_bytes);
        packet.payload = payload.range();
        packet.payload_wire_bytes = payload.wire_bytes();
    }

    #[inline]
    pub(super) fn udp(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some((head, rest)) = span.split::<8>() else {
            return self.cut_transport(UDP, span, packet);
        };
        packet.source.port = u16::from_be_bytes([head[0], head[1]]);
        packet.destination.port = u16::from_be_bytes([head[2], head[3]]);
        packet.transport = Transport::Udp;
        // Shorter than its own header: 0 in jumbograms (RFC 2675), else a mistake; the IP length is used.
        let payload = match u32::from(u16::from_be_bytes([head[4], head[5]])) {
            0..=7 => rest,
            length => rest.limit(length.saturating_sub(8)),
        };
        packet.payload = payload.range();
        packet.payload_wire_bytes = payload.wire_bytes();
        match packet.destination.port {
            // 8472 is what Linux took before 4789 was assigned; flannel and Cilium still do.
            4789 | 8472 => self.vxlan(payload, packet, headers),
            6081 => self.geneve(payload, packet, headers),
            _ => {}
        }
    }

    /// A header that was not captured whole: the ports, if they are there.
    #[cold]
    fn cut_transport(&mut self, protocol: u8, span: Span<'_>, packet: &mut Packet) {
        packet.transport = Transport::Other(protocol);
        packet.payload = span.skip(span.bytes.len()).range();
        packet.payload_wire_bytes = 0;
        if let Some(&[s0, s1, d0, d1]) = span.bytes.first_chunk() {
            packet.source.port = u16::from_be_bytes([s0, s1]);
            packet.destination.port = u16::from_be_bytes([d0, d1]);
        }
        self.cut();
    }
}

/// Options of a TCP header as far as they can be read; where one is repeated the last one counts.
#[inline]
pub(super) fn tcp_options(bytes: &[u8], syn: bool) -> TcpOptions {
    let mut options = TcpOptions::default();
    // What nearly every segment of an established connection has.
    if let &[1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3] = bytes {
        options.timestamps = Some((
            u32::from_be_bytes([v0, v1, v2, v3]),
            u32::from_be_bytes([e0, e1, e2, e3]),
        ));
        return options;
    }
    let mut rest = bytes;
    loop {
        rest = match rest {
            [1, tail @ ..] => tail,
            [kind @ 2..=255, length @ 2..=255, tail @ ..] => {
                let Some((value, tail)) = tail.split_at_checked(usize::from(*length).saturating_sub(2))
                else {
                    return options;
                };
                tcp_option(*kind, value, syn, &mut options);
                tail
            }
            _ => return options,
        };
    }
}

#[inline]
fn tcp_option(kind: u8, value: &[u8], syn: bool, options: &mut TcpOptions) {
    match (kind, value) {
        (2, &[high, low]) if syn => {
            options.maximum_segment_size = Some(u16::from_be_bytes([high, low]));
        }
        (3, &[shift]) if syn => options.window_scale = Some(shift),
        (4, []) if syn => options.sack_permitted = true,
        (5, &[l0, l1, l2, l3, r0, r1, r2, r3, ..]) => {
            options.first_sack = Some((
                u32::from_be_bytes([l0, l1, l2, l3]),
                u32::from_be_bytes([r0, r1, r2, r3]),
            ));
        }
        (8, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
            options.timestamps = Some((
                u32::from_be_bytes([v0, v1, v2, v3]),
                u32::from_be_bytes([e0, e1, e2, e3]),
            ));
        }
        _ => {}
    }
}
