"""Early data (0-RTT), where a listener allows it: RFC 8470, RFC 8446 sections 2.3 and 8."""

import socket
import time

import pytest
from harness.attacks import HEAD, POST_HEAD
from harness.earlydata import exchange, get_ticket
from harness.h2client import DATA, HEADERS, PREFACE, SETTINGS, frame
from harness.h3client import Client as H3
from harness.origin import cacheable, reply
from harness.scale import limit, seconds, wait_until

pytestmark = pytest.mark.h1_only  # the protocols are told here


def request(path, method="GET", fields=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def edge(new_https, origin):
    origin.default = reply(b"default")
    return new_https(origin, listener={"early_data": True})


@pytest.fixture
def ticket(edge, tmp_path):
    return get_ticket(edge, tmp_path / "ticket")


def logged(edge, path, times=1):
    def lines():
        return [entry for entry in edge.access_log() if entry["target"] == path]
    wait_until(lambda: len(lines()) >= times, what=f"{path} in the log {times} times")
    return lines()


def test_rfc8446_2_3_a_hit_is_answered_before_the_handshake_is_over(edge, origin, ticket):
    """The edge never gets the client's end of the handshake, and answers nevertheless."""
    origin.on("/hit", cacheable(b"stored", 600))
    edge_fetch(edge, "/hit")
    exchange(edge, ticket, request("/hit"), whole=False)
    last = logged(edge, "/hit", times=2)[-1]
    assert last["hit"] and last["early_data"] and last["tls_resumed"] and last["status"] == 200, last
    assert origin.count("/hit") == 1


def edge_fetch(edge, path):
    """By a client that comes the whole way."""
    with H3(edge.address) as client:
        answer = client.get(path)
        assert answer.ended
        return answer


def test_rfc8470_5_1_a_safe_request_is_passed_on_with_the_word(edge, origin, ticket):
    origin.on("/miss", cacheable(b"from the origin", 600))
    got, _ = exchange(edge, ticket, request("/miss"), enough=lambda got: b"default" in got,
                      more=request("/later"))
    assert got.startswith(b"HTTP/1.1 200 ") and b"from the origin" in got
    assert origin.last("/miss").fields.get("early-data") == "1"
    assert logged(edge, "/miss")[0]["early_data"]
    origin.wait_for("/later")
    assert origin.last("/later").fields.get("early-data") is None  # the handshake was over by then
    assert "early_data" not in logged(edge, "/later")[0]
    assert edge_fetch(edge, "/miss")["cache-status"].find("hit") > 0  # and what came is everybody's


@pytest.mark.parametrize("early", [
    request("/unsafe", "POST", [("Content-Length", 4)], b"body"),
    request("/unsafe", "DELETE"),
    request("/unsafe", "PURGE"),
    request("/unsafe", "GET", [("Content-Length", 4)], b"body"),
    request("/unsafe", fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]),
], ids=["POST", "DELETE", "PURGE", "content", "upgrade"])
def test_rfc8470_5_2_what_is_not_safe_is_too_early(edge, origin, ticket, early):
    got, _ = exchange(edge, ticket, early)
    assert got.startswith(b"HTTP/1.1 425 Too Early\r\n") and b"no-store" in got, got
    assert origin.count("/unsafe") == 0
    metrics = edge.metrics()
    assert (metrics["skerry_early_data_requests_total"], metrics["skerry_early_data_refused_total"]) == (1, 1)


def test_rfc8470_5_2_the_origins_425_is_passed_on_and_not_kept(edge, origin, ticket):
    """Whatever it says of its lifetime: it tells nothing of the resource. Others are not kept waiting for it later."""
    def judge(x):
        early = x.request.fields.get("early-data")
        x.reply(b"" if early else b"now", status=425 if early else 200, fields=[("Cache-Control", "public, max-age=600")])
    origin.on("/late", judge)
    got, _ = exchange(edge, ticket, request("/late"))
    assert got.startswith(b"HTTP/1.1 425 "), got
    answer = edge_fetch(edge, "/late")
    assert answer.status == 200 and bytes(answer.body) == b"now"
    assert "hit" in edge_fetch(edge, "/late")["cache-status"]
    assert origin.count("/late") == 2


def test_rfc8470_5_1_the_word_of_an_intermediary_is_passed_on(edge, origin, authority):
    """Who says so must see the origin's 425."""
    origin.on("/told", lambda x: x.reply(b"", status=425))
    with edge.connect(tls=authority.client()) as conn:
        answer = conn.request("GET", "/told", [("Early-Data", "1"), ("Connection", "early-data")])
    assert answer.status == 425 and origin.last("/told").fields.get("early-data") == "1"
    assert "early_data" not in logged(edge, "/told")[0]


def test_rfc8446_8_a_copy_is_not_served(edge, origin, ticket):
    """RFC 8470 section 3: what an eavesdropper has seen, sent again, at once and twice."""
    origin.on("/once", reply(body=b"once", fields=[("Cache-Control", "no-store")]))
    got, flight = exchange(edge, ticket, request("/once"), enough=lambda got: b"once" in got)
    assert b"once" in got and len(flight) > 300
    for _ in range(2):
        with socket.create_connection(edge.address, timeout=limit(5)) as copy:
            copy.sendall(flight)
            assert copy.recv(65536)  # a handshake, which the copier cannot finish
            time.sleep(seconds(0.2))
    assert origin.count("/once") == 1 and len(logged(edge, "/once")) == 1
    assert edge.metrics()["skerry_early_data_requests_total"] == 1


def test_a_ticket_of_before_an_upgrade_brings_none(edge, origin, ticket):
    """Keys die with their process, and the register of what was seen with them."""
    origin.on("/a", reply(body=b"a"))
    edge.upgrade()
    got, _ = exchange(edge, ticket, request("/a"), whole=False)
    assert not got and origin.count("/a") == 0  # the openssl command does not send it again


def test_where_it_is_off_again_it_is_not_taken(edge, origin, ticket):
    listener = edge.configuration["listeners"][0]
    edge.reload({**edge.configuration, "listeners": [{**listener, "early_data": False}]})
    exchange(edge, ticket, request("/off"), whole=False)
    assert origin.count("/off") == 0


# --- HTTP/2


def h2_status(got):
    """The first byte of the first answer's head: an indexed :status (RFC 7541 appendix A), or 0x08 of a literal one."""
    at = 0
    while at + 9 <= len(got):
        length, kind = int.from_bytes(got[at:at + 3], "big"), got[at + 3]
        if kind == HEADERS and at + 9 + length <= len(got):
            return got[at + 9:at + 9 + length]
        at += 9 + length
    return None


@pytest.mark.parametrize("head, extra, status", [
    (HEAD, b"", b"\x88"),
    (POST_HEAD, frame(DATA, 1, 1, b"body"), b"425"),
], ids=["GET", "POST"])
def test_the_same_over_http2(edge, origin, tmp_path, head, extra, status):
    ticket = get_ticket(edge, tmp_path / "ticket", "-alpn", "h2")  # what it sends there is no HTTP/2: a ticket comes
    early = PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 4 if extra else 5, 1, head) + extra
    got, _ = exchange(edge, ticket, early, ("-alpn", "h2"), enough=h2_status)
    fields = h2_status(got)
    assert fields and (len(status) > 1 or fields[:1] == status), got
    entry = logged(edge, "/")[-1]
    assert entry["protocol"] == "HTTP/2" and entry["early_data"] and entry["status"] == (200 if len(status) == 1 else 425)
    assert origin.count("/") == (1 if len(status) == 1 else 0)
    if len(status) == 1:
        assert origin.last("/").fields.get("early-data") == "1"


# --- HTTP/3


def come_back(edge, token=True):
    with H3(edge.address) as first:
        assert first.get("/ticket").status
        first.wait(lambda: first.tickets and first.tokens, "a ticket and a token")
    return H3(edge.address, ticket=first.tickets[-1], token=first.tokens[-1] if token else b"", connect=False)


def test_the_same_over_http3(edge, origin):
    """The client reads nothing, and so its handshake is not over, until both are answered: a request that is read together
    with the handshake's end is early no more."""
    origin.on("/h3", cacheable(b"h3", 600))
    with come_back(edge) as client:
        stream, unsafe = client.send("/h3"), client.send("/unsafe", "POST", body=b"x")
        assert logged(edge, "/h3") and logged(edge, "/unsafe")
        client.wait(lambda: client.finished(stream) and client.finished(unsafe), "both answers")
        assert (client.answer(stream).status, client.answer(unsafe).status) == (200, 425)
        assert client.get("/after").status  # the connection goes on
    assert origin.last("/h3").fields.get("early-data") == "1" and origin.count("/unsafe") == 0
    entry = logged(edge, "/h3")[0]
    assert entry["early_data"] and entry["protocol"] == "HTTP/3" and entry["tls_group"] and entry["tls_resumed"]
    assert "early_data" not in logged(edge, "/after")[0]


def test_rfc9000_8_1_without_a_proven_address_it_waits(edge, origin):
    """Then it is no early data any more: also what is not safe is served."""
    with come_back(edge, token=False) as client:
        stream = client.send("/waits", "POST", body=b"x")
        client.wait(lambda: client.finished(stream), "the answer")
    assert origin.count("/waits") == 1 and "early_data" not in logged(edge, "/waits")[0]
    assert origin.last("/waits").fields.get("early-data") is None


def test_rfc9114_7_2_4_2_no_resumption_where_less_is_promised(edge, origin):
    """SETTINGS that a client remembers must not shrink under it."""
    with H3(edge.address) as first:
        assert first.get("/ticket").status
        first.wait(lambda: first.tickets and first.tokens, "a ticket and a token")
    edge.reload({**edge.configuration, "limits": {"header_bytes": "16KiB"}})
    with H3(edge.address, ticket=first.tickets[-1], token=first.tokens[-1]) as again:
        assert again.get("/again").status
    entry = logged(edge, "/again")[0]
    assert "tls_resumed" not in entry and "early_data" not in entry


def test_it_is_off_by_default(new_https, origin, tmp_path):
    edge = new_https(origin)
    ticket = get_ticket(edge, tmp_path / "ticket")
    exchange(edge, ticket, request("/early"), whole=False)
    assert origin.count("/early") == 0
    with come_back(edge) as client:
        stream = client.send("/h3")
        client.wait(lambda: client.finished(stream), "the answer")
    assert "early_data" not in logged(edge, "/h3")[0]
