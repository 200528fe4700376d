"""An HTTP/2 origin that says exactly the frames that a test tells it to: no library would send what some of them do.

    def script(peer):                      # once for each connection, in a thread of its own
        stream = peer.next_request()
        peer.answer(stream, b"hello")
    origin = H2RawOrigin(fakes.server_context(alpn=("h2",)), script)

Heads are not decoded: a request is known by its stream, or by its content.
"""
import itertools
import socket
import struct
import threading

from fakes import h2_raw as h2
from fakes.listen import Talker

STATUS = {200: b"\x88", 204: b"\x89", 304: b"\x8b", 400: b"\x8c", 404: b"\x8d", 500: b"\x8e"}


def status_block(status, *fields):
    """A field section for an answer: the status, then literals."""
    known = STATUS.get(status)
    return (known or h2.block([(b":status", str(status).encode())])) + h2.block(fields)


class Gone(Exception):
    pass


class Peer:
    """The client of one connection. `content` is what came on each stream, `ended` the streams whose half is over,
    `resets` the codes of those that were reset."""

    def __init__(self, sock, number):
        self.sock, self.number, self.buffer = sock, number, b""
        self.content, self.ended, self.resets, self.requests = {}, set(), {}, []
        self.lock = threading.Lock()

    def send(self, *frames):
        with self.lock:
            self.sock.sendall(b"".join(frames))

    def read_exactly(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise Gone()
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def greet(self, *settings):
        if self.read_exactly(len(h2.PREFACE)) != h2.PREFACE:
            raise Gone()
        self.send(h2.frame(h2.SETTINGS, payload=b"".join(struct.pack(">HI", *one) for one in settings)))

    def next_frame(self):
        """The next frame, after what every peer does with it: SETTINGS and PING are acknowledged, content is counted."""
        size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.read_exactly(9))
        payload = self.read_exactly(size)
        stream &= 0x7fffffff
        if kind in (h2.SETTINGS, h2.PING) and not flags & 1:
            self.send(h2.frame(kind, 1, 0, payload if kind == h2.PING else b""))
        elif kind == h2.HEADERS and stream not in self.content:
            self.content[stream] = b""
            self.requests.append(stream)
        elif kind == h2.DATA:
            self.content[stream] = self.content.get(stream, b"") + payload
        elif kind == h2.RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
        if kind in (h2.HEADERS, h2.DATA) and flags & h2.END_STREAM:
            self.ended.add(stream)
        return kind, flags, stream, payload

    def next_request(self):
        """The stream of the next request, whole: with its content."""
        while True:
            _, _, stream, _ = self.next_frame()
            if stream in self.ended:
                return stream

    def give_window(self, octets, *streams):
        for stream in (0, *streams):
            self.send(h2.frame(h2.WINDOW_UPDATE, 0, stream, struct.pack(">I", octets)))

    def answer(self, stream, body=b"", status=200, fields=()):
        self.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, status_block(status, *fields)),
                  *[h2.frame(h2.DATA, 0, stream, body[at:at + 16384]) for at in range(0, len(body), 16384)],
                  h2.frame(h2.DATA, h2.END_STREAM, stream))

    def reset(self, stream, code):
        self.send(h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", code)))

    def go_away(self, last, code=0):
        self.send(h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def stay(self):
        """Until the client goes."""
        while True:
            self.next_frame()


class H2RawOrigin(Talker):
    def __init__(self, context, script, settings=(), for_http1=False):
        """context: None for HTTP/2 without TLS. settings: (identifier, value) pairs. for_http1: each connection is
        refused at first with no_application_protocol, as a client that does not offer h2 would be (RFC 7301 §3.2)."""
        self.script, self.settings, self.peers = script, settings, []
        if for_http1:
            refusals = itertools.cycle((120, None))
            context.sni_callback = lambda *_: next(refusals)
        super().__init__(self._talk, context=context)

    def _talk(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, len(self.peers))
        self.peers.append(peer)
        try:
            peer.greet(*self.settings)
            self.script(peer)
        except (Gone, ValueError):
            pass
