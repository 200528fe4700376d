"""Wires that slice at any offset and end at any octet, before the proxy and before the origin, by FIN and by RST: what was under way
ends and has a record of it, no part is taken for the whole, nothing stays open, and whoever comes next is served. Offsets are of
chance, from a seed that a failure names (CUTS_SEED repeats it; CUTS says how many for each kind of work, side, direction and end)."""
import contextlib
import errno
import os
import random
import time
import unittest

from harness import PATIENCE, Serve, clean_environment, poll  # first: it knows where the fakes are
from fakes.cutting import DIRECTIONS, HOWS, CuttingWire
from fakes.faulty import Faults
from fakes.h2_raw import DATA, END_STREAM, HEADERS, RST_STREAM, SETTINGS, H2Raw, frame, head, request
from fakes.h2_raw_origin import H2RawOrigin
from fakes.raw import RawClient, context
from fakes.websocket import TEXT, WebSocketClient, WebSocketServer
from hostile import Hostile

SEED = int(os.environ.get("CUTS_SEED") or random.randrange(1 << 32))
CUTS = int(os.environ.get("CUTS", "5"))
GONE = (OSError, EOFError, ValueError, IndexError, AssertionError)  # what a client says of an answer that was cut


class Works(Hostile):
    """Kinds of work: each returns whether it was whole, or raises one of GONE where it was told or saw that it is not."""

    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.near = CuttingWire("127.0.0.1", self.serve.proxy_port, self.chance)
        self.far = CuttingWire("127.0.0.1", self.origin.port, self.chance)
        for wire in (self.near, self.far):
            self.addCleanup(wire.close)
        self.origin.routes["/ws"] = WebSocketServer()
        self.add_rule({"hostname": "localhost", "urlPattern": "never"}, {"type": "mock", "status": 200})  # h2 is the client's choice
        self.open, self.number = [], 0
        self.addCleanup(self.leave)

    def leave(self):
        while self.open:
            self.open.pop().close()

    def client(self, alpn=None):
        client = RawClient("127.0.0.1", self.near.port, timeout=20)
        self.open.append(client)
        authority = f"localhost:{self.far.port}"
        if client.connect_through(authority).status != 200:
            raise EOFError("no tunnel")
        return client.start_tls("localhost", context(self.serve.ca, alpn=alpn)), authority

    def get(self, url):
        client, authority = self.client()
        client.send(f"GET {url} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return self.body_of(client)

    @staticmethod
    def body_of(client):
        answer = client.read_answer()
        if answer.status >= 500:
            raise EOFError("told so")
        return answer.body

    def download(self, query):
        return len(self.get(f"/large?size=60000&{query}")) == 60_000

    def chunks(self, query):
        return self.get(f"/chunked?{query}") == b"hello world"

    def upload(self, query):
        client, authority = self.client()
        body = b"".join(b"%x\r\n%s\r\n" % (size, b"u" * size) for size in (1, 999, 40_000)) + b"0\r\n\r\n"
        client.send(f"POST /echo?{query} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)
        return self.body_of(client) == b"u" * 41_000

    def messages(self, query):
        client, authority = self.client()
        peer = WebSocketClient(client, authority, f"/ws?{query}")
        for size in (1, 200, 20_000):
            peer.send(TEXT, b"m" * size)
            if peer.read().payload != b"m" * size:
                return False
        return peer.close().payload[:2] == b"\x03\xe8"

    def http2(self, query):
        client, authority = self.client(["h2"])
        peer = H2Raw(client)
        peer.send(head(1, request(path=f"/large?size=30000&{query}".encode(), authority=authority.encode())))
        status = peer.status(1)
        if status is None or status >= 500:
            raise EOFError("told so, or cut")
        return status == 200

    def of(self, query):
        """Records of that work. None where it was cut before its request was read."""
        return self.serve.traffic(url_filter=query, after_rev=self.rev)

    def has_ended(self, query):
        return all(row["state"] != "open" for row in self.of(query))

    def http2_of_both(self, query):
        """The origin speaks it, too, and content has no length."""
        client, authority = self.client(["h2"])
        peer = H2Raw(client)
        peer.send(head(1, request(path=f"/?{query}".encode(), authority=authority.encode())))
        status, content = None, b""
        while True:
            kind, flags, stream, payload = peer.read_frame()
            if kind == SETTINGS and not flags & 1:
                peer.send(frame(SETTINGS, 1))
            if stream != 1:
                continue
            if kind == RST_STREAM:
                raise EOFError("cut")
            if kind == HEADERS and status is None:
                status = payload[0]
            elif kind == DATA:
                content += payload
            if flags & END_STREAM:
                break
        if status != 0x88:
            raise EOFError("told so")
        return content == b"c" * 40_000

    def attempt(self, work):
        """One that may fail and must not pass for whole; and all that was begun has an end."""
        self.number += 1
        query, whole = f"cut={work.__name__}-{self.number}-", True
        with contextlib.suppress(*GONE):
            whole = work(query)
        return query, whole

    def settle(self, query):
        self.leave()
        poll(lambda: self.has_ended(query), 20, f"{query}: an end of what was begun")
        for row in self.of(query):
            self.assertIn(row["state"], ("done", "failed", "aborted"))

    def both_speak_http2(self):
        def serve(peer):  # once on each connection, so that the next one is the wire's to cut
            peer.answer(peer.next_request(), b"c" * 40_000)
            peer.go_away(1)
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), serve)
        self.addCleanup(origin.close)
        self.far = CuttingWire("127.0.0.1", origin.port, self.chance)
        self.addCleanup(self.far.close)


class Cuts(Works):
    flags = ("--timeout", "upstream-idle=0.01")  # no connection is pooled for the next work: each is the wire's to cut

    def sweep(self, work):
        self.assertTrue(work("whole=1"), "without a cut")
        self.leave()
        totals = {"near": dict(self.near.carried), "far": dict(self.far.carried)}
        done, cut = 0, {"near": 0, "far": 0}
        with self.bounded(mib=16, cpu=3, seconds=10):
            for side in ("near", "far"):
                for direction in DIRECTIONS:
                    for how in HOWS:
                        for _ in range(CUTS):
                            at = self.chance.randrange(max(1, totals[side][direction]))
                            with self.subTest(side=side, direction=direction, how=how, at=at, seed=SEED):
                                time.sleep(0.02)  # nothing is pooled any more
                                getattr(self, side).cut(direction, at, how)
                                query, whole = self.attempt(work)
                                self.assertTrue(whole, "what was cut was taken for whole")
                                self.settle(query)
                                done += 1
                                cut[side] += getattr(self, side).plan is None
        self.assertEqual((done, cut["near"]), (8 * CUTS, 4 * CUTS))
        self.assertGreaterEqual(cut["far"], 3 * CUTS, "most have a connection of their own to the origin")
        self.far.plan = None
        self.assertTrue(work("whole=2"), "after all cuts")
        self.leave()
        self.all_gone()

    def test_downloads_are_cut_at_any_octet(self):
        self.sweep(self.download)

    def test_chunks_with_trailers_are_cut_at_any_octet(self):
        self.sweep(self.chunks)

    def test_uploads_are_cut_at_any_octet(self):
        self.sweep(self.upload)

    def test_websockets_are_cut_at_any_octet(self):
        self.sweep(self.messages)

    def test_http_2_is_cut_at_any_octet(self):
        self.sweep(self.http2)

    def test_http_2_on_both_sides_is_cut_at_any_octet(self):
        self.both_speak_http2()
        self.sweep(self.http2_of_both)
        self.assertIsNone(self.far.plan, "the wire to the origin was not cut")


class SystemCalls(Works):
    """Any call on a socket fails, once: with each error that it may have, on either side, wherever in the work it is made."""
    ERRORS = {"recv": (errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENOMEM),
              "send": (errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOBUFS),
              "connect": (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EADDRNOTAVAIL),
              "socket": (errno.EMFILE, errno.ENFILE, errno.ENOBUFS),
              "accept": (errno.ECONNABORTED, errno.EMFILE, errno.ENOBUFS)}

    # Where memory for a write was short, but the connection stands, the other side is waited for.
    flags = tuple(f"--timeout={name}={2 * PATIENCE}" for name in ("first-byte", "idle", "tls", "websocket-idle"))
    EACH = max(1, CUTS // 2)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.faults = Faults(cls.directory)
        if not cls.faults.environment:
            raise unittest.SkipTest("there is no compiler")
        cls.end_serve()
        cls.serve = Serve("--upstream-ca", cls.fakes.pem, *cls.flags, directory=cls.directory, env={**clean_environment(), **cls.faults.environment})

    def setUp(self):
        super().setUp()
        self.addCleanup(self.faults.rest)

    def sweep(self, work):
        usual = {kind: self.faults.calls(kind) for kind in self.ERRORS}
        self.assertTrue(work("whole=1"), "without a fault")
        usual = {kind: self.faults.calls(kind) - count for kind, count in usual.items()}
        self.leave()
        with self.bounded(mib=64, cpu=8, seconds=60):
            fired = 0
            for kind, errors in self.ERRORS.items():
                for number in errors:
                    for _ in range(self.EACH):
                        at = self.chance.randrange(max(1, usual[kind]))
                        with self.subTest(call=kind, error=errno.errorcode[number], at=at, seed=SEED):
                            self.faults.fail(kind, at, number)
                            query, whole = self.attempt(work)
                            fired += self.faults.fired
                            self.faults.rest()
                            self.assertTrue(whole, "what was cut was taken for whole")
                            self.settle(query)
            self.assertGreater(fired, 4 * self.EACH, "calls that failed")
            for _ in range(self.EACH):
                self.faults.disturb(30)
                query, whole = f"disturbed={work.__name__}", work(f"disturbed={work.__name__}")
                self.assertGreater(self.faults.disturbed, 0)
                self.faults.rest()
                self.assertTrue(whole, "interrupted calls and short writes are no failures")
                self.settle(query)
            self.all_gone()

    def test_downloads_survive_or_end(self):
        self.sweep(self.download)

    def test_chunks_with_trailers_survive_or_end(self):
        self.sweep(self.chunks)

    def test_uploads_survive_or_end(self):
        self.sweep(self.upload)

    def test_websockets_survive_or_end(self):
        self.sweep(self.messages)

    def test_http_2_survives_or_ends(self):
        self.both_speak_http2()
        self.sweep(self.http2_of_both)


if __name__ == "__main__":
    unittest.main()
