"""`sluice gateway --listen`, and clients of it as octets: what stands in heads and streams is seen as it is."""
import http.client
import json
import pathlib
import subprocess
import threading
import urllib.parse

from gateway_client import FAKE, MODERN
from harness import PATIENCE, SLUICE, clean_environment, poll

META = MODERN


class HttpGateway:
    """`config`: a file that names several servers; `policy` None: none is given."""

    def __init__(self, home, policy, *flags, command=None, upstream=None, env=None, config=None):
        self.home = pathlib.Path(home)
        self.received_path = self.home.parent / "received"
        arguments = [SLUICE, "gateway", "--home", self.home, *(["--policy", policy] if policy else []), "--listen", "127.0.0.1:0", *flags]
        if config:
            arguments += ["--config", config]
        else:
            arguments += ["--upstream", upstream] if upstream else ["--", *(command or FAKE)]
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        start_new_session=True, env=clean_environment(RECEIVED=self.received_path, **(env or {})))
        self.errors, self.url = [], None
        self._thread = threading.Thread(target=self._log, daemon=True)
        self._thread.start()
        poll(lambda: self.url or self.process.poll() is not None, 20, "the address")
        if not self.url:
            raise AssertionError("".join(self.errors))
        self.port = urllib.parse.urlsplit(self.url).port

    def _log(self):
        for line in self.process.stderr:
            self.errors.append(line)
            if " is at http://" in line:
                self.url = line.split(" is at ")[1].split(",")[0]

    @property
    def token(self):
        return (self.home / "token").read_text().strip()

    def children(self):
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def received(self):
        return [json.loads(line) for line in self.received_path.read_text().splitlines()] if self.received_path.exists() else []

    def received_methods(self):
        return [message.get("method") for message in self.received()]

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._thread.join(10)
        self.process.stderr.close()


class Answer:
    """Of one request; its events as they come."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response
        self.status, self.headers = response.status, response.headers
        self.streams = response.headers.get("Content-Type", "").startswith("text/event-stream")

    def events(self):
        """(id, data) of each event."""
        number, data = None, []
        for line in self.response:
            line = line.decode().rstrip("\n")
            if not line and data:
                yield number, "\n".join(data)
                data = []
            elif line.startswith("id: "):
                number = line[4:]
            elif line.startswith("data: "):
                data.append(line[6:])

    def messages(self):
        """Without those that only say an id."""
        for number, data in self.events():
            if data:
                yield json.loads(data)

    def json(self):
        """The answer, whichever way it came."""
        if not self.streams:
            return json.loads(self.response.read())
        return [m for m in self.messages() if "method" not in m][0]

    def close(self):
        # The response holds the socket, too.
        self.response.close()
        self.connection.close()


class Client:
    """Of the legacy era where it has initialized, of the modern one else. `token` None: none is shown."""

    def __init__(self, gateway, token="", version="2025-11-25"):
        self.gateway, self.version, self.session, self.last = gateway, version, None, 0
        self.token = gateway.token if token == "" else token

    def send(self, method, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20 * PATIENCE)
        fields = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        if self.session:
            fields |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version}
        fields |= headers or {}
        connection.request(method, "/mcp", body, {name: value for name, value in fields.items() if value is not None})
        return Answer(connection, connection.getresponse())

    def post(self, message, **headers):
        return self.send("POST", json.dumps({"jsonrpc": "2.0", **message}), {k.replace("_", "-"): v for k, v in headers.items()})

    def initialize(self, **capabilities):
        answer = self.post({"id": "i", "method": "initialize", "params": {
            "protocolVersion": self.version, "clientInfo": {"name": "t", "version": "1"}, "capabilities": capabilities}})
        self.session = answer.headers["Mcp-Session-Id"]
        result = answer.json()
        answer.close()
        self.post({"method": "notifications/initialized"}).close()
        return result

    def begin(self, method, params=None, number=None, **headers):
        self.last += 1
        return self.post({"id": self.last if number is None else number, "method": method, "params": params or {}}, **headers)

    def ask(self, method, params=None, **headers):
        answer = self.begin(method, params, **headers)
        found = answer.json()
        answer.close()
        return found

    def modern(self, method, number=1, headers=None, **params):
        name = params.get("name") or params.get("uri")
        fields = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        body = {"jsonrpc": "2.0", "id": number, "method": method,
                "params": {**params, "_meta": {**META, **params.get("_meta", {})}}}
        return self.send("POST", json.dumps(body), fields | (headers or {}))

    def text(self, tool, **arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]["content"][0]["text"]

    def modern_text(self, tool, **arguments):
        answer = self.modern("tools/call", name=tool, arguments=arguments).json()
        return answer["result"]["content"][0]["text"]
