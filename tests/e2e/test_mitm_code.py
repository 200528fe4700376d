"""Programs that `generate_scraper_code` writes: parsed and executed. A login hands out a token and a cookie that the next request needs."""
import ast
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import unittest

from harness import E2E, clean_environment, needs, needs_node, poll, run

PASSWORD, KEY, BINARY = "code-password-1", "key-code-value-99", bytes(range(256))
SECRETS = {"PASSWORD": PASSWORD, "API_KEY": KEY}
# Debian's Python has requests and aiohttp (./dev setup test); another one in PATH may not.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable

STUBS = {
    "curl_cffi": ("curl_cffi/requests.py", """
import json, urllib.request, urllib.error
class Answer:
    def __init__(self, response):
        self.status_code, self.text = response.status, response.read().decode("utf-8", "replace")
        self.cookies = {c.split("=")[0]: c.split("=")[1].split(";")[0] for c in response.headers.get_all("Set-Cookie") or []}
    def json(self): return json.loads(self.text)
class Session:
    def __init__(self, impersonate): assert impersonate == "chrome120"
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def request(self, method, url, *, headers, data=None, allow_redirects, timeout):
        assert isinstance(data, (bytes, type(None)))
        try:
            return Answer(urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)))
        except urllib.error.HTTPError as error:
            return Answer(error)
"""),
    "playwright": ("playwright/sync_api.py", """
import contextlib, http.cookies, json, urllib.request
class Answer:
    def __init__(self, response, context):
        self.status, self.text = response.status, response.read().decode("utf-8", "replace")
        for line in response.headers.get_all("Set-Cookie") or []:
            context.jar[line.split("=")[0]] = line.split("=")[1].split(";")[0]
    def json(self): return json.loads(self.text)
class Context:
    def __init__(self): self.jar, self.request = {}, self
    def new_page(self): return self
    def cookies(self): return [{"name": n, "value": v} for n, v in self.jar.items()]
    def fetch(self, url, *, method, headers, data=None, max_redirects, timeout):
        return Answer(urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)), self)
class Browser:
    def new_context(self): return Context()
    def close(self): pass
class Chromium:
    def launch(self): return Browser()
class Playwright: chromium = Chromium()
@contextlib.contextmanager
def sync_playwright(): yield Playwright()
"""),
}


class Shop:
    """POST /login answers a token and sets a cookie; /me wants both; /blob wants octets."""

    def __init__(self):
        shop = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                shop.seen.append((self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body))
                status, answer, more = shop.answer(self.path, self.headers, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.token = "shop-token-00001"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, headers, body):
        if path == "/login":
            if json.loads(body).get("password") != PASSWORD:
                return 403, {}, {}
            return 200, {"session": {"access_token": self.token}, "list": [{"code": "list-code-" + self.token}]}, {"Set-Cookie": f"sid=cookie-{self.token}; HttpOnly"}
        if path.startswith("/me"):
            good = (headers.get("Authorization") == "Bearer " + self.token and f"sid=cookie-{self.token}" in (headers.get("Cookie") or "")
                    and "api_key=" + KEY in path and "code=list-code-" + self.token in path)
            return (200 if good else 401), {}, {}
        return (200 if body == BINARY else 400), {}, {}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Code(E2E):
    flags = ("--toolset", "all")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.close)
        cls.base = f"http://127.0.0.1:{cls.shop.port}"
        connection = http.client.HTTPConnection("127.0.0.1", cls.serve.proxy_port, timeout=20)
        for method, path, headers, body in (
                ("POST", "/login", {"Content-Type": "application/json"}, json.dumps({"user": "ann \"quoted\"", "password": PASSWORD})),
                ("GET", f"/me?api_key={KEY}&code=list-code-{cls.shop.token}", {"Authorization": f"Bearer {cls.shop.token}", "Cookie": f"sid=cookie-{cls.shop.token}", "X-Client": "it's"}, None),
                ("PUT", "/blob", {"Content-Type": "application/octet-stream"}, BINARY)):
            connection.request(method, cls.base + path, body, headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, (path, response.status)
        rows = poll(lambda: (lambda r: r if len(r) == 3 and all(x["status_code"] for x in r) else None)(cls.serve.call("get_traffic_summary")["result"]), 5, "the flows")
        cls.ids = {row["url"].split("/")[3].split("?")[0]: row["id"] for row in rows}

    def generate(self, target, *names, **more):
        ids = ",".join(self.ids[name] for name in names or ("login", "me", "blob"))
        return self.serve.call("generate_scraper_code", flow_ids=ids, target_framework=target, **more)["result"]

    def setUp(self):
        super().setUp()
        self.shop.token = "shop-token-00002"  # what a program does not take from the answer is wrong now
        self.shop.seen.clear()

    def execute(self, target, suffix, *command, **environment):
        code = self.generate(target)
        for secret in (PASSWORD, KEY, "shop-token-00001"):
            self.assertNotIn(secret, code)
        self.assertNotIn("[redacted", code)
        path = self.directory / f"program{suffix}"
        path.write_text(code)
        done = run(*command, path, env=clean_environment(**SECRETS, **environment), seconds=120, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:] + code)
        self.assertEqual([line for line in done.stdout.split() if line.isdigit()], ["200"] * 3, code)
        self.assertEqual([seen[:2] for seen in self.shop.seen][0], ("POST", "/login"))
        self.assertEqual(self.shop.seen[1][2]["x-client"], "it's")
        return code

    def test_requests(self):
        self.execute("requests", ".py", PYTHON)

    def test_aiohttp(self):
        self.execute("aiohttp", ".py", PYTHON)

    def test_curl_cffi_and_playwright_against_stubs_with_their_call_signatures(self):
        for target, (path, stub) in STUBS.items():
            with self.subTest(target):
                self.shop.seen.clear()
                place = self.directory / "stubs" / path
                place.parent.mkdir(parents=True, exist_ok=True)
                (place.parent / "__init__.py").write_text("")
                place.write_text(stub)
                self.execute(target, ".py", PYTHON, PYTHONPATH=self.directory / "stubs")

    def test_node_fetch(self):
        self.execute("node_fetch", ".mjs", needs_node())

    def test_go(self):
        self.execute("go", ".go", needs("go"), "run", GOCACHE=self.directory / "go", HOME=self.directory, GOFLAGS="-mod=mod", GO111MODULE="off")

    def test_curl(self):
        code = self.generate("curl", "login", "me")
        path = self.directory / "program.sh"
        path.write_text(code)
        done = run("/bin/bash", path, env=clean_environment(**SECRETS), seconds=60)
        self.assertEqual(done.returncode, 0, done.stderr + code)
        self.assertEqual([seen[1].split("?")[0] for seen in self.shop.seen], ["/login", "/me"])
        self.assertEqual(self.shop.seen[1][2]["authorization"], "Bearer shop-token-00002")
        self.assertIn("access_token", done.stdout)

    def test_cpp(self):
        if not list(pathlib.Path("/usr/include").glob("**/curl/curl.h")):
            raise unittest.SkipTest("no libcurl4-openssl-dev (./dev setup test)")
        compiler = next((name for name in ("clang++-16", "c++", "g++", "clang++") if shutil.which(name)), None)
        if not compiler:
            raise unittest.SkipTest("no C++ compiler")
        source, program = self.directory / "program.cc", self.directory / "program"
        source.write_text(self.generate("cpp"))
        done = run(compiler, "-std=c++17", "-Wall", "-Werror", source, "-o", program, "-lcurl", seconds=120)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        done = run(program, env=clean_environment(**SECRETS), seconds=60)
        self.assertEqual((done.returncode, done.stdout.split()), (0, ["200"] * 3), done.stderr)

    def test_http_file_executed_as_its_clients_do(self):
        answers, jar, statuses = {}, {}, []

        def resolve(match):
            name = match.group(1)
            if name in SECRETS:
                return SECRETS[name]
            step, part, rest = re.fullmatch(r"(step\d+)\.response\.(body|headers)\.(.+)", name).groups()
            if part == "headers":
                return answers[step][0][rest]
            value = json.loads(answers[step][1])
            for index, member in re.findall(r"\[(\d+)\]|\.([\w-]+)", rest.removeprefix("$")):
                value = value[int(index)] if index else value[member]
            return value

        for block in re.split(r"(?m)^### .*\n", self.generate("http", "login", "me"))[1:]:
            name = re.search(r"(?m)^# @name (\w+)$", block)
            head, _, body = re.sub(r"(?m)^#.*\n", "", block).partition("\n\n")
            start, *fields = [re.sub(r"\{\{(.*?)\}\}", resolve, line) for line in head.splitlines()]
            method, url = start.split(" ", 1)
            connection = http.client.HTTPConnection("127.0.0.1", self.shop.port, timeout=20)
            headers = dict(line.split(": ", 1) for line in fields)
            if jar:
                headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in jar.items())
            connection.request(method, url.removeprefix(self.base), re.sub(r"\{\{(.*?)\}\}", resolve, body.rstrip("\n")) or None, headers)
            response = connection.getresponse()
            if name:
                answers[name.group(1)] = (response.headers, response.read())
            jar.update(line.split(";")[0].split("=", 1) for line in response.headers.get_all("Set-Cookie") or [])
            statuses.append(response.status)
            connection.close()
        self.assertEqual(statuses, [200, 200])

    def test_http_file_and_postman_collection(self):
        text = self.generate("http", "login", "me")
        self.assertIn(f"POST {self.base}/login\nContent-Type: application/json\n", text.replace("Accept-Encoding: identity\n", ""))
        self.assertIn("{{PASSWORD}}", text)
        self.assertIn("# @name step1\n", text)
        self.assertIn("code={{step1.response.body.$.list[0].code}}", text)
        self.assertIn("Authorization: Bearer {{step1.response.body.$.session.access_token}}", text)
        self.assertNotIn(PASSWORD, text)
        collection = json.loads(self.generate("postman", "login", "me"))
        self.assertRegex(json.dumps(collection["item"][1]["request"]["header"]), r'"Bearer \{\{value_\d\}\}"')
        self.assertEqual([item["request"]["method"] for item in collection["item"]], ["POST", "GET"])
        self.assertEqual(collection["info"]["schema"], "https://schema.getpostman.com/json/collection/v2.1.0/collection.json")

    def test_W6_hostile_traffic_stays_inside_literals(self):
        evil = ["\"); EVIL7(\"", "'; EVIL7; '", "\\\"EVIL7\\", "${EVIL7}$(EVIL7)`EVIL7`", "%0aEVIL7", "{{EVIL7}}", "*/EVIL7/*", "\"\"\"EVIL7\"\"\""]
        connection = http.client.HTTPConnection("127.0.0.1", self.serve.proxy_port, timeout=20)
        for index, text in enumerate(evil):
            plain = text.replace(" ", "%20")
            connection.putrequest("POST", f"{self.base}/evil{index}/{plain}?a={plain}", skip_accept_encoding=True)
            connection.putheader("X-Evil", text)
            connection.putheader("Cookie", f"a={text.replace(';', '')}")
            body = (text + "\n" + text).encode()
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            connection.getresponse().read()
        rows = poll(lambda: (lambda r: r if len(r) == len(evil) and all(x["status_code"] for x in r) else None)(self.serve.call("search_traffic", query="/evil")["result"]), 5, "the flows")
        ids = ",".join(row["id"] for row in rows)
        node = needs_node()
        for target in ("curl_cffi", "requests", "aiohttp", "playwright"):
            tree = ast.parse(self.serve.call("generate_scraper_code", flow_ids=ids, target_framework=target, show_secrets=True)["result"])
            for each in ast.walk(tree):
                if isinstance(each, ast.Constant):
                    each.value = ""
            self.assertNotIn("EVIL7", ast.unparse(tree))
        for target, name, command in (("node_fetch", "evil.mjs", [node, "--check"]), ("curl", "evil.sh", ["/bin/bash", "-n"]), ("go", "evil.go", ["gofmt", "-l"])):
            path = self.directory / name
            path.write_text(self.serve.call("generate_scraper_code", flow_ids=ids, target_framework=target, show_secrets=True)["result"])
            done = run(*command, path, env=clean_environment(), seconds=30)
            self.assertEqual(done.returncode, 0, (target, done.stderr))
        # What a shell runs is what was sent: the words are handed to something that is not curl.
        words = self.directory / "bin"
        words.mkdir(exist_ok=True)
        (words / "curl").write_text("#!/bin/sh\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done\n")
        (words / "curl").chmod(0o755)
        done = subprocess.run(["/bin/bash", str(self.directory / "evil.sh")], env=clean_environment(PATH=f"{words}:/usr/bin:/bin"), capture_output=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        sent = done.stdout.split(b"\0")
        for text in evil:
            self.assertIn((text + "\n" + text).encode(), sent)

    def test_W2_unknown_flows_are_told(self):
        answer = self.serve.call("generate_scraper_code", flow_ids=f"{self.ids['login']},nope")
        self.assertEqual(answer["missing"], ["nope"])
        with self.assertRaisesRegex(Exception, "Flow not found"):
            self.serve.call("generate_scraper_code", flow_ids="nope")


if __name__ == "__main__":
    unittest.main()
