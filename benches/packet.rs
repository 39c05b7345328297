//! Captures to packets: in memory, block by block, and from a file in the page cache with reading.
//!
//! Input: generated TCP of 576 bytes a packet on average, as of a mesh, as pcap of an Ethernet interface and as pcapng of
//! `-i any`. Each case is checked first: all packets are there with their payload.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postmesh::decode::packet::{CaptureDecoder, PacketBlock, Transport};
use postmesh::input::discover;
use postmesh::pipeline::capture_reader::CaptureReader;
use postmesh::units::InputId;
use std::hint::black_box;

const FILE_BYTES: usize = 64 << 20;
const BLOCK_BYTES: usize = 256 << 10;

/// Bytes of a capture, and what is in it.
#[derive(Default)]
struct Generated {
    header: Vec<u8>,
    records: Vec<u8>,
    packets: u64,
    payload_bytes: u64,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// IPv4 and TCP with timestamps.
fn push_ip(out: &mut Vec<u8>, random: u64, payload_bytes: u16) {
    let noise = random.to_be_bytes();
    let [total_high, total_low] = (52 + payload_bytes).to_be_bytes();
    out.extend([
        0x45, 0, total_high, total_low, noise[0], noise[1], 0x40, 0, 64, 6, 0, 0,
    ]);
    out.extend([10, 244, 1, noise[2] & 63, 10, 244, 2, noise[3] & 63]);
    out.extend([0x80 | noise[4] & 0x3f, noise[5], 0x23, 0x78]);
    out.extend(noise);
    out.extend([0x80, 0x10, 2, 0, noise[5], noise[6], 0, 0, 1, 1, 8, 10]);
    out.extend(noise);
    out.resize(out.len() + usize::from(payload_bytes), noise[6]);
}

/// Acknowledgments, small messages, full segments: 522 bytes of payload on average.
fn payload_bytes(random: u64) -> u16 {
    match random % 16 {
        0..=6 => 0,
        7..=11 => u16::try_from(100 + random % 500).unwrap_or(0),
        _ => 1448,
    }
}

fn ethernet_pcap(total_bytes: usize) -> Generated {
    let mut made = Generated::default();
    made.header.extend(0xa1b2_c3d4_u32.to_le_bytes());
    made.header
        .extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while made.records.len() < total_bytes {
        let random = random.next();
        let payload = payload_bytes(random >> 8);
        let frame = u32::from(payload) + 66;
        let (seconds, micros) = (made.packets / 10_000, made.packets % 10_000 * 100);
        for field in [
            1_793_589_164 + seconds,
            micros,
            u64::from(frame),
            u64::from(frame),
        ] {
            let field = u32::try_from(field).unwrap_or(0);
            made.records.extend(field.to_le_bytes());
        }
        made.records.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        push_ip(&mut made.records, random, payload);
        made.packets += 1;
        made.payload_bytes += u64::from(payload);
    }
    made
}

fn cooked_pcapng(total_bytes: usize) -> Generated {
    let mut made = Generated::default();
    let section = [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
    let interface = [1_u32, 20, 276, 262_144, 20];
    for field in section.into_iter().chain(interface) {
        made.header.extend(field.to_le_bytes());
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while made.records.len() < total_bytes {
        let random = random.next();
        let payload = payload_bytes(random >> 8);
        let frame = u32::from(payload) + 72;
        let block = 32 + frame.next_multiple_of(4);
        let time = (1_793_589_164_000_000 + made.packets * 100).to_be_bytes();
        let [high, low] = [0, 4].map(|at| {
            let mut half = [0; 4];
            half.copy_from_slice(&time[at..at + 4]);
            u32::from_be_bytes(half)
        });
        for field in [6, block, 0, high, low, frame, frame] {
            made.records.extend(field.to_le_bytes());
        }
        let index = u8::try_from(random % 3).unwrap_or(0);
        made.records
            .extend([8, 0, 0, 0, 0, 0, 0, index, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
        push_ip(&mut made.records, random, payload);
        made.records.resize(made.records.len().next_multiple_of(4), 0);
        made.records.extend(block.to_le_bytes());
        made.packets += 1;
        made.payload_bytes += u64::from(payload);
    }
    made
}

fn sums(block: &PacketBlock) -> (u64, u64) {
    block.packets.iter().fold((0, 0), |(packets, bytes), packet| {
        assert!(matches!(packet.transport, Transport::Tcp(_)));
        let payload = packet.payload.of(&block.data).len() as u64;
        (packets + 1, bytes + payload)
    })
}

/// A block of records again and again, in the processor's cache.
fn memory(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet/decode");
    for (name, made) in [
        ("pcap-ethernet", ethernet_pcap(BLOCK_BYTES)),
        ("pcapng-any", cooked_pcapng(BLOCK_BYTES)),
    ] {
        let mut decoder = CaptureDecoder::new(InputId(0));
        let mut block = PacketBlock {
            data: made.header.clone(),
            ..PacketBlock::default()
        };
        assert_eq!(decoder.decode(&mut block, false).consumed, made.header.len());
        block.data.clone_from(&made.records);
        assert_eq!(decoder.decode(&mut block, false).consumed, made.records.len());
        assert_eq!(sums(&block), (made.packets, made.payload_bytes), "{name}");
        group.throughput(Throughput::ElementsAndBytes {
            elements: made.packets,
            bytes: made.records.len() as u64,
        });
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                block.packets.clear();
                decoder.decode(black_box(&mut block), false)
            });
        });
    }
    group.finish();
}

fn file(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet/file");
    group.sample_size(20);
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    for (name, made) in [
        ("pcap-ethernet", ethernet_pcap(FILE_BYTES)),
        ("pcapng-any", cooked_pcapng(FILE_BYTES)),
    ] {
        let path = folder.path().join(name);
        let stored = [made.header.as_slice(), &made.records].concat();
        let written = std::fs::write(&path, &stored);
        assert!(written.is_ok(), "{written:?}");
        let source = discover(&[path]).sources.remove(0);
        let read = || {
            let mut reader = CaptureReader::open(&source, BLOCK_BYTES).ok()?;
            let mut block = PacketBlock::default();
            let mut total = (0, 0);
            while let Some(next) = reader.next_block(block) {
                let (packets, bytes) = sums(&next);
                total = (total.0 + packets, total.1 + bytes);
                block = next;
            }
            Some(total)
        };
        assert_eq!(read(), Some((made.packets, made.payload_bytes)), "{name}");
        group.throughput(Throughput::ElementsAndBytes {
            elements: made.packets,
            bytes: stored.len() as u64,
        });
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(read));
    }
    group.finish();
}

criterion_group!(benches, memory, file);
criterion_main!(benches);
