"""The gateway between the eras of MCP: clients of 2026-07-28 in front of servers that have only what was before, and the
other way round, through the real program (docs/gateway.md "Between eras"; gate.md 9)."""
import json
import subprocess

from harness import HERE, SLUICE, clean_environment, free_port, poll, run  # first: it says where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from gateway_client import FAKE, MODERN, Gateway
from gateway_http_client import Client, HttpGateway
from test_gateway import ALLOW, DENIED, GatewayCase, deny
from test_gateway_clients import ServerCase, wait_for_port
from test_gateway_listen import ListenCase

ALL = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
META = {**MODERN, "io.modelcontextprotocol/clientCapabilities": ALL}
QUESTIONS = (("ask_sampling", "sampling/createMessage", {"role": "assistant"}),
             ("ask_elicitation", "elicitation/create", {"action": "decline"}), ("ask_roots", "roots/list", {"roots": []}))


class ModernClientOfALegacyServer(GatewayCase):
    def open(self, document=ALLOW, *flags, **kwargs):
        return self.start(document, *flags, initialize=False, env={"MODE": "legacy"}, **kwargs)

    def ask(self, gateway, method, meta=None, **params):
        return gateway.ask(method, {**params, "_meta": {**META, **(meta or {})}})

    def tool(self, gateway, name, meta=None, **params):
        return self.ask(gateway, "tools/call", meta, name=name, **params)

    def test_discovery_lists_and_calls(self):
        gateway = self.open()
        discovered = self.ask(gateway, "server/discover")["result"]
        self.assertEqual((discovered["supportedVersions"], discovered["resultType"]), (["2026-07-28"], "complete"))
        self.assertEqual(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "fake")
        listed = self.ask(gateway, "tools/list")["result"]
        self.assertEqual((listed["resultType"], listed["ttlMs"], listed["cacheScope"]), ("complete", 0, "private"))
        self.assertNotIn("only_as_task", [tool["name"] for tool in listed["tools"]])
        answer = self.tool(gateway, "echo", arguments={"text": "x"})
        self.assertEqual((answer["result"]["structuredContent"], answer["result"]["resultType"]), ({"text": "x"}, "complete"))
        self.assertIn('"spelled":[1.0,1.10,1e2,-0,12345678901234567890123]', answer["@line"])
        opened = [json.loads(line) for line in gateway.received() if '"initialize"' in line]
        self.assertEqual([one["params"]["capabilities"] for one in opened], [ALL])

    def test_a_client_that_begins_with_a_call_has_the_session_opened_first(self):
        gateway = self.open()
        self.assertEqual(self.tool(gateway, "write_file")["result"]["content"][0]["text"], "done")
        self.assertEqual(gateway.received_methods(),
                         ["server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call"])

    def test_what_the_server_asks_within_a_call_is_an_input_and_the_retry_brings_the_answer(self):
        gateway = self.open()
        for tool, method, answer in QUESTIONS:
            with self.subTest(method):
                asked = self.tool(gateway, tool)["result"]
                self.assertEqual(asked["resultType"], "input_required")
                self.assertEqual(asked["inputRequests"]["input1"]["method"], method)
                done = self.tool(gateway, tool, requestState=asked["requestState"], inputResponses={"input1": answer})
                self.assertEqual(json.loads(done["result"]["content"][0]["text"]), answer)
                self.assertEqual(done["result"]["resultType"], "complete")
        self.assertEqual(gateway.received_methods().count("tools/call"), 3)

    def test_a_client_that_cannot_be_asked_is_not_asked(self):
        gateway = self.open()
        answer = self.tool(gateway, "ask_sampling", meta=MODERN)
        self.assertEqual(json.loads(answer["result"]["content"][0]["text"])["code"], -32601)

    def test_what_the_policy_closes_is_not_asked(self):
        gateway = self.open({**ALLOW, "methods": {"sampling/createMessage": "deny"}})
        answer = self.tool(gateway, "ask_sampling")
        self.assertEqual(json.loads(answer["result"]["content"][0]["text"])["code"], -32601)

    def test_a_retry_is_judged_like_any_call(self):
        limit = {"limits": [{"counter": "asks", "window": "day", "max": 2, "scope": "grant"}]}
        gateway = self.open(deny(methods={"elicitation/create": "allow"}, tools={"ask_elicitation": limit}))
        asked = self.tool(gateway, "ask_elicitation")["result"]
        self.tool(gateway, "ask_elicitation", requestState=asked["requestState"], inputResponses={"input1": {"action": "cancel"}})
        self.assertTrue(self.tool(gateway, "ask_elicitation")["result"]["content"][0]["text"].startswith(DENIED))

    def test_attack_a_state_counts_once_and_for_its_own_request_alone(self):
        gateway = self.open()
        asked = self.tool(gateway, "ask_elicitation", arguments={"text": "a"})["result"]
        retry = {"requestState": asked["requestState"], "inputResponses": {"input1": {"action": "accept"}}}
        self.assertEqual(self.tool(gateway, "ask_elicitation", arguments={"text": "b"}, **retry)["error"]["code"], -32602)
        self.assertEqual(self.tool(gateway, "ask_sampling", arguments={"text": "a"}, **retry)["error"]["code"], -32602)
        self.assertIn("result", self.tool(gateway, "ask_elicitation", arguments={"text": "a"}, **retry))
        self.assertEqual(self.tool(gateway, "ask_elicitation", arguments={"text": "a"}, **retry)["error"]["code"], -32602)

    def test_an_address_that_must_be_opened_is_an_input(self):
        gateway = self.open()
        asked = self.tool(gateway, "needs_url")["result"]
        self.assertEqual(asked["resultType"], "input_required")
        self.assertEqual(asked["inputRequests"]["url1"]["params"],
                         {"mode": "url", "url": "https://example.com/open", "message": "Open it."})
        done = self.tool(gateway, "needs_url", inputResponses={"url1": {"action": "accept"}})
        self.assertEqual(done["result"]["content"][0]["text"], "opened")

    def test_errors_and_methods_are_those_of_the_modern_era(self):
        gateway = self.open()
        self.assertEqual(self.ask(gateway, "resources/read", uri="missing:x")["error"]["code"], -32602)
        for method in ("ping", "logging/setLevel", "resources/subscribe", "tasks/list"):
            self.assertEqual(self.ask(gateway, method, uri="a:b")["error"]["code"], -32601, method)

    def test_who_listens_hears_of_changes_and_of_resources(self):
        gateway = self.open()
        number = gateway.begin("subscriptions/listen", {
            "_meta": META, "notifications": {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["a:b"]}})
        first = gateway.next(lambda m: "method" in m)
        self.assertEqual(first["method"], "notifications/subscriptions/acknowledged")
        self.assertEqual(first["params"]["notifications"], {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]})
        self.tool(gateway, "touch")
        heard = [m for m in gateway.seen if "method" in m]
        self.assertEqual([m["method"] for m in heard], ["notifications/tools/list_changed", "notifications/resources/updated"])
        self.assertEqual({m["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for m in heard}, {number})
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        poll(lambda: "resources/unsubscribe" in gateway.received_methods(), what="the end of the subscription")

    def test_log_messages_are_heard_by_requests_that_want_them(self):
        gateway = self.open()
        self.tool(gateway, "log", meta={"io.modelcontextprotocol/logLevel": "error"})
        heard = [m["params"]["data"] for m in gateway.seen if m.get("method") == "notifications/message"]
        self.assertEqual(heard, ["at error"])
        gateway.seen.clear()
        self.tool(gateway, "log")
        self.assertFalse(gateway.seen)

    def test_progress_and_cancellation(self):
        gateway = self.open()
        self.tool(gateway, "progress", meta={"progressToken": "mine"})
        tokens = [m["params"]["progressToken"] for m in gateway.seen if m.get("method") == "notifications/progress"]
        self.assertEqual(tokens, ["mine", "mine"])
        number = gateway.begin("tools/call", {"name": "wait", "_meta": META})
        poll(lambda: any('"wait"' in line for line in gateway.received()), what="the call at the server")
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        poll(lambda: "notifications/cancelled" in gateway.received_methods(), what="the cancellation at the server")
        call = json.loads([line for line in gateway.received() if '"wait"' in line][0])
        self.assertEqual(json.loads(gateway.received()[-1])["params"]["requestId"], call["id"])

    def test_it_can_be_left_to_the_client(self):
        gateway = self.open(ALLOW, "--no-bridge")
        self.assertEqual(self.ask(gateway, "server/discover")["error"]["code"], -32601)

    def test_a_server_over_http(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        gateway = self.start(ALLOW, initialize=False, upstream=server.url)
        self.assertEqual(self.tool(gateway, "echo", arguments={"text": "é"})["result"]["resultType"], "complete")
        self.assertEqual(server.of("tools/call")[0]["headers"]["Mcp-Session-Id"], "session-1")
        self.assertNotIn("Mcp-Method", server.of("tools/call")[0]["headers"])
        asked = self.tool(gateway, "asks")["result"]
        done = self.tool(gateway, "asks", requestState=asked["requestState"], inputResponses={"input1": {"role": "assistant"}})
        self.assertEqual(json.loads(done["result"]["content"][0]["text"]), {"role": "assistant"})
        self.assertIn("has ended the session", self.tool(gateway, "lost")["error"]["message"])
        self.assertEqual(self.tool(gateway, "echo")["result"]["resultType"], "complete")  # in a session that is opened anew


class ModernClientsOverHttp(ListenCase):
    def asked(self, client, number=1):
        answer = client.modern("tools/call", number=number, name="ask_elicitation", _meta=META).json()["result"]
        self.assertEqual(answer["resultType"], "input_required")
        return answer["requestState"]

    def retry(self, client, state):
        return client.modern("tools/call", number=9, name="ask_elicitation", _meta=META, requestState=state,
                             inputResponses={"input1": {"action": "decline"}}).json()

    def test_a_grant_has_one_program_and_what_it_asks_is_an_input(self):
        gateway = self.listen(env={"MODE": "legacy"})
        client = Client(gateway)
        done = self.retry(client, self.asked(client))
        self.assertEqual(json.loads(done["result"]["content"][0]["text"]), {"action": "decline"})
        self.assertEqual(len(gateway.children()), 1)

    def test_attack_a_state_of_one_grant_is_nothing_to_another(self):
        gateway = self.listen(env={"MODE": "legacy"})
        mine = Client(gateway, token=self.grant("mine", ALLOW))
        other = Client(gateway, token=self.grant("other", ALLOW))
        state = self.asked(mine)
        self.asked(other)
        self.assertEqual(self.retry(other, state)["error"]["code"], -32602)
        self.assertEqual(len(gateway.children()), 2)
        self.assertIn("result", self.retry(mine, state))  # and is as good as before where it belongs

    def test_who_listens_hears_of_changes(self):
        gateway = self.listen(env={"MODE": "legacy"})
        client = Client(gateway)
        stream = client.modern("subscriptions/listen", number="l", notifications={"toolsListChanged": True})
        messages = stream.messages()
        self.assertEqual(next(messages)["method"], "notifications/subscriptions/acknowledged")
        client.modern("tools/call", name="touch").json()
        told = next(messages)
        self.assertEqual(told["method"], "notifications/tools/list_changed")
        self.assertEqual(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l")
        stream.close()

    def test_a_server_over_http_that_forgets_its_session(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        client = Client(self.listen(upstream=server.url))
        self.assertEqual(client.modern_text("echo", text="x"), '{"text": "x"}')
        self.assertIn("error", client.modern("tools/call", name="lost").json())
        self.assertEqual(client.modern_text("echo", text="x"), '{"text": "x"}')
        self.assertEqual(len(server.of("initialize")), 2)


class LegacyClientOfAModernServer(GatewayCase):
    def open(self, document=ALLOW, **kwargs):
        return self.start(document, env={"MODE": "modern"}, **kwargs)

    def test_the_handshake_lists_and_calls(self):
        gateway = self.open(capabilities={**ALL, "tasks": {}})
        self.assertEqual(gateway.initialized["protocolVersion"], "2025-11-25")
        self.assertIn("subscribe", gateway.initialized["capabilities"]["resources"])
        self.assertIn("echo", gateway.names())
        answer = gateway.ask("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        self.assertEqual(answer["result"]["structuredContent"], {"text": "x"})
        self.assertIn('"spelled":[1.0,1.10,1e2,-0,12345678901234567890123]', answer["@line"])
        self.assertNotIn("resultType", gateway.request("tools/list"))
        meta = [json.loads(line)["params"]["_meta"] for line in gateway.received() if '"tools/call"' in line][0]
        self.assertEqual(meta["io.modelcontextprotocol/clientCapabilities"], ALL)
        self.assertEqual(meta["io.modelcontextprotocol/clientInfo"], {"name": "test", "version": "1"})

    def test_pings_levels_and_tasks(self):
        gateway = self.open()
        self.assertEqual(gateway.request("ping"), {})
        gateway.request("logging/setLevel", {"level": "error"})
        gateway.call("log")
        self.assertEqual([m["params"]["data"] for m in gateway.seen if m.get("method") == "notifications/message"],
                         ["at debug", "at error"])
        self.assertEqual(gateway.ask("tasks/list")["error"]["code"], -32601)
        self.assertFalse({"ping", "logging/setLevel", "tasks/list"} & set(gateway.received_methods()))

    def test_what_the_server_needs_is_asked_of_the_client(self):
        gateway = self.open()
        for tool, method, answer in QUESTIONS:
            with self.subTest(method):
                number = gateway.begin("tools/call", {"name": tool})
                asked = gateway.next(lambda m: "method" in m and m["method"] == method)
                gateway.send({"id": asked["id"], "result": answer})
                done = gateway.answer_to(number)["result"]
                self.assertEqual(json.loads(done["content"][0]["text"]), answer)
                self.assertNotIn("resultType", done)

    def test_what_the_client_cannot_do_is_an_error(self):
        gateway = self.open(capabilities={})
        self.assertIn("which the client cannot do", gateway.ask("tools/call", {"name": "ask_sampling"})["error"]["message"])

    def test_what_the_policy_closes_is_not_asked(self):
        gateway = self.open({**ALLOW, "methods": {"sampling/createMessage": "deny"}})
        self.assertIn("error", gateway.ask("tools/call", {"name": "ask_sampling"}))
        self.assertFalse([m for m in gateway.seen if "method" in m])

    def test_attack_a_server_that_always_needs_more_is_given_up(self):
        gateway = self.open()
        self.assertEqual(gateway.ask("tools/call", {"name": "demanding"})["error"]["code"], -32603)
        self.assertEqual(gateway.received_methods().count("tools/call"), 17)

    def test_content_that_is_no_object_is_wrapped_and_so_is_its_schema(self):
        gateway = self.open()
        tool = [tool for tool in gateway.request("tools/list")["tools"] if tool["name"] == "numbers"][0]
        self.assertEqual(tool["outputSchema"], {"type": "object", "required": ["result"], "properties": {
            "result": {"type": "array", "items": {"type": "integer"}}}})
        self.assertEqual(gateway.call("numbers")["structuredContent"], {"result": [1, 2]})

    def test_changes_and_subscriptions_are_heard(self):
        gateway = self.open()
        poll(lambda: "subscriptions/listen" in gateway.received_methods(), what="the gateway listening")
        self.assertEqual(gateway.request("resources/subscribe", {"uri": "a:b"}), {})
        gateway.call("touch")
        heard = [m for m in gateway.seen if "method" in m]
        self.assertEqual({m["method"] for m in heard}, {"notifications/tools/list_changed", "notifications/resources/updated"})
        self.assertNotIn("subscriptionId", json.dumps(heard))
        self.assertEqual(gateway.request("resources/unsubscribe", {"uri": "a:b"}), {})
        gateway.seen.clear()
        gateway.call("touch")
        self.assertNotIn("notifications/resources/updated", [m.get("method") for m in gateway.seen])

    def test_progress_and_cancellation(self):
        gateway = self.open()
        gateway.request("tools/call", {"name": "progress", "_meta": {"progressToken": "mine"}})
        self.assertEqual([m["params"]["progressToken"] for m in gateway.seen if m.get("method") == "notifications/progress"],
                         ["mine", "mine"])
        number = gateway.begin("tools/call", {"name": "wait"})
        poll(lambda: any('"wait"' in line for line in gateway.received()), what="the call at the server")
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        poll(lambda: "notifications/cancelled" in gateway.received_methods(), what="the cancellation at the server")

    def test_a_server_over_http(self):
        server = HttpMcpServer("modern")
        self.addCleanup(server.close)
        gateway = self.start(ALLOW, upstream=server.url)
        self.assertEqual(gateway.text("echo", text="é"), json.dumps({"text": "é"}))
        self.assertEqual(server.of("tools/call")[0]["headers"]["Mcp-Name"], "echo")
        number = gateway.begin("tools/call", {"name": "asks"})
        asked = gateway.next(lambda m: "method" in m)
        gateway.send({"id": asked["id"], "result": {"role": "assistant"}})
        self.assertEqual(json.loads(gateway.answer_to(number)["result"]["content"][0]["text"]), {"role": "assistant"})
        self.assertTrue(server.listening.wait(10))
        server.push({"method": "notifications/tools/list_changed"})
        self.assertEqual(gateway.next(lambda m: "method" in m)["method"], "notifications/tools/list_changed")

    def test_several_servers_of_which_one_is_modern(self):
        config = self.directory / "servers.json"
        fake = {"command": "python3", "args": [str(HERE.parent / "fakes" / "mcp_server.py")]}
        config.write_text(json.dumps({"mcpServers": {"new": {**fake, "env": {"MODE": "modern"}}, "old": fake}}))
        config.chmod(0o600)
        gateway = Gateway(self.home, self.write(ALLOW), config=config)
        self.addCleanup(gateway.stop)
        self.assertTrue({"new__numbers", "old__echo"} <= set(gateway.names()))
        self.assertEqual(gateway.call("new__numbers")["structuredContent"], {"result": [1, 2]})


class LegacyClientsOverHttp(ListenCase):
    def test_each_session_asks_its_own_client(self):
        gateway = self.listen(env={"MODE": "modern"})
        client = self.client(gateway)
        answer = client.begin("tools/call", {"name": "ask_elicitation"})
        messages = answer.messages()
        asked = next(messages)
        self.assertEqual(asked["method"], "elicitation/create")
        client.post({"id": asked["id"], "result": {"action": "decline"}}).close()
        self.assertEqual(json.loads(next(messages)["result"]["content"][0]["text"]), {"action": "decline"})
        self.assertEqual(client.ask("tools/call", {"name": "numbers"})["result"]["structuredContent"], {"result": [1, 2]})


class RealClients(ServerCase):
    """The official client, held to 2026-07-28, in front of the official servers of 2025-11-25: its calls come to the same."""

    def seen(self, mode, *command, **environment):
        done = run(self.node, HERE / "clients" / "gateway.mjs", "2", mode, *command, seconds=90,
                   env=clean_environment(**environment))
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def same(self, through):
        directly = self.seen("legacy", *self.server("everything", "stdio"))
        for part in ("resources", "templates", "prompts", "read", "prompt", "completed", "many", "cancelled", "after"):
            with self.subTest(part):
                self.assertEqual(json.dumps(self.plain(through[part])), json.dumps(directly[part]))
        for name, result in directly["calls"].items():
            with self.subTest(name):
                self.assertEqual(json.dumps(self.plain(through["calls"][name])), json.dumps(result))
        self.assertIn("say it", json.dumps(through["calls"]["sampling"]))
        self.assertIn("Ada", json.dumps(through["calls"]["elicitation"]))
        tools = [tool["name"] for tool in directly["tools"]]
        self.assertEqual([tool["name"] for tool in through["tools"] if tool["name"] in tools],
                         [name for name in tools if name in {tool["name"] for tool in through["tools"]}])

    def plain(self, value):
        """Without what every result of that era says."""
        if not isinstance(value, dict):
            return value
        return {name: one for name, one in value.items() if name not in ("resultType", "ttlMs", "cacheScope")}

    def gateway(self):
        return [SLUICE, "gateway", "--home", self.home, "--policy", self.write(ALLOW), "--",
                *self.server("everything", "stdio")]

    def test_on_standard_input_and_output(self):
        self.same(self.seen("modern", *self.gateway()))

    def test_one_that_has_both_eras_stays_in_the_modern_one(self):
        self.same(self.seen("auto", *self.gateway()))

    def test_over_http_in_front_of_a_server_over_http(self):
        port = free_port()
        server = subprocess.Popen([str(a) for a in self.server("everything", "streamableHttp")], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=clean_environment(PORT=port))
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for_port(port)
        gateway = HttpGateway(self.home, self.write(ALLOW), upstream=f"http://127.0.0.1:{port}/mcp")
        self.addCleanup(gateway.stop)
        self.same(self.seen("modern", gateway.url, TOKEN=gateway.token))

    def several(self, mode, *flags):
        """The same server as one of two: what is seen of it, without its name before tools and prompts."""
        other = self.write(deny(tools={"echo": {}}), self.directory / "two.json")
        fake = {"command": FAKE[0], "args": FAKE[1:], "env": {"RECEIVED": str(self.directory / "two.received")}}
        one, *arguments = [str(part) for part in self.server("everything", "stdio")]
        config = self.directory / "servers.json"
        config.write_text(json.dumps({"mcpServers": {"two": {**fake, "policy": str(other)},
                                                     "ev": {"command": one, "args": arguments, "policy": str(self.write(ALLOW))}}}))
        config.chmod(0o600)
        if flags:
            gateway = HttpGateway(self.home, None, *flags, config=config)
            self.addCleanup(gateway.stop)
            through = self.seen(mode, gateway.url, TOKEN=gateway.token, PREFIX="ev__")
        else:
            through = self.seen(mode, SLUICE, "gateway", "--home", self.home, "--config", config, PREFIX="ev__")
        self.assertIn("two__echo", [tool["name"] for tool in through["tools"]])
        self.same(json.loads(json.dumps(through).replace("ev__", "")))

    def test_one_of_several_servers(self):
        for mode in ("modern", "legacy"):
            with self.subTest(mode):
                self.several(mode)

    def test_one_of_several_servers_over_http(self):
        for mode in ("modern", "legacy"):
            with self.subTest(mode):
                self.several(mode, "--no-reload")

    def test_one_of_several_servers_that_a_grant_shares(self):
        for mode in ("modern", "legacy"):
            with self.subTest(mode):
                self.several(mode, "--isolation", "grant")
