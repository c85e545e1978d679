"""A new program takes over from the running one: the listening sockets stay open, requests under way are finished."""

import shutil
import signal
import threading

import pytest

from harness.client import Conn
from harness.edge import binary
from harness.load import Load
from harness.message import build
from harness.origin import cacheable, reply
from harness.scale import pick, wait_until

BODY = b"body" * 100


def test_the_new_process_serves_and_the_old_one_ends(edge, origin):
    origin.default = reply(BODY)
    old = edge.pid
    edge.upgrade()
    assert edge.pid != old
    wait_until(lambda: edge.family.pids() == [edge.pid], what="one process to be left")
    assert edge.fetch("/a").body == BODY
    assert edge.health()


def test_a_request_under_way_is_finished_by_the_old_process(edge, origin):
    go = threading.Event()
    origin.on("/slow", lambda x: x.wait(go).reply(b"slow"))
    origin.on("/quick", reply(b"quick"))
    with edge.connect() as conn:
        conn.send(build(target="/slow"))
        origin.wait_for("/slow")
        edge.upgrade(wait_old=False)
        assert edge.fetch("/quick").body == b"quick"
        assert len(edge.family.pids()) >= 2
        go.set()
        response = conn.response()
        assert response.body == b"slow" and response.closes
    wait_until(lambda: len(edge.family.pids()) == 1, what="the old process to end")


def test_a_kept_connection_is_told_to_come_back(edge, origin):
    origin.default = reply(BODY)
    with edge.connect() as conn:
        conn.get("/a")
        edge.upgrade(wait_old=False)
        response = conn.get("/a")
        assert response.body == BODY and response.closes


def test_upgrades_under_load_fail_no_request(edge, origin):
    bodies = {f"/{size}": bytes(i % 251 for i in range(size)) for size in (10, 1000, 50_000)}
    for path, body in bodies.items():
        origin.on(path, cacheable(body))
    origin.on("/pass", reply(BODY, fields=[("Cache-Control", "no-store")]))
    bodies["/pass"] = BODY
    with Load(edge.address, bodies=bodies, directory=edge.directory, connections=32) as load:
        for _ in range(pick(3, 10)):
            edge.upgrade()
            assert load.running()
        load.assert_no_failure()


def test_an_upgrade_takes_the_new_configuration(new_edge, new_origin):
    one, two = new_origin(), new_origin()
    one.default, two.default = reply(b"one"), reply(b"two")
    edge = new_edge(one)
    edge.write({"origins": [two]})
    edge.upgrade()
    assert edge.fetch("/a").body == b"two"


@pytest.mark.parametrize("what", ["a broken file", "a program that fails"])
def test_a_failed_upgrade_leaves_the_old_process_in_place(new_edge, origin, tmp_path, what):
    origin.default = reply(BODY)
    program = tmp_path / "skerry"
    shutil.copy(binary(), program)
    edge = new_edge(origin, start=False)
    edge.program = str(program)
    edge.start()
    old = edge.pid
    edge.expected_codes = {0, 1, 2}
    if what == "a broken file":
        edge.file.write_text("memory: lots\n")
    else:
        program.unlink()
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    edge.send_signal(signal.SIGUSR2)
    wait_until(lambda: "this process stays in service" in edge.log(), what="a word about the failure")
    wait_until(lambda: edge.family.pids() == [old], what="the failed process to end")
    assert edge.fetch("/a").body == BODY
    assert edge.admin("/health").status == 200


def test_upgrade_from_the_command_line(new_edge, origin):
    origin.default = reply(BODY)
    edge = new_edge.bare("--origin", origin.url)
    edge.upgrade()
    assert edge.fetch("/a").body == BODY
    edge.upgrade()
    assert edge.fetch("/a").body == BODY


def test_a_kept_admin_connection_ends_at_an_upgrade(new_edge, origin):
    """What would be asked next on it is for the new process."""
    edge = new_edge(origin)
    with Conn(edge.admin_path) as conn:
        for _ in range(3):
            assert conn.request("GET", "/health", host="localhost").status == 200
        edge.upgrade(wait_old=False)
        conn.assert_closed(10)
