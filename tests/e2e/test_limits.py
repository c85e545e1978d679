"""Limits of sizes, times, rates and numbers of connections: whoever goes beyond is answered or closed, nobody else."""

import threading
import time

import pytest

from harness.client import Closed, Conn
from harness.message import build
from harness.origin import cacheable, reply
from harness.scale import duration, limit, seconds, wait_until

BODY = b"body" * 100


@pytest.fixture
def small(new_edge, origin):
    origin.default = cacheable(BODY)
    return new_edge(origin, limits={"header_bytes": 8192, "header_fields": 20, "target_bytes": 1000,
                                    "request_body_bytes": 10_000})


# --- sizes


@pytest.mark.h1_only
def test_a_header_section_over_the_limit_gets_431(small, origin):
    """RFC 6585 5."""
    assert small.fetch("/a", fields=[("X-Big", "x" * 7000)]).status == 200
    origin.forget()
    with small.connect() as conn:
        response = conn.get("/a", [("X-Big", "x" * 9000)])
        assert response.status == 431 and response.closes
        conn.assert_closed()
    assert origin.received == 0


def test_more_fields_than_the_limit_get_431(small, origin):
    assert small.fetch("/a", fields=[(f"X-{i}", "v") for i in range(19)]).status == 200
    origin.forget()
    response = small.fetch("/a", fields=[(f"X-{i}", "v") for i in range(30)])
    assert response.status == 431
    assert origin.received == 0


@pytest.mark.h1_only
def test_a_target_over_the_limit_gets_414(small, origin):
    """RFC 9110 15.5.15."""
    assert small.fetch("/" + "a" * 900).status == 200
    origin.forget()
    response = small.fetch("/" + "a" * 1100)
    assert response.status == 414 and response.closes
    assert origin.received == 0


def test_an_endless_head_is_cut_off(small, origin):
    with small.connect() as conn:
        with pytest.raises((OSError, AssertionError)):
            conn.send(b"GET /a HTTP/1.1\r\nHost: a\r\n")
            for i in range(100_000):
                conn.send(b"X-%d: %s\r\n" % (i, b"v" * 1000))
            raise AssertionError("the edge took 100 MB of fields")
    assert origin.received == 0


def test_an_announced_body_over_the_limit_gets_413_at_once(small, origin):
    """RFC 9110 15.5.14: before anything is forwarded."""
    assert small.fetch("/a", "POST", body=b"x" * 10_000).status == 200
    origin.forget()
    with small.connect() as conn:
        conn.send(build("POST", "/a", [("Content-Length", "10001")]))
        response = conn.response()
        assert response.status == 413 and response.closes
    assert origin.received == 0


def test_413_instead_of_100_continue(small, origin):
    with small.connect() as conn:
        conn.send(build("POST", "/a", [("Content-Length", "10001"), ("Expect", "100-continue")]))
        response = conn.response()
        assert response.status == 413 and response.informational == []
    assert origin.received == 0


@pytest.mark.h1_only
def test_a_chunked_body_over_the_limit_gets_413(small, origin):
    with small.connect() as conn:
        conn.send(build("POST", "/a", chunked=[b"x" * 5000] * 3))
        response = conn.response()
        assert response.status == 413 and response.closes
    assert all(request.body is None or request.cut for request in origin.seen("/a"))


# --- times


def test_a_head_that_takes_too_long_ends_the_connection(new_edge, origin):
    """The limit is for the whole head: a byte now and then does not help."""
    edge = new_edge(origin, timeouts={"header": duration(0.8)})
    with edge.connect() as conn:
        began = time.monotonic()
        conn.send_slowly(build(target="/" + "a" * 500), seconds(0.02))
        data = conn.read_to_end()
        took = time.monotonic() - began
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    assert seconds(0.6) < took < limit(4)
    assert origin.received == 0


def test_a_connection_that_never_says_anything_is_closed(new_edge, origin):
    edge = new_edge(origin, timeouts={"header": duration(0.5), "keep_alive": duration(0.5)})
    began = time.monotonic()
    with edge.connect() as conn:
        conn.assert_closed()
    assert time.monotonic() - began > seconds(0.45)


def test_an_idle_connection_is_closed_without_a_word(new_edge, origin):
    edge = new_edge(origin, timeouts={"keep_alive": duration(0.4)})
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        began = time.monotonic()
        conn.get("/a")
        conn.assert_closed()
        assert time.monotonic() - began > seconds(0.35)


def test_a_connection_in_use_is_not_idle(new_edge, origin):
    edge = new_edge(origin, timeouts={"keep_alive": duration(1)})
    origin.on("/slow", lambda x: x.sleep(1.5).reply(b"slow"))
    with edge.connect() as conn:
        assert conn.get("/slow").body == b"slow"
        assert conn.get("/slow").body == b"slow"


def test_an_upload_without_progress_is_ended(new_edge, origin):
    edge = new_edge(origin, timeouts={"body": duration(0.5)})
    with edge.connect() as conn:
        began = time.monotonic()
        conn.send(build("POST", "/u", [("Content-Length", "100")]) + b"a little")
        data = conn.read_to_end()
        assert time.monotonic() - began > seconds(0.45)
        assert data == b"" or data.startswith(b"HTTP/1.1 408 "), data
    wait_until(lambda: all(request.cut for request in origin.seen("/u")), what="the origin to see the end")


def test_an_upload_with_progress_may_take_its_time(new_edge, origin):
    edge = new_edge(origin, timeouts={"body": duration(1.5), "min_rate": 0})
    origin.on("/u", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        conn.send(build("POST", "/u", [("Content-Length", "10")]))
        conn.send_slowly(b"0123456789", seconds(0.25))
        assert conn.response().body == b"0123456789"


@pytest.mark.begins_first
@pytest.mark.release_only
def test_an_upload_below_the_minimum_rate_is_ended(new_edge, origin):
    edge = new_edge(origin, timeouts={"body": duration(5), "min_rate": 1000})
    with edge.connect(timeout=60) as conn:
        conn.send(build("POST", "/u", [("Content-Length", "100000")]))
        began = time.monotonic()
        sent = conn.send_slowly(b"x" * 1000, 0.05)
        assert sent < 1000 and time.monotonic() - began < 45


def test_a_reader_without_progress_is_ended(new_edge, origin):
    edge = new_edge(origin, timeouts={"write": duration(0.7)})
    origin.on("/d", cacheable(b"x" * (8 << 20)))
    edge.fetch("/d")
    with edge.connect(receive_buffer=4096) as conn:
        conn.send(build(target="/d"))
        time.sleep(seconds(2.5))
        assert len(conn.read_to_end()) < 8 << 20
    assert wait_until(lambda: edge.metrics()["skerry_client_timeouts_total"] >= 1)


@pytest.mark.begins_first
@pytest.mark.release_only
def test_a_reader_below_the_minimum_rate_is_ended(new_edge, origin):
    edge = new_edge(origin, timeouts={"write": duration(10), "min_rate": 100_000})
    origin.on("/d", cacheable(b"x" * (16 << 20)))
    edge.fetch("/d")
    with edge.connect(receive_buffer=4096, timeout=60) as conn:
        conn.send(build(target="/d"))
        got, began = 0, time.monotonic()
        try:
            while time.monotonic() - began < 45 and got < 16 << 20:
                data = conn.socket.recv(1024)
                if not data:
                    break
                got += len(data)
                time.sleep(0.05)
        except ConnectionResetError:
            pass
        assert time.monotonic() - began < 45 and got < 16 << 20


def test_a_tardy_client_does_not_hold_up_others(new_edge, origin):
    edge = new_edge(origin, threads=1, timeouts={"header": duration(20)})
    origin.on("/a", cacheable(BODY))
    tardy = [edge.connect() for _ in range(50)]
    for conn in tardy:
        conn.send(b"GET /a HT")
    for _ in range(50):
        assert edge.fetch("/a").body == BODY
    for conn in tardy:
        conn.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        assert conn.response().body == BODY
        conn.close()


# --- numbers


@pytest.mark.h1_only
def test_connections_over_the_limit_are_closed_and_counted(new_edge, origin):
    edge = new_edge(origin, limits={"connections": 10})
    origin.on("/a", cacheable(BODY))
    conns = [edge.connect() for _ in range(10)]
    for conn in conns:
        assert conn.get("/a").body == BODY
    with edge.connect() as one_too_many:
        with pytest.raises((Closed, OSError)):
            response = one_too_many.get("/a")
            if response.status == 503 and response.closes:
                raise Closed("said why")
    assert conns[0].get("/a").body == BODY
    wait_until(lambda: edge.metrics()["skerry_connections_refused_total"] >= 1)
    conns.pop().close()

    def works_again():
        try:
            return edge.fetch("/a").status == 200
        except (AssertionError, OSError):
            return False

    wait_until(works_again, what="room for a new connection")
    for conn in conns:
        conn.close()


def test_connections_of_one_client_are_limited_alone(new_edge, origin):
    edge = new_edge(origin, limits={"connections_per_client": 5}, threads=2)
    origin.on("/a", cacheable(BODY))
    conns = [edge.connect(source="127.0.0.2") for _ in range(5)]
    for conn in conns:
        assert conn.get("/a").body == BODY
    with edge.connect(source="127.0.0.2") as one_too_many:
        with pytest.raises((Closed, OSError)):
            response = one_too_many.get("/a")
            if response.status in (429, 503) and response.closes:
                raise Closed("said why")
    assert edge.fetch("/a", source="127.0.0.3").body == BODY
    for conn in conns:
        assert conn.get("/a").body == BODY
        conn.close()

    def works_again():
        try:
            return edge.fetch("/a", source="127.0.0.2").status == 200
        except (AssertionError, OSError):
            return False

    wait_until(works_again, what="room for a new connection of this client")


def test_a_pipelining_client_does_not_starve_others(new_edge, origin):
    edge = new_edge(origin, threads=1)
    origin.on("/hit", cacheable(b"x" * 100))
    edge.fetch("/hit")
    greedy = Conn(edge.address)
    requests = build(target="/hit") * 20_000
    sender = threading.Thread(target=lambda: _ignore_errors(greedy.socket.sendall, requests), daemon=True)
    sender.start()
    began = time.monotonic()
    for _ in range(10):
        assert edge.fetch("/hit").hit
    assert time.monotonic() - began < limit(5)
    greedy.close()
    sender.join()


def _ignore_errors(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass
