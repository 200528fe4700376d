#!/usr/bin/env python3
"""Runs the end-to-end tests, several modules at a time, and says why a test was skipped.

Usage: run.py [--quick] [--soak] [--seams] [-j N] [MODULE[.Class[.test]]...]
With CI=true a skipped test is a failure. E2E_COUNTS names a file for the counts.
A test that failed beside others runs once more alone, since machines can be too busy for any deadline: if it passes it
is called unsteady, in the last lines and in the counts. More than two of those are a failure, as any that fails twice.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

import not_at_seams

HERE = pathlib.Path(__file__).resolve().parent
MAX_UNSTEADY = 2
SLOW = {"test_browser", "test_other_clients", "test_mcp_clients", "test_tls_clients"}  # started first


class Result(unittest.TextTestResult):
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test.id()}: {reason}", file=sys.stderr, flush=True)


def flat(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from flat(one)
        else:
            yield one


def run_module(names):
    """In a child: results as JSON on stdout, everything else on stderr."""
    sys.path.insert(0, str(HERE))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    if os.environ.get("E2E_SEAMS") == "1":
        suite = unittest.TestSuite(test for test in flat(suite) if test.id() not in not_at_seams.TESTS)
    runner = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    print(json.dumps({"total": result.testsRun, "skipped": [[str(t), r] for t, r in result.skipped],
                      "failed": len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
                      "names": [t.id().split(" (")[0] for t, _ in result.failures + result.errors]}))


def start(names, environment):
    began = time.monotonic()
    done = subprocess.run([sys.executable, __file__, "--child", *names], capture_output=True, text=True, cwd=HERE,
                          env=environment, stdin=subprocess.DEVNULL)
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        result = {"total": 1, "skipped": [], "failed": 1, "names": [f"{names}: the test program itself failed"]}
    result["seconds"], result["text"] = time.monotonic() - began, done.stderr
    return result


def again(names, environment):
    """Runs what failed once more, one after the other. Returns those that pass alone."""
    steady = []
    for name in names:
        result = start([name], environment)
        if result["total"] == 1 and not result["failed"] and not result["skipped"]:
            steady.append(name)
        else:
            print(f"again alone: {name}: FAILED\n{result['text']}", file=sys.stderr, flush=True)
    return steady


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="for slow builds: no browsers and no other languages")
    parser.add_argument("--soak", action="store_true", help="the long loops only")
    parser.add_argument("--seams", action="store_true", help="through wires that slice and delay (fakes/seams.py)")
    parser.add_argument("-j", type=int, default=int(os.environ.get("E2E_JOBS", "3")))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if args.child:
        return run_module(args.names)
    environment = dict(os.environ)
    modules = sorted((p.stem for p in HERE.glob("test_*.py")), key=lambda m: (m not in SLOW, m))
    if args.quick:
        environment["E2E_PATIENCE"] = "5"
        modules = [m for m in modules if m not in SLOW]
    modules = [m for m in modules if m != "test_soak"]
    if args.soak:
        environment["E2E_SOAK"] = "1"
        modules = ["test_soak"]
    if args.seams:
        environment.update(E2E_SEAMS="1", E2E_PATIENCE="3")
        modules = [m for m in modules if m not in SLOW and not m.startswith("test_hostile")]
    names = args.names or modules
    totals = {"total": 0, "failed": 0, "skipped": 0, "unsteady": 0}
    failed_names = []
    with concurrent.futures.ThreadPoolExecutor(max(1, args.j)) as pool:
        futures = {pool.submit(start, [name], environment): name for name in names}
        for future in concurrent.futures.as_completed(futures):
            name, result = futures[future], future.result()
            skipped = result["skipped"]
            state = "FAILED" if result["failed"] else "ok"
            print(f"{name}: {state}, {result['total']} tests, {len(skipped)} skipped, {result['seconds']:.1f} s",
                  file=sys.stderr, flush=True)
            if result["failed"] or args.names:
                print(result["text"], file=sys.stderr)
            for test, reason in skipped:
                print(f"  skipped: {reason} ({test})", file=sys.stderr)
            totals["total"] += result["total"]
            totals["failed"] += result["failed"]
            totals["skipped"] += len(skipped)
            failed_names += result["names"]
    if not args.names and 0 < totals["failed"] == len(failed_names) <= MAX_UNSTEADY:
        unsteady = again(failed_names, environment)
        totals["unsteady"] = len(unsteady)
        totals["failed"] -= len(unsteady)
        failed_names = [name for name in failed_names if name not in unsteady]
        for name in unsteady:
            print(f"UNSTEADY: {name} failed beside others and passed alone", file=sys.stderr)
    if os.environ.get("CI") == "true" and totals["skipped"]:
        print(f"{totals['skipped']} tests were skipped, which CI does not accept", file=sys.stderr)
        totals["failed"] += totals["skipped"]
    for name in failed_names:
        print(f"FAILED: {name}", file=sys.stderr)
    print(f"e2e: {totals['total']} tests, {totals['failed']} failed, {totals['skipped']} skipped, "
          f"{totals['unsteady']} unsteady", file=sys.stderr)
    if os.environ.get("E2E_COUNTS"):
        pathlib.Path(os.environ["E2E_COUNTS"]).write_text(json.dumps(totals))
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
