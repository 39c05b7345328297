//! Figures in saved output: memory, descriptors, counts.
//!
//! Sources: kubernetes/kubectl `pkg/metricsutil/metrics_printer.go` (top); envoyproxy/envoy `source/server/admin/stats_render.cc`,
//! `server_info_handler.cc`, docs "Statistics"; istio/istio `pilot/pkg/xds/monitoring.go`; Linux
//! `net/netfilter/nf_conntrack_standalone.c`, `prometheus/client_golang`.

use super::Fact;
use super::lines::text;
use memchr::memmem;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// Memory in use, in bytes.
    MemoryBytes,
    /// The most memory that it may use, in bytes.
    MemoryLimitBytes,
    /// Clusters of a proxy.
    Clusters,
    /// Services that a control plane knows.
    Services,
    /// Proxies that are connected to a control plane.
    Proxies,
    /// Descriptors in use.
    OpenFiles,
    /// The most descriptors.
    MaxFiles,
    /// Connections that a kernel tracks.
    Tracked,
    /// The most connections that it can track.
    MaxTracked,
    /// Requests, counted since the start.
    Requests,
    /// Connections that are established.
    Connections,
}

/// Names of statistics that are read: Envoy's with dots, and Prometheus'.
const STATS: [(&str, Figure); 12] = [
    ("server.memory_allocated", Figure::MemoryBytes),
    ("envoy_server_memory_allocated", Figure::MemoryBytes),
    ("process_resident_memory_bytes", Figure::MemoryBytes),
    ("cluster_manager.active_clusters", Figure::Clusters),
    ("envoy_cluster_manager_active_clusters", Figure::Clusters),
    ("pilot_services", Figure::Services),
    ("pilot_xds", Figure::Proxies),
    ("process_open_fds", Figure::OpenFiles),
    ("process_max_fds", Figure::MaxFiles),
    ("net.netfilter.nf_conntrack_count", Figure::Tracked),
    ("net.netfilter.nf_conntrack_max", Figure::MaxTracked),
    ("net.nf_conntrack_max", Figure::MaxTracked),
];

/// The figure that a metric of a time series is.
pub fn of_metric(name: &str) -> Option<Figure> {
    match name {
        "envoy_server_memory_allocated"
        | "container_memory_working_set_bytes"
        | "container_memory_rss"
        | "process_resident_memory_bytes" => Some(Figure::MemoryBytes),
        "istio_requests_total" | "envoy_http_downstream_rq_total" => Some(Figure::Requests),
        _ => None,
    }
}

/// `server.memory_allocated: 52428800`, `pilot_services 1200`, `envoy_x{a="b"} 1e+06`, `net.netfilter.nf_conntrack_max = 262144`. Whose it is
/// is not in the line: the subject is empty.
pub(super) fn stat_line(line: &[u8]) -> Option<Fact> {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b' ' | b':' | b'{' | b'='))?;
    let (name, rest) = line.split_at(end);
    let figure = STATS
        .iter()
        .find(|(known, _)| known.as_bytes() == name)
        .map(|(_, figure)| *figure)?;
    let rest = match rest.first()? {
        b'{' => rest.get(memmem::rfind(rest, b"}")?.checked_add(1)?..)?,
        _ => rest,
    };
    let rest = rest.trim_ascii_start();
    let rest = rest
        .strip_prefix(b":")
        .or_else(|| rest.strip_prefix(b"="))
        .unwrap_or(rest);
    let value = rest.trim_ascii().split(|byte| *byte == b' ').next()?;
    Some(Fact::Figure {
        subject: String::new(),
        figure,
        value: number(value)?,
    })
}

/// A line of Envoy's `/memory`: ` "allocated": "7890123",`.
pub(super) fn memory_line(line: &[u8]) -> Option<Fact> {
    let rest = line.trim_ascii().strip_prefix(b"\"allocated\":")?.trim_ascii();
    let rest = rest.strip_suffix(b",").unwrap_or(rest);
    let value = rest.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(Fact::Figure {
        subject: String::new(),
        figure: Figure::MemoryBytes,
        value: number(value)?,
    })
}

/// A row of `kubectl top pods`; of one container where it has a column for it.
pub(super) fn top_row<'row>(cell: impl Fn(&str) -> Option<&'row [u8]>) -> Option<Fact> {
    let value = quantity(cell("MEMORY(bytes)")?)?;
    let subject = match (cell("POD"), cell("NAME")?) {
        (Some(pod), container) => format!("{}/{}", text(pod), text(container)),
        // The sum over its containers.
        (None, pod) => format!("{}/", text(pod)),
    };
    Some(Fact::Figure {
        subject,
        figure: Figure::MemoryBytes,
        value,
    })
}

/// A whole number, also as Prometheus prints large ones (`5.24288e+07`).
fn number(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    let number: f64 = value.parse().ok()?;
    whole(number)
}

/// A number that is neither negative nor beyond what is exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "its bounds are checked"
)]
pub fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (0.0..EXACT).contains(&number).then_some(number as u64)
}

/// Kubernetes quantities of memory: `123Mi`, `1Gi`, `128974848`, `1G`.
pub fn quantity(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match value.get(digits.len()..)? {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
