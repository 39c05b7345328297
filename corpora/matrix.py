#!/usr/bin/env python3
"""Holds postmesh to recorded incidents, and to what is left of them when parts are missing or spoiled.

usage: matrix.py --tool PATH/TO/postmesh [--mutate] [--only TEXT] [--jobs N] [--json OUT] [--markdown] FOLDER...

A FOLDER is an incident, or holds incidents: logs, captures and a truth.json, as lab/ records them. truth.json is not shown to the tool.

Of each run the first finding's cause is held against the truth; every finding of severity critical or warning that is not marked as a
consequence accuses, and is false where the truth names its cause neither as root cause, nor as a fault of a mixture, nor as secondary.

  right    the first finding is the root cause (of a mixture: its faults stand first, in any order), and nothing is accused falsely
  half     of a mixture, one fault was found and stands first, and nothing is accused falsely
  allowed  the first finding is a secondary cause, and nothing is accused falsely
  honest   nothing is accused: symptoms-only or not-enough
  quiet    nothing is accused and the state is healthy, though the incident is not, and no log row that is left shows a fault
  missed   the same, though log rows that are left do show a fault
  wrong    something is accused falsely

--mutate derives from each incident what is left with: no captures; captures alone; the callers' logs alone; the called side's logs alone;
every file cut in half; one pod's clock 800 ms ahead; one log line in ten; the called proxy's log removed; access rows without response code details;
every log cut in two parts of which each has a third of the other; no captures, and access rows as JSON without the three addresses of proxies and
callers; no captures, and access
rows in the layout that Envoy writes by default.
"""
import argparse
import concurrent.futures
import datetime
import gzip
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import zlib

CALM = {"healthy", "healthy-noisy"}
GOOD = ("right", "half", "allowed", "honest", "quiet")
BINS = [(0.0, 0.3), (0.3, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.01)]


# ---- files -------------------------------------------------------------------------------------------------------------------------
def is_log(name):
    return ".istio-proxy.log" in name or name.endswith((".log", ".log.gz"))


def pod_of(name):
    return re.split(r"\.istio-proxy\.log|\.(?:eth0|lo|any)\.pcap", name)[0]


def unpacked(name, data):
    if not name.endswith(".gz"):
        return data
    out = zlib.decompressobj(31)
    return out.decompress(data)


def packed(name, data):
    return gzip.compress(data, 6, mtime=0) if name.endswith(".gz") else data


def named(text):
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def sides(truth, names):
    """Pods that call and pods that are called, as far as the truth names pods that have files."""
    pods = {pod_of(n) for n in names}
    affected = truth.get("affected") or {}
    callers = {p for p in named(affected.get("source")) if p in pods}
    called = {p for p in named(affected.get("destination")) if p in pods} - callers
    return callers, called


# ---- mutations: files in, files out; None where a mutation says nothing of this incident ------------------------------------------------
def no_captures(files, truth, _):
    return {n: d for n, d in files.items() if is_log(n)} if any(not is_log(n) for n in files) else None


def captures_only(files, truth, _):
    return {n: d for n, d in files.items() if not is_log(n)} or None


def callers_logs(files, truth, _):
    callers, _called = sides(truth, files)
    return {n: d for n, d in files.items() if is_log(n) and pod_of(n) in callers} or None


def called_logs(files, truth, _):
    callers, called = sides(truth, files)
    return {n: d for n, d in files.items() if is_log(n) and pod_of(n) not in callers and (not called or pod_of(n) in called)} or None


def halved(files, truth, _):
    return {n: d[: len(d) // 2] for n, d in files.items()}


STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


def moved(match, ms):
    text = match.group().decode()
    head, frac = text[:-1].split(".")
    whole = datetime.datetime.fromisoformat(head + "+00:00")
    units = 10 ** len(frac)
    at = int(whole.timestamp()) * units + int(frac) + ms * units // 1000
    seconds, frac_now = divmod(at, units)
    return (datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{frac_now:0{len(frac)}d}Z").encode()


def moved_pcap(data, ms):
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return moved_pcapng(data, ms)
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    units = 10**9 if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 10**6
    out, at = bytearray(data), 24
    while at + 16 <= len(out):
        seconds, frac, length = struct.unpack_from(order + "III", out, at)
        now = seconds * units + frac + ms * units // 1000
        struct.pack_into(order + "II", out, at, now // units, now % units)
        at += 16 + length
    return bytes(out)


def moved_pcapng(data, ms):
    out, at, order, ticks = bytearray(data), 0, "<", []
    while at + 12 <= len(out):
        kind, length = struct.unpack_from(order + "II", out, at)
        if kind == 0x0A0D0D0A:
            order, ticks = ("<" if out[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"), []
            length = struct.unpack_from(order + "I", out, at + 4)[0]
        elif kind == 1:
            per_second, option = 10**6, at + 16
            while option + 4 <= at + length - 4:
                code, size = struct.unpack_from(order + "HH", out, option)
                if code == 9:
                    value = out[option + 4]
                    per_second = 2 ** (value & 127) if value & 128 else 10**value
                if code == 0:
                    break
                option += 4 + (size + 3) // 4 * 4
            ticks.append(per_second)
        elif kind == 6:
            interface, high, low = struct.unpack_from(order + "III", out, at + 8)
            now = (high << 32 | low) + ms * ticks[interface] // 1000
            struct.pack_into(order + "II", out, at + 12, now >> 32, now & 0xFFFFFFFF)
        if length < 12:
            break
        at += length
    return bytes(out)


def clock(files, truth, _, ms=800):
    callers, called = sides(truth, files)
    with_log = sorted(p for p in called or callers if any(is_log(n) and pod_of(n) == p for n in files))
    if not with_log:
        return None
    out = dict(files)
    for n, d in files.items():
        if pod_of(n) == with_log[0]:
            raw = unpacked(n, d)
            out[n] = packed(n, STAMP.sub(lambda m: moved(m, ms), raw) if is_log(n) else moved_pcap(raw, ms))
    return out


def sampled(files, truth, rnd):
    out = {}
    for n, d in files.items():
        out[n] = packed(n, b"".join(l for l in unpacked(n, d).splitlines(True) if rnd.random() < 0.1)) if is_log(n) else d
    return out


def log_removed(files, truth, _):
    callers, called = sides(truth, files)
    gone = sorted(p for p in called if any(is_log(n) and pod_of(n) == p for n in files))
    rest = {n: d for n, d in files.items() if not (is_log(n) and pod_of(n) in gone[:1])}
    return rest if gone and rest else None


TEXT_ROW = re.compile(rb'^(\[\S+\] "[^"]*" \S+ \S+) \S+ \S+( ".*)$', re.S)


def without_details(line):
    if line.startswith(b"{") and b'"response_code_details"' in line:
        row = json.loads(line.decode("utf-8", "surrogateescape"))
        for key in ("response_code_details", "connection_termination_details"):
            row.pop(key, None)
        return json.dumps(row).encode("utf-8", "surrogateescape") + b"\n"
    return TEXT_ROW.sub(rb"\1\2", line)


def no_details(files, truth, _):
    """As Istio 1.8 wrote them, or as JSON without their keys."""
    out = {n: packed(n, b"".join(map(without_details, unpacked(n, d).splitlines(True)))) if is_log(n) else d for n, d in files.items()}
    return out if out != files else None


WHOLE_ROW = re.compile(rb'^\[(\S+)\] "([^"]*)" (\S+) (\S+) (\S+) (\S+) "([^"]*)" (\S+) (\S+) (\S+) (\S+) "([^"]*)" "([^"]*)" "([^"]*)" "([^"]*)" '
                       rb'"([^"]*)" (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\s*$')
COLUMNS = ("start_time", "request", "response_code", "response_flags", "response_code_details", "connection_termination_details",
           "upstream_transport_failure_reason", "bytes_received", "bytes_sent", "duration", "upstream_service_time", "x_forwarded_for", "user_agent",
           "request_id", "authority", "upstream_host", "upstream_cluster", "upstream_local_address", "downstream_local_address",
           "downstream_remote_address", "requested_server_name", "route_name")
ADDRESSES = ("upstream_local_address", "downstream_local_address", "downstream_remote_address")


def columns(line):
    """A row in either of Istio's layouts as texts, "-" for what is not there; None of any other line."""
    text = WHOLE_ROW.match(line)
    if text:
        return dict(zip(COLUMNS, (t.decode("utf-8", "surrogateescape") for t in text.groups())))
    if not (line.startswith(b"{") and b'"start_time"' in line):
        return None
    row = json.loads(line.decode("utf-8", "surrogateescape"))
    told = {key: "-" if row.get(key) in (None, "") else str(row[key]) for key in COLUMNS}
    return {**told, "request": " ".join(str(row.get(key) or "-") for key in ("method", "path", "protocol"))}


def rewritten(files, line):
    """The logs with each row written otherwise, and nothing that is not a log; None if there are no such rows."""
    def all_lines(data):
        rows = ((old, columns(old)) for old in data.splitlines(True))
        return b"".join(line(row) if row else old for old, row in rows)
    logs = {n: d for n, d in files.items() if is_log(n)}
    out = {n: packed(n, all_lines(unpacked(n, d))) for n, d in logs.items()}
    return out if out != logs else None


def no_addresses(files, truth, _):
    """As JSON without the keys that tell where the proxy and its caller are."""
    def line(row):
        method, path, protocol = (row["request"].split(" ", 2) + ["-", "-"])[:3]
        told = {**row, "method": method, "path": path, "protocol": protocol}
        numbers = ("response_code", "bytes_received", "bytes_sent", "duration")
        keep = {k: None if v == "-" and k != "response_flags" else int(v) if k in numbers else v
                for k, v in told.items() if k not in (*ADDRESSES, "request")}
        return json.dumps(keep).encode("utf-8", "surrogateescape") + b"\n"
    return rewritten(files, line)


def envoy_layout(files, truth, _):
    """As Envoy writes them where no format is given."""
    layout = ('[{start_time}] "{request}" {response_code} {response_flags} {bytes_received} {bytes_sent} {duration} {upstream_service_time} '
              '"{x_forwarded_for}" "{user_agent}" "{request_id}" "{authority}" "{upstream_host}"\n')
    return rewritten(files, lambda row: layout.format(**row).encode("utf-8", "surrogateescape"))


def overlapping(files, truth, _):
    out = {}
    for n, d in files.items():
        if is_log(n):
            lines = unpacked(n, d).splitlines(True)
            plain = n.removesuffix(".gz")
            out[plain + ".1"] = b"".join(lines[: len(lines) * 2 // 3])
            out[plain] = b"".join(lines[len(lines) // 3 :])
        else:
            out[n] = d
    return out


def one_export(files, truth, _):
    """All logs as a store of logs gives them: one file, an object a line, the newest first."""
    lines = []
    for n, d in files.items():
        if is_log(n):
            labels = {"pod": pod_of(n), "namespace": "default", "container": "istio-proxy"}
            lines += [json.dumps({"labels": labels, "line": line.decode("utf-8", "replace")}).encode() for line in unpacked(n, d).splitlines()]
    rest = {n: d for n, d in files.items() if not is_log(n)}
    return {**rest, "export.log": b"\n".join(reversed(lines)) + b"\n"} if lines else None


MUTATIONS = {"no-captures": no_captures, "captures-only": captures_only, "callers-logs": callers_logs, "called-logs": called_logs, "halved": halved,
             "clock-800ms": clock, "sampled-1:10": sampled, "log-removed": log_removed,
             "no-details": no_details, "overlapping": overlapping, "no-addresses": no_addresses, "envoy-layout": envoy_layout,
             "one-export": one_export}

FLAGS = re.compile(rb'\s(\d{3}|0) ([A-Z]{2,5}(?:,[A-Z]{2,5})*) |"response_flags"\s*:\s*\\?"([A-Z]{2,5}(?:,[A-Z]{2,5})*)')
DETAILS = re.compile(rb"rbac_access_denied|local_rate_limited|jwt_authn_access_denied|block_all")


def faulty_rows(files):
    """Log rows with a flag that says that a proxy failed a call (not DC), or that it denied one. Counted apart from the tool."""
    rows = 0
    for n, d in files.items():
        if is_log(n):
            for line in unpacked(n, d).splitlines():
                found = FLAGS.search(line)
                flags = (found.group(2) or found.group(3)).split(b",") if found else []
                rows += any(f not in (b"DC", b"DR") for f in flags) or bool(DETAILS.search(line))
    return rows


# ---- one run ---------------------------------------------------------------------------------------------------------------------------
def seconds(text):
    if not text:
        return None
    head, _, tail = text.replace("Z", "").partition(".")
    return datetime.datetime.fromisoformat(head + "+00:00").timestamp() + float("0." + (re.match(r"\d*", tail).group() or "0"))


def overlap(truth, found):
    a, b, c, d = (seconds((w or {}).get(k)) for w in (truth, found) for k in ("start", "end"))
    if None in (a, b, c, d):
        return None
    shared = max(0.0, min(b, d) - max(a, c))
    return min(shared / max(b - a, 1e-6), shared / max(d - c, 1e-6))


def destinations(truth):
    affected = truth.get("affected") or {}
    names = {"*"} if str(affected.get("destination")).count(",") >= 2 else set()
    for text in (affected.get("destination"), affected.get("cluster"), *(f.get(k) for f in truth.get("faults", []) for k in ("cluster", "destination"))):
        for part in named(text):
            label = part.split("|")[-1].split(".")[0]
            names |= {label, "*" if label in ("*", "all destinations", "all") else label, re.sub(r"(-[0-9a-f]{8,10}-[a-z0-9]{5}|-v\d+|-\d+)$", "", label)}
    return names - {""}


def sound(ref, inputs):
    source = inputs.get(ref.get("input"))
    if source is None:
        return False
    if ref.get("frame"):
        return source.get("kind") == "capture" and 1 <= ref["frame"] <= source.get("records", 0) + source.get("rejected", 0) + source.get("skipped", 0)
    if ref.get("line"):
        return source.get("kind") != "capture" and ref["line"] >= 1
    return ref.get("offset_bytes") is not None


def judge(report, truth, files, mutation):
    wanted = [f["root_cause"] for f in truth.get("faults", [])] or [truth["root_cause"]]
    allowed = set(wanted) | set(truth.get("secondary", []))
    findings = report.get("findings", [])
    accused = [f for f in findings if f.get("severity") in ("critical", "warning")]
    causes = [f for f in accused if f.get("role") != "consequence"]
    calm = bool(CALM & set(wanted))
    false = [f for f in (accused if calm else causes) if calm or f["cause"] not in allowed]
    first = findings[0] if findings else {}
    state = report.get("verdict", {}).get("state")
    if false:
        outcome = "wrong"
    elif calm:
        outcome = "right" if report.get("verdict", {}).get("healthy") else "honest"
    elif accused and {f["cause"] for f in findings[: len(wanted)]} == set(wanted):
        outcome = "right"
    elif accused and first.get("cause") in wanted:
        outcome = "half"
    elif accused:
        outcome = "allowed"
    elif state == "healthy":
        outcome = "missed" if faulty_rows(files) >= 5 else "quiet"
    else:
        outcome = "honest"
    scope = first.get("scope") or {}
    said = f"{scope.get('destination') or ''} {scope.get('cluster') or ''} {' '.join(scope.get('pods') or [])}"
    inputs = {i["id"]: i for i in report.get("inputs", [])}
    refs = [r for e in first.get("evidence", []) for r in e.get("refs", [])]
    row = {"wanted": "+".join(wanted), "got": [f["cause"] for f in findings[:3]], "state": state, "outcome": outcome, "false": [f["cause"] for f in false],
           "claims": [(f["cause"], f["confidence"], (not calm) and f["cause"] in allowed, f.get("severity") != "info", (not calm) and f["cause"] in wanted)
                      for f in findings if f.get("role") != "consequence"]}
    if not calm and accused:
        row["scope"] = any(n in said for n in destinations(truth))
        row["cited"] = bool(refs) and all(sound(r, inputs) for r in refs)
        row["window"] = overlap(truth.get("window"), first.get("window")) if mutation is None else None
    return row


def run(tool, case, mutation, timeout):
    truth = json.loads((case / "truth.json").read_text())
    files = {p.name: p.read_bytes() for p in sorted(case.iterdir()) if p.is_file() and p.name != "truth.json" and not p.name.startswith("README")}
    if mutation:
        files = MUTATIONS[mutation](files, truth, random.Random(case.name))
        if files is None:
            return None
    row = {"case": case.name, "folder": case.parent.name, "mutation": mutation or "whole"}
    with tempfile.TemporaryDirectory() as tmp:
        box = pathlib.Path(tmp) / "incident"
        box.mkdir()
        for name, data in files.items():
            (box / name).write_bytes(data)
        try:
            done = subprocess.run([tool, "analyze", "--format", "json", str(box)], capture_output=True, timeout=timeout)
            report = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, ValueError) as error:
            return {**row, "wanted": truth["root_cause"], "got": [], "outcome": "error", "false": [], "claims": [], "state": type(error).__name__}
    return {**row, **judge(report, truth, files, mutation)}


# ---- tables -----------------------------------------------------------------------------------------------------------------------------
def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for r in rows:
        print("| " + " | ".join(str(c) for c in r) + " |")
    print()


def confusion(rows):
    counts = {}
    for r in rows:
        first = "+".join(sorted(r["got"][: r["wanted"].count("+") + 1])) if r["outcome"] not in ("honest", "quiet", "missed") or not r["got"] else f"({r['got'][0]})"
        wanted = "+".join(sorted(r["wanted"].split("+")))
        key = (wanted, first or f"({r['state']})")
        counts[key] = counts.get(key, 0) + 1
    table(["true cause", "first finding (in brackets: suspected or none)", "runs"], [(w, ("" if w == g else "≠ ") + g, n) for (w, g), n in sorted(counts.items())])


def outcomes(rows):
    kinds = ["right", "half", "allowed", "honest", "quiet", "missed", "wrong", "error"]
    by = {}
    for r in rows:
        by.setdefault(r["mutation"], []).append(r)
    lines = []
    for m in ["whole", *MUTATIONS]:
        if m in by:
            n = [sum(r["outcome"] == k for r in by[m]) for k in kinds]
            lines.append((m, len(by[m]), *n, sum(len(r["false"]) for r in by[m])))
    table(["what was read", "runs", *kinds, "false findings"], lines)


def reliability(rows):
    lines = []
    for low, high in BINS:
        claims = [c for r in rows for c in r["claims"] if low <= c[1] < high]
        hard = [c for c in claims if c[3]]
        if claims:
            share = lambda cs, i: f"{sum(c[i] for c in cs)}/{len(cs)} = {sum(c[i] for c in cs) / len(cs):.2f}" if cs else "-"
            mean = sum(c[1] for c in hard or claims) / len(hard or claims)
            lines.append((f"{low:.2f} to {min(high, 1.0):.2f}", f"{mean:.2f}", share(hard, 4), share(hard, 2), share([c for c in claims if not c[3]], 4)))
    table(["confidence", "mean", "accusations: the root cause", "root cause or secondary", "remarks (info): the root cause"], lines)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tool", required=True)
    args.add_argument("--mutate", action="store_true")
    args.add_argument("--mutation", action="append", choices=sorted(MUTATIONS), help="only these")
    args.add_argument("--only")
    args.add_argument("--jobs", type=int, default=2)
    args.add_argument("--timeout", type=float, default=120)
    args.add_argument("--json")
    args.add_argument("--quiet", action="store_true", help="tables alone, without a line for each run that is not right")
    args.add_argument("folders", nargs="+", type=pathlib.Path)
    o = args.parse_args()
    cases = sorted({t.parent for f in o.folders for t in [*f.glob("truth.json"), *f.glob("*/truth.json")]
                    if not t.parent.name.endswith(".failed") and (not o.only or o.only in t.parent.name)})
    kinds = [None, *(o.mutation or MUTATIONS)] if o.mutate or o.mutation else [None]
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        rows = [r for r in pool.map(lambda job: run(o.tool, *job, o.timeout), [(c, k) for k in kinds for c in cases]) if r]
    if not o.quiet:
        for r in rows:
            if r["outcome"] != "right":
                print(f"{r['outcome']:8s} {r['mutation']:14s} {r['folder']}/{r['case']}: wanted {r['wanted']}; {r['state']}; "
                      f"{', '.join(f'{c[0]} {c[1]}' + ('' if c[3] else ' (info)') for c in r['claims'][:4]) or 'nothing'}"
                      + (f"; false: {', '.join(r['false'])}" if r["false"] else "") + ("" if r.get("scope", True) else "; SCOPE"))
        print()
    whole = [r for r in rows if r["mutation"] == "whole"]
    confusion(whole)
    outcomes(rows)
    reliability(rows)
    for name in ("scope", "cited"):
        judged = [r[name] for r in whole if name in r]
        print(f"{name}: {sum(judged)}/{len(judged)}", end="  ")
    windows = [r["window"] for r in whole if r.get("window") is not None]
    print(f"window (at least 0.7 both ways): {sum(w >= 0.7 for w in windows)}/{len(windows)}")
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(rows, indent=1))
    return 0 if all(r["outcome"] in GOOD for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
