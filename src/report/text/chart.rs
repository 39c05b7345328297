//! Bars and sparklines of eighth blocks. The page turns them into ASCII where it must.

const BAR_EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What stands for nothing at all in a sparkline.
const NOTHING: char = '·';

/// A bar of at most `columns` for `value` of `greatest`; anything above nothing shows.
pub(super) fn bar(value: f64, greatest: f64, columns: usize) -> String {
    let eighths = scaled(value, greatest, columns.saturating_mul(8));
    let partial = BAR_EIGHTHS.get(eighths % 8).unwrap_or(&"");
    format!("{}{partial}", "█".repeat(eighths / 8))
}

/// One character for each value, by its share of the greatest; anything above nothing shows.
pub(super) fn sparkline(values: &[f64]) -> String {
    let greatest = values.iter().copied().fold(0.0, f64::max);
    values
        .iter()
        .map(|&value| match scaled(value, greatest, SPARKS.len()) {
            0 => NOTHING,
            step => SPARKS.get(step - 1).copied().unwrap_or('█'),
        })
        .collect()
}

/// `value / greatest` in steps of `0..=steps`, at least one step for what is above nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=steps first"
)]
#[expect(clippy::cast_precision_loss, reason = "steps are columns of a page")]
fn scaled(value: f64, greatest: f64, steps: usize) -> usize {
    if !(value > 0.0 && greatest > 0.0) {
        return 0;
    }
    let share = (value / greatest).clamp(0.0, 1.0);
    ((share * steps as f64).round() as usize).clamp(1, steps.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_eighths() {
        assert_eq!(bar(0.0, 8.0, 4), "");
        assert_eq!(bar(8.0, 8.0, 4), "████");
        assert_eq!(bar(4.0, 8.0, 4), "██");
        assert_eq!(bar(4.5, 8.0, 4), "██▎");
        assert_eq!(bar(1e-9, 8.0, 4), "▏", "what is there shows");
        assert_eq!(bar(f64::NAN, 8.0, 4), "");
        assert_eq!(bar(f64::INFINITY, 8.0, 4), "████");
    }

    #[test]
    fn sparks_tell_nothing_from_little() {
        assert_eq!(sparkline(&[0.0, 1.0, 400.0, 800.0, 799.0]), "·▁▄██");
        assert_eq!(sparkline(&[0.0, 0.0]), "··");
        assert_eq!(sparkline(&[]), "");
    }
}
