"""The cache seen from outside: what is stored, for how long it answers, who shares a fetch (RFC 9111, RFC 9211)."""

import email.utils
import os
import threading
import time

import pytest

from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply, sequence
from harness.scale import SLOW, duration, limit, seconds, wait_until

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
MIB = 1 << 20
FRESH = [("Cache-Control", "max-age=60")]


def http_date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


def fields(*pairs, **named):
    return [*pairs, *((name.replace("_", "-").title(), value) for name, value in named.items())]


def stored(edge, origin, path="/a"):
    """Asks twice; True when the second answer came from the store."""
    first = edge.fetch(path)
    second = edge.fetch(path)
    assert (second.status, second.body) == (first.status, first.body)
    assert second.hit == (origin.count(path) == 1)
    return second.hit


# --- hit and miss


def test_a_miss_then_hits(edge, origin):
    origin.on("/a", cacheable(BODY, 60, [("Content-Type", "text/plain"), ("X-Extra", "kept")]))
    miss = edge.fetch("/a")
    assert not miss.hit and miss.cache_status["fwd"] == "uri-miss" and miss.cache_status.get("stored") is True
    for _ in range(3):
        hit = edge.fetch("/a")
        assert hit.hit and hit.body == BODY and hit["content-length"] == str(len(BODY))
        assert (hit["content-type"], hit["x-extra"], hit["cache-control"]) == ("text/plain", "kept", "max-age=60")
        assert 55 <= hit.cache_status["ttl"] <= 60
        assert 0 <= hit.age <= 5
    assert origin.count() == 1


def test_cache_status_is_appended_to_that_of_the_origin(edge, origin):
    """RFC 9211 2: the member nearest to the user comes last."""
    origin.on("/a", cacheable(BODY, 60, [("Cache-Status", "Other; hit")]))
    response = edge.fetch("/a")
    assert response["cache-status"].startswith("Other; hit, ") and not response.hit


def test_age_counts_on(edge, origin):
    """RFC 9111 4.2.3."""
    origin.on("/a", cacheable(BODY, 1000, [("Age", "100")]))
    edge.fetch("/a")
    first = edge.fetch("/a").age
    time.sleep(1.1)
    assert 100 <= first < edge.fetch("/a").age <= 130


def test_head_is_answered_from_a_stored_get(edge, origin):
    """RFC 9111 4."""
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a")
    head = edge.fetch("/a", "HEAD")
    assert head.hit and head.body == b"" and head["content-length"] == str(len(BODY))
    assert origin.count() == 1


def test_a_get_with_an_empty_body_is_a_get(edge, origin):
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a", fields=[("Content-Length", "0")])
    assert edge.fetch("/a", fields=[("Content-Length", "0")]).hit
    assert edge.fetch("/a").hit


def test_a_head_does_not_store_an_empty_body(edge, origin):
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a", "HEAD")
    assert edge.fetch("/a").body == BODY


def test_a_chunked_response_becomes_a_length_when_it_is_whole(edge, origin):
    origin.on("/a", cacheable(BODY, chunked=True, pieces=7))
    edge.fetch("/a")
    assert edge.fetch("/a")["content-length"] == str(len(BODY))


# --- may it be stored?

STORED = {
    "max-age": fields(cache_control="max-age=60"),
    "s-maxage": fields(cache_control="s-maxage=60"),
    "s-maxage over max-age=0": fields(cache_control="max-age=0, s-maxage=60"),
    "Expires": [("Expires", "FUTURE")],
    "public and max-age": fields(cache_control="public, max-age=60"),
    "immutable": fields(cache_control="max-age=60, immutable"),
    "upper case": [("CACHE-CONTROL", "MAX-AGE=60")],
    "quoted argument": fields(cache_control='max-age="60"'),
    "two lines": [("Cache-Control", "public"), ("Cache-Control", "max-age=60")],
    "unknown directives": fields(cache_control='x, y="no-store", max-age=60'),
    "heuristic from Last-Modified": [("Last-Modified", "PAST")],
    "Vary on a field that nobody sends": fields(cache_control="max-age=60", vary="X-Nobody"),
}
NOT_STORED = {
    "no-store": fields(cache_control="no-store"),
    "no-store beside max-age": fields(cache_control="max-age=60, no-store"),
    "no-store in another line": [("Cache-Control", "max-age=60"), ("Cache-Control", "no-store")],
    "private": fields(cache_control="private, max-age=60"),
    "max-age=0": fields(cache_control="max-age=0"),
    "s-maxage=0 over max-age": fields(cache_control="max-age=60, s-maxage=0"),
    "Expires in the past": [("Expires", "PAST")],
    "Expires that is no date": [("Expires", "0")],
    "older than its lifetime": fields(cache_control="max-age=60", age="100"),
    "nothing at all": [],
    "Set-Cookie without a word": [("Last-Modified", "PAST"), ("Set-Cookie", "a=b")],
    "Vary: *": fields(cache_control="max-age=60", vary="*"),
}


def _dates(pairs):
    return [(name, {"FUTURE": http_date(100), "PAST": http_date(-864000)}.get(value, value)) for name, value in pairs]


@pytest.mark.parametrize("name", STORED)
def test_stored(edge, origin, name):
    """RFC 9111 3, 4.2, 5.2, 5.3."""
    origin.on("/a", reply(BODY, fields=_dates(STORED[name])))
    assert stored(edge, origin)


@pytest.mark.parametrize("name", NOT_STORED)
def test_not_answered_from_the_store(edge, origin, name):
    """RFC 9111 3, 4.2, 5.2, 5.3."""
    origin.on("/a", reply(BODY, fields=_dates(NOT_STORED[name])))
    assert not stored(edge, origin)


@pytest.mark.parametrize("status", [200, 203, 301, 302, 404, 410, 500, 599])
def test_explicit_freshness_makes_any_final_status_storable(edge, origin, status):
    """RFC 9111 3."""
    origin.on("/a", cacheable(b"body", status=status, reason="Any"))
    assert stored(edge, origin)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_responses_to_other_methods_do_not_answer_a_get(edge, origin, method):
    origin.on("/a", lambda x: x.reply(x.request.method.encode(), fields=FRESH))
    edge.fetch("/a", method)
    assert edge.fetch("/a").body == b"GET"


def test_authorised_requests_are_not_shared(edge, origin):
    """RFC 9111 3.5."""
    origin.on("/a", lambda x: x.reply(x.request.fields.get("authorization", "nobody").encode(), fields=FRESH))
    assert edge.fetch("/a", fields=[("Authorization", "Basic one")]).body == b"Basic one"
    assert edge.fetch("/a").body == b"nobody"


def test_public_lets_authorised_responses_be_shared(edge, origin):
    """RFC 9111 3.5."""
    origin.on("/a", reply(BODY, fields=[("Cache-Control", "public, max-age=60")]))
    edge.fetch("/a", fields=[("Authorization", "Basic one")])
    assert edge.fetch("/a").hit


# --- the request's word


def test_request_no_store_is_not_stored(edge, origin):
    """RFC 9111 5.2.1.5."""
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a", fields=[("Cache-Control", "no-store")])
    assert not edge.fetch("/a").hit


@pytest.mark.parametrize("name, value", [
    ("Cache-Control", "no-cache"), ("Cache-Control", "max-age=0"), ("Pragma", "no-cache")])
def test_a_request_may_ask_for_the_origins_word(edge, origin, name, value):
    """RFC 9111 5.2.1, 5.4."""
    origin.on("/a", sequence(cacheable(b"old"), cacheable(b"new")))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[(name, value)])
    assert response.body == b"new" and not response.hit
    assert edge.fetch("/a").body == b"new"


def test_only_if_cached(edge, origin):
    """RFC 9111 5.2.1.7."""
    origin.on("/a", cacheable(BODY))
    assert edge.fetch("/a", fields=[("Cache-Control", "only-if-cached")]).status == 504
    assert origin.count() == 0
    edge.fetch("/a")
    assert edge.fetch("/a", fields=[("Cache-Control", "only-if-cached")]).hit


# --- the key


@pytest.mark.parametrize("one, other, same", [
    ("/k", "/k?", False), ("/k?a", "/k?b", False), ("/k?a=1&b=2", "/k?b=2&a=1", False), ("/k", "/K", False),
    ("/~k", "/%7Ek", True), ("/%e2", "/%E2", True), ("/x/../k", "/k", True), ("/./k", "/k", True), ("/a%2Fb", "/a/b", False),
    ("//k", "/k", False), ("/k/", "/k", False)])
def test_targets_that_mean_the_same_share_an_object(edge, origin, one, other, same):
    """RFC 3986 6.2.2."""
    origin.default = lambda x: x.reply(x.request.target.encode(), fields=FRESH)
    edge.fetch(one)
    assert edge.fetch(other).hit == same


@pytest.mark.h1_only
def test_hosts_do_not_share_but_their_spelling_does_not_matter(edge, origin):
    origin.default = lambda x: x.reply(x.request.fields.get("host").encode(), fields=FRESH)
    edge.fetch("/", host="a.test")
    assert edge.fetch("/", host="A.TEST").hit
    assert edge.fetch("/", host="a.test:80").hit
    assert not edge.fetch("/", host="b.test").hit
    assert not edge.fetch("/", host="a.test:8080").hit


# --- freshness ends


def test_a_stale_response_is_fetched_anew(edge, origin):
    origin.on("/a", sequence(cacheable(b"old", 1), cacheable(b"new", 60)))
    assert edge.fetch("/a").body == b"old"
    assert edge.fetch("/a").body == b"old"
    time.sleep(1.2)
    response = edge.fetch("/a")
    assert response.body == b"new" and response.cache_status["fwd"] == "stale"


def test_configured_lifetimes(new_edge, origin):
    origin.on("/none", reply(BODY))
    origin.on("/zero", cacheable(BODY, 0))
    edge = new_edge(origin, cache={"default_ttl": "5m"})
    edge.fetch("/none")
    assert 290 <= edge.fetch("/none").cache_status["ttl"] <= 300
    edge.reload({**edge.configuration, "cache": {"override_ttl": "1h"}})
    edge.fetch("/zero")
    assert edge.fetch("/zero").hit


def test_the_cache_can_be_switched_off(new_edge, origin):
    origin.on("/a", cacheable(BODY))
    edge = new_edge(origin, cache={"enabled": False})
    assert [edge.fetch("/a").hit for _ in range(3)] == [False] * 3
    assert origin.count() == 3


# --- validation


def test_a_stale_response_with_an_etag_is_validated(edge, origin):
    """RFC 9111 4.3."""
    origin.on("/a", sequence(cacheable(BODY, 1, [("ETag", '"v1"'), ("X-N", "1")]),
                             reply(status=304, reason="Not Modified", fields=[("ETag", '"v1"'), *FRESH, ("X-N", "2")])))
    edge.fetch("/a")
    time.sleep(1.2)
    response = edge.fetch("/a")
    assert (response.status, response.body, response["x-n"]) == (200, BODY, "2")
    assert origin.last("/a").fields.get("if-none-match") == '"v1"'
    again = edge.fetch("/a")
    assert again.hit and again.body == BODY and again["x-n"] == "2" and again.cache_status["ttl"] > 50
    assert origin.count("/a") == 2


def test_a_stale_response_with_a_date_is_validated(edge, origin):
    modified = http_date(-1000)
    origin.on("/a", sequence(cacheable(BODY, 1, [("Last-Modified", modified)]),
                             reply(status=304, reason="Not Modified", fields=FRESH)))
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").body == BODY
    assert origin.last("/a").fields.get("if-modified-since") == modified
    assert edge.fetch("/a").hit


def test_a_changed_response_replaces_the_old(edge, origin):
    origin.on("/a", sequence(cacheable(b"old", 1, [("ETag", '"v1"')]), cacheable(b"new", 60, [("ETag", '"v2"')])))
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").body == b"new"
    assert edge.fetch("/a").body == b"new" and origin.count() == 2


def test_no_cache_is_validated_each_time(edge, origin):
    """RFC 9111 5.2.2.4."""
    def script(x):
        if x.request.fields.get("if-none-match") == '"v1"':
            x.reply(status=304, reason="Not Modified", fields=[("ETag", '"v1"'), ("Cache-Control", "no-cache")])
        else:
            x.reply(BODY, fields=[("ETag", '"v1"'), ("Cache-Control", "no-cache")])

    origin.on("/a", script)
    for _ in range(3):
        assert edge.fetch("/a").body == BODY
    assert origin.count() == 3
    assert [request.fields.get("if-none-match") for request in origin.seen("/a")] == [None, '"v1"', '"v1"']


def test_conditions_of_a_client_never_spoil_what_is_stored(edge, origin):
    """A miss with If-None-Match: the origin's answer to our own question is what counts."""
    def script(x):
        if x.request.fields.get("if-none-match") == '"v1"':
            x.reply(status=304, reason="Not Modified", fields=[("ETag", '"v1"'), *FRESH])
        else:
            x.reply(BODY, fields=[("ETag", '"v1"'), *FRESH])

    origin.on("/a", script)
    assert edge.fetch("/a", fields=[("If-None-Match", '"v1"')]).status == 304
    response = edge.fetch("/a")
    assert (response.status, response.body) == (200, BODY)


def test_many_clients_validate_once(edge, origin):
    go = threading.Event()
    origin.on("/a", sequence(cacheable(BODY, 1, [("ETag", '"v1"')]),
                             lambda x: x.wait(go).reply(status=304, fields=[("ETag", '"v1"'), *FRESH])))
    edge.fetch("/a")
    time.sleep(1.2)
    conns = [edge.connect() for _ in range(30)]
    for conn in conns:
        conn.send(build(target="/a"))
    origin.wait_for("/a", 2)
    taken(*conns)
    go.set()
    assert all(conn.response().body == BODY for conn in conns)
    assert origin.count("/a") == 2
    for conn in conns:
        conn.close()


# --- conditions and ranges answered from the store


VALIDATORS = [("ETag", '"v1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]


@pytest.mark.parametrize("name, value, status", [
    ("If-None-Match", '"v1"', 304), ("If-None-Match", 'W/"v1"', 304), ("If-None-Match", '"x", "v1"', 304),
    ("If-None-Match", "*", 304), ("If-None-Match", '"x"', 200),
    ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304),
    ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200), ("If-Modified-Since", "no date", 200),
    ("If-Match", '"v1"', 200), ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200)])
def test_conditions_answered_from_the_store(edge, origin, name, value, status):
    """RFC 9110 13."""
    origin.on("/a", cacheable(BODY, 60, VALIDATORS))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[(name, value)])
    assert response.status == status
    if status == 304:
        assert response["etag"] == '"v1"' and response.body == b""
    assert origin.count() == 1


@pytest.mark.parametrize("value, first, last", [
    ("bytes=0-4", 0, 4), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=0-0", 0, 0),
    ("bytes=10-999999", 10, None), ("bytes=-999999", 0, None)])
@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
def test_single_ranges(edge, origin, value, first, last, warm):
    """RFC 9110 14."""
    origin.on("/a", cacheable(BODY, 60, VALIDATORS))
    if warm:
        edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Range", value)])
    end = len(BODY) if last is None else last + 1
    begin = first if first >= 0 else len(BODY) + first
    assert response.status == (206 if warm else response.status)
    if response.status == 206:
        assert response.body == BODY[begin:end]
        assert response["content-range"] == f"bytes {begin}-{end - 1}/{len(BODY)}"
    else:
        assert (response.status, response.body) == (200, BODY)
    assert edge.fetch("/a").body == BODY


def test_unsatisfiable_ranges(edge, origin):
    origin.on("/a", cacheable(BODY, 60, VALIDATORS))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Range", f"bytes={len(BODY)}-")])
    assert response.status == 416 and response["content-range"] == f"bytes */{len(BODY)}"


@pytest.mark.parametrize("value", ["bytes=", "bytes=5-4", "lines=1-2", "bytes=a-b", "0-4"])
def test_ranges_that_mean_nothing_are_ignored(edge, origin, value):
    origin.on("/a", cacheable(BODY, 60, VALIDATORS))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Range", value)])
    assert (response.status, response.body) == (200, BODY)


def test_several_ranges(edge, origin):
    """RFC 9110 14.6."""
    origin.on("/a", cacheable(BODY, 60, VALIDATORS + [("Content-Type", "text/plain")]))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Range", "bytes=0-4,100-104")])
    if response.status == 206:
        assert response["content-type"].startswith("multipart/byteranges; boundary=")
        boundary = response["content-type"].partition("boundary=")[2].strip('"').encode()
        parts = response.body.split(b"--" + boundary)
        assert len(parts) == 4 and parts[3].startswith(b"--")
        for part, (begin, end) in zip(parts[1:3], ((0, 5), (100, 105))):
            head, _, content = part.partition(b"\r\n\r\n")
            assert b"content-range: bytes %d-%d/%d" % (begin, end - 1, len(BODY)) in head.lower()
            assert content == BODY[begin:end] + b"\r\n"
    else:
        assert (response.status, response.body) == (200, BODY)


@pytest.mark.parametrize("value, status", [
    ('"v1"', 206), ('"x"', 200), ('W/"v1"', 200), ("Sun, 06 Nov 1994 08:49:36 GMT", 200)])
def test_if_range(edge, origin, value, status):
    """RFC 9110 13.1.5."""
    origin.on("/a", cacheable(BODY, 60, VALIDATORS))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Range", "bytes=0-4"), ("If-Range", value)])
    assert response.status == status
    assert response.body == (BODY[:5] if status == 206 else BODY)


# --- stale answers


def test_stale_if_error(edge, origin):
    """RFC 5861 4."""
    origin.on("/a", sequence(cacheable(BODY, 1, [("Cache-Control", "stale-if-error=600")]), lambda x: x.reset()))
    edge.fetch("/a")
    time.sleep(2.1)
    response = edge.fetch("/a")
    assert (response.status, response.body) == (200, BODY)
    assert response.age >= 2
    origin.on("/a", reply(b"broken", 503, "Service Unavailable"))
    assert edge.fetch("/a").body == BODY
    origin.on("/a", cacheable(b"back", 60))
    wait_until(lambda: edge.fetch("/a").body == b"back", 5, "the new response")


def test_stale_if_error_for_a_dead_origin(edge, origin):
    origin.on("/a", cacheable(BODY, 1, [("Cache-Control", "stale-if-error=600")]))
    edge.fetch("/a")
    origin.stop_listening()
    time.sleep(1.2)
    for _ in range(5):
        assert edge.fetch("/a").body == BODY


def test_without_stale_if_error_a_failure_is_told(edge, origin):
    origin.on("/a", sequence(cacheable(BODY, 1), lambda x: x.reset()))
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").status == 502


def test_must_revalidate_is_never_answered_stale(edge, origin):
    """RFC 9111 5.2.2.2."""
    words = [("Cache-Control", "must-revalidate, stale-if-error=600")]
    origin.on("/a", sequence(cacheable(BODY, 1, words), lambda x: x.reset()))
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").status in (502, 504)


def test_stale_while_revalidate(edge, origin):
    """RFC 5861 3: the client does not wait for the refresh."""
    go = threading.Event()
    origin.on("/a", sequence(cacheable(b"old", 1, [("Cache-Control", "stale-while-revalidate=600")]),
                             lambda x: x.wait(go).reply(b"new", fields=[("Cache-Control", "max-age=600")])))
    edge.fetch("/a")
    time.sleep(1.2)
    began = time.monotonic()
    for _ in range(5):
        assert edge.fetch("/a").body == b"old"
    assert time.monotonic() - began < limit(3)
    origin.wait_for("/a", 2)
    go.set()
    wait_until(lambda: edge.fetch("/a").body == b"new", 5, "the refreshed response")
    assert origin.count("/a") == 2


def test_configured_stale_limits(new_edge, origin):
    origin.on("/a", sequence(cacheable(BODY, 1), lambda x: x.reset()))
    edge = new_edge(origin, cache={"stale_if_error": "10m"})
    edge.fetch("/a")
    time.sleep(1.2)
    assert edge.fetch("/a").body == BODY


# --- Vary


def test_vary_keeps_variants_apart(edge, origin):
    """RFC 9111 4.1."""
    def script(x):
        language = x.request.fields.get("accept-language") or "none"
        x.reply(language.encode(), fields=[*FRESH, ("Vary", "Accept-Language")])

    origin.on("/a", script)
    for _ in range(2):
        for language in ("de", "fr", "en"):
            assert edge.fetch("/a", fields=[("Accept-Language", language)]).body == language.encode()
        assert edge.fetch("/a").body == b"none"
    assert origin.count() == 4


def test_vary_on_several_fields(edge, origin):
    def script(x):
        body = f"{x.request.fields.get('x-a')}/{x.request.fields.get('x-b')}"
        x.reply(body.encode(), fields=[*FRESH, ("Vary", "X-A"), ("Vary", "x-b")])

    origin.on("/a", script)
    for _ in range(2):
        for a in "12":
            for b in "12":
                assert edge.fetch("/a", fields=[("X-A", a), ("X-B", b)]).body == f"{a}/{b}".encode()
    assert origin.count() == 4


def test_concurrent_clients_of_different_variants_get_their_own(edge, origin):
    def script(x):
        x.sleep(0.1).reply(x.request.fields.get("x-v").encode(), fields=[*FRESH, ("Vary", "X-V")])

    origin.on("/a", script)
    conns = [edge.connect() for _ in range(20)]
    for i, conn in enumerate(conns):
        conn.send(build(target="/a", fields=[("X-V", str(i % 4))]))
    assert [conn.response().body for conn in conns] == [b"%d" % (i % 4) for i in range(20)]
    for conn in conns:
        conn.close()


# --- sharing a fetch


def test_fifty_clients_cost_one_request(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.wait(go).reply(BODY, fields=FRESH))
    conns = [edge.connect() for _ in range(50)]
    for conn in conns:
        conn.send(build(target="/a"))
    origin.wait_for("/a")
    taken(*conns)
    go.set()
    responses = [conn.response() for conn in conns]
    assert all(response.body == BODY for response in responses)
    assert origin.count() == 1
    assert sum(1 for response in responses if response.cache_status.get("collapsed")) >= 40
    for conn in conns:
        conn.close()


def test_joined_clients_get_the_bytes_as_they_come(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.head(length=10, fields=FRESH).send(b"first").wait(go).send(b"later"))
    conns = [edge.connect() for _ in range(10)]
    for conn in conns:
        conn.send(build(target="/a"))
    for conn in conns:
        conn.head()
        assert conn.read(5) == b"first"
    with edge.connect() as late:
        late.send(build(target="/a"))
        late.head()
        assert late.read(5) == b"first"
        go.set()
        assert late.read(5) == b"later"
    for conn in conns:
        assert conn.read(5) == b"later"
        conn.close()
    assert origin.count() == 1


@pytest.mark.parametrize("when", ["before the head", "amid the body"])
def test_a_fetch_survives_its_first_client(edge, origin, when):
    go = threading.Event()

    def script(x):
        if when == "before the head":
            x.wait(go).reply(BODY, fields=FRESH)
        else:
            x.head(length=len(BODY), fields=FRESH).send(BODY[:100]).wait(go).send(BODY[100:])

    origin.on("/a", script)
    leader, follower = edge.connect(), edge.connect()
    leader.send(build(target="/a"))
    origin.wait_for("/a")
    follower.send(build(target="/a"))
    taken(follower)
    leader.reset()
    time.sleep(seconds(0.1))
    go.set()
    assert follower.response().body == BODY
    follower.close()
    assert edge.fetch("/a").hit and origin.count() == 1


def test_a_fetch_goes_on_when_everybody_left(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.head(length=len(BODY), fields=FRESH).send(BODY[:100]).wait(go).send(BODY[100:]))
    conn = edge.connect()
    conn.send(build(target="/a"))
    conn.head()
    conn.reset()
    time.sleep(seconds(0.1))
    go.set()
    wait_until(lambda: edge.fetch("/a").body == BODY)
    assert edge.fetch("/a").hit and origin.count() == 1


def test_a_slow_reader_does_not_slow_others(new_edge, origin):
    body = os.urandom(16 * MIB)
    origin.on("/big", cacheable(body))
    edge = new_edge(origin)
    slow = edge.connect(receive_buffer=4096)
    slow.send(build(target="/big"))
    slow.head()
    began = time.monotonic()
    assert edge.fetch("/big", timeout=30).body == body
    assert time.monotonic() - began < limit(10)
    assert origin.count() == 1
    slow.reset()


def test_a_cut_fetch_fails_every_joined_client_and_is_not_kept(edge, origin):
    go = threading.Event()
    origin.on("/a", sequence(
        lambda x: x.head(length=len(BODY), fields=FRESH).send(BODY[:100]).wait(go).reset(),
        cacheable(BODY)))
    conns = [edge.connect() for _ in range(5)]
    for conn in conns:
        conn.send(build(target="/a"))
        conn.head()
    go.set()
    for conn in conns:
        assert len(conn.read_to_end()) < len(BODY)
        conn.close()
    response = edge.fetch("/a")
    assert response.body == BODY and not response.hit


def test_clients_of_a_private_response_get_their_own_and_do_not_queue(edge, origin):
    """Hit for miss: what is not shareable releases those who waited, at once and for the next time."""
    lock, count = threading.Lock(), [0]

    def script(x):
        with lock:
            count[0] += 1
            number = count[0]
        x.sleep(0.5).reply(b"%d" % number, fields=[("Cache-Control", "private")])

    origin.on("/mine", script)
    for _ in range(2):
        conns = [edge.connect() for _ in range(20)]
        began = time.monotonic()
        for conn in conns:
            conn.send(build(target="/mine"))
        bodies = [conn.response().body for conn in conns]
        assert len(set(bodies)) == 20
        assert time.monotonic() - began < seconds(8)  # one after the other it would be ten
        for conn in conns:
            conn.close()


# --- what is too large


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "unannounced"])
def test_what_is_too_large_passes_whole_and_is_not_stored(new_edge, origin, chunked):
    body = os.urandom(24 * MIB)
    origin.on("/big", cacheable(body, chunked=chunked, pieces=50))
    edge = new_edge(origin, memory="16MiB")
    for _ in range(2):
        response = edge.fetch("/big", timeout=60)
        assert response.body == body and not response.hit
    assert origin.count() == 2
    assert SLOW > 1 or edge.rss_kib() < 64 * 1024


def test_max_object_bounds_what_is_stored(new_edge, origin):
    origin.on("/small", cacheable(b"x" * 9_000))
    origin.on("/large", cacheable(b"x" * 20_000))
    edge = new_edge(origin, max_object="10KiB")
    assert stored(edge, origin, "/small")
    assert not stored(edge, origin, "/large")


# --- unsafe methods


@pytest.mark.parametrize("method, status, gone", [
    ("POST", 200, True), ("PUT", 204, True), ("DELETE", 200, True), ("BREW", 200, True),
    ("POST", 500, False), ("OPTIONS", 200, False)])
def test_unsafe_methods_invalidate(edge, origin, method, status, gone):
    """RFC 9111 4.4."""
    def script(x):
        if x.request.method == "GET":
            x.reply(BODY, fields=FRESH)
        else:
            x.reply(b"" if status == 204 else b"done", status, "Done")

    origin.on("/a", script)
    edge.fetch("/a")
    edge.fetch("/a", method, body=b"x")
    assert edge.fetch("/a").hit != gone


# --- many objects


def test_many_objects_each_with_its_own_body(edge, origin):
    origin.default = lambda x: x.reply(x.request.target.encode() * 50, fields=[("Cache-Control", "max-age=600")])
    with edge.connect() as conn:
        for _ in range(2):
            for i in range(500):
                assert conn.get(f"/object/{i}").body == f"/object/{i}".encode() * 50
    assert origin.count() == 500


def test_the_budget_evicts_and_what_was_evicted_comes_back(new_edge, origin):
    origin.default = lambda x: x.reply(x.request.target.encode() * 10_000, fields=[("Cache-Control", "max-age=600")])
    edge = new_edge(origin, memory="8MiB", origin_options={"first_byte_timeout": duration(10)})
    with edge.connect() as conn:
        for _ in range(2):
            for i in range(150):
                assert conn.get(f"/o/{i:03}").body == f"/o/{i:03}".encode() * 10_000
    assert 150 <= origin.count() <= 300
