//! Access rows in text, read from both ends: slow, and right for every layout that Istio and Envoy had.
//!
//! Envoy concatenates the values of its format string and escapes nothing, so a quote or blank inside a
//! header can only be told from a delimiter by what stands around it. Left to right: time, request, code,
//! flags, what differs between the releases, and the numbers. Right to left from the last quote: upstream
//! host, authority, request id. Between them forwarded-for and user agent. After the last quote: addresses.
//! The names T0 to T6 of the layouts are in the table at [`Layout`].

use super::number::decimal;
use super::time::MinuteCache;
use super::{AccessFormat, AccessRow, Reject};
use memchr::{memchr, memchr_iter, memmem, memrchr};

const BETWEEN_QUOTED: &[u8] = b"\" \"";

/// What stands between flags and numbers, which tells the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Nothing: Istio 1.0 and 1.1 pre-releases, or Envoy's own.
    Bare,
    /// Details without anything else: Envoy's own layout with a column more.
    Details,
    /// One quoted value: mixer status (1.1) or transport failure reason (1.8).
    OneQuoted,
    /// Mixer status and transport failure reason: 1.2 to 1.7.
    TwoQuoted,
    /// Details, termination, and the quoted transport failure reason: since 1.9.
    Modern,
}

/// The row that `line` holds; it starts with `[` and something like a time.
///
/// # Errors
/// [`Reject::Date`], [`Reject::Number`], and [`Reject::AccessShape`] for whatever else does not add up.
pub(super) fn decode<'block>(
    line: &'block [u8],
    minutes: &mut MinuteCache,
) -> Result<AccessRow<'block>, Reject> {
    let mut row = AccessRow::empty(AccessFormat::IstioText);
    let text = line.strip_prefix(b"[").ok_or(Reject::AccessShape)?;
    let time = minutes.prefix(text, b'T').ok_or(Reject::AccessShape)?;
    let rest = text
        .get(time.len..)
        .and_then(|rest| rest.strip_prefix(b"] "))
        .ok_or(Reject::AccessShape)?;
    match rest.strip_prefix(b"\"") {
        Some(rest) => request_row(rest, &mut row)?,
        None => old_tcp_row(rest, &mut row)?,
    }
    row.start = Some(time.value.ok_or(Reject::Date)?);
    Ok(row)
}

/// A row whose request stands in quotes, after the opening one.
fn request_row<'block>(text: &'block [u8], row: &mut AccessRow<'block>) -> Result<(), Reject> {
    let end = request_end(text).ok_or(Reject::AccessShape)?;
    let (request, rest) = text.split_at_checked(end).ok_or(Reject::AccessShape)?;
    read_request(request, row);
    let (code, rest) = token(rest.get(2..).unwrap_or_default())?;
    row.code = u16::try_from(decimal(code)?).map_err(|_| Reject::AccessShape)?;
    let (flags, rest) = token(rest)?;
    row.flags = unset(flags);
    let (layout, rest) = read_reasons(rest, row)?;
    let rest = read_numbers(rest, row)?;
    let (upstream_time, rest) = token(rest)?;
    row.upstream_ms = header_number(upstream_time)?;
    let tail = read_quoted(rest, row)?;
    read_tail(layout, tail, row)
}

/// Where the request's closing quote stands: before a blank and a number, after a protocol.
fn request_end(text: &[u8]) -> Option<usize> {
    memchr_iter(b'"', text).find(|quote| {
        let (request, rest) = text.split_at_checked(*quote).unwrap_or_default();
        // In this order the work stays linear whatever the line holds.
        rest.strip_prefix(b"\" ")
            .is_some_and(|rest| rest_starts_with_number(rest, 1))
            && ends_with_protocol(request)
    })
}

fn ends_with_protocol(request: &[u8]) -> bool {
    let after_blank = memrchr(b' ', request).and_then(|blank| request.get(blank.checked_add(1)?..));
    match after_blank {
        Some(b"-") => true,
        // Istio 1.0 wrote `GET /pathHTTP/1.1`.
        Some(word) => memmem::rfind(word, b"HTTP/").is_some(),
        None => false,
    }
}

/// Whether `text` starts with `count` numbers, a blank after each; the later ones may be `-`.
fn rest_starts_with_number(text: &[u8], count: usize) -> bool {
    let mut words = text.split(|byte| *byte == b' ');
    let number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    words.next().is_some_and(number)
        && (1..count).all(|_| words.next().is_some_and(|word| word == b"-" || number(word)))
        && words.next().is_some()
}

fn read_request<'block>(request: &'block [u8], row: &mut AccessRow<'block>) {
    let (method, rest) = split_at_blank(request).unwrap_or((request, b""));
    let (path, protocol) = split_at_last_blank(rest).unwrap_or_else(|| {
        let protocol = memmem::rfind(rest, b"HTTP/").unwrap_or(rest.len());
        rest.split_at_checked(protocol).unwrap_or((rest, b"-"))
    });
    row.method = unset(method);
    row.path = unset(path);
    row.protocol = unset(protocol);
}

/// What stands between flags and numbers.
fn read_reasons<'block>(
    text: &'block [u8],
    row: &mut AccessRow<'block>,
) -> Result<(Layout, &'block [u8]), Reject> {
    if let [b'"', quoted @ ..] = text {
        return read_quoted_reasons(quoted, row);
    }
    if rest_starts_with_number(text, 2) {
        return Ok((Layout::Bare, text));
    }
    let (details, rest) = token(text)?;
    row.details = unset(details);
    if rest_starts_with_number(rest, 2) {
        return Ok((Layout::Details, rest));
    }
    // Envoy leaves the blanks of a termination detail alone ("transport socket timeout was reached").
    let quote = memmem::find(rest, b" \"").ok_or(Reject::AccessShape)?;
    let (termination, rest) = rest.split_at_checked(quote).ok_or(Reject::AccessShape)?;
    row.termination = unset(termination);
    let (reason, rest) = quoted_before_numbers(rest.get(2..).unwrap_or_default())?;
    row.failure_reason = unset(reason);
    Ok((Layout::Modern, rest))
}

/// One or two quoted values, after the first opening quote.
fn read_quoted_reasons<'block>(
    text: &'block [u8],
    row: &mut AccessRow<'block>,
) -> Result<(Layout, &'block [u8]), Reject> {
    let (all, rest) = quoted_before_numbers(text)?;
    let second = memmem::find(all, BETWEEN_QUOTED).and_then(|between| all.get(between.checked_add(3)?..));
    row.failure_reason = unset(second.unwrap_or(all));
    Ok((
        if second.is_some() {
            Layout::TwoQuoted
        } else {
            Layout::OneQuoted
        },
        rest,
    ))
}

/// The text before the first quote that closes before two numbers, and what follows it.
fn quoted_before_numbers(text: &[u8]) -> Result<(&[u8], &[u8]), Reject> {
    let split = |quote: usize| {
        let (quoted, rest) = text.split_at_checked(quote)?;
        let rest = rest.strip_prefix(b"\" ")?;
        rest_starts_with_number(rest, 2).then_some((quoted, rest))
    };
    memchr_iter(b'"', text).find_map(split).ok_or(Reject::AccessShape)
}

/// Bytes received, bytes sent, duration.
fn read_numbers<'block>(text: &'block [u8], row: &mut AccessRow<'block>) -> Result<&'block [u8], Reject> {
    let (received, rest) = token(text)?;
    let (sent, rest) = token(rest)?;
    let (duration, rest) = token(rest)?;
    row.bytes_received = number(received)?.unwrap_or(0);
    row.bytes_sent = number(sent)?.unwrap_or(0);
    row.duration_ms = number(duration)?;
    Ok(rest)
}

/// Forwarded-for, user agent, request id, authority, upstream host; what follows the last quote is returned.
fn read_quoted<'block>(text: &'block [u8], row: &mut AccessRow<'block>) -> Result<&'block [u8], Reject> {
    let text = text.strip_prefix(b"\"").ok_or(Reject::AccessShape)?;
    let last = memrchr(b'"', text).ok_or(Reject::AccessShape)?;
    let (quoted, tail) = text.split_at_checked(last).ok_or(Reject::AccessShape)?;
    let first = memmem::find(quoted, BETWEEN_QUOTED).ok_or(Reject::AccessShape)?;
    let rest = quoted
        .get(first.wrapping_add(BETWEEN_QUOTED.len())..)
        .ok_or(Reject::AccessShape)?;
    let (rest, host) = split_last_quoted(rest)?;
    let (rest, authority) = split_last_quoted(rest)?;
    let (agent, request_id) = split_last_quoted(rest)?;
    row.upstream_host = unset(host);
    row.authority = unset(authority);
    row.request_id = unset(request_id);
    row.user_agent = unset(agent);
    Ok(tail.get(1..).unwrap_or_default())
}

fn split_last_quoted(text: &[u8]) -> Result<(&[u8], &[u8]), Reject> {
    let between = memmem::rfind(text, BETWEEN_QUOTED).ok_or(Reject::AccessShape)?;
    let (before, last) = text.split_at_checked(between).ok_or(Reject::AccessShape)?;
    Ok((before, last.get(BETWEEN_QUOTED.len()..).unwrap_or_default()))
}

/// Cluster and addresses. Vendors append more, which is left alone.
fn read_tail<'block>(layout: Layout, tail: &'block [u8], row: &mut AccessRow<'block>) -> Result<(), Reject> {
    let mut fields: [&[u8]; 6] = [b"-"; 6];
    let mut count = 0_usize;
    let mut words = tail.split(|byte| *byte == b' ');
    if words.next().is_some_and(|glued| !glued.is_empty()) {
        return Err(Reject::AccessShape);
    }
    for (field, word) in fields.iter_mut().zip(words) {
        *field = word;
        count = count.wrapping_add(1);
    }
    row.format = format_of(layout, count).ok_or(Reject::AccessShape)?;
    if row.format == AccessFormat::IstioText10 {
        // Its one quoted value, if any, is mixer's status.
        row.failure_reason = None;
    }
    let [
        cluster,
        upstream_local,
        downstream_local,
        downstream_remote,
        sni,
        route,
    ] = fields;
    row.cluster = cluster_name(cluster);
    row.upstream_local = unset(upstream_local);
    row.downstream_local = unset(downstream_local);
    row.downstream_remote = unset(downstream_remote);
    row.sni = unset(sni);
    // Releases before 1.2 wrote no route; a token there is a vendor's or a writer's.
    row.route = unset(route).filter(|_| row.format != AccessFormat::IstioText10);
    Ok(())
}

fn format_of(layout: Layout, tail_tokens: usize) -> Option<AccessFormat> {
    match (layout, tail_tokens) {
        (Layout::Bare | Layout::Details, 0) => Some(AccessFormat::EnvoyText),
        (Layout::Bare, 4..) | (Layout::OneQuoted, 5) => Some(AccessFormat::IstioText10),
        (Layout::OneQuoted, 6..) => Some(AccessFormat::IstioText18),
        (Layout::TwoQuoted, 5..) => Some(AccessFormat::IstioTextMixer),
        (Layout::Modern, 6..) => Some(AccessFormat::IstioText),
        _ => None,
    }
}

/// Istio 1.0, TCP: `<flags> <received> <sent> <duration> "<host>" <cluster> <local> <local> <remote>`.
fn old_tcp_row<'block>(text: &'block [u8], row: &mut AccessRow<'block>) -> Result<(), Reject> {
    let (flags, rest) = token(text)?;
    row.flags = unset(flags);
    let rest = read_numbers(rest, row)?
        .strip_prefix(b"\"")
        .ok_or(Reject::AccessShape)?;
    let quote = memchr(b'"', rest).ok_or(Reject::AccessShape)?;
    let (host, tail) = rest.split_at_checked(quote).ok_or(Reject::AccessShape)?;
    row.upstream_host = unset(host);
    read_tail(Layout::Bare, tail.get(1..).unwrap_or_default(), row)?;
    // Envoy's own layout has a request.
    if row.format == AccessFormat::IstioText10 {
        Ok(())
    } else {
        Err(Reject::AccessShape)
    }
}

/// The text before the next blank, and what follows the blank.
fn token(text: &[u8]) -> Result<(&[u8], &[u8]), Reject> {
    split_at_blank(text).ok_or(Reject::AccessShape)
}

fn split_at_blank(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (token, rest) = text.split_at_checked(memchr(b' ', text)?)?;
    Some((token, rest.get(1..)?))
}

fn split_at_last_blank(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, last) = text.split_at_checked(memrchr(b' ', text)?)?;
    Some((before, last.get(1..)?))
}

/// `None` for the text by which Envoy says that there is no value.
#[inline]
pub(super) fn unset(text: &[u8]) -> Option<&[u8]> {
    if matches!(text, [b'-']) { None } else { Some(text) }
}

/// A cluster's name without the `;` that Istio 1.23 and later append to the name for statistics.
#[inline]
pub(super) fn cluster_name(text: &[u8]) -> Option<&[u8]> {
    unset(text.strip_suffix(b";").unwrap_or(text))
}

pub(super) fn number(text: &[u8]) -> Result<Option<u64>, Reject> {
    unset(text).map(decimal).transpose()
}

/// A number that a header gives: what is none, is not Envoy's and counts as unset.
pub(super) fn header_number(text: &[u8]) -> Result<Option<u64>, Reject> {
    match number(text) {
        Err(Reject::AccessShape) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ROWS, summary};
    use super::*;

    fn decoded(line: &str) -> Result<String, Reject> {
        decode(line.as_bytes(), &mut MinuteCache::default()).map(|row| summary(&row))
    }

    #[test]
    fn layouts() {
        for (line, meaning) in ROWS {
            assert_eq!(decoded(line).as_deref(), Ok(*meaning), "{line}");
        }
    }

    #[test]
    fn every_truncation_is_a_reject_or_a_right_part() {
        for (line, meaning) in ROWS {
            for len in 0..line.len() {
                let Ok(part) = decoded(line.get(..len).unwrap()) else {
                    continue;
                };
                // What a cut row still tells must be what the whole row tells, as far as it goes.
                for (part, whole) in part.split(' ').zip(meaning.split(' ')).skip(1) {
                    assert!(
                        part == "-" || whole.starts_with(part) || part == "\"\"",
                        "{part} of {whole}: {line}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_that_do_not_add_up() {
        let (line, _) = ROWS[0];
        let cases = [
            ("2026-11-22T", "2026-11-31T", Reject::Date),
            (" 538 ", " 99999999999999999999 ", Reject::Number),
            (" 538 ", " -538 ", Reject::AccessShape),
            (" 200 ", " 70000 ", Reject::AccessShape),
            (" 200 ", " OK ", Reject::AccessShape),
            ("] \"", "]\"", Reject::AccessShape),
            (" - default", "", Reject::AccessShape),
            ("\" outbound", "\"outbound", Reject::AccessShape),
            ("HTTP/1.1\"", "HTTP/1.1", Reject::AccessShape),
            ("\"reviews:9080\" ", "", Reject::AccessShape),
        ];
        for (from, to, reject) in cases {
            assert_eq!(decoded(&line.replacen(from, to, 1)), Err(reject), "{from} {to}");
        }
    }

    #[test]
    fn a_token_more_is_no_route_where_there_was_none() {
        let (line, _) = ROWS
            .iter()
            .find(|(line, _)| line.ends_with("172.30.109.82:59478 www.example.com"))
            .unwrap();
        assert_eq!(decoded(&format!("{line} more")), decoded(line));
    }

    #[test]
    fn an_upstream_time_that_is_none_is_unset() {
        let line = ROWS[0].0.replacen(" 8 6 ", " 8 6,7 ", 1);
        assert!(decoded(&line).unwrap().contains(" 538 8 - "), "{line}");
    }

    #[test]
    fn long_lines_of_delimiters_take_linear_time() {
        let head = "[2026-11-22T16:50:43.147Z] \"";
        for filler in ["\"", "\" 1 ", "\" \"", " ", "\" 1 1 "] {
            assert_eq!(
                decoded(&(head.to_owned() + &filler.repeat(200_000))),
                Err(Reject::AccessShape),
                "{filler}"
            );
        }
    }
}
