"""HTTP/2 to clients (RFC 9113): messages, flow control, what is refused, and the end."""

import os
import subprocess
import threading
import time

import pytest
from harness.h2client import HEADERS, Client, Raw, frame
from harness.origin import cacheable, reply, sequence
from harness.scale import duration, limit, wait_until

PROTOCOL = 1
FRESH = [("Cache-Control", "max-age=60")]


@pytest.fixture
def edge(new_https, origin):
    return new_https(origin)


@pytest.fixture
def tls(authority):
    return authority.client()


@pytest.fixture
def client(edge, tls):
    with Client(edge.address, tls) as client:
        yield client


# --- messages


def test_a_request_and_a_hit(edge, origin, client):
    origin.on("/a", reply(body=b"hello", fields=[*FRESH, ("X-Mixed-Case", "Yes")]))
    first, second = client.get("/a"), client.get("/a")
    assert (first.status, first.body, second.body) == (200, b"hello", b"hello")
    assert "hit" in second["cache-status"] and second["x-mixed-case"] == "Yes"
    assert second["content-length"] == "5"
    assert not {"connection", "transfer-encoding", "keep-alive"} & {name for name, _ in second.fields}
    assert origin.count("/a") == 1
    entries = edge.access_log(2)
    assert [entry["protocol"] for entry in entries] == ["HTTP/2", "HTTP/2"]
    assert entries[1]["hit"] and entries[1]["body_bytes"] == 5 and entries[1]["tls_version"] == "TLSv1.3"


def test_http2_may_be_left_out(new_https, origin, tls):
    edge = new_https(origin, listener={"http2": False})
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with edge.connect(tls=tls) as conn:
        assert conn.socket.selected_alpn_protocol() == "http/1.1"
        assert conn.get("/").status


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 65536, 3_000_001])
def test_bodies_of_every_size(origin, client, size):
    content = os.urandom(size)
    origin.on("/b", reply(body=content, fields=FRESH))
    for _ in range(2):
        answer = client.get("/b")
        assert answer.status == 200 and answer.body == content and answer.ended


def test_a_body_of_unknown_length(origin, client):
    content = os.urandom(200_000)
    origin.on("/c", reply(body=content, chunked=True, pieces=7, fields=FRESH))
    for _ in range(2):
        assert client.get("/c").body == content


def test_many_streams_at_once(origin, client):
    bodies = {f"/m{i}": os.urandom(50_000 + i) for i in range(60)}
    for path, body in bodies.items():
        origin.on(path, reply(body=body, fields=FRESH))
    for _ in range(2):
        streams = {path: client.head("GET", path) for path in bodies}
        for path, stream in streams.items():
            assert client.answer(stream).body == bodies[path]


def test_head_204_304_and_ranges(origin, client):
    origin.on("/h", reply(body=b"0123456789", fields=[*FRESH, ("ETag", '"x"')]))
    origin.on("/n", reply(status=204, reason="No Content"))
    client.get("/h")
    head = client.answer(client.head("HEAD", "/h"))
    assert (head.status, head.body, head["content-length"]) == (200, b"", "10")
    same = client.get("/h", [("if-none-match", '"x"')])
    assert (same.status, same.body, same["content-length"]) == (304, b"", None)
    part = client.get("/h", [("range", "bytes=2-4")])
    assert (part.status, part.body) == (206, b"234")
    parts = client.get("/h", [("range", "bytes=0-1,8-9")])
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
    stream = client.head("POST", "/up", end=False)
    client.send(stream, content, end=True)
    assert client.answer(stream).body == b"ok"
    stream = client.head("POST", "/up", [("content-length", "3")], end=False)
    client.send(stream, b"abc", end=True)
    assert client.answer(stream).body == b"ok"
    assert seen == [content, b"abc"]


def test_a_slow_origin_holds_the_upload_back(edge, origin, client):
    """Windows follow what was consumed: no more than the window is kept here."""
    go = threading.Event()

    def take(x):
        go.wait(limit(20))
        x.reply(str(len(x.read_body())).encode())
    origin.on("/slow", take, eager=True)
    before = edge.rss_kib()
    stream, sent = client.head("POST", "/slow", end=False), 0
    client.socket.settimeout(1)
    try:
        while sent < 200_000_000:
            room = min(client.connection.local_flow_control_window(stream), 16384)
            if room:
                client.connection.send_data(stream, bytes(room))
                client.flush()
                sent += room
            else:
                client.read()
    except TimeoutError:
        pass
    assert 250_000 < sent < 100_000_000  # most of it in the kernel's buffers
    assert edge.rss_kib() - before < 30_000
    go.set()
    client.socket.settimeout(limit(10))
    client.connection.end_stream(stream)
    client.flush()
    assert client.answer(stream).body == str(sent).encode()


def test_trailers_both_ways(origin, client):
    seen = []

    def take(x):
        x.read_body()
        seen.append(x.request.trailers)
        x.reply(b"body", chunked=True, trailers=[("X-Sum", "abc")])
    origin.on("/t", take)
    stream = client.head("POST", "/t", [("te", "trailers")], end=False)
    client.send(stream, b"x")
    client.trailers(stream, [("x-end", "1")])
    answer = client.answer(stream)
    assert answer.body == b"body" and answer.trailers == [("x-sum", "abc")]
    assert [(name.lower(), value) for name, value in seen[0]] == [("x-end", "1")]


def test_informational_responses(origin, client):
    def hint(x):
        x.head(103, "Early Hints", [("Link", "</s.css>; rel=preload")], date=False)
        x.reply(b"done")
    origin.on("/hint", hint)
    answer = client.get("/hint")
    assert answer.body == b"done"
    assert any((":status", "103") in fields for fields in answer.informational)

    def take(x):
        x.reply(x.read_body())
    origin.on("/expect", take)
    stream = client.head("POST", "/expect", [("expect", "100-continue")], end=False)
    client.answer(stream, lambda a: a.informational)
    client.send(stream, b"now", end=True)
    assert client.answer(stream).body == b"now"


def test_rfc8297_2_links_of_what_was_stored_are_told_early(origin, client):
    links = ("Link", "</a.css>; rel=preload; as=style")
    origin.on("/", sequence(cacheable(b"old", 1, [links]), cacheable(b"new", 60)))
    assert client.get("/").body == b"old"
    time.sleep(2.1)
    answer = client.get("/")
    assert answer.body == b"new"
    assert answer.informational == [[(":status", "103"), ("link", links[1])]]
    assert client.get("/").informational == []  # a hit waits for nobody


def test_rfc9218_10_urgent_answers_come_first(edge, origin, tls):
    for path in ("/calm", "/urgent"):
        origin.on(path, cacheable(bytes(400_000), 60))
        assert edge.connect(tls=tls).get(path).status == 200
    grant = 65535  # what the connection has at first
    with Client(edge.address, tls, auto=False, window=1 << 24) as client:
        calm = client.head("GET", "/calm", [("priority", "u=6")])
        client.answer(calm, until=lambda answer: len(answer.body) == grant)
        urgent = client.head("GET", "/urgent", [("priority", "u=1")])
        client.answer(urgent, until=lambda answer: answer.status)
        granted, answers = grant, client.answers
        while not answers[urgent].ended:
            if len(answers[calm].body) + len(answers[urgent].body) == granted:
                client.connection.increment_flow_control_window(grant)
                client.flush()
                granted += grant
            assert client.read()
        assert len(answers[urgent].body) == 400_000 and len(answers[calm].body) < 2 * grant + 20_000


def test_cookie_crumbs_become_one_field(origin, client):
    """RFC 9113 8.2.3"""
    client.get("/k", [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
    fields = origin.last("/k").fields
    assert fields.get_all("cookie") == ["a=1; b=2; c=3"] if hasattr(fields, "get_all") else \
        fields.get("cookie") == "a=1; b=2; c=3"


def test_the_answer_may_come_before_the_request_ends(edge, origin, client):
    """RFC 9113 8.1: RST_STREAM with NO_ERROR tells that the rest is not needed."""
    stream = client.head("POST", "/large", [("content-length", str(10 ** 12))], end=False)
    answer = client.answer(stream, lambda a: a.ended)
    assert answer.status == 413
    client.answer(stream, lambda a: a.reset is not None)
    assert answer.reset == 0
    assert client.get("/after").status


def test_a_cut_answer_is_a_reset_stream(origin, client):
    def cut(x):
        x.head(200, "OK", [("Content-Length", "100000")])
        x.send(b"half")
        x.reset()
    origin.on("/cut", cut)
    answer = client.get("/cut")
    assert answer.reset is not None and not answer.ended
    assert client.get("/").status


def test_a_client_that_resets_leaves_others_alone(edge, origin, client):
    go = threading.Event()

    def late(x):
        go.wait(limit(10))
        x.reply(b"late")
    origin.on("/late", late)
    stream = client.head("GET", "/late")
    origin.wait_for("/late")
    client.connection.reset_stream(stream, 8)
    client.flush()
    assert client.get("/other").status
    go.set()
    wait_until(lambda: any(entry.get("aborted") for entry in edge.access_log()))


# --- what is refused


@pytest.mark.parametrize("pseudo, status", [
    ([(":method", "GET"), (":scheme", "https"), (":authority", "example.test"), (":path", "no-slash")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":authority", "example.test"), (":path", "*")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":authority", "a b"), (":path", "/")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":authority", ""), (":path", "/")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":authority", "u@example.test"), (":path", "/")], 400),
    ([(":method", "GET"), (":scheme", "ftp"), (":authority", "example.test"), (":path", "/")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":authority", "example.test"), (":path", "/" + "x" * 9000)], 414),
    ([(":method", "CONNECT"), (":authority", "example.test:443")], 501),
])
def test_requests_that_are_answered_with_an_error(edge, tls, pseudo, status):
    with Client(edge.address, tls, checked=False) as client:
        answer = client.get(pseudo=pseudo)
        assert (answer.status or answer.reset) in (status, PROTOCOL), answer
        assert client.get("/").status


@pytest.mark.parametrize("fields, status", [
    ([("host", "other.test")], 400), ([("host", "example.test")], 200), ([("host", "EXAMPLE.test:443")], 200),
    ([("expect", "something")], 417), ([(f"x{i}", "1") for i in range(101)], 431),
    ([("x", "y" * 40_000)], 431), ([("cookie", f"c{i}=1") for i in range(300)], 200),
])
def test_fields_that_are_answered(edge, origin, tls, fields, status):
    origin.on("/", reply(body=b"ok"))
    with Client(edge.address, tls, checked=False) as client:
        assert client.get("/", fields).status == status
        assert client.get("/").status == 200


@pytest.mark.parametrize("fields", [
    [("connection", "close")], [("transfer-encoding", "chunked")], [("upgrade", "x")], [("te", "gzip")],
    [("Upper", "x")], [("content-length", "1"), ("content-length", "2")], [("content-length", "-1")],
    [(":late", "x")], [("keep-alive", "1")], [("proxy-connection", "x")],
])
def test_malformed_requests_reset_the_stream(edge, origin, tls, fields):
    """RFC 9113 8.1.1, 8.2"""
    with Client(edge.address, tls, checked=False) as client:
        answer = client.get("/bad", fields)
        assert answer.reset == PROTOCOL or answer.status == 400
        assert client.get("/").status
    assert not origin.count("/bad")


def test_content_length_must_be_right(edge, origin, tls):
    """RFC 9113 8.1.1"""
    with Client(edge.address, tls, checked=False) as client:
        stream = client.head("POST", "/len", [("content-length", "3")], end=False)
        client.connection.send_data(stream, b"1234567", end_stream=True)
        client.flush()
        assert client.answer(stream).reset == PROTOCOL
        assert client.get("/").status


def test_an_unknown_host_is_421(new_https, origin, tls):
    edge = new_https(origin, hosts=["only.test"])
    with Client(edge.address, tls) as client:
        assert client.get("/").status == 421
        assert client.get("/", authority="only.test").status != 421


def test_no_more_streams_than_said(edge, origin, tls):
    go = threading.Event()
    origin.on("/wait", lambda x: (go.wait(limit(20)), x.reply(b"")))
    with Client(edge.address, tls) as client:
        client.get("/")
        assert client.connection.remote_settings.max_concurrent_streams == 100
        client.connection.remote_settings[3] = 1000
        client.connection.remote_settings.acknowledge()
        for i in range(110):
            client.head("GET", f"/wait?{i}")
        assert client.wait_closed().error_code == PROTOCOL  # RFC 9113 5.1.2
        go.set()
    assert origin.count("/wait") <= 100


# --- flow control and time


def test_the_clients_window_is_respected(edge, origin, tls):
    origin.on("/w", reply(body=bytes(300_000), fields=FRESH))
    with Client(edge.address, tls, auto=False) as client:
        stream = client.head("GET", "/w")
        client.answer(stream, lambda a: len(a.body) == 65535)
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.read()
        client.socket.settimeout(limit(10))
        client.connection.increment_flow_control_window(300_000)
        client.connection.increment_flow_control_window(300_000, stream)
        client.flush()
        assert len(client.answer(stream).body) == 300_000


def test_a_window_that_stays_closed_ends_the_stream(new_https, origin, tls):
    edge = new_https(origin, timeouts={"write": "500ms"})
    origin.on("/z", reply(body=bytes(200_000), fields=FRESH))
    with Client(edge.address, tls, auto=False) as client:
        answer = client.get("/z")
        assert answer.reset is not None and len(answer.body) == 65535
    wait_until(lambda: edge.metrics()["skerry_client_timeouts_total"] == 1)


def test_a_slow_upload_is_a_408(new_https, origin, tls):
    edge = new_https(origin, timeouts={"body": "500ms"})
    with Client(edge.address, tls) as client:
        stream = client.head("POST", "/s", end=False)
        client.send(stream, b"x")
        assert client.answer(stream, lambda a: a.status).status == 408


def test_an_idle_connection_is_told(new_https, origin, tls):
    edge = new_https(origin, timeouts={"keep_alive": duration(0.8)})
    with Client(edge.address, tls) as client:
        client.get("/")
        goaway = client.wait_closed()
        assert goaway and goaway.error_code == 0


def test_a_connection_without_a_request_ends(new_https, origin, tls):
    edge = new_https(origin, timeouts={"header": "500ms"})
    with Client(edge.address, tls) as client:
        assert client.wait_closed()


def test_a_head_may_not_take_for_ever(new_https, origin, tls):
    edge = new_https(origin, timeouts={"header": "500ms"})
    with Raw(edge.address, tls) as raw:
        raw.send(frame(HEADERS, 0, 1, b"\x82\x87\x84"))
        assert raw.read_to_end()


def test_drain_answers_what_runs_and_says_goaway(edge, origin, client):
    go = threading.Event()
    origin.on("/run", lambda x: (go.wait(limit(10)), x.reply(b"done")))
    stream = client.head("GET", "/run")
    origin.wait_for("/run")
    edge.send_signal(15)
    client.answer(stream, lambda a: client.goaway)
    assert client.goaway.error_code == 0
    go.set()
    assert client.answer(stream).body == b"done"
    client.wait_closed()


def test_reloads_and_upgrades_lose_no_request(edge, origin, tls):
    origin.on("/r", reply(body=b"r", fields=FRESH))
    with Client(edge.address, tls) as client:
        for _ in range(5):
            assert client.get("/r").body == b"r"
            edge.reload()
        edge.upgrade(wait_old=False)
        with Client(edge.address, tls) as second:
            assert second.get("/r").body == b"r"


# --- too many, and too little (floods: test_attacks.py)


def test_rfc9113_5_1_2_requests_before_our_settings_may_be_too_many(edge, origin, tls):
    """A client that has not read how many streams it may have: what is too much is refused, and can be asked again."""
    go = threading.Event()
    origin.on("/", lambda x: x.wait(go).reply(b"ok", fields=FRESH))
    with Client(edge.address, tls) as client:
        streams = [client.head() for _ in range(200)]  # the library knows no limit yet
        refused = streams[100:]
        assert {client.answer(stream).reset for stream in refused} == {7}
        go.set()
        assert {bytes(client.answer(stream).body) for stream in streams[:100]} == {b"ok"}
        assert client.get("/").status == 200 and client.goaway is None


def test_a_bad_preface_is_closed(edge, tls):
    with Raw(edge.address, tls) as raw:
        raw.send(b"GET / HTTP/1.1\r\n\r\n" * 10)
        assert raw.read_to_end()


# --- other clients


def test_small_windows_are_no_flood(edge, origin):
    """A download of 120 MB with windows of 32 KiB takes some 15,000 WINDOW_UPDATE frames."""
    origin.on("/big", reply(body=b"x" * 20_000_000, fields=FRESH))
    load = subprocess.run(["h2load", "-n", "6", "-c", "1", "-m", "1", "-w", "15", "-W", "15",
                           f"https://localhost:{edge.address[1]}/big"], capture_output=True, text=True, timeout=limit(60))
    assert "6 succeeded, 0 failed" in load.stdout, load


def test_curl_and_h2load(edge, origin, authority):
    origin.on("/", reply(body=b"x" * 1000, fields=FRESH))
    out = subprocess.run(["curl", "-sS", "--http2", "--cacert", str(authority.certificate), "-o", "/dev/null", "-w",
                          "%{http_code} %{http_version}", f"https://localhost:{edge.address[1]}/"],
                         capture_output=True, text=True, timeout=limit(20))
    assert out.stdout == "200 2", out
    load = subprocess.run(["h2load", "-n", "2000", "-c", "10", "-m", "20", f"https://localhost:{edge.address[1]}/"],
                          capture_output=True, text=True, timeout=limit(60))
    assert "2000 succeeded, 0 failed" in load.stdout, load
