"""python3 lab.py record --out DIR [--only NAME]... [--seed N] | list | show DIR | check DIR"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine  # noqa: E402
import files  # noqa: E402


def main(modules=("incidents",)):
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("command", choices=["record", "list", "show"])
    ap.add_argument("dir", nargs="?")
    ap.add_argument("--out")
    ap.add_argument("--only", action="append")
    ap.add_argument("--missing", action="store_true", help="only cases that --out does not hold yet")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--keep", action="store_true", help="keep the work directory")
    a = ap.parse_args()
    for m in modules:
        __import__(m)
    if a.command == "list":
        for c in engine.CASES:
            print(f"{c.name:34s} {c.root:30s} {c.title}")
        return 0
    if a.command == "show":
        files.summary(a.dir)
        return 0
    if not a.out:
        ap.error("--out DIR")
    os.makedirs(a.out, exist_ok=True)
    bad = 0
    for i, c in enumerate(engine.CASES):
        if a.only and c.name not in a.only:
            continue
        if a.missing and os.path.isdir(os.path.join(a.out, c.name)):
            continue
        bad += not engine.record(c, a.out, a.seed * 1000 + i, a.keep)
    return bad


if __name__ == "__main__":
    sys.exit(main())
