//! A frame to its innermost transport header: link layers, IP, fragments, tunnels, TCP, UDP, ICMP.
//!
//! Principal type: `Layers`, which keeps what concerns more than one packet: fragments and counts. Everything is read
//! laxly: what is there of a packet that was cut is used, and a header that lies ends the decoding of that packet.

mod fragments;
mod icmp;
mod ip;
mod link;
mod plain;
mod span;
mod transport;
mod tunnel;

pub use fragments::{FRAGMENT_TIMEOUT_NS, MAX_FRAGMENT_BYTES, MAX_FRAGMENTED, MAX_PIECES};
pub(super) use link::ETHERNET;
pub(super) use link::decodes;
pub use link::link_type_name;
pub(super) use plain::tcp_over_ipv4_over_ethernet;

use super::{Packet, Transport};
use fragments::FragmentTable;
use link::Sights;
use span::Span;
use std::collections::{BTreeMap, BTreeSet};

/// Headers below the transport that are taken off one packet (tags, labels, tunnels, extension headers); a packet
/// with more is not decoded further.
pub const MAX_HEADERS: u8 = 24;

/// Tunnel identifiers that are listed.
pub const MAX_TUNNEL_IDS: usize = 256;

/// Pairs of interface and packet type in cooked captures that are told apart.
pub const MAX_COOKED_INTERFACES: usize = 16_384;

/// Which tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// VXLAN, RFC 7348.
    Vxlan,
    /// Geneve, RFC 8926.
    Geneve,
    /// GRE, RFC 2784 and 2890, and ERSPAN in it.
    Gre,
    /// IPv4 or IPv6 directly in IP, RFC 2003, 2473, 4213.
    Ip,
}

impl Tunnel {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "VXLAN",
            Self::Geneve => "Geneve",
            Self::Gre => "GRE",
            Self::Ip => "IP in IP",
        }
    }
}

/// What the layers of a capture were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerSummary {
    /// Packets without an IP header that could be read.
    pub not_ip: u64,
    /// Packets whose header is cut by the end of the frame.
    pub cut_headers: u64,
    /// Packets with a header that contradicts itself, or with too many headers.
    pub malformed: u64,
    /// VLAN identifiers.
    pub vlans: BTreeSet<u16>,
    /// Tunnel headers taken off.
    pub tunnels: BTreeMap<Tunnel, u64>,
    /// Identifiers (VNI) of tunnels that have one, at most [`MAX_TUNNEL_IDS`].
    pub tunnel_ids: BTreeSet<(Tunnel, u32)>,
    /// ICMP and ICMPv6 messages by (ICMPv6, type, code); those quoted in errors are not among them.
    pub icmp: BTreeMap<(bool, u8, u8), u64>,
    /// Fragments.
    pub fragments: FragmentSummary,
}

/// What became of fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentSummary {
    /// IPv4 fragments.
    pub ipv4: u64,
    /// IPv6 packets with a fragment header, those among them that are a whole datagram too (RFC 6946).
    pub ipv6: u64,
    /// Datagrams put together.
    pub reassembled: u64,
    /// Fragments that were left out: cut by the snaplen, contradicting others, or beyond a limit.
    pub left_out: u64,
    /// Datagrams of which fragments are missing.
    pub incomplete: u64,
    /// Bytes of fragments that were there already.
    pub overlapping_bytes: u64,
}

/// Decodes the frames of one capture.
#[derive(Debug)]
pub(super) struct Layers {
    summary: LayerSummary,
    fragments: FragmentTable,
    /// Bitmap of VLAN identifiers.
    vlans: Box<[u64; 64]>,
    sights: Sights,
    /// Datagrams put together for the current block, and where they will lie in it.
    reassembled: Vec<u8>,
    block_bytes: usize,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            summary: LayerSummary::default(),
            fragments: FragmentTable::default(),
            vlans: Box::new([0; 64]),
            sights: Sights::default(),
            reassembled: Vec::new(),
            block_bytes: 0,
        }
    }
}

impl Layers {
    /// What is decoded from now on lies in a block of `block_bytes`; datagrams are put behind them.
    pub(super) fn begin_block(&mut self, block_bytes: usize) {
        self.block_bytes = block_bytes;
        self.reassembled.clear();
        self.reassembled.shrink_to(MAX_FRAGMENT_BYTES);
    }

    pub(super) fn reassembled(&self) -> &[u8] {
        &self.reassembled
    }

    /// Decodes `frame`, which begins at `start` of the block, into `packet`, whose lengths are set.
    #[inline]
    pub(super) fn decode(
        &mut self,
        link_type: u16,
        fcs_bytes: u8,
        frame: &[u8],
        start: usize,
        packet: &mut Packet,
    ) {
        let mut span = Span {
            bytes: frame,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            missing: packet.wire_bytes.saturating_sub(packet.captured_bytes),
        };
        if fcs_bytes > 0 {
            span = span.limit(packet.wire_bytes.saturating_sub(u32::from(fcs_bytes)));
        }
        self.link(link_type, span, packet);
        if matches!(packet.transport, Transport::NotIp) {
            self.summary.not_ip = self.summary.not_ip.saturating_add(1);
        }
    }

    pub(super) fn finish(mut self) -> LayerSummary {
        for (word, bits) in (0_u16..).zip(self.vlans.iter()) {
            let ids = (0..64).filter(|bit| bits >> bit & 1 == 1);
            self.summary.vlans.extend(ids.map(|bit: u16| word << 6 | bit));
        }
        self.summary.fragments.incomplete = self.fragments.incomplete();
        self.summary
    }

    /// What remains of the headers that may be taken off, or `None` if it was the last.
    #[inline]
    fn spend(&mut self, headers: u8) -> Option<u8> {
        let left = headers.checked_sub(1);
        if left.is_none() {
            self.malformed();
        }
        left
    }

    #[cold]
    fn malformed(&mut self) {
        self.summary.malformed = self.summary.malformed.saturating_add(1);
    }

    #[cold]
    fn cut(&mut self) {
        self.summary.cut_headers = self.summary.cut_headers.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
