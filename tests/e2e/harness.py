"""What every end-to-end test uses: the real program in a home of its own, on free ports, and its tools over HTTP.

Environment: SLUICE is the program (default build/release/sluice), NODE a Node >= 20.
"""
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
from fakes import seams  # noqa: E402
from fakes.origin import Origin  # noqa: E402
from fakes.pki import TestAuthority  # noqa: E402
from fakes.raw import RawClient, context  # noqa: E402

SLUICE = os.environ.get("SLUICE") or str(ROOT / "build" / "release" / "sluice")
# A sanitizer's program is slower: every deadline is multiplied.
PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))

THE_TOOLS = """proxy_start proxy_stop proxy_status proxy_get_ca_cert proxy_set_upstream proxy_clear_upstream
proxy_set_host_upstream proxy_remove_host_upstream proxy_list_traffic proxy_get_exchange
proxy_search_traffic proxy_clear_traffic proxy_decode_exchange proxy_add_rule proxy_update_rule proxy_list_rules
proxy_remove_rule proxy_enable_rule proxy_disable_rule proxy_import_rules proxy_test_rule_match proxy_mock_response
proxy_inject_headers proxy_export_traffic
proxy_get_tls_fingerprints proxy_start_transparent proxy_stop_transparent proxy_transparent_status proxy_rewrite_url proxy_list_held
proxy_resume_exchange proxy_list_tls_fingerprints
proxy_list_fingerprint_presets proxy_check_fingerprint_runtime proxy_clear_ja3_spoof proxy_get_tls_config
proxy_enable_server_tls_capture proxy_set_host_options proxy_list_host_options proxy_remove_host_options""".split()


def clean_environment(**extra):
    """Without the proxies, CA files and keys of whoever runs the tests."""
    out = {k: v for k, v in os.environ.items()
           if not k.lower().endswith("_proxy") and k not in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
                                                             "SLUICE_HOME", "SLUICE_SESSIONS_KEY", "SSLKEYLOGFILE", "CURL_CA_BUNDLE")}
    out.update({k: str(v) for k, v in extra.items()})
    return out


def poll(condition, seconds=10, what="the condition"):
    """Until condition() is true; returns its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds * PATIENCE:.0f} s")
        time.sleep(0.02)


def free_port(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def run(*command, seconds=30, check=None, env=None, **kwargs):
    """A program to its end; text in and out. check=0 demands that exit code."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=kwargs.pop("text", True),
                          timeout=seconds * PATIENCE, env=env or clean_environment(), **kwargs)
    if check is not None and done.returncode != check:
        raise AssertionError(f"{command[0]} ended with {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}")
    return done


def sluice(*arguments, home=None, **kwargs):
    extra = ["--home", str(home)] if home else []
    return run(SLUICE, *arguments, *extra, **kwargs)


def needs(program, package=None):
    """The path of a program, or skips the test."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise unittest.SkipTest(f"{program} is not installed ({package or program})")
    return found


def needs_node():
    node = os.environ.get("NODE") or shutil.which("node")
    if not node:
        raise unittest.SkipTest("no Node >= 20 (./dev setup test)")
    if not (HERE / "node_modules" / "@modelcontextprotocol").is_dir():
        raise unittest.SkipTest("tests/e2e/node_modules is missing (npm ci)")
    return node


class ToolError(Exception):
    pass


class Serve:
    """`sluice serve` in a fresh home. stop() or `with`; never leaves a child behind."""

    def __init__(self, *flags, home=None, directory=None, env=None, proxy_port=0, control_port=0, wait=True,
                 prefix=(), program=SLUICE):
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="sluice-e2e."))
        self._own = directory is None
        self.home = pathlib.Path(home) if home else self.directory / "home"
        self.ready_file = self.directory / f"ready-{os.urandom(4).hex()}.json"
        self.log_path = self.ready_file.with_suffix(".log")
        self.log = open(self.log_path, "wb")
        command = [*prefix, program, "serve", "--home", self.home, "--ready-file", self.ready_file, "--proxy-port", proxy_port,
                   "--control-port", control_port, *flags]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env or clean_environment(), start_new_session=True)
        self.ready, self.seams = None, {}
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.stop()
                raise

    def wait_ready(self, seconds=15):
        def there():
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended with {self.process.returncode}: {self.output()}")
            return self.ready_file.exists()
        poll(there, seconds, "the ready file")
        self.ready = json.loads(self.ready_file.read_text())
        return self

    def output(self):
        self.log.flush()
        return self.log_path.read_text(errors="replace")

    @property
    def proxy_port(self):
        port = self.ready["proxy"]["port"]
        if not seams.ON:
            return port
        if port not in self.seams:
            self.seams[port] = seams.Seam("127.0.0.1", port)
        return self.seams[port].port

    @property
    def proxy_url(self):
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def ca(self):
        return self.ready["ca"]["pem"]

    @property
    def token(self):
        return self.ready["token"]

    @property
    def mcp_url(self):
        return self.ready["control"]["mcp"]

    def client(self):
        return RawClient("127.0.0.1", self.proxy_port)

    def tunnel(self, authority, name=None, slice_size=None, **tls):
        """A raw client inside TLS inside CONNECT."""
        client = self.client()
        answer = client.connect_through(authority)
        if answer.status != 200:
            raise AssertionError(f"CONNECT {authority}: {answer.head!r}")
        return client.start_tls(name or authority.rsplit(":", 1)[0].strip("[]"), context(self.ca, **tls), slice_size)

    def curl(self, *arguments, seconds=20, **kwargs):
        return run(needs("curl"), "--silent", "--show-error", "--max-time", seconds, "--proxy", self.proxy_url,
                   "--noproxy", "", "--cacert", self.ca, *Unknown.expand(arguments), seconds=seconds + 5, **kwargs)

    def post(self, message, headers=None, method="POST", path=None, raw=None):
        """One HTTP request to the control port: (status, headers, text)."""
        url = urllib.parse.urlsplit(self.mcp_url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20 * PATIENCE)
        try:
            base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                    "Authorization": f"Bearer {self.token}"}
            base.update(headers or {})
            base = {k: v for k, v in base.items() if v is not None}
            body = raw if raw is not None else (json.dumps(message) if message is not None else None)
            connection.request(method, path or url.path, body, base)
            answer = connection.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read().decode("utf-8")
        finally:
            connection.close()

    def rpc(self, method, params=None, name=None):
        """A request of the 2026 era; the `result`, or raises with the error object."""
        params = dict(params or {})
        params["_meta"] = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                           "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
                           "io.modelcontextprotocol/clientCapabilities": {}}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        if name:
            headers["Mcp-Name"] = name
        status, _, text = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, headers)
        reply = json_of(text)
        if "error" in reply:
            raise ToolError(f"HTTP {status}: {json.dumps(reply['error'])}")
        return reply["result"]

    def call(self, tool, **arguments):
        """structuredContent of a tool call; a failed call raises ToolError with its text."""
        result = self.rpc("tools/call", {"name": tool, "arguments": arguments}, tool)
        if result.get("isError"):
            raise ToolError(result["content"][0]["text"])
        return result["structuredContent"]

    def traffic(self, **filters):
        return self.call("proxy_list_traffic", **filters)["exchanges"]

    def exchange(self, wanted, seconds=5, **arguments):
        """The newest ended exchange whose URL contains `wanted`, whole; waits for it."""
        row = poll(lambda: self.traffic(url_filter=wanted, offset=-1, limit=1), seconds, f"a record of {wanted}")[0]
        return self.call("proxy_get_exchange", exchange_id=row["id"], **arguments)["exchange"]

    def stop(self, number=signal.SIGTERM, seconds=12):
        """Ends it; its exit code."""
        code = self.process.poll()
        if code is None:
            self.process.send_signal(number)
            try:
                code = self.process.wait(seconds * PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                code = self.process.wait()
        self.log.close()
        for seam in self.seams.values():
            seam.close()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def json_of(text):
    """The JSON-RPC answer in a JSON or an SSE reply: the last message."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    datas = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    messages = [json.loads(d) for d in datas if d]
    return next((m for m in reversed(messages) if "result" in m or "error" in m), None) or {"error": {"text": text}}


class Unknown(str):
    """curl's "--http2", to an address of this machine's that Sluice has not been to: of an origin that it knows it offers
    the client what the origin speaks, of others, where a rule may answer, the client's own first choice."""
    addresses = itertools.cycle(range(2, 255))

    @classmethod
    def expand(cls, arguments):
        """The arguments that curl gets."""
        for one in arguments:
            yield one
            if isinstance(one, cls):
                yield from ("--connect-to", f"localhost::127.0.0.{next(cls.addresses)}:")


class E2E(unittest.TestCase):
    """A serve, a CA for fakes and a TLS origin, one for each class. `flags` are added to serve's. The origin listens to
    `origin_host`; 0.0.0.0 for clients that are Unknown("--http2")."""
    flags, origin_host = (), "127.0.0.1"
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        if not os.access(SLUICE, os.X_OK):
            raise unittest.SkipTest(f"{SLUICE} is not built")
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.fakes = TestAuthority(cls.directory / "fakes")
        cls.origin = Origin(cls.fakes.server_context(), cls.origin_host)
        cls.addClassCleanup(cls.origin.close)
        cls.serve = Serve("--upstream-ca", cls.fakes.pem, *cls.flags, directory=cls.directory)
        cls.addClassCleanup(cls.end_serve)

    @classmethod
    def end_serve(cls):
        code = cls.serve.stop()
        if code:
            raise AssertionError(f"serve did not end in order after {cls.__name__}, but with {code}")

    def setUp(self):
        self.origin.requests.clear()

    def tearDown(self):
        if self.serve.process.poll() is not None:
            output = self.serve.output()
            type(self).serve = Serve("--upstream-ca", self.fakes.pem, *self.flags, directory=self.directory)
            type(self).addClassCleanup(type(self).serve.stop)
            self.fail(f"serve ended by itself:\n{output[-3000:]}")

    def new_origin(self, *args, plain=False, **kwargs):
        """Another origin for this test."""
        origin = Origin(None if plain else self.fakes.server_context(*args, **kwargs))
        self.addCleanup(origin.close)
        return origin

    def client(self, *args, origin=None, **kwargs):
        """A raw client inside TLS to the origin."""
        client = self.serve.tunnel(f"localhost:{(origin or self.origin).port}", *args, **kwargs)
        self.addCleanup(client.close)
        return client

    def add_rule(self, matcher, handler, **more):
        rule = self.serve.call("proxy_add_rule", description=self.id(), matcher=matcher, handler=handler, **more)["rule"]
        self.addCleanup(self.forget_rule, rule["id"])
        return rule["id"]

    def forget_rule(self, rule_id):
        try:
            self.serve.call("proxy_remove_rule", rule_id=rule_id)
        except ToolError:
            pass
