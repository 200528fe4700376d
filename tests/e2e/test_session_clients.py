"""The official TypeScript MCP clients of both generations record, read, replay and compare sessions."""
import json
import unittest

from harness import E2E, HERE, SLUICE, Serve, clean_environment, needs_node, run


class SessionClients(E2E):
    def scenario(self, generation, era, transport):
        home = self.directory / f"home-{generation}-{era}-{transport}"
        environment = clean_environment(SLUICE=SLUICE, SLUICE_HOME_DIR=home, UPSTREAM_CA=self.fakes.pem,
                                        ORIGIN=self.origin.url("").rstrip("/"))
        if transport == "http":
            serve = Serve("--upstream-ca", self.fakes.pem, home=home, directory=self.directory)
            self.addCleanup(serve.stop)
            environment.update(MCP_URL=serve.mcp_url, MCP_TOKEN=serve.token)
        done = run(needs_node(), HERE / "clients" / "sessions.mjs", generation, era, transport, env=environment, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        seen = json.loads(done.stdout.strip().splitlines()[-1])
        self.assertEqual((seen["listed"], seen["left"], seen["rows"], seen["found"]), (2, 0, 3, 1))
        self.assertEqual((seen["session"]["exchangeCount"], seen["session"]["name"]), (3, "by an official client"))
        self.assertEqual(seen["exchange"]["record"]["requestBodyText"], "posted")
        self.assertEqual(seen["handshakes"]["withTlsMetadata"], 3)
        self.assertEqual((seen["plan"]["executedCount"], seen["plan"]["skippedCount"]), (0, 1))
        self.assertEqual((seen["replayed"]["successCount"], seen["replayed"]["sameCount"]), (2, 2))
        self.assertFalse(seen["verified"]["drift"])
        self.assertEqual([seen["diff"][name] for name in ("same", "different", "onlyA", "onlyB")], [2, 0, 1, 1])
        self.assertFalse(seen["pair"]["same"])
        self.assertEqual((seen["integrity"]["good"], seen["recovered"], seen["sockets"]), (True, 1, 0))
        self.assertEqual((seen["files"], seen["steps"]), ({"exported": 3, "imported": 3}, 3))
        self.assertEqual((len(seen["templates"]), seen["completed"], seen["summary"]), (3, 1, 3))
        self.assertEqual(seen["failure"], {"isError": True, "structured": None})

    def test_first_generation_on_stdio(self):
        self.scenario("1", "legacy", "stdio")

    def test_second_generation_over_http(self):
        self.scenario("2", "modern", "http")


if __name__ == "__main__":
    unittest.main()
