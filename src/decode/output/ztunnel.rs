//! Connections in the log of a ztunnel: one line for each that is over, as an access row of a TCP connection.
//!
//! Source: istio/ztunnel `src/proxy/metrics.rs`, `src/telemetry.rs` (layout since 1.22): `connection complete` and then
//! `key=value`, or one JSON object with the same keys. A ztunnel writes for the workloads of its node: the row belongs to the
//! workload at its end.

use crate::decode::log::{AccessFormat, AccessRow, ComponentLine};
use memchr::{memchr, memchr2, memmem};

/// A connection, and the workload whose ztunnel wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'block> {
    /// The row. What stands in `error` is its [`AccessRow::termination`].
    pub row: AccessRow<'block>,
    /// Pod at this end, where it is known.
    pub workload: Option<&'block [u8]>,
}

/// The connection of a line: `line` as it was decoded, `raw` as it stands in the log.
pub fn connection<'block>(line: &ComponentLine<'block>, raw: &'block [u8]) -> Option<Connection<'block>> {
    let message = line
        .message
        .strip_prefix(b"access ")
        .unwrap_or(line.message)
        .trim_ascii_start();
    if !(message.starts_with(b"connection complete") || message.starts_with(b"connection failed")) {
        return None;
    }
    let fields = if memchr(b'=', message).is_some() {
        Fields {
            text: message,
            json: false,
        }
    } else {
        Fields {
            text: raw.get(memmem::find(raw, b"{\"")?..)?,
            json: true,
        }
    };
    let inbound = match fields.get(b"direction")? {
        b"inbound" => true,
        b"outbound" => false,
        _ => return None,
    };
    let target = fields.get(b"dst.hbone_addr").or_else(|| fields.get(b"dst.addr"));
    let source = fields.get(b"src.addr");
    let duration_ms = fields.get(b"duration").and_then(milliseconds);
    let error = fields.get(b"error");
    let row = AccessRow {
        start: line.time.map(|time| time.minus_millis(duration_ms.unwrap_or(0))),
        termination: error,
        bytes_received: fields.get(b"bytes_recv").and_then(number).unwrap_or(0),
        bytes_sent: fields.get(b"bytes_sent").and_then(number).unwrap_or(0),
        duration_ms,
        authority: fields.get(b"dst.service"),
        upstream_host: target,
        // There is no cluster: this says which end wrote the row.
        cluster: Some(if inbound { b"inbound" } else { b"outbound" }),
        // The caller's address stays the source of the connection to the called workload.
        upstream_local: source.filter(|_| error.is_none()),
        downstream_local: target,
        downstream_remote: source,
        ..AccessRow::empty(AccessFormat::Ztunnel)
    };
    let workload: &[u8] = if inbound { b"dst.workload" } else { b"src.workload" };
    Some(Connection {
        row,
        workload: fields.get(workload),
    })
}

/// `1289ms`, as ztunnel writes all durations.
fn milliseconds(value: &[u8]) -> Option<u64> {
    number(value.strip_suffix(b"ms")?)
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The values of a line by their keys.
#[derive(Clone, Copy)]
struct Fields<'block> {
    text: &'block [u8],
    json: bool,
}

impl<'block> Fields<'block> {
    /// The value of a key as written between its quotes, if it has any; none where it is empty.
    fn get(&self, key: &[u8]) -> Option<&'block [u8]> {
        let mut from = 0_usize;
        loop {
            let rest = self.text.get(from..)?;
            let at = memmem::find(rest, key)?;
            let before = at.checked_sub(1).and_then(|before| rest.get(before));
            let after = rest.get(at.checked_add(key.len())?..)?;
            let value = if self.json {
                before
                    .filter(|byte| **byte == b'"')
                    .and(after.strip_prefix(b"\":"))
            } else {
                before
                    .filter(|byte| matches!(byte, b' ' | b'\t'))
                    .and(after.strip_prefix(b"="))
            };
            match value {
                Some(value) => return written(value.trim_ascii_start()).filter(|value| !value.is_empty()),
                None => from = from.checked_add(at)?.checked_add(key.len())?,
            }
        }
    }
}

/// A value up to its closing quote, or up to what ends a bare one.
fn written(text: &[u8]) -> Option<&[u8]> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b',' | b'}'));
        return text.get(..end.unwrap_or(text.len()));
    };
    let mut at = 0_usize;
    loop {
        let next = memchr2(b'"', b'\\', quoted.get(at..)?)?.checked_add(at)?;
        if quoted.get(next) == Some(&b'"') {
            return quoted.get(..next);
        }
        at = next.checked_add(2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::log::{Content, LogDecoder};

    const DENIED: &str = "2024-10-30T11:49:40.421833Z\terror\taccess\tconnection complete\tsrc.addr=192.168.240.64:55909 \
        dst.addr=192.168.14.30:5050 dst.service=\"private.api.svc.cluster.local\" dst.workload=\"operator-68cc96bd7b-vfkgk\" \
        dst.namespace=\"api\" direction=\"inbound\" bytes_sent=0 bytes_recv=0 duration=\"0ms\" \
        error=\"connection closed due to policy rejection: allow policies exist, but none allowed\"";

    const BLOCKED: &str = "2024-07-26T17:18:00.953004Z     error   access  connection complete     src.addr=10.244.0.9:58592 \
        src.workload=\"shell-56bd5dbdbf-gz6cq\" dst.addr=10.244.0.10:15008 dst.hbone_addr=10.244.0.10:80 \
        dst.service=\"echo.default.svc.cluster.local\" dst.workload=\"echo-66d88ff694-pnk6h\" direction=\"outbound\" \
        bytes_sent=0 bytes_recv=0 duration=\"10002ms\" error=\"connection timed out, maybe a NetworkPolicy is blocking \
        HBONE port 15008: deadline has elapsed\"";

    const JSON: &str = r#"{"level":"info","time":"2026-08-10T08:19:58.950669Z","scope":"access","message":"connection complete","src.addr":"10.244.0.6:57866","src.workload":"client-7fc85576c4-h95l5","dst.addr":"10.244.0.7:15008","dst.hbone_addr":"10.244.0.7:18080","dst.service":"http-service.default.svc.cluster.local","dst.workload":"server-1","direction":"outbound","bytes_sent":16,"bytes_recv":21,"duration":"3ms"}"#;

    /// Workload and what the row says, `-` for what it does not.
    fn of(line: &str) -> Option<String> {
        let text =
            |value: Option<&[u8]>| value.map_or("-".to_owned(), |value| value.escape_ascii().to_string());
        let mut found = None;
        LogDecoder::default().decode_block(line.as_bytes(), &mut |at, decoded| {
            if let Content::Component(message) = &decoded.content
                && let Some(Connection { row, workload }) = connection(message, at.text)
            {
                found = Some(format!(
                    "{} {} {} {} > {} ({}) from {} {:?}ms {}/{} {}",
                    row.start.unwrap(),
                    text(workload),
                    text(row.cluster),
                    text(row.downstream_remote),
                    text(row.upstream_host),
                    text(row.authority),
                    text(row.upstream_local),
                    row.duration_ms.unwrap(),
                    row.bytes_sent,
                    row.bytes_received,
                    text(row.termination),
                ));
                assert_eq!(
                    (row.protocol, row.method, row.flags, row.code),
                    (None, None, None, 0)
                );
            }
        });
        found
    }

    #[test]
    fn connections_are_rows() {
        assert_eq!(
            of(DENIED).unwrap(),
            "2024-10-30T11:49:40.421833Z operator-68cc96bd7b-vfkgk inbound 192.168.240.64:55909 > 192.168.14.30:5050 \
             (private.api.svc.cluster.local) from - 0ms 0/0 connection closed due to policy rejection: allow policies \
             exist, but none allowed"
        );
        assert_eq!(
            of(BLOCKED).unwrap(),
            "2024-07-26T17:17:50.951004Z shell-56bd5dbdbf-gz6cq outbound 10.244.0.9:58592 > 10.244.0.10:80 \
             (echo.default.svc.cluster.local) from - 10002ms 0/0 connection timed out, maybe a NetworkPolicy is \
             blocking HBONE port 15008: deadline has elapsed"
        );
        assert_eq!(
            of(JSON).unwrap(),
            "2026-08-10T08:19:58.947669Z client-7fc85576c4-h95l5 outbound 10.244.0.6:57866 > 10.244.0.7:18080 \
             (http-service.default.svc.cluster.local) from 10.244.0.6:57866 3ms 16/21 -"
        );
        // Wrapped by a container runtime, and with a quote within the error.
        let wrapped =
            format!("2026-08-10T08:19:59Z stdout F {JSON}").replace('}', ",\"error\":\"no \\\"x\\\"\"}");
        assert!(
            of(&wrapped).unwrap().ends_with(r#" no \\\"x\\\""#),
            "{:?}",
            of(&wrapped)
        );
    }

    #[test]
    fn what_is_no_connection() {
        for line in [
            "2024-10-30T11:49:40.421833Z\tdebug\taccess\tconnection opened\tsrc.addr=1.1.1.1:1 direction=\"inbound\"",
            "2024-10-30T11:49:40.421833Z\tinfo\taccess\tconnection complete\tsrc.addr=1.1.1.1:1",
            "2024-10-30T11:49:40.421833Z\tinfo\taccess\tconnection complete\tdirection=\"sideways\"",
            "2024-10-30T11:49:40.421833Z\tinfo\taccess\tconnection complete\tdirection=\"inbound",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
