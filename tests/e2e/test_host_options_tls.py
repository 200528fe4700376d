"""Old servers and client certificates as options of hosts, against real servers; TLS prints (engine.md 3, 6)."""
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import clean_environment, free_port, needs, poll  # first: it knows where the fakes are
from fakes.origin import Origin
from fakes.pki import TestAuthority, openssl
from test_host_options import Options


class Child:
    """A server program on a port of its own choice, until close()."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=clean_environment())

    def line(self, *words, seconds=10):
        """The first line of output that has one of the words."""
        patience = threading.Timer(seconds, self.process.kill)
        patience.start()
        try:
            for line in self.process.stdout:
                if any(w.encode() in line for w in words):
                    return line.decode()
        finally:
            patience.cancel()
        raise AssertionError(f"the server ended before it said one of {words}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class OldServers(Options):
    def s_server(self, *flags, leaf=None):
        certificate, key = leaf or self.fakes.leaf("localhost")
        child = Child("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, "-www", *flags)
        self.addCleanup(child.close)
        return int(child.line("ACCEPT").strip().rsplit(":", 1)[1])

    def status(self, port, path="/"):
        done = self.serve.curl("-o", "/dev/null", "-w", "%{http_code}", f"https://localhost:{port}{path}")
        return int(done.stdout)

    def error(self, port):
        return self.serve.exchange(f":{port}/")["error"]

    def test_tls_1_0_is_allowed_for_one_host(self):
        for flag, version in (("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")):
            with self.subTest(version):
                port = self.s_server(flag, "-cipher", "ALL:@SECLEVEL=0")
                self.assertEqual(self.status(port), 502)
                error = self.error(port)
                self.assertEqual(error["code"], "upstream_tls")
                self.assertIn("does not speak TLS 1.2 or 1.3", error["message"])
                self.assertIn('proxy_set_host_options {"host": "localhost", "min_tls": "1.0"}', error["message"])
                self.set(min_tls="1.0")
                self.assertEqual(self.status(port, "/again"), 200)
                self.assertEqual(self.serve.exchange(f":{port}/again")["tls"]["server"]["protocol"], version)
                self.assertEqual(self.status(self.origin.port, f"/hello?{version}"), 200, "new servers get what they had")
                self.assertEqual(self.serve.exchange(f"/hello?{version}")["tls"]["server"]["protocol"], "TLSv1.3")
                self.forget("localhost")

    def test_the_least_version_can_be_raised(self):
        origin = self.new_origin(maximum=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(self.status(origin.port, "/hello"), 200)
        self.set(min_tls="1.3")
        self.assertEqual(self.status(origin.port, "/raised"), 502)
        self.assertIn("does not speak TLS 1.3", self.serve.exchange(f":{origin.port}/raised")["error"]["message"])

    def test_a_weak_key_is_taken_from_a_legacy_server(self):
        weak = self.fakes.leaf("localhost", newkey=("rsa:1024",))
        port = self.s_server("-cipher", "DEFAULT:@SECLEVEL=0", leaf=weak)
        self.assertEqual(self.status(port), 502)
        self.assertIn('"legacy_server": true', self.error(port)["message"])
        self.set(legacy_server=True)
        self.assertEqual(self.status(port, "/again"), 200)
        record = self.serve.exchange(f":{port}/again", include=["connection"])
        self.assertTrue(record["connection"]["upstream"]["tls"]["verified"])

    def test_a_server_without_secure_renegotiation_is_a_legacy_server(self):
        program = needs("gnutls-serv", "gnutls-bin")
        certificate, key = self.fakes.leaf("localhost")
        port = free_port()
        child = Child(program, "--http", "--port", port, "--x509certfile", certificate, "--x509keyfile", key, "--priority",
                      "NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION")
        self.addCleanup(child.close)

        def listens():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        poll(listens, 10, "gnutls-serv")
        self.assertEqual(self.status(port), 502)
        message = self.error(port)["message"]
        self.assertIn("secure renegotiation", message)
        self.assertIn('"legacy_server": true', message)
        self.set(legacy_server=True)
        self.assertEqual(self.status(port), 200)


NGINX = """
daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  ssl_certificate {certificate}; ssl_certificate_key {key};
  ssl_verify_client on; ssl_client_certificate {ca};
  server {{
    listen 127.0.0.1:{port} ssl{http2};
    location / {{ default_type text/plain; return 200 "$ssl_client_s_dn over $server_protocol\\n"; }}
  }}
}}
"""


class ClientCertificates(Options):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        inside = TestAuthority(cls.root / "agents", "Agents")
        cls.agents = inside
        cls.certificate, cls.key = inside.leaf("agent.test", usage="clientAuth")
        cls.both = cls.root / "both.pem"
        cls.both.write_bytes(cls.certificate.read_bytes() + cls.key.read_bytes())

    def nginx(self, http2):
        program = needs("nginx", "nginx-light")
        directory = pathlib.Path(tempfile.mkdtemp(prefix="nginx.", dir=self.directory))
        certificate, key = self.fakes.leaf("localhost")
        port = free_port()
        (directory / "nginx.conf").write_text(NGINX.format(
            directory=directory, certificate=certificate, key=key, ca=self.agents.pem, port=port,
            http2=" http2" if http2 else ""))
        child = Child(program, "-p", directory, "-c", directory / "nginx.conf")
        self.addCleanup(self.end_nginx, child)
        poll(lambda: (directory / "nginx.pid").exists() and (directory / "nginx.pid").read_text(), 10, "nginx")
        return port

    @staticmethod
    def end_nginx(child):
        child.process.terminate()  # its worker goes with it
        try:
            child.process.wait(10)
        finally:
            child.close()

    def asking(self, version=None):
        tls = self.fakes.server_context(maximum=version)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(self.agents.pem)
        origin = Origin(tls)
        self.addCleanup(origin.close)
        return origin

    def test_nginx_learns_who_asks_over_both_versions(self):
        for http2 in (False, True):
            with self.subTest(http2=http2):
                port = self.nginx(http2)
                flags = ("--http2" if http2 else "--http1.1", f"https://localhost:{port}/")
                self.assertIn("No required SSL certificate", self.serve.curl(*flags).stdout)
                self.set(client_cert_file=str(self.certificate), client_key_file=str(self.key))
                done = self.serve.curl(*flags)
                self.assertEqual(done.stdout, f"CN=agent.test over HTTP/{'2.0' if http2 else '1.1'}\n")
                self.set(client_cert_file="both.pem")
                self.assertIn("agent.test", self.serve.curl(*flags).stdout)
                self.serve.call("proxy_remove_host_options", host="localhost")
                self.assertIn("No required SSL certificate", self.serve.curl(*flags).stdout)

    def test_without_one_the_page_names_the_tool(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                origin = self.asking(version)
                answer = self.get(origin)
                self.assertEqual((answer.status, answer.get("sluice-error")), (502, "client_certificate"), answer.body)
                words = 'proxy_set_host_options {"host": "localhost", "client_cert_file": FILE'
                self.assertIn(words, answer.body.decode())
                self.assertIn(words, self.serve.exchange(f":{origin.port}/")["error"]["message"])
                self.set(client_cert_file=str(self.certificate), client_key_file=str(self.key))
                self.assertEqual(self.get(origin).status, 200)
                self.forget("localhost")

    def test_one_that_is_refused_is_told_apart(self):
        certificate, key = self.stranger.leaf("agent.test", usage="clientAuth")
        self.set(client_cert_file=str(certificate), client_key_file=str(key))
        answer = self.get(self.asking())
        self.assertEqual((answer.status, answer.get("sluice-error")), (502, "client_certificate"))
        self.assertIn(b"refused the client certificate", answer.body)

    def test_what_cannot_work_is_refused_at_once(self):
        locked = self.root / "locked.key"
        openssl("pkey", "-in", self.key, "-aes256", "-passout", "pass:secret-words", "-out", locked)
        (self.root / "text").write_text("no PEM\n")
        good = str(self.certificate)
        for options, words in (({"client_cert_file": "none.pem"}, "there is no file"),
                               ({"client_cert_file": "text"}, "no PEM certificate"),
                               ({"client_cert_file": good}, "no PEM key"),
                               ({"client_cert_file": good, "client_key_file": "text"}, "no PEM key"),
                               ({"client_cert_file": good, "client_key_file": "locked.key"}, "passphrase"),
                               ({"client_cert_file": good, "client_key_file": "stranger/ca.key"}, "does not belong"),
                               ({"client_key_file": str(self.key)}, "needs client_cert_file"),
                               ({"ca_file": "text"}, "no PEM certificates")):
            with self.subTest(options):
                error = self.refused(**options)
                self.assertIn(words, error)
                self.assertNotIn("secret-words", error)

    def test_the_key_is_nowhere_to_be_seen(self):
        self.set(client_cert_file="both.pem")
        key = "".join(self.key.read_text().split("\n")[1:-2])
        said = [json.dumps(self.serve.call(tool)) for tool in ("proxy_list_host_options", "proxy_status")]
        self.get(self.asking())
        said.append(json.dumps(self.serve.exchange("/hello", include=["connection", "raw_head", "timings"])))
        said.append(self.serve.output())
        said += [p.read_text(errors="replace") for p in (self.serve.home / "audit").rglob("*") if p.is_file()]
        for text in said:
            for piece in (key[:40], key[40:80], "PRIVATE KEY"):
                self.assertNotIn(piece, text)


class Prints(Options):
    def test_programs_are_told_apart(self):
        self.serve.call("proxy_clear_traffic")
        for _ in range(3):
            self.serve.curl(f"https://localhost:{self.origin.port}/hello")
        client = self.client()
        self.ask(client)
        client.close()
        self.serve.curl(f"http://localhost:{self.new_origin(plain=True).port}/hello")
        poll(lambda: len(self.serve.traffic()) == 5, 10, "the records")
        prints = self.serve.call("proxy_list_tls_fingerprints")
        self.assertEqual(prints["totalExchangesWithTls"], 4)
        self.assertEqual([x["count"] for x in prints["ja4"]], [3, 1])
        self.assertEqual(sum(x["count"] for x in prints["ja3"]), 4)
        by_curl = self.serve.traffic(limit=1)[0]["ja4"]
        self.assertEqual(prints["ja4"][0], {"fingerprint": by_curl, "count": 3, "hostnames": ["localhost"]})
        self.assertEqual(prints["ja4"][1]["hostnames"], ["x"])
        self.assertEqual(len(self.serve.call("proxy_list_tls_fingerprints", limit=1)["ja4"]), 1)
        self.assertEqual(self.serve.call("proxy_list_tls_fingerprints", hostname_filter="LOCAL")["totalExchangesWithTls"], 3)
        self.assertEqual(self.serve.call("proxy_list_tls_fingerprints", hostname_filter="none")["ja3"], [])

    def test_the_switch_hides_the_servers_side(self):
        self.addCleanup(self.serve.call, "proxy_enable_server_tls_capture", enabled=True)
        self.serve.curl(f"https://localhost:{self.origin.port}/hello")
        record = self.serve.exchange("/hello")
        self.assertIn("server", record["tls"])
        self.assertEqual(self.serve.call("proxy_enable_server_tls_capture", enabled=False),
                         {"status": "success", "serverTlsCaptureEnabled": False})
        self.assertNotIn("server", self.serve.exchange("/hello")["tls"])
        self.assertNotIn("server", self.serve.call("proxy_get_tls_fingerprints", exchange_id=record["id"])["tls"])
        self.assertEqual(self.serve.call("proxy_get_tls_config"),
                         {"status": "success", "serverTlsCaptureEnabled": False, "ja3SpoofConfig": None})

    def test_spoofing_is_not_there_and_says_so(self):
        self.assertEqual(self.serve.call("proxy_list_fingerprint_presets"), {"status": "success", "presets": []})
        self.assertFalse(self.serve.call("proxy_check_fingerprint_runtime")["ready"])
        self.assertEqual(self.serve.call("proxy_clear_ja3_spoof"),
                         {"status": "success", "message": "JA3 spoofing disabled"})


if __name__ == "__main__":
    unittest.main()
