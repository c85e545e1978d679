"""The SSD tier under kill -9, power cuts and failing devices, amid load and purges: what is served is what a model allows.

The model knows, for each URL, the versions that the origin has given and the last one that a purge or a POST has made
invalid: that one and all before it must never come again. `SKERRY_TEST_LONG=1` takes the long forms,
`SKERRY_TEST_CRASHES=N` N crashes, `SKERRY_TEST_SEED=N` others."""

import os
import random
import re
import threading
import time

import pytest

from harness.client import Conn
from harness.device import Mortal
from harness.scale import pick
from test_disk import HOST, purge, tier  # noqa: F401

PATHS = [f"/{folder}/{i}" for folder in ("a", "b", "c") for i in range(40)]
SIZES = (300, 3000, 30_000, 400_000)
SEED = int(os.environ.get("SKERRY_TEST_SEED", "1"))
READERS = 4


def crashes(short, long):
    return int(os.environ.get("SKERRY_TEST_CRASHES", pick(short, long)))


class Model:
    def __init__(self):
        self.lock = threading.Lock()
        self.version = dict.fromkeys(PATHS, 0)  # the last one that the origin gave
        self.gone = dict.fromkeys(PATHS, 0)  # this one and all before it
        self.wrong = []
        self.looked = self.confirmed = 0

    def body(self, path, version):
        """Says itself what it is, to its last byte."""
        line = f"{path} {version}\n".encode()
        return line * (SIZES[int(path.rsplit("/", 1)[1]) % len(SIZES)] // len(line) + 1)

    def answer(self, x):
        """What the origin says."""
        path, asked = x.request.target, x.request.fields.get("if-none-match", "")
        if x.request.method == "POST":
            return x.reply(b"")
        fields = [("Cache-Control", "max-age=3600"), ("Surrogate-Key", path.split("/")[1])]
        with self.lock:
            last = self.version[path]
            if asked == f'"{last}"' and last > self.gone[path]:
                self.confirmed += 1
                return x.reply(status=304, fields=[*fields, ("ETag", asked)])
            self.version[path] = last = last + 1
        return x.reply(self.body(path, last), fields=[*fields, ("ETag", f'"{last}"')])

    def look(self, path, body, gone):
        """GONE: what was gone when the request was made."""
        try:
            name, version = body[:body.index(b"\n")].decode().split(" ")
        except ValueError:
            name, version = None, 0
        self.looked += 1
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


def read(edge, model, rng, share, stop):
    """SHARE first, then any, until the edge is gone."""
    conn = None
    todo = list(share)
    rng.shuffle(todo)
    while not stop.is_set():
        path = todo.pop() if todo else PATHS[min(int(rng.expovariate(1 / 25)), len(PATHS) - 1)]
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
        else:
            model.wrong.append(f"{path}: {response}")
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
    elif kind == 3 and rng.randrange(4) == 0:
        model.invalidate(PATHS, lambda: purge(edge, all=True))
    else:
        model.invalidate([path], lambda: edge.fetch(path, "POST", host=HOST, body=b"x"))


class Lives:
    """One store, and one edge after the other on it, with load on each."""

    def __init__(self, tier, device=False, **more):  # noqa: F811
        self.model, self.rng = Model(), random.Random(SEED)
        tier.origin.default = self.model.answer
        self.edge = tier(start=False, memory="8MiB", log_level="info", **more)
        self.mortal = Mortal(self.edge, tier.store if device else None, SEED)
        self.from_disk = 0
        self.figures = {}

    def live(self, how, trouble=None, new_boot=False):
        stop = threading.Event()
        self.mortal.start(new_boot=new_boot)
        readers = [threading.Thread(target=read, args=(self.edge, self.model, random.Random(self.rng.random()),
                                                       PATHS[i::READERS] if self.rng.random() < 0.7 else (), stop))
                   for i in range(READERS)]
        for reader in readers:
            reader.start()
        try:
            self.load(trouble)
            self.mortal.end(how)
        finally:
            stop.set()
            self.mortal.die()
            for reader in readers:
                reader.join()
        assert not self.model.wrong, (SEED, how, trouble, self.model.wrong[:5], self.edge.log()[-2000:])

    def load(self, trouble):
        if trouble:
            time.sleep(self.rng.random() * 0.1)
            self.mortal.tell(trouble)
        until = time.monotonic() + self.rng.random() * 0.5
        while time.monotonic() < until:
            time.sleep(self.rng.random() * 0.1)
            if self.rng.random() < 0.5:
                invalidate(self.edge, self.model, self.rng)
        if self.rng.random() < 0.25:  # until what was put is being made safe, or has been a moment ago
            self.await_flush()
            time.sleep(self.rng.random() * 0.05)
        self.note(self.edge.metrics())

    def await_flush(self):
        until = time.monotonic() + 1.5
        while time.monotonic() < until and not self.edge.metrics()["skerry_disk_flushed"]:
            time.sleep(0.01)

    def note(self, metrics):
        self.from_disk += metrics['skerry_cache_tier_hits_total{tier="disk"}']
        for name in ("damaged", "devices_failed", "unproven", "read_errors", "write_errors"):
            self.figures[name] = self.figures.get(name, 0) + metrics[f"skerry_disk_{name}"]

    def report(self, what, count):
        self.edge.check()
        lost = sum(int(n) for n in re.findall(r"the power went: (\d+) sectors", self.edge.log()))
        print(f"{what}: {count} lives, seed {SEED}: {self.model.looked} bodies looked at, {self.from_disk:.0f} hits from "
              f"disk, {self.model.confirmed} confirmed by the origin, {lost} sectors lost, {self.figures}")
        assert self.from_disk > 0
        assert count < 100 or not self.mortal.store or (lost and self.model.confirmed and self.figures["write_errors"])


@pytest.mark.parametrize("key", [False, True], ids=["plain", "sealed"])
def test_no_wrong_byte_and_nothing_invalid_after_kill_9(tier, key, tmp_path):  # noqa: F811
    count = crashes(5, 500)
    lives = Lives(tier, disk={"key_file": str(tmp_path / "key")} if key else {})
    for _ in range(count):
        if lives.rng.random() < 0.1:  # amid its start
            lives.mortal.start(wait=False)
            time.sleep(lives.rng.random() * 0.05)
            lives.mortal.die()
        lives.live("stop" if lives.rng.random() < 0.1 else "kill")
    lives.report("kill -9", count)


TROUBLES = [None, None, "read 200", "write 300", "write 1000", "full 300", "full 1000", "sync 500", "short 300"]


@pytest.mark.parametrize("key", [False, True], ids=["plain", "sealed"])
def test_no_wrong_byte_and_nothing_invalid_on_devices_that_fail_tear_and_reorder(tier, key, tmp_path):  # noqa: F811
    """EIO, ENOSPC, short reads and writes; power cuts that take back any sectors that were not synced, and of the log of
    purges its end."""
    count = crashes(4, 500)
    lives = Lives(tier, device=True, disk={"key_file": str(tmp_path / "key")} if key else {})
    how = "stop"
    for number in range(count):
        lives_trouble = TROUBLES[number % len(TROUBLES)] if number < 18 else lives.rng.choice(TROUBLES)
        new_boot = how == "cut"
        how = lives.rng.choice(("cut", "cut", "kill", "stop"))
        lives.live(how, lives_trouble and f"trouble {lives_trouble}", new_boot)
    lives.report("failing devices", count)
