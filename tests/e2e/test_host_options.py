"""Options of hosts, live and from the start: certificates, interception, records, paths that lead nowhere (engine.md 6).
Old servers and client certificates are in test_host_options_tls.py."""
import json
import os
import pathlib
import shutil
import ssl
import tempfile
import unittest

from harness import E2E, SLUICE, Serve, ToolError, free_port, poll, run, sluice  # first: it knows where the fakes are
from fakes.h2_raw import H2Raw, head, request
from fakes.origin import Origin
from fakes.pki import TestAuthority
from fakes.raw import context


class Options(E2E):
    """A serve with one allowed root, and a CA that it does not trust."""

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e-root."))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.flags = ("--allow-root", str(cls.root), *cls.more_flags())
        super().setUpClass()
        cls.stranger = TestAuthority(cls.root / "stranger", "Stranger")

    @classmethod
    def more_flags(cls):
        return ()

    def set(self, host="localhost", serve=None, **options):
        serve = serve or self.serve
        answer = serve.call("proxy_set_host_options", host=host, **options)
        if serve is self.serve:
            self.addCleanup(self.forget, host)
        return answer

    def forget(self, host):
        try:
            self.serve.call("proxy_remove_host_options", host=host)
        except ToolError:
            pass

    def refused(self, host="localhost", **options):
        """The error of a setting that must change nothing."""
        before = self.serve.call("proxy_list_host_options")
        with self.assertRaises(ToolError) as caught:
            self.serve.call("proxy_set_host_options", host=host, **options)
        self.assertEqual(self.serve.call("proxy_list_host_options"), before)
        return str(caught.exception)

    def strange_origin(self, *names, **kwargs):
        """Its certificate is the stranger's."""
        kwargs.setdefault("alpn", ("http/1.1",))
        origin = Origin(self.stranger.server_context(*names, **kwargs))
        self.addCleanup(origin.close)
        return origin

    def ask(self, client, path="/hello", method="GET", more=""):
        client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
        return client.read_answer(method == "HEAD")

    def get(self, origin, path="/hello", serve=None):
        """On a connection of its own."""
        client = (serve or self.serve).tunnel(f"localhost:{origin.port}")
        try:
            return self.ask(client, path)
        finally:
            client.close()


class Certificates(Options):
    def test_the_page_names_the_tool_and_the_same_connection_goes_on(self):
        origin = Origin(self.fakes.server_context(leaf=self.fakes.leaf("localhost", self_signed=True)))
        self.addCleanup(origin.close)
        client = self.client(origin=origin)
        answer = self.ask(client)
        self.assertEqual((answer.status, answer.get("sluice-error"), answer.get("connection")), (502, "certificate", None))
        self.assertIn(b'proxy_set_host_options {"host": "localhost"', answer.body)
        message = self.serve.exchange(f":{origin.port}/hello")["error"]["message"]
        self.assertIn('call proxy_set_host_options {"host": "localhost", "ca_file": FILE}', message)
        self.assertIn('"verify_upstream": false', message)
        self.set(verify_upstream=False)
        self.assertEqual(self.ask(client).status, 200)
        self.serve.call("proxy_remove_host_options", host="localhost")
        answer = self.ask(client)
        self.assertEqual(answer.status, 502, "the connection that was made meanwhile is not used any more")
        self.set(verify_upstream=False)
        self.assertEqual(self.ask(client).status, 200)

    def test_the_same_over_http_2(self):
        for alpn in (("h2", "http/1.1"), ("http/1.1",)):
            with self.subTest(alpn):
                origin = self.strange_origin(alpn=("http/1.1",))
                client = self.client(origin=origin, alpn=["h2"])
                h2 = H2Raw(client)
                h2.send(head(1, request(path=b"/hello", authority=f"localhost:{origin.port}".encode())))
                self.assertEqual(h2.status(1), 502)
                self.set(verify_upstream=False)
                h2.send(head(3, request(path=b"/hello", authority=f"localhost:{origin.port}".encode())))
                self.assertEqual(h2.status(3), 200)
                self.forget("localhost")

    def test_a_request_with_a_body_gets_its_page_and_the_connection_ends(self):
        client = self.client(origin=self.strange_origin())
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome")
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.get("connection")), (502, "close"))

    def test_a_ca_is_trusted_for_its_host_alone_and_beside_the_others(self):
        origin = self.strange_origin("localhost", "other.test", "127.0.0.1")
        self.set(ca_file="stranger/ca.pem")
        self.assertEqual(self.get(origin).status, 200)
        self.assertEqual(self.get(self.origin).status, 200, "--upstream-ca still holds")
        client = self.serve.tunnel(f"127.0.0.1:{origin.port}", "other.test")
        self.addCleanup(client.close)
        self.assertEqual(self.ask(client).status, 502)
        tls = self.serve.exchange(f":{origin.port}", include=["connection"])["connection"]["upstream"]["tls"]
        self.assertFalse(tls["verified"])
        self.set("*.test", ca_file=str(self.root / "stranger/ca.pem"))
        self.assertEqual(self.ask(client).status, 200)

    def test_an_expired_certificate_needs_no_ca(self):
        origin = Origin(self.fakes.server_context(leaf=self.fakes.leaf("localhost", days=-1)))
        self.addCleanup(origin.close)
        body = self.get(origin).body.decode()
        self.assertIn('"verify_upstream": false} to accept it', body)
        self.assertNotIn("ca_file", body)

    def test_tickets_and_idle_connections_of_other_options_are_not_used(self):
        origin = self.strange_origin()
        self.set(verify_upstream=False)
        client = self.client(origin=origin)
        self.assertEqual(self.ask(client).status, 200)
        self.assertEqual(self.ask(client).status, 200)
        self.assertEqual(origin.accepted, 1)
        self.set(ca_file="stranger/ca.pem", reset=["verify_upstream"])
        self.assertEqual(self.ask(client, "/hello?trusted").status, 200)
        self.assertEqual(origin.accepted, 2)
        tls = self.serve.exchange("/hello?trusted", include=["connection"])["connection"]["upstream"]["tls"]
        self.assertEqual((tls["verified"], tls["resumed"]), (True, False))
        self.set(reset=["ca_file"], verify_upstream=True)
        self.assertEqual(self.ask(client).status, 502)

    def test_a_running_download_goes_on_whatever_changes(self):
        origin = self.strange_origin()
        self.set(verify_upstream=False)
        client = self.client(origin=origin)
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_until(b"0123456789")
        self.set(verify_upstream=True, tls="passthrough", record=False, alt_svc="keep", min_tls="1.3")
        self.forget("localhost")
        for _ in range(3):
            origin.gate.release()
        self.assertEqual(client.read_exactly(20), b"0123456789" * 2)
        self.assertEqual(self.serve.exchange(f":{origin.port}/slow")["state"], "done")


class Interception(Options):
    @classmethod
    def more_flags(cls):
        return ("--passthrough", "*.pinned.test", "--learn-passthrough")

    def relayed(self, name, origin):
        """Whether a client that trusts the origin's CA alone reaches it."""
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"127.0.0.1:{origin.port}")
        try:
            client.start_tls(name, context(self.fakes.pem))
        except ssl.SSLError:
            return False
        return self.ask(client).status == 200

    def test_pass_through_comes_and_goes_live(self):
        origin = self.new_origin("bank.test")
        self.assertFalse(self.relayed("bank.test", origin))
        self.set("bank.test", tls="passthrough")
        self.assertTrue(self.relayed("bank.test", origin))
        self.serve.call("proxy_remove_host_options", host="bank.test")
        self.assertFalse(self.relayed("bank.test", origin))

    def test_intercept_overrides_a_wider_entry_of_the_start(self):
        origin = self.new_origin("one.pinned.test", "two.pinned.test")
        self.assertTrue(self.relayed("one.pinned.test", origin))
        self.set("one.pinned.test", tls="intercept")
        self.assertFalse(self.relayed("one.pinned.test", origin))
        self.assertTrue(self.relayed("two.pinned.test", origin))
        entries = {x["host"]: x for x in self.serve.call("proxy_list_host_options")["options"]}
        self.assertEqual(entries["*.pinned.test"],
                         {"host": "*.pinned.test", "options": {"tls": "passthrough"}, "from": "start"})
        self.assertEqual(entries["one.pinned.test"]["from"], "tool")

    def test_intercept_overrides_what_was_learned_and_remove_forgets_it(self):
        origin = self.new_origin("learned.test")
        self.serve.tunnel(f"127.0.0.1:{origin.port}", "trusting.test").close()
        for _ in range(3):  # looks at the certificate and leaves
            self.serve.tunnel(f"127.0.0.1:{origin.port}", "learned.test").close()

        def listed():
            return [x for x in self.serve.call("proxy_list_host_options")["options"] if x["from"] == "learned"]
        entry = poll(listed, 10, "what was learned")[0]
        self.assertEqual((entry["host"], entry["options"], entry["clientAddress"]),
                         ("learned.test", {"tls": "passthrough"}, "127.0.0.1"))
        self.assertTrue(entry["ja4"] and entry["until"])
        self.set("learned.test", tls="intercept")
        client = self.serve.tunnel(f"127.0.0.1:{origin.port}", "learned.test")  # trusts Sluice alone
        self.addCleanup(client.close)
        self.assertEqual(self.ask(client).status, 200)
        self.assertEqual(self.serve.call("proxy_remove_host_options", host="learned.test")["removed"], 2)
        self.assertEqual(listed(), [])
        with self.assertRaises(ToolError) as gone:
            self.serve.call("proxy_remove_host_options", host="learned.test")
        self.assertIn("No options are set for 'learned.test'", str(gone.exception))

    def test_all_hosts_but_one(self):
        origin = self.new_origin("only.test", "others.test")
        self.set("*", tls="passthrough")
        self.set("only.test", tls="intercept")
        self.assertFalse(self.relayed("only.test", origin))
        self.assertTrue(self.relayed("others.test", origin))


class Records(Options):
    def urls(self):
        return [x["url"] for x in self.serve.traffic(limit=500)]

    def test_nothing_is_kept_of_a_host_and_rules_still_apply(self):
        self.set("quiet.test", record=False)
        self.add_rule({"urlPattern": "/mocked"}, {"type": "mock", "status": 418, "body": "tea"})
        origin = self.new_origin("quiet.test", "loud.test")
        before = self.serve.call("proxy_status")["capture"]["notRecorded"]
        for name, host in (("quiet.test", "quiet.test"), ("loud.test", "loud.test")):
            client = self.serve.tunnel(f"127.0.0.1:{origin.port}", name)
            self.addCleanup(client.close)
            for path, status in (("/hello?seen", 200), ("/mocked?seen", 418), ("/cut?seen", 200)):
                client.send(f"GET {path} HTTP/1.1\r\nHost: {host}:{origin.port}\r\n\r\n".encode())
                self.assertEqual(int(client.read_head().split()[1]), status)
                if status != 200 or "cut" not in path:
                    client.read_until(b"origin\n" if status == 200 else b"tea")
        poll(lambda: len([u for u in self.urls() if "loud.test" in u]) == 3, 10, "the other host's records")
        self.assertEqual([u for u in self.urls() if "quiet.test" in u and "seen" in u], [])
        self.assertEqual(self.serve.call("proxy_search_traffic", query="quiet.test", **{"in": ["headers"]})["total"], 0)
        self.assertEqual(self.serve.call("proxy_status")["capture"]["notRecorded"] - before, 3)
        self.assertNotIn("quiet.test", self.serve.output())

    def test_failures_and_passed_through_connections_are_not_kept_either(self):
        self.set("quiet.test", record=False)
        origin = self.new_origin("quiet.test")
        for tls in ("intercept", "passthrough"):
            self.set("quiet.test", tls=tls)
            client = self.serve.client()
            self.addCleanup(client.close)
            client.connect_through(f"127.0.0.1:{origin.port}")
            if tls == "intercept":
                with self.assertRaises(ssl.SSLError):
                    client.start_tls("quiet.test", context(self.fakes.pem))
            else:
                client.start_tls("quiet.test", context(self.fakes.pem))
                self.assertEqual(self.ask(client).status, 200)
            client.close()
        self.set("localhost", record=False)
        closed = free_port()
        self.assertEqual(self.serve.curl("-o", "/dev/null", "-w", "%{http_code}",
                                         f"http://localhost:{closed}/refused").stdout, "502")
        self.serve.curl(f"http://127.0.0.1:{closed}/loud")
        self.serve.exchange("/loud")
        left = [x for x in self.serve.traffic(limit=500)
                if str(origin.port) in x["url"] or f"localhost:{closed}" in x["url"]]
        self.assertEqual(left, [])

    def test_what_is_not_recorded_is_not_held(self):
        self.set(record=False)
        self.add_rule({"urlPattern": "/held-if-seen"}, {"type": "hold", "timeoutMs": 60_000})
        client = self.client()
        client.send(f"GET /held-if-seen HTTP/1.1\r\nHost: localhost:{self.origin.port}\r\n\r\n".encode())
        self.assertEqual(client.read_answer().status, 404)

    def test_a_request_does_not_hide_behind_the_host_field(self):
        self.set("hides.test", record=False)
        client = self.client()
        client.send(b"GET /hidden HTTP/1.1\r\nHost: Hides.test\r\n\r\n")
        client.read_answer()
        self.assertEqual(self.serve.exchange("/hidden")["request"]["hostname"], "hides.test")

    def test_streams_of_http_2_are_not_kept(self):
        self.set(record=False)
        self.serve.curl("--http2", f"https://localhost:{self.origin.port}/over-h2")
        self.set("localhost", record=True)
        self.serve.curl("--http2", f"https://localhost:{self.origin.port}/kept")
        self.serve.exchange("/kept")
        self.assertEqual([u for u in self.urls() if "over-h2" in u], [])

    def test_alt_svc_is_kept_where_it_is_wanted(self):
        client = self.client()
        self.assertIsNone(self.ask(client, "/alt-svc").get("alt-svc"))
        client.send(f"GET /alt-svc HTTP/1.1\r\nHost: localhost:{self.origin.port}\r\n\r\n".encode())
        self.assertIsNone(client.read_answer().get("alt-svc"))
        self.set(alt_svc="keep")
        client.send(f"GET /alt-svc HTTP/1.1\r\nHost: localhost:{self.origin.port}\r\n\r\n".encode())
        self.assertEqual(client.read_answer().get("alt-svc"), 'h3=":443"')


class Attacks(Options):
    """Paths of tools lead nowhere but beneath the roots, and never into Sluice's own folder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.serve.stop()
        cls.wide = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e-wide."))
        cls.addClassCleanup(shutil.rmtree, cls.wide, ignore_errors=True)
        cls.serve = Serve(*cls.flags, "--allow-root", str(cls.wide), home=cls.wide / "home", directory=cls.directory)

    def test_paths_out_of_the_roots(self):
        (self.root / "link.pem").symlink_to(self.fakes.pem)
        (self.root / "folder").symlink_to(self.fakes.directory)
        up = os.path.relpath(self.fakes.pem, self.root)
        for path in ("../../etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt", up,
                     f"{self.root}/{up}", str(self.fakes.pem), "link.pem", "folder/ca.pem", "stranger/../../x", "/dev/zero",
                     "/proc/self/environ", "stranger", "", "a\0b", "x" * 5000):
            for option in ("ca_file", "client_cert_file"):
                with self.subTest(path=path[:60], option=option):
                    error = self.refused(**{option: path})
                    self.assertNotIn("BEGIN", error)

    def test_sluices_own_key_is_not_given_away(self):
        home = self.wide / "home"
        self.assertTrue((home / "ca" / "ca-key.pem").exists())
        for certificate, key in (("home/ca/ca-cert.pem", "home/ca/ca-key.pem"), (f"{home}/ca/ca-cert.pem", f"{home}/ca/ca-key.pem")):
            self.assertIn("Sluice's own folder", self.refused(client_cert_file=certificate, client_key_file=key))
        self.assertIn("own folder", self.refused(ca_file="home/token"))
        self.assertIn("own folder", self.refused(ca_file="home/ca/ca-cert.pem"))

    def test_a_file_rule_does_not_answer_with_it_either(self):
        for path in ("home/ca/ca-key.pem", "home/token"):
            rule = self.add_rule({"urlPattern": "/steal"}, {"type": "file", "path": path})
            done = self.serve.curl("-i", "http://steal.test/steal")
            self.assertIn("500", done.stdout.split("\n")[0])
            self.assertIn("own folder", done.stdout)
            self.assertNotIn("PRIVATE", done.stdout)
            self.assertNotIn(self.serve.token, done.stdout)
            self.forget_rule(rule)

    def test_hosts_and_options_that_are_none(self):
        for host in ("", "a b", "*.", "**", "http://a.test", "a.test:443", "*.*.test", "x" * 300, "a\nb"):
            with self.subTest(host):
                self.assertIn("no host name", self.refused(host, record=False))
        self.assertIn("unknown argument", self.refused(recrd=False))
        self.assertIn("must be one of", self.refused(min_tls="0.9"))
        self.assertIn("name an option", self.refused())


class FromTheStart(Options):
    def test_config_yaml_and_flags_make_entries(self):
        config = self.root / "config.yaml"
        config.write_text(f"""
serve:
  allow-root: {self.root}
  host_options:
    localhost: {{ca_file: {self.stranger.pem}, min_tls: 1.2}}
    "*.quiet.test":
      record: false
      tls: passthrough
""")
        with Serve("--config", str(config), "--keep-alt-svc", home=self.root / "home1") as serve:
            entries = {x["host"]: x for x in serve.call("proxy_list_host_options")["options"]}
            self.assertEqual(entries["localhost"], {"host": "localhost", "from": "start", "options": {
                "ca_file": str(self.stranger.pem), "min_tls": "1.2"}})
            self.assertEqual(entries["*.quiet.test"]["options"], {"tls": "passthrough", "record": False})
            self.assertEqual(entries["*"]["options"], {"alt_svc": "keep"})
            self.assertEqual(self.get(self.strange_origin(), serve=serve).status, 200)
            serve.call("proxy_remove_host_options", host="localhost")
            self.assertEqual(self.get(self.strange_origin(), serve=serve).status, 502, "tools may take it back")

    def test_flags_alone(self):
        with Serve("--host-options", f"localhost={{ca_file: {self.stranger.pem}, legacy_server: true}}", "--host-options",
                   '*={"min_tls": "1.0"}') as serve:
            self.assertEqual(self.get(self.strange_origin(), serve=serve).status, 200)
            entries = {x["host"]: x["options"] for x in serve.call("proxy_list_host_options")["options"]}
            self.assertEqual(entries, {"*": {"min_tls": "1.0"},
                                       "localhost": {"ca_file": str(self.stranger.pem), "legacy_server": True}})

    def test_what_cannot_be_is_refused_at_the_start(self):
        for value, words in (("localhost", "HOST={option: value"), ("localhost={ca_fil: x}", "did you mean 'ca_file'"),
                             ("localhost={ca_file: /nonexistent}", "/nonexistent"), ("a b={record: false}", "no host name"),
                             ("localhost={min_tls: 1.4}", "min_tls must be one of"), ("localhost=[1]", "HOST={option"),
                             ("localhost={record: maybe}", "true or false")):
            with self.subTest(value):
                done = sluice("serve", "--proxy-port", 0, "--control-port", 0, "--host-options", value,
                              home=self.root / "refused")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
                self.assertIn("--host-options", done.stderr)
                self.assertEqual(len(done.stderr.strip().split("\n")), 1)

    def test_the_same_in_mcp(self):
        lines = [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
                "name": "proxy_list_host_options", "arguments": {}}}]
        done = run(SLUICE, "mcp", "--home", self.root / "home2", "--host-options", "a.test={record: false}",
                   input="".join(json.dumps(x) + "\n" for x in lines))
        answer = [json.loads(x) for x in done.stdout.splitlines()][-1]["result"]["structuredContent"]
        self.assertEqual(answer["options"], [{"host": "a.test", "options": {"record": False}, "from": "start"}])


if __name__ == "__main__":
    unittest.main()
