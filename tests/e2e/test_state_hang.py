"""--state redis://… that is slow, hung or half gone: nobody waits for it but the calls that need it, those are denied in time, and what is
counted stays exact (gate.md 4; policy.md A44). The redis-server is Debian's, stopped with SIGSTOP, or behind a relay that delays."""
import concurrent.futures
import contextlib
import http.client
import json
import select
import signal
import socket
import statistics
import threading
import time
import unittest

from gateway_http_client import Client, HttpGateway
from harness import PATIENCE, free_port, poll
from test_admin_api import Elsewhere
from test_policy_gate import Gate, deny, limit
from test_state_redis import Counted
from test_state_shared import ECHO, Shared

QUICK, WORST = 0.1 * PATIENCE, 0.45 * PATIENCE  # of half of the calls, of each: Redis is given half a second, and is 0.2 s late elsewhere


class Delay:
    """Between a program and Redis: each piece of an answer comes so many seconds later. `late` may be changed at any time."""

    def __init__(self, port, late):
        self.to, self.late = port, late
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as server:
            while True:
                for one in select.select([client, server], [], [])[0]:
                    try:
                        data = one.recv(65536)
                        if one is server:
                            time.sleep(self.late)
                        (client if one is server else server).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return

    def close(self):
        self.listener.close()


class Hang(Gate):
    redis = Counted.redis

    def stopped(self, redis):
        redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(redis.process.send_signal, signal.SIGCONT)

    def gateway(self, policy, url, home="home"):
        self.write(policy)
        gateway = HttpGateway(self.directory / home, self.path, "--state", url)
        self.addCleanup(gateway.stop)
        return gateway

    def others(self, client, seconds):
        """What lists and calls without a limit took, one behind the other."""
        took, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            for ask in (lambda: client.ask("tools/list"), lambda: client.ask("tools/call", {"name": "write_file", "arguments": {"text": "x"}})):
                began = time.monotonic()
                self.assertFalse(ask()["result"].get("isError"))
                took.append(time.monotonic() - began)
        return took

    def beside_limited_calls(self, clients, seconds=3):
        """What the first client's lists and calls without a limit took, and what all others were told, who call what has one."""
        end = time.monotonic() + seconds

        def hammer(client):
            texts = []
            while time.monotonic() < end:
                texts.append(client.text("echo", text="x"))
            return texts
        with concurrent.futures.ThreadPoolExecutor(len(clients) - 1) as pool:
            limited = [pool.submit(hammer, client) for client in clients[1:]]
            took = self.others(clients[0], seconds)
            return took, [text for one in limited for text in one.result()]

    def nobody_waited(self, took):
        self.assertLess(statistics.median(took), QUICK)
        self.assertLess(max(took), WORST)

    def test_a44_nobody_waits_for_one_that_hangs_but_who_needs_it(self):
        redis = self.redis()
        gateway = self.gateway(deny(echo=limit(1000), write_file={}), redis.url)
        clients = [Client(gateway) for _ in range(5)]
        for client in clients:
            client.initialize()
            client.text("echo", text="x")
        self.stopped(redis)
        took, texts = self.beside_limited_calls(clients)
        self.nobody_waited(took)
        self.assertGreater(len(took), 20)
        self.assertEqual({"the counters cannot be used" in text for text in texts}, {True}, set(texts))
        self.assertGreater(len(texts), 20, "denied at once, all but the first")
        redis.process.send_signal(signal.SIGCONT)
        poll(lambda: "arguments" in clients[1].text("echo", text="x"), 20, "Redis is used again")

    def test_a_slow_one_slows_nobody_else(self):
        redis = self.redis()
        relay = Delay(redis.port, 0)
        self.addCleanup(relay.close)
        gateway = self.gateway(deny(echo=limit(1000), write_file={}), f"redis://127.0.0.1:{relay.port}/3")
        clients = [Client(gateway) for _ in range(3)]
        for client in clients:
            client.initialize()
            client.ask("tools/list")  # where pins count, a list that is new is not used before Redis has answered
        relay.late = 0.2
        took, texts = self.beside_limited_calls(clients)
        self.nobody_waited(took)
        self.assertTrue(any("arguments" in text for text in texts), texts)

    def test_serve_goes_on_too(self):
        redis = self.redis()
        serve = self.start(deny(proxy_status=limit(1000), proxy_list_rules={}), "--state", redis.url)
        serve.call("proxy_status")
        self.stopped(redis)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(self.denied, serve, "proxy_status", "the counters cannot be used")
            took = []
            while not waits.done():
                began = time.monotonic()
                serve.call("proxy_list_rules")
                took.append(time.monotonic() - began)
            waits.result()
        self.nobody_waited(took)

    def test_two_gateways_and_two_hundred_calls_at_once_pass_exactly_the_limit(self):
        redis = self.redis()
        policy = deny(echo=limit(60), write_file={})
        gateways = [self.gateway(policy, redis.url, home) for home in ("one", "two")]
        clients = [Client(gateways[i % 2]) for i in range(40)]
        for client in clients:
            client.initialize()

        def call(number):
            return clients[number % 40].text("echo", text="x")
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            texts = list(pool.map(call, range(200)))
        self.assertEqual(sum("arguments" in text for text in texts), 60, texts[:3])
        self.assertEqual(sum("Rate limit exceeded" in text for text in texts), 140)

    def test_who_leaves_while_it_is_asked_has_taken_nothing(self):
        redis = self.redis()
        relay = Delay(redis.port, 0)
        self.addCleanup(relay.close)
        gateway = self.gateway(deny(echo=limit(2), write_file={}), f"redis://127.0.0.1:{relay.port}/3")
        client = Client(gateway)
        client.modern_text("write_file", text="x")
        relay.late = 0.15
        for _ in range(3):
            fields = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo", "Authorization": f"Bearer {gateway.token}",
                      "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "echo", "arguments": {"text": "x"}, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                                                                      "io.modelcontextprotocol/clientCapabilities": {}}}})
            head = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            with socket.create_connection(("127.0.0.1", gateway.port)) as caller:
                caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                time.sleep(0.1)  # it is on its way to Redis by now, and has no answer yet
            time.sleep(0.7)  # what was taken is given back
        relay.late = 0
        self.assertEqual(gateway.received_methods().count("tools/call"), 1, "none of them ran")
        for _ in range(2):
            self.assertIn("arguments", client.modern_text("echo", text="x"))
        self.assertIn("Rate limit exceeded", client.modern_text("echo", text="x"))

    def test_it_ends_in_time_while_redis_hangs(self):
        redis = self.redis()
        gateway = self.gateway(deny(echo=limit(1000), write_file={}), redis.url)
        client = Client(gateway)
        client.initialize()
        self.stopped(redis)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(lambda: client.begin("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
            time.sleep(0.1)
            began = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(20 * PATIENCE)
            self.assertLess(time.monotonic() - began, 5 * PATIENCE)
            with contextlib.suppress(OSError, http.client.HTTPException):  # the connection has ended
                waits.result()


class HangOfGrants(Shared):
    api = Elsewhere.api

    def test_the_admin_api_decides_there_and_says_when_it_cannot(self):
        redis = self.redis()
        token = self.grant("bot", deny(proxy_list_traffic={"require_approval": {}}))
        port = free_port()
        serve = self.start("--admin-api", port)
        approval = self.asked(serve, token)
        status, rows = self.api(port, "GET", "/approvals")
        self.assertEqual((status, [row["id"] for row in rows]), (200, [approval]))
        self.assertEqual(self.api(port, "POST", f"/approvals/{approval}/approve")[1]["status"], "approved")
        self.assertEqual(self.api(port, "POST", f"/approvals/{approval}/deny")[0], 409)
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic")[1])
        self.assertEqual(self.api(port, "GET", f"/approvals/{approval}")[1]["status"], "used")
        self.assertEqual(self.api(port, "GET", "/approvals", credential="wrong")[0], 401)
        redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(redis.process.send_signal, signal.SIGCONT)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits, worst = pool.submit(self.api, port, "GET", "/approvals"), 0
            while not waits.done():
                began = time.monotonic()
                serve.call("proxy_status")
                worst = max(worst, time.monotonic() - began)
            self.assertEqual(waits.result()[0], 503)
        self.assertLess(worst, WORST)

    def test_a_grant_is_looked_for_without_anybody_else_waiting(self):
        redis = self.redis()
        self.say(ECHO)
        self.make_admin()
        policy = self.write("bot.json", deny(**{"*": {}}))
        token = json.loads(self.as_admin("grant", "create", "bot", "--server", "upstream", "--policy", policy).stdout)["token"]
        gateway = HttpGateway(self.other, policy, *self.state, env={"TOOLS": str(self.tools)})
        self.addCleanup(gateway.stop)
        mine, bots = Client(gateway), Client(gateway, token)
        mine.initialize()
        bots.initialize()
        mine.ask("tools/list")
        redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(redis.process.send_signal, signal.SIGCONT)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            end = time.monotonic() + 2
            answers = [pool.submit(self.knock, gateway, token), pool.submit(self.knock, gateway, "sluice_grant_" + "0" * 43)]
            worst = 0
            while time.monotonic() < end:
                began = time.monotonic()
                self.assertIn("result", mine.ask("tools/list"))
                worst = max(worst, time.monotonic() - began)
            self.assertEqual([answer.result() for answer in answers], [503, 503])
        self.assertLess(worst, WORST)
        redis.process.send_signal(signal.SIGCONT)
        poll(lambda: self.knock(gateway, token) == 200, 20, "Redis is used again")


del Counted, Elsewhere, Gate, Shared  # what they test is theirs

if __name__ == "__main__":
    unittest.main()
