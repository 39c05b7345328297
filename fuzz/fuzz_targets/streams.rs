//! Any segments on a few connections: a shard ends with each packet in one record, within its limits, and says the same
//! again when it is asked again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::packet::{
    Address, Endpoint, FrameRef, IcmpMessage, Packet, PayloadRange, Quoted, TcpFlags, TcpOptions, TcpSegment,
    Transport,
};
use postmesh::streams::application::Conversation;
use postmesh::streams::{CapturePoint, DnsExchange, Shard, StreamLimits, StreamRecord, StreamSink};
use postmesh::units::{InputId, Timestamp};

#[derive(Default)]
struct Records(Vec<StreamRecord>);

impl StreamSink for Records {
    fn stream(&mut self, record: StreamRecord) {
        self.0.push(record);
    }

    fn dns(&mut self, _: DnsExchange) {}
}

/// Numbers near the wrap and near each other, so that segments meet.
fn number(byte: u8) -> u32 {
    u32::MAX.wrapping_sub(60).wrapping_add(u32::from(byte))
}

fn end(low: bool, port: u8) -> Endpoint {
    Endpoint {
        address: Address::v4([10, 0, 0, u8::from(!low)]),
        port: if low { 40_000 + u16::from(port % 3) } else { 9080 },
    }
}

/// Twelve bytes of description, then payload of the length that they give.
fn packets(mut data: &[u8]) -> Vec<(Packet, Vec<u8>)> {
    let mut made = Vec::new();
    let mut time = 1_000_000_000;
    while let Some((head, rest)) = data.split_first_chunk::<12>() {
        let [
            who,
            flags,
            sequence,
            acknowledgment,
            window,
            length,
            cut,
            step,
            interface,
            id,
            scale,
            kind,
        ] = *head;
        let length = usize::from(length % 64).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        data = rest;
        time += i64::from(step) * 1_000_000;
        let (low, port) = (who & 1 == 0, who >> 1);
        let (source, destination) = (end(low, port), end(!low, port));
        let wire = u32::try_from(length).unwrap_or(0) + u32::from(cut % 5);
        let transport = match kind {
            0 => Transport::Icmp(IcmpMessage {
                v6: id & 1 == 1,
                message_type: flags,
                code: scale,
                quoted: Some(Quoted {
                    protocol: 6,
                    source,
                    destination,
                    sequence: None,
                }),
            }),
            1 => Transport::Udp,
            _ => Transport::Tcp(TcpSegment {
                sequence: number(sequence),
                acknowledgment: number(acknowledgment),
                flags: TcpFlags(flags),
                window: u16::from(window),
                checksum: 0,
                options: TcpOptions {
                    window_scale: (scale & 1 == 1).then_some(scale),
                    ..TcpOptions::default()
                },
            }),
        };
        let packet = Packet {
            at: FrameRef {
                input: InputId(0),
                frame: made.len() as u64 + 1,
            },
            time: (step != 255).then_some(Timestamp(time)),
            interface: u32::from(interface % 2),
            captured_bytes: 54 + u32::try_from(length).unwrap_or(0),
            wire_bytes: 54 + wire,
            source,
            destination,
            ttl: 64,
            ip_identification: u16::from(id),
            tunnels: 0,
            transport,
            payload: PayloadRange::default(),
            payload_wire_bytes: wire,
        };
        made.push((packet, payload.to_vec()));
    }
    made
}

fn run(packets: &[(Packet, Vec<u8>)]) -> (Vec<StreamRecord>, String) {
    let limits = StreamLimits {
        live: 2,
        embryonic: 2,
        held_bytes: 256,
        held_bytes_of_shard: 400,
        ..StreamLimits::default()
    };
    let mut shard = Shard::<Conversation>::new(CapturePoint(0), &limits);
    let mut records = Records::default();
    for (packet, payload) in packets {
        shard.packet(packet, payload, &mut records);
    }
    let summary = shard.finish(&mut records);
    let shown = format!("{:?} {summary:?}", records.0);
    (records.0, shown)
}

fuzz_target!(|data: &[u8]| {
    let packets = packets(data);
    let (records, shown) = run(&packets);
    let counted: u64 = records
        .iter()
        .flat_map(|record| &record.sides)
        .map(|side| side.packets)
        .sum();
    let tcp = packets
        .iter()
        .filter(|(packet, _)| matches!(packet.transport, Transport::Tcp(_)))
        .count() as u64;
    assert_eq!(counted, tcp);
    assert_eq!(shown, run(&packets).1);
});
