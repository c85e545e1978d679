"""The SSD tier under kill -9 at random moments, amid load and purges: what is served afterwards is what a model allows.

The model knows, for each URL, the versions that the origin has given and the last one that a purge or a POST has made
invalid: that one and all before it must never come again. `SKERRY_TEST_LONG=1` kills a thousand times."""

import os
import random
import signal
import threading
import time

from harness.client import Conn
from harness.scale import pick
from test_disk import HOST, purge, tier  # noqa: F401

PATHS = [f"/{folder}/{i}" for folder in ("a", "b", "c") for i in range(40)]
SIZES = (300, 3000, 30_000, 400_000)
SEED = int(os.environ.get("SKERRY_TEST_SEED", "1"))


class Model:
    def __init__(self):
        self.lock = threading.Lock()
        self.version = dict.fromkeys(PATHS, 0)  # the last one that the origin gave
        self.gone = dict.fromkeys(PATHS, 0)  # this one and all before it
        self.wrong = []

    def body(self, path, version=None):
        """Says itself what it is, to its last byte."""
        with self.lock:
            if version is None:
                self.version[path] += 1
                version = self.version[path]
        line = f"{path} {version}\n".encode()
        return (line * (SIZES[int(path.rsplit("/", 1)[1]) % len(SIZES)] // len(line) + 1))

    def look(self, path, body, gone):
        """GONE: what was gone when the request was made."""
        try:
            name, version = body[:body.index(b"\n")].decode().split(" ")
        except ValueError:
            name, version = None, 0
        if name != path or body != self.body(path, int(version)):
            self.wrong.append(f"{path}: wrong bytes: {body[:60]!r}")
        elif int(version) <= gone:
            self.wrong.append(f"{path}: version {version} was made invalid: {gone} and before")

    def invalidate(self, paths, how):
        """Before: whatever the origin gives from now on is newer. After: it must have been told."""
        with self.lock:
            last = {path: self.version[path] for path in paths}
        how()
        with self.lock:
            for path in paths:
                self.gone[path] = max(self.gone[path], last[path])


def read(edge, model, rng, stop):
    conn = None
    while not stop.is_set():
        path = PATHS[min(int(rng.expovariate(1 / 25)), len(PATHS) - 1)]
        gone = model.gone[path]
        try:
            conn = conn or Conn(edge.address)
            response = conn.get(path, host=HOST)
        except Exception:  # the edge was killed amid it
            conn = None
            time.sleep(0.005)
            continue
        if response.status == 200:
            model.look(path, response.body, gone)
        if response.closes:
            conn = None
    if conn:
        conn.close()


def invalidate(edge, model, rng):
    path = rng.choice(PATHS)
    folder = path.split("/")[1]
    kind = rng.randrange(5)
    if kind == 0:
        model.invalidate([path], lambda: purge(edge, url=f"http://{HOST}{path}"))
    elif kind == 1:
        model.invalidate([p for p in PATHS if p.startswith(f"/{folder}/")],
                         lambda: purge(edge, prefix=f"http://{HOST}/{folder}/"))
    elif kind == 2:
        model.invalidate([p for p in PATHS if p.startswith(f"/{folder}/")], lambda: purge(edge, tag=folder))
    elif kind == 3:
        model.invalidate(PATHS, lambda: purge(edge, all=True))
    else:
        model.invalidate([path], lambda: edge.fetch(path, "POST", host=HOST, body=b"x"))


def test_no_wrong_byte_and_nothing_invalid_after_kill_9(tier):  # noqa: F811
    model, rng = Model(), random.Random(SEED)
    tier.origin.default = lambda x: (
        x.reply(b"") if x.request.method == "POST" else
        x.reply(model.body(x.request.target), fields=[("Cache-Control", "max-age=3600"),
                                                      ("Surrogate-Key", x.request.target.split("/")[1])]))
    from_disk = 0
    for number in range(pick(8, 1000)):
        edge = tier(memory="8MiB")
        edge.expected_codes.add(-signal.SIGKILL)
        stop = threading.Event()
        readers = [threading.Thread(target=read, args=(edge, model, random.Random(rng.random()), stop))
                   for _ in range(4)]
        for reader in readers:
            reader.start()
        until = time.monotonic() + 0.3 + rng.random()
        while time.monotonic() < until:
            time.sleep(rng.random() * 0.3)
            if rng.random() < 0.5:
                invalidate(edge, model, rng)
        from_disk += edge.metrics()['skerry_cache_tier_hits_total{tier="disk"}']
        edge.stop(signal.SIGTERM if rng.random() < 0.3 else signal.SIGKILL)
        stop.set()
        for reader in readers:
            reader.join()
        assert not model.wrong, (SEED, number, model.wrong[:5])
    assert from_disk > 0
