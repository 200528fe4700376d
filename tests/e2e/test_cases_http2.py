"""HTTP/2: the cases of engine.md 4, one by one and in its words. docs/protocol-cases.md lists them."""
import subprocess
import time
import unittest

from harness import Serve, clean_environment, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.h2_raw_origin import H2RawOrigin
from fakes.raw import context
from test_http2 import Http2

NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM = 0, 2, 7
MAX_STREAMS = 3  # SETTINGS_MAX_CONCURRENT_STREAMS


class Cases(Http2):
    def raw_origin(self, script, **options):
        origin = H2RawOrigin(self.fakes.server_context(alpn=("h2",)), script, **options)
        self.addCleanup(origin.close)
        return origin

    def raw(self, origin, *settings):
        """A raw HTTP/2 client of this origin."""
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{origin.port}").status, 200)
        client.start_tls("localhost", context(self.serve.ca, alpn=["h2"]))
        self.assertEqual(client.sock.selected_alpn_protocol(), "h2")
        return h2.H2Raw(client, *settings)

    def may_be_answered(self):
        """A rule that may answer: the client chooses its protocol, whatever the origin speaks."""
        self.add_rule({"hostname": "localhost", "urlPattern": "never-asked-for"}, {"type": "mock", "status": 200})


def echo(peer):
    while True:
        stream = peer.next_request()
        peer.answer(stream, peer.content[stream] or b"ok")


class GoAway(Cases):
    """GOAWAY: streams above the last id retried."""

    def leaving(self, served, ready, **options):
        """An origin whose first connection serves `served` of `ready` requests, and then says GOAWAY."""
        def script(peer):
            if peer.number > 0:
                while True:
                    stream = peer.next_request()
                    peer.answer(stream, b"again:" + peer.content[stream])
            while len(peer.ended) < ready:
                peer.next_frame()
            peer.go_away(peer.requests[served - 1] if served else 0)
            for stream in peer.requests[:served]:
                peer.answer(stream, b"first:" + peer.content[stream])
            peer.stay()
        return self.raw_origin(script, **options)

    def test_streams_above_the_last_id_are_retried_on_one_more_connection(self):
        origin = self.leaving(served=4, ready=10)
        answers = self.h2(origin, *[f"/{number}" for number in range(10)])
        self.assertEqual([a["status"] for a in answers], [200] * 10)
        self.assertEqual(sorted(a["body"] for a in answers), ["again:"] * 6 + ["first:"] * 4)
        self.assertEqual(len(origin.peers), 2)

    def test_an_http_1_client_does_not_notice(self):
        origin = self.leaving(served=0, ready=1, for_http1=True)
        done = self.serve.curl("--http1.1", f"https://localhost:{origin.port}/x", check=0)
        self.assertEqual(done.stdout, "again:")

    def test_a_small_body_is_sent_again_whole(self):
        for method in ("POST", "PUT"):
            for headers in ({}, {"content-length": "30000"}):
                with self.subTest(method, headers=headers):
                    origin = self.leaving(served=0, ready=1)
                    [answer] = self.h2(origin, {"path": "/body", "method": method, "body": "z" * 30000,
                                                "headers": headers})
                    self.assertEqual((answer["status"], answer["size"]), (200, len("again:") + 30000))
                    self.assertEqual(origin.peers[1].content, {1: b"z" * 30000})

    def test_a_small_body_of_an_http_1_client_too(self):
        origin = self.leaving(served=0, ready=1, for_http1=True)
        done = self.serve.curl("--http1.1", "--data-binary", "@-", f"https://localhost:{origin.port}/body",
                               input="z" * 30000, check=0)
        self.assertEqual(done.stdout, "again:" + "z" * 30000)

    def refuses_what_is_large(self, **options):
        def script(peer):
            while True:
                size = len(peer.next_frame()[3])
                if size:
                    peer.give_window(size, *peer.requests)
                if peer.ended:
                    peer.reset(peer.ended.pop(), REFUSED_STREAM)
        return self.raw_origin(script, **options)

    def test_a_body_that_is_no_longer_at_hand_is_never_sent_as_an_empty_one(self):
        """What the origin did not take may be sent again by whoever still has it: the client."""
        origin = self.refuses_what_is_large()
        [answer] = self.h2(origin, {"path": "/large", "method": "POST", "bodySize": 300_000})
        self.assertEqual((answer["status"], answer["code"]), (0, REFUSED_STREAM))
        self.assertEqual([len(c) for peer in origin.peers for c in peer.content.values()], [300_000])
        origin = self.refuses_what_is_large(for_http1=True)
        done = self.serve.curl("--http1.1", "-H", "Expect:", "--data-binary", "@-", "-w", "%{http_code}", "-o",
                               "/dev/null", f"https://localhost:{origin.port}/large", input="z" * 300_000, check=0)
        self.assertEqual(done.stdout, "502")
        self.assertEqual([len(c) for peer in origin.peers for c in peer.content.values()], [300_000])


class PooledConnection(Cases):
    """A pooled connection that dies before the first byte of an answer: one retry if the method is idempotent."""

    def test_it_is_retried_once_and_only_if_that_is_safe(self):
        for method, status in (("GET", 200), ("PUT", 200), ("POST", 502)):
            with self.subTest(method):
                def script(peer):
                    peer.answer(peer.next_request(), b"first")
                    if peer.number == 0:
                        peer.next_request()
                        return  # and the connection ends
                    peer.stay()
                origin = self.raw_origin(script)
                self.h2(origin, "/first")
                body = {} if method == "GET" else {"body": "b"}
                [answer] = self.h2(origin, {"path": "/second", "method": method, **body})
                self.assertEqual(answer["status"], status)
                self.assertEqual(len(origin.peers), 2 if status == 200 else 1)

    def test_all_streams_of_a_route_share_one_connection_also_while_it_is_dialled(self):
        origin = self.raw_origin(echo)
        self.may_be_answered()  # nothing is dialled ahead
        answers = self.h2(origin, *["/hello"] * 40)
        self.assertEqual([a["status"] for a in answers], [200] * 40)
        self.assertEqual(len(origin.peers), 1)

    def test_a_stream_that_is_over_makes_room_for_the_next(self):
        origin = self.raw_origin(echo, settings=((MAX_STREAMS, 1),))
        answers = self.h2(origin, *["/hello"] * 5, oneByOne=True)
        self.assertEqual([a["status"] for a in answers], [200] * 5)
        self.assertEqual(len(origin.peers), 1)

    def test_where_the_dial_fails_all_streams_are_told_so(self):
        origin = self.raw_origin(echo)
        origin.close()
        self.may_be_answered()
        answers = self.h2(origin, *["/hello"] * 20)
        self.assertEqual({(a["status"], a["headers"]["sluice-error"]) for a in answers}, {(502, "connect_refused")})


class Stop(Cases):
    """SIGTERM: no new connections, 5 s for exchanges in flight, then reset."""

    def test_an_idle_connection_to_an_h2_origin_does_not_keep_it(self):
        origin = self.raw_origin(echo)
        with Serve("--upstream-ca", self.fakes.pem) as serve:
            self.assertEqual(serve.curl("--http2", f"https://localhost:{origin.port}/", check=0).stdout, "ok")
            start = time.monotonic()
            self.assertEqual(serve.stop(), 0)
            self.assertLess(time.monotonic() - start, 4)

    def test_nor_does_a_stream_whose_origin_never_answers(self):
        origin = self.raw_origin(lambda peer: peer.stay())
        with Serve("--upstream-ca", self.fakes.pem) as serve:
            client = subprocess.Popen(["curl", "-s", "--http2", "--proxy", serve.proxy_url, "--cacert", serve.ca,
                                       f"https://localhost:{origin.port}/"], env=clean_environment())
            self.addCleanup(client.kill)
            poll(lambda: origin.peers and origin.peers[0].requests, 10, "the request")
            self.assertEqual(serve.stop(), 0)
            self.assertNotEqual(client.wait(10), 0)


class EarlyAnswers(Cases):
    """The answer arrives before the request body ends (401, 413, RST_STREAM NO_ERROR): passed on at once."""

    def early(self, peer):
        while not peer.requests:
            peer.next_frame()
        stream = peer.requests[0]
        peer.send(h2.head(stream, [(b":status", b"401")], False), h2.frame(h2.DATA, h2.END_STREAM, stream, b"who?"))
        peer.reset(stream, NO_ERROR)
        echo(peer)

    def test_of_an_h2_origin_to_an_h2_client(self):
        origin = self.raw_origin(self.early)
        first, second = self.h2(origin, {"path": "/a", "method": "POST", "bodySize": 3_000_000}, "/b", oneByOne=True)
        self.assertEqual((first["status"], first["body"], first["code"]), (401, "who?", NO_ERROR))
        self.assertEqual((second["status"], len(origin.peers)), (200, 1))

    def test_of_an_h2_origin_to_an_h1_client(self):
        origin = self.raw_origin(self.early, for_http1=True)
        client = self.client(origin=origin, alpn=["http/1.1"])
        client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.body), (401, b"who?"))

    def test_one_that_is_a_head_alone(self):
        def script(peer):
            while not peer.requests:
                peer.next_frame()
            stream = peer.requests[0]
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.block([(b":status", b"401")])))
            peer.reset(stream, NO_ERROR)
            echo(peer)
        origin = self.raw_origin(script)
        first, second = self.h2(origin, {"path": "/a", "method": "POST", "bodySize": 3_000_000}, "/b", oneByOne=True)
        self.assertEqual((first["status"], first["code"], second["status"]), (401, NO_ERROR, 200))

    def test_of_an_h1_origin_to_an_h2_client(self):
        self.may_be_answered()
        [answer] = self.h2(self.origin, {"path": "/413", "method": "POST", "bodySize": 5_000_000})
        self.assertEqual((answer["status"], answer["body"], answer["code"]), (413, "too big\n", NO_ERROR))


class Ends(Cases):
    """TLS end without close_notify; a body shorter than announced is cut for the client as well, never a clean end."""

    def test_a_body_until_the_connections_end_goes_on_as_it_is(self):
        self.may_be_answered()
        clean, cut = self.h2(self.origin, "/no-length", "/no-close-notify")
        self.assertEqual((clean["body"], clean["code"]), ("until the end", NO_ERROR))
        self.assertEqual((cut["body"], cut["code"]), ("ends without goodbye", NO_ERROR))
        self.assertEqual(self.serve.exchange(f"{self.origin.port}/no-length")["anomalies"], [])
        self.assertEqual(self.serve.exchange(f"{self.origin.port}/no-close-notify")["anomalies"], ["truncated_tls"])

    def test_a_short_body_of_an_h1_origin_resets_the_stream(self):
        self.may_be_answered()
        for path in ("/cut", "/cut-chunked"):
            [answer] = self.h2(self.origin, path)
            self.assertEqual((answer["status"], answer["code"]), (200, INTERNAL_ERROR))
            record = self.serve.exchange(f"{self.origin.port}{path}")
            self.assertEqual((record["state"], record["error"]["code"]), ("failed", "body_cut"))

    def short(self, peer):
        stream = peer.next_request()
        peer.send(h2.head(stream, [(b":status", b"200"), (b"content-length", b"10")], False),
                  h2.frame(h2.DATA, 0, stream, b"only"))
        if peer.content[stream] == b"end the connection":
            return
        peer.send(h2.frame(h2.DATA, h2.END_STREAM, stream, b"this"))
        peer.stay()

    def test_a_short_body_of_an_h2_origin_resets_the_stream(self):
        for body in ("", "end the connection"):
            origin = self.raw_origin(self.short)
            [answer] = self.h2(origin, {"path": "/short", "method": "POST", "body": body})
            self.assertNotEqual(answer["code"], NO_ERROR)
            self.assertEqual(self.serve.exchange(f":{origin.port}/short")["error"]["code"], "body_cut")

    def test_a_short_body_of_an_h2_origin_cuts_an_h1_client(self):
        for body in (b"", b"end the connection"):
            origin = self.raw_origin(self.short, for_http1=True)
            client = self.client(origin=origin, alpn=["http/1.1"], slice_size=65536)
            client.send(b"POST /short HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            rest, how = client.read_rest()
            self.assertTrue(rest.startswith(b"HTTP/1.1 200 "), rest)
            self.assertEqual(how, "reset")
            self.assertEqual(self.serve.exchange(f":{origin.port}/short")["state"], "failed")


class ExpectContinue(Cases):
    """Expect: 100-continue when a rule gathers: Sluice itself says 100."""

    def test_to_an_h2_client_too(self):
        origin = self.raw_origin(echo)
        self.add_rule({"hostname": "localhost"}, {"type": "passthrough", "transformRequest": {
            "matchReplaceBody": [["a", "b"]]}})
        raw = self.raw(origin)
        authority = b"localhost:%d" % origin.port
        raw.send(h2.head(1, h2.request(b"POST", b"/echo", authority, more=[(b"expect", b"100-continue")]), False))
        self.assertEqual(raw.status(1), 100)
        self.assertEqual(origin.peers[0].requests if origin.peers else [], [])
        raw.send(h2.frame(h2.DATA, h2.END_STREAM, 1, b"aXc"))
        self.assertEqual(raw.status(1), 200)
        self.assertEqual(origin.peers[0].content, {1: b"bXc"})

    def test_else_the_origin_says_it(self):
        def script(peer):
            while not peer.requests:
                peer.next_frame()
            peer.send(h2.head(1, [(b":status", b"100")], False))
            echo(peer)
        origin = self.raw_origin(script)
        raw = self.raw(origin)
        authority = b"localhost:%d" % origin.port
        raw.send(h2.head(1, h2.request(b"POST", b"/echo", authority, more=[(b"expect", b"100-continue")]), False))
        self.assertEqual(raw.status(1), 100)
        raw.send(h2.frame(h2.DATA, h2.END_STREAM, 1, b"body"))
        self.assertEqual(raw.status(1), 200)


class Mocks(Cases):
    """Mocks for HEAD, 204, 304."""

    def test_have_no_body_over_http_2(self):
        for status in (200, 204, 304):
            self.add_rule({"pathPattern": f"^/mock{status}"}, {"type": "mock", "status": status, "body": "twelve bytes"})
        origin = self.raw_origin(echo)
        head, none, same, get = self.h2(origin, {"path": "/mock200", "method": "HEAD"}, "/mock204", "/mock304",
                                        "/mock200")
        self.assertEqual((head["status"], head["size"], head["headers"]["content-length"]), (200, 0, "12"))
        self.assertEqual((none["status"], none["size"]), (204, 0))
        self.assertEqual((same["status"], same["size"]), (304, 0))
        self.assertEqual((get["status"], get["body"]), (200, "twelve bytes"))
        self.assertEqual({a["code"] for a in (head, none, same, get)}, {NO_ERROR})
        self.assertEqual(origin.peers, [])


if __name__ == "__main__":
    unittest.main()
