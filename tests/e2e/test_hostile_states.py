"""Peers that end, reset, or fall silent in every state of a connection, and floods of connections: all of them are let go, nothing stays
open, and what was begun has a record of its end."""
import contextlib
import os
import resource
import socket
import struct
import unittest

from harness import PATIENCE, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.listen import Talker
from fakes.origin import Closed, route
from fakes.raw import context
from fakes.websocket import TEXT, WebSocketClient, WebSocketServer
from hostile import ROOM, Hostile
from test_hostile_tls import Session

IDLE = 1.5 * PATIENCE
HOWS = ("fin", "reset", "silent")


class States(Hostile):
    flags = ("--timeout", f"idle={IDLE}", "--timeout", f"client-head={IDLE}", "--timeout", f"tls={IDLE}", "--timeout", f"first-byte={IDLE}",
             "--timeout", f"upstream-idle={IDLE}", "--timeout", f"websocket-idle={IDLE}")


class Clients(States):
    def setUp(self):
        super().setUp()
        self.may_be_answered()
        self.origin.routes["/ws"] = WebSocketServer()
        self.origin.routes["/never"] = lambda talk: talk.receive()

    def connected(self):
        return self.serve.client()

    def within_connect(self):
        client = self.connected()
        client.send(b"CONNECT localhost:1 HT")
        return client

    def within_socks(self):
        client = self.connected()
        client.send(b"\5\1\0\5\1")
        return client

    def behind_connect(self):
        client = self.connected()
        client.connect_through(f"localhost:{self.origin.port}")
        return client

    def within_hello(self):
        client = self.behind_connect()
        client.send(Session(context(self.serve.ca), "localhost").feed()[:200])
        return client

    def behind_hello(self):
        client = self.behind_connect()
        client.send(Session(context(self.serve.ca), "localhost").feed())
        return client

    def behind_handshake(self):
        return self.serve.tunnel(f"localhost:{self.origin.port}")

    def asked(self, octets):
        client = self.behind_handshake()
        client.send(octets)
        return client

    def within_head(self):
        return self.asked(b"GET /hello HTTP/1.1\r\nHos")

    def within_body(self):
        return self.asked(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")

    def within_chunk(self):
        return self.asked(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nsome")

    def waiting(self):
        return self.asked(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")

    def within_answer(self):
        client = self.asked(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_until(b"0123456789")
        return client

    def idle(self):
        client = self.asked(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_answer()
        return client

    def in_websocket(self):
        return WebSocketClient(self.behind_handshake(), f"localhost:{self.origin.port}").raw

    def within_frame(self):
        client = self.in_websocket()
        client.send(b"\x81\xfe\x01\0abcdsome")
        return client

    def h2(self, *frames):
        client = self.behind_connect()
        client.start_tls("localhost", context(self.serve.ca, alpn=["h2"]))
        h2.H2Raw(client).send(*frames)
        return client

    def behind_preface(self):
        return self.h2()

    def within_h2_frame(self):
        return self.h2(b"\0\1\0\1")

    def within_h2_head(self):
        return self.h2(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.request())))

    def with_streams(self):
        paths = (b"/never", b"/slow", b"/echo", b"/hello")
        return self.h2(*(h2.head(2 * n + 1, h2.request(method=b"POST", path=path, authority=self.authority()), n > 2)
                         for n, path in enumerate(paths)))

    STATES = (connected, within_connect, within_socks, behind_connect, within_hello, behind_hello, behind_handshake, within_head, within_body,
              within_chunk, waiting, within_answer, idle, in_websocket, within_frame, behind_preface, within_h2_frame, within_h2_head,
              with_streams)

    def end_everywhere(self, how):
        with self.bounded(mib=24, cpu=3, seconds=12):
            clients = []
            for reach in self.STATES:
                for _ in range(3):
                    client = reach(self)
                    sock = client.sock
                    if how == "fin":
                        with socket.socket(fileno=sock.detach()) as bare:
                            bare.shutdown(socket.SHUT_WR)
                            bare.settimeout(10 * PATIENCE)
                            with contextlib.suppress(OSError):
                                while bare.recv(65536):
                                    pass
                    elif how == "reset":
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        sock.close()
                    else:
                        clients.append(client)
            self.all_gone()
            for client in clients:
                client.close()

    def test_ends_in_every_state_leave_nothing_open(self):
        self.origin.gate.release(1000)
        self.end_everywhere("fin")

    def test_resets_in_every_state_leave_nothing_open(self):
        self.end_everywhere("reset")

    def test_silence_in_every_state_leaves_nothing_open(self):
        self.end_everywhere("silent")


class Origins(States):
    BEGINNINGS = {
        "nothing": b"", "within the status line": b"HTTP/1.1 20", "within a field": b"HTTP/1.1 200 OK\r\nContent-Le",
        "behind an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n", "behind the head": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome", "within a chunk line": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
        "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nsome",
        "within the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y", "within a gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b"}

    def end_everywhere(self, how, tls):
        def end(sock):
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == "fin":
                sock.shutdown(socket.SHUT_WR)
            if how != "reset":
                while sock.recv(65536):
                    pass

        def answer(talk):
            talk.send(self.BEGINNINGS[talk.request.query["state"].replace("+", " ")])
            talk.clean = False
            end(talk.sock)
            raise Closed()
        origin = self.new_origin(plain=not tls)
        origin.routes["/end"] = route()(answer)
        silent = Talker(end)  # before anything, also before TLS
        self.addCleanup(silent.close)
        with self.bounded(mib=24, cpu=3, seconds=12):
            clients = []
            for state in self.BEGINNINGS:
                clients.append(self.ask(origin.port, tls, b"/end?state=" + state.replace(" ", "+").encode()))
            clients.append(self.ask(silent.port, tls, b"/end?state=accepted"))
            for client in clients:
                client.sock.settimeout(10 * PATIENCE)
                client.read_rest()
                client.close()
            self.all_gone()
        rows = [row for row in self.records() if any(f":{port}/end" in row["url"] for port in (origin.port, silent.port))]
        self.assertEqual(len(rows), len(self.BEGINNINGS) + 1)
        whole = [row for row in rows if row["state"] == "done"]
        self.assertLessEqual(len(whole), 1, "only a body that lasts until the end may have ended so")

    def ask(self, port, tls, path):
        if tls:
            client = self.serve.tunnel(f"localhost:{port}")
            target = path
        else:
            client = self.serve.client()
            target = b"http://127.0.0.1:%d%s" % (port, path)
        client.send(b"GET %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % (target, port))
        return client

    def test_ends_in_every_state_leave_nothing_open(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.end_everywhere("fin", tls)

    def test_resets_in_every_state_leave_nothing_open(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.end_everywhere("reset", tls)

    def test_silence_in_every_state_leaves_nothing_open(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.end_everywhere("silent", tls)

    def test_an_answer_before_the_request_or_behind_the_answer_is_nobodys(self):
        """What an origin says too early or twice would be taken for the answer to another's request."""
        stray = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"

        def early(sock):
            sock.sendall(stray)
            while data := sock.recv(65536):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright" if b"GET" in data else b"")

        def twice(sock):
            while sock.recv(65536):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright" + stray)
        for talk, answers in ((early, (b"stray", b"right")), (twice, (b"right",))):
            with self.subTest(talk.__name__), self.bounded(mib=16, cpu=1, seconds=3):
                server = Talker(talk)
                self.addCleanup(server.close)
                for _ in range(5):
                    client = self.ask(server.port, False, b"/stray")
                    self.assertIn(client.read_answer().body, answers)
                    self.assertEqual(client.read_rest()[0], b"")
                    client.close()
        self.ended(lambda row: "/stray" in row["url"] and row["status"] == 200)


class Floods(Hostile):
    LIMIT = 300
    flags = ("--max-connections", str(LIMIT))

    def test_connections_beyond_the_limit_are_counted_and_cost_little(self):
        with self.bounded(mib=32, cpu=3, seconds=10):
            clients = [socket.create_connection(("127.0.0.1", self.serve.proxy_port)) for _ in range(self.LIMIT)]
            poll(lambda: self.serve.call("proxy_status")["connections"]["open"] >= self.LIMIT, what="a full house")
            for _ in range(1000):
                with contextlib.suppress(OSError):
                    more = socket.create_connection(("127.0.0.1", self.serve.proxy_port), 5)
                    more.close()
            poll(lambda: self.serve.call("proxy_status")["connections"]["refused"] >= 1000, what="a count of them")
            for client in clients:
                client.close()
            self.all_gone()

    def test_connections_that_come_and_go_leave_nothing(self):
        with self.bounded(mib=16, cpu=4, seconds=10):
            for number in range(2000):
                with socket.create_connection(("127.0.0.1", self.serve.proxy_port)) as client:
                    if number % 2:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if number % 3 == 0:
                        client.sendall(b"CONNECT ")
            self.all_gone()

    def test_tunnels_at_the_limit_are_served_and_let_go(self):
        with self.bounded(mib=64, cpu=6, seconds=15):
            clients = [self.serve.tunnel(f"localhost:{self.origin.port}") for _ in range(self.LIMIT - 20)]
            for client in clients:
                client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            for client in clients:
                self.assertEqual(client.read_answer().status, 200)
                client.close()
            self.all_gone()


class Descriptors(Hostile):
    """A process that may open no more files, as when others of the same user took them or clients did."""
    ROOM = 24

    def setUp(self):
        super().setUp()
        self.plain = self.new_origin(plain=True)

    def test_without_descriptors_it_rests_says_so_and_goes_on_afterwards(self):
        if ROOM > 1:
            return  # UBSan looks at memory through a pipe of its own, and takes having none for an error
        pid = self.serve.process.pid
        self.all_gone()
        before = self.serve.call("proxy_status")["capture"]
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with self.bounded(mib=16, cpu=1, seconds=5):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + self.ROOM, most))
            clients = [self.serve.client() for _ in range(4 * self.ROOM)]
            for client in clients:  # each needs two
                client.send(b"GET http://127.0.0.1:%d/hello?full HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % self.plain.port)
            answers = [client.read_answer().status for client in clients]
            for client in clients:
                client.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        self.assertLessEqual(set(answers), {200, 502})
        self.assertIn(502, answers, "there was room for all of them")
        self.failed("connect", "Too many open files")
        self.all_gone()
        after = self.serve.call("proxy_status")["capture"]
        self.assertEqual(after["exchanges"] - before["exchanges"], len(clients) + 1)
        self.assertEqual((after["recordsLost"], after["bodiesCut"]), (before["recordsLost"], before["bodiesCut"]))


if __name__ == "__main__":
    unittest.main()
