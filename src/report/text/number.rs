//! Numbers as people read them: grouped, with their unit, with no more digits than they deserve.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Thousands apart: `18,204`.
pub(in crate::report) fn group(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `count` and its noun, which takes an `s` unless it is one.
pub(in crate::report) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", group(count))
}

/// `part` of `whole` in per cent; 0 and 100 are said only of none and all.
pub(in crate::report) fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    rounded(ratio(part, whole))
}

/// A share given as such (0..1), as [`share`] has it.
pub(in crate::report) fn share_of(share: f64) -> String {
    match share {
        none if none <= 0.0 => "0 %".to_owned(),
        all if all >= 1.0 => "100 %".to_owned(),
        part => rounded(part),
    }
}

/// A share that is neither none nor all.
fn rounded(share: f64) -> String {
    match share * 100.0 {
        p if p < 0.01 => "<0.01 %".to_owned(),
        p if p < 9.995 => format!("{p:.2} %"),
        p if p < 99.9 => format!("{p:.1} %"),
        _ => ">99.9 %".to_owned(),
    }
}

/// A share given as such (0..1), in per cent and never rounded up to all.
pub(in crate::report) fn per_cent(share: f64) -> String {
    let tenths = (share.clamp(0.0, 1.0) * 1000.0).floor();
    decimal(tenths / 10.0, usize::from(tenths % 10.0 != 0.0)) + " %"
}

/// `part / whole`, 0 for nothing.
#[expect(clippy::cast_precision_loss, reason = "drawn with at most four digits")]
pub(in crate::report) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Grouped, with `decimals` digits after the point; what is no number is a dash.
pub(in crate::report) fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if value < 0.0 && text.contains(|c: char| ('1'..='9').contains(&c)) {
        "-"
    } else {
        ""
    };
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), group);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// A number of unknown kind in at most four digits where it is small: `0.004`, `11.8`, `1,204`.
pub(in crate::report) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 1.0 => 1,
        _ => 3,
    };
    decimal(value, decimals)
}

/// Sizes in powers of 1024.
#[expect(clippy::cast_precision_loss, reason = "drawn with one decimal")]
pub(in crate::report) fn bytes(n: u64) -> String {
    let (unit, name) = match n {
        0..KIB => return format!("{n} B"),
        KIB..MIB => (KIB, "KiB"),
        MIB..GIB => (MIB, "MiB"),
        GIB..TIB => (GIB, "GiB"),
        _ => (TIB, "TiB"),
    };
    let value = n as f64 / unit as f64;
    if value >= 99.95 {
        format!("{} {name}", decimal(value, 0))
    } else {
        format!("{value:.1} {name}")
    }
}

/// A span of time in its two greatest units: `47 min 48 s`, `3 h 12 min`, `850 ms`.
pub(in crate::report) fn span(ms: u64) -> String {
    let s = ms / 1000;
    let two = |great: u64, great_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{} {great_unit}", group(great)),
        _ => format!("{} {great_unit} {small} {small_unit}", group(great)),
    };
    match s {
        0 => format!("{ms} ms"),
        1..10 => format!("{s}.{} s", ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s / 60 % 60, "min"),
        _ => two(s / 86_400, "d", s / 3600 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (9_812_440, "9,812,440")] {
            assert_eq!(group(n), text);
        }
        assert_eq!(group(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn shares_never_claim_none_or_all_falsely() {
        for (part, whole) in [(0, 7), (1, 9000), (138, 140), (4999, 5000), (140, 140)] {
            assert_eq!(
                share_of(ratio(part, whole)),
                share(part, whole),
                "{part} of {whole}"
            );
        }
        for (part, whole, text) in [
            (0, 10, "0 %"),
            (10, 10, "100 %"),
            (18_204, 611_902, "2.97 %"),
            (1, 2, "50.0 %"),
            (1, 1_000_000, "<0.01 %"),
            (999_999, 1_000_000, ">99.9 %"),
            (9_996, 100_000, "10.0 %"),
            (0, 0, "0 %"),
        ] {
            assert_eq!(share(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn decimals_sizes_and_spans() {
        assert_eq!(
            (per_cent(1.0), per_cent(0.9996)),
            ("100 %".into(), "99.9 %".into())
        );
        assert_eq!(decimal(1204.0, 0), "1,204");
        assert_eq!(decimal(1204.56, 1), "1,204.6");
        assert_eq!(decimal(-0.01, 1), "0.0");
        assert_eq!(decimal(f64::NAN, 1), "–");
        assert_eq!(
            (short(0.0042), short(11.84), short(3.0)),
            ("0.004".into(), "11.8".into(), "3".into())
        );
        assert_eq!(
            (bytes(17), bytes(1536), bytes(3_328_599_654)),
            ("17 B".into(), "1.5 KiB".into(), "3.1 GiB".into())
        );
        for (ms, text) in [
            (850, "850 ms"),
            (2_530, "2.5 s"),
            (45_000, "45 s"),
            (2_868_000, "47 min 48 s"),
            (7_200_000, "2 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
