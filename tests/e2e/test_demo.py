"""dev/demo: what it shows is right, and Ctrl-C leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.control import SERVER
from harness.edge import binary, execution_environment
from harness.process import Family
from harness.scale import limit, wait_until

TOP = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-B", str(TOP / "dev/lib/demo/main.py"), "--port", "0"]


@pytest.fixture
def environment(tmp_path):
    """The demonstration of the build under test, with its temporary files in a place of its own."""
    build = Path(binary()).parent
    if build.parent != TOP / "build":
        pytest.skip("the demonstration runs a build of this checkout")
    return {"SKERRY_BUILD": build.name, "TMPDIR": str(tmp_path), **execution_environment()}


@pytest.mark.begins_first
def test_once_compares_every_file_and_ends_with_0(environment, tmp_path):
    done = subprocess.run([*PROGRAM, "--once", "--seconds", "2"], env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=limit(60))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all as it should be" in done.stdout and done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.begins_first
@pytest.mark.release_only
@pytest.mark.skipif(SERVER is None, reason="no valkey-server")
def test_the_fleet_once(environment):
    """Issue 6, line 1: three PoPs of two edges, a purge everywhere, an edge killed and back; line 4: all served with
    control and Valkey dead, a restart included."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:  # a socket's path is short
        done = subprocess.run([*PROGRAM, "--once", "--fleet"], env={**os.environ, **environment, "TMPDIR": folder},
                              capture_output=True, text=True, timeout=limit(100))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "all as it should be" in done.stdout and done.stderr == ""
        assert os.listdir(folder) == []


@pytest.mark.release_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_a_signal_ends_all_of_it(environment, tmp_path, number):
    family = Family()
    log = tmp_path.parent / f"{tmp_path.name}.log"
    with log.open("w") as out:
        # A suite in the background has SIGINT ignored, and a shell cannot trap what it found ignored.
        demo = subprocess.Popen(PROGRAM, env=family.environment(environment), stdout=out, stderr=out,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        wait_until(lambda: "hit ratio" in log.read_text(), 30, "numbers")
        assert "curl" in log.read_text()
        started = family.descendants(demo.pid)
        assert len(started) >= 3  # origin, edge, load
        demo.send_signal(number)
        wait_until(lambda: demo.pid not in family.pids(), 20, "the demonstration to end")
        wait_until(lambda: not family.pids() and not any(Path(f"/proc/{pid}").exists() for pid in started), 5,
                   "its processes to end")
    finally:
        family.kill()
    assert family.codes[demo.pid] == (0 if number == signal.SIGINT else 143), log.read_text()
    assert list(tmp_path.iterdir()) == []
