"""What an operator does: check, start, reload, rotate, look, stop. Exit codes: 0 fine, 1 failed at run time, 2 bad
usage or configuration."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from harness.client import Conn, fetch
from harness import protocol
from harness.edge import binary, execution_environment, run, soon
from harness.message import build
from harness.origin import cacheable, reply
from harness.ports import Reservation
from harness.scale import SLOW, duration, limit, seconds, wait_until

BODY = b"body" * 100


# --- the command line


def test_version():
    done = run("--version")
    assert done.returncode == 0 and re.match(r"skerry \d+\.\d+\.\d+", done.stdout)


@pytest.mark.one_by_one
@pytest.mark.parametrize("arguments", [["--help"], ["help"], ["help", "edge"], ["edge", "--help"], ["check", "--help"]])
def test_help(arguments):
    done = run(*arguments)
    assert done.returncode == 0 and "skerry" in done.stdout and done.stderr == ""


def test_help_names_its_topics():
    topics = run("help").stdout
    assert "edge" in topics and "check" in topics


ALMOST = ["edge", "--listen", "127.0.0.1:0", "--origin", "http://127.0.0.1:1"]


@pytest.mark.one_by_one
@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["--nonsense"], ["edge", "--nonsense"], ["check"], ["help", "nonsense"],
    ["edge", "--listen", "nonsense", "--origin", "http://127.0.0.1:1"],
    ["edge", "--listen", "127.0.0.1:0", "--origin", "ftp://127.0.0.1"],
    [*ALMOST, "--memory", "lots"], [*ALMOST, "--threads", "x"], ["edge", "--listen", "127.0.0.1:0"],
    ["edge", "-c", "/nowhere/edge.yaml"]])
def test_bad_usage_is_2_and_says_what(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.strip(), done


def test_a_port_in_use_is_1_and_says_which():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        done = run("edge", "--listen", address, "--origin", "http://127.0.0.1:1")
    assert done.returncode == 1 and address in done.stderr


def test_an_admin_socket_that_cannot_be_made_is_1(tmp_path):
    reservation = Reservation()
    done = run("edge", "--listen", reservation, "--origin", "http://127.0.0.1:1",
               "--admin", f"unix:{tmp_path}/none/admin.sock")
    reservation.close()
    assert done.returncode == 1 and "none/admin.sock" in done.stderr


# --- check

GOOD = """\
listen: 127.0.0.1:8080
memory: 64MiB
sites:
  - hosts: [example.com]
    origins:
      - url: http://127.0.0.1:9000
"""


def check(tmp_path, text):
    file = tmp_path / "edge.yaml"
    file.write_text(text)
    return run("check", file)


def test_check_of_a_good_file(tmp_path):
    done = check(tmp_path, GOOD)
    assert done.returncode == 0 and done.stderr == ""


# what to replace in the good file, by what, then line, and what the message must contain
BROKEN = {
    "a size": ("64MiB", "lots", 2, ["memory", "lots", "size"]),
    "an unknown key": ("memory:", "memorry:", 2, ["memorry", "memory"]),
    "an unknown key in a site": ("hosts:", "hots:", 4, ["hots", "hosts"]),
    "an address": ("127.0.0.1:8080", "localhost", 1, ["listen", "localhost"]),
    "a port": ("127.0.0.1:8080", "127.0.0.1:99999", 1, ["listen", "99999"]),
    "a URL": ("http://127.0.0.1:9000", "gopher://x", 6, ["url", "gopher://x", "http"]),
    "a URL with a path": ("http://127.0.0.1:9000", "http://127.0.0.1:9000/a/b", 6, ["url"]),
    "too small a size": ("64MiB", "1KiB", 2, ["memory", "1KiB", "8MiB"]),
    "a list where a value belongs": ("64MiB", "[1, 2]", 2, ["memory"]),
    "a value where a list belongs": ("origins:\n      - url: http://127.0.0.1:9000", "origins: none", 5, ["origins"]),
    "a tab": ("    origins:", "\torigins:", 5, []),
    "an open quote": ("[example.com]", '["example.com]', 4, []),
}


@pytest.mark.one_by_one
@pytest.mark.parametrize("name", BROKEN)
def test_check_tells_line_column_what_was_found_and_what_is_allowed(tmp_path, name):
    old, new, line, words = BROKEN[name]
    assert old in GOOD
    done = check(tmp_path, GOOD.replace(old, new))
    assert done.returncode == 2
    places = [int(match[1]) for match in re.finditer(r"edge\.yaml:(\d+):\d+: ", done.stderr)]
    assert places and (line in places or not words), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_check_tells_all_problems_at_once(tmp_path):
    done = check(tmp_path, GOOD.replace("64MiB", "lots").replace("http://127.0.0.1:9000", "gopher://x"))
    assert "lots" in done.stderr and "gopher://x" in done.stderr


@pytest.mark.one_by_one
@pytest.mark.parametrize("text", ["", "sites: []\n", "[]\n", "- a\n", "just text\n", "\0\1\2\n", "a: &a [*a]\n", "{" * 2000,
                                  "sites: " + "[" * 5000, "x: !!python/object:os.system\n"])
def test_check_of_nonsense(tmp_path, text):
    done = check(tmp_path, text)
    assert done.returncode == 2 and done.stderr.strip()


def test_check_of_a_file_that_is_not_there(tmp_path):
    done = run("check", tmp_path / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr


def test_edge_does_not_start_with_a_broken_file(new_edge):
    edge = new_edge.text(GOOD.replace("64MiB", "lots"), start=False)
    edge.start(wait=False)
    edge.expected_codes = {2}
    assert edge.wait_end() == 2 and "edge.yaml:2:" in edge.log()


# --- reload


@pytest.fixture(params=["signal", "admin"])
def reload(request):
    return lambda edge, configuration: (edge.reload_by_signal if request.param == "signal" else edge.reload)(configuration)


def test_a_reload_puts_the_new_configuration_in_force(new_edge, new_origin, reload):
    one, two = new_origin(), new_origin()
    one.default, two.default = reply(b"one"), reply(b"two")
    edge = new_edge(one)
    with edge.connect() as conn:
        assert conn.get("/a").body == b"one"
        reload(edge, {"origins": [two]})
        assert edge.fetch("/a").body == b"two"
        assert conn.get("/a").body == b"two"
    assert edge.metrics()["skerry_config_reloads_total"] == 1


def test_a_reload_keeps_the_cache_and_connections(new_edge, origin):
    origin.on("/a", cacheable(BODY))
    edge = new_edge(origin)
    with edge.connect() as conn:
        conn.get("/a")
        edge.reload()
        assert conn.get("/a").hit
    assert origin.count() == 1


def test_a_request_under_way_ends_with_the_configuration_it_began_with(new_edge, new_origin):
    one, two, go = new_origin(), new_origin(), threading.Event()
    one.default, two.default = (lambda x: x.wait(go).reply(b"one")), reply(b"two")
    edge = new_edge(one)
    with edge.connect() as conn:
        conn.send(build(target="/a"))
        one.wait_for("/a")
        edge.reload({"origins": [two]})
        assert edge.fetch("/a2").body == b"two"
        go.set()
        assert conn.response().body == b"one"


@pytest.mark.parametrize("how", ["broken value", "no YAML", "gone"])
def test_a_broken_file_is_refused_and_the_old_one_stays(new_edge, origin, how):
    origin.default = reply(BODY)
    edge = new_edge(origin)
    good = edge.file.read_text()
    if how == "gone":
        edge.file.unlink()
    else:
        edge.file.write_text(good.replace("64MiB", "lots") if how == "broken value" else "[[[")
    response = edge.admin("/config/reload", "POST")
    assert 400 <= response.status < 500 and "edge.yaml" in response.text
    assert edge.fetch("/a").body == BODY
    edge.reload_by_signal()
    assert edge.fetch("/a").body == BODY
    assert "edge.yaml" in edge.log()
    assert edge.metrics()["skerry_config_reloads_refused_total"] == 2
    edge.file.write_text(good)
    assert edge.admin("/config/reload", "POST").status == 200


def test_a_reload_by_the_admin_socket_may_go_deep(new_edge, origin):
    """What answers there runs on the loop's own stack; a fiber's would not hold a parser's recursion."""
    origin.default = reply(BODY)
    edge = new_edge(origin)
    good = edge.file.read_text()
    for depth in (20, 60, 1000):
        edge.file.write_text("listen: " + "[" * depth + "]" * depth + "\n")
        assert edge.admin("/config/reload", "POST").status == 422
    edge.file.write_text(good.replace("sites:\n", "sites:\n" + "".join(
        f"- hosts: [h{i}.test]\n  origins: [{{url: 'http://127.0.0.1:{i + 1}'}}]\n" for i in range(300))))
    assert edge.admin("/config/reload", "POST").status == 200
    assert edge.fetch("/a").body == BODY


def test_a_reload_with_a_ca_file_that_is_not_there_is_refused(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge(origin)
    edge.write({"origins": [{"url": "https://127.0.0.1:1", "ca_file": "/nowhere/ca.pem"}]})
    response = edge.admin("/config/reload", "POST")
    assert 400 <= response.status < 500 and "/nowhere/ca.pem" in response.text
    assert edge.fetch("/a").body == BODY


@pytest.mark.h1_only
def test_a_reload_changes_listeners(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge(origin)
    other = Reservation()
    edge.reload({**edge.configuration, "listen": [str(other)]})
    assert fetch(other.address, "/a").body == BODY

    def refused():
        try:
            edge.connect().close()
            return False
        except ConnectionRefusedError:
            return True

    wait_until(refused, what="the old listener to be closed")
    edge.reload({**edge.configuration, "listen": [edge.listen, str(other)]})
    assert edge.fetch("/a").body == BODY and fetch(other.address, "/a").body == BODY
    other.close()


def test_a_reload_changes_the_access_log(new_edge, origin):
    """The writer may be behind: a line or two more may go to the old file, but none is lost."""
    origin.default = reply(BODY)
    edge = new_edge(origin)
    edge.fetch("/before")
    other, asked = edge.directory / "other.log", 1
    edge.reload({**edge.configuration, "access_log": {"file": str(other)}})

    def ask():
        nonlocal asked
        edge.fetch("/after")
        asked += 1
        return other.exists() and other.stat().st_size > 0

    wait_until(ask, what="a line in the new file")
    wait_until(lambda: len(edge.access_log()) + len(edge.access_log(path=other)) == asked, what="every line to be there")
    assert edge.access_log(1)[0]["target"] == "/before"
    assert edge.access_log(1, other)[0]["target"] == "/after"


def test_a_reload_tells_what_only_a_new_process_can_change(new_edge, origin):
    edge = new_edge(origin)
    response = edge.reload({**edge.configuration, "memory": "32MiB", "threads": 3})
    assert "memory" in response.text and "threads" in response.text
    assert edge.health()["cache"]["budget_bytes"] == 64 << 20
    edge.upgrade()
    assert edge.health()["cache"]["budget_bytes"] == 32 << 20


def test_limits_and_timeouts_change_with_a_reload(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge(origin)
    with edge.connect() as conn:
        assert conn.get("/" + "a" * 2000).status == 200
        edge.reload({**edge.configuration, "limits": {"target_bytes": 1000}})
        wait_until(lambda: conn.get("/" + "a" * 2000).status == 414, what="the thread to take up the new limit")


def test_many_reloads_do_not_leak(new_edge, origin):
    origin.default = cacheable(BODY)
    edge = new_edge(origin)
    for _ in range(20):
        edge.reload()
    edge.fetch("/a")
    descriptors, rss = edge.descriptors(), edge.rss_kib()
    for _ in range(200):
        edge.reload()
    edge.fetch("/a")
    assert edge.descriptors() <= descriptors + 2
    assert SLOW > 1 or edge.rss_kib() < rss + 4096  # a sanitizer keeps what was freed


def test_reload_without_a_file_keeps_the_command_line(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge.bare("--origin", origin.url)
    edge.send_signal(signal.SIGHUP)
    time.sleep(seconds(0.2))
    assert edge.fetch("/a").body == BODY


# --- access log


def test_json_access_log(edge, origin):
    origin.on("/a", cacheable(BODY))
    with edge.connect() as conn:  # lines of one connection are in order
        conn.get("/a?q=1", [("User-Agent", "tester/1"), ("Referer", "https://ref.test/")])
        conn.get("/a?q=1")
        conn.request("POST", "/none", body=b"x")
    first, second, third = edge.access_log(3)
    assert first["method"] == "GET" and "/a?q=1" in str(first) and first["status"] == 200
    assert "tester/1" in str(first) and "https://ref.test/" in str(first) and "127.0.0.1" in str(first)
    assert str(second) != str(first) and "hit" in str(second)
    assert third["method"] == "POST" and third["status"] == 404


@pytest.mark.parametrize("value", ['quote " here', "back\\slash", "tab\there", "caf\xe9", "\xff\xfe", "</script>", "{}",
                                   "%0a%0d", "x" * 3000], ids=range(9))
def test_json_access_log_is_valid_whatever_clients_send(edge, origin, value):
    origin.default = reply(b"")
    edge.fetch("/a", fields=[("User-Agent", value), ("Referer", value)])
    edge.access_log(1)


def test_each_line_of_the_access_log_is_one_request(edge, origin):
    origin.default = cacheable(BODY)
    with edge.connect() as conn:
        conn.send(b"".join(build(target=f"/{i % 10}") for i in range(500)))
        for _ in range(500):
            conn.response()
    entries = edge.access_log(500)
    assert len(entries) == 500


def test_aborted_and_failed_requests_are_logged(edge, origin):
    origin.on("/fail", lambda x: x.reset())
    edge.fetch("/fail")
    entry = edge.access_log(1)[0]
    assert entry["status"] == 502
    assert any(word in str(entry).lower() for word in ("origin", "reset", "closed"))


COMMON = re.compile(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "([^"\\]|\\.)*" \d{3} (\d+|-)\Z')


def test_common_log_format(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge(origin, start=False)
    edge.configuration["access_log"] = {"file": str(edge.access_log_path), "format": "common"}
    edge.start()
    with edge.connect() as conn:
        conn.get("/a?b=c")
        conn.get('/"quoted', [("Referer", '"')])
    log = edge.access_log_path
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 2)
    lines = log.read_text().splitlines()
    for line in lines:
        assert COMMON.match(line), line
    assert f'"GET /a?b=c HTTP/{protocol.VERSION}" 200 400' in lines[0]


def test_rotation(edge, origin):
    """The file is renamed, SIGHUP makes a new one, no line is lost."""
    origin.default = reply(BODY)
    edge.fetch("/before")
    edge.access_log(1)
    old = edge.directory / "access.log.1"
    edge.access_log_path.rename(old)
    edge.fetch("/between")
    edge.reload_by_signal()
    wait_until(edge.access_log_path.exists, what="a new access log")
    edge.fetch("/after")
    entries = edge.access_log(1)
    both = [json.loads(line) for line in old.read_text().splitlines()]
    assert "/after" in str(entries) and "/before" in str(both) and "/between" in str(both + entries)
    assert len(both) + len(entries) == 3


def test_access_log_on_stdout(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge(origin, access_log={"file": "-"})
    edge.fetch("/to-stdout")
    line = wait_until(lambda: [line for line in edge.log().splitlines() if "/to-stdout" in line and line.startswith("{")])
    json.loads(line[0])


def test_a_log_that_nobody_reads_never_holds_up_a_request(new_edge, origin):
    origin.default = cacheable(BODY)
    edge = new_edge(origin, start=False)
    fifo = edge.directory / "log.fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    edge.configuration["access_log"] = {"file": str(fifo)}
    edge.start()
    with edge.connect() as conn:
        for _ in range(100):
            conn.send(build(target="/a" + "x" * 500) * 200)
            for _ in range(200):
                assert conn.response().status == 200
    assert edge.metrics()["skerry_access_log_dropped_total"] > 0
    drain = threading.Thread(target=_drain, args=(held,), daemon=True)
    drain.start()
    edge.stop()
    os.close(held)


def _drain(descriptor):
    while True:
        try:
            if not os.read(descriptor, 65536):
                return
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return


# --- the admin socket


def test_health(edge):
    response = edge.admin("/health")
    assert response.status == 200 and "json" in response["content-type"]
    assert json.loads(response.text)


def test_metrics_follow_the_format_and_count(edge, origin):
    origin.on("/a", cacheable(BODY))
    before = edge.metrics()
    for _ in range(10):
        edge.fetch("/a")
    after = edge.metrics()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["skerry_requests_total"] == 10
    assert grown["skerry_cache_hits_total"] == 9 and grown["skerry_cache_misses_total"] == 1
    assert grown["skerry_origin_requests_total"] == 1
    assert grown['skerry_responses_total{class="2xx"}'] == 10
    assert grown["skerry_connections_total"] == 10
    assert grown["skerry_cache_hit_bytes_total"] == 9 * len(BODY)
    assert grown["skerry_client_sent_bytes_total"] > 10 * len(BODY)
    assert after["skerry_hit_duration_seconds_count"] == 9
    assert edge.admin("/metrics")["content-type"].startswith("text/plain; version=0.0.4")


def test_every_family_has_help_and_type(edge):
    metrics = edge.metrics()
    for series in metrics:
        name = metrics.family(series.partition("{")[0])
        assert name in metrics.types and name in metrics.helps, series


@pytest.mark.parametrize("target, method, status", [
    ("/nothing", "GET", 404), ("/", "GET", 404), ("/config/reload", "GET", 405), ("/metrics", "POST", 405),
    ("/health", "HEAD", 200)])
def test_admin_refuses_what_it_does_not_know(edge, target, method, status):
    assert edge.admin(target, method).status == status


@pytest.mark.parametrize("data", [
    b"\0" * 100, b"GET /health\r\n\r\n", b"GET /health HTTP/1.1\nHost: a\n\n", b"x" * 200_000,
    b"POST /config/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 100_000],
    ids=["zeros", "HTTP/0.9", "LF", "endless line", "endless body"])
def test_admin_withstands_nonsense(edge, data):
    with Conn(edge.admin_path) as conn:
        try:
            conn.send(data)
            conn.finish_sending()
        except OSError:
            pass
        conn.read_to_end()
    assert edge.admin("/health").status == 200


def test_admin_connections_that_idle_do_not_hold_up_others(edge):
    idle = [Conn(edge.admin_path) for _ in range(20)]
    assert edge.admin("/health").status == 200
    for conn in idle:
        conn.close()


def test_the_admin_socket_is_not_for_everybody(edge):
    assert stat.S_IMODE(os.stat(edge.admin_path).st_mode) & 0o007 == 0


def test_admin_paths_are_not_served_to_clients(edge, origin):
    origin.default = reply(b"from the origin")
    for path in ("/metrics", "/health", "/config/reload"):
        assert edge.fetch(path, "POST").body == b"from the origin"


TOKEN = "0123456789abcdef-secret"


def test_admin_over_tcp_needs_a_token(new_edge, origin):
    place = Reservation()
    place.close()  # it listens without SO_REUSEPORT
    edge = new_edge(origin, admin=str(place), admin_token=TOKEN)
    assert fetch(place.address, "/health").status == 401
    assert fetch(place.address, "/health", fields=[("Authorization", f"Bearer {TOKEN}x")]).status == 401
    assert fetch(place.address, "/config/reload", "POST", fields=[("Authorization", "Bearer ")]).status == 401
    assert fetch(place.address, "/health", fields=[("Authorization", f"Bearer {TOKEN}")]).status == 200
    assert edge.alive()


def test_admin_over_tcp_without_a_token_does_not_start(new_edge, origin):
    place = Reservation()
    edge = new_edge(origin, admin=str(place), start=False)
    edge.start(wait=False)
    edge.expected_codes = {2}
    assert edge.wait_end() == 2 and "token" in edge.log()
    place.close()


def test_a_left_over_admin_socket_is_replaced(new_edge, origin):
    edge = new_edge(origin, start=False)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(edge.admin_path)
    edge.start()
    assert edge.admin("/health").status == 200


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_signals_end_it_with_0(edge, origin, number):
    origin.default = cacheable(BODY)
    edge.fetch("/a")
    edge.stop(number)


def test_a_stop_waits_for_requests_under_way(edge, origin):
    go = threading.Event()
    origin.on("/slow", lambda x: x.wait(go).reply(BODY))
    origin.on("/half", lambda x: x.head(length=10).send(b"first").wait(go).send(b"later"))
    with edge.connect() as waiting, edge.connect() as half:
        waiting.send(build(target="/slow"))
        half.send(build(target="/half"))
        half.head()
        origin.wait_for("/slow")
        edge.send_signal(signal.SIGTERM)

        def refused():
            try:
                edge.connect().close()
                return False
            except OSError:
                return True

        wait_until(refused, what="the listener to be closed")
        go.set()
        response = waiting.response()
        assert response.body == BODY and response.closes
        assert half.read(10) == b"firstlater"
        waiting.assert_closed()
    assert edge.wait_end() == 0


def test_a_connection_that_was_not_told_to_close_may_ask_once_more(edge, origin):
    """A head that went out before the stop promised another request."""
    go = threading.Event()
    origin.on("/half", lambda x: x.head(length=10, fields=[("Cache-Control", "no-store")]).send(b"first").wait(go).send(b"later"))
    origin.on("/next", reply(BODY))
    with edge.connect() as conn:
        conn.send(build(target="/half"))
        conn.head()
        edge.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in edge.log(), what="the stop to begin")
        soon()
        go.set()
        assert conn.read(10) == b"firstlater"
        response = conn.get("/next")
        assert response.body == BODY and response.closes
    assert edge.wait_end() == 0


def test_a_stop_ends_idle_connections_soon(edge, origin):
    origin.default = reply(BODY)
    conns = [edge.connect() for _ in range(5)]
    for conn in conns:
        conn.get("/a")
    began = time.monotonic()
    edge.stop()
    assert time.monotonic() - began < limit(5)


def test_a_stop_does_not_wait_for_ever(new_edge, origin):
    go = threading.Event()
    origin.on("/never", lambda x: x.wait(go).reply(BODY))
    edge = new_edge(origin, timeouts={"drain": duration(0.5)})
    with edge.connect() as conn:
        conn.send(build(target="/never"))
        origin.wait_for("/never")
        began = time.monotonic()
        edge.send_signal(signal.SIGTERM)
        edge.wait_end(10)
        assert time.monotonic() - began < limit(6)
    go.set()


def test_a_stop_while_a_thread_fetches_what_clients_of_another_waited_for(new_edge, origin):
    """The fetch ends after the other thread has: what it tells its readers' threads must not be too late."""
    go = threading.Event()
    origin.on("/a", lambda x: x.head(length=1000, fields=[("Cache-Control", "max-age=60")]).send(b"part").wait(go).reset())
    edge = new_edge(origin, threads=4)
    conns = [edge.connect() for _ in range(12)]
    for conn in conns:
        conn.send(build(target="/a"))
    soon()
    edge.send_signal(signal.SIGTERM)
    for conn in conns:
        conn.close()
    soon()
    go.set()
    assert edge.wait_end() == 0


@pytest.mark.h1_only
def test_a_request_that_comes_amid_the_stop_is_answered_or_refused_cleanly(edge, origin):
    """On a kept connection the answer comes with Connection: close."""
    origin.default = cacheable(BODY)
    conns = [edge.connect() for _ in range(20)]
    for conn in conns:
        conn.get("/a")
    edge.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in edge.log(), what="the stop to begin")
    soon()
    for conn in conns:
        response = conn.get("/a")
        assert response.body == BODY and response.closes
        conn.close()
    assert edge.wait_end() == 0


# --- what it may do


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_it_becomes_an_ordinary_user_and_drops_what_it_does_not_need(new_edge, origin):
    origin.default = reply(BODY)
    directory = Path(tempfile.mkdtemp(prefix="skerry-user-"))
    nobody = pwd.getpwnam("nobody")
    try:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        edge = new_edge(origin, user="nobody", admin=f"unix:{directory}/admin.sock",
                        access_log={"file": f"{directory}/access.log"})
        assert edge.fetch("/a").body == BODY
        lines = Path(f"/proc/{edge.pid}/status").read_text().splitlines()
        fields = dict(line.split(":\t") for line in lines if ":\t" in line)
        assert set(fields["Uid"].split()) == {str(nobody.pw_uid)} and set(fields["Gid"].split()) == {str(nobody.pw_gid)}
        assert fields["Groups"].split() in ([], [str(nobody.pw_gid)])
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(fields[name], 16) == 0, name
        assert fields["NoNewPrivs"].strip() == "1"
        for task in os.listdir(f"/proc/{edge.pid}/task"):
            assert f"\nUid:\t{nobody.pw_uid}\t" in Path(f"/proc/{edge.pid}/task/{task}/status").read_text()
        edge.stop()
    finally:
        shutil.rmtree(directory)


WHO_STARTS = {
    "edge": "listen: [LISTEN]\nsites: [{origin: 'http://127.0.0.1:1'}]\n",
    "route": "listen: LISTEN\nzones: [{name: example.test, file: zone}]\n",
    "control": "fleet: acme\nlisten: LISTEN\nstate: DIR/state\n",
}


@pytest.mark.parametrize("role", WHO_STARTS)
def test_who_cannot_become_its_user_does_not_start(role):
    """Rather than run as somebody else than the file says. No role is an exception."""
    directory, reservation = Path(tempfile.mkdtemp(prefix="skerry-user-")), Reservation()
    nobody = pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else os.getuid()
    try:
        (directory / "file.yaml").write_text("user: root\n" + WHO_STARTS[role].replace("LISTEN", str(reservation))
                                             .replace("DIR", str(directory)))
        (directory / "zone").write_text("@ 60 IN SOA a.test. b.test. 1 60 60 60 60\n@ 60 IN NS a.test.\n")
        program = shutil.copy(binary(), directory)
        for each in (directory, directory / "zone"):
            os.chmod(each, 0o755)
            os.chown(each, nobody, -1)
        reservation.close()  # an address is shared only with the same user
        done = subprocess.run([program, role, "-c", directory / "file.yaml"], user=nobody, cwd=directory,
                              capture_output=True, text=True, timeout=limit(10),
                              env={**os.environ, **execution_environment()})
        assert done.returncode == 1, done.stderr
        assert f'error {role}: user: only root can become "root"; leave it out or start as root' in done.stderr
        assert "ready" not in done.stdout + done.stderr
    finally:
        shutil.rmtree(directory)


@pytest.mark.h1_only
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_reload_rotate_and_upgrade(new_edge, origin):
    origin.default = reply(BODY)
    directory = Path(tempfile.mkdtemp(prefix="skerry-user-"))
    nobody = pwd.getpwnam("nobody")
    try:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        edge = new_edge(origin, user="nobody", start=False)
        edge.admin_path, edge.access_log_path = f"{directory}/admin.sock", directory / "access.log"
        edge.file, edge.program = directory / "edge.yaml", str(shutil.copy(binary(), directory))
        edge.start()
        edge.reload()
        edge.fetch("/before")
        edge.access_log(1)
        edge.access_log_path.rename(directory / "old.log")
        edge.reload_by_signal()
        edge.upgrade()
        edge.fetch("/after")
        assert "/after" in str(edge.access_log(1))
        assert f"\nUid:\t{nobody.pw_uid}\t" in Path(f"/proc/{edge.pid}/status").read_text()
        edge.stop()
    finally:
        shutil.rmtree(directory)


def test_the_service_manager_is_told(new_edge, origin):
    """sd_notify(3): ready, the new main process after an upgrade, stopping."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        edge = new_edge(origin, start=False)
        path = str(edge.directory / "notify.sock")
        manager.bind(path)
        manager.settimeout(limit(10))
        edge.environment["NOTIFY_SOCKET"] = path
        edge.start()
        told = manager.recv(4096).decode().split("\n")
        assert "READY=1" in told and f"MAINPID={edge.pid}" in told
        edge.upgrade()
        told = manager.recv(4096).decode().split("\n")
        assert "READY=1" in told and f"MAINPID={edge.pid}" in told
        edge.stop()
        assert "STOPPING=1" in manager.recv(4096).decode()


def test_it_runs_without_a_writable_directory(tmp_path, origin):
    origin.default = reply(BODY)
    reservation = Reservation()
    process = subprocess.Popen([binary(), "edge", "--listen", str(reservation), "--origin", origin.url], cwd="/proc/self",
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def answers():
        assert process.poll() is None, process.stdout.read()
        try:
            return fetch(reservation.address, "/a")
        except OSError:
            return None

    assert wait_until(answers).body == BODY
    process.terminate()
    assert process.wait(limit(10)) == 0
    reservation.close()
