"""What a gateway does with a login as time goes on: tokens that end, are refused, are refreshed by several at once, and logins
that end (docs/gateway.md, "Logging in")."""
import collections
import time

from test_gateway_login import HELLO, LoginCase  # first: it says where the fakes are
from fakes.oauth_server import OAuthServer


class Refreshing(LoginCase):
    def test_a_token_is_refreshed_before_its_end_and_the_refresh_token_rotates(self):
        server = self.serve()
        self.authority.lifetime = 4
        self.log_in(server)
        gateway = self.open(server)
        until = time.monotonic() + 9
        while time.monotonic() < until:
            self.assertEqual(gateway.text("echo"), "{}")
            time.sleep(0.2)
        used = [r["form"]["refresh_token"] for r in self.authority.refreshes()]
        self.assertGreaterEqual(len(used), 2)
        self.assertEqual(len(used), len(set(used)))
        self.assertFalse(self.authority.used)
        self.assertEqual(server.refused, 1)  # at the door of the login

    def test_a_refused_token_is_refreshed_once_and_the_call_runs_once(self):
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        self.expire()
        self.assertEqual(gateway.text("echo", x=1), '{"x": 1}')
        self.assertEqual(len(self.authority.refreshes()), 1)
        self.assertEqual(self.authority.refreshes()[0]["form"]["resource"], server.url)
        self.assertEqual(gateway.end(), 0)
        self.assertEqual(self.open(server).text("echo"), "{}")  # what was refreshed is kept
        self.assertEqual(len(self.authority.refreshes()), 1)

    def test_a_refresh_token_that_does_not_rotate_is_kept(self):
        self.authority.rotates = False
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        for _ in range(2):
            self.expire()
            gateway.call("echo")
        self.assertEqual(len({r["form"]["refresh_token"] for r in self.authority.refreshes()}), 1)

    def test_a_revoked_login_says_what_to_do_and_asks_no_more(self):
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        self.authority.revoke()
        for _ in range(3):
            message = gateway.ask("tools/call", {"name": "echo"})["error"]["message"]
            self.assertIn("HTTP 401", message)
            self.assertIn("sluice gateway login files", message)
        self.assertEqual(len(self.authority.refreshes()), 1)
        gateway.wait_for_error("has ended: run `sluice gateway login files")
        self.assertNotIn("hush", "".join(gateway.errors))
        self.log_in(server)
        self.assertEqual(gateway.text("echo"), "{}")

    def test_a_server_that_always_refuses_is_asked_twice(self):
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        self.assertEqual(gateway.text("echo"), "{}")
        before, server.authority = len(server.requests), OAuthServer()
        self.addCleanup(server.authority.close)
        gateway.ask("tools/call", {"name": "echo"})
        asked = collections.Counter(one["message"]["method"] for one in server.requests[before:] if one["message"])
        self.assertEqual(set(asked.values()), {2}, asked)  # the list comes before the call

    def test_an_authorization_server_that_is_busy_is_asked_again_later(self):
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        self.authority.status = 503
        self.expire()
        self.assertIn("HTTP 401", gateway.ask("tools/call", {"name": "echo"})["error"]["message"])
        gateway.wait_for_error("refreshing the login: HTTP 503")
        gateway.ask("tools/call", {"name": "echo"})
        self.assertEqual(len(self.authority.refreshes()), 1)
        self.authority.status = None
        time.sleep(5.1)
        self.assertEqual(gateway.text("echo"), "{}")

    def test_many_calls_and_many_gateways_refresh_once(self):
        server = self.serve()
        self.authority.slow = 0.3
        self.log_in(server)
        gateways = [self.open(server) for _ in range(3)]
        self.expire()
        begun = [(gateway, {gateway.begin("tools/call", {"name": "echo"}) for _ in range(5)}) for gateway in gateways]
        for gateway, numbers in begun:
            while numbers:  # they come in any order
                answer = gateway.next(lambda message: message.get("id") in numbers)
                self.assertIn("result", answer)
                numbers.remove(answer["id"])
        self.assertEqual(len(self.authority.refreshes()), 1)
        self.assertFalse(self.authority.used)

    def test_a_damaged_login_is_said_and_is_none(self):
        server = self.serve()
        self.log_in(server)
        (stored,) = self.logins()
        octets = bytearray(stored.read_bytes())
        octets[-1] ^= 1
        stored.write_bytes(octets)
        gateway = self.open(server, initialize=False)
        self.assertIn("damaged", gateway.ask("initialize", HELLO)["error"]["message"])
        gateway.wait_for_error("damaged")
        self.assertFalse([r for r in server.requests if "Authorization" in r["headers"]])
