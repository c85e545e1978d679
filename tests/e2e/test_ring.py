"""The peer ring: edges of one PoP share their caches, and each key has one owner who asks the origin."""

import collections
import os
import signal
import threading

import pytest

from harness.client import Conn
from harness.ring import Ring
from harness.scale import wait_until

LONG = os.environ.get("SKERRY_TEST_LONG")
OBJECTS = int(os.environ.get("SKERRY_RING_OBJECTS", "100000" if LONG else "2000"))
ANSWERED = 'skerry_peer_requests_total{result="answered"}'


@pytest.fixture
def new_ring(tmp_path, new_edge):
    return lambda *nodes: Ring(tmp_path / "ring", new_edge, nodes)


@pytest.fixture
def site(origin):
    """Bodies name the path and say how often the origin was asked for it."""
    origin.asked, lock = collections.Counter(), threading.Lock()

    def answer(x):
        path = x.request.path
        with lock:
            origin.asked[path] += 1
            number = origin.asked[path]
        if x.request.fields.get("If-None-Match") == '"v"' and "tagged" not in path:
            return x.reply(status=304, fields=[("ETag", '"v"'), ("Cache-Control", "max-age=3600")])
        fields = [("Cache-Control", "max-age=3600"), ("ETag", '"v"')]
        if "tagged" in path:
            fields.append(("Surrogate-Key", "news"))
        return x.reply(f"{path} {number}".encode(), fields=fields)
    origin.default = answer
    return origin


def get_all(edges, paths, threads=2):
    """Each path from one of EDGES in turn, over kept connections; the responses that are no 200."""
    bad, lock = [], threading.Lock()

    def run(first):
        conns = [Conn(edge.address) for edge in edges]
        for i in range(first, len(paths), threads):
            got = conns[i % len(conns)].get(paths[i])
            if got.status != 200:
                with lock:
                    bad.append((paths[i], got.status, got.body))
        for conn in conns:
            conn.close()

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return bad


def test_an_origin_sees_each_object_once(new_ring, site):
    ring = new_ring("a", "b", "c", "d", "e", "f").start(site)
    paths = [f"/o{i}" for i in range(OBJECTS)]
    assert get_all(ring.edges, paths) == []
    assert get_all(ring.edges[1:] + ring.edges[:1], paths) == []
    asked = site.asked.total()
    assert OBJECTS <= asked <= OBJECTS * 1.01
    elsewhere = ring.total(ANSWERED)
    assert elsewhere > 2 * OBJECTS * 0.7  # five in six belong to another edge
