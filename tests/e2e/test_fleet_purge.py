"""Purges of a whole fleet, over the bus: every kind reaches every edge, is waited for, and is not lost when publishers,
edges or the server fail."""

import json
import os
import shutil
import signal
import time

import pytest

from harness.fleet import Fleet
from harness.scale import duration, seconds, wait_until

HOST = "shop.example.com"
KINDS = [{"url": f"http://{HOST}/a"}, {"prefix": f"http://{HOST}/a"}, {"host": HOST}, {"site": "shop"}, {"tag": "t"},
         {"glob": f"{HOST}/a*"}, {"all": True}]


def sites(origin):
    return [{"name": "shop", "hosts": [HOST], "origins": [origin]}]


@pytest.fixture
def new_fleet(tmp_path, new_edge):
    fleets = []

    def make(count, origin, fleet=None, **configuration):
        made = Fleet(tmp_path / "fleet", new_edge, count)
        fleets.append(made)
        for _ in range(count):
            made.edge(sites=sites(origin), fleet=dict(fleet or {}), **configuration)
        return made

    (tmp_path / "fleet").mkdir()
    yield make
    for each in fleets:
        each.stop()


@pytest.fixture
def cacheable(origin):
    """Bodies say how often the origin was asked; the validator stays."""
    def answer(x):
        if x.request.fields.get("If-None-Match") == '"v"':
            return x.reply(status=304, fields=[("ETag", '"v"'), ("Cache-Control", "max-age=3600")])
        return x.reply(b"body", fields=[("Cache-Control", "max-age=3600"), ("Surrogate-Key", "t"), ("ETag", '"v"')])
    origin.default = answer
    return origin


def store(edges, target="/a"):
    for edge in edges:
        edge.fetch(target, host=HOST)
        assert edge.fetch(target, host=HOST).hit


def left(edge, target="/a"):
    return edge.fetch(target, fields=[("Cache-Control", "only-if-cached")], host=HOST).status == 200


def test_every_kind_reaches_every_edge(new_fleet, cacheable):
    fleet = new_fleet(3, cacheable)
    publisher = fleet.publisher()
    for request in KINDS:
        store(fleet.edges)
        answer = publisher.purge(request)
        assert answer["living"] == 3 and answer["behind"] == [], answer
        assert not any(left(edge) for edge in fleet.edges), request
    store(fleet.edges)
    publisher.purge({"purges": [{"url": f"http://{HOST}/other"}, {"tag": "t"}], "soft": True})
    before = cacheable.count()
    for edge in fleet.edges:
        assert edge.fetch("/a", host=HOST).status == 200
    assert cacheable.count() == before + 3  # each asked whether it is still good
    metrics = fleet.edges[0].metrics()
    assert metrics["skerry_bus_refused_total"] == 0
    assert metrics['skerry_purges_total{kind="tag"}'] == 2


def test_forged_purges_are_refused(new_fleet, cacheable):
    """Issue 6, attacks: who can write to Valkey sends an old purge again, changes one, and puts in what is none."""
    fleet = new_fleet(1, cacheable)
    edge, publisher = fleet.edges[0], fleet.publisher()
    publisher.purge({"host": HOST})
    store(fleet.edges)
    entry = next(fields for _, fields in fleet.valkey.ask("XRANGE", "skerry:purges", "-", "+") if HOST.encode() in fields[1])
    changed = [entry[0], entry[1].replace(HOST.encode(), HOST.upper().encode()), *entry[2:]]
    later = [entry[0], entry[1][:-20 - len(HOST)] + b"\x7f" * 8 + entry[1][-12 - len(HOST):], *entry[2:]]
    before = edge.metrics()["skerry_bus_entries_total"]
    for fields in (entry, changed, later, [b"e", b"SKB1"], [b"x", b"y"]):
        fleet.valkey.ask("XADD", "skerry:purges", "*", *fields)
    publisher.purge({"tag": "other"})  # behind them all
    assert left(edge) and edge.fetch("/a", host=HOST).hit
    metrics = edge.metrics()
    assert metrics["skerry_bus_refused_total"] >= 2  # what is no news is not even looked at
    assert metrics["skerry_bus_entries_total"] > before


def test_a_publisher_that_ends_well_costs_no_revalidation_and_one_that_dies_does(new_fleet, cacheable):
    fleet = new_fleet(1, cacheable)
    edge = fleet.edges[0]
    fleet.publisher().stop()
    before = edge.metrics()["skerry_bus_revalidations_total"]
    second = fleet.publisher()
    second.purge({"host": HOST})
    assert edge.metrics()["skerry_bus_revalidations_total"] == before
    second.kill()
    fleet.publisher().purge({"host": "other.example"})
    assert edge.metrics()["skerry_bus_revalidations_total"] == before + 1


def test_a_server_that_forgets_means_revalidation_and_is_followed_again(new_fleet, cacheable):
    fleet = new_fleet(2, cacheable)
    publisher = fleet.publisher()
    publisher.purge({"host": HOST})
    store(fleet.edges)
    asked = cacheable.count()
    fleet.valkey.kill()
    for edge in fleet.edges:  # nothing on a request's way waits for it
        assert edge.fetch("/a", host=HOST).hit
    fleet.valkey.start()
    for edge in fleet.edges:
        wait_until(lambda edge=edge: edge.metrics()["skerry_bus_revalidations_total"] >= 2, 15, "revalidation")
        assert edge.fetch("/a", host=HOST).status == 200
    assert cacheable.count() == asked + 2
    assert publisher.purge({"host": HOST})["behind"] == []
    assert not any(left(edge) for edge in fleet.edges)


def test_silence_means_revalidation_until_somebody_is_heard(new_fleet, cacheable):
    fleet = new_fleet(1, cacheable, fleet={"silence": duration(2)})
    edge = fleet.edges[0]
    fleet.publisher()
    store([edge])
    fleet.valkey.pause()
    wait_until(lambda: edge.metrics()["skerry_bus_silent"] == 1, 15, "the silence to be noticed")
    asked = cacheable.count()
    assert edge.fetch("/a", host=HOST).status == 200
    assert cacheable.count() == asked + 1
    fleet.valkey.pause(False)
    wait_until(lambda: edge.metrics()["skerry_bus_silent"] == 0, 15, "somebody to be heard")
    wait_until(lambda: edge.fetch("/a", host=HOST).hit, 5, "hits")


def test_an_edge_that_stands_still_is_named_and_catches_up(new_fleet, cacheable):
    fleet = new_fleet(2, cacheable)
    publisher = fleet.publisher()
    store(fleet.edges)
    pid = fleet.edges[1].pid
    os.kill(pid, signal.SIGSTOP)
    answer = publisher.purge({"host": HOST})
    assert answer["behind"] == ["spiffe://acme/home/edge/e1"], answer
    assert not left(fleet.edges[0])
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not left(fleet.edges[1]), 10, "the purge to be in force there too")


def test_an_edge_that_leaves_is_not_waited_for(new_fleet, cacheable):
    fleet = new_fleet(2, cacheable)
    publisher = fleet.publisher()
    assert publisher.purge({"host": HOST})["living"] == 2
    fleet.edges[1].stop()
    answer = publisher.purge({"host": HOST})
    assert answer["living"] == 1 and answer["behind"] == [], answer


@pytest.fixture
def away(tmp_path, new_fleet, origin):
    """An edge that has /a and /b of version 1 on its disk and has stopped; then the origin has version 2 of both, and /a
    is purged. Called: it starts again after SECONDS, with MEANWHILE done before."""
    version = ["1"]

    def answer(x):
        tag = f'"{version[0]}"'
        fields = [("Cache-Control", "max-age=3600"), ("ETag", tag)]
        if x.request.fields.get("If-None-Match") == tag:
            return x.reply(status=304, fields=fields)
        return x.reply(version[0].encode(), fields=fields)

    def go(away_s, end="stop", meanwhile=lambda fleet: None):
        fleet = new_fleet(1, origin, fleet={"silence": "3s"}, disk={"path": str(tmp_path / "store"), "size": "64MiB"})
        edge, publisher = fleet.edges[0], fleet.publisher()
        edge.expected_codes = {0, -signal.SIGKILL}
        for target in ("/a", "/b"):  # what comes before the bus was heard is revalidated
            wait_until(lambda target=target: edge.fetch(target, host=HOST).hit, 10, "a hit")
        wait_until(lambda: (tmp_path / "store.state.bus").exists(), 10, "its place on the bus")
        if end == "stop":
            edge.stop()
        else:
            os.kill(edge.pid, signal.SIGKILL)
            edge.wait_end()
        version[0] = "2"
        publisher.purge({"url": f"http://{HOST}/a"})
        time.sleep(away_s)
        meanwhile(fleet)
        edge.start(wait=False)
        edge.wait_ready(2)
        wait_until(lambda: edge.metrics()["skerry_disk_devices"] == 1, 10, "the store")
        return edge

    origin.default = answer
    return go


@pytest.mark.parametrize("away_s", [0, 4])
def test_an_edge_that_was_away_catches_up_from_its_place(away, origin, away_s):
    """Within its silence it goes on at once, after it when it has heard somebody again; either way only what was purged
    meanwhile is asked about."""
    edge = away(away_s)
    wait_until(lambda: edge.fetch("/a", host=HOST).body == b"2", 10, "the purge")
    asked = origin.count()
    assert edge.fetch("/b", host=HOST).body == b"1"
    assert origin.count() == asked
    assert edge.metrics()["skerry_bus_revalidations_total"] == 0


def damage(fleet):
    path = fleet.directory.parent / "store.state.bus"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


LOST = {"its place is damaged": damage,
        "its place is gone": lambda fleet: (fleet.directory.parent / "store.state.bus").unlink(),
        "its log of purges is older": lambda fleet: (fleet.directory.parent / "store.state").unlink(),
        "the server is another": lambda fleet: (fleet.valkey.kill(), fleet.valkey.start()),
        "the bus was trimmed": lambda fleet: fleet.valkey.ask("XTRIM", "skerry:purges", "MAXLEN", "0")}


@pytest.mark.parametrize("meanwhile", LOST.values(), ids=LOST.keys())
def test_what_may_have_been_missed_while_away_is_asked_about(away, meanwhile):
    edge = away(0, meanwhile=meanwhile)
    wait_until(lambda: all(edge.fetch(target, host=HOST).body == b"2" for target in ("/a", "/b")), 10, "version 2")


def test_after_its_silence_an_edge_that_hears_nobody_asks_about_everything(away):
    edge = away(4, meanwhile=lambda fleet: fleet.valkey.pause())
    for target in ("/a", "/b"):
        assert edge.fetch(target, host=HOST).body == b"2"


def test_an_edge_that_was_stopped_and_hears_nobody_asks_about_everything_at_once(away):
    """It had said that it goes, so whoever purged meanwhile has not waited for it, however short it was away."""
    edge = away(0, meanwhile=lambda fleet: fleet.valkey.pause())
    for target in ("/a", "/b"):
        assert edge.fetch(target, host=HOST).body == b"2"


def test_a_purge_while_an_edge_was_dead_holds_for_what_lies_on_its_disk(away):
    edge = away(0, end="kill")
    wait_until(lambda: edge.fetch("/a", host=HOST).body == b"2", 10, "the purge")


def test_purges_for_sites_of_another_configuration_count_when_it_comes(new_fleet, cacheable):
    fleet = new_fleet(1, cacheable)
    edge = fleet.edges[0]
    publisher = fleet.publisher()
    store([edge])
    with_shop = dict(edge.configuration)
    edge.reload({**with_shop, "sites": [{**with_shop["sites"][0], "name": "blog", "hosts": ["blog.example.org"]}]})
    publisher.purge({"host": HOST})  # which nobody serves here now
    edge.reload(with_shop)
    asked = cacheable.count()
    assert edge.fetch("/a", host=HOST).status == 200
    assert cacheable.count() == asked + 1


def test_without_an_identity_the_edge_does_not_start(tmp_path, new_edge, origin):
    edge = new_edge(origin, start=False, fleet={"state": str(tmp_path / "none"), "bus": "unix:/nowhere"})
    edge.expected_codes = {1}
    edge.start(wait=False)
    assert edge.wait_end() == 1
    assert "fleet.state" in edge.log()


def test_people_purge_by_control(tmp_path, new_control, new_edge, cacheable):
    control = new_control().start()
    bus = f"unix:{control.directory}/state/valkey/valkey.sock"
    edges = []
    for name in ("a", "b"):
        state = tmp_path / f"node-{name}"
        joined = control.join(state, name)
        assert joined.returncode == 0, joined.stderr
        edges.append(new_edge(sites=sites(cacheable), fleet={"state": str(state), "bus": bus}))
    for edge in edges:
        wait_until(lambda edge=edge: edge.metrics()["skerry_bus_entries_total"] > 0, 10, "the edges to hear it")
    for words in (["--tag", "t"], ["--all"], [f"http://{HOST}/a"]):
        store(edges)
        answer = control.ask("purge", "--wait", *words)
        assert answer["living"] == 2 and answer["behind"] == [], answer
        assert not any(left(edge) for edge in edges)
    assert control.has_done("purge", "tag t")
    figures = control.figures()
    assert figures["skerry_fleet_purge_duration_seconds_count"] == 3
    control.ask("purge", "--tag", "t")  # not waited for, and counted all the same
    wait_until(lambda: control.figures()["skerry_fleet_purge_duration_seconds_count"] == 4, 10, "the figure")
    control.ask("purge", "--host", HOST, token=control.token("reader", "read"), fails="purge")
    control.ask("purge", "--host", HOST, token=control.token("purger", "purge"))
    control.stop()  # with its server: a purge that nobody takes is said to be none
    assert all(edge.fetch("/a", host=HOST).status == 200 for edge in edges)


@pytest.mark.parametrize("program", ["valkey-server", "redis-server"])
def test_many_edges_have_a_purge_soon(tmp_path, new_edge, cacheable, program):
    """With SKERRY_TEST_LONG=1: fifty edges, a thousand purges of each kind; figures are printed."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not there")
    long = os.environ.get("SKERRY_TEST_LONG") == "1"
    count, rounds = (50, 1000) if long else (10, 5)
    (tmp_path / "fleet").mkdir()
    fleet = Fleet(tmp_path / "fleet", new_edge, count)
    fleet.valkey.stop()
    fleet.valkey = type(fleet.valkey)(program)
    try:
        for _ in range(count):
            fleet.edge(sites=sites(cacheable), threads=1, memory="8MiB", access_log=None, log_level="warn")
        publisher = fleet.publisher()
        took = {}
        for request in KINDS:
            took[next(iter(request))] = times = []
            for _ in range(rounds):
                answer = publisher.purge(request)
                assert answer["living"] == count and answer["behind"] == [], answer
                times.append(answer["applied_ms"])
        every = sorted(time for times in took.values() for time in times)
        figures = {"edges": count, "purges": len(every), "p50_ms": every[len(every) // 2],
                   "p99_ms": every[int(len(every) * 0.99)], "max_ms": every[-1]}
        print(json.dumps({"program": program, **figures}))
        assert figures["p99_ms"] < seconds(5) * 1000
    finally:
        fleet.stop()
