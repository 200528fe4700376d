"""Starts h2_origin.mjs, the HTTP/2 origin for tests."""
import json
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).with_name("h2_origin.mjs")


class H2Origin:
    def __init__(self, node, leaf=None, **options):
        if leaf:
            options["cert"], options["key"] = map(str, leaf)
        else:
            options["plain"] = True
        self.process = subprocess.Popen([node, str(SCRIPT), json.dumps(options)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=None, text=True)
        said = json.loads(self.process.stdout.readline())
        self.port, self.log_port = said["port"], said.get("log")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
