"""A program that speaks JSON, one value a line, on its standard input and output.

    program = JsonLines(node, "server.mjs"); port = program.wait(lambda line: "port" in line)["port"]
    program.say(open="a"); … program.close()
"""
import json
import subprocess
import threading


class JsonLines:
    def __init__(self, *command, env=None):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=env)
        self.lines, self.changed, self.ended = [], threading.Condition(), False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def say(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def wait(self, wanted, seconds=15):
        """The first line that `wanted` holds for, also one that came before."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or any(map(wanted, self.lines)), seconds)
            for line in self.lines:
                if wanted(line):
                    return line
            raise AssertionError(f"none of {self.lines}{' (it has ended)' if self.ended else ''}")

    def close(self):
        """End of input: that is when such a program ends."""
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()
