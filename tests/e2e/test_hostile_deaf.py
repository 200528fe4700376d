"""Peers of WebSockets and of tunnels that are relayed as they are, which never read: each holds little and is ended in time
(test_hostile_slow has those of requests and answers)."""
import threading
import unittest

from harness import PATIENCE  # first: it knows where the fakes are
from fakes.websocket import BINARY, WebSocketClient, WebSocketServer, frame
from hostile import flood
from test_hostile_slow import IDLE, Slow, deaf


class Relays(Slow):
    def test_websockets_that_one_side_never_reads_hold_little_and_are_ended(self):
        """Messages for a client that reads none, and for an origin that reads none."""
        def pour(session):
            while True:
                session.talk.send(frame(BINARY, b"x" * 60_000))

        def deaf_session(_):
            threading.Event().wait(6 * PATIENCE)
        self.origin.routes["/pour"], self.origin.routes["/deaf"] = WebSocketServer(script=pour), WebSocketServer(script=deaf_session)
        for path in ("/pour", "/deaf"):
            with self.subTest(path), self.bounded(mib=32, cpu=2, seconds=IDLE + 6):
                sockets = [WebSocketClient(self.client(), f"localhost:{self.origin.port}", path) for _ in range(10)]
                if path == "/deaf":
                    for socket in sockets:
                        socket.raw.sock.settimeout(0.3)
                        flood(socket.raw, frame(BINARY, b"x" * 60_000, key=b"\1\2\3\4"), 300)
                self.ends(path, 10)
            row = self.ended(lambda row, path=path: path in row["url"])
            self.assertEqual((row["protocol"], row["error"]["code"]), ("websocket", "idle_timeout"))

    def test_tunnels_that_one_side_never_reads_hold_little_and_are_ended(self):
        """What is relayed as it is: the server speaks first, and pours, or reads nothing of what is poured into it."""
        def pour(sock):
            while True:
                sock.sendall(b"x" * 60_000)

        def greet(sock):
            sock.sendall(b"220 hello\r\n")
            deaf(sock)
        for talk in (pour, greet):
            server = self.server(talk)
            with self.subTest(talk.__name__), self.bounded(mib=24, cpu=1, seconds=IDLE + 6):
                clients = [self.plain(server.port) for _ in range(10)]
                if talk is greet:
                    for client in clients:
                        client.read_until(b"\r\n")
                        client.sock.settimeout(0.3)
                        flood(client, b"x" * 60_000, 300)
                self.ends(f":{server.port}", 10)
                for client in clients:
                    client.close()
            self.ended(lambda row, port=server.port: f":{port}" in row["url"] and row["error"]["code"] == "idle_timeout")


if __name__ == "__main__":
    unittest.main()
