"""Recordings (engine.md 10): made from real clients' traffic over MCP, read back, killed, damaged, attacked."""
import json
import os
import pathlib
import re
import signal
import threading
import unittest

from harness import E2E, Serve, ToolError, poll, sluice

ID = re.compile(r"^[0-9]{14}_[0-9a-z]{8}$")


class Recorded(E2E):
    def start(self, serve=None, **arguments):
        return (serve or self.serve).call("proxy_session_start", **arguments)["session"]["id"]

    def another(self, *flags, **more):
        return Serve("--quiet", "--upstream-ca", self.fakes.pem, *flags, **more)

    def tearDown(self):
        if self.serve.process.poll() is None:
            self.serve.call("proxy_session_stop")
        super().tearDown()

    def get(self, path, *more):
        done = self.serve.curl(self.origin.url(path), *more, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def folder(self, session, serve=None):
        return pathlib.Path((serve or self.serve).home) / "sessions" / session


class Recording(Recorded):
    def test_what_passes_while_it_is_active_can_be_read_meanwhile_and_afterwards(self):
        self.get("/hello?before")
        session = self.start(session_name="first", capture_profile="full")
        self.assertRegex(session, ID)
        self.get("/echo", "--data-binary", "a question")
        self.get("/gzip")
        status = self.serve.call("proxy_session_status")
        self.assertEqual((status["enabled"], status["sessionId"], status["captureProfile"]), (True, session, "full"))
        for live in (True, False):
            with self.subTest(live=live):
                found = self.serve.call("proxy_query_session", session_id=session, sort="asc")
                self.assertEqual([row["path"] for row in found["items"]], ["/echo", "/gzip"])
                self.assertEqual(found["total"], 2)
                record = self.serve.call("proxy_get_session_exchange", session_id=session, seq=1)["record"]
                self.assertEqual(record["requestBodyText"], "a question")
                record = self.serve.call("proxy_get_session_exchange", session_id=session,
                                         exchange_id=found["items"][1]["exchangeId"])["record"]
                self.assertEqual(record["responseBodyText"], "gzip says hello\n" * 3)
                self.assertEqual(record["exchange"]["response"]["headers"]["content-encoding"], "gzip")
                self.assertTrue(record["exchange"]["tls"]["client"]["ja4Fingerprint"])
            self.serve.call("proxy_session_stop")
        self.get("/hello?after")
        manifest = self.serve.call("proxy_get_session", session_id=session)["session"]
        self.assertEqual((manifest["exchangeCount"], manifest["status"], manifest["name"]), (2, "stopped", "first"))
        listed = self.serve.call("proxy_list_sessions")["sessions"]
        self.assertIn(session, [one["id"] for one in listed])
        resource = self.serve.rpc("resources/read", {"uri": "proxy://sessions"}, "proxy://sessions")
        self.assertIn(session, resource["contents"][0]["text"])

    def test_a_second_start_answers_the_first_with_a_note(self):
        session = self.start()
        again = self.serve.call("proxy_session_start", session_name="other")
        self.assertEqual(again["session"]["id"], session)
        self.assertIn("active", again["note"])
        with self.assertRaisesRegex(ToolError, "Stop it first"):
            self.serve.call("proxy_delete_session", session_id=session)
        with self.assertRaises(ToolError):
            self.serve.call("proxy_session_recover", session_id=session)

    def test_preview_keeps_64_kib_and_full_all(self):
        size = 300_000
        for profile, whole in (("preview", False), ("full", True)):
            with self.subTest(profile):
                session = self.start(capture_profile=profile)
                self.get(f"/large?size={size}")
                self.serve.call("proxy_session_stop")
                row = self.serve.call("proxy_query_session", session_id=session)["items"][0]
                self.assertEqual((row["responseBodySize"], row["hasFullResponseBody"]), (size, whole))
                body = self.serve.call("proxy_get_session_exchange", session_id=session, seq=row["seq"], limit=1 << 20,
                                       decoded=False, show_secrets=True)["record"]["responseBody"]
                self.assertEqual(body["total"], size if whole else 65_536)

    def test_filters_expressions_and_body_search_find_the_same(self):
        session = self.start(capture_profile="full")
        for path in ("/gzip", "/br", "/hello", "/echo"):
            self.get(path)
        ask = lambda **filters: self.serve.call("proxy_query_session", session_id=session, **filters)["total"]
        self.assertEqual(ask(), 4)
        self.assertEqual(ask(url_contains="/GZIP"), 1)
        self.assertEqual(ask(filter="~b says"), 2)
        self.assertEqual(ask(filter="~b says & ~u gzip"), 1)
        self.assertEqual(ask(text="echo"), 1)
        self.assertEqual(ask(limit=1, offset=3), 4)
        found = self.serve.call("proxy_search_session_bodies", session_id=session, text="SAYS HELLO")
        self.assertEqual(found["totalMatches"], 2)
        self.assertIn("[says hello]", found["matches"][0]["snippets"][0]["context"])
        first = self.serve.call("proxy_search_session_bodies", session_id=session, text="says", limit=1)
        rest = self.serve.call("proxy_search_session_bodies", session_id=session, text="says", offset=first["nextOffset"])
        self.assertEqual(rest["totalMatches"], 1)
        ask = lambda text, **more: self.serve.call("proxy_search_session_bodies", session_id=session, text=text,
                                                   regex=True, **more)
        self.assertEqual(ask("SAYS\\s+hel{2}o")["totalMatches"], 2)
        self.assertIn("[says hello]", ask("says [^ ]*o")["matches"][0]["snippets"][0]["context"])
        self.assertEqual(ask("SAYS\\s+hel{2}o", case_sensitive=True)["totalMatches"], 0)
        self.assertEqual(ask("(hello|nothing)", limit=1)["totalMatches"], 1)
        self.assertEqual(ask("hello|nothing", search_in="request")["totalMatches"], 0)
        self.assertEqual(ask("\\b")["totalMatches"], 0)
        for bad, reason in (("says (", "missing \\)"), ("a*", "matches nothing at all"), ("a" * 2001, "2000 octets"),
                            ("(a{500}){500}", "RE2's limit"), ("(?=a)", "RE2 does not take")):
            with self.assertRaisesRegex(ToolError, reason):
                ask(bad)
        prints = self.serve.call("proxy_get_session_handshakes", session_id=session)
        self.assertEqual((prints["total"], prints["withTlsMetadata"], prints["withoutTlsMetadata"]), (4, 4, 0))

    def test_secrets_are_masked_and_not_found_by_asking(self):
        session = self.start(capture_profile="full")
        self.get("/echo?token=hunter2hunter2", "-H", "Authorization: Bearer abcdefabcdef", "--data-binary",
                 '{"password": "correcthorse"}', "-H", "Content-Type: application/json")
        ask = lambda tool, **more: self.serve.call(tool, session_id=session, **more)
        answers = [ask("proxy_query_session"), ask("proxy_get_session_exchange", seq=1), ask("proxy_get_session_handshakes"),
                   ask("proxy_search_session_bodies", text="password")]
        for answer in answers:
            for secret in ("hunter2", "abcdefabcdef", "correcthorse"):
                self.assertNotIn(secret, json.dumps(answer))
        self.assertEqual(ask("proxy_query_session", url_contains="hunter")["total"], 0)
        self.assertEqual(ask("proxy_query_session", text="hunter")["total"], 0)
        self.assertEqual(ask("proxy_get_session_handshakes", url_contains="hunter")["withTlsMetadata"], 0)
        self.assertEqual(ask("proxy_search_session_bodies", text="correcth")["totalMatches"], 0)
        for pattern in ("correct[a-z]", "\"c[a-z]{12}\"", "horse"):
            self.assertEqual(ask("proxy_search_session_bodies", text=pattern, regex=True)["totalMatches"], 0)
        shown = ask("proxy_search_session_bodies", text="password.{0,9}", regex=True)
        self.assertIn("[redacted]", shown["matches"][0]["snippets"][0]["context"])
        self.assertEqual(ask("proxy_search_session_bodies", text="correct[a-z]", regex=True, show_secrets=True)["totalMatches"], 1)
        self.assertEqual(ask("proxy_query_session", url_contains="hunter", show_secrets=True)["total"], 1)

    def test_lists_come_in_pages(self):
        with self.another() as serve:
            ids = []
            for _ in range(3):
                ids.insert(0, self.start(serve))
                serve.call("proxy_session_stop")
            listed, offset = [], 0
            while offset is not None:
                page = serve.call("proxy_list_sessions", offset=offset, limit=2)
                self.assertEqual(page["count"], 3)
                listed += [one["id"] for one in page["sessions"]]
                offset = page.get("nextOffset")
            self.assertEqual(listed, ids)
            self.assertNotIn("nextOffset", serve.call("proxy_list_sessions"))

    def test_filters_that_know_bodies_tell_nothing_of_what_is_masked(self):
        session = self.start(capture_profile="full")
        filler = "lorem ipsum dolor " * 6_000
        for number in range(180):  # filters are made of 16 MiB and more, and each stands for 64 KiB of text
            secret = "zyxwvutsrq" if number == 90 else "0123456789"
            self.get(f"/echo?{number}", "--data-binary", json.dumps({"password": secret, "filler": filler}), "-H", "Content-Type: application/json")
        self.serve.call("proxy_session_stop")
        ask = lambda text, **more: self.serve.call("proxy_search_session_bodies", session_id=session, text=text, **more) | {"query": ""}
        poll(lambda: ask("qqqqqqqqqq", show_secrets=True)["scanned"] == 0, 30, "the filters")
        self.assertEqual(ask("zyxwvuts", show_secrets=True)["totalMatches"], 1)
        for more in ({}, {"max_scan": 1}, {"max_scan": 1, "offset": 60}, {"max_scan": 2, "offset": 100}, {"limit": 1}):
            self.assertEqual(ask("zyxwvuts", **more), ask("qqqqqqqq", **more), more)
        first = ask("lorem ipsum", limit=3)
        self.assertEqual((first["totalMatches"], first["scanned"], first["nextOffset"]), (3, 3, 3))

    def test_proxy_start_can_record_and_proxy_stop_ends_it(self):
        with self.another("--no-proxy") as serve:
            with self.assertRaisesRegex(ToolError, "Start it first"):
                serve.call("proxy_session_start")
            started = serve.call("proxy_start", persistence_enabled=True, session_name="whole", max_disk_mb=5)
            persistence = started["persistence"]
            self.assertEqual((persistence["enabled"], persistence["maxDiskMb"]), (True, 5))
            serve.call("proxy_stop")
            self.assertFalse(serve.call("proxy_session_status")["enabled"])
            stopped = serve.call("proxy_get_session", session_id=persistence["sessionId"])["session"]
            self.assertEqual((stopped["status"], stopped["name"]), ("stopped", "whole"))
            with self.assertRaises(ToolError):
                serve.call("proxy_start", persistence_enabled=True, storage_dir="/proc/nowhere")
            self.assertFalse(serve.call("proxy_status")["running"])


class Places(Recorded):
    def test_ids_with_dots_and_slashes_reach_nothing(self):
        keep = pathlib.Path(self.serve.home) / "sessions" / "keep" / "segments"
        keep.mkdir(parents=True, exist_ok=True)
        tools = ("proxy_get_session", "proxy_query_session", "proxy_delete_session", "proxy_session_recover",
                 "proxy_get_session_handshakes")
        for bad in ("..", "../..", "keep", "/etc", "20250101000000_../../x", "20250101000000_abcdefgh", ".", ""):
            for tool in tools:
                with self.subTest(tool=tool, id=bad), self.assertRaisesRegex(ToolError, "no session"):
                    self.serve.call(tool, session_id=bad)
        self.assertTrue(keep.exists())

    def test_storage_dir_lies_under_an_allowed_root_or_nothing_is_made(self):
        with self.another("--allow-root", self.directory) as serve:
            home = pathlib.Path(serve.home)
            outside = pathlib.Path(self.directory).parent / f"outside-{os.getpid()}"
            link = pathlib.Path(self.directory) / "link"
            link.symlink_to("/var")
            for bad in (str(outside), "/", "/proc/x", str(home / "ca"), "../up", str(link / "tmp"), f"{self.directory}/../up", ""):
                with self.subTest(bad), self.assertRaises(ToolError):
                    serve.call("proxy_session_start", storage_dir=bad)
            self.assertFalse(outside.exists())
            self.assertFalse(serve.call("proxy_session_status")["enabled"])
            session = serve.call("proxy_session_start", storage_dir=f"{self.directory}/deep/er")["session"]["id"]
            serve.call("proxy_session_stop")
            self.assertTrue((pathlib.Path(self.directory) / "deep/er" / session / "manifest.json").exists())
            self.assertEqual(serve.call("proxy_query_session", session_id=session)["total"], 0)
            self.assertIn(session, sluice("sessions", home=serve.home).stdout)
            place = pathlib.Path(self.directory).resolve() / "deep/er"
            place.rename(place.with_name("away"))
            listed = serve.call("proxy_list_sessions")
            self.assertEqual((listed["count"], listed["missingRoots"]), (0, [str(place)]))
            with self.assertRaisesRegex(ToolError, f"no session.*{place}, which cannot be opened now"):
                serve.call("proxy_query_session", session_id=session)
            self.assertIn(f"{place}, which cannot be opened", sluice("sessions", home=serve.home, check=0).stderr)
            place.with_name("away").rename(place)
            self.assertNotIn("missingRoots", serve.call("proxy_list_sessions"))

    def test_a_cap_over_all_recordings_is_said_and_kept(self):
        for on_cap in ("stop", "drop_oldest"):
            with self.subTest(on_cap):
                serve = self.another("--sessions-max-disk-mb", "2", "--sessions-on-cap", on_cap, home=self.directory / f"capped-{on_cap}")
                self.addCleanup(serve.stop)
                first = self.start(serve, capture_profile="full")
                for _ in range(9):
                    serve.curl(self.origin.url("/echo"), "--data-binary", "@-", input=b"x" * 80_000, text=False)
                serve.call("proxy_session_stop")
                disk = serve.call("proxy_session_status")["disk"]
                self.assertEqual(disk, {"maxMb": 2, "usedMb": 1, "onCap": on_cap, "droppedSessions": 0})
                if on_cap == "stop":
                    with self.assertRaisesRegex(ToolError, "proxy_delete_session"):
                        self.start(serve)
                    serve.call("proxy_delete_session", session_id=first)
                    self.start(serve)
                else:
                    second = self.start(serve)
                    self.assertEqual(serve.call("proxy_session_status")["disk"]["droppedSessions"], 1)
                    serve.call("proxy_session_stop")
                    self.assertEqual([one["id"] for one in serve.call("proxy_list_sessions")["sessions"]], [second])

    def test_files_are_for_their_owner_alone(self):
        session = self.start()
        self.get("/hello")
        self.serve.call("proxy_session_stop")
        for path in [self.folder(session), *self.folder(session).rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_a_missing_root_is_an_error_and_comes_back(self):
        with self.another() as serve:
            root = pathlib.Path(serve.home) / "sessions"
            root.rename(root.with_name("away"))
            for tool in ("proxy_session_start", "proxy_list_sessions"):
                with self.assertRaises(ToolError):
                    serve.call(tool)
            root.with_name("away").rename(root)
            self.assertEqual(serve.call("proxy_list_sessions")["count"], 0)


    def test_a_read_only_root_can_be_read_and_nothing_else(self):
        # Root may write everywhere, unless it gives that up.
        prefix = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
        with self.another(prefix=prefix) as serve:
            session = self.start(serve, capture_profile="full")
            for number in range(3):
                self.assertEqual(serve.curl(self.origin.url(f"/hello?{number}")).returncode, 0)
            serve.call("proxy_session_stop")
            root = pathlib.Path(serve.home) / "sessions"
            folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
            poll(lambda: not list(root.rglob("*.part")), 10, "what is made afterwards")
            before = self.contents(root)
            for folder in folders:
                folder.chmod(0o500)
            try:
                rows = serve.call("proxy_query_session", session_id=session, text="hello")
                self.assertEqual(rows["total"], 3)
                self.assertEqual(serve.call("proxy_list_sessions")["count"], 1)
                row = serve.call("proxy_get_session_exchange", session_id=session, exchange_id=rows["items"][0]["exchangeId"])
                self.assertIn("hello", json.dumps(row))
                for tool, arguments in (("proxy_session_start", {}), ("proxy_delete_session", {"session_id": session}),
                                        ("proxy_export_har", {"session_id": session}), ("proxy_session_recover", {"session_id": session})):
                    with self.subTest(tool):
                        with self.assertRaises(ToolError) as raised:
                            serve.call(tool, **arguments)
                        self.assertRegex(str(raised.exception), "(?i)permission denied|read-only|cannot be written")
                self.assertEqual(serve.curl(self.origin.url("/hello?on")).returncode, 0, "traffic does not mind")
            finally:
                for folder in folders:
                    folder.chmod(0o700)
            self.assertEqual(self.contents(root), before)

    def contents(self, root):
        return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "lock"}


class Disasters(Recorded):
    def load(self, serve, stop, done):
        while not stop.is_set():
            answer = serve.curl(self.origin.url("/large?size=20000"), text=False)
            if answer.returncode == 0:
                done.append(1)

    def test_a_kill_under_load_loses_nothing_that_was_there_before(self):
        for round_number in range(3):
            with self.subTest(round_number):
                serve = self.another()
                self.addCleanup(serve.stop)
                session = self.start(serve, capture_profile="full")
                stop, done = threading.Event(), []
                threads = [threading.Thread(target=self.load, args=(serve, stop, done)) for _ in range(3)]
                for thread in threads:
                    thread.start()
                def written():
                    return serve.call("proxy_query_session", session_id=session)["total"]
                poll(lambda: len(done) > 10 + 7 * round_number and written() > 10, 20, "some traffic")
                seen = written()  # there, whatever comes
                serve.process.send_signal(signal.SIGKILL)
                serve.process.wait(10)
                stop.set()
                for thread in threads:
                    thread.join()
                looked = sluice("sessions", "verify", session, "--json", home=serve.home, check=None)
                self.assertEqual(json.loads(looked.stdout)[0]["damagedBytes"], 0)
                report = json.loads(sluice("sessions", "recover", session, "--json", home=serve.home).stdout)[0]
                self.assertGreaterEqual(report["exchanges"], seen)
                again = json.loads(sluice("sessions", "recover", session, "--json", home=serve.home).stdout)[0]
                self.assertEqual({**report, "rebuiltManifest": 0}, {**again, "rebuiltManifest": 0})
                self.assertEqual(sluice("sessions", "verify", session, home=serve.home, check=None).returncode,
                                 0 if report["damagedRanges"] == 0 else 1)
                with self.another(home=serve.home) as later:
                    rows = later.call("proxy_query_session", session_id=session, limit=1000)
                    self.assertEqual(rows["total"], report["exchanges"])
                    for row in rows["items"][-3:]:
                        record = later.call("proxy_get_session_exchange", session_id=session, seq=row["seq"])["record"]
                        self.assertEqual(record["responseBody"]["total"], 20000)

    def test_a_session_whose_process_was_killed_is_recovered_when_it_is_opened(self):
        serve = self.another()
        self.addCleanup(serve.stop)
        session = self.start(serve)
        self.assertEqual(serve.curl(self.origin.url("/hello")).returncode, 0)
        self.assertEqual(serve.call("proxy_query_session", session_id=session)["total"], 1)
        serve.process.send_signal(signal.SIGKILL)
        serve.process.wait(10)
        (self.folder(session, serve) / "index.db").unlink()
        self.assertEqual(self.folder(session, serve).joinpath("segments/00000001.seg").stat().st_mode & 0o777, 0o600)
        with self.another(home=serve.home) as later:
            self.assertEqual(later.call("proxy_query_session", session_id=session)["total"], 1)
            self.assertEqual(later.call("proxy_get_session", session_id=session)["session"]["status"], "stopped")

    def test_two_processes_share_a_home_and_leave_each_others_sessions_alone(self):
        session = self.start()
        self.get("/hello")
        self.assertEqual(self.serve.call("proxy_query_session", session_id=session)["total"], 1)
        with self.another(home=self.serve.home) as other:
            mine = self.start(other)
            self.assertNotEqual(mine, session)
            self.assertEqual(other.call("proxy_query_session", session_id=session)["total"], 1)
            for tool in ("proxy_delete_session", "proxy_session_recover"):
                with self.assertRaises(ToolError):
                    other.call(tool, session_id=session)
            self.assertEqual(sluice("sessions", "recover", session, home=self.serve.home, check=None).returncode, 1)
            self.get("/hello?more")
            self.assertEqual(other.call("proxy_query_session", session_id=mine)["total"], 0)
        self.assertEqual(self.serve.call("proxy_query_session", session_id=session)["total"], 2)

    def test_damage_is_named_and_the_rest_is_read(self):
        session = self.start(capture_profile="full")
        for path in ("/hello?1", "/hello?2", "/hello?3"):
            self.get(path)
        self.serve.call("proxy_session_stop")
        row = self.serve.call("proxy_query_session", session_id=session, sort="asc")["items"][1]
        segment = self.folder(session) / "segments/00000001.seg"
        octets = bytearray(segment.read_bytes())
        octets[row["recordOffset"] + 30] ^= 1
        segment.write_bytes(octets)
        report = self.serve.call("proxy_session_recover", session_id=session)["recovered"][0]
        self.assertEqual((report["exchanges"], report["damagedRanges"]), (2, 1))
        self.assertEqual(report["damaged"][0]["offset"], row["recordOffset"])
        self.assertEqual(segment.read_bytes(), bytes(octets))
        rows = self.serve.call("proxy_query_session", session_id=session, sort="asc")["items"]
        self.assertEqual([one["path"] for one in rows], ["/hello?1", "/hello?3"])

    def test_a_newer_version_is_refused_and_left_alone(self):
        session = self.start()
        self.serve.call("proxy_session_stop")
        manifest = self.folder(session) / "manifest.json"
        newer = manifest.read_text().replace('"schemaVersion": 1', '"schemaVersion": 2')
        manifest.write_text(newer)
        for tool in ("proxy_get_session", "proxy_query_session", "proxy_session_recover"):
            with self.assertRaisesRegex(ToolError, "newer"):
                self.serve.call(tool, session_id=session)
        self.assertEqual(manifest.read_text(), newer)

    def test_a_full_disk_stops_the_recording_and_no_traffic(self):
        with self.another("--spool-mb", "1") as serve:
            session = self.start(serve, capture_profile="full")
            self.assertEqual(serve.curl(self.origin.url("/hello")).returncode, 0)
            serve.call("proxy_query_session", session_id=session)
            self.limit_files(serve.process.pid, self.folder(session, serve) / "segments/00000001.seg")
            for number in range(3):
                done = serve.curl(self.origin.url(f"/large?size=100000&{number}"), text=False)
                self.assertEqual((done.returncode, len(done.stdout)), (0, 100_000))
            status = poll(lambda: (s := serve.call("proxy_session_status"))["lastError"] and s, 10, "the error")
            self.assertEqual(status["recoveryState"], "error")
            self.assertGreater(status["droppedWrites"] + status["bytesCut"], 0)

    def limit_files(self, pid, segment):
        """No file of that process grows beyond what its segment has: as full as a disk can be."""
        import resource
        size = segment.stat().st_size + 100
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    unittest.main()
