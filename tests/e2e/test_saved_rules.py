"""Rules that outlive the process (`persist`), and `sluice rules export|import` (docs/rules.md)."""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import stat
import tempfile
import unittest

from harness import Serve, ToolError, sluice  # first: it knows where the fakes are

MOCK = {"type": "mock", "status": 299, "body": "saved"}


class SavedRules(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def serve(self, *flags, **options):
        serve = Serve(*flags, home=self.home / "home", **options)
        self.addCleanup(serve.stop)
        return serve

    def add(self, serve, name, **more):
        return serve.call("proxy_add_rule", description=name, matcher={"hostname": f"{name}.test"}, handler=MOCK,
                          **more)["rule"]

    def rules(self, serve):
        return {rule["description"]: rule for rule in serve.call("proxy_list_rules", show_secrets=True)["rules"]}

    def answer(self, serve, name):
        return serve.curl("-s", f"http://{name}.test/").stdout

    def test_a_persistent_rule_survives_a_restart_and_the_others_do_not(self):
        first = self.serve()
        self.add(first, "gone")
        kept = self.add(first, "kept", persist=True, priority=7, on_match="stop")
        self.assertIs(kept["persist"], True)
        self.assertEqual(first.stop(), 0)
        second = self.serve()
        rules = self.rules(second)
        self.assertEqual(list(rules), ["kept"])
        self.assertEqual({k: rules["kept"][k] for k in ("id", "priority", "createdAt", "matcher", "handler")},
                         {k: kept[k] for k in ("id", "priority", "createdAt", "matcher", "handler")})
        self.assertEqual(self.answer(second, "kept"), "saved")
        self.assertIn("1 saved rules are in force", second.output())
        self.assertNotEqual(self.add(second, "new")["id"], kept["id"])

    def test_a_kill_loses_no_saved_rule(self):
        first = self.serve()
        for i in range(5):
            self.add(first, f"r{i}", persist=True)
        first.stop(signal.SIGKILL)
        self.assertEqual(len(self.rules(self.serve())), 5)

    def test_updates_disabling_and_removal_are_saved_too(self):
        first = self.serve()
        changed, off, gone, let_go = (self.add(first, name, persist=True)["id"]
                                      for name in ("changed", "off", "gone", "let-go"))
        first.call("proxy_update_rule", rule_id=changed, handler={**MOCK, "body": "other"})
        first.call("proxy_disable_rule", rule_id=off)
        first.call("proxy_remove_rule", rule_id=gone)
        first.call("proxy_update_rule", rule_id=let_go, persist=False)
        later = self.add(first, "later")["id"]
        first.call("proxy_update_rule", rule_id=later, persist=True)
        self.assertIn("let-go", self.rules(first))
        first.stop()
        second = self.serve()
        rules = self.rules(second)
        self.assertEqual(sorted(rules), ["changed", "later", "off"])
        self.assertEqual(rules["changed"]["handler"]["body"], "other")
        self.assertIs(rules["off"]["enabled"], False)

    def test_state_db_is_private_and_made_only_when_needed(self):
        serve = self.serve()
        path = self.home / "home" / "state.db"
        self.add(serve, "gone")
        self.assertFalse(path.exists())
        self.add(serve, "kept", persist=True)
        for file in self.home.glob("home/state.db*"):
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600, file)

    def test_a_rule_that_cannot_be_saved_is_refused_whole(self):
        serve = self.serve()
        (self.home / "home" / "state.db").mkdir()
        with self.assertRaisesRegex(ToolError, "state.db cannot be opened"):
            self.add(serve, "kept", persist=True)
        self.assertEqual(self.rules(serve), {})
        self.add(serve, "in-memory")

    def test_a_damaged_state_db_is_named_at_the_start(self):
        self.serve().stop()
        (self.home / "home" / "state.db").write_bytes(b"no database at all, but long enough to be looked at" * 50)
        done = sluice("serve", "--proxy-port", "0", "--control-port", "0", home=self.home / "home")
        self.assertEqual(done.returncode, 1)
        self.assertIn("state.db", done.stderr)
        self.assertIn("move it away", done.stderr)

    def test_a_saved_rule_that_is_of_no_use_any_more_keeps_nobody_from_starting(self):
        first = self.serve()
        self.add(first, "good", persist=True)
        self.add(first, "bad", persist=True)
        first.stop()
        with sqlite3.connect(self.home / "home" / "state.db") as db:
            db.execute("UPDATE rules SET spec = replace(spec, 'mock', 'sock') WHERE number = 2")
        db.close()
        second = self.serve()
        self.assertEqual(list(self.rules(second)), ["good"])
        self.assertIn("rule_2", second.output())

    def test_two_processes_save_to_one_home(self):
        one, two = self.serve(), self.serve()
        for i in range(4):
            self.add(one, f"one{i}", persist=True)
            self.add(two, f"two{i}", persist=True)
        one.stop(), two.stop()
        rules = self.rules(self.serve())
        self.assertEqual(len(rules), 8)
        self.assertEqual(len({rule["id"] for rule in rules.values()}), 8)

    # --- export and import ---

    def command(self, *arguments, **options):
        return sluice("rules", *arguments, home=self.home / "home", **options)

    def test_what_is_exported_can_be_imported(self):
        first = self.serve()
        self.add(first, "a", priority=5)
        self.add(first, "b", enabled=False)
        first.call("proxy_add_rule", description="c", matcher={"urlPattern": "^https://x/"}, on_match="continue",
                   handler={"type": "passthrough", "transformRequest": {"updateHeaders": {"Authorization": "Bearer abc"}}})
        file = self.home / "rules.json"
        self.assertEqual(self.command("export", file).returncode, 0)
        exported = json.loads(file.read_text())["rules"]
        self.assertEqual([rule["description"] for rule in exported], ["a", "b", "c"])
        self.assertNotIn("redacted", file.read_text())
        before = self.rules(first)
        first.stop()
        second = self.serve()
        done = self.command("import", file)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertIn("3 rules imported", done.stderr)
        after = self.rules(second)
        for name, rule in before.items():
            for member in ("priority", "enabled", "matcher", "handler"):
                self.assertEqual(after[name][member], rule[member], (name, member))
        self.assertEqual(after["c"]["on_match"], "continue")

    def test_an_import_is_all_or_nothing(self):
        serve = self.serve()
        self.add(serve, "there")
        rules = {"rules": [{"description": "fine", "matcher": {}, "handler": MOCK},
                           {"description": "bad", "matcher": {"urlPattern": "("}, "handler": MOCK}]}
        done = self.command("import", "-", input=json.dumps(rules))
        self.assertEqual(done.returncode, 1)
        self.assertIn('rules[1] ("bad"): matcher.urlPattern', done.stderr)
        self.assertIn("nothing was imported", done.stderr)
        self.assertEqual(list(self.rules(serve)), ["there"])
        for text in ("no json", "{}", "[1]"):
            self.assertEqual(self.command("import", input=text).returncode, 1, text)

    def test_an_import_can_replace_what_is_there(self):
        serve = self.serve()
        self.add(serve, "old")
        rules = [{"description": "new", "matcher": {}, "handler": MOCK}]
        self.assertEqual(self.command("import", "--replace", input=json.dumps(rules)).returncode, 0)
        self.assertEqual(list(self.rules(serve)), ["new"])

    def test_an_agent_can_put_a_list_in_place_in_one_call(self):
        serve = self.serve()
        self.add(serve, "old")
        done = serve.call("proxy_import_rules", replace=True, rules=[
            {"matcher": {"hostname": f"h{i}.test"}, "handler": MOCK} for i in range(3)])
        self.assertEqual((done["count"], done["removed"], done["rule_ids"]), (3, 1, ["rule_2", "rule_3", "rule_4"]))
        before = self.rules(serve)
        with self.assertRaisesRegex(ToolError, r'rules\[1\].*b.*handler.status must be'):
            serve.call("proxy_import_rules", replace=True, rules=[
                {"description": "a", "matcher": {}, "handler": MOCK},
                {"description": "b", "matcher": {}, "handler": {"type": "mock", "status": 99}}])
        self.assertEqual(self.rules(serve), before)

    def test_long_lists_are_exported_whole_and_imported_again(self):
        serve = self.serve()
        rules = [{"description": f"r{i}", "matcher": {"hostname": f"h{i}.test"},
                  "handler": {"type": "mock", "body": "x" * 50_000}} for i in range(120)]
        self.assertEqual(self.command("import", input=json.dumps(rules)).returncode, 0)
        exported = self.command("export").stdout
        self.assertEqual([rule["description"] for rule in json.loads(exported)["rules"]], [f"r{i}" for i in range(120)])
        self.assertGreater(len(exported), 4 * 2**20)
        self.assertEqual(self.command("import", "--replace", input=exported).returncode, 0)
        self.assertEqual(serve.call("proxy_list_rules")["count"], 120)

    def test_without_a_running_serve_the_commands_say_so(self):
        self.assertIn("no `sluice serve` runs", self.command("export").stderr)
