//! Requests with their answers: which of them are kept, and the times of all.

use crate::streams::application::{Moment, elapsed_ns};
use crate::streams::record::{
    Exchange, HttpFacts, MAX_EXCHANGE_TIMES, MAX_EXCHANGES, MAX_TIMED, ResponseTime, TimedExchange,
    request_id_hash,
};
use std::borrow::Cow;
use std::cmp::Reverse;

/// Bytes that are kept of a method.
const MAX_METHOD: usize = 16;
/// Bytes that are kept of a path.
const MAX_PATH: usize = 120;
/// Bytes that are kept of a request id, a host name, a user agent.
const MAX_VALUE: usize = 120;
/// Methods that are counted by name.
const MAX_METHODS: usize = 16;
/// Numbers of status, of errors, that are counted apart.
pub(super) const MAX_CODES: usize = 64;
/// Exchanges whose memory is used again.
const MAX_SPARE: usize = 4;

/// What HTTP of any version adds to.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Keep when each took place.
    passages: bool,
    pub(super) facts: Box<HttpFacts>,
    kept: Vec<Exchange>,
    /// The place in `kept` of what is given up first, where all places are taken.
    weakest: usize,
    times: Vec<ResponseTime>,
    timed: Vec<TimedExchange>,
    left_out: u64,
    spare: Vec<Exchange>,
}

impl Exchanges {
    /// None so far.
    pub(super) fn new(passages: bool) -> Self {
        Self {
            passages,
            ..Self::default()
        }
    }

    /// A request whose method and path are still empty.
    pub(super) fn begin(&mut self, request: Moment, idle_before_ns: Option<u64>) -> Exchange {
        let mut exchange = self.spare.pop().unwrap_or_else(|| empty(request));
        exchange.method = Cow::Borrowed("");
        exchange.path.clear();
        exchange.request_id = None;
        Exchange {
            request,
            request_end: None,
            response: None,
            response_end: None,
            idle_before_ns,
            code: None,
            grpc_status: None,
            ..exchange
        }
    }

    /// Counts a request by its method, which is written to `exchange` together with the path of `target`.
    pub(super) fn request_line(&mut self, exchange: &mut Exchange, method: &[u8], target: &[u8]) {
        exchange.method = method_name(method);
        push_text(&mut exchange.path, path_of(target), MAX_PATH);
        let methods = &mut self.facts.methods;
        if let Some(count) = methods.get_mut(&*exchange.method) {
            *count += 1;
        } else if methods.len() < MAX_METHODS && !exchange.method.is_empty() {
            methods.insert(exchange.method.clone().into_owned(), 1);
        }
    }

    pub(super) fn response_code(&mut self, code: u16) {
        count(&mut self.facts.responses_by_code, code);
    }

    pub(super) fn grpc_status(&mut self, status: u32) {
        count(&mut self.facts.grpc_by_status, status);
    }

    /// An exchange that is over: answered, or it never will be.
    pub(super) fn end(&mut self, exchange: Exchange) {
        if exchange.response.is_none() {
            self.facts.unanswered += 1;
        }
        if let (Some(ns), Some(asked)) = (response_ns(&exchange), exchange.request.0)
            && self.times.len() < MAX_EXCHANGE_TIMES
        {
            let second = asked.secs();
            self.times.push(ResponseTime { second, ns });
        }
        if self.passages && self.timed.len() < MAX_TIMED {
            self.timed.extend(timed(&exchange));
        }
        if self.kept.len() < MAX_EXCHANGES {
            self.kept.push(exchange);
            self.find_weakest();
            return;
        }
        self.left_out += 1;
        let given_up = match self.kept.get_mut(self.weakest) {
            Some(weakest) if worth(&exchange) > worth(weakest) => std::mem::replace(weakest, exchange),
            _ => return self.reuse(exchange),
        };
        self.find_weakest();
        self.reuse(given_up);
    }

    /// An exchange of which nobody can tell whether it was answered.
    pub(super) fn left_out(&mut self, exchanges: u64) {
        self.left_out += exchanges;
    }

    fn reuse(&mut self, exchange: Exchange) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(exchange);
        }
    }

    fn find_weakest(&mut self) {
        if self.kept.len() == MAX_EXCHANGES {
            self.weakest = self
                .kept
                .iter()
                .enumerate()
                .min_by_key(|(place, exchange)| (worth(exchange), Reverse(*place)))
                .map_or(0, |(place, _)| place);
        }
    }

    /// Facts, exchanges in order, times, and how many exchanges are not kept.
    pub(super) fn finish(mut self) -> Finished {
        self.kept.sort_by_key(|exchange| exchange.request.1);
        Finished {
            facts: self.facts,
            kept: self.kept,
            times: self.times,
            timed: self.timed,
            left_out: self.left_out,
        }
    }
}

/// What is left of the exchanges of a connection.
pub(super) struct Finished {
    pub(super) facts: Box<HttpFacts>,
    /// In order of their requests.
    pub(super) kept: Vec<Exchange>,
    pub(super) times: Vec<ResponseTime>,
    pub(super) timed: Vec<TimedExchange>,
    /// Exchanges that are not in `kept`.
    pub(super) left_out: u64,
}

fn timed(exchange: &Exchange) -> Option<TimedExchange> {
    let (asked, at) = exchange.request;
    Some(TimedExchange {
        asked_ns: asked?.0,
        sent_ns: exchange.request_end.map(|(time, _)| time.0),
        answered_ns: exchange.response.and_then(|(time, _)| time).map(|time| time.0),
        ended_ns: exchange.response_end.map(|(time, _)| time.0),
        request_id: exchange
            .request_id
            .as_deref()
            .map(|id| request_id_hash(id.as_bytes())),
        code: exchange.code,
        at,
    })
}

fn empty(request: Moment) -> Exchange {
    Exchange {
        request,
        request_end: None,
        response: None,
        response_end: None,
        idle_before_ns: None,
        method: Cow::Borrowed(""),
        path: String::new(),
        request_id: None,
        code: None,
        grpc_status: None,
    }
}

/// From the last byte of the request, or the first where the answer did not wait for the last, to the first byte of the
/// answer.
fn response_ns(exchange: &Exchange) -> Option<u64> {
    let (answered, _) = exchange.response?;
    let answered = answered?;
    let (first, _) = exchange.request;
    let last = exchange
        .request_end
        .map(|(time, _)| time)
        .filter(|time| *time <= answered);
    elapsed_ns(last.or(first), Some(answered))
}

/// What makes an exchange worth keeping: failed, refused, slow.
fn worth(exchange: &Exchange) -> (u8, u64) {
    let failed = match (exchange.code, exchange.grpc_status) {
        _ if exchange.response.is_none() => 3,
        (_, Some(1..)) | (Some(500..), _) => 2,
        (Some(400..), _) => 1,
        _ => 0,
    };
    let end = exchange.response_end.map(|(time, _)| time);
    let whole = elapsed_ns(exchange.request.0, end).or_else(|| response_ns(exchange));
    (failed, whole.unwrap_or(0))
}

/// One more of `code`; codes beyond [`MAX_CODES`] different ones are not counted.
pub(super) fn count<Code: Ord>(counts: &mut std::collections::BTreeMap<Code, u64>, code: Code) {
    if let Some(count) = counts.get_mut(&code) {
        *count += 1;
    } else if counts.len() < MAX_CODES {
        counts.insert(code, 1);
    }
}

/// A value as text: lossily as UTF-8, and cut.
pub(super) fn text(value: &[u8]) -> String {
    let mut text = String::new();
    push_text(&mut text, value, MAX_VALUE);
    text
}

/// A method as text. Those of RFC 9110 section 9.3 and RFC 5789, which nearly all are, take no memory.
fn method_name(method: &[u8]) -> Cow<'static, str> {
    Cow::Borrowed(match method {
        b"GET" => "GET",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"HEAD" => "HEAD",
        b"OPTIONS" => "OPTIONS",
        b"PATCH" => "PATCH",
        b"CONNECT" => "CONNECT",
        b"TRACE" => "TRACE",
        _ => {
            let mut text = String::new();
            push_text(&mut text, method, MAX_METHOD);
            return Cow::Owned(text);
        }
    })
}

fn push_text(text: &mut String, value: &[u8], most: usize) {
    let value = value.get(..most).unwrap_or(value);
    match std::str::from_utf8(value) {
        // Exactly as long as needed: most are written once.
        Ok(value) if text.capacity() == 0 => value.clone_into(text),
        Ok(value) => text.push_str(value),
        // A character that the limit cuts is left out.
        Err(error) if error.error_len().is_none() => {
            let whole = value.get(..error.valid_up_to()).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(whole));
        }
        Err(_) => text.push_str(&String::from_utf8_lossy(value)),
    }
}

/// The path of a request target without its query (RFC 9112 section 3.2).
fn path_of(target: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'?', b'#', target);
    let target = end.and_then(|end| target.get(..end)).unwrap_or(target);
    if target.starts_with(b"/") {
        return target;
    }
    let Some(scheme) = memchr::memmem::find(target.get(..16).unwrap_or(target), b"://") else {
        return target;
    };
    let authority = target.get(scheme + 3..).unwrap_or_default();
    memchr::memchr(b'/', authority)
        .and_then(|slash| authority.get(slash..))
        .unwrap_or(b"/")
}

#[cfg(test)]
mod tests {
    use super::{Exchanges, Finished, path_of, text};
    use crate::decode::packet::FrameRef;
    use crate::streams::record::MAX_EXCHANGES;
    use crate::units::{InputId, Timestamp};

    fn at(frame: u64) -> FrameRef {
        FrameRef {
            input: InputId(0),
            frame,
        }
    }

    #[test]
    fn failed_and_slow_exchanges_are_kept() {
        let mut exchanges = Exchanges::new(true);
        for number in 0..100_u64 {
            let start = i64::try_from(number).unwrap() * 1_000_000;
            let mut exchange = exchanges.begin((Some(Timestamp(start)), at(number)), None);
            exchanges.request_line(&mut exchange, b"GET", b"/a?b");
            if number != 50 {
                let duration = if number == 60 { 900_000 } else { 1000 };
                exchange.response = Some((Some(Timestamp(start + duration)), at(number)));
                exchange.code = Some(if number == 70 { 503 } else { 200 });
            }
            exchanges.end(exchange);
        }
        let Finished {
            facts,
            kept,
            times,
            timed,
            left_out,
        } = exchanges.finish();
        assert_eq!((kept.len(), left_out, times.len()), (MAX_EXCHANGES, 68, 99));
        assert_eq!(timed.len(), 100, "those without an answer too");
        assert_eq!((facts.unanswered, facts.methods["GET"]), (1, 100));
        let frames: Vec<u64> = kept.iter().map(|exchange| exchange.request.1.frame).collect();
        assert!(frames.is_sorted());
        for number in [0, 50, 60, 70] {
            assert!(frames.contains(&number), "{number} is worth keeping");
        }
        assert!(kept.iter().all(|exchange| exchange.path == "/a"));
    }

    #[test]
    fn paths_and_values() {
        assert_eq!(path_of(b"/a/b?c=/d"), b"/a/b");
        assert_eq!(path_of(b"http://host:80/a?b"), b"/a");
        assert_eq!(path_of(b"https://host"), b"/");
        assert_eq!(path_of(b"host:443"), b"host:443");
        assert_eq!(path_of(b"*"), b"*");
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(text("é".repeat(100).as_bytes()), "é".repeat(60));
    }
}
