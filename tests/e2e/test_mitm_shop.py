"""The toolset `mitmproxy` against an HTML shop: a value traced, a session watched, programs that log in again. The login's
hidden token, the session cookie and the token for the API are new each time."""
import http.client
import json
import os
import pathlib
import re
import shutil
import sys
import unittest
import urllib.parse

import html_site
from harness import E2E, HERE, SLUICE, ToolError, clean_environment, needs, needs_node, poll, run

PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
ENVIRONMENT = {"PASSWORD": html_site.PASSWORD, "COOKIE_LANG": "de"}  # what programs do not get from answers
CLIENTS = pathlib.Path(os.environ.get("E2E_CLIENTS", HERE))  # where node_modules is


class Shop(E2E):
    flags = ("--toolset", "all")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = html_site.HtmlShop()
        cls.addClassCleanup(cls.shop.close)
        cls.browse()

    @classmethod
    def browse(cls):
        """A person logs in and puts something into the cart."""
        connection = http.client.HTTPConnection("127.0.0.1", cls.serve.proxy_port, timeout=20)
        cls.secrets = {}

        def go(method, path, form=None, **headers):
            body = urllib.parse.urlencode(form) if form else None
            if form:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            if "sid" in cls.secrets:
                headers["Cookie"] = f"lang=de; shop_sid={cls.secrets['sid']}"
            connection.request(method, cls.shop.base + path, body, {"Accept": "text/html", **headers})
            response = connection.getresponse()
            text = response.read().decode()
            for found in re.findall(r'name="csrf_token" value="([^"]*)"', text):
                cls.secrets["csrf"] = found.replace("&amp;", "&")
            for found in re.findall(r'name="api-token" content="([^"]*)"', text):
                cls.secrets["api"] = found
            if response.headers["Set-Cookie"]:
                cls.secrets["sid"] = re.search("shop_sid=([^;]+)", response.headers["Set-Cookie"]).group(1)
            return response.status

        statuses = [go("GET", "/login")]
        cls.secrets["first"] = cls.secrets["csrf"]
        statuses += [go("POST", "/login", {"user": "ann", "password": html_site.PASSWORD, "csrf_token": cls.secrets["csrf"]}), go("GET", "/account"), go("GET", "/cart")]
        statuses += [go("POST", "/cart", {"product": "red-teapot", "csrf_token": cls.secrets["csrf"]}), go("GET", "/api/total", **{"X-Api-Token": cls.secrets["api"]})]
        statuses += [go("GET", f"/products/{name}") for name in html_site.PRODUCTS]
        connection.close()
        assert statuses == [200, 303, 200, 200, 303, 200] + [200] * 6, statuses

        def flows():
            rows = cls.serve.call("get_traffic_summary", limit=100)["result"]
            return rows if len(rows) == 12 and all(row["status_code"] for row in rows) else None
        cls.flows = {f"{row['method']} {urllib.parse.urlsplit(row['url']).path}": row["id"] for row in poll(flows, 5, "the flows")}


class Understanding(Shop):
    def test_pages_are_read_by_selectors_and_endpoints_found(self):
        cart = self.serve.call("extract_from_flow", flow_id=self.flows["GET /cart"], css_selector="form input[name=csrf_token]")["result"]
        self.assertEqual(len(cart), 1)
        price = self.serve.call("extract_from_flow", flow_id=self.flows["GET /products/red-teapot"], css_selector="p.price")["result"]
        self.assertEqual(price[0]["text"], "20")
        self.assertEqual(self.serve.call("get_flow_schema", flow_id=self.flows["GET /api/total"]), {"total": "int", "items": "list"})
        patterns = {row["endpoint"] for row in self.serve.call("get_api_patterns")["result"]}
        self.assertLessEqual({"GET /login", "POST /login", "GET /cart", "POST /cart", "GET /api/total"}, patterns)
        auth = self.serve.call("detect_auth_pattern")
        self.assertLessEqual({"session_cookie", "csrf"}, set(auth["detected_auth_types"]))
        for secret in self.secrets.values():
            self.assertNotIn(secret, json.dumps(auth))
        document = self.serve.call("export_openapi_spec")
        self.assertIn("application/x-www-form-urlencoded", document["paths"]["/cart"]["post"]["requestBody"]["content"])
        self.assertIn("/api/total", document["paths"])

    def test_an_official_client_asks_the_same(self):
        for generation, era in (("1", "legacy"), ("2", "modern")):
            with self.subTest(generation):
                environment = clean_environment(SLUICE=SLUICE, SLUICE_HOME_DIR=self.directory, UPSTREAM_CA=self.fakes.pem, MCP_URL=self.serve.mcp_url, MCP_TOKEN=self.serve.token,
                                                FLOWS=json.dumps(self.flows))
                done = run(needs_node(), HERE / "clients" / "mitm_sites.mjs", generation, era, "http", env=environment, seconds=60)
                self.assertEqual(done.returncode, 0, done.stderr[-3000:])
                seen = json.loads(done.stdout.strip().splitlines()[-1])
                self.assertEqual(seen["prices"], ["20"])
                self.assertIn("csrf", seen["auth"])
                self.assertIn("/cart", seen["paths"])
                self.assertEqual((seen["first"], seen["chained"]), ("input[name=\"csrf_token\"]", True))
                self.assertEqual(seen["alive"], True)


class Trace(Shop):
    def trace(self, **arguments):
        answer = self.serve.call("trace_value", **arguments)
        for secret in self.secrets.values():
            self.assertNotIn(secret, json.dumps(answer))
        return answer

    def test_a_hidden_field_is_followed_to_the_form_that_sends_it(self):
        answer = self.trace(flow_id=self.flows["POST /cart"], message="request", pointer="csrf_token", **{"in": "form"})
        first = answer["first"]
        self.assertEqual((first["flow_id"], first["message"], first["in"], first["pointer"]), (self.flows["GET /cart"], "response", "html", 'input[name="csrf_token"]'))
        self.assertEqual((first["attribute"], first["hidden"], first["encodings"]), ("value", True, ["html"]))
        self.assertTrue(answer["chained"])
        [use] = answer["uses"]
        self.assertEqual((use["flow_id"], use["in"], use["pointer"], use["encodings"]), (self.flows["POST /cart"], "form", "csrf_token", ["percent"]))

    def test_a_cookie_and_a_token_of_a_page_by_value_and_by_place(self):
        answer = self.serve.call("trace_value", value=self.secrets["sid"], limit=3)
        self.assertEqual((answer["first"]["flow_id"], answer["first"]["in"], answer["first"]["pointer"]), (self.flows["POST /login"], "cookie", "shop_sid"))
        self.assertEqual((len(answer["uses"]), answer["total"]), (3, 10))
        more = self.serve.call("trace_value", value=self.secrets["sid"], cursor=answer["next_cursor"])
        self.assertEqual((len(more["uses"]), more.get("next_cursor")), (7, None))
        token = self.trace(flow_id=self.flows["GET /api/total"], message="request", pointer="x-api-token", **{"in": "header"})
        self.assertEqual((token["first"]["pointer"], token["first"]["attribute"], token["total"]), ('meta[name="api-token"]', "content", 1))

    def test_what_is_masked_short_or_nowhere_is_told(self):
        mask = self.serve.call("inspect_flow", flow_id=self.flows["GET /account"])["request"]["headers"]["Cookie"].split("shop_sid=")[1]
        for arguments, text in (({"value": "short"}, "8 octets"), ({"value": mask}, "mask"), ({}, "either"), ({"flow_id": self.flows["GET /cart"]}, "pointer"),
                                ({"flow_id": self.flows["GET /cart"], "pointer": "/nope"}, "no value")):
            with self.assertRaisesRegex(ToolError, text):
                self.serve.call("trace_value", **arguments)
        self.assertIsNone(self.serve.call("trace_value", value="nobody-knows-this")["first"])
        half = self.secrets["sid"][:12]
        self.assertIsNone(self.serve.call("trace_value", value=half)["first"])


class LoginCheck(Shop):
    def setUp(self):
        super().setUp()
        saved = self.serve.call("login_check", action="save", flow_id=self.flows["GET /account"], text="Welcome back")
        self.assertEqual((saved["alive"], saved["status_code"], saved["expects"]), (True, 200, {"text": "Welcome back"}))
        self.addCleanup(self.serve.call, "login_check", action="delete")

    def end_session(self):
        sessions = dict(self.shop.sessions)
        self.shop.sessions.clear()
        self.addCleanup(self.shop.sessions.update, sessions)

    def test_a_replay_says_whether_the_session_lives(self):
        answer = self.serve.call("replay_flow", flow_id=self.flows["GET /cart"])
        self.assertEqual((answer["status_code"], answer["session"]["alive"], answer["session"]["check"]), (200, True, "login"))
        self.end_session()
        answer = self.serve.call("replay_flow", flow_id=self.flows["GET /cart"])
        self.assertEqual((answer["status_code"], answer["session"]["alive"], answer["session"]["reason"]), (302, False, "The expected text is not in the body."))
        again = self.serve.call("login_check")
        self.assertEqual((again["result"], again["status_code"]), ("The session does not live.", 302))

    def test_fuzzing_does_not_begin_or_ends_without_a_session(self):
        fuzz = {"flow_id": self.flows["GET /products/red-teapot"], "target_param": "q", "param_type": "query", "payload_category": "sqli", "payloads": [f"p{n}" for n in range(40)],
                "rate": 0, "concurrency": 1}
        self.assertNotIn("stopped", self.serve.call("fuzz_endpoint", **fuzz))
        answer, sessions = self.shop.answer, dict(self.shop.sessions)
        self.addCleanup(setattr, self.shop, "answer", answer)
        self.addCleanup(self.shop.sessions.update, sessions)

        def ends_soon(method, target, headers, body):
            if "q=p15" in target:
                self.shop.sessions.clear()
            return answer(method, target, headers, body)
        self.shop.answer = ends_soon
        stopped = self.serve.call("fuzz_endpoint", **fuzz)
        self.assertRegex(stopped["stopped"], "does not live any more")
        self.assertLess(stopped["sent"], 30)
        with self.assertRaisesRegex(ToolError, "Nothing was sent: the session does not live"):
            self.serve.call("fuzz_endpoint", **fuzz)

    def test_checks_are_listed_kept_apart_and_deleted(self):
        self.serve.call("login_check", action="save", name="json", flow_id=self.flows["GET /api/total"], pointer="/total", equals=20, status=200, header="Content-Type", header_text="json")
        names = [check["name"] for check in self.serve.call("login_check", action="list")["checks"]]
        self.assertEqual(names, ["json", "login"])
        self.assertTrue(self.serve.call("login_check", name="json")["alive"])
        self.serve.call("login_check", action="delete", name="json")
        with self.assertRaisesRegex(ToolError, "no login check"):
            self.serve.call("login_check", name="json")
        with self.assertRaisesRegex(ToolError, "allow_unsafe"):
            self.serve.call("login_check", action="save", name="bad", flow_id=self.flows["POST /cart"])

    def test_session_variables_log_a_check_in_again(self):
        self.serve.call("set_session_variable", name="sid", value=self.secrets["sid"])
        self.addCleanup(self.serve.call, "delete_session_variable", name="sid")
        check = {"action": "save", "name": "mine", "flow_id": self.flows["GET /account"], "text": "Welcome back", "headers_json": json.dumps({"Cookie": "shop_sid=${sid}"})}
        self.assertTrue(self.serve.call("login_check", **check)["alive"])
        self.serve.call("set_session_variable", name="sid", value="another-session")
        self.assertFalse(self.serve.call("login_check", name="mine")["alive"])
        self.serve.call("login_check", action="delete", name="mine")

    def test_programs_end_with_the_check(self):
        ids = ",".join(self.flows[name] for name in ("GET /login", "POST /login"))
        for target, suffix, command in (("requests", ".py", [PYTHON]), ("curl", ".sh", ["/bin/bash"]), ("node_fetch", ".mjs", [needs_node()])):
            with self.subTest(target):
                path = self.directory / f"check{suffix}"
                path.write_text(self.serve.call("generate_scraper_code", flow_ids=ids, target_framework=target)["result"])
                done = run(*command, path, env=clean_environment(**ENVIRONMENT), seconds=60)
                self.assertEqual(done.returncode, 0, done.stderr + path.read_text())
                path.write_text(path.read_text().replace("Welcome back", "Welcome nobody"))
                done = run(*command, path, env=clean_environment(**ENVIRONMENT), seconds=60)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("The session does not live", done.stderr)


class Programs(Shop):
    """What is not taken from the answers before is wrong: the shop forgets what it handed out."""
    STEPS = ("GET /login", "POST /login", "GET /account", "GET /cart", "POST /cart", "GET /api/total")

    def setUp(self):
        super().setUp()
        self.shop.forget_sessions()

    def program(self, target, suffix):
        code = self.serve.call("generate_scraper_code", flow_ids=",".join(self.flows[name] for name in self.STEPS), target_framework=target)["result"]
        for secret in (*self.secrets.values(), html_site.PASSWORD, self.secrets["csrf"].replace("&", "%26").replace("+", "%2B")):
            self.assertNotIn(secret, code)
        path = self.directory / f"shop{suffix}"
        path.write_text(code)
        return path

    def went_well(self):
        self.assertEqual([f"{method} {path}" for method, path, *_ in self.shop.requests], list(self.STEPS))
        [user] = self.shop.sessions.values()
        self.assertEqual(user["cart"], ["red-teapot"])
        self.assertEqual(self.shop.requests[-1][2].get("x-api-token"), user["token"])

    def execute(self, target, suffix, *command, **environment):
        path = self.program(target, suffix)
        done = run(*command, path, env=clean_environment(**ENVIRONMENT, **environment), seconds=120, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:] + path.read_text())
        self.went_well()
        return done

    def test_requests(self):
        self.execute("requests", ".py", PYTHON)

    def test_aiohttp(self):
        self.execute("aiohttp", ".py", PYTHON)

    def test_node_fetch(self):
        self.execute("node_fetch", ".mjs", needs_node())

    def test_go(self):
        self.execute("go", ".go", needs("go"), "run", GOCACHE=self.directory / "go", HOME=self.directory, GO111MODULE="off")

    def test_curl(self):
        self.assertIn('"total": 20', self.execute("curl", ".sh", "/bin/bash").stdout)

    def test_cpp(self):
        if not list(pathlib.Path("/usr/include").glob("**/curl/curl.h")):
            raise unittest.SkipTest("no libcurl4-openssl-dev (./dev setup test)")
        compiler = next((name for name in ("clang++-16", "c++", "g++", "clang++") if shutil.which(name)), None)
        if not compiler:
            raise unittest.SkipTest("no C++ compiler")
        source, program = self.program("cpp", ".cc"), self.directory / "shop"
        run(compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", source, "-o", program, "-lcurl", seconds=120, check=0)
        done = run(program, env=clean_environment(**ENVIRONMENT), seconds=60)
        self.assertEqual((done.returncode, done.stdout.split()), (0, ["200", "303", "200", "200", "303", "200"]), done.stderr)
        self.went_well()

    def test_postman(self):
        newman = CLIENTS / "node_modules" / "newman" / "bin" / "newman.js"
        if not newman.exists():
            raise unittest.SkipTest("no newman in tests/e2e/node_modules (npm ci)")
        path = self.program("postman", ".json")
        done = run(needs_node(), newman, "run", path, *(word for name, value in ENVIRONMENT.items() for word in ("--env-var", f"{name}={value}")), "--color", "off", env=clean_environment(HOME=self.directory), seconds=90)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:])
        self.went_well()

    def test_http_file_names_answers_and_refers_to_them(self):
        text = self.program("http", ".http").read_text()
        self.assertIn("{{PASSWORD}}", text)
        # The cookie is the jar's; what HTML hands out is no reference of this format, and comes from the environment.
        self.assertIn("# The client's cookie jar sends shop_sid.", text)
        self.assertIn("Cookie: lang={{COOKIE_LANG}}\n", text)
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for name in re.findall(r"\{\{(.*?)\}\}", text):
            self.assertRegex(name, r"^([A-Z0-9_]+|step\d+\.response\.(headers\.[\w-]+|body\.\$[\w.\[\]-]*))?$")


if __name__ == "__main__":
    unittest.main()
