//! The kernels for processors with AVX2: 32 bytes a comparison.
//!
//! All `unsafe` of this crate stands here: two calls of functions that are compiled for more than the
//! baseline. They are made through [`Detected`] only, which exists only where the processor was asked.
#![expect(
    unsafe_code,
    reason = "calls into code for a processor that only the running program knows"
)]

use super::{Blanks, Chunk, Marks, Masks};
use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8,
};

/// Proof that this processor has all that the kernels are compiled for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Detected(());

impl Detected {
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
        // SAFETY: a `Detected` is made only after the processor said that it has these features.
        unsafe { find_blanks(text, from, found) }
    }

    #[expect(
        clippy::unused_self,
        reason = "having it is the proof that makes the call sound"
    )]
    #[inline]
    pub(super) fn mark_quotes(self, line: &[u8], marks: &mut Marks) -> bool {
        // SAFETY: a `Detected` is made only after the processor said that it has these features.
        unsafe { mark_quotes(line, marks) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
fn find_blanks(text: &[u8], from: usize, found: &mut Blanks) -> Option<()> {
    let wanted = [b'"', b' ', b'\n'].map(|byte| splat(byte));
    let masks = |chunk: &Chunk| {
        let lanes = load(chunk);
        let [quotes, blanks, newlines] =
            wanted.map(|byte| mask(lanes.map(|lane| _mm256_cmpeq_epi8(lane, byte))));
        Masks {
            quotes,
            blanks,
            newlines,
        }
    };
    super::find_blanks(text, from, found, masks, |mask| prefix_xor(mask))
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
fn mark_quotes(line: &[u8], marks: &mut Marks) -> bool {
    let (quote, backslash) = (splat(b'"'), splat(b'\\'));
    super::mark_quotes(line, marks, |chunk| {
        mask(
            load(chunk).map(|lane| {
                _mm256_or_si256(_mm256_cmpeq_epi8(lane, quote), _mm256_cmpeq_epi8(lane, backslash))
            }),
        )
    })
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

#[inline]
#[target_feature(enable = "avx2")]
fn mask(equal: [__m256i; 2]) -> u64 {
    let [low, high] = equal.map(|lane| u64::from(_mm256_movemask_epi8(lane).cast_unsigned()));
    low | high << 32
}

/// Bit `i` of the result is the parity of bits `0..=i`: a product without carries by all ones.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn prefix_xor(mask: u64) -> u64 {
    let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, mask.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
}
