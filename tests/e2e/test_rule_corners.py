"""Corners of rules that were wrong once: bodies where there were none, crumbs, contradictions (docs/rules.md)."""
import json
import os
import tempfile
import threading

from harness import E2E, HERE, SLUICE, ToolError, Unknown, needs, needs_node, poll, run


class Corners(E2E):
    origin_host = "0.0.0.0"

    def setUp(self):
        super().setUp()
        self.add_rule({"pathPattern": "^/never"}, {"type": "mock"})  # the client chooses its protocol

    def test_a_throttled_answer_of_known_length_is_done_when_an_http2_client_has_all_of_it(self):
        self.add_rule({"pathPattern": "^/large"}, {"type": "passthrough", "throttle": {"responseBytesPerSecond": 10_000}})
        out = self.serve.curl(Unknown("--http2"), "-o", os.devnull, "-w", "%{http_version} %{size_download} %{exitcode}",
                              self.origin.url("/large?size=5000"))
        self.assertEqual(out.stdout, "2 5000 0")
        self.assertEqual(self.serve.exchange("size=5000")["state"], "done")

    def test_an_answer_without_a_body_gets_the_body_that_is_set(self):
        self.origin.routes["/empty"] = lambda talk: talk.answer("404 Not Found")
        self.add_rule({"pathPattern": "^/empty"}, {"type": "passthrough",
                                                   "transformResponse": {"replaceStatus": 200, "setBody": "found"}})
        self.assertEqual(self.serve.curl(self.origin.url("/empty")).stdout, "found")

    def test_a_request_without_a_body_gets_the_body_that_is_set(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough",
                                                  "transformRequest": {"replaceMethod": "POST", "setBody": "given"}})
        self.assertEqual(self.serve.curl(self.origin.url("/echo")).stdout, "given")

    def test_a_request_that_waits_keeps_its_octets_while_others_use_the_memory_they_were_read_into(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "delayMs": 500})
        client = self.serve.tunnel(f"localhost:{self.origin.port}")
        client.send(b"POST /echo HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 6000\r\n\r\n" % self.origin.port + b"a" * 6000)
        for _ in range(40):  # the same worker reads these meanwhile
            self.serve.curl(self.origin.url("/never"), "--data", "b" * 8000)
        self.assertEqual(client.read_answer().body, b"a" * 6000)

    def test_a_matcher_sees_cookie_crumbs_as_one_cookie(self):
        self.add_rule({"headers": {"cookie": "a=1; b=2"}}, {"type": "mock", "status": 299})
        task = {"proxy": self.serve.proxy_port, "authority": f"localhost:{self.origin.port}", "ca": str(self.serve.ca),
                "requests": [{"path": "/hello", "headers": {"cookie": ["a=1", "b=2"]}}]}
        done = run(needs_node(), HERE / "clients" / "h2.mjs", json.dumps(task), check=0)
        self.assertEqual(json.loads(done.stdout)["results"][0]["status"], 299)

    def test_an_empty_method_is_refused_and_the_request_stays_held(self):
        self.add_rule({"pathPattern": "^/hello"}, {"type": "hold"})
        thread = threading.Thread(target=self.serve.curl, args=(self.origin.url("/hello"),))
        thread.start()
        self.addCleanup(thread.join, 30)
        row = poll(lambda: self.serve.call("proxy_list_held")["held"], 10)[0]
        with self.assertRaises(ToolError):
            self.serve.call("proxy_resume_exchange", exchange_id=row["exchange_id"], edits={"method": ""})
        self.serve.call("proxy_resume_exchange", exchange_id=row["exchange_id"])

    def test_conditions_that_exclude_each_other_are_refused(self):
        message = {"type": "passthrough", "transformMessage": {"regexReplace": [["a", "b"]]}}
        for matcher, handler in (({"hostname": "a.com", "hostPattern": "*.b.com"}, {"type": "drop"}),
                                 ({"protocol": "h2"}, message), ({"protocol": "websocket", "bodyIncludes": "x"}, {"type": "drop"}),
                                 ({}, {"type": "passthrough", "holdOn": "both"})):
            with self.subTest(matcher=matcher, handler=handler), self.assertRaises(ToolError):
                self.serve.call("proxy_add_rule", description="x", matcher=matcher, handler=handler)
        self.add_rule({"hostname": "a.b.com", "hostPattern": "*.b.com"}, {"type": "drop"})

    def test_without_a_route_the_page_says_at_once_that_the_network_or_its_family_is_missing(self):
        if os.geteuid():
            self.skipTest("needs root for a network of its own")
        script = """ip link set lo up
            "$0" serve --home "$1" --proxy-port 8080 --control-port 0 --ready-file "$1/ready" \\
                --upstream 'http://[2001:db8::1]:3128' >&2 &
            until [ -s "$1/ready" ]; do kill -0 $! || exit 1; sleep 0.05; done
            curl --silent --max-time 5 --proxy http://127.0.0.1:8080 http://example.com/
            kill $!; wait $!"""
        home = tempfile.mkdtemp(prefix="alone.", dir=self.directory)
        done = run(needs("unshare"), "--net", "bash", "-c", script, SLUICE, home, seconds=20)
        self.assertIn("the network (or its IP family) is unreachable from here", done.stdout, done.stderr)
