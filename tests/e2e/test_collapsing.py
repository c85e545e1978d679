"""Many clients that want one cold object at once. The short form keeps the suite quick; SKERRY_TEST_LONG=1 runs the
figures of the issue: 10,000 clients, 100 MB."""

import resource
import select
import socket
import threading
import time

import pytest

from harness.message import build
from harness.scale import pick, seconds

CLIENTS = pick(500, 10_000)
WHOLE = pick(20, 50)  # of them read everything; the others their first bytes, and then stay
MIB = 1 << 20
BODY = bytes(range(251)) * (pick(20, 100) * 1_000_000 // 251)


class Client:
    def __init__(self, address, whole):
        self.socket = socket.create_connection(address)
        self.whole = whole
        self.got = b""
        self.length = 0  # of the body so far
        self.right = True
        self.began = False
        self.socket.sendall(build(target="/cold"))
        self.socket.setblocking(False)

    def _head(self, data):
        self.got += data
        head, end, rest = self.got.partition(b"\r\n\r\n")
        if not end:
            return b""
        self.began = True
        self.right = head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: %d" % len(BODY) in head
        self.got = b""
        return rest

    def read(self):
        """False: no more is to be read."""
        data = self.socket.recv(1 << 18 if self.whole else 1 << 12)
        if not data:
            return False
        if not self.began:
            data = self._head(data)
        self.right = self.right and data == BODY[self.length:self.length + len(data)]
        self.length += len(data)
        return self.length < len(BODY) if self.whole else self.length == 0


class Clients:
    """All of them in one loop of one thread."""

    def __init__(self, address, count):
        self.poll = select.epoll()
        self.all = [Client(address, i > 0 and i % (count // WHOLE) == 0) for i in range(count)]
        self.open = {client.socket.fileno(): client for client in self.all}
        for number in self.open:
            self.poll.register(number, select.EPOLLIN)

    def run(self, until, timeout):
        deadline = time.monotonic() + seconds(timeout)
        while not until():
            assert time.monotonic() < deadline, "the clients waited in vain"
            for number, _ in self.poll.poll(0.1):
                if not self.open[number].read():
                    self.leave(self.open[number], close=False)

    def leave(self, client, close=True):
        if self.open.pop(client.socket.fileno(), None):
            self.poll.unregister(client.socket.fileno())
        if close:
            client.socket.close()

    def close(self):
        for client in self.all:
            client.socket.close()
        self.poll.close()


@pytest.fixture
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, CLIENTS + 1000)
    if wanted < CLIENTS + 100:
        pytest.skip(f"needs {CLIENTS + 100} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.soak
def test_a_cold_object_costs_the_origin_one_request_however_many_want_it(new_edge, origin, descriptors, capsys):
    """Done means 5: one request; the first byte reaches all before the origin has sent its second megabyte; killing
    the first client changes nothing for the others."""
    asked, second_megabyte, sent = threading.Event(), threading.Event(), [0]

    def slowly(x):
        x.wait(asked, 300).head(length=len(BODY), fields=[("Cache-Control", "max-age=600"), ("ETag", '"cold"')])
        for at in range(0, len(BODY), 64 * 1024):
            if at == MIB:
                x.wait(second_megabyte, 400)
            x.send(BODY[at:at + 64 * 1024])
            sent[0] = at
            if at < MIB:
                x.sleep(0.02)

    origin.on("/cold", slowly)
    edge = new_edge(origin, memory="512MiB", max_object="256MiB", origin_options={"between_bytes_timeout": "400s", "first_byte_timeout": "300s"},
                    timeouts={"write": "600s", "min_rate": "1"}, limits={"connections": CLIENTS + 100})
    before = edge.rss_kib()
    clients = Clients(edge.address, CLIENTS)
    try:
        time.sleep(seconds(0.5))
        parked_kib = edge.rss_kib() - before
        began = time.monotonic()
        asked.set()
        clients.run(lambda: all(client.length for client in clients.all), 300)
        first = time.monotonic() - began
        assert sent[0] < MIB and origin.count() == 1
        clients.leave(clients.all[0])
        second_megabyte.set()
        readers = [client for client in clients.all if client.whole]
        assert len(readers) >= WHOLE - 1
        clients.run(lambda: not any(client.socket.fileno() in clients.open for client in readers), 300)
        took = time.monotonic() - began
        assert all(client.right for client in clients.all)
        assert all(client.length == len(BODY) for client in readers)
        assert origin.count() == 1
        with capsys.disabled():
            print(f"\n{CLIENTS} clients wait for one cold object of {len(BODY) / 1e6:.0f} MB in {parked_kib} KiB "
                  f"({parked_kib / CLIENTS:.1f} each); {first:.2f} s after the head all had a byte; {len(readers)} had "
                  f"all of it after {took:.2f} s, with {edge.rss_kib() - before} KiB resident")
    finally:
        clients.close()
