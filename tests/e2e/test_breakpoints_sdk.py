"""Breakpoints by the official MCP clients of both generations, on stdio and over HTTP, while curl waits for its answers."""
import json
import subprocess

from harness import E2E, HERE, PATIENCE, SLUICE, Unknown, clean_environment, needs, needs_node  # first: it knows where the fakes are
from fakes.json_lines import JsonLines


class Curl:
    """A curl that waits for its answer."""

    def __init__(self, test, path, *arguments, version="--http1.1"):
        self.process = subprocess.Popen(
            [needs("curl"), "-s", "-S", "-i", "--max-time", "40", *Unknown.expand([version]), "--suppress-connect-headers", "--noproxy", "",
             "--proxy", f"http://127.0.0.1:{test.port}", "--cacert", str(test.ca), *arguments, test.origin.url(path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
        test.addCleanup(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def waits(self):
        return self.process.poll() is None

    def answer(self):
        """(status, head, body)"""
        out, error = self.process.communicate(timeout=45 * PATIENCE)
        head, _, body = out.partition("\n\n")
        return (int(head.split()[1]), head.lower(), body) if head else (0, error, "")


class BreakpointsBySdk(E2E):
    origin_host = "0.0.0.0"

    def start(self, generation, era, transport, *more):
        environment = clean_environment(SLUICE=SLUICE, UPSTREAM_CA=self.fakes.pem,
                                        SLUICE_HOME_DIR=self.directory / f"home-{generation}-{era}",
                                        MCP_URL=self.serve.mcp_url, MCP_TOKEN=self.serve.token)
        self.program = JsonLines(needs_node(), HERE / "clients" / "breakpoints.mjs", generation, era, transport, *more,
                                 env=environment)
        self.addCleanup(self.program.close)
        started = self.program.wait(lambda line: "port" in line or "failed" in line, 40 * PATIENCE)
        self.assertNotIn("failed", started)
        self.port, self.ca = started["port"], self.directory / f"ca-{self.id()}.pem"
        self.ca.write_text(started["ca"])
        return started

    def wait(self, rule, key):
        """What the client says about this rule; it says `failed` too when an answer broke its output schema."""
        line = self.program.wait(lambda line: "failed" in line or (line.get("rule") == rule and key in line), 40 * PATIENCE)
        self.assertNotIn("failed", line)
        return line[key]

    def hold(self, path, *decisions, **handler):
        """A rule for that path, in force; the client decides as soon as it sees something held."""
        self.origin.routes[path] = self.origin.routes["/echo"]
        self.program.say(rule=path, matcher={"hostname": "localhost", "pathPattern": f"^{path}$"}, handler=handler,
                         decide=[dict(zip(("phase", "action", "edits"), decision)) for decision in decisions])
        return self.wait(path, "id")

    def requests(self, path):
        return [r for r in self.origin.requests if r.path == path]

    def scenario(self, generation, era, transport):
        self.start(generation, era, transport)
        for version in ("--http1.1", Unknown("--http2")):
            with self.subTest(curl=version):
                at = "/" + version.strip("-").replace(".", "")
                for part in (self.continue_with_edits, self.respond, self.drop, self.edit_an_answer,
                             self.both_sides_in_turn, self.several_at_once):
                    part(version, at)
        self.program.process.stdin.close()
        self.assertEqual(self.program.process.wait(20 * PATIENCE), 0)

    def continue_with_edits(self, version, at):
        self.origin.routes[at + "/elsewhere"] = self.origin.routes["/echo"]
        edits = {"method": "PUT", "url": self.origin.url(at + "/elsewhere?a=1"), "headers": {"X-Old": None, "X-New": "2"},
                 "body": "edited"}
        rule = self.hold(at + "/edited", ("request", "continue", edits))
        curl = Curl(self, at + "/edited", "-d", "as it came", "-H", "X-Old: 1", version=version)
        row = self.wait(at + "/edited", "held")
        self.assertEqual((row["ruleId"], row["method"], row["body"], row["headers"]["x-old"]),
                         (rule, "POST", "as it came", "1"))
        status, _, body = curl.answer()
        self.assertEqual((status, body), (200, "edited"))
        self.assertEqual(self.requests(at + "/edited"), [])
        [request] = self.requests(at + "/elsewhere")
        self.assertEqual((request.method, request.target, request.get("x-old"), request.get("x-new"), request.body),
                         ("PUT", at + "/elsewhere?a=1", None, "2", b"edited"))

    def respond(self, version, at):
        edits = {"status": 418, "headers": {"X-By": "the client"}, "body": '{"short":"and stout"}'}
        self.hold(at + "/answered", ("request", "respond", edits))
        status, head, body = Curl(self, at + "/answered", version=version).answer()
        self.assertEqual((status, body), (418, '{"short":"and stout"}'))
        self.assertIn("x-by: the client", head)
        self.assertEqual(self.requests(at + "/answered"), [])
        decided = self.wait(at + "/answered", "decided")
        self.assertEqual(decided["exchange_id"], self.wait(at + "/answered", "held")["exchange_id"])

    def drop(self, version, at):
        self.hold(at + "/dropped", ("request", "drop"))
        curl = Curl(self, at + "/dropped", version=version)
        self.assertEqual(curl.answer()[0], 0)
        self.assertIn(curl.process.returncode, (52, 56) if version == "--http1.1" else (16, 52, 56, 92))
        self.assertEqual(self.requests(at + "/dropped"), [])

    def edit_an_answer(self, version, at):
        edits = {"status": 203, "headers": {"Content-Type": "text/x-edited"}, "body": "another"}
        self.hold(at + "/answer", ("response", "continue", edits), holdOn="response")
        status, head, body = Curl(self, at + "/answer", "-d", "the origin's", version=version).answer()
        row = self.wait(at + "/answer", "held")
        self.assertEqual((row["phase"], row["statusCode"], row["body"]), ("response", 200, "the origin's"))
        self.assertEqual((status, body), (203, "another"))
        self.assertIn("content-type: text/x-edited", head)

    def both_sides_in_turn(self, version, at):
        self.hold(at + "/both", ("request", "continue", {"body": "one"}),
                  ("response", "respond", {"status": 500, "body": "two"}), holdOn="both")
        self.assertEqual(Curl(self, at + "/both", "-d", "none", version=version).answer()[::2], (500, "two"))
        self.assertEqual([r.body for r in self.requests(at + "/both")], [b"one"])

    def several_at_once(self, version, at):
        """What nobody decides keeps nobody else waiting."""
        self.hold(at + "/patient", ("request", None), timeoutMs=3_000_000)
        patient = Curl(self, at + "/patient", "-d", "patient", version=version)
        self.assertGreater(self.wait(at + "/patient", "held")["remainingMs"], 2_000_000)
        paths = [f"{at}/at-once-{i}" for i in range(4)]
        for path in paths:
            self.hold(path, ("request", "respond", {"body": path}))
        curls = [Curl(self, path, version=version) for path in paths]
        self.assertEqual([curl.answer()[::2] for curl in curls], [(200, path) for path in paths])
        self.assertTrue(patient.waits())
        self.assertEqual(self.requests(at + "/patient"), [])
        patient.end()

    def test_first_generation_on_stdio(self):
        self.scenario("1", "legacy", "stdio")

    def test_first_generation_over_http(self):
        self.scenario("1", "legacy", "http")

    def test_second_generation_on_stdio(self):
        self.scenario("2", "modern", "stdio")

    def test_second_generation_over_http(self):
        self.scenario("2", "modern", "http")

    def test_second_generation_in_the_legacy_era_on_stdio(self):
        self.scenario("2", "legacy", "stdio")

    def test_second_generation_in_the_legacy_era_over_http(self):
        self.scenario("2", "legacy", "http")

    def test_an_answer_that_breaks_its_output_schema_is_noticed(self):
        """The guard of the tests above: without these members the clients must refuse the answer."""
        for generation, era in (("1", "legacy"), ("2", "modern")):
            for member in ("held", "exchange_id"):
                with self.subTest(generation=generation, member=member):
                    self.start(generation, era, "stdio", member)
                    self.hold("/spoilt", ("request", "continue"))
                    Curl(self, "/spoilt")
                    failed = self.program.wait(lambda line: "failed" in line, 20 * PATIENCE)["failed"]
                    self.assertIn("does not match the tool's output schema", failed)
                    self.program.close()
