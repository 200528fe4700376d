"""What scripted_mcp_server.py is, over HTTP: its tool `script` says what it is told to, word for word. `mode` as in http_mcp_server."""
import json

from .http_mcp_server import Handler, HttpMcpServer
from .scripted_mcp_server import TOOLS, said, spelled


class ScriptedHandler(Handler):
    wbufsize = 1 << 16  # a head and its body leave together

    def script(self):
        return self.message["params"].get("arguments", {})

    def answer(self):
        script = self.script()
        if "error" in script:
            return {"jsonrpc": "2.0", "id": self.message["id"], "error": script["error"]}
        complete = {"resultType": "complete"} if "_meta" in self.message["params"] else {}
        return self.result(script["answer"] | complete if "answer" in script else {"content": [], **complete})

    def simple(self):
        if self.message.get("method") != "tools/call":
            return super().simple()
        for message in said(self.message["params"]):
            self.fake.push(message)
        return self.answer()

    def call(self, name):
        if "say" not in self.script():
            return self.reply(200, spelled(self.script(), json.dumps(self.answer())).encode())
        self.begin_stream()
        for message in said(self.message["params"]):
            self.event({"jsonrpc": "2.0", **message})
        self.event(self.answer())
        return self.end_stream()


class ScriptedServer(HttpMcpServer):
    handler = ScriptedHandler

    def __init__(self, mode=""):
        super().__init__(mode)
        self.tools = TOOLS

    def received(self):
        return "\n".join(f"{r['method']} {r['path']} {r['headers']} {r['body']}" for r in self.requests)
