"""Small octets that unfold into large ones, through every decoder and stacks of them, wherever Sluice decodes: when an agent reads or
searches a body, when a rule edits one, in WebSocket and gRPC messages. The octets themselves pass as they came."""
import base64
import gzip
import hashlib
import struct
import unittest
import zlib

from harness import needs_node, run  # first: it knows where the fakes are
from fakes.websocket import CONTINUATION, PING, TEXT, WebSocketClient, WebSocketServer, frame
from hostile import Hostile, flood

UNFOLDED = 128 << 20


def zeros(times, size=1 << 20):
    for _ in range(times):
        yield bytes(size)


def deflated(bits, pieces):
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return b"".join(map(packer.compress, pieces)) + packer.flush()


def zstd_of_zeros(size):
    """RFC 8878 §3.1.1: a window of 128 KiB, and blocks that say one octet many times (§3.1.1.2.2)."""
    blocks = size // 131072
    header = b"\x28\xb5\x2f\xfd\x00\x38"
    return header + b"".join(struct.pack("<I", (131072 << 3) | 2 | (n == blocks - 1))[:3] + b"\0" for n in range(blocks))


def brotli_of_zeros(size):
    script = ("const z = require('zlib'), q = z.constants.BROTLI_PARAM_QUALITY;"
              "process.stdout.write(z.brotliCompressSync(Buffer.alloc(%d), {params: {[q]: 1}}))" % size)
    return run(needs_node(), "-e", script, check=0, text=False).stdout


class Bombs(Hostile):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        once = deflated(31, zeros(UNFOLDED >> 20))
        zlibbed = deflated(15, zeros(UNFOLDED >> 20))
        cls.bombs = {"gzip": once, "deflate": zlibbed, "x-gzip": once, "br": brotli_of_zeros(UNFOLDED), "zstd": zstd_of_zeros(UNFOLDED),
                     "gzip, gzip": gzip.compress(once), "deflate, gzip": gzip.compress(zlibbed), "zstd, gzip": gzip.compress(zstd_of_zeros(UNFOLDED)),
                     "gzip, gzip, gzip, gzip": gzip.compress(gzip.compress(gzip.compress(once)))}
        cls.bombs["raw deflate"] = deflated(-15, zeros(UNFOLDED >> 20))

    def setUp(self):
        super().setUp()
        for number, (coding, bomb) in enumerate(self.bombs.items()):
            fields = [("Content-Type", "text/plain"), ("Content-Encoding", "deflate" if coding == "raw deflate" else coding)]
            self.origin.routes[f"/bomb{number}"] = lambda talk, bomb=bomb, fields=fields: talk.answer(body=bomb, fields=fields)

    def fetch(self, path, bomb):
        client = self.client()
        client.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
        self.assertEqual(client.read_answer().body, bomb)
        client.close()

    def read(self, path, **arguments):
        return self.serve.exchange(path, include=["response_body"], **arguments)["response"]["body"]

    def test_a_preview_and_the_first_page_keep_little_of_one(self):
        for number, (coding, bomb) in enumerate(self.bombs.items()):
            with self.subTest(coding), self.bounded(mib=24, cpu=1, seconds=3):
                self.fetch(f"/bomb{number}?read", bomb)
                body = self.read(f"/bomb{number}?read")
                self.assertEqual((body["text"], body["offset"]), ("\0" * len(body["text"]), 0))
                self.assertLessEqual(len(body["text"]), 16384)
                self.assertEqual(body["total"], UNFOLDED)

    def test_a_page_far_inside_one_keeps_little_more(self):
        for number, (coding, bomb) in enumerate(self.bombs.items()):
            with self.subTest(coding), self.bounded(mib=64, cpu=1, seconds=3):
                self.fetch(f"/bomb{number}?far", bomb)
                body = self.read(f"/bomb{number}?far", offset=UNFOLDED - 1000, limit=1 << 20)
                self.assertEqual((body["text"], body["bytes"]), ("\0" * 1000, 1000))

    def test_a_search_looks_at_eight_mebibytes_of_each(self):
        for number, bomb in enumerate(self.bombs.values()):
            self.fetch(f"/bomb{number}?search", bomb)
        with self.bounded(mib=64, cpu=2, seconds=3):
            found = self.serve.call("proxy_search_traffic", **{"query": "no such octets", "in": ["body"]})
            self.assertEqual(found["matches"], 0)

    def test_rules_let_answers_pass_unedited(self):
        self.add_rule({"pathPattern": "^/bomb"}, {"type": "passthrough", "transformResponse": {"matchReplaceBody": [["a", "b"]]}})
        for number, (coding, bomb) in enumerate(self.bombs.items()):
            with self.subTest(coding), self.bounded(mib=48, cpu=0.5, seconds=2):
                self.fetch(f"/bomb{number}?edit", bomb)
                self.assertIn("rule_body_limit", self.serve.exchange(f"/bomb{number}?edit")["anomalies"])

    def test_rules_let_requests_pass_unedited(self):
        self.add_rule({"pathPattern": "^/digest"}, {"type": "passthrough", "transformRequest": {"matchReplaceBody": [["a", "b"]]}})
        for number, (coding, bomb) in enumerate(self.bombs.items()):
            with self.subTest(coding), self.bounded(mib=48, cpu=0.5, seconds=2):
                client = self.client()
                name = b"deflate" if coding == "raw deflate" else coding.encode()
                client.send(b"POST /digest?%d HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Encoding: %s\r\n"
                            b"Content-Length: %d\r\n\r\n" % (number, name, len(bomb)) + bomb)
                self.assertEqual(client.read_answer().body.decode(), hashlib.sha256(bomb).hexdigest())
                client.close()
                self.assertIn("rule_body_limit", self.serve.exchange(f"/digest?{number}")["anomalies"])

    def test_grpc_messages_are_listed_with_their_beginnings(self):
        bomb = self.bombs["gzip"]
        body = b"\1" + struct.pack(">I", len(bomb)) + bomb
        self.origin.routes["/grpc"] = lambda talk: talk.answer(body=body, fields=[
            ("Content-Type", "application/grpc"), ("grpc-encoding", "gzip")])
        with self.bounded(mib=32, cpu=1, seconds=2):
            self.fetch("/grpc", body)
            self.assertEqual(self.serve.exchange("/grpc", include=["messages"])["messages"]["total"], 1)


    def test_bombs_in_each_message_of_grpc_are_decoded_within_what_a_body_may_be(self):
        small = deflated(31, zeros(1))  # of a mebibyte each, as much as is read of a message
        body = (b"\1" + struct.pack(">I", len(small)) + small) * 1000
        self.origin.routes["/grpc-many"] = lambda talk: talk.answer(body=body, fields=[
            ("Content-Type", "application/grpc"), ("grpc-encoding", "gzip")])
        with self.bounded(mib=64, cpu=2, seconds=4):
            self.fetch("/grpc-many", body)
            found = self.serve.exchange("/grpc-many")
            decoded = self.serve.call("proxy_decode_exchange", exchange_id=found["id"], include=["response"], offset=990, limit=10)["response"]
            self.assertEqual(decoded["total"], 1000)
            self.assertIn("more than there is for one body", decoded["value"][-1]["problem"])

    def test_wrappings_within_wrappings_are_decoded_within_what_a_body_may_be(self):
        """gzip in gzip in base64, without a coding that says so: found by looking."""
        wrapped = base64.b64encode(self.bombs["gzip, gzip, gzip, gzip"])
        self.origin.routes["/wrapped"] = lambda talk: talk.answer(body=wrapped, fields=[("Content-Type", "application/octet-stream")])
        with self.bounded(mib=64, cpu=2, seconds=4):
            self.fetch("/wrapped", wrapped)
            found = self.serve.exchange("/wrapped")
            decoded = self.serve.call("proxy_decode_exchange", exchange_id=found["id"], include=["response"])["response"]
            self.assertEqual(decoded["chain"][:2], ["base64", "gzip"])

    def test_recordings_are_made_searchable_and_searched_within_eight_mebibytes_of_each(self):
        with self.bounded(mib=96, cpu=6, seconds=8):
            session = self.serve.call("proxy_session_start", session_name="bombs", capture_profile="full")["session"]["id"]
            self.addCleanup(self.serve.call, "proxy_delete_session", session_id=session)
            try:
                for number, bomb in enumerate(self.bombs.values()):
                    self.fetch(f"/bomb{number}?recorded", bomb)
            finally:
                self.serve.call("proxy_session_stop")
            found = self.serve.call("proxy_search_session_bodies", session_id=session, text="no such octets")
            self.assertEqual(found.get("items", found.get("matches")), [])

    def test_an_export_holds_no_more_of_one_than_an_agent_may_be_given(self):
        for number, bomb in enumerate(self.bombs.values()):
            self.fetch(f"/bomb{number}?export", bomb)
        with self.bounded(mib=96, cpu=6, seconds=8):
            self.serve.call("proxy_export_traffic", format="har", filter="~u export", limit=20_000)


class WebSockets(Hostile):
    def open(self, path, edited, extensions=None, script=None):
        if edited:
            self.add_rule({"pathPattern": "^" + path}, {"type": "passthrough", "transformMessage": {
                "direction": "both", "regexReplace": [["ping", "pong"]]}})
        self.origin.routes[path] = WebSocketServer(extensions=extensions, script=script)
        return WebSocketClient(self.client(), f"localhost:{self.origin.port}", path, extensions=extensions)

    @staticmethod
    def swallow(session):
        while session.talk.receive():
            pass

    def test_deflate_bombs_pass_and_are_listed_with_their_beginnings(self):
        bomb = deflated(-15, zeros(UNFOLDED >> 20))
        for edited in (False, True):
            with self.subTest(edited=edited), self.bounded(mib=96, cpu=2, seconds=5):
                path = f"/bomb-{edited}"
                socket = self.open(path, edited, "permessage-deflate")
                socket.send(TEXT, bomb, rsv1=True)
                self.assertEqual(socket.read().payload, bomb)
                socket.close()
                exchange = self.serve.exchange(path, include=["messages"])
                self.assertEqual(exchange["anomalies"], ["rule_body_limit"] if edited else [])
                self.assertEqual(exchange["messages"]["total"], 4)  # with both Close frames

    def test_fragments_without_end_pass_as_they_come(self):
        for size in (0, 1, 16000):
            for edited in (False, True):
                with self.subTest(size=size, edited=edited), self.bounded(mib=48, cpu=6, seconds=9):
                    path = f"/fragments{size}-{edited}"
                    socket = self.open(path, edited, script=self.swallow)
                    socket.send(TEXT, b"begins", fin=False)
                    piece = frame(CONTINUATION, b"x" * size, fin=False, key=b"\1\2\3\4")
                    flood(socket.raw, piece * max(1, 50_000 // len(piece)), 180)  # more than 8 MiB
                    socket.raw.close()
                    exchange = self.serve.exchange(path)
                    self.assertTrue({"truncated_body", "websocket_error"} & set(exchange["anomalies"]))
                    self.assertEqual(edited, "rule_body_limit" in exchange["anomalies"])

    def test_a_frame_without_end_passes_as_it_comes(self):
        for edited in (False, True):
            with self.subTest(edited=edited), self.bounded(mib=48, cpu=2, seconds=5):
                path = f"/endless-{edited}"
                socket = self.open(path, edited, script=self.swallow)
                socket.raw.send(b"\x81\xff" + struct.pack(">Q", (1 << 63) - 1) + b"\0\0\0\0")
                flood(socket.raw, b"x" * 65536, 600)
                socket.raw.close()
                exchange = self.serve.exchange(path)
                self.assertIn("truncated_body", exchange["anomalies"])
                self.assertEqual(edited, "rule_body_limit" in exchange["anomalies"])

    def test_what_an_origin_sends_without_end_passes_as_it_comes(self):
        """Fragments, a frame, pings; to a client that reads."""
        kinds = {"fragments": (frame(TEXT, b"begins", fin=False), frame(CONTINUATION, b"x" * 1000, fin=False) * 60, 200),
                 "crumbs": (frame(TEXT, b"begins", fin=False), frame(CONTINUATION, b"x", fin=False) * 15_000, 20),
                 "frame": (b"\x81\x7f" + struct.pack(">Q", (1 << 63) - 1), b"x" * 65536, 200), "pings": (b"", frame(PING, b"") * 15_000, 10)}
        for kind, (begin, octets, times) in kinds.items():
            for edited in (False, True):
                with self.subTest(kind, edited=edited), self.bounded(mib=64, cpu=6, seconds=9):
                    def pour(session, begin=begin, octets=octets, times=times):
                        session.talk.send(begin)
                        for _ in range(times):
                            session.talk.send(octets)
                        session.talk.clean = False
                        session.talk.reset()
                    path = f"/from-{kind}-{edited}"
                    socket = self.open(path, edited, script=pour)
                    rest, _ = socket.raw.read_rest()
                    if not edited:
                        self.assertTrue((begin + octets * times).startswith(rest))
                    socket.raw.close()
                    exchange = self.serve.exchange(path)
                    self.assertEqual(exchange["error"]["code"], "body_cut")
                    whole = kind == "pings" or (edited and kind == "crumbs")  # of the last, nothing has passed
                    self.assertEqual("truncated_body" in exchange["anomalies"], not whole)
                    self.assertEqual("rule_body_limit" in exchange["anomalies"], edited and not whole)

    def test_pings_without_end_pass_as_they_come(self):
        for edited in (False, True):
            with self.subTest(edited=edited), self.bounded(mib=48, cpu=5, seconds=5):
                path = f"/pings-{edited}"
                socket = self.open(path, edited, script=self.swallow)
                flood(socket.raw, frame(PING, b"", key=b"\1\2\3\4") * 10_000, 15)
                socket.raw.close()
                self.assertEqual(self.serve.exchange(path)["protocol"], "websocket")


if __name__ == "__main__":
    unittest.main()
