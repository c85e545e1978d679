"""Cache-Status (RFC 9211): what each member and parameter says, on responses that an origin or the store gave. The
same reasons stand in the access log and in the metrics."""

import re
import threading
import time
from collections import Counter

import pytest

from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply, sequence

pytestmark = pytest.mark.one_by_one

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
FRESH = [("Cache-Control", "max-age=60")]
ETAG = [("ETag", '"v1"')]

# RFC 9651: a list member as we write it, with the types that RFC 9211 section 2 gives the parameters.
MEMBER = re.compile(
    r'(?:[A-Za-z*][!#$%&\'*+.^_`|~A-Za-z0-9:/-]*|"[ -~]*")'
    r"(?:; hit|; fwd=(?:bypass|method|uri-miss|vary-miss|miss|request|stale|partial)(?:; fwd-status=[1-9][0-9]{2})?"
    r"(?:; stored)?(?:; collapsed)?)(?:; ttl=-?[0-9]{1,15})?(?:; detail=[a-z][a-z-]*)?(?:; key=\"(?:[ !#-\[\]-~]|\\[\"\\])*\")?")


def member(response):
    """Our own member, checked for its form."""
    value = response.fields.all("cache-status")[-1]
    assert MEMBER.fullmatch(value), value
    return response.cache_status


# --- section 2: the field


def test_rfc9211_2_origins_responses_have_it(edge, origin):
    origin.on("/no", reply(b"x", fields=[("Cache-Control", "no-store")]))
    origin.on("/e", reply(b"x", 404))
    for target, method in (("/no", "GET"), ("/no", "POST"), ("/e", "GET"), ("/no", "HEAD")):
        assert "hit" not in member(edge.fetch(target, method)), target


@pytest.mark.h1_only
def test_rfc9211_2_responses_made_by_the_cache_itself_have_none(edge, origin):
    origin.on("/cut", lambda x: x.reset())
    assert edge.fetch("/cut").status == 502 and edge.fetch("/cut")["cache-status"] is None
    assert edge.fetch("/a", fields=[("Cache-Control", "only-if-cached")])["cache-status"] is None
    with edge.connect() as conn:
        assert conn.request("GET", "/a", host="a b")["cache-status"] is None


@pytest.mark.parametrize("name, value, status", [
    ("If-None-Match", '"v1"', 304), ("Range", "bytes=0-4", 206), ("Range", "bytes=99999-", 416),
    ("Range", "bytes=0-4,9-12", 206)])
def test_rfc9211_2_what_is_made_of_a_stored_response_has_it(edge, origin, name, value, status):
    origin.on("/a", cacheable(BODY, 60, ETAG))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[(name, value)])
    assert response.status == status and member(response)["hit"] is True


def test_rfc9211_2_the_member_nearest_to_the_origin_comes_first(edge, origin):
    origin.on("/a", cacheable(BODY, 60, [("Cache-Status", "Near; hit"), ("Cache-Status", '"Far one"; fwd=miss')]))
    for hit in (False, True):
        response = edge.fetch("/a")
        assert response["cache-status"].startswith('Near; hit, "Far one"; fwd=miss, skerry; ') and response.hit == hit


def test_rfc9211_2_an_existing_value_is_preserved_on_a_304(edge, origin):
    origin.on("/a", cacheable(BODY, 60, [("Cache-Status", "Near; hit"), *ETAG]))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("If-None-Match", '"v1"')])
    assert response["cache-status"].startswith("Near; hit, skerry; hit")


@pytest.mark.parametrize("name, shown", [("edge-1", "edge-1"), ("1.example", '"1.example"')])
def test_rfc9211_2_the_name_is_a_token_or_a_string(new_edge, origin, name, shown):
    origin.on("/a", cacheable(BODY))
    assert new_edge(origin, server_name=name).fetch("/a")["cache-status"].startswith(shown + "; ")


# --- section 2.1: hit


def test_rfc9211_2_1_a_hit_is_answered_without_going_forward(edge, origin):
    origin.on("/a", cacheable(BODY))
    assert "hit" not in member(edge.fetch("/a"))
    status = member(edge.fetch("/a"))
    assert status["hit"] is True and "fwd" not in status and "stored" not in status


def test_rfc9211_2_1_a_validated_response_is_no_hit(edge, origin):
    origin.on("/a", sequence(cacheable(BODY, 1, ETAG), reply(status=304, fields=[*ETAG, *FRESH])))
    edge.fetch("/a")
    time.sleep(1.2)
    response = edge.fetch("/a")
    status = member(response)
    assert response.status == 200 and "hit" not in status
    assert (status["fwd"], status["fwd-status"], status["stored"]) == ("stale", 304, True)


def test_rfc9211_2_1_a_stale_response_used_without_going_forward_is_a_hit(edge, origin):
    origin.on("/a", cacheable(BODY, 1, [("Cache-Control", "stale-while-revalidate=600")]))
    edge.fetch("/a")
    time.sleep(1.2)
    status = member(edge.fetch("/a"))
    assert status["hit"] is True and status["ttl"] <= 0 and status["detail"] == "stale-while-revalidate"


def test_rfc9211_2_1_hit_and_fwd_exclude_each_other_after_a_failure(edge, origin):
    origin.on("/a", sequence(cacheable(BODY, 1, [("Cache-Control", "stale-if-error=600")]), reply(b"", 503)))
    edge.fetch("/a")
    time.sleep(1.2)
    status = member(edge.fetch("/a"))
    assert (status["fwd"], status["fwd-status"], status["detail"]) == ("stale", 503, "stale-if-error")
    assert "hit" not in status and status["ttl"] <= 0


# --- sections 2.2 and 2.3: fwd, fwd-status


def test_rfc9211_2_2_fwd_uri_miss(edge, origin):
    origin.on("/a", cacheable(BODY))
    assert member(edge.fetch("/a"))["fwd"] == "uri-miss"


def test_rfc9211_2_2_fwd_vary_miss(edge, origin):
    origin.on("/a", reply(BODY, fields=[*FRESH, ("Vary", "X-A")]))
    edge.fetch("/a", fields=[("X-A", "1")])
    assert member(edge.fetch("/a", fields=[("X-A", "2")]))["fwd"] == "vary-miss"


def test_rfc9211_2_2_fwd_stale(edge, origin):
    origin.on("/a", cacheable(BODY, 1))
    edge.fetch("/a")
    time.sleep(1.2)
    assert member(edge.fetch("/a"))["fwd"] == "stale"


@pytest.mark.parametrize("name, value", [
    ("Cache-Control", "no-cache"), ("Cache-Control", "max-age=0"), ("Cache-Control", "min-fresh=600"),
    ("Pragma", "no-cache")])
def test_rfc9211_2_2_fwd_request(edge, origin, name, value):
    origin.on("/a", cacheable(BODY, 60))
    edge.fetch("/a")
    assert member(edge.fetch("/a", fields=[(name, value)]))["fwd"] == "request"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_rfc9211_2_2_fwd_method(edge, origin, method):
    origin.default = reply(b"x")
    assert member(edge.fetch("/a", method))["fwd"] == "method"


def test_rfc9211_2_2_fwd_bypass(new_edge, origin):
    origin.on("/a", cacheable(BODY))
    edge = new_edge(origin, cache={"enabled": False})
    assert member(edge.fetch("/a"))["fwd"] == "bypass"


def test_rfc9211_2_2_fwd_miss_where_nothing_more_is_known(edge, origin):
    origin.on("/a", reply(BODY, fields=[("Cache-Control", "private")]))
    edge.fetch("/a")
    status = member(edge.fetch("/a"))
    assert (status["fwd"], status["detail"]) == ("miss", "hit-for-miss")


@pytest.mark.parametrize("answered", [200, 203, 404, 500, 599])
def test_rfc9211_2_3_fwd_status_is_the_next_hops(edge, origin, answered):
    origin.on("/a", reply(b"x", answered, "Any"))
    assert member(edge.fetch("/a"))["fwd-status"] == answered


# --- sections 2.4 to 2.8


def test_rfc9211_2_4_ttl_is_what_is_left_and_may_be_negative(edge, origin):
    origin.on("/a", cacheable(BODY, 100, [("Age", "40")]))
    origin.on("/b", cacheable(BODY, 1, [("Cache-Control", "stale-while-revalidate=600")]))
    assert 55 <= member(edge.fetch("/a"))["ttl"] <= 60
    assert 55 <= member(edge.fetch("/a"))["ttl"] <= 60
    edge.fetch("/b")
    time.sleep(3.1)
    assert member(edge.fetch("/b"))["ttl"] < 0


def test_rfc9211_2_4_ttl_counts_what_the_cache_assigned(new_edge, origin):
    origin.on("/a", reply(BODY))
    edge = new_edge(origin, cache={"default_ttl": "300s"})
    assert 290 <= member(edge.fetch("/a"))["ttl"] <= 300


def test_rfc9211_2_5_stored(edge, origin):
    origin.on("/yes", cacheable(BODY))
    origin.on("/no", reply(BODY, fields=[("Cache-Control", "no-store")]))
    assert member(edge.fetch("/yes"))["stored"] is True
    status = member(edge.fetch("/no"))
    assert "stored" not in status and status["detail"] == "no-store"


def test_rfc9211_2_6_collapsed(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.wait(go).reply(BODY, fields=FRESH))
    conns = [edge.connect() for _ in range(3)]
    for conn in conns:
        conn.send(build(target="/a"))
    origin.wait_for("/a")
    taken(*conns)
    go.set()
    statuses = [member(conn.response()) for conn in conns]
    assert sum("collapsed" in status for status in statuses) == 2
    assert all(status["fwd"] == "uri-miss" for status in statuses)
    for conn in conns:
        conn.close()


def test_rfc9211_2_7_the_key_is_told_where_it_is_asked_for(new_edge, origin):
    origin.on('/a"\\b', cacheable(BODY))
    edge = new_edge(origin, name="shop", cache_status="key")
    for _ in range(2):
        response = edge.fetch('/a"\\b?c=d', host="WWW.Example.test")
        member(response)
        assert response["cache-status"].endswith('; key="shop|www.example.test|/a\\"\\\\b?c=d"')


def test_rfc9211_2_7_no_key_otherwise(edge, origin):
    origin.on("/a", cacheable(BODY))
    assert "key=" not in edge.fetch("/a")["cache-status"]


@pytest.mark.parametrize("fields, detail", [
    ([("Cache-Control", "private")], "private"), ([("Cache-Control", "no-store")], "no-store"),
    ([], "no-lifetime"), ([*FRESH, ("Vary", "*")], "vary-star"),
    ([("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Set-Cookie", "a=b")], "set-cookie")])
def test_rfc9211_2_8_detail_says_why_it_was_not_stored(edge, origin, fields, detail):
    origin.on("/a", reply(BODY, fields=fields))
    assert member(edge.fetch("/a"))["detail"] == detail


def test_rfc9111_4_2_2_heuristic_freshness_is_marked(edge, origin):
    origin.on("/a", reply(BODY, fields=[("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]))
    assert member(edge.fetch("/a"))["detail"] == "stored-heuristic"
    status = member(edge.fetch("/a"))
    assert status["hit"] is True and status["detail"] == "stored-heuristic"


# --- section 6: clients may be told nothing


def test_rfc9211_6_it_can_be_withheld_from_clients(new_edge, origin):
    origin.on("/a", cacheable(BODY, 60, [("Cache-Status", "Near; hit")]))
    origin.on("/b", reply(BODY, fields=[("Cache-Control", "private"), ("Cache-Status", "Near; hit")]))
    edge = new_edge(origin, cache_status="off")
    for target in ("/a", "/a", "/b", "/b"):
        assert edge.fetch(target)["cache-status"] is None
    assert origin.count("/a") == 1 and sum(entry["hit"] for entry in edge.access_log(4)) == 1


# --- one table of reasons: log and metrics


def test_the_same_reasons_stand_in_log_and_metrics(edge, origin):
    origin.on("/a", cacheable(BODY, 60))
    origin.on("/mine", reply(BODY, fields=[("Cache-Control", "private")]))
    for target in ("/a", "/a", "/mine", "/mine"):
        edge.fetch(target)
    entries = edge.access_log(4)
    found = Counter((entry["target"], entry["reason"], entry.get("store_reason")) for entry in entries)
    assert found == Counter([("/a", "uri-miss", "stored"), ("/a", "hit", None), ("/mine", "uri-miss", "private"),
                             ("/mine", "hit-for-miss", None)])
    metrics = edge.metrics()
    for reason, count in {"uri-miss": 2, "hit": 1, "hit-for-miss": 1, "stored": 1, "private": 1, "stale": 0}.items():
        assert metrics[f'skerry_cache_decisions_total{{reason="{reason}"}}'] == count, reason
