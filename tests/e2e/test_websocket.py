"""WebSockets through the real program: what passes, how it ends, what is recorded."""
import hashlib
import json
import pathlib
import threading
import unittest

from harness import E2E, HERE, Serve, ToolError, clean_environment, needs_node, poll, run
from fakes.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Deflate, WebSocketClient, WebSocketServer,
                             close_body, frame)

KEY = b"\x37\xfa\x21\x3d"


class WebSocketTest(E2E):
    def serve_at(self, path="/ws", **options):
        server = self.origin.routes[path] = WebSocketServer(**options)
        self.addCleanup(self.origin.routes.pop, path)
        return server

    def open(self, path="/ws", client=None, **options):
        return WebSocketClient(client or self.client(), f"localhost:{self.origin.port}", path, **options)

    def open_plain(self, path, server, serve=None):
        """Without TLS, in which Python takes a reset for an end."""
        origin = self.new_origin(plain=True)
        origin.routes[path] = server
        client = (serve or self.serve).client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{origin.port}").status, 200)
        return WebSocketClient(client, f"localhost:{origin.port}", path)

    def record(self, path="/ws", **include):
        exchange = self.serve.exchange(path, include=["request_body", "response_body"], limit=1 << 20, **include)
        self.assertEqual((exchange["protocol"], exchange["response"]["statusCode"]), ("websocket", 101))
        return exchange

    def bodies(self, exchange):
        """The payloads of all data messages, joined, of client and server."""
        return tuple(bytes_of(exchange[side]["body"]) for side in ("request", "response"))

    def test_frames_pass_as_they_stood(self):
        odd = (frame(TEXT, b"long forms", form=8) + frame(BINARY, b"", form=2) + frame(TEXT, b"a", fin=False) +
               frame(PING, b"between") + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"b") +
               frame(PONG, b"nobody asked"))
        server = self.serve_at("/stood", greeting=odd)
        socket = self.open("/stood", early=frame(TEXT, b"before the answer", key=KEY))
        socket.raw.read_exactly(len(odd))
        for slices in (None, 1, 7):
            socket.send(TEXT, "grüße".encode(), slices, key=KEY)
            socket.send(BINARY, bytes(range(256)), slices, key=KEY, form=8)
            socket.send(TEXT, b"in ", slices, key=KEY, fin=False)
            socket.send(PING, b"still there?", slices, key=KEY)
            socket.send(CONTINUATION, b"parts", slices, key=KEY)
        socket.send(CLOSE, close_body(1000, "done"))
        while socket.read().opcode != CLOSE:
            pass
        socket.raw.close()
        self.assertTrue(server.session.done.wait(10))
        self.assertEqual(server.session.received, socket.sent)
        self.assertEqual(odd + socket.received, server.session.sent)
        exchange = self.record("/stood")
        self.assertEqual((exchange["state"], exchange["anomalies"]), ("done", ["websocket_odd"]))
        client, answers = self.bodies(exchange)
        said = b"before the answer" + ("grüße".encode() + bytes(range(256)) + b"in parts") * 3
        self.assertEqual(client, said)
        self.assertEqual(answers, b"long formsab" + said)

    def messages(self, path, **include):
        found = self.serve.exchange(path, include=["messages"], **include)["messages"]
        self.assertEqual(found["kind"], "websocket")
        return found

    def test_messages_are_listed(self):
        self.serve_at("/listed", extensions="permessage-deflate; client_no_context_takeover")
        socket = self.open("/listed", extensions="permessage-deflate")
        out, back = Deflate(fresh=True), Deflate()
        socket.send(TEXT, b"in ", fin=False)
        socket.send(PING, b"between")
        socket.send(CONTINUATION, b"parts")
        socket.send(BINARY, b"\xff\x00")
        for text in (b"the first that is compressed", b"the second that is compressed"):
            socket.send(TEXT, out.pack(text), rsv1=True)
        socket.close(4000, "enough")
        found = self.messages("/listed")
        of_client = [item for item in found["items"] if item["from"] == "client"]
        self.assertEqual([(item["type"], item.get("text", item.get("base64"))) for item in of_client],
                         [("ping", "between"), ("text", "in parts"), ("binary", "/wA="),
                          ("text", "the first that is compressed"), ("text", "the second that is compressed"),
                          ("close", None)])
        self.assertEqual((of_client[-1]["code"], of_client[-1]["reason"]), (4000, "enough"))
        self.assertEqual([item.get("compressed", False) for item in of_client], [False] * 3 + [True] * 2 + [False])
        of_server = [item for item in found["items"] if item["from"] == "server"]
        self.assertEqual([item["type"] for item in of_server], ["pong", "text", "binary", "text", "text", "close"])
        self.assertEqual((found["total"], found["complete"]), (12, True))
        page = self.messages("/listed", offset=11, limit=5)
        self.assertEqual([item["number"] for item in page["items"]], [11])
        frames = self.serve.call("proxy_get_ws_frames", exchange_id=self.record("/listed")["id"])
        self.assertEqual(frames["items"], found["items"])

    def test_sockets_are_listed_with_what_went_through_them_also_of_a_recording(self):
        self.serve_at("/counted")
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        socket = self.open("/counted")
        socket.send(TEXT, b"twelve bytes")
        socket.close(1000, "")
        self.record("/counted")
        self.serve.call("proxy_session_stop")
        for where in ({}, {"session_id": session}):
            with self.subTest(**where):
                streams = self.serve.call("proxy_list_ws_streams", **where)
                first = streams["items"][0]
                self.assertEqual((first["url"], first["status"], first["sentBytes"], first["messages"]),
                                 (f"https://localhost:{self.origin.port}/counted", 101, 12, 4))
                frames = self.serve.call("proxy_get_ws_frames", exchange_id=first["exchangeId"], limit=1, **where)
                self.assertEqual((frames["items"][0]["text"], frames["total"]), ("twelve bytes", 4))
        self.serve.call("proxy_get_ws_frames", exchange_id=first["exchangeId"], session_id=session, offset=3)
        with self.assertRaises(ToolError):
            self.serve.call("proxy_get_ws_frames", exchange_id="nope")

    def test_messages_of_an_open_socket_are_listed(self):
        self.serve_at("/open")
        socket = self.open("/open")
        socket.send(TEXT, b"so far")
        socket.read()
        row = poll(lambda: self.serve.traffic(url_filter="/open", state=["open"]), 5, "an open row")[-1]

        def seen():
            return self.serve.call("proxy_get_exchange", exchange_id=row["id"],
                                   include=["messages"])["exchange"]["messages"]
        poll(lambda: seen()["total"] == 2, 5, "two messages")
        self.assertEqual([item["text"] for item in seen()["items"]], ["so far", "so far"])
        self.assertFalse(seen()["complete"])
        socket.close()

    def test_octets_do_not_wait_for_the_end_of_their_frame(self):
        reached = threading.Event()

        rest = []

        def half(session):
            session.talk.read_exactly(20)
            reached.set()
            rest.append(session.talk.read_exactly(86))
        server = self.serve_at("/half", script=half)
        socket = self.open("/half")
        whole = frame(BINARY, b"x" * 100, key=KEY)
        socket.send_octets(whole[:20])
        self.assertTrue(reached.wait(10))
        socket.send_octets(whole[20:])
        self.assertTrue(server.session.done.wait(10))
        self.assertEqual(rest, [whole[20:]])

    def test_plain_websockets_pass_in_a_tunnel_and_in_absolute_form(self):
        origin = self.new_origin(plain=True)
        authority = f"localhost:{origin.port}"
        for number, absolute in enumerate((False, True)):
            origin.routes[f"/plain{number}"] = WebSocketServer()
            client = self.serve.client()
            self.addCleanup(client.close)
            if not absolute:
                self.assertEqual(client.connect_through(authority).status, 200)
            socket = WebSocketClient(client, authority, f"/plain{number}", absolute=absolute)
            socket.send(TEXT, b"plain")
            self.assertEqual(socket.read().payload, b"plain")
            socket.close()
            self.assertEqual(self.bodies(self.record(f"/plain{number}")), (b"plain", b"plain"))

    def test_compressed_messages_pass_and_are_recorded_as_they_travelled(self):
        self.serve_at("/deflate", extensions="permessage-deflate")
        socket = self.open("/deflate", extensions="permessage-deflate; client_max_window_bits")
        self.assertEqual(socket.answer.get("sec-websocket-extensions"), "permessage-deflate")
        out, back = Deflate(), Deflate()
        travelled = b""
        for i in range(5):
            text = b"the same context, taken over, message %d" % i
            packed = out.pack(text)
            travelled += packed
            socket.send(TEXT, packed, rsv1=True)
            self.assertEqual(back.unpack(socket.read().payload), text)
        socket.send(TEXT, b"not compressed")
        self.assertEqual(socket.read().payload, b"not compressed")
        socket.close()
        exchange = self.record("/deflate")
        self.assertEqual(self.bodies(exchange), (travelled + b"not compressed",) * 2)
        self.assertEqual(exchange["anomalies"], [])
        texts = [item["text"] for item in self.messages("/deflate")["items"] if item["from"] == "server"
                 and item["type"] == "text"]
        self.assertEqual(texts, ["the same context, taken over, message %d" % i for i in range(5)] + ["not compressed"])

    def test_large_messages(self):
        size = 8 << 20
        digest, taken = hashlib.sha256(), []

        def take(session):
            talk = session.talk
            head = talk.read_exactly(14)
            key, left = head[10:], int.from_bytes(head[2:10], "big")
            while left:
                data = talk.buffer or talk.receive()
                talk.buffer = b""
                digest.update(data)
                left -= len(data)
            taken.append((head[:2], key))
            for i in range(8):
                talk.send(frame(CONTINUATION if i else BINARY, b"y" * (1 << 20), fin=i == 7))
        self.serve_at("/large", script=take)
        socket = self.open("/large")
        masked = frame(BINARY, bytes(range(256)) * (size >> 8), key=KEY)
        socket.raw.send(masked)
        rest, _ = socket.raw.read_rest()
        socket.raw.close()
        self.assertEqual(taken, [(b"\x82\xff", KEY)])
        self.assertEqual(digest.hexdigest(), hashlib.sha256(masked[14:]).hexdigest())
        self.assertEqual(rest, b"".join(frame(CONTINUATION if i else BINARY, b"y" * (1 << 20), fin=i == 7)
                                        for i in range(8)))
        exchange = self.serve.exchange("/large", include=["request_body", "response_body"], limit=1000,
                                       offset=size - 1000)
        self.assertEqual(exchange["request"]["body"]["total"], size)
        self.assertEqual(bytes_of(exchange["request"]["body"]), (bytes(range(256)) * 4)[-1000:])
        self.assertEqual(exchange["response"]["body"]["total"], size)

    def test_every_way_to_close(self):
        for code in (1000, 1001, 1003, 1009, 1011, 3000, 4999):
            self.serve_at(f"/close{code}")
            answer = self.open(f"/close{code}").close(code, "a reason")
            self.assertEqual((answer.opcode, answer.payload), (CLOSE, close_body(code)))
            exchange = self.record(f"/close{code}")
            self.assertEqual((exchange["state"], exchange["anomalies"]), ("done", []))

    def test_the_server_closes_first(self):
        answers = []

        def leave(session):
            session.send(CLOSE, close_body(1012, "restart"))
            answers.append(session.read().payload)
        server = self.serve_at("/leave", script=leave)
        socket = self.open("/leave")
        self.assertEqual(socket.read().payload, close_body(1012, "restart"))
        socket.send(CLOSE, close_body(1012))
        self.assertEqual(socket.raw.read_rest(), (b"", "closed"))
        socket.raw.close()
        self.assertTrue(server.session.done.wait(10))
        self.assertEqual(answers, [close_body(1012)])
        self.assertEqual(self.record("/leave")["state"], "done")

    def test_a_client_that_is_killed(self):
        server = self.serve_at("/killed")
        socket = self.open("/killed")
        socket.send(TEXT, b"one")
        socket.read()
        socket.send_octets(frame(TEXT, b"never whole", key=KEY)[:9])
        socket.raw.reset()
        self.assertTrue(server.session.done.wait(10))
        exchange = self.record("/killed")
        self.assertEqual((exchange["state"], exchange["error"]["code"]), ("aborted", "client_aborted"))
        last = [item for item in self.messages("/killed")["items"] if item["from"] == "client"][-1]
        self.assertEqual((last["text"], last["complete"]), ("nev", False))

    def test_a_server_that_is_killed(self):
        def die(session):
            session.send(TEXT, b"last words")
            session.read()
            session.reset()
        socket = self.open_plain("/dies", WebSocketServer(script=die))
        self.assertEqual(socket.read().payload, b"last words")
        socket.send(TEXT, b"go")
        self.assertEqual(socket.raw.read_rest(), (b"", "reset"))
        exchange = self.record("/dies")
        self.assertEqual((exchange["state"], exchange["error"]["code"]), ("failed", "body_cut"))
        self.assertEqual(self.bodies(exchange), (b"go", b"last words"))

    def test_an_end_without_a_close_is_passed_on_as_an_end(self):
        def leave(session):
            session.send(TEXT, b"cut here")
            session.send_octets(frame(TEXT, b"never whole")[:5])
        self.serve_at("/cut", script=leave)
        socket = self.open("/cut")
        self.assertEqual(socket.read().payload, b"cut here")
        self.assertEqual(socket.raw.read_rest(), (frame(TEXT, b"never whole")[:5], "closed"))
        socket.raw.close()
        exchange = self.record("/cut")
        self.assertEqual(exchange["state"], "done")
        self.assertIn("truncated_body", exchange["anomalies"])

    def test_frames_that_break_the_protocol_pass_and_are_marked(self):
        got = []

        def swap(session):
            got.append(session.talk.read_exactly(30))
            session.talk.send(b"\x83\x00 no frame either")
        self.serve_at("/broken", script=swap)
        socket = self.open("/broken")
        unmasked = frame(TEXT, b"a client must mask this.....")
        socket.send_octets(unmasked)
        self.assertEqual(socket.raw.read_rest()[0], b"\x83\x00 no frame either")
        socket.raw.close()
        self.assertEqual(got, [unmasked])
        exchange = self.record("/broken")
        self.assertEqual(exchange["state"], "done")
        self.assertIn("websocket_error", exchange["anomalies"])
        self.assertEqual(self.bodies(exchange), (unmasked, b"\x83\x00 no frame either"))

    def test_many_sockets_at_once_do_not_mix(self):
        self.serve_at("/many")
        sockets = [self.open("/many") for _ in range(40)]
        for i, socket in enumerate(sockets):
            socket.send(TEXT, b"socket %d" % i)
        for i, socket in enumerate(sockets):
            self.assertEqual(socket.read().payload, b"socket %d" % i)
        for socket in sockets:
            socket.close()
        rows = poll(lambda: (lambda r: r if len(r) == 40 else None)(self.serve.traffic(url_filter="/many", limit=100)))
        self.assertEqual({row["state"] for row in rows}, {"done"})

    def test_a_stop_ends_open_sockets(self):
        with Serve() as serve:
            socket = self.open_plain("/stopped", WebSocketServer(), serve)
            socket.send(PING)
            self.assertEqual(socket.read().opcode, PONG)
            stopping = threading.Thread(target=serve.stop)
            stopping.start()
            self.assertEqual(socket.raw.read_rest(), (b"", "reset"))
            stopping.join()
            self.assertEqual(serve.process.returncode, 0)

    def test_real_programs_on_both_sides(self):
        node = needs_node()
        if not (HERE / "node_modules" / "ws").is_dir():
            raise unittest.SkipTest("tests/e2e/node_modules is older than its lock file (npm ci)")
        certificate, key = self.fakes.leaf("localhost")
        done = run(node, HERE / "clients" / "websocket.mjs", certificate, key, self.serve.ca, seconds=60, check=0,
                   env=clean_environment(HTTPS_PROXY=self.serve.proxy_url), cwd=HERE)
        out = json.loads(done.stdout)
        texts = out["texts"]
        everything = texts + ["large", "00ff10", "part one, part two"]
        self.assertEqual(out["ws"]["echoes"], everything)
        self.assertIn("permessage-deflate", out["ws"]["extensions"])
        self.assertEqual((out["ws"]["pong"], out["ws"]["code"], out["ws"]["reason"]), ("are you there", 4001, "enough"))
        self.assertEqual((out["undici"]["echoes"], out["undici"]["code"], out["undici"]["wasClean"]),
                         (texts, 1000, True))
        of_ws, of_undici = out["server"]
        self.assertEqual((of_ws["messages"], of_ws["pings"], of_ws["code"], of_ws["reason"]),
                         (everything, 1, 4001, "enough"))
        self.assertEqual((of_undici["messages"], of_undici["code"]), (texts, 1000))
        for path in ("/ws", "/undici"):
            exchange = self.record(path)
            self.assertEqual((exchange["state"], exchange["anomalies"]), ("done", []))
            page = self.messages(path)
            items = page["items"]
            while "nextOffset" in page:
                page = self.messages(path, offset=page["nextOffset"])
                items += page["items"]
            for side in ("client", "server"):
                seen = [item["text"] for item in items if item["from"] == side and item["type"] == "text"]
                self.assertEqual(seen[:len(texts)], texts)


def bytes_of(body):
    import base64
    return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()


if __name__ == "__main__":
    unittest.main()
