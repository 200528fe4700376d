"""`sluice gateway login`, and what a gateway does with the login: through the real program, with an authorization server and an
MCP server of our own, and the test as the browser (docs/gateway.md; RFC 9728, 8414, 7591, 7636, 8707, 9207)."""
import json
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import PATIENCE, SLUICE, TestAuthority, clean_environment, free_port, run  # first: it says where the fakes are
from fakes.http_mcp_server import HttpMcpServer
from fakes.oauth_server import GuardedMcpServer, OAuthServer
from test_gateway import ALLOW, GatewayCase

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def browse(url, context=None):
    """Follows redirects, as a browser does; status and text of the last page."""
    try:
        with urllib.request.urlopen(url, timeout=20, context=context) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def parameters(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


class Login:
    """A `sluice gateway login` that runs. `url`: what it shows, None where it ends before."""

    def __init__(self, case, server, *flags, name="files"):
        where = server if isinstance(server, str) else server.url
        arguments = [SLUICE, "gateway", "login", name, "--home", case.home, "--upstream", where, *flags]
        self.process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=clean_environment())
        case.addCleanup(self.close)
        self.out, self.url = "", None
        for line in self.process.stdout:
            self.out += line
            if line.startswith("http"):
                self.url = line.strip()
                break

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self):
        out, self.error = self.process.communicate(timeout=30 * PATIENCE)
        self.out += out
        return self.process.returncode

    @property
    def callback(self):
        return parameters(self.url)["redirect_uri"]


class LoginCase(GatewayCase):
    def setUp(self):
        super().setUp()
        self.authority = OAuthServer()
        self.addCleanup(self.authority.close)

    def serve(self, *args, **kwargs):
        server = GuardedMcpServer(self.authority, *args, **kwargs)
        self.addCleanup(server.close)
        return server

    def log_in(self, server, *flags, **kwargs):
        login = Login(self, server, *flags, **kwargs)
        self.assertTrue(login.url, login.process.stderr.read() if not login.url else "")
        self.assertEqual(browse(login.url)[0], 200)
        self.assertEqual(login.end(), 0, login.error)
        return login

    def fails(self, login, words):
        """Its end without a login."""
        self.assertEqual(login.end(), 1)
        self.assertIn(words, login.error)
        self.assertNotIn("hush", login.out + login.error)
        self.assertFalse(self.logins())

    def audited(self):
        lines = [json.loads(line) for path in sorted(self.home.glob("audit/*.jsonl")) for line in path.read_text().splitlines()]
        return [line for line in lines if line["type"] == "decision"]

    def logins(self):
        return [path for path in self.home.glob("logins/*") if path.suffix != ".lock"]

    def open(self, server, *flags, name="files", **kwargs):
        return self.start(ALLOW, "--name", name, *flags, upstream=server if isinstance(server, str) else server.url, **kwargs)

    def expire(self):
        """What was issued until now is taken no more; refresh tokens are."""
        self.authority.valid.clear()


class Flow(LoginCase):
    def test_a_login_is_found_made_kept_and_used(self):
        server = self.serve()
        login = self.log_in(server)
        asked = parameters(login.url)
        self.assertEqual((asked["response_type"], asked["code_challenge_method"], asked["resource"]), ("code", "S256", server.url))
        self.assertRegex(asked["redirect_uri"], r"^http://127\.0\.0\.1:\d+/callback$")
        self.assertGreaterEqual(len(asked["state"]), 43)
        self.assertEqual(self.authority.of("/token")[0]["form"]["resource"], server.url)
        registered = json.loads(self.authority.of("/register")[0]["body"])
        self.assertEqual((registered["application_type"], registered["redirect_uris"]), ("native", [asked["redirect_uri"]]))
        gateway = self.open(server)
        self.assertEqual(gateway.text("echo", x=1), '{"x": 1}')
        self.assertTrue(server.listening.wait(10))
        self.assertEqual(gateway.end(), 0)
        taken = [r for r in server.requests if r["path"] == "/mcp" and "Authorization" in r["headers"]]
        self.assertLess({"POST", "GET", "DELETE"}, {r["method"] for r in taken} | {""})
        self.assertEqual({r["headers"]["Authorization"] for r in taken}, {"Bearer " + token for token in self.authority.valid})

    def test_its_secrets_stand_nowhere(self):
        server = self.serve()
        login = self.log_in(server)
        gateway = self.open(server)
        gateway.call("echo")
        arguments = pathlib.Path(f"/proc/{gateway.process.pid}/cmdline").read_text()
        self.assertEqual(gateway.end(), 0)
        kept = b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file()).decode(errors="replace")
        status = subprocess.run([SLUICE, "gateway", "status", "--home", self.home, "--json"], capture_output=True, text=True).stdout
        for place in (login.out, login.error, arguments, "".join(gateway.errors), kept, status):
            self.assertNotIn("hush", place)
        for path in [*self.logins(), self.home / "logins.key"]:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual((self.home / "logins").stat().st_mode & 0o777, 0o700)

    def test_metadata_are_found_where_the_server_does_not_say_where(self):
        for root in (False, True):
            with self.subTest(root=root):
                self.log_in(self.serve(hints=False, root=root))

    def test_an_issuer_with_a_path_and_one_of_openid(self):
        for place in ("/.well-known/oauth-authorization-server/t", "/.well-known/openid-configuration/t",
                      "/t/.well-known/openid-configuration"):
            with self.subTest(place):
                self.authority = OAuthServer("/t")
                self.addCleanup(self.authority.close)
                self.authority.metadata_path = place
                self.log_in(self.serve())

    def test_a_client_that_somebody_registered_with_its_secret(self):
        server = self.serve()
        del self.authority.metadata["registration_endpoint"]
        self.fails(Login(self, server), "--client-id")
        self.authority.clients["ours"] = {"secret": "hush-client"}
        path = self.directory / "secret"
        path.write_text("hush-client\n")
        path.chmod(0o644)
        self.fails(Login(self, server, "--client-id", "ours", "--client-secret-file", path), "read by others")
        path.chmod(0o600)
        port = free_port()
        login = self.log_in(server, "--client-id", "ours", "--client-secret-file", path, "--redirect-port", port)
        self.assertEqual(login.callback, f"http://127.0.0.1:{port}/callback")
        self.expire()
        self.assertEqual(self.open(server).text("echo"), "{}")  # refreshed, with the secret
        self.assertTrue(all("client_secret" not in r["form"] for r in self.authority.of("/token")))

    def test_scopes_are_the_servers_or_those_that_are_given(self):
        server = self.serve()
        server.metadata["scopes_supported"] = ["read", "write"]
        self.authority.metadata["scopes_supported"] = ["offline_access"]
        self.assertEqual(parameters(self.log_in(server).url)["scope"], "read write offline_access")
        self.assertEqual(parameters(self.log_in(server, "--scope", "mine").url)["scope"], "mine offline_access")

    def test_a_login_belongs_to_its_name_and_its_url(self):
        server, other = self.serve(), self.serve()
        self.log_in(server)
        for gateway in (self.open(server, name="else", initialize=False), self.open(other, initialize=False)):
            self.assertIn("sluice gateway login", gateway.ask("initialize", HELLO)["error"]["message"])
        self.assertFalse([r for r in other.requests if "Authorization" in r["headers"]])

    def test_without_a_login_it_says_what_to_do_and_takes_one_up_while_it_runs(self):
        server = self.serve()
        gateway = self.open(server, initialize=False)
        advice = f"run `sluice gateway login files --upstream {server.url}`"
        self.assertIn(advice, gateway.ask("initialize", HELLO)["error"]["message"])
        gateway.wait_for_error("wants a login: " + advice)
        self.log_in(server)
        self.assertIn("serverInfo", gateway.ask("initialize", HELLO)["result"])

    def test_a_logout_counts_for_a_running_gateway_too(self):
        server = self.serve()
        self.log_in(server)
        gateway = self.open(server)
        gateway.call("echo")
        command = [SLUICE, "gateway", "logout", "files", "--home", self.home]
        self.assertEqual(subprocess.run(command, capture_output=True).returncode, 0)
        self.assertFalse(self.logins())
        time.sleep(1.1)
        self.assertIn("HTTP 401", gateway.ask("tools/call", {"name": "echo"})["error"]["message"])
        again = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((again.returncode, "nobody is logged in" in again.stderr), (1, True))

    def test_what_is_given_by_hand_goes_before_a_login(self):
        server = self.serve()
        self.log_in(server)
        self.authority.valid.add("by-hand")
        self.open(server, env={"SLUICE_UPSTREAM_TOKEN": "by-hand"}).call("echo")
        self.assertEqual({r["headers"]["Authorization"] for r in server.of("tools/call")}, {"Bearer by-hand"})

    def test_several_servers_have_a_login_each(self):
        server = self.serve()
        policy = self.write(ALLOW)
        path = self.directory / "servers.json"
        path.write_text(json.dumps({"mcpServers": {"web": {"url": server.url, "policy": str(policy)}}}))
        arguments = [SLUICE, "gateway", "login", "web", "--home", self.home, "--config", path]
        process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        url = next(line for line in process.stdout if line.startswith("http"))
        self.assertEqual(browse(url)[0], 200)
        self.assertEqual(process.wait(20), 0)
        gateway = self.start(ALLOW, config=path)
        self.assertEqual(gateway.text("web__echo"), "{}")



class Audited(LoginCase):
    def log_out(self, *flags, code=0):
        done = run(SLUICE, "gateway", "logout", "files", "--home", self.home, *flags)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_a_login_and_a_logout_leave_a_line_each_without_a_token(self):
        server = self.serve()
        self.log_in(server)
        self.log_out()
        lines = self.audited()
        self.assertEqual([(line["method"], line["tool"], line["grant"], line["decision"], line["outcome"]) for line in lines],
                         [("gateway/login", "files", "owner", "allow", "none"), ("gateway/logout", "files", "owner", "allow", "none")])
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
        for path in self.home.glob("audit*/*"):
            self.assertNotIn("hush", path.read_text(errors="replace"))
        done = run(SLUICE, "audit", "verify", "--home", self.home)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_did_not_happen_leaves_none(self):
        self.log_out(code=1)
        self.authority.answer = lambda parameters: {**parameters, "state": "another"}
        login = Login(self, self.serve(), "--wait", "2")
        browse(login.url)
        self.fails(login, "nobody came back")
        self.assertFalse(self.audited())

    def test_without_a_log_there_is_no_login(self):
        (self.home / "audit.key").mkdir(mode=0o700, parents=True)
        self.home.chmod(0o700)
        login = Login(self, self.serve())
        browse(login.url)
        self.fails(login, "audit.key")


class OverTls(LoginCase):
    """The server and its authorization server, as they are met outside of tests."""

    def setUp(self):
        super().setUp()
        self.pki = TestAuthority(self.directory / "pki")
        self.context = self.pki.server_context("localhost", alpn=None)
        self.authority = OAuthServer(context=self.context)
        self.addCleanup(self.authority.close)
        self.browser = ssl.create_default_context(cafile=self.pki.pem)

    def test_a_login_is_made_and_used_where_the_authority_is_trusted(self):
        server = self.serve(context=self.context)
        login = Login(self, server, "--upstream-ca", self.pki.pem)
        self.assertTrue(login.url and login.url.startswith(self.authority.origin), login.out)
        self.assertEqual(browse(login.url, self.browser)[0], 200)
        self.assertEqual(login.end(), 0, login.error)
        self.assertIn(f"files is logged in at {self.authority.issuer}", login.out)
        gateway = self.open(server, "--upstream-ca", self.pki.pem)
        self.assertEqual(gateway.text("echo", x=1), '{"x": 1}')
        self.expire()
        self.assertEqual(gateway.text("echo", x=2), '{"x": 2}')
        self.assertEqual(len(self.authority.refreshes()), 1)
        self.assertEqual(gateway.end(), 0)

    def test_without_the_authority_nothing_is_said_to_either(self):
        server = self.serve(context=self.context)
        login = Login(self, server)
        self.assertIsNone(login.url)
        self.fails(login, "is not trusted")
        self.assertFalse(server.requests + self.authority.requests)

    def test_an_authorization_server_that_another_authority_vouches_for_is_not_asked(self):
        stranger = TestAuthority(self.directory / "stranger", "Stranger")
        other = OAuthServer(context=stranger.server_context("localhost", alpn=None))
        self.addCleanup(other.close)
        server = GuardedMcpServer(other, context=self.context)
        self.addCleanup(server.close)
        login = Login(self, server, "--upstream-ca", self.pki.pem)
        self.assertIsNone(login.url)
        self.fails(login, "is not trusted")
        self.assertFalse(other.requests)


class Attacks(LoginCase):
    def test_an_answer_with_another_state_is_refused_and_ends_nothing(self):
        login = Login(self, self.serve())
        for query in ("code=evil&state=wrong", "code=evil", "", f"code=evil&state={parameters(login.url)['state']}&state=x"):
            self.assertEqual(browse(f"{login.callback}?{query}")[0], 400)
        self.assertEqual(browse(login.callback.replace("/callback", "/else"))[0], 404)
        self.assertEqual(browse(login.url)[0], 200)
        self.assertEqual(login.end(), 0)
        self.assertNotIn("evil", [r["form"].get("code") for r in self.authority.of("/token")])

    def test_too_many_of_them_end_it(self):
        login = Login(self, self.serve())
        for _ in range(32):
            browse(login.callback + "?code=evil&state=wrong")
        self.fails(login, "too many answers")

    def test_an_answer_of_another_issuer_gives_no_code_away(self):
        for change in ({"iss": "http://127.0.0.1:1"}, {"iss": None}, {"iss": "http://127.0.0.1:1", "error": "told"}):
            with self.subTest(change):
                self.authority.answer = lambda given, change=change: {k: v for k, v in {**given, **change}.items() if v is not None}
                login = Login(self, self.serve())
                browse(login.url)
                self.fails(login, "(`iss`)")
                self.assertNotIn("told", login.error)
        self.assertFalse(self.authority.of("/token"))

    def test_mixed_up_servers_are_told_apart(self):
        # The server that is logged in at is honest's, whose answer comes to a login that evil began.
        honest = OAuthServer()
        self.addCleanup(honest.close)
        self.authority.metadata.update(authorization_endpoint=honest.origin + "/authorize",
                                       authorization_response_iss_parameter_supported=False)
        login = Login(self, self.serve())
        browse(login.url)
        self.fails(login, "(`iss`)")
        self.assertFalse(self.authority.of("/token"))

    def test_metadata_of_another_issuer_or_of_another_server_are_not_used(self):
        server = self.serve()
        self.authority.metadata["issuer"] = "https://honest.example"
        self.fails(Login(self, server), "another one's (`issuer`)")
        self.authority.metadata["issuer"] = self.authority.issuer
        server.metadata["resource"] = "https://honest.example/mcp"
        self.fails(Login(self, server), "of another server (`resource`)")

    def test_without_S256_there_is_no_login(self):
        server = self.serve()
        for methods in (["plain"], None):
            self.authority.metadata["code_challenge_methods_supported"] = methods
            self.fails(Login(self, server), "PKCE with S256")
        self.assertFalse(self.authority.of("/authorize"))

    def test_endpoints_in_the_clear_or_of_the_link_are_not_gone_to(self):
        server = self.serve()
        for member, wrong in (("token_endpoint", "http://192.0.2.1/token"), ("authorization_endpoint", "https://169.254.169.254/"),
                              ("registration_endpoint", "file:///etc/passwd")):
            with self.subTest(member):
                kept = dict(self.authority.metadata)
                self.authority.metadata[member] = wrong
                self.fails(Login(self, server), member)
                self.authority.metadata = kept
        server.metadata["authorization_servers"] = ["http://169.254.169.254"]
        self.fails(Login(self, server), "not https")
        server.metadata_url = "http://192.0.2.1/x"
        self.fails(Login(self, server), "not https")

    def test_a_server_elsewhere_is_reached_by_https_alone(self):
        self.fails(Login(self, "http://192.0.2.1/mcp"), "not https")

    def test_a_refusal_and_an_answer_that_does_not_come(self):
        self.authority.answer = lambda given: {"state": given["state"], "iss": given["iss"], "error": "access_denied"}
        login = Login(self, self.serve())
        browse(login.url)
        self.fails(login, "refused: access_denied")
        self.fails(Login(self, self.serve(), "--wait", "1"), "nobody came back")

    def test_there_is_one_answer(self):
        self.authority.slow = 1
        login = Login(self, self.serve())
        browse(login.url)
        state = parameters(login.url)["state"]
        self.assertEqual(browse(f"{login.callback}?code=evil&state={state}")[0], 410)
        self.assertEqual(login.end(), 0)

    def test_a_server_that_wants_no_login_is_told(self):
        open_to_all = HttpMcpServer("json")
        self.addCleanup(open_to_all.close)
        self.fails(Login(self, open_to_all), "wants no login")

    def test_a_server_that_does_not_say_where_has_it_said(self):
        server = self.serve(hints=False)
        server.metadata_url = "http://127.0.0.1/nowhere"
        self.fails(Login(self, server), "--issuer URL")
        self.log_in(server, "--issuer", self.authority.issuer)

    def test_wrong_usage(self):
        for flags in (["Wrong_Name", "--upstream", "https://a.example/"], ["files"], ["files", "--upstream", "https://a.example/",
                      "--scope", "a\"b"], ["files", "--upstream", "https://a.example/", "--client-secret-file", "/dev/null"]):
            with self.subTest(flags):
                done = subprocess.run([SLUICE, "gateway", "login", "--home", self.home, *flags], capture_output=True)
                self.assertEqual(done.returncode, 2)
