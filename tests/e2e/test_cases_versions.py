"""Between HTTP/1 and HTTP/2, and what may not pass: the cases of engine.md 1 and 2. docs/protocol-cases.md lists them."""
import json
import socket
import struct
import threading
import unittest

from harness import Serve, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.closing import close_listener
from fakes.h2_raw_origin import Gone, Peer
from fakes.websocket import CLOSE, PING, PONG, TEXT, close_body, frame, read_frame
from test_cases_http2 import Cases, echo

ENABLE_CONNECT_PROTOCOL = 8
ALTSVC, ORIGIN = 10, 12
PRIORITY_FLAG = 0x20


class Fields(Cases):
    """Between h1 and h2 the fields that RFC 9113 §8.2 forbids go, cookie crumbs are joined, Host is :authority."""

    def test_from_an_h2_client_to_an_h1_origin(self):
        self.may_be_answered()
        [answer] = self.h2(self.origin, {"path": "/head?a=1", "headers": {
            "x-b": "1", "cookie": ["a=1", "b=2"], "x-twice": ["1", "2"], "te": "trailers", "x-a": "2"}})
        self.assertEqual(answer["body"], f"GET /head?a=1 HTTP/1.1\r\nhost: localhost:{self.origin.port}\r\nx-b: 1\r\n"
                         "cookie: a=1; b=2\r\nx-twice: 1\r\nx-twice: 2\r\nte: trailers\r\nx-a: 2\r\n\r\n")

    def test_from_an_h1_origin_to_an_h2_client(self):
        self.may_be_answered()
        self.origin.routes["/hop"] = lambda talk: talk.answer(body="x", fields=[
            ("Connection", "keep-alive, x-hop"), ("Keep-Alive", "timeout=5"), ("X-Hop", "mine"), ("X-End", "Yours"),
            ("Proxy-Connection", "keep-alive")])
        self.addCleanup(self.origin.routes.pop, "/hop")
        hop, chunked, hints = self.h2(self.origin, "/hop", "/chunked", "/103")
        self.assertEqual(hop["headers"], {":status": 200, "x-end": "Yours", "content-length": "1"})
        self.assertNotIn("transfer-encoding", chunked["headers"])
        self.assertEqual((chunked["body"], chunked["trailers"]), ("hello world", {"x-sum": "abc, def"}))
        self.assertEqual((hints["interim"], hints["status"], hints["body"]), ([103], 200, "after"))

    def h2_only(self):
        return self.h2_origin()

    def test_from_an_h1_client_to_an_h2_origin(self):
        origin = self.h2_only()
        client = self.client(origin=origin, alpn=["http/1.1"])
        client.send(b"GET /head HTTP/1.1\r\nhOsT: localhost:%d\r\nX-B: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
                    b"Keep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: x\r\nTE: trailers\r\nx-a: 2\r\n\r\n" % origin.port)
        answer = client.read_answer()
        got = json.loads(answer.body)
        pairs = list(zip(got[::2], got[1::2]))
        self.assertEqual(sorted(pairs[:4]), [(":authority", f"localhost:{origin.port}"), (":method", "GET"),
                                             (":path", "/head"), (":scheme", "https")])
        self.assertEqual(pairs[4:], [("x-b", "1"), ("te", "trailers"), ("x-a", "2")])

    def test_from_an_h2_origin_to_an_h1_client(self):
        origin = self.h2_only()
        client = self.client(origin=origin, alpn=["http/1.1"])
        client.send(b"POST /echo-trailers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mine\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-Mine: 1\r\n\r\n")
        answer = client.read_answer()
        self.assertEqual((answer.body, answer.trailers), (b"abc", b"x-mine: 1\r\nx-origin-trailer: yes\r\n"))
        client.send(b"GET /hints HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(client.read_head().startswith(b"HTTP/1.1 103 Early Hints\r\nlink: "))
        self.assertEqual(client.read_answer().body, b"after hints")


class Priorities(Cases):
    """Passed where they exist, from h2 to h2."""

    def test_the_weight_of_a_stream_and_the_priority_field_pass(self):
        heads = []

        def script(peer):
            while True:
                kind, flags, stream, payload = peer.next_frame()
                if kind == h2.HEADERS:
                    heads.append((flags & PRIORITY_FLAG, payload))
                    peer.answer(stream, b"ok")
        origin = self.raw_origin(script)
        raw = self.raw(origin)
        fields = h2.block(h2.request(authority=b"localhost:%d" % origin.port, more=[(b"priority", b"u=1, i")]))
        raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM | PRIORITY_FLAG, 1,
                          struct.pack(">IB", 1 << 31 | 77, 219) + fields))
        self.assertEqual(raw.status(1), 200)
        raw.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 3, fields))
        self.assertEqual(raw.status(3), 200)
        self.assertEqual([flag for flag, _ in heads], [PRIORITY_FLAG, 0])
        # On a connection that clients share, a dependency would be on somebody else's stream: only the weight passes.
        self.assertEqual(struct.unpack(">IB", heads[0][1][:5]), (0, 219))
        self.assertEqual(self.serve.exchange(f"https://localhost:{origin.port}")["request"]["headers"]["priority"],
                         "u=1, i")


class AltSvc(Cases):
    """Alt-Svc fields and ALTSVC and ORIGIN frames are removed; both forms recorded."""

    def test_frames_do_not_pass(self):
        def script(peer):
            peer.send(h2.frame(ALTSVC, 0, 0, struct.pack(">H", 15) + b"https://a.test/" + b'h3=":443"'),
                      h2.frame(ORIGIN, 0, 0, struct.pack(">H", 14) + b"https://b.test"))
            stream = peer.next_request()
            peer.send(h2.frame(ALTSVC, 0, stream, b"\0\0" + b'h3=":443"'))
            peer.answer(stream, b"ok", fields=[(b"alt-svc", b'h3=":443"'), (b"x-kept", b"yes")])
            peer.stay()
        origin = self.raw_origin(script)
        raw = self.raw(origin)
        raw.send(h2.head(1, h2.request(path=b"/alt", authority=b"localhost:%d" % origin.port)))
        kinds = set()
        while True:
            kind, flags, stream, _ = raw.read_frame()
            kinds.add(kind)
            if kind == h2.DATA and flags & h2.END_STREAM:
                break
        self.assertFalse(kinds & {ALTSVC, ORIGIN}, kinds)

    def test_fields_go_and_both_forms_are_recorded(self):
        for origin, path in ((self.h2_origin(), "/alt-svc"), (self.origin, "/alt-svc")):
            with self.subTest(origin=type(origin).__name__):
                done = self.serve.curl("--http2", "-i", "--suppress-connect-headers",
                                       f"https://localhost:{origin.port}{path}", check=0)
                self.assertNotIn("alt-svc", done.stdout.lower())
                self.assertIn("x-kept: yes", done.stdout.lower())
                record = self.serve.exchange(f":{origin.port}{path}", include=["original"])
                self.assertNotIn("alt-svc", record["response"]["headers"])
                self.assertIn('h3=":443"', json.dumps(record["original"]).replace('\\"', '"'))


    def test_fields_pass_where_that_is_asked_for(self):
        with Serve("--upstream-ca", self.fakes.pem, "--keep-alt-svc") as serve:
            for origin in (self.h2_origin(), self.origin):
                done = serve.curl("--http2", "-i", f"https://localhost:{origin.port}/alt-svc", check=0)
                self.assertIn('alt-svc: h3=":443"', done.stdout.lower())


class AmbiguousAnswers(Cases):
    """Ambiguous answers become a 502 page, also those of HTTP/2 origins; recorded, never forwarded."""

    STATUS = b"\x88"
    BAD = {
        "two lengths": STATUS + h2.block([(b"content-length", b"5"), (b"content-length", b"6")]),
        "a length that is none": STATUS + h2.block([(b"content-length", b"+5")]),
        "connection": STATUS + h2.block([(b"connection", b"close")]),
        "transfer-encoding": STATUS + h2.block([(b"transfer-encoding", b"chunked")]),
        "an upper-case name": STATUS + h2.block([(b"X-Up", b"a")]),
        "CRLF in a value": STATUS + h2.block([(b"x", b"a\r\nset-cookie: evil=1")]),
        "NUL in a value": STATUS + h2.block([(b"x", b"a\0b")]),
        "a blank in a name": STATUS + h2.block([(b"x y", b"a")]),
        "no status": h2.block([(b"x", b"y")]),
        "two statuses": STATUS + STATUS,
        "a status that is none": h2.block([(b":status", b"2000")]),
        "101": h2.block([(b":status", b"101")]),
        "a pseudo-header field after others": h2.block([(b"x", b"y")]) + STATUS,
        "a request's pseudo-header field": STATUS + h2.block([(b":path", b"/")]),
    }

    def test_of_h2_origins(self):
        for name, block in self.BAD.items():
            def script(peer):
                while True:
                    stream = peer.next_request()
                    peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block),
                              h2.frame(h2.DATA, h2.END_STREAM, stream, b"hello"))
            with self.subTest(name):
                origin = self.raw_origin(script)
                [answer] = self.h2(origin, "/bad")
                self.assertEqual((answer["status"], answer["headers"].get("sluice-error")), (502, "bad_answer"))
                self.assertEqual(self.serve.exchange(f":{origin.port}/bad")["error"]["code"], "bad_answer")

    def test_a_head_that_is_too_large(self):
        big = h2.block([(b"x%d" % n, b"y" * 60_000) for n in range(6)])

        def script(peer):
            stream = peer.next_request()
            pieces = [big[at:at + 16384] for at in range(0, len(big), 16384)]
            peer.send(h2.frame(h2.HEADERS, 0, stream, self.STATUS),
                      *[h2.frame(h2.CONTINUATION, h2.END_HEADERS if piece is pieces[-1] else 0, stream, piece)
                        for piece in pieces])
            peer.stay()
        origin = self.raw_origin(script)
        [answer] = self.h2(origin, "/big")
        self.assertEqual((answer["status"], answer["headers"]["sluice-error"]), (502, "answer_head_too_large"))


class Requests(Cases):
    """Too large a head: 431. An h2 request for a name outside its connection's destination gets 421."""

    def test_a_head_that_is_too_large(self):
        origin = self.raw_origin(echo)
        raw = self.raw(origin)
        block = h2.block(h2.request(authority=b"localhost:%d" % origin.port,
                                    more=[(b"x%d" % n, b"y" * 60_000) for n in range(6)]))
        pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        raw.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, pieces[0]),
                 *[h2.frame(h2.CONTINUATION, h2.END_HEADERS if piece is pieces[-1] else 0, 1, piece)
                   for piece in pieces[1:]])
        self.assertEqual(raw.status(1), 431)
        raw.send(h2.head(3, h2.request(authority=b"localhost:%d" % origin.port)))
        self.assertEqual(raw.status(3), 200)
        self.assertEqual(len(origin.peers[0].requests), 1)

    def test_another_name_is_misdirected_and_recorded(self):
        origin = self.raw_origin(echo)
        good, bad = self.h2(origin, "/good", {"path": "/bad", "authority": "elsewhere.test"})
        self.assertEqual((good["status"], bad["status"], bad["headers"]["sluice-error"]), (200, 421, "misdirected"))
        record = self.serve.exchange("/bad")
        self.assertEqual((record["error"]["code"], record["request"]["url"]),
                         ("misdirected", f"https://elsewhere.test:{origin.port}/bad"))
        self.assertEqual(len(origin.peers[0].requests), 1)


class Upgrade(Cases):
    """HTTP/2 without TLS by Upgrade (RFC 7540 §3.2), on both sides."""

    def test_to_an_origin_that_takes_it(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(close_listener, listener)
        port = listener.getsockname()[1]
        heads = []

        def serve():
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(20)
                peer = Peer(sock, 0)
                while b"\r\n\r\n" not in peer.buffer:
                    peer.buffer += sock.recv(65536)
                head, _, peer.buffer = peer.buffer.partition(b"\r\n\r\n")
                heads.append(head)
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
                peer.greet()
                peer.answer(1, b"over h2c")
                try:
                    peer.stay()
                except (Gone, OSError):
                    pass
        threading.Thread(target=serve, daemon=True).start()
        done = self.serve.curl("--http2", "--proxytunnel", "-w", " %{http_version}", f"http://localhost:{port}/up", check=0)
        self.assertEqual(done.stdout, "over h2c 2")
        self.assertIn(b"HTTP2-Settings:", heads[0])
        self.assertEqual(self.serve.exchange(f":{port}/up")["response"]["statusCode"], 200)

    def test_an_origin_that_does_not_answers_in_http_1(self):
        plain = self.new_origin(plain=True)
        done = self.serve.curl("--http2", "--proxytunnel", "-w", "%{http_version}", plain.url("/hello"), check=0)
        self.assertEqual(done.stdout, "hello from the origin\n1.1")


class WebSocketOverHttp2(Cases):
    """RFC 8441: extended CONNECT, offered where the origin offers it. Untouched frames pass as they stood."""

    def script(self, peer):
        while not peer.requests:
            peer.next_frame()
        stream = peer.requests[0]
        peer.send(h2.head(stream, [(b":status", b"200")], False))
        seen = 0

        def read_exactly(count):
            nonlocal seen
            while len(peer.content[stream]) < seen + count:
                peer.next_frame()
            seen += count
            return peer.content[stream][seen - count:seen]
        while True:
            got = read_frame(read_exactly)
            answer = frame(PONG if got.opcode == PING else got.opcode, got.payload, fin=got.fin)
            peer.send(h2.frame(h2.DATA, h2.END_STREAM if got.opcode == CLOSE else 0, stream, answer))
            if got.opcode == CLOSE:
                break
        peer.stay()

    def settings_of(self, raw):
        kind, _, _, payload = raw.read_frame()
        self.assertEqual(kind, h2.SETTINGS)
        return dict(struct.unpack(">HI", payload[at:at + 6]) for at in range(0, len(payload), 6))

    def test_messages_pass_as_they_stood_and_are_recorded(self):
        origin = self.raw_origin(self.script, settings=((ENABLE_CONNECT_PROTOCOL, 1),))
        raw = self.raw(origin)
        self.assertEqual(self.settings_of(raw).get(ENABLE_CONNECT_PROTOCOL), 1)
        authority = b"localhost:%d" % origin.port
        raw.send(h2.head(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"),
                             (b":authority", authority), (b":path", b"/socket"), (b"sec-websocket-version", b"13")], False))
        self.assertEqual(raw.status(1), 200)
        key = b"\x37\xfa\x21\x3d"
        said = (frame(TEXT, b"hello", key=key), frame(PING, b"there?", key=key), frame(TEXT, b"in ", key=key, fin=False),
                frame(0, b"parts", key=key), frame(CLOSE, close_body(4001, "enough"), key=key))
        for octets in said:
            raw.send(h2.frame(h2.DATA, 0, 1, octets))
        answers = b""
        while True:
            kind, flags, stream, payload = raw.read_frame()
            if kind == h2.DATA:
                answers += payload
                if flags & h2.END_STREAM:
                    break
        raw.send(h2.frame(h2.DATA, h2.END_STREAM, 1))
        self.assertEqual(origin.peers[0].content[1], b"".join(said))
        self.assertEqual(answers, frame(TEXT, b"hello") + frame(PONG, b"there?") + frame(TEXT, b"in ", fin=False) +
                         frame(0, b"parts") + frame(CLOSE, close_body(4001, "enough")))
        record = self.serve.exchange("/socket", include=["messages"])
        self.assertEqual((record["protocol"], record["state"], record["request"]["method"]),
                         ("websocket", "done", "CONNECT"))
        of_client = [m for m in record["messages"]["items"] if m["from"] == "client"]
        self.assertEqual([(m["type"], m.get("text")) for m in of_client],
                         [("text", "hello"), ("ping", "there?"), ("text", "in parts"), ("close", None)])
        self.assertEqual((of_client[-1]["code"], of_client[-1]["reason"]), (4001, "enough"))

    def test_an_origin_without_it_is_not_said_to_have_it(self):
        raw = self.raw(self.raw_origin(echo))
        self.assertNotIn(ENABLE_CONNECT_PROTOCOL, self.settings_of(raw))

    def test_a_cancelled_socket_is_cancelled_on_the_other_side(self):
        origin = self.raw_origin(self.script, settings=((ENABLE_CONNECT_PROTOCOL, 1),))
        raw = self.raw(origin)
        raw.send(h2.head(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"),
                             (b":authority", b"localhost:%d" % origin.port), (b":path", b"/cancelled")], False))
        self.assertEqual(raw.status(1), 200)
        raw.send(h2.frame(h2.RST_STREAM, 0, 1, struct.pack(">I", 8)))
        poll(lambda: origin.peers[0].resets.get(1) == 8, 10, "the reset")
        self.assertEqual(self.serve.exchange("/cancelled")["state"], "aborted")


if __name__ == "__main__":
    unittest.main()
