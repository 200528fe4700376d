"""The lanes of `./dev bench soak`: each does one kind of work through Sluice, again and again, on a thread of its own. What must
succeed is an error if it does not; what is broken on purpose is not."""
import contextlib
import http.client
import itertools
import json
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import rows  # noqa: E402
from fakes.origin import Origin  # noqa: E402
from fakes.raw import RawClient, context  # noqa: E402

ROUND = 4  # seconds that a driver runs before the next one starts on new connections


class World:
    """What all lanes share. `site` and `plain` are origins whose paths choose the answer (tests/fakes/origin.py)."""

    def __init__(self, sluice, files, echo, certificates):
        self.sluice, self.files, self.echo = sluice, files, echo
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates.leaf, certificates.leaf_key)
        self.site, self.plain = Origin(tls), Origin(None, "0.0.0.0")
        self.stop, self.open = threading.Event(), threading.Event()  # open: lanes may begin rounds

    def call(self, tool, **arguments):
        return self.sluice.call(tool, **arguments)

    def client(self):
        return RawClient("127.0.0.1", self.sluice.port)

    def tunnel(self, port=None, name="localhost", verify=True):
        client = self.client()
        answer = client.connect_through(f"{name}:{port or self.site.port}")
        if answer.status != 200:
            raise RuntimeError(f"CONNECT {name}: {answer.head!r}")
        return client.start_tls(name, context(self.sluice.client_ca, verify=verify))

    def close(self):
        self.site.close()
        self.plain.close()


class Lane(threading.Thread):
    """step() is one round; it returns within some seconds. `pause` seconds lie between rounds, and more after an error: what fails at
    once would be another load than that of the other rounds."""
    pause = 0.0
    after_error = 2.0

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.rounds, self.errors, self.first_error = world, 0, 0, ""
        self.resting = False

    def run(self):
        while not self.world.stop.is_set():
            self.resting = not self.world.open.is_set()
            if self.resting:
                self.world.stop.wait(0.05)
                continue
            pause = self.pause
            try:
                self.step()
                self.rounds += 1
            except Exception as error:  # whatever it is: it counts, and the lane goes on
                self.errors += 1
                self.first_error = self.first_error or f"{type(error).__name__}: {error}"
                pause = self.after_error
            self.world.stop.wait(pause)

    def step(self):
        raise NotImplementedError


class Driver(Lane):
    """The load driver of the other benchmarks. All answers must be whole."""
    arguments = ()
    command = ()

    def origin(self):
        return self.world.files.port

    def step(self):
        rows.driver(*self.command, "--proxy", f"127.0.0.1:{self.world.sluice.port}", "--server", f"127.0.0.1:{self.origin()}",
                    "--name", "localhost", "--ca", self.world.sluice.client_ca, *self.arguments, "--seconds", ROUND, seconds=ROUND)


class KeepAlive(Driver):
    arguments = ("--path", "/1k", "--size", rows.FILES["1k"], "--connections", 8, "--rate", 250)


class NewConnections(Driver):
    arguments = ("--path", "/1k", "--size", rows.FILES["1k"], "--connections", 4, "--rate", 20, "--fresh")


class LargeBodies(Driver):
    arguments = ("--path", "/10m", "--size", rows.FILES["10m"], "--connections", 2, "--rate", 1)


class WebSockets(Driver):
    command, arguments = ("websocket",), ("--size", 1024, "--connections", 8, "--window", 2, "--rate", 100)

    def origin(self):
        return self.world.echo.port


def h2load(world, *arguments):
    return ["h2load", "-c", "4", "-m", "10", "-t", "1", *arguments, f"--connect-to=127.0.0.1:{world.sluice.port}", "https://localhost/1k"]


class Http2(Lane):
    def step(self):
        done = subprocess.run(h2load(self.world, "-n", "400", "--rps=25"), capture_output=True, text=True, timeout=120)
        if "400 succeeded, 0 failed" not in done.stdout:
            raise RuntimeError(done.stdout[-300:] + done.stderr[-300:])


class Bodies(Lane):
    """Uploads, chunked and with a length, chunked answers with trailers, event streams, answers until the end."""
    pause = 0.3
    paths = ("/chunked", "/events", "/gzip", "/br", "/no-length", "/103", "/large?size=700000", "/204", "/odd")

    def __init__(self, world):
        super().__init__(world)
        self.path = itertools.cycle(self.paths)

    def step(self):
        with self.world.tunnel() as client:
            for size in (3, 90_000):
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"u" * size)
                client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
                if client.read_answer().body != b"u" * size:
                    raise RuntimeError("an echo is not what was sent")
            client.send(f"GET {next(self.path)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            while client.read_answer().status < 200:
                pass


class Resets(Lane):
    """Clients and servers that go away at every state, and what they leave behind."""
    pause = 0.2

    def __init__(self, world):
        super().__init__(world)
        self.kind = itertools.cycle([self.reset_in_body, self.end_in_head, self.leave_in_handshake, self.cut_upload, self.killed_h2,
                                     self.server_dies, self.server_cuts, self.nobody_listens, self.killed_websockets, self.garbage])

    def step(self):
        with contextlib.suppress(OSError, EOFError):
            next(self.kind)()

    def ask(self, path, head_only=True):
        client = self.world.tunnel()
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client, client.read_answer(head_only)

    def reset_in_body(self):
        client, _ = self.ask("/large?size=20000000")
        client.receive()
        client.reset()

    def end_in_head(self):
        with self.world.tunnel() as client:
            client.send(b"POST /echo HTTP/1.1\r\nHost: local")

    def leave_in_handshake(self):
        with self.world.client() as client:
            client.connect_through(f"localhost:{self.world.site.port}")
            client.send(b"\x16\x03\x01\x02\x00\x01")

    def cut_upload(self):
        client = self.world.tunnel()
        client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"u" * 300_000)
        client.reset()

    def killed_h2(self):
        self.kill_soon(h2load(self.world, "-n", "100000"))

    def killed_websockets(self):
        self.kill_soon([str(part) for part in (
            rows.LOAD, "websocket", "--proxy", f"127.0.0.1:{self.world.sluice.port}", "--server", f"127.0.0.1:{self.world.echo.port}",
            "--name", "localhost", "--ca", self.world.sluice.client_ca, "--size", 60_000, "--connections", 4, "--seconds", 60)])

    @staticmethod
    def kill_soon(command):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(0.2 + random.random() / 4)
            process.send_signal(signal.SIGKILL)

    def server_dies(self):
        self.ask("/die")[0].close()

    def server_cuts(self):
        self.ask("/cut", head_only=False)[0].close()
        self.ask("/cut-chunked", head_only=False)[0].close()

    def nobody_listens(self):
        with self.world.client() as client:
            client.send(b"GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n")
            client.read_answer()

    def garbage(self):
        with self.world.client() as client:
            client.send(bytes(random.getrandbits(8) for _ in range(400)))
            client.read_rest()


class Hosts(Lane):
    """Always another server: what is kept for each host must have a bound. And names that need another certificate each, so many
    that every worker keeps as many as it may before the soak begins to count."""
    pause = 0.05
    each_named = 2

    def __init__(self, world):
        super().__init__(world)
        self.number = itertools.count(1)

    def step(self):
        n = next(self.number)
        host = f"127.{n >> 16 & 63}.{n >> 8 & 255}.{n & 255}:{self.world.plain.port}"
        with self.world.client() as client:
            client.send(f"GET http://{host}/hello?n={n} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            if client.read_answer().status != 200:
                raise RuntimeError(f"no answer of {host}")
        if n % self.each_named == 0:
            with contextlib.suppress(OSError, EOFError):  # the server's certificate is none for this address
                with self.world.tunnel(name=host.partition(":")[0], verify=False) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    client.read_answer()


class Rules(Lane):
    """Rules come, are met, and go."""
    pause = 0.5
    handlers = (
        {"type": "mock", "status": 201, "body": "mocked"},
        {"type": "passthrough", "transformResponse": {"updateHeaders": {"X-Soak": "1"}, "matchReplaceBody": [["origin", "rule"]]}},
        {"type": "passthrough", "transformRequest": {"updateHeaders": {"X-Soak": "1"}}},
        {"type": "rewrite", "urlPattern": "/ruled", "replacement": "/hello"},
        {"type": "drop"},
    )

    def __init__(self, world):
        super().__init__(world)
        self.handler = itertools.cycle(self.handlers)

    def step(self):
        handler = next(self.handler)
        rule = self.world.call("proxy_add_rule", description="soak", handler=handler,
                               matcher={"hostname": "localhost", "urlPattern": "/(hello|ruled)\\?soak"})["rule"]
        try:
            with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError):  # drop
                with self.world.tunnel() as client:
                    for path in ("/hello?soak=1", "/ruled?soak=2"):
                        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                        client.read_answer()
        finally:
            self.world.call("proxy_remove_rule", rule_id=rule["id"])


class Recordings(Lane):
    """A recording is made, looked at, searched, exported and deleted."""
    pause = 2.0

    def __init__(self, world):
        super().__init__(world)
        self.profile = itertools.cycle(("preview", "full"))

    def step(self):
        session = self.world.call("proxy_session_start", session_name="soak", capture_profile=next(self.profile))["session"]["id"]
        try:
            self.world.stop.wait(3)
            self.world.call("proxy_query_session", session_id=session, limit=20, url_contains="soak")
        finally:
            self.world.call("proxy_session_stop")
        try:
            page = self.world.call("proxy_query_session", session_id=session, limit=5)
            for row in page["items"][:2]:
                self.world.call("proxy_get_session_exchange", session_id=session, exchange_id=row["exchangeId"])
            self.world.call("proxy_search_session_bodies", session_id=session, text="from the origin")
            self.world.call("proxy_export_har", session_id=session, url_contains="soak")
        finally:
            self.world.call("proxy_delete_session", session_id=session)


class Queries(Lane):
    """What agents ask, each call on a connection of its own."""
    pause = 0.25

    def __init__(self, world):
        super().__init__(world)
        self.turn = itertools.cycle([self.pages, self.search, self.exchange, self.export, self.patterns, self.status])

    def step(self):
        next(self.turn)()

    def pages(self):
        self.world.call("proxy_list_traffic", limit=50, offset=-50)
        self.world.call("get_traffic_summary", limit=20)

    def search(self):
        self.world.call("proxy_search_traffic", query="from the origin", limit=5)

    def exchange(self):
        for row in self.world.call("proxy_list_traffic", limit=3, offset=-3)["exchanges"]:
            self.world.call("proxy_get_exchange", exchange_id=row["id"],
                            include=["request_body", "response_body", "raw_head", "timings", "connection", "messages"])
            if row["protocol"] != "websocket":  # which has messages and no body
                self.world.call("proxy_decode_exchange", exchange_id=row["id"])

    def export(self):
        self.world.call("proxy_export_traffic", format="har", filter="~u hello", limit=8000)

    def patterns(self):
        self.world.call("get_api_patterns", domain="localhost")

    def status(self):
        self.world.call("proxy_status")
        self.world.call("proxy_list_tls_fingerprints")


class McpSessions(Lane):
    """Legacy sessions on a kept connection: ended in order, and simply left. What was left is kept for an hour, so the first round
    leaves as many as there may be: from then on each new one takes an old one's place."""
    pause = 3.0
    most = 1000  # McpLimits::max_sessions

    def step(self):
        if not self.rounds:
            for _ in range(self.most):
                self.session(leave=True)
        self.session(leave=self.rounds % 4 == 0)

    def session(self, leave):
        url = urllib.parse.urlsplit(self.world.sluice.ready["control"]["mcp"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                   "Authorization": "Bearer " + self.world.sluice.ready["token"]}

        def post(message, method="POST"):
            connection.request(method, url.path, json.dumps(message) if message else None, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 202, 204):
                raise RuntimeError(f"{method} {message and message['method']}: HTTP {answer.status}")
            return answer

        first = post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}})
        headers["Mcp-Session-Id"] = first.getheader("Mcp-Session-Id")
        post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        post({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        post({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "proxy_status", "arguments": {}}})
        if not leave:
            post(None, "DELETE")
        connection.close()


LANES = (KeepAlive, NewConnections, LargeBodies, WebSockets, Http2, Bodies, Resets, Hosts, Rules, Recordings, Queries, McpSessions)
