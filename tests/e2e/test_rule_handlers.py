"""What rules can do beyond the contract's handlers (engine.md 6), over HTTP/1.1 and HTTP/2 (docs/rules.md)."""
import json
import os
import pathlib
import shutil
import tempfile
import time

from harness import E2E, Serve, ToolError, Unknown  # first: it knows where the fakes are


class Handlers(E2E):
    VERSION = "--http1.1"

    def fetch(self, path, *more, serve=None, origin=None, **kwargs):
        return (serve or self.serve).curl("-s", "-i", self.VERSION, "--suppress-connect-headers",
                                          (origin or self.origin).url(path), *more, **kwargs)

    def status_and_body(self, path, *more, **kwargs):
        head, _, body = self.fetch(path, *more, **kwargs).stdout.partition("\n\n")
        return int(head.split()[1]), body

    def test_a_redirect_names_its_location(self):
        self.add_rule({"pathPattern": "^/moved"}, {"type": "redirect", "location": "https://elsewhere.test/?a=1"})
        out = self.fetch("/moved").stdout
        self.assertIn(" 302", out.splitlines()[0])
        self.assertIn("location: https://elsewhere.test/?a=1", out.lower())

    def test_an_abort_resets_the_client_and_is_recorded(self):
        self.add_rule({"pathPattern": "^/aborted"}, {"type": "abort"})
        self.assertIn(self.fetch("/aborted?" + self.VERSION).returncode, (16, 52, 55, 56, 92))
        record = self.serve.exchange("/aborted?" + self.VERSION)
        self.assertEqual(record["state"], "dropped")
        self.assertIn("aborted by rule_", record["error"]["message"])
        self.assertEqual([r for r in self.origin.requests if r.path.startswith("/aborted")], [])

    def test_a_rewrite_sends_the_request_to_another_url(self):
        other = self.new_origin()
        rule = self.serve.call("proxy_rewrite_url", match_pattern=f"^https://localhost:{self.origin.port}/old/(.*)$",
                               replace_with=f"https://localhost:{other.port}/head?$1")
        self.addCleanup(self.forget_rule, rule["rule_id"])
        status, body = self.status_and_body("/old/thing")
        self.assertEqual(status, 200)
        self.assertIn("GET /head?thing HTTP/1.1", body)
        self.assertIn(f"localhost:{other.port}", body)
        self.assertEqual(len(other.requests), 1)
        self.assertEqual([r for r in self.origin.requests if "thing" in r.path], [])

    def test_a_rewrite_of_the_path_keeps_the_host(self):
        self.add_rule({"pathPattern": "^/v1/"}, {"type": "rewrite", "urlPattern": "/v1/head", "replacement": "/head"})
        self.assertIn("GET /head?x HTTP/1.1", self.status_and_body("/v1/head?x")[1])

    def test_a_rewrite_to_no_url_is_a_page_that_names_the_rule(self):
        rule = self.add_rule({"pathPattern": "^/broken"}, {"type": "rewrite", "urlPattern": "^.*$", "replacement": "??"})
        status, body = self.status_and_body("/broken")
        self.assertEqual(status, 500)
        self.assertIn(rule, body)

    def test_a_delay_holds_the_answer_back(self):
        self.add_rule({"pathPattern": "^/late"}, {"type": "mock", "body": "at last", "delayMs": 400})
        start = time.monotonic()
        self.assertEqual(self.status_and_body("/late"), (200, "at last"))
        self.assertGreaterEqual(time.monotonic() - start, 0.4)

    def test_a_throttle_slows_the_answers_body(self):
        self.add_rule({"pathPattern": "^/large"},
                      {"type": "passthrough", "throttle": {"responseBytesPerSecond": 100_000}})
        start = time.monotonic()
        out = self.serve.curl("-s", self.VERSION, "-o", os.devnull, "-w", "%{size_download}",
                              self.origin.url("/large?size=60000"))
        self.assertEqual(out.stdout, "60000")
        self.assertGreaterEqual(time.monotonic() - start, 0.5)

    def test_a_throttle_slows_the_requests_body(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "passthrough", "throttle": {"requestBytesPerSecond": 100_000}})
        start = time.monotonic()
        _, body = self.status_and_body("/echo", "--data-binary", "x" * 60_000, "-H", "Expect:")
        self.assertEqual(body, "x" * 60_000)
        self.assertGreaterEqual(time.monotonic() - start, 0.5)

    def test_bodies_are_set_replaced_by_pattern_and_edited_as_json(self):
        self.add_rule({"pathPattern": "^/echo"},
                      {"type": "passthrough",
                       "transformRequest": {"regexReplaceBody": [[r"\"id\":(\d+)", "\"id\":1$1"]]},
                       "transformResponse": {"jsonEdits": [{"op": "set", "pointer": "/new/deep", "value": None},
                                                           {"op": "remove", "pointer": "/gone"}]}})
        _, body = self.status_and_body("/echo", "--data-binary", '{"id":23,"gone":true}')
        self.assertEqual(json.loads(body), {"id": 123, "new": {"deep": None}})
        self.add_rule({"pathPattern": "^/hello"},
                      {"type": "passthrough", "transformResponse": {"setBody": "something else"}})
        self.assertEqual(self.status_and_body("/hello"), (200, "something else"))

    def test_a_rule_on_a_status_changes_only_such_answers(self):
        rule = self.add_rule({"hostname": "localhost", "statusCode": 404},
                             {"type": "passthrough", "transformResponse": {"replaceStatus": 200, "setBody": "found"}})
        self.assertEqual(self.status_and_body("/unknown"), (200, "found"))
        self.assertEqual(self.status_and_body("/500")[0], 500)
        [listed] = [r for r in self.serve.call("proxy_list_rules")["rules"] if r["id"] == rule]
        self.assertEqual(listed["hitCount"], 1)

    def test_a_rule_can_ask_for_the_protocol(self):
        self.add_rule({"protocol": "h2", "pathPattern": "^/which"}, {"type": "mock", "body": "2"})
        self.add_rule({"protocol": "http/1.1", "pathPattern": "^/which"}, {"type": "mock", "body": "1.1"})
        self.assertEqual(self.status_and_body("/which")[1], "2" if self.VERSION == "--http2" else "1.1")


class HandlersOverHttp2(Handlers):
    VERSION, origin_host = Unknown("--http2"), "0.0.0.0"

    def setUp(self):
        super().setUp()
        # The origin speaks HTTP/1.1 only; where a rule may answer, the client chooses.
        self.add_rule({"hostname": "localhost", "urlPattern": "never-asked-for"}, {"type": "mock"})


class Files(E2E):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="files."))
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "api").mkdir()
        (self.root / "api" / "users.json").write_text('[{"id":1}]')
        self.outside = pathlib.Path(tempfile.mkdtemp(prefix="outside."))
        self.addCleanup(shutil.rmtree, self.outside)
        (self.outside / "secret").write_text("secret")

    def answer(self, serve, path):
        serve.call("proxy_add_rule", description=str(path), matcher={"hostname": "files.test"}, priority=1,
                   handler={"type": "file", "path": str(path), "headers": {"content-type": "application/json"}})
        out = serve.curl("-s", "-w", "%{http_code}", "https://files.test/").stdout
        for rule in serve.call("proxy_list_rules")["rules"]:
            serve.call("proxy_remove_rule", rule_id=rule["id"])
        return out

    def test_a_file_is_answered_as_it_is_now(self):
        with Serve("--allow-root", str(self.root)) as serve:
            self.assertEqual(self.answer(serve, "api/users.json"), '[{"id":1}]200')
            (self.root / "api" / "users.json").write_text("changed")
            self.assertEqual(self.answer(serve, self.root / "api" / "users.json"), "changed200")
            missing = self.answer(serve, "api/none.json")
            self.assertTrue(missing.endswith("500") and "api/none.json" in missing, missing)

    def test_nothing_outside_of_the_roots_can_be_read(self):
        os.symlink(self.outside, self.root / "link")
        os.symlink(self.outside / "secret", self.root / "api" / "secret")
        os.mkfifo(self.root / "fifo")
        with Serve("--allow-root", str(self.root)) as serve:
            for path in ("link/secret", "api/secret", "fifo", "api", self.outside / "secret", "/etc/passwd"):
                with self.subTest(path):
                    out = self.answer(serve, path)
                    self.assertTrue(out.endswith("500"), out)
                    self.assertNotIn("root:", out)
            for path in ("../secret", "api/../../secret", "/etc/../etc/passwd", ""):
                with self.subTest(path), self.assertRaises(ToolError):
                    self.answer(serve, path)

    def test_without_a_root_there_are_no_files(self):
        out = self.answer(self.serve, "api/users.json")
        self.assertTrue(out.endswith("500") and "--allow-root" in out, out)
