use super::*;
use crate::decode::packet::samples::{Bytes, ETHERNET, decode, decode_in, pcap, pcap_header};
use crate::decode::packet::{Address, CaptureSummary};

const FRAME: &[u8] = b"any sixteen byte";
const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn times(file: &[u8]) -> Vec<Option<i64>> {
    let (read, _) = decode(file);
    read.iter()
        .map(|read| read.packet.time.map(|time| time.0))
        .collect()
}

fn problem(summary: &CaptureSummary) -> (u64, &str) {
    summary
        .problems
        .first()
        .map_or((0, ""), |problem| (problem.offset_bytes, problem.what.as_str()))
}

#[test]
fn pcap_variants() {
    let variants = [
        (0xa1b2_c3d4, ContainerKind::Pcap, 1_000_000_005_000, 0),
        (0xa1b2_3c4d, ContainerKind::Pcap, 1_000_000_000_005, 0),
        (0xa1b2_cd34, ContainerKind::PcapModified, 1_000_000_005_000, 8),
    ];
    for order in ORDERS {
        for (magic, kind, time, more_header) in variants {
            let file = pcap_header(order, magic, 1)
                .u32(&[1000, 5, 16, 60])
                .raw(&vec![9; more_header])
                .raw(FRAME)
                .u32(&[1001, 0, 0, 70])
                .raw(&vec![9; more_header]);
            let (read, summary) = decode(&file.bytes);
            assert_eq!(summary.container, Some(kind));
            assert_eq!(summary.byte_order, Some(order));
            assert_eq!((summary.packets, summary.frames, summary.cut_packets), (2, 2, 2));
            assert_eq!((summary.captured_bytes, summary.wire_bytes), (16, 130));
            assert_eq!(read[0].packet.time.map(|time| time.0), Some(time));
            assert_eq!(read[1].packet.at.frame, 2);
            assert_eq!(summary.problems, []);
        }
    }
}

#[test]
fn lengths_of_old_versions_are_the_other_way_round() {
    for (minor, first, second) in [(2_u16, 16, 60), (3, 60, 16), (3, 16, 60), (4, 16, 60)] {
        let file = Bytes::new(ByteOrder::Big)
            .u32(&[0xa1b2_c3d4])
            .u16(&[2, minor])
            .u32(&[0, 0, 65_535, 1])
            .u32(&if minor == 2 {
                [1, 0, second, first]
            } else {
                [1, 0, first, second]
            })
            .raw(FRAME);
        let (read, summary) = decode(&file.bytes);
        assert_eq!(summary.problems, [], "{minor}");
        assert_eq!(
            (read[0].packet.captured_bytes, read[0].packet.wire_bytes),
            (16, 60),
            "{minor}"
        );
    }
}

#[test]
fn damaged_pcap() {
    let whole = pcap(ETHERNET, &[FRAME, FRAME]);
    let with = |records: &[u32]| {
        Bytes {
            order: ByteOrder::Little,
            bytes: whole.clone(),
        }
        .u32(records)
        .bytes
    };
    let version = Bytes::new(ByteOrder::Little)
        .u32(&[0xa1b2_c3d4])
        .u16(&[1, 4])
        .u32(&[0, 0, 9, 1])
        .bytes;
    let cases: Vec<(&str, Vec<u8>, u64, u64, &str)> = vec![
        ("whole", whole.clone(), 2, 0, ""),
        ("header only", whole[..24].to_vec(), 0, 0, ""),
        (
            "cut header",
            whole[..20].to_vec(),
            0,
            0,
            "the capture is cut off: a record of at least 24",
        ),
        ("two bytes", whole[..2].to_vec(), 0, 0, "the capture is cut off"),
        (
            "cut record header",
            whole[..60].to_vec(),
            1,
            56,
            "after frame 1: the capture is cut off",
        ),
        (
            "cut record",
            whole[..80].to_vec(),
            1,
            56,
            "after frame 1: the capture is cut off: a record of at least 32",
        ),
        (
            "absurd length",
            with(&[1, 1, 4_000_000, 60]),
            2,
            88,
            "after frame 2: a record claims 4000000 bytes",
        ),
        ("version", version, 0, 0, "pcap version 1.4"),
        ("text", b"text and more text".to_vec(), 0, 0, "not a capture"),
        ("nothing", vec![], 0, 0, ""),
    ];
    for (name, file, packets, offset, what) in cases {
        for size in [1, 7, file.len()] {
            let (read, summary) = decode_in(&file, &[size]);
            assert_eq!(read.len() as u64, packets, "{name}");
            let (found_offset, found) = problem(&summary);
            assert!(
                found.starts_with(what) && found.is_empty() == what.is_empty(),
                "{name}: {found}"
            );
            assert_eq!(found_offset, offset, "{name}");
        }
    }
}

#[test]
fn joined_pcap_files() {
    let other = pcap_header(ByteOrder::Little, 0xa1b2_c3d4, 101)
        .u32(&[7, 0, 16, 16])
        .raw(FRAME);
    let file = [pcap(ETHERNET, &[FRAME]), other.bytes].concat();
    let (read, summary) = decode(&file);
    assert_eq!(read.len(), 2);
    assert_eq!(summary.sections, 2);
    assert_eq!(summary.interfaces[1].link_type, 101);
    assert!(problem(&summary).1.contains("joined with `cat`"));
}

#[test]
fn frame_check_sequences_are_no_payload() {
    // Ethernet with 4 bytes of it; the type says IEEE 802.3 with a SNAP header, which has no length of its own within.
    let file = pcap_header(ByteOrder::Little, 0xa1b2_c3d4, 0x2400_0001)
        .u32(&[1, 0, 18, 18])
        .raw(&[[0; 12].as_slice(), &[8, 0], b"FCS!"].concat());
    let (_, summary) = decode(&file.bytes);
    assert_eq!(summary.link_types[0].number, 1);
    assert_eq!(summary.layers.cut_headers, 1, "nothing is left for an IP header");
}

fn everything(order: ByteOrder) -> Bytes {
    let ip = |last| [10, 0, 0, last];
    let names = Bytes::new(order)
        .option(1, &[&ip(1)[..], b"ratings\0ratings.default\0"].concat())
        .option(2, &[[0xfe; 16].as_slice(), b"six\0"].concat())
        .option(77, b"?")
        .option(0, b"");
    let statistics = Bytes::new(order)
        .u32(&[0, 0, 0])
        .option(4, &1000_u64.to_be_bytes())
        .option(5, &Bytes::new(order).u64(12).bytes)
        .option(7, &Bytes::new(order).u64(3).bytes);
    let old = Bytes::new(order)
        .u16(&[1, 5])
        .u32(&[0, 2_000_000, 16, 99])
        .raw(FRAME)
        .option(1, b"an old comment");
    let simple = Bytes::new(order).u32(&[40]).raw(FRAME);
    Bytes::new(order)
        .section()
        .interface(
            1,
            16,
            &[(2, b"eth0"), (9, &[9]), (14, &Bytes::new(order).u64(10).bytes)],
        )
        .interface(101, 0, &[(1, b"of the interface")])
        .block(4, &names.bytes)
        .enhanced(
            0,
            5,
            FRAME,
            &[(1, b"hello"), (4, &Bytes::new(order).u64(2).bytes), (0, b"")],
        )
        .block(0x0bad, b"who knows what")
        .block(2, &old.bytes)
        .block(3, &simple.bytes)
        .block(10, b"secrets")
        .block(0x8000_0001, b"local")
        .block(5, &statistics.bytes)
}

#[test]
fn pcapng_blocks() {
    for order in ORDERS {
        let file = everything(order);
        for size in [1, 5, 64, file.bytes.len()] {
            let (read, summary) = decode_in(&file.bytes, &[size]);
            assert_eq!(summary.problems, []);
            assert_eq!(summary.container, Some(ContainerKind::Pcapng));
            assert_eq!(
                (summary.packets, summary.frames, summary.skipped_blocks),
                (3, 4, 2)
            );
            let frames: Vec<u64> = read.iter().map(|read| read.packet.at.frame).collect();
            assert_eq!(frames, [1, 3, 4]);
            let times: Vec<_> = read
                .iter()
                .map(|read| read.packet.time.map(|time| time.0))
                .collect();
            assert_eq!(times, [Some(10_000_000_005), Some(2_000_000_000), None]);
            assert_eq!((summary.backward_packets, summary.timeless_packets), (1, 1));
            assert_eq!(summary.earliest.map(|time| time.0), Some(2_000_000_000));
            assert_eq!(summary.first, summary.latest);
            assert_eq!(read[2].packet.captured_bytes, 16, "cut to the snaplen");
            assert_eq!(read[2].packet.wire_bytes, 40);
            assert_eq!(summary.interfaces[0].name.as_deref(), Some("eth0"));
            assert_eq!(
                summary.interfaces[0].dropped(),
                Some(15),
                "statistics say more than packets do"
            );
            assert_eq!(summary.interfaces[1].dropped(), Some(5));
            assert_eq!(summary.dropped, Some(20));
            assert_eq!(
                (summary.interfaces[0].packets, summary.interfaces[1].packets),
                (2, 1)
            );
            let comments: Vec<_> = summary
                .comments
                .iter()
                .map(|c| (c.frame, c.text.as_str()))
                .collect();
            assert_eq!(
                comments,
                [
                    (None, "of the interface"),
                    (Some(1), "hello"),
                    (Some(3), "an old comment")
                ]
            );
            assert_eq!(summary.names.len(), 2);
            let of_one: Vec<&String> = summary.names[&Address::v4([10, 0, 0, 1])].iter().collect();
            assert_eq!(of_one, ["ratings", "ratings.default"]);
        }
    }
}

#[test]
fn sections_have_their_own_order_and_interfaces() {
    let first = Bytes::new(ByteOrder::Little)
        .section()
        .interface(1, 0, &[])
        .enhanced(0, 1_000_000, FRAME, &[]);
    let second = Bytes::new(ByteOrder::Big)
        .section()
        .interface(101, 0, &[(9, &[0x80])])
        .enhanced(0, 3, FRAME, &[]);
    let file = [first.bytes, second.bytes].concat();
    assert_eq!(times(&file), [Some(1_000_000_000), Some(3_000_000_000)]);
    let (_, summary) = decode(&file);
    assert_eq!((summary.sections, summary.interface_count), (2, 2));
    assert_eq!(summary.interfaces[1].section, 1);
    assert_eq!(summary.interfaces[1].time_resolution, TimeResolution::Binary(0));
    let types: Vec<_> = summary.link_types.iter().map(|t| (t.number, t.packets)).collect();
    assert_eq!(types, [(1, 1), (101, 1)]);
}

#[test]
fn damaged_pcapng() {
    let order = ByteOrder::Little;
    let good = || {
        Bytes::new(order)
            .section()
            .interface(1, 0, &[])
            .enhanced(0, 1, FRAME, &[])
    };
    let at = good().bytes.len() as u64;
    let mut lengths_differ = good().enhanced(0, 2, FRAME, &[]).enhanced(0, 3, FRAME, &[]).bytes;
    let end = usize::try_from(at).unwrap() + 44;
    lengths_differ[end] ^= 1;
    let lies = Bytes::new(order).u32(&[0, 0, 0, 9999, 9999]).raw(FRAME).bytes;
    let cases: Vec<(&str, Vec<u8>, u64, u64, &str)> = vec![
        ("good", good().bytes, 1, 0, ""),
        (
            "cut",
            good().enhanced(0, 2, &[0; 99], &[]).bytes[..end + 8].to_vec(),
            1,
            at,
            "after frame 1: the capture is cut",
        ),
        (
            "short block",
            good().u32(&[6, 8, 8, 8]).bytes,
            1,
            at,
            "after frame 1: a block of type 6 claims 8 bytes",
        ),
        (
            "lengths differ",
            lengths_differ,
            3,
            at,
            "after frame 1: the two lengths",
        ),
        (
            "unknown interface",
            good().enhanced(3, 2, FRAME, &[]).enhanced(0, 2, FRAME, &[]).bytes,
            2,
            at,
            "after frame 1: a packet names interface 3",
        ),
        (
            "captured lies",
            good().block(6, &lies).enhanced(0, 2, FRAME, &[]).bytes,
            2,
            at,
            "after frame 1: a packet claims",
        ),
        (
            "no fields",
            good().block(6, b"ab").enhanced(0, 2, FRAME, &[]).bytes,
            2,
            at,
            "after frame 1: an enhanced packet",
        ),
        (
            "no magic",
            good().block(0x0a0d_0d0a, &[0; 16]).bytes,
            1,
            at,
            "after frame 1: a section header without",
        ),
        (
            "long block",
            good()
                .u32(&[6, 32 << 20])
                .raw(&vec![0; (32 << 20) - 8])
                .enhanced(0, 2, FRAME, &[])
                .bytes,
            2,
            at,
            "after frame 1: a block of type 6 has 33554432 bytes",
        ),
    ];
    for (name, file, packets, offset, what) in cases {
        for size in [97, file.len()] {
            if size < 100 && file.len() > 1 << 20 {
                continue;
            }
            let (read, summary) = decode_in(&file, &[size]);
            assert_eq!(read.len() as u64, packets, "{name}");
            let (found_offset, found) = problem(&summary);
            assert!(
                found.starts_with(what) && found.is_empty() == what.is_empty(),
                "{name}: {found}"
            );
            assert_eq!(found_offset, offset, "{name}");
        }
    }
}

#[test]
fn a_length_that_is_no_multiple_of_four_is_padded() {
    let good = Bytes::new(ByteOrder::Little).section().interface(1, 0, &[]);
    let odd = good.clone().u32(&[0x77, 13]).raw(b"x").u32(&[13]).raw(b"pad");
    let file = odd.enhanced(0, 5, FRAME, &[]);
    for size in [1, 4, 4096] {
        let (read, summary) = decode_in(&file.bytes, &[size]);
        assert_eq!((read.len(), summary.problems.len()), (1, 0));
    }
    let at_end = good.u32(&[0x77, 13]).raw(b"x").u32(&[13]);
    assert_eq!(decode(&at_end.bytes).1.problems, []);
}

#[test]
fn what_a_file_repeats_without_end_is_bounded() {
    let mut file = Bytes::new(ByteOrder::Big).section();
    for number in 0..3_000_u32 {
        let name = format!("host-{number}\0");
        let names = (0..3).fold(Bytes::new(ByteOrder::Big), |names, part| {
            let address = (number * 3 + part).to_be_bytes();
            names.option(1, &[&address[..], name.as_bytes()].concat())
        });
        file = file
            .interface(u16::try_from(number).unwrap(), 0, &[(1, &[b'x'; 999])])
            .block(4, &names.bytes)
            .enhanced(number, 1, b"", &[])
            .enhanced(u32::MAX, 1, b"", &[]);
    }
    let (read, summary) = decode(&file.bytes);
    assert_eq!(read.len(), 3_000);
    assert_eq!(summary.interface_count, 3_000);
    assert_eq!(summary.interfaces.len(), 256);
    assert_eq!(summary.link_types.len(), 64);
    assert_eq!(summary.comments.len(), 16);
    assert_eq!(summary.comments_left_out, 3_000 - 16);
    assert_eq!(summary.comments[0].text.len(), 256);
    assert_eq!(summary.names.len(), 4096);
    assert_eq!(summary.names_left_out, 9_000 - 4_096);
    // Link types that are not decoded are named besides.
    assert!(
        summary.problems.len() <= 16 + 1 + 64,
        "{}",
        summary.problems.len()
    );
    assert!(
        summary
            .problems
            .iter()
            .any(|problem| problem.what == "2984 more problems, not listed")
    );
}

#[test]
fn an_unknown_link_type_is_named() {
    let (read, summary) = decode(&pcap(127, &[FRAME, FRAME]));
    assert_eq!(read.len(), 2);
    let (_, what) = problem(&summary);
    assert!(what.starts_with(
        "link type 127 (IEEE 802.11 with radiotap) is not decoded: its 2 packets, from frame 1 on"
    ));
}
