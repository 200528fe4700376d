"""The audit log of the real program: chained, signed, verified, followed, exported, bounded (gate.md 8)."""
import base64
import csv
import io
import json
import signal
import subprocess
import unittest

from harness import SLUICE, Serve, ToolError, clean_environment, needs, poll, run, sluice
from test_policy_gate import Gate, deny


class Audited(Gate):
    @property
    def folder(self):
        return self.home / "audit"

    def files(self):
        return sorted(self.folder.glob("*.jsonl"))

    def verify(self, *flags, check=None):
        done = sluice("audit", "verify", "--json", *flags, home=self.home)
        if check is not None:
            self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def lines(self, path):
        return path.read_text().splitlines(keepends=True)


class Verify(Audited):
    def test_what_was_written_is_intact_while_it_is_written_and_afterwards(self):
        serve = self.start(deny(proxy_status={}))
        serve.call("proxy_status")
        self.denied(serve, "proxy_list_rules")
        found = self.verify(check=0)
        self.assertTrue(found["intact"])
        self.assertEqual((found["decisions"], found["outcomes"], found["unknown_outcomes"]), (2, 1, []))
        serve.stop()
        serve = self.start()
        serve.call("proxy_status")
        serve.stop()
        found = self.verify(check=0)
        self.assertEqual((found["files"], found["decisions"], found["torn"]), (2, 3, []))
        heads = [json.loads(self.lines(path)[0]) for path in self.files()]
        self.assertEqual(heads[1]["predecessor"]["file"], self.files()[0].name)
        self.assertEqual([json.loads(self.lines(path)[-1])["type"] for path in self.files()], ["end", "end"])
        for path in (*self.files(), self.home / "audit.key"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        text = sluice("audit", "verify", home=self.home, check=0).stdout
        self.assertIn("nothing was changed", text)
        self.assertIn("who can read the signing key", text)

    def test_the_first_changed_line_is_named(self):
        serve = self.start(deny(proxy_status={}))
        for _ in range(3):
            serve.call("proxy_status")
        serve.stop()
        path = self.files()[0]
        lines = self.lines(path)
        at = next(i for i, line in enumerate(lines) if '"outcome"' in line)
        for change, number in ((lines[:at] + [lines[at].replace('"ok"', '"no"')] + lines[at + 1:], at + 1),
                               (lines[:at] + lines[at + 1:], at + 1),
                               (lines[:at] + [lines[at + 1], lines[at]] + lines[at + 2:], at + 1)):
            path.write_text("".join(change))
            found = self.verify(check=1)
            self.assertFalse(found["intact"])
            self.assertEqual([(one["file"], one["line"]) for one in found["bad"]], [(path.name, number)], found)
            self.assertIn(f"BAD      {path.name}:{number}:", sluice("audit", "verify", home=self.home).stdout)
        path.write_text("".join(lines))
        self.verify(check=0)

    def test_a_file_that_was_taken_away_is_missed(self):
        for _ in range(3):
            self.start(deny(proxy_status={})).stop()
        first, second, _ = self.files()
        text = second.read_text()
        second.unlink()
        self.assertIn("2 before it is missing", json.dumps(self.verify(check=1)["bad"]))
        second.write_text(text)
        first.unlink()
        self.verify(check=1)
        self.assertTrue(self.verify("--from", 2, check=0)["intact"])

    def test_heads_that_are_kept_elsewhere_show_what_was_cut_off(self):
        kept = self.directory / "elsewhere.jsonl"
        serve = self.start(deny(proxy_status={}), "--audit-head", kept)
        serve.call("proxy_status")
        poll(lambda: "checkpoint" in kept.read_text(), 5, "a checkpoint")
        serve.stop()
        self.assertTrue(self.verify("--head", kept, check=0)["intact"])
        path = self.files()[0]
        lines = self.lines(path)
        path.write_text("".join(lines[:2]))
        self.assertTrue(self.verify(check=0)["intact"])  # which it says that it cannot know
        self.assertIn("cut off", json.dumps(self.verify()["cannot_know"]))
        self.assertIn("lines were cut off", json.dumps(self.verify("--head", kept, check=1)["bad"]))
        path.unlink()
        self.verify("--head", kept, check=1)

    def test_a_kill_leaves_unknown_outcomes_and_no_tampering(self):
        serve = self.start(deny(proxy_status={}))
        serve.call("proxy_status")
        serve.process.send_signal(signal.SIGKILL)
        serve.process.wait()
        path = self.files()[0]
        lines = self.lines(path)
        at = next(i for i, line in enumerate(lines) if '"outcome"' in line)
        path.write_text("".join(lines[:at]) + lines[at][:40])  # as if it had been killed while it wrote
        found = self.verify(check=0)
        self.assertEqual([one["line"] for one in found["torn"]], [at + 1])
        self.assertEqual([one["line"] for one in found["unknown_outcomes"]], [at])
        self.assertIn("proxy_status", found["unknown_outcomes"][0]["what"])
        serve = self.start()
        serve.call("proxy_status")
        serve.stop()
        self.verify(check=0)
        path.write_text("".join(lines[:at - 1]))
        self.assertIn(self.files()[1].name, json.dumps(self.verify(check=1)["bad"]))

    def test_the_public_key_is_enough_and_openssl_agrees(self):
        serve = self.start(deny(proxy_status={}))
        serve.stop()
        public = self.home / "audit.key.pub"
        elsewhere = self.directory / "copy"
        elsewhere.mkdir()
        for path in self.files():
            (elsewhere / path.name).write_bytes(path.read_bytes())
        done = sluice("audit", "verify", elsewhere, "--key", public, home=self.directory / "other", check=0)
        self.assertIn("nothing was changed", done.stdout)
        head = json.loads(self.lines(self.files()[0])[0])
        (self.directory / "signed").write_bytes(b"sluice audit 1\n" + bytes.fromhex(head["hash"]))
        (self.directory / "signature").write_bytes(base64.urlsafe_b64decode(head["signature"] + "=="))
        done = run(needs("openssl"), "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", self.directory / "signed",
                   "-sigfile", self.directory / "signature")
        self.assertIn("Signature Verified Successfully", done.stdout)

    def test_a_key_that_others_can_read_is_refused(self):
        self.start(deny(proxy_status={})).stop()
        (self.home / "audit.key").chmod(0o644)
        done = sluice("serve", "--no-proxy", "--control-port", 0, "--policy", self.path, home=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("others can read it", done.stderr)


class Bounds(Audited):
    def test_a_full_log_denies_each_call_before_it_runs(self):
        serve = self.start(deny(**{"*": {}}), "--audit-max-mb", 1)
        with self.assertRaisesRegex(ToolError, r"^\[POLICY DENIED\] the audit log cannot be written, so nothing may run.*--audit-max-mb"):
            for _ in range(3000):
                serve.call("proxy_list_rules")
        self.assertLess(sum(p.stat().st_size for p in self.files()), 1 << 20)
        self.denied(serve, "proxy_clear_traffic", "the audit log cannot be written")
        serve.stop()
        self.assertEqual(self.verify(check=0)["unknown_outcomes"], [])

    def test_a_full_disk_denies_or_lets_pass_as_configured(self):
        size = 300 * 1024  # of one file that a process may write: a disk that is full for it alone
        for flags, denied in (((), True), (("--audit-failure", "allow"), False)):
            with self.subTest(flags):
                home = self.directory / f"home-{denied}"
                self.write(deny(**{"*": {}}))
                serve = Serve("--no-proxy", "--policy", self.path, *flags, home=home, directory=self.directory,
                              prefix=("prlimit", f"--fsize={size}", "env", "--ignore-signal=XFSZ"))
                self.addCleanup(serve.stop)
                failed = None
                for _ in range(1500):
                    try:
                        serve.call("proxy_list_rules")
                    except ToolError as error:
                        failed = str(error)
                        break
                if denied:
                    self.assertRegex(failed or "", r"^\[POLICY DENIED\] the audit log cannot be written")
                else:
                    self.assertIsNone(failed)
                serve.stop()
                self.assertTrue(json.loads(sluice("audit", "verify", "--json", home=home, check=0).stdout)["intact"])

    def test_a_looping_agent_writes_one_line_a_second(self):
        serve = self.start(deny(proxy_status={}))
        for _ in range(900):
            with self.assertRaises(ToolError):
                serve.call("proxy_list_rules")
        serve.call("proxy_status")
        serve.stop()
        lines = [json.loads(line) for path in self.files() for line in self.lines(path)]
        own = sum(line["type"] == "decision" and line["decision"] == "deny" for line in lines)
        summed = sum(line["count"] for line in lines if line["type"] == "denials")
        if summed:  # unless the machine was too slow to make a flood of it
            self.assertEqual(own + summed, 900)
            self.assertLess(sum(line["type"] == "denials" for line in lines), 120)
        self.assertLessEqual(own, 900)
        self.verify(check=0)

    def test_max_denials_shuts_a_grant_out_with_429_until_the_window_ends(self):
        serve = self.start(deny(proxy_status={}) | {"max_denials": {"window": "day", "max": 5}})
        for _ in range(6):
            self.denied(serve, "proxy_list_rules", "is not permitted by policy")
        status, headers, text = serve.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        self.assertEqual(status, 429)
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertIn("00:00:00.000Z", text)
        with self.assertRaises(ToolError):
            serve.call("proxy_status")
        sluice("call", "proxy_status", home=self.home, check=0)  # the owner's are other calls
        serve.stop()
        lines = [json.loads(line) for path in self.files() for line in self.lines(path)]
        summary = [line for line in lines if line["type"] == "denials"]
        self.assertEqual({line["rule"] for line in summary}, {"/max_denials"})
        self.assertEqual(sum(line["count"] for line in summary), 2)
        serve = self.start()
        self.denied(serve, "proxy_list_rules")  # the counter was kept
        self.assertEqual(serve.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})[0], 429)

    def test_max_denials_holds_on_stdio(self):
        self.write(deny() | {"max_denials": {"window": "day", "max": 1}})
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        lines = "".join(json.dumps({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {
            "name": "proxy_status", "arguments": {}, "_meta": meta}}) + "\n" for n in range(4))
        done = run(SLUICE, "mcp", "--home", self.home, "--policy", self.path, input=lines)
        texts = [json.loads(line)["result"]["content"][0]["text"] for line in done.stdout.splitlines()]
        self.assertEqual(sum("nothing is answered before" in text for text in texts), 2, texts)


class TailAndExport(Audited):
    def setUp(self):
        super().setUp()
        self.serve = self.start(deny(proxy_status={}, proxy_list_traffic={}))
        self.serve.call("proxy_status")
        self.serve.call("proxy_list_traffic", hostname_filter="=secret.test")
        self.denied(self.serve, "proxy_list_rules")

    def test_tail_shows_the_last_lines_and_follows(self):
        text = sluice("audit", "tail", "--limit", 2, home=self.home, check=0).stdout
        self.assertEqual(len(text.splitlines()), 2, text)
        self.assertRegex(text.splitlines()[-1], r"deny +default +proxy_list_rules +\(default deny\)")
        follower = subprocess.Popen([SLUICE, "audit", "tail", "-f", "--home", str(self.home)], stdout=subprocess.PIPE, text=True,
                                    env=clean_environment())
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        for line in follower.stdout:
            if "proxy_list_rules" in line:
                break
        sluice("call", "proxy_list_rules", home=self.home, check=0)
        self.assertIn("allow       owner     proxy_list_rules", follower.stdout.readline())

    def test_export_has_a_row_for_each_call_in_each_format(self):
        def out(name):
            return sluice("audit", "export", "--format", name, home=self.home, check=0).stdout
        rows = [json.loads(line) for line in out("jsonl").splitlines()]
        self.assertEqual([(row["tool"], row["decision"], row.get("status")) for row in rows],
                         [("proxy_status", "allow", "ok"), ("proxy_list_traffic", "allow", "ok"), ("proxy_list_rules", "deny", None)])
        table = list(csv.DictReader(io.StringIO(out("csv"))))
        self.assertEqual([(row["tool"], row["status"]) for row in table],
                         [("proxy_status", "ok"), ("proxy_list_traffic", "ok"), ("proxy_list_rules", "")])
        ocsf = [json.loads(line) for line in out("ocsf").splitlines()]
        self.assertEqual([(row["class_uid"], row["api"]["operation"], row["action_id"], row["status_id"]) for row in ocsf],
                         [(6003, "proxy_status", 1, 1), (6003, "proxy_list_traffic", 1, 1), (6003, "proxy_list_rules", 2, 2)])
        ecs = [json.loads(line) for line in out("ecs").splitlines()]
        self.assertEqual([(row["event"]["action"], row["event"]["outcome"], row["user"]["name"]) for row in ecs],
                         [("proxy_status", "success", "default"), ("proxy_list_traffic", "success", "default"),
                          ("proxy_list_rules", "failure", "default")])
        for name in ("jsonl", "csv", "ocsf", "ecs"):
            self.assertNotIn("secret.test", out(name))


class Simulate(Audited):
    def test_a_policy_is_tried_over_what_was_called(self):
        serve = self.start(deny(proxy_status={}, proxy_list_rules={}, proxy_list_traffic={}))
        for tool in ("proxy_status", "proxy_status", "proxy_status", "proxy_list_rules", "proxy_list_traffic"):
            serve.call(tool)
        self.denied(serve, "proxy_clear_traffic")
        sluice("call", "proxy_status", home=self.home, check=0)
        serve.stop()
        other = self.directory / "other.json"
        self.write(deny(proxy_status={"limits": [{"counter": "c", "window": "day", "max": 2}]}, proxy_clear_traffic={}), other)
        done = sluice("policy", "simulate", other, "--audit", self.folder, "--json", check=0)
        found = json.loads(done.stdout)
        self.assertEqual({(d["tool"], d["recorded"], d["decision"], d["rule"], d["calls"]) for d in found["differences"]},
                         {("proxy_status", "allow", "deny", "/tools/proxy_status/limits/c", 1),
                          ("proxy_list_rules", "allow", "deny", "(default deny)", 1),
                          ("proxy_list_traffic", "allow", "deny", "(default deny)", 1),
                          ("proxy_clear_traffic", "deny", "allow", "", 1)})
        self.assertEqual((found["same"], found["different"]), (2, 4))
        self.write(deny(proxy_status={}, proxy_list_traffic={"require": [
            {"conditions": [{"path": "args.limit", "op": "lte", "value": 5}]}]}), other)
        done = sluice("policy", "simulate", other, "--audit", self.files()[0], check=1)
        self.assertIn("undecidable: needs values  1 calls of proxy_list_traffic", done.stdout)
        self.assertIn("allow -> deny  1 calls of proxy_list_rules  by (default deny)", done.stdout)
        self.assertEqual(sluice("policy", "simulate", other).returncode, 2)

    def test_a_scaffold_is_a_valid_policy_that_names_every_tool(self):
        path = self.directory / "scan.json"
        text = sluice("policy", "scan", "--toolset", "all", home=self.home, check=0).stdout
        path.write_text(text)
        path.chmod(0o600)
        self.assertIn("valid", sluice("policy", "check", path, check=0).stdout)
        document = json.loads(text)
        tools = {tool["name"] for tool in json.loads(sluice("tools", "--toolset", "all", "--json", home=self.home, check=0).stdout)}
        self.assertEqual(set(document["tools"]) | set(document["hide"]), tools)
        serve = self.start(document)
        serve.call("proxy_status")
        self.denied(serve, "proxy_clear_traffic", "hidden")


if __name__ == "__main__":
    unittest.main()
