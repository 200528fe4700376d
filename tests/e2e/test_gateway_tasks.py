"""Tasks at a server behind the gateway: whose they are, and which rules they obey (gate.md 9; docs/gateway.md)."""
import json

from harness import run, SLUICE
from test_gateway import deny
from test_gateway_listen import ListenCase

MASKED = {"result": {"redact": [{"path": "$..token"}]}}


class Tasks(ListenCase):
    def tasks(self):
        return {"TASKS": str(self.directory / "tasks")}

    def begin(self, client, tool):
        return client.ask("tools/call", {"name": tool, "arguments": {}, "task": {}})["result"]["task"]["taskId"]

    def test_attack_a_task_of_one_grant_does_not_exist_for_another(self):
        gateway = self.listen(env=self.tasks())
        one = self.client(gateway, token=self.grant("ga", {"version": "1", "default": "allow"}))
        other = self.client(gateway, token=self.grant("gb", {"version": "1", "default": "allow", "hide": ["echo"]}))
        task = self.begin(one, "echo")
        own = self.begin(other, "write_file")
        self.assertNotEqual(task, own)
        self.assertEqual([t["taskId"] for t in other.ask("tasks/list", {})["result"]["tasks"]], [own])
        self.assertEqual([t["taskId"] for t in one.ask("tasks/list", {})["result"]["tasks"]], [task])
        before = len(gateway.received())
        for method in ("tasks/get", "tasks/result", "tasks/cancel"):
            self.assertEqual(other.ask(method, {"taskId": task})["error"]["code"], -32602, method)
            self.assertEqual(other.ask(method, {"taskId": "T99"})["error"]["code"], -32602, method)
        self.assertEqual(len(gateway.received()), before, "the server hears nothing of it")
        self.assertIn("content", one.ask("tasks/result", {"taskId": task})["result"])


class OfOneCall(ListenCase):
    def test_a_task_is_as_open_as_the_call_that_made_it_and_obeys_its_rules(self):
        gateway = self.start(deny(tools={"echo": MASKED}), env={"TASKS": str(self.directory / "tasks")})
        made = gateway.request("tools/call", {"name": "echo", "arguments": {}, "task": {"ttl": 60000}})
        task = made["task"]["taskId"]
        self.assertEqual(gateway.request("tasks/get", {"taskId": task})["status"], "completed")
        result = gateway.request("tasks/result", {"taskId": task})
        self.assertEqual(result["structuredContent"], {"token": "[redacted by policy]"})
        self.assertNotIn("sk_live", json.dumps(result))
        self.assertEqual(len(gateway.request("tasks/list")["tasks"]), 1)
        self.denied(gateway, "write_file")
        self.assertIn("[POLICY DENIED]", gateway.request("tools/call", {"name": "write_file", "task": {}})["content"][0]["text"])
        self.assertEqual(gateway.ask("tasks/result", {"taskId": "T7"})["error"]["code"], -32602)
        gateway.end()
        done = run(SLUICE, "audit", "verify", "--home", self.home)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
