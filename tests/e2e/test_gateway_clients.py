"""`sluice gateway` between the official clients and the official servers: an allow-all gateway changes nothing that a client
can see, and deny, limit, hide and audit work on servers that nobody here wrote (docs/gateway.md)."""
import json
import pathlib
import socket
import subprocess
import time

import test_mcp_clients
from gateway_client import Gateway
from gateway_http_client import HttpGateway
from harness import E2E, HERE, SLUICE, THE_TOOLS, Serve, clean_environment, free_port, needs_node, poll, run, sluice
from test_gateway import ALLOW, GatewayCase, deny

SERVERS = HERE / "node_modules" / "@modelcontextprotocol"


def wait_for_port(port):
    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    poll(answers, 20, "the server's port")


class ServerCase(GatewayCase):
    def setUp(self):
        super().setUp()
        self.node = needs_node()
        if not (SERVERS / "server-everything").is_dir():
            self.skipTest("tests/e2e/node_modules has no server-everything (npm ci)")

    def server(self, name, *arguments):
        return [self.node, SERVERS / f"server-{name}" / "dist" / "index.js", *arguments]

    def open(self, document, name, *arguments):
        return self.start(document, command=self.server(name, *arguments))


class Transparent(ServerCase):
    def seen(self, generation, mode, gateway):
        command = self.server("everything", "stdio")
        if gateway:
            # A client that has both eras falls back to the server's.
            flags = ["--no-bridge"] if mode == "auto" else []
            command = [SLUICE, "gateway", "--home", self.home, "--policy", self.write(ALLOW), *flags, "--", *command]
        done = run(self.node, HERE / "clients" / "gateway.mjs", generation, mode, *command, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def scenario(self, generation, mode):
        directly, through = self.seen(generation, mode, False), self.seen(generation, mode, True)
        for part, value in directly.items():
            with self.subTest(part):
                self.assertEqual(json.dumps(through[part]), json.dumps(value))
        self.assertTrue(through["cancelled"])
        self.assertEqual(len(through["many"]), 50)
        self.assertIn("say it", json.dumps(through["calls"]["sampling"]))
        self.assertIn("Ada", json.dumps(through["calls"]["elicitation"]))
        self.assertEqual(sluice("audit", "verify", home=self.home).returncode, 0)

    def test_first_generation(self):
        self.scenario("1", "legacy")

    def test_second_generation(self):
        self.scenario("2", "legacy")

    def test_second_generation_that_tries_the_modern_era_first(self):
        self.scenario("2", "auto")


class TransparentOverHttp(ServerCase):
    """The same server over HTTP, behind `--upstream`: what a client sees on standard input and output is the same."""

    def scenario(self, transport, path, generation, mode):
        port = free_port()
        server = subprocess.Popen([str(a) for a in self.server("everything", transport)], env=clean_environment(PORT=port),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for_port(port)
        directly = self.seen(generation, mode, self.server("everything", "stdio"))
        flags = ["--no-bridge"] if mode == "auto" else []  # a client that has both eras falls back to the server's
        through = self.seen(generation, mode, [SLUICE, "gateway", "--home", self.home, "--policy", self.write(ALLOW), *flags,
                                               "--upstream", f"http://127.0.0.1:{port}{path}"])
        directly.pop("notices")  # what it says before anybody can have opened its stream is heard by nobody over HTTP
        for part, value in directly.items():
            with self.subTest(part):
                self.assertEqual(json.dumps(through[part]), json.dumps(value))
        self.assertIn("say it", json.dumps(through["calls"]["sampling"]))

    def seen(self, generation, mode, command):
        done = run(self.node, HERE / "clients" / "gateway.mjs", generation, mode, *command, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def test_streamable_http_with_the_first_generation(self):
        self.scenario("streamableHttp", "/mcp", "1", "legacy")

    def test_streamable_http_with_the_second_generation_that_tries_the_modern_era_first(self):
        self.scenario("streamableHttp", "/mcp", "2", "auto")

    def test_http_and_sse_with_the_first_generation(self):
        self.scenario("sse", "/sse", "1", "legacy")


class Inspector(ServerCase):
    """The MCP inspector's command line: a server of its configuration that is reached through the gate is that server."""
    CALLS = (["tools/list"], ["tools/call", "--tool-name", "echo", "--tool-arg", "message=hi"], ["resources/list"],
             ["resources/templates/list"], ["prompts/list"], ["prompts/get", "--prompt-name", "simple-prompt"])

    def inspect(self, server, *call):
        done = run(self.node, HERE / "node_modules" / ".bin" / "mcp-inspector", "--cli", "--config", self.directory / "mcp.json",
                   "--server", server, "--method", *call, seconds=60,
                   env=clean_environment(HOME=self.directory, MCP_INSPECTOR_SECRET_STORE="memory"))
        return done.returncode, done.stdout

    def configure(self, document, **servers):
        gate = [SLUICE, "gateway", "--home", self.home, "--policy", self.write(document), "--",
                *self.server("everything", "stdio")]
        plain = self.server("everything", "stdio")
        as_entry = {name: {"command": str(line[0]), "args": [str(a) for a in line[1:]]}
                    for name, line in (("gate", gate), ("plain", plain))}
        (self.directory / "mcp.json").write_text(json.dumps({"mcpServers": as_entry | servers}))

    def test_everything_is_as_without_the_gate(self):
        self.configure(ALLOW)
        for call in self.CALLS:
            with self.subTest(call[0]):
                code, directly = self.inspect("plain", *call)
                self.assertEqual((code, directly[:1]), (0, "{"))
                self.assertEqual(self.inspect("gate", *call), (0, directly))
        self.assertEqual(sluice("audit", "verify", home=self.home).returncode, 0)

    def test_what_is_denied_is_said_to_be(self):
        rule = {"conditions": [{"path": "args.message", "op": "eq", "value": "ok"}], "on_deny": "only ok"}
        self.configure(deny(tools={"echo": {"require": [rule]}}))
        _, listed = self.inspect("gate", "tools/list")
        self.assertEqual([tool["name"] for tool in json.loads(listed)["tools"]], ["echo"])
        _, answer = self.inspect("gate", *self.CALLS[1])
        self.assertIn("[POLICY DENIED] only ok", answer)

    def test_over_http_with_a_grants_token(self):
        gateway = HttpGateway(self.home, self.write(ALLOW), command=self.server("everything", "stdio"))
        self.addCleanup(gateway.stop)
        self.configure(ALLOW, http={"type": "streamable-http", "url": f"http://127.0.0.1:{gateway.port}/mcp",
                                    "headers": {"Authorization": f"Bearer {gateway.token}"}})
        _, directly = self.inspect("plain", "tools/list")
        self.assertEqual(self.inspect("http", "tools/list"), (0, directly))


class TransparentToHttpClients(ServerCase):
    """The same server as a program behind `--listen`: clients over HTTP see what those on standard input and output see."""

    def scenario(self, generation, mode, upstream=False):
        more = {"command": self.server("everything", "stdio")}
        if upstream:
            port = free_port()
            server = subprocess.Popen([str(a) for a in self.server("everything", "streamableHttp")], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env=clean_environment(PORT=port))
            self.addCleanup(server.wait)
            self.addCleanup(server.kill)
            wait_for_port(port)
            more = {"upstream": f"http://127.0.0.1:{port}/mcp"}
        flags = ["--no-bridge"] if mode == "auto" else []  # a client that has both eras falls back to the server's
        gateway = HttpGateway(self.home, self.write(ALLOW), *flags, **more)
        self.addCleanup(gateway.stop)
        directly = self.seen(generation, mode, self.server("everything", "stdio"))
        through = self.seen(generation, mode, [gateway.url], TOKEN=gateway.token)
        directly.pop("notices")  # what comes before the client has opened its stream may be told on it or not
        for part, value in directly.items():
            with self.subTest(part):
                self.assertEqual(json.dumps(through[part]), json.dumps(value))
        self.assertIn("say it", json.dumps(through["calls"]["sampling"]))

    def seen(self, generation, mode, command, **environment):
        done = run(self.node, HERE / "clients" / "gateway.mjs", generation, mode, *command, seconds=90,
                   env=clean_environment(**environment))
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def test_first_generation(self):
        self.scenario("1", "legacy")

    def test_second_generation(self):
        self.scenario("2", "legacy")

    def test_second_generation_that_tries_the_modern_era_first(self):
        self.scenario("2", "auto")

    def test_first_generation_with_http_on_both_sides(self):
        self.scenario("1", "legacy", upstream=True)


class OwnServer(E2E):
    """Sluice's own server behind the gate, which speaks both eras."""

    def scenario(self, generation, era):
        node = needs_node()
        policy = self.directory / "policy.json"
        policy.write_text(json.dumps(ALLOW))
        policy.chmod(0o600)
        home = self.directory / "gate"
        environment = clean_environment(
            SLUICE=SLUICE, SLUICE_HOME_DIR=self.directory / "home", UPSTREAM_CA=self.fakes.pem,
            ORIGIN=self.origin.url("").rstrip("/"), GATEWAY=json.dumps(["--home", str(home), "--policy", str(policy)]))
        done = run(node, HERE / "clients" / "mcp.mjs", generation, era, "stdio", env=environment, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        test_mcp_clients.McpClients.check(self, json.loads(done.stdout.strip().splitlines()[-1]))
        decided = [json.loads(line) for path in home.glob("audit/*.jsonl") for line in path.read_text().splitlines()]
        self.assertTrue(set(THE_TOOLS) <= {line.get("tool") for line in decided if line["type"] == "decision"})

    def over_http(self, generation, era, to_serve=False):
        """Clients over HTTP; `to_serve`: the server behind the gate, too, is one over HTTP."""
        node = needs_node()
        policy = self.directory / "policy.json"
        policy.write_text(json.dumps(ALLOW))
        policy.chmod(0o600)
        home = self.directory / f"gate-{generation}-{era}-{to_serve}"
        if to_serve:
            serve = Serve("--upstream-ca", self.fakes.pem, "--no-proxy", directory=self.directory, home=home / "served")
            self.addCleanup(serve.stop)
            gateway = HttpGateway(home / "gate", policy, upstream=serve.mcp_url, env={"SLUICE_UPSTREAM_TOKEN": serve.token})
        else:
            command = [SLUICE, "mcp", "--home", home / "served", "--upstream-ca", self.fakes.pem]
            gateway = HttpGateway(home / "gate", policy, command=command)
        self.addCleanup(gateway.stop)
        environment = clean_environment(ORIGIN=self.origin.url("").rstrip("/"), MCP_URL=gateway.url, MCP_TOKEN=gateway.token)
        done = run(node, HERE / "clients" / "mcp.mjs", generation, era, "http", env=environment, seconds=90)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        test_mcp_clients.McpClients.check(self, json.loads(done.stdout.strip().splitlines()[-1]))

    def test_every_tool_over_http_in_the_modern_era(self):
        self.over_http("2", "modern")

    def test_every_tool_over_http_in_the_legacy_era(self):
        self.over_http("1", "legacy")

    def test_every_tool_with_http_on_both_sides_in_the_modern_era(self):
        self.over_http("2", "modern", to_serve=True)

    def test_every_tool_with_http_on_both_sides_in_the_legacy_era(self):
        self.over_http("2", "legacy", to_serve=True)

    def test_every_tool_in_the_modern_era(self):
        self.scenario("2", "modern")

    def test_every_tool_in_the_legacy_era(self):
        self.scenario("1", "legacy")


class Everything(ServerCase):
    def test_a_policy_denies_hides_limits_and_writes_down(self):
        limit = {"limits": [{"counter": "sums", "window": "day", "max": 2, "scope": "grant"}]}
        gateway = self.open(deny(hide=["get-env"], tools={
            "echo": {"deny_if": [{"conditions": [{"path": "args.message", "op": "contains", "value": "secret"}],
                                  "on_deny": "no secrets"}]},
            "get-sum": limit}), "everything", "stdio")
        self.assertEqual(gateway.names(), ["echo", "get-sum"])
        self.assertEqual(gateway.text("echo", message="hi"), "Echo: hi")
        self.denied(gateway, "echo", "no secrets", message="a secret")
        self.denied(gateway, "get-env", 'Tool "get-env" is hidden by policy')
        for _ in range(2):
            gateway.call("get-sum", a=1, b=2)
        self.denied(gateway, "get-sum", a=1, b=2)
        self.assertEqual([(line["tool"], line["decision"]) for line in gateway.decisions()],
                         [("echo", "allow"), ("echo", "deny"), ("get-env", "deny"), ("get-sum", "allow"), ("get-sum", "allow"),
                          ("get-sum", "deny")])
        self.assertEqual(gateway.ask("prompts/list")["error"]["code"], -32601)

    def test_what_is_masked_in_the_structured_content_is_masked_in_the_text(self):
        gateway = self.open({**ALLOW, "tools": {"get-structured-content": {"result": {"redact": [
            {"path": "$..temperature"}, {"path": "$..humidity"}]}}}}, "everything", "stdio")
        result = gateway.call("get-structured-content", location="New York")
        # Its schema says that both are numbers.
        self.assertTrue(result["isError"])
        self.assertNotIn("structuredContent", result)
        shown = json.loads(result["content"][0]["text"])
        self.assertEqual((shown["temperature"], shown["humidity"]), ("[redacted by policy]", "[redacted by policy]"))
        self.assertIn("conditions", shown)


class Filesystem(ServerCase):
    def test_a_policy_lets_an_agent_read_one_folder_and_write_nothing(self):
        root = self.directory / "files"
        (root / "open").mkdir(parents=True)
        (root / "open" / "a.txt").write_text("may be read")
        (root / "b.txt").write_text("may not")
        inside = {"require": [{"conditions": [{"path": "args.path", "op": "path_within", "value": [str(root / "open")]}],
                               "on_deny": "only what is open"}]}
        gateway = self.open(deny(args="closed", tools={"read_text_file": inside, "list_directory": inside}), "filesystem", root)
        self.assertEqual(sorted(gateway.names()), ["list_directory", "read_text_file"])
        self.assertEqual(gateway.text("read_text_file", path=str(root / "open" / "a.txt")), "may be read")
        for path in (root / "b.txt", root / "open" / ".." / "b.txt"):
            self.denied(gateway, "read_text_file", "only what is open", path=str(path))
        self.denied(gateway, "write_file", path=str(root / "open" / "new.txt"), content="x")
        self.assertFalse((root / "open" / "new.txt").exists())

    def test_roots_of_the_client_reach_the_server(self):
        one, two = self.directory / "one", self.directory / "two"
        one.mkdir()
        two.mkdir()
        gateway = Gateway(self.home, self.write(ALLOW), command=self.server("filesystem", one),
                          capabilities={"roots": {"listChanged": True}})
        self.addCleanup(gateway.stop)
        asked = gateway.next(lambda m: m.get("method") == "roots/list")
        gateway.send({"id": asked["id"], "result": {"roots": [{"uri": pathlib.Path(two).as_uri(), "name": "two"}]}})
        gateway.send({"method": "notifications/roots/list_changed"})
        asked = gateway.next(lambda m: m.get("method") == "roots/list")
        gateway.send({"id": asked["id"], "result": {"roots": [{"uri": pathlib.Path(two).as_uri(), "name": "two"}]}})
        # The server looks at the new roots when it likes.
        deadline = time.monotonic() + 20
        while "two" not in (seen := gateway.text("list_allowed_directories")) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertIn("two", seen)
