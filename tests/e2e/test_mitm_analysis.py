"""What the toolset `mitmproxy` infers from traffic: authentication, endpoints, OpenAPI; over MCP, from a site with a known description."""
import base64
import collections
import copy
import http.client
import json
import os
import pathlib
import random
import re
import unittest

import api_site
from harness import E2E, HERE, clean_environment, needs_node, poll, run
from json_schema import problems

EACH = 60  # requests of every endpoint in all; 30 % of them are captured
# Linters, not on every machine: npm install @redocly/cli @stoplight/spectral-cli somewhere, and say where.
LINTERS = os.environ.get("OPENAPI_LINTERS", str(HERE))


def shape(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


class Site(E2E):
    flags = ("--toolset", "all")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site = api_site.ApiSite()
        cls.addClassCleanup(cls.site.close)

    def setUp(self):
        super().setUp()
        self.serve.call("clear_traffic")

    def send(self, traffic, host="127.0.0.1"):
        """Sends what `api_site.traffic` made, through the proxy, and waits until it is recorded."""
        before = self.serve.call("proxy_list_traffic", limit=1)["total"]
        connection = http.client.HTTPConnection("127.0.0.1", self.serve.proxy_port, timeout=20)
        for method, _, target, headers, body, status, answer in traffic:
            self.site.answers[method, target] = (status, answer)
            connection.request(method, f"http://{host}:{self.site.port}{target}", body, headers)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status, (method, target))
        connection.close()
        poll(lambda: self.serve.call("proxy_list_traffic", limit=1)["total"] >= before + len(traffic), 10, "the records")


class Authentication(Site):
    def detect(self, **arguments):
        return self.serve.call("detect_auth_pattern", **arguments)

    def test_W15_a_login_and_what_it_issues_are_followed(self):
        traffic = api_site.traffic(1, 1)
        traffic.sort(key=lambda each: each[1] != "/v1/auth/login")
        self.send(traffic)
        answer = self.detect()
        self.assertIn("bearer_token", answer["detected_auth_types"])
        bearer = next(each for each in answer["schemes"] if each["type"] == "bearer_token")
        self.assertEqual((bearer["issued_by"]["path"], bearer["issued_by"]["where"]), ("/v1/auth/login", "/access_token"))
        self.assertEqual(bearer["confidence"], sum(piece["weight"] for piece in bearer["evidence"]))
        self.assertNotIn(api_site.TOKEN, json.dumps(answer))
        self.assertTrue(answer["details"]["bearer_token"]["flows"])

    def test_names_that_only_hold_a_word_are_no_authentication(self):
        self.send([("POST", "", "/api/tokenize", {"Cookie": "inside=k9Qz83hfLs02mXcVb71TyuEr", "Content-Type": "application/json"}, '{"text":"a"}', 200,
                    {"tokens": ["a"]})] * 6)
        self.assertEqual(self.detect()["detected_auth_types"], [])

    def test_W17_a_jwt_is_taken_apart_and_its_person_masked(self):
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        token = f"{part({'alg': 'HS256'})}.{part({'iss': 'https://id.test', 'sub': 'u-person-7', 'email': 'ann@person.test'})}.c2lnbmF0dXJl"
        self.send([("GET", "", "/me", {"Authorization": f"Bearer {token}"}, None, 200, {"ok": True})])
        answer = self.detect()
        jwt = next(each for each in answer["schemes"] if each["type"] == "jwt")["tokens"][0]
        self.assertEqual((jwt["header"]["alg"], jwt["claims"]["iss"]), ("HS256", "https://id.test"))
        for private in ("u-person-7", "ann@person.test", "c2lnbmF0dXJl"):
            self.assertNotIn(private, json.dumps(answer))
        shown = json.dumps(self.detect(show_secrets=True))
        self.assertIn("u-person-7", shown)
        self.assertNotIn("c2lnbmF0dXJl", shown)

    def test_flows_may_be_named(self):
        self.send([("GET", "", "/with", {"X-Api-Key": "k9Qz83hfLs02mXcVb71TyuEr"}, None, 200, {}), ("GET", "", "/without", {}, None, 200, {})])
        rows = {row["url"].rsplit("/", 1)[1]: row["id"] for row in self.serve.call("get_traffic_summary")["result"]}
        self.assertEqual(self.detect(flow_ids=rows["with"])["detected_auth_types"], ["api_key"])
        answer = self.detect(flow_ids=f"{rows['without']}, nope")
        self.assertEqual((answer["detected_auth_types"], answer["missing"], answer["analysed"]), ([], ["nope"], 1))


class Patterns(Site):
    def test_W14_all_endpoints_are_found_and_none_is_invented(self):
        self.send(api_site.traffic(20, 2))
        rows, cursor = [], None
        while True:
            answer = self.serve.call("get_api_patterns", **({"cursor": cursor} if cursor else {}))
            rows += answer["result"]
            cursor = answer.get("next_cursor")
            if not cursor:
                break
        self.assertEqual(len(rows), answer["total"])
        found = {(row["method"], shape(row["path_pattern"])): set(row["query_params"]) for row in rows}
        self.assertEqual(found, {(method, shape(path)): query for method, path, query in api_site.ENDPOINTS})
        users = next(row for row in rows if row["endpoint"] == "GET /v1/users/{user_id}")
        self.assertEqual(users["parameters"][0]["kind"], "integer")
        self.assertGreater(users["parameters"][0]["support"], 15)
        self.assertEqual((users["request_count"], users["host"]), (20, f"127.0.0.1:{self.site.port}"))
        self.assertEqual(users["status_codes"], {"200": 20})

    def test_hosts_are_told_apart_and_ours_left_out(self):
        one = [("GET", "", "/x/1", {}, None, 200, {"a": 1})]
        self.send(one)
        self.send(one, "localhost")
        total = self.serve.call("get_api_patterns")["total"]
        self.assertEqual(total, 2)
        self.assertEqual(self.serve.call("get_api_patterns", host="localhost")["total"], 1)
        self.add_rule({"pathPattern": "^/mocked"}, {"type": "mock", "status": 200, "body": "{}"})
        self.serve.curl(f"http://localhost:{self.site.port}/mocked")
        poll(lambda: self.serve.call("search_traffic", query="/mocked")["result"], 5, "the mock")
        answer = self.serve.call("get_api_patterns")
        self.assertEqual((answer["total"], answer["generated"]), (2, 1))
        self.assertEqual(self.serve.call("get_api_patterns", include_generated=True)["total"], 3)


def members_of(value, where=()):
    """Paths to every member of an answer."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield where + (name,)
            yield from members_of(member, where + (name,))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from members_of(item, where + (index,))


def at(value, path):
    for step in path:
        value = value[step]
    return value


class OpenApi(Site):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        traffic = api_site.traffic(EACH, 3)
        random.Random(4).shuffle(traffic)
        cls.seen, cls.held_out = traffic[:len(traffic) * 3 // 10], traffic[len(traffic) * 3 // 10:]
        cls.sent = False

    def setUp(self):
        E2E.setUp(self)
        if not self.sent:
            self.send(self.seen)
            type(self).sent = True
        self.document = self.serve.call("export_openapi_spec", host=f"127.0.0.1:{self.site.port}")
        self.operations = {(method.upper(), shape(path)): operation for path, item in self.document["paths"].items()
                           for method, operation in item.items()}

    def schema_of(self, method, path, status):
        response = self.operations[method, shape(path)]["responses"].get(str(status), {})
        return response.get("content", {}).get("application/json", {}).get("schema")

    def test_W13_of_thirty_percent_of_the_traffic_the_rest_validates(self):
        described = {(method, shape(path)) for method, path, _ in api_site.ENDPOINTS}
        self.assertEqual(set(self.operations), described)
        for method, path, names in api_site.ENDPOINTS:
            parameters = self.operations[method, shape(path)].get("parameters", [])
            self.assertEqual({each["name"] for each in parameters if each["in"] == "query"}, names, path)
            self.assertEqual(sum(each["in"] == "path" for each in parameters), path.count("{"), path)
            self.assertEqual([each["name"] for each in parameters if each["in"] == "header"], [], path)
        good, bad = 0, collections.Counter()
        for method, path, _, _, body, status, answer in self.held_out:
            wrong = []
            if isinstance(answer, (dict, list)) and method != "HEAD":
                schema = self.schema_of(method, path, status)
                wrong = problems(schema, answer) if schema is not None else ["no schema"]
            content = self.operations[method, shape(path)].get("requestBody", {}).get("content", {})
            if body and "application/json" in content:
                wrong += problems(content["application/json"]["schema"], json.loads(body))
            good += not wrong
            bad.update([(method, path, *wrong[:1])] if wrong else [])
        self.assertGreaterEqual(good / len(self.held_out), 0.95, bad.most_common(5))

    def test_W13_mutated_answers_are_refused(self):
        rng = random.Random(5)
        always = collections.defaultdict(lambda: None)
        for method, path, _, _, _, status, answer in self.seen + self.held_out:
            if isinstance(answer, dict):
                keys = set(answer)
                always[method, path] = keys if always[method, path] is None else always[method, path] & keys
        refused, kept = 0, collections.Counter()
        tried = 0
        for method, path, _, _, _, status, answer in self.held_out:
            schema = self.schema_of(method, path, status) if isinstance(answer, dict) and method != "HEAD" else None
            if schema is None:
                continue
            for kind, mutated in self.mutations(rng, answer, always[method, path], path):
                tried += 1
                if problems(schema, mutated):
                    refused += 1
                else:
                    kept[kind, method, path] += 1
        self.assertGreater(tried, 1000)
        self.assertGreaterEqual(refused / tried, 0.9, kept.most_common(8))

    @staticmethod
    def mutations(rng, answer, always, path):
        typed = [where for where in members_of(answer) if at(answer, where) is not None]
        if typed:
            where = rng.choice(typed)
            mutated = copy.deepcopy(answer)
            old = at(mutated, where)
            at(mutated, where[:-1])[where[-1]] = {"wrong": True} if not isinstance(old, dict) else "wrong"
            yield "type", mutated
        # Names that are values are no members: none of them is always there.
        if always and path != "/v1/stats":
            mutated = copy.deepcopy(answer)
            del mutated[rng.choice(sorted(always))]
            yield "required", mutated
        few = [where for where in members_of(answer) if where[-1] in api_site.ENUMS]
        if few:
            mutated = copy.deepcopy(answer)
            where = rng.choice(few)
            at(mutated, where[:-1])[where[-1]] = "unheard"
            yield "enum", mutated

    def test_types_formats_and_security_are_those_of_the_site(self):
        user = self.schema_of("GET", "/v1/users/{}", 200)
        self.assertEqual(user["properties"]["created"], {"type": "string", "format": "date-time"})
        self.assertEqual(user["properties"]["email"]["format"], "email")
        self.assertEqual(user["properties"]["manager"], {"type": ["integer", "null"]})
        self.assertIn("additionalProperties", self.schema_of("GET", "/v1/stats", 200))
        self.assertNotIn("content", self.operations["HEAD", "/v1/files/{}"]["responses"]["200"])
        message = self.operations["GET", "/v1/messages/{}"]["parameters"][0]["schema"]
        self.assertEqual(message, {"type": "integer", "format": "int64"})
        tags = next(each for each in self.operations["GET", "/v1/products"]["parameters"] if each["name"] == "tag[]")
        self.assertEqual(tags["schema"]["type"], "array")
        self.assertEqual(self.document["components"]["securitySchemes"]["bearerAuth"], {"type": "http", "scheme": "bearer"})
        self.assertEqual(self.operations["GET", "/v1/users"]["security"], [{"bearerAuth": []}])
        self.assertEqual(self.operations["GET", "/v1/health"]["security"], [])
        text = json.dumps(self.document)
        for secret in (api_site.TOKEN, "site-password-1", "site-refresh-token-1", "ann@example.com"):
            self.assertNotIn(secret, text)
        self.assertEqual(self.document["x-sluice"]["samples_per_operation"], 200)
        self.assertNotIn("redacted", self.document)

    def test_examples_fit_their_schemas(self):
        count = 0
        for operation in self.operations.values():
            contents = [operation.get("requestBody", {})] + list(operation["responses"].values())
            for media in (media for each in contents for media in each.get("content", {}).values() if "example" in media):
                self.assertEqual(problems(media["schema"], media["example"]), [])
                count += 1
        self.assertGreater(count, 30)

    def test_several_hosts_give_the_busiest_and_name_the_others(self):
        self.send([("GET", "", "/other", {}, None, 200, {"a": 1})], "localhost")
        document = self.serve.call("export_openapi_spec")
        self.assertEqual(document["servers"][0]["url"], f"http://127.0.0.1:{self.site.port}")
        other = document["x-sluice"]["other_hosts"]
        self.assertEqual(other, [{"host": f"http://localhost:{self.site.port}", "requests": 1}])
        chosen = self.serve.call("export_openapi_spec", host=f"localhost:{self.site.port}")
        self.assertEqual(list(chosen["paths"]), ["/other"])

    def test_two_linters_find_no_errors(self):
        bin_ = pathlib.Path(LINTERS) / "node_modules" / ".bin"
        if not (bin_ / "redocly").exists() or not (bin_ / "spectral").exists():
            raise unittest.SkipTest("no @redocly/cli and @stoplight/spectral-cli in tests/e2e/node_modules (npm ci)")
        node = needs_node()
        path = self.directory / "openapi.json"
        path.write_text(json.dumps(self.document))
        rules = self.directory / "spectral.yaml"
        rules.write_text('extends: ["spectral:oas"]\n')
        environment = clean_environment(PATH=f"{pathlib.Path(node).parent}:{os.environ['PATH']}", REDOCLY_TELEMETRY="off", HOME=self.directory)
        for command in ([bin_ / "redocly", "lint", "--extends", "recommended", "--format", "json", path], [bin_ / "spectral", "lint", "--ruleset", rules, "--fail-severity", "error", path]):
            done = run(node, *command, env=environment, seconds=90, cwd=self.directory)
            self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[:3000])


if __name__ == "__main__":
    unittest.main()
