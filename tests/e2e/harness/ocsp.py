"""A responder that tells what a test wants of certificates (OCSP, RFC 6960), by GET over HTTP."""

import base64
import datetime
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from .scale import seconds


class Answer:
    """What is told of a certificate: STATUS, for how long from now, signed by whom, and what goes wrong."""

    def __init__(self, status="good", life=3600, age=60, authority=None, about=None, http=200, junk=None, wait=None):
        self.status, self.life, self.age = status, life, age
        self.authority, self.about, self.http, self.junk, self.wait = authority, about, http, junk, wait


class Responder:
    def __init__(self, authority):
        self.authority = authority
        self.answers = {}   # by the path before the request
        self.asked = {}     # the same: requests, in DER
        self.errors = []
        self.certificates = {}  # by serial number
        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def certificate(self, label, answer=None, **more):
        """Paths of a certificate with its chain, and of its key, of which ANSWER is told at /label."""
        port = self.server.server_address[1]
        lines = [f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/{label}", *more.pop("more", ())]
        cert, key = self.authority.files(label=f"ocsp-{label}", more=lines, chain=True, **more)
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
        self.certificates[loaded.serial_number] = loaded
        self.answers[f"/{label}"] = answer or Answer()
        return {"cert": str(cert), "key": str(key)}

    def count(self, label):
        return len(self.asked.get(f"/{label}", ()))

    def stop(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        assert not self.errors, self.errors

    def _respond(self, path, segment):
        der = base64.b64decode(urllib.parse.unquote(segment), validate=True)
        self.asked.setdefault(path, []).append(der)
        asked, answer = ocsp.load_der_ocsp_request(der), self.answers[path]
        if answer.wait:
            self.closing.wait(answer.wait)
        if answer.junk is not None:
            return answer.http, answer.junk
        signer = answer.authority or self.authority
        issuer = x509.load_pem_x509_certificate(self.authority.certificate.read_bytes())
        signing = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
        key = serialization.load_pem_private_key(signer.key.read_bytes(), None)
        now = datetime.datetime.fromtimestamp(int(time.time()), datetime.timezone.utc).replace(tzinfo=None)
        revoked = answer.status == "revoked"
        about = self.certificates[asked.serial_number]
        if answer.about:
            about = x509.load_pem_x509_certificate(open(answer.about, "rb").read())
        built = ocsp.OCSPResponseBuilder().add_response(
            about, issuer, hashes.SHA1(), getattr(ocsp.OCSPCertStatus, answer.status.upper()),
            now - datetime.timedelta(seconds=answer.age), now + datetime.timedelta(seconds=answer.life),
            now - datetime.timedelta(days=1) if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, signing).sign(key, hashes.SHA256())
        return answer.http, built.public_bytes(serialization.Encoding.DER)

    def _handler(self):
        responder = self

        class Handler(BaseHTTPRequestHandler):
            timeout = seconds(30)

            def do_GET(self):
                try:
                    path, _, segment = self.path.rpartition("/")
                    status, body = responder._respond(path, segment)
                except Exception as failure:  # whatever it is, the test is told
                    responder.errors.append(f"{self.path}: {type(failure).__name__} {failure}")
                    status, body = 400, b""
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/ocsp-response")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the edge has heard enough

            def log_message(self, *arguments):
                pass

        return Handler
