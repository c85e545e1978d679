"""`skerry anycast` with BIRD: one address, three PoPs, traffic goes where somebody serves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import anycast_lab
from harness.edge import binary
from harness.ports import Reservation
from harness.scale import limit, seconds, wait_until
from harness.sites import Site

PREFIX = "192.0.2.53/32"


def can_make_namespaces():
    return subprocess.run([*anycast_lab.LAUNCH, "ip", "link", "add", "name", "v0", "type", "veth", "peer", "name", "v1"],
                          capture_output=True, check=False).returncode == 0


def test_three_pops_announce_one_address_and_traffic_moves(tmp_path):
    if not can_make_namespaces():
        pytest.skip("network namespaces with veth pairs are not allowed here")
    done = subprocess.run([*anycast_lab.LAUNCH, sys.executable, "-B", str(Path(anycast_lab.__file__)), binary(), str(tmp_path),
                           str(limit(1))], capture_output=True, text=True, timeout=seconds(150), check=False)
    logs = "".join(f"--- {path}\n{path.read_text(errors='replace')[-1500:]}\n" for path in sorted(tmp_path.rglob("*.log")))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["pop"] for step in seen] == [1, 2, 3, 1]
    assert seen[1]["seconds"] < limit(5)


@pytest.fixture
def helper(tmp_path):
    started = []

    def start(edge, *more):
        log = open(tmp_path / "log", "ab")
        started.append(subprocess.Popen([binary(), "anycast", "--file", str(tmp_path / "routes"), "--prefix", PREFIX, "--edge",
                                         edge, "--interval", "50", "--timeout", "60000",  # where all stands still nobody fell
                                         "--command", f"echo x >>{tmp_path}/changes", *more],
                                        stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_file_follows_the_edge_with_damping(helper, tmp_path):
    site, routes = Site("127.0.0.1"), tmp_path / "routes"

    def told(times):
        """Each change by itself: what changes while the command runs is told once."""
        wait_until(lambda: (tmp_path / "changes").exists() and (tmp_path / "changes").read_text().count("x") == times, 10,
                   f"BIRD to be told {times} times")
    try:
        site.status = 503
        process = helper(site.address, "--prefix", "198.51.100.0/24")
        wait_until(lambda: len(site.asked) > 4, 10, "checks")
        assert "route" not in routes.read_text()  # nobody is announced before it was seen to be well
        told(1)
        site.status = 200
        wait_until(lambda: "route" in routes.read_text(), 10, "routes")
        assert routes.read_text().splitlines()[1:] == [f"route {PREFIX} unreachable;", "route 198.51.100.0/24 unreachable;"]
        told(2)
        site.status = 503
        wait_until(lambda: "route" not in routes.read_text(), 10, "no routes")
        told(3)
        good = site.given.count(200)
        site.status = 200
        wait_until(lambda: "route" in routes.read_text(), 10, "routes again")
        assert site.given.count(200) - good >= 3
        told(4)
        process.terminate()
        assert process.wait(limit(10)) == 0
        assert "withdrawn: stopped" in routes.read_text() and "route 1" not in routes.read_text()
    finally:
        site.kill()


def test_what_cannot_work_is_said_at_the_start(tmp_path):
    def run(*words):
        return subprocess.run([binary(), "anycast", *words], capture_output=True, text=True, timeout=limit(20), check=False)

    reservation = Reservation("127.0.0.1")
    reservation.close()
    file = ["--file", str(tmp_path / "routes")]
    assert run(*file).returncode == 2
    both = run(*file, "--prefix", PREFIX, "--prefix", "2001:db8::1/128")
    assert both.returncode == 2 and "one family" in both.stderr
    assert run(*file, "--prefix", "192.0.2.0/40").returncode == 2
    assert run(*file, "--prefix", PREFIX, "--interval", "0").returncode == 2
    nowhere = run("--file", str(tmp_path / "no" / "routes"), "--prefix", PREFIX, "--edge", str(reservation))
    assert nowhere.returncode == 1 and "could not be written" in nowhere.stderr
