"""Upstream HTTP proxies, with squid: docs/upstream.md. SOCKS and the table's rules: test_upstream_rules.py."""
import json
import threading

from harness import E2E, Serve, ToolError, clean_environment, needs, needs_node, poll, run, sluice
from fakes.h2_origin import H2Origin
from fakes.proxies import PASSWORD, USER, Lying, Squid, free_port
from fakes.websocket import TEXT, WebSocketClient, WebSocketServer


class ThroughSquid(E2E):
    """One squid of each kind, started when it is first wanted."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = cls.new_plain()
        cls.squids = {}

    @classmethod
    def new_plain(cls):
        from fakes.origin import Origin
        origin = Origin(None)
        cls.addClassCleanup(origin.close)
        return origin

    @classmethod
    def squid(cls, kind="open", **options):
        if kind not in cls.squids:
            tls = cls.fakes.leaf("localhost", "127.0.0.1") if kind.startswith("tls") else None
            auth = kind.partition("-")[2] or (kind if kind in ("basic", "digest", "both") else None)
            cls.squids[kind] = Squid(needs("squid", "squid-openssl"), auth=auth, tls=tls, plain_ports=[cls.plain.port],
                                     **options)
            cls.addClassCleanup(cls.squids[kind].close)
        return cls.squids[kind]

    def setUp(self):
        super().setUp()
        self.plain.requests.clear()
        self.addCleanup(self.serve.call, "proxy_clear_upstream")

    def through(self, squid, user=None, password=None, **more):
        return self.serve.call("proxy_set_upstream", proxy_url=squid.url(user, password), **more)

    def get(self, url, *arguments):
        return self.serve.curl("--include", "--suppress-connect-headers", *arguments, url, check=0).stdout

    def proxy_of(self, path):
        return self.serve.exchange(path, include=["connection"])["connection"]["upstream"].get("proxy")

    def assert_passes(self, squid, *urls):
        for url in urls:
            with self.subTest(url):
                page = self.get(url)
                if "hello from the origin" not in page:
                    record = self.serve.exchange(url.rpartition("/")[2], include=["connection"])
                    self.fail(f"{page}\n{json.dumps(record['connection'])}")
                self.assertEqual(self.proxy_of(url.rpartition("/")[2]).partition("@")[2] or
                                 self.proxy_of(url.rpartition("/")[2]).partition("//")[2], f"localhost:{squid.port}/")


class Ways(ThroughSquid):
    def test_https_goes_by_connect_and_http_as_whole_urls(self):
        squid = self.squid()
        answer = self.through(squid)
        self.assertEqual(answer, {"status": "success", "message": f"Global upstream set to {squid.url()}/", "noProxy": []})
        self.assert_passes(squid, self.origin.url("/hello?s1"), self.plain.url("/hello?p1"))
        methods = poll(lambda: {row[0]: row[1] for row in squid.log()}, what="squid's log")
        self.assertEqual(methods["GET"], self.plain.url("/hello?p1"))  # squid refuses CONNECT to this port
        self.assertEqual(self.plain.requests[-1].target, "/hello?p1")

    def test_bodies_and_methods_pass(self):
        self.through(self.squid())
        for origin in (self.origin, self.plain):
            done = self.serve.curl("--data-binary", "@-", origin.url("/echo"), input="x" * 300_000, check=0)
            self.assertEqual(done.stdout, "x" * 300_000)
            self.assertEqual(self.serve.curl("-X", "DELETE", origin.url("/hello"), check=0).stdout, "hello from the origin\n")
            self.assertIn("200 OK", self.serve.curl("--head", origin.url("/hello"), check=0).stdout)

    def test_a_proxy_behind_tls_carries_tls_in_tls(self):
        squid = self.squid("tls")
        self.through(squid)
        self.assert_passes(squid, self.origin.url("/hello?t1"), self.plain.url("/hello?t2"))
        record = self.serve.exchange("/hello?t1", include=["connection"])["connection"]["upstream"]
        self.assertTrue(record["tls"]["verified"])
        self.assertEqual(record["tls"]["serverName"], "localhost")
        self.assertEqual(record["port"], squid.port)

    def test_http2_passes_through(self):
        node = needs_node()
        origin = H2Origin(node, self.fakes.leaf("localhost"))
        self.addCleanup(origin.close)
        for kind in ("open", "tls"):
            self.through(self.squid(kind))
            done = self.serve.curl("--http2", "--include", "--suppress-connect-headers", f"https://localhost:{origin.port}/?h2-{kind}", check=0)
            self.assertTrue(done.stdout.startswith("HTTP/2 "), done.stdout)
            record = self.serve.exchange(f"h2-{kind}", include=["connection"])
            self.assertEqual(record["connection"]["upstream"]["tls"]["alpn"], "h2")
            self.assertIn("proxy", record["connection"]["upstream"])

    def test_http2_without_tls_goes_by_connect(self):
        origin = H2Origin(needs_node())
        self.addCleanup(origin.close)
        self.through(self.squid())
        done = self.serve.curl("--http2-prior-knowledge", "--proxytunnel", "--include", "--suppress-connect-headers",
                               f"http://localhost:{origin.port}/?h2c", check=0)
        self.assertTrue(done.stdout.startswith("HTTP/2 "), done.stdout)
        self.assertEqual(self.proxy_of("?h2c"), f"http://localhost:{self.squid().port}/")

    def test_websockets_pass_with_and_without_tls(self):
        other = self.new_origin(plain=True)  # a port to which squid makes tunnels
        for kind in ("open", "tls"):
            self.through(self.squid(kind))
            for origin in (self.origin, other):
                with self.subTest(kind, scheme=origin.scheme):
                    origin.routes["/ws"] = WebSocketServer()
                    client = self.client(origin=origin) if origin.context else self.serve.client()
                    if not origin.context:
                        self.addCleanup(client.close)
                        self.assertEqual(client.connect_through(f"localhost:{origin.port}").status, 200)
                    sock = WebSocketClient(client, f"localhost:{origin.port}", "/ws")
                    sock.send(TEXT, b"through two proxies")
                    self.assertIn(b"through two proxies", sock.read().payload)
                    sock.close(1000)

    def test_sessions_are_resumed_through_a_tunnel(self):
        self.through(self.squid())
        self.get(self.origin.url("/hello?first"), "-H", "Connection: close")
        self.get(self.origin.url("/hello?second"), "-H", "Connection: close")
        record = self.serve.exchange("/hello?second", include=["connection"])["connection"]["upstream"]
        self.assertTrue(record["tls"]["resumed"])
        self.assertTrue(record["tls"]["verified"])

    def test_certificates_are_verified_through_a_tunnel(self):
        self.through(self.squid())
        wrong = self.new_origin("elsewhere.example")
        page = self.get(wrong.url("/hello?wrong"))
        self.assertIn("502", page.partition("\n")[0])
        self.assertEqual(self.serve.exchange("/hello?wrong")["error"]["code"], "certificate")

    def test_a_passed_through_host_goes_by_the_upstream_too(self):
        with Serve("--upstream-ca", self.fakes.pem, "--passthrough", "localhost", "--upstream", self.squid().url()) as serve:
            done = run(needs("curl"), "-sS", "--max-time", "20", "--proxy", serve.proxy_url, "--noproxy", "", "--cacert",
                       self.fakes.pem, self.origin.url("/hello?passed"), check=0)
            self.assertEqual(done.stdout, "hello from the origin\n")
            row = poll(lambda: serve.traffic(), what="the record")[-1]
            record = serve.call("proxy_get_exchange", exchange_id=row["id"], include=["connection"])["exchange"]
            self.assertEqual((record["protocol"], record["connection"]["upstream"]["proxy"]),
                             ("tls", f"http://localhost:{self.squid().port}/"))


class Credentials(ThroughSquid):
    def test_basic_and_digest_are_answered(self):
        for kind in ("basic", "digest", "both", "tls-basic", "tls-digest"):
            squid = self.squid(kind)
            answer = self.through(squid, USER, PASSWORD)
            self.assertEqual(answer["passwordSource"], "url")
            self.assertEqual(answer["message"], f"Global upstream set to {squid.scheme}://{USER}:***@localhost:{squid.port}/")
            self.assert_passes(squid, self.origin.url(f"/hello?s-{kind}"), self.plain.url(f"/hello?p-{kind}"))

    def test_a_body_that_can_be_sent_only_once_is_not_lost_to_a_challenge(self):
        for kind in ("basic", "digest"):
            self.through(self.squid(kind), USER, PASSWORD)
            for size in (10, 3_000_000):
                done = self.serve.curl("-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-",
                                       self.plain.url("/echo"), input="y" * size, check=0)
                self.assertEqual(len(done.stdout), size, done.stdout[:300])
        self.assertEqual({r.method for r in self.plain.requests}, {"POST"})  # nothing else came so far

    def test_a_nonce_that_has_run_out_is_renewed(self):
        squid = Squid(needs("squid", "squid-openssl"), auth="digest", nonce_uses=3)
        self.addCleanup(squid.close)
        self.through(squid, USER, PASSWORD)
        for number in range(12):
            for origin in (self.origin, self.plain):
                done = self.serve.curl("-H", "Connection: close", origin.url(f"/hello?{number}"), check=0)
                self.assertEqual(done.stdout, "hello from the origin\n")

    def test_wrong_or_missing_credentials_are_a_502_that_says_so(self):
        for kind in ("basic", "digest"):
            for user, password, words in ((USER, "wrong-hunter3", "refused the user name or password"),
                                          (None, None, "asks for a user name and password")):
                self.through(self.squid(kind), user, password)
                for origin in (self.origin, self.plain):
                    with self.subTest(kind, user=user, scheme=origin.scheme):
                        path = f"/hello?{kind}-{user}-{origin.scheme}"
                        page = self.get(origin.url(path))
                        self.assertIn("502", page.partition("\n")[0])
                        self.assertIn(words, page)
                        self.assertNotIn("hunter3", page)
                        self.assertNotIn("407", page.partition("\n")[0])
                        record = self.serve.exchange(path)
                        self.assertEqual(record["error"]["code"], "upstream_proxy_auth")
                        self.assertIn("--upstream-password", page)
        self.assertEqual(self.plain.requests + self.origin.requests, [])

    def test_the_clients_own_proxy_credentials_go_no_further(self):
        squid = self.squid("basic")
        self.through(squid)
        page = self.get(self.plain.url("/hello?own"), "--proxy-user", f"{USER}:{PASSWORD}")
        self.assertIn("502", page.partition("\n")[0])

    def test_an_origins_own_407_stays_what_it_is(self):
        self.through(self.squid())
        self.origin.routes["/407"] = lambda talk: talk.answer("407 Odd", b"mine", [("Proxy-Authenticate", "Basic")])
        self.assertIn("407 Odd", self.get(self.origin.url("/407")))

    def test_passwords_come_from_the_environment_and_from_files(self):
        squid = self.squid("basic")
        secret = self.directory / "password"
        secret.write_text(PASSWORD + "\n")
        ways = [((), {"PROXY_MCP_UPSTREAM_PASSWORD": PASSWORD, "PROXY_MCP_UPSTREAM_HOST": " LocalHost "}, "env"),
                ((), {"SLUICE_UPSTREAM_PASSWORD": PASSWORD, "SLUICE_UPSTREAM_HOST": "localhost"}, "env"),
                (("--upstream-password", f"localhost={secret}"), {}, "file"),
                ((), {"PROXY_MCP_UPSTREAM_PASSWORD": PASSWORD}, "none"),
                ((), {"PROXY_MCP_UPSTREAM_PASSWORD": PASSWORD, "PROXY_MCP_UPSTREAM_HOST": "other"}, "none")]
        for flags, environment, source in ways:
            with self.subTest(source, **environment):
                with Serve("--upstream-ca", self.fakes.pem, *flags, env=clean_environment(**environment)) as serve:
                    answer = serve.call("proxy_set_upstream", proxy_url=squid.url(USER))
                    self.assertEqual(answer["passwordSource"], source)
                    status = serve.curl("-o", "/dev/null", "-w", "%{http_code}", self.plain.url(), check=0).stdout
                    self.assertEqual(status, "502" if source == "none" else "200")

    def test_secrets_appear_nowhere(self):
        """Neither in answers, statuses, records, logs, audit, nor in files of the home."""
        secrets = [PASSWORD, "hunter2", "correct%2Fhorse"]
        with Serve("--upstream-ca", self.fakes.pem, "--log-level", "debug", "--host-upstream",
                   "*.example=" + self.squid("digest").url(USER, PASSWORD)) as serve:
            said = [json.dumps(serve.call("proxy_status"))]
            for kind in ("basic", "digest", "open"):
                said.append(json.dumps(serve.call("proxy_set_upstream", proxy_url=self.squid(kind).url(USER, PASSWORD) +
                                                  "/correct%2Fhorse?q=hunter2")))
                said.append(json.dumps(serve.call("proxy_set_host_upstream", hostname="h.example",
                                                  proxy_url=self.squid(kind).url(USER, PASSWORD))))
                for origin in (self.origin, self.plain):
                    self.assertEqual(serve.curl(origin.url(f"/hello?{kind}"), check=0).stdout, "hello from the origin\n")
                said.append(serve.curl("-i", "http://h.example:1/", check=0).stdout)
            for bad in ("http://u:hunter2@", "ftp://u:hunter2@h", "http://u%3A:hunter2@h", "socks4://u:hunter2@h"):
                with self.assertRaises(ToolError) as raised:
                    serve.call("proxy_set_upstream", proxy_url=bad)
                said.append(str(raised.exception))
            for row in serve.traffic(limit=100):
                everything = ["request_body", "response_body", "original", "raw_head", "timings", "connection"]
                said.append(json.dumps(serve.call("proxy_get_exchange", exchange_id=row["id"], show_secrets=True,
                                                  include=everything)))
            said += [json.dumps(serve.call("proxy_status")), sluice("call", "proxy_status", home=serve.home).stdout]
            said.append(serve.output())
            for path in serve.home.rglob("*"):
                if path.is_file():
                    said.append(path.read_bytes().decode("latin-1"))
        for text in said:
            for secret in secrets:
                self.assertNotIn(secret, text)
            self.assertNotIn("Proxy-Authorization", text)


class Changes(ThroughSquid):
    """proxy.md (b): the published server cuts every connection when an upstream changes."""

    def test_a_change_cuts_neither_a_download_nor_a_keep_alive_connection(self):
        squid = self.squid()
        gate = threading.Event()

        def slow(talk):
            talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            gate.wait(20)
            talk.send(b"done")

        for origin in (self.origin, self.plain):
            gate.clear()
            origin.routes["/gated"] = slow
            keep = self.client(origin=origin) if origin.context else self.serve.client()
            self.addCleanup(keep.close)
            down = self.client(origin=origin) if origin.context else self.serve.client()
            self.addCleanup(down.close)
            base = "" if origin.context else f"http://localhost:{origin.port}"
            host = f"Host: localhost:{origin.port}\r\n\r\n"
            for at, upstream in enumerate((squid, None, squid)):
                gate.clear()
                keep.send(f"GET {base}/hello?keep{at} HTTP/1.1\r\n{host}".encode())
                self.assertEqual(keep.read_answer().status, 200)
                down.send(f"GET {base}/gated HTTP/1.1\r\n{host}".encode())
                down.read_until(b"half")
                before = self.serve.call("proxy_status")["connections"]["open"]
                if upstream:
                    self.through(upstream)
                else:
                    self.serve.call("proxy_clear_upstream")
                self.serve.call("proxy_set_host_upstream", hostname="other.example", proxy_url="http://127.0.0.1:9")
                self.serve.call("proxy_remove_host_upstream", hostname="other.example")
                self.assertEqual(self.serve.call("proxy_status")["connections"]["open"], before)
                gate.set()
                self.assertEqual(down.read_exactly(4), b"done")
                path = f"/hello?after{at}-{origin.scheme}"
                keep.send(f"GET {base}{path} HTTP/1.1\r\n{host}".encode())
                self.assertEqual(keep.read_answer().status, 200)
                self.assertEqual(self.proxy_of(path), f"http://localhost:{squid.port}/" if upstream else None)

    def test_a_tunnel_lives_on(self):
        origin = self.new_origin(plain=True)
        origin.routes["/ws"] = WebSocketServer()
        self.through(self.squid())
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{origin.port}")
        sock = WebSocketClient(client, f"localhost:{origin.port}", "/ws")
        self.through(self.squid("tls"))
        self.serve.call("proxy_clear_upstream")
        sock.send(TEXT, b"still here")
        self.assertIn(b"still here", sock.read().payload)


class Failures(ThroughSquid):
    def failure(self, url, path):
        page = self.get(url + path)
        record = self.serve.exchange(path)
        self.assertIn(page.split(" ")[1], ("502", "504", "508"), page)
        return page, record["error"]

    def test_a_proxy_that_is_not_there_is_named(self):
        port = free_port()
        self.serve.call("proxy_set_upstream", proxy_url=f"http://u:hunter2@localhost:{port}")
        for origin in (self.origin, self.plain):
            page, error = self.failure(origin.url(""), f"/hello?gone-{origin.scheme}")
            self.assertEqual(error["code"], "upstream_proxy")
            self.assertIn(f"the upstream proxy http://u:***@localhost:{port}/ cannot be reached", page)
            self.assertIn("proxy_clear_upstream", page)
        self.assertEqual(self.origin.requests + self.plain.requests, [])  # never directly

    def test_lying_proxies_are_a_502_with_a_reason(self):
        for octets, code, words in ((b"SSH-2.0-OpenSSH_9\r\n", "upstream_proxy", "does not answer as an HTTP proxy"),
                                    (b"", "upstream_proxy", "ended the connection without an answer"),
                                    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "upstream_proxy", "endless"),
                                    (b"HTTP/1.1 403 Forbidden\r\n\r\n", "upstream_proxy_refused", "answered 403"),
                                    (b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\n\r\n", "upstream_proxy_auth",
                                     "asks for a user name"),
                                    (b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03garbage", "upstream_tls", "TLS handshake")):
            with self.subTest(octets[:30]):
                liar = Lying(octets)
                self.addCleanup(liar.close)
                self.serve.call("proxy_set_upstream", proxy_url=f"http://127.0.0.1:{liar.port}")
                page, error = self.failure(self.origin.url(""), f"/hello?lie-{liar.port}")
                self.assertEqual(error["code"], code)
                self.assertIn(words, page)
        self.assertEqual(self.origin.requests, [])

    def test_a_silent_proxy_ends_in_a_504(self):
        liar = Lying(b"", ends=False)
        self.addCleanup(liar.close)
        self.serve.call("proxy_set_upstream", proxy_url=f"http://127.0.0.1:{liar.port}")
        done = self.serve.curl("--include", "--suppress-connect-headers", self.origin.url("/hello?silent"), seconds=40, check=0)
        self.assertIn("504", done.stdout.partition("\n")[0])
        self.assertEqual(self.serve.exchange("/hello?silent")["error"]["code"], "upstream_proxy_timeout")

    def test_a_certificate_of_a_proxy_is_verified(self):
        from fakes.pki import TestAuthority
        stranger = TestAuthority(self.directory / "stranger", "Strangers")
        squid = Squid(needs("squid", "squid-openssl"), tls=stranger.leaf("localhost"))
        self.addCleanup(squid.close)
        self.through(squid)
        page, error = self.failure(self.origin.url(""), "/hello?stranger")
        self.assertEqual(error["code"], "upstream_proxy")
        self.assertIn("certificate that is not trusted", page)

    def test_our_own_ports_are_refused_as_upstream(self):
        control = int(self.serve.mcp_url.split(":")[2].split("/")[0])
        for url in (self.serve.proxy_url, f"http://localhost:{control}", f"socks5://127.0.0.1:{self.serve.proxy_port}"):
            with self.assertRaises(ToolError) as raised:
                self.serve.call("proxy_set_upstream", proxy_url=url)
            self.assertIn("Sluice's own address", str(raised.exception))
        self.assertIsNone(self.serve.call("proxy_status")["globalUpstream"])

    def test_bad_input_keeps_the_old_state(self):
        squid = self.squid()
        self.through(squid, no_proxy=["direct.example"])
        before = self.serve.call("proxy_status")["globalUpstream"]
        self.assertEqual(before, {"proxyUrl": squid.url() + "/", "noProxy": ["direct.example"]})
        for arguments, words in (({"proxy_url": "nonsense"}, "is not a parseable URL — check the scheme, e.g. socks5://host:1080"),
                                 ({"proxy_url": "gopher://h"}, "none of http, https, socks4"),
                                 ({"proxy_url": "http://a%3Ab:p@h"}, "Error: "),
                                 ({"proxy_url": "http://h", "no_proxy": ["10.0.0.0/99"]}, "10.0.0.0/99")):
            with self.assertRaises(ToolError) as raised:
                self.serve.call("proxy_set_upstream", **arguments)
            self.assertIn(words, str(raised.exception))
            with self.assertRaises(ToolError):
                self.serve.call("proxy_set_host_upstream", hostname="h.example", **arguments)
        with self.assertRaises(ToolError) as raised:
            self.serve.call("proxy_remove_host_upstream", hostname="h.example")
        self.assertIn("\"No upstream override for 'h.example'\"", str(raised.exception))
        status = self.serve.call("proxy_status")
        self.assertEqual((status["globalUpstream"], status["hostUpstreams"]), (before, {}))
