"""Where messages begin and end, in both directions, and that bytes pass as they come (RFC 9112 6, 7; RFC 9110 15.2)."""

import hashlib
import os
import threading
import time

import pytest

from harness.message import build, chunk
from harness.origin import cacheable, reply
from harness.scale import duration, limit, seconds, wait_until

pytestmark = pytest.mark.one_by_one

NO_STORE = [("Cache-Control", "no-store")]
MIB = 1 << 20


# --- responses


@pytest.mark.parametrize("store", ["no-store", "max-age=60"])
@pytest.mark.parametrize("pieces", [1, 7, 500])
def test_chunked_responses_pass(edge, origin, store, pieces):
    body = os.urandom(100_003)
    origin.on("/c", reply(body, chunked=True, pieces=pieces, fields=[("Cache-Control", store)]))
    with edge.connect() as conn:
        assert conn.get("/c").body == body
        assert conn.get("/c").body == body
        assert conn.request("HEAD", "/c").status == 200
        assert conn.get("/c").body == body


def test_an_empty_chunked_response(edge, origin):
    origin.on("/c", reply(b"", chunked=True, fields=NO_STORE))
    with edge.connect() as conn:
        assert conn.get("/c").body == b""
        assert conn.get("/c").body == b""


def test_a_body_that_ends_with_the_connection_passes_on_a_connection_that_stays(edge, origin):
    origin.on("/e", lambda x: x.head(fields=NO_STORE).send(b"until the end").close())
    with edge.connect() as conn:
        for _ in range(2):
            response = conn.get("/e")
            assert response.body == b"until the end" and not response.closes


def test_trailers_reach_a_client_that_accepts_them(edge, origin):
    """RFC 9110 6.5."""
    origin.on("/t", reply(b"body", chunked=True, trailers=[("X-Sum", "abc")], fields=[("Trailer", "X-Sum"), *NO_STORE]))
    with edge.connect() as conn:
        response = conn.get("/t", [("TE", "trailers"), ("Connection", "TE")])
        assert response.body == b"body"
        assert response.trailers == [("X-Sum", "abc")]
        assert conn.get("/t").body == b"body"


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host", "Cache-Control", "Set-Cookie"])
def test_fields_that_may_not_be_trailers_are_not_passed_on(edge, origin, name):
    """RFC 9110 6.5.1: framing, routing, cache controls."""
    origin.on("/t", reply(b"body", chunked=True, trailers=[(name, "3")], fields=NO_STORE))
    with edge.connect() as conn:
        response = conn.get("/t", [("TE", "trailers"), ("Connection", "TE")], )
        assert response.status in (200, 502)
        if response.status == 200:
            assert response.body == b"body" and name not in response.trailers


def test_the_first_bytes_come_before_the_last_were_sent(edge, origin):
    go = threading.Event()
    origin.on("/s", lambda x: x.head(length=10, fields=NO_STORE).send(b"first").wait(go).send(b"later"))
    with edge.connect() as conn:
        conn.send(build(target="/s"))
        conn.head()
        assert conn.read(5) == b"first"
        go.set()
        assert conn.read(5) == b"later"


def test_a_body_shorter_than_its_length_is_never_whole(edge, origin):
    """RFC 9112 8: and is not stored."""
    origin.on("/short", lambda x: x.head(length=100, fields=[("Cache-Control", "max-age=60")]).send(b"x" * 40).close())
    for _ in range(2):
        with edge.connect() as conn:
            conn.send(build(target="/short"))
            response = conn.response(allow_cut=True)
            assert response.status == 502 or not response.complete
            conn.assert_closed() if response.status == 200 else None
    assert origin.count("/short") == 2


def test_a_chunked_body_without_its_end_is_never_whole(edge, origin):
    origin.on("/cut", lambda x: x.head(chunked=True, fields=[("Cache-Control", "max-age=60")]).send(chunk(b"x" * 40)).close())
    for _ in range(2):
        with edge.connect() as conn:
            conn.send(build(target="/cut"))
            response = conn.response(allow_cut=True)
            assert response.status == 502 or not response.complete
    assert origin.count("/cut") == 2


@pytest.mark.parametrize("rest", [
    b"zz\r\nbad\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n", b"\r\n\r\n",
    b"10000000000000000\r\nx"])
def test_bad_chunks_from_an_origin_cut_the_response(edge, origin, rest):
    origin.on("/bad", lambda x: x.head(chunked=True, fields=NO_STORE).send(chunk(b"good") + rest).close())
    with edge.connect() as conn:
        conn.send(build(target="/bad"))
        response = conn.response(allow_cut=True)
        assert response.status == 502 or not response.complete


def test_bytes_after_a_response_never_answer_the_next_request(edge, origin):
    """Response splitting by a body longer than its length."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    origin.on("/long", lambda x: x.head(length=5, fields=NO_STORE).send(b"hello" + evil))
    origin.on("/next", reply(b"good", fields=NO_STORE))
    with edge.connect() as conn:
        for _ in range(5):
            assert conn.get("/long").body == b"hello"
            assert conn.get("/next").body == b"good"


def test_head_answers_with_a_body_do_not_confuse(edge, origin):
    origin.on("/h", lambda x: x.head(length=5, fields=NO_STORE).send(b"hello" if x.request.method == "HEAD" else b"HELLO"))
    origin.on("/next", reply(b"next", fields=NO_STORE))
    with edge.connect() as conn:
        assert conn.request("HEAD", "/h").status in (200, 502)
        assert conn.get("/next").body == b"next"


# --- 1xx


def test_early_hints_pass(edge, origin):
    """RFC 8297."""
    origin.on("/e", lambda x: x.head(103, "Early Hints", [("Link", "</a.css>; rel=preload")], date=False).reply(b"page"))
    response = edge.fetch("/e")
    assert [each.status for each in response.informational] == [103]
    assert response.informational[0]["link"] == "</a.css>; rel=preload"
    assert response.body == b"page"


def test_early_hints_come_before_the_response(edge, origin):
    go = threading.Event()
    origin.on("/e", lambda x: x.head(103, "Early Hints", [("Link", "</a>; rel=preload")], date=False).wait(go).reply(b"page"))
    with edge.connect() as conn:
        conn.send(build(target="/e"))
        assert conn.head().status == 103
        go.set()
        assert conn.response().body == b"page"


def test_several_interim_responses_pass_in_order(edge, origin):
    def hint(x):
        for name in "abc":
            x.head(103, "Early Hints", [("Link", f"</{name}>; rel=preload")], date=False)
        x.reply(b"page")

    origin.on("/e", hint)
    assert [each["link"][1:3] for each in edge.fetch("/e").informational] == ["/a", "/b", "/c"]


def test_interim_responses_do_not_reach_http_1_0(edge, origin):
    """RFC 9110 15.2."""
    origin.on("/e", lambda x: x.head(103, "Early Hints", [("Link", "</a>")], date=False).reply(b"page"))
    with edge.connect() as conn:
        response = conn.get("/e", version="1.0")
        assert response.informational == [] and response.body == b"page"


def test_a_100_from_the_origin_that_nobody_waits_for_is_not_passed(edge, origin):
    origin.on("/e", lambda x: x.send(b"HTTP/1.1 100 Continue\r\n\r\n").reply(b"page"))
    response = edge.fetch("/e")
    assert response.informational == [] and response.body == b"page"


def test_endless_interim_responses_end_in_an_error(new_edge, origin):
    edge = new_edge(origin, origin_options={"first_byte_timeout": duration(1)})

    def hint(x):
        for _ in range(100_000):
            x.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

    origin.on("/e", hint)
    with edge.connect() as conn:
        conn.send(build(target="/e"))
        response = conn.response()
        assert response.status in (502, 504)
        assert len(response.informational) < 100_000


# --- requests with bodies


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_001])
def test_uploads_with_a_length(edge, origin, method, size):
    body = os.urandom(size)
    origin.on("/u", lambda x: x.reply(hashlib.sha256(x.read_body()).hexdigest().encode()))
    with edge.connect() as conn:
        assert conn.request(method, "/u", body=body).text == hashlib.sha256(body).hexdigest()
        assert conn.request(method, "/u", body=b"next").text == hashlib.sha256(b"next").hexdigest()
    assert origin.seen("/u")[0].fields.get("content-length") == str(size)


@pytest.mark.parametrize("sizes", [[1], [5, 0x1234, 1, 70_000], [1] * 3000], ids=["one", "odd", "tiny"])
def test_chunked_uploads(edge, origin, sizes):
    pieces = [os.urandom(size) for size in sizes]
    origin.on("/u", lambda x: x.reply(hashlib.sha256(x.read_body()).hexdigest().encode()))
    with edge.connect() as conn:
        assert conn.request("POST", "/u", chunked=pieces).text == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert conn.request("POST", "/u", body=b"next").text == hashlib.sha256(b"next").hexdigest()


def test_short_chunk_extensions_are_dropped(edge, origin):
    """RFC 9112 7.1.1."""
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Transfer-Encoding", "chunked")]) + chunk(b"hello", b";a=b;c=\"d\"") + b"0\r\n\r\n")
        assert conn.response().body == b"hello"
    assert b"a=b" not in origin.received_bytes()


def test_rfc9110_6_6_2_trailers_are_announced_to_who_takes_them(edge, origin):
    origin.on("/t", reply(b"body", chunked=True, trailers=[("X-Sum", "abc")],
                          fields=[("Trailer", "X-Sum, Content-Length"), ("Trailer", "X-Hop"), ("Connection", "X-Hop"), *NO_STORE]))
    with edge.connect() as conn:
        for fields, names in (([("TE", "trailers"), ("Connection", "TE")], "X-Sum"), ([], None)):
            assert conn.get("/t", fields)["trailer"] == names


def test_request_trailers_reach_the_origin(edge, origin):
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")]) + chunk(b"hello")
                  + b"0\r\nX-Sum: abc\r\n\r\n")
        assert conn.response().body == b"hello"
    assert origin.last("/u").trailers in ([("X-Sum", "abc")], [("x-sum", "abc")])


def test_a_get_with_a_body_is_forwarded_whole(edge, origin):
    origin.on("/g", lambda x: x.reply(x.read_body(), fields=NO_STORE))
    with edge.connect() as conn:
        assert conn.get("/g", body=b"query").body == b"query"
        assert conn.get("/g").body == b""


def test_slow_uploads_stream(edge, origin):
    """The origin has the first bytes before the client has sent the last."""
    arrived = threading.Event()

    def script(x):
        first = x.read(5)
        arrived.set()
        x.request.body = first + x.read(5)
        x.reply(x.request.body)

    origin.on("/u", script, eager=True)
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", "10")]) + b"first")
        assert arrived.wait(limit(10))
        conn.send(b"later")
        assert conn.response().body == b"firstlater"


def test_expect_100_continue(edge, origin):
    """RFC 9110 10.1.1."""
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", "5"), ("Expect", "100-continue")]))
        assert conn.head().status == 100
        conn.send(b"hello")
        assert conn.response().body == b"hello"
        assert conn.request("POST", "/u", body=b"next").body == b"next"


def test_a_client_that_does_not_wait_for_100(edge, origin):
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        assert conn.request("POST", "/u", [("Expect", "100-continue")], body=b"hello").body == b"hello"


def test_no_100_for_http_1_0(edge, origin):
    """RFC 9110 10.1.1: a 100-continue expectation in an HTTP/1.0 request is ignored."""
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        response = conn.request("POST", "/u", [("Expect", "100-continue")], body=b"hello", version="1.0")
        assert response.informational == [] and response.body == b"hello"


def test_an_early_response_reaches_a_client_that_is_still_sending(edge, origin):
    """RFC 9112 9.5."""
    def refuse(x):
        x.reply(b"too much", 413, "Content Too Large", [("Connection", "close")])
        x.request.body = b""
        x.sleep(0.5).close()

    origin.on("/u", refuse, eager=True)
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", "50000000")]) + b"x" * 1000)
        response = conn.response()
        assert (response.status, response.body) == (413, b"too much")
        conn.socket.settimeout(seconds(2))
        try:
            for _ in range(200):
                conn.send(b"x" * 65536)
        except OSError:
            pass


def test_a_client_that_leaves_amid_its_upload_leaves_no_whole_request(edge, origin):
    origin.on("/u", reply(b"done"), eager=True)
    finished = threading.Event()

    def script(x):
        try:
            x.read_body()
        finally:
            finished.set()

    origin.on("/u", script, eager=True)
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", "1000")]) + b"half")
        origin.wait_for("/u")
    assert finished.wait(limit(10))
    assert origin.last("/u").cut


# --- back-pressure


def _push_until_stuck(conn, most):
    """Sends until the other side takes no more for a while; returns the bytes sent."""
    conn.socket.settimeout(seconds(0.5))
    sent, block = 0, b"x" * 65536
    try:
        while sent < most:
            sent += conn.socket.send(block)
    except TimeoutError:
        pass
    conn.socket.settimeout(conn.timeout)
    return sent


def test_a_fast_upload_to_a_slow_origin_is_held_back(edge, origin):
    """Memory does not grow with what the origin has not taken."""
    go, total = threading.Event(), 64 * MIB

    def script(x):
        x.wait(go)
        x.reply(b"%d" % len(x.read_body()))

    origin.on("/u", script, eager=True)
    edge.fetch("/warm")
    before = edge.rss_kib()
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", str(total))]))
        sent = _push_until_stuck(conn, total)
        assert sent < 48 * MIB
        assert edge.rss_kib() - before < 4096
        go.set()
        while sent < total:
            sent += conn.socket.send(b"x" * min(65536, total - sent))
        assert conn.response().text == str(total)


def test_a_fast_origin_is_held_back_by_a_slow_reader(edge, origin):
    """A response that is not stored needs a window, not room for all of it."""
    sent = [0]

    def script(x):
        x.head(length=64 * MIB, fields=NO_STORE)
        for _ in range(1024):
            x.send(b"x" * 65536)
            sent[0] += 65536

    origin.on("/d", script)
    edge.fetch("/warm")
    before = edge.rss_kib()
    with edge.connect(receive_buffer=65536) as conn:
        conn.send(build(target="/d"))
        conn.head()
        last = -1
        while last != sent[0]:
            last = sent[0]
            time.sleep(seconds(0.3))
        assert sent[0] < 48 * MIB
        assert edge.rss_kib() - before < 8192
        got = 0
        while data := conn.read_available():
            got += len(data)
            if got == 64 * MIB:
                break
        assert got == 64 * MIB


def test_a_client_that_leaves_amid_a_passing_response_frees_the_origin(edge, origin):
    gone = threading.Event()

    def script(x):
        x.head(length=1 << 40, fields=NO_STORE)
        try:
            while True:
                x.send(b"x" * 65536)
        finally:
            gone.set()

    origin.on("/endless", script)
    with edge.connect() as conn:
        conn.send(build(target="/endless"))
        conn.head()
        conn.read(1 * MIB)
    assert gone.wait(limit(15))


def test_many_sizes_around_buffer_borders(edge, origin):
    sizes = [0, 1, 1023, 1024, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 262145]
    for size in sizes:
        origin.on(f"/{size}", cacheable(os.urandom(0) + bytes(i % 251 for i in range(size))))
    with edge.connect() as conn:
        for _ in range(2):
            for size in sizes:
                assert conn.get(f"/{size}").body == bytes(i % 251 for i in range(size)), size
    wait_until(lambda: origin.count() == len(sizes), 5, "one request each")
