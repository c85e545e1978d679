"""What was promised and what was seen. The origin's bodies are versions that count up; a purge that was acknowledged says
below which version nobody may be answered any more, and from when on."""

import heapq
import itertools
import random
import threading
import time

from harness.scale import seconds
from world import SILENCE_S

KEYS = [f"/{'a' if i % 2 else 'b'}/{i}" for i in range(12)]
HOST = "h.example"
# An edge that hears nobody revalidates by then (fleet.silence, said again each eighth of it); the rest is for a busy machine.
BOUND_S = SILENCE_S * 9 / 8 + seconds(4)
# A purge that was waited for is in force wherever nobody has to be asked; who is cut off asks anew each eighth of the silence.
WAITED_S = SILENCE_S / 8 + seconds(2)
AFTER_STOP_S = seconds(1.5)  # what stood still is given so long to notice


def tags_of(key):
    return f"t{int(key.rpartition('/')[2]) % 4}"


KINDS = {  # what to ask for, and which keys it reaches
    "url": lambda rng: (key := rng.choice(KEYS), {"url": f"http://{HOST}{key}"}, [key])[1:],
    "tag": lambda rng: (tag := f"t{rng.randrange(4)}", {"tag": tag}, [k for k in KEYS if tags_of(k) == tag])[1:],
    "soft tag": lambda rng: (tag := f"t{rng.randrange(4)}", {"tag": tag, "soft": True},
                             [k for k in KEYS if tags_of(k) == tag])[1:],
    "prefix": lambda rng: (p := rng.choice("ab"), {"prefix": f"http://{HOST}/{p}/"},
                           [k for k in KEYS if k.startswith(f"/{p}/")])[1:],
    "glob": lambda rng: (p := rng.choice("ab"), {"glob": f"{HOST}/{p}/*"},
                         [k for k in KEYS if k.startswith(f"/{p}/")])[1:],
    "host": lambda rng: ({"host": HOST}, KEYS),
    "site": lambda rng: ({"site": "main"}, KEYS),
    "all": lambda rng: ({"all": True}, KEYS),
}


class History:
    def __init__(self, edges, seed):
        self.lock = threading.Lock()
        self.rng = random.Random(seed)
        self.version = dict.fromkeys(KEYS, 1)  # at the origin
        self.acked = []  # (mark, {key: version}, when)
        self.everywhere = dict.fromkeys(KEYS, 0)  # acknowledged by control
        self.due = dict.fromkeys(KEYS, 0)  # of those, by everybody who lives, whatever he has heard
        self.unripe = []  # (when, a number, {key: version}), a heap: on their way to `due`
        self.tickets = itertools.count()
        self.floor = [dict.fromkeys(KEYS, 0) for _ in range(edges)]  # acknowledged by that edge
        self.position = [(0, 0)] * edges
        self.number = [0] * edges  # of the configuration
        self.excused = [0.0] * edges  # until then: it stood still a moment ago
        self.wrong = []
        self.counts = {"requests": 0, "purges": 0, "acknowledged": 0, "waited": 0, "positions": 0, "configurations": 0}

    def complain(self, text):
        with self.lock:
            self.wrong.append(f"{time.monotonic():.3f} {text}")

    def count(self, name):
        with self.lock:
            self.counts[name] += 1

    # --- the origin and purges

    def answer(self, x):
        key = x.request.target
        with self.lock:
            version = self.version.get(key, 0)
        tag = f'"{version}"'
        fields = [("Cache-Control", "max-age=3600"), ("ETag", tag), ("Surrogate-Key", tags_of(key))]
        if x.request.fields.get("If-None-Match") == tag:
            return x.reply(status=304, fields=fields)
        return x.reply(str(version).encode(), fields=fields)

    def change(self):
        """Something changes at the origin: the purge that says so, and what it is to bring about."""
        with self.lock:
            wish, keys = KINDS[self.rng.choice(list(KINDS))](self.rng)
            for key in keys:
                self.version[key] += 1
            self.counts["purges"] += 1
            return wish, {key: self.version[key] for key in keys}

    def acknowledge(self, mark, versions):
        with self.lock:
            self.acked.append((mark, versions))
            self.counts["acknowledged"] += 1
            self._ripen(BOUND_S, versions)
            raise_to(self.everywhere, versions)
            for i, position in enumerate(self.position):
                if position >= mark:
                    raise_to(self.floor[i], versions)

    def wait_ended(self, versions):
        """Control says that all edges which live have applied it."""
        with self.lock:
            self.counts["waited"] += 1
            self._ripen(WAITED_S, versions)

    def _ripen(self, after_s, versions):
        heapq.heappush(self.unripe, (time.monotonic() + after_s, next(self.tickets), versions))

    def tell_position(self, i, position):
        """Edge I says that all up to there is in force, or made to be asked about."""
        with self.lock:
            if position <= self.position[i]:
                return  # what a failover brought back is older
            self.counts["positions"] += 1
            for mark, versions in self.acked:
                if self.position[i] < mark <= position:
                    raise_to(self.floor[i], versions)
            self.position[i] = position

    def tell_number(self, i, number):
        with self.lock:
            before, self.number[i] = self.number[i], max(number, self.number[i])
            self.counts["configurations"] += number > before
        if number < before:
            self.complain(f"e{i} went back from configuration {before} to {number}")

    # --- requests

    def required(self, i, key):
        """Of a request that begins now: (by what the edge has acknowledged, by time)."""
        now = time.monotonic()
        with self.lock:
            while self.unripe and self.unripe[0][0] <= now:
                raise_to(self.due, heapq.heappop(self.unripe)[2])
            return self.floor[i][key], 0 if now < self.excused[i] else self.due[key]

    def judge(self, i, key, required, status, body):
        self.count("requests")
        if status != 200:
            return self.complain(f"e{i} answered {key} with {status}")
        version = int(body)
        if version < required[0]:
            self.complain(f"e{i} served {key} version {version} after it had acknowledged the purge of {required[0]}")
        elif version < required[1]:
            self.complain(f"e{i} served {key} version {version} when the purge of {required[1]} was due: it was waited for, or "
                          f"made more than {BOUND_S:.1f} s before")
        return None


def raise_to(table, versions):
    for key, version in versions.items():
        table[key] = max(table[key], version)
