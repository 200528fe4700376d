"""Peers that take their time, or all the time there is: what each costs, when it ends, and what the record says. The time-outs of
base/limits.h are shortened here (--timeout)."""
import contextlib
import ssl
import struct
import tempfile
import threading
import time
import unittest

from harness import PATIENCE, poll, sluice  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.h2_raw_origin import H2RawOrigin
from fakes.listen import Talker
from fakes.raw import context
from hostile import Hostile, end_of

HEAD, ANSWER, IDLE, TLS = 0.6, 0.6, 1, 0.6  # seconds
MANY = 100

# Many wait at a time: the seconds are the clock's, not the processor's.


def dribble(client, octets, pause=0.1):
    """One at a time until all are gone or the other side has had enough."""
    with contextlib.suppress(OSError):
        for at in range(len(octets)):
            client.send(octets[at:at + 1])
            time.sleep(pause)


def silent(sock):
    """A server that takes connections, and reads, and says nothing."""
    while sock.recv(65536):
        pass


def deaf(sock):
    """A server that takes connections and never reads."""
    threading.Event().wait(8 * PATIENCE)


class Slow(Hostile):
    flags = tuple(word for name, seconds in (("client-head", HEAD), ("first-byte", ANSWER), ("idle", IDLE), ("tls", TLS), ("connect", 1),
                                                          ("websocket-idle", IDLE))
                  for word in ("--timeout", f"{name}={seconds * PATIENCE}"))

    def server(self, talk):
        server = Talker(talk)
        self.addCleanup(server.close)
        return server

    def plain(self, port):
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"127.0.0.1:{port}").status, 200)
        return client


    def ends(self, path, count):
        poll(lambda: sum(path in row["url"] and row["state"] != "open" for row in self.records()) == count, IDLE + 5, f"{count} ends")


class Flags(unittest.TestCase):
    def test_a_time_out_that_is_none_is_wrong_usage(self):
        for given, words in (("ilde=1", "did you mean idle?"), ("idle=0", "the names are connect, tls"), ("idle=1s", "takes NAME=SECONDS"),
                             ("idle", "takes NAME=SECONDS"), ("idle=99999999", "from 0.01 to 604800")):
            with self.subTest(given), tempfile.TemporaryDirectory() as home:
                done = sluice("serve", "--timeout", given, home=home)
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)


class Clients(Slow):
    def test_a_head_that_comes_octet_by_octet_is_refused_after_its_time(self):
        request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 1000
        for tls in (False, True):
            with self.subTest(tls=tls), self.bounded(mib=16, cpu=1.5, seconds=HEAD + 2):
                clients = [self.client() if tls else self.serve.client() for _ in range(10 if tls else MANY)]
                end = time.monotonic() + HEAD + 1
                for at in range(len(request)):
                    if time.monotonic() > end:
                        break
                    for client in clients:
                        with contextlib.suppress(OSError):
                            client.send(request[at:at + 1])
                    time.sleep(0.05)
                for client in clients:
                    self.assertTrue(client.read_rest()[0].startswith(b"HTTP/1.1 408 "))
                    client.close()
            self.assertEqual(self.failed("head_timeout")["error"]["phase"], "request_head")

    def test_a_head_whose_tls_record_comes_octet_by_octet_is_refused_after_its_time(self):
        """Nothing of it can be read before the record is whole. The first request of a connection, and a later one."""
        for later in (False, True):
            with self.subTest(later=later), self.bounded(mib=16, cpu=1, seconds=HEAD + 2):
                client = self.serve.client()
                self.addCleanup(client.close)
                self.assertEqual(client.connect_through(f"localhost:{self.origin.port}").status, 200)
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                within = context(self.serve.ca).wrap_bio(incoming, outgoing, server_hostname="localhost")

                def until(done):
                    while True:
                        try:
                            found = done()
                            client.send(outgoing.read())
                            return found
                        except ssl.SSLWantReadError:
                            client.send(outgoing.read())
                            incoming.write(client.sock.recv(65536))
                until(within.do_handshake)
                if later:
                    within.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    client.send(outgoing.read())
                    self.assertIn(b"200 OK", until(lambda: within.read(65536)))
                within.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 9000)
                record, began = outgoing.read(), time.monotonic()
                with contextlib.suppress(OSError):
                    for at in range(len(record)):
                        client.sock.sendall(record[at:at + 1])
                        time.sleep(0.05)
                        if time.monotonic() > began + (HEAD + 5) * PATIENCE:
                            self.fail("it goes on and on")
                        client.sock.settimeout(0.001)
                        with contextlib.suppress(TimeoutError):
                            if client.sock.recv(65536):
                                break
                        client.sock.settimeout(5 * PATIENCE)
            self.assertEqual(self.failed("head_timeout")["error"]["phase"], "request_head")

    def test_a_head_of_http_2_that_never_ends_is_ended_after_its_time(self):
        self.may_be_answered()
        with self.bounded(mib=16, cpu=1, seconds=HEAD + 2):
            raw = self.h2_client()
            raw.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.block(h2.request(authority=self.authority()))))
            self.assertEqual(end_of(raw), ("goaway", 11))  # ENHANCE_YOUR_CALM
        self.assertEqual(self.failed("head_timeout")["error"]["phase"], "request_head")

    def test_a_head_of_http_2_that_comes_octet_by_octet_is_ended_after_its_time(self):
        """Within one frame, and in a frame for each octet; with an answer under way, too."""
        self.may_be_answered()
        block = h2.block(h2.request(authority=self.authority()) + [(b"x-slow", b"x" * 1000)])
        whole = h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 3, block)
        begun = h2.frame(h2.HEADERS, h2.END_STREAM, 3, block[:1])
        for begin, octets in ((whole[:9], [whole[at:at + 1] for at in range(9, len(whole))]),
                              (begun, [h2.frame(h2.CONTINUATION, 0, 3, block[at:at + 1]) for at in range(1, len(block))])):
            for asked in (b"", h2.head(1, h2.request(path=b"/slow", authority=self.authority()))):
                with self.subTest(frames=begin == begun, asked=bool(asked)), self.bounded(mib=16, cpu=1.5, seconds=HEAD + 2):
                    raws = [self.h2_client() for _ in range(10)]
                    for raw in raws:
                        raw.send(asked + begin)
                    end = time.monotonic() + HEAD * PATIENCE + 1
                    for octet in octets:
                        if time.monotonic() > end:
                            break
                        for raw in raws:
                            with contextlib.suppress(OSError):
                                raw.send(octet)
                        time.sleep(0.05)
                    for raw in raws:
                        self.assertIn(end_of(raw), (("goaway", 11), ("closed", None)))
                    self.all_gone()
                self.failed("head_timeout")

    def test_a_connect_that_comes_octet_by_octet_is_refused_after_its_time(self):
        with self.bounded(mib=8, cpu=1, seconds=HEAD + 2):
            client = self.serve.client()
            self.addCleanup(client.close)
            dribble(client, b"CONNECT localhost:1 HTTP/1.1" + b"x" * 20)
            self.assertTrue(client.read_rest()[0].startswith(b"HTTP/1.1 408 "))
        self.failed("head_timeout")

    def test_a_socks_request_that_comes_octet_by_octet_is_ended_after_its_time(self):
        with self.bounded(mib=8, cpu=1, seconds=HEAD + 2):
            client = self.serve.client()
            self.addCleanup(client.close)
            dribble(client, b"\4\1\0\x50\x7f\0\0\1" + b"u" * 100)
            self.assertEqual(client.read_rest()[0], b"")
        self.failed("client_aborted")

    def test_a_hello_that_never_ends_is_ended_after_its_time(self):
        with self.bounded(mib=8, cpu=1, seconds=TLS + 2):
            client = self.plain(self.origin.port)
            dribble(client, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"r" * 100)
            client.read_rest()
        self.failed("client_tls")

    def test_a_handshake_that_is_never_finished_is_ended_after_its_time(self):
        with self.bounded(mib=8, cpu=1, seconds=TLS + 2):
            client = self.plain(self.origin.port)
            inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context(self.serve.ca).wrap_bio(inward, outward, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            client.send(outward.read())
            client.read_rest()
        self.failed("client_tls")

    def test_clients_that_say_nothing_at_all_are_ended_and_leave_no_record(self):
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 2):
            clients = [self.serve.client() for _ in range(MANY)]
            for client in clients:
                self.assertEqual(client.read_rest()[0], b"")
                client.close()
        self.assertEqual(self.records(), [])

    def test_a_body_that_stops_coming_ends_after_the_idle_time(self):
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 2):
            client = self.client()
            client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nbegin")
            self.assertNotIn(b"200 OK", client.read_rest()[0])
        self.assertEqual(self.failed("client_aborted", "request body")["state"], "aborted")

    def test_a_body_that_comes_octet_by_octet_is_carried_as_it_comes(self):
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 4):
            clients = [self.client() for _ in range(10)]
            for client in clients:
                client.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n")
            for _ in range(20):
                time.sleep(IDLE / 15)
                for client in clients:
                    client.send(b"x")
            for client in clients:
                self.assertEqual(client.read_answer().body, b"x" * 20)

    def test_a_body_of_http_2_that_stops_coming_ends_after_the_idle_time(self):
        self.may_be_answered()
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 3):
            raw = self.h2_client()
            raw.send(h2.head(1, h2.request(method=b"POST", path=b"/echo", authority=self.authority()), False), h2.frame(h2.DATA, 0, 1, b"begin"))
            self.assertEqual((raw.status(1), raw.outcome(1)[0]), (504, "reset"))
        self.failed("idle_timeout", "the body of the request stopped")

    def test_a_client_that_never_reads_holds_little_and_is_ended(self):
        with self.bounded(mib=24, cpu=1, seconds=IDLE + 3):
            clients = []
            for _ in range(20):
                client = self.client()
                client.send(b"GET /large?size=50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                clients.append(client)
            self.ends("/large", 20)
        self.failed("client_aborted", "in the middle of the answer")

    def test_a_client_of_http_2_that_never_reads_holds_little_and_is_ended(self):
        self.may_be_answered()
        with self.bounded(mib=64, cpu=1, seconds=IDLE + 6):
            raws = []
            for _ in range(5):
                raw = self.h2_client((4, 0x7fffffff))
                raw.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fff0000 - 65535)))
                raw.send(*(h2.head(s, h2.request(path=b"/large?size=50000000", authority=self.authority())) for s in range(1, 9, 2)))
                raws.append(raw)
            self.ends("/large", 20)
        self.failed("client_aborted", "in the middle of the answer")

    def test_a_window_that_never_opens_ends_after_the_idle_time(self):
        self.may_be_answered()
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 4):
            raw = self.h2_client((4, 0))
            raw.send(h2.head(1, h2.request(path=b"/hello", authority=self.authority())))
            self.assertEqual((raw.status(1), raw.outcome(1)[0]), (200, "closed"))
        self.failed("client_aborted", "in the middle of the answer")


class Origins(Slow):
    def refused_page(self, client, status):
        self.assertEqual(client.read_answer().status, status)

    def test_one_that_never_shakes_hands_gives_a_504(self):
        server = self.server(silent)
        with self.bounded(mib=16, cpu=1, seconds=TLS + 2):
            client = self.serve.tunnel(f"localhost:{server.port}")
            self.addCleanup(client.close)
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.refused_page(client, 504)
        self.failed("upstream_tls_timeout")

    def test_one_that_never_answers_gives_a_504(self):
        server = self.server(silent)
        with self.bounded(mib=16, cpu=1, seconds=ANSWER + 2):
            clients = [self.serve.client() for _ in range(20)]
            for client in clients:
                client.send(b"GET http://127.0.0.1:%d/x HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
            for client in clients:
                self.refused_page(client, 504)
                client.close()
        self.failed("first_byte_timeout")

    def test_one_whose_head_comes_octet_by_octet_gives_a_504(self):
        def talk(sock):
            sock.recv(65536)
            for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10000:
                sock.sendall(bytes([octet]))
                time.sleep(0.1)
        server = self.server(talk)
        with self.bounded(mib=16, cpu=1, seconds=ANSWER + 2):
            client = self.serve.client()
            client.send(b"GET http://127.0.0.1:%d/x HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
            client.sock.settimeout(5)
            self.refused_page(client, 504)
            client.close()
        self.failed("first_byte_timeout")

    def test_one_that_answers_too_late_is_not_heard_by_the_next(self):
        def late(sock):
            while sock.recv(65536):
                time.sleep((ANSWER + 0.5) * PATIENCE)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        server = self.server(late)
        with self.bounded(mib=16, cpu=1, seconds=2 * ANSWER + 3):
            for _ in range(2):
                client = self.serve.client()
                client.send(b"GET http://127.0.0.1:%d/x HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
                self.refused_page(client, 504)
                client.close()
        self.failed("first_byte_timeout")

    def test_one_whose_body_stops_is_cut_after_the_idle_time(self):
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 2):
            client = self.client()
            client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(client.read_rest()[0].endswith(b"\r\n\r\n0123456789"))
        self.failed("idle_timeout")

    def test_one_whose_body_comes_octet_by_octet_is_carried_as_it_comes(self):
        octets = 20

        def plain(sock):
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % octets)
            for _ in range(octets):
                time.sleep(IDLE * PATIENCE / 15)
                sock.sendall(b"x")
            sock.recv(65536)

        def framed(peer):
            stream = peer.next_request()
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"))
            for at in range(octets):
                time.sleep(IDLE * PATIENCE / 15)
                peer.send(h2.frame(h2.DATA, h2.END_STREAM if at == octets - 1 else 0, stream, b"x"))
            peer.stay()
        server, origin = self.server(plain), self.h2_scripted(framed)
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 4):
            first, second = self.serve.client(), self.client(origin=origin, alpn=["http/1.1"])
            self.addCleanup(first.close)
            first.send(b"GET http://127.0.0.1:%d/drops HTTP/1.1\r\nHost: x\r\n\r\n" % server.port)
            second.send(b"GET /drops HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            for client in (first, second):
                self.assertEqual(client.read_answer().body, b"x" * octets)
        poll(lambda: sum("/drops" in row["url"] and row["state"] == "done" for row in self.records()) == 2, what="two whole records")

    def test_one_of_http_2_whose_window_never_opens_is_let_go_after_the_idle_time(self):
        origin = self.h2_scripted(lambda peer: peer.stay(), [(4, 0)])
        with self.bounded(mib=24, cpu=1, seconds=IDLE + 4):
            clients = []
            for _ in range(10):
                client = self.client(origin=origin, alpn=["http/1.1"])
                client.sock.settimeout(0.3)
                with contextlib.suppress(OSError):
                    client.send(b"POST /shut HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 50000000\r\n\r\n" % origin.port + b"x" * 1_000_000)
                clients.append(client)
            self.ends("/shut", 10)
        self.failed("idle_timeout", "the body of the request stopped")

    def test_one_that_never_reads_is_let_go_after_the_idle_time(self):
        server = self.server(deaf)
        with self.bounded(mib=24, cpu=1, seconds=IDLE + 4):
            clients = []
            for _ in range(10):
                client = self.serve.client()
                client.sock.settimeout(0.3)
                with contextlib.suppress(OSError):
                    client.send(b"POST http://127.0.0.1:%d/x HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" % server.port + b"x" * 10_000_000)
                clients.append(client)
            self.ends("/x", 10)
            for client in clients:
                client.close()
        self.failed("idle_timeout", "the body of the request stopped")

    def h2_scripted(self, script, settings=()):
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, settings, for_http1=True)
        self.addCleanup(origin.close)
        return origin

    def test_one_of_http_2_that_never_answers_gives_a_504(self):
        origin = self.h2_scripted(lambda peer: peer.stay())
        with self.bounded(mib=16, cpu=1, seconds=ANSWER + 2):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            self.refused_page(client, 504)
        self.failed("first_byte_timeout")

    def test_one_of_http_2_whose_head_never_ends_gives_a_504(self):
        def script(peer):
            stream = peer.next_request()
            peer.send(h2.frame(h2.HEADERS, 0, stream, b"\x88"))
            while peer.sock.recv(65536):
                pass
        origin = self.h2_scripted(script)
        with self.bounded(mib=16, cpu=1, seconds=ANSWER + 3):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            self.refused_page(client, 504)
        self.failed("first_byte_timeout")

    def test_one_of_http_2_whose_body_stops_is_cut_after_the_idle_time(self):
        def script(peer):
            stream = peer.next_request()
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, b"\x88"), h2.frame(h2.DATA, 0, stream, b"some"))
            peer.stay()
        origin = self.h2_scripted(script)
        with self.bounded(mib=16, cpu=1, seconds=IDLE + 3):
            client = self.client(origin=origin, alpn=["http/1.1"])
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % origin.port)
            self.assertTrue(client.read_rest()[0].endswith(b"4\r\nsome\r\n"))
        self.failed("idle_timeout")


if __name__ == "__main__":
    unittest.main()
