#!/usr/bin/env python3
"""How far postmesh and tshark agree on the connections of captures.

    corpora/agreement.py [--postmesh PROGRAM] CAPTURES ORACLE [CAPTURES ORACLE ...]

ORACLE holds `<path below CAPTURES>.oracle.json` files, which give tshark's facts for each capture. postmesh is run once
for each capture and its `streams` are compared with `tcp.streams`: exact facts, and counts that both only estimate.
Captures that are damaged are run (they must not crash) but not compared. docs/packets.md explains what differs.
"""

import argparse
import collections
import json
import os
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


class Agreement:
    def __init__(self):
        self.facts = collections.defaultdict(lambda: [0, 0, []])

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postmesh", default="postmesh", help="the program")
    parser.add_argument("--differences", type=int, default=5, help="differences shown of each fact")
    parser.add_argument("folders", nargs="+", help="CAPTURES ORACLE ...")
    options = parser.parse_args()
    if len(options.folders) % 2:
        parser.error("CAPTURES and ORACLE come in pairs")
    for captures, oracles in zip(options.folders[::2], options.folders[1::2]):
        agreement, compared, damaged = Agreement(), 0, 0
        for folder, folders, files in sorted(os.walk(oracles)):
            folders.sort()
            for file in sorted(files):
                if not file.endswith(".oracle.json"):
                    continue
                path = os.path.join(folder, file)
                name = os.path.relpath(path, oracles)[: -len(".oracle.json")]
                with open(path, encoding="utf-8") as opened:
                    oracle = json.load(opened)
                report, said = run(options.postmesh, os.path.join(captures, name))
                if oracle.get("damage", {}).get("kind") == "none":
                    if report.get("streams") is None:
                        raise SystemExit(f"{name}: the report has no streams: {said[-500:]}")
                    compared += 1
                    compare(agreement, name, report, oracle)
                else:
                    damaged += 1
        print(f"{captures}: {compared} captures compared, {damaged} damaged ones run")
        agreement.show(options.differences)


if __name__ == "__main__":
    sys.exit(main())
