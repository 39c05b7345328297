#!/usr/bin/env python3
"""Packs the logs of ../no-endpoints-scaled-to-zero as `istioctl bug-report` does, with output that is made.

The logs are the recorded ones. The log of ratings-v1 is parted as the tool does after a restart: the current container's log first,
the one before it behind. The rest is written here, in the forms that README.md names the sources of. The result is the same in
every run.
"""
import gzip
import io
import pathlib
import tarfile

HERE = pathlib.Path(__file__).parent
LOGS = HERE.parent / "no-endpoints-scaled-to-zero" / "input"
PODS = {
    "details-v1": ("details-v1-6d8c9f7b5d-x2k4p", "10.244.1.41"),
    "productpage-v1": ("productpage-v1-7f9c4d6b8d-9zv2l", "10.244.1.11"),
    "ratings-v1": ("ratings-v1-5c7d9b4f6f-k8w2t", "10.244.2.31"),
    "reviews-v1": ("reviews-v1-64bc8f9d7c-q4s6m", "10.244.2.21"),
    "reviews-v2": ("reviews-v2-7b5f6c9d8f-v7x5n", "10.244.2.22"),
}
ISTIOD = "istiod-6f8d9c7b5b-2lq8z"


def log(name):
    plain = LOGS / f"{name}.istio-proxy.log"
    return plain.read_bytes() if plain.exists() else gzip.decompress((LOGS / f"{name}.istio-proxy.log.gz").read_bytes())


def restarted(text):
    lines = text.splitlines(keepends=True)
    half = len(lines) // 2
    return (
        b"========= Previous log present (appended at the end) =========\n\n" + b"".join(lines[half:])
        + b"\n========= Previous log =========\n\n" + b"".join(lines[:half])
    )


def clusters(hosts):
    out = []
    for service in ("details", "ratings", "reviews"):
        name = f"outbound|9080||{service}.default.svc.cluster.local"
        out.append(f"{name}::observability_name::{name}")
        for limit in ("max_connections", "max_pending_requests", "max_requests", "max_retries"):
            out.append(f"{name}::default_priority::{limit}::4294967295")
        out.append(f"{name}::added_via_api::true")
        for host in hosts.get(service, []):
            for stat, value in (("cx_active", 2), ("cx_connect_fail", 0), ("health_flags", "healthy"), ("weight", 1)):
                out.append(f"{name}::{host}:9080::{stat}::{value}")
    return "\n".join(out) + "\n"


CERTS = """{
 "certificates": [
  {
   "ca_cert": [
    {
     "path": "<inline>",
     "serial_number": "4f1c",
     "days_until_expiration": "3285",
     "valid_from": "2026-11-20T08:00:00Z",
     "expiration_time": "2036-11-17T08:00:00Z"
    }
   ],
   "cert_chain": [
    {
     "path": "<inline>",
     "serial_number": "9b27",
     "days_until_expiration": "0",
     "valid_from": "2026-11-22T09:12:00Z",
     "expiration_time": "2026-11-23T09:14:00Z"
    }
   ]
  }
 ]
}
"""

DISCOVERY = "".join(
    f"2026-11-22T{time}Z\tinfo\t{scope}\t{message}\n"
    for time, scope, message in (
        ("16:45:48.120331", "ads", "XDS: Pushing Services:9 ConnectedEndpoints:5 Version:2026-11-22T16:45:48Z/14"),
        ("16:46:02.571204", "ads", "Push debounce stable[15] 1 for config EndpointSlice/default/reviews: 100.2ms since last change, 100.2ms since last push, full=false"),
        ("16:46:02.573911", "ads", "XDS: Incremental Pushing ConnectedEndpoints:5 Version:2026-11-22T16:45:48Z/14"),
        ("16:46:18.602117", "ads", "Push debounce stable[16] 2 for config EndpointSlice/default/reviews: 100.1ms since last change, 16.0s since last push, full=false"),
    )
)

EVENTS = """LAST SEEN   TYPE     REASON              OBJECT                  SUBOBJECT   SOURCE                  MESSAGE                                          FIRST SEEN   COUNT   NAME
95s         Normal   ScalingReplicaSet   deployment/reviews-v1               deployment-controller   Scaled down replica set reviews-v1 to 0 from 1   95s          1       reviews-v1.17a
95s         Normal   ScalingReplicaSet   deployment/reviews-v2               deployment-controller   Scaled down replica set reviews-v2 to 0 from 1   95s          1       reviews-v2.17b
"""

ANALYZE = "Info [IST0102] (Namespace batch) The namespace is not enabled for Istio injection.\n"

RESOURCES = """apiVersion: v1
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: reviews-v1
    namespace: default
  spec:
    replicas: 0
kind: List
"""

STATUS_HEADER = ["NAME", "CLUSTER", "CDS", "LDS", "EDS", "RDS", "ECDS", "ISTIOD", "VERSION"]


def status():
    rows = [STATUS_HEADER] + [
        [f"{pod}.default", "Kubernetes", "SYNCED", "SYNCED", "SYNCED", "SYNCED", "NOT SENT", ISTIOD, "1.24.1"]
        for pod, _ in PODS.values()
    ]
    widths = [max(len(row[i]) for row in rows) + 5 for i in range(len(STATUS_HEADER))]
    return "".join("".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n" for row in rows)


def members():
    hosts = {"details": ["10.244.1.41"], "ratings": ["10.244.2.31"]}
    yield "bug-report.log", "2026-11-22T16:46:40.000000Z\tinfo\tRunning with the following config\n"
    yield "cluster/events", EVENTS
    yield "cluster/k8s-resources", RESOURCES
    yield "analyze/allNamespaces/allNamespaces", ANALYZE
    yield f"istio/istio-system/{ISTIOD}/discovery.log", DISCOVERY
    for name, (pod, _) in PODS.items():
        text = log(name)
        yield f"proxies/default/{pod}/istio-proxy.log", restarted(text) if name == "ratings-v1" else text
        yield f"proxies/default/{pod}/certs", CERTS
        if name == "productpage-v1":
            yield f"proxies/default/{pod}/clusters", clusters(hosts)
    yield "versions", 'CLI version: version.BuildInfo{Version:"1.24.1"}\n'


def main():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, body in members():
            body = body.encode() if isinstance(body, str) else body
            info = tarfile.TarInfo(f"bug-report/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    (HERE / "input").mkdir(exist_ok=True)
    (HERE / "input" / "bug-report.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    (HERE / "input" / "proxy-status.txt").write_text(status())


if __name__ == "__main__":
    main()
