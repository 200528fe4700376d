"""--state redis://… for who may act, through the real program: gateways of several homes share grants, approvals and pins; a store that is
down, emptied or put back denies, and says so (gate.md 2, 5, 6; policy.md A38, A39, A44). The redis-server is Debian's."""
import concurrent.futures
import json
import re
import signal
import time
import unittest
import urllib.error
import urllib.request

from gateway_client import FAKE, Gateway
from gateway_http_client import HttpGateway
from harness import PATIENCE, Serve, poll, sluice
import test_grants
from test_approvals import ASKED
from test_grants import Admin, deny
from test_state_redis import Redis

KEPT = ("--appendonly", "yes", "--appendfsync", "always")
ECHO = [{"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object"}}]
CHANGED = [{"name": "echo", "description": "Changed.", "inputSchema": {"type": "object"}}]


class Shared(Admin):
    """`home` and `other` are two machines; commands run on the first unless they say otherwise."""

    def setUp(self):
        super().setUp()
        self.other = self.directory / "other"
        self.tools = self.directory / "tools.json"

    def redis(self, *flags, **more):
        server = Redis(*flags, **more)
        self.addCleanup(server.close)
        self.state = ["--state", server.url]
        return server

    def make_admin(self):
        self.admin = sluice("grant", "admin", *self.state, home=self.home, check=0).stdout.strip()
        self.admin_file.write_text(self.admin + "\n")
        self.admin_file.chmod(0o600)
        return self.admin

    def as_admin(self, *words, code=0, home=None):
        return sluice(*words, *self.state, "--admin-token-file", self.admin_file, "--json", home=home or self.home, check=code)

    def start(self, *flags, home=None):
        serve = Serve("--no-proxy", *self.state, *flags, home=home or self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        return serve

    def both(self, *flags):
        return self.start(*flags), self.start(*flags, home=self.other)

    def gateway(self, home, *flags, env=None):
        policy = None if "--grant" in flags else self.write("gateway.json", deny(**{"*": {}}))
        gateway = Gateway(home, policy, *self.state, "--name", "files", *flags, env={"TOOLS": str(self.tools), **(env or {})})
        self.addCleanup(gateway.stop)
        return gateway

    def say(self, tools):
        new = self.tools.with_suffix(".new")
        new.write_text(json.dumps(tools))
        new.rename(self.tools)

    def knock(self, gateway, token):
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}}
        request = urllib.request.Request(gateway.url, json.dumps(body).encode(), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=20 * PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    def asked(self, serve, token, **arguments):
        _, text = self.call(serve, token, "proxy_list_traffic", **arguments)
        self.assertRegex(text, ASKED)
        return text.split()[2]


class Grants(Shared):
    def test_a_grant_made_on_one_machine_counts_on_all_until_it_is_revoked(self):
        redis = self.redis()
        token = self.grant("bot", deny(proxy_status={}))
        one, two = self.both()
        for serve in (one, two):
            self.assertEqual(self.call(serve, token, "proxy_status")[0], 200)
        renewed = json.loads(self.as_admin("grant", "rotate", "bot", home=self.other).stdout)["token"]
        for serve in (one, two):
            self.assertEqual(self.call(serve, token, "proxy_status")[0], 401)
            self.assertEqual(self.call(serve, renewed, "proxy_status")[0], 200)
        self.as_admin("grant", "revoke", "bot", home=self.other)
        for serve in (one, two):
            self.assertEqual(self.call(serve, renewed, "proxy_status")[0], 401, "from the next call on")
        kept = redis.cli("hgetall", "sluice:gate:grants") + redis.cli("hgetall", "sluice:gate") + one.output() + two.output()
        for secret in (token, renewed, self.admin):
            self.assertNotIn(secret, kept)
            self.assertNotIn(secret.split("_", 2)[2], kept)

    def test_attack_tokens_that_nobody_has_cost_the_store_next_to_nothing(self):
        redis = self.redis()
        self.make_admin()
        policy = self.write("bot.json", deny(**{"*": {}}))
        gateway = HttpGateway(self.other, policy, *self.state)
        self.addCleanup(gateway.stop)
        asked = lambda: int(re.search(r"cmdstat_eval:calls=(\d+)", redis.cli("info", "commandstats"))[1])
        before, began = asked(), time.monotonic()
        for number in range(400):
            self.assertEqual(self.knock(gateway, f"sluice_grant_{number:043d}"), 401)
        looks = asked() - before
        # Eight at once and ten a second, and the four a second with which every gateway looks anyway.
        self.assertLess(looks, 12 + 15 * (time.monotonic() - began), "of 400 requests")
        token = json.loads(self.as_admin("grant", "create", "bot", "--server", "upstream", "--policy", policy).stdout)["token"]
        made = time.monotonic()
        for number in range(100):
            self.knock(gateway, f"sluice_grant_{number:043d}")
            if self.knock(gateway, token) == 200:
                break
        self.assertLess(time.monotonic() - made, 0.25 * PATIENCE)
        self.as_admin("grant", "revoke", "bot")
        self.assertEqual(self.knock(gateway, token), 401, "from the next call on")

    def test_the_gateway_knows_them_too(self):
        self.redis()
        self.say(ECHO)
        policy = self.write("bot.json", deny(echo={}))
        self.make_admin()
        token = json.loads(self.as_admin("grant", "create", "bot", "--server", "files", "--policy", policy).stdout)["token"]
        gateway = self.gateway(self.other, "--grant", "bot", env={"SLUICE_GRANT_TOKEN": token})
        self.assertIn("arguments", gateway.text("echo", text="x"))
        self.as_admin("grant", "revoke", "bot")
        answer = gateway.ask("tools/call", {"name": "echo", "arguments": {}})
        self.assertTrue("error" in answer or answer["result"]["isError"], answer)
        self.assertNotIn(token, "".join(gateway.errors))

    def test_a_home_that_moves_to_redis_is_told_what_it_leaves(self):
        redis = self.redis()
        state, self.state = self.state, []
        self.grant("bot", deny())
        self.state = state
        serve = self.start()
        self.assertIn("1 grants and 0 pins of this home's state.db are not used", serve.output())
        self.assertNotIn(str(redis.port), serve.output())
        serve.stop()
        self.assertNotIn("are not used", self.start().output(), "once")

    def test_a_command_without_the_flag_says_that_it_works_elsewhere(self):
        redis = self.redis()
        self.grant("bot", deny())
        self.start()
        done = sluice("grant", "list", home=self.home, check=0)
        self.assertEqual(done.stdout, "")
        self.assertIn("gateways of this home have their state at redis://127.0.0.1:", done.stderr)
        self.assertIn(str(redis.port), done.stderr)
        self.assertEqual(sluice("grant", "list", *self.state, home=self.home, check=0).stderr, "")

    def test_the_brake_needs_no_state_and_it_is_let_off_where_the_state_is(self):
        self.redis()
        self.make_admin()
        self.start()
        missing = ["--state-password-file", self.directory / "none"]
        sluice("gate", "close", *self.state, *missing, home=self.home, check=0)
        status = sluice("gate", "status", "--json", *self.state, *missing, home=self.home, check=0)
        self.assertEqual(json.loads(status.stdout), {"gate": "closed"})
        done = sluice("gate", "open", "--admin-token-file", self.admin_file, home=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("say so with --state", done.stderr)
        self.as_admin("gate", "open")
        self.assertEqual(json.loads(sluice("gate", "status", "--json", home=self.home).stdout), {"gate": "open"})


class Approvals(Shared):
    def bot(self, **entry):
        return self.grant("bot", deny(proxy_list_traffic={"require_approval": entry}))

    def test_a38_asked_on_one_machine_decided_on_another_and_used_once_by_whoever_is_first(self):
        self.redis()
        token = self.bot()
        one, two = self.both()
        for number in range(6):
            approval = self.asked(one, token, limit=number + 1)
            self.assertEqual(self.asked(two, token, limit=number + 1), approval, "the same call is the same approval")
            self.assertIn(approval, sluice("approvals", "list", *self.state, home=self.other, check=0).stdout)
            self.as_admin("approvals", "approve", approval, home=self.other)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                calls = [pool.submit(self.call, serve, token, "proxy_list_traffic", limit=number + 1) for serve in (one, two) * 4]
                texts = [call.result()[1] for call in calls]
            self.assertEqual(sum("exchanges" in text for text in texts), 1, texts)
        self.assertIn("is used already", self.as_admin("approvals", "deny", approval, code=1).stderr)
        self.assertEqual(json.loads(sluice("approvals", "show", approval, "--json", *self.state, home=self.home).stdout)["status"], "used")

    def test_a_decision_elsewhere_reaches_the_call_that_waits_within_a_second(self):
        self.redis()
        token = self.bot(wait="40s")
        serve = self.start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(self.call, serve, token, "proxy_list_traffic")
            waiting = poll(lambda: json.loads(sluice("approvals", "list", "--json", *self.state, home=self.other).stdout), 20, "the call waits")
            self.as_admin("approvals", "approve", waiting[0]["id"], home=self.other)
            began = time.monotonic()
            self.assertIn("exchanges", held.result()[1])
            self.assertLess(time.monotonic() - began, 1 * PATIENCE)

    def test_sixteen_wait_for_a_grant_on_all_machines_together(self):
        self.redis()
        token = self.bot()
        both = self.both()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda i: self.call(both[i % 2], token, "proxy_list_traffic", limit=i + 1)[1], range(24)))
        self.assertEqual(sum("APPROVAL REQUIRED" in text for text in texts), 16, texts)
        self.assertEqual(sum("Too many calls wait" in text for text in texts), 8, texts)

    def test_a_revoked_grants_approvals_are_void_everywhere(self):
        self.redis()
        token = self.bot()
        serve = self.start()
        approval = self.asked(serve, token)
        self.as_admin("approvals", "approve", approval)
        self.as_admin("grant", "revoke", "bot", home=self.other)
        shown = sluice("approvals", "show", approval, "--json", *self.state, home=self.home, check=0).stdout
        self.assertEqual(json.loads(shown)["status"], "void")


class Pins(Shared):
    def pins(self, action, home):
        if not self.admin_file.exists():
            self.make_admin()
        credential = ["--admin-token-file", self.admin_file] if action in ("accept", "reject") else []
        return sluice("gateway", "pins", action, "--name", "files", *self.state, *credential, home=home)

    def test_a39_what_one_machine_agreed_to_is_agreed_to_on_all(self):
        self.redis()
        self.say(ECHO)
        one = self.gateway(self.home)
        self.assertEqual(one.names(), ["echo"])
        one.wait_for_error("was not seen before")
        two = self.gateway(self.other)
        self.assertEqual(two.names(), ["echo"])
        self.assertNotIn("was not seen before", "".join(two.errors))
        for gateway in (one, two):
            gateway.end()
        self.say(CHANGED)
        one, two = self.gateway(self.home), self.gateway(self.other)
        for gateway in (one, two):
            self.assertEqual(gateway.names(), [])
        self.assertIn('+ "Changed."', self.pins("diff", self.other).stdout)
        self.assertIn("1 tools of files are accepted", self.pins("accept", self.other).stdout)
        for gateway in (one, two):
            gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
            self.assertEqual(gateway.names(), ["echo"])
        status = json.loads(sluice("gateway", "status", "--json", *self.state, home=self.home, check=0).stdout)
        self.assertEqual([(row["server"], row["tools"]) for row in status], [("files", 1)])

    def test_several_servers_behind_one_endpoint_share_them_too(self):
        self.redis()
        self.say(ECHO)
        policy = self.write("policy.json", deny(**{"*": {}}))
        config = self.write("servers.json", {"mcpServers": {
            name: {"command": FAKE[0], "args": FAKE[1:], "env": {"TOOLS": str(self.tools)}, "policy": str(policy)} for name in ("files", "web")}})
        first = Gateway(self.home, None, *self.state, config=config)
        self.addCleanup(first.stop)
        self.assertEqual(first.names(), ["files__echo", "web__echo"])
        first.end()
        self.say(CHANGED)
        gateway = Gateway(self.other, None, *self.state, config=config)
        self.addCleanup(gateway.stop)
        self.assertEqual(gateway.names(), [])
        self.assertIn("1 tools of files are accepted", self.pins("accept", self.home).stdout)
        gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
        self.assertEqual(gateway.names(), ["files__echo"])

    def test_a39_an_emptied_redis_is_no_first_contact(self):
        redis = self.redis()
        self.say(ECHO)
        gateway = self.gateway(self.home)
        self.assertEqual(gateway.names(), ["echo"])
        gateway.end()
        redis.cli("flushall")
        self.say(CHANGED)
        gateway = self.gateway(self.home)
        self.assertEqual(gateway.names(), [])
        gateway.wait_for_error("Redis was emptied or replaced")
        self.assertNotIn("was not seen before", "".join(gateway.errors))
        answer = gateway.call("echo", text="x")
        self.assertTrue(answer["isError"], answer)
        gateway.end()
        refused = sluice("grant", "admin", *self.state, home=self.home)
        self.assertNotEqual(refused.returncode, 0, "or anybody could make a new admin credential")
        self.assertIn("docs/state.md", refused.stderr)
        code, shown = test_grants.Credential.typed(self, "no", "gate", "adopt", *self.state)
        self.assertEqual(code, 1, shown)
        code, shown = test_grants.Credential.typed(self, "adopt", "gate", "adopt", *self.state)
        self.assertEqual(code, 0, shown)
        gateway = self.gateway(self.home)
        self.assertEqual(gateway.names(), ["echo"])
        gateway.wait_for_error("was not seen before")
        self.assertIn(("gate/adopt", "owner"), {(line["method"], line["grant"]) for line in self.audit()})


class Lost(Shared):
    def test_a44_while_it_is_down_grants_end_and_come_back_as_they_were(self):
        redis = self.redis(*KEPT)
        token = self.grant("bot", deny(proxy_status={}, proxy_list_traffic={"require_approval": {}}))
        serve = self.start()
        approval = self.asked(serve, token)
        redis.end()
        status, _ = self.call(serve, token, "proxy_status")
        self.assertEqual(status, 503)
        serve.call("proxy_status")  # the default goes on
        failed = self.as_admin("approvals", "approve", approval, code=1)
        self.assertIn("Redis cannot be used", failed.stderr)
        self.redis(*KEPT, port=redis.port, directory=redis.directory)
        poll(lambda: self.call(serve, token, "proxy_status")[0] == 200, 10, "Redis is used again")
        self.assertEqual(self.asked(serve, token), approval)
        self.as_admin("approvals", "approve", approval)
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic")[1])

    def test_a44_pins_come_back_with_redis(self):
        redis = self.redis(*KEPT)
        self.say(ECHO)
        gateway = self.gateway(self.home)
        self.assertEqual(gateway.names(), ["echo"])
        gateway.end()
        redis.end()
        gateway = self.gateway(self.home)
        self.assertEqual(gateway.names(), [])
        gateway.wait_for_error("pins cannot be used, so no tool is: Redis")
        self.redis(*KEPT, port=redis.port, directory=redis.directory)
        gateway.next(lambda m: m.get("method") == "notifications/tools/list_changed")
        self.assertEqual(gateway.names(), ["echo"])

    def test_a44_one_that_was_put_back_revives_no_grant(self):
        redis = self.redis(*KEPT)
        token = self.grant("bot", deny(proxy_status={}))
        serve = self.start()
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 200)
        redis.cli("copy", "sluice:gate:grants", "kept")
        self.as_admin("grant", "revoke", "bot")
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 401)
        redis.cli("copy", "kept", "sluice:gate:grants", "replace")
        redis.cli("hincrby", "sluice:gate", "version", "-1")
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 503)
        serve.stop()
        serve = self.start()
        self.assertIn("Redis has gone back", serve.output())
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 503)

    def test_a44_one_that_hangs_is_left_alone_and_the_default_goes_on(self):
        redis = self.redis()
        token = self.grant("bot", deny(proxy_status={}))
        serve = self.start()
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 200)
        redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(redis.process.send_signal, signal.SIGCONT)
        self.assertEqual(self.call(serve, token, "proxy_status")[0], 503)
        began = time.monotonic()
        for _ in range(20):
            serve.call("proxy_status")
            self.assertEqual(self.call(serve, token, "proxy_status")[0], 503)
        self.assertLess(time.monotonic() - began, 3 * PATIENCE)
        redis.process.send_signal(signal.SIGCONT)
        poll(lambda: self.call(serve, token, "proxy_status")[0] == 200, 20, "Redis is used again")

    def test_over_http_a_gateway_without_its_store_is_out_of_service_for_grants(self):
        redis = self.redis()
        self.make_admin()
        policy = self.write("bot.json", deny(**{"*": {}}))
        token = json.loads(self.as_admin("grant", "create", "bot", "--server", "upstream", "--policy", policy).stdout)["token"]
        gateway = HttpGateway(self.other, policy, *self.state)
        self.addCleanup(gateway.stop)
        self.assertEqual(self.knock(gateway, token), 200)
        redis.cli("flushall")
        self.assertEqual(self.knock(gateway, token), 503)
        self.assertEqual(self.knock(gateway, gateway.token), 200)
        text = "".join(gateway.errors)
        self.assertNotIn(token, text)



if __name__ == "__main__":
    unittest.main()
