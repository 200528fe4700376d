"""What the record of an exchange holds, and how it is read (engine.md 5, 8)."""
import base64
import hashlib
import os
import unittest

from harness import E2E, Serve, ToolError, poll  # first: it knows where the fakes are
from fakes.origin import BROTLI, BROTLI_PLAIN, ZSTD_PLAIN, sha256_of_large


class Capture(E2E):
    def get(self, path, *more):
        done = self.serve.curl(self.origin.url(path), *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def body(self, path, direction="response", **arguments):
        record = self.serve.exchange(path, include=[f"{direction}_body"], **arguments)
        return record[direction]["body"]

    def octets(self, body):
        return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()

    def test_bodies_are_decoded_at_reading_and_kept_as_they_came(self):
        expected = {"/gzip": b"gzip says hello\n" * 3, "/deflate": b"deflate says hello\n" * 3,
                    "/raw-deflate": b"raw deflate says hello\n" * 3, "/br": BROTLI_PLAIN, "/zstd": ZSTD_PLAIN,
                    "/stacked": b"stacked says hello\n" * 3}
        for path, plain in expected.items():
            with self.subTest(path):
                self.get(path)
                body = self.body(path)
                self.assertEqual(body["text"].encode(), plain)
                self.assertTrue(body["complete"])
                self.assertIn("says hello", self.serve.exchange(path)["response"]["bodyPreview"])
        self.assertEqual(self.octets(self.body("/br", decoded=False, show_secrets=True)), BROTLI)

    def test_large_bodies_are_kept_whole_and_read_in_pieces(self):
        size = 5 * 1024 * 1024 + 17
        self.get(f"/large?size={size}")
        row = poll(lambda: self.serve.traffic(url_filter=f"/large?size={size}"), 5, "the record")[-1]
        self.assertEqual(row["responseSize"], size)
        digest, offset = hashlib.sha256(), 0
        while offset is not None:
            body = self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["response_body"],
                                   offset=offset, limit=1 << 20)["exchange"]["response"]["body"]
            self.assertEqual((body["offset"], body["total"]), (offset, size))
            digest.update(self.octets(body))
            offset = body.get("nextOffset")
        self.assertEqual(digest.hexdigest(), sha256_of_large(size))

    def test_request_bodies_are_kept(self):
        self.get("/echo", "--data-binary", "name=value and more", "-H", "Content-Type: text/plain")
        self.assertEqual(self.body("/echo", "request")["text"], "name=value and more")

    def test_raw_heads_keep_order_case_and_duplicates(self):
        client = self.client()
        client.send(b"GET /odd HTTP/1.1\r\nhOsT: localhost:%d\r\nX-A: 1\r\nx-a: 2\r\n\r\n" % self.origin.port)
        client.read_answer()
        record = self.serve.exchange("/odd", include=["raw_head"])
        self.assertEqual([(h["name"], h["value"]) for h in record["request"]["rawHead"]["headers"]],
                         [("hOsT", f"localhost:{self.origin.port}"), ("X-A", "1"), ("x-a", "2")])
        names = [h["name"] for h in record["response"]["rawHead"]["headers"]]
        self.assertEqual(names.count("Set-Cookie"), 2)
        self.assertIn("content-LENGTH", names)
        self.assertEqual(record["request"]["headers"]["x-a"], "1, 2")

    def test_timings_and_the_client_are_recorded(self):
        client = self.client()  # this process: a program that has ended cannot be looked up
        client.send(b"GET /hello?timed HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.origin.port)
        client.read_answer()
        self.serve.exchange("/hello?timed")

        def process():
            record = self.serve.exchange("/hello?timed", include=["connection"])
            return record["connection"]["client"].get("process")
        self.assertEqual(poll(process, 5, "the client's process")["pid"], os.getpid())
        record = self.serve.exchange("/hello?timed", include=["timings", "connection"])
        timings = record["timings"]
        self.assertLessEqual(timings["requestHead"], timings["firstByte"])
        self.assertLessEqual(timings["firstByte"], timings["end"])
        self.assertEqual(record["connection"]["client"]["clientAddress"], "127.0.0.1")

    def test_lists_filter_and_follow(self):
        self.get("/hello?follow=1")
        rows = self.serve.call("proxy_list_traffic", url_filter="follow=1")
        after = rows["lastRev"]
        self.assertEqual(rows["showing"], 1)
        self.get("/500?follow=2")
        self.assertEqual(len(self.serve.traffic(status_filter=500, url_filter="follow=2")), 1)
        self.assertEqual(self.serve.traffic(method_filter="post", url_filter="follow="), [])
        newer = poll(lambda: [r for r in self.serve.traffic(after_rev=after) if r["state"] == "done"], 5, "a newer row")
        self.assertEqual([r["url"].endswith("follow=2") for r in newer], [True])

    def test_search_looks_into_urls_headers_and_decoded_bodies(self):
        self.get("/gzip?needle-in-url")
        self.get("/hello", "-H", "X-Search: needle-in-header")
        poll(lambda: self.serve.traffic(url_filter="needle-in-url"), 5, "the records")
        for query, where in (("NEEDLE-in-url", None), ("needle-in-header", "headers"), ("gzip says", "body")):
            with self.subTest(query):
                arguments = {"query": query} | ({"in": [where]} if where else {})
                found = self.serve.call("proxy_search_traffic", **arguments)
                self.assertGreaterEqual(found["matches"], 1)
        self.assertEqual(self.serve.call("proxy_search_traffic", query="no such octets anywhere")["matches"], 0)

    def test_secrets_are_masked_and_equal_secrets_look_equal(self):
        for _ in range(2):
            self.get("/hello?token=tok-4711&page=2", "-H", "Authorization: Bearer s3cr3t-value", "-H", "Cookie: sid=c00kie")
        rows = poll(lambda: (lambda r: r if len(r) >= 2 else None)(self.serve.traffic(url_filter="page=2")), 5, "two rows")
        masks = set()
        for row in rows:
            result = self.serve.rpc("tools/call", {"name": "proxy_get_exchange",
                                                   "arguments": {"exchange_id": row["id"], "include": ["raw_head"]}},
                                    "proxy_get_exchange")
            text = str(result)
            for secret in ("s3cr3t-value", "c00kie", "tok-4711"):
                self.assertNotIn(secret, text)
            self.assertIn("page=2", text)
            masks.add(result["structuredContent"]["exchange"]["request"]["headers"]["authorization"])
        self.assertEqual(len(masks), 1)
        self.assertRegex(masks.pop(), r"\[redacted:[a-z_-]+:[0-9a-f]{8}\]")
        shown = self.serve.call("proxy_get_exchange", exchange_id=rows[0]["id"], show_secrets=True)
        self.assertEqual(shown["exchange"]["request"]["headers"]["authorization"], "Bearer s3cr3t-value")

    def test_a_masked_secret_cannot_be_guessed_by_filters_and_searches(self):
        self.get("/hello?guess=1&token=tok-4812", "-H", "Cookie: sid=c00kie-jar")
        self.serve.exchange("guess=1")
        for guess in ("t", "tok-48", "tok-4812"):
            self.assertEqual(self.serve.traffic(url_filter=f"token={guess}"), [])
            self.assertEqual(self.serve.call("proxy_search_traffic", query=f"token={guess}")["total"], 0)
            self.assertEqual(self.serve.call("proxy_search_traffic", query=f"sid=c{guess[1:]}")["total"], 0)
        self.assertEqual(self.serve.call("proxy_search_traffic", query="4812")["total"], 0)
        self.assertEqual(len(self.serve.traffic(url_filter="token=tok-4812", show_secrets=True)), 1)
        found = self.serve.call("proxy_search_traffic", query="c00kie-jar", show_secrets=True)["results"]
        self.assertEqual([row["foundIn"] for row in found], ["request_header"])

    def test_server_sent_events_are_shown_as_messages(self):
        self.assertIn(b"data: lines", self.get("/events?1"))
        messages = self.serve.exchange("/events?1", include=["messages"])["messages"]
        self.assertEqual((messages["kind"], messages["total"], messages["complete"]), ("events", 3, True))
        first, second, third = messages["items"]
        self.assertEqual((first["event"], first["id"]), ("add", "7"))
        self.assertRegex(first["text"], r'^\{"password":"\[redacted:password:[0-9a-f]{8}\]"\}$')
        self.assertEqual((second["retry"], "text" in second), (500, False))
        self.assertEqual((third["event"], third["text"]), ("message", "two\nlines"))
        page = self.serve.exchange("/events?1", include=["messages"], offset=1, limit=1)["messages"]
        self.assertEqual(([item["number"] for item in page["items"]], page["nextOffset"]), ([1], 2))

    def test_grpc_messages_are_shown_with_their_fields(self):
        client = self.client()
        body = b"\0\0\0\0\x09\x12\x07testing" + b"\0\0\0\0\x03\x08\x96\x01"
        client.send(b"POST /echo?grpc HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/grpc\r\n"
                    b"Content-Length: %d\r\n\r\n" % (self.origin.port, len(body)) + body)
        client.read_answer()
        messages = self.serve.exchange("/echo?grpc", include=["messages"])["messages"]
        self.assertEqual((messages["kind"], messages["total"]), ("grpc", 4))
        self.assertEqual([item["from"] for item in messages["items"]], ["client", "client", "server", "server"])
        self.assertEqual(messages["items"][0]["fields"], [{"field": 2, "type": "text", "value": "testing"}])
        self.assertEqual(messages["items"][3]["fields"], [{"field": 1, "type": "varint", "value": 150}])
        self.assertIsNone(self.get("/hello?none") and self.serve.exchange("/hello?none", include=["messages"])["messages"])

    def test_invalid_utf_8_everywhere_is_survived(self):
        client = self.client()
        client.send(b"GET /echo?%%ff\xff HTTP/1.1\r\nHost: localhost:%d\r\nX-Bad: \xff\xfe\r\nContent-Length: 3\r\n\r\n"
                    % self.origin.port + b"\xff\xfe\xfd")
        self.assertIn(client.read_answer().status, (200, 400))
        rows = poll(lambda: self.serve.traffic(limit=500), 5, "records")
        for row in rows[-3:]:
            self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["request_body", "raw_head"])

    def test_unknown_ids_are_errors_with_the_contracts_words(self):
        with self.assertRaisesRegex(ToolError, "Exchange 'nope' not found"):
            self.serve.call("proxy_get_exchange", exchange_id="nope")


class Clearing(E2E):
    def test_clear_forgets(self):
        for _ in range(3):
            self.serve.curl(self.origin.url("/hello"))
        poll(lambda: len(self.serve.traffic()) == 3, 5, "three records")
        self.assertEqual(self.serve.call("proxy_clear_traffic")["cleared"], 3)
        self.assertEqual(self.serve.traffic(), [])

    def test_nothing_stays_on_disk_after_the_end(self):
        serve = Serve("--upstream-ca", self.fakes.pem)
        try:
            serve.curl("-o", "/dev/null", self.origin.url("/large?size=3000000"))
            poll(serve.traffic, 5, "a record")
            home = serve.home
            self.assertTrue(list((home / "spool").iterdir()))
            serve.process.terminate()
            serve.process.wait(15)
            self.assertEqual(list((home / "spool").iterdir()), [])
            self.assertEqual([p.name for p in (home / "run").iterdir()], [])
        finally:
            serve.stop()

    def test_everything_in_the_home_is_private(self):
        for path in [self.serve.home, *self.serve.home.rglob("*")]:
            if path.is_symlink() or not path.exists():
                continue
            with self.subTest(str(path.relative_to(self.serve.home))):
                mode = path.stat().st_mode
                self.assertEqual(mode & 0o022, 0)
                if path.name not in ("ca.pem", "ca.crt", "ca.der"):
                    self.assertEqual(mode & 0o077, 0)


if __name__ == "__main__":
    unittest.main()
