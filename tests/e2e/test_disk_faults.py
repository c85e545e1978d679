"""A running edge whose SSD tier's device fails: it goes on, takes the device out of service, says so and counts it."""

import os
import resource

import pytest

from harness.device import Mortal
from harness.scale import LONG, wait_until
from test_disk import HOST, get, is_from_disk, serve, store, tier  # noqa: F401

SIZE = 200_000
MEMORY = "16MiB"
TARGETS = [f"/{i}" for i in range(120)]  # one and a half times the RAM


@pytest.fixture
def mortal(tier):  # noqa: F811
    """An edge with a device that does what it is told."""
    serve(tier.origin, SIZE)
    lives = Mortal(tier(start=False, memory=MEMORY), tier.store)
    yield lives
    if lives.process:
        lives.die()
    lives.edge.check()


def fill(edge):
    store(edge, *TARGETS, size=SIZE)


def await_outage(edge):
    """Load goes on meanwhile, and every answer is right."""
    def out_of_service():
        fill(edge)
        return edge.metrics()["skerry_disk_devices_failed"] == 1
    wait_until(out_of_service, 20, "the device to be out of service")
    wait_until(lambda: "out of service" in edge.log(), what="the log to say so")


@pytest.mark.parametrize("trouble", ["write", "full", "sync"])
def test_a_device_that_takes_nothing_more_goes_out_of_service(mortal, trouble):
    edge = mortal.start().edge
    fill(edge)
    mortal.tell(f"trouble {trouble} 1000")
    await_outage(edge)
    assert edge.metrics()["skerry_disk_write_errors"] >= 1
    fill(edge)
    mortal.tell("trouble none")
    if LONG:  # it is tried again every ten seconds
        wait_until(lambda: edge.metrics()["skerry_disk_devices_failed"] == 0, 30, "the device to be back")
        assert "in service again" in edge.log()
        fill(edge)
    mortal.end("stop")


def test_a_device_that_cannot_be_read_costs_a_fetch_each_and_goes_out_of_service(mortal):
    edge = mortal.start().edge
    fill(edge)
    mortal.end("stop")
    edge = mortal.start().edge
    assert is_from_disk(get(edge, TARGETS[-1], size=SIZE))
    mortal.tell("trouble read 1000")
    for target in TARGETS:
        get(edge, target, size=SIZE)
    await_outage(edge)
    assert edge.metrics()["skerry_disk_read_errors"] >= 64
    mortal.tell("trouble none")
    mortal.end("stop")


@pytest.mark.skipif(not LONG, reason="a device is tried again every ten seconds")
def test_what_was_replaced_while_its_device_was_away_does_not_come_back(mortal, tier):  # noqa: F811
    """RFC 9111 4: the most recent response."""
    version = ["old"]
    tier.origin.on("/a", lambda x: x.reply(version[0].encode(), fields=[("Cache-Control", "max-age=3600")]))
    edge = mortal.start().edge
    for _ in range(3):
        edge.fetch("/a", host=HOST)
    fill(edge)  # it goes down
    wait_until(lambda: edge.metrics()["skerry_disk_flushed"] > 0, what="it to be written")
    mortal.tell("trouble write 1000")
    await_outage(edge)
    version[0] = "new"
    edge.fetch("/a", fields=[("Cache-Control", "no-cache")], host=HOST)
    mortal.tell("trouble none")
    wait_until(lambda: edge.metrics()["skerry_disk_devices_failed"] == 0, 30, "the device to be back")
    fill(edge)  # RAM forgets it
    fill(edge)
    assert edge.fetch("/a", host=HOST).body == b"new"
    mortal.end("stop")


def test_short_reads_and_writes_are_no_errors(mortal):
    edge = mortal.start().edge
    mortal.tell("trouble short 1000")
    fill(edge)
    mortal.end("stop")
    edge = mortal.start().edge
    mortal.tell("trouble short 1000")
    assert sum(is_from_disk(get(edge, target, size=SIZE)) for target in TARGETS) > 40
    assert edge.metrics()["skerry_disk_devices_failed"] == 0
    mortal.end("stop")


def test_a_limit_of_file_sizes_is_a_full_device(tier):  # noqa: F811
    """setrlimit(2): RLIMIT_FSIZE. Beyond it a write is cut short, then fails, and sends SIGXFSZ."""
    serve(tier.origin, SIZE)
    edge = tier(memory=MEMORY)
    resource.prlimit(edge.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    await_outage(edge)
    fill(edge)


@pytest.mark.begins_first
def test_a_store_that_is_cut_off_under_an_edge(tier):  # noqa: F811
    serve(tier.origin, SIZE)
    edge = tier(memory=MEMORY)
    fill(edge)
    edge.stop()
    edge = tier(memory=MEMORY)
    assert is_from_disk(get(edge, TARGETS[-1], size=SIZE))
    os.truncate(tier.store, 1 << 20)
    fill(edge)


def test_of_two_devices_one_fails_and_the_other_serves(tier, tmp_path):  # noqa: F811
    serve(tier.origin, SIZE)
    edge = tier(start=False, memory=MEMORY, disk={"state": str(tmp_path / "state"), "devices": [{"path": str(tmp_path / "other"), "size": "64MiB"}]})
    mortal = Mortal(edge, tier.store)
    mortal.start()
    mortal.tell("trouble write 1000")  # of the first one
    await_outage(edge)
    assert edge.metrics()["skerry_disk_devices"] == 1
    assert any(is_from_disk(get(edge, target, size=SIZE)) for target in TARGETS)
    mortal.end("stop")
