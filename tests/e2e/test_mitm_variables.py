"""Session variables over MCP: set, taken out of flows, listed as masks, one grant's own."""
import json
import unittest

from harness import E2E, ToolError, poll


class Variables(E2E):
    flags = ("--toolset", "all")

    def tearDown(self):
        for row in self.serve.call("list_session_variables")["result"]:
            self.serve.call("delete_session_variable", name=row["name"])
        super().tearDown()

    def echo(self, mark, body, content_type="application/json"):
        path = self.directory / "body"
        path.write_text(body)
        self.serve.curl(self.origin.url(f"/echo?{mark}"), "--data-binary", f"@{path}", "-H", f"Content-Type: {content_type}", "-o", "/dev/null")
        return poll(lambda: [row for row in self.serve.call("search_traffic", query=f"echo?{mark}")["result"] if row["status_code"]], 5, "the flow")[0]["id"]

    def values(self):
        return {row["name"]: row["shown"] for row in self.serve.call("list_session_variables", show_secrets=True)["result"]}

    def extract(self, name, identifier, pattern="", **more):
        return self.serve.call("extract_session_variable", name=name, flow_id=identifier, regex_pattern=pattern, **more)

    def test_W17_values_are_never_echoed_and_listed_as_masks(self):
        said = self.serve.call("set_session_variable", name="tok", value="Zq8redXw3tokenL")
        listed = self.serve.call("list_session_variables")
        self.assertNotIn("Zq8redXw3tokenL", json.dumps([said, listed]))
        self.assertRegex(listed["result"][0]["shown"], r"^\[redacted:variable:[0-9a-f]{8}\]$")
        self.assertEqual(self.values(), {"tok": "Zq8redXw3tokenL"})
        self.serve.call("delete_session_variable", name="tok")
        self.assertEqual(self.values(), {})
        with self.assertRaisesRegex(ToolError, "no session variable"):
            self.serve.call("delete_session_variable", name="tok")

    def test_names_and_values_are_checked(self):
        for name in ("", "1a", "a-b", "$x", "a" * 65):
            with self.assertRaises(ToolError):
                self.serve.call("set_session_variable", name=name, value="x")
        with self.assertRaisesRegex(ToolError, "64 KiB"):
            self.serve.call("set_session_variable", name="large", value="x" * 65_537)

    def test_secrets_are_taken_out_of_answers_without_being_seen(self):
        identifier = self.echo("secret", json.dumps({"id": 7, "auth": {"access_token": "tok-EN-123456"}, "password": "p"}))
        said = [self.extract("by_pattern", identifier, r'"access_token": "([^"]+)"'),
                self.extract("by_path", identifier, json_path="$.auth.access_token"),
                self.extract("number", identifier, r'"id": (\d+)')]
        self.assertNotIn("tok-EN", json.dumps(said))
        self.assertEqual(self.values(), {"by_pattern": "tok-EN-123456", "by_path": "tok-EN-123456", "number": "7"})

    def test_a_secret_is_not_guessed_letter_by_letter(self):
        identifier = self.echo("guess", json.dumps({"access_token": "tok-EN-123456"}))
        for pattern in ("tok-E", r'"access_token": "(t.*)"', "EN-1"):
            with self.assertRaisesRegex(ToolError, "No match"):
                self.extract("guess", identifier, pattern, group_index=0)
        self.assertEqual(self.extract("guess", identifier, "EN-1", group_index=0, show_secrets=True)["length"], 4)

    def test_W1_whole_bodies_html_and_headers_are_sources(self):
        self.extract("deep", self.echo("deep", json.dumps({"pad": "x" * 50_000, "last": "found"})), '"last": "(.*?)"')
        self.extract("csrf", self.echo("html", "<input type=hidden name=csrf_token value=form-token-1>", "text/html"), css_selector="input[name=csrf_token]")
        identifier = self.echo("head", "{}")
        self.extract("type", identifier, "^([a-z]+)/", header="content-type")
        values = self.values()
        self.assertEqual((values["deep"], values["csrf"], values["type"]), ("found", "form-token-1", "application"))

    def test_errors_name_what_to_do(self):
        identifier = self.echo("errors", "{}")
        for arguments, words in (({"pattern": "(?=x)"}, "^Error applying regex:"), ({"pattern": "x", "group_index": 1}, "^Error applying regex:"),
                                 ({"pattern": "nowhere", "group_index": 0}, "No match"), ({"cookie": "sid"}, "no cookie"), ({"header": "x-none"}, "no header"),
                                 ({"json_path": "$.a"}, "finds nothing")):
            with self.assertRaisesRegex(ToolError, words):
                self.extract("e", identifier, **arguments)
        with self.assertRaisesRegex(ToolError, "Flow not found"):
            self.extract("e", "nope")


if __name__ == "__main__":
    unittest.main()
