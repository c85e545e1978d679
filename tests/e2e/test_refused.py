"""Requests that are refused, not interpreted (RFC 9112 2.2, 5, 6, 11.2; RFC 9110 7.2): each gets its status and a
closed connection, the bytes after it are not taken for a request, and not one byte of it reaches the origin."""

import pytest

from harness.client import Conn
from harness.edge import soon
from harness.message import build
from harness.origin import reply

pytestmark = pytest.mark.one_by_one

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: example.test\r\n"
GET = b"GET /p HTTP/1.1\r\nHost: example.test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n\r\n"


def lengths(*values):
    return POST + b"".join(b"Content-Length: " + value + b"\r\n" for value in values) + b"\r\nhello"


def coding(*values, rest=b"\r\n0\r\n\r\n"):
    return POST + b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in values) + rest


def host(*values, target=b"/p", version=b"1.1"):
    lines = b"".join(b"Host: " + value + b"\r\n" for value in values)
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + lines + b"\r\n"


def target(text, method=b"GET"):
    return method + b" " + text + b" HTTP/1.1\r\nHost: example.test" + END


def line(text):
    return text + b"\r\nHost: example.test" + END


def field(text):
    return GET + text + END


# name: (bytes, statuses that are right)
CASES = {
    # both Content-Length and Transfer-Encoding
    "length then chunked": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked then length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "zero length and chunked": (POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "length and odd case chunked": (POST + b"content-length: 5\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", 400),
    # several or malformed lengths
    "two different lengths": (lengths(b"5", b"6"), 400),
    "the same length twice": (lengths(b"5", b"5"), 400),
    "length list": (lengths(b"5, 5"), 400),
    "length list of different": (lengths(b"5,6"), 400),
    "length with plus": (lengths(b"+5"), 400),
    "negative length": (lengths(b"-5"), 400),
    "hexadecimal length": (lengths(b"0x5"), 400),
    "length with a letter": (lengths(b"5a"), 400),
    "length with a space": (lengths(b"5 5"), 400),
    "length with underscore": (lengths(b"1_0"), 400),
    "length with point": (lengths(b"5.0"), 400),
    "empty length": (lengths(b""), 400),
    "quoted length": (lengths(b'"5"'), 400),
    "length beyond 64 bits": (lengths(b"18446744073709551621"), 400),
    "length far beyond": (lengths(b"9" * 60), 400),
    "length with vertical tab": (lengths(b"\x0b5"), 400),
    "length with other digits": (lengths("٥".encode()), 400),
    # Transfer-Encoding
    "chunked twice in a line": (coding(b"chunked, chunked"), 400),
    "chunked in two lines": (coding(b"chunked", b"chunked"), 400),
    "chunked not last": (coding(b"chunked, gzip"), (400, 501)),
    "coding before chunked": (coding(b"gzip, chunked"), (400, 501)),
    "identity": (coding(b"identity"), (400, 501)),
    "chunked then identity": (coding(b"chunked", b"identity"), (400, 501)),
    "identity then chunked": (coding(b"identity", b"chunked"), (400, 501)),
    "unknown coding": (coding(b"xchunked"), (400, 501)),
    "chunked with parameter": (coding(b"chunked;q=1"), (400, 501)),
    "quoted chunked": (coding(b'"chunked"'), (400, 501)),
    "empty coding": (coding(b""), (400, 501)),
    "chunked and vertical tab": (coding(b"\x0bchunked"), 400),
    "chunked and form feed": (coding(b"chunked\x0c"), 400),
    "chunked and comma only": (coding(b"chunked,"), (400, 501)),
    "chunked and NUL": (coding(b"chunked\0"), 400),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n", 400),
    "folded coding": (coding(b"\r\n chunked"), 400),
    # obs-fold
    "folded field": (field(b"X-A: one\r\n two"), 400),
    "folded field with tab": (field(b"X-A: one\r\n\ttwo"), 400),
    "empty folded line": (field(b"X-A: one\r\n "), 400),
    "fold before the first field": (b"GET /p HTTP/1.1\r\n X-A: b\r\nHost: example.test" + END, 400),
    # line ends
    "LF after the request line": (b"GET /p HTTP/1.1\nHost: example.test" + END, 400),
    "LF after a field": (GET + b"X-A: b\nX-C: d" + END, 400),
    "LF ends the head": (GET + b"X-A: b\r\n\n", 400),
    "only LF": (b"GET /p HTTP/1.1\nHost: example.test\n\n", 400),
    "LF CR": (b"GET /p HTTP/1.1\n\rHost: example.test\n\r\n\r", 400),
    "CR in a value": (field(b"X-A: b\rX-C: d"), 400),
    "CR before CRLF": (field(b"X-A: b\r"), 400),
    "CR after the request line": (b"GET /p HTTP/1.1\rHost: example.test" + END, 400),
    "CR in a name": (field(b"X\r-A: b"), 400),
    "CR in the target": (target(b"/p\rq"), 400),
    "CR CR LF": (b"GET /p HTTP/1.1\r\r\nHost: example.test" + END, 400),
    # field names
    "space before colon": (field(b"X-A : b"), 400),
    "tab before colon": (field(b"X-A\t: b"), 400),
    "space before colon of a length": (POST + b"Content-Length : 5\r\n\r\nhello", 400),
    "space before colon of a coding": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "space before colon of Host": (b"GET /p HTTP/1.1\r\nHost : example.test" + END, 400),
    "space inside a name": (field(b"X A: b"), 400),
    "empty name": (field(b": b"), 400),
    "no colon": (field(b"X-A"), 400),
    "parenthesis in a name": (field(b"X(A): b"), 400),
    "slash in a name": (field(b"X/A: b"), 400),
    "quoted name": (field(b'"X-A": b'), 400),
    "letters beyond ASCII in a name": (field("X-Ä: b".encode()), 400),
    "DEL in a name": (field(b"X\x7f: b"), 400),
    "control byte before a length": (POST + b"\x01Content-Length: 5\r\n\r\nhello", 400),
    # field values and NUL
    "NUL in a value": (field(b"X-A: b\0c"), 400),
    "NUL in a name": (field(b"X\0A: b"), 400),
    "NUL in the target": (target(b"/p\0q"), 400),
    "NUL in the method": (target(b"/p", b"GE\0T"), 400),
    "NUL first": (b"\0" + GET + b"\r\n", 400),
    "control byte in a value": (field(b"X-A: b\x01c"), 400),
    "backspace in a value": (field(b"X-A: b\x08c"), 400),
    "escape in a value": (field(b"X-A: \x1b[31m"), 400),
    "DEL in a value": (field(b"X-A: b\x7fc"), 400),
    # method, request line, version
    "at sign in the method": (target(b"/p", b"G@T"), 400),
    "bracket in the method": (target(b"/p", b"G[T"), 400),
    "space before the method": (line(b" GET /p HTTP/1.1"), 400),
    "no method": (line(b"/p HTTP/1.1"), 400),
    "tab after the method": (line(b"GET\t/p HTTP/1.1"), 400),
    "two spaces after the method": (line(b"GET  /p HTTP/1.1"), 400),
    "two spaces before the version": (line(b"GET /p  HTTP/1.1"), 400),
    "tab before the version": (line(b"GET /p\tHTTP/1.1"), 400),
    "space after the version": (line(b"GET /p HTTP/1.1 "), 400),
    "no version (HTTP/0.9)": (b"GET /p\r\n\r\n", (400, 505)),
    "no target": (line(b"GET HTTP/1.1"), 400),
    "only a method": (line(b"GET"), 400),
    "lower-case version": (line(b"GET /p http/1.1"), (400, 505)),
    "version 1.1x": (line(b"GET /p HTTP/1.1x"), (400, 505)),
    "version 1": (line(b"GET /p HTTP/1"), (400, 505)),
    "version 1.10": (line(b"GET /p HTTP/1.10"), (400, 505)),
    "version 01.1": (line(b"GET /p HTTP/01.1"), (400, 505)),
    "version 0.9": (line(b"GET /p HTTP/0.9"), (400, 505)),
    "version 2.0": (line(b"GET /p HTTP/2.0"), (400, 505)),
    "version 3.0": (line(b"GET /p HTTP/3.0"), (400, 505)),
    "another protocol": (line(b"GET /p RTSP/1.0"), (400, 505)),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60) + END, 400),
    "three empty lines first": (b"\r\n\r\n\r\n" + GET + b"\r\n", 400),
    "CONNECT": (b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443" + END, (400, 405, 501)),
    "CONNECT with a path": (b"CONNECT /p HTTP/1.1\r\nHost: example.test" + END, (400, 405, 501)),
    # targets
    "no slash": (target(b"p"), 400),
    "fragment": (target(b"/p#f"), 400),
    "raw space": (target(b"/p q"), 400),
    "control byte in the target": (target(b"/p\x01"), 400),
    "raw bytes beyond ASCII": (target("/ü".encode()), 400),
    "DEL in the target": (target(b"/p\x7f"), 400),
    "bad escape": (target(b"/%zz"), 400),
    "cut escape": (target(b"/%2"), 400),
    "escaped NUL": (target(b"/p%00q"), 400),
    "asterisk with GET": (target(b"*"), 400),
    "another scheme": (target(b"ftp://example.test/p"), 400),
    "user in the target": (target(b"http://user@example.test/p"), 400),
    "absolute without host": (target(b"http:///p"), 400),
    "authority form": (target(b"example.test:80"), 400),
    "backslash first": (target(b"\\p"), 400),
    # Host
    "no Host": (b"GET /p HTTP/1.1\r\nX-A: b" + END, 400),
    "two Hosts": (host(b"example.test", b"other.test"), 400),
    "the same Host twice": (host(b"example.test", b"example.test"), 400),
    "space in Host": (host(b"example test"), 400),
    "slash in Host": (host(b"example.test/p"), 400),
    "user in Host": (host(b"user@example.test"), 400),
    "port beyond 65535": (host(b"example.test:99999"), 400),
    "port of letters": (host(b"example.test:http"), 400),
    "open bracket in Host": (host(b"[::1"), 400),
    "question mark in Host": (host(b"example.test?"), 400),
    "hash in Host": (host(b"example.test#"), 400),
    "control byte in Host": (host(b"example\x01.test"), 400),
    "two Hosts in HTTP/1.0": (host(b"example.test", b"other.test", version=b"1.0"), 400),
    "absolute-form and Host disagree": (host(b"example.test", target=b"http://other.test/p"), 400),
    "absolute-form and Host disagree about the port": (host(b"example.test:81", target=b"http://example.test:82/p"), 400),
    "absolute-form without Host": (b"GET http://example.test/p HTTP/1.1\r\nX-A: b" + END, 400),
    # Expect, Upgrade
    "unknown expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 0" + END, 417),
    # chunks: what is wrong comes with the head, before anything can be forwarded
    "chunk size of letters": (CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size with 0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "negative chunk size": (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size with plus": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "space before chunk size": (CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n", 400),
    "space after chunk size": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "tab after chunk size": (CHUNKED + b"5\t\r\nhello\r\n0\r\n\r\n", 400),
    "empty chunk size": (CHUNKED + b"\r\nhello\r\n0\r\n\r\n", 400),
    "only an extension": (CHUNKED + b";a=b\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size of 64 bits": (CHUNKED + b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", (400, 413)),
    "chunk size beyond 64 bits": (CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size of a thousand zeros": (CHUNKED + b"0" * 1000 + b"5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size ended by LF": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    "chunk size ended by CR": (CHUNKED + b"5\rhello\r\n0\r\n\r\n", 400),
    "chunk size with NUL": (CHUNKED + b"5\0\r\nhello\r\n0\r\n\r\n", 400),
    "long chunk extension": (CHUNKED + b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n", 400),
    "LF in a chunk extension": (CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    "CR in a chunk extension": (CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n", 400),
    "NUL in a chunk extension": (CHUNKED + b"5;a\0\r\nhello\r\n0\r\n\r\n", 400),
    "chunk longer than its size": (CHUNKED + b"3\r\nhello\r\n0\r\n\r\n", 400),
    "chunk shorter than its size": (CHUNKED + b"7\r\nhello\r\n0\r\n\r\n", 400),
    "chunk data ended by LF": (CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400),
    "last chunk ended by LF": (CHUNKED + b"0\n\n", 400),
    "trailer without colon": (CHUNKED + b"0\r\nbad trailer\r\n\r\n", 400),
    "trailer with space before colon": (CHUNKED + b"0\r\nX-A : b\r\n\r\n", 400),
    "folded trailer": (CHUNKED + b"0\r\nX-A: b\r\n c\r\n\r\n", 400),
    "trailer with NUL": (CHUNKED + b"0\r\nX-A: \0\r\n\r\n", 400),
    "trailers ended by LF": (CHUNKED + b"0\r\nX-A: b\n\n", 400),
    "trailers over the limit": (CHUNKED + b"0\r\nX-A: " + b"b" * 70000 + b"\r\n\r\n", (400, 431)),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(shared, name):
    """RFC 9112 11.2: refused and closed, nothing forwarded, nothing after it interpreted."""
    message, statuses = CASES[name]
    statuses = statuses if isinstance(statuses, tuple) else (statuses,)
    shared.origin.on("/sentinel", reply(b"sentinel"))
    shared.origin.forget()
    with Conn(shared.edge.address) as conn:
        try:
            conn.send(message + SMUGGLED)
        except OSError:
            pass  # closed before it had all: the answer is there
        response = conn.response()
        assert response.status in statuses, response
        assert response.closes
        conn.assert_closed()
    # A request that went out before would be seen at the origin no later than this one.
    assert shared.edge.fetch("/sentinel").body == b"sentinel"
    assert [request.path for request in shared.origin.seen()] == ["/sentinel"], shared.origin.received_bytes()
    assert shared.origin.received_bytes().count(b"HTTP/1.1\r\n") == 1


def test_the_reason_stands_in_the_log(edge):
    edge.fetch("/reason", fields=[("Content-Length", "5x")])
    entry = edge.access_log(1)[0]
    assert (entry["status"], entry["error"]) == (400, "malformed Content-Length")


def test_malformed_requests_are_counted(shared):
    before = shared.edge.metrics()["skerry_requests_malformed_total"]
    shared.edge.fetch("/reason", fields=[("Content-Length", "5x")])
    assert shared.edge.metrics()["skerry_requests_malformed_total"] == before + 1


def test_a_good_request_before_a_bad_one_is_answered(edge, origin):
    origin.on("/good", reply(b"good"))
    with edge.connect() as conn:
        conn.send(build(target="/good") + lengths(b"5", b"6") + SMUGGLED)
        assert conn.response().body == b"good"
        assert conn.response().status == 400
        conn.assert_closed()
    assert [request.path for request in origin.seen()] == ["/good"]


LATER = {"size": b"xyz\r\nhello\r\n", "extension": b"5;" + b"a" * 20000 + b"\r\nhello\r\n", "data": b"3\r\nhello\r\n",
         "trailer": b"0\r\nbad trailer\r\n\r\n"}


@pytest.mark.parametrize("rest", LATER.values(), ids=LATER.keys())
def test_a_later_bad_chunk_ends_the_upload(edge, origin, rest):
    """The head went out in good faith; the origin must see a cut-off message, never a complete one."""
    origin.on("/p", reply(b"done"))
    with edge.connect() as conn:
        conn.send(CHUNKED + b"5\r\nhello\r\n")
        origin.wait_for("/p")
        conn.send(rest + SMUGGLED)
        response = conn.response()
        assert response.status == 400 and response.closes
        conn.assert_closed()
    soon()
    assert origin.last("/p").body is None or origin.last("/p").cut
    assert origin.count("/smuggled") == 0


def test_the_answer_can_be_read_by_a_client_that_keeps_sending(edge):
    """RFC 9112 9.6: the close must not destroy the answer by a reset."""
    with edge.connect() as conn:
        conn.send(lengths(b"5", b"6") + b"x" * 300_000)
        assert conn.response().status == 400
