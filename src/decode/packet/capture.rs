//! The bytes of one capture to its packets, block by block.

use super::container::{Container, Record, Step, UsualRecords};
use super::layers::{ETHERNET, Layers, tcp_over_ipv4_over_ethernet};
use super::summary::{CaptureSummary, Facts};
use super::{Endpoint, FrameRef, Packet, PayloadRange, Transport};
use crate::units::InputId;

/// Packets with the bytes that their payloads lie in; used again and again.
#[derive(Debug, Default)]
pub struct PacketBlock {
    /// Bytes of the capture, and behind them datagrams that were put together from fragments.
    pub data: Vec<u8>,
    /// Packets in the order of the capture. Their payload ranges are of [`Self::data`].
    pub packets: Vec<Packet>,
}

/// How far [`CaptureDecoder::decode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes from the head of the block that are done with. The others must come again at the head of the next one.
    pub consumed: usize,
    /// Bytes that the next block must have for the decoder to go on; 0 if any will do.
    pub needed: usize,
}

/// Decodes one capture. Keeps what concerns more than one packet: the container's state, fragments, counters.
#[derive(Debug)]
pub struct CaptureDecoder {
    input: InputId,
    container: Container,
    facts: Facts,
    layers: Layers,
    /// Bytes to be passed over that were not there yet.
    pass_bytes: u64,
}

impl CaptureDecoder {
    /// A decoder for the capture with this number.
    pub fn new(input: InputId) -> Self {
        Self {
            input,
            container: Container::Unknown,
            facts: Facts::new(input),
            layers: Layers::default(),
            pass_bytes: 0,
        }
    }

    /// True when nothing that may follow can be read.
    pub fn stopped(&self) -> bool {
        self.facts.summary.stopped
    }

    /// Decodes the whole records at the head of `block.data` and pushes their packets. `eof` says that nothing
    /// follows; then everything is consumed. May append to `block.data`.
    ///
    /// How a capture is parted among blocks changes no packet but for the place of its payload.
    pub fn decode(&mut self, block: &mut PacketBlock, eof: bool) -> Decoded {
        let length = block.data.len();
        self.layers.begin_block(length);
        let mut at = 0;
        let mut needed = 0;
        let start_bytes = self.facts.offset_bytes;
        loop {
            at = self.pass(at, length);
            if self.pass_bytes == 0 && !self.stopped() {
                at = self.usual(at, block);
            }
            let rest = block.data.get(at..).unwrap_or_default();
            if self.stopped() {
                at = length;
            }
            self.facts.offset_bytes = start_bytes.saturating_add(at as u64);
            if rest.is_empty() || at == length {
                break;
            }
            match self.container.step(rest, &mut self.facts) {
                Step::Packet(record) => {
                    self.packet(&record, rest, at, &mut block.packets);
                    self.pass_bytes = record.total_bytes as u64;
                }
                Step::Frame(bytes) => {
                    self.facts.summary.frames = self.facts.summary.frames.saturating_add(1);
                    self.pass_bytes = bytes;
                }
                Step::Pass(bytes) => self.pass_bytes = bytes,
                Step::More(bytes) if eof => {
                    self.cut_off(rest.len(), bytes);
                    self.facts.summary.stopped = true;
                }
                Step::More(bytes) => {
                    needed = bytes;
                    break;
                }
                Step::Stop => self.facts.summary.stopped = true,
            }
        }
        if eof && self.pass_bytes > PADDING_BYTES_MAX && !self.stopped() {
            self.facts.problem(&format!(
                "the capture is cut off: a record should go on for {} more bytes",
                self.pass_bytes
            ));
            self.facts.summary.stopped = true;
        }
        block.data.extend_from_slice(self.layers.reassembled());
        Decoded { consumed: at, needed }
    }

    /// What is known of the capture; called when all has been decoded.
    pub fn finish(self) -> CaptureSummary {
        self.facts.finish(self.layers.finish())
    }

    #[inline]
    fn pass(&mut self, at: usize, length: usize) -> usize {
        let available = length.saturating_sub(at) as u64;
        let passed = self.pass_bytes.min(available);
        self.pass_bytes = self.pass_bytes.saturating_sub(passed);
        at.saturating_add(usize::try_from(passed).unwrap_or(usize::MAX))
    }

    /// Decodes usual records of usual frames as long as there are some: returns where they end.
    #[inline]
    fn usual(&mut self, start: usize, block: &mut PacketBlock) -> usize {
        let (data, packets) = (&block.data, &mut block.packets);
        let Some(records) = self.container.usual_ethernet() else {
            return start;
        };
        if !self.facts.link_type_is(ETHERNET) {
            return start;
        }
        let facts = &mut self.facts;
        let packets_before = packets.len();
        let mut at = start;
        while let Some((time, frame, wire_bytes)) = data.get(at..).and_then(|rest| records.read(rest)) {
            let end = at.saturating_add(UsualRecords::record_bytes(frame));
            let frame_at = u32::try_from(end.saturating_sub(frame.len())).unwrap_or(u32::MAX);
            let Some(plain) = tcp_over_ipv4_over_ethernet(frame, frame_at) else {
                break;
            };
            let captured_bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            facts.summary.frames = facts.summary.frames.wrapping_add(1);
            facts.packet(Some(time), captured_bytes, wire_bytes);
            packets.push(Packet {
                at: FrameRef {
                    input: self.input,
                    frame: facts.summary.frames,
                },
                time: Some(time),
                interface: Packet::ONLY_INTERFACE,
                captured_bytes,
                wire_bytes,
                source: plain.source,
                destination: plain.destination,
                ttl: plain.ttl,
                ip_identification: plain.ip_identification,
                tunnels: 0,
                transport: Transport::Tcp(plain.segment),
                payload: plain.payload,
                payload_wire_bytes: plain.payload.length,
            });
            at = end;
        }
        let count = packets.len().saturating_sub(packets_before) as u64;
        facts.packets_of_interface(records.listed, count);
        facts.packets_of_link_type(ETHERNET, count);
        at
    }

    #[cold]
    fn cut_off(&mut self, there: usize, needed: usize) {
        self.facts.problem(&format!(
            "the capture is cut off: a record of at least {needed} bytes begins here and only {there} are there; all \
             before is used; fetch the file again, or stop the capture before copying it"
        ));
    }

    #[inline]
    fn packet(&mut self, record: &Record, bytes: &[u8], at: usize, packets: &mut Vec<Packet>) {
        let facts = &mut self.facts;
        facts.summary.frames = facts.summary.frames.saturating_add(1);
        facts.packet(record.time, record.captured_bytes, record.wire_bytes);
        facts.packets_of_interface(record.listed, 1);
        facts.packets_of_link_type(record.link_type, 1);
        packets.push(Packet {
            at: FrameRef {
                input: self.input,
                frame: facts.summary.frames,
            },
            time: record.time,
            interface: record.interface,
            captured_bytes: record.captured_bytes,
            wire_bytes: record.wire_bytes,
            source: Endpoint::default(),
            destination: Endpoint::default(),
            ttl: 0,
            ip_identification: 0,
            tunnels: 0,
            transport: Transport::NotIp,
            payload: PayloadRange::default(),
            payload_wire_bytes: 0,
        });
        let end = record.frame_at.saturating_add(record.captured_bytes as usize);
        let frame = bytes.get(record.frame_at..end).unwrap_or_default();
        let start = at.saturating_add(record.frame_at);
        // Filled in where it lies: a packet is too large to be copied about for each of millions.
        if let Some(packet) = packets.last_mut() {
            self.layers
                .decode(record.link_type, record.fcs_bytes, frame, start, packet);
        }
    }
}

/// Padding of a last record that may be missing.
const PADDING_BYTES_MAX: u64 = 3;

#[cfg(test)]
mod tests;
