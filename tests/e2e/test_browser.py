"""Headless Chromium through the proxy, with a profile of its own: the CA installed by certutil, and trusted by key."""
import json
import shutil
import subprocess
import unittest

from harness import E2E, HERE, clean_environment, needs, needs_node, poll, run


class Browser(E2E):
    def browse(self, url, *flags):
        chromium = next((p for p in map(self.find, ("chromium", "chromium-browser", "google-chrome")) if p), None)
        if chromium is None:
            self.skipTest("chromium is not installed (chromium)")
        self.home = self.directory / f"browser-{self.id().rsplit('.', 1)[1]}"
        (self.home / "profile").mkdir(parents=True, exist_ok=True)
        return run(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--disable-dev-shm-usage", "--disable-default-apps", "--disable-extensions",
                   f"--user-data-dir={self.home / 'profile'}", f"--proxy-server={self.serve.proxy_url}",
                   "--proxy-bypass-list=<-loopback>", *flags, "--dump-dom", url, seconds=60,
                   env=clean_environment(HOME=self.home, XDG_CONFIG_HOME=self.home / "config",
                                         XDG_CACHE_HOME=self.home / "cache"))

    @staticmethod
    def find(name):
        return shutil.which(name)

    def trust(self):
        """Installs the CA for this test's browser."""
        certutil = needs("certutil", "libnss3-tools")
        database = self.directory / f"browser-{self.id().rsplit('.', 1)[1]}" / ".pki" / "nssdb"
        database.mkdir(parents=True)
        run(certutil, "-N", "--empty-password", "-d", f"sql:{database}", check=0)
        run(certutil, "-A", "-d", f"sql:{database}", "-t", "C,,", "-n", "Sluice", "-i", self.serve.ca, check=0)


class Chromium(Browser):
    def seen(self):
        return [r for r in self.serve.traffic(url_filter=f":{self.origin.port}/page", limit=500) if r["status"] == 200]

    def test_with_the_ca_installed_by_certutil(self):
        self.trust()
        done = self.browse(self.origin.url("/page"))
        self.assertIn("page of the fake origin", done.stdout, done.stderr[-2000:])
        poll(self.seen, 5, "the page in the traffic")

    def test_trusted_by_the_hash_of_the_ca_key(self):
        before = len(self.origin.requests)
        done = self.browse(self.origin.url("/page"),
                           f"--ignore-certificate-errors-spki-list={self.serve.ready['ca']['spki_sha256']}")
        self.assertIn("page of the fake origin", done.stdout, done.stderr[-2000:])
        self.assertGreater(len(self.origin.requests), before)

    def test_without_trust_it_refuses_and_the_cause_is_recorded(self):
        done = self.browse(self.origin.url("/page"))
        self.assertNotIn("page of the fake origin", done.stdout)
        rows = poll(lambda: [r for r in self.serve.traffic(limit=500) if r["protocol"] == "tls"], 5, "a failed handshake")
        record = self.serve.call("proxy_get_exchange", exchange_id=rows[-1]["id"])["exchange"]
        self.assertEqual(record["error"]["code"], "client_tls")


class LongConnections(Browser):
    """A page over HTTP/2 with a WebSocket, server-sent events, and fetch streaming both ways (clients/page.html)."""

    def page(self, way):
        node = needs_node()
        if not (HERE / "node_modules" / "ws").is_dir():
            self.skipTest("tests/e2e/node_modules is older than its lock file (npm ci)")
        server = subprocess.Popen([node, HERE / "clients" / "page_server.mjs", *self.fakes.leaf("localhost"), way],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.stdin.close)
        port = json.loads(server.stdout.readline())["port"]
        self.trust()
        done = self.browse(f"https://localhost:{port}/page")
        self.assertIn("<title>done</title>", done.stdout, done.stderr[-2000:])
        results = json.loads(server.stdout.readline())
        self.assertEqual(results, {
            "protocol": "h2", "events": [[step, step] for step in ("one", "two", "three")],
            "chunks": ["one;", "two;", "three;"], "upload": "one;two;three;",
            "socket": {"same": True, "binary": "0,255,1", "code": 4001, "wasClean": True}})
        return f":{port}"

    def records_are_whole(self, at, method):
        page = self.serve.exchange(f"{at}/page", include=["connection"])
        self.assertEqual((page["protocol"], page["response"]["statusCode"]), ("h2", 200))
        self.assertRegex(page["connection"]["client"]["http2"]["text"], r"^1:\d+;[\d:;]+\|\d+\|0\|m,a,s,p$")
        events = self.serve.exchange(f"{at}/events", include=["messages"])
        self.assertEqual(events["protocol"], "h2")
        self.assertEqual([(m["event"], m["id"], m["text"]) for m in events["messages"]["items"]],
                         [("step", step, json.dumps({"step": step}, separators=(",", ":")))
                          for step in ("one", "two", "three")])
        chunks = self.serve.exchange(f"{at}/chunks", include=["response_body"])
        self.assertEqual((chunks["protocol"], chunks["response"]["body"]["text"]), ("h2", "one;two;three;"))
        upload = self.serve.exchange(f"{at}/upload", include=["request_body"])
        self.assertEqual((upload["protocol"], upload["request"]["body"]["text"], upload["request"]["body"]["complete"]),
                         ("h2", "one;two;three;", True))
        socket = self.serve.exchange(f"{at}/socket", include=["messages"])
        self.assertEqual((socket["protocol"], socket["state"], socket["request"]["method"]), ("websocket", "done", method))
        messages, items = socket["messages"], socket["messages"]["items"]
        while "nextOffset" in messages:  # the large ones fill a page
            messages = self.serve.exchange(f"{at}/socket", include=["messages"], offset=messages["nextOffset"])["messages"]
            items += messages["items"]
        for side in ("client", "server"):
            said = [m for m in items if m["from"] == side]
            self.assertEqual([m["type"] for m in said], ["text"] * 3 + ["binary", "close"])
            self.assertEqual([m.get("text") for m in said[:2]], ["hello", "grüße"])
            self.assertEqual((said[3]["base64"], said[4]["code"]), ("AP8B", 4001))

    def test_the_websocket_has_a_stream_of_the_http_2_connection(self):
        self.records_are_whole(self.page("h2"), "CONNECT")

    def test_the_websocket_has_an_http_1_connection_of_its_own(self):
        self.records_are_whole(self.page("h1"), "GET")


if __name__ == "__main__":
    unittest.main()
