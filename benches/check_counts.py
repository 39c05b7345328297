#!/usr/bin/env python3
"""Holds a report of postmesh against what the generator says it wrote.

usage: check_counts.py EXPECT.json < REPORT.json
"""
import json
import sys

expected = json.load(open(sys.argv[1], encoding="utf-8"))
requests = json.load(sys.stdin)["requests"]
reporters = {name: counts["total"] for name, counts in requests["by_reporter"].items() if counts["total"]}
pairs = [(key, requests[key], expected[key]) for key in ("rows", "by_code", "by_flag", "by_detail")]
pairs.append(("by_reporter", reporters, {name: n for name, n in expected["by_reporter"].items() if n}))
wrong = [f"{key}: {found} instead of {wanted}" for key, found, wanted in pairs if found != wanted]
sys.exit("\n".join(wrong) or 0)
