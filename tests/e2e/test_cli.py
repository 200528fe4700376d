"""The command line is a contract (DESIGN 3): codes, sentences, bad homes, busy ports, many processes on one home."""
import concurrent.futures
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

from harness import (E2E, PATIENCE, ROOT, SLUICE, THE_TOOLS, Serve, clean_environment, free_port, poll, run, sluice)


class Greeting(E2E):
    def test_it_says_what_is_not_seen_and_which_page_says_more(self):
        said = poll(self.serve.output, 5, "the greeting")
        (line,) = [line for line in said.splitlines() if "HTTP/3" in line]
        self.assertIn("HTTPS DNS records", line)
        page = line.rsplit(" ", 1)[1]
        text = (ROOT / page).read_text()
        for words in ("## HTTP/3 and HTTPS DNS records", "--disable-quic", "network.http.http3.enable", "--http1.1"):
            self.assertIn(words, text)


class WrongUsage(E2E):
    def one_sentence(self, done, *words, code):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        said = done.stderr.strip()
        self.assertTrue(said)
        self.assertLessEqual(len(said.splitlines()), 3, said)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, said)

    def test_unknown_flags_and_commands_name_the_nearest(self):
        self.one_sentence(sluice("serve", "--prox-port", "1"), "--proxy-port", code=2)
        self.one_sentence(sluice("serv"), "serve", code=2)
        self.one_sentence(sluice("mcp", "--tolset", "core"), "--toolset", code=2)
        self.one_sentence(sluice("serve", "--proxy-port", "lots"), code=2)
        self.one_sentence(sluice("serve", "--proxy-port", "70000"), code=2)
        self.one_sentence(sluice("serve", "--toolset", "everything"), code=2)

    def test_unknown_keys_of_the_configuration_name_the_nearest(self):
        path = self.directory / "config.yaml"
        path.write_text("serve:\n  proxy-prt: 1\n")
        self.one_sentence(sluice("serve", "--config", path, home=self.directory / "c1"), "proxy-port", code=2)
        path.write_text("serve: [oops\n")
        self.one_sentence(sluice("serve", "--config", path, home=self.directory / "c1"), code=2)
        self.one_sentence(sluice("serve", "--config", self.directory / "missing.yaml"), "missing.yaml", code=1)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for flag, other in (("--proxy-port", "--control-port"), ("--control-port", "--proxy-port")):
                with self.subTest(flag):
                    done = sluice("serve", flag, port, other, 0, home=self.directory / "busy")
                    self.one_sentence(done, str(port), code=1)
        self.assertEqual(list((self.directory / "busy" / "run").glob("*")), [])

    def test_a_home_that_cannot_be_written_is_named(self):
        blocked = self.directory / "file"
        blocked.write_text("not a directory")
        for home in (blocked, blocked / "below", "/proc/nowhere"):
            with self.subTest(str(home)):
                self.one_sentence(sluice("serve", "--proxy-port", 0, "--control-port", 0, home=home), str(home), code=1)

    @unittest.skipIf(os.getuid() == 0 and not os.path.exists("/usr/bin/setpriv"), "root writes everywhere, no setpriv")
    def test_a_read_only_home_is_named(self):
        home = self.directory / "locked" / "home"
        home.parent.mkdir()
        home.parent.chmod(0o555)
        self.directory.chmod(0o755)
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        if as_nobody and subprocess.run([*as_nobody, SLUICE, "--version"], capture_output=True).returncode != 0:
            self.skipTest("another user cannot run the program from this folder")
        done = run(*as_nobody, SLUICE, "serve", "--proxy-port", 0, "--control-port", 0, "--home", home)
        self.one_sentence(done, str(home), code=1)

    def test_a_corrupt_ca_is_refused_and_left_alone(self):
        for name in ("ca-cert.pem", "ca-key.pem"):
            with self.subTest(name):
                home = self.directory / f"corrupt-{name}"
                sluice("ca", "show", home=home)
                victim = home / "ca" / name
                victim.write_text("-----BEGIN NONSENSE-----\n")
                done = sluice("serve", "--proxy-port", 0, "--control-port", 0, home=home)
                self.one_sentence(done, name, code=1)
                self.assertEqual(victim.read_text(), "-----BEGIN NONSENSE-----\n")

    def test_beyond_loopback_needs_allow_client(self):
        done = sluice("serve", "--listen", f"0.0.0.0:{free_port()}", "--control-port", 0, home=self.directory / "open")
        self.one_sentence(done, "--allow-client", code=1 if done.returncode == 1 else 2)


class Commands(E2E):
    def cli(self, *arguments, check=0, **kwargs):
        return sluice(*arguments, home=self.serve.home, check=check, **kwargs).stdout

    def test_version_and_help(self):
        self.assertRegex(sluice("--version", check=0).stdout, r"\d+\.\d+")
        text = sluice("--help", check=0).stdout
        for command in ("serve", "mcp", "traffic", "call", "ca", "tools", "doctor"):
            self.assertIn(command, text)

    def test_traffic_and_call_look_at_the_running_serve(self):
        self.serve.curl(self.origin.url("/hello?cli"), "-H", "Authorization: Bearer visible-to-the-owner")
        rows = poll(lambda: json.loads(self.cli("traffic", "list", "--json")), 5, "a row")
        rows = rows["exchanges"] if isinstance(rows, dict) else rows
        row = [r for r in rows if "cli" in r["url"]][-1]
        self.assertIn("/hello?cli", self.cli("traffic", "list"))
        self.assertIn("visible-to-the-owner", self.cli("traffic", "show", row["id"]))
        self.assertEqual(self.cli("traffic", "body", row["id"]), "hello from the origin\n")
        status = json.loads(self.cli("call", "proxy_status"))
        self.assertTrue(status["running"])
        listed = json.loads(self.cli("call", "proxy_list_traffic", "url_filter=cli", "limit=1"))
        self.assertEqual(listed["showing"], 1)
        listed = json.loads(self.cli("call", "proxy_list_traffic", '{"url_filter":"cli","limit":1}'))
        self.assertEqual(listed["showing"], 1)
        self.assertEqual(sluice("call", "proxy_get_exchange", "exchange_id=nope", home=self.serve.home).returncode, 1)
        done = sluice("call", "proxy_statu", home=self.serve.home)
        self.assertNotEqual(done.returncode, 0)

    def test_show_has_the_messages_of_an_exchange(self):
        self.serve.curl(self.origin.url("/events?cli"))
        row = poll(lambda: self.serve.traffic(url_filter="/events?cli"), 5, "a row")[-1]
        shown = json.loads(self.cli("traffic", "show", row["id"]))
        self.assertEqual([item.get("text") for item in shown["messages"]["items"]],
                         ['{"password":"hidd3n-word"}', None, "two\nlines"])

    def test_tail_follows_what_comes_after_it_began(self):
        self.serve.curl(self.origin.url("/hello?before-tail"))
        poll(lambda: self.serve.traffic(url_filter="before-tail"), 5, "a row")
        tail = subprocess.Popen([SLUICE, "traffic", "tail", "--home", self.serve.home], stdout=subprocess.PIPE, text=True)
        try:
            lines = []
            reader = threading.Thread(target=lambda: [lines.append(line) for line in tail.stdout], daemon=True)
            reader.start()

            def after():
                self.serve.curl(self.origin.url("/hello?after-tail"))
                return lines
            poll(after, 10, "a line")
            self.assertIn("after-tail", lines[0])
            self.assertNotIn("before-tail", "".join(lines))
        finally:
            tail.kill()
            tail.wait()
            reader.join()
            tail.stdout.close()

    def test_without_a_serve_the_cli_says_so(self):
        done = sluice("traffic", "list", home=self.directory / "nobody")
        self.assertEqual(done.returncode, 1)
        self.assertIn("serve", done.stderr)

    def test_ca_show_and_export(self):
        self.assertIn(self.serve.ready["ca"]["spki_sha256"], self.cli("ca", "show"))
        pem = self.cli("ca", "export")
        self.assertIn("BEGIN CERTIFICATE", pem)
        self.assertNotIn("PRIVATE", pem)

    def test_tools_are_described_and_the_page_is_current(self):
        text = self.cli("tools")
        for name in THE_TOOLS:
            self.assertIn(name, text)
        page = self.cli("tools", "--markdown")
        self.assertEqual((ROOT / "docs" / "tools.md").read_text(), page, "run ./dev docs")

    def test_doctor_runs(self):
        done = sluice("doctor", home=self.serve.home)
        self.assertIn(done.returncode, (0, 1))
        self.assertTrue(done.stdout)

    def test_doctor_changes_nothing_in_a_home_that_it_looks_at(self):
        home = self.serve.directory / "looked-at"
        home.mkdir(mode=0o700)
        self.assertIn("serve makes one", sluice("doctor", home=home).stdout)
        self.assertEqual(list((home / "ca").glob("*")), [])

    def test_the_audit_names_every_call_and_no_secret(self):
        self.cli("call", "proxy_status")
        self.serve.call("proxy_status")
        files = [p for p in (self.serve.home / "audit").rglob("*") if p.is_file()]
        text = "".join(p.read_text(errors="replace") for p in files)
        for word in ("decision", "outcome", "proxy_status", "owner", "default"):
            self.assertIn(word, text)
        self.assertNotIn(self.serve.token, text)


class Lifecycle(E2E):
    def test_the_ready_file_says_everything_and_is_private(self):
        ready = self.serve.ready
        for key in ("pid", "proxy", "control", "token", "ca", "home"):
            self.assertIn(key, ready)
        self.assertEqual(ready["pid"], self.serve.process.pid)
        self.assertEqual(stat.S_IMODE(os.stat(self.serve.ready_file).st_mode), 0o600)
        self.assertEqual(ready["proxy"]["host"], "127.0.0.1")
        self.assertTrue(ready["control"]["mcp"].endswith("/mcp"))

    def test_sigterm_lets_exchanges_in_flight_end(self):
        with Serve("--upstream-ca", self.fakes.pem) as serve:
            client = serve.tunnel(f"localhost:{self.origin.port}")
            client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            client.read_head()
            serve.process.send_signal(signal.SIGTERM)
            poll(lambda: self.refuses(serve.proxy_port), 3, "the listener to close")
            for _ in range(3):
                self.assertEqual(client.read_exactly(10), b"0123456789")
                self.origin.gate.release()
            self.assertEqual(serve.process.wait(5 * PATIENCE), 0)

    @staticmethod
    def refuses(port):
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return False
        except OSError:
            return True

    def test_sigterm_waits_five_seconds_at_most_and_a_second_signal_ends_at_once(self):
        for signals, least, most in ((1, 3, 8), (2, 0, 3)):
            with self.subTest(signals), Serve("--upstream-ca", self.fakes.pem) as serve:
                client = serve.tunnel(f"localhost:{self.origin.port}")
                client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                client.read_head()
                start = time.monotonic()
                serve.process.send_signal(signal.SIGTERM)
                if signals == 2:
                    poll(lambda: self.refuses(serve.proxy_port), 3, "the listener to close")
                    serve.process.send_signal(signal.SIGTERM)
                serve.process.wait(most * PATIENCE)
                self.assertGreater(time.monotonic() - start, least)
                for _ in range(3):
                    self.origin.gate.release()
                client.close()

    def test_idle_connections_do_not_hold_up_the_end(self):
        with Serve("--upstream-ca", self.fakes.pem) as serve:
            client = serve.tunnel(f"localhost:{self.origin.port}")
            client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            client.read_answer()
            start = time.monotonic()
            self.assertEqual(serve.stop(), 0)
            self.assertLess(time.monotonic() - start, 2 * PATIENCE)

    def test_no_proxy_waits_for_proxy_start(self):
        port = free_port()
        with Serve("--no-proxy", proxy_port=port) as serve:
            self.assertTrue(self.refuses(port))
            self.assertFalse(serve.call("proxy_status")["running"])
            self.assertEqual(serve.call("proxy_start")["port"], port)
            self.assertFalse(self.refuses(port))

    def test_a_killed_serves_leftovers_are_cleared(self):
        home = self.directory / "killed"
        serve = Serve("--upstream-ca", self.fakes.pem, home=home)
        serve.curl("-o", "/dev/null", self.origin.url("/large?size=2000000"))
        serve.process.kill()
        serve.process.wait()
        self.addCleanup(serve.stop)
        with Serve("--upstream-ca", self.fakes.pem, home=home) as again:
            self.assertEqual(len(list((home / "spool").iterdir())), 1)
            status = json.loads(sluice("call", "proxy_status", home=home, check=0).stdout)
            self.assertEqual(status["port"], again.proxy_port)  # what the killed one left in run/ misleads nobody
            self.assertEqual(again.ready["ca"]["spki_sha256"], serve.ready["ca"]["spki_sha256"])


class OneHome(E2E):
    def test_two_serves_and_eight_mcps_at_once_on_a_fresh_home_have_one_ca(self):
        home = self.directory / "shared"
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "proxy_get_ca_cert", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}}}}) + "\n"
        start = json.loads(call)
        start["id"], start["params"]["name"] = 2, "proxy_start"
        mcps = [subprocess.Popen([SLUICE, "mcp", "--home", str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=clean_environment()) for _ in range(8)]
        serves = [Serve("--upstream-ca", self.fakes.pem, home=home, wait=False) for _ in range(2)]
        try:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                outputs = list(pool.map(lambda p: p.communicate((call + json.dumps(start) + "\n").encode(),
                                                                20 * PATIENCE), mcps))
            fingerprints = {serve.wait_ready().ready["ca"]["spki_sha256"] for serve in serves}
            for process, (out, err) in zip(mcps, outputs):
                self.assertEqual(process.returncode, 0, err.decode())
                replies = {m["id"]: m for m in map(json.loads, out.splitlines()) if "id" in m}
                self.assertNotIn("isError", [k for k, v in replies[2]["result"].items() if v is True], replies[2])
                fingerprints.add(replies[1]["result"]["structuredContent"]["fingerprint"])
            self.assertEqual(len(fingerprints), 1)
            for serve in serves:
                self.assertEqual(serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")
            self.assertEqual(len({serve.token for serve in serves}), 1)
            done = sluice("call", "proxy_status", home=home, check=0)
            self.assertIn(json.loads(done.stdout)["port"], [s.proxy_port for s in serves])
            self.assertTrue(done.stderr)  # several serve: the one taken is named
            chosen = sluice("call", "--pid", serves[0].process.pid, "proxy_status", home=home, check=0)
            self.assertEqual(json.loads(chosen.stdout)["port"], serves[0].proxy_port)
        finally:
            for process in mcps:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            for serve in serves:
                serve.stop()


if __name__ == "__main__":
    unittest.main()
