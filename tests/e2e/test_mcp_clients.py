"""The official TypeScript MCP clients of both generations call every tool, on stdio and over HTTP."""
import json
import unittest

from harness import E2E, HERE, SLUICE, THE_TOOLS, Serve, clean_environment, needs_node, run


class McpClients(E2E):
    def scenario(self, generation, era, transport):
        node = needs_node()
        home = self.directory / f"home-{generation}-{era}-{transport}"
        environment = clean_environment(SLUICE=SLUICE, SLUICE_HOME_DIR=home, UPSTREAM_CA=self.fakes.pem,
                                        ORIGIN=self.origin.url("").rstrip("/"))
        if transport == "http":
            serve = Serve("--upstream-ca", self.fakes.pem, home=home, directory=self.directory)
            self.addCleanup(serve.stop)
            environment.update(MCP_URL=serve.mcp_url, MCP_TOKEN=serve.token)
        done = run(node, HERE / "clients" / "mcp.mjs", generation, era, transport, env=environment, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        seen = json.loads(done.stdout.strip().splitlines()[-1])
        self.check(seen)
        return seen

    def check(self, seen):
        names = [tool["name"] for tool in seen["tools"]]
        for name in THE_TOOLS:
            self.assertIn(name, names)
            self.assertIn(name, seen["calls"], f"{name} was not called")
        for tool in seen["tools"]:
            self.assertEqual((tool["inputSchema"]["type"], tool["outputSchema"]["type"]), ("object", "object"))
            self.assertIn("annotations", tool)
            self.assertTrue(tool["description"])
        self.assertEqual(seen["mocked"], {"status": 200, "text": '{"mocked":true}'})
        self.assertEqual(seen["answered"], {"status": 200, "text": "hello from the origin\n"})
        self.assertEqual(seen["ruled"], 418)
        self.assertEqual(seen["tested"], 1)
        self.assertEqual(seen["rules"], 3)
        self.assertEqual(seen["decided"], {"status": 203, "text": "decided"})
        self.assertEqual(seen["upstream"]["proxyUrl"], "http://user:***@127.0.0.1:9/")
        self.assertEqual(seen["options"], 1)
        self.assertGreaterEqual(seen["prints"]["totalExchangesWithTls"], 1)
        self.assertEqual(seen["body"]["text"], "hello from the origin\n")
        self.assertTrue(seen["body"]["complete"])
        self.assertRegex(seen["fingerprints"]["client"]["ja4Fingerprint"], "^t1[23]d")
        self.assertGreaterEqual(seen["search"], 1)
        self.assertEqual((seen["decoded"]["chain"], seen["decoded"]["value"]), (["json"], {"mocked": True}))
        self.assertTrue(seen["exported"].startswith("curl --globoff"), seen["exported"])
        self.assertEqual((seen["failure"]["isError"], seen["failure"]["structured"]), (True, None))
        self.assertIn("not found", seen["failure"]["text"])
        self.assertEqual(seen["unknown"]["code"], -32602)
        self.assertTrue(seen["badArguments"]["isError"])
        self.assertIn("exchange_id", seen["badArguments"]["text"])
        self.assertTrue(seen["caMatches"])
        self.assertTrue(seen["status"]["running"])
        self.assertFalse(seen["after"])
        self.assertIn("proxy://traffic/summary", seen["updates"])

    def test_first_generation_on_stdio(self):
        self.scenario("1", "legacy", "stdio")

    def test_first_generation_over_http(self):
        self.scenario("1", "legacy", "http")

    def test_second_generation_on_stdio(self):
        seen = self.scenario("2", "modern", "stdio")
        self.assertEqual(seen["negotiated"], "2026-07-28")

    def test_second_generation_over_http(self):
        seen = self.scenario("2", "modern", "http")
        self.assertEqual(seen["negotiated"], "2026-07-28")

    def test_second_generation_in_the_legacy_era_on_stdio(self):
        self.scenario("2", "legacy", "stdio")

    def test_second_generation_in_the_legacy_era_over_http(self):
        self.scenario("2", "legacy", "http")


if __name__ == "__main__":
    unittest.main()
