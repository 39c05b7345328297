//! Builds packets for the tests of this stage, and collects what a shard hands out.

use super::{CapturePoint, DnsExchange, Shard, ShardSummary, StreamLimits, StreamRecord, StreamSink};
use crate::decode::packet::{
    Address, Endpoint, FrameRef, Packet, PayloadRange, TcpFlags, TcpSegment, Transport,
};
use crate::streams::application::Chunk;
use crate::streams::receiver::{Receiver, Setting};
use crate::streams::record::{Application, Side};
use crate::units::{InputId, Timestamp};
use std::cell::RefCell;
use std::fmt::Write as _;

pub(super) const CLIENT: Endpoint = Endpoint {
    address: Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9]),
    port: 40_000,
};
pub(super) const SERVER: Endpoint = Endpoint {
    address: Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]),
    port: 9080,
};
pub(super) const CLIENT_ISN: u32 = 1000;
pub(super) const SERVER_ISN: u32 = 5000;

/// A packet with its payload.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) packet: Packet,
    pub(super) payload: Vec<u8>,
}

/// From a line such as `C 0.5 SA seq=0 ack=1 win=0 data=GET`: side, milliseconds, flags (`S A F R P`, `-` for none), and
/// numbers relative to the initial ones. Also `if=` interface, `id=` IP identification, `len=` wire length of a payload
/// that was cut, `scale=`, `sport=` for another client port.
pub(super) fn made(frame: u64, line: &str) -> Made {
    let mut words = line.split_whitespace();
    let client = match words.next() {
        Some("C") => true,
        Some("S") => false,
        other => panic!("side {other:?} in {line:?}"),
    };
    let ms: f64 = words.next().unwrap().parse().unwrap();
    let mut flags = 0;
    for letter in words.next().unwrap().chars() {
        flags |= match letter {
            'S' => TcpFlags::SYN,
            'A' => TcpFlags::ACK,
            'F' => TcpFlags::FIN,
            'R' => TcpFlags::RST,
            'P' => TcpFlags::PSH,
            '-' => 0,
            other => panic!("flag {other:?} in {line:?}"),
        };
    }
    let (own, other) = if client {
        (CLIENT_ISN, SERVER_ISN)
    } else {
        (SERVER_ISN, CLIENT_ISN)
    };
    let mut segment = TcpSegment {
        sequence: own,
        flags: TcpFlags(flags),
        window: 1000,
        ..TcpSegment::default()
    };
    let (mut interface, mut id, mut payload, mut length, mut port) = (0, 0, Vec::new(), 0, CLIENT.port);
    for word in words {
        let (name, value) = word.split_once('=').unwrap();
        let number = || value.parse::<u32>().unwrap();
        match name {
            "seq" => segment.sequence = own.wrapping_add(number()),
            "ack" => segment.acknowledgment = other.wrapping_add(number()),
            "win" => segment.window = u16::try_from(number()).unwrap(),
            "if" => interface = number(),
            "id" => id = u16::try_from(number()).unwrap(),
            "data" => payload = value.as_bytes().to_vec(),
            "len" => length = number(),
            "scale" => segment.options.window_scale = Some(u8::try_from(number()).unwrap()),
            "sport" => port = u16::try_from(number()).unwrap(),
            other => panic!("{other:?} in {line:?}"),
        }
    }
    let client_end = Endpoint { port, ..CLIENT };
    let (source, destination) = if client {
        (client_end, SERVER)
    } else {
        (SERVER, client_end)
    };
    let captured = u32::try_from(payload.len()).unwrap();
    let wire = length.max(captured);
    #[expect(clippy::cast_possible_truncation, reason = "small times of tests")]
    let time = Timestamp((ms * 1e6) as i64 + 1_700_000_000_000_000_000);
    Made {
        packet: Packet {
            at: FrameRef {
                input: InputId(0),
                frame,
            },
            time: Some(time),
            interface,
            captured_bytes: 54 + captured,
            wire_bytes: 54 + wire,
            source,
            destination,
            ttl: 64,
            ip_identification: id,
            tunnels: 0,
            transport: Transport::Tcp(segment),
            payload: PayloadRange {
                start: 54,
                length: captured,
            },
            payload_wire_bytes: wire,
        },
        payload,
    }
}

/// A packet for each line that is not empty.
pub(super) fn made_all(script: &str) -> Vec<Made> {
    script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .enumerate()
        .map(|(number, line)| made(number as u64 + 1, line))
        .collect()
}

#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) records: Vec<StreamRecord>,
    pub(super) dns: Vec<DnsExchange>,
}

impl StreamSink for Collected {
    fn stream(&mut self, record: StreamRecord) {
        self.records.push(record);
    }

    fn dns(&mut self, exchange: DnsExchange) {
        self.dns.push(exchange);
    }
}

thread_local! {
    /// What [`Written`] receivers of this thread received, one text for each connection.
    pub(super) static TEXTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Writes down what it receives: `C:bytes`, `S:bytes`, `C-3` for a gap, `C.` for FIN, `C!` for RST.
#[derive(Debug, Default)]
pub(super) struct Written {
    text: String,
    last: Option<Side>,
}

impl Written {
    fn side(&mut self, side: Side) -> char {
        self.last = None;
        if side == Side::Client { 'C' } else { 'S' }
    }
}

impl Receiver for Written {
    fn open(_: Setting, _: Endpoint, _: Endpoint) -> Self {
        Self::default()
    }

    fn chunk(&mut self, chunk: &Chunk<'_>) {
        assert!(!chunk.bytes.is_empty());
        if self.last != Some(chunk.side) {
            let side = self.side(chunk.side);
            let _ = write!(self.text, " {side}:");
            self.last = Some(chunk.side);
        }
        self.text += &String::from_utf8_lossy(chunk.bytes);
    }

    fn gap(&mut self, side: Side, bytes: u64) {
        let side = self.side(side);
        let _ = write!(self.text, " {side}-{bytes}");
    }

    fn closed(&mut self, side: Side, reset: bool, _: Option<Timestamp>, _: FrameRef) {
        let side = self.side(side);
        let _ = write!(self.text, " {side}{}", if reset { '!' } else { '.' });
    }

    fn finish(self) -> Application {
        TEXTS.with_borrow_mut(|texts| texts.push(self.text.trim().to_owned()));
        Application::default()
    }
}

/// Runs a shard over the packets.
pub(super) fn run(packets: &[Made], limits: &StreamLimits) -> (Vec<StreamRecord>, Vec<String>, ShardSummary) {
    TEXTS.take();
    let mut shard = Shard::<Written>::new(CapturePoint(0), limits);
    let mut sink = Collected::default();
    for made in packets {
        shard.packet(&made.packet, &made.payload, &mut sink);
    }
    let summary = shard.finish(&mut sink);
    (sink.records, TEXTS.take(), summary)
}
