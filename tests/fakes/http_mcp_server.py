"""An MCP server over HTTP for tests of the gateway: both eras of Streamable HTTP, or HTTP+SSE of 2024-11-05, with tools that
do to the transport what their names say. What it received is kept as it came.

    with HttpMcpServer() as server: … server.url, server.requests, server.push({...})

`mode`: `json` (no streams but where a tool wants one), `nosession`, `sse` (HTTP+SSE), `foreign` (the same, with an endpoint of
another origin), `nothing` (every POST is 404), `legacy`, `modern` (that era of MCP alone)."""
import http.server
import json
import queue
import threading
import time

MARKED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "text": {"type": "string"}}}
PLAIN = {"type": "object", "properties": {"text": {"type": "string"}}}
NAMES = ["echo", "stream", "endless", "html", "redirect", "dies", "resume", "gzip", "wait", "unavailable", "lost", "huge", "asks",
         "nothing", "denied", "garbage", "batch"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def fake(self):
        return self.server.fake

    def note(self, body=""):
        self.message = json.loads(body) if body else {}
        self.fake.requests.append({"method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                                   "body": body, "message": self.message, "port": self.client_address[1]})

    def reply(self, status, body=b"", content_type="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self, **headers):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, octets):
        octets = octets if isinstance(octets, bytes) else octets.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(octets), octets))
        self.wfile.flush()

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")

    def event(self, message, number=None):
        self.chunk(("" if number is None else f"id: {number}\n") + f"data: {json.dumps(message)}\n\n")

    def result(self, value, number=None):
        return {"jsonrpc": "2.0", "id": self.message["id"] if number is None else number, "result": value}

    def text(self, words):
        modern = "_meta" in self.message.get("params", {})
        return self.result({"content": [{"type": "text", "text": words}], **({"resultType": "complete"} if modern else {})})

    # --- requests ---

    def do_DELETE(self):
        self.note()
        self.reply(200)

    def do_GET(self):
        self.note()
        if self.fake.mode in ("sse", "foreign"):
            return self.serve_sse()
        if "Last-Event-ID" in self.headers and self.headers["Last-Event-ID"].startswith("resume-"):
            self.begin_stream()
            self.event({"jsonrpc": "2.0", "id": self.fake.resumed, "result": {"content": [{"type": "text", "text": "resumed"}]}})
            return self.end_stream()
        if self.fake.mode == "json":
            return self.reply(405)
        self.begin_stream()
        self.fake.listening.set()
        while True:
            message = self.fake.pushed.get()
            if message is None:
                return self.end_stream()
            self.event(message, number=f"get-{time.monotonic_ns()}")

    def serve_sse(self):
        self.begin_stream()
        path = "/messages?session=1" if self.fake.mode == "sse" else "http://127.0.0.2:1/messages"
        self.chunk(f"event: endpoint\ndata: {path}\n\n")
        self.fake.listening.set()
        while True:
            message = self.fake.pushed.get()
            if message is None:
                return self.end_stream()
            self.event(message)

    def do_POST(self):
        self.note(self.rfile.read(int(self.headers["Content-Length"])).decode())
        fake = self.fake
        if fake.mode == "nothing" or (fake.mode in ("sse", "foreign") and self.path == "/mcp"):
            return self.reply(404, b"no such page", "text/html")
        if fake.mode == "sse":
            self.reply(202)
            answer = self.simple()
            return fake.push(answer) if answer else None
        method = self.message.get("method", "")
        if "id" not in self.message or not method:
            if not method:
                fake.answers.put(self.message)
            return self.reply(202)
        version = self.message.get("params", {}).get("_meta", {}).get("io.modelcontextprotocol/protocolVersion")
        number = self.message["id"]
        if fake.mode == "modern" and not version:
            return self.reply(400, {"jsonrpc": "2.0", "id": number, "error": {
                "code": -32022, "message": "Unsupported protocol version", "data": {"supported": ["2026-07-28"]}}})
        if fake.mode == "legacy" and version:
            return self.reply(400, {"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": "No session"}})
        if method == "subscriptions/listen" and fake.mode == "modern":
            return self.listen(number)
        if method == "initialize" and fake.mode != "nosession":
            return self.reply(200, self.simple(), Mcp_Session_Id=fake.session)
        if not version and fake.mode != "nosession" and self.headers.get("Mcp-Session-Id") != fake.session:
            return self.reply(404, {"jsonrpc": "2.0", "error": {"code": -32001, "message": "Session not found"}})
        if method == "tools/call":
            return self.call(self.message["params"]["name"])
        answer = self.simple()
        status = {-32601: 404}.get(answer.get("error", {}).get("code"), 200) if version else 200
        return self.reply(status, answer)

    def listen(self, number):
        meta = {"io.modelcontextprotocol/subscriptionId": number}
        self.begin_stream()
        self.event({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {"notifications": self.message["params"]["notifications"], "_meta": meta}})
        self.fake.listening.set()
        while True:
            message = self.fake.pushed.get()
            if message is None:
                return self.end_stream()
            message.setdefault("params", {})["_meta"] = meta
            self.event(message)

    def simple(self):
        method, params = self.message.get("method"), self.message.get("params", {})
        modern = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"} if "_meta" in params else {}
        if "id" not in self.message:
            return None
        if method == "initialize":
            return self.result({"protocolVersion": params["protocolVersion"], "serverInfo": {"name": "fake", "version": "1"},
                                "capabilities": {"tools": {"listChanged": True}, "resources": {}}})
        if method == "server/discover":
            return self.result({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True} if self.fake.mode == "modern" else {}},
                                **modern})
        if method == "tools/list":
            return self.result({"tools": self.fake.tools, **modern})
        if method == "tools/call":
            return self.text("done")
        if method == "resources/read":
            return self.result({"contents": [{"uri": params["uri"], "text": "x"}], **modern})
        if method == "ping":
            return self.result({})
        return {"jsonrpc": "2.0", "id": self.message["id"], "error": {"code": -32601, "message": "Method not found"}}

    def call(self, name):
        number, arguments = self.message["id"], self.message["params"].get("arguments", {})
        if name in self.fake.moved and self.headers.get("Mcp-Param-Region") != arguments.get("region"):
            return self.reply(400, {"jsonrpc": "2.0", "id": number, "error": {"code": -32020, "message": "Header mismatch"}})
        if name == "asks" and self.fake.mode == "modern":
            given = self.message["params"].get("inputResponses")
            if given is None:
                asked = {"k": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}}}
                return self.reply(200, self.result({"resultType": "input_required", "inputRequests": asked, "requestState": "s"}))
            return self.reply(200, self.text(json.dumps(given["k"])))
        if name == "html":
            return self.reply(200, b"<p>hello", "text/html")
        if name == "redirect":
            return self.reply(307, b"", Location=self.fake.url + "/elsewhere")
        if name == "gzip":
            return self.reply(200, b"\x1f\x8b", Content_Encoding="gzip")
        if name == "unavailable":
            return self.reply(503, b"busy", "text/plain")
        if name == "denied":
            return self.reply(401, b"", WWW_Authenticate="Bearer")
        if name == "nothing":
            return self.reply(202)
        if name == "garbage":
            return self.reply(200, b"{not json")
        if name == "batch":
            return self.reply(200, [self.text("one")])
        if name == "lost":
            self.fake.session = "another"
            return self.reply(404, b"gone", "text/plain")
        if name == "huge":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.close_connection = True
            return self.flood(b'{"jsonrpc":"2.0","id":1,"result":{"x":"', b"x" * 65536)
        if name in ("stream", "endless", "dies", "resume", "wait", "asks"):
            return self.stream(name, number)
        return self.reply(200, self.text(json.dumps(arguments)))

    def flood(self, first, more):
        try:
            self.wfile.write(first)
            for _ in range(2_000):
                self.wfile.write(more)
            self.fake.flooded = True
        except OSError:
            pass

    def stream(self, name, number):
        if name == "endless":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.close_connection = True
            return self.flood(b"data: ", b"x" * 65536)
        self.begin_stream()
        token = self.message["params"].get("_meta", {}).get("progressToken")
        if name == "stream":
            progress = {"jsonrpc": "2.0", "method": "notifications/progress",
                        "params": {"progressToken": token, "progress": 1, "message": "é"}}
            self.chunk(b"\xef\xbb\xbf: hello\r\n\r\nevent: odd\r\ndata: {}\r\n\r\nretry: 10\r")
            self.chunk(f"data: {json.dumps(progress, ensure_ascii=False)}\r\r")
            answer = json.dumps(self.text("streamed"), indent=1).encode()
            for line in answer.split(b"\n"):
                self.chunk(b"data:" + line[:3])
                self.chunk(line[3:] + b"\r")
                self.chunk(b"\n")
            self.chunk(b"\n")
            return self.end_stream()
        if name == "dies":
            self.chunk("data: {\"jsonrpc\":\n")
            self.close_connection = True
            return self.connection.close()
        if name == "resume":
            self.fake.resumed = number
            self.chunk("id: resume-1\nretry: 20\ndata:\n\n")
            return self.end_stream()
        if name == "asks":
            self.event({"jsonrpc": "2.0", "id": "ask-1", "method": "sampling/createMessage",
                        "params": {"messages": [], "maxTokens": 5}})
            self.event(self.text(json.dumps(self.fake.answers.get(timeout=20)["result"])))
            return self.end_stream()
        self.fake.waiting.set()
        try:  # until the client goes
            while True:
                self.chunk(": still here\n")
                time.sleep(0.05)
        except OSError:
            self.fake.left.set()
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # clients may go when they like


class HttpMcpServer:
    handler = Handler

    def __init__(self, mode="", context=None, host="127.0.0.1"):
        self.mode, self.session, self.resumed, self.flooded, self.moved = mode, "session-1", None, False, set()
        self.requests, self.tools = [], [{"name": name, "inputSchema": PLAIN} for name in NAMES]
        self.tools.append({"name": "marked", "inputSchema": MARKED})
        self.pushed, self.answers = queue.Queue(), queue.Queue()
        self.listening, self.waiting, self.left = threading.Event(), threading.Event(), threading.Event()
        self.http = Server((host, 0), self.handler)
        self.http.daemon_threads = True
        self.http.fake = self
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://{'localhost' if context else host}:{self.http.server_port}/mcp"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.pushed.put(None)
        self.http.shutdown()
        self.http.server_close()

    def push(self, message):
        """On the stream of its own."""
        self.pushed.put({"jsonrpc": "2.0", **message})

    def of(self, method):
        """What came with this HTTP method, or of this MCP method."""
        return [r for r in self.requests if r["method"] == method or r["message"].get("method") == method]
