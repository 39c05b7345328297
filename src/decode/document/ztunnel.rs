//! Objects of ztunnel's dump, and of `istioctl ztunnel-config -o json`.
//!
//! Source: istio/istio `istioctl/pkg/writer/ztunnel/configdump/api.go`; ztunnel's dump writes the same names.

use super::aligned::{endpoints, waypoint_of};
use super::facts::{Said, Statement};
use super::tree::{Node, Value};
use super::words::{name, time};
use crate::decode::output::Fact;

/// True if the object is a workload, a service or a certificate of ztunnel's.
pub(super) fn is_own(node: &Node) -> bool {
    let has = |member: &str| node.get(member).is_some();
    has("workloadIps") || (has("vips") && has("hostname")) || (has("identity") && has("certChain"))
}

/// Adds what it says.
pub(super) fn read(node: &Node, out: &mut Vec<Said>) {
    if let Some(chain) = node.get("certChain") {
        certificates(node, chain, out);
        return;
    }
    let Some(named) = node.get("name") else { return };
    let text = named.text().unwrap_or_default();
    let mut say = |statement: Statement| {
        out.push(Said {
            line: named.line,
            statement,
        });
    };
    if node.get("workloadIps").is_some() {
        say(Statement::Fact(Fact::Tunnel {
            pod: name(text),
            hbone: node.text_of("protocol") == Some("HBONE"),
        }));
        return;
    }
    // `/10.96.71.36` or `shop/waypoint.shop.svc.cluster.local`: that there is one is what counts.
    let waypoint = node.at(&["waypoint", "destination"]).map_or("", |destination| {
        destination.text().unwrap_or("told without a name")
    });
    say(Statement::Fact(waypoint_of(text, waypoint)));
    let Some(Value::Map(members)) = node.get("endpoints").map(|node| &node.value) else {
        return;
    };
    let ready = members
        .iter()
        .filter(|(_, endpoint)| matches!(endpoint.text_of("status"), None | Some("Healthy")))
        .count();
    let namespace = node.text_of("namespace").unwrap_or_default();
    if let Some(statement) = endpoints(namespace, text, ready as u64, members.len() as u64) {
        say(statement);
    }
}

fn certificates(node: &Node, chain: &Node, out: &mut Vec<Said>) {
    let identity = node.text_of("identity").unwrap_or_default();
    for certificate in chain.items() {
        let Some(end) = certificate.get("expirationTime") else {
            continue;
        };
        let Some(not_after) = end.text().and_then(time) else {
            continue;
        };
        out.push(Said {
            line: end.line,
            statement: Statement::Fact(Fact::Certificate {
                name: name(identity),
                not_after,
                valid: true,
            }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::document::facts::Spec;
    use crate::decode::document::{Form, read};

    #[test]
    fn a_dump() {
        let dump = r#"{
  "certificates": [{
    "identity": "spiffe://cluster.local/ns/shop/sa/cart",
    "state": "Available",
    "certChain": [{"serialNumber": "1", "expirationTime": "2026-11-24T10:02:03Z"}]
  }],
  "services": [{
    "name": "cart",
    "namespace": "shop",
    "hostname": "cart.shop.svc.cluster.local",
    "vips": ["/10.96.71.36"],
    "waypoint": {"destination": "shop/waypoint.shop.svc.cluster.local"},
    "endpoints": {
      "a": {"workloadUid": "a", "status": "Healthy"},
      "b": {"workloadUid": "b", "status": "Unhealthy"}
    }
  }],
  "workloads": [{"uid": "a", "workloadIps": ["10.244.2.51"], "name": "cart-v1", "protocol": "TCP"}]
}
"#;
        let found = read(dump.as_bytes(), Form::Json, 0);
        assert_eq!(found.damage, []);
        let [certificate, waypoint, object, workload] = found.said.as_slice() else {
            panic!("{:?}", found.said);
        };
        assert!(matches!(
            &certificate.statement,
            Statement::Fact(Fact::Certificate { name, .. }) if name.ends_with("/sa/cart")
        ));
        assert_eq!(
            waypoint.statement,
            Statement::Fact(waypoint_of("cart", "shop/waypoint.shop.svc.cluster.local"))
        );
        assert!(matches!(
            &object.statement,
            Statement::Object(object) if object.spec == Spec::Endpoints { service: "cart".to_owned(), ready: 1, unready: 1 }
        ));
        assert_eq!(
            workload.statement,
            Statement::Fact(Fact::Tunnel {
                pod: "cart-v1".to_owned(),
                hbone: false
            })
        );
    }
}
