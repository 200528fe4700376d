"""Upstream proxies that a script chooses: what of PAC meets the rest of the engine. docs/upstream.md."""
import json
import pathlib
import signal
import subprocess

from harness import SLUICE, Serve, ToolError, clean_environment, poll
from fakes.proxies import free_port
from test_upstream_rules import UpstreamTest


def children(pid):
    """The processes that this one has started, those that nobody has reaped too."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Scripts(UpstreamTest):
    def setUp(self):
        super().setUp()
        self.scripts = self.new_origin(plain=True)
        self.asked = 0

    def use_script(self, body, name="proxy.pac"):
        def answer(talk):
            self.asked += 1
            talk.answer(body=f"function FindProxyForURL(url, host) {{ {body} }}",
                        fields=[("Content-Type", "application/x-ns-proxy-autoconfig")])
        self.asked_for = f"/secret-{self.id().rpartition('.')[2]}-{len(self.scripts.routes)}/{name}"
        self.scripts.routes[self.asked_for] = answer
        return self.use(f"pac+http://localhost:{self.scripts.port}{self.asked_for}?token=hunter2")

    def test_the_script_chooses_by_url_and_host(self):
        squid, socks = self.squid(), self.socks()
        answer = self.use_script(f"""if (url.substring(0, 5) == 'http:') return 'PROXY localhost:{squid.port}';
            if (host == 'localhost') return 'SOCKS5 localhost:{socks.port}'; return 'DIRECT';""")
        self.assertEqual(answer["message"], f"Global upstream set to pac+http://localhost:{self.scripts.port}/***/***")
        self.assertEqual(self.way_of("/hello?pac-p", origin=self.plain), f"http://localhost:{squid.port}/")
        self.assertEqual(self.way_of("/hello?pac-s"), f"socks5h://localhost:{socks.port}")
        self.assertIn("hello", self.get(f"https://127.0.0.1:{self.origin.port}/hello?pac-d"))
        self.assertIsNone(self.proxy_of("?pac-d"))
        self.assertEqual(self.asked, 1)

    def test_choices_are_tried_in_order(self):
        gone = free_port()
        self.use_script(f"return 'PROXY localhost:{gone}; SOCKS5 localhost:{gone}; PROXY localhost:{self.squid().port}'")
        for origin in (self.origin, self.plain):
            self.assertEqual(self.way_of(f"/hello?order-{origin.scheme}", origin=origin), self.squid().url() + "/")
        self.use_script(f"return 'PROXY localhost:{gone}; DIRECT'")
        self.assertIsNone(self.way_of("/hello?then-direct"))

    def test_a_failure_is_a_502_and_never_a_direct_connection(self):
        gone = free_port()
        cases = [("throw", "throw new Error('broken')"), ("nonsense", "return 42"), ("gone", f"return 'PROXY localhost:{gone}'"),
                 ("syntax", "return ((("), ("endless", "for (;;) {}")]
        for name, body in cases:
            with self.subTest(name):
                self.use_script(body)
                page = self.get(self.origin.url(f"/hello?{name}"), seconds=40)
                self.assertIn("502", page.partition("\n")[0])
                self.assertNotIn("secret-", page)
                self.assertNotIn("hunter2", page)
                code = "upstream_proxy" if name == "gone" else "pac"
                self.assertEqual(self.serve.exchange(f"?{name}")["error"]["code"], code)
        self.use(f"pac+http://localhost:{gone}/proxy.pac")
        self.assertIn("502", self.get(self.plain.url("/hello?unfetched")).partition("\n")[0])
        self.assertEqual(self.origin.requests + self.plain.requests, [])

    def test_files_are_read_beneath_the_roots_or_where_the_flag_says(self):
        inside, outside = self.directory / "roots", self.directory / "elsewhere"
        for folder in (inside, outside):
            folder.mkdir()
            (folder / "proxy.pac").write_text(f"function FindProxyForURL() {{ return 'PROXY localhost:{self.squid().port}' }}")
        serve = Serve("--upstream-ca", self.fakes.pem, "--allow-root", inside)
        self.addCleanup(serve.stop)
        for folder, good in ((inside, True), (outside, False)):
            serve.call("proxy_set_upstream", proxy_url=f"pac+file://{folder}/proxy.pac")
            page = self.get(self.plain.url(f"/hello?{good}"), serve)
            self.assertIn("200" if good else "502", page.partition("\n")[0], page)
        flag = Serve("--upstream-ca", self.fakes.pem, "--allow-root", inside, "--upstream", f"pac+file://{outside}/proxy.pac")
        self.addCleanup(flag.stop)
        self.assertEqual(self.way_of("/hello?flag", flag, self.plain), self.squid().url() + "/")

    def test_the_choice_of_our_own_port_is_a_loop(self):
        self.use_script(f"return 'PROXY 127.0.0.1:{self.serve.proxy_port}'")
        self.assertIn("508", self.get(self.plain.url("/hello?loop")).partition("\n")[0])

    def test_no_process_outlives_the_program(self):
        script = self.directory / "loop.pac"
        script.write_text("function FindProxyForURL(url, host) { while (host == '127.0.0.1') {} return 'DIRECT'; }")
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number.name), Serve("--upstream-ca", self.fakes.pem, "--upstream", f"pac+file://{script}") as serve:
                self.assertEqual(children(serve.process.pid), [], "none before a script is asked")
                self.assertIn("200", self.get(self.plain.url(f"/hello?{number.name}"), serve).partition("\n")[0])
                [child] = children(serve.process.pid)
                asker = subprocess.Popen(["curl", "--silent", "--proxy", serve.proxy_url, "--noproxy", "",
                                          f"http://127.0.0.1:{self.plain.port}/"], stdout=subprocess.DEVNULL, env=clean_environment())
                self.addCleanup(asker.wait)
                self.addCleanup(asker.kill)
                poll(lambda: int(pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11]) > 5, 5,
                     "the script's loop")
                serve.stop(number)
                poll(lambda: not is_there(child), what="the end of the script's process")

    def test_the_command_of_the_processes_is_no_command_of_ours(self):
        for arguments in (["pac-child"], ["pac-child", "1"], ["pac-child", "x"]):
            done = subprocess.run([SLUICE, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
            self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(b"pac-child", subprocess.run([SLUICE, "--help"], capture_output=True, timeout=10, check=True).stdout)
