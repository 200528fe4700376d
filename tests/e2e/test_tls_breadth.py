"""Old and pinning clients, client certificates, tickets, pass-through (engine.md 2, 3)."""
import os
import socket
import ssl
import subprocess
import threading
import unittest

from harness import E2E, Serve, needs, poll, run, sluice  # first: it knows where the fakes are
from fakes.origin import Origin
from fakes.pipe import ConnectPipe
from fakes.pki import TestAuthority
from fakes.raw import context

ASK = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Breadth(E2E):
    def s_client(self, *arguments, serve=None, origin=None, name="localhost", stdin=ASK):
        """openssl s_client through the proxy; what it prints."""
        serve, origin = serve or self.serve, origin or self.origin
        done = run("openssl", "s_client", "-proxy", f"127.0.0.1:{serve.proxy_port}", "-connect",
                   f"localhost:{origin.port}", "-servername", name, "-CAfile", serve.ca, "-ign_eof", *arguments,
                   input=stdin)
        return done.stdout + done.stderr

    def failures(self, serve=None):
        return [x for x in (serve or self.serve).traffic(limit=500) if x["protocol"] == "tls" and x["state"] == "failed"]

    def reason(self, row, serve=None):
        return (serve or self.serve).call("proxy_get_exchange", exchange_id=row["id"])["exchange"]["error"]


OLD = "ALL:@SECLEVEL=0"


class OldClients(Breadth):
    flags = ("--min-client-tls", "1.0")

    def test_openssl_speaks_tls_1_0_and_1_1_and_gets_an_rsa_leaf(self):
        for flag, version in (("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")):
            with self.subTest(version):
                out = self.s_client(flag, "-cipher", OLD, "-verify_return_error")
                self.assertRegex(out, rf"Protocol *: {version}\n")
                self.assertIn("ECDHE-RSA", out)
                self.assertIn("hello from the origin", out)
        record = self.serve.exchange("/hello", include=["connection"])
        self.assertEqual(record["connection"]["client"]["tls"]["protocol"], "TLSv1.1")
        self.assertEqual(record["tls"]["server"]["protocol"], "TLSv1.3", "the other side is as it was")

    def test_gnutls_speaks_them(self):
        program = needs("gnutls-cli", "gnutls-bin")
        tunnels = ConnectPipe(self.serve.proxy_port, f"localhost:{self.origin.port}")
        self.addCleanup(tunnels.close)
        for version in ("1.0", "1.1"):
            with self.subTest(version):
                client = subprocess.Popen(
                    [program, "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}:%COMPAT", "--x509cafile",
                     self.serve.ca, "--port", str(tunnels.port), "localhost"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                patience = threading.Timer(30, client.kill)
                patience.start()
                client.stdin.write(ASK)
                client.stdin.flush()  # its end would end the connection, too
                out = client.stdout.read()
                patience.cancel()
                client.stdin.close()
                client.stdout.close()
                client.wait()
                self.assertIn(f"TLS{version}", out)
                self.assertIn("hello from the origin", out)

    def test_python_speaks_them(self):
        tls = context(self.serve.ca)
        tls.set_ciphers(OLD)
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{self.origin.port}")
        client.start_tls("localhost", tls)
        self.assertEqual(client.sock.version(), "TLSv1")
        client.send(ASK.encode())
        self.assertEqual(client.read_answer().status, 200)

    def test_new_clients_are_served_as_before(self):
        out = self.s_client("-verify_return_error")
        self.assertIn("TLSv1.3", out)
        self.assertIn("id-ecPublicKey", out)

    def test_a_fallback_is_refused(self):
        out = self.s_client("-tls1_1", "-cipher", OLD, "-fallback_scsv")
        self.assertIn("inappropriate fallback", out)


class Minimum(Breadth):
    def test_the_default_refuses_old_clients_and_says_how_to_let_them_in(self):
        out = self.s_client("-tls1_1", "-cipher", OLD)
        self.assertIn("alert protocol version", out)
        error = self.reason(poll(self.failures, 10, "a failed handshake")[-1])
        self.assertEqual(error["code"], "client_tls")
        self.assertEqual(error["message"],
                         "the client does not speak TLS 1.2 or 1.3: --min-client-tls lets older versions in")

    def test_it_can_be_raised(self):
        with Serve("--upstream-ca", self.fakes.pem, "--min-client-tls", "1.3") as serve:
            self.assertIn("alert protocol version", self.s_client("-tls1_2", serve=serve))
            self.assertIn("hello from the origin", self.s_client(serve=serve))

    def test_other_values_are_wrong_usage(self):
        self.assertEqual(sluice("serve", "--min-client-tls", "0.9", home=self.directory / "none").returncode, 2)


class ClientCertificates(Breadth):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certificate, cls.key = cls.fakes.leaf("agent.test", usage="clientAuth")
        os.chmod(cls.key, 0o600)

    def asking(self, version=None, alpn=("http/1.1",)):
        tls = self.fakes.server_context(maximum=version, alpn=alpn)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(self.fakes.pem)
        origin = Origin(tls)
        self.addCleanup(origin.close)

        def who(talk):
            talk.answer(body=str(talk.sock.getpeercert()["subject"]).encode())
        origin.routes["/who"] = who
        return origin

    def get(self, serve, origin, path="/who"):
        client = serve.tunnel(f"localhost:{origin.port}")
        self.addCleanup(client.close)
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return client.read_answer()

    def test_they_are_given_to_the_origin_that_asks(self):
        with Serve("--upstream-ca", self.fakes.pem, "--upstream-client-cert",
                   f"localhost={self.certificate}:{self.key}") as serve:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(version):
                    answer = self.get(serve, self.asking(version))
                    self.assertEqual(answer.status, 200, answer.body)
                    self.assertIn(b"agent.test", answer.body)
            self.assertNotIn("PRIVATE", serve.output())

    def test_the_most_specific_host_decides(self):
        other = self.fakes.leaf("other.test", usage="clientAuth")
        with Serve("--upstream-ca", self.fakes.pem, "--upstream-client-cert", f"*={other[0]}:{other[1]}",
                   "--upstream-client-cert", f"localhost={self.certificate}:{self.key}") as serve:
            self.assertIn(b"agent.test", self.get(serve, self.asking()).body)

    def test_without_one_the_page_says_so_and_names_the_flag(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                origin = self.asking(version)
                answer = self.get(self.serve, origin)
                self.assertEqual((answer.status, answer.get("sluice-error")), (502, "client_certificate"), answer.body)
                self.assertIn(b"client certificate", answer.body)
                self.assertIn(b"--upstream-client-cert", answer.body)
                record = self.serve.exchange(f":{origin.port}/who")
                self.assertEqual((record["state"], record["error"]["code"]), ("failed", "client_certificate"))

    def test_http_2_clients_and_origins_are_told_the_same(self):
        for alpn in (("http/1.1",), ("h2",)):
            with self.subTest(alpn):
                done = self.serve.curl("--http2", "-i", f"https://localhost:{self.asking(alpn=alpn).port}/who")
                self.assertRegex(done.stdout, r"(?m)^HTTP/(2|1.1) 502")
                self.assertIn("sluice-error: client_certificate", done.stdout.lower())

    def test_one_that_the_origin_refuses_is_told_apart(self):
        stranger = TestAuthority(self.directory / "stranger", "Stranger").leaf("agent.test", usage="clientAuth")
        with Serve("--upstream-ca", self.fakes.pem, "--upstream-client-cert",
                   f"localhost={stranger[0]}:{stranger[1]}") as serve:
            answer = self.get(serve, self.asking())
            self.assertEqual((answer.status, answer.get("sluice-error")), (502, "client_certificate"), answer.body)
            self.assertIn(b"refused the client certificate", answer.body)

    def test_what_cannot_work_is_refused_at_the_start(self):
        cases = {"localhost": "HOST=CERT:KEY", f"localhost={self.certificate}:/nonexistent": "/nonexistent",
                 f"localhost={self.certificate}:{self.fakes.key}": "does not belong",
                 f"a b={self.certificate}:{self.key}": "no host name"}
        for value, words in cases.items():
            with self.subTest(value):
                done = sluice("serve", "--proxy-port", 0, "--control-port", 0, "--upstream-client-cert", value,
                              home=self.directory / "refused")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
                self.assertIn("--upstream-client-cert", done.stderr)


class Tickets(Breadth):
    def test_clients_resume_with_both_versions(self):
        for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            with self.subTest(version):
                path = self.directory / f"session-{version}"
                self.assertIn(f"New, {version}", self.s_client(flag, "-sess_out", str(path)))
                self.assertIn(f"Reused, {version}", self.s_client(flag, "-sess_in", str(path)))
        record = self.serve.exchange("/hello", include=["connection"])
        self.assertTrue(record["connection"]["client"]["tls"]["resumed"])

    def test_a_ticket_is_bound_to_its_name(self):
        for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            with self.subTest(version):
                path = self.directory / f"bound-{version}"
                self.s_client(flag, "-sess_out", str(path))
                self.assertIn(f"New, {version}", self.s_client(flag, "-sess_in", str(path), name="127.0.0.1.test"))

    def test_a_ticket_dies_with_the_ca(self):
        home, path = self.directory / "rotated", self.directory / "session-ca"
        with Serve("--upstream-ca", self.fakes.pem, home=home) as serve:
            self.assertIn("New, TLSv1.3", self.s_client("-sess_out", str(path), serve=serve))
        sluice("ca", "rotate", home=home, check=0)
        with Serve("--upstream-ca", self.fakes.pem, home=home) as serve:
            self.assertIn("New, TLSv1.3", self.s_client("-sess_in", str(path), serve=serve))

    def test_dials_resume_also_after_the_pool_let_go(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version), Serve("--upstream-ca", self.fakes.pem, "--workers", "1") as serve:
                origin = self.new_origin(maximum=version)
                port = serve.proxy_port
                seen = []
                for turn in range(3):
                    client = serve.tunnel(f"localhost:{origin.port}")
                    client.send(f"GET /hello?{turn} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    self.assertEqual(client.read_answer().status, 200)
                    client.close()
                    record = serve.exchange(f"/hello?{turn}", include=["connection"])
                    seen.append(record["connection"]["upstream"]["tls"]["resumed"])
                    serve.call("proxy_stop")  # the pool is emptied
                    serve.call("proxy_start", port=port)
                self.assertEqual(seen, [False, True, True])
                self.assertEqual(origin.accepted, 3)


class Passthrough(Breadth):
    flags = ("--passthrough", "localhost", "--passthrough", "*.pinned.test")

    def relayed(self, authority, name, **tls):
        """A client that trusts the origin's CA alone."""
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(authority).status, 200)
        client.start_tls(name, context(self.fakes.pem, **tls))
        return client

    def test_a_listed_host_keeps_its_own_certificate_and_is_recorded(self):
        origin = self.new_origin("localhost")
        client = self.relayed(f"localhost:{origin.port}", "localhost", alpn=["http/1.1"])
        client.send(b"GET /large?size=100000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)
        client.close()
        record = self.serve.exchange(f":{origin.port}", include=["connection", "request_body"])
        self.assertEqual((record["protocol"], record["state"], record["error"]), ("tls", "done", None))
        tls = record["tls"]["client"]
        self.assertEqual(tls["sniHostname"], "localhost")
        self.assertEqual(tls["clientAlpn"], ["http/1.1"])
        self.assertRegex(tls["ja3Fingerprint"], "^[0-9a-f]{32}$")
        self.assertRegex(tls["ja4Fingerprint"], "^t13d")
        self.assertRegex(record["tls"]["server"]["ja3sFingerprint"], "^[0-9a-f]{32}$")
        self.assertGreater(record["request"]["bodySize"], 300)
        self.assertGreater(record["response"]["bodySize"], 100_000)
        self.assertFalse(record["connection"]["upstream"]["tls"]["verified"])
        self.assertEqual(record["request"]["body"]["bytes"], 0)
        self.assertFalse(record["request"]["body"]["complete"])
        row = [x for x in self.serve.traffic(limit=500) if x["id"] == record["id"]][0]
        self.assertGreater(row["responseSize"], 100_000)
        self.assertEqual(self.serve.call("proxy_status")["capture"]["bodiesCut"], 0, "nothing was to be kept")

    def test_a_name_below_a_listed_suffix_is_enough(self):
        origin = self.new_origin("api.pinned.test")
        client = self.relayed(f"127.0.0.1:{origin.port}", "api.pinned.test")
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)

    def test_without_a_name_the_destination_decides(self):
        origin = self.new_origin("localhost")
        tls = context(self.fakes.pem)
        tls.check_hostname = False
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{origin.port}")
        client.start_tls(None, tls)
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)

    def test_others_are_intercepted(self):
        for name in ("pinned.test", "notpinned.test"):
            with self.subTest(name):
                origin = self.new_origin(name)
                client = self.serve.tunnel(f"127.0.0.1:{origin.port}", name)  # trusts Sluice alone
                self.addCleanup(client.close)
                client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(client.read_answer().status, 200)

    def test_a_cut_is_recorded_as_a_failure(self):
        origin = self.new_origin("localhost")
        client = self.relayed(f"localhost:{origin.port}", "localhost")
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_answer()
        client.reset()
        record = self.serve.exchange(f":{origin.port}")
        self.assertEqual((record["protocol"], record["state"]), ("tls", "failed"))
        self.assertGreater(record["request"]["bodySize"], 300)

    def test_hosts_that_are_none_are_refused_at_the_start(self):
        for value in ("*", "a.*", "https://a.test"):
            done = sluice("serve", "--passthrough", value, home=self.directory / "refused")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--passthrough", done.stderr)


class Learned(Breadth):
    flags = ("--learn-passthrough", "--workers", "2")

    def learned(self):
        return [x["host"] for x in self.serve.call("proxy_status")["learnedPassthrough"]]

    def refuse(self, name):
        """s_client whose trust in the CA is not enough: it demands another name, and says bad_certificate."""
        return self.s_client("-verify_return_error", "-verify_hostname", "the-real-one.test", name=name)

    def test_a_pinning_client_is_let_through_after_three_refusals(self):
        self.assertIn("hostname mismatch", self.refuse("pinned.test").lower())
        self.refuse("pinned.test")
        self.refuse("pinned.test")
        self.assertEqual(self.learned(), [], "nothing shows yet that it trusts the CA")
        self.s_client(name="other.test")  # ... but this does
        self.refuse("pinned.test")
        poll(lambda: self.learned() == ["pinned.test"], 10, "what was learned")
        # The origin keeps its connection, and nobody but the client ends this one.
        out = self.s_client("-CAfile", str(self.fakes.pem), "-no_ign_eof", name="pinned.test")
        self.assertIn("CN = Fake origins", out)
        record = self.serve.exchange(f":{self.origin.port}")
        self.assertEqual((record["protocol"], record["tls"]["client"]["sniHostname"]), ("tls", "pinned.test"))
        entry = self.serve.call("proxy_status")["learnedPassthrough"][0]
        self.assertEqual((entry["clientAddress"], entry["ja4"]),
                         ("127.0.0.1", record["tls"]["client"]["ja4Fingerprint"]))
        self.assertEqual(self.serve.call("proxy_remove_host_options", host="pinned.test")["removed"], 1)
        self.assertEqual(self.learned(), [])
        self.assertNotIn("CN = Fake origins", self.s_client(name="pinned.test"))

    def test_one_that_compares_after_the_handshake_is_understood(self):
        def look_and_leave(name):
            self.serve.tunnel(f"localhost:{self.origin.port}", name).close()
        look_and_leave("elsewhere.test")
        for _ in range(3):
            look_and_leave("compares.test")
        poll(lambda: "compares.test" in self.learned(), 10, "what was learned")

    def test_an_unknown_ca_never_counts(self):
        for _ in range(4):
            client = self.serve.client()
            self.addCleanup(client.close)
            client.connect_through(f"localhost:{self.origin.port}")
            with self.assertRaises(ssl.SSLError):
                client.start_tls("stranger.test", context(self.fakes.pem))
            client.close()
        poll(lambda: [x for x in self.failures() if "unknown_ca" in self.reason(x)["message"]], 10, "the failures")
        self.assertNotIn("stranger.test", self.learned())


class FailedHandshakes(Breadth):
    """Each with its cause, in plain words."""

    def broken(self, octets, end=True):
        """A tunnel into which these octets are sent; then the end. The record's error."""
        before = {x["id"] for x in self.serve.traffic(limit=500)}
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{self.origin.port}")
        client.send(octets)
        if end:
            client.sock.shutdown(socket.SHUT_WR)
        row = poll(lambda: [x for x in self.serve.traffic(limit=500) if x["id"] not in before], 10, "a record")[-1]
        self.assertEqual((row["protocol"], row["state"]), ("tls", "failed"))
        return self.reason(row)

    @staticmethod
    def hello():
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context().wrap_bio(inward, outward, server_hostname="localhost")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outward.read()

    def test_a_truncated_hello(self):
        error = self.broken(self.hello()[:60])
        self.assertEqual((error["code"], error["phase"]), ("client_tls", "client_tls"))
        self.assertIn("ended in the middle of its ClientHello", error["message"])

    def test_garbage_that_begins_like_a_hello(self):
        error = self.broken(b"\x16\x03\x01\x00\x20\x01" + b"\xff" * 40, end=False)
        self.assertEqual(error["code"], "client_tls")
        self.assertIn("no TLS ClientHello", error["message"])

    def test_garbage_after_the_hello(self):
        error = self.broken(self.hello() + b"\x17\x03\x03\x00\x10" + b"\xee" * 16, end=False)
        self.assertEqual(error["code"], "client_tls")
        self.assertIn("broke", error["message"])

    def test_an_end_after_our_certificate(self):
        error = self.broken(self.hello())
        self.assertIn("closed the connection right after Sluice's certificate", error["message"])

    def test_each_alert_has_its_words(self):
        for number, words in ((48, "does not trust Sluice's CA"), (46, "refused Sluice's certificate"),
                              (42, "refused Sluice's certificate"), (45, "compare both clocks"),
                              (40, "none of the cipher suites"), (70, "does not speak TLS 1.2 or 1.3"),
                              (80, "alert internal_error")):
            with self.subTest(number):
                error = self.broken(self.hello() + bytes((21, 3, 3, 0, 2, 2, number)), end=False)
                self.assertEqual(error["code"], "client_tls")
                self.assertIn(words, error["message"])


if __name__ == "__main__":
    unittest.main()
