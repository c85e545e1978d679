"""Loopback ports that stay ours: a bound socket that never listens keeps others away, SO_REUSEPORT lets the
program under test bind beside it."""

import itertools
import os
import random
import socket

FIRST, SHARE, SHARES = 10240, 2700, 8


def _share():
    """The ports of this process, each once before one comes again. Tests that run at the same time have different ones:
    a port that is given back because its program does not share it is not taken by another test before it listens."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    share = int(worker) % SHARES if worker.isdigit() else random.randrange(SHARES)
    begin = random.randrange(SHARE)
    return itertools.cycle(FIRST + share * SHARE + (begin + i) % SHARE for i in range(SHARE))


_ports = _share()


class Reservation:
    """A port below the kernel's own range. While it is held, connecting to it is refused unless somebody listens."""

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            port = next(_ports)
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
