"""Processes of a benchmark: started on given cores, their CPU time read from the kernel, ended by id."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
SERVER_CORE = "0"
LOAD_CORE = "1"


def leave(number, _frame):
    """Leaves through the contexts, so that a benchmark that is told to end takes its servers along."""
    sys.exit(128 + number)


for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, leave)


def which(name):
    """The path of a program of the environment, also from the administrator's folders."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def micro(name):
    """The path of bench/micro/NAME.c's program, built if it has to be."""
    release, target = TOP / "build" / "release", f"bench/micro/bench_{name}"
    subprocess.run(["ninja", "-C", release, target], check=True, stdout=subprocess.DEVNULL)
    return str(release / target)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    """PID and all its descendants that live."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:
                pass
    return found


def cpu_ns(pid):
    """CPU time in nanoseconds of a process, its threads and descendants, user and system."""
    total = 0
    for member in children(pid):
        for stat in pathlib.Path(f"/proc/{member}/task").glob("*/schedstat"):
            try:
                total += int(stat.read_text().split()[0])
            except OSError:
                pass
    return total


def cpu_shares_ns(pid):
    """The same apart: user, system. The kernel scales its samples to the precise sum."""
    user = system = 0
    for member in children(pid):
        try:
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        user, system = user + int(fields[11]), system + int(fields[12])
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return user * tick, system * tick


def resident_bytes(pid):
    total = 0
    for member in children(pid):
        try:
            for line in pathlib.Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


class Running:
    """A started program; use as a context."""

    def __init__(self, argv, core=SERVER_CORE, cwd=None, env=None, log=None):
        self.log = open(log or os.devnull, "ab")
        self.process = subprocess.Popen(
            ["taskset", "-c", core, *argv], cwd=cwd, env=env, stdout=self.log, stderr=self.log,
            start_new_session=True)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                # Its own session, so nothing else is reached.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()


def wait_for_port(port, running, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if running.process.poll() is not None:
            raise RuntimeError(f"{running.process.args} ended with {running.process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {seconds} s")


def workdir():
    """A folder that unprivileged servers can enter; in memory, so that no disk disturbs."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="skerry-bench-", dir=base)
    os.chmod(path, 0o755)
    return pathlib.Path(path)
