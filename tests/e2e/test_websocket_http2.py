"""WebSockets over HTTP/2 (RFC 8441): an extended CONNECT passes, its messages are recorded while the socket is open."""
import json

from harness import E2E, HERE, needs_node, poll  # first: it finds the fakes
from fakes.json_lines import JsonLines

PROGRAM = HERE / "clients" / "websocket_h2.mjs"


class Sockets(E2E):
    def setUp(self):
        super().setUp()
        self.node = needs_node()

    def server(self, **options):
        certificate, key = map(str, self.fakes.leaf("localhost"))
        server = JsonLines(self.node, PROGRAM, "serve", json.dumps({"cert": certificate, "key": key, **options}))
        self.addCleanup(server.close)
        return server, server.wait(lambda line: "port" in line)["port"]

    def connect(self, port):
        task = {"proxy": self.serve.proxy_port, "authority": f"localhost:{port}", "ca": str(self.serve.ca)}
        client = JsonLines(self.node, PROGRAM, "connect", json.dumps(task))
        self.addCleanup(client.close)
        return client

    def opened(self, client, name, path, **more):
        client.say(open=name, path=path, **more)
        return client.wait(lambda line: line.get("on") == name and "status" in line)

    def ended_record(self, path):
        return self.serve.exchange(path, include=["messages"])

    def test_messages_pass_both_ways_and_are_recorded(self):
        server, port = self.server()
        client = self.connect(port)
        self.assertTrue(client.wait(lambda line: "settings" in line)["settings"]["enableConnectProtocol"])
        self.assertEqual(self.opened(client, "a", "/echo-both")["status"], 200)
        client.say(on="a", send="hello")
        client.wait(lambda line: line.get("text") == "hello")
        client.say(on="a", hex="00ff10")
        client.wait(lambda line: line.get("hex") == "00ff10")
        client.say(on="a", ping="are you there")
        client.wait(lambda line: line.get("pong") == "are you there")
        client.say(on="a", close=[4001, "enough"])
        client.wait(lambda line: line.get("close") == 4001)
        client.say(on="a", end=True)
        client.wait(lambda line: line.get("on") == "a" and "closed" in line)
        self.assertEqual(server.wait(lambda line: line.get("close") == 4001)["reason"], "enough")
        head = server.wait(lambda line: "head" in line)["head"]
        self.assertEqual((head[":protocol"], head["sec-websocket-version"]), ("websocket", "13"))
        record = self.ended_record("/echo-both")
        self.assertEqual((record["protocol"], record["state"]), ("websocket", "done"))
        seen = [(item["from"], item.get("text", item.get("base64"))) for item in record["messages"]["items"]]
        self.assertIn(("client", "hello"), seen)
        self.assertIn(("server", "hello"), seen)
        self.assertIn("4001", json.dumps(record["messages"]["items"]))

    def test_messages_are_shown_while_the_socket_is_open(self):
        _, port = self.server()
        client = self.connect(port)
        self.opened(client, "a", "/live")
        client.say(on="a", send="first")
        client.wait(lambda line: line.get("text") == "first")

        def open_record():
            rows = self.serve.traffic(url_filter="/live", state=["open"])
            return rows and self.serve.call("proxy_get_exchange", exchange_id=rows[0]["id"],
                                            include=["messages"])["exchange"]
        record = poll(lambda: next(iter(r for r in [open_record()] if r and r["messages"]["total"] >= 2), None), 10,
                      "an open record with two messages")
        self.assertEqual(record["protocol"], "websocket")
        client.say(on="a", send="second")
        client.wait(lambda line: line.get("text") == "second")
        newer = poll(lambda: self.serve.traffic(after_rev=record["rev"], url_filter="/live", state=["open"]), 10,
                     "a newer revision")
        self.assertGreater(newer[0]["rev"], record["rev"])

    def test_compressed_messages_are_readable_in_the_record(self):
        _, port = self.server()
        client = self.connect(port)
        answer = self.opened(client, "a", "/deflated", fields={"sec-websocket-extensions": "permessage-deflate"})
        self.assertIn("permessage-deflate", answer["extensions"])
        client.say(on="a", send="squeeze me " * 50)
        client.wait(lambda line: line.get("text") == "squeeze me " * 50)
        client.say(on="a", close=[1000, ""])
        client.say(on="a", end=True)
        client.wait(lambda line: "closed" in line)
        texts = [item.get("text") for item in self.ended_record("/deflated")["messages"]["items"]]
        self.assertEqual(texts.count("squeeze me " * 50), 2)

    def test_a_refusal_passes_as_it_is(self):
        _, port = self.server()
        client = self.connect(port)
        self.assertEqual(self.opened(client, "a", "/refuse")["status"], 403)
        self.assertEqual(client.wait(lambda line: "body" in line)["body"], "not for you")
        self.assertEqual(self.serve.exchange("/refuse")["response"]["statusCode"], 403)

    def test_resets_pass_both_ways(self):
        server, port = self.server()
        client = self.connect(port)
        self.opened(client, "a", "/reset-me")
        client.say(on="a", reset=8)
        server.wait(lambda line: line.get("path") == "/reset-me" and "closed" in line)  # Node keeps the code to itself
        record = self.serve.exchange("/reset-me")
        self.assertEqual((record["state"], record["error"]["code"]), ("aborted", "client_aborted"))
        self.assertIn("CANCEL", record["error"]["message"])
        self.opened(client, "b", "/die")
        client.say(on="b", send="now")
        self.assertNotEqual(client.wait(lambda line: line.get("on") == "b" and "closed" in line)["closed"], 0)

    def test_sockets_and_requests_share_a_connection(self):
        server, port = self.server()
        client = self.connect(port)
        for name in ("a", "b", "c"):
            self.opened(client, name, f"/shared-{name}")
        client.say(get="/plain")
        self.assertEqual(client.wait(lambda line: line.get("got") == "/plain")["status"], 200)
        for name in ("a", "b", "c"):
            client.say(on=name, send=f"from {name}")
            client.wait(lambda line, name=name: line.get("on") == name and line.get("text") == f"from {name}")
        self.assertEqual(len([line for line in server.lines if "session" in line]), 1)

    def test_it_is_offered_only_where_the_origin_offers_it(self):
        _, port = self.server(extendedConnect=False)
        client = self.connect(port)
        self.assertFalse(client.wait(lambda line: "settings" in line)["settings"]["enableConnectProtocol"])
