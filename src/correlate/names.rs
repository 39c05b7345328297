//! Which pod has which address, and what a service's other names stand for, by the majority of rows.

use crate::aggregate::Totals;
use crate::aggregate::address;
use crate::aggregate::class::{GroupKey, Reporter};
use std::collections::BTreeMap;

/// The names of an incident.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pods: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
}

/// The name of a proxy whose pod is not known starts with this; the rest is the input's path.
pub const UNNAMED: &str = "input:";

impl Names {
    /// Settles the votes of `totals`.
    pub fn of(totals: &Totals) -> Self {
        let settle = |(key, votes): (&String, &crate::aggregate::totals::Votes)| {
            votes.winner().map(|winner| (key.clone(), winner.to_owned()))
        };
        Self {
            pods: totals.addresses.iter().filter_map(settle).collect(),
            services: totals.aliases.iter().filter_map(settle).collect(),
        }
    }

    /// The pod at `ip` or `ip:port`, if a log of it was read.
    pub fn pod_at(&self, address: &str) -> Option<&str> {
        let ip = address::ip(address.as_bytes())?;
        self.pods.get(std::str::from_utf8(ip).ok()?).map(String::as_str)
    }

    /// The full name of a service that may be given by a short name or a virtual address.
    pub fn service<'a>(&'a self, name: &'a str) -> &'a str {
        self.services.get(name).map_or(name, String::as_str)
    }

    /// The calling workload of a group.
    pub fn caller(&self, key: &GroupKey) -> String {
        match key.reporter {
            Reporter::Source => proxy_name(&key.proxy).to_owned(),
            Reporter::Destination => self.source_name(&format!("ip:{}", key.peer)),
        }
    }

    /// The workload behind a source as the totals name it: a proxy, or `ip:<address>`.
    pub fn source_name(&self, source: &str) -> String {
        match source.strip_prefix("ip:") {
            None => proxy_name(source).to_owned(),
            Some(ip) => self
                .pods
                .get(ip)
                .map_or_else(|| unnamed_address(ip), |pod| proxy_name(pod).to_owned()),
        }
    }
}

fn unnamed_address(ip: &str) -> String {
    if ip.is_empty() {
        "unknown".to_owned()
    } else {
        ip.to_owned()
    }
}

/// The workload of a proxy: of its pod, or the path of its log where the pod is not known.
pub fn proxy_name(proxy: &str) -> &str {
    match proxy.strip_prefix(UNNAMED) {
        Some(path) => path,
        None => address::workload(proxy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::totals::Votes;

    fn names() -> Names {
        let mut totals = Totals::default();
        let votes = |list: &[(&str, u64)]| Votes(list.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect());
        totals.addresses.add(
            "10.0.0.1".to_owned(),
            votes(&[("web-5d4f8c7b6d-x2x4k", 90), ("old-5d4f8c7b6d-aaaaa", 3)]),
        );
        totals
            .addresses
            .add("10.0.0.2".to_owned(), votes(&[("b-v1", 5), ("a-v1", 5)]));
        totals.aliases.add(
            "ratings:9080".to_owned(),
            votes(&[
                ("ratings.default.svc.cluster.local:9080", 70),
                ("ratings.stage.svc.cluster.local:9080", 8),
            ]),
        );
        Names::of(&totals)
    }

    #[test]
    fn the_majority_of_rows_decides_and_a_tie_is_settled_by_name() {
        let names = names();
        assert_eq!(names.pod_at("10.0.0.1:8080"), Some("web-5d4f8c7b6d-x2x4k"));
        assert_eq!(names.pod_at("10.0.0.2"), Some("a-v1"));
        assert_eq!(names.pod_at("10.0.0.3:8080"), None);
        assert_eq!(
            names.service("ratings:9080"),
            "ratings.default.svc.cluster.local:9080"
        );
        assert_eq!(names.service("other:9080"), "other:9080");
    }

    #[test]
    fn a_source_is_its_workload_or_else_its_address() {
        let names = names();
        assert_eq!(names.source_name("ip:10.0.0.1"), "web");
        assert_eq!(names.source_name("ip:10.0.0.3"), "10.0.0.3");
        assert_eq!(names.source_name("ip:"), "unknown");
        assert_eq!(names.source_name("input:logs/a.log"), "logs/a.log");
    }
}
