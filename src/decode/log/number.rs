//! Numbers of log lines: eight digits at a time, and what may stand for a number in JSON.

#![expect(
    clippy::inline_always,
    reason = "a step of a hot loop, which the compiler leaves a call: 4 % of the time of text rows"
)]

use super::Reject;

const DIGIT_ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Whether each byte of `word` is a digit's value, 0 to 9.
#[inline]
pub(super) fn all_digits(word: u64) -> bool {
    // Adding 0x76 takes 10..=0x7f past the sign bit; the word itself tells of bytes that have it already.
    // A carry comes only from a byte that fails anyway.
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080 == 0
}

/// The top bit of each byte of text that is no decimal digit.
#[inline(always)]
pub(super) fn other_than_digits(text: u64) -> u64 {
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // A digit is what lies within ten steps from `0`; bytes beyond ASCII are told by their own top bit.
    let from_zero = text ^ DIGIT_ZEROS;
    ((from_zero & !TOPS).wrapping_add(0x7676_7676_7676_7676) | text) & TOPS
}

/// The number that eight digit values make, the first one in the lowest byte.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let pairs = word.wrapping_mul(2561) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(6_553_601) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// The number of `text`, if it is one to eight digits and at least eight bytes end with it.
///
/// `before` are the eight bytes that end where the number ends, so that no branch depends on its length.
#[inline(always)]
pub(super) fn short_decimal(before: [u8; 8], len: usize) -> Option<u64> {
    if len.wrapping_sub(1) >= 8 {
        return None;
    }
    let others = 8_usize.wrapping_sub(len).wrapping_mul(8);
    let word =
        (u64::from_le_bytes(before) ^ DIGIT_ZEROS) & u64::MAX.checked_shl(u32::try_from(others).ok()?)?;
    all_digits(word).then(|| eight_digits(word))
}

/// The digits at the start of eight bytes: their number and how many they are.
#[inline(always)]
pub(super) fn leading_digits(text: [u8; 8]) -> (u64, usize) {
    let word = u64::from_le_bytes(text) ^ DIGIT_ZEROS;
    // The lowest byte that is no digit is marked right; carries reach only those above it.
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let bits = others.trailing_zeros() & !7;
    (
        eight_digits(word.checked_shl(64_u32.wrapping_sub(bits)).unwrap_or(0)),
        (bits / 8) as usize,
    )
}

/// A whole number of decimal digits.
///
/// # Errors
/// [`Reject::Number`] past 64 bits, [`Reject::AccessShape`] if it is empty or has another character.
#[inline]
pub(super) fn decimal(text: &[u8]) -> Result<u64, Reject> {
    let mut sum = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Reject::AccessShape);
        }
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    match text.len() {
        0 => Err(Reject::AccessShape),
        // Nineteen digits always fit.
        1..=19 => Ok(sum),
        _ => long_decimal(text),
    }
}

#[cold]
fn long_decimal(digits: &[u8]) -> Result<u64, Reject> {
    let add = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte & 0xf));
    digits.iter().try_fold(0, add).ok_or(Reject::Number)
}

/// A number as JSON has it: `200`, `200.0`, `1e+06`. A fraction is cut off.
///
/// # Errors
/// [`Reject::Number`] past 64 bits, [`Reject::AccessShape`] if it is negative or no number.
pub(super) fn json_number(text: &[u8]) -> Result<u64, Reject> {
    match decimal(text) {
        Err(Reject::AccessShape) => float(text),
        whole => whole,
    }
}

fn float(text: &[u8]) -> Result<u64, Reject> {
    let number: f64 = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.starts_with(|first: char| first.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(Reject::AccessShape)?;
    // 2^64 itself is past the range; every float below it fits.
    if number >= 18_446_744_073_709_551_616.0 {
        return Err(Reject::Number);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= number < 2^64; the fraction is cut off"
    )]
    Ok(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"0"), Ok(0));
        assert_eq!(decimal(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), Err(Reject::Number));
        assert_eq!(decimal(&[b'9'; 400]), Err(Reject::Number));
        for text in ["", "-", "-1", "+1", "1.0", "1 ", "0x1"] {
            assert_eq!(decimal(text.as_bytes()), Err(Reject::AccessShape), "{text}");
        }
    }

    #[test]
    fn json_numbers() {
        let cases = [
            ("200.0", Ok(200)),
            ("1e+06", Ok(1_000_000)),
            ("1.5e1", Ok(15)),
            ("0.9", Ok(0)),
            ("2e19", Err(Reject::Number)),
            ("1e999", Err(Reject::Number)),
        ];
        for (text, number) in cases {
            assert_eq!(json_number(text.as_bytes()), number, "{text}");
        }
        for text in ["-1", "", "inf", "NaN", "1e", ".5", "1\u{e9}"] {
            assert_eq!(json_number(text.as_bytes()), Err(Reject::AccessShape), "{text}");
        }
    }

    fn short(text: &[u8]) -> Option<u64> {
        let mut padded = vec![b'x'; 8];
        padded.extend_from_slice(text);
        short_decimal(*padded.last_chunk().unwrap(), text.len())
    }

    proptest! {
        #[test]
        fn short_agrees_with_plain(text in "[0-9]{0,10}|[ -~]{0,9}") {
            let plain = if text.len() <= 8 { decimal(text.as_bytes()).ok() } else { None };
            prop_assert_eq!(short(text.as_bytes()), plain);
        }

        #[test]
        fn leading_digits_agree_with_plain(text in "[0-9]{0,8}[ -~]{8}") {
            let head: [u8; 8] = *text.as_bytes().first_chunk().unwrap();
            let count = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = decimal(&head[..count]).unwrap_or(0);
            prop_assert_eq!(leading_digits(head), (number, count));
        }

        #[test]
        fn bytes_that_are_no_digits(bytes: [u8; 8], digits in "[0-9/:]{8}") {
            for bytes in [bytes, *digits.as_bytes().first_chunk().unwrap()] {
                let expected = bytes.map(|byte| if byte.is_ascii_digit() { 0 } else { 0x80 });
                prop_assert_eq!(other_than_digits(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
            }
        }

        #[test]
        fn digits_of_any_word(bytes: [u8; 8]) {
            prop_assert_eq!(all_digits(u64::from_le_bytes(bytes)), bytes.iter().all(|byte| *byte <= 9));
        }
    }
}
