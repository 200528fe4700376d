"""Breakpoints (engine.md 6): `hold` rules, proxy_list_held and proxy_resume_exchange, while curl waits (docs/rules.md)."""
import base64
import gzip
import signal
import subprocess
import threading
import time

from harness import E2E, ToolError, Unknown, poll  # first: it knows where the fakes are


class Waiting:
    """A curl that waits for its answer."""

    def __init__(self, test, path, *arguments, version="--http1.1"):
        self.done = None
        self.thread = threading.Thread(target=self._run, args=(test, path, version, arguments))
        self.thread.start()
        test.addCleanup(self.thread.join, 30)

    def _run(self, test, path, version, arguments):
        self.done = test.serve.curl("-i", version, "--suppress-connect-headers", *arguments, test.origin.url(path),
                                    seconds=30)

    def answer(self):
        """(status, head, body)"""
        self.thread.join(30)
        head, _, body = self.done.stdout.partition("\n\n")
        return int(head.split()[1]) if head else 0, head.lower(), body


class Breakpoints(E2E):
    VERSION = "--http1.1"

    def fetch(self, path, *arguments):
        return Waiting(self, path, *arguments, version=self.VERSION)

    def hold(self, path, **handler):
        return self.add_rule({"pathPattern": "^" + path}, {"type": "hold", **handler})

    def held(self, path, phase="request", **arguments):
        rows = poll(lambda: [row for row in self.serve.call("proxy_list_held", **arguments)["held"]
                             if path in row["url"] and row["phase"] == phase], 10, f"a held {phase} of {path}")
        return rows[0]

    def resume(self, row, action="continue", **edits):
        return self.serve.call("proxy_resume_exchange", exchange_id=row["exchange_id"], action=action,
                               **({"edits": edits} if edits else {}))

    def requests(self, part):
        return [r for r in self.origin.requests if part in r.target]

    def test_a_held_request_goes_on_as_it_was_when_told_to(self):
        rule = self.hold("/head.held")
        self.origin.routes["/head.held"] = self.origin.routes["/head"]
        waiting = self.fetch("/head.held?a=1", "-H", "X-One: 1")
        row = self.held("/head.held")
        self.assertEqual(row["ruleId"], rule)
        self.assertEqual(row["method"], "GET")
        self.assertEqual(row["headers"]["x-one"], "1")
        self.assertTrue(row["bodyEditable"])
        self.assertGreater(row["remainingMs"], 30_000)
        self.assertEqual(self.requests("/head.held"), [])
        self.resume(row)
        status, _, body = waiting.answer()
        self.assertEqual(status, 200)
        self.assertIn("GET /head.held?a=1 HTTP/1.1", body)
        self.assertEqual(self.serve.call("proxy_list_held")["count"], 0)
        record = self.serve.exchange("/head.held")
        self.assertEqual((record["state"], record["matchedRuleId"]), ("done", rule))

    def test_every_part_of_a_held_request_can_be_edited(self):
        self.hold("/echo-held")
        self.origin.routes["/elsewhere"] = self.origin.routes["/echo"]
        waiting = self.fetch("/echo-held", "-d", "old body", "-H", "X-Old: 1", "-H", "X-Kept: yes")
        row = self.held("/echo-held")
        self.assertEqual(row["body"], "old body")
        url = self.origin.url("/elsewhere?new=1")
        self.resume(row, method="PUT", url=url, headers={"x-old": None, "X-New": "2"}, body="a new body")
        status, _, body = waiting.answer()
        self.assertEqual((status, body), (200, "a new body"))
        request = self.requests("/elsewhere?new=1")[0]
        self.assertEqual(request.method, "PUT")
        self.assertEqual((request.get("x-old"), request.get("x-new"), request.get("x-kept")), (None, "2", "yes"))
        self.assertEqual(self.requests("/echo-held"), [])
        record = self.serve.exchange("/echo-held", include=["original", "request_body"])
        self.assertEqual(record["request"]["body"]["text"], "old body", "what the client sent is what is recorded")

    def test_the_whole_list_of_headers_can_be_given_anew(self):
        self.hold("/head-raw")
        self.origin.routes["/head-raw"] = self.origin.routes["/head"]
        waiting = self.fetch("/head-raw", "-H", "X-Old: 1")
        host = f"localhost:{self.origin.port}"
        self.resume(self.held("/head-raw"), rawHeaders=[["Host", host], ["x-B", "1"], ["X-A", "2"], ["x-B", "3"]])
        _, _, body = waiting.answer()
        lines = [line.strip() for line in body.splitlines()[1:] if line.strip()]
        self.assertEqual(lines[:4], [f"Host: {host}", "x-B: 1", "X-A: 2", "x-B: 3"])
        self.assertNotIn("X-Old", body)

    def test_a_body_can_be_given_to_a_request_that_had_none(self):
        self.hold("/echo-bare")
        self.origin.routes["/echo-bare"] = self.origin.routes["/echo"]
        waiting = self.fetch("/echo-bare", "-o", "/dev/null", "-w", "\n\n")
        octets = bytes(range(256))
        self.resume(self.held("/echo-bare"), method="POST", bodyBase64=base64.b64encode(octets).decode())
        waiting.thread.join(30)
        self.assertEqual(self.requests("/echo-bare")[0].body, octets)

    def test_somebody_answers_in_the_origins_place(self):
        rule = self.hold("/nowhere-held")
        waiting = self.fetch("/nowhere-held", "-d", "x")
        self.resume(self.held("/nowhere-held"), "respond", status=418, headers={"X-By": "hand"}, body="short and stout")
        status, head, body = waiting.answer()
        self.assertEqual((status, body), (418, "short and stout"))
        self.assertIn("x-by: hand", head)
        self.assertEqual(self.requests("/nowhere-held"), [])
        record = self.serve.exchange("/nowhere-held")
        self.assertEqual((record["response"]["statusCode"], record["matchedRuleId"]), (418, rule))

    def test_an_unresolvable_host_can_be_answered(self):
        self.add_rule({"hostname": "nowhere.invalid"}, {"type": "hold"})
        done = []
        thread = threading.Thread(target=lambda: done.append(
            self.serve.curl(self.VERSION, "https://nowhere.invalid/x", seconds=30)))
        thread.start()
        self.resume(self.held("nowhere.invalid/x"), "respond", body="made up")
        thread.join(30)
        self.assertEqual(done[0].stdout, "made up", done[0].stderr)

    def test_a_held_request_can_be_dropped(self):
        rule = self.hold("/dropped-held")
        waiting = self.fetch("/dropped-held")
        self.resume(self.held("/dropped-held"), "drop")
        waiting.answer()
        self.assertIn(waiting.done.returncode, (16, 52, 56, 92))
        record = self.serve.exchange("/dropped-held")
        self.assertEqual(record["state"], "dropped")
        self.assertEqual(record["error"]["message"], f"held by {rule}, then dropped")

    def test_a_held_answer_can_be_edited(self):
        self.hold("/echo-answer", holdOn="response")
        self.origin.routes["/echo-answer"] = self.origin.routes["/echo"]
        waiting = self.fetch("/echo-answer", "-d", "from the origin")
        row = self.held("/echo-answer", "response")
        self.assertEqual((row["statusCode"], row["body"]), (200, "from the origin"))
        self.resume(row, status=203, headers={"X-Seen": "1"}, body="edited")
        status, head, body = waiting.answer()
        self.assertEqual((status, body), (203, "edited"))
        self.assertIn("x-seen: 1", head)
        record = self.serve.exchange("/echo-answer", include=["response_body"])
        self.assertEqual(record["response"]["body"]["text"], "edited", "what the client got is what is recorded")

    def test_a_coded_answer_is_shown_and_edited_as_text(self):
        def coded(talk):
            talk.answer(body=gzip.compress(b"coded text"), fields=[("Content-Encoding", "gzip")])
        self.origin.routes["/coded-held"] = coded
        self.hold("/coded-held", holdOn="response")
        waiting = self.fetch("/coded-held", "--compressed")
        row = self.held("/coded-held", "response")
        self.assertEqual(row["body"], "coded text")
        self.resume(row, body="other text")
        status, head, body = waiting.answer()
        self.assertEqual((status, body), (200, "other text"))
        self.assertIn("content-encoding: gzip", head)

    def test_a_held_answer_can_be_replaced_or_dropped(self):
        self.hold("/echo-two", holdOn="response")
        self.origin.routes["/echo-two"] = self.origin.routes["/echo"]
        waiting = self.fetch("/echo-two?1")
        self.resume(self.held("/echo-two?1", "response"), "respond", status=500, body="mine")
        self.assertEqual(waiting.answer()[::2], (500, "mine"))
        waiting = self.fetch("/echo-two?2")
        self.resume(self.held("/echo-two?2", "response"), "drop")
        waiting.answer()
        self.assertNotEqual(waiting.done.returncode, 0)
        self.assertEqual(self.serve.exchange("/echo-two?2")["state"], "dropped")

    def test_both_sides_of_one_exchange_are_held_in_turn(self):
        self.hold("/hello-both", holdOn="both")
        self.origin.routes["/hello-both"] = self.origin.routes["/hello"]
        waiting = self.fetch("/hello-both")
        request = self.held("/hello-both")
        self.resume(request)
        answer = self.held("/hello-both", "response")
        self.assertEqual(request["exchange_id"], answer["exchange_id"])
        self.resume(answer)
        self.assertEqual(waiting.answer()[0], 200)

    def test_an_answer_of_a_certain_status_is_held(self):
        self.origin.routes["/teapot"] = lambda talk: talk.answer("418 I'm a teapot", b"short")
        self.add_rule({"statusCode": 418}, {"type": "hold", "holdOn": "response"})
        waiting = self.fetch("/teapot")
        self.resume(self.held("/teapot", "response"), status=200)
        self.assertEqual(waiting.answer()[0], 200)

    def test_an_endless_answer_is_held_by_its_head_alone(self):
        self.hold("/events", holdOn="response")
        waiting = self.fetch("/events", "--max-time", "5")
        row = self.held("/events", "response")
        self.assertFalse(row["bodyEditable"])
        with self.assertRaisesRegex(ToolError, "edits.body: this body is too large or has no end"):
            self.resume(row, body="x")
        self.resume(row, headers={"X-Seen": "1"})
        status, head, body = waiting.answer()
        self.assertEqual(status, 200)
        self.assertIn("x-seen: 1", head)
        self.assertIn("data:", body)

    def test_a_large_answer_passes_whole_behind_its_held_head(self):
        self.hold("/large", holdOn="response")
        waiting = self.fetch("/large?size=20000000", "-o", "/dev/null", "-w", "%{size_download}")
        row = self.held("/large?size=20000000", "response")
        self.assertFalse(row["bodyEditable"])
        self.resume(row)
        waiting.thread.join(30)
        self.assertTrue(waiting.done.stdout.endswith("20000000"), waiting.done.stdout[-200:])

    def test_a_hold_ends_by_itself(self):
        self.hold("/hello-short", timeoutMs=300)
        self.origin.routes["/hello-short"] = self.origin.routes["/hello"]
        begun = time.monotonic()
        self.assertEqual(self.fetch("/hello-short").answer()[0], 200)
        self.assertGreaterEqual(time.monotonic() - begun, 0.3)

    def test_a_client_that_leaves_ends_its_hold(self):
        self.hold("/left-held")
        url = self.origin.url("/left-held")
        process = subprocess.Popen(["curl", "-s", self.VERSION, "-x", self.serve.proxy_url, "--noproxy", "", "--cacert",
                                    str(self.serve.ca), url], stdout=subprocess.DEVNULL)
        try:
            self.held("/left-held")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        poll(lambda: self.serve.call("proxy_list_held")["count"] == 0, 10, "the end of the hold")
        record = self.serve.exchange("/left-held")
        self.assertEqual(record["state"], "aborted")
        self.assertEqual(self.requests("/left-held"), [])

    def test_bad_decisions_are_refused_and_it_stays_held(self):
        self.hold("/hello-bad")
        self.origin.routes["/hello-bad"] = self.origin.routes["/hello"]
        waiting = self.fetch("/hello-bad")
        row = self.held("/hello-bad")
        for edits, reason in (({"url": "ftp://x/"}, "edits.url: "),
                              ({"url": "no url"}, "edits.url: "),
                              ({"method": "A B"}, "edits.method must be an HTTP method"),
                              ({"status": 200}, "edits.status is for answers"),
                              ({"headers": {"X": "a\r\nY: b"}}, "line break"),
                              ({"rawHeaders": [["X", "a\nb"]]}, "line break"),
                              ({"headers": {"Content-Length": "5"}}, "cannot be edited"),
                              ({"body": "a", "bodyBase64": "YQ=="}, "not both"),
                              ({"bodyBase64": "!"}, "not base64"),
                              ({"headers": {"a": "b"}, "rawHeaders": [["a", "b"]]}, "give headers")):
            with self.subTest(edits=edits), self.assertRaisesRegex(ToolError, reason):
                self.resume(row, **edits)
        with self.assertRaisesRegex(ToolError, "what is dropped takes none"):
            self.resume(row, "drop", body="x")
        with self.assertRaisesRegex(ToolError, "is not held"):
            self.serve.call("proxy_resume_exchange", exchange_id="no-such", action="continue")
        self.resume(self.held("/hello-bad"))
        self.assertEqual(waiting.answer()[0], 200)
        with self.assertRaisesRegex(ToolError, "is not held"):
            self.resume(row)

    def test_secrets_of_what_is_held_are_masked_and_masks_do_not_go_out(self):
        self.hold("/head-secret")
        self.origin.routes["/head-secret"] = self.origin.routes["/head"]
        waiting = self.fetch("/head-secret?token=abc123def456", "-H", "Authorization: Bearer s3cr3t-of-the-client")
        row = self.held("/head-secret")
        self.assertNotIn("s3cr3t", str(row))
        self.assertNotIn("abc123def456", str(row))
        masked = row["headers"]["authorization"]
        for edits in ({"headers": {"Authorization": masked}}, {"rawHeaders": [["Authorization", masked]]},
                      {"url": row["url"]}, {"body": masked}):
            with self.subTest(edits=edits), self.assertRaisesRegex(ToolError, "holds a mask of Sluice"):
                self.resume(row, **edits)
        self.assertIn("s3cr3t", str(self.held("/head-secret", show_secrets=True)))
        self.resume(row)
        self.assertIn("Bearer s3cr3t-of-the-client", waiting.answer()[2])

    def test_at_most_a_hundred_are_held_and_the_others_go_on(self):
        self.hold("/hello-many", timeoutMs=20_000)
        self.origin.routes["/hello-many"] = self.origin.routes["/hello"]
        urls = [self.origin.url(f"/hello-many?{i}") for i in range(101)]
        done = []
        thread = threading.Thread(target=lambda: done.append(self.serve.curl(
            self.VERSION, "--parallel", "--parallel-immediate", "--parallel-max", "101", "-o", "/dev/null",
            "-w", "%{http_code}\n", *[x for url in urls for x in (url, "-o", "/dev/null")][:-2], seconds=60)))
        thread.start()
        self.addCleanup(thread.join, 60)
        poll(lambda: self.serve.call("proxy_list_held", body_limit=0)["count"] == 100, 20, "a hundred holds")
        row = poll(lambda: self.serve.traffic(url_filter="/hello-many", limit=5), 10, "the one that went on")[0]
        self.assertIn("hold_limit", self.serve.call("proxy_get_exchange", exchange_id=row["id"])["exchange"]["anomalies"])
        while held := self.serve.call("proxy_list_held", body_limit=0)["held"]:
            for one in held:
                self.resume(one)
        thread.join(60)
        self.assertEqual(done[0].stdout.split().count("200"), 101)

    def test_a_stop_ends_what_is_held(self):
        self.hold("/hello-stop")
        waiting = self.fetch("/hello-stop")
        self.held("/hello-stop")
        self.serve.call("proxy_stop")
        self.assertEqual(self.serve.call("proxy_list_held")["count"], 0)
        waiting.answer()
        self.assertNotEqual(waiting.done.returncode, 0)
        self.serve.call("proxy_start")


class BreakpointsOverHttp2(Breakpoints):
    VERSION, origin_host = Unknown("--http2"), "0.0.0.0"

    def test_a_held_stream_stops_none_of_its_siblings(self):
        self.hold("/held-sibling")
        self.origin.routes["/held-sibling"] = self.origin.routes["/hello"]
        urls = [self.origin.url("/held-sibling"), *[self.origin.url(f"/hello?{i}") for i in range(20)]]
        done = []
        thread = threading.Thread(target=lambda: done.append(self.serve.curl(
            self.VERSION, "--parallel", "-w", "%{http_version} %{http_code}\n",
            *[x for url in urls for x in (url, "-o", "/dev/null")], seconds=30)))
        thread.start()
        self.addCleanup(thread.join, 30)
        row = self.held("/held-sibling")
        poll(lambda: len(self.serve.traffic(url_filter="/hello?", limit=50, state=["done"])) >= 20, 10, "its siblings")
        self.resume(row)
        thread.join(30)
        self.assertEqual(done[0].stdout.split("\n").count("2 200"), 21, done[0].stdout)
