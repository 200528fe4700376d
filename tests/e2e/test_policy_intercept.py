"""Intercept's YAML wherever a policy may stand, `sluice policy convert`, and docs/intercept.md as a reader tries it (gate.md 11)."""
import json
import unittest

from gateway_client import Gateway
from harness import SLUICE, Serve, ToolError, poll, run
from test_docs import Documented, blocks
from test_gateway import GatewayCase
from test_grants import Admin
from test_policy import Files
from test_policy_gate import Gate, deny

YAML = """version: "1"
default: deny
tools:
  proxy_status: {}
  proxy_list_traffic:
    rules:
      - name: "not all at once"
        conditions:
          - {path: args.limit, op: lte, value: 100}
  proxy_list_rules:
    rules:
      - {name: seldom, rate_limit: 2/day}
  "*":
    rules:
      - {name: every call, rate_limit: 50/day}
"""


class Page(Documented):
    def test_its_commands_run_as_they_stand(self):
        (self.home / "shop.yaml").write_text(blocks("intercept.md", "yaml")[0])
        (self.home / "shop.yaml").chmod(0o600)
        lines = blocks("intercept.md", "sh")[0].strip().split("\n")
        said = [self.bash(line) for line in lines]
        self.assertIn("eq compares types here", said[0])
        self.assertTrue(said[1].startswith("decision  allow"))
        self.assertIn("At most 5.00 at once.", said[2])
        self.assertIn('Denied by rule "no test runs"', said[3])


class Convert(Files):
    def test_there_and_back_is_the_same_policy(self):
        path = self.file(YAML, "p.yaml")
        there = self.policy("convert", path)
        self.assertEqual(json.loads(there.stdout)["all_tools"]["limits"][0]["max"], 50)
        back = self.policy("convert", self.file(there.stdout, "p.json"))
        self.assertTrue(back.stdout.startswith('version: "1"\n'))
        self.assertEqual(self.policy("convert", self.file(back.stdout, "q.yaml")).stdout, there.stdout)
        self.assertEqual(self.policy("convert", path, "--to", "yaml").stdout, back.stdout)
        self.assertEqual(self.policy("convert", self.file(there.stdout, "r.json"), "--to", "json").stdout, there.stdout)

    def test_what_cannot_be_said_is_refused_by_name_and_nothing_is_written(self):
        done = self.policy("convert", self.file({"version": "1", "default": "deny", "mode": "monitor", "tools": {"risk:read": {}}}), code=1)
        self.assertEqual(done.stdout, "")
        self.assertIn("/mode: mode cannot be said in Intercept's YAML", done.stderr)
        self.assertIn("a class of tools cannot be said", done.stderr)
        done = self.policy("convert", self.file(YAML.replace("default: deny", "defualt: deny"), "p.yaml"), code=1)
        self.assertIn('p.yaml:2: /defualt: unknown key "defualt", did you mean "default"?', done.stderr)
        self.policy("convert", self.file(YAML, "p.yaml"), "--to", "toml", code=2)
        self.assertEqual(self.policy("convert", code=2).stdout, "")
        self.assertIn("convert", run(SLUICE, "policy", "--help").stdout)

    def test_every_command_takes_it(self):
        path = self.file(YAML, "p.yaml")
        self.assertIn("valid", self.policy("check", path).stdout)
        self.assertIn("At most 2 calls in each UTC day", self.policy("explain", path).stdout)
        self.assertEqual(self.decide(path, "proxy_list_traffic", '{"limit": 100}')["decision"], "allow")
        self.assertEqual(self.decide(path, "proxy_list_traffic", '{"limit": 101}', code=1)["rule"], "/tools/proxy_list_traffic/require/args.limit-lte")
        self.assertEqual(self.decide(path, "proxy_stop", code=1)["rule"], "(default deny)")

    def test_hostile_documents_get_a_sentence_and_never_a_crash(self):
        laughs = "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20))
        deep = "".join(" " * i + "a:\n" for i in range(900))
        cases = [laughs, deep, "- " * 50_000, "? " * 50_000, "a: " + "[" * 50_000, "x" * 1_000_000, "'" + "x" * 1000, "a: !!python/object:os.system x", "--- a\n--- b\n",
                 "%YAML 9.9\n---\na: b\n", "version: \"1\"\ndefault: deny\n<<: {hide: []}\n", "a: \x1b[31m\n", 'version: "1"\ndefault: "\\e[31m"\n',
                 "version: \"1\"\ndefault: deny\ntools:\n  t:\n    rules: [{name: x, conditions: [{path: args.a, op: regex, value: \"((a{999}){999}){999}\"}]}]\n"]
        for number, text in enumerate(cases):
            with self.subTest(text[:60]):
                done = self.policy("check", self.file(text, f"{number}.yaml"), code=1)
                self.assertTrue(done.stderr.strip())
                self.assertLess(len(done.stderr), 4000)
                self.assertNotIn("\x1b", done.stderr)


class InForce(Gate):
    def test_serve_decides_by_it_and_takes_edits_of_either_format(self):
        serve = self.start(YAML)
        serve.call("proxy_status")
        self.denied(serve, "proxy_list_traffic", r'^\[POLICY DENIED\] Denied by rule "not all at once"', limit=101)
        serve.call("proxy_list_traffic", limit=100)
        for _ in range(2):
            serve.call("proxy_list_rules")
        self.denied(serve, "proxy_list_rules", "Rate limit exceeded for _rate_day")
        self.write(YAML.replace("value: 100", "vlaue: 100"))
        poll(lambda: 'did you mean "value"' in serve.output(), 5, "the edit is refused")
        self.denied(serve, "proxy_list_traffic", limit=101)
        self.write(deny(proxy_list_traffic={}))

        def taken():
            try:
                return serve.call("proxy_list_traffic", limit=101) is not None
            except ToolError:
                return False
        poll(taken, 5, "the JSON is in force")
        self.assertEqual({t["name"] for t in serve.rpc("tools/list")["tools"]}, {"proxy_list_traffic"})

    def test_a_file_that_is_wrong_stops_the_start(self):
        self.refused(YAML.replace("default: deny\n", ""), "needs \"default\": write `default: allow`")


class Granted(Admin):
    def test_a_grant_may_have_one(self):
        self.make_admin()
        path = self.directory / "agent.yaml"
        path.write_text(YAML)
        path.chmod(0o600)
        token = json.loads(self.as_admin("grant", "create", "agent", "--policy", path).stdout)["token"]
        serve = Serve("--no-proxy", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        serve.ready["token"] = token
        serve.call("proxy_status")
        with self.assertRaisesRegex(ToolError, "not all at once"):
            serve.call("proxy_list_traffic", limit=101)
        path.write_text(YAML.replace("tools:", "tolls:"))
        with self.assertRaises(AssertionError):
            self.as_admin("grant", "create", "other", "--policy", path)


class BehindTheGateway(GatewayCase):
    def test_another_servers_tools_are_governed_by_it(self):
        path = self.directory / "policy.yaml"
        path.write_text(blocks("intercept.md", "yaml")[0].replace("create_charge", "echo").replace("delete_customer", "delete_file"))
        path.chmod(0o600)
        gateway = Gateway(self.home, path)
        self.addCleanup(gateway.stop)
        self.assertFalse(gateway.call("echo", amount=500, live=True)["isError"])
        self.denied(gateway, "echo", "At most 5.00 at once.", amount=501, live=True)
        self.denied(gateway, "echo", 'Denied by rule "no test runs"', amount=5, live="true")
        self.assertFalse(gateway.call("echo", amount=500, live=True)["isError"])
        self.denied(gateway, "echo", "Rate limit exceeded for spent", amount=1, live=True)
        self.denied(gateway, "delete_file", 'Denied by rule "no deleting"')
        self.assertFalse(gateway.call("write_file")["isError"])


if __name__ == "__main__":
    unittest.main()
