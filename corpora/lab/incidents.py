"""Incidents in meshes other than bookinfo: every fault is a function of a mesh, a service and a severity, so that names, depth and mixtures vary."""
import os
import time

import certs
import envoyconf as ec
from engine import P, case

H1 = dict(h2_upstream=False, max_requests=8, connect_timeout="1s")
OUTLIER = {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "12s", "max_ejection_percent": 100,
           "enforcing_consecutive_5xx": 100, "enforcing_success_rate": 0}


class Mesh:
    """client -> services, some of which call others. spec: name -> dict(port, target, pods, calls, ctl, svc, pod, tcp..)."""

    def __init__(self, L, ns, client, spec, net, fmt=None):
        self.L, self.ns, self.spec, self.client = L, ns, spec, client
        fmt = fmt or {}
        L.client_pod = client
        n = 10
        L.add(P(client, f"{net}.1.{n}", f"{ns}-edge", None, ns=ns, **{**fmt, **spec.get("_client", {})}))
        for i, (name, s) in enumerate(x for x in spec.items() if not x[0].startswith("_")):
            s.setdefault("target", s["port"])
            ips = []
            for j, pod in enumerate(s["pods"]):
                ip = f"{net}.{2 + i % 3}.{20 + 10 * i + j}"
                ips.append(ip)
                paths = sorted({p for p in s.get("prefixes", [f"/{name}/"])} | {"/healthz"})
                ctl = {"paths": paths, "delay_ms": [2, 9], **s.get("ctl", {})}
                L.add(P(pod, ip, f"{name}-sa", s["target"], ns=ns, ctl=ctl, **{**fmt, **s.get("pod", {})}))
            s["vip"] = f"172.20.{i}.{30 + i}"
            L.service(name, s["port"], s["vip"], [(ip, s["target"]) for ip in ips], ns=ns, **s.get("svc", {}))
        for name, s in spec.items():
            if name.startswith("_") or not s.get("calls"):
                continue
            for pod in s["pods"]:
                L.pods[pod]["ctl"]["calls"] = [dict(host=spec[c]["vip"], port=spec[c]["port"], path=f"/{c}/{k + 1}", authority=f"{c}:{spec[c]['port']}")
                                               for k, c in enumerate(s["calls"])]

    def pods(self, t):
        return self.spec[t]["pods"]

    def cluster(self, t):
        return ec.cluster_name(self.L.find(t))

    def callers(self, t):
        """Pods that call t: those of services that list it, or the client."""
        return [p for s in self.spec.values() if isinstance(s, dict) and t in s.get("calls", []) for p in s["pods"]] or [self.client]

    def load(self, rps=9, only=None, skip=(), **kw):
        for name, s in self.spec.items():
            if name.startswith("_") or name in skip or (only and name not in only) or not s.get("edge", True):
                continue
            self.L.stream(self.client, name, rps, [(f"/{name}/1", 6), (f"/{name}/{len(name) * 7}?v=2", 3), ("/robots.txt", 0.3)], **{"conns": 8, **kw})

    def ctl(self, pod, **kw):
        """Changes what an app does and keeps what it did otherwise."""
        self.L.ctl(pod, **{**self.base(pod), **kw})

    def base(self, pod):
        L = self.L
        if "_base" not in L.pods[pod]:
            L.pods[pod]["_base"] = dict(L.pods[pod]["ctl"])
        return dict(L.pods[pod]["_base"])


def shop(L, fmt=None, http=None, deep=True, **opts):
    """A web shop: the storefront calls cart, catalog and checkout; checkout calls payment, payment calls ledger."""
    spec = {"cart": dict(port=80, target=8080, pods=["cart-6b7d9c4f58-x2kqp"]),
            "catalog": dict(port=8000, target=8000, pods=["catalog-58f9d7c6bb-4wz7n", "catalog-58f9d7c6bb-t9l2m"]),
            "checkout": dict(port=7070, target=7070, pods=["checkout-7c5ddb96d9-hh4qv"], calls=["payment"] if deep else []),
            "payment": dict(port=80, target=9000, pods=["payment-0"], edge=not deep, calls=["ledger"] if deep else []),
            "ledger": dict(port=5000, target=5000, pods=["ledger-84f6b5d9c7-zz8rk"], edge=not deep)}
    return mesh_of(L, "shop", "storefront-5c8f7d9b64-k2vxp", spec, "10.60", fmt, http, opts)


def bank(L, fmt=None, http=None, **opts):
    """A payment system: the gateway calls accounts, transfers and quotes; transfers calls fraud."""
    spec = {"accounts": dict(port=8443, target=8443, pods=["accounts-0", "accounts-1"]),
            "transfers": dict(port=3000, target=3000, pods=["transfers-6d4cf56db6-9p5wd"], calls=["fraud"]),
            "fraud": dict(port=8090, target=8090, pods=["fraud-76b8b7b5d4-lq2cx"], edge=False),
            "quotes": dict(port=8080, target=8081, pods=["quotes-v3-5f5b7c9d8f-m7tzh"])}
    return mesh_of(L, "banking", "gateway-66d9f8bb7-b6nfd", spec, "172.29", fmt, http, opts)


def mesh_of(L, ns, client, spec, net, fmt, http, opts):
    for name, o in opts.items():
        if name == "client":
            spec["_client"] = o
        elif name == "every":
            for s in spec.values():
                s["svc"] = {**s.get("svc", {}), **o}
        else:
            for k, v in o.items():
                spec[name][k] = {**spec[name].get(k, {}), **v} if isinstance(v, dict) else v
    return Mesh(L, ns, client, spec, net, fmt)


# ---- faults: each puts itself on the time line, says whom it affects, and is in the truth ---------------------------------
def put(M, cause, t, on, off, do, undo=None, cluster=None, destination=None, secondary=(), source=None):
    L = M.L
    L.faults.append({"root_cause": cause, "cluster": cluster or (M.cluster(t) if t else None), "destination": destination or ", ".join(M.pods(t))})
    L.spec.secondary = sorted(set(L.spec.secondary) | set(secondary))
    L.affected = {"source": source or ", ".join(M.callers(t) if t else [M.client]), "destination": destination or ", ".join(M.pods(t)),
                  "cluster": cluster or (M.cluster(t) if t else None)}
    L.at(on, "fault", do)
    if off:
        L.at(off, "heal", undo)


def each(M, t, fn):
    return lambda: [fn(p) for p in M.pods(t)]


def refused(M, t, on=12, off=28, pods=None):
    L = M.L
    ps = pods or M.pods(t)
    put(M, "upstream-connection-refused", t, on, off, lambda: [L.stop_app(p) for p in ps], lambda: [L.start_app(p, tag="2") for p in ps])


def rule(M, t, tail, every=None):
    ip = {p: M.L.pods[p]["ip"] for p in (*M.callers(t), *M.pods(t))}
    stat = f" -m statistic --mode random --probability {every}" if every else ""
    return [f"FORWARD -p tcp -s {ip[c]} -d {ip[p]} --dport {M.spec[t]['target']}{stat} {tail}" for c in M.callers(t) for p in M.pods(t)]


def tables(M, rules):
    w = M.L.world
    return (lambda: [w.node_iptables("-A " + r) for r in rules]), (lambda: [w.node_iptables("-D " + r) for r in rules])


def dropped(M, t, on=12, off=32, share=None):
    put(M, "upstream-connect-timeout", t, on, off, *tables(M, rule(M, t, "-m conntrack --ctstate NEW -j DROP", share)))


def rejected(M, t, on=12, off=28, how="icmp-admin-prohibited"):
    put(M, "network-policy-reject", t, on, off, *tables(M, rule(M, t, f"-m conntrack --ctstate NEW -j REJECT --reject-with {how}")))


def lossy(M, t, share=0.1, on=12, off=34):
    ip = {p: M.L.pods[p]["ip"] for p in (*M.callers(t), *M.pods(t))}
    rs = [f"FORWARD -p tcp -{a} {ip[c]} -{b} {ip[p]} -m statistic --mode random --probability {share} -j DROP" for c in M.callers(t) for p in M.pods(t) for a, b in ("sd", "ds")]
    put(M, "packet-loss", t, on, off, *tables(M, rs))


def no_endpoints(M, t, on=12, off=28):
    L = M.L
    both = list(L.find(t)["pods"])
    put(M, "no-endpoints", t, on, off, lambda: (L.endpoints(t, []), time.sleep(0.7), [L.stop_app(p) for p in M.pods(t)]),
        lambda: ([L.start_app(p, tag="2") for p in M.pods(t)], time.sleep(0.5), L.endpoints(t, both)))


def routes(M, t, cause, new, on=12, off=28, cluster=None):
    L = M.L

    def change(r):
        L.find(t)["routes"] = r
        for c in M.callers(t):
            L.push(c, cds=False)
    put(M, cause, t, on, off, lambda: change(new), lambda: change(None), cluster=cluster, destination=t)


def missing_subset(M, t, **kw):
    c = M.cluster(t).replace(f"|{M.spec[t]['port']}||", f"|{M.spec[t]['port']}|canary|")
    routes(M, t, "unknown-service", [{"match": {"prefix": "/"}, "name": "canary", "route": {"cluster": c}}], cluster=c, **kw)


def route_lost(M, t, **kw):
    routes(M, t, "route-not-found", [{"match": {"prefix": f"/{t}/v9/"}, "name": f"{t}-v9"}], **kw)


def wrong_case(M, t, rps=5, on=12):
    L = M.L
    L.find(t)["routes"] = [{"match": {"prefix": f"/{t}/"}, "name": f"{t}-http"}, {"match": {"path": "/robots.txt"}, "name": "robots"}]
    L.stream(M.client, t, rps, [(f"/{t.capitalize()}/1", 4), (f"/{t.upper()}/9", 1)], t0=on, name=f"{t}-new", ua="ios-app/5.0")
    put(M, "route-case-mismatch", t, on, None, None)


def blocked(M, rps=5, on=12, policy_done=True):
    L = M.L
    L.stream(M.client, dict(name="rates", addr="198.51.100.7", port=8080 if "quotes" in M.spec else 80, host="rates.vendor.example"), rps, [("/v1/rates", 1)], t0=on)
    put(M, "unknown-service", None, on, None, None, cluster="BlackHoleCluster", destination="rates.vendor.example", source=M.client)


def deleted(M, t, on=12):
    L = M.L

    def do():
        L.find(t).update(absent=True, in_cds=False)
        for c in M.callers(t):
            L.push(c)
    put(M, "unknown-service", t, on, None, do, cluster="PassthroughCluster", secondary=["upstream-connect-timeout"])


def ejected(M, t, on=12, burst=2):
    L = M.L
    put(M, "outlier-ejection", t, on, None, each(M, t, lambda p: M.ctl(p, p500=1.0)), secondary=["no-endpoints"])
    L.at(on + burst, None, each(M, t, lambda p: M.ctl(p, p500=0)))
    L.end_at_last = (M.callers(t)[0], "UH")


def peak(M, t, rps=45, on=12, off=26):
    """For overflow and descriptor limits: more load than the limit."""
    M.L.stream(M.client, t, rps, [(f"/{t}/1", 1)], t0=on, t1=off, conns=24, name=f"{t}-peak")


TIGHT = {"thresholds": [{"max_connections": 1, "max_pending_requests": 1, "max_requests": 1024, "max_retries": 3}]}


def overflow(M, t, rps=45, on=12, off=26):
    peak(M, t, rps, on, off)
    put(M, "circuit-breaker-overflow", t, on, off, None)


def unready(M, t, on=12, off=28, share=None):
    """Retries run out only where almost all answers are 503."""
    put(M, "retries-exhausted", t, on, off, each(M, t, lambda p: M.ctl(p, **({"p503": share} if share else {"unready": True}))), each(M, t, lambda p: M.ctl(p)))


def filters(M, t, cause, new, on=12, off=28):
    L = M.L

    def change(fs):
        for p in M.pods(t):
            L.pods[p]["filters"] = fs
            L.push(p, cds=False)
    put(M, cause, t, on, off, lambda: change(new), lambda: change([]))


def limited(M, t, per_s=3, **kw):
    filters(M, t, "local-rate-limit", [ec.local_rate_limit(per_s, "1s")], **kw)


def denied(M, t, paths=None, **kw):
    ok = ec.rbac_policy([f"{M.ns}/sa/nobody"])
    pols = {f"ns[{M.ns}]-policy[{t}-viewer]-rule[0]": ok}
    if paths:
        pols = {f"ns[{M.ns}]-policy[deny-{t}]-rule[0]": ec.rbac_policy("*", paths)}
    filters(M, t, "rbac-denied", [ec.rbac_http(pols, "DENY" if paths else "ALLOW")], **kw)


def expired(M, t, after=22, pods=None):
    L = M.L
    L.expiry = int(time.time()) + after
    for p in pods or M.pods(t):
        L.pods[p]["not_after"] = L.expiry
    put(M, "cert-expired", t, 0.1, None, None)


def other_root(M, t, on=12, pods=None):
    L = M.L
    new = certs.CA()
    put(M, "cert-unknown-ca", t, on, None, lambda: [L.give_cert(p, ca=new, roots=new.pem) for p in pods or M.pods(t)])


def tls_switched(M, t, cause, first, on=12, off=28):
    L = M.L

    def change(tls):
        L.find(t)["tls"] = tls
        for c in M.callers(t):
            L.push(c, lds=False)
    put(M, cause, t, on, off, lambda: change(first), lambda: change(not first))


def plaintext(M, t, **kw):
    tls_switched(M, t, "mtls-plaintext-to-strict", False, **kw)


def tls_to_plain(M, t, **kw):
    tls_switched(M, t, "mtls-tls-to-plaintext", True, **kw)


def gradual(M, ts, first=18, step=8):
    L = M.L
    n = int(time.time()) + first
    pods = [p for t in ts for p in M.pods(t)]
    for i, p in enumerate(pods):
        L.pods[p]["not_after"] = n + i * step
    L.expiry = n
    put(M, "gradual-cert-expiry", None, 0.1, None, None, destination=", ".join(pods), secondary=["cert-expired"])
    return first + step * len(pods) + 8


def app(M, t, cause, secondary=(), on=12, off=28, **kw):
    put(M, cause, t, on, off, each(M, t, lambda p: M.ctl(p, **kw)), each(M, t, lambda p: M.ctl(p)), secondary=secondary)


def aborts(M, t, share=0.25, **kw):
    app(M, t, "upstream-reset", reset_p=share, **kw)


def truncates(M, t, share=0.25, **kw):
    app(M, t, "upstream-reset", truncate_p=share, **kw)


def slow(M, t, ms=(700, 1600), **kw):
    app(M, t, "slow-upstream-app", delay_ms=list(ms), **kw)


def too_late(M, t, share=0.5, ms=(1000, 2000), **kw):
    """The service's time-out (in its svc options) is shorter."""
    app(M, t, "upstream-timeout", secondary=["slow-upstream-app"], tail_p=share, tail_ms=list(ms), **kw)


def stalls(M, t, seconds=2.5, rps=2, **kw):
    M.L.stream(M.client, t, rps, [(f"/{t}/upload", 1)], method="POST", body=500000, name=f"{t}-upload", conns=12, timeout=30)
    app(M, t, "zero-window", stall_s=seconds, **kw)


def race(M, t, keepalive=1.0, every=1.35, n=14):
    L = M.L
    for p in M.pods(t):
        L.pods[p]["ctl"].update(keepalive_s=keepalive, sweep_every_s=0.3, sweep_cost_ms=45)
    L.stream(M.client, t, 1, [(f"/{t}/1", 1)], burst=[n, every, 0.12], conns=40, name=f"{t}-burst")
    put(M, "keepalive-race", t, 0.2, None, None, secondary=["upstream-reset"])


def hasty(M, t, timeout=0.08, rps=10, on=12):
    M.L.stream(M.client, t, rps, [(f"/{t}/1", 1)], t1=on)
    M.L.stream(M.client, t, rps, [(f"/{t}/1", 1)], t0=on, timeout=timeout, name=f"{t}-hasty", ua="hasty/2.1")
    put(M, "client-disconnect", t, on, None, None)


def wrong_protocol(M, t, on=12, off=28):
    L = M.L

    def change(proto):
        for p in M.pods(t):
            L.pods[p]["inbound"] = [{"port": M.spec[t]["target"], "proto": proto}]
            L.push(p)
    put(M, "upstream-protocol-error", t, on, off, lambda: change("h2"), lambda: change("http"))


def limit_fds(L, pod, spare):
    import subprocess
    pid, uid = L.procs[f"envoy:{pod}"].pid, str(L.pods[pod]["uid"])
    n = max(int(x) for x in os.listdir(f"/proc/{pid}/fd")) + spare
    subprocess.run(["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "prlimit", "--pid", str(pid), f"--nofile={n}:"], check=True)


def descriptors(M, t, on=12, off=27, rps=60):
    L = M.L
    L.stream(M.client, t, rps, [(f"/{t}/1", 1)], t0=on, t1=off - 1, conns=90, name=f"{t}-peak")
    put(M, "fd-exhaustion", t, on, off, each(M, t, lambda p: limit_fds(L, p, 12)), each(M, t, lambda p: limit_fds(L, p, 3000)))


def bound(M, t, pod, on=12):
    L = M.L

    def restart():
        L.kill_envoy(pod)
        L.stop_app(pod)
        L.start_app(pod, tag="2")
        L.start_app(pod, port=15006, tag="-debug")
        time.sleep(0.5)
        L.start_envoy(pod, log=L.pods[pod]["_log"])
    put(M, "listener-bind-failure", t, on, None, restart, destination=pod, secondary=["mtls-tls-to-plaintext"])


def dns_gone(M, host="api.acquirer.example", on=12, off=30, servfail=False):
    """A ServiceEntry whose name stops to resolve."""
    L = M.L
    net = L.pods[M.client]["ip"].rsplit(".", 2)[0]
    L.dns_ip = f"{net}.1.53"
    L.add(P("acquirer", f"{net}.1.99", port=8080, sidecar=False, ns=M.ns, ctl={"paths": ["/v2/"]}))
    L.dns_records = {host: f"{net}.1.99"}
    L.service("acquirer", 8080, "172.20.9.99", [], dns=host, tls=False, fqdn=host, hosts=[host], ns=M.ns)
    L.stream(M.client, "acquirer", 7, [("/v2/authorize", 1)], host=f"{host}:8080")

    def change(there):
        L.dns_records.update({host: f"{net}.1.99"}) if there else L.dns_records.pop(host)
        L.dns_reload()
    put(M, "dns-failure", None, on, off, lambda: change(False), lambda: change(True), cluster=f"outbound|8080||{host}", destination=host, source=M.client, secondary=["no-endpoints"])


def istiod(M, spec):
    net = M.L.pods[M.client]["ip"].rsplit(".", 2)[0]
    M.L.pods[M.client].update(ads=(f"{net}.1.2", 15010), **spec)
    M.L.add(P("istiod", f"{net}.1.2", sidecar=False, app=False, ns=M.ns))


# ---- what goes on beside a fault and is none ---------------------------------------------------------------------------------
def scanner(M, t, rps=3):
    M.L.stream(M.client, t, rps, [("/.env", 1), ("/wp-login.php", 1), ("/admin/config", 1)], name=f"{t}-scanner", ua="zgrab/0.x")


def own_errors(M, t, p500=0.05, p503=0.0, p404=0.05):
    for p in M.pods(t):
        M.L.pods[p]["ctl"].update(p500=p500, p503=p503, p404=p404)


def cancels(M, t, share=0.3, ms=25, rps=6):
    """Callers of a slow-ish service hang up, always."""
    for p in M.pods(t):
        M.L.pods[p]["ctl"].setdefault("delay_ms", [5, 40])
        M.L.pods[p]["ctl"]["delay_ms"] = [5, 40]
    M.L.stream(M.client, t, rps, [(f"/{t}/1", 1)], cancel_p=share, cancel_ms=ms, name=f"{t}-cancels")


def deploy(M, t, on=15):
    """A rolling restart done well: the pod leaves the endpoints before it stops, and comes back."""
    L = M.L
    all_pods = [(L.pods[p]["ip"], M.spec[t]["target"]) for p in M.pods(t)]
    for i, p in enumerate(M.pods(t)):
        rest = [x for j, x in enumerate(all_pods) if j != i]
        at = on + 6 * i
        L.at(at, None, lambda rest=rest: L.endpoints(t, rest))
        L.at(at + 2, None, lambda p=p: (L.stop_app(p), L.start_app(p, tag=f"-new{p[-1]}")))
        L.at(at + 4, None, lambda: L.endpoints(t, all_pods))


def unused_expired(M, on=0):
    """A pod whose certificate ended long ago and which nobody calls: no traffic, no fault."""
    net = M.L.pods[M.client]["ip"].rsplit(".", 2)[0]
    M.L.add(P("legacy-batch-0", f"{net}.4.77", "legacy-sa", 8088, ns=M.ns, ctl={"paths": ["/"]}, not_after=time.time() - 7200))


def capture(L, *pods, **kw):
    for p in pods:
        pod, _, iface = p.partition(":")
        L.capture(pod, iface or "eth0", **kw)


def flagged(pod, flag, least=5):
    return f"{pod} shows {flag} at least {least} times", lambda f, L: f.n(pod, flag=flag) >= least


def incident(name, root, title, healthy_before=True, duration=38):
    def deco(fn):
        def run(L):
            L.duration = duration
            fn(L)
            if len(L.faults) < 2:
                L.faults = []
            for _, s in L.streams:
                s["t1"] = min(s["t1"], L.duration)
        case(name, root, title, healthy_before=healthy_before)(run)
        return run
    return deco


TEXT, JSON, CRI, CRIJ, DOCKER = {}, dict(access="json"), dict(wrap="cri"), dict(wrap="cri", access="json"), dict(wrap="docker")
LOUD = dict(level="debug", component="misc:error,http:debug,router:debug,connection:info,pool:info,upstream:info,main:info,config:info,filter:info,conn_handler:info")


# ---- the incidents -----------------------------------------------------------------------------------------------------------
@incident("shop-refused-deep", "upstream-connection-refused", "ledger's process is down, two calls below the edge: everybody above answers 500")
def _(L):
    M = shop(L)
    M.load()
    refused(M, "ledger")
    capture(L, "payment-0", "ledger-84f6b5d9c7-zz8rk:lo")
    L.check(*flagged("ledger-84f6b5d9c7-zz8rk", "UF"))


@incident("shop-refused-one-of-two", "upstream-connection-refused", "One of two catalog pods has no process; retries at the other hide most of it")
def _(L):
    M = shop(L, CRI)
    M.load()
    refused(M, "catalog", pods=["catalog-58f9d7c6bb-t9l2m"])
    capture(L, "catalog-58f9d7c6bb-t9l2m:lo", M.client)
    L.check(*flagged("catalog-58f9d7c6bb-t9l2m", "UF"))


@incident("bank-drop-deep", "upstream-connect-timeout", "A firewall drops new connections from transfers to fraud", duration=44)
def _(L):
    M = bank(L, JSON, fraud=dict(svc=dict(H1, connect_timeout="2s", retries=None)))
    M.load(8)
    dropped(M, "fraud")
    capture(L, "transfers-6d4cf56db6-9p5wd")
    L.check(*flagged("transfers-6d4cf56db6-9p5wd", "UF"))


@incident("bank-drop-half", "upstream-connect-timeout", "Half of the new connections to accounts are dropped; the app answers some 500s of its own", duration=44)
def _(L):
    M = bank(L, accounts=dict(svc=dict(H1, connect_timeout="1s", retries=None)))
    own_errors(M, "quotes", 0.08)
    M.load(8)
    dropped(M, "accounts", share=0.5)
    capture(L, M.client)
    L.check(*flagged(M.client, "UF"))


@incident("shop-reject-icmp-port", "network-policy-reject", "A policy rejects new connections to cart with ICMP port-unreachable")
def _(L):
    M = shop(L, DOCKER, cart=dict(svc=H1))
    M.load()
    rejected(M, "cart", how="icmp-port-unreachable")
    capture(L, M.client)
    L.check(*flagged(M.client, "UF"))


@incident("bank-reject-tcp-reset", "network-policy-reject", "A firewall answers new connections to quotes with RST")
def _(L):
    M = bank(L, CRIJ, quotes=dict(svc=H1))
    M.load()
    rejected(M, "quotes", how="tcp-reset")
    L.spec.secondary = ["upstream-connection-refused"]
    capture(L, M.client, "quotes-v3-5f5b7c9d8f-m7tzh")
    L.check(*flagged(M.client, "UF"))


@incident("shop-no-endpoints-deep", "no-endpoints", "payment is scaled to zero")
def _(L):
    M = shop(L, CRI)
    M.load()
    no_endpoints(M, "payment")
    capture(L, "checkout-7c5ddb96d9-hh4qv")
    L.check(*flagged("checkout-7c5ddb96d9-hh4qv", "UH"))


@incident("bank-missing-subset", "unknown-service", "A route sends fraud's traffic to a subset that does not exist; a scanner asks quotes for odd paths")
def _(L):
    M = bank(L)
    scanner(M, "quotes")
    M.load()
    missing_subset(M, "fraud")
    L.check(*flagged("transfers-6d4cf56db6-9p5wd", "NC"))


@incident("shop-blocked-egress", "unknown-service", "The storefront calls a host that the registry does not know (REGISTRY_ONLY)")
def _(L):
    M = shop(L, JSON, client=dict(policy="REGISTRY_ONLY"))
    own_errors(M, "cart", 0.03, 0.03)
    M.load()
    blocked(M)
    capture(L, M.client)


@incident("bank-deleted-service", "unknown-service", "quotes' Service was deleted; its calls go through PassthroughCluster to a dead address", duration=36)
def _(L):
    M = bank(L, CRI)
    M.load(7, conns=14)
    deleted(M, "quotes")
    capture(L, M.client)


@incident("shop-route-lost", "route-not-found", "A VirtualService for catalog lost its catch-all; a scanner asks cart for odd paths", duration=36)
def _(L):
    M = shop(L)
    scanner(M, "cart")
    M.load()
    route_lost(M, "catalog")
    L.check(*flagged(M.client, "NR"))


@incident("bank-wrong-case", "route-case-mismatch", "A new app calls /Accounts/..", duration=36)
def _(L):
    M = bank(L, CRIJ)
    M.load()
    wrong_case(M, "accounts")
    L.check(*flagged(M.client, "NR"))


@incident("shop-ejected", "outlier-ejection", "A burst of catalog's 500s ejects both pods", duration=40)
def _(L):
    M = shop(L, CRI, catalog=dict(svc=dict(outlier=OUTLIER, retries=None)))
    M.load(12)
    ejected(M, "catalog")
    capture(L, M.client)
    L.check(*flagged(M.client, "UH"))


@incident("bank-overflow", "circuit-breaker-overflow", "A tight connection pool for quotes meets a peak; accounts answers 503 of its own now and then")
def _(L):
    M = bank(L, JSON, quotes=dict(svc=dict(cb=TIGHT, h2_upstream=False, retries=None), ctl=dict(delay_ms=[25, 60])))
    own_errors(M, "accounts", 0.0, 0.03)
    M.load(6, skip=("quotes",))
    M.load(3, only=("quotes",))
    overflow(M, "quotes")
    capture(L, M.client)
    L.check(*flagged(M.client, "UO", 30))


@incident("shop-retries-deep", "retries-exhausted", "ledger is not ready and answers 503; payment's sidecar retries in vain")
def _(L):
    M = shop(L, DOCKER)
    M.load()
    unready(M, "ledger")
    capture(L, "ledger-84f6b5d9c7-zz8rk:lo")
    L.check(*flagged("payment-0", "URX"))


@incident("bank-rate-limited", "local-rate-limit", "A local rate limit of 3/s at fraud")
def _(L):
    M = bank(L, CRI)
    M.load()
    limited(M, "fraud")
    capture(L, "fraud-76b8b7b5d4-lq2cx")


@incident("shop-denied", "rbac-denied", "An AuthorizationPolicy at payment forgets checkout; cart has a few 404s")
def _(L):
    M = shop(L, CRIJ)
    own_errors(M, "cart", 0, 0, 0.08)
    M.load()
    denied(M, "payment")
    capture(L, "payment-0")


@incident("bank-denied-some-paths", "rbac-denied", "A DENY policy at accounts hits one path in four")
def _(L):
    M = bank(L)
    M.load()
    L.stream(M.client, "accounts", 3, [("/accounts/internal/9", 1)], name="accounts-internal")
    denied(M, "accounts", paths=["/accounts/internal/"])
    capture(L, "accounts-0")


@incident("shop-cert-expired", "cert-expired", "ledger's certificate ends; an unused pod's has been over for long", duration=42)
def _(L):
    M = shop(L, TEXT, ledger=dict(svc=H1))
    unused_expired(M)
    M.load(8)
    expired(M, "ledger")
    capture(L, "payment-0", "ledger-84f6b5d9c7-zz8rk")


@incident("bank-cert-expired-one-of-two", "cert-expired", "One of two accounts pods has an expired certificate; retries hide it", duration=42)
def _(L):
    M = bank(L, CRIJ, accounts=dict(svc=H1))
    M.load(9)
    expired(M, "accounts", pods=["accounts-1"])
    capture(L, M.client)


@incident("bank-client-cert-expired", "cert-expired", "The gateway's own certificate ends: all its calls fail", duration=42)
def _(L):
    M = bank(L, TEXT, every=H1)
    M.load(8)
    L.expiry = int(time.time()) + 22
    L.pods[M.client]["not_after"] = L.expiry
    L.spec.secondary = ["client-cert-rejected"]
    put(M, "cert-expired", None, 0.1, None, None, cluster=M.cluster("accounts"), destination="accounts, transfers, quotes, gateway", source=M.client)
    capture(L, M.client)


@incident("bank-other-root", "cert-unknown-ca", "quotes got a certificate of a new root", duration=36)
def _(L):
    M = bank(L, DOCKER, quotes=dict(svc=H1))
    cancels(M, "accounts")
    M.load(8)
    other_root(M, "quotes")
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh")


@incident("shop-plaintext", "mtls-plaintext-to-strict", "A DestinationRule turns TLS off for payment", duration=36)
def _(L):
    M = shop(L, CRI, payment=dict(svc=dict(h2_upstream=False)))
    M.load()
    plaintext(M, "payment")
    capture(L, "checkout-7c5ddb96d9-hh4qv")


@incident("shop-tls-to-plain", "mtls-tls-to-plaintext", "ISTIO_MUTUAL for ledger, which has no sidecar", duration=36)
def _(L):
    M = shop(L, JSON, ledger=dict(svc=dict(tls=False, h2_upstream=False), pod=dict(sidecar=False)))
    M.load()
    tls_to_plain(M, "ledger")
    capture(L, "payment-0")


@incident("shop-gradual", "gradual-cert-expiry", "The certificates of cart, catalog and checkout end one after another")
def _(L):
    M = shop(L, CRI, every=dict(H1, retries=None), deep=False)
    L.duration = gradual(M, ["cart", "catalog", "checkout"])
    M.load(7)
    capture(L, M.client)


@incident("bank-reset-rare", "upstream-reset", "quotes aborts one request in twenty-five", duration=50)
def _(L):
    M = bank(L, TEXT, quotes=dict(svc=dict(retries=None)))
    M.load(14)
    aborts(M, "quotes", 0.04, off=44)
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh:lo")


@incident("shop-truncated", "upstream-reset", "catalog breaks off one answer in three")
def _(L):
    M = shop(L, DOCKER, catalog=dict(svc=dict(retries=None)))
    M.load()
    truncates(M, "catalog", 0.33)
    capture(L, "catalog-58f9d7c6bb-4wz7n:lo")


@incident("bank-keepalive-race", "keepalive-race", "fraud's sibling closes idle connections after 1 s", healthy_before=False, duration=60)
def _(L):
    M = bank(L, CRI, quotes=dict(svc=dict(retries=None)))
    M.load(7, skip=("quotes",))
    race(M, "quotes")
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh:lo")


@incident("shop-timeout", "upstream-timeout", "A route's time-out of 300 ms at catalog; retries are tried as well")
def _(L):
    M = shop(L, CRIJ, catalog=dict(svc=dict(timeout="0.3s")))
    M.load()
    too_late(M, "catalog", 0.3)
    capture(L, "catalog-58f9d7c6bb-4wz7n")


@incident("bank-hasty-client", "client-disconnect", "A new client waits 60 ms for accounts, which needs 40 to 120", duration=36)
def _(L):
    M = bank(L, JSON, accounts=dict(ctl=dict(delay_ms=[40, 120])))
    M.load(8, skip=("accounts",))
    hasty(M, "accounts", 0.06)
    capture(L, M.client)


@incident("shop-slow-deep", "slow-upstream-app", "ledger becomes slow; so does everybody above")
def _(L):
    M = shop(L, TEXT)
    M.load(7, conns=40)
    slow(M, "ledger", (500, 1200))
    capture(L, "ledger-84f6b5d9c7-zz8rk")


@incident("bank-loss-light", "packet-loss", "3 % of the packets between gateway and quotes are lost", duration=52)
def _(L):
    M = bank(L, CRI, quotes=dict(svc=dict(h2_upstream=False)))
    M.load(9)
    M.load(24, only=("quotes",), conns=12)
    lossy(M, "quotes", 0.03, off=46)
    capture(L, M.client, "quotes-v3-5f5b7c9d8f-m7tzh")


@incident("shop-zero-window", "zero-window", "cart stops reading uploads for seconds", duration=42)
def _(L):
    M = shop(L, JSON, cart=dict(svc=dict(tls=False, retries=None), pod=dict(sidecar=False, app_args=["rcvbuf=16384"])))
    M.load(7)
    stalls(M, "cart")
    capture(L, "cart-6b7d9c4f58-x2kqp", snap=128)


@incident("bank-wrong-protocol", "upstream-protocol-error", "fraud's port is named grpc-*, the app speaks HTTP/1.1")
def _(L):
    M = bank(L, TEXT)
    M.load()
    wrong_protocol(M, "fraud")
    capture(L, "fraud-76b8b7b5d4-lq2cx:lo")


@incident("shop-dns", "dns-failure", "The acquirer's name stops to resolve", duration=42)
def _(L):
    M = shop(L, CRI)
    dns_gone(M)
    M.load(7)
    capture(L, M.client)


@incident("bank-descriptors", "fd-exhaustion", "The sidecar of quotes runs out of descriptors")
def _(L):
    M = bank(L, DOCKER, quotes=dict(svc=dict(h2_upstream=False), ctl=dict(delay_ms=[150, 400])))
    M.load(7)
    descriptors(M, "quotes")
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh")


@incident("shop-bind", "listener-bind-failure", "One catalog pod restarts with a debug server on 15006", duration=34)
def _(L):
    M = shop(L, JSON, catalog=dict(svc=dict(retries=None)))
    M.load()
    bound(M, "catalog", "catalog-58f9d7c6bb-t9l2m")
    capture(L, M.client)


# ---- mixtures and decoys -----------------------------------------------------------------------------------------------------
@incident("two-refused-and-denied", "upstream-connection-refused", "cart's process is down; at the same time a policy at payment denies checkout")
def _(L):
    M = shop(L, CRI)
    M.load()
    refused(M, "cart")
    denied(M, "payment", on=16, off=30)
    capture(L, "cart-6b7d9c4f58-x2kqp:lo")


@incident("two-slow-and-no-endpoints", "slow-upstream-app", "quotes becomes slow while accounts has no endpoints")
def _(L):
    M = bank(L, JSON)
    M.load(8, conns=30)
    slow(M, "quotes")
    no_endpoints(M, "accounts", on=18, off=30)
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh:lo")


@incident("two-expired-and-limited", "cert-expired", "fraud's certificate ends while quotes has a rate limit", duration=44)
def _(L):
    M = bank(L, TEXT, fraud=dict(svc=H1))
    M.load(8)
    expired(M, "fraud")
    limited(M, "quotes", on=10, off=40)
    capture(L, "transfers-6d4cf56db6-9p5wd")


@incident("two-loss-and-reset", "packet-loss", "Packets to catalog are lost; cart aborts requests", duration=46)
def _(L):
    M = shop(L, CRIJ, catalog=dict(svc=dict(h2_upstream=False)), cart=dict(svc=dict(retries=None)))
    M.load(10)
    M.load(16, only=("catalog",), conns=10)
    lossy(M, "catalog", 0.08, off=40)
    aborts(M, "cart", 0.2, on=14, off=38)
    capture(L, M.client, "cart-6b7d9c4f58-x2kqp:lo")


@incident("healthy-deploy", "healthy", "A rolling restart of both catalog pods, done well", duration=36)
def _(L):
    M = shop(L, CRI)
    M.load()
    deploy(M, "catalog")
    capture(L, M.client)


@incident("healthy-loud", "healthy-noisy", "Apps answer 404 and 500, a scanner, cancels, one proxy at debug level; nothing is wrong with the mesh", duration=36)
def _(L):
    M = bank(L, TEXT, quotes=dict(pod=LOUD))
    own_errors(M, "accounts", 0.05, 0.0, 0.1)
    scanner(M, "quotes", 2)
    cancels(M, "quotes", 0.2)
    M.load(8)
    capture(L, M.client)


@incident("healthy-503-app", "healthy-noisy", "An app answers 503 to one request in eight and always has; retries hide most; a cert of an unused pod is over", duration=36)
def _(L):
    M = shop(L, JSON)
    own_errors(M, "cart", 0.0, 0.12)
    unused_expired(M)
    M.load(9)
    capture(L, "cart-6b7d9c4f58-x2kqp", M.client)


@incident("decoy-refused-loud", "upstream-connection-refused", "quotes' process is down; accounts answers 500s of its own, one proxy logs at debug level, a scanner, cancels")
def _(L):
    M = bank(L, TEXT, accounts=dict(pod=LOUD))
    own_errors(M, "accounts", 0.08, 0.02, 0.05)
    scanner(M, "accounts", 2)
    cancels(M, "accounts", 0.15)
    M.load(8)
    refused(M, "quotes", on=14, off=26)
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh:lo")


@incident("decoy-deploy-and-denied", "rbac-denied", "A policy at payment while catalog is being redeployed well")
def _(L):
    M = shop(L, CRI)
    M.load()
    deploy(M, "catalog")
    denied(M, "payment", on=14, off=30)


@incident("brief-refused", "upstream-connection-refused", "accounts' processes are down for three seconds", duration=34)
def _(L):
    M = bank(L, CRI)
    M.load(10)
    refused(M, "accounts", on=15, off=18)
    capture(L, M.client)


# ---- gRPC, TCP, several callers ----------------------------------------------------------------------------------------------
def grpc_world(L, fmt=None, **svc):
    """bank with a gRPC rates service, which the gateway calls."""
    M = bank(L, fmt)
    L.add(P("rates-6f7c8d9b5c-q4w8z", "172.29.3.61", "rates-sa", 50051, app_kind="grpc_app.py", inbound=[{"port": 50051, "proto": "grpc"}], ctl={"notfound_p": 0.04}, ns=M.ns, **(fmt or {})))
    M.spec["rates"] = dict(port=50051, target=50051, pods=["rates-6f7c8d9b5c-q4w8z"], edge=False)
    L.service("rates", 50051, "172.20.7.61", [("172.29.3.61", 50051)], proto="grpc", ns=M.ns, **svc)
    L.grpc_streams.append((M.client, {"streams": [dict(name="rates", addr="172.20.7.61", port=50051, host="rates:50051", rps=14, t0=0.5, t1=L.duration,
                                                       methods=["/bank.Rates/Get", "/bank.Rates/List"])]}))
    M.load(6)
    return M


@incident("grpc-refused", "upstream-connection-refused", "The gRPC app of rates is down")
def _(L):
    M = grpc_world(L, CRI)
    refused(M, "rates")
    capture(L, "rates-6f7c8d9b5c-q4w8z:lo")


@incident("grpc-denied", "rbac-denied", "A policy at the gRPC service rates denies the gateway: status 7 in HTTP 200")
def _(L):
    M = grpc_world(L, JSON)
    denied(M, "rates")
    capture(L, "rates-6f7c8d9b5c-q4w8z")


@incident("grpc-no-endpoints", "no-endpoints", "rates is scaled to zero: status 14 in HTTP 200")
def _(L):
    M = grpc_world(L)
    no_endpoints(M, "rates")
    capture(L, M.client)


@incident("grpc-limited", "local-rate-limit", "A rate limit at the gRPC service rates")
def _(L):
    M = grpc_world(L, CRIJ)
    limited(M, "rates", 4)


@incident("grpc-slow", "slow-upstream-app", "The gRPC app of rates takes up to a second now")
def _(L):
    M = grpc_world(L)
    slow(M, "rates", (100, 900))
    capture(L, "rates-6f7c8d9b5c-q4w8z")


@incident("grpc-cert-expired", "cert-expired", "The certificate of rates ends; its connections are limited in requests", duration=42)
def _(L):
    M = grpc_world(L, max_requests=8, connect_timeout="1s")
    expired(M, "rates")
    capture(L, M.client)


def tcp_world(L, fmt=None, **svc):
    """shop where the ledger's port is plain TCP to the mesh; what is spoken inside is HTTP/1.1."""
    M = shop(L, fmt, deep=False, ledger=dict(svc=dict(proto="tcp", **svc), pod=dict(inbound=[{"port": 5000, "proto": "tcp"}])))
    M.load(7, skip=("ledger",))
    L.stream(M.client, "ledger", 9, [("/ledger/1", 1)], reconnect=True)
    return M


@incident("tcp-refused", "upstream-connection-refused", "The app behind a TCP service is down")
def _(L):
    M = tcp_world(L, CRI)
    refused(M, "ledger")
    capture(L, "ledger-84f6b5d9c7-zz8rk:lo")


@incident("tcp-no-endpoints", "no-endpoints", "A TCP service is scaled to zero")
def _(L):
    M = tcp_world(L, JSON)
    no_endpoints(M, "ledger")


@incident("tcp-drop", "upstream-connect-timeout", "New connections to a TCP service are dropped", duration=44)
def _(L):
    M = tcp_world(L, connect_timeout="2s")
    dropped(M, "ledger", off=34)
    capture(L, M.client)


@incident("tcp-cert-expired", "cert-expired", "The certificate of a TCP service ends", duration=42)
def _(L):
    M = tcp_world(L, CRI)
    expired(M, "ledger")
    capture(L, M.client)


@incident("reset-two-percent", "upstream-reset", "cart aborts one request in fifty; checkout answers some 500s of its own; a client cancels", duration=56)
def _(L):
    M = shop(L, JSON, cart=dict(svc=dict(retries=None)))
    own_errors(M, "catalog", 0.03, 0.0, 0.05)
    M.load(16)
    aborts(M, "cart", 0.02, off=52)
    capture(L, "cart-6b7d9c4f58-x2kqp:lo")


@incident("refused-all-along", "upstream-connection-refused", "quotes has never worked in what was recorded", healthy_before=False)
def _(L):
    M = bank(L, CRIJ)
    M.load()
    refused(M, "quotes", on=0.2, off=None)
    capture(L, M.client)


@incident("loss-heavy", "packet-loss", "A quarter of the packets to cart is lost", duration=46)
def _(L):
    M = shop(L, TEXT, cart=dict(svc=dict(h2_upstream=False)))
    M.load(8, conns=12)
    lossy(M, "cart", 0.25, off=40)
    capture(L, "cart-6b7d9c4f58-x2kqp")


@incident("caller-other-root", "cert-unknown-ca", "The gateway got a certificate of a root that nobody else trusts", duration=38)
def _(L):
    M = bank(L, CRI, every=H1)
    M.load(8)
    new = certs.CA()
    L.spec.secondary = ["client-cert-rejected"]
    put(M, "cert-unknown-ca", None, 12, None, lambda: L.give_cert(M.client, ca=new, roots=L.ca.pem), destination="accounts, transfers, quotes, gateway", cluster=M.cluster("accounts"), source=M.client)
    capture(L, M.client)


@incident("bad-deploy", "upstream-connection-refused", "catalog's pods stop before they leave the endpoints, again and again", duration=44)
def _(L):
    M = shop(L, CRI, catalog=dict(svc=dict(retries=None)))
    M.load(12)
    a, b = M.pods("catalog")
    put(M, "upstream-connection-refused", "catalog", 12, 34, lambda: L.stop_app(a), None)
    L.at(17, None, lambda: L.start_app(a, tag="2"))
    L.at(20, None, lambda: L.stop_app(b))
    L.at(26, None, lambda: L.start_app(b, tag="2"))
    L.at(29, None, lambda: L.stop_app(a))
    L.at(34, None, lambda: L.start_app(a, tag="3"))
    capture(L, a + ":lo")


@incident("control-plane-blip", "healthy-noisy", "istiod restarts; nothing else happens", duration=44)
def _(L):
    M = bank(L, CRI)
    istiod(M, {})
    own_errors(M, "quotes", 0.03)
    M.load()
    L.at(14, None, L.stop_istiod)
    L.at(22, None, L.start_istiod)
    capture(L, M.client)


@incident("slow-with-cancels", "slow-upstream-app", "quotes becomes slow; callers of accounts hang up as they always do", duration=40)
def _(L):
    M = bank(L, TEXT)
    cancels(M, "accounts", 0.25)
    M.load(8, conns=40)
    slow(M, "quotes", (900, 2000))
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh:lo")


@incident("two-callers-one-denied", "rbac-denied", "fraud lets transfers in and denies the gateway, which calls it since a release")
def _(L):
    M = bank(L, CRI)
    M.load()
    L.stream(M.client, "fraud", 5, [("/fraud/check", 1)], t0=10, name="fraud-direct")
    filters(M, "fraud", "rbac-denied", [ec.rbac_http({f"ns[{M.ns}]-policy[fraud-callers]-rule[0]": ec.rbac_policy([f"{M.ns}/sa/transfers-sa"])})], on=0.5, off=None)
    capture(L, "fraud-76b8b7b5d4-lq2cx")


@incident("timeout-in-the-middle", "upstream-timeout", "transfers' route to fraud waits 250 ms; fraud takes longer now; the gateway sees 500s")
def _(L):
    M = bank(L, JSON, fraud=dict(svc=dict(timeout="0.25s", retries=None)))
    M.load()
    too_late(M, "fraud", 0.6, (400, 1500))
    capture(L, "fraud-76b8b7b5d4-lq2cx")


@incident("two-overflow-and-route", "circuit-breaker-overflow", "quotes meets a peak with a tight pool; the route of accounts is lost")
def _(L):
    M = bank(L, TEXT, quotes=dict(svc=dict(cb=TIGHT, h2_upstream=False, retries=None), ctl=dict(delay_ms=[25, 60])))
    M.load(6)
    overflow(M, "quotes")
    route_lost(M, "accounts", on=16, off=30)
    capture(L, M.client)


# ---- cascades, and what is close to nothing ------------------------------------------------------------------------------------
@incident("cascade-timeout", "slow-upstream-app", "ledger becomes slow; the route to checkout, three calls above, waits 600 ms", duration=40)
def _(L):
    M = shop(L, CRI, checkout=dict(svc=dict(timeout="0.6s", retries=None)))
    L.spec.secondary = ["upstream-timeout"]
    M.load(7, conns=40)
    slow(M, "ledger", (500, 1300))
    L.spec.secondary = ["upstream-timeout"]
    capture(L, "ledger-84f6b5d9c7-zz8rk:lo")


@incident("cascade-reset", "upstream-reset", "fraud aborts one request in three; transfers answers 500 for it; quotes has its usual 404s")
def _(L):
    M = bank(L, JSON, fraud=dict(svc=dict(retries=None)))
    own_errors(M, "quotes", 0.0, 0.0, 0.1)
    M.load()
    aborts(M, "fraud", 0.33)
    capture(L, "fraud-76b8b7b5d4-lq2cx:lo")


@incident("cascade-denied", "rbac-denied", "ledger denies payment; payment answers 500, checkout too")
def _(L):
    M = shop(L, DOCKER)
    M.load()
    denied(M, "ledger")
    capture(L, "ledger-84f6b5d9c7-zz8rk")


@incident("slow-caller-only-sidecar", "slow-upstream-app", "quotes, which has no sidecar, becomes slow")
def _(L):
    M = bank(L, CRIJ, quotes=dict(svc=dict(tls=False, h2_upstream=False), pod=dict(sidecar=False)))
    M.load(8, conns=30)
    slow(M, "quotes", (600, 1400))
    capture(L, "quotes-v3-5f5b7c9d8f-m7tzh")


@incident("reset-no-sidecar", "upstream-reset", "quotes, which has no sidecar, aborts one request in four")
def _(L):
    M = bank(L, TEXT, quotes=dict(svc=dict(tls=False, h2_upstream=False, retries=None), pod=dict(sidecar=False)))
    M.load(9)
    aborts(M, "quotes", 0.25)
    capture(L, M.client)


@incident("healthy-restarted-sidecar", "healthy-noisy", "A quotes pod is replaced well: out of the endpoints, stopped, started, back; accounts has its own 500s", duration=36)
def _(L):
    M = bank(L, JSON)
    own_errors(M, "accounts", 0.04, 0.02)
    M.load()
    deploy(M, "accounts", 12)
    capture(L, M.client)


@incident("healthy-slow-always", "healthy-noisy", "quotes takes 300 to 900 ms and always has; some callers give up, as ever", duration=36)
def _(L):
    M = bank(L, CRI, quotes=dict(ctl=dict(delay_ms=[300, 900])))
    M.load(8, conns=30)
    L.stream(M.client, "quotes", 4, [("/quotes/1", 1)], cancel_p=0.3, cancel_ms=500, name="quotes-cancels", conns=20)
    capture(L, M.client)


@incident("healthy-few-requests", "healthy", "Next to no traffic, nothing wrong", duration=30)
def _(L):
    M = bank(L, TEXT)
    M.load(1)
    capture(L, M.client)


@incident("overflow-brief", "circuit-breaker-overflow", "A peak of four seconds meets a tight pool", duration=32)
def _(L):
    M = bank(L, CRI, quotes=dict(svc=dict(cb=TIGHT, h2_upstream=False, retries=None), ctl=dict(delay_ms=[25, 60])))
    M.load(5)
    overflow(M, "quotes", on=14, off=18)


@incident("denied-two-percent", "rbac-denied", "A DENY policy hits one call of checkout in fifty; cart's app answers 403 of its own", duration=44)
def _(L):
    M = shop(L, CRIJ, deep=False)
    M.load(14)
    L.stream(M.client, "payment", 0.6, [("/payment/refunds/7", 1)], name="payment-refunds")
    L.stream(M.client, "payment", 14, [("/payment/1", 1)], name="payment-main")
    denied(M, "payment", paths=["/payment/refunds/"], on=8, off=42)


# ---- a third mesh, every fault once, beside apps that are never quite well -----------------------------------------------------
def media(L, fmt=None, http=None, **opts):
    """A streaming service: the edge calls titles, playback, ads and profile; playback calls drm, drm calls keys."""
    spec = {"titles": dict(port=8080, target=8080, pods=["titles-59d8c7f4b6-ab3cd", "titles-59d8c7f4b6-qw9rt", "titles-59d8c7f4b6-zx7cv"]),
            "playback": dict(port=80, target=3001, pods=["playback-7f9b8d6c55-mn4bv"], calls=["drm"]),
            "drm": dict(port=6000, target=6000, pods=["drm-0"], calls=["keys"], edge=False),
            "keys": dict(port=9443, target=9443, pods=["keys-6c5b7d8f94-lk2jh"], edge=False),
            "ads": dict(port=8090, target=8090, pods=["ads-v7-84c9d7b6f5-gf5ds"]),
            "profile": dict(port=5050, target=5051, pods=["profile-1"])}
    M = mesh_of(L, "media-prod", "edge-7d8c9b6f54-p0o9i", spec, "10.201", fmt, http, opts)
    own_errors(M, "ads", 0.01, 0.01, 0.04)
    own_errors(M, "titles", 0.0, 0.0, 0.06)
    return M


SHORT = dict(H1, retries=None)
MEDIA = {  # fault of a mesh: cause, options of the mesh, seconds, captured
    "refused-keys": ("upstream-connection-refused", lambda M: refused(M, "keys", 14, 24), {}, 34, ["drm-0"]),
    "dropped-ads": ("upstream-connect-timeout", lambda M: dropped(M, "ads", 10, 26), dict(ads=dict(svc=SHORT)), 36, ["client"]),
    "reset-by-firewall-profile": ("network-policy-reject", lambda M: rejected(M, "profile", 12, 26, "tcp-reset"), dict(profile=dict(svc=SHORT)), 34, ["client"]),
    "rejected-titles": ("network-policy-reject", lambda M: rejected(M, "titles", 12, 26, "icmp-host-prohibited"), dict(titles=dict(svc=SHORT)), 34, ["client"]),
    "no-endpoints-profile": ("no-endpoints", lambda M: no_endpoints(M, "profile", 10, 24), {}, 34, ["client"]),
    "subset-drm": ("unknown-service", lambda M: missing_subset(M, "drm"), {}, 36, []),
    "route-titles": ("route-not-found", lambda M: route_lost(M, "titles"), {}, 36, []),
    "case-playback": ("route-case-mismatch", lambda M: wrong_case(M, "playback"), {}, 32, []),
    "ejected-titles": ("outlier-ejection", lambda M: ejected(M, "titles", 10, 2), dict(titles=dict(svc=dict(outlier=OUTLIER, retries=None))), 34, []),
    "unready-keys": ("retries-exhausted", lambda M: unready(M, "keys", 12, 24), {}, 32, ["keys-6c5b7d8f94-lk2jh:lo"]),
    "limited-ads": ("local-rate-limit", lambda M: limited(M, "ads", 2), {}, 34, []),
    "denied-keys": ("rbac-denied", lambda M: denied(M, "keys"), {}, 34, ["keys-6c5b7d8f94-lk2jh"]),
    "expired-drm": ("cert-expired", lambda M: expired(M, "drm", 20), dict(drm=dict(svc=H1)), 36, ["playback-7f9b8d6c55-mn4bv"]),
    "other-root-ads": ("cert-unknown-ca", lambda M: other_root(M, "ads"), dict(ads=dict(svc=H1)), 32, ["client"]),
    "plaintext-profile": ("mtls-plaintext-to-strict", lambda M: plaintext(M, "profile"), dict(profile=dict(svc=dict(h2_upstream=False))), 34, ["client"]),
    "aborts-playback": ("upstream-reset", lambda M: aborts(M, "playback", 0.12), dict(playback=dict(svc=dict(retries=None))), 36, []),
    "slow-keys": ("slow-upstream-app", lambda M: slow(M, "keys", (400, 900)), {}, 36, []),
    "late-profile": ("upstream-timeout", lambda M: too_late(M, "profile", 0.4, (600, 1500)), dict(profile=dict(svc=dict(timeout="0.5s", retries=None))), 36, []),
    "lossy-titles": ("packet-loss", lambda M: lossy(M, "titles", 0.07), dict(titles=dict(svc=dict(h2_upstream=False))), 42, ["client"]),
    "race-ads": ("keepalive-race", lambda M: race(M, "ads"), dict(ads=dict(svc=dict(retries=None))), 50, ["ads-v7-84c9d7b6f5-gf5ds:lo"]),
    "hasty-profile": ("client-disconnect", lambda M: hasty(M, "profile", 0.07), dict(profile=dict(ctl=dict(delay_ms=[50, 120]))), 34, []),
    "protocol-ads": ("upstream-protocol-error", lambda M: wrong_protocol(M, "ads"), {}, 34, []),
    "overflow-profile": ("circuit-breaker-overflow", lambda M: overflow(M, "profile", 45, 12, 22), dict(profile=dict(svc=dict(cb=TIGHT, h2_upstream=False, retries=None), ctl=dict(delay_ms=[25, 60]))), 32, []),
    "dns-license": ("dns-failure", lambda M: dns_gone(M, "license.studio.example"), {}, 38, ["client"]),
}


def of_media(i, name, cause, fault, opts, seconds, caught):
    @incident("media-" + name, cause, f"A streaming service: {name.replace('-', ' ')}", duration=seconds, healthy_before=name != "race-ads")
    def _(L):
        M = media(L, [TEXT, CRIJ, DOCKER, JSON, CRI][i % 5], **opts)
        skip = {"race-ads": ("ads",), "hasty-profile": ("profile",)}.get(name, ())
        M.load([6, 9, 12][i % 3], skip=skip, conns=20)
        fault(M)
        capture(L, *[M.client if c == "client" else c for c in caught])


for _i, (_name, _x) in enumerate(MEDIA.items()):
    of_media(_i, _name, *_x)
