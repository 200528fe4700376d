"""A client that sends exactly the octets it is told to, in the slices it is told to, through a proxy or not."""
import re
import socket
import ssl
import struct


def context(cafile=None, alpn=None, maximum=None, minimum=None, verify=True):
    out = ssl.create_default_context(cafile=str(cafile) if cafile else None)
    if not verify:
        out.check_hostname, out.verify_mode = False, ssl.CERT_NONE
    if alpn:
        out.set_alpn_protocols(alpn)
    if maximum:
        out.maximum_version = maximum
    if minimum:
        out.minimum_version = minimum
    return out


class Answer:
    def __init__(self, head, body, trailers=b"", raw_body=b""):
        self.head, self.body, self.trailers, self.raw_body = head, body, trailers, raw_body
        self.status = int(head.split(b" ", 2)[1])

    def get(self, name):
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


class Slicing:
    """Moves octets between a socket and an SSLObject, writing them in slices of `size`: what a slow network does."""

    def __init__(self, sock, tls_context, server_name, size):
        self.sock, self.size = sock, size
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context.wrap_bio(self.inward, self.outward, server_hostname=server_name)
        self._do(self.tls.do_handshake)

    def _flush(self):
        data = self.outward.read()
        for start in range(0, len(data), self.size):
            self.sock.sendall(data[start:start + self.size])

    def _do(self, operation, *args):
        while True:
            try:
                result = operation(*args)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self.inward.write(data)
                else:
                    self.inward.write_eof()

    def sendall(self, data):
        self._do(self.tls.write, data)

    def recv(self, size):
        try:
            return self._do(self.tls.read, size)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def getpeercert(self, binary_form=False):
        return self.tls.getpeercert(binary_form)

    def selected_alpn_protocol(self):
        return self.tls.selected_alpn_protocol()

    def version(self):
        return self.tls.version()

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close(self):
        self.sock.close()


class RawClient:
    def __init__(self, host, port, timeout=15):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def connect_through(self, authority):
        """CONNECT; the answer."""
        self.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return Answer(self.read_head(), b"")

    def start_tls(self, name, tls_context, slice_size=None):
        if slice_size:
            self.sock = Slicing(self.sock, tls_context, name, slice_size)
        else:
            self.sock = tls_context.wrap_socket(self.sock, server_hostname=name)
        return self

    def send(self, data, slices=None):
        """slices: the number of octets to send at a time."""
        if not slices:
            self.sock.sendall(data)
            return
        for start in range(0, len(data), slices):
            self.sock.sendall(data[start:start + slices])

    def receive(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self.receive():
                raise EOFError(f"ended before {mark!r}, after {self.buffer[:300]!r}")
        at = self.buffer.index(mark) + len(mark)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    def read_exactly(self, count):
        while len(self.buffer) < count:
            if not self.receive():
                raise EOFError(f"{len(self.buffer)} octets of {count}")
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def read_head(self):
        return self.read_until(b"\r\n\r\n")

    def read_rest(self):
        """(octets until the end, "closed" or "reset")"""
        try:
            while self.receive():
                pass
            how = "closed"
        except (ConnectionResetError, BrokenPipeError):
            how = "reset"
        except ssl.SSLError:
            how = "reset"
        out, self.buffer = self.buffer, b""
        return out, how

    def read_answer(self, head_only=False):
        """One answer, framed as RFC 9112 §6.3 says; interim answers are not skipped."""
        head = self.read_head()
        answer = Answer(head, b"")
        if head_only or answer.status // 100 == 1 or answer.status in (204, 304):
            return answer
        if re.search(rb"^transfer-encoding:\s*chunked\s*\r\n", head, re.I | re.M):
            while True:
                line = self.read_until(b"\r\n")
                answer.raw_body += line
                size = int(line.split(b";")[0], 16)
                if size == 0:
                    break
                chunk = self.read_exactly(size + 2)
                answer.raw_body += chunk
                answer.body += chunk[:-2]
            while True:
                line = self.read_until(b"\r\n")
                answer.raw_body += line
                if line == b"\r\n":
                    return answer
                answer.trailers += line
        length = answer.get("content-length")
        answer.body = self.read_exactly(int(length)) if length is not None else self.read_rest()[0]
        answer.raw_body = answer.body
        return answer

    def close(self):
        self.sock.close()

    def reset(self):
        """Goes away as a killed program with unread data does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
