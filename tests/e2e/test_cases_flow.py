"""Flow control of HTTP/2, in the words of engine.md 4. docs/protocol-cases.md lists the cases."""
import struct
import time
import unittest

from harness import PATIENCE, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from test_cases_http2 import INTERNAL_ERROR, Cases

INITIAL_WINDOW = 4  # SETTINGS_INITIAL_WINDOW_SIZE
UNSET_WINDOW = 65535


class Windows(Cases):
    """nghttp2's automatic window updates are off; the connection window is returned when bytes leave the codec, the
    stream window when they leave the other side; stream windows begin at 64 KiB and grow to 1 MiB while it drains."""

    def uploader(self, origin):
        return Uploader(self.raw(origin), b"localhost:%d" % origin.port)

    def test_the_stream_window_is_returned_when_octets_leave_the_other_side(self):
        def script(peer):  # takes the stream's first 65,535 octets and gives no more window
            peer.give_window(1 << 30)
            peer.stay()
        origin = self.raw_origin(script)
        up = self.uploader(origin)
        self.assertEqual(up.first_window(), 65536)
        up.open(1)
        sent = up.send_until_quiet(1)
        # What the origin has, what waits for it to take more, and the window that this client has used up.
        self.assertGreaterEqual(sent, UNSET_WINDOW + 65536)
        self.assertLessEqual(sent, UNSET_WINDOW + 3 * 65536)
        self.assertEqual(up.windows[1], 0)
        origin.peers[0].give_window(100_000, 1)
        self.assertGreaterEqual(up.send_until_quiet(1, least=sent + 90_000), sent + 90_000)

    def test_the_connection_window_is_returned_when_octets_leave_the_codec(self):
        """99 uploads that nobody takes have more in them than the connection's window; the 100th goes on."""
        def script(peer):
            peer.give_window(1 << 30)
            while True:
                kind, _, stream, payload = peer.next_frame()
                if kind == h2.DATA and payload.startswith(b"g"):
                    peer.give_window(len(payload), stream)
                    if stream in peer.ended:
                        peer.answer(stream)
        up = self.uploader(self.raw_origin(script))
        last = 199
        for stream in range(1, last, 2):
            up.open(stream)
        for stream in range(1, last, 2):
            up.send_all_that_may_go(stream)
        self.assertGreater(sum(up.sent.values()), 4 << 20)
        up.open(last)
        up.send(last, b"g" * 2_000_000, end=True)
        self.assertEqual(up.wait_answer(last), "200")

    def test_a_stream_window_begins_at_64_kib_and_grows_to_1_mib_while_the_other_side_drains(self):
        self.may_be_answered()
        up = self.uploader(self.origin)
        self.assertEqual(up.first_window(), 65536)
        up.open(1, path=b"/digest", more=[(b"content-length", b"%d" % (24 << 20))])
        up.send(1, b"x" * (24 << 20), end=True)
        self.assertEqual(up.wait_answer(1), "200")
        self.assertGreaterEqual(up.widest[1], 512 << 10)
        self.assertLessEqual(up.widest[1], 1 << 20)

    def test_what_waits_for_a_client_that_does_not_read_is_bounded(self):
        """All buffered bytes count: 100 endless downloads, of which this client reads not one octet."""
        pushed = []

        def push(peer):  # as much as the windows allow, on each stream
            connection, windows, initial, update = UNSET_WINDOW, {}, UNSET_WINDOW, struct.Struct(">I")
            while True:
                kind, flags, stream, payload = peer.next_frame()
                if kind == h2.SETTINGS and not flags & 1:
                    settings = dict(struct.iter_unpack(">HI", payload))
                    initial = settings.get(INITIAL_WINDOW, initial)
                elif kind == h2.HEADERS:
                    windows[stream] = initial
                    peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"))
                elif kind == h2.WINDOW_UPDATE and stream == 0:
                    connection += update.unpack(payload)[0]
                elif kind == h2.WINDOW_UPDATE:
                    windows[stream] += update.unpack(payload)[0]
                for stream in windows:
                    while (room := min(windows[stream], connection, 16384)) > 0:
                        windows[stream], connection = windows[stream] - room, connection - room
                        peer.send(h2.frame(h2.DATA, 0, stream, b"x" * room))
                        pushed.append(room)
        origin = self.raw_origin(push)
        before = self.resident()
        raw = self.raw(origin, (INITIAL_WINDOW, 0x7fffffff))
        raw.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fff0000)))
        for stream in range(1, 200, 2):
            raw.send(h2.head(stream, h2.request(authority=b"localhost:%d" % origin.port)))
        poll(lambda: sum(pushed) > 100 * UNSET_WINDOW, 20, "as much as all the first windows")

        def settled():
            now = sum(pushed)
            time.sleep(0.5)  # what is looked for is that nothing happens
            return now == sum(pushed)
        poll(settled, 20, "an end of the downloads")
        self.assertLess(self.resident() - before, PATIENCE * (64 << 20))
        fresh = self.raw(origin)
        fresh.send(h2.head(1, h2.request(authority=b"localhost:%d" % origin.port)))
        self.assertEqual(fresh.status(1), 200)

    def resident(self):
        with open(f"/proc/{self.serve.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096


class Uploader:
    """An HTTP/2 client that keeps the windows' books and sends what they allow."""

    def __init__(self, raw, authority):
        self.raw, self.authority = raw, authority
        self.initial, self.connection = UNSET_WINDOW, UNSET_WINDOW
        self.windows, self.sent, self.widest, self.over = {}, {}, {}, {}
        self.greeted = False

    def first_window(self):
        while not self.greeted:
            self.take(self.raw.read_frame())
        return self.initial

    def open(self, stream, path=b"/", more=()):
        self.windows[stream], self.sent[stream], self.widest[stream] = self.initial, 0, self.initial
        self.raw.send(h2.head(stream, h2.request(b"POST", path, self.authority, more=more), False))

    def take(self, frame):
        kind, flags, stream, payload = frame
        if kind == h2.SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == INITIAL_WINDOW:
                    self.windows = {s: w + value - self.initial for s, w in self.windows.items()}
                    self.initial = value
            self.greeted = True
            self.raw.send(h2.frame(h2.SETTINGS, 1))
        elif kind == h2.WINDOW_UPDATE:
            more = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.connection += more
            elif stream in self.windows:
                self.windows[stream] += more
                self.widest[stream] = max(self.widest[stream], self.windows[stream])
        elif kind == h2.HEADERS:
            self.over[stream] = "200" if payload[:1] == b"\x88" else payload.hex()
        elif kind == h2.RST_STREAM and stream not in self.over:
            self.over[stream] = "reset"
        elif kind == h2.GOAWAY:
            raise AssertionError(f"GOAWAY {payload!r}")

    def room(self, stream):
        return min(self.windows[stream], self.connection, 16384)

    def piece(self, stream, octets, end):
        self.windows[stream] -= len(octets)
        self.connection -= len(octets)
        self.sent[stream] += len(octets)
        self.raw.send(h2.frame(h2.DATA, h2.END_STREAM if end else 0, stream, octets))

    def send(self, stream, octets, end=False):
        """All of it, waiting for windows."""
        at = 0
        while at < len(octets):
            room = self.room(stream)
            if room <= 0:
                self.take(self.raw.read_frame())
                continue
            piece = octets[at:at + room]
            at += len(piece)
            self.piece(stream, piece, end and at == len(octets))

    def send_all_that_may_go(self, stream):
        while (room := self.room(stream)) > 0:
            self.piece(stream, b"h" * room, False)
        if self.windows[stream] > 0:  # only the connection's is shut: it opens
            self.take(self.raw.read_frame())
            self.send_all_that_may_go(stream)

    def send_until_quiet(self, stream, least=0, quiet=1.0):
        """What may go, until no window has been given for a while; what was sent in all."""
        client = self.raw.client
        while True:
            while (room := self.room(stream)) > 0:
                self.piece(stream, b"x" * room, False)
            client.sock.settimeout(quiet if self.sent[stream] >= least else 15)
            try:
                self.take(self.raw.read_frame())
            except TimeoutError:
                client.sock.settimeout(15)
                return self.sent[stream]

    def wait_answer(self, stream):
        while stream not in self.over:
            self.take(self.raw.read_frame())
        return self.over[stream]


class Siblings(Cases):
    def test_100_streams_one_held_one_slow_one_reset(self):
        """A held stream never stops its siblings. Held: its origin never answers, its origin does not take its body, or
        its client does not read. They are held until all others are over."""
        origin = self.h2_origin()
        requests = [{"path": "/hold", "cancelAfter": "others"},
                    {"path": "/hold?upload", "method": "POST", "bodySize": 3_000_000, "cancelAfter": "others"},
                    {"path": "/bytes?n=3000000", "read": False, "cancelAfter": "others"},
                    "/slow", "/reset?code=2"]
        requests += [{"path": "/bytes?n=100000"}] * 70
        requests += [{"path": "/echo", "method": "POST", "bodySize": 100_000}] * 25
        answers = self.h2(origin, *requests)
        self.assertEqual([a["held"] for a in answers[:3]], [True] * 3)
        self.assertEqual(answers[3]["body"], "tick\n" * 20)
        self.assertEqual((answers[4]["status"], answers[4]["code"]), (0, INTERNAL_ERROR))
        self.assertEqual([a["size"] for a in answers[5:]], [100_000] * 95)

    def test_with_an_h1_origin(self):
        self.may_be_answered()
        requests = [{"path": "/slow?held", "cancelAfter": "others"},
                    {"path": "/large?size=8000000", "read": False, "cancelAfter": "others"}]
        requests += [{"path": "/large?size=100000"}] * 98
        answers = self.h2(self.origin, *requests)
        self.assertEqual([a["held"] for a in answers[:2]], [True] * 2)
        self.assertEqual([a["size"] for a in answers[2:]], [100_000] * 98)
        for _ in range(3):
            self.origin.gate.release()


if __name__ == "__main__":
    unittest.main()
