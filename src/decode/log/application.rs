//! Lines of an application's own log: when, and whether it speaks of an error. Applications log as they like; what is told here
//! is what most of them have in common.

use super::time::MinuteCache;
use crate::units::Timestamp;
use memchr::memmem;

/// What a line of an application says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationLine {
    /// The time at its beginning.
    pub time: Option<Timestamp>,
    /// True if it speaks of an error.
    pub error: bool,
}

/// Words in capitals that name a level from error on, as words of their own.
const LEVELS: [&[u8]; 6] = [b"ERROR", b"FATAL", b"CRITICAL", b"SEVERE", b"PANIC", b"CRIT"];

/// Other ways to say so: logfmt, Go, Python, Java.
const TEXTS: [&[u8]; 8] = [
    b"level=error",
    b"level=fatal",
    b"level=critical",
    b"panic: ",
    b"fatal error: ",
    b"Traceback (most recent call last)",
    b"Exception: ",
    b"Exception in thread ",
];

/// Reads a line.
pub fn application_line(line: &[u8]) -> ApplicationLine {
    let text = line.strip_prefix(b"[").unwrap_or(line);
    let mut minutes = MinuteCache::default();
    let time = [b'T', b' ']
        .into_iter()
        .find_map(|mark| minutes.prefix(text, mark));
    ApplicationLine {
        time: time.and_then(|time| time.value),
        error: speaks_of_error(line),
    }
}

fn speaks_of_error(line: &[u8]) -> bool {
    let names_level = |word: &[u8]| {
        memmem::find_iter(line, word).any(|at| {
            let before = at.checked_sub(1).and_then(|before| line.get(before));
            let after = at.checked_add(word.len()).and_then(|after| line.get(after));
            let of_word =
                |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            !of_word(before) && !of_word(after)
        })
    };
    LEVELS.iter().any(|word| names_level(word)) || TEXTS.iter().any(|text| memmem::find(line, text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, time, error) in [
            ("2026-11-02T03:12:44.120Z could not connect", true, false),
            (
                "2026-11-02 03:12:44,120 ERROR [main] c.s.Ratings - failed",
                true,
                true,
            ),
            (
                "[2026-11-02 03:12:44 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)",
                true,
                true,
            ),
            ("time=x level=error msg=\"no route\"", false, true),
            ("java.lang.IllegalStateException: pool is closed", false, true),
            ("Traceback (most recent call last):", false, true),
            ("0 ERRORS, MY_ERROR_CODE=0", false, false),
            ("2026-13-02T03:12:44Z late", false, false),
            ("", false, false),
        ] {
            let found = application_line(line.as_bytes());
            assert_eq!((found.time.is_some(), found.error), (time, error), "{line}");
        }
    }
}
