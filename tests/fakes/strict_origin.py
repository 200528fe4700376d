"""Origins that take HTTP as RFC 9110, 9112 and 9113 write it and nothing else, and remember every request: for tests that ask
whether two servers in a row could read one request differently.

    origin = StrictOrigin(tls_context); …; origin.requests, origin.complaints, origin.unfinished()
    origin = StrictH2Origin(node, leaf); …; the same
"""
import contextlib
import json
import re
import urllib.request
from collections import namedtuple

from fakes.h2_origin import H2Origin
from fakes.listen import Talker

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE = rb"(?:[\x21-\x7e\x80-\xff](?:[\x20\x09\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + VALUE + rb")[ \t]*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\x20\x09\x21-\x7e\x80-\xff]*)?")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

Request = namedtuple("Request", "method target fields body trailers")


class Ambiguous(ValueError):
    """What a strict reader refuses."""


class Unfinished(Exception):
    """More octets are needed."""


def line_of(octets, at):
    end = octets.find(b"\n", at)
    if end < 0:
        raise Unfinished()
    if octets[end - 1:end] != b"\r" or b"\r" in octets[at:end - 1] or b"\0" in octets[at:end]:
        raise Ambiguous(f"a line that does not end with CRLF alone: {octets[at:end + 1][:80]!r}")
    return octets[at:end - 1], end + 1


def fields_of(octets, at):
    fields = []
    while True:
        line, at = line_of(octets, at)
        if not line:
            return fields, at
        found = FIELD.fullmatch(line)
        if not found:
            raise Ambiguous(f"no field: {line[:80]!r}")
        fields.append((found[1], found[2]))


def values(fields, name):
    return [v for n, v in fields if n.lower() == name]


def read_request(octets, at=0):
    """(Request, where the next one begins), or Unfinished, or Ambiguous."""
    line, at = line_of(octets, at)
    start = REQUEST_LINE.fullmatch(line)
    if not start:
        raise Ambiguous(f"no request line: {line[:80]!r}")
    fields, at = fields_of(octets, at)
    lengths, codings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if len(values(fields, b"host")) != 1 or re.search(rb"[\s,@/\\?#]", values(fields, b"host")[0]):
        raise Ambiguous("not one Host")
    if lengths and codings or len(lengths) > 1 or len(codings) > 1:
        raise Ambiguous(f"lengths {lengths}, codings {codings}")
    body, trailers = b"", []
    if codings:
        if codings[0].lower() != b"chunked" or start[3] != b"1":
            raise Ambiguous(f"coded {codings[0]!r}")
        while True:
            line, at = line_of(octets, at)
            size = CHUNK.fullmatch(line)
            if not size:
                raise Ambiguous(f"no chunk: {line[:80]!r}")
            count = int(size[1], 16)
            if not count:
                break
            if len(octets) < at + count + 2:
                raise Unfinished()
            if octets[at + count:at + count + 2] != b"\r\n":
                raise Ambiguous("a chunk that is longer than it says")
            body, at = body + octets[at:at + count], at + count + 2
        trailers, at = fields_of(octets, at)
    elif lengths:
        if not re.fullmatch(rb"[0-9]+", lengths[0]):
            raise Ambiguous(f"length {lengths[0]!r}")
        end = at + int(lengths[0])
        if len(octets) < end:
            raise Unfinished()
        body, at = octets[at:end], end
    return Request(start[1], start[2], fields, body, trailers), at


class StrictOrigin(Talker):
    """HTTP/1.1; `octets` are those of each connection."""

    def __init__(self, context):
        self.requests, self.complaints, self.octets = [], [], []
        super().__init__(self._talk, seconds=30, context=context)

    def _talk(self, sock):
        mine, at = [b"", 0], 0
        self.octets.append(mine)
        try:
            while data := sock.recv(65536):
                mine[0] += data
                with contextlib.suppress(Unfinished):
                    while mine[0][at:]:
                        request, at = read_request(mine[0], at)
                        mine[1] = at
                        self.requests.append(request)
                        sock.sendall(ANSWER)
        except Ambiguous as problem:
            self.complaints.append(str(problem))

    def unfinished(self):
        """What stands behind the last whole request of each connection, and stays there."""
        return [octets[at:] for octets, at in self.octets if octets[at:]]

    def forget(self):
        self.requests.clear(), self.complaints.clear()
        for one in self.octets:
            one[1] = len(one[0])


class StrictH2Origin(H2Origin):
    """Node reads the frames; what RFC 9113 §8.2 and §8.3 forbid is looked for here."""

    def __init__(self, node, leaf):
        super().__init__(node, leaf, strict=True)

    def _take(self):
        """Over a listener of its own: the one for requests is Sluice's."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{self.log_port}/", timeout=10) as answer:
            return json.load(answer)

    def read(self):
        """(whole requests since the last call, complaints, how many were not finished)"""
        requests, complaints = [], []
        log = self._take()
        for one in log["whole"]:
            names = [n.encode("latin-1") for n in one["raw"][::2]]
            fields = list(zip(names, (v.encode("latin-1") for v in one["raw"][1::2]), strict=True))
            body = bytes.fromhex(one["body"])
            complaints += complaints_about(fields, body)
            known = dict(fields)
            requests.append(Request(known.get(b":method"), known.get(b":path"), fields, body,
                                    [(n.encode("latin-1"), v.encode("latin-1")) for n, v in one["trailers"].items()]))
        return requests, complaints, log["cut"]


def complaints_about(fields, body):
    out, regular = [], False
    for name, value in fields:
        if name.startswith(b":"):
            if regular or name not in (b":method", b":scheme", b":authority", b":path") or [n for n, _ in fields].count(name) != 1:
                out.append(f"pseudo-header {name!r}")
            continue
        regular = True
        if not re.fullmatch(TOKEN, name) or name != name.lower() or not re.fullmatch(VALUE, value):
            out.append(f"field {name!r}: {value[:80]!r}")
        if name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade") or \
                name == b"te" and value != b"trailers":
            out.append(f"connection field {name!r}")
    lengths = values(fields, b"content-length")
    if len(lengths) > 1 or lengths and not (lengths[0].isdigit() and int(lengths[0]) == len(body)):
        out.append(f"lengths {lengths} of {len(body)} octets")
    if len({v for n, v in fields if n in (b":authority", b"host")}) != 1:
        out.append("more than one host")
    return out
