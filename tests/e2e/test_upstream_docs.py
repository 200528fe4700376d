"""docs/upstream.md is true: every block of commands is run as it stands. The proxies in it stand for squid and microsocks here."""
import os
import pathlib
import re
import shlex
import subprocess
import tempfile

from harness import PATIENCE, ROOT, SLUICE, Serve, clean_environment, free_port, needs
from fakes.proxies import Squid
from test_upstream_rules import UpstreamTest

BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.M | re.S)
ASSIGNMENT = re.compile(r"([A-Za-z_]+)=(\S+)")


class Documented(UpstreamTest):
    def test_every_block(self):
        found = BLOCK.findall((ROOT / "docs" / "upstream.md").read_text())
        self.assertEqual([kind for kind, _ in found].count("sh"), 8)
        for kind, text in found:
            with self.subTest(text.split("\n")[0]):
                self.run_block(kind, text)

    def guarded(self):
        return self.child("guarded", lambda: Squid(needs("squid", "squid-openssl"), auth="both", password="correct-horse"))

    def localised(self, text):
        squid = self.guarded() if "agent" in text else self.squid()
        scripts = self.new_origin(plain=True)
        script = f"function FindProxyForURL() {{ return 'PROXY localhost:{squid.port}' }}"
        scripts.routes["/proxy.pac"] = lambda talk: talk.answer(body=script)
        (self.home / "proxy.pac").write_text(script)
        (self.home / "secret").write_text("correct-horse\n")
        for written, real in (("proxy.example:3128", f"localhost:{squid.port}"), ("proxy.example", "localhost"),
                              ("127.0.0.1:9050", f"127.0.0.1:{self.socks().port}"), ("127.0.0.1:8080", f"127.0.0.1:{self.port}"),
                              ("wpad.corp.example", f"localhost:{scripts.port}"), ("$HOME", str(self.home)),
                              ("/home/me/.proxy-password", str(self.home / "secret"))):
            text = text.replace(written, real)
        return text

    def run_block(self, kind, text):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="home.", dir=self.directory))
        programs = self.home / "bin"
        programs.mkdir()
        (programs / "sluice").symlink_to(SLUICE)
        self.environment = clean_environment(HOME=self.home, PATH=f"{programs}:{os.environ['PATH']}")
        self.port, self.running = free_port(), None
        text = self.localised(text)
        if kind == "yaml":
            (self.home / ".sluice").mkdir(0o700)
            (self.home / ".sluice" / "config.yaml").write_text(text)
            text = "sluice serve"
        try:
            for line in text.strip().split("\n"):
                self.run_line(line)
        finally:
            if self.running:
                self.running.stop()

    def start(self, words, environment):
        if self.running:
            self.running.stop()
        self.running = Serve("--upstream-ca", self.fakes.pem, *words, home=self.home / ".sluice", directory=self.home,
                             proxy_port=self.port, env={**self.environment, **environment})
        self.running.call("proxy_add_rule", description="example.com is here", matcher={"hostname": "example.com"},
                          handler={"type": "forward", "forwardTo": self.origin.url("", "127.0.0.1")})
        status = self.running.call("proxy_status")
        if words or (self.home / ".sluice" / "config.yaml").exists():
            self.assertTrue(status["globalUpstream"] or status["hostUpstreams"], words)
        page = self.running.curl("https://example.com/hello", check=0).stdout
        self.assertEqual(page, "hello from the origin\n")
        if status["globalUpstream"]:
            self.assertIsNotNone(self.proxy_of("example.com/hello", self.running))

    def run_line(self, line):
        words = shlex.split(line, comments=True)
        environment = {}
        while words and ASSIGNMENT.fullmatch(words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if words[:1] == ["export"]:
            self.environment.update(word.split("=", 1) for word in words[1:])
            return
        if words[:2] == ["sluice", "serve"]:
            return self.start(words[2:], environment)
        if not self.running:
            if words[0] == "sluice":
                self.start([], {})
            elif words[0] == "curl":
                self.fail("a block asks before it serves")
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30 * PATIENCE, cwd=self.home,
                              env=self.environment)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{done.stderr}")
