//! pcapng, draft-ietf-opsawg-pcapng: blocks of a type and a length; sections, each with a byte order and interfaces.

use super::bytes::ByteOrder;
use super::time::{Scale, TimeResolution};
use super::{ContainerKind, MAX_BLOCK_BYTES, Record, Step};
use crate::decode::packet::Address;
use crate::decode::packet::summary::Facts;
use crate::units::Timestamp;
use pcap_parser::{
    CB_MAGIC, DCB_MAGIC, EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, NRB_MAGIC, OptionCode, SJE_MAGIC, SPB_MAGIC,
};

/// Type of a section header block, the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The packet block, obsolete: `pcap-parser` has no name for it.
const OLD_PACKET: u32 = 2;
/// Bits of frame check sequence behind each packet, in an interface description.
const IF_FCSLEN: OptionCode = OptionCode(13);
/// Packets dropped before this one, in a packet block.
const EPB_DROPCOUNT: OptionCode = OptionCode(4);
/// Events of sysdig and Falco, which Wireshark numbers as frames.
const SYSDIG_EVENTS: [u32; 6] = [0x204, 0x208, 0x216, 0x217, 0x221, 0x222];

/// Type, length, and the length again at the end.
const BLOCK_BYTES_MIN: u32 = 12;
/// Type and length.
const BLOCK_HEAD_BYTES: usize = 8;
/// The fixed fields of a section header and its length at the end.
const SECTION_BYTES_MIN: u32 = 28;
const SECTION_HEAD_BYTES: usize = 28;

/// Interfaces of one section; more are not known to the packets that name them.
const MAX_INTERFACES: usize = 65_536;

/// The state of a pcapng file.
#[derive(Debug, Default)]
pub(crate) struct Pcapng {
    /// `None` before the first section.
    order: Option<ByteOrder>,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    fcs_bytes: u8,
    snaplen_bytes: u32,
    scale: Scale,
    offset_s: i64,
    /// Its place in the summary, if it has one.
    listed: Option<usize>,
}

impl Pcapng {
    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        let Some(&[t0, t1, t2, t3, l0, l1, l2, l3, ..]) = bytes.first_chunk::<12>() else {
            return Step::More(12);
        };
        if [t0, t1, t2, t3] == SECTION_HEADER {
            return self.section(bytes, facts);
        }
        let Some(order) = self.order else {
            return Step::Stop;
        };
        let kind = order.u32([t0, t1, t2, t3]);
        let length = order.u32([l0, l1, l2, l3]);
        if length < BLOCK_BYTES_MIN {
            facts.problem(&format!(
                "a block of type {kind} claims {length} bytes, less than any block has: the file is damaged here; all \
                 before is used, nothing after; fetch the file again"
            ));
            return Step::Stop;
        }
        if length > MAX_BLOCK_BYTES {
            return Self::pass_long(kind, length, facts);
        }
        let Some(block) = bytes.get(..length as usize) else {
            return Step::More(length as usize);
        };
        let body_end = block.len().saturating_sub(4);
        let (Some(body), Some(end)) = (block.get(BLOCK_HEAD_BYTES..body_end), block.last_chunk::<4>()) else {
            return Step::Stop;
        };
        if order.u32(*end) != length {
            tell_lengths_differ(kind, length, order.u32(*end), facts);
        }
        let whole = padded(length);
        match kind {
            EPB_MAGIC => self.enhanced_packet(order, body, whole, facts),
            SPB_MAGIC => self.simple_packet(order, body, whole, facts),
            OLD_PACKET => self.old_packet(order, body, whole, facts),
            kind if is_other_frame(kind) => Step::Frame(whole as u64),
            _ => {
                match kind {
                    IDB_MAGIC => self.interface(order, body, facts),
                    ISB_MAGIC => self.statistics(order, body, facts),
                    NRB_MAGIC => names(order, body, facts),
                    _ => facts.skipped_block(),
                }
                Step::Pass(whole as u64)
            }
        }
    }

    fn pass_long(kind: u32, length: u32, facts: &mut Facts) -> Step {
        let packet = matches!(kind, EPB_MAGIC | SPB_MAGIC | OLD_PACKET);
        facts.problem(&format!(
            "a block of type {kind} has {length} bytes, more than the {MAX_BLOCK_BYTES} that are looked into: it is \
             skipped"
        ));
        let whole = u64::from(length).next_multiple_of(4);
        if packet || is_other_frame(kind) {
            Step::Frame(whole)
        } else {
            Step::Pass(whole)
        }
    }

    fn section(&mut self, bytes: &[u8], facts: &mut Facts) -> Step {
        let Some(head) = bytes.first_chunk::<SECTION_HEAD_BYTES>() else {
            return Step::More(SECTION_HEAD_BYTES);
        };
        let order = match [head[8], head[9], head[10], head[11]] {
            [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
            _ => {
                facts.problem(
                    "a section header without its byte-order magic: the file is damaged here; all before is used, \
                     nothing after; fetch the file again",
                );
                return Step::Stop;
            }
        };
        let length = order.u32_at(head, 4);
        let (major, minor) = (order.u16_at(head, 12), order.u16_at(head, 14));
        if major != 1 || !(SECTION_BYTES_MIN..=MAX_BLOCK_BYTES).contains(&length) {
            facts.problem(&format!(
                "a section header of version {major}.{minor} and {length} bytes: only version 1 is read; nothing from \
                 here on is used; convert it with `editcap -F pcapng FILE NEW`"
            ));
            return Step::Stop;
        }
        let Some(block) = bytes.get(..length as usize) else {
            return Step::More(length as usize);
        };
        if let Some(end) = block.last_chunk::<4>()
            && order.u32(*end) != length
        {
            tell_lengths_differ(u32::from_be_bytes(SECTION_HEADER), length, order.u32(*end), facts);
        }
        self.order = Some(order);
        self.interfaces.clear();
        facts.section(ContainerKind::Pcapng, order);
        let options = block.get(24..block.len().saturating_sub(4)).unwrap_or_default();
        section_comments(order, options, facts);
        Step::Pass(padded(length) as u64)
    }

    fn interface(&mut self, order: ByteOrder, body: &[u8], facts: &mut Facts) {
        if body.len() < 8 {
            facts.problem(
                "an interface description that is too short: interfaces may be taken for each other",
            );
            return;
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            facts.interface_left_out();
            return;
        }
        let link_type = order.u16_at(body, 0);
        let snaplen_bytes = order.u32_at(body, 4);
        let mut resolution = TimeResolution::MICROSECONDS;
        let mut offset_s = 0;
        let mut fcs_bits = 0;
        let mut name = None;
        let tail = body.get(8..).unwrap_or_default();
        each_option(order, tail, |code, value| match (code, value) {
            (OptionCode::Comment, comment) => facts.comment(comment),
            (OptionCode::IfName, value) => name = Some(value),
            (OptionCode::IfTsresol, &[value, ..]) => resolution = TimeResolution::from_option(value),
            (IF_FCSLEN, &[bits, ..]) => fcs_bits = bits,
            (OptionCode::IfTsoffset, value) => {
                if let Some(seconds) = value.first_chunk() {
                    offset_s = order.u64(*seconds).cast_signed();
                }
            }
            _ => {}
        });
        let listed = facts.interface(link_type, snaplen_bytes, resolution, name);
        self.interfaces.push(Interface {
            link_type,
            fcs_bytes: fcs_bits >> 3,
            snaplen_bytes,
            scale: Scale::of(resolution),
            offset_s,
            listed,
        });
    }

    #[inline]
    fn enhanced_packet(&self, order: ByteOrder, body: &[u8], whole: usize, facts: &mut Facts) -> Step {
        let Some(head) = body.first_chunk::<20>() else {
            return broken_packet("an enhanced packet block is too short", whole, facts);
        };
        let id = order.u32([head[0], head[1], head[2], head[3]]);
        let captured_bytes = order.u32([head[12], head[13], head[14], head[15]]);
        let Some(interface) = self.interfaces.get(id as usize) else {
            return unknown_interface(id, whole, facts);
        };
        let end = 20_usize.saturating_add(captured_bytes as usize);
        if end > body.len() {
            return broken_packet("a packet claims more bytes than its block has", whole, facts);
        }
        let high = order.u32([head[4], head[5], head[6], head[7]]);
        let low = order.u32([head[8], head[9], head[10], head[11]]);
        let options = body.get(end.next_multiple_of(4)..).unwrap_or_default();
        if options.len() >= 4 {
            packet_options(order, options, interface.listed, facts);
        }
        Step::Packet(Record {
            total_bytes: whole,
            frame_at: BLOCK_HEAD_BYTES.saturating_add(20),
            captured_bytes,
            wire_bytes: order.u32([head[16], head[17], head[18], head[19]]),
            time: interface.time(high, low),
            interface: id,
            listed: interface.listed,
            link_type: interface.link_type,
            fcs_bytes: interface.fcs_bytes,
        })
    }

    fn old_packet(&self, order: ByteOrder, body: &[u8], whole: usize, facts: &mut Facts) -> Step {
        let Some(head) = body.first_chunk::<20>() else {
            return broken_packet("a packet block is too short", whole, facts);
        };
        let id = u32::from(order.u16_at(head, 0));
        let captured_bytes = order.u32_at(head, 12);
        let Some(interface) = self.interfaces.get(id as usize) else {
            return unknown_interface(id, whole, facts);
        };
        let end = 20_usize.saturating_add(captured_bytes as usize);
        if end > body.len() {
            return broken_packet("a packet claims more bytes than its block has", whole, facts);
        }
        let drops = order.u16_at(head, 2);
        if drops != u16::MAX {
            facts.dropped_before_packet(interface.listed, u64::from(drops));
        }
        let options = body.get(end.next_multiple_of(4)..).unwrap_or_default();
        packet_options(order, options, interface.listed, facts);
        Step::Packet(Record {
            total_bytes: whole,
            frame_at: BLOCK_HEAD_BYTES.saturating_add(20),
            captured_bytes,
            wire_bytes: order.u32_at(head, 16),
            time: interface.time(order.u32_at(head, 4), order.u32_at(head, 8)),
            interface: id,
            listed: interface.listed,
            link_type: interface.link_type,
            fcs_bytes: interface.fcs_bytes,
        })
    }

    fn simple_packet(&self, order: ByteOrder, body: &[u8], whole: usize, facts: &mut Facts) -> Step {
        let Some(head) = body.first_chunk::<4>() else {
            return broken_packet("a simple packet block is too short", whole, facts);
        };
        let wire_bytes = order.u32(*head);
        let Some(interface) = self.interfaces.first() else {
            return unknown_interface(0, whole, facts);
        };
        let room = u32::try_from(body.len().saturating_sub(4)).unwrap_or(u32::MAX);
        let snaplen = match interface.snaplen_bytes {
            0 => u32::MAX,
            bytes => bytes,
        };
        Step::Packet(Record {
            total_bytes: whole,
            frame_at: BLOCK_HEAD_BYTES.saturating_add(4),
            captured_bytes: wire_bytes.min(snaplen).min(room),
            wire_bytes,
            time: None,
            interface: 0,
            listed: interface.listed,
            link_type: interface.link_type,
            fcs_bytes: interface.fcs_bytes,
        })
    }

    fn statistics(&self, order: ByteOrder, body: &[u8], facts: &mut Facts) {
        let id = order.u32_at(body, 0);
        let Some(interface) = self.interfaces.get(id as usize) else {
            return;
        };
        let mut dropped = None;
        each_option(order, body.get(12..).unwrap_or_default(), |code, value| {
            match (code, value.first_chunk()) {
                (OptionCode::Comment, _) => facts.comment(value),
                // Both since the beginning of the capture.
                (OptionCode::IsbIfDrop | OptionCode::IsbOsDrop, Some(count)) => {
                    dropped = Some(order.u64(*count).saturating_add(dropped.unwrap_or(0)));
                }
                _ => {}
            }
        });
        if let Some(dropped) = dropped {
            facts.dropped_so_far(interface.listed, dropped);
        }
    }
}

impl Interface {
    #[inline]
    fn time(&self, high: u32, low: u32) -> Option<Timestamp> {
        self.scale
            .timestamp(u64::from(high) << 32 | u64::from(low), self.offset_s)
    }
}

fn is_other_frame(kind: u32) -> bool {
    matches!(kind, CB_MAGIC | DCB_MAGIC | SJE_MAGIC) || SYSDIG_EVENTS.contains(&kind)
}

/// Blocks end on four bytes; a length that does not is taken to the next such place.
#[inline]
fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(4)
}

#[cold]
fn tell_lengths_differ(kind: u32, length: u32, at_end: u32, facts: &mut Facts) {
    facts.problem(&format!(
        "the two lengths of a block of type {kind} differ ({length} and {at_end}): the first one is trusted"
    ));
}

#[cold]
fn broken_packet(what: &str, whole: usize, facts: &mut Facts) -> Step {
    facts.problem(&format!(
        "{what}: that packet is left out, reading goes on behind it"
    ));
    Step::Frame(whole as u64)
}

#[cold]
fn unknown_interface(id: u32, whole: usize, facts: &mut Facts) -> Step {
    facts.problem(&format!(
        "a packet names interface {id}, which the file does not describe: that packet is left out, reading goes on \
         behind it"
    ));
    Step::Frame(whole as u64)
}

/// Calls `each` with code and value of every option; stops at the end mark and at a length that lies.
fn each_option<'a>(order: ByteOrder, mut bytes: &'a [u8], mut each: impl FnMut(OptionCode, &'a [u8])) {
    while let Some(&[c0, c1, l0, l1]) = bytes.first_chunk::<4>() {
        let code = OptionCode(order.u16([c0, c1]));
        let length = usize::from(order.u16([l0, l1]));
        let Some(value) = bytes.get(4..).and_then(|rest| rest.get(..length)) else {
            return;
        };
        if code == OptionCode::EndOfOpt {
            return;
        }
        each(code, value);
        bytes = bytes
            .get(4_usize.saturating_add(length.next_multiple_of(4))..)
            .unwrap_or_default();
    }
}

#[cold]
fn packet_options(order: ByteOrder, options: &[u8], listed: Option<usize>, facts: &mut Facts) {
    each_option(order, options, |code, value| match code {
        OptionCode::Comment => facts.comment_of_next_frame(value),
        EPB_DROPCOUNT => {
            if let Some(count) = value.first_chunk() {
                facts.dropped_before_packet(listed, order.u64(*count));
            }
        }
        _ => {}
    });
}

fn section_comments(order: ByteOrder, options: &[u8], facts: &mut Facts) {
    each_option(order, options, |code, value| {
        if code == OptionCode::Comment {
            facts.comment(value);
        }
    });
}

/// Records of a name resolution block: an address, and then names that end in a NUL each.
fn names(order: ByteOrder, body: &[u8], facts: &mut Facts) {
    each_option(order, body, |code, value| {
        // Records are laid out as options are, with kinds of their own.
        let (address, names) = match code.0 {
            1 => match value.split_first_chunk::<4>() {
                Some((address, names)) => (Address::v4(*address), names),
                None => return,
            },
            2 => match value.split_first_chunk::<16>() {
                Some((address, names)) => (Address(*address), names),
                None => return,
            },
            _ => return,
        };
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            facts.name(address, name);
        }
    });
}
