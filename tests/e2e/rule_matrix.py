"""What test_rule_matrix.py is written with: origins that tell what they were asked, and rules as tables of cases."""
import dataclasses
import gzip
import json
import re
import subprocess
import time
from typing import Callable, Optional

from harness import E2E, PATIENCE, clean_environment, needs, needs_node, poll, run  # first: it knows where the fakes are
from fakes.h2_origin import H2Origin
from fakes.origin import Origin


def seen(talk):
    """As /seen of h2_origin.mjs."""
    request, gzips = talk.request, talk.request.query.get("coding") == "gzip"
    fields = {name.lower(): value for name, value in request.fields}
    body = json.dumps({"protocol": "http/1.1", "method": request.method, "target": request.target, "host": fields.pop("host"),
                       "fields": fields, "body": request.body.decode(), "word": "from the origin"}, separators=(",", ":"))
    fields = [("Content-Type", "application/json"), ("X-Origin", "here"), ("X-Also", "gone"),
              *([("Content-Encoding", "gzip")] if gzips else [])]
    if request.query.get("coding") == "chunked":
        talk.answer("200 OK", f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", [*fields, ("Transfer-Encoding", "chunked")], length=False)
    else:
        talk.answer(f"{request.query.get('status', 200)} Said So", gzip.compress(body.encode()) if gzips else body, fields)


class SeenByHttp1(Origin):
    protocol = "http/1.1"

    def __init__(self, fakes, _node):
        addresses = [f"127.0.0.{number}" for number in range(1, 255)]  # see Http2ToHttp1
        super().__init__(fakes.server_context("localhost", *addresses), "0.0.0.0")
        self.routes["/seen"] = seen

    def asked(self):
        """[(method, target)] of all that came here."""
        return [(r.method, r.target) for r in list(self.requests)]


class SeenByHttp2(H2Origin):
    protocol = "h2"

    def __init__(self, fakes, node):
        super().__init__(node, fakes.leaf("localhost", "127.0.0.1"))
        self.trust = fakes.pem

    def asked(self):
        done = run(needs("curl"), "-sS", "--http2", "--noproxy", "*", "--cacert", self.trust,
                   f"https://localhost:{self.port}/requests", check=0)
        return [tuple(row) for row in json.loads(done.stdout)]


@dataclasses.dataclass
class Case:
    """A sentence; the rule that shall make it true; curl's request; what comes of it. In texts %origin%, %other% and %far%
    are ports: where curl asks, another origin of the same protocol, and one of the other protocol; %test% is in every query."""
    name: str
    handler: dict
    matcher: dict = dataclasses.field(default_factory=lambda: {"pathPattern": "^/seen\\?"})
    more: dict = dataclasses.field(default_factory=dict)  # on_match, priority
    before: tuple = ()                                    # rules that stand before it: (matcher, handler, more)
    ask: tuple = ()                                       # arguments of curl
    query: str = ""
    status: int = 200
    body: Optional[str] = None                            # absent: what the origin saw, as JSON
    fields: dict = dataclasses.field(default_factory=dict)  # of the answer; None: not there
    saw: dict = dataclasses.field(default_factory=dict)   # by the origin; `fields` as above
    reaches: str = "origin"                               # "other", "far", or "": none of them
    breaks: bool = False                                  # no answer
    seconds: float = 0                                    # it takes that long at least
    meanwhile: Optional[Callable] = None                  # (test, rule id), while curl waits


class Answer:
    def __init__(self, out, error, code, seconds):
        out, _, self.version = out.rpartition("\n")
        head, _, self.body = out.partition("\n\n")
        lines = head.split("\n")
        self.status = int(lines[0].split()[1]) if head else 0
        self.fields = {}
        for name, _, value in (line.partition(":") for line in lines[1:]):
            self.fields[name.lower()] = ", ".join(filter(None, (self.fields.get(name.lower()), value.strip())))
        self.error, self.code, self.seconds = error, code, seconds


def sentences(*cases):
    """Adds a test for each case to a class."""
    def add(cls):
        for case in cases:
            name = "test_" + re.sub(r"\W+", "_", case.name).strip("_").lower()
            assert not hasattr(cls, name), name
            setattr(cls, name, lambda self, case=case: self.check(case))
        return cls
    return add


def used(value, path=""):
    """What of a schema a value uses: {"handler.type=mock", "handler.throttle.requestBytesPerSecond", …}."""
    if isinstance(value, dict):
        found = [used(v, f"{path}.{k}" if path else k) for k, v in value.items()]
        return set().union({path}, *found)
    if isinstance(value, list):
        return set().union({path}, *(used(v, path) for v in value))
    return {path, f"{path}={value}"}


def offered(schema, path=""):
    """What of a schema can be used, as `used` writes it."""
    properties = schema.get("properties") or schema.get("items", {}).get("properties") or {}
    found = [offered(v, f"{path}.{k}" if path else k) for k, v in properties.items()]
    return set().union({path}, {f"{path}={choice}" for choice in schema.get("enum", ())}, *found)


class RuleMatrix(E2E):
    """curl speaks `CLIENT`, the origin `ORIGIN`."""
    CLIENT, ORIGIN = "--http1.1", SeenByHttp1

    @classmethod
    def setUpClass(cls):
        cls.node = needs_node()
        super().setUpClass()
        far = SeenByHttp2 if cls.ORIGIN is SeenByHttp1 else SeenByHttp1
        cls.origins = {"origin": cls.ORIGIN, "other": cls.ORIGIN, "far": far}
        for name, kind in cls.origins.items():
            cls.origins[name] = kind(cls.fakes, cls.node)
            cls.addClassCleanup(cls.origins[name].close)
        # Where a rule may answer and the origin is not known, it is the client's choice which protocol it speaks: also
        # where the origin has but one.
        cls.serve.call("proxy_add_rule", description="never", matcher={"pathPattern": "^/never"},
                       handler={"type": "mock"})

    def setUp(self):
        super().setUp()
        self.before = {name: len(origin.asked()) for name, origin in self.origins.items()}

    def url(self, path, host="localhost"):
        return f"https://{host}:{self.origins['origin'].port}{path}"

    def with_ports(self, value):
        text = json.dumps(value)
        for name, origin in self.origins.items():
            text = text.replace(f"%{name}%", str(origin.port))
        text = text.replace("%test%", self._testMethodName)
        return json.loads(text)

    def curl(self, url, *arguments, meanwhile=lambda: None):
        command = [needs("curl"), "-sS", "-i", "--max-time", "30", self.CLIENT, "--suppress-connect-headers", "-w",
                   "\n%{http_version}", "--proxy", self.serve.proxy_url, "--noproxy", "", "--cacert", self.serve.ca,
                   *arguments, url]
        start = time.monotonic()
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=clean_environment())
        try:
            meanwhile()
        finally:
            out, error = process.communicate(timeout=40 * PATIENCE)
        return Answer(out, error, process.returncode, time.monotonic() - start)

    def rule(self, matcher, handler, **more):
        return self.add_rule(self.with_ports(matcher), self.with_ports(handler), **more)

    def held(self, rule, phase="request"):
        return poll(lambda: [row for row in self.serve.call("proxy_list_held")["held"]
                             if (row["ruleId"], row["phase"]) == (rule, phase)], 10, f"a held {phase}")[0]

    def resume(self, row, action="continue", **edits):
        self.serve.call("proxy_resume_exchange", exchange_id=row["exchange_id"], action=action, edits=edits)

    def asked(self, name):
        return self.origins[name].asked()[self.before[name]:]

    def check(self, case):
        rules = [self.rule(matcher, handler, **more) for matcher, handler, more in case.before]
        rules.append(self.rule(case.matcher, case.handler, **case.more))
        path = f"/seen?{case.query}&{self._testMethodName}"
        got = self.curl(self.url(path), *case.ask,
                        meanwhile=lambda: case.meanwhile and case.meanwhile(self, rules[-1]))
        self.assertGreaterEqual(got.seconds, case.seconds)
        for name in self.origins:
            self.assertEqual(len(self.asked(name)), 1 if name == case.reaches else 0, f"requests to {name}")
        record = self.serve.exchange(self._testMethodName)
        self.assertEqual(record["ruleIds"], rules)
        if case.breaks:
            self.check_broken(case, got, record)
        else:
            self.check_answer(case, got, record)

    def check_broken(self, case, got, record):
        """No octet of an answer: an end or a reset of the connection, over HTTP/2 of the stream."""
        self.assertEqual((got.status, got.body), (0, ""))
        self.assertIn(got.code, (52, 56) if self.CLIENT == "--http1.1" else (16, 52, 56, 92), got.error)
        self.assertEqual(record["state"], "dropped")

    def check_answer(self, case, got, record):
        self.assertEqual(got.code, 0, got.error)
        self.assertEqual((got.status, got.version), (case.status, self.CLIENT.removeprefix("--http")))
        self.check_fields(case.fields, got.fields)
        self.assertEqual((record["state"], record["response"]["statusCode"], record["protocol"]),
                         ("done", case.status, {"--http1.1": "http/1.1", "--http2": "h2"}[self.CLIENT]))
        if case.body is not None:
            self.assertEqual(got.body, case.body)
        if case.reaches and case.body is None:
            there = json.loads(got.body)
            self.assertEqual(there["protocol"], self.origins[case.reaches].protocol)
            expected = self.with_ports(case.saw)
            self.check_fields(expected.pop("fields", {}), there["fields"])
            self.assertEqual({name: there.get(name) for name in expected}, expected)

    def check_fields(self, expected, there):
        self.assertEqual({name: there.get(name) for name in expected}, self.with_ports(expected))
