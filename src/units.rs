//! The small types that every stage shares: points in time, places in an input, identifiers.
//!
//! Nothing here knows a format beyond RFC 3339 text.

use serde::{Serialize, Serializer};
use std::fmt;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z (years 1678 to 2261).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
const S_PER_DAY: i64 = 86_400;

impl Timestamp {
    /// From whole milliseconds since the epoch; saturates at the ends of the range.
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(NS_PER_MS))
    }

    /// From whole seconds since the epoch; saturates at the ends of the range.
    pub fn from_secs(s: i64) -> Self {
        Self(s.saturating_mul(NS_PER_S))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(NS_PER_S)
    }

    /// This time plus `ms` milliseconds; saturates.
    #[must_use]
    pub fn plus_millis(self, ms: u64) -> Self {
        let ns = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS);
        Self(self.0.saturating_add(ns))
    }

    /// This time less `ms` milliseconds, saturating.
    #[must_use]
    pub fn minus_millis(self, ms: u64) -> Self {
        let ns = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS);
        Self(self.0.saturating_sub(ns))
    }

    /// Milliseconds from `earlier` to this time (negative if it is later), rounded down.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(NS_PER_MS)
    }

    /// The time of a proleptic Gregorian date and time of day in UTC, or `None` where no such date exists.
    ///
    /// Leap seconds (`:60`) are accepted and counted as the following second, as POSIX time does.
    pub fn from_civil(
        year: i32,
        month: u32,
        day: u32,
        hour: u32,
        minute: u32,
        second: u32,
        nanos: u32,
    ) -> Option<Self> {
        if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 || nanos > 999_999_999 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        let s = days * S_PER_DAY + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        s.checked_mul(NS_PER_S)?.checked_add(i64::from(nanos)).map(Self)
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Civil date of days since 1970-01-01; the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// RFC 3339 in UTC with microseconds, or nanoseconds where the time has them.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.secs();
        let nanos = self.0.rem_euclid(NS_PER_S);
        let (year, month, day) = civil_from_days(s.div_euclid(S_PER_DAY));
        let of_day = s.rem_euclid(S_PER_DAY);
        let (h, m, sec) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{sec:02}.")?;
        if nanos % 1000 == 0 {
            write!(f, "{:06}Z", nanos / 1000)
        } else {
            write!(f, "{nanos:09}Z")
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time",
            "description": "RFC 3339 in UTC with microseconds, or nanoseconds where the input has them" })
    }
}

/// The number of an input: its place in the sorted order of all inputs, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct InputId(pub u32);

/// A place in an input, in the order in which places are preferred as examples: input first, then offset.
///
/// While blocks are in flight only the block's number and the line inside it are known; the line number in
/// the file is settled when all blocks of the input have been counted (see `aggregate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which input.
    pub input: InputId,
    /// Bytes from the start of the (decompressed) input to the start of the line.
    pub offset_bytes: u64,
    /// Number of the block that held the line, from 0 in its input.
    pub block: u32,
    /// Lines before it in that block.
    pub line_in_block: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_round_trip_and_display() {
        let t = Timestamp::from_civil(2026, 11, 2, 3, 12, 44, 120_431_000).unwrap();
        assert_eq!(t.to_string(), "2026-11-02T03:12:44.120431Z");
        assert_eq!(Timestamp::from_civil(1970, 1, 1, 0, 0, 0, 0).unwrap().0, 0);
        assert_eq!(
            Timestamp::from_civil(1969, 12, 31, 23, 59, 59, 5)
                .unwrap()
                .to_string(),
            "1969-12-31T23:59:59.000000005Z"
        );
        assert_eq!(
            Timestamp::from_civil(2024, 2, 29, 0, 0, 0, 0)
                .unwrap()
                .to_string(),
            "2024-02-29T00:00:00.000000Z"
        );
    }

    #[test]
    fn dates_that_do_not_exist() {
        assert!(Timestamp::from_civil(2026, 2, 29, 0, 0, 0, 0).is_none());
        assert!(Timestamp::from_civil(2026, 13, 1, 0, 0, 0, 0).is_none());
        assert!(Timestamp::from_civil(2026, 0, 1, 0, 0, 0, 0).is_none());
        assert!(Timestamp::from_civil(2026, 1, 1, 24, 0, 0, 0).is_none());
        assert!(
            Timestamp::from_civil(9999, 1, 1, 0, 0, 0, 0).is_none(),
            "past the range of 64-bit nanoseconds"
        );
    }
}
