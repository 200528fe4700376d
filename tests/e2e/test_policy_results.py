"""`result` of a policy through the real program: redacted, withheld, bounded, on every way out (gate.md 7)."""
import json
import unittest

from harness import ToolError, sluice
from test_policy_gate import Gate, deny

SECRET = "sk_live_0123456789abcdef"


class Results(Gate):
    """Rules made by the owner hold secrets; what the agent reads of them is what is tested."""

    def begin(self, result, tool="proxy_list_rules", **more):
        serve = self.start({"version": "1", "default": "allow", "tools": {tool: {"result": result}}} | more)
        sluice("call", "proxy_mock_response", json.dumps({"url_pattern": "secret.test", "status": 200, "body": f"key {SECRET} end"}),
               home=self.home, check=0)
        return serve

    def result(self, serve, tool="proxy_list_rules", **arguments):
        return serve.rpc("tools/call", {"name": tool, "arguments": arguments}, tool)

    def outcomes(self):
        lines = []
        for path in sorted(self.home.glob("audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if line["type"] == "outcome"]

    def test_patterns_and_paths_are_masked_in_text_and_structure_alike(self):
        serve = self.begin({"redact": [{"pattern": "sk_live_[a-z0-9]+"}, {"path": "$..url_pattern"}, {"path": "$..urlPattern"}]})
        result = self.result(serve)
        self.assertIn("[redacted by policy]", result["content"][0]["text"])
        self.assertNotIn(SECRET, json.dumps(result))
        self.assertEqual(json.loads(result["content"][0]["text"]), result["structuredContent"])
        self.assertIn(SECRET, sluice("call", "proxy_list_rules", home=self.home, check=0).stdout)  # the owner's

    def test_a_blocked_answer_is_a_denial_and_the_audit_names_the_rule(self):
        serve = self.begin({"block": [{"op": "contains", "value": "sk_live_", "on_deny": "a key is in it"}]})
        result = self.result(serve)
        self.assertEqual(result["content"], [{"type": "text", "text": "[POLICY DENIED] a key is in it"}])
        self.assertTrue(result["isError"])
        self.assertNotIn("structuredContent", result)
        last = self.outcomes()[-1]
        self.assertEqual((last["status"], last["rule"]), ("withheld", "/tools/proxy_list_rules/result/block/0"))

    def test_an_answer_that_lost_its_shape_is_text_only(self):
        serve = self.begin({"redact": [{"path": "$.status"}]})
        result = self.result(serve)
        self.assertTrue(result["isError"])
        self.assertNotIn("structuredContent", result)
        self.assertIn('"status":"[redacted by policy]"', result["content"][0]["text"])

    def test_max_bytes_bounds_the_answer(self):
        serve = self.begin({"max_bytes": 3000})
        for n in range(40):
            sluice("call", "proxy_mock_response", json.dumps({"url_pattern": f"x{n}.test", "status": 200, "body": "y" * 200}),
                   home=self.home, check=0)
        result = self.result(serve)
        self.assertLessEqual(len(result["content"][0]["text"].encode()), 3000)
        self.assertTrue(result["structuredContent"]["truncated"])

    def test_resources_are_no_way_round(self):
        serve = self.begin({"redact": [{"path": "$..running"}]}, tool="proxy_status")
        text = serve.rpc("resources/read", {"uri": "proxy://status"}, "proxy://status")["contents"][0]["text"]
        self.assertEqual(json.loads(text)["running"], "[redacted by policy]")
        serve.stop()
        serve = self.begin({"block": [{"op": "contains", "value": "BEGIN CERTIFICATE"}]}, tool="proxy_get_ca_cert")
        with self.assertRaisesRegex(ToolError, "POLICY DENIED"):
            serve.rpc("resources/read", {"uri": "proxy://ca-cert"}, "proxy://ca-cert")
        self.denied(serve, "proxy_get_ca_cert")
        self.assertEqual(self.outcomes()[-1]["rule"], "/tools/proxy_get_ca_cert/result/block/0")

    def test_errors_are_no_way_round(self):
        serve = self.begin({"redact": [{"pattern": "sk_live_[a-z0-9]+"}]}, tool="*")
        with self.assertRaises(ToolError) as caught:
            serve.call("proxy_remove_rule", rule_id=SECRET)
        self.assertNotIn(SECRET, str(caught.exception))

    def test_show_secrets_lifts_no_rule(self):
        serve = self.begin({"raw": True, "redact": [{"pattern": "sk_live_[a-z0-9]+"}]}, tool="*")
        self.assertNotIn(SECRET, json.dumps(self.result(serve)))
        serve.call("proxy_list_traffic", show_secrets=True)

    def test_what_is_wrong_is_refused_with_its_place(self):
        self.refused(deny(proxy_status={"result": {"redact": [{"path": "$..a[?(@.b)]"}]}}), "/tools/proxy_status/result/redact/0/path",
                     "a path is made of")
        self.refused(deny(proxy_status={"result": {"redact": [{"pattern": "x*"}]}}), "matches the empty text")


if __name__ == "__main__":
    unittest.main()
