"""The programs that `./dev bench` compares beyond HTTP/1: HTTP/2 proxies, a bare TLS relay, and their origins."""
import pathlib
import resource

import peers

MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")


class Http2Origin(peers.Origin):
    """nginx as an HTTP/2 server of static files, where bare TLS through Sluice goes: on port 443."""
    listen_as = "ssl http2"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.port = 443


class Nghttpx(peers.Peer):
    """HTTP/2 over TLS on both sides, one worker, verifying: the practical limit; it records nothing."""
    name, needs, through_proxy = "nghttpx", "nghttpx", False

    def command(self):
        return ["nghttpx", "--conf=/dev/null", "--workers=1", f"--frontend=127.0.0.1,{self.port}",
                f"--backend=127.0.0.1,{self.origin_port};;proto=h2;tls;sni=localhost", f"--cacert={self.certificates.ca}",
                "--no-ocsp", "--no-via", "--no-location-rewrite", "--ecdh-curves=X25519:P-256",
                "--tls-min-proto-version=TLSv1.3", f"--errorlog-file={self.directory / 'error.log'}",
                str(self.certificates.leaf_key), str(self.certificates.leaf)]


class Http2Nginx(peers.Nginx):
    """HTTP/2 in front; towards servers nginx speaks HTTP/1.1, kept alive."""
    listen_as = "ssl http2"


class Relay(peers.Nginx):
    """nginx's stream module, one worker: ends TLS, begins TLS (verifying), and knows nothing of what passes."""
    name = "relay"

    @classmethod
    def available(cls):
        return super().available() and cls.module() is not None

    @staticmethod
    def module():
        return next((m for m in (pathlib.Path(d, "ngx_stream_module.so") for d in MODULES) if m.exists()), None)

    def configuration(self):
        connections, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"""
load_module {self.module()};
{self.main(connections)}
stream {{
  tcp_nodelay on; proxy_timeout 600s; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519:prime256v1;
  ssl_session_tickets off; ssl_session_cache off;
  ssl_certificate {self.certificates.leaf}; ssl_certificate_key {self.certificates.leaf_key};
  server {{
    listen 127.0.0.1:{self.port} ssl backlog=1024; proxy_pass 127.0.0.1:{self.origin_port}; proxy_ssl on;
    proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.certificates.ca}; proxy_ssl_name localhost;
    proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;
  }}
}}
"""


class Echo(peers.Peer):
    """The WebSocket origin of this folder."""
    name, program = "echo", ""

    def __init__(self, directory, certificates):
        super().__init__(directory, certificates, 0)

    def command(self):
        return [self.program, "echo", "--server", f"127.0.0.1:{self.port}", "--certificate", str(self.certificates.leaf),
                "--key", str(self.certificates.leaf_key)]
