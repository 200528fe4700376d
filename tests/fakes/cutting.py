"""A wire that slices at offsets of chance and is cut at a given octet. In place of a listener's port:

    wire = CuttingWire("127.0.0.1", port, random.Random(7))
    wire.cut("forth", 1200, "reset"); … wire.port …        # the next connection only; those after it are whole
    wire.carried                                             # {"forth": octets, "back": octets} of the newest connection
"""
import socket
import threading

from fakes.seams import Seam, linger

DIRECTIONS = ("forth", "back")  # to the server, and from it
HOWS = ("fin", "reset")


class CuttingWire(Seam):
    def __init__(self, host, port, chance):
        self.chance, self.plan, self.carried = chance, None, {}
        super().__init__(host, port)

    def cut(self, direction, at, how):
        self.plan = (direction, at, how)

    def _carry(self, near):
        plan, self.plan = self.plan, None
        carried = self.carried = dict.fromkeys(DIRECTIONS, 0)
        try:
            far = socket.create_connection(self.address)
        except OSError:
            near.close()
            return
        with near, far:
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open |= {near, far}
            back = threading.Thread(target=self._pass, args=(far, near, "back", plan, carried), daemon=True)
            back.start()
            self._pass(near, far, "forth", plan, carried)
            back.join()
            with self.lock:
                self.open -= {near, far}

    def _pass(self, source, sink, direction, plan, carried):
        left = plan[1] if plan and plan[0] == direction else None
        try:
            while left != 0:
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                data = data[:left]
                at = 0
                while at < len(data):
                    size = self.chance.choice((1, 2, 7, 300, 1500, 70_000))
                    sink.sendall(data[at:at + size])
                    at += size
                carried[direction] += len(data)
                left = None if left is None else left - len(data)
        except OSError:
            plan = (direction, 0, "reset")  # whoever is left learns of it in the same way
        # Both ends learn of it, and the thread of the other direction, too.
        for one in (source, sink):
            if plan[2] == "reset":
                linger(one)
            try:
                one.shutdown(socket.SHUT_RDWR if plan[2] == "fin" else socket.SHUT_RD)
            except OSError:
                pass
