use crate::decode::packet::container::ByteOrder;
use crate::decode::packet::samples::{Bytes, ETHERNET, Read, decode, decode_in, pcap, pcap_header};
use etherparse::PacketBuilder;
use proptest::prelude::*;
use std::path::PathBuf;

fn digest(read: &[Read]) -> Vec<String> {
    read.iter().map(Read::digest).collect()
}

/// Whatever the bytes: nothing panics, and the parts they come in change nothing.
fn check(file: &[u8], sizes: &[usize]) {
    let (whole, whole_summary) = decode(file);
    let (parted, parted_summary) = decode_in(file, sizes);
    assert_eq!(digest(&whole), digest(&parted));
    assert_eq!(format!("{whole_summary:?}"), format!("{parted_summary:?}"));
    assert_eq!(whole.len() as u64, whole_summary.packets);
}

fn a_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..100);
    (any::<[u8; 4]>(), any::<u16>(), 0..6_u8, payload, any::<bool>()).prop_map(
        |(address, port, kind, payload, vlan)| {
            let mut frame = Vec::new();
            let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let link = |frame: &mut Vec<u8>, payload: &[u8]| match (vlan, kind) {
                (true, 0..=2) => link
                    .single_vlan(etherparse::VlanId::try_new(port & 0xfff).unwrap())
                    .ipv4(address, [10, 0, 0, 1], 64)
                    .tcp(port, 80, 1, 1000)
                    .write(frame, payload),
                (false, 0..=2) => link
                    .ipv4(address, [10, 0, 0, 1], 64)
                    .tcp(port, 80, 1, 1000)
                    .ack(7)
                    .write(frame, payload),
                (_, 3) => link
                    .ipv6([address[0]; 16], [3; 16], 64)
                    .udp(port, 8472)
                    .write(frame, payload),
                (_, 4) => link
                    .ipv4(address, [10, 0, 0, 1], 64)
                    .icmpv4_echo_request(1, 2)
                    .write(frame, payload),
                _ => link
                    .ipv6([address[0]; 16], [3; 16], 64)
                    .udp(port, 53)
                    .write(frame, payload),
            };
            link(&mut frame, &payload).unwrap();
            frame
        },
    )
}

fn a_capture() -> impl Strategy<Value = Vec<u8>> {
    let order = prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)];
    (prop::collection::vec(a_frame(), 0..8), order, any::<bool>()).prop_map(|(frames, order, pcapng)| {
        let mut file = if pcapng {
            Bytes::new(order)
                .section()
                .interface(ETHERNET, 0, &[(2, b"eth0")])
        } else {
            pcap_header(order, 0xa1b2_c3d4, u32::from(ETHERNET))
        };
        for (frame, time) in frames.iter().zip(1_u32..) {
            let length = u32::try_from(frame.len()).unwrap();
            file = if pcapng {
                file.enhanced(0, u64::from(time), frame, &[(1, b"a comment")])
            } else {
                file.u32(&[time, 0, length, length]).raw(frame)
            };
        }
        file.bytes
    })
}

proptest! {
    #[test]
    fn parts_change_nothing(file in a_capture(), sizes in prop::collection::vec(1..300_usize, 1..5)) {
        check(&file, &sizes);
        prop_assert_eq!(decode(&file).1.problems, []);
    }

    #[test]
    fn damage_anywhere_is_borne(
        mut file in a_capture(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1..300_usize, 1..5),
    ) {
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let length = cut.index(file.len() + 1);
        check(&file[..length], &sizes);
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..400), head in 0..8_usize) {
        let mut file = match head {
            0 => Vec::new(),
            1 => pcap_header(ByteOrder::Big, 0xa1b2_3c4d, 276).bytes,
            2 => pcap_header(ByteOrder::Little, 0xa1b2_cd34, 1).bytes,
            _ => Bytes::new(ByteOrder::Big).section().interface(ETHERNET, 0, &[]).bytes,
        };
        file.extend(bytes);
        check(&file, &[3, 50, 1]);
    }
}

#[test]
fn nothing_is_read_behind_a_record_that_lies() {
    let plain = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
    let mut frame = Vec::new();
    plain
        .tcp(4000, 80, 1, 1000)
        .ack(7)
        .write(&mut frame, b"x")
        .unwrap();
    let mut file = pcap(ETHERNET, &[&frame, &frame]);
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 60, 0, 0, 0]);
    let lies_at = file.len() - 16;
    file.extend(&pcap(ETHERNET, &[frame.as_slice(); 9])[24..]);
    for part in [1, 7, lies_at, lies_at + 16, lies_at + 20, file.len()] {
        let (read, summary) = decode_in(&file, &[part]);
        assert_eq!(
            (read.len(), summary.problems.len()),
            (2, 1),
            "parts of {part} bytes"
        );
    }
}

/// The corpora of the fuzz targets, each by the property that its target checks.
#[test]
fn corpora() {
    let corpus = |target: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut seeds: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        seeds.sort();
        seeds
    };
    let captures = corpus("capture");
    let frames = corpus("frame");
    assert!(captures.len() >= 8 && frames.len() >= 15);
    for (path, seed) in captures {
        let (_, summary) = decode(&seed);
        assert!(summary.packets > 0, "{} is a capture", path.display());
        for size in [1, 13, 100] {
            check(&seed, &[size]);
        }
    }
    for (path, seed) in frames {
        let (link_type, frame) = seed.split_first_chunk().unwrap();
        let link_type = u16::from_be_bytes(*link_type);
        for length in 0..=frame.len() {
            let file = pcap(link_type, &[&frame[..length]]);
            let (read, summary) = decode(&file);
            assert_eq!(read.len(), 1, "{}", path.display());
            assert!(summary.problems.is_empty(), "{}", path.display());
        }
    }
}
