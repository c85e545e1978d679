"""dev/bench hits: what a cache hit costs, in CPU microseconds a request of the server's own processes, for
Skerry, its peers and a bare epoll floor, one run, one core each for server and load."""

import argparse
import datetime
import shutil
import sys

from lib.load import wrk
from lib.peers import HTTP_PEERS, origin
from lib.processes import free_port, workdir
from lib.report import machine, publish, table

SIZES = {"1k": 1024, "16k": 16384, "100k": 102400, "1m": 1048576}
ZIPF_OBJECTS = 100_000
ZIPF_TURNS = 3
ZIPF_SCRIPT = """
-- Zipf, exponent 1, by inversion of the continuous law: cheap, and the same for every server.
local n, seed = {objects}, {seed}
local log_n = math.log(n)
math.randomseed(seed)
request = function()
  return wrk.format("GET", "/z/" .. math.floor(math.exp(math.random() * log_n)))
end
"""
ALL_SCRIPT = """
local i, n = 0, {objects}
request = function()
  i = i % n + 1
  return wrk.format("GET", "/z/" .. i)
end
"""


def measure(name, start, args, origin_port, folder):
    """All cells of one server: {(what, connections): result}."""
    port = free_port()
    results = {}
    with start(port, origin_port, folder, args.memory) as server:
        url = f"http://127.0.0.1:{port}"
        for size in args.sizes:
            for connections in args.connections:
                wrk(f"{url}/{size}", connections, 1)
                result = wrk(f"{url}/{size}", connections, args.seconds, pid=server.pid)
                results[size, connections] = result
                print(f"  {name:8} {size:>5} {connections:4} connections: {result['cpu_us']:8.2f} us CPU, "
                      f"{result['rate']:9.0f}/s, p99 {result['p99'] * 1e3:.2f} ms, {result['errors']} errors",
                      flush=True)
        if args.zipf and name != "floor":
            results.update(popularity(name, url, server.pid, args, folder))
    return results


def popularity(name, url, pid, args, folder):
    """One hot object and a Zipf mix, both asked for by the same script, so that the load generator's own pace is
    the same; in turns, because the machine drifts. The cell is the one with the median CPU."""
    fill, scripts = folder / "all.lua", {"one": folder / "one.lua", "zipf": folder / "zipf.lua"}
    fill.write_text(ALL_SCRIPT.format(objects=ZIPF_OBJECTS))
    scripts["one"].write_text(ZIPF_SCRIPT.format(objects=1, seed=1))
    scripts["zipf"].write_text(ZIPF_SCRIPT.format(objects=ZIPF_OBJECTS, seed=1))
    done = 0
    while done < ZIPF_OBJECTS:  # each once, however slow the server's misses are
        done += wrk(url, 64, 10, script=fill)["requests"]
    turns = {what: [] for what in scripts}
    for _ in range(ZIPF_TURNS):
        for what, script in scripts.items():
            turns[what].append(wrk(url, 64, args.seconds, script=script, pid=pid))
    cells = {}
    for what, results in turns.items():
        results.sort(key=lambda r: r["cpu_us"])
        cells[what, 64] = middle = results[len(results) // 2]
        spread = ", ".join(f"{r['cpu_us']:.2f}" for r in results)
        print(f"  {name:8} {what:>5}   64 connections: {middle['cpu_us']:8.2f} us CPU ({spread}), "
              f"{middle['rate']:9.0f}/s", flush=True)
    return cells


def report(results, args):
    rows = []
    for cell in next(iter(v for k, v in results.items() if k == "skerry")):
        floor = results.get("floor", {}).get(cell)
        for name, cells in results.items():
            if cell not in cells:
                continue
            r = cells[cell]
            rows.append([cell[0], cell[1], name, f"{r['cpu_us']:.2f}",
                         f"{r['cpu_us'] / floor['cpu_us']:.2f}" if floor else "",
                         f"{results['skerry'][cell]['cpu_us'] / r['cpu_us']:.2f}",
                         f"{r['rate']:.0f}", f"{r['p50'] * 1e3:.2f}", f"{r['p99'] * 1e3:.2f}"])
    text = f"""## Hits over HTTP/1.1

`dev/bench hits`, {datetime.date.today()}, {machine()}. One worker thread a server on one core, wrk on the other,
keep-alive, loopback. CPU is user and system time of the server's own processes, so a busy load generator does
not distort it. "x floor" is the multiple of a bare epoll loop that sends a ready answer; "Skerry / it" below 1
means that Skerry costs less. `zipf` is a Zipf mix of {ZIPF_OBJECTS:,} objects of 1 KB, `one` is one of them, asked
for by the same script, in turns; the median of {ZIPF_TURNS}.

""" + table(["object", "connections", "server", "CPU us/request", "x floor", "Skerry / it", "requests/s", "p50 ms",
             "p99 ms"], rows)
    publish("hits", text)


def main():
    parser = argparse.ArgumentParser(prog="dev/bench hits", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of each cell (default 4)")
    parser.add_argument("--memory", type=int, default=1024, help="cache memory in MiB (default 1024)")
    parser.add_argument("--servers", default=",".join(HTTP_PEERS), help="comma-separated (default all)")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--connections", default="8,64,512")
    parser.add_argument("--no-zipf", dest="zipf", action="store_false")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    args.sizes = args.sizes.split(",")
    args.connections = [int(c) for c in args.connections.split(",")]
    folder = workdir()
    results = {}
    try:
        origin_port = free_port()
        with origin(origin_port, folder, SIZES):
            for name in args.servers.split(","):
                results[name] = measure(name, HTTP_PEERS[name], args, origin_port, folder)
    finally:
        shutil.rmtree(folder)
    if args.publish and "skerry" in results:
        report(results, args)
        print("wrote docs/benchmarks.md")
    if any(r["errors"] for cells in results.values() for r in cells.values()):
        sys.exit("some requests failed: see above")


if __name__ == "__main__":
    main()
