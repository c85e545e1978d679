"""dev/bench disk: hits from RAM and SSD under a Zipf mix ten times the RAM, beside peers; what writing does to hits."""

import argparse
import datetime
import http.client
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import time

from lib.calm import calm, calm_note
from lib.disk_peers import HOST, MEAN_BYTES, SERVERS, SIZES_KIB, origin, page_cache, skerry
from lib.load import P999, steady, wrk
from lib.processes import children, free_port, resident_bytes
from lib.report import machine, publish, table

COMMON = """
local n, sizes = {objects}, {{{sizes}}}
local function path(i) return "/o/" .. sizes[i % #sizes + 1] .. "/" .. i end
"""
# Zipf, exponent 1, by inversion of the continuous law: cheap, and the same for every server.
ZIPF = COMMON + P999 + """
local log_n = math.log(n)
math.randomseed({seed})
request = function()
  return wrk.format("GET", path(math.floor(math.exp(math.random() * log_n))), {{["Host"] = "{host}"}})
end
"""
# Each object twice, soon one after the other: whoever stores only what was asked for again has it then.
FILL = COMMON + """
local k, block = {start}, 64
request = function()
  local i = (k - k % (2 * block)) / 2 + k % block
  k = k + 1
  return wrk.format("GET", path(i % n + 1), {{["Host"] = "{host}"}})
end
"""


HOT = "/o/2/hot%u"  # of 1 to HOTS: objects that RAM keeps, asked for all the time
HOTS = 100
# What nobody asks for again; each is evicted soon.
COLD = """
local k = {start}
request = function()
  k = k + 1
  return wrk.format("GET", "/o/" .. (k % 4 == 0 and 256 or 64) .. "/cold" .. k, {{["Host"] = "{host}"}})
end
"""


def script(folder, name, text, args, **values):
    path = folder / f"{name}.lua"
    path.write_text(text.format(objects=args.objects, sizes=", ".join(map(str, SIZES_KIB)), host=HOST, **values))
    return path


def asked(port):
    """How many requests the origin has had."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/status")
    return int(re.search(r"(?m)^ \d+ \d+ (\d+)", connection.getresponse().read().decode()).group(1))


def written(pid):
    """Bytes that a process and its descendants caused to be written."""
    total = 0
    for member in children(pid):
        try:
            total += int(re.search(r"(?m)^write_bytes: (\d+)", pathlib.Path(f"/proc/{member}/io").read_text()).group(1))
        except OSError:
            pass
    return total


def fill(url, args, folder):
    done = 0
    while done < 2 * args.objects:
        done += wrk(url, 16, 5, script=script(folder, "fill", FILL, args, start=done))["requests"]


def cell(url, connections, seconds, zipf, origin_port, pid):
    before, wrote = asked(origin_port), written(pid)
    result = wrk(url, connections, seconds, script=zipf, pid=pid)
    result["miss"] = (asked(origin_port) - before - 1) / result["requests"]
    result["write"] = (written(pid) - wrote) / result["bytes"]
    return result


def measure(name, args, origin_port, folder):
    """{connections: result} of one server."""
    port, results = free_port(), {}
    with SERVERS[name](port, origin_port, folder, args.ram, args.disk) as server:
        url = f"http://127.0.0.1:{port}"
        fill(url, args, folder)
        trimmer = page_cache(name, folder, args.ram << 20)
        zipf = script(folder, "warm", ZIPF, args, seed=1)
        wrk(url, 64, args.warm, script=zipf)
        os.sync()
        for connections in args.connections:
            zipf = script(folder, "zipf", ZIPF, args, seed=2)
            result = calm(lambda: cell(url, connections, args.seconds, zipf, origin_port, server.pid))
            results[connections] = result
            print(f"  {name:10} {connections:4} connections: {result['cpu_us']:7.2f} us CPU, {result['rate']:7.0f}/s, "
                  f"p50 {result['p50'] * 1e3:.2f}, p99 {result['p99'] * 1e3:.2f}, p99.9 {result['p999'] * 1e3:.2f} ms, "
                  f"{result['miss']:.4f} to the origin, {result['write']:.4f} B written/B, {result['errors']} errors",
                  flush=True)
        memory = resident_bytes(server.pid)
        if trimmer:
            trimmer.stop()
            memory += float((folder / f"{name}.page_cache").read_text() or 0)
        for result in results.values():
            result["memory"] = memory
    return results


class Mixed:
    """An edge whose RAM is asked for what it has, and, if COLD, for what it has not, which goes down to its disk."""

    def __init__(self, name, disk_mib, cold, args, origin_port, folder):
        self.name, self.cold, self.args, self.folder = name, cold, args, folder
        self.port, self.start, self.results = free_port(), 0, []
        self.edge = skerry(self.port, origin_port, folder, args.ram, disk_mib, name=name)
        self.url = f"http://127.0.0.1:{self.port}"
        self.ask(1)
        if disk_mib:
            self.once(args.warm)

    def ask(self, seconds):
        return steady(self.port, HOST, HOT, HOTS, self.args.rate, 16, seconds, seed=len(self.results))

    def turn(self, seconds):
        self.results.append(self.once(seconds))

    def once(self, seconds):
        found = []
        background = threading.Thread(target=lambda: found.append(self.misses(seconds)))
        if self.cold:
            background.start()
        wrote = written(self.edge.pid)
        result = self.ask(seconds)
        result["write_rate"] = (written(self.edge.pid) - wrote) / seconds
        if self.cold:
            background.join()
            result["cold"] = found[0]["rate"]
        return result

    def misses(self, seconds):
        path = script(self.folder, f"cold-{self.name}", COLD, self.args, start=self.start)
        result = wrk(self.url, 2, seconds, script=path)
        self.start += result["requests"] + 10
        return result

    def middle(self, what):
        return sorted(r[what] for r in self.results)[len(self.results) // 2]


def undisturbed(args, origin_port, folder):
    """What an SSD at work does to hits in RAM: edges with the same misses, one without a disk, in turns."""
    edges = []
    try:
        for name, disk, cold in (("alone", 0, False), ("no-disk", 0, True), ("writes", args.large, True),
                                 ("reclaims", args.ram * 4, True)):
            edges.append(Mixed(name, disk, cold, args, origin_port, folder))
        for _ in range(args.turns):
            for edge in edges:
                edge.turn(args.turn_seconds)
    finally:
        for edge in edges:
            edge.edge.stop()
    base = edges[1].middle("p999")
    rows = []
    for edge in edges:
        rows.append([edge.name, f"{edge.middle('rate'):.0f}", f"{edge.middle('cold'):.0f}" if edge.cold else "",
                     f"{edge.middle('write_rate') / 2**20:.0f}",
                     *(f"{edge.middle(what) * 1e3:.2f}" for what in ("p50", "p99", "p999")),
                     f"{edge.middle('p999') / base:.2f}" if edge.cold else "",
                     f"{100 * edge.middle('excluded'):.1f} %"])
        print("  " + "  ".join(f"{cell:>8}" for cell in rows[-1]), flush=True)
    return f"""## Hits in RAM while an SSD works

`dev/bench disk`, {datetime.date.today()}, {machine()}. {HOTS} objects of 2 KiB in {args.ram} MiB of RAM, asked for at a
steady {args.rate:,} a second (`bench/steady.c`: due at random times, timed from when they were due) over 16 connections, the median of
{args.turns} turns of {args.turn_seconds} s. "excluded" are hits under way while the machine's host had one of the cores, by the word of
a real-time thread on each. "no-disk" has the same misses, of 64 and 256 KiB,
but nowhere to write them; "writes" has room on its SSD; "reclaims" ({args.ram * 4} MiB) takes segments back all the
time. Each flushes once a second. All threads of the edge are on one core.

""" + table(["edge", "hits/s", "misses/s", "written MiB/s", "p50 ms", "p99 ms", "p99.9 ms", "x no-disk", "excluded"],
                   rows)


def report(results, args):
    rows = []
    for connections in args.connections:
        for name, cells in results.items():
            r = cells[connections]
            rows.append([connections, name, f"{r['cpu_us']:.2f}",
                         f"{results['skerry'][connections]['cpu_us'] / r['cpu_us']:.2f}", f"{r['rate']:.0f}",
                         f"{r['p50'] * 1e3:.2f}", f"{r['p99'] * 1e3:.2f}", f"{r['p999'] * 1e3:.2f}",
                         f"{100 * r['miss']:.2f} %", f"{r['write']:.3f}", f"{r['memory'] / 2**20:.0f}"])
    return f"""## RAM and SSD

`dev/bench disk`, {datetime.date.today()}, {machine()}. {args.objects:,} objects of 2 to 256 KiB, {args.ram * args.factor} MiB
in all, asked for by Zipf's law (exponent 1); {args.ram} MiB of RAM, {args.disk} MiB of disk on the same file system. One
thread that serves, and what it has for the disk, on one core; wrk and origin on the other. Squid has that RAM as
`cache_mem`. The peers read files through the kernel's page cache, and have it beside their own memory; it is kept at
{args.ram} MiB of their files by dropping some ten times a second. "memory" is what the server's processes hold, and
that. Skerry reads without the page cache. "CPU" is user and system time of the server's own processes.

""" + table(["connections", "server", "CPU us/request", "Skerry / it", "requests/s", "p50 ms", "p99 ms", "p99.9 ms",
             "to the origin", "bytes written/served", "memory MiB"], rows)


def main():
    parser = argparse.ArgumentParser(prog="dev/bench disk", description=__doc__)
    parser.add_argument("--ram", type=int, default=64, help="budget in MiB (default 64)")
    parser.add_argument("--factor", type=int, default=10, help="working set / RAM (default 10)")
    parser.add_argument("--seconds", type=int, default=15, help="of each cell (default 15)")
    parser.add_argument("--warm", type=int, default=20, help="seconds before (default 20)")
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated (default all; \"\": none)")
    parser.add_argument("--connections", default="16,64")
    parser.add_argument("--turns", type=int, default=9, help="of the hits while the SSD works; 0: none (default 9)")
    parser.add_argument("--turn-seconds", type=int, default=5, help="of each of them (default 5)")
    parser.add_argument("--rate", type=int, default=5000, help="of those hits a second (default 5000)")
    parser.add_argument("--large", type=int, default=16384, help="MiB of a disk with room (default 16384)")
    parser.add_argument("--folder", default="/var/tmp", help="on the file system that is measured (default /var/tmp)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    args.connections = [int(c) for c in args.connections.split(",")]
    args.objects = int((args.ram * args.factor << 20) / MEAN_BYTES)
    args.disk = args.ram * args.factor * 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skerry-bench-", dir=args.folder))
    os.chmod(folder, 0o755)
    results = {}
    try:
        origin_port = free_port()
        with origin(origin_port, folder):
            for name in args.servers.split(",") if args.servers else []:
                results[name] = measure(name, args, origin_port, folder)
                time.sleep(1)
            if args.publish and "skerry" in results:
                publish("disk", report(results, args))
            if args.turns:
                hits = undisturbed(args, origin_port, folder)
                if args.publish:
                    publish("disk-hits", hits)
    finally:
        shutil.rmtree(folder)
    if any(r["errors"] for cells in results.values() for r in cells.values()):
        sys.exit("some requests failed: see above")


if __name__ == "__main__":
    main()
