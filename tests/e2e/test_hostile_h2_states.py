"""Origins that speak HTTP/2 and end, reset, or fall silent in every state of a connection (test_hostile_states has the others), or answer
when nobody asks."""
import socket
import struct
import unittest

from harness import PATIENCE  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.h2_raw_origin import H2RawOrigin, Peer, status_block
from test_hostile_states import IDLE, States


class Origins(States):
    """`reach` brings a connection into a state, and there it ends."""

    @staticmethod
    def asked(peer):
        peer.greet()
        return peer.next_request()

    def before_settings(self, _):
        pass

    def within_settings(self, peer):
        peer.send(h2.frame(h2.SETTINGS, payload=b"\0\3\0\0\0\1")[:11])

    def behind_settings(self, peer):
        peer.greet()

    def waiting(self, peer):
        self.asked(peer)

    def within_a_frame(self, peer):
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, self.asked(peer), b"\x88")[:9])

    def within_a_head(self, peer):
        peer.send(h2.frame(h2.HEADERS, 0, self.asked(peer), b"\x88"))

    def behind_an_interim_answer(self, peer):
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, self.asked(peer), status_block(103)))

    def behind_the_head(self, peer):
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, self.asked(peer), b"\x88"))

    def within_content(self, peer):
        stream = self.asked(peer)
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"), h2.frame(h2.DATA, 0, stream, b"some content")[:13])

    def behind_content(self, peer):
        stream = self.asked(peer)
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"), h2.frame(h2.DATA, 0, stream, b"some"))

    def within_trailers(self, peer):
        stream = self.asked(peer)
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"), h2.frame(h2.DATA, 0, stream, b"some"),
                  h2.frame(h2.HEADERS, h2.END_STREAM, stream, h2.block([(b"x", b"y")])))

    def going_away(self, peer):
        peer.go_away(self.asked(peer))

    def behind_a_short_answer(self, peer):
        stream = self.asked(peer)
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, status_block(200, (b"content-length", b"10"))),
                  h2.frame(h2.DATA, 0, stream, b"some"))

    STATES = (before_settings, within_settings, behind_settings, waiting, within_a_frame, within_a_head, behind_an_interim_answer,
              behind_the_head, within_content, behind_content, within_trailers, going_away, behind_a_short_answer)

    def origin_in(self, reach, how, for_http1):
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), None, for_http1=for_http1)

        def talk(sock):
            reach(self, Peer(sock, 0))
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if how == "fin":
                sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        origin.talk = talk
        self.addCleanup(origin.close)
        return origin

    def end_everywhere(self, how):
        """For clients of both versions, all at once: many of them wait for a time-out."""
        with self.bounded(mib=48, cpu=5, seconds=14):
            asked = []
            for number, reach in enumerate(self.STATES):
                old, new = (self.origin_in(reach, how, for_http1) for for_http1 in (True, False))
                client = self.client(origin=old, alpn=["http/1.1"])
                client.send(b"GET /h2-state?%d HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % (number, old.port))
                raw = self.h2_client(origin=new)
                raw.send(h2.head(1, h2.request(path=b"/h2-state?%d" % number, authority=self.authority(new))))
                asked.append((reach.__name__, client, raw))
            for name, client, raw in asked:
                client.sock.settimeout(15 * PATIENCE)
                answer = client.read_rest()[0]
                self.assertFalse(answer.endswith(b"\r\n0\r\n\r\n"), f"{name}: taken for whole")
                if name in ("before_settings", "within_settings", "behind_settings", "waiting", "within_a_frame", "within_a_head"):
                    self.assertRegex(answer, rb"^HTTP/1.1 50[24] ", name)
                raw.client.sock.settimeout(15 * PATIENCE)
                self.assertNotEqual(raw.outcome(1)[0], "goaway", name)
                raw.client.close()
            self.all_gone()
        rows = [row for row in self.records() if "/h2-state" in row["url"]]
        self.assertEqual(len(rows), 2 * len(self.STATES))
        self.assertEqual([row for row in rows if row["state"] in ("done", "open")], [])
        self.assertEqual([row for row in rows if not row["error"]], [])

    def test_ends_in_every_state_leave_nothing_open(self):
        self.end_everywhere("fin")

    def test_resets_in_every_state_leave_nothing_open(self):
        self.end_everywhere("reset")

    def test_silence_in_every_state_leaves_nothing_open(self):
        self.end_everywhere("silent")

    def test_answers_that_come_early_twice_or_late_are_nobodys(self):
        """Early: before its request. Twice: behind the end of the answer. Late: behind our reset. What is said so is nobody's."""
        def answer(stream, content):
            return h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88") + h2.frame(h2.DATA, h2.END_STREAM, stream, content)

        def early(peer, stream):
            peer.send(answer(stream + 2, b"stray") + answer(stream, b"right"))

        def twice(peer, stream):
            peer.send(answer(stream, b"right") + answer(stream, b"stray"))

        def late(peer, stream):
            while stream not in peer.resets:
                peer.next_frame()
            peer.send(answer(stream, b"stray"))
        for script in (early, twice, late):
            scripts = [script, *[lambda peer, stream: peer.send(answer(stream, b"right"))] * 20]

            def talk(peer, scripts=scripts):
                while True:
                    stream = peer.next_request()
                    scripts.pop(0)(peer, stream)
            origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), talk)
            self.addCleanup(origin.close)
            with self.subTest(script.__name__), self.bounded(mib=16, cpu=1, seconds=IDLE + 4):
                raw = self.h2_client(origin=origin)
                for stream in (1, 3, 5):
                    raw.send(h2.head(stream, h2.request(path=b"/h2-stray", authority=self.authority(origin))))
                    self.assertEqual(self.content(raw, stream), b"" if stream == 1 and script is not twice else b"right")
                raw.client.close()

    @staticmethod
    def content(raw, stream):
        """Of an answer with status 200."""
        content, good = b"", False
        while True:
            kind, flags, at, payload = raw.read_frame()
            if kind == h2.SETTINGS and not flags & 1:
                raw.send(h2.frame(h2.SETTINGS, 1))
            if at != stream:
                continue
            if kind == h2.HEADERS:
                good = payload[0] == 0x88
            elif kind == h2.DATA:
                content += payload
            if kind == h2.RST_STREAM or flags & h2.END_STREAM:
                return content if good else b""


if __name__ == "__main__":
    unittest.main()
