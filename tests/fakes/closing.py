"""How a listener ends on which a thread waits."""
import contextlib
import socket


def close_listener(listener):
    """accept() returns. Closed alone, it goes on waiting under a number that the next listener gets, and when the kernel
    takes the call up again, it takes a connection of that one: whoever came was then answered by a fake long gone."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
