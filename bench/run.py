#!/usr/bin/env python3
"""Whole-system benchmark: Sluice with full-body capture and its peers (rows.py, peers.py, protocol_peers.py) do the same
work in one run, in alternating rounds; medians count. What is compared is CPU time per request of the whole peer (user
and system, every process of it), not wall clock: peers, origin and driver share the machine.

Usage: ./dev bench [--quick] [--write] [--only ROW,...] [--peers NAME,...] [--rounds N] [--save [FILE]]
                    [--compare [FILE]] [--against NAME=PROGRAM]...
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compare  # noqa: E402
import loopback  # noqa: E402
import peers  # noqa: E402
import protocol_peers  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402

SAVED = report.ROOT / "build" / "bench.json"
FAILURES = (RuntimeError, subprocess.SubprocessError, OSError)


def say(text):
    print(text, file=sys.stderr, flush=True)


def apart_seconds(peer):
    return peer.processes.thread_seconds(peer.apart) if peer.apart else 0


def measure(peer, row, seconds):
    def seconds_so_far():
        return peer.processes.cpu_seconds() - apart_seconds(peer)

    before = seconds_so_far()
    result = row.load(peer, seconds)
    result["cpu_us"] = (seconds_so_far() - before) * 1e6 / max(result["requests"], 1)
    return result


def in_rounds(args, row, running):
    """CPU time: all peers run, and take turns."""
    seconds = row.seconds / 4 if args.quick else row.seconds
    samples, notes, warm = {}, {}, {}
    for peer in running:
        try:
            peer.start()
            warm[peer.name] = row.load(peer, 0.5)["requests"]  # certificates minted, connections pooled
        except FAILURES as error:
            notes[peer.name] = str(error)
    for _ in range(args.rounds):
        for peer in running:
            if peer.name in notes:
                continue
            try:
                samples.setdefault(peer.name, []).append(measure(peer, row, seconds))
            except FAILURES as error:
                notes[peer.name] = str(error)
    out = {}
    for peer in running:
        taken = samples.get(peer.name, [])
        if taken and peer.name not in notes:
            complaint = row.complaint(peer, taken)
            if complaint:
                notes[peer.name] = complaint
        if peer.name in notes or not taken:
            out[peer.name] = {"note": notes.get(peer.name, "nothing measured")}
            continue
        median = {key: statistics.median(s[key] for s in taken)
                  for key in ("cpu_us", "rps", "p50_us", "p99_us", "inside_us") if key in taken[0]}
        requests = sum(s["requests"] for s in taken)
        # It runs whenever it likes, also in others' rounds.
        apart = apart_seconds(peer) * 1e6 / (warm[peer.name] + requests)
        out[peer.name] = median | {"rss_mib": peer.processes.memory_kib("VmHWM") / 1024, "requests": requests,
                                   "apart_us": apart}
    return out


def one_by_one(args, row, running):
    """Memory: each alone."""
    out = {}
    for peer in running:
        try:
            peer.start()
            out[peer.name] = row.measure(peer, args.quick)
        except FAILURES as error:
            out[peer.name] = {"note": str(error)}
        finally:
            peer.stop()
    return out


def other_program(text):
    """NAME=PROGRAM: another build of Sluice, as a peer of its own."""
    name, _, program = text.partition("=")
    if not re.fullmatch(r"[\w.-]+", name) or not os.access(program, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=PROGRAM")
    return type("OtherSluice", (peers.Sluice,), {"name": name, "program": os.path.abspath(program)})


def run_row(args, row, wanted, work, certificates, origins):
    running = []
    others = args.against if peers.Sluice in row.classes else []
    for cls in [*row.classes, *others]:
        if cls.name not in wanted and cls not in others:
            continue
        if not cls.available():
            say(f"skipped: {cls.name} is not here")
            continue
        running.append(cls)
    try:
        origin = origins.get(row.origin)
    except FAILURES as error:
        say(f"{row.title}: no origin: {error}")
        return {cls.name: {"note": f"no origin: {error}"} for cls in running}
    running = [cls(work / f"{row.name}-{cls.name}", certificates, origin.port) for cls in running]
    try:
        out = (one_by_one if isinstance(row, rows.IdleRow) else in_rounds)(args, row, running)
    finally:
        for peer in running:
            peer.stop()
    for name, result in out.items():
        if "note" in result:
            say(f"{row.title}: {name} does not count: {result['note']}")
    return out


def holds(saved, results):
    """Says what changed since the saved run; False if anything was lost, or nothing could be compared."""
    lines, losses = compare.compare(saved["rows"], results, {row.name: row.limit for row in rows.ROWS})
    say(f"Compared with: {saved['header']}")
    for line in lines:
        say(("LOST  " if line in losses else "      ") + line)
    if not lines:
        say("nothing of this run is in the saved one")
    return bool(lines) and not losses


def main():
    names = {cls.name: None for row in rows.ROWS for cls in row.classes}
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", default=str(report.ROOT / "build/release/sluice"))
    parser.add_argument("--load", default=str(report.ROOT / "build/bench/sluice_load"))
    parser.add_argument("--quick", action="store_true", help="one short round: does it work, roughly how fast")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", help="rows: " + ",".join(row.name for row in rows.ROWS))
    parser.add_argument("--peers", default=",".join(names))
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", metavar="FILE", nargs="?", const=str(SAVED), help=f"the results, to compare with (default {SAVED})")
    parser.add_argument("--compare", metavar="FILE", nargs="?", const=str(SAVED), help=f"fails if 10 %% are lost against it (default {SAVED})")
    parser.add_argument("--against", metavar="NAME=PROGRAM", type=other_program, action="append", default=[],
                        help="another build of Sluice, in turns with the rest; may be repeated")
    args = parser.parse_args()
    try:
        saved = compare.load(args.compare) if args.compare else None  # now, rather than after an hour
    except RuntimeError as error:
        parser.error(str(error))
    args.rounds = args.rounds or (1 if args.quick else 3)
    rows.LOAD, peers.Sluice.program = os.path.abspath(args.load), os.path.abspath(args.sluice)
    protocol_peers.Echo.program = rows.LOAD
    if not loopback.enter():
        say("no network of our own here: ports may be taken, and packet filters cost what they cost")
    loopback.raise_open_files(2 * rows.IdleRow.wanted + rows.IdleRow.spare)
    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench."))
    work.chmod(0o755)
    origins = None
    results = {}
    try:
        certificates = peers.Certificates(work)
        origins = rows.Origins(work, certificates)
        for row in rows.ROWS:
            if args.only and row.name not in args.only.split(","):
                continue
            say(f"{row.title} …")
            results[row.name] = run_row(args, row, args.peers.split(","), work, certificates, origins)
    finally:
        if origins:
            origins.stop()
        shutil.rmtree(work, ignore_errors=True)
    text = report.report(rows.ROWS, results, args.rounds)
    print(json.dumps(results, indent=1) if args.json else text)
    if args.write:
        say(f"written: {report.write(text)}")
    if args.save:
        compare.save(args.save, results, report.header(f"{args.rounds} alternating rounds, medians"))
    lost = saved is not None and not holds(saved, results)
    return 1 if lost or any("note" in r for row in results.values() for r in row.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
