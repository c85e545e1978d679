"""The peer ring: edges of one PoP share their caches, and each key has one owner who asks the origin."""

import collections
import contextlib
import json
import os
import signal
import ssl
import threading
import time

import pytest

from harness import h2client
from harness.client import Conn
from harness.h2origin import H2Origin
from harness.message import build
from harness.ring import Ring
from harness.scale import duration, limit, wait_until

ANSWERED = 'skerry_peer_requests_total{result="answered"}'
FAILED = 'skerry_peer_requests_total{result="failed"}'



@pytest.fixture
def new_ring(tmp_path, new_edge):
    return lambda *nodes: Ring(tmp_path / "ring", new_edge, nodes)


@pytest.fixture
def site(origin):
    """Bodies name the path and say how often the origin was asked for it."""
    origin.asked, origin.changed, lock = collections.Counter(), False, threading.Lock()

    def answer(x):
        path = x.request.path
        with lock:
            origin.asked[path] += 1
            number = origin.asked[path]
        if x.request.fields.get("If-None-Match") == '"v"' and "tagged" not in path and not origin.changed:
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
        wait_until(lambda path=f"/p{i}", edge=purged:
                   edge.fetch(path).body == f"{path} {site.asked[path]}".encode() == edge.fetch(path).body)
        assert site.asked[f"/p{i}"] >= 2


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


# --- nodes that stop, and that begin again


PATIENT = {"patience": duration(0.4)}


def path_of(front, owner, name="x"):
    """A path that OWNER owns."""
    return next(f"/{name}{i}" for i in range(200) if explained(front, f"/{name}{i}") == owner.label)


def timed(do):
    began = time.monotonic()
    result = do()
    return result, time.monotonic() - began


@pytest.mark.parametrize("connected", [True, False])
def test_an_owner_that_is_stopped_costs_no_more_than_our_patience(new_ring, site, connected):
    ring = new_ring("a", "b", "c").start(site, peers=PATIENT)
    front, owner = ring.nodes[:2]
    path = path_of(front, owner)
    if connected:
        assert front.edge.fetch(path_of(front, owner, "before")).status == 200
    other = path_of(front, owner, "other")
    with stopped(owner.edge):
        got, took = timed(lambda: front.edge.fetch(path))
        assert got.body == f"{path} 1".encode()
        failed = front.edge.metrics()[FAILED]
        assert front.edge.fetch(other).body == f"{other} 1".encode()
    assert took < limit(2), took  # 0.4 s, where others would wait for a time limit; then
    assert front.edge.metrics()[FAILED] == failed == 1  # it is known to be out, and not asked again
    wait_until(lambda: "hit" in (front.edge.fetch(path)["cache-status"].split(",")[0]), 20, "the next owner's hit")


def test_a_slow_origin_is_no_reason_to_leave_an_owner(new_ring, origin):
    """It lives, so it is waited for: else each slow object would be fetched twice."""
    origin.on("/slow", lambda x: x.sleep(1.5).reply(b"slow", fields=[("Cache-Control", "max-age=60")]))
    ring = new_ring("a", "b", "c").start(origin, peers=PATIENT)
    for node in ring.nodes:
        assert node.edge.fetch("/slow").body == b"slow"
    assert origin.count("/slow") == 1
    assert ring.total(FAILED) == 0


def test_a_body_goes_on_when_its_owner_is_stopped(new_ring, origin):
    content = os.urandom(8_000_000)
    origin.default = lambda x: give_part(x, content)
    ring = new_ring("a", "b").start(origin, peers=PATIENT)
    front, owner = ring.nodes
    path = path_of(front, owner, "big")
    with Conn(front.edge.address, receive_buffer=4096) as conn:
        conn.send(build(target=path))
        head = conn.head()
        got = conn.read(100_000)
        with stopped(owner.edge):
            got += conn.read(len(content) - len(got))
    assert head.status == 200 and bytes(got) == content
    assert front.edge.metrics()["skerry_peer_resumed_total"] == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_edge_that_starts_again_holds_to_what_it_has_purged(new_ring, site, number):
    """Its owner has not heard of the purge, and it has itself forgotten which it was."""
    ring = new_ring("a", "b").start(site)
    front, owner = ring.nodes
    path, other = path_of(front, owner), path_of(front, owner, "other")
    for each in (path, other):
        assert front.edge.fetch(each).body == f"{each} 1".encode()
    assert front.edge.admin("/purge", "POST", body=b'{"url": "http://example.test%s"}' % path.encode()).status == 200
    site.changed = True  # whoever validates gets the new one
    time.sleep(1.1)  # the moment is kept a second ahead
    restart(front.edge, number)
    assert front.edge.fetch(path).body == f"{path} 2".encode()
    assert owner.edge.fetch(other).body == f"{other} 1".encode()  # nobody has asked about that one
    restart(front.edge, number)
    asked = site.asked[path]
    assert front.edge.fetch(path).body == f"{path} 2".encode() and site.asked[path] == asked  # once is enough


def test_an_edge_that_remembers_nothing_validates_what_is_older_than_itself(new_ring, site):
    ring = new_ring("a", "b").start(site, peers={"state": None})
    front, owner = ring.nodes
    path = path_of(front, owner)
    assert front.edge.fetch(path).body == f"{path} 1".encode()
    restart(front.edge)
    for _ in range(2):
        assert front.edge.fetch(path).body == f"{path} 1".encode()
        assert site.asked[path] == 2  # 304, once


def test_a_first_start_has_nothing_to_forget(new_ring, site):
    """Else every new node would make the owners ask the origin about everything."""
    ring = new_ring("a", "b")
    ring.start(site, nodes=ring.nodes[1:])
    owner = ring.nodes[1]
    paths = [f"/o{i}" for i in range(20)]
    assert get_all([owner.edge], paths) == []
    ring.start(site, nodes=ring.nodes[:1])
    assert get_all([ring.nodes[0].edge], [path for path in paths if explained(owner, path) == "home/b"]) == []
    assert site.asked.total() == 20


def restart(edge, number=signal.SIGTERM):
    """Another process in its place; what the first one said is put aside, for that it was ready is in it."""
    edge.expected_codes = {0, -number}
    os.kill(edge.pid, number)
    edge.wait_end()
    edge.log_path.rename(edge.log_path.with_suffix(f".{time.monotonic_ns()}"))
    edge.start()


@contextlib.contextmanager
def stopped(edge):
    pid = edge.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# --- very hot objects


def test_what_is_very_hot_is_kept_by_who_is_asked_too(new_ring, site):
    ring = new_ring("a", "b").start(site, peers={"hot": 5})
    front, owner = ring.nodes
    path, cold = path_of(front, owner, "tagged"), path_of(front, owner, "cold")
    seen = [front.edge.fetch(path) for _ in range(12)]
    assert all(got.body == f"{path} 1".encode() for got in seen)
    assert [got.hit for got in seen] == [False] * 5 + [True] * 7
    assert not front.edge.fetch(cold).hit and not front.edge.fetch(cold).hit
    metrics = front.edge.metrics()
    assert metrics[ANSWERED] == 5 + 2 and metrics["skerry_peer_hot_total"] == 1 and metrics["skerry_cache_guest_bytes"] > 0
    assert site.asked[path] == 1
    purge = {"tag": "news", "site": "*"}
    assert front.edge.admin("/purge", "POST", body=json.dumps(purge).encode()).status == 200
    assert front.edge.fetch(path).body == f"{path} 2".encode()
    assert owner.edge.metrics()["skerry_cache_guest_bytes"] == 0


def test_guests_have_no_more_than_their_share(new_ring, origin):
    origin.default = lambda x: x.reply(b"." * 60_000, fields=[("Cache-Control", "max-age=600")])
    ring = new_ring("a", "b").start(origin, peers={"hot": 1}, memory="16MiB")
    front, owner = ring.nodes
    paths = [f"/big{i}" for i in range(60)]
    for path in paths:
        assert front.edge.fetch(path).status == 200
    assert 0 < front.edge.metrics()["skerry_cache_guest_bytes"] <= 1 << 20
    assert origin.count() == 60


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
    for who, status in ((("b",), 204), (("r", "home", "route"), 403), (("b", "home", "edge", "other"), 403)):
        got = speak(address, as_node(ring, *who), [("Skerry-Peer", f"hop=home/{who[0]}")], method="PURGE")
        assert int(got.status) == status, who
    assert ring.nodes[0].edge.metrics()["skerry_peer_refused_total"] == 11
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
    origin.default = lambda x: give_part(x, content)
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


def give_part(x, content):
    """All of CONTENT, or what follows the first byte of a range."""
    wanted = x.request.fields.get("Range")
    fields = [("Cache-Control", "max-age=600"), ("ETag", '"big"')]
    if not wanted:
        return x.reply(content, fields=fields)
    first = int(wanted.removeprefix("bytes=").split("-")[0])
    fields.append(("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"))
    return x.reply(content[first:], status=206, fields=fields)


def explained(node, path):
    """Who owns PATH, as `skerry explain` says it."""
    return json.loads(node.edge.admin(f"/explain?url=http://example.test{path}").body)["peers"]["owner"]


# --- RFC 9111 section 4.4 for the ring as one cache ------------------------------------------------------------------


def owned_by(node, edge, prefix):
    """Paths that belong to NODE, by what EDGE explains of them."""
    for i in range(1000):
        path = f"/{prefix}{i}"
        told = json.loads(edge.admin(f"/explain?url=http://example.test{path}").text)
        if told["peers"]["owner"] == node.label:
            yield path


def test_rfc9111_4_4_an_unsafe_request_reaches_the_owner(new_ring, site):
    """What a POST at one edge has changed is old at the owner and at the third edge too, as soon as it is answered; also
    what its Location names; and of what is not the ring's, nothing."""
    ring = new_ring("a", "b", "c").start(site)
    a, b, c = ring.nodes
    path, other = (next(owned_by(b, a.edge, prefix)) for prefix in ("x", "y"))
    spared = next(owned_by(b, a.edge, "z"))
    site.on("/location", lambda x: x.reply(b"", status=201, fields=[("Location", other)]))
    for node in ring.nodes:
        for each in (path, other, spared):
            assert node.edge.fetch(each).body == f"{each} 1".encode()
    assert a.edge.fetch(path, "POST", body=b"change").status == 200  # the origin counts it
    for node in (b, c, a):
        assert node.edge.fetch(path).body == f"{path} 3".encode(), node.name
    assert a.edge.fetch("/location", "POST", body=b"x").status == 201
    for node in (c, b, a):
        assert node.edge.fetch(other).body == f"{other} 2".encode(), node.name
        assert node.edge.fetch(spared).body == f"{spared} 1".encode(), node.name
    assert c.edge.fetch(path, "DELETE").status == 200
    assert a.edge.fetch(path).body == f"{path} 5".encode()
    assert b.edge.metrics()["skerry_peer_forgotten_total"] >= 3
    assert ring.total("skerry_peer_untold_total") == 0


def test_rfc9111_4_4_an_owner_that_says_nothing_keeps_no_unsafe_request_waiting(new_ring, site):
    """It is connected, and answers PINGs, but not what it is told: not in `patience`, for which it is waited once, not
    for each URI; `timeout` is for what an origin takes. The origin gets the request once."""
    ring = new_ring("a", "b")
    a, b = ring.nodes
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ring.certificate("b"))
    b.reservation.close()
    with H2Origin(tls=context, port=b.reservation.port) as silent:
        ring.start(site, nodes=[a], peers={"patience": duration(0.5), "timeout": "60s"})
        paths = owned_by(b, a.edge, "x")
        path, other = next(paths), next(paths)
        site.on(path, lambda x: x.reply(b"", status=201, fields=[("Location", other)]))
        silent.scripts.update({each: lambda x: None for each in (path, other)})
        begun = time.monotonic()
        assert a.edge.fetch(path, "POST", body=b"x", timeout=50).status == 201
        assert time.monotonic() - begun < 30
        assert [(each[":method"], each.path) for each in silent.requests] == [("PURGE", path)]
        assert [x.method for x in site.requests if x.path == path] == ["POST"]
        wait_until(lambda: a.edge.metrics()["skerry_peer_untold_total"] == 2, 5, "both to be counted")


def test_rfc9111_4_4_an_owner_that_is_gone_keeps_no_unsafe_request_waiting(new_ring, site):
    ring = new_ring("a", "b").start(site, peers={"patience": "200ms"})
    a, b = ring.nodes
    path = next(owned_by(b, a.edge, "x"))
    b.edge.send_signal(signal.SIGKILL)
    b.edge.expected_codes.add(-signal.SIGKILL)
    b.edge.wait_end()
    assert a.edge.fetch(path, "POST", body=b"x").status == 200
    assert a.edge.metrics()["skerry_peer_untold_total"] == 1
    assert a.edge.fetch(path).status == 200
