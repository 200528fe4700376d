"""What MCP resources say of recordings: proxy://sessions/{session_id}/summary, timeline and findings."""
import json
import unittest

from harness import ToolError
from test_session_files import SECRET, Imported


class Resources(Imported):
    def read(self, uri):
        contents = self.serve.rpc("resources/read", {"uri": uri}, uri)["contents"]
        self.assertEqual((contents[0]["uri"], contents[0]["mimeType"]), (uri, "application/json"))
        return json.loads(contents[0]["text"])

    def busy(self):
        def entry(minute, status, time, url):
            one = self.entry(startedDateTime=f"2026-01-01T00:{minute:02}:30.000Z", time=time)
            one["request"]["url"], one["response"]["status"] = url, status
            return one
        return self.load(self.put(self.har(entry(0, 200, 5, "https://a.example/x"), entry(0, 500, 900, "https://a.example/bad?token=" + SECRET),
                                           entry(0, 500, 10, "https://a.example/bad?token=" + SECRET), entry(3, 404, 20, "https://b.example/none"),
                                           entry(3, 0, 0, "https://c.example/"))), session_name="busy")["session"]["id"]

    def test_summary_timeline_and_findings_say_what_the_contract_says(self):
        session = self.busy()
        summary = self.read(f"proxy://sessions/{session}/summary")
        self.assertEqual((summary["manifest"]["id"], summary["totals"]["exchanges"]), (session, 5))
        self.assertEqual(summary["totals"]["topHostnames"][0], {"hostname": "a.example", "count": 3})
        self.assertEqual(summary["totals"]["statuses"], {"200": 1, "404": 1, "500": 2})
        self.assertEqual(summary["totals"]["methods"], {"GET": 5})
        self.assertEqual(summary["totals"]["avgDurationMs"], 234)
        timeline = self.read(f"proxy://sessions/{session}/timeline")
        start = 1767225600000
        self.assertEqual(timeline, {"sessionId": session, "bucketMs": 60000,
                                    "timeline": [{"bucketStart": start, "count": 3, "errorCount": 2},
                                                 {"bucketStart": start + 180000, "count": 2, "errorCount": 1}]})
        findings = self.read(f"proxy://sessions/{session}/findings")["findings"]
        self.assertEqual(findings["highErrorEndpoints"][0]["errors"], 2)
        self.assertTrue(findings["highErrorEndpoints"][0]["endpoint"].startswith("a.example/bad?token=[redacted:"))
        self.assertEqual(findings["slowestExchanges"][0]["duration"], 900)
        self.assertEqual(findings["hostErrorRates"], [{"hostname": "b.example", "total": 1, "errors": 1, "errorRate": 1.0},
                                                      {"hostname": "a.example", "total": 3, "errors": 2, "errorRate": 2 / 3}])
        self.assertNotIn(SECRET, json.dumps(findings))

    def test_findings_name_what_is_worth_a_look(self):
        def entry(second, url, status=200, size=5, time=5, mime="application/json", asked=(), answered=()):
            one = self.entry(startedDateTime=f"2026-01-01T00:00:{second:02}.000Z", time=time)
            one["request"]["url"], one["response"]["status"] = url, status
            one["request"]["headers"] = [{"name": name, "value": value} for name, value in asked]
            one["response"]["headers"] = [{"name": "Content-Type", "value": mime}] + [{"name": name, "value": value} for name, value in answered]
            one["response"]["content"] = {"size": size, "mimeType": mime, "text": "x" * size}
            return one
        session = self.load(self.put(self.har(
            entry(0, "https://a.example/page", mime="text/html", answered=[("X-Content-Type-Options", "nosniff"), ("Set-Cookie", "id=1; Secure; Path=/")]),
            entry(1, "https://a.example/same?token=" + SECRET), entry(2, "https://a.example/same?token=" + SECRET), entry(20, "https://a.example/same?token=" + SECRET),
            entry(3, "http://a.example/logo.png", mime="image/png", asked=[("Referer", "https://a.example/page")]),
            entry(4, "https://b.example/big?1", size=600_000), entry(5, "https://b.example/slow?2", time=2500),
            *(entry(30 + i, f"https://c.example/{i}", status=503) for i in range(6)))), session_name="odd")["session"]["id"]
        findings = self.read(f"proxy://sessions/{session}/findings")["findings"]
        self.assertEqual([(one["method"], one["repeated"]) for one in findings["duplicates"]], [("GET", 1)])
        self.assertEqual([(one["hostname"], one["errors"], one["end"] - one["start"]) for one in findings["errorBursts"]], [("c.example", 6, 5000)])
        self.assertEqual([(one["endpoint"], one["averageBytes"]) for one in findings["largeEndpoints"]], [("GET https://b.example/big", 600_000)])
        self.assertEqual([(one["endpoint"], one["averageMs"]) for one in findings["slowEndpoints"]], [("GET https://b.example/slow", 2500)])
        self.assertEqual([(one["hostname"], one["missing"]) for one in findings["missingSecurityHeaders"]],
                         [("a.example", ["Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options", "Referrer-Policy"])])
        self.assertEqual([(one["url"], one["page"]) for one in findings["mixedContent"]], [("http://a.example/logo.png", "https://a.example/page")])
        self.assertEqual([(one["name"], one["missing"]) for one in findings["cookiesWithoutFlags"]], [("id", ["HttpOnly", "SameSite"])])
        self.assertNotIn(SECRET, json.dumps(findings))

    def test_what_a_policy_closes_is_closed(self):
        session = self.busy()
        policy = self.put({"version": "1", "default": "deny", "tools": {"proxy_import_har": {}}}, "policy.json")
        closed = self.another("--policy", str(policy), home=self.directory / "closed")
        for method, params in (("resources/list", {}), ("resources/templates/list", {}), ("resources/read", {"uri": f"proxy://sessions/{session}/summary"}),
                               ("completion/complete", {"ref": {"type": "ref/resource", "uri": "proxy://sessions/{session_id}/summary"},
                                                        "argument": {"name": "session_id", "value": ""}})):
            with self.subTest(method), self.assertRaises(ToolError):
                closed.rpc(method, params, *filter(None, [params.get("uri")]))

    def test_templates_are_listed_and_ids_completed(self):
        session = self.busy()
        templates = self.serve.rpc("resources/templates/list")["resourceTemplates"]
        self.assertEqual([one["uriTemplate"] for one in templates], [f"proxy://sessions/{{session_id}}/{what}" for what in ("summary", "timeline", "findings")])
        self.assertEqual(templates[0]["name"], "proxy_session_summary")

        def complete(value, argument="session_id", uri=templates[0]["uriTemplate"]):
            return self.serve.rpc("completion/complete", {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": argument, "value": value}})["completion"]
        self.assertEqual(complete(session), {"values": [session], "total": 1, "hasMore": False})
        self.assertIn(session, complete(session[:4])["values"])
        self.assertEqual(complete("9999")["values"], [])
        for wrong in ({"argument": "other"}, {"uri": "proxy://other/{x}"}):
            with self.assertRaises(ToolError):
                complete("", **wrong)
        listed = {one["uri"]: one for one in self.serve.rpc("resources/list")["resources"]}
        self.assertEqual(listed[f"proxy://sessions/{session}/summary"]["name"], f"Session Summary ({session})")
        self.assertEqual(listed[f"proxy://sessions/{session}/timeline"]["description"], "busy")
        self.assertIn("proxy://status", listed)

    def test_what_is_no_session_is_no_resource(self):
        for uri in ("proxy://sessions/20200101000000_abcdefgh/summary", "proxy://sessions/../../etc/summary", "proxy://sessions//summary",
                    "proxy://sessions/20200101000000_abcdefgh/other", "proxy://sessions/20200101000000_abcdefgh"):
            with self.subTest(uri), self.assertRaises(ToolError):
                self.serve.rpc("resources/read", {"uri": uri}, uri)


if __name__ == "__main__":
    unittest.main()
