"""--approval-webhook and --admin-api through the real program, and docs/admin-api.md as a reader tries it (gate.md 1, 5; policy.md A34,
A38, A45)."""
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import ssl
import subprocess
import sys
import threading
import time
import unittest

from harness import PATIENCE, TestAuthority, clean_environment, free_port, poll, sluice
from test_approvals import Approvals
from test_docs import Documented, blocks
from test_gateway import GatewayCase

KEY = "a-secret-of-the-webhook"


class Receiver:
    """Keeps what is posted; `answers` are the statuses, the last one for the rest."""

    def __init__(self, answers=(204,), certificate=None):
        self.got, self.answers = [], list(answers)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                status = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count=1, seconds=15):
        poll(lambda: len(self.got) >= count, seconds, f"{count} posts")
        return self.got[count - 1]


class Elsewhere(Approvals):
    def receiver(self, *arguments, **more):
        receiver = Receiver(*arguments, **more)
        self.addCleanup(receiver.close)
        return receiver

    def key(self, text=KEY, mode=0o600):
        path = self.directory / "webhook.key"
        path.write_text(text + "\n")
        path.chmod(mode)
        return path

    def hooked(self, receiver, *flags, scheme="http"):
        return self.start("--approval-webhook", f"{scheme}://127.0.0.1:{receiver.port}/hook?x=1", "--approval-webhook-key", self.key(), *flags)

    def api(self, port, method, path, credential=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * PATIENCE)
        try:
            if credential is None:
                credential = self.admin
            if credential:
                headers["Authorization"] = f"Bearer {credential}"
            connection.request(method, path, None, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.getheader("Content-Type") == "application/json" else text
        finally:
            connection.close()


class Webhook(Elsewhere):
    def test_one_signed_post_for_each_call_that_waits(self):
        token, receiver = self.bot(message="Lists are private."), self.receiver()
        serve = self.hooked(receiver)
        before = int(time.time())
        approval = self.asked(serve, token, limit=3)
        path, headers, body = receiver.wait()
        self.assertEqual((path, headers["Content-Type"]), ("/hook?x=1", "application/json"))
        sent = json.loads(body)
        self.assertEqual(sent, json.loads(sluice("approvals", "show", approval, "--json", home=self.home, check=0).stdout))
        signature = dict(part.split("=", 1) for part in headers["Sluice-Signature"].split(","))
        self.assertLessEqual(before - 1, int(signature["t"]))
        self.assertLessEqual(int(signature["t"]), time.time() + 1)
        for key, same in ((KEY, True), (KEY + "x", False)):
            wanted = hmac.new(key.encode(), signature["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
            self.assertEqual(wanted == signature["v1"], same)
        self.assertNotIn(KEY, serve.output() + str(headers))
        self.asked(serve, token, limit=3)  # the same
        self.asked(serve, token, limit=4)  # another
        self.assertNotEqual(json.loads(receiver.wait(2)[2])["id"], approval)
        time.sleep(0.3)
        self.assertEqual(len(receiver.got), 2)

    def test_secrets_are_masked(self):
        policy = deny_all_but(proxy_add_rule={"require_approval": {}})
        token, receiver = self.grant("bot", policy), self.receiver()
        serve = self.hooked(receiver)
        self.call(serve, token, "proxy_add_rule", description="x", matcher={"urlPattern": "https://x.test/?api_key=s3cr3t-in-url"},
                  handler={"type": "mock", "status": 200, "headers": {"Authorization": "Bearer s3cr3t-in-head", "Set-Cookie": "a=s3cr3t-in-cookie"}})
        text = receiver.wait()[2].decode()
        self.assertIn("[redacted:", text)
        for place in ("url", "head", "cookie"):
            self.assertNotIn(f"s3cr3t-in-{place}", text)

    def test_three_tries_and_no_call_waits_for_them(self):
        token, receiver = self.bot(), self.receiver([500, 503, 204])
        serve = self.hooked(receiver)
        began = time.monotonic()
        self.asked(serve, token)
        self.assertLess(time.monotonic() - began, 2 * PATIENCE)
        bodies = {receiver.wait(3, 30)[2]}
        self.assertEqual(bodies, {got[2] for got in receiver.got})
        self.assertEqual(len(receiver.got), 3)

    def test_what_is_refused_or_led_elsewhere_is_told_and_not_tried_again(self):
        for status in (400, 302):
            with self.subTest(status):
                token, receiver = self.bot(name=f"bot{status}"), self.receiver([status])
                serve = self.hooked(receiver)
                self.asked(serve, token)
                receiver.wait()
                poll(lambda: f"it answered {status}" in serve.output(), 5, "the log")
                self.assertEqual([got[0] for got in receiver.got], ["/hook?x=1"])
                serve.stop()

    def test_nobody_there_keeps_nobody_from_deciding(self):
        token, port = self.bot(), free_port()
        serve = self.start("--approval-webhook", f"http://localhost:{port}/", "--approval-webhook-key", self.key())
        approval = self.asked(serve, token)
        self.decide("approve", approval)
        self.assertIn("exchanges", self.call(serve, token, "proxy_list_traffic")[1])
        poll(lambda: "approval_webhook" in serve.output(), 20, "the log")
        self.assertEqual(serve.stop(), 0)

    def test_https_needs_a_certificate_that_is_trusted(self):
        authority = TestAuthority(self.directory / "pki")
        certificate = authority.leaf("127.0.0.1")
        token, receiver = self.bot(), self.receiver(certificate=certificate)
        serve = self.hooked(receiver, "--upstream-ca", authority.pem, scheme="https")
        self.asked(serve, token)
        receiver.wait()
        serve.stop()
        serve = self.hooked(receiver, scheme="https")
        self.asked(serve, token, limit=9)
        poll(lambda: "not trusted" in serve.output(), 20, "the log")
        self.assertEqual(len(receiver.got), 1)

    def test_what_cannot_be_used_stops_the_start(self):
        good = self.key()
        for flags, words in ((["--approval-webhook", "http://127.0.0.1/"], "go together"), (["--approval-webhook-key", good], "go together"),
                             (["--approval-webhook", "http://example.com/", "--approval-webhook-key", good], "anybody can read"),
                             (["--approval-webhook", "ftp://127.0.0.1/", "--approval-webhook-key", good], "--approval-webhook")):
            done = sluice("serve", "--no-proxy", "--control-port", 0, *flags, home=self.home)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
        for text, mode, words in (("short", 0o600, "at least 16"), (KEY, 0o644, "can be read by others")):
            done = sluice("serve", "--no-proxy", "--control-port", 0, "--approval-webhook", "http://127.0.0.1/", "--approval-webhook-key", self.key(text, mode), home=self.home)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            self.assertNotIn(text, done.stderr)


def deny_all_but(**tools):
    return {"version": "1", "default": "deny", "tools": tools}


class AdminApi(Elsewhere):
    def open(self, **entry):
        self.token, self.port = self.bot(**entry), free_port()
        self.serve = self.start("--admin-api", self.port)
        return self.serve

    def test_decides_once_and_is_written_down(self):
        serve = self.open()
        one, two = self.asked(serve, self.token, limit=3), self.asked(serve, self.token, limit=4)
        status, rows = self.api(self.port, "GET", "/approvals")
        self.assertEqual((status, {row["id"] for row in rows}), (200, {one, two}))
        status, shown = self.api(self.port, "GET", f"/approvals/{one}")
        self.assertEqual((status, shown["arguments"]["limit"], shown["status"]), (200, 3, "pending"))
        self.assertEqual(self.api(self.port, "POST", f"/approvals/{one}/approve")[1]["status"], "approved")
        self.assertEqual(self.api(self.port, "POST", f"/approvals/{two}/deny")[1]["status"], "denied")
        self.assertIn("exchanges", self.call(serve, self.token, "proxy_list_traffic", limit=3)[1])
        self.assertIn("A person denied this call", self.call(serve, self.token, "proxy_list_traffic", limit=4)[1])
        for approval in (one, two):  # a replay decides nothing
            for verb in ("approve", "deny"):
                self.assertEqual(self.api(self.port, "POST", f"/approvals/{approval}/{verb}")[0], 409)
        lines = [(line["method"], line["grant"], line["approver"], line["approval"]) for line in self.audit() if line["method"].startswith("approvals/")]
        self.assertEqual(lines[:2], [("approvals/approve", "owner", "admin", one), ("approvals/deny", "owner", "admin", two)])

    def test_a38_nobody_gets_in_without_the_admin_credential(self):
        serve = self.open()
        approval = self.asked(serve, self.token)
        for secret in ("", "wrong", self.token, serve.token, self.admin + "x", self.admin[:-1]):
            for method, path in (("GET", "/approvals"), ("POST", f"/approvals/{approval}/approve"), ("GET", "/nothing"), ("PUT", "/approvals")):
                self.assertEqual(self.api(self.port, method, path, credential=secret), (401, "This needs the admin credential.\n"))
        self.assertEqual(self.api(self.port, "GET", f"/approvals/{approval}")[1]["status"], "pending")
        wrong = [line for line in self.audit() if line["rule"] == "(admin credential)"]
        self.assertTrue(wrong)
        self.assertLess(len(wrong), 10)
        for secret in (self.admin, self.token):
            self.assertNotIn(secret, serve.output())

    def test_a34_pages_and_other_names_are_refused(self):
        serve = self.open()
        approval = self.asked(serve, self.token)
        for headers in ({"Origin": "http://127.0.0.1"}, {"Origin": "null"}, {"Host": "evil.test"}, {"Host": f"evil.test:{self.port}"}):
            self.assertEqual(self.api(self.port, "POST", f"/approvals/{approval}/approve", **headers)[0], 403, headers)
        self.assertEqual(self.api(self.port, "GET", f"/approvals/{approval}")[1]["status"], "pending")

    def test_what_does_not_exist_is_late_or_has_ended_is_said(self):
        serve = self.open(timeout="2s")
        approval = self.asked(serve, self.token)
        for path, method, wanted in (("/approvals/apr_none", "GET", 404), ("/approvals/apr_none/approve", "POST", 404), ("/", "GET", 404),
                                     ("/approvalsx", "GET", 404), (f"/approvals/{approval}/burn", "POST", 404), (f"/approvals/{approval}/approve/x", "POST", 404),
                                     (f"/approvals/{approval}/approve", "GET", 405), ("/approvals", "POST", 405), ("/approvals/%2e%2e", "GET", 404)):
            self.assertEqual(self.api(self.port, method, path)[0], wanted, path)
        poll(lambda: self.api(self.port, "GET", f"/approvals/{approval}")[1]["status"] == "expired", 10, "its end")
        self.assertEqual(self.api(self.port, "POST", f"/approvals/{approval}/approve")[0], 410)
        approval = self.asked(serve, self.token)
        self.as_admin("grant", "revoke", "bot")
        self.assertIn(self.api(self.port, "POST", f"/approvals/{approval}/approve")[0], (403, 409))

    def test_it_is_there_only_if_it_is_asked_for_and_only_once(self):
        self.open()
        done = sluice("serve", "--no-proxy", "--control-port", 0, "--admin-api", self.port, home=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--admin-api", done.stderr)
        status, _, _ = self.serve.post(None, {"Authorization": f"Bearer {self.admin}"}, method="GET", path="/approvals")
        self.assertEqual(status, 404, "not on the agents' port")


class BehindTheGateway(GatewayCase):
    def test_a_call_of_another_server_is_announced_and_decided(self):
        receiver, port = Receiver(), free_port()
        self.addCleanup(receiver.close)
        self.home.mkdir()
        admin = sluice("grant", "admin", home=self.home, check=0).stdout.strip()
        key = self.directory / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        gateway = self.start({"version": "1", "default": "allow", "tools": {"echo": {"require_approval": {}}}}, "--admin-api", port,
                             "--approval-webhook", f"http://127.0.0.1:{receiver.port}/", "--approval-webhook-key", key)
        self.assertTrue(gateway.call("echo", text="x")["isError"])
        sent = json.loads(receiver.wait()[2])
        self.assertEqual((sent["tool"], sent["arguments"]["text"]), ("echo", "x"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", f"/approvals/{sent['id']}/approve", None, {"Authorization": f"Bearer {admin}"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.assertFalse(gateway.call("echo", text="x")["isError"])


class Page(Documented):
    def test_its_bot_approves(self):
        self.bash("(umask 077; sluice grant admin > admin)")
        port, hook = free_port(), free_port()
        made, start = blocks("admin-api.md", "sh")[0].strip().split("\n")
        self.bash(made)
        (self.home / "bot.py").write_text(blocks("admin-api.md", "python")[0].replace("9000", str(hook)).replace("8791", str(port)))
        (self.home / "p.json").write_text(json.dumps(deny_all_but(proxy_list_rules={"require_approval": {}})))
        (self.home / "p.json").chmod(0o600)
        bot = subprocess.Popen([sys.executable, "bot.py"], cwd=self.home, stderr=subprocess.DEVNULL, env=clean_environment())
        self.addCleanup(bot.wait)
        self.addCleanup(bot.kill)
        poll(lambda: reaches(hook), 10, "the bot")
        flags = start.removeprefix("sluice serve ").replace("9000", str(hook)).replace("8791", str(port)).replace(" webhook.key", f" {self.home}/webhook.key").split()
        serve = self.start("--policy", str(self.home / "p.json"), *flags)

        def runs():
            result = serve.rpc("tools/call", {"name": "proxy_list_rules", "arguments": {}}, "proxy_list_rules")
            return not result.get("isError")
        self.assertFalse(runs())
        poll(runs, 15, "the bot's approval")
        self.assertTrue(pathlib.Path(self.home / "webhook.key").exists())


def reaches(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 501
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    unittest.main()
