"""A listener of the fakes. "localhost" is both loopback addresses, and Sluice tries both: on the other one nobody else may
listen on this port, or a test that runs at the same time is reached by mistake."""
import errno
import socket


def listen(host="127.0.0.1", port=0):
    """(listener, what keeps others from the same port of ::1, or None). Both are to be closed."""
    while True:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        if host != "127.0.0.1" or port:
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
