#!/usr/bin/env python3
"""Holds a report of postmesh on a capture against what the generator says it wrote.

usage: check_packets.py EXPECT.json < REPORT.json
"""
import json
import sys

expected = json.load(open(sys.argv[1], encoding="utf-8"))
captures = json.load(sys.stdin)["captures"]
tcp, dns = captures["tcp"], captures["dns"]
found = {
    "packets": captures["packets"],
    "streams": captures["streams"]["tcp"],
    "refused": tcp["refused"],
    "unanswered": tcp["unanswered_syn"],
    "retransmissions": tcp["retransmissions"] + tcp["fast_retransmissions"] + tcp["spurious_retransmissions"],
    "client_hellos": captures["tls"]["client_hellos"],
    "http_requests": captures["http"]["requests"],
    "dns_queries": dns["queries"],
    "name_errors": dns["responses_by_rcode"].get("NXDOMAIN", dns["responses_by_rcode"].get("3", 0)),
}
wrong = [f"{key}: {found[key]} instead of {expected[key]}" for key in found if found[key] != expected[key]]
sys.exit("\n".join(wrong) or 0)
