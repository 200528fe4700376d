"""WebSocket (RFC 6455, RFC 7692) over the raw clients and the Origin of this folder: exact frames both ways, and a server
that remembers every octet that it was sent.

    origin.routes["/ws"] = server = WebSocketServer()        # echoes messages; answers pings and closes
    socket = WebSocketClient(raw_client, "localhost:1", "/ws")
    socket.send(TEXT, b"hello"); frame = socket.read()
"""
import base64
import hashlib
import os
import struct
import threading
import zlib
from collections import namedtuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TAIL = b"\x00\x00\xff\xff"

Frame = namedtuple("Frame", "opcode payload fin rsv1 wire")


def mask(key, payload):
    """RFC 6455 §5.3; quick for large payloads."""
    length = len(payload)
    wide = int.from_bytes((key * (length // 4 + 1))[:length], "big")
    return (int.from_bytes(payload, "big") ^ wide).to_bytes(length, "big")


def frame(opcode, payload=b"", fin=True, rsv1=False, key=None, form=None):
    """The octets of a frame. key: masked with it. form: octets of the extended length, 0, 2 or 8, else the shortest."""
    length = len(payload)
    if form is None:
        form = 0 if length < 126 else 2 if length < 65536 else 8
    short = length if form == 0 else 126 if form == 2 else 127
    out = bytes([(128 if fin else 0) | (64 if rsv1 else 0) | opcode, (128 if key else 0) | short])
    out += length.to_bytes(form, "big") if form else b""
    return out + (key + mask(key, payload) if key else payload)


def close_body(code, reason=""):
    return struct.pack(">H", code) + reason.encode()


def read_frame(read_exactly):
    first = read_exactly(2)
    wire, length = first, first[1] & 127
    if length >= 126:
        extended = read_exactly(2 if length == 126 else 8)
        wire, length = wire + extended, int.from_bytes(extended, "big")
    key = read_exactly(4) if first[1] & 128 else b""
    payload = read_exactly(length)
    return Frame(first[0] & 15, mask(key, payload) if key else payload, bool(first[0] & 128), bool(first[0] & 64),
                 wire + key + payload)


class Deflate:
    """One direction of permessage-deflate, or both; the context is taken over unless `fresh`."""

    def __init__(self, fresh=False):
        self.fresh = fresh
        self._start()

    def _start(self):
        self.packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.unpacker = zlib.decompressobj(-15)

    def pack(self, data):
        out = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        if self.fresh:
            self._start()
        return out[:-4]

    def unpack(self, data):
        out = self.unpacker.decompress(data + TAIL)
        if self.fresh:
            self._start()
        return out


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class WebSocketClient:
    """Over a RawClient that has reached its server. `sent` is every octet after the handshake."""

    def __init__(self, raw, authority, path="/ws", extensions=None, fields="", absolute=False, early=b""):
        self.raw, self.sent, self.received = raw, early, b""
        key = base64.b64encode(os.urandom(16)).decode()
        target = f"http://{authority}{path}" if absolute else path
        offer = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
        raw.send((f"GET {target} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}{fields}\r\n").encode() + early)
        self.answer = raw.read_answer(head_only=True)
        if self.answer.status != 101 or self.answer.get("sec-websocket-accept") != accept_of(key):
            raise AssertionError(f"no WebSocket: {self.answer.head!r}")

    def send_octets(self, octets, slices=None):
        self.sent += octets
        self.raw.send(octets, slices)

    def send(self, opcode, payload=b"", slices=None, **options):
        options.setdefault("key", os.urandom(4))
        self.send_octets(frame(opcode, payload, **options), slices)

    def read(self):
        got = read_frame(self.raw.read_exactly)
        self.received += got.wire
        return got

    def close(self, code=1000, reason=""):
        """The whole handshake: Close, Close, the server's end."""
        self.send(CLOSE, close_body(code, reason))
        answer = self.read()
        self.raw.read_rest()
        self.raw.close()
        return answer


class WebSocketServer:
    """A route of Origin. Echoes data frames as they came (unmasked), answers PING and CLOSE; `script(session)` replaces
    that. `session` is of the newest connection."""

    def __init__(self, extensions=None, script=None, greeting=b""):
        self.extensions, self.script, self.greeting, self.session = extensions, script, greeting, None

    def __call__(self, talk):
        session = self.session = ServerSession(talk)
        fields = f"Sec-WebSocket-Extensions: {self.extensions}\r\n" if self.extensions else ""
        session.sent += self.greeting
        talk.close_after = True
        try:
            talk.send((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}"
                       f"Sec-WebSocket-Accept: {accept_of(talk.request.get('sec-websocket-key', ''))}\r\n\r\n"
                       ).encode() + self.greeting)
            (self.script or ServerSession.echo)(session)
        finally:
            session.done.set()


class ServerSession:
    """`received` and `sent` are the octets after the handshake; `done` is set at the end."""

    def __init__(self, talk):
        self.talk, self.received, self.sent, self.done = talk, b"", b"", threading.Event()

    def read(self):
        got = read_frame(self.talk.read_exactly)
        self.received += got.wire
        return got

    def send_octets(self, octets):
        self.sent += octets
        self.talk.send(octets)

    def send(self, opcode, payload=b"", **options):
        self.send_octets(frame(opcode, payload, **options))

    def reset(self):
        self.talk.clean = False
        self.talk.reset()

    def echo(self):
        while True:
            got = self.read()
            if got.opcode == CLOSE:
                self.send(CLOSE, got.payload[:2])
                return
            if got.opcode == PING:
                self.send(PONG, got.payload)
            elif got.opcode != PONG:
                self.send(got.opcode, got.payload, fin=got.fin, rsv1=got.rsv1)
