//! Component lines: what Envoy and Istio's Go programs say about themselves, in text.
//!
//! Envoy under Istio: `<RFC 3339>\t<level>\tenvoy <logger>[ <file>:<line>]\t[[<file>:<line>] ]<message>[\tthread=<n>]`.
//! Envoy alone: `[<date> <time>][<thread>][<level>][<logger>] [<file>:<line>] <message>`, up to Istio 1.5 behind
//! `[Envoy (Epoch <n>)] `. pilot-agent and ztunnel: `<RFC 3339>\t<level>\t[<scope>\t]<message>`. Pasting turns tabs
//! into runs of blanks. Sources: istio `pkg/envoy/proxy.go`, `pkg/log/config.go`; Envoy `--log-format`.

use super::start::{is_blank, level, level_after};
use super::time::MinuteCache;
use super::{Component, ComponentLine, Level, Reject};
use memchr::{memchr, memchr2};
use nom::bytes::complete::{is_not, tag, take_while};
use nom::combinator::{map_opt, opt, recognize};
use nom::sequence::{delimited, terminated};
use nom::{IResult, Parser};

/// A line that starts with a time and a level.
///
/// # Errors
/// [`Reject::Date`] if there is no such date, [`Reject::Form`] if it does not start so after all.
pub(super) fn timed<'block>(
    line: &'block [u8],
    minutes: &mut MinuteCache,
) -> Result<ComponentLine<'block>, Reject> {
    let time = minutes.prefix(line, b'T').ok_or(Reject::Form)?;
    let (level, rest) = line.get(time.len..).and_then(level_after).ok_or(Reject::Form)?;
    let time = Some(time.value.ok_or(Reject::Date)?);
    let rest = skip_blanks(rest);
    let after_envoy = rest
        .strip_prefix(b"envoy")
        .filter(|rest| rest.first().is_some_and(|byte| is_blank(*byte)));
    let (component, (scope, message)) = if let Some(rest) = after_envoy {
        (Component::Envoy, envoy_columns(skip_blanks(rest)))
    } else {
        (Component::PilotAgent, scope_column(rest))
    };
    Ok(ComponentLine {
        component,
        time,
        level,
        scope,
        message,
    })
}

/// Whether `text` has a tab after a time with microseconds, as Envoy and Istio's programs write it.
#[inline]
pub(super) fn is_plain(text: &[u8]) -> bool {
    text.get(26..28) == Some(b"Z\t") && matches!(text, [b'0'..=b'9', ..])
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    text.get(text.iter().take_while(|byte| is_blank(**byte)).count()..)
        .unwrap_or_default()
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at_checked(memchr2(b' ', b'\t', text).unwrap_or(text.len()))
        .unwrap_or((text, b""))
}

/// Logger and message after the word `envoy`.
fn envoy_columns(text: &[u8]) -> (&[u8], &[u8]) {
    let (logger, rest) = word(text);
    let rest = skip_blanks(rest);
    let (place, after_place) = word(rest);
    let rest = if is_source_place(place) {
        skip_blanks(after_place)
    } else {
        rest
    };
    (logger, without_thread(without_bracketed_place(rest)))
}

/// `source/server/server.cc:1059`.
fn is_source_place(word: &[u8]) -> bool {
    let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let file = word
        .get(..word.len().saturating_sub(digits))
        .and_then(|file| file.strip_suffix(b":"));
    digits > 0 && file.is_some_and(|file| memchr(b'.', file).is_some())
}

/// The message without `[external/envoy/source/x.cc:98] ` before it.
fn without_bracketed_place(message: &[u8]) -> &[u8] {
    let after = || {
        let end = memchr(b']', message)?;
        is_source_place(message.get(1..end)?).then(|| message.get(end.checked_add(1)?..).map(skip_blanks))?
    };
    if message.starts_with(b"[") {
        after().unwrap_or(message)
    } else {
        message
    }
}

/// The message without `\tthread=<n>` after it.
fn without_thread(message: &[u8]) -> &[u8] {
    let digits = message
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let before = message
        .get(..message.len().saturating_sub(digits))
        .and_then(|text| text.strip_suffix(b"thread="));
    match before {
        Some(before) if digits > 0 && before.last().is_none_or(|byte| is_blank(*byte)) => {
            before.trim_ascii_end()
        }
        _ => message,
    }
}

/// Whether a line is nothing but the `thread=<n>` that ends a message of several lines.
pub(super) fn is_thread_mark(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"thread=") && without_thread(line).is_empty()
}

/// Scope and message of a Go program: the scope is a column of one word, and need not be there.
fn scope_column(text: &[u8]) -> (&[u8], &[u8]) {
    let (scope, rest) = word(text);
    let separated = matches!(rest, [b'\t', _, ..] | [b' ', b' ' | b'\t', _, ..]);
    let named = scope
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'));
    if separated && named && !scope.is_empty() {
        (scope, skip_blanks(rest))
    } else {
        (b"", text)
    }
}

/// A line that starts with a time in brackets.
///
/// # Errors
/// [`Reject::Date`] if there is no such date, [`Reject::Form`] if it does not start so after all.
pub(super) fn bracket<'block>(
    line: &'block [u8],
    minutes: &mut MinuteCache,
) -> Result<ComponentLine<'block>, Reject> {
    let (rest, (time, level, scope)) = bracket_head(line).map_err(|_| Reject::Form)?;
    let time = minutes
        .prefix(time, b' ')
        .ok_or(Reject::Form)?
        .value
        .ok_or(Reject::Date)?;
    let message = without_thread(without_bracketed_place(skip_blanks(rest)));
    Ok(ComponentLine {
        component: Component::Envoy,
        time: Some(time),
        level,
        scope,
        message,
    })
}

/// Time, level and logger, as they stand in brackets.
type BracketHead<'block> = (&'block [u8], Level, &'block [u8]);

/// Reads the head of `[Envoy (Epoch 0)] [time][thread][level][logger]`.
fn bracket_head(line: &[u8]) -> IResult<&[u8], BracketHead<'_>> {
    let epoch = (
        tag("[Envoy (Epoch "),
        take_while(|byte: u8| byte.is_ascii_digit()),
        tag(")] "),
    );
    let (rest, _) = opt(recognize(epoch)).parse(line)?;
    let (rest, time) = terminated(bracketed, bracketed).parse(rest)?;
    let (rest, level) = map_opt(bracketed, level).parse(rest)?;
    let (rest, logger) = bracketed(rest)?;
    Ok((rest, (time, level, logger)))
}

fn bracketed(text: &[u8]) -> IResult<&[u8], &[u8]> {
    delimited(tag("["), is_not("]"), tag("]")).parse(text)
}

/// Who wrote a JSON component line, told by its scope, and the scope without that word.
pub(super) fn json_scope(scope: &[u8]) -> (Component, &[u8]) {
    match scope.strip_prefix(b"envoy") {
        Some(b"") => (Component::Envoy, b""),
        Some([b' ', logger @ ..]) => (Component::Envoy, word(skip_blanks(logger)).0),
        _ => (Component::PilotAgent, scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Component, Level, &'a str, &'a str);

    fn check(line: &str, parts: Parts<'_>) {
        let mut minutes = MinuteCache::default();
        let decode = if line.starts_with('[') { bracket } else { timed };
        let found = decode(line.as_bytes(), &mut minutes).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (component, level, scope, message) = parts;
        assert_eq!((found.component, found.level), (component, level), "{line}");
        assert_eq!(
            (text(found.scope).as_str(), text(found.message).as_str()),
            (scope, message),
            "{line}"
        );
        assert!(found.time.is_some(), "{line}");
    }

    #[test]
    fn forms() {
        use Component::{Envoy, PilotAgent};
        check(
            "2026-11-22T16:50:40.687252Z\twarning\tenvoy main source/server/server.cc:1059\tThere is no configured limit: 5\tthread=13042",
            (Envoy, Level::Warning, "main", "There is no configured limit: 5"),
        );
        check(
            "2020-11-22T16:50:40.687252Z\twarning\tenvoy config\t[external/envoy/source/common/config/grpc_stream.h:92] closed: 14, no healthy upstream",
            (Envoy, Level::Warning, "config", "closed: 14, no healthy upstream"),
        );
        check(
            "2024-05-04T09:59:05.028709Z    debug   envoy http external/envoy/source/common/http/conn_manager_impl.cc:391      [Tags: \"ConnectionId\":\"2057\"] new stream  thread=21",
            (
                Envoy,
                Level::Debug,
                "http",
                "[Tags: \"ConnectionId\":\"2057\"] new stream",
            ),
        );
        check(
            "2024-05-04T09:59:05.028709Z error envoy config x thread=many",
            (Envoy, Level::Error, "config", "x thread=many"),
        );
        check(
            "2024-05-04T09:59:05.028709Z\tinfo\tcache\tgenerated new workload certificate\tlatency=44ms",
            (
                PilotAgent,
                Level::Info,
                "cache",
                "generated new workload certificate\tlatency=44ms",
            ),
        );
        check(
            "2024-05-04T09:59:05.028709Z\tinfo\tFLAG: --concurrency=\"0\"",
            (PilotAgent, Level::Info, "", "FLAG: --concurrency=\"0\""),
        );
        check(
            "2024-05-04T09:59:05.028709Z\twarn\tca\tca request failed, starting attempt 1",
            (
                PilotAgent,
                Level::Warning,
                "ca",
                "ca request failed, starting attempt 1",
            ),
        );
        check(
            "2024-05-04T09:59:05.028709Z info access connection complete",
            (PilotAgent, Level::Info, "", "access connection complete"),
        );
        check(
            "2024-05-04T09:59:05.028709Z\tfatal",
            (PilotAgent, Level::Critical, "", ""),
        );
        check(
            "[2024-05-04 09:59:05.028][17][critical][assert] [external/envoy/source/x.cc:12] assert failure: x",
            (Envoy, Level::Critical, "assert", "assert failure: x"),
        );
        check(
            "[Envoy (Epoch 0)] [2019-02-03 01:02:03.004][17][warning][config] bazel-out/x.h:86] gRPC config stream closed: 14",
            (
                Envoy,
                Level::Warning,
                "config",
                "bazel-out/x.h:86] gRPC config stream closed: 14",
            ),
        );
    }

    #[test]
    fn dates_and_forms_that_are_none() {
        let mut minutes = MinuteCache::default();
        assert_eq!(
            timed(b"2024-13-04T09:59:05.028709Z\tinfo\tx", &mut minutes),
            Err(Reject::Date)
        );
        assert_eq!(
            timed(b"2024-12-04T09:59:05.028709Z\tinfos\tx", &mut minutes),
            Err(Reject::Form)
        );
        assert_eq!(
            bracket(b"[2024-05-34 09:59:05.028][17][info][main] x", &mut minutes),
            Err(Reject::Date)
        );
        assert_eq!(
            bracket(b"[2024-05-04 09:59:05.028][17][loud][main] x", &mut minutes),
            Err(Reject::Form)
        );
        assert_eq!(
            bracket(b"[2024-05-04 09:59:05.028][17][info", &mut minutes),
            Err(Reject::Form)
        );
    }

    #[test]
    fn thread_marks() {
        for line in ["thread=13042", "\tthread=1", "  thread=7  "] {
            assert!(is_thread_mark(line.as_bytes()), "{line}");
        }
        for line in ["thread=", "thread=x", "a thread=1", ""] {
            assert!(!is_thread_mark(line.as_bytes()), "{line}");
        }
    }
}
