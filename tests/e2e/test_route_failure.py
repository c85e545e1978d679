"""`skerry route` when what it stands on fails: it goes on answering, with what was last good, and says so."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import dns.edns
import pytest

from harness.client import fetch
from harness.edge import run
from harness.router import Router
from harness.scale import wait_until
from harness.sites import Site

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "lib"))
from mmdb import write_records  # noqa: E402

BEGINS = "begins with the kept routing table"
ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nplain A 192.0.2.1\n"
PLACES = {"eu": {"lat": "50", "lng": "8"}, "us": {"lat": "40", "lng": "-74"}, "asia": {"lat": "1", "lng": "103"}}
NETWORKS = {f"{20 + i // 64}.{i % 64 * 4}.0.0/14": list(PLACES)[i * 7 % 3] for i in range(192)}
SITES = {"eu": "203.0.113.1", "us": "203.0.113.2", "asia": "203.0.113.3"}


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(sites=SITES, signed=False, **more):
        (tmp_path / "state").mkdir(exist_ok=True)
        write_records(tmp_path / "places.mmdb", NETWORKS, PLACES)
        listed = [{"name": name, "latitude": float(PLACES[name]["lat"]), "longitude": float(PLACES[name]["lng"]),
                   "edges": [edge]} for name, edge in sites.items()]
        options = {"state": "state", "databases": ["places.mmdb"], "sites": listed, "weights": {"answer_sites": 1},
                   "names": [{"name": "www.example.com", "ttl": "1s"}], "admin": f"unix:{tmp_path}/route.sock"}
        routers.append(Router(tmp_path, {"example.com": ZONE}, **{**options, **more}))
        if signed:
            routers[-1].zones["example.com"]["keys"] = "keys"
        return routers[-1].start()

    yield make
    for router in routers:
        router.stop()


def restart(router):
    close, router.reservation.close = router.reservation.close, lambda: None
    router.stop()
    router.reservation.close = close
    router.start()


def health(router):
    return json.loads(fetch(f"{router.directory}/route.sock", "/health").body)


def first(router, network):
    option = dns.edns.ECSOption(network.split("/")[0], 24)
    return router.ask("www.example.com", use_edns=0, options=[option]).answer[0][0].address


def everybody(router, every=1):
    """Where each network, or one of EVERY so many, is sent."""
    return {network: first(router, network) for network in list(NETWORKS)[::every]}


NEAREST = {network: SITES[place] for network, place in NETWORKS.items()}


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_without_its_databases_it_sends_clients_where_it_sent_them_before(new_router, how):
    router = new_router()
    assert everybody(router) == NEAREST and health(router)["alarms"] == []
    damage(router.directory / "places.mmdb", how)
    router.reload("stays in force")
    assert everybody(router) == NEAREST
    assert health(router)["alarms"] == ["the configuration or what it names is refused"]
    restart(router)
    assert everybody(router) == NEAREST
    assert health(router)["status"] == "the databases of places cannot be read" and "places.mmdb" in router.log()
    assert "skerry_route_alarms 1" in fetch(f"{router.directory}/route.sock", "/metrics").body.decode()
    write_records(router.directory / "places.mmdb", NETWORKS, PLACES)
    router.reload()
    assert everybody(router) == NEAREST and health(router)["status"] == "ok"


def test_a_first_start_without_its_databases_is_refused(new_router):
    router = new_router()
    shutil.rmtree(router.directory / "state")
    router.more["databases"] = ["none.mmdb"]
    router.write()
    result = run("route", "-c", router.file)
    assert result.returncode == 2 and "none.mmdb" in result.stderr


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_damaged_table_is_put_aside_and_made_anew(new_router, how):
    router = new_router()
    state = router.directory / "state"
    wait_until(lambda: (state / "table").exists(), 5, "the kept table")
    router.stop()
    damage(state / "table", how)
    router.reservation.__init__(router.host)
    router.port = router.reservation.port
    router.start()
    assert everybody(router) == NEAREST
    assert health(router)["alarms"] == ["the kept routing table is damaged"]
    assert (state / "table.damaged").exists() and (state / "table").exists()


def test_when_all_checks_fail_from_the_start_the_kept_answers_stay(new_router):
    """A router that restarts while it cannot reach anybody knows from its table what was good."""
    edges = {"eu": Site("127.0.3.1"), "us": Site("127.0.3.2"), "asia": Site("127.0.3.3")}
    try:
        # Those that are gone refuse at once; it takes ten checks to be sure.
        checks = {"check": "http", "interval": "200ms", "timeout": "5s", "down_after": 10}
        router = new_router({name: edge.address for name, edge in edges.items()}, health=checks)
        edges["eu"].kill()
        wait_until(lambda: edges["eu"].ip not in everybody(router).values(), 10, "the dead site gone")
        for name in ("us", "asia"):
            edges[name].kill()
        router.wait_log("all sites look dead")
        good = everybody(router)
        assert edges["eu"].ip not in good.values()

        def looked():
            """How often somebody was sent before the first verdict, which takes two seconds: all may stand still for that."""
            verdicts, begun, times = router.log().count(" is down"), router.log().count(BEGINS), 0
            restart(router)
            wait_until(lambda: router.log().count(BEGINS) > begun, 10, "the kept table")
            while True:
                answers = everybody(router, 8)
                if router.log().count(" is down") > verdicts:
                    return times
                assert answers.items() <= good.items()  # a bad result or two move nobody
                times += 1
        assert wait_until(looked, 30, "a look before the first verdict")
        wait_until(lambda: health(router)["status"] == "all sites look dead", 10, "the alarm")
        assert set(everybody(router).values()) <= {edge.ip for edge in edges.values()}
    finally:
        for edge in edges.values():
            edge.kill()


def test_what_cannot_be_kept_is_an_alarm(new_router):
    router = new_router(state="nowhere")
    assert health(router)["alarms"] == ["the routing table cannot be kept"] and everybody(router) == NEAREST


CLOCK = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, out);
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_FILE"), "r") : NULL;
    long offset = 0;
    if (file && fscanf(file, "%ld", &offset) == 1) out->tv_sec += offset;
    if (file) fclose(file);
    return result;
}
"""


def inception(router):
    answer = router.ask("plain.example.com", want_dnssec=True)
    return next(rrset for rrset in answer.answer if rrset.rdtype == 46)[0].inception


def test_a_step_of_the_clock_is_told_and_signatures_follow(new_router, tmp_path, monkeypatch):
    if not shutil.which("gcc") or os.environ.get("SKERRY_BUILD", "release") != "release":
        pytest.skip("needs a compiler, and a program without a sanitizer's library in front")
    (tmp_path / "clock.c").write_text(CLOCK)
    (tmp_path / "offset").write_text("0")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "clock.so"))
    monkeypatch.setenv("CLOCK_FILE", str(tmp_path / "offset"))
    router = new_router(signed=True)
    now, answers = inception(router), everybody(router)
    for days in (-40, 3):
        (tmp_path / "next").write_text(str(days * 86400))
        (tmp_path / "next").rename(tmp_path / "offset")
        wait_until(lambda: abs(inception(router) - now - days * 86400) < 3600, 10, "signatures of that time")
        assert everybody(router) == answers and "the clock has stepped" in health(router)["alarms"]
    assert "the clock has moved by" in router.log()
