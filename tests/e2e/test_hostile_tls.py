"""TLS that is cut, split, garbled, endless or begun anew, from clients and from origins: it ends with a record that says what broke."""
import contextlib
import random
import socket
import ssl
import subprocess
import unittest

from harness import PATIENCE, clean_environment, free_port, needs, poll  # first: it knows where the fakes are
from fakes.listen import Talker
from fakes.pki import openssl
from fakes.raw import context
from hostile import Hostile, flood

HANDSHAKE, CHANGE_CIPHER, ALERT, DATA = 22, 20, 21, 23
ALERTS = (0, 10, 20, 22, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 70, 71, 80, 86, 90, 100, 109, 110, 112, 115, 116, 120, 255)


def record(kind, octets, version=b"\x03\x03"):
    return bytes([kind]) + version + len(octets).to_bytes(2, "big") + octets


class Session:
    """One side of TLS without a socket: what it would send, for what it was sent."""

    def __init__(self, tls_context, name=None):
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context.wrap_bio(self.inward, self.outward, server_side=name is None, server_hostname=name)

    def feed(self, octets=b""):
        self.inward.write(octets)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outward.read()


class Clients(Hostile):
    def tunnel(self):
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{self.origin.port}").status, 200)
        return client

    def hello(self):
        return Session(context(self.serve.ca), "localhost").feed()

    def broken(self, *openings):
        """Tunnels into which these octets are sent, and then the end: each is ended and has a record, and some say what broke."""
        before = self.serve.call("proxy_status")["capture"]["exchanges"]
        for octets in openings:
            client = self.tunnel()
            with contextlib.suppress(OSError):
                client.send(octets)
                client.sock.shutdown(socket.SHUT_WR)
            client.read_rest()
            client.close()
        poll(lambda: self.serve.call("proxy_status")["capture"]["exchanges"] == before + len(openings), what="a record of each")
        poll(lambda: self.serve.call("proxy_status")["connections"]["open"] == 0, what="an end of each")
        self.assertEqual([row["state"] for row in self.records() if row["state"] == "open"], [])
        return self.failed("client_tls")

    def test_hellos_that_are_cut_anywhere_are_recorded(self):
        hello = self.hello()
        with self.bounded(mib=16, cpu=2, seconds=5):
            self.broken(*(hello[:size] for size in range(1, len(hello), 12)))

    def test_a_hello_in_records_of_one_octet_is_a_hello(self):
        hello = self.hello()
        with self.bounded(mib=16, cpu=1, seconds=3):
            client = self.tunnel()
            session = Session(context(self.serve.ca), "localhost")
            split = b"".join(record(HANDSHAKE, bytes([octet]), b"\x03\x01") for octet in session.feed()[5:])
            self.assertGreater(len(split), 5 * len(hello))
            client.send(split)
            while session.tls.version() is None or not session.tls.cipher():
                client.send(session.feed(client.sock.recv(65536)))
            session.tls.write(b"GET /hello?split HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            client.send(session.outward.read())
            poll(lambda: "/hello?split" in self.seen(), what="the request")
        self.ended(lambda row: "split" in row["url"] and row["status"] == 200)

    def test_a_hello_without_end_is_cut(self):
        with self.bounded(mib=16, cpu=1, seconds=3):
            client = self.tunnel()
            client.send(record(HANDSHAKE, b"\x01\xff\xff\xff" + b"x" * 16000))
            flood(client, record(HANDSHAKE, b"x" * 16000), 1000)
            client.read_rest()
        self.failed("client_tls", "ClientHello")

    def test_records_that_carry_nothing_end_the_connection(self):
        with self.bounded(mib=16, cpu=1, seconds=4):
            for begin, nothing in ((b"", record(HANDSHAKE, b"")), (self.hello(), record(CHANGE_CIPHER, b"\1")),
                                   (self.hello(), record(ALERT, b"\1\x5a")), (self.hello(), record(DATA, b""))):
                client = self.tunnel()
                client.send(begin)
                flood(client, nothing * 1000, 100)
                client.read_rest()
                client.close()
        self.failed("client_tls")

    def test_alerts_at_every_step_end_the_connection(self):
        with self.bounded(mib=16, cpu=2, seconds=5):
            self.broken(*(begin + record(ALERT, bytes([2, number])) for number in ALERTS for begin in (b"", self.hello())))

    def test_garbage_at_every_step_ends_the_connection(self):
        chance = random.Random(9113)
        session = Session(context(self.serve.ca), "localhost")
        with self.bounded(mib=16, cpu=2, seconds=5):
            hello = session.feed()
            self.broken(*(begin + garbage for garbage in map(chance.randbytes, (1, 5, 100, 16384)) for begin in (
                b"\x16", b"\x16\x03\x01", hello, hello + b"\x16\x03\x03", hello + record(HANDSHAKE, garbage))))
            # Behind the handshake: what cannot be decrypted.
            with socket.socket(fileno=self.client().sock.detach()) as sock:
                sock.settimeout(10)
                sock.sendall(record(DATA, chance.randbytes(1000)))
                while sock.recv(65536):
                    pass

    def s_client(self, *arguments, commands=b""):
        """The openssl program, told these commands once it is connected; its end."""
        with subprocess.Popen([needs("openssl"), "s_client", "-proxy", f"127.0.0.1:{self.serve.proxy_port}", "-connect",
                               f"localhost:{self.origin.port}", "-servername", "localhost", "-CAfile", str(self.serve.ca), *arguments],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment()) as program:
            head = b""
            while b"Verify return code" not in head and b"---\n" not in head[-200:]:
                octets = program.stdout.read1(65536)
                if not octets:
                    break
                head += octets
            with contextlib.suppress(BrokenPipeError):
                program.stdin.write(commands)
                program.stdin.close()
            out = program.stdout.read()
            program.wait(20 * PATIENCE)
            return head + out

    def test_renegotiation_is_refused(self):
        with self.bounded(mib=16, cpu=1, seconds=4):
            said = self.s_client("-tls1_2", commands=b"R\nQ\n")
            self.assertIn(b"RENEGOTIATING", said)
            self.assertIn(b"no renegotiation", said.lower())

    def test_thousands_of_new_keys_cost_little(self):
        with self.bounded(mib=16, cpu=2, seconds=6):
            said = self.s_client("-tls1_3", commands=b"k\n" * 5000 + b"Q\n")
            self.assertIn(b"KEYUPDATE", said)


class Origins(Hostile):
    def answered(self, talk, code="upstream_tls", status=502):
        """What a client within TLS is told of an origin that does this."""
        server = Talker(talk)
        self.addCleanup(server.close)
        with self.serve.tunnel(f"localhost:{server.port}") as client:
            client.send(b"GET /tls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertEqual(client.read_answer().status, status)
        return self.failed(code)

    def test_alerts_give_a_502(self):
        with self.bounded(mib=16, cpu=2, seconds=6):
            for number in ALERTS:
                self.answered(lambda sock, number=number: (sock.recv(65536), sock.sendall(record(ALERT, bytes([2, number])))))

    def test_garbage_gives_a_502(self):
        chance = random.Random(9113)
        with self.bounded(mib=16, cpu=2, seconds=6):
            for begin in (b"", b"\x16\x03\x03", record(HANDSHAKE, b"\2\0\0\x46\3\3"), record(CHANGE_CIPHER, b"\1"), record(DATA, b"x" * 100)):
                for size in (5, 1000):
                    garbage = begin + chance.randbytes(size)
                    self.answered(lambda sock, garbage=garbage: (sock.recv(65536), sock.sendall(garbage)))

    def test_a_handshake_that_is_cut_anywhere_gives_a_502(self):
        tls = self.fakes.server_context()
        size = len(Session(tls).feed(Session(context(verify=False), "localhost").feed()))
        with self.bounded(mib=16, cpu=2, seconds=6):
            for at in range(0, size, size // 25):
                self.answered(lambda sock, at=at: sock.sendall(Session(tls).feed(sock.recv(65536))[:at]))

    def test_a_handshake_without_end_gives_a_502(self):
        def talk(sock):
            sock.recv(65536)
            sock.sendall(record(HANDSHAKE, b"\2\xff\xff\xff" + b"x" * 16000))
            while True:
                sock.sendall(record(HANDSHAKE, b"x" * 16000))
        with self.bounded(mib=16, cpu=1, seconds=3):
            self.answered(talk)

    def large_leaf(self, names, copies):
        """A certificate with so many names, in a chain of so many copies of its issuer."""
        certificate, key = self.fakes.leaf("localhost")
        directory = certificate.parent
        (directory / "large.ext").write_text("subjectAltName=DNS:localhost," + ",".join(f"DNS:host-number-{n}.localhost" for n in range(names)))
        openssl("req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", directory / "large.csr")
        openssl("x509", "-req", "-in", directory / "large.csr", "-CA", self.fakes.pem, "-CAkey", self.fakes.key, "-CAcreateserial", "-days", 2,
                "-extfile", directory / "large.ext", "-out", directory / "large.pem")
        (directory / "chain.pem").write_bytes((directory / "large.pem").read_bytes() + self.fakes.pem.read_bytes() * copies)
        return directory / "chain.pem", key

    def test_a_certificate_of_many_names_is_taken_and_one_of_too_many_is_not(self):
        for names, copies, taken in ((1000, 0, True), (10_000, 0, False), (1, 20, True), (1, 500, False)):
            origin = self.new_origin(leaf=self.large_leaf(names, copies))
            with self.subTest(names=names, copies=copies), self.bounded(mib=16, cpu=1, seconds=3):
                with self.client(origin=origin) as client:
                    client.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    self.assertEqual(client.read_answer().status, 200 if taken else 502)
                if not taken:
                    self.failed("upstream_tls")

    def test_an_origin_that_wants_to_shake_hands_anew_is_refused_it(self):
        certificate, key = self.fakes.leaf("localhost")
        port = free_port()
        program = subprocess.Popen([needs("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
                                    "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=clean_environment())
        self.addCleanup(program.communicate, timeout=20 * PATIENCE)
        self.addCleanup(program.kill)
        self.assertTrue(any(line == b"ACCEPT\n" for line in program.stdout), "it listens")
        with self.bounded(mib=16, cpu=1, seconds=4), self.serve.tunnel(f"localhost:{port}") as client:
            client.send(b"GET /anew HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            poll(lambda: [row for row in self.records() if row["state"] == "open"], what="the request's record")
            program.stdin.write(b"r\n")
            program.stdin.flush()
            self.assertEqual(client.read_answer().status, 502)
        self.failed("upstream_tls", "wanted to renegotiate TLS")



if __name__ == "__main__":
    unittest.main()
