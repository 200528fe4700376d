"""Recordings as files of other programs: proxy_export_har, `sluice sessions export`, and back again."""
import base64
import json
import os
import pathlib
import resource
import shutil
import stat
import tempfile
import unittest

import har_check
from harness import E2E, PATIENCE, ROOT, Serve, ToolError, poll, sluice
from fakes.websocket import BINARY, CLOSE, PING, TEXT, WebSocketClient, WebSocketServer, close_body

VECTORS = pathlib.Path(ROOT) / "tests/vectors"
SECRET = "s3cr3t-of-the-test-0123456789"


class Files(E2E):
    more_flags = ()

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="sluice-files.")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.flags = ("--allow-root", cls.shared, *cls.more_flags)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.room = pathlib.Path(tempfile.mkdtemp(dir=self.shared))

    def another(self, *flags, **more):
        serve = Serve("--quiet", "--upstream-ca", self.fakes.pem, "--allow-root", self.shared, *flags, **more)
        self.addCleanup(serve.stop)
        return serve

    def get(self, path, *more, serve=None):
        done = (serve or self.serve).curl(self.origin.url(path), *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def record(self, *requests, serve=None, profile="full"):
        """A recording of (path, curl's arguments …)."""
        serve = serve or self.serve
        session = serve.call("proxy_session_start", capture_profile=profile)["session"]["id"]
        for request in requests:
            if callable(request):
                request()
            else:
                path, *more = [request] if isinstance(request, str) else request
                self.get(path, *more, serve=serve)
        poll(lambda: serve.call("proxy_query_session", session_id=session)["total"] >= len(requests), 10, "the exchanges")
        serve.call("proxy_session_stop")
        return session

    def talk(self, path="/socket"):
        self.origin.routes[path] = WebSocketServer()
        self.addCleanup(self.origin.routes.pop, path, None)
        socket = WebSocketClient(self.client(), f"localhost:{self.origin.port}", path)
        for opcode, payload in ((TEXT, "grüße".encode()), (BINARY, bytes(range(256)))):
            socket.send(opcode, payload)
            socket.read()
        socket.send(PING, b"\x00\xff!")
        socket.send(CLOSE, close_body(1000, "done"))
        while socket.read().opcode != CLOSE:
            pass
        socket.raw.close()

    def everything(self):
        octets = self.room / "octets"
        octets.write_bytes(bytes(range(256)) * 5)
        return self.record(("/echo?q=a%20b&token=" + SECRET, "--data-binary", "name=grün", "-H", "Cookie: a=1; b=two",
                            "-H", f"Authorization: Bearer {SECRET}"),
                           ("/echo", "--data-binary", f"@{octets}", "-H", "Content-Type: application/octet-stream"),
                           "/gzip", "/odd", "/hello?x=%00%ff", self.talk)

    def export(self, session, name="out.har", serve=None, **arguments):
        path = self.room / name
        answer = (serve or self.serve).call("proxy_export_har", session_id=session, output_file=str(path), **arguments)
        self.assertEqual(answer["outputFile"], str(path.resolve()))
        return answer, path

    def entries(self, path):
        har = json.loads(path.read_text())
        self.assertEqual(har_check.problems(har), [])
        return har["log"]["entries"]

    def left_in(self, directory=None):
        return sorted(path.name for path in pathlib.Path(directory or self.room).iterdir() if "har" in path.name or "part" in path.name)


class Export(Files):
    def test_a_recording_is_a_whole_har_file(self):
        session = self.everything()
        answer, path = self.export(session, show_secrets=True)
        self.assertEqual((answer["entries"], answer["bytes"], answer["redact"]), (6, path.stat().st_size, False))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        echo, octets, coded, odd, nul, socket = self.entries(path)
        self.assertEqual(echo["request"]["postData"]["text"], "name=grün")
        self.assertIn({"name": "q", "value": "a b"}, echo["request"]["queryString"])
        self.assertIn(SECRET, json.dumps(echo))
        self.assertEqual(base64.b64decode(octets["response"]["content"]["text"]), bytes(range(256)) * 5)
        self.assertEqual(octets["request"]["postData"]["_encoding"], "base64")
        self.assertEqual(coded["response"]["content"]["text"], "gzip says hello\n" * 3)
        self.assertEqual(len(odd["response"]["cookies"]), 2)
        self.assertRegex(echo["_clientTls"]["ja4"], r"^t13")
        self.assertGreater(echo["timings"]["wait"], 0)
        messages = [(m["type"], m["opcode"], m["data"]) for m in socket["_webSocketMessages"]]
        self.assertIn(("send", 1, "grüße"), messages)
        self.assertIn(("receive", 2, base64.b64encode(bytes(range(256))).decode()), messages)
        self.assertEqual(messages[-1][1], 8)
        self.assertEqual(socket["_webSocketMessages"][-1]["_closeCode"], 1000)

    def test_secrets_are_masked_unless_the_caller_sees_them(self):
        session = self.record(("/echo?token=" + SECRET, "-H", f"Authorization: Bearer {SECRET}", "--json", json.dumps({"password": SECRET})))
        answer, path = self.export(session, "masked.har")
        self.assertTrue(answer["redact"])
        self.assertIn("masked", answer["note"])
        self.assertNotIn(SECRET, path.read_text())
        self.assertIn("[redacted:", path.read_text())
        answer, path = self.export(session, "asked.har", show_secrets=True, redact=True)
        self.assertTrue(answer["redact"])
        self.assertNotIn(SECRET, path.read_text())
        with self.assertRaisesRegex(ToolError, "show_secrets"):
            self.export(session, "clear.har", redact=False)
        self.assertEqual(self.left_in(), ["asked.har", "masked.har"])

    def test_filters_choose_and_sort_orders(self):
        session = self.record("/hello?1", "/gzip", "/hello?2")
        for arguments, paths in (({"url_contains": "hello"}, ["/hello?1", "/hello?2"]), ({"filter": "~b 'gzip says'"}, ["/gzip"]),
                                 ({"status_code": 404}, []), ({"sort": "desc"}, ["/hello?2", "/gzip", "/hello?1"]),
                                 ({"method": "post"}, []), ({"to_ts": 1}, []), ({"hostname_contains": "LOCAL", "text": "?2"}, ["/hello?2"])):
            with self.subTest(arguments):
                answer, path = self.export(session, show_secrets=True, **arguments)
                self.assertEqual(["/" + one["request"]["url"].split("/", 3)[3] for one in self.entries(path)], paths)
                self.assertEqual(answer["entries"], len(paths))
                path.unlink()
        with self.assertRaisesRegex(ToolError, "column|~"):
            self.export(session, filter="~zzz x")

    def test_without_bodies_their_sizes_are_there(self):
        session = self.record(("/echo", "-d", "a question"), self.talk)
        _, path = self.export(session, include_bodies=False)
        text = path.read_text()
        self.assertNotIn("a question", text)
        self.assertNotIn("_webSocketMessages", text)
        self.assertEqual(json.loads(text)["log"]["entries"][0]["response"]["bodySize"], len("a question"))

    def test_without_a_name_it_lies_in_the_session(self):
        session = self.record("/hello")
        answer = self.serve.call("proxy_export_har", session_id=session)
        self.assertEqual(pathlib.Path(answer["outputFile"]).parent, pathlib.Path(self.serve.home).resolve() / "sessions" / session / "har")
        self.assertEqual(len(self.entries(pathlib.Path(answer["outputFile"]))), 1)
        self.assertEqual(sluice("sessions", "verify", session, home=self.serve.home, check=None).returncode, 0)

    def test_nothing_is_written_beyond_the_allowed_roots_nor_over_what_is_there(self):
        session = self.record("/hello")
        serve = self.another(home=self.serve.home)
        outside = self.room.parent.parent / f"outside-{os.getpid()}.har"
        link = self.room / "link"
        link.symlink_to(outside.parent)
        there = self.room / "there.har"
        there.write_text("mine")
        dangling = self.room / "dangling.har"
        dangling.symlink_to(outside)
        for bad in (str(outside), f"{self.room}/../../{outside.name}", f"{link}/{outside.name}", str(there), str(self.room), "",
                    f"{serve.home}/ca/new.har", f"{serve.home}/config.yaml", str(dangling), f"{self.room}/no/such/folder.har", "/proc/self/x", "a\0b"):
            with self.subTest(bad), self.assertRaises(ToolError):
                serve.call("proxy_export_har", session_id=session, output_file=bad)
        self.assertEqual(there.read_text(), "mine")
        self.assertFalse(outside.exists())
        self.assertEqual(self.left_in(), ["dangling.har", "there.har"])
        with self.assertRaises(ToolError):
            serve.call("proxy_export_har", session_id="../../x")

    def test_a_full_disk_is_an_error_that_leaves_nothing(self):
        serve = self.another()
        session = self.record(*[f"/large?size=50000&{number}" for number in range(3)], serve=serve)
        resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
        with self.assertRaises(ToolError):
            self.export(session, serve=serve)
        self.assertEqual(self.left_in(), [])
        resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertEqual(self.export(session, serve=serve)[0]["entries"], 3)

    def test_the_command_writes_files_and_pipes(self):
        session = self.record("/hello?one", "/gzip")
        path = self.room / "command.har"
        self.assertEqual(sluice("sessions", "export", session, path, home=self.serve.home).stderr, "")
        self.assertEqual(len(self.entries(path)), 2)
        again = sluice("sessions", "export", session, path, home=self.serve.home, check=None)
        self.assertEqual(again.returncode, 1)
        self.assertIn("there already", again.stderr)
        lines = sluice("sessions", "export", session, "-", "--format", "jsonl", "--filter", "~u one", home=self.serve.home).stdout.splitlines()
        self.assertEqual([json.loads(line)["response"]["content"]["text"] for line in lines], ["hello from the origin\n"])
        self.assertIn("curl", sluice("sessions", "export", session, "--format", "curl", home=self.serve.home).stdout)
        one = self.serve.call("proxy_query_session", session_id=session, url_contains="/gzip")["items"][0]["exchangeId"]
        lines = sluice("sessions", "export", session, "-", "--format", "jsonl", "--id", one, home=self.serve.home).stdout.splitlines()
        self.assertEqual([json.loads(line)["request"]["url"] for line in lines], [self.origin.url("/gzip")])
        self.assertEqual(sluice("sessions", "export", session, "-", "--id", "none", home=self.serve.home, check=None).returncode, 1)
        for bad in (["20260101000000_00000000", "-"], ["../x", "-"], [session, "/no/such/folder/x.har"], []):
            self.assertNotEqual(sluice("sessions", "export", *bad, home=self.serve.home, check=None).returncode, 0)

    def test_the_commands_are_in_the_audit_log(self):
        """gate.md 2: as the tools that do the same, called by `owner`, with and without a serve."""
        session = self.record("/hello")
        path = self.directory / "audited.har"

        def lines(kind):
            return [line for file in (self.serve.home / "audit").glob("*.jsonl") for line in map(json.loads, file.read_text().splitlines())
                    if line["type"] == kind]

        before = {line["id"] for line in lines("decision")}
        for arguments, code in ((("list",), 0), (("show", session), 0), (("export", session, path), 0), (("verify", session), 0),
                                (("show", "1970-01-01_00-00-00_00000000"), 1)):
            sluice("sessions", *arguments, home=self.serve.home, check=code)
        decided = {line["id"]: line for line in lines("decision") if line["id"] not in before and line["grant"] == "owner"}
        ended = {line["id"]: line["status"] for line in lines("outcome")}
        self.assertEqual(sorted((line["tool"], tuple(line["arguments"]), ended[key]) for key, line in decided.items()),
                         [("proxy_export_har", ("output_file", "redact", "session_id"), "ok"), ("proxy_get_session", ("session_id",), "error"),
                          ("proxy_get_session", ("session_id",), "ok"), ("proxy_list_sessions", (), "ok"),
                          ("proxy_session_verify_integrity", ("session_id",), "ok")])
        self.assertEqual(sluice("audit", "verify", home=self.serve.home).returncode, 0)

    def test_without_a_log_nothing_is_done(self):
        session = self.record("/hello")
        home = self.directory / "without-a-log"
        shutil.copytree(self.serve.home, home, ignore=shutil.ignore_patterns("run", "spool", "audit*"))
        home.chmod(0o700)
        path = self.directory / "unlogged.har"
        sluice("sessions", "verify", session, home=home, check=0)
        (home / "audit.key").write_text("this is none")
        done = sluice("sessions", "export", session, path, home=home)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("No log, no call", done.stderr)
        self.assertFalse(path.exists())

    def test_the_one_that_is_being_made_can_be_exported(self):
        session = self.serve.call("proxy_session_start")["session"]["id"]
        self.addCleanup(self.serve.call, "proxy_session_stop")
        self.get("/hello")
        self.assertEqual(self.export(session)[0]["entries"], 1)

    def test_large_bodies_go_out_whole_and_memory_stays_flat(self):
        serve = self.another()
        size = 48 << 20
        # As fast as any disk takes it in: what comes faster is cut, and counted.
        session = self.record((f"/large?size={size}", "--limit-rate", "40M"), serve=serve)
        # What searches are helped by is made behind it, and takes memory of its own.
        poll(lambda: list((serve.home / "sessions" / session / "text").glob("*")), 20, "the filters of its texts")
        self.export(session, "first.har", serve=serve, show_secrets=True, url_contains="nothing")

        def resident():
            status = pathlib.Path(f"/proc/{serve.process.pid}/status").read_text()
            return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        before = resident()
        _, path = self.export(session, "large.har", serve=serve, show_secrets=True)
        self.assertLess(resident() - before, 24 << 20)
        [entry] = self.entries(path)
        self.assertEqual(entry["response"]["content"]["size"], size)


def comparable(entries):
    """Without what belongs to one recording, and without the sizes of bodies that were compressed again."""
    entries = json.loads(json.dumps(entries))
    for entry in entries:
        for name in ("_id", "_seq"):
            entry.pop(name, None)
        for side in ("request", "response"):
            if any(one["name"].lower() == "content-encoding" for one in entry[side]["headers"]):
                entry[side].pop("bodySize")
                entry[side].get("content", {}).pop("compression", None)
    return entries


class Imported(Files):
    def put(self, content, name="in.har"):
        path = self.room / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def load(self, path, **arguments):
        return self.serve.call("proxy_import_har", har_file=str(path), **arguments)

    def sessions(self):
        return {one["id"] for one in self.serve.call("proxy_list_sessions")["sessions"]}

    def in_the_root(self):
        return sorted(path.name for path in (pathlib.Path(self.serve.home) / "sessions").iterdir())

    def rows(self, session, **filters):
        return self.serve.call("proxy_query_session", session_id=session, sort="asc", show_secrets=True, **filters)["items"]

    def record_of(self, session, seq, **more):
        return self.serve.call("proxy_get_session_exchange", session_id=session, seq=seq, show_secrets=True, **more)["record"]

    def entry(self, **more):
        return {"startedDateTime": "2026-01-01T00:00:00.000Z", "time": 5, "cache": {}, "timings": {"send": 1, "wait": 2, "receive": 2},
                "request": {"method": "GET", "url": "https://a.example/x", "httpVersion": "HTTP/1.1", "headers": [], "cookies": [],
                            "queryString": [], "headersSize": -1, "bodySize": 0},
                "response": {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": [], "cookies": [],
                             "content": {"size": 2, "mimeType": "text/plain", "text": "hi"}, "redirectURL": "", "headersSize": -1,
                             "bodySize": 2}, **more}

    def har(self, *entries):
        return {"log": {"version": "1.2", "creator": {"name": "test", "version": "1"}, "entries": list(entries)}}


class Import(Imported):
    def test_export_import_export_gives_the_same_entries(self):
        session = self.everything()
        _, first = self.export(session, "first.har", show_secrets=True)
        answer = self.load(first)
        summary = answer["importSummary"]
        self.assertEqual((summary["totalEntries"], summary["importedEntries"], summary["errorCount"], summary["warnings"]), (6, 6, 0, []))
        again = answer["session"]["id"]
        _, second = self.export(again, "second.har", show_secrets=True)
        self.assertEqual(comparable(self.entries(second)), comparable(self.entries(first)))
        self.assertEqual(self.entries(second)[0]["_id"], f"har_{again}_1")
        _, third = self.export(self.load(second)["session"]["id"], "third.har", show_secrets=True)
        self.assertEqual(comparable(self.entries(third)), comparable(self.entries(second)))

    def test_what_was_imported_is_a_recording_like_any_other(self):
        session = self.load(self.export(self.everything(), show_secrets=True)[1], session_name="from a file")["session"]
        self.assertEqual((session["name"], session["captureProfile"], session["status"], session["exchangeCount"]), ("from a file", "full", "stopped", 6))
        rows = self.rows(session["id"])
        self.assertEqual([row["exchangeId"] for row in rows], [f"har_{session['id']}_{n}" for n in range(1, 7)])
        self.assertTrue(rows[0]["ja4"])
        self.assertEqual([row["path"] for row in self.rows(session["id"], filter="~b 'gzip says'")], ["/gzip"])
        coded = self.record_of(session["id"], 3)
        self.assertEqual(coded["responseBodyText"], "gzip says hello\n" * 3)
        self.assertEqual(coded["exchange"]["response"]["headers"]["content-encoding"], "gzip")
        self.assertNotIn("source", coded["exchange"])
        by_id = self.serve.call("proxy_get_session_exchange", session_id=session["id"], exchange_id=rows[1]["exchangeId"])["record"]
        self.assertEqual(base64.b64decode(by_id["requestBodyBase64"]), bytes(range(256)) * 5)
        self.assertEqual(self.serve.call("proxy_search_session_bodies", session_id=session["id"], text="grün", show_secrets=True)["totalMatches"], 1)
        verified = json.loads(sluice("sessions", "verify", session["id"], "--json", home=self.serve.home).stdout)[0]
        self.assertEqual((verified["exchanges"], verified["damagedRanges"], verified["indexAgrees"]), (6, 0, True))

    def test_every_flavour_is_read(self):
        for name, paths, bodies, warned in (
                ("chrome", ["/?q=caf%C3%A9", "/logo.png", "/live", "/hit"], {1: "<h1>Café</h1>, und so.\n"}, 1),
                ("firefox", ["/login", "/film.mp4"], {}, 0), ("safari", ["/data.json"], {1: '{"n":"äpfel"}'}, 0),
                ("charles", ["/form", "/"], {1: "made"}, 1), ("fiddler", ["/app.js"], {1: "let a = 1;\n"}, 1),
                ("mitmproxy", ["/v1/blob", "/ws"], {}, 0), ("insomnia", ["/users?page=2", "/users/7"], {1: "[]"}, 1)):
            with self.subTest(name):
                path = self.put((VECTORS / "har" / f"{name}.har").read_bytes(), f"{name}.har")
                answer = self.load(path)
                self.assertEqual(answer["session"]["name"], f"har-import-{name}")
                self.assertEqual(len(answer["importSummary"]["warnings"]), warned, answer["importSummary"]["warnings"])
                session = answer["session"]["id"]
                self.assertEqual([row["path"] for row in self.rows(session)], paths)
                for seq, text in bodies.items():
                    self.assertEqual(self.record_of(session, seq)["responseBodyText"], text)
                self.entries(self.export(session, f"{name}-again.har", show_secrets=True)[1])

    def test_times_and_forms_are_those_of_the_file(self):
        def first(name):
            session = self.load(self.put((VECTORS / "har" / f"{name}.har").read_bytes(), f"{name}.har"))["session"]["id"]
            return session, self.rows(session)[0]
        ten = 1772359200000  # 2026-03-01T10:00:00Z
        for name, timestamp in (("chrome", ten + 125), ("firefox", ten + 250), ("charles", ten), ("fiddler", ten + 123), ("mitmproxy", ten + 123)):
            with self.subTest(name):
                self.assertEqual(first(name)[1]["timestamp"], timestamp)
        session, row = first("charles")
        self.assertEqual((row["method"], row["duration"]), ("POST", 120))
        self.assertEqual(self.record_of(session, 1)["requestBodyText"], "a=1%262&b=gr%C3%BCn")
        session, row = first("mitmproxy")
        self.assertEqual(base64.b64decode(self.record_of(session, 1)["requestBodyBase64"]), b"\x00\x01\xff")
        self.assertEqual(self.record_of(session, 1)["exchange"]["request"]["headers"]["host"], "api.example")
        session, _ = first("chrome")
        self.assertEqual(self.rows(session)[3]["state"], "failed")
        self.assertEqual(self.rows(session)[1]["protocol"], "h2")
        self.assertFalse(self.rows(first("firefox")[0])[1]["hasFullResponseBody"])

    def test_damaged_entries_are_skipped_and_named(self):
        good = self.entry()
        bad = [7, None, {}, {"request": {}}, {"request": {"method": "GET"}}, {"request": {"method": "GET", "url": "/relative"}},
               {"request": {"method": "G\r\nX: y", "url": "http://a/"}}, {**good, "request": {**good["request"], "url": "https://u:p@a.example/"}}]
        answer = self.load(self.put(self.har(good, *bad, good)))
        summary = answer["importSummary"]
        self.assertEqual((summary["totalEntries"], summary["importedEntries"], summary["skippedEntries"], summary["errorCount"]), (10, 2, 8, 8))
        self.assertEqual([line.split(":")[0] for line in summary["warnings"]], [f"HAR entry #{n}" for n in range(2, 10)])
        self.assertIn("entry is not an object.", summary["warnings"][0])
        before = self.in_the_root()
        with self.assertRaisesRegex(ToolError, "HAR entry #2: entry is not an object"):
            self.load(self.put(self.har(good, *bad)), strict=True)
        self.assertEqual(self.in_the_root(), before)

    def test_nothing_in_a_file_writes_lines_of_its_own(self):
        entry = self.entry()
        entry["request"]["headers"] = [{"name": "x", "value": "1\r\ny: 2"}, {"name": "a\r\nb", "value": "3"}, {"name": "c:d", "value": "4"}]
        entry["response"]["statusText"] = "OK\r\nset-cookie: a=b"
        session = self.load(self.put(self.har(entry)))["session"]["id"]
        exchange = self.record_of(session, 1)["exchange"]
        self.assertEqual(exchange["request"]["headers"], {"x": "1  y: 2"})
        self.assertEqual(exchange["response"]["headers"], {"content-type": "text/plain"}, "of its mimeType, and no cookie")

    def test_what_is_no_har_is_an_error_that_leaves_nothing(self):
        whole = json.dumps(self.har(*[self.entry()] * 50)).encode()
        deep = b'{"log":{"entries":[' + b'{"a":' * 100_000
        before, files = self.sessions(), self.in_the_root()
        for what, content in (("empty", b""), ("text", b"hello"), ("cut", whole[:-200]), ("cut inside a string", whole[:whole.rindex(b"hi") + 1]),
                              ("cut at the end", whole[:-1]), ("more behind it", whole + b"{}"), ("deep", deep), ("deep arrays", b"[" * 1_000_000),
                              ("UTF-16", whole.decode().encode("utf-16")), ("not UTF-8", whole.replace(b"hi", b"\xff\xfe", 1)),
                              ("no entries", b'{"log":{}}'), ("entries no array", b'{"log":{"entries":{}}}'), ("an array", b"[]"), ("a number", b"7"),
                              ("entries twice", b'{"log":{"entries":[],"entries":[]}}'), ("a NUL", b"\x00" * 100), ("an open string", b'{"log":"' + b"x" * 3_000_000),
                              ("a wrong word", b'{"log":{"entries":[nul]}}'), ("no comma", b'{"log":{"entries":[1 2]}}')):
            with self.subTest(what), self.assertRaisesRegex(ToolError, "Invalid HAR"):
                self.load(self.put(content))
        self.assertEqual((self.sessions(), self.in_the_root()), (before, files))

    def test_the_file_lies_under_an_allowed_root_and_is_a_file(self):
        outside = self.room.parent.parent / f"outside-{os.getpid()}.har"
        outside.write_text(json.dumps(self.har(self.entry())))
        self.addCleanup(outside.unlink)
        link = self.room / "link.har"
        link.symlink_to(outside)
        os.mkfifo(self.room / "fifo.har")
        for bad in (str(outside), str(link), f"{self.room}/../../{outside.name}", f"{self.serve.home}/token", str(self.room), "/dev/zero",
                    str(self.room / "fifo.har"), str(self.room / "absent.har"), ""):
            with self.subTest(bad), self.assertRaises(ToolError):
                self.load(bad)

    def test_the_budget_and_a_full_disk_leave_nothing(self):
        entry = self.entry()
        entry["response"]["content"]["text"] = "x" * 300_000
        path = self.put(self.har(*[entry] * 10))
        before = self.in_the_root()
        with self.assertRaisesRegex(ToolError, "max_disk_mb"):
            self.load(path, max_disk_mb=1)
        self.assertEqual(self.in_the_root(), before)
        serve = self.another()
        resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
        with self.assertRaises(ToolError):
            serve.call("proxy_import_har", har_file=str(path))
        self.assertEqual(list((pathlib.Path(serve.home) / "sessions").iterdir()), [])

    def test_not_while_one_is_recorded(self):
        path = self.put(self.har(self.entry()))
        session = self.serve.call("proxy_session_start")["session"]["id"]
        self.addCleanup(self.serve.call, "proxy_session_stop")
        with self.assertRaisesRegex(ToolError, f"Session '{session}' is already active. Stop it before importing HAR."):
            self.load(path)

    def test_storage_dir_holds_it_and_is_remembered(self):
        session = self.load(self.put(self.har(self.entry())), storage_dir=str(self.room / "store"))["session"]
        self.assertTrue((self.room / "store" / session["id"] / "manifest.json").exists())
        self.assertIn(session["id"], self.sessions())

    def test_the_command_imports_without_a_serve(self):
        path = self.put(self.har(self.entry(), 7))
        home = self.room / "home"
        done = sluice("sessions", "import", path, "--name", "mine", home=home)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("HAR entry #2", done.stderr)
        session = done.stdout.split(":")[0]
        self.assertEqual(json.loads(sluice("sessions", "show", session, home=home).stdout)["name"], "mine")
        self.assertEqual(json.loads(sluice("sessions", "export", session, home=home).stdout)["log"]["entries"][0]["response"]["content"]["text"], "hi")
        self.assertEqual(sluice("sessions", "import", path, "--strict", home=home).returncode, 1)
        self.assertEqual(sluice("sessions", "import", self.room / "absent", home=home).returncode, 1)
        self.assertEqual(len(sluice("sessions", "list", home=home).stdout.splitlines()), 1)

    def test_a_long_file_is_read_in_little_memory(self):
        serve = self.another()
        entry = self.entry()
        entry["response"]["content"]["text"] = "y" * 1_000_000
        small = self.put(self.har(self.entry()), "small.har")
        serve.call("proxy_import_har", har_file=str(small))

        def peak():
            status = pathlib.Path(f"/proc/{serve.process.pid}/status").read_text()
            return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        before, slow = peak(), PATIENCE > 1  # a sanitizer's program takes several times the time and the memory
        count = 20 if slow else 100
        answer = serve.call("proxy_import_har", har_file=str(self.put(self.har(*[entry] * count), "long.har")))
        self.assertEqual(answer["importSummary"]["importedEntries"], count)
        self.assertLess(peak() - before, (8 if slow else 1) * 48 << 20)


if __name__ == "__main__":
    unittest.main()
