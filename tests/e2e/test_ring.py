"""The peer ring: edges of one PoP share their caches, and each key has one owner who asks the origin."""

import collections
import json
import os
import signal
import threading

import pytest

from harness import h2client
from harness.client import Conn
from harness.message import build
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


def test_killing_one_fails_nothing_and_moves_a_sixth(new_ring, site):
    ring = new_ring("a", "b", "c", "d", "e", "f").start(site)
    paths = [f"/o{i}" for i in range(OBJECTS)]
    assert get_all(ring.edges, paths) == []
    before, gone, rest = site.asked.total(), ring.nodes[2].edge, []
    kept = [node.edge for node in ring.nodes if node.edge is not gone]
    bad = []
    under_load = threading.Thread(target=lambda: bad.extend(get_all(kept, paths)))
    under_load.start()
    gone.expected_codes = {-signal.SIGKILL}
    gone.send_signal(signal.SIGKILL)
    under_load.join()
    assert bad == []
    assert get_all(kept, paths) == []  # and now from all that are left
    extra = site.asked.total() - before
    assert extra <= OBJECTS * (1 / 6 + 0.02), extra / OBJECTS
    assert sum(edge.metrics()["skerry_peer_requests_total{result=\"failed\"}"] for edge in kept) > 0


def test_a_purge_at_one_edge_holds_at_that_edge_at_once(new_ring, site):
    """No bus here: the owner has not heard of the purge, and must not answer with what it holds."""
    ring = new_ring("a", "b", "c").start(site)
    for i in range(6):
        for node in ring.nodes:
            assert node.edge.fetch(f"/p{i}").body == f"/p{i} 1".encode()
    for i in range(6):
        host = "example.test"
        purged = ring.nodes[i % 3].edge
        assert purged.admin("/purge", "POST", body=f'{{"url": "http://{host}/p{i}"}}'.encode()).status == 200
        assert purged.fetch(f"/p{i}").body == f"/p{i} 2".encode()
        # What the owner got hardly later than the purge counts as older while the way to it takes longer than that.
        wait_until(lambda i=i, edge=purged: edge.fetch(f"/p{i}").body == edge.fetch(f"/p{i}").body)
        asked = site.asked[f"/p{i}"]
        assert asked >= 2 and purged.fetch(f"/p{i}").body == f"/p{i} {asked}".encode()


def test_purges_by_tag_reach_through_the_ring(new_ring, site):
    ring = new_ring("a", "b", "c").start(site)
    paths = [f"/tagged{i}" for i in range(6)]
    for path in paths:
        for node in ring.nodes:
            assert node.edge.fetch(path).body == f"{path} 1".encode()
    for node in ring.nodes:
        assert node.edge.fetch(paths[0])["surrogate-key"] is None
    front = ring.nodes[1].edge
    assert front.admin("/purge", "POST", body=b'{"tag": "news", "site": "*"}').status == 200
    for path in paths:
        assert front.fetch(path).body == f"{path} 2".encode()
    assert sum(node.edge.metrics()["skerry_peer_behind_total"] for node in ring.nodes) > 0


def test_a_soft_purge_makes_the_owner_validate(new_ring, site):
    ring = new_ring("a", "b", "c").start(site)
    for node in ring.nodes:
        assert node.edge.fetch("/s").body == b"/s 1"
    for number, node in enumerate(ring.nodes):
        assert node.edge.admin("/purge", "POST", body=b'{"all": true, "soft": true}').status == 200
        assert node.edge.fetch("/s").body == b"/s 1"  # the origin has agreed
        assert site.asked["/s"] == 2 + number


def test_what_is_not_shareable_stays_so(new_ring, origin):
    count = collections.Counter()

    def private(x):
        count[x.request.fields.get("X-User")] += 1
        return x.reply(x.request.fields.get("X-User").encode(), fields=[("Cache-Control", "private, max-age=60")])
    origin.on("/private", private)
    ring = new_ring("a", "b", "c").start(origin)
    for user in ("ann", "bob"):
        for node in ring.nodes:
            got = node.edge.fetch("/private", fields=[("X-User", user)])
            assert got.body == user.encode()
    assert count.total() == 6


def test_variants_and_conditions(new_ring, origin):
    asked = collections.Counter()

    def answer(x):
        language = x.request.fields.get("Accept-Language")
        asked[language] += 1
        return x.reply(f"in {language}".encode(), fields=[("Cache-Control", "max-age=600"), ("Vary", "Accept-Language"),
                                                          ("ETag", f'"{language}"')])
    origin.on("/v", answer)
    ring = new_ring("a", "b", "c").start(origin)
    for _ in range(2):
        for node in ring.nodes:
            for language in ("de", "fr"):
                got = node.edge.fetch("/v", fields=[("Accept-Language", language)])
                assert got.body == f"in {language}".encode()
                same = node.edge.fetch("/v", fields=[("Accept-Language", language), ("If-None-Match", f'"{language}"')])
                assert same.status == 304
    assert asked == {"de": 1, "fr": 1}


def test_ranges_and_large_content(new_ring, origin):
    content = os.urandom(3_000_000)
    origin.on("/big", lambda x: x.reply(content, fields=[("Cache-Control", "max-age=600"), ("ETag", '"big"')]))
    ring = new_ring("a", "b", "c").start(origin)
    for node in ring.nodes:
        assert node.edge.fetch("/big").body == content
        part = node.edge.fetch("/big", fields=[("Range", "bytes=1000000-1999999")])
        assert (part.status, part.body) == (206, content[1_000_000:2_000_000])
    assert origin.count("/big") == 1


def test_many_at_once_are_one_fetch(new_ring, origin):
    go = threading.Event()
    origin.on("/slow", lambda x: x.wait(go).reply(b"slow", fields=[("Cache-Control", "max-age=600")]))
    ring = new_ring("a", "b", "c").start(origin)
    conns = [Conn(node.edge.address) for node in ring.nodes for _ in range(4)]
    for conn in conns:
        conn.send(build(target="/slow"))
    origin.wait_for("/slow")
    go.set()
    assert {conn.response().body for conn in conns} == {b"slow"}
    assert origin.count("/slow") == 1


def test_cache_status_names_the_way(new_ring, site):
    ring = new_ring("a", "b").start(site)
    seen = [node.edge.fetch("/w")["cache-status"] for node in ring.nodes for _ in range(2)]
    through = [status for status in seen if status.count(",")]
    assert through and all("detail=peer" in status for status in through), seen
    assert any("hit" in status.split(",")[0] for status in through)


def test_an_origin_that_fails_is_asked_once(new_ring, origin):
    origin.on("/broken", lambda x: x.close())
    ring = new_ring("a", "b", "c").start(origin, origin_options={"retries": 0})
    for node in ring.nodes:
        before = origin.count("/broken")
        assert node.edge.fetch("/broken").status == 502
        assert origin.count("/broken") - before <= 2  # and once more where a kept connection was stale


# --- who may ask


def test_clients_may_not_pretend_to_be_nodes(new_ring, site, authority):
    ring = new_ring("a", "b").start(site)
    hops = ("Skerry-Peer", "hop=home/b hop=home/a fresh=hard only")
    for node in ring.nodes:  # on the listener for clients the field means nothing, and goes nowhere
        got = node.edge.fetch("/x", fields=[hops])
        assert got.status == 200 and got["skerry-peer"] is None
    assert all("Skerry-Peer" not in request.fields for request in site.seen())
    assert site.asked["/x"] == 1
    address = ring.nodes[0].reservation.address
    client = ring.authority.client()
    client.check_hostname = False
    with pytest.raises((OSError, AssertionError)):  # no certificate
        speak(address, client, [hops])
    other = authority.client(*authority.files(names=("URI:spiffe://acme/home/edge/b",), label="foreign"))
    other.check_hostname, other.verify_mode = False, 0
    with pytest.raises((OSError, AssertionError)):  # of another authority
        speak(address, other, [hops])


def speak(address, context, fields, method="GET"):
    with h2client.Client(address, context) as client:
        return client.answer(client.head(method, "/node", [(name.lower(), value) for name, value in fields]))


def as_node(ring, *who):
    context = ring.authority.client(*ring.certificate(*who, label="test"))
    context.check_hostname = False
    return context


def test_nodes_are_refused_what_is_not_theirs(new_ring, site):
    ring = new_ring("a", "b").start(site)
    address = ring.nodes[0].reservation.address
    cases = [
        (("b",), "hop=home/b", 200),
        (("b",), "hop=home/a hop=home/b", 508),            # it has been here
        (("b",), "hop=home/c", 400),                       # it names another one
        (("b",), "", 400), (("b",), None, 400),
        (("b",), "hop=home/w hop=home/x hop=home/y hop=home/z hop=home/b", 400),
        (("r", "home", "route"), "hop=home/r", 403),       # not a router's verb
        (("c", "home", "control"), "hop=home/c", 403),
        (("b", "home", "edge", "other"), "hop=home/b", 403),  # another fleet
    ]
    for who, value, status in cases:
        got = speak(address, as_node(ring, *who), [("Skerry-Peer", value)] if value is not None else [])
        assert int(got.status) == status, (who, value)
    got = speak(address, as_node(ring, "b"), [("Skerry-Peer", "hop=home/b")], method="DELETE")
    assert int(got.status) == 405
    assert ring.nodes[0].edge.metrics()["skerry_peer_refused_total"] == 9
    assert "is refused: " in ring.nodes[0].edge.log()


def test_origins_may_not_speak_as_nodes(new_ring, origin):
    origin.on("/forged", lambda x: x.reply(b"f", fields=[("Cache-Control", "max-age=60"), ("Skerry-Peer", "held=0")]))
    ring = new_ring("a", "b").start(origin)
    for node in ring.nodes:
        for _ in range(2):
            got = node.edge.fetch("/forged")
            assert got.body == b"f" and got["skerry-peer"] is None
    assert origin.count("/forged") == 1


# --- shields


def test_a_shield_makes_it_one_fetch_a_fleet(new_ring, site):
    ring = new_ring("fra/a", "fra/b", "nyc/a", "nyc/b", "syd/a")
    ring.start(sites=[{"hosts": ["*"], "origins": [site], "shield": "fra"}])
    for i in range(20):
        for node in ring.nodes:
            assert node.edge.fetch(f"/s{i}").body == f"/s{i} 1".encode()
    assert site.asked.total() == 20


def test_without_its_shield_a_pop_asks_the_origin(new_ring, site):
    ring = new_ring("fra/a", "nyc/a")
    ring.start(sites=[{"hosts": ["*"], "origins": [site], "shield": "fra"}], nodes=ring.nodes[1:])
    assert ring.nodes[1].edge.fetch("/x").status == 200


# --- nodes that come


def test_a_new_node_asks_who_was_the_owner_before(new_ring, site):
    ring = new_ring("a", "b", "c")
    ring.start(site, nodes=ring.nodes[:2], peers={"warm_up": "1m"})
    paths = [f"/o{i}" for i in range(200)]
    for node in ring.nodes[:2]:
        assert get_all([node.edge], paths) == []
    before = site.asked.total()
    assert before <= 202
    ring.start(site, nodes=ring.nodes[2:], peers={"warm_up": "1m"})
    wait_until(lambda: ring.nodes[2].edge.fetch("/o0").status == 200, 5, "the new node")
    assert get_all([ring.nodes[2].edge], paths) == []
    assert site.asked.total() - before <= 4


def test_a_body_goes_on_when_its_owner_is_killed(new_ring, origin):
    content = os.urandom(8_000_000)

    def part(x):
        wanted = x.request.fields.get("Range")
        fields = [("Cache-Control", "max-age=600"), ("ETag", '"big"')]
        if not wanted:
            return x.reply(content, fields=fields)
        first = int(wanted.removeprefix("bytes=").split("-")[0])
        fields.append(("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"))
        return x.reply(content[first:], status=206, fields=fields)
    origin.default = part
    ring = new_ring("a", "b").start(origin)
    front, owner = ring.nodes
    path = next(f"/big{i}" for i in range(50) if "home/b" in explained(front, f"/big{i}"))
    with Conn(front.edge.address, receive_buffer=4096) as conn:
        conn.send(build(target=path))
        head = conn.head()
        got = conn.read(100_000)
        owner.edge.expected_codes = {-signal.SIGKILL}
        owner.edge.send_signal(signal.SIGKILL)
        got += conn.read(len(content) - len(got))
    assert head.status == 200 and bytes(got) == content
    assert front.edge.metrics()["skerry_peer_resumed_total"] == 1


def explained(node, path):
    """Who owns PATH, as `skerry explain` says it."""
    return json.loads(node.edge.admin(f"/explain?url=http://example.test{path}").body)["peers"]["owner"]
