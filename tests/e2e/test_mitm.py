"""The toolset `mitmproxy` over MCP with real traffic. W1 … W21 are the weaknesses of the published server that it must not have."""
import json
import unittest

from harness import E2E, HERE, SLUICE, ToolError, clean_environment, needs_node, poll, run

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

    def test_W10_a_block_resets_or_answers_and_the_origin_hears_nothing(self):
        self.serve.call("add_interception_rule", rule_id="b", action_type="block", url_pattern="/hello")
        self.assertNotEqual(self.get("/hello").returncode, 0)
        self.serve.call("add_interception_rule", rule_id="b", action_type="block", url_pattern="/hello", value="451")
        self.assertEqual(self.get("/hello", "-o", "/dev/null", "-w", "%{http_code}").stdout, "451")
        self.assertEqual(self.origin.requests, [])
        self.assertEqual(self.serve.call("list_rules")["b"]["hit_count"], 1)

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

    def test_W5_ignored_hosts_pass_undecrypted(self):
        self.serve.call("set_scope", allowed_domains=[], ignore=["localhost"])
        done = self.serve.curl(self.origin.url("/hello?ignored"), "--cacert", self.fakes.pem)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.serve.call("search_traffic", query="ignored")["result"], [])

    def test_list_tools_is_what_tools_list_says(self):
        listed = self.serve.call("list_tools")["result"]
        self.assertEqual([(tool["name"], tool["input_schema"]) for tool in listed],
                         [(tool["name"], tool["inputSchema"]) for tool in self.serve.rpc("tools/list")["tools"]])


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
                environment = clean_environment(SLUICE=SLUICE, SLUICE_HOME_DIR=self.directory / f"home{generation}", TOOLSET="mitmproxy",
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
                self.assertEqual(seen["failure"], {"isError": True, "text": "Flow not found.", "structured": None, "code": "not_found"})


if __name__ == "__main__":
    unittest.main()
