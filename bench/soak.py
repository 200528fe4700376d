#!/usr/bin/env python3
"""Mixed traffic (soak_lanes.py) through one `sluice serve` for three quarters of an hour, and whether its memory, descriptors or threads
grow in the last half hour. Each minute all work rests until nothing is under way: what is there then depends on what was done, and
not on how busy the machine just was. What counts is the slope of these samples after the warm-up (slope.py), with its interval, never
a number alone.
Exits with 1 where something grows or a kind of work failed, with 2 where the samples do not tell.

Usage: ./dev bench soak [MINUTES] [--write] [--samples FILE] [--only LANE,...]
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import loopback  # noqa: E402
import peers  # noqa: E402
import protocol_peers  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import slope  # noqa: E402
import soak_lanes  # noqa: E402

# Seconds in turns. Pooled connections end up to 5 s into a rest, and 3 quiet seconds later what was freed goes back (base/memory.h).
WORK, REST = 46, 14
# Of the time, and minutes, in which pools, caches, the ring and the allocator's arenas fill, and what lives for minutes comes to lie
# among what comes and goes.
WARM, WARM_LEAST = 1 / 3, 4
# Reached within the warm-up, so that what is kept of traffic is as much at its end as afterwards; pooled connections end within a rest.
FLAGS = ("--ring-exchanges", "5000", "--spool-mb", "192", "--workers", "2", "--toolset", "all", "--timeout", "upstream-idle=4")
# Per minute, and what is called a slope at all: 64 KB a minute are 90 MB a day. Of everything that could lose a descriptor, each kind of
# work is done more often than once a minute; what varies are files of the spool.
MEASURES = (("memory", "KB", "rss_kb", 64), ("… of it the program's own", "KB", "anon_kb", 64), ("descriptors", "", "fds", 1),
            ("threads", "", "threads", 0.05))


class Soaked(peers.Sluice):
    """One serve for all of it, with a ring that is soon full."""

    def command(self):
        command = super().command()
        return command[:command.index("--workers")] + list(FLAGS)


def sample(peer, began):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{peer.process.pid}/status").read_text().splitlines())
    exchanges = peer.call("proxy_status")["capture"]["exchanges"]
    return {"minutes": (time.monotonic() - began) / 60, "rss_kb": int(status["VmRSS"].split()[0]),
            "anon_kb": int(status["RssAnon"].split()[0]), "threads": int(status["Threads"]),
            "fds": len(os.listdir(f"/proc/{peer.process.pid}/fd")), "exchanges": exchanges}


def at_rest(world, lanes, began):
    """A sample once nobody asks anything; the median of each figure within the last seconds."""
    world.open.clear()
    end = time.monotonic() + 90
    while not all(lane.resting for lane in lanes):
        if time.monotonic() > end:
            raise RuntimeError(f"does not come to rest: {', '.join(type(lane).__name__ for lane in lanes if not lane.resting)}")
        time.sleep(0.1)
    time.sleep(REST - 3)
    taken = []
    for _ in range(3):
        taken.append(sample(world.sluice, began))
        time.sleep(1)
    for origin in (world.site, world.plain):
        origin.requests.clear()
    return {key: statistics.median(one[key] for one in taken) for key in taken[0]}


def soak(args, world, samples):
    """Fills `samples` with those at rest; the highest memory that was seen, and the lanes."""
    lanes = [kind(world) for kind in args.only]
    for lane in lanes:
        lane.start()
    began, peak = time.monotonic(), 0
    with open(args.samples, "w") as out:
        while time.monotonic() < began + args.minutes * 60:
            world.open.set()
            end = time.monotonic() + WORK
            while time.monotonic() < end:
                if world.sluice.process.poll() is not None:
                    raise RuntimeError(f"serve ended with {world.sluice.process.returncode}")
                peak = max(peak, sample(world.sluice, began)["rss_kb"])
                time.sleep(2)
            samples.append(at_rest(world, lanes, began))
            out.write(json.dumps(samples[-1]) + "\n")
            out.flush()
    world.stop.set()
    for lane in lanes:
        lane.join(60)
    return peak, lanes


def chosen(names):
    """--only: Hosts,Rules and so on, to find the lane to which something belongs."""
    kinds = {kind.__name__.lower(): kind for kind in soak_lanes.LANES}
    try:
        return [kinds[name.strip().lower()] for name in names.split(",")]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"no lane {error}; there are {', '.join(kind.__name__ for kind in soak_lanes.LANES)}") from None


def interval(found, digits=1):
    return f"{found.value:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def warm_at(minutes):
    return max(minutes * WARM, WARM_LEAST)


def judge(samples, minutes):
    """Rows of the table, and the worst verdict."""
    warm = [s for s in samples if s["minutes"] >= warm_at(minutes)]
    verdicts, lines = set(), []
    for title, unit, key, tolerated in MEASURES:
        by_time = slope.slope([(s["minutes"], s[key]) for s in warm])
        by_work = slope.slope([(s["exchanges"] / 1000, s[key]) for s in warm])
        said = slope.verdict(by_time, tolerated)
        verdicts.add(said)
        per = f" {unit}" if unit else ""
        lines.append(f"| {title} | {warm[0][key]:,.0f}{per} | {warm[-1][key]:,.0f}{per} | {interval(by_time)}{per} | "
                     f"{interval(by_work, 3)}{per} | {tolerated}{per} | {said} |")
    worst = next((one for one in ("grows", "unclear") if one in verdicts), "flat")
    return lines, worst


def table(args, samples, lines, peak, lanes):
    done = ", ".join(f"{type(lane).__name__} {lane.rounds:,}" + (f" ({lane.errors} failed)" if lane.errors else "") for lane in lanes)
    warm = f"{args.minutes:g} minutes, the first {warm_at(args.minutes):.0f} to get warm"
    return "\n".join([
        report.header(f"{warm}; {samples[-1]['exchanges']:,.0f} exchanges; at most {peak / 1024:.0f} MiB while it worked"), "",
        "| At rest | warm | at the end | slope a minute (95 %) | … per 1,000 exchanges | tolerated a minute | |",
        "|---|--:|--:|--:|--:|--:|---|", *lines, "", f"Rounds: {done}.", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=45)
    parser.add_argument("--sluice", default=str(report.ROOT / "build/release/sluice"))
    parser.add_argument("--load", default=str(report.ROOT / "build/bench/sluice_load"))
    parser.add_argument("--samples", default=str(report.ROOT / "build/soak.jsonl"), help="every sample, a line of JSON each")
    parser.add_argument("--only", metavar="LANE,...", type=chosen, default=list(soak_lanes.LANES), help="these kinds of work alone")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    args = parser.parse_args()
    if args.minutes < 2 * WARM_LEAST:
        parser.error(f"fewer than {2 * WARM_LEAST} minutes say nothing")
    rows.LOAD, peers.Sluice.program = os.path.abspath(args.load), os.path.abspath(args.sluice)
    protocol_peers.Echo.program = rows.LOAD
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that what was started ends, too
    if not loopback.enter():
        raise RuntimeError("bare TLS for HTTP/2 needs port 443, and no network of its own can be had here")
    loopback.raise_open_files(8192)
    work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-soak."))
    work.chmod(0o755)
    samples, running, world, origins = [], None, None, None
    try:
        certificates = peers.Certificates(work)
        origins = rows.Origins(work, certificates)
        files, echo = origins.get("http2"), origins.get("echo")
        running = Soaked(work / "sluice", certificates, files.port)
        running.start()
        world = soak_lanes.World(running, files, echo, certificates)
        peak, lanes = soak(args, world, samples)
    finally:
        if world:
            world.stop.set()
            world.close()
        if running:
            running.stop()
        if origins:
            origins.stop()
        shutil.rmtree(work, ignore_errors=True)
    lines, said = judge(samples, args.minutes)
    text = table(args, samples, lines, peak, lanes)
    print(text)
    if args.write:
        report.write(text, "soak")
    broken = [lane for lane in lanes if lane.errors or not lane.rounds]
    for lane in broken:
        print(f"{type(lane).__name__}: {lane.rounds} rounds, {lane.errors} failed: {lane.first_error}", file=sys.stderr)
    print(f"soak: {said}", file=sys.stderr)
    return 1 if broken or said == "grows" else 2 if said == "unclear" else 0


if __name__ == "__main__":
    sys.exit(main())
