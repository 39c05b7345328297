//! 64 bytes at a time to bit masks of the bytes that structure a line: bit `i` for byte `i`.
//!
//! Processors with AVX2 or AVX-512 get kernels of their own. That needs `unsafe`, because only the running program
//! can know the processor; it stands in [`x86`] alone. It pays: `benches/decode.rs` reads text rows about
//! twice as fast with it as by the portable masks (`text` against `text-portable`).
#![expect(
    clippy::inline_always,
    reason = "kernels must become part of the function that enables their features"
)]

#[cfg(target_arch = "x86_64")]
mod x86;

/// Bytes of a chunk, one for each bit of a mask.
const CHUNK_BYTES: usize = 64;

type Chunk = [u8; CHUNK_BYTES];

/// Which kernels are used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scanner {
    /// For any processor.
    Portable,
    /// For a processor that was asked.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// As AVX2, with a kernel of its own for blanks.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx2, x86::Avx512),
}

impl Default for Scanner {
    fn default() -> Self {
        #[cfg(target_arch = "x86_64")]
        match (x86::Avx2::new(), x86::Avx512::new()) {
            (Some(avx2), Some(avx512)) => return Self::Avx512(avx2, avx512),
            (Some(avx2), None) => return Self::Avx2(avx2),
            (None, _) => {}
        }
        Self::Portable
    }
}

impl Scanner {
    /// Finds the first line's end in `text` and its blanks from `from` on that stand outside quotes; `None` if
    /// there are more than [`Blanks::LIMIT`] or the line has nearly 64 KiB (what `found` holds then means nothing).
    #[inline]
    pub(super) fn find_blanks(self, text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
        match self {
            Self::Portable => find_blanks(text, from, found, portable::masks, prefix_xor, write_blanks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.find_blanks(text, from, found),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_, avx512) => avx512.find_blanks(text, from, found),
        }
    }

    /// Finds the first line's end in `text`, and where that line has a quote or backslash; `None` if there are more than
    /// [`Marks::LIMIT`], the line has nearly 64 KiB, or all of `text` has less than a chunk (what `marks` holds then means
    /// nothing).
    #[inline]
    pub(super) fn mark_line(self, text: &[u8], marks: &mut Marks) -> Option<usize> {
        match self {
            Self::Portable => mark_line(text, marks, portable::line_masks, write_marks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.mark_line(text, marks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_, avx512) => avx512.mark_line(text, marks),
        }
    }
}

/// A hash of several texts for processors that do AES rounds, on 64 bytes at a time where they can, else on 16. With the wide
/// rounds in place of products of 64 bits whole runs take 0.93 (JSON) and 0.98 (text) of the CPU time, mostly because they
/// need no branch for each length. Another processor needs another hash, so this one is for tables whose order nobody sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AesHash(
    #[cfg(target_arch = "x86_64")] x86::AesKernel,
    #[cfg(not(target_arch = "x86_64"))] std::convert::Infallible,
);

impl AesHash {
    /// The widest that this processor has.
    pub(crate) fn new() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::AesKernel::widest().map(Self);
        #[cfg(not(target_arch = "x86_64"))]
        return None;
    }

    /// The one on 16 bytes, for comparisons.
    #[cfg(test)]
    pub(crate) fn narrow() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::AesKernel::narrow().map(Self);
        #[cfg(not(target_arch = "x86_64"))]
        return None;
    }

    /// 128 bits that stand for `seed` and all of `parts`, in their order and each with its length. Parts of up to
    /// [`AesHash::PART_BYTES`] are the quickest.
    #[inline]
    pub(crate) fn of<const PARTS: usize>(self, seed: u64, parts: &[&[u8]; PARTS]) -> [u64; 2] {
        #[cfg(target_arch = "x86_64")]
        return self.0.hash(seed, parts);
        #[cfg(not(target_arch = "x86_64"))]
        match (self.0, seed, parts) {}
    }

    /// Bytes that are hashed at once.
    pub(crate) const PART_BYTES: usize = CHUNK_BYTES;
}

/// At most 15 bytes, the middle ones twice: other bytes of that length are other words.
#[inline(always)]
pub(crate) fn short_words(part: &[u8]) -> [u64; 2] {
    if let (Some(head), Some(tail)) = (part.first_chunk::<8>(), part.last_chunk::<8>()) {
        [u64::from_le_bytes(*head), u64::from_le_bytes(*tail)]
    } else if let (Some(head), Some(tail)) = (part.first_chunk::<4>(), part.last_chunk::<4>()) {
        [
            u64::from(u32::from_le_bytes(*head)),
            u64::from(u32::from_le_bytes(*tail)),
        ]
    } else {
        let word = part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        [word, 0]
    }
}

/// Places of blanks outside quotes in a line. Reused from line to line. Those of a row stand in 64 bytes that a processor
/// fetches at once: it waits when it reads what a store wrote across their end.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Blanks {
    /// The places; what stands past `count` means nothing.
    pub(super) places: [u16; Blanks::ROOM],
    /// How many there are.
    pub(super) count: usize,
    /// How many quotes there are.
    pub(super) quotes: u32,
    /// Where the line ends: at its newline, or at the end of the text.
    pub(super) end: usize,
}

impl Default for Blanks {
    fn default() -> Self {
        Self {
            places: [0; Self::ROOM],
            count: 0,
            quotes: 0,
            end: 0,
        }
    }
}

impl Blanks {
    /// More are not wanted.
    pub(super) const LIMIT: usize = 20;
    /// Room for a batch past the limit.
    const ROOM: usize = 40;
    /// Places are written so many at a time, needed or not: a branch for each would often be mispredicted. Most chunks of a
    /// row have no more; with 8 the scan takes 1.3 times as long.
    const BATCH: usize = 4;
}

/// Room for places behind the first `count` ones.
#[inline(always)]
fn room<const N: usize>(places: &mut [u16], count: usize) -> Option<&mut [u16; N]> {
    places.get_mut(count..)?.first_chunk_mut()
}

/// Writes the places of the set bits of a chunk that begins at `at` behind the first `count` places, `BATCH` at a time.
#[inline(always)]
fn write_places<const BATCH: usize>(places: &mut [u16], count: usize, mut bits: u64, at: u16) -> Option<()> {
    let mut next = count;
    loop {
        for place in room::<BATCH>(places, next)? {
            *place = at.wrapping_add(u16::try_from(bits.trailing_zeros()).unwrap_or(0));
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            return Some(());
        }
        next = next.wrapping_add(BATCH);
    }
}

#[inline(always)]
fn write_blanks(places: &mut [u16], count: usize, blanks: u64, at: u16) -> Option<()> {
    write_places::<{ Blanks::BATCH }>(places, count, blanks, at)
}

#[inline(always)]
fn write_marks(places: &mut [u16], count: usize, marks: u64, at: u16) -> Option<()> {
    write_places::<{ Marks::BATCH }>(places, count, marks, at)
}

/// Where a chunk has what structures a row.
#[derive(Clone, Copy, Debug)]
struct Masks {
    quotes: u64,
    blanks: u64,
    newlines: u64,
}

/// Places of blanks found so far in a line. Its steps are functions that are always made part of their caller, and no
/// closures: one that is called at two places is compiled by itself, without the features of the kernel around it, and
/// took a fifth of the time of a text log.
#[derive(Clone, Copy, Debug)]
struct Walk {
    count: usize,
    quotes: u32,
    /// All ones while a quote is open.
    open: u64,
}

impl Walk {
    /// Adds the chunk at `at`, and tells whether the line ends in it.
    #[inline(always)]
    fn add(
        &mut self,
        mut masks: Masks,
        at: usize,
        found: &mut Blanks,
        prefix_xor: &impl Fn(u64) -> u64,
        write: &impl Fn(&mut [u16], usize, u64, u16) -> Option<()>,
    ) -> Option<bool> {
        if masks.newlines != 0 {
            let before = masks.newlines.wrapping_sub(1) & !masks.newlines;
            masks.quotes &= before;
            masks.blanks &= before;
        }
        let inside = prefix_xor(masks.quotes) ^ self.open;
        self.open = (inside.cast_signed() >> 63).cast_unsigned();
        self.quotes = self.quotes.wrapping_add(masks.quotes.count_ones());
        let blanks = masks.blanks & !inside;
        let all = self.count.wrapping_add(blanks.count_ones() as usize);
        if all > Blanks::LIMIT {
            return None;
        }
        // A longer line is looked at in another way.
        let end = u16::try_from(at.wrapping_add(CHUNK_BYTES)).ok()?;
        write(&mut found.places, self.count, blanks, end.wrapping_sub(64))?;
        self.count = all;
        if masks.newlines != 0 {
            (found.count, found.quotes) = (self.count, self.quotes);
            found.end = at.wrapping_add(masks.newlines.trailing_zeros() as usize);
        }
        Some(masks.newlines != 0)
    }
}

#[inline(always)]
fn find_blanks(
    text: &[u8],
    from: usize,
    found: &mut Blanks,
    masks: impl Fn(&Chunk) -> Masks,
    prefix_xor: impl Fn(u64) -> u64,
    write: impl Fn(&mut [u16], usize, u64, u16) -> Option<()>,
) -> Option<()> {
    let mut walk = Walk {
        count: 0,
        quotes: 0,
        open: 0,
    };
    let (chunks, rest) = text.get(from..)?.as_chunks::<CHUNK_BYTES>();
    let mut at = from;
    for chunk in chunks {
        if walk.add(masks(chunk), at, found, &prefix_xor, &write)? {
            return Some(());
        }
        at = at.wrapping_add(CHUNK_BYTES);
    }
    // The last chunk overlaps the one before it; what was seen is shifted out. The text's end is the line's.
    let last = masks(text.last_chunk()?);
    let seen = CHUNK_BYTES.wrapping_sub(rest.len());
    let shift = |mask: u64| if rest.is_empty() { 0 } else { mask >> seen };
    let newlines = shift(last.newlines) | 1_u64 << rest.len();
    let last = Masks {
        quotes: shift(last.quotes),
        blanks: shift(last.blanks),
        newlines,
    };
    walk.add(last, at, found, &prefix_xor, &write)?.then_some(())
}

/// Bit `i` of the result is the parity of bits `0..=i`.
#[inline]
fn prefix_xor(mask: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .into_iter()
        .fold(mask, |mask, shift| mask ^ mask << shift)
}

/// Marked bytes of one line. Reused from line to line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Marks {
    /// Their places; what stands past `count` means nothing.
    places: [u16; Marks::ROOM],
    count: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            places: [0; Self::ROOM],
            count: 0,
        }
    }
}

impl Marks {
    /// More are not wanted: twice what a row of all keys that Istio documents has.
    pub(super) const LIMIT: usize = 256;
    /// Room for a chunk past the limit.
    const ROOM: usize = Self::LIMIT + CHUNK_BYTES + Self::BATCH;
    /// Places that are written at once: about as many as a chunk of a row has.
    const BATCH: usize = 8;

    /// The place of the mark with this number.
    #[inline(always)]
    pub(super) fn place(&self, number: usize) -> Option<usize> {
        if number >= self.count {
            return None;
        }
        self.places.get(number).map(|place| usize::from(*place))
    }

    /// The number of the first mark at or after a place, if it is not one before `from`.
    pub(super) fn number_at(&self, place: usize, from: usize) -> usize {
        let marks = self.places.get(..self.count).unwrap_or_default();
        let rest = marks.get(from..).unwrap_or_default();
        from.wrapping_add(rest.partition_point(|mark| usize::from(*mark) < place))
    }
}

/// Where a chunk has what structures a line of JSON.
#[derive(Clone, Copy, Debug)]
struct LineMasks {
    /// Quotes and backslashes.
    marks: u64,
    newlines: u64,
}

/// Places of marks found so far in a line. As [`Walk`].
#[derive(Clone, Copy, Debug)]
struct MarkWalk {
    count: usize,
}

impl MarkWalk {
    /// Adds the chunk at `at`, and tells whether the line ends in it.
    #[inline(always)]
    fn add(
        &mut self,
        masks: LineMasks,
        at: usize,
        found: &mut Marks,
        write: &impl Fn(&mut [u16], usize, u64, u16) -> Option<()>,
    ) -> Option<bool> {
        let mut marks = masks.marks;
        if masks.newlines != 0 {
            marks &= masks.newlines.wrapping_sub(1) & !masks.newlines;
        }
        // A longer line is looked at in another way.
        let end = u16::try_from(at.wrapping_add(CHUNK_BYTES)).ok()?;
        write(&mut found.places, self.count, marks, end.wrapping_sub(64))?;
        self.count = self.count.wrapping_add(marks.count_ones() as usize);
        if self.count > Marks::LIMIT {
            return None;
        }
        found.count = self.count;
        Some(masks.newlines != 0)
    }
}

#[inline(always)]
fn mark_line(
    text: &[u8],
    marks: &mut Marks,
    masks: impl Fn(&Chunk) -> LineMasks,
    write: impl Fn(&mut [u16], usize, u64, u16) -> Option<()>,
) -> Option<usize> {
    let mut walk = MarkWalk { count: 0 };
    let (chunks, rest) = text.as_chunks::<CHUNK_BYTES>();
    let mut at = 0_usize;
    let end = |at: usize, found: LineMasks| at.wrapping_add(found.newlines.trailing_zeros() as usize);
    for chunk in chunks {
        let found = masks(chunk);
        if walk.add(found, at, marks, &write)? {
            return Some(end(at, found));
        }
        at = at.wrapping_add(CHUNK_BYTES);
    }
    // The last chunk overlaps the one before it; what was seen is shifted out. The text's end is the line's.
    let last = masks(text.last_chunk()?);
    let seen = CHUNK_BYTES.wrapping_sub(rest.len());
    let shift = |mask: u64| if rest.is_empty() { 0 } else { mask >> seen };
    let last = LineMasks {
        marks: shift(last.marks),
        newlines: shift(last.newlines) | 1_u64 << rest.len(),
    };
    walk.add(last, at, marks, &write)?.then(|| end(at, last))
}

/// Eight bytes of an integer at a time.
mod portable {
    use super::{Chunk, LineMasks, Masks};

    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

    #[inline]
    pub(super) fn masks(chunk: &Chunk) -> Masks {
        let of = |byte| mask(chunk, |word| equal(word, byte));
        Masks {
            quotes: of(b'"'),
            blanks: of(b' '),
            newlines: of(b'\n'),
        }
    }

    #[inline]
    pub(super) fn line_masks(chunk: &Chunk) -> LineMasks {
        LineMasks {
            marks: mask(chunk, |word| equal(word, b'"') | equal(word, b'\\')),
            newlines: mask(chunk, |word| equal(word, b'\n')),
        }
    }

    #[inline]
    fn mask(chunk: &Chunk, tops: impl Fn(u64) -> u64) -> u64 {
        let words = chunk.as_chunks::<8>().0.iter().rev();
        words.fold(0, |mask, word| {
            mask << 8 | bits_of(tops(u64::from_le_bytes(*word)))
        })
    }

    /// 0x80 in each byte that equals `byte`.
    #[inline]
    fn equal(word: u64, byte: u8) -> u64 {
        let differ = word ^ u64::from_le_bytes([byte; 8]);
        !((differ & LOW_BITS).wrapping_add(LOW_BITS) | differ | LOW_BITS)
    }

    /// The top bits of eight bytes as one byte: the product lines them up in the highest one.
    #[inline]
    fn bits_of(tops: u64) -> u64 {
        (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![9 => Just(b'a'), 1 => Just(b' '), 1 => Just(b'"'), 1 => Just(b'\\'), 1 => any::<u8>()];
        proptest::collection::vec(byte, 64..700)
    }

    /// All that this processor can run.
    fn scanners() -> Vec<Scanner> {
        let mut all = vec![Scanner::Portable, Scanner::default()];
        #[cfg(target_arch = "x86_64")]
        all.extend(x86::Avx2::new().map(Scanner::Avx2));
        all
    }

    fn plain_blanks(text: &[u8], from: usize) -> Option<(Vec<usize>, u32, usize)> {
        let (mut places, mut quotes) = (vec![], 0);
        let end = text
            .iter()
            .skip(from)
            .position(|byte| *byte == b'\n')
            .map_or(text.len(), |len| from + len);
        for (at, byte) in text.iter().enumerate().take(end).skip(from) {
            match byte {
                b'"' => quotes += 1,
                b' ' if quotes % 2 == 0 => places.push(at),
                _ => {}
            }
        }
        (places.len() <= Blanks::LIMIT).then_some((places, quotes, end))
    }

    proptest! {
        #[test]
        fn blanks_agree_with_plain(text in text(), from in 0_usize..64) {
            let mut blanks = Blanks::default();
            for scanner in scanners() {
                let found = scanner.find_blanks(&text, from, &mut blanks);
                let found = found.map(|()| (blanks.places[..blanks.count].iter().map(|at| *at as usize).collect(), blanks.quotes, blanks.end));
                prop_assert_eq!(found, plain_blanks(&text, from), "{:?}", scanner);
            }
        }

        #[test]
        fn marks_agree_with_plain(text in text(), from in 0_usize..700, number in 0_usize..80) {
            let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
            let line = text.iter().enumerate().take(end);
            let plain: Vec<usize> = line.filter(|(_, byte)| matches!(byte, b'"' | b'\\')).map(|(at, _)| at).collect();
            let mut marks = Marks::default();
            for scanner in scanners() {
                marks.places.fill(u16::MAX);
                let found = scanner.mark_line(&text, &mut marks);
                if plain.len() > Marks::LIMIT {
                    prop_assert_eq!(found, None);
                    continue;
                }
                prop_assert_eq!(found, Some(end), "{:?}", scanner);
                let all: Vec<usize> = (0..).map_while(|number| marks.place(number)).collect();
                prop_assert_eq!(&all, &plain, "{:?}", scanner);
                let number = number.min(plain.len());
                let later = plain.iter().skip(number).position(|at| *at >= from);
                prop_assert_eq!(marks.number_at(from, number), later.map_or(plain.len(), |later| number + later));
            }
        }

        #[test]
        fn prefix_xor_is_parity(mask: u64) {
            for bit in 0..64 {
                let parity = (mask << (63 - bit)).count_ones() & 1;
                prop_assert_eq!(u64::from(parity), prefix_xor(mask) >> bit & 1);
            }
        }
    }

    #[test]
    fn lines_that_are_not_marked() {
        let mut marks = Marks::default();
        for scanner in scanners() {
            let mut mark = |text: &[u8]| scanner.mark_line(text, &mut marks);
            assert_eq!(mark(&[b'x'; 63]), None, "less than a chunk");
            let long = vec![b'x'; 1 << 16];
            assert_eq!(mark(&long[..60_000]), Some(60_000));
            assert_eq!(mark(&long), None, "places have 16 bits");
            for (count, end) in [(Marks::LIMIT, Some(600)), (Marks::LIMIT + 1, None)] {
                let mut line = [b'x'; 600];
                line[..count].fill(b'"');
                assert_eq!(mark(&line), end, "{count} quotes");
            }
        }
    }
}
