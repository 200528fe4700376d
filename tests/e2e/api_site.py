"""An HTTP API of 40 endpoints with a known description, for judging what Sluice infers of it: `ENDPOINTS` is the description, `ApiSite` the server,
`Caller` a client that asks for something new each time."""
import datetime
import hashlib
import http.server
import json
import random
import threading
import uuid

TOKEN = "site-access-token-0001"
STATES = ("pending", "paid", "shipped", "cancelled")
CURRENCIES = ("EUR", "USD", "GBP")
WORDS = ("red", "blue", "tall", "old", "wide", "soft", "fast", "thin", "dark", "pale")
THINGS = ("shoe", "lamp", "chair", "desk", "coat", "bike", "cup", "bag")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# (method, path, query names); what stands in braces is a parameter.
ENDPOINTS = [
    ("GET", "/v1/users", {"page", "limit", "sort"}), ("POST", "/v1/users", set()), ("GET", "/v1/users/{int}", set()),
    ("PATCH", "/v1/users/{int}", set()), ("DELETE", "/v1/users/{int}", set()), ("GET", "/v1/users/me", set()),
    ("GET", "/v1/users/{int}/orders", {"status"}), ("GET", "/v1/products", {"q", "tag[]"}), ("GET", "/v1/products/{slug}", set()),
    ("GET", "/v1/products/{slug}/reviews", {"page"}), ("POST", "/v1/products/{slug}/reviews", set()), ("GET", "/v1/products/featured", set()),
    ("GET", "/v1/orders", {"from", "to"}), ("POST", "/v1/orders", set()), ("GET", "/v1/orders/{uuid}", set()),
    ("POST", "/v1/orders/{uuid}/cancel", set()), ("GET", "/v1/orders/{uuid}/items/{int}", set()), ("GET", "/v1/categories", set()),
    ("GET", "/v1/categories/{int}", set()), ("GET", "/v1/categories/{int}/products", {"limit"}), ("GET", "/v1/carts/{ulid}", set()),
    ("PUT", "/v1/carts/{ulid}/items/{int}", set()), ("DELETE", "/v1/carts/{ulid}/items/{int}", set()), ("GET", "/v1/reports/daily/{date}", set()),
    ("GET", "/v1/reports/2023/summary", set()), ("GET", "/v1/reports/2024/summary", set()), ("GET", "/en/help", set()), ("GET", "/de/help", set()),
    ("POST", "/v1/auth/login", set()), ("POST", "/v1/auth/refresh", set()), ("POST", "/v1/auth/logout", set()), ("GET", "/v1/stats", set()),
    ("GET", "/v1/search", {"q", "type"}), ("GET", "/v1/messages/{big}", set()), ("GET", "/v1/files/{sha}", set()), ("HEAD", "/v1/files/{sha}", set()),
    ("POST", "/v1/uploads", set()), ("GET", "/v1/accounts/{email}/settings", set()), ("PUT", "/v1/accounts/{email}/settings", set()),
    ("GET", "/v1/health", set()),
]
# Members of JSON answers that have few values.
ENUMS = {"state": STATES, "currency": CURRENCIES, "kind": ("product", "order", "user"), "theme": ("dark", "light", "system")}


def day(rng):
    return (datetime.date(2023, 1, 1) + datetime.timedelta(days=rng.randrange(700))).isoformat()


def user(rng):
    return {"id": rng.randrange(1, 9999), "name": rng.choice(("Ann Bell", "Bo Carr", "Cy Dean")), "email": f"u{rng.randrange(999)}@example.com",
            "created": day(rng) + "T10:00:00Z", "admin": rng.random() < 0.5, "manager": rng.choice((None, rng.randrange(99)))}


def order(rng):
    return {"id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "state": rng.choice(STATES), "currency": rng.choice(CURRENCIES),
            "total": round(rng.random() * 100, 2), "placed": day(rng), "items": [item(rng) for _ in range(rng.randrange(3))],
            **({"note": "leave at the door"} if rng.random() < 0.4 else {})}


def item(rng):
    return {"sku": f"sku {rng.randrange(999)}", "count": rng.randrange(1, 9), "price": round(rng.random() * 50 + 0.01, 2)}


def product(rng):
    return {"slug": slug(rng), "title": f"A {rng.choice(WORDS)} {rng.choice(THINGS)}", "price": round(rng.random() * 50 + 0.01, 2),
            "currency": rng.choice(CURRENCIES), "tags": rng.sample(WORDS, rng.randrange(3)), "size": {"w": rng.randrange(9), "h": rng.randrange(9)}}


def slug(rng):
    return f"{rng.choice(WORDS)}-{rng.choice(THINGS)}-{rng.choice(WORDS)}"


def pages(rng, make):
    return {"items": [make(rng) for _ in range(rng.randrange(1, 4))], "total": rng.randrange(500), "next": rng.choice((None, "/next/page"))}


def answer(method, path, rng):
    """(status, body) for a path of ENDPOINTS; a body is JSON, or text where it is a str."""
    if path.endswith("/help"):
        return 200, "<html><body>help</body></html>"
    made = {
        "/v1/users": lambda: pages(rng, user) if method == "GET" else user(rng),
        "/v1/users/{int}": lambda: user(rng), "/v1/users/me": lambda: user(rng), "/v1/users/{int}/orders": lambda: pages(rng, order),
        "/v1/products": lambda: pages(rng, product), "/v1/products/{slug}": lambda: product(rng),
        "/v1/products/featured": lambda: {"until": day(rng), "picks": [slug(rng)]},
        "/v1/products/{slug}/reviews": lambda: {"stars": rng.randrange(1, 6), "text": "Good enough for me.", "at": day(rng)},
        "/v1/orders": lambda: pages(rng, order) if method == "GET" else order(rng), "/v1/orders/{uuid}": lambda: order(rng),
        "/v1/orders/{uuid}/cancel": lambda: order(rng), "/v1/orders/{uuid}/items/{int}": lambda: item(rng),
        "/v1/categories": lambda: [{"id": rng.randrange(99), "title": "A shelf of things"} for _ in range(rng.randrange(1, 4))],
        "/v1/categories/{int}": lambda: {"id": rng.randrange(99), "title": "A shelf of things", "parent": rng.choice((None, 4))},
        "/v1/categories/{int}/products": lambda: pages(rng, product),
        "/v1/carts/{ulid}": lambda: {"items": [item(rng)], "currency": rng.choice(CURRENCIES)},
        "/v1/carts/{ulid}/items/{int}": lambda: {"items": [item(rng)], "currency": rng.choice(CURRENCIES)},
        "/v1/reports/daily/{date}": lambda: {"day": day(rng), "visits": rng.randrange(9999), "rate": round(rng.random() + 0.001, 3)},
        "/v1/reports/2023/summary": lambda: {"visits": rng.randrange(9999)}, "/v1/reports/2024/summary": lambda: {"visits": rng.randrange(9999)},
        "/v1/auth/login": lambda: {"access_token": TOKEN, "token_type": "Bearer", "refresh_token": "site-refresh-token-1"},
        "/v1/auth/refresh": lambda: {"access_token": TOKEN, "token_type": "Bearer"},
        "/v1/stats": lambda: {str(rng.randrange(100, 999)): {"views": rng.randrange(99), "sales": rng.randrange(9)} for _ in range(4)},
        "/v1/search": lambda: {"hits": [{"kind": rng.choice(ENUMS["kind"]), "title": "Something found"}], "took": rng.randrange(90)},
        "/v1/messages/{big}": lambda: {"id": rng.randrange(10**12, 10**13), "text": "hello there"},
        "/v1/files/{sha}": lambda: {"bytes": rng.randrange(10**6), "at": day(rng)}, "/v1/uploads": lambda: {"id": rng.randrange(99), "at": day(rng)},
        "/v1/accounts/{email}/settings": lambda: {"theme": rng.choice(ENUMS["theme"]), "mails": rng.random() < 0.5},
        "/v1/health": lambda: {"ok": True},
    }
    if method == "DELETE" or path == "/v1/auth/logout":
        return 204, None
    return (201 if method == "POST" and path in ("/v1/users", "/v1/orders", "/v1/uploads") else 200), made[path]()


def request(method, path, rng):
    """(target, headers, body) of one new request to an endpoint."""
    values = {"int": lambda: str(rng.randrange(1, 9999)), "uuid": lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)), "slug": lambda: slug(rng),
              "ulid": lambda: "01" + "".join(rng.choice(CROCKFORD) for _ in range(24)), "date": lambda: day(rng),
              "big": lambda: str(rng.randrange(10**12, 10**13)), "sha": lambda: hashlib.sha256(rng.randbytes(8)).hexdigest(),
              "email": lambda: f"u{rng.randrange(999)}%40example.com"}
    target = path
    for name, value in values.items():
        while "{" + name + "}" in target:
            target = target.replace("{" + name + "}", value(), 1)
    queries = {"page": lambda: str(rng.randrange(1, 9)), "limit": lambda: "20", "sort": lambda: rng.choice(("name", "created")),
               "status": lambda: rng.choice(STATES), "q": lambda: rng.choice(WORDS), "from": lambda: day(rng), "to": lambda: day(rng),
               "type": lambda: rng.choice(ENUMS["kind"]), "tag[]": lambda: rng.choice(WORDS)}
    names = next(names for m, p, names in ENDPOINTS if (m, p) == (method, path))
    query = [f"{name}={queries[name]()}" for name in sorted(names) for _ in range(2 if name == "tag[]" else 1)]
    headers, body = {"Authorization": f"Bearer {TOKEN}"}, None
    if path in ("/v1/health", "/v1/auth/login") or path.endswith("/help"):
        headers = {}
    bodies = {"/v1/users": lambda: {"name": "Ann Bell", "email": "ann@example.com", "age": rng.randrange(18, 90)},
              "/v1/users/{int}": lambda: {"admin": rng.random() < 0.5}, "/v1/products/{slug}/reviews": lambda: {"stars": rng.randrange(1, 6), "text": "Good enough."},
              "/v1/orders": lambda: {"items": [item(rng)], "currency": rng.choice(CURRENCIES)}, "/v1/auth/login": lambda: {"user": "ann", "password": "site-password-1"},
              "/v1/auth/refresh": lambda: {"grant_type": "refresh_token", "refresh_token": "site-refresh-token-1"},
              "/v1/carts/{ulid}/items/{int}": lambda: {"count": rng.randrange(9)}, "/v1/accounts/{email}/settings": lambda: {"theme": rng.choice(ENUMS["theme"])}}
    if method in ("POST", "PUT", "PATCH") and path in bodies:
        headers["Content-Type"], body = "application/json", json.dumps(bodies[path]())
    if path == "/v1/uploads":
        headers["Content-Type"], body = "application/x-www-form-urlencoded", f"title=holiday&width={rng.randrange(900)}"
    return target + ("?" + "&".join(query) if query else ""), headers, body


class ApiSite:
    """Answers what the client says it will be asked (`X-Endpoint` never travels: the answer is looked up by method and target)."""

    def __init__(self):
        self.answers = {}
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = site.answers[self.command, self.path]
                text = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                if text:
                    self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def traffic(each, seed):
    """`each` requests to every endpoint, shuffled: (method, path, target, headers, body, status, answer)."""
    rng = random.Random(seed)
    made = []
    for method, path, _ in ENDPOINTS:
        for _ in range(each):
            target, headers, body = request(method, path, rng)
            made.append((method, path, target, headers, body, *answer(method, path, rng)))
    rng.shuffle(made)
    return made
