"""HTTP/2 to origins: one connection for many requests, its windows, its faults, its end (RFC 9113)."""

import os
import threading
import time

import pytest
from harness.h2origin import INTERNAL, REFUSED, H2Origin, answer
from harness.message import build
from harness.scale import limit, wait_until


@pytest.fixture
def new_h2(authority):
    """An origin of HTTP/2 over TLS: new_h2(settings={"max_concurrent_streams": 3})."""
    origins = []

    def make(tls=True, **more):
        origins.append(H2Origin(tls=authority.server() if tls else None, **more))
        return origins[-1]
    yield make
    for origin in origins:
        origin.stop()
    assert not [error for origin in origins for error in origin.errors]


@pytest.fixture
def h2(new_h2):
    return new_h2()


@pytest.fixture
def front(new_edge, authority):
    """An edge of one thread in front of an origin of HTTP/2."""
    def make(origin, origin_options=None, words=None, **more):
        tls = {"ca_file": str(authority.certificate)} if origin.tls else {}
        return new_edge({"url": origin, **tls, **(words or {})}, threads=1,
                        origin_options={"retries": 1, **(origin_options or {})}, **more)
    return make


def connections(origin):
    return len(origin.connections)


# --- requests and responses


def test_a_request_and_its_answer(front, h2):
    h2.on("/a?b=c", answer(b"hello", fields=[("cache-control", "max-age=60"), ("x-it", "1")]))
    edge = front(h2)
    first, second = edge.fetch("/a?b=c"), edge.fetch("/a?b=c")
    assert (first.status, first.body, first["x-it"]) == (200, b"hello", "1")
    assert "hit" in second["cache-status"] and second.body == b"hello"
    asked = h2.last()
    assert (asked[":method"], asked[":scheme"], asked[":path"]) == ("GET", "https", "/a?b=c")
    assert asked[":authority"] and asked["via"]
    assert not {"host", "connection", "transfer-encoding", "keep-alive"} & set(dict(asked.fields))
    assert edge.metrics()['skerry_origin_tls_groups_total{group="X25519MLKEM768"}'] == 1


def test_one_connection_for_all(front, h2):
    h2.on("/n", answer(b"n", fields=[("cache-control", "no-store")]))
    edge = front(h2)
    for _ in range(20):
        assert edge.fetch("/n").body == b"n"
    assert connections(h2) == 1 and h2.count("/n") == 20


@pytest.mark.parametrize("size", [0, 1, 16384, 100_000, 3_000_001])
def test_content_of_every_size(front, h2, size):
    content = os.urandom(size)
    h2.on("/c", answer(content, fields=[("cache-control", "no-store")]))
    edge = front(h2)
    for _ in range(2):
        assert edge.fetch("/c").body == content


def test_no_length_and_trailers(front, h2):
    h2.on("/t", answer(b"with trailers", fields=[("cache-control", "no-store")], trailers=[("x-sum", "7")]))
    got = front(h2).fetch("/t", fields=[("TE", "trailers")])
    assert got.body == b"with trailers"
    assert dict(got.trailers or {}).get("x-sum", dict((k.lower(), v) for k, v in got.trailers)["x-sum"]) == "7"


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 204), ("GET", 304), ("DELETE", 200)])
def test_answers_without_content(front, h2, method, status):
    def empty(x):
        x.head(status, [("etag", '"e"')], end=True)
    h2.on("/e", empty)
    got = front(h2).fetch("/e", method, fields=[("If-None-Match", '"e"')] if status == 304 else ())
    assert got.status == status and got.body == b""


def test_informational_responses(front, h2):
    def hint(x):
        x.head(103, [("link", "</a.css>; rel=preload")])
        answer(b"page")(x)
    h2.on("/i", hint)
    edge = front(h2)
    with edge.connect() as conn:
        conn.send(build(target="/i"))
        heads = [conn.response()]
        while heads[-1].status < 200:
            heads.append(conn.response())
    assert heads[-1].status == 200 and heads[-1].body == b"page"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_uploads(front, h2, size, chunked):
    content = os.urandom(size)
    h2.on("/up", answer(b"ok"))
    edge = front(h2)
    with edge.connect() as conn:
        if chunked:
            conn.send(b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 30_000):
                piece = content[at:at + 30_000]
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            conn.send(b"0\r\nX-Last: 1\r\n\r\n")
            assert conn.response().body == b"ok"
        else:
            assert conn.request("POST", "/up", body=content).body == b"ok"
    asked = h2.last("/up")
    assert asked.body == content and (chunked or asked["content-length"] == str(size))
    if chunked and size:
        assert dict(asked.trailers or []).get("x-last") == "1"


# --- many at a time


def test_many_at_a_time_share_connections(front, new_h2):
    """RFC 9113 5.1.2: no more streams than the server allows; beyond, another connection."""
    gate, h2 = threading.Event(), new_h2(settings={"max_concurrent_streams": 5})
    held = []

    def hold(x):
        held.append(x)
        if len(held) == 10:
            gate.set()
    for i in range(10):
        h2.on(f"/{i}", hold)
    h2.on("/warm", answer(b"warm"))
    edge = front(h2)
    edge.fetch("/warm")
    results = [None] * 10

    def get(i):
        results[i] = edge.fetch(f"/{i}", timeout=20).body
    threads = [threading.Thread(target=get, args=(i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    assert gate.wait(20), len(held)
    # two are enough; a request that comes while one is being made may have another made
    assert 2 <= connections(h2) < 10
    for x in held:
        answer(x.path.encode())(x)
    for thread in threads:
        thread.join()
    assert results == [b"/%d" % i for i in range(10)]


def test_a_connection_of_few_streams_serves_a_line(front, new_h2):
    """With one connection of one stream, requests wait for each other."""
    h2 = new_h2(settings={"max_concurrent_streams": 1})
    edge = front(h2, origin_options={"max_connections": 1})
    for i in range(12):
        h2.on(f"/{i}", answer(b"x" * 1000))
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(edge.fetch(f"/{i}").status)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 12 and connections(h2) == 1


def test_a_slow_reader_holds_its_own_stream_only(front, h2):
    """RFC 9113 5.2: windows open as the reader takes; another stream goes on meanwhile."""
    content = os.urandom(12_000_000)
    sent = []

    def large(x):
        x.head(200, [("cache-control", "no-store"), ("content-length", str(len(content)))])

        def pour():
            for at in range(0, len(content), 65536):
                x.data(content[at:at + 65536])
                sent.append(at)
            x.data(b"", end=True)
        pour()
    h2.on("/large", large)
    h2.on("/small", answer(b"small", fields=[("cache-control", "no-store")]))
    edge = front(h2, memory="64MiB")
    with edge.connect(receive_buffer=16384) as slow:
        slow.send(build(target="/large"))
        wait_until(lambda: len(sent) > 4)
        assert edge.fetch("/small").body == b"small"
        assert slow.response().body == content


# --- faults


def test_refused_streams_are_sent_again_whatever_they_are(front, h2):
    """RFC 9113 8.7: REFUSED_STREAM says that nothing was done."""
    turns = []

    def refuse_once(x):
        turns.append(x[":method"])
        x.reset(REFUSED) if len(turns) == 1 else answer(b"now")(x)
    h2.on("/r", refuse_once)
    assert front(h2).fetch("/r", "DELETE").body == b"now"
    assert turns == ["DELETE"] * 2


def test_goaway_moves_what_was_not_looked_at(front, h2):
    """RFC 9113 6.8: streams above the last one are safe to send again; those below it finish."""
    seen = []

    def leave(x):
        seen.append(connections(h2))
        if len(seen) == 1:
            x.goaway(last=x.number - 2 if x.number > 1 else 0)
            x.close()
        answer(b"other")(x)
    h2.on("/warm", answer(b"warm"))
    h2.on("/g", leave)
    edge = front(h2)
    edge.fetch("/warm")
    assert edge.fetch("/g", "POST").body == b"other"
    assert connections(h2) == 2


def test_after_goaway_the_answer_still_comes(front, h2):
    def leave(x):
        x.goaway()
        answer(b"the last one")(x)
    h2.on("/l", leave)
    edge = front(h2)
    assert edge.fetch("/l").body == b"the last one"
    h2.on("/m", answer(b"anew"))
    assert edge.fetch("/m").body == b"anew"
    assert connections(h2) == 2


def test_a_reset_is_a_failure(front, h2):
    h2.on("/reset", lambda x: x.reset(INTERNAL))
    edge = front(h2, origin_options={"retries": 0})
    assert edge.fetch("/reset").status == 502
    h2.on("/ok", answer(b"ok"))
    assert edge.fetch("/ok").body == b"ok" and connections(h2) == 1


def test_a_reset_in_the_content_cuts_the_answer(front, h2):
    def cut(x):
        x.head(200, [("content-length", "100000"), ("cache-control", "max-age=60")])
        x.data(b"half" * 1000)
        x.reset(INTERNAL)
    h2.on("/cut", cut)
    edge = front(h2)
    with edge.connect() as conn:
        conn.send(build(target="/cut"))
        with pytest.raises(AssertionError):
            conn.response()
    h2.on("/cut", answer(b"whole"))
    assert edge.fetch("/cut").body == b"whole"


def test_a_connection_that_ends_takes_no_idempotent_request_with_it(front, h2):
    h2.on("/warm", answer(b"warm"))
    h2.on("/w", lambda x: x.close() if connections(h2) == 1 else answer(b"again")(x))
    edge = front(h2)
    edge.fetch("/warm")
    assert edge.fetch("/w").body == b"again"


@pytest.mark.parametrize("what", [
    "headers", "fields", "settings", "pings", "window", "length", "push", "status", "garbage", "continuation", "empty"])
def test_abuse_by_an_origin_is_bounded(front, h2, what):
    def frame(kind, flags, stream, payload=b""):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def abuse(x):
        if what == "headers":
            x.head(200, [("x-large", "a" * 15_000)] * 4)
        elif what == "fields":
            x.head(200, [(f"x-{i}", "1") for i in range(500)])
        elif what == "settings":
            x.raw(frame(4, 0, 0) * 5000)
        elif what == "pings":
            x.raw(frame(6, 0, 0, b"12345678") * 5000)
        elif what == "window":
            x.head(200)
            x.raw(frame(0, 0, x.number, b"x" * 16384) * 300)
        elif what == "length":
            x.head(200, [("content-length", "5")])
            x.raw(frame(0, 1, x.number, b"more than five"))
        elif what == "push":
            x.raw(frame(5, 4, x.number, b"\0\0\0\2\x82\x86\x84\x41\x01x"))
        elif what == "status":
            x.raw(frame(1, 5, x.number, b"\x08\x0299"))
        elif what == "garbage":
            x.raw(os.urandom(50_000))
        elif what == "continuation":
            x.raw(frame(1, 0, x.number, b"\x88") + frame(9, 0, x.number, b"\0\1a\1b" * 20) * 3000)
        elif what == "empty":
            x.head(200)
            x.raw(frame(0, 0, x.number) * 5000)
        x.read_until(lambda: x.reset_by_peer is not None or x.link.left is not None)
    h2.on("/abuse", abuse)
    h2.on("/fine", answer(b"fine"))
    edge = front(h2, origin_options={"retries": 0, "between_bytes_timeout": "3s"})
    before, began = edge.rss_kib(), time.monotonic()
    with edge.connect() as conn:
        conn.send(build(target="/abuse"))
        try:
            got = conn.response()
            assert got.status == 502, got
        except AssertionError:
            pass
    assert time.monotonic() - began < limit(8)  # told, not waited for until a time limit
    assert edge.rss_kib() - before < 20_000
    assert edge.fetch("/fine").body == b"fine"


def test_an_origin_that_wants_nothing_of_it_is_not_waited_for(front, new_h2):
    """An upload against a window that never opens."""
    h2 = new_h2(reads=False)
    edge = front(h2, origin_options={"between_bytes_timeout": "500ms", "retries": 0})
    h2.on("/up", answer(b"never"))
    with edge.connect() as conn:
        conn.send(build("POST", "/up", body=b"x" * 300_000))
        assert conn.response().status in (502, 504)
    assert edge.fetch("/else").status == 404


def test_silence_is_a_timeout_of_its_own_stream(front, h2):
    h2.on("/silent", lambda x: None)
    h2.on("/fine", answer(b"fine"))
    edge = front(h2, origin_options={"first_byte_timeout": "400ms", "retries": 0})
    assert edge.fetch("/silent").status == 504
    assert h2.last("/silent")
    assert edge.fetch("/fine").body == b"fine"
    wait_until(lambda: h2.last("/silent").reset_by_peer is not None)


# --- idle connections


def test_idle_connections_end(front, h2):
    h2.on("/a", answer(b"a"))
    edge = front(h2, origin_options={"idle_timeout": "300ms"})
    assert edge.fetch("/a").status == 200
    wait_until(lambda: h2.open_connections() == 0)


def test_what_cannot_be_repeated_asks_a_quiet_connection_first(front, h2):
    h2.on("/a", answer(b"a"))
    edge = front(h2)
    edge.fetch("/a", "POST")
    assert h2.links[0].pings == 0
    threading.Event().wait(2.3)
    assert edge.fetch("/a", "POST").body == b"a"
    assert connections(h2) == 1 and h2.links[0].pings == 1


def test_a_goaway_on_an_idle_connection_is_heard(front, h2):
    h2.on("/a", answer(b"a"))
    edge = front(h2)
    edge.fetch("/a")
    h2.requests[0].goaway()
    wait_until(lambda: h2.open_connections() == 0)
    assert edge.fetch("/a?2").status == 404 and connections(h2) == 2


# --- how it is agreed on


def test_prior_knowledge_over_http(front, new_h2):
    h2 = new_h2(tls=False)
    h2.on("/p", answer(b"plain"))
    assert front(h2, words={"http2": "on"}).fetch("/p").body == b"plain"
    assert h2.last()[":scheme"] == "http"


def test_off_and_auto_with_an_origin_of_http_1(new_edge, new_origin, authority):
    from harness.origin import reply
    origin = new_origin(tls=authority.server())
    origin.on("/", reply(b"one"))
    for word, status in (("auto", 200), ("off", 200), ("on", 502)):
        edge = new_edge({"url": origin, "ca_file": str(authority.certificate), "http2": word})
        assert edge.fetch("/").status == status
    assert "does not speak HTTP/2" in edge.log()


def test_health_checks_where_http_2_is_on(front, new_h2):
    h2 = new_h2(tls=False)
    h2.on("/health", answer(b"well"))
    h2.on("/a", answer(b"a"))
    edge = front(h2, words={"http2": "on"},
                 origin_options={"health_check": {"path": "/health", "interval": "100ms", "timeout": "2s"}})
    wait_until(lambda: h2.count("/health") >= 3)
    assert edge.fetch("/a").body == b"a"
    assert h2.last("/health")["user-agent"] or h2.last("/health")[":method"] == "GET"


