"""`sluice gateway --config FILE`: several servers behind one gateway, through the real program (docs/gateway.md; gate.md 9)."""
import json
import os
import signal
import time

from harness import SLUICE, clean_environment, poll, run  # first: it says where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from gateway_client import FAKE, Gateway
from test_gateway import ALLOW, GatewayCase, deny

SECRET = "very-secret-value-93"


class ConfigCase(GatewayCase):
    def server(self, name, policy=ALLOW, **more):
        """A fake server of the configuration; what it received is in <name>.received."""
        path = self.write(policy, self.directory / f"{name}.json")
        env = {"RECEIVED": str(self.directory / f"{name}.received"), **more.pop("env", {})}
        return {"command": FAKE[0], "args": FAKE[1:], "env": env, "policy": path.name, **more}

    def config(self, mode=0o600, **servers):
        path = self.directory / "servers.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        path.chmod(mode)
        return path

    def open(self, *flags, **servers):
        gateway = Gateway(self.home, None, *flags, config=self.config(**servers))
        self.addCleanup(gateway.stop)
        return gateway

    def received(self, name):
        path = self.directory / f"{name}.received"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def refused(self, path, *flags):
        done = run(SLUICE, "gateway", "--home", self.home, "--config", path, *flags, stdin=-3, env=clean_environment())
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(SECRET, done.stderr + done.stdout)
        return done.stderr


class Merged(ConfigCase):
    def test_two_programs_and_a_url_are_one_server(self):
        far = HttpMcpServer("")
        self.addCleanup(far.close)
        self.write(ALLOW, self.directory / "web.json")
        gateway = self.open(one=self.server("one"), two=self.server("two"),
                            web={"url": far.url, "headers": {"X-Key": SECRET}, "policy": "web.json"})
        self.assertEqual(gateway.initialized["serverInfo"]["name"], "sluice-gateway")
        self.assertEqual(gateway.initialized["capabilities"]["tools"], {"listChanged": True})
        self.assertNotIn("experimental", gateway.initialized["capabilities"])
        names = gateway.names()
        self.assertEqual({name.split("__")[0] for name in names}, {"one", "two", "web"})
        self.assertEqual(json.loads(gateway.text("web__echo", text="é")), {"text": "é"})
        self.assertEqual(far.of("tools/call")[0]["headers"]["X-Key"], SECRET)
        gateway.text("two__write_file")
        self.assertEqual([m["params"]["name"] for m in self.received("two") if m["method"] == "tools/call"], ["write_file"])
        self.assertFalse([m for m in self.received("one") if m["method"] == "tools/call"])
        self.assertEqual(gateway.end(), 0)
        self.assertNotIn(SECRET, "".join(gateway.errors))
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(SECRET.encode(), path.read_bytes(), path)

    def test_numbers_keep_their_spelling(self):
        gateway = self.open(one=self.server("one"))
        gateway.raw('{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{"name":"one__echo",'
                    '"arguments":{"b":[1.0,1e2,-0]}}}')
        line = gateway.answer_to("q")["@line"]
        self.assertIn('"spelled":[1.0,1.10,1e2,-0,12345678901234567890123]', line)
        self.assertIn('"b":[1.0,1e2,-0]', (self.directory / "one.received").read_text())

    def test_each_server_has_its_own_policy_by_the_tools_own_names(self):
        one = deny(tools={"echo": {"limits": [{"counter": "n", "window": "day", "max": 1}]}})
        two = {"version": "1", "default": "allow", "hide": ["echo"]}
        gateway = self.open(one=self.server("one", one), two=self.server("two", two))
        names = gateway.names()
        self.assertEqual([name for name in names if name.startswith("one__")], ["one__echo"])
        self.assertNotIn("two__echo", names)
        self.assertIn("two__write_file", names)
        self.assertFalse(gateway.call("one__echo")["isError"])
        self.denied(gateway, "one__echo")
        self.denied(gateway, "one__write_file")
        self.denied(gateway, "two__echo", 'Tool "two__echo" is hidden')
        self.denied(gateway, "one__write_file", 'Tool "one__write_file" is not permitted')
        told = [(line["server"], line["tool"], line["decision"]) for line in gateway.decisions()]
        self.assertEqual(told, [("one", "echo", "allow"), ("one", "echo", "deny"), ("one", "write_file", "deny"),
                                ("one", "write_file", "deny"), ("two", "echo", "deny")])
        gateway.end()
        done = run(SLUICE, "audit", "verify", "--home", self.home)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_one_policy_for_all_that_have_none(self):
        one = self.server("one")
        del one["policy"]
        path = self.write(deny(tools={"echo": {}}), self.directory / "all.json")
        gateway = self.open("--policy", path, one=one, two=self.server("two"))
        self.assertEqual([name for name in gateway.names() if name.startswith("one__")], ["one__echo"])
        self.assertIn("two__wait", gateway.names())

    def test_pins_are_each_servers_own(self):
        tools = self.directory / "tools.json"
        tools.write_text(json.dumps([{"name": "a", "description": "Reads.", "inputSchema": {}}]))
        servers = {"one": self.server("one", deny(tools={"a": {}}), env={"TOOLS": str(tools)}),
                   "two": self.server("two", deny(tools={"a": {}}), env={"TOOLS": str(tools)}, pins="off")}
        gateway = self.open(**servers)
        self.assertEqual(gateway.names(), ["one__a", "two__a"])
        gateway.end()
        tools.write_text(json.dumps([{"name": "a", "description": "Reads, and sends it away.", "inputSchema": {}}]))
        gateway = self.open(**servers)
        self.assertEqual(gateway.names(), ["two__a"])
        self.denied(gateway, "one__a")
        done = run(SLUICE, "gateway", "pins", "list", "--home", self.home, "--name", "one")
        self.assertEqual(done.stdout.split()[:3], ["changed", "one", "a"])

    def test_progress_and_cancellation_reach_the_one_server(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        gateway.request("tools/call", {"name": "two__progress", "_meta": {"progressToken": "mine"}})
        told = [m["params"] for m in gateway.seen if m.get("method") == "notifications/progress"]
        self.assertEqual([(m["progressToken"], m["progress"]) for m in told], [("mine", 1), ("mine", 2)])
        gateway.begin("tools/call", {"name": "two__wait"}, number="w")
        poll(lambda: "wait" in [m.get("params", {}).get("name") for m in self.received("two")], what="the call at the server")
        gateway.send({"method": "notifications/cancelled", "params": {"requestId": "w"}})
        poll(lambda: self.received("two")[-1]["method"] == "notifications/cancelled", what="the cancellation")
        self.assertNotIn("notifications/cancelled", [m["method"] for m in self.received("one")])

    def test_each_server_is_answered_what_it_asked(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        numbers = {name: gateway.begin("tools/call", {"name": f"{name}__ask_sampling"}) for name in ("one", "two")}
        asked = [gateway.next(lambda m: m.get("method") == "sampling/createMessage") for _ in numbers]
        self.assertEqual(len({m["id"] for m in asked}), 2)
        for m in reversed(asked):
            gateway.send({"id": m["id"], "result": {"number": m["id"]}})
        answers = [gateway.next(lambda m: m.get("id") in numbers.values() and "method" not in m) for _ in numbers]
        texts = {json.loads(m["result"]["content"][0]["text"])["number"] for m in answers}
        self.assertEqual(texts, {m["id"] for m in asked})

    def test_resources_of_one_uri_are_the_firsts(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        self.assertEqual(gateway.request("resources/list")["resources"], [{"uri": "a:b", "name": "b"}])
        gateway.wait_for_error("two: a:b is left out: one has it, too")
        gateway.request("resources/read", {"uri": "a:b"})
        self.assertIn("resources/read", [m["method"] for m in self.received("one")])
        self.assertNotIn("resources/read", [m["method"] for m in self.received("two")])

    def test_prompts_and_the_logs_level(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        gateway.request("prompts/get", {"name": "two__greet"})
        self.assertEqual(self.received("two")[-1]["params"]["name"], "greet")
        self.assertEqual(gateway.request("logging/setLevel", {"level": "info"}), {})
        for name in ("one", "two"):
            self.assertEqual(self.received(name)[-1]["method"], "logging/setLevel")


class Ends(ConfigCase):
    def test_a_server_that_dies_takes_only_its_tools_with_it(self):
        gateway = self.open(one=self.server("one", env={"MODE": "dies"}), two=self.server("two"))
        self.assertIn("one__echo", gateway.names())
        self.assertIn("has ended", gateway.ask("tools/call", {"name": "one__echo"})["error"]["message"])
        if not [m for m in gateway.seen if m.get("method") == "notifications/tools/list_changed"]:
            gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
        gateway.wait_for_error("one: has ended")
        self.assertEqual({name.split("__")[0] for name in gateway.names()}, {"two"})
        self.assertEqual(gateway.text("two__write_file"), "done")
        self.assertEqual(gateway.end(), 0)

    def test_a_server_that_cannot_start_is_said_and_the_others_go_on(self):
        missing = {**self.server("one"), "command": "/nonexistent/server"}
        gateway = self.open(one=missing, two=self.server("two"))
        gateway.wait_for_error("one: /nonexistent/server cannot be started")
        self.assertEqual({name.split("__")[0] for name in gateway.names()}, {"two"})

    def test_a_url_where_nobody_listens_is_said(self):
        self.write(ALLOW, self.directory / "web.json")
        gateway = self.open(web={"url": "http://127.0.0.1:9/mcp", "policy": "web.json"}, two=self.server("two"))
        gateway.wait_for_error("web: does not open")
        self.assertEqual(gateway.text("two__write_file"), "done")

    def test_a_signal_ends_all_of_them(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        os.kill(gateway.process.pid, signal.SIGTERM)
        self.assertEqual(gateway.process.wait(20), 128 + signal.SIGTERM)

    def test_a_server_that_stays_is_ended_with_its_client(self):
        gateway = self.open(one=self.server("one", env={"MODE": "stays"}), two=self.server("two"))
        before = time.monotonic()
        self.assertEqual(gateway.end(), 0)
        self.assertLess(time.monotonic() - before, 20)

    def test_an_edit_of_one_policy_counts_for_its_server(self):
        gateway = self.open(one=self.server("one"), two=self.server("two"))
        self.assertIn("one__echo", gateway.names())
        self.write({"version": "1", "default": "allow", "hide": ["echo"]}, self.directory / "one.json")
        gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
        names = gateway.names()
        self.assertNotIn("one__echo", names)
        self.assertIn("two__echo", names)


class TheFile(ConfigCase):
    def test_with_secrets_it_must_be_ours_alone(self):
        path = self.config(0o644, one=self.server("one", env={"KEY": SECRET}))
        self.assertIn("servers.json", self.refused(path))
        self.config(0o622, one={"command": "x", "policy": "one.json"})
        self.assertIn("servers.json", self.refused(path))

    def test_what_is_not_understood_is_refused_by_its_name(self):
        good = self.server("one", env={"KEY": SECRET})
        for change, words in (({"cwd": "/"}, "mcpServers.one.cwd: is not understood here"),
                              ({"url": "https://x.example/"}, "mcpServers.one: needs `command` or `url`"),
                              ({"args": [1]}, "mcpServers.one.args"), ({"env": {"A=B": SECRET}}, "mcpServers.one.env"),
                              ({"env": {"A": 1}}, "mcpServers.one.env"), ({"pins": "on"}, "mcpServers.one.pins"),
                              ({"headers": {"A": SECRET}}, "mcpServers.one.headers"), ({"type": "http"}, "mcpServers.one.type"),
                              ({"policy": ""}, "mcpServers.one.policy")):
            with self.subTest(words):
                self.assertIn(words, self.refused(self.config(one={**good, **change})))
        far = {"url": "https://x.example/", "policy": "one.json"}
        for change, words in (({"url": "http://x.example/"}, "mcpServers.one.url"), ({"args": []}, "mcpServers.one.args"),
                              ({"headers": {"Host": SECRET}}, "Host is the gateway's own"),
                              ({"headers": {"A": SECRET + "\r\nB: c"}}, "mcpServers.one.headers")):
            with self.subTest(words):
                self.assertIn(words, self.refused(self.config(one={**far, **change})))

    def test_names_are_checked(self):
        for name in ("One", "a_b", "", "sluice", "x" * 33, "a\u202eb"):
            with self.subTest(name):
                self.assertIn("a server's name takes", self.refused(self.config(**{name: self.server("one")})))

    def test_each_server_needs_a_policy_that_holds(self):
        one = self.server("one")
        del one["policy"]
        self.assertIn("one has no `policy`", self.refused(self.config(one=one)))
        self.assertIn("one: ", self.refused(self.config(one=self.server("one", {"version": "9"}))))

    def test_it_is_a_document_of_servers(self):
        path = self.directory / "servers.json"
        for text in ("{}", "[]", "not json", '{"mcpServers": {}}', '{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": {}}, "b": 1}',
                     '{"mcpServers": {"a": {}, "a": {}}}'):
            with self.subTest(text):
                path.write_text(text)
                path.chmod(0o600)
                self.assertIn("servers.json", self.refused(path))

    def test_flags_of_one_server_do_not_go_with_it(self):
        path = self.config(one=self.server("one"))
        for flags in (["--upstream", "https://x.example/"], ["--upstream-header-file", "x"], ["--insecure-upstream"], ["--", "cat"]):
            with self.subTest(flags):
                self.assertIn("--config", self.refused(path, *flags))
        for flags, words in ((["--grant", "x", "--policy", "x"], "no --policy"), (["--name", "A"], "--name takes"),
                             (["--name", "one"], "one is one of the servers"), (["--no-auth"], "--listen"),
                             (["--listen", "0.0.0.0:0", "--no-auth"], "on loopback alone"),
                             (["--listen", "127.0.0.1:0", "--grant", "x"], "a token says whose calls")):
            with self.subTest(flags):
                self.assertIn(words, self.refused(path, *flags))
