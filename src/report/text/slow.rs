//! How slow it was without the failed: percentiles by destination, the histogram of the worst, slowest requests.

use super::chart::bar;
use super::clock::Clock;
use super::failed::seen_by;
use super::number::{counted, decimal, group, ratio, share};
use super::page::{Page, Role};
use super::place::place;
use super::table::{Cell, Column, Set, Table};
use super::wrap::{cut_middle, width_of};
use crate::report::model::{HistogramBucket, Latency, Report};

/// Rows of destinations.
const DESTINATIONS: usize = 10;
/// Rows of a histogram.
const BUCKETS: usize = 14;
/// Slowest requests listed.
const SLOWEST: usize = 3;
/// Bars are not wider than this without a terminal.
const WIDEST_BAR_IN_A_FILE: usize = 40;
/// Figures of fewer samples than this are doubtful.
const FEW: u64 = 20;
/// From this many milliseconds on a column is told in seconds.
const IN_SECONDS_MS: f64 = 100_000.0;

/// The latency section.
pub(super) fn slow(report: &Report, page: &mut Page) {
    let mut rows: Vec<&Latency> = report.latency.iter().filter(|l| is_shown(l)).collect();
    if rows.is_empty() {
        return;
    }
    let hit = report
        .findings
        .first()
        .and_then(|finding| finding.scope.destination.as_deref());
    rows.sort_by(|a, b| {
        let rank = |l: &Latency| (hit != Some(l.scope.name.as_str()), l.count < FEW);
        let order = rank(a).cmp(&rank(b)).then(b.p99.total_cmp(&a.p99));
        order.then_with(|| (&a.scope, &a.reporter).cmp(&(&b.scope, &b.reporter)))
    });
    page.heading("HOW SLOW, WITHOUT THE FAILED", "ms");
    percentiles(&rows, page);
    if let Some(worst) = rows
        .iter()
        .find(|l| l.histogram.iter().any(|bucket| bucket.count > 0))
    {
        histogram(worst, page);
    }
    slowest(report, page);
}

fn is_shown(latency: &Latency) -> bool {
    latency.scope.kind == "destination"
        && latency.metric == "duration"
        && latency.outcome == "ok"
        && latency.count > 0
}

/// A percentile column: its name, its value, and the samples below which it is no more than the maximum.
type Percentile = (&'static str, fn(&Latency) -> f64, u64);

const PERCENTILES: [Percentile; 5] = [
    ("p50", |l| l.p50, FEW),
    ("p90", |l| l.p90, FEW),
    ("p99", |l| l.p99, 100),
    ("p99.9", |l| l.p999, 1000),
    ("max", |l| l.max, 0),
];

fn percentiles(rows: &[&Latency], page: &mut Page) {
    let mut columns = vec![
        Column::new("destination", Set::Flexible(24)),
        Column::dropped("seen by", Set::Left, 2),
        Column::new("count", Set::Right),
    ];
    let shown = rows.get(..DESTINATIONS.min(rows.len())).unwrap_or_default();
    let formats: Vec<_> = PERCENTILES
        .iter()
        .map(|&(_, of, _)| Format::of(shown, of))
        .collect();
    for (&(name, ..), format) in PERCENTILES.iter().zip(&formats) {
        let title = if format.in_seconds {
            format!("{name} s")
        } else {
            name.to_owned()
        };
        columns.push(if name == "p99.9" {
            Column::dropped(&title, Set::Right, 1)
        } else {
            Column::new(&title, Set::Right)
        });
    }
    let mut table = Table::new(columns);
    for latency in shown {
        let mut cells = vec![
            Cell::plain(&latency.scope.name),
            Cell::plain(seen_by(&latency.reporter)),
            Cell::plain(group(latency.count)),
        ];
        for (&(_, of, enough), format) in PERCENTILES.iter().zip(&formats) {
            let doubt = if latency.count < enough { "~" } else { "" };
            cells.push(Cell::plain(format!("{doubt}{}", format.write(of(latency)))));
        }
        table.row(cells);
    }
    table.put(page);
    remarks(rows, shown, page);
}

fn remarks(rows: &[&Latency], shown: &[&Latency], page: &mut Page) {
    if rows.len() > shown.len() {
        let more = format!("… {} more in the JSON report", rows.len() - shown.len());
        page.wrapped(2, Role::Faint, &more);
    }
    let mut remarks = Vec::new();
    if shown
        .iter()
        .any(|l| PERCENTILES.iter().any(|&(_, _, enough)| l.count < enough))
    {
        remarks.push("~ too few requests to be sure".to_owned());
    }
    let resolution = shown.iter().map(|l| l.resolution_ms).fold(0.0, f64::max);
    if resolution >= 1.0 {
        remarks.push(format!("resolution {} ms", decimal(resolution, 0)));
    }
    if !remarks.is_empty() {
        page.wrapped(2, Role::Faint, &remarks.join("; "));
    }
}

/// How the figures of one column are written.
struct Format {
    in_seconds: bool,
    decimals: usize,
}

impl Format {
    fn of(rows: &[&Latency], of: fn(&Latency) -> f64) -> Self {
        let greatest = rows.iter().map(|l| of(l)).fold(0.0, f64::max);
        let whole = rows
            .iter()
            .all(|l| l.resolution_ms >= 1.0 && of(l).fract() == 0.0);
        let in_seconds = greatest >= IN_SECONDS_MS;
        let decimals = usize::from(in_seconds || (!whole && greatest < 1000.0));
        Self { in_seconds, decimals }
    }

    fn write(&self, ms: f64) -> String {
        decimal(if self.in_seconds { ms / 1000.0 } else { ms }, self.decimals)
    }
}

/// Bars of one destination.
fn histogram(latency: &Latency, page: &mut Page) {
    let rows = regroup(&latency.histogram);
    let total: u64 = rows.iter().map(|row| row.count).fold(0, u64::saturating_add);
    let most = rows.iter().map(|row| row.count).max().unwrap_or(0);
    let bounds: Vec<String> = rows.iter().map(|row| format!("≤ {}", bound(row.le))).collect();
    let bound_width = bounds
        .iter()
        .map(|text| width_of(&page.shown(text)))
        .max()
        .unwrap_or(0);
    let count_width = width_of(&group(most));
    let bars_from = 2 + bound_width + 2;
    let room = page.width().saturating_sub(bars_from + count_width + 12);
    let widest = if page.style().terminal {
        room
    } else {
        room.min(WIDEST_BAR_IN_A_FILE)
    };
    page.blank();
    histogram_title(latency, page);
    for (row, text) in rows.iter().zip(&bounds) {
        let indent = 2 + bound_width - width_of(&page.shown(text));
        let line = page.line().pad_to(indent).plain(text).pad_to(bars_from);
        let line = line.push(Role::Bar, &bar(ratio(row.count, most), 1.0, widest));
        let line = line.right(
            Role::Plain,
            &group(row.count),
            bars_from + widest + 2 + count_width,
        );
        let end = line.width() + 10;
        page.put(line.right(Role::Plain, &share(row.count, total), end));
    }
}

fn histogram_title(latency: &Latency, page: &mut Page) {
    let unit = format!("  {} by duration in ms", counted(latency.count, "request"));
    let room = page.width().saturating_sub(2 + unit.len());
    let name = cut_middle(&page.shown(&latency.scope.name), room, page.ellipsis());
    let line = page
        .line()
        .pad_to(2)
        .push(Role::Strong, &name)
        .push(Role::Faint, &unit);
    page.put(line);
}

/// A bucket's bound, without needless digits.
fn bound(le: f64) -> String {
    if le.fract() == 0.0 {
        decimal(le, 0)
    } else if le < 10.0 {
        decimal(le, 2).trim_end_matches('0').to_owned()
    } else {
        decimal(le, 1)
    }
}

/// Neighbouring buckets united until they are few: each row ends at the last bound below a power of two (of
/// four, of eight, ...), so that every row's count is exact. Empty rows at the ends are left out.
fn regroup(buckets: &[HistogramBucket]) -> Vec<HistogramBucket> {
    let first = buckets.iter().position(|b| b.count > 0).unwrap_or(0);
    let last = buckets.iter().rposition(|b| b.count > 0).map_or(0, |at| at + 1);
    let mut rows = buckets.get(first..last).unwrap_or_default().to_vec();
    let mut step = 1.0;
    while rows.len() > BUCKETS && step <= 64.0 {
        rows = united(&rows, step);
        step *= 2.0;
    }
    while rows.len() > BUCKETS {
        unite_last(&mut rows);
    }
    rows
}

fn unite_last(rows: &mut Vec<HistogramBucket>) {
    let last = rows.pop();
    if let (Some(last), Some(row)) = (last, rows.last_mut()) {
        *row = HistogramBucket {
            le: last.le,
            count: row.count.saturating_add(last.count),
        };
    }
}

fn united(buckets: &[HistogramBucket], step: f64) -> Vec<HistogramBucket> {
    let rank = |le: f64| (le.max(f64::MIN_POSITIVE).log2() / step).ceil();
    let mut rows: Vec<HistogramBucket> = Vec::new();
    for bucket in buckets {
        match rows.last_mut() {
            Some(row) if (rank(row.le) - rank(bucket.le)).abs() < 0.5 => {
                row.le = bucket.le;
                row.count = row.count.saturating_add(bucket.count);
            }
            _ => rows.push(*bucket),
        }
    }
    rows
}

fn slowest(report: &Report, page: &mut Page) {
    if report.slowest.is_empty() {
        return;
    }
    page.blank();
    let clock = Clock::new(&report.window);
    let mut table = Table::new(vec![
        Column::new("slowest ms", Set::Right),
        Column::dropped("upstream", Set::Right, 1),
        Column::dropped("began", Set::Left, 2),
        Column::new("request", Set::Flexible(20)),
        Column::dropped("code", Set::Left, 3),
        Column::new("", Set::Flexible(30)),
    ]);
    for slow in report.slowest.iter().take(SLOWEST) {
        table.row(vec![
            Cell::plain(group(slow.duration_ms)),
            Cell::plain(slow.upstream_ms.map(group).unwrap_or_default()),
            Cell::plain(slow.start.map(|start| clock.time(start)).unwrap_or_default()),
            Cell::plain(&slow.request),
            Cell::plain(format!("{} {}", slow.code, slow.flags).trim_end()),
            Cell::plain(place(&report.inputs, &slow.place)),
        ]);
    }
    table.put(page);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(bounds: impl IntoIterator<Item = f64>) -> Vec<HistogramBucket> {
        bounds
            .into_iter()
            .map(|le| HistogramBucket { le, count: 1 })
            .collect()
    }

    #[test]
    fn few_buckets_stay_as_they_are() {
        let rows = regroup(&buckets([0.5, 1.0, 2.0, 3.0]));
        assert_eq!(
            rows.iter().map(|row| row.le).collect::<Vec<_>>(),
            [0.5, 1.0, 2.0, 3.0]
        );
    }

    #[test]
    fn many_buckets_unite_at_powers_and_lose_nothing() {
        let rows = regroup(&buckets((1..=100).map(f64::from)));
        assert_eq!(
            rows.iter().map(|row| (row.le, row.count)).collect::<Vec<_>>(),
            [
                (1.0, 1),
                (2.0, 1),
                (4.0, 2),
                (8.0, 4),
                (16.0, 8),
                (32.0, 16),
                (64.0, 32),
                (100.0, 36)
            ]
        );
        let wide = regroup(&buckets((0..40).map(|power| 2_f64.powi(power))));
        assert!(wide.len() <= BUCKETS);
        assert_eq!(wide.iter().map(|row| row.count).sum::<u64>(), 40);
    }

    #[test]
    fn empty_ends_go() {
        let mut all = buckets([1.0, 2.0, 4.0, 8.0]);
        all[0].count = 0;
        all[3].count = 0;
        assert_eq!(
            regroup(&all).iter().map(|row| row.le).collect::<Vec<_>>(),
            [2.0, 4.0]
        );
        assert!(regroup(&[]).is_empty());
    }

    #[test]
    fn bounds_have_no_needless_digits() {
        assert_eq!(
            [0.5, 0.25, 16.0, 1024.0, 12.5].map(bound),
            ["0.5", "0.25", "16", "1,024", "12.5"]
        );
    }
}
