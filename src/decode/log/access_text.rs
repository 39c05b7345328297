//! The fast path for Istio's text line since 1.9: delimiters by bit masks, fields by number.
//!
//! A line is taken here only if it has exactly the quotes and blanks of such a row, where they belong, and
//! nothing that needs a second thought; every other line is left to [`super::access_exact`], and a test holds
//! the two to the same answer. What the layout needs:
//!
//! ```text
//! [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS DETAILS TERMINATION "FAILURE_REASON" RECEIVED SENT DURATION
//! UPSTREAM_TIME "FORWARDED_FOR" "USER_AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM_HOST" CLUSTER UPSTREAM_LOCAL
//! DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE SNI ROUTE
//! ```
#![expect(
    clippy::inline_always,
    reason = "small steps of one hot loop: without it text rows take 7 % longer"
)]

use super::access_exact::{cluster_name, unset};
use super::number::short_decimal;
use super::scan::{Blanks, Scanner};
use super::time::{MILLIS_BYTES, MinuteCache};
use super::{AccessFormat, AccessRow};

/// Where the request's opening quote stands: after `[`, the time and `] `.
const REQUEST_AT: usize = MILLIS_BYTES + 3;
/// Blanks outside quotes after the request's opening quote.
const BLANKS: usize = Blanks::LIMIT;
/// Quotes of the seven quoted fields.
const QUOTES: u32 = 14;

/// Tokens in their order after the time.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
enum Token {
    Request,
    Code,
    Flags,
    Details,
    Termination,
    FailureReason,
    Received,
    Sent,
    Duration,
    UpstreamTime,
    ForwardedFor,
    UserAgent,
    RequestId,
    Authority,
    UpstreamHost,
    Cluster,
    UpstreamLocal,
    DownstreamLocal,
    DownstreamRemote,
    Sni,
    Route,
}

/// A line and where each token of it ends.
#[derive(Clone, Copy, Debug)]
struct Tokens<'block, 'blanks> {
    line: &'block [u8],
    blanks: &'blanks Blanks,
}

impl<'block> Tokens<'block, '_> {
    /// Where a blank stands.
    #[inline(always)]
    fn place(self, number: usize) -> usize {
        self.blanks
            .places
            .get(number)
            .map_or(0, |place| usize::from(*place))
    }

    #[inline(always)]
    fn end(self, token: Token) -> usize {
        match token {
            Token::Route => self.line.len(),
            token => self.place(token as usize),
        }
    }

    #[inline(always)]
    fn start(self, token: Token) -> usize {
        match (token as usize).checked_sub(1) {
            Some(before) => self.place(before).wrapping_add(1),
            None => REQUEST_AT,
        }
    }

    #[inline(always)]
    fn text(self, token: Token) -> Option<&'block [u8]> {
        self.line.get(self.start(token)..self.end(token))
    }

    /// What stands between the quotes of a token.
    #[inline(always)]
    fn quoted(self, token: Token) -> Option<&'block [u8]> {
        match self.text(token)? {
            [b'"', text @ .., b'"'] => Some(text),
            _ => None,
        }
    }

    #[inline(always)]
    fn number(self, token: Token) -> Option<u64> {
        let (start, end) = (self.start(token), self.end(token));
        short_decimal(*self.line.get(..end)?.last_chunk()?, end.wrapping_sub(start))
    }

    #[inline(always)]
    fn read_number(self, token: Token, into: &mut Option<u64>) -> Option<()> {
        let (start, end) = (self.start(token), self.end(token));
        let is_unset = end.wrapping_sub(start) == 1 && *self.line.get(start)? == b'-';
        *into = if is_unset { None } else { Some(self.number(token)?) };
        Some(())
    }
}

/// Puts the row of the first line of `text` into `row`, if it is one of the plain kind, and tells the line's
/// length without its newline; else `row` is left in any state.
#[inline]
pub(super) fn decode<'block>(
    text: &'block [u8],
    minutes: &mut MinuteCache,
    scanner: Scanner,
    blanks: &mut Blanks,
    row: &mut AccessRow<'block>,
) -> Option<usize> {
    let [b'[', rest @ ..] = text else { return None };
    let (time, rest) = rest.split_first_chunk::<MILLIS_BYTES>()?;
    if !rest.starts_with(b"] \"") {
        return None;
    }
    scanner.find_blanks(text, REQUEST_AT, blanks)?;
    if blanks.count != BLANKS || blanks.quotes != QUOTES {
        return None;
    }
    let line = text.get(..blanks.end)?;
    let tokens = Tokens {
        line: line.strip_suffix(b"\r").unwrap_or(line),
        blanks,
    };
    let protocol_len = read_request(tokens, row)?;
    tokens.quoted(Token::ForwardedFor)?;
    let details = tokens.text(Token::Details)?;
    if details.first().is_some_and(u8::is_ascii_digit) {
        // Numbers there are of another layout.
        return None;
    }
    row.format = AccessFormat::IstioText;
    row.start = Some(minutes.millis(time)?);
    row.code = u16::try_from(tokens.number(Token::Code)?).ok()?;
    row.flags = tokens.text(Token::Flags).map(unset)?;
    row.details = unset(details);
    row.termination = tokens.text(Token::Termination).map(unset)?;
    row.failure_reason = tokens.quoted(Token::FailureReason).map(unset)?;
    row.bytes_received = tokens.number(Token::Received)?;
    row.bytes_sent = tokens.number(Token::Sent)?;
    tokens.read_number(Token::Duration, &mut row.duration_ms)?;
    tokens.read_number(Token::UpstreamTime, &mut row.upstream_ms)?;
    row.user_agent = tokens.quoted(Token::UserAgent).map(unset)?;
    row.request_id = tokens.quoted(Token::RequestId).map(unset)?;
    row.authority = tokens.quoted(Token::Authority).map(unset)?;
    row.upstream_host = tokens.quoted(Token::UpstreamHost).map(unset)?;
    row.cluster = tokens.text(Token::Cluster).map(cluster_name)?;
    row.upstream_local = tokens.text(Token::UpstreamLocal).map(unset)?;
    row.downstream_local = tokens.text(Token::DownstreamLocal).map(unset)?;
    row.downstream_remote = tokens.text(Token::DownstreamRemote).map(unset)?;
    row.sni = tokens.text(Token::Sni).map(unset)?;
    row.route = tokens.text(Token::Route).map(unset)?;
    row.grpc_status = None;
    row.class_spans = class_spans(tokens, protocol_len);
    Some(blanks.end)
}

/// Reads a request whose method is short and whose protocol is plain, and tells the protocol's length.
#[inline(always)]
fn read_request<'block>(tokens: Tokens<'block, '_>, row: &mut AccessRow<'block>) -> Option<usize> {
    const PROTOCOL: u64 = u64::from_le_bytes(*b"HTTP/1.0");
    let text = tokens.quoted(Token::Request)?;
    let protocol_len = match text.last_chunk::<8>().map(|last| u64::from_le_bytes(*last)) {
        // HTTP/1.0 and HTTP/1.1 differ in one bit.
        Some(last) if last & !(1 << 56) == PROTOCOL => 8,
        _ if text.ends_with(b"HTTP/2") || text.ends_with(b"HTTP/3") => 6,
        _ if text.ends_with(b"-") => 1,
        _ => return None,
    };
    let blank = text.len().wrapping_sub(protocol_len).wrapping_sub(1);
    if *text.get(blank)? != b' ' {
        return None;
    }
    let head = u64::from_le_bytes(*tokens.line.get(REQUEST_AT.wrapping_add(1)..)?.first_chunk()?);
    let method_len = first_blank(head);
    if *text.get(method_len)? != b' ' {
        return None;
    }
    row.method = text.get(..method_len).map(unset)?;
    row.path = text.get(method_len.wrapping_add(1)..blank).map(unset)?;
    row.protocol = text.get(blank.wrapping_add(1)..).map(unset)?;
    Some(protocol_len)
}

/// Which byte of a little-endian word is the first blank; 8 if none is.
#[inline(always)]
fn first_blank(word: u64) -> usize {
    let differ = word ^ u64::from_le_bytes([b' '; 8]);
    // The lowest byte that is zero is marked right; borrows reach only those above it.
    let zeros = differ.wrapping_sub(0x0101_0101_0101_0101) & !differ & 0x8080_8080_8080_8080;
    (zeros.trailing_zeros() / 8) as usize
}

/// The runs of the line that decide how its row is classified.
#[inline(always)]
fn class_spans<'block>(tokens: Tokens<'block, '_>, protocol_len: usize) -> Option<[&'block [u8]; 4]> {
    let protocol = tokens
        .end(Token::Request)
        .wrapping_sub(protocol_len)
        .wrapping_sub(1);
    let remote = tokens.text(Token::DownstreamRemote)?;
    let remote_end = tokens.end(Token::DownstreamRemote).wrapping_sub(port_len(remote));
    Some([
        tokens.line.get(protocol..tokens.end(Token::FailureReason))?,
        tokens
            .line
            .get(tokens.start(Token::Authority)..tokens.end(Token::Cluster))?,
        tokens
            .line
            .get(tokens.start(Token::DownstreamLocal)..remote_end)?,
        tokens.line.get(tokens.start(Token::Sni)..)?,
    ])
}

/// Bytes of `:<port>` at the end of an address.
#[inline(always)]
fn port_len(address: &[u8]) -> usize {
    let digits = address
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let before = address.len().wrapping_sub(digits).wrapping_sub(1);
    if address.get(before) == Some(&b':') {
        digits.wrapping_add(1)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::access_exact;
    use super::super::samples::ROWS;
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn fast(line: &[u8], scanner: Scanner) -> Option<(AccessRow<'_>, usize)> {
        let mut row = AccessRow::empty(AccessFormat::EnvoyText);
        let len = decode(
            line,
            &mut MinuteCache::default(),
            scanner,
            &mut Blanks::default(),
            &mut row,
        )?;
        Some((row, len))
    }

    /// The fast path may leave a line to the exact one, but never reads it differently.
    fn check_agreement(line: &[u8]) -> Result<bool, TestCaseError> {
        let portable = fast(line, Scanner::Portable);
        prop_assert_eq!(portable, fast(line, Scanner::default()));
        let Some((row, len)) = portable else {
            return Ok(false);
        };
        // As the driver gives it.
        let text = line[..len].strip_suffix(b"\r").unwrap_or(&line[..len]);
        let exact = access_exact::decode(text, &mut MinuteCache::default());
        prop_assert_eq!(
            exact,
            Ok(AccessRow {
                class_spans: None,
                ..row
            })
        );
        Ok(true)
    }

    #[test]
    fn takes_plain_rows_and_leaves_others() {
        let taken: Vec<bool> = ROWS
            .iter()
            .map(|(line, _)| check_agreement(line.as_bytes()).unwrap())
            .collect();
        assert_eq!(taken[..5], [true; 5]);
        assert!(!taken[5..].contains(&true));
    }

    #[test]
    fn ends_at_the_line_end() {
        let line = ROWS[0].0;
        for (end, len) in [("\n", line.len()), ("\r\nmore", line.len() + 1), ("", line.len())] {
            let text = format!("{line}{end}");
            let (row, found) = fast(text.as_bytes(), Scanner::default()).unwrap();
            assert_eq!((row.route, found), (Some(b"default".as_slice()), len));
        }
    }

    #[test]
    fn methods_and_protocols() {
        for (request, taken) in [
            ("OPTIONS /x HTTP/1.0", true),
            ("PROPFIND /x HTTP/3", true),
            ("MKCALENDAR /x HTTP/1.1", false),
            ("GET /x HTTP/1.2", false),
            ("GET /x -", true),
            ("GET  HTTP/2", true),
            ("GET HTTP/1.1", false),
            ("- - -", true),
            ("", false),
        ] {
            let line = ROWS[0].0.replacen("GET /reviews/42 HTTP/1.1", request, 1);
            assert_eq!(check_agreement(line.as_bytes()).unwrap(), taken, "{request}");
        }
    }

    #[test]
    fn spans_hold_what_decides_the_class() {
        let spans = |line: &str| {
            fast(line.as_bytes(), Scanner::default())
                .unwrap()
                .0
                .class_spans
                .unwrap()
                .map(|span| span.escape_ascii().to_string().replace("\\\"", "\""))
        };
        assert_eq!(
            spans(ROWS[0].0),
            [
                r#"HTTP/1.1" 200 - via_upstream - "-""#,
                r#""reviews:9080" "10.244.2.22:9080" outbound|9080||reviews.default.svc.cluster.local"#,
                "10.96.14.20:9080 10.244.1.11",
                "- default",
            ]
        );
        assert_eq!(spans(ROWS[3].0)[2], "[2001:db8::1]:8000 [2001:db8::2]");
        assert_eq!(spans(ROWS[4].0)[2], "10.10.200.72:80 ");
        let pipe = ROWS[0]
            .0
            .replacen(" 10.244.1.11:60374 ", " envoy://internal_client_address/ ", 1);
        assert_eq!(
            spans(&pipe)[2],
            "10.96.14.20:9080 envoy://internal_client_address/"
        );
    }

    #[test]
    fn agrees_on_every_truncation() {
        for (line, _) in ROWS {
            for len in 0..line.len() {
                check_agreement(&line.as_bytes()[..len]).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_on_mutations(
            row in select(ROWS),
            edits in proptest::collection::vec((any::<Index>(), 0_u8..3, select(b" \"-0a1[]:|\n\r\xff;HTP/.".as_slice())), 1..6),
        ) {
            let mut line = row.0.as_bytes().to_vec();
            for (place, kind, byte) in edits {
                let at = place.index(line.len());
                match kind {
                    0 => line[at] = byte,
                    1 => line.insert(at, byte),
                    _ => { line.remove(at); }
                }
            }
            check_agreement(&line)?;
        }
    }
}
