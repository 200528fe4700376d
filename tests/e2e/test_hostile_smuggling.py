"""Requests that two servers in a row could read differently, between every pair of protocols (tests/vectors/smuggling.json): each is
refused, recorded, and reaches no origin; or what an origin gets can be read one way only, and that is what was recorded.

`outcome` of a case: "refused"; {"targets", "body"} of what arrives; {"as it stood": anomaly}: only odd, so it is passed octet for octet
and marked; or {"to h1", "to h2"} where they differ. What goes to /late may have been whole, as announced, before it was refused."""
import json
import re
import unittest

from harness import ROOT, needs_node, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.strict_origin import StrictH2Origin, StrictOrigin
from hostile import Hostile

CORPUS = ROOT / "tests" / "vectors" / "smuggling.json"
END = b"GET /end HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
# What a hop has to itself, what frames content, and what names the host: compared apart, or not the same in both protocols.
OF_THE_HOP = {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te", b"content-length",
              b"http2-settings", b"expect"}


def essential(fields):
    return [(n.lower(), v) for n, v in fields if n.lower() not in OF_THE_HOP and not n.startswith(b":")]


def shown(octets):
    return octets.decode("utf-8", "replace")  # as tools show what is no UTF-8


class Smuggling(Hostile):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.corpus = json.loads(CORPUS.read_text())
        cls.h1_origin = StrictOrigin(cls.fakes.server_context())
        cls.addClassCleanup(cls.h1_origin.close)
        cls.h2_origin = StrictH2Origin(needs_node(), cls.fakes.leaf("localhost", "127.0.0.1"))
        cls.addClassCleanup(cls.h2_origin.close)

    def octets(self, text, origin):
        host = f"localhost:{origin.port}"
        smuggled = f"GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
        for mark, value in (("{smuggled}", smuggled), ("{len_smuggled}", str(len(smuggled))), ("{host}", host),
                            ("{thousand}", "x: y\r\n" * 1001)):
            text = text.replace(mark, value)
        return text.encode("latin-1")

    def say_h1(self, case, origin):
        """Sends it, and a request that would be read from the rest of anything that was read too short."""
        client = self.client(origin=origin, alpn=["http/1.1"])
        client.sock.settimeout(1)
        try:
            client.send(self.octets(case["octets"], origin) + END % self.authority(origin))
            client.read_rest()
        except TimeoutError:
            pass
        client.close()

    def say_h2(self, case, origin):
        raw = self.h2_client(origin=origin)
        raw.client.sock.settimeout(1)
        fields, data, trailers = case["fields"], case.get("data"), case.get("trailers")
        bare = data is None and trailers is None
        frames = [h2.head(1, [(self.octets(n, origin), self.octets(v, origin)) for n, v in fields], bare)]
        if data is not None:
            frames.append(h2.frame(h2.DATA, 0 if trailers else h2.END_STREAM, 1, self.octets(data, origin)))
        if trailers:
            frames.append(h2.head(1, [(self.octets(n, origin), self.octets(v, origin)) for n, v in trailers]))
        raw.send(*frames)
        raw.outcome(1)
        raw.client.close()

    def arrived(self, origin):
        """(whole requests, complaints) of the case that was just said."""
        if origin is self.h2_origin:
            requests, complaints, _ = origin.read()
        else:
            requests, complaints = list(origin.requests), list(origin.complaints)
            origin.forget()
        self.assertEqual([r for r in requests if r.target == b"/late" and r.body not in (b"", b"x")], [])
        return [r for r in requests if r.target not in (b"/end", b"/late")], complaints

    def recorded(self):
        """Every record of the case, whole, in order of birth."""
        def rows():
            found = [row for row in self.records() if not row["url"].endswith("/end")]
            return None if any(row["state"] == "open" for row in found) else (found,)
        [found] = poll(rows, 5, "the end of the records")
        return [self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["raw_head", "request_body"])["exchange"]
                for row in sorted(found, key=lambda row: row["seq"])]

    def check(self, case, origin):
        records = self.recorded()
        unfinished = origin.unfinished() if origin is self.h1_origin else []
        arrived, complaints = self.arrived(origin)
        outcome = case["outcome"]
        if "to h1" in outcome:
            outcome = outcome["to h1" if origin is self.h1_origin else "to h2"]
        if "targets" in outcome:
            self.assertEqual(complaints, [], "a strict origin would not take it")
            self.assertEqual([r.target.decode("latin-1") for r in arrived], outcome["targets"])
            self.assertEqual(arrived[0].body, self.octets(outcome.get("body", ""), origin))
            forwarded = [r for r in records if not r["error"]]
            for request, record in zip(arrived, forwarded, strict=True):
                self.same(request, record["request"], record["anomalies"], origin)
            return
        self.assertTrue(records, "nothing was recorded")
        self.assertTrue(all(r["error"] and r["state"] in ("failed", "aborted") for r in records), records)
        self.assertEqual(arrived, [], "the origin saw it")
        if outcome == "refused":
            self.assertEqual(complaints, [], "the origin saw it")
            self.assertNotEqual(records[0]["error"]["code"], "upstream_closed")
        elif origin is self.h1_origin:  # only odd: passed octet for octet, marked, and a strict origin refused it
            self.assertIn(outcome["as it stood"], records[0]["anomalies"])
            self.assertEqual(len(unfinished), 1, "it had a connection of its own")
            self.assertTrue(self.octets(case["octets"], origin).startswith(unfinished[0]), unfinished)
        else:
            self.assertEqual(records[0]["error"]["code"], "upstream_closed")

    def same(self, request, record, anomalies, origin):
        raw = record["rawHead"]
        line = raw["startLine"]
        self.assertEqual(shown(request.method), line.split(" ")[0])
        self.assertIn(shown(request.target), (record["path"], line.split(" ")[1]))
        fields = [(shown(n), shown(v)) for n, v in essential(request.fields)]
        recorded = essential((f["name"].encode(), f["value"].encode()) for f in raw["headers"])
        controls = "odd_field_octets" in anomalies and origin is self.h2_origin  # Node drops such a field
        self.assertEqual(fields, [] if controls and not fields else [(n.decode(), v.decode()) for n, v in recorded])
        self.assertEqual(shown(request.body), record["body"]["text"])
        hosts = {v or self.authority(origin) for n, v in request.fields if n.lower() in (b"host", b":authority")}
        self.assertEqual(hosts, {re.sub("^https?://([^/?*]*).*", r"\1", record["url"]).encode()})

    def run_corpus(self, kind, say, origin):
        with self.bounded(mib=48, cpu=8, seconds=40):
            for case in self.corpus[kind]:
                with self.subTest(case["name"]):
                    self.arrived(origin)
                    self.rev = self.serve.call("proxy_list_traffic", limit=1)["lastRev"]
                    say(case, origin)
                    self.check(case, origin)

    def test_nothing_is_smuggled_from_http_1_to_http_1(self):
        self.run_corpus("h1", self.say_h1, self.h1_origin)

    def test_nothing_is_smuggled_from_http_1_to_http_2(self):
        self.run_corpus("h1", self.say_h1, self.h2_origin)

    def test_nothing_is_smuggled_from_http_2_to_http_1(self):
        self.may_be_answered()
        self.run_corpus("h2", self.say_h2, self.h1_origin)

    def test_nothing_is_smuggled_from_http_2_to_http_2(self):
        self.run_corpus("h2", self.say_h2, self.h2_origin)


if __name__ == "__main__":
    unittest.main()
