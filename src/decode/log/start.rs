//! What a text starts like. The same answer decides where a block may be cut and how a line is read, so that
//! a line at which a block may begin is never read by what stood before it.

use super::Level;
use super::time::starts_like_time;
use memchr::{memchr, memmem};

/// How a text that begins a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// `[<START_TIME>] "`, or as far as a cut line goes; of Istio 1.0 also `[<START_TIME>] <flags> <number>`.
    Access,
    /// The request and code of an access row without its time, as people cut them out.
    CroppedAccess,
    /// `[YYYY-MM-DD HH:MM:SS.mmm][`, also behind `[Envoy (Epoch N)] `.
    Bracket,
    /// `<RFC 3339> <level>`, tabs or spaces between.
    Timed,
    /// `{"`.
    Json,
}

/// A time in brackets with nanoseconds and zone is shorter than this.
const MAX_BRACKET_BYTES: usize = 40;

/// How `text` begins, if it begins a record; none of them depends on what stands before.
pub(super) fn start_of(text: &[u8]) -> Option<Start> {
    match text {
        [b'[', rest @ ..] if starts_like_time(rest, b'T') => access(rest),
        [b'[', rest @ ..] if starts_like_time(rest, b' ') => bracket(rest),
        [b'[', rest @ ..] if rest.starts_with(b"Envoy (Epoch ") => Some(Start::Bracket),
        [b'{', rest @ ..] => rest.trim_ascii_start().starts_with(b"\"").then_some(Start::Json),
        [b'"', rest @ ..] => cropped(rest),
        [b'0'..=b'9', ..] if starts_like_time(text, b'T') => timed(text),
        _ => None,
    }
}

/// Whether a piece of a line begins a record whatever the pieces after it hold.
pub(super) fn piece_starts(text: &[u8]) -> bool {
    match start_of(text) {
        None => false,
        Some(Start::CroppedAccess | Start::Bracket | Start::Json) => true,
        // What follows the time decides; as far as the text goes it may be cut off.
        Some(Start::Access) => bracket_end(text).is_some_and(|end| text.len() > end.saturating_add(2)),
        // The level may be the beginning of a longer word.
        Some(Start::Timed) => text
            .get(19..)
            .and_then(|after| level_after(after.get(after.iter().position(|byte| is_blank(*byte))?..)?))
            .is_some_and(|(_, rest)| !rest.is_empty()),
    }
}

fn bracket_end(text: &[u8]) -> Option<usize> {
    memchr(b']', text.get(..MAX_BRACKET_BYTES).unwrap_or(text))
}

fn access(after_bracket: &[u8]) -> Option<Start> {
    let Some(end) = bracket_end(after_bracket) else {
        return (after_bracket.len() < MAX_BRACKET_BYTES).then_some(Start::Access);
    };
    match after_bracket.get(end..)? {
        [b']'] | [b']', b' '] | [b']', b' ', b'"', ..] => Some(Start::Access),
        [b']', b' ', rest @ ..] => old_tcp(rest).then_some(Start::Access),
        _ => None,
    }
}

/// Response flags, then a number.
fn old_tcp(text: &[u8]) -> bool {
    let flags = text
        .iter()
        .take_while(|byte| matches!(byte, b'A'..=b'Z' | b',' | b'-'))
        .count();
    flags > 0 && matches!(text.get(flags..), Some([b' ', b'0'..=b'9', ..]))
}

fn bracket(after_bracket: &[u8]) -> Option<Start> {
    let end = bracket_end(after_bracket)?;
    after_bracket
        .get(end..)?
        .starts_with(b"][")
        .then_some(Start::Bracket)
}

/// `GET /path HTTP/1.1" 503 `.
fn cropped(after_quote: &[u8]) -> Option<Start> {
    let method = after_quote
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let protocol = memmem::find(after_quote, b" HTTP/")?;
    let rest = after_quote.get(protocol.checked_add(6)?..)?;
    let version = rest
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'.'))
        .count();
    let code = rest.get(version..)?.strip_prefix(b"\" ")?;
    let digits = code.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ended = matches!(code.get(digits), Some(b' '));
    (method > 0 && method <= protocol && (1..=3).contains(&digits) && ended).then_some(Start::CroppedAccess)
}

fn timed(text: &[u8]) -> Option<Start> {
    let after = text.get(19..)?;
    let zone = after.iter().take_while(|byte| !is_blank(**byte)).count();
    level_after(after.get(zone..)?).map(|_| Start::Timed)
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The level after a run of blanks, and what follows it: blanks, or nothing.
pub(super) fn level_after(text: &[u8]) -> Option<(Level, &[u8])> {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    let word = text.get(blanks..).filter(|_| blanks > 0)?;
    let len = word.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, rest) = word.split_at_checked(len)?;
    let ended = rest.first().is_none_or(|byte| is_blank(*byte));
    level(word).filter(|_| ended).map(|level| (level, rest))
}

/// A level by its name as Envoy, Istio's Go programs, their JSON or ztunnel print it.
pub(super) fn level(word: &[u8]) -> Option<Level> {
    match word {
        b"debug" => Some(Level::Debug),
        b"info" => Some(Level::Info),
        b"trace" => Some(Level::Trace),
        b"warning" | b"warn" | b"WARN" => Some(Level::Warning),
        b"error" => Some(Level::Error),
        b"critical" | b"fatal" | b"FATAL" => Some(Level::Critical),
        other => Level::ALL
            .into_iter()
            .find(|level| other.eq_ignore_ascii_case(level.name().as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_decide_and_pieces_that_do_not() {
        let cases: &[(&str, bool)] = &[
            ("[2026-11-22T16:50:43.147Z] \"", true),
            ("[2026-11-22T16:50:43.147Z] - 0 0 3", true),
            ("[2026-11-22T16:50:43.147Z] ", false),
            ("[2026-11-22T16:50:43.147Z]", false),
            ("[2026-11-22T16:50:43.1", false),
            ("2026-11-22T16:50:43.147Z\tinfo\t", true),
            ("2026-11-22T16:50:43.147Z info", false),
            ("[2024-05-04 09:59:05.028][", true),
            ("{ \"", true),
            ("  at x", false),
        ];
        for (piece, decides) in cases {
            assert_eq!(piece_starts(piece.as_bytes()), *decides, "{piece}");
            // What is said to decide does so before any rest.
            for rest in ["", "x", " x", "\" x", "rmation", "][x", "] x"] {
                let whole = format!("{piece}{rest}");
                assert!(
                    !decides || start_of(whole.as_bytes()) == start_of(piece.as_bytes()),
                    "{whole}"
                );
            }
        }
    }

    #[test]
    fn starts() {
        let cases = [
            (
                r#"[2026-11-22T16:50:43.147Z] "GET / HTTP/1.1" 200"#,
                Some(Start::Access),
            ),
            ("[2026-11-22T16:50:43.147Z] UF,URX 0 0 3", Some(Start::Access)),
            ("[2026-11-22T16:50:43.147Z] - 0 0 3", Some(Start::Access)),
            ("[2026-11-22T16:50:43.1", Some(Start::Access)),
            ("[2026-11-22T16:50:43.147Z]", Some(Start::Access)),
            ("[2026-11-22T16:50:43.147Z] server is up", None),
            ("[2026-11-22T16:50:43.147Z][info] x", None),
            (
                r#""GET /v1/status HTTP/1.1" 503 UC x"#,
                Some(Start::CroppedAccess),
            ),
            (r#""GET /v1/status HTTP/1.1" it said"#, None),
            (r#""-" "curl""#, None),
            (
                "[2024-05-04 09:59:05.028][17][warning][config] [a/b.cc:12] x",
                Some(Start::Bracket),
            ),
            ("[2024-05-04 09:59:05] x", None),
            (
                "[Envoy (Epoch 0)] [2019-02-03 01:02:03.004][17][info][main] x",
                Some(Start::Bracket),
            ),
            (
                "2026-11-22T16:50:40.687252Z\twarning\tenvoy main",
                Some(Start::Timed),
            ),
            ("2026-11-22T16:50:40.687252Z  WARN x", Some(Start::Timed)),
            ("2026-11-22T16:50:40.687252Z information", None),
            ("2026-11-22T16:50:40.687252Z stdout F x", None),
            ("2026-11-22 16:50:40 info x", None),
            (r#"{"a":1}"#, Some(Start::Json)),
            ("{ \"a\":", Some(Start::Json)),
            ("{", None),
            ("  at foo", None),
            ("thread=42", None),
            ("", None),
        ];
        for (text, start) in cases {
            assert_eq!(start_of(text.as_bytes()), start, "{text}");
        }
    }

    #[test]
    fn levels() {
        for level in Level::ALL {
            assert_eq!(super::level(level.name().as_bytes()), Some(level));
            assert_eq!(super::level(level.name().to_uppercase().as_bytes()), Some(level));
        }
        assert_eq!(level(b"warn"), Some(Level::Warning));
        assert_eq!(level(b"WARN"), Some(Level::Warning));
        assert_eq!(level(b"fatal"), Some(Level::Critical));
        assert_eq!(level(b""), None);
    }
}
