"""A wire that slices and delays: what is said is the same, but nearly every read ends within something. E2E_SEAMS=1 (run.py --seams) puts
one before the proxy and one before each origin of this folder.

    seam = Seam("127.0.0.1", port); … seam.port …; seam.close()
"""
import contextlib
import itertools
import os
import socket
import struct
import threading
import time

from fakes.closing import close_listener

ON = os.environ.get("E2E_SEAMS") == "1"
SMALL = (1, 2, 3, 5, 1, 7, 11, 1, 4, 17)  # octets at a time, of what a direction says first …
FIRST = 3_000
LARGE = (1_000, 4_093, 1, 16_381, 9, 30_011)  # … and later: heads are cut everywhere, large bodies do not take all day
PAUSE = 0.001  # seconds, now and then


class Seam:
    def __init__(self, host, port, listener=None):
        self.address = (host, port)
        self.listener = listener or socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.open, self.lock = set(), threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near = self.listener.accept()[0]
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        try:
            far = socket.create_connection(self.address)
        except OSError:
            return reset(near)
        with near, far:
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open |= {near, far}
            broken = threading.Event()
            back = threading.Thread(target=self._move, args=(far, near, broken), daemon=True)
            back.start()
            self._move(near, far, broken)
            back.join()
            with self.lock:
                self.open -= {near, far}

    @staticmethod
    def _move(source, sink, broken):
        said, sizes = 0, itertools.cycle(SMALL)
        try:
            while data := source.recv(65536):
                at = 0
                while at < len(data):
                    if said >= FIRST:
                        said, sizes = -(1 << 62), itertools.cycle(LARGE)
                    size = next(sizes)
                    sink.sendall(data[at:at + size])
                    at, said = at + size, said + size
                    if said % 16 == 0:
                        time.sleep(PAUSE)
            if not broken.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset on one side is one on the other: closed with linger, unread, and without an end before it.
            broken.set()
            for one in (source, sink):
                linger(one)
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RD)

    def close(self):
        close_listener(self.listener)
        with self.lock:
            for one in self.open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def linger(sock):
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset(sock):
    linger(sock)
    sock.close()


class SeamedListener:
    """In place of a listener: accept() gives what came through a seam, and its name is the seam's."""

    def __init__(self, listener):
        host = listener.getsockname()[0]
        self.inner = socket.create_server((host, 0), family=listener.family)
        self.seam = Seam(host, self.inner.getsockname()[1], listener)
        self.getsockname = listener.getsockname

    def accept(self):
        return self.inner.accept()

    def shutdown(self, how):
        self.inner.shutdown(how)

    def close(self):
        close_listener(self.inner)
        self.seam.close()
