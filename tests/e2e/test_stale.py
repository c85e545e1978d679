"""Stale answers (RFC 5861): while a refresh runs, when the origin fails, within their limits and not beyond."""

import threading
import time

import pytest

from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply, sequence
from harness.scale import wait_until

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
ETAG = [("ETag", '"v1"')]


def words(text):
    return [("Cache-Control", text)]


# --- section 3: stale-while-revalidate


def test_rfc5861_3_the_client_never_waits_for_the_refresh(edge, origin):
    go = threading.Event()
    origin.on("/a", sequence(reply(b"old", fields=words("max-age=1, stale-while-revalidate=600")),
                             lambda x: x.wait(go).reply(b"new", fields=words("max-age=600"))))
    edge.fetch("/a")
    time.sleep(2.1)
    with edge.connect() as conn:
        for _ in range(20):
            assert conn.get("/a").body == b"old"
    origin.wait_for("/a", 2)
    go.set()
    wait_until(lambda: edge.fetch("/a").body == b"new", 10, "the refreshed response")


def test_rfc5861_3_one_refresh_of_a_key_at_a_time(new_edge, origin):
    """Also across threads."""
    go = threading.Event()
    origin.on("/a", sequence(reply(b"old", fields=words("max-age=1, stale-while-revalidate=600")),
                             lambda x: x.wait(go).reply(b"new", fields=words("max-age=600"))))
    edge = new_edge(origin, threads=4)
    edge.fetch("/a")
    time.sleep(2.1)
    conns = [edge.connect() for _ in range(40)]
    for conn in conns:
        conn.send(build(target="/a"))
    assert all(conn.response().body == b"old" for conn in conns)
    origin.wait_for("/a", 2)
    assert origin.count("/a") == 2
    go.set()
    wait_until(lambda: edge.fetch("/a").body == b"new", 10, "the refreshed response")
    assert origin.count("/a") == 2
    for conn in conns:
        conn.close()


@pytest.mark.one_by_one
@pytest.mark.parametrize("failure", [lambda x: x.reset(), reply(b"", 503), reply(b"", 500)], ids=["reset", "503", "500"])
def test_rfc5861_3_a_failing_refresh_does_not_extend(edge, origin, failure):
    origin.on("/a", sequence(reply(BODY, fields=words("max-age=1, stale-while-revalidate=3")), failure))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a").hit
    wait_until(lambda: origin.count("/a") >= 2)  # a reset is tried again
    time.sleep(3.1)
    response = edge.fetch("/a")
    assert not response.hit and response.status >= 500 and origin.count("/a") >= 3


def test_rfc5861_3_beyond_the_window_the_client_waits(edge, origin):
    origin.on("/a", sequence(reply(b"old", fields=words("max-age=1, stale-while-revalidate=1")),
                             reply(b"new", fields=words("max-age=600"))))
    edge.fetch("/a")
    time.sleep(3.1)
    response = edge.fetch("/a")
    assert response.body == b"new" and response.cache_status["fwd"] == "stale"


def test_rfc5861_3_a_304_refreshes_too(edge, origin):
    origin.on("/a", sequence(reply(BODY, fields=[*words("max-age=1, stale-while-revalidate=600"), *ETAG]),
                             reply(status=304, fields=[*words("max-age=600"), *ETAG])))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a").body == BODY
    wait_until(lambda: edge.fetch("/a").cache_status["ttl"] > 500, 10, "the refreshed response")
    assert origin.last("/a").fields.get("if-none-match") == '"v1"' and origin.count("/a") == 2


def test_rfc9111_4_2_4_must_revalidate_closes_the_window(edge, origin):
    origin.on("/a", reply(BODY, fields=words("max-age=1, stale-while-revalidate=600, must-revalidate")))
    edge.fetch("/a")
    time.sleep(2.1)
    assert not edge.fetch("/a").hit


# --- section 4: stale-if-error


@pytest.mark.one_by_one
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_rfc5861_4_an_error_is_answered_by_the_stale_response(edge, origin, status):
    origin.on("/a", sequence(reply(BODY, fields=words("max-age=1, stale-if-error=600")), reply(b"broken", status)))
    edge.fetch("/a")
    time.sleep(2.1)
    response = edge.fetch("/a")
    assert (response.status, response.body) == (200, BODY) and response.cache_status["fwd-status"] == status


@pytest.mark.one_by_one
@pytest.mark.parametrize("status", [404, 410, 501, 505])
def test_rfc5861_4_other_statuses_are_no_such_error(edge, origin, status):
    origin.on("/a", sequence(reply(BODY, fields=words("max-age=1, stale-if-error=600")), reply(b"x", status)))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a").status == status


@pytest.mark.one_by_one
def test_rfc5861_4_a_dead_origin_within_the_limit_and_beyond(edge, origin):
    origin.on("/a", reply(BODY, fields=words("max-age=1, stale-if-error=3")))
    edge.fetch("/a")
    origin.stop_listening()
    time.sleep(2.1)
    response = edge.fetch("/a")
    assert response.body == BODY and response.age >= 2 and response.cache_status["ttl"] < 0
    time.sleep(3.1)
    assert edge.fetch("/a").status in (502, 503, 504)


def test_rfc5861_4_the_request_may_ask_for_it(edge, origin):
    origin.on("/a", sequence(reply(BODY, fields=words("max-age=1")), lambda x: x.reset()))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a", fields=words("stale-if-error=600")).body == BODY
    assert edge.fetch("/a", fields=words("stale-if-error=1")).status == 502
    assert edge.fetch("/a").status == 502
    origin.on("/a", reply(b"broken", 503))
    assert edge.fetch("/a", fields=words("stale-if-error=600")).body == BODY


def test_rfc5861_4_each_of_those_who_wait_has_its_own_word(edge, origin):
    go = threading.Event()
    origin.on("/a", sequence(reply(BODY, fields=words("max-age=1")), lambda x: x.wait(go).reset()))
    edge.fetch("/a")
    time.sleep(2.1)
    with edge.connect() as strict, edge.connect() as lenient:
        strict.send(build(target="/a"))
        origin.wait_for("/a", 2)
        lenient.send(build(target="/a", fields=words("stale-if-error=600")))
        taken(lenient)
        go.set()
        assert strict.response().status == 502
        assert lenient.response().body == BODY


@pytest.mark.one_by_one
@pytest.mark.parametrize("text", ["must-revalidate", "proxy-revalidate", "no-cache"])
def test_rfc9111_4_2_4_nothing_opens_what_the_origin_has_closed(edge, origin, text):
    origin.on("/a", sequence(reply(BODY, fields=[*words(f"max-age=1, stale-if-error=600, {text}"), *ETAG]),
                             lambda x: x.reset()))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a", fields=words("stale-if-error=600")).status in (502, 504)


def test_rfc9111_5_1_age_of_stale_answers_counts_on(edge, origin):
    origin.on("/a", cacheable(BODY, 1, [*words("stale-while-revalidate=600"), ("Age", "100")]))
    edge.fetch("/a")
    time.sleep(1.1)
    assert 101 <= edge.fetch("/a").age <= 110
