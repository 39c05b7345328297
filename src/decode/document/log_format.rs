//! Formats of access logs in the configuration of a proxy: `/config_dump`, `istioctl proxy-config listener -o json`.
//!
//! Each filter chain of each listener has the whole of it, so that access logs are left out of the objects that are built. What is the
//! same everywhere is looked for in the text.
//!
//! Source: envoyproxy/envoy `api/envoy/config/core/v3/substitution_format_string.proto`.

use super::facts::{Said, Statement};
use super::tree::Starts;
use memchr::memmem;
use serde_json::Value;
use std::collections::BTreeSet;

/// Formats kept of one document.
const FORMATS_MAX: usize = 16;

/// Bytes in which a format must end.
const FORMAT_BYTES_MAX: usize = 64 << 10;

/// Adds the formats that a JSON document gives, each once.
pub(super) fn read(data: &[u8], starts: &Starts, out: &mut Vec<Said>) {
    let mut seen = BTreeSet::new();
    let mut last: &[u8] = b"";
    for mark in [&b"\"log_format\""[..], b"\"logFormat\""] {
        for at in memmem::find_iter(data, mark) {
            let after = at.saturating_add(mark.len());
            let rest = data.get(after..).unwrap_or_default();
            // Most are what the one before is.
            if !last.is_empty() && rest.starts_with(last) {
                continue;
            }
            let rest = rest.get(..FORMAT_BYTES_MAX).unwrap_or(rest);
            let Some((value, len)) = value(rest) else { continue };
            last = rest.get(..len).unwrap_or_default();
            if let Some(format) = format(&value)
                && seen.len() < FORMATS_MAX
                && seen.insert(format.clone())
            {
                out.push(Said {
                    line: starts.at(at),
                    statement: Statement::AccessLogFormat(format),
                });
            }
        }
    }
}

/// The value of a member whose name stands before `text`, and where it ends.
fn value(text: &[u8]) -> Option<(Value, usize)> {
    let object = memchr::memchr(b'{', text)?;
    let between = text.get(..object)?.trim_ascii();
    if between != b":" {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(text.get(object..)?).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, object.saturating_add(values.byte_offset())))
}

/// The format string, of either spelling of its members; one of JSON as its text.
fn format(value: &Value) -> Option<String> {
    let text = |path: &str| value.pointer(path)?.as_str().map(str::to_owned);
    text("/text_format_source/inline_string")
        .or_else(|| text("/textFormatSource/inlineString"))
        .or_else(|| text("/text_format"))
        .or_else(|| text("/textFormat"))
        .or_else(|| {
            let json = value.get("json_format").or_else(|| value.get("jsonFormat"))?;
            json.is_object().then(|| json.to_string())
        })
}
