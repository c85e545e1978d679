"""How long honest clients wait while somebody else attacks: turns without and with the attack, in pairs."""

import os
import statistics
import subprocess
import time
from typing import NamedTuple

from .attacks import Attack
from .scale import LONG, limit

CLIENTS, REQUESTS = 40, 10  # that come 80 a second, with so many requests each
CALM = 0.005                # a share of the processors' time that the host may take unnoticed
MOST = 11                   # seconds for one attack


class Result(NamedTuple):
    """P99s in seconds, medians of PAIRS; what the attacker made; the host's share of the time."""
    name: str
    alone: float
    during: float
    pairs: int
    made: int
    host: float


# Where the machine allows it everybody here goes before its other work (SCHED_RR), the edge first, the attacker last.
EDGE, HONEST, ATTACKER = 3, 2, 1


def keep_apart(edge):
    """The edge has a core to itself, so that whoever attacks and whoever measures takes nothing from it but by what it
    does for them; those two share the rest, and the attacker runs only when who measures does not want to: it stands for
    another machine. The cores that are left, and whether priorities are allowed; None in the short form, which may run
    beside anything."""
    cores, first = sorted(os.sched_getaffinity(0)), True
    if not LONG or len(cores) < 2:
        return None, False
    for task in os.listdir(f"/proc/{edge.pid}/task"):
        os.sched_setaffinity(int(task), cores[:1])
        try:
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(EDGE))
        except PermissionError:
            first = False
    return cores[1:], first


def p99(edge, directory, cores, first):
    """Of requests over HTTP/2, in seconds."""
    log = directory / "h2load.log"
    log.unlink(missing_ok=True)
    where = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    where += ["chrt", "-r", str(HONEST)] if first else []
    out = subprocess.run([*where, "h2load", f"-n{CLIENTS * REQUESTS}", f"-c{CLIENTS}", "-m2", "-r2",
                          "--rate-period=25ms", f"--log-file={log}", f"https://127.0.0.1:{edge.address[1]}/"],
                         capture_output=True, text=True, timeout=limit(60))
    assert f"{CLIENTS * REQUESTS} succeeded, 0 failed" in out.stdout, out
    times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return times[len(times) * 99 // 100] / 1e6


def stolen():
    """What the host has taken of the processors' time, in seconds."""
    with open("/proc/stat") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def pair(name, edge, directory, cores, first):
    began, taken = time.monotonic(), stolen()
    alone = p99(edge, directory, cores, first)
    with Attack(name, edge.address, cores=cores, priority=ATTACKER if first else None) as attack:
        time.sleep(0.2)
        during = p99(edge, directory, cores, first)
    share = (stolen() - taken) / ((time.monotonic() - began) * os.cpu_count())
    return alone, during, share, attack.result["made"]


def measure(name, edge, directory, pairs):
    """The calmest PAIRS of those that there is time for: as many, and more where the host disturbed some of them."""
    (cores, first), done, end = keep_apart(edge), [], time.monotonic() + MOST
    p99(edge, directory, cores, first)
    while len(done) < pairs or (LONG and time.monotonic() < end and
                                sum(share <= CALM for _, _, share, _ in done) < pairs):
        done.append(pair(name, edge, directory, cores, first))
    done = sorted(done, key=lambda one: one[2])[:pairs]
    alone, during, share, made = zip(*done)
    return Result(name, statistics.median(alone), statistics.median(during), pairs, sum(made), max(share))


def table(results):
    lines = ["", f"p99 of others' requests, medians of {results[0].pairs} pairs of turns without and with the attack; "
             "of more pairs those that the machine's host disturbed least, with what it took at most", "",
             "| attack | alone, ms | during, ms | | connections | host, % |", "|---|---|---|---|---|---|"]
    lines += [f"| {r.name} | {r.alone * 1000:.2f} | {r.during * 1000:.2f} | x{r.during / r.alone:.2f} | {r.made} | "
              f"{r.host * 100:.1f} |" for r in results]
    return "\n".join(lines)
