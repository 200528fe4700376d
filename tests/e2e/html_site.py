"""A shop of HTML pages: a login form with a hidden token that is new on every page, cookies, a cart, and an answer in JSON."""
import html
import http.server
import json
import secrets
import threading
import urllib.parse

PASSWORD = "shop-password-1"
PRODUCTS = {"red-teapot": 20, "blue-kettle": 35, "green-cup": 5, "brown-spoon": 3, "white-plate": 8, "black-pan": 49}


def page(title, body, token=""):
    meta = f'<meta name="api-token" content="{html.escape(token)}">' if token else ""
    return f"<!doctype html><html><head><title>{title}</title>{meta}</head><body><h1>{title}</h1>{body}</body></html>"


class HtmlShop:
    def __init__(self):
        shop = self
        self.forms, self.sessions, self.requests = set(), {}, []
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                with shop.lock:
                    shop.requests.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                    status, text, fields = shop.answer(self.command, self.path, self.headers, body)
                octets = text.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **fields, "Content-Length": str(len(octets))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(octets)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def form(self):
        """A hidden token, good once. It has a character that HTML escapes and one that forms do."""
        token = secrets.token_hex(8) + "&+" + secrets.token_hex(2)
        self.forms.add(token)
        return f'<input type="hidden" name="csrf_token" value="{html.escape(token)}">'

    def answer(self, method, target, headers, body):
        path = target.split("?")[0]
        form = dict(urllib.parse.parse_qsl(body))
        cookies = dict(part.strip().split("=", 1) for part in (headers.get("Cookie") or "").split(";") if "=" in part)
        user = self.sessions.get(cookies.get("shop_sid"))
        if path == "/login":
            if method == "GET":
                return 200, page("Log in", f'<form method="post">{self.form()}<input name="user"><input name="password" type="password"></form>'), {}
            if form.get("password") != PASSWORD or form.get("csrf_token") not in self.forms:
                return 403, page("Log in", "<p>Wrong.</p>"), {}
            self.forms.discard(form["csrf_token"])
            sid = secrets.token_hex(12)
            self.sessions[sid] = {"cart": [], "token": secrets.token_hex(10)}
            return 303, "", {"Location": "/account", "Set-Cookie": f"shop_sid={sid}; Path=/; HttpOnly"}
        if path.startswith("/products/"):
            name = path.split("/")[2]
            if name not in PRODUCTS:
                return 404, page("Not here", ""), {}
            return 200, page(name, f'<p class="price">{PRODUCTS[name]}</p><ul><li>in stock</li></ul>'), {}
        if not user:
            return 302, "", {"Location": "/login"}
        if path == "/account":
            return 200, page("Hello ann", "<p id=greeting>Welcome back, ann.</p>", user["token"]), {}
        if path == "/cart" and method == "GET":
            items = "".join(f"<li class=item>{name}</li>" for name in user["cart"])
            return 200, page("Cart", f'<ul id="cart">{items}</ul><form method="post">{self.form()}</form>'), {}
        if path == "/cart":
            if form.get("csrf_token") not in self.forms:
                return 403, page("Cart", "<p>Wrong.</p>"), {}
            user["cart"].append(form["product"])
            return 303, "", {"Location": "/cart"}
        if path == "/api/total" and headers.get("X-Api-Token") == user["token"]:
            return 200, json.dumps({"total": sum(PRODUCTS[name] for name in user["cart"]), "items": user["cart"]}), {"Content-Type": "application/json"}
        return 403, page("No", ""), {}

    def forget_sessions(self):
        with self.lock:
            self.sessions.clear()
            self.forms.clear()
            self.requests.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
