"""Three machines on one: network namespaces for a client, a gateway that forwards for it (Sluice's place), and servers.

    with Net() as net: …net.client, net.gateway, net.server (names), Net.V4, Net.V6 (the servers' addresses)…

Needs root and iproute2; `require()` skips the test where they are missing.
"""
import contextlib
import ctypes
import os
import subprocess
import unittest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def _set(path):
    with open(path) as handle:
        if _libc.setns(handle.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")


@contextlib.contextmanager
def inside(name):
    """Sockets that this thread makes belong to that namespace, and stay in it."""
    with open("/proc/thread-self/ns/net") as back:
        _set(f"/run/netns/{name}")
        try:
            yield
        finally:
            if _libc.setns(back.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns back")


class Net:
    # The client's and the servers' networks; .1 and ::1 are the gateway.
    CLIENT4, CLIENT6, GATEWAY4, GATEWAY6 = "10.77.1.2", "fd77:1::2", "10.77.1.1", "fd77:1::1"
    CLIENT4_OTHER = "10.77.1.3"
    V4, V6 = "10.77.2.2", "fd77:2::2"

    def __init__(self):
        stem = f"sl{os.getpid():x}"
        self.client, self.gateway, self.server = (stem + end for end in ("c", "g", "s"))

    def __enter__(self):
        try:
            for name in (self.client, self.gateway, self.server):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._join(self.client, self.gateway, "1", "cg")
            self._join(self.server, self.gateway, "2", "sg")
            ip("-n", self.client, "addr", "add", f"{self.CLIENT4_OTHER}/24", "dev", "cg0")
            self.run(self.gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        except Exception:
            self.__exit__()
            raise
        return self

    def _join(self, name, gateway, number, link):
        ip("link", "add", f"{link}0", "netns", name, "type", "veth", "peer", "name", f"{link}1", "netns", gateway)
        for where, end, host in ((name, f"{link}0", 2), (gateway, f"{link}1", 1)):
            ip("-n", where, "addr", "add", f"10.77.{number}.{host}/24", "dev", end)
            ip("-n", where, "addr", "add", f"fd77:{number}::{host}/64", "dev", end, "nodad")
            ip("-n", where, "link", "set", end, "up")
        ip("-n", name, "route", "add", "default", "via", f"10.77.{number}.1")
        ip("-n", name, "-6", "route", "add", "default", "via", f"fd77:{number}::1")

    def run(self, name, *command, **kwargs):
        done = subprocess.run([*self.prefix(name), *map(str, command)], capture_output=True, text=True, timeout=60, **kwargs)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    @staticmethod
    def prefix(name):
        return ("ip", "netns", "exec", name)

    def rule(self, *arguments):
        """The same nat rule for both families, on the gateway."""
        for program in ("iptables", "ip6tables"):
            self.run(self.gateway, program, "-w", "-t", "nat", *arguments)

    def __exit__(self, *_):
        for name in (self.client, self.gateway, self.server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def require():
    """Skips the test where namespaces or iptables cannot be had, with the reason."""
    from harness import needs
    needs("ip", "iproute2")
    for program in ("iptables", "ip6tables"):
        needs(program, "iptables")
    if os.geteuid() != 0:
        raise unittest.SkipTest("network namespaces need root")
    try:
        ip("netns", "add", f"slx{os.getpid():x}")
        ip("netns", "del", f"slx{os.getpid():x}")
    except RuntimeError as problem:
        raise unittest.SkipTest(f"no network namespaces here: {problem}") from problem
