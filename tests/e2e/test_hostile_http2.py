"""HTTP/2 frames that cost much and carry nothing (RFC 9113 §10.5), from clients and from origins: the connection ends within the
allowance of src/http2/floods.h, and a record says why."""
import struct
import unittest

from hostile import Hostile, end_of, flood  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.h2_raw_origin import H2RawOrigin, status_block

TABLE_SIZE, WINDOW = 1, 4  # settings
CANCEL = 8
CALM, PROTOCOL, INTERNAL, FLOW_CONTROL, FRAME_SIZE, COMPRESSION = 11, 1, 2, 3, 6, 9  # codes of GOAWAY
NOTHING = "too many frames that carry nothing"
FIELDS = "a field section over too many frames"
BOMB = b"\x40" + h2._string(b"x") + h2._string(b"z" * 3000)  # into the table of HPACK; \xbe names it (RFC 7541 §6)


def code(value):
    return struct.pack(">I", value)


def setting(identifier, value):
    return h2.frame(h2.SETTINGS, payload=struct.pack(">HI", identifier, value))


class Clients(Hostile):
    def setUp(self):
        super().setUp()
        self.may_be_answered()

    def head(self, stream, end=True, path=b"/hello", method=b"GET"):
        return h2.head(stream, h2.request(method=method, path=path, authority=self.authority()), end)

    def heads(self, behind, end, method=b"GET", path=b"/hello"):
        """20,000 requests, with `behind` after each head."""
        return b"".join(self.head(stream, end, path, method) + behind(stream) for stream in range(1, 40001, 2))

    def ended_for(self, why, octets, times=1, begin=b"", settings=(), mib=16, cpu=2, seconds=4, goaway=CALM):
        """The connection is ended though all of it is sent, and the record says why."""
        with self.bounded(mib, cpu, seconds):
            raw = self.h2_client(*settings)
            raw.send(begin)
            at_once = max(1, min(times, 30_000 // len(octets)))
            flood(raw.client, octets * at_once, times // at_once)
            self.assertIn(end_of(raw), (("goaway", goaway), ("closed", None)))
            raw.client.close()
        self.assertEqual(self.failed("bad_request", why)["state"], "failed")

    def test_a_rapid_reset_ends_the_connection(self):
        frames = self.heads(lambda stream: h2.frame(h2.RST_STREAM, 0, stream, code(CANCEL)), True)
        self.ended_for("resets streams faster than anybody needs", frames, mib=32, goaway=INTERNAL)
        self.assertLess(len(self.seen()), 1000)

    def test_resets_that_sluice_is_made_to_send_end_the_connection(self):
        frames = self.heads(lambda stream: h2.frame(h2.WINDOW_UPDATE, 0, stream, code(0)), False, b"POST")
        self.ended_for("PROTOCOL_ERROR", frames, goaway=PROTOCOL)
        frames = self.heads(lambda stream: h2.frame(h2.WINDOW_UPDATE, 0, stream, code(0x7fffffff)), False, b"POST")
        self.ended_for(NOTHING, frames, mib=32)

    def test_streams_beyond_the_limit_end_the_connection(self):
        self.ended_for("RFC 9113 §10.5", self.heads(lambda stream: b"", False, b"POST", b"/echo"))
        self.assertLessEqual(len(self.seen()), 300)

    def test_refusals_that_nobody_reads_end_the_connection(self):
        authority = self.authority()
        block = b"\x83\x87\x84\x01" + bytes([len(authority)]) + authority  # POST https / (RFC 7541 appendix A)
        with self.bounded(mib=16, cpu=2, seconds=4):
            raw = self.h2_client()
            sent = 0
            for first in range(1, 400_000, 2000):
                sent += flood(raw.client, b"".join(h2.frame(h2.HEADERS, 4, s, block) for s in range(first, first + 2000, 2)), 1)
            self.assertLess(sent, 200)
            raw.client.close()
        self.assertEqual(self.failed("bad_request", "RFC 9113 §10.5")["state"], "failed")

    def test_continuations_end_the_connection(self):
        begin = h2.frame(h2.HEADERS, 0, 1, h2.block(h2.request()))
        self.ended_for(FIELDS, h2.frame(h2.CONTINUATION, 0, 1, h2.block([(b"x", b"y" * 100)])), 100_000, begin)

    def test_empty_continuations_end_the_connection(self):
        begin = h2.frame(h2.HEADERS, 0, 1, h2.block(h2.request()))
        self.ended_for(FIELDS, h2.frame(h2.CONTINUATION, 0, 1), 1_000_000, begin)

    def test_settings_end_the_connection(self):
        self.ended_for(NOTHING, h2.frame(h2.SETTINGS), 200_000)

    def test_settings_that_toggle_a_window_end_the_connection(self):
        self.ended_for(NOTHING, setting(WINDOW, 0) + setting(WINDOW, 65535), 200_000)

    def test_settings_that_toggle_a_table_end_the_connection(self):
        self.ended_for(NOTHING, setting(TABLE_SIZE, 0) + setting(TABLE_SIZE, 0x7fffffff), 200_000)

    def test_thousands_of_settings_in_a_frame_end_the_connection(self):
        self.ended_for("too many setting entries", h2.frame(h2.SETTINGS, payload=struct.pack(">HI", TABLE_SIZE, 4096) * 2700), 1000)

    def test_pings_end_the_connection(self):
        self.ended_for("RFC 9113 §10.5", h2.frame(h2.PING, 0, 0, b"12345678"), 200_000)

    def test_priorities_end_the_connection(self):
        self.ended_for(NOTHING, h2.frame(h2.PRIORITY, 0, 3, struct.pack(">IB", 0, 15)), 200_000)

    def test_window_updates_end_the_connection(self):
        self.ended_for(NOTHING, h2.frame(h2.WINDOW_UPDATE, 0, 0, code(1)), 200_000)

    def test_frames_of_no_known_kind_end_the_connection(self):
        self.ended_for(NOTHING, h2.frame(0xbb), 200_000)

    def test_empty_data_ends_the_connection(self):
        self.ended_for(NOTHING, h2.frame(h2.DATA, 0, 1), 200_000, self.head(1, False, b"/echo", b"POST"))

    def test_data_that_is_all_padding_costs_no_more_than_its_octets(self):
        with self.bounded(mib=16, cpu=2, seconds=4):
            raw = self.h2_client()
            raw.send(self.head(1, False, b"/echo", b"POST"))
            flood(raw.client, h2.frame(h2.DATA, 8, 1, b"\xff" + b"\0" * 255) * 100, 500)
            raw.client.close()
        self.assertEqual(self.ended(lambda row: "/echo" in row["url"])["request"]["bodySize"], 0)

    def test_a_window_beyond_its_end_ends_the_connection(self):
        self.ended_for("FLOW_CONTROL_ERROR", h2.frame(h2.WINDOW_UPDATE, 0, 0, code(0x7fffffff)), 100, goaway=FLOW_CONTROL)

    def test_crumbs_of_window_end_the_connection(self):
        """One octet at a time, so that each costs a frame (CVE-2019-9511)."""
        begin = b"".join(self.head(stream, path=b"/large?size=1000000") for stream in range(1, 100, 2))
        crumbs = b"".join(h2.frame(h2.WINDOW_UPDATE, 0, stream, code(1)) for stream in range(1, 100, 2))
        self.ended_for(NOTHING, crumbs, 20_000, begin, [(WINDOW, 0)], cpu=4)

    def test_an_hpack_bomb_ends_the_connection(self):
        bomb = h2.block(h2.request(authority=self.authority())) + BOMB + b"\xbe" * 13_000
        self.ended_for("unfolds to many times the limit", h2.frame(h2.HEADERS, 5, 1, bomb))

    def test_small_hpack_bombs_on_thousands_of_streams_cost_what_records_may_cost(self):
        """Each head is within the limit: what they cost is what records and spool may cost (32 and 16 MiB), and 100 heads."""
        block = h2.block(h2.request(authority=self.authority()))
        first = h2.frame(h2.HEADERS, 5, 1, block + BOMB + b"\xbe" * 60)
        later = b"".join(h2.frame(h2.HEADERS, 5, stream, block + b"\xbe" * 60) for stream in range(3, 4001, 2))
        with self.bounded(mib=128, cpu=4, seconds=5):
            raw = self.h2_client()
            flood(raw.client, first + later, 1)
            end_of(raw, 0.5)
            raw.client.close()
        self.assertTrue(self.records())

    def test_an_integer_without_end_ends_the_connection(self):
        self.ended_for("COMPRESSION_ERROR", h2.frame(h2.HEADERS, 5, 1, b"\xff" * 10_000), goaway=COMPRESSION)

    def test_a_frame_that_is_too_large_ends_the_connection(self):
        self.ended_for("a frame is larger than allowed", b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 65536, goaway=FRAME_SIZE)


class Origins(Hostile):
    def answered(self, why, frames, times, begin=lambda stream: b"", bad="bad_answer"):
        """The origin floods once the request has come; the client gets a 502 or is cut, and the record says why."""
        def script(peer):
            stream = peer.next_request()
            peer.send(begin(stream))
            octets = frames(stream)
            at_once = max(1, min(times, 30_000 // len(octets)))
            for _ in range(times // at_once):
                peer.sock.sendall(octets * at_once)
            peer.stay()
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, for_http1=True)
        self.addCleanup(origin.close)
        with self.bounded(mib=24, cpu=2, seconds=4):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"GET /flood HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            answer = client.read_rest()[0]
            client.close()
        self.assertIn(b"HTTP/1.1 502 " if bad == "bad_answer" else b"HTTP/1.1 200 ", answer)
        self.assertEqual(self.failed(bad, why)["state"], "failed")
        self.assertEqual(len(origin.peers), 1, "it was tried again")

    @staticmethod
    def begun(stream):
        return h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88")

    @staticmethod
    def beginning(stream):
        return h2.frame(h2.HEADERS, 0, stream, b"\x88")

    def test_settings_end_the_connection(self):
        self.answered(NOTHING, lambda stream: h2.frame(h2.SETTINGS), 200_000)

    def test_settings_that_toggle_a_window_end_the_connection(self):
        self.answered(NOTHING, lambda stream: setting(WINDOW, 0) + setting(WINDOW, 65535), 200_000)

    def test_settings_that_toggle_a_table_end_the_connection(self):
        self.answered(NOTHING, lambda stream: setting(TABLE_SIZE, 0) + setting(TABLE_SIZE, 0x7fffffff), 200_000)

    def test_thousands_of_settings_in_a_frame_end_the_connection(self):
        self.answered("too many setting entries", lambda stream: h2.frame(h2.SETTINGS, payload=struct.pack(">HI", TABLE_SIZE, 4096) * 2700), 10)

    def test_priorities_end_the_connection(self):
        self.answered(NOTHING, lambda stream: h2.frame(h2.PRIORITY, 0, 3, struct.pack(">IB", 0, 15)), 200_000)

    def test_an_integer_without_end_ends_the_connection(self):
        self.answered("COMPRESSION_ERROR", lambda stream: h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\xff" * 10_000), 1)

    def test_a_frame_that_is_too_large_ends_the_connection(self):
        self.answered("a frame is larger than allowed", lambda stream: b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 65536, 1)

    def test_crumbs_of_window_end_the_connection(self):
        """One octet at a time for an upload, so that each costs a frame (CVE-2019-9511)."""
        def script(peer):
            _, _, stream, _ = next(frame for frame in iter(peer.next_frame, None) if frame[0] == h2.HEADERS)
            crumb = h2.frame(h2.WINDOW_UPDATE, 0, stream, code(1)) * 1000
            for _ in range(200):
                peer.send(crumb)
            peer.stay()
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, [(WINDOW, 0)], for_http1=True)
        self.addCleanup(origin.close)
        with self.bounded(mib=24, cpu=4, seconds=6):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"POST /crumbs HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 1000000\r\n\r\n" % origin.port + b"u" * 1_000_000)
            self.assertTrue(client.read_rest()[0].startswith(b"HTTP/1.1 502 "))
            client.close()
        self.assertEqual(self.failed("bad_answer", NOTHING)["state"], "failed")

    def test_resets_and_farewells_without_end_end_the_connection(self):
        for name, frames in (("resets", lambda stream: h2.frame(h2.RST_STREAM, 0, stream, code(CANCEL))),
                             ("farewells", lambda stream: h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", stream, 0)))):
            def script(peer, frames=frames):
                stream = peer.next_request()
                for _ in range(200):
                    peer.sock.sendall(frames(stream) * 1000)
                peer.stay()
            origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, for_http1=True)
            self.addCleanup(origin.close)
            with self.subTest(name), self.bounded(mib=24, cpu=2, seconds=4):
                client = self.client(origin=origin, alpn=["http/1.1"])
                client.send(b"GET /%s HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (name.encode(), origin.port))
                self.assertTrue(client.read_rest()[0].startswith(b"HTTP/1.1 502 "))
                client.close()
            self.ended(lambda row, name=name: name in row["url"] and row["state"] == "failed")

    def test_pings_end_the_connection(self):
        self.answered("RFC 9113 §10.5", lambda stream: h2.frame(h2.PING, 0, 0, b"12345678"), 200_000)

    def test_window_updates_end_the_connection(self):
        self.answered(NOTHING, lambda stream: h2.frame(h2.WINDOW_UPDATE, 0, 0, code(1)), 200_000)

    def test_frames_of_no_known_kind_end_the_connection(self):
        self.answered(NOTHING, lambda stream: h2.frame(0xbb), 200_000)

    def test_empty_data_ends_the_connection(self):
        self.answered(NOTHING, lambda stream: h2.frame(h2.DATA, 0, stream), 200_000, self.begun, "body_cut")

    def test_continuations_end_the_connection(self):
        self.answered(FIELDS, lambda stream: h2.frame(h2.CONTINUATION, 0, stream, h2.block([(b"x", b"y" * 100)])), 100_000, self.beginning)

    def test_empty_continuations_end_the_connection(self):
        self.answered(FIELDS, lambda stream: h2.frame(h2.CONTINUATION, 0, stream), 1_000_000, self.beginning)

    def test_interim_answers_end_the_connection(self):
        interim = status_block(103)
        self.answered("too many interim answers", lambda stream: h2.frame(h2.HEADERS, h2.END_HEADERS, stream, interim), 10_000)

    def test_an_hpack_bomb_ends_the_connection(self):
        bomb = b"\x88" + BOMB + b"\xbe" * 13_000
        self.answered("unfolds to many times the limit", lambda stream: h2.frame(h2.HEADERS, h2.END_HEADERS, stream, bomb), 1)

    def test_pushes_end_the_connection(self):
        self.answered("push disabled", lambda stream: h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, stream, code(2) + h2.block(h2.request())), 100)

    def test_a_window_beyond_its_end_ends_the_connection(self):
        self.answered("FLOW_CONTROL_ERROR", lambda stream: h2.frame(h2.WINDOW_UPDATE, 0, 0, code(0x7fffffff)), 100)


if __name__ == "__main__":
    unittest.main()
