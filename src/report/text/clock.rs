//! Times as people read them, with as much of the date and as fine as the window of the data asks for.

use crate::report::model::Window;
use crate::units::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Windows shorter than this are told in milliseconds.
const FINE_MS: i64 = 10_000;

/// Decides once for a report how its times are written.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct Clock {
    dated: bool,
    fine: bool,
}

impl Clock {
    /// For the times inside `window`.
    pub(in crate::report) fn new(window: &Window) -> Self {
        match (window.start, window.end) {
            (Some(start), Some(end)) => Self {
                dated: date(start) != date(end),
                fine: end.millis_since(start) < FINE_MS,
            },
            _ => Self {
                dated: true,
                fine: false,
            },
        }
    }

    /// `03:02:11`, with the day before it where the window has several.
    pub(in crate::report) fn time(self, t: Timestamp) -> String {
        if self.dated {
            format!("{} {}", day(t), self.of_day(t))
        } else {
            self.of_day(t)
        }
    }

    /// `2 Nov 2026 02:41:07 – 03:28:55 UTC`.
    pub(in crate::report) fn window(self, start: Timestamp, end: Timestamp) -> String {
        let last = if self.dated {
            format!("{} {}", date(end), self.of_day(end))
        } else {
            self.of_day(end)
        };
        format!("{} {} – {last} UTC", date(start), self.of_day(start))
    }

    fn of_day(self, t: Timestamp) -> String {
        // `Timestamp` prints a fixed layout: 2026-11-02T03:12:44.120431Z.
        t.to_string()
            .get(11..if self.fine { 23 } else { 19 })
            .unwrap_or("?")
            .to_owned()
    }
}

/// `2 Nov 2026`.
pub(in crate::report) fn date(t: Timestamp) -> String {
    format!("{} {}", day(t), t.to_string().get(..4).unwrap_or("?"))
}

/// `2 Nov`.
fn day(t: Timestamp) -> String {
    let text = t.to_string();
    let number = |range| {
        text.get(range)
            .and_then(|digits: &str| digits.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let month = MONTHS.get(number(5..7).wrapping_sub(1)).unwrap_or(&"?");
    format!("{} {month}", number(8..10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32, hour: u32, second: u32) -> Timestamp {
        Timestamp::from_civil(2026, 11, day, hour, 2, second, 120_000_000).unwrap()
    }

    #[test]
    fn dates_only_where_there_are_several() {
        let one_day = Clock::new(&Window {
            start: Some(at(2, 2, 0)),
            end: Some(at(2, 3, 9)),
        });
        assert_eq!(one_day.time(at(2, 3, 9)), "03:02:09");
        assert_eq!(
            one_day.window(at(2, 2, 0), at(2, 3, 9)),
            "2 Nov 2026 02:02:00 – 03:02:09 UTC"
        );
        let two = Clock::new(&Window {
            start: Some(at(2, 23, 0)),
            end: Some(at(3, 0, 0)),
        });
        assert_eq!(two.time(at(3, 0, 0)), "3 Nov 00:02:00");
        assert_eq!(
            two.window(at(2, 23, 0), at(3, 0, 0)),
            "2 Nov 2026 23:02:00 – 3 Nov 2026 00:02:00 UTC"
        );
    }

    #[test]
    fn short_windows_are_fine() {
        let clock = Clock::new(&Window {
            start: Some(at(2, 2, 0)),
            end: Some(at(2, 2, 3)),
        });
        assert_eq!(clock.time(at(2, 2, 1)), "02:02:01.120");
    }
}
