"""One site's key of the encrypted SSD tier is erased: nothing of that site is read again, wherever a copy of it lies."""

import json
import os
import random
import shutil
import threading
import time

import pytest

from harness.edge import run
from harness.scale import pick, wait_until
from test_disk import body_of, is_from_disk, kill, serve, tier  # noqa: F401

HOSTS = {"goes": "goes.example.com", "stays": "stays.example.com"}
TARGETS = [f"/{i}" for i in range(5)]


@pytest.fixture
def two(tier, tmp_path):  # noqa: F811
    """Edges with two sites on one encrypted store: two()."""
    serve(tier.origin)

    def start(key=True):
        disk = {"path": str(tier.store), "size": "64MiB", **({"key_file": str(tmp_path / "key")} if key else {})}
        sites = [{"name": name, "hosts": [host], "origins": [tier.origin]} for name, host in HOSTS.items()]
        return tier(disk=disk, sites=sites, opens=key)
    start.store = tier.store
    start.files = [tier.store, tmp_path / "store.state"]
    start.keys = tmp_path / "store.state.keys"
    return start


def get(edge, site, target):
    response = edge.fetch(target, host=HOSTS[site])
    assert response.status == 200 and response.body == body_of(target), response
    return response


def fill(edge):
    for site in HOSTS:
        for target in TARGETS * 2:
            get(edge, site, target)


def on_disk(edge, site):
    return [is_from_disk(get(edge, site, target)) for target in TARGETS]


def erase(edge, site="goes"):
    return edge.admin("/erase", "POST", [("Content-Type", "application/json")], body=json.dumps({"site": site}).encode())


def warm(two):
    edge = two()
    fill(edge)
    edge.stop()
    return two()


@pytest.mark.parametrize("how", ["at once", "restart", "kill"])
def test_what_an_erased_site_had_is_not_found(two, how):
    edge = warm(two)
    assert is_from_disk(get(edge, "goes", "/0"))  # and in RAM from now on
    assert json.loads(erase(edge).text) == {"erased": True}
    if how != "at once":
        edge.stop() if how == "restart" else kill(edge)
        edge = two()
    assert not any(get(edge, "goes", target).hit for target in TARGETS)
    assert all(on_disk(edge, "stays"))


def test_no_copy_of_the_device_can_be_read_whenever_it_was_made(two):
    """With the log of purges of that time, and the node key: only what became of the site's own key is left to tell."""
    edge = two()
    fill(edge)
    edge.stop()
    for file in two.files:
        shutil.copy(file, f"{file}.copy")
    edge = two()
    assert erase(edge).status == 200
    edge.stop()
    for file in two.files:
        os.replace(f"{file}.copy", file)
    edge = two()
    assert not any(get(edge, "goes", target).hit for target in TARGETS)
    assert all(on_disk(edge, "stays"))


def test_the_site_goes_on_with_another_key(two):
    edge = warm(two)
    assert erase(edge).status == 200
    fill(edge)
    edge.stop()
    edge = two()
    assert all(on_disk(edge, "goes")) and all(on_disk(edge, "stays"))


def test_nothing_from_before_is_sealed_with_the_new_key(two):
    """What RAM holds of the site when it is erased does not go down at the stop."""
    edge = two()
    fill(edge)
    assert json.loads(erase(edge).text) == {"erased": False}  # nothing of it was on disk yet
    edge.stop()
    assert run("store", "info", "--json", str(two.store)).returncode == 0
    info = json.loads(run("store", "info", "--json", str(two.store)).stdout)
    assert info["records"] == len(TARGETS), info  # of the other site


def test_kill_9_amid_an_erasure(two):
    rng = random.Random(int(os.environ.get("SKERRY_TEST_SEED", "1")))
    done = 0
    for _ in range(int(os.environ.get("SKERRY_TEST_CRASHES", pick(4, 100)))):
        edge = warm(two)
        told = []

        def ask(edge=edge, told=told):
            try:
                told.append(erase(edge).status)
            except Exception:  # the edge was killed amid it
                pass
        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(rng.random() * 0.01)
        kill(edge)
        thread.join()
        edge = two()
        found = on_disk(edge, "goes")
        assert all(found) or not any(found), found
        if told:
            done += 1
            assert not any(found)
        assert all(on_disk(edge, "stays"))
        edge.stop()
    print(f"{done} erasures told to be done")


def test_the_command_and_what_it_says(two):
    edge = warm(two)
    admin = ["--admin", f"unix:{edge.admin_path}"]
    done = run("purge", *admin, "--erase", "--site", "goes")
    assert done.returncode == 0 and "its key erased" in done.stdout, done
    again = run("purge", *admin, "--erase", "--site", "nowhere")
    assert again.returncode == 0 and "nothing of it was on disk" in again.stdout, again
    for wrong in (["--erase", "--tag", "x"], ["--erase", "--site", "goes", "--soft"], ["--erase"]):
        assert run("purge", *admin, *wrong).returncode == 2
    assert erase(edge, "a|b").status == 400
    assert edge.admin("/erase", "POST", body=b"{").status == 400
    assert "site goes: erased" in edge.log()
    edge.stop()
    edge = two(key=False)
    answer = erase(edge)
    assert answer.status == 409 and "disk.key_file" in answer.text


def test_a_lost_file_of_keys_costs_what_is_stored_and_no_more(two):
    edge = two()
    fill(edge)
    edge.stop()
    two.keys.unlink()
    edge = two()
    assert not any(get(edge, site, target).hit for site in HOSTS for target in TARGETS)
    fill(edge)
    edge.stop()
    edge = two()
    assert all(on_disk(edge, "goes"))
    wait_until(lambda: edge.metrics()["skerry_disk_damaged"] == 0, what="nothing to be called damaged")
