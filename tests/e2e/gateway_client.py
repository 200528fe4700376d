"""A client of `sluice gateway` on its standard input and output: lines as they are, nothing hidden."""
import json
import pathlib
import queue
import subprocess
import sys
import threading

from harness import PATIENCE, ROOT, SLUICE, clean_environment, poll

FAKE = [sys.executable, str(ROOT / "tests" / "fakes" / "mcp_server.py")]
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


class Gateway:
    """`with`; or stop(). `policy` None: none is given. `upstream`: a URL, instead of a command;
    `config`: a file that names several servers."""

    def __init__(self, home, policy=None, *flags, command=None, env=None, initialize=True, capabilities=None,
                 upstream=None, config=None):
        arguments = [SLUICE, "gateway", "--home", home]
        if policy is not None:
            arguments += ["--policy", policy]
        if config is not None:
            arguments += [*flags, "--config", config]
        else:
            arguments += [*flags, "--upstream", upstream] if upstream else [*flags, "--", *(command or FAKE)]
        self.launch(home, arguments, env)
        if initialize:
            self.greet(capabilities)

    def launch(self, home, arguments, env=None):
        self.home = pathlib.Path(home)
        self.received_path = self.home.parent / "received"
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True,
                                        env=clean_environment(RECEIVED=self.received_path, **(env or {})))
        self.lines, self.errors = queue.Queue(), []
        self.seen, self.last = [], 0
        self._threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._log, daemon=True)]
        for thread in self._threads:
            thread.start()
        self.initialized = None

    def greet(self, capabilities=None):
        self.initialized = self.request("initialize", {
            "protocolVersion": "2025-11-25", "clientInfo": {"name": "test", "version": "1"},
            "capabilities": {"sampling": {}, "elicitation": {}, "roots": {}} if capabilities is None else capabilities})
        self.send({"method": "notifications/initialized"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _log(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def raw(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def send(self, message):
        self.raw(json.dumps({"jsonrpc": "2.0", **message}))

    def next_line(self, seconds=15):
        line = self.lines.get(timeout=seconds * PATIENCE)
        if line is None:
            raise AssertionError(f"the gateway ended: {''.join(self.errors)}")
        return line

    def next(self, condition=lambda message: True):
        """The next message of which it is true; the others are kept in `seen`."""
        while True:
            line = self.next_line()
            message = json.loads(line)
            if condition(message):
                message["@line"] = line
                return message
            self.seen.append(message)

    def begin(self, method, params=None, number=None):
        self.last += 1
        number = self.last if number is None else number
        self.send({"id": number, "method": method, **({} if params is None else {"params": params})})
        return number

    def answer_to(self, number):
        return self.next(lambda m: m.get("id") == number and "method" not in m)

    def ask(self, method, params=None):
        """The whole answer."""
        return self.answer_to(self.begin(method, params))

    def request(self, method, params=None):
        answer = self.ask(method, params)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def call(self, tool, **arguments):
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def text(self, tool, **arguments):
        return self.call(tool, **arguments)["content"][0]["text"]

    def names(self):
        return [tool["name"] for tool in self.request("tools/list")["tools"]]

    def received(self):
        """What the server was sent, in its own spelling."""
        return self.received_path.read_text().splitlines() if self.received_path.exists() else []

    def received_methods(self):
        return [json.loads(line).get("method") for line in self.received()]

    def audit(self):
        lines = []
        for path in sorted(self.home.glob("audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines

    def decisions(self):
        return [line for line in self.audit() if line["type"] == "decision"]

    def wait_for_error(self, words):
        poll(lambda: any(words in line for line in self.errors), 15, f"{words!r} on standard error")

    def end(self, seconds=25):
        """Its input ends; the exit code."""
        self.process.stdin.close()
        return self.process.wait(seconds * PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
