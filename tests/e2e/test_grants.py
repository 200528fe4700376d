"""Grants through the real program: tokens with a policy of their own, isolated from each other, rotated, revoked, expired, over
HTTP in both eras and over stdio (gate.md 1, 2, 10)."""
import http.client
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from test_docs import Documented, blocks
from harness import PATIENCE, SLUICE, Origin, Serve, ToolError, clean_environment, json_of, poll, run, sluice

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def deny(**tools):
    return {"version": "1", "default": "deny", "tools": tools}


class Admin(unittest.TestCase):
    """A home with an admin credential, and what it decides about."""
    maxDiff = 4000

    def setUp(self):
        if not os.access(SLUICE, os.X_OK):
            self.skipTest(f"{SLUICE} is not built")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-grants."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.home = self.directory / "home"
        self.admin_file = self.directory / "admin"

    def write(self, name, document):
        path = self.directory / name
        new = path.with_suffix(".new")
        new.write_text(json.dumps(document))
        new.chmod(0o600)
        new.rename(path)
        return path

    def make_admin(self):
        self.admin = sluice("grant", "admin", home=self.home, check=0).stdout.strip()
        self.admin_file.write_text(self.admin + "\n")
        self.admin_file.chmod(0o600)
        return self.admin

    def as_admin(self, *words, code=0):
        return sluice(*words, "--admin-token-file", self.admin_file, "--json", home=self.home, check=code)

    def grant(self, name, policy=None, *flags):
        if not self.admin_file.exists():
            self.make_admin()
        more = ["--policy", self.write(f"{name}.json", policy)] if policy is not None else []
        return json.loads(self.as_admin("grant", "create", name, *more, *flags).stdout)["token"]

    def start(self, *flags):
        serve = Serve("--no-proxy", *flags, home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        return serve

    def call(self, serve, token, tool, **arguments):
        """(status, text of the answer) as the grant's client."""
        status, headers, text = serve.post(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": META}},
            {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool, "Authorization": f"Bearer {token}"})
        if status != 200:
            return status, headers.get("www-authenticate")
        answer = json_of(text)
        return status, answer["result"]["content"][0]["text"] if "result" in answer else answer["error"]["message"]

    def request(self, serve, token, method, **params):
        _, _, text = serve.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}},
                                {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Authorization": f"Bearer {token}"})
        return json_of(text)["result"]

    def initialize(self, serve, token):
        """A legacy session's headers."""
        headers = {"Authorization": f"Bearer {token}"}
        status, answer, text = serve.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}}, headers)
        self.assertEqual(status, 200, text)
        headers |= {"Mcp-Session-Id": answer["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        serve.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
        return headers

    def audit(self):
        lines = []
        for path in sorted(self.home.glob("audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return sorted((line for line in lines if line["type"] == "decision"), key=lambda line: line["time"])


class Credential(Admin):
    def test_it_is_shown_once_and_kept_as_a_hash(self):
        admin = self.make_admin()
        self.assertRegex(admin, r"^sluice_admin_[A-Za-z0-9_-]{43}$")
        token = self.grant("bot", deny())
        self.assertRegex(token, r"^sluice_grant_[A-Za-z0-9_-]{43}$")
        serve = self.start()
        self.call(serve, token, "proxy_status")
        kept = b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file())
        for secret in (admin, token):
            self.assertNotIn(secret.encode(), kept)
            self.assertNotIn(secret[13:].encode(), kept)
            self.assertNotIn(secret, serve.output())
            self.assertNotIn(secret, serve.ready_file.read_text())
            self.assertNotIn(secret, sluice("grant", "list", "--json", home=self.home, check=0).stdout)

    def test_whoever_decides_about_grants_is_asked_for_it(self):
        done = sluice("grant", "create", "bot", home=self.home, stdin=subprocess.DEVNULL, start_new_session=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("`sluice grant admin` makes it", done.stderr)
        self.grant("bot", deny())
        for words in (["create", "other"], ["rotate", "bot"], ["revoke", "bot"], ["admin"]):
            with self.subTest(words):
                nobody = sluice("grant", *words, home=self.home, stdin=subprocess.DEVNULL, start_new_session=True)
                self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
                self.assertIn("no terminal to ask at", nobody.stderr)
                self.admin_file.write_text("sluice_admin_wrong\n")
                self.assertIn("that is not the admin credential", self.as_admin("grant", *words, code=1).stderr)
                self.admin_file.write_text(self.admin)
        self.assertEqual([g["name"] for g in json.loads(sluice("grant", "list", "--json", home=self.home).stdout)], ["bot"])
        denied = [line for line in self.audit() if line["decision"] == "deny"]
        self.assertEqual({(line["rule"], line["grant"]) for line in denied}, {("(admin credential)", "owner")})

    def typed(self, line, *words):
        """(exit code, all that a terminal shows) of a command that is typed to."""
        child, terminal = pty.fork()
        if child == 0:
            os.execve(SLUICE, [SLUICE, *words, "--home", str(self.home)], clean_environment())
        seen = b""
        try:
            while select.select([terminal], [], [], 20 * PATIENCE)[0]:
                try:
                    part = os.read(terminal, 4096)
                except OSError:
                    break
                if not part:
                    break
                seen += part
                if line and seen.endswith(b": "):
                    os.write(terminal, line.encode() + b"\n")
                    line = None
        finally:
            os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()

    def test_a_lost_one_is_reset_at_a_terminal_and_ends_what_it_gave(self):
        token = self.grant("bot", deny(proxy_status={}, proxy_list_rules={"require_approval": {}}))
        serve = self.start()
        waiting = self.call(serve, token, "proxy_list_rules")[1].split()[2]
        self.decide_with(self.admin, waiting)
        self.assertIn("stop it first", self.typed("reset", "grant", "admin", "--reset")[1])
        serve.stop()
        nobody = sluice("grant", "admin", "--reset", home=self.home, stdin=subprocess.DEVNULL, start_new_session=True)
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertIn("at a terminal only", nobody.stderr)
        self.assertEqual(self.typed("yes", "grant", "admin", "--reset")[0], 1)
        self.as_admin("grant", "create", "still")
        code, shown = self.typed("reset", "grant", "admin", "--reset")
        self.assertEqual(code, 0, shown)
        new = [word for word in shown.split() if word.startswith("sluice_admin_")][0]
        self.assertIn("not the admin credential", self.as_admin("grant", "create", "other", code=1).stderr)
        self.admin_file.write_text(new)
        self.as_admin("grant", "create", "other")
        states = {g["name"]: g["state"] for g in json.loads(sluice("grant", "list", "--json", home=self.home, check=0).stdout)}
        self.assertEqual(states, {"bot": "revoked", "still": "revoked", "other": "live"})
        self.assertEqual(self.call(self.start(), token, "proxy_status")[0], 401)
        self.assertEqual(json.loads(sluice("approvals", "show", waiting, "--json", home=self.home, check=0).stdout)["status"], "void")
        self.assertIn(("grant/reset-admin", "owner"), {(line["method"], line["grant"]) for line in self.audit()})

    def decide_with(self, credential, approval):
        self.admin_file.write_text(credential)
        return self.as_admin("approvals", "approve", approval)

    def test_the_terminal_is_asked_and_shows_nothing_of_it(self):
        self.grant("bot", deny())
        child, terminal = pty.fork()
        if child == 0:
            os.execve(SLUICE, [SLUICE, "grant", "revoke", "bot", "--home", str(self.home)], clean_environment())
        seen = b""
        try:
            while select.select([terminal], [], [], 20 * PATIENCE)[0]:
                try:
                    part = os.read(terminal, 4096)
                except OSError:  # the other end is closed
                    break
                seen += part
                if seen.endswith(b"Admin credential: "):
                    os.write(terminal, self.admin.encode() + b"\n")
        finally:
            os.close(terminal)
            _, status = os.waitpid(child, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, seen)
        self.assertIn(b"bot is revoked", seen)
        self.assertNotIn(self.admin[20:].encode(), seen)

    def test_a_new_one_needs_the_old_one(self):
        first = self.make_admin()
        second = json.loads(self.as_admin("grant", "admin").stdout)["admin"]
        self.assertNotEqual(first, second)
        self.assertIn("not the admin credential", self.as_admin("grant", "create", "bot", code=1).stderr)
        self.admin_file.write_text(second)
        self.as_admin("grant", "create", "bot")

    def test_files_that_others_can_write_or_read_are_refused(self):
        self.make_admin()
        for mode in (0o640, 0o604, 0o620):
            self.admin_file.chmod(mode)
            self.assertIn("by others", self.as_admin("grant", "create", "bot", code=1).stderr)
        self.admin_file.chmod(0o600)
        policy = self.write("open.json", deny())
        policy.chmod(0o666)
        self.assertIn("can be written by others", self.as_admin("grant", "create", "bot", "--policy", policy, code=1).stderr)
        config = self.directory / "config.yaml"
        config.write_text("serve: {}\n")
        config.chmod(0o622)
        done = sluice("serve", "--config", config, "--control-port", 0, "--no-proxy", home=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("can be written by others", done.stderr)
        for name in ("state.db", "token", "ca/ca-key.pem"):
            with self.subTest(name):
                serve = self.start()
                serve.stop()
                path = self.home / name
                mode = path.stat().st_mode
                path.chmod(0o662)
                done = sluice("serve", "--control-port", 0, "--no-proxy", home=self.home)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("can be written by others", done.stderr)
                path.chmod(mode)


class Tokens(Admin):
    def test_the_token_chooses_the_grant_and_its_policy(self):
        reader = self.grant("reader", deny(proxy_status={}))
        lister = self.grant("lister", deny(proxy_list_rules={}))
        bare = self.grant("bare")
        serve = self.start()
        self.assertIn("running", self.call(serve, reader, "proxy_status")[1])
        self.assertIn("not permitted by policy", self.call(serve, reader, "proxy_list_rules")[1])
        self.assertIn("not permitted by policy", self.call(serve, lister, "proxy_status")[1])
        self.assertEqual(self.call(serve, bare, "proxy_status"), (200, "[POLICY DENIED] This grant has no policy"))
        self.assertEqual([t["name"] for t in self.request(serve, reader, "tools/list")["tools"]], ["proxy_status"])
        self.assertEqual(self.request(serve, bare, "tools/list")["tools"], [])
        self.assertIn("running", serve.call("proxy_status"), "the default grant has what it had")
        self.assertEqual([(d["grant"], d["rule"]) for d in self.audit() if d["method"] == "tools/call"],
                         [("reader", ""), ("reader", "(default deny)"), ("lister", "(default deny)"), ("bare", "(no policy)"), ("default", "")])

    def test_a45_wrong_revoked_expired_and_foreign_tokens_are_answered_alike(self):
        self.grant("gone", deny(proxy_status={}))
        gone = json.loads(self.as_admin("grant", "rotate", "gone").stdout)["token"]
        self.as_admin("grant", "revoke", "gone")
        foreign = self.grant("foreign", deny(proxy_status={}), "--server", "files")
        serve = self.start()
        answers = set()
        for token in ("nobody", gone, foreign, "sluice_grant_" + "x" * 43, self.admin):
            status, headers, text = serve.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"Authorization": f"Bearer {token}"})
            self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
            answers.add(text)
        self.assertEqual(len(answers), 1, answers)
        self.assertNotIn("resource_metadata", str(answers))
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"):
            self.assertEqual(serve.post(None, method="GET", path=path)[0], 404)

    def test_a_new_grant_and_an_edited_policy_count_at_once(self):
        serve = self.start()
        bot = self.grant("bot", deny(proxy_status={}))
        self.assertIn("running", self.call(serve, bot, "proxy_status")[1])
        self.write("bot.json", deny())
        poll(lambda: "not permitted" in self.call(serve, bot, "proxy_status")[1], 5, "the edit")
        (self.directory / "bot.json").write_text("{")
        poll(lambda: "is not taken" in serve.output(), 5, "the complaint")
        self.assertIn("not permitted", self.call(serve, bot, "proxy_status")[1])

    def test_a_rotated_token_ends_at_once_or_after_its_grace(self):
        first = self.grant("bot", deny(proxy_status={}))
        serve = self.start()
        second = json.loads(self.as_admin("grant", "rotate", "bot").stdout)["token"]
        self.assertEqual(self.call(serve, first, "proxy_status"), (401, "Bearer"))
        third = json.loads(self.as_admin("grant", "rotate", "bot", "--grace", "2s").stdout)["token"]
        self.assertIn("running", self.call(serve, second, "proxy_status")[1])
        self.assertIn("running", self.call(serve, third, "proxy_status")[1])
        poll(lambda: self.call(serve, second, "proxy_status")[0] == 401, 5, "the end of the grace")
        self.assertIn("running", self.call(serve, third, "proxy_status")[1])

    def test_a_policy_where_tools_read_is_not_put_in_force(self):
        bot = self.grant("bot", deny(proxy_status={}))
        serve = self.start("--allow-root", self.directory)
        self.assertEqual(self.call(serve, bot, "proxy_status")[1], "[POLICY DENIED] This grant has no policy")
        self.assertIn("where tools read", serve.output())

    def test_limits_are_each_grants_own(self):
        policy = deny(proxy_status={"limits": [{"counter": "c", "window": "day", "max": 1}]})
        one, two = self.grant("one", policy), self.grant("two", policy)
        serve = self.start()
        for token in (one, two):
            self.assertIn("running", self.call(serve, token, "proxy_status")[1])
            self.assertIn("Rate limit exceeded", self.call(serve, token, "proxy_status")[1])


class Isolation(Admin):
    def test_a33_a_session_of_one_grant_does_not_exist_for_another(self):
        policy = {"version": "1", "default": "allow"}
        one, two = self.grant("one", policy), self.grant("two", policy)
        serve = self.start()
        headers = self.initialize(serve, one)
        ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
        self.assertEqual(serve.post(ping, headers)[0], 200)
        for token in (two, serve.token):
            stolen = headers | {"Authorization": f"Bearer {token}"}
            self.assertEqual(serve.post(ping, stolen)[0], 404)
            self.assertEqual(serve.post(None, stolen, method="DELETE")[0], 404)
            self.assertEqual(serve.post(None, stolen | {"Accept": "text/event-stream"}, method="GET")[0], 404)
        self.assertEqual(serve.post(ping, headers)[0], 200, "it is still there for its own")


class Ends(Admin):
    def stream(self, serve, token):
        """A modern listen; the open connection and its answer."""
        url = urllib.parse.urlsplit(serve.mcp_url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10 * PATIENCE)
        self.addCleanup(connection.close)
        connection.request("POST", url.path, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
            "notifications": {"toolsListChanged": True}, "_meta": META}}), {
                "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "subscriptions/listen", "Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertIn("data:", self.line(answer, "data:"))
        return answer

    def line(self, answer, wanted):
        while True:
            line = answer.readline().decode()
            if wanted in line or not line:
                return line

    def legacy_stream(self, serve, headers):
        url = urllib.parse.urlsplit(serve.mcp_url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10 * PATIENCE)
        self.addCleanup(connection.close)
        connection.request("GET", url.path, headers=headers | {"Accept": "text/event-stream"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        return answer

    def ends(self, answer, began):
        answer.read()
        self.assertLess(time.monotonic() - began, 1 * PATIENCE, "within a second")

    def test_revocation_ends_streams_of_both_eras_and_no_others(self):
        policy = {"version": "1", "default": "allow"}
        bot, other = self.grant("bot", policy), self.grant("other", policy)
        serve = self.start()
        legacy = self.initialize(serve, bot)
        streams = [self.stream(serve, bot), self.legacy_stream(serve, legacy)]
        kept = self.stream(serve, other)
        self.as_admin("grant", "revoke", "bot")
        began = time.monotonic()
        for stream in streams:
            self.ends(stream, began)
        self.assertEqual(serve.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, legacy)[0], 401)
        self.write("other.json", deny())  # the other one still hears
        self.assertIn("list_changed", self.line(kept, "list_changed"))

    def test_revocation_and_rotation_end_what_goes_on_in_the_background(self):
        policy = {"version": "1", "default": "allow"}
        origin = Origin()
        self.addCleanup(origin.close)
        bot, other = self.grant("bot", policy), self.grant("other", policy)
        serve = Serve("--toolset", "all", home=self.home, directory=self.directory)
        self.addCleanup(serve.stop)
        session = serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        for number in range(30):
            serve.curl("-o", "/dev/null", origin.url(f"/hello?{number}"))
        serve.call("proxy_session_stop")
        replay = lambda token: json.loads(self.call(serve, token, "proxy_replay_session", session_id=session, mode="execute",
                                                    background=True, rate=2)[1])["replayId"]
        state = lambda token, number: next(
            one for one in json.loads(self.call(serve, token, "proxy_replay_status")[1])["replays"] if one["replayId"] == number)
        first, kept = replay(bot), replay(other)
        renewed = json.loads(self.as_admin("grant", "rotate", "bot").stdout)["token"]
        began = time.monotonic()
        poll(lambda: state(renewed, first)["state"] == "cancelled", 10, "the end of what the old token began")
        self.assertLess(time.monotonic() - began, 1 * PATIENCE, "within a second")
        self.assertEqual(state(renewed, first)["error"], "The grant or the token that began it has ended.")
        second = replay(renewed)
        poll(lambda: state(renewed, second)["done"] > 0, 10, "its first request")
        self.as_admin("grant", "revoke", "bot")
        ended = lambda: [line for line in self.audit() if line["type"] == "replay_ended"]
        poll(lambda: len(ended()) == 2, 10, "the line of it")
        self.assertEqual([(line["grant"], line["replay"], line["rule"], line["total"]) for line in ended()],
                         [("bot", number, "(grant ended)", 30) for number in (first, second)])
        self.assertEqual(state(other, kept)["state"], "running")
        self.assertIn(second, run(SLUICE, "audit", "tail", "--home", self.home).stdout)

    def audit(self):
        return [json.loads(line) for path in sorted(self.home.glob("audit/*.jsonl")) for line in path.read_text().splitlines()]

    def test_expiry_ends_streams_too(self):
        bot = self.grant("bot", {"version": "1", "default": "allow"}, "--expires", "3s")
        serve = self.start()
        stream = self.stream(serve, bot)
        stream.read()
        self.assertEqual(self.call(serve, bot, "proxy_status"), (401, "Bearer"))
        self.assertEqual(json.loads(sluice("grant", "list", "--json", home=self.home).stdout)[0]["state"], "expired")


class Stdio(Admin):
    def ask(self, *flags, token=None, tool="proxy_status"):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}, "_meta": META}}
        extra = {"SLUICE_GRANT_TOKEN": token} if token else {}
        return run(SLUICE, "mcp", "--home", self.home, *flags, input=json.dumps(message) + "\n", env=clean_environment(**extra))

    def text(self, done):
        return json.loads(done.stdout)["result"]["content"][0]["text"]

    def test_the_grant_is_named_and_its_token_shown(self):
        bot = self.grant("bot", deny(proxy_status={}))
        self.grant("local", deny(proxy_list_rules={}), "--stdio")
        self.assertIn("running", self.text(self.ask("--grant", "bot", token=bot)))
        self.assertIn("not permitted", self.text(self.ask("--grant", "bot", token=bot, tool="proxy_list_rules")))
        self.assertIn("rules", self.text(self.ask("--grant", "local", tool="proxy_list_rules")))
        for flags, token, words in ((["--grant", "bot"], None, "SLUICE_GRANT_TOKEN"), (["--grant", "bot"], "wrong", "cannot be used"),
                                    (["--grant", "nobody"], bot, "cannot be used"), (["--grant", "local"], None, None)):
            done = self.ask(*flags, token=token)
            if words:
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
        self.assertEqual({d["grant"] for d in self.audit() if d["method"] == "tools/call"}, {"bot", "local"})

    def test_revocation_ends_it_within_a_second(self):
        self.grant("local", deny(proxy_status={}), "--stdio")
        process = subprocess.Popen([SLUICE, "mcp", "--home", self.home, "--grant", "local"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=clean_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.kill)
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}) + "\n")
        process.stdin.flush()
        self.assertIn("proxy_status", process.stdout.readline())
        self.as_admin("grant", "revoke", "local")
        began = time.monotonic()
        self.assertEqual(process.wait(10 * PATIENCE), 1)
        self.assertLess(time.monotonic() - began, 1 * PATIENCE)
        self.assertIn("has ended", process.stderr.read())

    def test_attached_it_is_the_servers_grant(self):
        bot = self.grant("bot", deny(proxy_status={}))
        self.start()
        self.assertIn("running", self.text(self.ask("--attach", "--grant", "bot", token=bot)))
        self.assertIn("not permitted", self.text(self.ask("--attach", "--grant", "bot", token=bot, tool="proxy_stop")))
        self.assertEqual(self.ask("--attach", "--grant", "bot").returncode, 1)


class Page(Documented):
    """docs/grants.md as a new reader tries it."""

    def test_its_commands_run_as_they_stand(self):
        first, second, third, fourth = blocks("grants.md", "sh")
        self.bash("set -e\n" + first)
        serve = self.start()
        call = second.replace("http://127.0.0.1:8790/mcp", serve.mcp_url)
        self.bash("set -e\n" + call + third)
        self.bash(fourth)
        self.assertEqual(self.bash(call.split("call proxy_list")[0] + "call proxy_status").strip(), serve.post({}, {"Authorization": "Bearer x"})[2].strip())


if __name__ == "__main__":
    unittest.main()
