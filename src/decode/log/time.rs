//! RFC 3339 times at the start of a text. A minute is parsed once: rows of one minute share its start.

use super::number::{all_digits, leading_digits};
use crate::units::Timestamp;

/// Bytes of `YYYY-MM-DDTHH:MM`.
const MINUTE_BYTES: usize = 16;
/// Bytes of `YYYY-MM-DDTHH:MM:SS.mmmZ`, the layout of Envoy's `START_TIME`.
pub(super) const MILLIS_BYTES: usize = 24;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// `:00.000Z` as a little-endian word, and which of its bytes are punctuation.
const SECONDS_LAYOUT: u64 = u64::from_le_bytes(*b":00.000Z");
const SECONDS_PUNCTUATION: u64 = u64::from_le_bytes([255, 0, 0, 255, 0, 0, 0, 255]);

/// A time at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimePrefix {
    /// Bytes that it takes, zone included.
    pub(super) len: usize,
    /// Its value; `None` where no such date exists or 64-bit nanoseconds cannot hold it.
    pub(super) value: Option<Timestamp>,
}

/// Why sixteen bytes are no minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotAMinute {
    Shape,
    NoSuchDate,
}

/// The last minute seen. It saves work and changes no result.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MinuteCache {
    text: [u8; MINUTE_BYTES],
    start_ns: i64,
}

impl MinuteCache {
    /// The time of exactly `YYYY-MM-DDTHH:MM:SS.mmmZ`; `None` for any other layout or no such date.
    #[expect(
        clippy::inline_always,
        reason = "one step of the row loop: constants of the layout are folded into it"
    )]
    #[inline(always)]
    pub(super) fn millis(&mut self, text: &[u8; MILLIS_BYTES]) -> Option<Timestamp> {
        let (minute, seconds) = text.split_first_chunk::<MINUTE_BYTES>()?;
        let word = u64::from_le_bytes(*seconds.first_chunk()?) ^ SECONDS_LAYOUT;
        // Punctuation must cancel out; a digit leaves its value.
        if word & SECONDS_PUNCTUATION != 0 || !all_digits(word) {
            return None;
        }
        let [_, s10, s1, _, ms100, ms10, ms1, _] = word.to_le_bytes();
        let s = i64::from(s10).wrapping_mul(10).wrapping_add(i64::from(s1));
        let ms = i64::from(ms100)
            .wrapping_mul(100)
            .wrapping_add(i64::from(ms10).wrapping_mul(10))
            .wrapping_add(i64::from(ms1));
        if s > 60 || minute.get(10) != Some(&b'T') {
            return None;
        }
        let in_minute = s.wrapping_mul(NS_PER_S).wrapping_add(ms.wrapping_mul(NS_PER_MS));
        self.start_ns(minute).ok()?.checked_add(in_minute).map(Timestamp)
    }

    /// The time at the start of `text` with `separator` between date and time of day, or `None` if the text
    /// does not start like one. Any number of fraction digits (those past nanoseconds are dropped); zone
    /// `Z`, `+HH:MM`, `+HHMM` or none, which means UTC.
    #[inline]
    pub(super) fn prefix(&mut self, text: &[u8], separator: u8) -> Option<TimePrefix> {
        let (minute, rest) = text.split_first_chunk::<MINUTE_BYTES>()?;
        if minute.get(10) != Some(&separator) {
            return None;
        }
        let [b':', s10, s1, rest @ ..] = rest else {
            return None;
        };
        let s = two_digits(*s10, *s1)?;
        let (nanos, rest) = fraction_ns(rest);
        let (offset_s, rest) = zone_s(rest);
        let start_ns = match self.start_ns(minute) {
            Ok(start_ns) => Some(start_ns),
            Err(NotAMinute::NoSuchDate) => None,
            Err(NotAMinute::Shape) => return None,
        };
        let in_minute = s
            .wrapping_sub(offset_s)
            .wrapping_mul(NS_PER_S)
            .wrapping_add(nanos);
        let value = start_ns
            .filter(|_| s <= 60)
            .and_then(|ns| ns.checked_add(in_minute))
            .map(Timestamp);
        Some(TimePrefix {
            len: text.len().saturating_sub(rest.len()),
            value,
        })
    }

    #[inline]
    fn start_ns(&mut self, minute: &[u8; MINUTE_BYTES]) -> Result<i64, NotAMinute> {
        if *minute != self.text {
            self.start_ns = parse_minute(minute)?;
            self.text = *minute;
        }
        Ok(self.start_ns)
    }
}

/// Whether `text` has the digits and marks of `YYYY-MM-DD` + `separator` + `HH:MM:SS` at its start.
#[inline]
pub(super) fn starts_like_time(text: &[u8], separator: u8) -> bool {
    let Some(head) = text.first_chunk::<19>() else {
        return false;
    };
    let ([date, day_and_hour], _) = head.as_chunks::<8>() else {
        return false;
    };
    let Some(time) = head.last_chunk::<8>() else {
        return false;
    };
    has_layout(*date, *b"0000-00-")
        && has_layout(
            *day_and_hour,
            [b'0', b'0', separator, b'0', b'0', b':', b'0', b'0'],
        )
        && has_layout(*time, *b"00:00:00")
}

/// Whether `text` has a digit where `layout` has `0`, and else the same bytes.
#[inline]
fn has_layout(text: [u8; 8], layout: [u8; 8]) -> bool {
    let digits = layout.map(|byte| if byte == b'0' { 0 } else { u8::MAX });
    let word = u64::from_le_bytes(text) ^ u64::from_le_bytes(layout);
    word & u64::from_le_bytes(digits) == 0 && all_digits(word)
}

#[cold]
fn parse_minute(text: &[u8; MINUTE_BYTES]) -> Result<i64, NotAMinute> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        _,
        h1,
        h2,
        b':',
        m1,
        m2,
    ] = *text
    else {
        return Err(NotAMinute::Shape);
    };
    let pair = |tens, ones| two_digits(tens, ones).ok_or(NotAMinute::Shape);
    let year = pair(y1, y2)?.wrapping_mul(100).wrapping_add(pair(y3, y4)?);
    let (month, day, hour, minute) = (pair(mo1, mo2)?, pair(d1, d2)?, pair(h1, h2)?, pair(m1, m2)?);
    let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let year = i32::try_from(year).unwrap_or(i32::MAX);
    Timestamp::from_civil(year, small(month), small(day), small(hour), small(minute), 0, 0)
        .map(|time| time.0)
        .ok_or(NotAMinute::NoSuchDate)
}

fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte & 0xf));
    Some(digit(tens)?.wrapping_mul(10).wrapping_add(digit(ones)?))
}

/// Nanoseconds of `.ddd`, and what follows. A dot without digits is no fraction.
#[inline]
fn fraction_ns(text: &[u8]) -> (i64, &[u8]) {
    const SCALES: [u64; 10] = [
        1_000_000_000,
        100_000_000,
        10_000_000,
        1_000_000,
        100_000,
        10_000,
        1000,
        100,
        10,
        1,
    ];
    let [b'.' | b',', digits @ ..] = text else {
        return (0, text);
    };
    let head = digits.first_chunk().copied().unwrap_or_else(|| padded(digits));
    let (mut sum, mut count) = leading_digits(head);
    if count == 8
        && let Some(ninth @ b'0'..=b'9') = digits.get(8)
    {
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(ninth & 0xf));
        count = 9;
    }
    let nanos = SCALES.get(count).map_or(0, |scale| sum.wrapping_mul(*scale));
    let rest = digits.get(count..).unwrap_or_default();
    let past = if count == 9 {
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    } else {
        0
    };
    match count {
        0 => (0, text),
        _ => (
            i64::try_from(nanos).unwrap_or(0),
            rest.get(past..).unwrap_or_default(),
        ),
    }
}

/// The bytes of a text of less than eight, and zeros, which are no digits.
fn padded(text: &[u8]) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (byte, given) in bytes.iter_mut().zip(text) {
        *byte = *given;
    }
    bytes
}

/// Seconds east of Greenwich of a zone, and what follows.
fn zone_s(text: &[u8]) -> (i64, &[u8]) {
    let (sign, h10, h1, m10, m1, rest) = match text {
        [b'Z' | b'z', rest @ ..] => return (0, rest),
        [sign @ (b'+' | b'-'), h10, h1, b':', m10, m1, rest @ ..]
        | [sign @ (b'+' | b'-'), h10, h1, m10, m1, rest @ ..] => (sign, h10, h1, m10, m1, rest),
        _ => return (0, text),
    };
    let (Some(hours), Some(minutes)) = (two_digits(*h10, *h1), two_digits(*m10, *m1)) else {
        return (0, text);
    };
    let east = hours.wrapping_mul(3600).wrapping_add(minutes.wrapping_mul(60));
    (if *sign == b'-' { east.wrapping_neg() } else { east }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Option<(usize, Option<String>)> {
        let found = MinuteCache::default().prefix(text.as_bytes(), b'T')?;
        Some((found.len, found.value.map(|time| time.to_string())))
    }

    #[test]
    fn layouts() {
        let cases = [
            ("2026-11-22T16:50:43.147Z", 24, "2026-11-22T16:50:43.147000Z"),
            (
                "2026-11-22T16:50:40.687252Z\twarning",
                27,
                "2026-11-22T16:50:40.687252Z",
            ),
            (
                "2026-11-22T16:49:47.206049254Z stdout",
                30,
                "2026-11-22T16:49:47.206049254Z",
            ),
            (
                "2026-11-22T16:49:47.2060492549Z",
                31,
                "2026-11-22T16:49:47.206049254Z",
            ),
            ("2026-11-22T16:49:47Z", 20, "2026-11-22T16:49:47.000000Z"),
            ("2026-11-22T16:49:47.5+02:00 x", 27, "2026-11-22T14:49:47.500000Z"),
            ("2026-11-22T16:49:47-0130", 24, "2026-11-22T18:19:47.000000Z"),
            ("2026-11-22T16:49:47.1", 21, "2026-11-22T16:49:47.100000Z"),
            ("2016-12-31T23:59:60.500Z", 24, "2017-01-01T00:00:00.500000Z"),
        ];
        for (text, len, time) in cases {
            assert_eq!(prefix(text), Some((len, Some(time.to_owned()))), "{text}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_keep_their_length() {
        for text in [
            "2026-02-30T16:50:43.147Z",
            "2026-11-22T24:00:00.000Z",
            "2026-11-22T16:50:61.000Z",
            "9999-01-01T00:00:00.000Z",
        ] {
            assert_eq!(prefix(text), Some((24, None)), "{text}");
            assert_eq!(
                MinuteCache::default().millis(text.as_bytes().try_into().unwrap()),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 16:50:43",
            "2026-1a-22T16:50:43Z",
            "2026-11-22T16:50",
            "2026-11-22T16:50:4",
        ] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }

    #[test]
    fn the_cache_changes_nothing() {
        let mut cache = MinuteCache::default();
        let times = [
            "2026-11-22T16:50:43.147Z",
            "2026-11-22T16:50:44.001Z",
            "2026-02-30T16:50:43.147Z",
            "2026-11-22T16:50:45.999Z",
            "2026-11-22T16:51:00.000Z",
        ];
        for text in times {
            let fresh = MinuteCache::default()
                .prefix(text.as_bytes(), b'T')
                .unwrap()
                .value;
            assert_eq!(cache.millis(text.as_bytes().try_into().unwrap()), fresh, "{text}");
            assert_eq!(
                cache.prefix(text.as_bytes(), b'T').unwrap().value,
                fresh,
                "{text}"
            );
        }
    }

    #[test]
    fn like_time_needs_every_mark() {
        let text = b"2026-11-22T16:50:43.147Z";
        assert!(starts_like_time(text, b'T') && !starts_like_time(text, b' '));
        for place in 0..19 {
            let mut broken = text.to_vec();
            broken[place] = b'x';
            assert!(!starts_like_time(&broken, b'T'), "{place}");
            assert!(!starts_like_time(&text[..place], b'T'), "{place}");
        }
    }
}
