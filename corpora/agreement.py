#!/usr/bin/env python3
"""How far postmesh and tshark agree on the connections of captures.

    corpora/agreement.py [--postmesh PROGRAM] --tshark CAPTURES [CAPTURES ...]
    corpora/agreement.py [--postmesh PROGRAM] CAPTURES ORACLE [CAPTURES ORACLE ...]

With --tshark, tshark is run on every capture below the folders and asked for what it says of each TCP packet.

Without it, ORACLE holds `<path below CAPTURES>.oracle.json`: JSON files with the facts tshark states, one for each capture,
made once by any program that asks tshark; docs/packets.md describes what is read of them.

Either way postmesh is run once for each capture, and its `streams` are compared with tshark's: exact facts, and counts that
both only estimate. Captures that are damaged are run (they must not crash) but not compared. docs/packets.md explains
what differs. The status is 1 if an exact fact differs, with --tshark also if an estimated count agrees for less than 95 % of the
connections, or less than 95 % in sum.
"""

import argparse
import collections
import gzip
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal

# Facts of one direction, by the same name in the report and in the oracle.
EXACT_SIDE = ["packets", "payload_bytes", "data_packets", "syn", "syn_ack", "fin", "rst", "rst_ack", "zero_window_packets"]

# Estimated facts: names in the report (summed), name in the oracle. tshark marks fast and spurious retransmissions as
# retransmissions too.
SENT_AGAIN = ["retransmissions", "fast_retransmissions", "spurious_retransmissions"]
ESTIMATED = [
    ("retransmissions of any sort and out_of_order", SENT_AGAIN + ["out_of_order"], ["retransmission", "out_of_order"]),
    ("retransmissions of any sort", SENT_AGAIN, ["retransmission"]),
    ("fast_retransmissions", ["fast_retransmissions"], ["fast_retransmission"]),
    ("spurious_retransmissions", ["spurious_retransmissions"], ["spurious_retransmission"]),
    ("out_of_order", ["out_of_order"], ["out_of_order"]),
    ("duplicate_acks", ["duplicate_acks"], ["duplicate_ack"]),
    ("lost_segments", ["lost_segments"], ["lost_segment"]),
    ("acked_unseen", ["acked_unseen"], ["ack_lost_segment"]),
    ("keep_alives", ["keep_alives"], ["keep_alive"]),
    ("zero_window_probes", ["zero_window_probes"], ["zero_window_probe"]),
    ("window_full", ["window_full"], ["window_full"]),
    ("window_updates", ["window_updates"], ["window_update"]),
]


def run(program, capture):
    command = [program, "analyze", "--format", "json", "--streams", "--no-run-info", capture]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode < 0 or done.returncode > 100:
        raise SystemExit(f"{capture}: ended with {done.returncode}: {done.stderr[-500:]}")
    try:
        return json.loads(done.stdout), done.stderr
    except ValueError:
        return {}, done.stderr


# What is asked of tshark for each TCP packet.
FIELDS = ["frame.number", "frame.len", "tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"]
FIELDS += ["tcp.len", "tcp.flags", "tcp.window_size_value"]
# Marks of tshark's analysis, by the names of oracle files.
MARKS = ["retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "duplicate_ack", "lost_segment"]
MARKS += ["ack_lost_segment", "keep_alive", "zero_window_probe", "window_full", "window_update", "reused_ports"]
FIN, SYN, RST, ACK = 1, 2, 4, 16
# How captures begin: pcap in both byte orders, microseconds and nanoseconds, and pcapng.
CAPTURE = tuple(map(bytes.fromhex, ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a")))


def captures_below(folder):
    for place, folders, files in sorted(os.walk(folder)):
        folders.sort()
        for path in (os.path.join(place, file) for file in sorted(files)):
            with open(path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
            with (gzip.open if packed else open)(path, "rb") as file:
                if file.read(4) in CAPTURE:
                    yield os.path.relpath(path, folder)


def ask_tshark(capture):
    """What an oracle file would say of the connections, by one pass of tshark."""
    command = ["tshark", "-n", "-r", capture, "-T", "fields", "-E", "occurrence=l", "-Y", "tcp && !icmp && !icmpv6"]
    for field in FIELDS + ["tcp.analysis." + mark for mark in MARKS]:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    streams = {}
    for line in done.stdout.splitlines():
        number, frame_bytes, stream, *rest = line.split("\t")
        source, source6, source_port, target, target6, target_port, length, flags, window, *marks = rest
        source = f"[{source6}]:{source_port}" if source6 else f"{source}:{source_port}"
        target = f"[{target6}]:{target_port}" if target6 else f"{target}:{target_port}"
        entry = streams.setdefault(
            stream,
            {
                "stream": int(stream),
                "first_frame": int(number),
                "a": source,
                "b": target,
                "packets": 0,
                "frame_bytes": 0,
                "dir": {"ab": collections.Counter(), "ba": collections.Counter()},
                "analysis": collections.Counter(),
            },
        )
        flags, length = int(flags, 16), int(length or 0)
        entry["packets"] += 1
        entry["frame_bytes"] += int(frame_bytes)
        if flags & SYN and "initiator" not in entry:
            by_source = not flags & ACK
            entry["initiator"] = "a" if (source == entry["a"]) == by_source else "b"
        entry["dir"]["ab" if source == entry["a"] else "ba"].update(
            packets=1,
            payload_bytes=length,
            data_packets=length > 0,
            syn=flags & (SYN | ACK) == SYN,
            syn_ack=flags & (SYN | ACK) == SYN | ACK,
            fin=flags & FIN > 0,
            rst=flags & (RST | ACK) == RST,
            rst_ack=flags & (RST | ACK) == RST | ACK,
            zero_window_packets=window == "0" and not flags & (SYN | FIN | RST),
        )
        entry["analysis"].update(mark for mark, seen in zip(MARKS, marks) if seen)
    return {"tcp": {"streams": list(streams.values())}, "damage": {"kind": "none"}}


class Agreement:
    def __init__(self):
        self.facts = collections.defaultdict(lambda: [0, 0, []])
        self.sums = collections.defaultdict(lambda: [0, 0])

    def wrong(self):
        """Exact facts that differ, and estimated ones that agree for too few."""
        for fact, (agree, differ, _) in self.facts.items():
            least = 1 if fact.startswith("exact") else 0.95
            if "where there is any" not in fact and agree < least * (agree + differ):
                yield fact
        for fact, (ours, theirs) in self.sums.items():
            if abs(ours - theirs) > 0.05 * max(ours, theirs):
                yield f"sum: {fact}: {ours}, tshark {theirs}"

    def check(self, fact, place, ours, theirs):
        entry = self.facts[fact]
        entry[ours != theirs] += 1
        if ours != theirs:
            entry[2].append(f"{place}: {ours}, oracle {theirs}")

    def show(self, limit):
        for fact in sorted(self.facts):
            agree, differ, lines = self.facts[fact]
            print(f"{fact}: {agree} agree, {differ} differ, {100 * agree / (agree + differ):.2f} %")
            for line in lines[:limit]:
                print("    " + line)
        for fact, (ours, theirs) in sorted(self.sums.items()):
            if ours or theirs:
                print(f"sum: {fact}: {ours}, tshark {theirs}")


def compare_stream(agreement, place, ours, theirs):
    ends = sorted([ours["client"], ours["server"]])
    agreement.check("exact: endpoints", place, ends, sorted([theirs["a"], theirs["b"]]))
    if "initiator" in theirs:
        agreement.check("exact: initiator", place, ours["client"], theirs[theirs["initiator"]])
    agreement.check("exact: packets", place, ours["packets"], theirs["packets"])
    agreement.check("exact: bytes", place, ours["bytes"], theirs["frame_bytes"])
    ways = ("ab", "ba") if ours["client"] == theirs["a"] else ("ba", "ab")
    sides = [ours["client_sent"], ours["server_sent"]]
    for side, way in zip(sides, ways):
        for name in EXACT_SIDE:
            agreement.check("exact: each way: " + name, f"{place} {way}", side[name], theirs["dir"].get(way, {}).get(name, 0))
    if theirs.get("initial_rtt_firm"):
        expected = float(Decimal(theirs["initial_rtt"]) * 1_000_000)
        rtt_us = ours["handshake_rtt_us"]
        equal = rtt_us is not None and abs(rtt_us - expected) < 0.001
        agreement.check("exact: handshake_rtt_us", place, expected if equal else rtt_us, expected)
    for fact, names, oracle_names in ESTIMATED:
        if all(name in side for side in sides for name in names):
            count = sum(side[name] for side in sides for name in names)
            expected = sum(theirs.get("analysis", {}).get(name, 0) for name in oracle_names)
            agreement.check("estimated: " + fact, place, count, expected)
            agreement.sums[fact][0] += count
            agreement.sums[fact][1] += expected
            if count or expected:
                agreement.check("estimated, where there is any: " + fact, place, count, expected)
    reused = theirs.get("analysis", {}).get("reused_ports", 0) > 0
    agreement.check("estimated: reused_ports", place, ours["reused_ports"], reused)


def compare(agreement, name, report, oracle):
    by_frame = collections.defaultdict(list)
    streams = report.get("streams") or []
    for stream in streams:
        by_frame[stream["first_frame"]].append(stream)
    theirs = oracle.get("tcp", {}).get("streams", [])
    agreement.check("exact: number of streams", name, len(streams), len(theirs))
    for stream in theirs:
        place = f"{name} stream {stream['stream']} frame {stream['first_frame']}"
        found = by_frame[stream["first_frame"]]
        agreement.check("exact: begins with the same packet", place, bool(found), True)
        if found:
            compare_stream(agreement, place, found[0], stream)


def pairs(options):
    """Folder, capture below it, and what tshark says of that."""
    if options.tshark:
        for folder in options.folders:
            for name in captures_below(folder):
                yield folder, name, ask_tshark(os.path.join(folder, name))
        return
    for captures, oracles in zip(options.folders[::2], options.folders[1::2]):
        for folder, folders, files in sorted(os.walk(oracles)):
            folders.sort()
            for file in sorted(files):
                if file.endswith(".oracle.json"):
                    path = os.path.join(folder, file)
                    with open(path, encoding="utf-8") as opened:
                        yield captures, os.path.relpath(path, oracles)[: -len(".oracle.json")], json.load(opened)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postmesh", default="postmesh", help="the program")
    parser.add_argument("--tshark", action="store_true", help="ask tshark instead of reading oracle files")
    parser.add_argument("--differences", type=int, default=5, help="differences shown of each fact")
    parser.add_argument("folders", nargs="+", help="CAPTURES ..., or CAPTURES ORACLE ...")
    options = parser.parse_args()
    if options.tshark and not shutil.which("tshark"):
        print("skipped: tshark is not installed")
        return 0
    if not options.tshark and len(options.folders) % 2:
        parser.error("CAPTURES and ORACLE come in pairs")
    found = collections.defaultdict(lambda: [Agreement(), 0, 0])
    for captures, name, oracle in pairs(options):
        report, said = run(options.postmesh, os.path.join(captures, name))
        entry = found[captures]
        if oracle.get("damage", {}).get("kind") != "none":
            entry[2] += 1
            continue
        if report.get("streams") is None:
            raise SystemExit(f"{name}: the report has no streams: {said[-500:]}")
        entry[1] += 1
        compare(entry[0], name, report, oracle)
    wrong = [] if found else ["nothing to compare"]
    for captures, (agreement, compared, damaged) in found.items():
        print(f"{captures}: {compared} captures compared, {damaged} damaged ones run")
        agreement.show(options.differences)
        held = agreement.wrong()
        wrong += [fact for fact in held if options.tshark or fact.startswith("exact")]
    for fact in wrong:
        print(f"differs: {fact}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
