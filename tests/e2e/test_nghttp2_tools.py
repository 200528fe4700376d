"""The programs of the nghttp2 project on both sides: nghttp and h2load as clients, nghttpd and nghttpx as origins.

They know of no proxy, so a ConnectPipe leads them in, or (in a namespace of its own) TLS straight at Sluice's port.
"""
import contextlib
import json
import os
import re
import socket
import subprocess
import unittest

import namespaces
from harness import E2E, Serve, free_port, needs, poll, run  # first: it knows where the fakes are
from fakes.pipe import ConnectPipe

CLIENT, SERVER, PROXY = "nghttp2-client", "nghttp2-server", "nghttp2-proxy"


def listens(port, host="127.0.0.1"):
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


class Program:
    """A server in the foreground; what it says goes to a file."""

    def __init__(self, log, *command, port, prefix=()):
        self.path = log
        with open(log, "wb") as sink:
            self.process = subprocess.Popen([*prefix, *map(str, command)], stdin=subprocess.DEVNULL, stdout=sink,
                                            stderr=sink)
        self.port = port

    def said(self):
        return self.path.read_text(errors="replace")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ToolsTest(E2E):
    def setUp(self):
        super().setUp()
        for program, package in (("nghttp", CLIENT), ("h2load", CLIENT), ("nghttpd", SERVER), ("nghttpx", PROXY)):
            needs(program, package)
        self.documents = self.directory / "documents"
        self.documents.mkdir(exist_ok=True)
        (self.documents / "hello").write_text("hello\n")
        (self.documents / "large").write_bytes(b"large " * 50_000)
        self.serve.call("proxy_clear_traffic")

    def start(self, name, *command, port):
        program = Program(self.directory / f"{self.id().rsplit('.', 1)[1]}-{name}.log", name, *command, port=port)
        self.addCleanup(program.close)
        poll(lambda: listens(port), 10, f"{name} at its port")
        return program

    def nghttpd(self, *options, tls=True, echo=True):
        """An HTTP/2 origin that says every frame that it sends and receives."""
        port = free_port()
        if echo:
            options = ("--echo-upload", *options)
        if tls:
            certificate, key = self.fakes.leaf("localhost")
            options = (*options, port, key, certificate)
        else:
            options = (*options, "--no-tls", port)
        return self.start("nghttpd", "--address=127.0.0.1", "--verbose", f"--htdocs={self.documents}", *options,
                          port=port)

    def pipe(self, origin):
        pipe = ConnectPipe(self.serve.proxy_port, f"localhost:{origin.port}")
        self.addCleanup(pipe.close)
        return pipe

    def nghttp(self, origin, *options, paths=("/hello",), tls=True, check=0):
        """What it says, with each frame, of requests to an origin behind the proxy."""
        base = f"http{'s' if tls else ''}://localhost:{self.pipe(origin).port}"
        return run("nghttp", "--verbose", "--no-verify-peer", *options, *[base + path for path in paths], check=check).stdout

    def record(self, path, **query):
        return self.serve.exchange(path, include=["connection", "raw_head"], **query)


def fields(log, stream):
    """The fields that a verbose program received on a stream."""
    return re.findall(rf"recv \(stream_id={stream}\) (:?[^:\s]+): (.*)", log)


class Nghttp(ToolsTest):
    def test_requests_share_a_connection_on_both_sides(self):
        origin = self.nghttpd()
        said = self.nghttp(origin, paths=("/hello?1", "/hello?2", "/missing"))
        self.assertEqual(re.findall(r":status: (\d+)", said), ["200", "200", "404"])
        self.assertEqual(said.count("\nhello\n"), 2)
        self.assertEqual(origin.said().count("The negotiated protocol: h2"), 1)
        exchange = self.record("/hello?2")
        self.assertEqual((exchange["protocol"], exchange["state"], exchange["response"]["bodySize"]), ("h2", "done", 6))
        connection = exchange["connection"]
        self.assertEqual((connection["client"]["tls"]["alpn"], connection["upstream"]["tls"]["alpn"]), ("h2", "h2"))
        # SETTINGS, window, priorities and the order of pseudo-header fields, as nghttp says them.
        self.assertRegex(connection["client"]["http2"]["text"], r"^3:100;4:65535\|00\|3:0:0:201,.*\|m,p,s,a$")

    def test_trailers_pass_both_ways(self):
        origin = self.nghttpd("--trailer", "x-from-origin: behind the answer")
        said = self.nghttp(origin, f"--data={self.documents / 'large'}", "--trailer", "x-from-client: behind the question",
                           paths=("/echo",))
        self.assertRegex(said, r"recv \(stream_id=13\) x-from-origin: behind the answer")
        self.assertRegex(origin.said(), r"recv \(stream_id=1\) x-from-client: behind the question")
        exchange = self.record("/echo")
        self.assertEqual(exchange["request"]["rawHead"]["trailers"],
                         [{"name": "x-from-client", "value": "behind the question"}])
        self.assertEqual(exchange["response"]["rawHead"]["trailers"],
                         [{"name": "x-from-origin", "value": "behind the answer"}])
        self.assertEqual((exchange["request"]["bodySize"], exchange["response"]["bodySize"]), (300_000, 300_000))

    def test_padding_is_taken_off(self):
        origin = self.nghttpd("--padding=200")
        said = self.nghttp(origin, "--padding=100", f"--data={self.documents / 'large'}", paths=("/padded",))
        self.assertIn("(padlen=100)", said)
        self.assertEqual(re.findall(r":status: (\d+)", said), ["200"])
        self.assertRegex(origin.said(), r"send DATA frame .*\n.*PADDED")
        exchange = self.record("/padded")
        self.assertEqual((exchange["request"]["bodySize"], exchange["response"]["bodySize"]), (300_000, 300_000))

    def test_heads_of_many_frames_pass(self):
        """CONTINUATION (RFC 9113 §6.10): six fields of 4 KB each."""
        origin = self.nghttpd()
        self.nghttp(origin, "--continuation", paths=("/hello?continued",))
        came = dict(fields(origin.said(), 1))
        self.assertEqual([len(came[f"continuation-test-{i}"]) for i in range(1, 7)], [4096] * 6)
        sent = [f["name"] for f in self.record("/hello?continued")["request"]["rawHead"]["headers"]]
        self.assertEqual([name for name in sent if name.startswith("cont")], [f"continuation-test-{i}" for i in range(1, 7)])

    def test_weights_pass_and_dependencies_do_not(self):
        origin = self.nghttpd()
        self.nghttp(origin, "--weight=220", "--weight=3", paths=("/hello?heavy", "/hello?light"))
        heads = re.findall(r"recv HEADERS frame <length=\d+, flags=0x25.*\n.*END_STREAM.*\n\s*"
                           r"\(padlen=0, dep_stream_id=(\d+), weight=(\d+), exclusive=(\d)\)", origin.said())
        self.assertEqual(heads, [("0", "220", "0"), ("0", "3", "0")])

    def test_fields_stay_in_their_order(self):
        origin = self.nghttpd()
        self.nghttp(origin, "-H", "x-b: 1", "-H", "x-a: 2", "-H", "x-b: 3", "-H", ":method: DELETE",
                    paths=("/hello?order",))
        came = fields(origin.said(), 1)
        self.assertIn((":method", "DELETE"), came)
        self.assertEqual([field for field in came if field[0].startswith("x-")], [("x-b", "1"), ("x-a", "2"), ("x-b", "3")])

    def test_nothing_is_pushed(self):
        origin = self.nghttpd("--push=/hello=/large")
        said = self.nghttp(origin)
        self.assertIn("[SETTINGS_ENABLE_PUSH(0x02):0]", origin.said())
        self.assertEqual((origin.said() + said).count("PUSH_PROMISE"), 0)

    def test_an_answer_before_the_request_has_ended(self):
        origin = self.nghttpd("--early-response", echo=False)
        said = self.nghttp(origin, f"--data={self.documents / 'large'}", paths=("/missing",))
        self.assertEqual(re.findall(r":status: (\d+)", said), ["404"])

    def test_a_client_that_expects_100_continue(self):
        origin = self.nghttpd()
        said = self.nghttp(origin, "--expect-continue", f"--data={self.documents / 'hello'}", paths=("/expected",))
        self.assertEqual(re.findall(r":status: (\d+)", said)[-1], "200")
        self.assertEqual(self.record("/expected")["request"]["bodySize"], 6)

    def test_small_tables_and_windows(self):
        origin = self.nghttpd("--header-table-size=0", "--window-bits=10", "--connection-window-bits=16")
        said = self.nghttp(origin, "--header-table-size=0", "--window-bits=8", "--connection-window-bits=16",
                           "--null-out", f"--data={self.documents / 'large'}", paths=("/echo?windows",))
        self.assertEqual(re.findall(r":status: (\d+)", said), ["200"])
        self.assertEqual(self.record("/echo?windows")["response"]["bodySize"], 300_000)


class H2load(ToolsTest):
    def h2load(self, origin, *options, path="/hello"):
        """The answers that came, by class, and how many failed."""
        pipe = self.pipe(origin)
        said = run("h2load", f"--connect-to=127.0.0.1:{pipe.port}", *options, f"https://localhost:{origin.port}{path}",
                   seconds=60, check=0).stdout
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", said)
        return [int(n) for n in codes.groups()], [int(n) for n in failed.groups()]

    def count(self, path, wanted):
        """All of them are in the record."""
        return poll(lambda: self.serve.call("proxy_search_traffic", query=path, limit=1)["total"] == wanted and wanted,
                    10, f"{wanted} records")

    def test_many_streams_on_several_connections(self):
        origin = self.nghttpd()
        self.assertEqual(self.h2load(origin, "-n3000", "-c6", "-m100", path="/hello?load"),
                         ([3000, 0, 0, 0], [0, 0, 0]))
        self.count("/hello?load", 3000)
        rows = self.serve.traffic(url_filter="/hello?load", limit=500)
        self.assertEqual({(row["status"], row["state"], row["protocol"], row["responseSize"]) for row in rows},
                         {(200, "done", "h2", 6)})
        # 600 streams at once, 100 on each connection, and a worker or two more than that.
        self.assertLessEqual(origin.said().count("The negotiated protocol: h2"), 12)

    def test_bodies_in_small_windows(self):
        origin = self.nghttpd("--window-bits=12", "--connection-window-bits=16")
        self.assertEqual(self.h2load(origin, "-n60", "-c3", "-m10", "-w12", "-W16", path="/large?down"),
                         ([60, 0, 0, 0], [0, 0, 0]))
        self.assertEqual(self.h2load(origin, "-n60", "-c3", "-m10", "-w12", "-W16", f"--data={self.documents / 'large'}",
                                     path="/echo?up"), ([60, 0, 0, 0], [0, 0, 0]))
        self.count("/large?down", 60)
        self.count("/echo?up", 60)
        for row in self.serve.traffic(url_filter="/echo?up", limit=100):
            self.assertEqual((row["requestSize"], row["responseSize"]), (300_000, 300_000))

    def test_an_origin_that_takes_few_streams(self):
        """None is sent that it would have to refuse, though nobody knows how many before its SETTINGS."""
        origin = self.nghttpd("--max-concurrent-streams=4")
        self.assertEqual(self.h2load(origin, "-n300", "-c2", "-m50", path="/hello?few"), ([300, 0, 0, 0], [0, 0, 0]))
        self.count("/hello?few", 300)
        self.assertEqual(origin.said().count("REFUSED_STREAM"), 0)


class WithoutTls(ToolsTest):
    def nghttpx(self):
        """An origin that takes upgrades to h2c, which nghttpd does not."""
        behind = self.nghttpd("--trailer", "x-from-origin: behind the answer", tls=False)
        port = free_port()
        return self.start("nghttpx", "--conf=/dev/null", "--workers=1", "--errorlog-file=/dev/stderr",
                          f"--frontend=127.0.0.1,{port};no-tls", f"--backend=127.0.0.1,{behind.port};;proto=h2", port=port)

    def protocols(self, path):
        """(protocol, status) of all records whose URL has that, oldest first."""
        return [(row["protocol"], row["status"]) for row in self.serve.traffic(url_filter=path, limit=100)]

    def test_prior_knowledge(self):
        origin = self.nghttpd(tls=False)
        said = self.nghttp(origin, paths=("/hello?known", "/hello?also"), tls=False)
        self.assertEqual(re.findall(r":status: (\d+)", said), ["200", "200"])
        self.assertEqual(self.record("/hello?known")["protocol"], "h2")
        self.assertEqual(origin.said().count("recv SETTINGS frame <length=18"), 1)

    def test_an_upgrade_with_nghttp(self):
        origin = self.nghttpx()
        said = self.nghttp(origin, "--upgrade", paths=("/hello?first", "/hello?second"), tls=False)
        self.assertIn("HTTP Upgrade success", said)
        self.assertEqual(re.findall(r":status: (\d+)", said), ["200", "200"])
        self.assertEqual(said.count("x-from-origin: behind the answer"), 2)
        first, second = self.record("/hello?first"), self.record("/hello?second")
        # The request that asked was one of HTTP/1.1, and the answer came as a stream of HTTP/2.
        self.assertEqual((first["protocol"], second["protocol"]), ("http/1.1", "h2"))
        self.assertEqual((first["request"]["rawHead"]["startLine"], first["response"]["rawHead"]["startLine"].split()[0]),
                         ("GET /hello?first HTTP/1.1", "HTTP/2"))
        for exchange in (first, second):
            self.assertEqual((exchange["state"], exchange["response"]["statusCode"], exchange["response"]["bodyPreview"]),
                             ("done", 200, "hello\n"))
            self.assertEqual(exchange["response"]["rawHead"]["trailers"][0]["name"], "x-from-origin")
        self.assertTrue(second["connection"]["upstream"]["reused"])

    def test_an_upgrade_before_a_body(self):
        """nghttp asks with OPTIONS *, then sends the body on a stream."""
        origin = self.nghttpx()
        said = self.nghttp(origin, "--upgrade", f"--data={self.documents / 'large'}", paths=("/upgraded",), tls=False)
        self.assertIn("HTTP Upgrade success", said)
        self.assertEqual(self.record("/upgraded")["response"]["bodySize"], 300_000)

    def test_an_upgrade_with_curl_in_a_tunnel(self):
        origin = self.nghttpx()
        urls = [f"http://localhost:{origin.port}/hello?{n}" for n in ("one", "two")]
        done = self.serve.curl("--http2", "--proxytunnel", "-w", "%{http_version} ", *urls, check=0)
        self.assertEqual(done.stdout, "hello\n2 hello\n2 ")
        self.assertEqual(self.protocols("/hello?one") + self.protocols("/hello?two"), [("http/1.1", 200), ("h2", 200)])

    def test_an_upgrade_with_curl_at_the_proxys_own_port(self):
        """curl 7 goes on to say whole URLs, also of other hosts, on the connection to its proxy."""
        upgrading, other = self.nghttpx(), self.new_origin(plain=True)
        urls = [f"http://localhost:{port}/hello?{n}"
                for n, port in enumerate((upgrading.port, upgrading.port, other.port, upgrading.port))]
        done = self.serve.curl("--http2", "-w", "|%{http_version} %{http_code} %{num_connects}\n", *urls, check=0)
        self.assertEqual(re.findall(r"\|(.*)", done.stdout), ["2 200 1", "2 200 0", "2 200 0", "2 200 0"])
        self.assertEqual([request.head.split(b"\r\n")[0] for request in other.requests], [b"GET /hello?2 HTTP/1.1"])
        self.assertEqual(self.protocols("/hello?"), [("http/1.1", 200)] + [("h2", 200)] * 3)
        self.assertEqual([row["url"] for row in self.serve.traffic(url_filter="/hello?")], urls)

    def test_an_upgrade_that_the_origin_does_not_take(self):
        origin = self.new_origin(plain=True)
        for tunnel in ((), ("--proxytunnel",)):
            done = self.serve.curl("--http2", *tunnel, "-w", "%{http_version}", f"http://localhost:{origin.port}/hello",
                                   check=0)
            self.assertTrue(done.stdout.endswith("1.1"), done.stdout)
        self.assertEqual([request.get("upgrade") for request in origin.requests], ["h2c", "h2c"])
        self.assertEqual(self.protocols("/hello"), [("http/1.1", 200)] * 2)
        said = self.nghttp(origin, "--upgrade", tls=False)
        self.assertIn("HTTP/1.1 200 ", said)  # what nghttp makes of it is its own affair

    def test_many_upgrades(self):
        """The answer may come with the 101, behind it, or later."""
        origin = self.nghttpx()
        for i in range(25):
            done = self.serve.curl("--http2", "--proxytunnel", "-w", "%{http_version}",
                                   f"http://localhost:{origin.port}/hello?{i}", seconds=10, check=0)
            self.assertEqual(done.stdout, "hello\n2")


class BareTls(ToolsTest):
    """Straight at Sluice's port: the server name says where to, and the port is 443."""

    def setUp(self):
        super().setUp()
        namespaces.require()
        self.name = f"sl{os.getpid():x}b"
        namespaces.ip("netns", "add", self.name)
        self.addCleanup(namespaces.ip, "netns", "del", self.name)
        namespaces.ip("-n", self.name, "link", "set", "lo", "up")

    def test_nghttp_and_h2load_without_any_proxy_of_theirs(self):
        prefix = namespaces.Net.prefix(self.name)
        certificate, key = self.fakes.leaf("localhost")
        origin = Program(self.directory / "bare-nghttpd.log", "nghttpd", "--verbose", "--address=127.0.0.1",
                         f"--htdocs={self.documents}", 443, key, certificate, port=443, prefix=prefix)
        self.addCleanup(origin.close)
        # Its tools are asked over a socket in the home: the control port is in the namespace.
        with Serve("--upstream-ca", self.fakes.pem, prefix=prefix) as serve:
            def there():
                with namespaces.inside(self.name):
                    return listens(443)
            poll(there, 10, "nghttpd at its port")
            said = run(*prefix, "nghttp", "--verbose", "--no-verify-peer", f"https://localhost:{serve.proxy_port}/hello",
                       check=0).stdout
            self.assertEqual(re.findall(r":status: (\d+)", said), ["200"])
            said = run(*prefix, "h2load", "-n400", "-c4", "-m20", f"--connect-to=127.0.0.1:{serve.proxy_port}",
                       "https://localhost/hello?bare", check=0).stdout
            self.assertIn("status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx", said)
            with namespaces.inside(self.name):
                poll(lambda: serve.call("proxy_search_traffic", query="/hello?bare", limit=1)["total"] == 400, 5, "all records")
                exchange = serve.exchange("/hello?bare", include=["connection"])
            self.assertEqual(exchange["connection"]["client"]["destination"], "localhost:443")
            self.assertEqual((exchange["protocol"], exchange["request"]["url"]), ("h2", "https://localhost/hello?bare"))


if __name__ == "__main__":
    unittest.main()
