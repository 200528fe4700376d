"""--state redis://… through the real program: several processes count together and exactly, a store that is down, wrong or empty denies
(gate.md 4; policy.md A19, A22, A44). The redis-server is Debian's."""
import concurrent.futures
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import PATIENCE, ROOT, SLUICE, ToolError, clean_environment, free_port, needs, poll, run, sluice
from test_policy_gate import Gate, deny, limit


class Redis:
    def __init__(self, *flags, port=None, directory=None):
        self.port = port or free_port()
        self.directory = directory or tempfile.mkdtemp(prefix="sluice-redis.")
        self.url = f"redis://127.0.0.1:{self.port}/3"
        self.process = subprocess.Popen([needs("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", "",
                                         *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(), start_new_session=True)
        poll(lambda: "PONG" in self.cli("ping") or "NOAUTH" in self.cli("ping"), 15, "redis-server")

    def cli(self, *words):
        done = run(needs("redis-cli", "redis-server"), "-p", self.port, "-n", 3, *words)
        return done.stdout + done.stderr

    def end(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


class Counted(Gate):
    def redis(self, *flags, **more):
        server = Redis(*flags, **more)
        self.addCleanup(server.close)
        return server

    def admitted(self, serve, count, tool="proxy_status"):
        def once(_):
            try:
                serve.call(tool)
                return 1
            except ToolError:
                return 0
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return sum(pool.map(once, range(count)))

    def test_two_homes_count_together_and_exactly(self):
        redis = self.redis()
        policy = deny(proxy_status=limit(40), proxy_list_rules={})
        one = self.start(policy, "--state", redis.url)
        two = self.start(None, "--state", redis.url, home=self.directory / "other")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda serve: self.admitted(serve, 40), (one, two)))
        self.assertEqual(sum(both), 40, both)
        self.assertTrue(all(both), "both were let in")
        self.denied(one, "proxy_status", "Rate limit exceeded for calls")
        one.call("proxy_list_rules")
        keys = redis.cli("keys", "*").split()
        self.assertTrue(all(key.startswith("sluice:") for key in keys), keys)

    def test_a22_what_was_taken_before_a_crash_stays_taken(self):
        redis = self.redis()
        serve = self.start(deny(proxy_status=limit(3)), "--state", redis.url)
        for _ in range(2):
            serve.call("proxy_status")
        serve.stop(signal.SIGKILL)
        serve = self.start(None, "--state", redis.url)
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit")

    def test_a44_while_it_is_down_limited_calls_are_denied_and_then_counted_on(self):
        redis = self.redis("--appendonly", "yes", "--appendfsync", "always")
        serve = self.start(deny(proxy_status=limit(3), proxy_list_rules={}), "--state", redis.url)
        serve.call("proxy_status")
        serve.call("proxy_status")
        redis.end()
        for _ in range(3):
            began = time.monotonic()
            self.denied(serve, "proxy_status", r"the counters cannot be used, so no limited call may run \(Redis")
            self.assertLess(time.monotonic() - began, 3 * PATIENCE)
        serve.call("proxy_list_rules")
        again = self.redis("--appendonly", "yes", "--appendfsync", "always", port=redis.port, directory=redis.directory)

        def passes():
            try:
                return serve.call("proxy_status")
            except ToolError:
                return None
        poll(passes, 10, "Redis is used again")
        self.denied(serve, "proxy_status", "Rate limit exceeded")
        self.assertEqual(again.port, redis.port)

    def test_a44_counters_that_are_gone_are_not_zero(self):
        redis = self.redis()
        serve = self.start(deny(proxy_status=limit(2)), "--state", redis.url)
        serve.call("proxy_status")
        redis.cli("flushall")
        for _ in range(2):
            self.denied(serve, "proxy_status", "the counters cannot be used")
            time.sleep(1.1)
        self.denied(serve, "proxy_status", "lost its counters")

    def test_one_that_is_not_there_at_the_start_denies_until_it_is(self):
        port = free_port()
        serve = self.start(deny(proxy_status=limit(2)), "--state", f"redis://127.0.0.1:{port}")
        self.assertIn("calls that count are denied until it can be used", serve.output())
        self.denied(serve, "proxy_status", "the counters cannot be used")
        text = serve.output()
        self.assertNotIn(str(port), re.sub(r"sluice: .*", "", text))
        self.redis(port=port)

        def passes():
            try:
                return serve.call("proxy_status")
            except ToolError:
                return None
        poll(passes, 10, "Redis is used")

    def test_what_cannot_be_right_stops_the_start(self):
        redis = self.redis("--requirepass", "the-right-one")
        evicting = self.redis("--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru")
        secret = self.directory / "password"
        secret.write_text("the-wrong-one\n")
        secret.chmod(0o600)
        self.write(deny())
        for flags, words in ((["--state", "redis://u:hidden@h"], "--state-password-file"), (["--state", "rediss://h"], "tunnel"),
                             (["--state", "postgres://h"], "redis://"), (["--state-password-file", secret], "goes with --state"),
                             (["--state", redis.url], "NOAUTH"), (["--state", redis.url, "--state-password-file", secret], "WRONGPASS"),
                             (["--state", redis.url, "--state-password-file", "/nothing"], "--state-password-file"),
                             (["--state", evicting.url], "noeviction")):
            done = sluice("serve", "--no-proxy", "--control-port", 0, "--policy", self.path, *flags, home=self.home)
            self.assertNotEqual(done.returncode, 0, flags)
            self.assertIn(words, done.stderr)
            for hidden in ("hidden", "the-wrong-one"):
                self.assertNotIn(hidden, done.stderr)
        secret.write_text("the-right-one\n")
        serve = self.start(deny(proxy_status=limit(1)), "--state", redis.url, "--state-password-file", secret)
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit")
        self.assertNotIn("the-right-one", serve.output())

    def test_the_gateway_counts_there_too(self):
        text = run(SLUICE, "gateway", "--help").stdout
        self.assertIn("--state", text)
        self.assertIn("--state-password-file", text)
        from gateway_client import Gateway  # noqa: PLC0415
        redis = self.redis()
        self.write({"version": "1", "default": "allow", "tools": {"echo": limit(1)}})
        for number in (1, 2):
            gateway = Gateway(self.directory / f"home{number}", self.path, "--state", redis.url)
            self.addCleanup(gateway.stop)
            self.assertEqual(gateway.call("echo", text="x")["isError"], number == 2)

    def test_the_page_names_what_there_is(self):
        page = (ROOT / "docs" / "state.md").read_text()
        commands = ("AUTH", "SELECT", "INFO", "MGET", "GET", "SET", "EVAL", "PERSIST", "HGET", "HGETALL", "HVALS", "HSET", "HDEL", "HINCRBY")
        for command in commands:
            self.assertIn(f"`{command}`", page)
        redis = self.redis()
        self.assertIn("OK", redis.cli("acl", "setuser", "sluice", "on", ">secret-of-sluice", "~sluice:*", *(f"+{command.lower()}" for command in commands)))
        secret = self.directory / "password"
        secret.write_text("secret-of-sluice\n")
        secret.chmod(0o600)
        state = ["--state", f"redis://sluice@127.0.0.1:{redis.port}/3", "--state-password-file", secret]
        asks = {"require_approval": {}}
        serve = self.start(deny(proxy_status=limit(1), proxy_list_rules=asks, proxy_list_traffic=asks), *state)
        serve.call("proxy_status")
        self.denied(serve, "proxy_status", "Rate limit")
        admin = self.directory / "admin"
        admin.write_text(sluice("grant", "admin", *state, home=self.home, check=0).stdout)
        admin.chmod(0o600)
        sluice("grant", "create", "bot", *state, "--admin-token-file", admin, home=self.home, check=0)
        for tool, word in (("proxy_list_rules", "approve"), ("proxy_list_traffic", "deny")):
            with self.assertRaisesRegex(ToolError, "APPROVAL REQUIRED") as asked:
                serve.call(tool)
            sluice("approvals", word, re.search("apr_[A-Za-z0-9_-]+", str(asked.exception))[0], *state, "--admin-token-file", admin, home=self.home, check=0)
        serve.call("proxy_list_rules")
        sluice("gateway", "pins", "list", *state, home=self.home, check=0)
        sluice("grant", "revoke", "bot", *state, "--admin-token-file", admin, home=self.home, check=0)
        # One who may only count says at the start what is missing.
        self.assertIn("OK", redis.cli("acl", "setuser", "sluice", "-hget"))
        refused = sluice("serve", "--no-proxy", "--control-port", 0, *state, home=self.directory / "third")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("docs/state.md", refused.stderr)


if __name__ == "__main__":
    unittest.main()
