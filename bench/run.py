#!/usr/bin/env python3
"""Whole-system benchmark: Sluice with full-body capture, nginx (TLS to TLS, the practical limit), squid (ssl-bump) and
mitmdump do the same work in one run, in alternating rounds; medians count. What is compared is CPU time per request of
the whole peer (user and system, every process of it), not wall clock: peers, origin and driver share the machine.

Usage: ./dev bench [--quick] [--write] [--only ROW,...] [--peers NAME,...] [--rounds N]
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
# name, title, file, octets, connections, fresh, seconds a round, requests a second at most (0: as fast as it goes).
# Large bodies are held to 200 MB/s, which a plain disk can take in: the peer is measured, not the disk.
ROWS = [
    ("1k", "1 KB, keep-alive", "/1k", 1024, 32, False, 5, 0),
    ("new", "1 KB, new connection each", "/1k", 1024, 16, True, 5, 0),
    ("64k", "64 KB, keep-alive, at most 3,000/s", "/64k", 65536, 16, False, 5, 3000),
    ("10m", "10 MB, keep-alive, at most 20/s", "/10m", 10 * 1024 * 1024, 4, False, 6, 20),
]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def make_files(directory):
    directory.mkdir()
    block = bytes((i * 7 + i // 251) % 256 for i in range(65536))
    for _, _, path, size, *_ in ROWS:
        (directory / path[1:]).write_bytes((block * (size // len(block) + 1))[:size])
    for path in [directory, *directory.iterdir()]:
        path.chmod(0o755)


def run_load(load, peer, row, seconds):
    _, _, path, size, connections, fresh, _, rate = row
    command = [load, *peer.load_arguments(), "--name", "localhost", "--ca", str(peer.client_ca), "--path", path, "--size",
               str(size), "--connections", str(connections), "--seconds", str(seconds), "--rate", str(rate)]
    command += ["--fresh"] if fresh else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if not done.stdout.strip():
        raise RuntimeError(f"{peer.name}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    if result["errors"]:
        raise RuntimeError(f"{peer.name}: {result['errors']} errors: {result['first_error']}")
    return result


def measure(load, peer, row, seconds):
    before = peer.processes.cpu_seconds()
    result = run_load(load, peer, row, seconds)
    result["cpu_us"] = (peer.processes.cpu_seconds() - before) * 1e6 / max(result["requests"], 1)
    return result


def run_row(args, row, classes, work, certificates, origin):
    name, title, _, size, _, _, seconds, _ = row
    seconds = seconds / 4 if args.quick else seconds
    running, samples, notes = [], {}, {}
    try:
        for cls in classes:
            peer = cls(work / f"{name}-{cls.name}", certificates, origin.port)
            running.append(peer)
            peer.start()
            run_load(args.load, peer, row, 0.5)  # warm: certificates minted, connections pooled
        for _ in range(args.rounds):
            for peer in running:
                if peer.name in notes:
                    continue
                try:
                    samples.setdefault(peer.name, []).append(measure(args.load, peer, row, seconds))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    notes[peer.name] = str(error)
        out = {}
        for peer in running:
            taken = samples.get(peer.name, [])
            if taken and peer.name not in notes:
                complaint = peer.complaint(sum(s["requests"] for s in taken), size)
                if complaint:
                    notes[peer.name] = complaint
            if peer.name in notes or not taken:
                print(f"{title}: {peer.name} does not count: {notes.get(peer.name)}", file=sys.stderr)
                out[peer.name] = {"note": notes.get(peer.name, "nothing measured")}
                continue
            median = {key: statistics.median(s[key] for s in taken) for key in ("cpu_us", "rps", "p50_us", "p99_us")}
            out[peer.name] = median | {"rss_mib": peer.processes.peak_kib() / 1024,
                                       "requests": sum(s["requests"] for s in taken)}
        return out
    finally:
        for peer in running:
            peer.stop()


def number(value, digits=3):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, digits - len(str(int(value))))}f}"


def ratio(value, reference):
    if not reference or "cpu_us" not in reference:
        return ""
    return f"{value / reference['cpu_us']:.2f}" if value / reference["cpu_us"] >= 0.1 else f"{value / reference['cpu_us']:.3f}"


def table(results):
    lines = ["| Work | Peer | CPU-µs per request | × nginx | × mitmdump | requests/s | p50 ms | p99 ms | peak RSS MiB |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for row in ROWS:
        for name, r in results.get(row[0], {}).items():
            if "note" in r:
                lines.append(f"| {row[1]} | {name} | does not count: {r['note'].splitlines()[0]} | | | | | | |")
                continue
            lines.append(f"| {row[1]} | {name} | {number(r['cpu_us'])} | {ratio(r['cpu_us'], results[row[0]].get('nginx'))} | "
                         f"{ratio(r['cpu_us'], results[row[0]].get('mitmdump'))} | {number(r['rps'])} | "
                         f"{number(r['p50_us'] / 1000)} | {number(r['p99_us'] / 1000)} | {number(r['rss_mib'])} |")
    return "\n".join(lines)


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), "?")
    except OSError:
        return "missing"


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    memory = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
                  if line.startswith("MemTotal"))
    system = next((line.split("=", 1)[1].strip('"') for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                   if line.startswith("PRETTY_NAME")), "")
    return f"{os.cpu_count()} × {model}, {memory // 1024 // 1024} GiB, {system}, Linux {platform.release().split('-')[0]}"


def report(args, results):
    commit = version(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    programs = [version(["/usr/sbin/nginx", "-v"]), version(["/usr/sbin/squid", "-v"]),
                version(["mitmdump", "--version"]), version(["openssl", "version"])]
    return "\n".join([
        f"Measured {datetime.date.today().isoformat()} at {commit} on {machine()}; {'; '.join(programs)}; "
        f"{args.rounds} alternating rounds, medians.", "", table(results), ""])


def write(text):
    path = ROOT / "docs" / "benchmarks.md"
    page = path.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
    print(f"written: {path.relative_to(ROOT)}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", default=str(ROOT / "build/release/sluice"))
    parser.add_argument("--load", default=str(ROOT / "build/bench/sluice_load"))
    parser.add_argument("--quick", action="store_true", help="one short round: does it work, roughly how fast")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", help="rows: " + ",".join(r[0] for r in ROWS))
    parser.add_argument("--peers", default="nginx,sluice,squid,mitmdump")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.load, peers.Sluice.program = os.path.abspath(args.load), os.path.abspath(args.sluice)
    wanted = args.peers.split(",")
    known = {cls.name: cls for cls in (peers.Nginx, peers.Sluice, peers.Squid, peers.Mitmdump)}
    classes = [known[name] for name in wanted]
    for cls in list(classes):
        if not cls(pathlib.Path("/"), type("C", (), {"ca": None})(), 0).available():
            print(f"skipped: {cls.name} is not here", file=sys.stderr)
            classes.remove(cls)
    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench."))
    work.chmod(0o755)
    origin = None
    results = {}
    try:
        certificates = peers.Certificates(work)
        make_files(work / "files")
        origin = peers.Origin(work / "origin", certificates, work / "files")
        origin.start()
        for row in ROWS:
            if args.only and row[0] not in args.only.split(","):
                continue
            print(f"{row[1]} …", file=sys.stderr, flush=True)
            results[row[0]] = run_row(args, row, classes, work, certificates, origin)
    finally:
        if origin:
            origin.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(results, indent=1) if args.json else report(args, results))
    if args.write:
        write(report(args, results))
    return 1 if any("note" in r for row in results.values() for r in row.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
