"""Clients that send early data (0-RTT) over TCP: the openssl command, through a relay that knows its first flight."""

import select
import socket
import subprocess
import threading
import time

from .scale import limit, seconds


class Relay:
    """Passes one connection on; FLIGHT is what the client sends before it hears anything. WHOLE False: the server never gets
    more than that."""

    def __init__(self, address, whole=True):
        self.address, self.whole, self.flight = address, whole, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.address) as server:
            while not self.flight or select.select([client], [], [], 0.3)[0]:
                data = client.recv(65536)
                if not data:
                    return
                self.flight += data
            server.sendall(self.flight)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    if ready is server:
                        client.sendall(data)
                    elif self.whole:
                        server.sendall(data)

    def close(self):
        self.listener.close()
        self.thread.join(limit(5))


def get_ticket(edge, path, *arguments):
    """A session's file at PATH."""
    request = b"GET /ticket HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    subprocess.run(["openssl", "s_client", "-connect", edge.listen, "-servername", "localhost", "-sess_out", path, "-ign_eof",
                    *arguments], input=request, capture_output=True, timeout=limit(20))
    assert path.exists(), "no ticket came"
    return path


def exchange(edge, ticket, early, arguments=(), enough=lambda got: b"\r\n\r\n" in got, more=b"", whole=True):
    """What comes back for EARLY, sent as early data, and MORE, sent after the handshake, until ENOUGH; and the first
    flight."""
    file = ticket.parent / "early"
    file.write_bytes(early)
    relay = Relay(edge.address, whole)
    client = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{relay.port}", "-servername",
                               "localhost", "-sess_in", ticket, "-early_data", file, *arguments],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    got, end = b"", time.monotonic() + (limit(5) if whole else seconds(1))
    try:
        if more:
            client.stdin.write(more)
            client.stdin.flush()
        while not enough(got) and time.monotonic() < end:
            if select.select([client.stdout], [], [], 0.1)[0]:
                piece = client.stdout.read1(65536)
                if not piece:
                    break
                got += piece
    finally:
        client.kill()
        client.communicate()
        relay.close()
    return got, relay.flight
