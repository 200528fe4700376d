"""Tasks at a server behind the gateway: whose they are, and which rules they obey (gate.md 9; docs/gateway.md)."""
import json
import sys

from harness import HERE, ROOT, SLUICE, poll, run
from gateway_client import Gateway, MODERN
from test_gateway import ALLOW, deny
from test_gateway_clients import ServerCase
from test_gateway_config import ConfigCase
from test_gateway_listen import ListenCase

SCRIPTED = [sys.executable, str(ROOT / "tests" / "fakes" / "scripted_mcp_server.py")]
RELATED = "io.modelcontextprotocol/related-task"
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


def made(name, **more):
    return {"answer": {"task": {"taskId": name, "status": "working", "ttl": None, **more}}}


class OfALyingServer(ListenCase):
    """What a server says of tasks is true of those that its client has made there, or is not said."""

    def setUp(self):
        super().setUp()
        self.gateway = self.start(ALLOW, command=SCRIPTED)

    def script(self, tool="script", **script):
        return self.gateway.ask("tools/call", {"name": tool, "arguments": script, "task": {}})

    def task(self, name="T1", **more):
        return self.script(**made(name), **more)["result"]["task"]["taskId"]

    def asked(self, method):
        """The params of each of these that the server received."""
        return [m.get("params", {}) for m in map(json.loads, self.gateway.received()) if m.get("method") == method]

    def test_its_ids_are_its_own_and_its_clients_see_others(self):
        task = self.task()
        self.assertNotIn("T1", task)
        state = self.gateway.request("tasks/get", {"taskId": task})
        self.assertEqual(state["taskId"], task)
        self.assertEqual(self.asked("tasks/get"), [{"taskId": "T1"}])
        for name in ("T1", "", task + "x", task.lower(), None, [task], 1):
            self.assertEqual(self.gateway.ask("tasks/get", {"taskId": name})["error"]["code"], -32602, name)
        self.assertEqual(len(self.asked("tasks/get")), 1, "the server hears of none of these")

    def test_attack_an_id_given_again_is_another_tasks(self):
        first = self.task(later={"tasks/result": {"content": [{"type": "text", "text": "of $id"}]}})
        second = self.task()
        self.assertNotEqual(first, second)
        self.assertEqual(self.gateway.ask("tasks/result", {"taskId": first})["error"]["code"], -32602)
        self.assertEqual(self.gateway.request("tasks/result", {"taskId": second})["content"][0]["text"], "of T1")

    def test_attack_a_task_that_nobody_made_is_never_heard_of(self):
        own = self.task()
        told = [{"method": "notifications/tasks/status", "params": {"taskId": name, "status": "completed"}}
                for name in ("T7", "T1", own)]
        related = {"method": "notifications/message",
                   "params": {"level": "info", "data": "d", "_meta": {RELATED: {"taskId": "T7"}, "k": 1}}}
        asks = {"id": "s", "method": "elicitation/create", "params": {"message": "m", "_meta": {RELATED: {"taskId": "T1"}}}}
        self.gateway.seen.clear()
        listed = {"tasks/list": {"tasks": [{"taskId": "T7"}, {"taskId": own}, {"taskId": "T1"}, {}]}}
        self.script(say=[*told, related, asks], later=listed)
        seen = {m["method"]: m["params"] for m in self.gateway.seen}
        self.assertEqual([m["params"]["taskId"] for m in self.gateway.seen if "taskId" in m["params"]], [own])
        self.assertEqual(seen["notifications/message"]["_meta"], {"k": 1})
        self.assertEqual(seen["elicitation/create"]["_meta"], {RELATED: {"taskId": own}})
        self.assertEqual(self.gateway.request("tasks/list"), {"tasks": [{"taskId": own}]})
        self.assertNotIn("T7", "".join(m.get("@line", "") + json.dumps(m) for m in self.gateway.seen))

    def test_attack_an_answer_for_another_task_is_an_error(self):
        task = self.task(later={"tasks/get": {"taskId": "T2", "status": "completed"}, "tasks/cancel": {"taskId": "T2"}})
        for method in ("tasks/get", "tasks/cancel"):
            self.assertEqual(self.gateway.ask(method, {"taskId": task})["error"]["code"], -32603, method)

    def test_attack_an_id_without_an_end_is_an_error_and_nothing_is_kept(self):
        for name in ("x" * (1 << 20), "x" * 1_025, ""):
            answer = self.script(**made(name))
            self.assertIn("error", answer)
            self.assertLess(len(json.dumps(answer)), 500)
        self.assertNotEqual(self.task("x" * 1_024), "x" * 1_024)
        for number in range(300):  # of a thousand octets each: not all of them are kept
            last = self.task(f"{number:03}" + "x" * 1_000)
            first = last if number == 0 else first
        self.assertEqual(self.gateway.ask("tasks/get", {"taskId": first})["error"]["code"], -32602)
        self.assertEqual(self.gateway.request("tasks/get", {"taskId": last})["taskId"], last)

    def test_attack_a_server_names_a_task_of_its_client_that_was_not_made_for_it(self):
        self.gateway.seen.clear()
        self.script(say=[{"id": f"s{n}", "method": method, "params": {"taskId": "C1"}}
                         for n, method in enumerate(("tasks/get", "tasks/result", "tasks/cancel"))])
        self.assertEqual(self.gateway.seen, [])
        refused = lambda: [m["error"]["code"] for m in map(json.loads, self.gateway.received()) if "error" in m]
        poll(lambda: refused() == [-32602] * 3, 10, "three refusals at the server")


class OfTheModernEra(ListenCase):
    def test_a_task_is_known_by_another_id_and_is_listened_for_under_it(self):
        gateway = self.listen(command=SCRIPTED)
        client = self.client(gateway, initialize=False)
        other = self.client(gateway, initialize=False, token=self.grant("ga", ALLOW))
        script = {"answer": {"resultType": "task", "taskId": "T1", "status": "working", "ttlMs": 60000}}
        task = client.modern("tools/call", name="script", arguments=script).json()["result"]["taskId"]
        self.assertEqual(client.modern("tasks/get", taskId=task).json()["result"]["taskId"], task)
        before = len(gateway.received())
        for who, name in ((other, task), (other, "T1"), (client, "T1")):
            self.assertEqual(who.modern("tasks/get", taskId=name).json()["error"]["code"], -32602)
        self.assertEqual(len(gateway.received()), before, "the server hears nothing of it")
        stream = client.modern("subscriptions/listen", number=7, notifications={"taskIds": [task, "T1", "T2"]})
        told = stream.messages()
        self.assertEqual(next(told)["params"]["notifications"], {"taskIds": [task]})
        listening = [m for m in gateway.received() if m.get("method") == "subscriptions/listen"][-1]
        self.assertEqual(listening["params"]["notifications"], {"taskIds": ["T1"]})
        meta = {"io.modelcontextprotocol/subscriptionId": listening["id"]}
        done = {"taskId": "T1", "status": "completed", "result": {"content": [], "_meta": {RELATED: {"taskId": "T1"}}}, "_meta": meta}
        client.modern("tools/call", name="script", arguments={"say": [
            {"method": "notifications/tasks", "params": {**done, "taskId": "T2"}},
            {"method": "notifications/tasks", "params": done}]}).json()
        heard = next(told)["params"]
        self.assertEqual([heard["taskId"], heard["result"]["_meta"][RELATED]["taskId"]], [task, task])
        stream.close()


class OfSeveralServers(ConfigCase):
    def test_equal_ids_of_two_servers_are_two_tasks(self):
        gateway = self.open(one={**self.server("one"), "args": SCRIPTED[1:]}, two={**self.server("two"), "args": SCRIPTED[1:]})
        self.assertEqual(gateway.initialized["capabilities"]["tasks"], {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}})
        tasks = {name: gateway.request("tools/call", {"name": f"{name}__script", "task": {}, "arguments": {
            **made("T1"), "later": {"tasks/result": {"content": [{"type": "text", "text": f"of {name}, $id"}]}}}})["task"]["taskId"]
            for name in ("one", "two")}
        for name, task in tasks.items():
            self.assertEqual(gateway.request("tasks/result", {"taskId": task})["content"][0]["text"], f"of {name}, T1")
        # Neither server may speak of what is at the other.
        gateway.seen.clear()
        gateway.request("tools/call", {"name": "one__script", "arguments": {
            "say": [{"method": "notifications/tasks/status", "params": {"taskId": tasks["two"], "status": "failed"}}],
            "later": {"tasks/list": {"tasks": [{"taskId": "T1"}, {"taskId": tasks["two"]}]}}}})
        self.assertEqual(gateway.seen, [])
        self.assertEqual(gateway.request("tasks/list"), {"tasks": [{"taskId": tasks["one"]}]})
        self.assertEqual(gateway.ask("tasks/get", {"taskId": "T1"})["error"]["code"], -32602)

    def test_they_are_offered_in_the_modern_era_too(self):
        gateway = Gateway(self.home, None, config=self.config(one={**self.server("one"), "args": SCRIPTED[1:]}, two=self.server("two")),
                          initialize=False)
        self.addCleanup(gateway.stop)
        offered = gateway.request("server/discover", {"_meta": MODERN})["capabilities"]
        self.assertEqual(offered["extensions"], {"io.modelcontextprotocol/tasks": {}})
        script = {"answer": {"resultType": "task", "taskId": "T1", "status": "working", "ttlMs": None}}
        task = gateway.request("tools/call", {"name": "one__script", "arguments": script, "_meta": MODERN})["taskId"]
        self.assertNotEqual(task, "T1")
        self.assertEqual(gateway.request("tasks/get", {"taskId": task, "_meta": MODERN})["taskId"], task)


class OfAnOfficialServer(ServerCase):
    def test_an_official_client_sees_the_same_through_the_gateway_but_for_the_id(self):
        server = self.server("everything", "stdio")
        gateway = [SLUICE, "gateway", "--home", self.home, "--policy", self.write(ALLOW), "--", *server]
        seen = []
        for command in (server, gateway):
            done = run(self.node, HERE / "clients" / "tasks.mjs", *command, seconds=60)
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            seen.append(json.loads(done.stdout.strip().splitlines()[-1]))
            self.assertIn("input_required", seen[-1].pop("statuses"))
        directly, through = seen
        self.assertEqual(directly["asked"][0]["_meta"], {RELATED: {"taskId": "task 0"}})
        self.assertEqual(directly["after"], ["task 0", "completed"])
        for part, value in directly.items():
            with self.subTest(part):
                self.assertEqual(through[part], value)
