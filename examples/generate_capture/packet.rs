//! Ethernet frames with IPv4 and TCP or UDP, and the pcap file that holds them.

use std::io::{self, Write};

/// FIN.
pub(crate) const FIN: u8 = 0x01;
/// SYN.
pub(crate) const SYN: u8 = 0x02;
/// RST.
pub(crate) const RST: u8 = 0x04;
/// ACK.
pub(crate) const ACK: u8 = 0x10;

/// Bytes of a record beside the frame.
const RECORD_HEADER_BYTES: u64 = 16;
const LINK_BYTES: usize = 14;
const IP_BYTES: usize = 20;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) source: [u8; 4],
    pub(crate) source_port: u16,
    pub(crate) destination: [u8; 4],
    pub(crate) destination_port: u16,
}

impl Path {
    /// The way back.
    pub(crate) fn back(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
        }
    }
}

/// The part of a TCP header that differs from packet to packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) flags: u8,
}

/// Writes a pcap file: little-endian, microseconds, Ethernet.
pub(crate) struct CaptureWriter<W: Write> {
    sink: W,
    frame: Vec<u8>,
    /// Bytes written so far.
    pub(crate) bytes: u64,
    /// Packets written so far.
    pub(crate) packets: u64,
    time_us: u64,
    identification: u16,
}

/// 2026-11-02T03:00:00Z.
const START_US: u64 = 1_793_588_400_000_000;

impl<W: Write> CaptureWriter<W> {
    pub(crate) fn new(mut sink: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&4_u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&262_144_u32.to_le_bytes());
        header.extend_from_slice(&1_u32.to_le_bytes());
        sink.write_all(&header)?;
        Ok(Self {
            sink,
            frame: Vec::new(),
            bytes: 24,
            packets: 0,
            time_us: START_US,
            identification: 0,
        })
    }

    /// A packet comes this much after the one before.
    pub(crate) fn wait_us(&mut self, us: u64) {
        self.time_us += us;
    }

    pub(crate) fn tcp(&mut self, path: Path, segment: Segment, payload: &[u8]) -> io::Result<()> {
        self.begin(path, 6, TCP_BYTES + payload.len());
        self.frame.extend_from_slice(&path.source_port.to_be_bytes());
        self.frame.extend_from_slice(&path.destination_port.to_be_bytes());
        self.frame.extend_from_slice(&segment.sequence.to_be_bytes());
        self.frame
            .extend_from_slice(&segment.acknowledgment.to_be_bytes());
        self.frame.extend_from_slice(&[0x50, segment.flags]);
        self.frame.extend_from_slice(&502_u16.to_be_bytes());
        // Left to the network card, as in captures that a sender makes.
        self.frame.extend_from_slice(&[0; 4]);
        self.frame.extend_from_slice(payload);
        self.end()
    }

    pub(crate) fn udp(&mut self, path: Path, payload: &[u8]) -> io::Result<()> {
        self.begin(path, 17, UDP_BYTES + payload.len());
        self.frame.extend_from_slice(&path.source_port.to_be_bytes());
        self.frame.extend_from_slice(&path.destination_port.to_be_bytes());
        let length = u16::try_from(UDP_BYTES + payload.len()).unwrap_or(u16::MAX);
        self.frame.extend_from_slice(&length.to_be_bytes());
        self.frame.extend_from_slice(&[0; 2]);
        self.frame.extend_from_slice(payload);
        self.end()
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn begin(&mut self, path: Path, protocol: u8, bytes: usize) {
        self.identification = self.identification.wrapping_add(1);
        self.frame.clear();
        self.frame
            .extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        let start = self.frame.len();
        let total = u16::try_from(IP_BYTES + bytes).unwrap_or(u16::MAX);
        self.frame.extend_from_slice(&[0x45, 0]);
        self.frame.extend_from_slice(&total.to_be_bytes());
        self.frame.extend_from_slice(&self.identification.to_be_bytes());
        self.frame.extend_from_slice(&[0x40, 0, 63, protocol, 0, 0]);
        self.frame.extend_from_slice(&path.source);
        self.frame.extend_from_slice(&path.destination);
        let sum = checksum(self.frame.get(start..).unwrap_or_default());
        if let Some(field) = self.frame.get_mut(start + 10..start + 12) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        debug_assert_eq!(start, LINK_BYTES);
    }

    fn end(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.frame.len()).unwrap_or(u32::MAX);
        let (secs, micros) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        let mut header = [0; 16];
        let fields = [
            u32::try_from(secs).unwrap_or(u32::MAX),
            u32::try_from(micros).unwrap_or(0),
            length,
            length,
        ];
        for (place, field) in header.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        self.sink.write_all(&header)?;
        self.sink.write_all(&self.frame)?;
        self.bytes += RECORD_HEADER_BYTES + u64::from(length);
        self.packets += 1;
        Ok(())
    }
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
