//! What a path says of the container that wrote the file.
//!
//! A wrong name is worse than none: it puts one pod's errors on another. So there are two sorts of evidence.
//! Layouts that only a program makes (the kubelet's folders, `istioctl bug-report`) and names that only
//! Kubernetes makes (`reviews-v2-6d8c9f7b5d-x2k4p`) count anywhere on the path. Names that a person may have
//! given (`reviews-v2/istio-proxy.log`) count below the argument only, where the tree was laid out for the
//! incident, and not if they are words for a place to keep logs.

use super::Identity;
use super::capture_sets::{split_name, without_times};
use std::path::Path;

/// Containers of the mesh that people put into file names.
const CONTAINERS: &[&str] = &["istio-proxy", "istio-init", "istio-validation"];

/// Endings of file names that say how a log is kept, and not whose it is.
const STORAGE_ENDINGS: &[&str] = &[
    ".gz",
    ".zst",
    ".zstd",
    ".log",
    ".txt",
    ".json",
    ".jsonl",
    ".old",
    ".previous",
    "-previous",
];

/// First words of folder and file names that are no pod and no namespace.
const PLACES: &[&str] = &[
    "after",
    "all",
    "archive",
    "backup",
    "before",
    "bug",
    "capture",
    "captures",
    "case",
    "cases",
    "cluster",
    "containers",
    "current",
    "data",
    "day",
    "debug",
    "dump",
    "dumps",
    "envoy",
    "export",
    "home",
    "incident",
    "incidents",
    "istio",
    "kubectl",
    "log",
    "logs",
    "my",
    "new",
    "node",
    "nodes",
    "old",
    "out",
    "output",
    "pod",
    "pods",
    "previous",
    "proxies",
    "proxy",
    "sidecar",
    "sidecars",
    "support",
    "test",
    "tmp",
    "var",
];

/// Reads the identity from `path`, of which the last `shown` components lie at or below the argument.
pub(super) fn identify(path: &Path, shown: usize) -> Identity {
    // What is not UTF-8 is no name of Kubernetes'; it stays in place as a name that matches nothing.
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap_or("")).collect();
    let Some((file, folders)) = parts.split_last() else {
        return Identity::default();
    };
    let named_by_people = &folders[folders.len().saturating_sub(shown.saturating_sub(1))..];
    if let Some((stem, ..)) = split_name(file) {
        let (pattern, _) = without_times(stem);
        let stem = pattern.trim_matches(['#', '-', '_', '.']);
        return from_capture(stem, folders, named_by_people);
    }
    from_kubelet_file(file)
        .or_else(|| from_kubelet_folders(folders))
        .or_else(|| from_must_gather(folders))
        .or_else(|| from_bug_report(folders, stem(file)))
        .or_else(|| from_names(stem(file), folders, named_by_people))
        .unwrap_or_default()
}

/// `/var/log/containers/<pod>_<namespace>_<container>-<64 hex digits>.log`: the kubelet's links.
fn from_kubelet_file(file: &str) -> Option<Identity> {
    let (name, container_id) = stem(file).rsplit_once('-')?;
    let (pod, rest) = name.split_once('_')?;
    let (namespace, container) = rest.split_once('_')?;
    (is_hex(container_id, 64) && is_name(pod) && is_label(namespace) && is_label(container))
        .then(|| identity(Some(pod), Some(namespace), Some(container)))
}

/// `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`: the kubelet's files.
fn from_kubelet_folders(folders: &[&str]) -> Option<Identity> {
    let [.., folder, container] = folders else {
        return None;
    };
    let (namespace, rest) = folder.split_once('_')?;
    let (pod, uid) = rest.rsplit_once('_')?;
    (is_uid(uid) && is_label(namespace) && is_name(pod) && is_label(container))
        .then(|| identity(Some(pod), Some(namespace), Some(container)))
}

/// `namespaces/<namespace>/pods/<pod>/<container>/...`: `oc adm must-gather` and `oc adm inspect`.
fn from_must_gather(folders: &[&str]) -> Option<Identity> {
    folders.windows(5).find_map(|window| match window {
        &["namespaces", namespace, "pods", pod, container]
            if is_label(namespace) && is_name(pod) && is_label(container) =>
        {
            Some(identity(Some(pod), Some(namespace), Some(container)))
        }
        _ => None,
    })
}

/// What `istioctl bug-report` calls the files of a proxy.
const PROXY_FILES: &[&str] = &[
    "istio-proxy",
    "proxy",
    "certs",
    "clusters",
    "listeners",
    "memory",
    "netstat",
    "runtime",
    "server_info",
];

/// The folders of `istioctl bug-report` (tools/bug-report/pkg/archive in istio/istio).
fn from_bug_report(folders: &[&str], stem: &str) -> Option<Identity> {
    let (root, namespace, pod) = match folders {
        [.., "cni", pod] if stem == "cni" => {
            return is_name(pod).then(|| identity(Some(pod), None, Some("install-cni")));
        }
        [.., root, namespace, pod] => (*root, *namespace, *pod),
        _ => return None,
    };
    let container = match (root, stem) {
        // The log, and what the proxy's admin port said.
        ("proxies", name) if PROXY_FILES.contains(&name) || name.starts_with("config_dump") => "istio-proxy",
        ("istio", "discovery") => "discovery",
        ("operator", "operator") => "istio-operator",
        _ => return None,
    };
    (is_label(namespace) && is_name(pod)).then(|| identity(Some(pod), Some(namespace), Some(container)))
}

/// `<pod>.istio-proxy.log`, `<pod>-istio-proxy.log`, `<pod>/istio-proxy.log`, `<pod>.log`, `<pod>/<container>.log`.
fn from_names(stem: &str, folders: &[&str], named_by_people: &[&str]) -> Option<Identity> {
    if CONTAINERS.contains(&stem) {
        return Some(from_pod_folder(Some(stem), folders, named_by_people));
    }
    if let Some((pod, container)) = split_container(stem) {
        let known = is_generated(pod) || (is_label(pod) && !is_place(pod));
        return Some(identity(known.then_some(pod), None, Some(container)));
    }
    if is_generated(stem) {
        return Some(identity(Some(stem), None, None));
    }
    // In a pod's folder each container has a file.
    let in_pod_folder = folders.last().is_some_and(|folder| is_generated(folder)) && is_label(stem);
    in_pod_folder.then(|| from_pod_folder(Some(stem), folders, named_by_people))
}

/// `<pod>.<interface>.pcap`, `<pod>-<interface>.pcap`, `<pod>/<interface>.pcap`, `<pod>.pcap`.
fn from_capture(stem: &str, folders: &[&str], named_by_people: &[&str]) -> Identity {
    let kubelet = from_kubelet_folders(folders).or_else(|| from_must_gather(folders));
    let (name, interface) = match stem.rsplit_once(['.', '-', '_']) {
        _ if is_interface(stem) => (None, Some(stem)),
        Some((name, interface)) if is_interface(interface) => (Some(name), Some(interface)),
        _ => (Some(stem), None),
    };
    let named = match name {
        None => from_pod_folder(None, folders, named_by_people),
        Some(name) if is_generated(name) => identity(Some(name), None, None),
        // A name without an interface may be any word.
        Some(name) if interface.is_some() && is_label(name) && !is_place(name) => {
            identity(Some(name), None, None)
        }
        Some(_) => Identity::default(),
    };
    Identity {
        interface: interface.map(str::to_owned),
        ..kubelet.unwrap_or(named)
    }
}

/// Names of network interfaces as Linux and its container networks give them.
const INTERFACES: &[&str] = &[
    "eth", "ens", "enp", "eno", "veth", "cali", "cilium", "lxc", "vxlan", "flannel", "cni", "br", "bond",
    "wg", "tunl", "gke", "azv", "eni", "net", "wlan",
];

fn is_interface(name: &str) -> bool {
    // Linux allows 15 bytes (IFNAMSIZ).
    matches!(name, "lo" | "any")
        || (name.len() <= 15
            && has_digit(name)
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && INTERFACES.iter().any(|prefix| name.starts_with(prefix)))
}

/// `[<namespace>/]<pod>/<container>.log`.
fn from_pod_folder(container: Option<&str>, folders: &[&str], named_by_people: &[&str]) -> Identity {
    let given = |name: &&str| is_label(name) && !is_place(name);
    let pod = match (folders.last(), named_by_people.last()) {
        (Some(pod), _) if is_generated(pod) => Some(*pod),
        (_, Some(pod)) if given(pod) => Some(*pod),
        _ => None,
    };
    let namespace = match named_by_people {
        [.., namespace, _] if pod.is_some() && given(namespace) => Some(*namespace),
        _ => None,
    };
    identity(pod, namespace, container)
}

fn split_container(stem: &str) -> Option<(&str, &str)> {
    CONTAINERS.iter().find_map(|container| {
        let rest = stem.strip_suffix(container)?;
        let pod = rest.strip_suffix(['.', '-', '_'])?;
        Some((pod, *container))
    })
}

fn identity(pod: Option<&str>, namespace: Option<&str>, container: Option<&str>) -> Identity {
    Identity {
        pod: pod.map(str::to_owned),
        namespace: namespace.map(str::to_owned),
        container: container.map(str::to_owned),
        node: None,
        interface: None,
    }
}

/// A file's name without what rotation, compression and kind put behind it: `.log`, `.gz`, `.1`,
/// `.20261102-031244`.
fn stem(file: &str) -> &str {
    let mut stem = file;
    loop {
        let shorter = STORAGE_ENDINGS
            .iter()
            .find_map(|ending| stem.strip_suffix(ending))
            .or_else(|| without_number(stem));
        match shorter {
            Some(shorter) if !shorter.is_empty() => stem = shorter,
            _ => return stem,
        }
    }
}

fn without_number(stem: &str) -> Option<&str> {
    let (shorter, number) = stem.rsplit_once('.')?;
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_number.then_some(shorter)
}

/// DNS label (RFC 1123), the form of namespaces and containers, and of most pods.
fn is_label(name: &str) -> bool {
    name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.is_empty()
}

/// DNS subdomain (RFC 1123), the form of pods: labels joined by dots.
fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a word at the beginning of a name says that it is a place to keep logs, or what a tool calls its files.
pub fn is_place_word(word: &str) -> bool {
    const KEPT: &[&str] = &[
        "allnamespaces",
        "analyze",
        "bootstrap",
        "cni",
        "config",
        "describe",
        "endpoint",
        "endpoints",
        "events",
        "k8s",
        "listener",
        "namespaces",
        "operator",
        "proxies",
        "report",
        "resources",
        "route",
        "routes",
        "secret",
        "secrets",
        "stats",
        "status",
        "versions",
        "ztunnel",
    ];
    PLACES.contains(&word)
        || PROXY_FILES.contains(&word)
        || KEPT.contains(&word)
        || STORAGE_ENDINGS.iter().any(|ending| ending.get(1..) == Some(word))
        || is_interface(word)
        || ["pcap", "pcapng", "cap", "tar", "tgz", "zip", "yaml", "csv"].contains(&word)
        || word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_place(name: &str) -> bool {
    let first = name.split('-').next().unwrap_or(name);
    PLACES.contains(&first) || first.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A pod's UID: a UUID, or 32 hex digits for a pod from a file of the kubelet's.
fn is_uid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    is_hex(text, 32)
        || (text.split('-').count() == groups.len()
            && text
                .split('-')
                .zip(groups)
                .all(|(group, digits)| is_hex(group, digits)))
}

/// A pod name as a Deployment makes it: a name, the hash of the template (6 to 10 characters), five random
/// ones; or as a `DaemonSet` does, without the hash. Both are of the alphabet of apimachinery's `util/rand`,
/// which has no vowels. A digit is asked for, since words can be of that alphabet too (`https`).
fn is_generated(name: &str) -> bool {
    let mut parts = name.rsplit('-');
    let (Some(random), Some(second)) = (parts.next(), parts.next()) else {
        return false;
    };
    if !is_label(name) || !is_random(random, 5..=5) {
        return false;
    }
    has_digit(random) || (is_random(second, 6..=10) && has_digit(second) && parts.next().is_some())
}

fn is_random(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len())
        && text
            .bytes()
            .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `namespace/pod/container`, a dash for what is not known.
    fn read(path: &str, shown: usize) -> String {
        let Identity {
            pod,
            namespace,
            container,
            node,
            interface,
        } = identify(Path::new(path), shown);
        assert_eq!((node, interface), (None, None));
        [namespace, pod, container]
            .map(|name| name.unwrap_or("-".into()))
            .join("/")
    }

    #[test]
    fn captures() {
        let cases = [
            (
                "productpage-v1.eth0.pcap.gz",
                Some("productpage-v1"),
                Some("eth0"),
            ),
            ("a/ratings-v1.lo.pcapng", Some("ratings-v1"), Some("lo")),
            ("ratings-v1-any.pcap3", Some("ratings-v1"), Some("any")),
            (
                "ratings-v1_eth0-20261102_031244.pcap",
                Some("ratings-v1"),
                Some("eth0"),
            ),
            (
                "ratings-v1.eth0_00001_20261102031244.pcapng",
                Some("ratings-v1"),
                Some("eth0"),
            ),
            ("web/ratings-v1/eth0.pcap", Some("ratings-v1"), Some("eth0")),
            ("eth0.pcap", None, Some("eth0")),
            ("captures/eth0.pcap", None, Some("eth0")),
            (
                "reviews-v2-6d8c9f7b5d-x2k4p.pcap",
                Some("reviews-v2-6d8c9f7b5d-x2k4p"),
                None,
            ),
            ("capture.eth0.pcap", None, Some("eth0")),
            ("http.pcap", None, None),
            ("20261102031244.pcap", None, None),
        ];
        for (path, pod, interface) in cases {
            let found = identify(Path::new(path), 3);
            assert_eq!(
                (found.pod.as_deref(), found.interface.as_deref(), found.container),
                (pod, interface, None),
                "{path}"
            );
        }
    }

    const ID: &str = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

    #[test]
    fn layouts_of_programs() {
        let link = format!("/var/log/containers/reviews-v1-6d8c9f7b5d-x2k4p_prod_istio-proxy-{ID}.log");
        let cases: [(&str, &str); 17] = [
            (&link, "prod/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy"),
            (
                "/var/log/pods/prod_web-0_0f0c9a4e-5ff5-4a6e-8a1b-6d3c1f0e9b7a/istio-proxy/0.log",
                "prod/web-0/istio-proxy",
            ),
            (
                "pods/prod_web-0_0f0c9a4e-5ff5-4a6e-8a1b-6d3c1f0e9b7a/app/12.log.20261102-031244.gz",
                "prod/web-0/app",
            ),
            (
                "pods/kube-system_etcd-a.example.com_d41d8cd98f00b204e9800998ecf8427e/etcd/0.log",
                "kube-system/etcd-a.example.com/etcd",
            ),
            (
                "bug-report/proxies/prod/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy.log",
                "prod/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy",
            ),
            ("proxies/prod/web-0/proxy.log", "prod/web-0/istio-proxy"),
            ("proxies/prod/web-0/clusters", "prod/web-0/istio-proxy"),
            (
                "proxies/prod/web-0/config_dump?include_eds",
                "prod/web-0/istio-proxy",
            ),
            (
                "bug-report/istio/istio-system/istiod-7f9c5/discovery.log",
                "istio-system/istiod-7f9c5/discovery",
            ),
            (
                "operator/istio-operator/op-1/operator.log",
                "istio-operator/op-1/istio-operator",
            ),
            (
                "bug-report/cni/istio-cni-node-4xk2z/cni.log",
                "-/istio-cni-node-4xk2z/install-cni",
            ),
            (
                "mg/namespaces/prod/pods/web-0/istio-proxy/istio-proxy/logs/current.log",
                "prod/web-0/istio-proxy",
            ),
            // Nearly, but not made by those programs.
            ("pods/prod_web-0_notauid/istio-proxy/0.log", "-/-/-"),
            ("reviews_prod_istio-proxy-4f53cda1.log", "-/-/-"),
            ("proxies/prod/web-0/envoy-stats.log", "-/-/-"),
            ("proxies/Prod!/web-0/proxy.log", "-/-/-"),
            // The folder has a name that Kubernetes made: another container of that pod.
            (
                "istio/istio-system/istiod-7f9c5/debug.log",
                "-/istiod-7f9c5/debug",
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(read(path, 1), expected, "{path}");
        }
    }

    #[test]
    fn names_of_files() {
        let cases: [(&str, &str); 24] = [
            ("productpage-v1.istio-proxy.log", "-/productpage-v1/istio-proxy"),
            (
                "productpage-v1.istio-proxy.log.gz",
                "-/productpage-v1/istio-proxy",
            ),
            (
                "productpage-v1.istio-proxy.log.zst",
                "-/productpage-v1/istio-proxy",
            ),
            ("productpage-v1.istio-proxy.log.3", "-/productpage-v1/istio-proxy"),
            (
                "productpage-v1.istio-proxy.log.2.gz",
                "-/productpage-v1/istio-proxy",
            ),
            ("productpage-v1.istio-proxy.1.log", "-/productpage-v1/istio-proxy"),
            (
                "productpage-v1.istio-proxy.previous.log",
                "-/productpage-v1/istio-proxy",
            ),
            (
                "reviews-v1-6d8c9f7b5d-x2k4p-istio-proxy.log",
                "-/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy",
            ),
            (
                "reviews-v1-6d8c9f7b5d-x2k4p_istio-proxy.txt",
                "-/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy",
            ),
            (
                "reviews-v1-6d8c9f7b5d-x2k4p.log",
                "-/reviews-v1-6d8c9f7b5d-x2k4p/-",
            ),
            (
                "reviews-v1-6d8c9f7b5d-x2k4p.log.1.gz",
                "-/reviews-v1-6d8c9f7b5d-x2k4p/-",
            ),
            ("ingress-x2k4p.log", "-/ingress-x2k4p/-"),
            ("istio-proxy.log", "-/-/istio-proxy"),
            ("istio-proxy.log.1", "-/-/istio-proxy"),
            // Here a name would be a guess.
            ("proxy.log", "-/-/-"),
            ("access.log", "-/-/-"),
            ("web-0.log", "-/-/-"),
            ("server-https.log", "-/-/-"),
            ("reviews.log", "-/-/-"),
            ("all.istio-proxy.log", "-/-/istio-proxy"),
            ("logs-2026.istio-proxy.log", "-/-/istio-proxy"),
            ("prod.reviews-v1.istio-proxy.log", "-/-/istio-proxy"),
            ("Reviews v1.istio-proxy.log", "-/-/istio-proxy"),
            (".log", "-/-/-"),
        ];
        for (path, expected) in cases {
            assert_eq!(read(path, 1), expected, "{path}");
        }
    }

    #[test]
    fn names_of_folders() {
        // (path, components at or below the argument, expected)
        let cases: [(&str, usize, &str); 13] = [
            ("reviews-v1/istio-proxy.log", 2, "-/reviews-v1/istio-proxy"),
            (
                "prod/reviews-v1/istio-proxy.log",
                3,
                "prod/reviews-v1/istio-proxy",
            ),
            ("prod/reviews-v1/istio-proxy.log", 2, "-/reviews-v1/istio-proxy"),
            (
                "prod/reviews-v1/istio-proxy.log.2.gz",
                3,
                "prod/reviews-v1/istio-proxy",
            ),
            (
                "incident-42/reviews-v1/istio-proxy.log",
                3,
                "-/reviews-v1/istio-proxy",
            ),
            (
                "2026-11-02/reviews-v1/istio-proxy.log",
                3,
                "-/reviews-v1/istio-proxy",
            ),
            // Above the argument only what Kubernetes alone makes up is believed.
            ("/home/joe/istio-proxy.log", 1, "-/-/istio-proxy"),
            (
                "/srv/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy.log",
                1,
                "-/reviews-v1-6d8c9f7b5d-x2k4p/istio-proxy",
            ),
            ("outage/reviews-v1/proxy.log", 3, "-/-/-"),
            ("logs/istio-proxy.log", 2, "-/-/istio-proxy"),
            ("prod/logs/istio-proxy.log", 3, "-/-/istio-proxy"),
            ("Case 7/istio-proxy.log", 2, "-/-/istio-proxy"),
            ("istio-proxy.log", 7, "-/-/istio-proxy"),
        ];
        for (path, shown, expected) in cases {
            assert_eq!(read(path, shown), expected, "{path} {shown}");
        }
    }

    #[test]
    fn lists_are_sorted_and_free_of_repeats() {
        assert!(PLACES.is_sorted_by(|a, b| a < b));
    }
}
