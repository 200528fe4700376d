"""nghttp, nghttpd and h2load: another implementation's idea of HTTP/2, on both sides of Sluice."""
import contextlib
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from harness import E2E, free_port, needs, poll, run  # first: it finds the fakes
from fakes.pipe import ConnectPipe


class Tools(E2E):
    def setUp(self):
        super().setUp()
        for program in ("nghttp", "nghttpd", "h2load"):
            needs(program, "nghttp2-client" if program != "nghttpd" else "nghttp2-server")
        self.files = pathlib.Path(tempfile.mkdtemp(prefix="nghttpd."))
        self.addCleanup(shutil.rmtree, self.files)
        (self.files / "small").write_bytes(b"x" * 1024)
        (self.files / "large").write_bytes(b"y" * 3_000_000)

    def nghttpd(self, *more, plain=False):
        port = free_port()
        leaf = ["--no-tls", str(port)] if plain else [str(port), *reversed([str(p) for p in self.fakes.leaf("localhost")])]
        self.start("nghttpd", "--address=127.0.0.1", f"--htdocs={self.files}", *more, *leaf, port=port)
        return port

    def start(self, *command, port):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return True
            return False
        poll(listens, 10, command[0])

    def pipe(self, port):
        pipe = ConnectPipe(self.serve.proxy_port, f"localhost:{port}")
        self.addCleanup(pipe.close)
        return pipe.port

    def nghttp(self, port, *paths, options=(), scheme="https"):
        at = self.pipe(port)
        urls = [f"{scheme}://localhost:{at}{path}" for path in paths]
        return run("nghttp", "-v", "--no-dep", f"-H:authority: localhost:{port}", *options, *urls, seconds=60).stdout

    def test_heads_and_bodies_pass_between_them(self):
        port = self.nghttpd()
        out = self.nghttp(port, "/small", "/large", "/small?again")
        self.assertEqual(len(re.findall(r":status: 200", out)), 3)
        record = self.serve.exchange(f":{port}/large")
        self.assertEqual((record["protocol"], record["response"]["bodySize"]), ("h2", 3_000_000))

    def test_padding_trailers_and_large_heads_pass(self):
        port = self.nghttpd("--trailer=x-last: word", "--padding=100", "--echo-upload")
        upload = self.files / "upload"
        upload.write_bytes(b"z" * 100_000)
        large = [f"-Hx-large-{i}: {'v~' * 2200}" for i in range(6)]  # more than a frame: CONTINUATION
        out = self.nghttp(port, "/small", options=["--padding=50", "--trailer=x-mine: too", f"--data={upload}", *large])
        self.assertIn(":status: 200", out)
        self.assertIn("x-last: word", out)
        record = self.serve.exchange(f":{port}/small", include=["raw_head"])
        self.assertEqual((record["request"]["bodySize"], record["response"]["bodySize"]), (100_000, 100_000))
        self.assertIn("x-large-3", record["request"]["headers"])
        self.assertIn({"name": "x-mine", "value": "too"}, record["request"]["rawHead"]["trailers"])

    def test_weights_and_dependencies_are_no_obstacle(self):
        port = self.nghttpd()
        at = self.pipe(port)
        out = run("nghttp", "-v", "--weight=33", "-m", "5", f"-H:authority: localhost:{port}",
                  f"https://localhost:{at}/small", seconds=60).stdout
        self.assertEqual(len(re.findall(r":status: 200", out)), 5)

    def test_thousands_of_streams_over_several_connections(self):
        port = self.nghttpd()
        at = self.pipe(port)
        done = run("h2load", "-n", "3000", "-c", "5", "-m", "20", f"-H:authority: localhost:{port}",
                   f"https://localhost:{at}/small", seconds=120).stdout
        self.assertIn("3000 succeeded, 0 failed, 0 errored, 0 timeout", done)
        self.assertRegex(done, r"status codes: 3000 2xx")
        total = poll(lambda: next(iter(t for t in [self.serve.call("proxy_list_traffic", url_filter=f":{port}/small",
                                                                   limit=1)["total"]] if t == 3000), None), 20, "3000 records")
        self.assertEqual(total, 3000)

    def test_prior_knowledge_passes_without_tls(self):
        port = self.nghttpd(plain=True)
        self.assertIn(":status: 200", self.nghttp(port, "/small", scheme="http"))
        self.assertEqual(self.serve.exchange(f":{port}/small")["protocol"], "h2")

    def upgrading_origin(self):
        """nghttpx in front of an HTTP/1.1 origin: nghttpd takes no upgrades."""
        behind, port = self.new_origin(plain=True), free_port()
        self.start("nghttpx", f"--frontend=127.0.0.1,{port};no-tls", f"--backend=127.0.0.1,{behind.port}", "--workers=1",
                   "--conf=/dev/null", port=port)
        return port

    def test_an_upgrade_to_h2c_passes(self):
        needs("nghttpx", "nghttp2-proxy")
        port = self.upgrading_origin()
        out = self.nghttp(port, "/hello", "/hello?again", scheme="http", options=["--upgrade"])
        self.assertIn("HTTP Upgrade success", out)
        self.assertEqual(len(re.findall(r":status: 200", out)), 2)
        self.assertEqual(self.serve.exchange(f":{port}/hello?again")["protocol"], "h2")

    def test_curl_upgrades_through_the_proxy_where_the_origin_does(self):
        needs("nghttpx", "nghttp2-proxy")
        written = ["-s", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
        out = self.serve.curl(*written, f"http://localhost:{self.upgrading_origin()}/hello")
        self.assertEqual(out.stdout, "2 200", out.stderr)
        plain = self.new_origin(plain=True)
        out = self.serve.curl(*written, f"http://localhost:{plain.port}/hello")
        self.assertEqual(out.stdout, "1.1 200", out.stderr)
