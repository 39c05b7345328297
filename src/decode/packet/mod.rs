//! Bytes of a capture to packets, decoded down to the innermost transport header.
//!
//! In: the bytes of a pcap or pcapng file, in order. Out: [`Packet`]s, one at a time, each with where its
//! payload lies in the bytes that were given. Principal types: [`Packet`] and what [`container`] walks.
//! Never: keeps anything about a connection; that is what [`crate::streams`] is for.

mod capture;
pub mod container;
pub mod layers;
#[cfg(test)]
mod samples;
mod summary;

pub use capture::{CaptureDecoder, Decoded, PacketBlock};
pub use summary::{
    CaptureSummary, Comment, InterfaceFacts, LinkTypeFacts, MAX_COMMENT_BYTES, MAX_COMMENTS, MAX_LINK_TYPES,
    MAX_LISTED_INTERFACES, MAX_NAME_BYTES, MAX_NAMED_ADDRESSES, MAX_NAMES, MAX_PROBLEMS,
};

use crate::units::{InputId, Timestamp};
use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address in 16 bytes; IPv4 as IPv4-mapped (RFC 4291 section 2.5.5.2), so that both compare and hash alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address(pub [u8; 16]);

/// In the order of their bytes, compared as numbers: each packet needs it, and comparing slices takes a call.
impl Ord for Address {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Address {
    /// The address as a number of 128 bits.
    #[inline]
    pub fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// From four bytes.
    pub fn v4(bytes: [u8; 4]) -> Self {
        let [a, b, c, d] = bytes;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// As the standard library has it; an IPv4-mapped address is an IPv4 address.
    pub fn to_ip(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }

    /// True for 127.0.0.0/8 and `::1`.
    pub fn is_loopback(self) -> bool {
        self.to_ip().is_loopback()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self(v6.octets()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_ip() {
            IpAddr::V4(v4) => f.pad(Dotted::of(v4).text()),
            IpAddr::V6(v6) => v6.fmt(f),
        }
    }
}

/// An IPv4 address in decimal, with or without a port, as the standard library writes it, but in a small part of the
/// time: each connection has several that serve as keys.
struct Dotted {
    /// Enough for the longest, `255.255.255.255:65535`.
    bytes: [u8; 21],
    length: usize,
}

impl Dotted {
    fn of(address: Ipv4Addr) -> Self {
        let mut dotted = Self {
            bytes: [0; 21],
            length: 0,
        };
        let [first, rest @ ..] = address.octets();
        dotted.number(first.into());
        for byte in rest {
            dotted.push(b'.');
            dotted.number(byte.into());
        }
        dotted
    }

    fn with_port(mut self, port: u16) -> Self {
        self.push(b':');
        self.number(port);
        self
    }

    fn text(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }

    fn number(&mut self, number: u16) {
        for power in [10_000, 1000, 100, 10, 1] {
            if number >= power || power == 1 {
                let digit = u8::try_from(number.checked_div(power).unwrap_or(0) % 10).unwrap_or(0);
                self.push(b'0'.wrapping_add(digit));
            }
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
    }
}

/// An address with a port (0 where the transport has none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The port.
    pub port: u16,
}

/// `10.0.0.1:80`, `[2001:db8::1]:80`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.to_ip() {
            IpAddr::V4(v4) => f.pad(Dotted::of(v4).with_port(self.port).text()),
            IpAddr::V6(v6) => SocketAddr::new(v6.into(), self.port).fmt(f),
        }
    }
}

/// A frame of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRef {
    /// Which input.
    pub input: InputId,
    /// Its number in that input, from 1, as Wireshark counts (records that are no packets count too).
    pub frame: u64,
}

/// One packet, decoded down to the innermost transport header that could be read. Holds no bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Where it stands.
    pub at: FrameRef,
    /// When it was captured; simple packet blocks have no time.
    pub time: Option<Timestamp>,
    /// Where it was seen: a number for each pair of capture interface and, in cooked captures, interface index
    /// and packet type. The same bytes under another number are a second sight of one packet. See
    /// [`Self::ONLY_INTERFACE`].
    pub interface: u32,
    /// Bytes of the frame that are in the capture.
    pub captured_bytes: u32,
    /// Bytes of the frame on the wire.
    pub wire_bytes: u32,
    /// Sender of the innermost IP packet; port 0 where none could be read.
    pub source: Endpoint,
    /// Receiver of the innermost IP packet.
    pub destination: Endpoint,
    /// Time to live or hop limit of the innermost IP packet.
    pub ttl: u8,
    /// Identification of the innermost IPv4 packet, else 0.
    pub ip_identification: u16,
    /// Tunnel headers that were taken off.
    pub tunnels: u8,
    /// What the innermost IP packet carries.
    pub transport: Transport,
    /// Where the payload of the transport lies in the bytes that the packet was decoded from.
    pub payload: PayloadRange,
    /// Bytes of the payload on the wire; more than in `payload` where the capture was cut by its snaplen.
    pub payload_wire_bytes: u32,
}

/// A range of the bytes that a packet was decoded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadRange {
    /// First byte.
    pub start: u32,
    /// How many.
    pub length: u32,
}

impl PayloadRange {
    /// The bytes; empty if they are not there.
    pub fn of(self, block: &[u8]) -> &[u8] {
        let start = self.start as usize;
        block
            .get(start..start.saturating_add(self.length as usize))
            .unwrap_or_default()
    }
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// TCP, RFC 9293.
    Tcp(TcpSegment),
    /// UDP, RFC 768.
    Udp,
    /// ICMP or ICMPv6.
    Icmp(IcmpMessage),
    /// A fragment whose transport header is not known: a later fragment, while the datagram is not whole.
    Fragment,
    /// Another protocol, by its IANA number.
    Other(u8),
    /// No IP packet (ARP, LLDP, ...), or an IP header that could not be read.
    NotIp,
}

/// The header of a TCP segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpSegment {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; 0 without ACK.
    pub acknowledgment: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window field as it stands, unscaled.
    pub window: u16,
    /// Checksum field as it stands: with the other fields it tells whether two segments are the same bytes.
    pub checksum: u16,
    /// Options.
    pub options: TcpOptions,
}

/// Flags of a TCP segment: the low eight bits of the header's flag field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;

    /// True if any of `bits` is set.
    #[inline]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    /// FIN.
    #[inline]
    pub fn fin(self) -> bool {
        self.has(Self::FIN)
    }

    /// SYN.
    #[inline]
    pub fn syn(self) -> bool {
        self.has(Self::SYN)
    }

    /// RST.
    #[inline]
    pub fn rst(self) -> bool {
        self.has(Self::RST)
    }

    /// ACK.
    #[inline]
    pub fn ack(self) -> bool {
        self.has(Self::ACK)
    }
}

/// TCP options that the analysis uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Window scale, RFC 7323; only on SYN.
    pub window_scale: Option<u8>,
    /// Maximum segment size; only on SYN.
    pub maximum_segment_size: Option<u16>,
    /// SACK permitted, RFC 2018; only on SYN.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply, RFC 7323.
    pub timestamps: Option<(u32, u32)>,
    /// First SACK block (left and right edge): a block below the acknowledgment is a D-SACK, RFC 2883.
    pub first_sack: Option<(u32, u32)>,
}

/// An ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug)]
pub struct IcmpMessage {
    /// True for ICMPv6.
    pub v6: bool,
    /// Type.
    pub message_type: u8,
    /// Code.
    pub code: u8,
    /// Of errors: what the quoted packet says of its connection, in the direction of the quoted packet.
    pub quoted: Option<Quoted>,
}

/// A packet quoted in an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Its protocol, by IANA number.
    pub protocol: u8,
    /// Its sender.
    pub source: Endpoint,
    /// Its receiver.
    pub destination: Endpoint,
    /// Sequence number where it is TCP.
    pub sequence: Option<u32>,
}

/// A connection in either direction: the same value for packets of both, and for ICMP errors that quote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// The lesser endpoint.
    pub low: Endpoint,
    /// The greater endpoint.
    pub high: Endpoint,
}

impl FlowKey {
    /// Of two endpoints in any order.
    #[inline]
    pub fn of(one: Endpoint, other: Endpoint) -> Self {
        let (low, high) = if other < one { (other, one) } else { (one, other) };
        Self { low, high }
    }
}

impl Packet {
    /// Number of the interface where the format of the capture allows no other: none of its packets is there twice.
    pub const ONLY_INTERFACE: u32 = u32::MAX;

    /// The connection that the packet belongs to: that of the quoted packet for an ICMP error.
    pub fn flow(&self) -> FlowKey {
        match self.transport {
            Transport::Icmp(IcmpMessage {
                quoted: Some(quoted), ..
            }) => FlowKey::of(quoted.source, quoted.destination),
            _ => FlowKey::of(self.source, self.destination),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_writes_them(v6 in any::<[u8; 16]>(), v4 in any::<[u8; 4]>(), port in any::<u16>()) {
            for address in [Address(v6), Address::v4(v4)] {
                let (ip, endpoint) = (address.to_ip(), Endpoint { address, port });
                prop_assert_eq!(address.to_string(), ip.to_string());
                prop_assert_eq!(endpoint.to_string(), SocketAddr::new(ip, port).to_string());
                prop_assert_eq!(format!("{address:>50}"), format!("{ip:>50}"));
            }
        }

        #[test]
        fn addresses_are_in_the_order_of_their_bytes(one in any::<[u8; 16]>(), other in any::<[u8; 16]>()) {
            prop_assert_eq!(Address(one).cmp(&Address(other)), one.cmp(&other));
        }
    }
}
