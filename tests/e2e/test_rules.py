"""Rules steer traffic while it flows (engine.md 2, 6)."""
import time
import unittest

from harness import E2E, ToolError


class Rules(E2E):
    def fetch(self, url, *more, **kwargs):
        return self.serve.curl("-i", "--suppress-connect-headers", url, *more, **kwargs)

    def test_a_mock_for_a_host_that_does_not_resolve_answers_200(self):
        rule = self.serve.call("proxy_mock_response", hostname="api.nowhere.invalid", status=200, body='{"ok":true}')
        self.addCleanup(self.forget_rule, rule["rule_id"])
        for _ in range(2):
            out = self.fetch("https://api.nowhere.invalid/v1/things").stdout
            self.assertIn(" 200 ", out)
            self.assertIn('{"ok":true}', out)
            self.assertIn("application/json", out)
        record = self.serve.exchange("api.nowhere.invalid")
        self.assertEqual(record["matchedRuleId"], rule["rule_id"])
        self.assertEqual(record["response"]["statusCode"], 200)

    def test_a_forward_rule_never_contacts_the_original_host(self):
        original, target = self.new_origin(), self.new_origin()
        self.add_rule({"urlPattern": f":{original.port}/"},
                      {"type": "forward", "forwardTo": f"https://localhost:{target.port}"})
        out = self.serve.curl(original.url("/head?a=1"))
        self.assertIn("GET /head?a=1 HTTP/1.1", out.stdout, out.stderr)
        self.assertIn(f"localhost:{target.port}", out.stdout)
        self.assertEqual(original.accepted, 0)
        self.assertEqual(len(target.requests), 1)

    def test_drop_closes_without_an_answer_and_is_recorded(self):
        self.add_rule({"pathPattern": "^/dropped"}, {"type": "drop"})
        client = self.client()
        client.send(b"GET /dropped HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.origin.port)
        self.assertEqual(client.read_rest()[0], b"")
        self.assertEqual(self.serve.exchange("/dropped")["state"], "dropped")
        self.assertEqual([r for r in self.origin.requests if r.path == "/dropped"], [])

    def test_requests_are_transformed(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "transformRequest": {
            "updateHeaders": {"X-Added": "yes", "X-Gone": None}, "replaceMethod": "PUT",
            "matchReplaceBody": [["hello", "goodbye"]]}})
        self.assertEqual(self.serve.curl(self.origin.url("/echo"), "-H", "X-Gone: 1", "-d", "hello you").stdout,
                         "goodbye you")
        request = self.origin.requests[-1]
        self.assertEqual((request.method, request.get("x-added"), request.get("x-gone")), ("PUT", "yes", None))
        record = self.serve.exchange("/echo", include=["original"])
        self.assertEqual(record["request"]["method"], "POST")

    def test_answers_are_transformed_under_their_coding(self):
        self.add_rule({"pathPattern": "^/gzip"}, {"type": "passthrough", "transformResponse": {
            "replaceStatus": 203, "updateHeaders": {"X-Seen": "1"}, "matchReplaceBody": [["gzip", "sluice"]]}})
        out = self.fetch(self.origin.url("/gzip"), "--compressed").stdout
        self.assertIn(" 203 ", out)
        self.assertIn("sluice says hello\ngzip says", out)
        self.assertIn("X-Seen: 1", out)

    def test_injected_headers_reach_the_origin(self):
        rule = self.serve.call("proxy_inject_headers", hostname="localhost", headers={"X-Agent": "me"}, direction="both")
        self.addCleanup(self.forget_rule, rule["rule_id"])
        out = self.fetch(self.origin.url("/head")).stdout
        head, _, body = out.partition("\r\n\r\n") if "\r\n\r\n" in out else out.partition("\n\n")
        self.assertIn("X-Agent: me", head)
        self.assertIn("X-Agent: me", body)

    def test_changes_apply_at_once_and_touch_no_connection(self):
        client = self.client()
        get = b"GET /hello HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.origin.port
        client.send(get)
        self.assertEqual(client.read_answer().status, 200)
        rule = self.add_rule({"pathPattern": "^/hello"}, {"type": "mock", "status": 418, "body": "short and stout"})
        client.send(get)
        self.assertEqual(client.read_answer().status, 418)
        self.serve.call("proxy_disable_rule", rule_id=rule)
        client.send(get)
        self.assertEqual(client.read_answer().status, 200)
        self.serve.call("proxy_enable_rule", rule_id=rule)
        self.serve.call("proxy_update_rule", rule_id=rule, handler={"type": "mock", "status": 503, "body": ""})
        client.send(get)
        self.assertEqual(client.read_answer().status, 503)
        self.assertGreaterEqual(self.serve.call("proxy_list_rules")["rules"][0]["hitCount"], 2)
        self.serve.call("proxy_remove_rule", rule_id=rule)
        client.send(get)
        self.assertEqual(client.read_answer().status, 200)

    def test_mocks_for_head_and_204_have_no_body(self):
        self.add_rule({"pathPattern": "^/mock204"}, {"type": "mock", "status": 204, "body": "never sent"})
        self.add_rule({"pathPattern": "^/mock200"}, {"type": "mock", "status": 200, "body": "twelve bytes"})
        client = self.client()
        host = b"Host: localhost:%d\r\n\r\n" % self.origin.port
        client.send(b"GET /mock204 HTTP/1.1\r\n" + host + b"HEAD /mock200 HTTP/1.1\r\n" + host +
                    b"GET /mock200 HTTP/1.1\r\n" + host)
        self.assertEqual(client.read_answer().status, 204)
        head = client.read_answer(head_only=True)
        self.assertEqual((head.status, head.get("content-length")), (200, "12"))
        self.assertEqual(client.read_answer().body, b"twelve bytes")

    def test_a_bad_rule_changes_nothing(self):
        before = self.serve.call("proxy_list_rules")["count"]
        for matcher, handler in (({"urlPattern": "("}, {"type": "drop"}), ({"urlPattern": "(?=x)"}, {"type": "drop"}),
                                 ({}, {"type": "forward"}), ({}, {"type": "forward", "forwardTo": "host/with/path"}),
                                 ({}, {"type": "explode"}), ({"hostnam": "x"}, {"type": "drop"})):
            with self.subTest(matcher=matcher, handler=handler):
                with self.assertRaises(ToolError):
                    self.serve.call("proxy_add_rule", description="bad", matcher=matcher, handler=handler)
        self.assertEqual(self.serve.call("proxy_list_rules")["count"], before)
        self.assertEqual(self.serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")

    def test_what_the_test_tool_says_is_what_happens(self):
        rule = self.add_rule({"method": "GET", "pathPattern": "^/hel+o", "headers": {"x-pick": "me"}},
                             {"type": "mock", "status": 299, "body": "picked"})
        said = self.serve.call("proxy_test_rule_match", mode="simulate", request={
            "method": "GET", "url": self.origin.url("/hello"), "headers": {"X-Pick": "me"}})
        self.assertEqual(said["result"]["effectiveWinner"]["ruleId"] if isinstance(
            said["result"]["effectiveWinner"], dict) else said["result"]["effectiveWinner"], rule)
        self.assertEqual(self.serve.curl(self.origin.url("/hello"), "-H", "X-Pick: me").stdout, "picked")
        self.assertEqual(self.serve.curl(self.origin.url("/hello"), "-H", "X-Pick: you").stdout, "hello from the origin\n")

    def test_expect_continue_is_answered_by_sluice_when_a_rule_gathers(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "transformRequest": {
            "matchReplaceBody": [["a", "b"]]}})
        client = self.client()
        client.send(b"POST /echo HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
                    % self.origin.port)
        self.assertEqual(client.read_answer().status, 100)
        client.send(b"aXc")
        self.assertEqual(client.read_answer().body, b"bXc")

    def test_many_rules_do_not_slow_a_request(self):
        client = self.client()
        get = b"GET /hello HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.origin.port
        added = [self.add_rule({"hostname": f"h{i}.test"}, {"type": "drop"}) for i in range(200)]
        start = time.monotonic()
        for _ in range(50):
            client.send(get)
            self.assertEqual(client.read_answer().status, 200)
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(len(added), 200)



if __name__ == "__main__":
    unittest.main()
