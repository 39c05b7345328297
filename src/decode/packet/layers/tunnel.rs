//! Tunnels, down to the inner packet. One that carries no IP packet (ARP, spanning tree) stays what it is outside.

use super::span::Span;
use super::{Layers, MAX_TUNNEL_IDS, Tunnel};
use crate::decode::packet::{Packet, Transport};

impl Layers {
    /// Decodes what is in a tunnel by `inner`; if that finds no IP packet, `packet` is as it was.
    fn enter(
        &mut self,
        tunnel: Tunnel,
        id: Option<u32>,
        packet: &mut Packet,
        headers: u8,
        inner: impl FnOnce(&mut Self, &mut Packet, u8),
    ) {
        let Some(headers) = self.spend(headers) else {
            return;
        };
        let outer = *packet;
        packet.transport = Transport::NotIp;
        packet.tunnels = packet.tunnels.saturating_add(1);
        inner(self, packet, headers);
        if matches!(packet.transport, Transport::NotIp) {
            *packet = outer;
        }
        let count = self.summary.tunnels.entry(tunnel).or_insert(0);
        *count = count.saturating_add(1);
        if let Some(id) = id
            && self.summary.tunnel_ids.len() < MAX_TUNNEL_IDS
        {
            self.summary.tunnel_ids.insert((tunnel, id));
        }
    }

    pub(super) fn vxlan(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some((&[flags, _, _, _, v0, v1, v2, _], rest)) = span.split::<8>() else {
            return;
        };
        if flags & 0x08 == 0 {
            return;
        }
        let id = u32::from_be_bytes([0, v0, v1, v2]);
        self.enter(
            Tunnel::Vxlan,
            Some(id),
            packet,
            headers,
            |layers, packet, headers| {
                layers.ethernet(rest, packet, headers);
            },
        );
    }

    pub(super) fn geneve(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some((&[first, _, p0, p1, v0, v1, v2, _], rest)) = span.split::<8>() else {
            return;
        };
        if first >> 6 != 0 {
            return;
        }
        let rest = rest.skip(usize::from(first & 0x3f) << 2);
        let id = u32::from_be_bytes([0, v0, v1, v2]);
        self.enter(
            Tunnel::Geneve,
            Some(id),
            packet,
            headers,
            |layers, packet, headers| {
                layers.ether_type(u16::from_be_bytes([p0, p1]), rest, packet, headers);
            },
        );
    }

    pub(super) fn ip_in_ip(&mut self, protocol: u8, span: Span<'_>, packet: &mut Packet, headers: u8) {
        self.enter(Tunnel::Ip, None, packet, headers, |layers, packet, headers| {
            if protocol == 4 {
                layers.ipv4(span, packet, headers);
            } else {
                layers.ipv6(span, packet, headers);
            }
        });
    }

    /// GRE with checksum, key and sequence number (RFC 2784, 2890), and version 1 of PPTP (RFC 2637). The routing of
    /// RFC 1701 is not followed.
    pub(super) fn gre(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some((&[flags, version, p0, p1], rest)) = span.split::<4>() else {
            return self.cut();
        };
        if flags & 0x40 != 0 || version & 0x07 > 1 {
            return;
        }
        let has_sequence = flags & 0x10 != 0;
        let words = u32::from(flags & 0x80 != 0)
            .saturating_add(u32::from(flags & 0x20 != 0))
            .saturating_add(u32::from(has_sequence))
            .saturating_add(u32::from(version & 0x87 == 0x81));
        let inner = rest.skip((words << 2) as usize);
        let ether_type = u16::from_be_bytes([p0, p1]);
        self.enter(
            Tunnel::Gre,
            None,
            packet,
            headers,
            |layers, packet, headers| match ether_type {
                // ERSPAN: type I has no header and no sequence number, type II a header of 8 bytes.
                0x88be if !has_sequence => layers.ethernet(inner, packet, headers),
                0x88be => layers.ethernet(inner.skip(8), packet, headers),
                // ERSPAN type III: 12 bytes, and 8 more where the last bit says so.
                0x22eb => {
                    let optional = inner.bytes.get(11).is_some_and(|byte| byte & 1 == 1);
                    layers.ethernet(inner.skip(if optional { 20 } else { 12 }), packet, headers);
                }
                0x880b => layers.ppp(inner, packet, headers),
                ether_type => layers.ether_type(ether_type, inner, packet, headers),
            },
        );
    }
}
