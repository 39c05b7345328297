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
use super::number::{other_than_digits, short_decimal};
use super::row::{ClassBytes, Row, is_from_upstream, is_inbound};
use super::scan::{Blanks, Scanner};
use super::time::{MILLIS_BYTES, MinuteCache};
use super::{AccessFormat, AccessRow};
use crate::units::Timestamp;

/// Where the request's opening quote stands: after `[`, the time and `] `.
const REQUEST_AT: usize = MILLIS_BYTES + 3;
/// Blanks outside quotes after the request's opening quote.
const BLANKS: usize = Blanks::LIMIT;
/// The quoted fields.
const QUOTED: [Token; 7] = [
    Token::Request,
    Token::FailureReason,
    Token::ForwardedFor,
    Token::UserAgent,
    Token::RequestId,
    Token::Authority,
    Token::UpstreamHost,
];
/// Their quotes.
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

    /// True if each of these tokens begins and ends with a quote. Blanks outside quotes part tokens, so there is an even
    /// number of quotes in each: at least two in these, and with no more than so many in the line none in any other.
    #[inline(always)]
    fn are_quoted<const COUNT: usize>(self, tokens: [Token; COUNT]) -> Option<bool> {
        let mut differ = 0;
        for token in tokens {
            differ |= *self.line.get(self.start(token))? ^ b'"';
            differ |= *self.line.get(self.end(token).wrapping_sub(1))? ^ b'"';
        }
        Some(differ == 0)
    }

    /// What stands between the quotes of a token that has them.
    #[inline(always)]
    fn quoted(self, token: Token) -> &'block [u8] {
        let (start, end) = (self.start(token), self.end(token));
        self.line
            .get(start.wrapping_add(1)..end.wrapping_sub(1))
            .unwrap_or_default()
    }

    #[inline(always)]
    fn number(self, token: Token) -> Option<u64> {
        let (start, end) = (self.start(token), self.end(token));
        short_decimal(*self.line.get(..end)?.last_chunk()?, end.wrapping_sub(start))
    }

    /// Puts a number there, or nothing for `-`.
    #[inline(always)]
    fn read_number(self, token: Token, into: &mut Option<u64>) -> Option<()> {
        let (start, end) = (self.start(token), self.end(token));
        let is_unset = end.wrapping_sub(start) == 1 && *self.line.get(start)? == b'-';
        *into = if is_unset { None } else { Some(self.number(token)?) };
        Some(())
    }
}

/// Reads the first line of `text`, if it is a row of the plain kind. Whatever could make it another one is looked at here,
/// and no more is: fields that nobody asks for cost nothing.
#[inline(always)]
pub(super) fn decode<'block, 'blanks>(
    text: &'block [u8],
    minutes: &mut MinuteCache,
    scanner: Scanner,
    blanks: &'blanks mut Blanks,
) -> Option<PlainRow<'block, 'blanks>> {
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
    // Numbers in the place of the details are of another layout.
    let first_of_details = *tokens.line.get(tokens.start(Token::Details))?;
    if !tokens.are_quoted(QUOTED)? || first_of_details.is_ascii_digit() {
        return None;
    }
    tokens.number(Token::Received)?;
    let bytes_sent = tokens.number(Token::Sent)?;
    let (mut duration_ms, mut upstream_ms) = (None, None);
    tokens.read_number(Token::Duration, &mut duration_ms)?;
    tokens.read_number(Token::UpstreamTime, &mut upstream_ms)?;
    Some(PlainRow {
        start: minutes.millis(time)?,
        request: read_request(tokens)?,
        code: u16::try_from(tokens.number(Token::Code)?).ok()?,
        bytes_sent,
        duration_ms,
        upstream_ms,
        tokens,
    })
}

/// Where the parts of a request stand in its line.
#[derive(Clone, Copy, Debug)]
struct Request {
    method_len: usize,
    protocol_len: usize,
}

/// A row of the plain kind: what every row is asked for is read, all else is where its line has it.
#[derive(Clone, Copy, Debug)]
pub struct PlainRow<'block, 'blanks> {
    tokens: Tokens<'block, 'blanks>,
    start: Timestamp,
    request: Request,
    code: u16,
    bytes_sent: u64,
    duration_ms: Option<u64>,
    upstream_ms: Option<u64>,
}

impl<'block> PlainRow<'block, '_> {
    /// The line's length without its newline.
    #[inline(always)]
    pub(super) fn line_bytes(&self) -> usize {
        self.tokens.blanks.end
    }

    /// All of its fields.
    pub(super) fn read(&self) -> AccessRow<'block> {
        let tokens = self.tokens;
        let text = |token| unset(tokens.text(token).unwrap_or_default());
        let quoted = |token| unset(tokens.quoted(token));
        AccessRow {
            format: AccessFormat::IstioText,
            start: Some(self.start),
            method: unset(self.method()),
            path: unset(self.path_text()),
            protocol: unset(self.protocol()),
            code: self.code,
            flags: text(Token::Flags),
            details: text(Token::Details),
            termination: text(Token::Termination),
            failure_reason: quoted(Token::FailureReason),
            bytes_received: tokens.number(Token::Received).unwrap_or_default(),
            bytes_sent: self.bytes_sent,
            duration_ms: self.duration_ms,
            upstream_ms: self.upstream_ms,
            request_id: quoted(Token::RequestId),
            authority: quoted(Token::Authority),
            user_agent: quoted(Token::UserAgent),
            upstream_host: quoted(Token::UpstreamHost),
            cluster: cluster_name(tokens.text(Token::Cluster).unwrap_or_default()),
            upstream_local: text(Token::UpstreamLocal),
            downstream_local: text(Token::DownstreamLocal),
            downstream_remote: text(Token::DownstreamRemote),
            sni: text(Token::Sni),
            route: text(Token::Route),
            grpc_status: None,
            class_spans: Some(self.class_spans(true)),
        }
    }

    fn method(&self) -> &'block [u8] {
        let start = REQUEST_AT.wrapping_add(1);
        let end = start.wrapping_add(self.request.method_len);
        self.tokens.line.get(start..end).unwrap_or_default()
    }

    /// Where the blank before the protocol stands.
    #[inline(always)]
    fn path_end(&self) -> usize {
        self.protocol_start().wrapping_sub(1)
    }

    #[inline(always)]
    fn protocol_start(&self) -> usize {
        self.tokens
            .end(Token::Request)
            .wrapping_sub(self.request.protocol_len)
            .wrapping_sub(1)
    }

    #[inline(always)]
    fn path_text(&self) -> &'block [u8] {
        let start = REQUEST_AT.wrapping_add(2).wrapping_add(self.request.method_len);
        self.tokens.line.get(start..self.path_end()).unwrap_or_default()
    }

    fn protocol(&self) -> &'block [u8] {
        let end = self.tokens.end(Token::Request).wrapping_sub(1);
        self.tokens
            .line
            .get(self.protocol_start()..end)
            .unwrap_or_default()
    }

    /// The runs of the line that decide how its row is classified.
    #[inline(always)]
    fn class_spans(&self, with_remote: bool) -> [&'block [u8]; 4] {
        let tokens = self.tokens;
        let run = |start, end| tokens.line.get(start..end).unwrap_or_default();
        let addresses_end = if with_remote {
            let remote = tokens.text(Token::DownstreamRemote).unwrap_or_default();
            tokens.end(Token::DownstreamRemote).wrapping_sub(port_len(remote))
        } else {
            tokens.end(Token::DownstreamLocal)
        };
        [
            run(self.protocol_start(), tokens.end(Token::FailureReason)),
            run(tokens.start(Token::Authority), tokens.end(Token::Cluster)),
            run(tokens.start(Token::DownstreamLocal), addresses_end),
            run(tokens.start(Token::Sni), tokens.line.len()),
        ]
    }
}

impl Row for PlainRow<'_, '_> {
    #[inline(always)]
    fn format(&self) -> AccessFormat {
        AccessFormat::IstioText
    }

    #[inline(always)]
    fn start(&self) -> Option<Timestamp> {
        Some(self.start)
    }

    #[inline(always)]
    fn duration_ms(&self) -> Option<u64> {
        self.duration_ms
    }

    #[inline(always)]
    fn upstream_ms(&self) -> Option<u64> {
        self.upstream_ms
    }

    #[inline(always)]
    fn path(&self) -> Option<&[u8]> {
        unset(self.path_text())
    }

    #[inline(always)]
    fn authority(&self) -> Option<&[u8]> {
        unset(self.tokens.quoted(Token::Authority))
    }

    #[inline(always)]
    fn request_id(&self) -> Option<&[u8]> {
        unset(self.tokens.quoted(Token::RequestId))
    }

    #[inline(always)]
    fn upstream_local(&self) -> Option<&[u8]> {
        unset(self.tokens.text(Token::UpstreamLocal).unwrap_or_default())
    }

    #[inline(always)]
    fn upstream_host(&self) -> Option<&[u8]> {
        unset(self.tokens.quoted(Token::UpstreamHost))
    }

    #[inline(always)]
    fn downstream_local(&self) -> Option<&[u8]> {
        unset(self.tokens.text(Token::DownstreamLocal).unwrap_or_default())
    }

    #[inline(always)]
    fn downstream_remote(&self) -> Option<&[u8]> {
        unset(self.tokens.text(Token::DownstreamRemote).unwrap_or_default())
    }

    #[inline(always)]
    fn class_bytes(&self) -> ClassBytes<'_> {
        let cluster = self.tokens.text(Token::Cluster).unwrap_or_default();
        let inbound = cluster_name(cluster).is_none_or(is_inbound);
        let text = |token| unset(self.tokens.text(token).unwrap_or_default());
        let from_upstream = self.code >= 400 && is_from_upstream(text(Token::Details), || text(Token::Flags));
        ClassBytes {
            inbound,
            grpc_status: None,
            error_body: from_upstream.then_some(self.bytes_sent),
            spans: Some(self.class_spans(inbound)),
        }
    }

    #[cold]
    fn full(&self) -> AccessRow<'_> {
        self.read()
    }
}

/// Reads a request whose method is short and whose protocol is plain.
#[inline(always)]
fn read_request(tokens: Tokens<'_, '_>) -> Option<Request> {
    const PROTOCOL: u64 = u64::from_le_bytes(*b"HTTP/1.0");
    let text = tokens
        .line
        .get(REQUEST_AT.wrapping_add(1)..tokens.end(Token::Request).wrapping_sub(1))?;
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
    // The blank after the method may be that before the protocol only if there is no path at all, which is none of this kind.
    (method_len < blank && *text.get(method_len)? == b' ').then_some(Request {
        method_len,
        protocol_len,
    })
}

/// Which byte of a little-endian word is the first blank; 8 if none is.
#[inline(always)]
fn first_blank(word: u64) -> usize {
    let differ = word ^ u64::from_le_bytes([b' '; 8]);
    // The lowest byte that is zero is marked right; borrows reach only those above it.
    let zeros = differ.wrapping_sub(0x0101_0101_0101_0101) & !differ & 0x8080_8080_8080_8080;
    (zeros.trailing_zeros() / 8) as usize
}

/// Bytes of `:<port>` at the end of an address.
#[inline(always)]
fn port_len(address: &[u8]) -> usize {
    if let Some(last) = address.last_chunk::<8>() {
        let word = u64::from_le_bytes(*last);
        let others = other_than_digits(word);
        if others != 0 {
            // The last byte that is no digit, of those of the word the highest.
            let digits = (others.leading_zeros() / 8) as usize;
            let byte = last.get(7_usize.wrapping_sub(digits));
            return if byte == Some(&b':') {
                digits.wrapping_add(1)
            } else {
                0
            };
        }
    }
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
        let mut blanks = Blanks::default();
        let row = decode(line, &mut MinuteCache::default(), scanner, &mut blanks)?;
        let full = row.read();
        check_parts(&row, &full);
        Some((full, row.line_bytes()))
    }

    /// What is read of a row by parts is what all of it says.
    fn check_parts(row: &PlainRow<'_, '_>, full: &AccessRow<'_>) {
        assert_eq!(row.format(), full.format);
        assert_eq!(row.start(), full.start);
        assert_eq!(
            (row.duration_ms(), row.upstream_ms()),
            (full.duration_ms, full.upstream_ms)
        );
        assert_eq!(
            [
                row.path(),
                row.authority(),
                row.request_id(),
                row.upstream_local()
            ],
            [full.path, full.authority, full.request_id, full.upstream_local]
        );
        assert_eq!(
            [
                row.upstream_host(),
                row.downstream_local(),
                row.downstream_remote()
            ],
            [full.upstream_host, full.downstream_local, full.downstream_remote]
        );
        assert_eq!(row.class_bytes(), full.class_bytes());
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

    fn plain_port_len(address: &[u8]) -> usize {
        match address.iter().rposition(|byte| !byte.is_ascii_digit()) {
            Some(at) if address[at] == b':' => address.len() - at,
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn ports_are_cut_off_alike(address in "[0-9.:]{0,24}|[ -~]{0,12}:?[0-9]{0,12}|\\PC{0,6}") {
            prop_assert_eq!(port_len(address.as_bytes()), plain_port_len(address.as_bytes()));
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
