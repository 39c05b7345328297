use super::*;
use crate::decode::packet::samples::{ETHERNET, Read, decode, decode_frame, pcap, pcap_of};
use crate::decode::packet::{Endpoint, IcmpMessage, Quoted, TcpFlags, TcpOptions, TcpSegment};
use etherparse::PacketBuilder;
use proptest::prelude::*;
use std::net::SocketAddr;

const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\n";
const A: [u8; 4] = [10, 244, 1, 7];
const B: [u8; 4] = [10, 244, 2, 9];

fn v6(last: u8) -> [u8; 16] {
    [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn endpoint(text: &str) -> Endpoint {
    let address: SocketAddr = text.parse().unwrap();
    Endpoint {
        address: address.ip().into(),
        port: address.port(),
    }
}

/// IPv4 and TCP.
fn tcp4() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(A, B, 61)
        .tcp(40_000, 9080, 0x0102_0304, 502)
        .ack(0x0506_0708)
        .psh();
    builder.write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

/// IPv6 and TCP.
fn tcp6() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv6(v6(1), v6(2), 61)
        .tcp(40_000, 9080, 0x0102_0304, 502)
        .ack(0x0506_0708)
        .psh();
    builder.write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

fn ethernet(ether_type: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 12], &ether_type.to_be_bytes()[..], body].concat()
}

/// A frame of a segment with these options, and its payload.
fn in_options(options: &[u8]) -> Vec<u8> {
    let header_bytes = 20 + options.len();
    let mut segment = tcp4().split_off(20);
    segment[12] = u8::try_from(header_bytes << 2).unwrap();
    segment.splice(20..20, options.iter().copied());
    ethernet(0x0800, &ipv4(6, &segment))
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, 0, body)
}

/// With the field of flags and fragment offset.
fn ipv4_part(protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let [length_high, length_low] = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let [fragment_high, fragment_low] = fragment.to_be_bytes();
    let head = [
        0x45,
        0,
        length_high,
        length_low,
        0,
        77,
        fragment_high,
        fragment_low,
        64,
        protocol,
        0,
        0,
    ];
    [&head, &[192, 168, 0, 1][..], &[192, 168, 0, 2], body].concat()
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &v6(3), &v6(4), body].concat()
}

fn udp(destination: u16, body: &[u8]) -> Vec<u8> {
    let [length_high, length_low] = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
    let [high, low] = destination.to_be_bytes();
    [&[0x30, 0x39, high, low, length_high, length_low, 0, 0][..], body].concat()
}

fn in_vxlan(port: u16, frame: &[u8]) -> Vec<u8> {
    let body = [&[8, 0, 0, 0, 0, 0x12, 0x34, 0][..], frame].concat();
    ethernet(0x0800, &ipv4(17, &udp(port, &body)))
}

fn in_gre(head: &[u8], body: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(47, &[head, body].concat()))
}

/// Frames whose innermost packet is that of [`tcp4`] or [`tcp6`]: name, link type, frame, tunnels, headers.
fn frames() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let (v4, v6) = (tcp4(), tcp6());
    let inner = ethernet(0x0800, &v4);
    let sll = |protocol: [u8; 2], body: &[u8]| {
        [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0][..], &protocol, body].concat()
    };
    let mut sll2 = vec![8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
    sll2.extend(&v4);
    let geneve = [
        &[2, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 1, 0, 1, 0, 0, 0, 0][..],
        &inner,
    ]
    .concat();
    let geneve_ip = [&[0, 0, 0x08, 0x00, 0, 0, 9, 0][..], &v4].concat();
    let ext = |next: u8, body: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0][..], body].concat();
    let tcp6_alone = &v6[40..];
    let mut with_options = v4.clone();
    with_options[0] = 0x47;
    with_options[3] += 8;
    with_options.splice(20..20, [7, 7, 4, 0, 0, 0, 0, 0]);
    let erspan2 = [
        &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..],
        &[0x10, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let erspan3 = [
        &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..],
        &[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0; 8],
    ]
    .concat();
    let ppp = [&[0x11, 0, 0, 1, 0, 0, 0x00, 0x21][..], &v4].concat();
    let pppoe = {
        let mut bytes = ppp.clone();
        bytes[5] = u8::try_from(v4.len() + 2).unwrap();
        bytes
    };
    let nflog = [
        &[2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 1, 0][..],
        &[u8::try_from(v4.len() + 4).unwrap(), 0, 9, 0],
        &v4,
    ]
    .concat();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &v4].concat();
    let ah = [&[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 12], &v4[20..]].concat();
    let mut ah_v4 = [&v4[..20], &ah].concat();
    ah_v4[9] = 51;
    ah_v4[3] += 24;
    let chain = ipv6(0, &ext(43, &ext(60, &ext(6, tcp6_alone))));
    let chain = [&chain[..7], &v6[7..40], &chain[40..]].concat();
    let atomic = ipv6(44, &[&[6, 0, 0, 0, 0, 0, 0, 9][..], tcp6_alone].concat());
    let atomic = [&atomic[..7], &v6[7..40], &atomic[40..]].concat();
    let mut tso = inner.clone();
    tso[16..18].fill(0);
    let vlan = |tpid: u16, id: u16, ether_type: u16, body: &[u8]| {
        ethernet(
            tpid,
            &[&id.to_be_bytes()[..], &ether_type.to_be_bytes(), body].concat(),
        )
    };
    let qinq = [&[0x81, 0, 0, 200, 0x08, 0x00][..], &v4].concat();
    let qinq = ethernet(0x88a8, &[&[0xe0, 100][..], &qinq].concat());
    let twice = in_vxlan(4789, &in_gre(&[0, 0, 8, 0], &v4));
    vec![
        ("ethernet", 1, inner.clone(), 0),
        ("ethernet, v6", 1, ethernet(0x86dd, &v6), 0),
        ("padded", 1, [&inner[..], &[0xee; 9]].concat(), 0),
        ("total length 0", 1, tso, 0),
        ("options", 1, ethernet(0x0800, &with_options), 0),
        ("extension headers", 1, ethernet(0x86dd, &chain), 0),
        ("authentication header", 1, ethernet(0x0800, &ah_v4), 0),
        ("atomic fragment", 1, ethernet(0x86dd, &atomic), 0),
        ("802.1Q", 1, vlan(0x8100, 0xa007, 0x0800, &v4), 0),
        ("QinQ", 1, qinq, 0),
        ("SNAP", 1, ethernet(u16::try_from(snap.len()).unwrap(), &snap), 0),
        (
            "MPLS",
            1,
            ethernet(0x8847, &[&[0, 1, 0, 9, 0, 1, 1, 9][..], &v4].concat()),
            0,
        ),
        (
            "MPLS pseudo-wire",
            1,
            ethernet(0x8847, &[&[0, 1, 1, 9, 0, 0, 0, 0][..], &inner].concat()),
            0,
        ),
        ("PPPoE", 1, ethernet(0x8864, &pppoe), 0),
        ("cooked", 113, sll([8, 0], &v4), 0),
        ("cooked, v6", 113, sll([0x86, 0xdd], &v6), 0),
        (
            "cooked, VLAN",
            113,
            sll([0x81, 0], &[&[0, 7, 8, 0][..], &v4].concat()),
            0,
        ),
        ("cooked v2", 276, sll2, 0),
        ("raw", 101, v4.clone(), 0),
        ("raw, v6", 101, v6.clone(), 0),
        ("raw of BSD", 12, v4.clone(), 0),
        ("raw of OpenBSD", 14, v6.clone(), 0),
        ("raw IPv4", 228, v4.clone(), 0),
        ("raw IPv6", 229, v6.clone(), 0),
        ("null, little", 0, [&[2, 0, 0, 0][..], &v4].concat(), 0),
        ("null, big, v6", 0, [&[0, 0, 0, 30][..], &v6].concat(), 0),
        ("loop", 108, [&[0, 0, 0, 2][..], &v4].concat(), 0),
        ("PPP", 9, [&[0xff, 3, 0, 0x57][..], &v6].concat(), 0),
        ("HDLC", 104, [&[0x0f, 0, 8, 0][..], &v4].concat(), 0),
        ("NFLOG", 239, nflog, 0),
        ("VXLAN", 1, in_vxlan(4789, &inner), 1),
        ("VXLAN, Linux port", 1, in_vxlan(8472, &ethernet(0x86dd, &v6)), 1),
        ("Geneve", 1, ethernet(0x0800, &ipv4(17, &udp(6081, &geneve))), 1),
        (
            "Geneve, IP",
            1,
            ethernet(0x86dd, &ipv6(17, &udp(6081, &geneve_ip))),
            1,
        ),
        ("GRE", 1, in_gre(&[0, 0, 8, 0], &v4), 1),
        (
            "GRE, all fields",
            1,
            in_gre(&[&[0xb0, 0, 8, 0][..], &[0; 12]].concat(), &v4),
            1,
        ),
        (
            "GRE, TEB",
            1,
            in_gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1], &inner),
            1,
        ),
        (
            "GRE, PPTP",
            1,
            in_gre(
                &[
                    0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21,
                ],
                &v4,
            ),
            1,
        ),
        ("ERSPAN I", 1, in_gre(&[0, 0, 0x88, 0xbe], &inner), 1),
        ("ERSPAN II", 1, in_gre(&erspan2, &inner), 1),
        ("ERSPAN III", 1, in_gre(&erspan3, &inner), 1),
        ("IPIP", 1, ethernet(0x0800, &ipv4(4, &v4)), 1),
        ("6in4", 1, ethernet(0x0800, &ipv4(41, &v6)), 1),
        ("4in6", 1, ethernet(0x86dd, &ipv6(4, &v4)), 1),
        ("VXLAN, then GRE", 1, twice, 2),
    ]
}

fn segment(read: &Read) -> TcpSegment {
    match read.packet.transport {
        Transport::Tcp(segment) => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn down_to_the_inner_packet() {
    for (name, link_type, frame, tunnels) in frames() {
        let (read, summary) = decode_frame(link_type, &frame);
        let packet = read.packet;
        let is_v6 = packet.source.address.to_ip().is_ipv6();
        let (source, destination) = if is_v6 {
            ("[fd00::1]:40000", "[fd00::2]:9080")
        } else {
            ("10.244.1.7:40000", "10.244.2.9:9080")
        };
        assert_eq!(packet.source, endpoint(source), "{name}");
        assert_eq!(packet.destination, endpoint(destination), "{name}");
        assert_eq!((packet.ttl, packet.tunnels), (61, tunnels), "{name}");
        let segment = segment(&read);
        assert_eq!(segment.sequence, 0x0102_0304, "{name}");
        assert_eq!(segment.acknowledgment, 0x0506_0708, "{name}");
        assert_eq!(segment.window, 502, "{name}");
        assert_eq!(segment.flags, TcpFlags(TcpFlags::ACK | TcpFlags::PSH), "{name}");
        assert_eq!(read.payload, PAYLOAD, "{name}");
        assert_eq!(packet.payload_wire_bytes, 16, "{name}");
        assert_eq!(
            (summary.layers.malformed, summary.layers.cut_headers),
            (0, 0),
            "{name}"
        );
        assert_eq!(
            u8::try_from(summary.layers.tunnels.values().sum::<u64>()).unwrap(),
            tunnels
        );
    }
}

#[test]
fn every_truncation() {
    for (name, link_type, frame, _) in frames() {
        let (whole, _) = decode_frame(link_type, &frame);
        let wire_bytes = u32::try_from(frame.len()).unwrap();
        for length in 0..frame.len() {
            let (read, _) = decode(&pcap_of(link_type, &[(&frame[..length], wire_bytes)]));
            let packet = read[0].packet;
            assert_eq!(packet.wire_bytes, wire_bytes);
            if let Transport::Tcp(cut) = packet.transport {
                assert_eq!(packet.source, whole.packet.source, "{name} cut to {length}");
                assert_eq!(cut.checksum, segment(&whole).checksum, "{name} cut to {length}");
                assert_eq!(packet.payload_wire_bytes, 16, "{name} cut to {length}");
                assert!(PAYLOAD.starts_with(&read[0].payload), "{name} cut to {length}");
            } else {
                assert!(read[0].payload.len() <= length, "{name} cut to {length}");
            }
        }
    }
}

#[test]
fn identifiers_are_gathered() {
    let vlan = |id: u16| ethernet(0x8100, &[&id.to_be_bytes()[..], &[8, 0], &tcp4()].concat());
    let frames = [
        vlan(0),
        vlan(0xf0ff),
        vlan(4095),
        in_vxlan(4789, &ethernet(0x0800, &tcp4())),
    ];
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (_, summary) = decode(&pcap(ETHERNET, &frames));
    assert_eq!(Vec::from_iter(summary.layers.vlans), [0, 255, 4095]);
    assert_eq!(
        Vec::from_iter(summary.layers.tunnel_ids),
        [(Tunnel::Vxlan, 0x1234)]
    );
}

#[test]
fn what_is_no_connection() {
    let arp = ethernet(0x0806, &[0; 28]);
    let header = |bytes: &[u8]| ethernet(0x0800, bytes);
    let mut lying = tcp4();
    lying[3] = 19;
    let mut short_tcp = tcp4();
    short_tcp[32] = 0x40;
    let mut sctp = tcp4();
    sctp[9] = 132;
    let cases: Vec<(&str, Vec<u8>, &str, u64)> = vec![
        ("ARP", arp.clone(), "NotIp", 0),
        ("no IP version", header(&[0; 40]), "NotIp", 1),
        (
            "header of 16 bytes",
            header(&[&[0x44][..], &tcp4()[1..]].concat()),
            "NotIp",
            1,
        ),
        ("total length below the header", header(&lying), "Other(6)", 1),
        ("TCP header of 16 bytes", header(&short_tcp), "Other(6)", 1),
        ("SCTP", header(&sctp), "Other(132)", 0),
        ("ARP in VXLAN", in_vxlan(4789, &arp), "Udp", 0),
        (
            "no VXLAN",
            ethernet(0x0800, &ipv4(17, &udp(4789, &[0; 40]))),
            "Udp",
            0,
        ),
        ("ARP in GRE", in_gre(&[0, 0, 8, 6], &[0; 28]), "Other(47)", 0),
        ("no IP in IP", ethernet(0x0800, &ipv4(4, b"text")), "Other(4)", 0),
        ("802.3 without SNAP", ethernet(38, &[0x42; 38]), "NotIp", 0),
    ];
    for (name, frame, transport, malformed) in cases {
        let (read, summary) = decode_frame(ETHERNET, &frame);
        assert_eq!(format!("{:?}", read.packet.transport), transport, "{name}");
        assert_eq!(summary.layers.malformed, malformed, "{name}");
        assert_eq!(summary.layers.not_ip, u64::from(transport == "NotIp"), "{name}");
        assert_eq!(read.packet.tunnels, 0, "{name}");
    }
}

#[test]
fn headers_without_end_are_bounded() {
    let ip = (0..200).fold(tcp4(), |inner, _| ipv4(4, &inner));
    let tags = [0, 1, 0x81, 0].repeat(5000);
    let extensions = ipv6(0, &[0; 8000]);
    for frame in [
        ethernet(0x0800, &ip),
        ethernet(0x8100, &tags),
        ethernet(0x86dd, &extensions),
        ethernet(0x8847, &[0; 9000]),
    ] {
        let (_, summary) = decode_frame(ETHERNET, &frame);
        assert_eq!(summary.layers.malformed, 1);
    }
}

#[test]
fn cooked_packets_of_other_interfaces_differ() {
    let seen = |index: u8, packet_type: u8| {
        [
            &[8, 0, 0, 0, 0, 0, 0, index, 0, 1, packet_type, 6][..],
            &[0; 8],
            &tcp4(),
        ]
        .concat()
    };
    let frames = [seen(1, 0), seen(2, 0), seen(1, 4), seen(1, 0), seen(2, 0)];
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (read, _) = decode(&pcap(276, &frames));
    let numbers: Vec<u32> = read.iter().map(|read| read.packet.interface).collect();
    assert_eq!(numbers[0], numbers[3]);
    assert_eq!(numbers[1], numbers[4]);
    assert!(numbers[0] != numbers[1] && numbers[0] != numbers[2] && numbers[1] != numbers[2]);
}

#[test]
fn tcp_options() {
    let none = TcpOptions::default();
    let of_syn = TcpOptions {
        window_scale: Some(7),
        maximum_segment_size: Some(1460),
        sack_permitted: true,
        timestamps: Some((1, 2)),
        first_sack: None,
    };
    let timestamps = TcpOptions {
        timestamps: Some((0x0102_0304, 0x0506_0708)),
        ..none
    };
    let sack = TcpOptions {
        first_sack: Some((1, 2)),
        ..none
    };
    let syn: &[u8] = &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let cases: &[(bool, &[u8], TcpOptions)] = &[
        (true, syn, of_syn),
        (
            false,
            syn,
            TcpOptions {
                timestamps: Some((1, 2)),
                ..none
            },
        ),
        (false, &[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], timestamps),
        (false, &[8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1], timestamps),
        (false, &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2], sack),
        (
            false,
            &[5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1],
            sack,
        ),
        // An end mark, lengths of nothing, of less than themselves, and beyond the header.
        (true, &[0, 3, 3, 7], none),
        (true, &[3, 0, 3, 7], none),
        (true, &[3, 1, 3, 7], none),
        (true, &[1, 1, 3, 9], none),
        (true, &[1, 1, 1, 3], none),
        (
            true,
            &[30, 4, 0, 0, 3, 3, 5, 0],
            TcpOptions {
                window_scale: Some(5),
                ..none
            },
        ),
        (true, &[2, 3, 5, 3, 2, 0, 0, 0], none),
        (false, &[], none),
    ];
    for (syn, options, expected) in cases {
        let mut bytes = ipv4(
            6,
            &[
                &[0; 12][..],
                &[
                    0x50 + (u8::try_from(options.len()).unwrap() << 2),
                    0x10 | u8::from(*syn) << 1,
                ],
                &[0; 6],
                options,
                PAYLOAD,
            ]
            .concat(),
        );
        bytes.extend([0; 3]);
        let (read, _) = decode_frame(101, &bytes);
        assert_eq!(segment(&read).options, *expected, "{options:?}");
        assert_eq!(read.payload, PAYLOAD, "{options:?}");
    }
}

#[test]
fn lengths_of_udp() {
    let mut bytes = Vec::new();
    for (field, payload, wire_bytes) in [
        (24, 16, 16),
        (20, 12, 12),
        (0, 16, 16),
        (7, 16, 16),
        (8, 0, 0),
        (999, 16, 16),
    ] {
        bytes.clear();
        bytes.extend(udp(53, PAYLOAD));
        bytes[4..6].copy_from_slice(&u16::to_be_bytes(field));
        let (read, _) = decode_frame(101, &ipv4(17, &bytes));
        assert!(matches!(read.packet.transport, Transport::Udp));
        assert_eq!(
            (read.payload.len(), read.packet.payload_wire_bytes),
            (payload, wire_bytes),
            "{field}"
        );
        assert_eq!(read.packet.destination.port, 53);
    }
}

#[test]
fn icmp_errors_quote_their_connection() {
    let quoted = |bytes: &[u8], v6: bool, message_type: u8| {
        let body = [&[message_type, 1, 0, 0, 0, 0, 0, 0][..], bytes].concat();
        let packet = if v6 { ipv6(58, &body) } else { ipv4(1, &body) };
        let (read, summary) = decode_frame(101, &packet);
        assert_eq!(summary.layers.icmp[&(v6, message_type, 1)], 1);
        match read.packet.transport {
            Transport::Icmp(IcmpMessage { quoted, code: 1, .. }) => {
                quoted.map(|quoted| (quoted, read.packet))
            }
            other => panic!("{other:?}"),
        }
    };
    let of_tcp4 = Quoted {
        protocol: 6,
        source: endpoint("10.244.1.7:40000"),
        destination: endpoint("10.244.2.9:9080"),
        sequence: Some(0x0102_0304),
    };
    let (found, packet) = quoted(&tcp4()[..28], false, 3).unwrap();
    assert_eq!(found, of_tcp4);
    let (direct, _) = decode_frame(101, &tcp4());
    assert_eq!(packet.flow(), direct.packet.flow());
    let (found, _) = quoted(&tcp6(), true, 1).unwrap();
    assert_eq!(found.source, endpoint("[fd00::1]:40000"));
    let behind_extension = ipv6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp6()[40..]].concat());
    let (found, _) = quoted(&behind_extension, true, 1).unwrap();
    assert_eq!(
        (found.protocol, found.source.port, found.sequence),
        (6, 40_000, of_tcp4.sequence)
    );
    let (found, _) = quoted(&ipv4_part(6, 9, &tcp4()[20..]), false, 11).unwrap();
    assert_eq!(
        (found.source.port, found.sequence),
        (0, None),
        "a later fragment has no ports"
    );
    let (found, _) = quoted(&ipv4(17, &udp(53, b"")), false, 3).unwrap();
    assert_eq!(
        (found.protocol, found.destination.port, found.sequence),
        (17, 53, None)
    );
    assert!(quoted(&tcp4(), false, 8).is_none(), "an echo quotes nothing");
    for length in 0..28 {
        let found = quoted(&tcp4()[..length], false, 3);
        assert_eq!(found.is_some(), length >= 20);
    }
}

/// A datagram's fragments in IPv4: (offset, bytes, more).
fn in_v4(fragments: &[(usize, &[u8], bool)]) -> Vec<Vec<u8>> {
    let field = |offset: usize, more: bool| u16::try_from(offset / 8).unwrap() | u16::from(more) << 13;
    fragments
        .iter()
        .map(|(offset, bytes, more)| ethernet(0x0800, &ipv4_part(17, field(*offset, *more), bytes)))
        .collect()
}

fn in_v6(fragments: &[(usize, &[u8], bool)]) -> Vec<Vec<u8>> {
    fragments
        .iter()
        .map(|(offset, bytes, more)| {
            let [high, low] = (u16::try_from(*offset).unwrap() | u16::from(*more)).to_be_bytes();
            ethernet(
                0x86dd,
                &ipv6(44, &[&[17, 0, high, low, 0, 0, 0, 9][..], bytes].concat()),
            )
        })
        .collect()
}

#[test]
fn fragments_in_any_order() {
    let content: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let datagram = udp(9999, &content);
    let parts: Vec<(usize, &[u8], bool)> = vec![
        (0, &datagram[..400], true),
        (400, &datagram[400..800], true),
        (800, &datagram[800..], false),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let parts: Vec<_> = order.iter().map(|place| parts[*place]).collect();
        for frames in [in_v4(&parts), in_v6(&parts)] {
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let (read, summary) = decode(&pcap(ETHERNET, &frames));
            assert!(matches!(read[0].packet.transport, Transport::Fragment));
            assert!(matches!(read[1].packet.transport, Transport::Fragment));
            assert_eq!(
                (read[1].packet.source.port, read[1].packet.destination.port),
                (0, 0)
            );
            assert!(matches!(read[2].packet.transport, Transport::Udp));
            assert_eq!(read[2].packet.destination.port, 9999);
            assert_eq!(read[2].payload, content);
            assert_eq!(read[2].packet.payload_wire_bytes, 1000);
            let fragments = summary.layers.fragments;
            assert_eq!((fragments.ipv4 + fragments.ipv6, fragments.reassembled), (3, 1));
            assert_eq!((fragments.left_out, fragments.incomplete), (0, 0));
        }
    }
}

#[test]
fn a_tunnel_in_fragments() {
    let outer = in_vxlan(4789, &ethernet(0x0800, &tcp4()));
    let datagram = &outer[34..];
    let frames = in_v4(&[(0, &datagram[..48], true), (48, &datagram[48..], false)]);
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (read, _) = decode(&pcap(ETHERNET, &frames));
    assert_eq!(read[1].packet.tunnels, 1);
    assert_eq!(read[1].packet.destination, endpoint("10.244.2.9:9080"));
    assert_eq!(read[1].payload, PAYLOAD);
}

#[test]
fn a_first_fragment_that_was_cut_is_decoded_by_itself() {
    let datagram = udp(53, &[7; 600]);
    let frames = in_v4(&[(0, &datagram[..400], true), (400, &datagram[400..], false)]);
    let wire: Vec<u32> = frames
        .iter()
        .map(|frame| u32::try_from(frame.len()).unwrap())
        .collect();
    let (read, summary) = decode(&pcap_of(
        ETHERNET,
        &[(&frames[0][..96], wire[0]), (&frames[1][..96], wire[1])],
    ));
    assert!(matches!(read[0].packet.transport, Transport::Udp));
    assert_eq!(
        (read[0].packet.destination.port, read[0].packet.payload_wire_bytes),
        (53, 392)
    );
    assert!(matches!(read[1].packet.transport, Transport::Fragment));
    assert_eq!(summary.layers.fragments.left_out, 2);
}

proptest! {
    /// Only frames behind a first one are read at once.
    #[test]
    fn frames_read_at_once_are_as_the_layers_read_them(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((12..70_usize, any::<u8>()), 0..3),
        cut in prop::option::weighted(0.3, 0..90_usize),
    ) {
        let frames = [ethernet(0x0800, &tcp4()), in_options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]), in_options(&[2, 4, 5, 180])];
        let mut frame = frames[which.index(frames.len())].clone();
        for (at, byte) in damage {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
        }
        let wire_bytes = u32::try_from(frame.len()).unwrap();
        frame.truncate(cut.unwrap_or(frame.len()));
        let (read, summary) = decode(&pcap_of(ETHERNET, &[(frame.as_slice(), wire_bytes); 3]));
        // Fragments wait for each other, so that the first is not as the second.
        if summary.layers.fragments.ipv4 + summary.layers.fragments.ipv6 > 0 {
            return Ok(());
        }
        let first = read[0].packet.at;
        let digest = |read: &Read| {
            let packet = Packet { at: first, time: None, ..read.packet };
            Read { packet, payload: read.payload.clone() }.digest()
        };
        prop_assert_eq!(digest(&read[0]), digest(&read[1]));
        prop_assert_eq!(digest(&read[0]), digest(&read[2]));
        prop_assert_eq!(summary.link_types[0].packets, 3);
        prop_assert_eq!(summary.interfaces[0].packets, 3);
        prop_assert_eq!(summary.wire_bytes, u64::from(wire_bytes) * 3);
    }

    /// Where etherparse reads a frame strictly, it says the same.
    #[test]
    fn agrees_with_etherparse(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((14..90_usize, any::<u8>()), 0..3),
    ) {
        let mut frames = frames();
        frames.retain(|(_, link_type, _, tunnels)| *link_type == ETHERNET && *tunnels == 0);
        let (_, link_type, mut frame, _) = frames[which.index(frames.len())].clone();
        for (at, byte) in damage {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
        }
        let (read, _) = decode_frame(link_type, &frame);
        let Ok(sliced) = etherparse::SlicedPacket::from_ethernet(&frame) else {
            return Ok(());
        };
        match sliced.transport {
            Some(etherparse::TransportSlice::Tcp(tcp)) => {
                let segment = segment(&read);
                prop_assert_eq!(read.packet.source.port, tcp.source_port());
                prop_assert_eq!(read.packet.destination.port, tcp.destination_port());
                prop_assert_eq!(segment.sequence, tcp.sequence_number());
                prop_assert_eq!(segment.window, tcp.window_size());
                prop_assert_eq!(segment.checksum, tcp.checksum());
                prop_assert_eq!(segment.flags.syn(), tcp.syn());
                prop_assert_eq!(&read.payload[..], tcp.payload());
            }
            Some(etherparse::TransportSlice::Udp(udp)) if read.packet.tunnels == 0 => {
                prop_assert_eq!(read.packet.source.port, udp.source_port());
                prop_assert_eq!(&read.payload[..], udp.payload());
            }
            _ => {}
        }
    }

    #[test]
    fn any_frame_is_borne(link_type in prop_oneof![Just(ETHERNET), 0..300_u16], frame in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_frame(link_type, &frame);
    }

    /// Frames with damage anywhere, several of them, so that fragments meet.
    #[test]
    fn any_damage_is_borne(
        which in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let known = frames();
        let mut bytes: Vec<Vec<u8>> = which.iter().map(|which| known[which.index(known.len())].2.clone()).collect();
        for (at, byte) in damage {
            for frame in &mut bytes {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
        }
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let (read, _) = decode(&pcap(ETHERNET, &bytes));
        prop_assert_eq!(read.len(), bytes.len());
    }
}

/// Found by fuzzing: an `ICMPv6` error inside of tunnels quotes an IPv6 packet whose extension headers run beyond its end.
#[test]
fn a_quoted_packet_whose_extension_headers_are_cut() {
    let mut quote = vec![0x60, 0, 0, 0, 0, 60, 0, 61];
    quote.extend([0; 32]);
    for (next, length) in [(60, 0), (48, 0), (60, 4), (60, 255)] {
        let mut bytes = quote.clone();
        bytes[6] = 60;
        bytes.extend([next, length, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4]);
        for cut in 40..=bytes.len() {
            let body = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &bytes[..cut]].concat();
            let (read, _) = decode_frame(101, &ipv6(58, &body));
            let Transport::Icmp(message) = read.packet.transport else {
                panic!("{:?}", read.packet.transport);
            };
            assert!(message.quoted.is_some(), "{next} {length} {cut}");
        }
    }
}
