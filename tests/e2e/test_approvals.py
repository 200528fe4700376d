"""Calls that a person must approve, and the brake, through the real program (gate.md 3, 5; policy.md A38, A40)."""
import json
import subprocess
import threading
import time

from harness import PATIENCE, SLUICE, clean_environment, json_of, poll, run, sluice
from test_grants import META, Admin, deny

ASKED = r"^\[APPROVAL REQUIRED\] (apr_[A-Za-z0-9_-]{12}) expires \d{4}-\d\d-\d\dT[0-9:.]+Z"


class Approvals(Admin):
    def bot(self, more=None, name="bot", **entry):
        """Its token: proxy_list_traffic asks; proxy_status does not."""
        policy = deny(proxy_list_traffic={"require_approval": entry, **(more or {})}, proxy_status={})
        return self.grant(name, policy)

    def asked(self, serve, token, **arguments):
        """The id that the call waits for."""
        _, text = self.call(serve, token, "proxy_list_traffic", **arguments)
        self.assertRegex(text, ASKED)
        return text.split()[2]

    def decide(self, word, approval, code=0):
        return self.as_admin("approvals", word, approval, code=code)


class Flow(Approvals):
    def test_a_call_is_answered_at_once_and_runs_once_when_a_person_approved_it(self):
        token = self.bot(message="Lists are private.")
        serve = self.start()
        status, _, text = serve.post(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "proxy_list_traffic", "arguments": {"limit": 3}, "_meta": META}},
            {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "proxy_list_traffic", "Authorization": f"Bearer {token}"})
        self.assertEqual(status, 200)
        result = json_of(text)["result"]
        self.assertTrue(result["isError"])
        self.assertNotIn("structuredContent", result)
        self.assertRegex(result["content"][0]["text"],
                         ASKED + r": Lists are private\. A person must decide; repeat the same call afterwards\.$")
        about = result["_meta"]["dev.sluice/approval"]
        approval = about["id"]
        self.assertEqual((about["status"], set(about)), ("pending", {"id", "expires_at", "status"}))
        self.assertEqual(self.asked(serve, token, limit=3), approval, "the same call is the same approval")
        shown = json.loads(sluice("approvals", "show", approval, "--json", home=self.home, check=0).stdout)
        self.assertEqual((shown["grant"], shown["tool"], shown["arguments"]["limit"], shown["status"]), ("bot", "proxy_list_traffic", 3, "pending"))
        self.decide("approve", approval)
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic", limit=3)[1])
        self.assertNotEqual(self.asked(serve, token, limit=3), approval, "once")
        lines = [line for line in self.audit() if line.get("approval") == approval]
        self.assertEqual([(line["decision"], line["method"], line["grant"], line.get("approver")) for line in lines if line["method"] == "tools/call"],
                         [("ask", "tools/call", "bot", None), ("ask", "tools/call", "bot", None), ("allow", "tools/call", "bot", "admin")])
        self.assertEqual([(line["grant"], line["approver"]) for line in lines if line["method"] == "approvals/approve"], [("owner", "admin")])
        self.assertEqual(lines[0]["rule"], "/tools/proxy_list_traffic/require_approval")

    def test_a38_an_approval_is_for_these_arguments_of_this_grant_under_this_rule(self):
        one, two = self.bot(), self.bot(name="two")
        serve = self.start()
        approval = self.asked(serve, one, limit=3, hostname_filter="a.test")
        self.decide("approve", approval)
        others = {self.asked(serve, one, limit=4, hostname_filter="a.test"), self.asked(serve, one, limit=3),
                  self.asked(serve, two, limit=3, hostname_filter="a.test")}
        self.assertNotIn(approval, others)
        self.assertEqual(len(others), 3)
        self.write("bot.json", deny(proxy_list_traffic={"require_approval": {"message": "Another rule."}}, proxy_status={}))
        poll(lambda: "Another rule" in self.call(serve, one, "proxy_list_traffic", limit=3, hostname_filter="a.test")[1], 5, "the edit")

    def test_a38_nobody_decides_without_the_admin_credential(self):
        token = self.bot()
        serve = self.start()
        approval = self.asked(serve, token)
        for secret in ("wrong", token, serve.token):
            self.admin_file.write_text(secret)
            for word in ("approve", "deny"):
                self.assertIn("not the admin credential", self.decide(word, approval, code=1).stderr)
        done = sluice("approvals", "approve", approval, home=self.home, stdin=subprocess.DEVNULL, start_new_session=True)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.asked(serve, token), approval)
        _, text = self.call(serve, token, "proxy_list_traffic")
        for word in ("sluice approvals", "admin", "approve"):
            self.assertNotIn(word, text.lower().replace("[approval required]", ""), "no text tells an agent how to approve")

    def test_a_denial_stands_and_a_decision_is_made_once(self):
        token = self.bot()
        serve = self.start()
        approval = self.asked(serve, token)
        self.decide("deny", approval)
        self.assertEqual(self.call(serve, token, "proxy_list_traffic")[1], f"[POLICY DENIED] A person denied this call ({approval})")
        self.assertIn("is denied already", self.decide("approve", approval, code=1).stderr)
        self.assertEqual([(line["method"], line["decision"], line.get("message"), line["outcome"])
                          for line in self.audit() if line["method"].startswith("approvals/")],
                         [("approvals/deny", "allow", None, "none"),
                          ("approvals/approve", "deny", f"{approval} is denied already", "none")])

    def test_a_question_keeps_its_mark(self):
        token = self.bot(message="May I?")
        serve = self.start()
        self.assertIn(": May I? A person must decide; repeat", self.call(serve, token, "proxy_list_traffic")[1])

    def test_only_some_calls_ask_and_denials_come_first(self):
        token = self.bot({"deny_if": [{"conditions": [{"path": "args.limit", "op": "gt", "value": 100}], "on_deny": "too many"}]},
                         when=[{"path": "args.limit", "op": "gt", "value": 10}])
        serve = self.start()
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic", limit=10)[1])
        self.asked(serve, token, limit=11)
        self.assertEqual(self.call(serve, token, "proxy_list_traffic", limit=101)[1], "[POLICY DENIED] too many")

    def test_it_expires_and_says_when(self):
        token = self.bot(timeout="2s")
        serve = self.start()
        approval = self.asked(serve, token)
        self.decide("approve", approval)
        poll(lambda: json.loads(sluice("approvals", "show", approval, "--json", home=self.home).stdout)["status"] == "expired", 5, "its end")
        self.assertNotEqual(self.asked(serve, token), approval)
        self.assertEqual(self.decide("approve", approval, code=1).stdout, "")

    def test_limits_are_taken_when_the_approved_call_runs(self):
        token = self.bot({"limits": [{"counter": "c", "window": "day", "max": 1}]})
        serve = self.start()
        first, second = self.asked(serve, token, limit=1), self.asked(serve, token, limit=2)
        self.decide("approve", first)
        self.decide("approve", second)
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic", limit=1)[1])
        self.assertIn("Rate limit exceeded", self.call(serve, token, "proxy_list_traffic", limit=2)[1])
        self.assertEqual(json.loads(sluice("approvals", "show", second, "--json", home=self.home).stdout)["status"], "approved",
                         "what did not fit keeps its approval")

    def test_approvals_survive_a_restart(self):
        token = self.bot()
        serve = self.start()
        approval = self.asked(serve, token)
        serve.stop()
        self.decide("approve", approval)
        self.assertIn("exchanges", self.call(self.start(), token, "proxy_list_traffic")[1])

    def test_sixteen_wait_for_a_grant_and_no_more(self):
        token = self.bot()
        serve = self.start()
        ids = {self.asked(serve, token, limit=n) for n in range(1, 17)}
        self.assertEqual(len(ids), 16)
        self.assertIn("Too many calls wait for a person", self.call(serve, token, "proxy_list_traffic", limit=17)[1])
        self.assertEqual(self.audit()[-1]["rule"], "(approvals full)")
        self.assertIn(self.asked(serve, token, limit=1), ids)

    def test_revocation_voids_what_waits(self):
        token = self.bot()
        serve = self.start()
        approval = self.asked(serve, token)
        self.as_admin("grant", "revoke", "bot")
        self.assertIn("has ended", self.decide("approve", approval, code=1).stderr)

    def test_what_nobody_can_look_at_is_not_asked_about(self):
        token = self.bot()
        serve = self.start()
        _, text = self.call(serve, token, "proxy_list_traffic", hostname_filter="x" * 70_000)
        self.assertNotIn("[APPROVAL REQUIRED]", text)
        self.assertEqual(json.loads(sluice("approvals", "list", "--json", home=self.home).stdout), [])

    def test_without_the_store_nobody_can_be_asked_and_the_call_is_denied(self):
        self.write("p.json", deny(proxy_list_traffic={"require_approval": {}}, proxy_status={}))
        serve = self.start("--policy", self.directory / "p.json")
        for name in ("state.db-wal", "state.db-shm"):
            (self.home / name).unlink(missing_ok=True)
        (self.home / "state.db").write_bytes(b"not a database" * 100)
        self.assertIn("approvals cannot be used", self.call(serve, serve.token, "proxy_list_traffic")[1])
        self.assertIn("running", self.call(serve, serve.token, "proxy_status")[1])

    def test_monitor_mode_asks_nobody(self):
        token = self.grant("bot", deny(proxy_status={"require_approval": {}}) | {"mode": "monitor"})
        serve = self.start()
        self.assertIn("running", self.call(serve, token, "proxy_status")[1])
        self.assertEqual(self.audit()[-1]["decision"], "would_deny")


class Shown(Approvals):
    def test_a40_the_approver_sees_every_argument_and_nothing_moves_the_cursor(self):
        token = self.bot()
        serve = self.start()
        evil = "a\x1b[2J\u202egnp.exe\u2069\u200b\r\nid  apr_x\x9b31m"
        approval = self.asked(serve, token, hostname_filter=evil, url_filter="y" * 5_000)
        for words in (["show", approval], ["list"]):
            text = sluice("approvals", *words, home=self.home, check=0).stdout
            self.assertFalse(set(text) & set("\x1b\u202e\u2069\u200b\r\x9b"), text)
        text = sluice("approvals", "show", approval, home=self.home, check=0).stdout
        self.assertIn(r'"hostname_filter": "a\u001b[2J\u202egnp.exe\u2069\u200b\r\nid  apr_x\u009b31m"', text)
        self.assertRegex(text, r'"url_filter": "y{1999} … CUT: 3002 more characters')
        whole = json.loads(sluice("approvals", "show", approval, "--json", home=self.home, check=0).stdout)["arguments"]
        self.assertEqual((whole["hostname_filter"], len(whole["url_filter"])), (evil, 5_000))


class Waiting(Approvals):
    def test_a_call_may_be_held_until_a_person_decided(self):
        token = self.bot(wait="20s")
        serve = self.start()
        answers = []
        began = time.monotonic()
        caller = threading.Thread(target=lambda: answers.append((self.call(serve, token, "proxy_list_traffic")[1], time.monotonic())))
        caller.start()
        self.addCleanup(caller.join)
        waiting = poll(lambda: json.loads(sluice("approvals", "list", "--json", home=self.home).stdout), 10, "the approval")
        self.assertEqual(answers, [])
        self.decide("approve", waiting[0]["id"])
        decided = time.monotonic()
        caller.join(20 * PATIENCE)
        self.assertIn("exchanges", answers[0][0])
        self.assertLess(answers[0][1] - decided, 1 * PATIENCE, "within a second")
        self.assertGreater(decided - began, 0)

    def test_it_is_answered_when_the_wait_is_over(self):
        token = self.bot(wait="1s")
        self.asked(self.start(), token)

    def test_one_that_is_held_hears_a_denial_and_the_end_of_its_grant(self):
        token = self.bot(wait="20s")
        serve = self.start()
        for word in ("deny", "revoke"):
            answers = []
            caller = threading.Thread(target=lambda answers=answers: answers.append(self.call(serve, token, "proxy_list_traffic", limit=len(word))))
            caller.start()
            waiting = poll(lambda: json.loads(sluice("approvals", "list", "--json", home=self.home).stdout), 10, "the approval")
            if word == "deny":
                self.decide("deny", waiting[0]["id"])
            else:
                self.as_admin("grant", "revoke", "bot")
            caller.join(20 * PATIENCE)
            self.assertTrue(answers)
            # Whoever sees it first says it: the one who holds the call, or the door.
            self.assertRegex(answers[0][1], "A person denied this call" if word == "deny" else "Bearer|This grant has ended")

    def test_it_holds_on_stdio_and_tells_of_progress(self):
        self.grant("local", deny(proxy_status={"require_approval": {"wait": "3s"}}), "--stdio")
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": "proxy_status", "arguments": {}, "_meta": META | {"progressToken": "p"}}}
        done = run(SLUICE, "mcp", "--home", self.home, "--grant", "local", input=json.dumps(message) + "\n", env=clean_environment())
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(lines[0]["method"], "notifications/progress")
        self.assertIn("Waiting for a person", lines[0]["params"]["message"])
        self.assertIn("[APPROVAL REQUIRED]", lines[-1]["result"]["content"][0]["text"])


class Caller(Approvals):
    """approvers: ["caller"]: the client's own user is asked (MCP 2026-07-28, input_required)."""

    def ask(self, serve, token, tool="proxy_list_traffic", arguments=None, elicits=True, **more):
        meta = META | {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}} if elicits else {}}
        _, _, text = serve.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments or {}, "_meta": meta, **more}},
                                {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool, "Authorization": f"Bearer {token}"})
        return json_of(text)["result"]

    def answer(self, question, decision="approve", action="accept"):
        return {"requestState": question["requestState"],
                "inputResponses": {"approval": {"action": action, "content": {"decision": decision}}}}

    def test_the_callers_user_decides_and_the_audit_says_that_nobody_checked_who(self):
        token = self.bot(approvers=["caller"], message="Lists are private.")
        serve = self.start()
        question = self.ask(serve, token, arguments={"limit": 3})
        self.assertEqual(question["resultType"], "input_required")
        request = question["inputRequests"]["approval"]
        self.assertEqual((request["method"], request["params"]["mode"]), ("elicitation/create", "form"))
        schema = request["params"]["requestedSchema"]
        self.assertEqual((schema["required"], schema["properties"]["decision"]["enum"]), (["decision"], ["approve", "deny"]))
        self.assertNotIn("default", schema["properties"]["decision"])
        self.assertIn('Lists are private. The tool proxy_list_traffic is to be called with {', request["params"]["message"])
        self.assertIn('"limit":3', request["params"]["message"])
        self.assertIn("structuredContent", self.ask(serve, token, arguments={"limit": 3}, **self.answer(question)))
        self.assertEqual(self.ask(serve, token, arguments={"limit": 3}, **self.answer(question))["resultType"], "input_required", "once")
        self.assertEqual([d["approver"] for d in self.audit() if d.get("approver") and d["method"] == "tools/call"], ["caller, unverified"])

    def test_a38_an_answer_is_for_its_question_its_grant_and_its_call(self):
        one, two = self.bot(approvers=["caller"]), self.bot(approvers=["caller"], name="two")
        serve = self.start()
        question, other = self.ask(serve, one, arguments={"limit": 3}), self.ask(serve, two, arguments={"limit": 3})
        state = question["requestState"]
        for token, arguments, more in ((one, {"limit": 4}, self.answer(question)), (two, {"limit": 3}, self.answer(question)),
                                       (one, {"limit": 3}, self.answer(other)),
                                       (one, {"limit": 3}, self.answer({"requestState": state[:20] + ("A" if state[20] != "A" else "B") + state[21:]})),
                                       (one, {"limit": 3}, self.answer(question, "yes")), (one, {"limit": 3}, self.answer(question, action="cancel")),
                                       (one, {"limit": 3}, {"requestState": state, "inputResponses": {"approval": {"action": "accept"}}})):
            self.assertNotIn("structuredContent", self.ask(serve, token, arguments=arguments, **more))
        two_decided = self.ask(serve, two, arguments={"limit": 3})
        self.assertEqual(two_decided["resultType"], "input_required", "nothing of all this was an answer of the other's")

    def test_the_user_may_deny(self):
        token = self.bot(approvers=["caller"])
        serve = self.start()
        for action, decision, limit in (("accept", "deny", 1), ("decline", "approve", 2)):
            question = self.ask(serve, token, arguments={"limit": limit})
            result = self.ask(serve, token, arguments={"limit": limit}, **self.answer(question, decision, action))
            self.assertIn("A person denied this call", result["content"][0]["text"])

    def test_it_is_not_asked_where_it_cannot_or_must_not_be(self):
        entry = {"require_approval": {"approvers": ["caller"]}}
        token = self.grant("bot", deny(proxy_list_traffic=entry, proxy_clear_traffic=entry, proxy_list_rules=entry, **{
            "proxy_list_r*": {"require_approval": {"approvers": ["admin"]}}}))
        serve = self.start()
        self.assertIn("[APPROVAL REQUIRED]", self.ask(serve, token, elicits=False)["content"][0]["text"])
        for tool in ("proxy_clear_traffic", "proxy_list_rules"):  # destructive; and a rule that says admin
            self.assertIn("[APPROVAL REQUIRED]", self.ask(serve, token, tool)["content"][0]["text"], tool)
        admin_only = self.bot(name="strict")
        self.assertIn("[APPROVAL REQUIRED]", self.ask(serve, admin_only)["content"][0]["text"])


class Brake(Approvals):
    def test_a_closed_gate_denies_every_grant_and_only_the_admin_opens_it(self):
        token = self.bot()
        serve = self.start()
        self.assertIn("running", self.call(serve, token, "proxy_status")[1])
        sluice("gate", "close", home=self.home, check=0)
        for each in (token, serve.token):
            self.assertEqual(self.call(serve, each, "proxy_status")[1], "[POLICY DENIED] The gate is closed")
        self.assertEqual(self.audit()[-1]["rule"], "(gate closed)")
        sluice("call", "proxy_status", home=self.home, check=0)  # the owner still looks
        done = sluice("gate", "open", home=self.home, stdin=subprocess.DEVNULL, start_new_session=True)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(sluice("gate", "status", "--json", home=self.home).stdout), {"gate": "closed"})
        serve.stop()
        serve = self.start()
        self.assertEqual(self.call(serve, token, "proxy_status")[1], "[POLICY DENIED] The gate is closed", "a restart opens nothing")
        self.as_admin("gate", "open")
        self.assertIn("running", self.call(serve, token, "proxy_status")[1])
        self.assertEqual([(d["method"], d.get("approver"), d["decision"]) for d in self.audit() if d["method"].startswith("gate/")],
                         [("gate/close", None, "allow"), ("gate/open", "admin", "allow")])

    def test_what_is_held_ends_with_it(self):
        token = self.bot(wait="20s")
        serve = self.start()
        answers = []
        caller = threading.Thread(target=lambda: answers.append(self.call(serve, token, "proxy_list_traffic")[1]))
        caller.start()
        poll(lambda: json.loads(sluice("approvals", "list", "--json", home=self.home).stdout), 10, "the approval")
        sluice("gate", "close", home=self.home, check=0)
        caller.join(5 * PATIENCE)
        self.assertTrue(answers and ("cancelled" in answers[0] or "closed" in answers[0]), answers)


if __name__ == "__main__":
    import unittest
    unittest.main()
