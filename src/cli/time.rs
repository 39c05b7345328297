//! Times as people type them.

use crate::options::TimeBound;
use crate::units::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

const EXPECTED: &str = "expected 2026-11-02T03:00:00Z, 2026-11-02, or 03:00 (of the data's day, UTC)";

/// A time as typed: a date alone means its start or its end, by the option it stands after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypedTime {
    /// One moment, or a time of the day.
    Moment(TimeBound),
    /// A whole day (UTC): its first and its last nanosecond.
    Day(Timestamp, Timestamp),
}

impl TypedTime {
    /// The bound when it is the first time that is kept.
    pub(super) fn as_since(self) -> TimeBound {
        match self {
            Self::Moment(bound) => bound,
            Self::Day(first, _) => TimeBound::At(first),
        }
    }

    /// The bound when it is the last time that is kept.
    pub(super) fn as_until(self) -> TimeBound {
        match self {
            Self::Moment(bound) => bound,
            Self::Day(_, last) => TimeBound::At(last),
        }
    }
}

/// A span as typed: both ends as after `--since` and `--until`, either may be left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypedSpan {
    /// The first time that is kept.
    pub(super) since: Option<TypedTime>,
    /// The last time that is kept.
    pub(super) until: Option<TypedTime>,
}

/// Reads `START..END`, `START..` or `..END`.
pub(super) fn parse_span(text: &str) -> Result<TypedSpan, String> {
    let (start, end) = text
        .split_once("..")
        .ok_or("expected START..END, such as 03:00..03:30 or 2026-11-02T03:00:00Z..2026-11-02T03:30:00Z")?;
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        text => parse_time(text).map(Some),
    };
    let span = TypedSpan {
        since: bound(start)?,
        until: bound(end)?,
    };
    match span {
        TypedSpan {
            since: None,
            until: None,
        } => Err("a span needs a start or an end".to_owned()),
        span => Ok(span),
    }
}

/// As it may be typed.
impl std::fmt::Display for TypedSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let write = |bound: Option<TimeBound>| match bound {
            None => String::new(),
            Some(TimeBound::At(time)) => time.to_string(),
            Some(TimeBound::TimeOfDay(ns)) => {
                // Prints a fixed layout: 1970-01-01T03:12:44.120431Z.
                Timestamp(ns)
                    .to_string()
                    .get(11..19)
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        let since = write(self.since.map(TypedTime::as_since));
        let until = write(self.until.map(TypedTime::as_until));
        write!(f, "{since}..{until}")
    }
}

/// Reads RFC 3339 with any offset, the same without an offset (UTC), a date alone, or a time of the day.
pub(super) fn parse_time(text: &str) -> Result<TypedTime, String> {
    time_of_day(text)
        .or_else(|| day(text))
        .or_else(|| moment(text))
        .ok_or_else(|| EXPECTED.to_owned())
}

fn time_of_day(text: &str) -> Option<TypedTime> {
    // Anything jiff would also read as a time (`T03`, `0302`) is too easily meant otherwise.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 2 || text.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let time: Time = text.parse().ok()?;
    let midnight = Time::midnight();
    let ns = (time - midnight).total(jiff::Unit::Nanosecond).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a day has fewer nanoseconds than 2^53"
    )]
    Some(TypedTime::Moment(TimeBound::TimeOfDay(ns as i64)))
}

fn day(text: &str) -> Option<TypedTime> {
    if text.len() != "2026-11-02".len() {
        return None;
    }
    let date: Date = text.parse().ok()?;
    let first = utc(date.at(0, 0, 0, 0))?;
    let last = utc(date.at(23, 59, 59, 999_999_999))?;
    Some(TypedTime::Day(first, last))
}

fn moment(text: &str) -> Option<TypedTime> {
    let exact = text.parse::<jiff::Timestamp>().ok().and_then(timestamp);
    // Without an offset the data's own zone is meant, which is UTC.
    let zoneless = || text.parse::<DateTime>().ok().and_then(utc);
    exact
        .or_else(zoneless)
        .map(|at| TypedTime::Moment(TimeBound::At(at)))
}

fn utc(time: DateTime) -> Option<Timestamp> {
    timestamp(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn timestamp(time: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32, minute: u32, second: u32, nanos: u32) -> TimeBound {
        TimeBound::At(Timestamp::from_civil(2026, 11, 2, hour, minute, second, nanos).unwrap())
    }

    #[test]
    fn what_people_type() {
        for (text, since, until) in [
            ("2026-11-02T03:02:04Z", at(3, 2, 4, 0), at(3, 2, 4, 0)),
            (
                "2026-11-02T03:02:04.5+01:00",
                at(2, 2, 4, 500_000_000),
                at(2, 2, 4, 500_000_000),
            ),
            ("2026-11-02T03:02", at(3, 2, 0, 0), at(3, 2, 0, 0)),
            ("2026-11-02 03:02:04", at(3, 2, 4, 0), at(3, 2, 4, 0)),
            ("2026-11-02", at(0, 0, 0, 0), at(23, 59, 59, 999_999_999)),
            (
                "03:02",
                TimeBound::TimeOfDay(10_920_000_000_000),
                TimeBound::TimeOfDay(10_920_000_000_000),
            ),
            (
                "03:02:04",
                TimeBound::TimeOfDay(10_924_000_000_000),
                TimeBound::TimeOfDay(10_924_000_000_000),
            ),
            ("00:00", TimeBound::TimeOfDay(0), TimeBound::TimeOfDay(0)),
        ] {
            let typed = parse_time(text).unwrap();
            assert_eq!((typed.as_since(), typed.as_until()), (since, until), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "3:02",
            "24:00",
            "03:60",
            "2026-02-30",
            "2026-11-02T25:00:00Z",
            "0302",
            "9999-01-01",
        ] {
            assert_eq!(parse_time(text), Err(EXPECTED.to_owned()), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, shown) in [
            ("03:00..03:30", "03:00:00..03:30:00"),
            ("03:00..", "03:00:00.."),
            ("..03:30", "..03:30:00"),
            (
                "2026-11-02T03:00:00Z..2026-11-02T04:00+01:00",
                "2026-11-02T03:00:00.000000Z..2026-11-02T03:00:00.000000Z",
            ),
            (
                "2026-11-02..2026-11-02",
                "2026-11-02T00:00:00.000000Z..2026-11-02T23:59:59.999999999Z",
            ),
        ] {
            assert_eq!(
                parse_span(text).map(|span| span.to_string()),
                Ok(shown.to_owned())
            );
        }
        for text in ["", "..", "03:00", "03:00-03:30", "03:00..x", "1..2..3"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_span_or_is_refused(text in proptest::prelude::any::<String>(), a in 0_u32..86_400, b in 0_u32..86_400) {
            let _ = parse_span(&text);
            let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
            let typed = format!("{}..{}", clock(a), clock(b));
            proptest::prop_assert_eq!(parse_span(&typed).unwrap().to_string(), typed);
        }
    }
}
