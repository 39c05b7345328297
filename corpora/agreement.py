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

# Name in the report, how it is summed over both directions of the oracle.
EXACT = ["packets", "syn", "syn_ack", "fin", "rst"]


def directions(stream, name):
    names = ["rst", "rst_ack"] if name == "rst" else [name]
    return sum(stream.get("dir", {}).get(way, {}).get(n, 0) for way in ("ab", "ba") for n in names)


def estimated(stream):
    """Facts of one stream by name: as postmesh counts them."""
    analysis = collections.Counter(stream.get("analysis", {}))
    return {
        # tshark marks fast and spurious retransmissions as retransmissions too.
        "retransmissions": analysis["retransmission"],
        "out_of_order": analysis["out_of_order"],
        "duplicate_acks": analysis["duplicate_ack"],
    }


# Counters of `client_sent` and `server_sent`, where the report has them, and their names in the oracle.
PER_SIDE = {
    "lost_segments": "lost_segment",
    "acked_unseen": "ack_lost_segment",
    "keep_alives": "keep_alive",
    "zero_window_probes": "zero_window_probe",
    "window_full": "window_full",
    "window_updates": "window_update",
}


def run(program, capture):
    command = [program, "analyze", "--format", "json", "--streams", "--no-run-info", capture]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode < 0 or done.returncode > 100:
        raise SystemExit(f"{capture}: ended with {done.returncode}: {done.stderr[-500:]}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


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


def frame_of(first):
    return first.get("frame") if isinstance(first, dict) else first


def compare_stream(agreement, place, ours, theirs):
    ends = {ours.get("client"), ours.get("server")}
    agreement.check("exact: endpoints", place, ends, {theirs["a"], theirs["b"]})
    if "initiator" in theirs:
        agreement.check("exact: initiator", place, ours.get("client"), theirs[theirs["initiator"]])
    for name in EXACT:
        if name in ours:
            agreement.check("exact: " + name, place, ours[name], directions(theirs, name))
    if "bytes" in ours:
        agreement.check("exact: bytes", place, ours["bytes"],
                        theirs[ "frame_bytes" if ours["bytes"] == theirs["frame_bytes"] else "payload_bytes"])
    if theirs.get("initial_rtt_firm"):
        rtt_us = ours.get("handshake_rtt_us")
        expected = Decimal(theirs["initial_rtt"]) * 1_000_000
        close = rtt_us is not None and abs(Decimal(str(rtt_us)) - expected) <= 1
        agreement.check("exact: handshake_rtt_us", place, rtt_us if not close else "equal", "equal" if close else expected)
    zero = directions(theirs, "zero_window_packets")
    if "zero_windows" in ours:
        agreement.check("exact: zero_windows", place, ours["zero_windows"], zero)
    for name, count in estimated(theirs).items():
        if name in ours:
            agreement.check("estimated: " + name, place, ours[name], count)
    if "retransmissions" in ours and "out_of_order" in ours:
        both = estimated(theirs)
        agreement.check("estimated: retransmissions + out_of_order", place,
                        ours["retransmissions"] + ours["out_of_order"],
                        both["retransmissions"] + both["out_of_order"])
    sides = [ours.get(side) for side in ("client_sent", "server_sent")]
    for name, oracle_name in PER_SIDE.items():
        if all(isinstance(side, dict) and name in side for side in sides):
            agreement.check("estimated: " + name, place, sum(side[name] for side in sides),
                            theirs.get("analysis", {}).get(oracle_name, 0))


def compare(agreement, name, report, oracle):
    by_frame = collections.defaultdict(list)
    streams = report.get("streams") or []
    for stream in streams:
        by_frame[frame_of(stream.get("first_frame"))].append(stream)
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
                report = run(options.postmesh, os.path.join(captures, name))
                if oracle.get("damage", {}).get("kind") == "none":
                    compared += 1
                    compare(agreement, name, report, oracle)
                else:
                    damaged += 1
        print(f"{captures}: {compared} captures compared, {damaged} damaged ones run")
        agreement.show(options.differences)


if __name__ == "__main__":
    sys.exit(main())
