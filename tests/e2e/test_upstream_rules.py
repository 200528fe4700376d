"""Upstream SOCKS proxies (microsocks, danted), which hosts go through which proxy, and the flags: docs/upstream.md."""

from harness import E2E, Serve, ToolError, clean_environment, needs, needs_node, poll, run, sluice
from fakes import h2_raw as h2
from fakes.h2_origin import H2Origin
from fakes.listen import Talker
from fakes.origin import Origin
from fakes.proxies import PASSWORD, USER, Danted, Lying, Microsocks, Squid, free_port
from fakes.websocket import TEXT, WebSocketClient, WebSocketServer


def greet_and_echo(sock):
    """A server that speaks first, then says again what it hears."""
    sock.sendall(b"220 ready\r\n")
    while data := sock.recv(65536):
        sock.sendall(data)


class UpstreamTest(E2E):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = Origin(None)
        cls.addClassCleanup(cls.plain.close)
        cls.children = {}

    @classmethod
    def child(cls, name, make):
        if name not in cls.children:
            cls.children[name] = make()
            cls.addClassCleanup(cls.children[name].close)
        return cls.children[name]

    @classmethod
    def socks(cls, password=None):
        return cls.child(f"microsocks {bool(password)}", lambda: Microsocks(needs("microsocks"), password))

    @classmethod
    def danted(cls):
        return cls.child("danted", lambda: Danted(needs("danted", "dante-server")))

    @classmethod
    def squid(cls):
        return cls.child("squid", lambda: Squid(needs("squid", "squid-openssl")))

    def setUp(self):
        super().setUp()
        self.plain.requests.clear()
        self.addCleanup(self.forget_upstreams)

    def forget_upstreams(self):
        self.serve.call("proxy_clear_upstream")
        for host in self.serve.call("proxy_status")["hostUpstreams"]:
            self.serve.call("proxy_remove_host_upstream", hostname=host)

    def use(self, url, **more):
        return self.serve.call("proxy_set_upstream", proxy_url=url, **more)

    def get(self, url, serve=None, **kwargs):
        return (serve or self.serve).curl("--include", "--suppress-connect-headers", url, check=0, **kwargs).stdout

    def proxy_of(self, path, serve=None):
        record = (serve or self.serve).exchange(path, include=["connection"])
        return record["connection"]["upstream"].get("proxy")

    def way_of(self, path, serve=None, origin=None):
        """Which proxy a request goes through; None: directly."""
        self.assertIn("hello from the origin", self.get((origin or self.origin).url(path), serve))
        return self.proxy_of(path, serve)


class Socks(UpstreamTest):
    def test_every_kind_of_socks_carries_http_and_https(self):
        for url in (self.danted().url("socks4"), self.danted().url("socks5"),
                    self.danted().url("socks5h"), self.danted().url("socks"), self.socks().url("socks5"),
                    self.socks().url("socks5h"), self.socks(PASSWORD).url("socks5", USER, PASSWORD),
                    self.socks(PASSWORD).url("socks5h", USER, PASSWORD)):
            self.use(url)
            shown = self.serve.call("proxy_status")["globalUpstream"]["proxyUrl"]
            self.assertNotIn("hunter2", shown)
            for origin in (self.origin, self.plain):
                with self.subTest(shown, scheme=origin.scheme):
                    self.assertEqual(self.way_of(f"/hello?{shown.replace(':', '-')}-{origin.scheme}", origin=origin), shown)

    def test_http2_and_websockets_pass(self):
        h2 = H2Origin(needs_node(), self.fakes.leaf("localhost"))
        self.addCleanup(h2.close)
        self.use(self.socks().url())
        done = self.serve.curl("--http2", "--suppress-connect-headers", "-i", f"https://localhost:{h2.port}/?h2", check=0)
        self.assertTrue(done.stdout.startswith("HTTP/2 "), done.stdout)
        self.assertEqual(self.serve.exchange("?h2", include=["connection"])["connection"]["upstream"]["tls"]["alpn"], "h2")
        self.origin.routes["/ws"] = WebSocketServer()
        sock = WebSocketClient(self.client(), f"localhost:{self.origin.port}", "/ws")
        sock.send(TEXT, b"over socks")
        self.assertIn(b"over socks", sock.read().payload)
        sock.close(1000)

    def test_raw_octets_pass_and_the_server_may_speak_first(self):
        echo = Talker(greet_and_echo)
        self.addCleanup(echo.close)
        other = Serve()  # danted has no SOCKS4a
        self.addCleanup(other.stop)
        for url in (self.socks().url(), f"socks4a://localhost:{other.proxy_port}", self.danted().url("socks4"),
                    self.squid().url()):
            self.use(url)
            for way in ("connect", "socks"):
                with self.subTest(url, way=way):
                    client = self.serve.client()
                    self.addCleanup(client.close)
                    if way == "connect":
                        self.assertEqual(client.connect_through(f"localhost:{echo.port}").status, 200)
                    else:
                        client.send(b"\5\1\0\5\1\0\3\x09localhost" + echo.port.to_bytes(2, "big"))
                        client.read_exactly(2 + 10)
                    self.assertEqual(client.read_exactly(11), b"220 ready\r\n")
                    client.send(b"\0\1 raw \xff")
                    self.assertEqual(client.read_exactly(8), b"\0\1 raw \xff")
                    client.close()
        rows = poll(lambda: [r for r in self.serve.traffic(limit=100) if r["protocol"] == "tcp"][7:], what="the records")
        record = self.serve.call("proxy_get_exchange", exchange_id=rows[-1]["id"], include=["connection"])["exchange"]
        self.assertEqual(record["connection"]["upstream"]["proxy"], self.squid().url() + "/")

    def test_a_socks_client_is_served_by_a_proxy_that_makes_no_tunnel_to_plain_http(self):
        squid = Squid(needs("squid", "squid-openssl"), plain_ports=[self.plain.port])
        self.addCleanup(squid.close)
        self.use(squid.url())
        done = run(needs("curl"), "-sS", "--max-time", "20", "--noproxy", "", "--socks5-hostname",
                   f"127.0.0.1:{self.serve.proxy_port}", self.plain.url("/hello?socks"), check=0)
        self.assertEqual(done.stdout, "hello from the origin\n")
        client = self.serve.client()  # through one that does, the tunnel at hand is used
        self.addCleanup(client.close)
        self.use(self.squid().url())
        client.send(b"\5\1\0\5\1\0\3\x09localhost" + self.plain.port.to_bytes(2, "big"))
        client.read_exactly(12)
        for number in range(2):
            client.send(b"GET /hello?%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (number, self.plain.port))
            self.assertEqual(client.read_answer().status, 200)

    def test_wrong_credentials_and_refusals_say_so(self):
        gone, http = free_port(), Lying(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.addCleanup(http.close)
        for url, path, code, words in (
                (self.socks(PASSWORD).url("socks5h", USER, "hunter3"), "wrong", "upstream_proxy_auth", "refused the user"),
                (self.socks(PASSWORD).url("socks5h"), "none", "upstream_proxy_auth", "authentication"),
                (self.socks(PASSWORD).url("socks5h", "justme"), "half", "upstream_proxy", "or neither"),
                (f"socks5h://127.0.0.1:{gone}", "gone", "upstream_proxy", "cannot be reached"),
                (f"socks5h://127.0.0.1:{http.port}", "http", "upstream_proxy", "does not speak SOCKS5")):
            with self.subTest(path):
                self.use(url)
                page = self.get(self.origin.url(f"/hello?{path}"))
                self.assertIn("502", page.partition("\n")[0])
                self.assertIn(words, page)
                self.assertNotIn("hunter3", page)
                self.assertEqual(self.serve.exchange(f"?{path}")["error"]["code"], code)
        self.use(self.socks().url())
        page = self.get(f"https://127.0.0.1:{gone}/hello?refused")
        self.assertIn("refused", page)
        self.assertEqual(self.serve.exchange("?refused")["error"]["code"], "upstream_proxy_refused")
        self.assertEqual(self.origin.requests, [])

    def test_names_are_left_to_the_proxy_where_the_scheme_says_so(self):
        for scheme, local in (("socks5h", False), ("socks4a", False), ("socks5", True), ("socks4", True)):
            liar = Lying(b"", ends=True)
            self.addCleanup(liar.close)
            self.use(f"{scheme}://127.0.0.1:{liar.port}")
            page = self.get("http://nowhere.invalid/")
            heard = b"".join(liar.heard)
            if local:
                self.assertEqual((heard, "resolve" in page), (b"", True), scheme)
            elif scheme == "socks4a":
                self.assertIn(b"nowhere.invalid", heard)


class Table(UpstreamTest):
    def test_overrides_and_bypasses_decide_by_host(self):
        squid, socks = self.squid(), self.socks()
        self.use(squid.url(), no_proxy=["127.0.0.1:1", "[::1]", "direct.example"])
        at = f"127.0.0.1:{self.origin.port}"
        ip = f"https://{at}"
        self.assertEqual(self.way_of("/hello?global"), squid.url() + "/")
        answer = self.serve.call("proxy_set_host_upstream", hostname="LocalHost", proxy_url=socks.url())
        self.assertEqual(answer, {"status": "success", "message": f"Upstream for 'LocalHost' set to {socks.url()}"})
        self.assertEqual(self.way_of("/hello?host"), socks.url())
        self.assertIn("hello", self.get(ip + "/hello?address"))
        self.assertEqual(self.proxy_of("?address"), squid.url() + "/")
        self.use(squid.url(), no_proxy=["127.0.0.0/8"])
        self.assertIn("hello", self.get(ip + "/hello?block"))
        self.assertIsNone(self.proxy_of("?block"))
        self.serve.call("proxy_set_host_upstream", hostname="localhost", proxy_url=socks.url(), no_proxy=["*"])
        self.assertIsNone(self.way_of("/hello?bypassed"))  # directly, not through the global one
        status = self.serve.call("proxy_status")
        self.assertEqual(status["hostUpstreams"], {"localhost": {"proxyUrl": socks.url(), "noProxy": ["*"]}})
        self.assertEqual(self.serve.call("proxy_remove_host_upstream", hostname="LOCALHOST")["message"],
                         "Upstream override for 'LOCALHOST' removed.")
        self.assertEqual(self.way_of("/hello?removed"), squid.url() + "/")
        self.assertEqual(self.serve.call("proxy_clear_upstream")["message"], "Global upstream cleared.")
        self.assertEqual(self.serve.call("proxy_clear_upstream")["message"], "Global upstream cleared.")
        self.assertIsNone(self.way_of("/hello?cleared"))

    def test_suffixes_and_the_wildcard(self):
        for host in ("*", "*.example"):
            self.serve.call("proxy_set_host_upstream", hostname=host, proxy_url="socks5h://127.0.0.1:9")
        self.serve.call("proxy_set_host_upstream", hostname="localhost", proxy_url=self.socks().url())
        self.assertEqual(self.way_of("/hello?specific"), self.socks().url())
        self.assertIn("502", self.get("http://a.b.example/").partition("\n")[0])
        for host in ("exa mple", "h:80", "*.", "a.*.b", ""):
            with self.assertRaises(ToolError):
                self.serve.call("proxy_set_host_upstream", hostname=host, proxy_url="socks5h://127.0.0.1:9")

    def test_rules_and_mocks_need_no_upstream(self):
        self.use("http://127.0.0.1:9")
        self.add_rule({"hostname": "mocked.example"}, {"type": "mock", "status": 200, "body": "mocked\n"})
        self.assertEqual(self.serve.curl("https://mocked.example/", check=0).stdout, "mocked\n")

    def test_a_forwarded_request_goes_by_where_it_goes_to(self):
        self.serve.call("proxy_set_host_upstream", hostname="localhost", proxy_url=self.squid().url())
        self.add_rule({"hostname": "elsewhere.example"}, {"type": "forward", "forwardTo": self.plain.url("")})
        self.assertIn("hello", self.get("http://elsewhere.example/hello?forwarded"))
        self.assertEqual(self.proxy_of("?forwarded"), self.squid().url() + "/")

    def test_clients_on_other_machines_reach_nothing_more_through_a_proxy(self):
        """A load balancer's header makes a client one of another machine."""
        for proxy in (self.squid().url(), self.socks().url()):
            with Serve("--proxy-protocol", "127.0.0.1", "--allow-client", "192.0.2.0/24", "--upstream", proxy) as serve:
                for host in ("127.0.0.1", "localhost", "169.254.169.254", "[::1]"):
                    with self.subTest(proxy, host=host):
                        client = serve.client()
                        self.addCleanup(client.close)
                        client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 1000 8080\r\n" +
                                    f"GET http://{host}:{self.plain.port}/hello HTTP/1.1\r\n"
                                    f"Host: {host}:{self.plain.port}\r\n\r\n".encode())
                        self.assertEqual(client.read_answer().status, 403)
        self.assertEqual(self.plain.requests, [])

    def test_our_own_ports_are_not_reached_through_a_proxy_either(self):
        self.use(self.squid().url())
        page = self.get(f"http://127.0.0.1:{self.serve.proxy_port}/hello")
        self.assertIn("508", page.partition("\n")[0])


class Flags(UpstreamTest):
    def started(self, *flags, **environment):
        serve = Serve("--upstream-ca", self.fakes.pem, *flags, env=clean_environment(**environment))
        self.addCleanup(serve.stop)
        return serve

    def test_the_environment_is_used_only_when_asked(self):
        squid, socks = self.squid(), self.socks()
        environment = {"http_proxy": f"localhost:{squid.port}", "HTTPS_PROXY": socks.url(), "no_proxy": "127.0.0.0/8, .x"}
        ignoring = self.started(**environment)
        self.assertIsNone(self.way_of("/hello?ignored", ignoring))
        self.assertIn("--upstream env", ignoring.output())
        using = self.started("--upstream", "env", **environment)
        self.assertEqual(self.way_of("/hello?env-s", using), socks.url())
        self.assertEqual(self.way_of("/hello?env-p", using, self.plain), squid.url() + "/")
        self.assertIn("hello", self.get(f"http://127.0.0.1:{self.plain.port}/hello?env-direct", using))
        self.assertIsNone(self.proxy_of("?env-direct", using))
        self.assertNotIn("ignores", using.output())
        status = using.call("proxy_status")["globalUpstream"]
        self.assertEqual(status["byScheme"], {"http": squid.url() + "/", "https": socks.url()})
        using.call("proxy_clear_upstream")
        self.assertIsNone(self.way_of("/hello?env-cleared", using))

    def test_lower_case_comes_first_and_all_proxy_is_for_the_rest(self):
        serve = self.started("--upstream", "env", http_proxy=self.squid().url(), HTTP_PROXY="http://127.0.0.1:9",
                             ALL_PROXY=self.socks().url())
        self.assertEqual(self.way_of("/hello?lower", serve, self.plain), self.squid().url() + "/")
        self.assertEqual(self.way_of("/hello?all", serve), self.socks().url())

    def test_flags_and_the_configuration_set_upstreams(self):
        home = self.directory / "configured"
        home.mkdir(0o700)
        (home / "config.yaml").write_text(f"serve:\n  upstream: {self.squid().url()}\n"
                                          f"  upstream-no-proxy: [127.0.0.1, 'direct.example,10.0.0.0/8']\n"
                                          f"  host-upstream: ['*.example={self.socks().url()}']\n")
        serve = Serve("--upstream-ca", self.fakes.pem, home=home, directory=self.directory)
        self.addCleanup(serve.stop)
        status = serve.call("proxy_status")
        self.assertEqual(status["globalUpstream"], {"proxyUrl": self.squid().url() + "/",
                                                    "noProxy": ["127.0.0.1", "direct.example", "10.0.0.0/8"]})
        self.assertEqual(status["hostUpstreams"], {"*.example": {"proxyUrl": self.socks().url()}})
        self.assertEqual(self.way_of("/hello?configured", serve), self.squid().url() + "/")
        self.assertIn(f"upstream {self.squid().url()}/", serve.output())

    def test_wrong_flags_end_with_a_sentence_without_secrets(self):
        missing = self.directory / "missing"
        for flags, words in ((("--upstream", "http://u:hunter2@"), "--upstream is not a parseable URL"),
                             (("--upstream", "ftp://u:hunter2@h"), "none of http"),
                             (("--upstream", "http://h", "--upstream-no-proxy", "a b"), "'a b'"),
                             (("--upstream-no-proxy", "h"), "--upstream-no-proxy goes with --upstream"),
                             (("--host-upstream", "http://h"), "--host-upstream takes HOST=URL"),
                             (("--host-upstream", "a b=http://h"), "'a b'"),
                             (("--upstream-password", "h"), "--upstream-password takes HOST=FILE"),
                             (("--upstream-password", f"h={missing}"), str(missing))):
            with self.subTest(flags):
                done = sluice("serve", "--proxy-port", "0", "--control-port", "0", *flags, home=self.directory / "wrong")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
                self.assertNotIn("hunter2", done.stderr)


class Http2Clients(UpstreamTest):
    """Their requests end at a proxy that forwards plain HTTP where a rule sends them there."""

    def guarded(self, kind="both"):
        return self.child(f"guarded {kind}", lambda: Squid(needs("squid", "squid-openssl"), auth=kind))

    def ask(self, *arguments, path="/hello"):
        return self.serve.curl("--http2", "--suppress-connect-headers", "-i", *arguments, f"https://h2.example{path}",
                               check=0).stdout

    def setUp(self):
        super().setUp()
        self.add_rule({"hostname": "h2.example"}, {"type": "forward", "forwardTo": self.plain.url("")})

    def test_challenges_are_answered_for_them(self):
        for kind in ("basic", "digest"):
            self.use(self.guarded(kind).url(USER, PASSWORD))
            for arguments in ((), ("--data-binary", "x" * 2000), ("-X", "PUT", "--data-binary", "y")):
                page = self.ask(*arguments, path=f"/hello?{kind}")
                self.assertTrue(page.startswith("HTTP/2 200"), page)
            self.assertEqual(self.proxy_of(f"?{kind}"), self.guarded(kind).url(USER).replace("@", ":***@") + "/")

    def test_a_refusal_is_a_page_for_them(self):
        self.use(self.guarded().url(USER, "wrong-hunter3"))
        page = self.ask(path="/hello?refused")
        self.assertTrue(page.startswith("HTTP/2 502"), page)
        self.assertIn("refused the user name or password", page)
        self.assertEqual(self.serve.exchange("?refused")["error"]["code"], "upstream_proxy_auth")

    def test_each_stream_goes_by_the_table_of_its_time(self):
        origin = H2Origin(needs_node(), self.fakes.leaf("localhost"))
        self.addCleanup(origin.close)
        authority = f"localhost:{origin.port}"
        raw = self.serve.tunnel(authority, alpn=["h2"])
        self.addCleanup(raw.close)
        client = h2.H2Raw(raw)
        seen = []
        for stream, upstream in ((1, None), (3, self.squid().url()), (5, self.socks().url()), (7, None)):
            if upstream:
                self.use(upstream)
            else:
                self.serve.call("proxy_clear_upstream")
            path = f"/hello?stream{stream}".encode()
            client.send(h2.head(stream, h2.request(path=path, authority=authority.encode())))
            self.assertIsNotNone(client.status(stream))
            seen.append(self.proxy_of(f"?stream{stream}"))
        self.assertEqual(seen, [None, self.squid().url() + "/", self.socks().url(), None])
