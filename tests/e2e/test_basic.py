"""Requests and responses of the plain kind, one by one and many on a connection."""

import os

import pytest

from harness.client import Conn
from harness.message import build
from harness.origin import cacheable, reply
from harness.scale import wait_until

BODY = b"All the news that fits.\n" * 40


def test_get_carries_status_fields_and_body(edge, origin):
    origin.on("/a", reply(BODY, fields=[("Content-Type", "text/plain"), ("X-Answer", "42"), ("ETag", '"v1"')]))
    response = edge.fetch("/a")
    assert (response.status, response.body) == (200, BODY)
    assert (response["content-type"], response["x-answer"], response["etag"]) == ("text/plain", "42", '"v1"')
    assert response["date"] and response["content-length"] == str(len(BODY))


@pytest.mark.parametrize("status, reason", [(200, "OK"), (201, "Created"), (301, "Moved Permanently"), (404, "Not Found"),
                                            (410, "Gone"), (418, "I'm a teapot"), (500, "Oops"), (599, "Odd")])
def test_every_status_passes_with_its_body(edge, origin, status, reason):
    origin.on("/s", reply(b"body", status, reason, [("Cache-Control", "no-store")]))
    response = edge.fetch("/s")
    assert (response.status, response.body) == (status, b"body")


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_body_do_not_confuse_the_connection(edge, origin, status):
    origin.on("/n", reply(status=status, reason="Nothing", fields=[("ETag", '"x"'), ("Cache-Control", "no-store")]))
    origin.on("/next", reply(b"next"))
    with edge.connect() as conn:
        assert conn.get("/n", [("If-None-Match", '"x"')]).status == status
        assert conn.get("/next").body == b"next"


def test_head_has_the_fields_of_get_and_no_body(edge, origin):
    origin.on("/h", reply(BODY, fields=[("Content-Type", "text/plain"), ("Cache-Control", "no-store")]))
    origin.on("/next", reply(b"next"))
    with edge.connect() as conn:
        head = conn.request("HEAD", "/h")
        assert (head.status, head["content-length"], head.body) == (200, str(len(BODY)), b"")
        assert conn.get("/next").body == b"next"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "lower"])
def test_other_methods_reach_the_origin_with_their_bodies(edge, origin, method):
    origin.on("/m", lambda x: x.reply(x.request.method.encode() + b" " + x.read_body()))
    assert edge.fetch("/m", method, body=b"payload").body == method.encode() + b" payload"


def test_options_of_the_whole_server(edge, origin):
    origin.on("*", reply(b"", fields=[("Allow", "GET")]))
    assert edge.fetch("*", "OPTIONS").status in (200, 204)


def test_a_connection_serves_many_requests_each_with_one_origin_connection(edge, origin):
    for i in range(20):
        origin.on(f"/{i}", reply(b"%d" % i))
    with edge.connect() as conn:
        assert [conn.get(f"/{i}").body for i in range(20)] == [b"%d" % i for i in range(20)]
    assert len(origin.connections) == 1


def test_connection_close_is_obeyed(edge, origin):
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        response = conn.get("/a", [("Connection", "close")])
        assert response.closes and response.body == BODY
        conn.assert_closed()


def test_pipelined_requests_are_answered_in_order(edge, origin):
    """RFC 9112 9.3.2: also when the first is the slowest and others are hits."""
    origin.on("/slow", lambda x: x.sleep(0.2).reply(b"slow"))
    origin.on("/quick", reply(b"quick"))
    origin.on("/hit", cacheable(b"hit"))
    edge.fetch("/hit")
    with edge.connect() as conn:
        conn.send(b"".join(build(target=target) for target in ("/slow", "/hit", "/quick", "/hit", "/slow")))
        assert [conn.response().body for _ in range(5)] == [b"slow", b"hit", b"quick", b"hit", b"slow"]


def test_a_thousand_pipelined_hits(edge, origin):
    origin.on("/hit", cacheable(b"x" * 1000))
    edge.fetch("/hit")
    with edge.connect() as conn:
        conn.send(build(target="/hit") * 1000)
        for _ in range(1000):
            response = conn.response()
            assert response.hit and response.body == b"x" * 1000
    assert origin.count() == 1


def test_a_request_that_arrives_byte_by_byte(edge, origin):
    origin.on("/a", lambda x: x.reply(x.read_body()))
    with edge.connect() as conn:
        conn.send_slowly(build("POST", "/a", body=b"12345"), 0.001)
        assert conn.response().body == b"12345"


def test_up_to_two_empty_lines_before_a_request_are_ignored(edge, origin):
    """RFC 9112 2.2."""
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        conn.send(b"\r\n" + build(target="/a"))
        assert conn.response().body == BODY
        conn.send(b"\r\n\r\n" + build(target="/a"))
        assert conn.response().body == BODY


def test_absolute_form_becomes_origin_form(edge, origin):
    """RFC 9112 3.2.2."""
    origin.on("/a", reply(BODY))
    assert edge.fetch("http://example.test/a?b=c").body == BODY
    assert origin.last().target == "/a?b=c"
    assert origin.last().fields.get("host") == "example.test"


@pytest.mark.parametrize("target", ["/a?b=c&d", "/%20%2F%3F", "/a//b", "/a;b=1,2/~x/!$&'()*+,;=:@", "/?", "/a?b?c",
                                    "/%C3%BC?q=%ff"])
def test_targets_reach_the_origin_as_they_came(edge, origin, target):
    origin.default = reply(b"ok")
    assert edge.fetch(target).status == 200
    assert origin.last().target == target


# --- HTTP/1.0


def test_http_1_0_is_answered_and_closed(edge, origin):
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        response = conn.get("/a", version="1.0")
        assert response.body == BODY
        conn.assert_closed()


def test_http_1_0_without_host_reaches_the_site_for_all_hosts(edge, origin):
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        assert conn.get("/a", version="1.0", host=None).body == BODY


def test_http_1_0_never_gets_chunks(edge, origin):
    """RFC 9112 6.1."""
    origin.on("/c", reply(BODY, chunked=True, pieces=5, fields=[("Cache-Control", "no-store")]))
    with edge.connect() as conn:
        conn.send(build(target="/c", version="1.0"))
        head, _, body = conn.read_to_end().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower() and body == BODY


def test_http_1_0_keep_alive_goes_on_only_when_both_sides_say_so(edge, origin):
    origin.on("/a", reply(BODY))
    with edge.connect() as conn:
        first = conn.get("/a", [("Connection", "keep-alive")], version="1.0")
        assert first.body == BODY
        if "keep-alive" in (first["connection"] or "").lower():
            assert conn.get("/a", version="1.0").body == BODY
        conn.assert_closed()


# --- listeners


def test_several_listeners_and_ipv6(new_edge, origin):
    from harness.ports import Reservation

    origin.on("/a", reply(BODY))
    try:
        other = Reservation("::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    edge = new_edge.bare("--origin", origin.url, "--listen", str(other))
    assert edge.fetch("/a").body == BODY
    with Conn(other.address) as conn:
        assert conn.get("/a").body == BODY
    other.close()


def test_the_command_line_alone_is_a_cache(new_edge, origin):
    origin.on("/a", cacheable(BODY))
    edge = new_edge.bare("--origin", origin.url, "--memory", "32MiB", "--threads", "2")
    assert not edge.fetch("/a").hit
    assert edge.fetch("/a").hit
    assert origin.count() == 1


def test_startup_tells_each_listener_and_readiness(edge):
    assert edge.listen in edge.log()
    assert "ready" in edge.log()


# --- sites


def test_hosts_choose_the_site(new_edge, new_origin):
    one, two, wild = new_origin(), new_origin(), new_origin()
    for name, each in (("one", one), ("two", two), ("wild", wild)):
        each.default = cacheable(name.encode())
    edge = new_edge(sites=[
        {"name": "one", "hosts": ["one.test"], "origins": [one]},
        {"name": "two", "hosts": ["two.test", "second.test"], "origins": [two]},
        {"name": "wild", "hosts": ["*.wild.test"], "origins": [wild]},
    ])
    cases = {"one.test": b"one", "ONE.test": b"one", "one.test:80": b"one", "two.test": b"two", "second.test": b"two",
             "a.wild.test": b"wild", "a.b.wild.test": b"wild"}
    for host, body in cases.items():
        assert edge.fetch("/", host=host).body == body, host
        assert edge.fetch("/", host=host).body == body, host


def test_an_unknown_host_reaches_no_origin(new_edge, origin):
    edge = new_edge(sites=[{"name": "one", "hosts": ["one.test"], "origins": [origin]}])
    response = edge.fetch("/", host="other.test")
    assert 400 <= response.status < 500
    assert origin.received == 0


# --- resources


def test_nothing_is_left_open_after_many_connections(edge, origin):
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a")
    before = edge.descriptors()
    for _ in range(200):
        edge.fetch("/a", fields=[("Connection", "close")])
    conns = [edge.connect() for _ in range(50)]
    for conn in conns:
        conn.reset()
    wait_until(lambda: edge.descriptors() <= before + 2, what="descriptors to be closed")


def test_large_bodies_are_equal(edge, origin):
    body = os.urandom(9_000_001)
    origin.on("/big", cacheable(body))
    assert edge.fetch("/big").body == body
    assert edge.fetch("/big").body == body
