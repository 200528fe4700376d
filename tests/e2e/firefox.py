"""A headless Firefox with its own developer tools beside the page, over Marionette: what its network panel saves as HAR."""
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from harness import clean_environment, free_port, poll

SETTINGS = {"datareporting.policy.dataSubmissionEnabled": False, "browser.shell.checkDefaultBrowser": False, "app.update.enabled": False,
            "browser.startup.homepage_override.mstone": "ignore", "toolkit.telemetry.enabled": False,
            "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False}
TOOLS = """
const {require} = ChromeUtils.importESModule("resource://devtools/shared/loader/Loader.sys.mjs");
const {gDevTools} = require("devtools/client/framework/devtools");
const browser = Services.wm.getMostRecentWindow("navigator:browser").gBrowser;
const tools = async () => (await gDevTools.showToolboxForTab(browser.selectedTab, {toolId: "netmonitor"})).getNetMonitorAPI();
const args = Array.from(arguments), done = args.pop();
const work = async () => { %s };
work().then(done, e => done("failed: " + e + e.stack));
"""
VISIT = """await tools(); browser.selectedBrowser.loadURI(Services.io.newURI(args[0]),
  {triggeringPrincipal: Services.scriptSecurityManager.getSystemPrincipal()}); return "";"""
TITLE = "return browser.selectedBrowser.contentTitle;"
HAR = "return JSON.stringify(await (await tools()).getHar());"


def program():
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """with Firefox(directory) as tools: tools.visit(url, lambda title: …); tools.har(1)"""

    def __init__(self, directory):
        self.home = pathlib.Path(tempfile.mkdtemp(dir=directory, prefix="firefox."))
        self.port, self.number, self.socket = free_port(), 0, None
        profile = self.home / "profile"
        profile.mkdir()
        settings = SETTINGS | {"marionette.port": self.port}
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()))
        self.command = [program(), "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile", profile, "about:blank"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=clean_environment(HOME=self.home, XDG_CONFIG_HOME=self.home, XDG_CACHE_HOME=self.home))
        try:
            self.socket = poll(self.connect, 60, "Firefox")
            self.read()
            self.call("WebDriver:NewSession", capabilities={})
            self.call("WebDriver:SetTimeouts", script=30_000)
            self.call("Marionette:SetContext", value="chrome")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.socket:
            self.socket.close()
        self.process.terminate()
        self.process.wait(30)

    def connect(self):
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=60)
        except OSError:
            return None

    def exactly(self, count):
        octets = b""
        while len(octets) < count:
            piece = self.socket.recv(count - len(octets))
            if not piece:
                raise RuntimeError("Firefox closed the connection")
            octets += piece
        return octets

    def read(self):
        """A message: its length in octets, a colon, JSON."""
        digits = b""
        while not digits.endswith(b":"):
            digits += self.exactly(1)
        return json.loads(self.exactly(int(digits[:-1])))

    def call(self, command, **params):
        self.number += 1
        message = json.dumps([0, self.number, command, params]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(f"{command}: {error}")
        return result

    def run(self, script, *arguments):
        value = self.call("WebDriver:ExecuteAsyncScript", script=TOOLS % script, args=list(arguments), newSandbox=True)["value"]
        if str(value).startswith("failed: "):
            raise RuntimeError(value)
        return value

    def visit(self, url, title):
        self.run(VISIT, url)
        poll(lambda: (self.run(TITLE) or "").startswith(title), 30, "the page")

    def har(self, entries):
        """What its network panel saves, once it has so many entries that have ended. It takes in what is new between two
        looks only if nobody looks for a while."""
        def saved():
            time.sleep(0.5)
            text = self.run(HAR)
            return text if len([e for e in json.loads(text)["log"]["entries"] if e["response"].get("status")]) >= entries else None
        return json.loads(poll(saved, 30, "the requests in its log"))
