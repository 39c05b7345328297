//! pcap, draft-ietf-opsawg-pcap: a header of 24 bytes, and then records.

use super::bytes::ByteOrder;
use super::time::TimeResolution;
use super::{ContainerKind, MAX_BLOCK_BYTES, MAX_PACKET_BYTES, Record, Step};
use crate::decode::packet::Packet;
use crate::decode::packet::layers::ETHERNET;
use crate::decode::packet::summary::Facts;
use crate::units::Timestamp;

pub(super) const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const MODIFIED_RECORD_HEADER_BYTES: usize = 24;

/// Set in the link-type field where its highest four bits say how many 16-bit words of frame check sequence follow.
const FCS_PRESENT: u32 = 0x0400_0000;

/// The state of a pcap file.
#[derive(Debug)]
pub(crate) struct Pcap {
    order: ByteOrder,
    magic: [u8; 4],
    record_header_bytes: usize,
    /// Nanoseconds of a unit of the second time field.
    fraction_ns: u32,
    link_type: u16,
    fcs_bytes: u8,
    max_captured_bytes: u32,
    swapped: Swapped,
    listed: Option<usize>,
}

/// Reads records as nearly all are: of a known layout, neither empty nor too long, and whole.
#[derive(Clone, Copy, Debug)]
pub(in crate::decode::packet) struct UsualRecords {
    order: ByteOrder,
    fraction_ns: u32,
    max_captured_bytes: u32,
    /// Place of their interface in the summary, if it has one.
    pub(in crate::decode::packet) listed: Option<usize>,
}

impl UsualRecords {
    /// The record at the head of `bytes`: its time, its frame and the length of that on the wire.
    #[inline]
    pub(in crate::decode::packet) fn read<'b>(&self, bytes: &'b [u8]) -> Option<(Timestamp, &'b [u8], u32)> {
        let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        let (seconds, fraction, captured, wire) = fields(header, self.order);
        if captured == 0 || captured > self.max_captured_bytes {
            return None;
        }
        let frame = rest.get(..captured as usize)?;
        Some((time(seconds, fraction, self.fraction_ns), frame, wire))
    }

    /// Bytes of the record of a frame.
    #[inline]
    pub(in crate::decode::packet) fn record_bytes(frame: &[u8]) -> usize {
        RECORD_HEADER_BYTES.saturating_add(frame.len())
    }
}

/// Seconds, their fraction, and the captured and whole length of the header of a record.
#[inline]
fn fields(header: &[u8; RECORD_HEADER_BYTES], order: ByteOrder) -> (u32, u32, u32, u32) {
    let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3] = *header;
    (
        order.u32([s0, s1, s2, s3]),
        order.u32([f0, f1, f2, f3]),
        order.u32([c0, c1, c2, c3]),
        order.u32([w0, w1, w2, w3]),
    )
}

#[inline]
fn time(seconds: u32, fraction: u32, unit_ns: u32) -> Timestamp {
    // Cannot overflow: 2^32 s and 2^32 µs are far below 2^63 ns.
    let fraction_ns = u64::from(fraction).wrapping_mul(u64::from(unit_ns));
    let ns = u64::from(seconds)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(fraction_ns);
    Timestamp(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// Files before version 2.3 have the two lengths the other way round, and of version 2.3 some have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swapped {
    Never,
    WhereCapturedIsMore,
    Always,
}

fn variant(magic: [u8; 4]) -> Option<(ByteOrder, ContainerKind, TimeResolution)> {
    let order = match magic {
        [0xa1, 0xb2, ..] => ByteOrder::Big,
        _ => ByteOrder::Little,
    };
    match order.u32(magic) {
        0xa1b2_c3d4 => Some((order, ContainerKind::Pcap, TimeResolution::MICROSECONDS)),
        0xa1b2_3c4d => Some((order, ContainerKind::Pcap, TimeResolution::NANOSECONDS)),
        0xa1b2_cd34 => Some((order, ContainerKind::PcapModified, TimeResolution::MICROSECONDS)),
        _ => None,
    }
}

pub(super) fn knows(magic: [u8; 4]) -> bool {
    variant(magic).is_some()
}

impl Pcap {
    /// Reads the header of a file; `None` where the summary says why nothing can be read.
    pub(super) fn begin(header: &[u8; FILE_HEADER_BYTES], facts: &mut Facts) -> Option<Self> {
        let magic = [header[0], header[1], header[2], header[3]];
        let (order, kind, resolution) = variant(magic)?;
        let (major, minor) = (order.u16_at(header, 4), order.u16_at(header, 6));
        if major != 2 {
            facts.problem(&format!(
                "pcap version {major}.{minor}: only 2.x is read; nothing of it was used; convert it with \
                 `editcap -F pcapng FILE NEW`"
            ));
            return None;
        }
        let snaplen = order.u32_at(header, 16);
        let link_field = order.u32_at(header, 20);
        let fcs_words = if link_field & FCS_PRESENT == 0 {
            0
        } else {
            link_field >> 28
        };
        facts.section(kind, order);
        let [_, _, low, high] = link_field.to_be_bytes();
        let link_type = u16::from_be_bytes([low, high]);
        let listed = facts.interface(link_type, snaplen, resolution, None);
        Some(Self {
            order,
            magic,
            record_header_bytes: match kind {
                ContainerKind::PcapModified => MODIFIED_RECORD_HEADER_BYTES,
                ContainerKind::Pcap | ContainerKind::Pcapng => RECORD_HEADER_BYTES,
            },
            fraction_ns: if resolution == TimeResolution::NANOSECONDS {
                1
            } else {
                1000
            },
            link_type,
            fcs_bytes: u8::try_from(fcs_words << 1).unwrap_or(0),
            max_captured_bytes: MAX_PACKET_BYTES.max(snaplen.min(MAX_BLOCK_BYTES)),
            swapped: match minor {
                0..=2 => Swapped::Always,
                3 => Swapped::WhereCapturedIsMore,
                _ => Swapped::Never,
            },
            listed,
        })
    }

    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        let Some(header) = bytes.first_chunk::<RECORD_HEADER_BYTES>() else {
            return Step::More(self.record_header_bytes);
        };
        let (seconds, fraction, mut captured, mut wire) = fields(header, self.order);
        if self.swapped != Swapped::Never && (self.swapped == Swapped::Always || captured > wire) {
            (captured, wire) = (wire, captured);
        }
        if captured == 0 && header.first_chunk() == Some(&self.magic) {
            return self.begin_again(bytes, facts);
        }
        if captured > self.max_captured_bytes {
            facts.problem(&format!(
                "a record claims {captured} bytes, more than any packet has: the file is damaged here; all before is \
                 used, nothing after; fetch the file again"
            ));
            return Step::Stop;
        }
        let record_bytes = self.record_header_bytes.saturating_add(captured as usize);
        if bytes.len() < record_bytes {
            return Step::More(record_bytes);
        }
        Step::Packet(Record {
            total_bytes: record_bytes,
            frame_at: self.record_header_bytes,
            captured_bytes: captured,
            wire_bytes: wire,
            time: Some(self.time(seconds, fraction)),
            interface: Packet::ONLY_INTERFACE,
            listed: self.listed,
            link_type: self.link_type,
            fcs_bytes: self.fcs_bytes,
        })
    }

    #[inline]
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        time(seconds, fraction, self.fraction_ns)
    }

    /// See [`UsualRecords`].
    #[inline]
    pub(super) fn usual_ethernet(&self) -> Option<UsualRecords> {
        let usual = self.record_header_bytes == RECORD_HEADER_BYTES
            && self.swapped == Swapped::Never
            && self.fcs_bytes == 0
            && self.link_type == ETHERNET;
        usual.then_some(UsualRecords {
            order: self.order,
            fraction_ns: self.fraction_ns,
            max_captured_bytes: self.max_captured_bytes,
            listed: self.listed,
        })
    }

    /// A record without bytes whose time is the magic number is the header of another file: files that were joined
    /// with `cat`.
    fn begin_again(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        let Some(header) = bytes.first_chunk::<FILE_HEADER_BYTES>() else {
            return Step::More(FILE_HEADER_BYTES);
        };
        match Self::begin(header, facts) {
            Some(next) => {
                *self = next;
                facts.problem("another pcap file begins here: files were joined with `cat`; both are used");
                Step::Pass(FILE_HEADER_BYTES as u64)
            }
            None => Step::Stop,
        }
    }
}
