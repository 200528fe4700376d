"""Rules and upstream proxies: what goes wrong in other servers of this kind, and what holds here. docs/defects.md lists it."""
import gzip
import json
import pathlib
import time
import unittest
import urllib.parse

import test_cases
from harness import ROOT, E2E, Serve, ToolError, clean_environment, needs, poll
from fakes.proxies import USER, Microsocks, Squid
from fakes.raw import context
from test_upstream_pac import children
from test_upstream_rules import UpstreamTest


class ThePage(unittest.TestCase):
    def test_every_test_that_it_names_exists(self):
        test_cases.assert_named_tests_exist(self, ROOT / "docs" / "defects.md", 60)


class RulesTest(E2E):
    def get(self, path="/hello", method="GET", body=b"", more="", client=None):
        """The answer to one request on a connection that stays open."""
        client = client or self.client()
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        client.send(f"{method} {path} HTTP/1.1\r\nHost: localhost:{self.origin.port}\r\n{length}{more}\r\n".encode() + body)
        return client.read_answer(head_only=method == "HEAD")

    def mock(self, body="mocked", **matcher):
        return self.add_rule(matcher, {"type": "mock", "status": 200, "body": body})

    def listed(self, rule):
        return next(r for r in self.serve.call("proxy_list_rules")["rules"] if r["id"] == rule)


class Matching(RulesTest):
    """One matcher, for live traffic and for proxy_test_rule_match."""

    def trials(self, path="/hello", method="GET", more=""):
        """That request as it was recorded, and as it can be made up (where no header comes twice)."""
        made_up = {"method": method, "url": self.origin.url(path)}
        found = poll(self.serve.traffic, what="the record")[-1]
        return [{"mode": "exchange", "exchange_id": found["id"]}] + ([] if more else [{"request": made_up}])

    def test_the_trial_and_live_traffic_agree_on_every_condition(self):
        port = self.origin.port
        form = {"more": "X-Pick: one\r\nX-Pick: two\r\n"}
        cases = (({"method": "propfind"}, {"method": "PROPFIND"}, {"method": "GET"}),
                 ({"method": "PURGE", "urlPattern": "^/hello"}, {"method": "PURGE"}, {"method": "GET"}),
                 ({"method": "PURGE", "urlPattern": "^/other"}, None, {"method": "PURGE"}),
                 ({"method": "GET", "urlPattern": "^/hello"}, {}, {"path": "/head"}),
                 ({"urlPattern": "^/hello"}, {}, {"path": "/head?/hello"}),
                 ({"urlPattern": f"^https://localhost:{port}/hello$"}, {}, {"path": "/hello?"}),
                 ({"hostname": "LOCALHOST"}, {}, None),
                 ({"hostname": "localhos"}, None, {}),
                 ({"pathPattern": r"\?a=1$"}, {"path": "/hello?a=1"}, {"path": "/hello?a=12"}),
                 ({"headers": {"x-PICK": "two"}}, form, {"more": "X-Pick: three\r\n"}),
                 ({"headers": {"x-pick": "one, two"}}, form, {"more": "X-Pick: two\r\nX-Pick: one\r\n"}),
                 ({"headers": {"x-pick": "ONE"}}, None, form),
                 ({"method": "", "urlPattern": "", "hostname": ""}, {}, None))
        for matcher, hit, miss in cases:
            rule = self.mock(**matcher)
            for request, wanted in ((hit, True), (miss, False)):
                if request is None:
                    continue
                with self.subTest(matcher, request=request):
                    self.serve.call("proxy_clear_traffic")
                    self.assertEqual(self.get(**request).body == b"mocked", wanted)
                    for trial in self.trials(**request):
                        said = self.serve.call("proxy_test_rule_match", **trial)["result"]
                        self.assertEqual((said["effectiveWinner"] or {}).get("ruleId"), rule if wanted else None)
            self.forget_rule(rule)

    def test_a_host_with_a_port_or_a_star_is_refused_and_says_what_to_use(self):
        for hostname, word in (("*.example.com", "hostPattern"), ("example.com:443", "port"), ("https://example.com", "scheme")):
            with self.subTest(hostname), self.assertRaisesRegex(ToolError, word):
                self.mock(hostname=hostname)

    def test_a_body_is_searched_decoded_and_beyond_what_previews_show(self):
        body = b"x" * 9000 + b"needle" + b"y" * 9000
        rule = self.mock(pathPattern="^/echo", bodyIncludes="needle")
        for coded, more in ((body, ""), (gzip.compress(body), "Content-Encoding: gzip\r\n")):
            path = f"/echo?{len(more)}"
            self.assertEqual(self.get(path, "POST", coded, more).body, b"mocked")
            row = self.serve.exchange(path)
            said = self.serve.call("proxy_test_rule_match", mode="exchange", exchange_id=row["id"])["result"]
            self.assertEqual((said["effectiveWinner"] or {}).get("ruleId"), rule, more)
        self.assertNotEqual(self.get("/echo", "POST", b"hay").body, b"mocked")

    def test_a_trial_of_few_rules_still_names_the_rule_that_wins(self):
        self.mock(hostname="elsewhere.example")
        rule = self.mock(pathPattern="^/hello")
        said = self.serve.call("proxy_test_rule_match", limit_rules=1, request={"url": self.origin.url("/hello")})["result"]
        self.assertEqual((said["evaluatedCount"], said["effectiveWinner"]["ruleId"]), (1, rule))

    def test_no_pattern_can_stall_the_proxy(self):
        self.add_rule({"pathPattern": "^/(a+)+$"}, {"type": "drop"})
        self.add_rule({"urlPattern": "(a|aa)+!$"}, {"type": "passthrough", "transformRequest": {
            "regexReplaceBody": [["(x+x+)+y", ""]]}})
        start = time.monotonic()
        self.get("/" + "a" * 5000 + "b")
        self.get("/" + "a" * 5000 + "!", "POST", b"x" * 50_000)
        self.assertLess(time.monotonic() - start, 5)


class Order(RulesTest):
    def test_the_smallest_priority_decides_and_ties_go_by_age(self):
        late = self.mock("late", pathPattern="^/hello")
        self.mock("later", pathPattern="^/hello")
        first = self.add_rule({"pathPattern": "^/hello"}, {"type": "mock", "body": "first"}, priority=-3.5)
        client = self.client()
        self.assertEqual(self.get(client=client).body, b"first")
        self.serve.call("proxy_disable_rule", rule_id=first)
        self.assertEqual(self.get(client=client).body, b"late")
        self.serve.call("proxy_update_rule", rule_id=late, description="its place stays")
        self.assertEqual(self.get(client=client).body, b"late")

    def test_injected_headers_shadow_no_other_rule(self):
        rule = self.serve.call("proxy_inject_headers", headers={"X-Everywhere": "1"}, direction="both")["rule_id"]
        self.addCleanup(self.forget_rule, rule)
        mock = self.mock(pathPattern="^/shadow")
        answer = self.get("/shadow")
        self.assertEqual((answer.body, answer.get("x-everywhere")), (b"mocked", "1"))
        record = self.serve.exchange("/shadow")
        self.assertEqual((record["matchedRuleId"], record["ruleIds"]), (mock, [rule, mock]))


class Records(RulesTest):
    def test_hits_are_counted_and_a_record_names_the_rule(self):
        rule, client = self.mock(pathPattern="^/hit"), self.client()
        for number in range(3):
            self.get(f"/hit?{number}", client=client)
        self.get("/hello?miss", client=client)
        self.assertEqual(self.serve.exchange("/hit?2")["matchedRuleId"], rule)
        self.assertIsNone(self.serve.exchange("?miss")["matchedRuleId"])
        self.assertEqual(self.listed(rule)["hitCount"], 3)
        self.serve.call("proxy_update_rule", rule_id=rule, description="the same")
        self.assertEqual(self.listed(rule)["hitCount"], 3)

    def test_dropped_requests_are_ended_records_that_can_be_cleared(self):
        rule = self.add_rule({"pathPattern": "^/gone"}, {"type": "drop"})
        for number in range(5):
            client = self.client()
            client.send(f"GET /gone?{number} HTTP/1.1\r\nHost: localhost:{self.origin.port}\r\n\r\n".encode())
            self.assertEqual(client.read_rest()[0], b"")
        rows = poll(lambda: [r for r in self.serve.traffic(url_filter="/gone?") if r["state"] == "dropped"][4:], what="5 records")
        self.assertEqual(self.serve.exchange("/gone?4")["matchedRuleId"], rule)
        self.assertTrue(rows)
        self.serve.call("proxy_clear_traffic")
        self.assertEqual(self.serve.call("proxy_list_traffic", url_filter="/gone?")["total"], 0)

    def test_a_transformed_exchange_is_recorded_as_the_client_saw_it_with_the_original_beside(self):
        self.add_rule({"pathPattern": "^/hello"}, {"type": "passthrough", "transformResponse": {
            "setBody": "told", "replaceStatus": 404}})
        answer = self.get("/hello?told")
        self.assertEqual((answer.head.partition(b"\r\n")[0], answer.body), (b"HTTP/1.1 404 Not Found", b"told"))
        record = self.serve.exchange("?told", include=["original"])
        self.assertEqual((record["response"]["statusCode"], record["response"]["bodyPreview"]), (404, "told"))


class Mocks(RulesTest):
    def test_a_mock_has_a_length_keeps_the_connection_and_adds_nothing(self):
        self.add_rule({"pathPattern": "^/mock"}, {"type": "mock", "status": 201, "body": "käse",
                                                  "headers": {"X-One": "1", "content-type": "text/plain"},
                                                  "transformResponse": {"updateHeaders": {"X-Ignored": "1"}}})
        client = self.client()
        for _ in range(3):
            answer = self.get("/mock", client=client)
            self.assertEqual(answer.head.rstrip(b"\r\n").split(b"\r\n"),
                             [b"HTTP/1.1 201 Created", b"X-One: 1", b"content-type: text/plain", b"Content-Length: 5"])
            self.assertEqual(answer.body, "käse".encode())
        self.assertEqual(self.get("/hello", client=client).body, b"hello from the origin\n")

    def test_a_mock_for_an_unusual_method_takes_that_method_alone(self):
        rule = self.serve.call("proxy_mock_response", method="REPORT", url_pattern="^/hello", status=207, body="r")
        self.addCleanup(self.forget_rule, rule["rule_id"])
        client = self.client()
        self.assertEqual(self.get("/hello", "REPORT", client=client).status, 207)
        self.assertEqual(self.get("/hello", client=client).status, 200)
        self.assertEqual(self.get("/head", "REPORT", client=client).status, 200)


class Edits(RulesTest):
    def test_a_header_that_came_three_times_is_replaced_in_its_place_or_gone(self):
        self.add_rule({"pathPattern": "^/head"}, {"type": "passthrough", "transformRequest": {
            "updateHeaders": {"x-three": "new", "x-gone": None}}})
        text = self.get("/head", more="A: 1\r\nX-Three: 1\r\nX-Gone: 1\r\nB: 2\r\nX-THREE: 2\r\nx-gone: 2\r\nx-three: 3\r\n"
                                      "X-gone: 3\r\nC: 3\r\n").body.decode()
        fields = [line for line in text.split("\r\n")[2:] if line]
        self.assertEqual([line.lower() for line in fields], ["a: 1", "x-three: new", "b: 2", "c: 3"])

    def test_a_rewritten_url_leaves_the_body_alone(self):
        rule = self.serve.call("proxy_rewrite_url", match_pattern="/old", replace_with="/echo")["rule_id"]
        self.addCleanup(self.forget_rule, rule)
        self.assertEqual(self.get("/old", "POST", b"see /old and /old").body, b"see /old and /old")
        self.assertEqual(self.origin.requests[-1].target, "/echo")

    def test_a_replacement_knows_the_match_and_takes_the_first_only(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "transformRequest": {
            "matchReplaceBody": [["a.c", "<$&>"], ["x", "$1"]]}})
        self.assertEqual(self.get("/echo", "POST", b"abc a.c a.c x x").body, b"abc <a.c> a.c $1 x")

    def test_binary_bodies_that_no_edit_hits_pass_octet_for_octet(self):
        body = bytes(range(256)) * 20
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "transformRequest": {
            "matchReplaceBody": [["not in there", "x"]]}})
        self.assertEqual(self.get("/echo", "POST", body).body, body)

    def test_a_forward_keeps_path_and_query_and_becomes_the_new_host(self):
        other = self.new_origin(plain=True)
        self.add_rule({"hostname": "api.example"}, {"type": "forward", "forwardTo": other.url("")})
        text = self.serve.curl("https://api.example/head?a=%2F&b").stdout
        self.assertTrue(text.startswith("GET /head?a=%2F&b HTTP/1.1"), text)
        self.assertIn(f"host: localhost:{other.port}", text.lower())


class Changes(RulesTest):
    BAD = (({"urlPattern": "("}, {"type": "drop"}), ({"hostname": "no host"}, {"type": "drop"}),
           ({}, {"type": "forward", "forwardTo": "h/path"}), ({}, {"type": "mock", "status": 99}))

    def test_a_bad_update_leaves_rule_traffic_and_listener_as_they_were(self):
        rule, client = self.mock(pathPattern="^/hello"), self.client()
        before = self.listed(rule)
        for matcher, handler in self.BAD:
            with self.subTest(matcher=matcher, handler=handler), self.assertRaises(ToolError):
                self.serve.call("proxy_update_rule", rule_id=rule, matcher=matcher, handler=handler)
            self.assertEqual(self.listed(rule) | {"hitCount": 0}, before)
            self.assertEqual(self.get(client=client).body, b"mocked")
            self.assertEqual(self.get().body, b"mocked")  # a new connection
        self.assertTrue(self.serve.call("proxy_status")["running"])

    def test_after_a_bad_rule_others_can_be_added_changed_and_removed(self):
        for matcher, handler in self.BAD:
            with self.assertRaises(ToolError):
                self.serve.call("proxy_add_rule", description="bad", matcher=matcher, handler=handler)
        rule = self.mock(pathPattern="^/hello")
        self.serve.call("proxy_disable_rule", rule_id=rule)
        self.serve.call("proxy_disable_rule", rule_id=rule)
        self.serve.call("proxy_set_upstream", proxy_url="http://127.0.0.1:9")
        self.serve.call("proxy_clear_upstream")
        self.serve.call("proxy_remove_rule", rule_id=rule)

    def test_bad_modifications_store_nothing(self):
        for tool, arguments in (("proxy_rewrite_url", {"match_pattern": "(", "replace_with": "x"}),
                                ("proxy_rewrite_url", {"match_pattern": "x", "replace_with": "$9"}),
                                ("proxy_inject_headers", {"headers": {"a b": "1"}}),
                                ("proxy_inject_headers", {"headers": {"a": "1\r\nb: 2"}}),
                                ("proxy_mock_response", {"status": 200, "url_pattern": "(?=x)"}),
                                ("proxy_mock_response", {"status": 200, "hostname": "h:80"})):
            with self.subTest(tool, **arguments), self.assertRaises(ToolError):
                self.serve.call(tool, **arguments)
        self.assertEqual(self.serve.call("proxy_list_rules")["rules"], [])

    def test_rules_outlive_a_stop_and_a_start_and_no_number_comes_twice(self):
        rule = self.mock(hostname="stays.example")
        self.serve.call("proxy_start")
        self.serve.call("proxy_stop")
        self.serve.call("proxy_start")
        self.assertEqual(self.serve.curl("https://stays.example/").stdout, "mocked")
        self.serve.call("proxy_remove_rule", rule_id=rule)
        self.assertGreater(int(self.mock().removeprefix("rule_")), int(rule.removeprefix("rule_")))


class Answers(RulesTest):
    def failed(self, tool, **arguments):
        result = self.serve.rpc("tools/call", {"name": tool, "arguments": arguments}, tool)
        self.assertIs(result.get("isError"), True)
        return json.loads(result["content"][0]["text"])

    def test_every_failure_is_marked_as_one_and_has_the_contracts_words(self):
        for tool, arguments, words in (("proxy_remove_rule", {"rule_id": "x"}, "Rule 'x' not found"),
                                       ("proxy_update_rule", {"rule_id": "x"}, "Error: Rule 'x' not found"),
                                       ("proxy_enable_rule", {"rule_id": "x"}, "Error: Rule 'x' not found"),
                                       ("proxy_disable_rule", {"rule_id": "x"}, "Error: Rule 'x' not found"),
                                       ("proxy_remove_host_upstream", {"hostname": "x"}, "No upstream override for 'x'"),
                                       ("proxy_test_rule_match", {}, "request is required when mode='simulate'"),
                                       ("proxy_test_rule_match", {"mode": "exchange"},
                                        "exchange_id is required when mode='exchange'"),
                                       ("proxy_test_rule_match", {"mode": "exchange", "exchange_id": "x"},
                                        "Error: Exchange 'x' not found"),
                                       ("proxy_test_rule_match", {"request": {"url": "x"}}, "Error: Invalid URL 'x'")):
            with self.subTest(tool, **arguments):
                self.assertEqual(self.failed(tool, **arguments), {"status": "error", "error": words})

    def test_long_lists_of_rules_stay_json_and_can_be_read_to_their_end(self):
        made = [self.mock("x" * 500, hostname=f"h{number}.example") for number in range(60)]
        for tool, arguments, key in (("proxy_list_rules", {}, "rules"),
                                     ("proxy_test_rule_match", {"request": {"url": "https://h.example/"}}, None)):
            result = self.serve.rpc("tools/call", {"name": tool, "arguments": arguments}, tool)
            body = json.loads(result["content"][0]["text"])
            self.assertEqual(body, result["structuredContent"])
            if key:
                self.assertEqual(body["count"], 60)
        seen, offset = [], 0
        while offset is not None:
            page = self.serve.call("proxy_list_rules", offset=offset)
            seen += [rule["id"] for rule in page["rules"]]
            offset = page.get("next_offset")
        self.assertEqual(seen, made)


class Upstreams(UpstreamTest):
    def test_passwords_with_colons_reach_the_proxy_whole(self):
        password = "one:two:three"
        socks = Microsocks(needs("microsocks"), password)
        self.addCleanup(socks.close)
        squid = Squid(needs("squid", "squid-openssl"), auth="both", password=password)
        self.addCleanup(squid.close)
        for url, shown in ((socks.url("socks5h", USER, password), f"socks5h://{USER}:***@localhost:{socks.port}"),
                           (squid.url(USER, password), f"http://{USER}:***@localhost:{squid.port}/")):
            self.use(url)
            self.assertEqual(self.way_of(f"/hello?{url.partition(':')[0]}"), shown)

    def test_a_user_name_with_a_colon_is_refused_everywhere_and_unnamed(self):
        for scheme in ("http", "https", "socks5", "socks4"):
            for tool, more in (("proxy_set_upstream", {}), ("proxy_set_host_upstream", {"hostname": "h.example"})):
                with self.subTest(scheme, tool=tool), self.assertRaisesRegex(ToolError, "Error: .*user name with a colon") as said:
                    self.serve.call(tool, proxy_url=f"{scheme}://hunter2%3Ax@h.example", **more)
                self.assertNotIn("hunter2", str(said.exception))

    def test_where_a_password_came_from_is_said_where_there_is_a_user(self):
        for url, source in (("http://h.example", None), ("http://u@h.example", "none"), ("http://u:@h.example", "none"),
                            ("http://u:p@h.example", "url"), ("socks5h://h.example", None)):
            with self.subTest(url):
                self.assertEqual(self.use(url).get("passwordSource"), source)
                said = self.serve.call("proxy_set_host_upstream", hostname="x.example", proxy_url=url)
                self.assertEqual(said.get("passwordSource"), source)

    def test_the_kept_password_is_for_its_host_and_for_users_without_one(self):
        environment = clean_environment(PROXY_MCP_UPSTREAM_PASSWORD="hunter2", PROXY_MCP_UPSTREAM_HOST="[::1]")
        with Serve(env=environment) as serve:
            for url, source in (("http://u@[::1]:3128", "env"), ("socks5://u@[::1]", "env"), ("http://u:other@[::1]", "url"),
                                ("http://u@localhost", "none"), ("http://u@x.example", "none"), ("http://[::1]", None)):
                with self.subTest(url):
                    self.assertEqual(serve.call("proxy_set_upstream", proxy_url=url).get("passwordSource"), source)
                    shown = serve.call("proxy_status")["globalUpstream"]["proxyUrl"]
                    self.assertNotIn("hunter2", shown)

    def test_addresses_are_shown_without_password_path_and_query(self):
        self.use("http://u:hunter2@h.example:80/hunter3/x?hunter4=1#hunter5")
        self.serve.call("proxy_set_host_upstream", hostname="x.example", proxy_url="http://hunter2x:hunter2@h.example")
        wanted = "http://u:***@h.example/***/***"
        self.assertEqual(self.serve.call("proxy_status")["globalUpstream"]["proxyUrl"], wanted)
        text = self.serve.rpc("resources/read", {"uri": "proxy://status"}, "proxy://status")["contents"][0]["text"]
        self.assertEqual(json.loads(text)["globalUpstream"]["proxyUrl"], wanted)
        for secret in ("hunter2@", "hunter3", "hunter4", "hunter5"):
            self.assertNotIn(secret, text)

    def test_a_script_process_does_not_inherit_the_password(self):
        script = self.directory / "direct.pac"
        script.write_text("function FindProxyForURL(url, host) { return 'DIRECT'; }")
        environment = clean_environment(PROXY_MCP_UPSTREAM_PASSWORD="hunter2", SLUICE_UPSTREAM_PASSWORD="hunter2",
                                        SLUICE_UPSTREAM_HOST="proxy.example")
        with Serve("--upstream-ca", self.fakes.pem, "--upstream", f"pac+file://{script}", env=environment) as serve:
            self.assertIsNone(self.way_of("/hello?child", serve))
            [child] = children(serve.process.pid)
            self.assertNotIn(b"hunter2", pathlib.Path(f"/proc/{child}/environ").read_bytes())

    def test_bypasses_go_by_labels_addresses_and_ports(self):
        port = self.plain.port
        address = f"127.0.0.1:{port}"
        cases = (("localhost", f"localhost:{port}", True), ("LocalHost", f"localhost:{port}", True),
                 (f"localhost:{port}", f"localhost:{port}", True), (f"localhost:{port + 1}", f"localhost:{port}", False),
                 ("host", f"localhost:{port}", False), ("*", f"localhost:{port}", True), ("127.0.0.1", address, True),
                 ("127.0.0.0/8", address, True), ("127.0.0.0/31", address, True), ("10.0.0.0/8", address, False),
                 ("0.0.1", address, False), ("::ffff:127.0.0.1", address, True), ("[::1]", address, False))
        for number, (entry, authority, direct) in enumerate(cases):
            with self.subTest(entry, authority=authority):
                self.use(self.squid().url(), no_proxy=[entry])
                self.assertIn("hello", self.get(f"http://{authority}/hello?bypass{number}"))
                self.assertEqual(self.proxy_of(f"?bypass{number}"), None if direct else self.squid().url() + "/")

    def test_upstreams_are_forgotten_at_the_end_and_survive_a_stop_of_the_proxy(self):
        home = self.directory / "forgets"
        with Serve(home=home, directory=self.directory) as serve:
            serve.call("proxy_set_upstream", proxy_url="http://u:hunter2@h.example")
            serve.call("proxy_start")
            serve.call("proxy_stop")
            self.assertTrue(serve.call("proxy_status")["globalUpstream"])
        self.assertFalse([p for p in home.rglob("*") if p.is_file() and b"hunter2" in p.read_bytes()])
        with Serve(home=home, directory=self.directory) as serve:
            self.assertIsNone(serve.call("proxy_status")["globalUpstream"])

    def test_an_upstream_that_cannot_be_reached_is_named_with_its_address_and_the_reason(self):
        self.use("http://u:hunter2@[::1]:9")
        page = self.get(self.origin.url("/hello?family"))
        self.assertIn("502", page.partition("\n")[0])
        self.assertIn("http://u:***@[::1]:9/", page)
        self.assertIn("refused", page)
        self.assertEqual(self.serve.exchange("?family")["error"]["code"], "upstream_proxy")

    def test_one_table_is_for_all_listeners(self):
        self.use(self.squid().url())
        url = urllib.parse.urlsplit(self.origin.url("/hello?bare"))
        client = self.serve.client()  # a client of the SOCKS listener, on the same table
        self.addCleanup(client.close)
        client.send(b"\5\1\0\5\1\0\3\x09localhost" + url.port.to_bytes(2, "big"))
        client.read_exactly(12)
        client.start_tls("localhost", context(self.serve.ca))
        client.send(f"GET /hello?socks HTTP/1.1\r\nHost: localhost:{url.port}\r\n\r\n".encode())
        self.assertEqual(client.read_answer().status, 200)
        self.assertEqual(self.proxy_of("?socks"), self.squid().url() + "/")


if __name__ == "__main__":
    unittest.main()
