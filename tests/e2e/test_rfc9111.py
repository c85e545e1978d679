"""RFC 9111 clause by clause, as far as only a running edge shows it; docs/standards/ says which test is for which."""

import email.utils
import threading
import time

import pytest

from harness import protocol
from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply, sequence

pytestmark = pytest.mark.one_by_one

BODY = b"0123456789" * 20
FRESH = ("Cache-Control", "max-age=3600")
SOON_STALE = ("Cache-Control", "max-age=1")
NOW = time.time()


def date(offset):
    """A moment OFFSET seconds from now, as a test's parameter: real() makes a date of it."""
    return f"@{offset:+}"


def real(value):
    if isinstance(value, list):
        return [(name, real(text)) for name, text in value]
    is_date = isinstance(value, str) and value.startswith("@")
    return email.utils.formatdate(NOW + int(value[1:]), usegmt=True) if is_date else value


def not_modified(*fields):
    return reply(status=304, reason="Not Modified", fields=fields)


def stale(edge, origin, first, *then, path="/a"):
    """Stores FIRST, which lives for a second, and waits until it is stale; the scripts THEN come next."""
    origin.on(path, sequence(first, *then))
    assert edge.fetch(path).status == 200
    time.sleep(1.2)


# --- 3.1 storing header and trailer fields


def test_rfc9111_3_1_all_fields_are_stored_also_unknown_ones(edge, origin):
    sent = [FRESH, ("X-Unknown", "a"), ("x-unknown", "b"), ("Warning", '110 - "x"'), ("Content-Foo", "c"), ("ETag", '"v"')]
    origin.on("/a", reply(BODY, fields=sent))
    edge.fetch("/a")
    hit = edge.fetch("/a")
    sent = protocol.spelled(sent)
    assert hit.hit and [pair for pair in hit.fields if pair[0] in {name for name, _ in sent}] == sent


@pytest.mark.parametrize("name", ["Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"])
def test_rfc9111_3_1_fields_of_a_proxy_are_not_stored(edge, origin, name):
    origin.on("/a", cacheable(BODY, fields=[(name, "Basic x"), ("X-Stays", "1")]))
    edge.fetch("/a")
    hit = edge.fetch("/a")
    assert hit.hit and hit["x-stays"] == "1" and name not in hit.fields


def test_rfc9111_3_1_trailers_never_become_header_fields(edge, origin):
    trailers = [("X-Checksum", "1"), ("Cache-Control", "no-store"), ("ETag", '"t"')]
    origin.on("/a", cacheable(BODY, chunked=True, trailers=trailers))
    for hit in (False, True):
        response = edge.fetch("/a")
        assert response.hit == hit and response["cache-control"] == "max-age=3600"
        assert "x-checksum" not in response.fields and "etag" not in response.fields


# --- 3.2 updating stored fields


@pytest.mark.parametrize("name, old, new, result", [
    ("X-Field", "old", "new", "new"), ("X-Field", None, "new", "new"), ("X-Field", "old", None, "old"),
    ("Content-Type", "text/a", "text/b", "text/b"), ("Content-Language", "de", "fr", "fr"),
    ("Content-Location", "/x", "/y", "/y"), ("Expires", date(5), date(900), date(900)),
    ("Content-Encoding", "x-a", "x-b", "x-a"), ("Content-Length", None, "5", str(len(BODY)))])
def test_rfc9111_3_2_a_304_updates_the_stored_fields(edge, origin, name, old, new, result):
    old, new, result = real(old), real(new), real(result)
    stale(edge, origin, reply(BODY, fields=[SOON_STALE, ("ETag", '"v"'), *([(name, old)] if old else [])]),
          lambda x: x.head(304, "Not Modified", [FRESH, ("ETag", '"v"'), *([(name, new)] if new else [])]))
    for _ in range(2):
        response = edge.fetch("/a")
        assert (response.status, response.body, response[name]) == (200, BODY, result)
    assert response.hit and response["cache-control"] == "max-age=3600"


# --- 4 reuse


@pytest.mark.parametrize("age", ["100", "0", "abc", "2147483648"])
def test_rfc9111_4_one_age_of_our_own(edge, origin, age):
    origin.on("/a", reply(BODY, fields=[("Age", age), ("Cache-Control", "max-age=3600, stale-if-error=9"), ("ETag", '"v"')]))
    edge.fetch("/a")
    for fields, status in (((), 200), ((("If-None-Match", '"v"'),), 304)):
        response = edge.fetch("/a", fields=[*fields, ("Cache-Control", "max-stale")])
        assert response.hit and response.status == status
        ages = response.fields.all("age")
        assert len(ages) == 1 and int(ages[0]) >= (int(age) if age.isdigit() else 0)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_rfc9111_4_unsafe_methods_are_written_through(edge, origin, method):
    origin.on("/a", lambda x: x.reply(x.request.method.encode(), 500, "No", [FRESH]))
    for count in (1, 2):
        assert edge.fetch("/a", method, body=b"x").body == method.encode()
        assert origin.count("/a") == count


def test_rfc9111_4_a_stored_response_is_not_for_another_uri(edge, origin):
    origin.default = lambda x: x.reply(x.request.target.encode(), fields=[FRESH])
    for target in ("/a", "/a?", "/a?b", "/a/", "/A"):
        response = edge.fetch(target)
        assert not response.hit and response.body == target.encode()


# --- 4.1 Vary


@pytest.mark.parametrize("vary, stored, asked, same", [
    ("X-A", [("X-A", "1")], [("x-a", "1")], True),
    ("x-a", [("X-A", "1")], [("X-A", "2")], False),
    ("X-A", [("X-A", "1")], [], False), ("X-A", [], [("X-A", "1")], False), ("X-A", [], [], True),
    ("X-A", [("X-A", "")], [], False),
    ("X-A", [("X-A", "  1 ")], [("X-A", "1")], True),
    ("X-A", [("X-A", "1"), ("X-A", "2")], [("X-A", "1, 2")], True),
    ("X-A", [("X-A", "1, 2")], [("X-A", "2, 1")], False),
    ("X-A", [("X-A", "a")], [("X-A", "A")], False),
    ("X-A, X-B", [("X-A", "1"), ("X-B", "2")], [("X-B", "2"), ("X-A", "1")], True),
    ("X-A, X-B", [("X-A", "1"), ("X-B", "2")], [("X-A", "1"), ("X-B", "3")], False),
    ("X-A,,", [("X-A", "1")], [("X-A", "1")], True),
    ("Accept-Encoding", [("Accept-Encoding", "x-a, x-b")], [("Accept-Encoding", "X-B ,x-a")], True),
    ("*", [("X-A", "1")], [("X-A", "1")], False), ("X-A, *", [("X-A", "1")], [("X-A", "1")], False)])
def test_rfc9111_4_1_vary(edge, origin, vary, stored, asked, same):
    origin.on("/a", reply(BODY, fields=[FRESH, ("Vary", vary)]))
    edge.fetch("/a", fields=stored)
    assert edge.fetch("/a", fields=asked).hit == same


def test_rfc9111_4_1_a_default_without_vary_does_not_hide_the_variants(edge, origin):
    def script(x):
        language = x.request.fields.get("x-l")
        x.reply((language or "none").encode(), fields=[FRESH, *([("Vary", "X-L")] if language else [])])

    origin.on("/a", script)
    edge.fetch("/a", fields=[("X-L", "de")])
    edge.fetch("/a")
    assert edge.fetch("/a", fields=[("X-L", "de")]).body == b"de"
    assert edge.fetch("/a", fields=[("X-L", "fr")]).body == b"fr"


# --- 4.3 validation


@pytest.mark.parametrize("etag", ['"v"', 'W/"v"', '"a,b"', '""', None])
@pytest.mark.parametrize("modified", [date(-5000), None])
def test_rfc9111_4_3_1_every_validator_is_sent(edge, origin, etag, modified):
    modified = real(modified)
    validators = [pair for pair in (("ETag", etag), ("Last-Modified", modified)) if pair[1]]
    stale(edge, origin, reply(BODY, fields=[("Cache-Control", "max-age=1, stale-if-error=60"), *validators]),
          reply(b"new", fields=[FRESH]))
    assert edge.fetch("/a", fields=[("If-None-Match", '"client"'), ("If-Modified-Since", real(date(-1)))]).body == b"new"
    asked = origin.last("/a").fields
    assert (asked.get("if-none-match"), asked.get("if-modified-since")) == (etag, modified)


@pytest.mark.parametrize("name, value, met", [
    ("If-Match", '"v"', True), ("If-Match", "*", True), ("If-Match", '"x"', False), ("If-Match", 'W/"v"', False),
    ("If-Unmodified-Since", date(-10), True), ("If-Unmodified-Since", date(-9000), False)])
@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
def test_rfc9111_4_3_2_if_match_is_for_the_origin_to_refuse(edge, origin, name, value, met, warm):
    value = real(value)

    def script(x):
        if x.request.fields.get(name) == value:
            x.reply(b"no", 412, "Precondition Failed", [("X-By", "origin")])
        else:
            x.reply(BODY, fields=[FRESH, ("ETag", '"v"'), ("Last-Modified", real(date(-5000)))])

    origin.on("/a", script)
    if warm:
        edge.fetch("/a")
    response = edge.fetch("/a", fields=[(name, value)])
    assert (response.status, response["x-by"]) == ((200, None) if met else (412, "origin"))
    assert edge.fetch("/a").hit


def test_rfc9111_4_3_2_conditions_for_what_is_not_stored_reach_the_origin_of_a_passing_request(new_edge, origin):
    origin.on("/a", reply(BODY))
    edge = new_edge(origin, cache={"enabled": False})
    edge.fetch("/a", fields=[("If-None-Match", '"x"'), ("If-Match", "*")])
    assert (origin.last().fields.get("if-none-match"), origin.last().fields.get("if-match")) == ('"x"', "*")


@pytest.mark.parametrize("offset, status", [(-1, 304), (0, 304), (-100, 200)])
def test_rfc9111_4_3_2_date_where_there_is_no_last_modified(edge, origin, offset, status):
    moment = int(time.time())
    told = email.utils.formatdate(moment - 1, usegmt=True)
    origin.on("/a", cacheable(BODY, fields=[("Date", told)]))
    edge.fetch("/a")
    asked = email.utils.formatdate(moment + offset, usegmt=True)
    response = edge.fetch("/a", fields=[("If-Modified-Since", asked)])
    assert response.hit and response.status == status


def test_rfc9111_4_3_2_a_304_for_us_is_a_200_for_a_client_with_another_tag(edge, origin):
    stale(edge, origin, reply(BODY, fields=[SOON_STALE, ("ETag", '"v"')]), not_modified(FRESH, ("ETag", '"v"')))
    response = edge.fetch("/a", fields=[("If-None-Match", '"other"')])
    assert (response.status, response.body) == (200, BODY)


def test_rfc9111_4_3_3_a_full_response_to_our_condition_is_what_the_client_gets(edge, origin):
    stale(edge, origin, reply(b"old", fields=[SOON_STALE, ("ETag", '"v"')]), reply(b"new", 404, "Gone", [FRESH]))
    for _ in range(2):
        response = edge.fetch("/a")
        assert (response.status, response.body) == (404, b"new")


def test_rfc9111_4_3_3_an_error_while_validating_is_told(edge, origin):
    stale(edge, origin, reply(BODY, fields=[SOON_STALE, ("ETag", '"v"')]), reply(b"broken", 503, "Service Unavailable"))
    response = edge.fetch("/a")
    assert (response.status, response.body) == (503, b"broken")


@pytest.mark.parametrize("stored, of_304, means", [
    ([("ETag", '"a"')], [("ETag", '"a"')], True), ([("ETag", '"a"')], [("ETag", '"b"')], False),
    ([("ETag", 'W/"a"')], [("ETag", '"a"')], False), ([("ETag", 'W/"a"')], [("ETag", 'W/"a"')], True),
    ([("ETag", '"a"')], [], True), ([("Last-Modified", date(-900))], [("Last-Modified", date(-900))], True),
    ([("Last-Modified", date(-900))], [("Last-Modified", date(-800))], False)])
def test_rfc9111_4_3_4_a_304_of_something_else_updates_nothing(edge, origin, stored, of_304, means):
    """The origin is asked once more then, without conditions."""
    stale(edge, origin, reply(b"old", fields=[SOON_STALE, *real(stored)]), not_modified(FRESH, ("X-New", "1"), *real(of_304)),
          reply(b"anew", fields=[FRESH]))
    response = edge.fetch("/a")
    assert (response.body, response["x-new"]) == ((b"old", "1") if means else (b"anew", None))
    assert origin.count("/a") == (2 if means else 3)
    if not means:
        assert not {"if-none-match", "if-modified-since"} & set(origin.last("/a").fields.names())


@pytest.mark.parametrize("of_head, status, kept, renewed", [
    ([("ETag", '"v"')], 200, True, True), ([], 200, True, True), ([("ETag", '"x"')], 200, False, False),
    ([("ETag", 'W/"v"')], 200, False, False), ([("Last-Modified", date(-500))], 200, False, False),
    ([("Content-Length", "5")], 200, False, False), ([("Content-Length", str(len(BODY)))], 200, True, True),
    ([("ETag", '"x"')], 404, True, False)])
def test_rfc9111_4_3_5_a_head_that_reaches_the_origin_renews_or_ends_what_is_stored(edge, origin, of_head, status, kept, renewed):
    """A HEAD with content, which no key holds, is such."""
    def script(x):
        if x.request.method == "GET":
            x.reply(BODY, fields=[("Cache-Control", "max-age=60"), ("ETag", '"v"')])
        else:
            x.head(status, "Any", [FRESH, ("X-New", "1"), *real(of_head)])

    origin.on("/a", script)
    edge.fetch("/a")
    assert edge.fetch("/a", "HEAD", body=b"x").status == status
    response = edge.fetch("/a")
    assert (response.status, response.body, response.hit) == (200, BODY, kept)
    assert (response["x-new"], response["cache-control"]) == (("1", "max-age=3600") if renewed else (None, "max-age=60"))


# --- 5.2 directives


def test_rfc9111_5_2_directives_pass_through(edge, origin):
    words = 'max-age=3600, x-odd="a, b", community=UCI'
    origin.on("/a", reply(BODY, fields=[("Cache-Control", words), ("Pragma", "x")]))
    for hit in (False, True):
        response = edge.fetch("/a", fields=[("Cache-Control", "max-stale=5, x-mine")])
        assert response.hit == hit and (response["cache-control"], response["pragma"]) == (words, "x")
    assert origin.last().fields.get("cache-control") == "max-stale=5, x-mine"


@pytest.mark.parametrize("lifetime, words, hit", [
    ("max-age=100", "max-age=200", True), ("max-age=100", "max-age=30", False), ("max-age=100", "max-age=50", True),
    ("max-age=100", "min-fresh=10", True), ("max-age=100", "min-fresh=80", False),
    ("max-age=40", "max-stale", True), ("max-age=40", "max-stale=100", True), ("max-age=40", "max-stale=1", False),
    ("max-age=40", "max-stale=100, max-age=20", False), ("max-age=40", "max-stale=100, max-age=90", True),
    ("max-age=40, must-revalidate", "max-stale", False), ("max-age=40, proxy-revalidate", "max-stale", False),
    ("s-maxage=40", "max-stale", False), ("max-age=40, no-cache", "max-stale", False),
    ("max-age=100", "no-store", True), ("max-age=100", "x-odd=1", True), ("max-age=100", "only-if-cached", True)])
def test_rfc9111_5_2_1_what_a_request_asks_for(edge, origin, lifetime, words, hit):
    """The stored response is 42 seconds old, or a little more."""
    origin.on("/a", sequence(reply(BODY, fields=[("Cache-Control", lifetime), ("Age", "42"), ("ETag", '"v"')]),
                             reply(b"new", fields=[FRESH])))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("Cache-Control", words)])
    assert response.hit == hit and response.body == (BODY if hit else b"new")


def test_rfc9111_5_2_1_5_a_request_that_must_not_be_stored_shares_with_nobody(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.wait(go).reply(b"%d" % x.origin.count("/a"), fields=[FRESH]))
    with edge.connect() as first, edge.connect() as second:
        first.send(build(target="/a", fields=[("Cache-Control", "no-store")]))
        origin.wait_for("/a", 1)
        second.send(build(target="/a"))
        taken(second)
        go.set()
        assert {first.response().status, second.response().status} == {200}
    assert origin.count("/a") == 2


def test_rfc9111_5_2_1_7_only_if_cached_is_never_forwarded(edge, origin):
    stale(edge, origin, reply(BODY, fields=[SOON_STALE, ("ETag", '"v"')]))
    assert edge.fetch("/a", fields=[("Cache-Control", "only-if-cached")]).status == 504
    assert edge.fetch("/a", fields=[("Cache-Control", "only-if-cached, max-stale=60")]).hit
    assert edge.fetch("/b", fields=[("Cache-Control", "only-if-cached"), ("If-Match", '"x"')]).status == 504
    assert origin.count() == 1


@pytest.mark.parametrize("words, status", [
    ("must-revalidate", 504), ("proxy-revalidate", 504), ("s-maxage=1", 504), ("must-revalidate, stale-if-error=60", 504),
    ("x", 502)])
@pytest.mark.parametrize("how", ["reset", "dead"])
def test_rfc9111_5_2_2_2_cut_off_from_the_origin(edge, origin, words, status, how):
    stale(edge, origin, reply(BODY, fields=[("Cache-Control", f"max-age=1, {words}"), ("ETag", '"v"')]), lambda x: x.reset())
    if how == "dead":
        origin.stop_listening()
    assert edge.fetch("/a", fields=[("Cache-Control", "max-stale")] if status == 504 else []).status == status


@pytest.mark.parametrize("fields, hit", [
    ([("Cache-Control", "must-understand, no-store, max-age=60")], True),
    ([("Cache-Control", "no-cache")], False), ([("Cache-Control", "max-age=60, no-cache")], False),
    ([("Cache-Control", 'max-age=60, no-cache="X-A"')], True),
    ([("Cache-Control", 'max-age=60, no-cache="X-A"'), ("X-A", "1")], False),
    ([("Cache-Control", 'max-age=60, private="X-A"')], True),
    ([("Cache-Control", 'max-age=60, private="X-A"'), ("x-a", "1")], False),
    ([("Cache-Control", "max-age=60"), ("Pragma", "no-cache")], True),
    ([("Cache-Control", "max-age=60"), ("Warning", '199 - "x"')], True),
    ([("Cache-Control", "max-age=60, max-age=0")], False), ([("Expires", date(900)), ("Expires", "0")], False),
    ([("Expires", date(900)), ("Cache-Control", "max-age=0")], False), ([("Expires", "0"), ("Cache-Control", "max-age=9")], True),
    ([("Expires", date(900)), ("Cache-Control", "s-maxage=0")], False),
    ([("Last-Modified", date(-90000)), ("Expires", date(-1))], False),
    ([("Cache-Control", "public"), ("Last-Modified", date(-90000))], True),
    ([("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], False),
    ([("Cache-Control", "max-age=2147483649")], True), ([("Cache-Control", "max-age=99999999999999999999")], True)])
def test_rfc9111_5_what_a_response_says(edge, origin, fields, hit):
    origin.on("/a", reply(BODY, fields=real(fields)))
    edge.fetch("/a")
    assert edge.fetch("/a").hit == hit


# --- RFC 9110 7.6.2


def test_rfc9110_7_6_2_max_forwards(edge, origin):
    origin.default = reply(b"from the origin", fields=[("Allow", "GET")])
    assert edge.fetch("/", "OPTIONS", fields=[("Max-Forwards", "3")]).body == b"from the origin"
    assert origin.last().fields.all("max-forwards") == ["2"]
    for target in ("/", "*"):
        response = edge.fetch(target, "OPTIONS", fields=[("Max-Forwards", "0")])
        assert response.status == 200 and "GET" in response["allow"]
    assert edge.fetch("/", "GET", fields=[("Max-Forwards", "0")]).body == b"from the origin"
    assert edge.fetch("/", "TRACE", fields=[("Max-Forwards", "0")]).status == 405
    assert origin.count() == 2


# --- RFC 9213, RFC 8297


@pytest.mark.parametrize("fields, hit", [
    ([("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=60")], True),
    ([("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "no-store")], False),
    ([("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "private, max-age=60")], False),
    ([("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "no-cache, max-age=60")], False),
    ([("Expires", date(900)), ("CDN-Cache-Control", "none")], False),
    ([("Cache-Control", "no-store"), ("CDN-Cache-Control", "max age")], False),
    ([("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "")], True),
    ([("Cache-Control", "no-store"), ("CDN-Cache-Control", "no-store"), ("Skerry-CDN-Cache-Control", "max-age=60")], True),
    ([("Cache-Control", "max-age=60"), ("Other-CDN-Cache-Control", "no-store")], True),
    ([("Cache-Control", "no-store"), ("Other-Cache-Control", "max-age=60")], False)])
def test_rfc9213_2_2_which_field_decides(edge, origin, fields, hit):
    """Whichever does, fields for others pass as they are."""
    origin.on("/a", reply(BODY, fields=real(fields)))
    edge.fetch("/a")
    response = edge.fetch("/a")
    assert response.hit == hit
    for name, value in fields:
        if name.startswith(("Other", "CDN")):
            assert response.fields.all(name) == [value]


@pytest.mark.parametrize("hints", [[("Cache-Control", "no-store")], [("Cache-Control", "max-age=60")], [("ETag", '"x"')],
                                   [("Link", "</a>; rel=preload")], [("Vary", "*"), ("Set-Cookie", "a=b")]])
def test_rfc8297_2_early_hints_do_not_change_what_is_stored(edge, origin, hints):
    origin.on("/a", lambda x: x.head(103, "Early Hints", hints, date=False).reply(BODY, fields=[FRESH]))
    origin.on("/none", lambda x: x.head(103, "Early Hints", [FRESH], date=False).reply(BODY))
    first, again = edge.fetch("/a"), edge.fetch("/a")
    assert [part.status for part in first.informational] == [103]
    assert again.hit and again["cache-control"] == FRESH[1] and (again.status, again.body) == (200, BODY)
    for name, value in hints:
        assert value not in again.fields.all(name)
    edge.fetch("/none")
    assert not edge.fetch("/none").hit


# --- RFC 9842


def test_rfc9842_fields_pass_and_vary_keeps_dictionaries_apart(edge, origin):
    """An origin that compresses with dictionaries of its own, through an edge that knows nothing of them."""
    offer = 'match="/p/*", id="v 1", match-dest=("document")'

    def script(x):
        having = x.request.fields.get("available-dictionary")
        coding = [("Content-Encoding", "dcz")] if having else []
        x.reply((having or "plain").encode(), fields=[
            FRESH, ("Use-As-Dictionary", offer), ("Vary", "Accept-Encoding, Available-Dictionary"), *coding])

    origin.on("/p/1", script)
    for hit in (False, True):
        for having in ("one", "two"):
            sent = [("Accept-Encoding", "gzip, dcz"), ("Available-Dictionary", f":{having}=:"), ("Dictionary-ID", '"v 1"')]
            response = edge.fetch("/p/1", fields=sent)
            assert (response.hit, response.body, response["content-encoding"]) == (hit, f":{having}=:".encode(), "dcz")
            assert response["use-as-dictionary"] == offer
        response = edge.fetch("/p/1", fields=[("Accept-Encoding", "gzip, dcz")])
        assert (response.hit, response.body, response["content-encoding"]) == (hit, b"plain", None)
    assert [request.fields.get("dictionary-id") for request in origin.seen()] == ['"v 1"', '"v 1"', None]
