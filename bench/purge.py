"""dev/bench purge: what purges cost an edge that is full of tagged objects: time of each kind, hits meanwhile, rate."""

import argparse
import contextlib
import datetime
import functools
import json
import os
import shutil
import statistics
import sys
import threading
import time

from lib.admin import HOST, PURGES, Admin
from lib.load import HostWatch, steady, wrk
from lib.processes import LOAD_CORE, SERVER_CORE, Running, free_port, wait_for_port, which, workdir
from lib.report import TOP, machine, publish, table

FILL = """
local i, n = {start}, {objects}
request = function()
  i = i % n + 1
  return wrk.format("GET", string.format("/o/%07d", i), {{["Host"] = "{host}"}})
end
"""
HITS = """
local n = {objects}
math.randomseed(1)
request = function()
  return wrk.format("GET", string.format("/o/%07d", math.random(n)), {{["Host"] = "{host}"}})
end
"""
# Ten tags an object, from one that all share down to one that it has alone.
ORIGIN = """
daemon off;
worker_processes 1;
error_log /dev/null;
pid {folder}/origin.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ "^/o/(?<a>\\d)(?<b>\\d)(?<c>\\d)(?<d>\\d)(?<e>\\d)(?<f>\\d)(?<g>\\d)$" {{
      add_header Cache-Control "max-age=86400";
      add_header Surrogate-Key
        "all a$a b$a$b c$a$b$c d$a$b$c$d e$a$b$c$d$e f$a$b$c$d$e$f g$a$b$c$d$e$f$g last$g lasts$f$g";
      return 200 "{body}";
    }}
  }}
}}
"""
EDGE = """
listen: 127.0.0.1:{port}
admin: unix:{folder}/admin.sock
memory: {memory}MiB
threads: {threads}
log_level: warn
limits: {{pipelined_requests: 100}}
sites:
  - {{name: bench, hosts: [{host}], origin: "http://127.0.0.1:{origin}"}}
"""
KINDS = {
    "url": lambda i: {"url": f"http://{HOST}/none/{i}"},
    **PURGES,
    "soft tag": lambda i: {"tag": f"none{i}", "soft": True},
}


@contextlib.contextmanager
def running(args, folder):
    origin_port, port = free_port(), free_port()
    (folder / "origin.conf").write_text(ORIGIN.format(folder=folder, port=origin_port, body="x" * 100))
    (folder / "edge.yaml").write_text(EDGE.format(
        folder=folder, port=port, memory=args.memory, threads=args.threads, origin=origin_port,
        host=f"{HOST}, none.{HOST}"))
    origin = Running([which("nginx"), "-p", str(folder), "-c", str(folder / "origin.conf")], core=LOAD_CORE)
    edge = Running([str(TOP / "build/release/skerry"), "edge", "-c", str(folder / "edge.yaml")], core=SERVER_CORE,
                   log=folder / "edge.log")
    with origin, edge:
        wait_for_port(origin_port, origin)
        wait_for_port(port, edge)
        yield f"http://127.0.0.1:{port}", Admin(folder / "admin.sock")


def fill(url, admin, args, folder):
    script = folder / "fill.lua"
    start = time.monotonic()
    while (there := admin.figure("skerry_cache_objects")) < args.objects:
        # On from where the last round ended; what it left open comes when the count goes round.
        script.write_text(FILL.format(objects=args.objects, start=int(there), host=HOST))
        wrk(url, 64, 5, script=script)
        print(f"  {admin.figure('skerry_cache_objects'):,.0f} objects after {time.monotonic() - start:.0f} s", flush=True)
        if time.monotonic() - start > args.fill_seconds:
            sys.exit("the cache does not fill: more --memory, or fewer --objects")


def latencies(admin, args):
    """Of single purges, asked one after the other: the worst and the median time in force, and with the way to it."""
    admin.fresh()
    runs = {}
    with HostWatch() as watch:
        for name, make in KINDS.items():
            runs[name] = []
            for i in range(args.singles):
                start = time.monotonic_ns()
                applied = admin.purge(make(f"s{i}"))["applied_us"]
                runs[name].append((start, time.monotonic_ns(), applied))
    rows = {}
    for name, run in runs.items():
        kept = [one for one in run if not watch.disturbed(*one[:2])]
        rows[name] = [sorted(one[2] for one in kept), sorted((one[1] - one[0]) / 1e3 for one in kept),
                      1 - len(kept) / len(run)]
    return rows


def keep_purging(admin, make, stop, counted, pause):
    n = 0
    while not stop.is_set():
        counted[0] += admin.purge(make(n))["purges"]
        n += 1
        time.sleep(pause)


def keep_asking(admin, _, stop, counted, pause):
    """The same way to the admin socket with nothing to purge: what the asking itself costs the hits."""
    while not stop.is_set():
        admin.ask("GET", "/health")
        counted[0] += 1
        time.sleep(pause)


def hits_with(load, folder, what=None, make=None, pause=0.0):
    """What LOAD tells of hits, with WHAT (keep_purging with MAKE's purges, keep_asking) meanwhile; its rate as purges."""
    counted, stop = [0], threading.Event()
    thread = None
    if what:
        admin = Admin(folder / "admin.sock")
        thread = threading.Thread(target=what, args=(admin, make, stop, counted, pause))
        thread.start()
    start = time.monotonic()
    try:
        result = load()
    finally:
        stop.set()
        if thread:
            thread.join()
    return {**result, "purges": counted[0] / (time.monotonic() - start)}


def paced(url, args, folder):
    """Turns of hits at a steady rate: alone, beside a client that asks for the health, beside one that purges."""
    port = url.rpartition(":")[2]
    makers = list(KINDS.values())
    runs = {"nothing": [], "asks for the health": [], "purges of all kinds, now and then": [],
            "purges of all kinds, one by one": []}
    for turn in range(args.turns):
        purges = {"what": keep_purging,
                  "make": lambda n: makers[n % len(makers)](f"t{turn}x{time.monotonic_ns()}x{n}")}
        ways = [{}, {"what": keep_asking, "pause": 0.001}, {**purges, "pause": 0.01}, {**purges, "pause": 0.001}]
        for rows, way in zip(runs.values(), ways):
            load = functools.partial(steady, port, HOST, "/o/%07u", args.objects, args.rate, 16, 2, seed=turn)
            rows.append(hits_with(load, folder, **way))
    keys = ("rate", "p50", "p99", "p999", "all_p99", "excluded", "purges")
    rows = {name: {key: statistics.median(row[key] for row in rows) for key in keys} for name, rows in runs.items()}
    for name, row in rows.items():
        row["errors"] = sum(run["errors"] for run in runs[name])
    return rows


def batch(n, size=1000):
    kinds = list(KINDS.values())
    return {"purges": [kinds[i % len(kinds)](f"b{n}x{i}") for i in range(size)]}


def rate(admin, args):
    bodies = [json.dumps(batch(f"r{n}", 10000)).encode() for n in range(args.batches)]
    start = time.perf_counter()
    for body in bodies:
        admin.ask("POST", "/purge", body)
    return args.batches * 10000 / (time.perf_counter() - start)


def reclaim(admin):
    """Seconds after a purge of all until no object is left, and until nine tenths of their memory are free."""
    before = admin.figure("skerry_cache_used_bytes")
    answer, start = admin.purge({"all": True}), time.monotonic()
    gone = None
    while time.monotonic() - start < 60:
        if gone is None and admin.figure("skerry_cache_objects") == 0:
            gone = time.monotonic() - start
        if (left := admin.figure("skerry_cache_used_bytes")) < before / 10:
            break
        time.sleep(0.05)
    return answer["applied_us"], gone, time.monotonic() - start, before, left


def measure(args, folder):
    hits = folder / "hits.lua"
    hits.write_text(HITS.format(objects=args.objects, host=HOST))
    with running(args, folder) as (url, admin):
        fill(url, admin, args, folder)
        wrk(url, 16, 2, script=hits)
        fast = functools.partial(wrk, url, 16, args.seconds, script=hits)
        quiet = hits_with(fast, folder)
        turns = paced(url, args, folder)
        single = hits_with(fast, folder, keep_purging, lambda n: KINDS["tag"](f"h{n}"), 0.001)
        many = hits_with(fast, folder, keep_purging, batch, 0.01)
        times = latencies(admin, args)
        per_second = rate(admin, args)
        return turns, quiet, single, many, times, per_second, reclaim(admin)


def report(args, turns, quiet, single, many, times, per_second, reclaimed):
    rows = [[name, f"{applied[len(applied) // 2]:.1f}", f"{applied[-1]:.1f}", f"{whole[len(whole) // 2]:.0f}",
             f"{whole[len(whole) * 99 // 100]:.0f}", f"{whole[-1]:.0f}", f"{100 * excluded:.1f} %"]
            for name, (applied, whole, excluded) in times.items()]
    first = table(["kind", "in force us p50", "max", "whole request us p50", "p99", "max", "excluded"], rows)
    rows = [[name, f"{r['purges']:.0f}", f"{r['rate']:.0f}", f"{r['p50'] * 1e6:.0f}", f"{r['p99'] * 1e6:.0f}", r["errors"]]
            for name, r in (("none", quiet), ("tags, one by one", single), ("all kinds, 1000 a request", many))]
    second = table(["purges meanwhile", "purges/s", "hits/s", "hit p50 us", "p99 us", "errors"], rows)
    rows = [[name, f"{r['purges']:.0f}", f"{r['rate']:.0f}",
             *(f"{r[key] * 1e6:.0f}" for key in ("p50", "p99", "p999")), f"{100 * r['excluded']:.1f} %",
             f"{r['all_p99'] * 1e6:.0f}", r["errors"]] for name, r in turns.items()]
    third = table(["beside the hits", "a second", "hits/s", "hit p50 us", "p99 us", "p99.9 us", "excluded", "p99 with them",
                   "errors"], rows)
    applied, gone, empty, before, left = reclaimed
    return f"""## Purges

`dev/bench purge`, {datetime.date.today()}, {machine()}. {args.objects:,} objects with ten tags each. Purges go to the
admin socket on one kept connection; edge on one core, everything else on the other. "excluded" is what was under way while
the machine's host had one of the cores, by the word of a real-time thread on each.

{first}

Hits at a steady {args.rate:,} a second (`bench/steady.c`: due at random times, timed from when they were due; medians of
{args.turns} turns of 2 s). Whoever asks besides shares the core of the load, not of the edge:

{third}

Hits as fast as they go:

{second}

All kinds in requests of 10,000: {per_second:,.0f} purges a second. `all` was in force after {applied:.1f} us; the last object
was gone after {f"{gone:.1f} s" if gone else "more than 60 s"}, and of {before / 2**20:,.0f} MiB {left / 2**20:,.0f} were in use after {empty:.1f} s.
"""


def main():
    parser = argparse.ArgumentParser(prog="dev/bench purge", description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, default=4096, help="of the cache in MiB (default 4096)")
    parser.add_argument("--threads", type=int, default=1, help="workers of the edge (default 1)")
    parser.add_argument("--seconds", type=int, default=10, help="of each run with hits (default 10)")
    parser.add_argument("--turns", type=int, default=9, help="of hits at a steady rate (default 9)")
    parser.add_argument("--rate", type=int, default=10_000, help="of those hits a second (default 10000)")
    parser.add_argument("--fill-seconds", type=int, default=600)
    parser.add_argument("--singles", type=int, default=2000, help="purges of each kind for the latencies")
    parser.add_argument("--batches", type=int, default=50, help="of 10,000 for the rate")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})  # or whoever asks is put where the edge has just answered
    folder = workdir()
    try:
        text = report(args, *measure(args, folder))
    finally:
        shutil.rmtree(folder)
    print(text)
    if args.publish:
        publish("purge", text)


if __name__ == "__main__":
    main()
