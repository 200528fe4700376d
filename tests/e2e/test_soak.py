"""Long loops for `./dev check`: memory stays flat, nothing leaks, kills are survived. Needs E2E_SOAK=1."""
import os
import pathlib
import random
import unittest

from harness import E2E, Serve, poll


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


@unittest.skipUnless(os.environ.get("E2E_SOAK"), "long loops run by ./dev check")
class Soak(E2E):
    def test_memory_is_flat_and_no_descriptor_leaks(self):
        pid = self.serve.process.pid

        def round_of(count):
            self.serve.curl("--parallel", "--parallel-max", "30", "-o", "/dev/null",
                            self.origin.url(f"/large?size=200000&n=[1-{count}]"), seconds=120)
        round_of(2000)
        before = rss_kib(pid)
        for _ in range(5):
            round_of(2000)
        self.assertLess(rss_kib(pid), before + 30 * 1024)
        self.assertLess(rss_kib(pid), 100 * 1024)
        poll(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 100, 60, "descriptors to be given back")

    def test_kills_in_the_middle_of_traffic_leave_a_home_that_works(self):
        home = self.directory / "kills"
        for _ in range(10):
            with Serve("--upstream-ca", self.fakes.pem, home=home) as serve:
                clients = [serve.tunnel(f"localhost:{self.origin.port}") for _ in range(5)]
                for client in clients:
                    client.send(b"GET /large?size=50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                    for _ in range(random.randrange(20)):
                        client.receive()
                        client.buffer = b""
                serve.process.kill()
                serve.process.wait()
                for client in clients:
                    client.close()
        with Serve("--upstream-ca", self.fakes.pem, home=home) as serve:
            self.assertEqual(serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")
            self.assertEqual(len(list((home / "spool").iterdir())), 1)


if __name__ == "__main__":
    unittest.main()
