"""Attacks on what a policy says and counts, through the real program (policy.md 2.11 and 4): the table in docs/security.md names each."""
import concurrent.futures
import hashlib
import json
import stat
import threading
import time
import unittest

from harness import PATIENCE, ToolError, poll, sluice
from test_audit import Audited
from test_gateway import GatewayCase
from test_policy import Files
from test_policy_gate import Gate, condition, deny, limit


def allow(**tools):
    return {"version": "1", "default": "allow", "tools": tools}


class Values(GatewayCase):
    """Judged in front of another server, whose arguments nobody has parsed before."""

    def passes(self, gateway, **arguments):
        result = gateway.call("echo", **arguments)
        if result["isError"]:
            self.assertTrue(result["content"][0]["text"].startswith("[POLICY DENIED]"), result)
        return not result["isError"]

    def test_a11_a_value_of_another_type_denies_in_both_lists(self):
        for entry in ({"require": [condition("args.units", "lte", 100)]}, {"deny_if": [condition("args.units", "gt", 100)]},
                      {"require": [condition("args.units", "eq", 100)]}, {"require": [condition("args.units", "in", [100, 5])]}):
            gateway = self.start(allow(echo=entry))
            self.assertTrue(self.passes(gateway, units=100))
            for value in ("100", "5", True, False, [100], {"$gt": 0}, {"amount": 1}, [], {}):
                self.assertFalse(self.passes(gateway, units=value), f"{entry} {value!r}")
            gateway.stop()

    def test_a12_what_is_absent_or_null_does_not_get_round_a_requirement(self):
        gateway = self.start(allow(echo={"require": [condition("args.units", "exists", True)], "deny_if": [condition("args.units", "gt", 100)]}))
        self.assertTrue(self.passes(gateway, units=1))
        for arguments in ({}, {"units": None}, {"Units": 1}, {"units ": 1}, {"units": 101}):
            self.assertFalse(self.passes(gateway, **arguments), arguments)

    def test_a15_h14_amounts_that_are_none_deny_and_fractions_count(self):
        gateway = self.start(allow(echo={"limits": [{"counter": "units", "window": "day", "max": 1, "increment_from": "args.units"}]}))
        for value in (-1, -0.5, "1", None, [1], 1e300, True, 2):
            self.assertFalse(self.passes(gateway, units=value), value)
        self.assertFalse(self.passes(gateway))
        self.assertEqual([self.passes(gateway, units=0.4) for _ in range(4)], [True, True, False, False])
        self.assertTrue(self.passes(gateway, units=0.2), "nothing was lowered or lost")
        self.assertFalse(self.passes(gateway, units=0.000001))

    def test_a16_a_pattern_costs_linear_time(self):
        gateway = self.start(allow(echo={"deny_if": [condition("args.text", "regex", "^(a+)+$"), condition("args.text", "regex", "(a|aa)+b")]}))
        began = time.monotonic()
        self.assertTrue(self.passes(gateway, text="a" * 500_000 + "!"))
        self.assertLess(time.monotonic() - began, 5 * PATIENCE)

    def test_a17_an_anchor_is_the_end_of_the_text_and_not_of_a_line(self):
        gateway = self.start(allow(echo={"require": [condition("args.text", "regex", "^ls( -l)?$")]}))
        self.assertTrue(self.passes(gateway, text="ls -l"))
        for text in ("ls\nrm -rf /", "rm\nls", "ls\n", "ls\r\n", "ls\0", " ls"):
            self.assertFalse(self.passes(gateway, text=text), repr(text))

    def test_a18_paths_and_hosts_in_disguise_are_no_matches(self):
        gateway = self.start(allow(echo={"require": [condition("args.path", "path_within", "/srv/data"), condition("args.url", "host_in", ["*.corp.test"])]}))
        good = {"path": "/srv/data/a", "url": "https://api.corp.test/x"}
        self.assertTrue(self.passes(gateway, **good))
        for path in ("/srv/data/../etc", "/srv/data/%2e%2e/etc", "/srv/database", "~/x", "/srv\\data", "/srv/data/\0", "srv/data"):
            self.assertFalse(self.passes(gateway, **{**good, "path": path}), path)
        for url in ("https://corp.test.evil.test/", "https://api.corp.test@evil.test/", "https://evil.test/?api.corp.test", "https://evil.test\\@api.corp.test/",
                    "https://2130706433/", "https://xn--/", "https://api。corp.test.evil.test/"):
            self.assertFalse(self.passes(gateway, **{**good, "url": url}), url)

    def test_a47_names_that_could_be_others_have_counters_of_their_own(self):
        gateway = self.start({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "echo.c", "window": "day", "max": 9}]},
                              "tools": {"echo": {"limits": [{"counter": "c", "window": "day", "max": 2}, {"counter": "all_tools", "window": "day", "max": 9},
                                                            {"counter": "c:day", "window": "hour", "max": 9}]},
                                        "ech*": {"limits": [{"counter": "c", "window": "day", "max": 3}]}}})
        self.assertEqual([self.passes(gateway, text="x") for _ in range(3)], [True, True, False])
        for name in ("*", "_global", "risk:read", "/tools/echo"):  # A5, H17: no such tool, whatever a policy calls so
            self.assertEqual(gateway.ask("tools/call", {"name": name, "arguments": {}})["error"]["code"], -32602, name)


class Counters(Gate):
    def test_a19_of_many_at_once_exactly_as_many_pass_as_there_is_room_for(self):
        serve = self.start(deny(proxy_status=limit(1), proxy_list_rules=limit(7, sliding=True)))

        def once(tool):
            try:
                serve.call(tool)
                return 1
            except ToolError:
                return 0
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for tool, most in (("proxy_status", 1), ("proxy_list_rules", 7)):
                self.assertEqual(sum(pool.map(once, [tool] * 60)), most)

    def test_a32_each_call_is_judged_by_one_revision_while_the_policy_changes(self):
        policies = [{**deny(proxy_status={"deny_if": [{"conditions": [], "on_deny": word}]}), "mode": "monitor"} for word in ("first", "second")]
        serve = self.start(policies[0])
        done = threading.Event()

        def edit():
            for number in range(12):
                self.write(policies[number % 2])
                time.sleep(0.3)
            done.set()
        editor = threading.Thread(target=edit)
        editor.start()
        while not done.is_set():
            serve.call("proxy_status")
        editor.join()
        serve.stop()
        said = {}
        for path in (self.home / "audit").glob("*.jsonl"):
            for line in map(json.loads, path.read_text().splitlines()):
                if line["type"] == "decision":
                    said.setdefault(line["policy_revision"], set()).add(line["message"])
        self.assertEqual(sorted(map(sorted, said.values())), [["first"], ["second"]])


class Texts(Files):
    def test_a31_h17_what_is_misspelt_is_refused_in_either_format_and_never_dropped(self):
        for text in ('{"version":"1","defualt":"deny","default":"allow"}', '{"version":"1","default":"deny","tools":{"t":{"denyif":[]}}}',
                     '{"version":"1","default":"deny","tools":{"t":{"limits":[{"counter":"c","window":"day","max":1,"scop":"all"}]}}}',
                     'version: "1"\ndefault: allow\ndefualt: deny\n', 'version: "1"\ndefault: allow\ntools:\n  t:\n    rule: []\n',
                     'version: "1"\ndefault: allow\ntools:\n  t:\n    rules: [{name: x, action: deny, on_dney: no}]\n'):
            done = self.policy("check", self.file(text), code=1)
            self.assertIn("unknown key", done.stderr)
            self.assertIn("did you mean", done.stderr)


class Log(Audited):
    def test_h18_nobody_else_reads_the_log_and_arguments_cannot_be_guessed_from_it(self):
        serve = self.start(deny(proxy_list_traffic=limit(1)))
        serve.call("proxy_list_traffic", limit=5)
        self.denied(serve, "proxy_list_traffic", limit=5)
        serve.stop()
        for path in self.folder.glob("*.jsonl"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        lines = [json.loads(line) for path in self.folder.glob("*.jsonl") for line in path.read_text().splitlines()]
        decisions = [line for line in lines if line["type"] == "decision"]
        self.assertEqual([line["rule"] for line in decisions], ["", "/tools/proxy_list_traffic/limits/calls"])
        self.assertEqual(decisions[0]["arguments_hmac"], decisions[1]["arguments_hmac"], "equal calls are seen to be equal")
        for guess in ({"limit": 5}, {"limit": 5, "offset": 0}):
            for text in (json.dumps(guess), json.dumps(guess, separators=(",", ":"))):
                self.assertNotIn(hashlib.sha256(text.encode()).hexdigest(), json.dumps(lines))

    def test_a31_a_bad_edit_keeps_the_policy_before_it(self):
        serve = self.start(deny(proxy_status={}))
        self.write('{"version": "1", "default": "allow", "defualt": "deny"}')
        poll(lambda: "the policy before it stays in force" in serve.output(), 10, "the edit is refused")
        serve.call("proxy_status")
        self.denied(serve, "proxy_list_rules")
        self.assertEqual(sluice("policy", "check", self.path).returncode, 1)


if __name__ == "__main__":
    unittest.main()
