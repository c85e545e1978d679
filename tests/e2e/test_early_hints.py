"""Early Hints (RFC 8297): the links of what was stored, told while the origin is asked again."""

import threading
import time

import pytest

from harness.message import build
from harness.origin import cacheable, reply, sequence

pytestmark = pytest.mark.one_by_one

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
LINKS = [("Link", "</a.css>; rel=preload; as=style, </next>; rel=next"), ("Link", "<https://cdn.test>; rel=preconnect")]
NAVIGATE = [("Sec-Fetch-Mode", "navigate")]


def hints(response):
    return [link for early in response.informational if early.status == 103 for link in early.fields.all("link")]


def stale(edge, origin, again, first=()):
    """Stores a page with links, lets it get stale; what comes AGAIN is the origin's next answer."""
    origin.on("/", sequence(cacheable(BODY, 1, [*LINKS, *first]), again))
    edge.fetch("/")
    time.sleep(2.1)


def test_rfc8297_2_stored_links_are_told_before_the_origin_has_answered(edge, origin):
    go = threading.Event()
    stale(edge, origin, lambda x: x.wait(go).reply(b"new", fields=[("Cache-Control", "max-age=60")]))
    with edge.connect() as conn:
        conn.send(build(target="/", fields=NAVIGATE))
        early = conn.head()
        assert early.status == 103
        assert early.fields.all("link") == ["</a.css>; rel=preload; as=style", "<https://cdn.test>; rel=preconnect"]
        go.set()
        final = conn.response()
        assert (final.status, final.body) == (200, b"new")
        assert conn.get("/", fields=NAVIGATE).informational == []  # a hit waits for nobody


def test_rfc8297_2_while_it_is_validated_too(edge, origin):
    tag = [("ETag", '"v1"')]
    stale(edge, origin, reply(status=304, fields=[("Cache-Control", "max-age=60"), *tag]), tag)
    response = edge.fetch("/", fields=NAVIGATE)
    assert len(hints(response)) == 2 and response.body == BODY


@pytest.mark.h1_only
@pytest.mark.parametrize("mode, fields, told", [
    ("on", [], False), ("on", [("Sec-Fetch-Mode", "cors")], False), ("always", [], True), ("off", NAVIGATE, False)])
def test_rfc8297_3_clients_that_might_not_know_103_are_spared(new_edge, origin, mode, fields, told):
    edge = new_edge(origin, early_hints=mode)
    stale(edge, origin, cacheable(b"new", 60))
    response = edge.fetch("/", fields=fields)
    assert bool(hints(response)) == told and response.body == b"new"


def test_rfc9110_15_2_http_1_0_gets_no_1xx(new_edge, origin):
    edge = new_edge(origin, early_hints="always")
    stale(edge, origin, cacheable(b"new", 60))
    assert edge.fetch("/", version="1.0").informational == []


def test_nothing_is_told_of_what_is_not_stored(edge, origin):
    origin.on("/", cacheable(BODY, 60, LINKS))
    assert edge.fetch("/", fields=NAVIGATE).informational == []
