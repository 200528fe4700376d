"""`--record-calls`, `sluice policy simulate --calls` and `sluice policy learn`, and docs/recorded-calls.md as a reader tries it
(gate.md 8)."""
import base64
import json
import stat
import unittest

from harness import SLUICE, ToolError, run, sluice
from test_audit import Audited
from gateway_client import FAKE, Gateway
from test_docs import Documented, blocks
from test_gateway import ALLOW, GatewayCase
from test_policy_gate import deny, limit


class Page(Documented):
    def test_its_commands_run_as_they_stand(self):
        start, calls, learn = blocks("recorded-calls.md", "sh")
        flags = start.strip().removeprefix("sluice serve ").replace("~", str(self.home)).split()
        serve = self.start(*flags)
        answers = self.bash(calls.replace("http://127.0.0.1:8790/mcp", serve.mcp_url)).replace("}{", "}\n{").splitlines()
        self.assertEqual([json.loads(line)["result"].get("isError", False) for line in answers], [False] * 4)
        said = [self.bash(line) for line in learn.strip().split("\n")]
        self.assertNotIn("warning", said[1])
        self.assertIn("4 calls as they were decided, 0 otherwise, 0 undecidable", said[2])
        self.assertIn("limit is not as it was", said[3])
        self.assertIn("(default deny)", said[4])

    def test_its_flags_exist(self):
        text = run(SLUICE, "serve", "--help").stdout
        for flag in ("--record-calls", "--record-calls-max-mb", "--record-calls-days", "--calls-key"):
            self.assertIn(flag, text)
            self.assertIn(flag, run(SLUICE, "gateway", "--help").stdout)


class Recorded(Audited):
    def setUp(self):
        super().setUp()
        self.calls = self.directory / "calls"

    def simulate(self, document, *flags, code=0):
        other = self.directory / "other.json"
        self.write(document, other)
        done = sluice("policy", "simulate", other, "--calls", self.calls, "--json", *flags, home=self.home)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def learn(self, *flags, code=0):
        done = sluice("policy", "learn", *(flags or ("--calls", self.calls)), home=self.home)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done


class Simulated(Recorded):
    def test_values_decide_exactly(self):
        serve = self.start(deny(proxy_list_traffic={}, proxy_status={}), "--record-calls", self.calls)
        for most in (5, 50, 500):
            serve.call("proxy_list_traffic", limit=most)
        for _ in range(3):
            serve.call("proxy_status")
        self.denied(serve, "proxy_list_rules")
        sluice("call", "proxy_status", home=self.home, check=0)  # the owner's is not kept
        found = self.simulate(deny(proxy_status=limit(2), proxy_list_rules={}, proxy_list_traffic={"require": [
            {"conditions": [{"path": "args.limit", "op": "lte", "value": 50}]}]}))
        self.assertEqual({(d["tool"], d["recorded"], d["decision"], d["rule"], d["calls"]) for d in found["differences"]},
                         {("proxy_list_traffic", "allow", "deny", "/tools/proxy_list_traffic/require/args.limit-lte", 1),
                          ("proxy_status", "allow", "deny", "/tools/proxy_status/limits/calls", 1),
                          ("proxy_list_rules", "deny", "allow", "", 1)})
        self.assertEqual((found["same"], found["undecidable"]), (4, []))

    def test_nothing_stands_in_clear_and_nobody_else_looks(self):
        serve = self.start(deny(proxy_list_traffic={}), "--record-calls", self.calls)
        serve.call("proxy_list_traffic", url_filter="the-secret-filter")
        self.assertEqual(stat.S_IMODE(self.calls.stat().st_mode), 0o700)
        [path] = self.calls.glob("*.calls")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        text = path.read_bytes() + b"".join(base64.b64decode(line) for line in path.read_bytes().splitlines()[1:])
        self.assertNotIn(b"the-secret-filter", text)
        key = self.home / "calls.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        serve.stop()
        kept, other = key.read_text(), self.directory / "other.key"
        key.write_text("ab" * 32)
        done = sluice("policy", "learn", "--calls", self.calls, home=self.home, check=1)
        self.assertIn("sealed with another key", done.stderr)
        other.write_text(kept)
        other.chmod(0o644)
        self.assertIn("can be read by others", sluice("policy", "learn", "--calls", self.calls, "--calls-key", other, home=self.home, check=1).stderr)
        other.chmod(0o600)
        self.learn("--calls", self.calls, "--calls-key", other)
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], lines[1][:-8] + "AAAAAAA="]) + "\n")
        self.assertIn(f"{path}:2: ", sluice("policy", "learn", "--calls", self.calls, "--calls-key", other, home=self.home, check=1).stderr)

    def test_a_place_where_tools_read_or_others_look_is_refused(self):
        for place, flags, words in ((self.directory / "root" / "calls", ("--allow-root", self.directory / "root"), "where tools read"),
                                    (self.home / "sessions" / "calls", (), "where tools read"), (self.directory / "open", (), "others can look into")):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o755)
            done = sluice("serve", "--no-proxy", "--control-port", 0, "--record-calls", place, *flags, home=self.home)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(words, done.stderr)

    def test_wrong_usage_and_empty_places_are_said(self):
        path = self.directory / "p.json"
        self.write(deny(), path)
        self.assertEqual(sluice("policy", "simulate", path, "--calls", "a", "--audit", "b", home=self.home).returncode, 2)
        self.assertEqual(sluice("policy", "learn", home=self.home).returncode, 2)
        self.assertEqual(sluice("policy", "learn", path, "--calls", "a", home=self.home).returncode, 2)
        self.calls.mkdir()
        self.start(deny(), "--record-calls", self.directory / "elsewhere").stop()
        self.assertIn("holds no recorded calls", sluice("policy", "learn", "--calls", self.calls, home=self.home, check=1).stderr)


class Learned(Recorded):
    def test_the_learned_policy_lets_pass_what_ran_and_nothing_else(self):
        serve = self.start(deny(**{"risk:read": {}, "risk:write": {}, "proxy_add_rule": {}}), "--record-calls", self.calls)
        for number in range(4):
            serve.call("proxy_add_rule", description=f"r{number}", matcher={"urlPattern": f"https://api.example.com/{number}"},
                       handler={"type": "drop"})
            serve.call("proxy_list_traffic", limit=10 + number, offset=number % 2)
        serve.call("proxy_list_rules")
        with self.assertRaises(ToolError):
            serve.call("proxy_clear_traffic")
        done = self.learn()
        self.assertIn("proxy_list_traffic: args.limit in 4 of 4 calls: numbers from 10 to 13", done.stderr)
        self.assertIn("1 calls were not allowed, and are not learned from", done.stderr)
        learned = json.loads(done.stdout)
        self.assertEqual(set(learned["tools"]), {"proxy_add_rule", "proxy_list_traffic", "proxy_list_rules"})
        found = self.simulate(learned)
        self.assertEqual((found["same"], found["different"], found["undecidable"]), (10, 0, []))
        path = self.directory / "learned.json"
        self.write(learned, path)
        self.assertNotIn("warning", sluice("policy", "check", path, check=0).stdout)
        serve.stop()
        serve = self.start(learned)
        serve.call("proxy_list_traffic", limit=11, offset=0)
        self.denied(serve, "proxy_list_traffic", limit=14, offset=0)
        self.denied(serve, "proxy_list_traffic", limit=11, offset=0, url_filter="x")
        self.denied(serve, "proxy_status")
        self.denied(serve, "proxy_add_rule", description="r", matcher={"urlPattern": "x"}, handler={"type": "mock"})

    def test_an_audit_log_teaches_names(self):
        serve = self.start(deny(proxy_list_traffic={}, proxy_status={}))
        serve.call("proxy_list_traffic", limit=5)
        done = self.learn("--audit", self.folder)
        self.assertIn("an audit log holds no values", done.stderr)
        self.assertEqual(set(json.loads(done.stdout)["tools"]), {"proxy_list_traffic"})
        both = json.loads(self.learn("--audit", self.folder, "--json").stdout)
        self.assertEqual(both["policy"], json.loads(done.stdout))
        self.assertTrue(both["reasons"])


class BehindTheGateway(GatewayCase):
    def test_another_servers_calls_teach_a_closed_policy(self):
        calls = self.directory / "calls"
        gateway = self.start(ALLOW, "--record-calls", calls, "--name", "files")
        for number in range(4):
            gateway.call("echo", text=f"/srv/data/{number}.txt")
        gateway.stop()
        done = sluice("policy", "learn", "--calls", calls, home=self.home, check=0)
        learned = json.loads(done.stdout)
        self.assertEqual(set(learned["tools"]), {"echo"})
        path = self.write(learned, self.directory / "learned.json")
        done = sluice("policy", "simulate", path, "--calls", calls, home=self.home)
        self.assertIn("4 calls as they were decided, 0 otherwise, 0 undecidable", done.stdout, done.stderr)
        gateway = self.start(learned, "--name", "files")
        self.assertFalse(gateway.call("echo", text="/srv/data/9.txt")["isError"])
        self.denied(gateway, "echo", text="/etc/passwd")
        self.denied(gateway, "echo", text="/srv/data/9.txt", amount=8)
        self.denied(gateway, "echo", text="/srv/data/9.txt", other=1)
        self.denied(gateway, "echo")

    def of_an_endpoint(self, *flags):
        """A log of two servers behind one endpoint: a grant of both, and `default`."""
        servers = {name: {"command": FAKE[0], "args": FAKE[1:], "policy": "each.json"} for name in ("one", "two")}
        self.write(ALLOW, self.directory / "each.json")
        path = self.write({"mcpServers": servers}, self.directory / "servers.json")
        every = self.write({**ALLOW, "hide": ["two__delete_file"]}, self.directory / "every.json")
        admin = self.directory / "admin"
        admin.write_text(sluice("grant", "admin", home=self.home, check=0).stdout)
        admin.chmod(0o600)
        made = sluice("grant", "create", "both", "--policy", every, "--server", "gateway", "--json", "--admin-token-file", admin,
                      home=self.home, check=0)
        for more, env, texts in ((["--grant", "both"], {"SLUICE_GRANT_TOKEN": json.loads(made.stdout)["token"]}, ("a", "b")), ([], {}, ("longer",))):
            gateway = Gateway(self.home, None, *more, *flags, config=path, env=env)
            self.addCleanup(gateway.stop)
            for text in texts:
                for server in servers:
                    gateway.call(f"{server}__echo", text=text)
            gateway.call("one__write_file")
            gateway.end()
        return ["--audit", self.home / "audit"]

    def simulate(self, document, *flags, code=0):
        path = self.write(document, self.directory / "tried.json")
        done = sluice("policy", "simulate", path, *flags, home=self.home, check=code)
        return json.loads(done.stdout) if "--json" in flags else done.stdout

    def test_an_endpoints_policy_is_tried_over_the_log_of_its_servers(self):
        log = self.of_an_endpoint()
        limits = {"limits": [{"counter": "n", "window": "day", "max": 3}]}
        document = deny(**{"one__echo": {}, "two__*": {}}) | {"all_tools": limits}
        found = self.simulate(document, *log, "--endpoint", "gateway", "--grant", "both", "--json")
        self.assertEqual({(d["server"], d["tool"], d["rule"], d["calls"]) for d in found["differences"]},
                         {("two", "two__echo", "/all_tools/limits/n", 1), ("one", "one__write_file", "(default deny)", 1)})
        self.assertEqual((found["same"], found["different"], found["undecidable"]), (3, 2, []))
        found = self.simulate(document, *log, "--endpoint", "gateway", "--server", "two", "--json")
        self.assertEqual((found["same"], found["different"]), (3, 0), "of both grants")

    def test_calls_are_chosen_by_server_and_grant_and_told_apart(self):
        log = self.of_an_endpoint()
        mine = deny(echo={})
        self.assertIn("3 calls as they were decided, 2 otherwise", self.simulate(mine, *log, "--server", "one"))
        self.assertIn("2 calls as they were decided, 1 otherwise", self.simulate(mine, *log, "--server", "one", "--grant", "both"))
        text = self.simulate(deny(write_file={}), *log)
        self.assertIn("allow -> deny  3 calls of echo (one)  by (default deny)", text)
        self.assertIn("allow -> deny  3 calls of echo (two)  by (default deny)", text)
        for wrong in (("--server", "three"), ("--grant", "nobody")):
            path = self.write(mine, self.directory / "tried.json")
            self.assertIn("none of this server, grant or endpoint", sluice("policy", "simulate", path, *log, *wrong, check=1).stderr)

    def test_an_endpoints_policy_is_learned_from_the_calls_of_its_servers(self):
        calls = self.directory / "calls"
        self.of_an_endpoint("--record-calls", calls)
        done = sluice("policy", "learn", "--calls", calls, "--endpoint", "gateway", "--grant", "both", home=self.home, check=0)
        learned = json.loads(done.stdout)
        self.assertEqual(set(learned["tools"]), {"one__echo", "two__echo", "one__write_file"})
        self.assertEqual(learned["args"], "closed")
        self.assertIn('"maxLength":1', json.dumps(learned["tools"]["two__echo"], separators=(",", ":")))
        found = self.simulate(learned, "--calls", calls, "--endpoint", "gateway", "--json", code=0)
        self.assertEqual({(d["tool"], d["calls"]) for d in found["differences"]}, {("one__echo", 1), ("two__echo", 1)}, "of default")
        found = self.simulate(learned, "--calls", calls, "--endpoint", "gateway", "--grant", "both", "--json")
        self.assertEqual((found["same"], found["different"]), (5, 0))

    def test_calls_of_several_servers_are_told_apart(self):
        calls = self.directory / "calls"
        for name in ("one", "two"):
            gateway = self.start(ALLOW, "--record-calls", calls, "--name", name)
            gateway.call("echo", text=name)
            gateway.stop()
        done = sluice("policy", "learn", "--calls", calls, home=self.home, check=2)
        self.assertIn("choose one with --server: one, two", done.stderr)
        learned = json.loads(sluice("policy", "learn", "--calls", calls, "--server", "two", home=self.home, check=0).stdout)
        self.assertEqual(learned["tools"]["echo"]["require"][1]["conditions"][0]["value"], "two")


if __name__ == "__main__":
    unittest.main()
