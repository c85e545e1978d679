"""Authorities for certificates by ACME: pebble with its faults on, and one of ours that does what no good one does."""

import base64
import datetime
import json
import os
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .edge import binary
from .ports import Reservation
from .scale import limit, wait_until

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SECOND = datetime.timedelta(seconds=1)


def _unshare():
    """How a mount namespace of its own is had here; None: not at all."""
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    # in a chroot the root is no mount point; its mounts are private already
    for propagation in ("private", "unchanged"):
        command = ["unshare", *user, "--mount", "--propagation", propagation]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def trusting_program(directory, certificate):
    """A program that is `skerry` where the system trusts CERTIFICATE alone; None where such a place cannot be made. The client's
    library knows no other way to be told whom to trust."""
    unshare = _unshare()
    if not unshare:
        return None
    program = directory / "trusting-skerry"
    program.write_text(f"#!/bin/sh\n"
                       f"[ -n \"$SKERRY_TEST_TRUSTS\" ] || SKERRY_TEST_TRUSTS=1 exec {' '.join(unshare)} \"$0\" \"$@\"\n"
                       f"mount --bind '{certificate}' {BUNDLE} || exit 1\n"
                       f"exec '{binary()}' \"$@\"\n")
    program.chmod(0o755)
    return str(program)


class Pebble:
    """A true authority. It asks names of DNS_PORT, and http-01 at HTTP_PORT; VALIDITY in seconds is of its certificates."""

    def __init__(self, directory, authority, http_port, dns_port, validity, nonce_reject=20):
        self.reservation, self.management = Reservation(), Reservation()
        cert, key = authority.files(label="pebble")
        self.file, self.log_path = directory / "pebble.json", directory / "pebble.log"
        self.file.write_text(json.dumps({"pebble": {
            "listenAddress": str(self.reservation), "managementListenAddress": str(self.management),
            "certificate": str(cert), "privateKey": str(key), "httpPort": http_port, "tlsPort": 9,
            "ocspResponderURL": "", "externalAccountBindingRequired": False,
            "certificateValidityPeriod": validity, "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": {"description": "for tests", "validityPeriod": validity}}}}))
        self.dns_port, self.nonce_reject = dns_port, nonce_reject
        self.url = f"https://{self.reservation}/dir"
        self.process = None

    def start(self):
        for held in (self.reservation, self.management):
            held.close()  # pebble does not share its ports
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["pebble", "-config", str(self.file), "-dnsserver", f"127.0.0.1:{self.dns_port}", "-strict"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(self.nonce_reject),
                     "PEBBLE_AUTHZREUSE": "0"})
        wait_until(lambda: "Listening on" in self.log() or self.process.poll() is not None, 20, "pebble")
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def count(self, text):
        return self.log().count(text)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(limit(10))
            self.process = None


class BadAuthority:
    """Gives every order what MISCHIEF says: one of the functions below it takes, by name."""

    def __init__(self, authority):
        self.mischief, self.orders = "none", 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bad authority")])
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.socket = authority.server(label="bad").wrap_socket(self.server.socket, server_side=True)
        self.base = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.url = self.base + "/dir"
        self.ended = threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    def certificate(self, request):
        """PEM for a CSR, with what is wrong with it."""
        csr = x509.load_der_x509_csr(request)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end, key = now - 60 * SECOND, now + 90 * 86400 * SECOND, csr.public_key()
        if self.mischief == "wrong names":
            names = x509.SubjectAlternativeName([x509.DNSName("elsewhere.test")])
        if self.mischief == "another key":
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
        if self.mischief == "not yet valid":
            begin = now + 86400 * SECOND
        if self.mischief == "expired":
            begin, end = now - 86400 * SECOND, now - 3600 * SECOND
        made = (x509.CertificateBuilder().subject_name(self.name).issuer_name(self.name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
                .add_extension(names, critical=False).sign(self.key, hashes.SHA256()))
        text = made.public_bytes(serialization.Encoding.PEM)
        return text * 3000 if self.mischief == "huge" else text

    def _handler(self):
        bad = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self, status, body, kind="application/json", location=None):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Replay-Nonce", base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode())
                if location:
                    self.send_header("Location", bad.base + location)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def order(self, status):
                return {"status": status, "identifiers": bad.wanted, "authorizations": [bad.base + "/authz"],
                        "finalize": bad.base + "/finalize", "certificate": bad.base + "/certificate"}

            def drip(self):
                """An answer that never ends."""
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while not bad.ended.wait(0.2):
                    self.wfile.write(b" ")
                    self.wfile.flush()

            def do_HEAD(self):
                self.answer(200, b"")

            def do_GET(self):
                self.answer(200, {name: bad.base + "/" + name for name in ("newNonce", "newAccount", "newOrder", "revokeCert",
                                                                           "keyChange")})

            def do_POST(self):
                jws = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = jws["payload"]
                payload = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) or b"{}")
                if self.path == "/newAccount":
                    self.answer(200, {"status": "valid"}, location="/account/1")
                elif self.path == "/newOrder" and bad.mischief == "rate limit":
                    bad.orders += 1
                    self.answer(429, {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many of them",
                                      "status": 429}, "application/problem+json")
                elif self.path == "/newOrder" and bad.mischief == "endless":
                    self.drip()
                elif self.path == "/newOrder":
                    bad.orders += 1
                    bad.status = "ready"
                    bad.wanted = payload["identifiers"]
                    self.answer(201, self.order("ready"), location="/order/1")
                elif self.path == "/authz":
                    self.answer(200, {"status": "valid", "identifier": bad.wanted[0], "challenges": []})
                elif self.path == "/finalize":
                    csr = payload["csr"]
                    bad.made = bad.certificate(base64.urlsafe_b64decode(csr + "=" * (-len(csr) % 4)))
                    bad.status = "valid"
                    self.answer(200, self.order("valid"), location="/order/1")
                elif self.path == "/certificate":
                    self.answer(200, bad.made, "application/pem-certificate-chain")
                else:
                    self.answer(200, self.order(bad.status), location="/order/1")

        return Handler


def trusting_anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def shown(address, name):
    """The certificate that a TLS listener shows for NAME; None: the handshake fails."""
    context = trusting_anybody()
    try:
        with socket.create_connection(address, timeout=limit(10)) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
    except ssl.SSLError:
        return None


def names_of(certificate):
    return sorted(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
                  .get_values_for_type(x509.DNSName))
