"""Redirected connections, between network namespaces that the test makes itself: iptables and ip6tables REDIRECT on a
gateway, clients that know of no proxy, servers behind it (docs/modes.md)."""
import pathlib
import shutil
import socket
import tempfile
import threading
import unittest

import namespaces
from harness import Serve, ToolError, free_port, needs, poll, run  # first: it knows where the fakes are
from fakes.closing import close_listener
from fakes.listen import Talker
from fakes.origin import Origin
from fakes.pki import TestAuthority
from fakes.raw import RawClient
from namespaces import Net, inside

MARK = "0x51"


class GatewayServe(Serve):
    """`sluice serve` on the gateway; its tools are called from there."""

    def __init__(self, net, *flags, **kwargs):
        self.net = net
        super().__init__(*flags, prefix=net.prefix(net.gateway), **kwargs)

    def post(self, *args, **kwargs):
        with inside(self.net.gateway):
            return super().post(*args, **kwargs)


class Transparent(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        namespaces.require()
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.net = cls.enterClassContext(Net())
        cls.fakes = TestAuthority(cls.directory / "fakes")
        tls = cls.fakes.server_context("site.test", "localhost", Net.V4, Net.V6)
        with inside(cls.net.server):
            cls.origins = {(scheme, family): Origin(tls if scheme == "https" else None, host)
                           for scheme in ("http", "https") for family, host in ((4, Net.V4), (6, Net.V6))}
            cls.closed = {4: free_port(Net.V4), 6: free_port(Net.V6)}
        for origin in cls.origins.values():
            cls.addClassCleanup(origin.close)
        with inside(cls.net.gateway):
            cls.port = free_port()
            cls.proxy_port = free_port(Net.GATEWAY4)
        cls.serve = GatewayServe(
            cls.net, "--upstream-ca", cls.fakes.pem, "--transparent", f"0.0.0.0:{cls.port}", "--transparent",
            f"[::]:{cls.port}", "--allow-client", Net.CLIENT4, "--allow-client", f"{Net.CLIENT6}/64", "--listen",
            "127.0.0.1:0", "--listen", f"{Net.GATEWAY4}:{cls.proxy_port}", "--mark", MARK, directory=cls.directory)
        cls.addClassCleanup(cls.serve.stop)
        cls.net.rule("-A", "PREROUTING", "-i", "cg1", "-p", "tcp", "!", "--dport", str(cls.proxy_port), "-j", "REDIRECT",
                     "--to-ports", str(cls.port))

    def tearDown(self):
        self.assertIsNone(self.serve.process.poll(), "serve ended by itself")

    def curl(self, *arguments, where=None, prefix=(), seconds=20, **kwargs):
        return run(*self.net.prefix(where or self.net.client), *prefix, needs("curl"), "--silent", "--show-error",
                   "--max-time", seconds, "--noproxy", "*", "--cacert", self.serve.ca, *arguments, seconds=seconds + 5,
                   **kwargs)

    def named(self, origin, path):
        """An URL by name, and how curl is to find the address."""
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        return (f"{origin.scheme}://site.test:{origin.port}{path}", "--resolve", f"site.test:{origin.port}:{host}")

    def connect(self, host, port, where=None):
        with inside(where or self.net.client):
            client = RawClient(host, port)
        self.addCleanup(client.sock.close)
        return client

    def test_http_and_https_over_both_families_with_no_word_of_a_proxy(self):
        for (scheme, family), origin in self.origins.items():
            with self.subTest(scheme, family=family):
                path = f"/hello?{scheme}{family}"
                done = self.curl(f"-{family}", *self.named(origin, path), check=0)
                self.assertEqual(done.stdout, "hello from the origin\n")
                record = self.serve.exchange(path, include=["connection"])
                self.assertEqual(record["source"], "transparent")
                self.assertEqual(record["request"]["url"], f"{scheme}://site.test:{origin.port}{path}")
                self.assertEqual(record["anomalies"], [])
                client, upstream = record["connection"]["client"], record["connection"]["upstream"]
                self.assertEqual(client["clientAddress"], Net.CLIENT4 if family == 4 else Net.CLIENT6)
                self.assertEqual(client["listenerPort"], self.port)
                self.assertIn(origin.host, client["destination"])
                self.assertEqual((upstream["address"], upstream["port"]), (origin.host, origin.port))
                if scheme == "https":
                    self.assertTrue(record["connection"]["upstream"]["tls"]["verified"])
                    self.assertEqual(record["tls"]["client"]["sniHostname"], "site.test")

    def test_an_address_without_a_name_is_served_too(self):
        for family, host in ((4, Net.V4), (6, f"[{Net.V6}]")):
            origin = self.origins["https", family]
            done = self.curl(f"https://{host}:{origin.port}/hello?nameless{family}", check=0)
            self.assertEqual(done.stdout, "hello from the origin\n")
            record = self.serve.exchange(f"nameless{family}")
            self.assertEqual(record["request"]["hostname"], origin.host)
            self.assertNotIn("sniHostname", record["tls"]["client"])

    def test_rules_hold_and_a_dead_server_is_a_page(self):
        rule = self.serve.call("proxy_mock_response", hostname="mocked.test", status=200, body="mocked")["rule_id"]
        try:
            for scheme in ("http", "https"):
                done = self.curl(f"{scheme}://mocked.test:{self.closed[4]}/", "--resolve",
                                 f"mocked.test:{self.closed[4]}:{Net.V4}", check=0)
                self.assertEqual(done.stdout, "mocked")
        finally:
            self.serve.call("proxy_remove_rule", rule_id=rule)
        for family, host in ((4, Net.V4), (6, f"[{Net.V6}]")):
            done = self.curl(f"http://{host}:{self.closed[family]}/", "-w", " %{http_code}", check=0)
            self.assertIn("connection refused", done.stdout)
            self.assertTrue(done.stdout.endswith(" 502"))

    def test_redirected_connections_go_through_an_upstream_proxy(self):
        asked = []

        def tunnel(sock):
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
            authority = head.split()[1].decode()
            asked.append(authority)
            host, port = authority.rsplit(":", 1)
            with socket.create_connection((host.strip("[]"), int(port))) as there:
                sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=copy, args=(there, sock), daemon=True)
                back.start()
                copy(sock, there)
                back.join(20)

        def copy(a, b):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

        with inside(self.net.server):
            proxy = Talker(tunnel, host=Net.V4)
        self.addCleanup(proxy.close)
        self.serve.call("proxy_set_upstream", proxy_url=f"http://{Net.V4}:{proxy.port}")
        try:
            for family in (4, 6):
                origin = self.origins["https", family]
                path = f"/hello?through{family}"
                self.assertEqual(self.curl(f"-{family}", *self.named(origin, path)).stdout, "hello from the origin\n")
                host = Net.V4 if family == 4 else f"[{Net.V6}]"
                self.assertEqual(asked[-1], f"{host}:{origin.port}")  # where the client went, not where names lead
                self.assertEqual(self.serve.exchange(path)["source"], "transparent")
        finally:
            self.serve.call("proxy_clear_upstream")

    def test_raw_octets_and_a_server_that_speaks_first(self):
        def talk(sock):
            sock.sendall(b"220 ready\r\n")
            sock.sendall(b"you said " + sock.recv(1000))

        for host in (Net.V4, Net.V6):
            with self.subTest(host), inside(self.net.server):
                listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.addCleanup(close_listener, listener)

            def serve():
                sock, _ = listener.accept()
                with sock:
                    talk(sock)

            threading.Thread(target=serve, daemon=True).start()
            client = self.connect(host, listener.getsockname()[1])
            self.assertEqual(client.read_until(b"\r\n"), b"220 ready\r\n")
            client.send(b"\x05\x01\x00 raw")  # not SOCKS here: that belongs to whom it was sent
            self.assertEqual(client.read_rest()[0], b"you said \x05\x01\x00 raw")
            client.sock.close()
            record = self.serve.exchange(f":{listener.getsockname()[1]}")
            self.assertEqual((record["protocol"], record["source"], record["state"]), ("tcp", "transparent", "done"))
            self.assertIn("220 ready", record["response"]["bodyPreview"])
            self.assertIn(" raw", record["request"]["bodyPreview"])

    def test_traffic_can_be_listed_by_source(self):
        origin = self.origins["http", 4]
        self.curl(*self.named(origin, "/hello?redirected"), check=0)
        run(*self.net.prefix(self.net.gateway), needs("curl"), "-sS", "--proxy", self.serve.proxy_url, "--noproxy", "",
            f"http://{origin.host}:{origin.port}/hello?explicit", check=0)
        for path, source in (("redirected", "transparent"), ("explicit", "explicit")):
            self.assertEqual(self.serve.exchange(path)["source"], source)
            listed = self.serve.traffic(source_filter=source, limit=1000)
            self.assertIn(path, str([row["url"] for row in listed]))
            self.assertEqual({row["source"] for row in listed}, {source})

    def test_a_client_that_may_not_come_in_gets_a_page(self):
        origin = self.origins["http", 4]
        done = self.curl(*self.named(origin, "/hello?stranger"), "--interface", Net.CLIENT4_OTHER, "-w", " %{http_code}",
                         check=0)
        self.assertIn("may not use the proxy", done.stdout)
        self.assertTrue(done.stdout.endswith(" 403"))
        self.assertNotEqual(self.curl(*self.named(self.origins["https", 4], "/"), "--interface",
                                      Net.CLIENT4_OTHER).returncode, 0)
        record = self.serve.exchange("/hello?stranger")
        self.assertEqual(record["error"]["code"], "client_not_allowed")
        self.assertEqual([r for r in origin.requests if b"stranger" in r.head], [])

    def test_who_comes_without_redirection_is_sent_where_host_and_server_name_say(self):
        with inside(self.net.gateway):
            plain = Origin(None, "127.0.0.1")
            tls = Origin(self.fakes.server_context("localhost"), "127.0.0.1", port=443)
        for origin in (plain, tls):
            self.addCleanup(origin.close)
        local = self.net.gateway
        done = self.curl(f"http://localhost:{self.port}/hello?by-host", "-H", f"Host: localhost:{plain.port}", where=local,
                         check=0)
        self.assertEqual(done.stdout, "hello from the origin\n")
        done = self.curl(f"https://localhost:{self.port}/hello?by-name", "-H", "Host: localhost", where=local, check=0)
        self.assertEqual(done.stdout, "hello from the origin\n")
        self.assertEqual(self.serve.exchange("by-name", include=["connection"])["connection"]["upstream"]["port"], 443)
        done = self.curl(f"http://127.0.0.1:{self.port}/", "-w", " %{http_code}", where=local, check=0)
        self.assertTrue(done.stdout.endswith(" 508"), done.stdout)  # itself
        client = self.connect("127.0.0.1", self.port, where=local)
        client.send(b"\x00nothing known")
        self.assertEqual(client.read_rest(), (b"", "reset"))
        # A machine beyond reaches nothing of the gateway's own by such names.
        done = self.curl(f"http://{Net.GATEWAY4}:{self.port}/hello", "-H", f"Host: localhost:{plain.port}", "-w",
                         " %{http_code}", check=0)
        self.assertTrue(done.stdout.endswith(" 403"), done.stdout)

    def test_the_gateways_own_traffic_is_redirected_but_for_what_sluice_sends(self):
        origin = self.origins["https", 4]
        spared = ("-p", "tcp", "-d", "{net}", "-m", "mark", "!", "--mark", MARK, "-j", "REDIRECT", "--to-ports",
                  str(self.port))
        by_owner = ("-p", "tcp", "-d", "{net}", "-m", "owner", "!", "--uid-owner", "0", "-j", "REDIRECT", "--to-ports",
                    str(self.port))
        # Sluice runs as root here; its client as somebody else.
        for rule, prefix in ((spared, ()), (by_owner, ("setpriv", "--reuid=65534", "--clear-groups"))):
            with self.subTest(rule[5]):
                self.output_rule("-A", rule)
                try:
                    for family in (4, 6):
                        origin = self.origins["https", family]
                        path = f"/hello?own-{rule[5]}{family}"
                        ca = self.directory / "public-ca.pem"
                        ca.write_text(pathlib.Path(self.serve.ca).read_text())
                        ca.chmod(0o644)
                        self.directory.chmod(0o755)
                        done = self.curl(*self.named(origin, path), "--cacert", ca, where=self.net.gateway, prefix=prefix,
                                         check=0)
                        self.assertEqual(done.stdout, "hello from the origin\n")
                        self.assertEqual(self.serve.exchange(path)["source"], "transparent")
                finally:
                    self.output_rule("-D", rule)

    def output_rule(self, action, rule):
        for program, net in (("iptables", "10.77.2.0/24"), ("ip6tables", "fd77:2::/64")):
            self.net.run(self.net.gateway, program, "-w", "-t", "nat", action, "OUTPUT",
                         *[part.format(net=net) for part in rule])

    def test_its_own_connections_are_known_when_they_come_back(self):
        with inside(self.net.server):  # nobody's yet: no connection to them is pooled
            origins = [Origin(None, Net.V4), Origin(None, Net.V6)]
        for origin in origins:
            self.addCleanup(origin.close)
        everything = ("-p", "tcp", "-d", "{net}", "-j", "REDIRECT", "--to-ports", str(self.port))
        self.output_rule("-A", everything)
        try:
            before = self.serve.call("proxy_transparent_status")["trafficCount"]
            for origin in origins:
                done = self.curl(*self.named(origin, "/hello?round"), "-w", " %{http_code}", check=0)
                self.assertTrue(done.stdout.endswith(" 508"), done.stdout)
                self.assertIn("redirected back", done.stdout)
                self.assertEqual(origin.accepted, 0)
                client = self.connect(origin.host, origin.port)
                client.send(b"\x00raw")
                self.assertEqual(client.read_rest()[0], b"")
            codes = poll(lambda: [r["error"]["code"] for r in self.serve.traffic(limit=1000) if r.get("error")], 5, "it")
            self.assertIn("loop", codes)
            # Each was seen to be its own at once: it went round no second time.
            self.assertLess(self.serve.call("proxy_transparent_status")["trafficCount"] - before, 16)
        finally:
            self.output_rule("-D", everything)

    def test_the_tools_stop_and_start_it(self):
        origin = self.origins["http", 4]
        status = self.serve.call("proxy_transparent_status")
        self.assertEqual((status["running"], status["port"]), (True, self.port))
        with self.assertRaisesRegex(ToolError, "already running"):
            self.serve.call("proxy_start_transparent")
        self.assertIn("stopped", self.serve.call("proxy_stop_transparent")["message"])
        try:
            self.assertEqual(self.curl(*self.named(origin, "/hello?closed")).returncode, 7)  # refused
            with self.assertRaisesRegex(ToolError, "not running"):
                self.serve.call("proxy_stop_transparent")
            self.assertFalse(self.serve.call("proxy_transparent_status")["running"])
            self.assertTrue(self.serve.call("proxy_status")["running"])  # the explicit one goes on
        finally:
            started = self.serve.call("proxy_start_transparent", port=self.port)
        self.assertEqual(started["port"], self.port)
        self.assertIn(f"--to-ports {self.port}", started["instructions"][0])
        self.assertEqual(self.serve.call("proxy_transparent_status")["trafficCount"], 0)
        self.assertEqual(self.curl(*self.named(origin, "/hello?open"), check=0).stdout, "hello from the origin\n")
        poll(lambda: self.serve.call("proxy_transparent_status")["trafficCount"] == 1, 5, "one exchange")

    def test_a_remote_client_of_the_explicit_port_reaches_no_loopback(self):
        with inside(self.net.gateway):
            private = Origin(None, "127.0.0.1")
        self.addCleanup(private.close)
        proxy = ("--noproxy", "", "--proxy", f"http://{Net.GATEWAY4}:{self.proxy_port}", "-w", " %{http_code}")
        done = self.curl(f"http://127.0.0.1:{private.port}/hello", *proxy, check=0)
        self.assertTrue(done.stdout.endswith(" 403"), done.stdout)
        done = self.curl(self.origins["http", 4].url("/hello", Net.V4), *proxy, check=0)
        self.assertEqual(done.stdout, "hello from the origin\n 200")
        self.assertEqual(private.accepted, 0)


class RemoteClientsWithAPassword(unittest.TestCase):
    """--proxy-auth opens the explicit listener to other machines, as --allow-client does."""

    def test_they_come_in_with_it_and_not_without(self):
        namespaces.require()
        directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        net = self.enterContext(Net())
        with inside(net.server):
            origin = Origin(None, Net.V4)
        self.addCleanup(origin.close)
        password = directory / "password"
        password.write_text("s3cret\n")
        password.chmod(0o600)
        with GatewayServe(net, "--listen", "0.0.0.0:0", "--proxy-auth", f"agent:{password}",
                          directory=directory) as serve:
            def ask(*more):
                return run(*net.prefix(net.client), needs("curl"), "-sS", "--max-time", 10, "--noproxy", "",
                           "-o", "/dev/null", "-w", "%{http_code}", origin.url("/hello", Net.V4), *more)
            proxy = f"{Net.GATEWAY4}:{serve.proxy_port}"
            self.assertEqual(ask("--proxy", f"http://{proxy}").stdout, "407")
            self.assertEqual(ask("--proxy", f"http://agent:s3cret@{proxy}").stdout, "200")
            self.assertEqual(ask("--proxy", f"socks5://{proxy}").returncode, 97)
            self.assertEqual(ask("--proxy", f"socks5h://agent:s3cret@{proxy}").stdout, "200")


if __name__ == "__main__":
    unittest.main()
