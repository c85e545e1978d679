"""qlog: the QUIC connections of one client, written to files (draft-ietf-quic-qlog-main-schema)."""

import json
import stat

import pytest
from harness.h3client import Client
from harness.origin import cacheable
from harness.scale import wait_until

pytestmark = [pytest.mark.h1_only, pytest.mark.one_by_one]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "qlog").mkdir()
    return tmp_path / "qlog"


def make(new_https, origin, folder, **more):
    return new_https(origin, qlog={"folder": str(folder), "clients": ["127.0.0.1/32"], **more})


def records(file):
    """RFC 7464: each behind a record separator."""
    return [json.loads(text) for text in file.read_text().split("\x1e")[1:]]


def over(edge):
    wait_until(lambda: edge.metrics()["skerry_connections"] == 0, what="the connection's end")


def test_a_clients_connection_is_told(new_https, origin, folder):
    edge = make(new_https, origin, folder)
    with Client(edge.address) as client:
        assert client.get("/").status
    over(edge)
    file, = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.name.endswith(".sqlog")
    head, *events = records(file)
    assert head["qlog_format"] == "JSON-SEQ" and head["trace"]["vantage_point"]["type"] == "server"
    names = {event["name"] for event in events}
    assert {"transport:packet_sent", "transport:packet_received", "recovery:metrics_updated"} <= names, names
    assert file.stem.partition("-")[2] in file.read_text()  # the id that the client chose


def test_nobody_elses_is(new_https, origin, folder):
    edge = new_https(origin, qlog={"folder": str(folder), "clients": ["192.0.2.0/24"]})
    with Client(edge.address) as client:
        assert client.get("/").status
    over(edge)
    assert list(folder.iterdir()) == []


def test_all_files_together_have_a_size_until_the_next_reload(new_https, origin, folder):
    origin.default = cacheable(b"x" * 3_000_000, 600)
    edge = make(new_https, origin, folder, size="64KiB")

    def load():
        with Client(edge.address) as client:
            assert len(client.get("/").body) == 3_000_000
        over(edge)
        return sum(file.stat().st_size for file in folder.iterdir())
    first = load()
    assert 40_000 < first <= 65_536
    for file in folder.iterdir():
        assert records(file)  # whole records
    assert load() == first
    edge.reload()
    assert first < load() <= 2 * 65_536


def test_a_folder_that_is_not_there_hurts_nobody(new_https, origin, folder):
    edge = make(new_https, origin, folder / "nowhere")
    with Client(edge.address) as client:
        assert client.get("/").status
    wait_until(lambda: "nowhere" in edge.log())
