"""What the suites of hostile peers (test_hostile_*.py, docs/security.md) have in common: what the process costs meanwhile, what
was recorded since, and that others are served all the same."""
import contextlib
import os
import time

from harness import E2E, PATIENCE, poll  # first: it knows where the fakes are
from fakes import h2_raw as h2
from fakes.raw import context

# A sanitizer's program needs several times the memory: the bounds are those of the program that ships.
ROOM = 8 if PATIENCE > 1 else 1


class Meter:
    """Of a process: CPU and the highest resident size since it was made."""

    def __init__(self, pid):
        self.pid = pid
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")  # the highest size so far is forgotten (proc(5))
        self.resident, self.started, self.began = self._kib("VmRSS"), self._cpu(), time.monotonic()

    def _kib(self, name):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))

    def _cpu(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def grown_mib(self):
        return (self._kib("VmHWM") - self.resident) / 1024

    def cpu(self):
        return self._cpu() - self.started

    def seconds(self):
        return time.monotonic() - self.began


class Hostile(E2E):
    """Every bound is for what the test does, in the program that ships: MiB of resident memory, seconds of CPU, seconds."""

    def setUp(self):
        super().setUp()
        self.rev = self.serve.call("proxy_list_traffic", limit=1)["lastRev"]
        self.still_serves()  # whatever is born later has a higher number, whatever of the past still ends
        self.first = poll(lambda: self.serve.traffic(url_filter="somebody-else", after_rev=self.rev, offset=-1, limit=1))[0]["seq"]

    @contextlib.contextmanager
    def bounded(self, mib, cpu, seconds):
        """What happens within costs no more, and somebody else is served while it is so and afterwards."""
        meter = Meter(self.serve.process.pid)
        yield meter
        took = meter.seconds()
        self.still_serves()
        grown, used = meter.grown_mib(), meter.cpu()
        if os.environ.get("HOSTILE_COSTS"):  # for whoever sets the bounds
            print(f"{self.id()}: {grown:.1f} MiB, {used:.2f} s CPU, {took:.2f} s", flush=True)
        self.assertLess(grown, mib * ROOM, "MiB")
        self.assertLess(used, cpu * PATIENCE, "seconds of CPU")
        # That it ends at all: the clock says little where others use the processor, too.
        self.assertLess(took, 3 * seconds * PATIENCE, "seconds")

    def still_serves(self):
        with self.serve.tunnel(f"localhost:{self.origin.port}") as client:
            client.send(b"GET /hello?somebody-else HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertEqual(client.read_answer().body, b"hello from the origin\n")

    def seen(self):
        """The requests that reached the origin of the class, but for those of still_serves()."""
        return [request.target for request in self.origin.requests if "somebody-else" not in request.target]

    def records(self):
        """The newest 60 or so that were born since the test began, but for still_serves(). (One answer holds about 39.)"""
        rows = {}
        for offset in (-60, -30):
            page = self.serve.call("proxy_list_traffic", after_rev=self.rev, offset=offset, limit=30)["exchanges"]
            rows.update((row["id"], row) for row in page)
        return [row for row in rows.values() if row["seq"] > self.first and "somebody-else" not in row["url"]]

    def ended(self, condition=lambda row: True, seconds=10, what="an ended record"):
        """The first record since the test began that has ended and for which the condition holds, whole."""
        def found():
            return [row for row in self.records() if row["state"] != "open" and condition(row)]
        row = poll(found, seconds, what)[0]
        return self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["connection"])["exchange"]

    def failed(self, code, message="", seconds=10):
        """The record whose error has that code and says so."""
        def said(row):
            error = row.get("error") or {}
            return error.get("code") == code and message in error["message"]
        return self.ended(said, seconds, f"a record with {code}: {message}")

    def all_gone(self):
        poll(lambda: self.serve.call("proxy_status")["connections"]["open"] == 0, 8, "the end of all connections")
        poll(lambda: not [row for row in self.records() if row["state"] == "open"], 8, "the end of all records")

    def may_be_answered(self):
        """A rule that may answer lets the client choose HTTP/2, whatever the origin speaks (engine.md 2)."""
        self.add_rule({"hostname": "localhost", "urlPattern": "never-asked-for"}, {"type": "mock", "status": 200})

    def h2_client(self, *settings, origin=None):
        """Frames, within TLS to the origin."""
        client = self.serve.client()
        self.addCleanup(client.close)
        self.assertEqual(client.connect_through(f"localhost:{(origin or self.origin).port}").status, 200)
        client.start_tls("localhost", context(self.serve.ca, alpn=["h2"]))
        self.assertEqual(client.sock.selected_alpn_protocol(), "h2")
        return h2.H2Raw(client, *settings)

    def authority(self, origin=None):
        return b"localhost:%d" % (origin or self.origin).port


def flood(client, octets, times):
    """Sends until it is done or cut off; how many times it went."""
    sent = 0
    with contextlib.suppress(OSError):
        for _ in range(times):
            client.sock.sendall(octets)
            sent += 1
    return sent


def end_of(raw, seconds=3):
    """What the server says to the connection: ("goaway", code), ("closed", None), or ("open", None) if it goes on. Writes nothing,
    since a write may have been cut."""
    raw.client.sock.settimeout(seconds * PATIENCE)
    try:
        while True:
            kind, _, _, payload = raw.read_frame()
            if kind == h2.GOAWAY:
                return "goaway", int.from_bytes(payload[4:8], "big")
    except TimeoutError:
        return "open", None
    except (EOFError, OSError):
        return "closed", None
