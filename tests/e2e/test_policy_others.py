"""`sluice policy` and grants where the policy is for another server's tools: scanned, checked and tried against what that server
has, and refused where it says what cannot be enforced there (docs/policy.md, gate.md 3)."""
import json
import os
import signal
import subprocess
import sys
import time

from gateway_client import FAKE
from harness import PATIENCE, SLUICE, clean_environment, poll, run  # first: it knows where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from test_gateway import ALLOW, GatewayCase, deny


class Scan(GatewayCase):
    def scan(self, *flags, command=None, tools=None, mode=None, code=0):
        if tools is not None:
            (self.directory / "tools.json").write_text(json.dumps(tools))
        environment = {"MODE": mode} if mode else {}
        done = run(SLUICE, "policy", "scan", "--home", self.home, *flags, *(["--", *(command or FAKE)] if command != () else []),
                   env=clean_environment(TOOLS=self.directory / "tools.json", RECEIVED=self.directory / "received", **environment), seconds=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_tools_are_grouped_by_what_they_say_of_themselves(self):
        hints = {"look": {"readOnlyHint": True}, "add": {"readOnlyHint": False, "destructiveHint": False},
                 "wipe": {"readOnlyHint": False, "destructiveHint": True}, "liar": {"readOnlyHint": True, "destructiveHint": True},
                 "silent": None, "half": {"readOnlyHint": False}, "odd": {"readOnlyHint": "yes"}}
        done = self.scan(tools=[{"name": name, "inputSchema": {"type": "object"}, **({"annotations": hint} if hint else {})}
                                for name, hint in hints.items()])
        policy = json.loads(done.stdout)
        self.assertEqual(policy["risk"], {"look": "read", "add": "write", "wipe": "destructive", "liar": "destructive"})
        self.assertEqual((policy["default"], policy["hide"]), ("deny", ["wipe", "liar"]))
        self.assertEqual(policy["tools"]["look"], {})
        self.assertEqual(policy["tools"]["add"]["limits"][0]["max"], 30)
        for name in ("silent", "half", "odd"):
            self.assertIn("require_approval", policy["tools"][name])
        self.assertIn("1 read, 1 write, 3 unclassified, 2 destructive", done.stderr)
        self.path.write_text(done.stdout)
        self.path.chmod(0o600)
        checked = run(SLUICE, "policy", "check", self.path)
        self.assertEqual((checked.returncode, checked.stdout), (0, f"{self.path}: valid\n"))

    def test_servers_of_either_era_are_asked_page_by_page(self):
        whole = list(json.loads(self.scan(command=FAKE).stdout)["tools"])
        self.assertGreater(len(whole), 5)
        for mode in ("pages", "legacy", "modern"):
            with self.subTest(mode):
                self.assertLessEqual(set(whole), set(json.loads(self.scan(mode=mode).stdout)["tools"]))

    def test_servers_over_http_are_asked_with_the_credential_that_they_want(self):
        for mode in ("", "json", "nosession", "sse", "legacy", "modern"):
            with self.subTest(mode), HttpMcpServer(mode) as server:
                done = run(SLUICE, "policy", "scan", "--home", self.home, "--upstream", server.url, seconds=60,
                           env=clean_environment(SLUICE_UPSTREAM_TOKEN="opaque-1"))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("echo", json.loads(done.stdout)["tools"])
                posts = [request for request in server.requests if request["method"] == "POST"]
                self.assertEqual({request["headers"].get("Authorization") for request in posts}, {"Bearer opaque-1"})
                self.assertNotIn("tools/call", [request["message"].get("method") for request in posts])
        with HttpMcpServer("nothing") as server:
            self.assertIn("404", self.scan("--upstream", server.url, command=(), code=1).stderr)

    def test_hostile_names_are_left_out_and_shown_escaped(self):
        done = self.scan(tools=[{"name": "good"}, {"name": "a\u001b[31mb"}, {"name": "good"}, {"name": ""}, {"name": 7}, {}, "no",
                                {"name": "x" * 129}, {"name": "\u202egnol"}] + [{"name": f"n {i}"} for i in range(50)])
        self.assertEqual(list(json.loads(done.stdout)["tools"]), ["good"])
        self.assertIn('\\u001b[31mb', done.stderr)
        self.assertNotIn("\x1b", done.stderr)
        self.assertNotIn("\u202e", done.stderr)
        self.assertIn("more tools are left out", done.stderr)
        self.assertLess(len(done.stderr), 4000)

    def test_a_thousand_tools_are_a_policy_and_more_than_one_holds_are_refused(self):
        self.assertEqual(len(json.loads(self.scan(tools=[{"name": f"t{i}"} for i in range(1000)]).stdout)["tools"]), 1000)
        done = self.scan(tools=[{"name": f"t{i}"} for i in range(6000)], code=1)
        self.assertEqual(done.stdout, "")
        self.assertIn("the server lists 6000 tools; a policy is made of 5000 at most", done.stderr)

    def test_a_server_that_does_not_answer_is_ended_and_said(self):
        pid = self.directory / "pid"
        silent = f"import os, sys, time; open({str(pid)!r}, 'w').write(str(os.getpid())); sys.stdin.read(); time.sleep(0)"
        begun = time.monotonic()
        done = self.scan("--wait", "1", command=[sys.executable, "-c", silent], code=1)
        self.assertIn("the server did not answer `initialize` within 1 s (--wait)", done.stderr)
        self.assertLess(time.monotonic() - begun, 20 * PATIENCE)
        self.assertRaises(ProcessLookupError, os.kill, int(pid.read_text()), 0)

    def test_a_server_that_ends_or_is_none_is_said(self):
        self.assertIn("the server ended before it answered `initialize`", self.scan(command=["true"], code=1).stderr)
        self.assertIn("no-such-program", self.scan(command=["/no-such-program"], code=1).stderr)
        self.assertIn("refused", self.scan("--upstream", "http://127.0.0.1:1/mcp", command=(), code=1).stderr)

    def test_an_interrupted_scan_leaves_no_child(self):
        pid = self.directory / "pid"
        deaf = (f"import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
                f"open({str(pid)!r}, 'w').write(str(os.getpid())); sys.stdin.read()")
        scan = subprocess.Popen([SLUICE, "policy", "scan", "--home", self.home, "--", sys.executable, "-c", deaf],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(), start_new_session=True)
        poll(lambda: pid.exists() and pid.read_text(), 15, "the server")
        scan.send_signal(signal.SIGINT)
        _, said = scan.communicate(timeout=30 * PATIENCE)
        self.assertEqual(scan.returncode, 1)
        self.assertIn("interrupted", said)
        self.assertRaises(ProcessLookupError, os.kill, int(pid.read_text()), 0)

    def test_flags_and_words_that_say_nothing_are_refused(self):
        for flags, words in ((["x.json"], "takes no 'x.json'"), (["--server", "ev"], "takes no --server"), (["http://127.0.0.1/"], "--upstream"),
                             (["--tool", "t"], "takes no --tool"), (["--upstream", "ftp://x"], "http or https"),
                             (["--upstream", "http://example.com/"], "use https"), (["--insecure-upstream"], "go with --upstream")):
            with self.subTest(flags):
                done = self.scan(*flags, command=(), code=2)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")
        self.assertIn("asks one server", self.scan("--upstream", "http://127.0.0.1:1/", code=2).stderr)
        for action in ("check", "explain"):
            refused = run(SLUICE, "policy", action, self.write(ALLOW), "--upstream", "http://127.0.0.1:1/")
            self.assertEqual((refused.returncode, refused.stdout), (2, ""))


class Known(GatewayCase):
    """What a gateway has pinned is what `check` and `test` compare with."""

    def setUp(self):
        super().setUp()
        fields = {"message": {"type": "string"}, "times": {"type": "integer", "default": 5}}
        tools = [{"name": name, "inputSchema": {"type": "object", "properties": fields, "required": ["message"]}} for name in ("echo", "shout")]
        (self.directory / "tools.json").write_text(json.dumps(tools))

    def gateway(self, document, *flags):
        return self.start(document, "--name", "ev", *flags, env={"TOOLS": str(self.directory / "tools.json")})

    def pin(self):
        gateway = self.gateway(deny(tools={"echo": {}}))
        gateway.names()
        gateway.stop()
        return gateway

    def policy(self, action, document, *flags, code=0):
        done = run(SLUICE, "policy", action, self.write(document), "--home", self.home, *flags)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_check_compares_with_the_named_server_and_is_silent_about_others(self):
        self.pin()
        misspelt = deny(hide=["shuot"], tools={"echo": {"require": [{"conditions": [{"path": "args.mesage", "op": "exists", "value": True}]}]}})
        self.assertIn("valid\n", self.policy("check", misspelt))
        self.assertNotIn("no such tool", self.policy("check", misspelt))
        said = self.policy("check", misspelt, "--server", "ev")
        self.assertIn("/hide: ev has no such tool; did you mean shout?", said)
        self.assertIn('echo has no argument "mesage", did you mean "message"?', said)
        self.assertIn("no tool of a server 'other' is pinned here", self.policy("check", misspelt, "--server", "other", code=1))
        self.assertIn("Sluice has no such tool; did you mean proxy_start?", self.policy("check", deny(tools={"proxy_strat": {}})))
        self.assertIn("cannot be enforced for another server", self.policy("check", {**ALLOW, "handles": True}, "--server", "ev"))

    def test_check_warns_of_a_twin_that_stays_open(self):
        said = self.policy("check", {**ALLOW, "hide": ["proxy_start", "add_interception_rule"]})
        self.assertEqual(said.count("which does the same, is open"), 2)
        self.assertIn("proxy_start is closed, but start_proxy,", said)
        self.assertIn("add_interception_rule is closed, but proxy_add_rule,", said)

    def test_test_judges_closed_arguments_by_the_schema_as_the_gateway_does(self):
        closed = deny(args="closed", tools={"echo": {"deny_if": [{"conditions": [{"path": "args.times", "op": "gt", "value": 4}]}]}})
        more, few = '{"message": "x", "times": 1, "more": 1}', '{"message": "x", "times": 1}'
        self.assertIn("is not known (--server NAME or --schema FILE)", self.policy("test", closed, "--tool", "echo", "--args", more))
        self.assertEqual(json.loads(run(SLUICE, "policy", "test", self.path, "--tool", "echo", "--args", few, "--json").stdout)["unjudged"], ["args"])
        gateway = self.gateway(closed)
        self.denied(gateway, "echo", 'The tool\'s schema has no argument "more"', **json.loads(more))
        self.denied(gateway, "echo", message="x")  # times is 5
        gateway.stop()
        schema = self.directory / "schema.json"
        schema.write_text((self.directory / "tools.json").read_text()[1:].split(', {"name": "shout"')[0])
        for flags in (("--server", "ev"), ("--schema", schema)):
            with self.subTest(flags):
                self.assertIn('no argument "more"', self.policy("test", closed, "--tool", "echo", "--args", more, *flags, code=1))
                self.assertIn("decision  allow", self.policy("test", closed, "--tool", "echo", "--args", few, *flags))
                self.assertIn("args.times-gt", self.policy("test", closed, "--tool", "echo", "--args", '{"message": "x"}', *flags, code=1))
        self.assertIn("ev has no tool 'ehco'", self.policy("test", closed, "--tool", "ehco", "--server", "ev", code=1))
        self.assertIn("not both", self.policy("test", closed, "--tool", "echo", "--server", "ev", "--schema", schema, code=2))

    def test_the_gateway_says_once_what_its_server_does_not_have(self):
        gateway = self.gateway(deny(hide=["shuot"], tools={"echo": {}, "risk:read": {}, "sh*": {}, "ech\u200bo": {}}))
        gateway.names()
        gateway.wait_for_error("warning: the policy of default names tools that ev does not list: shuot, ech\\u200bo\n")
        gateway.send({"method": "notifications/roots/list_changed"})
        gateway.names()
        gateway.stop()
        self.assertEqual(sum("does not list" in line for line in gateway.errors), 1, gateway.errors)

    def test_the_gateway_says_nothing_where_each_name_is_known(self):
        gateway = self.gateway(deny(hide=["shout"], tools={"echo": {}}))
        gateway.names()
        gateway.stop()
        self.assertFalse([line for line in gateway.errors if "does not list" in line])

    def test_simulating_the_policy_in_force_over_its_own_log_finds_no_difference(self):
        gateway = self.gateway(deny(tools={"echo": {}}))
        for method in ("tools/list", "tasks/list", "prompts/list", "ping", "x/unheard"):
            gateway.ask(method)
        gateway.call("echo", message="x")
        self.denied(gateway, "shout", message="x")
        gateway.stop()
        said = run(SLUICE, "policy", "simulate", self.path, "--audit", self.home / "audit")
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertRegex(said.stdout, r"^\d+ calls as they were decided, 0 otherwise, 0 undecidable\n$")
        self.write(deny(args="closed", tools={"echo": {}}))
        said = run(SLUICE, "policy", "simulate", self.path, "--audit", self.home / "audit")
        self.assertEqual(said.returncode, 1, said.stdout)
        self.assertIn("undecidable: needs values, and the tool's schema  1 calls of echo", said.stdout)


class Grants(GatewayCase):
    def test_a_policy_that_another_server_cannot_have_is_refused_when_the_grant_is_made(self):
        credential = self.directory / "admin"
        credential.write_text(run(SLUICE, "grant", "admin", "--home", self.home, check=0).stdout)
        credential.chmod(0o600)
        for number, (member, code) in enumerate([({"handles": True}, 1), ({"egress": {"ports": [443]}}, 1), ({}, 0)]):
            path = self.write({**deny(tools={"echo": {}}), **member})
            for server, wanted in (("fk", code), ("sluice", 0)):
                made = run(SLUICE, "grant", "create", f"g{number}-{server}", "--server", server, "--policy", path, "--home", self.home,
                           "--admin-token-file", credential)
                self.assertEqual(made.returncode, wanted, made.stderr)
                if wanted:
                    self.assertIn("cannot be enforced for another server", made.stderr)
                self.assertNotIn("no such tool", made.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
