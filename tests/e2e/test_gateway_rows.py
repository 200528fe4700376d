"""Rows of the table of attacks that are not about one kind of client or server: the same on standard input and output and over HTTP
(docs/security.md)."""
import http.client
import json

from gateway_client import MODERN
from gateway_http_client import Client, HttpGateway
from harness import poll
from test_gateway import ALLOW, GatewayCase

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}


class Clients(GatewayCase):
    def listening(self, document, **kwargs):
        gateway = HttpGateway(self.home, self.write(document), **kwargs)
        self.addCleanup(gateway.stop)
        return gateway

    def test_A1_A46_no_version_that_a_client_names_lets_a_batch_pass(self):
        gateway = self.listening(ALLOW)
        client = Client(gateway)
        client.initialize()
        for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", None):
            for body in ([CALL], [CALL, CALL], []):
                answer = client.send("POST", json.dumps(body), {"MCP-Protocol-Version": version})
                self.assertEqual(answer.status, 400, (version, body))
                answer.close()
        self.assertNotIn("tools/call", gateway.received_methods())

    def test_A46_a_session_keeps_its_version_whatever_a_later_request_says(self):
        policy = {"version": "1", "default": "allow", "hide": ["write_file"]}
        gateway = self.listening(policy)
        client = Client(gateway)
        client.initialize()
        for version in ("2025-03-26", "2025-06-18", "2025-11-25"):
            answer = client.begin("tools/list", {}, **{"MCP_Protocol_Version": version})
            self.assertNotIn("write_file", json.dumps(answer.json()), version)
            answer.close()
            answer = client.begin("tools/call", {"name": "write_file", "arguments": {}}, **{"MCP_Protocol_Version": version})
            self.assertIn("[POLICY DENIED]", json.dumps(answer.json()), version)
            answer.close()

    REMOVED = ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")

    def test_A33_A46_what_the_modern_era_has_removed_is_not_forwarded(self):
        gateway = self.listening(ALLOW)
        client = Client(gateway)
        for method in self.REMOVED:
            answer = client.modern(method, uri="a:b", level="debug")
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (404, -32601), method)
            answer.close()
        self.assertFalse(set(self.REMOVED) & set(gateway.received_methods()))

    def test_A33_A46_nor_on_standard_input_where_a_session_runs(self):
        gateway = self.start(ALLOW)
        gateway.request("tools/list")  # so that the handshake is over
        before = gateway.received_methods()
        for method in self.REMOVED:
            answer = gateway.ask(method, {"uri": "a:b", "level": "debug", "protocolVersion": "2025-03-26", "capabilities": {},
                                          "clientInfo": {"name": "x", "version": "1"}, "_meta": MODERN})
            self.assertEqual(answer["error"]["code"], -32601, method)
        self.assertEqual(gateway.received_methods()[len(before):], [])

    def test_A1_A25_what_is_no_request_is_counted(self):
        gateway = self.listening(ALLOW)
        client = Client(gateway)
        client.initialize()
        for body in ([CALL], {"jsonrpc": "2.0", "method": "tools/call", "params": CALL["params"]}):
            client.send("POST", json.dumps(body)).close()

        def counted():
            lines = [json.loads(line) for path in sorted(self.home.glob("audit/*.jsonl")) for line in path.read_text().splitlines()]
            return sum(line["count"] for line in lines if line["type"] == "denials" and line["rule"] == "(malformed)")
        poll(lambda: counted() == 2, 10, "both in the audit")
        self.assertNotIn("tools/call", gateway.received_methods())

    def test_H2_there_is_no_older_way_in(self):
        gateway = self.listening(ALLOW)
        for path in ("/message", "/messages", "/sse", "/message?sessionId=1"):
            fresh = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
            fresh.request("POST", path, json.dumps(CALL), {"Authorization": f"Bearer {gateway.token}", "Content-Type": "application/json",
                                                           "Accept": "application/json, text/event-stream"})
            self.assertEqual(fresh.getresponse().status, 404, path)
            fresh.close()
        self.assertEqual(gateway.received_methods(), [])


class Servers(GatewayCase):
    HIDE = {"version": "1", "default": "allow", "hide": ["write_file"]}

    def test_A2_H7_a_list_in_an_array_or_under_another_id_is_no_answer(self):
        gateway = self.start(self.HIDE, env={"MODE": "wrapped"})
        names = gateway.names()
        self.assertIn("echo", names)
        self.assertNotIn("write_file", names)
        self.assertFalse([m for m in gateway.seen if "tools" in json.dumps(m)], "nothing else came")
        self.assertIn("[POLICY DENIED]", gateway.text("write_file"))
        listening = HttpGateway(self.home, self.path, env={"MODE": "wrapped"})
        self.addCleanup(listening.stop)
        client = Client(listening)
        client.initialize()
        listed = json.dumps(client.ask("tools/list"))
        self.assertIn("echo", listed)
        self.assertNotIn("write_file", listed)

    def test_H8_what_a_filter_has_no_business_with_stays(self):
        result = self.start(self.HIDE).request("tools/list")
        self.assertEqual((result["_meta"], result["unknown"]), ({"kept": "1"}, 1))
        self.assertEqual({tool["name"]: tool["x-unknown"] for tool in result["tools"]}["echo"], {"kept": [1]})
