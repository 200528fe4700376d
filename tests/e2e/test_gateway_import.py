"""`sluice gateway import FILE [--undo]`: a client's configuration goes through the gate and back (docs/gateway.md)."""
import json
import os
import pathlib
import stat

from harness import SLUICE, clean_environment, run
from gateway_client import FAKE
from test_gateway import ALLOW, GatewayCase

SECRET = "very-secret-value-93"


class Import(GatewayCase):
    def setUp(self):
        super().setUp()
        self.client = self.directory / "client.json"
        self.backup = pathlib.Path(f"{self.client}.before-sluice")

    def run_import(self, *flags, code=0):
        done = run(SLUICE, "gateway", "import", "--home", self.home, self.client, *flags, stdin=-3, env=clean_environment())
        self.assertEqual(done.returncode != 0, code != 0, done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def gate(self, code=0):
        return self.run_import("--policy", self.write(ALLOW), code=code)

    def put(self, document, text=None):
        self.client.write_text(text or json.dumps(document))
        self.client.chmod(0o644)
        return self.client.read_bytes()

    def refused(self, words, document=None, text=None):
        before = self.put(document, text)
        self.assertIn(words, self.gate(code=1))
        self.assertEqual(self.client.read_bytes(), before)
        self.assertFalse(self.backup.exists())

    def entry(self, name):
        return json.loads(self.client.read_text())["mcpServers"][name]

    def test_what_it_writes_runs_the_server_behind_the_gate(self):
        received = str(self.directory / "received")
        self.put({"mcpServers": {"My_Files": {"command": FAKE[0], "args": FAKE[1:], "env": {"RECEIVED": received}}}})
        self.assertIn("My_Files goes through the gate as my-files", self.gate())
        entry = self.entry("My_Files")
        self.assertEqual(entry["env"], {"RECEIVED": received})
        self.assertEqual(os.path.realpath(entry["command"]), os.path.realpath(SLUICE))
        done = run(entry["command"], *entry["args"], env=clean_environment(**entry["env"]), input="\n".join(
            json.dumps({"jsonrpc": "2.0", **message}) for message in (
                {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}}},
                {"method": "notifications/initialized"}, {"id": 2, "method": "tools/call", "params": {"name": "echo"}})) + "\n")
        self.assertIn('"id":2', done.stdout, done.stderr)
        lines = [json.loads(line) for path in self.home.glob("audit/*.jsonl") for line in path.read_text().splitlines()]
        self.assertEqual([line["server"] for line in lines if line["type"] == "decision"], ["my-files"])

    def test_undo_is_exact_to_the_octet(self):
        before = self.put(None, '{\n\t"theme": "dark", "big": 12345678901234567890123,\n\t"mcpServers": {"a": '
                                '{"command": "x",   "timeout": 1.0}},\n\t"last": [1e2, {}]}')
        self.gate()
        text = self.client.read_text()
        for kept in ("12345678901234567890123", '"timeout": 1.0', "1e2", '\n\t"theme": "dark"'):
            self.assertIn(kept, text)
        self.assertEqual(list(json.loads(text)), ["theme", "big", "mcpServers", "last"])
        self.assertEqual(stat.S_IMODE(self.client.stat().st_mode), 0o644)
        self.assertEqual(self.backup.read_bytes(), before)
        self.assertEqual(stat.S_IMODE(self.backup.stat().st_mode), 0o600)
        self.run_import("--undo")
        self.assertEqual(self.client.read_bytes(), before)
        self.assertFalse(self.backup.exists())

    def test_undo_keeps_what_the_client_changed_meanwhile(self):
        self.put({"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}}})
        self.gate()
        document = json.loads(self.client.read_text())
        document["theme"] = "dark"
        del document["mcpServers"]["b"]
        self.client.write_text(json.dumps(document))
        self.run_import("--undo")
        self.assertEqual(json.loads(self.client.read_text()), {"mcpServers": {"a": {"command": "x"}}, "theme": "dark"})

    def test_a_url_and_its_credential(self):
        self.put({"mcpServers": {"web": {"type": "http", "url": "https://mcp.example.com/mcp",
                                         "headers": {"Authorization": f"Bearer {SECRET}"}}}})
        self.gate()
        entry = self.entry("web")
        self.assertEqual(entry["type"], "stdio")
        self.assertEqual(entry["args"][-2:], ["--upstream", "https://mcp.example.com/mcp"])
        self.assertEqual(entry["env"], {"SLUICE_UPSTREAM_TOKEN": SECRET})
        self.assertNotIn(SECRET, " ".join(entry["args"]))

    def test_a_second_time_changes_nothing(self):
        self.put({"mcpServers": {"a": {"command": "x"}, "own": {"command": "/usr/bin/sluice", "args": ["mcp"]}}})
        self.gate()
        before = self.client.read_bytes()
        self.assertEqual(self.entry("own"), {"command": "/usr/bin/sluice", "args": ["mcp"]})
        self.assertIn("already", self.gate())
        self.assertEqual(self.client.read_bytes(), before)

    def test_a_backup_is_never_written_over(self):
        self.put({"mcpServers": {"a": {"command": "x"}}})
        self.backup.write_text("precious")
        before = self.client.read_bytes()
        self.assertIn("--undo", self.gate(code=1))
        self.assertEqual((self.client.read_bytes(), self.backup.read_text()), (before, "precious"))

    def test_a_link_stays_one(self):
        real = self.directory / "dotfiles.json"
        real.write_text(json.dumps({"mcpServers": {"a": {"command": "x"}}}))
        self.client.symlink_to(real)
        self.gate()
        self.assertTrue(self.client.is_symlink())
        self.assertIn("--policy", real.read_text())
        self.run_import("--undo")
        self.assertEqual(json.loads(real.read_text()), {"mcpServers": {"a": {"command": "x"}}})

    def test_what_it_does_not_understand_is_refused_and_nothing_is_changed(self):
        for entry, words in (({}, "needs `command` or `url`"), ({"command": "x", "url": "https://x.example/"}, "not both"), (1, "object"),
                             ({"command": 1}, ".command"), ({"command": "x", "args": "y"}, ".args"),
                             ({"command": "x", "args": [1]}, ".args"), ({"url": "ftp://x.example/"}, ".url"), ({"url": 1}, ".url"),
                             ({"url": "http://x.example/"}, "use https"),
                             ({"url": "https://x.example/", "headers": {"X-Key": SECRET}}, "--upstream-header-file"),
                             ({"url": "https://x.example/", "oauth": {"secret": SECRET}}, "oauth")):
            with self.subTest(words):
                self.refused(words, {"mcpServers": {"good": {"command": "x"}, "bad": entry}})
        for text in ("{}", "[]", "{", '{"mcpServers": []}', '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "// x\n{}"):
            with self.subTest(text):
                self.refused("client.json", text=text)

    def test_names_that_become_one_are_refused(self):
        self.refused("rename one", {"mcpServers": {"a_b": {"command": "x"}, "A b": {"command": "y"}}})
        self.refused("rename it", {"mcpServers": {"sluice": {"command": "x"}}})

    def test_a_policy_that_holds_is_needed(self):
        before = self.put({"mcpServers": {"a": {"command": "x"}}})
        self.assertIn("--policy", self.run_import(code=1))
        self.run_import("--policy", self.write({"version": "9"}), code=1)
        self.assertEqual(self.client.read_bytes(), before)

    def test_a_file_that_others_write_is_refused(self):
        self.put({"mcpServers": {"a": {"command": "x"}}})
        self.client.chmod(0o666)
        self.assertIn("written by others", self.gate(code=1))

    def test_undo_without_a_backup_says_so(self):
        self.put({"mcpServers": {"a": {"command": "x"}}})
        self.assertIn("no backup", self.run_import("--undo", code=1))
