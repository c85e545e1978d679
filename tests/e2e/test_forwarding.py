"""What is changed in a message that passes through (RFC 9110 7.6, RFC 7239, RFC 8586), and what is not."""

import re

import pytest

from harness import protocol
from harness.origin import cacheable, reply

pytestmark = pytest.mark.one_by_one

NO_STORE = [("Cache-Control", "no-store")]


@pytest.fixture
def seen(edge, origin):
    """Sends a request with these fields; returns the fields that the origin received."""
    origin.default = reply(b"ok", fields=NO_STORE)

    def ask(fields=(), **more):
        response = edge.fetch("/f", fields=fields, **more)
        assert response.status == 200, response
        return origin.last().fields

    return ask


# --- hop-by-hop fields


@pytest.mark.parametrize("name, value", [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("TE", "gzip"),
                                         ("Upgrade", "foo/2"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
def test_hop_by_hop_request_fields_are_removed(seen, name, value):
    """RFC 9110 7.6.1."""
    assert name not in seen([(name, value), ("X-Stays", "1")])


@pytest.mark.parametrize("connection", ["X-Gone", "x-gone", "close, X-Gone", " ,X-Gone ,, keep-alive"])
def test_fields_named_by_connection_are_removed(seen, connection):
    fields = seen([("Connection", connection), ("X-Gone", "1"), ("X-Stays", "2")])
    assert "x-gone" not in fields and fields.get("x-stays") == "2"
    assert "x-gone" not in (fields.get("connection") or "").lower()


@pytest.mark.parametrize("name, value", [
    ("Authorization", "Basic QTpC"), ("Cookie", "session=1"), ("Cache-Control", "no-cache"), ("Host", "example.test"),
    ("Content-Type", "text/plain"), ("Origin", "https://a.test"), ("Via", "1.0 other"), ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.test"), ("Forwarded", "for=1.2.3.4"), ("CDN-Loop", "other")])
def test_connection_cannot_strip_fields_that_guard_something(seen, name, value):
    """Hop-by-hop header abuse: the origin must see them all the same."""
    assert name in seen([("Connection", f"close, {name}"), (name, value)])


@pytest.mark.parametrize("name, value", [("Range", "bytes=0-1"), ("If-None-Match", '"x"')])
def test_connection_cannot_strip_conditions_of_what_passes(seen, name, value):
    """For what may be stored the edge asks with its own; what passes keeps the client's."""
    assert name in seen([("Connection", f"close, {name}"), (name, value)], method="POST", body=b"x")


def test_connection_cannot_strip_framing(edge, origin):
    origin.on("/u", lambda x: x.reply(x.read_body(), fields=NO_STORE))
    assert edge.fetch("/u", "POST", [("Connection", "Content-Length")], body=b"hello").body == b"hello"
    assert edge.fetch("/u", "POST", [("Connection", "Transfer-Encoding")], chunked=[b"hello"]).body == b"hello"


def test_hop_by_hop_response_fields_are_removed(edge, origin):
    origin.on("/r", reply(b"ok", fields=[("Connection", "X-Gone"), ("X-Gone", "1"), ("Keep-Alive", "timeout=5"),
                                         ("Proxy-Connection", "close"), ("X-Stays", "2"), *NO_STORE]))
    response = edge.fetch("/r")
    assert response["x-stays"] == "2"
    for name in ("x-gone", "keep-alive", "proxy-connection"):
        assert name not in response.fields, name


@pytest.mark.parametrize("name, value", [("Set-Cookie", "a=b"), ("Strict-Transport-Security", "max-age=1"),
                                         ("Content-Security-Policy", "default-src 'self'"), ("X-Frame-Options", "DENY"),
                                         ("Content-Type", "text/plain"), ("WWW-Authenticate", "Basic")])
def test_connection_cannot_strip_security_fields_of_responses(edge, origin, name, value):
    origin.on("/r", reply(b"ok", fields=[("Connection", name), (name, value), *NO_STORE]))
    assert edge.fetch("/r")[name] == value


def test_te_trailers_may_pass(seen):
    fields = seen([("TE", "trailers"), ("Connection", "TE")])
    assert fields.get("te") in (None, "trailers")


# --- what passes untouched


def test_end_to_end_fields_pass_in_order_and_unchanged(seen):
    fields = [("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("Accept-Charset", "x;q=1, y"), ("X-Empty", ""),
              ("Cookie", "a=b; c=d"), ("User-Agent", 'x (y; "z")'), ("X-Odd", "caf\xe9, \"a\\\"b\"")]
    received, fields = seen(fields), protocol.spelled(fields)
    assert [pair for pair in received if pair[0] in {name for name, _ in fields}] == fields


def test_response_fields_pass_in_order_and_unchanged(edge, origin):
    fields = [("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("Server", "other/1"),
              ("Content-Type", "text/html; charset=utf-8"), ("Location", "/elsewhere?a=b"), ("X-Empty", "")]
    origin.on("/r", reply(b"ok", fields=[*fields, *NO_STORE]))
    received, fields = edge.fetch("/r").fields, protocol.spelled(fields)
    assert [pair for pair in received if pair[0] in {name for name, _ in fields}] == fields


def test_host_of_the_client_reaches_the_origin(seen):
    assert seen(host="some.test:81").get("host") == "some.test:81"


def test_host_can_be_set_for_an_origin(new_edge, origin):
    origin.default = reply(b"ok", fields=NO_STORE)
    edge = new_edge({"url": origin.url, "host": "inner.test"})
    edge.fetch("/")
    assert origin.last().fields.get("host") == "inner.test"
    assert origin.last().fields.get("x-forwarded-host") == "example.test"


# --- Via


def test_via_is_set_on_requests_and_responses(new_edge, origin):
    """RFC 9110 7.6.3."""
    origin.on("/v", cacheable(b"ok"))
    edge = new_edge(origin, server_name="edge-7")
    response = edge.fetch("/v")
    assert origin.last().fields.get("via") == f"{protocol.VERSION} edge-7"
    assert response["via"] == "1.1 edge-7"
    assert edge.fetch("/v")["via"] == "1.1 edge-7"


def test_via_is_extended(edge, origin):
    origin.on("/v", reply(b"ok", fields=[("Via", "1.1 behind"), *NO_STORE]))
    response = edge.fetch("/v", fields=[("Via", "1.0 before")])
    assert re.fullmatch(rf"1\.0 before, {re.escape(protocol.VERSION)} \S+", origin.last().fields.get("via"))
    assert re.fullmatch(r"1\.1 behind, 1\.1 \S+", response["via"])


def test_via_names_the_version_received(edge, origin):
    origin.on("/v", reply(b"ok", fields=NO_STORE))
    edge.fetch("/v", version="1.0")
    assert origin.last().fields.get("via").startswith("1.0 ")


# --- X-Forwarded-*, Forwarded


def test_forwarding_fields_tell_who_asked(seen):
    fields = seen(source="127.0.0.9")
    assert fields.get("x-forwarded-for") == "127.0.0.9"
    assert fields.get("x-forwarded-proto") == "http"
    assert fields.get("x-forwarded-host") == "example.test"
    pairs = [part.strip().split("=", 1) for part in fields.get("forwarded").split(";")]
    parts = {name.lower(): value.strip('"') for name, value in pairs}
    assert (parts["for"], parts["proto"], parts["host"]) == ("127.0.0.9", "http", "example.test")


CLAIMS = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "claimed.test"),
          ("Forwarded", 'for=203.0.113.7;proto=https;host="claimed.test"')]


def test_claims_of_strangers_are_replaced(seen):
    fields = seen(CLAIMS, source="127.0.0.9")
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"):
        assert len(fields.all(name)) == 1
        assert "203.0.113.7" not in fields.get(name) and "claimed" not in fields.get(name) and "https" not in fields.get(name)


def test_claims_from_trusted_networks_are_kept_and_extended(new_edge, origin):
    origin.default = reply(b"ok", fields=NO_STORE)
    edge = new_edge(origin, trusted_proxies=["127.0.1.0/24", "2001:db8::/32"])
    edge.fetch("/", fields=CLAIMS, source="127.0.1.5")
    fields = origin.last().fields
    assert fields.get("x-forwarded-for") == "203.0.113.7, 127.0.1.5"
    assert fields.get("x-forwarded-proto") == "https"
    assert fields.get("x-forwarded-host") == "claimed.test"
    assert fields.get("forwarded").startswith("for=203.0.113.7;") and "127.0.1.5" in fields.get("forwarded")
    edge.fetch("/", fields=CLAIMS, source="127.0.2.5")
    assert origin.last().fields.get("x-forwarded-for") == "127.0.2.5"


def test_underscore_twins_of_forwarding_fields_do_not_pass_as_ours(seen):
    """X_Forwarded_For is another field; many applications take it for the same. Ours must stand there alone."""
    fields = seen([("X_Forwarded_For", "203.0.113.7")])
    assert fields.all("x-forwarded-for") == ["127.0.0.1"]


# --- loops


def test_cdn_loop_names_us(new_edge, origin):
    """RFC 8586."""
    origin.default = reply(b"ok", fields=NO_STORE)
    edge = new_edge(origin, server_name="edge-7")
    edge.fetch("/", fields=[("CDN-Loop", "other.test; a=b")])
    elements = origin.last().fields.elements("cdn-loop")
    assert elements[0].startswith("other.test") and any(element.split(";")[0] == "edge-7" for element in elements)


def test_a_loop_ends_soon(new_edge):
    edge = new_edge(start=False)
    edge.configuration["origins"] = [f"http://{edge.listen}"]
    edge.start()
    response = edge.fetch("/loop")
    assert response.status in (502, 508), response
    assert edge.metrics()["skerry_requests_total"] < 30
