"""Many slow clients at once, in one thread: each moves one byte in each round."""

import socket
import threading


class Crowd:
    """Slow heads, slow bodies and slow readers; `with crowd:` runs them, a round each INTERVAL seconds."""

    def __init__(self, address, interval):
        self.address, self.interval = address, interval
        self.clients = []
        self.rounds = 0
        self.lost = 0  # connections that the server ended
        self.stopping = threading.Event()

    def _connect(self, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self.address)
        return sock

    def slow_head(self, head):
        self.clients.append((self._connect(), memoryview(head[:-1]), "send"))

    def slow_body(self, head, body):
        sock = self._connect()
        sock.sendall(head)
        self.clients.append((sock, memoryview(body[:-1]), "send"))

    def slow_reader(self, head):
        sock = self._connect(4096)
        sock.sendall(head)
        self.clients.append((sock, None, "read"))

    def _round(self, number):
        """A byte for each, spread over the interval: a burst would only measure what this program takes away."""
        slices = 100
        for at, (sock, data, kind) in enumerate(self.clients):
            if at % max(1, len(self.clients) // slices) == 0 and self.stopping.wait(self.interval / slices):
                return
            try:
                if kind == "read":
                    if not sock.recv(1):
                        self.lost += 1
                elif number < len(data):
                    sock.send(data[number : number + 1])
            except BlockingIOError:
                pass
            except OSError:
                self.lost += 1

    def _run(self):
        for sock, _, _ in self.clients:
            sock.setblocking(False)
        while not self.stopping.is_set():
            self._round(self.rounds)
            self.rounds += 1

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for sock, _, _ in self.clients:
            sock.close()
