"""Protocol upgrades (RFC 9110 7.8, RFC 6455): a 101 makes a tunnel, anything else is a response."""

import base64
import hashlib
import os
import threading

from harness.origin import reply

KEY = base64.b64encode(b"sixteen byte key").decode()
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)]
SWITCH = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", ACCEPT)]


def echo(x):
    x.head(101, "Switching Protocols", SWITCH, date=False)
    while data := x.read_some():
        x.send(data)
    x.close()


def open_tunnel(edge, more=()):
    conn = edge.connect()
    response = conn.get("/ws", [*UPGRADE, *more])
    assert response.status == 101, response
    return conn, response


def test_the_handshake_passes_both_ways(edge, origin):
    origin.on("/ws", echo)
    conn, response = open_tunnel(edge, [("Sec-WebSocket-Protocol", "chat"), ("Cookie", "a=b")])
    assert response["upgrade"].lower() == "websocket" and "upgrade" in response["connection"].lower()
    assert response["sec-websocket-accept"] == ACCEPT
    seen = origin.last("/ws").fields
    assert seen.get("upgrade") == "websocket" and "upgrade" in seen.get("connection").lower()
    assert (seen.get("sec-websocket-key"), seen.get("sec-websocket-version")) == (KEY, "13")
    assert (seen.get("sec-websocket-protocol"), seen.get("cookie")) == ("chat", "a=b")
    conn.close()


def test_bytes_are_echoed_unchanged(edge, origin):
    origin.on("/ws", echo)
    conn, _ = open_tunnel(edge)
    for size in (1, 2, 125, 4096, 65537):
        data = os.urandom(size)
        conn.send(data)
        assert conn.read(size) == data
    conn.close()


def test_much_data_in_both_directions_at_once(edge, origin):
    origin.on("/ws", echo)
    conn, _ = open_tunnel(edge)
    data = os.urandom(4 << 20)
    sender = threading.Thread(target=lambda: conn.socket.sendall(data))
    sender.start()
    assert conn.read(len(data)) == data
    sender.join()
    conn.close()


def test_bytes_sent_right_behind_the_handshake_are_not_lost(edge, origin):
    """They belong to the new protocol, whatever they look like."""
    origin.on("/ws", echo)
    from harness.message import build
    with edge.connect() as conn:
        conn.send(build(target="/ws", fields=UPGRADE) + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert conn.response().status == 101
        assert conn.read(35).startswith(b"GET /smuggled")
    assert origin.count("/smuggled") == 0


def test_bytes_sent_right_behind_the_101_are_not_lost(edge, origin):
    def greet(x):
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        x.send(head + b"welcome")
        x.read_some()
        x.close()

    origin.on("/ws", greet)
    conn, _ = open_tunnel(edge)
    assert conn.read(7) == b"welcome"
    conn.close()


def test_the_end_of_either_side_ends_the_other(edge, origin):
    ended = threading.Event()

    def wait_for_end(x):
        x.head(101, "Switching Protocols", SWITCH, date=False)
        while x.read_some():
            pass
        ended.set()

    origin.on("/ws", wait_for_end)
    conn, _ = open_tunnel(edge)
    conn.close()
    assert ended.wait(10)

    def say_goodbye(x):
        x.head(101, "Switching Protocols", SWITCH, date=False)
        x.send(b"goodbye").close()

    origin.on("/ws", say_goodbye)
    conn, _ = open_tunnel(edge)
    assert conn.read(7) == b"goodbye"
    conn.assert_closed()


def test_half_closed_tunnels_go_on_the_other_way(edge, origin):
    def sum_up(x):
        x.head(101, "Switching Protocols", SWITCH, date=False)
        total = 0
        while data := x.read_some():
            total += len(data)
        x.send(b"%d" % total).close()

    origin.on("/ws", sum_up)
    conn, _ = open_tunnel(edge)
    conn.send(b"x" * 100_000).finish_sending()
    assert conn.read_to_end() == b"100000"


def test_a_refused_upgrade_is_an_ordinary_response(edge, origin):
    origin.on("/ws", reply(b"no", 426, "Upgrade Required", [("Upgrade", "other"), ("Cache-Control", "no-store")]))
    origin.on("/next", reply(b"next"))
    with edge.connect() as conn:
        response = conn.get("/ws", UPGRADE)
        assert (response.status, response.body) == (426, b"no")
        assert conn.get("/next").body == b"next"


def test_an_upgrade_request_is_never_answered_from_cache(edge, origin):
    origin.on("/ws", reply(b"page", fields=[("Cache-Control", "max-age=100")]))
    edge.fetch("/ws")
    assert edge.fetch("/ws").hit
    origin.on("/ws", echo)
    conn, _ = open_tunnel(edge)
    conn.send(b"ping")
    assert conn.read(4) == b"ping"
    conn.close()


def test_upgrade_without_connection_means_nothing(edge, origin):
    """RFC 9110 7.8: a sender of Upgrade must also send the connection option."""
    origin.on("/ws", reply(b"plain"))
    assert edge.fetch("/ws", fields=[("Upgrade", "websocket")]).body == b"plain"
    assert "upgrade" not in origin.last().fields


def test_upgrade_in_http_1_0_means_nothing(edge, origin):
    """RFC 9110 7.8."""
    origin.on("/ws", reply(b"plain"))
    with edge.connect() as conn:
        assert conn.get("/ws", UPGRADE, version="1.0").body == b"plain"
    assert "upgrade" not in origin.last().fields


def test_a_101_that_nobody_asked_for_is_an_error(edge, origin):
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw"
    origin.on("/a", lambda x: x.send(switch).close())
    assert edge.fetch("/a").status == 502


def test_a_tunnel_survives_a_reload(new_edge, origin):
    origin.on("/ws", echo)
    edge = new_edge(origin)
    conn, _ = open_tunnel(edge)
    edge.reload()
    conn.send(b"still here")
    assert conn.read(10) == b"still here"
    conn.close()


def test_many_tunnels(edge, origin):
    origin.on("/ws", echo)
    conns = [open_tunnel(edge)[0] for _ in range(30)]
    for i, conn in enumerate(conns):
        conn.send(b"%04d" % i)
    assert [conn.read(4) for conn in conns] == [b"%04d" % i for i in range(30)]
    for conn in conns:
        conn.close()
