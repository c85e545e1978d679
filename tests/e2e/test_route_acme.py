"""ACME dns-01 (RFC 8555 8.4): records that come and go by the router's admin socket."""

import json

import dns.rcode
import pytest

from harness.client import fetch
from harness.router import Router
from harness.scale import wait_until

pytestmark = pytest.mark.one_by_one

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n"
NAME = "_acme-challenge.www.example.com"


@pytest.fixture(params=["plain", "signed"])
def router(tmp_path, request):
    router = Router(tmp_path, {"example.com": ZONE}, admin=f"unix:{tmp_path}/route.sock")
    if request.param == "signed":
        router.zones["example.com"]["keys"] = "keys"
    yield router.start()
    router.stop()


def challenge(router, **members):
    return fetch(f"{router.directory}/route.sock", "/acme-challenge", "POST", body=json.dumps(members).encode()).status


def texts(router):
    answer = router.ask(NAME, "TXT")
    return sorted(record.strings[0].decode() for record in answer.answer[0]) if answer.answer else answer.rcode()


def test_records_come_and_go(router):
    assert texts(router) == dns.rcode.NXDOMAIN
    assert challenge(router, name=NAME, value="token-1") == 200
    assert challenge(router, name=NAME + ".", value="token-2", ttl=60) == 200
    assert texts(router) == ["token-1", "token-2"] and router.ask(NAME, "TXT").answer[0].ttl == 5
    router.reload()
    assert texts(router) == ["token-1", "token-2"]
    assert challenge(router, name=NAME, value="token-1", ttl=0) == 200
    assert texts(router) == ["token-2"]
    assert challenge(router, name=NAME, value="token-2", ttl=1) == 200
    wait_until(lambda: texts(router) == dns.rcode.NXDOMAIN, 10, "the record's end")
    assert router.ask("www.example.com").answer


def test_a_name_of_another_zone_is_told(router):
    assert challenge(router, name="_acme-challenge.www.example.net", value="x") == 404
    assert challenge(router, name=NAME, value="x") == 200


@pytest.mark.parametrize("members", [{}, {"name": NAME}, {"name": "www.example.com", "value": "x"},
                                     {"name": NAME, "value": ""}, {"name": NAME, "value": "x" * 256},
                                     {"name": NAME, "value": "x", "ttl": -1}, {"name": NAME, "value": "x", "ttl": 1e9},
                                     {"name": NAME, "value": "x", "ttl": 90000}, {"name": "a" * 300, "value": "x"}])
def test_what_is_no_challenge_is_refused(router, members):
    assert challenge(router, **members) == 400
    assert texts(router) == dns.rcode.NXDOMAIN


def test_no_file_is_read_for_a_record(router):
    """A zone file that is gone or wrong keeps no certificate from being renewed."""
    router.write_zone("example.com", "nonsense")
    assert challenge(router, name=NAME, value="token") == 200
    assert texts(router) == ["token"]
    assert challenge(router, name=NAME, value="token", ttl=0) == 200
    assert texts(router) == dns.rcode.NXDOMAIN
    router.write_zone("example.com", ZONE)


def test_a_name_below_one_that_is_not_there_is_in_its_zone(router):
    """RFC 8020: a resolver that hears that `deep` does not exist asks for nothing below it."""
    name = "_acme-challenge.deep.example.com"
    assert challenge(router, name=name, value="token") == 200
    assert router.ask(name, "TXT").answer[0][0].strings == (b"token",)
    assert router.ask("deep.example.com", "TXT").rcode() == dns.rcode.NOERROR
    assert challenge(router, name=name, value="token", ttl=0) == 200
    assert router.ask("deep.example.com", "TXT", want_dnssec=False).rcode() == dns.rcode.NXDOMAIN


def test_other_types_of_the_name_have_no_data(router):
    assert challenge(router, name=NAME, value="token") == 200
    for type_ in ("A", "DS", "MX"):
        answer = router.ask(NAME, type_, want_dnssec=True)
        assert answer.rcode() == dns.rcode.NOERROR and not answer.answer
        assert answer.authority[0].rdtype.name == "SOA"
    assert router.ask(NAME, "ANY").answer[0][0].strings == (b"token",)
