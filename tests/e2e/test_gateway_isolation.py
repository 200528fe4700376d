"""`sluice gateway --listen --isolation …`: who shares a program or a session with whom, and what never passes from one to the other,
through the real program (docs/gateway.md "Who shares a server"; gate.md 9)."""
import json

from harness import poll  # first: it says where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from gateway_http_client import Client
from test_gateway import ALLOW, DENIED, deny
from test_gateway_config_listen import META, SeveralCase

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
STREAM = {"Accept": "text/event-stream"}


class IsolationCase(SeveralCase):
    def both(self, *flags, **kwargs):
        """A gateway, and tokens of two grants."""
        tokens = [self.grant(name, ALLOW) for name in ("one", "two")]
        return self.listen(*flags, **kwargs), *tokens


class Sharing(IsolationCase):
    def test_who_has_a_program_for_himself(self):
        for isolation, legacy, modern in (("session", 3, 2), ("grant", 2, 2), ("shared", 1, 1)):
            with self.subTest(isolation):
                self.setUp()
                gateway, one, two = self.both("--isolation", isolation)
                for token in (one, one, two):
                    self.assertEqual(self.client(gateway, token=token).text("write_file"), "done")
                self.assertEqual(len(gateway.children()), legacy)
                for token in (one, one, two):
                    self.assertEqual(Client(gateway, token=token).modern_text("write_file"), "done")
                self.assertEqual(len(gateway.children()), legacy + modern)
                gateway.stop()

    def test_not_said_it_is_a_session_each_and_a_grant_each(self):
        gateway, one, two = self.both()
        for token in (one, one, two):
            self.client(gateway, token=token)
            Client(gateway, token=token).modern_text("write_file")
        self.assertEqual(len(gateway.children()), 5)

    def test_a_shared_session_is_opened_once_and_ends_with_the_last(self):
        gateway, one, two = self.both("--isolation", "shared")
        first, second = self.client(gateway, token=one), self.client(gateway, token=two)
        self.assertEqual(first.text("write_file") + second.text("write_file"), "donedone")
        self.assertEqual(gateway.received_methods().count("initialize"), 1)
        self.assertEqual(gateway.received_methods().count("notifications/initialized"), 1)
        self.assertEqual(gateway.received()[0]["params"]["clientInfo"]["name"], "sluice-gateway")
        pids = gateway.children()
        first.send("DELETE").close()
        self.assertEqual(second.text("write_file"), "done")
        second.send("DELETE").close()
        self.wait_until_gone(pids)
        self.assertEqual(self.client(gateway, token=one).text("write_file"), "done")

    def test_a_session_at_a_url_is_shared(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        gateway, one, two = self.both("--isolation", "shared", upstream=server.url)
        for token in (one, two):
            self.assertEqual(self.client(gateway, token=token).text("echo"), "{}")
            self.assertEqual(Client(gateway, token=token).modern_text("echo"), "{}")
        self.assertEqual(len(server.of("initialize")), 2, "one of each era")

    def test_several_servers_have_each_their_own(self):
        apart = self.server("apart", isolation="session")
        gateway = self.serve("--isolation", "shared", together=self.server("together"), apart=apart)
        clients = [self.client(gateway) for _ in range(3)]
        for client in clients:
            self.assertEqual(client.text("together__write_file") + client.text("apart__write_file"), "donedone")
        self.assertEqual(len(gateway.children()), 4)
        self.assertIn("mcpServers.one.isolation", self.refused(self.config(one=self.server("one", isolation="all"))))

    def test_each_grant_keeps_its_policy_and_its_name_in_the_audit(self):
        token = self.grant("reader", deny(tools={"echo": {}}))
        gateway = self.listen("--isolation", "shared")
        reader, owner = self.client(gateway, token=token), self.client(gateway)
        self.assertEqual(self.names(reader), ["echo"])
        self.assertTrue(reader.text("write_file").startswith(DENIED))
        self.assertEqual(owner.text("write_file"), "done")
        self.assertEqual(len(gateway.children()), 1)
        lines = [json.loads(line) for path in gateway.home.glob("audit/*.jsonl") for line in path.read_text().splitlines()]
        self.assertEqual({(line["grant"], line["decision"]) for line in lines if line["type"] == "decision" and line["tool"] == "write_file"},
                         {("reader", "deny"), ("default", "allow")})

    def test_a_revoked_grant_leaves_and_the_other_goes_on(self):
        gateway, one, two = self.both("--isolation", "shared")
        first, second = self.client(gateway, token=one), self.client(gateway, token=two)
        waiting = first.begin("tools/call", {"name": "wait"})
        poll(lambda: "tools/call" in gateway.received_methods(), what="the call")
        self.revoke("one")
        poll(lambda: "notifications/cancelled" in gateway.received_methods(), what="its cancellation")
        waiting.close()
        self.assertEqual(second.text("write_file"), "done")
        self.assertEqual(len(gateway.children()), 1)

    def test_a_server_that_forgets_is_lost_to_all_and_opened_by_the_next(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        gateway, one, two = self.both("--isolation", "shared", upstream=server.url)
        first, second = self.client(gateway, token=one), self.client(gateway, token=two)
        self.assertIn("error", first.ask("tools/call", {"name": "lost"}))
        poll(lambda: second.begin("ping").status == 404, what="the end of the other's session")
        self.assertEqual(self.client(gateway, token=two).text("echo"), "{}")
        self.assertEqual(len(server.of("initialize")), 2)


class NeverShared(IsolationCase):
    def setUp(self):
        super().setUp()
        self.gateway, one, two = self.both("--isolation", "shared")
        self.mine, self.other = self.client(self.gateway, token=one), self.client(self.gateway, token=two)
        self.names(self.mine), self.names(self.other)

    def test_progress_and_answers_under_the_same_ids_and_tokens(self):
        streams = [client.begin("tools/call", {"name": name, "_meta": {"progressToken": "p"}}, number=7)
                   for client, name in ((self.other, "wait"), (self.mine, "progress"))]
        messages = list(streams[1].messages())
        self.assertEqual([m["params"]["progress"] for m in messages if "method" in m], [1, 2])
        self.assertEqual(messages[-1]["id"], 7)
        self.other.post({"method": "notifications/cancelled", "params": {"requestId": 7}}).close()
        self.assertEqual(list(streams[0].messages()), [])

    def test_attack_a_cancellation_of_anothers_request(self):
        waiting = self.mine.begin("tools/call", {"name": "wait"}, number=7)
        poll(lambda: "tools/call" in self.gateway.received_methods(), what="the call")
        theirs = self.gateway.received()[-1]["id"]
        for number in (7, theirs):
            self.other.post({"method": "notifications/cancelled", "params": {"requestId": number}}).close()
        self.assertEqual(self.other.text("write_file"), "done")
        self.assertNotIn("notifications/cancelled", self.gateway.received_methods())
        waiting.close()

    def test_questions_that_belong_to_nobody_for_certain_are_asked_of_nobody(self):
        listening = self.other.send("GET", headers=STREAM)
        answer = json.loads(self.mine.text("ask_sampling"))
        self.assertEqual(answer["code"], -32601)
        self.mine.text("change")
        self.assertEqual(next(listening.messages())["method"], "notifications/tools/list_changed", "and nothing before it")

    def test_attack_a_state_of_one_grant_is_nothing_to_another(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        gateway = self.listen("--isolation", "shared", upstream=server.url)
        tokens = [self.grant(name, ALLOW) for name in ("three", "four")]
        mine, other = (Client(gateway, token=token) for token in tokens)
        asked = mine.modern("tools/call", name="asks", _meta=META).json()["result"]
        self.assertEqual(asked["resultType"], "input_required", asked)
        more = {"name": "asks", "requestState": asked["requestState"], "inputResponses": {"input1": {"said": "yes"}}, "_meta": META}
        self.assertEqual(other.modern("tools/call", **more).json()["error"]["code"], -32602)
        self.assertEqual(json.loads(mine.modern("tools/call", **more).json()["result"]["content"][0]["text"]), {"said": "yes"})


class AtAUrl(IsolationCase):
    def test_what_is_asked_on_a_calls_stream_is_asked_of_its_client_alone(self):
        server = HttpMcpServer("legacy")
        self.addCleanup(server.close)
        gateway, one, two = self.both("--isolation", "shared", upstream=server.url)
        mine, other = self.client(gateway, token=one), self.client(gateway, token=two)
        listening = other.send("GET", headers=STREAM)
        stream = mine.begin("tools/call", {"name": "asks"})
        asked = next(m for m in stream.messages() if m.get("method") == "sampling/createMessage")
        other.post({"id": asked["id"], "result": {"stolen": True}}).close()
        mine.post({"id": asked["id"], "result": {"said": "yes"}}).close()
        answer = next(m for m in stream.messages() if "result" in m)
        self.assertEqual(json.loads(answer["result"]["content"][0]["text"]), {"said": "yes"})
        server.push({"method": "notifications/message", "params": {"level": "error", "data": "of nobody"}})
        server.push({"method": "notifications/tools/list_changed"})
        self.assertEqual(next(listening.messages())["method"], "notifications/tools/list_changed", "and nothing before it")

    def test_who_listens_in_the_modern_era_hears_its_own(self):
        server = HttpMcpServer("modern")
        self.addCleanup(server.close)
        gateway, one, two = self.both("--isolation", "shared", upstream=server.url)
        streams = [Client(gateway, token=token).modern("subscriptions/listen", number="l", notifications={"toolsListChanged": wanted})
                   for token, wanted in ((one, True), (two, True))]
        for stream in streams:
            self.assertEqual(next(stream.messages())["params"]["_meta"][SUBSCRIPTION], "l")
        self.assertEqual(len(server.of("subscriptions/listen")), 2)
        for stream in streams:
            stream.close()


class Refused(IsolationCase):
    def test_it_goes_with_listen_and_is_one_of_three(self):
        path = self.config(one=self.server("one"))
        self.assertIn("go with --listen", self.refused(path, "--isolation", "grant"))
        self.assertIn("session", self.refused(path, "--listen", "127.0.0.1:0", "--isolation", "all"))
