"""A listener of the fakes. "localhost" is both loopback addresses, and Sluice tries both: on the other one nobody else may
listen on this port, or a test that runs at the same time is reached by mistake."""
import contextlib
import errno
import socket
import threading

from fakes import seams
from fakes.closing import close_listener


def listen(host="127.0.0.1", port=0):
    """(listener, what keeps others from the same port of ::1, or None). Both are to be closed."""
    listener, guard = _listen(host, port)
    return (seams.SeamedListener(listener) if seams.ON else listener), guard


def _listen(host, port):
    while True:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        if host not in ("127.0.0.1", "0.0.0.0") or port:
            return listener, None
        try:
            guard = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        except OSError:
            return listener, None  # no IPv6 here
        try:
            guard.bind(("::1", listener.getsockname()[1]))  # without listen(): who tries is refused
            return listener, guard
        except OSError as error:
            guard.close()
            if error.errno != errno.EADDRINUSE:
                return listener, None
            listener.close()


class Talker:
    """A server of octets: `talk(socket)` for each connection, on a thread of its own; its socket is closed after. With
    a `context` what it talks is within TLS."""

    def __init__(self, talk, seconds=60, host="127.0.0.1", context=None):
        self.listener, self.guard = listen(host)
        self.port = self.listener.getsockname()[1]
        self.talk, self.seconds, self.context, self.open = talk, seconds, context, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(self.seconds)
            if self.context:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock = self.context.wrap_socket(sock, server_side=True)
                self.open.append(sock)
            self.talk(sock)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        close_listener(self.listener)
        for sock in self.open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # who waits for it wakes
            sock.close()
        if self.guard:
            self.guard.close()
