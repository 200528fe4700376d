"""`sluice gateway --upstream URL`: servers over HTTP behind the gate, through the real program: Streamable HTTP of both eras,
HTTP+SSE of 2024-11-05, and peers that do what no server should (docs/gateway.md; gate.md 9; MCP "Transports")."""
import json
import signal
import socket
import time

from harness import SLUICE, clean_environment, free_port, poll, run  # first: it says where the fakes are
from fakes.http_mcp_server import MARKED, PLAIN, HttpMcpServer
from fakes.pki import TestAuthority
from gateway_client import MODERN
from test_gateway import ALLOW, GatewayCase, deny


class UpstreamCase(GatewayCase):
    def serve(self, mode="", **kwargs):
        server = HttpMcpServer(mode, **kwargs)
        self.addCleanup(server.close)
        return server

    def open(self, server, *flags, document=ALLOW, **kwargs):
        return self.start(document, *flags, upstream=server if isinstance(server, str) else server.url, **kwargs)

    def error(self, gateway, tool, words, **params):
        answer = gateway.ask("tools/call", {"name": tool, **params})
        self.assertEqual(answer["error"]["code"], -32603, answer)
        self.assertIn(words, answer["error"]["message"])

    def modern(self, gateway, method, **params):
        return gateway.ask(method, {**params, "_meta": MODERN})

    def refuses_to_start(self, *flags, env=None):
        done = run(SLUICE, "gateway", "--home", self.home, "--policy", self.write(ALLOW), *flags, stdin=-3,
                   env=clean_environment(**(env or {})))
        return done.returncode, done.stderr


class Sessions(UpstreamCase):
    def test_the_session_its_version_and_both_kinds_of_answers(self):
        server = self.serve()
        gateway = self.open(server)
        self.assertEqual(gateway.initialized["serverInfo"]["name"], "fake")
        self.assertEqual(gateway.text("echo", text="é"), json.dumps({"text": "é"}))
        self.assertEqual(gateway.text("stream"), "streamed")
        first, *others = server.of("POST")
        self.assertNotIn("Mcp-Session-Id", first["headers"])
        self.assertNotIn("MCP-Protocol-Version", first["headers"])
        for request in others:
            self.assertEqual((request["headers"]["Mcp-Session-Id"], request["headers"]["MCP-Protocol-Version"]),
                             ("session-1", "2025-11-25"))
        for request in server.of("POST"):
            self.assertEqual(request["headers"]["Accept"], "application/json, text/event-stream")
            self.assertEqual(request["headers"]["Content-Type"], "application/json")
            self.assertEqual(request["headers"]["Accept-Encoding"], "identity")
        self.assertEqual(gateway.end(), 0)
        self.assertEqual([r["headers"]["Mcp-Session-Id"] for r in server.of("DELETE")], ["session-1"])

    def test_connections_are_used_again(self):
        server = self.serve("json")
        gateway = self.open(server)
        for _ in range(20):
            gateway.call("echo")
        self.assertLessEqual(len({r["port"] for r in server.requests}), 3)

    def test_numbers_keep_their_spelling(self):
        server = self.serve()
        gateway = self.open(server)
        gateway.raw('{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{"name":"echo","arguments":{"a":[1.0,1e2,-0]}}}')
        gateway.answer_to("q")
        self.assertIn('"arguments":{"a":[1.0,1e2,-0]}', server.of("tools/call")[0]["body"])

    def test_progress_notices_and_what_the_server_asks(self):
        server = self.serve()
        gateway = self.open(server)
        gateway.request("tools/call", {"name": "stream", "_meta": {"progressToken": "mine"}})
        self.assertEqual([m["params"] for m in gateway.seen if m.get("method") == "notifications/progress"],
                         [{"progressToken": "mine", "progress": 1, "message": "é"}])
        number = gateway.begin("tools/call", {"name": "asks"})
        asked = gateway.next(lambda m: m.get("method") == "sampling/createMessage")
        gateway.send({"id": asked["id"], "result": {"role": "assistant"}})
        self.assertEqual(gateway.answer_to(number)["result"]["content"][0]["text"], '{"role": "assistant"}')

    def test_what_the_server_says_of_itself(self):
        server = self.serve()
        gateway = self.open(server)
        self.assertTrue(server.listening.wait(10))
        server.push({"method": "notifications/tools/list_changed"})
        gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
        server.listening.clear()
        server.pushed.put(None)  # the stream ends, and is opened again where it ended
        self.assertTrue(server.listening.wait(10))
        self.assertTrue(server.of("GET")[1]["headers"]["Last-Event-ID"].startswith("get-"))
        server.push({"id": 7, "method": "roots/list"})
        asked = gateway.next(lambda m: m.get("method") == "roots/list")
        gateway.send({"id": asked["id"], "result": {"roots": []}})
        self.assertEqual(server.answers.get(timeout=10), {"jsonrpc": "2.0", "id": 7, "result": {"roots": []}})

    def test_a_list_is_kept_only_while_the_server_can_be_heard(self):
        server = self.serve("json")  # which says that it tells of changes, and has no stream to tell of them
        gateway = self.open(server)
        gateway.names()
        gateway.names()
        self.assertEqual(len(server.of("tools/list")), 2)
        heard = self.serve()
        gateway = self.open(heard)
        self.assertTrue(heard.listening.wait(10))
        time.sleep(0.2)
        gateway.names()
        gateway.names()
        self.assertEqual(len(heard.of("tools/list")), 1)

    def test_a_stream_that_breaks_is_taken_up_where_its_ids_say(self):
        gateway = self.open(self.serve())
        self.assertEqual(gateway.text("resume"), "resumed")

    def test_a_cancellation_is_told_to_the_server(self):
        server = self.serve()
        gateway = self.open(server)
        number = gateway.begin("tools/call", {"name": "wait"})
        self.assertTrue(server.waiting.wait(10))
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": number, "reason": "enough"}})
        poll(lambda: server.of("notifications/cancelled"), what="the cancellation")
        call, cancelled = server.of("tools/call")[0], server.of("notifications/cancelled")[0]
        self.assertEqual(cancelled["message"]["params"], {"requestId": call["message"]["id"], "reason": "enough"})
        self.assertTrue(server.left.wait(15))

    def test_a_session_that_the_server_forgot_can_be_begun_anew(self):
        server = self.serve()
        gateway = self.open(server)
        self.error(gateway, "lost", "has ended this session (HTTP 404): initialize again")
        self.error(gateway, "echo", "initialize again")
        gateway.request("initialize", {"protocolVersion": "2025-06-18", "clientInfo": {"name": "t", "version": "1"},
                                       "capabilities": {}})
        gateway.send({"method": "notifications/initialized"})
        self.assertEqual(gateway.text("echo"), "{}")
        self.assertEqual(server.of("tools/call")[-1]["headers"]["MCP-Protocol-Version"], "2025-06-18")

    def test_a_server_without_sessions(self):
        server = self.serve("nosession")
        gateway = self.open(server)
        self.assertEqual(gateway.text("echo"), "{}")
        self.assertEqual(gateway.end(), 0)
        self.assertFalse(server.of("DELETE"))

    def test_a_signal_ends_the_session(self):
        server = self.serve()
        gateway = self.open(server)
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.process.wait(15), 128 + signal.SIGTERM)
        self.assertTrue(server.of("DELETE"))

    def test_the_policy_decides_as_it_does_for_a_program(self):
        limit = {"limits": [{"counter": "n", "window": "day", "max": 1}]}
        server = self.serve()
        gateway = self.open(server, document=deny(tools={"echo": limit, "unavailable": limit}))
        self.assertEqual(gateway.names(), ["echo", "unavailable"])
        self.denied(gateway, "stream")
        gateway.call("echo")
        self.denied(gateway, "echo")
        self.error(gateway, "unavailable", "HTTP 503")
        self.denied(gateway, "unavailable")  # what reached the server is used up
        self.assertEqual(len(server.of("tools/call")), 2)


class Modern(UpstreamCase):
    def open(self, server, *flags, **kwargs):
        return super().open(server, *flags, initialize=False, **kwargs)

    def test_what_stands_in_the_body_stands_beside_it(self):
        server = self.serve()
        gateway = self.open(server)
        self.assertEqual(self.modern(gateway, "server/discover")["result"]["supportedVersions"], ["2026-07-28"])
        self.modern(gateway, "tools/call", name="marked", arguments={"region": "Zürich", "text": "x"})
        self.modern(gateway, "resources/read", uri="a:b")
        call, read = server.of("tools/call")[0]["headers"], server.of("resources/read")[0]["headers"]
        self.assertEqual({k: v for k, v in call.items() if k.lower().startswith("mcp-")},
                         {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "marked",
                          "Mcp-Param-Region": "=?base64?WsO8cmljaA==?="})
        self.assertEqual(read["Mcp-Name"], "a:b")
        self.assertFalse(server.of("GET"))

    def test_a_mismatch_has_the_list_fetched_once_and_the_call_sent_again(self):
        server = self.serve()
        server.tools = [{"name": "echo", "inputSchema": PLAIN | {"properties": MARKED["properties"] | {
            "region": {"type": "string"}}}}]
        gateway = self.open(server)
        self.modern(gateway, "tools/call", name="echo", arguments={"region": "a"})
        server.moved.add("echo")
        server.tools = [{"name": "echo", "inputSchema": MARKED}]
        answer = self.modern(gateway, "tools/call", name="echo", arguments={"region": "a"})
        self.assertEqual(answer["result"]["content"][0]["text"], '{"region": "a"}')
        self.assertEqual(server.of("tools/call")[-1]["headers"]["Mcp-Param-Region"], "a")
        server.tools = [{"name": "echo", "inputSchema": PLAIN}]
        server.moved = {"echo"}
        gateway.ask("tools/list", {"_meta": MODERN})
        count = len(server.of("tools/call"))
        answer = self.modern(gateway, "tools/call", name="echo", arguments={"region": "a"})
        self.assertEqual(answer["error"]["code"], -32020)
        self.assertLessEqual(len(server.of("tools/call")) - count, 2)

    def test_a_tool_that_turns_into_another_at_a_mismatch_is_not_called(self):
        server = self.serve()
        server.tools = [{"name": "echo", "inputSchema": PLAIN}]
        gateway = self.open(server)
        self.modern(gateway, "tools/list")
        server.moved.add("echo")
        server.tools = [{"name": "echo", "inputSchema": MARKED}]
        self.assertEqual(self.modern(gateway, "tools/call", name="echo", arguments={"region": "a"})["error"]["code"], -32020)
        self.assertEqual(len(server.of("tools/call")), 1)

    def test_a_tool_whose_marks_no_client_may_follow_is_left_out(self):
        server = self.serve()
        server.tools = [{"name": "bad", "inputSchema": {"properties": {"a": {"type": "string", "x-mcp-header": "A\r\nX: y"}}}},
                        {"name": "good", "inputSchema": PLAIN}]
        gateway = self.open(server)
        listed = self.modern(gateway, "tools/list")["result"]["tools"]
        self.assertEqual([tool["name"] for tool in listed], ["good"])
        gateway.wait_for_error("bad of upstream is left out")

    def test_a_cancellation_closes_the_stream_and_says_nothing(self):
        server = self.serve()
        gateway = self.open(server)
        number = gateway.begin("tools/call", {"name": "wait", "_meta": MODERN})
        self.assertTrue(server.waiting.wait(10))
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        self.assertTrue(server.left.wait(10))
        self.assertFalse(server.of("notifications/cancelled"))

    def test_a_broken_stream_is_not_resumed(self):
        server = self.serve()
        gateway = self.open(server)
        answer = self.modern(gateway, "tools/call", name="resume")
        self.assertIn("ended before its answer", answer["error"]["message"])
        self.assertFalse(server.of("GET"))


class Older(UpstreamCase):
    def test_a_server_of_2024_is_found_and_used(self):
        server = self.serve("sse")
        gateway = self.open(server)
        self.assertEqual(gateway.initialized["serverInfo"]["name"], "fake")
        self.assertEqual(gateway.text("echo"), "done")
        self.assertEqual({r["path"] for r in server.of("POST")[1:]}, {"/messages?session=1"})
        server.push({"method": "notifications/tools/list_changed"})
        gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")

    def test_the_end_of_its_stream_ends_the_session(self):
        server = self.serve("sse")
        gateway = self.open(server)
        server.pushed.put(None)
        gateway.wait_for_error("the server's stream has ended")
        self.error(gateway, "echo", "initialize again")

    def test_an_endpoint_of_another_origin_is_not_used(self):
        gateway = self.open(self.serve("foreign"), initialize=False)
        answer = gateway.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        self.assertIn("HTTP 404", answer["error"]["message"])
        gateway.wait_for_error("another origin")

    def test_what_is_no_server_at_all_is_said(self):
        gateway = self.open(self.serve("nothing"), initialize=False)
        answer = gateway.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        self.assertIn("the server answered HTTP 404 Not Found", answer["error"]["message"])


class Hostile(UpstreamCase):
    def test_what_is_no_answer_is_an_error_that_names_the_cause(self):
        gateway = self.open(self.serve())
        for tool, words in (("html", "neither JSON nor a stream of events"), ("gzip", "compressed"),
                            ("unavailable", "HTTP 503 Service Unavailable"), ("denied", "does not take the gateway's credentials"),
                            ("nothing", "HTTP 202"), ("garbage", "no answer to this request"), ("batch", "no answer to this request"),
                            ("dies", "ended before its answer")):
            with self.subTest(tool):
                self.error(gateway, tool, words)
        self.assertEqual(gateway.text("echo"), "{}")

    def test_the_audit_says_how_the_server_failed(self):
        gateway = self.open(self.serve())
        for tool in ("unavailable", "redirect", "denied", "html"):
            gateway.ask("tools/call", {"name": tool})
        gateway.text("echo")
        ended = [line for line in gateway.audit() if line["type"] == "outcome"]
        self.assertEqual([(line["status"], line.get("http_status"), line.get("error_code")) for line in ended],
                         [("error", 503, -32603), ("error", 307, -32603), ("error", 401, -32603), ("error", 200, -32603),
                          ("ok", None, None)])
        self.assertTrue(all(line["bytes"] > 0 for line in ended), ended)
        gateway.end()
        self.assertEqual(run(SLUICE, "audit", "verify", "--home", self.home).returncode, 0)

    def test_A37_a_redirect_is_not_followed(self):
        server = self.serve()
        gateway = self.open(server)
        self.error(gateway, "redirect", "redirects (HTTP 307 Temporary Redirect), which is not followed")
        self.assertFalse([r for r in server.requests if r["path"] != "/mcp"])

    def test_A27_an_event_without_an_end_is_cut_and_the_next_call_works(self):
        server = self.serve()
        gateway = self.open(server)
        self.error(gateway, "endless", "longer than the limit")
        self.error(gateway, "huge", "longer than 65536 KiB")
        self.assertFalse(server.flooded)
        self.assertEqual(gateway.text("echo"), "{}")

    def test_a_server_that_is_not_there_gives_the_limit_back(self):
        document = {**ALLOW, "tools": {"echo": {"limits": [{"counter": "n", "window": "day", "max": 1}]}}}
        server = self.serve("json")
        gateway = self.open(server, document=document)
        gateway.names()
        server.close()
        time.sleep(4.5)  # until no connection is kept
        for _ in range(2):
            self.error(gateway, "echo", "cannot be reached")

    def test_a_dead_peer_and_a_refused_one(self):
        for where, words in ((f"http://127.0.0.1:{free_port()}/mcp", "cannot be reached"),):
            gateway = self.open(where, initialize=False)
            answer = gateway.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
            self.assertIn(words, answer["error"]["message"])

    def test_A35_two_lengths_are_no_answer(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        gateway = self.open(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", initialize=False)
        number = gateway.begin("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        peer, _ = listener.accept()
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
        self.assertIn("gave no answer", gateway.answer_to(number)["error"]["message"])
        peer.close()


class Credentials(UpstreamCase):
    def header_file(self, text, mode=0o600):
        path = self.directory / "fields"
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_the_gateways_own_go_with_every_request_and_stand_nowhere_else(self):
        server = self.serve()
        fields = self.header_file("# ours\nX-Key: hush-1\n\nX-Other:two\n")
        gateway = self.open(server, "--upstream-header-file", fields, env={"SLUICE_UPSTREAM_TOKEN": "hush-2"})
        gateway.call("echo")
        self.error(gateway, "denied", "credentials")
        self.assertTrue(server.listening.wait(10))
        arguments = open(f"/proc/{gateway.process.pid}/cmdline").read()
        variables = open(f"/proc/{gateway.process.pid}/environ").read()
        self.assertEqual(gateway.end(), 0)
        for request in server.requests:
            self.assertEqual((request["headers"]["X-Key"], request["headers"]["X-Other"], request["headers"]["Authorization"]),
                             ("hush-1", "two", "Bearer hush-2"))
        kept = b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file())
        for place in (arguments, variables, "".join(gateway.errors), kept.decode(errors="replace")):
            self.assertNotIn("hush", place)

    def test_a_file_that_others_can_read_or_that_says_what_is_not_its_to_say_is_refused(self):
        server = self.serve()
        for text, mode, words in (("X-Key: hush", 0o644, "read"), ("X-Key hush", 0o600, "expected `Name: value`"),
                                  ("Mcp-Session-Id: hush", 0o600, "the gateway's own"),
                                  ("Content-Length: 5", 0o600, "the gateway's own"), ("X Y: hush", 0o600, "expected")):
            with self.subTest(text):
                code, said = self.refuses_to_start("--upstream", server.url, "--upstream-header-file", self.header_file(text, mode))
                self.assertIn(code, (1, 2))
                self.assertIn(words, said)
                self.assertNotIn("hush", said)

    def test_two_authorizations_are_refused(self):
        path = self.header_file("Authorization: Bearer hush")
        code, said = self.refuses_to_start("--upstream", self.serve().url, "--upstream-header-file", path,
                                           env={"SLUICE_UPSTREAM_TOKEN": "hush"})
        self.assertEqual((code, "one of both" in said, "hush" in said), (2, True, False))


class Addresses(UpstreamCase):
    def test_plain_http_to_another_machine_needs_its_name(self):
        code, said = self.refuses_to_start("--upstream", "http://192.0.2.1/mcp")
        self.assertEqual(code, 2)
        self.assertIn("--insecure-upstream", said)

    def test_what_is_no_url_or_stands_beside_a_command_is_wrong_usage(self):
        for flags in (("--upstream", "ftp://x/"), ("--upstream", "nonsense"), ("--upstream", "http://127.0.0.1/", "--", "true"),
                      ("--insecure-upstream", "--", "true"), ()):
            with self.subTest(flags):
                self.assertEqual(self.refuses_to_start(*flags)[0], 2)

    def test_tls_is_verified_by_the_systems_trust_and_what_is_given(self):
        authority = TestAuthority(self.directory / "pki")
        server = self.serve(context=authority.server_context("localhost", alpn=None))
        gateway = self.open(server, initialize=False)
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = gateway.ask("initialize", hello)
        self.assertIn("is not trusted", answer["error"]["message"])
        self.assertFalse(server.requests)
        gateway.stop()
        trusting = self.open(server, "--upstream-ca", authority.pem)
        self.assertEqual(trusting.text("echo"), "{}")

    def test_pins_belong_to_the_url(self):
        first, second = self.serve(), self.serve()
        document = {**ALLOW, "pins": "enforce"}
        self.assertIn("echo", self.open(first, document=document).names())
        first.tools[0]["description"] = "another"
        self.assertNotIn("echo", self.open(first, document=document).names())
        self.assertIn("echo", self.open(second, document=document).names())
