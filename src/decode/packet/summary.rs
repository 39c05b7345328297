//! What a capture says of itself, gathered while it is decoded.

use super::Address;
use super::container::{ByteOrder, ContainerKind, TimeResolution};
use super::layers::LayerSummary;
use crate::error::Problem;
use crate::units::{InputId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Problems of one input that are listed one by one; the rest are counted.
pub const MAX_PROBLEMS: usize = 16;
/// Interfaces that are listed.
pub const MAX_LISTED_INTERFACES: usize = 256;
/// Link types that are listed.
pub const MAX_LINK_TYPES: usize = 64;
/// Comments that are kept: the first ones.
pub const MAX_COMMENTS: usize = 16;
/// Bytes of a comment that are kept.
pub const MAX_COMMENT_BYTES: usize = 256;
/// Addresses whose names are kept: the first ones.
pub const MAX_NAMED_ADDRESSES: usize = 4096;
/// Names of one address that are kept.
pub const MAX_NAMES: usize = 8;
/// Bytes of a name of an interface or a host that are kept (RFC 1035 allows 253 for a host).
pub const MAX_NAME_BYTES: usize = 255;

/// What is known of a capture when it has been read.
#[derive(Clone, Debug, Default)]
pub struct CaptureSummary {
    /// Its format; `None` if it is no capture.
    pub container: Option<ContainerKind>,
    /// Byte order of its first section.
    pub byte_order: Option<ByteOrder>,
    /// Packets.
    pub packets: u64,
    /// Frames as Wireshark numbers them: packets, and records that are none.
    pub frames: u64,
    /// Bytes of packets in the capture.
    pub captured_bytes: u64,
    /// Bytes of packets on the wire.
    pub wire_bytes: u64,
    /// Packets of which less was captured than there was on the wire.
    pub cut_packets: u64,
    /// Packets that were dropped while capturing, as far as the capture says; `None` if it says nothing.
    pub dropped: Option<u64>,
    /// Link types of packets, in order of first sight, at most [`MAX_LINK_TYPES`].
    pub link_types: Vec<LinkTypeFacts>,
    /// Interfaces in the order of their description, at most [`MAX_LISTED_INTERFACES`].
    pub interfaces: Vec<InterfaceFacts>,
    /// Interfaces described.
    pub interface_count: u64,
    /// Sections of a pcapng file, or pcap files that were joined.
    pub sections: u64,
    /// Blocks that say nothing which is used.
    pub skipped_blocks: u64,
    /// What the layers below the transport were.
    pub layers: LayerSummary,
    /// Time of the first packet that has one.
    pub first: Option<Timestamp>,
    /// Time of the last packet that has one.
    pub last: Option<Timestamp>,
    /// Earliest time.
    pub earliest: Option<Timestamp>,
    /// Latest time.
    pub latest: Option<Timestamp>,
    /// Packets that are earlier than the one before: 0 where the capture is in order of time.
    pub backward_packets: u64,
    /// Packets without a time.
    pub timeless_packets: u64,
    /// Comments.
    pub comments: Vec<Comment>,
    /// Comments that are not kept.
    pub comments_left_out: u64,
    /// Names of addresses, lossily as UTF-8.
    pub names: BTreeMap<Address, BTreeSet<String>>,
    /// Names that are not kept.
    pub names_left_out: u64,
    /// Damage, by offset, at most [`MAX_PROBLEMS`] and one that counts the rest.
    pub problems: Vec<Problem>,
    /// True if something from some place on could not be read.
    pub stopped: bool,
}

/// A link type with its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTypeFacts {
    /// Its LINKTYPE number.
    pub number: u16,
    /// Its name, if it is a common one.
    pub name: &'static str,
    /// Packets.
    pub packets: u64,
    /// True if packets of this type are decoded.
    pub decoded: bool,
    first_offset_bytes: u64,
    first_frame: u64,
}

/// An interface of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// Number of its section, from 0.
    pub section: u64,
    /// LINKTYPE number.
    pub link_type: u16,
    /// Name, lossily as UTF-8.
    pub name: Option<String>,
    /// Most bytes of a packet that are captured; 0 where there is no limit.
    pub snaplen_bytes: u32,
    /// Resolution of its times.
    pub time_resolution: TimeResolution,
    /// Packets.
    pub packets: u64,
    /// Packets that were dropped, as its statistics say (at its end, since its beginning).
    dropped_by_statistics: Option<u64>,
    /// Packets that were dropped, as its packets say (each since the one before).
    dropped_by_packets: Option<u64>,
}

impl InterfaceFacts {
    /// Packets that were dropped, if anything says so. Statistics and packets count the same ones.
    pub fn dropped(&self) -> Option<u64> {
        self.dropped_by_statistics.max(self.dropped_by_packets)
    }
}

/// A comment in a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The frame that it stands with; `None` if it is of a section or an interface.
    pub frame: Option<u64>,
    /// Its text, lossily as UTF-8, at most [`MAX_COMMENT_BYTES`] bytes of it.
    pub text: String,
}

/// The summary while it grows, and the place where the decoder stands.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) summary: CaptureSummary,
    input: InputId,
    /// Bytes before what is decoded now.
    pub(super) offset_bytes: u64,
    problems_left_out: u64,
    interfaces_left_out: u64,
    link_type_at: usize,
}

impl Facts {
    pub(super) fn new(input: InputId) -> Self {
        Self {
            summary: CaptureSummary::default(),
            input,
            offset_bytes: 0,
            problems_left_out: 0,
            interfaces_left_out: 0,
            link_type_at: 0,
        }
    }

    #[cold]
    pub(super) fn problem(&mut self, what: &str) {
        if self.summary.problems.len() >= MAX_PROBLEMS {
            self.problems_left_out = self.problems_left_out.saturating_add(1);
            return;
        }
        let what = match self.summary.frames {
            0 => what.to_owned(),
            frames => format!("after frame {frames}: {what}"),
        };
        self.push_problem(self.offset_bytes, what);
    }

    fn push_problem(&mut self, offset_bytes: u64, what: String) {
        self.summary.problems.push(Problem {
            input: self.input,
            offset_bytes,
            line: None,
            what,
        });
    }

    pub(super) fn section(&mut self, kind: ContainerKind, order: ByteOrder) {
        self.summary.container.get_or_insert(kind);
        self.summary.byte_order.get_or_insert(order);
        self.summary.sections = self.summary.sections.saturating_add(1);
    }

    /// Lists an interface of the section that was begun last, if there is room: its place.
    pub(super) fn interface(
        &mut self,
        link_type: u16,
        snaplen_bytes: u32,
        time_resolution: TimeResolution,
        name: Option<&[u8]>,
    ) -> Option<usize> {
        self.summary.interface_count = self.summary.interface_count.saturating_add(1);
        let place = self.summary.interfaces.len();
        if place >= MAX_LISTED_INTERFACES {
            return None;
        }
        self.summary.interfaces.push(InterfaceFacts {
            section: self.summary.sections.saturating_sub(1),
            link_type,
            name: name.map(|name| text(name, MAX_NAME_BYTES)),
            snaplen_bytes,
            time_resolution,
            packets: 0,
            dropped_by_statistics: None,
            dropped_by_packets: None,
        });
        Some(place)
    }

    /// An interface that packets cannot refer to any more.
    #[cold]
    pub(super) fn interface_left_out(&mut self) {
        if self.interfaces_left_out == 0 {
            self.problem(
                "a section describes more than 65536 interfaces: packets of the others are left out",
            );
        }
        self.interfaces_left_out = self.interfaces_left_out.saturating_add(1);
    }

    pub(super) fn skipped_block(&mut self) {
        self.summary.skipped_blocks = self.summary.skipped_blocks.saturating_add(1);
    }

    pub(super) fn dropped_so_far(&mut self, listed: Option<usize>, count: u64) {
        if let Some(interface) = listed.and_then(|place| self.summary.interfaces.get_mut(place)) {
            interface.dropped_by_statistics = interface.dropped_by_statistics.max(Some(count));
        }
    }

    pub(super) fn dropped_before_packet(&mut self, listed: Option<usize>, count: u64) {
        if let Some(interface) = listed.and_then(|place| self.summary.interfaces.get_mut(place)) {
            let sum = interface.dropped_by_packets.unwrap_or(0).saturating_add(count);
            interface.dropped_by_packets = Some(sum);
        }
    }

    pub(super) fn comment(&mut self, comment: &[u8]) {
        self.add_comment(None, comment);
    }

    /// A comment of the frame that is being read and not counted yet.
    pub(super) fn comment_of_next_frame(&mut self, comment: &[u8]) {
        self.add_comment(Some(self.summary.frames.saturating_add(1)), comment);
    }

    fn add_comment(&mut self, frame: Option<u64>, comment: &[u8]) {
        if self.summary.comments.len() >= MAX_COMMENTS {
            self.summary.comments_left_out = self.summary.comments_left_out.saturating_add(1);
            return;
        }
        self.summary.comments.push(Comment {
            frame,
            text: text(comment, MAX_COMMENT_BYTES),
        });
    }

    pub(super) fn name(&mut self, address: Address, name: &[u8]) {
        let names = &mut self.summary.names;
        let room = match names.get(&address) {
            Some(known) => known.len() < MAX_NAMES,
            None => names.len() < MAX_NAMED_ADDRESSES,
        };
        if room && name.len() <= MAX_NAME_BYTES {
            names
                .entry(address)
                .or_default()
                .insert(text(name, MAX_NAME_BYTES));
        } else {
            self.summary.names_left_out = self.summary.names_left_out.saturating_add(1);
        }
    }

    /// Counts a packet, as the container gives it.
    #[inline]
    pub(super) fn packet(&mut self, time: Option<Timestamp>, captured_bytes: u32, wire_bytes: u32) {
        let summary = &mut self.summary;
        // What was read cannot overflow; the length on the wire is only a claim.
        summary.packets = summary.packets.wrapping_add(1);
        summary.captured_bytes = summary.captured_bytes.wrapping_add(u64::from(captured_bytes));
        summary.wire_bytes = summary.wire_bytes.saturating_add(u64::from(wire_bytes));
        let is_cut = u64::from(captured_bytes < wire_bytes);
        summary.cut_packets = summary.cut_packets.wrapping_add(is_cut);
        let Some(time) = time else {
            summary.timeless_packets = summary.timeless_packets.saturating_add(1);
            return;
        };
        match summary.last.replace(time) {
            Some(last) if time < last => {
                summary.backward_packets = summary.backward_packets.saturating_add(1);
                summary.earliest = summary.earliest.min(Some(time));
            }
            Some(_) if summary.latest < Some(time) => summary.latest = Some(time),
            Some(_) => {}
            None => (summary.first, summary.earliest, summary.latest) = (Some(time), Some(time), Some(time)),
        }
    }

    /// Counts packets of an interface, by its place in the list.
    #[inline]
    pub(super) fn packets_of_interface(&mut self, listed: Option<usize>, packets: u64) {
        if let Some(interface) = listed.and_then(|place| self.summary.interfaces.get_mut(place)) {
            interface.packets = interface.packets.saturating_add(packets);
        }
    }

    /// Counts packets of a link type.
    #[inline]
    pub(super) fn packets_of_link_type(&mut self, number: u16, packets: u64) {
        if !self.link_type_is(number) {
            self.find_link_type(number);
        }
        if let Some(known) = self.summary.link_types.get_mut(self.link_type_at)
            && known.number == number
        {
            known.packets = known.packets.saturating_add(packets);
        }
    }

    /// True if the last packet was of this link type.
    #[inline]
    pub(super) fn link_type_is(&self, number: u16) -> bool {
        let last = self.summary.link_types.get(self.link_type_at);
        last.is_some_and(|known| known.number == number)
    }

    #[cold]
    fn find_link_type(&mut self, number: u16) {
        let types = &mut self.summary.link_types;
        if let Some(place) = types.iter().position(|known| known.number == number) {
            self.link_type_at = place;
        } else if types.len() < MAX_LINK_TYPES {
            self.link_type_at = types.len();
            types.push(LinkTypeFacts {
                number,
                name: super::layers::link_type_name(number),
                packets: 0,
                decoded: super::layers::decodes(number),
                first_offset_bytes: self.offset_bytes,
                first_frame: self.summary.frames,
            });
        }
    }

    pub(super) fn finish(mut self, layers: LayerSummary) -> CaptureSummary {
        self.summary.layers = layers;
        self.summary.dropped = self
            .summary
            .interfaces
            .iter()
            .filter_map(InterfaceFacts::dropped)
            .reduce(u64::saturating_add);
        if self.problems_left_out > 0 {
            let what = format!("{} more problems, not listed", self.problems_left_out);
            self.push_problem(self.offset_bytes, what);
        }
        let unknown: Vec<(u64, String)> = self
            .summary
            .link_types
            .iter()
            .filter(|known| !known.decoded)
            .map(|known| (known.first_offset_bytes, unknown_link_type(known)))
            .collect();
        for (offset_bytes, what) in unknown {
            self.push_problem(offset_bytes, what);
        }
        self.summary.problems.sort_by_key(|problem| problem.offset_bytes);
        self.summary
    }
}

fn unknown_link_type(known: &LinkTypeFacts) -> String {
    format!(
        "link type {} ({}) is not decoded: its {} packets, from frame {} on, are only counted; capture on an interface \
         with Ethernet, cooked or raw IP packets (`tcpdump -i eth0` or `-i any`)",
        known.number, known.name, known.packets, known.first_frame
    )
}

fn text(bytes: &[u8], max_bytes: usize) -> String {
    String::from_utf8_lossy(bytes.get(..max_bytes).unwrap_or(bytes)).into_owned()
}
