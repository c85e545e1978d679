"""The SSD tier: what RAM evicts or a stop saves comes back, is never a wrong byte, and no purge is forgotten."""

import gzip
import hashlib
import json
import os
import signal
import threading
from urllib.parse import quote

import pytest

from harness.edge import run
from harness.scale import LONG, wait_until

HOST = "shop.example.com"


@pytest.fixture
def tier(new_edge, new_origin, tmp_path):
    """Starts edges, one after the other, on one store: tier(). tier.origin answers all of them."""

    class Tier:
        origin = new_origin()
        store = tmp_path / "store"

        def __call__(self, start=True, opens=True, **more):
            """OPENS: waits until the store is open; an edge does so for a second at most."""
            disk = {"path": str(self.store), "size": "64MiB", **more.pop("disk", {})}
            site = {"name": "shop", "hosts": [HOST], "origins": [self.origin], **more.pop("site", {})}
            sites = more.pop("sites", [site])
            edge = new_edge(memory=more.pop("memory", "16MiB"), disk=disk, sites=sites, start=start, **more)
            if start and opens:
                wait_until(lambda: edge.metrics()["skerry_disk_devices"] > 0, 20, "the store to be open")
            return edge

    return Tier()


def body_of(target, size=2000):
    """Bytes that belong to TARGET alone."""
    seed = hashlib.sha256(target.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def serve(origin, size=2000, fields=(("Cache-Control", "max-age=3600"),)):
    origin.default = lambda x: x.reply(body_of(x.request.target, size), fields=[*fields, ("ETag", '"1"')])


def get(edge, target, size=2000, fields=(), **more):
    response = edge.fetch(target, fields=fields, host=HOST, **more)
    assert response.status == 200 and response.body == body_of(target, size), (target, response)
    return response


def purge(edge, **what):
    response = edge.admin("/purge", "POST", [("Content-Type", "application/json")], body=json.dumps(what).encode())
    assert response.status == 200, response.text


def store(edge, *targets, **more):
    """Asked for again: what comes before the first answer has gone all its way does not count as that."""
    for target in targets:
        get(edge, target, **more)
        assert get(edge, target, **more).hit and get(edge, target, **more).hit


def is_from_disk(response):
    return response.hit and response.cache_status.get("detail") == "disk"


def kill(edge):
    edge.expected_codes.add(-signal.SIGKILL)
    edge.stop(signal.SIGKILL)


# --- restarts


def test_a_restart_keeps_what_was_asked_for_more_than_once(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a", "/b")
    get(edge, "/once")
    edge.stop()
    edge = tier()
    assert is_from_disk(get(edge, "/a"))
    again = get(edge, "/a")
    assert again.hit and not is_from_disk(again)  # in RAM now
    assert is_from_disk(get(edge, "/b"))
    assert not get(edge, "/once").hit
    assert tier.origin.count("/a") == 1 and tier.origin.count("/once") == 2


def test_kill_9_keeps_what_was_written_and_what_is_served_is_right(tier):
    serve(tier.origin)
    edge = tier()
    targets = [f"/{i}" for i in range(60)]
    store(edge, *targets)
    edge.stop()
    kill(tier())
    edge = tier()
    assert all(is_from_disk(get(edge, target)) for target in targets)


def test_what_ram_evicts_is_on_disk(tier):
    serve(tier.origin)
    edge = tier()
    size = 200_000
    serve(tier.origin, size)
    targets = [f"/{i}" for i in range(200)]  # two and a half times the RAM
    store(edge, *targets, size=size)
    tiers = [is_from_disk(get(edge, target, size=size)) for target in targets]
    assert sum(tiers) > 40  # more than RAM has room for; how many depends on what the device keeps up with
    wait_until(lambda: edge.metrics()['skerry_cache_tier_hits_total{tier="disk"}'] == sum(tiers), what="the count")


def test_a_stale_object_is_validated_and_served_from_disk(tier):
    tier.origin.on("/a", lambda x: x.reply(status=304, fields=[("ETag", '"1"'), ("Cache-Control", "max-age=3600")])
                   if x.request.fields.get("if-none-match") else
                   x.reply(body_of("/a"), fields=[("Cache-Control", "max-age=4"), ("ETag", '"1"')]))
    edge = tier()
    store(edge, "/a")
    edge.stop()
    edge = tier()
    wait_until(lambda: "304" in repr(get(edge, "/a")["cache-status"]), what="the origin to be asked")
    assert get(edge, "/a").hit
    assert tier.origin.count("/a") == 2


def test_variants_come_back_each_for_its_requests(tier):
    tier.origin.on("/v", lambda x: x.reply(body_of("/v" + x.request.fields.get("x-kind", "")), fields=[
        ("Cache-Control", "max-age=3600"), ("Vary", "X-Kind")]))
    edge = tier()
    for kind in ("one", "two"):
        for _ in range(2):
            edge.fetch("/v", fields=[("X-Kind", kind)], host=HOST)
    edge.stop()
    edge = tier()
    for kind in ("two", "one"):
        response = edge.fetch("/v", fields=[("X-Kind", kind)], host=HOST)
        assert response.body == body_of("/v" + kind) and is_from_disk(response), response
    third = edge.fetch("/v", fields=[("X-Kind", "three")], host=HOST)
    assert third.body == body_of("/vthree") and not third.hit


def test_a_large_object_comes_back_in_slices(tier):
    size = 3_000_000
    serve(tier.origin, size)
    edge = tier()
    store(edge, "/large", size=size)
    edge.stop()
    edge = tier()
    middle = edge.fetch("/large", fields=[("Range", "bytes=1500000-1500099")], host=HOST)
    assert middle.status == 206 and middle.body == body_of("/large", size)[1500000:1500100] and middle.hit
    assert get(edge, "/large", size=size).hit
    assert tier.origin.count("/large") == 1


def test_a_large_object_without_a_strong_validator_is_whole_or_stays_in_ram(tier):
    tier.origin.default = lambda x: x.reply(body_of(x.request.target, int(x.request.target[1:])),
                                            fields=[("Cache-Control", "max-age=3600")])
    edge = tier()
    for size in (1_000_000, 5_000_000):
        store(edge, f"/{size}", size=size)
    edge.stop()
    edge = tier()
    assert is_from_disk(get(edge, "/1000000", size=1_000_000))
    assert not get(edge, "/5000000", size=5_000_000).hit


def test_ranges_of_what_is_on_disk(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.stop()
    edge = tier()
    part = edge.fetch("/a", fields=[("Range", "bytes=10-19")], host=HOST)
    assert part.status == 206 and part.body == body_of("/a")[10:20] and is_from_disk(part)
    missing = edge.fetch("/a", fields=[("If-None-Match", '"1"')], host=HOST)
    assert missing.status == 304
    assert tier.origin.count("/a") == 1


def test_many_who_ask_at_once_share_one_read(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.stop()
    edge = tier()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(edge, "/a"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16 and all(answer.hit for answer in answers)
    assert tier.origin.count("/a") == 1


# --- purges


PURGES = [{"url": f"http://{HOST}/a/x"}, {"prefix": f"http://{HOST}/a/"}, {"host": HOST}, {"site": "shop"},
          {"tag": "red"}, {"glob": f"{HOST}/*/x"}, {"all": True}]


@pytest.mark.parametrize("what, how", [(what, how) for what in PURGES for how in ("restart", "kill")
                                       if how == "restart" or LONG or {"url", "glob"} & set(what)],
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_a_purge_holds_for_what_is_on_disk(tier, what, how):
    """What is written for a kill to leave is the same for all kinds; test_disk_crash.py kills amid most of them."""
    serve(tier.origin, fields=[("Cache-Control", "max-age=3600"), ("Surrogate-Key", "red")])
    edge = tier()
    store(edge, "/a/x")
    edge.stop()
    edge = tier()
    purge(edge, **what)
    edge.stop() if how == "restart" else kill(edge)
    edge = tier()
    assert not get(edge, "/a/x").hit
    assert tier.origin.count("/a/x") == 2


def test_a_purge_before_the_stop_hits_and_what_came_after_it_stays(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a", "/b")
    purge(edge, url=f"http://{HOST}/a")
    purge(edge, url=f"http://{HOST}/c")
    store(edge, "/c")
    edge.stop()
    edge = tier()
    assert not get(edge, "/a").hit
    assert is_from_disk(get(edge, "/b")) and is_from_disk(get(edge, "/c"))


def test_a_soft_purge_validates_what_is_on_disk(tier):
    tier.origin.default = lambda x: (
        x.reply(status=304, fields=[("ETag", '"1"')]) if x.request.fields.get("if-none-match") else
        x.reply(body_of(x.request.target), fields=[("Cache-Control", "max-age=3600"), ("ETag", '"1"')]))
    edge = tier()
    store(edge, "/a")
    edge.stop()
    edge = tier()
    purge(edge, url=f"http://{HOST}/a", soft=True)
    edge.stop()
    edge = tier()
    response = get(edge, "/a")
    assert response.cache_status.get("fwd-status") == 304, response
    assert get(edge, "/a").hit


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_an_unsafe_request_makes_what_is_on_disk_invalid(tier, how):
    """RFC 9111 4.4"""
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.stop()
    edge = tier()
    edge.fetch("/a", "POST", host=HOST, body=b"x")
    edge.stop() if how == "restart" else kill(edge)
    edge = tier()
    assert not get(edge, "/a").hit


def test_an_older_response_does_not_come_back(tier):
    """RFC 9111 4: the most recent response. The new one is in RAM alone when the machine's power goes, so to speak."""
    version = ["old"]
    tier.origin.default = lambda x: x.reply(version[0].encode(), fields=[("Cache-Control", "max-age=3600")])
    edge = tier()
    for _ in range(2):
        edge.fetch("/a", host=HOST)
    edge.stop()
    edge = tier()
    version[0] = "new"
    edge.fetch("/a", fields=[("Cache-Control", "no-cache")], host=HOST)
    wait_until(lambda: edge.metrics()["skerry_disk_flushed"] > 0, what="what is said of it to be written")
    kill(edge)
    edge = tier()
    assert edge.fetch("/a", host=HOST).body == b"new"


def test_an_older_response_does_not_come_back_with_its_device(tier):
    """RFC 9111 4: the most recent response, which came while the device with the older one was away."""
    version = ["old"]
    tier.origin.default = lambda x: (
        x.reply(status=304, fields=[("ETag", f'"{version[0]}"')])
        if x.request.fields.get("if-none-match") == f'"{version[0]}"' else
        x.reply(version[0].encode(), fields=[("Cache-Control", "max-age=3600"), ("ETag", f'"{version[0]}"')]))
    edge = tier()
    for target in ("/a", "/b"):
        for _ in range(3):
            edge.fetch(target, host=HOST)
    edge.stop()
    away = tier.store.rename(tier.store.parent / "away")
    tier.store.write_bytes(b"somebody's thesis")
    edge = tier(opens=False)
    version[0] = "new"
    assert edge.fetch("/a", host=HOST).body == b"new"
    edge.stop()
    away.rename(tier.store)
    for how in ("validated", "with a restart in between"):
        edge = tier()
        assert edge.fetch("/a", host=HOST).body == b"new", how
        edge.stop()
    version[0] = "old"
    edge = tier()
    assert edge.fetch("/b", host=HOST).cache_status.get("fwd-status") == 304  # it was not replaced: nothing is lost


def test_without_its_log_a_store_is_not_believed(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.stop()
    (tier.store.parent / "store.state").unlink()
    edge = tier()
    assert not get(edge, "/a").hit


def test_with_a_damaged_log_everything_is_validated(tier):
    tier.origin.default = lambda x: (
        x.reply(status=304, fields=[("ETag", '"1"')]) if x.request.fields.get("if-none-match") else
        x.reply(body_of(x.request.target), fields=[("Cache-Control", "max-age=3600"), ("ETag", '"1"')]))
    edge = tier()
    store(edge, "/a")
    edge.stop()
    with open(tier.store.parent / "store.state", "ab") as log:
        log.write(b"\x40torn")
    edge = tier()
    assert get(edge, "/a").cache_status.get("fwd-status") == 304
    assert get(edge, "/a").hit


# --- No-Vary-Search


def serve_search(origin, rule='params=("utm")'):
    origin.default = lambda x: x.reply(x.request.target.encode(), fields=[
        ("Cache-Control", "max-age=3600"), ("ETag", '"1"'), ("Surrogate-Key", "red"),
        *([("No-Vary-Search", rule)] if rule else [])])


def search(edge, target):
    response = edge.fetch(target, host=HOST)
    assert response.status == 200
    return response


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_equivalent_queries_find_what_is_on_disk(tier, how):
    serve_search(tier.origin)
    edge = tier()
    for target in ("/a?id=1&utm=x", "/a?utm=y&id=1", "/a?id=2", "/a?id=2&utm=z", "/other", "/other"):
        search(edge, target)
    assert tier.origin.count() == 3
    edge.stop()
    if how == "kill":
        kill(tier())
    edge = tier()
    one = search(edge, "/a?id=1&utm=never-seen")
    assert is_from_disk(one) and one.body == b"/a?id=1&utm=x", one
    two = search(edge, "/a?utm=new&id=2")
    assert is_from_disk(two) and two.body == b"/a?id=2"
    assert is_from_disk(search(edge, "/other"))
    assert search(edge, "/a?id=1").hit  # in RAM now
    assert search(edge, "/a?id=3&utm=x").body == b"/a?id=3&utm=x"
    assert tier.origin.count() == 4


@pytest.mark.parametrize("when", ["before the stop", "after it"])
@pytest.mark.parametrize("what", [{"url": f"http://{HOST}/a?id=1"}, {"tag": "red"}, {"prefix": f"http://{HOST}/a"}],
                         ids=["url", "tag", "prefix"])
def test_a_purge_hits_what_is_on_disk_under_a_rule(tier, what, when):
    serve_search(tier.origin)
    edge = tier()
    for _ in range(2):
        search(edge, "/a?id=1&utm=x")
    if when == "after it":
        edge.stop()
        edge = tier()
    purge(edge, **what)
    edge.stop()
    edge = tier()
    fresh = search(edge, "/a?id=1&utm=y")
    assert not fresh.hit and fresh.body == b"/a?id=1&utm=y"


def test_a_rule_that_was_taken_back_does_not_come_back(tier):
    serve_search(tier.origin)
    edge = tier()
    for _ in range(2):
        search(edge, "/a?id=1&utm=x")
    edge.stop()
    edge = tier()
    serve_search(tier.origin, rule=None)
    assert search(edge, "/a?id=2").body == b"/a?id=2"  # and says that there is no rule any more
    kill(edge)
    edge = tier()
    assert search(edge, "/a?id=1&utm=z").body == b"/a?id=1&utm=z"


def test_explain_sees_what_is_on_disk_under_a_rule(tier):
    serve_search(tier.origin)
    edge = tier()
    for _ in range(2):
        search(edge, "/a?id=1&utm=x")
    edge.stop()
    edge = tier()
    said = explain(edge, quote("/a?utm=q&id=1", safe=""))
    assert said["verdict"]["step"] == "answer" and "detail=disk" in said["verdict"]["cache_status"], said
    assert tier.origin.count() == 1


# --- what devices do


def test_a_damaged_store_serves_no_wrong_byte(tier):
    serve(tier.origin)
    edge = tier()
    targets = [f"/{i}" for i in range(100)]
    store(edge, *targets)
    edge.stop()
    with open(tier.store, "r+b") as file:
        for offset in range(4096 + 4096, 4096 + (1 << 20), 5000):
            file.seek(offset)
            file.write(b"\xff" * 7)
    edge = tier()
    for target in targets:
        get(edge, target)


def test_a_foreign_file_is_left_alone(tier):
    serve(tier.origin)
    text = b"This is somebody's thesis.\n" * 1000
    tier.store.write_bytes(text)
    edge = tier(opens=False)
    assert not get(edge, "/a").hit
    assert get(edge, "/a").hit
    edge.stop()
    assert tier.store.read_bytes() == text
    assert "holds something else" in edge.log()


def test_a_truncated_store_is_a_cold_one(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.stop()
    os.truncate(tier.store, 3_000_000)
    edge = tier()
    get(edge, "/a")


def test_a_second_process_serves_without_it_and_takes_over(tier):
    serve(tier.origin)
    first = tier()
    store(first, "/a")
    second = tier(opens=False)
    assert not get(second, "/a").hit
    first.stop()
    store(second, "/b")
    wait_until(lambda: second.metrics()["skerry_disk_devices"] == 1, what="the second to have the store")
    purge(second, url=f"http://{HOST}/a")
    second.stop()
    third = tier()
    assert is_from_disk(get(third, "/b")) and not get(third, "/a").hit


def test_a_purge_before_the_take_over_holds(tier):
    serve(tier.origin)
    first = tier()
    store(first, "/a", "/b")
    second = tier(opens=False)
    purge(second, url=f"http://{HOST}/a")
    first.stop()
    wait_until(lambda: second.metrics()["skerry_disk_devices"] == 1, what="the second to have the store")
    assert not get(second, "/a").hit
    assert is_from_disk(get(second, "/b"))


def test_an_upgrade_hands_the_store_over(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, "/a")
    edge.upgrade()
    wait_until(lambda: edge.metrics()["skerry_disk_devices"] == 1, what="the new process to have the store")
    assert is_from_disk(get(edge, "/a"))


def test_a_full_file_system_costs_only_the_tier(tier):
    serve(tier.origin)
    edge = tier(opens=False, disk={"size": "60TiB"})
    store(edge, "/a")
    edge.stop()
    assert "make room" in edge.log()


def test_encrypted_nothing_can_be_read_without_the_key(tier, tmp_path):
    serve(tier.origin)
    key = tmp_path / "key"
    edge = tier(disk={"key_file": str(key)})
    store(edge, "/a")
    edge.stop()
    assert key.stat().st_size == 32 and key.stat().st_mode & 0o077 == 0
    assert body_of("/a")[:64] not in tier.store.read_bytes()
    edge = tier(disk={"key_file": str(key)})
    assert is_from_disk(get(edge, "/a"))
    edge.stop()
    key.write_bytes(bytes(32))
    edge = tier(opens=False, disk={"key_file": str(key)})
    assert not get(edge, "/a").hit


def test_the_write_limit_bounds_what_is_stored(tier):
    size = 200_000
    serve(tier.origin, size)
    edge = tier(disk={"write_limit": "1MiB"})
    store(edge, *[f"/{i}" for i in range(200)], size=size)
    metrics = edge.metrics()
    assert metrics["skerry_disk_refused"] > 0


# --- configuration


@pytest.mark.parametrize("disk, text", [
    ({"path": "/nowhere/at/all", "size": "64MiB"}, "folder that is not there"),
    ({"path": "store"}, "found no size"),
    ({"path": "store", "size": "1MiB"}, "less than 64MiB"),
    ({"path": ".", "size": "64MiB"}, "found a folder"),
    ({"size": "64MiB"}, "found no path"),
    ({"path": "a", "size": "64MiB", "devices": [{"path": "a", "size": "64MiB"}]}, "same path twice"),
])
def test_check_says_what_is_wrong(tmp_path, disk, text):
    file = tmp_path / "edge.yaml"
    file.write_text(json.dumps({"disk": disk, "sites": [{"origin": "http://127.0.0.1:1"}]}))
    result = run("check", file)
    assert result.returncode != 0 and text in result.stdout + result.stderr, result


# --- skerry store


def test_store_tells_of_an_edges_store_and_finds_damage_in_it(tier):
    serve(tier.origin)
    edge = tier()
    store(edge, *[f"/{i}" for i in range(20)])
    busy = run("store", "verify", str(tier.store))
    assert busy.returncode == 1 and "in use" in busy.stderr
    assert "in use" in run("store", "info", str(tier.store)).stdout
    edge.stop()
    info = json.loads(run("store", "info", "--json", str(tier.store)).stdout)
    assert info["records"] >= 20 and info["index_kept"] and not info["in_use"] and not info["encrypted"]
    done = run("store", "verify", str(tier.store))
    assert done.returncode == 0 and f"{info['records']} records, 0 damaged" in done.stdout
    data = bytearray(tier.store.read_bytes())
    at = data.index(body_of("/7")[:64])
    data[at] ^= 1
    tier.store.write_bytes(data)
    done = run("store", "verify", "--json", str(tier.store))
    assert done.returncode == 1 and json.loads(done.stdout)["damaged_records"] == 1


# --- what is told


def explain(edge, target, *fields):
    query = f"/explain?url=http://{HOST}{target}" + "".join(f"&header={field}" for field in fields)
    response = edge.admin(query)
    assert response.status == 200, response.text
    return json.loads(response.text)


def test_explain_sees_what_is_on_disk_alone_and_leaves_it_there(tier):
    tier.origin.default = lambda x: x.reply(body_of(x.request.target), fields=[
        ("Cache-Control", "max-age=3600"), ("Vary", "X-Kind"), ("ETag", '"1"'), ("Surrogate-Key", "red blue")])
    edge = tier()
    for _ in range(2):
        edge.fetch("/a", fields=[("X-Kind", "one")], host=HOST)
    edge.stop()
    edge = tier()
    for _ in range(2):
        said = explain(edge, "/a", "X-Kind:one")
        assert said["verdict"]["step"] == "answer" and "detail=disk" in said["verdict"]["cache_status"], said
        assert said["stored"]["tier"] == "disk" and said["stored"]["length"] == 2000 and said["stored"]["tags"] == 2
        assert said["variant"]["vary"] == "x-kind" and 3590 < said["freshness"]["ttl"] <= 3600
    other = explain(edge, "/a", "X-Kind:two")
    assert other["verdict"]["step"] == "fetch" and "stored" not in other
    assert "disk" in run("explain", "--admin", f"unix:{edge.admin_path}", f"http://{HOST}/a", "-H", "X-Kind: one").stdout
    assert is_from_disk(edge.fetch("/a", fields=[("X-Kind", "one")], host=HOST))
    assert explain(edge, "/a", "X-Kind:one")["stored"]["tier"] == "memory"
    edge.stop()
    edge = tier()
    purge(edge, tag="red")
    said = explain(edge, "/a", "X-Kind:one")
    assert said["verdict"]["step"] == "fetch" and said["purge"]["state"] == "purged", said


def test_metrics_of_the_tier_are_true(tier):
    size = 200_000
    serve(tier.origin, size)
    edge = tier()
    targets = [f"/{i}" for i in range(200)]
    store(edge, *targets, size=size)
    from_disk = sum(is_from_disk(get(edge, target, size=size)) for target in targets)

    def of(tier_name, what):
        return edge.metrics()[f'skerry_cache_tier_{what}_total{{tier="{tier_name}"}}']
    wait_until(lambda: of("disk", "hits") == from_disk, what="the hits")
    assert of("disk", "hit_bytes") == from_disk * size
    wait_until(lambda: of("disk", "hits") + of("memory", "hits") == edge.metrics()["skerry_cache_hits_total"], what="all hits")
    metrics = edge.metrics()
    assert metrics["skerry_disk_puts"] > 0
    # what was put, and what the device was given for it, are what write amplification is made of
    wait_until(lambda: edge.metrics()["skerry_disk_written_bytes"] >= edge.metrics()["skerry_disk_put_bytes"] > 0,
               what="all to be written")
    assert metrics["skerry_disk_put_bytes"] >= metrics["skerry_disk_puts"] * size
    metrics = edge.metrics()
    ratio = metrics["skerry_disk_written_bytes"] / metrics["skerry_disk_put_bytes"]
    assert metrics["skerry_disk_write_amplification"] == pytest.approx(ratio, rel=0.3) and 1 <= ratio < 3
    assert metrics["skerry_disk_read_duration_seconds_count"] >= from_disk
    assert metrics["skerry_disk_write_duration_seconds_count"] >= 1
    assert metrics["skerry_disk_read_errors"] == metrics["skerry_disk_write_errors"] == 0
    for i in range(0, 700, 50):  # until the device has no room for more
        store(edge, *[f"/more/{i + k}" for k in range(50)], size=size)
        if edge.metrics()["skerry_disk_reclaimed"] > 0:
            break
    wait_until(lambda: edge.metrics()["skerry_disk_reclaimed"] > 0, what="a segment to be taken back")


def test_coded_forms_come_back(tier):
    text = b"All work and no play makes Jack a dull boy. " * 2000
    version = [1]
    tier.origin.default = lambda x: x.reply(text + b"%d" % version[0], fields=[
        ("Cache-Control", "max-age=3600"), ("Content-Type", "text/plain"), ("ETag", f'"{version[0]}"')])
    site = {"site": {"compress": {"enabled": True}}}

    def coded(edge):
        response = edge.fetch("/a", fields=[("Accept-Encoding", "gzip")], host=HOST)
        assert response.status == 200 and response["content-encoding"] == "gzip"
        return gzip.decompress(response.body)[len(text):]
    edge = tier(**site)
    assert [coded(edge) for _ in range(4)] == [b"1"] * 4
    edge.stop()
    edge = tier(**site)
    assert coded(edge) == b"1"
    assert edge.metrics()['skerry_encodes_total{coding="gzip"}'] == 0 and tier.origin.count("/a") == 1
    version[0] = 2
    purge(edge, url=f"http://{HOST}/a")
    assert [coded(edge) for _ in range(2)] == [b"2"] * 2
    edge.stop()
    edge = tier(**site)
    assert coded(edge) == b"2" and tier.origin.count("/a") == 2
