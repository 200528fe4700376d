"""`--policy` in front of Sluice's own tools, through the real program: denied, hidden, required, counted, reloaded, audited
(gate.md 2, 3, 4, 8)."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import PATIENCE, SLUICE, Serve, ToolError, clean_environment, poll, run, sluice

DENIED = r"^\[POLICY DENIED\] "


def deny(**tools):
    return {"version": "1", "default": "deny", "tools": tools}


def condition(path, op, value):
    return {"conditions": [{"path": path, "op": op, "value": value}]}


def limit(most, window="day", **more):
    return {"limits": [{"counter": "calls", "window": window, "max": most, "scope": "grant", **more}]}


class Gate(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        if not os.access(SLUICE, os.X_OK):
            self.skipTest(f"{SLUICE} is not built")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-gate."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        (self.directory / "policies").mkdir()
        self.path = self.directory / "policies" / "policy.json"
        self.home = self.directory / "home"

    def write(self, document, path=None):
        """As editors save: a new file in place of the old one."""
        path = path or self.path
        new = path.with_suffix(".new")
        new.write_text(document if isinstance(document, str) else json.dumps(document))
        new.chmod(0o600)
        new.rename(path)

    def start(self, document=None, *flags, home=None):
        if document is not None:
            self.write(document)
        serve = Serve("--no-proxy", "--policy", self.path, *flags, home=home or self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        return serve

    def refused(self, document, *words):
        if document is not None:
            self.write(document)
        done = sluice("serve", "--no-proxy", "--control-port", 0, "--policy", self.path, home=self.directory / "refused")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)

    def denied(self, serve, tool, text=DENIED, **arguments):
        with self.assertRaisesRegex(ToolError, text):
            serve.call(tool, **arguments)

    def decisions(self, home=None):
        lines = []
        for path in sorted((home or self.home).glob("audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if line["type"] == "decision"]

    def names(self, serve):
        return {tool["name"] for tool in serve.rpc("tools/list")["tools"]}


class Names(Gate):
    def test_what_is_not_listed_is_denied_and_not_shown(self):
        serve = self.start(deny(proxy_status={}, **{"proxy_list_*": {}}))
        shown = self.names(serve)
        self.assertIn("proxy_status", shown)
        self.assertTrue(all(name == "proxy_status" or name.startswith("proxy_list_") for name in shown), shown)
        self.assertIn("running", serve.call("proxy_status"))
        serve.call("proxy_list_rules")
        self.denied(serve, "proxy_clear_traffic", r'^\[POLICY DENIED\] Tool "proxy_clear_traffic" is not permitted by policy$')
        with self.assertRaisesRegex(ToolError, "-32602.*not found"):
            serve.call("proxy_nothing")
        last = self.decisions()[-1]
        self.assertEqual((last["decision"], last["rule"], last["tool"], last["grant"]), ("deny", "(default deny)", "proxy_clear_traffic", "default"))

    def test_no_text_names_a_tool_that_is_not_shown(self):
        """gate.md 9: not the instructions either, nor what one tool's description says of another."""
        every = {tool["name"] for tool in json.loads(sluice("tools", "--toolset", "all", "--json", check=0).stdout)}
        serve = self.start(deny(proxy_list_held={}, proxy_query_session={}, proxy_list_traffic={}, proxy_get_exchange={}, fuzz_endpoint={}, list_tools={},
                                add_interception_rule={}, get_flow_schema={}),
                           "--toolset", "all")
        shown = self.names(serve)
        told = json.dumps(serve.rpc("tools/list")) + json.dumps(serve.rpc("server/discover")) + json.dumps(serve.call("list_tools"))
        self.assertIn("proxy_list_traffic and proxy_get_exchange show what passed", told)
        self.assertIn("proxy_list_traffic", json.dumps([t for t in serve.rpc("tools/list")["tools"] if t["name"] == "proxy_query_session"]))
        self.assertEqual({word for word in re.findall(r"\w+", told) if word in every} - shown, set())

    def test_a_denial_is_a_tool_error_of_text_alone(self):
        serve = self.start(deny())
        result = serve.rpc("tools/call", {"name": "proxy_status", "arguments": {}}, "proxy_status")
        self.assertEqual(result["content"], [{"type": "text", "text": '[POLICY DENIED] Tool "proxy_status" is not permitted by policy'}])
        self.assertTrue(result["isError"])
        self.assertNotIn("structuredContent", result)
        self.assertEqual(result["resultType"], "complete")

    def test_hidden_tools_are_denied_or_as_if_unknown(self):
        document = {"version": "1", "default": "allow", "hide": ["proxy_status", "proxy_clear_*"]}
        serve = self.start(document)
        self.assertFalse({"proxy_status", "proxy_clear_traffic"} & self.names(serve))
        self.denied(serve, "proxy_status", r'^\[POLICY DENIED\] Tool "proxy_status" is hidden by policy$')
        self.denied(serve, "proxy_status", r"is hidden by policy", nonsense=1)  # the name alone is answered
        serve.stop()
        serve = self.start(document | {"hidden_reply": "unknown"})
        texts = []
        for tool in ("proxy_status", "proxy_statuz"):
            with self.assertRaises(ToolError) as caught:
                serve.call(tool)
            texts.append(str(caught.exception).replace(tool, "X"))
        self.assertEqual(texts[0], texts[1])
        self.assertEqual([d["rule"] for d in self.decisions()], ["(hidden)"] * 3)

    def test_methods_are_closed_with_the_default_and_not_offered(self):
        serve = self.start(deny(proxy_status={}))
        self.assertNotIn("resources", serve.rpc("server/discover")["capabilities"])
        for method, params in (("resources/list", {}), ("resources/read", {"uri": "proxy://status"})):
            with self.subTest(method), self.assertRaisesRegex(ToolError, "HTTP 404.*-32601"):
                serve.rpc(method, params, params.get("uri"))
        serve.stop()
        serve = self.start(deny() | {"methods": {"resources/read": "allow"}})
        self.assertIn("resources", serve.rpc("server/discover")["capabilities"])
        self.assertTrue(serve.rpc("resources/read", {"uri": "proxy://status"}, "proxy://status")["contents"])
        with self.assertRaisesRegex(ToolError, "HTTP 404.*-32601"):
            serve.rpc("resources/list")
        self.assertEqual([(d["method"], d["decision"], d["rule"]) for d in self.decisions()],
                         [("resources/read", "allow", ""), ("resources/list", "deny", "(default deny)")])


class Arguments(Gate):
    def test_rules_see_the_effective_arguments(self):
        serve = self.start(deny(proxy_list_traffic={
            "require": [condition("args.limit", "lte", 50)],  # the tool's default is 50: absent in the call, not to the rule
            "deny_if": [condition("args.hostname_filter", "regex", "^secret") | {"on_deny": "not that host"}]}))
        serve.call("proxy_list_traffic")
        serve.call("proxy_list_traffic", limit=50.9)
        self.denied(serve, "proxy_list_traffic", r'Denied by rule "/tools/proxy_list_traffic/require/args.limit-lte"', limit=51)
        self.assertEqual(self.decisions()[-1]["rule"], "/tools/proxy_list_traffic/require/args.limit-lte")
        self.denied(serve, "proxy_list_traffic", "not that host", hostname_filter="secret.test")

    def test_deny_if_and_its_message(self):
        serve = self.start({"version": "1", "default": "allow", "tools": {"proxy_search_traffic": {
            "deny_if": [condition("args.query", "regex", "(?i)password") | {"on_deny": "Not for passwords."}]}}})
        serve.call("proxy_search_traffic", query="cookie")
        self.denied(serve, "proxy_search_traffic", r"^\[POLICY DENIED\] Not for passwords\.$", query="PassWord")
        last = self.decisions()[-1]
        self.assertEqual((last["rule"], last["message"]), ("/tools/proxy_search_traffic/deny_if/args.query-regex", "Not for passwords."))
        self.assertIn("query", last["arguments"])
        self.assertNotIn("PassWord", json.dumps(self.decisions()))

    def test_a_class_restricts_what_an_exact_entry_allows(self):
        serve = self.start(deny(proxy_status={}, **{"risk:read": {"deny_if": [{"conditions": [], "on_deny": "nobody reads"}]}}))
        self.denied(serve, "proxy_status", "nobody reads")

    def test_secrets_are_shown_only_where_the_policy_says_raw(self):
        serve = self.start(deny(proxy_list_traffic={}, proxy_search_traffic={"result": {"raw": True}}))
        self.denied(serve, "proxy_list_traffic", "show_secrets is not allowed by policy", show_secrets=True)
        serve.call("proxy_list_traffic", show_secrets=False)
        serve.call("proxy_search_traffic", query="x", show_secrets=True)

    def test_monitor_mode_lets_pass_and_writes_down(self):
        serve = self.start(deny(proxy_status=limit(1)) | {"mode": "monitor", "hide": ["proxy_list_rules"]})
        self.assertIn("proxy_list_rules", self.names(serve))
        for tool in ("proxy_status", "proxy_status", "proxy_list_rules", "proxy_list_traffic"):
            serve.call(tool)
        self.assertEqual([(d["decision"], d["rule"]) for d in self.decisions()],
                         [("allow", ""), ("would_deny", "/tools/proxy_status/limits/calls"), ("would_deny", "(hidden)"),
                          ("would_deny", "(default deny)")])

    def test_the_owner_is_audited_and_not_limited(self):
        serve = self.start(deny(proxy_status=limit(1)))
        for _ in range(3):
            sluice("call", "proxy_status", home=self.home, check=0)
        sluice("call", "proxy_list_rules", home=self.home, check=0)
        self.assertEqual([(d["grant"], d["decision"]) for d in self.decisions()], [("owner", "allow")] * 4)
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit exceeded")

    def test_without_a_policy_every_tool_is_allowed_and_the_greeting_says_so(self):
        serve = Serve("--no-proxy", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        serve.call("proxy_list_traffic", show_secrets=True)
        poll(lambda: "policy   built-in: every tool is allowed and audited" in serve.output(), 5, "the greeting")
        serve.stop()
        governed = self.start(deny(proxy_status={}))
        poll(lambda: f"policy   {self.path}" in governed.output(), 5, "the greeting")


class OwnOnly(Gate):
    def test_a_grant_changes_its_own_rules_and_no_others(self):
        serve = self.start({"version": "1", "default": "allow", "own_only": True})
        rule = {"description": "d", "matcher": {}, "handler": {"type": "passthrough"}, "persist": True}
        theirs = json.loads(sluice("call", "proxy_add_rule", json.dumps(rule), "--json", home=self.home, check=0).stdout)
        theirs = re.search(r"rule_\d+", json.dumps(theirs)).group()
        own = serve.call("proxy_add_rule", **rule)["rule"]["id"]

        def attacks(serve):
            for tool, more in (("proxy_update_rule", {"priority": 1}), ("proxy_disable_rule", {}), ("proxy_enable_rule", {}),
                               ("proxy_remove_rule", {})):
                self.denied(serve, tool, "this rule was made by another grant", rule_id=theirs, **more)
            self.denied(serve, "proxy_import_rules", "replace would remove rules", rules=[], replace=True)
        attacks(serve)
        self.assertEqual(self.decisions()[-1]["rule"], "/own_only")
        serve.call("proxy_update_rule", rule_id=own, priority=3)
        serve.call("proxy_import_rules", rules=[rule])
        with self.assertRaisesRegex(ToolError, "not found"):
            serve.call("proxy_remove_rule", rule_id="rule_999")
        serve.stop()
        serve = self.start()  # saved rules keep who made them
        attacks(serve)
        serve.call("proxy_disable_rule", rule_id=own)
        sluice("call", "proxy_remove_rule", "rule_id=" + own, home=self.home, check=0)  # the owner may


class Limits(Gate):
    def test_a_limit_admits_exactly_so_many_and_names_the_end_of_the_window(self):
        serve = self.start(deny(proxy_status=limit(5)))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def once(_):
                try:
                    return bool(serve.call("proxy_status"))
                except ToolError:
                    return False
            self.assertEqual(sum(pool.map(once, range(20))), 5)
        self.denied(serve, "proxy_status", r"Rate limit exceeded for calls: at most 5 a day; this window ends at \d{4}-\d\d-\d\dT00:00:00.000Z")
        self.assertEqual(self.decisions()[-1]["rule"], "/tools/proxy_status/limits/calls")

    def test_it_survives_restart_kill_and_edits(self):
        serve = self.start(deny(proxy_status=limit(3)))
        serve.call("proxy_status")
        serve.stop()
        serve = self.start()
        serve.call("proxy_status")
        serve.process.send_signal(signal.SIGKILL)
        serve.process.wait()
        serve = self.start({"version": "1", "default": "allow", "tools": {"proxy_status": limit(3)}})
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit exceeded")
        self.assertEqual((self.home / "state.db").stat().st_mode & 0o777, 0o600)

    def test_two_processes_share_it(self):
        serve = self.start(deny(proxy_status=limit(4)))
        lines = [json.dumps({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {
            "name": "proxy_status", "arguments": {}, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                                                             "io.modelcontextprotocol/clientCapabilities": {}}}}) for n in range(3)]
        done = run(SLUICE, "mcp", "--home", self.home, "--policy", self.path, input="".join(line + "\n" for line in lines))
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([a["result"].get("isError", False) for a in answers], [False] * 3, done.stderr)
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit exceeded")

    def test_a_call_that_is_denied_or_refused_counts_nothing(self):
        serve = self.start(deny(proxy_list_traffic={"deny_if": [condition("args.limit", "gt", 10)], **limit(1)}))
        for _ in range(3):
            self.denied(serve, "proxy_list_traffic", "Denied by rule", limit=11)
            self.denied(serve, "proxy_list_traffic", "did you mean", limt=1)
        serve.call("proxy_list_traffic", limit=1)
        self.denied(serve, "proxy_list_traffic", "Rate limit exceeded", limit=1)

    def test_amounts_of_arguments_and_all_tools_are_counted_together(self):
        serve = self.start(deny(proxy_list_traffic=limit(100, increment_from="args.limit", sliding=True), proxy_status={}) | {
            "all_tools": {"limits": [{"counter": "all", "window": "day", "max": 4}]}})
        serve.call("proxy_list_traffic", limit=60)
        self.denied(serve, "proxy_list_traffic", "at most 100 any day", limit=60)
        self.denied(serve, "proxy_list_traffic", "this call counts 101", limit=101)
        serve.call("proxy_list_traffic", limit=40)
        serve.call("proxy_status")
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "at most 4 a day")

    def test_a_damaged_store_denies_limited_calls_and_no_others(self):
        self.home.mkdir(0o700)
        serve = self.start(deny(proxy_status=limit(1), proxy_list_rules={}))
        (self.home / "state.db").write_bytes(b"not a database" * 100)
        self.denied(serve, "proxy_status", "the counters cannot be used, so no limited call may run")
        serve.call("proxy_list_rules")


class Reload(Gate):
    def test_an_edit_is_in_force_without_a_restart_and_a_bad_one_changes_nothing(self):
        serve = self.start(deny(proxy_status={}))
        self.denied(serve, "proxy_list_rules")
        self.write(deny(proxy_status={}, proxy_list_rules={}))
        poll(lambda: "proxy_list_rules" in self.names(serve), 5, "the edit")
        serve.call("proxy_list_rules")
        for bad in ('{"version": "1", "defualt": "deny"}', "", deny(proxy_status={}) | {"handles": "yes"}):
            before = serve.output().count("is not taken")
            self.write(bad)
            poll(lambda before=before: serve.output().count("is not taken") > before, 5, "the complaint")
            serve.call("proxy_list_rules")
        self.assertIn('did you mean "default"?', serve.output())
        self.assertRegex(serve.output(), "/handles: ")
        self.path.unlink()
        poll(lambda: "cannot be read" in serve.output(), 5, "the complaint")
        serve.call("proxy_list_rules")
        self.write(deny(proxy_status={}))
        poll(lambda: "proxy_list_rules" not in self.names(serve), 5, "the mended policy")
        revisions = [d["policy_revision"] for d in self.decisions()]
        self.assertEqual(len(set(revisions)), 2, revisions)

    def test_a_file_that_becomes_writable_by_others_is_not_taken(self):
        serve = self.start(deny(proxy_status={}))
        self.path.chmod(0o666)
        poll(lambda: "can be written by others" in serve.output(), 5, "the complaint")
        self.path.write_text(json.dumps({"version": "1", "default": "allow"}))
        poll(lambda: serve.output().count("is not taken") > 1, 5, "the second complaint")
        self.denied(serve, "proxy_list_rules")

    def test_no_reload_freezes_it(self):
        frozen = self.start(deny(proxy_status={}), "--no-reload")
        other = self.start(home=self.directory / "other")
        self.write(deny(proxy_list_rules={}))
        poll(lambda: "proxy_list_rules" in self.names(other), 5, "the edit, in the other process")
        self.assertEqual(self.names(frozen), {"proxy_status"})
        frozen.call("proxy_status")

    def test_capabilities_follow(self):
        serve = self.start(deny(proxy_status={}))
        self.assertNotIn("resources", serve.rpc("server/discover")["capabilities"])
        self.write(deny(proxy_status={}) | {"methods": {"resources/list": "allow"}})
        poll(lambda: "resources" in serve.rpc("server/discover")["capabilities"], 5, "the offer")


class Start(Gate):
    def test_what_cannot_be_enforced_is_refused_by_name(self):
        self.write(deny() | {"handles": True})
        done = sluice("gateway", "--policy", self.path, "--", "true", home=self.directory / "refused")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("handles cannot be enforced for another server, whose answers are not masked", done.stderr)

    def test_a_policy_that_is_wrong_or_not_ones_own_keeps_it_from_starting(self):
        self.refused('{"version": "1",\n "defualt": "deny",\n "tolls": {}}', ":2: /defualt", ":3: /tolls", "is not put in force: 3 errors")
        self.path.unlink()
        self.refused(None, "cannot be read")
        self.write(deny())
        self.path.chmod(0o622)
        self.refused(None, "can be written by others")
        self.assertEqual(sluice("serve", "--polcy", "x").returncode, 2)

    def test_a_policy_that_would_do_nothing_is_refused(self):
        self.write(deny())
        done = sluice("mcp", "--attach", "--policy", self.path, home=self.home, input="")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--policy does nothing with --attach", done.stderr)
        for flag, value in (("--record-calls", self.directory / "calls"), ("--admin-api", 1), ("--metrics", 1), ("--state", "redis://h"),
                            ("--approval-webhook", "https://h")):
            done = sluice("mcp", "--attach", flag, value, home=self.home, input="")
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{flag} does nothing with --attach", done.stderr)

    def test_the_policys_folder_is_closed_to_tools(self):
        self.write({"version": "1", "default": "allow"})
        serve = self.start(None, "--allow-root", self.directory)
        (self.directory / "open.pem").write_text("x")
        for name, closed in (("policies/policy.json", True), ("open.pem", False)):
            with self.assertRaises(ToolError) as caught:
                serve.call("proxy_set_host_options", host="a.test", ca_file=str(self.directory / name))
            self.assertEqual("the policy's" in str(caught.exception), closed, str(caught.exception))

    def test_stdio_is_governed_too(self):
        self.write(deny(proxy_status={}))
        process = subprocess.run([SLUICE, "mcp", "--home", self.home, "--policy", self.path], text=True, capture_output=True, check=False,
                                 timeout=20 * PATIENCE, env=clean_environment(), input="".join(json.dumps(m) + "\n" for m in (
                                     {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
                                                                                                   "capabilities": {}, "clientInfo": {"name": "e", "version": "1"}}},
                                     {"jsonrpc": "2.0", "method": "notifications/initialized"},
                                     {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
                                     {"jsonrpc": "2.0", "id": 3, "method": "resources/list"},
                                     {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "proxy_stop", "arguments": {}}})))
        answers = {json.loads(line)["id"]: json.loads(line) for line in process.stdout.splitlines()}
        self.assertNotIn("resources", answers[1]["result"]["capabilities"])
        self.assertEqual([t["name"] for t in answers[2]["result"]["tools"]], ["proxy_status"])
        self.assertEqual(answers[3]["error"]["code"], -32601)
        self.assertTrue(answers[4]["result"]["isError"])

if __name__ == "__main__":
    unittest.main()
