"""A site's key is erased at all edges of a fleet, over the bus: who did it, who had nothing, who could not, who is away."""

import json
import re

import pytest
from harness.client import fetch
from harness.control import SERVER
from harness.edge import READY, run
from harness.scale import wait_until
from test_fleet_nodes import HOST, new_node  # noqa: F401

pytestmark = pytest.mark.skipif(SERVER is None, reason="no valkey-server")

SITE = HOST  # a site without a name is called by its host
PLAIN = "disk: {path: DIR/store, size: 64MiB}\n"
SEALED = "disk: {path: DIR/store, size: 64MiB, key_file: DIR/key}\n"


@pytest.fixture
def new_edge_with_disk(new_node):  # noqa: F811
    def make(name, disk):
        edge = new_node(name, more=disk)
        opened(edge)
        return edge
    return make


def opened(edge):
    wait_until(lambda: edge.metrics()["skerry_disk_devices"] > 0, 20, "the disk to be open")


def start(edge):
    """Once more."""
    times = len(READY.findall(edge.log()))
    edge.start(wait=False)
    edge.wait_ready(times + 1)


def fill(edge):
    """Something of the site goes to the disk, when the edge stops at the latest."""
    for _ in range(3):
        assert edge.fetch("/a", host=HOST).status == 200
    edge.stop()
    start(edge)
    opened(edge)
    wait_until(lambda: edge.fetch("/a", host=HOST).hit, 15, "the hit from disk")


def erase(control, code, site=SITE):
    done = run("purge", "--control", control.admin, "--erase", "--site", site, "--wait")
    assert done.returncode == code, done
    return json.loads(done.stdout)["erase"]


def fetch_erasure(control):
    """Who is missing at once, without the ten seconds of the command."""
    answer = post(control.admin.removeprefix("unix:"), {"site": SITE, "erase": True}, "?wait_ms=20")
    assert answer.status == 200, answer
    return json.loads(answer.text)["erase"]["missing"]


def says(edge, pattern):
    wait_until(lambda: re.search(pattern, edge.log()), 20, f"{pattern!r} in the edge's log")


def post(path, what, more=""):
    return fetch(path, "/purge" + more, "POST", [("Content-Type", "application/json")], body=json.dumps(what).encode(),
                 host="localhost")


def ids(*names):
    return [f"spiffe://acme/fra/edge/{name}" for name in names]


def left(edge):
    return edge.fetch("/a", fields=[("Cache-Control", "only-if-cached")], host=HOST).status == 200


def test_each_edge_says_what_became_of_it(control, new_edge_with_disk):
    sealed, fresh = new_edge_with_disk("a", SEALED), new_edge_with_disk("b", SEALED)
    fill(sealed)
    assert erase(control, 0) == {"erased": 1, "nothing": 1, "not_encrypted": [], "missing": []}
    assert not left(sealed) and not left(fresh)
    assert control.has_done("erase", SITE)
    says(sealed, f"site {SITE}, by spiffe://acme/.*: erased")
    plain = new_edge_with_disk("c", PLAIN)
    fill(plain)
    assert erase(control, 1) == {"erased": 0, "nothing": 2, "not_encrypted": ids("c"), "missing": []}
    assert not left(plain)
    assert erase(control, 1, "never-heard-of")["not_encrypted"] == ids("c")


def test_an_edge_that_is_away_is_named_and_erases_when_it_is_back(control, new_edge_with_disk):
    edge = new_edge_with_disk("a", SEALED)
    fill(edge)
    wait_until(lambda: (edge.directory / "store.state.bus").exists(), 10, "its place on the bus to be kept")
    edge.stop()
    assert erase(control, 1) == {"erased": 0, "nothing": 0, "not_encrypted": [], "missing": ids("a")}
    start(edge)
    says(edge, f"site {SITE}, by spiffe://acme/.*: erased: its key is gone")
    assert not left(edge)
    assert erase(control, 0) == {"erased": 0, "nothing": 1, "not_encrypted": [], "missing": []}
    assert control.ask("control", "expel", "--node", *ids("a"))
    assert erase(control, 0)["missing"] == []


def test_what_is_no_erasure_is_refused(control, new_edge_with_disk):
    edge = new_edge_with_disk("a", SEALED)
    for wrong in (["--tag", "x"], ["--site", SITE, "--soft"]):
        assert run("purge", "--control", control.admin, "--erase", *wrong).returncode == 2
    for wrong, why in (({"tag": "x", "erase": True}, '"site" alone'), ({"site": SITE, "erase": True, "soft": True}, "soft"),
                       ({"site": [SITE, "b"], "erase": True}, "a request of its own"), ({"site": SITE, "erase": 1}, "true or false")):
        answer = post(control.admin.removeprefix("unix:"), wrong)
        assert answer.status == 400 and why in answer.text, answer
    answer = post(edge.admin_path, {"site": SITE, "erase": True})
    assert answer.status == 400 and "/erase" in answer.text, answer


def test_nobody_else_can_say_that_an_edge_has_erased(control, new_edge_with_disk):
    """Issue 6, attacks: who can write to Valkey says it in the place of an edge that is away."""
    from test_control import valkey
    edge = new_edge_with_disk("a", SEALED)
    assert erase(control, 0)["missing"] == []
    told = re.search(rb"skerry:erased:(\S+):(\d+):(\d+)", valkey(control, b"KEYS", b"skerry:erased:*"))
    edge.stop()
    following = b"skerry:erased:%s:%s:%d" % (told[1], told[2], int(told[3]) + 1)
    for word in (b"erased", b"nothing"):
        said = re.search(rb"\w+:\w{64}", valkey(control, b"HGET", told[0], ids("a")[0].encode()))[0]
        for forged in (said, word + said[said.index(b":"):], word + b":" + b"0" * 64, word + b":", b""):
            valkey(control, b"HSET", following, ids("a")[0].encode(), forged)
            assert fetch_erasure(control) == ids("a")
            following = following[:following.rindex(b":") + 1] + b"%d" % (int(following[following.rindex(b":") + 1:]) + 1)
