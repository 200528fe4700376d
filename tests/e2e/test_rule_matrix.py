"""Every handler, transform and matcher of rules, with curl over HTTP/1.1 and HTTP/2, to origins that speak either."""
import gzip
import itertools
import json
import pathlib
import shutil
import tempfile

from harness import E2E  # first: it knows where the fakes are
from fakes.websocket import CONTINUATION, PING, TEXT, frame
from rule_matrix import Case, RuleMatrix, SeenByHttp1, SeenByHttp2, offered, sentences, used
from test_websocket_http2 import DEFLATE, WebSocketHttp2

KEY = b"\x12\x34\x56\x78"
JSON_BODY = '{"id": 23, "gone": true, "list": ["a", "b"]}'


def passes(**fields):
    return {"type": "passthrough", **fields}


def edited_and_sent_on(test, rule):
    test.resume(test.held(rule), method="PUT", headers={"X-Edited": "yes", "X-Old": None}, body="edited")


def answered(test, rule):
    test.resume(test.held(rule), "respond", status=418, headers={"X-By": "hand"}, body="by hand")


def dropped(test, rule):
    test.resume(test.held(rule), "drop")


def answer_edited(test, rule):
    row = test.held(rule, "response")
    test.assertEqual((row["statusCode"], row["headers"]["x-origin"]), (404, "here"))
    test.resume(row, status=203, headers={"X-Edited": "yes", "X-Also": None}, body="edited")


def both_edited(test, rule):
    test.resume(test.held(rule), body="first")
    row = test.held(rule, "response")
    test.assertEqual(json.loads(row["body"])["body"], "first")
    test.resume(row, status=203)


HANDLERS = (
    Case("a passthrough lets a request pass as it is", passes(),
         ask=("-H", "X-Mine: 1"), saw={"method": "GET", "fields": {"x-mine": "1"}},
         fields={"x-origin": "here", "x-also": "gone"}),
    Case("a mock answers in the origin's place",
         {"type": "mock", "status": 418, "body": "short and stout", "headers": {"X-By": "rule", "Content-Type": "text/tea"}},
         ask=("-d", "a body"), status=418, body="short and stout", reaches="",
         fields={"x-by": "rule", "content-type": "text/tea", "content-length": "15"}),
    Case("a forward reaches another origin", {"type": "forward", "forwardTo": "https://localhost:%other%"},
         ask=("-d", "a body"), reaches="other",
         saw={"method": "POST", "body": "a body", "host": "localhost:%other%"}, fields={"x-origin": "here"}),
    Case("a forward reaches an origin that speaks the other protocol", {"type": "forward", "forwardTo": "localhost:%far%"},
         ask=("-d", "a body"), reaches="far", saw={"method": "POST", "body": "a body", "host": "localhost:%far%"}),
    Case("a drop gives no answer", {"type": "drop"}, ask=("-d", "a body"), reaches="", breaks=True),
    Case("an abort gives no answer", {"type": "abort"}, ask=("-d", "a body"), reaches="", breaks=True),
    Case("a redirect names its location", {"type": "redirect", "location": "https://elsewhere.test/?a=1", "status": 308,
                                           "headers": {"X-By": "rule"}},
         status=308, body="", reaches="", fields={"location": "https://elsewhere.test/?a=1", "x-by": "rule"}),
    Case("a redirect is a 302 if nothing else is said", {"type": "redirect", "location": "/there"},
         status=302, reaches="", fields={"location": "/there"}),
    Case("a file is an answer", {"type": "file", "path": "api/one.json", "status": 203, "headers": {"Content-Type": "text/x"}},
         status=203, body='{"from":"a file"}', reaches="", fields={"content-type": "text/x", "content-length": "17"}),
    Case("a rewrite of the path keeps the host",
         {"type": "rewrite", "urlPattern": "/seen\\?a=(\\d)", "replacement": "/seen?b=$1$1"},
         query="a=7", saw={"target": "/seen?b=77&%test%", "host": "localhost:%origin%"}),
    Case("a rewrite of the host reaches another origin",
         {"type": "rewrite", "urlPattern": "^https://localhost:\\d+/", "replacement": "https://localhost:%other%/"},
         ask=("-d", "a body"), reaches="other", saw={"body": "a body", "host": "localhost:%other%"}),
    Case("a rewrite reaches an origin that speaks the other protocol",
         {"type": "rewrite", "urlPattern": "^https://localhost:\\d+/", "replacement": "https://localhost:%far%/"},
         ask=("-d", "a body"), reaches="far", saw={"body": "a body", "host": "localhost:%far%"}),
    Case("a held request goes on as it was edited", {"type": "hold"}, ask=("-d", "old", "-H", "X-Old: 1"),
         meanwhile=edited_and_sent_on, saw={"method": "PUT", "body": "edited", "fields": {"x-edited": "yes", "x-old": None}}),
    Case("a held request is answered by hand", {"type": "hold", "holdOn": "request"}, meanwhile=answered, status=418,
         body="by hand", reaches="", fields={"x-by": "hand"}),
    Case("a held request is dropped by hand", {"type": "hold", "holdOn": "request"}, meanwhile=dropped, reaches="",
         breaks=True),
    Case("a held answer goes on as it was edited", {"type": "hold", "holdOn": "response"}, query="status=404", status=203,
         meanwhile=answer_edited, body="edited", fields={"x-edited": "yes", "x-also": None, "x-origin": "here"}),
    Case("a request and its answer are held in turn", {"type": "hold", "holdOn": "both"}, ask=("-d", "none"), status=203,
         meanwhile=both_edited, saw={"body": "first"}),
    Case("a hold ends by itself", {"type": "hold", "timeoutMs": 300}, seconds=0.3, saw={"method": "GET"}),
    Case("a hold's own edits apply", {"type": "hold", "timeoutMs": 1, "holdOn": "both",
                                      "transformRequest": {"updateHeaders": {"X-Edited": "q"}},
                                      "transformResponse": {"updateHeaders": {"X-Edited": "a"}}},
         saw={"fields": {"x-edited": "q"}}, fields={"x-edited": "a"}),
    Case("an answer is kept back, another is given", {"type": "mock", "status": 451, "body": "not for you"},
         {"hostname": "localhost", "phase": "response"}, query="coding=chunked", ask=("-d", "a body"), status=451,
         body="not for you", fields={"x-origin": None}),
    Case("an answer with one status is kept back", {"type": "mock", "status": 200, "body": "never mind"},
         {"hostname": "localhost", "statusCode": 404}, query="status=404", body="never mind", fields={"x-origin": None}),
    Case("an answer is dropped", {"type": "drop"}, {"hostname": "localhost", "phase": "response"}, ask=("-d", "a body"),
         breaks=True),
    Case("an answer is aborted", {"type": "abort"}, {"hostname": "localhost", "phase": "response"}, ask=("-d", "a body"),
         breaks=True),
    Case("a delay holds a mock back", {"type": "mock", "body": "late", "delayMs": 300}, seconds=0.3, body="late", reaches=""),
    Case("a delay holds a request back", passes(delayMs=300), seconds=0.3, saw={"method": "GET"}),
    Case("a delay holds a drop back", {"type": "drop", "delayMs": 300}, seconds=0.3, reaches="", breaks=True),
    Case("a throttle slows the request's body", passes(throttle={"requestBytesPerSecond": 100_000}), seconds=0.5,
         ask=("--data-binary", "x" * 60_000, "-H", "Expect:"), saw={"body": "x" * 60_000}),
    Case("a throttle slows the answer's body", passes(throttle={"responseBytesPerSecond": 100_000}), seconds=0.5,
         query="coding=chunked", ask=("--data-binary", "x" * 60_000, "-H", "Expect:"), saw={"body": "x" * 60_000}),
)

TRANSFORMS = (
    Case("a request's headers are set and removed",
         passes(transformRequest={"updateHeaders": {"X-Mine": "new", "X-Gone": None, "X-Added": "1"}}),
         ask=("-H", "X-Mine: old", "-H", "X-Gone: 1", "-H", "X-Kept: 1"),
         saw={"fields": {"x-mine": "new", "x-gone": None, "x-added": "1", "x-kept": "1"}}),
    Case("a request's method is replaced", passes(transformRequest={"replaceMethod": "PATCH"}), ask=("-d", "a body"),
         saw={"method": "PATCH", "body": "a body"}),
    Case("a request's body is set", passes(transformRequest={"setBody": "another, longer body"}), ask=("-d", "a body"),
         saw={"body": "another, longer body", "fields": {"content-length": "20"}}),
    Case("a request's text is replaced", passes(transformRequest={"matchReplaceBody": [["one", "1"], ["two", "[$&]"]]}),
         ask=("-d", "one two one"), saw={"body": "1 [two] one", "fields": {"content-length": "11"}}),
    Case("a request's text is replaced by pattern", passes(transformRequest={"regexReplaceBody": [["(\\d+)-(\\d+)", "$2:$1"]]}),
         ask=("-d", "1-2 and 33-4"), saw={"body": "2:1 and 4:33"}),
    Case("a request's JSON is edited",
         passes(transformRequest={"jsonEdits": [{"op": "set", "pointer": "/new/deep", "value": None},
                                                {"op": "set", "pointer": "/list/-", "value": {"c": 1}},
                                                {"op": "remove", "pointer": "/gone"}]}),
         ask=("-H", "Content-Type: application/json", "-d", JSON_BODY),
         saw={"body": '{"id":23,"list":["a","b",{"c":1}],"new":{"deep":null}}'}),
    Case("a request's edits are made in their order",
         passes(transformRequest={"setBody": '{"a":"one"}', "matchReplaceBody": [["one", "two"]],
                                  "regexReplaceBody": [["tw(o)", "thr$1"]],
                                  "jsonEdits": [{"op": "set", "pointer": "/b", "value": 2}]}),
         ask=("-d", "x"), saw={"body": '{"a":"thro","b":2}'}),
    Case("an answer's headers are set and removed",
         passes(transformResponse={"updateHeaders": {"X-Origin": "edited", "X-Also": None, "X-Added": "1"}}),
         saw={"method": "GET"}, fields={"x-origin": "edited", "x-also": None, "x-added": "1"}),
    Case("an answer's status is replaced", passes(transformResponse={"replaceStatus": 299}), query="status=404", status=299,
         saw={"method": "GET"}),
    Case("an answer's body is set", passes(transformResponse={"setBody": "the whole body"}), body="the whole body",
         fields={"x-origin": "here"}),
    Case("an answer's text is replaced", passes(transformResponse={"matchReplaceBody": [["from the origin", "from $& (rule)"]]}),
         saw={"word": "from from the origin (rule)"}),
    Case("an answer's text is replaced under its coding",
         passes(transformResponse={"matchReplaceBody": [["from the origin", "from a rule"]]}), ask=("--compressed",),
         query="coding=gzip", saw={"word": "from a rule"}, fields={"content-encoding": "gzip"}),
    Case("an answer's text is replaced by pattern", passes(transformResponse={"regexReplaceBody": [["from (?<who>\\w+ origin)",
                                                                                                 "by $<who>"]]}),
         saw={"word": "by the origin"}),
    Case("an answer's JSON is edited", passes(transformResponse={"jsonEdits": [{"op": "set", "pointer": "/word", "value": 7},
                                                                               {"op": "remove", "pointer": "/method"}]}),
         saw={"word": 7, "method": None}),
    Case("a forwarded request and its answer are edited",
         {"type": "forward", "forwardTo": "https://localhost:%other%",
          "transformRequest": {"updateHeaders": {"X-Edited": "q"}, "matchReplaceBody": [["one", "two"]]},
          "transformResponse": {"updateHeaders": {"X-Edited": "a"}, "replaceStatus": 203}},
         ask=("-d", "one"), reaches="other", status=203, saw={"body": "two", "fields": {"x-edited": "q"}},
         fields={"x-edited": "a"}),
    Case("a rewritten request and its answer are edited",
         {"type": "rewrite", "urlPattern": "^https://[^/]+", "replacement": "https://localhost:%other%",
          "transformRequest": {"updateHeaders": {"X-Edited": "q"}},
          "transformResponse": {"jsonEdits": [{"op": "set", "pointer": "/word", "value": "edited"}]}},
         reaches="other", saw={"word": "edited", "fields": {"x-edited": "q"}}),
)

SEEN = {"pathPattern": "^/seen"}
EDITS = {"transformRequest": {"updateHeaders": {"X-First": "q"}}, "transformResponse": {"updateHeaders": {"X-First": "a"}}}
ORDER = (
    Case("what continues edits and a later rule decides",
         passes(transformRequest={"updateHeaders": {"X-Second": "q"}}),
         before=((SEEN, passes(**EDITS), {"on_match": "continue", "priority": 1}),),
         saw={"fields": {"x-first": "q", "x-second": "q"}}, fields={"x-first": "a"}),
    Case("what continues edits a later mock's answer", {"type": "mock", "body": "mocked"},
         before=((SEEN, passes(**EDITS), {"on_match": "continue", "priority": 1}),),
         body="mocked", reaches="", fields={"x-first": "a"}),
    Case("what continues edits what a later rule forwards", {"type": "forward", "forwardTo": "https://localhost:%other%"},
         before=((SEEN, passes(**EDITS), {"on_match": "continue", "priority": 1}),), reaches="other",
         saw={"fields": {"x-first": "q"}}, fields={"x-first": "a"}),
    Case("what continues may be all", passes(**EDITS), more={"on_match": "continue"}, saw={"fields": {"x-first": "q"}},
         fields={"x-first": "a"}),
)


class Matched:
    """A matcher; requests that it holds for, and such that it does not: (path and query, curl's arguments…)."""

    def __init__(self, name, matcher, hits, misses):
        self.name, self.matcher, self.hits, self.misses = name, matcher, hits, misses


MATCHERS = (
    Matched("method", {"method": "propfind"}, [("/seen", "-X", "PROPFIND")], [("/seen",), ("/seen", "-d", "x")]),
    Matched("urlPattern", {"urlPattern": "^https://localhost:\\d+/seen\\?.*a=1$"}, [("/seen?b=2&a=1",), ("/seen?a=1",)],
            [("/seen?a=12",), ("/seen",)]),
    Matched("urlPattern of a path", {"urlPattern": "^/seen\\?a"}, [("/seen?a=1",)], [("/seen?b=/seen?a",)]),
    Matched("hostname", {"hostname": "LocalHost"}, [("/seen",)], [("https://127.0.0.1:%origin%/seen",)]),
    Matched("hostPattern", {"hostPattern": "*.localhost"}, [("/seen",), ("https://a.b.localhost:%origin%/seen",)],
            [("https://127.0.0.1:%origin%/seen",)]),
    Matched("pathPattern", {"pathPattern": "n\\?(?i:A)=1"}, [("/seen?a=1",), ("/seen?A=1&b",)], [("/seen?b&a=1",)]),
    Matched("headers", {"headers": {"X-Pick": "me", "x-also": "it"}},
            [("/seen", "-H", "x-pick: me", "-H", "X-ALSO: it"),
             ("/seen", "-H", "X-Pick: you", "-H", "X-Pick: me", "-H", "X-Also: it")],
            [("/seen", "-H", "X-Pick: me"), ("/seen", "-H", "X-Pick: Me", "-H", "X-Also: it"), ("/seen",)]),
    Matched("bodyIncludes", {"method": "POST", "bodyIncludes": "needle"},
            [("/seen", "-d", "a needle here"), ("/seen", "-H", "Transfer-Encoding: chunked", "-d", "needle"),
             ("/seen", "-H", "Content-Encoding: gzip", "--data-binary", "@%gzip%")],
            [("/seen", "-d", "hay"), ("/seen", "-d", ""), ("/seen", "-d", "Needle")]),
    Matched("phase", {"method": "GET", "phase": "response"}, [("/seen?status=404",), ("/seen",)], [("/seen", "-d", "a")]),
    Matched("statusCode", {"hostname": "localhost", "statusCode": 404}, [("/seen?status=404",), ("/nothing",)],
            [("/seen?status=500",), ("/seen",)]),
)
PROTOCOLS = {"--http1.1": "http/1.1", "--http2": "h2"}


@sentences(*HANDLERS, *TRANSFORMS, *ORDER)
class Http1ToHttp1(RuleMatrix):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        (cls.root / "api").mkdir()
        (cls.root / "api" / "one.json").write_text('{"from":"a file"}')
        (cls.root / "coded.gz").write_bytes(gzip.compress(b"a needle, coded"))
        cls.flags = ("--allow-root", cls.root)
        super().setUpClass()

    def status_of(self, url, *arguments):
        url, *arguments = [part.replace("%gzip%", str(self.root / "coded.gz"))
                           for part in self.with_ports([url, *arguments])]
        got = self.curl(url if url.startswith("https:") else self.url(url), *arguments)
        self.assertEqual((got.code, got.version), (0, self.CLIENT.removeprefix("--http")), got.error)
        return got.status

    def test_matchers_hold_for_what_they_say_and_nothing_else(self):
        for matched in MATCHERS:
            edits = passes(transformResponse={"replaceStatus": 299})
            rule = self.rule(matched.matcher, edits if matched.name in ("statusCode", "phase") else {"type": "mock", "status": 299})
            for request in matched.hits:
                with self.subTest(matched.name, holds_for=request):
                    self.assertEqual(self.status_of(*request), 299)
            for request in matched.misses:
                with self.subTest(matched.name, does_not_hold_for=request):
                    self.assertIn(self.status_of(*request), (200, 500))
            self.forget_rule(rule)

    def test_a_rule_asks_which_protocol_the_client_speaks(self):
        mine = PROTOCOLS[self.CLIENT]
        for protocol in (*PROTOCOLS.values(), "websocket"):
            rule = self.rule({"protocol": protocol}, {"type": "mock", "status": 299})
            self.assertEqual(self.status_of("/seen"), 299 if protocol == mine else 200, protocol)
            self.forget_rule(rule)


class Http1ToHttp2(Http1ToHttp1):
    CLIENT, ORIGIN = "--http1.1", SeenByHttp2


class Http2ToHttp1(Http1ToHttp1):
    CLIENT, ORIGIN = "--http2", SeenByHttp1
    addresses = itertools.count(2)

    def curl(self, url, *arguments, **more):
        """Each request goes to an address of its own: of one that it knows Sluice offers what the origin speaks."""
        address = f"127.0.0.{next(self.addresses)}"
        return super().curl(url.replace("127.0.0.1", address), *arguments, "--connect-to", f"::{address}:", **more)


class Http2ToHttp2(Http1ToHttp1):
    CLIENT, ORIGIN = "--http2", SeenByHttp2


class KnownOrigins(RuleMatrix):
    CLIENT, ORIGIN = "--http2", SeenByHttp1
    flags = ("--workers", "1")  # each has its own memory

    def test_a_client_is_offered_what_the_origin_is_known_to_speak(self):
        for version in ("2", "1.1", "1.1"):
            got = self.curl(self.url(f"/seen?{version}"))
            self.assertEqual((got.status, got.version), (200, version), got.error)


class Siblings(RuleMatrix):
    CLIENT, ORIGIN = "--http2", SeenByHttp2

    def test_an_abort_resets_its_stream_and_none_of_its_siblings(self):
        self.rule({"pathPattern": "^/seen\\?aborted"}, {"type": "abort", "delayMs": 200})
        self.rule({"pathPattern": "^/seen\\?late"}, passes(delayMs=600))
        urls = [self.url("/seen?late"), self.url("/seen?aborted")]
        done = self.serve.curl("--http2", "--parallel", "-w", "%{http_code} %{num_connects}\\n",
                               *[x for url in urls for x in ("-o", "/dev/null", url)])
        self.assertIn(done.returncode, (16, 56, 92))
        codes, connects = zip(*(line.split() for line in done.stdout.splitlines()))
        self.assertEqual((sorted(codes), sorted(connects)), (["000", "200"], ["0", "1"]))


SOCKET_EDITS = tuple(
    {"type": "passthrough", "transformMessage": {"direction": direction, "regexReplace": [["ping(\\d)", "pong$1"]]}}
    for direction in ("request", "response", "both"))


class MessagesOverHttp2(WebSocketHttp2):
    """transformMessage on streams of their own (RFC 8441), at both sides."""

    def edit(self, handler, path, **more):
        return self.add_rule({"protocol": "websocket", "pathPattern": f"^{path}"}, handler, **more)

    def talk(self, client, text):
        client.say(on="socket", send=text)
        return self.seen(client, "text")

    def test_each_direction_is_edited_by_itself(self):
        for handler, told, got in zip(SOCKET_EDITS, ("a pong1", "a ping1", "a pong1"), ("a pong1", "a pong1", "a pong1")):
            with self.subTest(direction=handler["transformMessage"]["direction"]):
                path = "/" + handler["transformMessage"]["direction"]
                rule, origin = self.edit(handler, path), self.h2_origin()
                client = self.client(origin)
                self.assertEqual(self.open(client, path)["status"], 200)
                self.assertEqual(self.talk(client, "a ping1"), got)
                self.assertEqual(origin.wait(lambda line: "text" in line)["text"], told)
                self.finish(client)
                record = self.record(path)
                self.assertEqual(self.told(record, "client")[0], ("text", "a ping1"), "what the client said is recorded")
                self.assertEqual(self.told(record, "server")[0], ("text", got), "what the client got is recorded")
                self.assertEqual((record["matchedRuleId"], record["anomalies"]), (rule, []))

    def test_binary_messages_and_control_frames_are_not_edited(self):
        self.edit(SOCKET_EDITS[2], "/binary")
        client = self.client(self.h2_origin())
        self.open(client, "/binary")
        client.say(on="socket", hex=b"ping1".hex())
        self.assertEqual(self.seen(client, "hex"), b"ping1".hex())
        client.say(on="socket", ping="ping2")
        self.assertEqual(self.seen(client, "pong"), "ping2")
        self.assertEqual(self.talk(client, "ping3"), "pong3")
        self.finish(client, 4001, "ping4")

    def test_compressed_messages_are_edited_and_compressed_again(self):
        self.edit(SOCKET_EDITS[0], "/packed")
        client = self.client(self.h2_origin())
        self.assertIn("permessage-deflate", self.open(client, "/packed", fields=DEFLATE)["extensions"])
        text = "the same again and again " * 20
        self.assertEqual(self.talk(client, text + "ping5"), text + "pong5")
        self.finish(client)
        record = self.record("/packed")
        self.assertEqual([item.get("compressed") for item in record["messages"]["items"]][:2], [True, True])
        self.assertLess(record["response"]["bodySize"], len(text))

    def test_a_message_in_pieces_is_edited_as_one(self):
        self.edit(SOCKET_EDITS[0], "/pieces")
        client = self.client(self.h2_origin())
        self.open(client, "/pieces")
        for octets in (frame(TEXT, b"pi", fin=False, key=KEY), frame(PING, b"now", key=KEY),
                       frame(CONTINUATION, b"ng6", key=KEY)):
            client.say(on="socket", octets=octets.hex())
        self.assertEqual(self.seen(client, "text"), "pong6")
        self.assertEqual(self.seen(client, "pong"), "now")
        self.finish(client)

    def test_edits_of_several_rules_are_made_in_turn(self):
        first = self.edit(SOCKET_EDITS[0], "/turn", on_match="continue", priority=1)
        second = self.edit(passes(transformMessage={"regexReplace": [["pong", "pang"]]}), "/turn")
        origin = self.h2_origin()
        client = self.client(origin)
        self.open(client, "/turn")
        self.assertEqual(self.talk(client, "ping7"), "pang7")
        self.assertEqual(origin.wait(lambda line: "text" in line)["text"], "pang7")
        self.finish(client)
        self.assertEqual(self.record("/turn")["ruleIds"], [first, second])

    def test_a_message_that_is_too_large_passes_unedited(self):
        self.edit(SOCKET_EDITS[0], "/large")
        client = self.client(self.h2_origin())
        self.open(client, "/large")
        large = "ping1" * (2 << 20)
        self.assertEqual(self.talk(client, large), large)
        self.finish(client)
        self.assertIn("rule_body_limit", self.record("/large")["anomalies"])

    def test_what_is_no_socket_is_no_websocket(self):
        client = self.client(self.h2_origin())  # before the rule: then Sluice has seen that the origin takes sockets
        self.edit({"type": "mock", "status": 299}, "/")
        client.say(get="/plain")
        self.assertEqual(client.wait(lambda line: line.get("got") == "/plain")["status"], 200)
        self.assertEqual(self.open(client, "/socket")["status"], 299)


class Complete(E2E):
    def test_everything_that_a_rule_may_say_is_shown_above(self):
        """Of the tool's own schema: who adds a handler, a transform or a matcher adds a case."""
        [schema] = [t["inputSchema"] for t in self.serve.rpc("tools/list")["tools"] if t["name"] == "proxy_add_rule"]
        shown = set()
        for case in (*HANDLERS, *TRANSFORMS, *ORDER):
            for matcher, handler, more in (*case.before, (case.matcher, case.handler, case.more)):
                shown |= used({"matcher": matcher, "handler": handler, **more})
        for matched in MATCHERS:
            shown |= used({"matcher": matched.matcher})
        for handler in SOCKET_EDITS:
            shown |= used({"handler": handler})
        shown |= {f"matcher.protocol={name}" for name in (*PROTOCOLS.values(), "websocket")} | {"matcher.protocol"}
        elsewhere = {"description", "persist", "enabled", "on_match=stop", "handler.status", "handler.type=passthrough"}
        self.assertEqual(offered(schema) - shown - elsewhere, set())
