"""Encrypted recordings: made, killed, recovered, asked and taken out with their key, and closed without it."""
import base64
import json
import os
import pathlib
import secrets
import signal
import unittest

from harness import E2E, ROOT, Serve, ToolError, clean_environment, poll, run, sluice, SLUICE

WORDS = [b"hello from the origin", b"gzip says", b"hidden-path", b"localhost", b"a question", b"user-agent", b"User-Agent", b"HTTP/1.1",
         b"the-label"]


class Encrypted(E2E):
    @classmethod
    def setUpClass(cls):
        cls.key = secrets.token_hex(32)
        super().setUpClass()

    def key_file(self, text=None, mode=0o600, name="sessions.key"):
        path = pathlib.Path(self.directory) / f"{os.urandom(4).hex()}-{name}"
        path.write_bytes(text if isinstance(text, bytes) else (self.key if text is None else text).encode())
        path.chmod(mode)
        return path

    def another(self, *flags, **more):
        more.setdefault("home", self.directory / f"home-{os.urandom(4).hex()}")  # is there when it has ended
        serve = Serve("--quiet", "--upstream-ca", self.fakes.pem, "--allow-root", self.directory, *flags, **more)
        self.addCleanup(serve.stop)
        return serve

    def with_key(self, key=None, **more):
        return self.another("--sessions-key-file", key or self.key_file(), **more)

    def record(self, serve, *paths, stop=True):
        session = serve.call("proxy_session_start", capture_profile="full", session_name="the-label")["session"]["id"]
        for path, *more in paths or (("/hello?hidden-path",), ("/gzip",), ("/echo", "--data-binary", "a question")):
            self.assertEqual(serve.curl(self.origin.url(path), *more, text=False).returncode, 0)
        poll(lambda: serve.call("proxy_query_session", session_id=session)["total"] >= (len(paths) or 3), 10, "the exchanges")
        if stop:
            serve.call("proxy_session_stop")
        return session

    def folder(self, serve, session):
        return pathlib.Path(serve.home) / "sessions" / session

    def contents(self, folder):
        """All that stands there, but for what SQLite keeps of whoever reads."""
        return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm")}

    def assertTellsNothing(self, folder, words=WORDS):
        contents = self.contents(folder)
        self.assertGreaterEqual(len(contents), 4)
        for path, octets in contents.items():
            for word in words:
                self.assertNotIn(word, octets, path)


class Recording(Encrypted):
    def test_what_is_recorded_is_answered_as_ever_and_nothing_of_it_stands_on_the_disk(self):
        serve = self.with_key()
        poll(lambda: "sessions encrypted" in serve.output(), 5, "what it says of itself")
        self.assertTrue(serve.call("proxy_session_status")["encrypted"])
        session = self.record(serve, stop=False)
        self.assertTellsNothing(self.folder(serve, session))
        for live in (True, False):
            with self.subTest(live=live):
                ask = lambda tool, **more: serve.call(tool, session_id=session, **more)
                found = ask("proxy_query_session", sort="asc")
                self.assertEqual([row["path"] for row in found["items"]], ["/hello?hidden-path", "/gzip", "/echo"])
                self.assertEqual(ask("proxy_query_session", filter="~b says")["total"], 1)
                self.assertEqual(ask("proxy_query_session", text="hidden-path")["total"], 1)
                self.assertEqual(ask("proxy_search_session_bodies", text="gzip says")["totalMatches"], 1)
                record = ask("proxy_get_session_exchange", exchange_id=found["items"][2]["exchangeId"])["record"]
                self.assertEqual(record["requestBodyText"], "a question")
                self.assertEqual(ask("proxy_get_session_handshakes")["withTlsMetadata"], 3)
                listed = next(one for one in serve.call("proxy_list_sessions")["sessions"] if one["id"] == session)
                self.assertEqual((listed["encrypted"], listed["name"]), (True, "the-label"))
            serve.call("proxy_session_stop")
        self.assertTellsNothing(self.folder(serve, session))
        self.assertTrue(serve.call("proxy_session_verify_integrity", session_id=session)["good"])
        self.assertEqual(serve.call("proxy_replay_session", session_id=session)["selectedCount"], 3)
        other = self.record(serve)
        self.assertEqual(serve.call("proxy_diff_sessions", session_a=session, session_b=other)["onlyA"], 0)

    def test_a_recording_in_clear_says_so(self):
        self.assertFalse(self.serve.call("proxy_session_status")["encrypted"])
        session = self.record(self.serve)
        self.assertFalse(self.serve.call("proxy_get_session", session_id=session)["session"]["encrypted"])
        with self.with_key(home=self.serve.home) as later:
            self.assertEqual(later.call("proxy_query_session", session_id=session)["total"], 3)

    def test_a_har_file_beside_it_is_encrypted_and_one_elsewhere_is_not(self):
        key = self.key_file()
        serve = self.with_key(key)
        session = self.record(serve)
        beside = serve.call("proxy_export_har", session_id=session)
        self.assertTrue(beside["encrypted"])
        self.assertIn("sluice sessions decrypt", beside["note"])
        path = pathlib.Path(beside["outputFile"])
        self.assertEqual((path.parent, path.suffix), (self.folder(serve, session).resolve() / "har", ".sealed"))
        self.assertTellsNothing(self.folder(serve, session))
        given = serve.call("proxy_export_har", session_id=session, output_file=f"{self.directory}/clear-{session}.har")
        self.assertFalse(given["encrypted"])
        clear = pathlib.Path(given["outputFile"]).read_text()
        self.assertIn("hidden-path", clear)
        opened = sluice("sessions", "decrypt", path, "--sessions-key-file", key, check=0)
        self.assertEqual(len(json.loads(opened.stdout)["log"]["entries"]), 3)
        to = f"{self.directory}/opened-{session}.har"
        sluice("sessions", "decrypt", path, to, "--sessions-key-file", key, check=0)
        self.assertEqual(pathlib.Path(to).read_text(), opened.stdout)
        for arguments in ((path,), (path, "--sessions-key-file", self.key_file(secrets.token_hex(32))), (to, "--sessions-key-file", key)):
            self.assertEqual(sluice("sessions", "decrypt", *arguments, check=1).stdout, "")
        octets = bytearray(path.read_bytes())
        octets[-30] ^= 1
        path.write_bytes(octets)
        sluice("sessions", "decrypt", path, "--sessions-key-file", key, check=1)


class WithoutTheKey(Encrypted):
    def test_tools_refuse_and_say_what_is_needed_and_nothing_is_changed(self):
        serve = self.with_key()
        session, home = self.record(serve), serve.home
        serve.stop()
        before = self.contents(self.folder(serve, session))
        for flags, why in (((), "is encrypted"), (("--sessions-key-file", self.key_file(secrets.token_hex(32))), "another key")):
            with self.subTest(why), self.another(*flags, home=home) as closed:
                for tool, more in (("proxy_query_session", {}), ("proxy_search_session_bodies", {"text": "x"}), ("proxy_export_har", {}),
                                   ("proxy_get_session_exchange", {"seq": 1}), ("proxy_get_session_handshakes", {}),
                                   ("proxy_replay_session", {}), ("proxy_session_recover", {})):
                    with self.assertRaisesRegex(ToolError, rf"{why}.*--sessions-key-file.*SLUICE_SESSIONS_KEY"):
                        closed.call(tool, session_id=session, **more)
                listed = closed.call("proxy_list_sessions")["sessions"][0]
                self.assertEqual((listed["id"], listed["encrypted"], listed["name"]), (session, True, None))
                self.assertEqual(closed.call("proxy_get_session", session_id=session)["session"]["exchangeCount"], 3)
                self.assertEqual(self.contents(self.folder(serve, session)), before)
        with self.another(home=home) as closed:
            answer = closed.call("proxy_session_verify_integrity", session_id=session)
            self.assertEqual((answer["good"], answer["report"]["opened"], answer["report"]["exchanges"]), (True, False, 3))
            self.assertIn("SLUICE_SESSIONS_KEY", answer["note"])
            closed.call("proxy_delete_session", session_id=session)
        self.assertFalse(self.folder(serve, session).exists())

    def test_a_killed_one_waits_for_its_key_and_loses_nothing(self):
        key = self.key_file()
        serve = self.with_key(key)
        session = self.record(serve, ("/hello?hidden-path",), ("/gzip",), stop=False)
        serve.process.send_signal(signal.SIGKILL)
        serve.process.wait(10)
        before = self.contents(self.folder(serve, session))
        refused = sluice("sessions", "recover", session, home=serve.home, check=1)
        self.assertIn("--sessions-key-file", refused.stderr)
        looked = sluice("sessions", "verify", session, home=serve.home, check=None)
        self.assertIn("checksums alone", looked.stdout)
        self.assertIn("2 exchanges", looked.stdout)
        listed = sluice("sessions", home=serve.home, check=0).stdout
        self.assertIn("encrypted", listed)
        self.assertNotIn("the-label", listed)
        sluice("sessions", "verify", session, "--sessions-key-file", self.key_file(secrets.token_hex(32)), home=serve.home, check=1)
        with self.another(home=serve.home) as closed, self.assertRaisesRegex(ToolError, "is encrypted"):
            closed.call("proxy_query_session", session_id=session)
        self.assertEqual(self.contents(self.folder(serve, session)), before)
        report = json.loads(sluice("sessions", "recover", session, "--json", "--sessions-key-file", key, home=serve.home, check=0).stdout)[0]
        self.assertEqual((report["exchanges"], report["damagedRanges"], report["opened"]), (2, 0, True))
        self.assertIn("the-label", sluice("sessions", "--sessions-key-file", key, home=serve.home, check=0).stdout)
        with self.with_key(key, home=serve.home) as later:
            self.assertEqual(later.call("proxy_query_session", session_id=session, text="hidden-path")["total"], 1)
        self.assertTellsNothing(self.folder(serve, session))

    def test_a_lost_manifest_and_index_are_made_again_with_it_alone(self):
        key = self.key_file()
        serve = self.with_key(key)
        session = self.record(serve)
        serve.stop()
        for name in ("manifest.json", "index.db"):
            (self.folder(serve, session) / name).unlink()
        self.assertIn("is encrypted", sluice("sessions", "recover", session, home=serve.home, check=1).stderr)
        self.assertFalse((self.folder(serve, session) / "manifest.json").exists())
        sluice("sessions", "recover", session, "--sessions-key-file", key, home=serve.home, check=0)
        shown = json.loads(sluice("sessions", "show", session, "--sessions-key-file", key, home=serve.home, check=0).stdout)
        self.assertEqual((shown["name"], shown["exchangeCount"], shown["encrypted"]), ("the-label", 3, True))


class CommandLine(Encrypted):
    def test_recordings_go_out_and_in_with_the_key_of_a_file_or_of_the_environment(self):
        key = self.key_file()
        serve = self.with_key(key)
        session = self.record(serve)
        serve.stop()
        self.assertIn("is encrypted", sluice("sessions", "export", session, home=serve.home, check=1).stderr)
        har = sluice("sessions", "export", session, "--sessions-key-file", key, home=serve.home, check=0).stdout
        self.assertEqual(len(json.loads(har)["log"]["entries"]), 3)
        environment = clean_environment(SLUICE_SESSIONS_KEY=base64.b64encode(bytes.fromhex(self.key)).decode())
        again = sluice("sessions", "export", session, home=serve.home, env=environment, check=0).stdout
        self.assertEqual(json.loads(again)["log"]["entries"], json.loads(har)["log"]["entries"])
        given = pathlib.Path(self.directory) / "given.har"
        given.write_text(har)
        made = sluice("sessions", "import", given, "--name", "the-label", home=serve.home, env=environment, check=0).stdout.split(":")[0]
        self.assertTellsNothing(self.folder(serve, made))
        self.assertEqual(sluice("sessions", "verify", made, home=serve.home, env=environment, check=0).stderr, "")
        back = json.loads(sluice("sessions", "export", made, home=serve.home, env=environment, check=0).stdout)
        self.assertEqual(len(back["log"]["entries"]), 3)

    def test_a_key_file_that_others_can_read_or_that_holds_no_key_keeps_it_from_starting(self):
        pipe = pathlib.Path(self.directory) / "pipe"
        os.mkfifo(pipe, 0o600)
        other = self.key[:32]
        cases = [(self.key_file(mode=0o640), "chmod 600"), (self.key_file(mode=0o602), "chmod"), (pipe, "regular file"),
                 (pathlib.Path(self.directory), "regular file"), (pathlib.Path(self.directory) / "nowhere", "cannot be read"),
                 (self.key_file(other), "is no key"), (self.key_file(""), "is no key"), (self.key_file("correct horse battery"), "is no key"),
                 (self.key_file(b"x" * 10_000), "larger")]
        for path, why in cases:
            with self.subTest(why=why, path=path):
                for command in (("serve", "--proxy-port", "0", "--control-port", "0"), ("sessions",)):
                    done = run(SLUICE, *command, "--sessions-key-file", path, "--home", f"{self.directory}/fresh")
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(why, done.stderr)
                    self.assertIn("sessions-key-file", done.stderr)
                    self.assertNotIn(other, done.stdout + done.stderr)
        for value in ("", "short", other):
            done = run(SLUICE, "sessions", "--home", f"{self.directory}/fresh", env=clean_environment(SLUICE_SESSIONS_KEY=value))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("SLUICE_SESSIONS_KEY", done.stderr)
            self.assertNotIn(other, done.stderr)
        raw = self.key_file(bytes.fromhex(self.key))
        sluice("sessions", "--sessions-key-file", raw, home=f"{self.directory}/fresh", check=0)

    def test_the_key_is_seen_nowhere(self):
        serve = self.another("--log-level", "debug", env=clean_environment(SLUICE_SESSIONS_KEY=self.key))
        self.assertTrue(serve.call("proxy_session_status")["encrypted"])
        self.record(serve)
        raw = bytes.fromhex(self.key)
        forms = [self.key.encode(), raw, base64.b64encode(raw)]
        proc = pathlib.Path(f"/proc/{serve.process.pid}")
        seen = {"cmdline": (proc / "cmdline").read_bytes(), "environ": (proc / "environ").read_bytes(), "log": serve.output().encode(),
                **self.contents(pathlib.Path(serve.home))}
        for name, octets in seen.items():
            for form in forms:
                self.assertNotIn(form, octets, name)

    def test_children_do_not_inherit_it(self):
        out = pathlib.Path(self.directory) / "environment"
        run(SLUICE, "gateway", "--home", f"{self.directory}/gateway", "--policy", pathlib.Path(ROOT) / "policies/full.json", "--", "sh", "-c", f"env > {out}", stdin=-3,
            env=clean_environment(SLUICE_SESSIONS_KEY=self.key))
        self.assertIn("PATH=", out.read_text())
        self.assertNotIn("SLUICE_SESSIONS_KEY", out.read_text())


if __name__ == "__main__":
    unittest.main()
