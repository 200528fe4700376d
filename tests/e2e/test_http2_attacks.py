"""What no honest HTTP/2 client sends: refused, recorded, and never seen by the origin (engine.md 1, 4)."""
import os
import struct

from harness import E2E, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.raw import context


class Attacks(E2E):
    def setUp(self):
        super().setUp()
        # The origin speaks HTTP/1.1 only; a rule that may answer lets the client choose HTTP/2.
        self.add_rule({"hostname": "localhost", "urlPattern": "never-asked-for"}, {"type": "mock", "status": 200})

    def h2(self):
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{self.origin.port}").status, 200)
        client.start_tls("localhost", context(self.serve.ca, alpn=["h2"]))
        return h2.H2Raw(client)

    def refused(self, name, fields, *frames_after, end=True):
        with self.subTest(name):
            fields = [(n, v.replace(b"/", b"/smuggled", 1) if n == b":path" else v) for n, v in fields]
            raw = self.h2()
            raw.send(h2.head(1, fields, end), *frames_after)
            status = raw.status(1)
            self.assertIn(status, (400, 421, 431, None), name)
            seen = [r.head for r in self.origin.requests if b"smuggled" in r.head or b"evil" in r.head]
            self.assertEqual(seen, [], f"{name}: the origin saw it")
            # The connection, or a new one, still works.
            fresh = self.h2()
            fresh.send(h2.head(1, h2.request(path=b"/hello", authority=b"localhost:%d" % self.origin.port)))
            self.assertEqual(fresh.status(1), 200)

    def test_smuggling_through_heads_is_refused(self):
        at = b"localhost:%d" % self.origin.port

        def with_fields(*more):
            return h2.request(authority=at, more=more)
        self.refused("CRLF in a value", with_fields((b"x", b"a\r\nHost: evil")))
        self.refused("LF in a value", with_fields((b"x", b"a\nx: y")))
        self.refused("NUL in a value", with_fields((b"x", b"a\0b")))
        self.refused("CRLF in a name", with_fields((b"x\r\ny", b"a")))
        self.refused("a colon in a name", with_fields((b"x: y", b"a")))
        self.refused("an upper-case name", with_fields((b"X-Up", b"a")))
        self.refused("transfer-encoding", with_fields((b"transfer-encoding", b"chunked")))
        self.refused("connection", with_fields((b"connection", b"keep-alive")))
        self.refused("upgrade", with_fields((b"upgrade", b"h2c")))
        self.refused("te: gzip", with_fields((b"te", b"gzip")))
        self.refused("a second Host", with_fields((b"host", b"evil.test")))
        self.refused("two content-lengths", with_fields((b"content-length", b"1"), (b"content-length", b"2")), end=False)
        self.refused("a method with a request in it",
                     h2.request(method=b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\nGET", authority=at))
        self.refused("a path with a blank", h2.request(path=b"/ HTTP/1.1\r\nX: y", authority=at))
        self.refused("a path without a slash", h2.request(path=b"evil", authority=at))
        self.refused("userinfo", h2.request(authority=b"user@" + at))
        self.refused("an authority with a blank", h2.request(authority=b"localhost evil"))
        self.refused("a pseudo-header after others", [*with_fields((b"x", b"y")), (b":path", b"/other")])
        self.refused("no :path", h2.request(authority=at)[:3])
        self.refused("an unknown pseudo-header", [(b":evil", b"x"), *h2.request(authority=at)])

    def test_content_beyond_its_length_is_no_second_request(self):
        at = b"localhost:%d" % self.origin.port
        raw = self.h2()
        raw.send(h2.head(1, h2.request(method=b"POST", path=b"/echo", authority=at, more=[(b"content-length", b"1")]),
                         False),
                 h2.frame(h2.DATA, h2.END_STREAM, 1, b"xGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"))
        self.assertIn(raw.status(1), (400, None))
        raw = self.h2()
        raw.send(h2.head(1, h2.request(path=b"/hello", authority=at)))
        self.assertEqual(raw.status(1), 200)
        self.assertEqual([r.head for r in self.origin.requests if b"evil" in r.head], [])

    def test_refused_heads_are_recorded(self):
        raw = self.h2()
        raw.send(h2.head(1, h2.request(path=b"/recorded", authority=b"localhost:%d" % self.origin.port,
                                       more=[(b"transfer-encoding", b"chunked")])))
        self.assertEqual(raw.status(1), 400)
        exchange = self.serve.exchange("/recorded")
        self.assertEqual(exchange["error"]["code"], "bad_request")

    def ends_flood(self, *frames, times=20000):
        """The connection ends, or goes on and costs nothing; Sluice lives either way."""
        raw = self.h2()
        resident = self.resident()
        chunk = b"".join(frames)
        try:
            for _ in range(times // 100):
                raw.client.send(chunk * 100)
        except OSError:
            pass
        self.assertLess(self.resident() - resident, 60_000)
        fresh = self.h2()
        fresh.send(h2.head(1, h2.request(path=b"/hello", authority=b"localhost:%d" % self.origin.port)))
        self.assertEqual(fresh.status(1), 200)
        return raw

    def resident(self):
        with open(f"/proc/{self.serve.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def test_rapid_reset_ends_the_connection(self):
        raw = self.h2()
        at = b"localhost:%d" % self.origin.port
        try:
            for stream in range(1, 40001, 2):
                raw.client.send(h2.head(stream, h2.request(path=b"/hello", authority=at)) +
                                h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", 8)))
        except OSError:
            pass
        what = poll(lambda: raw.outcome(0)[0], 10, "the end")
        self.assertIn(what, ("goaway", "closed"))

    def test_floods_of_frames_are_ended_or_cost_nothing(self):
        self.ends_flood(h2.frame(h2.PING, 0, 0, b"12345678"))
        self.ends_flood(h2.frame(h2.SETTINGS))
        self.ends_flood(h2.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)))
        self.ends_flood(h2.frame(h2.PRIORITY, 0, 3, struct.pack(">IB", 0, 15)))

    def test_a_flood_of_continuations_ends(self):
        raw = self.h2()
        raw.send(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.request())))
        try:
            for _ in range(20000):
                raw.client.send(h2.frame(h2.CONTINUATION, 0, 1, h2.block([(b"x", b"y" * 100)])))
        except OSError:
            return  # it has ended
        self.assertIn(raw.outcome(0)[0], ("goaway", "closed"))

    def test_an_hpack_bomb_is_too_large(self):
        raw = self.h2()
        # One long value in the table, then named thousands of times (RFC 7541 §6.1).
        bomb = h2.block(h2.request(authority=b"localhost:%d" % self.origin.port))
        bomb += b"\x40" + h2._string(b"x") + h2._string(b"z" * 3000) + b"\xbe" * 10000
        frames = [h2.frame(h2.HEADERS, h2.END_STREAM, 1, bomb[:16000])]
        frames.append(h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, bomb[16000:]))
        raw.send(*frames)
        self.assertIn(raw.status(1), (431, None))
