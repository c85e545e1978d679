"""`skerry store`: what it says of files, and that it never harms one."""

import json
import os
import signal
import subprocess
import time

import pytest

from harness.edge import binary, execution_environment, run

pytestmark = pytest.mark.one_by_one


def bench(*arguments):
    return run("store", "bench", "--time", "1s", "--size", "16MiB", *arguments)


def test_bench_measures_and_leaves_nothing(tmp_path):
    done = bench(str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("MB/s") == 4
    assert os.listdir(tmp_path) == []
    done = bench("--json", str(tmp_path / "new"))
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(parts) == 4 and all(part["mb_s"] > 0 and part["p50_us"] <= part["p99_us"] for part in parts)
    assert os.listdir(tmp_path) == []


def test_bench_never_writes_to_what_is_there(tmp_path):
    (tmp_path / "store").write_bytes(b"precious")
    done = bench(str(tmp_path / "store"))
    assert done.returncode == 1 and "is there already" in done.stderr
    assert (tmp_path / "store").read_bytes() == b"precious"


def test_bench_stops_when_asked_and_cleans_up(tmp_path):
    with subprocess.Popen([binary(), "store", "bench", "--time", "60s", "--size", "32MiB", str(tmp_path)], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **execution_environment()}) as process:
        assert "skerry" not in process.stdout.readline()[:6]
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 1 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_what_is_no_store_is_1(tmp_path, verb):
    (tmp_path / "foreign").write_bytes(b"x" * 65536)
    for path in ("foreign", "absent", "."):
        done = run("store", verb, str(tmp_path / path))
        assert done.returncode == 1 and done.stdout == "" and str(tmp_path) in done.stderr
    assert (tmp_path / "foreign").read_bytes() == b"x" * 65536


@pytest.mark.parametrize("arguments", [[], ["info"], ["destroy", "x"], ["bench", "--time", "1h", "x"], ["bench", "--size", "1", "x"]])
def test_bad_usage_is_2(arguments):
    done = run("store", *arguments)
    assert done.returncode == 2 and "store" in done.stderr
