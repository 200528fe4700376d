"""Rules change under load, and no connection notices (engine.md 6)."""
import http.client
import json
import threading
import time

from harness import E2E  # first: it knows where the fakes are

CLIENTS, CHANGERS, CHANGES = 6, 4, 3_000


class Changer(threading.Thread):
    """Calls tools on one connection that stays."""

    def __init__(self, serve, rule_ids, count):
        super().__init__()
        self.serve, self.rule_ids, self.count, self.failures = serve, rule_ids, count, []

    def run(self):
        host, port = self.serve.mcp_url.split("/")[2].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        for i in range(self.count):
            rule = self.rule_ids[i % len(self.rule_ids)]
            if i % 3 == 0:
                handler = {"type": "passthrough", "transformResponse": {"updateHeaders": {"X-Version": str(i)}}}
                self.call(connection, "proxy_update_rule", rule_id=rule, handler=handler)
            else:
                self.call(connection, "proxy_disable_rule" if i % 3 == 1 else "proxy_enable_rule", rule_id=rule)
        connection.close()

    def call(self, connection, tool, **arguments):
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": tool, "arguments": arguments, "_meta": meta}})
        connection.request("POST", "/mcp", body, {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {self.serve.token}", "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call", "Mcp-Name": tool})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200 or '"isError":true' in text:
            self.failures.append(text)


class Client(threading.Thread):
    """Requests on one connection, one after the other, until told to stop."""

    def __init__(self, socket, name, done):
        super().__init__()
        self.socket, self.path, self.done, self.answers, self.failure = socket, name, done, 0, None

    def run(self):
        try:
            while not self.done.is_set():
                self.socket.send(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                answer = self.socket.read_answer()
                if answer.status != 200 or answer.body != b"hello\n":
                    raise AssertionError(f"{answer.head!r} {answer.body!r}")
                self.answers += 1
        except Exception as failure:  # noqa: BLE001: told to the test
            self.failure = failure


class RulesUnderLoad(E2E):
    def test_thousands_of_changes_lose_and_reset_nothing(self):
        self.origin.routes["/load"] = lambda talk: talk.answer(body=b"hello\n")
        for i in range(50):  # beside which a change is to cost no more
            self.add_rule({"urlPattern": f"^https://other{i}\\.test/[a-z]+/{i}"}, {"type": "mock"})
        rules = [self.add_rule({"urlPattern": f"/load.*{i % 2}?"}, {"type": "passthrough"}, on_match="continue")
                 for i in range(2 * CHANGERS)]
        done = threading.Event()
        clients = [Client(self.client(), f"/load?{i}", done) for i in range(CLIENTS)]
        changers = [Changer(self.serve, rules[2 * i:2 * i + 2], CHANGES // CHANGERS) for i in range(CHANGERS)]
        begun = time.monotonic()
        for thread in clients + changers:
            thread.start()
        for changer in changers:
            changer.join(120)
        took = time.monotonic() - begun
        done.set()
        for client in clients:
            client.join(30)
        self.assertEqual([c.failure for c in clients], [None] * CLIENTS)
        self.assertEqual([f for c in changers for f in c.failures], [])
        requests = [r for r in self.origin.requests if r.path == "/load"]
        self.assertEqual(len(requests), sum(c.answers for c in clients), "each request once")
        self.assertEqual(len({r.connection for r in requests}), CLIENTS, "nobody connected again")
        self.assertGreater(min(c.answers for c in clients), 20)
        print(f"{CHANGES / took:.0f} changes a second beside {len(requests) / took:.0f} requests a second")
