"""Loopback ports that stay ours: a bound socket that never listens keeps others away, SO_REUSEPORT lets the
program under test bind beside it."""

import os
import random
import socket

_random = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))


class Reservation:
    """A port below the kernel's own range. While it is held, connecting to it is refused unless somebody listens."""

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            port = _random.randrange(10240, 32000)
            if not _is_free(family, host, port):
                continue
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                self.socket.bind((host, port))
            except OSError:
                self.socket.close()
                continue
            self.host, self.port = host, port
            self.address = (host, port)
            return

    def __str__(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self):
        self.socket.close()


def _is_free(family, host, port):
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
