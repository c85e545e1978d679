"""HTTP/3 to clients (RFC 9114) over QUIC (RFC 9000): messages, flow control, what is refused, moving clients, and
the end. The client's side is aioquic; curl is asked where it can."""

import os
import random
import socket
import subprocess
import threading
import time

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.tls import Epoch
from harness.h3client import Client, Closed
from harness.origin import chunk, reply
from harness.scale import SLOW, duration, limit, seconds, wait_until

FRESH = [("Cache-Control", "max-age=60")]
NO_ERROR, INTERNAL, EXCESSIVE_LOAD, REJECTED, MESSAGE = 0x100, 0x102, 0x107, 0x10b, 0x10e
HEADERS_FRAME, DATA_FRAME = 1, 0


@pytest.fixture
def edge(new_https, origin):
    return new_https(origin)


@pytest.fixture
def client(edge):
    with Client(edge.address) as client:
        yield client


# --- messages


def test_a_request_and_a_hit(edge, origin, client):
    origin.on("/a", reply(body=b"hello", fields=[*FRESH, ("X-Mixed-Case", "Yes")]))
    first, second = client.get("/a"), client.get("/a")
    assert (first.status, first.body, second.body) == (200, b"hello", b"hello")
    assert "hit" in second["cache-status"] and second["x-mixed-case"] == "Yes"
    assert second["content-length"] == "5"
    assert not {"connection", "transfer-encoding", "keep-alive", "alt-svc"} & {name for name, _ in second.fields}
    assert origin.count("/a") == 1
    entries = edge.access_log(2)
    assert [entry["protocol"] for entry in entries] == ["HTTP/3", "HTTP/3"]
    assert entries[1]["hit"] and entries[1]["body_bytes"] == 5 and entries[1]["tls_version"] == "TLSv1.3"
    metrics = edge.metrics()
    assert metrics["skerry_quic_connections_total"] == 1 == metrics["skerry_connections_total"]


def test_the_round_trips_of_clients_are_told(edge, origin):
    """What routers learn from: the least one of each connection, by network."""
    origin.on("/a", reply(body=b"a", fields=FRESH))
    for _ in range(5):
        with Client(edge.address) as client:
            assert client.get("/a").status == 200

    def measured():
        lines = dict(line.split(" ", 1) for line in edge.admin("/rtt").text.splitlines())
        return lines.get("127.0.0.0/24")
    count, p50, p90 = map(float, wait_until(measured, 10, "a line for the clients").split())
    assert 1 <= count <= 5 and 0 < p50 <= p90 < 1000 * seconds(1)


def curl(edge, path, *arguments):
    return subprocess.run(["curl", "-sSk", "--max-time", str(limit(20)), "-w", "%{http_version} %{http_code}",
                           *arguments, f"https://{edge.listen}{path}"], capture_output=True, timeout=limit(30))


def test_curl_finds_http3_by_itself_and_with_a_hybrid_group(edge, origin, tmp_path):
    """RFC 7838; the ClientHello with X25519MLKEM768 takes two datagrams (RFC 9000 8.1: within the limit)."""
    content = os.urandom(200_000)
    origin.on("/c", reply(body=content, fields=FRESH))
    assert curl(edge, "/c", "--http3-only").stdout == content + b"3 200"
    memory = tmp_path / "alt-svc"
    memory.write_text("")
    told = curl(edge, "/c", "-D", "-", "-o", str(tmp_path / "x"), "--http2").stdout.decode().lower()
    assert f'alt-svc: h3=":{edge.address[1]}"; ma=86400' in told and told.endswith("2 200")
    told = curl(edge, "/c", "-D", "-", "-o", str(tmp_path / "x"), "--http1.1").stdout.decode().lower()
    assert f'alt-svc: h3=":{edge.address[1]}"; ma=86400' in told and told.endswith("1.1 200")
    entry = edge.access_log(1)[0]
    assert (entry["protocol"], entry["tls_group"]) == ("HTTP/3", "X25519MLKEM768")


def test_http3_may_be_left_out(new_https, origin, authority):
    edge = new_https(origin, listener={"http3": False})
    with pytest.raises(AssertionError):
        Client(edge.address, timeout=0.4)
    assert b"alt-svc" not in curl(edge, "/", "-D", "-", "-o", "/dev/null").stdout.lower()


def test_http3_can_be_turned_off_and_on_by_a_reload(edge, origin, client):
    origin.on("/o", reply(body=b"o"))
    edge.configuration["listeners"][0]["http3"] = False
    edge.write(edge.configuration)
    edge.reload()
    assert client.get("/o").body == b"o"  # who is there stays
    with pytest.raises(Closed):
        Client(edge.address)
    edge.configuration["listeners"][0]["http3"] = True
    edge.write(edge.configuration)
    edge.reload()
    with Client(edge.address) as second:
        assert second.get("/o").body == b"o"


def test_an_origins_alt_svc_is_its_own(edge, origin, client):
    """RFC 7838: it speaks of the origin's address."""
    origin.on("/alt", reply(body=b"x", fields=[*FRESH, ("Alt-Svc", 'h3=":9999"')]))
    assert client.get("/alt")["alt-svc"] is None and client.get("/alt")["alt-svc"] is None


@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 3_000_001])
def test_bodies_of_every_size(origin, client, size):
    content = os.urandom(size)
    origin.on("/b", reply(body=content, fields=FRESH))
    for _ in range(2):
        answer = client.get("/b")
        assert answer.status == 200 and answer.body == content and answer.ended


def test_a_large_body(edge, origin, tmp_path):
    content = os.urandom(1 << 20) * 40
    origin.on("/large", reply(body=content, fields=FRESH))
    for _ in range(2):
        result = curl(edge, "/large", "--http3-only", "-o", str(tmp_path / "large"))
        assert result.stdout == b"3 200", result.stderr
        assert (tmp_path / "large").read_bytes() == content


def test_a_body_of_unknown_length(origin, client):
    content = os.urandom(200_000)
    origin.on("/c", reply(body=content, chunked=True, pieces=7, fields=FRESH))
    for _ in range(2):
        assert client.get("/c").body == content


def test_an_end_that_comes_after_all_content_is_told(origin, client):
    """Also where no packet may go out just then (pacing, the congestion window)."""
    def late(x):
        x.head(200, chunked=True)
        x.send(chunk(bytes(100_000))).sleep(0.002).send(b"0\r\n\r\n")
    origin.on("/late", late)
    for _ in range(30):
        answer = client.get("/late")
        assert answer.ended and len(answer.body) == 100_000


def test_many_streams_at_once(origin, client):
    bodies = {f"/m{i}": os.urandom(20_000 + i) for i in range(60)}
    for path, body in bodies.items():
        origin.on(path, reply(body=body, fields=FRESH))
    for _ in range(2):
        streams = {path: client.send(path) for path in bodies}
        client.wait(lambda: all(client.finished(s) for s in streams.values()), "all answers")
        for path, stream in streams.items():
            assert client.answer(stream).body == bodies[path]


def test_more_requests_than_streams_at_a_time(origin, client):
    """RFC 9000 4.6: what is over gives room for what comes."""
    origin.on("/n", reply(body=b"n", fields=FRESH))
    for _ in range(6):
        streams = [client.send("/n") for _ in range(50)]
        client.wait(lambda: all(client.finished(s) for s in streams), "all answers")
        assert all(client.answer(s).body == b"n" for s in streams)


def test_head_204_304_and_ranges(edge, origin, client):
    origin.on("/h", reply(body=b"0123456789", fields=[*FRESH, ("ETag", '"x"')]))
    origin.on("/n", reply(status=204, reason="No Content"))
    client.get("/h")
    head = curl(edge, "/h", "--http3-only", "-I").stdout.lower()  # aioquic wants the content
    assert b"content-length: 10\r\n" in head and head.endswith(b"3 200")
    same = client.get("/h", fields=[("if-none-match", '"x"')])
    assert (same.status, same.body, same["content-length"]) == (304, b"", None)
    part = client.get("/h", fields=[("range", "bytes=2-4")])
    assert (part.status, part.body) == (206, b"234")
    parts = client.get("/h", fields=[("range", "bytes=0-1,8-9")])
    assert parts.status == 206 and b"01" in parts.body and b"89" in parts.body
    assert len(parts.body) == int(parts["content-length"])
    none = client.get("/n")
    assert (none.status, none.body, none.ended) == (204, b"", True)


def test_an_upload_and_its_windows(origin, client):
    content, seen = os.urandom(2_500_000), []

    def take(x):
        seen.append(x.read_body())
        x.reply(b"ok")
    origin.on("/up", take)
    assert client.get("/up", method="POST", body=content).body == b"ok"
    assert client.get("/up", method="POST", body=b"abc", fields=[("content-length", "3")]).body == b"ok"
    assert seen == [content, b"abc"]


def test_a_slow_origin_holds_the_upload_back(edge, origin, client):
    """Windows follow what was consumed: no more than the window is kept here."""
    go, content = threading.Event(), bytes(14_000_000)

    def take(x):
        go.wait(limit(20))
        x.reply(str(len(x.read_body())).encode())
    origin.on("/slow", take, eager=True)
    before = edge.rss_kib()
    stream = client.send("/slow", method="POST", body=content)
    end = time.monotonic() + seconds(1)
    while time.monotonic() < end:
        client.step()
    assert client.quic._streams[stream].sender._buffer_start < len(content)  # what is acknowledged
    assert SLOW > 1 or edge.rss_kib() - before < 6_000
    go.set()
    client.timeout = limit(60)
    client.wait(lambda: client.finished(stream), "the answer")
    assert client.answer(stream).body == str(len(content)).encode()


def test_trailers_both_ways(origin, client):
    seen = []

    def take(x):
        x.read_body()
        seen.append(x.request.trailers)
        x.reply(b"body", chunked=True, trailers=[("X-Sum", "abc")])
    origin.on("/t", take)
    answer = client.get("/t", method="POST", fields=[("te", "trailers")], body=b"x", trailers=[("x-end", "1")])
    assert answer.body == b"body" and answer.trailers == [("x-sum", "abc")]
    assert [(name.lower(), value) for name, value in seen[0]] == [("x-end", "1")]


def test_informational_responses(edge, origin, client):
    def hint(x):
        x.head(103, "Early Hints", [("Link", "</s.css>; rel=preload")], date=False)
        x.reply(b"done")
    origin.on("/hint", hint)
    told = curl(edge, "/hint", "--http3-only", "-D", "-").stdout  # aioquic knows no 1xx
    assert told.startswith(b"HTTP/3 103") and b"\r\nHTTP/3 200" in told and told.endswith(b"done3 200")

    def take(x):
        x.reply(x.read_body())
    origin.on("/expect", take)
    told = curl(edge, "/expect", "--http3-only", "-H", "Expect: 100-continue", "-d", "now", "-D", "-").stdout
    assert told.endswith(b"now3 200")


def test_the_answer_may_come_before_the_request_ends(origin, client):
    """RFC 9114 4.1: STOP_SENDING with H3_NO_ERROR tells that the rest is not needed."""
    stream = client.send("/large", method="POST", fields=[("content-length", str(10 ** 12))], end=False)
    client.wait(lambda: client.answer(stream).ended and stream in client.stopped, "the answer and the word")
    assert client.answer(stream).status == 413 and client.stopped[stream] == NO_ERROR
    assert client.get("/after").status


def test_early_answers_are_no_abuse(edge, client):
    """RFC 9000 3.5: the client resets what it is told not to send, and that is not charged to it."""
    large = [("content-length", str(10 ** 12))]
    for _ in range(16):
        streams = [client.send("/large", "POST", large, end=False) for _ in range(50)]
        client.wait(lambda: all(client.finished(s) and s in client.stopped for s in streams), "the refusals")
        assert {client.answer(s).status for s in streams} == {413}
    assert edge.metrics()["skerry_h3_abused_total"] == 0


def test_long_fields_are_no_abuse(edge, origin, client):
    """RFC 9114 4.2: a cookie may take several packets, which show only as bytes until all of it is there."""
    origin.on("/cookies", reply(body=b"c", fields=FRESH))
    for n in range(250):
        assert client.get("/cookies", fields=[("cookie", f"{n}=" + os.urandom(3000).hex())]).status == 200
    assert edge.metrics()["skerry_h3_abused_total"] == 0


def test_a_cut_answer_is_a_reset_stream(origin, client):
    def cut(x):
        x.head(200, "OK", [("Content-Length", "100000")])
        x.send(b"half")
        x.reset()
    origin.on("/cut", cut)
    answer = client.get("/cut")
    assert answer.reset == INTERNAL and not answer.ended
    assert client.get("/").status


def test_a_client_that_resets_leaves_others_alone(edge, origin, client):
    go = threading.Event()
    origin.on("/late", lambda x: (go.wait(limit(10)), x.reply(b"late")))
    stream = client.send("/late", end=False)
    wait_until(lambda: client.step() or True)
    client.quic.reset_stream(stream, 0x10c)
    client.quic.stop_stream(stream, 0x10c)
    client.flush()
    assert client.get("/other").status
    go.set()
    wait_until(lambda: any(entry.get("aborted") for entry in edge.access_log()))


# --- what is refused


@pytest.mark.parametrize("path, host, status", [
    ("no-slash", "example.test", 400), ("*", "example.test", 400), ("/", "a b", 400), ("/", "u@example.test", 400)])
def test_requests_that_are_answered_with_an_error(client, path, host, status):
    """The library's own rules come first: what they find ends the connection (RFC 9114 8 allows it)."""
    try:
        assert client.get(path, authority=host).status == status
        assert client.get("/").status
    except Closed:
        assert client.terminated.error_code == MESSAGE


@pytest.mark.parametrize("fields, status", [
    ([("host", "other.test")], 400), ([("host", "localhost")], 200), ([("expect", "something")], 417),
    ([(f"x{i}", "1") for i in range(101)], 431),
    ([("cookie", f"c{i}=1") for i in range(300)], 200)])
def test_fields_that_are_answered(origin, client, fields, status):
    origin.on("/", reply(body=b"ok"))
    assert client.get("/", fields=fields).status == status
    assert client.get("/").status == 200


@pytest.mark.parametrize("fields", [
    [("connection", "close")], [("transfer-encoding", "chunked")], [("upgrade", "x")], [("te", "gzip")],
    [("Upper", "x")], [("content-length", "1"), ("content-length", "2")], [("content-length", "-1")],
    [(":late", "x")], [("keep-alive", "1")]])
def test_malformed_requests_end_the_connection(edge, origin, client, fields):
    """RFC 9114 4.1.2, 4.2; 8: the error of a stream may be one of its connection"""
    with pytest.raises(Closed):
        assert client.get("/bad", fields=fields).status == 400
        raise Closed
    assert client.terminated is None or client.terminated.error_code == MESSAGE
    with Client(edge.address) as other:
        assert other.get("/").status
    assert not origin.count("/bad")


def test_content_length_must_be_right(client):
    """RFC 9114 4.1.2"""
    with pytest.raises(Closed):
        client.get("/len", method="POST", fields=[("content-length", "3")], body=b"1234567")
    assert client.terminated.error_code == MESSAGE


def test_heads_over_the_limits(edge):
    assert curl(edge, "/", "--http3-only", "-o", "/dev/null", "-H", "x: " + "y" * 40_000).stdout == b"3 431"
    assert curl(edge, "/" + "x" * 9000, "--http3-only", "-o", "/dev/null").stdout == b"3 414"


def http_frame(kind, data):
    return encode_uint_var(kind) + encode_uint_var(len(data)) + data


@pytest.mark.parametrize("data, error", [
    (http_frame(DATA_FRAME, b"first"), 0x105),  # RFC 9114 4.1: content before the head
    (http_frame(HEADERS_FRAME, b"\xff\xff\xff\xff"), 0x200),  # RFC 9204 2.2: not to be decoded
    (http_frame(4, b""), 0x105), (http_frame(7, b"\0"), 0x105), (http_frame(2, b""), 0x105)])
def test_frames_that_end_the_connection(client, data, error):
    client.get("/")
    client.raw_stream(data)
    client.wait(lambda: client.terminated or None, "the end") if client.terminated is None else None
    assert client.terminated.error_code == error


def test_unknown_frames_and_streams_are_ignored(client):
    """RFC 9114 9: grease"""
    uni = client.quic.get_next_available_stream_id(is_unidirectional=True)
    client.quic.send_stream_data(uni, encode_uint_var(0x21) + b"anything", True)
    stream = client.quic.get_next_available_stream_id()
    client.quic.send_stream_data(stream, http_frame(0x21, b"grease") + http_frame(0x1f * 7 + 0x21, b""), False)
    client.http.send_headers(stream, [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"),
                                      (b":path", b"/")], end_stream=True)
    client.wait(lambda: client.finished(stream), "the answer")
    assert client.answer(stream).status and client.get("/").status


# --- flow control and time


def test_the_clients_window_is_respected(edge, origin):
    origin.on("/w", reply(body=bytes(3_000_000), fields=FRESH))
    with Client(edge.address, window=65536) as client:
        client.quic._write_stream_limits = lambda **_: None  # reads, and gives no more room
        stream = client.send("/w")
        client.wait(lambda: len(client.answer(stream).body) > 60000, "a window of it")
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            client.step()
        assert len(client.answers[stream].body) <= 65536
        del client.quic._write_stream_limits
        client.wait(lambda: len(client.answers[stream].body) == 3_000_000, "the rest")


def test_a_hit_outlives_its_purge_and_the_memory_that_is_wanted(new_https, origin):
    """What a client has not acknowledged stays as it was, however slowly it reads."""
    body, other = random.Random(5).randbytes(1_000_000), bytes(4_000_000)
    edge = new_https(origin, memory="16MiB")
    origin.on("/w", reply(body=body, fields=FRESH))
    with Client(edge.address) as client:
        assert client.get("/w").body == body
    with Client(edge.address, window=65536) as slow:
        slow.quic._write_stream_limits = lambda **_: None
        stream = slow.send("/w")
        slow.wait(lambda: len(slow.answers[stream].body) > 60000, "a window full")
        assert edge.admin("/purge", "POST", [("Content-Type", "application/json")], body=b'{"all": true}').status == 200
        for i in range(8):
            origin.on(f"/other{i}", reply(body=other, fields=FRESH))
            assert curl(edge, f"/other{i}", "--http1.1", "-o", "/dev/null").stdout == b"1.1 200"
        del slow.quic._write_stream_limits
        slow.wait(lambda: slow.finished(stream), "the rest")
        assert slow.answers[stream].body == body


def test_what_is_lost_is_sent_again(edge, origin, client):
    """RFC 9002; every fiftieth datagram, and now and then eight of a train"""
    body, dice = random.Random(6).randbytes(300_000), random.Random(7)
    origin.on("/l", reply(body=body, fields=FRESH))
    assert client.get("/l").body == body
    receive, lose = client.quic.receive_datagram, [0]

    def receive_some(data, source, now):
        lose[0] = max(lose[0] - 1, 8 if dice.random() < 0.005 else 0)
        if not lose[0] and dice.random() > 0.02:
            receive(data, source, now=now)
    client.quic.receive_datagram = receive_some
    assert client.get("/l").body == body


def test_who_acknowledges_nothing_is_let_go(new_https, origin):
    """What it keeps from the cache by that is given back."""
    edge = new_https(origin, timeouts={"write": "1s"})
    origin.on("/a", reply(body=bytes(8000), fields=FRESH))
    with Client(edge.address) as client:
        client.get("/a")
        client.send("/a")
        client.flush = lambda: client.quic.datagrams_to_send(now=time.monotonic())
        client.wait(lambda: client.terminated is not None, "the end")
        assert client.terminated.error_code == EXCESSIVE_LOAD
        wait_until(lambda: edge.metrics()["skerry_client_timeouts_total"] == 1)


def test_a_silent_client_is_let_go(new_https, origin):
    """RFC 9000 10.1"""
    edge = new_https(origin, timeouts={"keep_alive": "1s"})
    with Client(edge.address) as client:
        client.get("/")
        client.socket.close()
        client.socket = client._new_socket()
        wait_until(lambda: edge.metrics()["skerry_connections"] == 0)
        client.terminated = True


def test_an_idle_connection_is_told(new_https, origin):
    """A client that only keeps the connection alive is not served for ever: GOAWAY, then H3_NO_ERROR."""
    edge = new_https(origin, timeouts={"keep_alive": "1s"})
    with Client(edge.address) as client:
        client.get("/")
        end = time.monotonic() + limit(10)
        while client.terminated is None and time.monotonic() < end:
            client.quic.send_ping(int(time.monotonic() * 1000))
            client.step(0.1)
        assert client.terminated.error_code == NO_ERROR


def test_a_slow_upload_is_a_408(new_https, origin):
    edge = new_https(origin, timeouts={"body": "500ms"})
    with Client(edge.address) as client:
        stream = client.send("/s", method="POST", body=b"x", end=False)
        client.wait(lambda: client.answer(stream).status, "the answer")
        assert client.answer(stream).status == 408


def test_a_head_may_not_take_for_ever(new_https, origin):
    edge = new_https(origin, timeouts={"header": "700ms"})
    with Client(edge.address) as client:
        stream = client.raw_stream(encode_uint_var(HEADERS_FRAME) + encode_uint_var(100) + b"\0\0\xd1\xd7", end=False)
        client.wait(lambda: client.answer(stream).reset is not None or client.terminated, "the end of it")


def test_drain_answers_what_runs_and_says_goaway(edge, origin, client):
    go = threading.Event()
    origin.on("/run", lambda x: (go.wait(limit(10)), x.reply(b"done")))
    stream = client.send("/run")
    client.wait(lambda: origin.count("/run"), "it to be begun")
    edge.send_signal(15)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        client.step()
    go.set()
    client.wait(lambda: client.finished(stream), "the answer")
    assert client.answer(stream).body == b"done"
    while client.terminated is None:
        client.step()
    assert client.terminated.error_code == NO_ERROR


def test_upgrades_lose_no_connection(new_https, origin):
    """What comes for the old process goes to it by the new one; who connects meets the new one."""
    edge = new_https(origin, threads=2)
    content = os.urandom(300_000)
    origin.on("/u", reply(body=content, fields=FRESH))
    go = threading.Event()
    origin.on("/late", lambda x: (go.wait(limit(20)), x.reply(content)))
    clients = [Client(edge.address) for _ in range(6)]
    streams = [client.send("/late", method="POST", body=bytes(50_000)) for client in clients]
    wait_until(lambda: [client.step(0.01) for client in clients] and origin.count("/late") == 6)
    edge.upgrade(wait_old=False)
    for client in clients:  # RFC 9114 5.2: what is asked after the last word is not begun
        answer = client.get("/u")
        assert answer.body == content or answer.reset == REJECTED
    with Client(edge.address) as fresh:
        assert fresh.get("/u").body == content
    go.set()
    for client, stream in zip(clients, streams):
        client.wait(lambda: client.finished(stream), "the answer")
        assert client.answer(stream).body == content
        client.__exit__()


# --- QUIC


def test_a_client_may_move(new_https, origin):
    """RFC 9000 9: its packets come from another address, and to another thread; the connection goes on."""
    edge = new_https(origin, threads=4)
    content = os.urandom(500_000)
    origin.on("/move", reply(body=content, fields=FRESH))
    with Client(edge.address) as client:
        for _ in range(8):
            client.move()
            assert client.get("/move").body == content
    assert edge.metrics()["skerry_quic_connections_total"] == 1
    assert edge.metrics()["skerry_quic_handed_over_total"] > 0


def test_key_update_and_ids(edge, origin, client):
    """RFC 9001 6, RFC 9000 5.1"""
    origin.on("/k", reply(body=b"k"))
    client.quic.request_key_update()
    for _ in range(3):
        assert client.get("/k").body == b"k"
        client.quic.change_connection_id()
    assert client.get("/k").body == b"k"


def test_tls_has_nothing_to_say_after_the_handshake(client):
    """RFC 9001 6: keys change in QUIC's own way; a KeyUpdate message is an unexpected_message (4.8)."""
    client.get("/")
    client.quic._crypto_streams[Epoch.ONE_RTT].sender.write(b"\x18\0\0\1\0")
    client.wait(lambda: client.terminated is not None, "the end")
    assert client.terminated.error_code == 0x10a


def test_versions(edge, origin):
    """RFC 9000 6, RFC 9369: version 2 is spoken, others are told what is."""
    from aioquic.quic.packet import QuicProtocolVersion
    origin.on("/v", reply(body=b"v"))
    for version in QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2:
        with Client(edge.address, versions=[version]) as client:
            assert client.get("/v").body == b"v"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.settimeout(seconds(5))
        plain.sendto(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"12345678" + b"\x04abcd" + bytes(1200), edge.address)
        told = plain.recv(2000)
        assert told[1:5] == bytes(4) and told[5:10] == b"\x04abcd" and told[10:19] == b"\x0812345678"
        assert bytes.fromhex("00000001") in told[19:] and bytes.fromhex("6b3343cf") in told[19:]
        plain.settimeout(0.3)
        plain.sendto(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"12345678" + b"\x04abcd" + bytes(100), edge.address)
        with pytest.raises(TimeoutError):  # too short to be worth an answer
            plain.recv(2000)


def test_resumption(edge, origin):
    origin.on("/r", reply(body=b"r"))
    with Client(edge.address) as client:
        assert client.get("/r").body == b"r"
        client.wait(lambda: client.tickets and client.tokens, "a ticket and a token")
    with Client(edge.address, ticket=client.tickets[-1], token=client.tokens[-1]) as again:
        assert again.get("/r").body == b"r"
    assert edge.metrics()["skerry_tls_handshakes_resumed_total"] == 1


def test_a_false_token_is_refused(edge, origin):
    """RFC 9000 8.1.3: INVALID_TOKEN"""
    with pytest.raises(Closed, match="error_code=11"):
        Client(edge.address, token=b"\xb7" + bytes(80))
    with Client(edge.address, token=b"\x36" + bytes(60)) as client:  # one of NEW_TOKEN that is too old, say
        assert client.get("/").status


def test_stateless_reset(new_https, origin):
    """RFC 9000 10.3: a connection that this edge forgot is ended, not left to its timeout."""
    edge = new_https(origin, timeouts={"keep_alive": duration(1)}, threads=1)
    with Client(edge.address) as client:
        client.get("/")
        sleeper, client.socket = client.socket, client._new_socket()
        wait_until(lambda: edge.metrics()["skerry_connections"] == 0)
        sleeper.close()
        client.send("/")
        client.wait(lambda: edge.metrics()["skerry_quic_stateless_resets_total"], "the reset")
        client.terminated = True


def test_rubbish_is_not_answered(edge, origin):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        for size in 0, 1, 20, 21, 100, 1200, 1400:
            for first in 0x00, 0x40, 0x7f:
                plain.sendto(bytes([first]) + os.urandom(size), edge.address)
            plain.sendto(b"\xc0\0\0\0\1" + b"\xff" * size, edge.address)
        plain.settimeout(0.5)
        with pytest.raises(TimeoutError):
            plain.recv(2000)
    with Client(edge.address) as client:
        assert client.get("/").status


# --- how many (floods: test_attacks.py)


def test_connections_are_counted_and_limited(new_https, origin):
    edge = new_https(origin, limits={"connections_per_client": 3})
    clients = [Client(edge.address) for _ in range(3)]
    assert all(client.get("/").status for client in clients)
    with pytest.raises(Closed):
        with Client(edge.address) as more:
            more.get("/")
    for client in clients:
        client.__exit__()
    wait_until(lambda: edge.metrics()["skerry_connections"] == 0)
    with Client(edge.address) as client:
        assert client.get("/").status
