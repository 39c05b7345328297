//! Values that both Envoy and Kubernetes write.

use super::facts::NAME_BYTES_MAX;
use crate::decode::output::Fact;
use crate::units::Timestamp;
use data_encoding::{BASE64, BASE64_MIME_PERMISSIVE};
use x509_parser::pem::Pem;

/// Certificates kept of one chain.
const CHAIN_MAX: usize = 8;

/// A name within its bound.
pub(super) fn name(text: &str) -> String {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// RFC 3339.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

/// `10s`, `0.250s` of Envoy; `1h5m`, `250ms` of Istio.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum_us: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, more) = after.split_at_checked(letters)?;
        let unit_us: u64 = match unit {
            "h" => 3_600_000_000,
            "m" => 60_000_000,
            "s" => 1_000_000,
            "ms" => 1_000,
            "us" => 1,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().ok()?;
        if part.contains('.') {
            return None;
        }
        sum_us = sum_us.saturating_add(whole.saturating_mul(unit_us));
        let mut digit_us = unit_us;
        for digit in part.bytes().take(9) {
            digit_us = digit_us.checked_div(10).unwrap_or(0);
            sum_us = sum_us.saturating_add(digit_us.saturating_mul(u64::from(digit.wrapping_sub(b'0'))));
        }
        rest = more;
    }
    sum_us.checked_div(1000)
}

/// When certificates end: PEM, or base64 of it.
pub(super) fn certificates(text: &str, name: &str) -> impl Iterator<Item = Fact> + use<> {
    let decoded = if text.trim_start().starts_with("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        BASE64
            .decode(text.as_bytes())
            .or_else(|_| BASE64_MIME_PERMISSIVE.decode(text.as_bytes()))
            .unwrap_or_default()
    };
    let ends: Vec<i64> = Pem::iter_from_buffer(&decoded)
        .take(CHAIN_MAX)
        .filter_map(Result::ok)
        .filter_map(|pem| Some(pem.parse_x509().ok()?.validity().not_after.timestamp()))
        .collect();
    let name = name.to_owned();
    ends.into_iter().map(move |end| Fact::Certificate {
        name: name.clone(),
        not_after: Timestamp::from_secs(end),
        valid: true,
    })
}
