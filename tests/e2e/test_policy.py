"""`sluice policy`: what is published is taken, what is hostile is refused, and every answer is one that scripts can read
(gate.md 3)."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import PATIENCE, ROOT, SLUICE, THE_TOOLS, run, sluice

POLICIES = ROOT / "policies"


def limited(tool, most=10):
    return {"version": "1", "default": "deny",
            "tools": {tool: {"limits": [{"counter": f"{tool}_rate", "window": "minute", "max": most, "scope": "grant"}]}}}


class Files(unittest.TestCase):
    def setUp(self):
        if not os.access(SLUICE, os.X_OK):
            self.skipTest(f"{SLUICE} is not built")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-policy."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def file(self, document, name="policy.json", mode=0o600):
        path = self.directory / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        path.chmod(mode)
        return path

    def policy(self, *arguments, code=0):
        done = sluice("policy", *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def decide(self, path, tool, arguments="{}", code=0):
        done = self.policy("test", path, "--tool", tool, "--args", arguments, "--json", code=code)
        return json.loads(done.stdout)


class Check(Files):
    def test_every_policy_of_the_catalogue_works_unchanged(self):
        names = [tool["name"] for tool in json.loads((ROOT / "tests/vectors/proxy-tools.json").read_text())["tools"]]
        self.assertGreaterEqual(len(names), 32)
        files = []
        for name in names:
            files.append(self.file(limited(name), f"{name}.json"))
            hidden = {"version": "1", "default": "allow", "hide": [name], "tools": {}}
            refused = {"version": "1", "default": "allow",
                       "tools": {name: {"deny_if": [{"conditions": [], "on_deny": "Requires human approval."}]}}}
            files += [self.file(hidden, f"{name}-hidden.json"), self.file(refused, f"{name}-denied.json")]
        said = [json.loads(line) for line in self.policy("check", "--json", *files).stdout.splitlines()]
        self.assertEqual(len(said), len(files))
        for one in said:
            self.assertTrue(one["valid"], one)
        started = self.decide(files[0], names[0])
        self.assertEqual((started["decision"], started["counters"][0]["max"]), ("allow", 10))

    def test_the_policies_that_ship_are_valid_without_a_warning(self):
        files = sorted(POLICIES.glob("*.json"))
        self.assertEqual([f.name for f in files], ["full.json", "observe-and-replay.json", "read-only.json"])
        done = self.policy("check", *[self.file(f.read_text(), f.name) for f in files])
        self.assertNotIn("warning", done.stdout)

    def test_all_errors_are_said_at_once_with_line_path_and_suggestion(self):
        path = self.file('{"version": "1", "defualt": "deny",\n "hyde": [],\n "tools": {"proxy_start": {"limits": [\n'
                         '  {"counter": "c", "window": "minut", "max": "10"}]}}}')
        done = self.policy("check", path, code=1)
        self.assertEqual(done.stdout, "")
        for words in (f'{path}:1: /defualt: unknown key "defualt", did you mean "default"?', ':2: /hyde: unknown key "hyde"',
                      ':4: /tools/proxy_start/limits/0/window: unknown "minut", did you mean "minute"?',
                      ":4: /tools/proxy_start/limits/0/max: expected a number, not a string", 'needs "default"'):
            self.assertIn(words, done.stderr)
        told = json.loads(self.policy("check", "--json", path, code=1).stdout)
        self.assertFalse(told["valid"])
        self.assertGreaterEqual(len(told["errors"]), 5)
        self.assertEqual(told["errors"][0].keys(), {"line", "path", "message"})

    def test_what_may_not_mean_what_it_says_is_a_warning(self):
        path = self.file({"version": "1", "default": "deny", "tools": {
            "proxy_strat": {}, "proxy_start": {"deny_if": [{"conditions": [{"path": "args.prt", "op": "gt", "value": 9000}]}]}}})
        done = self.policy("check", path)
        for words in ("did you mean proxy_start?", 'did you mean "port"?', "an absent argument passes", "valid, 3 warnings"):
            self.assertIn(words, done.stdout)

    def test_hostile_documents_get_a_sentence_and_never_a_crash(self):
        many = ",".join(f'"t{i}":{{}}' for i in range(20_000))
        cases = ["", "null", "[]", "{", "{}", "\ufeff{}", '{"version":"1"}', "[" * 100_000, '{"a":' * 100_000, '"' + "x" * 1000,
                 '{"version":"1","default":"deny","default":"allow"}', '{"version":"1","default":"deny","tools":{"x":{"deny_if":'
                 '[{"conditions":[{"path":"args.a","op":"regex","value":"((a{999}){999}){999}"}]}]}}}',
                 '{"version":"1","default":"deny","tools":{"\\u0000\\u001b[31m":{"evil":1}}}', "{" + many]
        for number, text in enumerate(cases):
            with self.subTest(text[:60]):
                done = self.policy("check", self.file(text, f"{number}.json"), code=1)
                self.assertTrue(done.stderr.strip())
                self.assertLess(len(done.stderr), 4000)
                self.assertNotIn("\x1b", done.stderr)
        path = self.directory / "binary.json"
        path.write_bytes(b"\xff\xfe\x00{}")
        self.policy("check", path, code=1)

    def test_a_large_document_is_read_in_a_moment(self):
        tools = ",".join(f'"t{i}__x":{{}}' for i in range(60_000))
        path = self.file('{"version":"1","default":"deny","tools":{' + tools + "}}", "large.json")
        began = time.monotonic()
        self.policy("check", "--json", path)
        self.assertLess(time.monotonic() - began, 10 * PATIENCE)

    def test_a_file_that_others_can_write_or_own_is_refused(self):
        good = json.dumps(limited("proxy_start"))
        for mode in (0o602, 0o620, 0o666):
            with self.subTest(oct(mode)):
                done = self.policy("check", self.file(good, f"{mode}.json", mode), code=1)
                self.assertIn("can be written by others", done.stderr)
        self.policy("check", self.file(good, "public.json", 0o644))
        if os.getuid() == 0:
            path = self.file(good, "theirs.json")
            os.chown(path, 65534, 65534)
            self.assertIn("belongs to somebody else", self.policy("check", path, code=1).stderr)
        link = self.directory / "link.json"
        link.symlink_to(self.file(good, "target.json", 0o606))
        self.assertIn("can be written by others", self.policy("check", link, code=1).stderr)
        fifo = self.directory / "fifo"
        os.mkfifo(fifo, 0o600)
        self.assertIn("no regular file", self.policy("check", fifo, code=1).stderr)
        self.assertIn("no regular file", self.policy("check", self.directory, code=1).stderr)
        self.assertIn("cannot be read", self.policy("check", self.directory / "missing.json", code=1).stderr)
        self.assertIn("larger than", self.policy("check", self.file(" " * (1 << 21), "big.json"), code=1).stderr)

    def test_wrong_usage_ends_with_2(self):
        path = self.file(limited("proxy_start"))
        for arguments in (("check",), ("chek", path), ("test", path), ("test", path, "--tool", "x", "--args", "{"), ("explain", path, path),
                          ("test", path, "--tool", "x", "--args", "[]"), ("check", path, "--strict")):
            with self.subTest(str(arguments)):
                self.assertTrue(self.policy(*arguments, code=2).stderr)


class Explain(Files):
    def test_it_is_said_in_sentences(self):
        path = self.file(limited("proxy_start"))
        said = self.policy("explain", path).stdout
        self.assertIn("Tools that are not named here are denied.", said)
        self.assertIn("At most 10 calls in each UTC minute, for each grant (proxy_start_rate).", said)
        self.assertEqual(json.loads(self.policy("explain", "--json", path).stdout)["sentences"], said.splitlines())


class Test(Files):
    def test_decision_rule_and_counters(self):
        path = self.file({"version": "1", "default": "deny", "hide": ["proxy_stop"], "tools": {
            "proxy_list_traffic": {"deny_if": [{"conditions": [{"path": "args.limit", "op": "gt", "value": 100}], "on_deny": "less"}]},
            "proxy_start": {"limits": [{"counter": "never", "window": "day", "max": 0}]}}})
        rows = [("proxy_list_traffic", {}, "allow", ""), ("proxy_list_traffic", {"limit": 500}, "deny", "/tools/proxy_list_traffic/deny_if/args.limit-gt"),
                ("proxy_list_traffic", {"show_secrets": True}, "deny", "/tools/proxy_list_traffic/result/raw"),
                ("proxy_stop", {}, "deny", "(hidden)"), ("proxy_add_rule", {}, "deny", "(default deny)"),
                ("proxy_start", {}, "deny", "/tools/proxy_start/limits/never"), ("files__read", {}, "deny", "(default deny)")]
        for tool, arguments, decision, rule in rows:
            with self.subTest(f"{tool} {arguments}"):
                told = self.decide(path, tool, json.dumps(arguments), code=0 if decision == "allow" else 1)
                self.assertEqual((told["decision"], told["rule"]), (decision, rule))
        self.assertEqual(self.decide(path, "proxy_list_traffic", '{"limit": 500}', code=1)["message"], "less")
        self.assertIn("did you mean", self.policy("test", path, "--tool", "proxy_list_traffic", "--args", '{"limt": 1}', code=2).stderr)

    def test_numbers_of_other_servers_are_compared_as_they_are_spelled(self):
        path = self.file({"version": "1", "default": "allow", "tools": {"bank__pay": {
            "deny_if": [{"conditions": [{"path": "args.id", "op": "eq", "value": 9007199254740993}]}]}}})
        self.assertEqual(self.decide(path, "bank__pay", '{"id": 9007199254740992}')["decision"], "allow")
        self.assertEqual(self.decide(path, "bank__pay", '{"id": 9007199254740993.0}', code=1)["decision"], "deny")
        self.assertEqual(self.decide(path, "bank__pay", '{"id": 1e400}', code=1)["decision"], "deny")

    def test_the_read_only_policy_lists_exactly_the_class_read(self):
        path = self.file((POLICIES / "read-only.json").read_text())
        risks = {tool["name"]: tool["risk"] for tool in json.loads(run(SLUICE, "tools", "--json").stdout)}
        self.assertLessEqual(set(THE_TOOLS), set(risks))
        for name, risk in risks.items():
            done = subprocess.run([SLUICE, "policy", "test", path, "--tool", name, "--json"], capture_output=True, text=True, check=False)
            allowed = '"(default deny)"' not in done.stdout and done.returncode in (0, 2)  # 2: its arguments are missing
            self.assertEqual(allowed, risk == "read", f"{name}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    unittest.main()
