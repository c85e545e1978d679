"""WebSockets over HTTP/2 (RFC 8441): an extended CONNECT is the upgrade of HTTP/1.1 to the origin."""

import base64
import hashlib
import os

import pytest
from harness.h2client import Client as H2
from harness.origin import reply
from harness.scale import wait_until

pytestmark = pytest.mark.h1_only  # the protocol is told here


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

    def reset(self, stream):
        self.client.connection.reset_stream(stream)
        self.client.flush()


@pytest.fixture
def edge(new_https, origin):
    origin.default = reply(b"default")
    return new_https(origin)


@pytest.fixture
def over(edge, authority):
    with OverH2(edge, authority) as client:
        yield client


def opened(answer):
    return answer.status is not None


def test_rfc8441_3_the_setting_is_announced(over):
    assert over.allowed()


def test_rfc8441_5_bytes_go_both_ways(edge, origin, over):
    origin.on("/ws", echo)
    stream = over.open(connect_head(fields=[("sec-websocket-protocol", "chat"), ("cookie", "a=b")]))
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
    assert answer.ended and answer.reset in (None, 0)
    seen = origin.last("/ws")
    assert seen.fields.get("upgrade") == "websocket" and "upgrade" in seen.fields.get("connection").lower()
    assert len(base64.b64decode(seen.fields.get("sec-websocket-key"))) == 16
    assert seen.fields.get("cookie") == "a=b" and seen.fields.get("transfer-encoding") is None
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


def test_much_data_waits_for_the_client(edge, origin, authority):
    """Back-pressure: what nobody takes stays with the origin."""
    sent = []

    def pour(x):
        switch(x)
        for _ in range(200):
            x.send(bytes(65536))
            sent.append(65536)
        x.close()
    origin.on("/ws", pour)
    with H2(edge.address, authority.client(), auto=False, checked=False) as client:
        stream = client.head(pseudo=connect_head(), end=False)
        client.answer(stream, lambda a: len(a.body) >= 60_000)
        wait_until(lambda: len(sent) > 0)
        wait_until(lambda: (before := len(sent)) and not _moves(sent, before), 10, "the origin to wait")
        assert sum(sent) < 200 * 65536
        client.auto = True
        client.connection.increment_flow_control_window(20_000_000)
        client.connection.increment_flow_control_window(20_000_000, stream)
        client.flush()
        assert len(client.answer(stream).body) == 200 * 65536


def _moves(sent, before):
    import time
    time.sleep(0.3)
    return len(sent) != before


def test_the_origins_end_is_the_streams(origin, edge, over):
    def greet(x):
        switch(x)
        x.send(b"bye")
        x.close()
    origin.on("/ws", greet)
    answer = over.answer(over.open(connect_head()))
    assert answer.status == 200 and bytes(answer.body) == b"bye" and answer.ended


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


@pytest.mark.parametrize("head", [
    [field for field in connect_head() if field[0] != ":path"],
    [field for field in connect_head() if field[0] != ":scheme"],
    [(":method", "GET") if field[0] == ":method" else field for field in connect_head()],
], ids=["no path", "no scheme", "no CONNECT"])
def test_rfc8441_4_a_malformed_connect_is_a_stream_error(origin, edge, over, head):
    answer = over.answer(over.open(head))
    assert answer.status in (None, 400) and (answer.reset is not None or answer.status)
    assert origin.count() == 0 and over.client.get("/after").status == 200


def test_other_protocols_are_not_served(origin, edge, over):
    answer = over.answer(over.open(connect_head(protocol="connect-udp")))
    assert answer.status == 501 and origin.count() == 0


def test_a_silent_tunnel_ends(new_https, origin, authority):
    origin.on("/ws", echo)
    edge = new_https(origin, timeouts={"tunnel": "1s"})
    with OverH2(edge, authority) as over:
        stream = over.open(connect_head())
        over.answer(stream, opened)
        answer = over.answer(stream)
        assert answer.ended or answer.reset is not None
