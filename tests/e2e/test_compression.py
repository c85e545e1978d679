"""Compression at the edge: a stored response goes out in the coding that its client likes best (RFC 9110 8.4, 12.5.3)."""

import gzip
import json
import subprocess
import threading
import time
import zlib

import pytest

from harness.message import build
from harness.origin import cacheable, reply
from harness.scale import limit, wait_until

TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 400
TYPE = ("Content-Type", "text/plain; charset=utf-8")
FRESH = [("Cache-Control", "max-age=60"), TYPE]
GZIP = [("Accept-Encoding", "gzip")]


def text(body=TEXT, fields=(), **more):
    return cacheable(body, 60, [TYPE, *fields], **more)


def get(edge, accept, path="/a", method="GET", fields=()):
    return edge.fetch(path, method, fields=[("Accept-Encoding", accept), *fields])


def varies(response):
    return "accept-encoding" in [name.strip().lower() for name in (response["vary"] or "").split(",")]


def test_rfc9110_12_5_3_a_miss_and_its_hits_are_compressed(edge, origin):
    origin.on("/a", text(fields=[("ETag", '"v1"')]))
    for i in range(4):
        response = get(edge, "gzip")
        assert (response.status, response["content-encoding"]) == (200, "gzip")
        assert gzip.decompress(response.body) == TEXT and len(response.body) < len(TEXT) / 10
        assert response["content-type"] == TYPE[1] and varies(response)
        assert response.hit == (i > 0)
        if i:
            assert response["content-length"] == str(len(response.body)) and response.age is not None
    assert origin.count() == 1
    assert edge.metrics()['skerry_encodes_total{coding="gzip"}'] == 1
    wait_until(lambda: edge.metrics()["skerry_coded_saved_bytes_total"] > 3 * len(TEXT) / 2, what="what was saved")


def test_a_client_that_asks_for_nothing_gets_identity_from_the_same_object(edge, origin):
    origin.on("/a", text())
    get(edge, "gzip")
    plain = edge.fetch("/a")
    assert plain.hit and plain.body == TEXT and plain["content-encoding"] is None and varies(plain)
    assert plain["content-length"] == str(len(TEXT))
    assert gzip.decompress(get(edge, "gzip").body) == TEXT
    assert origin.count() == 1


@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("gzip, br;q=0.5", "gzip"),
    ("gzip;q=0, *;q=0.1", "zstd"), ("identity", None), ("", None), ("deflate", None), ("identity, gzip;q=0.5", None),
    ("*;q=0", None), ("identity;q=0, compress", None)])
def test_rfc9110_12_5_3_the_client_chooses(edge, origin, accept, coding):
    origin.on("/a", text())
    for _ in range(2):
        response = get(edge, accept)
        assert response["content-encoding"] == coding
        if coding is None:
            assert response.body == TEXT
        elif coding == "gzip":
            assert gzip.decompress(response.body) == TEXT
        else:
            assert len(response.body) < len(TEXT) / 10 and response.body != TEXT


def test_curl_decodes_what_it_asked_for(edge, origin):
    origin.on("/a", text())
    for coding in ("gzip", "br", "zstd"):
        for _ in range(2):
            done = subprocess.run(["curl", "-sS", "--compressed", "-H", "Host: example.test", "-H", f"Accept-Encoding: {coding}", "-o", "-",
                                   f"http://{edge.listen}/a"], stdout=subprocess.PIPE, timeout=20, check=True)
            assert done.stdout == TEXT, coding


# --- what is left alone


LEFT_ALONE = {
    "an image": (TEXT, [("Content-Type", "image/png")]),
    "no type": (TEXT, []),
    "small": (b"x" * 100, [TYPE]),
    "coded by the origin": (zlib.compress(TEXT), [TYPE, ("Content-Encoding", "deflate")]),
    "RFC 9111 5.2.2.6: no-transform": (TEXT, [TYPE, ("Cache-Control", "no-transform")]),
    "a digest of its bytes": (TEXT, [TYPE, ("Repr-Digest", "sha-256=:AAAA:")]),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_what_is_never_coded(edge, origin, case):
    body, fields = LEFT_ALONE[case]
    origin.on("/a", cacheable(body, 60, fields))
    for _ in range(2):
        response = get(edge, "gzip, br, zstd")
        assert response.body == body and varies(response) == (case == "coded by the origin")
        assert response["content-encoding"] == dict(fields).get("Content-Encoding")
    assert origin.count() == 1


def test_what_is_not_stored_is_not_coded(edge, origin):
    """So no secret of one client is compressed together with what somebody else chose (BREACH)."""
    origin.on("/a", reply(TEXT, fields=[TYPE, ("Cache-Control", "no-store")]))
    origin.on("/b", reply(TEXT, fields=[TYPE, ("Set-Cookie", "secret=1")]))
    for path in ("/a", "/b"):
        response = get(edge, "gzip", path)
        assert response.body == TEXT and response["content-encoding"] is None


def test_other_statuses_are_not_coded(edge, origin):
    origin.on("/a", cacheable(TEXT, 60, [TYPE], status=404, reason="Not Found"))
    for _ in range(2):
        response = get(edge, "gzip")
        assert response.status == 404 and response.body == TEXT


def test_rfc9111_5_2_1_6_a_request_with_no_transform_gets_identity(edge, origin):
    origin.on("/a", text())
    assert get(edge, "gzip")["content-encoding"] == "gzip"
    response = get(edge, "gzip", fields=[("Cache-Control", "no-transform")])
    assert response.hit and response.body == TEXT and response["content-encoding"] is None


def test_switched_off(new_edge, origin):
    edge = new_edge(origin, compress={"enabled": False})
    origin.on("/a", text())
    for _ in range(2):
        response = get(edge, "gzip")
        assert response.body == TEXT and not varies(response)


def test_types_sizes_and_codings_of_the_site(new_edge, origin):
    edge = new_edge(origin, compress={"types": ["image/*", "*+thing"], "codings": ["br", "gzip"], "min_size": "1",
                                      "max_size": "10KB", "level": 1})
    origin.on("/a", cacheable(TEXT[:9000], 60, [("Content-Type", "Image/X-Odd;a=b")]))
    origin.on("/b", cacheable(TEXT[:9000], 60, [("Content-Type", "application/a+thing")]))
    origin.on("/c", cacheable(TEXT[:9000], 60, [TYPE]))
    origin.on("/d", cacheable(TEXT, 60, [("Content-Type", "image/png")]))
    assert get(edge, "gzip, br, zstd")["content-encoding"] == "br"
    assert gzip.decompress(get(edge, "gzip, zstd", "/b").body) == TEXT[:9000]
    assert get(edge, "gzip", "/c")["content-encoding"] is None
    assert get(edge, "gzip", "/d")["content-encoding"] is None


# --- validators, ranges, methods


def test_rfc9110_8_8_1_a_strong_tag_is_made_weak(edge, origin):
    origin.on("/a", text(fields=[("ETag", '"v1"')]))
    origin.on("/b", text(fields=[("ETag", 'W/"v1"')]))
    assert get(edge, "gzip")["etag"] == 'W/"v1"'
    assert edge.fetch("/a")["etag"] == '"v1"'
    assert get(edge, "gzip", "/b")["etag"] == 'W/"v1"'


def test_rfc9110_13_1_2_the_weak_tag_yields_304_with_the_tag_of_its_200(edge, origin):
    origin.on("/a", text(fields=[("ETag", '"v1"')]))
    for _ in range(2):
        get(edge, "gzip")
    for tag in ('W/"v1"', '"v1"'):
        response = get(edge, "gzip", fields=[("If-None-Match", tag)])
        assert (response.status, response["etag"]) == (304, 'W/"v1"') and varies(response)
        assert response["content-encoding"] is None
    plain = edge.fetch("/a", fields=[("If-None-Match", 'W/"v1"')])
    assert (plain.status, plain["etag"]) == (304, '"v1"') and varies(plain)
    assert get(edge, "gzip", fields=[("If-None-Match", '"other"')]).status == 200


def test_rfc9110_14_2_a_part_is_of_the_identity(edge, origin):
    origin.on("/a", text(fields=[("ETag", '"v1"')]))
    get(edge, "gzip")
    part = get(edge, "gzip", fields=[("Range", "bytes=4-8")])
    assert (part.status, part.body, part["etag"]) == (206, b"quick", '"v1"')
    assert part["content-encoding"] is None and part["content-range"] == f"bytes 4-8/{len(TEXT)}"
    # the weak tag of a coded answer never matches (13.1.5), so no client puts parts of both together
    whole = get(edge, "gzip", fields=[("Range", "bytes=4-8"), ("If-Range", 'W/"v1"')])
    assert whole.status == 200 and whole.body == TEXT


def test_rfc9110_9_3_2_head_is_answered_as_get_would_be(edge, origin):
    origin.on("/a", text())
    full = [get(edge, "gzip") for _ in range(2)][1]
    head = get(edge, "gzip", method="HEAD")
    assert head.body == b"" and head["content-encoding"] == "gzip"
    assert head["content-length"] == full["content-length"]


def test_http_1_0_gets_a_body_that_ends(edge, origin):
    origin.on("/a", text())
    for _ in range(2):
        with edge.connect() as conn:
            conn.send(b"GET /a HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            assert gzip.decompress(conn.response().body) == TEXT


# --- the life of a form


def test_a_replaced_object_takes_its_forms_with_it(edge, origin):
    bodies = [TEXT, TEXT[::-1]]
    origin.on("/a", lambda x: x.reply(bodies[origin.count("/a") > 1], fields=[TYPE, ("Cache-Control", "max-age=1")]))
    assert gzip.decompress(get(edge, "gzip").body) == bodies[0]
    time.sleep(1.2)
    for _ in range(2):
        assert gzip.decompress(get(edge, "gzip").body) == bodies[1]


def test_rfc9111_4_3_4_a_304_keeps_the_forms(edge, origin):
    def script(x):
        fields = [TYPE, ("Cache-Control", "max-age=1"), ("ETag", '"v1"')]
        x.reply(b"" if x.request.fields.get("if-none-match") else TEXT, fields=fields,
                **({"status": 304, "reason": "Not Modified"} if x.request.fields.get("if-none-match") else {}))

    origin.on("/a", script)
    get(edge, "gzip")
    time.sleep(1.2)
    for _ in range(2):
        response = get(edge, "gzip")
        assert gzip.decompress(response.body) == TEXT and varies(response) and response["etag"] == 'W/"v1"'
    assert origin.count() == 2 and origin.last().fields.get("if-none-match") == '"v1"'
    assert edge.metrics()['skerry_encodes_total{coding="gzip"}'] == 1


def test_an_unsafe_method_ends_the_forms(edge, origin):
    origin.on("/a", text())
    for _ in range(2):
        get(edge, "gzip")
    origin.on("/a", text(TEXT[::-1]))
    edge.fetch("/a", "POST")
    assert gzip.decompress(get(edge, "gzip").body) == TEXT[::-1]


def purge(edge, **what):
    response = edge.admin("/purge", "POST", [("Content-Type", "application/json")], body=json.dumps(what).encode())
    assert response.status == 200, response.body


@pytest.mark.parametrize("what", [{"url": "http://example.test/a"}, {"tag": "t"}, {"all": True}])
def test_a_purge_ends_the_forms(edge, origin, what):
    bodies = [TEXT, TEXT[::-1]]
    origin.on("/a", lambda x: x.reply(bodies[origin.count("/a") > 1], fields=[*FRESH, ("Surrogate-Key", "t")]))
    for _ in range(2):
        assert gzip.decompress(get(edge, "gzip").body) == bodies[0]
    purge(edge, **what)
    for _ in range(2):
        assert gzip.decompress(get(edge, "gzip").body) == bodies[1]
    assert origin.count() == 2


def test_after_a_soft_purge_a_304_keeps_the_forms(edge, origin):
    def script(x):
        fresh = [*FRESH, ("ETag", '"v1"')]
        if x.request.fields.get("if-none-match"):
            x.reply(status=304, reason="Not Modified", fields=fresh)
        else:
            x.reply(TEXT, fields=fresh)

    origin.on("/a", script)
    get(edge, "gzip")
    purge(edge, url="http://example.test/a", soft=True)
    for _ in range(2):
        assert gzip.decompress(get(edge, "gzip").body) == TEXT
    assert origin.count() == 2


def test_variants_have_forms_of_their_own(edge, origin):
    def script(x):
        x.reply(x.request.fields.get("x-v").encode() * 1000, fields=[*FRESH, ("Vary", "X-V")])

    origin.on("/a", script)
    for _ in range(2):
        for v in ("1", "2"):
            response = get(edge, "gzip", fields=[("X-V", v)])
            assert gzip.decompress(response.body) == v.encode() * 1000
            assert response["vary"] == "X-V, Accept-Encoding"
    assert origin.count() == 2


def test_many_clients_at_once_cost_one_encoding(edge, origin):
    body = TEXT * 200
    origin.on("/a", text(body))
    edge.fetch("/a")
    conns = [edge.connect() for _ in range(20)]
    for conn in conns:
        conn.send(build(target="/a", fields=GZIP))
    coded = 0
    for conn in conns:
        response = conn.response()
        coded += "content-encoding" in response.fields  # who comes while another thread is about to begin gets identity
        assert (gzip.decompress(response.body) if "content-encoding" in response.fields else response.body) == body
        conn.close()
    assert coded > 0 and edge.metrics()['skerry_encodes_total{coding="gzip"}'] == 1


# --- while it arrives


def test_what_has_arrived_is_sent_before_the_rest_is_there(edge, origin):
    go = threading.Event()

    def script(x):
        x.head(200, fields=FRESH, chunked=True)
        x.send(b"%x\r\n%s\r\n" % (len(TEXT), TEXT))
        x.wait(go)
        x.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT))

    origin.on("/a", script)
    with edge.connect() as conn:
        conn.send(build(target="/a", fields=GZIP))
        response = conn.head()
        assert response["content-encoding"] == "gzip" and response["transfer-encoding"] == "chunked"
        decoder, seen = zlib.decompressobj(31), b""
        while len(seen) < len(TEXT):
            seen += decoder.decompress(conn.chunk())
        assert seen == TEXT
        go.set()
    wait_until(lambda: get(edge, "gzip").hit)
    assert gzip.decompress(get(edge, "gzip").body) == TEXT * 2
    assert origin.count() == 1


def test_a_cut_off_response_is_cut_off_in_its_coding_too(edge, origin):
    def script(x):
        x.head(200, fields=FRESH, length=2 * len(TEXT))
        x.send(TEXT)
        x.sleep(0.2).reset()

    origin.on("/a", script)
    with edge.connect() as conn:
        conn.send(build(target="/a", fields=GZIP))
        response = conn.response(allow_cut=True)
        with pytest.raises(EOFError):
            gzip.decompress(response.body)
    origin.on("/a", text())
    assert gzip.decompress(get(edge, "gzip").body) == TEXT


@pytest.mark.parametrize("level", [1, 5])
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_large_content_at_every_coding_and_level(new_edge, origin, coding, level):
    body = b"".join(b"%d: a line of no great interest, %x\n" % (i, i * 2654435761) for i in range(60000))
    edge = new_edge(origin, compress={"level": level})
    origin.on("/a", text(body))
    for _ in range(2):
        done = subprocess.run(["curl", "-sS", "--compressed", "-H", "Host: example.test", "-H", f"Accept-Encoding: {coding}", "-o", "-",
                               f"http://{edge.listen}/a"], stdout=subprocess.PIPE, timeout=60, check=True)
        assert done.stdout == body
    assert edge.metrics()[f'skerry_encodes_total{{coding="{coding}"}}'] == 1


# --- better forms for popular objects


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_what_many_ask_for_gets_smaller(edge, origin, coding):
    body = b"".join(b"%d: a line of some interest, %x\n" % (i % 977, i * i) for i in range(20000))
    origin.on("/a", text(body))
    get(edge, coding)
    quick = len(get(edge, coding).body)
    wait_until(lambda: get(edge, coding) and edge.metrics()["skerry_forms_improved_total"] == 1)
    better = get(edge, coding)
    assert better["content-encoding"] == coding and better["content-length"] == str(len(better.body))
    assert len(better.body) < quick
    done = subprocess.run(["curl", "-sS", "--compressed", "-H", "Host: example.test", "-H", f"Accept-Encoding: {coding}", "-o", "-",
                           f"http://{edge.listen}/a"], stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout == body
    for _ in range(10):
        get(edge, coding)
    assert edge.metrics()["skerry_forms_improved_total"] == 1 and origin.count() == 1


def test_popular_level_0_leaves_the_quick_forms(new_edge, origin):
    edge = new_edge(origin, compress={"popular_level": 0})
    origin.on("/a", text())
    first = [get(edge, "gzip") for _ in range(10)][1]
    time.sleep(0.3)
    assert get(edge, "gzip").body == first.body
    assert edge.metrics()["skerry_forms_improved_total"] == 0


def test_the_edge_stops_while_a_form_is_being_improved(new_edge, origin):
    edge = new_edge(origin, compress={"popular_level": 9})
    body = b"".join(b"%d: a line of some interest, %x\n" % (i % 977, i * i) for i in range(150000))
    origin.on("/a", text(body))
    for _ in range(6):
        get(edge, "zstd")
    started = time.monotonic()
    edge.stop()
    assert time.monotonic() - started < limit(10)
