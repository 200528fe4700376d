"""Real clients through the proxy over HTTPS: curl, Python, Node, OpenSSL, GnuTLS."""
import hashlib
import json
import socket
import ssl
import threading
import unittest
import urllib.request

from harness import E2E, HERE, Serve, clean_environment, needs, needs_node, run  # first: it knows where the fakes are
from fakes.closing import close_listener


class Curl(E2E):
    def test_https_get_and_post(self):
        done = self.serve.curl(self.origin.url("/hello"))
        self.assertEqual(done.stdout, "hello from the origin\n", done.stderr)
        done = self.serve.curl("-d", "a=1&b=2", self.origin.url("/echo"))
        self.assertEqual(done.stdout, "a=1&b=2", done.stderr)

    def test_plain_http(self):
        plain = self.new_origin(plain=True)
        self.assertEqual(self.serve.curl(plain.url("/hello")).stdout, "hello from the origin\n")

    def test_it_negotiates_http_1_1_when_it_offers_h2(self):
        done = self.serve.curl("--http2", "-w", "%{http_version} %{ssl_verify_result}", "-o", "/dev/null",
                               self.origin.url("/hello"))
        self.assertEqual(done.stdout.strip(), "1.1 0", done.stderr)

    def test_tls_1_2(self):
        done = self.serve.curl("--tls-max", "1.2", self.origin.url("/hello"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_large_upload_with_expect(self):
        path = self.directory / "upload"
        path.write_bytes(b"0123456789abcdef" * 200_000)
        done = self.serve.curl("-H", "Expect: 100-continue", "--data-binary", f"@{path}", self.origin.url("/digest"))
        self.assertEqual(done.stdout, hashlib.sha256(path.read_bytes()).hexdigest(), done.stderr)

    def test_many_at_once(self):
        done = self.serve.curl("--parallel", "--parallel-max", "40", "-o", "/dev/null", "-w", "%{http_code}\n",
                               self.origin.url("/hello?[1-300]"), seconds=40)
        self.assertEqual(done.stdout.split(), ["200"] * 300, done.stderr[-500:])


class Python(E2E):
    def test_urllib_with_proxy_and_ca(self):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"https": self.serve.proxy_url, "http": self.serve.proxy_url}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.serve.ca)))
        with opener.open(self.origin.url("/hello"), timeout=15) as answer:
            self.assertEqual((answer.status, answer.read()), (200, b"hello from the origin\n"))

    def test_urllib_by_environment_alone(self):
        program = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"
        done = run("python3", "-c", program, self.origin.url("/hello"),
                   env=clean_environment(https_proxy=self.serve.proxy_url, SSL_CERT_FILE=self.serve.ca))
        self.assertEqual(done.stdout, "hello from the origin\n", done.stderr)


class Node(E2E):
    def test_fetch_through_the_environments_proxy(self):
        node = needs_node()
        done = run(node, HERE / "clients" / "fetch.mjs", self.origin.url("/hello"), self.origin.url("/gzip"),
                   env=clean_environment(HTTPS_PROXY=self.serve.proxy_url, NODE_EXTRA_CA_CERTS=self.serve.ca))
        self.assertEqual(done.returncode, 0, done.stderr)
        out = json.loads(done.stdout)
        self.assertEqual(out[0], {"status": 200, "text": "hello from the origin\n"})
        self.assertEqual(out[1]["text"], "gzip says hello\n" * 3)


class OpenSsl(E2E):
    def s_client(self, *more, request):
        return run(needs("openssl"), "s_client", "-quiet", "-ign_eof", "-proxy", f"127.0.0.1:{self.serve.proxy_port}",
                   "-connect", f"localhost:{self.origin.port}", "-CAfile", self.serve.ca, "-verify_return_error",
                   "-x509_strict", "-verify_hostname", "localhost", *more, input=request)

    def test_s_client_through_the_proxy_with_strict_verification(self):
        request = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for flag in ("-tls1_2", "-tls1_3"):
            with self.subTest(flag):
                done = self.s_client("-servername", "localhost", flag, request=request)
                self.assertIn("hello from the origin", done.stdout, done.stderr)

    def test_s_client_without_sni(self):
        done = run(needs("openssl"), "s_client", "-quiet", "-ign_eof", "-noservername", "-proxy",
                   f"127.0.0.1:{self.serve.proxy_port}", "-connect", f"127.0.0.1:{self.origin.port}", "-CAfile",
                   self.serve.ca, "-verify_return_error", "-x509_strict", "-verify_ip", "127.0.0.1",
                   input="GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        self.assertIn("hello from the origin", done.stdout, done.stderr)


class GnuTls(E2E):
    def test_gnutls_accepts_our_leaf(self):
        program = needs("gnutls-cli", "gnutls-bin")
        # gnutls-cli knows no proxies: a small relay says CONNECT for it.
        relay = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(close_listener, relay)

        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        def serve():
            sock, _ = relay.accept()
            client = self.serve.client()
            client.connect_through(f"localhost:{self.origin.port}")
            back = threading.Thread(target=pump, args=(client.sock, sock), daemon=True)
            back.start()
            pump(sock, client.sock)
        threading.Thread(target=serve, daemon=True).start()
        done = run(program, "--x509cafile", self.serve.ca, "--sni-hostname", "localhost", "--verify-hostname", "localhost",
                   "-p", relay.getsockname()[1], "127.0.0.1",
                   input="GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertIn("The certificate is trusted", done.stdout + done.stderr)
        self.assertIn("hello from the origin", done.stdout)


class EnvironmentProxies(E2E):
    def test_sluice_ignores_its_own_environments_proxies(self):
        with Serve("--upstream-ca", self.fakes.pem,
                   env=clean_environment(https_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")) as serve:
            self.assertEqual(serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")
            self.assertRegex(serve.output().lower(), "proxy.*ignor|ignor.*proxy")


if __name__ == "__main__":
    unittest.main()
