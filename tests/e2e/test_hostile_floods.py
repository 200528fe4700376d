"""Peers that send as fast as they are read, on one worker: others have their turn meanwhile, their records are whole, and those of
the flood say what they lack. And many peers that each stay below what one may hold."""
import contextlib
import threading
import time
import unittest

from harness import PATIENCE, poll  # first: it knows where the fakes are
from fakes.origin import route
from fakes.websocket import PING, TEXT, WebSocketClient, WebSocketServer, frame
from hostile import ROOM, Hostile, Meter

FLOOD = 2.5  # seconds
MASK = b"\1\2\3\4"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


class Floods(Hostile):
    flags = ("--workers", "1")

    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        self.plain = self.new_origin(plain=True)

    def pour(self, sock, octets):
        """Until it is over or the other side has had enough."""
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                sock.sendall(octets)

    def swallow(self, sock):
        with contextlib.suppress(OSError):
            while not self.over.is_set() and sock.recv(1 << 20):
                pass

    def during(self, flood):
        """What others wait for while flood() runs, in seconds each."""
        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        time.sleep(0.3)
        waited, end = [], time.monotonic() + FLOOD * PATIENCE
        while time.monotonic() < end:
            began = time.monotonic()
            with self.serve.client() as client:
                client.send(b"GET http://localhost:%d/hello?other HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % self.plain.port)
                self.assertEqual(client.read_answer().body, b"hello from the origin\n")
            waited.append(time.monotonic() - began)
            time.sleep(0.1)
        self.over.set()
        thread.join(5 * PATIENCE)
        self.assertFalse(thread.is_alive())
        return waited

    def others_are_served(self, flood):
        waited = self.during(flood)
        self.assertLess(max(waited), 1.2 * PATIENCE, waited)  # as long as the flood, once
        self.assertGreater(len(waited), 2)

        def whole():
            rows = [row for row in self.records() if "other" in row["url"]]
            return rows if all(row["state"] == "done" for row in rows) else None
        rows = poll(whole, 10, "the others' records")
        self.assertEqual([row["status"] for row in rows], [200] * len(rows))
        self.assertGreaterEqual(len(rows), min(len(waited), 30))

    def socket(self, path, script):
        self.origin.routes[path] = WebSocketServer(script=script)
        return WebSocketClient(self.client(), f"localhost:{self.origin.port}", path)

    def test_a_client_that_sends_messages_as_fast_as_they_go(self):
        for name, octets in (("pings", frame(PING, b"", key=MASK) * 5000), ("messages", frame(TEXT, b"x", key=MASK) * 5000)):
            with self.subTest(name):
                self.over.clear()
                socket = self.socket("/" + name, lambda session: self.swallow(session.talk.sock))
                self.others_are_served(lambda socket=socket, octets=octets: self.pour(socket.raw.sock, octets))
                socket.raw.close()

    def test_a_server_that_sends_messages_as_fast_as_they_go(self):
        octets = frame(TEXT, b"x" * 100) * 600
        socket = self.socket("/poured", lambda session: self.pour(session.talk.sock, octets))
        self.others_are_served(lambda: self.swallow(socket.raw.sock))
        socket.raw.close()

    def test_a_client_whose_body_comes_in_crumbs(self):
        @route(reads_body=True)
        def swallow(talk):
            self.swallow(talk.sock)
            talk.clean = False
        self.origin.routes["/swallow"] = swallow
        client = self.client()
        self.addCleanup(client.close)
        client.send(b"POST /swallow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.others_are_served(lambda: self.pour(client.sock, b"1\r\nx\r\n" * 5000))

    def test_a_server_whose_body_comes_in_crumbs(self):
        def crumbs(talk):
            talk.clean = False
            talk.send(CHUNKED)
            self.pour(talk.sock, b"1\r\nx\r\n" * 5000)
        self.origin.routes["/crumbs"] = crumbs
        client = self.client()
        self.addCleanup(client.close)
        client.send(b"GET /crumbs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.others_are_served(lambda: self.swallow(client.sock))

    def test_a_client_that_asks_for_many_pages_at_once(self):
        client = self.serve.client()
        self.addCleanup(client.close)

        def ask():
            reading = threading.Thread(target=self.swallow, args=(client.sock,), daemon=True)
            reading.start()
            self.pour(client.sock, b"GET http://sluice.setup/ HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
            client.close()
        self.others_are_served(ask)

    def test_a_record_says_that_messages_are_missing_and_older_ones_stay(self):
        for _ in range(200):
            with self.client() as client:
                client.send(b"GET /hello?before HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                client.read_answer()
        sent = 0
        socket = self.socket("/many", lambda session: self.swallow(session.talk.sock))
        octets = frame(TEXT, b"m", key=MASK) * 5000
        end = time.monotonic() + FLOOD * PATIENCE
        while time.monotonic() < end:
            socket.raw.sock.sendall(octets)
            sent += 5000
        socket.raw.close()
        self.over.set()
        exchange = poll(lambda: [row for row in [self.serve.exchange("/many", include=["messages"])] if row["state"] != "open"], 20)[0]
        kept = exchange["messages"]["total"]
        self.assertLessEqual(kept, sent)
        if kept < sent:
            self.assertIn("capture_cut", exchange["anomalies"])
        self.assertGreaterEqual(self.serve.call("proxy_list_traffic", url_filter="before", limit=1)["total"], 200)


class Many(Hostile):
    """A rule may hold 8 MiB of each body. All of them together have a bound, too (engine.md 5)."""

    def test_bodies_that_rules_gather_have_one_bound_together(self):
        self.add_rule({"hostname": "localhost", "pathPattern": "^/edited"},
                      {"type": "passthrough", "transformRequest": {"matchReplaceBody": [["never", "there"]]}})
        meter = Meter(self.serve.process.pid)
        clients = []
        for _ in range(24):
            client = self.client()
            self.addCleanup(client.close)
            client.send(b"POST /edited HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (7 << 20))
            clients.append(client)
        piece = bytes(1 << 20)
        for _ in range(6):
            for client in clients:
                with contextlib.suppress(OSError):  # an answer may have come and gone
                    client.sock.settimeout(3 * PATIENCE)
                    client.sock.sendall(piece)
        self.assertLess(meter.grown_mib(), 240 * ROOM)  # 24 times 12 and more without
        self.still_serves()
        for client in clients:
            client.close()
        self.all_gone()
        # And again once they are gone.
        with self.client() as client:
            client.send(b"POST /edited HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntest")
            client.read_answer()
        self.assertNotIn("rule_body_limit", self.serve.exchange("/edited")["anomalies"])


if __name__ == "__main__":
    unittest.main()
