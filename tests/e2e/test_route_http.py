"""`skerry route` over HTTP: redirects, GET /route, and `skerry explain-route`."""

import json

import pytest

from harness.client import fetch
from harness.edge import run
from harness.ports import Reservation
from harness.router import Router
from harness.scale import wait_until

pytestmark = pytest.mark.one_by_one

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nplain A 192.0.2.1\n"


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(http=None, **more):
        reservation = Reservation()
        reservation.close()  # it listens without SO_REUSEPORT
        settings = {
            "sites": [{"name": "fra", "latitude": 50.1, "longitude": 8.7, "edges": ["203.0.113.10", "203.0.113.11"],
                       "hosts": ["fra-1.example.com", "fra-2.example.com"]},
                      {"name": "nyc", "latitude": 40.7, "longitude": -74, "edges": ["203.0.113.20", "2001:db8::20"]}],
            "names": [{"name": "www.example.com"}, {"name": "*.cdn.example.com"}],
            "overrides": [{"prefix": "127.0.0.2/32", "sites": ["nyc"]}, {"prefix": "127.0.0.0/8", "sites": ["fra"]},
                          {"prefix": "198.51.100.0/24", "sites": ["nyc", "fra"]}],
            "admin": f"unix:{tmp_path}/route.sock",
            "http": {"listen": str(reservation), **(http or {})}}
        router = Router(tmp_path, {"example.com": ZONE}, **{**settings, **more})
        router.http = reservation.address
        routers.append(router)
        return router.start()

    yield make
    for router in routers:
        router.stop()


def location(router, target, method="GET", status=302, **more):
    answer = fetch(router.http, target, method, **more)
    assert answer.status == status, answer
    return answer.fields.get("location")


def test_a_url_goes_always_to_the_same_edge_of_the_best_site(new_router):
    router = new_router()
    places = {target: location(router, target) for target in (f"/video/{i}.ts?x={i}" for i in range(40))}
    for target, place in places.items():
        assert place in (f"https://fra-1.example.com{target}", f"https://fra-2.example.com{target}")
        assert location(router, target) == place
    hosts = [place.split("/")[2] for place in places.values()]
    assert 8 <= hosts.count("fra-1.example.com") <= 32
    # a query does not change where content is kept
    assert location(router, "/video/1.ts?y").split("/")[2] == location(router, "/video/1.ts?z").split("/")[2]


def test_each_client_gets_its_site_and_without_names_an_address(new_router):
    router = new_router({"scheme": "http", "status": "307"})
    place = location(router, "/a", status=307, source="127.0.0.2")
    assert place in ("http://203.0.113.20:443/a", "http://[2001:db8::20]:443/a")


def test_other_methods_are_kept(new_router):
    router = new_router()
    assert location(router, "/form", "POST", 307, body=b"x").endswith(".example.com/form")
    assert location(router, "/form", "HEAD", 302)


def test_health_and_what_is_no_request(new_router):
    router = new_router()
    assert fetch(router.http, "/.well-known/skerry/health").status == 200
    assert fetch(router.http, "*", "OPTIONS").status == 400
    metrics = fetch(f"{router.directory}/route.sock", "/metrics").body.decode()
    location(router, "/x")
    assert "skerry_route_redirects_total 0" in metrics


def test_every_term_of_a_decision(new_router):
    router = new_router()
    for address in (router.http, f"{router.directory}/route.sock"):
        told = json.loads(fetch(address, "/route?client=198.51.100.7&url=http%3A%2F%2Fwww.example.com%2Fa%3Fb").body)
        assert told["answer"] == ["nyc", "fra"] and told["reason"] == "OVERRIDE" and told["override"] is True
        assert told["routed"] is True and "203.0.113.20" in told["addresses"] and told["scope_bits"] == 120
        assert told["location"] in ("https://203.0.113.20:443/a?b", "https://[2001:db8::20]:443/a?b")
        assert {site["name"] for site in told["sites"]} == {"fra", "nyc"}
        for site in told["sites"]:
            terms = sum(site[key] for key in ("proximity_term", "load_term", "hit_ratio_term", "cost_term"))
            assert abs(terms - site["total"]) < 1e-5
    for name, routed in (("www.example.com", True), ("x.cdn.example.com", True), ("a.b.cdn.example.com", True),
                         ("cdn.example.com", False), ("plain.example.com", False)):
        told = json.loads(fetch(router.http, f"/route?client=2001:db8::1&name={name}").body)
        assert told["routed"] is routed, name


@pytest.mark.parametrize("query", ["", "?client=", "?client=1.2.3", "?client=10.0.0.0/8", "?name=a", "?client=1.2.3.4&x=1",
                                   "?client=1.2.3.4&url=%00", "?client=" + "1" * 300])
def test_questions_that_are_none(new_router, query):
    assert fetch(new_router().http, "/route" + query).status == 400


def test_explain_route_for_people_and_for_programs(new_router):
    router = new_router()
    admin = ("--admin", f"unix:{router.directory}/route.sock")
    page = run("explain-route", "198.51.100.7", "www.example.com", *admin)
    assert page.returncode == 0, page.stderr
    assert "answer       nyc fra" in page.stdout and "operator's override" in page.stdout
    told = json.loads(run("explain-route", "--json", "198.51.100.7", "https://www.example.com/a", *admin).stdout)
    assert told["location"].endswith("/a")
    assert run("explain-route").returncode == 2
    assert run("explain-route", "nonsense", *admin).returncode == 2
    assert run("explain-route", "192.0.2.1", "--admin", "unix:/nonexistent").returncode == 1


def test_a_dead_edge_is_not_redirected_to(new_router):
    router = new_router(health={"check": "none"})
    both = {location(router, f"/{i}").split("/")[2] for i in range(40)}
    assert both == {"fra-1.example.com", "fra-2.example.com"}
    body = json.dumps({"observer": "x", "edges": {"203.0.113.10:443": False}}).encode()
    assert fetch(f"{router.directory}/route.sock", "/health-report", "POST", body=body).status == 200
    wait_until(lambda: {location(router, f"/{i}").split("/")[2] for i in range(40)} == {"fra-2.example.com"}, 5,
               "only the edge that is up")
