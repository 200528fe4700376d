"""What slow receivers of HTTP/2 cost: all buffered bytes count against the process's budget (engine.md 4, 5)."""
import socket
import threading

from harness import E2E, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2

STREAMS, CONNECTIONS = 100, 24
WINDOW = 65_535  # of a stream, at first (RFC 9113 §6.9.2)


class DeafOrigin:
    """Takes connections, introduces itself as HTTP/2, and never reads."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(h2.frame(h2.SETTINGS))
            self.taken.append(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for connection in self.taken:
            connection.close()


class Memory(E2E):
    def rss_mib(self):
        with open(f"/proc/{self.serve.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) // 1024

    def upload_to_nobody(self, origin):
        """100 uploads on one connection, each as far as its window goes. Returns the client."""
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"127.0.0.1:{origin.port}").status, 200)
        raw = h2.H2Raw(client)
        at = b"127.0.0.1:%d" % origin.port
        ids = range(1, 2 * STREAMS, 2)
        raw.send(h2.frame(h2.SETTINGS, 1),
                 *(h2.head(i, h2.request(method=b"POST", authority=at, scheme=b"http"), end=False) for i in ids))
        piece = h2_piece = b"x" * 16_384
        reader = threading.Thread(target=self.drain, args=(client,))
        reader.start()
        self.addCleanup(reader.join, 10)
        self.addCleanup(client.reset)
        try:
            for _ in range(2):  # what a stream is given back of its window it fills again
                for i in ids:
                    left = WINDOW
                    while left > 0:
                        piece = h2_piece[:min(left, len(h2_piece))]
                        client.sock.sendall(h2.frame(h2.DATA, 0, i, piece))
                        left -= len(piece)
        except OSError:
            pass  # a connection that Sluice ended is one way to be bounded
        return client

    @staticmethod
    def drain(client):
        try:
            while client.sock.recv(65536):
                pass
        except OSError:
            pass

    def test_uploads_that_no_origin_takes_are_bounded_and_hurt_nobody_else(self):
        origin = DeafOrigin()
        self.addCleanup(origin.close)
        before = self.rss_mib()
        for _ in range(CONNECTIONS):
            self.upload_to_nobody(origin)
        self.assertLess(self.rss_mib() - before, 256, "24 x 100 streams of two windows are 300 MiB")
        self.assertEqual(self.serve.curl("-s", f"https://localhost:{self.origin.port}/hello").returncode, 0)
        found = poll(lambda: [e for e in self.serve.traffic(limit=500)["traffic"]
                              if (e.get("error") or {}).get("code") == "overloaded"], 20, "a record that says why")
        self.assertIn("slow receivers", found[0]["error"]["message"])
