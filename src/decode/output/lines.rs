//! Single lines of saved output.

use super::{Fact, HostState, Mtls, Sync};
use crate::units::Timestamp;
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// Longest name that is kept.
const NAME_BYTES_MAX: usize = 253;

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(NAME_BYTES_MAX)).unwrap_or(bytes)).into_owned()
}

/// The cells of a row of a table: two blanks or more, or tabs, part them.
pub(super) fn cells(line: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let end = memmem::find(rest, b"  ")
            .into_iter()
            .chain(memchr(b'\t', rest))
            .min()
            .unwrap_or(rest.len());
        let (cell, more) = rest.split_at(end);
        found.push(cell);
        rest = more.trim_ascii_start();
    }
    found
}

/// Levels of Envoy's loggers (envoyproxy/envoy `source/common/common/base_logger.h`).
const LEVELS: [&[u8]; 7] = [
    b"trace",
    b"debug",
    b"info",
    b"warning",
    b"error",
    b"critical",
    b"off",
];

/// `connection: debug`.
pub(super) fn logger_line(line: &[u8]) -> Option<Fact> {
    let (name, level) = line.split_at_checked(memmem::find(line, b": ")?)?;
    let level = level.get(2..)?;
    LEVELS.contains(&level).then(|| Fact::Logger {
        name: text(name),
        level: text(level),
    })
}

/// The cell of a column. Rows with fewer cells than columns have lost some in the middle: only what stands before
/// them is sure, so those are told by the first column.
pub(super) fn column<'row>(columns: &[Vec<u8>], cells: &[&'row [u8]], name: &str) -> Option<&'row [u8]> {
    let at = columns.iter().position(|column| column == name.as_bytes())?;
    (cells.len() >= columns.len() || at == 0).then(|| cells.get(at).copied())?
}

/// Without the codes that colour a terminal's text (`ESC [ ... m`).
pub(super) fn without_colours(line: &[u8]) -> Cow<'_, [u8]> {
    if memchr(0x1b, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut plain = Vec::with_capacity(line.len());
    let mut parts = line.split(|byte| *byte == 0x1b);
    plain.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let code = part.strip_prefix(b"[").and_then(|code| {
            let end = memchr(b'm', code)?;
            let (digits, _) = code.split_at(end);
            digits
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b';')
                .then(|| code.get(end.saturating_add(1)..))?
        });
        plain.extend_from_slice(code.unwrap_or(part));
    }
    Cow::Owned(plain)
}

/// The scope of a line of one of Istio's programs: the third column, or the member of that name.
pub(super) fn scope(line: &[u8]) -> Option<&[u8]> {
    if line.starts_with(b"{") {
        let at = memmem::find(line, b"\"scope\":\"")?;
        let rest = line.get(at.checked_add(9)?..)?;
        return rest.get(..memchr(b'"', rest)?);
    }
    let mut columns = line.split(|byte| *byte == b'\t');
    let dated = columns.next()?.first()?.is_ascii_digit();
    let (level, scope) = (columns.next()?, columns.next()?);
    columns.next()?;
    (dated && level.iter().all(u8::is_ascii_lowercase)).then_some(scope)
}

/// `Error [IST0101] (VirtualService default/ratings) Referenced host not found: "x"`.
pub(super) fn analyze_line(line: &[u8]) -> Option<Fact> {
    let line = without_colours(line);
    let (level, rest) = line.split_at(memchr(b' ', &line)?);
    if !matches!(level, b"Info" | b"Warning" | b"Error") {
        return None;
    }
    let rest = rest.strip_prefix(b" [")?;
    let (code, rest) = rest.split_at(memchr(b']', rest)?);
    let digits = code.strip_prefix(b"IST")?;
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut rest = rest.get(1..)?.trim_ascii_start();
    if rest.starts_with(b"[cluster-") {
        rest = rest
            .get(memchr(b']', rest)?.checked_add(1)?..)?
            .trim_ascii_start();
    }
    let subject = rest
        .strip_prefix(b"(")
        .and_then(|rest| rest.get(..memchr(b')', rest)?))
        .unwrap_or_default();
    Some(Fact::Message {
        code: text(code),
        subject: text(subject),
        severe: level != b"Info",
    })
}

/// `<cluster>::<host>::<stat>::<value>`, `<cluster>::<setting>::<value>`.
pub(super) fn clusters_line(line: &[u8]) -> Option<Fact> {
    let (cluster, rest) = line.split_at(memmem::find(line, b"::")?);
    let rest = rest.get(2..)?;
    // A host may be IPv6 (`[::1]:80`): what counts stands at the end.
    let (before, value) = rest.split_at(memmem::rfind(rest, b"::")?);
    let value = value.get(2..)?;
    // Names of clusters have none of these, and lines of logs do.
    if cluster.is_empty()
        || cluster
            .iter()
            .any(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'[' | b'{'))
    {
        return None;
    }
    let cluster = text(cluster.strip_suffix(b";").unwrap_or(cluster));
    if before.ends_with(b"::health_flags") {
        let flags = || value.split(|byte| *byte == b'/').filter(|flag| !flag.is_empty());
        let state = if value == b"healthy" {
            HostState::Healthy
        } else if flags().any(|flag| flag == b"failed_outlier_check") {
            HostState::Ejected
        } else {
            HostState::Unhealthy
        };
        return Some(Fact::Host { cluster, state });
    }
    Some(Fact::Cluster { cluster })
}

/// A row of `istioctl proxy-status`: the worst of the cells between the name and istiod.
pub(super) fn proxy_row(columns: &[Vec<u8>], cells: &[&[u8]]) -> Option<Fact> {
    let name = text(cells.first()?);
    // `pod.namespace`.
    memchr(b'.', name.as_bytes())?;
    let told = columns.iter().any(|column| column == b"CDS");
    let worst = cells.iter().skip(1).map(|cell| match *cell {
        b"ERROR" => Sync::Refused,
        cell if cell.starts_with(b"STALE (Never") => Sync::Refused,
        cell if cell.starts_with(b"STALE") => Sync::Stale,
        _ => Sync::Synced,
    });
    let sync = if told {
        worst.max().unwrap_or(Sync::Synced)
    } else {
        Sync::Untold
    };
    Some(Fact::Proxy { name, sync })
}

/// A row of `istioctl proxy-config endpoint`.
pub(super) fn endpoint_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    let state = if cell("OUTLIER CHECK") == Some(b"FAILED") {
        HostState::Ejected
    } else if cell("STATUS")? == b"HEALTHY" {
        HostState::Healthy
    } else {
        HostState::Unhealthy
    };
    Some(Fact::Host {
        cluster: text(cell("CLUSTER")?),
        state,
    })
}

/// A row of `istioctl proxy-config secret`.
pub(super) fn secret_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    Some(Fact::Certificate {
        name: text(cell("RESOURCE NAME").or_else(|| cell("CERTIFICATE NAME"))?),
        not_after: time(cell("NOT AFTER")?)?,
        valid: cell("VALID CERT")? == b"true",
    })
}

/// A line of Envoy's `/certs`: `"expiration_time": "2026-11-02T03:12:44Z"`.
pub(super) fn certs_line(line: &[u8]) -> Option<Fact> {
    let rest = line.strip_prefix(b"\"expiration_time\":")?.trim_ascii();
    let value = rest.trim_ascii_end().strip_suffix(b",").unwrap_or(rest);
    let value = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(Fact::Certificate {
        name: "certificate".to_owned(),
        not_after: time(value)?,
        valid: true,
    })
}

/// Restarts that are worth a remark. A guess: pods restart now and then.
const RESTARTS_MIN: u64 = 3;

/// A row of `kubectl get pods`.
pub(super) fn pod_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    let name = text(cell("NAME")?);
    let status = cell("STATUS")?;
    let restarts = cell("RESTARTS")?;
    let restarts: u64 = std::str::from_utf8(restarts.split(|byte| *byte == b' ').next()?)
        .ok()?
        .parse()
        .ok()?;
    let ready = cell("READY")?;
    let (up, all) = ready.split_at(memchr(b'/', ready)?);
    let all_ready = all.get(1..)? == up;
    let trouble = match status {
        b"Completed" | b"Succeeded" => String::new(),
        b"Running" if all_ready && restarts < RESTARTS_MIN => String::new(),
        b"Running" if all_ready => format!("{restarts} restarts"),
        b"Running" => format!("{} ready", text(ready)),
        other => text(other),
    };
    Some(Fact::Pod { name, trouble })
}

/// A row of `istioctl authn tls-check`: `ratings.default.svc.cluster.local:9080  CONFLICT  mTLS  HTTP  default/  -`.
pub(super) fn tls_check_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    let subject = text(cell("HOST:PORT")?);
    let mode = match (cell("STATUS")?, cell("SERVER")?) {
        (b"CONFLICT", _) => Mtls::Conflict,
        (b"OK", b"mTLS" | b"STRICT") => Mtls::Strict,
        (b"OK", b"HTTP" | b"DISABLE") => Mtls::Disabled,
        (b"OK", _) => Mtls::Permissive,
        _ => return None,
    };
    Some(Fact::Mtls { subject, mode })
}

/// A row of `kubectl get events`.
pub(super) fn event_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    let warning = cell("TYPE")? == b"Warning";
    let (object, reason) = (text(cell("OBJECT")?), text(cell("REASON")?));
    // Most such tables give ages, which say nothing without the time of the command.
    let at = ["LAST SEEN", "LASTSEEN", "TIME"]
        .into_iter()
        .find_map(|name| time(cell(name)?));
    match at {
        Some(at) => Some(Fact::Happened {
            object,
            reason,
            at,
            warning,
        }),
        None => warning.then_some(Fact::Event { object, reason }),
    }
}

/// `2026-11-02T03:12:44Z`, the only form in which these outputs write times.
fn time(value: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = value.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !marks.iter().all(|(at, mark)| value.get(*at) == Some(mark)) || value.last() != Some(&b'Z') {
        return None;
    }
    Timestamp::from_civil(
        i32::try_from(number(0, 4)?).ok()?,
        number(5, 7)?,
        number(8, 10)?,
        number(11, 13)?,
        number(14, 16)?,
        number(17, 19)?,
        0,
    )
}
