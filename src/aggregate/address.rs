//! Names out of addresses, clusters, server names and pod names, by Istio's conventions.

/// The ip of `ip:port` or `[ip]:port`; the whole where there is no port. `None` for Envoy's internal
/// addresses (`envoy://..`).
pub fn ip(address: &[u8]) -> Option<&[u8]> {
    if address.starts_with(b"envoy://") || address.is_empty() {
        return None;
    }
    if let Some(rest) = address.strip_prefix(b"[") {
        return rest.split(|&b| b == b']').next();
    }
    let colon = memchr::memrchr(b':', address);
    match colon.and_then(|at| address.split_at_checked(at)) {
        Some((head, _)) if !head.contains(&b':') => Some(head),
        _ => Some(address),
    }
}

/// The port of `ip:port`, `[ip]:port` or `host:port`.
pub fn port(address: &str) -> Option<&str> {
    let (head, port) = address.rsplit_once(':')?;
    let bare_ipv6 = head.contains(':') && !head.ends_with(']');
    (!bare_ipv6 && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(port)
}

/// True for addresses that every pod has.
pub fn is_loopback(ip: &[u8]) -> bool {
    ip.starts_with(b"127.") || ip == b"::1" || ip == b"::6"
}

/// Istio's cluster names: `direction|port|subset|host` (`pilot/pkg/model/push_context.go`, `BuildSubsetKey`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterName<'a> {
    /// `outbound`, `inbound`, `inbound-vip`.
    pub direction: &'a str,
    /// Service port.
    pub port: &'a str,
    /// Subset, empty for none.
    pub subset: &'a str,
    /// Service host, empty for today's inbound clusters.
    pub host: &'a str,
}

impl<'a> ClusterName<'a> {
    /// The parts of a cluster name, or `None` for one of another form (`PassthroughCluster`, `xds-grpc`).
    pub fn parse(cluster: &'a str) -> Option<Self> {
        let mut parts = cluster.splitn(4, '|');
        let name = Self {
            direction: parts.next()?,
            port: parts.next()?,
            subset: parts.next()?,
            host: parts.next()?,
        };
        Some(name)
    }
}

/// Host and port in the SNI that sidecars send each other: `outbound_.9080_._.reviews.default.svc.cluster.local`
/// (`BuildDNSSrvSubsetKey`).
pub fn sni_service(sni: &str) -> Option<(&str, &str)> {
    let rest = sni.strip_prefix("outbound_.")?;
    let (port, rest) = rest.split_once("_.")?;
    let (_subset, host) = rest.split_once("_.")?;
    Some((host, port))
}

/// The workload of a pod: the name without the hashes that a `Deployment`'s `ReplicaSet` appends, or without the
/// five characters of a `DaemonSet` or `Job`. A name of another form is a workload's own.
pub fn workload(pod: &str) -> &str {
    // Kubernetes draws these characters so as not to form words (apimachinery `util/rand`).
    let random = |s: &str| s.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    let Some((head, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if last.len() != 5 || !random(last) {
        return pod;
    }
    match head.rsplit_once('-') {
        Some((name, hash)) if (6..=10).contains(&hash.len()) && random(hash) => name,
        _ => head,
    }
}

/// The service's short name: `reviews` of `reviews.default.svc.cluster.local:9080`; a host outside the
/// cluster's domain stays whole, without its port.
pub fn short_service(destination: &str) -> &str {
    let host = match port(destination) {
        Some(port) => destination
            .get(..destination.len() - port.len() - 1)
            .unwrap_or(destination),
        None => destination,
    };
    match host.split_once('.') {
        Some((name, rest)) if is_cluster_local(rest) => name,
        _ => host,
    }
}

/// The namespace in a cluster-local service name.
pub fn service_namespace(destination: &str) -> Option<&str> {
    let (_, rest) = destination.split_once('.')?;
    is_cluster_local(rest).then(|| rest.split('.').next()).flatten()
}

fn is_cluster_local(after_name: &str) -> bool {
    after_name
        .split('.')
        .nth(1)
        .is_some_and(|label| label == "svc" || label.starts_with("svc:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(ip(b"10.0.0.1:80"), Some(&b"10.0.0.1"[..]));
        assert_eq!(ip(b"[2001:db8::1]:8080"), Some(&b"2001:db8::1"[..]));
        assert_eq!(ip(b"2001:db8::1"), Some(&b"2001:db8::1"[..]));
        assert_eq!(ip(b"envoy://internal_client_address/"), None);
        assert_eq!(ip(b":0"), Some(&b""[..]));
        assert_eq!(port("[2001:db8::1]:8080"), Some("8080"));
        assert_eq!(port("2001:db8::1"), None);
        assert_eq!(port("details"), None);
    }

    #[test]
    fn names() {
        let cluster = ClusterName::parse("outbound|9080|v1|reviews.default.svc.cluster.local").unwrap();
        assert_eq!(
            (cluster.port, cluster.subset, cluster.host),
            ("9080", "v1", "reviews.default.svc.cluster.local")
        );
        assert_eq!(ClusterName::parse("PassthroughCluster"), None);
        assert_eq!(
            sni_service("outbound_.9080_.v1_.reviews.prod.svc.cluster.local"),
            Some(("reviews.prod.svc.cluster.local", "9080"))
        );
        assert_eq!(sni_service("api.partner.example"), None);
        assert_eq!(workload("ratings-v1-545db77b95-8zk5x"), "ratings-v1");
        assert_eq!(workload("ztunnel-x7k2p"), "ztunnel");
        assert_eq!(workload("productpage-v1"), "productpage-v1");
        assert_eq!(workload("mysql-0"), "mysql-0");
        assert_eq!(short_service("reviews.default.svc.cluster.local:9080"), "reviews");
        assert_eq!(short_service("api.partner.example:443"), "api.partner.example");
        assert_eq!(
            service_namespace("reviews.prod.svc.cluster.local:9080"),
            Some("prod")
        );
        assert_eq!(service_namespace("api.partner.example:443"), None);
    }
}
