"""Heads, fields, chunks and bodies without end, from clients and from origins: each is refused at a limit of base/limits.h, or carried
without being gathered."""
import contextlib
import unittest

from hostile import Hostile, flood  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.h2_raw_origin import H2RawOrigin
from fakes.origin import route

FIELDS = b"".join(b"x-%d: y\r\n" % number for number in range(100_000))
MUCH = b"z" * 65536


@route(reads_body=True)
def swallow(talk):
    """Takes whatever comes; answers when it has ended, if it does."""
    size = len(talk.buffer)
    while not talk.buffer.endswith(b"0\r\n\r\n"):
        talk.buffer = talk.receive()
        size += len(talk.buffer)
    talk.buffer = b""
    talk.answer(body=str(size))


def endless(octets, begin=b""):
    """An origin's answer that goes on as long as somebody takes it."""
    def answer(talk):
        talk.clean = False
        talk.send(begin)
        while True:
            talk.send(octets)
    return answer


class Clients(Hostile):
    def refused(self, begin, more, times, status, code, tls=True):
        client = self.client() if tls else self.serve.client()
        client.send(begin)
        sent = flood(client, more, times)
        answer = client.read_rest()[0]
        if answer:  # else it was cut while it still sent
            self.assertEqual(answer[:12], b"HTTP/1.1 %d" % status)
        client.close()
        self.assertEqual(self.seen(), [])
        self.assertEqual(self.failed(code)["response"]["statusCode"], status)
        return sent

    def test_a_hundred_thousand_fields_are_too_many(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            self.refused(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n", FIELDS + b"\r\n", 1, 431, "head_too_large")

    def test_a_hundred_thousand_fields_of_http_2_are_too_many(self):
        self.may_be_answered()
        with self.bounded(mib=16, cpu=1, seconds=3):
            raw = self.h2_client()
            block = h2.block(h2.request(authority=self.authority()) + [(b"x", b"")] * 100_000)
            pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
            with contextlib.suppress(OSError):
                raw.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, pieces[0]))
                raw.send(*(h2.frame(h2.CONTINUATION, 0, 1, piece) for piece in pieces[1:-1]))
                raw.send(h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, pieces[-1]))
            self.assertIn(raw.status(1), (431, None))
        self.assertEqual(self.seen(), [])
        self.failed("head_too_large")

    def test_a_field_without_end_is_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            self.assertLess(self.refused(b"GET /hello HTTP/1.1\r\nX: ", MUCH, 1000, 431, "head_too_large"), 1000)

    def test_a_request_line_without_end_is_cut(self):
        for tls in (True, False):
            with self.subTest(tls=tls), self.bounded(mib=16, cpu=1, seconds=3):
                self.refused(b"GET /", MUCH, 1000, 431, "head_too_large", tls)

    def test_empty_lines_without_end_are_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            self.refused(b"\r\n", b"\r\n" * 10_000, 1000, 400, "bad_request")

    def test_a_socks_name_without_end_is_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            client = self.serve.client()
            client.send(b"\4\1\0\x50\x7f\0\0\1")
            self.assertLess(flood(client, MUCH, 1000), 1000)
            client.close()
        self.failed("bad_request")

    def test_a_chunk_line_without_end_is_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            client = self.client()
            client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;")
            self.assertLess(flood(client, MUCH, 1000), 1000)
            client.close()
        self.failed("bad_request")

    def test_trailers_without_end_are_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            client = self.client()
            client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
            self.assertLess(flood(client, MUCH, 1000), 1000)
            client.close()
        exchange = self.ended(lambda row: "/echo" in row["url"])
        self.assertIn(exchange["error"]["code"], ("bad_request", "head_too_large"))

    def test_chunks_of_one_octet_are_carried_at_little_cost(self):
        origin = self.new_origin()
        origin.routes["/swallow"] = swallow
        with self.bounded(mib=24, cpu=3, seconds=5):
            client = self.client(origin=origin)
            client.send(b"POST /swallow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            flood(client, b"1\r\nx\r\n" * 1000, 200)
            client.send(b"0\r\n\r\n")
            self.assertEqual(client.read_answer().body, b"%d" % (200_000 * 6 + 5))
        exchange = self.ended(lambda row: "/swallow" in row["url"])
        self.assertEqual((exchange["state"], exchange["request"]["bodySize"]), ("done", 200_000))

    def test_a_body_without_end_is_carried_and_not_gathered(self):
        origin = self.new_origin()
        origin.routes["/swallow"] = swallow
        with self.bounded(mib=48, cpu=3, seconds=8):
            client = self.client(origin=origin)
            client.send(b"POST /swallow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            flood(client, b"10000\r\n" + MUCH + b"\r\n", 2000)  # 125 MiB
            client.close()
        exchange = self.ended(lambda row: "/swallow" in row["url"])
        self.assertEqual((exchange["state"], exchange["error"]["code"]), ("aborted", "client_aborted"))

    def test_ten_thousand_requests_at_once_wait_for_their_turn(self):
        with self.bounded(mib=24, cpu=3, seconds=8):
            client = self.client()
            client.sock.settimeout(1)
            request = b"GET /large?size=65536 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            self.assertLess(flood(client, request * 1000, 100), 100)  # nobody reads the answers: no more are taken
            client.close()
        self.assertLess(len(self.seen()), 2000)


class Origins(Hostile):
    def answered(self, octets, begin=b"", code="answer_head_too_large", status=502, mib=16):
        """What a client gets from an origin that says this without end."""
        origin = self.new_origin()
        origin.routes["/endless"] = endless(octets, begin)
        with self.bounded(mib=mib, cpu=1.5, seconds=4):
            client = self.client(origin=origin)
            client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = client.read_rest()[0]
            client.close()
        exchange = self.failed(code)
        if status:
            self.assertIn(b"HTTP/1.1 %d " % status, answer)
        return exchange

    def test_a_hundred_thousand_fields_are_too_many(self):
        self.answered(FIELDS, b"HTTP/1.1 200 OK\r\n")

    def test_a_field_without_end_is_a_502(self):
        self.answered(MUCH, b"HTTP/1.1 200 OK\r\nX: ")

    def test_a_status_line_without_end_is_a_502(self):
        self.answered(MUCH, b"HTTP/1.1 200 ")

    def test_interim_answers_without_end_are_a_502(self):
        self.answered(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10, code="bad_answer")

    def test_a_chunk_line_without_end_is_cut(self):
        self.answered(MUCH, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "bad_answer", None)

    def test_trailers_without_end_are_cut(self):
        self.answered(MUCH, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", "bad_answer", None)

    def test_a_body_without_end_is_carried_and_not_gathered(self):
        for name, begin, more in (("length", b"Content-Length: 9000000000000000000\r\n\r\n", MUCH),
                                  ("chunks", b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + MUCH + b"\r\n"), ("until the end", b"\r\n", MUCH)):
            with self.subTest(name):
                origin = self.new_origin()
                origin.routes["/endless"] = endless(more, b"HTTP/1.1 200 OK\r\n" + begin)
                with self.bounded(mib=48, cpu=2, seconds=5):
                    client = self.client(origin=origin)
                    client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    got = 0
                    while got < 60 << 20:
                        got += len(client.sock.recv(1 << 20))
                    client.close()
                exchange = self.ended(lambda row, port=origin.port: f":{port}/endless" in row["url"])
                self.assertEqual((exchange["state"], exchange["error"]["code"]), ("aborted", "client_aborted"))

    def test_a_hundred_thousand_fields_of_http_2_are_too_many(self):
        def script(peer):
            stream = peer.next_request()
            block = b"\x88" + h2.block([(b"x", b"")] * 100_000)
            pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
            peer.send(h2.frame(h2.HEADERS, 0, stream, pieces[0]), *(h2.frame(h2.CONTINUATION, 0, stream, p) for p in pieces[1:-1]),
                      h2.frame(h2.CONTINUATION, h2.END_HEADERS, stream, pieces[-1]))
            peer.stay()
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, for_http1=True)
        self.addCleanup(origin.close)
        with self.bounded(mib=16, cpu=1, seconds=4):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"GET /endless HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            self.assertEqual(client.read_answer().status, 502)
        exchange = self.ended(lambda row: "/endless" in row["url"])
        self.assertIn(exchange["error"]["code"], ("answer_head_too_large", "bad_answer"))


if __name__ == "__main__":
    unittest.main()
