"""A headless Chromium with its own developer tools beside the page, over the DevTools protocol: its HAR writer and reader."""
import base64
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

from harness import clean_environment, poll

EXPORT = """(async () => {
  const har = await import('./models/har/har.js'), logs = await import('./models/logs/logs.js');
  let out = '';
  const progress = {canceled: false, title: '', totalWork: 0, worked: 0};
  await har.Writer.Writer.write({write: async s => { out += s }, close: async () => {}}, logs.NetworkLog.NetworkLog.instance().requests(),
                                {sanitize: false}, progress);
  return out;
})()"""
READ = """(async () => {
  const har = await import('./models/har/har.js');
  const requests = har.Importer.Importer.requestsFromHARLog(new har.HARFormat.HARRoot(%s).log);
  return requests.map(r => ({url: r.url(), method: r.requestMethod, status: r.statusCode, type: r.mimeType}));
})()"""


def program():
    return next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


class Connection:
    """A WebSocket (RFC 6455) that carries the DevTools protocol; one command at a time."""

    def __init__(self, port, path):
        self.number = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.exactly(1)
        if b" 101 " not in head:
            raise RuntimeError(head.decode())

    def exactly(self, count):
        octets = b""
        while len(octets) < count:
            piece = self.socket.recv(count - len(octets))
            if not piece:
                raise RuntimeError("Chromium closed the connection")
            octets += piece
        return octets

    def send(self, text):
        payload, mask = text.encode(), os.urandom(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0xFE, size) if size < 65536 else struct.pack(">BQ", 0xFF, size)
        key = (mask * (size // 4 + 1))[:size]
        self.socket.sendall(b"\x81" + length + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big"))

    def receive(self):
        text = b""
        while True:
            first, length = self.exactly(2)
            length &= 127
            if length > 125:
                length = int.from_bytes(self.exactly(2 if length == 126 else 8), "big")
            text += self.exactly(length)
            if first & 0x80:
                return json.loads(text)

    def call(self, method, session=None, **params):
        self.number += 1
        self.send(json.dumps({"id": self.number, "method": method, "params": params, **({"sessionId": session} if session else {})}))
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]


class Chromium:
    """with Chromium(directory) as tools: tools.visit(url); tools.har(1)"""

    def __init__(self, directory, *flags):
        self.home = pathlib.Path(tempfile.mkdtemp(dir=directory, prefix="devtools."))
        self.command = [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
                        "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={self.home / 'profile'}", *flags, "about:blank"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=clean_environment(HOME=self.home, XDG_CONFIG_HOME=self.home, XDG_CACHE_HOME=self.home))
        try:
            place = self.home / "profile" / "DevToolsActivePort"
            port, path = poll(lambda: place.exists() and place.read_text().split()[1:] and place.read_text().split(), 30, "Chromium")
            self.browser = Connection(int(port), path)
            page = self.browser.call("Target.createTarget", url="about:blank")["targetId"]
            front = self.browser.call("Target.createTarget", url=f"devtools://devtools/bundled/devtools_app.html?ws=127.0.0.1:{port}"
                                      f"/devtools/page/{page}&panel=network")["targetId"]
            self.page = self.attach(page)
            self.front = self.attach(front)
            poll(lambda: self.ask("(async () => { const sdk = await import('./core/sdk/sdk.js');"
                                  " return sdk.TargetManager.TargetManager.instance().models(sdk.NetworkManager.NetworkManager).length })()"), 30, "its tools")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def attach(self, target):
        return self.browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, expression, session=None):
        answer = self.browser.call("Runtime.evaluate", session or self.front, expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            return None
        return answer["result"].get("value")

    def visit(self, url, title):
        self.browser.call("Page.navigate", self.page, url=url)
        poll(lambda: (self.ask("document.title", self.page) or "").startswith(title), 30, "the page")

    def har(self, entries):
        """What its network panel saves, once it has so many entries that have ended."""
        def saved():
            text = self.ask(EXPORT)
            return text if text and len([e for e in json.loads(text)["log"]["entries"] if e["response"]["status"]]) >= entries else None
        return json.loads(poll(saved, 20, "the requests in its log"))

    def read(self, har):
        """What its network panel makes of a HAR file."""
        return self.ask(READ % json.dumps(har))
