"""A port whose connections go to one destination through an HTTP proxy, by CONNECT: for programs that know of no proxy.

    pipe = ConnectPipe(proxy_port, "localhost:443"); … pipe.port …; pipe.close()
"""
import contextlib
import socket
import threading

from fakes.closing import close_listener


class ConnectPipe:
    def __init__(self, proxy_port, authority):
        self.proxy_port, self.authority = proxy_port, authority
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open, self.lock = set(), threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client = self.listener.accept()[0]
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.proxy_port)) as proxy:
            for one in (client, proxy):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open |= {client, proxy}
            with contextlib.suppress(OSError):
                proxy.sendall(f"CONNECT {self.authority} HTTP/1.1\r\nHost: {self.authority}\r\n\r\n".encode())
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    octet = proxy.recv(1)
                    if not octet:
                        return
                    head += octet
                back = threading.Thread(target=self._move, args=(proxy, client), daemon=True)
                back.start()
                self._move(client, proxy)
                back.join()
            with self.lock:
                self.open -= {client, proxy}

    @staticmethod
    def _move(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        close_listener(self.listener)
        with self.lock:
            for one in self.open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
