"""`egress` in force, through the real program: what a grant sends and what its rules, upstream proxies and scripts cause goes
only where its policy lets it, judged where it is dialled (gate.md 3, docs/policy.md)."""
import json
import unittest

from harness import Origin, Serve, ToolError, poll, sluice
from test_grants import Admin
from test_policy_gate import Gate

REFUSED = r"\[POLICY DENIED\] egress: "


def open_but(**egress):
    return {"version": "1", "default": "allow", "egress": egress}


class Case(Gate):
    def setUp(self):
        super().setUp()
        self.origin, self.other = Origin(), Origin()
        self.addCleanup(self.origin.close)
        self.addCleanup(self.other.close)

    def start(self, document, *flags):
        self.write(document)
        serve = Serve("--policy", self.path, "--toolset", "all", *flags, home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        return serve

    def capture(self, serve, url):
        """The id of a flow that a plain client made."""
        self.assertIn("200", serve.curl("-o", "/dev/null", "-w", "%{http_code}", url, check=0).stdout)
        return poll(lambda: serve.traffic(url_filter=url, limit=1), 5, "the flow")[0]["id"]

    def change(self, serve, document, refused):
        """Another policy, once it is in force: `refused` says so."""
        self.write(document)
        poll(refused, 5, "the policy")

    def page(self, serve, url):
        """(status, text) of what a plain client gets."""
        text = serve.curl("-w", "\n%{http_code}", url).stdout
        body, _, status = text.rpartition("\n")
        return int(status), body

    def lines(self, kind):
        found = []
        for path in sorted(self.home.glob("audit/*.jsonl")):
            found += [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in found if line["type"] == kind]


class OwnCalls(Case):
    def test_a_replay_goes_only_where_the_policy_lets_it_and_the_audit_says_so(self):
        serve = self.start(open_but(host_in=["localhost"], ports=[self.origin.port]))
        flow = self.capture(serve, self.origin.url("/hello"))
        seen = len(self.origin.requests)
        self.assertEqual(serve.call("replay_flow", flow_id=flow)["status_code"], 200)
        self.assertEqual(len(self.origin.requests), seen + 1)
        foreign = self.capture(serve, self.other.url("/hello"))
        seen = len(self.other.requests)
        for direct in (False, True):
            with self.assertRaisesRegex(ToolError, rf"^{REFUSED}localhost:{self.other.port} is not among what the policy lets the grant default reach$"):
                serve.call("replay_flow", flow_id=foreign, direct=direct)
        self.assertEqual(len(self.other.requests), seen)
        outcomes = [line for line in self.lines("outcome") if line.get("rule") == "/egress"]
        self.assertEqual([line["status"] for line in outcomes], ["error", "error"])
        failed = serve.traffic(url_filter=f":{self.other.port}", limit=10)
        self.assertIn("egress", json.dumps([serve.call("proxy_get_exchange", exchange_id=row["id"])["exchange"].get("error") for row in failed]))

    def test_a_captured_exchange_replayed_to_another_host_is_judged_by_that(self):
        serve = self.start(open_but(host_in=["localhost"]))
        serve.call("set_scope", allowed_domains=["localhost", "127.0.0.1"])
        flow = self.capture(serve, self.origin.url("/hello"))
        serve.call("replay_flow", flow_id=flow, url=self.other.url("/hello"))
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]"):
            with self.assertRaises(ToolError) as refused:
                serve.call("replay_flow", flow_id=flow, url=f"http://{host}:{self.other.port}/hello")
            self.assertRegex(str(refused.exception), REFUSED + r"|not in the scope")
        self.assertEqual([request.path for request in self.other.requests], ["/hello"])

    def test_a_fuzz_run_and_a_recording_stay_within_it(self):
        serve = self.start(open_but(cidr=["127.0.0.0/8", "::1/128"]))
        session = serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        flow = self.capture(serve, self.origin.url("/hello?q=1"))
        serve.call("proxy_session_stop")
        answer = serve.call("proxy_replay_session", session_id=session, mode="execute")
        self.assertEqual([item["status"] for item in answer["items"]], ["success"])
        seen = len(self.origin.requests)
        self.write(open_but(cidr=["10.0.0.0/8"]))

        def refused():
            items = serve.call("proxy_replay_session", session_id=session, mode="execute")["items"]
            return items[0]["status"] == "error" and items
        items = poll(refused, 5, "the new policy")
        self.assertRegex(items[0]["error"], REFUSED)
        self.assertEqual(items[0]["cause"]["code"], "egress")
        before = len(self.origin.requests)
        with self.assertRaisesRegex(ToolError, REFUSED):
            serve.call("fuzz_endpoint", flow_id=flow, target_param="q", param_type="query", payload_category="sqli")
        self.assertEqual(len(self.origin.requests), before)
        self.assertGreaterEqual(before, seen)

    def test_a_name_is_judged_by_the_addresses_that_it_has(self):
        """In and out of the block: localhost is 127.0.0.1, ::1 or both."""
        serve = self.start(open_but(cidr=["127.0.0.0/8", "::1/128"]))
        flow = self.capture(serve, self.origin.url("/hello"))
        self.assertEqual(serve.call("replay_flow", flow_id=flow)["status_code"], 200)

        def refused():
            with self.assertRaisesRegex(ToolError, REFUSED):
                serve.call("replay_flow", flow_id=flow)
            return True
        self.write(open_but(host_in=["localhost"], cidr=["10.0.0.0/8"]))

        def tried():
            try:
                return refused()
            except AssertionError:
                return False
        poll(tried, 5, "the new policy")
        seen = len(self.origin.requests)
        refused()
        self.assertEqual(len(self.origin.requests), seen)

    def test_monitor_mode_lets_pass_and_writes_it_down(self):
        serve = self.start(open_but(host_in=["a.test"]) | {"mode": "monitor"})
        flow = self.capture(serve, self.origin.url("/hello"))
        self.assertEqual(serve.call("replay_flow", flow_id=flow)["status_code"], 200)
        line = poll(lambda: self.lines("egress"), 5, "the audit's line")[0]
        self.assertEqual((line["grant"], line["decision"]), ("default", "would_deny"))
        self.assertNotIn("localhost", json.dumps(line))


class Rules(Case):
    def forward(self, serve, to, **more):
        return serve.call("proxy_add_rule", description="f", matcher={"hostname": "from.test"},
                          handler={"type": "forward", "forwardTo": f"http://localhost:{to.port}"}, **more)["rule"]["id"]

    def test_a_forward_rule_made_before_the_policy_was_tightened_leads_nowhere(self):
        serve = self.start(open_but(host_in=["localhost"]))
        self.forward(serve, self.origin)
        self.assertEqual(self.page(serve, "http://from.test/hello")[0], 200)
        seen = len(self.origin.requests)
        self.write(open_but(host_in=["a.test"]))
        poll(lambda: self.page(serve, "http://from.test/hello")[0] == 403, 5, "the new policy")
        status, text = self.page(serve, "http://from.test/hello")
        self.assertIn(f"egress: localhost:{self.origin.port} is not among what the policy lets the grant default reach", text)
        refused = len(self.origin.requests)
        self.page(serve, "http://from.test/hello")
        self.assertEqual(len(self.origin.requests), refused)
        self.assertGreaterEqual(refused, seen)
        self.assertEqual(serve.exchange("from.test")["error"]["code"], "egress")
        self.assertEqual(poll(lambda: self.lines("egress"), 5, "the audit's line")[0]["decision"], "deny")
        # What clients ask for themselves is not the grant's.
        self.assertEqual(self.page(serve, self.other.url("/hello"))[0], 200)

    def test_a_rewritten_url_and_a_held_request_sent_elsewhere_are_judged_too(self):
        serve = self.start(open_but(ports=[self.origin.port]))
        serve.call("proxy_rewrite_url", match_pattern="^http://from\\.test/(.*)", replace_with=f"http://localhost:{self.other.port}/$1")
        self.assertEqual(self.page(serve, "http://from.test/hello")[0], 403)
        serve.call("proxy_rewrite_url", match_pattern="^http://from\\.test/(.*)", replace_with=f"http://localhost:{self.origin.port}/$1", priority=1)
        self.assertEqual(self.page(serve, "http://from.test/hello")[0], 200)
        self.assertEqual(self.other.requests, [])

    def test_userinfo_and_numbers_do_not_hide_where_a_rule_leads(self):
        serve = self.start(open_but(host_in=["localhost"]))
        for to in (f"http://localhost@127.0.0.1:{self.origin.port}", f"http://localhost:80@127.0.0.1:{self.origin.port}"):
            with self.assertRaises(ToolError):
                serve.call("proxy_add_rule", description="f", matcher={"hostname": "from.test"}, handler={"type": "forward", "forwardTo": to})
        for number, host in enumerate(("127.0.0.1", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "localhost.evil.test")):
            try:
                serve.call("proxy_add_rule", description="f", matcher={"hostname": f"from{number}.test"},
                           handler={"type": "forward", "forwardTo": f"http://{host}:{self.origin.port}"})
            except ToolError:
                continue  # no host at all
            status, text = self.page(serve, f"http://from{number}.test/hello")
            self.assertEqual((status, "egress" in text), (403, True), f"{host}: {text}")
        self.assertEqual(self.origin.requests, [])

    def test_a_trailing_dot_is_the_same_name(self):
        serve = self.start(open_but(host_in=["localhost"]))
        serve.call("proxy_add_rule", description="f", matcher={"hostname": "from.test"},
                   handler={"type": "forward", "forwardTo": f"http://localhost.:{self.origin.port}"})
        # Whether it is looked up is the system's matter.
        self.assertNotEqual(self.page(serve, "http://from.test/hello")[0], 403)
        serve.call("proxy_update_rule", rule_id="rule_1", handler={"type": "forward", "forwardTo": f"http://a.test.:{self.origin.port}"})
        self.assertEqual(self.page(serve, "http://from.test/hello")[0], 403)

    def test_a_redirect_of_an_origin_is_not_followed(self):
        serve = self.start(open_but(ports=[self.origin.port]))
        serve.call("proxy_add_rule", description="r", matcher={"urlPattern": "/away"},
                   handler={"type": "redirect", "location": self.other.url("/hello")})
        flow = self.capture(serve, self.origin.url("/hello"))
        answer = serve.call("replay_flow", flow_id=flow, url=self.origin.url("/away"))
        self.assertEqual(answer["status_code"], 302)
        self.assertEqual(self.other.requests, [])


class Upstreams(Case):
    def test_a_grants_upstream_proxy_is_a_dial_of_the_grant(self):
        serve = self.start(open_but(ports=[self.origin.port]))
        serve.call("proxy_set_upstream", proxy_url=f"http://localhost:{self.other.port}")
        status, text = self.page(serve, "http://anything.test/hello")
        self.assertEqual(status, 403)
        self.assertIn(f"egress: localhost:{self.other.port}", text)
        self.assertEqual(self.other.accepted, 0)

    def test_a_proxy_of_the_configuration_is_whoever_runs_sluices(self):
        serve = self.start(open_but(ports=[9]), "--upstream", f"http://localhost:{self.other.port}")
        self.assertEqual(self.page(serve, "http://anything.test/hello")[0], 200)

    def test_a_script_that_names_another_proxy_leads_nowhere(self):
        script = self.directory / "a.pac"
        script.write_text(f"function FindProxyForURL(url, host) {{ return 'PROXY localhost:{self.other.port}; DIRECT'; }}")
        serve = self.start(open_but(ports=[self.origin.port]), "--allow-root", self.directory)
        try:
            serve.call("proxy_set_upstream", proxy_url=f"pac+file://{script}")
        except ToolError as error:
            self.fail(str(error))
        status, text = self.page(serve, self.origin.url("/hello"))
        self.assertEqual((status, "egress" in text), (403, True), text)
        self.assertEqual((self.other.accepted, self.origin.accepted), (0, 0))
        script.write_text("function FindProxyForURL(url, host) { return 'DIRECT'; }")
        poll(lambda: self.page(serve, self.origin.url("/hello"))[0] == 200, 5, "the new script")


class OfGrants(Admin):
    def test_each_grant_is_judged_by_its_own_policy_and_a_revoked_one_reaches_nothing(self):
        origin = Origin()
        self.addCleanup(origin.close)
        token = self.grant("maker", open_but(ports=[origin.port]))
        tight = self.grant("tight", open_but(ports=[9]))
        serve = Serve("--toolset", "all", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        rule = {"description": "f", "matcher": {"hostname": "from.test"}, "handler": {"type": "forward", "forwardTo": f"localhost:{origin.port}"}}
        self.assertIn("rule", self.call(serve, token, "proxy_add_rule", **rule)[1])

        def status():
            return serve.curl("-o", "/dev/null", "-w", "%{http_code}", "http://from.test/hello").stdout
        self.assertEqual(status(), "200")
        # Whoever changes what it does answers for it, too.
        self.call(serve, tight, "proxy_update_rule", rule_id="rule_1", description="no more than words")
        self.assertEqual(status(), "200")
        self.call(serve, tight, "proxy_update_rule", rule_id="rule_1", priority=1)
        self.assertEqual(status(), "403")
        self.call(serve, token, "proxy_remove_rule", rule_id="rule_1")
        self.call(serve, token, "proxy_add_rule", **rule)
        self.assertEqual(status(), "200")
        self.as_admin("grant", "revoke", "maker")
        poll(lambda: status() == "403", 5, "the end of the grant")


class Commands(Case):
    def test_check_explain_and_test_speak_of_it(self):
        self.write(open_but(host_in=["*.example.com"], cidr=["10.0.0.0/8"]))
        self.assertIn("valid", sluice("policy", "check", self.path, home=self.home, check=0).stdout)
        self.assertIn("Traffic that a grant causes goes only to hosts in *.example.com and to addresses in 10.0.0.0/8",
                      sluice("policy", "explain", self.path, home=self.home, check=0).stdout)
        tested = sluice("policy", "test", self.path, "--tool", "replay_flow", "--args", '{"flow_id": "x"}', home=self.home, check=0)
        self.assertIn("egress    Traffic that a grant causes goes only", tested.stdout)
        self.assertIn("egress", json.loads(sluice("policy", "test", self.path, "--tool", "proxy_status", "--json", home=self.home, check=0).stdout))
        self.write(open_but(ports=[]))
        self.assertIn("/egress: an empty list admits nothing", sluice("policy", "check", self.path, home=self.home, check=0).stdout)

    def test_in_front_of_another_server_it_is_refused(self):
        self.write(open_but(host_in=["a.test"]))
        done = sluice("gateway", "--policy", self.path, "--", "/bin/cat", home=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("egress cannot be enforced for another server, which sends its own traffic", done.stderr)


if __name__ == "__main__":
    unittest.main()
