"""docs/policy.md as a new reader tries it: its policies are valid, its commands run as they stand, and its tables are whole."""
import json
import os
import re
import signal
import subprocess

from harness import HERE, PATIENCE, ROOT, SLUICE, free_port, needs_node, poll, run
from test_docs import Documented, blocks

PAGE = (ROOT / "docs" / "policy.md").read_text()


class Page(Documented):
    def setUp(self):
        super().setUp()
        self.policy = self.home / "policy.json"
        self.policy.write_text(blocks("policy.md", "json")[0])
        self.policy.chmod(0o600)

    def test_its_policies_are_valid(self):
        found = blocks("policy.md", "json")
        self.assertEqual(len(found), 6)
        for text in found:
            self.policy.write_text(text)
            self.bash("sluice policy check policy.json")

    def test_the_commands_before_it_is_in_force(self):
        said = [self.bash(line) for line in blocks("policy.md", "sh")[0].strip().split("\n")]
        self.assertIn("an absent argument passes", said[0])
        self.assertIn("At most 10 calls in each UTC minute, for each grant (starts).", said[1])
        self.assertTrue(said[2].startswith("decision  allow"))
        self.assertIn("/tools/proxy_start/limits/starts: counts 1 of 10", said[3])
        self.assertIn("message   At most 100 at a time.", said[4])
        self.assertIn("rule      (default deny)", said[5])

    def test_it_is_in_force_and_an_edit_changes_it(self):
        flags = blocks("policy.md", "sh")[1].strip().removeprefix("sluice serve ").split()
        serve = self.start(*[str(self.policy) if flag == "policy.json" else flag for flag in flags])
        lines = self.bash(blocks("policy.md", "sh")[2].replace("http://127.0.0.1:8790/mcp", serve.mcp_url)).replace("}{", "}\n{").splitlines()
        answers = [json.loads(line)["result"] for line in lines]
        for answer, text in zip(answers, re.findall(r"`(\[POLICY DENIED\] .*?)`", PAGE), strict=False):
            self.assertEqual(answer["content"][0]["text"], text)
            self.assertTrue(answer["isError"])
        self.assertIn("running", answers[2]["structuredContent"])
        self.bash("sluice call proxy_clear_traffic")
        audit = [json.loads(line) for path in (self.home / ".sluice" / "audit").glob("*.jsonl") for line in path.read_text().splitlines()]
        rules = [line["rule"] for line in audit if line["type"] == "decision" and line["decision"] == "deny"]
        self.assertEqual(rules, ["/tools/proxy_list_traffic/require/args.limit-lte", "(default deny)"])
        self.assertIn(f"({rules[0]}".strip("("), PAGE)
        self.policy.write_text(self.policy.read_text().replace('"proxy_status"', '"proxy_list_rules"'))
        poll(lambda: {t["name"] for t in serve.rpc("tools/list")["tools"]} >= {"proxy_list_rules"}, 5, "the edit")

    def test_its_tables_name_every_operator_and_every_ready_policy(self):
        for operator in ("eq neq lt lte gt gte in not_in exists regex contains path_within host_in cidr schema").split():
            self.assertRegex(PAGE, rf"\| .*`{operator}`.* \|")
        for path in (ROOT / "policies").glob("*.json"):
            self.assertIn(f"(../policies/{path.name})", PAGE)
        text = run(SLUICE, "serve", "--help").stdout
        for flag in re.findall(r"`(--(?:policy|no-reload))", PAGE):
            self.assertIn(flag, text)


class AnotherServer(Documented):
    """The walk-through in front of npm's own servers. `npx` finds what tests/e2e has installed, and goes nowhere."""
    SECTION = "In front of another server"

    def setUp(self):
        super().setUp()
        node = needs_node()
        self.npx = self.home / "bin" / "npx"
        self.npx.write_text(f"""#!/bin/sh
[ "$1" = -y ] || exit 9
program=mcp-${{2#@modelcontextprotocol/}}
shift 2
exec {node} {HERE}/node_modules/.bin/$program "$@"
""")
        self.npx.chmod(0o755)
        (self.home / "policies").symlink_to(ROOT / "policies")
        (self.home / "everything.json").write_text(blocks("policy.md", "json", self.SECTION)[0])
        self.scripts = blocks("policy.md", "sh", self.SECTION)
        self.ports = {"8791": str(free_port()), "8792": str(free_port())}

    def script(self, number):
        text = self.scripts[number]
        for documented, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{port}")
        return text

    def lines(self, number, before=""):
        """Each line by itself, as it is typed; a function first."""
        text = self.script(number)
        function = before
        if text.startswith("call() {"):
            head, text = text.split("\n}\n", 1)
            function = head + "\n}\n"
        return function, [self.bash(f"{function}{line}") for line in text.strip().split("\n")]

    def gateway(self, number):
        process = subprocess.Popen(["bash", "-c", "exec " + self.script(number).strip()], cwd=self.home, env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 30 * PATIENCE)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGTERM))
        while "http://" not in (line := process.stderr.readline()):
            self.assertTrue(line, "the gateway ended")

    def test_deny_limit_hide_approve_audit_and_simulate(self):
        _, scanned = self.lines(0)
        self.assertEqual(scanned[1], "scanned.json: valid\n")
        self.assertIn("get-env", json.loads((self.home / "scanned.json").read_text())["tools"])
        self.lines(1)
        self.gateway(2)
        call, _ = self.lines(3)
        _, said = self.lines(4)
        self.assertIn("allow -> deny  1 calls of echo", said[3])
        self.assertIn("undecidable: needs values, and the tool's schema", said[3])
        self.assertIn("`allow -> deny  1 calls of echo`", PAGE)
        self.assertIn('has no argument "more"', said[5])
        self.lines(5)
        self.gateway(6)
        self.lines(7, call.replace(re.search(r"127\.0\.0\.1:(\d+)", call)[1], self.ports["8792"]))
        self.assertEqual((self.home / "files" / "notes" / "today").read_text(), "hello\n")
