"""WebSockets over HTTP/2 (RFC 8441) through the real program: what passes, how it ends, what is recorded."""
import base64
import json
import unittest

from harness import E2E, HERE, needs_node, poll  # first: it knows where the fakes are
from fakes.json_lines import JsonLines

SCRIPT = HERE / "clients" / "websocket_h2.mjs"
DEFLATE = {"sec-websocket-extensions": "permessage-deflate; client_max_window_bits"}
INTERNAL_ERROR, CANCEL = 2, 8


class WebSocketHttp2(E2E):
    def setUp(self):
        super().setUp()
        self.node = needs_node()
        if not (HERE / "node_modules" / "ws").is_dir():
            raise unittest.SkipTest("tests/e2e/node_modules is missing (npm ci)")
        self.serve.call("proxy_clear_traffic")

    def start(self, role, **options):
        program = JsonLines(self.node, SCRIPT, role, json.dumps(options))
        self.addCleanup(program.close)
        return program

    def h2_origin(self, plain=False, **options):
        certificate, key = map(str, self.fakes.leaf("localhost"))
        origin = self.start("serve", **({"plain": True} if plain else {"cert": certificate, "key": key}), **options)
        origin.port = origin.wait(lambda line: "port" in line)["port"]
        return origin

    def client(self, origin, plain=False):
        """One HTTP/2 connection through the proxy; `settings` is what Sluice said of itself there."""
        trust = {} if plain else {"ca": str(self.serve.ca)}
        client = self.start("connect", proxy=self.serve.proxy_port, authority=f"localhost:{origin.port}", **trust)
        client.settings = client.wait(lambda line: "settings" in line)["settings"]
        return client

    def open(self, client, path, name="socket", fields=None, **more):
        client.say(open=name, path=path, fields=fields or {}, **more)
        return client.wait(lambda line: line.get("on") == name and "status" in line)

    def seen(self, program, key, name="socket"):
        return program.wait(lambda line: line.get("on") == name and key in line)[key]

    def record(self, path, state="done"):
        exchange = self.serve.exchange(path, include=["messages", "request_body", "response_body"])
        self.assertEqual((exchange["protocol"], exchange["state"]), ("websocket", state), exchange)
        return exchange

    def told(self, exchange, side):
        """(type, content) of what came from there."""
        def content(item):
            if item["type"] == "close":
                return item.get("code"), item.get("reason", "")
            return base64.b64decode(item["base64"]) if "base64" in item else item["text"]
        return [(item["type"], content(item)) for item in exchange["messages"]["items"] if item["from"] == side]

    def finish(self, client, code=1000, reason="bye", name="socket"):
        client.say(on=name, close=[code, reason])
        self.assertEqual(self.seen(client, "close", name), code)
        client.say(on=name, end=True)
        self.assertEqual(self.seen(client, "closed", name), 0)


class Sockets(WebSocketHttp2):
    def test_messages_pass_both_ways_and_are_recorded(self):
        origin = self.h2_origin()
        client = self.client(origin)
        self.assertTrue(client.settings["enableConnectProtocol"])
        self.assertEqual(self.open(client, "/echo?x=1", fields={"x-mine": "1"})["status"], 200)
        client.say(on="socket", send="grüße")
        client.say(on="socket", hex="00ff10")
        client.say(on="socket", ping="are you there")
        self.assertEqual(self.seen(client, "pong"), "are you there")
        self.finish(client, 4001, "enough")
        head = origin.wait(lambda line: "head" in line)["head"]
        self.assertEqual((head[":method"], head[":protocol"], head[":path"], head["x-mine"], head["origin"]),
                         ("CONNECT", "websocket", "/echo?x=1", "1", "https://here.test"))
        exchange = self.record("/echo?x=1")
        self.assertEqual((exchange["request"]["method"], exchange["response"]["statusCode"], exchange["anomalies"]),
                         ("CONNECT", 200, []))
        said = [("text", "grüße"), ("binary", b"\x00\xff\x10")]
        self.assertEqual(self.told(exchange, "client"),
                         [*said, ("ping", "are you there"), ("close", (4001, "enough"))])
        self.assertEqual(self.told(exchange, "server"),
                         [*said, ("pong", "are you there"), ("close", (4001, "enough"))])
        self.assertEqual((exchange["messages"]["total"], exchange["messages"]["complete"]), (8, True))

    def test_compressed_messages_are_read(self):
        client = self.client(self.h2_origin())
        self.assertIn("permessage-deflate", self.open(client, "/deflate", fields=DEFLATE)["extensions"])
        text = "the same again " * 30
        for _ in range(3):
            client.say(on="socket", send=text)
        poll(lambda: sum("text" in line for line in client.lines) == 3, 10, "three echoes")
        self.finish(client)
        exchange = self.record("/deflate")
        for side in ("client", "server"):
            self.assertEqual(self.told(exchange, side)[:3], [("text", text)] * 3)
        self.assertEqual([item.get("compressed", False) for item in exchange["messages"]["items"]][:2], [True, True])
        self.assertLess(exchange["request"]["bodySize"], len(text))

    def test_an_open_socket_shows_its_messages_to_a_cursor(self):
        client = self.client(self.h2_origin())
        self.open(client, "/open")
        row = poll(lambda: self.serve.traffic(url_filter="/open", state=["open"]), 5, "an open row")[0]
        cursor = self.serve.call("proxy_list_traffic")["lastRev"]
        for number in range(3):
            client.say(on="socket", send=f"message {number}")
            client.wait(lambda line, text=f"message {number}": line.get("text") == text)

            def listed(total=2 * (number + 1)):
                page = self.serve.call("proxy_list_traffic", after_rev=cursor)
                if [one["id"] for one in page["exchanges"]] != [row["id"]]:
                    return None
                found = self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["messages"])["exchange"]
                return (page, found) if found["messages"]["total"] == total else None
            page, found = poll(listed, 5, "the newest messages")
            cursor = page["lastRev"]
            self.assertEqual((found["state"], found["protocol"], found["messages"]["complete"]), ("open", "websocket", False))
            self.assertEqual(self.told(found, "client")[-1], ("text", f"message {number}"))
        self.finish(client)
        self.assertEqual(self.record("/open")["messages"]["total"], 8)

    def test_the_server_closes_first(self):
        origin = self.h2_origin()
        client = self.client(origin)
        self.open(client, "/leave")
        self.assertEqual(self.seen(client, "close"), 4002)
        client.say(on="socket", close=[4002, ""])
        client.say(on="socket", end=True)
        self.assertEqual(self.seen(client, "closed"), 0)
        exchange = self.record("/leave")
        self.assertEqual(self.told(exchange, "server"), [("close", (4002, "going"))])
        self.assertEqual(self.told(exchange, "client"), [("close", (4002, ""))])

    def test_a_server_that_resets_its_stream(self):
        client = self.client(self.h2_origin())
        self.open(client, "/die")
        client.say(on="socket", send="go")
        self.assertEqual(self.seen(client, "closed"), INTERNAL_ERROR)
        exchange = self.record("/die", "failed")
        self.assertEqual(exchange["error"]["code"], "body_cut")
        self.assertIn("INTERNAL_ERROR", exchange["error"]["message"])
        self.assertEqual(self.told(exchange, "client"), [("text", "go")])

    def test_a_client_that_resets_its_stream(self):
        origin = self.h2_origin()
        client = self.client(origin)
        self.open(client, "/reset")
        client.say(on="socket", send="so far")
        self.seen(client, "text")
        client.say(on="socket", reset=CANCEL)
        origin.wait(lambda line: line.get("path") == "/reset" and "closed" in line)
        # Node ends its half before it resets: the origin may have ended the other one before the reset came.
        exchange = self.serve.exchange("/reset", include=["messages"])
        if exchange["state"] != "done":
            self.assertEqual(exchange["error"]["message"],
                             "the client reset its stream (CANCEL) in the middle of the answer")
        self.assertEqual(self.told(exchange, "server"), [("text", "so far")])

    def test_a_client_that_is_killed(self):
        origin = self.h2_origin()
        client = self.client(origin)
        self.open(client, "/killed")
        client.say(on="socket", send="so far")
        self.seen(client, "text")
        client.process.kill()
        origin.wait(lambda line: line.get("path") == "/killed" and "closed" in line)
        self.assertEqual(self.record("/killed", "aborted")["error"]["code"], "client_aborted")

    def test_an_end_without_a_close_is_passed_on_as_an_end(self):
        client = self.client(self.h2_origin())
        self.open(client, "/half")
        self.seen(client, "ended")
        client.say(on="socket", end=True)
        self.assertEqual(self.seen(client, "closed"), 0)
        exchange = self.record("/half")
        self.assertIn("truncated_body", exchange["anomalies"])
        [item] = exchange["messages"]["items"]
        self.assertEqual((item["text"], item["complete"]), ("hea", False))

    def test_a_socket_that_is_refused(self):
        client = self.client(self.h2_origin())
        self.assertEqual(self.open(client, "/refuse")["status"], 403)
        self.assertEqual(self.seen(client, "body"), "not for you")
        self.assertEqual(self.seen(client, "closed"), 0)  # NO_ERROR: what else the client would say is not wanted
        exchange = self.serve.exchange("/refuse")
        self.assertEqual((exchange["protocol"], exchange["state"], exchange["response"]["bodyPreview"]),
                         ("h2", "done", "not for you"))

    def test_sockets_and_requests_share_connections(self):
        origin = self.h2_origin()
        client = self.client(origin)
        for number in range(20):
            client.say(open=f"s{number}", path=f"/many{number}")
            client.say(get=f"/plain{number}")
        for number in range(20):
            self.assertEqual(self.seen(client, "status", f"s{number}"), 200)
            client.say(on=f"s{number}", send=f"socket {number}")
        for number in range(20):
            self.assertEqual(self.seen(client, "text", f"s{number}"), f"socket {number}")
            self.assertEqual(client.wait(lambda line, path=f"/plain{number}": line.get("got") == path)["status"], 200)
            self.finish(client, name=f"s{number}")
        self.assertEqual(sum("session" in line for line in origin.lines), 1)
        poll(lambda: [row["protocol"] for row in self.serve.traffic(url_filter="/many", limit=100)] == ["websocket"] * 20,
             10, "a record of each socket")

    def test_a_connection_made_for_the_socket_is_asked_first(self):
        """The origin takes no more streams on the one that the client's was made with; nobody knows the next one's
        SETTINGS yet when the socket is asked for."""
        origin = self.h2_origin()
        client = self.client(origin)
        for number in range(5):
            client.say(get=f"/goaway?{number}")
            client.wait(lambda line, path=f"/goaway?{number}": line.get("got") == path)
            self.assertEqual(self.open(client, f"/again{number}", f"s{number}")["status"], 200)
            self.finish(client, name=f"s{number}")


class Offers(WebSocketHttp2):
    def test_where_the_origin_does_not_offer_it_neither_does_sluice(self):
        client = self.client(self.h2_origin(extendedConnect=False))
        self.assertFalse(client.settings["enableConnectProtocol"])

    def test_in_the_clear_it_is_offered_as_the_origin_does(self):
        for offered in (True, False):
            origin = self.h2_origin(plain=True, extendedConnect=offered)
            client = self.client(origin, plain=True)
            self.assertEqual(client.settings["enableConnectProtocol"], offered)
        origin = self.h2_origin(plain=True)
        client = self.client(origin, plain=True)
        self.assertEqual(self.open(client, "/clear")["status"], 200)
        client.say(on="socket", send="in the clear")
        self.assertEqual(self.seen(client, "text"), "in the clear")
        self.finish(client)
        self.assertTrue(self.record("/clear")["request"]["url"].startswith("http://localhost:"))

    def test_an_http_1_origin_is_never_asked(self):
        """Its WebSockets need an HTTP/1.1 connection, which clients that are not offered this open by themselves."""
        self.add_rule({"hostname": "localhost", "urlPattern": "never"}, {"type": "mock", "status": 200})
        http_1 = self.new_origin()
        client = self.client(http_1)
        self.assertFalse(client.settings["enableConnectProtocol"])
        client.say(get="/hello")
        self.assertEqual(client.wait(lambda line: "got" in line)["status"], 200)
        self.assertEqual([request.method for request in http_1.requests], ["GET"])


class OriginsThatLeft(WebSocketHttp2):
    flags = ("--workers", "1")  # each has its own connections to origins

    def test_what_the_origin_takes_is_asked_again_or_remembered(self):
        origin = self.h2_origin()
        for number in range(3):
            client = self.client(origin)
            self.assertTrue(client.settings["enableConnectProtocol"], number)
            client.say(get="/goaway")
            client.wait(lambda line: line.get("got") == "/goaway")
        self.add_rule({"hostname": "localhost", "urlPattern": "/never"}, {"type": "mock", "status": 200})
        for number in range(2):
            client = self.client(origin)
            self.assertTrue(client.settings["enableConnectProtocol"], number)
            self.assertEqual(self.open(client, f"/ruled{number}")["status"], 200)
            self.finish(client)


class Rules(WebSocketHttp2):
    def test_a_rule_for_bodies_holds_up_no_socket(self):
        origin = self.h2_origin()
        self.add_rule({"hostname": "localhost"}, {"type": "passthrough",
                                                  "transformRequest": {"matchReplaceBody": [["one", "two"]],
                                                                       "updateHeaders": {"x-added": "1"}},
                                                  "transformResponse": {"matchReplaceBody": [["one", "two"]]}})
        client = self.client(origin)
        self.assertEqual(self.open(client, "/ruled")["status"], 200)
        client.say(on="socket", send="one")
        self.assertEqual(self.seen(client, "text"), "one")
        self.finish(client)
        self.assertEqual(origin.wait(lambda line: "head" in line)["head"]["x-added"], "1")
        exchange = self.record("/ruled")
        self.assertEqual((exchange["anomalies"], len(exchange["ruleIds"])), ([], 1))

    def test_a_rule_made_meanwhile_may_answer_instead(self):
        client = self.client(self.h2_origin())
        self.add_rule({"hostname": "localhost", "urlPattern": "mocked"}, {"type": "mock", "status": 503, "body": "later"})
        self.assertEqual(self.open(client, "/mocked")["status"], 503)
        self.assertEqual(self.seen(client, "body"), "later")


if __name__ == "__main__":
    unittest.main()
