"""Real proxies (squid, microsocks, danted) as children in folders of their own, on loopback, and one that lies."""
import hashlib
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from fakes.listen import Talker
from fakes.pki import openssl

USER, PASSWORD, REALM = "agent", "hunter2+correct/horse", "Real proxies"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Child:
    """A program that listens on `port`; the folder goes with it."""

    def __init__(self, prefix):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.directory.chmod(0o755)
        self.port = free_port()
        self.process = None

    def start(self, command, seconds=20):
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, cwd=self.directory)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        text = "".join(p.read_text(errors="replace")[-2000:] for p in self.directory.iterdir()
                       if p.name in ("output", "cache.log"))
        self.close()
        raise AssertionError(f"{command[0]} does not listen: {text}")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def url(scheme, port, user=None, password=None, host="localhost"):
    def code(text):
        return "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in text)
    info = f"{code(user)}:{code(password)}@" if password else f"{user}@" if user else ""
    return f"{scheme}://{info}{host}:{port}"


class Squid(Child):
    """auth: None, "basic", "digest" or "both"; tls: (certificate, key) for a proxy behind TLS. CONNECT to `plain_ports` is
    refused, as squid's own default does with port 80."""

    def __init__(self, squid, auth=None, tls=None, plain_ports=(), nonce_uses=50, password=PASSWORD):
        super().__init__("squid-e2e.")
        self.scheme = "https" if tls else "http"
        home = self.directory
        lines = [f"pid_filename {home}/pid", f"access_log stdio:{home}/access.log", f"cache_log {home}/cache.log",
                 f"coredump_dir {home}", "cache deny all", "shutdown_lifetime 0 seconds", "visible_hostname squid.test",
                 "forwarded_for delete", "via off", "strip_query_terms off", "pinger_enable off", "dns_defnames off", "max_filedescriptors 1024"]
        if tls:
            for name, source in zip(("tls.pem", "tls.key"), tls):
                (home / name).write_bytes(pathlib.Path(source).read_bytes())
            lines.append(f"https_port 127.0.0.1:{self.port} tls-cert={home}/tls.pem tls-key={home}/tls.key")
        else:
            lines.append(f"http_port 127.0.0.1:{self.port}")
        if auth in ("basic", "both"):
            (home / "passwd").write_text(f"{USER}:" + openssl("passwd", "-apr1", password).decode())
            lines += [f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {home}/passwd",
                      "auth_param basic children 1", f"auth_param basic realm {REALM}"]
        if auth in ("digest", "both"):
            first = hashlib.md5(f"{USER}:{REALM}:{password}".encode()).hexdigest()
            (home / "digest").write_text(f"{USER}:{REALM}:{first}\n")
            lines += [f"auth_param digest program /usr/lib/squid/digest_file_auth -c {home}/digest",
                      "auth_param digest children 1", f"auth_param digest realm {REALM}",
                      f"auth_param digest nonce_max_count {nonce_uses}"]
        for port in plain_ports:
            lines.append(f"acl plain port {port}")
        if plain_ports:
            lines.append("http_access deny CONNECT plain")
        if auth:
            lines += ["acl known proxy_auth REQUIRED", "http_access allow known", "http_access deny all"]
        else:
            lines.append("http_access allow all")
        if os.geteuid() == 0:
            lines.append("cache_effective_user proxy")
            owner = pwd.getpwnam("proxy")
            for path in (home, *home.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        (home / "squid.conf").write_text("\n".join(lines) + "\n")
        self.start([squid, "-N", "-f", home / "squid.conf"])

    def url(self, user=None, password=None, **kwargs):
        return url(self.scheme, self.port, user, password, **kwargs)

    def log(self):
        """What was asked of it: [(method, URL or authority, "TCP_TUNNEL/200")]."""
        path = self.directory / "access.log"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(row[5], row[6], row[3]) for row in rows if len(row) > 6]


class Microsocks(Child):
    def __init__(self, program, password=None):
        super().__init__("microsocks-e2e.")
        credentials = ["-u", USER, "-P", password] if password else []
        self.start([program, "-i", "127.0.0.1", "-p", self.port, *credentials])

    def url(self, scheme="socks5h", user=None, password=None, **kwargs):
        return url(scheme, self.port, user, password, **kwargs)


class Danted(Child):
    """Speaks SOCKS4 and SOCKS5."""

    def __init__(self, program):
        super().__init__("danted-e2e.")
        me = pwd.getpwuid(os.geteuid()).pw_name
        (self.directory / "danted.conf").write_text(f"""logoutput: {self.directory}/log
internal: 127.0.0.1 port = {self.port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {me}
user.unprivileged: {me}
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 protocol: tcp }}
""")
        self.start([program, "-f", self.directory / "danted.conf", "-p", self.directory / "pid"])

    def url(self, scheme="socks5", **kwargs):
        return url(scheme, self.port, **kwargs)


class Lying(Talker):
    """Says `octets` to whoever has sent something, then ends (or keeps silent)."""

    def __init__(self, octets, ends=True):
        self.heard, self.silence = [], threading.Event()

        def say(sock):
            self.heard.append(sock.recv(65536))
            sock.sendall(octets)
            if not ends:
                self.silence.wait(self.seconds)

        super().__init__(say)

    def close(self):
        self.silence.set()
        super().close()
