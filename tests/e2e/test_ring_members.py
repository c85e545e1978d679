"""The ring of a fleet: nodes find each other by their heartbeats, come and go, and live on without Valkey."""

import collections
import json
import os
import signal
import threading
import time

import pytest

from harness.client import Conn
from harness.fleet import Fleet
from harness.ports import Reservation
from harness.scale import duration, wait_until

HOST = "example.test"
PATHS = [f"/o{i}" for i in range(60)]


class Ring:
    """COUNT edges of one PoP that are told of nobody."""

    def __init__(self, directory, new_edge, count, origin):
        directory.mkdir()
        self.fleet = Fleet(directory, new_edge, count)
        self.listeners = [Reservation() for _ in range(count)]
        self.origin = origin

    def start(self, count, **more):
        first = len(self.fleet.edges)
        for listener in self.listeners[first:first + count]:
            peers = {"listen": str(listener), "warm_up": "1m", "patience": duration(5), **more}
            self.fleet.edge(sites=[{"hosts": ["*"], "origins": [self.origin]}], peers=peers, memory="16MiB", threads=1)
        return self.fleet.edges[first:]


@pytest.fixture
def new_ring(tmp_path, new_edge, origin):
    origin.asked, origin.sent, lock = collections.Counter(), collections.Counter(), threading.Lock()

    def answer(x):
        known = x.request.fields.get("If-None-Match") == '"v"'
        with lock:
            origin.asked[x.request.path] += 1
            origin.sent[x.request.path] += not known
        if known:
            return x.reply(status=304, fields=[("Cache-Control", "max-age=3600"), ("ETag", '"v"')])
        return x.reply(x.request.path.encode(), fields=[("Cache-Control", "max-age=3600"), ("ETag", '"v"')])
    origin.default = answer
    rings = []

    def make(count):
        rings.append(Ring(tmp_path / f"fleet{len(rings)}", new_edge, count, origin))
        return rings[-1]
    yield make
    for ring in rings:
        ring.fleet.stop()


def owners(edge, paths=PATHS):
    """As EDGE sees it: who owns which path."""
    return [json.loads(edge.admin(f"/explain?url=http://{HOST}{path}").body).get("peers", {}).get("owner")
            for path in paths]


def agree(edges, names):
    """All of EDGES see the ring of NAMES, and each the same owner for each path."""
    views = [owners(edge) for edge in edges]
    return set(views[0]) == {f"home/{name}" for name in names} and all(view == views[0] for view in views)


def settle(edges, names):
    wait_until(lambda: agree(edges, names), 20, f"the ring of {names}")


def restart(edge, number=signal.SIGTERM):
    edge.expected_codes = {0, -number}
    os.kill(edge.pid, number)
    edge.wait_end()
    edge.log_path.rename(edge.log_path.with_suffix(f".{time.monotonic_ns()}"))
    edge.start()


def ask_all(edges, paths=PATHS):
    for edge in edges:
        with Conn(edge.address) as conn:
            for path in paths:
                got = conn.get(path, host=HOST)
                assert (got.status, got.body) == (200, path.encode())


def test_nodes_find_each_other_and_live_on_without_valkey(new_ring, origin):
    ring = new_ring(3)
    edges = ring.start(3)
    settle(edges, ["e0", "e1", "e2"])
    ask_all(edges)
    assert origin.asked.total() == len(PATHS)
    ring.fleet.valkey.kill()
    restart(edges[0])
    settle(edges, ["e0", "e1", "e2"])  # it has kept who there was
    ask_all(edges)


def test_a_node_that_comes_asks_who_had_its_keys(new_ring, origin):
    ring = new_ring(3)
    ring.start(2)
    edges = ring.fleet.edges
    settle(edges, ["e0", "e1"])
    ask_all(edges)
    assert origin.asked.total() == len(PATHS)
    ring.start(1)
    settle(edges, ["e0", "e1", "e2"])
    ask_all(edges)
    validated = origin.asked.total() - len(PATHS)  # it does not know what was purged before it came
    assert origin.sent.total() == len(PATHS) and validated <= len(PATHS)


def test_a_node_that_ends_is_out_of_the_ring_and_fails_nobody(new_ring):
    ring = new_ring(3)
    edges = ring.start(3)
    settle(edges, ["e0", "e1", "e2"])
    ask_all(edges)
    edges[2].stop()
    ask_all(edges[:2])
    settle(edges[:2], ["e0", "e1"])


def test_a_server_that_has_forgotten_everybody_changes_nothing(new_ring):
    ring = new_ring(2)
    edges = ring.start(2)
    settle(edges, ["e0", "e1"])
    for _ in range(10):
        ring.fleet.valkey.ask("FLUSHALL")
        assert agree(edges, ["e0", "e1"])
        time.sleep(0.1)


def test_nobody_becomes_a_node_by_writing_to_valkey(new_ring):
    ring = new_ring(2)
    edges = ring.start(1)
    settle(edges, ["e0"])
    valkey, real, forged = ring.fleet.valkey, "spiffe://acme/home/edge/e0", "spiffe://acme/home/edge/x"
    pairs = valkey.ask("HGETALL", f"skerry:member:{real}")
    said = pairs[pairs.index(b"said") + 1].replace(real.encode(), forged.encode())
    valkey.ask("HSET", f"skerry:member:{forged}", *pairs, "said", said)
    valkey.ask("SADD", "skerry:members", forged)
    wait_until(lambda: "is not believed" in edges[0].log(), 10, "the word that it is not believed")
    assert agree(edges, ["e0"])
