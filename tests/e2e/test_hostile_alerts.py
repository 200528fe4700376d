"""Alerts at every step of a connection, from either side and under the keys of that step (test_hostile_tls has those of before there are
keys): each ends what it is said to, is recorded, and leaves nothing open."""
import contextlib
import socket
import unittest

from harness import poll  # first: it knows where the fakes are
from fakes import gnutls
from fakes.listen import Talker
from hostile import Hostile

CLOSE, WARNING = 0, 1
ALERTS = (CLOSE, 10, 40, 46, 80, 90)  # close_notify, unexpected_message, handshake_failure, certificate_unknown, internal_error, user_canceled
STEPS = {"1.2": 8, "1.3": 7}  # messages of a handshake at the least
REQUEST = b"GET /hello?alert HTTP/1.1\r\nHost: localhost\r\n\r\n"


def left(sock):
    """An end behind it, without which user_canceled says little (RFC 8446 §6.1), and whatever the other side still says."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(10)
        while sock.recv(65536):
            pass


class Alerts(Hostile):
    def setUp(self):
        super().setUp()
        if not gnutls.library():
            self.skipTest("libgnutls is not installed (gnutls-bin)")

    def told(self, since):
        """Those that were recorded beyond so many, but for the requests of others."""
        return self.serve.call("proxy_status")["capture"]["exchanges"] - since


class Clients(Alerts):
    def peer(self, version):
        client = self.serve.client()
        self.assertEqual(client.connect_through(f"localhost:{self.origin.port}").status, 200)
        return gnutls.Peer(client.sock, version, name="localhost")

    def steps(self, version):
        """How many messages a whole handshake has."""
        with self.peer(version) as peer:
            peer.break_off_at(1000, 0)
            self.assertTrue(peer.shake_hands())
            peer.alert(CLOSE, WARNING)
            return peer.steps

    def test_alerts_at_every_message_of_a_handshake_end_the_connection(self):
        for version, least in STEPS.items():
            count = self.steps(version)
            self.assertGreaterEqual(count, least)
            with self.subTest(version), self.bounded(mib=16, cpu=2, seconds=6):
                self.all_gone()
                before = self.serve.call("proxy_status")["capture"]["exchanges"]
                for step in range(count):
                    for alert in ALERTS:
                        with self.peer(version) as peer:
                            peer.break_off_at(step, alert)
                            self.assertFalse(peer.shake_hands(), (step, alert))
                            left(peer.sock)
                self.all_gone()
                # Behind the last message the handshake is over for Sluice, too: nothing was asked, and nothing is recorded.
                poll(lambda: self.told(before) >= (count - 2) * len(ALERTS), what="a record of each")
            self.failed("client_tls", "alert internal_error")

    def test_alerts_behind_the_handshake_end_the_connection(self):
        for version in STEPS:
            for alert in ALERTS:
                with self.subTest(version=version, alert=alert), self.bounded(mib=16, cpu=1, seconds=4):
                    for said in (b"", REQUEST[:20], REQUEST, REQUEST + REQUEST[:20]):
                        with self.peer(version) as peer:
                            self.assertTrue(peer.shake_hands())
                            if said:
                                peer.send(said)
                            peer.alert(alert, WARNING if alert in (CLOSE, 90) else gnutls.FATAL)
                            peer.sock.shutdown(socket.SHUT_WR)
                            peer.read_rest()
                    self.all_gone()
        rows = [row for row in self.records() if "?alert" in row["url"]]
        self.assertTrue(rows)
        self.assertFalse([row for row in rows if row["state"] == "open"])


class Origins(Alerts):
    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"

    def server(self, version, talk):
        """`talk(peer)` for each connection."""
        certificate = self.fakes.leaf("localhost")

        def serve(sock):
            with gnutls.Peer(sock, version, certificate=certificate) as peer:
                talk(peer)
        server = Talker(serve)
        self.addCleanup(server.close)
        return server

    def ask(self, server):
        with self.serve.tunnel(f"localhost:{server.port}") as client:
            client.send(b"GET /alert HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return client.read_rest()[0]

    def test_alerts_at_every_message_of_a_handshake_give_a_502(self):
        for version, least in STEPS.items():
            counts = []

            def count(peer, counts=counts):
                peer.break_off_at(1000, 0)
                if peer.shake_hands():
                    counts.append(peer.steps)
                    peer.receive()
                    peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.assertIn(b" 204 ", self.ask(self.server(version, count)))
            self.assertGreaterEqual(counts[-1], least)
            with self.subTest(version), self.bounded(mib=16, cpu=2, seconds=8):
                for step in range(counts[-1]):
                    for alert in ALERTS:
                        def talk(peer, step=step, alert=alert):
                            peer.break_off_at(step, alert)
                            peer.shake_hands()
                        server = self.server(version, talk)
                        self.assertTrue(self.ask(server).startswith(b"HTTP/1.1 502 "), (step, alert))
                        server.close()
                self.all_gone()
            self.failed("upstream_tls")

    def test_alerts_behind_the_handshake_are_no_answer_and_no_end_of_one(self):
        for version in STEPS:
            for said in (b"", b"HTTP/1.1 200", self.ANSWER, self.ANSWER + b"some"):
                with self.subTest(version=version, said=said), self.bounded(mib=16, cpu=1, seconds=4):
                    for alert in ALERTS:
                        def talk(peer, said=said, alert=alert):
                            if peer.shake_hands() and peer.receive():
                                if said:
                                    peer.send(said)
                                peer.alert(alert, WARNING if alert in (CLOSE, 90) else gnutls.FATAL)
                                left(peer.sock)
                        server = self.server(version, talk)
                        answer = self.ask(server)
                        server.close()
                        if said.startswith(self.ANSWER):
                            self.assertFalse(answer.endswith(b"x" * 20))
                        else:
                            self.assertTrue(answer.startswith(b"HTTP/1.1 502 "), (alert, answer))
                    self.all_gone()
        rows = [row for row in self.records() if "/alert" in row["url"]]
        self.assertGreater(len(rows), 20)
        self.assertEqual([row for row in rows if row["state"] in ("open", "done")], [])


if __name__ == "__main__":
    unittest.main()
