"""proxy_decode_exchange on what real clients send: what came off is named, secrets stay masked, nonsense is explained."""
import base64
import gzip
import json
import unittest

from harness import E2E, ToolError, poll


class Decode(E2E):
    def send(self, mark, body, content_type, *more):
        path = self.directory / "body"
        path.write_bytes(body)
        done = self.serve.curl(self.origin.url(f"/echo?{mark}"), "--data-binary", f"@{path}", "-H", f"Content-Type: {content_type}", *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        [row] = poll(lambda: self.serve.traffic(url_filter=mark), 5, "the record")
        return row["id"]

    def decode(self, identifier, **arguments):
        return self.serve.call("proxy_decode_exchange", exchange_id=identifier, include=["request"], **arguments)["request"]

    def test_kinds_of_bodies(self):
        value = {"user": "ada", "page": 2}
        as_json = json.dumps(value, separators=(",", ":")).encode()
        for number, (body, content_type, chain, expected) in enumerate((
                (as_json, "application/json", ["json"], value),
                (base64.b64encode(gzip.compress(as_json)), "text/plain", ["base64", "gzip", "json"], value),
                (b"a=1&b=x+y", "application/x-www-form-urlencoded", ["form"], [{"name": "a", "value": "1"}, {"name": "b", "value": "x y"}]),
                (b"\x82\xa4user\xa3ada\xa4page\x02", "application/msgpack", ["msgpack"], value),
                (b"\xa2\x64user\x63ada\x64page\x02", "application/cbor", ["cbor"], value),
                (b"\x08\x96\x01", "application/x-protobuf", ["protobuf"], [{"field": 1, "type": "varint", "value": 150}]),
                (b'{"query":"query A{b}"}', "application/json", ["json", "graphql"],
                 {"operations": [{"type": "query", "name": "A"}], "query": "query A{b}"}))):
            with self.subTest(content_type):
                found = self.decode(self.send(f"kind{number}", body, content_type))
                self.assertEqual((found["chain"], found["value"]), (chain, expected))

    def test_content_codings_come_first(self):
        for path, chain in (("/gzip", ["gzip"]), ("/stacked", ["gzip", "deflate"])):
            self.serve.curl(self.origin.url(path + "?codings"), text=False)
            row = poll(lambda: self.serve.traffic(url_filter=path + "?codings"), 5, "the record")[0]  # pylint: disable=cell-var-from-loop
            found = self.serve.call("proxy_decode_exchange", exchange_id=row["id"])
            self.assertIsNone(found["request"])
            self.assertEqual(found["response"]["chain"], chain)

    def test_a_form_of_curl_is_taken_apart_and_masked(self):
        done = self.serve.curl(self.origin.url("/echo?form"), "-F", "who=ada", "-F", "password=Zq8redXw3", "-F", "file=@/dev/null;filename=x.bin", text=False)
        self.assertEqual(done.returncode, 0)
        [row] = poll(lambda: self.serve.traffic(url_filter="/echo?form"), 5, "the record")
        found = self.decode(row["id"])
        self.assertEqual([part["name"] for part in found["value"]], ["who", "password", "file"])
        self.assertNotIn("Zq8redXw3", json.dumps(found))
        self.assertIn("Zq8redXw3", json.dumps(self.decode(row["id"], show_secrets=True)))

    def test_a_jwt_shows_its_claims_and_never_its_signature(self):
        part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
        token = b".".join((part({"alg": "HS256"}), part({"iss": "me", "sub": "ada-4711"}), b"c2lnbmF0dXJlLW9mLTMyLW9jdGV0cw"))
        identifier = self.send("jwt", token, "text/plain")
        found = self.decode(identifier)
        self.assertEqual((found["chain"], found["value"]["header"], found["value"]["claims"]["iss"]), (["jwt"], {"alg": "HS256"}, "me"))
        self.assertNotIn("ada-4711", json.dumps(found))
        shown = self.decode(identifier, show_secrets=True)
        self.assertEqual(shown["value"]["claims"]["sub"], "ada-4711")
        self.assertNotIn("c2lnbmF0", json.dumps(shown))

    def test_of_a_recording_too(self):
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]
        identifier = self.send("kept", json.dumps({"password": "Zq8redXw3", "kept": True}).encode(), "application/json")
        self.serve.call("proxy_session_stop")
        self.serve.call("proxy_clear_traffic")
        with self.assertRaises(ToolError):
            self.decode(identifier)
        found = self.decode(identifier, session_id=session)
        self.assertEqual((found["chain"], found["value"]["kept"]), (["json"], True))
        self.assertNotIn("Zq8redXw3", json.dumps(found))
        with self.assertRaises(ToolError):
            self.serve.call("proxy_decode_exchange", exchange_id="none", session_id=session)

    def test_a_page_ends_where_the_next_one_begins(self):
        rows = [{"n": n, "text": '"quoted" ' * 40} for n in range(300)]
        identifier = self.send("long", json.dumps(rows).encode(), "application/json")
        found, offset = [], 0
        while offset is not None:
            page = self.serve.call("proxy_decode_exchange", exchange_id=identifier, include=["request"], offset=offset)
            self.assertNotIn("truncated", page["request"])
            found, offset = found + page["request"]["value"], page["request"].get("nextOffset")
        self.assertEqual(found, rows)

    def test_pages_and_refusals(self):
        identifier = self.send("pages", json.dumps(list(range(1000))).encode(), "application/json")
        found = self.decode(identifier, offset=990, limit=5)
        self.assertEqual((found["value"], found["total"], found["nextOffset"]), (list(range(990, 995)), 1000, 995))
        self.assertEqual(len(self.decode(identifier)["value"]), 100)
        wrong = self.decode(identifier, **{"as": "cbor"})
        self.assertIsNone(wrong["value"])
        self.assertIn("not CBOR", wrong["problem"])
        with self.assertRaises(ToolError):
            self.serve.call("proxy_decode_exchange", exchange_id="none")


if __name__ == "__main__":
    unittest.main()
