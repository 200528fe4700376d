"""What slow receivers of HTTP/2 cost: all buffered bytes count against the process's budget (engine.md 4, 5)."""
import socket
import threading
import time

from harness import E2E, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.closing import close_listener

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
        close_listener(self.listener)
        self.thread.join(5)
        for connection in self.taken:
            connection.close()


class Uploads:
    """One HTTP/2 connection with 100 uploads that send what their windows allow."""

    def __init__(self, client, port):
        self.client = client
        self.window = {i: WINDOW for i in [0, *range(1, 2 * STREAMS, 2)]}  # 0: the connection's
        self.lock = threading.Lock()
        self.raw = h2.H2Raw(client)
        head = h2.request(method=b"POST", authority=b"127.0.0.1:%d" % port, scheme=b"http")
        self.raw.send(h2.frame(h2.SETTINGS, 1), *(h2.head(i, head, end=False) for i in self.window if i))
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        try:
            while True:
                kind, _, stream, payload = self.raw.read_frame()
                with self.lock:
                    if kind == h2.WINDOW_UPDATE and stream in self.window:
                        self.window[stream] += int.from_bytes(payload, "big") & 0x7fffffff
                    elif kind == h2.RST_STREAM:
                        self.window.pop(stream, None)
        except (OSError, EOFError):
            pass

    def send(self):
        """One round; how many octets went."""
        sent = 0
        with self.lock:
            streams = [s for s in self.window if s]
        for stream in streams:
            with self.lock:
                size = min(16_384, self.window.get(stream, 0), self.window[0])
                if size > 0:
                    self.window[stream] -= size
                    self.window[0] -= size
            if size > 0:
                self.client.sock.sendall(h2.frame(h2.DATA, 0, stream, b"x" * size))
                sent += size
        return sent

    def close(self):
        self.client.sock.shutdown(socket.SHUT_RDWR)
        self.reader.join(10)
        self.client.close()


class Memory(E2E):
    def rss_mib(self):
        with open(f"/proc/{self.serve.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) // 1024

    def uploads(self, origin):
        client = self.serve.client()
        self.assertEqual(client.connect_through(f"127.0.0.1:{origin.port}").status, 200)
        uploads = Uploads(client, origin.port)
        self.addCleanup(uploads.close)
        return uploads

    def test_uploads_that_no_origin_takes_are_bounded_and_hurt_nobody_else(self):
        origin = DeafOrigin()
        self.addCleanup(origin.close)
        before = self.rss_mib()
        everybody = [self.uploads(origin) for _ in range(CONNECTIONS)]
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 1:
            if sum(uploads.send() for uploads in everybody) > 0:
                quiet_since = time.monotonic()
        # Two windows of each stream are 300 MiB; the streams themselves take about 100 more.
        self.assertLess(self.rss_mib() - before, 300)
        self.assertEqual(self.serve.curl("-s", f"https://localhost:{self.origin.port}/hello").returncode, 0)
        found = poll(lambda: [e for e in self.serve.traffic(limit=50, state=["failed"])
                              if e["error"]["code"] == "overloaded"], 20, "a record that says why")
        self.assertIn("slow receivers", found[0]["error"]["message"])
