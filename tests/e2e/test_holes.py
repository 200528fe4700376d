"""Holes that gates of this kind are known to have had (docs/security.md): H9, H13, H19."""
import json
import os
import pathlib
import re
import threading
import unittest

from gateway_http_client import Client, HttpGateway
from harness import ROOT, SLUICE, needs, poll, run  # first: it says where the fakes are
from test_gateway import ALLOW, GatewayCase
from fakes.http_mcp_server import HttpMcpServer

DENY = {"version": "1", "default": "allow", "tools": {"echo": {"deny_if": [{"conditions": [], "on_deny": "not this one"}]}}}
PATIENT = 5  # seconds; a client that is answered elsewhere waits for ever


class Denials(GatewayCase):
    def listening(self, upstream):
        gateway = HttpGateway(self.home, self.write(DENY), upstream=upstream.url)
        self.addCleanup(gateway.stop)
        return gateway

    def test_h9_a_denial_comes_where_the_client_waits_for_its_answer(self):
        """On the POST that asked, over JSON or as an event, and nowhere on the stream that is open beside it; whatever the
        server behind speaks, HTTP+SSE too."""
        for mode in ("", "json", "sse", "legacy"):
            with self.subTest(mode=mode), HttpMcpServer(mode) as upstream:
                gateway = self.listening(upstream)
                client = Client(gateway)
                client.initialize()
                stream, elsewhere = client.send("GET", headers={"Accept": "text/event-stream"}), []
                self.assertEqual(stream.status, 200)
                reader = threading.Thread(target=lambda: elsewhere.extend(stream.messages()), daemon=True)
                reader.start()
                answers = []
                asked = threading.Thread(target=lambda: answers.append(client.begin("tools/call", {"name": "echo"}, number="denied").json()), daemon=True)
                asked.start()
                asked.join(PATIENT)
                self.assertEqual(len(answers), 1, "the client waits")
                self.assertEqual(answers[0]["id"], "denied")
                self.assertEqual(answers[0]["result"]["content"][0]["text"], "[POLICY DENIED] not this one")
                self.assertEqual(client.ask("ping")["result"], {}, "and the session goes on")
                self.assertEqual([m for m in elsewhere if m.get("id") == "denied"], [])
                self.assertNotIn("tools/call", [r["message"].get("method") for r in upstream.requests])
                modern = client.modern("tools/call", name="echo", arguments={}) if mode == "" else None
                if modern:
                    self.assertIn("[POLICY DENIED]", json.dumps(modern.json()))
                gateway.stop()

    def test_h9_a_denial_is_there_for_a_client_whose_stream_was_cut(self):
        """It lost its connection while it waited: what it missed comes by Last-Event-ID, and it does not wait for ever."""
        with HttpMcpServer() as upstream:
            gateway = self.listening(upstream)
            client = Client(gateway)
            client.initialize()
            answer = client.begin("tools/call", {"name": "echo"}, number="cut")
            if not answer.streams:
                self.assertEqual(answer.json()["id"], "cut", "whole, in one piece")
                return
            first = next(answer.events())[0]
            answer.close()
            again = client.send("GET", headers={"Accept": "text/event-stream", "Last-Event-ID": first})
            found = []
            reader = threading.Thread(target=lambda: found.append(next(m for m in again.messages() if m.get("id") == "cut")), daemon=True)
            reader.start()
            reader.join(PATIENT)
            self.assertIn("[POLICY DENIED]", json.dumps(found), "it is nowhere")


class Sessions(GatewayCase):
    def test_h13_a_session_leaves_nothing_behind_where_the_server_has_no_stream(self):
        """A server that answers GET with 405: more sessions than there is room for at once come and go, and with each one what was
        kept for it, here and there."""
        with HttpMcpServer("json") as upstream:
            gateway = HttpGateway(self.home, self.write(ALLOW), upstream=upstream.url)
            self.addCleanup(gateway.stop)
            descriptors = pathlib.Path(f"/proc/{gateway.process.pid}/fd")
            kept = []
            for number in range(150):  # of which 64 may be there at once
                client = Client(gateway)
                client.initialize()
                self.assertIsNotNone(client.session, number)
                self.assertEqual(client.ask("ping")["result"], {})
                self.assertEqual(client.send("DELETE").status // 100, 2)
                self.assertEqual(client.begin("ping").status, 404, "it is gone")
                if number in (40, 149):
                    kept.append(len(list(descriptors.iterdir())))
            self.assertIn("GET", [r["method"] for r in upstream.requests], "the stream was asked for, and is not there")
            self.assertLess(kept[1], kept[0] + 10, "nothing stays open")
            poll(lambda: [r["method"] for r in upstream.requests].count("DELETE") == 150, 10, "the end of each at the server")


class Installing(unittest.TestCase):
    """There is no installer: Sluice is built from its sources, and what is built fetches no code."""

    def test_h19_nothing_that_is_shipped_downloads_a_program(self):
        fetch = re.compile(r"\b(curl|wget|aria2c)\b[^\n|]*\bhttps?://|\|\s*(sudo\s+)?(ba|z)?sh\b|\bFetchContent_|\bExternalProject_Add|file\(DOWNLOAD|"
                           r"urlretrieve|requests\.get|urlopen\(|\bnpx\b|\"(pre|post)?install\"\s*:")
        looked_at = 0
        for path in [ROOT / "dev", ROOT / "CMakeLists.txt", ROOT / "CMakePresets.json", *(ROOT / "cmake").rglob("*"), *(ROOT / "src").rglob("*")]:
            if not path.is_file() or path.name.endswith(("_test.cc", "_fuzz.cc", "_bench.cc", ".md")):
                continue
            looked_at += 1
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if "https://example.com/" in line:
                    continue  # what `./dev run` prints for people to try
                self.assertIsNone(fetch.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
        self.assertGreater(looked_at, 300)
        manifests = [p for p in ROOT.rglob("package.json") if not {"node_modules", "build"} & set(p.relative_to(ROOT).parts)]
        for manifest in manifests:
            self.assertIn("tests", manifest.parts, "npm is for tests alone")
            self.assertNotIn("scripts", json.loads(manifest.read_text()))

    def test_h19_what_the_tests_take_from_npm_has_a_checksum_each(self):
        locks = [p for p in ROOT.rglob("package-lock.json") if not {"node_modules", "build"} & set(p.relative_to(ROOT).parts)]
        self.assertTrue(locks)
        for lock in locks:
            for name, package in json.loads(lock.read_text())["packages"].items():
                if name and not package.get("link"):
                    self.assertRegex(package.get("integrity", ""), r"^sha512-", f"{lock}: {name}")

    def test_h19_the_program_executes_nothing_that_it_was_sent(self):
        """The calls that start a program stand in two files, one for the servers that the command line or a configuration names,
        one for Sluice's own helpers: no answer of a peer leads there."""
        starts = re.compile(r"\b(::)?(execv[pe]*|execl[pe]*|fexecve|posix_spawnp?|popen|system|dlopen|dlsym)\s*\(")
        found = set()
        for path in (ROOT / "src").rglob("*.cc"):
            if path.name.endswith(("_test.cc", "_fuzz.cc", "_bench.cc")):
                continue
            code = re.sub(r"//[^\n]*", "", path.read_text(errors="replace"))
            if starts.search(re.sub(r'"(\\.|[^"\\])*"', '""', code)):
                found.add(str(path.relative_to(ROOT / "src")))
        self.assertEqual(found, EXPECTED_STARTERS)
        if os.access(SLUICE, os.X_OK):
            linked = run(needs("objdump", "binutils"), "-p", SLUICE).stdout
            for library in re.findall(r"NEEDED\s+(\S+)", linked):
                self.assertNotRegex(library, "curl|wget|archive|python|perl")


EXPECTED_STARTERS = {"net/server_process.cc", "net/child.cc"}
