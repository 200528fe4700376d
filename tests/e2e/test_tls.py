"""TLS on both sides (engine.md 2, 3)."""
import ipaddress
import os
import pathlib
import socket
import ssl
import threading
import unittest

from harness import E2E, Serve, clean_environment, free_port, poll, run  # first: it knows where the fakes are
from fakes.closing import close_listener
from fakes.raw import context


class Leaves(E2E):
    def leaf_of(self, authority, name):
        client = self.serve.tunnel(authority, name)
        self.addCleanup(client.close)
        path = self.directory / "leaf.pem"
        path.write_text(ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True)))
        return client, path

    def text_of(self, path):
        return run("openssl", "x509", "-in", path, "-noout", "-text", check=0).stdout

    def test_openssl_accepts_them_strictly(self):
        _, leaf = self.leaf_of(f"localhost:{self.origin.port}", "localhost")
        done = run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
                   "-CAfile", self.serve.ca, leaf)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run("openssl", "verify", "-x509_strict", "-CAfile", self.serve.ca, self.serve.ca, check=0)

    def test_they_are_short_lived_p256(self):
        _, leaf = self.leaf_of(f"localhost:{self.origin.port}", "localhost")
        text = self.text_of(leaf)
        self.assertIn("prime256v1", text)
        self.assertIn("DNS:localhost", text)
        self.assertIn("TLS Web Server Authentication", text)
        run("openssl", "x509", "-in", leaf, "-checkend", str(90 * 86400), check=0)  # not about to end
        run("openssl", "x509", "-in", leaf, "-checkend", str(198 * 86400), check=1)  # at most 197 days

    def test_an_address_gets_an_address_name(self):
        client, leaf = self.leaf_of(f"127.0.0.1:{self.origin.port}", "127.0.0.1")
        self.assertIn("IP Address:127.0.0.1", self.text_of(leaf))
        client.send(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)

    def test_ipv6_literals_work(self):
        try:
            from fakes.origin import Origin
            origin = Origin(self.fakes.server_context("::1"), host="::1")
        except OSError as error:
            self.skipTest(f"no IPv6 loopback: {error}")
        self.addCleanup(origin.close)
        client, leaf = self.leaf_of(f"[::1]:{origin.port}", "::1")
        names = [line for line in self.text_of(leaf).splitlines() if "IP Address:" in line]
        address = names[0].split("IP Address:")[1].strip()
        self.assertEqual(ipaddress.ip_address(address), ipaddress.ip_address("::1"))
        client.send(b"GET /hello HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)

    def test_clients_without_ecdsa_get_an_rsa_leaf(self):
        tls = context(self.serve.ca, maximum=ssl.TLSVersion.TLSv1_2)
        tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{self.origin.port}")
        client.start_tls("localhost", tls)
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)

    def test_the_set_up_page_gives_the_ca(self):
        for url in (self.serve.proxy_url, "http://sluice.setup"):
            through = self.serve.curl if "setup" in url else lambda *a: run("curl", "-s", "--noproxy", "*", *a)
            with self.subTest(url):
                self.assertIn("/ca.pem", through(url + "/").stdout)
                self.assertEqual(through(url + "/ca.pem").stdout.split(), pathlib.Path(self.serve.ca).read_text().split())
                der = self.directory / "ca.der"
                through("-o", str(der), url + "/ca.der")
                run("openssl", "x509", "-inform", "DER", "-in", der, "-noout", check=0)


class Handshakes(E2E):
    def hello(self, client):
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer().body, b"hello from the origin\n")

    def test_tls_1_2_and_1_3_on_both_sides(self):
        for server in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            origin = self.new_origin(minimum=server, maximum=server)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(server=server, client=version):
                    client = self.client(origin=origin, minimum=version, maximum=version)
                    self.hello(client)
                    self.assertEqual(client.sock.version(), {771: "TLSv1.2", 772: "TLSv1.3"}[int(version)])

    def test_hellos_may_come_in_any_slices(self):
        for size in (1, 5, 100):
            with self.subTest(size):
                self.hello(self.client(slice_size=size))

    def test_a_hello_may_come_with_the_connect(self):
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(self.serve.ca).wrap_bio(inward, outward, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        client = self.serve.client()
        self.addCleanup(client.close)
        client.send(b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.origin.port + outward.read())
        self.assertIn(b" 200 ", client.read_head())
        inward.write(client.buffer or client.sock.recv(65536))
        for _ in range(50):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                inward.write(client.sock.recv(65536))
        self.assertIn(tls.version(), ("TLSv1.2", "TLSv1.3"))

    def test_the_client_is_offered_what_the_origin_took(self):
        none = self.new_origin(alpn=None)
        for origin, offered, expected in ((self.origin, ["h2", "http/1.1"], "http/1.1"), (none, ["http/1.1"], None),
                                          (self.origin, None, None)):
            with self.subTest(offered=offered, expected=expected):
                client = self.client(origin=origin, alpn=offered)
                self.assertIn(client.sock.selected_alpn_protocol(), (expected, "http/1.1" if offered else None))
                self.hello(client)

    def test_fingerprints_and_server_tls_are_recorded(self):
        self.hello(self.client(alpn=["http/1.1"]))
        record = self.serve.exchange("/hello", include=["connection"])
        client, server = record["tls"]["client"], record["tls"]["server"]
        self.assertEqual(client["sniHostname"], "localhost")
        self.assertEqual(client["clientAlpn"], ["http/1.1"])
        self.assertRegex(client["ja3Fingerprint"], "^[0-9a-f]{32}$")
        self.assertRegex(client["ja4Fingerprint"], "^t13d[0-9]{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$")
        self.assertRegex(server["ja3sFingerprint"], "^[0-9a-f]{32}$")
        self.assertEqual(server["protocol"].replace(" ", ""), "TLSv1.3")
        upstream = record["connection"]["upstream"]["tls"]
        self.assertTrue(upstream["verified"])
        self.assertGreaterEqual(len(upstream["chain"]), 1)
        fingerprints = self.serve.call("proxy_get_tls_fingerprints", exchange_id=record["id"])
        self.assertEqual(fingerprints["tls"]["client"]["ja3Fingerprint"], client["ja3Fingerprint"])

    def test_a_client_that_does_not_trust_the_ca_is_recorded_with_the_cause(self):
        client = self.serve.client()
        self.addCleanup(client.close)
        client.connect_through(f"localhost:{self.origin.port}")
        with self.assertRaises(ssl.SSLError):
            client.start_tls("localhost", context(self.fakes.pem))
        client.close()
        row = poll(lambda: [x for x in self.serve.traffic(limit=500) if x["state"] == "failed"
                            and x["protocol"] == "tls"], 10, "a failed handshake")[-1]
        record = self.serve.call("proxy_get_exchange", exchange_id=row["id"])["exchange"]
        self.assertEqual(record["error"]["code"], "client_tls")
        self.assertRegex(record["error"]["message"].lower(), "ca|trust|certificate")
        self.assertRegex(record["tls"]["client"]["ja3Fingerprint"], "^[0-9a-f]{32}$")

    def test_a_server_that_speaks_first_is_relayed_raw(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(close_listener, listener)

        def serve():
            sock, _ = listener.accept()
            sock.sendall(b"220 smtp.test ready\r\n")
            sock.sendall(b"250 " + sock.recv(100))
            sock.close()
        threading.Thread(target=serve, daemon=True).start()
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"127.0.0.1:{listener.getsockname()[1]}").status, 200)
        self.assertEqual(client.read_until(b"\r\n"), b"220 smtp.test ready\r\n")
        client.send(b"EHLO me\r\n")
        self.assertEqual(client.read_until(b"\r\n"), b"250 EHLO me\r\n")


class Upstream(E2E):
    def page(self, origin, name="localhost"):
        client = self.serve.tunnel(f"{name}:{origin.port}", name)
        self.addCleanup(client.close)
        client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n")
        return client.read_answer()

    def test_certificates_are_verified_and_the_page_inside_tls_says_why(self):
        cases = {
            "self-signed": dict(leaf=self.fakes.leaf("localhost", self_signed=True)),
            "another name": dict(leaf=self.fakes.leaf("elsewhere.test")),
            "expired": dict(leaf=self.fakes.leaf("localhost", days=-1)),
        }
        for name, options in cases.items():
            with self.subTest(name):
                origin = self.new_origin(**options)
                answer = self.page(origin)
                self.assertEqual(answer.status, 502)
                self.assertEqual(answer.get("sluice-error"), "certificate")
                self.assertIn(b"--upstream-ca", answer.body)
                self.assertEqual(origin.requests, [])
                record = self.serve.exchange(f":{origin.port}/hello")
                self.assertEqual((record["state"], record["error"]["code"]), ("failed", "certificate"))

    def test_insecure_passes_and_records_the_verdict(self):
        origin = self.new_origin(leaf=self.fakes.leaf("localhost", self_signed=True))
        with Serve("--upstream-insecure") as serve:
            client = serve.tunnel(f"localhost:{origin.port}")
            client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.read_answer().status, 200)
            record = serve.exchange("/hello", include=["connection"])
            self.assertFalse(record["connection"]["upstream"]["tls"]["verified"])
            self.assertTrue(record["connection"]["upstream"]["tls"]["verdict"])

    def test_a_refused_port_gives_a_502_page_inside_tls_that_names_the_cause(self):
        port = free_port()
        client = self.serve.tunnel(f"localhost:{port}")
        self.addCleanup(client.close)
        client.send(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\nAccept: text/html\r\n\r\n" % port)
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.get("sluice-error")), (502, "connect_refused"))
        self.assertIn(b"refused", answer.body.lower())
        self.assertIn(str(port).encode(), answer.body)

    def test_an_unknown_name_gives_a_502_page_inside_tls(self):
        client = self.serve.tunnel("no-such-host.invalid:443")
        self.addCleanup(client.close)
        client.send(b"GET / HTTP/1.1\r\nHost: no-such-host.invalid\r\n\r\n")
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.get("sluice-error")), (502, "resolve"))

    def test_an_origin_without_tls_gives_a_502_page(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(close_listener, listener)

        def serve():
            for _ in range(2):
                sock, _ = listener.accept()
                sock.recv(10)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                sock.close()
        threading.Thread(target=serve, daemon=True).start()
        client = self.serve.tunnel(f"localhost:{listener.getsockname()[1]}")
        self.addCleanup(client.close)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer().status, 502)

    def test_sluice_never_dials_itself(self):
        control = self.serve.ready["control"]["url"].rsplit(":", 1)[1].strip("/")
        for port in (self.serve.proxy_port, control):
            for host in ("localhost", "127.0.0.1", "127.0.0.9"):
                with self.subTest(port=port, host=host):
                    client = self.serve.client()
                    self.addCleanup(client.close)
                    client.send(f"GET http://{host}:{port}/x HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
                    self.assertEqual(client.read_answer().status, 508)

    def test_a_difference_of_names_is_noted(self):
        client = self.client()
        client.send(b"GET /head?mismatch HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)
        record = self.serve.exchange("/head?mismatch")
        self.assertIn("authority_mismatch", record["anomalies"])
        self.assertEqual(record["request"]["hostname"], "elsewhere.test")


class KeyLog(E2E):
    def test_sslkeylogfile_is_honoured(self):
        path = self.directory / "keys.log"
        with Serve("--upstream-ca", self.fakes.pem, env=clean_environment(SSLKEYLOGFILE=path)) as serve:
            client = serve.tunnel(f"localhost:{self.origin.port}")
            client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.read_answer().status, 200)
            text = poll(lambda: path.exists() and path.read_text(), 5, "the key log")
        self.assertIn("CLIENT_TRAFFIC_SECRET_0", text)
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)


if __name__ == "__main__":
    unittest.main()
