"""WebSockets over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220): an extended CONNECT is the upgrade of HTTP/1.1 to the origin."""

import base64
import hashlib
import os
import threading
import time

import pytest
from harness.h2client import Client as H2
from harness.h3client import Client as H3
from harness.h3client import Closed
from harness.origin import reply
from harness.scale import wait_until

pytestmark = pytest.mark.h1_only  # the protocols are told here


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def switch(x, more=(), accept=None):
    answer = accept or accept_of(x.request.fields.get("sec-websocket-key"))
    x.head(101, "Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "websocket"),
                                        ("Sec-WebSocket-Accept", answer), *more], date=False)


def echo(x):
    switch(x, [("Sec-WebSocket-Protocol", "chat")])
    while data := x.read_some():
        x.send(data)
    x.close()


def connect_head(path="/ws", protocol="websocket", fields=()):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":authority", "example.test"),
            (":path", path), ("sec-websocket-version", "13"), *fields]


class OverH2:
    cancelled = 8  # CANCEL

    def __init__(self, edge, authority):
        self.client = H2(edge.address, authority.client(), checked=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.__exit__()

    def allowed(self):
        while self.client.settings is None:
            assert self.client.read()
        return any(int(code) == 8 and change.new_value == 1 for code, change in self.client.settings.items())

    def open(self, head, end=False):
        return self.client.head(pseudo=head, end=end)

    def answer(self, stream, until=None):
        return self.client.answer(stream, until)

    def send(self, stream, data=b"", end=False):
        self.client.send(stream, data, end)

    def send_some(self, stream, data):
        """As much of it as there is room for; how much."""
        self.client.socket.settimeout(0.01)
        try:
            self.client.read()  # windows
        except TimeoutError:
            pass
        self.client.socket.settimeout(self.client.timeout)
        room = self.client.connection.local_flow_control_window(stream)
        self.client.send(stream, data[:room])
        return min(room, len(data))

    def reset(self, stream):
        self.client.connection.reset_stream(stream)
        self.client.flush()

    def left(self):
        """The edge has said that it takes no new requests, and then closed."""
        return self.client.wait_closed() is not None


class OverH3:
    cancelled = 0x10c  # H3_REQUEST_CANCELLED

    def __init__(self, edge, authority):
        self.client, self.queued = H3(edge.address), {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.__exit__()

    def allowed(self):
        http = self.client.http
        self.client.wait(lambda: http.received_settings is not None, "SETTINGS")
        return http.received_settings.get(8) == 1

    def open(self, head, end=False):
        stream = self.client.quic.get_next_available_stream_id()
        self.client.http.send_headers(stream, [(name.encode(), value.encode()) for name, value in head], end)
        self.client.flush()
        return stream

    def answer(self, stream, until=None):
        answer = self.client.answer(stream)
        self.client.wait(lambda: (until or (lambda a: a.ended or a.reset is not None))(answer), "the answer")
        return answer

    def send(self, stream, data=b"", end=False):
        self.client.http.send_data(stream, data, end)
        self.client.flush()

    def send_some(self, stream, data):
        """All of it waits in the client for its window; how much has left it since the last time."""
        if data and stream not in self.queued:
            self.send(stream, data)
            self.queued[stream] = 0
        self.client.step(0.01)
        left = self.client.quic._streams[stream].sender.highest_offset
        self.queued[stream], before = left, self.queued[stream]
        return left - before

    def reset(self, stream):
        self.client.quic.reset_stream(stream, 0x10c)
        self.client.quic.stop_stream(stream, 0x10c)
        self.client.flush()

    def left(self):
        self.client.wait(lambda: self.client.terminated, "the end")
        return self.client.terminated.error_code == 0x100


@pytest.fixture
def edge(new_https, origin):
    origin.default = reply(b"default")
    return new_https(origin)


PROTOCOLS = pytest.mark.parametrize("protocol", [OverH2, OverH3], ids=["h2", "h3"])


@pytest.fixture(params=[OverH2, OverH3], ids=["h2", "h3"])
def over(request, edge, authority):
    with request.param(edge, authority) as client:
        yield client


def opened(answer):
    return answer.status is not None


def test_rfc8441_3_the_setting_is_announced(over):
    assert over.allowed()


def test_rfc8441_5_bytes_go_both_ways(edge, origin, over):
    origin.on("/ws", echo)
    stream = over.open(connect_head(fields=[("sec-websocket-protocol", "chat"), ("cookie", "a=b"), ("origin", "https://a.test")]))
    answer = over.answer(stream, opened)
    assert answer.status == 200 and answer["sec-websocket-protocol"] == "chat"
    for name in ("sec-websocket-accept", "upgrade", "connection", "content-length"):
        assert answer[name] is None, answer.fields
    sent = b""
    for size in (1, 125, 4096, 200_000):
        data = os.urandom(size)
        over.send(stream, data)
        sent += data
        over.answer(stream, lambda a: len(a.body) == len(sent))
        assert bytes(answer.body) == sent
    over.send(stream, end=True)
    over.answer(stream)
    assert answer.ended and answer.reset in (None, 0, 0x100)  # no error
    seen = origin.last("/ws")
    assert seen.fields.get("upgrade") == "websocket" and "upgrade" in seen.fields.get("connection").lower()
    assert len(base64.b64decode(seen.fields.get("sec-websocket-key"))) == 16
    assert seen.fields.get("sec-websocket-version") == "13" and seen.fields.get("sec-websocket-protocol") == "chat"
    assert seen.fields.get("cookie") == "a=b" and seen.fields.get("origin") == "https://a.test"
    assert seen.fields.get("transfer-encoding") is None
    entry = edge.access_log(1)[-1]
    assert entry["target"] == "/ws" and entry["status"] == 200 and entry["origin_status"] == 101
    assert entry["body_bytes"] == len(sent)


def test_other_requests_go_on_beside_it(edge, origin, over):
    origin.on("/ws", echo)
    stream = over.open(connect_head())
    over.answer(stream, opened)
    assert over.client.get("/beside").status == 200
    over.send(stream, b"still there")
    assert bytes(over.answer(stream, lambda a: len(a.body) == 11).body) == b"still there"


def pour(sent, pieces):
    def script(x):
        switch(x)
        for _ in range(pieces):
            x.send(bytes(65536))
            sent.append(65536)
        x.close()
    return script


def rests(value, what):
    """VALUE() stays as it is."""
    def stays():
        before = value()
        time.sleep(0.3)
        return value() == before
    wait_until(stays, 20, what)


def test_much_data_waits_for_the_client(edge, origin, authority):
    """Back-pressure: what nobody takes stays with the origin."""
    sent = []
    origin.on("/ws", pour(sent, 200))
    with H2(edge.address, authority.client(), auto=False, checked=False) as client:
        stream = client.head(pseudo=connect_head(), end=False)
        client.answer(stream, lambda a: len(a.body) >= 60_000)
        rests(lambda: len(sent), "the origin to wait")
        assert 0 < sum(sent) < 200 * 65536
        client.auto = True
        client.connection.increment_flow_control_window(20_000_000)
        client.connection.increment_flow_control_window(20_000_000, stream)
        client.flush()
        assert len(client.answer(stream).body) == 200 * 65536


def test_much_data_waits_for_the_client_over_h3(edge, origin, authority):
    """The same of one that acknowledges nothing for a while."""
    sent = []
    origin.on("/ws", pour(sent, 200))
    with OverH3(edge, authority) as over:
        stream = over.open(connect_head())
        over.answer(stream, lambda a: len(a.body) >= 60_000)
        rests(lambda: len(sent), "the origin to wait")
        assert 0 < sum(sent) < 200 * 65536
        before = len(sent)
        over.answer(stream, lambda a: len(a.body) >= 2_000_000)
        wait_until(lambda: len(sent) > before, what="the origin to go on")


def test_much_data_waits_for_the_origin(edge, origin, over):
    """The other way: what the origin does not read stays with the client."""
    go, total, size = threading.Event(), [0], 14_000_000

    def swallow(x):
        switch(x)
        x.wait(go)
        while data := x.read_some():
            total[0] += len(data)
        x.close()
    origin.on("/ws", swallow)
    stream, data, sent, still = over.open(connect_head()), bytes(size), 0, 0
    over.answer(stream, opened)
    while still < 30:  # looks in a row at which nothing went
        n = over.send_some(stream, data[sent:])
        sent, still = sent + n, 0 if n else still + 1
    assert 0 < sent < size, "all of it went somewhere"
    enough = sent + 500_000
    go.set()
    while total[0] < enough:
        sent += over.send_some(stream, data[sent:])
    over.reset(stream)


def test_the_origins_end_is_the_streams(origin, edge, over):
    def greet(x):
        switch(x)
        x.send(b"bye")
        x.close()
    origin.on("/ws", greet)
    answer = over.answer(over.open(connect_head()))
    assert answer.status == 200 and bytes(answer.body) == b"bye" and answer.ended


def test_the_origins_reset_is_the_streams(origin, edge, over):
    """RFC 8441 5, RFC 9220 3: as a stream error of that kind."""
    def fail(x):
        switch(x)
        x.send(b"half of it")
        x.read_some()
        x.reset()
    origin.on("/ws", fail)
    stream = over.open(connect_head())
    over.answer(stream, lambda a: len(a.body) == 10)
    over.send(stream, b"?")
    assert over.answer(stream).reset == over.cancelled
    assert over.client.get("/after").status == 200


def test_a_reset_of_the_client_ends_it_at_the_origin(origin, edge, over):
    ended = []

    def listen(x):
        switch(x)
        while x.read_some():
            pass
        ended.append(True)
        x.close()
    origin.on("/ws", listen)
    stream = over.open(connect_head())
    over.answer(stream, opened)
    over.reset(stream)
    wait_until(lambda: ended, what="the origin to see the end")
    assert over.client.get("/after").status == 200


@pytest.mark.parametrize("script, status", [
    (reply(b"no", status=403), 403),
    (reply(b"a page"), 502),  # RFC 8441 5: a 2xx would be the tunnel
    (lambda x: (switch(x, accept="wrong"), x.close()), 502),  # RFC 6455 4.1
], ids=["refused", "a page", "a wrong accept"])
def test_an_origin_that_does_not_switch(origin, edge, over, script, status):
    origin.on("/ws", script)
    answer = over.answer(over.open(connect_head()))
    assert answer.status == status and b"a page" not in bytes(answer.body)
    assert over.client.get("/after").status == 200


@pytest.mark.parametrize("missing", [":scheme", ":path"])
def test_rfc8441_4_scheme_and_path_are_needed(origin, edge, over, missing):
    head = [field for field in connect_head() if field[0] != missing]
    try:
        answer = over.answer(over.open(head))
        assert answer.status == 400 or answer.reset is not None, answer
    except Closed as closed:
        assert over.client.terminated.error_code == 0x10e, closed  # H3_MESSAGE_ERROR
    assert origin.count() == 0


def test_rfc9220_3_other_protocols_are_not_served(origin, edge, over):
    answer = over.answer(over.open(connect_head(protocol="connect-udp")))
    assert answer.status == 501 and origin.count() == 0


@PROTOCOLS
def test_a_silent_tunnel_ends(new_https, origin, authority, protocol):
    origin.on("/ws", echo)
    edge = new_https(origin, timeouts={"tunnel": "1s"})
    with protocol(edge, authority) as over:
        stream = over.open(connect_head())
        over.answer(stream, opened)
        answer = over.answer(stream)
        assert answer.ended or answer.reset is not None


@PROTOCOLS
def test_a_tunnel_goes_on_while_its_edge_drains(edge, origin, authority, protocol):
    """It is a request in progress: the connection ends behind it."""
    origin.on("/ws", echo)
    with protocol(edge, authority) as over:
        stream = over.open(connect_head())
        over.answer(stream, opened)
        edge.send_signal(15)
        for n in range(1, 15):  # the first word, and a second later the last one
            over.send(stream, b"x" * 10)
            assert len(over.answer(stream, lambda a: len(a.body) == 10 * n).body) == 10 * n
            time.sleep(0.1)
        over.send(stream, end=True)
        assert over.answer(stream).ended and over.left()
