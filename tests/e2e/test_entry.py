"""The ways in: SOCKS, bare TLS, several listeners, proxy authentication, PROXY protocol, raw octets (docs/modes.md)."""
import json
import os
import socket
import ssl
import subprocess
import threading
import unittest

from harness import E2E, PATIENCE, Serve, ToolError, needs, poll, run, sluice  # first: it knows where the fakes are
from fakes.listen import Talker
from fakes.raw import RawClient, context

SOCKS = ("--socks4", "--socks4a", "--socks5", "--socks5-hostname")


def curl_over(serve, *arguments, seconds=20, **kwargs):
    """curl without the harness' --proxy."""
    return run(needs("curl"), "--silent", "--show-error", "--max-time", seconds, "--noproxy", "", "--cacert", serve.ca,
               *arguments, seconds=seconds + 5, **kwargs)


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(b"echo: " + data)


def mail(sock):
    """A server that speaks first."""
    sock.sendall(b"220 mail.example ready\r\n")
    if sock.recv(65536).startswith(b"QUIT"):
        sock.sendall(b"221 bye\r\n")


class Socks(E2E):
    def test_curl_over_every_kind_of_socks_with_and_without_tls(self):
        plain = self.new_origin(plain=True)
        for way in SOCKS:
            for origin in (self.origin, plain):
                with self.subTest(way, scheme=origin.scheme):
                    path = f"/hello?{way.strip('-')}-{origin.scheme}"
                    done = curl_over(self.serve, way, f"127.0.0.1:{self.serve.proxy_port}", origin.url(path), check=0)
                    self.assertEqual(done.stdout, "hello from the origin\n")
                    record = self.serve.exchange(path, include=["connection"])
                    self.assertEqual(record["source"], "explicit")
                    self.assertEqual(record["request"]["hostname"], "localhost")
                    self.assertEqual(record["anomalies"], [])
                    named = way in ("--socks4a", "--socks5-hostname")
                    destination = record["connection"]["client"]["destination"]
                    self.assertEqual(destination.rpartition(":")[2], str(origin.port))
                    self.assertEqual(destination.startswith("localhost:"), named, destination)

    def test_a_failed_dial_has_its_code_in_curl_too(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = listener.getsockname()[1]
        done = curl_over(self.serve, "--socks5", f"127.0.0.1:{self.serve.proxy_port}", f"http://127.0.0.1:{closed}/")
        self.assertEqual(done.returncode, 97, done.stderr)  # CURLE_PROXY
        self.assertIn("(5)", done.stderr)                   # RFC 1928: connection refused
        done = curl_over(self.serve, "--socks5-hostname", f"127.0.0.1:{self.serve.proxy_port}",
                         "http://no-such-host.invalid/")
        self.assertIn("(4)", done.stderr)                   # host unreachable
        row = poll(lambda: [r for r in self.serve.traffic() if r["hostname"] == "no-such-host.invalid"], 5, "a record")[0]
        self.assertEqual((row["protocol"], row["error"]["code"]), ("tcp", "resolve"))

    def test_a_mock_answers_for_a_host_that_does_not_exist(self):
        self.add_rule({"hostname": "socks-mock.invalid"}, {"type": "mock", "status": 200, "body": "mocked"})
        for scheme in ("http", "https"):
            done = curl_over(self.serve, "--socks5-hostname", f"127.0.0.1:{self.serve.proxy_port}",
                             f"{scheme}://socks-mock.invalid/", check=0)
            self.assertEqual(done.stdout, "mocked")

    def test_the_set_up_page_is_there_over_socks(self):
        done = curl_over(self.serve, "--socks5-hostname", f"127.0.0.1:{self.serve.proxy_port}",
                         "http://sluice.setup/ca.pem", check=0)
        self.assertIn("BEGIN CERTIFICATE", done.stdout)


class BareTls(E2E):
    def s_client(self, *arguments, request="GET / HTTP/1.1\r\nHost: bare.test\r\nConnection: close\r\n\r\n"):
        return subprocess.run([needs("openssl"), "s_client", "-connect", f"127.0.0.1:{self.serve.proxy_port}", "-CAfile",
                               str(self.serve.ca), "-verify_return_error", "-quiet", "-ign_eof", *arguments],
                              input=request, capture_output=True, text=True, timeout=20 * PATIENCE)

    def test_the_server_name_says_where_to(self):
        self.add_rule({"hostname": "bare.test"}, {"type": "forward", "forwardTo": self.origin.url("").rstrip("/")})
        done = self.s_client("-servername", "bare.test", request="GET /hello?bare HTTP/1.1\r\nHost: bare.test\r\n"
                             "Connection: close\r\n\r\n")
        self.assertIn("hello from the origin", done.stdout, done.stderr)
        record = self.serve.exchange("/hello?bare", include=["connection"])
        self.assertEqual(record["request"]["url"], "https://bare.test/hello?bare")
        self.assertEqual(record["connection"]["client"]["destination"], "bare.test:443")

    def test_without_a_server_name_it_is_refused_and_recorded(self):
        done = self.s_client("-noservername")
        self.assertNotEqual(done.returncode, 0)
        row = poll(lambda: [r for r in self.serve.traffic() if r["protocol"] == "tls"], 5, "a record")[-1]
        self.assertEqual(row["error"]["code"], "client_tls")
        self.assertIn("server name", row["error"]["message"])


class Listeners(E2E):
    flags = ("--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen", "127.0.0.1:0")

    def test_all_of_them_serve(self):
        listeners = self.serve.ready["listeners"]
        self.assertEqual([one["host"] for one in listeners], ["127.0.0.1", "::1", "127.0.0.1"])
        self.assertEqual(self.serve.ready["proxy"], listeners[0])
        for number, one in enumerate(listeners):
            host = f"[{one['host']}]" if ":" in one["host"] else one["host"]
            done = curl_over(self.serve, "--proxy", f"http://{host}:{one['port']}", self.origin.url(f"/hello?on={number}"),
                             check=0)
            self.assertEqual(done.stdout, "hello from the origin\n")
            client = self.serve.exchange(f"on={number}", include=["connection"])["connection"]["client"]
            self.assertEqual((client["listenerAddress"], client["listenerPort"]), (one["host"], one["port"]))

    def test_one_that_cannot_be_had_is_named_and_nothing_is_left_open(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = sluice("serve", "--listen", "127.0.0.1:0", "--listen", f"127.0.0.1:{port}", "--control-port", 0,
                          home=self.directory / "taken")
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(port), done.stderr)
        done = sluice("serve", "--listen", "localhost", "--control-port", 0, home=self.directory / "taken")
        self.assertIn("ADDR:PORT", done.stderr)

    def test_the_same_port_on_both_families(self):
        with socket.create_server(("127.0.0.1", 0)) as any_port:
            port = any_port.getsockname()[1]
        with Serve("--listen", f"127.0.0.1:{port}", "--listen", f"[::]:{port}", "--allow-client", "::1") as serve:
            for host in ("127.0.0.1", "[::1]"):
                self.assertIn("Sluice is running", curl_over(serve, "--proxy", "", f"http://{host}:{port}/").stdout)


class Password(E2E):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.directory / "password"
        cls.file.write_text("s3cret-of-the-proxy\n")
        cls.file.chmod(0o600)
        cls.serve.stop()
        cls.flags = ("--proxy-auth", f"agent:{cls.file}")
        cls.serve = Serve("--upstream-ca", cls.fakes.pem, *cls.flags, directory=cls.directory)
        cls.addClassCleanup(cls.serve.stop)

    def ask(self, *arguments, proxy=("--proxy",), scheme=""):
        return curl_over(self.serve, *proxy, f"{scheme}127.0.0.1:{self.serve.proxy_port}", "-o", "/dev/null", "-w",
                         "%{http_code} %{http_connect}", *arguments)

    def test_http_and_connect_take_that_password_alone(self):
        plain = self.new_origin(plain=True)
        for wrong in ((), ("--proxy-user", "agent:wrong"), ("--proxy-user", "other:s3cret-of-the-proxy")):
            self.assertEqual(self.ask(plain.url(), *wrong).stdout, "407 000")
            done = self.ask(self.origin.url(), *wrong)
            self.assertEqual((done.returncode, done.stdout), (56, "000 407"), done.stderr)
        self.assertEqual(plain.accepted + self.origin.accepted, 0)
        for origin, expected in ((plain, "200 000"), (self.origin, "200 200")):
            done = self.ask(origin.url("/head?known"), "--proxy-user", "agent:s3cret-of-the-proxy")
            self.assertEqual(done.stdout, expected, done.stderr)
        self.assertNotIn(b"Proxy-Authorization", plain.requests[-1].head)

    def test_curl_answers_the_challenge(self):
        done = self.ask(self.new_origin(plain=True).url(), "--proxy-anyauth", "--proxy-user", "agent:s3cret-of-the-proxy")
        self.assertEqual(done.stdout, "200 000", done.stderr)

    def test_socks5_takes_it_and_nothing_else_does(self):
        for way in ("--socks5", "--socks5-hostname"):
            done = self.ask(self.origin.url("/hello?socks-known"), "--proxy-user", "agent:s3cret-of-the-proxy",
                            proxy=(way,))
            self.assertEqual(done.stdout, "200 000", done.stderr)
            for wrong in ((), ("--proxy-user", "agent:wrong")):
                self.assertEqual(self.ask(self.origin.url("/hello?unknown"), *wrong, proxy=(way,)).returncode, 97)
        for way in ("--socks4", "--socks4a"):
            done = self.ask(self.origin.url("/hello?unknown"), "--proxy-user", "agent:s3cret-of-the-proxy", proxy=(way,))
            self.assertEqual(done.returncode, 97, done.stderr)
        client = RawClient("127.0.0.1", self.serve.proxy_port)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            client.start_tls("bare.test", context(self.serve.ca))
        self.assertEqual([r for r in self.origin.requests if b"unknown" in r.head], [])
        codes = [r["error"]["code"] for r in self.serve.traffic(limit=500) if r.get("error")]
        self.assertIn("proxy_auth", codes)

    def test_the_set_up_page_needs_none(self):
        self.assertEqual(self.ask(f"http://127.0.0.1:{self.serve.proxy_port}/ca.pem", proxy=("--proxy", "", "--url")).stdout[:3],
                         "200")

    def test_nobody_finds_it_in_records_answers_or_logs(self):
        self.ask(self.new_origin(plain=True).url("/hello?secret"), "--proxy-user", "agent:s3cret-of-the-proxy")
        self.ask(self.origin.url("/hello?secret"), "--proxy-user", "agent:s3cret-of-the-proxy-no")
        encoded = "YWdlbnQ6czNjcmV0LW9mLXRoZS1wcm94e"  # what both begin with in base64
        for row in poll(lambda: self.serve.traffic(limit=500), 5, "records"):
            whole = json.dumps(self.serve.call("proxy_get_exchange", exchange_id=row["id"], show_secrets=True,
                                               include=["raw_head", "original", "connection"]))
            self.assertNotIn(encoded, whole)
            self.assertNotIn("s3cret", whole)
        text = self.serve.output()
        self.assertNotIn("s3cret", text)
        self.assertNotIn(encoded, text)

    def test_the_file_is_read_again_at_each_start(self):
        url = self.new_origin(plain=True).url()
        self.serve.call("proxy_stop")
        try:
            self.file.unlink()
            with self.assertRaises(ToolError):
                self.serve.call("proxy_start")
            self.file.write_text("another one\nsecond line\n")
            self.serve.call("proxy_start")
            self.assertEqual(self.ask(url, "--proxy-user", "agent:s3cret-of-the-proxy").stdout, "407 000")
            self.assertEqual(self.ask(url, "--proxy-user", "agent:another one").stdout, "200 000")
            self.serve.call("proxy_stop")
        finally:
            self.file.write_text("s3cret-of-the-proxy\n")
            self.file.chmod(0o600)
            self.serve.call("proxy_start")

    def empty(self):
        path = self.directory / "empty"
        path.write_text("\nsecond line\n")
        return path

    def test_wrong_usage_is_said_at_the_start(self):
        for given, words in (("agent", "USER:FILE"), (":file", "USER:FILE"), ("agent:/no/such/file", "/no/such/file"),
                             (f"agent:{self.empty()}", "no password")):
            done = sluice("serve", "--proxy-auth", given, "--proxy-port", 0, "--control-port", 0,
                          home=self.directory / "usage")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)

    def test_a_file_that_others_may_read_is_remarked_on(self):
        shared = self.directory / "shared"
        shared.write_text("known to all\n")
        shared.chmod(0o644)
        with Serve("--proxy-auth", f"agent:{shared}") as serve:
            self.assertIn("chmod 600", poll(serve.output, 5, "the greeting"))
        self.assertNotIn("chmod 600", self.serve.output())


class BehindALoadBalancer(E2E):
    flags = ("--proxy-protocol", "127.0.0.0/8", "--allow-client", "198.51.100.0/24")

    def ask(self, header, request=b"GET /ca.pem HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        client = RawClient("127.0.0.1", self.serve.proxy_port)
        client.send(header + request)
        return client.read_rest()

    def test_the_headers_client_is_recorded(self):
        origin = self.new_origin(plain=True)
        request = (f"GET {origin.url('/hello?behind')} HTTP/1.1\r\nHost: localhost:{origin.port}\r\n"
                   "Connection: close\r\n\r\n").encode()
        answer, _ = self.ask(b"PROXY TCP4 127.0.0.9 127.0.0.1 4321 80\r\n", request)
        self.assertIn(b"hello from the origin", answer)
        client = self.serve.exchange("/hello?behind", include=["connection"])["connection"]["client"]
        self.assertEqual((client["clientAddress"], client["clientPort"]), ("127.0.0.9", 4321))
        version2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([198, 51, 100, 7, 127, 0, 0, 1]) + b"\x10\xe1\0\x50"
        answer, _ = self.ask(version2, request)
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 "), answer)  # from another machine: nothing on loopback
        record = poll(lambda: [r for r in self.serve.traffic(url_filter="behind") if r["status"] == 403], 5, "a record")[-1]
        self.assertEqual(record["error"]["code"], "target_forbidden")

    def test_curl_says_it(self):
        url = f"http://127.0.0.1:{self.serve.proxy_port}/ca.pem"
        self.assertIn("BEGIN CERTIFICATE", run(needs("curl"), "-sS", "--haproxy-protocol", url, check=0).stdout)
        self.assertNotEqual(run(needs("curl"), "-sS", url).returncode, 0)  # the header is not optional

    def test_a_client_that_may_not_come_in_gets_a_page(self):
        answer, _ = self.ask(b"PROXY TCP4 203.0.113.9 127.0.0.1 4321 80\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 Forbidden"), answer)
        self.assertIn(b"may not use the proxy", answer)
        row = poll(lambda: [r for r in self.serve.traffic() if r["status"] == 403 and
                            r.get("error", {}).get("code") == "client_not_allowed"], 5, "a record")[-1]
        self.assertEqual(row["method"], "GET")


class OneTooMany(E2E):
    flags = ("--max-connections", "1")

    def test_gets_a_page_that_says_so(self):
        first = self.serve.client()
        first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        first.read_answer()
        done = self.serve.curl("http://sluice.setup/", "-o", "/dev/null", "-w", "%{http_code}")
        self.assertEqual(done.stdout, "503")
        first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(first.read_answer().status, 200)
        first.sock.close()
        poll(lambda: self.serve.curl("http://sluice.setup/", "-o", "/dev/null", "-w", "%{http_code}").stdout == "200", 5,
             "room again")
        self.assertGreaterEqual(self.serve.call("proxy_status")["connections"]["refused"], 1)
        self.assertIn("too_many_connections", [r["error"]["code"] for r in self.serve.traffic() if r.get("error")])


class Raw(E2E):
    def open(self, way, port):
        client = self.serve.client()
        if way == "connect":
            self.assertEqual(client.connect_through(f"127.0.0.1:{port}").status, 200)
        else:
            client.send(b"\5\1\0")
            self.assertEqual(client.read_exactly(2), b"\5\0")
            client.send(b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
            self.assertEqual(client.read_exactly(10)[:2], b"\5\0")
        return client

    def record_of(self, port, seconds=5):
        url = f"tcp://127.0.0.1:{port}"
        return self.serve.exchange(url, seconds, include=["request_body", "response_body", "timings"])

    def test_octets_that_are_nothing_known_are_relayed_and_both_directions_shown(self):
        for way in ("connect", "socks5"):
            with self.subTest(way):
                server = Talker(echo)
                self.addCleanup(server.close)
                client = self.open(way, server.port)
                for words in (b"\x00\x01binary?", b"more words"):
                    client.send(words)
                    client.read_until(b"echo: " + words)
                client.sock.close()
                record = self.record_of(server.port)
                self.assertEqual((record["protocol"], record["state"]), ("tcp", "done"))
                self.assertIn("more words", record["request"]["bodyPreview"])
                self.assertIn("echo: more words", record["response"]["bodyPreview"])
                self.assertIsNone(record["response"]["statusCode"])
                self.assertEqual(record["request"]["bodySize"], 19)
                self.assertEqual(record["response"]["bodySize"], 19 + 12)
                self.assertEqual(record["response"]["body"]["total"], 31)
                self.assertGreaterEqual(record["duration"], 0)
                row = self.serve.traffic(url_filter=f"127.0.0.1:{server.port}")[-1]
                self.assertEqual((row["status"], row["responseSize"]), (None, 31))

    def test_a_server_that_speaks_first_is_heard(self):
        for way in ("connect", "socks5"):
            with self.subTest(way):
                server = Talker(mail)
                self.addCleanup(server.close)
                client = self.open(way, server.port)
                self.assertEqual(client.read_until(b"\r\n"), b"220 mail.example ready\r\n")
                client.send(b"QUIT\r\n")
                self.assertEqual(client.read_rest()[0], b"221 bye\r\n")
                client.sock.close()
                record = self.record_of(server.port)
                self.assertIn("220 mail.example", record["response"]["bodyPreview"])
                self.assertEqual(record["request"]["bodyPreview"], "QUIT\r\n")

    def test_a_megabyte_each_way_is_kept(self):
        server = Talker(echo)
        self.addCleanup(server.close)
        client = self.open("connect", server.port)
        sent = os.urandom(1 << 20)
        writer = threading.Thread(target=lambda: (client.sock.sendall(sent), client.sock.shutdown(socket.SHUT_WR)))
        writer.start()
        got, _ = client.read_rest()
        writer.join()
        self.assertEqual(got.replace(b"echo: ", b""), sent.replace(b"echo: ", b""))
        record = self.record_of(server.port)
        self.assertEqual(record["request"]["bodySize"], len(sent))
        self.assertEqual(record["response"]["bodySize"], len(got))


if __name__ == "__main__":
    unittest.main()
