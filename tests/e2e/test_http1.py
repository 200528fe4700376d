"""HTTP/1 through the proxy: what must not change, and the cases that would be bug reports (engine.md 1, 4)."""
import hashlib
import random
import threading
import unittest

from harness import E2E, poll  # first: it knows where the fakes are
from fakes.origin import BLOCK, CHUNKED, ODD, sha256_of_large


def get(path, origin, extra=b""):
    return b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost:%d\r\n" % origin.port + extra + b"\r\n"


class Unchanged(E2E):
    def test_request_heads_arrive_octet_for_octet(self):
        head = (b"GET /head?q=%7e%zz&a=b|c HTTP/1.1\r\nhOsT: localhost:" + str(self.origin.port).encode() +
                b"\r\nX-Twice: a\r\nx-tWICE:b\r\nX-Empty:\r\nX-Blanks: \t padded \t\r\nX-High: caf\xe9\r\n"
                b"Connection: keep-alive, x-hop\r\nVia: 1.0 other\r\nX-hop: stays\r\nTE: trailers\r\nCookie: a=1\r\n"
                b"cookie: b=2\r\n\r\n")
        for slices in (None, 1, 7):
            with self.subTest(slices=slices):
                client = self.client()
                client.send(head, slices)
                self.assertEqual(client.read_answer().body, head)

    def test_answer_heads_arrive_octet_for_octet(self):
        client = self.client()
        client.send(get("/odd", self.origin))
        self.assertEqual(client.read_exactly(len(ODD)), ODD)

    def test_chunks_extensions_and_trailers_of_answers_pass(self):
        client = self.client()
        client.send(get("/chunked", self.origin))
        self.assertEqual(client.read_exactly(len(CHUNKED)), CHUNKED)

    def test_chunks_extensions_and_trailers_of_requests_pass(self):
        body = b"4;a=b\r\nWiki\r\n005\r\npedia\r\n0\r\nX-Sum: 1\r\nx-other: 2\r\n\r\n"
        client = self.client()
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n" + body, 3)
        self.assertEqual(client.read_answer().body, b"Wikipedia")
        self.assertEqual(self.origin.requests[-1].raw_body, body)

    def test_absolute_form_becomes_origin_form_and_proxy_fields_go(self):
        plain = self.new_origin(plain=True)
        client = self.serve.client()
        self.addCleanup(client.close)
        client.send(b"GET http://localhost:%d/head?x=1 HTTP/1.1\r\nHost: localhost:%d\r\nProxy-Connection: keep-alive\r\n"
                    b"Proxy-Authorization: Basic c2VjcmV0\r\nX-Mine: 1\r\n\r\n" % (plain.port, plain.port))
        self.assertEqual(client.read_answer().body,
                         b"GET /head?x=1 HTTP/1.1\r\nHost: localhost:%d\r\nX-Mine: 1\r\n\r\n" % plain.port)

    def test_alt_svc_goes_and_nothing_is_added(self):
        client = self.client()
        client.send(get("/alt-svc", self.origin))
        self.assertEqual(client.read_answer().head, b"HTTP/1.1 200 OK\r\nX-Kept: yes\r\nContent-Length: 3\r\n\r\n")

    def test_interim_answers_pass(self):
        client = self.client()
        client.send(get("/103", self.origin))
        self.assertEqual(client.read_head(),
                         b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        self.assertEqual(client.read_answer().body, b"after")

    def test_pipelined_requests_are_answered_in_order(self):
        client = self.client()
        paths = ["/hello", "/odd", "/chunked", "/204", "/103", "/head", "/304", "/gzip"]
        client.send(b"".join(get(p, self.origin) for p in paths), 11)
        seen = []
        for path in paths:
            answer = client.read_answer()
            if answer.status == 103:
                answer = client.read_answer()
            seen.append(answer.status)
        self.assertEqual(seen, [200, 200, 200, 204, 200, 200, 304, 200])
        self.assertEqual([r.path for r in self.origin.requests[-len(paths):]], paths)

    def test_answers_to_head_have_no_body(self):
        client = self.client()
        client.send(b"HEAD /large?size=5000 HTTP/1.1\r\nHost: x\r\n\r\n" + get("/hello", self.origin))
        first = client.read_answer(head_only=True)
        self.assertEqual((first.status, first.get("content-length")), (200, "5000"))
        self.assertEqual(client.read_answer().body, b"hello from the origin\n")

    def test_unknown_methods_and_http_1_0_pass(self):
        client = self.client()
        client.send(b"BREW /head HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(client.read_answer().body.startswith(b"BREW /head HTTP/1.1\r\n"))
        client = self.client()
        client.send(b"GET /head HTTP/1.0\r\n\r\n")
        self.assertEqual(client.read_answer().body, b"GET /head HTTP/1.0\r\n\r\n")
        self.assertEqual(client.read_rest(), (b"", "closed"))

    def test_an_old_origin_ends_its_body_by_closing(self):
        for path, body in (("/http10", b"old times"), ("/no-length", b"until the end"),
                           ("/no-close-notify", b"ends without goodbye")):
            with self.subTest(path):
                client = self.client()
                client.send(get(path, self.origin))
                self.assertEqual(client.read_answer().body, body)
        self.assertIn("truncated_tls", self.serve.exchange("/no-close-notify")["anomalies"])


class Bodies(E2E):
    def test_large_bodies_arrive_whole_both_ways(self):
        size = 24 * 1024 * 1024
        client = self.client()
        client.send(get(f"/large?size={size}", self.origin))
        head = client.read_head()
        self.assertIn(b"Content-Length: %d" % size, head)
        seen = hashlib.sha256()
        left = size
        while left:
            data = client.buffer or client.sock.recv(65536)
            client.buffer = b""
            self.assertTrue(data)
            seen.update(data)
            left -= len(data)
        self.assertEqual(seen.hexdigest(), sha256_of_large(size))
        client.send(b"POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        for start in range(0, size, len(BLOCK)):
            client.send(BLOCK[:size - start])
        self.assertEqual(client.read_answer().body.decode(), sha256_of_large(size))

    def test_bodies_stream_and_are_not_gathered(self):
        client = self.client()
        client.send(get("/slow", self.origin))
        client.read_head()
        for _ in range(3):
            self.assertEqual(client.read_exactly(10), b"0123456789")  # the origin waits for the gate before the next
            self.origin.gate.release()

    def test_expect_continue_reaches_the_origin_before_the_body(self):
        client = self.client()
        client.send(b"POST /expect HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.read_head(), b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n")
        client.send(b"body")
        self.assertEqual(client.read_answer().body, b"got body")

    def test_an_answer_before_the_end_of_the_request_is_passed_on_at_once(self):
        client = self.client()
        client.send(b"POST /413 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100000)
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.body), (413, b"too big\n"))

    def test_a_body_shorter_than_announced_never_ends_cleanly(self):
        for path in ("/cut", "/cut-chunked"):
            with self.subTest(path):
                client = self.client()
                client.send(get(path, self.origin))
                with self.assertRaises((EOFError, OSError)):
                    client.read_answer()
                record = self.serve.exchange(path)
                self.assertEqual(record["state"], "failed")
                self.assertEqual(record["error"]["code"], "body_cut")

    def test_upgrades_become_tunnels(self):
        client = self.client()
        client.send(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
        self.assertEqual(client.read_head(),
                         b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        client.send(b"bird")
        self.assertEqual(client.read_exactly(10), b"EARLY BIRD")

    def test_clients_that_leave_are_recorded(self):
        client = self.client()
        client.send(get("/slow?leave", self.origin))
        client.read_head()
        client.reset()
        record = poll(lambda: [x for x in self.serve.traffic(url_filter="/slow?leave") if x["state"] == "aborted"], 10,
                      "an aborted record, though the origin is silent")
        self.assertEqual(len(record), 1)
        for _ in range(3):
            self.origin.gate.release()


class Connections(E2E):
    def test_connections_to_the_origin_are_reused_across_clients(self):
        origin = self.new_origin()
        for _ in range(5):
            client = self.client(origin=origin)
            client.send(get("/hello", origin))
            self.assertEqual(client.read_answer().status, 200)
            client.close()
        self.assertLessEqual(origin.accepted, 2)

    def test_connection_close_holds_for_its_own_hop(self):
        origin = self.new_origin()
        client = self.client(origin=origin)
        client.send(get("/head", origin, b"Connection: close\r\n"))
        self.assertIn(b"Connection: close\r\n", client.read_answer().body)
        self.assertEqual(client.read_rest()[1], "closed")

    def test_a_pooled_connection_that_died_is_replaced_once(self):
        origin = self.new_origin()
        client = self.client(origin=origin)
        for _ in range(4):
            client.send(get("/dies-once-reused", origin))
            self.assertEqual(client.read_answer().body, b"alive")

    def test_a_request_that_may_have_acted_is_not_sent_twice(self):
        origin = self.new_origin()
        client = self.client(origin=origin)
        post = b"POST /dies-once-reused HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        client.send(post)
        self.assertEqual(client.read_answer().body, b"alive")
        client.send(post)
        self.assertEqual(client.read_answer().status, 502)
        self.assertEqual(len(origin.requests), 2)

    def test_an_origin_that_resets_gives_a_502_that_says_so(self):
        client = self.client()
        client.send(get("/die", self.origin))
        answer = client.read_answer()
        self.assertEqual(answer.status, 502)
        self.assertEqual(answer.get("sluice-error"), "upstream_closed")


class Busy(E2E):
    def test_nobody_gets_the_octets_of_another(self):
        """Pipelined requests, uploads and downloads of many clients at once: every answer is its own."""
        problems = []

        def one(number):
            chooser = random.Random(number)
            try:
                client = self.serve.tunnel(f"localhost:{self.origin.port}")
                for turn in range(12):
                    expected, octets = [], b""
                    for part in range(chooser.randrange(1, 5)):
                        mark = b"%d-%d-%d-" % (number, turn, part)
                        body = mark * chooser.choice((1, 50, 2000))  # what is sent before reading fits into buffers
                        head = b"POST /echo?" + mark + b" HTTP/1.1\r\nHost: x\r\n"
                        if chooser.random() < 0.5:
                            octets += head + b"Content-Length: %d\r\n\r\n" % len(body) + body
                        else:
                            octets += head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
                        expected.append(body)
                    client.send(octets, chooser.choice((None, 1000, 20000)))
                    for body in expected:
                        answer = client.read_answer()
                        if answer.status != 200 or answer.body != body:
                            problems.append((number, turn, answer.head, answer.body[:60], body[:60]))
                            return
                client.close()
            except (OSError, EOFError, ValueError) as error:
                problems.append((number, repr(error)))
        threads = [threading.Thread(target=one, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])


class Refused(E2E):
    BAD_REQUESTS = {
        "both lengths": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two lengths": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "a negative length": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "a signed length": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        "chunked not last": b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "unknown coding": b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a blank before the colon": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
        "a folded line": b"GET /head HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Content-Length: 5\r\n\r\n",
        "no host": b"GET /head HTTP/1.1\r\n\r\n",
        "two hosts": b"GET /head HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "a NUL": b"GET /head HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n",
        "a bare CR": b"GET /head HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n",
        "no version": b"GET /head\r\nHost: x\r\n\r\n",
        "another version": b"GET /head HTTP/2.0\r\nHost: x\r\n\r\n",
    }

    def test_requests_that_could_be_read_twice_get_400_and_go_nowhere(self):
        for name, octets in self.BAD_REQUESTS.items():
            with self.subTest(name):
                before = len(self.origin.requests)
                client = self.client()
                client.send(octets)
                self.assertIn(client.read_answer().status, (400, 505))
                self.assertEqual(len(self.origin.requests), before)

    def test_bad_chunking_is_not_forwarded_as_a_whole_request(self):
        client = self.client()
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n")
        try:
            self.assertEqual(client.read_answer().status, 400)
        except EOFError:
            pass
        self.assertNotIn(b"hello", [r.body for r in self.origin.requests])

    def test_huge_request_heads_get_431(self):
        client = self.client()
        client.send(b"GET /head HTTP/1.1\r\nHost: x\r\nX-Fill: ")
        try:
            for _ in range(300):
                client.send(b"a" * 1024)
            client.send(b"\r\n\r\n")
        except OSError:
            pass
        self.assertEqual(client.read_answer().status, 431)

    def test_answers_that_could_be_read_twice_become_502_and_are_recorded(self):
        for path in ("/both-lengths", "/two-lengths", "/nonsense", "/huge-head"):
            with self.subTest(path):
                client = self.client()
                client.send(get(path, self.origin))
                self.assertEqual(client.read_answer().status, 502)
                self.assertEqual(self.serve.exchange(path)["state"], "failed")


if __name__ == "__main__":
    unittest.main()
