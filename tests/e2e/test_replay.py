"""Recorded and captured requests sent again: proxy_replay_session, replay_flow (proxy.md f, mitm.md 5, analysis.md)."""
import json
import threading
import time

from harness import E2E, ToolError, free_port, poll


class Replays(E2E):
    flags = ("--toolset", "all")

    def tearDown(self):
        self.serve.call("proxy_session_stop")
        super().tearDown()

    def get(self, path, *more, origin=None):
        done = self.serve.curl((origin or self.origin).url(path), *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def record(self, *requests, origin=None, profile="full"):
        session = self.serve.call("proxy_session_start", capture_profile=profile)["session"]["id"]
        for path, *more in requests:
            self.get(path, *more, origin=origin)
        self.serve.call("proxy_session_stop")
        return session

    def replay(self, session, **arguments):
        return self.serve.call("proxy_replay_session", session_id=session, **{"mode": "execute", "sort": "asc"} | arguments)

    def ids(self, session):
        return [row["exchangeId"] for row in self.serve.call("proxy_query_session", session_id=session, sort="asc")["items"]]


class Sessions(Replays):
    def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(self):
        origin = self.new_origin()
        session = self.record(("/hello?a",), ("/echo", "-d", "x"), origin=origin)
        before = len(origin.requests)
        plan = self.serve.call("proxy_replay_session", session_id=session, sort="asc")
        self.assertEqual((plan["mode"], plan["selectedCount"], plan["executedCount"]), ("dry_run", 2, 0))
        first, second = plan["items"]
        self.assertEqual((first["method"], first["originalUrl"], first["targetUrl"]), ("GET", origin.url("/hello?a"), origin.url("/hello?a")))
        self.assertNotIn("status", first)
        self.assertEqual((second["status"], second["hasRequestBody"]), ("skipped", True))
        self.assertIn("allow_unsafe", second["reason"])
        self.assertEqual(len(origin.requests), before)

    def test_the_origin_gets_the_same_octets_again(self):
        origin = self.new_origin()
        body = bytes(range(256)) * 40
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        done = self.serve.curl(origin.url("/echo?q=%2F.."), "-H", "X-Twice: 1", "-H", "X-Twice: 2", "-H", "Accept;", "--data-binary", "@-",
                               input=body, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.serve.call("proxy_session_stop")
        answer = self.replay(session, allow_unsafe=True)
        item = answer["items"][0]
        self.assertEqual((item["status"], item["responseStatus"], answer["sameCount"]), ("success", 200, 1), item)
        self.assertTrue(item["diff"]["same"], item)
        self.assertTrue(item["replayExchangeId"].startswith("replay_"))
        first, second = origin.requests[-2:]
        self.assertEqual((second.head, second.body), (first.head, first.body))
        new = self.serve.call("proxy_get_exchange", exchange_id=item["replayExchangeId"], include=["request_body"], decoded=False)["exchange"]
        self.assertEqual(new["request"]["url"], origin.url("/echo?q=%2F.."))
        self.assertNotIn("source", new)

    def test_replays_pass_rules_by_unless_told_otherwise(self):
        session = self.record(("/hello?ruled",))
        self.add_rule({"urlPattern": "ruled"}, {"type": "mock", "status": 299, "body": "mocked"})
        self.assertEqual(self.replay(session)["items"][0]["responseStatus"], 200)
        ruled = self.replay(session, direct=False)["items"][0]
        self.assertEqual(ruled["responseStatus"], 299)
        self.assertEqual(ruled["diff"]["status"], {"recorded": 200, "now": 299})
        self.assertEqual(ruled["diff"]["body"], "different")

    def test_it_works_while_the_proxy_is_stopped(self):
        session = self.record(("/hello",))
        self.serve.call("proxy_stop")
        try:
            self.assertEqual(self.replay(session)["successCount"], 1)
        finally:
            self.serve.call("proxy_start")

    def test_another_target_keeps_the_path_behind_its_own(self):
        session = self.record(("/hello?x=1",))
        other = self.new_origin(plain=True)
        other.routes["/v2/hello"] = lambda talk: talk.answer(body="other")
        item = self.replay(session, target_base_url=other.url("/v2/"))["items"][0]
        self.assertEqual((item["status"], item["responseStatus"], item["targetUrl"]), ("success", 200, other.url("/v2/hello?x=1")))
        self.assertEqual(other.requests[-1].get("host"), f"localhost:{other.port}")

    def test_named_exchanges_go_in_the_order_given_and_an_unknown_one_fails_the_call(self):
        origin = self.new_origin()
        session = self.record(("/hello?1",), ("/echo?2", "-d", "x"), ("/hello?3",), origin=origin)
        ids = self.ids(session)
        self.replay(session, exchange_ids=[ids[2], ids[1]])
        self.assertEqual([r.target for r in origin.requests[-2:]], ["/hello?3", "/echo?2"])
        before = len(origin.requests)
        with self.assertRaisesRegex(ToolError, "Exchange not found in session"):
            self.replay(session, exchange_ids=[ids[0], "no-such"])
        self.assertEqual(len(origin.requests), before)

    def test_values_of_earlier_answers_reach_later_requests(self):
        origin = self.new_origin()
        tokens = iter(["tok-a", "tok-b"])
        origin.routes["/login"] = lambda talk: talk.answer(body=json.dumps({"data": [{"token": next(tokens)}]}), fields=[("X-Ticket", "t-1")])
        session = self.record(("/login",), ("/hello?me", "-H", "Authorization: Bearer tok-a"), origin=origin)
        ids = self.ids(session)
        answer = self.replay(session, exchange_ids=ids, set_headers={"Authorization": "Bearer ${token}", "X-Ticket": "${ticket}-${kind}-${nope}"},
                             variables={"kind": "k"},
                             extract=[{"name": "token", "exchange_id": ids[0], "pointer": "/data/0/token"},
                                      {"name": "ticket", "exchange_id": ids[0], "header": "x-ticket"}])
        self.assertEqual(origin.requests[-1].get("authorization"), "Bearer tok-b")
        self.assertEqual(origin.requests[-1].get("x-ticket"), "t-1-k-${nope}")
        self.assertIn("nope", answer["unresolved"])

    def test_a_plan_says_what_has_no_value_and_what_cannot_be_sent(self):
        origin = self.new_origin()
        session = self.record(("/hello?1",), ("/hello?2",), origin=origin)
        ids, before = self.ids(session), len(origin.requests)

        def plan(fields, exchange):
            return self.serve.call("proxy_replay_session", session_id=session, exchange_ids=ids, set_headers=fields,
                                   extract=[{"name": "later", "exchange_id": exchange, "header": "x-any"}])

        answer = plan({"X-T": "${later}-${nope}"}, ids[0])
        self.assertEqual(answer["unresolved"], ["nope"])
        self.assertFalse([item for item in answer["items"] if "error" in item or "status" in item])
        self.assertEqual(plan({"X-T": "${later}"}, "no-such")["unresolved"], ["later"])
        for item in plan({"Content-Length": "1"}, ids[0])["items"]:
            self.assertIn("Content-Length", item["error"])
        self.assertEqual(len(origin.requests), before)

    def test_captured_octets_are_substituted_only_when_asked(self):
        origin = self.new_origin()
        session = self.record(("/echo?v=${name}", "-g", "-d", '{"a":"${name}"}', "-H", "Content-Type: application/json"), origin=origin)
        self.replay(session, allow_unsafe=True, variables={"name": 'x"y'})
        self.assertEqual(origin.requests[-1].body, b'{"a":"${name}"}')
        self.replay(session, allow_unsafe=True, variables={"name": 'x"y'}, substitute_captured=True)
        self.assertEqual(origin.requests[-1].target, "/echo?v=x%22y")
        self.assertEqual(json.loads(origin.requests[-1].body), {"a": 'x"y'})
        self.assertEqual(origin.requests[-1].get("content-length"), str(len(origin.requests[-1].body)))

    def test_a_value_cannot_add_a_header(self):
        session = self.record(("/hello",))
        item = self.replay(session, set_headers={"X": "${v}"}, variables={"v": "a\r\nEvil: 1"})["items"][0]
        self.assertEqual(item["status"], "error")
        with self.assertRaises(ToolError):
            self.replay(session, set_headers={"X": "a"}, variables={"not a name": "v"})

    def test_the_cause_of_a_failure_is_named(self):
        session = self.record(("/hello",))
        answer = self.replay(session, retries=1, target_base_url=f"https://localhost:{free_port()}")
        item = answer["items"][0]
        self.assertEqual((item["status"], item.get("cause", {}).get("code"), item.get("attempts"), answer["errorCount"]),
                         ("error", "connect_refused", 2, 1), item)

    def test_bodies_that_were_not_recorded_whole_are_not_sent(self):
        session = self.serve.call("proxy_session_start", capture_profile="preview")["session"]["id"]
        self.serve.curl(self.origin.url("/echo"), "--data-binary", "@-", input=b"x" * 100_000, text=False)
        self.serve.call("proxy_session_stop")
        item = self.replay(session, allow_unsafe=True)["items"][0]
        self.assertEqual(item["status"], "skipped")
        self.assertIn("not recorded whole", item["reason"])

    def test_many_go_at_once_and_what_differs_is_told(self):
        origin = self.new_origin()
        count = iter(range(1000))
        origin.routes["/n"] = lambda talk: talk.answer(body=json.dumps({"n": next(count), "same": 1}), fields=[("Content-Type", "application/json")])
        session = self.record(*[(f"/n?{i}",) for i in range(10)], origin=origin)
        answer = self.replay(session, concurrency=5)
        self.assertEqual((answer["successCount"], answer["sameCount"]), (10, 0))
        self.assertEqual(answer["items"][0]["diff"]["json"][0]["pointer"], "/n")
        self.assertEqual(self.replay(session, concurrency=5, ignore=["/n"])["sameCount"], 10)

    def test_the_recorded_pace_is_kept(self):
        session = self.serve.call("proxy_session_start")["session"]["id"]
        self.get("/hello?1")
        time.sleep(0.4)
        self.get("/hello?2")
        self.serve.call("proxy_session_stop")
        origin = self.origin
        before = time.monotonic()
        answer = self.replay(session, pace="recorded", sort="desc")
        self.assertGreater(time.monotonic() - before, 0.35)
        self.assertEqual([r.target for r in origin.requests[-2:]], ["/hello?1", "/hello?2"])
        self.assertEqual(answer["successCount"], 2)

    def test_a_deadline_leaves_the_rest_and_says_so(self):
        origin = self.new_origin()
        session = self.record(*[(f"/hello?{i}",) for i in range(3)], origin=origin)
        origin.routes["/hello"] = lambda talk: (time.sleep(0.3), talk.answer(body="late"))
        answer = self.replay(session, deadline_ms=450)
        self.assertLess(answer["executedCount"], 3)
        self.assertIn("time", [item for item in answer["items"] if item["status"] == "skipped"][0]["reason"])

    def test_a_replay_in_the_background_goes_on_and_tells_how_far_it_is(self):
        origin = self.new_origin()
        session = self.record(*[(f"/hello?{i}",) for i in range(6)], origin=origin)
        begun = self.replay(session, background=True)
        self.assertEqual((begun["executedCount"], begun["selectedCount"]), (0, 6))
        look = lambda **more: self.serve.call("proxy_replay_status", replay_id=begun["replayId"], **more)
        poll(lambda: look()["replays"][0]["state"] == "done", 10, "the end of the replay")
        ended = look(limit=2, offset=1)
        self.assertEqual((ended["replays"][0]["sameCount"], ended["replays"][0]["done"], ended["nextOffset"]), (6, 6, 3))
        self.assertEqual([item["originalUrl"] for item in ended["items"]], [origin.url("/hello?1"), origin.url("/hello?2")])
        slow = self.replay(session, background=True, rate=1)
        self.serve.call("proxy_replay_status", replay_id=slow["replayId"], cancel=True)
        state = lambda: next(one for one in self.serve.call("proxy_replay_status")["replays"] if one["replayId"] == slow["replayId"])
        poll(lambda: state()["state"] == "cancelled", 10, "the cancelled replay")
        with self.assertRaisesRegex(ToolError, "no replay"):
            self.serve.call("proxy_replay_status", replay_id="replay_999")

    def test_replays_are_recorded_and_no_handshake_is_made_up_for_them(self):
        session = self.record(("/hello?source",))
        into = self.serve.call("proxy_session_start")["session"]["id"]
        self.replay(session)
        self.serve.call("proxy_session_stop")
        row = self.serve.call("proxy_query_session", session_id=into)["items"][0]
        self.assertTrue(row["exchangeId"].startswith("replay_"), row)
        self.assertEqual(self.serve.call("proxy_get_session_handshakes", session_id=into)["withTlsMetadata"], 0)
        again = self.serve.call("proxy_get_session_exchange", session_id=into, exchange_id=row["exchangeId"])
        self.assertEqual(again["record"]["exchange"]["id"], row["exchangeId"])

    def test_secrets_in_urls_are_masked_in_the_plan(self):
        session = self.record(("/hello?access_token=s3cret-s3cret",))
        plan = self.serve.call("proxy_replay_session", session_id=session)
        self.assertNotIn("s3cret", json.dumps(plan))


class Flows(Replays):
    def flow(self, path, *more, origin=None):
        marker = f"{path}{'&' if '?' in path else '?'}m={time.monotonic_ns()}"
        self.get(marker, *more, origin=origin)
        return poll(lambda: next((row["id"] for row in self.serve.call("get_traffic_summary")["result"] if marker in row["url"]), None), 5, "the flow")

    def test_a_flow_is_sent_again_and_the_new_one_is_named(self):
        origin = self.new_origin()
        flow = self.flow("/echo", "-d", "a body", origin=origin)
        answer = self.serve.call("replay_flow", flow_id=flow)
        self.assertIn("200", answer["result"])
        self.assertEqual(answer["status_code"], 200)
        self.assertEqual(origin.requests[-1].head, origin.requests[-2].head)
        new = self.serve.call("inspect_flow", flow_id=answer["flow_id"], full_body=True)
        self.assertEqual(new["request"]["method"], "POST")
        self.assertIn("content-length", {name.lower() for name in answer["headers"]})

    def test_W9_method_url_headers_and_body_can_be_others_or_none(self):
        origin = self.new_origin()
        flow = self.flow("/echo", "-d", "a body", "-H", "X-Gone: 1", origin=origin)
        self.serve.call("replay_flow", flow_id=flow, method="put", body="other", headers_json='{"X-Gone": null, "X-New": "n"}',
                        url=origin.url("/hello?elsewhere"))
        sent = origin.requests[-1]
        self.assertEqual((sent.method, sent.target, sent.body), ("PUT", "/hello?elsewhere", b"other"))
        self.assertEqual((sent.get("x-gone"), sent.get("x-new")), (None, "n"))
        for omitted in ({"body": "__omit__"}, {"omit_body": True}):
            self.serve.call("replay_flow", flow_id=flow, **omitted)
            self.assertEqual(origin.requests[-1].body, b"")

    def test_W8_session_variables_are_put_in_encoded_for_their_place(self):
        origin = self.new_origin()
        flow = self.flow("/echo", "-H", "Content-Type: application/json", "-d", "{}", origin=origin)
        for name, value in (("tok", "AAA"), ("token", 'q"uo te')):
            self.serve.call("set_session_variable", name=name, value=value)
        answer = self.serve.call("replay_flow", flow_id=flow, headers_json='{"X-A": "$tok-${token}-$nope", "X-B": "$$tok"}',
                                 body='{"a": "$token"}', url=origin.url("/hello?t=${token}"))
        sent = origin.requests[-1]
        self.assertEqual((sent.get("x-a"), sent.get("x-b"), sent.target), ('AAA-q"uo te-$nope', "$tok", "/hello?t=q%22uo%20te"))
        self.assertEqual(json.loads(sent.body), {"a": 'q"uo te'})
        self.assertEqual(answer["unresolved"], ["nope"])

    def test_captured_octets_of_a_flow_are_substituted_only_when_asked(self):
        origin = self.new_origin()
        flow = self.flow("/hello?t=${tok}", "-g", "-H", "Content-Type: application/json", "-H", "X-T: ${tok} $tok", "-d", '{"a": "${tok}", "b": "$tok"}', origin=origin)
        self.serve.call("set_session_variable", name="tok", value='v"1')
        self.addCleanup(self.serve.call, "delete_session_variable", name="tok")
        self.serve.call("replay_flow", flow_id=flow)
        self.assertEqual((origin.requests[-1].head, origin.requests[-1].body), (origin.requests[-2].head, origin.requests[-2].body))
        self.serve.call("replay_flow", flow_id=flow, substitute_captured=True)
        sent = origin.requests[-1]
        self.assertIn("t=v%221&", sent.target)
        self.assertEqual((sent.get("x-t"), json.loads(sent.body)), ('v"1 $tok', {"a": 'v"1', "b": "$tok"}))
        self.serve.call("replay_flow", flow_id=flow, substitute_captured=True, headers_json='{"X-T": "mine"}', body="{}")
        self.assertEqual((origin.requests[-1].get("x-t"), origin.requests[-1].body), ("mine", b"{}"))
        self.serve.call("set_session_variable", name="tok", value="a\r\nEvil: 1")
        with self.assertRaisesRegex(ToolError, "control character"):
            self.serve.call("replay_flow", flow_id=flow, substitute_captured=True)

    def test_without_a_scope_it_goes_to_its_own_origin_only(self):
        other = self.new_origin()
        flow = self.flow("/hello")
        with self.assertRaisesRegex(ToolError, "own origin only"):
            self.serve.call("replay_flow", flow_id=flow, url=other.url("/hello"))
        self.assertEqual(other.requests, [])
        self.serve.call("set_scope", allowed_domains=["localhost"])
        self.addCleanup(self.serve.call, "set_scope", allowed_domains=[])
        self.serve.call("replay_flow", flow_id=flow, url=other.url("/hello"))
        self.assertEqual(len(other.requests), 1)
        with self.assertRaisesRegex(ToolError, "not in the scope"):
            self.serve.call("replay_flow", flow_id=flow, url="http://example.invalid/")

    def test_rules_apply_unless_it_goes_direct(self):
        flow = self.flow("/hello?ruledflow")
        self.add_rule({"urlPattern": "ruledflow"}, {"type": "mock", "status": 298})
        self.assertEqual(self.serve.call("replay_flow", flow_id=flow)["status_code"], 298)
        self.assertEqual(self.serve.call("replay_flow", flow_id=flow, direct=True)["status_code"], 200)

    def test_what_cannot_be_sent_says_why(self):
        with self.assertRaisesRegex(ToolError, "Flow not found"):
            self.serve.call("replay_flow", flow_id="nope")
        flow = self.flow("/hello")
        with self.assertRaisesRegex(ToolError, "headers_json"):
            self.serve.call("replay_flow", flow_id=flow, headers_json="[1]")
        with self.assertRaises(ToolError):
            self.serve.call("replay_flow", flow_id=flow, headers_json=json.dumps({"X": "a\r\nEvil: 1"}))

    def test_an_origin_that_never_answers_is_not_waited_for(self):
        origin = self.new_origin()
        flow = self.flow("/hello", origin=origin)
        gate = threading.Event()
        self.addCleanup(gate.set)
        origin.routes["/hello"] = lambda talk: (gate.wait(20), talk.answer(body="late"))
        before = time.monotonic()
        with self.assertRaisesRegex(ToolError, "timeout"):
            self.serve.call("replay_flow", flow_id=flow, timeout=0.5)
        self.assertLess(time.monotonic() - before, 8)


class Fuzzing(Replays):
    def setUp(self):
        super().setUp()
        self.site = self.new_origin()
        routes = self.site.routes
        html = [("Content-Type", "text/html")]
        value = lambda talk, name: talk.request.query.get(name, "")
        routes["/safe"] = lambda talk: talk.answer(body="<p>always the same page</p>" * 5, fields=html)
        routes["/sql"] = lambda talk: talk.answer(*(("500 Oops", "sqlite3.OperationalError: near") if "'" in value(talk, "id") else ("200 OK", "<p>row</p>")))
        routes["/echo-it"] = lambda talk: talk.answer(body=f"<p>you said {value(talk, 'q')}</p>", fields=html)
        routes["/go"] = lambda talk: talk.answer("302 Found", fields=[("Location", value(talk, "next"))])
        routes["/missing"] = lambda talk: talk.answer("404 Not Found", body="nothing here", fields=html)

    def flow(self, path, *more):
        self.get(path, *more, origin=self.site)
        marker = path.split("?")[0]
        return poll(lambda: next((row["id"] for row in self.serve.call("get_traffic_summary")["result"] if marker in row["url"]), None), 5, "the flow")

    def fuzz(self, flow, param, category="sqli", **more):
        return self.serve.call("fuzz_endpoint", **{"flow_id": flow, "target_param": param, "param_type": "query", "payload_category": category, "rate": 0} | more)

    def kinds(self, answer):
        return {kind for one in answer["anomalies"] for kind in one["kinds"]}

    def test_a_page_that_takes_no_notice_has_no_anomalies(self):
        answer = self.fuzz(self.flow("/safe?id=1"), "id")
        self.assertEqual((answer["baseline_status"], answer["anomalies"], answer["message"]), (200, [], "No anomalies found."))
        self.assertEqual(answer["sent"], answer["payloads"])

    def test_W7_the_baseline_is_what_the_request_gives_now(self):
        answer = self.fuzz(self.flow("/missing?id=1"), "id")
        self.assertEqual((answer["baseline_status"], answer["baseline_len"], answer["anomalies"]), (404, 12, []))

    def test_an_error_is_named_with_its_signature_and_its_flow(self):
        answer = self.fuzz(self.flow("/sql?id=1"), "id", budget=5)
        first = answer["anomalies"][0]
        self.assertEqual((first["payload"], first["status"]), ("'", 500))
        self.assertEqual(set(first["kinds"]), {"server_error", "error_signature"})
        self.assertIn("SQLite", first["anomaly"])
        self.assertIn("%27", self.serve.call("inspect_flow", flow_id=first["flow_id"])["request"]["url"])
        self.assertEqual(answer["stopped"], "the budget was used up")

    def test_five_errors_in_a_row_end_it(self):
        self.site.routes["/sql"] = lambda talk: talk.answer("200 OK" if talk.request.query.get("id") == "1" else "503 No")
        answer = self.fuzz(self.flow("/sql?id=1"), "id", concurrency=1)
        self.assertEqual(answer["sent"], 5)
        self.assertIn("5 answers in a row", answer["stopped"])

    def test_reflections_redirects_and_own_payloads_are_found(self):
        self.assertIn("reflection", self.kinds(self.fuzz(self.flow("/echo-it?q=a"), "q", "xss")))
        self.assertIn("proof", self.kinds(self.fuzz(self.flow("/go?next=/"), "next", "open_redirect")))
        own = self.fuzz(self.flow("/echo-it?q=a"), "q", payloads=["<my-own-mark>"])
        self.assertEqual([one["payload"] for one in own["anomalies"]], ["<my-own-mark>"])

    def test_each_location_is_reached(self):
        flow = self.flow("/echo", "-H", "Content-Type: application/json", "-d", '{"a":{"b":[1]}}', "-b", "sid=1")
        more = {"payloads": ["p'1"], "allow_unsafe": True}
        self.fuzz(flow, "x", location="json", pointer="/a/b/0", **more)
        self.assertEqual(json.loads(self.site.requests[-1].body), {"a": {"b": ["p'1"]}})
        self.fuzz(flow, "sid", location="cookie", **more)
        self.assertEqual(self.site.requests[-1].get("cookie"), "sid=p%271")
        self.fuzz(flow, "X-New", location="header", **more)
        self.assertEqual(self.site.requests[-1].get("x-new"), "p'1")
        self.fuzz(flow, "echo", location="path", **more)
        self.assertEqual(self.site.requests[-1].target, "/p%271")
        self.fuzz(flow, "n", param_type="json_body", **more)
        self.assertEqual(json.loads(self.site.requests[-1].body)["n"], "p'1")

    def test_what_may_change_something_needs_to_be_allowed(self):
        before = len(self.site.requests)
        flow = self.flow("/echo", "-d", "a=1")
        with self.assertRaisesRegex(ToolError, "allow_unsafe"):
            self.fuzz(flow, "a", location="form")
        self.site.routes["/account/logout"] = lambda talk: talk.answer(body="bye")
        with self.assertRaisesRegex(ToolError, "logout"):
            self.fuzz(self.flow("/account/logout?x=1"), "x")
        self.assertEqual(len(self.site.requests), before + 2)

    def test_other_machines_need_a_scope(self):
        self.add_rule({"hostname": "shop.example"}, {"type": "mock", "status": 200, "body": "mocked"})
        self.serve.curl("http://shop.example/a?b=1")
        flow = poll(lambda: next((row["id"] for row in self.serve.call("get_traffic_summary")["result"] if "shop.example" in row["url"]), None), 5, "the flow")
        with self.assertRaisesRegex(ToolError, "set_scope"):
            self.fuzz(flow, "b")
        self.serve.call("set_scope", allowed_domains=["shop.example"])
        self.addCleanup(self.serve.call, "set_scope", allowed_domains=[])
        self.assertEqual(self.fuzz(flow, "b")["baseline_status"], 200)

    def test_a_session_that_was_logged_out_ends_it(self):
        seen = []
        def page(talk):
            seen.append(1)
            talk.answer("200 OK" if len(seen) < 40 else "401 Unauthorized", body="x" * 40)
        self.site.routes["/private"] = page
        answer = self.fuzz(self.flow("/private?id=1"), "id", payloads=[str(i) for i in range(100)], concurrency=1)
        self.assertIn("answered otherwise now", answer["stopped"])
        self.assertLess(answer["sent"], 60)


class Comparisons(Replays):
    def test_what_drifted_is_told_by_endpoint(self):
        origin = self.new_origin()
        version = ["1"]
        origin.routes["/v"] = lambda talk: talk.answer(body=json.dumps({"version": version[0]}), fields=[("Content-Type", "application/json")])
        session = self.record(("/v?a",), ("/v?b",), ("/hello",), origin=origin)
        steady = self.serve.call("proxy_replay_verify", session_id=session)
        self.assertEqual((steady["drift"], steady["replayed"], steady["same"]), (False, 3, 3), steady)
        version[0] = "2"
        drifted = self.serve.call("proxy_replay_verify", session_id=session)
        self.assertEqual((drifted["drift"], drifted["driftedEndpoints"], drifted["endpointCount"]), (True, 1, 2))
        row = next(one for one in drifted["endpoints"] if one["drift"])
        self.assertEqual((row["endpoint"], row["replayed"], row["bodyChanged"]), (f"GET {origin.url('/v')}", 2, 2))
        self.assertEqual(row["examples"][0]["diff"]["json"][0]["pointer"], "/version")

    def test_two_recordings_are_paired_by_what_they_ask_for(self):
        origin = self.new_origin()
        body = ["one"]
        origin.routes["/n"] = lambda talk: talk.answer(body=body[0])
        first = self.record(("/n",), ("/hello?both",), ("/hello?first",), origin=origin)
        body[0] = "two"
        second = self.record(("/hello?both",), ("/n",), ("/hello?second",), origin=origin)
        diff = self.serve.call("proxy_diff_sessions", session_a=first, session_b=second)
        self.assertEqual((diff["same"], diff["different"], diff["onlyA"], diff["onlyB"], diff["total"]), (1, 1, 1, 1, 3))
        self.assertEqual([item["kind"] for item in diff["items"]], ["different", "only_a", "only_b"])
        self.assertEqual(diff["items"][0]["diff"]["body"], "different")
        page = self.serve.call("proxy_diff_sessions", session_a=first, session_b=second, limit=1, offset=2)
        self.assertEqual([item["kind"] for item in page["items"]], ["only_b"])
        a, b = self.ids(first)[0], self.ids(second)[1]
        one = self.serve.call("proxy_diff_exchanges", exchange_a=a, session_a=first, exchange_b=b, session_b=second)
        self.assertEqual((one["same"], one["request"]["same"], one["response"]["body"]), (False, True, "different"))
        ring = self.serve.call("proxy_diff_exchanges", exchange_a=a, exchange_b=b)
        self.assertEqual(ring["response"], one["response"])
        with self.assertRaisesRegex(ToolError, "no exchange"):
            self.serve.call("proxy_diff_exchanges", exchange_a=a, exchange_b="nope")

    def test_a_checkpoint_puts_what_was_recorded_on_the_disk(self):
        with self.assertRaisesRegex(ToolError, "Nothing is being recorded"):
            self.serve.call("proxy_session_checkpoint")
        session = self.serve.call("proxy_session_start")["session"]["id"]
        self.get("/hello")
        point = self.serve.call("proxy_session_checkpoint")
        self.assertEqual((point["sessionId"], point["exchangeCount"]), (session, 1))
        self.assertGreater(point["bytesWritten"], 100)
        self.serve.call("proxy_session_stop")
        check = self.serve.call("proxy_session_verify_integrity", session_id=session)
        self.assertEqual((check["good"], check["report"]["exchanges"]), (True, 1))
        files = [p for p in (self.serve.home / "sessions" / session).rglob("*") if p.is_file() and p.stat().st_size > 1000 and "index" not in p.name]
        data = bytearray(files[0].read_bytes())
        data[len(data) // 2] ^= 0xff
        files[0].write_bytes(data)
        self.assertFalse(self.serve.call("proxy_session_verify_integrity", session_id=session)["good"])
