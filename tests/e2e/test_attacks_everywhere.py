"""The attacks on the protocol of the contract (A1 to A46, H1 to H16), over each way in and each way to a server: a client on
standard input and output or over HTTP, of either era, in front of a program, of Streamable HTTP of either era and of HTTP+SSE; and
Sluice's own tools, at `serve`'s port and behind `mcp` (docs/security.md; gate.md 10).

One has succeeded if the server heard of it: each carries a word of its own, of which nothing may reach a server. What the client
is answered is the same everywhere, and the audit knows of each."""
import base64
import collections
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

from gateway_client import MODERN, Gateway
from gateway_http_client import Client, HttpGateway
from harness import ROOT, SLUICE, Serve, poll  # it says where the fakes are
from fakes.scripted_http_server import ScriptedServer

CHILD = [sys.executable, str(ROOT / "tests" / "fakes" / "scripted_mcp_server.py")]
DENIED, LOST, BAD, PARSE, PARAMS, METHOD = "denied", "nothing", -32600, -32700, -32602, -32601
MiB = 1 << 20

# `text`: @ID, @META (what each request of the era has in its params), @WORD; @ALLOWED, @HIDDEN, @CLOSED: tools; @ARGS: arguments that
# these would take. `expect`: what it is answered, or LOST. `method`, `name`: what HTTP's fields say of it in 2026-07-28.
Attack = collections.namedtuple("Attack", "row text expect method name", defaults=("tools/call", None))


def call(name, arguments="@ARGS", more=""):
    return '{"jsonrpc":"2.0","id":@ID,"method":"tools/call","params":{@META"name":"%s","arguments":%s%s}}' % (name, arguments, more)


def named(row, name, expect, spelled=None, arguments="@ARGS", more=""):
    return Attack(row, call(spelled or name, arguments, more), expect, name=name)


def of_method(row, method, params="", expect=METHOD, name=None):
    return Attack(row, '{"jsonrpc":"2.0","id":@ID,"method":"%s","params":{@META"word":"@WORD"%s}}' % (method, params), expect, method, name)


def from_one(allowed):
    """With a name and a text that both stand in place of the other's."""
    good = call("@ALLOWED")
    with_member = lambda member: good.replace('"method"', member + ',"method"', 1)
    return [
        Attack("A1 H1 a batch", f"[{call('@CLOSED')}]", BAD), Attack("A1 a batch of what is allowed", f"[{good},{call('@HIDDEN')}]", BAD),
        Attack("A3 two names", good.replace('"name":', '"name":"@CLOSED","name":'), PARSE),
        Attack("A3 two methods", with_member('"method":"ping"'), PARSE),
        Attack("A3 two of an argument", call("@ALLOWED", '{"text":"a","text":"@WORD"}'), PARSE),
        Attack("A3 two, one of which is escaped", good.replace('"name":', '"n\\u0061me":"@CLOSED","name":'), PARSE),
        Attack("A4 H5 Method", with_member('"Method":"tools/call"'), BAD), Attack("A4 PARAMS", with_member('"PARAMS":{}'), BAD),
        Attack("A4 ID", with_member('"Id":7'), BAD), Attack("A7 a lone surrogate", call("@CLOSED", '{"text":"@WORD\\ud800"}'), PARSE),
        *(Attack("A7 no UTF-8", call("@CLOSED", '{"text":"@WORD@"}').encode().replace(b"@\"", octets + b'"'), PARSE)
          for octets in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80")),
        Attack("A7 H4 behind the end", good + "}", PARSE), Attack("A7 H4 two in one", good + good, PARSE),
        Attack("A7 H4 a comment", good.replace('"method"', '/*@WORD*/"method"', 1), PARSE),
        Attack("A7 H4 NaN", call("@CLOSED", '{"text":"@WORD","amount":NaN}'), PARSE), Attack("A7 UTF-16", call("@CLOSED").encode("utf-16"), PARSE),
        Attack("A8 oversized", call("@CLOSED", '{"text":"@WORD%s"}' % ("x" * (5 * MiB))), BAD),
        Attack("A9 deep", call("@CLOSED", '{"text":"@WORD","x":%s%s}' % ("[" * 10_000, "]" * 10_000)), BAD),
        Attack("A10 a null id", call("@CLOSED").replace("@ID", "null"), BAD), Attack("A10 a fraction", call("@CLOSED").replace("@ID", "1.5"), BAD),
        Attack("A10 an object", call("@CLOSED").replace("@ID", "{}"), BAD), Attack("A10 an endless id", call("@CLOSED").replace("@ID", '"%s"' % ("x" * MiB)), BAD),
        Attack("A14 a number beyond numbers", call("@ALLOWED", '{"text":"@WORD","amount":1e400}'), PARSE),
        Attack("A25 a call without an id", call("@CLOSED").replace('"id":@ID,', ""), LOST),
        Attack("A25 an allowed one", good.replace('"id":@ID,', ""), LOST),
        Attack("A26 H3 a list for params", '{"jsonrpc":"2.0","id":@ID,"method":"tools/call","params":["@CLOSED","@WORD"]}', PARAMS),
        Attack("A26 H3 a text for params", '{"jsonrpc":"2.0","id":@ID,"method":"tools/call","params":"@WORD"}', PARAMS),
        Attack("A26 H3 no name", '{"jsonrpc":"2.0","id":@ID,"method":"tools/call","params":{@META"arguments":@ARGS}}', PARAMS),
        *(Attack(f"A26 H3 {value} for a name", call("@CLOSED").replace('"@CLOSED"', value), PARAMS) for value in ("7", '["@CLOSED"]', "null", "{}")),
        *(named(f"A26 H3 {value} for arguments", "@ALLOWED", PARAMS, arguments=value) for value in ('["@WORD"]', '"@WORD"', "7")),
        Attack("A29 an answer to nothing", '{"jsonrpc":"2.0","id":1,"result":{"word":"@WORD"}}', LOST),
        Attack("A29 an answer that asks", call("@CLOSED").replace('"method"', '"result":{},"method"', 1), BAD),
        Attack("A1 no version of JSON-RPC", call("@CLOSED").replace('"2.0"', '"1.0"'), BAD),
        # Names.
        named("A24 hidden", "@HIDDEN", DENIED), named("A24 not in the policy", "@CLOSED", DENIED),
        named("A6 hidden, escaped", "@HIDDEN", DENIED, spelled=escaped(allowed.hidden)),
        Attack("A6 an escaped method", call("@CLOSED").replace("tools/call", "tools\\/c\\u0061ll"), DENIED, name="@CLOSED"),
        named("A24 hidden, as a task", "@HIDDEN", DENIED, more=',"task":{"ttl":1}'),
        named("A33 with a state of nobody's", "@CLOSED", DENIED, more=',"requestState":"@WORD","inputResponses":{"k":{"action":"accept"}}'),
        *(named("A5 A47 a name like another: " + ascii(name), name, PARAMS, spelled=json.dumps(name)[1:-1]) for name in (
            allowed.allowed.upper(), allowed.allowed + " ", " " + allowed.allowed, allowed.allowed + "\0", allowed.allowed + "\u200b",
            "\u202e" + allowed.allowed, "\uff45" + allowed.allowed[1:], allowed.allowed[0] + "\u0301" + allowed.allowed[1:],
            "\u0435" + allowed.allowed[1:], "", "*", "_global", "risk:read", "x" * 129, "../" + allowed.allowed, "tools/call")),
        # Methods.
        *(of_method("A24 H16 " + method, method, params) for method, params in (
            ("odd/method", ""), ("tools/Call", ',"name":"@CLOSED"'), ("tools/call/", ""), ("TOOLS/CALL", ""),
            ("tools/run", ',"name":"@CLOSED"'), ("rpc.discover", ""), ("sampling/createMessage", ',"messages":[],"maxTokens":1'),
            ("elicitation/create", ',"message":"m"'), ("roots/list", ""))),
        # Which no field of HTTP can say (-32020).
        of_method("A24 H16 a blank", "tools/call ", ',"name":"@CLOSED"', (METHOD, -32020)),
    ]


# At a server that is not Sluice itself. What `methods` would open is not open.
CLOSED_METHODS = [of_method("A24 H16 " + method, method, params, name={"resources/read": "word:@WORD", "prompts/get": "@WORD"}.get(method)) for method, params in (
    ("resources/list", ""), ("resources/templates/list", ""), ("resources/read", ',"uri":"word:@WORD"'), ("prompts/list", ""),
    ("prompts/get", ',"name":"@WORD"'), ("completion/complete", ',"ref":{"type":"ref/prompt","name":"@WORD"},"argument":{"name":"a","value":"b"}'),
    ("logging/setLevel", ',"level":"debug"'), ("resources/subscribe", ',"uri":"word:@WORD"'))]
ARGUMENTS = [
    *(named("A11 another type", "@ALLOWED", DENIED, arguments=value) for value in (
        '{"text":["@WORD"]}', '{"text":{"$eq":"@WORD"}}', '{"text":7,"amount":"@WORD"}', '{"text":"ok","amount":{"x":"@WORD"}}')),
    named("A12 left out", "@ALLOWED", DENIED, arguments="{}"), named("A12 null", "@ALLOWED", DENIED, arguments='{"text":null}'),
    named("A13 an argument that no rule knows", "@ALLOWED", DENIED, arguments='{"text":"ok","Text":"@WORD"}'),
    named("A14 by rounding", "@ALLOWED", DENIED, arguments='{"text":"ok","amount":10.00000000000000000001}'),
    named("A17 a second line", "@ALLOWED", DENIED, arguments='{"text":"ok\\n@WORD"}'),
    named("A18 in another case", "@ALLOWED", DENIED, arguments='{"text":"\\u212aelvin @WORD"}')]
Targets = collections.namedtuple("Targets", "allowed hidden closed arguments")
FOREIGN = Targets("echo", "delete_file", "write_file", '{"text":"@WORD"}')
OWN = Targets("proxy_list_rules", "proxy_remove_rule", "proxy_add_rule",
              '{"description":"@WORD","matcher":{},"handler":{"type":"drop"}}')
SECRET = {"redact": [{"pattern": "sk_live_[A-Za-z0-9]+"}, {"path": "$..token"}], "block": [{"op": "contains", "value": "BEGIN KEY", "on_deny": "a key"}]}
POLICY = {"version": "1", "default": "deny", "args": "closed", "hide": ["delete_file"], "tools": {
    "script": {"result": SECRET}, "echo": {
        "require": [{"conditions": [{"path": "args.text", "op": "regex", "value": "^[a-z]+$"}]}],
        "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 10}]}]}}}
OWN_POLICY = {"version": "1", "default": "deny", "hide": ["proxy_remove_rule"], "tools": {"proxy_list_rules": {}}}


def escaped(name):
    return "".join(f"\\u{ord(letter):04x}" for letter in name)


def field(value):
    plain = value.strip() == value and all(" " <= letter <= "~" for letter in value)
    return value if plain else "=?base64?" + base64.b64encode(value.encode()).decode() + "?="


class Lines:
    """On the standard input and output of `gateway` or `mcp`. `modern`: each request says its version."""

    def __init__(self, gateway, modern, targets):
        self.gateway, self.meta, self.heard, self.hidden = gateway, MODERN if modern else None, [], targets.hidden

    def ask(self, octets, number, method, name, answered=True):
        """Everything that came, until it was answered, where it is to be, and so was what is asked behind it."""
        self.gateway.process.stdin.buffer.write(octets.replace(b"\n", b"") + b"\n")
        self.gateway.process.stdin.buffer.flush()
        came, behind = [], f"behind-{number}"
        self.gateway.send({"id": behind, "method": "tools/call", "params": {
            "name": self.hidden, **({"_meta": self.meta} if self.meta else {})}})
        others = lambda: [m for m in came if m.get("id") != behind]
        while len(others()) == len(came) or (answered and not [m for m in others() if "method" not in m]):
            came.append(json.loads(self.gateway.next_line()))
            self.heard.append(came[-1])
        return others()

    def result(self, tool, arguments):
        return self.gateway.request("tools/call", {"name": tool, "arguments": arguments, **({"_meta": self.meta} if self.meta else {})})


class AnyClient(Client):
    """Says what it is told to, and whether it was heard."""

    def status(self, body, fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        whole = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Host": "127.0.0.1",
                 "Authorization": f"Bearer {self.token}", "Content-Length": str(len(body))}
        if self.session:
            whole |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version}
        whole |= fields
        with contextlib.closing(connection):
            connection.putrequest(whole.pop(":method", "POST"), whole.pop(":path", "/mcp"), skip_host=True, skip_accept_encoding=True)
            for name, value in whole.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body.encode())
            return connection.getresponse().status


class Posts:
    """Over HTTP, to `gateway --listen` or `serve`: in a session, or of 2026-07-28."""

    def __init__(self, gateway, modern, _):
        self.client, self.meta, self.heard = AnyClient(gateway), MODERN if modern else None, []
        if not modern:
            self.client.initialize()

    def fields(self, method, name):
        if not self.meta:
            return {}
        return {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": field(method), **({"Mcp-Name": field(name)} if name is not None else {})}

    def ask(self, octets, number, method, name, answered=True):
        try:
            answer = self.client.send("POST", octets, self.fields(method, name))
        except (ConnectionError, BrokenPipeError):
            return [{"error": {"code": BAD}}]  # it need not read all of it
        with contextlib.closing(answer):
            if answer.streams:
                came = list(answer.messages())
            else:
                text = answer.response.read()
                came = [json.loads(text)] if text.startswith(b"{") else []
            self.heard += came
            if not came and answer.status == 413:
                return [{"error": {"code": BAD}}]
            return came

    def result(self, tool, arguments):
        body = {"jsonrpc": "2.0", "id": f"result-{len(self.heard)}", "method": "tools/call", "params": {
            "name": tool, "arguments": arguments, **({"_meta": self.meta} if self.meta else {})}}
        return [m for m in self.ask(json.dumps(body).encode(), 0, "tools/call", tool) if m.get("id") == body["id"]][0]["result"]


WAYS = [(kind, modern) for kind in (Lines, Posts) for modern in (False, True)]


class Mcp(Gateway):
    """`sluice mcp`, as lines."""

    def __init__(self, home, policy, modern):
        self.launch(home, [SLUICE, "mcp", "--home", home, "--policy", policy])
        if not modern:
            self.greet()


class Everywhere(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        if not os.access(SLUICE, os.X_OK):
            self.skipTest(f"{SLUICE} is not built")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-attacks."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.last = 0

    def write(self, home, policy):
        home.parent.mkdir(exist_ok=True)
        path = home.parent / "policy.json"
        path.write_text(json.dumps(policy))
        path.chmod(0o600)
        return path

    def audit(self, home):
        return [json.loads(line) for path in sorted(home.glob("audit/*.jsonl")) for line in path.read_text().splitlines()]

    def denials(self, home):
        """How many the audit knows of, with a line each or counted."""
        lines = self.audit(home)
        return (sum(line["type"] == "decision" and line["decision"] == "deny" for line in lines)
                + sum(line["count"] for line in lines if line["type"] == "denials"))

    def attack(self, way, attacks, targets, home):
        """All of them; the words that no server may have heard."""
        words, before = [], self.denials(home)
        meta = f'"_meta":{json.dumps(way.meta)},' if way.meta else ""
        for one in attacks:
            self.last += 1
            word = "canary" + "".join(chr(ord("a") + int(digit)) for digit in f"{self.last:04}") + "z"
            words.append(word)
            text = one.text if isinstance(one.text, bytes) else one.text.encode()
            name = one.name
            for mark, value in (("@ARGS", targets.arguments), ("@META", meta), ("@WORD", word), ("@ID", str(self.last)), ("@ALLOWED", targets.allowed),
                                ("@HIDDEN", targets.hidden), ("@CLOSED", targets.closed)):
                text = text.replace(mark.encode(), value.encode())
                name = name.replace(mark, value) if name else name
            with self.subTest(one.row, way=type(way).__name__, modern=bool(way.meta)):
                self.judge(one, way.ask(text, self.last, one.method, name, one.expect != LOST))
        # An answer to nothing is dropped, but no message of its own where each is alone.
        counted = len(attacks) - (0 if isinstance(way, Posts) and way.meta else 1)
        # On lines each is followed by a call of a hidden tool.
        counted += len(attacks) if isinstance(way, Lines) else 0
        with contextlib.suppress(AssertionError):
            poll(lambda: self.denials(home) - before >= counted, 5)
        self.assertEqual(self.denials(home) - before, counted, "in the audit")
        return words

    def judge(self, one, came):
        answers = [m for m in came if "method" not in m]
        if one.expect == LOST:
            self.assertFalse([m for m in answers if "result" in m], came)
            return
        self.assertEqual(len(answers), 1, str(came)[:500])
        answer = answers[0]
        if one.expect == DENIED:
            result = answer.get("result", {})
            self.assertTrue(result.get("isError"), answer)
            self.assertTrue(result["content"][0]["text"].startswith("[POLICY DENIED] "), answer)
            self.assertNotIn("structuredContent", result)
        else:
            self.assertIn(answer.get("error", {}).get("code"), one.expect if isinstance(one.expect, tuple) else (one.expect,), str(answer)[:500])
            self.assertLess(len(json.dumps(answer)), 1_000)


DOORS = [  # of HTTP: what is wrong about a call that is allowed; for clients of either era, or of one
    ("A34 a page", None, {"Origin": "https://evil.test"}), ("A34 no origin", None, {"Origin": "null"}), ("A34 another host", None, {"Host": "evil.test"}),
    ("A45 no token", None, {"Authorization": None}), ("A45 half a token", None, {"Authorization": "Bearer x"}), ("A34 a form", None, {"Content-Type": "text/plain"}),
    ("A28 compressed", None, {"Content-Encoding": "gzip"}), ("H2 another path", None, {":path": "/message"}), ("H2 an older path", None, {":path": "/sse"}),
    ("A35 another method", None, {":method": "PUT"}), ("A35 two lengths", None, {"Transfer-Encoding": "chunked", "Content-Length": "5"}),
    ("A33 another session", False, {"Mcp-Session-Id": "x" * 32}), ("A33 no session", False, {"Mcp-Session-Id": None}),
    ("A46 no version of ours", False, {"MCP-Protocol-Version": "1999-01-01"}), ("A46 another era", False, {"MCP-Protocol-Version": "2026-07-28"}),
    ("A46 an older version", True, {"MCP-Protocol-Version": "2025-03-26"}), ("A46 no version", True, {"MCP-Protocol-Version": None}),
    ("A4 another method said", True, {"Mcp-Method": "tools/list"}), ("A4 another name said", True, {"Mcp-Name": "script"}),
    ("A4 no name said", True, {"Mcp-Name": None})]


class InFrontOfAServer(Everywhere):
    """Each method is one way to a server; each way in has a gateway of its own."""

    def secrets(self, way):
        """What the policy takes out of answers reaches nobody, wherever in an answer a server puts it."""
        key = "sk_live_abcdef123"
        text = lambda words: {"type": "text", "text": words}
        answers = [
            {"content": [text(f"the key is {key}")]}, {"content": [text("x")], "structuredContent": {"token": key, key: [key, {"a": key}]}},
            {"content": [text(json.dumps({"token": "hidden-token-7"}))], "structuredContent": {"deep": [{"token": "hidden-token-7"}]}},
            {"content": [text("x")], "_meta": {"k": key}, "unknown": {"k": [key]}}, {"content": [text(key)], "isError": True},
            {"content": [{"type": "resource", "resource": {"uri": f"a:{key}", "text": key, "_meta": {"a": key}}}]},
            {"content": [{"type": "resource_link", "uri": "a:b", "name": key, "description": key}]},
            {"content": [text("-----BEGIN KEY-----"), text("hidden-token-7")]},
            {"content": [], "structuredContent": {"a": {"BEGIN KEY": "hidden-token-7"}}}]
        before = len(way.heard)
        for answer in answers:
            for script in ({"answer": answer}, {"answer": answer, "escaped": 1}):
                body = {"jsonrpc": "2.0", "id": f"s{before}", "method": "tools/call", "params": {
                    "name": "script", "arguments": script, **({"_meta": way.meta} if way.meta else {})}}
                self.assertTrue(way.ask(json.dumps(body).encode(), 0, "tools/call", "script"))
        error = {"code": -32050, "message": f"not with {key}", "data": {"k": [key], key: 1}}
        token = {"io.modelcontextprotocol/x": 1, **(way.meta or {}), "progressToken": "p"}
        progress = {"method": "notifications/progress", "params": {"progressToken": "$token", "progress": 1, "message": key}}
        said = {"method": "notifications/message", "params": {"level": "error", "data": key}}
        forged = {"id": 1, "result": {"content": [text(key)]}}
        for script in ({"error": error}, {"say": [progress, said, {**said, "id": "q", "method": "sampling/createMessage"}, forged]}):
            body = {"jsonrpc": "2.0", "id": "e", "method": "tools/call", "params": {"name": "script", "arguments": script, "_meta": token}}
            way.ask(json.dumps(body).encode(), 0, "tools/call", "script")
        heard = json.dumps(way.heard[before:])
        self.assertIn("[redacted by policy]", heard)
        for word in ("sk_live", "hidden-token-7"):
            self.assertNotIn(word, heard)

    def doors(self, way):
        words = []
        for number, (row, modern, fields) in enumerate(DOORS):
            if modern not in (None, bool(way.meta)):
                continue
            words.append(f"door{chr(ord('a') + number)}")
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "echo", "arguments": {"text": words[-1]}, **({"_meta": way.meta} if way.meta else {})}}
            with self.subTest(row, modern=bool(way.meta)):
                status = way.client.status(json.dumps(body), way.fields("tools/call", "echo") | fields)
                self.assertGreaterEqual(status, 400)
                self.assertLess(status, 500)
        return words

    def through(self, way, home, received):
        words = self.attack(way, from_one(FOREIGN) + CLOSED_METHODS + ARGUMENTS, FOREIGN, home)
        self.secrets(way)
        if isinstance(way, Posts):
            words += [*self.doors(way), way.client.token]  # A36, H11
        self.assertEqual(way.result("echo", {"text": "soundandallowed"}).get("isError", False), False)
        everything = poll(lambda: "soundandallowed" in received() and received(), 5, "what is allowed at the server")
        self.assertEqual([word for word in words if word in everything], [])
        listed = json.dumps(way.ask(json.dumps({"jsonrpc": "2.0", "id": "l", "method": "tools/list", "params": {"_meta": way.meta} if way.meta else {}}).encode(),
                                    0, "tools/list", None))
        self.assertIn('"echo"', listed)
        for name in ("delete_file", "write_file"):
            self.assertNotIn(f'"{name}"', listed)

    def every_way(self, mode):
        for number, (kind, modern) in enumerate(WAYS):
            home = self.directory / str(number) / "home"
            policy = self.write(home, POLICY)
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(ScriptedServer(mode)) if mode is not None else None
                where = {"upstream": server.url} if server else {"command": CHILD}
                gateway = HttpGateway(home, policy, **where) if kind is Posts else Gateway(home, policy, initialize=not modern, **where)
                stack.callback(gateway.stop)
                received = server.received if server else lambda: gateway.received_path.read_text()
                self.through(kind(gateway, modern, FOREIGN), home, received)

    def test_a_program(self):
        self.every_way(None)

    def test_streamable_http_of_the_legacy_era(self):
        self.every_way("legacy")

    def test_streamable_http_of_the_modern_era(self):
        self.every_way("modern")

    def test_http_with_sse(self):
        self.every_way("sse")

    def test_one_of_several_servers(self):
        targets = FOREIGN._replace(allowed="one__echo", hidden="one__delete_file", closed="one__write_file")
        for number, (kind, modern) in enumerate(WAYS):
            home = self.directory / str(number) / "home"
            path = self.write(home, POLICY)
            received = path.with_name("one.received")
            config = path.with_name("servers.json")
            config.write_text(json.dumps({"mcpServers": {"one": {"command": CHILD[0], "args": CHILD[1:], "policy": path.name,
                                                                 "env": {"RECEIVED": str(received)}}}}))
            config.chmod(0o600)
            gateway = HttpGateway(home, None, config=config) if kind is Posts else Gateway(home, None, config=config, initialize=not modern)
            try:
                way = kind(gateway, modern, targets)
                words = self.attack(way, from_one(targets) + ARGUMENTS, targets, home)
                self.assertFalse(way.result("one__echo", {"text": "soundandallowed"}).get("isError", False))
            finally:
                gateway.stop()
            everything = received.read_text()
            self.assertIn("soundandallowed", everything)
            self.assertEqual([word for word in words if word in everything], [])


class OwnTools(Everywhere):
    """The same on Sluice's own: an attack that got through would have added a rule."""

    def own(self, way, home):
        words = self.attack(way, from_one(OWN), OWN, home)
        rules = json.dumps(way.result("proxy_list_rules", {}))
        self.assertIn("structuredContent", rules)
        self.assertEqual([word for word in words if word in rules], [])

    def test_at_the_port_of_serve(self):
        home = self.directory / "home"
        with Serve("--no-proxy", "--policy", self.write(home, OWN_POLICY), home=home, directory=self.directory) as serve:
            serve.port = int(serve.mcp_url.split(":")[2].split("/")[0])
            for modern in (False, True):
                self.own(Posts(serve, modern, OWN), home)

    def test_behind_mcp(self):
        for number, modern in enumerate((False, True)):
            home = self.directory / str(number) / "home"
            mcp = Mcp(home, self.write(home, OWN_POLICY), modern)
            try:
                self.own(Lines(mcp, modern, OWN), home)
            finally:
                mcp.stop()
