"""`sluice gateway status`: which servers the gate of a home knows, and what their last runs said (docs/gateway.md)."""
import json

from harness import SLUICE, clean_environment, poll, run
from gateway_client import FAKE
from test_gateway import ALLOW, GatewayCase, deny

SECRET = "very-secret-value-93"


class Status(GatewayCase):
    def status(self, *flags):
        done = run(SLUICE, "gateway", "status", "--home", self.home, *flags, stdin=-3, env=clean_environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn(SECRET, done.stdout)
        return done.stdout

    def row(self, name):
        return {row["server"]: row for row in json.loads(self.status("--json"))}[name]

    def test_a_home_without_servers_says_so(self):
        self.assertIn("knows no server", self.status())
        self.assertEqual(json.loads(self.status("--json")), [])

    def test_a_run_from_its_start_to_its_end(self):
        gateway = self.start(ALLOW, "--name", "files")
        gateway.names()
        row = self.row("files")
        self.assertEqual((row["state"], row["pid"], row["policy"]), ("running", gateway.process.pid, str(self.path)))
        self.assertIn(f"files: running (pid {gateway.process.pid})", self.status())
        self.assertEqual(gateway.end(), 0)
        row = self.row("files")
        self.assertEqual(row["state"], "ended")
        self.assertGreaterEqual(row["ended"], row["started"])

    def test_one_that_was_killed_did_not_end(self):
        gateway = self.start(ALLOW, "--name", "files")
        gateway.stop()
        self.assertEqual(self.row("files")["state"], "killed")

    def test_pins_quarantine_and_what_was_said(self):
        tools = self.directory / "tools.json"
        listed = [{"name": name, "description": "Reads.", "inputSchema": {}} for name in ("a", "b")]
        policy = deny(tools={"a": {}, "b": {}})
        for description in ("Reads.", "Reads, and sends it away.\u202e"):
            listed[1]["description"] = description
            tools.write_text(json.dumps(listed))
            gateway = self.start(policy, "--name", "files", env={"TOOLS": str(tools)})
            gateway.names()
            gateway.end()
        row = self.row("files")
        self.assertEqual((row["tools"], row["quarantined"]), (2, ["b"]))
        self.assertIn("b", " ".join(row["said"]))
        text = self.status()
        self.assertIn("2 pinned, 1 in quarantine", text)
        self.assertIn("said         2", text)

    def test_notices_are_there_while_it_runs(self):
        gateway = self.start(deny(tools={"echo": {}}), "--name", "files")
        gateway.names()
        poll(lambda: self.row("files")["said"], 10, "the notice of the first list")

    def test_its_grants(self):
        admin = self.directory / "admin"
        admin.write_text(run(SLUICE, "grant", "admin", "--home", self.home, check=0).stdout)
        admin.chmod(0o600)
        for name in ("ci", "old"):
            run(SLUICE, "grant", "create", name, "--home", self.home, "--server", "files", "--policy", self.write(ALLOW),
                "--admin-token-file", admin, check=0)
        run(SLUICE, "grant", "revoke", "old", "--home", self.home, "--admin-token-file", admin, check=0)
        row = self.row("files")
        self.assertEqual(row["state"], "never run")
        self.assertEqual({grant["name"]: grant["live"] for grant in row["grants"]}, {"ci": True, "old": False})
        self.assertEqual(row["grants"][0]["policy"], str(self.path))

    def test_several_servers_each_under_its_name(self):
        policy = self.write(ALLOW)
        servers = {"one": {"command": "/nonexistent/server", "policy": str(policy), "env": {"KEY": SECRET}},
                   "two": {"command": FAKE[0], "args": FAKE[1:], "policy": str(policy)}}
        path = self.directory / "servers.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        path.chmod(0o600)
        gateway = self.start(ALLOW, config=path)
        gateway.end()
        self.assertIn("cannot be started", " ".join(self.row("one")["said"]))
        self.assertEqual(self.row("two")["state"], "ended")

    def test_files_that_are_no_runs_are_left_out(self):
        folder = self.home / "servers"
        folder.mkdir(parents=True)
        for name, text in (("a.json", "{"), ("B.json", "{}"), ("c.txt", "{}"), ("d.json", "[]"), ("e.json", '{"pid": "x", "said": [1]}')):
            (folder / name).write_text(text)
        self.assertEqual([row["server"] for row in json.loads(self.status("--json"))], ["e"])
        self.assertEqual(self.row("e")["state"], "killed")
