#!/usr/bin/env python3
"""Makes the cases of corpora/ whose names begin with made-: faults of the control plane and of nodes that need a cluster to be
recorded.

usage: made.py [FOLDER]    writes made-*/ below FOLDER (if left out: where this file is)

Nothing in them was recorded. Rows follow Istio's default access-log format; each control-plane, agent, ztunnel or CNI line has the
form that the source file named beside it prints (istio/istio and istio/ztunnel). The same bytes come out at every run. Counts
of rows in expect.toml come from count.py; what must be said stands in CASES.
"""
import datetime
import gzip
import importlib.util
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).parent
START = datetime.datetime(2026, 11, 22, 9, 0, 0, tzinfo=datetime.timezone.utc)
PODS = {
    "web": ("web-7c9d8f6b54-x2kqp", "10.20.1.11"),
    "admin": ("admin-6d5f8c7b99-z4tqw", "10.20.1.21"),
    "cart": ("cart-6f7d9c8b5d-m8wzt", "10.20.2.12"),
    "catalog": ("catalog-58b7c6d9f4-q5rvl", "10.20.2.13"),
}
VIPS = {"cart": "10.96.4.12", "catalog": "10.96.4.13"}
ISTIOD = "istiod-5d8f7c9b6-7hx2v"


def stamp(second, digits=6):
    at = START + datetime.timedelta(microseconds=round(second * 1_000_000))
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text[: len(text) - 6 + digits] + "Z"


class Log:
    """The lines of one file, in order of time."""

    def __init__(self):
        self.timed = []

    def add(self, second, line):
        self.timed.append((second, len(self.timed), line))

    def go(self, second, level, scope, message):
        """A line of one of Istio's Go programs (istio/istio pkg/log)."""
        scope = f"{scope}\t" if scope else ""
        self.add(second, f"{stamp(second)}\t{level}\t{scope}{message}")

    def envoy(self, second, level, logger, message):
        """A line of Envoy under Istio (istio/istio pkg/envoy/proxy.go)."""
        place = "external/envoy/source/common/config/grpc_stream.h:198"
        self.add(second, f"{stamp(second)}\t{level}\tenvoy {logger} {place}\t{message}\tthread=15")

    def text(self):
        return "".join(f"{line}\n" for _, _, line in sorted(self.timed))


class Saved:
    """Saved output, as it stands."""

    def __init__(self, text):
        self.saved = text

    def text(self):
        return self.saved


class Mesh:
    """Files of a case."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.files = {}

    def log(self, name):
        return self.files.setdefault(name, Log())

    def proxy(self, name):
        return self.log(f"shop/{PODS[name][0]}/istio-proxy.log")

    def istiod(self):
        return self.log(f"istio-system/{ISTIOD}/discovery.log")

    def identifier(self):
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def call(self, second, source, target, status="200", flags="-", details="via_upstream", reason="-", ms=None, inbound_ms=None,
             path=None, host=True, called=True, route="default"):
        """A request: the row of the caller's proxy, and of the called one."""
        ms = self.random.randint(4, 12) if ms is None else ms
        inbound_ms = max(1, ms - 2) if inbound_ms is None else inbound_ms
        (_, source_ip), (_, target_ip) = PODS[source], PODS[target]
        port = self.random.randint(33000, 60000)
        identifier, path = self.identifier(), path or f"/{target}/{self.random.randint(1, 40)}"
        size = 128 if status == "200" else 95
        quoted = f'"-" "{source}/1.4" "{identifier}" "{target}:8080"'
        cluster = f"outbound|8080||{target}.shop.svc.cluster.local" if host else "-"
        upstream = f"{source_ip}:{port} " if called and host else "- "
        address = f"{target_ip}:8080" if host else "-"
        upstream_ms = ms if status == "200" else "-"
        self.proxy(source).add(
            second + ms / 1000,
            f'[{stamp(second, 3)}] "GET {path} HTTP/1.1" {status} {flags} {details} - "{reason}" 0 {size} {ms} {upstream_ms} {quoted} '
            f'"{address}" {cluster} {upstream}{VIPS[target]}:8080 {source_ip}:{port - 500} - {route}',
        )
        if called and host:
            self.proxy(target).add(
                second + (ms + inbound_ms) / 2000,
                f'[{stamp(second + 0.001, 3)}] "GET {path} HTTP/1.1" {status} - via_upstream - "-" 0 {size} {inbound_ms} {max(1, inbound_ms - 1)} '
                f'{quoted} "{target_ip}:8080" inbound|8080|| 127.0.0.6:{port - 900} {target_ip}:8080 {source_ip}:{port} '
                f"outbound_.8080_._.{target}.shop.svc.cluster.local default",
            )

    def traffic(self, begin, end, pairs=(("web", "cart"), ("web", "catalog")), every=2.0, **how):
        second = begin
        while second < end:
            for source, target in pairs:
                self.call(second + self.random.random() * every / 2, source, target, **how)
            second += every

    def starts(self, istiod, second):
        """How istiod starts when all is well: pilot/pkg/bootstrap/server.go, pkg/webhooks, pilot/pkg/leaderelection."""
        go = istiod.go
        go(second, "info", "ads", "All caches have been synced up in 1.239931526s, marking server ready")
        go(second + 0.1, "info", "", "starting secure gRPC discovery service at [::]:15012")
        go(second + 0.2, "error", "controllers", "error handling istio-validator-istio-system, retrying (retry count: 1): webhook is not ready, retry\tcontroller=validation")
        go(second + 0.9, "info", "", "leader election lock obtained: istio-leader")
        go(second + 1.6, "info", "validationServer", 'configuration is invalid: "internal.istio.io/webhook-always-reject" annotation found, rejecting (dry run)')
        for number, (pod, _) in enumerate(PODS.values(), 1):
            go(second + 2 + number / 10, "info", "delta", f"ADS: new delta connection for node:{pod}.shop-{number}")
            self.push(istiod, second + 2 + number / 10 + 0.02, pod, " request")

    def push(self, istiod, second, pod, reason="", size="51.3kB"):
        """pilot/pkg/xds/xdsgen.go."""
        for offset, kind in enumerate(("CDS", "EDS", "LDS", "RDS")):
            istiod.go(second + offset / 500, "info", "delta", f"{kind}: PUSH{reason} for node:{pod}.shop resources:48 removed:0 size:{size} cached:0/47")

    def push_all(self, istiod, second, number, why, pods=None):
        """pilot/pkg/xds/discovery.go, ads.go."""
        istiod.go(second - 0.11, "info", "ads", f"Push debounce stable[{number}] 1 for config {why}: 100.26ms since last change, 100.26ms since last push, full=true")
        istiod.go(second - 0.1, "info", "ads", f"XDS: Pushing Services:26 ConnectedEndpoints:{len(PODS)} Version:{stamp(second, 0)[:-2]}Z/{number}")
        for offset, pod in enumerate(pods or [pod for pod, _ in PODS.values()]):
            self.push(istiod, second + offset / 50, pod)


def control_plane_overload(mesh):
    mesh.traffic(0, 420)
    istiod = mesh.istiod()
    mesh.starts(istiod, 0)
    second = 60.0
    number = 100
    while second < 330:
        pod, ip = PODS[mesh.random.choice(list(PODS))]
        number += 1
        # pilot/pkg/xds/ads.go, delta.go.
        istiod.go(second, "warn", "ads", f'ADS: "{ip}:{mesh.random.randint(33000, 60000)}" exceeded rate limit: rate: Wait(n=1) would exceed context deadline')
        istiod.go(second + 3, "warn", "delta", f"Timeout writing {pod}.shop-{number}: type.googleapis.com/envoy.config.cluster.v3.Cluster")
        second += 9
    # golang/go src/runtime/malloc.go.
    istiod.add(340, "fatal error: runtime: out of memory")
    istiod.add(340.0001, "")
    istiod.add(340.0002, "runtime stack:")
    istiod.add(340.0003, "runtime.throw({0x3f2a4c1?, 0x400000?})")


def control_plane_push_delay(mesh):
    istiod = mesh.istiod()
    mesh.starts(istiod, 0)
    pairs = (("web", "cart"), ("web", "catalog"), ("admin", "cart"), ("admin", "catalog"))
    spikes = (120, 240, 330)
    slow = lambda second: any(spike + 1 <= second < spike + 7 for spike in spikes)
    second = 0.0
    while second < 420:
        for source, target in pairs:
            at = second + mesh.random.random() / 2
            late = source == "web" and slow(at)
            mesh.call(at, source, target, ms=mesh.random.randint(4800, 5600) if late else None, inbound_ms=mesh.random.randint(3, 9))
        second += 1.0
    for number, spike in enumerate(spikes, 2):
        mesh.push_all(istiod, spike, number, "ServiceEntry/shop/catalog.shop.svc.cluster.local and 480 more configs", [PODS["web"][0]])


def config_rejected(mesh):
    mesh.traffic(0, 300)
    istiod, web = mesh.istiod(), mesh.proxy("web")
    mesh.starts(istiod, 0)
    mesh.push_all(istiod, 120, 2, "EnvoyFilter/shop/limits")
    problem = "Error adding/updating listener(s) 0.0.0.0_8080: Didn't find a registered implementation for 'envoy.filters.http.ratelimit2' with type URL ''"
    for second in (120.4, 180.4, 240.4):
        # pilot/pkg/xds/delta.go; envoy source/extensions/config_subscription/grpc.
        istiod.go(second, "warn", "delta", f"ADS:LDS: ACK ERROR {PODS['web'][0]}.shop-1 Internal:{problem}")
        web.envoy(second - 0.05, "warning", "config", f"delta config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: {problem}")


def config_invalid(mesh):
    mesh.traffic(0, 120)
    istiod = mesh.istiod()
    mesh.starts(istiod, 0)
    mesh.push_all(istiod, 119.5, 2, "VirtualService/shop/cart")
    for second in (119.4, 180.1, 241.3):
        # pilot/pkg/model/virtualservice.go.
        istiod.go(second, "warn", "model", "delegate virtual service shop/cart-routes of cart not found")
    second = 120.0
    while second < 300:
        mesh.call(second, "web", "cart", status="404", flags="NR", details="route_not_found", ms=0, host=False, route="-")
        mesh.call(second + 0.4, "web", "catalog")
        second += 2.0


EXPIRED = (
    "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:"
    "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end}"
)


def cert_rotation_failure(mesh):
    mesh.traffic(0, 400, (("web", "catalog"),))
    mesh.traffic(0, 300, (("web", "cart"),))
    mesh.traffic(300, 400, (("web", "cart"),), status="503", flags="UF,URX", details=EXPIRED,
                 reason=EXPIRED[len("upstream_reset_before_response_started{remote_connection_failure|"):-1].replace("_", " ").replace(" ", "_"),
                 called=False)
    agent = mesh.proxy("cart")
    for second in range(20, 300, 40):
        # security/pkg/nodeagent/caclient/providers/citadel/client.go, cache/secretcache.go.
        why = "create certificate: rpc error: code = Unauthenticated desc = request authenticate failure"
        agent.go(second + 0.1, "error", "citadelclient", f"failed to sign CSR: {why}")
        agent.go(second + 0.2, "error", "cache", f"failed to generate workload certificate: {why}")


def sidecar_startup_race(mesh):
    mesh.traffic(60, 300)
    app = mesh.log(f"shop/{PODS['web'][0]}/web.log")
    agent = mesh.proxy("web")
    for second in (30.2, 32.2, 34.2, 36.2, 38.2):
        # pilot/cmd/pilot-agent/status/server.go, ready/probe.go.
        agent.go(second, "warn", "", "Envoy proxy is NOT ready: config not fully received from XDS server: cds updates: 1 successful, 0 rejected; lds updates: 0 successful, 0 rejected")
    agent.go(40.2, "info", "", "Readiness succeeded in 10.4s")
    agent.go(40.3, "info", "", "Envoy proxy is ready")
    for second in (31.0, 33.0, 35.0, 37.0, 39.0):
        app.add(second, f"{stamp(second)} could not load the catalogue: dial tcp {VIPS['catalog']}:8080: connect: connection refused")
    app.add(41.0, f"{stamp(41.0)} catalogue loaded, 40 entries")


def node_line(log, second, level, scope, message):
    log.go(second, level, scope, message)


def ztunnel_line(second, source, target, ms, direction, error=None):
    """istio/ztunnel src/proxy/metrics.rs."""
    (source_pod, source_ip), (target_pod, target_ip) = PODS[source], PODS[target]
    level = "error" if error else "info"
    fields = [
        f"src.addr={source_ip}:{41000 + int(second * 10) % 9000}",
        f'src.workload="{source_pod}"',
        'src.namespace="shop"',
        f'src.identity="spiffe://cluster.local/ns/shop/sa/{source}"',
        f"dst.addr={target_ip}:15008",
        f"dst.hbone_addr={target_ip}:8080",
        f'dst.service="{target}.shop.svc.cluster.local"',
        f'dst.workload="{target_pod}"',
        'dst.namespace="shop"',
        f'dst.identity="spiffe://cluster.local/ns/shop/sa/{target}"',
        f'direction="{direction}"',
        f"bytes_sent={0 if error else 180}",
        f"bytes_recv={0 if error else 420}",
        f'duration="{ms}ms"',
    ]
    if error:
        fields.append(f'error="{error}"')
    return f"{stamp(second)}\t{level}\taccess\tconnection complete\t{' '.join(fields)}"


def ambient(mesh, begin, end, source="web", targets=("cart", "catalog"), error=None, ms=None):
    """Connections through the ztunnels of the two nodes."""
    near, far = (mesh.log(f"istio-system/ztunnel-{name}/istio-proxy.log") for name in ("4kq7z", "9wtxb"))
    second = begin
    while second < end:
        for target in targets:
            at = second + mesh.random.random()
            took = mesh.random.randint(2, 30) if ms is None else ms
            near.add(at, ztunnel_line(at, source, target, took, "outbound", error))
            if not error:
                far.add(at, ztunnel_line(at, source, target, took, "inbound"))
        second += 2.0


def ztunnel_unreachable(mesh):
    ambient(mesh, 0, 120)
    ambient(mesh, 0, 300, source="admin", targets=("catalog",))
    cni = mesh.log("istio-system/istio-cni-node-5hx8t/cni.log")
    second = 125.0
    while second < 300:
        pod = f"shop/cart-6f7d9c8b5d-{mesh.random.randrange(16 ** 5):05x}"
        # istio/istio cni/pkg/nodeagent/ztunnelserver.go, net_linux.go, informers.go.
        node_line(cni, second, "error", "cni-agent", "ztunnel connection broken/unwritable, disposing of this connection" if second == 125.0 else f"failed to handle pod add: no ztunnel connection\tpod={pod}")
        node_line(cni, second + 1, "warn", "cni-agent", f"Unable to send pod to ztunnel. Will retry. AddPodToMesh returned: no ztunnel connection\tpod={pod}")
        second += 15


def waypoint_misrouted(mesh):
    ambient(mesh, 0, 300, targets=("catalog",))
    ambient(mesh, 0, 120, targets=("cart",))
    # istio/ztunnel src/proxy.rs.
    ambient(mesh, 120, 300, targets=("cart",), ms=0, error="unknown waypoint: shop/waypoint.shop.svc.cluster.local not found")


def healthy(mesh):
    mesh.traffic(0, 420)
    ambient(mesh, 0, 420, source="admin")
    istiod = mesh.istiod()
    mesh.starts(istiod, 0)
    for number, second in enumerate(range(60, 400, 40), 2):
        mesh.push_all(istiod, second, number, "ServiceEntry/shop/catalog.shop.svc.cluster.local")
    # A start of many proxies, a proxy replaced, the maximum age of a connection: all of it ends by itself.
    for second in (4.0, 4.3, 5.1):
        istiod.go(second, "warn", "ads", f'ADS: "10.20.2.12:{mesh.random.randint(33000, 60000)}" exceeded rate limit: rate: Wait(n=1) would exceed context deadline')
    istiod.go(200, "warn", "delta", f'ADS: "10.20.1.11:41822" {PODS["web"][0]}.shop-1 terminated with error: rpc error: code = Canceled desc = context canceled')
    istiod.go(201, "info", "delta", f"ADS: new delta connection for node:{PODS['web'][0]}.shop-9")
    web = mesh.proxy("web")
    web.envoy(200, "warning", "config", "StreamAggregatedResources gRPC config stream to xds-grpc closed: 13, ")
    web.go(200.6, "info", "xdsproxy", "connected to upstream XDS server: istiod.istio-system.svc:15012")
    for second in (1.0, 3.0):
        web.go(second, "warn", "", "Envoy proxy is NOT ready: config not received from XDS server (is Istiod running?): cds updates: 0 successful, 0 rejected; lds updates: 0 successful, 0 rejected")
    web.go(1.5, "warn", "sds", "failed to warm certificate: failed to generate workload certificate: create certificate: rpc error: code = Unavailable desc = connection error")
    web.go(4.0, "info", "cache", "generated new workload certificate\tlatency=38.1ms ttl=23h59m59.9s")
    web.go(5.0, "info", "", "Envoy proxy is ready")
    cni = mesh.log("istio-system/istio-cni-node-5hx8t/cni.log")
    cni.go(10, "error", "cni-agent", "ztunnel connection broken/unwritable, disposing of this connection")
    cni.go(11, "warn", "cni-agent", "Unable to send pod to ztunnel. Will retry. AddPodToMesh returned: no ztunnel connection\tpod=shop/cart-1")
    near = mesh.log("istio-system/ztunnel-4kq7z/istio-proxy.log")
    for second in (250.0, 250.1, 250.2, 250.3, 250.4, 250.5):
        near.add(second, ztunnel_line(second, "web", "cart", 900, "outbound", "connection closed due to connection drain"))


def refused(address):
    return f"upstream_reset_before_response_started{{remote_connection_failure|delayed_connect_error:_Connection_refused|remote_address:{address}:8080}}"


def memory_killed(mesh):
    killed, ready = 150.0, 174.0
    mesh.traffic(0, 300, (("web", "catalog"),))
    mesh.traffic(0, killed, (("web", "cart"),))
    details = "upstream_reset_before_response_started{connection_termination}"
    for number in range(4):
        mesh.call(killed + number / 10, "web", "cart", status="503", flags="UC", details=details, ms=2, called=False)
    mesh.traffic(killed + 1, ready, (("web", "cart"),), every=1.0, status="503", flags="UF", details=refused(PODS["cart"][1]), ms=0, called=False)
    mesh.traffic(ready + 1, 300, (("web", "cart"),))
    agent = mesh.proxy("cart")
    # istio/istio pkg/envoy/agent.go, pkg/envoy/proxy.go, pilot/cmd/pilot-agent/status.
    agent.go(killed + 0.2, "error", "", "Envoy exited with error: signal: killed")
    agent.go(killed + 0.201, "error", "", "Envoy may have been out of memory killed. Check memory usage and limits.")
    agent.go(ready, "info", "", "Envoy proxy is ready")


def conntrack_full(mesh):
    details = "upstream_reset_before_response_started{connection_timeout}"
    mesh.traffic(0, 300)
    second = 120.0
    while second < 290:
        target = mesh.random.choice(("cart", "catalog"))
        mesh.call(second, "web", target, status="503", flags="UF", details=details, ms=10001, called=False)
        second += 2.5
    # Linux net/netfilter/nf_conntrack_core.c. A kernel's clock begins with it, and the log does not say when that was.
    kernel = mesh.log("node-1.dmesg")
    for number in range(40):
        kernel.add(120 + number * 4, f"[{882733 + number * 4.07:.6f}] nf_conntrack: nf_conntrack: table full, dropping packet")


def rfc_2822(second):
    return (START + datetime.timedelta(seconds=second)).strftime("%a, %d %b %Y %H:%M:%S +0000")


def described(pod, ip, killed, limit="1Gi"):
    """kubernetes/kubectl pkg/describe/describe.go."""
    return f"""Name:             {pod}
Namespace:        shop
Priority:         0
Node:             node-1/192.0.2.11
Start Time:       {rfc_2822(-86400)}
Status:           Running
IP:               {ip}
Containers:
  app:
    Image:          registry.example/cart:1.4
    Port:           8080/TCP
    State:          Running
      Started:      {rfc_2822(-86390)}
    Ready:          True
    Restart Count:  0
  istio-proxy:
    Image:          docker.io/istio/proxyv2:1.24.1
    State:          Running
      Started:      {rfc_2822(killed + 9)}
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Started:      {rfc_2822(-86390)}
      Finished:     {rfc_2822(killed)}
    Ready:          True
    Restart Count:  1
    Limits:
      cpu:     2
      memory:  {limit}
    Requests:
      cpu:      100m
      memory:   128Mi
Conditions:
  Type              Status
  Ready             True
Events:
  Type     Reason   Age   From     Message
  ----     ------   ----  ----     -------
  Normal   Started  2m    kubelet  Started container istio-proxy
"""


def killed_described(mesh):
    killed, ready = 150.0, 165.0
    mesh.traffic(0, 300, (("web", "catalog"),))
    mesh.traffic(0, killed, (("web", "cart"),))
    details = "upstream_reset_before_response_started{connection_termination}"
    for number in range(4):
        mesh.call(killed + number / 10, "web", "cart", status="503", flags="UC", details=details, ms=2, called=False)
    mesh.traffic(killed + 1, ready, (("web", "cart"),), every=1.0, status="503", flags="UF", details=refused(PODS["cart"][1]), ms=0, called=False)
    mesh.traffic(ready + 1, 300, (("web", "cart"),))
    mesh.files["describe.txt"] = Saved(described(*PODS["cart"], killed))
    # kubernetes/kubectl pkg/metricsutil/metrics_printer.go.
    mesh.files["top.txt"] = Saved(
        f"POD                      NAME          CPU(cores)   MEMORY(bytes)   \n{PODS['cart'][0]}   app           12m          141Mi           \n{PODS['cart'][0]}   istio-proxy   8m           1019Mi          \n"
    )
    # envoyproxy/envoy source/server/admin/stats_render.cc.
    mesh.files[f"shop/{PODS['cart'][0]}/stats"] = Saved(
        "cluster_manager.active_clusters: 61\ncluster_manager.cluster_added: 61\nserver.concurrency: 2\nserver.memory_allocated: 1043210240\nserver.uptime: 86500\n"
    )


def memory_leak(mesh):
    """https://prometheus.io/docs/prometheus/latest/querying/api/, envoyproxy/envoy docs "Statistics": memory_allocated."""
    mesh.traffic(0, 300)
    hours, step = 6, 300
    begin = START.timestamp() - hours * 3600
    series = []
    for name, (pod, ip) in PODS.items():
        memory, requests, leaking = [], [], name == "cart"
        for number in range(hours * 3600 // step):
            at = begin + number * step
            grown = 7_300_000 * number if leaking else 0
            memory.append([at, str(62_000_000 + grown + mesh.random.randint(-900_000, 900_000))])
            requests.append([at, str(100_000 + number * 150)])
        labels = {"namespace": "shop", "pod": pod, "container": "istio-proxy", "instance": f"{ip}:15020"}
        series.append({"metric": {"__name__": "envoy_server_memory_allocated", **labels}, "values": memory})
        series.append({"metric": {"__name__": "istio_requests_total", **labels, "reporter": "destination"}, "values": requests})
    answer = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    mesh.files["prometheus.json"] = Saved(json.dumps(answer, indent=1) + "\n")


def large_control_plane(mesh):
    mesh.traffic(0, 300)
    mesh.files["top.txt"] = Saved(
        "NAMESPACE      POD                       NAME        CPU(cores)   MEMORY(bytes)   \n"
        f"istio-system   {ISTIOD}   discovery   912m         5341Mi          \n"
    )
    # istio/istio pilot/pkg/xds/monitoring.go, prometheus/client_golang.
    mesh.files[f"istio-system/{ISTIOD}/metrics"] = Saved(
        "# HELP pilot_services Total services known to pilot.\n# TYPE pilot_services gauge\npilot_services 1460\n"
        '# HELP pilot_xds Number of endpoints connected to this pilot using XDS.\n# TYPE pilot_xds gauge\npilot_xds{version="1.24.1"} 812\n'
        "# TYPE process_open_fds gauge\nprocess_open_fds 903\n# TYPE process_max_fds gauge\nprocess_max_fds 1.048576e+06\n"
    )


def redirect_missing(mesh):
    mesh.traffic(0, 300, (("web", "catalog"),))
    # istio/istio tools/istio-iptables/pkg/validation/validator.go.
    check = mesh.log(f"shop/{PODS['cart'][0]}/istio-validation.log")
    check.go(30.0, "info", "", "Starting iptables validation. This check verifies that iptables rules are properly established for the network.")
    check.go(35.0, "error", "", "Validation failed: connection to 127.0.0.6:15002 refused")


# Name, what happens, what makes it; then of the verdict: cause, scope, look-alikes ruled out, and a line that must be cited.
CASES = [
    ("made-config-invalid", "a VirtualService delegates to one that does not exist", config_invalid, "config-invalid",
     ["istiod", "cart"], [], ("discovery.log", "delegate virtual service shop/cart-routes")),
    ("made-config-rejected", "an EnvoyFilter that the proxy cannot use", config_rejected, "config-rejected",
     ["web"], ["listener-bind-failure"], ("discovery.log", "ACK ERROR web-")),
    ("made-cert-rotation-failure", "istiod refuses to sign for one workload, whose certificate then runs out", cert_rotation_failure,
     "cert-rotation-failure", ["cart"], ["control-plane-unreachable"], ("istio-proxy.log", "code = Unauthenticated")),
    ("made-conntrack-full", "the connection table of a node is full, and a part of all connects goes unanswered", conntrack_full,
     "conntrack-exhaustion", ["*"], [], ("node-1.dmesg", "table full")),
    ("made-control-plane-overload", "istiod turns proxies away for minutes and runs out of memory", control_plane_overload,
     "control-plane-overload", ["istiod"], ["control-plane-unreachable"], ("discovery.log", "exceeded rate limit")),
    ("made-control-plane-push-delay", "three large pushes, and all that one proxy calls is slow after each", control_plane_push_delay,
     "control-plane-push-delay", ["*"], ["slow-upstream-app"], ("discovery.log", "PUSH for node:web-")),
    ("made-healthy-control-plane", "nothing is wrong: a start, reconnects, pushes, a ztunnel that is replaced", healthy, None, [], [], None),
    ("made-large-control-plane", "nothing is wrong: an istiod of 1460 services uses more than 4 GiB", large_control_plane, None, [], [], None),
    ("made-memory-leak", "the memory of one proxy grows for six hours while its traffic stays as it is", memory_leak, "memory-leak",
     ["cart"], [], ("prometheus.json", PODS["cart"][0])),
    ("made-redirect-missing", "the rules that lead a pod's traffic to its proxy are missing", redirect_missing,
     "sidecar-injection-conflict", ["cart"], [], ("istio-validation.log", "Validation failed")),
    ("made-sidecar-killed-described", "the Envoy of one pod is killed for want of memory, which only its description tells", killed_described,
     "sidecar-memory-exhaustion", ["cart"], [], ("describe.txt", "OOMKilled")),
    ("made-sidecar-memory-exhaustion", "the Envoy of one pod is killed for want of memory and started again", memory_killed,
     "sidecar-memory-exhaustion", ["cart"], [], ("istio-proxy.log", "out of memory killed")),
    ("made-sidecar-startup-race", "an application starts ten seconds before its proxy", sidecar_startup_race, "sidecar-startup-race",
     ["web"], ["upstream-connection-refused"], ("web.log", "connection refused")),
    ("made-waypoint-misrouted", "the waypoint of one service is not known to ztunnel", waypoint_misrouted, "waypoint-misrouted",
     ["cart"], ["rbac-denied"], ("istio-proxy.log", "unknown waypoint")),
    ("made-ztunnel-unreachable", "the ztunnel of a node is gone, and the CNI agent waits for it", ztunnel_unreachable,
     "ztunnel-unreachable", ["ztunnel"], [], ("cni.log", "no ztunnel connection")),
]


def counter():
    spec = importlib.util.spec_from_file_location("count", HERE / "count.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(name, counts):
    rows = "".join(f'"{key}" = {value}\n' for key, value in counts.items())
    return f"\n[counts.{name}]\n{rows}" if rows else ""


def make(folder, case, count):
    name, what, build, cause, scope, ruled_out, cited = case
    mesh = Mesh(name)
    build(mesh)
    home = folder / name
    texts = {path: log.text() for path, log in mesh.files.items()}
    for path, text in texts.items():
        large = len(text) > 40_000
        file = home / "input" / (path + (".gz" if large else ""))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode(), 9, mtime=0) if large else text.encode())
    counts = count.count(count.files([home / "input"]))
    lines = [f'# What postmesh must say of this case, which is made (../made.py). The counts were got with ../count.py.\ntitle = "{what}"\n\n[verdict]\n']
    if cause:
        lines.append(f'state = "cause-found"\ncause = "{cause}"\nexit_status = 1\nscope = {scope!r}\n'.replace("'", '"'))
        if ruled_out:
            lines.append(f"ruled_out = {ruled_out!r}\n".replace("'", '"'))
        path, text = next((path, text) for path, text in sorted(texts.items()) if path.endswith(cited[0]) and cited[1] in text)
        found = [number for number, line in enumerate(text.splitlines(), 1) if cited[1] in line][:20]
        packed = path + (".gz" if len(text) > 40_000 else "")
        lines.append(f'\n[[cited]]\nfile = "{packed}"\nlines = {found}\nholds = "{cited[1]}"\n')
    else:
        lines.append('state = "healthy"\nexit_status = 0\n')
    lines.append(f"\n[counts]\nrows = {counts['rows']}\ntcp_connections = {counts['tcp_connections']}\ntotal = {counts['total']}\nfailed = {counts['failed']}\ncanceled = {counts['canceled']}\n")
    lines.extend(table(name, counts[name]) for name in ("by_code", "by_flag", "by_detail", "by_reporter"))
    (home / "expect.toml").write_text("".join(lines))
    sentence = what[0].upper() + what[1:]
    readme = (
        f"# {name}\n\n{sentence}.\n\n**Made, not recorded**: `../made.py` writes it, the same bytes at every run. Lines have the forms that the sources named in "
        f"`{build.__name__}` there print; times, names and addresses are made up. `expect.toml` says what must be found.\n"
    )
    (home / "README.md").write_text(readme)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    count = counter()
    for case in CASES:
        make(folder, case, count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
