"""Secret handles, through the real program: used without being seen, at their own origin only, by their own grant only, as
long as their exchange lives; and what a page, a server or an agent may try against that (gate.md 7, docs/policy.md)."""
import base64
import json
import re
import urllib.parse

from harness import Origin, Serve, ToolError, poll  # first: it says where the fakes are
from test_grants import Admin
from test_policy_gate import Gate
from fakes.pki import TestAuthority
from fakes.websocket import TEXT, Deflate, WebSocketClient, WebSocketServer, frame

HANDLE = re.compile(r"\{\{secret:[0-9a-f]{32}\}\}")
SECRET = 'q7"Zs/w+9 tr=v'  # written differently in each coding
HANDLES = {"version": "1", "default": "allow", "handles": True}
STALE = "means nothing (any more)"
ELSEWHERE = "only for the origin that its secret belongs to"


def token_page(talk):
    talk.answer(body=json.dumps({"access_token": SECRET}), fields=[("Content-Type", "application/json")])


def writings(secret):
    """As a server may send it back."""
    yield secret
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield secret.encode().hex()
    for before in ("", "a", "ab"):
        yield base64.b64encode((before + secret).encode()).decode()
        yield base64.urlsafe_b64encode((before + secret + "xyz").encode()).decode()


def parrot(talk):
    """Says what it was sent, in every coding, where no name says that it is a secret."""
    said = talk.request.get("x-demo", "")
    talk.answer(body="\n".join(["you said:", *writings(said)]), fields=[("Content-Type", "text/plain"), ("X-Said", said)])


class Case(Gate):
    def setUp(self):
        super().setUp()
        self.origin, self.other = Origin(), Origin()
        for one in (self.origin, self.other):
            self.addCleanup(one.close)
            one.routes["/token"], one.routes["/parrot"] = token_page, parrot

    def start(self, document=None, *flags):
        self.write(document or HANDLES)
        self.serve = Serve("--policy", self.path, "--toolset", "all", *flags, home=self.home, directory=self.directory)
        self.addCleanup(self.serve.stop)
        return self.serve

    def capture(self, url, *curl):
        """The id of a flow that a plain client made."""
        self.assertIn("200", self.serve.curl("-o", "/dev/null", "-w", "%{http_code}", url, *curl, check=0).stdout)
        return poll(lambda: self.serve.traffic(url_filter=url.split("?")[0], offset=-1, limit=1), 5, "the flow")[0]["id"]

    def handle(self, url=None):
        """(flow, handle) of the token that the origin gave a client."""
        flow = self.capture(url or self.origin.url("/token"))
        body = self.serve.call("proxy_get_exchange", exchange_id=flow, include=["response_body"])
        found = HANDLE.findall(json.dumps(body))
        self.assertTrue(found, body)
        self.assertEqual(len(set(found)), 1, "one value of one exchange has one handle")
        return flow, found[0]

    def replay(self, flow, headers=None, **more):
        if headers is not None:
            more["headers_json"] = json.dumps(headers)
        return self.serve.call("replay_flow", flow_id=flow, **more)

    def refused(self, words, flow, headers=None, **more):
        with self.assertRaises(ToolError) as caught:
            self.replay(flow, headers, **more)
        self.assertIn(words, str(caught.exception))
        self.nowhere(str(caught.exception))

    def nowhere(self, *answers):
        """The secret is in none of them, in no coding."""
        for answer in answers:
            text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            for written in writings(SECRET):
                core = written.rstrip("=")[4:-4] if len(written) > 20 else written
                self.assertNotIn(core, text)
                self.assertNotIn(json.dumps(core)[1:-1], text)


class Use(Case):
    def test_a_secret_is_used_at_its_origin_by_who_never_sees_it(self):
        self.start()
        flow, handle = self.handle()
        answer = self.replay(flow, {"X-Demo": handle, "Authorization": f"Bearer {handle}", "Content-Type": "application/json"},
                             url=self.origin.url(f"/parrot?key={handle}"), method="POST", body=json.dumps({"key": handle}))
        request = self.origin.requests[-1]
        self.assertEqual(request.get("x-demo"), SECRET)
        self.assertEqual(request.get("authorization"), f"Bearer {SECRET}")
        self.assertEqual(request.query, {"key": SECRET})
        self.assertEqual(json.loads(request.body), {"key": SECRET})
        self.nowhere(answer)

    def test_masks_are_handles_only_where_the_policy_says_so(self):
        self.start({"version": "1", "default": "allow"})
        flow = self.capture(self.origin.url("/token"))
        body = json.dumps(self.serve.call("proxy_get_exchange", exchange_id=flow, include=["response_body"]))
        self.assertNotRegex(body, HANDLE.pattern)
        self.assertIn("[redacted:", body)
        self.write(HANDLES)
        handle = poll(lambda: HANDLE.findall(json.dumps(self.serve.call("proxy_get_exchange", exchange_id=flow, include=["response_body"]))), 5, "the policy")[0]
        self.write({"version": "1", "default": "allow", "description": "no more"})
        poll(lambda: not HANDLE.findall(json.dumps(self.serve.call("proxy_get_exchange", exchange_id=flow, include=["response_body"]))), 5, "the policy")
        self.replay(flow, {"X-Demo": handle})
        self.assertEqual(self.origin.requests[-1].get("x-demo"), handle, "then it is a text like any other")

    def test_every_place_of_a_listing_and_of_a_detail_has_them(self):
        self.start()
        flow = self.capture(self.origin.url("/hello?api_key=query-secret-1"), "-H", "Authorization: Bearer header-secret-2", "-H", "Cookie: sid=cookie-secret-3")
        for answer in (self.serve.call("proxy_get_exchange", exchange_id=flow), self.serve.call("inspect_flow", flow_id=flow)):
            text = json.dumps(answer)
            self.assertGreaterEqual(len(set(HANDLE.findall(text))), 3, text)
            for value in ("query-secret-1", "header-secret-2", "cookie-secret-3"):
                self.assertNotIn(value, text)
        rows = self.serve.traffic(url_filter="/hello?api_key")
        handles = HANDLE.findall(rows[0]["url"])
        self.assertEqual(len(handles), 1, rows)
        self.replay(flow, {"X-Demo": handles[0]})
        self.assertEqual(self.origin.requests[-1].get("x-demo"), "query-secret-1")

    def test_messages_of_sockets_and_events_have_them(self):
        self.start()
        said = json.dumps({"access_token": SECRET}).encode()
        self.origin.routes["/ws"] = WebSocketServer(extensions="permessage-deflate",
                                                    greeting=frame(TEXT, b"hello {") + frame(TEXT, Deflate().pack(said), rsv1=True))
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{self.origin.port}").status, 200)
        socket = WebSocketClient(client, f"localhost:{self.origin.port}", "/ws", extensions="permessage-deflate")
        socket.read(), socket.read()
        socket.close()
        self.origin.routes["/events"] = lambda talk: talk.answer(
            body='data: {"access_token": "another-secret-4"}\n\n', fields=[("Content-Type", "text/event-stream")])
        origin = f"http://localhost:{self.origin.port}"
        events, hello = self.capture(f"{origin}/events"), self.capture(f"{origin}/hello")
        flow = poll(lambda: self.serve.call("proxy_list_ws_streams")["items"], 5, "the socket")[0]["exchangeId"]
        frames = self.serve.call("proxy_get_ws_frames", exchange_id=flow)
        told = self.serve.call("proxy_get_exchange", exchange_id=events, include=["messages"])
        for answer, value in ((frames, SECRET), (told, "another-secret-4")):
            self.nowhere(answer)
            self.assertNotIn("another-secret-4", json.dumps(answer))
            found = set(HANDLE.findall(json.dumps(answer)))
            self.assertEqual(len(found), 1, answer)
            self.replay(hello, {"X-Demo": found.pop()})
            self.assertEqual(self.origin.requests[-1].get("x-demo"), value)

    def test_a_recording_has_its_own_and_they_fill_in_replays_of_it(self):
        self.start()
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        self.capture(self.origin.url("/token"))
        self.capture(self.other.url("/hello"))
        self.serve.call("proxy_session_stop")
        rows = self.serve.call("proxy_query_session", session_id=session)
        identifier = next(row["exchangeId"] for row in rows["items"] if "/token" in row["url"])
        text = json.dumps(self.serve.call("proxy_get_session_exchange", session_id=session, exchange_id=identifier, include_body=True))
        handle = HANDLE.findall(text)[0]
        answer = self.serve.call("proxy_replay_session", session_id=session, mode="execute", sort="asc", set_headers={"X-Demo": handle})
        by_url = {item["originalUrl"]: item for item in answer["items"]}
        self.assertEqual(by_url[self.origin.url("/token")]["status"], "success")
        self.assertEqual(self.origin.requests[-1].get("x-demo"), SECRET)
        self.assertIn(ELSEWHERE, by_url[self.other.url("/hello")]["error"])
        self.assertEqual(len(self.other.requests), 1, "the client's own")
        self.nowhere(answer)
        self.serve.call("proxy_delete_session", session_id=session)
        self.refused(STALE, self.capture(self.origin.url("/hello")), {"X-Demo": handle})

    def test_a_handle_dies_with_its_exchange(self):
        self.start()
        _, handle = self.handle()
        self.serve.call("proxy_clear_traffic")
        flow = self.capture(self.origin.url("/hello"))
        seen = len(self.origin.requests)
        self.refused("Read the exchange again", flow, {"X-Demo": handle})
        self.assertEqual(len(self.origin.requests), seen)


class Attack(Case):
    def test_echo_the_reply_and_every_later_look_at_it_are_masked_by_value(self):
        self.start()
        flow, handle = self.handle()
        answer = self.replay(flow, {"X-Demo": handle}, url=self.origin.url("/parrot"))
        self.assertEqual(self.origin.requests[-1].get("x-demo"), SECRET)
        self.assertIn("you said", json.dumps(answer))
        self.nowhere(answer)
        again = answer["flow_id"]
        self.nowhere(self.serve.call("proxy_get_exchange", exchange_id=again, include=["request_body", "response_body"]),
                     self.serve.call("inspect_flow", flow_id=again), self.serve.call("proxy_decode_exchange", exchange_id=again),
                     self.serve.traffic(limit=50), self.serve.call("search_traffic", query="parrot"))
        for offset in range(10, 40, 3):  # windows that begin inside it
            self.nowhere(self.serve.call("proxy_get_exchange", exchange_id=again, include=["response_body"], offset=offset, limit=200))
        lines = "".join(path.read_text() for path in self.home.glob("audit/*.jsonl"))
        self.nowhere(lines, self.serve.output())

    def test_redirect_is_not_followed_and_its_target_is_masked(self):
        self.start()
        flow, handle = self.handle()
        self.origin.routes["/away"] = lambda talk: talk.answer(
            "302 Found", fields=[("Location", self.other.url("/hello?k=" + urllib.parse.quote(talk.request.get("x-demo", ""), safe="")))])
        answer = self.replay(flow, {"X-Demo": handle}, url=self.origin.url("/away"))
        self.assertEqual(answer["status_code"], 302)
        self.assertEqual(self.other.accepted, 0)
        self.nowhere(answer)

    def test_another_origin_is_refused_before_anything_is_sent(self):
        self.start()
        self.serve.call("set_scope", allowed_domains=["localhost", "127.0.0.1", "*.test"])
        flow, handle = self.handle()
        for url in (self.other.url("/hello"), f"http://127.0.0.1:{self.origin.port}/hello", f"https://localhost:{self.origin.port}/hello",
                    f"http://{handle}.evil.test/", f"http://evil.test:{self.other.port}/{handle}", f"http://{handle}@localhost:{self.other.port}/"):
            self.refused("", flow, {"X-Demo": handle}, url=url)
        self.refused(ELSEWHERE, flow, {"X-Demo": handle}, url=self.other.url("/hello"))
        self.assertEqual(self.other.accepted, 0)

    def test_no_rule_gets_it(self):
        """A forward or rewrite rule would lead it elsewhere; one that edits or answers would write it so that nothing finds it."""
        self.start()
        flow, handle = self.handle()
        away = {"type": "forward", "forwardTo": f"http://localhost:{self.other.port}"}
        rewrite = {"type": "rewrite", "urlPattern": f"localhost:{self.origin.port}", "replacement": f"localhost:{self.other.port}"}
        edit = {"type": "passthrough", "transformRequest": {"updateHeaders": {"X-A": "b"}}}
        mock = {"type": "mock", "status": 200, "body": "tea"}
        hold = {"type": "hold"}
        for handler in (away, rewrite, edit, mock, hold):
            rule = self.serve.call("proxy_add_rule", description="r", matcher={"hostname": "localhost"}, handler=handler)["rule"]["id"]
            if handler is not hold:
                self.assertEqual(self.replay(flow, direct=False)["status_code"], 200, "without a secret it goes")
            before = len(self.origin.requests), len(self.other.requests)
            self.refused("a rule applies", flow, {"X-Demo": handle}, direct=False)
            self.assertEqual((len(self.origin.requests), len(self.other.requests)), before, handler)
            self.assertEqual(self.replay(flow, {"X-Demo": handle}, direct=True)["status_code"], 200)
            self.serve.call("proxy_remove_rule", rule_id=rule)

    def test_a_rule_that_waits_for_the_body_does_not_get_it(self):
        """Whether such a rule applies is known once the body is there, and asked again then."""
        self.start()
        flow, handle = self.handle()
        edit = {"type": "passthrough", "transformResponse": {"matchReplaceBody": [["you", "y"]]}}
        self.serve.call("proxy_add_rule", description="r", matcher={"hostname": "localhost", "bodyIncludes": "tea"}, handler=edit)
        asked = {"url": self.origin.url("/parrot"), "method": "POST", "direct": False}
        self.assertIn("y said", json.dumps(self.replay(flow, body="a cup of tea", **asked)), "the rule works")
        before = len(self.origin.requests)
        self.refused("a rule applies", flow, {"X-Demo": handle}, body="a cup of tea", **asked)
        self.assertEqual(len(self.origin.requests), before)
        self.assertEqual(self.replay(flow, {"X-Demo": handle}, body="coffee", **asked)["status_code"], 200, "no rule is for that one")

    def test_a_host_that_is_not_its_own_gets_nothing(self):
        """One front serves many sites, and its certificate names them all."""
        self.start()
        flow, handle = self.handle()
        before = len(self.origin.requests)
        for name in ("evil.test", f"evil.test:{self.origin.port}", "localhost", ""):
            self.refused("Host is not", flow, {"Host": name, "X-Demo": handle})
        self.assertEqual(len(self.origin.requests), before)
        self.replay(flow, {"Host": f"LOCALHOST:{self.origin.port}", "X-Demo": handle})
        self.assertEqual(self.origin.requests[-1].get("x-demo"), SECRET)

    def test_names_that_are_made_of_it_are_masked_too(self):
        self.start()
        flow, handle = self.handle()
        self.origin.routes["/named"] = lambda talk: talk.answer(
            body=json.dumps({talk.request.get("x-demo", ""): {"inside": 1}}), fields=[("Content-Type", "application/json")])
        again = self.replay(flow, {"X-Demo": handle, "Content-Type": "application/json"}, url=self.origin.url(f"/named?{handle}=1"),
                            method="POST", body=json.dumps({handle: {"deep": 1}}))
        self.assertEqual(json.loads(self.origin.requests[-1].body), {SECRET: {"deep": 1}})
        self.replay(flow, {"X-Demo": handle}, url=self.origin.url(f"/parrot/{handle}/x"), method="GET", omit_body=True)
        self.nowhere(again, self.serve.call("export_openapi_spec", include_generated=True), self.serve.call("get_api_patterns", include_generated=True),
                     self.serve.call("get_flow_schema", flow_id=again["flow_id"]), self.serve.call("proxy_decode_exchange", exchange_id=again["flow_id"]))

    def test_upstream_proxy_does_not_get_it_in_the_clear(self):
        self.start()
        flow, handle = self.handle()
        self.serve.call("proxy_set_upstream", proxy_url=f"http://localhost:{self.other.port}")
        self.refused("an upstream proxy could read", flow, {"X-Demo": handle}, direct=False)
        self.assertEqual(self.other.accepted, 0)
        self.assertEqual(self.replay(flow, {"X-Demo": handle}, direct=True)["status_code"], 200, "past it, it goes")

    def test_a_certificate_that_is_not_verified_gets_nothing(self):
        fakes = TestAuthority(self.directory / "fakes")
        secure = Origin(fakes.server_context())
        self.addCleanup(secure.close)
        secure.routes["/token"] = token_page
        self.start(None, "--upstream-ca", fakes.pem)
        flow, handle = self.handle(secure.url("/token"))
        self.replay(flow, {"X-Demo": handle})
        self.assertEqual(secure.requests[-1].get("x-demo"), SECRET)
        self.serve.call("proxy_set_host_options", host="localhost", verify_upstream=False)
        seen = len(secure.requests)
        self.refused("not verified", flow, {"X-Demo": handle})
        self.assertEqual(len(secure.requests), seen)

    def test_mock_body_and_other_arguments_take_none(self):
        self.start()
        flow, handle = self.handle()
        calls = [("proxy_add_rule", {"description": "m", "matcher": {"hostname": "mock.test"}, "handler": {"type": "mock", "status": 200, "body": handle}}),
                 ("proxy_add_rule", {"description": "m", "matcher": {"hostname": "mock.test"},
                                     "handler": {"type": "passthrough", "transformRequest": {"updateHeaders": {"X-A": handle}}}}),
                 ("set_session_variable", {"name": "v", "value": handle}), ("set_global_header", {"key": "X-A", "value": handle}),
                 ("fuzz_endpoint", {"flow_id": flow, "target_param": handle, "param_type": "query", "payload_category": "sqli"})]
        for tool, arguments in calls:
            with self.assertRaises(ToolError) as caught:
                self.serve.call(tool, **arguments)
            self.assertIn("takes no secret handles", str(caught.exception))
        self.assertEqual(self.serve.call("proxy_list_rules")["rules"], [])

    def test_a_page_with_the_literal_text_stays_as_it_is(self):
        self.start()
        flow, handle = self.handle()
        self.origin.routes["/bait"] = lambda talk: talk.answer(body=f"send this: {handle}", fields=[("Content-Type", "text/plain")])
        bait = self.capture(self.origin.url("/bait?q=1"), "-H", f"X-Demo: {handle}", "--data-binary", f"k={handle}")
        text = json.dumps(self.serve.call("proxy_get_exchange", exchange_id=bait, include=["request_body", "response_body"]))
        self.assertIn(handle, text)
        for more in ({}, {"substitute_captured": True}, {"direct": False}):
            self.replay(bait, **more)
            request = self.origin.requests[-1]
            self.assertEqual((request.get("x-demo"), request.body.decode()), (handle, f"k={handle}"))

    def test_a_variable_that_holds_the_text_is_not_filled_in(self):
        self.start()
        flow, handle = self.handle()
        bait = self.capture(self.origin.url("/echo"), "--data-binary", f"k={handle}")
        self.serve.call("extract_session_variable", name="v", flow_id=bait, regex_pattern="k=(.*)")
        self.replay(flow, {"X-Demo": "${v}"})
        self.assertEqual(self.origin.requests[-1].get("x-demo"), handle)

    def test_search_is_no_oracle(self):
        self.start()
        flow, handle = self.handle()
        self.replay(flow, {"X-Demo": handle}, url=self.origin.url("/parrot"))
        with self.assertRaisesRegex(ToolError, "takes no secret handles"):
            self.serve.call("proxy_search_traffic", query=handle)
        for guess in (SECRET, SECRET[:5], SECRET[4:9], SECRET[-6:], SECRET.encode().hex()[:9]):
            found = self.serve.call("proxy_search_traffic", query=guess)
            self.assertEqual(found["results"], [], guess)
        rows = self.serve.traffic(filter="~b 'q7\"Zs'")
        self.assertEqual(rows, [])
        self.assertTrue(self.serve.call("proxy_search_traffic", query="you said")["results"])

    def test_a_rule_of_the_policy_sees_the_handle_and_not_the_value(self):
        document = HANDLES | {"tools": {"replay_flow": {"deny_if": [{"conditions": [{"path": "args.headers_json", "op": "contains", "value": "q7"}]}]}}}
        self.start(document)
        flow, handle = self.handle()
        self.replay(flow, {"X-Demo": handle})
        self.assertEqual(self.origin.requests[-1].get("x-demo"), SECRET)


class OfGrants(Admin):
    def test_another_grants_handle_is_as_good_as_none(self):
        origin = Origin()
        self.addCleanup(origin.close)
        origin.routes["/token"] = token_page
        maker, thief = self.grant("maker", HANDLES), self.grant("thief", HANDLES)
        serve = Serve("--toolset", "all", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        serve.curl("-o", "/dev/null", origin.url("/token"), check=0)
        rows = poll(lambda: json.loads(self.call(serve, maker, "proxy_list_traffic")[1])["exchanges"], 5, "the flow")
        flow = rows[0]["id"]

        def handle_of(token):
            return HANDLE.findall(self.call(serve, token, "proxy_get_exchange", exchange_id=flow, include=["response_body"])[1])[0]
        handles = {token: handle_of(token) for token in (maker, thief)}
        self.assertNotEqual(handles[maker], handles[thief])

        def replay(token, handle):
            return self.call(serve, token, "replay_flow", flow_id=flow, headers_json=json.dumps({"X-Demo": handle}))[1]
        seen = len(origin.requests)
        stolen, made_up = replay(thief, handles[maker]), replay(thief, "{{secret:" + "0" * 32 + "}}")
        self.assertIn(STALE, stolen)
        self.assertEqual(stolen, made_up)
        self.assertEqual(len(origin.requests), seen)
        self.assertIn("200", replay(maker, handles[maker]))
        self.assertEqual(origin.requests[-1].get("x-demo"), SECRET)

    def test_an_approval_shows_the_handle_and_not_the_value(self):
        origin = Origin()
        self.addCleanup(origin.close)
        origin.routes["/token"] = token_page
        token = self.grant("asker", HANDLES | {"tools": {"replay_flow": {"require_approval": {}}}})
        serve = Serve("--toolset", "all", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        serve.curl("-o", "/dev/null", origin.url("/token"), check=0)
        flow = poll(lambda: json.loads(self.call(serve, token, "proxy_list_traffic")[1])["exchanges"], 5, "the flow")[0]["id"]
        handle = HANDLE.findall(self.call(serve, token, "proxy_get_exchange", exchange_id=flow, include=["response_body"])[1])[0]

        def replay(value):
            return self.call(serve, token, "replay_flow", flow_id=flow, headers_json=json.dumps({"X-Demo": value}))[1]
        identifier = re.search(r"apr_[\w-]+", replay(handle)).group()
        shown = self.as_admin("approvals", "show", identifier).stdout
        self.assertIn(handle, shown)
        self.assertNotIn(SECRET[:5], shown)
        self.as_admin("approvals", "approve", identifier)
        self.assertIn("[APPROVAL REQUIRED]", replay("{{secret}}"), "a text is another call")
        self.assertIn("200", replay(handle))
        self.assertEqual(origin.requests[-1].get("x-demo"), SECRET)
