//! The kernels for processors with AVX2, 32 bytes a comparison, and with AVX-512, 64 bytes a comparison.
//!
//! All `unsafe` of this crate stands here: calls of functions that are compiled for more than the baseline, made
//! through [`Avx2`], [`Avx512`] and [`AesKernel`] only, which exist only where the processor was asked; loads and a store
//! of arrays of just the length that they move; and a load of no more bytes than a text has.
#![expect(
    unsafe_code,
    reason = "calls into code for a processor that only the running program knows"
)]

use super::{Blanks, Chunk, LineMasks, Marks, Masks, room, write_blanks, write_marks};
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _bzhi_u64, _mm_aesenc_si128, _mm_clmulepi64_si128, _mm_cvtsi128_si64,
    _mm_extract_epi64, _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi64x, _mm_xor_si128, _mm256_add_epi16,
    _mm256_cmpeq_epi8, _mm256_cvtepu8_epi16, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_storeu_si256, _mm512_aesenc_epi128, _mm512_castsi512_si128,
    _mm512_cmpeq_epi8_mask, _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_set_epi64, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_set4_epi64,
    _mm512_xor_si512,
};

/// Proof that this processor has all that the kernels for AVX2 are compiled for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2(());

/// The same for AVX-512.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        all.then_some(Self(()))
    }

    #[expect(
        clippy::unused_self,
        reason = "having it is the proof that makes the call sound"
    )]
    #[inline]
    pub(super) fn find_blanks(self, text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
        // SAFETY: an `Avx2` is made only after the processor said that it has these features.
        unsafe { find_blanks(text, from, found) }
    }

    #[expect(
        clippy::unused_self,
        reason = "having it is the proof that makes the call sound"
    )]
    #[inline]
    pub(super) fn mark_line(self, text: &[u8], marks: &mut Marks) -> Option<usize> {
        // SAFETY: an `Avx2` is made only after the processor said that it has these features.
        unsafe { mark_line(text, marks) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
fn find_blanks(text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
    let (quote, blank, newline) = (splat(b'"'), splat(b' '), splat(b'\n'));
    let masks = |chunk: &Chunk| {
        let lanes = load(chunk);
        Masks {
            quotes: equal(lanes, quote),
            blanks: equal(lanes, blank),
            newlines: equal(lanes, newline),
        }
    };
    super::find_blanks(text, from, found, masks, |mask| prefix_xor(mask), write_blanks)
}

impl Avx512 {
    pub(super) fn new() -> Option<Self> {
        let all = Avx2::new().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi2");
        all.then_some(Self(()))
    }

    #[expect(
        clippy::unused_self,
        reason = "having it is the proof that makes the call sound"
    )]
    #[inline]
    pub(super) fn find_blanks(self, text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
        // SAFETY: an `Avx512` is made only after the processor said that it has these features.
        unsafe { find_blanks_wide(text, from, found) }
    }

    #[expect(
        clippy::unused_self,
        reason = "having it is the proof that makes the call sound"
    )]
    #[inline]
    pub(super) fn mark_line(self, text: &[u8], marks: &mut Marks) -> Option<usize> {
        // SAFETY: an `Avx512` is made only after the processor said that it has these features.
        unsafe { mark_line_wide(text, marks) }
    }
}

/// Proof that this processor does the AES rounds that a hash is compiled for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct AesKernel {
    /// On 64 bytes at a time; else on 16.
    wide: bool,
}

impl AesKernel {
    pub(super) fn widest() -> Option<Self> {
        let wide = Avx512::new().is_some() && is_x86_feature_detected!("vaes");
        Self::narrow().map(|_| Self { wide })
    }

    pub(super) fn narrow() -> Option<Self> {
        let all = is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse4.1");
        all.then_some(Self { wide: false })
    }

    #[inline]
    pub(super) fn hash<const PARTS: usize>(self, seed: u64, parts: &[&[u8]; PARTS]) -> [u64; 2] {
        if self.wide {
            // SAFETY: `wide` is set only after the processor said that it has these features.
            unsafe { hash_wide(seed, parts) }
        } else {
            // SAFETY: an `AesKernel` is made only after the processor said that it has these features.
            unsafe { hash_narrow(seed, parts) }
        }
    }
}

/// As [`hash_wide`], with pieces of 16 bytes.
#[target_feature(enable = "sse4.1,aes")]
fn hash_narrow(seed: u64, parts: &[&[u8]]) -> [u64; 2] {
    let [a, b, c, d] = ROOTS;
    let keys = [_mm_set_epi64x(b, a), _mm_set_epi64x(d, c)];
    let mut sum = _mm_set1_epi64x(seed.cast_signed());
    let mut number = 0_u64;
    for part in parts {
        let length = part.len() as u64;
        let Some(last) = part.last_chunk::<16>() else {
            let [low, high] = super::short_words(part);
            number = number.wrapping_add(NUMBER_STEP);
            sum = _mm_xor_si128(
                sum,
                two_rounds(
                    _mm_set_epi64x(high.cast_signed(), low.cast_signed()),
                    number ^ length,
                    keys,
                ),
            );
            continue;
        };
        // The last piece overlaps the one before it.
        let (chunks, rest) = part.as_chunks::<16>();
        for chunk in chunks {
            number = number.wrapping_add(NUMBER_STEP);
            sum = _mm_xor_si128(sum, two_rounds(load_narrow(chunk), number ^ length, keys));
        }
        if !rest.is_empty() {
            number = number.wrapping_add(NUMBER_STEP);
            sum = _mm_xor_si128(sum, two_rounds(load_narrow(last), number ^ length, keys));
        }
    }
    let [first, second] = keys;
    let mixed = _mm_aesenc_si128(_mm_aesenc_si128(sum, first), second);
    let all = _mm_aesenc_si128(_mm_aesenc_si128(mixed, first), second);
    halves(all)
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn halves(all: __m128i) -> [u64; 2] {
    let (low, high) = (_mm_cvtsi128_si64(all), _mm_extract_epi64::<1>(all));
    [low.cast_unsigned(), high.cast_unsigned()]
}

/// What a piece adds: two rounds on it and its mark.
#[inline]
#[target_feature(enable = "aes")]
fn two_rounds(piece: __m128i, mark: u64, [first, second]: [__m128i; 2]) -> __m128i {
    let marked = _mm_xor_si128(piece, _mm_set1_epi64x(mark.cast_signed()));
    _mm_aesenc_si128(_mm_aesenc_si128(marked, first), second)
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_narrow(chunk: &[u8; 16]) -> __m128i {
    let (words, _) = chunk.as_chunks::<8>();
    match words {
        [low, high] => _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low)),
        _ => _mm_set1_epi64x(0),
    }
}

/// Fractions of the square roots of primes, of which the keys of the AES rounds are made, and the step by which the
/// pieces of the texts are numbered.
const ROOTS: [i64; 4] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b_u64.cast_signed(),
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1_u64.cast_signed(),
];
const NUMBER_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Each piece is hashed by itself, by two AES rounds with its number and length: of these a changed bit changes all of
/// its 16 bytes. The sum of all pieces becomes 16 bytes by four rounds more.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,aes,vaes,avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn hash_wide<const PARTS: usize>(seed: u64, parts: &[&[u8]; PARTS]) -> [u64; 2] {
    let [a, b, c, d] = ROOTS;
    let keys = [_mm512_set4_epi64(b, a, d, c), _mm512_set4_epi64(c, d, a, b)];
    let mut sum = _mm512_set1_epi64(seed.cast_signed());
    let mut number = 0_u64;
    let all_bits_of_lengths = parts.iter().fold(0, |bits, part| bits | part.len());
    if all_bits_of_lengths <= super::CHUNK_BYTES {
        // Each part is one piece, as they nearly always are: no branch depends on a length.
        for part in parts {
            number = number.wrapping_add(NUMBER_STEP);
            sum = _mm512_xor_si512(
                sum,
                two_rounds_wide(load_some(part), number ^ part.len() as u64, keys),
            );
        }
    } else {
        for part in parts {
            let mut rest = *part;
            loop {
                number = number.wrapping_add(NUMBER_STEP);
                let (piece, after) = rest.split_at(rest.len().min(super::CHUNK_BYTES));
                sum = _mm512_xor_si512(
                    sum,
                    two_rounds_wide(load_some(piece), number ^ rest.len() as u64, keys),
                );
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
    let [first, second] = keys;
    let [key, last] = [_mm512_castsi512_si128(first), _mm512_castsi512_si128(second)];
    let low = _mm_aesenc_si128(_mm512_castsi512_si128(sum), _mm512_extracti32x4_epi32::<1>(sum));
    let high = _mm_aesenc_si128(
        _mm512_extracti32x4_epi32::<2>(sum),
        _mm512_extracti32x4_epi32::<3>(sum),
    );
    let both = _mm_aesenc_si128(_mm_aesenc_si128(low, key), _mm_aesenc_si128(high, last));
    let all = _mm_aesenc_si128(_mm_aesenc_si128(both, key), last);
    halves(all)
}

/// As [`two_rounds`].
#[inline]
#[target_feature(enable = "vaes,avx512f")]
fn two_rounds_wide(piece: __m512i, mark: u64, [first, second]: [__m512i; 2]) -> __m512i {
    let marked = _mm512_xor_si512(piece, _mm512_set1_epi64(mark.cast_signed()));
    _mm512_aesenc_epi128(_mm512_aesenc_epi128(marked, first), second)
}

/// At most the first 64 bytes of a text, zeros behind them.
#[inline]
#[target_feature(enable = "bmi2,avx512f,avx512bw")]
fn load_some(text: &[u8]) -> __m512i {
    // An empty text may stand anywhere, and a load from no page at all is slow even where no byte is wanted.
    let text = if text.is_empty() { NOTHING.as_slice() } else { text };
    let count = u32::try_from(text.len()).unwrap_or(u32::MAX).min(64);
    let wanted = _bzhi_u64(u64::MAX, count);
    // SAFETY: no byte is loaded but the wanted ones, which are no more than the text has.
    unsafe { _mm512_maskz_loadu_epi8(wanted, text.as_ptr().cast()) }
}

/// A byte that is there, for texts that have none: zero, as all behind a text's end.
static NOTHING: [u8; 1] = [0];

/// Places that are written at once.
const WIDE_BATCH: usize = 16;

/// Comparisons give masks without further steps, and the places of a mask's bits are packed by one instruction,
/// without the branches that a loop over them needs.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq,avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn find_blanks_wide(text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
    let (quote, blank, newline) = (splat_wide(b'"'), splat_wide(b' '), splat_wide(b'\n'));
    let masks = |chunk: &Chunk| {
        let bytes = load_wide(chunk);
        Masks {
            quotes: _mm512_cmpeq_epi8_mask(bytes, quote),
            blanks: _mm512_cmpeq_epi8_mask(bytes, blank),
            newlines: _mm512_cmpeq_epi8_mask(bytes, newline),
        }
    };
    let numbers = numbers();
    let write = |places: &mut [u16], count: usize, blanks: u64, at: u16| {
        write_wide(places, count, blanks, at, numbers).or_else(|| write_blanks(places, count, blanks, at))
    };
    super::find_blanks(text, from, found, masks, |mask| prefix_xor(mask), write)
}

/// Writes the places of the set bits if there are no more than [`WIDE_BATCH`], and room for so many.
#[inline]
#[target_feature(enable = "avx2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn write_wide(places: &mut [u16], count: usize, bits: u64, at: u16, numbers: __m512i) -> Option<()> {
    if bits.count_ones() as usize > WIDE_BATCH {
        return None;
    }
    let packed = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(bits, numbers));
    let values = _mm256_add_epi16(_mm256_cvtepu8_epi16(packed), _mm256_set1_epi16(at.cast_signed()));
    store_wide(room::<WIDE_BATCH>(places, count)?, values);
    Some(())
}

/// The number of each byte of a chunk.
#[inline]
#[target_feature(enable = "avx512f")]
fn numbers() -> __m512i {
    _mm512_set_epi64(
        0x3f3e_3d3c_3b3a_3938,
        0x3736_3534_3332_3130,
        0x2f2e_2d2c_2b2a_2928,
        0x2726_2524_2322_2120,
        0x1f1e_1d1c_1b1a_1918,
        0x1716_1514_1312_1110,
        0x0f0e_0d0c_0b0a_0908,
        0x0706_0504_0302_0100,
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat_wide(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_wide(chunk: &Chunk) -> __m512i {
    // SAFETY: a chunk is 64 bytes; this load needs no alignment.
    unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn store_wide(places: &mut [u16; WIDE_BATCH], values: __m256i) {
    // SAFETY: the places are 32 bytes; this store needs no alignment.
    unsafe { _mm256_storeu_si256(places.as_mut_ptr().cast(), values) };
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
fn mark_line(text: &[u8], marks: &mut Marks) -> Option<usize> {
    let (quote, backslash, newline) = (splat(b'"'), splat(b'\\'), splat(b'\n'));
    let masks = |chunk: &Chunk| {
        let [low, high] = load(chunk);
        let marked =
            |lane| _mm256_or_si256(_mm256_cmpeq_epi8(lane, quote), _mm256_cmpeq_epi8(lane, backslash));
        LineMasks {
            marks: mask([marked(low), marked(high)]),
            newlines: equal([low, high], newline),
        }
    };
    super::mark_line(text, marks, masks, write_marks)
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq,avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn mark_line_wide(text: &[u8], marks: &mut Marks) -> Option<usize> {
    let (quote, backslash, newline) = (splat_wide(b'"'), splat_wide(b'\\'), splat_wide(b'\n'));
    let masks = |chunk: &Chunk| {
        let bytes = load_wide(chunk);
        LineMasks {
            marks: _mm512_cmpeq_epi8_mask(bytes, quote) | _mm512_cmpeq_epi8_mask(bytes, backslash),
            newlines: _mm512_cmpeq_epi8_mask(bytes, newline),
        }
    };
    let numbers = numbers();
    let write = |places: &mut [u16], count: usize, bits: u64, at: u16| {
        write_wide(places, count, bits, at, numbers).or_else(|| write_marks(places, count, bits, at))
    };
    super::mark_line(text, marks, masks, write)
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(chunk: &Chunk) -> [__m256i; 2] {
    let mut lanes = [splat(0); 2];
    for (lane, quarter) in lanes.iter_mut().zip(chunk.as_chunks::<32>().0) {
        let (words, _) = quarter.as_chunks::<8>();
        if let [a, b, c, d] = words {
            *lane = _mm256_set_epi64x(
                i64::from_le_bytes(*d),
                i64::from_le_bytes(*c),
                i64::from_le_bytes(*b),
                i64::from_le_bytes(*a),
            );
        }
    }
    lanes
}

/// Which bytes equal `byte`'s.
#[inline]
#[target_feature(enable = "avx2")]
fn equal([low, high]: [__m256i; 2], byte: __m256i) -> u64 {
    mask([_mm256_cmpeq_epi8(low, byte), _mm256_cmpeq_epi8(high, byte)])
}

#[inline]
#[target_feature(enable = "avx2")]
fn mask(equal: [__m256i; 2]) -> u64 {
    let [low, high] = equal;
    let bits = |lane| u64::from(_mm256_movemask_epi8(lane).cast_unsigned());
    bits(low) | bits(high) << 32
}

/// Bit `i` of the result is the parity of bits `0..=i`: a product without carries by all ones.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn prefix_xor(mask: u64) -> u64 {
    let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, mask.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
}
