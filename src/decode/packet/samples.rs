//! Captures made for tests.

use super::container::ByteOrder;
use super::{CaptureDecoder, CaptureSummary, Packet, PacketBlock};
use crate::units::InputId;

pub(super) const ETHERNET: u16 = 1;

/// Second 1,000 of the epoch: the time of the first frame; each next one is a second later.
pub(super) const START_S: u32 = 1_000;

/// Bytes in an order.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    pub(super) order: ByteOrder,
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    pub(super) fn new(order: ByteOrder) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    pub(super) fn u16(mut self, values: &[u16]) -> Self {
        for value in values {
            self.bytes.extend(match self.order {
                ByteOrder::Little => value.to_le_bytes(),
                ByteOrder::Big => value.to_be_bytes(),
            });
        }
        self
    }

    pub(super) fn u32(mut self, values: &[u32]) -> Self {
        for value in values {
            self.bytes.extend(match self.order {
                ByteOrder::Little => value.to_le_bytes(),
                ByteOrder::Big => value.to_be_bytes(),
            });
        }
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn padded(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn option(self, code: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).unwrap();
        self.u16(&[code, length]).raw(value).padded()
    }

    /// A pcapng block around `body`.
    pub(super) fn block(self, kind: u32, body: &[u8]) -> Self {
        let length = u32::try_from(body.len()).unwrap().next_multiple_of(4) + 12;
        self.u32(&[kind, length]).raw(body).padded().u32(&[length])
    }

    fn body(&self) -> Self {
        Self::new(self.order)
    }

    pub(super) fn section(self) -> Self {
        let body = self.body().u32(&[0x1a2b_3c4d]).u16(&[1, 0]).u64(u64::MAX);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    pub(super) fn interface(self, link_type: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let body = self.body().u16(&[link_type, 0]).u32(&[snaplen]);
        let body = options
            .iter()
            .fold(body, |body, (code, value)| body.option(*code, value));
        self.block(1, &body.bytes)
    }

    pub(super) fn enhanced(self, interface: u32, units: u64, frame: &[u8], options: &[(u16, &[u8])]) -> Self {
        let length = u32::try_from(frame.len()).unwrap();
        let [high, low] = [units >> 32, units & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let body = self
            .body()
            .u32(&[interface, high, low, length, length])
            .raw(frame)
            .padded();
        let body = options
            .iter()
            .fold(body, |body, (code, value)| body.option(*code, value));
        self.block(6, &body.bytes)
    }
}

/// A pcap header with any magic number and link-type field.
pub(super) fn pcap_header(order: ByteOrder, magic: u32, link_field: u32) -> Bytes {
    Bytes::new(order)
        .u32(&[magic])
        .u16(&[2, 4])
        .u32(&[0, 0, 262_144, link_field])
}

/// A pcap file in microseconds; of each frame the bytes that were captured and its length on the wire.
pub(super) fn pcap_of(link_type: u16, frames: &[(&[u8], u32)]) -> Vec<u8> {
    let mut file = pcap_header(ByteOrder::Little, 0xa1b2_c3d4, u32::from(link_type));
    for ((frame, wire_bytes), seconds) in frames.iter().zip(START_S..) {
        let captured = u32::try_from(frame.len()).unwrap();
        file = file.u32(&[seconds, 0, captured, *wire_bytes]).raw(frame);
    }
    file.bytes
}

/// A pcap file of whole frames.
pub(super) fn pcap(link_type: u16, frames: &[&[u8]]) -> Vec<u8> {
    let whole: Vec<(&[u8], u32)> = frames
        .iter()
        .map(|frame| (*frame, u32::try_from(frame.len()).unwrap()))
        .collect();
    pcap_of(link_type, &whole)
}

/// A packet with its payload.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) packet: Packet,
    pub(super) payload: Vec<u8>,
}

impl Read {
    /// All of it but where the payload lies.
    pub(super) fn digest(&self) -> String {
        let mut packet = self.packet;
        packet.payload.start = 0;
        format!("{packet:?} {:?}", self.payload)
    }
}

/// Decodes a file in parts of at most the given sizes, in turn.
pub(super) fn decode_in(file: &[u8], sizes: &[usize]) -> (Vec<Read>, CaptureSummary) {
    let mut decoder = CaptureDecoder::new(InputId(7));
    let mut block = PacketBlock::default();
    let mut read = Vec::new();
    let mut carried: Vec<u8> = Vec::new();
    let mut at = 0;
    for size in sizes.iter().cycle() {
        let end = file.len().min(at + size.max(&1));
        block.packets.clear();
        block.data.clear();
        block.data.append(&mut carried);
        block.data.extend_from_slice(&file[at..end]);
        at = end;
        let length = block.data.len();
        let decoded = decoder.decode(&mut block, at == file.len());
        assert!(decoded.consumed <= length);
        carried.extend_from_slice(&block.data[decoded.consumed..length]);
        for packet in &block.packets {
            let payload = packet.payload.of(&block.data);
            assert_eq!(payload.len(), packet.payload.length as usize, "{packet:?}");
            assert!(packet.payload_wire_bytes >= packet.payload.length || payload.is_empty());
            read.push(Read {
                packet: *packet,
                payload: payload.to_vec(),
            });
        }
        if at == file.len() {
            assert!(carried.is_empty(), "at the end all is consumed");
            break;
        }
    }
    (read, decoder.finish())
}

pub(super) fn decode(file: &[u8]) -> (Vec<Read>, CaptureSummary) {
    decode_in(file, &[file.len()])
}

/// Decodes one whole frame.
pub(super) fn decode_frame(link_type: u16, frame: &[u8]) -> (Read, CaptureSummary) {
    let (mut read, summary) = decode(&pcap(link_type, &[frame]));
    assert_eq!(read.len(), 1);
    (read.remove(0), summary)
}
