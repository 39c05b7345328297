//! Whom a line of the control plane or of a ztunnel is about: istiod writes of proxies, a ztunnel of the workloads of its node.

use super::TextKind;
use memchr::{memchr, memmem};

/// The pod that a message is about, where it names one that is not its writer.
pub fn subject(kind: TextKind, message: &[u8]) -> Option<&[u8]> {
    match kind {
        TextKind::IstiodLog => proxy_of(message).and_then(pod),
        TextKind::ZtunnelLog => workload(message),
        _ => None,
    }
}

/// What stands before the name of a proxy in messages of istiod (istio/istio `pilot/pkg/xds`).
const BEFORE_PROXY: [&[u8]; 4] = [
    b" for node:",
    b"ACK ERROR ",
    b"Timeout writing ",
    b"failure for node:",
];

fn proxy_of(message: &[u8]) -> Option<&[u8]> {
    let after = |mark: &[u8]| {
        let at = memmem::find(message, mark)?;
        message.get(at.checked_add(mark.len())?..)
    };
    let rest = BEFORE_PROXY.into_iter().find_map(after).or_else(|| {
        // `ADS: "10.244.1.9:41822" ratings-v1-5f8b.default-42 terminated`.
        let quoted = message.strip_prefix(b"ADS: \"")?;
        quoted.get(memchr(b'"', quoted)?.checked_add(2)?..)
    })?;
    rest.split(|byte| matches!(byte, b' ' | b'\t' | b':' | b','))
        .next()
}

/// `ratings-v1-5f8b` of `ratings-v1-5f8b.default-42`, also of `sidecar~10.244.1.9~ratings-v1-5f8b.default~default.svc.cluster.local`.
fn pod(node: &[u8]) -> Option<&[u8]> {
    let id = if memchr(b'~', node).is_some() {
        node.split(|byte| *byte == b'~').nth(2)?
    } else {
        node
    };
    let (name, _) = id.split_at_checked(memchr(b'.', id)?)?;
    is_name(name).then_some(name)
}

/// A name as Kubernetes has them.
fn is_name(name: &[u8]) -> bool {
    let of_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !name.is_empty() && name.len() <= 253 && name.iter().all(of_name)
}

/// The workload at this end of a connection: where it came from, or where it went to if it came in (istio/ztunnel
/// `src/proxy/metrics.rs`).
fn workload(message: &[u8]) -> Option<&[u8]> {
    let inbound = memmem::find(message, b"direction=\"inbound\"").is_some();
    let key: &[u8] = if inbound {
        b"dst.workload=\""
    } else {
        b"src.workload=\""
    };
    let at = memmem::find(message, key)?.checked_add(key.len())?;
    let rest = message.get(at..)?;
    let name = rest.get(..memchr(b'"', rest)?)?;
    is_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: TextKind, message: &str) -> Option<String> {
        subject(kind, message.as_bytes()).map(|name| String::from_utf8(name.to_vec()).unwrap())
    }

    #[test]
    fn proxies_in_messages_of_istiod() {
        for (message, pod) in [
            (
                "CDS: PUSH for node:web-1.shop resources:48 size:51.3kB cached:0/47",
                Some("web-1"),
            ),
            (
                "EDS: PUSH request for node:web-1.shop resources:47 size:7.1kB",
                Some("web-1"),
            ),
            ("ADS: new delta connection for node:web-1.shop-42", Some("web-1")),
            (
                "ADS:LDS: ACK ERROR web-1.shop-42 Internal:Error adding/updating",
                Some("web-1"),
            ),
            (
                "Send failure for node:web-1.shop-42 resources:31 size:48kB",
                Some("web-1"),
            ),
            (
                "Timeout writing web-1.shop-42: type.googleapis.com/x",
                Some("web-1"),
            ),
            (
                "ADS: \"10.244.1.9:41822\" web-1.shop-42 terminated with error: x",
                Some("web-1"),
            ),
            (
                "Failed to push, client busy for node:sidecar~10.244.1.9~web-1.shop~shop.svc.cluster.local",
                Some("web-1"),
            ),
            (
                "XDS: Pushing Services:31 ConnectedEndpoints:42 Version:x/31",
                None,
            ),
            ("CDS: PUSH for node:", None),
            ("CDS: PUSH for node:10.0.0.1", Some("10")),
            ("CDS: PUSH for node:../etc.x", None),
            ("ADS: \"10.244.1.9", None),
        ] {
            assert_eq!(of(TextKind::IstiodLog, message).as_deref(), pod, "{message}");
        }
        assert_eq!(of(TextKind::Log, "CDS: PUSH for node:web-1.shop"), None);
    }

    #[test]
    fn workloads_in_messages_of_ztunnel() {
        let ends = "connection complete\tsrc.addr=10.0.0.1:5 src.workload=\"a-1\" dst.addr=10.0.0.2:15008 dst.workload=\"b-1\" ";
        let outbound = format!("{ends}direction=\"outbound\"");
        let inbound = format!("{ends}direction=\"inbound\"");
        assert_eq!(of(TextKind::ZtunnelLog, &outbound).as_deref(), Some("a-1"));
        assert_eq!(of(TextKind::ZtunnelLog, &inbound).as_deref(), Some("b-1"));
        assert_eq!(of(TextKind::ZtunnelLog, "XDS client error: x"), None);
    }
}
