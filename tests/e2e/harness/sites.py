"""Edges as a router sees them: small servers on loopback addresses of their own that say what a test wants."""

import http.server
import ssl
import threading

from .ports import Reservation


class Site:
    """Answers every GET with STATUS, or BODIES[path]; counts what it was asked, and the statuses that it gave."""

    def __init__(self, ip, tls=None):
        self.ip, self.tls = ip, tls
        self.status, self.bodies, self.asked, self.given = 200, {}, [], []
        reservation = Reservation(ip)
        self.port = reservation.port
        reservation.close()
        self.server = None
        self.start()

    @property
    def address(self):
        return f"{self.ip}:{self.port}"

    def start(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                body = site.bodies.get(self.path.split("?")[0], b"{}\n")
                status = site.status
                site.given.append(status)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *arguments):
                pass

        self.server = Server((self.ip, self.port), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def kill(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None
