"""approvers: ["caller"] and clients of 2025-06-18 and 2025-11-25: their user is asked with elicitation/create while the call waits
(gate.md 1, 5; docs/grants.md). The same for Sluice's own tools and in front of another server, over stdio and HTTP."""
import json
import queue
import subprocess
import threading
import time
import unittest

from gateway_client import FAKE, Gateway
from gateway_http_client import Client, HttpGateway
from harness import PATIENCE, SLUICE, Serve, clean_environment, sluice
from test_grants import Admin

FORM = {"elicitation": {}}


class Lines(Gateway):
    """`sluice mcp` on its standard input and output."""

    def __init__(self, home, policy, version, capabilities, *flags):
        self.home = home
        self.process = subprocess.Popen([str(a) for a in (SLUICE, "mcp", "--home", home, "--policy", policy, *flags)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=clean_environment())
        self.lines, self.errors, self.seen, self.last = queue.Queue(), [], [], 0
        self._threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._log, daemon=True)]
        for thread in self._threads:
            thread.start()
        greet(self, version, capabilities)


def greet(lines, version, capabilities):
    lines.request("initialize", {"protocolVersion": version, "clientInfo": {"name": "t", "version": "1"}, "capabilities": capabilities})
    lines.send({"method": "notifications/initialized"})


class OnLines:
    """One client: calls, and what comes until each is answered."""

    def __init__(self, lines):
        self.lines = lines

    def begin(self, tool, **arguments):
        return self.lines.begin("tools/call", {"name": tool, "arguments": arguments})

    def next(self, call):
        return self.lines.next()

    def say(self, message):
        self.lines.send(message)

    def leave(self):
        return self.lines.end()


class OverHttp:
    def __init__(self, client):
        self.client, self.streams = client, {}

    def begin(self, tool, **arguments):
        number = self.client.last + 1
        answer = self.client.begin("tools/call", {"name": tool, "arguments": arguments})
        self.streams[number] = (answer, answer.messages() if answer.streams else iter([answer.json()]))
        return number

    def next(self, call):
        return next(self.streams[call][1])

    def say(self, message):
        answer = self.client.post(message)
        assert answer.status == 202, answer.status
        answer.close()

    def leave(self):
        self.client.send("DELETE").close()

    def close(self):
        for answer, _ in self.streams.values():
            answer.close()


class Asked:
    """The tests; `client(version, capabilities)` is each setting's own."""
    tool = "proxy_list_traffic"
    other_rule, destroys = "proxy_list_rules", "proxy_clear_traffic"

    def policy(self, **more):
        caller = {"require_approval": {"approvers": ["caller"], "message": "Lists are private.", **more}}
        return self.write("policy.json", {"version": "1", "default": "allow", **self.classes, "tools": {
            self.tool: caller, self.destroys: caller, self.other_rule: {"require_approval": {}}}})

    classes = {}

    def question(self, client, call):
        asked = client.next(call)
        self.assertEqual(asked.get("method"), "elicitation/create", asked)
        return asked

    def answer(self, client, asked, result=None, error=None):
        client.say({"id": asked["id"], **({"error": error} if error else {"result": result})})

    def text(self, client, call):
        """Of the call's answer; progress is passed over."""
        while True:
            message = client.next(call)
            if message.get("id") == call and "method" not in message:
                return message["result"]["content"][0]["text"]
            self.assertEqual(message.get("method"), "notifications/progress", message)

    def approvers(self):
        return [line["approver"] for line in self.audit() if line.get("approver") and line["method"] == "tools/call"]

    def test_the_user_is_asked_within_the_call_and_the_audit_says_that_nobody_checked_who(self):
        self.policy()
        for version in ("2025-06-18", "2025-11-25"):
            with self.subTest(version):
                client = self.client(version, FORM)
                call = client.begin(self.tool, **self.arguments)
                asked = self.question(client, call)
                params = asked["params"]
                self.assertEqual(set(params), {"message", "requestedSchema"}, "what both revisions know")
                self.assertIn(f"Lists are private. The tool {self.tool} is to be called with {{", params["message"])
                schema = params["requestedSchema"]
                self.assertEqual((schema["type"], schema["required"], list(schema["properties"])), ("object", ["decision"], ["decision"]))
                self.assertEqual(schema["properties"]["decision"]["enum"], ["approve", "deny"])
                self.assertNotIn("default", schema["properties"]["decision"])
                self.answer(client, asked, {"action": "accept", "content": {"decision": "approve"}})
                self.assertNotIn("APPROVAL REQUIRED", self.text(client, call))
                self.assertEqual(set(self.approvers()), {"caller, unverified"})
                again = client.begin(self.tool, **self.arguments)
                self.answer(client, self.question(client, again), {"action": "decline"})
                self.assertIn("A person denied this call", self.text(client, again))
                client.leave()
                self.arguments = self.others

    def test_it_may_be_denied(self):
        self.policy()
        client = self.client("2025-11-25", FORM)
        call = client.begin(self.tool, **self.arguments)
        self.answer(client, self.question(client, call), {"action": "accept", "content": {"decision": "deny"}})
        self.assertIn("A person denied this call", self.text(client, call))
        self.assertEqual([line["decision"] for line in self.audit() if line.get("approver") == "caller, unverified"][-1:], ["deny"])

    def test_an_answer_that_is_none_decides_nothing_and_the_call_waits_for_an_admin(self):
        self.policy()
        client = self.client("2025-11-25", FORM)
        for result, error in (({"action": "cancel"}, None), ({"action": "accept"}, None), ({"action": "accept", "content": {"decision": "yes"}}, None),
                              ({"action": "accept", "content": {"decision": ["approve"]}}, None), ({"action": "accept", "content": "approve"}, None),
                              ({"action": "approve"}, None), ({}, None), ("approve", None), ([], None), (None, None), (7, None),
                              (None, {"code": -32601, "message": "no such thing"})):
            with self.subTest(str(result or error)):
                call = client.begin(self.tool, **self.arguments)
                self.answer(client, self.question(client, call), result, error)
                self.assertIn("[APPROVAL REQUIRED]", self.text(client, call))
        self.assertEqual(self.approvers(), [])

    def test_what_was_not_asked_is_not_answered(self):
        self.policy()
        client = self.client("2025-11-25", FORM)
        approve = {"action": "accept", "content": {"decision": "approve"}}
        for number in (1, 2, "1", 99):
            client.say({"id": number, "result": approve})
        call = client.begin(self.tool, **self.arguments)
        asked = self.question(client, call)
        for number in (asked["id"] + 1, str(asked["id"]), asked["id"] + 100):
            client.say({"id": number, "result": approve})
        self.answer(client, asked, {"action": "cancel"})
        self.answer(client, asked, approve)  # too late
        self.assertIn("[APPROVAL REQUIRED]", self.text(client, call))
        self.assertEqual(self.approvers(), [])

    def test_it_is_not_asked_where_it_cannot_or_must_not_be(self):
        self.policy()
        for version, capabilities in (("2025-11-25", {}), ("2025-11-25", {"elicitation": {"url": {}}}), ("2025-11-25", {"elicitation": None}),
                                      ("2025-03-26", FORM)):
            client = self.client(version, capabilities)
            call = client.begin(self.tool, **self.arguments)
            self.assertIn("[APPROVAL REQUIRED]", self.text(client, call), (version, capabilities))
            client.leave()
        client = self.client("2025-11-25", FORM)
        for tool in (self.destroys, self.other_rule):
            call = client.begin(tool)
            self.assertIn("[APPROVAL REQUIRED]", self.text(client, call), tool)

    def test_an_admin_may_decide_meanwhile_and_the_question_is_taken_back(self):
        self.make_admin()
        self.policy()
        client = self.client("2025-11-25", FORM)
        call = client.begin(self.tool, **self.arguments)
        asked = self.question(client, call)
        [waiting] = json.loads(sluice("approvals", "list", "--json", home=self.home, check=0).stdout)
        self.as_admin("approvals", "approve", waiting["id"])
        withdrawn = client.next(call)
        self.assertEqual((withdrawn["method"], withdrawn["params"]["requestId"]), ("notifications/cancelled", asked["id"]))
        self.assertNotIn("APPROVAL REQUIRED", self.text(client, call))
        self.assertEqual(self.approvers(), ["admin"])
        self.answer(client, asked, {"action": "accept", "content": {"decision": "deny"}})  # nobody waits for it

    def test_an_approval_that_expires_takes_the_question_back(self):
        self.policy(timeout="2s")
        client = self.client("2025-11-25", FORM)
        began = time.monotonic()
        call = client.begin(self.tool, **self.arguments)
        asked = self.question(client, call)
        withdrawn = client.next(call)
        self.assertEqual((withdrawn["method"], withdrawn["params"]["requestId"]), ("notifications/cancelled", asked["id"]))
        self.assertIn("[APPROVAL REQUIRED]", self.text(client, call))
        self.assertLess(time.monotonic() - began, 10 * PATIENCE)

    def test_a_call_that_is_cancelled_takes_its_question_along(self):
        self.policy()
        client = self.client("2025-11-25", FORM)
        call = client.begin(self.tool, **self.arguments)
        asked = self.question(client, call)
        client.say({"method": "notifications/cancelled", "params": {"requestId": call}})
        time.sleep(0.6)
        self.answer(client, asked, {"action": "accept", "content": {"decision": "approve"}})
        again = client.begin(self.tool, **self.arguments)
        while (message := client.next(again)).get("method") == "notifications/cancelled":
            self.assertEqual(message["params"]["requestId"], asked["id"])
        self.assertEqual(message.get("method"), "elicitation/create", "nothing was decided")
        self.assertEqual(self.approvers(), [])

    def test_a_client_that_leaves_decides_nothing(self):
        self.policy()
        client = self.client("2025-11-25", FORM)
        self.question(client, client.begin(self.tool, **self.arguments))
        client.leave()
        other = self.client("2025-11-25", FORM)
        self.question(other, other.begin(self.tool, **self.arguments))
        self.assertEqual(self.approvers(), [])


class OwnToolsOnStdio(Asked, Admin):
    arguments, others = {"limit": 3}, {"limit": 4}

    def client(self, version, capabilities):
        lines = Lines(self.home, self.directory / "policy.json", version, capabilities)
        self.addCleanup(lines.stop)
        return OnLines(lines)


class OwnToolsOverHttp(Asked, Admin):
    arguments, others = {"limit": 3}, {"limit": 4}
    serve = None

    def client(self, version, capabilities):
        if not self.serve:
            self.serve = Serve("--no-proxy", "--policy", self.directory / "policy.json", home=self.home, directory=self.directory)
            self.addCleanup(self.serve.stop)
        self.port, self.token = int(self.serve.mcp_url.rsplit(":", 1)[1].split("/")[0]), self.serve.token
        client = Client(self, version=version)
        client.initialize(**capabilities)
        over = OverHttp(client)
        self.addCleanup(over.close)
        return over


class AnotherServers(Asked, Admin):
    """Its tools have classes by the policy alone."""
    tool, other_rule, destroys = "echo", "write_file", "delete_file"
    classes = {"risk": {"echo": "write", "write_file": "write", "delete_file": "destructive"}}
    arguments, others = {"text": "a"}, {"text": "b"}


class AnotherServersOnStdio(AnotherServers):
    def client(self, version, capabilities):
        lines = Gateway(self.home, self.directory / "policy.json", initialize=False)
        self.addCleanup(lines.stop)
        greet(lines, version, capabilities)
        return OnLines(lines)


class AnotherServersOverHttp(AnotherServers):
    gateway = None

    def client(self, version, capabilities):
        if not self.gateway:
            self.gateway = HttpGateway(self.home, self.directory / "policy.json", command=FAKE)
            self.addCleanup(self.gateway.stop)
        client = Client(self.gateway, version=version)
        client.initialize(**capabilities)
        over = OverHttp(client)
        self.addCleanup(over.close)
        return over


del AnotherServers  # no setting by itself

if __name__ == "__main__":
    unittest.main()
