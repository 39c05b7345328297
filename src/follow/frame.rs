//! A packet as people read it: who to whom, flags, numbers relative to the connection's beginning, what it says.

use crate::aggregate::captures::words;
use crate::decode::packet::{Endpoint, FlowKey, IcmpMessage, Packet, TcpFlags, TcpSegment, Transport};
use crate::streams::application::{Glance, is_dns_port};
use crate::units::Timestamp;
use serde::{Serialize, Serializer};

/// One frame of a capture.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    /// Its number, from 1, as Wireshark counts.
    pub frame: u64,
    /// When it was captured.
    pub time: Option<Timestamp>,
    /// Sender.
    #[serde(serialize_with = "as_text")]
    pub source: Endpoint,
    /// Receiver.
    #[serde(serialize_with = "as_text")]
    pub destination: Endpoint,
    /// TCP, UDP, ICMP, or another name.
    pub protocol: &'static str,
    /// TCP flags as tcpdump writes them: `S`, `S.`, `P.`, `F.`, `R`; empty where it is not TCP.
    pub flags: String,
    /// First sequence number, relative to the connection's beginning as captured.
    pub sequence: Option<u32>,
    /// Acknowledgment, relative likewise.
    pub acknowledgment: Option<u32>,
    /// Window in bytes, scaled where both SYNs were captured.
    pub window_bytes: Option<u64>,
    /// Bytes of payload on the wire.
    pub payload_bytes: u32,
    /// Protocol of the payload, where it shows.
    pub application: Option<&'static str>,
    /// What the payload says, or an ICMP message; empty where nothing shows. As sent: to be escaped.
    pub text: String,
    /// Value of `x-request-id` in a head of HTTP/1.
    pub request_id: Option<String>,
    /// True if the client sent it, as far as the capture tells who that is.
    pub from_client: bool,
    /// True if bytes (or a SYN or FIN) up to its end or beyond were seen before of this side: sent again, or out of order.
    pub again: bool,
    /// Its place among the packets of its connection, from 1.
    pub nth: u64,
}

fn as_text<S: Serializer>(endpoint: &Endpoint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(endpoint)
}

/// What identifies a connection or exchange in one capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// Both ends.
    pub key: FlowKey,
    /// TCP, or an error that quotes TCP.
    pub tcp: bool,
}

impl FlowId {
    /// Of a packet.
    pub fn of(packet: &Packet) -> Self {
        let tcp = match packet.transport {
            Transport::Tcp(_) => true,
            Transport::Icmp(IcmpMessage {
                quoted: Some(quoted), ..
            }) => quoted.protocol == 6,
            _ => false,
        };
        Self {
            key: packet.flow(),
            tcp,
        }
    }
}

/// What the SYN of a side says of its window scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// It was not captured.
    Unseen,
    /// It has no such option: windows are not scaled.
    None,
    /// By so many bits.
    Shift(u8),
}

/// What must be remembered of a connection to write its packets with relative numbers.
#[derive(Clone, Copy, Debug)]
pub struct Numbering {
    client: Endpoint,
    server: Endpoint,
    /// True if a SYN or SYN-ACK tells who is who.
    roles_seen: bool,
    /// Sequence number that is written as 0, of the client and of the server.
    base: [Option<u32>; 2],
    /// Window scale of each side.
    scale: [Scale; 2],
    /// Relative number after the last that was seen.
    next: [Option<u32>; 2],
    packets: u64,
}

impl Numbering {
    /// For the connection of this packet, which is its first one.
    pub fn new(packet: &Packet) -> Self {
        let (source, destination) = ends_of(packet);
        // Without a handshake: who has the lower port is asked more often than who has the higher.
        let (client, server) = if source.port >= destination.port {
            (source, destination)
        } else {
            (destination, source)
        };
        Self {
            client,
            server,
            roles_seen: false,
            base: [None; 2],
            scale: [Scale::Unseen; 2],
            next: [None; 2],
            packets: 0,
        }
    }

    /// Who opened the connection, as far as the capture tells.
    pub fn client(&self) -> Endpoint {
        self.client
    }

    /// The other side.
    pub fn server(&self) -> Endpoint {
        self.server
    }

    /// The next packet of the connection.
    pub fn frame(&mut self, packet: &Packet, payload: &[u8]) -> Frame {
        if let Transport::Tcp(segment) = &packet.transport {
            self.handshake(packet, segment);
        }
        self.packets = self.packets.saturating_add(1);
        let (source, _) = ends_of(packet);
        let from_client = source == self.client;
        let mut frame = Frame {
            frame: packet.at.frame,
            time: packet.time,
            source: packet.source,
            destination: packet.destination,
            protocol: protocol_name(&packet.transport),
            flags: String::new(),
            sequence: None,
            acknowledgment: None,
            window_bytes: None,
            payload_bytes: packet.payload_wire_bytes,
            application: None,
            text: String::new(),
            request_id: None,
            from_client,
            again: false,
            nth: self.packets,
        };
        let dns_port = is_dns_port(packet.source.port) || is_dns_port(packet.destination.port);
        match &packet.transport {
            Transport::Tcp(segment) => {
                frame.flags = flags_text(segment.flags);
                self.numbers(segment, &mut frame);
                said(Glance::at_segment(payload, dns_port), &mut frame);
            }
            Transport::Udp => said(Glance::at_datagram(payload, dns_port), &mut frame),
            Transport::Icmp(message) => {
                frame.text = words::icmp_name((message.v6, message.message_type, message.code));
                if let Some(quoted) = message.quoted {
                    frame.text = format!(
                        "{} about a packet from {} to {}",
                        frame.text, quoted.source, quoted.destination
                    );
                }
            }
            Transport::Fragment | Transport::Other(_) | Transport::NotIp => {}
        }
        frame
    }

    fn handshake(&mut self, packet: &Packet, segment: &TcpSegment) {
        if !segment.flags.syn() || segment.flags.rst() {
            return;
        }
        let answer = segment.flags.ack();
        let (client, server) = if answer {
            (packet.destination, packet.source)
        } else {
            (packet.source, packet.destination)
        };
        let side = usize::from(answer);
        let known = self.roles_seen && self.client == client;
        let again = known && self.base.get(side).copied().flatten() == Some(segment.sequence);
        if again {
            return;
        }
        if !answer || !known {
            // A new connection between the same ports, or the first that is known of this one.
            self.base = [None; 2];
            self.scale = [Scale::Unseen; 2];
            self.next = [None; 2];
        }
        (self.client, self.server, self.roles_seen) = (client, server, true);
        if let (Some(base), Some(scale)) = (self.base.get_mut(side), self.scale.get_mut(side)) {
            *base = Some(segment.sequence);
            *scale = segment.options.window_scale.map_or(Scale::None, Scale::Shift);
        }
    }

    fn numbers(&mut self, segment: &TcpSegment, frame: &mut Frame) {
        let (own, other) = if frame.from_client { (0, 1) } else { (1, 0) };
        // In mid-connection the first byte that is seen is number 1, as after a handshake.
        let relative = |base: &mut Option<u32>, number: u32| {
            let base = *base.get_or_insert(number.wrapping_sub(1));
            number.wrapping_sub(base)
        };
        if let (Some(base), Some(next)) = (self.base.get_mut(own), self.next.get_mut(own)) {
            let sequence = relative(base, segment.sequence);
            let counts = u32::from(segment.flags.syn()) + u32::from(segment.flags.fin());
            let length = frame.payload_bytes.saturating_add(counts);
            let end = sequence.wrapping_add(length);
            // RFC 9293 section 3.4: numbers are compared modulo 2^32.
            let passed = next.is_some_and(|next| next.wrapping_sub(end) < 1 << 31);
            frame.again = length > 0 && passed;
            frame.sequence = Some(sequence);
            if !passed {
                *next = Some(end);
            }
        }
        if segment.flags.ack()
            && let Some(base) = self.base.get_mut(other)
        {
            frame.acknowledgment = Some(relative(base, segment.acknowledgment));
        }
        let scale = match (self.scale, segment.flags.syn()) {
            ([Scale::Shift(client), Scale::Shift(server)], false) => {
                if frame.from_client {
                    client
                } else {
                    server
                }
            }
            _ => 0,
        };
        // RFC 7323 section 2.3: 14 is the greatest shift.
        frame.window_bytes = Some(u64::from(segment.window) << scale.min(14));
    }
}

/// Sender and receiver, of the quoted packet in an ICMP error: the ends of the connection that the packet is about.
fn ends_of(packet: &Packet) -> (Endpoint, Endpoint) {
    match packet.transport {
        Transport::Icmp(IcmpMessage {
            quoted: Some(quoted), ..
        }) => (quoted.source, quoted.destination),
        _ => (packet.source, packet.destination),
    }
}

fn said(glance: Option<Glance>, frame: &mut Frame) {
    if let Some(glance) = glance {
        frame.application = Some(glance.protocol);
        frame.text = glance.text;
        frame.request_id = glance.request_id;
    }
}

fn protocol_name(transport: &Transport) -> &'static str {
    match transport {
        Transport::Tcp(_) => "TCP",
        Transport::Udp => "UDP",
        Transport::Icmp(message) if message.v6 => "ICMPv6",
        Transport::Icmp(_) => "ICMP",
        Transport::Fragment => "fragment",
        Transport::Other(_) => "other IP",
        Transport::NotIp => "no IP",
    }
}

/// As tcpdump writes them: `S`, `F`, `P`, `R`, and a point for ACK.
fn flags_text(flags: TcpFlags) -> String {
    let letters = [
        (TcpFlags::FIN, 'F'),
        (TcpFlags::SYN, 'S'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::ACK, '.'),
    ];
    letters
        .iter()
        .filter(|(bit, _)| flags.has(*bit))
        .map(|(_, letter)| letter)
        .collect()
}

/// A display filter of Wireshark for a connection.
pub fn connection_filter(flow: &FlowId) -> String {
    let FlowKey { low, high } = flow.key;
    let field = |end: &Endpoint| match end.address.to_ip() {
        std::net::IpAddr::V4(ip) => format!("ip.addr == {ip}"),
        std::net::IpAddr::V6(ip) => format!("ipv6.addr == {ip}"),
    };
    if low.port == 0 && high.port == 0 {
        return format!("{} && {}", field(&low), field(&high));
    }
    let port = if flow.tcp { "tcp.port" } else { "udp.port" };
    format!(
        "{} && {} && {port} == {} && {port} == {}",
        field(&low),
        field(&high),
        low.port,
        high.port
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::{Address, FrameRef, PayloadRange, TcpOptions};
    use crate::units::InputId;

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint {
            address: Address::v4([10, 0, 0, last]),
            port,
        }
    }

    fn packet(
        frame: u64,
        from: Endpoint,
        to: Endpoint,
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
    ) -> Packet {
        let scale = (flags & TcpFlags::SYN != 0).then_some(10);
        Packet {
            at: FrameRef {
                input: InputId(0),
                frame,
            },
            time: None,
            interface: 0,
            captured_bytes: 0,
            wire_bytes: 0,
            source: from,
            destination: to,
            ttl: 64,
            ip_identification: 0,
            tunnels: 0,
            transport: Transport::Tcp(TcpSegment {
                sequence,
                acknowledgment,
                flags: TcpFlags(flags),
                window: 63,
                options: TcpOptions {
                    window_scale: scale,
                    ..TcpOptions::default()
                },
                ..TcpSegment::default()
            }),
            payload: PayloadRange::default(),
            payload_wire_bytes: 0,
        }
    }

    const SYN: u8 = TcpFlags::SYN;
    const ACK: u8 = TcpFlags::ACK;

    /// Flags, sequence, acknowledgment, window, from the client.
    fn row(frame: &Frame) -> (String, Option<u32>, Option<u32>, Option<u64>, bool) {
        (
            frame.flags.clone(),
            frame.sequence,
            frame.acknowledgment,
            frame.window_bytes,
            frame.from_client,
        )
    }

    #[test]
    fn numbers_are_relative_to_the_handshake() {
        // The client has the lower port: the SYN says who it is.
        let (client, server) = (end(1, 80), end(2, 9080));
        let packets = [
            packet(1, client, server, SYN, u32::MAX, 0),
            packet(2, server, client, SYN | ACK, 500, 0),
            packet(3, client, server, ACK, 0, 501),
            packet(4, client, server, ACK | TcpFlags::PSH, 99, 501),
            packet(5, client, server, SYN, 7, 0),
            packet(6, client, server, ACK, 8, 1),
        ];
        let mut numbering = Numbering::new(&packets[0]);
        let rows: Vec<_> = packets.iter().map(|p| row(&numbering.frame(p, b""))).collect();
        assert_eq!(rows[0], ("S".into(), Some(0), None, Some(63), true));
        assert_eq!(rows[1], ("S.".into(), Some(0), Some(1), Some(63), false));
        assert_eq!(rows[2], (".".into(), Some(1), Some(1), Some(63 << 10), true));
        assert_eq!(rows[3], ("P.".into(), Some(100), Some(1), Some(63 << 10), true));
        assert_eq!(
            rows[4],
            ("S".into(), Some(0), None, Some(63), true),
            "the ports again"
        );
        assert_eq!(rows[5], (".".into(), Some(1), Some(1), Some(63), true));
    }

    #[test]
    fn what_was_seen_before_is_said() {
        let (client, server) = (end(1, 40_000), end(2, 9080));
        let mut data = packet(3, client, server, ACK, 101, 501);
        data.payload_wire_bytes = 10;
        let mut more = packet(4, client, server, ACK, 111, 501);
        more.payload_wire_bytes = 5;
        let packets = [
            packet(1, client, server, SYN, 100, 0),
            packet(2, client, server, SYN, 100, 0),
            data,
            more,
            data,
            packet(6, client, server, ACK, 116, 501),
            packet(7, client, server, ACK | TcpFlags::FIN, 116, 501),
            packet(8, client, server, SYN, 9_000, 0),
        ];
        let mut numbering = Numbering::new(&packets[0]);
        let again: Vec<bool> = packets.iter().map(|p| numbering.frame(p, b"").again).collect();
        assert_eq!(again, [false, true, false, false, true, false, false, false]);
    }

    #[test]
    fn in_mid_connection_the_first_byte_seen_is_one() {
        let (client, server) = (end(1, 40_000), end(2, 9080));
        let first = packet(9, server, client, ACK, 7_000, 3_000);
        let mut numbering = Numbering::new(&first);
        assert_eq!(
            row(&numbering.frame(&first, b"")),
            (".".into(), Some(1), Some(1), Some(63), false)
        );
        let next = packet(10, client, server, ACK | TcpFlags::FIN, 3_010, 7_000);
        assert_eq!(
            row(&numbering.frame(&next, b"")),
            ("F.".into(), Some(11), Some(1), Some(63), true)
        );
        assert_eq!(numbering.client(), client);
    }

    #[test]
    fn filters_name_both_ends() {
        let flow = FlowId {
            key: FlowKey::of(end(2, 9080), end(1, 40_000)),
            tcp: true,
        };
        assert_eq!(
            connection_filter(&flow),
            "ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 40000 && tcp.port == 9080"
        );
    }
}
