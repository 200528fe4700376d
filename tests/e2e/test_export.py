"""`sluice traffic export` and proxy_export_traffic: HAR that a validator takes, curl commands that nothing escapes from, whole and in
constant memory."""
import base64
import hashlib
import json
import os
import pathlib
import random
import re
import stat
import subprocess
import unittest

import har_check
from harness import E2E, PATIENCE, ROOT, SLUICE, ToolError, clean_environment, needs_node, poll, sluice
from fakes.h2_origin import H2Origin
from fakes.origin import sha256_of_large
from fakes.websocket import BINARY, CLOSE, TEXT, WebSocketClient, WebSocketServer, close_body


class Exported(E2E):
    def get(self, path, *more):
        done = self.serve.curl(self.origin.url(path), *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def wait_for(self, mark, count=1):
        return poll(lambda: (lambda rows: rows if len(rows) >= count else None)(self.serve.traffic(filter=f'~u "{mark}"', show_secrets=True)), 10, mark)

    def export(self, *flags, text=True):
        done = sluice("traffic", "export", *flags, home=self.serve.home, text=text, seconds=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def har(self, expression):
        har = json.loads(self.export("--filter", expression))
        self.assertEqual(har_check.problems(har), [])
        return har["log"]["entries"]

    def plain(self, octets):
        """Octets as they are, in a connection of their own, to an origin without TLS."""
        if not hasattr(self, "bare"):
            self.bare = self.new_origin(plain=True)
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{self.bare.port}").status, 200)
        client.send(octets)
        return client.read_answer()


class Har(Exported):
    def test_entries_hold_what_was_on_the_wire(self):
        self.get("/echo?har1&q=a%20b&q=2", "--data-binary", "name=grün", "-H", "Content-Type: application/x-www-form-urlencoded",
                 "-H", "Cookie: a=1; b=two", "-H", "Authorization: Bearer s3cr3t")
        self.get("/gzip?har1")
        self.get("/odd?har1")
        self.wait_for("har1", 3)
        echo, coded, odd = self.har("~u har1")
        request = echo["request"]
        self.assertEqual((request["method"], request["httpVersion"], request["postData"]["text"]), ("POST", "HTTP/1.1", "name=grün"))
        self.assertIn({"name": "q", "value": "a b"}, request["queryString"])
        self.assertEqual(request["cookies"], [{"name": "a", "value": "1"}, {"name": "b", "value": "two"}])
        self.assertIn("Bearer s3cr3t", json.dumps(request["headers"]), "the command line is the owner's")
        self.assertEqual(coded["response"]["content"]["text"], "gzip says hello\n" * 3)
        self.assertEqual(coded["response"]["content"]["size"] - coded["response"]["content"]["compression"], coded["response"]["bodySize"])
        self.assertEqual(len(odd["response"]["cookies"]), 2)
        for entry in (echo, coded, odd):
            self.assertEqual(entry["serverIPAddress"], "127.0.0.1")
            self.assertRegex(entry["connection"], r"^\d+$")
            self.assertRegex(entry["_clientTls"]["ja4"], r"^t13")
            self.assertTrue(entry["_serverTls"]["verified"])
            self.assertGreater(entry["time"], 0)

    def test_what_is_not_text_is_base64(self):
        octets = bytes(range(256)) * 3
        path = self.directory / "octets"
        path.write_bytes(octets)
        self.get("/echo?har2", "--data-binary", f"@{path}", "-H", "Content-Type: application/octet-stream")
        self.wait_for("har2")
        [entry] = self.har("~u har2")
        self.assertEqual(base64.b64decode(entry["response"]["content"]["text"]), octets)
        self.assertEqual((entry["request"]["postData"]["_encoding"], base64.b64decode(entry["request"]["postData"]["text"])), ("base64", octets))

    def test_failures_and_rules_are_entries_too(self):
        rule = self.serve.call("proxy_mock_response", url_pattern="har3mock", status=418, body="tea")["rule_id"]
        self.addCleanup(self.forget_rule, rule)
        self.get("/x?har3mock")
        self.serve.curl(self.origin.url("/die?har3"))
        self.wait_for("har3", 2)
        mocked, died = self.har("~u har3")
        self.assertEqual((mocked["response"]["status"], mocked["_matchedRuleId"], mocked["_ruleIds"]), (418, rule, [rule]))
        self.assertNotIn("serverIPAddress", mocked)
        self.assertIn("_error", died)

    def test_websocket_messages_are_in_chromes_form(self):
        self.origin.routes["/har4"] = WebSocketServer()
        self.addCleanup(self.origin.routes.pop, "/har4")
        socket = WebSocketClient(self.client(), f"localhost:{self.origin.port}", "/har4")
        for opcode, payload in ((TEXT, "grüße".encode()), (BINARY, b"\x00\xff")):
            socket.send(opcode, payload)
            socket.read()
        socket.send(CLOSE, close_body(1000, "done"))
        while socket.read().opcode != CLOSE:
            pass
        socket.raw.close()
        self.wait_for("har4")
        [entry] = self.har("~u har4")
        self.assertEqual((entry["_resourceType"], entry["response"]["status"]), ("websocket", 101))
        messages = [(m["type"], m["opcode"], m["data"]) for m in entry["_webSocketMessages"] if m["opcode"] < 8]
        self.assertEqual(messages, [(kind, opcode, data) for opcode, data in ((1, "grüße"), (2, "AP8=")) for kind in ("send", "receive")])
        self.assertGreater(entry["_webSocketMessages"][0]["time"], 1.6e9)

    def test_the_version_is_the_clients(self):
        origin = H2Origin(needs_node(), self.fakes.leaf("localhost", "127.0.0.1"))
        self.addCleanup(origin.close)
        self.assertEqual(self.serve.curl(f"https://localhost:{origin.port}/hello?har11", "--http2").returncode, 0)
        self.wait_for("har11")
        [entry] = self.har("~u har11")
        self.assertEqual((entry["request"]["httpVersion"], entry["response"]["httpVersion"], entry["request"]["headersSize"]), ("HTTP/2", "HTTP/2", -1))

    def test_an_empty_export_is_a_har(self):
        self.assertEqual(self.har("~u nothing-like-this"), [])

    def test_large_bodies_go_out_whole_and_memory_stays_flat(self):
        size = 24 << 20
        self.get(f"/large?size={size}&har5")
        self.wait_for("har5")
        status = pathlib.Path(f"/proc/{self.serve.process.pid}/status")
        resident = lambda: int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1])
        before = resident()
        [entry] = self.har("~u har5")
        self.assertLess(resident() - before, 24 << 10, "KiB: less than the body")
        content = entry["response"]["content"]
        octets = base64.b64decode(content["text"]) if content.get("encoding") else content["text"].encode()
        self.assertEqual((len(octets), hashlib.sha256(octets).hexdigest()), (size, sha256_of_large(size)))

    def test_pieces_of_any_size_are_the_same_text(self):
        for number in range(5):
            self.get(f"/echo?har6&n={number}", "--data-binary", "ü€" * 900)
        self.wait_for("har6", 5)
        whole = self.export("--filter", "~u har6")
        for limit in (1000, 1001, 4096):
            text, cursor, entries = "", {}, 0
            while True:
                piece = self.serve.call("proxy_export_traffic", filter="~u har6", limit=limit, show_secrets=True, **cursor)
                text, entries = text + piece["text"], entries + piece["entries"]
                if "cursor" not in piece:
                    break
                cursor = {"cursor": piece["cursor"]}
            self.assertEqual((text, entries), (whole, 5))

    def test_agents_get_masks(self):
        self.get("/echo?har7&access_token=Zq8tokenL", "--data-binary", '{"password":"Zq8tokenL"}', "-H", "Content-Type: application/json",
                 "-H", "Authorization: Bearer Zq8tokenL", "-H", "Cookie: sid=Zq8tokenL")
        self.wait_for("har7")
        for kind in ("har", "curl", "raw", "jsonl"):
            with self.subTest(kind):
                shown = self.serve.call("proxy_export_traffic", format=kind, filter="~u har7", limit=100000)
                text = shown.get("text") or base64.b64decode(shown["base64"]).decode()
                self.assertNotIn("Zq8tokenL", text)
                self.assertIn("[redacted:", text)
                if kind == "har":
                    self.assertEqual(har_check.problems(json.loads(text)), [])
                self.assertIn("Zq8tokenL", json.dumps(self.serve.call("proxy_export_traffic", format=kind, filter="~u har7", limit=100000, show_secrets=True)))

    def test_files_are_private_and_failures_leave_them_alone(self):
        self.get("/hello?har8")
        self.wait_for("har8")
        path = self.directory / "out.har"
        self.assertEqual(self.export("--filter", "~u har8", path), "")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        before = path.read_bytes()
        self.assertEqual(len(json.loads(before)["log"]["entries"]), 1)
        wrong = sluice("traffic", "export", "--filter", "~nope", path, home=self.serve.home)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("column 1", wrong.stderr)
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual([p.name for p in self.directory.iterdir() if ".part" in p.name], [])

    def test_wrong_cursors_and_ids_are_refused(self):
        for arguments in ({"cursor": "x"}, {"cursor": "1.2.3"}, {"exchange_id": "none"}, {"exchange_id": "none", "filter": "~q"},
                          {"cursor": "0.99999.1.99999.5"}):
            with self.subTest(arguments), self.assertRaises(ToolError):
                self.serve.call("proxy_export_traffic", **arguments)

    def test_lines_of_json_are_the_same_entries(self):
        self.get("/hello?har9")
        self.get("/gzip?har9")
        self.wait_for("har9", 2)
        lines = [json.loads(line) for line in self.export("--filter", "~u har9", "--format", "jsonl").splitlines()]
        self.assertEqual(lines, self.har("~u har9"))

    def test_raw_http_is_what_was_said(self):
        self.plain(b"POST /echo?har10 HTTP/1.1\r\nHoSt: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        self.wait_for("har10")
        raw = self.export("--filter", "~u har10", "--format", "raw", text=False)
        self.assertTrue(raw.startswith(b"POST /echo?har10 HTTP/1.1\r\nHoSt: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"), raw)
        self.assertTrue(raw.endswith(b"\r\n\r\nabcde"), raw)


class Documented(Exported):
    def test_the_commands_of_the_page_run(self):
        self.get("/echo?page", "--data-binary", "x")
        self.wait_for("page")
        page = (ROOT / "docs" / "traffic.md").read_text()
        [block] = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
        for line in block.strip().splitlines():
            with self.subTest(line):
                command = line.replace("sluice ", f"'{SLUICE}' ", 1)
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=30 * PATIENCE, cwd=self.directory,
                                      env=clean_environment(SLUICE_HOME=self.serve.home), check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout or "traffic.har" in line)
        self.assertEqual(har_check.problems(json.loads((self.directory / "traffic.har").read_text())), [])

    def test_the_page_names_what_is_written(self):
        self.get("/echo?named", "--data-binary", "x")
        self.wait_for("named")
        page = (ROOT / "docs" / "traffic.md").read_text()
        [entry] = self.har("~u named")
        for name in entry:
            if name.startswith("_"):
                self.assertIn(f"`{name}`", page)
        for tool in self.serve.rpc("tools/list", {})["tools"]:
            if tool["name"] == "proxy_decode_exchange":
                for kind in tool["inputSchema"]["properties"]["as"]["enum"]:
                    self.assertIn(f"`{kind}`", page)


SPY = """#!/bin/sh
for argument in "$@"; do printf '%s\\0' "$argument"; done > "$SPY_OUT"
cat > "$SPY_OUT.in"
"""
NASTY = ["'", "';touch pwned;'", "$(touch pwned)", "`touch pwned`", "\\", "\\'", '"', "!", "!!", "\n", "$'\\n'", "&& touch pwned", "| sh", "\x1b[2J", "é", "\u009b",
         "#", "~", "*", "%s", "@/etc/passwd", "-K /etc/passwd", "{a,b}", "[1-9]", "\t", "''", "\x7f", "\xff"]


class Curl(Exported):
    """Nothing from traffic escapes its quotes: the commands are parsed by bash and run with a curl that only tells its arguments."""

    def setUp(self):
        super().setUp()
        self.bin = self.directory / "bin"
        self.bin.mkdir(exist_ok=True)
        (self.bin / "curl").write_text(SPY)
        (self.bin / "curl").chmod(0o755)

    def spied(self, command):
        out = self.directory / f"spy-{os.urandom(4).hex()}"
        where = self.directory / "cwd"
        where.mkdir(exist_ok=True)
        for flags in (["-n"], []):
            done = subprocess.run(["bash", *flags, "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * PATIENCE, cwd=where, check=False,
                                  env=clean_environment(PATH=f"{self.bin}:{os.environ['PATH']}", SPY_OUT=out))
            self.assertEqual((done.returncode, done.stderr), (0, b""), command)
        self.assertEqual(list(where.iterdir()), [], "nothing was run but curl")
        return out.read_bytes().split(b"\0")[:-1], pathlib.Path(f"{out}.in").read_bytes()

    def test_nothing_escapes_its_quotes(self):
        chance = random.Random(4711)
        for number in range(40):
            value = "".join(chance.choice(NASTY) for _ in range(chance.randrange(1, 6)))
            body = value.encode("latin-1" if number % 2 else "utf-8", "replace") + (b"\0" if number % 5 == 0 else b"")
            header = "".join(c if c >= " " and c not in "\x7f\n" else " " for c in value).encode("utf-8").strip(b" \t")
            target = "/echo?curl1n%d&x=" % number + "".join(c for c in value if "!" <= c <= "~")
            method = chance.choice(["POST", "PUT", "PURGE"])
            self.plain(method.encode() + b" " + target.encode() + b" HTTP/1.1\r\nHost: localhost:%d\r\nX-Nasty: " % self.bare_port() + header +
                       b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            [row] = self.wait_for(f"curl1n{number}&")
            with self.subTest(value=value):
                command = self.export("--format", "curl", "--id", row["id"], text=False)
                arguments, given = self.spied(command)
                after = lambda flag: [arguments[i + 1] for i, a in enumerate(arguments) if a == flag]  # pylint: disable=cell-var-from-loop
                self.assertEqual(after(b"--url"), [f"http://localhost:{self.bare_port()}{target}".encode()])
                self.assertIn(b"X-Nasty: " + header if header else b"X-Nasty;", after(b"--header"))
                self.assertEqual(given if b"--data-binary" in arguments else after(b"--data-raw")[0], body)
                if method != "POST":
                    self.assertEqual(after(b"--request"), [method.encode()])
                self.assertFalse([a for a in arguments if a.startswith(b"@") and a != b"@-" and a != body], arguments)
                for octet in command:
                    self.assertTrue(octet in b"\n\t" or octet >= 0x20 and octet != 0x7f, "no control character reaches a terminal")

    def bare_port(self):
        if not hasattr(self, "bare"):
            self.bare = self.new_origin(plain=True)
        return self.bare.port

    def test_a_command_sends_the_same_again(self):
        self.get("/echo?curl2", "--data-binary", "it's @this\n", "-H", "X-One: 1", "-H", "Content-Type: text/x-mine")
        [row] = self.wait_for("curl2")
        command = self.export("--format", "curl", "--id", row["id"])
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=20 * PATIENCE, check=False,
                              env=clean_environment(CURL_CA_BUNDLE=self.fakes.pem))
        self.assertEqual((done.returncode, done.stdout), (0, b"it's @this\n"), done.stderr)
        again = self.origin.requests[-1]
        self.assertEqual((again.get("x-one"), again.get("content-type")), ("1", "text/x-mine"))

    def test_many_commands_are_one_script(self):
        for number in range(3):
            self.get(f"/hello?curl3n{number}")
        self.wait_for("curl3", 3)
        script = self.export("--format", "curl", "--filter", "~u curl3")
        self.assertEqual(script.count("curl --globoff"), 3)
        self.spied(script.encode())


if __name__ == "__main__":
    unittest.main()
