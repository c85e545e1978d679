"""Objects of 100 GB: they stream, seek and resume by blocks, in bounded memory, and their blocks lie in both tiers."""

import json
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from harness.edge import binary, execution_environment
from harness.ports import Reservation
from harness.scale import LONG, SLOW, limit, pick, wait_until
from test_disk import HOST, kill, tier  # noqa: F401

PAGE, TOTAL = 4096, 100 << 30
MIB = 1 << 20
ETAG = '"hundred"'


def content(first, end):
    """Every page says which one it is."""
    begin = first // PAGE
    pages = b"".join(struct.pack(">Q", page) * (PAGE // 8) for page in range(begin, -(-end // PAGE)))
    return pages[first - begin * PAGE:end - begin * PAGE]


def serve(origin):
    def answer(x):
        fields = [("ETag", ETAG), ("Cache-Control", "max-age=3600"), ("Accept-Ranges", "bytes")]
        asked = x.request.fields.get("range")
        first, last = 0, TOTAL - 1
        if asked:
            first, last = (int(n) if n else TOTAL - 1 for n in asked.removeprefix("bytes=").split("-"))
            fields.append(("Content-Range", f"bytes {first}-{last}/{TOTAL}"))
        x.head(206 if asked else 200, "OK", fields, last + 1 - first)
        for at in range(first, last + 1, MIB):
            x.send(content(at, min(at + MIB, last + 1)))
    origin.default = answer


def bounded(edge, before):
    """A sanitizer's own memory is not."""
    return os.environ.get("SKERRY_BUILD", "release") != "release" or edge.peak_rss_kib() - before < 64 * 1024


def part(edge, first, bytes, fields=()):
    response = edge.fetch("/large", fields=[("Range", f"bytes={first}-{first + bytes - 1}"), *fields], host=HOST)
    assert response.status == 206, response
    assert response["content-range"] == f"bytes {first}-{first + bytes - 1}/{TOTAL}"
    assert response.body == content(first, first + bytes)
    return response


def test_seeks_in_100_gb_are_kept_block_by_block_in_both_tiers(tier):  # noqa: F811
    serve(tier.origin)
    edge = tier(memory="8MiB", disk={"size": "256MiB"})
    count = 40 if LONG else 24  # as many MiB and more: RAM has room for less than half
    places = [i * (TOTAL // count) + i * 12345 for i in range(count)]
    before = edge.rss_kib()
    for place in places:
        for _ in range(2):
            part(edge, place, MIB)
    assert bounded(edge, before)
    few = 10 if SLOW == 1 else 3

    def kept():
        """A device that does not keep up drops what it has no time for: that is fetched, and put, again."""
        asked = tier.origin.count("/large")
        hits = sum(part(edge, place, MIB).hit for place in places)
        assert tier.origin.count("/large") - asked <= 4 * (len(places) - hits)
        return hits > few
    wait_until(kept, 20, "parts that both tiers keep")
    assert edge.metrics()["skerry_disk_read_duration_seconds_count"] > few
    edge.stop()
    edge = tier(memory="8MiB", disk={"size": "256MiB"})

    def goes_on(place):
        asked = tier.origin.count("/large")
        part(edge, place, 100)  # one block of it is in RAM now,
        return part(edge, place, MIB).hit and tier.origin.count("/large") == asked  # and the others are not
    assert any([goes_on(place) for place in places[-4:]])


def test_a_stream_of_100_gb_that_breaks_off_goes_on_where_it_was_in_bounded_memory(tier):  # noqa: F811
    serve(tier.origin)
    edge = tier(memory="8MiB", disk={"size": "256MiB"})
    before = edge.rss_kib()
    much = (2048 if LONG else 64) * MIB
    with edge.connect() as conn:
        conn.send(f"GET /large HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert conn.head().status == 200
        for at in range(0, much, MIB):
            assert conn.read(MIB) == content(at, at + MIB)
    assert bounded(edge, before)
    part(edge, much, MIB, [("If-Range", ETAG)])  # RFC 9110 13.1.5
    kill(edge)
    edge = tier(memory="8MiB", disk={"size": "256MiB"})
    part(edge, much + MIB, MIB, [("If-Range", ETAG)])


# --- to its end: made and looked at by tests/tools/largeobject, which takes one core each, at 1 to 2 GB a second


def tool(*arguments):
    path = Path(binary()).parent / "tests/tools/largeobject/largeobject"
    assert path.exists(), f"{path} is not built"
    return [str(path), *map(str, arguments)]


@pytest.fixture
def large_origin():
    """Starts an origin that has an object of so many bytes; its URL."""
    processes, environment = [], {**os.environ, **execution_environment()}

    def start(total):
        port = Reservation()
        processes.append(subprocess.Popen(tool("origin", port.port, total), env=environment))
        wait_until(lambda: socket.socket().connect_ex(port.address) == 0, 10, "the origin")
        return f"http://{port}"
    yield start
    for process in processes:
        process.kill()
        process.wait()


def seek(edge, total, places, stop, found):
    """Beside a stream: some bytes here and there."""
    for place in places:
        if stop.is_set():
            return
        response = edge.fetch("/large", fields=[("Range", f"bytes={place}-{place + PAGE - 1}")], host=HOST)
        found.append(response.status == 206 and response.body == content(place, place + PAGE))


@pytest.mark.timeout(limit(pick(120, 7200)))
def test_a_large_object_is_read_to_its_end_in_bounded_memory(tier, large_origin):  # noqa: F811
    """SKERRY_TEST_LONG=1: 100 GB, minutes; SKERRY_TEST_LARGE: so many GiB."""
    total = int(os.environ.get("SKERRY_TEST_LARGE", pick(0, 100))) << 30 or (512 if SLOW == 1 else 96) * MIB
    edge = tier(memory="8MiB", disk={"size": "256MiB"}, site={"origins": [large_origin(total)]})
    before, stop, found = edge.rss_kib(), threading.Event(), []
    places = [(i * 7919 * PAGE * 257) % (total - PAGE) // PAGE * PAGE for i in range(1000)]
    seeker = threading.Thread(target=seek, args=(edge, total, places, stop, found))
    reader = subprocess.Popen(tool("read", edge.address[1], HOST, "/large", 0, total), stdout=subprocess.PIPE,
                              env={**os.environ, **execution_environment()})
    try:
        seeker.start()
        told = json.loads(reader.communicate(timeout=limit(60 + total / 50e6))[0])
    finally:
        stop.set()
        reader.kill()
        seeker.join()
    print(f"{told}, {len(found)} seeks beside it; memory at most {edge.peak_rss_kib()} KiB, {before} KiB before; "
          f"{edge.metrics()['skerry_disk_written_bytes']:.0f} bytes written to disk")
    assert told["status"] == 200 and told["bytes"] == total and told["wrong"] is None, told
    assert found and all(found)
    assert bounded(edge, before)
