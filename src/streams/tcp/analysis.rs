//! What a segment is in the light of those before it: a retransmission, a duplicate acknowledgment, a probe, ...
//!
//! The rules are those that tshark 4.0 documents in its user's guide ("TCP Analysis"), so that figures can be
//! compared: what it calls out of order came within the initial round trip (3 ms where that is unknown) of the
//! segment that went ahead, a fast retransmission follows two duplicate acknowledgments by less than 20 ms.
//! Segments that were seen before on another interface must not come here.

use super::super::sequence::{after, at_or_before, later};
use crate::decode::packet::{TcpFlags, TcpSegment};

/// What a segment is; several may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::streams) struct Signs(pub(in crate::streams) u16);

impl Signs {
    pub(in crate::streams) const RETRANSMISSION: Self = Self(0x0001);
    pub(in crate::streams) const FAST_RETRANSMISSION: Self = Self(0x0002);
    pub(in crate::streams) const SPURIOUS_RETRANSMISSION: Self = Self(0x0004);
    pub(in crate::streams) const OUT_OF_ORDER: Self = Self(0x0008);
    pub(in crate::streams) const LOST_SEGMENT: Self = Self(0x0010);
    pub(in crate::streams) const ACKED_UNSEEN: Self = Self(0x0020);
    pub(in crate::streams) const KEEP_ALIVE: Self = Self(0x0040);
    pub(in crate::streams) const KEEP_ALIVE_ACK: Self = Self(0x0080);
    pub(in crate::streams) const DUPLICATE_ACK: Self = Self(0x0100);
    pub(in crate::streams) const ZERO_WINDOW: Self = Self(0x0200);
    pub(in crate::streams) const ZERO_WINDOW_PROBE: Self = Self(0x0400);
    pub(in crate::streams) const ZERO_WINDOW_PROBE_ACK: Self = Self(0x0800);
    pub(in crate::streams) const WINDOW_UPDATE: Self = Self(0x1000);
    pub(in crate::streams) const WINDOW_FULL: Self = Self(0x2000);
    /// Sent again for whatever reason.
    pub(in crate::streams) const SENT_AGAIN: Self = Self(0x0007);

    /// True if any of `other` holds.
    pub(in crate::streams) fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Window scale of a side (RFC 7323).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scale {
    /// Its SYN was not seen.
    #[default]
    Unknown,
    /// Not used: one of the SYNs lacks the option.
    Unused,
    /// Shift.
    Shift(u8),
}

/// Duplicate acknowledgments in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// So many.
    Count(u32),
    /// None since the other side acknowledged data of this one that the capture does not hold.
    Unseen,
}

impl Default for Repeats {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Repeats {
    fn count(self) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Unseen => 0,
        }
    }
}

/// What the analysis remembers of the segments of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::streams) struct Flow {
    /// Initial sequence number: of the SYN, or one before the first number seen or acknowledged.
    base: Option<u32>,
    /// The number after the highest one sent.
    next: Option<u32>,
    /// The number after the highest one sent without a gap.
    whole_to: Option<u32>,
    /// All before this number was acknowledged.
    acknowledged: Option<u32>,
    /// Acknowledgment (0 without ACK) and window (unscaled) of its last segment.
    last_ack: u32,
    window: Option<u16>,
    /// Duplicate acknowledgments in a row.
    repeats: Repeats,
    scale: Scale,
    /// Signs of its last segment.
    last: Signs,
    /// Until its first ACK without SYN, windows are unscaled.
    before_first_ack: bool,
    /// When `next` moved, and when its last segment came, in nanoseconds.
    next_time: i64,
    last_time: i64,
}

impl Flow {
    /// Initial sequence number, if any segment of either side told it.
    pub(in crate::streams) fn base(&self) -> Option<u32> {
        self.base
    }

    /// The number after the highest one sent.
    pub(in crate::streams) fn next(&self) -> Option<u32> {
        self.next
    }

    /// All before this number was acknowledged by this side.
    pub(in crate::streams) fn acknowledged(&self) -> Option<u32> {
        self.acknowledged
    }

    /// The window in bytes, if it is known.
    fn window_bytes(&self) -> Option<u32> {
        let shift = match self.scale {
            Scale::Unknown => return None,
            Scale::Unused => 0,
            Scale::Shift(_) if self.before_first_ack => 0,
            Scale::Shift(shift) => shift,
        };
        Some(u32::from(self.window?) << shift)
    }
}

/// Segment, as the analysis needs it.
#[derive(Clone, Copy, Debug)]
pub(in crate::streams) struct Segment<'p> {
    /// Header.
    pub(in crate::streams) header: &'p TcpSegment,
    /// Payload bytes on the wire.
    pub(in crate::streams) length: u32,
    /// Nanoseconds since the epoch; 0 where the packet has no time.
    pub(in crate::streams) time: i64,
}

impl Segment<'_> {
    fn is(&self, flags: u8) -> bool {
        self.header.flags.has(flags)
    }

    /// The number after its last byte, SYN and FIN counted.
    fn end(&self) -> u32 {
        let virtual_byte = u32::from(self.is(TcpFlags::SYN | TcpFlags::FIN));
        self.header
            .sequence
            .wrapping_add(self.length)
            .wrapping_add(virtual_byte)
    }

    /// No payload and none of SYN, FIN, RST: only acknowledges.
    fn only_acknowledges(&self) -> bool {
        self.length == 0 && !self.is(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
    }
}

/// Duplicate acknowledgments after which a retransmission is a fast one, and how soon it must follow.
const FAST_AFTER_REPEATS: u32 = 2;
const FAST_WITHIN_NS: u64 = 20_000_000;
/// What comes as soon after the segment that went ahead is out of order, where the round trip is unknown.
const OUT_OF_ORDER_WITHIN_NS: u64 = 3_000_000;

/// Says what the segment is, and remembers it. `first_rtt_ns` is 0 where it is unknown.
pub(in crate::streams) fn analyze(
    sender: &mut Flow,
    receiver: &mut Flow,
    segment: &Segment<'_>,
    first_rtt_ns: u64,
) -> Signs {
    note_bases(sender, receiver, segment);
    let mut signs = signs_of_sender(sender, receiver, segment);
    if segment.header.acknowledgment != sender.last_ack {
        sender.repeats = Repeats::default();
    }
    acknowledged_unseen(receiver, segment, &mut signs);
    if (segment.length > 0 || segment.is(TcpFlags::SYN | TcpFlags::FIN)) && !signs.any(Signs::KEEP_ALIVE) {
        sent_again(sender, receiver, segment, first_rtt_ns, &mut signs);
    }
    remember(sender, receiver, segment, signs);
    signs
}

/// What nearly every segment of a connection does: it brings the next bytes, or acknowledges more, and nothing is missing or
/// stands out. Then [`analyze`] would find no signs, and what it would remember is remembered; else nothing is done.
#[inline]
pub(in crate::streams) fn goes_on(sender: &mut Flow, receiver: &Flow, segment: &Segment<'_>) -> bool {
    let header = segment.header;
    let (sequence, number) = (header.sequence, header.acknowledgment);
    let (Some(next), Some(whole_to), Some(other_next), Some(other_whole_to)) =
        (sender.next, sender.whole_to, receiver.next, receiver.whole_to)
    else {
        return false;
    };
    let end = sequence.wrapping_add(segment.length);
    let in_order = sequence == next && whole_to == next && other_next == other_whole_to;
    let usual = header.flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST | TcpFlags::ACK)
        == TcpFlags::ACK
        && header.window != 0
        && header.options.first_sack.is_none()
        && receiver.window != Some(0);
    if !in_order
        || !usual
        || after(number, other_whole_to)
        || sender.base.is_none()
        || receiver.base.is_none()
    {
        return false;
    }
    let acknowledges_more = number != sender.last_ack;
    if segment.length > 0 {
        let fills_window = receiver
            .window_bytes()
            .is_some_and(|window| end == receiver.last_ack.wrapping_add(window));
        let is_known = receiver.last_ack != 0 && at_or_before(end, receiver.last_ack);
        if fills_window || is_known || !after(end, next) {
            return false;
        }
        sender.next = Some(end);
        sender.next_time = segment.time;
        sender.whole_to = Some(end);
    } else if !acknowledges_more {
        return false;
    }
    if acknowledges_more {
        sender.repeats = Repeats::default();
    }
    sender.window = Some(header.window);
    sender.last_ack = number;
    sender.acknowledged = Some(sender.acknowledged.map_or(number, |so_far| later(so_far, number)));
    sender.last_time = segment.time;
    sender.last = Signs::default();
    sender.before_first_ack = false;
    true
}

/// A SYN that is sent again after a RST with a made-up sequence number must not look like a step back.
pub(in crate::streams) fn restart_at_syn(sender: &mut Flow) {
    sender.next = sender.whole_to.or(sender.next);
}

fn note_bases(sender: &mut Flow, receiver: &mut Flow, segment: &Segment<'_>) {
    let header = segment.header;
    if segment.is(TcpFlags::SYN) && segment.is(TcpFlags::ACK) {
        sender.base = Some(header.sequence);
    }
    if sender.base.is_none() {
        sender.base = Some(if segment.is(TcpFlags::SYN) {
            header.sequence
        } else {
            header.sequence.wrapping_sub(1)
        });
    }
    if receiver.base.is_none() && segment.is(TcpFlags::ACK) {
        receiver.base = Some(header.acknowledgment.wrapping_sub(1));
    }
}

/// Windows, keep-alives, duplicate acknowledgments, gaps.
fn signs_of_sender(sender: &mut Flow, receiver: &Flow, segment: &Segment<'_>) -> Signs {
    let mut signs = Signs::default();
    let header = segment.header;
    let expected = sender.next == Some(header.sequence);
    if segment.length == 1 && expected && receiver.window == Some(0) {
        signs.add(Signs::ZERO_WINDOW_PROBE);
        return signs;
    }
    if header.window == 0 && !segment.is(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
        signs.add(Signs::ZERO_WINDOW);
    }
    if let Some(next) = sender.next {
        if after(header.sequence, next) && !segment.is(TcpFlags::RST) {
            signs.add(Signs::LOST_SEGMENT);
        }
        if segment.length <= 1
            && header.sequence == next.wrapping_sub(1)
            && !segment.is(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
        {
            signs.add(Signs::KEEP_ALIVE);
        }
    }
    if segment.length > 0
        && !segment.is(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
        && let Some(window) = receiver.window_bytes()
        && header.sequence.wrapping_add(segment.length) == receiver.last_ack.wrapping_add(window)
    {
        signs.add(Signs::WINDOW_FULL);
    }
    if !(segment.only_acknowledges() && expected && header.acknowledgment == sender.last_ack) {
        return signs;
    }
    if sender.window != Some(header.window) {
        if header.window != 0 {
            signs.add(Signs::WINDOW_UPDATE);
        }
        return signs;
    }
    if header.window == 0 {
        if receiver.last.any(Signs::ZERO_WINDOW_PROBE) {
            signs.add(Signs::ZERO_WINDOW_PROBE_ACK);
        }
    } else if receiver.last.any(Signs::KEEP_ALIVE) {
        signs.add(Signs::KEEP_ALIVE_ACK);
    } else {
        sender.repeats = Repeats::Count(sender.repeats.count().saturating_add(1));
        signs.add(Signs::DUPLICATE_ACK);
    }
    signs
}

/// Data is acknowledged that was not seen: said once for each hole, and once while only acknowledgments come.
fn acknowledged_unseen(receiver: &mut Flow, segment: &Segment<'_>, signs: &mut Signs) {
    let (Some(whole_to), Some(next)) = (receiver.whole_to, receiver.next) else {
        return;
    };
    if !segment.is(TcpFlags::ACK) || !after(segment.header.acknowledgment, whole_to) {
        return;
    }
    if after(next, whole_to) {
        receiver.whole_to = Some(next);
        signs.add(Signs::ACKED_UNSEEN);
        return;
    }
    if receiver.repeats == Repeats::Count(0) {
        signs.add(Signs::ACKED_UNSEEN);
    }
    receiver.repeats = Repeats::Unseen;
}

/// Retransmissions and segments out of order: what does not go forward.
fn sent_again(sender: &Flow, receiver: &Flow, segment: &Segment<'_>, first_rtt_ns: u64, signs: &mut Signs) {
    let sequence = segment.header.sequence;
    let end_of_data = sequence.wrapping_add(segment.length);
    if segment.length > 0 && receiver.last_ack != 0 && at_or_before(end_of_data, receiver.last_ack) {
        signs.add(Signs::SPURIOUS_RETRANSMISSION);
        return;
    }
    let Some(next) = sender.next else { return };
    // A byte sent as a probe before does not make new data a retransmission.
    let follows_probe = segment.length > 1 && sequence == next.wrapping_sub(1);
    if !after(next, sequence) || follows_probe {
        return;
    }
    let since = |time: i64| segment.time.wrapping_sub(time).cast_unsigned();
    let out_of_order_within = if first_rtt_ns == 0 {
        OUT_OF_ORDER_WITHIN_NS
    } else {
        first_rtt_ns
    };
    signs.add(
        if receiver.repeats.count() >= FAST_AFTER_REPEATS
            && receiver.last_ack == sequence
            && since(receiver.last_time) < FAST_WITHIN_NS
        {
            Signs::FAST_RETRANSMISSION
        } else if since(sender.next_time) < out_of_order_within && segment.end() != next {
            Signs::OUT_OF_ORDER
        } else {
            Signs::RETRANSMISSION
        },
    );
}

fn remember(sender: &mut Flow, receiver: &mut Flow, segment: &Segment<'_>, signs: Signs) {
    let header = segment.header;
    let end = segment.end();
    if !signs.any(Signs::ZERO_WINDOW_PROBE) {
        if sender.next.is_none_or(|next| after(end, next)) {
            sender.next = Some(end);
            sender.next_time = segment.time;
        }
        if sender.whole_to.is_none_or(|whole_to| whole_to == header.sequence) {
            sender.whole_to = sender.next;
        }
    }
    sender.window = Some(header.window);
    sender.last_ack = header.acknowledgment;
    if segment.is(TcpFlags::ACK) {
        let number = header.acknowledgment;
        sender.acknowledged = Some(sender.acknowledged.map_or(number, |so_far| later(so_far, number)));
    }
    sender.last_time = segment.time;
    sender.last = signs;
    if segment.is(TcpFlags::SYN) {
        sender.before_first_ack = true;
        remember_scale(sender, receiver, segment);
    } else if segment.is(TcpFlags::ACK) {
        sender.before_first_ack = false;
    }
}

/// RFC 7323 section 2.2: used only if both SYNs have the option.
fn remember_scale(sender: &mut Flow, receiver: &mut Flow, segment: &Segment<'_>) {
    const MAX_SHIFT: u8 = 14;
    if let Some(shift) = segment.header.options.window_scale {
        sender.scale = Scale::Shift(shift.min(MAX_SHIFT));
    }
    if sender.scale == Scale::Unknown {
        sender.scale = Scale::Unused;
        receiver.scale = Scale::Unused;
    } else if segment.is(TcpFlags::ACK) && receiver.scale == Scale::Unused {
        sender.scale = Scale::Unused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few values of each, so that segments meet each other.
    fn any_segment() -> impl Strategy<Value = (bool, TcpSegment, u32)> {
        let flags = prop_oneof![
            8 => Just(TcpFlags::ACK),
            1 => Just(TcpFlags::ACK | TcpFlags::PSH),
            1 => Just(TcpFlags::SYN),
            1 => Just(TcpFlags::SYN | TcpFlags::ACK),
            1 => Just(TcpFlags::FIN | TcpFlags::ACK),
            1 => Just(TcpFlags::RST),
            1 => Just(0),
        ];
        let window = prop_oneof![4 => Just(500_u16), 1 => Just(4), 1 => Just(0)];
        let scale = prop::option::weighted(0.3, 0..2_u8);
        (any::<bool>(), 0..7_u32, 0..7_u32, 0..3_u32, flags, window, scale).prop_map(
            |(turned, sequence, number, length, flags, window, window_scale)| {
                let flags = TcpFlags(flags);
                let mut header = TcpSegment {
                    sequence: sequence.wrapping_sub(3),
                    acknowledgment: if flags.ack() { number.wrapping_sub(3) } else { 0 },
                    flags,
                    window,
                    ..TcpSegment::default()
                };
                header.options.window_scale = window_scale.filter(|_| flags.syn());
                (turned, header, length)
            },
        )
    }

    proptest! {
        #[test]
        fn what_goes_on_has_no_signs_and_is_remembered_alike(segments in prop::collection::vec(any_segment(), 1..60)) {
            let mut flows = [Flow::default(); 2];
            let mut time = 0;
            for (turned, header, length) in &segments {
                time += 1_000_000;
                if *turned {
                    flows.reverse();
                }
                let segment = Segment { header, length: *length, time };
                let [mut sender, receiver] = flows;
                let goes_on = goes_on(&mut sender, &receiver, &segment);
                let as_it_went_on = format!("{:?}", [sender, receiver]);
                let before = format!("{flows:?}");
                let [one, other] = &mut flows;
                let signs = analyze(one, other, &segment, 0);
                if goes_on {
                    prop_assert_eq!(signs, Signs::default());
                    prop_assert_eq!(as_it_went_on, format!("{flows:?}"));
                } else {
                    prop_assert_eq!(as_it_went_on, before);
                }
                if *turned {
                    flows.reverse();
                }
            }
        }
    }

    #[test]
    fn the_next_bytes_go_on() {
        let header = TcpSegment {
            sequence: 10,
            acknowledgment: 5,
            flags: TcpFlags(TcpFlags::ACK),
            window: 500,
            ..TcpSegment::default()
        };
        let mut flows = [Flow::default(); 2];
        for (direction, sequence, number) in [(0, 10, 5), (1, 5, 13), (0, 13, 5), (1, 5, 16)] {
            let header = TcpSegment {
                sequence,
                acknowledgment: number,
                ..header
            };
            let length = if direction == 0 { 3 } else { 0 };
            let segment = Segment {
                header: &header,
                length,
                time: 1,
            };
            let [low, high] = &mut flows;
            let (sender, receiver) = if direction == 0 { (low, high) } else { (high, low) };
            let went_on = goes_on(sender, receiver, &segment);
            assert_eq!(
                went_on,
                sequence == 13 || number == 16,
                "only a first segment does not"
            );
            if !went_on {
                analyze(sender, receiver, &segment, 0);
            }
        }
    }
}
