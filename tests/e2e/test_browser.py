"""Headless Chromium through the proxy, with a profile of its own: the CA installed by certutil, and trusted by key."""
import shutil
import unittest

from harness import E2E, clean_environment, needs, poll, run


class Chromium(E2E):
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

    def seen(self):
        return [r for r in self.serve.traffic(url_filter=f":{self.origin.port}/page", limit=500) if r["status"] == 200]

    def test_with_the_ca_installed_by_certutil(self):
        certutil = needs("certutil", "libnss3-tools")
        database = self.directory / "browser-test_with_the_ca_installed_by_certutil" / ".pki" / "nssdb"
        database.mkdir(parents=True)
        run(certutil, "-N", "--empty-password", "-d", f"sql:{database}", check=0)
        run(certutil, "-A", "-d", f"sql:{database}", "-t", "C,,", "-n", "Sluice", "-i", self.serve.ca, check=0)
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


if __name__ == "__main__":
    unittest.main()
