use super::*;

fn called() -> Called {
    Called {
        host: "ratings.shop.svc.cluster.local".to_owned(),
        name: "ratings".to_owned(),
        namespace: Some("shop".to_owned()),
        port: Some(9080),
    }
}

#[test]
fn which_names_are_the_called_service() {
    let cases = [
        ("ratings", "shop", true),
        ("ratings", "bank", false),
        ("Ratings", "shop", true),
        ("ratings.shop", "bank", true),
        ("ratings.bank", "shop", false),
        ("ratings.shop.svc", "bank", true),
        ("ratings.shop.svc.cluster.local", "bank", true),
        ("ratings.shop.example", "shop", false),
        ("*.shop.svc.cluster.local", "shop", true),
        ("*.bank.svc.cluster.local", "shop", false),
        ("ratings-v2", "shop", false),
        ("", "shop", false),
    ];
    for (host, namespace, expected) in cases {
        assert_eq!(called().is(host, namespace), expected, "{host} of {namespace}");
    }
}

#[test]
fn hosts_of_clusters() {
    assert_eq!(
        cluster_host("outbound|9080|v1|ratings.shop.svc.cluster.local"),
        Some((9080, "ratings.shop.svc.cluster.local"))
    );
    for other in [
        "inbound|9080||",
        "outbound|x||a",
        "PassthroughCluster",
        "outbound|1",
        "",
    ] {
        assert_eq!(cluster_host(other), None, "{other}");
    }
}

#[test]
fn what_is_said_twice_is_said_once_with_both_places() {
    let place = |line_in_block| Place {
        input: crate::units::InputId(1),
        offset_bytes: u64::from(line_in_block),
        block: 0,
        line_in_block,
    };
    let mut says = Says::default();
    says.holds("a".to_owned(), EXACT, [place(7)]);
    says.holds("a".to_owned(), EXACT, [place(3)]);
    says.holds("b".to_owned(), EXACT, [place(3)]);
    assert_eq!(says.evidence.len(), 2);
    let places: Vec<u32> = says.evidence[0]
        .places
        .iter()
        .map(|place| place.line_in_block)
        .collect();
    assert_eq!(places, [3, 7]);
}

#[test]
fn names_out_of_documents_are_quoted_in_commands() {
    let mut says = Says::default();
    says.look_at(&ObjectKey {
        kind: "VirtualService".to_owned(),
        namespace: "shop".to_owned(),
        name: "x; rm -rf /".to_owned(),
    });
    assert_eq!(
        says.checks,
        ["kubectl get virtualservice 'x; rm -rf /' -n shop -o yaml"]
    );
}
