"""The peer ring at size: one fetch for each object, a killed node, capacity that grows with the nodes.

SKERRY_TEST_LONG=1: 100,000 objects, in some four minutes on two cores."""

import signal
import threading
import time

import pytest

from harness.load import Load, body_sum
from harness.nginx import Nginx, available
from harness.ring import Ring
from harness.scale import pick

OBJECTS = pick(2000, 100_000)
NAMES = ("a", "b", "c", "d", "e", "f")
ANSWERED = 'skerry_peer_requests_total{result="answered"}'
FAILED = 'skerry_peer_requests_total{result="failed"}'
HOST = "example.test"  # the same at each edge, for it is part of the key

pytestmark = pytest.mark.skipif(not available(), reason="needs nginx")


class CountingOrigin:
    """nginx, whose log says how often it was asked. An object's content is its path, or SIZE bytes."""

    def __init__(self, directory, size=0):
        (directory / "root").mkdir(parents=True)
        (directory / "root" / "body").write_bytes(b"." * size)
        self.says_path = not size
        self.nginx = Nginx(directory, directory / "root", access_log=True,
                           more="location /o { %s }" % ("return 200 $uri;" if self.says_path else "try_files /body =404;"))
        self.url = self.nginx.url

    def line(self, path):
        """For the load client: the path, and what is to come."""
        return f"{path} {len(path)} {body_sum(path.encode()):x}\n" if self.says_path else f"{path}\n"

    def asked(self):
        """The paths, one for each request."""
        lines = self.nginx.access_log.read_text().splitlines()
        return [words[6] for words in map(str.split, lines) if words[6].startswith("/o")]

    def stop(self):
        self.nginx.stop()


@pytest.fixture
def new_counting_origin(tmp_path):
    origins = []

    def make(**more):
        origins.append(CountingOrigin(tmp_path / f"nginx{len(origins)}", **more))
        return origins[-1]
    yield make
    for origin in origins:
        origin.stop()


@pytest.fixture
def new_ring(tmp_path, new_edge):
    count = iter(range(100))
    return lambda *nodes: Ring(tmp_path / f"ring{next(count)}", new_edge, nodes)


def visit(edges, shares, tmp_path, origin, connections=8, requests=None, seed=1, **more):
    """Each edge is asked for its share of paths, once each (or for REQUESTS of them, at random), all edges at the same time
    and none of them for what another is asked for at that moment. The results of the load client, without a failure."""
    loads = []
    for i, (edge, paths) in enumerate(zip(edges, shares)):
        file = tmp_path / f"paths-{time.monotonic_ns()}-{i}"
        file.write_text("".join(map(origin.line, paths)))
        loads.append(Load(edge.address, file=file, connections=connections, requests=requests or len(paths), host=HOST,
                          timeout=20, seed=1000 * seed + i, **more))
    for load in loads:
        load.__enter__()
    results = [load.wait(300) for load in loads]
    assert [result for result in results if result["failed"]] == []
    return results


def in_turn(paths, count, first=0):
    return [paths[(first + i) % count::count] for i in range(count)]


def test_an_origin_sees_each_object_once(new_ring, new_counting_origin, tmp_path):
    origin = new_counting_origin()
    ring = new_ring(*NAMES).start(origin, memory="64MiB")
    paths = [f"/o{i}" for i in range(OBJECTS)]
    for first in (0, 1, 3):
        visit(ring.edges, in_turn(paths, 6, first), tmp_path, origin)
    asked = origin.asked()
    assert len(set(asked)) == OBJECTS
    assert len(asked) <= OBJECTS * 1.01, len(asked) / OBJECTS
    assert ring.total(ANSWERED) > 3 * OBJECTS * 0.7  # five in six belong to another edge
    print(f"{OBJECTS} objects, each asked for at three edges: {len(asked)} requests at the origin")


def test_killing_one_fails_nothing_and_moves_a_sixth(new_ring, new_counting_origin, tmp_path):
    origin = new_counting_origin()
    ring = new_ring(*NAMES).start(origin, memory="64MiB")
    paths = [f"/o{i}" for i in range(OBJECTS)]
    visit(ring.edges, in_turn(paths, 6), tmp_path, origin)
    before, gone = len(origin.asked()), ring.nodes[2].edge
    kept = [node.edge for node in ring.nodes if node.edge is not gone]
    gone.expected_codes = {-signal.SIGKILL}
    timer = threading.Timer(pick(0.05, 2), gone.send_signal, [signal.SIGKILL])
    timer.start()
    visit(kept, in_turn(paths, 5), tmp_path, origin)
    timer.join()
    assert not gone.alive()
    visit(kept, in_turn(paths, 5, 1), tmp_path, origin)  # and now from another one that is left
    extra = len(origin.asked()) - before
    assert extra <= OBJECTS * (1 / 6 + 0.02), extra / OBJECTS
    assert sum(edge.metrics()[FAILED] for edge in kept) > 0
    print(f"{OBJECTS} objects, one of six nodes killed: {extra / OBJECTS:.2%} fetched again")


def test_capacity_grows_with_the_nodes(new_ring, new_counting_origin, tmp_path):
    """Objects asked for at random, of which all nodes together cannot hold all: hits, and bytes that are stored."""
    objects, memory = pick((2400, 8), (40_000, 40))
    origin = new_counting_origin(size=10_000)
    paths = [f"/o{i}" for i in range(objects)]
    rows = []
    for count in pick((1, 3), (1, 2, 4, 6)):
        ring = new_ring(*NAMES[:count]).start(origin, memory=f"{memory}MiB")
        for step in range(pick(2, 3)):
            before = len(origin.asked())
            results = visit(ring.edges, [paths] * count, tmp_path, origin, requests=2 * objects // count, zipf=0.001,
                            connections=2, seed=step)
        asked = len(origin.asked()) - before
        hits = 1 - asked / sum(result["requests"] for result in results)
        rows.append((count, hits, ring.total("skerry_cache_used_bytes")))
        for edge in ring.edges:
            edge.stop()
    for count, hits, used in rows:
        print(f"{count} nodes of {memory} MiB, {objects} objects: {hits:.1%} hits in the ring, {used / 2**20:.0f} MiB used")
    for (few, fewer, less), (many, more, bytes_more) in zip(rows, rows[1:]):
        assert more > min(fewer * (1 + 0.6 * (many / few - 1)), 0.97), rows
        assert bytes_more > less * (1 + 0.6 * (many / few - 1)), rows
