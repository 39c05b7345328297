#!/usr/bin/env python3
"""Makes the inputs of the cases whose names end in `-saved`: recorded logs of another case, beside configuration that is made.

The logs are those of the case named in CASES, unchanged. Configuration is written in the forms of Envoy's admin interface, istioctl and
kubectl (sources: README.md of each case) and says what the description of the recorded case says; nothing of it was recorded. The
result is the same in every run.

    python3 corpora/saved.py            writes the inputs
    python3 corpora/saved.py --check    tells if they differ from what it would write
"""
import gzip
import io
import json
import pathlib
import sys
import tarfile

HERE = pathlib.Path(__file__).parent
SERVICES = {"details": "10.96.14.40", "ratings": "10.96.14.30", "reviews": "10.96.14.20"}
PODS = {
    "details-v1": ("details-v1-6d8c9f7b5d-x2k4p", "10.244.1.41"),
    "productpage-v1": ("productpage-v1-7f9c4d6b8d-9zv2l", "10.244.1.11"),
    "ratings-v1": ("ratings-v1-5c7d9b4f6f-k8w2t", "10.244.2.31"),
    "reviews-v1": ("reviews-v1-64bc8f9d7c-q4s6m", "10.244.2.21"),
    "reviews-v2": ("reviews-v2-7b5f6c9d8f-v7x5n", "10.244.2.22"),
}
CONFIG = "/apis/networking.istio.io/v1/namespaces/default"


def logs(case):
    for name in PODS:
        plain = HERE / case / "input" / f"{name}.istio-proxy.log"
        packed = plain.with_name(plain.name + ".gz")
        yield name, plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())


def packed(members):
    """As `istioctl bug-report` packs it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, body in members:
            body = body.encode() if isinstance(body, str) else body
            info = tarfile.TarInfo(f"bug-report/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(out.getvalue(), mtime=0)


def report(case, *, objects, resources, pods="", dumps=None):
    members = []
    if objects:
        members.append(("cluster/crs", objects))
    members.append(("cluster/k8s-resources", resources))
    if pods:
        members.append(("cluster/pods", pods))
    for name, log in logs(case):
        folder = f"proxies/default/{PODS[name][0]}"
        if dumps and name in dumps:
            members.append((f"{folder}/config_dump?include_eds", dumps[name]))
        members.append((f"{folder}/istio-proxy.log", log))
    members.append(("versions", 'CLI version: version.BuildInfo{Version:"1.24.1"}\n'))
    return packed(members)


# --- kubectl get -o yaml ---------------------------------------------------------------------------------------------------------


def scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    plain = value and all(c.isalnum() or c in "-_./" for c in value) and not value[0].isdigit() and value[0] not in "-."
    return value if plain and value not in ("true", "false", "null", "yes", "no") else json.dumps(value)


def yaml(value, indent=0):
    """Lists stand at the column of their key, as sigs.k8s.io/yaml writes them."""
    pad = " " * indent
    out = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                out.append(f"{pad}{key}:")
                out.append(yaml(inner, indent + (2 if isinstance(inner, dict) else 0)))
            else:
                out.append(f"{pad}{key}: {'{}' if inner == {} else '[]' if inner == [] else scalar(inner)}")
    else:
        for inner in value:
            if isinstance(inner, dict):
                body = yaml(inner, indent + 2)
                out.append(f"{pad}- {body[indent + 2:]}" if inner else f"{pad}- {{}}")
            else:
                out.append(f"{pad}- {scalar(inner)}")
    return "\n".join(out)


def listed(items):
    return yaml({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}) + "\n"


def thing(api, kind, name, spec=None, **more):
    labels = more.pop("labels", None)
    metadata = {"creationTimestamp": "2026-11-20T09:12:44Z"}
    if labels:
        metadata["labels"] = labels
    metadata |= {"name": name, "namespace": "default", "resourceVersion": "48213"}
    return {"apiVersion": api, "kind": kind, "metadata": metadata} | ({"spec": spec} if spec is not None else {}) | more


def service(name, target=9080):
    spec = {
        "clusterIP": SERVICES[name],
        "ports": [{"name": "http", "port": 9080, "protocol": "TCP", "targetPort": target}],
        "selector": {"app": name},
        "type": "ClusterIP",
    }
    return thing("v1", "Service", name, spec, labels={"app": name, "service": name})


def deployment(name, replicas):
    app, _, version = name.rpartition("-")
    labels = {"app": app, "version": version}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    return thing("apps/v1", "Deployment", name, spec, status={"readyReplicas": replicas} if replicas else {"observedGeneration": 7})


def pod(name, port=9080):
    full, address = PODS[name]
    app, _, version = name.rpartition("-")
    spec = {
        "containers": [
            {"image": f"example.org/{app}:{version}", "name": app, "ports": [{"containerPort": port, "protocol": "TCP"}]},
            {"image": "docker.io/istio/proxyv2:1.24.1", "name": "istio-proxy", "ports": [{"containerPort": 15090, "name": "http-envoy-prom"}]},
        ],
        "serviceAccountName": f"bookinfo-{app}",
    }
    return thing("v1", "Pod", full, spec, labels={"app": app, "version": version}, status={"phase": "Running", "podIP": address})


def slice_(name, addresses):
    endpoints = [{"addresses": [address], "conditions": {"ready": True, "serving": True}} for address in addresses]
    return thing(
        "discovery.k8s.io/v1", "EndpointSlice", f"{name}-7kx2f", labels={"kubernetes.io/service-name": name},
        addressType="IPv4", endpoints=endpoints, ports=[{"name": "http", "port": 9080, "protocol": "TCP"}],
    )


# --- Envoy's /config_dump?include_eds --------------------------------------------------------------------------------------------


def cluster_name(name):
    return f"outbound|9080||{name}.default.svc.cluster.local"


def cluster(name):
    unbounded = 4294967295
    return {
        "version_info": "2026-11-22T16:40:11Z/31",
        "cluster": {
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": cluster_name(name),
            "type": "EDS",
            "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}, "service_name": cluster_name(name)},
            "connect_timeout": "10s",
            "lb_policy": "LEAST_REQUEST",
            "circuit_breakers": {"thresholds": [dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), unbounded) | {"track_remaining": True}]},
            "transport_socket_matches": [
                {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": {"name": "envoy.transport_sockets.tls"}},
                {"name": "tlsMode-disabled", "match": {}, "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}},
            ],
        },
        "last_updated": "2026-11-22T16:40:11.482Z",
    }


def hosts(name, addresses):
    def host(address):
        at = {"address": address, "port_value": 9080}
        return {"endpoint": {"address": {"socket_address": at}}, "health_status": "HEALTHY", "load_balancing_weight": 1}

    assignment = {"@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name": cluster_name(name)}
    if addresses:
        assignment["endpoints"] = [{"lb_endpoints": [host(address) for address in addresses]}]
    return {"endpoint_config": assignment}


def virtual_host(name, routes):
    full = f"{name}.default.svc.cluster.local"
    return {
        "name": f"{full}:9080",
        "domains": [full, name, f"{name}.default.svc", f"{name}.default", SERVICES[name]],
        "routes": routes,
        "include_request_attempt_count": True,
    }


def route(name, match, label="default", rule=None):
    found = {
        "match": match,
        "route": {"cluster": cluster_name(name), "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,503", "num_retries": 2}},
        "decorator": {"operation": f"{name}.default.svc.cluster.local:9080/*"},
        "name": label,
    }
    if rule:
        found["metadata"] = {"filter_metadata": {"istio": {"config": f"{CONFIG}/virtual-service/{rule}"}}}
    return found


def dump(workload, addresses, routes):
    full, address = PODS[workload]
    of = "type.googleapis.com/envoy.admin.v3."
    configs = [
        {"@type": of + "BootstrapConfigDump", "bootstrap": {"node": {"id": f"sidecar~{address}~{full}.default~default.svc.cluster.local", "cluster": f"{workload}.default"}}, "last_updated": "2026-11-22T16:40:09.118Z"},
        {"@type": of + "ClustersConfigDump", "version_info": "2026-11-22T16:40:11Z/31", "dynamic_active_clusters": [cluster(name) for name in SERVICES]},
        {"@type": of + "EndpointsConfigDump", "dynamic_endpoint_configs": [hosts(name, addresses.get(name, [])) for name in SERVICES]},
        {
            "@type": of + "RoutesConfigDump",
            "dynamic_route_configs": [
                {
                    "version_info": "2026-11-22T16:40:11Z/31",
                    "route_config": {
                        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                        "name": "9080",
                        "virtual_hosts": [virtual_host(name, routes.get(name) or [route(name, {"prefix": "/"})]) for name in SERVICES],
                        "validate_clusters": False,
                    },
                    "last_updated": "2026-11-22T16:40:11.490Z",
                }
            ],
        },
    ]
    return json.dumps({"configs": configs}, indent=1) + "\n"


# --- the cases -------------------------------------------------------------------------------------------------------------------

ADDRESSES = {"details": ["10.244.1.41"], "ratings": ["10.244.2.31"], "reviews": ["10.244.2.21", "10.244.2.22"]}


def rbac_denied():
    policy = {
        "action": "ALLOW",
        "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/default/sa/ratings-admin"]}}], "to": [{"operation": {"methods": ["GET"]}}]}],
        "selector": {"matchLabels": {"app": "ratings"}},
    }
    other = {"rules": [{"to": [{"operation": {"ports": ["9080"]}}]}], "selector": {"matchLabels": {"app": "details"}}}
    crs = listed([
        thing("security.istio.io/v1", "AuthorizationPolicy", "details-viewer", other),
        thing("security.istio.io/v1", "AuthorizationPolicy", "ratings-viewer", policy),
        thing("security.istio.io/v1", "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
    ])
    resources = listed([service(name) for name in SERVICES] + [slice_(name, ADDRESSES[name]) for name in SERVICES] + [pod(name) for name in PODS])
    return report("rbac-denied", objects=crs, resources=resources)


def route_case_mismatch():
    destination = [{"destination": {"host": "ratings", "port": {"number": 9080}}}]
    spec = {"hosts": ["ratings"], "http": [{"match": [{"uri": {"prefix": "/ratings/"}}], "name": "ratings-http", "route": destination}]}
    crs = listed([thing("networking.istio.io/v1", "VirtualService", "ratings-paths", spec)])
    routes = {"ratings": [route("ratings", {"prefix": "/ratings/", "case_sensitive": True}, "ratings-http", "ratings-paths")]}
    resources = listed([service(name) for name in SERVICES])
    return report("route-case-mismatch", objects=crs, resources=resources, dumps={"productpage-v1": dump("productpage-v1", ADDRESSES, routes)})


def no_endpoints():
    running = ["details-v1", "productpage-v1", "ratings-v1"]
    resources = listed(
        [service(name) for name in SERVICES]
        + [slice_("details", ADDRESSES["details"]), slice_("ratings", ADDRESSES["ratings"]), slice_("reviews", [])]
        + [deployment(name, 1 if name in running else 0) for name in PODS]
        + [pod(name) for name in running]
    )
    left = ADDRESSES | {"reviews": []}
    return report("no-endpoints-scaled-to-zero", objects="", resources=resources, dumps={"productpage-v1": dump("productpage-v1", left, {})})


def refused():
    resources = listed([service(name) for name in SERVICES] + [pod(name, 9081 if name == "ratings-v1" else 9080) for name in PODS])
    return report("refused-app-port-mismatch", objects="", resources=resources)


CASES = {
    "no-endpoints-saved": no_endpoints,
    "rbac-denied-saved": rbac_denied,
    "refused-port-saved": refused,
    "route-case-saved": route_case_mismatch,
}


def main():
    for case, make in CASES.items():
        path = HERE / case / "input" / "bug-report.tar.gz"
        body = make()
        if "--check" in sys.argv[1:]:
            same = path.exists() and gzip.decompress(path.read_bytes()) == gzip.decompress(body)
            print(case, "is the same" if same else "DIFFERS")
            if not same:
                sys.exit(1)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


if __name__ == "__main__":
    main()
