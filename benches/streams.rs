//! How fast a shard follows connections: healthy exchanges, a path that loses one segment in fifty, and a flood of
//! SYNs. What was handed out is counted and checked before any time is taken; the bytes themselves are ignored.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postmesh::decode::packet::{
    Address, Endpoint, FrameRef, Packet, PayloadRange, TcpFlags, TcpSegment, Transport,
};
use postmesh::streams::receiver::Ignore;
use postmesh::streams::{CapturePoint, DnsExchange, Shard, StreamLimits, StreamRecord, StreamSink};
use postmesh::units::{InputId, Timestamp};
use std::hint::black_box;

const SEGMENT_BYTES: u32 = 1448;
const PAYLOAD: [u8; SEGMENT_BYTES as usize] = [b'x'; SEGMENT_BYTES as usize];
/// Connections at a time, as many as a shard of a busy node has.
const CONNECTIONS: u32 = 200;
const EXCHANGES: u32 = 50;

#[derive(Default)]
struct Sum {
    records: u64,
    packets: u64,
    payload_bytes: u64,
    retransmissions: u64,
}

impl StreamSink for Sum {
    fn stream(&mut self, record: StreamRecord) {
        self.records += 1;
        for side in &record.sides {
            self.packets += side.packets;
            self.payload_bytes += side.payload_bytes;
            self.retransmissions += side.retransmissions + side.out_of_order + side.fast_retransmissions;
        }
    }

    fn dns(&mut self, _: DnsExchange) {}
}

/// One connection's two ends and their next numbers.
struct Ends {
    ends: [Endpoint; 2],
    next: [u32; 2],
}

struct Maker {
    packets: Vec<Packet>,
    time: i64,
}

impl Maker {
    fn push(&mut self, ends: &mut Ends, side: usize, flags: u8, length: u32) {
        let sequence = ends.next[side];
        self.push_at(ends, side, flags, sequence, length);
        let counted = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        ends.next[side] = sequence.wrapping_add(length).wrapping_add(counted);
    }

    fn push_at(&mut self, ends: &Ends, side: usize, flags: u8, sequence: u32, length: u32) {
        self.time += 10_000;
        let acknowledgment = if flags & TcpFlags::ACK == 0 {
            0
        } else {
            ends.next[side ^ 1]
        };
        self.packets.push(Packet {
            at: FrameRef {
                input: InputId(0),
                frame: self.packets.len() as u64 + 1,
            },
            time: Some(Timestamp(self.time)),
            interface: 0,
            captured_bytes: 66 + length,
            wire_bytes: 66 + length,
            source: ends.ends[side],
            destination: ends.ends[side ^ 1],
            ttl: 64,
            ip_identification: 0,
            tunnels: 0,
            transport: Transport::Tcp(TcpSegment {
                sequence,
                acknowledgment,
                flags: TcpFlags(flags),
                window: 500,
                checksum: 0,
                ..TcpSegment::default()
            }),
            payload: PayloadRange { start: 0, length },
            payload_wire_bytes: length,
        });
    }
}

fn ends(number: u32) -> Ends {
    let [_, b, c, d] = number.to_be_bytes();
    Ends {
        ends: [
            Endpoint {
                address: Address::v4([10, b, c, d]),
                port: 40_000,
            },
            Endpoint {
                address: Address::v4([10, 255, 0, 1]),
                port: 9080,
            },
        ],
        next: [number.wrapping_mul(77_777), number.wrapping_mul(33_333)],
    }
}

/// Exchanges of one request segment and three of the answer, on connections that take turns. Every `lost_every`th
/// segment of an answer comes after the next one.
fn exchanges(lost_every: u32) -> Vec<Packet> {
    let mut maker = Maker {
        packets: Vec::new(),
        time: 0,
    };
    let mut all: Vec<Ends> = (0..CONNECTIONS).map(ends).collect();
    for one in &mut all {
        maker.push(one, 0, TcpFlags::SYN, 0);
        maker.push(one, 1, TcpFlags::SYN | TcpFlags::ACK, 0);
        maker.push(one, 0, TcpFlags::ACK, 0);
    }
    let mut segments = 0;
    for _ in 0..EXCHANGES {
        for one in &mut all {
            maker.push(one, 0, TcpFlags::ACK | TcpFlags::PSH, 300);
            maker.push(one, 1, TcpFlags::ACK, SEGMENT_BYTES);
            segments += 1;
            if segments % lost_every == 0 {
                let late = one.next[1];
                one.next[1] = late.wrapping_add(SEGMENT_BYTES);
                maker.push(one, 1, TcpFlags::ACK | TcpFlags::PSH, SEGMENT_BYTES);
                maker.push_at(one, 1, TcpFlags::ACK, late, SEGMENT_BYTES);
            } else {
                maker.push(one, 1, TcpFlags::ACK, SEGMENT_BYTES);
                maker.push(one, 1, TcpFlags::ACK | TcpFlags::PSH, SEGMENT_BYTES);
            }
            maker.push(one, 0, TcpFlags::ACK, 0);
        }
    }
    for one in &mut all {
        maker.push(one, 0, TcpFlags::FIN | TcpFlags::ACK, 0);
        maker.push(one, 1, TcpFlags::FIN | TcpFlags::ACK, 0);
        maker.push(one, 0, TcpFlags::ACK, 0);
    }
    maker.packets
}

fn flood(count: u32) -> Vec<Packet> {
    let mut maker = Maker {
        packets: Vec::new(),
        time: 0,
    };
    for number in 0..count {
        maker.push(&mut ends(number), 0, TcpFlags::SYN, 0);
    }
    maker.packets
}

fn run(packets: &[Packet]) -> Sum {
    let mut shard = Shard::<Ignore>::new(CapturePoint(0), &StreamLimits::default());
    let mut sum = Sum::default();
    for packet in packets {
        shard.packet(packet, packet.payload.of(&PAYLOAD), &mut sum);
    }
    let _ = shard.finish(&mut sum);
    sum
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("streams");
    let late = CONNECTIONS * EXCHANGES / 50;
    for (name, packets, records, again) in [
        ("exchanges", exchanges(u32::MAX), CONNECTIONS, 0),
        ("one in fifty late", exchanges(50), CONNECTIONS, late),
        ("flood of SYNs", flood(50_000), 50_000, 0),
    ] {
        let sum = run(&packets);
        assert_eq!(sum.records, u64::from(records));
        assert_eq!(sum.packets, packets.len() as u64);
        assert_eq!(sum.retransmissions, u64::from(again));
        group.throughput(Throughput::Elements(packets.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(black_box(&packets)).payload_bytes);
        });
    }
    group.finish();
}

criterion_group!(benches, streams);
criterion_main!(benches);
