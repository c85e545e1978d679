"""What random traces against a model of RFC 9111 (tests/property) found: each the smallest script that showed it."""

import threading
import time

import pytest

from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply, sequence

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
FRESH = ("Cache-Control", "max-age=60")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
def test_another_method_does_not_keep_the_next_get_from_being_stored(edge, origin, method):
    """A request that no cache may answer says nothing about what its URL gives to a GET."""
    origin.on("/a", cacheable(BODY))
    assert edge.fetch("/a", method).status == 200
    assert not edge.fetch("/a").hit
    assert edge.fetch("/a").hit


def test_a_head_that_misses_brings_what_a_get_may_use(edge, origin):
    """RFC 9110 9.3.2: for the store the origin is asked with GET, and what comes is judged as that."""
    origin.on("/a", cacheable(BODY))
    head = edge.fetch("/a", "HEAD")
    assert head.status == 200 and head.body == b"" and not head.hit
    get = edge.fetch("/a")
    assert get.hit and get.body == BODY
    assert [seen.method for seen in origin.requests] == ["GET"]


def stale_then(edge, origin, answer, path="/a"):
    """Stores something that is stale at once but can be validated; ANSWER comes next."""
    origin.on(path, sequence(cacheable(BODY, 1, [("ETag", '"v1"'), ("X-Body", "1")]), *answer))
    assert edge.fetch(path).body == BODY
    time.sleep(1.2)


def test_rfc9111_3_a_304_that_says_private_is_for_its_client_only(edge, origin):
    """Who waited for the same validation gets a response of its own, and nothing of this one is kept."""
    go = threading.Event()
    mine = [("ETag", '"v1"'), ("Cache-Control", "private"), ("Set-Cookie", "who=first")]

    def script(x):
        x.wait(go).reply(status=304, fields=mine)

    stale_then(edge, origin, [script, cacheable(b"for all")])
    conns = [edge.connect() for _ in range(2)]
    conns[0].send(build(target="/a"))
    origin.wait_for("/a", 2)
    conns[1].send(build(target="/a"))
    taken(*conns)
    go.set()
    first, second = [conn.response() for conn in conns]
    assert (first.body, first["set-cookie"]) == (BODY, "who=first")
    assert second.body == b"for all" and "set-cookie" not in second.fields
    assert "set-cookie" not in edge.fetch("/a").fields
    for conn in conns:
        conn.close()


def test_rfc9111_4_1_a_304_that_names_other_fields_in_vary(edge, origin):
    """What was stored for everybody is not given to requests that the new Vary tells apart."""
    renewed = reply(status=304, fields=[("ETag", '"v1"'), FRESH, ("Vary", "Accept-Language")])
    stale_then(edge, origin, [renewed, cacheable(b"en", fields=[("Vary", "Accept-Language")])])
    first = edge.fetch("/a", fields=[("Accept-Language", "de")])
    assert (first.status, first.body, first["vary"]) == (200, BODY, "Accept-Language")
    assert edge.fetch("/a", fields=[("Accept-Language", "en")]).body == b"en"


def test_rfc9111_3_2_a_304_that_repeats_vary_is_kept(edge, origin):
    """In any spelling, also where Vary has grown by Accept-Encoding because the type can be compressed."""
    vary = ("Vary", "Accept-Language")
    text = ("Content-Type", "text/html")
    renewed = reply(status=304, fields=[("ETag", '"v1"'), FRESH, ("Vary", "accept-language")])
    origin.on("/a", sequence(cacheable(BODY, 1, [("ETag", '"v1"'), vary, text]), renewed))
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").body == BODY
    assert edge.fetch("/a").hit and origin.count("/a") == 2


def test_rfc9111_5_2_1_7_only_if_cached_asks_nobody_about_if_match(edge, origin):
    """A condition that what is stored does not meet is the origin's to judge, but it must not be asked."""
    origin.on("/a", cacheable(BODY, fields=[("ETag", '"v1"')]))
    edge.fetch("/a")
    wish = [("Cache-Control", "only-if-cached"), ("If-Match", '"v2"')]
    assert edge.fetch("/a", fields=wish).status == 504
    assert origin.count("/a") == 1
