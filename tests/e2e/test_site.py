"""Done means 2: a tree of many real files behind nginx with a lifetime of an hour, fetched whole twice through the edge:
every body equals the file by SHA-256, and the second pass is all hits.

The tree is SKERRY_TEST_TREE, else /usr/share/doc, else (in an environment without documentation) /usr/include. The short
form takes a part of it, SKERRY_TEST_LONG=1 all."""

import hashlib
import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import nginx
from harness.scale import LONG

SHORT_FILES = 400


def tree():
    for place in (os.environ.get("SKERRY_TEST_TREE"), "/usr/share/doc", "/usr/include"):
        if place and len(readable(Path(place), SHORT_FILES)) == SHORT_FILES:
            return Path(place)
    pytest.skip("no tree with enough files on this machine")


def readable(root, limit):
    """Regular files that nginx may serve under a plain name, in a stable order."""
    found = []
    for directory, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(directory, name)
            if path.is_file() and os.access(path, os.R_OK) and "\\" not in str(path):
                found.append(path)
                if len(found) == limit:
                    return found
    return found


def fetch_all(edge, root, files):
    """SHA-256 by file, number of hits and of bytes."""
    sums, hits, size = {}, 0, 0
    conn = edge.connect(timeout=30)
    for path in files:
        response = conn.get("/" + quote(str(path.relative_to(root))))
        assert response.status == 200, (path, response)
        sums[path] = hashlib.sha256(response.body).hexdigest()
        hits += response.hit
        size += len(response.body)
    conn.close()
    return sums, hits, size


@pytest.mark.soak
def test_a_real_tree_is_served_whole_and_the_second_pass_is_all_hits(new_edge, tmp_path, capsys):
    root = tree()
    files = readable(root, 10**9 if LONG else SHORT_FILES)
    wanted = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    total = sum(path.stat().st_size for path in files)
    server = nginx.Nginx(tmp_path / "nginx", root, max_age=3600)
    try:
        edge = new_edge(server.url, memory=f"{max(64, total * 2 >> 20)}MiB")
        began = time.monotonic()
        first, hits_before, size = fetch_all(edge, root, files)
        second, hits, _ = fetch_all(edge, root, files)
        with capsys.disabled():
            print(f"\n{root}: {len(files)} files, {size / 1e6:.1f} MB, first pass {hits_before} hits, second pass "
                  f"{hits} hits, {time.monotonic() - began:.1f} s, "
                  f"{int(edge.metrics()['skerry_origin_requests_total'])} origin requests")
        assert first == wanted and second == wanted
        assert hits == len(files)
        edge.stop()
    finally:
        server.stop()
