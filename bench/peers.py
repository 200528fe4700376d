"""The programs that `./dev bench` compares, each started fresh on free loopback ports and ended by its process group."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen after {seconds} s")


class Certificates:
    """A CA and a leaf for `localhost`, ECDSA P-256, made by openssl."""

    def __init__(self, directory):
        self.ca, self.ca_key = directory / "ca.pem", directory / "ca.key"
        self.leaf, self.leaf_key = directory / "leaf.pem", directory / "leaf.key"
        request = directory / "leaf.csr"
        extensions = directory / "leaf.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")

        def openssl(*args):
            subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", self.ca_key, "-out", self.ca, "-days", 30, "-subj", "/CN=bench CA",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", *key, "-keyout", self.leaf_key, "-out", request, "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", 30,
                "-extfile", extensions, "-out", self.leaf)
        for key_file in (self.ca_key, self.leaf_key):
            key_file.chmod(0o644)  # of this run only; a peer may have dropped root


class Processes:
    """CPU and memory of a program and everything that it started."""

    def __init__(self, pid):
        self.pid = pid

    def members(self):
        found, parents = {self.pid}, {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = (int(fields[1]), int(fields[3]))  # parent, session
        changed = True
        while changed:
            changed = False
            for pid, (parent, session) in parents.items():
                if pid not in found and (parent in found or session == self.pid):
                    found.add(pid)
                    changed = True
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.members():
            try:
                fields = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return ticks / CLOCK_TICKS

    def thread_seconds(self, name):
        """Of the threads of that name."""
        ticks = 0
        for pid in self.members():
            for task in pathlib.Path("/proc", str(pid), "task").glob("*"):
                try:
                    if (task / "comm").read_text().strip() == name:
                        fields = (task / "stat").read_text().rpartition(")")[2].split()
                        ticks += int(fields[11]) + int(fields[12])
                except OSError:
                    pass
        return ticks / CLOCK_TICKS

    def memory_kib(self, what):
        """VmRSS: now; VmHWM: the most there was."""
        total = 0
        for pid in self.members():
            try:
                for line in pathlib.Path("/proc", str(pid), "status").read_text().splitlines():
                    if line.startswith(what + ":"):
                        total += int(line.split()[1])
            except OSError:
                pass
        return total


class Peer:
    name = ""
    through_proxy = True
    needs = ""
    apart = ""  # threads of that name are counted apart

    def __init__(self, directory, certificates, origin_port):
        self.directory, self.certificates, self.origin_port = directory, certificates, origin_port
        self.port = free_port()
        self.process = None
        self.client_ca = certificates.ca

    @classmethod
    def available(cls):
        return shutil.which(cls.needs, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        log = open(self.directory / "output.log", "wb")
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        environment["PATH"] = environment.get("PATH", "") + ":/usr/sbin:/sbin"
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True, env=environment, cwd=self.directory)
        try:
            self.wait_ready()
        except RuntimeError as error:
            self.stop()
            tail = (self.directory / "output.log").read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{self.name}: {error}\n{tail}") from error
        self.processes = Processes(self.process.pid)

    def wait_ready(self):
        wait_for_port(self.port, self.process)

    def command(self):
        raise NotImplementedError

    def load_arguments(self):
        if self.through_proxy:
            return ["--proxy", f"127.0.0.1:{self.port}", "--server", f"127.0.0.1:{self.origin_port}"]
        return ["--server", f"127.0.0.1:{self.port}"]

    # Why a row does not count, or None. Only Sluice keeps anything.
    def complaint(self, requests, size):
        return None

    def complaint_of_sockets(self, sockets, messages, size):
        return None

    def complaint_of_idle(self, sockets):
        return None

    def stop(self):
        if self.process is None:
            return
        group = self.process.pid
        for number, patience in ((signal.SIGTERM, 8), (signal.SIGKILL, 5)):
            try:
                os.killpg(group, number)
                self.process.wait(patience)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(group, signal.SIGKILL)  # helpers that outlived it
        except ProcessLookupError:
            pass
        self.process = None


NGINX_MAIN = """
daemon off; master_process on; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log warn; {user}
events {{ worker_connections {connections}; }}
"""
NGINX_HTTP = """
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 600; keepalive_requests 1000000000;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s;
  ssl_protocols TLSv1.3; ssl_ecdh_curve X25519:prime256v1; ssl_session_tickets off; ssl_session_cache off;
  ssl_certificate {leaf}; ssl_certificate_key {key};
"""


class Nginx(Peer):
    """TLS-to-TLS reverse proxy, one worker, upstream keep-alive: forwards and records nothing."""
    name, needs, through_proxy = "nginx", "nginx", False
    listen_as = "ssl"

    def body(self):
        return f"""
  upstream origin {{ server 127.0.0.1:{self.origin_port}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{self.port} {self.listen_as}; server_name localhost;
    location / {{
      proxy_pass https://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.certificates.ca}; proxy_ssl_name localhost;
      proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on; proxy_max_temp_file_size 0;
    }}
  }}
}}
"""

    def main(self, connections=4096):
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
        return NGINX_MAIN.format(dir=self.directory, user=user, connections=connections)

    def configuration(self):
        head = NGINX_HTTP.format(dir=self.directory, leaf=self.certificates.leaf, key=self.certificates.leaf_key)
        return self.main() + head + self.body()

    def command(self):
        path = self.directory / "nginx.conf"
        path.write_text(self.configuration())
        return ["nginx", "-c", str(path), "-p", str(self.directory), "-e", str(self.directory / "error.log")]


class Origin(Nginx):
    """nginx as a TLS server of static files."""
    name = "origin"

    def __init__(self, directory, certificates, files):
        super().__init__(directory, certificates, 0)
        self.files = files

    def body(self):
        return f"""
  open_file_cache max=100;
  server {{
    listen 127.0.0.1:{self.port} {self.listen_as}; listen [::1]:{self.port} {self.listen_as}; server_name localhost;
    root {self.files};
  }}
}}
"""

    def configuration(self):
        text = super().configuration()
        if not os.path.exists("/proc/net/if_inet6") or not pathlib.Path("/proc/net/if_inet6").read_text():
            text = text.replace(f"listen [::1]:{self.port} {self.listen_as};", "")
        return text


class Direct(Peer):
    """No peer: straight to the origin."""
    name, through_proxy = "direct", False

    class Processes:
        def cpu_seconds(self):
            return 0

        def memory_kib(self, _):
            return 0

    @classmethod
    def available(cls):
        return True

    def start(self):
        self.port, self.processes = self.origin_port, self.Processes()

    def complaint(self, requests, size):
        return None


class Squid(Peer):
    """ssl-bump with generated certificates; no cache."""
    name, needs = "squid", "squid"

    def command(self):
        both = self.directory / "ca-both.pem"
        both.write_text(self.certificates.ca.read_text() + self.certificates.ca_key.read_text())
        both.chmod(0o644)
        helper = next((p for p in ("/usr/lib/squid/security_file_certgen", "/usr/libexec/squid/security_file_certgen")
                       if os.path.exists(p)), "security_file_certgen")
        database = self.directory / "certificates"
        shutil.rmtree(database, ignore_errors=True)
        subprocess.run([helper, "-c", "-s", str(database), "-M", "4MB"], check=True, capture_output=True)
        if os.getuid() == 0:
            owner = pwd.getpwnam("proxy")
            for path in [self.directory, database, *database.rglob("*")]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        conf = self.directory / "squid.conf"
        conf.write_text(f"""
http_port 127.0.0.1:{self.port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={both}
sslcrtd_program {helper} -s {database} -M 4MB
sslcrtd_children 2 startup=2 idle=1
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={self.certificates.ca} min-version=1.3
http_access allow all
cache deny all
cache_mem 8 MB
access_log none
cache_log {self.directory}/cache.log
pid_filename none
netdb_filename none
coredump_dir {self.directory}
client_persistent_connections on
server_persistent_connections on
via off
forwarded_for transparent
visible_hostname localhost
max_filedescriptors 4096
dns_v4_first on
shutdown_lifetime 1 seconds
logfile_rotate 0
""")
        return ["squid", "-N", "-f", str(conf)]


class Mitmdump(Peer):
    name, needs = "mitmdump", "mitmdump"

    def command(self):
        home = self.directory / "mitmproxy"
        home.mkdir(exist_ok=True)
        (home / "mitmproxy-ca.pem").write_text(self.certificates.ca_key.read_text() + self.certificates.ca.read_text())
        return ["mitmdump", "-q", "--listen-host", "127.0.0.1", "--listen-port", str(self.port), "--set",
                f"confdir={home}", "--set", f"ssl_verify_upstream_trusted_ca={self.certificates.ca}"]


class Sluice(Peer):
    """Full-body capture on, upstream verified."""
    name = "sluice"
    program = ""
    workers = 1

    @classmethod
    def available(cls):
        return os.access(cls.program, os.X_OK)

    def command(self):
        home = self.directory / "home"
        shutil.rmtree(home, ignore_errors=True)
        self.ready_file = self.directory / "ready.json"
        self.ready_file.unlink(missing_ok=True)
        return [self.program, "serve", "--home", str(home), "--proxy-port", "0", "--control-port", "0", "--ready-file",
                str(self.ready_file), "--upstream-ca", str(self.certificates.ca), "--quiet", "--workers", str(self.workers)]

    def wait_ready(self):
        end = time.monotonic() + 20
        while not self.ready_file.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError("no ready file after 20 s")
            time.sleep(0.02)
        self.ready = json.loads(self.ready_file.read_text())
        self.port = self.ready["proxy"]["port"]
        self.client_ca = self.ready["ca"]["pem"]

    def call(self, tool, **arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientCapabilities": {}}}}
        request = urllib.request.Request(self.ready["control"]["mcp"], json.dumps(message).encode(), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Authorization": "Bearer " + self.ready["token"], "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call", "Mcp-Name": tool})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            text = answer.read().decode()
        if not text.startswith("{"):
            text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:"))
        reply = json.loads(text)
        if "error" in reply:
            raise RuntimeError(f"{tool}: {reply['error']['message']}")
        result = reply["result"]
        if result.get("isError"):
            raise RuntimeError(result["content"][0]["text"])
        return result["structuredContent"]

    def kept(self, exchanges):
        capture = self.call("proxy_status")["capture"]
        if capture["bodiesCut"] or capture["recordsLost"]:
            return f"{capture['bodiesCut']} bodies were cut, {capture['recordsLost']} records lost"
        if capture["exchanges"] < exchanges:
            return f"{capture['exchanges']} exchanges were recorded of {exchanges}"
        return None

    def latencies_us(self):
        """Of each tool call that has ended, as its audit says."""
        lines = [line for file in sorted((self.directory / "home" / "audit").glob("*.jsonl"))
                 for line in file.read_text().splitlines()]
        return [line["latency_us"] for line in map(json.loads, lines) if line["type"] == "outcome"]

    def newest(self, count, include, limit, state="done"):
        for row in self.call("proxy_list_traffic", limit=count, offset=-count, state=[state])["exchanges"]:
            exchange = self.call("proxy_get_exchange", exchange_id=row["id"], include=[include], limit=limit)
            yield row, exchange["exchange"]

    def complaint(self, requests, size):
        """Every body must have been kept whole: the counters, and the newest records themselves."""
        for row, exchange in self.newest(20, "response_body", 1):
            body = exchange["response"]["body"]
            if row["responseSize"] != size or not body["complete"] or body["total"] != size:
                return f"a record holds {body['total']} octets of {size}"
        return self.kept(requests)

    def complaint_of_sockets(self, sockets, messages, size):
        """Every message of the last round must have been kept, and whole."""
        listed = 0
        for _, exchange in self.newest(sockets, "messages", 1):
            kept = exchange["messages"]
            if kept["kind"] != "websocket" or not kept["complete"]:
                return "a record does not hold all messages of its socket"
            listed += kept["total"]
        if listed != messages:
            return f"{listed} messages were recorded of {messages}"
        return self.kept(sockets)

    def complaint_of_idle(self, sockets):
        for _, exchange in self.newest(20, "messages", 2, "open"):
            sizes = [message["bytes"] for message in exchange["messages"]["items"]]
            if len(sizes) != 2:
                return f"a record lists {len(sizes)} messages of 2"
        capture = self.call("proxy_status")["capture"]
        if capture["evicted"]:
            return f"{capture['evicted']} records of open sockets were given up"
        return self.kept(sockets)


class SluiceWithTwoWorkers(Sluice):
    name = "sluice-2-workers"
    workers = 2


class SluiceRecording(Sluice):
    """... and a durable recording of everything. What seals it runs at the lowest priority, and is counted apart."""
    name = "sluice-recording"
    apart = "sealer"

    def wait_ready(self):
        super().wait_ready()
        self.call("proxy_session_start", session_name="bench", capture_profile="full", max_disk_mb=8192)

    def kept(self, exchanges):
        recording = self.call("proxy_session_status")
        if recording["droppedExchanges"] or recording["droppedWrites"] or recording["bytesCut"]:
            return f"{recording['droppedExchanges']} exchanges and {recording['bytesCut']} octets were not recorded"
        if recording["exchangeCount"] < exchanges:
            return f"{recording['exchangeCount']} exchanges are in the recording of {exchanges}"
        return super().kept(exchanges)


class SluiceWithRules(Sluice):
    """... and ten thousand rules of which none matches."""
    count = 10_000

    def rule(self, i):
        raise NotImplementedError

    def wait_ready(self):
        super().wait_ready()
        rules = [{"description": str(i), "matcher": self.rule(i), "handler": {"type": "passthrough"}}
                 for i in range(self.count)]
        subprocess.run([self.program, "rules", "import", "--home", str(self.directory / "home")],
                       input=json.dumps(rules), text=True, check=True, timeout=900, stderr=subprocess.DEVNULL)


class SluiceWithHosts(SluiceWithRules):
    name = "sluice-hosts"

    def rule(self, i):
        return {"hostname": f"host{i}.example.com"}


class SluiceWithUrls(SluiceWithRules):
    name = "sluice-urls"

    def rule(self, i):
        return {"urlPattern": f"host{i}\\.example\\.com/api/v\\d+/users/[0-9a-f]+"}
