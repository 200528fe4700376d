"""docs/modes.md and the README's "Ways in" are true: every block of commands is run as it stands. Ports and example.com are
ours to choose: ports are replaced by free ones, and example.com is a rule or a name in a hosts file."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import socket
import unittest

import namespaces
from harness import E2E, PATIENCE, ROOT, Serve, clean_environment, free_port, needs  # first: it knows where the fakes are
from fakes.closing import close_listener
from fakes.origin import Origin
from fakes.pki import TestAuthority
from namespaces import Net, inside
from test_transparent import GatewayServe

BLOCK = re.compile(r"^```sh(?: (?P<kind>[\w-]+))?\n(?P<lines>.*?)^```$", re.M | re.S)


def modes():
    return (ROOT / "docs" / "modes.md").read_text()


def readme():
    return (ROOT / "README.md").read_text().split("\n## Ways in\n")[1].split("\n## ")[0]


def blocks(text, *kinds):
    return [m["lines"].strip().split("\n") for m in BLOCK.finditer(text) if m["kind"] in kinds]


def renumber(line, ports):
    for written, real in ports.items():
        line = re.sub(rf"\b{written}\b", str(real), line)
    return line


class Mail:
    """As little SMTP as curl asks for. It speaks first."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        with sock, sock.makefile("rwb") as stream:
            stream.write(b"220 mail.example ready\r\n")
            stream.flush()
            for line in stream:
                stream.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 fine\r\n")
                stream.flush()


class Documented(E2E):
    def shell(self, line, home):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30 * PATIENCE, cwd=home,
                              env=clean_environment(HOME=home))
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def test_every_block_of_the_explicit_ways(self):
        needs("curl"), needs("openssl")
        for text, count in ((modes(), 8), (readme(), 4)):
            found = blocks(text, None)
            self.assertEqual(len(found), count)
            for lines in found:
                with self.subTest(lines[-1]):
                    self.run_block(lines)

    def run_block(self, lines):
        home = pathlib.Path(tempfile.mkdtemp(prefix="home.", dir=self.directory))
        mail = Mail()
        self.addCleanup(close_listener, mail.listener)
        ports = {8080: free_port(), 2525: mail.port}
        lines = [renumber(line, ports) for line in lines]
        start = next(i for i, line in enumerate(lines) if line.startswith("sluice serve"))
        for line in lines[:start]:
            self.shell(line, home)
        flags = [flag.replace("$HOME", str(home)) for flag in shlex.split(lines[start])[2:]]
        with Serve("--upstream-ca", self.fakes.pem, *flags, home=home / ".sluice", directory=home,
                   proxy_port=ports[8080]) as serve:
            serve.call("proxy_add_rule", description="example.com is here", matcher={"hostname": "example.com"},
                       handler={"type": "forward", "forwardTo": self.origin.url("").rstrip("/")})
            for line in lines[start + 1:]:
                said = self.shell(line, home)
                if "://example.com/" in line and line.startswith("curl"):
                    self.assertIn("page of the fake origin", said, line)
            if "smtp:" in lines[-1]:
                record = serve.exchange(f"tcp://127.0.0.1:{mail.port}")
                self.assertIn("220 mail.example ready", record["response"]["bodyPreview"])
                self.assertIn("EHLO", record["request"]["bodyPreview"])


class DocumentedRedirections(unittest.TestCase):
    """In a namespace whose /etc/hosts knows example.com."""

    @classmethod
    def setUpClass(cls):
        namespaces.require()
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.directory.chmod(0o755)
        cls.fakes = TestAuthority(cls.directory / "fakes")
        cls.hosts = cls.directory / "hosts"
        cls.hosts.write_text(f"127.0.0.1 localhost\n::1 localhost\n{Net.V4} example.com\n{Net.V6} example.com\n")

    def setUp(self):
        self.net = self.enterContext(Net())
        context = self.fakes.server_context("example.com")
        with inside(self.net.server):
            for host in (Net.V4, Net.V6):
                self.addCleanup(Origin(context, host, port=443).close)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home.", dir=self.directory))
        self.home.chmod(0o755)

    def serve(self, line, ports):
        serve = GatewayServe(self.net, "--upstream-ca", self.fakes.pem, *shlex.split(renumber(line, ports))[2:],
                             home=self.home / ".sluice", directory=self.home)
        self.addCleanup(serve.stop)
        return serve

    def shell(self, line, where, prefix="", home=None):
        command = f"mount --bind {self.hosts} /etc/hosts && exec {prefix} bash -c {shlex.quote(line)}"
        done = subprocess.run([*self.net.prefix(where), "bash", "-c", command], capture_output=True, text=True,
                              timeout=30 * PATIENCE, env=clean_environment(HOME=home or self.home, PATH=os.environ["PATH"] + ":/usr/sbin"))
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def check(self, serve, url="https://example.com/"):
        sources = {row["source"] for row in serve.traffic() if row["url"] == url and row["status"] == 200}
        self.assertEqual(sources, {"transparent"})

    def try_own_traffic(self, kind, prefix="", text=None):
        (lines,) = blocks(text or modes(), kind)
        ports = {8443: free_port()}
        serve = self.serve(lines[0], ports)
        public = self.home / "public"
        (public / ".sluice" / "ca").mkdir(parents=True)
        shutil.copy(serve.ca, public / ".sluice" / "ca" / "ca-cert.pem")
        (public / ".sluice" / "ca" / "ca-cert.pem").chmod(0o644)
        for line in lines[1:-1]:
            self.shell(renumber(line, ports), self.net.gateway)
        for family in ("-4", "-6"):
            line = lines[-1].replace("curl ", f"curl -sS {family} ")
            self.assertIn("page of the fake origin", self.shell(line, self.net.gateway, prefix, public))
        self.check(serve)

    def test_this_machines_traffic_but_for_the_user_of_sluice(self):
        self.try_own_traffic("as-other-user", "setpriv --reuid=65534 --clear-groups")

    def test_this_machines_traffic_but_for_what_is_marked(self):
        self.try_own_traffic("redirected")

    def test_the_same_as_the_readme_says_it(self):
        self.try_own_traffic("redirected", text=readme())

    def test_http_3_is_refused_at_once(self):
        (lines,) = blocks(modes(), "no-quic")
        with inside(self.net.server):
            for family, host in ((socket.AF_INET, Net.V4), (socket.AF_INET6, Net.V6)):
                quic = socket.socket(family, socket.SOCK_DGRAM)
                self.addCleanup(quic.close)
                quic.bind((host, 443))
        for line in lines:
            self.shell(line, self.net.gateway)
        for where in (self.net.gateway, self.net.client):
            for family, host in ((socket.AF_INET, Net.V4), (socket.AF_INET6, Net.V6)):
                with self.subTest(where=where, host=host), inside(where), socket.socket(family, socket.SOCK_DGRAM) as asked:
                    asked.settimeout(10)
                    with self.assertRaises((ConnectionRefusedError, PermissionError)):
                        asked.connect((host, 443))
                        asked.send(b"hello?")
                        asked.recv(1)

    def test_the_traffic_of_other_machines(self):
        (lines,) = blocks(modes(), "gateway")
        ports = {8443: free_port()}
        serve = self.serve(lines[0], ports)
        for line in lines[1:]:
            self.shell(renumber(line, ports), self.net.gateway)
        for family in ("-4", "-6"):
            self.assertIn("page of the fake origin",
                          self.shell(f"curl -sS {family} --cacert {serve.ca} https://example.com/", self.net.client))
        self.check(serve)


if __name__ == "__main__":
    unittest.main()
