//! Segments of one side to its bytes in order, with a bound.
//!
//! Segments in order are passed on as they are, without a copy; those that came too early wait. What is received twice
//! counts as it came first, which is what Linux receivers do. A gap is given up when the receiver has acknowledged it
//! (then the capture lost it, and it will not come), when too much waits behind it, or when the connection is over.

use super::mark::Mark;
use super::sequence::{after, later};
use std::collections::VecDeque;

/// Bytes of one direction that may wait for a missing segment.
pub(super) const MAX_HELD_BYTES: usize = 256 << 10;

/// Bytes of one shard that may wait, of all its connections.
pub(super) const MAX_HELD_BYTES_OF_SHARD: usize = 1 << 20;

/// What a held segment costs beside its bytes.
const HELD_OVERHEAD_BYTES: usize = 64;

/// Numbers further from the expected one than this are no part of the stream.
const MAX_DISTANCE: u32 = 1 << 30;

/// How long after its acknowledgment a segment may still turn up: captures of several queues are not in order.
const LATE_BY_NS: u64 = 1_000_000;

/// Takes the bytes of one side.
pub(super) trait Output {
    /// The next bytes; never empty. The mark is the packet that completed them.
    fn bytes(&mut self, bytes: &[u8], mark: Mark);
    /// So many bytes are missing here. The second is true if the sequence shows it, and false where a packet was cut.
    fn gap(&mut self, bytes: u64, lost: bool);
    /// All bytes before the FIN have come.
    fn end(&mut self);
}

/// A segment with payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'b> {
    /// Number of its first byte.
    pub(super) sequence: u32,
    /// What the capture has of it.
    pub(super) bytes: &'b [u8],
    /// Bytes on the wire, at least as many.
    pub(super) length: u32,
    /// Its packet.
    pub(super) mark: Mark,
}

impl Data<'_> {
    fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.length)
    }

    /// Without its first bytes.
    fn without(self, first: u32) -> Self {
        Self {
            sequence: self.sequence.wrapping_add(first),
            bytes: self.bytes.get(first as usize..).unwrap_or_default(),
            length: self.length.saturating_sub(first),
            ..self
        }
    }

    /// Its first bytes only.
    fn first(self, length: u32) -> Self {
        Self {
            bytes: self.bytes.get(..length as usize).unwrap_or(self.bytes),
            length: self.length.min(length),
            ..self
        }
    }
}

/// What waits for bytes before it.
#[derive(Debug)]
struct Held {
    sequence: u32,
    bytes: Box<[u8]>,
    length: u32,
    mark: Mark,
}

impl Held {
    fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.length)
    }

    fn cost(&self) -> usize {
        self.bytes.len() + HELD_OVERHEAD_BYTES
    }
}

/// What the shard has left for segments that wait.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes of all directions that wait.
    pub(super) held: usize,
    /// Limit of one direction.
    pub(super) direction: usize,
    /// Limit of all.
    pub(super) shard: usize,
    /// Gaps given up because a limit was reached.
    pub(super) given_up: u64,
}

/// The end of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// No FIN yet.
    #[default]
    Unknown,
    /// FIN with this number.
    At(u32),
    /// All was passed on.
    Told,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// Number of the next byte to pass on; `None` before any is known.
    next: Option<u32>,
    end: End,
    /// Only there while something is missing.
    trouble: Option<Box<Trouble>>,
}

/// What is known beyond the next byte.
#[derive(Debug, Default)]
struct Trouble {
    /// What the other side acknowledged beyond it, and when it first did.
    acknowledged: Option<u32>,
    unseen_since: Mark,
    /// By sequence, without overlap, all after the next byte.
    held: VecDeque<Held>,
    held_bytes: usize,
}

impl Trouble {
    /// True if the receiver has all before `to`, and that long ago that it is not the capture's order.
    fn gap_is_lost(&self, to: u32, now: Mark) -> bool {
        self.acknowledged
            .is_some_and(|acknowledged| !after(to, acknowledged))
            && now.since(self.unseen_since).is_none_or(|ns| ns >= LATE_BY_NS)
    }

    /// Keeps a copy of what none of the waiting segments has; false if that is too much.
    fn hold(&mut self, data: Data<'_>, budget: &mut Budget) -> bool {
        let worst = data.bytes.len() + 2 * HELD_OVERHEAD_BYTES;
        if self.held_bytes + worst > budget.direction || budget.held + worst > budget.shard {
            return false;
        }
        let mut place = self
            .held
            .partition_point(|held| !after(held.end(), data.sequence));
        let mut rest = data;
        while rest.length > 0 {
            let mut piece = rest;
            let mut taken = rest.length;
            if let Some(held) = self.held.get(place) {
                if after(held.sequence, rest.sequence) {
                    taken = held.sequence.wrapping_sub(rest.sequence).min(rest.length);
                    piece = rest.first(taken);
                } else {
                    rest = rest.without(held.end().wrapping_sub(rest.sequence).min(rest.length));
                    place += 1;
                    continue;
                }
            }
            self.insert(place, piece, budget);
            place += 1;
            rest = rest.without(taken);
        }
        true
    }

    fn insert(&mut self, place: usize, piece: Data<'_>, budget: &mut Budget) {
        let held = Held {
            sequence: piece.sequence,
            bytes: piece.bytes.into(),
            length: piece.length,
            mark: piece.mark,
        };
        self.held_bytes += held.cost();
        budget.held += held.cost();
        self.held.insert(place, held);
    }
}

impl Reassembly {
    /// The first byte has this number (SYN).
    pub(super) fn start(&mut self, sequence: u32) {
        if self.next.is_none() {
            self.next = Some(sequence);
        }
    }

    /// A segment with payload. In order, it is passed on at once.
    #[inline]
    pub(super) fn data(&mut self, data: &Data<'_>, budget: &mut Budget, out: &mut impl Output) {
        if self.next == Some(data.sequence) && self.trouble.is_none() {
            self.pass(*data, out);
            self.try_end(out);
            return;
        }
        self.data_elsewhere(*data, budget, out);
    }

    #[inline(never)]
    fn data_elsewhere(&mut self, mut data: Data<'_>, budget: &mut Budget, out: &mut impl Output) {
        loop {
            let next = *self.next.get_or_insert(data.sequence);
            if after(data.sequence, next) {
                if data.sequence.wrapping_sub(next) > MAX_DISTANCE {
                    return;
                }
                let trouble = self.trouble.get_or_insert_default();
                if trouble.gap_is_lost(data.sequence, data.mark) {
                    self.give_up(data.sequence, budget, out);
                    continue;
                }
                if trouble.hold(data, budget) {
                    return;
                }
                budget.given_up += 1;
                self.give_up(data.sequence, budget, out);
                continue;
            }
            let old = next.wrapping_sub(data.sequence);
            if old >= data.length {
                return;
            }
            data = data.without(old);
            // Bytes that wait came first: they count where both have them.
            if let Some(held) = self.front()
                && after(data.end(), held.sequence)
            {
                let rest = data.without(held.end().wrapping_sub(data.sequence).min(data.length));
                self.pass(data.first(held.sequence.wrapping_sub(data.sequence)), out);
                self.release(data.mark, budget, out);
                if rest.length == 0 {
                    self.try_end(out);
                    return;
                }
                data = rest;
                continue;
            }
            self.pass(data, out);
            self.release(data.mark, budget, out);
            self.try_end(out);
            return;
        }
    }

    /// The other side acknowledged all before this number.
    #[inline]
    pub(super) fn acknowledge(
        &mut self,
        number: u32,
        mark: Mark,
        budget: &mut Budget,
        out: &mut impl Output,
    ) {
        let Some(next) = self.next else { return };
        if !after(number, next) {
            return;
        }
        if number.wrapping_sub(next) > MAX_DISTANCE {
            return;
        }
        self.acknowledge_unseen(number, mark, budget, out);
    }

    #[inline(never)]
    fn acknowledge_unseen(&mut self, number: u32, mark: Mark, budget: &mut Budget, out: &mut impl Output) {
        if matches!(self.end, End::At(end) if self.next == Some(end)) || self.end == End::Told {
            return;
        }
        let trouble = self.trouble.get_or_insert_default();
        trouble.acknowledged = Some(
            trouble
                .acknowledged
                .map_or(number, |so_far| later(so_far, number)),
        );
        trouble.unseen_since = trouble.unseen_since.or(mark);
        if let Some(held) = trouble.held.front()
            && trouble.gap_is_lost(held.sequence, mark)
        {
            let to = held.sequence;
            self.give_up(to, budget, out);
            self.try_end(out);
        }
    }

    /// The side sends nothing after this number.
    pub(super) fn fin(&mut self, sequence: u32, out: &mut impl Output) {
        if self.end == End::Unknown {
            self.end = End::At(sequence);
            if self.next.is_none() {
                self.next = Some(sequence);
            }
            self.try_end(out);
        }
    }

    /// True when all that the side sent was passed on, to its end.
    pub(super) fn is_told(&self) -> bool {
        self.end == End::Told
    }

    /// Nothing more will come: what waits is passed on, and what is known to be missing is told.
    pub(super) fn finish(&mut self, budget: &mut Budget, out: &mut impl Output) {
        while let Some(held) = self.front() {
            let to = held.sequence;
            self.give_up(to, budget, out);
        }
        self.try_end(out);
        let acknowledged = self.trouble.take().and_then(|trouble| trouble.acknowledged);
        let (Some(next), Some(acknowledged)) = (self.next, acknowledged) else {
            return;
        };
        let sent_to = match self.end {
            End::At(end) => end,
            // A FIN that the capture lacks takes one number, too.
            End::Unknown if acknowledged == next.wrapping_add(1) => return,
            End::Unknown => acknowledged,
            End::Told => return,
        };
        if after(sent_to, next) && sent_to.wrapping_sub(next) <= MAX_DISTANCE {
            out.gap(u64::from(sent_to.wrapping_sub(next)), true);
            self.next = Some(sent_to);
            self.try_end(out);
        }
    }

    /// The first segment that waits.
    fn front(&self) -> Option<&Held> {
        self.trouble.as_ref()?.held.front()
    }

    /// Goes on at `to`, or at what waits if that is earlier.
    fn give_up(&mut self, to: u32, budget: &mut Budget, out: &mut impl Output) {
        let to = match self.front() {
            Some(held) if after(to, held.sequence) => held.sequence,
            _ => to,
        };
        if let Some(next) = self.next
            && after(to, next)
        {
            out.gap(u64::from(to.wrapping_sub(next)), true);
        }
        self.next = Some(to);
        self.release(Mark::default(), budget, out);
    }

    /// Passes on what waited for nothing else. `by` is the packet that filled the gap, if one did.
    fn release(&mut self, by: Mark, budget: &mut Budget, out: &mut impl Output) {
        loop {
            let (Some(next), Some(trouble)) = (self.next, &mut self.trouble) else {
                return;
            };
            if trouble.held.front().is_none_or(|held| after(held.sequence, next)) {
                return;
            }
            let Some(held) = trouble.held.pop_front() else {
                return;
            };
            trouble.held_bytes = trouble.held_bytes.saturating_sub(held.cost());
            budget.held = budget.held.saturating_sub(held.cost());
            let data = Data {
                sequence: held.sequence,
                bytes: &held.bytes,
                length: held.length,
                mark: by.or(held.mark),
            };
            self.pass(data.without(next.wrapping_sub(held.sequence)), out);
        }
    }

    fn pass(&mut self, data: Data<'_>, out: &mut impl Output) {
        if !data.bytes.is_empty() {
            out.bytes(data.bytes, data.mark);
        }
        let cut = u64::from(data.length).saturating_sub(data.bytes.len() as u64);
        if cut > 0 {
            out.gap(cut, false);
        }
        let next = data.end();
        self.next = Some(next);
        if let Some(trouble) = &mut self.trouble {
            if trouble
                .acknowledged
                .is_some_and(|acknowledged| !after(acknowledged, next))
            {
                trouble.acknowledged = None;
                trouble.unseen_since = Mark::default();
            }
            if trouble.held.is_empty() && trouble.acknowledged.is_none() {
                self.trouble = None;
            }
        }
    }

    fn try_end(&mut self, out: &mut impl Output) {
        if let End::At(end) = self.end
            && self.next.is_some_and(|next| !after(end, next))
        {
            self.end = End::Told;
            out.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::FrameRef;
    use crate::units::{InputId, Timestamp};
    use proptest::prelude::*;

    fn mark(number: u64) -> Mark {
        let at = FrameRef {
            input: InputId(0),
            frame: number + 1,
        };
        Mark::new(Some(Timestamp(i64::try_from(number).unwrap() * 1_000)), at)
    }

    fn budget(direction: usize, shard: usize) -> Budget {
        Budget {
            held: 0,
            direction,
            shard,
            given_up: 0,
        }
    }

    /// Bytes, with `None` for each one that is missing.
    #[derive(Default)]
    struct Collected {
        bytes: Vec<Option<u8>>,
        ended: usize,
    }

    impl Output for Collected {
        fn bytes(&mut self, bytes: &[u8], _: Mark) {
            assert!(!bytes.is_empty());
            self.bytes.extend(bytes.iter().copied().map(Some));
        }

        fn gap(&mut self, bytes: u64, _: bool) {
            assert!(bytes > 0);
            let gap = usize::try_from(bytes).unwrap();
            self.bytes.extend(std::iter::repeat_n(None, gap));
        }

        fn end(&mut self) {
            self.ended += 1;
        }
    }

    /// A segment of the sent bytes: offset, length, and what the capture has of it.
    #[derive(Clone, Debug)]
    struct Sent {
        from: usize,
        length: usize,
        captured: usize,
        /// Added to its bytes, so that the same place can hold different ones.
        version: u8,
    }

    const SENT_BYTES: usize = 200;

    fn byte(place: usize, version: u8) -> u8 {
        u8::try_from(place % 199).unwrap().wrapping_add(version)
    }

    fn payload(sent: &Sent) -> Vec<u8> {
        (sent.from..sent.from + sent.captured.min(sent.length))
            .map(|place| byte(place, sent.version))
            .collect()
    }

    fn give(
        one: &mut Reassembly,
        isn: u32,
        sent: &Sent,
        number: u64,
        budget: &mut Budget,
        out: &mut Collected,
    ) {
        let bytes = payload(sent);
        let data = Data {
            sequence: isn.wrapping_add(u32::try_from(sent.from).unwrap()),
            bytes: &bytes,
            length: u32::try_from(sent.length).unwrap(),
            mark: mark(number),
        };
        one.data(&data, budget, out);
    }

    /// The plain way: an array of places, the first to write one wins. A place that was written without its byte
    /// (cut by the snaplen) is known to be missing.
    fn plain(all: &[Sent]) -> Vec<Option<u8>> {
        let mut places: Vec<Option<Option<u8>>> = vec![None; SENT_BYTES * 2];
        for sent in all {
            let bytes = payload(sent);
            for at in 0..sent.length {
                places[sent.from + at].get_or_insert(bytes.get(at).copied());
            }
        }
        let length = places
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        places.into_iter().take(length).map(Option::flatten).collect()
    }

    fn segments() -> impl Strategy<Value = Vec<Sent>> {
        let one = (0..SENT_BYTES, 1_usize..40, 0_u8..4, 0_usize..80);
        proptest::collection::vec(one, 1..30).prop_map(|all| {
            all.into_iter()
                .map(|(from, length, version, captured)| Sent {
                    from,
                    length,
                    // Most segments are whole.
                    captured: if captured < 40 { length } else { captured - 40 },
                    version,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_equals_the_plain_way(all in segments(), isn in any::<u32>()) {
            let (mut one, mut out) = (Reassembly::default(), Collected::default());
            let mut budget = budget(1 << 20, 1 << 20);
            one.start(isn);
            for (number, sent) in all.iter().enumerate() {
                give(&mut one, isn, sent, number as u64, &mut budget, &mut out);
            }
            one.finish(&mut budget, &mut out);
            prop_assert_eq!(out.bytes, plain(&all));
            prop_assert_eq!(budget.held, 0);
            prop_assert_eq!(budget.given_up, 0);
        }

        #[test]
        fn any_cut_of_bytes_in_order_is_the_same(cuts in proptest::collection::vec(1_usize..50, 1..40), isn in any::<u32>()) {
            let (mut one, mut out) = (Reassembly::default(), Collected::default());
            let mut budget = budget(0, 0);
            let mut from = 0;
            for (number, length) in cuts.iter().enumerate() {
                let sent = Sent { from, length: *length, captured: *length, version: 0 };
                give(&mut one, isn, &sent, number as u64, &mut budget, &mut out);
                from += length;
            }
            one.fin(isn.wrapping_add(u32::try_from(from).unwrap()), &mut out);
            let expected: Vec<_> = (0..from).map(|place| Some(byte(place, 0))).collect();
            prop_assert_eq!(out.bytes, expected);
            prop_assert_eq!(out.ended, 1);
        }

        #[test]
        fn limits_hold_and_nothing_moves(
            all in segments(),
            isn in any::<u32>(),
            limit in 0_usize..2000,
            acknowledged in proptest::collection::vec(0_u32..300, 30),
        ) {
            let (mut one, mut out) = (Reassembly::default(), Collected::default());
            let mut budget = budget(limit, limit);
            one.start(isn);
            for (number, (sent, ack)) in all.iter().zip(acknowledged).enumerate() {
                give(&mut one, isn, sent, number as u64, &mut budget, &mut out);
                // A held segment can be split by those before it, each part with its overhead.
                prop_assert!(budget.held <= limit + 30 * HELD_OVERHEAD_BYTES);
                one.acknowledge(isn.wrapping_add(ack), mark(number as u64), &mut budget, &mut out);
            }
            one.finish(&mut budget, &mut out);
            prop_assert_eq!(budget.held, 0);
            // Whatever was given up, each byte stands at its own place and is one that was sent there.
            for (place, got) in out.bytes.iter().enumerate() {
                if let Some(got) = got {
                    let sent_there = all.iter().any(|sent| {
                        place >= sent.from
                            && place < sent.from + sent.captured.min(sent.length)
                            && byte(place, sent.version) == *got
                    });
                    prop_assert!(sent_there, "byte {got} at {place}");
                }
            }
        }
    }

    #[test]
    fn numbers_far_away_are_no_part_of_it() {
        let (mut one, mut out) = (Reassembly::default(), Collected::default());
        let mut budget = budget(1000, 1000);
        let data = |sequence, bytes| Data {
            sequence,
            bytes,
            length: 3,
            mark: mark(1),
        };
        one.data(&data(10, b"abc"), &mut budget, &mut out);
        one.data(&data(1 << 31, b"far"), &mut budget, &mut out);
        one.acknowledge(1 << 31, mark(2), &mut budget, &mut out);
        one.data(&data(13, b"def"), &mut budget, &mut out);
        one.finish(&mut budget, &mut out);
        assert_eq!(out.bytes, b"abcdef".iter().copied().map(Some).collect::<Vec<_>>());
    }
}
