"""`skerry route` learns from its edges: load, hit ratio and the round trip times of their clients."""

import json

import dns.edns
import pytest

from harness.client import fetch
from harness.ports import Reservation
from harness.router import Router
from harness.scale import wait_until
from harness.sites import Site

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n"


@pytest.fixture
def new_site():
    sites = []

    def make(ip):
        sites.append(Site(ip))
        return sites[-1]

    yield make
    for site in sites:
        site.kill()


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(sites, **more):
        listed = [{"name": name, "edges": [edge], "reports": [getattr(report, "address", report)]}
                  for name, (edge, report) in sites.items()]
        routers.append(Router(
            tmp_path, {"example.com": ZONE}, sites=listed, names=[{"name": "www.example.com", "ttl": "1s"}],
            reports={"interval": "200ms", "explore": 0, **more}, admin=f"unix:{tmp_path}/route.sock",
            weights={"max_step": 1}))
        return routers[-1].start()

    yield make
    for router in routers:
        router.stop()


def explain(router, client):
    return json.loads(fetch(f"{router.directory}/route.sock", f"/route?client={client}&name=www.example.com").body)


def first(router, subnet):
    option = dns.edns.ECSOption(subnet, 24)
    return router.ask("www.example.com", use_edns=0, options=[option]).answer[0][0].address


def test_measured_networks_go_where_they_are_fastest(new_router, new_site):
    a, b = new_site("127.0.2.1"), new_site("127.0.2.2")
    a.bodies["/rtt"] = b"load 0.1\nhit_ratio 0.9\n198.51.100.0/24 20 80 90\n203.0.113.0/24 20 15 20\n"
    b.bodies["/rtt"] = b"load 0.1\nhit_ratio 0.9\n198.51.100.0/24 20 12 20\n203.0.113.0/24 20 95 99\n"
    router = new_router({"a": ("192.0.2.1", a), "b": ("192.0.2.2", b)}, token="0123456789abcdef")
    wait_until(lambda: explain(router, "198.51.100.9")["reason"] == "RTT", 15, "a table of what was measured")
    assert a.asked[0][1]["Authorization"] == "Bearer 0123456789abcdef"
    assert first(router, "198.51.100.0") == "192.0.2.2" and first(router, "203.0.113.0") == "192.0.2.1"
    told = explain(router, "198.51.100.9")
    assert told["measured_by"] == "network" and told["sites"][0]["name"] == "b" and told["sites"][0]["rtt_ms"] == 12
    assert {site["load"] for site in told["sites"]} == {0.1}
    b.bodies["/rtt"] = b"load 0.1\n198.51.100.0/24 20 12"
    router.wait_log("an edge's report is not taken")


@pytest.mark.begins_first
@pytest.mark.release_only
def test_a_loaded_site_sheds_its_clients_in_steps(new_router, new_site):
    a, b = new_site("127.0.2.1"), new_site("127.0.2.2")
    a.bodies["/rtt"] = b"load 0.1\n198.51.100.0/24 20 24 30\n"
    b.bodies["/rtt"] = b"load 0.1\n198.51.100.0/24 20 12 20\n"
    router = new_router({"a": ("192.0.2.1", a), "b": ("192.0.2.2", b)}, token="0123456789abcdef")
    wait_until(lambda: first(router, "198.51.100.0") == "192.0.2.2", 15, "a table of what was measured")
    b.bodies["/rtt"] = b"load 3\n198.51.100.0/24 20 12 20\n203.0.113.0/24 20 95 99\n"
    wait_until(lambda: first(router, "198.51.100.0") == "192.0.2.1", 40, "the loaded site sheds its clients")
    shed = {site["name"]: site["shed"] for site in explain(router, "198.51.100.9")["sites"]}
    assert shed["a"] == 0 and 0.1 < shed["b"] < 0.9  # in steps
    b.bodies["/rtt"] = b"load 0.1\n198.51.100.0/24 20 12 20\n"
    wait_until(lambda: first(router, "198.51.100.0") == "192.0.2.2", 40, "the site is well again")


def test_an_edge_reports_what_its_clients_measure(new_router, new_edge, origin, new_site):
    reservation = Reservation()
    reservation.close()
    edge = new_edge(origin, admin=str(reservation), admin_token="0123456789abcdef", capacity=1000)
    fields = [("Authorization", "Bearer 0123456789abcdef")]
    for i in range(20):
        assert edge.fetch(f"/{i % 4}").status
    text = wait_until(lambda: (body := fetch(reservation.address, "/rtt", fields=fields).body.decode())
                      and "127.0.0.0/24" in body and body, 5, "a line for the clients")
    lines = dict(line.split(" ", 1) for line in text.splitlines())
    count, p50, p90 = map(float, lines["127.0.0.0/24"].split())
    assert count >= 15 and 0 < p50 <= p90 < 300 and 0 <= float(lines["load"])
    assert fetch(reservation.address, "/rtt").status == 401
    other = new_site("127.0.2.3")
    other.bodies["/rtt"] = b"127.0.0.0/24 20 400 500\n"
    router = new_router({"a": (edge.listen, str(reservation)), "b": ("192.0.2.9", other)}, token="0123456789abcdef")
    wait_until(lambda: explain(router, "127.0.0.7")["reason"] == "RTT", 15, "a table of what was measured")
    assert explain(router, "127.0.0.7")["answer"][0] == "a"
