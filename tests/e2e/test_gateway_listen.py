"""`sluice gateway --listen`: clients over HTTP of both eras in front of a program and of a server over HTTP, through the real
program: sessions, grants, streams, disconnections, and clients that try what they should not (docs/gateway.md; gate.md 2, 9, 10)."""
import http.client
import json
import os
import re
import signal
import socket
import threading
import time

from harness import ROOT, SLUICE, clean_environment, poll, run, sluice  # first: it says where the fakes are
from fakes.http_mcp_server import MARKED, HttpMcpServer
from gateway_http_client import Client, HttpGateway
from test_gateway import ALLOW, DENIED, GatewayCase, deny


class ListenCase(GatewayCase):
    def listen(self, *flags, document=ALLOW, **kwargs):
        gateway = HttpGateway(self.home, self.write(document), *flags, **kwargs)
        self.addCleanup(gateway.stop)
        return gateway

    def grant(self, name, document, server="upstream"):
        admin = self.directory / "admin"
        if not admin.exists():
            admin.write_text(sluice("grant", "admin", home=self.home, check=0).stdout)
            admin.chmod(0o600)
        path = self.write(document, self.directory / f"{name}.json")
        made = sluice("grant", "create", name, "--policy", path, "--server", server, "--json", "--admin-token-file", admin,
                      home=self.home, check=0)
        return json.loads(made.stdout)["token"]

    def revoke(self, name):
        sluice("grant", "revoke", name, "--admin-token-file", self.directory / "admin", home=self.home, check=0)

    def client(self, gateway, initialize=True, **kwargs):
        client = Client(gateway, **kwargs)
        if initialize:
            client.initialize(sampling={}, elicitation={}, roots={})
        return client

    def wait_until_gone(self, pids):
        poll(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 20, "the end of its programs")


class Sessions(ListenCase):
    def test_each_has_a_program_of_its_own_that_ends_with_it(self):
        gateway = self.listen()
        one, two = self.client(gateway), self.client(gateway)
        self.assertNotEqual(one.session, two.session)
        self.assertEqual(len(gateway.children()), 2)
        self.assertIn('"x"', one.text("echo", text="x"))
        self.assertIn('"y"', two.text("echo", text="y"))
        before = gateway.children()
        self.assertEqual(one.send("DELETE").status, 200)
        poll(lambda: len(gateway.children()) == 1, 15, "the end of one")
        self.assertEqual(one.begin("ping").status, 404)
        self.assertEqual(two.ask("ping")["result"], {})
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.process.wait(20), 0)
        self.wait_until_gone(before)

    def test_numbers_and_unknown_members_keep_their_spelling(self):
        gateway = self.listen()
        client = self.client(gateway)
        body = ('{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{"a":[1.0,1e2,-0]},'
                '"unknown":2.50}}')
        text = client.send("POST", body).response.read().decode()
        self.assertIn('"spelled":[1.0,1.10,1e2,-0,12345678901234567890123]', text)
        sent = gateway.received_path.read_text()
        self.assertIn('"arguments":{"a":[1.0,1e2,-0]}', sent)
        self.assertIn('"unknown":2.50', sent)

    def test_what_belongs_to_a_call_comes_on_its_stream(self):
        client = self.client(self.listen())
        answer = client.begin("tools/call", {"name": "progress", "_meta": {"progressToken": "mine"}})
        messages = list(answer.messages())
        self.assertEqual([m.get("method", "answer") for m in messages], ["notifications/progress"] * 2 + ["answer"])
        self.assertEqual({m["params"]["progressToken"] for m in messages[:2]}, {"mine"})
        self.assertEqual(len({number for number, _ in client.begin("tools/call", {"name": "echo"}).events()}), 2)

    def test_what_the_server_asks_within_a_call_is_answered_by_another_post(self):
        client = self.client(self.listen())
        answer = client.begin("tools/call", {"name": "ask_sampling"})
        messages = answer.messages()
        asked = next(messages)
        self.assertEqual(asked["method"], "sampling/createMessage")
        self.assertEqual(client.post({"id": asked["id"], "result": {"role": "assistant"}}).status, 202)
        self.assertEqual(next(messages)["result"]["content"][0]["text"], '{"role": "assistant"}')

    def test_what_belongs_to_no_call_comes_on_the_sessions_own_stream(self):
        upstream = HttpMcpServer()
        self.addCleanup(upstream.close)
        gateway = self.listen(upstream=upstream.url)
        client = self.client(gateway)
        stream = client.send("GET", headers={"Accept": "text/event-stream"})
        self.assertEqual(stream.status, 200)
        self.assertTrue(upstream.listening.wait(10))
        upstream.push({"method": "notifications/tools/list_changed"})
        number, data = next(stream.events())
        self.assertEqual(json.loads(data)["method"], "notifications/tools/list_changed")
        stream.close()
        upstream.push({"method": "notifications/resources/list_changed"})
        again = client.send("GET", headers={"Accept": "text/event-stream", "Last-Event-ID": number})
        self.assertEqual(next(again.messages())["method"], "notifications/resources/list_changed")

    def test_a_disconnection_cancels_nothing_and_the_answer_is_kept(self):
        gateway = self.listen()
        client = self.client(gateway)
        answer = client.begin("tools/call", {"name": "ask_elicitation"})
        events = answer.events()
        first, nothing = next(events)
        self.assertEqual(nothing, "")  # an id to come back with
        number, asked = next(events)
        answer.close()
        client.post({"id": json.loads(asked)["id"], "result": {"action": "decline"}})
        again = client.send("GET", headers={"Accept": "text/event-stream", "Last-Event-ID": number})
        self.assertEqual(json.loads(next(again.messages())["result"]["content"][0]["text"]), {"action": "decline"})
        whole = client.send("GET", headers={"Accept": "text/event-stream", "Last-Event-ID": first})
        self.assertEqual(len(list(whole.messages())), 2)
        self.assertNotIn("notifications/cancelled", gateway.received_methods())
        self.assertEqual(client.send("GET", headers={"Accept": "text/event-stream", "Last-Event-ID": "9-9"}).status, 400)

    def test_a_cancellation_reaches_the_program_and_ends_the_stream(self):
        gateway = self.listen()
        client = self.client(gateway)
        answer = client.begin("tools/call", {"name": "wait"}, number="w")
        poll(lambda: "tools/call" in gateway.received_methods(), what="the call at the server")
        client.post({"method": "notifications/cancelled", "params": {"requestId": "w"}})
        self.assertEqual(list(answer.messages()), [])
        poll(lambda: "notifications/cancelled" in gateway.received_methods(), what="the cancellation")

    def test_a_stream_does_not_wait_for_acknowledgements(self):
        gateway = self.listen()
        client = self.client(gateway)
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
        self.addCleanup(connection.close)
        fields = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Session-Id": client.session,
                  "Authorization": f"Bearer {gateway.token}", "MCP-Protocol-Version": "2025-11-25"}
        times = []
        for number in range(40):
            begun = time.monotonic()
            connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call",
                                                           "params": {"name": "write_file"}}), fields)
            connection.getresponse().read()
            times.append(time.monotonic() - begun)
        self.assertLess(sorted(times[20:])[5], 0.03)  # where head and event wait for each other it is 0.04 at least

    def test_A10_an_id_in_flight_is_not_taken_twice(self):
        gateway = self.listen()
        client = self.client(gateway)
        client.begin("tools/call", {"name": "wait"}, number="w")
        second = client.begin("tools/call", {"name": "echo"}, number="w")
        self.assertEqual((second.status, second.json()["error"]["code"]), (400, -32600))

    def test_a_program_that_dies_ends_its_session_alone(self):
        gateway = self.listen(env={"MODE": "dies"})
        one, two = self.client(gateway), self.client(gateway)
        answer = one.ask("tools/call", {"name": "echo"})
        self.assertEqual(answer["error"]["message"], "the server has ended")
        poll(lambda: one.begin("ping").status == 404, 10, "the end of its session")
        self.assertEqual(two.ask("ping")["result"], {})

    def test_a_server_over_http_that_forgets_ends_the_session(self):
        upstream = HttpMcpServer()
        self.addCleanup(upstream.close)
        client = self.client(self.listen(upstream=upstream.url))
        self.assertIn("HTTP 404", client.ask("tools/call", {"name": "lost"})["error"]["message"])
        poll(lambda: client.begin("ping").status == 404, 10, "the end of its session")
        client.session = None
        client.initialize()
        self.assertEqual(client.text("echo"), "{}")

    def test_a_refused_handshake_leaves_nothing_behind(self):
        gateway = self.listen(command=["false"])
        answer = Client(gateway).begin("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        self.assertNotIn("Mcp-Session-Id", answer.headers)
        poll(lambda: not gateway.children(), 10, "no program")

    def test_a_command_that_cannot_be_started_is_said(self):
        gateway = self.listen(command=["/no/such/program"])
        answer = Client(gateway).begin("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        self.assertEqual(answer.status, 503)

    def test_older_revisions(self):
        gateway = self.listen()
        for version in ("2025-03-26", "2025-06-18"):
            with self.subTest(version):
                client = self.client(gateway, version=version)
                events = list(client.begin("tools/call", {"name": "echo"}).events())
                self.assertTrue(all(data for _, data in events))  # they know no events that only say an id


class Modern(ListenCase):
    def test_requests_of_a_grant_share_a_program_and_may_use_the_same_ids(self):
        gateway = self.listen()
        client = Client(gateway)
        discovered = client.modern("server/discover").json()["result"]
        self.assertEqual((discovered["supportedVersions"], discovered["cacheScope"]), (["2026-07-28"], "private"))
        answers = {}

        def call(text):
            answers[text] = client.modern("tools/call", number=7, name="echo", arguments={"text": text}).json()

        threads = [threading.Thread(target=call, args=(str(i),)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for text, answer in answers.items():
            self.assertEqual((answer["id"], answer["result"]["structuredContent"]), (7, {"text": text}))
        self.assertEqual(len(gateway.children()), 1)

    def test_closing_the_stream_is_what_cancels(self):
        for meta in ({}, {"progressToken": 1}):
            with self.subTest(meta):
                gateway = self.listen()
                client = Client(gateway)
                if meta:
                    answer = client.modern("tools/call", name="wait", _meta=meta)
                    poll(lambda: "tools/call" in gateway.received_methods(), what="the call at the server")
                    answer.close()
                else:  # no head has come yet
                    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                        "name": "wait", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                                                  "io.modelcontextprotocol/clientCapabilities": {}}}})
                    peer = socket.create_connection(("127.0.0.1", gateway.port))
                    peer.sendall((f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n"
                                  "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
                                  "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: wait\r\n"
                                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
                    poll(lambda: "tools/call" in gateway.received_methods(), what="the call at the server")
                    peer.close()
                poll(lambda: "notifications/cancelled" in gateway.received_methods(), what="the cancellation")
                gateway.stop()
                gateway.received_path.unlink()

    def test_progress_comes_on_the_stream_of_its_request(self):
        answer = Client(self.listen()).modern("tools/call", name="progress", _meta={"progressToken": "t"})
        self.assertEqual([m.get("method", "answer") for m in answer.messages()], ["notifications/progress"] * 2 + ["answer"])

    def test_errors_have_the_status_that_the_era_gives_them(self):
        client = Client(self.listen())
        self.assertEqual(client.modern("odd/nothing").status, 404)
        self.assertEqual(client.modern("tools/call", name="no_such_tool").status, 200)
        self.assertEqual(client.modern("tools/list", headers={"Mcp-Method": "tools/call"}).status, 400)
        self.assertEqual(client.modern("tools/call", name="echo", headers={"Mcp-Name": "write_file"}).status, 400)
        self.assertEqual(client.send("GET", headers={"Accept": "text/event-stream"}).status, 405)

    def test_what_is_said_of_a_parameter_must_be_what_the_body_says(self):
        tools = self.directory / "tools.json"
        tools.write_text(json.dumps([{"name": "echo", "inputSchema": MARKED}]))
        client = Client(self.listen(env={"TOOLS": tools}))
        client.modern("tools/list")
        good = client.modern("tools/call", name="echo", arguments={"region": "a"}, headers={"Mcp-Param-Region": "a"})
        self.assertEqual(good.status, 200)
        for headers in ({}, {"Mcp-Param-Region": "b"}):
            answer = client.modern("tools/call", name="echo", arguments={"region": "a"}, headers=headers)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, -32020))

    def test_a_server_that_asks_is_told_that_nobody_is_asked(self):
        answer = json.loads(Client(self.listen()).modern_text("ask_sampling"))
        self.assertEqual(answer["code"], -32601)

    def test_who_listens_hears_that_the_policy_shows_other_tools(self):
        client = Client(self.listen())
        client.modern("tools/list").json()
        messages = client.modern("subscriptions/listen", number="mine", notifications={"toolsListChanged": True}).messages()
        self.assertEqual(next(messages)["method"], "notifications/subscriptions/acknowledged")
        self.write(deny(tools={"echo": {}}))
        told = next(messages)
        self.assertEqual((told["method"], told["params"]["_meta"]), (
            "notifications/tools/list_changed", {"io.modelcontextprotocol/subscriptionId": "mine"}))

    def test_over_http_on_both_sides(self):
        upstream = HttpMcpServer()
        self.addCleanup(upstream.close)
        client = Client(self.listen(upstream=upstream.url))
        answer = client.modern("tools/call", name="marked", arguments={"region": "x"}, headers={"Mcp-Param-Region": "x"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(upstream.of("tools/call")[0]["headers"]["Mcp-Param-Region"], "x")


class Grants(ListenCase):
    def test_each_grant_has_its_policy_and_its_server(self):
        token = self.grant("reader", deny(tools={"echo": {}}))
        gateway = self.listen()
        reader, owner = self.client(gateway, token=token), self.client(gateway)
        self.assertEqual([t["name"] for t in reader.ask("tools/list")["result"]["tools"]], ["echo"])
        self.assertEqual(len(owner.ask("tools/list")["result"]["tools"]), 13)
        self.assertTrue(reader.text("write_file").startswith(DENIED))
        self.assertEqual(owner.text("write_file"), "done")
        self.assertTrue(Client(gateway, token=token).modern_text("write_file").startswith(DENIED))
        self.assertEqual(Client(gateway).modern_text("write_file"), "done")
        self.assertEqual(len(gateway.children()), 4)

    def test_A45_a_token_is_needed_and_one_for_another_server_is_none(self):
        other = self.grant("other", ALLOW, server="elsewhere")
        gateway = self.listen()
        answers = set()
        for token in (None, "wrong", other):
            with self.subTest(token):
                answer = Client(gateway, token=token).begin("initialize", {})
                self.assertEqual((answer.status, answer.headers["WWW-Authenticate"]), (401, "Bearer"))
                answers.add(answer.response.read())
        self.assertEqual(len(answers), 1)
        self.assertFalse(gateway.children())
        self.assertNotIn(gateway.token, "".join(gateway.errors))

    def test_A33_a_session_of_one_grant_does_not_exist_for_another(self):
        token = self.grant("reader", ALLOW)
        gateway = self.listen()
        mine = self.client(gateway)
        stolen = Client(gateway, token=token)
        stolen.session = mine.session
        for answer in (stolen.begin("tools/list"), stolen.send("GET", headers={"Accept": "text/event-stream"}),
                       stolen.send("DELETE"), stolen.post({"method": "notifications/initialized"})):
            self.assertEqual(answer.status, 404)
        self.assertEqual(mine.ask("ping")["result"], {})

    def test_a_revoked_grant_loses_its_sessions_streams_and_programs(self):
        token = self.grant("reader", ALLOW)
        gateway = self.listen()
        client = self.client(gateway, token=token)
        stream = client.send("GET", headers={"Accept": "text/event-stream"})
        waiting = Client(gateway, token=token).modern("tools/call", name="wait", _meta={"progressToken": 1})
        self.assertEqual(len(gateway.children()), 2)
        self.revoke("reader")
        self.assertEqual(list(stream.messages()), [])
        for message in waiting.messages():  # the last word, where there was time for one
            self.assertIn("This grant has ended", message["result"]["content"][0]["text"])
        self.assertEqual(client.begin("ping").status, 401)
        poll(lambda: not gateway.children(), 15, "the end of its programs")

    def test_A36_the_clients_token_reaches_no_server(self):
        upstream = HttpMcpServer()
        self.addCleanup(upstream.close)
        gateway = self.listen(upstream=upstream.url, env={"SLUICE_UPSTREAM_TOKEN": "ours"})
        client = self.client(gateway)
        client.send("POST", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}),
                    {"Cookie": "c=1", "X-Forwarded-For": "1.2.3.4", "X-Mine": "1"}).json()
        for request in upstream.requests:
            self.assertEqual(request["headers"]["Authorization"], "Bearer ours")
            self.assertFalse({"Cookie", "X-Forwarded-For", "X-Mine"} & set(request["headers"]))
            self.assertNotIn(gateway.token, json.dumps(request))
            self.assertNotEqual(request["headers"].get("Mcp-Session-Id"), client.session)

    def test_an_edited_policy_and_a_closed_gate_count_from_the_next_call(self):
        gateway = self.listen()
        client = self.client(gateway)
        client.ask("tools/list")
        stream = client.send("GET", headers={"Accept": "text/event-stream"})
        self.write(deny(tools={"echo": {}}))
        self.assertEqual(next(stream.messages())["method"], "notifications/tools/list_changed")
        self.assertTrue(client.text("write_file").startswith(DENIED))
        self.grant("unused", ALLOW)
        close = sluice("gate", "close", "--admin-token-file", self.directory / "admin", home=self.home)
        self.assertEqual(close.returncode, 0, close.stderr)
        self.assertTrue(client.text("echo").startswith(DENIED))


class Doors(ListenCase):
    def test_A34_other_hosts_and_origins_are_refused(self):
        gateway = self.listen()
        client = Client(gateway)
        for headers in ({"Host": "evil.test"}, {"Host": f"evil.test:{gateway.port}"}, {"Origin": "https://evil.test"},
                        {"Origin": "null"}, {"Host": "localhost.evil.test"}):
            with self.subTest(headers):
                self.assertEqual(client.begin("initialize", {}, **headers).status, 403)
        self.assertFalse(gateway.children())
        named = self.listen("--allow-host", "gate.test")
        self.assertEqual(Client(named).modern("server/discover", headers={"Host": "gate.test"}).status, 200)

    def test_without_a_token_only_where_it_is_said_and_on_loopback(self):
        gateway = self.listen("--no-auth")
        self.assertEqual(Client(gateway, token=None).modern_text("write_file"), "done")
        policy = self.write(ALLOW)
        for flags in (("--listen", "0.0.0.0:0", "--no-auth"), ("--listen", "0.0.0.0:0", "--auth", "none"), ("--no-auth",),
                      ("--listen", "nonsense"), ("--listen", "example.com:80"), ("--allow-host", "x")):
            with self.subTest(flags):
                done = run(SLUICE, "gateway", "--home", self.home, "--policy", policy, *flags, "--", "true", stdin=-3,
                           env=clean_environment())
                self.assertEqual(done.returncode, 2, done.stderr)

    def test_other_paths_methods_and_types_are_refused(self):
        gateway = self.listen()
        client = Client(gateway)
        self.assertEqual(client.send("PUT", "{}").status, 405)
        self.assertEqual(client.send("POST", "{}", {"Content-Type": "text/plain"}).status, 415)
        self.assertEqual(client.send("POST", "{}", {"Accept": "application/json"}).status, 406)
        self.assertEqual(client.send("POST", "[]").status, 400)
        self.assertEqual(client.send("POST", "x" * (4 * 1024 * 1024 + 1)).status, 413)
        self.assertFalse(gateway.children())

    def test_there_is_room_for_so_many_programs(self):
        gateway = self.listen(command=["cat"])  # answers nothing, so nobody is idle
        peers = []
        for _ in range(64):
            peer = socket.create_connection(("127.0.0.1", gateway.port))
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
            peer.sendall((f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n"
                          "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
                          f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            peers.append(peer)
        poll(lambda: len(gateway.children()) == 64, 20, "64 programs")
        self.assertEqual(Client(gateway).begin("initialize", {}).status, 503)
        for peer in peers:
            peer.close()  # nobody waits for their handshakes any more
        poll(lambda: not gateway.children(), 20, "the end of the programs")

    def test_a_server_that_does_not_read_is_not_waited_for_in_memory(self):
        gateway = self.listen(command=["sleep", "60"])
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"x": "x" * 3_900_000, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}})
        head = (f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n"
                "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
                "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        for _ in range(3):
            peer = socket.create_connection(("127.0.0.1", gateway.port))
            self.addCleanup(peer.close)
            peer.sendall((head + body).encode())

        def refused():
            peer = socket.create_connection(("127.0.0.1", gateway.port), timeout=1)
            self.addCleanup(peer.close)
            peer.sendall((head + body).encode())
            try:
                return peer.recv(100).startswith(b"HTTP/1.1 503")
            except TimeoutError:
                return False  # taken, and waits

        poll(refused, 15, "the refusal")
        children = gateway.children()
        gateway.process.terminate()
        self.assertEqual(gateway.process.wait(20), 0)
        self.wait_until_gone(children)


class Documented(ListenCase):
    def test_the_page_and_the_help_name_the_same_flags(self):
        page = (ROOT / "docs" / "gateway.md").read_text().split("## Not yet")[0]
        synopsis = page.split("```")[1]
        said = "".join(run(SLUICE, "gateway", *command, "--help").stdout for command in ([], ["import"], ["status"], ["pins"], ["login"], ["logout"]))
        flags = {flag for line in synopsis.splitlines() if " pins " not in line for flag in re.findall(r"--[a-z][a-z-]+", line)}
        self.assertTrue({"--listen", "--upstream", "--policy"} <= flags)
        for flag in flags | set(re.findall(r"`(--[a-z][a-z-]+)", page)):
            self.assertIn(flag, said)
