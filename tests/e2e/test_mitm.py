"""The toolset `mitmproxy` over MCP with real traffic. W1 … W21 are the weaknesses of the published server that it must not have."""
import http.client
import json
import unittest

from harness import E2E, HERE, SLUICE, ToolError, clean_environment, needs_node, poll, run
from fakes.websocket import CLOSE, TEXT, WebSocketClient, WebSocketServer, close_body

CONTRACT = [tool["name"] for tool in json.loads((HERE.parent / "vectors" / "mitm-tools.json").read_text())]


class Mitm(E2E):
    flags = ("--toolset", "all")

    def tearDown(self):
        self.serve.call("clear_rules")
        self.serve.call("set_scope", allowed_domains=[])
        super().tearDown()

    def whole(self, tool, **arguments):
        return self.serve.rpc("tools/call", {"name": tool, "arguments": arguments}, tool)

    def flow(self, wanted):
        """The newest ended flow whose URL holds `wanted`."""
        def there():
            rows = self.serve.call("search_traffic", query=wanted)["result"]
            return [row for row in rows if row["status_code"] and row["found_in"] == "url"]
        return poll(there, 5, f"a flow of {wanted}")[0]

    def get(self, path, *more):
        return self.serve.curl(self.origin.url(path), *more)

    def test_answers_are_the_contracts_text_and_structured(self):
        self.get("/hello?shape")
        identifier = self.flow("hello?shape")["id"]
        listing = self.whole("get_traffic_summary", limit=1)
        self.assertEqual(listing["content"][0]["text"], json.dumps(listing["structuredContent"]["result"], indent=2, ensure_ascii=False))
        self.assertIn("next_cursor", listing["content"][1]["text"])
        flow = self.whole("inspect_flow", flow_id=identifier)
        self.assertEqual(json.loads(flow["content"][0]["text"]), flow["structuredContent"])
        self.assertEqual(flow["structuredContent"]["response"]["body_preview"], "hello from the origin\n")
        self.assertNotIn("status", flow["structuredContent"])
        said = self.whole("set_scope", allowed_domains=[])
        self.assertEqual(said["content"], [{"type": "text", "text": said["structuredContent"]["result"]}])

    def test_W2_a_failure_is_an_error_with_a_code_and_a_sentence(self):
        for tool, arguments, text, code in (("inspect_flow", {"flow_id": "nope"}, "Flow not found.", "not_found"),
                                            ("start_proxy", {"port": 1}, "Proxy is already running. Stop it first.", "conflict")):
            answer = self.whole(tool, **arguments)
            self.assertEqual((answer["isError"], answer["content"][0]["text"]), (True, text))
            self.assertEqual(answer["_meta"]["dev.sluice/error"]["code"], code)
            self.assertNotIn("structuredContent", answer)

    def test_a_flow_and_a_rule_of_one_toolset_are_those_of_the_other(self):
        rule = self.serve.call("add_interception_rule", rule_id="one", action_type="inject_header", key="X-One", value="1")["rule"]
        self.assertEqual(self.serve.call("proxy_list_rules")["rules"][0]["id"], rule)
        theirs = self.serve.call("proxy_add_rule", description="d", matcher={"pathPattern": "^/theirs"},
                                 handler={"type": "mock", "status": 418})["rule"]["id"]
        self.assertEqual(self.serve.call("list_rules")[theirs]["action"], "mock")
        self.get("/head?both")
        self.assertIn(("X-One", "1"), self.origin.requests[-1].fields)
        row = self.flow("head?both")
        self.assertEqual(self.serve.exchange("head?both")["id"], row["id"])
        self.serve.call("proxy_remove_rule", rule_id=theirs)

    def test_W11_what_a_rule_changed_is_told_apart_from_what_came(self):
        self.serve.call("add_interception_rule", rule_id="in", action_type="inject_header", key="X-In", value="1")
        self.serve.call("add_interception_rule", rule_id="out", action_type="inject_header", phase="response", key="X-Out", value="2")
        self.serve.call("add_interception_rule", rule_id="swap", action_type="replace_body", phase="response",
                        search_pattern="(hello) from", value=r"\1 through")
        done = self.get("/hello?changed", "-i")
        self.assertIn("hello through the origin", done.stdout)
        self.assertIn("X-Out: 2", done.stdout)
        flow = self.serve.call("inspect_flow", flow_id=self.flow("hello?changed")["id"])
        self.assertEqual(flow["rule_ids"], ["in", "out", "swap"])
        self.assertNotIn("X-In", flow["request"]["headers"])
        self.assertIn(["X-In", "1"], flow["effective_request"]["header_pairs"])
        self.assertEqual(flow["response"]["headers"]["X-Out"], "2")
        self.assertNotIn(["X-Out", "2"], flow["original_response"]["header_pairs"])

    def test_what_is_said_of_listed_rules_is_no_rule(self):
        self.serve.call("set_global_header", key="Authorization", value="Bearer t0ken-of-the-rule")
        listed = self.whole("list_rules")
        self.assertEqual(list(listed["structuredContent"]), ["global_authorization"])
        self.assertEqual(json.loads(listed["content"][0]["text"]), listed["structuredContent"])
        self.assertIn("/global_authorization/value", json.loads(listed["content"][1]["text"])["redacted"])
        self.assertNotIn("t0ken", json.dumps(listed))

    def test_no_program_is_written_for_a_socket(self):
        self.origin.routes["/chat"] = WebSocketServer()
        self.addCleanup(self.origin.routes.pop, "/chat", None)
        socket = WebSocketClient(self.client(), f"localhost:{self.origin.port}", "/chat")
        socket.send(TEXT, b"a message of the socket")
        socket.read()
        socket.send(CLOSE, close_body(1000, "done"))
        while socket.read().opcode != CLOSE:
            pass
        socket.raw.close()
        chat = poll(lambda: [row for row in self.serve.call("search_traffic", query="/chat")["result"] if row["status_code"]], 5, "the socket")[0]["id"]
        with self.assertRaisesRegex(ToolError, "socket"):
            self.serve.call("generate_scraper_code", flow_ids=chat)
        self.get("/hello?beside")
        answer = self.serve.call("generate_scraper_code", flow_ids=f"{chat},{self.flow('hello?beside')['id']}")
        self.assertEqual(answer["sockets_left_out"], [chat])
        self.assertIn("hello?beside", answer["result"])
        self.assertNotIn("a message of the socket", answer["result"])

    def test_W10_a_block_resets_or_answers_and_the_origin_hears_nothing(self):
        self.serve.call("add_interception_rule", rule_id="b", action_type="block", url_pattern="/hello")
        self.assertNotEqual(self.get("/hello").returncode, 0)
        self.serve.call("add_interception_rule", rule_id="b", action_type="block", url_pattern="/hello", value="451")
        self.assertEqual(self.get("/hello", "-o", "/dev/null", "-w", "%{http_code}").stdout, "451")
        self.assertEqual(self.origin.requests, [])
        self.assertEqual(self.serve.call("list_rules")["b"]["hit_count"], 1)

    def test_W10_a_block_of_the_answer_lets_the_origin_hear_the_request(self):
        rule = {"rule_id": "b", "action_type": "block", "url_pattern": "/hello", "phase": "response"}
        self.serve.call("add_interception_rule", **rule)
        self.assertNotEqual(self.get("/hello").returncode, 0)
        self.assertEqual(len(self.origin.requests), 1)
        self.serve.call("add_interception_rule", value="451", **rule)
        self.assertEqual(self.get("/hello", "-o", "/dev/null", "-w", "%{http_code}").stdout, "451")
        self.assertEqual(len(self.origin.requests), 2)
        listed = self.serve.call("list_rules")["b"]
        self.assertEqual((listed["action"], listed["phase"], listed["value"], listed["hit_count"]), ("block", "response", "451", 1))

    def test_W17_secrets_are_masked_in_every_view_until_asked_for(self):
        secret = "Zq8redXw3tokenL"
        self.serve.call("set_global_header", key="Authorization", value=f"Bearer {secret}")
        self.get(f"/echo?mask&access_token={secret}", "-H", f"Cookie: sid={secret}", "-H", f"X-Api-Key: {secret}",
                 "-H", "Content-Type: application/json", "-d", json.dumps({"password": secret}))
        identifier = self.flow("echo?mask")["id"]
        for tool, arguments in (("get_traffic_summary", {}), ("search_traffic", {"query": "echo?mask"}), ("list_rules", {}),
                                ("inspect_flow", {"flow_id": identifier}), ("inspect_flow", {"flow_id": identifier, "full_body": True}),
                                ("inspect_flow", {"flow_id": identifier, "offset": 14}), ("inspect_flows", {"flow_ids": identifier})):
            with self.subTest(tool, **arguments):
                answer = self.whole(tool, **arguments)
                self.assertNotIn(secret[:8], json.dumps(answer))
                self.assertIn(secret, json.dumps(self.whole(tool, show_secrets=True, **arguments)) if "offset" not in arguments else secret)
        self.assertEqual(self.serve.call("search_traffic", query=secret)["result"], [])

    def test_W17_every_cookie_of_an_answer_is_masked_however_its_fields_are_shown(self):
        jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJUT1BTRUNSRVQifQ.VE9QU0VDUkVU"
        origin = self.new_origin()
        origin.routes["/cookies"] = lambda talk: talk.answer(fields=[
            ("Content-Type", "text/plain"), ("Set-Cookie", "lang=de; Path=/; Expires=Wed, 01 Jan 2031 00:00:00 GMT"),
            ("Set-Cookie", "session=TOPSECRETVALUE; HttpOnly"), ("Set-Cookie", f"JWT={jwt}; Secure"), ("Set-Cookie", "TOPSECRETBARE")])
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        self.add_rule({"pathPattern": "^/cookies"}, {"type": "passthrough", "transformResponse": {"updateHeaders": {"X-Seen": "1"}}})
        self.serve.curl(origin.url("/cookies"))
        flow = self.flow("/cookies")["id"]
        poll(lambda: self.serve.call("proxy_query_session", session_id=session)["total"] == 1, 10, "the recording")
        everything = ["original", "raw_head", "timings", "connection", "response_body"]
        shown = []
        for tool, arguments in (("inspect_flow", {"flow_id": flow}), ("inspect_flows", {"flow_ids": flow}), ("replay_flow", {"flow_id": flow}),
                                ("proxy_get_exchange", {"exchange_id": flow, "include": everything}),
                                ("proxy_get_session_exchange", {"session_id": session, "exchange_id": flow}),
                                ("proxy_export_traffic", {"exchange_id": flow, "format": "har"}),
                                ("proxy_export_traffic", {"exchange_id": flow, "format": "raw"}),
                                ("proxy_replay_session", {"session_id": session, "mode": "execute"}),
                                ("proxy_generate_flow_template", {"session_id": session}),
                                ("generate_scraper_code", {"flow_ids": flow}), ("get_api_patterns", {}), ("detect_auth_pattern", {}),
                                ("search_traffic", {"query": "/cookies"}), ("proxy_search_traffic", {"query": "/cookies"})):
            with self.subTest(tool, **arguments):
                text = json.dumps(self.whole(tool, **arguments))
                self.assertNotIn('"isError": true', text)
                for secret in ("TOPSECRET", jwt.split(".")[1], jwt.split(".")[2]):
                    self.assertNotIn(secret, text)
                shown += ["lang=[redacted:cookie:" in text and "session=[redacted:cookie:" in text]
        self.assertGreaterEqual(sum(shown), 7, shown)
        for guess in ("TOPSECRETV", "VE9QU0VDUkVU"):
            self.assertEqual(self.serve.call("search_traffic", query=guess)["result"], [])
            with self.assertRaisesRegex(ToolError, "No match"):
                self.serve.call("extract_session_variable", name="x", flow_id=flow, header="set-cookie", regex_pattern=f"({guess})")
        self.serve.call("proxy_session_stop")

    def test_W1_and_W3_whole_decoded_bodies_text_or_not(self):
        self.get("/gzip?whole", "-o", "/dev/null")
        response = self.serve.call("inspect_flow", flow_id=self.flow("gzip?whole")["id"], full_body=True)["response"]
        self.assertEqual((response["body"], response["truncated"]), ("gzip says hello\n" * 3, False))
        path = self.directory / "binary"
        path.write_bytes(bytes(range(256)) * 100)
        self.get("/echo?binary", "--data-binary", f"@{path}", "-o", "/dev/null")
        request = self.serve.call("inspect_flow", flow_id=self.flow("echo?binary")["id"], full_body=True, limit=100_000)["request"]
        self.assertIsNone(request["body"])
        self.assertEqual((request["total_bytes"], request["truncated"], len(request["body_base64"])), (25_600, False, 34_136))

    def test_W5_scope_limits_recording_by_labels(self):
        self.serve.call("set_scope", allowed_domains=["ocalhost"])
        before = self.serve.call("proxy_list_traffic")["total"]
        self.assertEqual(self.get("/hello?outside").returncode, 0)
        self.serve.call("set_scope", allowed_domains=["localhost"])
        self.assertEqual(self.get("/hello?inside").returncode, 0)
        self.flow("hello?inside")
        self.assertEqual(self.serve.call("proxy_list_traffic")["total"], before + 1)
        self.assertEqual(self.serve.call("search_traffic", query="outside")["result"], [])

    def test_W5_a_scope_may_name_ports(self):
        port = self.origin.url("/").split(":")[2].strip("/")
        for domain, mark, recorded in ((f"localhost:{int(port) - 1}", "otherport", False), (f"localhost:{port}", "sameport", True)):
            self.serve.call("set_scope", allowed_domains=[domain])
            self.assertEqual(self.get(f"/hello?{mark}").returncode, 0)
            if recorded:
                self.flow(mark)
        self.assertEqual(self.serve.call("search_traffic", query="otherport")["result"], [])
        self.assertIn(f"localhost:{port}", [one["host"] for one in self.serve.call("proxy_list_host_options")["options"]])
        self.serve.call("set_scope", allowed_domains=[], ignore=[f"localhost:{port}"])
        done = self.serve.curl(self.origin.url("/hello?ignoredport"), "--cacert", self.fakes.pem)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_W5_ignored_hosts_pass_undecrypted(self):
        self.serve.call("set_scope", allowed_domains=[], ignore=["localhost"])
        done = self.serve.curl(self.origin.url("/hello?ignored"), "--cacert", self.fakes.pem)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.serve.call("search_traffic", query="ignored")["result"], [])

    def echo(self, mark, body, content_type="application/json"):
        path = self.directory / "body"
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        self.get(f"/echo?{mark}", "--data-binary", f"@{path}", "-H", f"Content-Type: {content_type}", "-o", "/dev/null")
        return self.flow(f"echo?{mark}")["id"]

    def extract(self, identifier, **arguments):
        return self.serve.call("extract_from_flow", flow_id=identifier, **arguments)

    def test_W1_JSONPath_sees_the_whole_body_and_pages(self):
        identifier = self.echo("path", {"pad": "x" * 100_000, "items": [{"n": n, "name": f"item {n}"} for n in range(500)]})
        self.assertEqual(self.extract(identifier, json_path="$.items[?@.n >= 498].name")["result"], ["item 498", "item 499"])
        self.assertEqual(self.extract(identifier, json_path="items[-1].n")["result"], [499])
        page = self.extract(identifier, json_path="$..n", offset=490, limit=5, paths=True)
        self.assertEqual((page["result"], page["total"], page["next_offset"]), (list(range(490, 495)), 500, 495))
        self.assertEqual(page["paths"][0], "$['items'][490]['n']")
        self.assertEqual(self.serve.call("get_flow_schema", flow_id=identifier), {"pad": "str", "items": "list"})
        for path, words in (("$[", "octet"), ("$.a|$.b", r"\$\['a','b'\]"), ("$.a.`parent`", "parent")):
            with self.assertRaisesRegex(ToolError, words):
                self.extract(identifier, json_path=path)
        with self.assertRaisesRegex(ToolError, "json_path or css_selector"):
            self.extract(identifier)

    def test_get_flow_schema_says_why_not(self):
        for mark, body, text in (("list", [1], "Response is JSON but not an object (it's list)."), ("none", b"nothing", "Response body is not valid JSON."),
                                 ("deep", b"[" * 5000, "deep")):
            with self.assertRaises(ToolError) as caught:
                self.serve.call("get_flow_schema", flow_id=self.echo(mark, body))
            self.assertIn(text, str(caught.exception))

    def test_filters_are_no_oracle_for_masked_secrets(self):
        secret = "Zq8redXw3tokenL"
        identifier = self.echo("oracle", {"password": secret, "pin": 4711, "user": "ada", "tokens": {"access_token": secret}})
        for path in ("$", "$.password", "$..access_token", f"$[?@=='{secret}']", "$[?match(@,'Zq8.*')]"):
            with self.subTest(path):
                self.assertNotIn(secret[:6], json.dumps(self.whole("extract_from_flow", flow_id=identifier, json_path=path)))
        self.assertEqual(self.extract(identifier, json_path="$[?match(@,'Zq8.*')]")["result"], [])
        self.assertEqual(self.extract(identifier, json_path="$.password", show_secrets=True)["result"], [secret])

    def test_CSS_on_a_page(self):
        page = b"<!doctype html><ul id=l><li class='a b'>one<li>two &amp; <b>three</b></ul>" + b"<p>pad</p>" * 2000 + b"<a href=/end>end</a>"
        identifier = self.echo("page", page, "text/html")
        self.assertEqual(self.extract(identifier, css_selector="#l > li.a")["result"],
                         [{"text": "one", "html": '<li class="a b">one</li>', "attrs": {"class": ["a", "b"]}}])
        self.assertEqual(self.extract(identifier, css_selector="li:has(b)")["result"][0]["text"], "two & three")
        self.assertEqual(self.extract(identifier, css_selector="a[href^='/']")["result"][0]["attrs"], {"href": "/end"})
        self.assertEqual(self.extract(identifier, css_selector="p", limit=3)["total"], 2000)
        with self.assertRaisesRegex(ToolError, "pseudo-element"):
            self.extract(identifier, css_selector="li::marker")

    def test_hostile_pages_are_given_up_in_time(self):
        identifier = self.echo("hostile", b"<div>" * 300_000, "text/html")
        try:
            found = self.extract(identifier, css_selector="div", limit=1)
            self.assertTrue(found["truncated"])
        except ToolError as error:
            self.assertIn("too long", str(error))
        self.assertTrue(self.serve.call("get_traffic_summary")["result"])

    def test_a_page_that_makes_the_parser_fail_is_an_error_and_no_end(self):
        identifier = self.echo("broken", b"<table><svg><select><foreignObject><select><tr>", "text/html")
        with self.assertRaisesRegex(ToolError, "makes gumbo, which takes it apart, fail"):
            self.extract(identifier, css_selector="tr")
        self.assertTrue(self.serve.call("get_traffic_summary")["result"])

    def test_list_tools_is_what_tools_list_says(self):
        listed = self.serve.call("list_tools")["result"]
        self.assertEqual([(tool["name"], tool["input_schema"]) for tool in listed],
                         [(tool["name"], tool["inputSchema"]) for tool in self.serve.rpc("tools/list")["tools"]])


class Compliance(E2E):
    """The public JSONPath compliance suite, over MCP: every document is an answer that passed the proxy."""
    flags = ("--toolset", "all")

    def test_every_case_of_the_suite(self):
        path = HERE / "node_modules" / "jsonpath-rfc9535" / "src" / "__tests__" / "jsonpath-compliance-test-suite" / "cts.json"
        if not path.exists():
            raise unittest.SkipTest("tests/e2e/node_modules has no jsonpath-rfc9535 (npm ci)")
        origin = self.new_origin(plain=True)
        cases = json.loads(path.read_text())["tests"]
        flows = {}
        for text in {json.dumps(case.get("document")) for case in cases}:
            proxy = http.client.HTTPConnection("127.0.0.1", self.serve.proxy_port, timeout=20)
            proxy.request("POST", f"http://127.0.0.1:{origin.port}/echo?cts-{len(flows)}.", text, {"Content-Type": "application/json"})
            self.assertEqual(proxy.getresponse().read().decode(), text)
            proxy.close()
            flows[text] = f"cts-{len(flows)}."
        ids = {}
        for text, mark in flows.items():
            ids[text] = poll(lambda: self.serve.call("search_traffic", query=mark)["result"], 5, mark)[0]["id"]  # pylint: disable=cell-var-from-loop
        wrong = [case["name"] for case in cases if not self.passes(case, ids[json.dumps(case.get("document"))])]
        self.assertGreater(len(cases), 600)
        self.assertEqual(wrong, [])

    def passes(self, case, identifier):
        if case.get("invalid_selector") and not case["selector"].startswith("$"):
            return True  # extract_from_flow puts "$." in front
        try:
            found = self.serve.call("extract_from_flow", flow_id=identifier, json_path=case["selector"], paths=True, show_secrets=True)
        except ToolError:
            return bool(case.get("invalid_selector"))
        if case.get("invalid_selector"):
            return False
        results = case.get("results", [case.get("result")])
        paths = case.get("results_paths", [case.get("result_paths")])
        return found["result"] in results and found.get("paths", []) in paths


class Toolset(E2E):
    flags = ("--toolset", "mitmproxy")

    def test_it_holds_only_tools_of_the_contract(self):
        names = [tool["name"] for tool in self.serve.rpc("tools/list")["tools"]]
        self.assertEqual(names, [name for name in CONTRACT if name in names])
        with self.assertRaises(ToolError):
            self.serve.call("proxy_status")

    def test_stop_and_start_again_on_the_same_port(self):
        port = self.serve.ready["proxy"]["port"]
        self.assertEqual(self.serve.call("start_proxy")["port"], port)
        self.serve.call("stop_proxy")
        with self.assertRaisesRegex(ToolError, "not running"):
            self.serve.call("stop_proxy")
        self.assertEqual(self.serve.call("start_proxy")["port"], port)

    def test_official_clients_call_every_tool(self):
        for generation, era in (("1", "legacy"), ("2", "modern")):
            with self.subTest(generation):
                environment = clean_environment(SLUICE=SLUICE, SLUICE_HOME_DIR=self.directory / f"home{generation}", TOOLSET="mitmproxy", ALLOW_ROOT=self.directory,
                                                UPSTREAM_CA=self.fakes.pem, ORIGIN=self.origin.url("").rstrip("/"))
                done = run(needs_node(), HERE / "clients" / "mitm.mjs", generation, era, "stdio", env=environment, seconds=60)
                self.assertEqual(done.returncode, 0, done.stderr[-3000:])
                seen = json.loads(done.stdout.strip().splitlines()[-1])
                self.assertEqual(set(seen["calls"]), set(seen["tools"]))
                self.assertEqual(seen["listed"], seen["tools"])
                self.assertEqual(list(seen["rules"]), ["global_x-global", "swap"])
                self.assertEqual(seen["text"], "hello through the origin\n")
                self.assertIn("everywhere", seen["head"])
                self.assertEqual(seen["flow"]["response"]["body"], "hello through the origin\n")
                self.assertEqual(seen["found"], 1)
                self.assertEqual((seen["schema"], seen["extracted"]), ({"items": "list", "ok": "bool"}, [2]))
                self.assertEqual(seen["auth"], ["bearer_token"])
                self.assertEqual(seen["loaded"], ["https://loaded.example/a"])
                self.assertEqual((seen["replayed"], seen["fuzzed"]), (200, 200))
                self.assertEqual((seen["code"], seen["variable"]), (True, 1))
                self.assertEqual(seen["patterns"], ["GET /echo", "GET /head", "GET /hello", "POST /echo"])
                self.assertEqual(seen["openapi"], ["/echo", "/head", "/hello"])
                self.assertEqual(seen["failure"], {"isError": True, "text": "Flow not found.", "structured": None, "code": "not_found"})


if __name__ == "__main__":
    unittest.main()
