//! The services that the proxy's app calls, with every text that their rows share prepared.

use std::ops::Range;

/// A pod of a called service.
#[derive(Debug)]
pub(crate) struct Pod {
    /// `ip:port`.
    pub(crate) host: String,
    /// Local ends of the proxy's connections to it.
    pub(crate) connections: Vec<String>,
}

/// A called service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) authority: String,
    pub(crate) cluster: String,
    /// `vip:port`.
    pub(crate) vip: String,
    pub(crate) route: String,
    /// First part of its paths.
    pub(crate) stem: String,
    /// Median duration in milliseconds.
    pub(crate) median_ms: u64,
    pub(crate) pods: Vec<Pod>,
}

/// Everything that the proxy sees.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) services: Vec<Service>,
    /// Ends of the app's connections to its proxy.
    pub(crate) app_connections: Vec<String>,
    /// Ends of callers' connections to this pod.
    pub(crate) callers: Vec<String>,
    /// Ends of the proxy's connections to its app.
    pub(crate) passthrough: Vec<String>,
}

/// This pod.
pub(crate) const OWN_IP: &str = "10.244.1.11";
/// Where its app listens.
pub(crate) const OWN_HOST: &str = "10.244.1.11:8080";

const NAMES: [&str; 40] = [
    "accounts",
    "adverts",
    "audit",
    "baskets",
    "billing",
    "catalog",
    "checkout",
    "coupons",
    "currency",
    "customers",
    "delivery",
    "details",
    "email",
    "features",
    "fraud",
    "gateway",
    "geo",
    "images",
    "inventory",
    "invoices",
    "ledger",
    "loyalty",
    "media",
    "messages",
    "orders",
    "payments",
    "pricing",
    "products",
    "profiles",
    "promotions",
    "quotes",
    "ratings",
    "recommendation",
    "returns",
    "reviews",
    "search",
    "sessions",
    "shipping",
    "stock",
    "tax",
];
const NAMESPACES: [&str; 5] = [
    "storefront-prod",
    "storefront-prod",
    "payments-prod",
    "platform-services",
    "fulfilment-prod",
];
const STEMS: [&str; 6] = [
    "/api/v1/items/",
    "/api/v2/customers/",
    "/internal/lookup/by-id/",
    "/v1/batch/",
    "/graphql/q/",
    "/api/v1/search/terms/",
];

impl Mesh {
    /// Forty services of two to six pods.
    pub(crate) fn shop() -> Self {
        let services = NAMES
            .iter()
            .enumerate()
            .map(|(i, name)| Service::new(name, i, 2 + i % 5))
            .collect();
        Self::around(services)
    }

    /// Services of one pod each, named by their numbers.
    pub(crate) fn with_destinations(numbers: Range<usize>) -> Self {
        Self::around(
            numbers
                .map(|i| Service::new(&format!("tenant-{i:07}"), i, 1))
                .collect(),
        )
    }

    fn around(services: Vec<Service>) -> Self {
        let ends = |ip: &str, first: usize, count: usize| -> Vec<String> {
            (0..count).map(|i| format!("{ip}:{}", first + 37 * i)).collect()
        };
        let callers = (0..96)
            .map(|i| format!("10.244.{}.{}:{}", 2 + i % 7, 10 + i % 23, 33_000 + 61 * i))
            .collect();
        Self {
            services,
            app_connections: ends(OWN_IP, 44_018, 128),
            callers,
            passthrough: ends("127.0.0.6", 35_003, 48),
        }
    }
}

impl Service {
    fn new(name: &str, number: usize, pods: usize) -> Self {
        let namespace = NAMESPACES
            .get(number % NAMESPACES.len())
            .copied()
            .unwrap_or("shop");
        let subset = if number.is_multiple_of(3) { "primary" } else { "" };
        let stem = STEMS.get(number % STEMS.len()).copied().unwrap_or("/");
        Self {
            authority: format!("{name}.{namespace}.svc.cluster.local:8080"),
            cluster: format!("outbound|8080|{subset}|{name}.{namespace}.svc.cluster.local"),
            vip: format!("10.96.{}.{}:8080", number / 250 % 256, 1 + number % 250),
            route: if number.is_multiple_of(4) {
                format!("{name}-primary")
            } else {
                "default".to_owned()
            },
            stem: stem.to_owned(),
            median_ms: [3, 7, 14, 32, 85].get(number % 5).copied().unwrap_or(10),
            pods: (0..pods).map(|i| Pod::new(number * 7 + i)).collect(),
        }
    }
}

impl Pod {
    fn new(number: usize) -> Self {
        let host = format!("10.244.{}.{}:8080", 3 + number / 250 % 250, 1 + number % 250);
        let connections = (0..4)
            .map(|i| format!("{OWN_IP}:{}", 32_768 + (number * 53 + i * 4099) % 28_000))
            .collect();
        Self { host, connections }
    }
}
