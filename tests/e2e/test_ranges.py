"""Partial objects: what is fetched of something large, kept in slices, put together and completed; what happens
when an origin lies about it or breaks off (RFC 9110 sections 13.1.5, 14, 15.3.7 and 15.5.17, RFC 9111 sections 3.3
and 3.4)."""

import os
import threading
import time

import pytest

from harness.message import build
from harness.origin import sequence
from harness.ranges import Resource
from harness.scale import SLOW, limit, seconds, wait_until

SLICE = 256 * 1024
RUN = 64 * SLICE
BODY = os.urandom(5 * SLICE + 1000)


def ask(edge, value, *fields, path="/big", timeout=20):
    return edge.fetch(path, fields=[("Range", value), *fields], timeout=timeout)


def check(response, first, end, body=BODY):
    assert response.status == 206
    assert response["content-range"] == f"bytes {first}-{end - 1}/{len(body)}"
    assert response["content-length"] == str(end - first)
    assert response.body == body[first:end]


@pytest.fixture
def big(origin):
    resource = Resource(BODY)
    origin.on("/big", resource)
    return resource


# --- what is asked of the origin


def test_rfc9110_14_only_the_slices_of_a_range_are_fetched(edge, origin, big):
    response = ask(edge, f"bytes={SLICE + 10}-{SLICE + 19}")
    check(response, SLICE + 10, SLICE + 20)
    assert big.asked == [f"bytes={SLICE}-{2 * SLICE - 1}"] and big.conditions == [None]
    assert response.cache_status["fwd"] == "uri-miss" and response.cache_status["stored"] is True
    assert response["etag"] == '"v1"'


def test_rfc9111_3_3_a_present_range_is_a_hit(edge, origin, big):
    ask(edge, "bytes=0-9")
    time.sleep(1.1)
    for value, first, end in (("bytes=0-9", 0, 10), (f"bytes=100-{SLICE - 1}", 100, SLICE)):
        response = ask(edge, value)
        check(response, first, end)
        assert response.hit and response.age >= 1
    assert origin.count() == 1


def test_rfc9111_3_3_only_what_is_missing_is_asked_for_with_if_range(edge, origin, big):
    ask(edge, "bytes=0-9")
    ask(edge, f"bytes={3 * SLICE}-{3 * SLICE}")
    response = ask(edge, f"bytes=10-{4 * SLICE + 4}")
    check(response, 10, 4 * SLICE + 5)
    assert response.cache_status["fwd"] == "partial" and not response.hit
    assert big.asked[2:] == [f"bytes={SLICE}-{3 * SLICE - 1}", f"bytes={4 * SLICE}-{5 * SLICE - 1}"]
    assert big.conditions == [None, '"v1"', '"v1"', '"v1"']
    again = ask(edge, f"bytes=10-{4 * SLICE + 4}")
    check(again, 10, 4 * SLICE + 5)
    assert again.hit and origin.count() == 4


def test_rfc9111_3_3_a_partial_object_is_completed_for_who_wants_the_whole(edge, origin, big):
    ask(edge, f"bytes={2 * SLICE}-{2 * SLICE + 5}")
    for i in range(2):
        response = edge.fetch("/big")
        assert response.status == 200 and response.body == BODY and "content-range" not in response.fields
        assert response.hit == (i == 1)
    assert big.sent_bytes == len(BODY)


def test_rfc9110_14_1_2_a_suffix_of_something_unknown(edge, origin, big):
    check(ask(edge, "bytes=-500"), len(BODY) - 500, len(BODY))
    again = ask(edge, "bytes=-700")
    check(again, len(BODY) - 700, len(BODY))
    assert again.hit and origin.count() == 1


def test_rfc9110_14_1_2_a_suffix_that_begins_in_another_slice(edge, origin, big):
    check(ask(edge, "bytes=-2000"), len(BODY) - 2000, len(BODY))
    assert big.asked == [f"bytes=-{SLICE + 2000}"]
    check(ask(edge, f"bytes={4 * SLICE}-"), 4 * SLICE, len(BODY))
    assert origin.count() == 1


def test_rfc9110_14_an_open_end(edge, origin, big):
    check(ask(edge, f"bytes={SLICE}-"), SLICE, len(BODY))
    check(ask(edge, f"bytes={SLICE + 7}-"), SLICE + 7, len(BODY))
    assert origin.count() == 1


def test_a_small_object_comes_whole_by_its_first_range(edge, origin):
    origin.on("/big", Resource(BODY[:5000]))
    response = ask(edge, "bytes=100-199")
    check(response, 100, 200, BODY[:5000])
    assert edge.fetch("/big").hit and origin.count() == 1


def test_rfc9110_14_2_a_200_instead_of_206_is_stored_whole(edge, origin, big):
    big.lie = lambda x, first, end, fields: x.reply(BODY, 200, fields=fields())
    check(ask(edge, f"bytes={SLICE}-{SLICE + 9}"), SLICE, SLICE + 10)
    response = edge.fetch("/big")
    assert response.hit and response.body == BODY and origin.count() == 1


def test_rfc9110_14_6_several_ranges_from_slices(edge, origin, big):
    ask(edge, f"bytes={3 * SLICE}-{3 * SLICE}")
    ranges = ((3, 10), (2 * SLICE - 5, 2 * SLICE + 5), (len(BODY) - 4, len(BODY)))
    for i in range(2):
        response = ask(edge, f"bytes=3-9,{2 * SLICE - 5}-{2 * SLICE + 4},-4")
        assert response.status == 206
        boundary = response["content-type"].partition("boundary=")[2].encode()
        parts = response.body.split(b"--" + boundary)
        assert len(parts) == 5 and parts[4].startswith(b"--")
        for part, (first, end) in zip(parts[1:4], ranges):
            head, _, content = part.partition(b"\r\n\r\n")
            assert b"Content-Range: bytes %d-%d/%d" % (first, end - 1, len(BODY)) in head
            assert content == BODY[first:end] + b"\r\n"
        assert response.hit == (i == 1)


def test_rfc9110_15_5_17_beyond_the_end(edge, origin, big):
    response = ask(edge, f"bytes={len(BODY) + SLICE}-")
    assert response.status == 416 and response["content-range"] == f"bytes */{len(BODY)}"
    check(ask(edge, "bytes=0-9"), 0, 10)  # the 416 of another client's range is remembered by nobody
    assert ask(edge, "bytes=0-9").hit
    response = ask(edge, f"bytes={len(BODY)}-")
    assert response.status == 416 and response["content-range"] == f"bytes */{len(BODY)}"
    assert response.hit and origin.count() == 2


@pytest.mark.parametrize("value, status", [('"v1"', 206), ('"x"', 200), ('W/"v1"', 200)])
@pytest.mark.parametrize("warm", [True, False], ids=["partial", "unknown"])
def test_rfc9110_13_1_5_if_range(edge, origin, big, value, status, warm):
    if warm:
        ask(edge, "bytes=0-9")
    response = ask(edge, "bytes=10-19", ("If-Range", value))
    assert response.status == status
    assert response.body == (BODY[10:20] if status == 206 else BODY)


def test_rfc9110_13_conditions_on_a_partial_object(edge, origin, big):
    ask(edge, "bytes=0-9")
    assert edge.fetch("/big", fields=[("If-None-Match", '"v1"')]).status == 304
    assert ask(edge, "bytes=0-9", ("If-None-Match", '"v1"')).status == 304
    check(ask(edge, "bytes=0-9", ("If-Match", '"v1"')), 0, 10)
    assert origin.count() == 1


def test_rfc9110_9_3_2_head_of_a_partial_object(edge, origin, big):
    ask(edge, "bytes=0-9")
    response = edge.fetch("/big", "HEAD")
    assert response.status == 200 and response["content-length"] == str(len(BODY))
    assert response.hit and origin.count() == 1


def test_a_range_in_something_larger_than_a_run_and_than_the_memory(new_edge, origin):
    body = os.urandom(RUN + 20 * SLICE)
    resource = Resource(body)
    origin.on("/big", resource)
    edge = new_edge(origin, memory="10MiB")
    check(ask(edge, "bytes=5-", timeout=60), 5, len(body), body)
    assert resource.asked[0] == f"bytes=0-{RUN - 1}"
    assert all(value and value.startswith("bytes=") for value in resource.asked)
    assert SLOW > 1 or edge.rss_kib() < 64 * 1024


# --- validators and freshness


@pytest.mark.parametrize("etag, modified", [('W/"v1"', None), (None, None), (None, "now")],
                         ids=["weak tag", "none", "date of this second"])
def test_rfc9111_3_4_without_a_strong_validator_parts_pass_unstored(edge, origin, big, etag, modified):
    big.etag = etag
    if modified:
        now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        big.fields = [("Last-Modified", now), ("Date", now)]
    for _ in range(2):
        response = ask(edge, "bytes=10-19")
        assert response.status == 206 and response.body == BODY[10:20] and not response.hit
    assert big.asked[-1] == "bytes=10-19"


def test_rfc9110_8_8_2_2_a_strong_date_is_enough(edge, origin, big):
    big.etag = None
    big.fields = [("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
    check(ask(edge, "bytes=0-9"), 0, 10)
    assert ask(edge, "bytes=0-9").hit
    origin.on("/big", lambda x: x.reply(BODY[SLICE:2 * SLICE], 206, fields=big.head_fields(
        ("Content-Range", f"bytes {SLICE}-{2 * SLICE - 1}/{len(BODY)}"))))
    check(ask(edge, f"bytes={SLICE}-{SLICE + 9}"), SLICE, SLICE + 10)
    assert origin.last().fields.get("if-range") == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("directive", ["no-store", "private"])
def test_rfc9111_3_a_part_that_may_not_be_stored_is_not(edge, origin, directive):
    resource = Resource(BODY)
    resource.head_fields = lambda *more: [("Cache-Control", directive), ("ETag", '"v1"'), *more]
    origin.on("/big", resource)
    for _ in range(2):
        response = ask(edge, "bytes=10-19")
        assert response.status == 206 and response.body == BODY[10:20] and not response.hit


def test_rfc9111_4_3_4_one_304_confirms_all_slices(edge, origin, big):
    big.max_age = 1
    check(ask(edge, f"bytes=0-{2 * SLICE}"), 0, 2 * SLICE + 1)
    sent = big.sent_bytes
    time.sleep(1.2)
    big.max_age = 60
    response = ask(edge, "bytes=0-9")
    check(response, 0, 10)
    assert origin.last().fields.get("if-none-match") == '"v1"'
    check(ask(edge, f"bytes={SLICE}-{2 * SLICE}"), SLICE, 2 * SLICE + 1)
    assert big.sent_bytes == sent and origin.count() == 2


def test_rfc9111_4_3_3_a_changed_object_is_asked_for_by_range_again(edge, origin, big):
    big.max_age = 1
    check(ask(edge, "bytes=0-9"), 0, 10)
    time.sleep(1.2)
    other = os.urandom(3 * SLICE)
    big.body, big.etag, big.max_age = other, '"v2"', 60
    check(ask(edge, "bytes=0-9"), 0, 10, other)
    assert big.asked[-1] == f"bytes=0-{SLICE - 1}"
    check(ask(edge, f"bytes=5-{SLICE + 5}"), 5, SLICE + 6, other)


def test_rfc5861_4_a_partial_object_while_the_origin_is_down(edge, origin, big):
    big.max_age = 1
    big.fields = [("Cache-Control", "stale-if-error=600")]
    check(ask(edge, "bytes=0-9"), 0, 10)
    time.sleep(1.2)
    origin.on("/big", lambda x: x.reset())
    response = ask(edge, "bytes=20-29")
    check(response, 20, 30)
    assert response.cache_status["detail"] == "stale-if-error"
    assert ask(edge, f"bytes={SLICE}-{SLICE + 1}").status == 502


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_purges_hold_for_partial_objects(edge, origin, big, soft):
    check(ask(edge, f"bytes=0-{SLICE}"), 0, SLICE + 1)
    sent = big.sent_bytes
    answer = edge.admin("/purge", "POST", fields=[("Content-Type", "application/json")],
                        body=b'{"url": "http://example.test/big"%s}' % (b', "soft": true' if soft else b""))
    assert answer.status == 200, answer.text
    response = ask(edge, f"bytes=0-{SLICE}")
    check(response, 0, SLICE + 1)
    assert not response.hit
    if soft:
        assert origin.last().fields.get("if-none-match") == '"v1"' and big.sent_bytes == sent
    else:
        assert big.asked[-1] == f"bytes=0-{2 * SLICE - 1}" and big.sent_bytes == 2 * sent
    assert ask(edge, f"bytes=0-{SLICE}").hit


def test_rfc9111_4_1_slices_belong_to_a_variant(edge, origin):
    bodies = {"de": os.urandom(3 * SLICE), "en": os.urandom(3 * SLICE)}
    resources = {name: Resource(body, f'"{name}"', fields=[("Vary", "Accept-Language")])
                 for name, body in bodies.items()}
    origin.on("/big", lambda x: resources[x.request.fields.get("accept-language")](x))
    for i in range(2):
        for name, body in bodies.items():
            response = ask(edge, f"bytes=7-{SLICE + 7}", ("Accept-Language", name))
            check(response, 7, SLICE + 8, body)
            assert response.hit == (i == 1)
    assert origin.count() == 2


# --- what is collapsed


def test_clients_of_the_same_range_share_one_fetch_and_get_bytes_as_they_come(edge, origin, big):
    go = threading.Event()

    def slowly(x, first, end, fields):
        x.head(206, "Partial Content", fields(("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}")), end - first)
        x.send(BODY[first:first + 1000]).wait(go).send(BODY[first + 1000:end])

    big.lie = slowly
    conns = [edge.connect() for _ in range(20)]
    for conn in conns:
        conn.send(build(target="/big", fields=[("Range", f"bytes=0-{2 * SLICE}")]))
    for conn in conns:
        assert conn.head().status == 206
        assert conn.read(1000) == BODY[:1000]
    conns[0].reset()
    go.set()
    for conn in conns[1:]:
        assert conn.read(2 * SLICE - 999) == BODY[1000:2 * SLICE + 1]
        conn.close()
    assert big.asked == [f"bytes=0-{3 * SLICE - 1}"]


def test_clients_of_different_missing_ranges_do_not_wait_for_each_other(edge, origin, big):
    ask(edge, "bytes=0-9")
    stuck = threading.Event()
    big.lie = lambda x, first, end, fields: (
        x.wait(stuck) if first == SLICE else None,
        x.reply(BODY[first:end], 206, fields=fields(("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}"))))
    with edge.connect() as waiting:
        waiting.send(build(target="/big", fields=[("Range", f"bytes={SLICE}-{SLICE + 9}")]))
        wait_until(lambda: len(big.asked) == 2)
        check(ask(edge, f"bytes={3 * SLICE}-{3 * SLICE + 9}"), 3 * SLICE, 3 * SLICE + 10)
        stuck.set()
        assert waiting.response().body == BODY[SLICE:SLICE + 10]


def test_a_slow_reader_of_slices_slows_nobody(new_edge, origin):
    body = os.urandom(40 * SLICE)
    origin.on("/big", Resource(body))
    edge = new_edge(origin)
    slow = edge.connect(receive_buffer=4096)
    slow.send(build(target="/big", fields=[("Range", "bytes=1-")]))
    slow.head()
    began = time.monotonic()
    check(ask(edge, "bytes=1-", timeout=30), 1, len(body), body)
    assert time.monotonic() - began < limit(10)
    slow.reset()


# --- lies and changes


def test_rfc9110_15_3_7_3_another_etag_makes_the_stored_object_invalid(edge, origin, big):
    ask(edge, f"bytes=0-{SLICE - 1}")
    time.sleep(seconds(0.1))  # until it is complete: what arrives is trusted to go on
    other = os.urandom(len(BODY))

    def changed(x, first, end, fields):  # does not care for If-Range
        x.reply(other[first:end], 206, fields=fields(("Content-Range", f"bytes {first}-{end - 1}/{len(other)}")))

    big.etag = '"v2"'
    big.lie = changed
    origin.on("/big", lambda x: changed(x, *big.range_of(x.request.fields.get("range")), big.head_fields))
    check(ask(edge, f"bytes=0-{SLICE + 5}"), 0, SLICE + 6, other)
    check(ask(edge, "bytes=0-9"), 0, 10, other)


def test_rfc9110_15_3_7_3_another_length_makes_the_stored_object_invalid(edge, origin, big):
    ask(edge, "bytes=0-9")
    big.body = os.urandom(4 * SLICE)
    check(ask(edge, f"bytes={SLICE}-{SLICE + 5}"), SLICE, SLICE + 6, big.body)
    check(ask(edge, "bytes=0-9"), 0, 10, big.body)


def test_rfc9110_13_1_5_a_200_to_if_range_replaces_the_stored_object_whole(edge, origin, big):
    ask(edge, "bytes=0-9")
    big.body, big.etag = os.urandom(len(BODY)), '"v2"'
    response = ask(edge, f"bytes={SLICE}-{SLICE + 5}")
    check(response, SLICE, SLICE + 6, big.body)
    assert origin.count() == 2
    whole = edge.fetch("/big")
    assert whole.hit and whole.body == big.body and origin.count() == 2


def test_a_change_amid_an_answer_cuts_it_and_never_mixes(edge, origin):
    first, other = os.urandom(RUN + 4 * SLICE), os.urandom(RUN + 4 * SLICE)
    resource = Resource(first)
    origin.on("/big", resource)
    with edge.connect() as conn:
        conn.send(build(target="/big", fields=[("Range", "bytes=0-")]))
        conn.head()
        got = conn.read(SLICE)
        resource.body, resource.etag = other, '"v2"'
        got += conn.read_to_end()
    assert len(got) < len(first) and got == first[:len(got)]


@pytest.mark.parametrize("lie", ["wrong place", "no Content-Range", "multipart", "unknown length", "length mismatch"])
def test_rfc9110_15_3_7_a_206_that_is_no_answer_is_not_stored(edge, origin, big, lie):
    def lying(x, first, end, fields):
        body = BODY[first:end]
        if x.request.fields.get("range") == "bytes=10-19" and lie not in ("no Content-Range", "multipart"):
            x.reply(body, 206, fields=fields(("Content-Range", f"bytes 10-19/{len(BODY)}")))
        elif lie == "wrong place":
            x.reply(body, 206, fields=fields(("Content-Range", f"bytes {first + 1}-{end}/{len(BODY)}")))
        elif lie == "no Content-Range":
            x.reply(body, 206, fields=fields())
        elif lie == "multipart":
            x.reply(b"--b\r\n\r\n" + body + b"\r\n--b--\r\n", 206,
                    fields=fields(("Content-Type", "multipart/byteranges; boundary=b")))
        elif lie == "unknown length":
            x.reply(body, 206, fields=fields(("Content-Range", f"bytes {first}-{end - 1}/*")))
        else:
            x.reply(body[:-1], 206, fields=fields(("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}")))

    big.lie = lying
    response = ask(edge, "bytes=10-19")
    assert response.status == 206 and not response.hit and BODY[10:20] in response.body
    assert not ask(edge, "bytes=10-19").hit
    big.lie = None
    assert edge.fetch("/big").body == BODY  # and the whole can be stored as ever
    assert edge.fetch("/big").hit


def test_rfc9110_15_3_7_a_short_206_is_never_complete(edge, origin, big):
    cut = lambda x, first, end, fields: x.head(206, "Partial Content", fields(
        ("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}")), end - first).send(BODY[first:first + 100]).close()
    big.lie = cut
    with edge.connect() as conn:
        conn.send(build(target="/big", fields=[("Range", "bytes=0-199")]))
        assert conn.head()["content-length"] == "200"
        assert len(conn.read_to_end()) <= 100
    big.lie = None
    check(ask(edge, "bytes=0-199"), 0, 200)


def test_a_slice_that_breaks_off_is_asked_for_again_behind_the_client(edge, origin, big):
    ask(edge, "bytes=0-9")
    whole = lambda x, first, end, fields: x.reply(
        BODY[first:end], 206, fields=fields(("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}")))
    cut = lambda x, first, end, fields: x.head(206, "Partial Content", fields(
        ("Content-Range", f"bytes {first}-{end - 1}/{len(BODY)}")), end - first).send(
            BODY[first:first + SLICE + 100]).close()
    script = sequence(lambda a: cut(*a), lambda a: whole(*a))
    big.lie = lambda *a: script(a)
    check(ask(edge, f"bytes={SLICE}-{3 * SLICE - 1}"), SLICE, 3 * SLICE)
    assert big.asked[1:] == [f"bytes={SLICE}-{3 * SLICE - 1}", f"bytes={2 * SLICE}-{3 * SLICE - 1}"]


def test_rfc9110_15_5_17_a_416_for_a_slice_means_that_the_object_changed(edge, origin, big):
    ask(edge, "bytes=0-9")
    big.body, big.etag = BODY[:1000], '"v2"'
    origin.on("/big", lambda x: x.reply(status=416, reason="Range Not Satisfiable", fields=[
        ("Content-Range", "bytes */1000")]) if "if-range" in x.request.fields else big(x))
    response = ask(edge, f"bytes={SLICE}-{SLICE + 5}")
    assert response.status == 416 and response["content-range"] == "bytes */1000"
    assert ask(edge, "bytes=0-9").body == BODY[:10]


def test_a_failing_origin_leaves_the_slices_alone(edge, origin, big):
    ask(edge, "bytes=0-9")
    big.lie = lambda x, first, end, fields: x.reply(b"oh", 503, "Service Unavailable")
    response = ask(edge, f"bytes={SLICE}-{SLICE + 5}")
    assert response.status == 502 and "part" in response.text
    assert ask(edge, "bytes=0-9").hit


# --- cut-off responses


def cut_then_whole(resource, after):
    return sequence(
        lambda x: x.head(length=len(resource.body), fields=resource.head_fields()).send(resource.body[:after]).close(),
        resource)


def test_rfc9111_3_3_a_cut_off_response_is_completed_by_range(edge, origin):
    resource = Resource(BODY)
    origin.on("/big", cut_then_whole(resource, 3 * SLICE + 100))
    with edge.connect() as conn:
        conn.send(build(target="/big"))
        assert conn.head()["content-length"] == str(len(BODY))
        assert conn.read_to_end() == BODY[:3 * SLICE + 100]  # a short close: the client can tell
    response = edge.fetch("/big")
    assert response.status == 200 and response.body == BODY
    assert response.cache_status["fwd"] == "partial"
    assert resource.asked == [f"bytes={3 * SLICE}-{len(BODY) - 1}"] and resource.conditions == ['"v1"']
    assert edge.fetch("/big").hit and origin.count() == 2


def test_rfc9111_3_3_what_came_of_a_cut_off_response_answers_ranges(edge, origin):
    resource = Resource(BODY)
    origin.on("/big", cut_then_whole(resource, 2 * SLICE + 100))
    with edge.connect() as conn:
        conn.send(build(target="/big"))
        conn.head()
        conn.read_to_end()
    response = ask(edge, f"bytes=0-{2 * SLICE - 1}")
    check(response, 0, 2 * SLICE)
    assert response.hit and origin.count() == 1


@pytest.mark.parametrize("etag, changed", [('W/"v1"', False), ('"v1"', True)], ids=["weak validator", "changed since"])
def test_rfc9111_3_3_a_cut_off_response_that_cannot_be_completed_is_dropped(edge, origin, etag, changed):
    resource = Resource(BODY, etag)
    origin.on("/big", cut_then_whole(resource, 3 * SLICE))
    with edge.connect() as conn:
        conn.send(build(target="/big"))
        conn.head()
        conn.read_to_end()
    if changed:
        resource.body, resource.etag = os.urandom(len(BODY)), '"v2"'
    assert edge.fetch("/big").body == resource.body
    assert resource.asked[-1] == (f"bytes={3 * SLICE}-{len(BODY) - 1}" if changed else None)
    assert edge.fetch("/big").body == resource.body and origin.count() == 2


def test_a_purge_during_a_fill_holds_for_what_is_kept_of_it(edge, origin):
    go = threading.Event()
    resource = Resource(BODY)
    origin.on("/big", sequence(
        lambda x: x.head(length=len(BODY), fields=resource.head_fields()).send(BODY[:2 * SLICE]).wait(go).close(),
        resource))
    with edge.connect() as conn:
        conn.send(build(target="/big"))
        conn.head()
        conn.read(SLICE)
        assert edge.admin("/purge", "POST", fields=[("Content-Type", "application/json")],
                          body=b'{"url": "http://example.test/big"}').status == 200
        go.set()
        conn.read_to_end()
    assert not ask(edge, "bytes=0-9").hit


def test_rfc9112_8_a_chunked_reader_of_a_cut_off_response_gets_no_last_chunk(edge, origin):
    origin.on("/big", lambda x: x.head(chunked=True, fields=[("Cache-Control", "max-age=60")]).send(
        b"5\r\nhello\r\n").close())
    with edge.connect() as conn:
        conn.send(build(target="/big"))
        assert conn.head().framing == "chunked"
        assert conn.read_to_end() == b"5\r\nhello\r\n"
