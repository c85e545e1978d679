"""Done means 4: with a memory budget and an endless stream of new objects, resident memory stays under budget + 32 MiB.
The short form has a budget of 32 MiB and a stream of four times that; the long one 256 MiB and ten times that."""

import pytest

from harness import load, nginx
from harness.scale import SLOW, pick

MIB = 1 << 20
BUDGET = pick(32, 256)
STREAM = pick(4, 10)


@pytest.fixture
def endless(tmp_path):
    """nginx that has a body of some size for every path: a few files, chosen by the path's first part."""
    root = tmp_path / "root"
    root.mkdir()
    for size in (300, 4_000, 60_000, 1_000_000):
        (root / str(size)).write_bytes(bytes(i % 253 for i in range(size)))
    server = nginx.Nginx(tmp_path / "nginx", root, more="location ~ ^/(\\d+)/ { rewrite ^/(\\d+)/ /$1 break; }")
    yield server
    server.stop()


def targets(size, start, count):
    return "".join(f"/{size}/{i}\n" for i in range(start, start + count))


@pytest.mark.soak
@pytest.mark.parametrize("mix", [*(pytest.param(mix, marks=pytest.mark.release_only) for mix in ("small", "medium", "large")),
                                 "all"])
def test_resident_memory_stays_within_the_budget(new_edge, endless, mix, capsys):
    sizes = {"small": [300], "medium": [4_000], "large": [60_000, 1_000_000], "all": [300, 4_000, 60_000, 1_000_000]}[mix]
    edge = new_edge(endless.url, memory=f"{BUDGET}MiB", access_log=None)
    file = edge.directory / "targets"
    stream = min(STREAM * BUDGET * MIB, pick(25_000, 2_000_000) * max(sizes))
    with file.open("w") as out:
        for size in sizes:
            out.write(targets(size, 0, min(pick(15_000, 800_000), stream // len(sizes) // size)))
    lines = sum(1 for _ in file.open())
    result = load.run(edge.address, file=str(file), requests=lines, connections=32, timeout=60,
                      patience=pick(60, 600))
    assert result["failed"] == 0 and result["ok"] == lines, result
    peak = edge.peak_rss_kib() / 1024
    with capsys.disabled():
        print(f"\n{mix}: {lines} objects, {result['bytes'] / MIB:.0f} MiB through a budget of {BUDGET} MiB: "
              f"peak {peak:.0f} MiB resident")
    assert SLOW > 1 or peak < BUDGET + 32


@pytest.mark.h1_only
@pytest.mark.soak
def test_long_urls_and_heads_count_too(new_edge, origin):
    """The budget includes keys, heads and the index: tiny bodies with large heads do not escape it."""
    origin.default = lambda x: x.reply(b"x", fields=[("Cache-Control", "max-age=600"), ("X-Long", "h" * 6000)])
    edge = new_edge(origin, memory="8MiB", access_log=None)
    count = pick(2500, 20_000)
    with edge.connect() as conn:
        for i in range(count):
            assert conn.get(f"/{i}/" + "p" * 3000).status == 200
    assert SLOW > 1 or edge.peak_rss_kib() < (8 + 32) * 1024
