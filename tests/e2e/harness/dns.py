"""A name server for tests: a table of names, on a UDP port of its own."""

import socket
import struct
import threading

A, AAAA = 1, 28


class Dns:
    """NAMES: {"a.test": {A: ["127.0.0.1"], AAAA: ["::1"]}}; names that are not there do not exist."""

    def __init__(self, names):
        self.names = names
        self.asked = []
        self.silent = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not self.silent:
                self.socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        at, labels = 12, []
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode("latin-1"))
            at += length + 1
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        name, question = ".".join(labels).lower(), query[12 : at + 5]
        self.asked.append((name, kind))
        records = self.names.get(name, {}).get(kind, [])
        family = socket.AF_INET if kind == A else socket.AF_INET6
        answers = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, 4 if kind == A else 16) + socket.inet_pton(family, address)
            for address in records)
        flags = 0x8180 | (0 if name in self.names else 3)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + answers

    def stop(self):
        self.socket.close()
