//! Bytes of a file to records: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).
//!
//! A `Container` is given what bytes there are and takes one step: a packet, something else of known length, or a
//! wish for more bytes. It trusts no length. What a container says besides packets (interfaces, comments, names,
//! drops) goes into the summary.

mod bytes;
mod pcap;
mod pcapng;
mod time;

pub use bytes::ByteOrder;
pub use time::TimeResolution;

use super::summary::Facts;
use crate::units::Timestamp;
use pcap::Pcap;
pub(super) use pcap::UsualRecords;
use pcapng::Pcapng;

/// Longest packet record that is read, unless the header of the file allows longer ones: what libpcap and Wireshark
/// allow for all link types of networks.
pub const MAX_PACKET_BYTES: u32 = 256 << 10;

/// Longest packet record whatever the header of the file says, and longest block of a pcapng file that is looked
/// into. Longer blocks are skipped.
pub const MAX_BLOCK_BYTES: u32 = 16 << 20;

/// Which file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerKind {
    /// pcap.
    Pcap,
    /// pcap as Kuznetsov's patch writes it, with 24 bytes before each packet.
    PcapModified,
    /// pcapng.
    Pcapng,
}

/// A packet in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Bytes of the record; padding at its end may lie beyond the bytes that were given.
    pub(super) total_bytes: usize,
    /// Where the frame begins in it.
    pub(super) frame_at: usize,
    /// Bytes of the frame in the record.
    pub(super) captured_bytes: u32,
    /// Bytes of the frame on the wire.
    pub(super) wire_bytes: u32,
    pub(super) time: Option<Timestamp>,
    /// Number of the interface in its section.
    pub(super) interface: u32,
    /// Place of the interface in the summary, if it has one.
    pub(super) listed: Option<usize>,
    pub(super) link_type: u16,
    /// Bytes of frame check sequence at the end of the frame.
    pub(super) fcs_bytes: u8,
}

/// One step through a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A packet.
    Packet(Record),
    /// A record of that many bytes that holds no packet but counts as a frame.
    Frame(u64),
    /// Something of that many bytes that is no frame. There may be more of them than were given.
    Pass(u64),
    /// That many bytes must be given, more than there were.
    More(usize),
    /// What comes from here on cannot be read; the summary says why.
    Stop,
}

/// A file format with its state.
#[derive(Debug)]
pub(super) enum Container {
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Container {
    /// Takes one step at the head of `bytes`, which is not empty.
    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        match self {
            Self::Pcap(pcap) => pcap.step(bytes, facts),
            Self::Pcapng(pcapng) => pcapng.step(bytes, facts),
            Self::Unknown => self.begin(bytes, facts),
        }
    }

    /// What reads usual records of Ethernet frames, where the format is pcap and all of them can be read so.
    #[inline]
    pub(super) fn usual_ethernet(&self) -> Option<UsualRecords> {
        match self {
            Self::Pcap(pcap) => pcap.usual_ethernet(),
            Self::Pcapng(_) | Self::Unknown => None,
        }
    }

    fn begin(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        let Some(magic) = bytes.first_chunk::<4>() else {
            return Step::More(4);
        };
        if *magic == pcapng::SECTION_HEADER {
            *self = Self::Pcapng(Pcapng::default());
            return Step::Pass(0);
        }
        if pcap::knows(*magic) {
            let Some(header) = bytes.first_chunk::<{ pcap::FILE_HEADER_BYTES }>() else {
                return Step::More(pcap::FILE_HEADER_BYTES);
            };
            return match Pcap::begin(header, facts) {
                Some(pcap) => {
                    *self = Self::Pcap(pcap);
                    Step::Pass(pcap::FILE_HEADER_BYTES as u64)
                }
                None => Step::Stop,
            };
        }
        facts.problem("not a capture: it begins neither as pcap nor as pcapng; nothing of it was read");
        Step::Stop
    }
}

#[cfg(test)]
mod tests;
