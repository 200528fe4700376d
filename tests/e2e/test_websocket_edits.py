"""Rules that edit the messages of WebSockets (`transformMessage`, engine.md 6; docs/rules.md)."""
import os

from harness import E2E  # first: it knows where the fakes are
from fakes.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Deflate, WebSocketClient, WebSocketServer,
                             close_body, frame)

KEY = b"\x12\x34\x56\x78"


class WebSocketEdits(E2E):
    def edit(self, path, direction="both", pairs=(("ping(\\d+)", "pong$1"),)):
        transform = {"direction": direction, "regexReplace": [list(pair) for pair in pairs]}
        return self.add_rule({"pathPattern": "^" + path}, {"type": "passthrough", "transformMessage": transform})

    def open(self, path, extensions=None, early=b"", **options):
        self.server = self.origin.routes[path] = WebSocketServer(extensions=extensions, **options)
        self.addCleanup(self.origin.routes.pop, path)
        return WebSocketClient(self.client(), f"localhost:{self.origin.port}", path, extensions=extensions, early=early)

    def told(self, path):
        """What is recorded: (from, text)."""
        items = self.serve.exchange(path, include=["messages"])["messages"]["items"]
        return [(item["from"], item["text"]) for item in items if item["type"] == "text"]

    def test_messages_of_the_client_are_edited_and_the_record_has_what_it_said(self):
        rule = self.edit("/up", "request")
        socket = self.open("/up")
        socket.send(TEXT, b"a ping1 and ping22")
        self.assertEqual(socket.read().payload, b"a pong1 and pong22")
        socket.send(TEXT, b"nothing here")
        self.assertEqual(socket.read().payload, b"nothing here")
        socket.close()
        self.assertEqual(self.told("/up"), [("client", "a ping1 and ping22"), ("server", "a pong1 and pong22"),
                                            ("client", "nothing here"), ("server", "nothing here")])
        self.assertEqual(self.serve.exchange("/up")["matchedRuleId"], rule)

    def test_messages_of_the_server_are_edited_and_the_record_has_what_the_client_got(self):
        self.edit("/down", "response")
        socket = self.open("/down", script=lambda session: (
            session.send(TEXT, b"ping7"), session.echo()))
        self.assertEqual(socket.read().payload, b"pong7")
        socket.send(TEXT, b"ping8")
        self.assertEqual(socket.read().payload, b"pong8")
        socket.close()
        self.assertEqual(self.server.session.received[:len(socket.sent)], socket.sent)
        self.assertEqual(self.told("/down"), [("server", "pong7"), ("client", "ping8"), ("server", "pong8")])

    def test_what_no_edit_touches_passes_as_it_stood(self):
        self.edit("/stood")
        socket = self.open("/stood", early=frame(TEXT, b"before the answer", key=KEY))
        for slices in (None, 1, 5):
            socket.send(TEXT, "grüße".encode(), slices, form=8)
            socket.send(BINARY, bytes(range(256)) * 300, slices and 999)
            socket.send(TEXT, b"in ", slices, fin=False)
            socket.send(PING, b"still there?", slices)
            socket.send(CONTINUATION, b"", slices, fin=False)
            socket.send(CONTINUATION, b"parts", slices)
        socket.send(CLOSE, close_body(1000, "done"))
        while socket.read().opcode != CLOSE:
            pass
        socket.raw.close()
        self.assertTrue(self.server.session.done.wait(10))
        # A control frame overtakes the message that waits; nothing else moves, and no octet changes.
        self.assertEqual(sorted(self.server.session.received), sorted(socket.sent))
        first = frame(TEXT, b"before the answer", key=KEY)
        self.assertTrue(self.server.session.received.startswith(first))

    def test_control_frames_pass_while_a_message_waits(self):
        self.edit("/control")
        socket = self.open("/control")
        socket.send(TEXT, b"pi", fin=False)
        socket.send(PING, b"now")
        answer = socket.read()
        self.assertEqual((answer.opcode, answer.payload), (PONG, b"now"))
        socket.send(CONTINUATION, b"ng5")
        answer = socket.read()
        self.assertEqual((answer.opcode, answer.payload, answer.fin), (TEXT, b"pong5", True))
        socket.close()

    def test_compressed_messages_are_edited_and_compressed_again(self):
        for extensions in ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"):
            path = "/deflate" + str(len(extensions))
            self.edit(path, "request")
            # The server reads and answers by its own contexts, as a real one does.
            fresh = "no_context" in extensions

            def script(session, fresh=fresh):
                reads, writes = Deflate(fresh), Deflate(fresh)
                while True:
                    got = session.read()
                    if got.opcode == CLOSE:
                        return session.send(CLOSE, got.payload[:2])
                    text = reads.unpack(got.payload) if got.rsv1 else got.payload
                    session.send(TEXT, writes.pack(text + (b" (coded)" if got.rsv1 else b" (plain)")), rsv1=True)
            socket = self.open(path, extensions=extensions, script=script)
            out, back = Deflate(fresh), Deflate(fresh)
            for text, want in ((b"the same words ping1", b"the same words pong1 (coded)"),
                               (b"the same words again", b"the same words again (coded)"),
                               (b"the same words ping2", b"the same words pong2 (coded)")):
                socket.send(TEXT, out.pack(text), rsv1=True)
                self.assertEqual(back.unpack(socket.read().payload), want)
            socket.send(TEXT, b"not compressed ping3")
            self.assertEqual(back.unpack(socket.read().payload), b"not compressed pong3 (plain)")
            socket.send(BINARY, out.pack(b"octets ping4"), rsv1=True)
            self.assertEqual(back.unpack(socket.read().payload), b"octets ping4 (coded)", "text alone is edited")
            socket.close()

    def test_a_message_that_is_too_large_passes_unedited(self):
        self.edit("/large")
        socket = self.open("/large")
        large = b"ping1" * (2 << 20)
        socket.send(TEXT, large)
        self.assertEqual(socket.read().payload, large)
        socket.send(TEXT, b"ping2")
        self.assertEqual(socket.read().payload, b"pong2")
        socket.send(TEXT, large)  # written anew by now
        got = socket.read()
        payload = got.payload
        while not got.fin:
            got = socket.read()
            payload += got.payload
        self.assertEqual(payload, large)
        socket.close()
        self.assertIn("rule_body_limit", self.serve.exchange("/large")["anomalies"])

    def test_frames_that_break_the_protocol_pass_as_they_stand(self):
        self.edit("/broken", "request")
        done = []
        socket = self.open("/broken", script=lambda session: done.append(session.talk.read_exactly(26)))
        octets = frame(TEXT, b"waits", key=KEY, fin=False) + b"\x83\x85" + KEY + b"later"  # a reserved opcode
        socket.send_octets(octets)
        socket.send_octets(b"1234")
        self.assertTrue(self.server.session.done.wait(10))
        self.assertEqual(done[0], octets + b"1234")

    def test_the_rules_of_the_handshake_hold_for_the_socket(self):
        rule = self.edit("/kept")
        socket = self.open("/kept")
        self.serve.call("proxy_remove_rule", rule_id=rule)
        socket.send(TEXT, b"ping1")
        self.assertEqual(socket.read().payload, b"pong1")
        socket.close()

    def test_an_end_in_the_middle_of_a_message_passes_what_waited(self):
        self.edit("/cut", "request")
        got = []
        socket = self.open("/cut", script=lambda session: got.append(session.talk.read_exactly(9 + 2)))
        socket.send(TEXT, b"begun", fin=False, key=os.urandom(4))
        socket.raw.close()
        self.assertTrue(self.server.session.done.wait(10))
        self.assertEqual(got[0], socket.sent)
