"""`sluice gateway --config FILE --listen`: several servers behind one endpoint for clients over HTTP of both eras, for
grants, and with what people decide by (docs/gateway.md "Several servers"; gate.md 2, 5, 9)."""
import json

from harness import SLUICE, free_port, poll, run  # first: it says where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from gateway_client import MODERN, Gateway
from gateway_http_client import Client, HttpGateway
from test_admin_api import Elsewhere, Receiver
from test_gateway import ALLOW, DENIED, deny
from test_gateway_config import ConfigCase
from test_gateway_listen import ListenCase
from test_metrics import values

ASKS = {"sampling": {}, "elicitation": {}, "roots": {}}
META = {**MODERN, "io.modelcontextprotocol/clientCapabilities": ASKS}
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


class SeveralCase(ConfigCase, ListenCase):
    def serve(self, *flags, **servers):
        gateway = HttpGateway(self.home, None, *flags, config=self.config(**servers))
        self.addCleanup(gateway.stop)
        return gateway

    def two(self, *flags, **modes):
        """one and two; `modes`: what is odd about them."""
        return self.serve(*flags, **{name: self.server(name, env={"MODE": modes.get(name, "")}) for name in ("one", "two")})

    def servers_of(self, names):
        return {name.split("__")[0] for name in names}

    def names(self, client):
        return [tool["name"] for tool in client.ask("tools/list")["result"]["tools"]]

    def methods(self, name):
        return [message.get("method") for message in self.received(name)]


class Legacy(SeveralCase):
    def test_programs_and_a_url_are_one_endpoint(self):
        far = HttpMcpServer("")
        self.addCleanup(far.close)
        self.write(ALLOW, self.directory / "web.json")
        gateway = self.serve("--name", "desk", one=self.server("one"), web={"url": far.url, "policy": "web.json"})
        self.assertTrue(any("desk is at http://" in line for line in gateway.errors))
        client = Client(gateway)
        self.assertEqual(client.initialize()["result"]["serverInfo"]["name"], "sluice-gateway")
        self.assertEqual(self.servers_of(self.names(client)), {"one", "web"})
        self.assertEqual(json.loads(client.text("web__echo", text="é")), {"text": "é"})
        self.assertEqual(client.text("one__write_file"), "done")
        self.assertEqual([(line["server"], line["tool"]) for line in self.decisions(gateway)],
                         [("web", "echo"), ("one", "write_file")])

    def decisions(self, gateway):
        lines = []
        for path in sorted(gateway.home.glob("audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return sorted((line for line in lines if line["type"] == "decision"), key=lambda line: line["time"])

    def test_each_session_has_programs_of_its_own(self):
        gateway = self.two()
        one, two = self.client(gateway), self.client(gateway)
        self.assertEqual(len(gateway.children()), 4)
        self.assertEqual(one.send("DELETE").status, 200)
        poll(lambda: len(gateway.children()) == 2, 15, "the end of one's")
        self.assertEqual(two.text("two__write_file"), "done")

    def test_what_belongs_to_a_call_comes_on_its_stream(self):
        gateway = self.two()
        client = self.client(gateway)
        stream = client.begin("tools/call", {"name": "two__progress", "_meta": {"progressToken": "p"}})
        messages = list(stream.messages())
        self.assertEqual([m["params"]["progressToken"] for m in messages if "method" in m], ["p", "p"])
        self.assertIn("result", messages[-1])
        asking = client.begin("tools/call", {"name": "one__ask_sampling"})
        messages = asking.messages()
        asked = next(m for m in messages if m.get("method") == "sampling/createMessage")
        client.post({"id": asked["id"], "result": {"said": "yes"}}).close()
        answer = next(m for m in messages if "result" in m)
        self.assertEqual(json.loads(answer["result"]["content"][0]["text"]), {"said": "yes"})

    def test_a_program_that_dies_takes_only_its_tools_with_it(self):
        gateway = self.two(one="dies")
        client = self.client(gateway)
        stream = client.send("GET", headers={"Accept": "text/event-stream"})
        self.assertIn("one__echo", self.names(client))
        self.assertIn("has ended", client.ask("tools/call", {"name": "one__echo"})["error"]["message"])
        self.assertEqual(next(stream.messages())["method"], "notifications/tools/list_changed")
        self.assertEqual(self.servers_of(self.names(client)), {"two"})
        self.assertEqual(client.text("two__write_file"), "done")

    def test_a_server_that_does_not_read_is_let_go_and_the_others_go_on(self):
        gateway = self.two(one="deaf")
        client = self.client(gateway)
        self.assertEqual(self.servers_of(self.names(client)), {"one", "two"})
        calls = [client.begin("tools/call", {"name": "one__echo", "arguments": {"text": "x" * 3_900_000}}) for _ in range(4)]
        poll(lambda: any("one: does not read what it is sent" in line for line in gateway.errors), 20, "the end of one")
        self.assertEqual(self.servers_of(self.names(client)), {"two"})
        self.assertEqual(client.text("two__write_file"), "done")
        for call in calls:
            call.close()
        poll(lambda: len(gateway.children()) == 1, 20, "its end")


class Modern(SeveralCase):
    def ask(self, client, method, **params):
        return client.modern(method, **params).json()

    def test_discovery_lists_and_calls_of_servers_of_both_eras(self):
        gateway = self.two(one="legacy", two="modern")
        client = Client(gateway)
        found = self.ask(client, "server/discover")["result"]
        self.assertEqual((found["supportedVersions"], found["resultType"]), (["2026-07-28"], "complete"))
        self.assertEqual(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sluice-gateway")
        listed = self.ask(client, "tools/list")["result"]
        self.assertEqual((listed["resultType"], listed["ttlMs"], listed["cacheScope"]), ("complete", 0, "private"))
        self.assertEqual(self.servers_of(tool["name"] for tool in listed["tools"]), {"one", "two"})
        for server in ("one", "two"):
            answer = self.ask(client, "tools/call", name=f"{server}__write_file")
            self.assertEqual(answer["result"]["content"][0]["text"], "done")
        self.assertEqual(len(gateway.children()), 2)

    def test_what_a_server_needs_is_an_input_and_the_retry_brings_it(self):
        gateway = self.two(one="legacy", two="modern")
        client = Client(gateway)
        for server in ("one", "two"):
            asked = self.ask(client, "tools/call", name=f"{server}__ask_sampling", _meta=META)["result"]
            self.assertEqual(asked["resultType"], "input_required", asked)
            key = next(iter(asked["inputRequests"]))
            done = self.ask(client, "tools/call", name=f"{server}__ask_sampling", requestState=asked["requestState"],
                            inputResponses={key: {"role": "assistant"}}, _meta=META)
            self.assertEqual(json.loads(done["result"]["content"][0]["text"]), {"role": "assistant"})

    def test_who_listens_hears_all_servers(self):
        gateway = self.two(one="legacy", two="modern")
        client = Client(gateway)
        stream = client.modern("subscriptions/listen", number="l", notifications={"toolsListChanged": True})
        messages = stream.messages()
        first = next(messages)
        self.assertEqual((first["method"], first["params"]["notifications"]),
                         ("notifications/subscriptions/acknowledged", {"toolsListChanged": True}))
        for server in ("one", "two"):
            self.ask(client, "tools/call", name=f"{server}__touch")
            told = next(messages)
            self.assertEqual((told["method"], told["params"]["_meta"][SUBSCRIPTION]), ("notifications/tools/list_changed", "l"))
        self.write({"version": "1", "default": "allow", "hide": ["echo"]}, self.directory / "one.json")
        self.ask(client, "tools/list")
        stream.close()

    def test_closing_the_stream_cancels_at_its_server_alone(self):
        gateway = self.two()
        waiting = Client(gateway).modern("tools/call", name="two__wait", _meta={"progressToken": 1})
        poll(lambda: "tools/call" in self.methods("two"), what="the call at the server")
        waiting.close()
        poll(lambda: "notifications/cancelled" in self.methods("two"), what="the cancellation")
        self.assertNotIn("notifications/cancelled", self.methods("one"))

    def test_errors_have_their_status_and_clients_may_use_the_same_ids(self):
        gateway = self.two()
        client = Client(gateway)
        self.assertEqual(client.modern("tasks/list").status, 404)
        self.assertEqual(client.modern("tools/call", name="three__x").json()["error"]["code"], -32602)
        first = client.modern("tools/call", number=7, name="one__wait", _meta={"progressToken": 1})
        second = Client(gateway).modern("tools/call", number=7, name="one__write_file").json()
        self.assertEqual((second["id"], second["result"]["content"][0]["text"]), (7, "done"))
        first.close()

    def test_a_server_that_ended_comes_back_with_a_new_set(self):
        gateway = self.two(one="dies")
        client = Client(gateway)
        self.assertIn("has ended", self.ask(client, "tools/call", name="one__echo")["error"]["message"])
        self.assertEqual(self.ask(client, "tools/call", name="two__write_file")["result"]["content"][0]["text"], "done")
        poll(lambda: self.servers_of(t["name"] for t in self.ask(client, "tools/list")["result"]["tools"]) == {"one", "two"}, 20,
             "its coming back, where nobody waits for anything")

    def test_on_standard_input_and_output(self):
        gateway = self.open_modern(one=self.server("one", env={"MODE": "legacy"}), two=self.server("two", env={"MODE": "modern"}))
        ask = lambda method, **params: gateway.ask(method, {**params, "_meta": META})
        self.assertEqual(ask("server/discover")["result"]["supportedVersions"], ["2026-07-28"])
        self.assertEqual(self.servers_of(t["name"] for t in ask("tools/list")["result"]["tools"]), {"one", "two"})
        for server in ("one", "two"):
            self.assertEqual(ask("tools/call", name=f"{server}__write_file")["result"]["content"][0]["text"], "done")
        number = gateway.begin("subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": META})
        gateway.next(lambda m: m.get("method") == "notifications/subscriptions/acknowledged")
        ask("tools/call", name="two__touch")
        told = [m for m in gateway.seen if m.get("method") == "notifications/tools/list_changed"]
        self.assertEqual(told[0]["params"]["_meta"][SUBSCRIPTION], number)
        self.assertEqual(gateway.ask("initialize", {"protocolVersion": "2025-11-25"})["error"]["code"], -32600)
        self.assertEqual(gateway.end(), 0)

    def open_modern(self, *flags, **servers):
        gateway = Gateway(self.home, None, *flags, config=self.config(**servers), initialize=False)
        self.addCleanup(gateway.stop)
        return gateway


class Grants(SeveralCase):
    def test_a_grant_of_one_server_sees_that_one_alone(self):
        token = self.grant("reader", deny(tools={"echo": {}}), server="two")
        gateway = self.two()
        reader = self.client(gateway, token=token)
        self.assertEqual(self.names(reader), ["two__echo"])
        self.assertTrue(reader.text("two__write_file").startswith(DENIED))
        self.assertEqual(reader.ask("tools/call", {"name": "one__echo"})["error"]["code"], -32602)
        self.assertEqual(len(gateway.children()), 1)
        modern = Client(gateway, token=token)
        self.assertEqual([t["name"] for t in modern.modern("tools/list").json()["result"]["tools"]], ["two__echo"])

    def test_a_grant_of_the_endpoint_has_one_policy_for_all(self):
        limits = {"limits": [{"counter": "n", "window": "day", "max": 2}]}
        document = deny(tools={"one__echo": {}, "two__*": {}}, hide=["two__delete_file"], all_tools=limits)
        token = self.grant("all", document, server="gateway")
        gateway = self.two()
        client = self.client(gateway, token=token)
        names = self.names(client)
        self.assertEqual([n for n in names if n.startswith("one__")], ["one__echo"])
        self.assertNotIn("two__delete_file", names)
        self.assertIn("hidden", client.text("two__delete_file"))
        self.assertIn('"x"', client.text("one__echo", text="x"))
        self.assertEqual(client.text("two__write_file"), "done")
        self.assertTrue(client.text("one__echo").startswith(DENIED), "one count for all servers")
        self.assertEqual(self.client(gateway).text("one__write_file"), "done", "the token's own grant")

    def test_what_is_wrong_with_a_grants_policy_is_said_once(self):
        self.grant("all", deny(tools={"one__echo": {}}), server="gateway")
        gateway = self.two()
        client = self.client(gateway)
        (self.directory / "all.json").write_text("{")
        poll(lambda: any("all.json changed and is not taken" in line for line in gateway.errors), 10, "the word on it")
        self.assertEqual(client.text("two__write_file"), "done")
        self.assertEqual(len([line for line in gateway.errors if "all.json changed" in line]), 1)

    def test_A45_a_token_for_another_server_is_none(self):
        other = self.grant("other", ALLOW, server="elsewhere")
        gateway = self.two()
        for token in (None, "wrong", other):
            self.assertEqual(Client(gateway, token=token).begin("initialize", {}).status, 401)
        self.assertFalse(gateway.children())

    def test_who_is_denied_too_often_at_one_server_still_has_the_others(self):
        impatient = self.server("one", deny(tools={"echo": {}}, max_denials={"window": "day", "max": 2}))
        gateway = self.serve(one=impatient, two=self.server("two"))
        client = self.client(gateway)
        for _ in range(3):
            self.assertTrue(client.text("one__write_file").startswith(DENIED))
        self.assertIn("too many calls were denied", client.text("one__echo"))
        self.assertEqual(client.text("two__write_file"), "done")

    def test_what_runs_at_once_is_counted_over_all_servers_where_one_policy_is_for_all(self):
        busy = deny(tools={"*": {}}, max_in_flight=1)
        together, alone = self.grant("all", busy, server="gateway"), self.grant("alone", busy, server="two")
        gateway = self.serve(one=self.server("one", busy), two=self.server("two", busy))
        client = self.client(gateway, token=together)
        waiting = client.begin("tools/call", {"name": "one__wait"}, number="w")
        poll(lambda: "tools/call" in self.methods("one"), 20, "the call at the server")
        self.assertIn("calls of this grant run already", client.text("two__echo"))
        self.assertIn('"x"', self.client(gateway, token=alone).text("two__echo", text="x"), "another grant's own")
        client.post({"method": "notifications/cancelled", "params": {"requestId": "w"}}).close()
        poll(lambda: "notifications/cancelled" in self.methods("one"), 20, "the cancellation")
        self.assertIn('"x"', client.text("two__echo", text="x"))
        waiting.close()
        default = self.client(gateway)
        default.begin("tools/call", {"name": "one__wait"}, number="w")
        poll(lambda: self.methods("one").count("tools/call") == 2, 20, "the call at the server")
        self.assertIn('"x"', default.text("two__echo", text="x"), "whose servers have a policy each")

    def test_a_revoked_grant_loses_its_programs(self):
        token = self.grant("reader", ALLOW, server="gateway")
        gateway = self.two()
        client = self.client(gateway, token=token)
        self.assertEqual(len(gateway.children()), 2)
        self.revoke("reader")
        poll(lambda: not gateway.children(), 15, "the end of its programs")
        self.assertEqual(client.begin("ping").status, 401)

    def test_a_grant_on_standard_input_and_output(self):
        token = self.grant("reader", deny(tools={"one__echo": {}}), server="gateway")
        servers = {name: self.server(name) for name in ("one", "two")}
        for server in servers.values():
            del server["policy"]
        gateway = Gateway(self.home, None, "--grant", "reader", config=self.config(**servers), env={"SLUICE_GRANT_TOKEN": token})
        self.addCleanup(gateway.stop)
        self.assertEqual(gateway.names(), ["one__echo"])
        self.denied(gateway, "two__echo", 'Tool "two__echo"')
        self.assertEqual([line["server"] for line in gateway.decisions() if line["grant"] == "reader"], ["two"])
        self.revoke("reader")
        self.assertNotEqual(gateway.process.wait(20), 0)
        gateway.wait_for_error("the grant reader has ended")
        self.grant("fresh", ALLOW, server="gateway")
        self.assertIn("needs its token in the environment", self.refused(self.config(**servers), "--grant", "fresh"))


class People(SeveralCase, Elsewhere):
    def test_approvals_and_counts_are_of_all_servers_together(self):
        ask = {"echo": {"require_approval": {}}, "write_file": {}}
        api, metrics, receiver = free_port(), free_port(), Receiver()
        self.addCleanup(receiver.close)
        token = self.grant("bot", deny(tools={"one__echo": ask["echo"], "two__echo": ask["echo"], "two__write_file": {}}), server="gateway")
        self.admin = (self.directory / "admin").read_text().strip()
        gateway = self.two("--admin-api", str(api), "--metrics", str(metrics), "--approval-webhook",
                           f"http://127.0.0.1:{receiver.port}/hook", "--approval-webhook-key", str(self.key()))
        client = self.client(gateway, token=token)
        for count, server in enumerate(("one", "two"), 1):
            asked = client.text(f"{server}__echo", text="x")
            self.assertTrue(asked.startswith("[APPROVAL REQUIRED]"), asked)
            posted = json.loads(receiver.wait(count)[2])
            self.assertEqual((posted["id"], posted["server"], posted["tool"]), (asked.split()[2], server, "echo"))
            self.assertEqual(self.api(api, "POST", f"/approvals/{posted['id']}/approve")[0], 200)
            self.assertIn('"x"', client.text(f"{server}__echo", text="x"))
        self.assertEqual(client.text("two__write_file"), "done")
        self.assertEqual(self.api(api, "GET", "/approvals", credential="wrong")[0], 401)
        found = values(metrics)
        self.assertEqual(found['sluice_decisions_total{caller="agent",decision="allow"}'], 3)
        self.assertEqual(found['sluice_decisions_total{caller="agent",decision="ask"}'], 2)
        self.assertEqual(found['sluice_calls_total{status="ok"}'], 3)
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(20), 0)
        done = run(SLUICE, "audit", "verify", "--home", self.home)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
