"""`skerry route` looks after its sites: checks, damping, several observers, and never an empty answer."""

import json
import time

import pytest

from harness.client import fetch
from harness.router import Router
from harness.scale import seconds, wait_until
from harness.sites import Site

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nplain A 192.0.2.1\n"
HEALTH = {"check": "http", "interval": "200ms", "timeout": "500ms", "down_after": 2, "up_after": 3}


@pytest.fixture
def new_site():
    sites = []

    def make(ip, **more):
        sites.append(Site(ip, **more))
        return sites[-1]

    yield make
    for site in sites:
        site.kill()


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(sites, health=None, **more):
        """SITES: {name: [Site or address]}; clients from the loopback get the first."""
        listed = [{"name": name, "latitude": 0, "longitude": 10 * i,
                   "edges": [getattr(edge, "address", edge) for edge in edges]}
                  for i, (name, edges) in enumerate(sites.items())]
        routers.append(Router(
            tmp_path, {"example.com": ZONE}, sites=listed, health={**HEALTH, **(health or {})},
            names=[{"name": "www.example.com", "ttl": "1s", "first_addresses": 0, "other_addresses": 0}],
            weights={"answer_sites": 1}, overrides=[{"prefix": "127.0.0.0/8", "sites": list(sites)[:1]}],
            admin=f"unix:{tmp_path}/route.sock", **more))
        return routers[-1].start()

    yield make
    for router in routers:
        router.stop()


def addresses(router):
    return sorted(record.address for record in router.ask("www.example.com").answer[0])


def admin(router, target, method="GET", body=b""):
    answer = fetch(f"{router.directory}/route.sock", target, method, body=body)
    return answer


def sites(router):
    return {site["name"]: site for site in json.loads(admin(router, "/sites").body)}


def test_a_dead_site_leaves_the_answers_within_five_seconds_and_comes_back_damped(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    router = new_router({"a": [a], "b": [b]})
    wait_until(lambda: sites(router)["a"]["edges"][0]["checked"], 10, "the first check")
    assert addresses(router) == [a.ip]
    a.kill()
    began = time.monotonic()
    wait_until(lambda: addresses(router) == [b.ip], 10, "the other site in the answers")
    assert time.monotonic() - began < seconds(5)
    told = sites(router)["a"]
    assert not told["up"] and "refused" in told["edges"][0]["why"]
    asked = len(a.asked)
    a.start()
    wait_until(lambda: addresses(router) == [a.ip], 10, "the site back in the answers")
    assert len(a.asked) - asked >= 3
    metrics = admin(router, "/metrics").body.decode()
    assert 'skerry_route_site_up{site="a"} 1' in metrics and "skerry_route_sites_up 2" in metrics


def test_only_the_dead_edge_of_a_site_leaves(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    router = new_router({"a": [a, b], "c": ["127.0.1.3:9"]})
    assert set(addresses(router)) == {a.ip, b.ip}
    a.kill()
    wait_until(lambda: addresses(router) == [b.ip], 10, "one edge in the answers")


def test_an_edge_that_hangs_is_dead_too(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    router = new_router({"a": [a], "b": [b]})
    a.server.shutdown()  # connections wait in the backlog
    wait_until(lambda: addresses(router) == [b.ip], 10, "the other site in the answers")
    wait_until(lambda: "timed out" in sites(router)["a"]["edges"][0].get("why", ""), 5, "the reason")


@pytest.mark.parametrize("status, down", [(200, False), (302, False), (404, True), (503, True)])
def test_what_a_status_means(new_router, new_site, status, down):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    a.status = status
    router = new_router({"a": [a], "b": [b]})
    wait_until(lambda: len(a.asked) > 5, 10, "checks")
    assert sites(router)["a"]["up"] is not down
    path, fields = a.asked[0]
    assert path == "/.well-known/skerry/health" and fields["Host"] == a.ip


def test_when_all_look_dead_the_last_good_answer_stays_and_there_is_an_alarm(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    router = new_router({"a": [a], "b": [b]})
    a.kill()
    wait_until(lambda: addresses(router) == [b.ip], 10, "the other site in the answers")
    b.kill()
    router.wait_log("all sites look dead")
    for _ in range(20):
        assert addresses(router) == [b.ip]
        time.sleep(0.05)
    assert json.loads(admin(router, "/health").body)["status"] == "all sites look dead"
    a.start()
    wait_until(lambda: addresses(router) == [a.ip], 10, "the site that is back")
    router.wait_log("no longer: all sites look dead")


def report(router, observer, **edges):
    body = json.dumps({"observer": observer, "edges": {key: up for key, up in edges.items()}}).encode()
    assert admin(router, "/health-report", "POST", body).status == 200


def test_most_observers_decide(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    router = new_router({"a": [a], "b": [b]})
    wait_until(lambda: sites(router)["a"]["edges"][0]["checked"], 10, "the first check")
    report(router, "ams", **{a.address: False})
    time.sleep(0.3)
    assert addresses(router) == [a.ip]  # one against one
    report(router, "lon", **{a.address: False, "192.0.2.77:1": False})
    wait_until(lambda: addresses(router) == [b.ip], 5, "two against one")
    report(router, "lon", **{a.address: True})
    wait_until(lambda: addresses(router) == [a.ip], 5, "back")
    a.kill()
    report(router, "ams", **{a.address: True})
    time.sleep(1)
    assert addresses(router) == [a.ip]  # only this router does not reach it
    assert sites(router)["a"]["edges"][0]["own_check_up"] is False
    for bad in (b"", b"[]", b'{"observer": 1, "edges": {}}', b'{"observer": "x"}', b'{"observer": "x", "edges": [1]}'):
        assert admin(router, "/health-report", "POST", bad).status == 400


def test_checks_over_tls_want_a_certificate_for_the_host(new_router, new_site, authority):
    files = authority.files(names=("DNS:www.example.com",), label="site")
    a, b = new_site("127.0.1.1", tls=files), new_site("127.0.1.2", tls=files)
    health = {"check": "https", "host": "www.example.com", "ca_file": str(authority.certificate)}
    router = new_router({"a": [a], "b": [b]}, health)
    wait_until(lambda: len(a.asked) > 4 and len(b.asked) > 4, 10, "checks")
    assert all(site["up"] for site in sites(router).values())
    router.more["health"] = {**HEALTH, **health, "host": "other.example.com"}
    router.write()
    router.reload()
    wait_until(lambda: not sites(router)["a"]["up"], 10, "a certificate for another name")
    assert "certificate" in sites(router)["a"]["edges"][0]["why"]
    router.more["health"] = {**HEALTH, **health, "ca_file": "/dev/null"}
    router.write()
    router.reload("stays in force")


def test_checks_end_when_the_configuration_says_so(new_router, new_site):
    a, b = new_site("127.0.1.1"), new_site("127.0.1.2")
    a.status = 503
    router = new_router({"a": [a], "b": [b]})
    wait_until(lambda: addresses(router) == [b.ip], 10, "the other site in the answers")
    router.more["health"] = {"check": "none"}
    router.write()
    router.reload()
    wait_until(lambda: addresses(router) == [a.ip], 5, "all sites as well")
    time.sleep(0.3)
    asked = len(a.asked)
    time.sleep(0.6)
    assert len(a.asked) == asked


def test_an_edge_says_itself_that_it_wants_no_more_clients(new_router, new_site, edge):
    b = new_site("127.0.1.2")
    router = new_router({"a": [edge.listen], "b": [b]})
    answer = edge.fetch("/.well-known/skerry/health")
    assert answer.status == 200 and json.loads(answer.body) == {"status": "ok"}
    assert edge.fetch("/.well-known/skerry/health", "HEAD").status == 200
    assert edge.fetch("/.well-known/skerry/health", "DELETE").status == 405
    wait_until(lambda: sites(router)["a"]["edges"][0]["checked"], 10, "the first check")
    assert addresses(router) == ["127.0.0.1"]
    assert edge.admin("/drain", "POST").status == 200
    answer = edge.fetch("/.well-known/skerry/health")
    assert answer.status == 503 and json.loads(answer.body)["reason"].startswith("draining")
    wait_until(lambda: addresses(router) == [b.ip], 5, "the other site in the answers")
    assert edge.fetch("/").status == 404  # who comes all the same gets the origin's answer
    #who comes all the same is served
    assert edge.admin("/undrain", "POST").status == 200
    wait_until(lambda: addresses(router) == ["127.0.0.1"], 10, "the edge back in the answers")
