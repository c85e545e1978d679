"""Which protocol the clients of the suite speak: SKERRY_E2E_PROTOCOL, h1 (plain HTTP/1.1), h2 (HTTP/2 over TLS) or h3.

With h2 and h3 each edge that a test starts from a configuration gets a TLS listener beside its own, and
`edge.connect()` and `edge.fetch()` go there. A test sends and reads as ever: requests are taken from the bytes of `build()`. What only
HTTP/1.1 can say (raw bytes, half a head, the end of a connection) skips the test, or is marked `h1_only`."""

import atexit
import functools
import os
import pathlib
import shutil
import tempfile

import pytest

from .certs import Authority
from .client import Closed
from .message import Fields, Response, build, parse_fields
from .scale import limit

NAME = os.environ.get("SKERRY_E2E_PROTOCOL", "h1")
assert NAME in ("h1", "h2", "h3"), f"SKERRY_E2E_PROTOCOL={NAME}"


VERSION = {"h1": "1.1", "h2": "2", "h3": "3"}[NAME]


def spelled(fields):
    """FIELDS (name, value) as this protocol has them on the wire."""
    return [(name if NAME == "h1" else name.lower(), value) for name, value in fields]


@functools.cache
def authority():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-protocol-"))
    atexit.register(shutil.rmtree, directory, True)
    return Authority(directory)


@functools.cache
def files():
    return authority().files()


def only_h1(why):
    pytest.skip(f"HTTP/1.1 only: {why}")


def parse(data):
    """(method, target, fields, body, trailers) of the whole requests in DATA; skips the test when it is anything else."""
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        line, _, block = head.partition(b"\r\n")
        words = line.split(b" ")
        if not end or len(words) != 3 or words[2] != b"HTTP/1.1":
            only_h1(f"{data[:60]!r}")
        if not words[1].startswith(b"/"):
            only_h1("another form of the target")
        try:
            fields = parse_fields(block)
        except AssertionError:
            only_h1(f"{data[:60]!r}")
        names = fields.names()
        if {"keep-alive", "proxy-connection"} & set(names) or fields.get("te", "trailers") != "trailers":
            only_h1(f"{fields}")
        if {"upgrade", "connection", "expect"} & set(names) or len(fields.all("host")) != 1:
            only_h1(f"{fields}")
        body, trailers = b"", Fields()
        if "transfer-encoding" in names:
            body, trailers, rest = _chunks(rest)
        elif "content-length" in names:
            length = fields.get("content-length")
            if not length.isdigit() or len(rest) < int(length):
                only_h1("a part of the content")
            body, rest = rest[:int(length)], rest[int(length):]
        yield words[0].decode("latin-1"), words[1].decode("latin-1"), fields, body, trailers
        data = rest


def _chunks(rest):
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        try:
            count = int(size.partition(b";")[0], 16)
        except ValueError:
            only_h1("chunks")
        if not end or len(rest) < count + 2:
            only_h1("a part of the content")
        if not count:
            block, end, after = (b"", b"\r\n", rest[2:]) if rest.startswith(b"\r\n") else rest.partition(b"\r\n\r\n")
            return body, parse_fields(block), after
        body, rest = body + rest[:count], rest[count + 2:]


class MuxConn:
    """The face of harness.client.Conn over one connection of many streams."""

    def __init__(self, address, timeout=10, source=None, receive_buffer=None, tls=None):
        if source or receive_buffer:
            only_h1("options of the socket")
        self.timeout = limit(timeout)
        self.client = self._open(address, timeout)
        self.waiting = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getattr__(self, name):
        only_h1(f"Conn.{name}")

    def send(self, data):
        for method, target, fields, body, trailers in parse(bytes(data)):
            kept = [(name.lower(), value) for name, value in fields if name.lower() not in ("host", "transfer-encoding")]
            content = bool(body) or "content-length" in fields.names() or "transfer-encoding" in fields.names()
            ends = [(name.lower(), value) for name, value in trailers]
            self.waiting.append(self._ask(method, target, kept, fields.get("host"), body if content else None, ends))
        return self

    def request(self, method="GET", target="/", fields=(), **more):
        self.send(build(method, target, fields, **more))
        return self.response(method)

    def get(self, target="/", fields=(), **more):
        return self.request("GET", target, fields, **more)

    def response(self, method="GET", allow_cut=False):
        answer = self._answer(self.waiting.pop(0))
        if (answer.status is None and not (allow_cut and answer.reset is not None)) or (answer.reset is not None and not answer.ended and not allow_cut):
            raise Closed(f"{answer}")
        response = make_response(answer.status, answer.fields, bytes(answer.body), answer.trailers)
        response.informational = [make_response(int(head[0][1]), head[1:], b"", None) for head in answer.informational]
        response.complete = answer.ended
        return response


class H2Conn(MuxConn):
    def _open(self, address, timeout):
        from .h2client import Client
        client = Client(address, authority().client(), checked=False)
        client.socket.settimeout(limit(timeout))
        return client

    def close(self):
        self.client.socket.close()

    def _ask(self, method, target, fields, host, body, trailers):
        while self.client.connection.open_outbound_streams >= 100:
            self.client.read()
        fields = [(name.encode(), value.encode("latin-1")) for name, value in fields]
        stream = self.client.head(method, target, fields, authority=host, end=body is None)
        if body is not None:
            self.client.send(stream, body, end=not trailers)
        if trailers:
            self.client.trailers(stream, trailers)
        return stream

    def _answer(self, stream):
        try:
            return self.client.answer(stream)
        except TimeoutError:
            raise AssertionError(f"nothing came for {self.timeout} s") from None
        except AssertionError as ended:
            raise Closed(str(ended)) from None


class H3Conn(MuxConn):
    open = set()

    def _open(self, address, timeout):
        from .h3client import Client
        client = Client(address, timeout)
        H3Conn.open.add(self)
        return client

    def close(self):
        if self in H3Conn.open:
            H3Conn.open.remove(self)
            self.client.__exit__()

    def _ask(self, method, target, fields, host, body, trailers):
        return self.client.send(target, method, fields, body, authority=host, trailers=trailers or None)

    def _answer(self, stream):
        from .h3client import Closed as Ended
        try:
            self.client.wait(lambda: self.client.finished(stream), "the answer")
        except Ended as ended:
            raise Closed(str(ended)) from None
        return self.client.answer(stream)


def leave():
    """The kernel ends the connections of who is gone, but not those of QUIC."""
    for conn in list(H3Conn.open):
        conn.close()


MUX = {"h2": H2Conn, "h3": H3Conn}.get(NAME)


def make_response(status, fields, body, trailers):
    response = Response.__new__(Response)
    response.raw_head, response.status, response.reason = b"", status, ""
    response.fields, response.trailers = Fields(fields), Fields(trailers or ())
    response.informational, response.body, response.complete = [], body, True
    return response
