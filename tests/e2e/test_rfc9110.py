"""RFC 9110 clause by clause, as far as it concerns a cache and only a running edge shows it (docs/standards/)."""

import email.utils
import re
import time

import pytest

from harness.message import build
from harness.origin import cacheable, reply

pytestmark = pytest.mark.one_by_one

BODY = b"0123456789" * 20
FRESH = ("Cache-Control", "max-age=3600")
MODIFIED = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
METADATA = [FRESH, ("ETag", '"v"'), MODIFIED, ("Expires", "Fri, 31 Dec 2999 23:59:59 GMT"), ("Content-Location", "/b"),
            ("Vary", "X-A"), ("Content-Type", "text/plain"), ("Content-Language", "en"), ("X-Other", "1")]
OF_EVERY_SHORT_ANSWER = ("date", "cache-control", "etag", "expires", "content-location", "vary")


@pytest.fixture
def stored(edge, origin):
    """/a is stored with METADATA; gives a function that asks for it."""
    origin.on("/a", reply(BODY, fields=METADATA))
    assert edge.fetch("/a").status == 200

    def ask(*fields, method="GET"):
        response = edge.fetch("/a", method, fields=list(fields))
        assert origin.count() == 1
        return response

    return ask


# --- 5 and 6: fields


def test_rfc9110_5_3_the_order_of_repeated_fields_stays(edge, origin):
    sent = [("X-A", "2"), ("X-B", "x"), ("X-A", "1"), ("x-a", "3")]
    origin.on("/a", cacheable(BODY, fields=sent))
    for _ in range(2):
        assert edge.fetch("/a", fields=sent).fields.all("x-a") == ["2", "1", "3"]
    assert origin.last().fields.all("x-a") == ["2", "1", "3"]


def test_rfc9110_6_6_1_a_missing_date_is_added(edge, origin):
    origin.on("/stored", cacheable(BODY, date=False))
    origin.on("/passed", reply(BODY, fields=[("Cache-Control", "no-store")], date=False))
    for path in ("/stored", "/stored", "/passed"):
        dates = edge.fetch(path).fields.all("date")
        assert len(dates) == 1
        assert abs(email.utils.parsedate_to_datetime(dates[0]).timestamp() - time.time()) < 60


def test_rfc9110_6_6_1_a_date_that_is_there_stays(edge, origin):
    told = email.utils.formatdate(time.time() - 50, usegmt=True)
    origin.on("/a", cacheable(BODY, fields=[("Date", told)]))
    for _ in range(2):
        response = edge.fetch("/a")
        assert response.fields.all("date") == [told]
    assert response.age >= 50


# --- 7: passing on


@pytest.mark.parametrize("store", [True, False])
def test_rfc9110_7_6_1_trailers_that_connection_names_are_not_passed_on(edge, origin, store):
    origin.on("/a", reply(BODY, fields=[("Cache-Control", "max-age=60" if store else "no-store"), ("Connection", "X-Hop")],
                          chunked=True, trailers=[("X-Hop", "1"), ("X-End", "2")]))
    with edge.connect() as conn:
        conn.send(build(target="/a", fields=[("TE", "trailers"), ("Connection", "TE")]))
        response = conn.response()
    assert "x-hop" not in response.fields and "x-hop" not in response.trailers


def test_rfc9110_7_6_1_request_trailers_that_connection_names_are_not_passed_on(edge, origin):
    origin.on("/a", lambda x: x.reply(x.read_body(), fields=[("Cache-Control", "no-store")]))
    with edge.connect() as conn:
        conn.send(b"POST /a HTTP/1.1\r\nHost: example.test\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"1\r\na\r\n0\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n")
        assert conn.response().body == b"a"
    assert "x-hop" not in origin.last().trailers and "x-hop" not in origin.last().fields


@pytest.mark.parametrize("name, value", [("Authorization", "Digest a=\"b\",  c=d"), ("Proxy-Authorization", "Basic QTpC")])
def test_rfc9110_11_credentials_pass_unchanged(edge, origin, name, value):
    origin.default = reply(BODY, fields=[("Cache-Control", "no-store")])
    edge.fetch("/a", fields=[(name, value)])
    assert origin.last().fields.all(name) == [value]


def test_rfc9110_11_6_1_challenges_pass_unchanged(edge, origin):
    challenges = [("WWW-Authenticate", 'Basic realm="a,  b"'), ("WWW-Authenticate", "Digest")]
    origin.on("/a", reply(BODY, 401, "Unauthorized", challenges))
    assert edge.fetch("/a").fields.all("www-authenticate") == [value for _, value in challenges]


@pytest.mark.parametrize("name, value", [
    ("Referer", "http://example.test/x"), ("User-Agent", "a/1 (b; c)"), ("From", "a@example.test"), ("Max-Forwards", "0"),
    ("Origin", "https://other.test"), ("Accept", "text/html;q=0.5, */*"), ("Accept-Language", "de ,en;q=0.1")])
def test_rfc9110_10_1_fields_of_the_client_pass_unchanged(edge, origin, name, value):
    origin.default = reply(BODY, fields=[("Cache-Control", "no-store")])
    edge.fetch("/a", fields=[(name, value)])
    assert origin.last().fields.all(name) == [value]


@pytest.mark.parametrize("name, value", [
    ("Allow", "GET , PURGE,"), ("Location", "../b#c"), ("Retry-After", "120"), ("Server", "other/1 (x)"),
    ("Content-Language", "de,  en"), ("Content-Location", "/b"), ("Accept-Ranges", "none"), ("Link", "</a>; rel=x")])
def test_rfc9110_10_2_fields_of_the_origin_pass_unchanged(edge, origin, name, value):
    origin.on("/a", cacheable(BODY, fields=[(name, value)]))
    for hit in (False, True):
        response = edge.fetch("/a")
        assert response.hit == hit and response.fields.all(name) == [value]


# --- 9: methods


def test_rfc9110_9_3_2_head_of_what_is_stored_has_the_fields_of_get(stored):
    get, head = stored(), stored(method="HEAD")
    assert head.hit and head.body == b"" and get.body == BODY
    mine = {"age", "cache-status"}
    assert [pair for pair in head.fields if pair[0].lower() not in mine] == [
        pair for pair in get.fields if pair[0].lower() not in mine]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "QUERY", "BREW"])
def test_rfc9110_9_2_3_other_methods_are_neither_stored_nor_answered_from_the_store(edge, origin, method):
    origin.on("/a", lambda x: x.reply(x.request.method.encode(), 500, "No", [FRESH, ("Content-Location", "/a")]))
    edge.fetch("/a", method, body=b"x")
    assert edge.fetch("/a").body == b"GET"
    assert edge.fetch("/a", method, body=b"x").body == method.encode()


# --- 13: conditions


@pytest.mark.parametrize("status", [404, 301, 500])
def test_rfc9110_13_2_1_conditions_do_not_count_where_the_answer_is_no_success(edge, origin, status):
    origin.on("/a", reply(BODY, status, "Any", [FRESH, ("ETag", '"v"')]))
    edge.fetch("/a")
    response = edge.fetch("/a", fields=[("If-None-Match", '"v"')])
    assert (response.status, response.body, response.hit) == (status, BODY, True)


@pytest.mark.parametrize("fields, status", [
    ([("If-None-Match", '"v"')], 304), ([("If-None-Match", "*")], 304), ([("If-None-Match", 'W/"v"')], 304),
    ([("If-None-Match", '"x"'), ("If-None-Match", '"v"')], 304), ([("If-None-Match", "v")], 200),
    ([("If-None-Match", '"x"'), ("If-Modified-Since", MODIFIED[1])], 200), ([("If-Modified-Since", MODIFIED[1])], 304),
    ([("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], 304), ([("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], 304),
    ([("If-Modified-Since", "0")], 200), ([("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")], 304),
    ([("If-Modified-Since", MODIFIED[1] + ", " + MODIFIED[1])], 200), ([("If-Modified-Since", MODIFIED[1])] * 2, 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_rfc9110_13_1_conditions(stored, fields, status, method):
    response = stored(*fields, method=method)
    assert response.hit and response.status == status
    assert response.body == (BODY if (status, method) == (200, "GET") else b"")


def test_rfc9110_15_4_5_what_a_304_says(stored):
    response = stored(("If-None-Match", '"v"'))
    assert all(name in response.fields for name in OF_EVERY_SHORT_ANSWER)
    names = response.fields.names()
    assert not {"content-type", "content-length", "content-language", "transfer-encoding", "x-other"} & set(names)


# --- 14: ranges


def test_rfc9110_15_3_7_what_a_206_says(stored):
    whole, part = stored(), stored(("Range", "bytes=3-7"))
    assert (part.status, part.body, part["content-range"]) == (206, BODY[3:8], f"bytes 3-7/{len(BODY)}")
    for name in OF_EVERY_SHORT_ANSWER:
        assert part.fields.all(name) == whole.fields.all(name)


def test_rfc9110_15_3_7_2_a_206_of_several_parts(stored):
    response = stored(("Range", "bytes=0-1, 100-101"))
    assert response.status == 206 and "content-range" not in response.fields
    boundary = re.fullmatch(r'multipart/byteranges; boundary="?([^"]+)"?', response["content-type"])[1].encode()
    parts = response.body.split(b"--" + boundary)[1:-1]
    assert len(parts) == 2 and all(part.lower().count(b"content-range: bytes ") == 1 for part in parts)


@pytest.mark.parametrize("value", ["bytes=0-4", "bytes=-5", "bytes=0-0,-0", "bytes=0-4,3-9", "bytes=0-1,2-3"])
def test_rfc9110_15_3_7_2_one_range_is_never_multipart(stored, value):
    """Also where of several only one is left, or all become one."""
    response = stored(("Range", value))
    assert response.status == 206 and not response["content-type"].startswith("multipart/")


@pytest.mark.parametrize("tag, status", [('"v"', 304), ('W/"v"', 304), ('"old"', 200)])
def test_rfc9110_13_2_conditions_after_our_own_validation(edge, origin, tag, status):
    def script(x):
        if x.request.fields.get("if-none-match") == '"v"':
            x.reply(status=304, reason="Not Modified", fields=[FRESH, ("ETag", '"v"')])
        else:
            x.reply(BODY, fields=[("Cache-Control", "max-age=9"), ("Age", "20"), ("ETag", '"v"')])

    origin.on("/a", script)
    edge.fetch("/a")
    assert edge.fetch("/a", fields=[("If-None-Match", tag)]).status == status
    assert [request.fields.get("if-none-match") for request in origin.seen("/a")] == [None, '"v"']


@pytest.mark.parametrize("fields, method", [
    ([("Range", "bytes=0-1")], "HEAD"), ([("Range", "seconds=0-1")], "GET"), ([("Range", "bytes=1-0")], "GET"),
    ([("If-Range", '"v"')], "GET"), ([("If-Range", '"x"'), ("Range", "bytes=0-1")], "GET"),
    ([("If-Range", 'W/"v"'), ("Range", "bytes=0-1")], "GET"), ([("Range", "bytes=0-1"), ("Range", "bytes=2-3")], "GET"),
    ([("Range", "bytes=" + ",".join(f"{i * 3}-{i * 3}" for i in range(60)))], "GET")])
def test_rfc9110_14_2_ranges_that_do_not_count(stored, fields, method):
    response = stored(*fields, method=method)
    assert response.status == 200 and response.body == (BODY if method == "GET" else b"")


def test_rfc9110_14_2_conditions_come_before_ranges(stored):
    assert stored(("Range", "bytes=0-1"), ("If-None-Match", '"v"')).status == 304
    assert stored(("Range", "bytes=0-1"), ("If-None-Match", '"x"')).status == 206


@pytest.mark.parametrize("value, status", [('"v"', 206), (MODIFIED[1], 206), ("Sun, 06 Nov 1994 08:49:38 GMT", 200)])
def test_rfc9110_13_1_5_if_range(stored, value, status):
    assert stored(("Range", "bytes=0-1"), ("If-Range", value)).status == status


@pytest.mark.parametrize("value", ["bytes=200-", "bytes=-0", "bytes=500-600"])
def test_rfc9110_15_5_17_an_unsatisfiable_range_is_told_the_length(stored, value):
    response = stored(("Range", value))
    assert response.status == 416 and response["content-range"] == f"bytes */{len(BODY)}"


# --- 15: statuses


@pytest.mark.parametrize("status, hit", [(299, True), (399, True), (499, True), (599, True), (600, False), (999, False)])
def test_rfc9110_15_statuses_without_meaning(edge, origin, status, hit):
    """Those of a known class may be stored on an explicit word; what is no status at all may not."""
    origin.on("/a", cacheable(BODY, status=status, reason="Odd"))
    for known in (False, hit):
        response = edge.fetch("/a")
        assert (response.status, response.body, response.hit) == (status, BODY, known)


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 501])
def test_rfc9110_15_1_statuses_cacheable_by_heuristics(edge, origin, status):
    origin.on("/a", reply(b"" if status == 204 else BODY, status, "Any", [MODIFIED]))
    edge.fetch("/a")
    assert edge.fetch("/a").hit


@pytest.mark.parametrize("status", [201, 202, 205, 302, 303, 307, 400, 401, 403, 406, 409, 412, 414, 429, 451, 500, 502, 503])
def test_rfc9110_15_1_other_statuses_are_not(edge, origin, status):
    origin.on("/a", reply(b"" if status == 205 else BODY, status, "Any", [MODIFIED]))
    edge.fetch("/a")
    assert not edge.fetch("/a").hit


def test_rfc9110_15_5_6_a_405_names_what_is_allowed(edge):
    response = edge.fetch("/", "TRACE")
    assert response.status == 405 and "GET" in response["allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("what, status", [("method", 405), ("host", 421), ("origin", 502), ("only-if-cached", 504)])
def test_rfc9110_15_what_is_answered_here_says_what_is_wrong(new_edge, new_origin, what, status, method):
    """15.5, 15.6: an explanation; 6.6.1: Date; 8.3 and 8.6: its type and length. Not in answers to HEAD (9.3.2)."""
    origin = new_origin()
    edge = new_edge(sites=[{"name": "one", "hosts": ["one.test"], "origins": [origin]}])
    fields = [("Cache-Control", "only-if-cached")] if what == "only-if-cached" else []
    if what == "origin":
        origin.stop()
    if what == "method":
        method = "TRACE"
    response = edge.fetch("/", method, host="other.test" if what == "host" else "one.test", fields=fields)
    assert response.status == status
    (date,) = response.fields.all("date")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 60
    assert response["content-type"].startswith("text/plain") and response.fields.all("content-length")
    if method == "HEAD":
        assert not response.body
    else:
        assert len(response.body.split()) > 2 and response["content-length"] == str(len(response.body))


def test_rfc9110_5_3_what_is_no_list_has_one_line(edge, origin):
    """Also where the origin said it and the edge says it again."""
    origin.on("/a", reply(BODY, fields=[FRESH, ("Age", "3"), ("Date", email.utils.formatdate(usegmt=True)), ("ETag", '"v"')]))
    for _ in range(2):
        response = edge.fetch("/a")
        for name in ("age", "date", "etag", "content-length"):
            assert len(response.fields.all(name)) == 1, name
    assert response["content-length"] == str(len(BODY))
