"""docs/rules.md, the hostile peers of docs/security.md and the host options of docs/tls.md are true: their rules are taken, their tests
exist, and their commands run as they stand. (docs/upstream.md: test_upstream_docs.py.)"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import test_cases
from harness import HERE, PATIENCE, ROOT, SLUICE, E2E, Serve, clean_environment, free_port, poll


def blocks(page, kind, section=""):
    """The page's blocks of that kind, from a heading to the next of its depth."""
    text = (ROOT / "docs" / page).read_text()
    if section:
        text = re.split(r"^## ", text.split(f"## {section}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


class Documented(E2E):
    """A home of its own for each test, in $HOME/.sluice, as whoever tries the page has it."""

    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="reader.", dir=self.directory))
        (self.home / "bin").mkdir()
        (self.home / "bin" / "sluice").symlink_to(SLUICE)
        self.environment = clean_environment(HOME=self.home, PATH=f"{self.home / 'bin'}:{os.environ['PATH']}")
        self.port, self.running = free_port(), None
        self.addCleanup(lambda: self.running and self.running.stop())

    def start(self, *flags):
        if self.running:
            self.running.stop()
        self.running = Serve("--upstream-ca", self.fakes.pem, *flags, home=self.home / ".sluice", directory=self.home, proxy_port=self.port,
                             env=self.environment)
        return self.running

    def bash(self, line, code=0):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30 * PATIENCE, cwd=self.home,
                              env=self.environment, check=False)
        self.assertEqual(done.returncode, code, f"{line}\n{done.stdout}\n{done.stderr}")
        return done.stdout


class HostilePeers(unittest.TestCase):
    """docs/security.md"""
    page = ROOT / "docs" / "security.md"

    def test_every_test_that_the_page_names_exists(self):
        test_cases.assert_named_tests_exist(self, self.page, 60)

    def test_every_test_of_hostile_peers_is_named_by_itself_or_its_class(self):
        text = self.page.read_text()
        for path in sorted(HERE.glob("test_hostile_*.py")):
            for found in unittest.defaultTestLoader.loadTestsFromName(path.stem):
                for test in found:
                    whole, _, _ = test.id().rpartition(".")
                    if whole != "test_hostile_slow.Flags":
                        self.assertTrue(f"`{test.id()}`" in text or f"`{whole}`" in text, test.id())

    def test_each_attack_and_each_hole_has_a_row_with_its_option(self):
        """gate.md 10: row, default behaviour, option, test."""
        part = self.page.read_text().split("## Attacks on the gate")[1].split("\n## ")[0]
        rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ") and not line.startswith("| Attack |")]
        self.assertGreater(len(rows), 70)
        for row in rows:
            self.assertEqual(len(row), 4, row[0])
            self.assertRegex(row[3], r"`[\w./]+", row[0])
        named = {name for row in rows for name in re.findall(r"\b[AH]\d+\b", row[0])}
        self.assertEqual({f"A{n}" for n in range(1, 48)} | {f"H{n}" for n in range(1, 20)}, named)

    def test_every_fuzz_target_has_seeds_and_every_corpus_a_target(self):
        targets = {path.stem for path in (ROOT / "src").glob("*/*_fuzz.cc")}
        self.assertGreater(len(targets), 30)
        self.assertEqual({path.parent.name for path in (ROOT / "fuzz" / "corpus").glob("*/*")}, targets)

    def test_every_time_out_has_its_default_there(self):
        limits = (ROOT / "src" / "base" / "limits.h").read_text()
        rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([0-9.,]+) \|", self.page.read_text(), re.M))
        names = re.findall(r"milliseconds (\w+)\{([0-9']+)\};", limits.split("struct Timeouts")[1].split("\n};")[0])
        documented = {name.replace("-", "_"): float(seconds.replace(",", "")) * 1000 for name, seconds in rows.items()}
        self.assertEqual(documented, {name: float(value.replace("'", "")) for name, value in names if name != "drain"})


class Rules(Documented):
    def test_every_rule_is_taken_and_each_kind_of_handler_is_explained(self):
        found = blocks("rules.md", "json")
        self.assertGreater(len(found), 6)
        for text in found:
            with self.subTest(text.split("\n")[0]):
                rule = self.serve.call("proxy_add_rule", **json.loads(text))["rule"]
                self.addCleanup(self.forget_rule, rule["id"])
                for part in ("description", "matcher", "handler"):
                    self.assertEqual(rule[part], json.loads(text)[part])
        page = (ROOT / "docs" / "rules.md").read_text()
        for tool in self.serve.rpc("tools/list", {})["tools"]:
            if tool["name"] == "proxy_add_rule":
                for kind in tool["inputSchema"]["properties"]["handler"]["properties"]["type"]["enum"]:
                    self.assertRegex(page, rf"\| `{kind}` \|")
                for condition in tool["inputSchema"]["properties"]["matcher"]["properties"]:
                    self.assertRegex(page, rf"\| `{condition}` \|")

    def test_the_first_commands(self):
        self.start()
        (self.home / "rule.json").write_text(blocks("rules.md", "json")[0])
        said = [self.bash(line) for line in blocks("rules.md", "sh")[0].strip().split("\n")]
        self.assertIn('"id": "rule_1"', said[0])
        self.assertEqual(json.loads(said[1])["result"]["effectiveWinner"]["ruleId"], "rule_1")
        self.assertEqual(json.loads(said[3])["count"], 2)
        self.assertEqual([r["id"] for r in self.running.call("proxy_list_rules")["rules"]], ["rule_2"])

    def test_the_commands_for_a_breakpoint(self):
        serve = self.start()
        [rule] = [text for text in blocks("rules.md", "json") if "hold" in text]
        serve.call("proxy_add_rule", **json.loads(rule))
        text = blocks("rules.md", "sh")[1]
        for written, real in (("http://127.0.0.1:8080", f"--noproxy '' {serve.proxy_url}"), ("https://api.example.com", self.origin.url("")),
                              ("--proxy --noproxy ''", "--noproxy '' --proxy")):
            text = text.replace(written, real)
        curl, *lines = text.strip().split("\n")
        self.assertTrue(curl.endswith("&"))
        client = subprocess.Popen(["bash", "-c", "exec " + curl.rstrip("& ")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  env=self.environment)
        self.addCleanup(client.stdout.close)
        for phase, line in (("request", lines[1]), ("response", lines[2])):
            held = poll(lambda phase=phase: [h for h in json.loads(self.bash(lines[0]))["held"] if h["phase"] == phase], what=phase)
            self.bash(line.replace("…", held[0]["exchange_id"]))
        self.assertEqual(client.wait(20 * PATIENCE), 0)
        self.assertEqual((self.origin.requests[-1].body, self.origin.requests[-1].get("X-Test")), (b'{"n": 2}', "1"))

    def test_the_commands_that_save(self):
        serve = self.start()
        serve.call("proxy_add_rule", description="x", matcher={}, handler={"type": "drop"})
        for line, count in zip(blocks("rules.md", "sh")[2].strip().split("\n"), (1, 2, 1), strict=True):
            self.bash(line)
            self.assertEqual(serve.call("proxy_list_rules")["count"], count, line)


class HostOptions(Documented):
    SECTION = "Options of a host"

    def localised(self, text):
        """With this test's ports, and with files where they are: serve's folder is not the reader's here."""
        text = text.replace("/home/me/own.pem", "own.pem").replace("{ca_file: own.pem}", f"{{ca_file: {self.home / 'own.pem'}}}")
        for written, real in (("127.0.0.1:4433", f"127.0.0.1:{self.other}"), ("localhost:4433", f"localhost:{self.other}"),
                              ("127.0.0.1:8080", f"127.0.0.1:{self.port}")):
            text = text.replace(written, real)
        return text

    def certify(self, lines):
        """Runs the page's first commands: a certificate, and a server that has it."""
        self.bash(lines.pop(0) + "\n" + lines.pop(0))
        server = subprocess.Popen(["bash", "-c", "exec " + lines.pop(0).rstrip("& ")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, cwd=self.home)
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGTERM)
        poll(self.listens, what="the server")

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.other), 1).close()
            return True
        except OSError:
            return False

    def setUp(self):
        super().setUp()
        self.other = free_port()
        self.environment["CA"] = str(self.home / ".sluice" / "ca" / "ca-cert.pem")

    def test_the_commands(self):
        first, second = blocks("tls.md", "sh", self.SECTION)
        lines = self.localised(first).strip().split("\n")
        self.certify(lines)
        self.assertEqual(lines.pop(0), 'sluice serve --allow-root "$PWD"')
        self.start("--allow-root", self.home)
        self.assertEqual(lines.pop(0), "")
        for line in lines:
            said = self.bash(line)
            if line.startswith("curl"):
                self.assertEqual("proxy_set_host_options" in said, "502" in line, said)
        self.assertEqual(self.running.call("proxy_list_host_options")["options"], [])
        flags = [self.localised(flag) for flag in re.findall(r"--host-options '([^']*)'", second)]
        self.start(*(word for flag in flags for word in ("--host-options", flag)))
        self.assert_entries()
        [text] = blocks("tls.md", "yaml", self.SECTION)
        (self.home / ".sluice" / "config.yaml").write_text(self.localised(text))
        self.start()
        self.assert_entries()

    def assert_entries(self):
        entries = {entry["host"]: entry["options"] for entry in self.running.call("proxy_list_host_options")["options"]}
        self.assertEqual(entries["*.bank.example"], {"tls": "passthrough", "record": False})
        page = self.running.curl("-o", os.devnull, "-w", "%{http_code}", f"https://localhost:{self.other}/").stdout
        self.assertEqual(page, "200")


if __name__ == "__main__":
    unittest.main()
