"""An authorization server (OAuth 2.1 with PKCE, registration and refresh tokens that rotate), and an MCP server that takes its
tokens alone. The test is the browser: it goes to the URL that was shown.

    with OAuthServer() as authority, GuardedMcpServer(authority) as server: … server.url, authority.requests

What either says can be changed: `authority.metadata`, `server.metadata`, `authority.answer` (what becomes of the redirect)."""
import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse

from fakes.http_mcp_server import Handler, HttpMcpServer, Server


class AuthorityHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, value=None, **headers):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, body=""):
        url = urllib.parse.urlsplit(self.path)
        form = dict(urllib.parse.parse_qsl(body or url.query, keep_blank_values=True))
        authority = self.server.fake
        authority.requests.append({"path": url.path, "form": form, "headers": dict(self.headers.items()), "body": body})
        return authority, url.path, form

    def do_GET(self):
        authority, path, form = self.note()
        if path == authority.metadata_path:
            return self.reply(200, authority.metadata)
        if path == "/authorize":
            return self.authorize(authority, form)
        return self.reply(404)

    def authorize(self, authority, form):
        code = secrets.token_urlsafe(8)
        authority.codes[code] = form
        answer = authority.answer({"code": code, "state": form.get("state", ""), "iss": authority.issuer})
        return self.reply(302, Location=form["redirect_uri"] + "?" + urllib.parse.urlencode(answer))

    def do_POST(self):
        authority, path, form = self.note(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if path == "/register":
            return self.reply(*authority.register(json.loads(authority.requests[-1]["body"])))
        if path == "/token":
            time.sleep(authority.slow)
            with authority.lock:
                return self.reply(*authority.token(form, self.headers.get("Authorization", "")))
        return self.reply(404)


class OAuthServer:
    """`context`: over TLS, as localhost."""

    def __init__(self, path="", context=None):
        self.requests, self.codes, self.clients = [], {}, {}
        self.valid, self.refreshable, self.used = set(), {}, set()  # tokens
        self.lifetime, self.slow, self.rotates, self.lock = 3600, 0, True, threading.Lock()
        self.status = None  # of each refresh, instead of an answer
        self.answer = lambda parameters: parameters
        self.http = Server(("127.0.0.1", 0), AuthorityHandler)
        self.http.daemon_threads = True
        self.http.fake = self
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.origin = f"{'https://localhost' if context else 'http://127.0.0.1'}:{self.http.server_port}"
        self.issuer = self.origin + path
        self.metadata_path = "/.well-known/oauth-authorization-server" + path
        self.metadata = {"issuer": self.issuer, "authorization_endpoint": self.origin + "/authorize",
                         "token_endpoint": self.origin + "/token", "registration_endpoint": self.origin + "/register",
                         "code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"],
                         "authorization_response_iss_parameter_supported": True}
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def of(self, path):
        return [request for request in self.requests if request["path"] == path]

    def refreshes(self):
        return [request for request in self.of("/token") if request["form"]["grant_type"] == "refresh_token"]

    def register(self, request):
        client = "client-" + secrets.token_hex(4)
        self.clients[client] = request
        return 201, {"client_id": client, **request}

    def token(self, form, authorization):
        client = form.get("client_id", "")
        if authorization:
            client, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            if self.clients.get(client, {}).get("secret") != secret:
                return 401, {"error": "invalid_client"}
        if client not in self.clients:
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            return self.refresh(form, client)
        asked = self.codes.pop(form["code"], None)
        if not asked or asked["client_id"] != client or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, self.issue(client, asked["resource"])

    def refresh(self, form, client):
        if self.status:
            return self.status, {"error": "temporarily_unavailable"}
        old = form["refresh_token"]
        if self.refreshable.get(old) != (client, form["resource"]):
            self.used.add(old)
            return 400, {"error": "invalid_grant"}
        if self.rotates:
            del self.refreshable[old]
        return 200, self.issue(client, form["resource"])

    def issue(self, client, resource):
        access, refresh = "hush-access-" + secrets.token_hex(8), "hush-refresh-" + secrets.token_hex(8)
        self.valid.add(access)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        if self.rotates or not self.refreshable:
            self.refreshable[refresh] = (client, resource)
            answer["refresh_token"] = refresh
        return answer

    def revoke(self):
        self.valid.clear()
        self.refreshable.clear()


class GuardedHandler(Handler):
    def is_known(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ") in self.fake.authority.valid

    def turn_away(self):
        fake = self.fake
        self.note(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        self.fake.refused += 1
        challenge = f'Bearer error="invalid_token", resource_metadata="{fake.metadata_url}"' if fake.hints else "Bearer"
        return self.reply(401, {"error": "unauthorized"}, WWW_Authenticate=challenge)

    def do_GET(self):
        if self.path == urllib.parse.urlsplit(self.fake.metadata_url).path:
            self.note()
            return self.reply(200, self.fake.metadata)
        if self.path.startswith("/.well-known/"):
            self.note()
            return self.reply(404)
        return super().do_GET() if self.is_known() else self.turn_away()

    def do_POST(self):
        return super().do_POST() if self.is_known() else self.turn_away()

    def do_DELETE(self):
        return super().do_DELETE() if self.is_known() else self.turn_away()


class GuardedMcpServer(HttpMcpServer):
    handler = GuardedHandler

    def __init__(self, authority, mode="", hints=True, root=False, context=None):
        super().__init__(mode, context=context)
        self.authority, self.hints, self.refused = authority, hints, 0
        origin = self.url.removesuffix("/mcp")
        self.metadata_url = origin + "/.well-known/oauth-protected-resource" + ("" if root else "/mcp")
        self.metadata = {"resource": origin if root else self.url, "authorization_servers": [authority.issuer]}
