"""Asking origins: which one, how often, how long, and what the client is told when nobody answers."""

import socket
import threading
import time

import pytest

from harness.client import fetch
from harness.dns import AAAA, A, Dns
from harness.edge import taken
from harness.message import build
from harness.origin import cacheable, reply
from harness.ports import Reservation
from harness.scale import duration, limit, seconds, wait_until

NO_STORE = [("Cache-Control", "no-store")]


def ok(body=b"ok"):
    return reply(body, fields=NO_STORE)


@pytest.fixture
def dead():
    """The URL of an origin that refuses connections."""
    reservation = Reservation()
    yield f"http://{reservation}"
    reservation.close()


@pytest.fixture
def full():
    """The URL of an origin whose backlog is full: connections to it do not come about."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    time.sleep(0.05)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for each in (*fillers, listener):
        each.close()


# --- several


def test_requests_are_shared_by_weight(new_edge, new_origin):
    light, heavy = new_origin(), new_origin()
    light.default, heavy.default = ok(), ok()
    edge = new_edge({"url": light, "weight": 1}, {"url": heavy, "weight": 3}, threads=1)
    with edge.connect() as conn:
        for i in range(400):
            conn.get(f"/{i}")
    assert light.count() + heavy.count() == 400
    assert 60 <= light.count() <= 140


def test_a_spare_is_asked_only_when_all_others_are_down(new_edge, new_origin):
    first, spare = new_origin(), new_origin()
    first.default, spare.default = ok(b"first"), ok(b"spare")
    edge = new_edge({"url": first}, {"url": spare, "weight": 0}, origin_options={"retry_budget": "100%"})
    for _ in range(50):
        assert edge.fetch("/a").body == b"first"
    first.stop_listening()
    for _ in range(20):
        assert edge.fetch("/a").body == b"spare"
    assert first.count() == 50


# --- retries


def test_a_refused_connection_is_tried_on_another_origin(new_edge, origin, dead):
    origin.default = ok()
    edge = new_edge(dead, origin, origin_options={"retry_budget": "100%", "fail_after": 0})
    for i in range(20):
        assert edge.fetch(f"/{i}").status == 200


@pytest.mark.parametrize("how", ["reset", "close", "garbage"])
def test_an_idempotent_request_is_tried_again_elsewhere(new_edge, new_origin, how):
    bad, good = new_origin(), new_origin()
    scripts = {"reset": lambda x: x.reset(), "close": lambda x: x.close(),
               "garbage": lambda x: x.send(b"what?\r\n\r\n").close()}
    bad.default, good.default = scripts[how], ok()
    edge = new_edge({"url": bad, "weight": 1000}, {"url": good, "weight": 1},
                    origin_options={"retry_budget": "100%", "fail_after": 0})
    assert [edge.fetch(f"/{i}").status for i in range(10)] == [200] * 10
    assert bad.count() > 0


@pytest.mark.parametrize("method", ["POST", "PATCH", "BREW"])
def test_a_request_that_is_not_idempotent_is_never_sent_twice(new_edge, new_origin, method):
    """RFC 9110 9.2.2."""
    bad, other = new_origin(), new_origin()
    bad.default, other.default = (lambda x: x.reset()), ok()
    edge = new_edge({"url": bad, "weight": 1}, {"url": other, "weight": 0},
                    origin_options={"retry_budget": "100%", "fail_after": 0})
    assert edge.fetch("/a", method, body=b"once").status == 502
    assert (bad.count(), other.count()) == (1, 0)


def test_a_response_that_has_begun_is_not_tried_again(new_edge, new_origin):
    bad, other = new_origin(), new_origin()
    bad.default, other.default = (lambda x: x.head(length=100, fields=NO_STORE).send(b"half").reset()), ok()
    edge = new_edge({"url": bad, "weight": 1}, {"url": other, "weight": 0})
    with edge.connect() as conn:
        conn.send(build(target="/a"))
        assert not conn.response(allow_cut=True).complete
    assert other.count() == 0


def test_retries_are_limited_for_one_request(new_edge, new_origin):
    origins = [new_origin() for _ in range(5)]
    for each in origins:
        each.default = lambda x: x.reset()
    edge = new_edge(*origins, origin_options={"retries": 2, "retry_budget": "100%", "fail_after": 0})
    assert edge.fetch("/a").status == 502
    assert sum(each.count() for each in origins) == 3


def test_retries_are_limited_for_all_requests(new_edge, new_origin):
    """A budget: an origin that is down is not asked twice as often."""
    one, two = new_origin(), new_origin()
    one.default = two.default = lambda x: x.reset()
    edge = new_edge(one, two, threads=1, origin_options={"retries": 2, "retry_budget": "10%", "fail_after": 0})
    for _ in range(100):
        assert edge.fetch("/a").status == 502
    assert one.count() + two.count() <= 140
    assert edge.metrics()["skerry_origin_retries_total"] <= 40


def test_no_budget_means_no_retry(new_edge, new_origin):
    one, two = new_origin(), new_origin()
    one.default = two.default = lambda x: x.reset()
    edge = new_edge(one, two, origin_options={"retries": 5, "retry_budget": "0%", "fail_after": 0})
    for _ in range(10):
        assert edge.fetch("/a").status == 502
    assert one.count() + two.count() == 10


# --- kept connections


def test_a_kept_connection_that_the_origin_closed_does_no_harm(new_edge, origin):
    edge = new_edge(origin, origin_options={"retries": 1, "retry_budget": "0%"})
    origin.default = lambda x: x.reply(b"ok", fields=NO_STORE).close()
    for method in ("GET", "POST", "GET", "PUT", "POST"):
        assert edge.fetch("/a", method, body=None if method == "GET" else b"x").status == 200
        time.sleep(0.05)


def test_a_kept_connection_that_dies_under_a_request_is_replaced(new_edge, origin):
    """RFC 9112 9.3.1: an idempotent request is sent again on a fresh connection."""
    def once(x):
        if x.connection.requests == 1:
            x.reply(b"ok", fields=NO_STORE)
        else:
            x.reset()

    origin.default = once
    edge = new_edge(origin, threads=1)
    for _ in range(6):
        assert edge.fetch("/a").status == 200


def test_connection_close_of_the_origin_is_obeyed(edge, origin):
    origin.default = lambda x: x.reply(b"ok", fields=[("Connection", "close"), *NO_STORE])
    for _ in range(3):
        assert edge.fetch("/a").status == 200
    assert len(origin.connections) == 3


def test_an_http_1_0_origin(edge, origin):
    origin.default = lambda x: x.send(b"HTTP/1.0 200 OK\r\nCache-Control: no-store\r\n\r\nold school").close()
    with edge.connect() as conn:
        for _ in range(3):
            assert conn.get("/a").body == b"old school"


def test_connections_to_an_origin_are_limited(new_edge, origin):
    lock, now, most = threading.Lock(), [0], [0]

    def slow(x):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        x.sleep(0.02)
        with lock:
            now[0] -= 1
        x.reply(b"ok", fields=NO_STORE)

    origin.default = slow
    edge = new_edge(origin, threads=1, origin_options={"max_connections": 4})
    conns = [edge.connect() for _ in range(20)]
    for i, conn in enumerate(conns):
        conn.send(build(target=f"/{i}"))
    assert [conn.response().status for conn in conns] == [200] * 20
    assert most[0] <= 4 and len(origin.connections) <= 4
    for conn in conns:
        conn.close()


def test_unused_connections_are_closed_after_their_time(new_edge, origin):
    origin.default = ok()
    edge = new_edge(origin, origin_options={"idle_timeout": duration(0.4)})
    edge.fetch("/a")
    assert origin.open_connections() == 1
    wait_until(lambda: origin.open_connections() == 0, 5, "the kept connection to be closed")


def test_503_with_retry_after_when_all_connections_to_the_origin_are_in_use(new_edge, origin):
    go = threading.Event()
    origin.on("/slow", lambda x: x.wait(go).reply(b"ok", fields=NO_STORE))
    edge = new_edge(origin, threads=1,
                    origin_options={"max_connections": 1, "connect_timeout": duration(0.3), "retries": 0})
    with edge.connect() as first:
        first.send(build(target="/slow"))
        origin.wait_for("/slow")
        response = edge.fetch("/other")
        assert response.status == 503 and int(response["retry-after"]) >= 1
        assert "in use" in response.text
        go.set()
        assert first.response().status == 200


# --- failures that the client is told about


def test_followers_are_told_the_phase_that_the_leader_is_told(new_edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.wait(go).send(b"HTTP/1.1 200 OK\r\nContent-Le").close())
    edge = new_edge(origin, origin_options={"retries": 0})
    conns = [edge.connect() for _ in range(5)]
    for conn in conns:
        conn.send(build(target="/a"))
    origin.wait_for("/a")
    taken(*conns)
    go.set()
    responses = [conn.response() for conn in conns]
    assert origin.count("/a") == 1
    assert [response.status for response in responses] == [502] * 5
    assert len({response.text for response in responses}) == 1 and "response head" in responses[0].text
    for conn in conns:
        conn.close()


def test_502_names_the_phase_connecting(new_edge, dead):
    edge = new_edge(dead)
    response = edge.fetch("/a")
    assert response.status == 502
    assert "connect" in response.text and response["cache-control"] == "no-store"


def test_504_for_a_connection_that_does_not_come_about(new_edge, full):
    edge = new_edge(full, origin_options={"connect_timeout": duration(0.3), "retries": 0})
    response = edge.fetch("/a")
    assert response.status == 504 and "connect" in response.text


def test_504_for_an_origin_that_does_not_answer(new_edge, origin):
    go = threading.Event()
    origin.default = lambda x: x.wait(go).close()
    edge = new_edge(origin, origin_options={"first_byte_timeout": duration(0.3), "retries": 0})
    began = time.monotonic()
    response = edge.fetch("/a")
    assert response.status == 504 and "waiting for the origin" in response.text
    assert time.monotonic() - began < limit(2)
    go.set()


def test_504_for_a_head_that_comes_by_and_by(new_edge, origin):
    def trickle(x):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            x.send(bytes([byte])).sleep(0.02)

    origin.default = trickle
    edge = new_edge(origin, origin_options={"first_byte_timeout": duration(0.5), "between_bytes_timeout": duration(0.5),
                                            "retries": 0})
    began = time.monotonic()
    response = edge.fetch("/a")
    assert response.status in (502, 504)
    assert time.monotonic() - began < limit(4)


def test_502_for_a_connection_that_ends_before_the_head(new_edge, origin):
    origin.default = lambda x: x.send(b"HTTP/1.1 200 OK\r\nX-A").close()
    edge = new_edge(origin, origin_options={"retries": 0})
    response = edge.fetch("/a")
    assert response.status == 502 and "head" in response.text


def test_a_body_that_stalls_is_cut_off(new_edge, origin):
    go = threading.Event()
    origin.default = lambda x: x.head(length=100, fields=NO_STORE).send(b"half").wait(go)
    edge = new_edge(origin, origin_options={"between_bytes_timeout": duration(0.3)})
    with edge.connect() as conn:
        conn.send(build(target="/a"))
        began = time.monotonic()
        response = conn.response(allow_cut=True)
        assert not response.complete and response.body == b"half"
        assert time.monotonic() - began < limit(2)
    go.set()


LINE = b"HTTP/1.1 200 OK\r\n"
BAD_HEADS = {
    "garbage": b"\x00\x01\x02\x03 garbage\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "two different lengths": LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length list of different": LINE + b"Content-Length: 5, 6\r\n\r\nhello!",
    "negative length": LINE + b"Content-Length: -5\r\n\r\nhello",
    "length of letters": LINE + b"Content-Length: five\r\n\r\nhello",
    "length beyond 64 bits": LINE + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "length and chunked": LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "unknown coding": LINE + b"Transfer-Encoding: rot13\r\n\r\nhello",
    "chunked not last": LINE + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "space before colon": LINE + b"X-A : b\r\nContent-Length: 5\r\n\r\nhello",
    "NUL in a value": LINE + b"X-A: a\0b\r\nContent-Length: 5\r\n\r\nhello",
    "CR in a value": LINE + b"X-A: a\rX-B: c\r\nContent-Length: 5\r\n\r\nhello",
    "field without colon": LINE + b"nonsense\r\nContent-Length: 5\r\n\r\nhello",
    "endless line": LINE + b"X-A: " + b"a" * 400_000,
    "too many fields": LINE + b"".join(b"X-%d: y\r\n" % i for i in range(30_000)) + b"\r\n",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_502_for_bad_response_heads(shared, name):
    shared.origin.on("/bad", lambda x: x.send(BAD_HEADS[name]).close())
    response = fetch(shared.edge.address, "/bad")
    assert response.status == 502, response
    assert "head" in response.text, response.text


def test_endless_fields_cost_bounded_memory(edge, origin):
    def endless(x):
        x.send(LINE)
        while True:
            x.send(b"X-More: " + b"x" * 1000 + b"\r\n")

    origin.on("/endless", endless)
    edge.fetch("/warm")
    before = edge.rss_kib()
    for _ in range(10):
        assert edge.fetch("/endless").status == 502
    assert edge.rss_kib() - before < 8192


def test_errors_made_here_are_not_stored(edge, origin):
    origin.on("/a", lambda x: x.reset())
    assert edge.fetch("/a").status == 502
    origin.on("/a", cacheable(b"back"))
    assert edge.fetch("/a").body == b"back"


# --- health


def test_an_origin_that_fails_is_left_out_for_a_while(new_edge, new_origin):
    bad, good = new_origin(), new_origin()
    bad.default, good.default = (lambda x: x.reset()), ok()
    edge = new_edge(bad, good, threads=1,
                    origin_options={"fail_after": 3, "fail_for": duration(1.5), "retry_budget": "100%", "retries": 1})
    for i in range(40):
        assert edge.fetch(f"/{i}").status == 200
    assert bad.count() == 3
    bad.default = ok()

    def asked_again():
        return all(edge.fetch(f"/{i}").status == 200 for i in range(10)) and bad.count() > 3

    wait_until(asked_again, 10, "the origin to be asked again")


def test_the_last_origin_is_asked_even_when_it_fails(new_edge, origin):
    origin.default = lambda x: x.reset()
    edge = new_edge(origin, origin_options={"fail_after": 2, "fail_for": "1h", "retries": 0})
    for _ in range(6):
        assert edge.fetch("/a").status in (502, 503)
    status = edge.fetch("/a")
    assert status.status in (502, 503) and status.text


def test_active_checks_take_an_origin_out_and_bring_it_back(new_edge, new_origin):
    checked, other = new_origin(), new_origin()
    checked.default, other.default = ok(b"checked"), ok(b"other")
    checked.on("/healthz", reply(status=200))
    other.on("/healthz", reply(status=200))
    edge = new_edge(checked, other, origin_options={"health_check": {
        "path": "/healthz", "interval": "100ms", "timeout": duration(1), "healthy_after": 2, "unhealthy_after": 2}})
    checked.wait_for("/healthz", 3)

    def who():
        return {edge.fetch(f"/{i}").body for i in range(30)}

    assert who() == {b"checked", b"other"}
    checked.on("/healthz", reply(status=500))
    wait_until(lambda: who() == {b"other"}, 10, "the origin to be left out")
    checked.on("/healthz", reply(status=200))
    wait_until(lambda: b"checked" in who(), 10, "the origin to be back")


def test_health_checks_follow_a_reload(new_edge, origin):
    origin.default = ok()
    edge = new_edge(origin, origin_options={"health_check": {"path": "/one", "interval": "100ms"}})
    origin.wait_for("/one", 2)
    edge.reload({**edge.configuration, "origin_options": {"health_check": {"path": "/two", "interval": "100ms"}}})
    origin.wait_for("/two", 2)
    count = origin.count("/one")
    time.sleep(seconds(0.4))
    assert origin.count("/one") <= count + 1


# --- names


@pytest.fixture
def dns():
    server = Dns({})
    yield server
    server.stop()


def test_origins_by_name(new_edge, origin, dns):
    origin.default = ok()
    dns.names["origin.test"] = {A: ["127.0.0.1"]}
    edge = new_edge(f"http://origin.test:{origin.port}", resolver=dns.address)
    assert edge.fetch("/a").status == 200
    assert ("origin.test", A) in dns.asked


def test_an_address_that_does_not_answer_does_not_hold_up_the_other_family(new_edge, origin, dns):
    """RFC 8305: happy eyeballs."""
    origin.default = ok()
    dns.names["both.test"] = {A: ["127.0.0.1"], AAAA: ["100::1"]}
    edge = new_edge(f"http://both.test:{origin.port}", resolver=dns.address, origin_options={"connect_timeout": duration(20)})
    began = time.monotonic()
    assert edge.fetch("/a").status == 200
    assert time.monotonic() - began < seconds(15)  # of the 20 that a connection may take


def test_502_for_a_name_that_does_not_exist(new_edge, dns):
    edge = new_edge("http://nowhere.test:80", resolver=dns.address)
    response = edge.fetch("/a")
    assert response.status == 502 and "name" in response.text


def test_504_for_a_name_server_that_does_not_answer(new_edge, dns):
    dns.silent = True
    edge = new_edge("http://slow.test:80", resolver=dns.address,
                    origin_options={"connect_timeout": duration(1), "retries": 0})
    began = time.monotonic()
    response = edge.fetch("/a", timeout=30)
    assert response.status in (502, 504) and "name" in response.text
    assert time.monotonic() - began < limit(15)


# --- https


def test_https_with_a_pinned_authority(new_edge, new_origin, authority):
    origin = new_origin(tls=authority.server())
    origin.default = lambda x: x.reply(x.read_body() or b"secret", fields=NO_STORE)
    edge = new_edge({"url": origin, "ca_file": str(authority.certificate)})
    with edge.connect() as conn:
        assert conn.get("/a").body == b"secret"
        assert conn.request("POST", "/a", body=b"x" * 300_000).body == b"x" * 300_000
    assert len(origin.connections) == 1


def test_https_large_bodies(new_edge, new_origin, authority):
    origin = new_origin(tls=authority.server())
    body = bytes(range(256)) * 20_000
    origin.on("/big", cacheable(body))
    edge = new_edge({"url": origin, "ca_file": str(authority.certificate)})
    assert edge.fetch("/big").body == body
    assert edge.fetch("/big").hit


def test_sni_is_the_name_of_the_origin(new_edge, new_origin, authority, dns):
    context = authority.server(["DNS:origin.test"], label="sni")
    names = []
    context.sni_callback = lambda sock, name, _: names.append(name)
    origin = new_origin(tls=context)
    origin.default = ok()
    dns.names["origin.test"] = {A: ["127.0.0.1"]}
    edge = new_edge({"url": f"https://origin.test:{origin.port}", "ca_file": str(authority.certificate)},
                    resolver=dns.address)
    assert edge.fetch("/a").status == 200
    assert names == ["origin.test"]


BAD_CERTIFICATES = {
    "unknown authority": ({}, {"ca_file": None}),
    "another name": ({"names": ["DNS:other.test"]}, {}),
    "another address": ({"names": ["IP:127.0.0.2"]}, {}),
    "expired": ({"dates": ("20200101000000Z", "20200201000000Z")}, {}),
    "not yet valid": ({"dates": ("20900101000000Z", "20910101000000Z")}, {}),
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_502_for_a_certificate_that_does_not_hold(new_edge, new_origin, authority, name):
    made, configured = BAD_CERTIFICATES[name]
    origin = new_origin(tls=authority.server(label=name.replace(" ", "-"), **made))
    origin.default = ok()
    words = {"url": origin, "ca_file": str(authority.certificate), **configured}
    edge = new_edge({key: value for key, value in words.items() if value})
    response = edge.fetch("/a")
    assert response.status == 502 and "TLS" in response.text and "certificate" in response.text.lower(), response.text
    assert origin.count() == 0 and origin.received == 0


def test_verification_can_be_switched_off(new_edge, new_origin, authority):
    origin = new_origin(tls=authority.server(["DNS:other.test"], label="unverified"))
    origin.default = ok()
    edge = new_edge({"url": origin, "verify": False})
    assert edge.fetch("/a").status == 200


def test_502_for_an_origin_that_does_not_speak_tls(new_edge, new_origin, authority):
    origin = new_origin()
    origin.on_connect = lambda connection: connection.send(b"220 plain old mail\r\n")
    edge = new_edge({"url": f"https://127.0.0.1:{origin.port}", "ca_file": str(authority.certificate)})
    response = edge.fetch("/a")
    assert response.status == 502 and "TLS" in response.text


def test_a_tls_origin_that_cuts_the_connection_never_gives_a_whole_body(new_edge, new_origin, authority):
    """Without close_notify the end of a body that ends with the connection is not to be believed."""
    origin = new_origin(tls=authority.server(label="cut"))
    origin.on("/e", lambda x: x.head(length=1000, fields=NO_STORE).send(b"part").reset())
    edge = new_edge({"url": origin, "ca_file": str(authority.certificate)})
    with edge.connect() as conn:
        conn.send(build(target="/e"))
        assert not conn.response(allow_cut=True).complete
