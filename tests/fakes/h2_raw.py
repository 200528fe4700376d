"""HTTP/2 frames as octets, for what no client library would send. RFC 9113 §4, RFC 7541 §6.2.2 (literals, no Huffman)."""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _string(octets):
    if len(octets) < 127:
        return bytes([len(octets)]) + octets
    rest, out = len(octets) - 127, bytes([127])
    while rest >= 128:
        out += bytes([rest % 128 + 128])
        rest //= 128
    return out + bytes([rest]) + octets


def block(fields):
    """A field section of literals: whatever stands there, no index, no Huffman."""
    return b"".join(b"\x00" + _string(n) + _string(v) for n, v in fields)


def head(stream, fields, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(fields))


def request(method=b"GET", path=b"/", authority=b"localhost", scheme=b"https", more=()):
    return [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path), *more]


class H2Raw:
    """Over anything with send(octets) and read_exactly(count). settings: (identifier, value) pairs."""

    def __init__(self, client, *settings):
        self.client = client
        client.send(PREFACE + frame(SETTINGS, payload=b"".join(struct.pack(">HI", *one) for one in settings)))

    def send(self, *frames):
        self.client.send(b"".join(frames))

    def read_frame(self):
        size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.client.read_exactly(9))
        return kind, flags, stream & 0x7fffffff, self.client.read_exactly(size)

    def outcome(self, stream):
        """What becomes of a stream: ("reset", code), ("goaway", code), ("answer", HPACK block) or ("closed", None)."""
        while True:
            try:
                kind, flags, at, payload = self.read_frame()
            except (EOFError, OSError, AssertionError):
                return "closed", None
            if kind == SETTINGS and not flags & 1:
                self.send(frame(SETTINGS, 1))
            elif kind == GOAWAY:
                return "goaway", struct.unpack(">I", payload[4:8])[0]
            elif kind == RST_STREAM and at == stream:
                return "reset", struct.unpack(">I", payload)[0]
            elif kind == HEADERS and at == stream:
                return "answer", payload

    def status(self, stream):
        """The answer's status, read from the first field of its HPACK block; None if the stream had no answer."""
        what, payload = self.outcome(stream)
        if what != "answer":
            return None
        indexed = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
        while payload and payload[0] & 0xe0 == 0x20:  # a dynamic table size update
            payload = payload[1:]
        if payload[0] in indexed:
            return indexed[payload[0]]
        value = payload[2:2 + (payload[1] & 0x7f)]
        if not payload[1] & 0x80:
            return int(value)
        # Digits of RFC 7541 appendix B: 0, 1 and 2 have five bits, 3 to 9 six, from 0x19 on.
        bits = "".join(f"{octet:08b}" for octet in value)
        digits = ""
        while len(digits) < 3:
            if int(bits[:5], 2) < 3:
                digits, bits = digits + str(int(bits[:5], 2)), bits[5:]
            else:
                digits, bits = digits + str(int(bits[:6], 2) - 0x19 + 3), bits[6:]
        return int(digits)
