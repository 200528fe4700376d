"""An HTTP/1.1 origin over raw sockets: it records the exact octets of every request and answers exact octets, so that
tests can say what must not change. One thread per connection; `with Origin(...) as origin:` cleans up.

Paths choose the answer (see ROUTES at the end); a test may add its own: origin.routes["/mine"] = lambda talk: ...
"""
import gzip
import hashlib
import re
import socket
import struct
import threading
import time
import urllib.parse
import zlib

from fakes.closing import close_listener
from fakes.listen import listen

# "brotli says hello\n" * 3 and "zstd says hello\n" * 3, made once with the reference tools.
BROTLI_PLAIN, ZSTD_PLAIN = b"brotli says hello\n" * 3, b"zstd says hello\n" * 3
BROTLI = bytes.fromhex("1b3500f84577f8f75cbbdf461423aaa7a82a4248397d2aacff22436a23")
ZSTD = bytes.fromhex("28b52ffd2030b50000807a73746420736179732068656c6c6f0a0100069f4b")


class Closed(Exception):
    pass


class Request:
    def __init__(self, head, connection):
        self.head, self.connection, self.body, self.raw_body, self.sha256 = head, connection, b"", b"", ""
        line, _, rest = head.partition(b"\r\n")
        self.method, self.target, self.version = (line.decode("latin-1").split(" ") + ["", ""])[:3]
        self.fields = [tuple(part.strip() for part in field.split(":", 1))
                       for field in rest.decode("latin-1").split("\r\n") if ":" in field]
        url = urllib.parse.urlsplit(self.target)
        self.path, self.query = url.path, dict(urllib.parse.parse_qsl(url.query))

    def get(self, name, default=None):
        return next((v for n, v in self.fields if n.lower() == name.lower()), default)


class Talk:
    """One connection, while its request is answered."""

    def __init__(self, origin, sock, number):
        self.origin, self.sock, self.number = origin, sock, number
        self.buffer, self.request, self.close_after = b"", None, False
        self.clean, self.used = True, False  # clean: end TLS with close_notify

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed()
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            self.buffer += self.receive()
        at = self.buffer.index(mark) + len(mark)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.buffer += self.receive()
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def read_body(self):
        request = self.request
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            while True:
                line = self.read_until(b"\r\n")
                request.raw_body += line
                size = int(line.split(b";")[0], 16)
                if size == 0:
                    break
                chunk = self.read_exactly(size + 2)
                request.raw_body += chunk
                request.body += chunk[:-2]
            while True:
                line = self.read_until(b"\r\n")
                request.raw_body += line
                if line == b"\r\n":
                    break
        else:
            left = int(request.get("content-length") or 0)
            digest = hashlib.sha256()
            while left:
                piece = self.buffer[:left] or self.receive()
                self.buffer = self.buffer[len(piece):] if self.buffer else b""
                piece, extra = piece[:left], piece[left:]
                self.buffer = extra + self.buffer
                left -= len(piece)
                digest.update(piece)
                if len(request.body) < 1 << 20:
                    request.body += piece
            request.raw_body = request.body
            request.sha256 = digest.hexdigest()

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, status="200 OK", body=b"", fields=(), length=True):
        if isinstance(body, str):
            body = body.encode()
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
        if length:
            head += f"Content-Length: {len(body)}\r\n"
        self.send(head.encode("latin-1") + b"\r\n" + (b"" if self.request.method == "HEAD" else body))

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed()


class Origin:
    def __init__(self, context=None, host="127.0.0.1", port=0):
        """context: an ssl.SSLContext for TLS; None for plain HTTP."""
        self.context = context
        self.listener, self._guard = listen(host, port)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.requests, self.accepted, self.handshake_errors = [], 0, []
        self.routes = dict(ROUTES)
        self.lock, self.changed, self.gate = threading.Lock(), threading.Condition(), threading.Semaphore(0)
        self._sockets, self._closing = set(), False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def scheme(self):
        return "https" if self.context else "http"

    def url(self, path="/hello", name="localhost"):
        return f"{self.scheme}://{name}:{self.port}{path}"

    def wait_for(self, condition, seconds=10):
        end = time.monotonic() + seconds
        with self.changed:
            while not condition():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("the origin did not see what was expected")
                self.changed.wait(left)

    def _note(self):
        with self.changed:
            self.changed.notify_all()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                number = self.accepted
                self._sockets.add(sock)
            self._note()
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, raw, number):
        sock, talk = raw, None
        try:
            raw.settimeout(60)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(raw, server_side=True)
                with self.lock:
                    self._sockets.add(sock)
            talk = Talk(self, sock, number)
            while not talk.close_after:
                head = talk.read_until(b"\r\n\r\n")
                talk.request = Request(head, number)
                with self.lock:
                    self.requests.append(talk.request)
                self._note()
                route = self.routes.get(talk.request.path, not_found)
                if not getattr(route, "reads_body", False):
                    talk.read_body()
                    self._note()
                route(talk)
        except Closed:
            pass
        except OSError as error:
            if sock is raw and self.context:
                with self.lock:
                    self.handshake_errors.append(str(error))
        finally:
            try:
                if sock is not raw and talk and talk.clean:
                    sock.settimeout(1)
                    sock.unwrap()
            except (OSError, ValueError):
                pass
            sock.close()
            with self.lock:
                self._sockets.discard(sock)
                self._sockets.discard(raw)

    def close(self):
        close_listener(self.listener)
        if self._guard:
            self._guard.close()
        with self.lock:
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def route(reads_body=False):
    def mark(function):
        function.reads_body = reads_body
        return function
    return mark


def not_found(talk):
    talk.answer("404 Not Found", f"no {talk.request.path} here")


def hello(talk):
    talk.answer(body="hello from the origin\n", fields=[("Content-Type", "text/plain")])


def echo(talk):
    talk.answer(body=talk.request.body, fields=[("Content-Type", talk.request.get("content-type", "text/plain"))])


def echo_head(talk):
    talk.answer(body=talk.request.head, fields=[("Content-Type", "application/octet-stream")])


def digest(talk):
    talk.answer(body=talk.request.sha256 or hashlib.sha256(talk.request.body).hexdigest())


def page(talk):
    talk.answer(body="<!doctype html><title>fake</title><p id=ok>page of the fake origin</p>\n",
                fields=[("Content-Type", "text/html; charset=utf-8")])


CHUNKED = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ntransfer-encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
           b"5;name=value\r\nhello\r\n0006\r\n world\r\n0;last\r\nX-Sum: abc\r\nx-sum: def\r\n\r\n")


def chunked(talk):
    talk.send(CHUNKED)


def events(talk):
    stream = b': begins\n\nevent: add\nid: 7\ndata: {"password":"hidd3n-word"}\n\nretry: 500\n\ndata: two\ndata: lines\n\n'
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(stream), 7):
        piece = stream[at:at + 7]
        talk.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    talk.send(b"0\r\n\r\n")


ODD = (b"HTTP/1.1 200 Fine And  Dandy\r\ncontent-LENGTH: 4\r\nX-Twice: a\r\nx-tWICE:b\r\nX-Empty:\r\n"
       b"X-Blanks: \t padded \t\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nx-high: caf\xe9\r\n\r\nodd!")


def odd(talk):
    talk.send(ODD)


def early_hints(talk):
    talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
              b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter")


@route(reads_body=True)
def expect(talk):
    talk.send(b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n")
    talk.read_body()
    talk.answer(body=b"got " + talk.request.body)


@route(reads_body=True)
def early_refusal(talk):
    """Answers before the body is read, then closes: nothing may hang."""
    talk.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo big\n")
    talk.sock.settimeout(3)
    try:
        for _ in range(4096):
            talk.receive()
    except (OSError, Closed):
        pass
    talk.close_after = True


def large(talk):
    size = int(talk.request.query.get("size", 1 << 20))
    talk.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n".encode())
    if talk.request.method == "HEAD":
        return
    for start in range(0, size, len(BLOCK)):
        talk.send(BLOCK[:size - start])


def slow(talk):
    """The body in slices, each after the test has let it go: origin.gate.release()."""
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    for _ in range(3):
        talk.send(b"0123456789")
        talk.origin.gate.acquire(timeout=20)


def no_length(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nuntil the end")
    talk.close_after = True


def no_close_notify(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nends without goodbye")
    talk.close_after, talk.clean = True, False


def cut(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    talk.close_after = True


def cut_chunked(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    talk.close_after = True


def die(talk):
    """No answer at all."""
    talk.clean = False
    talk.reset()


def dies_once_reused(talk):
    """The second request of one connection finds it dead, as a keep-alive time-out would make it."""
    if talk.used:
        talk.clean = False
        raise Closed()
    talk.used = True
    talk.answer(body="alive")


def upgrade(talk):
    talk.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    while True:
        data = talk.buffer or talk.receive()
        talk.buffer = b""
        talk.send(data.upper())


def both_lengths(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def two_lengths(talk):
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")


def nonsense(talk):
    talk.send(b"SSH-2.0-not_http\r\n\r\n")
    talk.close_after = True


def huge_head(talk):
    talk.send(b"HTTP/1.1 200 OK\r\n" + b"X-Fill: " + b"a" * (300 * 1024) + b"\r\nContent-Length: 0\r\n\r\n")


def alt_svc(talk):
    talk.answer(body="alt", fields=[("Alt-Svc", 'h3=":443"'), ("X-Kept", "yes")])


def http10(talk):
    talk.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold times")
    talk.close_after = True


def status(code, reason):
    def answer(talk):
        length = code not in (204, 304)
        talk.answer(f"{code} {reason}", b"" if not length else b"body", [("ETag", '"v1"')], length=length)
    return answer


def coded(coding, content):
    def answer(talk):
        talk.answer(body=content, fields=[("Content-Type", "text/plain"), ("Content-Encoding", coding)])
    return answer


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


BLOCK = bytes((i * 31 + i // 256) % 256 for i in range(65536))
ROUTES = {
    "/": page, "/hello": hello, "/echo": echo, "/head": echo_head, "/digest": digest, "/page": page, "/chunked": chunked,
    "/odd": odd, "/events": events, "/103": early_hints, "/expect": expect, "/413": early_refusal, "/large": large, "/slow": slow,
    "/no-length": no_length, "/no-close-notify": no_close_notify, "/cut": cut, "/cut-chunked": cut_chunked, "/die": die,
    "/dies-once-reused": dies_once_reused, "/upgrade": upgrade, "/both-lengths": both_lengths,
    "/two-lengths": two_lengths, "/nonsense": nonsense, "/huge-head": huge_head, "/alt-svc": alt_svc, "/http10": http10,
    "/204": status(204, "No Content"), "/304": status(304, "Not Modified"), "/500": status(500, "Internal Server Error"),
    "/gzip": coded("gzip", gzip.compress(b"gzip says hello\n" * 3)),
    "/deflate": coded("deflate", zlib.compress(b"deflate says hello\n" * 3)),
    "/raw-deflate": coded("deflate", raw_deflate(b"raw deflate says hello\n" * 3)),
    "/br": coded("br", BROTLI), "/zstd": coded("zstd", ZSTD),
    "/stacked": coded("deflate, gzip", gzip.compress(zlib.compress(b"stacked says hello\n" * 3))),
}


def sha256_of_large(size):
    out = hashlib.sha256()
    for start in range(0, size, len(BLOCK)):
        out.update(BLOCK[:size - start])
    return out.hexdigest()


def head_fields(head):
    """[(name, value)] exactly as they stand, without the start line."""
    return [m.groups() for m in re.finditer(rb"^([^:\r\n]+):([^\r\n]*)\r\n", head.split(b"\r\n", 1)[1], re.M)]
