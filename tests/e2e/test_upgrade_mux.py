"""Reloads, changed certificates and upgrades under load over HTTP/2 and HTTP/3: no request fails, no QUIC connection is
dropped. A connection that is told to go is left; what was not begun on it is asked again, as RFC 9113 6.8 and RFC 9114
5.2 have it."""

import re
import shutil
import ssl
import subprocess
import threading
import time

from harness import h3client
from harness.client import Conn
from harness.h2client import Client as H2
from harness.origin import cacheable
from harness.scale import LONG, limit, pick, wait_until

NO_ERROR, REJECTED = 0x100, 0x10b


class Asker(threading.Thread):
    """Asks one thing after the other until it is told to stop."""

    def __init__(self, edge, bodies):
        super().__init__(daemon=True)
        self.edge, self.bodies, self.stopping = edge, bodies, threading.Event()
        self.answered = self.connections = self.again = 0
        self.failures = []

    def run(self):
        client, n = None, 0
        while not self.stopping.is_set() and not self.failures:
            path = list(self.bodies)[n % len(self.bodies)]
            try:
                if client is None:
                    client = self.open()
                    self.connections += 1
                body = self.ask(client, path)
            except Exception as failure:  # whatever it is, it is told
                self.failures.append(f"{type(failure).__name__} {failure}")
                return
            if body is None:
                self.close(client)
                client, self.again = None, self.again + 1
                continue
            if body != self.bodies[path]:
                self.failures.append(f"{path}: {len(body)} bytes of {len(self.bodies[path])}")
            self.answered += 1
            n += 1
            time.sleep(pick(0.005, 0))
        if client:
            self.close(client)


class OverH2(Asker):
    def open(self):
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return H2(self.edge.address, tls)

    def ask(self, client, path):
        if client.goaway:
            assert not client.goaway.error_code, client.goaway
            return None
        stream = client.head("GET", path)
        answer = client.answers[stream]
        while not answer.ended and answer.reset is None:
            if not client.read():
                assert client.goaway and stream > client.goaway.last_stream_id, f"closed: {answer} {client.goaway}"
                return None
        return None if answer.reset == 7 else bytes(answer.body)

    def close(self, client):
        client.socket.close()


class OverH3(Asker):
    def open(self):
        return h3client.Client(self.edge.address)

    def ask(self, client, path):
        stream = client.send(path)
        try:
            client.wait(lambda: client.finished(stream), path)
        except h3client.Closed:
            assert client.terminated.error_code == NO_ERROR and not client.answer(stream).status, client.terminated
            return None
        answer = client.answer(stream)
        return None if answer.reset == REJECTED else bytes(answer.body)

    def close(self, client):
        client.__exit__()


class Crowd(threading.Thread):
    """Runs of h2load, one after the other: 8 connections with 10 requests at a time, until it is told to stop. It does
    not come back after a GOAWAY, so it is for what ends no connection."""

    def __init__(self, edge, path):
        super().__init__(daemon=True)
        self.argv = ["h2load", "-n", "20000", "-c", "8", "-m", "10", f"https://{edge.listen}{path}"]
        self.stopping, self.answered, self.failures = threading.Event(), 0, []

    def run(self):
        while not self.stopping.is_set() and not self.failures:
            done = subprocess.run(self.argv, capture_output=True, text=True, timeout=limit(60))
            found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
            if not found or found.groups() != ("20000", "0", "0", "0"):
                self.failures.append(done.stdout + done.stderr)
            else:
                self.answered += 20000


def serial(edge):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with Conn(edge.address, tls=tls) as conn:
        return conn.socket.getpeercert(binary_form=True)


def test_reloads_certificates_and_upgrades_under_load(new_https, origin, authority, tmp_path):
    bodies = {f"/{size}": bytes(i % 251 for i in range(size)) for size in (10, 1000, 100_000)}
    for path, body in bodies.items():
        origin.on(path, cacheable(body, 600))
    pairs = [authority.files(label=f"swapped-{i}") for i in range(2)]
    used = [tmp_path / "used.pem", tmp_path / "used.key"]
    for source, target in zip(pairs[0], used):
        shutil.copy(source, target)
    edge = new_https(origin, threads=2)
    edge.reload({**edge.configuration, "certificates": [{"cert": str(used[0]), "key": str(used[1])}]})
    askers = [kind(edge, bodies) for kind in (OverH2, OverH3) for _ in range(pick(2, 6))]
    crowds = [Crowd(edge, "/1000")] if LONG else []
    for asker in askers + crowds:
        asker.start()
    wait_until(lambda: all(asker.connections for asker in askers), what="all to be connected")
    for i in range(pick(5, 100)):
        before = serial(edge)
        for source, target in zip(pairs[(i + 1) % 2], used):
            shutil.copy(source, target)
        edge.reload()
        assert serial(edge) != before
    during = [asker.connections for asker in askers]
    for crowd in crowds:
        crowd.stopping.set()
        crowd.join(limit(60))
        assert crowd.answered and not crowd.failures, crowd.failures
        print("h2load", crowd.answered)
    for _ in range(pick(1, 10)):
        edge.upgrade()
    wait_until(lambda: all(asker.failures or asker.answered > 10 and asker.connections >= 2 for asker in askers), 20,
               "all to be served by the new process")
    for asker in askers:
        asker.stopping.set()
        asker.join(limit(20))
    print([(type(asker).__name__, asker.answered, asker.connections, asker.again) for asker in askers], during)
    assert not [asker.failures for asker in askers if asker.failures]
    assert during == [1] * len(askers)  # a reload and another certificate end no connection
