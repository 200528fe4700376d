"""A certificate authority for tests, made by the openssl program: ECDSA P-256, files in one directory."""
import pathlib
import ssl
import subprocess


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"openssl {args[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class TestAuthority:
    __test__ = False

    def __init__(self, directory, name="Fake origins"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.pem, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        self._count = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.pem, "-days", 3, "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(self, *names, days=2, self_signed=False, usage="serverAuth",
             newkey=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """(certificate, key) paths for names; an IP address becomes an IP name."""
        self._count += 1
        stem = self.directory / f"leaf{self._count}"
        key, request, certificate = stem.with_suffix(".key"), stem.with_suffix(".csr"), stem.with_suffix(".pem")
        extensions = stem.with_suffix(".ext")
        sans = ",".join(("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n for n in names)
        extensions.write_text(f"subjectAltName={sans}\nextendedKeyUsage={usage}\n")
        openssl("req", "-newkey", *newkey, "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}")
        signer = ["-signkey", key] if self_signed else ["-CA", self.pem, "-CAkey", self.key, "-CAcreateserial"]
        # Expired: openssl 3.0 takes a negative number of days.
        openssl("x509", "-req", "-in", request, *signer, "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def server_context(self, *names, alpn=("http/1.1",), maximum=None, minimum=None, leaf=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(leaf or self.leaf(*(names or ("localhost", "127.0.0.1", "::1")))))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if maximum:
            context.maximum_version = maximum
        if minimum:
            context.minimum_version = minimum
        return context
