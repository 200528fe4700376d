"""Filter expressions (docs/filters.md): on real traffic, and everything that the page shows."""
import json
import re
import subprocess
import threading
import unittest

from harness import E2E, ROOT, SLUICE, ToolError, clean_environment, poll, run, sluice  # first: it knows where the fakes are

PAGE = ROOT / "docs" / "filters.md"


class Filters(E2E):
    def make(self, *exchanges):
        for path, *more in exchanges:
            self.assertEqual(self.serve.curl(self.origin.url(path), *more, text=False).returncode, 0)
        last = exchanges[-1][0]
        poll(lambda: self.serve.traffic(url_filter=last, show_secrets=True), 5, "the records")

    def paths(self, expression, mark, **arguments):
        rows = self.serve.traffic(filter=f"{expression} ~u {mark}", **arguments)
        return [row["url"].split("/", 3)[3].split("?")[0] for row in rows]

    def test_terms_and_signs_choose_what_they_say(self):
        self.make(("/hello?f1",), ("/gzip?f1",), ("/500?f1",),
                  ("/echo?f1", "--data-binary", "name=value", "-H", "X-Trace: Blue"))
        for expression, expected in (
                ("~m POST", ["echo"]), ("!~m POST", ["hello", "gzip", "500"]), ("~c 5..", ["500"]), ("~c 500-599 | ~m POST", ["500", "echo"]),
                ("~b \"gzip says\"", ["gzip"]), ("~bq name=value", ["echo"]), ("~hq x-trace:.blue", ["echo"]), ("~d localhost & ~u gzip", ["gzip"]),
                ("(~u hello | ~u gzip) ~b says.hello", ["gzip"]), ("~dst :%d ~c 500" % self.origin.port, ["500"]),
                ("~sizeq 10", ["echo"]), ("~dur <0", []), ("~q", []), ("~src ^127", ["hello", "gzip", "500", "echo"])):
            with self.subTest(expression):
                self.assertEqual(self.paths(expression, "f1"), expected)
        self.assertEqual(self.paths("~all", "f1", method_filter="POST"), ["echo"], "beside the other filters")
        self.assertEqual(self.paths("~all", "f1", limit=1, offset=-2), ["500"])
        page = self.serve.call("proxy_list_traffic", filter="~u f1", limit=2)
        self.assertEqual((page["total"], page["showing"]), (4, 2))

    def test_a_search_takes_a_filter(self):
        self.make(("/hello?f2",), ("/gzip?f2",))
        found = self.serve.call("proxy_search_traffic", query="hello", filter="~u f2 & !~u /hello")
        self.assertEqual([(r["url"].endswith("/gzip?f2"), r["foundIn"]) for r in found["results"]], [(True, "response_body")])

    def test_following_sees_only_what_passes(self):
        self.make(("/hello?f3",))
        after = self.serve.call("proxy_list_traffic", filter="~u f3")["lastRev"]
        self.make(("/500?f3",), ("/gzip?f3",))
        rows = poll(lambda: self.serve.traffic(after_rev=after, filter="~u f3 ~c 500", state=["done"]), 5, "the newer row")
        self.assertEqual(len(rows), 1)

    def test_masked_secrets_cannot_be_guessed(self):
        self.make(("/echo?access_token=Zq8tokenL&f4", "-H", "Authorization: Bearer Zq8tokenL", "-H", "Content-Type: application/json",
                   "--data-binary", '{"password":"Zq8tokenL"}'))
        for term in ("~u", "~h", "~hq", "~b", "~bq"):
            for pattern in ("Zq8", "Z", "Zq8tokenL", '"\\bZ"', '"token=[^\\x00]"', '"[Zz]q8"', '"Bearer \\w"'):
                with self.subTest(f"{term} {pattern}"):
                    hits = lambda **more: len(self.serve.traffic(filter=f"~u f4 & {term} {pattern}", **more))
                    shown = hits(show_secrets=True)
                    if pattern in ("Zq8", "Zq8tokenL", '"[Zz]q8"'):
                        self.assertEqual(shown, 1)
                    if "Z" in pattern and pattern != "Z" or "Bearer" in pattern or "token=" in pattern:
                        self.assertEqual(hits(), 0)
        self.assertEqual(len(self.serve.traffic(filter="~u access_token= ~u f4")), 1)
        self.assertEqual(self.serve.traffic(filter="~u redacted"), [])

    def test_mistakes_are_pointed_at(self):
        for expression, part in (("~q ~websoket", "column 4: there is no term ~websoket; did you mean ~websocket?"), ("(~q", "column 1"),
                                 ("~b [a", "column 4: RE2 does not take the pattern")):
            for tool, more in (("proxy_list_traffic", {}), ("proxy_search_traffic", {"query": "x"})):
                with self.subTest(expression), self.assertRaises(ToolError) as refused:
                    self.serve.call(tool, filter=expression, **more)
                self.assertIn(part, str(refused.exception))
        wrong = sluice("traffic", "list", "--filter", "~nope", home=self.serve.home)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("column 1", wrong.stderr)

    def test_tail_prints_only_what_passes(self):
        tail = subprocess.Popen([SLUICE, "traffic", "tail", "--json", "--filter", "~u f6 ~c 500", "--home", self.serve.home], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment())
        self.addCleanup(lambda: (tail.kill(), tail.wait(), tail.stdout.close()))
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")), daemon=True).start()

        def more():  # until it follows
            self.make(("/hello?f6",), ("/500?f6",))
            return lines
        poll(more, 15, "a line")
        self.assertEqual({json.loads(line)["status"] for line in lines}, {500})

    def test_the_page_is_true(self):
        text = PAGE.read_text()
        cells = [row.split("|")[1].strip() for row in text.replace("\\|", "\0").splitlines() if row.startswith("| `")]
        shown = [expression.replace("\0", "|") for cell in cells for expression in re.findall(r"`([^`]+)`", cell)]
        self.assertGreater(len(shown), 40)
        for expression in shown:
            with self.subTest(expression):
                self.serve.call("proxy_list_traffic", filter=expression)
        source = (ROOT / "src" / "analysis" / "filter_terms.cc").read_text()
        for code in re.findall(r'^    \{"(\w+)", Kind', source, re.M):
            self.assertRegex(text, rf"`~{code}[ `]", f"~{code} is not on the page")
        self.make(("/echo?f5", "--data-binary", "x"), ("/hello?f5",))
        [block] = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
        for line in block.strip().splitlines():
            with self.subTest(line):
                done = run("bash", "-c", line.replace("sluice ", f"'{SLUICE}' ", 1) + f" --home '{self.serve.home}'", check=0)
                self.assertTrue(done.stdout.strip())


if __name__ == "__main__":
    unittest.main()
