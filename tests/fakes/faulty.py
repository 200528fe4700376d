"""Orders for a process whose system calls on TCP sockets are to fail (faulty_sockets.cc).

    faults = Faults(directory)                 # builds it; what to start the process with is faults.environment
    faults.fail("send", 3, errno.EPIPE)        # its fourth send() from now, once
    faults.disturb(30)                         # of a hundred calls are interrupted, or write less than they were given
    faults.rest(); faults.fired; faults.calls("send")
"""
import mmap
import pathlib
import shutil
import struct
import subprocess

KINDS = ("recv", "send", "connect", "socket", "accept")
NOBODY = len(KINDS)
COMPILERS = ("clang++-16", "clang++", "g++-13", "g++", "c++")


class Faults:
    def __init__(self, directory):
        """None of it where there is no compiler: `environment` is None."""
        compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
        self.environment, self.page = None, None
        if not compiler:
            return
        library, orders = directory / "faulty_sockets.so", directory / "faulty_sockets"
        subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", "-o", library,
                        pathlib.Path(__file__).with_name("faulty_sockets.cc"), "-ldl"], check=True, timeout=120)
        orders.write_bytes(struct.pack("<i", NOBODY).ljust(4096, b"\0"))
        with open(orders, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4096)
        self.environment = {"LD_PRELOAD": str(library), "FAULTY_SOCKETS": str(orders)}

    def _set(self, at, value):
        self.page[4 * at:4 * at + 4] = struct.pack("<i", value)

    def _get(self, at):
        return struct.unpack("<i", self.page[4 * at:4 * at + 4])[0]

    def fail(self, kind, countdown, number):
        for at, value in ((1, countdown), (2, number), (3, 0), (0, KINDS.index(kind))):
            self._set(at, value)

    def disturb(self, of_a_hundred):
        self._set(6, 0)
        self._set(4, of_a_hundred)
        self._set(5, of_a_hundred)

    def rest(self):
        self._set(0, NOBODY)
        self._set(4, 0)
        self._set(5, 0)

    @property
    def fired(self):
        return self._get(3)

    @property
    def disturbed(self):
        return self._get(6)

    def calls(self, kind):
        return self._get(7 + KINDS.index(kind))
