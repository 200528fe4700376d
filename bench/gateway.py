#!/usr/bin/env python3
"""What `sluice gateway --listen … --upstream …` costs: calls through it against the same calls straight to the server behind it
(an echo server of the bench's own, over HTTP keep-alive), in turns of one run; decisions of one core; memory with many
sessions; a long list of tools. Counters, pins and audit are on, as they are by default.

Usage: ./dev bench gateway [--rounds N] [--seconds S] [--sessions N] [--write]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import loopback  # noqa: E402
import report  # noqa: E402
from peers import free_port, wait_for_port  # noqa: E402

LIMIT = {"limits": [{"counter": "calls", "window": "day", "max": 1_000_000_000}]}
POLICY = {"version": "1", "default": "deny", "tools": {"echo": LIMIT, "wait": LIMIT, "tool_*": {}}}
UNLIMITED = {**POLICY, "tools": {"echo": {}, "wait": {}, "tool_*": {}}}
DENY = {"conditions": [{"path": "args.text", "op": "contains", "value": "somebody says"}], "on_deny": "no"}
DENIAL = {**POLICY, "tools": {**POLICY["tools"], "echo": {**LIMIT, "deny_if": [DENY]}}}
CONNECTIONS = 8
RELAY = """
daemon off; master_process off; pid {root}/pid; events {{}}
http {{
  access_log off; keepalive_requests 1000000000;
  upstream server {{ server {server}; keepalive 32; keepalive_requests 1000000000; }}
  server {{
    listen {at};
    location / {{ proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


class Program:
    def __init__(self, *command):
        self.process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, name):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024 / 1e6
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


class Echo(Program):
    def __init__(self, args, tools=2):
        self.at = f"127.0.0.1:{free_port()}"
        super().__init__(args.load, "mcp-echo", "--server", self.at, "--tools", tools)
        wait_for_port(int(self.at.split(":")[1]), self.process)


class Gateway(Program):
    def __init__(self, args, echo, directory, policy=POLICY):
        home = pathlib.Path(tempfile.mkdtemp(dir=directory))
        (home / "policy.json").write_text(json.dumps(policy))
        self.at = f"127.0.0.1:{free_port()}"
        self.token = home / "token"
        super().__init__(args.sluice, "gateway", "--home", home, "--policy", home / "policy.json", "--name", "bench",
                         "--upstream", f"http://{echo.at}/mcp", "--listen", self.at)
        wait_for_port(int(self.at.split(":")[1]), self.process)


def command(args, peer, *more):
    token = ["--token", peer.token] if hasattr(peer, "token") else []
    return [str(part) for part in (args.load, "mcp", "--server", peer.at, *token, *more)]


def load(args, peer, *more):
    done = subprocess.run(command(args, peer, *more), capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{done.stderr}{done.stdout}")
    return json.loads(done.stdout)


class Relay(Program):
    """nginx, one worker: what comes goes on over a connection that is kept, and nobody looks at it."""

    def __init__(self, echo, directory):
        self.at = f"127.0.0.1:{free_port()}"
        root = pathlib.Path(tempfile.mkdtemp(dir=directory))
        (root / "nginx.conf").write_text(RELAY.format(root=root, at=self.at, server=echo.at))
        super().__init__("nginx", "-c", root / "nginx.conf", "-p", root, "-e", root / "error.log")
        wait_for_port(int(self.at.split(":")[1]), self.process)


class Rows:
    def __init__(self):
        self.lines = []

    def add(self, name, text, wanted=""):
        self.lines.append((name, text, wanted))
        print(f"{name}: {text}{f' ({wanted})' if wanted else ''}", file=sys.stderr, flush=True)

    def table(self):
        return "\n".join(["| What | measured | wanted |", "|---|--:|--:|", *(f"| {' | '.join(line)} |" for line in self.lines)])


def overhead(args, rows, directory):
    """p50 and p99 through the gateway less those of a direct call, medians of rounds in turns. And what of that is no work of a gate:
    of nginx, which relays the same octets; and without a limit, which is a transaction for each call."""
    pace = ("--connections", CONNECTIONS, "--rate", 1000, "--seconds", args.seconds)
    with Echo(args) as echo, Gateway(args, echo, directory) as gateway, Gateway(args, echo, directory, UNLIMITED) as unlimited, \
            Relay(echo, directory) as relay:
        peers = {"direct": echo, "gateway": gateway, "nginx": relay, "unlimited": unlimited}
        rounds = []
        for _ in range(args.rounds):
            taken = {}
            for name, peer in peers.items():
                before = peer.cpu()
                taken[name] = load(args, peer, *pace)
                taken[name]["cpu_us"] = (peer.cpu() - before) * 1e6 / taken[name]["requests"]
            rounds.append(taken)

    def more(name, share):
        return statistics.median(taken[name][share] - taken["direct"][share] for taken in rounds)

    for share, wanted in (("p50_us", "50"), ("p99_us", "500")):
        through, direct = (statistics.median(taken[name][share] for taken in rounds) for name in ("gateway", "direct"))
        rows.add(f"1,000 calls/s, {share[:3]}: more than a direct call", f"{more('gateway', share):.0f} µs ({through:.0f} and {direct:.0f})",
                 f"< {wanted} µs")
    cpu = {name: statistics.median(taken[name]["cpu_us"] for taken in rounds) for name in peers}
    rows.add("… the gateway's CPU", f"{cpu['gateway']:.0f} µs a call")
    rows.add("… the same without a limit on the tool, p50 and CPU", f"{more('unlimited', 'p50_us'):.0f} µs, {cpu['unlimited']:.0f} µs a call")
    rows.add("… nginx in its place, p50 and CPU", f"{more('nginx', 'p50_us'):.0f} µs, {cpu['nginx']:.0f} µs a call")


def decisions(args, rows, directory):
    """Calls for each second of the gateway's CPU time, which is one core's."""
    for name, policy, flags, wanted in (("calls denied, as one core decides them", DENIAL, ("--deny",), "20,000/s"),
                                        ("calls forwarded, as one core does them", POLICY, (), "")):
        with Echo(args) as echo, Gateway(args, echo, directory, policy) as gateway:
            load(args, gateway, "--connections", 1, "--seconds", 0.2, *flags)  # what is done once
            before = gateway.cpu()
            done = load(args, gateway, "--connections", 16, "--seconds", args.seconds, *flags)
            cpu = gateway.cpu() - before
        rows.add(name, f"{done['requests'] / cpu:,.0f}/s ({cpu * 1e6 / done['requests']:.0f} µs each; {done['rps']:,.0f}/s on the clock)", wanted)


def memory(args, rows, directory):
    with Echo(args) as echo, Gateway(args, echo, directory) as gateway:
        before = gateway.memory_mb("VmRSS")
        hold = subprocess.Popen(command(args, gateway, "--connections", args.sessions, "--tool", "wait", "--hold"),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if json.loads(hold.stdout.readline())["sessions"] != args.sessions:
            raise RuntimeError("not all sessions are open")
        rss, peak = gateway.memory_mb("VmRSS"), gateway.memory_mb("VmHWM")
        hold.communicate()
    rows.add(f"RSS with {args.sessions:,} legacy sessions, each with a stream and a call in flight",
             f"{rss:.1f} MB, at most {peak:.1f} ({(rss - before) * 1e3 / args.sessions:.1f} KB for each)", "< 50 MB")


def lists(args, rows, directory):
    with Echo(args, 1000) as echo:
        direct = load(args, echo, "--lists", 21)
        with Gateway(args, echo, directory) as gateway:
            first = load(args, gateway, "--lists", 21)
            second = load(args, gateway, "--lists", 21)
    rows.add(f"tools/list of 1,000 tools ({direct['octets'] / 1e6:.1f} MB), first", f"{first['first_us'] / 1000:.1f} ms", "< 25 ms")
    rows.add("… again, p50", f"{first['p50_us'] / 1000:.2f} ms", "< 1 ms")
    rows.add("… another session's first", f"{second['first_us'] / 1000:.1f} ms")
    rows.add("… straight from the server, p50", f"{direct['p50_us'] / 1000:.2f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    args = parser.parse_args()
    loopback.enter()
    files = loopback.raise_open_files(4 * args.sessions + 200)
    if files < 2 * args.sessions + 200:
        raise RuntimeError(f"{files} open files are too few for {args.sessions} sessions")
    rows = Rows()
    with tempfile.TemporaryDirectory(prefix="sluice-bench.", dir=os.environ.get("TMPDIR")) as directory:
        for part in (overhead, decisions, memory, lists):
            part(args, rows, directory)
    print(rows.table())
    if args.write:
        report.write("\n".join([report.header(f"{args.rounds} rounds of {args.seconds:.0f} s in turns, medians"), "", rows.table(), ""]),
                     "gateway")


if __name__ == "__main__":
    main()
