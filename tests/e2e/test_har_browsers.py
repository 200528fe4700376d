"""HAR files made by browsers' own developer tools go in, out and in again; Chromium's tools read what Sluice writes."""
import json
import unittest

import chromium
import firefox
from test_session_files import Imported

PAGE = "<title>made by the page</title><p>text<img src='/har-dot.png'><script>" \
       "fetch('/har-data?q=1', {method: 'POST', body: JSON.stringify({word: 'grün'}), headers: {'Content-Type': 'application/json'}})" \
       ".then(r => r.text()).then(t => document.title = 'ready ' + t.length)</script>"


class Browsers(Imported):
    def site(self):
        site = self.new_origin(plain=True)
        site.routes["/har-page"] = lambda talk: talk.answer(body=PAGE, fields=[
            ("Content-Type", "text/html; charset=utf-8"), ("Set-Cookie", "one=1; Path=/; HttpOnly"), ("Set-Cookie", "two=2; Path=/")])
        site.routes["/har-dot.png"] = lambda talk: talk.answer(body=bytes(range(256)), fields=[("Content-Type", "image/png")])
        site.routes["/har-data"] = lambda talk: talk.answer(body='{"data": "grüße"}', fields=[("Content-Type", "application/json")])
        return site

    def made_by(self, tools):
        """The HAR file of a visit, and its entries of the site by URL."""
        site = self.site()
        tools.visit(site.url("/har-page"), "ready")
        made = tools.har(3)
        wanted = {e["request"]["url"]: e for e in made["log"]["entries"] if "/har-" in e["request"]["url"]}
        self.assertEqual(sorted(wanted), sorted(site.url(path) for path in ("/har-page", "/har-dot.png", "/har-data?q=1")))
        return site, made, wanted

    def goes_round(self, site, made, wanted):
        """In, out, in, out; the first file that came out."""
        answer = self.load(self.put(made, "made.har"))
        summary = answer["importSummary"]
        self.assertEqual((summary["importedEntries"], summary["errorCount"]), (len(made["log"]["entries"]), 0), summary)
        session = answer["session"]["id"]
        rows = {row["url"]: row for row in self.rows(session)}
        for url, entry in wanted.items():
            self.assertEqual((rows[url]["method"], rows[url]["statusCode"]), (entry["request"]["method"], entry["response"]["status"]), url)
        data = self.record_of(session, rows[site.url("/har-data?q=1")]["seq"])
        self.assertEqual((json.loads(data["requestBodyText"]), json.loads(data["responseBodyText"])), ({"word": "grün"}, {"data": "grüße"}))
        _, first = self.export(session, "first.har", show_secrets=True)
        again = self.load(first)
        _, second = self.export(again["session"]["id"], "second.har", show_secrets=True)
        out, back = self.entries(first), self.entries(second)
        self.assertEqual(len(out), len(made["log"]["entries"]))
        for one, other in zip(out, back):
            for part in ("request", "response", "startedDateTime", "time", "timings"):
                self.assertEqual(one[part], other[part])
        for entry in out:
            theirs = wanted.get(entry["request"]["url"])
            if theirs is None:
                continue
            self.assertEqual([c["name"] for c in entry["response"]["cookies"]], [c["name"] for c in theirs["response"]["cookies"]])
            self.assertEqual({n["name"].lower(): n["value"] for n in entry["request"]["headers"]},
                             {n["name"].lower(): n["value"] for n in theirs["request"]["headers"]})
            self.assertEqual(entry["response"]["content"].get("text"), theirs["response"]["content"].get("text"))
        return out, first

    @unittest.skipUnless(chromium.program(), "chromium is not installed (chromium)")
    def test_chromium(self):
        with chromium.Chromium(self.directory) as tools:
            out, path = self.goes_round(*self.made_by(tools))
            seen = tools.read(json.loads(path.read_text()))
        self.assertEqual([(r["url"], r["method"], r["status"]) for r in seen],
                         [(e["request"]["url"], e["request"]["method"], e["response"]["status"]) for e in out])

    @unittest.skipUnless(firefox.program(), "firefox is not installed (firefox-esr)")
    def test_firefox(self):
        with firefox.Firefox(self.directory) as tools:
            self.goes_round(*self.made_by(tools))


if __name__ == "__main__":
    unittest.main()
