#!/usr/bin/env python3
"""Counts the access-log rows of istio-proxy logs: an independent check of the figures that postmesh reports.

usage: count.py PATH...            the counts of all files below the PATHs, as JSON
       count.py --check [CASE...]  holds the counts of each case folder against its expect.toml

Packet captures among the files are passed over.

It shares no code with postmesh, reads the plain way (whole lines, regular expressions) and knows only what the recorded
cases need: Istio's default text rows (1.9 and later) and default JSON objects, a ztunnel's lines of connections, bare or inside CRI
lines, docker's json-file or kubectl's --prefix and --timestamps, plain or gzip'd, or in a tar archive. Only Python's own library is
used.

What is counted
  rows                        every access-log row
  by_code                     rows of HTTP requests by status code
  by_flag, by_detail          all rows; each flag of a row counts once; "-" is neither a flag nor a detail
  tcp_connections             rows of TCP connections (no protocol)
  by_reporter                 HTTP rows: source = the caller's proxy wrote it, destination = the called one
  total, failed, canceled     HTTP rows of one reporter per hop (caller's pod, called service): the caller's rows, and the
                              called proxy's where that hop has none
"""
import collections
import gzip
import io
import json
import pathlib
import re
import sys
import tarfile

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
CRI = re.compile(rf"^{TIME} (stdout|stderr) ([FP])(?::\S*)? ?")
KUBECTL_PREFIX = re.compile(r"^\[pod/[^/\]]+/[^/\]]+\] ")
KUBECTL_TIME = re.compile(rf"^{TIME} (?=[\[{{]|{TIME})")
TEXT = re.compile(
    r'^\[(?P<start_time>[^\]]+)\] "(?P<request>.*?)" (?P<response_code>\d+) (?P<response_flags>\S+) '
    r'(?P<response_code_details>\S+) (?P<termination>transport socket timeout was reached|\S+) "(?P<reason>[^"]*)" '
    r'(?P<bytes_received>\d+) (?P<bytes_sent>\d+) (?P<duration>\d+|-) (?P<upstream_service_time>\S+) '
    r'"(?P<quoted>.*)" (?P<upstream_cluster>\S+) (?P<upstream_local_address>\S+) (?P<downstream_local_address>\S+) '
    r"(?P<downstream_remote_address>\S+) (?P<requested_server_name>\S+) (?P<route_name>\S+)$"
)
# A ztunnel's line for a connection that is over: a row of a TCP connection, without flags and details.
ZTUNNEL = re.compile(rf"^{TIME}\t(?:info|warn|error)\taccess\tconnection (?:complete|failed)\t")
# Envoy's flags that mean a failure of this request (Envoy docs, access logging, RESPONSE_FLAGS); the rest are remarks (URX over
# an answer still counts: retries were used up), refusals by policy (RL, UAEX) or cancels (DC, DR).
FAILURE_FLAGS = set("LH UH UT LR UR UF UC UO NR URX SI IH DPE UMSDR NFCF UPE NC OM DF DO UDO RLSE".split())
CANCEL_FLAGS = {"DC", "DR"}


# How captures begin: pcap in both byte orders, microseconds and nanoseconds, and pcapng.
CAPTURE = tuple(map(bytes.fromhex, ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a")))


class Member:
    """A log in a tar archive, with as much of a path as is used here."""

    def __init__(self, archive, name, data):
        self.name, self.data = f"{archive}!{name}", data


def logs_in(path):
    """The proxies' logs in a compressed tar archive, as `istioctl bug-report` packs them."""
    with tarfile.open(path) as tar:
        for info in tar:
            if info.isfile() and info.name.endswith("istio-proxy.log"):
                yield Member(path.name, info.name, tar.extractfile(info).read())


def opened(path):
    """The file, decompressed."""
    if isinstance(path, Member):
        return io.BytesIO(path.data)
    opener = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
    return opener(path, "rb")


def is_capture(path):
    with opened(path) as file:
        return file.read(4) in CAPTURE


def lines(path):
    """The lines of a file, decompressed, with their numbers from 1."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip(b"\r\n").decode(errors="replace")


def unwrap(numbered):
    """Peels docker, CRI and kubectl wrappers; joins the parts of a split line under the number of its first."""
    parts = {}
    for number, line in numbered:
        ends = True
        line = KUBECTL_PREFIX.sub("", line)
        stream = ""
        if line.startswith('{"log":'):
            record = json.loads(line)
            line, stream = record["log"], record.get("stream", "")
            ends = line.endswith("\n")
            line = line.rstrip("\n")
        elif match := CRI.match(line):
            line, stream, ends = line[match.end() :], match[1], match[2] == "F"
        else:
            line = KUBECTL_TIME.sub("", line)
        first, text = parts.pop(stream, (number, ""))
        if ends:
            yield first, text + line
        else:
            parts[stream] = (first, text + line)


def read_row(line):
    """The fields of an access-log row under the names of Istio's JSON encoding, or None."""
    if line.startswith("{"):
        try:
            row = json.loads(line)
        except ValueError:
            # A line of a document, or one that was cut.
            return None
        if row.get("scope") == "access" and row.get("message") in ("connection complete", "connection failed"):
            return {"protocol": None}
        if "response_code" not in row:
            return None
        return {key: None if value == "-" else value for key, value in row.items()}
    if ZTUNNEL.match(line):
        return {"protocol": None}
    match = TEXT.match(line)
    if not match:
        return None
    row = {key: None if value == "-" else value for key, value in match.groupdict().items()}
    names = ("x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host")
    quoted = match["quoted"].split('" "')
    row.update(zip(names, (None if value == "-" else value for value in quoted)))
    row["method"], row["path"], row["protocol"] = (None if part == "-" else part for part in match["request"].split(" "))
    return row


def ip(address):
    return (address or "").rpartition(":")[0]


def reporter(row, pod_ips):
    """Who wrote the row; by the cluster, and where there is none by which end of the connection is the pod's own."""
    cluster = row.get("upstream_cluster") or ""
    if cluster.startswith(("inbound|", "InboundPassthrough")):
        return "destination"
    if cluster:
        return "source"
    if ip(row.get("downstream_remote_address")) in pod_ips:
        return "source"
    return "destination" if ip(row.get("downstream_local_address")) in pod_ips else "source"


def service(row, who):
    """The called service: of the cluster, else of the SNI, else of the authority; first label and namespace dropped."""
    cluster = row.get("upstream_cluster") or ""
    name = cluster.split("|")[3] if who == "source" and cluster.count("|") == 3 else ""
    sni = row.get("requested_server_name") or ""
    if not name and sni.startswith("outbound_."):
        name = sni.split("_.")[-1]
    return (name or row.get("authority") or "?").split(":")[0].split(".")[0]


def pod_addresses(rows):
    """Addresses of the pod that wrote these rows."""
    own = {ip(row["downstream_remote_address"]) for row in rows if (row.get("upstream_cluster") or "").startswith("outbound|")}
    own |= {ip(row["downstream_local_address"]) for row in rows if (row.get("upstream_cluster") or "").startswith("inbound|")}
    return own


def count(paths):
    counts = {name: collections.Counter() for name in ("by_code", "by_flag", "by_detail", "by_reporter")}
    totals = collections.Counter(rows=0, tcp_connections=0, total=0, failed=0, canceled=0)
    first_seen, hops, by_destination = {}, [], collections.Counter()
    for path in paths:
        found = [(number, row) for number, line in unwrap(lines(path)) if (row := read_row(line))]
        pod_ips = pod_addresses([row for _, row in found])
        for number, row in found:
            totals["rows"] += 1
            flags = set(filter(None, (row.get("response_flags") or "").split(",")))
            counts["by_flag"].update(flags)
            if row.get("response_code_details"):
                counts["by_detail"][row["response_code_details"]] += 1
            for flag in flags:
                first_seen.setdefault(flag, []).append(f"{path.name}:{number}")
            if not row.get("protocol"):
                totals["tcp_connections"] += 1
                continue
            counts["by_code"][str(int(row["response_code"]))] += 1
            who = reporter(row, pod_ips)
            counts["by_reporter"][who] += 1
            hops.append((who, ip(row["downstream_remote_address"]), service(row, who), int(row["response_code"]), flags))
    told = {(caller, called) for who, caller, called, _, _ in hops if who == "source"}
    for who, caller, called, code, flags in hops:
        if who == "destination" and (caller, called) in told:
            continue
        totals["total"] += 1
        by_destination[called] += 1
        canceled = bool(flags & CANCEL_FLAGS)
        totals["canceled"] += canceled
        totals["failed"] += not canceled and (code >= 500 or code == 0 or bool(flags & FAILURE_FLAGS))
    return {
        **totals,
        **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
        "by_destination": dict(sorted(by_destination.items())),
        "first_lines_by_flag": {flag: places[:3] for flag, places in sorted(first_seen.items())},
    }


def files(paths):
    for path in map(pathlib.Path, paths):
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for path in found:
            if path.name.endswith(".tar.gz"):
                yield from logs_in(path)
            elif not is_capture(path):
                yield path


def differences(case):
    import tomllib

    expected = tomllib.loads((case / "expect.toml").read_text())["counts"]
    counted = count(files([case / "input"]))
    for name, value in expected.items():
        if counted.get(name) != value:
            yield f"{case.name}: {name}: expect.toml has {value}, counted {counted.get(name)}"


def main():
    if sys.argv[1:2] != ["--check"]:
        print(json.dumps(count(files(sys.argv[1:])), indent=1))
        return 0
    here = pathlib.Path(__file__).parent
    cases = [pathlib.Path(arg) for arg in sys.argv[2:]] or sorted(p.parent for p in here.glob("*/expect.toml"))
    found = [line for case in cases for line in differences(case)]
    print("\n".join(found) or f"{len(cases)} cases agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
