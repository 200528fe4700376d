"""A TLS peer that says any alert at any step, under whatever keys hold by then: GnuTLS through ctypes, since neither OpenSSL nor
Python lets anybody choose its alerts.

    with Peer(sock, name="localhost") as peer:          # or certificate=(chain, key) for a server
        peer.break_off_at(3, alert=80)                  # at the fourth message of the handshake, sent or received
        peer.shake_hands()                              # False: it did so, or the other side ended it
"""
import ctypes
import ctypes.util

SERVER, CLIENT = 1, 2
CERTIFICATES, PEM, DNS = 1, 1, 1
ANY_MESSAGE, AFTER = 0xffffffff, 1
FATAL = 2
INTERNAL = -59
VERSIONS = {"1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}

Hook = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


def library():
    """The library, or None where there is none."""
    name = ctypes.util.find_library("gnutls")
    return ctypes.CDLL(name) if name else None


def check(code):
    if code < 0:
        raise OSError(f"GnuTLS: error {code}")


class Peer:
    def __init__(self, sock, version="1.3", name=None, certificate=None):
        self.tls, self.sock = library(), sock
        sock.settimeout(None)  # the library's calls wait
        self.session, self.credentials = ctypes.c_void_p(), ctypes.c_void_p()
        check(self.tls.gnutls_init(ctypes.byref(self.session), SERVER if certificate else CLIENT))
        check(self.tls.gnutls_certificate_allocate_credentials(ctypes.byref(self.credentials)))
        if certificate:
            check(self.tls.gnutls_certificate_set_x509_key_file(self.credentials, *(str(part).encode() for part in certificate), PEM))
        if name:
            check(self.tls.gnutls_server_name_set(self.session, DNS, name.encode(), len(name)))
        check(self.tls.gnutls_credentials_set(self.session, CERTIFICATES, self.credentials))
        check(self.tls.gnutls_priority_set_direct(self.session, VERSIONS[version].encode(), None))
        self.tls.gnutls_transport_set_int2(self.session, sock.fileno(), sock.fileno())
        self.steps, self.hook = 0, None

    def break_off_at(self, step, alert):
        """The first message is step 0. With a step beyond the last one they are counted (`steps`)."""
        def after(session, *_):
            self.steps += 1
            if self.steps != step + 1:
                return 0
            self.tls.gnutls_alert_send(ctypes.c_void_p(session), FATAL, alert)
            return INTERNAL
        self.hook = Hook(after)  # must live as long as the session
        self.tls.gnutls_handshake_set_hook_function(self.session, ANY_MESSAGE, AFTER, self.hook)

    def shake_hands(self):
        return self.tls.gnutls_handshake(self.session) == 0

    def alert(self, number, level=FATAL):
        return self.tls.gnutls_alert_send(self.session, level, number) == 0

    def send(self, octets):
        return self.tls.gnutls_record_send(self.session, octets, ctypes.c_size_t(len(octets))) == len(octets)

    def receive(self):
        """Some octets; none once it is over, however it ended."""
        buffer = ctypes.create_string_buffer(16384)
        self.tls.gnutls_record_recv.restype = ctypes.c_ssize_t
        count = self.tls.gnutls_record_recv(self.session, buffer, ctypes.c_size_t(len(buffer)))
        return buffer.raw[:max(count, 0)]

    def read_rest(self):
        out = b""
        while some := self.receive():
            out += some
        return out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tls.gnutls_deinit(self.session)
        self.tls.gnutls_certificate_free_credentials(self.credentials)
        self.sock.close()
