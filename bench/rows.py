"""The rows of `./dev bench`: which work, by which peers, from which origin, and what must hold for a row to count."""
import json
import re
import resource
import subprocess

import peers
import protocol_peers

LOAD = ""  # bench/load.cc, built


def driver(*arguments, seconds):
    """What the load driver prints."""
    done = subprocess.run([LOAD, *map(str, arguments)], capture_output=True, text=True, timeout=seconds + 90)
    if not done.stdout.strip():
        raise RuntimeError(done.stderr.strip())
    return checked(json.loads(done.stdout))


def checked(result):
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} errors: {result['first_error']}")
    return result


class Row:
    classes = ()     # the peers, in the order of the table
    limit = "nginx"  # whom the others are compared with
    origin = "http"  # which of Origins

    def __init__(self, name, title, size, seconds):
        self.name, self.title, self.size, self.seconds = name, title, size, seconds

    def load(self, peer, seconds):
        raise NotImplementedError

    def complaint(self, peer, taken):
        """Why what was measured of this peer does not count, or None."""
        return None


class HttpRow(Row):
    """GETs over HTTP/1.1. Large bodies are held to 200 MB/s, which a plain disk can take in: the peer is measured, not
    the disk."""
    classes = (peers.Nginx, peers.Sluice, peers.Squid, peers.Mitmdump)

    def __init__(self, name, title, size, seconds, path, connections, fresh=False, rate=0):
        super().__init__(name, title, size, seconds)
        self.path, self.connections, self.fresh, self.rate = path, connections, fresh, rate

    def load(self, peer, seconds):
        return driver(*peer.load_arguments(), "--name", "localhost", "--ca", peer.client_ca, "--path", self.path,
                      "--size", self.size, "--connections", self.connections, "--seconds", seconds, "--rate", self.rate,
                      *(["--fresh"] if self.fresh else []), seconds=seconds)

    def complaint(self, peer, taken):
        return peer.complaint(sum(sample["requests"] for sample in taken), self.size)


class RulesRow(HttpRow):
    """The same beside ten thousand exact hosts, and beside as many URL patterns (engine.md 6: 1 and 15 us more)."""
    classes = (peers.Sluice, peers.SluiceWithHosts, peers.SluiceWithUrls)
    limit = "sluice"


class RecordingRow(HttpRow):
    """The same into the ring alone, and recorded, too: at most 15 % more CPU time. What seals recordings runs afterwards."""
    classes = (peers.Sluice, peers.SluiceRecording)
    limit = "sluice"


class WorkersRow(HttpRow):
    """One worker and two. Where driver and origin need the same cores throughput says little; CPU time per request says what
    workers cost each other."""
    classes = (peers.Sluice, peers.SluiceWithTwoWorkers)
    limit = "sluice"


class LatencyRow(HttpRow):
    """A thousand requests a second, far from any limit: what a peer adds to a direct request's time."""
    classes = (peers.Direct, peers.Nginx, peers.Sluice)
    limit = "direct"


class ToolsRow(HttpRow):
    """Calls of a tool while the proxy is as busy as the driver can make it. The times are the calls'."""
    classes = (peers.Sluice,)
    limit = "sluice"
    calls = 100  # a second

    def load(self, peer, seconds):
        busy = [LOAD, *peer.load_arguments(), "--name", "localhost", "--ca", peer.client_ca, "--path", self.path, "--size",
                self.size, "--connections", self.connections, "--seconds", seconds + 1]
        control = peer.ready["control"]["mcp"].split("/")[2]
        before = len(peer.latencies_us())
        with subprocess.Popen(list(map(str, busy)), stdout=subprocess.PIPE, text=True) as load:
            called = driver("mcp", "--server", control, "--token", peer.directory / "home" / "token", "--connections", 4,
                            "--rate", self.calls, "--seconds", seconds, "--tool", "proxy_list_traffic", "--arguments",
                            '{"limit":20}', seconds=seconds)
            result = checked(json.loads(load.communicate(timeout=seconds + 90)[0]))
        inside = sorted(peer.latencies_us()[before:])
        return result | {key: called[key] for key in ("p50_us", "p99_us")} | {"inside_us": inside[len(inside) * 99 // 100]}


class Http2Row(Row):
    """GETs by h2load, which knows no CONNECT: Sluice gets bare TLS and goes where its server name says."""
    classes = (protocol_peers.Nghttpx, protocol_peers.Http2Nginx, peers.Sluice)
    limit, origin = "nghttpx", "http2"

    def __init__(self, name, title, size, seconds, path, connections, streams):
        super().__init__(name, title, size, seconds)
        self.path, self.connections, self.streams = path, connections, streams
        self.rates = {}  # of each peer in its last run: a number of requests is asked for, so that none is cut off

    def load(self, peer, seconds):
        requests = max(1000, int(self.rates.get(peer.name, 10_000) * seconds))
        log = peer.directory / "h2load.log"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            ["h2load", "-n", str(requests), "-c", str(self.connections), "-m", str(self.streams), "-t", "1",
             f"--log-file={log}", f"--connect-to=127.0.0.1:{peer.port}", f"https://localhost{self.path}"],
            capture_output=True, text=True, timeout=seconds * 20 + 60)
        result = self.read(done.stdout, requests)
        self.rates[peer.name] = result["rps"]
        taken = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
        return result | {"p50_us": taken[len(taken) // 2], "p99_us": taken[len(taken) * 99 // 100]}

    def read(self, text, requests):
        rate = re.search(r"([\d.]+) req/s", text)
        good = re.search(r"(\d+) succeeded, (\d+) failed", text)
        octets = re.search(r"\((\d+)\) data", text)
        if "Application protocol: h2" not in text or not (rate and good and octets):
            raise RuntimeError(f"h2load says: {text[-500:]}")
        if int(good[1]) != requests or int(octets[1]) != requests * self.size:
            raise RuntimeError(f"{good[1]} of {requests} requests succeeded, with {octets[1]} octets")
        return {"requests": requests, "rps": float(rate[1])}

    complaint = HttpRow.complaint


class EchoRow(Row):
    """WebSocket messages there and back; what is counted is an echo."""
    classes = (protocol_peers.Relay, peers.Sluice)
    limit, origin = "relay", "echo"

    def __init__(self, name, title, size, seconds, connections, window, rate=0):
        super().__init__(name, title, size, seconds)
        self.connections, self.window, self.rate = connections, window, rate

    def load(self, peer, seconds):
        return driver("websocket", *peer.load_arguments(), "--name", "localhost", "--ca", peer.client_ca, "--size",
                      self.size, "--connections", self.connections, "--window", self.window, "--seconds", seconds,
                      "--rate", self.rate, seconds=seconds)

    def complaint(self, peer, taken):
        # Both ways, and a Close both ways.
        return peer.complaint_of_sockets(self.connections, 2 * (taken[-1]["requests"] + self.connections), self.size)


class IdleRow(Row):
    """WebSockets that are open and silent after one message: memory, not time."""
    classes = (protocol_peers.Relay, peers.Sluice)
    limit, origin, size = "relay", "echo", 64
    wanted, spare = 10_000, 64  # spare: what a proxy has open besides

    def __init__(self, name, title):
        super().__init__(name, title, self.size, 0)

    def sockets(self, quick):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return min(self.wanted // 10 if quick else self.wanted, (limit - self.spare) // 2)

    def measure(self, peer, quick):
        count = self.sockets(quick)
        before = peer.processes.memory_kib("VmRSS")
        command = [LOAD, "websocket", *peer.load_arguments(), "--name", "localhost", "--ca", peer.client_ca, "--size",
                   self.size, "--connections", count, "--seconds", 120, "--hold"]
        with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as load:
            try:
                line = load.stdout.readline()
                if not line:
                    raise RuntimeError(load.stderr.read().strip())
                checked(json.loads(line))
                now, peak = peer.processes.memory_kib("VmRSS"), peer.processes.memory_kib("VmHWM")
                complaint = peer.complaint_of_idle(count)
                if complaint:
                    raise RuntimeError(complaint)
                load.stdin.close()
                checked(json.loads(load.stdout.readline()))
                load.wait(30)
            finally:
                load.kill()
        return {"sockets": count, "rss_mib": peak / 1024, "kib_each": (now - before) / count}


class Origins:
    """Started when a row first wants them; they live until the end of the run."""

    def __init__(self, work, certificates):
        self.work, self.certificates, self.running = work, certificates, {}

    def get(self, kind):
        if kind not in self.running:
            self.running[kind] = origin = self.make(kind)
            origin.start()
        return self.running[kind]

    def make(self, kind):
        directory = self.work / f"origin-{kind}"
        if kind == "echo":
            return protocol_peers.Echo(directory, self.certificates)
        cls = protocol_peers.Http2Origin if kind == "http2" else peers.Origin
        return cls(directory, self.certificates, make_files(self.work / "files"))

    def stop(self):
        for origin in self.running.values():
            origin.stop()


FILES = {"1k": 1024, "64k": 65536, "10m": 10 * 1024 * 1024}


def make_files(directory):
    if directory.exists():
        return directory
    directory.mkdir()
    block = bytes((i * 7 + i // 251) % 256 for i in range(65536))
    for name, size in FILES.items():
        (directory / name).write_bytes((block * (size // len(block) + 1))[:size])
    for path in [directory, *directory.iterdir()]:
        path.chmod(0o755)
    return directory


ROWS = [
    HttpRow("1k", "1 KB, keep-alive", FILES["1k"], 5, "/1k", 32),
    HttpRow("new", "1 KB, new connection each", FILES["1k"], 5, "/1k", 16, fresh=True),
    RulesRow("rules", "1 KB, keep-alive, beside 10,000 rules", FILES["1k"], 5, "/1k", 32),
    RecordingRow("recording", "1 KB, keep-alive, at most 8,000/s, recorded", FILES["1k"], 5, "/1k", 32, rate=8000),
    WorkersRow("workers", "1 KB, keep-alive, one worker and two", FILES["1k"], 5, "/1k", 32),
    LatencyRow("latency", "1 KB, keep-alive, 1,000/s", FILES["1k"], 5, "/1k", 8, rate=1000),
    ToolsRow("tools", "proxy_list_traffic, 100/s, beside 1 KB as fast as it goes", FILES["1k"], 5, "/1k", 32),
    HttpRow("64k", "64 KB, keep-alive, at most 3,000/s", FILES["64k"], 5, "/64k", 16, rate=3000),
    HttpRow("10m", "10 MB, keep-alive, at most 20/s", FILES["10m"], 6, "/10m", 4, rate=20),
    Http2Row("h2", "HTTP/2, 1 KB, 8 connections of 10 streams", FILES["1k"], 5, "/1k", 8, 10),
    EchoRow("ws64", "WebSocket echo, 64 B, 16 sockets with 4 on their way, at most 40,000/s", 64, 5, 16, 4, rate=40_000),
    EchoRow("ws64k", "WebSocket echo, 64 KB, 8 sockets with 4 on their way, at most 1,500/s", 65536, 5, 8, 4, rate=1500),
    IdleRow("idle", "idle WebSockets"),
]
