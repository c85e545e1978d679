"""dev/demo --world: PoPs are killed, cut off, drained and upgraded, and clients hardly notice."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.edge import binary
from harness.scale import pick, seconds

TOP = Path(__file__).resolve().parents[2]
UNAVAILABLE = 77


@pytest.fixture
def short_folder():
    """The names of sockets have room for a hundred bytes, and pytest's folders may take most of them."""
    with tempfile.TemporaryDirectory(prefix="world-") as name:
        yield Path(name)


@pytest.mark.begins_first
@pytest.mark.release_only
@pytest.mark.timeout(seconds(pick(120, 4000)))
def test_clients_get_their_answers_through_kills_drains_and_upgrades(short_folder):
    """Short: 12 PoPs for half a minute. With SKERRY_TEST_LONG=1: 50 for an hour."""
    build = Path(binary()).parent
    if build != TOP / "build/release":
        pytest.skip("fifty edges with sanitizers are no world that answers in time: the release build runs it")
    words = ["--only", "availability", "--once", *pick(
        ["--pops", "12", "--networks", "40", "--rate", "60", "--minutes", "0.5"], ["--pops", "50", "--minutes", "60"])]
    done = subprocess.run([sys.executable, "-B", str(TOP / "dev/lib/world/main.py"), *words], capture_output=True, text=True,
                          env={**os.environ, "SKERRY_BUILD": "release", "TMPDIR": str(short_folder)},
                          timeout=seconds(pick(100, 3900)), check=False)
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "% succeeded" in done.stdout and "all as it should be" in done.stdout
    assert list(short_folder.iterdir()) == []
