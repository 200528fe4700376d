"""Pages of lists and bodies: what one leaves out the next one has, and no answer says two things of where that is."""
import json
import pathlib

from harness import E2E, ToolError, poll

QUOTED = [{"n": n, "text": "\"it's\" \\ \"quoted\"\n"} for n in range(1200)]


class Pages(E2E):
    flags = ("--toolset", "all")

    def tearDown(self):
        self.serve.call("proxy_session_stop")
        super().tearDown()

    def quoted(self, count, name):
        """An origin whose answers are full of quotes, `count` requests to it, and the recording of them."""
        origin = self.new_origin()
        body = json.dumps(QUOTED)
        origin.routes["/large"] = lambda talk: talk.answer(body=body, fields=[("Content-Type", "application/json")])
        row = json.dumps({"say": 'need"le' * 12})
        origin.routes["/" + name] = lambda talk: talk.answer(body=row, fields=[("Content-Type", "application/json")])
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        urls = [origin.url(f"/{name}?{n}") for n in range(count)]
        config = pathlib.Path(self.directory) / "urls"
        config.write_text("".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
        done = self.serve.curl("-K", str(config), seconds=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        poll(lambda: self.serve.call("proxy_query_session", session_id=session, limit=1)["total"] == count, 10, "the recording")
        return origin, session, urls

    def one_cursor(self, answer):
        self.assertLess(("nextOffset" in answer) + ("next_offset" in answer), 2, list(answer))
        self.assertNotIn("cut", answer)
        return answer

    def all_of(self, tool, items, **arguments):
        found, offset = [], 0
        for _ in range(200):
            page = self.one_cursor(self.serve.call(tool, offset=offset, **arguments))
            found += page[items]
            following = page.get("nextOffset", page.get("next_offset"))
            if following is None:
                return found
            self.assertGreater(following, offset)
            offset = following
        self.fail("endless")

    def test_a_body_full_of_quotes_is_read_to_its_end_by_every_tool(self):
        origin, session, _ = self.quoted(1, "row")
        self.serve.curl(origin.url("/large"))
        flow = poll(lambda: self.serve.call("search_traffic", query="/large")["result"], 5, "the flow")[0]["id"]
        poll(lambda: self.serve.call("proxy_query_session", session_id=session)["total"] == 2, 10, "the recording")
        want = json.dumps(QUOTED)
        ours = lambda **more: self.serve.call("proxy_get_exchange", exchange_id=flow, include=["response_body"], **more)["exchange"]["response"]["body"]
        recorded = lambda **more: self.serve.call("proxy_get_session_exchange", session_id=session, exchange_id=flow, **more)["record"]
        for name, read in (("inspect_flow", lambda **more: self.serve.call("inspect_flow", flow_id=flow, full_body=True, **more)["response"]),
                           ("inspect_flows", lambda **more: self.serve.call("inspect_flows", flow_ids=flow, **more)["result"][0]["response"]),
                           ("inspect_flow", lambda **more: self.serve.call("inspect_flow", flow_id=flow, limit=9_000, **more)["response"]),
                           ("proxy_get_exchange", lambda **more: (lambda body: {"body": body["text"], "next_offset": body.get("nextOffset")})(ours(**more))),
                           ("proxy_get_session_exchange", lambda **more: (lambda record: {
                               "body": record["responseBodyText"], "next_offset": record["responseBody"].get("nextOffset")})(recorded(**more)))):
            with self.subTest(name):
                text, offset = "", 0
                while offset is not None:
                    page = read(offset=offset)
                    text += page["body"]
                    offset = page.get("next_offset")
                self.assertEqual(text, want)

    def test_flows_that_an_answer_has_no_room_for_are_named(self):
        _, _, urls = self.quoted(20, "flows")
        rows = poll(lambda: (lambda rows: len(rows) == 20 and rows)(self.serve.call("search_traffic", query="/flows", limit=50)["result"]), 5, "the flows")
        left = ids = [row["id"] for row in rows]
        seen = []
        while left:
            answer = self.one_cursor(self.serve.call("inspect_flows", flow_ids=",".join(left)))
            seen += answer["result"]
            if "next_flow_id" not in answer:
                break
            left = left[left.index(answer["next_flow_id"]):]
            self.assertEqual(answer["not_shown"], len(left))
        self.assertEqual([one["id"] for one in seen], ids)

    def test_every_match_of_a_body_search_is_on_a_page(self):
        _, session, urls = self.quoted(120, "found")
        matches = self.all_of("proxy_search_session_bodies", "matches", session_id=session, text='say', limit=100)
        self.assertEqual([match["url"] for match in matches], urls)

    def test_the_rows_of_a_recording_come_in_pages_that_meet(self):
        _, session, urls = self.quoted(130, "rows")
        for tool in ("proxy_query_session", "proxy_get_session_handshakes"):
            for limit in (30, 1000):
                with self.subTest(tool, limit=limit):
                    rows = self.all_of(tool, "items", session_id=session, sort="asc", limit=limit)
                    self.assertEqual([row["url"] for row in rows], urls)
                    self.assertNotIn("nextOffset", self.serve.call(tool, session_id=session, offset=125))

    def test_rows_that_come_meanwhile_shift_nothing_behind_a_cursor(self):
        origin, session, urls = self.quoted(30, "live")
        listed = [row["url"] for row in self.all_of("proxy_query_session", "items", session_id=session)]
        seen, cursor = [], {}
        for more in range(20):
            page = self.serve.call("proxy_query_session", session_id=session, limit=7, **cursor)
            seen += [row["url"] for row in page["items"]]
            self.assertEqual("nextCursor" in page, "nextOffset" in page)
            if "nextCursor" not in page:
                break
            cursor = {"cursor": page["nextCursor"]}
            self.serve.curl(origin.url(f"/live?new{more}"))
            poll(lambda: self.serve.call("proxy_query_session", session_id=session, limit=1)["total"] == 31 + more, 10, "the new one")
        self.assertEqual(seen, listed)
        self.assertEqual(sorted(seen), sorted(urls))
        filtered = self.serve.call("proxy_query_session", session_id=session, limit=7, filter="~u live", **cursor)
        self.assertEqual([row["url"] for row in filtered["items"]], listed[-2:])
        with self.assertRaisesRegex(ToolError, "nextCursor"):
            self.serve.call("proxy_query_session", session_id=session, cursor="x")

    def test_what_came_of_a_long_replay_is_read_without_sending_again(self):
        origin, session, urls = self.quoted(120, "again")
        self.serve.call("proxy_session_stop")
        before = len(origin.requests)
        answer = self.one_cursor(self.serve.call("proxy_replay_session", session_id=session, mode="execute", sort="asc", limit=200))
        self.assertEqual((answer["executedCount"], len(answer["items"]) + answer["itemsLeft"]), (120, 120))
        self.assertNotIn("nextOffset", answer)
        more = answer["moreItems"]
        self.assertEqual((more["tool"], more["arguments"]["offset"]), ("proxy_replay_status", len(answer["items"])))
        items, offset = answer["items"], more["arguments"]["offset"]
        while offset is not None:
            page = self.one_cursor(self.serve.call("proxy_replay_status", **{**more["arguments"], "offset": offset, "limit": 50}))
            self.assertEqual(page["itemCount"], 120)
            items, offset = items + page["items"], page.get("nextOffset")
        self.assertEqual([item["originalUrl"] for item in items], urls)
        self.assertEqual({item["status"] for item in items}, {"success"})
        self.assertEqual(len(origin.requests), before + 120)
        plan = self.all_of("proxy_replay_session", "items", session_id=session, sort="asc", limit=200)
        self.assertEqual([item["originalUrl"] for item in plan], urls)
        self.assertEqual(len(origin.requests), before + 120)
