#!/usr/bin/env python3
"""Runs commands in strict alternation and prints medians and the ratios that were aimed at.

usage: alternate.py RUNS JOBS.tsv GOALS.tsv

JOBS.tsv has lines of group, name, command. The commands of a group are run one after the other, RUNS times over, so that whatever
else the machine does hits all of them alike. Of each process: CPU seconds (user and system, with its children), wall seconds, and
peak resident memory as the system accounts it (never less than this program's own, about 15 MiB).

GOALS.tsv has lines of what, name, peer, measure (cpu, wall or peak), must, aim; a goal whose names were not both run is left out.
A goal without a peer ("-") is a bound on the figure itself.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

MEASURES = {"cpu": 0, "wall": 1, "peak": 2}


def table(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]


def run(command):
    """CPU seconds, wall seconds and peak MiB of a command; its output goes to a file, since tools take short cuts on /dev/null."""
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        # 1 and 3 are verdicts of postmesh; 1 is also "no match" of ripgrep.
        if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
            output.seek(0)
            sys.exit(f"{command}: status {os.waitstatus_to_exitcode(status)}\n{output.read(2000).decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def measure(jobs, runs):
    figures = {name: [] for _, name, _ in jobs}
    for group in dict.fromkeys(group for group, _, _ in jobs):
        members = [(name, command) for of, name, command in jobs if of == group]
        for _ in range(runs):
            for name, command in members:
                figures[name].append(run(command))
        for name, _ in members:
            cpu, wall, peak = (sorted(values) for values in zip(*figures[name]))
            middle = statistics.median
            print(f"{group:6} {name:24} {middle(cpu):8.3f} {cpu[0]:8.3f} {cpu[-1]:8.3f} {middle(wall):8.3f} {peak[-1]:9.1f}", flush=True)
    return figures


def median(figures, name, measure_name):
    return statistics.median(figure[MEASURES[measure_name]] for figure in figures[name])


def judge(ratio, must, aim):
    return "aim" if ratio <= aim else "must" if ratio <= must else "MISSED"


def main():
    runs, jobs, goals = int(sys.argv[1]), table(sys.argv[2]), table(sys.argv[3])
    print(f"{'input':6} {'command':24} {'CPU s':>8} {'least':>8} {'most':>8} {'wall s':>8} {'peak MiB':>9}   medians of {runs}")
    figures = measure(jobs, runs)
    print(f"\n{'goal':44} {'measured':>9} {'must':>7} {'aim':>7}")
    for what, name, peer, measure_name, must, aim in goals:
        if name not in figures or (peer != "-" and peer not in figures):
            continue
        value = median(figures, name, measure_name)
        if peer != "-":
            value /= max(median(figures, peer, measure_name), 1e-6)
        print(f"{what:44} {value:9.3f} {must:>7} {aim:>7}  {judge(value, float(must), float(aim))}")


main()
