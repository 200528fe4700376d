"""HTTP/1 and tunnels: the cases of engine.md 1, 2 and 4, one by one and in its words. docs/protocol-cases.md lists them."""
import importlib
import re
import socket
import threading
import time
import unittest

from harness import E2E, ROOT, Serve, poll  # first: it knows where the fakes are
from fakes.listen import Talker
from fakes.origin import route
from fakes.raw import context
from test_entry import mail


class Cases(E2E):
    def plain(self, origin):
        """A raw client in a tunnel without TLS."""
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"127.0.0.1:{origin.port}").status, 200)
        return client

    def routed(self, path, answer, plain=False):
        """An origin of this test's own with one more route."""
        origin = self.new_origin(plain=plain)
        origin.routes[path] = answer
        return origin

    @staticmethod
    def request(method, path, body=b"", more=b""):
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        return b"%s %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n%s" % (method, path, length, more, body)


def assert_named_tests_exist(test, page, least):
    """Each test that the page names; there are at least so many of them."""
    named = re.findall(r"`((?:test_|src/)[^`]+)`", page.read_text())
    test.assertGreater(len(named), least)
    for name in named:
        with test.subTest(name):
            file, _, case = name.partition(": ")
            if case:
                suite, _, case = case.partition(".")
                test.assertRegex((ROOT / file).read_text(), rf"TEST(_F|_P)?\({suite}, {case}\)")
                continue
            module, suite, *method = name.split(".")
            found = getattr(importlib.import_module(module), suite)
            test.assertTrue([n for n in dir(found) if n.startswith("test_")])
            test.assertTrue(all(hasattr(found, one) for one in method))


class ThePage(unittest.TestCase):
    def test_every_test_that_it_names_exists(self):
        assert_named_tests_exist(self, ROOT / "docs" / "protocol-cases.md", 80)


class ServerSpeaksFirst(Cases):
    """Server-speaks-first inside CONNECT or SOCKS (SSH, SMTP): after 300 ms without client bytes dial and relay raw."""

    def open(self, way, port):
        client = self.serve.client()
        self.addCleanup(client.close)
        address = b"\x7f\0\0\1"
        if way == "CONNECT":
            self.assertEqual(client.connect_through(f"127.0.0.1:{port}").status, 200)
        elif way == "SOCKS4":
            client.send(b"\4\1" + port.to_bytes(2, "big") + address + b"\0")
            self.assertEqual(client.read_exactly(8)[:2], b"\0\x5a")
        else:
            client.send(b"\5\1\0" + b"\5\1\0\1" + address + port.to_bytes(2, "big"))
            self.assertEqual(client.read_exactly(12)[:4], b"\5\0\5\0")
        return client

    def test_it_is_heard_after_300_ms_of_silence_and_no_sooner(self):
        for way in ("CONNECT", "SOCKS4", "SOCKS5"):
            with self.subTest(way):
                server = Talker(mail)
                self.addCleanup(server.close)
                start = time.monotonic()
                client = self.open(way, server.port)
                self.assertEqual(client.read_until(b"\r\n"), b"220 mail.example ready\r\n")
                self.assertGreaterEqual(time.monotonic() - start, 0.29)
                client.send(b"QUIT\r\n")
                self.assertEqual(client.read_rest(), (b"221 bye\r\n", "closed"))
                client.close()
                record = self.serve.exchange(f"tcp://127.0.0.1:{server.port}")
                self.assertEqual((record["protocol"], record["state"]), ("tcp", "done"))

    def test_a_client_that_was_only_slow_is_intercepted_after_all(self):
        origin = self.new_origin()
        client = self.open("CONNECT", origin.port)
        origin.wait_for(lambda: origin.accepted)  # dialled for its silence
        client.start_tls("localhost", context(self.serve.ca))
        client.send(self.request(b"GET", b"/hello?slow"))
        self.assertEqual(client.read_answer().status, 200)
        self.assertEqual(self.serve.exchange("/hello?slow")["request"]["method"], "GET")

    def test_the_same_without_tls(self):
        origin = self.new_origin(plain=True)
        client = self.open("SOCKS5", origin.port)
        origin.wait_for(lambda: origin.accepted)
        client.send(self.request(b"GET", b"/hello?slow-and-plain"))
        self.assertEqual(client.read_answer().status, 200)
        self.assertEqual(self.serve.exchange("/hello?slow-and-plain")["protocol"], "http/1.1")


@route(reads_body=True)
def refuse_but_read(talk):
    """401 at once; the body is read all the same, and the connection lives."""
    talk.answer("401 Unauthorized", b"who?", [("WWW-Authenticate", "Basic")])
    talk.read_body()


class EarlyAnswers(Cases):
    """The answer arrives before the request body ends (401, 413): passed on at once, no deadlock."""

    def test_401_comes_before_the_body_and_the_connection_lives_on(self):
        for plain in (True, False):
            for chunked in (True, False):
                with self.subTest(plain=plain, chunked=chunked):
                    origin = self.routed("/401", refuse_but_read, plain=plain)
                    client = self.plain(origin) if plain else self.client(origin=origin)
                    framing, begin, end = b"Content-Length: 6\r\n", b"abc", b"def"
                    if chunked:
                        framing, begin, end = b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"
                    client.send(self.request(b"POST", b"/401", more=framing) + begin)
                    answer = client.read_answer()
                    self.assertEqual((answer.status, answer.body), (401, b"who?"))
                    client.send(end + self.request(b"GET", b"/hello"))
                    self.assertEqual(client.read_answer().body, b"hello from the origin\n")
                    self.assertEqual(origin.accepted, 1)

    def test_413_comes_though_neither_side_reads_any_more(self):
        origin = self.new_origin(plain=True)
        client = self.plain(origin)
        client.send(self.request(b"POST", b"/413", more=b"Content-Length: 1000000000\r\n"))
        answers = []
        reader = threading.Thread(target=lambda: answers.append(client.read_answer()))
        reader.start()
        sent = 0
        try:
            while reader.is_alive() and sent < 500 << 20:
                client.send(b"x" * 65536)
                sent += 65536
        except OSError:
            pass  # Sluice no longer takes it
        reader.join(15)
        self.assertEqual([(a.status, a.body) for a in answers], [(413, b"too big\n")])

    def test_an_answer_that_is_whole_ends_the_exchange_though_the_body_never_comes(self):
        origin = self.routed("/401", refuse_but_read)
        client = self.client(origin=origin)
        client.send(self.request(b"POST", b"/401", more=b"Content-Length: 100\r\n") + b"some")
        self.assertEqual(client.read_answer().status, 401)
        client.close()
        record = self.serve.exchange(f":{origin.port}/401")
        self.assertEqual(record["response"]["statusCode"], 401)


class HalfClose(Cases):
    """Half-close."""

    @staticmethod
    def late(talk):
        """Answers when the test says so."""
        talk.origin.gate.acquire(timeout=20)
        talk.answer(body="late")

    def test_a_client_may_end_its_side_and_still_gets_its_answer(self):
        origin = self.routed("/late", self.late, plain=True)
        for absolute in (False, True):
            with self.subTest(absolute=absolute):
                client = self.serve.client() if absolute else self.plain(origin)
                self.addCleanup(client.close)
                client.send(self.request(b"GET", b"http://127.0.0.1:%d/late" % origin.port if absolute else b"/late"))
                client.sock.shutdown(socket.SHUT_WR)
                origin.wait_for(lambda: origin.requests)
                origin.gate.release()
                self.assertEqual(client.read_answer().body, b"late")
                self.assertEqual(client.read_rest(), (b"", "closed"))
                origin.requests.clear()

    def test_each_direction_of_a_tunnel_ends_on_its_own(self):
        def answers_at_the_end(sock):
            said = b""
            while data := sock.recv(65536):
                said += data
            sock.sendall(b"heard " + said)

        def ends_at_once(sock):
            sock.sendall(b"that was all")
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                heard.append(data)
            ended.set()
        heard, ended = [], threading.Event()
        server = Talker(answers_at_the_end)
        self.addCleanup(server.close)
        client = self.plain(server)
        client.send(b"\0 not HTTP")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.read_rest(), (b"heard \0 not HTTP", "closed"))
        server = Talker(ends_at_once)
        self.addCleanup(server.close)
        client = self.plain(server)
        self.assertEqual(client.read_rest(), (b"that was all", "closed"))
        client.send(b"more and ")
        client.send(b"more")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(ended.wait(10))
        self.assertEqual(b"".join(heard), b"more and more")

    def test_a_tls_client_may_say_close_notify_and_still_gets_its_answer(self):
        """RFC 8446 §6.1: close_notify ends one direction."""
        origin = self.routed("/late", self.late)
        client = self.client(origin=origin, slice_size=65536)
        client.send(self.request(b"GET", b"/late"))
        try:
            client.sock.tls.unwrap()
        except OSError:
            pass  # it wants the other side's
        client.sock._flush()
        origin.wait_for(lambda: origin.requests)
        origin.gate.release()
        self.assertEqual(client.read_answer().body, b"late")


class PooledConnection(Cases):
    """A pooled connection that dies before the first byte of an answer: one retry if the method is idempotent and the
    body still at hand."""

    @staticmethod
    def dying(alive, octets=b""):
        """A route that answers `alive` times in all; then connections end instead, after these octets of an answer."""
        def answer(talk):
            if len(talk.origin.requests) <= alive:
                return talk.answer(body="alive")
            talk.send(octets)
            talk.close_after, talk.clean = True, False
        return answer

    def statuses(self, method, body=b"", alive=1, octets=b"", plain=True):
        """What two requests on one connection get, and how many requests the origin got for them."""
        origin = self.routed("/", self.dying(alive, octets), plain=plain)
        client = self.plain(origin)
        out = []
        for verb, content in ((b"GET", b""), (method, body)):
            client.send(self.request(verb, b"/", content))
            out.append(client.read_answer(head_only=verb == b"HEAD").status)
        return out, len(origin.requests), origin.accepted

    def dies_once(self, talk):
        if talk.used and talk.number == 1:
            talk.close_after, talk.clean = True, False
            return
        talk.used = True
        talk.answer(body="alive")

    def test_idempotent_methods_are_sent_once_more(self):
        for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"):
            with self.subTest(method):
                origin = self.routed("/", self.dies_once, plain=True)
                client = self.plain(origin)
                for verb in (b"GET", method):
                    client.send(self.request(verb, b"/"))
                    self.assertEqual(client.read_answer(head_only=verb == b"HEAD").status, 200)
                self.assertEqual((origin.accepted, len(origin.requests)), (2, 3))

    def test_others_are_not(self):
        for method in (b"POST", b"PATCH", b"BREW"):
            with self.subTest(method):
                self.assertEqual(self.statuses(method), ([200, 502], 2, 1))

    def test_one_retry_and_no_more(self):
        self.assertEqual(self.statuses(b"GET"), ([200, 502], 3, 2))

    def test_a_body_that_has_gone_is_not_invented(self):
        statuses, requests, _ = self.statuses(b"PUT", b"once and never again")
        self.assertEqual((statuses, requests), ([200, 502], 2))

    def test_nothing_is_retried_once_an_answer_has_begun(self):
        self.assertEqual(self.statuses(b"GET", octets=b"HTTP/1.1 200 O"), ([200, 502], 2, 1))


class Ends(Cases):
    """TLS end without close_notify; a body shorter than announced is cut for the client as well (reset, never a clean
    end)."""

    def test_a_body_until_the_connections_end_goes_on_as_it_is_and_the_anomaly_is_noted(self):
        for path, anomalies in (("/no-close-notify", ["truncated_tls"]), ("/no-length", [])):
            client = self.client()
            client.send(self.request(b"GET", path.encode()))
            self.assertIn(client.read_answer().body, (b"ends without goodbye", b"until the end"))
            record = self.serve.exchange(f":{self.origin.port}{path}")
            self.assertEqual((record["state"], [a for a in record["anomalies"] if a != "authority_mismatch"]),
                             ("done", anomalies))

    def test_a_short_body_is_a_reset_for_the_client(self):
        for path in ("/cut", "/cut-chunked"):
            for plain in (True, False):
                with self.subTest(path, plain=plain):
                    origin = self.new_origin(plain=plain)
                    client = self.plain(origin) if plain else self.client(origin=origin, slice_size=65536)
                    client.send(self.request(b"GET", path.encode()))
                    rest, how = client.read_rest()
                    self.assertEqual((rest[:15], how), (b"HTTP/1.1 200 OK", "reset"))
                    self.assertEqual(self.serve.exchange(f":{origin.port}{path}")["error"]["code"], "body_cut")


class Mocks(Cases):
    """Mocks for HEAD, 204, 304."""

    def test_have_no_body_and_keep_the_connection(self):
        for status in (200, 204, 304):
            self.add_rule({"pathPattern": f"^/mock{status}"}, {"type": "mock", "status": status, "body": "twelve bytes"})
        client = self.client()
        client.send(self.request(b"HEAD", b"/mock200") + self.request(b"GET", b"/mock204") +
                    self.request(b"GET", b"/mock304") + self.request(b"HEAD", b"/mock304") +
                    self.request(b"GET", b"/mock200"))
        head = client.read_answer(head_only=True)
        self.assertEqual((head.status, head.get("content-length")), (200, "12"))
        self.assertEqual([client.read_answer().status for _ in range(3)], [204, 304, 304])
        self.assertEqual(client.read_answer().body, b"twelve bytes")
        self.assertEqual(self.origin.requests, [])


class WhatMayBeDialled(Cases):
    """engine.md 2."""

    def test_the_address_dialled_is_the_destination_and_never_the_name_in_host_or_sni(self):
        client = self.client("elsewhere.test")
        client.send(b"GET /head?named HTTP/1.1\r\nHost: third.test\r\n\r\n")
        self.assertEqual(client.read_answer().status, 502)  # elsewhere.test is not what the origin can prove
        record = self.serve.exchange("/head?named", include=["connection"])
        self.assertEqual(record["connection"]["client"]["destination"], f"localhost:{self.origin.port}")
        self.assertEqual(record["connection"]["upstream"]["tls"]["serverName"], "elsewhere.test")
        self.assertEqual((record["request"]["hostname"], record["error"]["code"]), ("third.test", "certificate"))
        self.assertIn("authority_mismatch", record["anomalies"])

    def test_what_the_origin_took_is_kept_and_no_dial_is_needed_before_the_first_request(self):
        with Serve("--upstream-ca", self.fakes.pem, "--workers", "1") as serve:
            origin = self.new_origin()
            authority = f"localhost:{origin.port}"
            first = serve.tunnel(authority, alpn=["h2", "http/1.1"])
            first.send(self.request(b"GET", b"/hello", more=b"Connection: close\r\n"))
            self.assertEqual(first.read_answer().status, 200)
            second = serve.tunnel(authority, alpn=["h2", "http/1.1"])
            self.addCleanup(second.close)
            self.assertEqual(second.sock.selected_alpn_protocol(), "http/1.1")
            self.assertEqual(origin.accepted, 1)
            second.send(self.request(b"GET", b"/hello"))
            self.assertEqual(second.read_answer().status, 200)
            self.assertEqual(origin.accepted, 2)

    def test_an_idle_connection_makes_the_dial_unnecessary(self):
        with Serve("--upstream-ca", self.fakes.pem, "--workers", "1") as serve:
            origin = self.new_origin()
            for _ in range(3):
                client = serve.tunnel(f"localhost:{origin.port}")
                client.send(self.request(b"GET", b"/hello"))
                self.assertEqual(client.read_answer().status, 200)
                client.close()
            self.assertEqual(origin.accepted, 1)

    def test_if_a_rule_may_answer_nothing_is_dialled_until_a_request_needs_the_origin(self):
        origin = self.new_origin()
        self.add_rule({"hostname": "localhost", "pathPattern": "^/mocked"}, {"type": "mock", "status": 200, "body": "m"})
        client = self.client(origin=origin, alpn=["http/1.1"])
        client.send(b"GET /mocked HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(client.read_answer().body, b"m")
        self.assertEqual(origin.accepted, 0)
        client.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(client.read_answer().status, 200)
        self.assertEqual(origin.accepted, 1)

    def test_sluice_is_not_reached_through_a_tunnel_either(self):
        for port in (self.serve.proxy_port, int(self.serve.ready["control"]["url"].rsplit(":", 1)[1])):
            client = self.serve.tunnel(f"localhost:{port}")
            self.addCleanup(client.close)
            client.send(b"GET /own HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
            self.assertEqual(client.read_answer().status, 508)
            self.assertEqual(self.serve.exchange(f":{port}/own")["error"]["code"], "loop")


class TooLarge(Cases):
    """Too large a head: 431 for requests, 502 for answers; both recorded, never forwarded."""

    def test_a_request_head(self):
        for octets in (b"X-Fill: " + b"a" * (300 << 10) + b"\r\n", b"X-F: 1\r\n" * 1001):
            client = self.client()
            try:
                client.send(self.request(b"GET", b"/too-large", more=octets))
            except OSError:
                pass
            self.assertEqual(client.read_answer().status, 431)
        row = poll(lambda: [r for r in self.serve.traffic(limit=500) if r["status"] == 431], 5, "a record")[-1]
        self.assertEqual(row["error"]["code"], "head_too_large")
        self.assertEqual(self.origin.requests, [])

    def test_an_answers_head(self):
        client = self.client()
        client.send(self.request(b"GET", b"/huge-head"))
        self.assertEqual(client.read_answer().status, 502)
        self.assertEqual(self.serve.exchange("/huge-head")["error"]["code"], "answer_head_too_large")


if __name__ == "__main__":
    unittest.main()
