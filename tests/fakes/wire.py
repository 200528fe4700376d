"""A wire with a tap: a local port that leads to another, and what both sides said on it; and what of a TLS handshake can
be read there by anybody, worked out here a second time: versions, suite, JA3 (salesforce/ja3) and JA4 (FoxIO JA4+).

    wire = Wire(proxy_port, "localhost:443")   # CONNECT is said on the client's behalf: for clients that know no proxies
    wire = Wire(proxy_port)                    # the client says it
    ... run a client against wire.port ...
    wire.hellos(0).ja4
"""
import hashlib
import socket
import struct
import threading

from fakes.closing import close_listener
from fakes.pki import openssl


class Wire:
    def __init__(self, port, destination=None):
        self.target, self.destination, self.taps = port, destination, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target), 15)
            server.settimeout(None)
            tap = (bytearray(), bytearray())
            if self.destination:
                server.sendall(f"CONNECT {self.destination} HTTP/1.1\r\nHost: {self.destination}\r\n\r\n".encode())
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += server.recv(1)
            self.taps.append(tap)
            for source, sink, heard in ((client, server, tap[0]), (server, client, tap[1])):
                threading.Thread(target=self._pump, args=(source, sink, heard), daemon=True).start()

    @staticmethod
    def _pump(source, sink, heard):
        try:
            while data := source.recv(65536):
                if len(heard) < 65536:
                    heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def hellos(self, number=-1):
        """Of the handshake on a connection, the newest if none is named."""
        return Hellos(*(bytes(side) if self.destination else after_connect(bytes(side)) for side in self.taps[number]))

    def close(self):
        close_listener(self.listener)


def after_connect(octets):
    return octets.partition(b"\r\n\r\n")[2]


def handshake_message(octets):
    """(type, body) of the first message in these records; a message may lie in several (RFC 8446 §5.1)."""
    message = b""
    while octets[:1] == b"\x16":
        size = int.from_bytes(octets[3:5], "big")
        message, octets = message + octets[5:5 + size], octets[5 + size:]
    return message[0], message[4:4 + int.from_bytes(message[1:4], "big")]


class Reader:
    def __init__(self, octets):
        self.octets = octets

    def take(self, count):
        out, self.octets = self.octets[:count], self.octets[count:]
        return out

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vector(self, size):
        return Reader(self.take(self.number(size)))

    def numbers(self, size):
        return [int.from_bytes(self.octets[at:at + size], "big") for at in range(0, len(self.octets), size)]


def is_grease(value):  # RFC 8701
    return value & 0x0f0f == 0x0a0a and value >> 8 == value & 0xff


def extensions_of(reader):
    """[(number, Reader)] in order."""
    if not reader.octets:
        return []
    rest, out = reader.vector(2), []
    while rest.octets:
        out.append((rest.number(2), rest.vector(2)))
    return out


def suite_names():
    """{number: the registry's name}, as the openssl program knows them."""
    lines = openssl("ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").decode().splitlines()
    return {int(line.split()[0].replace(",0x", ""), 16): line.split()[2] for line in lines}


VERSIONS = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


class Hellos:
    def __init__(self, client, server):
        kind, body = handshake_message(client)
        assert kind == 1, f"no ClientHello but {client[:20]!r}"
        self._client(Reader(body))
        if server[:1] == b"\x16":
            self._server(Reader(handshake_message(server)[1]))

    def _client(self, reader):
        legacy = reader.number(2)
        reader.take(32), reader.vector(1)
        suites = [s for s in reader.vector(2).numbers(2) if not is_grease(s)]
        reader.vector(1)
        extensions = [(number, body) for number, body in extensions_of(reader) if not is_grease(number)]
        known = dict(extensions)
        groups = [g for g in known[10].vector(2).numbers(2) if not is_grease(g)] if 10 in known else []
        formats = known[11].vector(1).numbers(1) if 11 in known else []
        schemes = known[13].vector(2).numbers(2) if 13 in known else []
        versions = [v for v in known[43].vector(1).numbers(2) if not is_grease(v)] if 43 in known else [legacy]
        protocol = known[16].vector(2).vector(1).octets.decode("latin-1") if 16 in known else ""
        numbers = [number for number, _ in extensions]
        self.ja3_text = ",".join([str(legacy), *("-".join(map(str, each)) for each in (suites, numbers, groups, formats))])
        self.ja3 = hashlib.md5(self.ja3_text.encode()).hexdigest()
        version = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10"}[max(versions)]
        alpn = protocol[:1] + protocol[-1:] if protocol else "00"
        sorted_numbers = sorted(f"{n:04x}" for n in numbers if n not in (0, 16))
        last = ",".join(sorted_numbers) + ("_" + ",".join(f"{s:04x}" for s in schemes) if schemes else "")
        self.ja4 = "_".join((
            f"t{version}{'d' if 0 in known else 'i'}{min(len(suites), 99):02}{min(len(numbers), 99):02}{alpn}",
            digest(",".join(sorted(f"{s:04x}" for s in suites))), digest(last if sorted_numbers else "")))

    def _server(self, reader):
        legacy = reader.number(2)
        reader.take(32), reader.vector(1)
        self.suite = suite_names()[reader.number(2)]
        reader.take(1)
        chosen = dict(extensions_of(reader)).get(43)
        self.version = VERSIONS[struct.unpack(">H", chosen.octets)[0] if chosen else legacy]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "000000000000"
