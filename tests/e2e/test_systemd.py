"""packaging/sluice.service: Sluice as a user of its own (gate.md 1). systemd reads the unit, and what it starts runs here as
another user with as little as the unit leaves it."""
import configparser
import os
import pathlib
import shlex
import shutil
import stat
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from harness import SLUICE, Origin, Serve, needs, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging" / "sluice.service"
ITS_USER, SOMEBODY = 65_531, 65_532  # no accounts: nothing else runs as these


class Unit(unittest.TestCase):
    def setUp(self):
        if not os.access(SLUICE, os.X_OK):
            self.skipTest(f"{SLUICE} is not built")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-unit."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o755)
        self.program = self.directory / "sluice"
        shutil.copy(SLUICE, self.program)
        self.program.chmod(0o755)
        parser = configparser.ConfigParser(strict=False)
        parser.optionxform = str
        parser.read(UNIT)
        self.service = parser["Service"]

    def test_systemd_has_nothing_to_say_against_it(self):
        analyze = needs("systemd-analyze", "systemd")
        unit = self.directory / "sluice.service"
        unit.write_text(UNIT.read_text().replace("/usr/bin/sluice", str(self.program)))
        done = run(analyze, "verify", "--man=no", unit)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        unit.write_text(UNIT.read_text().replace("/usr/bin/sluice", str(self.program)) + "\n[Service]\nNoSuchThing=1\n")
        self.assertIn("NoSuchThing", run(analyze, "verify", "--man=no", unit).stderr)  # it would have

    def test_what_it_starts_serves_as_a_user_of_its_own(self):
        """… and a stranger on this machine reaches neither what it keeps nor its tools."""
        command = shlex.split(self.service["ExecStart"])
        self.assertEqual(command[:2], ["/usr/bin/sluice", "serve"])
        policy = self.directory / "etc" / "policy.json"
        policy.parent.mkdir()
        policy.write_text((ROOT / "policies" / "read-only.json").read_text())
        flags = [str(policy) if word == "/etc/sluice/policy.json" else word for word in command[2:]]
        self.assertIn(str(policy), flags)
        state = self.directory / "state"
        state.mkdir(mode=int(self.service["StateDirectoryMode"], 8))
        (self.directory / "run").mkdir(mode=0o777)
        (self.directory / "run").chmod(0o777)  # the ready file of this test
        prefix = []
        if os.geteuid() == 0:
            os.chown(state, ITS_USER, ITS_USER)
            prefix = [needs("setpriv", "util-linux"), f"--reuid={ITS_USER}", f"--regid={ITS_USER}", "--clear-groups",
                      "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        with Origin() as origin, Serve(*flags, home=state, directory=self.directory / "run", prefix=prefix,
                                       program=self.program) as serve:
            answer = serve.curl("--include", origin.url("/hello"))
            self.assertEqual(answer.stdout.splitlines()[0], "HTTP/1.1 200 OK")
            if os.geteuid() == 0:
                self.assertEqual(os.stat(f"/proc/{serve.process.pid}").st_uid, ITS_USER)
                for path in [state, *state.rglob("*")]:
                    self.assertEqual((path.stat().st_uid, stat.S_IMODE(path.stat().st_mode) & 0o077), (ITS_USER, 0), path)
                seen = subprocess.run(["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "ls", state],
                                      capture_output=True, text=True)
                self.assertNotEqual(seen.returncode, 0)
                self.assertIn("Permission denied", seen.stderr)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(serve.mcp_url, data=b"{}", method="POST"))
            refused.exception.close()
            self.assertEqual(refused.exception.code, 401)


if __name__ == "__main__":
    unittest.main()
