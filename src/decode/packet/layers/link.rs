//! Link layers: Ethernet, VLAN tags, cooked, raw, loopback, MPLS, PPP.

use super::span::Span;
use super::{Layers, MAX_COOKED_INTERFACES, MAX_HEADERS};
use crate::decode::packet::Packet;
use std::collections::HashMap;

const NULL: u16 = 0;
pub(in crate::decode::packet) const ETHERNET: u16 = 1;
const PPP: u16 = 9;
const RAW_OF_SOME_SYSTEMS: [u16; 2] = [12, 14];
const PPP_HDLC: u16 = 50;
const RAW: u16 = 101;
const CISCO_HDLC: u16 = 104;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const NFLOG: u16 = 239;
const LINUX_SLL2: u16 = 276;

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;
const ETHER_TEB: u16 = 0x6558;

/// Name of a LINKTYPE number (tcpdump.org/linktypes.html), of those that turn up.
pub fn link_type_name(number: u16) -> &'static str {
    match number {
        NULL => "BSD loopback",
        ETHERNET => "Ethernet",
        6 => "Token Ring",
        8 => "SLIP",
        PPP => "PPP",
        10 => "FDDI",
        12 | 14 | RAW => "raw IP",
        PPP_HDLC => "PPP with HDLC framing",
        51 => "PPP over Ethernet",
        100 => "ATM, RFC 1483",
        CISCO_HDLC => "Cisco HDLC",
        105 => "IEEE 802.11",
        107 => "Frame Relay",
        LOOP => "OpenBSD loopback",
        LINUX_SLL => "Linux cooked",
        117 => "OpenBSD pflog",
        119 => "IEEE 802.11 with Prism header",
        127 => "IEEE 802.11 with radiotap",
        147..=162 => "for private use",
        163 => "IEEE 802.11 with AVS header",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "USB",
        192 => "PPI",
        195 | 230 => "IEEE 802.15.4",
        197 => "ERF",
        227 => "SocketCAN",
        IPV4 => "raw IPv4",
        IPV6 => "raw IPv6",
        NFLOG => "Linux NFLOG",
        249 => "USBPcap",
        252 => "Wireshark upper PDU",
        253 => "Linux netlink",
        LINUX_SLL2 => "Linux cooked v2",
        _ => "without a name here",
    }
}

/// Whether packets of a LINKTYPE number are decoded.
pub(in crate::decode::packet) fn decodes(number: u16) -> bool {
    matches!(
        number,
        NULL | ETHERNET
            | PPP
            | PPP_HDLC
            | RAW
            | CISCO_HDLC
            | LOOP
            | LINUX_SLL
            | IPV4
            | IPV6
            | NFLOG
            | LINUX_SLL2
    ) || RAW_OF_SOME_SYSTEMS.contains(&number)
}

/// Numbers for pairs of interface and packet type in cooked captures.
#[derive(Debug, Default)]
pub(super) struct Sights {
    known: HashMap<(u32, u32, u16), u32, rapidhash::fast::RandomState>,
    last: Option<((u32, u32, u16), u32)>,
}

/// The first number of a cooked pair; numbers below are those of interfaces.
const COOKED_BASE: u32 = 1 << 17;

impl Sights {
    #[inline]
    fn number(&mut self, sight: (u32, u32, u16)) -> u32 {
        match self.last {
            Some((last, number)) if last == sight => number,
            _ => {
                let number = self.find(sight);
                self.last = Some((sight, number));
                number
            }
        }
    }

    /// Numbers are given in order of first sight; all beyond the limit share one.
    fn find(&mut self, sight: (u32, u32, u16)) -> u32 {
        let next = u32::try_from(self.known.len())
            .unwrap_or(u32::MAX)
            .saturating_add(COOKED_BASE);
        if self.known.len() >= MAX_COOKED_INTERFACES {
            return self.known.get(&sight).copied().unwrap_or(next);
        }
        *self.known.entry(sight).or_insert(next)
    }
}

impl Layers {
    #[inline]
    pub(super) fn link(&mut self, link_type: u16, span: Span<'_>, packet: &mut Packet) {
        match link_type {
            ETHERNET => self.ethernet(span, packet, MAX_HEADERS),
            LINUX_SLL => self.cooked(span, packet),
            LINUX_SLL2 => self.cooked2(span, packet),
            RAW | 12 | 14 => self.ip_by_version(span, packet, MAX_HEADERS),
            IPV4 => self.ipv4(span, packet, MAX_HEADERS),
            IPV6 => self.ipv6(span, packet, MAX_HEADERS),
            NULL | LOOP => self.loopback(span, packet),
            PPP | PPP_HDLC => self.ppp(span, packet, MAX_HEADERS),
            CISCO_HDLC => match span.split::<4>() {
                Some((head, rest)) => {
                    self.ether_type(u16::from_be_bytes([head[2], head[3]]), rest, packet, MAX_HEADERS);
                }
                None => self.cut(),
            },
            NFLOG => self.nflog(span, packet),
            _ => {}
        }
    }

    #[inline]
    pub(super) fn ethernet(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        match span.split::<14>() {
            Some((head, rest)) => {
                self.ether_type(u16::from_be_bytes([head[12], head[13]]), rest, packet, headers);
            }
            None => self.cut(),
        }
    }

    #[inline]
    pub(super) fn ether_type(&mut self, ether_type: u16, span: Span<'_>, packet: &mut Packet, headers: u8) {
        match ether_type {
            ETHER_IPV4 => self.ipv4(span, packet, headers),
            ETHER_IPV6 => self.ipv6(span, packet, headers),
            _ => self.other_ether_type(ether_type, span, packet, headers),
        }
    }

    fn other_ether_type(&mut self, ether_type: u16, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let Some(headers) = self.spend(headers) else {
            return;
        };
        match ether_type {
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => match span.split::<4>() {
                Some((&[t0, t1, e0, e1], rest)) => {
                    self.vlan(u16::from_be_bytes([t0, t1]) & 0x0fff);
                    self.ether_type(u16::from_be_bytes([e0, e1]), rest, packet, headers);
                }
                None => self.cut(),
            },
            0x8847 | 0x8848 => self.mpls(span, packet, headers),
            // PPPoE session, RFC 2516: version and type, code, session, length.
            0x8864 => match span.split::<6>() {
                Some((head, rest)) => {
                    let length = u32::from(u16::from_be_bytes([head[4], head[5]]));
                    self.ppp(rest.limit(length), packet, headers);
                }
                None => self.cut(),
            },
            ETHER_TEB => self.ethernet(span, packet, headers),
            0..=1500 => self.llc(span.limit(u32::from(ether_type)), packet, headers),
            _ => {}
        }
    }

    #[inline]
    fn vlan(&mut self, id: u16) {
        if let Some(word) = self.vlans.get_mut(usize::from(id >> 6)) {
            *word |= 1 << (id & 63);
        }
    }

    /// IEEE 802.2 with a SNAP header of organisation 0, RFC 1042.
    fn llc(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        if let Some((&[0xaa, 0xaa, 3, 0, 0, 0, e0, e1], rest)) = span.split::<8>() {
            self.ether_type(u16::from_be_bytes([e0, e1]), rest, packet, headers);
        }
    }

    /// MPLS labels, RFC 3032. What follows the last one is told by its first bits, as RFC 4928 has it.
    fn mpls(&mut self, mut span: Span<'_>, packet: &mut Packet, mut headers: u8) {
        while let Some((label, rest)) = span.split::<4>() {
            span = rest;
            if label[2] & 1 == 1 {
                match span.bytes.first().map(|byte| byte >> 4) {
                    Some(4) => self.ipv4(span, packet, headers),
                    Some(6) => self.ipv6(span, packet, headers),
                    // A control word (RFC 4385), and then most likely Ethernet.
                    Some(0) => self.ethernet(span.skip(4), packet, headers),
                    _ => {}
                }
                return;
            }
            let Some(left) = self.spend(headers) else {
                return;
            };
            headers = left;
        }
        self.cut();
    }

    /// PPP, RFC 1661, with or without the address and control bytes of RFC 1662, and with short protocol fields.
    pub(super) fn ppp(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        let span = match span.bytes {
            [0xff, 0x03, ..] => span.skip(2),
            _ => span,
        };
        match span.bytes {
            [0x21, ..] => self.ipv4(span.skip(1), packet, headers),
            [0x57, ..] => self.ipv6(span.skip(1), packet, headers),
            [0x00, 0x21, ..] => self.ipv4(span.skip(2), packet, headers),
            [0x00, 0x57, ..] => self.ipv6(span.skip(2), packet, headers),
            [0x02, 0x81 | 0x83, ..] => self.mpls(span.skip(2), packet, headers),
            _ => {}
        }
    }

    pub(super) fn ip_by_version(&mut self, span: Span<'_>, packet: &mut Packet, headers: u8) {
        match span.bytes.first().map(|byte| byte >> 4) {
            Some(4) => self.ipv4(span, packet, headers),
            Some(6) => self.ipv6(span, packet, headers),
            Some(_) => self.malformed(),
            None => self.cut(),
        }
    }

    /// An address family in the byte order of the machine that captured; the numbers of IPv6 are those of Linux,
    /// NetBSD and OpenBSD, Windows, FreeBSD and Darwin.
    fn loopback(&mut self, span: Span<'_>, packet: &mut Packet) {
        match span.split::<4>() {
            Some((&([family, 0, 0, 0] | [0, 0, 0, family]), rest)) => match family {
                2 => self.ipv4(rest, packet, MAX_HEADERS),
                10 | 23 | 24 | 28 | 30 => self.ipv6(rest, packet, MAX_HEADERS),
                _ => {}
            },
            Some(_) => self.malformed(),
            None => self.cut(),
        }
    }

    fn cooked(&mut self, span: Span<'_>, packet: &mut Packet) {
        match span.split::<16>() {
            Some((head, rest)) => {
                let packet_type = u16::from_be_bytes([head[0], head[1]]);
                packet.interface = self.sights.number((packet.interface, 0, packet_type));
                self.cooked_protocol([head[14], head[15]], rest, packet);
            }
            None => self.cut(),
        }
    }

    fn cooked2(&mut self, span: Span<'_>, packet: &mut Packet) {
        match span.split::<20>() {
            Some((head, rest)) => {
                let index = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                packet.interface = self.sights.number((packet.interface, index, u16::from(head[10])));
                self.cooked_protocol([head[0], head[1]], rest, packet);
            }
            None => self.cut(),
        }
    }

    /// Numbers below 1536 are frame types of Linux's `if_ether.h`; 4 is IEEE 802.2.
    fn cooked_protocol(&mut self, number: [u8; 2], span: Span<'_>, packet: &mut Packet) {
        match u16::from_be_bytes(number) {
            4 => self.llc(span, packet, MAX_HEADERS),
            0..=1535 => {}
            ether_type => self.ether_type(ether_type, span, packet, MAX_HEADERS),
        }
    }

    /// Address family, version and resource, and then attributes of length and type in the order of the machine that
    /// captured; the packet is one of type 9.
    fn nflog(&mut self, span: Span<'_>, packet: &mut Packet) {
        let Some((&[family, ..], mut rest)) = span.split::<4>() else {
            return self.cut();
        };
        while let Some((&[l0, l1, t0, t1], value)) = rest.split::<4>() {
            let little = u16::from_le_bytes([l0, l1]);
            let (length, kind) =
                if matches!(t1, 0 | 0x80) && usize::from(little) <= rest.bytes.len().saturating_add(4) {
                    (little, t0)
                } else {
                    (u16::from_be_bytes([l0, l1]), t1)
                };
            if length < 4 {
                return self.malformed();
            }
            if kind == 9 {
                let value = value.limit(u32::from(length).saturating_sub(4));
                return match family {
                    2 => self.ipv4(value, packet, MAX_HEADERS),
                    10 => self.ipv6(value, packet, MAX_HEADERS),
                    _ => {}
                };
            }
            rest = rest.skip(usize::from(length).next_multiple_of(4));
        }
        self.cut();
    }
}
