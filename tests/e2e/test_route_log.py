"""The query log and the busiest clients and names."""

import json

import dns.edns
import dns.message
import dns.query
import pytest

from harness.client import fetch
from harness.router import Router
from harness.scale import wait_until

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\nsub NS ns.sub\nns.sub A 192.0.2.9\n"


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(**log):
        routers.append(Router(tmp_path, {"example.com": ZONE}, admin=f"unix:{tmp_path}/route.sock", threads=1,
                              sites=[{"name": "fra", "edges": ["203.0.113.10"]}], names=[{"name": "cdn.example.com"}],
                              overrides=[{"prefix": "198.51.100.0/24", "sites": ["fra"]}], query_log=log))
        return routers[-1].start()
    yield make
    for router in routers:
        router.stop()


def lines(router, count, name="queries.json"):
    path = router.directory / name

    def read():
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return found if len(found) >= count else None
    return wait_until(read, 10, f"{count} lines")


def test_each_answer_has_its_reason(new_router):
    router = new_router(path="queries.json")
    router.ask("www.example.com")
    router.ask("www.example.com", "MX", tcp=True)
    router.ask("None.example.com")
    router.ask("a.sub.example.com")
    router.ask("www.example.net")
    subnet = dns.edns.ECSOption("198.51.100.0", 24)
    router.send(dns.message.make_query("cdn.example.com", "A", use_edns=0, options=[subnet]))
    router.raw(b"\x12\x34\x01\0\0\2" + bytes(6) + b"\0\0\1\0\1")
    found = sorted(lines(router, 7), key=lambda e: e["transport"] == "tcp")  # a thread's lines are in their order
    assert [(e["reason"], e["rcode"], e["transport"]) for e in found] == [
        ("zone", "NOERROR", "udp"), ("no_name", "NXDOMAIN", "udp"), ("referral", "NOERROR", "udp"),
        ("refused", "REFUSED", "udp"), ("override", "NOERROR", "udp"), ("malformed", "FORMERR", "udp"),
        ("no_data", "NOERROR", "tcp")]
    assert found[1]["name"] == "none.example.com." and found[1]["type"] == "A" and found[1]["client"] == "127.0.0.1"
    assert found[4]["site"] == "fra" and found[4]["subnet"] == "198.51.100.0/24" and found[4]["scope"] == 24
    assert found[4]["bytes"] > 40


def test_a_sample_and_a_limit_a_second(new_router):
    router = new_router(path="queries.json", per_second=5)
    for _ in range(200):
        router.ask("www.example.com")
    assert 5 <= len(lines(router, 5)) < 100
    metrics = fetch(f"{router.directory}/route.sock", "/metrics").text
    held = [line for line in metrics.splitlines() if line.startswith("skerry_query_log_held_back_total")]
    assert float(held[0].split()[1]) > 100


def test_a_reload_turns_it_on_and_moves_it(new_router):
    router = new_router()
    router.ask("www.example.com")
    router.more["query_log"] = {"path": "first.json"}
    router.write()
    router.reload()
    router.ask("www.example.com")
    assert len(lines(router, 1, "first.json")) == 1
    (router.directory / "first.json").rename(router.directory / "rotated.json")
    router.reload()  # the same file, opened again
    router.ask("ns.example.com")
    assert lines(router, 1, "first.json")[0]["name"] == "ns.example.com."
    assert len(lines(router, 1, "rotated.json")) == 1


def test_the_busiest_clients_and_names(new_router):
    """One query of several is noted, and stands for those before it: which one is a matter of time. So the others come
    first, so few that they cannot be the most, whatever is noted."""
    router = new_router()
    for i in range(4):
        router.ask("ns.example.com", tcp=i % 2)
    for i in range(64):
        router.ask("www.example.com", tcp=i % 2)
    top = json.loads(fetch(f"{router.directory}/route.sock", "/top?count=1").body)
    assert 32 <= top["queries"] <= 68 and top["clients"][0]["network"] == "127.0.0.0/24"
    assert [n["name"] for n in top["names"]] == ["www.example.com."]
